//! The fields of the AArch32 ID registers as AArch64 reads them, and what ties them to the AArch64 ones.
//!
//! They say something only where EL0 can use AArch32; elsewhere they are UNKNOWN (CHOICE: zero). Arm ARM,
//! `ID_PFR0_EL1` to `ID_MMFR5_EL1`, `MVFR0_EL1` to `MVFR2_EL1`. `ID_AFR0_EL1` is IMPLEMENTATION DEFINED and has no field.

use super::field::Kind::{Exact, Signed, Unsigned};
use super::field::{Field, field};
use super::{Feature, Features, IdRegisters};
use crate::sysreg::names as id;

/// Every named field, by register and from the lowest bit; what is in none of them is RES0.
/// Arm ARM, ID_PFR0_EL1 to ID_MMFR5_EL1, MVFR0_EL1 to MVFR2_EL1.
///
/// Shareability that is ignored, supersections that are not supported and monitors of another kind are −1. Which
/// maintenance branch predictors want has no order.
#[rustfmt::skip]
pub static AARCH32_FIELDS: &[Field] = &[
    field(id::ID_PFR0_EL1, "State0", 3, 0, Unsigned),
    field(id::ID_PFR0_EL1, "State1", 7, 4, Unsigned),
    field(id::ID_PFR0_EL1, "State2", 11, 8, Unsigned),
    field(id::ID_PFR0_EL1, "State3", 15, 12, Unsigned),
    field(id::ID_PFR0_EL1, "CSV2", 19, 16, Unsigned),
    field(id::ID_PFR0_EL1, "AMU", 23, 20, Unsigned),
    field(id::ID_PFR0_EL1, "DIT", 27, 24, Unsigned),
    field(id::ID_PFR0_EL1, "RAS", 31, 28, Unsigned),
    field(id::ID_PFR1_EL1, "ProgMod", 3, 0, Unsigned),
    field(id::ID_PFR1_EL1, "Security", 7, 4, Unsigned),
    field(id::ID_PFR1_EL1, "MProgMod", 11, 8, Unsigned),
    field(id::ID_PFR1_EL1, "Virtualization", 15, 12, Unsigned),
    field(id::ID_PFR1_EL1, "GenTimer", 19, 16, Unsigned),
    field(id::ID_PFR1_EL1, "Sec_frac", 23, 20, Unsigned),
    field(id::ID_PFR1_EL1, "Virt_frac", 27, 24, Unsigned),
    field(id::ID_PFR1_EL1, "GIC", 31, 28, Unsigned),
    field(id::ID_DFR0_EL1, "CopDbg", 3, 0, Unsigned),
    field(id::ID_DFR0_EL1, "CopSDbg", 7, 4, Unsigned),
    field(id::ID_DFR0_EL1, "MMapDbg", 11, 8, Unsigned),
    field(id::ID_DFR0_EL1, "CopTrc", 15, 12, Unsigned),
    field(id::ID_DFR0_EL1, "MMapTrc", 19, 16, Unsigned),
    field(id::ID_DFR0_EL1, "MProfDbg", 23, 20, Unsigned),
    field(id::ID_DFR0_EL1, "PerfMon", 27, 24, Signed),
    field(id::ID_DFR0_EL1, "TraceFilt", 31, 28, Unsigned),
    field(id::ID_MMFR0_EL1, "VMSA", 3, 0, Unsigned),
    field(id::ID_MMFR0_EL1, "PMSA", 7, 4, Unsigned),
    field(id::ID_MMFR0_EL1, "OuterShr", 11, 8, Signed),
    field(id::ID_MMFR0_EL1, "ShareLvl", 15, 12, Unsigned),
    field(id::ID_MMFR0_EL1, "TCM", 19, 16, Unsigned),
    field(id::ID_MMFR0_EL1, "AuxReg", 23, 20, Unsigned),
    field(id::ID_MMFR0_EL1, "FCSE", 27, 24, Unsigned),
    field(id::ID_MMFR0_EL1, "InnerShr", 31, 28, Signed),
    field(id::ID_MMFR1_EL1, "L1HvdVA", 3, 0, Unsigned),
    field(id::ID_MMFR1_EL1, "L1UniVA", 7, 4, Unsigned),
    field(id::ID_MMFR1_EL1, "L1HvdSW", 11, 8, Unsigned),
    field(id::ID_MMFR1_EL1, "L1UniSW", 15, 12, Unsigned),
    field(id::ID_MMFR1_EL1, "L1Hvd", 19, 16, Unsigned),
    field(id::ID_MMFR1_EL1, "L1Uni", 23, 20, Unsigned),
    field(id::ID_MMFR1_EL1, "L1TstCln", 27, 24, Unsigned),
    field(id::ID_MMFR1_EL1, "BPred", 31, 28, Exact),
    field(id::ID_MMFR2_EL1, "L1HvdFG", 3, 0, Unsigned),
    field(id::ID_MMFR2_EL1, "L1HvdBG", 7, 4, Unsigned),
    field(id::ID_MMFR2_EL1, "L1HvdRng", 11, 8, Unsigned),
    field(id::ID_MMFR2_EL1, "HvdTLB", 15, 12, Unsigned),
    field(id::ID_MMFR2_EL1, "UniTLB", 19, 16, Unsigned),
    field(id::ID_MMFR2_EL1, "MemBarr", 23, 20, Unsigned),
    field(id::ID_MMFR2_EL1, "WFIStall", 27, 24, Unsigned),
    field(id::ID_MMFR2_EL1, "HWAccFlg", 31, 28, Unsigned),
    field(id::ID_MMFR3_EL1, "CMaintVA", 3, 0, Unsigned),
    field(id::ID_MMFR3_EL1, "CMaintSW", 7, 4, Unsigned),
    field(id::ID_MMFR3_EL1, "BPMaint", 11, 8, Unsigned),
    field(id::ID_MMFR3_EL1, "MaintBcst", 15, 12, Unsigned),
    field(id::ID_MMFR3_EL1, "PAN", 19, 16, Unsigned),
    field(id::ID_MMFR3_EL1, "CohWalk", 23, 20, Unsigned),
    field(id::ID_MMFR3_EL1, "CMemSz", 27, 24, Unsigned),
    field(id::ID_MMFR3_EL1, "Supersec", 31, 28, Signed),
    field(id::ID_ISAR0_EL1, "Swap", 3, 0, Unsigned),
    field(id::ID_ISAR0_EL1, "BitCount", 7, 4, Unsigned),
    field(id::ID_ISAR0_EL1, "BitField", 11, 8, Unsigned),
    field(id::ID_ISAR0_EL1, "CmpBranch", 15, 12, Unsigned),
    field(id::ID_ISAR0_EL1, "Coproc", 19, 16, Unsigned),
    field(id::ID_ISAR0_EL1, "Debug", 23, 20, Unsigned),
    field(id::ID_ISAR0_EL1, "Divide", 27, 24, Unsigned),
    field(id::ID_ISAR1_EL1, "Endian", 3, 0, Unsigned),
    field(id::ID_ISAR1_EL1, "Except", 7, 4, Unsigned),
    field(id::ID_ISAR1_EL1, "Except_AR", 11, 8, Unsigned),
    field(id::ID_ISAR1_EL1, "Extend", 15, 12, Unsigned),
    field(id::ID_ISAR1_EL1, "IfThen", 19, 16, Unsigned),
    field(id::ID_ISAR1_EL1, "Immediate", 23, 20, Unsigned),
    field(id::ID_ISAR1_EL1, "Interwork", 27, 24, Unsigned),
    field(id::ID_ISAR1_EL1, "Jazelle", 31, 28, Unsigned),
    field(id::ID_ISAR2_EL1, "LoadStore", 3, 0, Unsigned),
    field(id::ID_ISAR2_EL1, "MemHint", 7, 4, Unsigned),
    field(id::ID_ISAR2_EL1, "MultiAccessInt", 11, 8, Unsigned),
    field(id::ID_ISAR2_EL1, "Mult", 15, 12, Unsigned),
    field(id::ID_ISAR2_EL1, "MultS", 19, 16, Unsigned),
    field(id::ID_ISAR2_EL1, "MultU", 23, 20, Unsigned),
    field(id::ID_ISAR2_EL1, "PSR_AR", 27, 24, Unsigned),
    field(id::ID_ISAR2_EL1, "Reversal", 31, 28, Unsigned),
    field(id::ID_ISAR3_EL1, "Saturate", 3, 0, Unsigned),
    field(id::ID_ISAR3_EL1, "SIMD", 7, 4, Unsigned),
    field(id::ID_ISAR3_EL1, "SVC", 11, 8, Unsigned),
    field(id::ID_ISAR3_EL1, "SynchPrim", 15, 12, Unsigned),
    field(id::ID_ISAR3_EL1, "TabBranch", 19, 16, Unsigned),
    field(id::ID_ISAR3_EL1, "T32Copy", 23, 20, Unsigned),
    field(id::ID_ISAR3_EL1, "TrueNOP", 27, 24, Unsigned),
    field(id::ID_ISAR3_EL1, "T32EE", 31, 28, Unsigned),
    field(id::ID_ISAR4_EL1, "Unpriv", 3, 0, Unsigned),
    field(id::ID_ISAR4_EL1, "WithShifts", 7, 4, Unsigned),
    field(id::ID_ISAR4_EL1, "Writeback", 11, 8, Unsigned),
    field(id::ID_ISAR4_EL1, "SMC", 15, 12, Unsigned),
    field(id::ID_ISAR4_EL1, "Barrier", 19, 16, Unsigned),
    field(id::ID_ISAR4_EL1, "SynchPrim_frac", 23, 20, Unsigned),
    field(id::ID_ISAR4_EL1, "PSR_M", 27, 24, Unsigned),
    field(id::ID_ISAR4_EL1, "SWP_frac", 31, 28, Unsigned),
    field(id::ID_ISAR5_EL1, "SEVL", 3, 0, Unsigned),
    field(id::ID_ISAR5_EL1, "AES", 7, 4, Unsigned),
    field(id::ID_ISAR5_EL1, "SHA1", 11, 8, Unsigned),
    field(id::ID_ISAR5_EL1, "SHA2", 15, 12, Unsigned),
    field(id::ID_ISAR5_EL1, "CRC32", 19, 16, Unsigned),
    field(id::ID_ISAR5_EL1, "RDM", 27, 24, Unsigned),
    field(id::ID_ISAR5_EL1, "VCMA", 31, 28, Unsigned),
    field(id::ID_MMFR4_EL1, "SpecSEI", 3, 0, Unsigned),
    field(id::ID_MMFR4_EL1, "AC2", 7, 4, Unsigned),
    field(id::ID_MMFR4_EL1, "XNX", 11, 8, Unsigned),
    field(id::ID_MMFR4_EL1, "CnP", 15, 12, Unsigned),
    field(id::ID_MMFR4_EL1, "HPDS", 19, 16, Unsigned),
    field(id::ID_MMFR4_EL1, "LSM", 23, 20, Unsigned),
    field(id::ID_MMFR4_EL1, "CCIDX", 27, 24, Unsigned),
    field(id::ID_MMFR4_EL1, "EVT", 31, 28, Unsigned),
    field(id::ID_ISAR6_EL1, "JSCVT", 3, 0, Unsigned),
    field(id::ID_ISAR6_EL1, "DP", 7, 4, Unsigned),
    field(id::ID_ISAR6_EL1, "FHM", 11, 8, Unsigned),
    field(id::ID_ISAR6_EL1, "SB", 15, 12, Unsigned),
    field(id::ID_ISAR6_EL1, "SPECRES", 19, 16, Unsigned),
    field(id::ID_ISAR6_EL1, "BF16", 23, 20, Unsigned),
    field(id::ID_ISAR6_EL1, "I8MM", 27, 24, Unsigned),
    field(id::ID_ISAR6_EL1, "CLRBHB", 31, 28, Unsigned),
    field(id::MVFR0_EL1, "SIMDReg", 3, 0, Unsigned),
    field(id::MVFR0_EL1, "FPSP", 7, 4, Unsigned),
    field(id::MVFR0_EL1, "FPDP", 11, 8, Unsigned),
    field(id::MVFR0_EL1, "FPTrap", 15, 12, Unsigned),
    field(id::MVFR0_EL1, "FPDivide", 19, 16, Unsigned),
    field(id::MVFR0_EL1, "FPSqrt", 23, 20, Unsigned),
    field(id::MVFR0_EL1, "FPShVec", 27, 24, Unsigned),
    field(id::MVFR0_EL1, "FPRound", 31, 28, Unsigned),
    field(id::MVFR1_EL1, "FPFtZ", 3, 0, Unsigned),
    field(id::MVFR1_EL1, "FPDNaN", 7, 4, Unsigned),
    field(id::MVFR1_EL1, "SIMDLS", 11, 8, Unsigned),
    field(id::MVFR1_EL1, "SIMDInt", 15, 12, Unsigned),
    field(id::MVFR1_EL1, "SIMDSP", 19, 16, Unsigned),
    field(id::MVFR1_EL1, "SIMDHP", 23, 20, Unsigned),
    field(id::MVFR1_EL1, "FPHP", 27, 24, Unsigned),
    field(id::MVFR1_EL1, "SIMDFMAC", 31, 28, Unsigned),
    field(id::MVFR2_EL1, "SIMDMisc", 3, 0, Unsigned),
    field(id::MVFR2_EL1, "FPMisc", 7, 4, Unsigned),
    field(id::ID_PFR2_EL1, "CSV3", 3, 0, Unsigned),
    field(id::ID_PFR2_EL1, "SSBS", 7, 4, Unsigned),
    field(id::ID_PFR2_EL1, "RAS_frac", 11, 8, Unsigned),
    field(id::ID_DFR1_EL1, "MTPMU", 3, 0, Signed),
    field(id::ID_DFR1_EL1, "HPMN0", 7, 4, Unsigned),
    field(id::ID_MMFR5_EL1, "ETS", 3, 0, Unsigned),
    field(id::ID_MMFR5_EL1, "nTLBPA", 7, 4, Unsigned),
];

