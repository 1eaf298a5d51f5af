//! The guest side: what an exit means.

use crate::exit::{DeviceAnswer, Exit, Next, Token};
use crate::platform::Platform;
use crate::reg::{RegId, RegisterError, Registers};

/// A device answer did not fit what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompletionError {
    /// No access with this token is waiting.
    NotWaiting(Token),
    /// A read was answered without a value, or a write with one.
    Mismatch(Token),
    /// The register that takes the value could not be written.
    Register(RegisterError),
}

impl core::fmt::Display for CompletionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotWaiting(token) => write!(f, "no device access with token {} is waiting", token.0),
            Self::Mismatch(token) => {
                write!(f, "the answer to device access {} is of the wrong kind", token.0)
            }
            Self::Register(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for CompletionError {}

/// One vCPU of a guest architecture.
///
/// Every architectural effect is decided here: the back end reports what the hardware said and
/// carries register values. Calls for one vCPU come from one thread at a time. No call is made
/// while the caller holds a lock.
pub trait Guest {
    /// Prepares an entry: applies a pending exception or program-counter increment, samples timers,
    /// fills the virtual interrupt interface. The back end calls it before every entry and enters
    /// only on [`Next::Resume`].
    fn before_entry<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P) -> Next;

    /// Decides what an exit means.
    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P, exit: Exit) -> Next;

    /// Makes the registers show what the guest would see: applies what is pending. Called before
    /// the embedder reads or saves state.
    ///
    /// # Errors
    /// [`RegisterError`] from the registers it applies to.
    fn before_observe<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError>;

    /// Takes the answer to a [`Next::Device`].
    ///
    /// # Errors
    /// [`CompletionError`] if nothing waits for it; nothing has changed then.
    fn complete<R: Registers>(
        &mut self,
        registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError>;

    /// Reads a register as the embedder sees it: the guest side's own ones, then the hardware's.
    ///
    /// # Errors
    /// [`RegisterError`] if there is no such register.
    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError>;

    /// Writes a register on behalf of the embedder, within what the guest may be shown.
    ///
    /// # Errors
    /// [`RegisterError`] if there is no such register or it does not take the value.
    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError>;

    /// Puts every register into its reset state.
    ///
    /// # Errors
    /// [`RegisterError`] if the hardware does not have a register that this side relies on.
    fn reset<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError>;
}
