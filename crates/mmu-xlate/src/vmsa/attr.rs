//! Memory attributes: what MAIR, SH, the cache controls and stage 2 make of a location.

use super::stage2_params::Stage2;
use arm_arch::bits::index;

/// Who else observes an access in order. Arm ARM, TCR_EL1.SH0, "Shareability".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Shareability {
    /// Nobody.
    NonShareable = 0,
    /// Everybody.
    OuterShareable = 2,
    /// The PEs of one operating system.
    InnerShareable = 3,
}

impl Shareability {
    /// Decodes an SH field.
    ///
    /// CHOICE: the reserved 0b01 means Non-shareable, the first of the architecture's enumeration.
    #[inline]
    #[must_use]
    pub const fn decode(sh: u64) -> Self {
        match sh & 3 {
            2 => Self::OuterShareable,
            3 => Self::InnerShareable,
            _ => Self::NonShareable,
        }
    }

    /// Returns the wider of two.
    pub(super) const fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::OuterShareable, _) | (_, Self::OuterShareable) => Self::OuterShareable,
            (Self::InnerShareable, _) | (_, Self::InnerShareable) => Self::InnerShareable,
            (Self::NonShareable, Self::NonShareable) => Self::NonShareable,
        }
    }

    /// Returns the SH field, as `PAR_EL1.SH` has it.
    #[inline]
    #[must_use]
    pub const fn encode(self) -> u8 {
        match self {
            Self::NonShareable => 0,
            Self::OuterShareable => 2,
            Self::InnerShareable => 3,
        }
    }
}

/// The kinds of Device memory, the strictest first. Arm ARM, MAIR_EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(non_camel_case_types, reason = "the manual's spelling")]
pub enum DeviceType {
    /// Non-gathering, non-reordering, no early write acknowledgement.
    nGnRnE,
    /// Non-gathering, non-reordering.
    nGnRE,
    /// Non-gathering.
    nGRE,
    /// None of the restrictions.
    GRE,
}

/// Cacheability of Normal memory at one level. Arm ARM, MAIR_EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cacheability {
    /// Not cached.
    NonCacheable,
    /// Write-through.
    WriteThrough,
    /// Write-back.
    WriteBack,
}

/// Memory type. Arm ARM, MAIR_EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryType {
    /// A device: no speculation, aligned accesses only.
    Device(DeviceType),
    /// Ordinary memory.
    Normal {
        /// Outer cacheability.
        outer: Cacheability,
        /// Inner cacheability.
        inner: Cacheability,
    },
}

/// Effective attributes of a location: the byte that `PAR_EL1.ATTR` reports, and shareability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes {
    byte: u8,
    shareability: Shareability,
}

/// Normal, Inner and Outer Non-cacheable.
const NON_CACHEABLE: u8 = 0x44;
/// The same with XS 0. FEAT_XS.
const NON_CACHEABLE_XS0: u8 = 0x40;
/// Normal, Write-Through with XS 0. FEAT_XS.
const WRITE_THROUGH_XS0: u8 = 0xa0;
/// Normal, Write-Back, allocating, Tagged. FEAT_MTE2.
const TAGGED: u8 = 0xf0;
/// The same where stage 2 permits no access to tags. FEAT_MTE_PERM.
const TAGGED_NO_TAG_ACCESS: u8 = 0xe0;

impl Attributes {
    /// Device-nGnRnE, what data accesses see with stage 1 off.
    pub(super) const DEVICE_NGNRNE: Self = Self::of(0, Shareability::OuterShareable);
    /// Normal, Write-Through, read-allocate: instruction fetch with stage 1 off and `SCTLR.I` 1.
    pub(super) const FETCH_CACHED: Self = Self::of(0xaa, Shareability::OuterShareable);
    /// Normal Non-cacheable: instruction fetch with stage 1 off and `SCTLR.I` 0.
    pub(super) const FETCH_UNCACHED: Self = Self::of(NON_CACHEABLE, Shareability::OuterShareable);
    /// Normal, Write-Back, allocating, Non-shareable: `HCR_EL2.DC`.
    pub(super) const DEFAULT_CACHEABLE: Self = Self::of(0xff, Shareability::NonShareable);

