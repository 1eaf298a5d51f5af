//! The two formats of descriptors, VMSAv8-64 and VMSAv9-128. Arm ARM, "Translation table descriptor formats".
//!
//! Bits by hand, here and beside the walk: a descriptor is no register, what a bit of it is depends on stage, level, format and
//! controls, and these are the innermost loops of a walk.

use super::descend::below;
use super::geometry::{AddressForm, Range, level};
use super::source::Bits;
use arm_arch::bits::{field, low8, mask, trunc32, trunc64};
use arm_arch::{Granule, Level};

/// AP\[2\], read-only; nDirty with indirect permissions; S2AP\[1\] and Dirty at stage 2.
pub(super) const READ_ONLY: u64 = 1 << 7;
/// Entries belong to one ASID.
pub(super) const NOT_GLOBAL: u64 = 1 << 11;
/// Bit 5 of a stage 1 leaf.
pub(super) const NS: u64 = 1 << 5;

/// What an index of permissions or overlay selects of a register: four bits.
#[inline]
pub(super) const fn nibble(register: u64, index: u64) -> u8 {
    low8(register.wrapping_shr(trunc32(index).wrapping_mul(4)) & 0xf)
}

/// A descriptor as walks read it.
pub(super) trait Descriptor: Bits {
    /// 128 bits: other places for most fields.
    const WIDE: bool;
    /// What [`Self::accumulate`] starts from.
    const NO_TABLES: Self;

    /// Whether this, above level 3, is a table that leads one level on, and nothing more.
    fn is_quick_table(self, range: &Range) -> bool;
    /// Whether this is a table.
    fn is_table(self, range: &Range, remaining: u32) -> bool;
    /// Whether this maps memory.
    fn is_leaf(self, range: &Range, remaining: u32) -> bool;
    /// Returns the levels that the next table replaces: 1 and SKL.
    fn steps(self) -> u32;
    /// Returns the address of the next table.
    fn next_table(self, range: &Range) -> u64;
    /// Keeps what tables pass on to the levels below.
    fn accumulate(self, tables: Self) -> Self;
    /// Returns the permission bits that tables pass on, 62:59.
    fn hierarchy(tables: Self, range: &Range) -> u64;
    /// Whether a table made the rest of the walk Non-secure.
    fn is_ns_table(tables: Self, range: &Range) -> bool;
    /// Returns the output address of a leaf without its low `low` bits.
    fn output(self, range: &Range, low: u32) -> u64;
    /// Whether the leaf is one of a contiguous group; `first` is that of the first table, `tables` what
    /// was passed on.
    fn is_contiguous(self, range: &Range, tables: Self, first: bool) -> bool;
    /// Returns the binary logarithm of the entries of a contiguous group; 0 where the bit is ignored.
    fn contiguous_bits(granule: Granule, level: Level) -> u32;
    /// Returns this with other low 64 bits.
    fn with_low(self, low: u64) -> Self;
    /// Returns AttrIndx as the number of a byte in MAIR, and in MAIR2 from 8 on.
    fn attribute_index(self) -> u64;
    /// Returns the SH field.
    fn sh(self) -> u64;
    /// Whether the page is guarded. FEAT_BTI.
    fn is_guarded(self) -> bool;
    /// Returns PIIndex of stage 1.
    fn pi_index(self) -> u64;
    /// Returns POIndex of stage 1.
    fn po_index(self) -> u64;
    /// Returns PIIndex of stage 2.
    fn s2_pi_index(self) -> u64;
    /// Returns POIndex of stage 2.
    fn s2_po_index(self) -> u64;
    /// Whether the descriptor is protected. FEAT_THE; `pnch` is TCR2_ELx.PnCH.
    fn is_protected(self, pnch: bool) -> bool;
    /// Whether stage 2 demands assured translations; `enabled` is VTCR_EL2.AssuredOnly.
    fn is_assured_only(self, enabled: bool) -> bool;
    /// Whether bit 55 (127) makes the output of Realm stage 2 Non-secure.
    fn is_s2_ns(self) -> bool;
}

/// Bits 1:0 of a 64-bit descriptor, what it is.
const KIND: u64 = 3;
/// A block, above level 3.
const BLOCK: u64 = 1;
/// A table; a page at level 3.
const TABLE: u64 = 3;
/// Contiguous; Protected with PnCH.
pub(super) const CONTIGUOUS: u64 = 1 << 52;
pub(super) const GUARDED: u64 = 1 << 50;

