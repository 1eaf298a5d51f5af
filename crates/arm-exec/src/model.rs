//! What the engine is, as its identification registers say.

use arm_arch::feature::{CpuModel, IdRegisters};
use arm_arch::sysreg::{
    CtrEl0, DczidEl0, IdAa64Dfr0, IdAa64Isar0, IdAa64Isar1, IdAa64Mmfr0, IdAa64Mmfr1, IdAa64Mmfr2,
    IdAa64Pfr0, IdAa64Pfr1, MidrEl1, names,
};

/// Everything that a [`Pe`](crate::Pe) implements, and nothing else: the most that a guest on it can be told.
///
/// Armv8.0-A in AArch64 at EL1 and EL0, floating point and Advanced SIMD without half precision, CRC32, LSE, RDM,
/// AES and PMULL, SHA1, SHA256, PAN, UAO, DPB, LRCPC, DotProd, DIT, FlagM, SSBS with its instructions, GICv3 system
/// registers, granules of 4, 16 and 64 KiB, 48-bit physical addresses, 16-bit ASIDs, two breakpoints, two watchpoints.
pub const MODEL: CpuModel = {
    let mut ids = SPACE;
    (ids.midr, ids.ctr) = (MIDR, CTR);
    ids.dczid = DczidEl0::new().with_bs(4);
    // Level 1 with separate caches; unification and coherency at once, as CTR_EL0.IDC says.
    ids.clidr = 0x0100_0003;
    // 32 KiB: 128 sets, 4 ways, lines of 64 bytes.
    ids.ccsidr_l1 = 0x000f_e01a;
    CpuModel::new(ids)
};

/// CHOICE: implementer 0 is reserved for software use; the part number says nothing but which software. No errata
/// workaround of a guest matches it. Arm ARM, MIDR_EL1.
const MIDR: MidrEl1 = MidrEl1::new().with_architecture(0xf).with_part_num(0x7a0);

/// CHOICE: lines of 64 bytes; data caches need no cleaning, as there are none, but instruction caches need
/// invalidation, which is how decoded instructions are dropped.
const CTR: CtrEl0 = CtrEl0::new()
    .with_imin_line(4)
    .with_l1ip(3)
    .with_dmin_line(4)
    .with_erg(4)
    .with_cwg(4)
    .with_idc(true)
    .with_res1(true);

/// CHOICE: a faulting load or a mispredicted branch of software leaves no trace, hence CSV2 and CSV3.
const PFR0: IdAa64Pfr0 =
    IdAa64Pfr0::new().with_el0(1).with_el1(1).with_gic(1).with_dit(1).with_csv2(1).with_csv3(1);

const PFR1: IdAa64Pfr1 = IdAa64Pfr1::new().with_ssbs(2);

/// Two breakpoints, two watchpoints, the second breakpoint context-aware; no PMU, no double lock.
const DFR0: IdAa64Dfr0 =
    IdAa64Dfr0::new().with_debugver(6).with_brps(1).with_wrps(1).with_ctx_cmps(0).with_doublelock(0xf);

const ISAR0: IdAa64Isar0 = IdAa64Isar0::new()
    .with_aes(2)
    .with_sha1(1)
    .with_sha2(1)
    .with_crc32(1)
    .with_atomic(2)
    .with_rdm(1)
    .with_dp(1)
    .with_ts(1);

const ISAR1: IdAa64Isar1 = IdAa64Isar1::new().with_dpb(1).with_lrcpc(1);

/// Little-endian only: SCTLR_EL1.EE and E0E are RES0. 4 KiB and 64 KiB granules are announced by 0.
const MMFR0: IdAa64Mmfr0 = IdAa64Mmfr0::new().with_parange(5).with_asidbits(2).with_tgran16(1);

/// PAN without AT S1E1RP and S1E1WP.
const MMFR1: IdAa64Mmfr1 = IdAa64Mmfr1::new().with_pan(1);

const MMFR2: IdAa64Mmfr2 = IdAa64Mmfr2::new().with_uao(1);

const SPACE: IdRegisters = IdRegisters::NONE
    .with(names::ID_AA64PFR0_EL1, PFR0.into_bits())
    .with(names::ID_AA64PFR1_EL1, PFR1.into_bits())
    .with(names::ID_AA64DFR0_EL1, DFR0.into_bits())
    .with(names::ID_AA64ISAR0_EL1, ISAR0.into_bits())
    .with(names::ID_AA64ISAR1_EL1, ISAR1.into_bits())
    .with(names::ID_AA64MMFR0_EL1, MMFR0.into_bits())
    .with(names::ID_AA64MMFR1_EL1, MMFR1.into_bits())
    .with(names::ID_AA64MMFR2_EL1, MMFR2.into_bits());

#[cfg(test)]
mod tests {
    use super::*;
    use arm_arch::feature::model::MAX_MODELLED;

    #[test]
    fn registers_read_these_literals() {
        for (register, want) in [
            (names::MIDR_EL1, 0x000f_7a00),
            (names::ID_AA64PFR0_EL1, 0x1101_0000_0100_0011),
            (names::ID_AA64PFR1_EL1, 0x20),
            (names::ID_AA64DFR0_EL1, 0x0000_00f0_0010_1006),
            (names::ID_AA64ISAR0_EL1, 0x0010_1000_1021_1120),
            (names::ID_AA64ISAR1_EL1, 0x10_0001),
            (names::ID_AA64ISAR2_EL1, 0),
            (names::ID_AA64MMFR0_EL1, 0x10_0025),
            (names::ID_AA64MMFR1_EL1, 0x10_0000),
            (names::ID_AA64MMFR2_EL1, 0x10),
            (names::ID_PFR0_EL1, 0),
            (names::CTR_EL0, 0x9444_c004),
            (names::DCZID_EL0, 4),
            (names::CLIDR_EL1, 0x0100_0003),
        ] {
            assert_eq!(MODEL.ids().get(register), Some(want), "{register}");
        }
    }

    #[test]
    fn it_goes_together_and_the_rules_of_arm_arch_cover_it() {
        assert_eq!(MODEL.sanitised(), MODEL);
        assert_eq!(MODEL.unmet().count(), 0);
        assert_eq!(MODEL.fits(&CpuModel::new(MAX_MODELLED)), Ok(()));
    }
}
