//! Which breakpoint or watchpoint matches: state, context and address.
//!
//! Arm ARM, AArch64.BreakpointMatch and AArch64.WatchpointMatch. Modelled: address matches with masks, mismatches, all
//! context types, linking, also to addresses (BT2), Non-secure and Secure state. Not modelled: mismatching watchpoints
//! (FEAT_BWE2), banks of breakpoints beyond 16, Root and Realm state (SSCE).

use super::registers::{DbgbcrEl1, DbgbvrContext, DbgwcrEl1};
use super::{DebugControls, Security};
use crate::bits;
use crate::el::ExceptionLevel;
use crate::pstate::PState;
use crate::sysreg::HcrEl2;

/// One breakpoint: `DBGBCR<n>_EL1` and `DBGBVR<n>_EL1`. Arm ARM, `DBGBCR<n>_EL1`, `DBGBVR<n>_EL1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Breakpoint {
    /// Control.
    pub control: DbgbcrEl1,
    /// Address, or context: CONTEXTIDR in \[31:0\], VMID in \[47:32\], CONTEXTIDR_EL2 in \[63:32\].
    pub value: u64,
}

/// One watchpoint: `DBGWCR<n>_EL1` and `DBGWVR<n>_EL1`. Arm ARM, `DBGWCR<n>_EL1`, `DBGWVR<n>_EL1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watched {
    /// Control.
    pub control: DbgwcrEl1,
    /// Address of the doubleword, or of the word.
    pub value: u64,
}

/// What of an implementation decides about matches. Arm ARM, ID_AA64DFR0_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DebugUnit {
    /// How many breakpoints match contexts: the highest-numbered ones. ID_AA64DFR0_EL1.CTX_CMPs, plus one.
    pub context_aware: usize,
    /// Masks of breakpoints and mismatch breakpoints (BT = 010x) exist, else they are reserved. FEAT_BWE.
    pub ranges: bool,
    /// Watchpoints can link to addresses of breakpoints: BT2 exists. FEAT_ABLE.
    pub linked_addresses: bool,
    /// Breakpoints can compare with CONTEXTIDR_EL2 (BT = 011x, 11xx). FEAT_VHE or FEAT_Debugv8p2.
    pub el2_contexts: bool,
    /// EL0 can be AArch32: BAS says which halfword of an address a breakpoint is on.
    pub aarch32_el0: bool,
    /// The highest bit of an address that counts: 48, with FEAT_LVA 52, with FEAT_LVA3 55.
    pub address_top: u32,
    /// EL2 is implemented.
    pub has_el2: bool,
    /// EL3 is implemented.
    pub has_el3: bool,
    /// There is a Secure EL2, with which more combinations of HMC and SSC are allocated; in Secure state it is enabled.
    /// FEAT_SEL2.
    pub secure_el2: bool,
}

/// The context that context breakpoints compare with. Arm ARM, "Context breakpoints".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// `CONTEXTIDR_EL1`.
    pub contextidr_el1: u32,
    /// `CONTEXTIDR_EL2`.
    pub contextidr_el2: u32,
    /// VTTBR_EL2.VMID.
    pub vmid: u16,
    /// VMIDs have 16 bits, else 8: FEAT_VMID16 and VTCR_EL2.VS.
    pub vmid16: bool,
    /// `HCR_EL2`; 0 where there is no EL2.
    pub hcr: HcrEl2,
}

/// A data access that watchpoints look at. Arm ARM, "Watchpoint exceptions".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataAccess {
    /// Its first byte.
    pub address: u64,
    /// How many bytes.
    pub bytes: u64,
    /// It reads memory.
    pub is_load: bool,
    /// It writes memory; an atomic does both, and cache maintenance counts as a store.
    pub is_store: bool,
    /// LDTR and STTR: checked as if at EL0.
    pub is_unprivileged: bool,
    /// The address of the instruction, with which a linked address breakpoint compares. FEAT_ABLE.
    pub pc: u64,
}