/// Returns the bit that stands for a level in [`Range::blocks`].
#[inline]
const fn block_bit(level: Level) -> u8 {
    match level {
        Level::L0 => 1,
        Level::L1 => 2,
        Level::L2 => 4,
        Level::Minus2 | Level::Minus1 | Level::L3 => 0,
    }
}

/// Returns the address in a 64-bit descriptor, without the bits below `low`.
#[inline]
const fn address(form: AddressForm, entry: u64, low: u32) -> u64 {
    let plain = entry & mask(48) & !below(low);
    match form {
        AddressForm::Bits48 => plain,
        AddressForm::Lpa => plain | (entry & 0xf000) << 36,
        AddressForm::Lpa2 => plain | entry & 3 << 48 | (entry & 0x300) << 42,
    }
}

impl Descriptor for u64 {
    const WIDE: bool = false;
    const NO_TABLES: Self = 0;

    #[inline]
    fn is_quick_table(self, range: &Range) -> bool {
        self & range.quick_mask == range.quick
    }

    #[inline]
    fn is_table(self, _: &Range, remaining: u32) -> bool {
        self & KIND == TABLE && remaining != 0
    }

    #[inline]
    fn is_leaf(self, range: &Range, remaining: u32) -> bool {
        if remaining == 0 {
            self & KIND == TABLE
        } else {
            self & KIND == BLOCK && range.blocks & block_bit(level(remaining)) != 0
        }
    }

    #[inline]
    fn steps(self) -> u32 {
        1
    }

    #[inline]
    fn next_table(self, range: &Range) -> u64 {
        let plain = self & range.table_address;
        match range.form {
            AddressForm::Bits48 => plain,
            AddressForm::Lpa => plain | (self & 0xf000) << 36,
            AddressForm::Lpa2 => plain | self & 3 << 48 | (self & 0x300) << 42,
        }
    }

    #[inline]
    fn accumulate(self, tables: Self) -> Self {
        tables | self
    }

    #[inline]
    fn hierarchy(tables: Self, range: &Range) -> u64 {
        tables & range.hierarchy
    }

    #[inline]
    fn is_ns_table(tables: Self, range: &Range) -> bool {
        tables & range.ns_table != 0
    }

    #[inline]
    fn output(self, range: &Range, low: u32) -> u64 {
        address(range.form, self, low)
    }

    #[inline]
    fn is_contiguous(self, range: &Range, _: Self, _: bool) -> bool {
        self & CONTIGUOUS != 0 && !range.discontiguous
    }

    /// Arm ARM, "The Contiguous bit".
    fn contiguous_bits(granule: Granule, level: Level) -> u32 {
        match (granule, level) {
            (Granule::Size4K, Level::L1 | Level::L2 | Level::L3) => 4,
            (Granule::Size16K, Level::L2) | (Granule::Size64K, Level::L2 | Level::L3) => 5,
            (Granule::Size16K, Level::L3) => 7,
            (Granule::Size4K, Level::Minus2 | Level::Minus1 | Level::L0)
            | (Granule::Size16K | Granule::Size64K, Level::Minus2 | Level::Minus1 | Level::L0 | Level::L1) => {
                0
            }
        }
    }

    #[inline]
    fn with_low(self, low: u64) -> Self {
        low
    }

    #[inline]
    fn attribute_index(self) -> u64 {
        field(self, 4, 2) | field(self, 59, 59) << 3
    }

    #[inline]
    fn sh(self) -> u64 {
        self >> 8
    }

    #[inline]
    fn is_guarded(self) -> bool {
        self & GUARDED != 0
    }

    fn pi_index(self) -> u64 {
        field(self, 54, 53) << 2 | field(self, 51, 51) << 1 | field(self, 6, 6)
    }

    fn po_index(self) -> u64 {
        field(self, 62, 60)
    }

    fn s2_pi_index(self) -> u64 {
        self.pi_index()
    }

    fn s2_po_index(self) -> u64 {
        field(self, 62, 59)
    }

    #[inline]
    fn is_protected(self, pnch: bool) -> bool {
        pnch && self & CONTIGUOUS != 0
    }

    fn is_assured_only(self, enabled: bool) -> bool {
        enabled && field(self, 58, 58) != 0
    }

