//! PSTATE as a whole: the registers that show it, exception entry and return.

use super::identification;
use crate::state::{Flags, Mode, SP, State};
use arm_arch::debug::{DebugControls, Security, StepState};
use arm_arch::exception::{self, Cause, Entered, EntryState, Kind, ReturnState};
use arm_arch::sysreg::{HcrEl2, MdcrEl2, MdscrEl1, OslsrEl1, SctlrEl1, TcrEl1};
use arm_arch::{EsrEl, ExceptionLevel, PState};

/// Returns the current Exception level. The caller plays EL2: more than 1 cannot be.
#[inline]
pub(crate) const fn el(state: &State) -> ExceptionLevel {
    if state.mode.el == 0 { ExceptionLevel::El0 } else { ExceptionLevel::El1 }
}

/// Returns PSTATE in the format of SPSR.
pub(crate) fn pstate(state: &State) -> PState {
    let mode = &state.mode;
    let el = if mode.el == 0 { 0 } else { 4 };
    let sp = if mode.el != 0 && mode.sp_elx { 1 } else { 0 };
    PState::new()
        .with_m(el | sp)
        .with_daif(mode.daif)
        .with_nzcv(state.flags.nzcv())
        .with_pan(mode.pan)
        .with_uao(mode.uao)
        .with_dit(mode.dit)
        .with_ssbs(mode.ssbs)
        .with_il(mode.il)
        .with_ss(mode.ss)
}

/// Makes a value in the format of SPSR the PSTATE; the stack pointers change places as needed.
pub(crate) fn set_pstate(state: &mut State, new: PState) {
    let elx = new.el() != ExceptionLevel::El0;
    state.flags = Flags::from_nzcv(new.nzcv());
    set_mode(
        state,
        Mode {
            el: if elx { 1 } else { 0 },
            sp_elx: elx && new.m() & 1 == 1,
            daif: new.daif(),
            pan: new.pan(),
            uao: new.uao(),
            dit: new.dit(),
            ssbs: new.ssbs(),
            il: new.il(),
            ss: new.ss(),
        },
    );
}

/// Replaces the mode; the stack pointers change places as needed.
pub(crate) fn set_mode(state: &mut State, new: Mode) {
    let [sp_el0, sp_el1] = &mut state.sp_bank;
    let [current, ..] = state.x.split_at_mut(usize::from(SP)).1 else { return };
    *(if is_banked(&state.mode) { &mut *sp_el1 } else { &mut *sp_el0 }) = *current;
    state.mode = new;
    *current = if is_banked(&state.mode) { *sp_el1 } else { *sp_el0 };
}

/// Whether SP is SP_EL1.
const fn is_banked(mode: &Mode) -> bool {
    mode.el != 0 && mode.sp_elx
}

/// Takes a synchronous exception to EL1 whose preferred return address is `state.pc`.
pub(crate) fn take_exception(state: &mut State, esr: u64, far: Option<u64>) {
    let cause =
        Cause { kind: Kind::Sync, syndrome: Some(EsrEl::from_bits(esr)), far, preferred_return: state.pc };
    enter(state, &cause);
}

/// Takes an exception to EL1.
pub(super) fn enter(state: &mut State, cause: &Cause) {
    let entry = EntryState {
        pstate: pstate(state),
        vbar: state.sys.vbar_el1,
        sctlr: SctlrEl1::from_bits(state.sys.sctlr_el1),
        hcr: HcrEl2::from_bits(state.sys.hcr_el2),
        mask: identification::PSTATE,
    };
    let Entered { target: _, pc, pstate, spsr, elr, esr, far } =
        exception::enter(cause, ExceptionLevel::El1, &entry);
    state.sys.spsr_el1 = spsr.into_bits();
    state.sys.elr_el1 = elr;
    if let Some(esr) = esr {
        state.sys.esr_el1 = esr.into_bits();
    }
    if let Some(far) = far {
        state.sys.far_el1 = far;
    }
    set_pstate(state, pstate);
    state.pc = pc;
}

/// Returns from an exception of EL1: PC and PSTATE, the monitor cleared, the event register set.
pub(super) fn eret(state: &mut State) {
    let back = exception::eret(&ReturnState {
        pstate: pstate(state),
        spsr: PState::from_bits(state.sys.spsr_el1),
        elr: state.sys.elr_el1,
        hcr: HcrEl2::from_bits(state.sys.hcr_el2),
        tcr: TcrEl1::from_bits(state.sys.tcr_el1),
        debug: debug_controls(state),
        mask: identification::PSTATE,
    });
    set_pstate(state, back.pstate);
    state.pc = back.pc;
    state.monitor.open = false;
    state.event = true;
}

