//! What a processing element has of the translation system.

use arm_arch::Granule;
use arm_arch::feature::{CpuModel, Feature};
use arm_arch::sysreg::physical_address_bits;

/// Hardware management of the access flag and dirty state. Arm ARM, ID_AA64MMFR1_EL1.HAFDBS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HardwareUpdates {
    /// Neither.
    None,
    /// The access flag.
    AccessFlag,
    /// The access flag and dirty state.
    DirtyState,
    /// The access flag, of tables too, and dirty state. FEAT_HAFT.
    TableAccessFlag,
}

/// What the implementation has of the translation system, as its ID registers announce it.
/// Arm ARM, ID_AA64MMFR0_EL1 to ID_AA64MMFR4_EL1.
///
/// A control bit of something that is not there is RES0, and reads as 0 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implementation {
    /// Physical address bits, ID_AA64MMFR0_EL1.PARange: 32 to 56.
    pub pa_bits: u8,
    /// EL2.
    pub el2: bool,
    /// EL3.
    pub el3: bool,
    /// 4 KiB granule.
    pub granule_4k: bool,
    /// 16 KiB granule.
    pub granule_16k: bool,
    /// 64 KiB granule.
    pub granule_64k: bool,
    /// FEAT_TTST: small translation tables.
    pub ttst: bool,
    /// FEAT_LVA: 52-bit virtual addresses with the 64 KiB granule.
    pub lva: bool,
    /// FEAT_LVA3: 56-bit virtual addresses with 128-bit descriptors.
    pub lva3: bool,
    /// FEAT_LPA: 52-bit physical addresses with the 64 KiB granule.
    pub lpa: bool,
    /// FEAT_LPA2: 52-bit addresses with the 4 KiB and 16 KiB granules.
    pub lpa2: bool,
    /// FEAT_D128: 128-bit descriptors.
    pub d128: bool,
    /// FEAT_HPDS: hierarchical permissions can be disabled.
    pub hpds: bool,
    /// FEAT_HAFDBS, FEAT_HAFT.
    pub hafdbs: HardwareUpdates,
    /// FEAT_VHE: `HCR_EL2.E2H`.
    pub vhe: bool,
    /// FEAT_SEL2: Secure EL2.
    pub sel2: bool,
    /// FEAT_RME: Root and Realm.
    pub rme: bool,
    /// FEAT_NV: `HCR_EL2.NV1`.
    pub nv: bool,
    /// FEAT_PAN3: `SCTLR_EL1.EPAN`.
    pub pan3: bool,
    /// FEAT_E0PD.
    pub e0pd: bool,
    /// FEAT_SVE: `TCR_EL1.NFD0`.
    pub nfd: bool,
    /// FEAT_PAuth: `TCR_EL1.TBID`.
    pub tbid: bool,
    /// FEAT_MTE_NO_ADDRESS_TAGS: `TCR_EL1.MTX0`.
    pub mtx: bool,
    /// FEAT_MTE_PERM: NoTagAccess of stage 2.
    pub mte_perm: bool,
    /// FEAT_CMOW: `SCTLR_EL1.CMOW`, `HCRX_EL2.CMOW`.
    pub cmow: bool,
    /// FEAT_XNX: execution control of EL0 and EL1 apart at stage 2.
    pub xnx: bool,
    /// FEAT_S2FWB: `HCR_EL2.FWB`.
    pub fwb: bool,
    /// FEAT_XS: attribute XS.
    pub xs: bool,
    /// FEAT_TCR2: `TCR2_ELx`.
    pub tcr2: bool,
    /// FEAT_S1PIE.
    pub s1pie: bool,
    /// FEAT_S2PIE.
    pub s2pie: bool,
    /// FEAT_S1POE.
    pub s1poe: bool,
    /// FEAT_S2POE.
    pub s2poe: bool,
    /// FEAT_AIE.
    pub aie: bool,
    /// FEAT_THE.
    pub the: bool,
    /// FEAT_FGT: fine-grained traps.
    pub fgt: bool,
    /// FEAT_PAN2: AT S1E1RP and S1E1WP.
    pub pan2: bool,
    /// FEAT_ATS1A: AT S1E1A, S1E2A, S1E3A.
    pub ats1a: bool,
    /// FEAT_MTE2: allocation tags, and memory that has them.
    pub mte2: bool,
    /// FEAT_MTE_CANONICAL_TAGS: memory whose tags are those of its addresses.
    pub mte_canonical_tags: bool,
}

impl Implementation {
    /// Armv8.0 with all granules and 48-bit addresses.
    pub const ARMV8_0: Self = Self {
        pa_bits: 48,
        el2: true,
        el3: true,
        granule_4k: true,
        granule_16k: true,
        granule_64k: true,
        ttst: false,
        lva: false,
        lva3: false,
        lpa: false,
        lpa2: false,
        d128: false,
        hpds: false,
        hafdbs: HardwareUpdates::None,
        vhe: false,
        sel2: false,
        rme: false,
        nv: false,
        pan3: false,
        e0pd: false,
        nfd: false,
        tbid: false,
        mtx: false,
        mte_perm: false,
        cmow: false,
        xnx: false,
        fwb: false,
        xs: false,
        tcr2: false,
        s1pie: false,
        s2pie: false,
        s1poe: false,
        s2poe: false,
        aie: false,
        the: false,
        fgt: false,
        pan2: false,
        ats1a: false,
        mte2: false,
        mte_canonical_tags: false,
    };