    /// The same and Tagged: `HCR_EL2.DCT`. FEAT_MTE2.
    pub(super) const DEFAULT_TAGGED: Self = Self::of(TAGGED, Shareability::NonShareable);

    /// Returns the attributes of a byte of [`data`] or [`fetch`]. Device memory and memory that is Non-cacheable at both
    /// levels are Outer Shareable whatever SH says. Arm ARM, EffectiveShareability.
    #[inline]
    pub(super) const fn of(byte: u8, sh: Shareability) -> Self {
        let outer = byte & 0xf0 == 0 || byte == NON_CACHEABLE || byte == NON_CACHEABLE_XS0;
        Self { byte, shareability: if outer { Shareability::OuterShareable } else { sh } }
    }

    /// Returns the attributes of each byte that [`data`] or [`fetch`] gave: in bits 2:0 AttrIndx, in bits 4:3 SH.
    pub(super) fn all(mair: u64) -> [Self; 32] {
        let mut all = [Self::DEVICE_NGNRNE; 32];
        for (sh, of_all) in (0..).zip(all.chunks_exact_mut(8)) {
            for (attributes, byte) in of_all.iter_mut().zip(mair.to_le_bytes()) {
                *attributes = Self::of(byte, Shareability::decode(sh));
            }
        }
        all
    }

    /// Returns these attributes where stage 2, with an SH of its own, leaves the memory type as it is.
    #[inline]
    pub(super) fn shared_by(self, sh: u64) -> Self {
        let at = u64::from(self.shareability.encode()) << 2 | sh & 3;
        let shareability = UNIONS.get(index(at)).copied().unwrap_or(Shareability::OuterShareable);
        Self { shareability, ..self }
    }

    /// Returns the byte in the form of MAIR, as `PAR_EL1.ATTR` reports it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.byte
    }

    /// Returns the effective shareability. Arm ARM, EffectiveShareability.
    #[must_use]
    pub const fn shareability(self) -> Shareability {
        self.shareability
    }

    /// Whether this is Device memory of any kind.
    #[inline]
    #[must_use]
    pub const fn is_device(self) -> bool {
        self.byte & 0xf0 == 0
    }

    /// Whether accesses wait for TLB maintenance without nXS. FEAT_XS.
    #[must_use]
    pub const fn xs(self) -> bool {
        if self.is_device() {
            return self.byte & 1 == 0;
        }
        !matches!(self.byte, NON_CACHEABLE_XS0 | WRITE_THROUGH_XS0) && !self.is_write_back()
    }

    /// Whether the memory has allocation tags, accessible or not. FEAT_MTE2.
    #[must_use]
    pub const fn is_tagged(self) -> bool {
        matches!(self.byte, TAGGED | TAGGED_NO_TAG_ACCESS)
    }

    /// Whether both levels are Write-Back.
    const fn is_write_back(self) -> bool {
        if self.is_tagged() {
            return true;
        }
        matches!(half(self.byte >> 4), Cacheability::WriteBack)
            && matches!(half(self.byte), Cacheability::WriteBack)
    }

    /// Returns the memory type. Arm ARM, MAIR_EL1.
    #[must_use]
    pub const fn memory_type(self) -> MemoryType {
        if self.is_device() {
            return MemoryType::Device(match (self.byte >> 2) & 3 {
                0 => DeviceType::nGnRnE,
                1 => DeviceType::nGnRE,
                2 => DeviceType::nGRE,
                _ => DeviceType::GRE,
            });
        }
        match self.byte {
            NON_CACHEABLE_XS0 => {
                MemoryType::Normal { outer: Cacheability::NonCacheable, inner: Cacheability::NonCacheable }
            }
            WRITE_THROUGH_XS0 => {
                MemoryType::Normal { outer: Cacheability::WriteThrough, inner: Cacheability::WriteThrough }
            }
            TAGGED | TAGGED_NO_TAG_ACCESS => {
                MemoryType::Normal { outer: Cacheability::WriteBack, inner: Cacheability::WriteBack }
            }
            byte => MemoryType::Normal { outer: half(byte >> 4), inner: half(byte) },
        }
    }
}

/// What [`Attributes::shared_by`] finds: by the encoded shareability of stage 1 in bits 3:2, SH of stage 2 in bits 1:0.
const UNIONS: [Shareability; 16] = {
    let mut table = [Shareability::NonShareable; 16];
    let mut rest: &mut [Shareability] = &mut table;
    let mut at = 0;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = Shareability::decode(at >> 2).union(Shareability::decode(at));
        rest = others;
        at = at.wrapping_add(1);
    }
    table
};

