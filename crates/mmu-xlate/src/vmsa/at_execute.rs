//! AT as an instruction: whether it may execute, what it ends in, and who takes the exception.

use super::at::{AtContext, AtOperation, AtOutcome, at};
use super::explain::Recorder;
use super::fault::{Fault, Stage};
use super::gpc::{GranuleRefusal, RoutesDenials};
use super::implementation::Implementation;
use super::mapping::OutputAddress;
use super::params::Effective;
use super::perm::Access;
use super::registers::Registers;
use crate::memory::TableMemory;
use arm_arch::bits::bit;
use arm_arch::exception::ScrEl3;
use arm_arch::iss::{Direction, Gpc, SystemAccess};
use arm_arch::sysreg::instructions as ins;
use arm_arch::{EsrEl, ExceptionClass, ExceptionLevel, FaultStatus, SysRegId, Va};

/// What an AT instruction ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AtExecution {
    /// `PAR_EL1` takes this value, of 128 bits where bit 64 is set (FEAT_D128).
    Par(u128),
    /// It is UNDEFINED: an exception with EC 0.
    Undefined {
        /// Who takes it.
        target: ExceptionLevel,
    },
    /// It is trapped, with this syndrome (EC 0x18).
    Trapped {
        /// What was executed.
        access: SystemAccess,
        /// Who takes it.
        target: ExceptionLevel,
    },
    /// A data abort; `PAR_EL1` is UNKNOWN.
    Abort {
        /// The fault.
        fault: Fault,
        /// What was asked.
        access: Access,
        /// Who takes it.
        target: ExceptionLevel,
    },
}

impl AtExecution {
    /// Returns the syndrome of the exception, taken from a level; `None` where there is none.
    /// Arm ARM, ESR_EL1.
    #[must_use]
    pub fn esr(&self, from: ExceptionLevel) -> Option<EsrEl> {
        match self {
            Self::Par(_) => None,
            Self::Undefined { .. } => Some(EsrEl::of(ExceptionClass::UNKNOWN, 0)),
            Self::Trapped { access, .. } => Some(EsrEl::of(ExceptionClass::SYSTEM_ACCESS, access.encode())),
            Self::Abort { fault, access, target } => Some(fault.esr(*access, from, *target)),
        }
    }
}

impl AtOperation {
    /// Reads the encoding of a SYS instruction; `None` where it is no AT. Arm ARM, AT.
    #[must_use]
    pub fn decode(id: SysRegId) -> Option<Self> {
        Self::ALL.into_iter().map(|(_, operation)| operation).find(|operation| operation.id() == id)
    }

    /// Returns the encoding. Arm ARM, AT.
    #[must_use]
    pub const fn id(self) -> SysRegId {
        match self {
            Self::S1E1R => ins::AT_S1E1R,
            Self::S1E1W => ins::AT_S1E1W,
            Self::S1E0R => ins::AT_S1E0R,
            Self::S1E0W => ins::AT_S1E0W,
            Self::S1E1RP => ins::AT_S1E1RP,
            Self::S1E1WP => ins::AT_S1E1WP,
            Self::S1E1A => ins::AT_S1E1A,
            Self::S1E2R => ins::AT_S1E2R,
            Self::S1E2W => ins::AT_S1E2W,
            Self::S1E2A => ins::AT_S1E2A,
            Self::S1E3R => ins::AT_S1E3R,
            Self::S1E3W => ins::AT_S1E3W,
            Self::S1E3A => ins::AT_S1E3A,
            Self::S12E1R => ins::AT_S12E1R,
            Self::S12E1W => ins::AT_S12E1W,
            Self::S12E0R => ins::AT_S12E0R,
            Self::S12E0W => ins::AT_S12E0W,
        }
    }

    /// Whether the processing element has it.
    const fn is_implemented(self, implementation: &Implementation) -> bool {
        match self {
            Self::S1E1RP | Self::S1E1WP => implementation.pan2,
            Self::S1E1A | Self::S1E2A | Self::S1E3A => implementation.ats1a,
            Self::S1E1R
            | Self::S1E1W
            | Self::S1E0R
            | Self::S1E0W
            | Self::S1E2R
            | Self::S1E2W
            | Self::S1E3R
            | Self::S1E3W
            | Self::S12E1R
            | Self::S12E1W
            | Self::S12E0R
            | Self::S12E0W => true,
        }
    }

