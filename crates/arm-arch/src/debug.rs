//! Self-hosted debug: when debug exceptions are generated, and the software step state machine.
//!
//! Arm ARM, AArch64.GenerateDebugExceptions, "Software Step state machine"; which breakpoint or watchpoint matches is
//! [`Matcher`]'s.

mod matching;
mod registers;

pub use crate::sysreg::MdcrEl3;
pub use matching::{Breakpoint, Context, DataAccess, DebugUnit, Matcher, Watched};
pub use registers::{DbgbcrEl1, DbgbvrContext, DbgwcrEl1};

use crate::el::ExceptionLevel;
use crate::pstate::PState;
use crate::sysreg::{MdscrEl1, ScrEl3};

/// The Security state below EL3, as far as debug depends on it. Realm state is not modelled. Arm ARM, "Security state".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Security {
    /// Non-secure.
    #[default]
    NonSecure,
    /// Secure, and it may be debugged.
    Secure,
    /// Secure, and MDCR_EL3.SDD is 1: no debug exception is generated below EL3.
    SecureClosed,
}

impl Security {
    /// Returns the state that EL3 has chosen. Arm ARM, SCR_EL3.NS, MDCR_EL3.SDD.
    #[must_use]
    pub const fn below(scr: ScrEl3, mdcr: MdcrEl3) -> Self {
        match (scr.ns(), mdcr.sdd()) {
            (true, _) => Self::NonSecure,
            (false, false) => Self::Secure,
            (false, true) => Self::SecureClosed,
        }
    }
}

/// What decides whether a debug exception can be generated. Arm ARM, "Enabling debug exceptions".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DebugControls {
    /// `MDSCR_EL1`.
    pub mdscr: MdscrEl1,
    /// `OSLSR_EL1.OSLK`: while the OS lock is set no debug exception is generated.
    pub os_lock: bool,
    /// `MDCR_EL2.TDE` or `HCR_EL2.TGE`, where there is an EL2: debug exceptions go there.
    pub route_to_el2: bool,
    /// The Security state, with what MDCR_EL3 says about debugging it.
    pub security: Security,
}

impl DebugControls {
    /// Nothing is enabled and the OS Lock is locked, as after a reset. Arm ARM, MDSCR_EL1, OSLSR_EL1.OSLK.
    pub const OFF: Self =
        Self { mdscr: MdscrEl1::new(), os_lock: true, route_to_el2: false, security: Security::NonSecure };

    /// Returns the level that takes debug exceptions. Arm ARM, DebugTarget.
    #[must_use]
    pub const fn target(self) -> ExceptionLevel {
        if self.route_to_el2 { ExceptionLevel::El2 } else { ExceptionLevel::El1 }
    }

    /// Whether debug exceptions are generated from a level, with PSTATE.D as in `pstate`.
    /// Arm ARM, AArch64.GenerateDebugExceptionsFrom.
    #[must_use]
    pub fn generates_from(self, el: ExceptionLevel, pstate: PState) -> bool {
        if self.os_lock || matches!(self.security, Security::SecureClosed) {
            return false;
        }
        let target = self.target();
        if el == target { self.mdscr.kde() && !pstate.d() } else { el < target }
    }

    /// Returns where the step state machine stands. Arm ARM, "Software Step state machine".
    #[must_use]
    pub fn step_state(self, pstate: PState) -> StepState {
        if !self.mdscr.ss() || !self.generates_from(pstate.el(), pstate) {
            StepState::Inactive
        } else if pstate.ss() {
            StepState::ActiveNotPending
        } else {
            StepState::ActivePending
        }
    }

    /// Returns PSTATE.SS after an exception return from `pstate` to `target` with `spsr`: the saved bit, if stepping
    /// is enabled there and was not here. Arm ARM, DebugExceptionReturnSS.
    #[must_use]
    pub fn return_ss(self, pstate: PState, target: ExceptionLevel, spsr: PState) -> bool {
        let stepping =
            self.mdscr.ss() && !self.generates_from(pstate.el(), pstate) && self.generates_from(target, spsr);
        stepping && spsr.ss()
    }
}

