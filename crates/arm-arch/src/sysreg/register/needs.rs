//! What a processing element must have for a register to be there. Arm ARM, "Configurations" of each register.

use crate::feature::{Feature, Features};
use crate::sysreg::SysRegId;
use core::fmt;

/// A condition on features. Small, as every row of the table has one. `data/sysregs.tsv`, feature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// One feature.
    One(Feature),
    /// One of two.
    Either(Feature, Feature),
    /// Both of two.
    Both(Feature, Feature),
    /// This feature and something that ID registers do not show.
    Open(Feature),
    /// As many breakpoints or watchpoints as the register's number says.
    Debug,
}

impl Needs {
    /// Whether the condition holds; `None` where features do not say.
    pub(super) fn hold(self, id: SysRegId, features: &Features) -> Option<bool> {
        let has = |feature| features.has(feature);
        Some(match self {
            Self::Nothing => true,
            Self::One(feature) => has(feature),
            Self::Either(a, b) => has(a) || has(b),
            Self::Both(a, b) => has(a) && has(b),
            Self::Open(feature) if has(feature) => return None,
            Self::Open(_) => false,
            Self::Debug if is_watchpoint(id) => id.crm() < features.watchpoints(),
            Self::Debug => id.crm() < features.breakpoints(),
        })
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::One(feature) => write!(f, "{feature}"),
            Self::Either(a, b) => write!(f, "{a} or {b}"),
            Self::Both(a, b) => write!(f, "{a} and {b}"),
            Self::Open(feature) => write!(f, "{feature} and more"),
            Self::Debug => f.write_str("as many breakpoints or watchpoints"),
        }
    }
}

/// Whether one of `DBGWVR<n>_EL1` and `DBGWCR<n>_EL1` rather than of the breakpoints': op2 is 6 or 7, not 4 or 5.
const fn is_watchpoint(id: SysRegId) -> bool {
    id.op2() >= 6
}

use Feature as F;
pub const ALWAYS: Needs = Needs::Nothing;
pub const DEBUG: Needs = Needs::Debug;
pub const EL2: Needs = Needs::One(F::EL2);
pub const EL3: Needs = Needs::One(F::EL3);
pub const AIE: Needs = Needs::One(F::AIE);
pub const AMU: Needs = Needs::One(F::AMUv1);
pub const AMU_FGT: Needs = Needs::Both(F::AMUv1, F::FGT);
pub const AMU_V1P1: Needs = Needs::One(F::AMUv1p1);
pub const BRBE: Needs = Needs::One(F::BRBE);
pub const CCIDX: Needs = Needs::One(F::CCIDX);
pub const CSV2_2: Needs = Needs::Either(F::CSV2_2, F::CSV2_1p2);
pub const DEBUG_V8P9: Needs = Needs::One(F::Debugv8p9);
pub const DIT: Needs = Needs::One(F::DIT);
pub const EBEP: Needs = Needs::One(F::EBEP);
pub const EBEP_OR_PMU_SS: Needs = Needs::Either(F::EBEP, F::PMUv3_SS);
pub const ECV: Needs = Needs::One(F::ECV);
pub const ECV_POFF: Needs = Needs::One(F::ECV_POFF);
pub const FGT: Needs = Needs::One(F::FGT);
pub const FGT2: Needs = Needs::One(F::FGT2);
pub const FGWTE3: Needs = Needs::One(F::FGWTE3);
pub const FPMR: Needs = Needs::One(F::FPMR);
pub const GCS: Needs = Needs::One(F::GCS);
pub const GIC: Needs = Needs::One(F::GICv3);
pub const GIC_EL2: Needs = Needs::Both(F::GICv3, F::EL2);
pub const HACDBS: Needs = Needs::One(F::HACDBS);
pub const HCX: Needs = Needs::One(F::HCX);
pub const HDBSS: Needs = Needs::One(F::HDBSS);
pub const ITE: Needs = Needs::One(F::ITE);
pub const LOR: Needs = Needs::One(F::LOR);
pub const LS64_ACCDATA: Needs = Needs::One(F::LS64_ACCDATA);
pub const MEC: Needs = Needs::One(F::MEC);
pub const MPAM: Needs = Needs::Either(F::MPAM, F::MPAMv0p1);
/// `MPAMIDR_EL1` says.
pub const MPAM_BW: Needs = Needs::Open(F::MPAM);
pub const MPAM_SME: Needs = Needs::Both(F::MPAM, F::SME);
pub const MTE2: Needs = Needs::One(F::MTE2);
pub const NMI: Needs = Needs::One(F::NMI);
pub const NV2: Needs = Needs::One(F::NV2);
pub const PAN: Needs = Needs::One(F::PAN);
pub const PAUTH: Needs = Needs::One(F::PAuth);
pub const PFAR: Needs = Needs::One(F::PFAR);
pub const PMU: Needs = Needs::One(F::PMUv3);
pub const PMU_ICNTR: Needs = Needs::One(F::PMUv3_ICNTR);
pub const PMU_SS: Needs = Needs::One(F::PMUv3_SS);
pub const PMU_V3P4: Needs = Needs::One(F::PMUv3p4);
pub const PMU_V3P9: Needs = Needs::One(F::PMUv3p9);
pub const RAS: Needs = Needs::One(F::RAS);
pub const RAS_V1P1: Needs = Needs::One(F::RASv1p1);
pub const RAS_V2: Needs = Needs::One(F::RASv2);
pub const RME: Needs = Needs::One(F::RME);
pub const RME_GPC3: Needs = Needs::One(F::RME_GPC3);
pub const RNG: Needs = Needs::One(F::RNG);
pub const S1PIE: Needs = Needs::One(F::S1PIE);
pub const S1POE: Needs = Needs::One(F::S1POE);
pub const S2PIE: Needs = Needs::One(F::S2PIE);
pub const S2POE: Needs = Needs::One(F::S2POE);
pub const SCTLR2: Needs = Needs::One(F::SCTLR2);
pub const SEBEP: Needs = Needs::One(F::SEBEP);
pub const SEL2: Needs = Needs::One(F::SEL2);
pub const SME: Needs = Needs::One(F::SME);
pub const SPE: Needs = Needs::One(F::SPE);
pub const SPE_EXC: Needs = Needs::One(F::SPE_EXC);
/// `PMSIDR_EL1` says.
pub const SPE_FDS: Needs = Needs::Open(F::SPE);
pub const SPE_V1P2: Needs = Needs::One(F::SPEv1p2);
pub const SPMU: Needs = Needs::One(F::SPMU);
pub const SRMASK: Needs = Needs::One(F::SRMASK);
pub const SSBS: Needs = Needs::One(F::SSBS);
/// `ID_AA64DFR2_EL1`.STEP says, whose layout is not in the tables.
pub const STEP2: Needs = Needs::Open(F::Debugv8p9);
pub const SVE: Needs = Needs::One(F::SVE);
pub const TCR2: Needs = Needs::One(F::TCR2);
pub const THE: Needs = Needs::One(F::THE);
/// System register access to the trace unit, whichever it is.
pub const TRACE: Needs = Needs::One(F::TRC_SR);
pub const TRBE: Needs = Needs::One(F::TRBE);
pub const TRBE_EXC: Needs = Needs::One(F::TRBE_EXC);
/// `TRBIDR_EL1` says.
pub const TRBE_MPAM: Needs = Needs::Open(F::TRBE);
pub const TRF: Needs = Needs::One(F::TRF);
pub const UAO: Needs = Needs::One(F::UAO);
pub const VHE: Needs = Needs::One(F::VHE);
