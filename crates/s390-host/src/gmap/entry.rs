//! Table entries with the bits that this host keeps in them for itself.
//!
//! Entries of the architecture leave bits to software: in a page-table entry 56–63, in a segment-table
//! entry that is a large frame without ACCF validity 48–52 and 62–63. The positions are those of the
//! Linux gmap, so that a dump of the tables reads the same:
//!
//! | state | page | large segment | meaning |
//! | --- | --- | --- | --- |
//! | writable | `20` | `4000` | the slot takes stores |
//! | young | `04` | `0800` | touched since the last ageing |
//! | soft dirty | `02` | `02` | stored to since the last log |
//! | present | `01` | `01` | a frame is here, valid or not |
//!
//! An entry that holds no frame is a token: bits 0–15 its type (0 empty: memory that is not mapped yet;
//! 1 hole: no memory), bits 16–31 a parameter (for a hole, the addressing exception it stands for). An empty
//! token keeps soft dirty of the frame that was there, so that taking a mapping away loses no store from the log.

use guest_map::{Content, Frame};
use s390_arch::Absolute;
use s390_arch::addr::Real;
use s390_arch::dat::{Level, PageEntry, RegionThirdEntry, SegmentEntry, SegmentFrameEntry, TableType};
use xarch_abi::HostPa;

/// Invalid bit of a page-table entry (53). PoP ch. 3, "Page-Table Entries".
const PAGE_INVALID: u64 = PageEntry::new().with_i(true).into_bits();
/// DAT-protection bit of any entry (54).
const PROTECTED: u64 = PageEntry::new().with_p(true).into_bits();
/// Invalid bit of a region- or segment-table entry (58).
const TABLE_INVALID: u64 = SegmentEntry::new().with_i(true).into_bits();
/// Format control (53): the segment-table entry designates a frame of 1 MiB.
const LARGE: u64 = SegmentEntry::new().with_fc(true).into_bits();
/// Origin of a page table in a segment-table entry (0–52).
const PAGE_TABLE: u64 = SegmentEntry::new().with_table(Absolute::new(u64::MAX)).into_bits();
/// Origin of the next table in a region-table entry (0–51), the same in all three.
const TABLE: u64 = RegionThirdEntry::new().with_table(Absolute::new(u64::MAX)).into_bits();

const _: () = assert!(PROTECTED == SegmentFrameEntry::new().with_p(true).into_bits());
const _: () = assert!(TABLE_INVALID == RegionThirdEntry::new().with_i(true).into_bits());

const HOLE: u64 = 0x0001_0005_0000_0000;

/// What the bits of one entry mean at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    invalid: u64,
    /// Bits that every entry of the level has: the table type, and FC for a large frame.
    fixed: u64,
    frame: u64,
    writable: u64,
    young: u64,
    soft_dirty: u64,
    present: u64,
}

/// Page-table entries.
pub(super) const PAGE: Layout = Layout {
    invalid: PAGE_INVALID,
    fixed: 0,
    frame: PageEntry::new().with_frame(Real::new(u64::MAX)).into_bits(),
    writable: 0x20,
    young: 0x04,
    soft_dirty: 0x02,
    present: 0x01,
};

/// Segment-table entries that are large frames.
pub(super) const SEGMENT: Layout = Layout {
    invalid: TABLE_INVALID,
    fixed: LARGE,
    frame: SegmentFrameEntry::new().with_frame(Absolute::new(u64::MAX)).into_bits(),
    writable: 0x4000,
    young: 0x0800,
    soft_dirty: 0x02,
    present: 0x01,
};

impl Layout {
    pub(super) fn decode(self, entry: u64) -> Content {
        if entry & self.present != 0 {
            return Content::Frame(Frame {
                at: HostPa::new(entry & self.frame),
                writable: entry & self.writable != 0,
                young: entry & self.young != 0,
                dirty: entry & self.soft_dirty != 0,
                protected: entry & PROTECTED != 0,
            });
        }
        if is_hole(entry) { Content::Hole } else { Content::Empty { dirty: entry & self.soft_dirty != 0 } }
    }

    /// Encodes; an old frame is invalid, so that the next touch is seen.
    pub(super) fn encode(self, content: Content) -> u64 {
        let on = |state: bool, bits: u64| if state { bits } else { 0 };
        match content {
            // A token has no table type but that of its level, which is 0 for both.
            Content::Hole => HOLE | self.invalid,
            Content::Empty { dirty } => self.invalid | on(dirty, self.soft_dirty),
            Content::Frame(frame) => {
                (frame.at.value() & self.frame)
                    | self.fixed
                    | self.present
                    | on(frame.writable, self.writable)
                    | on(frame.young, self.young)
                    | on(frame.dirty, self.soft_dirty)
                    | on(!frame.young, self.invalid)
                    | on(frame.protected, PROTECTED)
            }
        }
    }