/// The state of software step. Arm ARM, "Software Step state machine".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepState {
    /// Instructions execute as usual.
    Inactive,
    /// One instruction executes, then PSTATE.SS becomes 0.
    ActiveNotPending,
    /// A software step exception is taken before the next instruction.
    ActivePending,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EL0: PState = PState::from_bits(0x0);
    const EL1: PState = PState::from_bits(0x5);
    const EL1_MASKED: PState = PState::from_bits(0x205);
    const SS: u64 = 1 << 21;

    fn controls(mdscr: u64) -> DebugControls {
        DebugControls { mdscr: MdscrEl1::from_bits(mdscr), os_lock: false, ..DebugControls::OFF }
    }

    #[test]
    fn debug_exceptions_within_el1_need_kde_and_d_clear() {
        const CASES: &[(&str, u64, PState, bool)] = &[
            ("EL0, nothing else needed", 0, EL0, true),
            ("EL1 without KDE", 0, EL1, false),
            ("EL1 with KDE", 0x2000, EL1, true),
            ("EL1 with KDE, D set", 0x2000, EL1_MASKED, false),
        ];
        for (name, mdscr, pstate, want) in CASES {
            assert_eq!(controls(*mdscr).generates_from(pstate.el(), *pstate), *want, "{name}");
        }
        let locked = DebugControls { os_lock: true, ..controls(0x2000) };
        assert!(!locked.generates_from(ExceptionLevel::El0, EL0), "OS lock");
        let routed = DebugControls { route_to_el2: true, ..controls(0) };
        assert!(routed.generates_from(ExceptionLevel::El1, EL1_MASKED), "EL1 is below EL2");
    }

    #[test]
    fn secure_state_is_debugged_unless_mdcr_el3_sdd_says_no() {
        const SDD: u64 = 1 << 16;
        // SCR_EL3, MDCR_EL3, the state, whether EL0 and EL1 generate debug exceptions with KDE.
        const CASES: &[(u64, u64, Security, bool)] = &[
            (1, 0, Security::NonSecure, true),
            (1, SDD, Security::NonSecure, true),
            (0, 0, Security::Secure, true),
            (0, SDD, Security::SecureClosed, false),
        ];
        for (scr, mdcr, want, generates) in CASES {
            let security = Security::below(ScrEl3::from_bits(*scr), MdcrEl3::from_bits(*mdcr));
            assert_eq!(security, *want, "SCR {scr:#x}, MDCR {mdcr:#x}");
            let controls = DebugControls { security, ..controls(0x2001) };
            for pstate in [EL0, EL1] {
                assert_eq!(
                    controls.generates_from(pstate.el(), pstate),
                    *generates,
                    "{security:?} {pstate:?}"
                );
                assert_eq!(controls.step_state(pstate) != StepState::Inactive, *generates, "{security:?}");
            }
            let el3 = PState::from_bits(0xd);
            assert!(!controls.generates_from(el3.el(), el3), "{security:?}: never from EL3");
            let armed = controls.return_ss(el3, ExceptionLevel::El0, PState::from_bits(SS));
            assert_eq!(armed, *generates, "{security:?}: a return from EL3");
        }
    }

    #[test]
    fn the_step_state_follows_ss() {
        assert_eq!(controls(0).step_state(EL0), StepState::Inactive);
        assert_eq!(controls(1).step_state(EL0), StepState::ActivePending);
        assert_eq!(controls(1).step_state(PState::from_bits(SS)), StepState::ActiveNotPending);
        assert_eq!(controls(1).step_state(EL1), StepState::Inactive);
    }

    #[test]
    fn a_return_arms_the_step_only_where_stepping_begins() {
        let el0_ss = PState::from_bits(SS);
        assert!(controls(1).return_ss(EL1_MASKED, ExceptionLevel::El0, el0_ss));
        assert!(!controls(0).return_ss(EL1_MASKED, ExceptionLevel::El0, el0_ss), "MDSCR.SS = 0");
        assert!(!controls(1).return_ss(EL1_MASKED, ExceptionLevel::El0, EL0), "SPSR.SS = 0");
        let within = controls(0x2001);
        assert!(!within.return_ss(EL1, ExceptionLevel::El0, el0_ss), "already stepping at EL1");
        assert!(within.return_ss(EL1_MASKED, ExceptionLevel::El1, PState::from_bits(SS | 5)));
    }
}