/// Returns what decides about debug exceptions.
pub(crate) fn debug_controls(state: &State) -> DebugControls {
    DebugControls {
        mdscr: MdscrEl1::from_bits(state.sys.mdscr_el1),
        os_lock: OslsrEl1::from_bits(state.sys.oslsr_el1).oslk(),
        route_to_el2: MdcrEl2::from_bits(state.sys.mdcr_el2).tde()
            || HcrEl2::from_bits(state.sys.hcr_el2).tge(),
        security: Security::NonSecure,
    }
}

/// Returns where the software step state machine stands: with `ActiveNotPending` the engine executes
/// one instruction and clears `mode.ss`, with `ActivePending` the boundary takes the exception.
pub(crate) fn step_state(state: &State) -> StepState {
    let controls = debug_controls(state);
    if controls.mdscr.ss() { controls.step_state(pstate(state)) } else { StepState::Inactive }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PE at a PSTATE, with a vector base.
    fn at(bits: u64) -> State {
        let mut state = State::reset();
        state.sp_bank = [0x1000, 0x2000];
        set_pstate(&mut state, PState::from_bits(0x3c5));
        state.x[usize::from(SP)] = 0x2000;
        state.sys.vbar_el1 = 0xffff_8000_0801_0800;
        state.sys.oslsr_el1 = 0;
        set_pstate(&mut state, PState::from_bits(bits));
        state
    }

    #[test]
    fn pstate_goes_in_and_comes_out() {
        for bits in [0x0, 0x4, 0x5, 0xf000_03c5, 0x01f0_1000, 0x0020_0000, 0x6000_0085] {
            assert_eq!(pstate(&at(bits)).into_bits(), bits, "{bits:#x}");
        }
    }

    #[test]
    fn each_level_has_its_stack_pointer() {
        let mut state = at(0x0);
        assert_eq!((state.x[32], state.sp_bank[1]), (0x1000, 0x2000));
        state.x[32] = 0x1010;
        set_pstate(&mut state, PState::from_bits(0x5));
        assert_eq!((state.x[32], state.sp_bank[0]), (0x2000, 0x1010));
        set_pstate(&mut state, PState::from_bits(0x4));
        assert_eq!(state.x[32], 0x1010, "EL1t uses SP_EL0");
    }

    #[test]
    fn svc_from_el0_arrives_at_the_vector_and_eret_goes_back() {
        let mut state = at(0x8000_0000);
        state.pc = 0x40_1004;
        take_exception(&mut state, 0x5600_0007, None);
        assert_eq!(state.pc, 0xffff_8000_0801_0c00);
        assert_eq!(
            (state.sys.elr_el1, state.sys.spsr_el1, state.sys.esr_el1),
            (0x40_1004, 0x8000_0000, 0x5600_0007)
        );
        assert_eq!(pstate(&state).into_bits(), 0x8000_03c5, "SPAN is set after a reset");
        assert_eq!(state.x[32], 0x2000);
        state.monitor.open = true;
        eret(&mut state);
        assert_eq!((state.pc, pstate(&state).into_bits()), (0x40_1004, 0x8000_0000));
        assert_eq!((state.monitor.open, state.event, state.x[32]), (false, true, 0x1000));
    }

    #[test]
    fn entry_sets_pan_where_span_is_clear() {
        let mut state = at(0x0);
        state.sys.sctlr_el1 &= !(1 << 23);
        take_exception(&mut state, 0x5600_0000, None);
        assert!(state.mode.pan);
    }

    #[test]
    fn a_return_to_el2_is_illegal() {
        let mut state = at(0x3c5);
        state.sys.spsr_el1 = 0x3c9;
        state.sys.elr_el1 = 0x8000;
        eret(&mut state);
        assert_eq!((state.pc, state.mode.el, state.mode.il), (0x8000, 1, true));
    }

    #[test]
    fn stepping_follows_mdscr_and_the_os_lock() {
        let mut state = at(0x0);
        assert_eq!(step_state(&state), StepState::Inactive);
        state.sys.mdscr_el1 = 1;
        assert_eq!(step_state(&state), StepState::ActivePending);
        state.mode.ss = true;
        assert_eq!(step_state(&state), StepState::ActiveNotPending);
        state.sys.oslsr_el1 = 2;
        assert_eq!(step_state(&state), StepState::Inactive);
    }
}
