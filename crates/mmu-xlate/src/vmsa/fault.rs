//! Faults: what a walk that ends badly says, and where registers report it.

use super::gpc::GranuleRefusal;
use super::perm::{Access, AccessKind};
use super::registers::Space;
use arm_arch::bits::{field, trunc32, zext8};
use arm_arch::iss::{DataAbort, InstructionAbort, Iss2};
use arm_arch::sysreg::{HpfarEl2, ParFault};
use arm_arch::{FaultStatus, Ipa};

/// The stage of translation that found a fault. Arm ARM, FaultRecord, secondstage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Stage 1: VA to IPA, or to PA where there is no stage 2.
    One,
    /// Stage 2: IPA to PA.
    Two,
}

/// Why a Permission fault is one, beyond the base permissions. Arm ARM, ESR_EL1, ISS2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Qualifiers(u8);

impl Qualifiers {
    /// Base permissions.
    pub const NONE: Self = Self(0);
    /// The overlay does not permit it. FEAT_S1POE, FEAT_S2POE.
    pub const OVERLAY: Self = Self(1);
    /// The location is clean, and hardware does not make it dirty. FEAT_S1PIE, FEAT_S2PIE.
    pub const DIRTY_BIT: Self = Self(2);
    /// The first table of stage 1 is not marked as one. FEAT_THE.
    pub const TOP_LEVEL: Self = Self(4);
    /// The stage 1 translation was not assured. FEAT_THE.
    pub const ASSURED_ONLY: Self = Self(8);
    /// Stage 2 permits no access to allocation tags (TagAccess). FEAT_MTE_PERM.
    pub const TAG_ACCESS: Self = Self(0x10);
    /// The store was to an allocation tag of memory with canonical tags (TnD). FEAT_MTE_CANONICAL_TAGS.
    pub const TAG_NOT_DATA: Self = Self(0x20);

    /// Whether all of `other` is here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A fault, complete but for the virtual address, which the caller named. Arm ARM, FaultRecord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Kind and level.
    pub status: FaultStatus,
    /// The stage that found it.
    pub stage: Stage,
    /// Stage 2 found it on a descriptor of stage 1.
    pub s1ptw: bool,
    /// `ESR_ELx.WnR`: the write is at fault.
    pub write: bool,
    /// Why, for a Permission fault.
    pub qualifiers: Qualifiers,
    /// What stage 2 was asked for, all bits; `None` for stage 1.
    pub ipa: Option<Ipa>,
    /// The space of that address.
    pub ipa_space: Space,
    /// What granule protection says, for a fault of it: of the table that was to be read or written, or of the output. FEAT_RME.
    pub granule: Option<GranuleRefusal>,
}

const S1PTW: u32 = DataAbort::new().with_s1ptw(true).into_bits();
const WNR: u32 = DataAbort::new().with_wnr(true).into_bits();
const CM: u32 = DataAbort::new().with_cm(true).into_bits();
/// ISS\[21\] where ISV is 0.
const TOP_LEVEL: u32 = InstructionAbort::new().with_top_level(true).into_bits();
/// Bits of ISS2, which is ESR\[55:32\].
const ISS2_DIRTY_BIT: u32 = Iss2::new().with_dirty_bit(true).into_bits();
const ISS2_OVERLAY: u32 = Iss2::new().with_overlay(true).into_bits();
const ISS2_ASSURED_ONLY: u32 = Iss2::new().with_assured_only(true).into_bits();
const ISS2_GCS: u32 = Iss2::new().with_gcs(true).into_bits();
const ISS2_TAG_ACCESS: u32 = Iss2::new().with_tag_access(true).into_bits();
const ISS2_TND: u32 = Iss2::new().with_tnd(true).into_bits();
/// HPFAR_EL2.NS.
const HPFAR_NS: u64 = HpfarEl2::new().with_ns(true).into_bits();

impl Fault {
    /// Returns a fault of stage 1 without qualifiers.
    #[inline]
    #[must_use]
    pub const fn stage_1(status: FaultStatus, write: bool) -> Self {
        Self {
            status,
            stage: Stage::One,
            s1ptw: false,
            write,
            qualifiers: Qualifiers::NONE,
            ipa: None,
            ipa_space: Space::NonSecure,
            granule: None,
        }
    }

    /// Returns the fault with its reasons.
    #[inline]
    #[must_use]
    pub const fn because(self, qualifiers: Qualifiers) -> Self {
        Self { qualifiers, ..self }
    }

