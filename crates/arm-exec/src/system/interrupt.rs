//! What happens between two blocks: interrupts taken, conditions reported.

use super::gate::Derived;
use super::pstate;
use crate::flow::Boundary;
use crate::state::State;
use arm_arch::debug::StepState;
use arm_arch::exception::{Cause, Kind, virtual_interrupt, wakes_from_wfi};
use arm_arch::iss::{Origin, Step, StepExclusive, VsesrEl2};
use arm_arch::sysreg::{HcrEl2, IsrEl1, MdscrEl1};
use arm_arch::{EsrEl, ExceptionLevel, Mode, PState};

/// Takes what is due before the next instruction: a virtual interrupt that is not masked, a software
/// step, the exception of an illegal state, in this order; and tells of the maintenance interrupt
/// when its condition becomes true.
///
/// CHOICE: maintenance is reported once for each time the condition (`ICH_HCR_EL2.En` and
/// `ICH_MISR_EL2` not zero) becomes true, or gains a cause.
pub(super) fn boundary(state: &mut State, derived: &mut Derived, stepped: StepExclusive) -> Boundary {
    let (_, misr) = derived.interface(&state.sys);
    let risen = misr & !state.sys.ich_misr_el2;
    state.sys.ich_misr_el2 = misr;
    let mut step = None;
    if let Some(kind) = deliverable(state, derived) {
        take(state, kind);
    } else if pstate::step_state(state) == StepState::ActivePending {
        step = step_exception(state, stepped);
    } else if state.mode.il {
        pstate::enter(state, &Cause::illegal_state(state.pc));
    }
    match (risen, step) {
        (0, None) => Boundary::Continue,
        (0, Some(esr)) => Boundary::Step(esr),
        _ => Boundary::Maintenance,
    }
}

/// The virtual interrupt that is pending and not masked.
fn deliverable(state: &State, derived: &mut Derived) -> Option<Kind> {
    let hcr = HcrEl2::from_bits(state.sys.hcr_el2);
    let (lines, _) = derived.interface(&state.sys);
    // What does not even end a WFI needs no look at PSTATE.
    if wakes_from_wfi(hcr, lines) { virtual_interrupt(hcr, lines, pstate::pstate(state)) } else { None }
}

/// Whether something is due before the next instruction, or debug exceptions may be from now on: what [`boundary`]
/// would take, or somebody has to look at addresses for.
pub(super) fn is_due(state: &State, derived: &mut Derived) -> bool {
    deliverable(state, derived).is_some()
        || pstate::step_state(state) != StepState::Inactive
        || MdscrEl1::from_bits(state.sys.mdscr_el1).mde()
}

fn take(state: &mut State, kind: Kind) {
    let pc = state.pc;
    let cause = match kind {
        Kind::Irq => Cause::irq(pc),
        Kind::Fiq => Cause::fiq(pc),
        Kind::SError | Kind::Sync => {
            // Taking a virtual SError clears it. Its syndrome is VSESR_EL2's, as with FEAT_RAS; without
            // RAS the architecture leaves it IMPLEMENTATION DEFINED (CHOICE). Arm ARM, HCR_EL2.VSE.
            state.sys.hcr_el2 = HcrEl2::from_bits(state.sys.hcr_el2).with_vse(false).into_bits();
            Cause::virtual_serror(Some(VsesrEl2::from_bits(state.sys.vsesr_el2)), pc)
        }
    };
    pstate::enter(state, &cause);
}

/// Takes a software step exception before the instruction at `state.pc`, or says what it is to EL2 (MDCR_EL2.TDE);
/// `stepped` says whether what was stepped was a load exclusive.
fn step_exception(state: &mut State, stepped: StepExclusive) -> Option<u64> {
    let target = pstate::debug_controls(state).target();
    let cause = Cause::step(Origin::of(pstate::el(state), target), Step::of(stepped), state.pc);
    if target == ExceptionLevel::El1 {
        pstate::enter(state, &cause);
        None
    } else {
        cause.syndrome.map(EsrEl::into_bits)
    }
}

/// Returns `ISR_EL1`: what is pending, masked or not. Arm ARM, ISR_EL1.
pub(super) fn isr(state: &State, derived: &mut Derived) -> u64 {
    let hcr = HcrEl2::from_bits(state.sys.hcr_el2);
    let (lines, _) = derived.interface(&state.sys);
    // Asked with everything but one kind masked, the order among them plays no part.
    let masked = PState::from_bits(PState::DAIF).with_mode(Mode::El1h);
    let pending = |pstate| virtual_interrupt(hcr, lines, pstate).is_some();
    IsrEl1::new()
        .with_f(pending(masked.with_f(false)))
        .with_i(pending(masked.with_i(false)))
        .with_a(pending(masked.with_a(false)))
        .into_bits()
}

