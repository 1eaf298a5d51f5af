//! Address translation instructions: AT, and PAR_EL1 or the exception it ends in.

use super::explain::Recorder;
use super::fault::{Fault, Stage};
use super::gpc::RoutesDenials;
use super::implementation::Implementation;
use super::mapping::{Mapping, OutputAddress, Translation};
use super::params::Effective;
use super::perm::{Access, AccessKind, Privilege};
use super::registers::{Regime, Registers, Space};
use super::translate::Translator;
use crate::memory::TableMemory;
use arm_arch::{ExceptionLevel, Va};

/// An address translation instruction. Arm ARM, AT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the manual's names")]
pub enum AtOperation {
    S1E1R,
    S1E1W,
    S1E0R,
    S1E0W,
    S1E1RP,
    S1E1WP,
    S1E1A,
    S1E2R,
    S1E2W,
    S1E2A,
    S1E3R,
    S1E3W,
    S1E3A,
    S12E1R,
    S12E1W,
    S12E0R,
    S12E0W,
}

impl AtOperation {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 17] = [
        ("S1E1R", Self::S1E1R),
        ("S1E1W", Self::S1E1W),
        ("S1E0R", Self::S1E0R),
        ("S1E0W", Self::S1E0W),
        ("S1E1RP", Self::S1E1RP),
        ("S1E1WP", Self::S1E1WP),
        ("S1E1A", Self::S1E1A),
        ("S1E2R", Self::S1E2R),
        ("S1E2W", Self::S1E2W),
        ("S1E2A", Self::S1E2A),
        ("S1E3R", Self::S1E3R),
        ("S1E3W", Self::S1E3W),
        ("S1E3A", Self::S1E3A),
        ("S12E1R", Self::S12E1R),
        ("S12E1W", Self::S12E1W),
        ("S12E0R", Self::S12E0R),
        ("S12E0W", Self::S12E0W),
    ];

    /// Returns the exception level whose translation is asked for.
    const fn level(self) -> ExceptionLevel {
        match self {
            Self::S1E0R | Self::S1E0W | Self::S12E0R | Self::S12E0W => ExceptionLevel::El0,
            Self::S1E1R
            | Self::S1E1W
            | Self::S1E1RP
            | Self::S1E1WP
            | Self::S1E1A
            | Self::S12E1R
            | Self::S12E1W => ExceptionLevel::El1,
            Self::S1E2R | Self::S1E2W | Self::S1E2A => ExceptionLevel::El2,
            Self::S1E3R | Self::S1E3W | Self::S1E3A => ExceptionLevel::El3,
        }
    }

    const fn kind(self) -> AccessKind {
        match self {
            Self::S1E1R
            | Self::S1E0R
            | Self::S1E1RP
            | Self::S1E2R
            | Self::S1E3R
            | Self::S12E1R
            | Self::S12E0R => AccessKind::AtRead,
            Self::S1E1W
            | Self::S1E0W
            | Self::S1E1WP
            | Self::S1E2W
            | Self::S1E3W
            | Self::S12E1W
            | Self::S12E0W => AccessKind::AtWrite,
            Self::S1E1A | Self::S1E2A | Self::S1E3A => AccessKind::AtAddress,
        }
    }

    /// Whether stage 2 is asked too.
    const fn is_two_stage(self) -> bool {
        matches!(self, Self::S12E1R | Self::S12E1W | Self::S12E0R | Self::S12E0W)
    }

    /// Returns the access that it checks; PSTATE.PAN counts in the P forms only. Arm ARM, AT S1E1RP,
    /// AT S1E1WP.
    #[must_use]
    pub const fn access(self, pan: bool) -> Access {
        let privilege = match self.level() {
            ExceptionLevel::El0 => Privilege::Unprivileged,
            ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => Privilege::Privileged,
        };
        let honours_pan = matches!(self, Self::S1E1RP | Self::S1E1WP);
        Access::new(self.kind(), privilege).with_pan(pan && honours_pan)
    }
}

/// Who executes an AT. Arm ARM, AArch64.AT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtContext {
    /// The current exception level.
    pub el: ExceptionLevel,
    /// `PSTATE.PAN`.
    pub pan: bool,
}

/// What an AT ends in. That it is trapped or UNDEFINED is decided before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AtOutcome {
    /// `PAR_EL1` takes this value, of 128 bits where bit 64 is set (FEAT_D128).
    Par(u128),
    /// A data abort with this fault: to EL2 for stage 2, PAR_EL1 is UNKNOWN.
    Abort(Fault, Access),
}

