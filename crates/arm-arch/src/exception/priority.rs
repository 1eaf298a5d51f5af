//! Which of several synchronous exceptions of one instruction is taken. Arm ARM, "Synchronous exception prioritization for
//! exceptions taken to AArch64 state".

use crate::el::ExceptionLevel;
use crate::fault::FaultStatus;
use crate::iss::{Other, Syndrome};

/// Where a synchronous exception stands among those of one instruction: the least is taken.
/// Arm ARM, "Prioritization of Synchronous exceptions taken to AArch64 state".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Priority {
    /// Software step.
    Step,
    /// The program counter is misaligned.
    PcAlignment,
    /// An instruction abort.
    InstructionAbort,
    /// A breakpoint, or a vector catch.
    Breakpoint,
    /// PSTATE.IL is set.
    IllegalState,
    /// A branch target exception. FEAT_BTI.
    BranchTarget,
    /// The encoding is UNDEFINED, or is so at this level.
    Undefined,
    /// A trap or a closed enable of EL1.
    TrapEl1,
    /// A trap of EL2.
    TrapEl2,
    /// A trap of EL3.
    TrapEl3,
    /// What the instruction is for: SVC, HVC, SMC, BRK.
    Generated,
    /// A pointer that fails to authenticate. FEAT_FPAC.
    PacFail,
    /// The stack pointer is misaligned.
    SpAlignment,
    /// The address of an access is misaligned.
    Alignment,
    /// A data abort that translation finds.
    DataAbort,
    /// A watchpoint.
    Watchpoint,
    /// A synchronous external abort of the access itself.
    ExternalAbort,
}

impl Priority {
    /// Returns the place of an exception that `target` takes; `None` where the list has none: SError and profiling,
    /// which are not synchronous with an instruction, and classes that only one kind of instruction has and that leave
    /// no choice (FEAT_MOPS, FEAT_GCS, floating-point exceptions). SMC that EL2 takes is a trap.
    /// Arm ARM, "Prioritization of Synchronous exceptions taken to AArch64 state".
    #[must_use]
    pub fn of(syndrome: Syndrome, target: ExceptionLevel) -> Option<Self> {
        let trap = match target {
            ExceptionLevel::El0 | ExceptionLevel::El1 => Self::TrapEl1,
            ExceptionLevel::El2 => Self::TrapEl2,
            ExceptionLevel::El3 => Self::TrapEl3,
        };
        Some(match syndrome {
            Syndrome::Step(..) => Self::Step,
            Syndrome::InstructionAbort(..) => Self::InstructionAbort,
            Syndrome::Breakpoint(..) => Self::Breakpoint,
            Syndrome::Svc(_) | Syndrome::Hvc(_) | Syndrome::Brk(_) => Self::Generated,
            Syndrome::Smc(_) if target == ExceptionLevel::El3 => Self::Generated,
            Syndrome::Smc(_)
            | Syndrome::Wfx(_)
            | Syndrome::FpAccess(_)
            | Syndrome::SystemAccess(_)
            | Syndrome::Eret(_) => trap,
            Syndrome::DataAbort(_, iss) => match iss.status() {
                Some(FaultStatus::Alignment) => Self::Alignment,
                Some(status) if status.is_external() && status.level().is_none() => Self::ExternalAbort,
                Some(_) | None => Self::DataAbort,
            },
            Syndrome::Watchpoint(..) => Self::Watchpoint,
            Syndrome::FpException(_) | Syndrome::SError(_) => return None,
            Syndrome::Other(other) => return Self::of_other(other, trap),
        })
    }