/// Whether WFI would wait: no virtual interrupt is pending. Physical ones are the host's, who ends
/// the wait by not asking for a trap, or by running the PE again.
pub(super) fn wfi_waits(state: &State, derived: &mut Derived) -> bool {
    let (lines, _) = derived.interface(&state.sys);
    !wakes_from_wfi(HcrEl2::from_bits(state.sys.hcr_el2), lines)
}

/// Whether an interrupt is pending that the masks let through, which ends a WFE.
pub(super) fn is_deliverable(state: &State, derived: &mut Derived) -> bool {
    deliverable(state, derived).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(state: &mut State) -> Boundary {
        super::boundary(state, &mut Derived::new(), StepExclusive::Unknown)
    }

    /// EL1, nothing masked, interrupts routed to EL2, one Group 1 interrupt pending.
    fn state() -> State {
        let mut state = State::reset();
        state.mode.daif = 0;
        state.pc = 0x8000;
        state.sys.vbar_el1 = 0x1_0000;
        state.sys.hcr_el2 = 0x38;
        state.sys.ich_hcr_el2 = 1;
        state.sys.ich_vmcr_el2 = 0xf04c_000a;
        state.sys.ich_lr_el2[0] = 0x50a0_0000_0000_001b;
        state
    }

    #[test]
    fn a_pending_irq_is_taken_unless_masked() {
        let mut masked = state();
        masked.mode.daif = 0x80;
        assert_eq!(boundary(&mut masked), Boundary::Continue);
        assert_eq!(masked.pc, 0x8000);
        assert_eq!(
            (
                isr(&masked, &mut Derived::new()),
                wfi_waits(&masked, &mut Derived::new()),
                is_deliverable(&masked, &mut Derived::new())
            ),
            (0x80, false, false)
        );
        let mut open = state();
        assert!(is_deliverable(&open, &mut Derived::new()));
        assert_eq!(boundary(&mut open), Boundary::Continue);
        assert_eq!((open.pc, open.sys.elr_el1, open.mode.daif), (0x1_0280, 0x8000, 0x3c0));
        open.sys.ich_lr_el2[0] = 0;
        assert_eq!((isr(&open, &mut Derived::new()), wfi_waits(&open, &mut Derived::new())), (0, true));
    }

    #[test]
    fn isr_shows_every_kind() {
        let mut all = state();
        all.sys.hcr_el2 |= 0x1c0;
        assert_eq!(isr(&all, &mut Derived::new()), 0x1c0);
    }

    #[test]
    fn a_virtual_serror_is_cleared_when_taken() {
        let mut state = state();
        state.sys.ich_lr_el2[0] = 0;
        state.sys.hcr_el2 |= 0x100;
        state.sys.vsesr_el2 = 0x100_0000;
        assert_eq!(boundary(&mut state), Boundary::Continue);
        assert_eq!((state.pc, state.sys.esr_el1, state.sys.hcr_el2), (0x1_0380, 0xbf00_0000, 0x38));
    }

    #[test]
    fn an_illegal_state_is_an_exception() {
        let mut state = state();
        state.sys.ich_lr_el2[0] = 0;
        state.mode.il = true;
        assert_eq!(boundary(&mut state), Boundary::Continue);
        assert_eq!((state.pc, state.sys.esr_el1, state.mode.il), (0x1_0200, 0x3a00_0000, false));
        assert_eq!(state.sys.spsr_el1 & 1 << 20, 1 << 20);
    }

    #[test]
    fn maintenance_is_told_when_its_condition_rises() {
        let mut state = state();
        state.mode.daif = 0x3c0;
        state.sys.ich_hcr_el2 = 3;
        assert_eq!(boundary(&mut state), Boundary::Maintenance, "underflow: one list register in use");
        assert_eq!(boundary(&mut state), Boundary::Continue, "told before");
        state.sys.ich_lr_el2[1] = 0x50a0_0000_0000_001c;
        assert_eq!(boundary(&mut state), Boundary::Continue);
        state.sys.ich_lr_el2[1] = 0;
        assert_eq!(boundary(&mut state), Boundary::Maintenance);
    }

    #[test]
    fn a_step_is_taken_before_the_next_instruction() {
        let mut state = state();
        state.sys.ich_lr_el2[0] = 0;
        state.sys.mdscr_el1 = 1;
        state.mode.el = 0;
        assert_eq!(boundary(&mut state), Boundary::Continue);
        assert_eq!((state.pc, state.sys.esr_el1), (0x1_0400, 0xca00_0022));
    }
}
