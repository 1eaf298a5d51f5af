//! Debug exceptions that depend on addresses, and what software step has to remember.
//!
//! Whether a breakpoint or watchpoint matches is [`Matcher`]'s question; here is when it is asked. Nothing is asked,
//! and nothing costs anything, unless `MDSCR_EL1.MDE` is set, debug exceptions can be generated from where the
//! element is, and one is enabled. Then, with breakpoints, blocks are run one at a time, and in a page that one may
//! lie in instructions; with watchpoints, no access is answered by the maps of the context, so that each comes by
//! [`Pe::watched`].

use crate::abort::{Abort, Cause as AbortCause};
use crate::pe::Pe;
use crate::state::State;
use crate::system::{debug_controls, debug_target, pstate};
use arm_arch::bits::field;
use arm_arch::debug::{
    Breakpoint, Context, DataAccess, DbgbcrEl1, DbgwcrEl1, DebugUnit, Matcher, StepState, Watched,
};
use arm_arch::exception::Cause;
use arm_arch::iss::{Origin, StepExclusive, Watchpoint};
use arm_arch::sysreg::{HcrEl2, MdscrEl1};
use arm_arch::{EsrEl, ExceptionLevel};
use mmu_xlate::vmsa::{Access, AccessKind, Privilege};

/// What is announced: one context-aware breakpoint (`ID_AA64DFR0_EL1.CTX_CMPs`), addresses of 48 bits, no EL2, no EL3.
const UNIT: DebugUnit = DebugUnit {
    context_aware: 1,
    ranges: false,
    linked_addresses: false,
    el2_contexts: true,
    aarch32_el0: false,
    address_top: 48,
    has_el2: false,
    has_el3: false,
    secure_el2: false,
};

/// Which debug exceptions may come in the current context, and the last step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Debugging {
    /// Breakpoints are to be looked for.
    pub(crate) breaking: bool,
    /// Watchpoints are to be looked for.
    pub(crate) watching: bool,
    /// The instruction stepped last, until its exception is taken.
    stepped: StepExclusive,
}

impl Debugging {
    pub(crate) const fn new() -> Self {
        Self { breaking: false, watching: false, stepped: StepExclusive::Unknown }
    }

    /// Follows the registers and PSTATE.
    #[inline]
    pub(crate) fn follow(&mut self, state: &State) {
        (self.breaking, self.watching) =
            if MdscrEl1::from_bits(state.sys.mdscr_el1).mde() { enabled(state) } else { (false, false) };
    }

    /// Notes what was stepped, if the exception for it is next.
    pub(crate) fn note_step(&mut self, state: &State, word: Option<u32>) {
        let is_next = crate::system::step_state(state) == StepState::ActivePending;
        self.stepped = match word {
            Some(word) if is_next && is_load_exclusive(word) => StepExclusive::Yes,
            Some(_) if is_next => StepExclusive::No,
            Some(_) | None => StepExclusive::Unknown,
        };
    }

    /// Keeps what was stepped, if the exception for it is still next.
    pub(crate) fn keep_step(&mut self, state: &State, stepped: StepExclusive) {
        if crate::system::step_state(state) == StepState::ActivePending {
            self.stepped = stepped;
        }
    }

    /// Returns what was stepped, once.
    pub(crate) fn take_step(&mut self) -> StepExclusive {
        core::mem::replace(&mut self.stepped, StepExclusive::Unknown)
    }
}

/// Whether breakpoints, and whether watchpoints, can generate exceptions here: DBGBCR.E, DBGWCR.E.
#[cold]
fn enabled(state: &State) -> (bool, bool) {
    let pstate = pstate(state);
    let on = debug_controls(state).generates_from(pstate.el(), pstate);
    let breaking = state.sys.dbgbcr_el1.into_iter().any(|control| DbgbcrEl1::from_bits(control).e());
    let watching = state.sys.dbgwcr_el1.into_iter().any(|control| DbgwcrEl1::from_bits(control).e());
    (on && breaking, on && watching)
}

/// LDXR, LDAXR, LDXP, LDAXP. Arm ARM, "Load/store exclusive register", "Load/store exclusive pair".
fn is_load_exclusive(word: u32) -> bool {
    let word = u64::from(word);
    let is_exclusive = field(word, 29, 24) == 0b00_1000 && field(word, 23, 22) == 0b01;
    // With bit 21 it is a pair, which has 32 or 64 bits; CASP has its place for the smaller sizes.
    is_exclusive && (field(word, 21, 21) == 0 || field(word, 31, 31) == 1)
}

/// A breakpoint may match in the page of `state.pc`. Seldom asked: what it keeps on the stack is not below all else.
#[cold]
#[inline(never)]
pub(crate) fn is_near(state: &State) -> bool {
    let values = state.sys.dbgbcr_el1.into_iter().zip(state.sys.dbgbvr_el1);
    values.into_iter().any(|(control, value)| {
        let control = DbgbcrEl1::from_bits(control);
        // BT 000x is an address. A masked one, a mismatch or a context may be anywhere.
        let is_address = control.bt() & 0b1110 == 0 && control.mask() == 0;
        control.e() && (!is_address || field(value ^ state.pc, UNIT.address_top, 12) == 0)
    })
}

