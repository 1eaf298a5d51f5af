//! Which breakpoint or watchpoint matches: state, context and address.
//!
//! Arm ARM D2.8 and D2.9. Modelled: address matches with masks, mismatches, all context types, linking, also to
//! addresses (BT2), Non-secure and Secure state. Not modelled: mismatching watchpoints (FEAT_BWE2), banks of breakpoints
//! beyond 16, Root and Realm state (SSCE).

use super::registers::{DbgbcrEl1, DbgwcrEl1};
use super::{DebugControls, Security};
use crate::bits;
use crate::el::ExceptionLevel;
use crate::pstate::PState;
use crate::sysreg::HcrEl2;

/// One breakpoint: `DBGBCR<n>_EL1` and `DBGBVR<n>_EL1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Breakpoint {
    /// Control.
    pub control: DbgbcrEl1,
    /// Address, or context: CONTEXTIDR in \[31:0\], VMID in \[47:32\], CONTEXTIDR_EL2 in \[63:32\].
    pub value: u64,
}

/// One watchpoint: `DBGWCR<n>_EL1` and `DBGWVR<n>_EL1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watched {
    /// Control.
    pub control: DbgwcrEl1,
    /// Address of the doubleword, or of the word.
    pub value: u64,
}

/// What of an implementation decides about matches.
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

/// The context that context breakpoints compare with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// `CONTEXTIDR_EL1`.
    pub contextidr_el1: u32,
    /// `CONTEXTIDR_EL2`.
    pub contextidr_el2: u32,
    /// VTTBR_EL2.VMID, 8 or 16 bits.
    pub vmid: u16,
    /// `HCR_EL2`; 0 where there is no EL2.
    pub hcr: HcrEl2,
}

/// A data access that watchpoints look at.
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

/// Everything a match is judged by.
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
    /// mismatching ones may have the address; a context breakpoint matches by itself. Arm ARM D2.8.1.
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
        let id = bits::trunc32(value);
        let high = bits::high32(value);
        let id1 = is_guest && !in_host && context.contextidr_el1 == id;
        let id2 = el != ExceptionLevel::El3 && self.is_el2_enabled() && context.contextidr_el2 == high;
        let vmid = self.is_el2_enabled()
            && is_guest
            && !in_host
            && u64::from(context.vmid) == bits::field(value, 47, 32);
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
mod tests {
    use super::*;
    use crate::sysreg::MdscrEl1;

    const UNIT: DebugUnit = DebugUnit {
        context_aware: 2,
        ranges: false,
        linked_addresses: false,
        el2_contexts: true,
        aarch32_el0: false,
        address_top: 48,
        has_el2: true,
        has_el3: true,
        secure_el2: false,
    };
    /// MDE and KDE; debug exceptions go to EL2, so that EL0 and EL1 generate them.
    const ON: DebugControls = DebugControls {
        mdscr: MdscrEl1::from_bits(0xa000),
        os_lock: false,
        route_to_el2: true,
        ..DebugControls::OFF
    };
    const EL0: PState = PState::from_bits(0);
    const EL1: PState = PState::from_bits(5);
    const EL2: PState = PState::from_bits(9);
    const PC: u64 = 0xffff_8000_0801_0004;

