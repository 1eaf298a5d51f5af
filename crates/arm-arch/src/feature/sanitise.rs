//! Register values as they read back: bits of features that are not announced are RES0 or RES1.
//! Arm ARM, the fields of each register.

use super::{Feature, Features};
use crate::sysreg::{CntkctlEl1, CpacrEl1, SctlrEl1, TcrEl1, TtbrEl1};

/// What becomes of some bits where a feature is absent.
struct Absent {
    feature: Feature,
    bits: u64,
    /// What they read: those set here as one, the others as zero.
    reads: u64,
}

const fn zero(feature: Feature, bits: u64) -> Absent {
    Absent { feature, bits, reads: 0 }
}

const fn one(feature: Feature, bits: u64) -> Absent {
    Absent { feature, bits, reads: bits }
}

/// `SCTLR_EL1`. Arm ARM, SCTLR_EL1, "Otherwise" of each field.
const SCTLR: &[Absent] = &[
    // ITD and SED read as one and CP15BEN as zero where EL0 has no AArch32.
    one(Feature::AA32EL0, 1 << 7 | 1 << 8),
    zero(Feature::AA32EL0, 1 << 5),
    zero(Feature::LSE2, 1 << 6),
    zero(Feature::SPECRES, 1 << 10),
    one(Feature::ExS, 1 << 11 | 1 << 22),
    zero(Feature::PAuth, 1 << 13 | 1 << 27 | 1 << 30 | 1 << 31),
    one(Feature::CSV2_2, 1 << 20),
    zero(Feature::IESB, 1 << 21),
    one(Feature::PAN, 1 << 23),
    zero(Feature::MixedEndEL0, 1 << 24),
    zero(Feature::MixedEnd, 1 << 25),
    one(Feature::LSMAOC, 1 << 28 | 1 << 29),
    zero(Feature::CMOW, 1 << 32),
    zero(Feature::MOPS, 1 << 33),
    zero(Feature::FPMR, 1 << 34),
    zero(Feature::BTI, 1 << 35 | 1 << 36),
    zero(Feature::MTE2, 1 << 37),
    zero(Feature::MTE2, 0xf << 38 | 1 << 42 | 1 << 43),
    zero(Feature::SSBS, 1 << 44),
    zero(Feature::TWED, 0x1f << 45),
    zero(Feature::TME, 0xf << 50),
    zero(Feature::LS64_V, 1 << 54),
    zero(Feature::LS64_ACCDATA, 1 << 55),
    zero(Feature::LS64, 1 << 56),
    zero(Feature::PAN3, 1 << 57),
    zero(Feature::MTE_STORE_ONLY, 3 << 58),
    zero(Feature::SME, 1 << 60),
    zero(Feature::NMI, 3 << 61),
    zero(Feature::TIDCP1, 1 << 63),
];

/// `TCR_EL1`.
const TCR: &[Absent] = &[
    zero(Feature::ASID16, 1 << 36),
    zero(Feature::HAFDBS, 3 << 39),
    zero(Feature::HPDS, 3 << 41),
    zero(Feature::HPDS2, 0xff << 43),
    zero(Feature::PAuth, 3 << 51),
    zero(Feature::SVE, 3 << 53),
    zero(Feature::E0PD, 3 << 55),
    zero(Feature::MTE2, 3 << 57),
    zero(Feature::LPA2, 1 << 59),
    zero(Feature::MTE_NO_ADDRESS_TAGS, 3 << 60),
];

/// `CPACR_EL1`.
const CPACR: &[Absent] = &[
    zero(Feature::SVE, 3 << 16),
    zero(Feature::SME, 3 << 24),
    zero(Feature::TRC_SR, 1 << 28),
    zero(Feature::S1POE, 1 << 29),
];

/// Applies a table to a value of which the bits in `res0` never exist.
fn apply(value: u64, res0: u64, absent: &[Absent], features: &Features) -> u64 {
    let mut value = value & !res0;
    for row in absent.iter().filter(|row| !features.has(row.feature)) {
        value = value & !row.bits | row.reads;
    }
    value
}

impl SctlrEl1 {
    /// Returns the value as it reads back on an element with these features. Arm ARM, SCTLR_EL1.
    #[must_use]
    pub fn sanitised(self, features: &Features) -> Self {
        Self::from_bits(apply(self.into_bits(), 1 << 17, SCTLR, features))
    }
}

impl TcrEl1 {
    /// Returns the value as it reads back on an element with these features. Arm ARM, TCR_EL1.
    #[must_use]
    pub fn sanitised(self, features: &Features) -> Self {
        Self::from_bits(apply(self.into_bits(), 1 << 6 | 1 << 35 | 3 << 62, TCR, features))
    }
}

impl TtbrEl1 {
    /// Returns the value as it reads back on an element with these features. Arm ARM, TTBR0_EL1.
    #[must_use]
    pub fn sanitised(self, features: &Features) -> Self {
        let kept = if features.has(Feature::TTCNP) { self } else { self.with_cnp(false) };
        if features.has(Feature::ASID16) { kept } else { kept.with_asid(kept.asid() & 0xff) }
    }
}

impl CpacrEl1 {
    /// Returns the value as it reads back on an element with these features. Arm ARM, CPACR_EL1.
    #[must_use]
    pub fn sanitised(self, features: &Features) -> Self {
        Self::from_bits(apply(self.into_bits(), !0x3330_0000 & !0x3_0000, CPACR, features))
    }
}

impl CntkctlEl1 {
    /// Returns the value as it reads back on an element with these features. Arm ARM, CNTKCTL_EL1.
    #[must_use]
    pub fn sanitised(self, features: &Features) -> Self {
        let evntis = if features.has(Feature::ECV) { 1 << 17 } else { 0 };
        Self::from_bits(self.into_bits() & (0x3ff | evntis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::model::MAX_MODELLED;

    #[test]
    fn without_features_sctlr_reads_its_res1_bits() {
        let none = Features::NONE;
        assert_eq!(SctlrEl1::from_bits(0).sanitised(&none).into_bits(), 0x30d0_0980);
        assert_eq!(SctlrEl1::RES1.into_bits(), 0x30d0_0980);
        assert_eq!(SctlrEl1::from_bits(u64::MAX).sanitised(&none).into_bits(), 0x34dd_db9f);
    }

    #[test]
    fn what_is_announced_is_writable() {
        let features = Features::of(&MAX_MODELLED);
        let ones = SctlrEl1::from_bits(u64::MAX).sanitised(&features);
        let zeros = SctlrEl1::from_bits(0).sanitised(&features);
        assert!(ones.span() && !zeros.span() && ones.dssbs() && !zeros.dssbs());
        assert!(!ones.ee() && !ones.e0e() && !ones.epan() && !ones.bt0());
        assert_eq!(zeros.into_bits(), 0x3050_0980);
        let tcr = TcrEl1::from_bits(u64::MAX).sanitised(&features);
        assert_eq!(tcr.into_bits(), 0x0000_0077_ffff_ffbf);
        assert_eq!(CpacrEl1::from_bits(u64::MAX).sanitised(&features).into_bits(), 0x30_0000);
        assert_eq!(TtbrEl1::from_bits(u64::MAX).sanitised(&features).into_bits(), !1);
        assert_eq!(CntkctlEl1::from_bits(u64::MAX).sanitised(&features).into_bits(), 0x3ff);
        let eight = TtbrEl1::from_bits(u64::MAX).sanitised(&Features::NONE);
        assert_eq!(eight.asid(), 0xff);
    }
}
