//! What becomes of the reasons for which the executor stops.

use super::{Exit, FETCH, Pe};
use crate::abort::{Abort, Cause};
use crate::exec::Stop;
use crate::flow::{Flow, FpTrap};
use crate::{syndrome, system};
use arm_arch::ExceptionLevel;

impl Pe<'_> {
    /// Deals with what the executor stopped for. `Ok` says whether masks, translations or anything
    /// else that decides what comes next may have changed.
    // Its stack need not be there while the guest runs.
    #[inline(never)]
    pub(super) fn settle(&mut self, stop: Stop, alone: bool) -> Result<bool, Exit> {
        match stop {
            Stop::Boundary | Stop::Indirect => Ok(false),
            Stop::Unlinked(at) => {
                self.state.pc = self.store.destination(at as u32);
                if !alone {
                    self.link = Some(at);
                }
                Ok(false)
            }
            Stop::Abort(at) => {
                self.rewind(at);
                // It looked a translation up, too; the block's count is only taken where the block ends well.
                self.statistics.accesses = self.statistics.accesses.wrapping_add(1);
                match self.abort.take() {
                    Some(abort) => self.report(abort).map_or(Ok(true), Err),
                    None => Ok(true),
                }
            }
            Stop::SpAlignment(at) => {
                self.rewind(at);
                self.exception(syndrome::SP_ALIGNMENT, None);
                Ok(true)
            }
            Stop::FpTrap(at) => {
                self.rewind(at);
                match system::fp_trap(&self.state) {
                    Some((FpTrap::El1, esr)) => self.exception(esr, None),
                    Some((FpTrap::El2, esr)) => return Err(Exit::Trap { esr, far: 0 }),
                    // The context was made of the same registers.
                    None => {}
                }
                Ok(true)
            }
            Stop::Undefined(at) => {
                self.rewind(at);
                self.exception(syndrome::UNDEFINED, None);
                Ok(true)
            }
            Stop::System(flow) => self.follow(flow),
        }
    }

    /// Does what a system instruction asks for; it has been counted.
    fn follow(&mut self, flow: Flow) -> Result<bool, Exit> {
        match flow {
            Flow::Next | Flow::Context => self.state.pc = self.state.pc.wrapping_add(4),
            Flow::Timers => {
                self.state.pc = self.state.pc.wrapping_add(4);
                self.until_timers = 0;
            }
            Flow::Jump => {}
            Flow::Undefined => self.exception(syndrome::UNDEFINED, None),
            Flow::Exception(esr) => self.exception(esr, None),
            Flow::Trap(esr, far) => return Err(Exit::Trap { esr, far }),
            Flow::Abort(abort) => {
                if let Some(exit) = self.report(abort) {
                    return Err(exit);
                }
            }
        }
        Ok(true)
    }

    pub(super) fn exception(&mut self, esr: u64, far: Option<u64>) {
        system::take_exception(&mut self.state, esr, far);
    }

    /// Takes a debug exception to EL1, or says what it is to EL2.
    pub(super) fn debug_exception(&mut self, esr: u64, far: Option<u64>) -> Option<Exit> {
        match system::debug_target(&self.state) {
            ExceptionLevel::El2 | ExceptionLevel::El3 => Some(Exit::Trap { esr, far: far.unwrap_or(0) }),
            ExceptionLevel::El0 | ExceptionLevel::El1 => {
                self.exception(esr, far);
                None
            }
        }
    }

    /// Takes the exception of an abort to EL1, or says what it is to EL2. `state.pc` is the instruction.
    pub(super) fn report(&mut self, abort: Abort) -> Option<Exit> {
        let el0 = self.state.mode.el == 0;
        match abort.cause {
            Cause::Stage1(fault) => {
                let esr = syndrome::stage1(&abort, &fault, el0);
                self.exception(esr, Some(abort.va));
                None
            }
            Cause::Debug(esr) => self.debug_exception(esr, Some(abort.va)),
            // The instruction did not happen, and is tried again after a look at what others want.
            Cause::Changing => None,
            Cause::Stage2 { ipa, walk_level } => {
                let word = (!abort.access.is_fetch() && walk_level.is_none())
                    .then(|| self.faulting_word())
                    .flatten();
                let esr = syndrome::stage2(&abort, word, walk_level.is_some());
                Some(Exit::Stage2 { esr, far: abort.va, ipa, level: walk_level })
            }
        }
    }

    /// The instruction at `state.pc`, if its page is still known.
    pub(super) fn faulting_word(&self) -> Option<u32> {
        let pc = self.state.pc;
        let (page, _) = self.maps[FETCH + usize::from(self.state.mode.el == 0)].page(pc)?;
        Some(page.load32((pc & 0xfff) as usize))
    }

    /// Sets `state.pc` to the instruction of an operation that did not happen, and counts those of
    /// its block that did.
    fn rewind(&mut self, at: usize) {
        let pc = self.store.address(at);
        let done = pc.wrapping_sub(self.store.head(at)) >> 2;
        self.statistics.instructions = self.statistics.instructions.wrapping_add(done);
        self.state.pc = pc;
    }
}