    const fn matcher(breakpoints: &[Breakpoint], pstate: PState) -> Matcher<'_> {
        let context = Context {
            contextidr_el1: 0x1234,
            contextidr_el2: 0x5678,
            vmid: 9,
            hcr: HcrEl2::from_bits(1 << 31),
        };
        Matcher { unit: UNIT, controls: ON, pstate, context, breakpoints }
    }

    const fn breakpoint(control: u64, value: u64) -> Breakpoint {
        Breakpoint { control: DbgbcrEl1::from_bits(control), value }
    }

    #[test]
    fn hmc_ssc_and_pmc_choose_the_levels() {
        // Arm ARM D2.9, table "Execution conditions": EL0, EL1, EL2, EL3 in Non-secure state, no Secure EL2.
        const CASES: &[(u64, u64, u64, [bool; 4])] = &[
            (0, 0b00, 0b01, [false, true, false, false]),
            (0, 0b00, 0b10, [true, false, false, false]),
            (0, 0b00, 0b11, [true, true, false, false]),
            (0, 0b01, 0b01, [false, true, false, false]),
            (0, 0b01, 0b10, [true, false, false, false]),
            (0, 0b01, 0b11, [true, true, false, false]),
            (0, 0b10, 0b01, [false, false, false, false]),
            (0, 0b10, 0b11, [false, false, false, false]),
            (1, 0b00, 0b01, [false, true, true, true]),
            (1, 0b00, 0b11, [true, true, true, true]),
            (1, 0b01, 0b01, [false, true, true, false]),
            (1, 0b01, 0b11, [true, true, true, false]),
            (1, 0b10, 0b00, [false, false, false, true]),
            (1, 0b10, 0b01, [false, false, false, true]),
            (1, 0b10, 0b11, [false, false, false, true]),
            (1, 0b11, 0b00, [false, false, true, false]),
            // Reserved.
            (0, 0b00, 0b00, [false; 4]),
            (1, 0b00, 0b00, [false; 4]),
            (1, 0b00, 0b10, [false; 4]),
            (1, 0b01, 0b10, [false; 4]),
            (1, 0b10, 0b10, [false; 4]),
            (1, 0b11, 0b10, [false; 4]),
            (0, 0b11, 0b10, [false; 4]),
        ];
        for (hmc, ssc, pmc, want) in CASES {
            for (mode, want) in [0x0, 0x5, 0x9, 0xd].into_iter().zip(want) {
                let m = matcher(&[], PState::from_bits(mode));
                let state = StateControl {
                    hmc: *hmc == 1,
                    ssc: bits::low8(*ssc),
                    pxc: bits::low8(*pmc),
                    linked: None,
                };
                assert_eq!(
                    m.state_matches(state, false, Asker::Breakpoint),
                    *want,
                    "{hmc} {ssc:#b} {pmc:#b} mode {mode:#x}"
                );
            }
        }
    }

    #[test]
    fn an_address_matches_at_the_levels_asked_for() {
        const KERNEL: u64 = 0x1e3;
        let cases: &[(&str, u64, u64, PState, u64, bool)] = &[
            ("the address", KERNEL, PC, EL1, PC, true),
            ("disabled", KERNEL & !1, PC, EL1, PC, false),
            ("another level", KERNEL, PC, EL0, PC, false),
            ("the next instruction", KERNEL, PC, EL1, PC + 4, false),
            ("bits [1:0] do not count", KERNEL, PC | 3, EL1, PC, true),
            ("bits above the address do not count", KERNEL, PC ^ 0xff << 56, EL1, PC, true),
            ("bit 48 counts", KERNEL, PC ^ 1 << 48, EL1, PC, false),
            ("a mask without FEAT_BWE does not count", KERNEL | 12 << 24, PC & !0xfff, EL1, PC, false),
            ("mismatch is reserved", KERNEL | 4 << 20, PC, EL1, PC + 4, false),
        ];
        for (name, control, value, pstate, pc, want) in cases {
            let breakpoints = [breakpoint(*control, *value)];
            let got = matcher(&breakpoints, *pstate).breakpoint(*pc);
            assert_eq!(got, want.then_some(0), "{name}");
        }
    }

    #[test]
    fn ranges_match_and_mismatch() {
        const LOW: u64 = PC & !0xfff;
        const RANGE: u64 = 0x1e3 | 12 << 24;
        const OTHER: u64 = 0x1e3 | 12 << 24 | 4 << 20;
        const HOLE: u64 = 0x1e3 | 4 << 24 | 4 << 20;
        // Arm ARM D2.8.1: matches are or-ed, mismatches and-ed, both and-ed; example D2-1.
        type Case = (&'static str, &'static [(u64, u64)], &'static [(u64, Option<usize>)]);
        let cases: &[Case] = &[
            (
                "a range",
                &[(RANGE, LOW)],
                &[(LOW - 4, None), (LOW, Some(0)), (LOW | 0xffc, Some(0)), (LOW + 0x1000, None)],
            ),
            ("masked bits of the value do not count", &[(RANGE, PC)], &[(LOW, Some(0))]),
            ("MASK 2 is reserved", &[(0x1e3 | 2 << 24, PC)], &[(PC, Some(0)), (PC + 4, None)]),
            (
                "outside a range",
                &[(OTHER, LOW)],
                &[(LOW - 4, Some(0)), (LOW, None), (LOW | 0xffc, None), (LOW + 0x1000, Some(0))],
            ),
            (
                "one address cannot be mismatched alone",
                &[(0x1e3 | 4 << 20, PC)],
                &[(PC, None), (PC + 4, None)],
            ),
            (
                "outside two ranges",
                &[(OTHER, LOW), (OTHER, LOW + 0x1000)],
                &[(LOW, None), (LOW + 0x1000, None), (LOW + 0x2000, Some(0))],
            ),
            (
                "in a range but for a hole",
                &[(RANGE, LOW), (HOLE, LOW + 0x20)],
                &[
                    (LOW + 0x1c, Some(0)),
                    (LOW + 0x20, None),
                    (LOW + 0x2c, None),
                    (LOW + 0x30, Some(0)),
                    (LOW + 0x1000, None),
                ],
            ),
            (
                "either of two ranges",
                &[(RANGE, LOW + 0x1000), (RANGE, LOW)],
                &[(LOW, Some(1)), (LOW + 0x1000, Some(0))],
            ),
        ];
        for (name, set, want) in cases {
            let mut all = [breakpoint(0, 0); 2];
            for (slot, (control, value)) in all.iter_mut().zip(*set) {
                *slot = breakpoint(*control, *value);
            }
            let mut m = matcher(&all, EL1);
            m.unit.ranges = true;
            for (pc, want) in *want {
                assert_eq!(m.breakpoint(*pc), *want, "{name}: {pc:#x}");
            }
        }
    }

    #[test]
    fn bas_names_the_halfword_where_el0_can_be_aarch32() {
        for (bas, want) in [(0xf, true), (0x3, true), (0xc, false), (0x0, false)] {
            let breakpoints = [breakpoint(0x3 | bas << 5, PC)];
            let mut m = matcher(&breakpoints, EL1);
            assert_eq!(m.breakpoint(PC), Some(0), "without AArch32 BAS is RES1");
            m.unit.aarch32_el0 = true;
            assert_eq!(m.breakpoint(PC).is_some(), want, "{bas:#x}");
        }
    }

    #[test]
    fn a_secure_el2_allocates_more_states() {
        // HMC, SSC, PMC: EL0, EL1, EL2 in Non-secure state. Arm ARM, CheckValidStateMatch.
        const CASES: &[(u64, u64, u64, [bool; 3])] = &[
            (0, 0b11, 0b00, [false, false, false]),
            (0, 0b11, 0b01, [false, false, false]),
            (0, 0b11, 0b11, [false, false, false]),
            (1, 0b01, 0b00, [false, false, true]),
            (1, 0b11, 0b00, [false, false, true]),
            (1, 0b11, 0b01, [false, true, true]),
            (1, 0b11, 0b11, [true, true, true]),
            (0, 0b11, 0b10, [false; 3]),
            (1, 0b00, 0b00, [false; 3]),
            (1, 0b01, 0b10, [false; 3]),
        ];
        for (hmc, ssc, pmc, want) in CASES {
            let breakpoints = [breakpoint(0x1e1 | pmc << 1 | hmc << 13 | ssc << 14, PC)];
            for (mode, want) in [0x0, 0x5, 0x9].into_iter().zip(want) {
                let mut m = matcher(&breakpoints, PState::from_bits(mode));
                m.unit.secure_el2 = true;
                assert_eq!(m.breakpoint(PC).is_some(), *want, "{hmc} {ssc:#b} {pmc:#b} mode {mode:#x}");
            }
        }
    }

    #[test]
    fn ssc_chooses_the_security_state() {
        // HMC, SSC, PMC 11; EL1 in Non-secure and in Secure state, without and with a Secure EL2, at which EL0 to EL2
        // then generate. Arm ARM, AArch64.StateMatch.
        const CASES: &[(u64, u64, bool, bool)] = &[
            (0, 0b00, true, true),
            (1, 0b00, true, true),
            (0, 0b01, true, false),
            (1, 0b01, true, false),
            (0, 0b10, false, true),
            (1, 0b10, false, true),
        ];
        let closed = DebugControls { security: Security::SecureClosed, ..ON };
        for (hmc, ssc, non_secure, secure) in CASES {
            let breakpoints = [breakpoint(0x1e7 | hmc << 13 | ssc << 14, PC)];
            for secure_el2 in [false, true] {
                let mut m = matcher(&breakpoints, EL1);
                m.unit.secure_el2 = secure_el2;
                assert_eq!(m.breakpoint(PC).is_some(), *non_secure, "{hmc} {ssc:#b}, Non-secure");
                m.controls.security = Security::Secure;
                assert_eq!(m.breakpoint(PC).is_some(), *secure, "{hmc} {ssc:#b}, Secure");
                assert_eq!(Matcher { controls: closed, ..m }.breakpoint(PC), None, "SDD is 1");
            }
        }
        // SSC 11 with HMC 0 is Secure state alone, and has to be allocated by FEAT_SEL2.
        let breakpoints = [breakpoint(0x1e7 | 0b11 << 14, PC)];
        let mut m = matcher(&breakpoints, EL1);
        m.unit.secure_el2 = true;
        assert_eq!(m.breakpoint(PC), None);
        m.controls.security = Security::Secure;
        assert_eq!(m.breakpoint(PC), Some(0));
        m.unit.secure_el2 = false;
        assert_eq!(m.breakpoint(PC), None, "reserved");
    }

    #[test]
    fn secure_contexts_of_el2_need_a_secure_el2() {
        // Unlinked, CONTEXTIDR_EL2 (BT 1100) and VMID (BT 1000).
        for (bt, value) in [(0b1100, 0x5678 << 32), (0b1000, 9 << 32)] {
            let breakpoints = [breakpoint(0x1e7 | bt << 20, value)];
            for (security, secure_el2, want) in [
                (Security::NonSecure, false, true),
                (Security::Secure, false, false),
                (Security::Secure, true, true),
            ] {
                let mut m = matcher(&breakpoints, EL1);
                m.unit.secure_el2 = secure_el2;
                m.controls.security = security;
                assert_eq!(m.breakpoint(PC).is_some(), want, "BT {bt:#b}, {security:?}");
            }
        }
    }

    #[test]
    fn every_type_is_allocated_where_the_manual_says() {
        // Arm ARM, AArch64.ReservedBreakpointType, all 32 values of BT2 and BT: always, if context-aware with
        // CONTEXTIDR_EL1 or VMID, if context-aware with CONTEXTIDR_EL2, with FEAT_BWE, with FEAT_ABLE, never.
        const WANT: &[u8; 32] = b"aaccbbeecccceeeeaarraarrrrrrrrrr";
        for (bits, want) in (0..32u64).zip(WANT) {
            let breakpoints = [breakpoint(bits >> 4 << 3 | (bits & 15) << 20, 0)];
            let reserved = |change: fn(&mut DebugUnit)| {
                let mut m = matcher(&breakpoints, EL1);
                m.unit = DebugUnit { context_aware: 1, ranges: true, linked_addresses: true, ..UNIT };
                change(&mut m.unit);
                m.is_reserved_type(0, breakpoint(bits >> 4 << 3 | (bits & 15) << 20, 0).control)
            };
            assert_eq!(reserved(|_| ()), *want == b'r', "{bits:#07b}, everything there");
            let contexts = reserved(|unit| unit.context_aware = 0);
            assert_eq!(contexts, matches!(want, b'c' | b'e' | b'r'), "{bits:#07b}, not context-aware");
            let plain = reserved(|unit| unit.el2_contexts = false);
            assert_eq!(plain, matches!(want, b'e' | b'r'), "{bits:#07b}, no CONTEXTIDR_EL2");
            let single = reserved(|unit| unit.ranges = false);
            assert_eq!(single, matches!(want, b'b' | b'r'), "{bits:#07b}, no FEAT_BWE");
        }
    }

    #[test]
    fn a_watchpoint_links_to_an_address_with_bt2() {
        const RANGE: u64 = 0x1e1 | 1 << 3 | 12 << 24;
        let watched =
            [Watched { control: DbgwcrEl1::from_bits(0xf | 0xff << 5 | 1 << 20 | 1 << 16), value: 0x1000 }];
        let context = breakpoint(0x1e1 | 0b0011 << 20, 0x1234);
        let wrong = breakpoint(0x1e1 | 0b0011 << 20, 0x1235);
        // Breakpoint 0, breakpoint 1 that the watchpoint links to, whether it matches in the range and beyond.
        let cases: &[(&str, Breakpoint, Breakpoint, bool, bool)] = &[
            ("in the range", context, breakpoint(RANGE, PC), true, false),
            ("outside of it", context, breakpoint(RANGE | 4 << 20, PC), false, true),
            ("linked in turn to a context", context, breakpoint(RANGE | 1 << 20, PC), true, false),
            ("to another context", wrong, breakpoint(RANGE | 1 << 20, PC), false, false),
            ("mismatch, linked to a context", context, breakpoint(RANGE | 5 << 20, PC), false, true),
            ("an address without BT2", context, breakpoint(RANGE & !8, PC), false, false),
            ("disabled", context, breakpoint(RANGE & !1, PC), false, false),
            ("a context with BT2 is reserved", context, breakpoint(RANGE | 3 << 20, 0x1234), false, false),
        ];
        for (name, first, second, inside, outside) in cases {
            let breakpoints = [*first, *second];
            let mut m = matcher(&breakpoints, EL1);
            m.unit = DebugUnit { ranges: true, linked_addresses: true, ..UNIT };
            let hits = |pc| m.watchpoint(&watched, DataAccess { pc, ..load(0x1000, 8) }).is_some();
            assert_eq!((hits(PC), hits(PC + 0x1000)), (*inside, *outside), "{name}");
            assert_eq!(m.breakpoint(PC), None, "{name}: a breakpoint for links is none by itself");
        }
        // Without FEAT_ABLE BT2 does not count, and a breakpoint cannot link to an address.
        let breakpoints = [context, breakpoint(RANGE, PC)];
        let mut m = matcher(&breakpoints, EL1);
        m.unit.ranges = true;
        assert_eq!(m.watchpoint(&watched, DataAccess { pc: PC, ..load(0x1000, 8) }), None);
        let breakpoints = [breakpoint(0x1e3 | 1 << 20 | 1 << 16, PC), breakpoint(RANGE, PC)];
        let mut m = matcher(&breakpoints, EL1);
        m.unit = DebugUnit { ranges: true, linked_addresses: true, ..UNIT };
        assert_eq!(m.breakpoint(PC), None);
    }

    #[test]
    fn nothing_matches_while_debug_exceptions_are_off() {
        let breakpoints = [breakpoint(0x1e3, PC)];
        for (name, mdscr, os_lock, want) in [
            ("MDE", 0x8000, false, Some(0)),
            ("no MDE", 0x2000, false, None),
            ("OS lock", 0x8000, true, None),
        ] {
            let mut m = matcher(&breakpoints, EL1);
            m.controls = DebugControls { mdscr: MdscrEl1::from_bits(mdscr), os_lock, ..ON };
            assert_eq!(m.breakpoint(PC), want, "{name}");
        }
        let mut m = matcher(&breakpoints, EL1);
        m.controls.route_to_el2 = false;
        assert_eq!(m.breakpoint(PC), Some(0), "EL1 with KDE");
        m.pstate = PState::from_bits(0x205);
        assert_eq!(m.breakpoint(PC), None, "PSTATE.D");
    }

    #[test]
    fn contexts_match_by_type() {
        const ID1: u64 = 0x1234;
        const VMID: u64 = 9 << 32;
        const ID2: u64 = 0x5678 << 32;
        // Type, value, whether it matches at EL1.
        const CASES: &[(u64, u64, bool)] = &[
            (0b0010, ID1, true),
            (0b0010, ID1 ^ 1, false),
            (0b0110, ID1, true),
            (0b1000, VMID, true),
            (0b1000, VMID ^ 1 << 40, false),
            (0b1010, VMID | ID1, true),
            (0b1010, VMID, false),
            (0b1100, ID2, true),
            (0b1100, ID2 ^ 1 << 32, false),
            (0b1110, ID2 | ID1, true),
            (0b1110, ID2, false),
        ];
        for (bt, value, want) in CASES {
            let control = 0x21e7 | bt << 20; // HMC 1, SSC 00, PMC 11: every level
            let breakpoints = [breakpoint(control, *value)];
            assert_eq!(matcher(&breakpoints, EL1).breakpoint(PC), want.then_some(0), "{bt:#06b}");
            let linked = [breakpoint(control | 1 << 20, *value)];
            assert_eq!(matcher(&linked, EL1).breakpoint(PC), None, "{bt:#06b}, linked: not by itself");
        }
        let plain = [breakpoint(0x21e7 | 0b0110 << 20, ID1)];
        let mut m = matcher(&plain, EL0);
        assert_eq!(m.breakpoint(PC), Some(0));
        m.context.hcr = m.context.hcr.with_e2h(true).with_tge(true);
        assert_eq!(m.breakpoint(PC), None, "EL0 of the host has CONTEXTIDR_EL2");
        let either = [breakpoint(0x21e7 | 0b0010 << 20, 0x5678)];
        m.breakpoints = &either;
        assert_eq!(m.breakpoint(PC), Some(0), "type 001x takes the one in use");
    }

    #[test]
    fn a_link_needs_a_linked_context_in_a_breakpoint_that_can_have_one() {
        let address = breakpoint(0x1e7 | 0b0001 << 20 | 2 << 16, PC);
        let context = breakpoint(0x1e7 | 0b0011 << 20, 0x1234);
        let off = breakpoint(0, 0);
        let good = [address, off, context];
        assert_eq!(matcher(&good, EL1).breakpoint(PC), Some(0));
        assert_eq!(matcher(&good, EL1).breakpoint(PC + 4), None, "the address still counts");
        let cases: &[(&str, [Breakpoint; 3])] = &[
            ("another context", [address, off, breakpoint(0x1e7 | 0b0011 << 20, 0x1235)]),
            ("an unlinked context", [breakpoint(0x1e7 | 0b0001 << 20 | 1 << 16, PC), off, context]),
            ("an address", [address, off, address]),
            ("disabled", [address, off, breakpoint(0x1e6 | 0b0011 << 20, 0x1234)]),
            ("none there", [breakpoint(0x1e7 | 0b0001 << 20 | 9 << 16, PC), off, context]),
        ];
        for (name, breakpoints) in cases {
            assert_eq!(matcher(breakpoints, EL1).breakpoint(PC), None, "{name}");
        }
        let mut m = matcher(&good, EL1);
        m.unit.context_aware = 0;
        assert_eq!(m.breakpoint(PC), None, "not context-aware");
    }

    const fn load(address: u64, bytes: u64) -> DataAccess {
        DataAccess { address, bytes, is_load: true, is_store: false, is_unprivileged: false, pc: PC }
    }

    #[test]
    fn a_watchpoint_matches_the_bytes_it_selects() {
        const W: u64 = 0x1000;
        const ALL: u64 = 0x1fff & !0x18 | 0x8; // E, PAC 11, loads, BAS ff
        // Control, value, access, the address it reports.
        let cases: &[(&str, u64, u64, DataAccess, Option<u64>)] = &[
            ("doubleword, first byte", ALL, W, load(W, 1), Some(W)),
            ("doubleword, last byte", ALL, W, load(W + 7, 1), Some(W + 7)),
            ("before", ALL, W, load(W - 1, 1), None),
            ("behind", ALL, W, load(W + 8, 1), None),
            ("reaching into it", ALL, W, load(W - 4, 8), Some(W)),
            ("all around it", ALL, W, load(W - 16, 64), Some(W)),
            ("byte 2 only: hit", 0xf | 4 << 5, W, load(W + 2, 1), Some(W + 2)),
            ("byte 2 only: beside", 0xf | 4 << 5, W, load(W + 3, 1), None),
            ("byte 2 only: within", 0xf | 4 << 5, W, load(W, 4), Some(W + 2)),
            ("word at 4: BAS [3:0]", 0xf | 0xf << 5, W + 4, load(W + 4, 4), Some(W + 4)),
            ("word at 4: BAS [7:4] do not exist", 0xf | 0xf0 << 5, W + 4, load(W, 16), None),
            ("masked: first", ALL | 12 << 24, W, load(W, 8), Some(W)),
            ("masked: last", ALL | 12 << 24, W, load(W + 0xfff, 1), Some(W + 0xfff)),
            ("masked: beyond", ALL | 12 << 24, W, load(W + 0x1000, 1), None),
            ("masked: reaching into it", ALL | 12 << 24, W, load(W - 4, 8), Some(W)),
            ("masked: all around it", ALL | 3 << 24, W, load(W - 8, 64), Some(W)),
            ("mask 2 is reserved", ALL | 2 << 24, W, load(W + 8, 1), None),
            ("no byte selected", 0xf, W, load(W, 8), None),
            ("no byte accessed", ALL, W, load(W, 0), None),
            ("a tag does not count", ALL, W, load(W | 0xab << 56, 1), Some(W | 0xab << 56)),
        ];
        for (name, control, value, access, want) in cases {
            let watched = [Watched { control: DbgwcrEl1::from_bits(*control), value: *value }];
            let got = matcher(&[], EL1).watchpoint(&watched, *access);
            assert_eq!(got, want.map(|address| (0, address)), "{name}");
        }
    }

    #[test]
    fn loads_stores_and_privilege_are_told_apart() {
        let at = |lsc: u64, pac: u64| {
            [Watched { control: DbgwcrEl1::from_bits(1 | pac << 1 | lsc << 3 | 0xff << 5), value: 0x1000 }]
        };
        let store = DataAccess { is_load: false, is_store: true, ..load(0x1000, 8) };
        let both = DataAccess { is_store: true, ..load(0x1000, 8) };
        let user = DataAccess { is_unprivileged: true, ..load(0x1000, 8) };
        let hits = |lsc, pac, access| matcher(&[], EL1).watchpoint(&at(lsc, pac), access).is_some();
        assert!(hits(1, 3, load(0x1000, 8)) && !hits(2, 3, load(0x1000, 8)) && !hits(0, 3, load(0x1000, 8)));
        assert!(hits(2, 3, store) && !hits(1, 3, store) && hits(3, 3, store));
        assert!(hits(1, 3, both) && hits(2, 3, both));
        assert!(hits(1, 2, user) && !hits(1, 1, user), "LDTR counts as EL0");
        assert!(!hits(1, 2, load(0x1000, 8)) && hits(1, 1, load(0x1000, 8)));
    }

    #[test]
    fn a_linked_watchpoint_needs_its_context() {
        let context = [breakpoint(0x1e7 | 0b0011 << 20, 0x1234)];
        let watched = [Watched { control: DbgwcrEl1::from_bits(0xf | 0xff << 5 | 1 << 20), value: 0x1000 }];
        let mut m = matcher(&context, EL1);
        assert_eq!(m.watchpoint(&watched, load(0x1000, 8)), Some((0, 0x1000)));
        m.context.contextidr_el1 = 0;
        assert_eq!(m.watchpoint(&watched, load(0x1000, 8)), None);
        m.pstate = EL2;
        assert_eq!(m.watchpoint(&watched, load(0x1000, 8)), None, "EL2 needs KDE at EL2 and HMC");
    }
}