/// What a breakpoint found.
#[derive(Clone, Copy)]
enum Comparison {
    /// It is disabled or reserved, or has linking enabled where it is not linked to, or the reverse.
    Inactive,
    /// Whether the address is the one of an address breakpoint.
    Match(bool),
    /// Whether the address is the one of a mismatch breakpoint.
    Mismatch(bool),
    /// Whether the context is that of a context breakpoint.
    Context(bool),
}

impl Comparison {
    /// What it is for a breakpoint or watchpoint that links to it. Arm ARM, AArch64.StateMatch.
    const fn as_link(self) -> bool {
        match self {
            Self::Inactive => false,
            Self::Match(same) | Self::Context(same) => same,
            Self::Mismatch(same) => !same,
        }
    }
}

/// Who asks a breakpoint.
#[derive(Clone, Copy)]
enum Asker {
    /// The breakpoint itself, about an instruction.
    Itself(u64),
    /// A breakpoint that links to it.
    Breakpoint,
    /// A watchpoint that links to it, about an access by an instruction.
    Watchpoint(u64),
}

/// The bits that say at which level and in which security state a match counts.
#[derive(Clone, Copy)]
struct StateControl {
    hmc: bool,
    ssc: u8,
    pxc: u8,
    linked: Option<usize>,
}

/// Everything a match is judged by. Arm ARM, AArch64.BreakpointMatch, AArch64.WatchpointMatch.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'a> {
    /// What is implemented.
    pub unit: DebugUnit,
    /// Whether debug exceptions are generated.
    pub controls: DebugControls,
    /// PSTATE of the instruction.
    pub pstate: PState,
    /// The context.
    pub context: Context,
    /// All breakpoints, in order.
    pub breakpoints: &'a [Breakpoint],
}