    fn is_s2_ns(self) -> bool {
        field(self, 55, 55) != 0
    }
}

/// Returns bits `hi` to `lo` of a 128-bit descriptor.
#[inline]
fn bits(entry: u128, hi: u32, lo: u32) -> u64 {
    trunc64(entry.wrapping_shr(lo)) & mask(hi.wrapping_sub(lo).wrapping_add(1))
}

/// Returns SKL, bits 110:109: how many levels the next table skips.
#[inline]
fn skl(entry: u128) -> u32 {
    trunc32(bits(entry, 110, 109))
}

/// Whether a 128-bit descriptor is valid: 16 and 64 KiB tables cannot skip three levels.
#[inline]
fn is_valid(entry: u128, range: &Range) -> bool {
    entry & 1 != 0 && (skl(entry) != 3 || matches!(range.granule, Granule::Size4K))
}

impl Descriptor for u128 {
    const WIDE: bool = true;
    const NO_TABLES: Self = 0;

    #[inline]
    fn is_quick_table(self, _: &Range) -> bool {
        false
    }

    #[inline]
    fn is_table(self, range: &Range, remaining: u32) -> bool {
        is_valid(self, range) && skl(self) < remaining
    }

    fn is_leaf(self, range: &Range, remaining: u32) -> bool {
        let allowed = remaining == 0 || range.blocks & block_bit(level(remaining)) != 0;
        is_valid(self, range) && skl(self) == remaining && allowed
    }

    #[inline]
    fn steps(self) -> u32 {
        skl(self).wrapping_add(1)
    }

    /// The low bits below the size of the next table are not looked at. Arm ARM, AArch64.NextTableBase.
    fn next_table(self, range: &Range) -> u64 {
        let stride = range.granule.bits().wrapping_sub(4);
        let size_log2 = stride.wrapping_mul(self.steps()).wrapping_add(4);
        self.low() & mask(56) & !mask(size_log2.max(12))
    }

    /// Only the last table matters: DisCH.
    #[inline]
    fn accumulate(self, _: Self) -> Self {
        self
    }

    fn hierarchy(_: Self, _: &Range) -> u64 {
        0
    }

    fn is_ns_table(_: Self, _: &Range) -> bool {
        false
    }

    fn output(self, _: &Range, low: u32) -> u64 {
        self.low() & mask(56) & !mask(low)
    }

    fn is_contiguous(self, range: &Range, tables: Self, first: bool) -> bool {
        let disch = if first { range.discontiguous } else { bits(tables, 112, 112) != 0 };
        bits(self, 111, 111) != 0 && !disch
    }

    fn contiguous_bits(granule: Granule, level: Level) -> u32 {
        match (granule, level) {
            (Granule::Size4K | Granule::Size16K, Level::L1) => 2,
            (Granule::Size4K, Level::L2 | Level::L3)
            | (Granule::Size16K, Level::L2)
            | (Granule::Size64K, Level::L3) => 4,
            (Granule::Size16K, Level::L3) | (Granule::Size64K, Level::L2) => 6,
            (Granule::Size64K, Level::L1)
            | (
                Granule::Size4K | Granule::Size16K | Granule::Size64K,
                Level::Minus2 | Level::Minus1 | Level::L0,
            ) => 0,
        }
    }

    fn with_low(self, low: u64) -> Self {
        self >> 64 << 64 | Self::from(low)
    }

    fn attribute_index(self) -> u64 {
        bits(self, 5, 2)
    }

    fn sh(self) -> u64 {
        bits(self, 9, 8)
    }

    fn is_guarded(self) -> bool {
        bits(self, 113, 113) != 0
    }

    fn pi_index(self) -> u64 {
        bits(self, 118, 115)
    }

    fn po_index(self) -> u64 {
        bits(self, 124, 121)
    }

    fn s2_pi_index(self) -> u64 {
        bits(self, 118, 115)
    }

    fn s2_po_index(self) -> u64 {
        bits(self, 124, 121)
    }

    fn is_protected(self, _: bool) -> bool {
        bits(self, 114, 114) != 0
    }

    fn is_assured_only(self, _: bool) -> bool {
        bits(self, 114, 114) != 0
    }

    fn is_s2_ns(self) -> bool {
        bits(self, 127, 127) != 0
    }
}
