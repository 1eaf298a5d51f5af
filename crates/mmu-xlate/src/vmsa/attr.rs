//! Memory attributes: what MAIR, SH and the cache controls make of a location.

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

    /// Returns the SH field, as `PAR_EL1.SH` has it.
    #[must_use]
    pub const fn encode(self) -> u8 {
        match self {
            Self::NonShareable => 0,
            Self::OuterShareable => 2,
            Self::InnerShareable => 3,
        }
    }
}

/// The kinds of Device memory, the strictest first. Arm ARM B2.10.2.
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

/// Cacheability of Normal memory at one level.
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

impl Attributes {
    /// Device-nGnRnE, what data accesses see with stage 1 off.
    pub(super) const DEVICE_NGNRNE: Self = Self::of(0, Shareability::OuterShareable);
    /// Normal, Write-Through, read-allocate: instruction fetch with stage 1 off and `SCTLR.I` 1.
    pub(super) const FETCH_CACHED: Self = Self::of(0xaa, Shareability::OuterShareable);
    /// Normal Non-cacheable: instruction fetch with stage 1 off and `SCTLR.I` 0.
    pub(super) const FETCH_UNCACHED: Self = Self::of(NON_CACHEABLE, Shareability::OuterShareable);
    /// Normal, Write-Back, allocating, Non-shareable: `HCR_EL2.DC`.
    pub(super) const DEFAULT_CACHEABLE: Self = Self::of(0xff, Shareability::NonShareable);

    /// Returns the attributes of a byte of [`data`] or [`fetch`]. Device memory and memory that is Non-cacheable at both
    /// levels are Outer Shareable whatever SH says. Arm ARM, EffectiveShareability.
    #[inline]
    pub(super) const fn of(byte: u8, sh: Shareability) -> Self {
        let outer = byte & 0xf0 == 0 || byte == NON_CACHEABLE || byte == NON_CACHEABLE_XS0;
        Self { byte, shareability: if outer { Shareability::OuterShareable } else { sh } }
    }

    /// Returns the byte in the form of MAIR, as `PAR_EL1.ATTR` reports it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.byte
    }

    /// Returns the effective shareability.
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

    /// Whether both levels are Write-Back.
    const fn is_write_back(self) -> bool {
        matches!(half(self.byte >> 4), Cacheability::WriteBack)
            && matches!(half(self.byte), Cacheability::WriteBack)
    }

    /// Returns the memory type.
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
            byte => MemoryType::Normal { outer: half(byte >> 4), inner: half(byte) },
        }
    }
}

/// Returns MAIR as data accesses have it, with or without `SCTLR_ELx.C`.
pub(super) fn data(mair: u64, cached: bool) -> u64 {
    let byte = |byte| if cached { canonical(byte) } else { uncached(canonical(byte)) };
    u64::from_le_bytes(mair.to_le_bytes().map(byte))
}

/// Returns MAIR as instruction fetches have it, with or without `SCTLR_ELx.I`.
///
/// CHOICE: a fetch from Device memory does not fault and is Normal Non-cacheable, one of the two
/// permitted behaviours. Arm ARM K1.1, "Instruction fetches from Device memory".
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
/// CHOICE: the UNPREDICTABLE bytes of MAIR become the strictest type, Device-nGnRnE; only Tagged
/// memory (0xf0) without FEAT_MTE2 keeps what it says apart from tags, Write-Back.
#[inline]
const fn canonical(byte: u8) -> u8 {
    match byte {
        0xf0 => 0xff,
        NON_CACHEABLE_XS0 | WRITE_THROUGH_XS0 => byte,
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
            (0xf0, 0xff, normal(WB, WB), false),
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