impl Matcher<'_> {
    /// Returns the number of the first breakpoint that takes part in a match of the instruction at `pc`, for which a
    /// breakpoint exception is generated before it executes. Of address breakpoints one has to match and none of the
    /// mismatching ones may have the address; a context breakpoint matches by itself. Arm ARM, AArch64.BreakpointMatch.
    #[must_use]
    pub fn breakpoint(&self, pc: u64) -> Option<usize> {
        if !self.is_enabled() {
            return None;
        }
        let (mut matched, mut mismatched, mut context) = (None, None, None);
        let (mut has_match, mut is_excluded) = (false, false);
        for (number, _) in (0..).zip(self.breakpoints) {
            let first = |found: Option<usize>, hit: bool| found.or_else(|| hit.then_some(number));
            match self.breakpoint_matches(number, pc) {
                Comparison::Inactive => {}
                Comparison::Match(same) => {
                    has_match = true;
                    matched = first(matched, same);
                }
                Comparison::Mismatch(same) => {
                    is_excluded |= same;
                    mismatched = first(mismatched, !same);
                }
                Comparison::Context(same) => context = first(context, same),
            }
        }
        let address = match (is_excluded, has_match) {
            (true, _) => None,
            (false, true) => matched,
            (false, false) => mismatched,
        };
        match (address, context) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Returns the number of the first watchpoint that matches, and the address of the first byte it watches: what
    /// FAR is to hold. Arm ARM, AArch64.WatchpointMatch.
    #[must_use]
    pub fn watchpoint(&self, watchpoints: &[Watched], access: DataAccess) -> Option<(usize, u64)> {
        if !self.is_enabled() {
            return None;
        }
        (0..).zip(watchpoints).find_map(|(number, watched)| {
            let control = watched.control;
            let linked = control.wt().then(|| usize::from(control.lbn()));
            let state = StateControl { hmc: control.hmc(), ssc: control.ssc(), pxc: control.pac(), linked };
            let kind = bits::bit(u64::from(control.lsc()), 0) && access.is_load
                || bits::bit(u64::from(control.lsc()), 1) && access.is_store;
            if !control.e()
                || !kind
                || !self.state_matches(state, access.is_unprivileged, Asker::Watchpoint(access.pc))
            {
                return None;
            }
            self.first_watched_byte(watched, access).map(|address| (number, address))
        })
    }

    /// MDSCR_EL1.MDE, and the level. Arm ARM, AArch64.GenerateDebugExceptions.
    fn is_enabled(&self) -> bool {
        self.controls.mdscr.mde() && self.controls.generates_from(self.pstate.el(), self.pstate)
    }

    /// Whether the element is in Secure state; EL3 always is, without FEAT_RME. Arm ARM, SecurityStateAtEL.
    fn is_secure(&self) -> bool {
        self.pstate.el() == ExceptionLevel::El3
            || match self.controls.security {
                Security::NonSecure => false,
                Security::Secure | Security::SecureClosed => true,
            }
    }

    /// Arm ARM, EL2Enabled.
    fn is_el2_enabled(&self) -> bool {
        self.unit.has_el2 && (!self.is_secure() || self.unit.secure_el2)
    }

    /// Arm ARM, AArch64.BreakpointMatch.
    fn breakpoint_matches(&self, number: usize, pc: u64) -> Comparison {
        let Some(Breakpoint { control, .. }) = self.breakpoints.get(number) else {
            return Comparison::Inactive;
        };
        let linked = is_linked(*control).then(|| usize::from(control.lbn()));
        let state = StateControl { hmc: control.hmc(), ssc: control.ssc(), pxc: control.pmc(), linked };
        if self.state_matches(state, false, Asker::Breakpoint) {
            self.compare(number, Asker::Itself(pc))
        } else {
            Comparison::Inactive
        }
    }

    /// Compares address or context. Arm ARM, AArch64.BreakpointValueMatch.
    ///
    /// CHOICE, where it is CONSTRAINED UNPREDICTABLE: reserved types are disabled; a breakpoint that links to an
    /// address does not match; neither does a watchpoint that links to an address which links to an address.
    fn compare(&self, number: usize, asker: Asker) -> Comparison {
        let is_asked_as_link = !matches!(asker, Asker::Itself(_));
        let Some(Breakpoint { control, value }) = self.active(number, is_asked_as_link) else {
            return Comparison::Inactive;
        };
        if !is_address(control) {
            return Comparison::Context(self.context_matches(control.bt(), value));
        }
        match asker {
            Asker::Breakpoint => Comparison::Inactive,
            // That of a breakpoint's own link is in its state match.
            Asker::Itself(pc) => self.address_matches(control, value, pc, true),
            // A linked address that a watchpoint links to is a link itself.
            Asker::Watchpoint(pc) => {
                let further = !is_linked(control) || self.context_link_matches(usize::from(control.lbn()));
                self.address_matches(control, value, pc, further)
            }
        }
    }

    /// Returns a breakpoint that is enabled, of a type that is not reserved, and for links or not as it is asked.
    fn active(&self, number: usize, as_link: bool) -> Option<Breakpoint> {
        let breakpoint = *self.breakpoints.get(number)?;
        let (control, bt) = (breakpoint.control, breakpoint.control.bt());
        let bt2 = self.unit.linked_addresses && control.bt2();
        let is_for_links = bt2 || bt & 0b0011 == 0b0011 || bt & 0b1001 == 0b1001;
        let is_active = control.e() && !self.is_reserved_type(number, control) && is_for_links == as_link;
        is_active.then_some(breakpoint)
    }

    /// Arm ARM, AArch64.ReservedBreakpointType.
    fn is_reserved_type(&self, number: usize, control: DbgbcrEl1) -> bool {
        let bt = control.bt();
        let is_context = bt & 0b1010 != 0;
        if self.unit.linked_addresses && control.bt2() {
            return is_context;
        }
        is_context && !self.is_context_aware(number)
            || bt & 0b1000 != 0 && !self.unit.has_el2
            || (bt & 0b1110 == 0b0110 || bt & 0b1100 == 0b1100) && !self.unit.el2_contexts
            || bt & 0b1110 == 0b0100 && !self.unit.ranges
    }

    /// The highest-numbered breakpoints are. Arm ARM, IsContextAwareBreakpoint.
    fn is_context_aware(&self, number: usize) -> bool {
        number < self.breakpoints.len()
            && self.breakpoints.len().saturating_sub(number) <= self.unit.context_aware
    }

    /// Asks the breakpoint that another, or a watchpoint, links to. CHOICE: one that is not context-aware gives no
    /// match.
    fn link_matches(&self, number: usize, asker: Asker) -> bool {
        self.is_context_aware(number) && self.compare(number, asker).as_link()
    }

    /// Asks the breakpoint that a link links to: a context, as links end there.
    fn context_link_matches(&self, number: usize) -> bool {
        let linked = self.active(number, true).filter(|linked| !is_address(linked.control));
        self.is_context_aware(number)
            && linked.is_some_and(|linked| self.context_matches(linked.control.bt(), linked.value))
    }

    /// CHOICE, where it is CONSTRAINED UNPREDICTABLE: MASK 1 and 2 count as 0; masked bits of the value do not count.
    fn address_matches(&self, control: DbgbcrEl1, value: u64, pc: u64, further: bool) -> Comparison {
        let is_range = self.unit.ranges && control.mask() > 2;
        let low = if is_range { u32::from(control.mask()) } else { 2 };
        // A64 instructions are on the first halfword.
        let halfword = !self.unit.aarch32_el0 || control.bas() & 1 == 1;
        let same = self.same(pc, value, low) && halfword && further;
        match control.bt() & 0b0100 {
            0 => Comparison::Match(same),
            // The mismatch of a single address alone does not exist.
            _ if !is_range => Comparison::Inactive,
            _ => Comparison::Mismatch(same),
        }
    }

    fn context_matches(&self, bt: u8, value: u64) -> bool {
        let el = self.pstate.el();
        let context = &self.context;
        let is_guest = el <= ExceptionLevel::El1;
        // Arm ARM, IsInHost: EL2 with E2H, or EL0 below it.
        let in_host = context.hcr.e2h()
            && (el == ExceptionLevel::El2 || el == ExceptionLevel::El0 && context.hcr.tge());
        let value = DbgbvrContext::from_bits(value);
        let id = value.context_id();
        let id1 = is_guest && !in_host && context.contextidr_el1 == id;
        let id2 = el != ExceptionLevel::El3
            && self.is_el2_enabled()
            && context.contextidr_el2 == value.context_id2();
        // Of a VMID of 8 bits the upper half of the field does not count.
        let same_vmid = (context.vmid ^ value.vmid()) & if context.vmid16 { 0xffff } else { 0xff } == 0;
        let vmid = self.is_el2_enabled() && is_guest && !in_host && same_vmid;
        match bt >> 1 {
            0b001 if in_host => context.contextidr_el2 == id,
            0b001 => is_guest && context.contextidr_el1 == id,
            0b011 => id1,
            0b100 => vmid,
            0b101 => vmid && id1,
            0b110 => id2,
            0b111 => id1 && id2,
            _ => false,
        }
    }

    /// Arm ARM, AArch64.StateMatch.
    fn state_matches(&self, control: StateControl, is_unprivileged: bool, asker: Asker) -> bool {
        let StateControl { hmc, ssc, pxc, linked } = control;
        if self.is_reserved(hmc, ssc, pxc) {
            return false;
        }
        let el0 = pxc & 2 != 0;
        let el1 = pxc & 1 != 0;
        let el2 = self.unit.has_el2 && (hmc && !(ssc == 0b10 && pxc == 0) || ssc == 0b11);
        let el3 = self.unit.has_el3 && hmc && ssc & 1 == 0;
        let level = match self.pstate.el() {
            ExceptionLevel::El0 => el0,
            ExceptionLevel::El1 | ExceptionLevel::El2 if is_unprivileged => el0,
            ExceptionLevel::El1 => el1,
            ExceptionLevel::El2 => el2,
            ExceptionLevel::El3 => el3,
        };
        let security = match ssc {
            0b01 => !self.is_secure(),
            0b10 => self.is_secure(),
            0b11 => hmc || self.is_secure(),
            _ => true,
        };
        level && security && linked.is_none_or(|number| self.link_matches(number, asker))
    }

    /// Whether HMC, SSC and PxC together are reserved; CHOICE: such a breakpoint or watchpoint is disabled, the first
    /// of what CONSTRAINED UNPREDICTABLE allows. Arm ARM, CheckValidStateMatch.
    fn is_reserved(&self, hmc: bool, ssc: u8, pxc: u8) -> bool {
        let all = u8::from(hmc) << 4 | (ssc & 3) << 2 | pxc & 3;
        let DebugUnit { has_el2, has_el3, secure_el2, .. } = self.unit;
        (!hmc && pxc == 0 && ssc != 0b11)
            || (!has_el3 && !has_el2 && (hmc || ssc != 0))
            || (!has_el3 && matches!(ssc, 0b01 | 0b10) && all != 0b1_01_00)
            || (!has_el3 && all == 0b1_10_00)
            || (!has_el2 && all == 0b1_11_00)
            || !secure_el2
                && matches!(all, 0b0_11_00 | 0b1_01_00 | 0b0_11_01 | 0b0_11_11 | 0b1_11_01 | 0b1_11_11)
            || matches!(all, 0b0_11_10 | 0b1_00_00 | 0b1_00_10 | 0b1_01_10 | 0b1_10_10 | 0b1_11_10)
    }

    /// Returns the first byte of the access that the watchpoint watches. Arm ARM, AArch64.WatchpointByteMatch.
    ///
    /// CHOICE, where the manual says CONSTRAINED UNPREDICTABLE: with a mask BAS does not count; masked bits of the
    /// address do not count; MASK 1 and 2 count as 0; selected bytes that are not adjacent match one by one.
    fn first_watched_byte(&self, watched: &Watched, access: DataAccess) -> Option<u64> {
        let control = watched.control;
        let last = access.bytes.checked_sub(1)?;
        if control.mask() > 2 {
            let low = u32::from(control.mask());
            let first = watched.value & !bits::mask(low);
            let touches = |address| self.same(address, watched.value, low);
            let end = access.address.wrapping_add(last);
            return if touches(access.address) {
                Some(access.address)
            } else if touches(end) || first.wrapping_sub(access.address) <= last {
                Some(first)
            } else {
                None
            };
        }
        let low = if bits::bit(watched.value, 2) { 2 } else { 3 };
        (0..8).find_map(|byte| {
            let watches =
                byte < 1u64.wrapping_shl(low) && bits::bit(u64::from(control.bas()), bits::trunc32(byte));
            let address = watched.value & !bits::mask(low) | byte;
            let at = bits::sign_extend(
                address.wrapping_sub(access.address),
                self.unit.address_top.wrapping_add(1),
            );
            (watches && at <= last).then(|| access.address.wrapping_add(at))
        })
    }

    /// Whether two addresses agree from bit `low` to the highest that counts.
    fn same(&self, a: u64, b: u64, low: u32) -> bool {
        bits::field(a ^ b, self.unit.address_top, low) == 0
    }
}

/// Whether the type compares an address: BT = 0x0x.
const fn is_address(control: DbgbcrEl1) -> bool {
    control.bt() & 0b1010 == 0
}

/// Whether the type is that of a linked address: BT = 0x01.
const fn is_linked(control: DbgbcrEl1) -> bool {
    control.bt() & 0b1011 == 0b0001
}

#[cfg(test)]
mod tests;
