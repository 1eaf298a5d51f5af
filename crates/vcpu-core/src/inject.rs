//! What happens to the program counter: an exception taken, or an instruction skipped, never both.

use crate::state::{Shared, Vcpu};
use arm_arch::ExceptionLevel;
use arm_arch::exception::{self, Cause, EntryState};
use arm_arch::fault::FaultStatus;
use arm_arch::iss::{ByteOrder, DataAbort, InstructionAbort, Origin};
use arm_arch::pstate::{PState, PStateMask};
use arm_arch::sysreg::{SctlrEl1, SysRegId, names};
use xarch_abi::{Lock, RegId, RegisterError, Registers};

/// What has to happen to the guest's state before it runs or is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Pending {
    /// Nothing.
    #[default]
    None,
    /// The instruction was done here: go past it.
    Increment,
    /// The instruction takes an exception to EL1.
    Exception(Injection),
}

/// An exception to EL1, without what only the guest's registers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Injection {
    /// The instruction is UNDEFINED.
    Undefined,
    /// Floating point is disabled.
    FpAccess,
    /// A data abort. The fault address is virtual, always.
    Data { status: FaultStatus, iss: DataAbort, far: u64 },
    /// An instruction abort.
    Instruction { status: FaultStatus, far: u64 },
}

impl Injection {
    fn cause(self, from: ExceptionLevel, pc: u64) -> Cause {
        let origin = Origin::of(from, ExceptionLevel::El1);
        match self {
            Self::Undefined => Cause::undefined(pc),
            Self::FpAccess => Cause::fp_access(pc),
            Self::Data { status, iss, far } => {
                let iss = DataAbort::new().with_wnr(iss.wnr()).with_cm(iss.cm()).with_status(status);
                Cause::data_abort(origin, iss, far, pc)
            }
            Self::Instruction { status, far } => {
                Cause::instruction_abort(origin, InstructionAbort::new().with_status(status), far, pc)
            }
        }
    }
}

/// Names a guest system register.
pub(crate) const fn system(id: SysRegId) -> RegId {
    RegId::system(id.into_bits())
}

/// Names a hypervisor control register.
pub(crate) const fn control(id: SysRegId) -> RegId {
    RegId::control(id.into_bits())
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Asks for the program counter to go past the instruction. A pending exception stays: it was taken
    /// instead of the instruction.
    pub(crate) fn skip_instruction(&mut self) {
        if self.pending == Pending::None {
            self.pending = Pending::Increment;
        }
    }

    /// Asks for an exception. The first one stays, and an increment gives way: the exception returns to the
    /// instruction.
    pub(crate) fn inject(&mut self, injection: Injection) {
        match self.pending {
            Pending::None | Pending::Increment => self.pending = Pending::Exception(injection),
            Pending::Exception(_) => {}
        }
    }

    /// Goes past an instruction that was done; whether nothing is left to apply then.
    #[inline]
    pub(crate) fn is_past<R: Registers>(&mut self, registers: &mut R) -> bool {
        match self.pending {
            Pending::None => true,
            // What could not be written is tried again, and then reported.
            Pending::Increment if increment(registers).is_ok() => {
                self.pending = Pending::None;
                true
            }
            Pending::Increment | Pending::Exception(_) => false,
        }
    }

    /// Applies what is pending, once. The only place that moves the guest's program counter.
    pub(crate) fn apply<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        match self.pending {
            Pending::None => return Ok(()),
            Pending::Increment => increment(registers)?,
            Pending::Exception(injection) => {
                enter(registers, injection, self.told.features.pstate_mask())?;
            }
        }
        self.pending = Pending::None;
        Ok(())
    }
}

/// Goes past an instruction as if it had been executed: BTYPE and SS are cleared. The last that is written is the program
/// counter, so that it can be done again where something fails. Two places have it, and one is in every loop.
#[inline(always)]
fn increment<R: Registers>(registers: &mut R) -> Result<(), RegisterError> {
    let pc = registers.read(RegId::PC)?;
    let status = PState::from_bits(registers.read(RegId::STATUS)?);
    let after = status.with_btype(0).with_btype2(false).with_ss(false);
    if after != status {
        registers.write(RegId::STATUS, after.into_bits())?;
    }
    registers.write(RegId::PC, pc.wrapping_add(4))
}

fn enter<R: Registers>(
    registers: &mut R,
    injection: Injection,
    mask: PStateMask,
) -> Result<(), RegisterError> {
    let pc = registers.read(RegId::PC)?;
    let state = EntryState {
        pstate: PState::from_bits(registers.read(RegId::STATUS)?),
        vbar: registers.read(system(names::VBAR_EL1))?,
        sctlr: SctlrEl1::from_bits(registers.read(system(names::SCTLR_EL1))?),
        hcr: crate::sysreg::HCR,
        mask,
    };
    let cause = injection.cause(state.pstate.el(), pc);
    let entered = exception::enter(&cause, ExceptionLevel::El1, &state);
    registers.write(system(names::ELR_EL1), entered.elr)?;
    registers.write(system(names::SPSR_EL1), entered.spsr.into_bits())?;
    if let Some(esr) = entered.esr {
        registers.write(system(names::ESR_EL1), esr.into_bits())?;
    }
    if let Some(far) = entered.far {
        registers.write(system(names::FAR_EL1), far)?;
    }
    registers.write(RegId::STATUS, entered.pstate.into_bits())?;
    registers.write(RegId::PC, entered.pc)
}

/// Returns the value of X`number`, 0 for 31.
#[inline]
pub(crate) fn read_general<R: Registers>(registers: &mut R, number: u8) -> Result<u64, RegisterError> {
    match number {
        0..=30 => registers.read(RegId::general(number)),
        _ => Ok(0),
    }
}

/// Writes X`number`; 31 discards.
#[inline]
pub(crate) fn write_general<R: Registers>(
    registers: &mut R,
    number: u8,
    value: u64,
) -> Result<(), RegisterError> {
    match number {
        0..=30 => registers.write(RegId::general(number), value),
        _ => Ok(()),
    }
}

/// Returns the byte order of the running level's data accesses. Arm ARM, SCTLR_EL1.EE and E0E.
pub(crate) fn byte_order<R: Registers>(registers: &mut R) -> Result<ByteOrder, RegisterError> {
    let level = PState::from_bits(registers.read(RegId::STATUS)?).el();
    let sctlr = SctlrEl1::from_bits(registers.read(system(names::SCTLR_EL1))?);
    let is_big = if level == ExceptionLevel::El0 { sctlr.e0e() } else { sctlr.ee() };
    Ok(if is_big { ByteOrder::Big } else { ByteOrder::Little })
}