/// A field that announces a feature which an AArch64 field announces too: without the feature it is less than `min`.
struct Follows {
    feature: Feature,
    field: Field,
    min: u64,
}

const fn follows(feature: Feature, field: Field, min: u64) -> Follows {
    Follows { feature, field, min }
}

/// Arm ARM, the "FEAT_X implements the functionality identified by" of each field.
#[rustfmt::skip]
static FOLLOWS: &[Follows] = &[
    follows(Feature::CSV2, field(id::ID_PFR0_EL1, "CSV2", 19, 16, Unsigned), 1),
    follows(Feature::AMUv1, field(id::ID_PFR0_EL1, "AMU", 23, 20, Unsigned), 1),
    follows(Feature::AMUv1p1, field(id::ID_PFR0_EL1, "AMU", 23, 20, Unsigned), 2),
    follows(Feature::DIT, field(id::ID_PFR0_EL1, "DIT", 27, 24, Unsigned), 1),
    follows(Feature::RAS, field(id::ID_PFR0_EL1, "RAS", 31, 28, Unsigned), 1),
    follows(Feature::GICv3, field(id::ID_PFR1_EL1, "GIC", 31, 28, Unsigned), 1),
    follows(Feature::TRF, field(id::ID_DFR0_EL1, "TraceFilt", 31, 28, Unsigned), 1),
    follows(Feature::PAN, field(id::ID_MMFR3_EL1, "PAN", 19, 16, Unsigned), 1),
    follows(Feature::PAN2, field(id::ID_MMFR3_EL1, "PAN", 19, 16, Unsigned), 2),
    follows(Feature::AES, field(id::ID_ISAR5_EL1, "AES", 7, 4, Unsigned), 1),
    follows(Feature::PMULL, field(id::ID_ISAR5_EL1, "AES", 7, 4, Unsigned), 2),
    follows(Feature::SHA1, field(id::ID_ISAR5_EL1, "SHA1", 11, 8, Unsigned), 1),
    follows(Feature::SHA256, field(id::ID_ISAR5_EL1, "SHA2", 15, 12, Unsigned), 1),
    follows(Feature::CRC32, field(id::ID_ISAR5_EL1, "CRC32", 19, 16, Unsigned), 1),
    follows(Feature::RDM, field(id::ID_ISAR5_EL1, "RDM", 27, 24, Unsigned), 1),
    follows(Feature::FCMA, field(id::ID_ISAR5_EL1, "VCMA", 31, 28, Unsigned), 1),
    follows(Feature::XNX, field(id::ID_MMFR4_EL1, "XNX", 11, 8, Unsigned), 1),
    follows(Feature::TTCNP, field(id::ID_MMFR4_EL1, "CnP", 15, 12, Unsigned), 1),
    follows(Feature::LSMAOC, field(id::ID_MMFR4_EL1, "LSM", 23, 20, Unsigned), 1),
    follows(Feature::EVT, field(id::ID_MMFR4_EL1, "EVT", 31, 28, Unsigned), 1),
    follows(Feature::JSCVT, field(id::ID_ISAR6_EL1, "JSCVT", 3, 0, Unsigned), 1),
    follows(Feature::DotProd, field(id::ID_ISAR6_EL1, "DP", 7, 4, Unsigned), 1),
    follows(Feature::FHM, field(id::ID_ISAR6_EL1, "FHM", 11, 8, Unsigned), 1),
    follows(Feature::SB, field(id::ID_ISAR6_EL1, "SB", 15, 12, Unsigned), 1),
    follows(Feature::SPECRES, field(id::ID_ISAR6_EL1, "SPECRES", 19, 16, Unsigned), 1),
    follows(Feature::CLRBHB, field(id::ID_ISAR6_EL1, "CLRBHB", 31, 28, Unsigned), 1),
    follows(Feature::FP16, field(id::MVFR1_EL1, "SIMDHP", 23, 20, Unsigned), 2),
    follows(Feature::FP16, field(id::MVFR1_EL1, "FPHP", 27, 24, Unsigned), 3),
    follows(Feature::CSV3, field(id::ID_PFR2_EL1, "CSV3", 3, 0, Unsigned), 1),
    follows(Feature::SSBS, field(id::ID_PFR2_EL1, "SSBS", 7, 4, Unsigned), 1),
];

