//! The shape of tables: where a walk starts, what its descriptors can say, how far addresses reach.

use super::attr::Shareability;
use super::format::CONTIGUOUS;
use super::implementation::Implementation;
use super::rule::Rule;
use arm_arch::bits::{field, mask, trunc32, trunc64, zext8};
use arm_arch::sysreg::physical_address_bits;
use arm_arch::{FaultStatus, Granule, Level};

/// How a descriptor spells an output address beyond 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressForm {
    /// Not at all.
    Bits48,
    /// 64 KiB granule with FEAT_LPA: bits 15:12 are OA\[51:48\].
    Lpa,
    /// `TCR_ELx.DS`: bits 49:48 are OA\[49:48\], bits 9:8 are OA\[51:50\].
    Lpa2,
}

/// One range of input addresses, and the tables that translate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Every walk ends in this: TxSZ out of range, EPD, or a table base beyond the output size.
    pub(super) fault: Option<FaultStatus>,
    /// Why.
    pub(super) why: Rule,
    /// Input address bits, 64 − TxSZ.
    pub(super) iasize: u32,
    /// Something comes before the walk, or the walk is not a plain one: stage 1 off, `fault`, `e0pd`,
    /// `nfd`, `d128`.
    pub(super) special: bool,
    /// Top bits that are not looked at, 0 or 8: \[data, fetch\].
    pub(super) ignored: [u32; 2],
    /// Bits that must all be as bit 55 is, \[data, fetch\]: those above the input size but for TBI and,
    /// in data addresses, the tag of `TCR_ELx.MTX`.
    pub(super) checked: [u64; 2],
    /// EL0 has no access (`TCR_ELx.E0PD`).
    pub(super) e0pd: bool,
    /// Non-fault accesses of EL0 do not walk (`TCR_ELx.NFD`).
    pub(super) nfd: bool,
    /// Descriptors have 128 bits.
    pub(super) d128: bool,
    /// Address of the first table.
    pub(super) base: u64,
    /// Level of the first table.
    pub(super) start: Level,
    /// Levels below it.
    pub(super) remaining: u32,
    /// Address bits of a table descriptor, as far as they are in place.
    pub(super) table_address: u64,
    /// Lowest input address bit that the first table resolves.
    pub(super) first_shift: u32,
    /// Index bits of the first table.
    pub(super) first_mask: u64,
    /// Index bits of a table of one granule, times the size of a descriptor.
    pub(super) offset_mask: u64,
    /// The granule.
    pub(super) granule: Granule,
    /// Address form of descriptors.
    pub(super) form: AddressForm,
    /// Address bits beyond the output size.
    pub(super) beyond: u64,
    /// Levels above 3 at which a block is allowed, a bit for each level number.
    pub(super) blocks: u8,
    /// Hardware sets the access flag of tables (`TCR2_ELx.HAFT`).
    pub(super) haft: bool,
    /// How to know at once a 64-bit table that leads on without more ado: these bits of it are
    /// [`Self::quick`]. They say what it is, that its address is within the output size and, with
    /// HAFT, that the access flag is set.
    pub(super) quick_mask: u64,
    /// See [`Self::quick_mask`]; what never matches where addresses are not plain.
    pub(super) quick: u64,
    /// What walks need that go the short way ([`super::quick`]).
    pub(super) quick_way: Quick,
    /// Bits of table descriptors that count for permissions; 0 with `TCR_ELx.HPD`.
    pub(super) hierarchy: u64,
    /// Bits of table descriptors that make the next tables Non-secure; 0 outside Secure state.
    pub(super) ns_table: u64,
    /// Contiguous is ignored: always, or for leaves in the first table (D128).
    pub(super) discontiguous: bool,
    /// Shareability where the descriptor has no SH field (`TCR_ELx.DS`).
    pub(super) sh: Shareability,
    /// What is not Allocation Tagged has canonical tags (`TCR_ELx.MTX`).
    pub(super) canonical_tags: bool,
}

