//! Between the engine and `system`: what a system instruction did to the flow of control, and what
//! the engine does for it.
//!
//! What `system` provides (all `pub(crate)`):
//!
//! - `fn execute<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, word: u32) -> Flow`: every encoding with bits
//!   31:22 = 1101010100 (system), exception generation (31:24 = 11010100), ERET and DRPS. `state.pc`
//!   is the instruction's address when it is called.
//! - `fn take_exception(state: &mut State, esr: u64, far: Option<u64>)`: a synchronous exception to EL1
//!   whose preferred return address is `state.pc`.
//! - `fn interrupts(pe: &mut Pe) -> Boundary`: called before the first block of `run` and after each
//!   [`Flow::Context`] and [`Flow::Jump`]; takes a pending and unmasked virtual interrupt. No clock.
//! - `fn timers(pe: &mut Pe, count: u64) -> Option<Timer>`: called at the start of `run`, after
//!   [`Flow::Timers`], and every [`TIMER_BLOCKS`] blocks; returns the timer whose condition rose.
//! - `fn fp_trap(state: &State) -> Option<u64>`: the ESR of the trap that an FP or SIMD instruction takes
//!   in this context, with EC telling EL1 (CPACR_EL1) or EL2 (CPTR_EL2) by [`FpTrap`].

use crate::abort::Abort;
use crate::env::{Environment, Stage2Access, Stage2Page};
use arm_arch::Ipa;
use core::cell::Cell;

/// Blocks between two looks at the timers.
pub(crate) const TIMER_BLOCKS: u32 = 1024;

/// What an instruction outside of the engine's own set did.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) enum Flow {
    /// Done; the next instruction follows, nothing that decoding depends on has changed.
    Next,
    /// Done; the next instruction follows, but translations, masks, pending interrupts or anything
    /// that decoded blocks depend on may have changed.
    Context,
    /// As `Context`, and the condition of a timer may have changed.
    Timers,
    /// Done; `state.pc` was set (exception return).
    Jump,
    /// The instruction is UNDEFINED here.
    Undefined,
    /// An exception to EL1 from this instruction, with this ESR and no FAR. `state.pc` is the preferred
    /// return address (SVC: the next instruction).
    Exception(u64),
    /// An exception to EL2: ESR and FAR. `state.pc` is the preferred return address (HVC: the next
    /// instruction).
    Trap(u64, u64),
    /// An access to memory failed (DC ZVA, IC IVAU).
    Abort(Abort),
}

/// What happens between two blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Boundary {
    /// Nothing, or an exception was taken: go on at `state.pc`.
    Continue,
    /// The virtual CPU interface raises its maintenance interrupt.
    Maintenance,
    /// A software step is for EL2, with this syndrome: nothing was taken.
    Step(u64),
}

/// Where the trap of an FP or SIMD instruction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FpTrap {
    /// To EL1, by CPACR_EL1.FPEN.
    El1,
    /// To EL2, by CPTR_EL2.
    El2,
}

/// The environment without its type of fault, so that the engine is compiled once.
pub(crate) trait Host<'m> {
    /// As [`Environment::stage2`]; the fault is kept aside.
    fn stage2(&self, ipa: Ipa, access: Stage2Access) -> Option<Stage2Page<'m>>;
    /// As [`Environment::counter`].
    fn counter(&self) -> u64;
    /// As [`Environment::relax`].
    fn relax(&self);
}

/// Keeps the last fault of an environment.
pub(crate) struct Keeper<'e, 'm, E: Environment<'m>> {
    pub(crate) env: &'e E,
    pub(crate) fault: Cell<Option<E::Fault>>,
}

impl<'m, E: Environment<'m>> Host<'m> for Keeper<'_, 'm, E> {
    fn stage2(&self, ipa: Ipa, access: Stage2Access) -> Option<Stage2Page<'m>> {
        match self.env.stage2(ipa, access) {
            Ok(page) => Some(page),
            Err(fault) => {
                self.fault.set(Some(fault));
                None
            }
        }
    }

    fn counter(&self) -> u64 {
        self.env.counter()
    }

    fn relax(&self) {
        self.env.relax();
    }
}