/// Executes an address translation instruction. Arm ARM, AArch64.AT.
///
/// CHOICE: AT updates no access flag, as the architecture permits.
///
/// # Errors
///
/// Only the memory's own.
pub fn at<A: OutputAddress, M: TableMemory<A>, R: Recorder>(
    operation: AtOperation,
    va: Va,
    context: AtContext,
    (registers, implementation): (&Registers, &Implementation),
    memory: &M,
    recorder: &mut R,
) -> Result<AtOutcome, M::Error> {
    let effective = Effective::of(registers, implementation);
    let regime = regime(operation, &effective);
    let translator = Translator::new(regime, registers, implementation);
    let access = operation.access(context.pan);
    let translation = if operation.is_two_stage() {
        translator.translate(va, access, memory, recorder)?
    } else {
        translator.translate_stage_1(va, access, memory, recorder)?
    };
    let wide = match &translator.stage2 {
        Some(stage2) if operation.is_two_stage() => stage2.is_wide(),
        Some(_) | None => translator.stage1.is_wide(),
    };
    Ok(match translation {
        Translation::Mapped(mapping) => {
            let secure = regime == Regime::El3 || effective.state == Space::Secure;
            AtOutcome::Par(success(&mapping, wide, secure, implementation))
        }
        Translation::Fault(fault)
            if is_exception(&fault, context, operation, (registers.scr_el3, &effective)) =>
        {
            AtOutcome::Abort(fault, access)
        }
        Translation::Fault(fault) => AtOutcome::Par(u128::from(fault.par()) | u128::from(wide) << 64),
    })
}

/// Returns the regime that is asked: with `HCR_EL2.{E2H,TGE}` {1,1} that of the host for EL1 and EL0.
fn regime(operation: AtOperation, effective: &Effective) -> Regime {
    let host = effective.hcr.e2h() && effective.hcr.tge();
    match operation.level() {
        ExceptionLevel::El0 | ExceptionLevel::El1 if host => Regime::El2And0,
        ExceptionLevel::El0 | ExceptionLevel::El1 => Regime::El1And0,
        ExceptionLevel::El2 if effective.hcr.e2h() => Regime::El2And0,
        ExceptionLevel::El2 => Regime::El2,
        ExceptionLevel::El3 => Regime::El3,
    }
}

/// Whether a fault is taken as an exception: external aborts, and at EL1 a stage 2 fault on the tables
/// of stage 1; what granule protection refuses where EL3 or, of AT S1E1* and S1E0* at EL1, `HCR_EL2.GPF` claims it. Arm ARM,
/// AArch64.AT.
fn is_exception(
    fault: &Fault,
    context: AtContext,
    operation: AtOperation,
    (scr_el3, effective): (u64, &Effective),
) -> bool {
    let at_el1 = matches!(context.el, ExceptionLevel::El1);
    let on_tables = fault.s1ptw && matches!(fault.stage, Stage::Two) && at_el1 && !operation.is_two_stage();
    let claimed = fault.granule.is_some_and(|refusal| {
        let of_el1 = matches!(operation.level(), ExceptionLevel::El0 | ExceptionLevel::El1);
        let to_el2 = effective.hcr.gpf() && at_el1 && of_el1 && !operation.is_two_stage();
        to_el2 || refusal.fault.is_taken_to_el3(RoutesDenials::of(scr_el3), context.el)
    });
    on_tables || claimed || fault.status.is_external()
}

/// Returns `PAR_EL1` of a success: NS and NSE tell the space where the state of the regime, EL3's is Secure without
/// FEAT_RME, has a choice.
fn success<A: OutputAddress>(
    mapping: &Mapping<A>,
    wide: bool,
    secure: bool,
    implementation: &Implementation,
) -> u128 {
    // By hand: no view has the 128-bit form, where they lie as in the other.
    const NS: u128 = 1 << 9;
    const NSE: u128 = 1 << 11;
    let par = if wide { mapping.par_wide() } else { mapping.par().into() };
    if implementation.rme {
        return match mapping.space {
            Space::Secure => par & !NSE,
            Space::NonSecure => par & !NSE | NS,
            Space::Root => par,
            Space::Realm => par | NS,
        };
    }
    if secure && mapping.space == Space::NonSecure { par | NS } else { par }
}