/// A range as the short way takes it: tables of 4 KiB, and what plain descriptors look like. They say what they are, that
/// their addresses are within the output size and, with HAFT, that the access flag is set; leaves also that they stand
/// alone, have been used and have no dirty state to manage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quick {
    /// Address of the first table.
    pub(super) base: u64,
    /// Levels below the first, 2 or 3; 0 where there are more or fewer, or a control forbids the short way.
    depth: u8,
    /// Bits of the offset into the first table: the index, already times the size of a descriptor.
    pub(super) offset: u64,
    /// Tells this tree of tables from others of the regime: [`Self::base`], ASID in bits 63:48, the depth in bits 1:0.
    pub(super) name: u64,
    /// Bits of a table that say whether it is plain.
    pub(super) table_mask: u64,
    /// What makes them 0 where it is added, and leaves the others alone: the negative of what they are.
    pub(super) less_table: u64,
    /// Bits of a leaf.
    pub(super) leaf_mask: u64,
    /// What they are in a page.
    pub(super) page: u64,
    /// What they are in a block.
    pub(super) block: u64,
}

/// Levels below the first table, as the short way tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Three,
    Two,
    /// Not its business.
    Other,
}

impl Quick {
    /// No depth.
    const CLOSED: u8 = 0;

    #[inline]
    pub(super) const fn depth(&self) -> Depth {
        if self.depth & 1 != 0 {
            Depth::Three
        } else if self.depth != Self::CLOSED {
            Depth::Two
        } else {
            Depth::Other
        }
    }

    /// Whether both depths are 3: the commonest, asked for in one step.
    #[inline]
    pub(super) const fn are_both_three(one: &Self, other: &Self) -> bool {
        one.depth & other.depth & 1 != 0
    }

    /// Returns the same where leaves must have these bits set.
    #[inline]
    pub(super) const fn with(&self, bits: u64) -> Self {
        let Self { leaf_mask, page, block, .. } = *self;
        Self { leaf_mask: leaf_mask | bits, page: page | bits, block: block | bits, ..*self }
    }
}

/// What the geometry of a range follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'i> {
    pub(super) implementation: &'i Implementation,
    pub(super) granule: Granule,
    /// 52-bit addresses in descriptors; 0 with the 64 KiB granule.
    pub(super) ds: bool,
    pub(super) d128: bool,
    pub(super) txsz: u8,
    /// IPS or PS.
    pub(super) ps: u8,
    pub(super) ttbr: u128,
}

/// Bits 1:0 of a 64-bit table or page descriptor.
const TABLE: u64 = 3;
/// The same of a page, and of a block.
const PAGE: u64 = TABLE;
const BLOCK: u64 = 1;
/// Dirty Bit Modifier of a 64-bit leaf.
const DBM: u64 = 1 << 51;
/// Access flag.
pub(super) const ACCESS_FLAG: u64 = 1 << 10;

impl Range {
    /// Returns the range for the short way, where `plain` says that no control forbids it; `dirty`: hardware manages
    /// dirty state; the tables belong to `asid`.
    pub(super) fn quickened(self, plain: bool, dirty: bool, asid: u16) -> Self {
        let is_plain = self.fault.is_none()
            && !self.d128
            && matches!((self.form, self.granule), (AddressForm::Bits48, Granule::Size4K));
        let quick = self.quick_way;
        let depth = match self.remaining {
            2 if plain && is_plain => 2,
            3 if plain && is_plain => 3,
            _ => Quick::CLOSED,
        };
        let dbm = if dirty { DBM } else { 0 };
        // The first table holds two descriptors at least.
        let name = quick.base & mask(48) & !mask(4) | u64::from(asid) << 48 | u64::from(depth);
        Self { quick_way: Quick { depth, name, leaf_mask: quick.leaf_mask | dbm, ..quick }, ..self }
    }
}