/// The memory attributes of a stage 2 leaf, before they meet those of stage 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage2Attributes {
    /// MemAttr\[3:0\].
    pub(super) mem_attr: u8,
    pub(super) shareability: Shareability,
    /// FnXS: XS is 0. FEAT_XS.
    pub(super) no_xs: bool,
    /// Tags may not be accessed. FEAT_MTE_PERM.
    pub(super) no_tag_access: bool,
}

/// Attributes taken apart: what two stages are combined in.
#[derive(Clone, Copy, Debug)]
enum Parts {
    /// The two bits of the type.
    Device(u8),
    /// Outer and inner nibble as MAIR has them.
    Normal(u8, u8),
}

impl Stage2Attributes {
    /// Whether stage 2 by itself says Device.
    pub(super) const fn is_device(self, params: &Stage2) -> bool {
        if params.fwb { self.mem_attr & 4 == 0 } else { self.mem_attr & 0xc == 0 }
    }

    /// Returns the attributes of both stages together. Arm ARM, AArch64.S2ApplyFWBMemAttrs,
    /// S2CombineS1MemAttrs; then `HCR_EL2.CD` and `ID`.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is short where it is asked often")]
    pub(super) fn over(self, stage_1: Attributes, params: &Stage2, fetch: bool) -> Attributes {
        // The commonest: as stage 1 has it.
        let unchanged = self.mem_attr == 0xf && !params.fwb || self.mem_attr == 7 && params.fwb;
        if unchanged && !(self.no_xs || self.no_tag_access || params.cd || params.id) {
            let shareability = stage_1.shareability.union(self.shareability);
            return Attributes { shareability, ..stage_1 };
        }
        self.over_in_full(stage_1, params, fetch)
    }

    /// The same where the stages differ.
    #[inline(never)]
    fn over_in_full(self, stage_1: Attributes, params: &Stage2, fetch: bool) -> Attributes {
        let (parts, forced) = if params.fwb { self.forced(stage_1) } else { (self.meet(stage_1), false) };
        let xs = stage_1.xs() && !self.no_xs && !forced;
        let uncached = if fetch { params.id } else { params.cd };
        let parts = match parts {
            Parts::Normal(..) if uncached => Parts::Normal(4, 4),
            // As in [`fetch`].
            Parts::Device(_) if fetch => Parts::Normal(4, 4),
            Parts::Device(_) | Parts::Normal(..) => parts,
        };
        let byte = match parts {
            // Tags stay where the memory still is what they need. Arm ARM, S2MemTagType.
            Parts::Normal(0xf, 0xf) if stage_1.is_tagged() && self.no_tag_access => TAGGED_NO_TAG_ACCESS,
            Parts::Normal(0xf, 0xf) if stage_1.is_tagged() => TAGGED,
            Parts::Normal(..) | Parts::Device(_) => parts.encode(xs),
        };
        Attributes::of(byte, stage_1.shareability.union(self.shareability))
    }

    /// The weaker of both, with the hints of stage 1. CHOICE: a reserved half of MemAttr means
    /// Non-cacheable.
    fn meet(self, stage_1: Attributes) -> Parts {
        if self.mem_attr & 0xc == 0 {
            return Parts::of(stage_1).stricter(self.mem_attr & 3);
        }
        match Parts::of(stage_1) {
            Parts::Device(kind) => Parts::Device(kind),
            Parts::Normal(outer, inner) => {
                Parts::Normal(weaker(outer, self.mem_attr >> 2), weaker(inner, self.mem_attr))
            }
        }
    }

    /// What `HCR_EL2.FWB` makes of it, and whether it is forced to be Write-Back. CHOICE: the reserved
    /// 0b100 means Non-cacheable, as 0b101.
    fn forced(self, stage_1: Attributes) -> (Parts, bool) {
        let parts = Parts::of(stage_1);
        match (self.mem_attr & 7, parts) {
            (kind @ 0..=3, _) => (parts.stricter(kind), false),
            (6, Parts::Device(_)) => (Parts::Normal(0xf, 0xf), true),
            (6, Parts::Normal(outer, inner)) => (Parts::Normal(write_back(outer), write_back(inner)), true),
            (7, _) | (_, Parts::Device(_)) => (parts, false),
            _ => (Parts::Normal(4, 4), false),
        }
    }
}