    pub(super) const fn is_valid(self, entry: u64) -> bool {
        entry & self.invalid == 0
    }
}

/// Returns the page table that a segment-table entry designates, `None` for a large frame or a token.
pub(super) const fn page_table(segment: u64) -> Option<HostPa> {
    if segment & (TABLE_INVALID | LARGE) == 0 { Some(HostPa::new(segment & PAGE_TABLE)) } else { None }
}

/// Returns the segment-table entry that designates a page table.
pub(super) const fn of_page_table(table: HostPa) -> u64 {
    SegmentEntry::new().with_table(Absolute::new(table.value())).into_bits()
}

/// Returns the table that a region-table entry designates, `None` for a token.
pub(super) const fn lower_table(region: u64) -> Option<HostPa> {
    if region & TABLE_INVALID == 0 { Some(HostPa::new(region & TABLE)) } else { None }
}

/// Returns the entry of a region table of `level` that designates a whole table.
pub(super) const fn of_lower_table(level: Level, table: HostPa) -> u64 {
    RegionThirdEntry::new()
        .with_table(Absolute::new(table.value()))
        .with_tt(type_of(level))
        .with_tl(3)
        .into_bits()
}

/// Returns the hole token of a region or segment table.
pub(super) const fn table_hole(level: Level) -> u64 {
    HOLE | SegmentEntry::new().with_i(true).with_tt(type_of(level)).into_bits()
}

/// Returns whether a token of any table is a hole.
pub(super) const fn is_hole(entry: u64) -> bool {
    entry >> 48 == 1
}

/// Returns the type of the tables of a level; page tables have none and never need one.
pub(super) const fn type_of(level: Level) -> TableType {
    match level.table_type() {
        Some(table_type) => table_type,
        None => TableType::Segment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_the_linux_gmap() {
        assert_eq!(PAGE.encode(Content::Hole), 0x0001_0005_0000_0400);
        assert_eq!(PAGE.encode(Content::Empty { dirty: false }), 0x400);
        assert_eq!(SEGMENT.encode(Content::Hole), 0x0001_0005_0000_0020);
        assert_eq!(table_hole(Level::Segment), 0x0001_0005_0000_0020);
        assert_eq!(table_hole(Level::RegionThird), 0x0001_0005_0000_0024);
        assert_eq!(table_hole(Level::RegionSecond), 0x0001_0005_0000_0028);
        assert_eq!(table_hole(Level::RegionFirst), 0x0001_0005_0000_002c);
    }

    #[test]
    fn designations_are_those_of_the_book() {
        // The five-level walk of the worked examples: a region-second table, a page table at 2 KiB.
        assert_eq!(of_lower_table(Level::RegionFirst, HostPa::new(0x11_0000)), 0x11_000f);
        assert_eq!(of_lower_table(Level::RegionThird, HostPa::new(0x13_0000)), 0x13_0007);
        assert_eq!(of_page_table(HostPa::new(0x14_0800)), 0x14_0800);
        assert_eq!(page_table(0x14_0800), Some(HostPa::new(0x14_0800)));
        assert_eq!((page_table(0x230_0400), page_table(0x14_0820)), (None, None));
        assert_eq!((lower_table(0x13_0007), lower_table(0x13_0027)), (Some(HostPa::new(0x13_0000)), None));
    }

    #[test]
    fn frames_carry_their_state_in_the_bits_of_the_linux_gmap() {
        let frame = Frame {
            at: HostPa::new(0x1234_5000),
            writable: true,
            young: true,
            dirty: false,
            protected: true,
        };
        assert_eq!(PAGE.encode(Content::Frame(frame)), 0x1234_5000 | 0x200 | 0x20 | 0x04 | 0x01);
        let stored = Frame { dirty: true, protected: false, ..frame };
        assert_eq!(PAGE.encode(Content::Frame(stored)), 0x1234_5000 | 0x20 | 0x04 | 0x02 | 0x01);
        let old = Frame { young: false, ..stored };
        assert_eq!(PAGE.encode(Content::Frame(old)), 0x1234_5000 | 0x400 | 0x20 | 0x02 | 0x01);
        let large = Frame { at: HostPa::new(0x1230_0000), ..stored };
        assert_eq!(SEGMENT.encode(Content::Frame(large)), 0x1230_0000 | 0x4c00 | 0x02 | 0x01);
    }
}