    /// Whether it is of EL2: op1 4.
    const fn is_of_el2(self) -> bool {
        matches!(
            self,
            Self::S1E2R
                | Self::S1E2W
                | Self::S1E2A
                | Self::S12E1R
                | Self::S12E1W
                | Self::S12E0R
                | Self::S12E0W
        )
    }

    /// Whether it is of EL3: op1 6.
    const fn is_of_el3(self) -> bool {
        matches!(self, Self::S1E3R | Self::S1E3W | Self::S1E3A)
    }

    /// Returns its bit in `HFGITR_EL2`; `None` for those of EL2 and EL3. Arm ARM, HFGITR_EL2.
    const fn fine_grained(self) -> Option<u32> {
        match self {
            Self::S1E1R => Some(12),
            Self::S1E1W => Some(13),
            Self::S1E0R => Some(14),
            Self::S1E0W => Some(15),
            Self::S1E1RP => Some(16),
            Self::S1E1WP => Some(17),
            Self::S1E1A => Some(62),
            Self::S1E2R
            | Self::S1E2W
            | Self::S1E2A
            | Self::S1E3R
            | Self::S1E3W
            | Self::S1E3A
            | Self::S12E1R
            | Self::S12E1W
            | Self::S12E0R
            | Self::S12E0W => None,
        }
    }
}

/// Executes an AT instruction, from the question whether it may to `PAR_EL1` or the exception. `rt` is the number of
/// its register, which a trap reports. Arm ARM, AArch64.AT, PAR_EL1.
///
/// # Errors
///
/// Only the memory's own.
pub fn execute_at<A: OutputAddress, M: TableMemory<A>, R: Recorder>(
    (operation, rt): (AtOperation, u8),
    va: Va,
    context: AtContext,
    (registers, implementation): (&Registers, &Implementation),
    memory: &M,
    recorder: &mut R,
) -> Result<AtExecution, M::Error> {
    let effective = Effective::of(registers, implementation);
    match permission(operation, context.el, registers, &effective, implementation) {
        Permission::Executes => {}
        Permission::Undefined => {
            return Ok(AtExecution::Undefined { target: undefined_target(context.el, &effective) });
        }
        Permission::TrapsToEl2 => {
            let access = SystemAccess { id: operation.id(), rt: rt & 31, direction: Direction::Write };
            return Ok(AtExecution::Trapped { access, target: ExceptionLevel::El2 });
        }
    }
    Ok(match at(operation, va, context, (registers, implementation), memory, recorder)? {
        AtOutcome::Par(par) => AtExecution::Par(par),
        AtOutcome::Abort(fault, access) => AtExecution::Abort {
            fault,
            access,
            target: abort_target(&fault, context.el, registers, &effective, implementation),
        },
    })
}

/// Whether an instruction executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permission {
    Executes,
    Undefined,
    TrapsToEl2,
}

/// Decides in the manual's order: there at all, of this level, then EL2's traps: HCR_EL2 before HFGITR_EL2.
fn permission(
    operation: AtOperation,
    el: ExceptionLevel,
    registers: &Registers,
    effective: &Effective,
    implementation: &Implementation,
) -> Permission {
    if !operation.is_implemented(implementation) {
        return Permission::Undefined;
    }
    let scr = ScrEl3::from_bits(registers.scr_el3);
    match el {
        ExceptionLevel::El0 => Permission::Undefined,
        ExceptionLevel::El1 if operation.is_of_el3() => Permission::Undefined,
        // HCR_EL2.NV: a hypervisor that runs at EL1 believes to be at EL2.
        ExceptionLevel::El1 if operation.is_of_el2() => {
            if effective.hcr.nv() {
                Permission::TrapsToEl2
            } else {
                Permission::Undefined
            }
        }
        ExceptionLevel::El1 => {
            let fgt_on = effective.el2 && implementation.fgt && (!implementation.el3 || scr.fgten());
            let fine = operation.fine_grained().is_some_and(|at| bit(registers.hfgitr_el2, at));
            if effective.hcr.at() || fgt_on && fine { Permission::TrapsToEl2 } else { Permission::Executes }
        }
        ExceptionLevel::El2 if operation.is_of_el3() => Permission::Undefined,
        ExceptionLevel::El2 => Permission::Executes,
        // {NSE,NS} = {1,0} names no security state. FEAT_RME.
        ExceptionLevel::El3 if implementation.rme && scr.nse() && !scr.ns() && !operation.is_of_el3() => {
            Permission::Undefined
        }
        ExceptionLevel::El3 => {
            let own = matches!(operation, AtOperation::S1E2R | AtOperation::S1E2W | AtOperation::S1E2A);
            if own && !effective.el2 { Permission::Undefined } else { Permission::Executes }
        }
    }
}