/// Asks with the registers of the element.
fn with_matcher<T>(state: &State, ask: impl FnOnce(&Matcher<'_>) -> T) -> T {
    let [c0, c1] = state.sys.dbgbcr_el1.map(DbgbcrEl1::from_bits);
    let [v0, v1] = state.sys.dbgbvr_el1;
    let breakpoints = [Breakpoint { control: c0, value: v0 }, Breakpoint { control: c1, value: v1 }];
    ask(&Matcher {
        unit: UNIT,
        controls: debug_controls(state),
        pstate: pstate(state),
        context: Context {
            contextidr_el1: arm_arch::bits::trunc32(state.sys.contextidr_el1),
            contextidr_el2: 0,
            vmid: 0,
            vmid16: false,
            // No EL2 that the guest could use.
            hcr: HcrEl2::new(),
        },
        breakpoints: &breakpoints,
    })
}

/// From the current level to where debug exceptions go.
fn origin(state: &State) -> Origin {
    Origin::of(pstate(state).el(), debug_target(state))
}

/// Returns the ESR of the breakpoint exception that comes before the instruction at `state.pc`, if one does.
#[cold]
#[inline(never)]
pub(crate) fn breakpoint(state: &State) -> Option<u64> {
    with_matcher(state, |matcher| matcher.breakpoint(state.pc))?;
    Cause::breakpoint(origin(state), state.pc).syndrome.map(EsrEl::into_bits)
}

/// Returns the watchpoint exception that an access generates, if it does: the first byte watched and ESR.
/// What is not a load or a store generates none, except DC IVAC, which counts as a store.
/// Arm ARM, "Watchpoint exceptions".
fn watchpoint(state: &State, va: u64, bytes: usize, access: Access) -> Option<(u64, u64)> {
    let (is_load, is_store, cm) = match access.kind {
        AccessKind::Read => (true, false, false),
        AccessKind::Write => (false, true, false),
        AccessKind::Atomic => (true, true, false),
        AccessKind::Invalidate => (false, true, true),
        AccessKind::Fetch
        | AccessKind::Clean
        | AccessKind::CleanInvalidate
        | AccessKind::AtRead
        | AccessKind::AtWrite
        | AccessKind::AtAddress
        | AccessKind::GcsRead
        | AccessKind::GcsWrite => return None,
    };
    let controls = state.sys.dbgwcr_el1.into_iter().zip(state.sys.dbgwvr_el1);
    let mut watched = [Watched::default(); 2];
    for (slot, (control, value)) in watched.iter_mut().zip(controls) {
        *slot = Watched { control: DbgwcrEl1::from_bits(control), value };
    }
    let is_unprivileged =
        access.privilege == Privilege::Unprivileged && pstate(state).el() != ExceptionLevel::El0;
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let access = DataAccess { address: va, bytes, is_load, is_store, is_unprivileged, pc: state.pc };
    let (far, reads) = with_matcher(state, |matcher| {
        let (_, far) = matcher.watchpoint(&watched, access)?;
        let reads =
            is_load && matcher.watchpoint(&watched, DataAccess { is_store: false, ..access }).is_some();
        Some((far, reads))
    })?;
    // Of an atomic WnR is 0 where a read alone would have matched. Arm ARM, ESR_EL1, WnR of a watchpoint.
    let iss = Watchpoint::new().with_wnr(!reads).with_cm(cm);
    let esr = Cause::watchpoint(origin(state), iss, far, state.pc).syndrome.map_or(0, EsrEl::into_bits);
    Some((far, esr))
}

impl Pe<'_> {
    /// Looks for a watchpoint, for an access that nothing else refuses: faults of translation come first.
    /// Arm ARM, "Prioritization of Synchronous exceptions taken to AArch64 state".
    ///
    /// CHOICE: of an access in several parts (pairs, structures, vectors) those before the one that is watched have
    /// happened. The exception is taken to where the instruction begins again.
    #[inline]
    pub(crate) fn watched(&self, va: u64, bytes: usize, access: Access) -> Result<(), Abort> {
        if self.debugging.watching { self.look_for_watchpoint(va, bytes, access) } else { Ok(()) }
    }

    #[cold]
    fn look_for_watchpoint(&self, va: u64, bytes: usize, access: Access) -> Result<(), Abort> {
        match watchpoint(&self.state, va, bytes, access) {
            Some((va, esr)) => Err(Abort { va, access, cause: AbortCause::Debug(esr) }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODEL;

    #[test]
    fn the_unit_is_the_one_that_is_announced() {
        let features = MODEL.features();
        assert_eq!((features.breakpoints(), features.watchpoints()), (2, 2));
        assert_eq!(UNIT.context_aware, usize::from(MODEL.ids().dfr0().ctx_cmps()) + 1);
        assert_eq!((MODEL.ids().pfr0().el2(), MODEL.ids().pfr0().el3()), (0, 0));
        assert_eq!((UNIT.has_el2, UNIT.has_el3, UNIT.ranges), (false, false, false));
    }

    #[test]
    fn load_exclusives_are_told_by_their_words() {
        // As an assembler writes them.
        for (name, word, want) in [
            ("ldxr w0, [x1]", 0x885f_7c20, true),
            ("ldxr x0, [x1]", 0xc85f_7c20, true),
            ("ldaxrb w0, [x1]", 0x085f_fc20, true),
            ("ldxp x0, x2, [x1]", 0xc87f_0820, true),
            ("ldaxp w0, w2, [x1]", 0x887f_8820, true),
            ("stxr w2, x0, [x1]", 0xc802_7c20, false),
            ("ldar x0, [x1]", 0xc8df_fc20, false),
            ("stlr x0, [x1]", 0xc89f_fc20, false),
            ("cas x0, x2, [x1]", 0xc8a0_7c22, false),
            ("casp x0, x1, x2, x3, [x4]", 0x4820_7c82, false),
            ("caspa x0, x1, x2, x3, [x4]", 0x4860_7c82, false),
            ("ldr x0, [x1]", 0xf940_0020, false),
            ("nop", 0xd503_201f, false),
        ] {
            assert_eq!(is_load_exclusive(word), want, "{name}");
        }
    }
}
