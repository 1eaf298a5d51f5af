//! What this PE is: its identification registers, and what follows from them.
//!
//! A hypervisor normally traps these reads (`HCR_EL2.TID1`, `TID2`, `TID3`) and answers with the VM's
//! view; where it does not, the guest sees what the engine has.

use arm_arch::PState;
use arm_arch::SysRegId;
use arm_arch::feature::IdRegisters;
use arm_arch::pstate::PStateMask;
use arm_arch::sysreg::names;
use mmu_xlate::vmsa::{HardwareUpdates, Implementation};

use crate::model::MODEL as ENGINE;

/// The registers that the engine announces.
pub(super) const MODEL: &IdRegisters = ENGINE.ids();

/// The bits of PSTATE that exist.
pub(super) const PSTATE: PStateMask =
    PStateMask::ARMV8_0.with(PState::new().with_pan(true).with_uao(true).with_dit(true).with_ssbs(true));

/// What the translation system of this PE has.
pub(crate) const TRANSLATION: Implementation = Implementation {
    pa_bits: 48,
    granule_4k: true,
    granule_16k: true,
    granule_64k: true,
    ttst: false,
    lva: false,
    lpa: false,
    lpa2: false,
    hpds: false,
    hafdbs: HardwareUpdates::None,
    pan3: false,
    e0pd: false,
    tbid: false,
    cmow: false,
    ..Implementation::ARMV8_0
};

/// Returns an identification register; `None` where the encoding names none. MIDR_EL1 and MPIDR_EL1
/// are the hypervisor's values for this PE, as VPIDR_EL2 and VMPIDR_EL2 give them.
pub(super) fn read(id: SysRegId, csselr: u64) -> Option<u64> {
    match id {
        names::MIDR_EL1 | names::DCZID_EL0 => None,
        names::CCSIDR_EL1 => Some(MODEL.ccsidr(csselr)),
        _ => MODEL.get(id),
    }
}

/// Returns `DCZID_EL0` where DC ZVA is permitted or not.
pub(super) const fn dczid(permitted: bool) -> u64 {
    MODEL.dczid.with_dzp(!permitted).into_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arm_arch::feature::Feature;

    #[test]
    fn translation_has_what_is_announced() {
        let derived = crate::system::Derived::new();
        let features = derived.features();
        let announced = [
            (Feature::TGran4K, TRANSLATION.granule_4k),
            (Feature::TGran16K, TRANSLATION.granule_16k),
            (Feature::TGran64K, TRANSLATION.granule_64k),
            (Feature::TTST, TRANSLATION.ttst),
            (Feature::LVA, TRANSLATION.lva),
            (Feature::LPA, TRANSLATION.lpa),
            (Feature::LPA2, TRANSLATION.lpa2),
            (Feature::HPDS, TRANSLATION.hpds),
            (Feature::HAFDBS, TRANSLATION.hafdbs != HardwareUpdates::None),
            (Feature::PAN3, TRANSLATION.pan3),
            (Feature::E0PD, TRANSLATION.e0pd),
            (Feature::PAuth, TRANSLATION.tbid),
            (Feature::CMOW, TRANSLATION.cmow),
        ];
        for (feature, has) in announced {
            assert_eq!(features.has(feature), has, "{feature:?}");
        }
        assert_eq!((MODEL.mmfr0().parange(), TRANSLATION.pa_bits), (5, 48));
    }

    #[test]
    fn the_block_of_dc_zva_is_64_bytes() {
        assert_eq!((dczid(true), dczid(false)), (4, 0x14));
    }
}
