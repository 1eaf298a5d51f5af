//! Who is asked when a program executes a system register access, a system instruction, a wait or a call: nobody, EL1,
//! EL2 or EL3, or the instruction is UNDEFINED.
//!
//! The answer is a pure function of encoding, direction, PSTATE, features and control registers. One table, made from
//! `data/trap_rules.tsv`, holds for each encoding the levels that have it, the features it needs, and the controls of
//! EL1, EL2 and EL3 that it is subject to; [`access`] reads it in the manual's order (Arm ARM, "Accessing" of each
//! register). Rows name controls ([`Trap`], [`TrapEl3`]) and numbers of fine-grained bits ([`FineBit`]); the registers
//! that hold the controls are read by the fields of their views. [`system_access`] is the part
//! for a guest at EL1 and EL0 under a hypervisor that uses nothing newer than Armv8.0-A's controls and no EL3; [`access_128`]
//! is about MRRS, MSRR and SYSP, whose rows are `data/trap_pairs.tsv` on top of those of the 64-bit forms. For a
//! PE in Non-secure state (CHOICE); HSTR_EL2 is not asked: its fields are about AArch32.
//!
//! Not in the table, because they depend on more than registers: EDSCR.TDA and the other controls of an external
//! debugger; EL3SDDUndef, which makes traps to EL3 UNDEFINED while one holds the PE.
//!
//! ```
//! use arm_arch::feature::{Features, model::MAX_MODELLED};
//! use arm_arch::iss::{Direction, SystemAccess};
//! use arm_arch::sysreg::{HcrEl2, names};
//! use arm_arch::trap::{Controls, Decision, system_access};
//! use arm_arch::PState;
//!
//! let controls = Controls { hcr: HcrEl2::new().with_tid3(true), ..Controls::default() };
//! let features = Features::of(&MAX_MODELLED);
//! let read = SystemAccess { id: names::ID_AA64PFR0_EL1, rt: 0, direction: Direction::Read };
//! let decision = system_access(read, PState::RESET_EL1, &controls, &features);
//! assert!(matches!(decision, Decision::TrapEl2(_)));
//! assert!(decision.to_string().starts_with("trapped to EL2: 0x62300009 trapped system access MRS X0"));
//! ```

mod access;
mod control;
mod extension;
mod fine;
mod other;
mod redirect;
mod report;
mod rules;
mod table;

pub use access::{access, access_128, is_implementation_defined, system_access};
pub use control::{Controls, Trap, active_traps};
pub use extension::{El3, Extensions, TrapEl3};
pub use fine::{FineBit, FineGrained, FineGroup, eret, svc};
pub use other::{
    Unit, fp_access, hvc, hvc_access, ls64_access, pointer_authentication, smc, smc_access, unit_access,
    wait, wait_access,
};
pub use redirect::{Nested, hosted, nested, vncr_offset, without_alias};
pub use report::{Control, Sources, TrapRow, table_bytes, trap_rows, trap_rows_128};
pub use rules::{Allowed, Gate, Needs, Rule, Source, rule_of, rule_of_pair};

use crate::el::ExceptionLevel;
use crate::exception::Cause;
use crate::iss::Syndrome;
use crate::sysreg::SysRegId;
use core::fmt;

/// What happens to an instruction, where there is no EL3. Arm ARM, AArch64.SystemAccessTrap, AArch64.Undefined.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It executes.
    Allowed,
    /// It is UNDEFINED: an exception with EC 0, to EL1 unless HCR_EL2.TGE says EL2.
    Undefined,
    /// EL1 gets an exception with this syndrome.
    TrapEl1(Syndrome),
    /// EL2 gets an exception with this syndrome.
    TrapEl2(Syndrome),
}