impl Parts {
    fn of(attributes: Attributes) -> Self {
        match attributes.byte {
            NON_CACHEABLE_XS0 => Self::Normal(4, 4),
            WRITE_THROUGH_XS0 => Self::Normal(0xa, 0xa),
            TAGGED | TAGGED_NO_TAG_ACCESS => Self::Normal(0xf, 0xf),
            byte if byte & 0xf0 == 0 => Self::Device(byte >> 2 & 3),
            byte => Self::Normal(byte >> 4, byte & 0xf),
        }
    }

    /// Meets a Device type of stage 2.
    fn stricter(self, kind: u8) -> Self {
        match self {
            Self::Device(own) => Self::Device(own.min(kind)),
            Self::Normal(..) => Self::Device(kind),
        }
    }

    /// Returns the byte that PAR_EL1.ATTR reports; XS 0 has encodings of its own.
    fn encode(self, xs: bool) -> u8 {
        match self {
            Self::Device(kind) => kind << 2 | u8::from(!xs),
            Self::Normal(4, 4) if !xs => NON_CACHEABLE_XS0,
            Self::Normal(0xa, 0xa) if !xs => WRITE_THROUGH_XS0,
            Self::Normal(outer, inner) => outer << 4 | inner,
        }
    }
}

/// Returns a nibble of stage 1 no more cacheable than two bits of MemAttr say: 01 Non-cacheable, 10
/// Write-Through, 11 Write-Back. Hints and transience stay. Arm ARM, S2CombineS1AttrHints.
const fn weaker(nibble: u8, mem_attr: u8) -> u8 {
    match (half(nibble), mem_attr & 3) {
        (Cacheability::NonCacheable, _) | (_, 0 | 1) => 4,
        (Cacheability::WriteThrough, _) | (Cacheability::WriteBack, 3) => nibble,
        // From 0b01RW to 0b00RW, from 0b11RW to 0b10RW.
        (Cacheability::WriteBack, _) => nibble & !4,
    }
}

/// Returns a nibble of stage 1 made Write-Back, with its hints where it has any.
const fn write_back(nibble: u8) -> u8 {
    match half(nibble) {
        Cacheability::NonCacheable => 0xf,
        Cacheability::WriteThrough | Cacheability::WriteBack => nibble | 4,
    }
}

/// Returns MAIR as the processing element knows it: without FEAT_MTE2 Tagged memory is Write-Back and no more.
pub(super) fn known(mair: u64, mte2: bool) -> u64 {
    let byte = |byte| if byte == TAGGED && !mte2 { 0xff } else { byte };
    u64::from_le_bytes(mair.to_le_bytes().map(byte))
}

/// Returns MAIR as data accesses have it, with or without `SCTLR_ELx.C`.
pub(super) fn data(mair: u64, cached: bool) -> u64 {
    let byte = |byte| if cached { canonical(byte) } else { uncached(canonical(byte)) };
    u64::from_le_bytes(mair.to_le_bytes().map(byte))
}

/// Returns MAIR as instruction fetches have it, with or without `SCTLR_ELx.I`.
///
/// CHOICE: a fetch from Device memory does not fault and is Normal Non-cacheable, one of the two
/// permitted behaviours. Arm ARM, "Instruction fetches from Device memory".
pub(super) fn fetch(mair: u64, cached: bool) -> u64 {
    let byte = |byte| {
        let byte = canonical(byte);
        let device = byte & 0xf0 == 0;
        if device || !cached { non_cacheable(byte) } else { byte }
    };
    u64::from_le_bytes(mair.to_le_bytes().map(byte))
}

/// Returns Normal memory Non-cacheable; Device memory stays.
const fn uncached(byte: u8) -> u8 {
    if byte & 0xf0 == 0 { byte } else { non_cacheable(byte) }
}

/// Returns Normal Non-cacheable memory with the XS of a byte.
const fn non_cacheable(byte: u8) -> u8 {
    if (Attributes { byte, shareability: Shareability::OuterShareable }).xs() {
        NON_CACHEABLE
    } else {
        NON_CACHEABLE_XS0
    }
}