/// Makes the AArch32 registers say no more than the AArch64 ones do.
pub(super) fn follow(ids: &mut IdRegisters, features: &Features) {
    if !features.has(Feature::AA32EL0) {
        ids.aarch32 = [0; 24];
        return;
    }
    for row in FOLLOWS.iter().filter(|row| !features.has(row.feature)) {
        let value = ids.field(&row.field).min(row.min.saturating_sub(1));
        ids.put(&row.field, value);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::feature::models::{CORTEX_A57, NEOVERSE_N1};
    use crate::feature::{CpuModel, is_id_space};
    use std::vec::Vec;

    #[test]
    fn the_fields_are_in_order_and_nothing_overlaps() {
        for pair in AARCH32_FIELDS.windows(2) {
            let [a, b] = pair else { continue };
            assert!((a.register, a.lo) < (b.register, b.lo), "{} before {}", a.name, b.name);
            assert!(a.register != b.register || a.hi < b.lo, "{} overlaps {}", a.name, b.name);
        }
        assert!(AARCH32_FIELDS.iter().all(|f| is_id_space(f.register) && f.register.crm() < 4));
        for row in FOLLOWS {
            assert!(AARCH32_FIELDS.contains(&row.field), "{}", row.field.name);
        }
    }

    #[test]
    fn parts_with_aarch32_say_nothing_that_is_not_a_field() {
        // Read out of an emulator's parts: no bit is lost, and everything follows what AArch64 announces.
        for part in [CORTEX_A57, NEOVERSE_N1] {
            assert_eq!(part.model.sanitised().ids().aarch32, part.model.ids().aarch32, "{}", part.name);
            assert_eq!(part.model.ids().get(id::ID_PFR0_EL1).map(|pfr0| pfr0 & 0xffff), Some(0x131));
        }
    }

    #[test]
    fn what_a_guest_on_two_parts_may_rely_on_in_aarch32() {
        let both = CORTEX_A57.model.meet(&NEOVERSE_N1.model);
        // A57 and N1, from `data/cpu_models.tsv`.
        for (register, a57, n1, want) in [
            (id::ID_PFR0_EL1, 0x131, 0x1001_0131, 0x131),
            (id::ID_ISAR5_EL1, 0x1_1121, 0x101_1121, 0x1_1121),
            (id::ID_MMFR3_EL1, 0x210_2211, 0x212_2211, 0x210_2211),
            (id::ID_ISAR6_EL1, 0, 0x10, 0),
            (id::MVFR1_EL1, 0x1211_1111, 0x1321_1111, 0x1211_1111),
            (id::ID_MMFR1_EL1, 0x4000_0000, 0x4000_0000, 0x4000_0000),
        ] {
            let read = |model: &CpuModel| model.ids().get(register);
            assert_eq!(
                (read(&CORTEX_A57.model), read(&NEOVERSE_N1.model)),
                (Some(a57), Some(n1)),
                "{register}"
            );
            assert_eq!(read(&both), Some(want), "{register}");
        }
        assert_eq!(both.fits(&CORTEX_A57.model), Ok(()));
        let why =
            NEOVERSE_N1.model.misfits(&CORTEX_A57.model).map(|error| error.register).collect::<Vec<_>>();
        assert!(why.contains(&id::ID_ISAR5_EL1) && why.contains(&id::MVFR1_EL1), "{why:?}");
    }

    #[test]
    fn without_aarch32_at_el0_the_registers_are_zero_and_ask_for_nothing() {
        let mut ids = *NEOVERSE_N1.model.ids();
        assert!(ids.set(id::ID_AA64PFR0_EL1, ids.pfr0().with_el0(1).into_bits()));
        let only = CpuModel::new(ids);
        assert_eq!(only.sanitised().ids().aarch32, [0; 24]);
        assert_eq!(only.fits(&NEOVERSE_N1.model), Ok(()));
        let refused = NEOVERSE_N1.model.fits(&only.sanitised()).unwrap_err();
        assert_eq!(refused.register, id::ID_AA64PFR0_EL1, "EL0");
        let limit = only.sanitised();
        assert!(limit.ids().check_write(id::ID_PFR0_EL1, 0).is_ok());
        assert!(
            limit.ids().check_write(id::ID_MMFR3_EL1, 0xf000_0000).is_err(),
            "not even less than nothing"
        );
    }

    #[test]
    fn a_feature_that_is_hidden_is_hidden_in_both_halves() {
        let mut ids = *NEOVERSE_N1.model.ids();
        // Without DotProd in AArch64; SHA2 and CRC32 too.
        let isar0 = ids.isar0().with_dp(0).with_sha2(0).with_crc32(0);
        assert!(ids.set(id::ID_AA64ISAR0_EL1, isar0.into_bits()));
        let told = CpuModel::new(ids).sanitised();
        assert_eq!(told.ids().get(id::ID_ISAR6_EL1), Some(0));
        assert_eq!(told.ids().get(id::ID_ISAR5_EL1), Some(0x100_0121));
    }
}