impl Decision {
    /// Returns the exception to take and the level that takes it, for the instruction at `pc`; `None` if it is
    /// allowed. An exception for EL1 from EL0 goes to EL2 if HCR_EL2.TGE is set. Arm ARM, AArch64.Undefined.
    #[must_use]
    pub fn cause(self, controls: &Controls, pc: u64) -> Option<(Cause, ExceptionLevel)> {
        let first = if controls.hcr.tge() { ExceptionLevel::El2 } else { ExceptionLevel::El1 };
        match self {
            Self::Allowed => None,
            Self::Undefined => Some((Cause::undefined(pc), first)),
            Self::TrapEl1(syndrome) => Some((Cause::sync(syndrome, pc), first)),
            Self::TrapEl2(syndrome) => Some((Cause::sync(syndrome, pc), ExceptionLevel::El2)),
        }
    }
}

/// What happens to a system register access or a system instruction. Arm ARM, "Accessing" of each register.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It reaches this register, which may be another than it names, or executes.
    Register(SysRegId),
    /// It reaches the 64 bits at this offset from VNCR_EL2.BADDR; a 128-bit access the 128 bits. FEAT_NV2.
    Memory(u16),
    /// It is UNDEFINED: an exception with EC 0, to EL1 (unless HCR_EL2.TGE says EL2) or to the level itself.
    Undefined,
    /// EL1 gets an exception with this syndrome.
    TrapEl1(Syndrome),
    /// EL2 gets an exception with this syndrome.
    TrapEl2(Syndrome),
    /// EL3 gets an exception with this syndrome.
    TrapEl3(Syndrome),
}

impl Outcome {
    /// Returns the level that traps it, 1 to 3; 0 if none does, also where it is UNDEFINED.
    /// Arm ARM, AArch64.SystemAccessTrap.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::Register(_) | Self::Memory(_) | Self::Undefined => 0,
            Self::TrapEl1(_) => 1,
            Self::TrapEl2(_) => 2,
            Self::TrapEl3(_) => 3,
        }
    }
}