/// Returns the cacheability in the low four bits: 0b00RW and 0b10RW Write-Through, 0b0100
/// Non-cacheable, 0b01RW and 0b11RW Write-Back. Arm ARM, MAIR_EL1.
const fn half(nibble: u8) -> Cacheability {
    match nibble & 0xf {
        4 => Cacheability::NonCacheable,
        0..=3 | 8..=0xb => Cacheability::WriteThrough,
        _ => Cacheability::WriteBack,
    }
}

/// Returns a byte whose every value has one meaning.
///
/// CHOICE: the UNPREDICTABLE bytes of MAIR become the strictest type, Device-nGnRnE; [`known`] has
/// taken Tagged memory out where there are no tags.
#[inline]
const fn canonical(byte: u8) -> u8 {
    match byte {
        TAGGED | NON_CACHEABLE_XS0 | WRITE_THROUGH_XS0 => byte,
        _ if byte & 0xf0 == 0 && byte & 2 != 0 => 0,
        _ if byte & 0xf0 != 0 && byte & 0xf == 0 => 0,
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_mair_name_types() {
        use Cacheability::{NonCacheable as NC, WriteBack as WB, WriteThrough as WT};
        const fn normal(outer: Cacheability, inner: Cacheability) -> MemoryType {
            MemoryType::Normal { outer, inner }
        }
        const CASES: &[(u8, u8, MemoryType, bool)] = &[
            (0x00, 0x00, MemoryType::Device(DeviceType::nGnRnE), true),
            (0x04, 0x04, MemoryType::Device(DeviceType::nGnRE), true),
            (0x08, 0x08, MemoryType::Device(DeviceType::nGRE), true),
            (0x0c, 0x0c, MemoryType::Device(DeviceType::GRE), true),
            (0x0d, 0x0d, MemoryType::Device(DeviceType::GRE), false),
            (0x0e, 0x00, MemoryType::Device(DeviceType::nGnRnE), true),
            (0x44, 0x44, normal(NC, NC), true),
            (0x40, 0x40, normal(NC, NC), false),
            (0xa0, 0xa0, normal(WT, WT), false),
            (0xbb, 0xbb, normal(WT, WT), true),
            (0xff, 0xff, normal(WB, WB), false),
            (0xf4, 0xf4, normal(WB, NC), true),
            (0x77, 0x77, normal(WB, WB), false),
            (0x1c, 0x1c, normal(WT, WB), true),
            (0xf0, 0xf0, normal(WB, WB), false),
            (0xe0, 0x00, MemoryType::Device(DeviceType::nGnRnE), true),
            (0x90, 0x00, MemoryType::Device(DeviceType::nGnRnE), true),
        ];
        for (byte, reported, memory_type, xs) in CASES {
            let byte = data(u64::from(*byte), true).to_le_bytes()[0];
            let attributes = Attributes::of(byte, Shareability::InnerShareable);
            assert_eq!(attributes.byte(), *reported, "{byte:#04x}");
            assert_eq!(attributes.memory_type(), *memory_type, "{byte:#04x}");
            assert_eq!(attributes.xs(), *xs, "{byte:#04x}");
        }
    }

    #[test]
    fn device_and_non_cacheable_memory_is_outer_shareable() {
        for (byte, want) in [(0x04, 2), (0x44, 2), (0x40, 2), (0x4f, 3), (0xff, 3), (0xf4, 3)] {
            let attributes = Attributes::of(byte, Shareability::decode(3));
            assert_eq!(attributes.shareability().encode(), want, "{byte:#04x}");
        }
        assert_eq!(Shareability::decode(1), Shareability::NonShareable);
    }

    #[test]
    fn memory_without_cache_is_non_cacheable_and_keeps_xs() {
        assert_eq!(data(0x0004_a044_bbff, false), 0x0004_4044_4440);
        assert_eq!(fetch(0x0004_a044_bbff, false), 0x4444_4444_4044_4440);
    }

    #[test]
    fn fetches_see_no_device() {
        assert_eq!(fetch(0x0d00_0004_a044_bbff, true), 0x4044_4444_a044_bbff);
        assert_eq!(data(0x0d00_0004_a044_bbff, true), 0x0d00_0004_a044_bbff);
    }
}
