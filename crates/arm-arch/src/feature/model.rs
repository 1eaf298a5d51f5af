//! The ID registers of everything modelled here. Arm ARM, ID_AA64PFR0_EL1 and the registers beside it.

use super::IdRegisters;
use crate::sysreg::{
    CtrEl0, DczidEl0, IdAa64Dfr0, IdAa64Isar0, IdAa64Isar1, IdAa64Mmfr0, IdAa64Mmfr1, IdAa64Mmfr2,
    IdAa64Pfr0, IdAa64Pfr1, MidrEl1,
};

/// Everything for which this crate has every rule that EL1 and EL0 need: registers, traps, exceptions, PSTATE.
/// Arm ARM, ID_AA64PFR0_EL1 and the registers beside it.
///
/// Armv8.0-A in AArch64 at EL1 and EL0, floating point and Advanced SIMD without half precision, CRC32, LSE, RDM,
/// AES and PMULL, SHA1, SHA256, PAN, UAO, DPB, LRCPC, DotProd, DIT, FlagM, SSBS with its instructions, GICv3 system
/// registers, granules of 4, 16 and 64 KiB, 48-bit physical addresses, 16-bit ASIDs.
pub const MAX_MODELLED: IdRegisters = IdRegisters {
    midr: MIDR,
    ctr: CTR,
    dczid: DczidEl0::new().with_bs(4),
    // Level 1 with separate caches; unification and coherency at once, as CTR_EL0.IDC says.
    clidr: 0x0100_0003,
    // 32 KiB: 128 sets, 4 ways, lines of 64 bytes.
    ccsidr_l1: 0x000f_e01a,
    ccsidr_l1i: 0,
    ccsidr_l2: 0,
    space: space(),
    aarch32: [0; 24],
    revidr: 0,
    aidr: 0,
};

/// CHOICE: implementer 0 is reserved for software use; the part number says nothing but which software. No errata
/// workaround of a guest matches it. Arm ARM, MIDR_EL1.
const MIDR: MidrEl1 = MidrEl1::new().with_architecture(0xf).with_part_num(0x7a0);

/// CHOICE: lines of 64 bytes; data caches need no cleaning, as there are none, but instruction caches need
/// invalidation, which is how translated code is dropped.
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

/// The least that Armv8.0 allows: two breakpoints, two watchpoints, one of the breakpoints context-aware; no PMU, no
/// double lock.
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

/// The ID space from CRm = 4, eight registers for each CRm.
#[rustfmt::skip]
const fn space() -> [u64; 32] {
    [
        PFR0.into_bits(), PFR1.into_bits(), 0, 0, 0, 0, 0, 0,
        DFR0.into_bits(), 0, 0, 0, 0, 0, 0, 0,
        ISAR0.into_bits(), ISAR1.into_bits(), 0, 0, 0, 0, 0, 0,
        MMFR0.into_bits(), MMFR1.into_bits(), MMFR2.into_bits(), 0, 0, 0, 0, 0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{Feature, Features};

    #[test]
    fn registers_read_these_literals() {
        assert_eq!(MAX_MODELLED.pfr0().into_bits(), 0x1101_0000_0100_0011);
        assert_eq!(MAX_MODELLED.pfr1().into_bits(), 0x20);
        assert_eq!(MAX_MODELLED.dfr0().into_bits(), 0x0000_00f0_0010_1006);
        assert_eq!(MAX_MODELLED.isar0().into_bits(), 0x0010_1000_1021_1120);
        assert_eq!(MAX_MODELLED.isar1().into_bits(), 0x10_0001);
        assert_eq!(MAX_MODELLED.isar2().into_bits(), 0);
        assert_eq!(MAX_MODELLED.mmfr0().into_bits(), 0x10_0025);
        assert_eq!(MAX_MODELLED.mmfr1().into_bits(), 0x10_0000);
        assert_eq!(MAX_MODELLED.mmfr2().into_bits(), 0x10);
        assert_eq!(MAX_MODELLED.midr.into_bits(), 0x000f_7a00);
        assert_eq!(MAX_MODELLED.ctr.into_bits(), 0x9444_c004);
        assert_eq!(MAX_MODELLED.dczid.into_bits(), 4);
    }

    #[test]
    fn announced_is_what_is_implemented_and_nothing_else() {
        use Feature::*;
        const WANT: &[Feature] = &[
            AA64, AA64EL0, AA64EL1, EL0, EL1, AES, ASID16, AdvSIMD, CRC32, CSV2, CSV3, DIT, DPB, DotProd, FP,
            FlagM, GICv3, LRCPC, LSE, PAN, PMULL, RDM, SHA1, SHA256, SSBS, SSBS2, TGran16K, TGran4K,
            TGran64K, UAO,
        ];
        let features = Features::of(&MAX_MODELLED);
        let mut all = Features { breakpoints: 2, watchpoints: 2, ..Features::NONE };
        for feature in WANT {
            assert!(features.has(*feature), "{feature:?}");
            all = all.with(*feature);
        }
        assert_eq!(features, all);
        // PAN, UAO, DIT and SSBS in addition to what every element has.
        assert_eq!(features.pstate_mask().present().into_bits(), 0xf1f0_13cf);
    }
}