impl From<Outcome> for Decision {
    /// Forgets where the access goes. What EL3 would trap is UNDEFINED where there is no EL3.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Register(_) | Outcome::Memory(_) => Self::Allowed,
            Outcome::Undefined | Outcome::TrapEl3(_) => Self::Undefined,
            Outcome::TrapEl1(syndrome) => Self::TrapEl1(syndrome),
            Outcome::TrapEl2(syndrome) => Self::TrapEl2(syndrome),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::Undefined => f.write_str("undefined"),
            Self::TrapEl1(syndrome) => write!(f, "trapped to EL1: {syndrome}"),
            Self::TrapEl2(syndrome) => write!(f, "trapped to EL2: {syndrome}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(id) => write!(f, "reaches {id}"),
            Self::Memory(offset) => write!(f, "reaches VNCR_EL2 + {offset:#x}"),
            Self::Undefined => f.write_str("undefined"),
            Self::TrapEl1(syndrome) => write!(f, "trapped to EL1: {syndrome}"),
            Self::TrapEl2(syndrome) => write!(f, "trapped to EL2: {syndrome}"),
            Self::TrapEl3(syndrome) => write!(f, "trapped to EL3: {syndrome}"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::feature::model::MAX_MODELLED;
    use crate::feature::{Features, is_id_space};
    use crate::iss::{Direction, SystemAccess};
    use crate::pstate::PState;
    use crate::sysreg::instructions::*;
    use crate::sysreg::names::*;
    use crate::sysreg::{CntkctlEl1, CpacrEl1, HcrEl2, MdscrEl1, SctlrEl1};
    use std::vec::Vec;

    const EL0: PState = PState::from_bits(0);
    const EL1: PState = PState::from_bits(5);
    use Direction::{Read, Write};

    #[derive(Debug, PartialEq, Eq)]
    enum To {
        Nobody,
        Undefined,
        El1(u8),
        El2(u8),
    }

    fn decide(id: SysRegId, direction: Direction, pstate: PState, controls: &Controls) -> To {
        let features = Features::of(&MAX_MODELLED);
        let access = SystemAccess { id, rt: 3, direction };
        match system_access(access, pstate, controls, &features) {
            Decision::Allowed => To::Nobody,
            Decision::Undefined => To::Undefined,
            Decision::TrapEl1(syndrome) => To::El1(syndrome.encode().ec().into_bits()),
            Decision::TrapEl2(syndrome) => To::El2(syndrome.encode().ec().into_bits()),
        }
    }

    /// A guest with everything open, and one thing changed.
    fn open(change: impl FnOnce(&mut Controls)) -> Controls {
        let mut controls = Controls {
            hcr: HcrEl2::new().with_e2h(true).with_rw(true),
            cptr: 0x30_0000,
            cnthctl: 0xc00,
            icc_sre_el2: 0xf,
            sctlr: SctlrEl1::new().with_uci(true).with_uct(true).with_dze(true).with_uma(true),
            cpacr: CpacrEl1::from_bits(0x30_0000),
            cntkctl: CntkctlEl1::from_bits(0x303),
            ..Controls::default()
        };
        change(&mut controls);
        controls
    }

    #[test]
    fn levels_and_directions_that_a_register_does_not_have_are_undefined() {
        let open = open(|_| {});
        const CASES: &[(&str, SysRegId, Direction, PState, To)] = &[
            ("read SCTLR_EL1 at EL1", SCTLR_EL1, Read, EL1, To::Nobody),
            ("read SCTLR_EL1 at EL0", SCTLR_EL1, Read, EL0, To::Undefined),
            ("write MIDR_EL1", MIDR_EL1, Write, EL1, To::Undefined),
            ("read OSLAR_EL1", OSLAR_EL1, Read, EL1, To::Undefined),
            ("write OSLAR_EL1", OSLAR_EL1, Write, EL1, To::Nobody),
            ("write TPIDRRO_EL0 at EL0", TPIDRRO_EL0, Write, EL0, To::Undefined),
            ("read TPIDRRO_EL0 at EL0", TPIDRRO_EL0, Read, EL0, To::Nobody),
            ("write TPIDRRO_EL0 at EL1", TPIDRRO_EL0, Write, EL1, To::Nobody),
            ("write TPIDR_EL0 at EL0", TPIDR_EL0, Write, EL0, To::Nobody),
            ("read HCR_EL2 at EL1", HCR_EL2, Read, EL1, To::Undefined),
            ("read SCTLR_EL12 at EL1", SCTLR_EL12, Read, EL1, To::Undefined),
            ("read VBAR_EL1", VBAR_EL1, Read, EL1, To::Nobody),
            ("write CNTFRQ_EL0 at EL1", CNTFRQ_EL0, Write, EL1, To::Undefined),
            ("read CNTFRQ_EL0 at EL1", CNTFRQ_EL0, Read, EL1, To::Nobody),
            ("write CNTVCT_EL0", CNTVCT_EL0, Write, EL1, To::Undefined),
            ("write ID_AA64PFR0_EL1", ID_AA64PFR0_EL1, Write, EL1, To::Undefined),
            ("read ID_AA64PFR0_EL1 at EL0", ID_AA64PFR0_EL1, Read, EL0, To::Undefined),
            ("read NZCV at EL0", NZCV, Read, EL0, To::Nobody),
            ("read CurrentEL at EL0", CURRENT_EL, Read, EL0, To::Undefined),
            ("DBGBVR1_EL1, the last", DBGBVR1_EL1, Read, EL1, To::Nobody),
            ("DBGBVR2_EL1, the first out", DBGBVR2_EL1, Read, EL1, To::Undefined),
            ("DBGWCR1_EL1, the last", DBGWCR1_EL1, Write, EL1, To::Nobody),
            ("DBGWCR2_EL1, the first out", DBGWCR2_EL1, Write, EL1, To::Undefined),
            ("TLBI VMALLE1IS at EL0", TLBI_VMALLE1IS, Write, EL0, To::Undefined),
            ("TLBI VMALLE1IS at EL1", TLBI_VMALLE1IS, Write, EL1, To::Nobody),
            ("TLBI ALLE2 at EL1", TLBI_ALLE2, Write, EL1, To::Undefined),
        ];
        for (name, id, direction, pstate, want) in CASES {
            assert_eq!(decide(*id, *direction, *pstate, &open), *want, "{name}");
        }
        assert_eq!(decide(SP_EL0, Read, EL1, &open), To::Nobody, "SP_EL0 while SP_EL1 is in use");
        assert_eq!(decide(SP_EL0, Read, PState::from_bits(4), &open), To::Undefined, "SP_EL0 while in use");
    }

    #[test]
    fn registers_of_features_that_are_not_announced_are_undefined() {
        let open = open(|_| {});
        for id in [
            APIAKEYLO_EL1,
            TCR2_EL1,
            ZCR_EL1,
            PMCR_EL0,
            LORC_EL1,
            ERRIDR_EL1,
            DISR_EL1,
            TCO,
            ALLINT,
            RNDR,
            CCSIDR2_EL1,
            GMID_EL1,
            SCXTNUM_EL0,
            TLBI_VAE1OS,
            TLBI_RVAE1,
            DC_CVADP,
            AT_S1E1RP,
            CFP_RCTX,
            ICC_AP0R1_EL1,
            ICC_NMIAR1_EL1,
            CNTVCTSS_EL0,
        ] {
            assert_eq!(decide(id, Write, EL1, &open), To::Undefined, "write {id}");
            assert_eq!(decide(id, Read, EL1, &open), To::Undefined, "read {id}");
        }
        for id in [PAN, UAO, DIT, SSBS, ICC_IAR1_EL1] {
            assert_eq!(decide(id, Read, EL1, &open), To::Nobody, "{id}");
        }
    }

    #[test]
    fn el0_passes_a_gate_that_el1_opens() {
        type Change = fn(&mut Controls);
        const CASES: &[(&str, SysRegId, Direction, Change, u8)] = &[
            ("UCT", CTR_EL0, Read, |c| c.sctlr.set_uct(false), 0x18),
            ("UCI, DC CVAU", DC_CVAU, Write, |c| c.sctlr.set_uci(false), 0x18),
            ("UCI, IC IVAU", IC_IVAU, Write, |c| c.sctlr.set_uci(false), 0x18),
            ("UCI, DC CVAP", DC_CVAP, Write, |c| c.sctlr.set_uci(false), 0x18),
            ("DZE", DC_ZVA, Write, |c| c.sctlr.set_dze(false), 0x18),
            ("UMA, read", DAIF, Read, |c| c.sctlr.set_uma(false), 0x18),
            ("UMA, MSR DAIFSet", SysRegId::new(0, 3, 4, 15, 6), Write, |c| c.sctlr.set_uma(false), 0x18),
            ("EL0VCTEN", CNTVCT_EL0, Read, |c| c.cntkctl.set_el0vcten(false), 0x18),
            ("EL0PCTEN", CNTPCT_EL0, Read, |c| c.cntkctl.set_el0pcten(false), 0x18),
            ("EL0VTEN", CNTV_CTL_EL0, Write, |c| c.cntkctl.set_el0vten(false), 0x18),
            ("EL0PTEN", CNTP_CVAL_EL0, Read, |c| c.cntkctl.set_el0pten(false), 0x18),
            ("both counters", CNTFRQ_EL0, Read, |c| c.cntkctl = CntkctlEl1::from_bits(0x300), 0x18),
            ("FPEN 0", FPCR, Read, |c| c.cpacr = CpacrEl1::from_bits(0), 0x07),
            ("FPEN 1", FPSR, Write, |c| c.cpacr = CpacrEl1::from_bits(0x10_0000), 0x07),
            ("TDCC", MDCCSR_EL0, Read, |c| c.mdscr = MdscrEl1::new().with_tdcc(true), 0x18),
        ];
        for (name, id, direction, change, ec) in CASES {
            assert_eq!(decide(*id, *direction, EL0, &open(|_| {})), To::Nobody, "{name}, open");
            assert_eq!(decide(*id, *direction, EL0, &open(change)), To::El1(*ec), "{name}, closed");
            if *name != "FPEN 0" {
                assert_eq!(decide(*id, *direction, EL1, &open(change)), To::Nobody, "{name}, at EL1");
            }
        }
        let one = open(|c| c.cntkctl = CntkctlEl1::from_bits(0x301));
        assert_eq!(decide(CNTFRQ_EL0, Read, EL0, &one), To::Nobody, "one of the two counters is enough");
        let host = open(|c| {
            c.hcr.set_tge(true);
            c.hcr.set_e2h(false);
            c.sctlr.set_uct(false);
        });
        assert_eq!(decide(CTR_EL0, Read, EL0, &host), To::El2(0x18), "TGE sends it to EL2");
    }

    #[test]
    fn el2_traps_what_it_asks_for() {
        type Change = fn(&mut Controls);
        const CASES: &[(&str, SysRegId, Direction, PState, Change)] = &[
            ("TID1", REVIDR_EL1, Read, EL1, |c| c.hcr.set_tid1(true)),
            ("TID2", CTR_EL0, Read, EL0, |c| c.hcr.set_tid2(true)),
            ("TID2, CSSELR", CSSELR_EL1, Write, EL1, |c| c.hcr.set_tid2(true)),
            ("TID3", ID_AA64MMFR0_EL1, Read, EL1, |c| c.hcr.set_tid3(true)),
            ("TID3, AArch32", ID_ISAR0_EL1, Read, EL1, |c| c.hcr.set_tid3(true)),
            ("TID4", CLIDR_EL1, Read, EL1, |c| c.hcr.set_tid4(true)),
            ("TACR", ACTLR_EL1, Write, EL1, |c| c.hcr.set_tacr(true)),
            ("TVM", TTBR0_EL1, Write, EL1, |c| c.hcr.set_tvm(true)),
            ("TRVM", CONTEXTIDR_EL1, Read, EL1, |c| c.hcr.set_trvm(true)),
            ("TSW", DC_CISW, Write, EL1, |c| c.hcr.set_tsw(true)),
            ("TPCP", DC_CIVAC, Write, EL0, |c| c.hcr.set_tpcp(true)),
            ("TPU", IC_IVAU, Write, EL0, |c| c.hcr.set_tpu(true)),
            ("TOCU", DC_CVAU, Write, EL1, |c| c.hcr.set_tocu(true)),
            ("TICAB", IC_IALLUIS, Write, EL1, |c| c.hcr.set_ticab(true)),
            ("TTLB", TLBI_VAE1, Write, EL1, |c| c.hcr.set_ttlb(true)),
            ("TTLBIS", TLBI_VAE1IS, Write, EL1, |c| c.hcr.set_ttlbis(true)),
            ("TDZ", DC_ZVA, Write, EL1, |c| c.hcr.set_tdz(true)),
            ("AT", AT_S1E1R, Write, EL1, |c| c.hcr.set_at(true)),
            ("TIDCP", SysRegId::new(3, 0, 15, 2, 0), Read, EL1, |c| c.hcr.set_tidcp(true)),
            ("TIDCP, SYS", SysRegId::new(1, 3, 11, 0, 0), Write, EL1, |c| c.hcr.set_tidcp(true)),
            ("IMO, ICC_SGI1R", ICC_SGI1R_EL1, Write, EL1, |c| c.hcr.set_imo(true)),
            ("FMO, ICC_SGI1R", ICC_SGI1R_EL1, Write, EL1, |c| c.hcr.set_fmo(true)),
            ("TCPAC", CPACR_EL1, Write, EL1, |c| c.cptr = 0x8030_0000),
            ("EL1PCTEN", CNTPCT_EL0, Read, EL0, |c| c.cnthctl = 0x800),
            ("EL1PTEN", CNTP_CTL_EL0, Write, EL1, |c| c.cnthctl = 0x400),
            ("EL1TVT", CNTV_CTL_EL0, Write, EL1, |c| c.cnthctl = 0x2c00),
            ("EL1TVCT", CNTVCT_EL0, Read, EL0, |c| c.cnthctl = 0x4c00),
            ("TDA", MDSCR_EL1, Write, EL1, |c| c.mdcr.set_tda(true)),
            ("TDE stands for TDA", DBGBVR0_EL1, Read, EL1, |c| c.mdcr.set_tde(true)),
            ("TDOSA", OSLAR_EL1, Write, EL1, |c| c.mdcr.set_tdosa(true)),
            ("TDRA", MDRAR_EL1, Read, EL1, |c| c.mdcr.set_tdra(true)),
            ("TC", ICC_PMR_EL1, Write, EL1, |c| c.ich_hcr.set_tc(true)),
            ("TALL0", ICC_IAR0_EL1, Read, EL1, |c| c.ich_hcr.set_tall0(true)),
            ("TALL1", ICC_EOIR1_EL1, Write, EL1, |c| c.ich_hcr.set_tall1(true)),
            ("TDIR", ICC_DIR_EL1, Write, EL1, |c| c.ich_hcr.set_tdir(true)),
            ("SRE_EL2.Enable", ICC_SRE_EL1, Read, EL1, |c| c.icc_sre_el2 = 7),
        ];
        for (name, id, direction, pstate, change) in CASES {
            let before = decide(*id, *direction, *pstate, &open(|_| {}));
            assert!(matches!(before, To::Nobody | To::Undefined), "{name}, open");
            assert_eq!(decide(*id, *direction, *pstate, &open(change)), To::El2(0x18), "{name}");
        }
        let fp = open(|c| c.cptr = 0);
        assert_eq!(decide(FPCR, Read, EL1, &fp), To::El2(0x07));
        let tvm = open(|c| c.hcr.set_tvm(true));
        assert_eq!(decide(TTBR0_EL1, Read, EL1, &tvm), To::Nobody, "TVM is about writes");
    }

    #[test]
    fn el1_is_asked_before_el2_and_undefined_before_both() {
        let both = open(|c| {
            c.hcr.set_tid2(true);
            c.sctlr.set_uct(false);
        });
        assert_eq!(decide(CTR_EL0, Read, EL0, &both), To::El1(0x18));
        let tid3 = open(|c| c.hcr.set_tid3(true));
        assert_eq!(decide(ID_AA64PFR0_EL1, Write, EL1, &tid3), To::Undefined);
        assert_eq!(decide(ID_AA64PFR0_EL1, Read, EL0, &tid3), To::Undefined);
    }

    #[test]
    fn every_read_of_the_id_space_is_trapped_by_tid3_and_by_nothing_else() {
        let tid3 = open(|c| c.hcr.set_tid3(true));
        let open = open(|_| {});
        let trapped = (0..=u16::MAX).map(SysRegId::from_bits).filter(|id| {
            decide(*id, Read, EL1, &tid3) == To::El2(0x18) && decide(*id, Read, EL1, &open) == To::Nobody
        });
        let trapped: Vec<_> = trapped.collect();
        assert_eq!(trapped.len(), 56);
        assert!(trapped.iter().all(|id| is_id_space(*id)));
    }

    #[test]
    fn no_encoding_of_a_higher_level_is_open_to_el1() {
        let open = open(|_| {});
        for id in (0..=u16::MAX).map(SysRegId::from_bits).filter(|id| id.op0() == 3 && id.op1() >= 4) {
            assert_eq!(decide(id, Read, EL1, &open), To::Undefined, "{id}");
            assert_eq!(decide(id, Write, EL1, &open), To::Undefined, "{id}");
        }
    }

    #[test]
    fn the_exception_of_a_decision_goes_where_tge_says() {
        let controls = open(|c| c.sctlr.set_uct(false));
        let access = SystemAccess { id: CTR_EL0, rt: 3, direction: Read };
        let features = Features::of(&MAX_MODELLED);
        let decision = system_access(access, EL0, &controls, &features);
        let (cause, target) = decision.cause(&controls, 0x1000).unwrap();
        assert_eq!(target, ExceptionLevel::El1);
        // op0 3, op2 1, op1 3, CRn 0, Rt 3, CRm 0, read.
        assert_eq!(cause.syndrome.unwrap().into_bits(), 0x6232_c061);
        assert_eq!(cause.preferred_return, 0x1000);
        assert!(Decision::Allowed.cause(&controls, 0).is_none());
        let tge = open(|c| c.hcr.set_tge(true));
        assert_eq!(Decision::Undefined.cause(&tge, 0).unwrap().1, ExceptionLevel::El2);
    }
}
