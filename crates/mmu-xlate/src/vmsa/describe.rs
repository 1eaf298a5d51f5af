//! How the descriptors of a walk are to be read: what someone who explains one needs to know of the registers.

use super::fault::Stage;
use super::geometry::{AddressForm, Range};
use super::params::Params;
use super::registers::Space;
use super::stage2_params::Stage2;
use arm_arch::bits::bit;
use arm_arch::{Granule, Va};

/// The meaning of descriptor bits that depends on registers, every feature behind them taken into account.
///
/// A description, for people and their tools: walks do not go by it. Arm ARM, "Translation table descriptor formats".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorFormat {
    /// Whose descriptors they are.
    pub stage: Stage,
    /// The granule.
    pub granule: Granule,
    /// They have 128 bits. FEAT_D128.
    pub wide: bool,
    /// Where bits beyond 47 of an output address are.
    pub high_address: HighAddress,
    /// Input address bits that are translated.
    pub input_bits: u32,
    /// EL0 has permissions of its own (stage 1).
    pub unprivileged: bool,
    /// `HCR_EL2.{NV,NV1}` is {1,1}.
    pub nv1: bool,
    /// Permissions are indirect: PIE, S2PIE, D128.
    pub indirect: bool,
    /// `POE`, `S2POE`: privileged permissions have an overlay.
    pub overlay: bool,
    /// `E0POE`: permissions of EL0 have an overlay.
    pub user_overlay: bool,
    /// Tables restrict what is below them.
    pub hierarchical: bool,
    /// Hardware sets the access flag.
    pub access_flag: bool,
    /// Hardware manages dirty state.
    pub dirty_state: bool,
    /// Hardware sets the access flag of tables.
    pub table_access_flag: bool,
    /// Bit 52 of a 64-bit stage 1 descriptor is Protected, not Contiguous.
    pub protected: bool,
    /// `TCR2_ELx.AIE`: AttrIndx has four bits.
    pub mair2: bool,
    /// FEAT_XNX: stage 2 tells execution of EL0 and EL1 apart.
    pub xnx: bool,
    /// FEAT_XS: stage 2 has FnXS.
    pub xs: bool,
    /// `HCR_EL2.FWB`: MemAttr is the forcing form.
    pub forced_write_back: bool,
    /// `VTCR_EL2.AssuredOnly`.
    pub assured_only: bool,
    /// Leaves and tables name a space: not in Non-secure state.
    pub spaces: bool,
    /// Descriptors are stored big-endian.
    pub big_endian: bool,
}

/// Where a 64-bit descriptor has the bits of an output address from 48 on. Arm ARM, AArch64.LeafBase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HighAddress {
    /// Nowhere.
    None,
    /// Bits 15:12 are OA\[51:48\]: 64 KiB granule, FEAT_LPA.
    Bits15To12,
    /// Bits 49:48 are OA\[49:48\], bits 9:8 are OA\[51:50\]: `TCR_ELx.DS`.
    Bits9To8,
}

impl DescriptorFormat {
    /// What Armv8.0 has, of a stage and granule, with two privileges and no feature in use.
    #[must_use]
    pub const fn plain(stage: Stage, granule: Granule) -> Self {
        Self {
            stage,
            granule,
            wide: false,
            high_address: HighAddress::None,
            input_bits: 48,
            unprivileged: true,
            nv1: false,
            indirect: false,
            overlay: false,
            user_overlay: false,
            hierarchical: true,
            access_flag: false,
            dirty_state: false,
            table_access_flag: false,
            protected: false,
            mair2: false,
            xnx: false,
            xs: false,
            forced_write_back: false,
            assured_only: false,
            spaces: false,
            big_endian: false,
        }
    }

    const fn of(stage: Stage, range: &Range) -> Self {
        Self {
            wide: range.d128,
            high_address: match range.form {
                AddressForm::Bits48 => HighAddress::None,
                AddressForm::Lpa => HighAddress::Bits15To12,
                AddressForm::Lpa2 => HighAddress::Bits9To8,
            },
            input_bits: range.iasize,
            hierarchical: range.hierarchy != 0,
            table_access_flag: range.haft,
            ..Self::plain(stage, range.granule)
        }
    }
}

impl Params {
    /// Returns how to read the descriptors of the half that `va` bit 55 names.
    #[must_use]
    pub const fn descriptor_format(&self, va: Va) -> DescriptorFormat {
        let [low, high] = &self.ranges;
        let range = if bit(va.bits(), 55) { high } else { low };
        DescriptorFormat {
            unprivileged: self.unprivileged,
            nv1: self.nv1,
            indirect: self.pie,
            overlay: self.poe,
            user_overlay: self.e0poe,
            access_flag: self.ha,
            dirty_state: self.hd,
            protected: self.pnch,
            mair2: self.mair2.is_some(),
            spaces: !matches!(self.space, Space::NonSecure),
            big_endian: self.big_endian,
            ..DescriptorFormat::of(Stage::One, range)
        }
    }
}

impl Stage2 {
    /// Returns how to read the descriptors for intermediate addresses of a space.
    #[must_use]
    pub const fn descriptor_format(&self, space: Space) -> DescriptorFormat {
        DescriptorFormat {
            indirect: self.pie,
            overlay: self.poe,
            hierarchical: false,
            access_flag: self.ha,
            dirty_state: self.hd,
            xnx: self.xnx,
            xs: self.xs,
            forced_write_back: self.fwb,
            assured_only: self.assured_only,
            spaces: !matches!(self.state, Space::NonSecure),
            big_endian: self.big_endian,
            ..DescriptorFormat::of(Stage::Two, &self.tables(space).range)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmsa::{Implementation, Regime, Registers, Stage1Registers};

    fn format(tcr: u64, tcr2: u64, implementation: &Implementation) -> DescriptorFormat {
        let el1 = Stage1Registers { sctlr: 1, tcr, tcr2, ..Stage1Registers::default() };
        // NS, TCR2En; HCRX_EL2.TCR2En.
        let registers = Registers { el1, scr_el3: 1 | 1 << 43, hcrx_el2: 1 << 14, ..Registers::default() };
        Params::new(Regime::El1And0, &registers, implementation).descriptor_format(Va::new(0))
    }

    #[test]
    fn a_control_counts_where_its_feature_is_there() {
        // T0SZ 16, DS, HA, HD, HPD0; PnCH, PIE, E0POE, POE, AIE, HAFT.
        let (tcr, tcr2) = (16 | 1 << 59 | 0b111 << 39, 0x1f | 1 << 11);
        let all = format(tcr, tcr2, &Implementation::ALL);
        assert_eq!(all.high_address, HighAddress::Bits9To8);
        assert!(all.indirect && all.overlay && all.user_overlay && all.mair2 && all.protected);
        assert!(all.access_flag && all.dirty_state && all.table_access_flag && !all.hierarchical);
        let none = format(tcr, tcr2, &Implementation::ARMV8_0);
        assert_eq!(none, DescriptorFormat::plain(Stage::One, Granule::Size4K));
    }

    #[test]
    fn the_granule_decides_where_high_address_bits_are() {
        // TG0 64 KiB.
        let wide = format(16 | 1 << 14, 0, &Implementation::ALL);
        assert_eq!((wide.granule, wide.high_address), (Granule::Size64K, HighAddress::Bits15To12));
        let narrow = format(25, 0, &Implementation::ALL);
        assert_eq!((narrow.high_address, narrow.input_bits), (HighAddress::None, 39));
    }
}