    /// Returns the ISS of the abort, without the syndrome of a load or store (ISV 0): FSC, WnR, S1PTW,
    /// CM and TopLevel; an instruction abort has no WnR and CM. Arm ARM, ESR_EL1.
    #[must_use]
    pub const fn iss(&self, access: Access) -> u32 {
        let mut iss = trunc32(zext8(self.status.encode()));
        if self.s1ptw {
            iss |= S1PTW;
        }
        if self.qualifiers.contains(Qualifiers::TOP_LEVEL) {
            iss |= TOP_LEVEL;
        }
        if !access.is_fetch() {
            if self.write {
                iss |= WNR;
            }
            if access.is_maintenance() {
                iss |= CM;
            }
        }
        iss
    }

    /// Returns ISS2, `ESR_ELx[55:32]`: DirtyBit, Overlay, AssuredOnly, GCS, TagAccess and TnD. Arm ARM, ESR_EL1.
    #[must_use]
    pub const fn iss2(&self, access: Access) -> u32 {
        let mut iss2 = 0;
        if self.qualifiers.contains(Qualifiers::DIRTY_BIT) {
            iss2 |= ISS2_DIRTY_BIT;
        }
        if self.qualifiers.contains(Qualifiers::OVERLAY) {
            iss2 |= ISS2_OVERLAY;
        }
        if self.qualifiers.contains(Qualifiers::ASSURED_ONLY) {
            iss2 |= ISS2_ASSURED_ONLY;
        }
        if matches!(access.kind, AccessKind::GcsRead | AccessKind::GcsWrite) {
            iss2 |= ISS2_GCS;
        }
        if self.qualifiers.contains(Qualifiers::TAG_ACCESS) {
            iss2 |= ISS2_TAG_ACCESS;
        }
        if self.qualifiers.contains(Qualifiers::TAG_NOT_DATA) {
            iss2 |= ISS2_TND;
        }
        iss2
    }

    /// Returns `HPFAR_EL2`, for an exception to EL2 in the security state that `space` belongs to; `None`
    /// where the register is UNKNOWN: for stage 1, for alignment and external aborts, and for a
    /// Permission fault that is not on a stage 1 walk. Arm ARM, HPFAR_EL2.
    #[must_use]
    pub const fn hpfar(&self, space: Space) -> Option<u64> {
        let valid = match self.status {
            FaultStatus::Translation(_)
            | FaultStatus::AccessFlag(_)
            | FaultStatus::AddressSize(_)
            | FaultStatus::GranuleProtectionOnWalk(_)
            | FaultStatus::GranuleProtection => true,
            FaultStatus::Permission(_) => self.s1ptw,
            FaultStatus::External
            | FaultStatus::ExternalOnWalk(_)
            | FaultStatus::Parity
            | FaultStatus::ParityOnWalk(_)
            | FaultStatus::UnsupportedAtomicUpdate
            | FaultStatus::TagCheck
            | FaultStatus::Alignment
            | FaultStatus::TlbConflict
            | FaultStatus::Lockdown
            | FaultStatus::UnsupportedExclusive => false,
        };
        match self.ipa {
            Some(ipa) if valid => {
                let ns = match (space, self.ipa_space) {
                    (Space::Secure, Space::NonSecure) => HPFAR_NS,
                    _ => 0,
                };
                // FIPA, which a setter would check.
                Some(field(ipa.bits(), 55, 12) << 4 | ns)
            }
            Some(_) | None => None,
        }
    }

    /// Returns `PAR_EL1` of an address translation instruction that ends in this fault. Bits 127:64
    /// are all 0 but bit 64, for whoever answers in the 128-bit form.
    #[must_use]
    pub const fn par(&self) -> u64 {
        ParFault::new()
            .with_f(true)
            .with_fst(self.status.encode())
            .with_ptw(self.s1ptw)
            .with_s(matches!(self.stage, Stage::Two))
            .with_res1(true)
            .with_assured_only(self.qualifiers.contains(Qualifiers::ASSURED_ONLY))
            .with_top_level(self.qualifiers.contains(Qualifiers::TOP_LEVEL))
            .with_overlay(self.qualifiers.contains(Qualifiers::OVERLAY))
            .with_dirty_bit(self.qualifiers.contains(Qualifiers::DIRTY_BIT))
            .into_bits()
    }
}