    const fn of_other(other: Other, trap: Self) -> Option<Self> {
        Some(match other {
            Other::PcAlignment => Self::PcAlignment,
            Other::VectorCatch(_) => Self::Breakpoint,
            Other::IllegalState => Self::IllegalState,
            Other::BranchTarget(_) => Self::BranchTarget,
            Other::Unknown => Self::Undefined,
            Other::Coprocessor(..)
            | Other::CoprocessorPair(..)
            | Other::CoprocessorMemory(_)
            | Other::PAuth
            | Other::Ls64(_)
            | Other::Smc32(_)
            | Other::SystemAccess128(_)
            | Other::SveAccess
            | Other::SmeAccess(_)
            | Other::Tstart(_) => trap,
            Other::Svc32(_) | Other::Hvc32(_) | Other::Bkpt32(_) => Self::Generated,
            Other::PacFail(_) => Self::PacFail,
            Other::SpAlignment => Self::SpAlignment,
            Other::Gpc(iss) if iss.ind() => Self::InstructionAbort,
            Other::Gpc(_) => Self::DataAbort,
            Other::Mops(_)
            | Other::FpException32(_)
            | Other::Gcs(_)
            | Other::Pmu(_)
            | Other::Reserved(..) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esr::EsrEl;

    #[test]
    fn of_two_exceptions_of_an_instruction_the_one_listed_first_is_taken() {
        use ExceptionLevel::{El1, El2, El3};
        // Values of ESR and the target, in the order of the list.
        const LIST: &[(&str, u64, ExceptionLevel)] = &[
            ("software step", 0xca00_0022, El1),
            ("PC alignment", 0x8a00_0000, El1),
            ("instruction abort", 0x8200_0007, El1),
            ("breakpoint", 0xc200_0022, El1),
            ("illegal state", 0x3a00_0000, El1),
            ("branch target", 0x3600_0003, El1),
            ("UNDEFINED", 0x0200_0000, El1),
            ("CPACR_EL1.FPEN", 0x1fe0_0000, El1),
            ("HCR_EL2.TID3", 0x6230_0009, El2),
            ("CPTR_EL3.TFP", 0x1fe0_0000, El3),
            ("SVC", 0x5600_0000, El1),
            ("authentication", 0x7200_0002, El1),
            ("SP alignment", 0x9a00_0000, El1),
            ("address alignment", 0x9200_0021, El1),
            ("data abort", 0x9200_0007, El1),
            ("watchpoint", 0xd200_0022, El1),
            ("external abort", 0x9200_0010, El1),
        ];
        let place =
            |(_, esr, target): &(_, u64, _)| Priority::of(Syndrome::decode(EsrEl::from_bits(*esr)), *target);
        for (before, after) in LIST.iter().zip(LIST.iter().skip(1)) {
            assert!(
                place(before).is_some() && place(before) < place(after),
                "{} before {}",
                before.0,
                after.0
            );
        }
        let of = |esr, target| Priority::of(Syndrome::decode(EsrEl::from_bits(esr)), target);
        // An external abort on a walk is found by translation; SMC is a trap of EL2 or a call of EL3.
        assert_eq!(of(0x9200_0014, El1), Some(Priority::DataAbort));
        assert_eq!(of(0x5e00_0000, El2), Some(Priority::TrapEl2));
        assert_eq!(of(0x5e00_0000, El3), Some(Priority::Generated));
        // Those that share a place with one of the list, or depend on their syndrome.
        const SAME: &[(&str, u64, ExceptionLevel, Priority)] = &[
            ("vector catch", 0xea00_0022, El2, Priority::Breakpoint),
            ("granule protection, fetch", 0x7a10_0028, El3, Priority::InstructionAbort),
            ("granule protection, load", 0x7a00_0028, El3, Priority::DataAbort),
            ("external abort of a fetch", 0x8200_0010, El1, Priority::InstructionAbort),
            ("WFI by HCR_EL2.TWI", 0x07e0_0000, El2, Priority::TrapEl2),
            ("WFI by SCTLR_EL1.nTWI", 0x07e0_0000, El1, Priority::TrapEl1),
            ("ERET by HCR_EL2.NV", 0x6a00_0000, El2, Priority::TrapEl2),
            ("authentication by HCR_EL2.API", 0x2600_0000, El2, Priority::TrapEl2),
            ("LD64B by SCTLR_EL1.EnALS", 0x2a00_0002, El1, Priority::TrapEl1),
            ("SVE by CPTR_EL3.EZ", 0x6600_0000, El3, Priority::TrapEl3),
            ("SME by CPTR_EL2.TSM", 0x7600_0000, El2, Priority::TrapEl2),
            ("MRRS by HCRX_EL2.D128En", 0x5230_0881, El2, Priority::TrapEl2),
            ("HVC", 0x5a00_0000, El2, Priority::Generated),
            ("BRK", 0xf200_0000, El1, Priority::Generated),
            ("tag check", 0x9200_0011, El1, Priority::DataAbort),
        ];
        for (name, esr, target, want) in SAME {
            assert_eq!(of(*esr, *target), Some(*want), "{name}");
        }
        assert_eq!(of(0xbe00_0000, El1), None, "SError");
        assert_eq!(of(0xf600_0000, El1), None, "profiling");
    }
}
