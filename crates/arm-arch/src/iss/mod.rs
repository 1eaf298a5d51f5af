//! What the ISS of each exception class says. Arm ARM, ESR_EL1.ISS.
//!
//! [`Syndrome::decode`] is total: every value of `ESR_ELx` is one variant, and [`Syndrome::encode`] gives the same
//! class and ISS back. [`fields`] lists a syndrome's fields by name, and `Display` of [`EsrEl`] prints them.

mod abort;
mod debug;
mod iss2;
mod layout;
mod mmio;
mod other;
mod par;
mod serror;
mod system;

pub use abort::{AccessSize, DataAbort, InstructionAbort, Transfer};
pub use debug::{SError, Step, StepExclusive, Watchpoint};
pub use iss2::Iss2;
pub use layout::{Field, describe, fields, reserved};
pub use mmio::{ByteOrder, MmioAccess, faulting_ipa};
pub use other::{
    BranchTarget, Coprocessor, CoprocessorAccess, CoprocessorMemory, CoprocessorPair, Gcs, Gpc, Ls64, Mops,
    Other, PacFail, Pmu, ProfilingUnit, Smc32, SmeAccess, SystemAccess128, Tstart,
};
pub use par::Par;
pub use serror::{Disr, VsesrEl2};
pub use system::{Direction, Eret, FpAccess, FpException, Immediate, SystemAccess, WaitKind, Wfx};

use crate::el::ExceptionLevel;
use crate::esr::{EsrEl, ExceptionClass};

/// Where an exception came from, seen from the level that takes it; some classes come in pairs by it.
/// Arm ARM, ESR_EL1.EC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// A lower exception level.
    Lower,
    /// The same exception level.
    Same,
}

impl Origin {
    /// Returns the origin of an exception taken from one level to another. Arm ARM, ESR_EL1.EC.
    #[must_use]
    pub fn of(from: ExceptionLevel, target: ExceptionLevel) -> Self {
        if from < target { Self::Lower } else { Self::Same }
    }

    /// Picks the class of a pair: `lower` or the one after it.
    const fn class(self, lower: ExceptionClass) -> ExceptionClass {
        match self {
            Self::Lower => lower,
            Self::Same => ExceptionClass::from_bits(lower.into_bits() | 1),
        }
    }
}

/// An exception's class with its ISS decoded. Arm ARM, ESR_EL1.EC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syndrome {
    /// EC 0x01.
    Wfx(Wfx),
    /// EC 0x07.
    FpAccess(FpAccess),
    /// EC 0x15.
    Svc(Immediate),
    /// EC 0x16.
    Hvc(Immediate),
    /// EC 0x17.
    Smc(Immediate),
    /// EC 0x18.
    SystemAccess(SystemAccess),
    /// EC 0x1a.
    Eret(Eret),
    /// EC 0x20 and 0x21.
    InstructionAbort(Origin, InstructionAbort),
    /// EC 0x24 and 0x25.
    DataAbort(Origin, DataAbort),
    /// EC 0x2c.
    FpException(FpException),
    /// EC 0x2f.
    SError(SError),
    /// EC 0x30 and 0x31; the ISS is a fault status, 100010.
    Breakpoint(Origin, u32),
    /// EC 0x32 and 0x33.
    Step(Origin, Step),
    /// EC 0x34 and 0x35.
    Watchpoint(Origin, Watchpoint),
    /// EC 0x3c.
    Brk(Immediate),
    /// Any other class: of AArch32, of an extension, without an ISS, or reserved.
    Other(Other),
}

