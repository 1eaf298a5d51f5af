//! The short way: tables of full length, all valid, that lead to a page.
//!
//! A table entry is compared with what a plain one looks like in one step: valid, of its table's type, designating a table
//! that has all its quarters, no frame and nothing common. Whatever is different, an exception above all, is handed over to
//! the full walk of [`super::walk`], which goes on from there: it alone says what is wrong. So this never decides against an
//! access, and where it finds a mapping the full walk would have found the same.

use super::params::Features;
use super::walk::{Entry, Leaf, Mapping, untranslated};
use crate::memory::TableMemory;
use s390_arch::addr::{Absolute, Prefix, Real};
use s390_arch::dat::{
    Asce, Level, PageEntry, RegionFirstEntry, RegionSecondEntry, RegionThirdEntry, SegmentEntry, TableType,
    Virtual,
};

/// What entries of a table look like: under the mask they are this.
#[derive(Clone, Copy)]
struct Plain {
    mask: u64,
    value: u64,
}

/// All bits of a type.
const TYPE: TableType = TableType::RegionFirst;

impl Plain {
    const FIRST: Self = {
        let entry = RegionFirstEntry::new().with_tl(3);
        Self {
            mask: entry.with_tf(3).with_i(true).with_tt(TYPE).into_bits(),
            value: entry.with_tt(TableType::RegionFirst).into_bits(),
        }
    };
    const SECOND: Self = {
        let entry = RegionSecondEntry::new().with_tl(3);
        Self {
            mask: entry.with_tf(3).with_i(true).with_tt(TYPE).into_bits(),
            value: entry.with_tt(TableType::RegionSecond).into_bits(),
        }
    };
    const THIRD: Self = {
        let entry = RegionThirdEntry::new().with_tl(3);
        Self {
            mask: entry.with_tf(3).with_i(true).with_tt(TYPE).with_fc(true).with_cr(true).into_bits(),
            value: entry.with_tt(TableType::RegionThird).into_bits(),
        }
    };
    const SEGMENT: Self = {
        let entry = SegmentEntry::new().with_i(true).with_tt(TYPE).with_fc(true).with_cs(true);
        Self { mask: entry.into_bits(), value: SegmentEntry::new().with_tt(TableType::Segment).into_bits() }
    };
    const PAGE: Self = Self { mask: PageEntry::new().with_i(true).with_b52(true).into_bits(), value: 0 };

    #[inline]
    const fn is(self, entry: u64) -> bool {
        entry & self.mask == self.value
    }
}

/// Address bits of region and segment tables and of pages, and of page tables.
const ORIGIN: u64 = !0xfff;
const PAGE_TABLE: u64 = !0x7ff;
/// The place in a region or segment table, and in a page table.
const OFFSET: u64 = 0x3ff8;
const PAGE_OFFSET: u64 = 0x7f8;
/// P of region, segment and page entries.
const PROTECTED: u64 = PageEntry::new().with_p(true).into_bits();
const _: () = assert!(RegionFirstEntry::new().with_p(true).into_bits() == PROTECTED);
const _: () = assert!(RegionSecondEntry::new().with_p(true).into_bits() == PROTECTED);
const _: () = assert!(RegionThirdEntry::new().with_p(true).into_bits() == PROTECTED);
const _: () = assert!(SegmentEntry::new().with_p(true).into_bits() == PROTECTED);

/// Where the short way ends without a mapping.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// The level of the entry.
    pub(super) level: Level,
    /// The entry that is not plain; `None` where it lies outside storage.
    pub(super) entry: Option<Entry>,
    /// P of the entries before.
    pub(super) protected: bool,
}

/// Walks from a table of a type down to a page, as far as all is plain. That the address is within the table has been seen
/// to.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a walk is one function for each type of designation")]
pub(super) fn descend<M: TableMemory<Absolute>>(
    asce: Asce,
    address: Virtual,
    features: Features,
    prefix: Prefix,
    mem: &M,
) -> Result<Result<Mapping, Rest>, M::Error> {
    let walk = (asce.table(), address.into_bits(), features, prefix);
    match asce.dt() {
        TableType::RegionFirst => levels::<5, M>(walk, mem),
        TableType::RegionSecond => levels::<4, M>(walk, mem),
        TableType::RegionThird => levels::<3, M>(walk, mem),
        TableType::Segment => levels::<2, M>(walk, mem),
    }
}

/// Walks so many levels of tables.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and taken apart at once")]
fn levels<const LEVELS: u8, M: TableMemory<Absolute>>(
    (table, address, features, prefix): (Absolute, u64, Features, Prefix),
    mem: &M,
) -> Result<Result<Mapping, Rest>, M::Error> {
    let mut table = table.bits();
    let mut regions = 0;
    let rest = |level, entry, seen: u64| {
        Ok(Err(Rest { level, entry, protected: features.edat1 && seen & PROTECTED != 0 }))
    };
    if LEVELS >= 5 {
        let entry = match load(table, address >> 50 & OFFSET, Plain::FIRST, mem)? {
            Ok(entry) => entry.bits,
            Err(entry) => return rest(Level::RegionFirst, entry, regions),
        };
        (table, regions) = (entry & ORIGIN, entry);
    }
    if LEVELS >= 4 {
        let entry = match load(table, address >> 39 & OFFSET, Plain::SECOND, mem)? {
            Ok(entry) => entry.bits,
            Err(entry) => return rest(Level::RegionSecond, entry, regions),
        };
        (table, regions) = (entry & ORIGIN, regions | entry);
    }
    if LEVELS >= 3 {
        let entry = match load(table, address >> 28 & OFFSET, Plain::THIRD, mem)? {
            Ok(entry) => entry.bits,
            Err(entry) => return rest(Level::RegionThird, entry, regions),
        };
        (table, regions) = (entry & ORIGIN, regions | entry);
    }
    let segment = match load(table, address >> 17 & OFFSET, Plain::SEGMENT, mem)? {
        Ok(entry) => entry.bits,
        Err(entry) => return rest(Level::Segment, entry, regions),
    };
    let protected = segment & PROTECTED != 0 || features.edat1 && regions & PROTECTED != 0;
    let page = match load(segment & PAGE_TABLE, address >> 9 & PAGE_OFFSET, Plain::PAGE, mem)? {
        Ok(entry) => entry,
        Err(entry) => return Ok(Err(Rest { level: Level::Page, entry, protected })),
    };
    let real = Real::new(page.bits & ORIGIN | address & !ORIGIN);
    Ok(Ok(Mapping {
        entry: Some(page),
        dat_protected: protected || page.bits & PROTECTED != 0,
        instruction_protected: PageEntry::from_bits(page.bits).iep(),
        ..untranslated(Leaf::Page, real, prefix)
    }))
}

/// Loads an entry: plain, or not, or not there.
#[inline(always)]
#[expect(clippy::inline_always, reason = "one load and one comparison")]
fn load<M: TableMemory<Absolute>>(
    table: u64,
    offset: u64,
    plain: Plain,
    mem: &M,
) -> Result<Result<Entry, Option<Entry>>, M::Error> {
    let Some(at) = table.checked_add(offset).map(Absolute::new) else { return Ok(Err(None)) };
    let Some(bytes) = mem.load(at)? else { return Ok(Err(None)) };
    let entry = Entry { at, bits: u64::from_be_bytes(bytes) };
    Ok(if plain.is(entry.bits) { Ok(entry) } else { Err(Some(entry)) })
}
