//! A guest side that lets nobody into the guest.

use xarch_abi::{
    CompletionError, DeviceAnswer, Exit, Guest, Next, Platform, RegId, RegisterError, Registers, StopReason,
    Token,
};

/// Every run ends with [`StopReason::Host`], unless a request to leave ends it first.
#[derive(Debug)]
pub struct NeverIn;

impl Guest for NeverIn {
    fn before_entry<R: Registers, P: Platform>(&mut self, _: &mut R, _: &P) -> Next {
        Next::Stop(StopReason::Host)
    }

    fn on_exit<R: Registers, P: Platform>(&mut self, _: &mut R, _: &P, _: Exit) -> Next {
        Next::Stop(StopReason::Host)
    }

    fn before_observe<R: Registers>(&mut self, _: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }

    fn complete<R: Registers>(
        &mut self,
        _: &mut R,
        token: Token,
        _: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        Err(CompletionError::NotWaiting(token))
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        registers.read(id)
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        registers.write(id, value)
    }

    fn reset<R: Registers>(&mut self, _: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }
}