/// Returns who takes an UNDEFINED instruction. Arm ARM, AArch64.Undefined.
const fn undefined_target(el: ExceptionLevel, effective: &Effective) -> ExceptionLevel {
    match el {
        ExceptionLevel::El0 if effective.hcr.tge() => ExceptionLevel::El2,
        ExceptionLevel::El0 | ExceptionLevel::El1 => ExceptionLevel::El1,
        ExceptionLevel::El2 => ExceptionLevel::El2,
        ExceptionLevel::El3 => ExceptionLevel::El3,
    }
}

/// Returns who takes the abort: EL2 for stage 2; for an external abort on stage 1 what SCR_EL3.EA and HCR_EL2.TEA say; for what
/// granule protection refuses, what SCR_EL3.GPF and HCR_EL2.GPF say. Arm ARM, AArch64.Abort, AArch64.DataAbort,
/// AArch64.RouteToSErrorOffset.
fn abort_target(
    fault: &Fault,
    el: ExceptionLevel,
    registers: &Registers,
    effective: &Effective,
    implementation: &Implementation,
) -> ExceptionLevel {
    let external = fault.status.is_external();
    let gpf = RoutesDenials::of(registers.scr_el3);
    if el == ExceptionLevel::El3
        || external && implementation.el3 && ScrEl3::from_bits(registers.scr_el3).ea()
        || fault.granule.is_some_and(|refusal| refusal.fault.is_taken_to_el3(gpf, el))
    {
        return ExceptionLevel::El3;
    }
    let refused = fault.granule.is_some() && effective.hcr.gpf();
    let to_el2 = fault.stage == Stage::Two || external && effective.hcr.tea() || refused;
    if el == ExceptionLevel::El2 || effective.el2 && to_el2 {
        ExceptionLevel::El2
    } else {
        ExceptionLevel::El1
    }
}

impl Fault {
    /// Returns `ESR_ELx` of the abort, taken from one level to another, without the syndrome of a load or store (ISV
    /// 0); of a granule protection check exception where that is what goes to EL3. Arm ARM, ESR_EL1, ESR_EL3.
    #[must_use]
    pub fn esr(&self, access: Access, from: ExceptionLevel, to: ExceptionLevel) -> EsrEl {
        if let Some(refusal) = self.granule {
            // Below EL3 nothing else takes a denial there.
            let gpf = if to == ExceptionLevel::El3 { RoutesDenials::ToEl3 } else { RoutesDenials::AsAborts };
            if refusal.fault.is_taken_to_el3(gpf, from) {
                return EsrEl::of(ExceptionClass::GPC, self.gpc_iss(refusal, access));
            }
        }
        let class = match (access.is_fetch(), from == to) {
            (true, true) => ExceptionClass::INSTRUCTION_ABORT_SAME,
            (true, false) => ExceptionClass::INSTRUCTION_ABORT_LOWER,
            (false, true) => ExceptionClass::DATA_ABORT_SAME,
            (false, false) => ExceptionClass::DATA_ABORT_LOWER,
        };
        // ISS2 is ESR[55:32].
        let iss2 = u64::from(self.iss2(access) & 0xff_ffff) << 32;
        EsrEl::from_bits(EsrEl::of(class, self.iss(access)).into_bits() | iss2)
    }

    /// Returns the ISS of a granule protection check exception. Arm ARM, TakeGPCException.
    fn gpc_iss(&self, refusal: GranuleRefusal, access: Access) -> u32 {
        let on_walk = matches!(self.status, FaultStatus::GranuleProtectionOnWalk(_));
        let iss = Gpc::new()
            .with_xfsc_checked(self.status.encode())
            .and_then(|iss| iss.with_gpcsc_checked(refusal.fault.gpcsc()))
            .unwrap_or_default();
        iss.with_wnr(self.write && !access.is_fetch())
            .with_s1ptw(self.s1ptw)
            .with_cm(access.is_maintenance())
            .with_ind(access.is_fetch())
            .with_s2ptw(on_walk && self.stage == Stage::Two)
            .into_bits()
    }
}