impl Syndrome {
    /// Decodes class and ISS. IL and ISS2 are read from the register. Arm ARM, ESR_EL1.
    #[must_use]
    pub const fn decode(esr: EsrEl) -> Self {
        let iss = esr.iss();
        match esr.ec() {
            ExceptionClass::WFX => Self::Wfx(Wfx::from_bits(iss)),
            ExceptionClass::FP_ACCESS => Self::FpAccess(FpAccess::from_bits(iss)),
            ExceptionClass::SVC64 => Self::Svc(Immediate::from_bits(iss)),
            ExceptionClass::HVC64 => Self::Hvc(Immediate::from_bits(iss)),
            ExceptionClass::SMC64 => Self::Smc(Immediate::from_bits(iss)),
            // The decoded form has no place for the three RES0 bits.
            ExceptionClass::SYSTEM_ACCESS if iss >> 22 == 0 => Self::SystemAccess(SystemAccess::decode(iss)),
            ExceptionClass::ERET => Self::Eret(Eret::from_bits(iss)),
            ExceptionClass::INSTRUCTION_ABORT_LOWER => {
                Self::InstructionAbort(Origin::Lower, InstructionAbort::from_bits(iss))
            }
            ExceptionClass::INSTRUCTION_ABORT_SAME => {
                Self::InstructionAbort(Origin::Same, InstructionAbort::from_bits(iss))
            }
            ExceptionClass::DATA_ABORT_LOWER => Self::DataAbort(Origin::Lower, DataAbort::from_bits(iss)),
            ExceptionClass::DATA_ABORT_SAME => Self::DataAbort(Origin::Same, DataAbort::from_bits(iss)),
            ExceptionClass::FP_EXCEPTION64 => Self::FpException(FpException::from_bits(iss)),
            ExceptionClass::SERROR => Self::SError(SError::from_bits(iss)),
            ExceptionClass::BREAKPOINT_LOWER => Self::Breakpoint(Origin::Lower, iss),
            ExceptionClass::BREAKPOINT_SAME => Self::Breakpoint(Origin::Same, iss),
            ExceptionClass::STEP_LOWER => Self::Step(Origin::Lower, Step::from_bits(iss)),
            ExceptionClass::STEP_SAME => Self::Step(Origin::Same, Step::from_bits(iss)),
            ExceptionClass::WATCHPOINT_LOWER => Self::Watchpoint(Origin::Lower, Watchpoint::from_bits(iss)),
            ExceptionClass::WATCHPOINT_SAME => Self::Watchpoint(Origin::Same, Watchpoint::from_bits(iss)),
            ExceptionClass::BRK64 => Self::Brk(Immediate::from_bits(iss)),
            other => Self::Other(Other::decode(other, iss)),
        }
    }

    /// Returns the register's value, with IL = 1 (an exception from AArch64) and ISS2 = 0. Arm ARM, ESR_EL1.
    #[must_use]
    pub const fn encode(self) -> EsrEl {
        match self {
            Self::Wfx(iss) => EsrEl::of(ExceptionClass::WFX, iss.into_bits()),
            Self::FpAccess(iss) => EsrEl::of(ExceptionClass::FP_ACCESS, iss.into_bits()),
            Self::Svc(iss) => EsrEl::of(ExceptionClass::SVC64, iss.into_bits()),
            Self::Hvc(iss) => EsrEl::of(ExceptionClass::HVC64, iss.into_bits()),
            Self::Smc(iss) => EsrEl::of(ExceptionClass::SMC64, iss.into_bits()),
            Self::SystemAccess(access) => EsrEl::of(ExceptionClass::SYSTEM_ACCESS, access.encode()),
            Self::Eret(iss) => EsrEl::of(ExceptionClass::ERET, iss.into_bits()),
            Self::InstructionAbort(origin, iss) => {
                EsrEl::of(origin.class(ExceptionClass::INSTRUCTION_ABORT_LOWER), iss.into_bits())
            }
            Self::DataAbort(origin, iss) => {
                EsrEl::of(origin.class(ExceptionClass::DATA_ABORT_LOWER), iss.into_bits())
            }
            Self::FpException(iss) => EsrEl::of(ExceptionClass::FP_EXCEPTION64, iss.into_bits()),
            Self::SError(iss) => EsrEl::of(ExceptionClass::SERROR, iss.into_bits()),
            Self::Breakpoint(origin, iss) => EsrEl::of(origin.class(ExceptionClass::BREAKPOINT_LOWER), iss),
            Self::Step(origin, iss) => EsrEl::of(origin.class(ExceptionClass::STEP_LOWER), iss.into_bits()),
            Self::Watchpoint(origin, iss) => {
                EsrEl::of(origin.class(ExceptionClass::WATCHPOINT_LOWER), iss.into_bits())
            }
            Self::Brk(iss) => EsrEl::of(ExceptionClass::BRK64, iss.into_bits()),
            Self::Other(other) => other.encode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_and_iss_bit_survives_decoding() {
        for ec in 0..64u64 {
            for iss in (0..25).map(|bit| 1 << bit).chain([0, 0x1ff_ffff]) {
                let esr = EsrEl::from_bits(ec << 26 | 1 << 25 | iss);
                assert_eq!(Syndrome::decode(esr).encode(), esr, "{esr:?}");
            }
        }
    }

    #[test]
    fn pairs_of_classes_tell_where_the_exception_came_from() {
        let abort = DataAbort::from_bits(0x47);
        assert_eq!(Syndrome::DataAbort(Origin::Lower, abort).encode().into_bits(), 0x9200_0047);
        assert_eq!(Syndrome::DataAbort(Origin::Same, abort).encode().into_bits(), 0x9600_0047);
        assert_eq!(Origin::of(ExceptionLevel::El0, ExceptionLevel::El1), Origin::Lower);
        assert_eq!(Origin::of(ExceptionLevel::El1, ExceptionLevel::El1), Origin::Same);
    }
}