impl Shape<'_> {
    /// Returns the binary logarithm of entries in a table of one granule.
    pub(super) const fn stride(&self) -> u32 {
        self.granule.bits().wrapping_sub(if self.d128 { 4 } else { 3 })
    }

    /// Returns the levels below the first of a stage 1 walk, before tables are skipped; 6 or more where
    /// no walk is possible. Arm ARM, AArch64.S1StartLevel.
    pub(super) const fn natural_depth(&self) -> u32 {
        let above = self.iasize().saturating_sub(1).saturating_sub(self.granule.bits());
        match above.checked_div(self.stride()) {
            Some(depth) => depth,
            None => 0,
        }
    }

    /// Returns the input address bits.
    pub(super) const fn iasize(&self) -> u32 {
        64u32.saturating_sub(trunc32(zext8(self.txsz)))
    }

    /// Returns the table levels that the base register skips. Arm ARM, TTBR0_EL1.SKL.
    pub(super) fn skipped(&self) -> u32 {
        if self.d128 { trunc32(field(trunc64(self.ttbr), 2, 1)) } else { 0 }
    }

    /// Returns the range with tables from `remaining` levels above level 3 on; `valid` is false where
    /// TxSZ or the start level is not.
    pub(super) fn range(&self, remaining: u32, valid: bool, haft: bool) -> Range {
        let first_shift = self.granule.bits().wrapping_add(self.stride().wrapping_mul(remaining));
        let beyond = !mask(self.output_size());
        let first_bits = self.iasize().saturating_sub(first_shift);
        let base = self.base(first_bits);
        let (fault, why) = if !valid || remaining > 5 {
            (Some(FaultStatus::Translation(Level::L0)), Rule::StartInvalid)
        } else if base & beyond != 0 {
            (Some(FaultStatus::AddressSize(Level::L0)), Rule::BaseTooLarge)
        } else {
            (None, Rule::FirstTable)
        };
        let form = match self.granule {
            Granule::Size64K if self.implementation.lpa => AddressForm::Lpa,
            Granule::Size4K | Granule::Size16K if self.ds => AddressForm::Lpa2,
            Granule::Size4K | Granule::Size16K | Granule::Size64K => AddressForm::Bits48,
        };
        let table = if haft { TABLE | ACCESS_FLAG } else { TABLE };
        let (quick_mask, quick) = match form {
            AddressForm::Bits48 => (table | beyond & mask(48), table),
            AddressForm::Lpa | AddressForm::Lpa2 => (0, 1),
        };
        Range {
            fault,
            why,
            iasize: self.iasize(),
            special: true,
            ignored: [0, 0],
            checked: [!mask(self.iasize()); 2],
            e0pd: false,
            nfd: false,
            d128: self.d128,
            base,
            start: level(remaining),
            remaining,
            table_address: mask(48) & !self.granule.offset_mask(),
            first_shift,
            first_mask: mask(first_bits),
            offset_mask: mask(self.granule.bits()) & !mask(self.granule.bits().wrapping_sub(self.stride())),
            granule: self.granule,
            form,
            beyond,
            blocks: self.block_levels(),
            haft,
            quick_mask,
            quick,
            quick_way: Quick {
                base,
                depth: Quick::CLOSED,
                name: 0,
                offset: mask(first_bits) << 3,
                table_mask: quick_mask,
                less_table: quick.wrapping_neg(),
                leaf_mask: PAGE | ACCESS_FLAG | CONTIGUOUS | beyond & mask(48),
                page: PAGE | ACCESS_FLAG,
                block: BLOCK | ACCESS_FLAG,
            },
            hierarchy: 0,
            ns_table: 0,
            discontiguous: false,
            sh: Shareability::NonShareable,
            canonical_tags: false,
        }
    }

    /// Returns the largest TxSZ. Arm ARM, AArch64.MaxTxSZ.
    pub(super) const fn largest_txsz(&self) -> u8 {
        match self.granule {
            _ if !self.implementation.ttst => 39,
            Granule::Size4K | Granule::Size16K => 48,
            Granule::Size64K => 47,
        }
    }

    /// Whether a stage 1 TxSZ is within its limits. Arm ARM, AArch64.S1TxSZFaults.
    ///
    /// CHOICE: out of range is a fault, never a clamp to the limit.
    pub(super) const fn is_valid_at_stage_1(&self, two_ranges: bool) -> bool {
        let smallest = match self.granule {
            _ if self.d128 && self.implementation.lva3 && two_ranges => 9,
            _ if self.d128 && self.implementation.lva3 => 8,
            _ if self.ds || self.d128 => 12,
            Granule::Size64K if self.implementation.lva => 12,
            Granule::Size4K | Granule::Size16K | Granule::Size64K => 16,
        };
        self.txsz >= smallest && self.txsz <= self.largest_txsz()
    }

    /// Whether a stage 2 TxSZ is within its limits. Arm ARM, AArch64.S2MinTxSZ.
    pub(super) fn is_valid_at_stage_2(&self) -> bool {
        let pa_bits = u32::from(self.implementation.pa_bits);
        let largest_input = match self.granule {
            _ if self.d128 => pa_bits,
            Granule::Size64K if self.implementation.lpa => pa_bits.min(52),
            Granule::Size64K => pa_bits.min(48),
            Granule::Size4K | Granule::Size16K if self.ds => pa_bits.min(52),
            Granule::Size4K | Granule::Size16K => pa_bits.min(48),
        };
        self.iasize() <= largest_input && self.txsz <= self.largest_txsz()
    }

    /// Returns the output address bits. Arm ARM, AArch64.PhysicalAddressSize.
    fn output_size(&self) -> u32 {
        let pa_bits = u32::from(self.implementation.pa_bits);
        let wanted = u32::from(physical_address_bits(self.ps).unwrap_or(56));
        let cap = match self.granule {
            _ if self.d128 => pa_bits,
            Granule::Size64K if self.implementation.lpa => 52,
            Granule::Size4K | Granule::Size16K if self.implementation.lpa2 => 52,
            Granule::Size4K | Granule::Size16K | Granule::Size64K => 48,
        };
        wanted.min(cap).min(pa_bits)
    }

    /// Returns the address of the first table: the low bits below its size are not looked at. Arm ARM,
    /// TTBR0_EL1.BADDR, AArch64.S1TTBaseAddress.
    fn base(&self, first_bits: u32) -> u64 {
        let ttbr = trunc64(self.ttbr);
        let low = ttbr & mask(48) & !1;
        if self.d128 {
            let high = trunc64(self.ttbr >> 80) & 0xff;
            return (low | high << 48) & !mask(first_bits.wrapping_add(4).max(5));
        }
        let wide =
            self.ds || matches!(self.granule, Granule::Size64K) && self.implementation.lpa && self.ps >= 6;
        let size_log2 = first_bits.wrapping_add(3).max(if wide { 6 } else { 0 });
        let low = low & !mask(size_log2);
        // In the wide form bits 5:2 are address bits 51:48.
        if wide { low | field(ttbr, 5, 2) << 48 } else { low }
    }

    /// Returns the levels at which blocks are allowed, a bit for each. Arm ARM, AArch64.BlockDescSupported.
    const fn block_levels(&self) -> u8 {
        match self.granule {
            Granule::Size4K if self.ds || self.d128 => 0b111,
            Granule::Size4K => 0b110,
            Granule::Size16K if self.ds || self.d128 => 0b110,
            Granule::Size16K => 0b100,
            Granule::Size64K if self.d128 => 0b110,
            Granule::Size64K if self.implementation.lpa && self.implementation.pa_bits >= 52 => 0b110,
            Granule::Size64K => 0b100,
        }
    }
}

/// The level that has so many below it.
#[inline]
pub(super) const fn level(remaining: u32) -> Level {
    match remaining {
        0 => Level::L3,
        1 => Level::L2,
        2 => Level::L1,
        3 => Level::L0,
        4 => Level::Minus1,
        _ => Level::Minus2,
    }
}

/// Returns the granule that a TG0 field means; `None` for the reserved encoding.
pub(super) const fn tg0(field: u8) -> Option<Granule> {
    match field {
        0 => Some(Granule::Size4K),
        1 => Some(Granule::Size64K),
        2 => Some(Granule::Size16K),
        _ => None,
    }
}

/// Returns the granule that a TG1 field means; `None` for the reserved encoding.
pub(super) const fn tg1(field: u8) -> Option<Granule> {
    match field {
        1 => Some(Granule::Size16K),
        2 => Some(Granule::Size4K),
        3 => Some(Granule::Size64K),
        _ => None,
    }
}