    /// Everything that Armv9.4 has but FEAT_RME and the extensions for memory tagging, with 52-bit addresses.
    pub const ALL: Self = Self {
        pa_bits: 52,
        el2: true,
        el3: true,
        granule_4k: true,
        granule_16k: true,
        granule_64k: true,
        ttst: true,
        lva: true,
        lva3: true,
        lpa: true,
        lpa2: true,
        d128: true,
        hpds: true,
        hafdbs: HardwareUpdates::TableAccessFlag,
        vhe: true,
        sel2: true,
        rme: false,
        nv: true,
        pan3: true,
        e0pd: true,
        nfd: true,
        tbid: true,
        mtx: true,
        mte_perm: false,
        cmow: true,
        xnx: true,
        fwb: true,
        xs: true,
        tcr2: true,
        s1pie: true,
        s2pie: true,
        s1poe: true,
        s2poe: true,
        aie: true,
        the: true,
        fgt: true,
        pan2: true,
        ats1a: true,
        mte2: false,
        mte_canonical_tags: false,
    };

    /// Returns what a processing element announces.
    #[must_use]
    pub fn of(model: &CpuModel) -> Self {
        let (ids, features) = (model.ids(), model.features());
        let has = |feature| features.has(feature);
        let hafdbs = match (ids.mmfr1().hafdbs(), has(Feature::HAFT)) {
            (_, true) => HardwareUpdates::TableAccessFlag,
            (0, false) => HardwareUpdates::None,
            (1, false) => HardwareUpdates::AccessFlag,
            (_, false) => HardwareUpdates::DirtyState,
        };
        Self {
            // ID_AA64MMFR0_EL1.PARange; what is reserved is at least the largest that is not.
            pa_bits: physical_address_bits(ids.mmfr0().parange()).unwrap_or(56),
            el2: has(Feature::EL2),
            el3: has(Feature::EL3),
            granule_4k: has(Feature::TGran4K),
            granule_16k: has(Feature::TGran16K),
            granule_64k: has(Feature::TGran64K),
            ttst: has(Feature::TTST),
            lva: has(Feature::LVA),
            lva3: has(Feature::LVA3),
            lpa: has(Feature::LPA),
            lpa2: has(Feature::LPA2),
            d128: has(Feature::D128),
            hpds: has(Feature::HPDS),
            hafdbs,
            vhe: has(Feature::VHE),
            sel2: has(Feature::SEL2),
            rme: has(Feature::RME),
            nv: has(Feature::NV),
            pan3: has(Feature::PAN3),
            e0pd: has(Feature::E0PD),
            nfd: has(Feature::SVE),
            tbid: has(Feature::PAuth),
            mtx: has(Feature::MTE_NO_ADDRESS_TAGS),
            mte_perm: has(Feature::MTE_PERM),
            cmow: has(Feature::CMOW),
            xnx: has(Feature::XNX),
            fwb: has(Feature::S2FWB),
            xs: has(Feature::XS),
            tcr2: has(Feature::TCR2),
            s1pie: has(Feature::S1PIE),
            s2pie: has(Feature::S2PIE),
            s1poe: has(Feature::S1POE),
            s2poe: has(Feature::S2POE),
            aie: has(Feature::AIE),
            the: has(Feature::THE),
            fgt: has(Feature::FGT),
            pan2: has(Feature::PAN2),
            ats1a: has(Feature::ATS1A),
            mte2: has(Feature::MTE2),
            mte_canonical_tags: has(Feature::MTE_CANONICAL_TAGS),
        }
    }

    /// Returns the granule that a TG field means; `wanted` is `None` for its reserved encodings.
    ///
    /// CHOICE: reserved and unimplemented ones mean the smallest implemented granule (the
    /// architecture: some implemented granule).
    pub(super) const fn granule(&self, wanted: Option<Granule>) -> Granule {
        match wanted {
            Some(Granule::Size4K) if self.granule_4k => Granule::Size4K,
            Some(Granule::Size16K) if self.granule_16k => Granule::Size16K,
            Some(Granule::Size64K) if self.granule_64k => Granule::Size64K,
            Some(_) | None if self.granule_4k => Granule::Size4K,
            Some(_) | None if self.granule_16k => Granule::Size16K,
            Some(_) | None => Granule::Size64K,
        }
    }

    /// Whether `TCR_ELx.HA` exists.
    pub(super) const fn has_access_flag(&self) -> bool {
        !matches!(self.hafdbs, HardwareUpdates::None)
    }

    /// Whether `TCR_ELx.HD` exists.
    pub(super) const fn has_dirty_state(&self) -> bool {
        matches!(self.hafdbs, HardwareUpdates::DirtyState | HardwareUpdates::TableAccessFlag)
    }

    /// Whether `TCR2_ELx.HAFT` exists.
    pub(super) const fn has_haft(&self) -> bool {
        matches!(self.hafdbs, HardwareUpdates::TableAccessFlag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arm_arch::feature::models;

    #[test]
    fn parts_have_what_their_manuals_say() {
        // Cortex-A57 MPCore TRM: 44-bit physical addresses, 4 KiB and 64 KiB granules, Armv8.0.
        let a57 = Implementation { pa_bits: 44, granule_16k: false, ..Implementation::ARMV8_0 };
        assert_eq!(Implementation::of(&models::CORTEX_A57.model), a57);
        // Neoverse N1 TRM: 48 bits, all granules, Armv8.2: HPDS, VHE, hardware updates of both kinds, AT S1E1RP, XNX.
        let n1 = Implementation {
            hpds: true,
            vhe: true,
            hafdbs: HardwareUpdates::DirtyState,
            pan2: true,
            xnx: true,
            ..Implementation::ARMV8_0
        };
        assert_eq!(Implementation::of(&models::NEOVERSE_N1.model), n1);
    }
}
