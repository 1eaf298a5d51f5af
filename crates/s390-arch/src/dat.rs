//! What dynamic address translation works on: ASCE, table entries, virtual addresses. PoP ch. 3,
//! "Dynamic Address Translation".
//!
//! Layouts only; the walk is in `mmu-xlate`. Whether FC, IEP and the P of a region entry count depends on the
//! enhanced-DAT facilities, so both readings of an entry that has two are types: [`RegionThirdEntry`] and
//! [`RegionFrameEntry`], [`SegmentEntry`] and [`SegmentFrameEntry`].

use crate::addr::{Absolute, FrameSize, Real};
use crate::pgm::AccessException;
use bitfield_struct::bitfield;
use core::fmt;

/// A level of translation, by the name of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Region-first table: entries of 8 PiB.
    RegionFirst,
    /// Region-second table: entries of 4 TiB.
    RegionSecond,
    /// Region-third table: entries of 2 GiB.
    RegionThird,
    /// Segment table: entries of 1 MiB.
    Segment,
    /// Page table: entries of 4 KiB.
    Page,
}

impl Level {
    /// Returns the level of the tables that entries of this level designate; `None` below the page table.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::RegionFirst => Some(Self::RegionSecond),
            Self::RegionSecond => Some(Self::RegionThird),
            Self::RegionThird => Some(Self::Segment),
            Self::Segment => Some(Self::Page),
            Self::Page => None,
        }
    }

    /// Returns the level of the tables whose entries designate tables of this level; `None` at the top.
    #[must_use]
    pub const fn above(self) -> Option<Self> {
        match self {
            Self::RegionFirst => None,
            Self::RegionSecond => Some(Self::RegionFirst),
            Self::RegionThird => Some(Self::RegionSecond),
            Self::Segment => Some(Self::RegionThird),
            Self::Page => Some(Self::Segment),
        }
    }

    /// Returns the binary logarithm of how many bytes one entry maps.
    #[must_use]
    pub const fn entry_bytes_log2(self) -> u32 {
        match self {
            Self::RegionFirst => 53,
            Self::RegionSecond => 42,
            Self::RegionThird => 31,
            Self::Segment => 20,
            Self::Page => 12,
        }
    }

    /// Returns how many bytes one entry maps.
    #[must_use]
    pub const fn entry_bytes(self) -> u64 {
        1 << self.entry_bytes_log2()
    }

    /// Returns the number of entries of a full table.
    #[must_use]
    pub const fn entries(self) -> u16 {
        match self {
            Self::RegionFirst | Self::RegionSecond | Self::RegionThird | Self::Segment => 2048,
            Self::Page => 256,
        }
    }

    /// Returns the size of a full table in bytes.
    #[must_use]
    pub const fn table_bytes(self) -> u64 {
        match self {
            Self::RegionFirst | Self::RegionSecond | Self::RegionThird | Self::Segment => 0x4000,
            Self::Page => 0x800,
        }
    }

    /// Returns the index of an address into a table of this level.
    #[must_use]
    pub const fn index(self, address: Virtual) -> u16 {
        match self {
            Self::RegionFirst => address.rfx(),
            Self::RegionSecond => address.rsx(),
            Self::RegionThird => address.rtx(),
            Self::Segment => address.sx(),
            Self::Page => address.px(),
        }
    }

    /// Returns what is recognised when an entry of this level is invalid or its table too short.
    #[must_use]
    pub const fn exception(self) -> AccessException {
        match self {
            Self::RegionFirst => AccessException::RegionFirstTranslation,
            Self::RegionSecond => AccessException::RegionSecondTranslation,
            Self::RegionThird => AccessException::RegionThirdTranslation,
            Self::Segment => AccessException::SegmentTranslation,
            Self::Page => AccessException::PageTranslation,
        }
    }

    /// Returns the type that entries of this level carry; `None` for page-table entries, which carry none.
    #[must_use]
    pub const fn table_type(self) -> Option<TableType> {
        match self {
            Self::RegionFirst => Some(TableType::RegionFirst),
            Self::RegionSecond => Some(TableType::RegionSecond),
            Self::RegionThird => Some(TableType::RegionThird),
            Self::Segment => Some(TableType::Segment),
            Self::Page => None,
        }
    }
}

/// Designation type of an ASCE, DT, and type of an entry's own table, TT: two bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableType {
    /// 0: segment table.
    #[default]
    Segment,
    /// 1: region-third table.
    RegionThird,
    /// 2: region-second table.
    RegionSecond,
    /// 3: region-first table.
    RegionFirst,
}

impl TableType {
    /// Decodes the two bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Segment,
            1 => Self::RegionThird,
            2 => Self::RegionSecond,
            _ => Self::RegionFirst,
        }
    }

    /// Encodes into two bits.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Segment => 0,
            Self::RegionThird => 1,
            Self::RegionSecond => 2,
            Self::RegionFirst => 3,
        }
    }

    /// Returns the level of the tables of this type.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Segment => Level::Segment,
            Self::RegionThird => Level::RegionThird,
            Self::RegionSecond => Level::RegionSecond,
            Self::RegionFirst => Level::RegionFirst,
        }
    }
}

/// A virtual address, or whatever else DAT is asked to translate: a guest-physical address under SAE.
#[bitfield(u64, order = Msb, debug = false)]
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Virtual {
    /// RFX, 0-10: region-first index.
    #[bits(11)]
    pub rfx: u16,
    /// RSX, 11-21: region-second index.
    #[bits(11)]
    pub rsx: u16,
    /// RTX, 22-32: region-third index.
    #[bits(11)]
    pub rtx: u16,
    /// SX, 33-43: segment index.
    #[bits(11)]
    pub sx: u16,
    /// PX, 44-51: page index.
    #[bits(8)]
    pub px: u16,
    /// BX, 52-63: byte index.
    #[bits(12)]
    pub bx: u16,
}
const _: () = assert!(Virtual::RFX_OFFSET == 53 && Virtual::RSX_OFFSET == 42 && Virtual::RTX_OFFSET == 31);
const _: () = assert!(Virtual::SX_OFFSET == 20 && Virtual::PX_OFFSET == 12 && Virtual::BX_OFFSET == 0);

impl Virtual {
    /// Returns the offset into a frame of the given size, in bytes.
    #[must_use]
    pub const fn frame_offset(self, frame: FrameSize) -> u64 {
        self.into_bits() & frame.offset_mask()
    }

    /// Returns the first address of the frame-sized area that this one lies in.
    #[must_use]
    pub const fn align_down(self, frame: FrameSize) -> Self {
        Self::from_bits(self.into_bits() & !frame.offset_mask())
    }

    /// Returns the address `bytes` further on; `None` past the end of the address space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.into_bits().checked_add(bytes) {
            Some(sum) => Some(Self::from_bits(sum)),
            None => None,
        }
    }
}

impl fmt::Display for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.into_bits())
    }
}

impl fmt::Debug for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Virtual({:#018x})", self.into_bits())
    }
}

/// Address-space-control element, as in CR1, CR7, CR13 and `hbasce`. PoP ch. 3.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct Asce {
    /// Table origin, 0-51, in units of 4 KiB; see [`Asce::table`].
    #[bits(52)]
    pub origin: u64,
    #[bits(2)]
    __: u8,
    /// G, 54: subspace-group control; no effect on translation.
    pub g: bool,
    /// P, 55: private space; no low-address protection, no fetch-protection override, no common segments.
    pub p: bool,
    /// S, 56: storage-alteration-event control.
    pub s: bool,
    /// X, 57: space-switch-event control.
    pub x: bool,
    /// R, 58: real space; virtual addresses are real ones.
    pub r: bool,
    __: bool,
    /// DT, 60-61: designation type.
    #[bits(2)]
    pub dt: TableType,
    /// TL, 62-63: the table has `tl` + 1 quarters.
    #[bits(2)]
    pub tl: u8,
}
const _: () = assert!(Asce::G_OFFSET == 9 && Asce::P_OFFSET == 8 && Asce::S_OFFSET == 7);
const _: () = assert!(Asce::X_OFFSET == 6 && Asce::R_OFFSET == 5 && Asce::DT_OFFSET == 2);

impl Asce {
    /// Returns where the designated table starts.
    ///
    /// CHOICE: PoP leaves open whether table origins are real or absolute; here, as in Linux, they are absolute.
    #[must_use]
    pub const fn table(self) -> Absolute {
        Absolute::new(self.origin() << 12)
    }

    /// Returns the element with the table put in; bits of the address below 4 KiB are dropped.
    #[must_use]
    pub const fn with_table(self, table: Absolute) -> Self {
        self.with_origin(table.bits() >> 12)
    }
}

/// Region-first-table entry. PoP ch. 3, "Region-Table Entries".
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct RegionFirstEntry {
    /// Origin of the region-second table, 0-51, in units of 4 KiB.
    #[bits(52)]
    pub origin: u64,
    #[bits(2)]
    __: u8,
    /// P, 54: DAT protection, where EDAT-1 applies.
    pub p: bool,
    __: bool,
    /// TF, 56-57: first quarter of the region-second table that exists.
    #[bits(2)]
    pub tf: u8,
    /// I, 58: the region is invalid.
    pub i: bool,
    __: bool,
    /// TT, 60-61: type of the table that this entry is in.
    #[bits(2)]
    pub tt: TableType,
    /// TL, 62-63: last quarter of the region-second table that exists.
    #[bits(2)]
    pub tl: u8,
}
const _: () = assert!(
    RegionFirstEntry::P_OFFSET == 9 && RegionFirstEntry::TF_OFFSET == 6 && RegionFirstEntry::I_OFFSET == 5
);
const _: () = assert!(RegionFirstEntry::TT_OFFSET == 2 && RegionFirstEntry::TL_OFFSET == 0);

impl RegionFirstEntry {
    /// Returns where the region-second table starts, or would start if its first quarter existed.
    #[must_use]
    pub const fn table(self) -> Absolute {
        Absolute::new(self.origin() << 12)
    }

    /// Returns the entry with the region-second table put in; bits below 4 KiB are dropped.
    #[must_use]
    pub const fn with_table(self, table: Absolute) -> Self {
        self.with_origin(table.bits() >> 12)
    }
}

/// Region-second-table entry. PoP ch. 3, "Region-Table Entries".
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct RegionSecondEntry {
    /// Origin of the region-third table, 0-51, in units of 4 KiB.
    #[bits(52)]
    pub origin: u64,
    #[bits(2)]
    __: u8,
    /// P, 54: DAT protection, where EDAT-1 applies.
    pub p: bool,
    __: bool,
    /// TF, 56-57: first quarter of the region-third table that exists.
    #[bits(2)]
    pub tf: u8,
    /// I, 58: the region is invalid.
    pub i: bool,
    __: bool,
    /// TT, 60-61: type of the table that this entry is in.
    #[bits(2)]
    pub tt: TableType,
    /// TL, 62-63: last quarter of the region-third table that exists.
    #[bits(2)]
    pub tl: u8,
}
const _: () = assert!(
    RegionSecondEntry::P_OFFSET == 9 && RegionSecondEntry::TF_OFFSET == 6 && RegionSecondEntry::I_OFFSET == 5
);
const _: () = assert!(RegionSecondEntry::TT_OFFSET == 2 && RegionSecondEntry::TL_OFFSET == 0);

impl RegionSecondEntry {
    /// Returns where the region-third table starts, or would start if its first quarter existed.
    #[must_use]
    pub const fn table(self) -> Absolute {
        Absolute::new(self.origin() << 12)
    }

    /// Returns the entry with the region-third table put in; bits below 4 KiB are dropped.
    #[must_use]
    pub const fn with_table(self, table: Absolute) -> Self {
        self.with_origin(table.bits() >> 12)
    }
}

/// Region-third-table entry that designates a segment table: FC is 0 or EDAT-2 does not apply. PoP ch. 3.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct RegionThirdEntry {
    /// Origin of the segment table, 0-51, in units of 4 KiB.
    #[bits(52)]
    pub origin: u64,
    __: bool,
    /// FC, 53: where EDAT-2 applies, the entry is a [`RegionFrameEntry`].
    pub fc: bool,
    /// P, 54: DAT protection, where EDAT-1 applies.
    pub p: bool,
    __: bool,
    /// TF, 56-57: first quarter of the segment table that exists.
    #[bits(2)]
    pub tf: u8,
    /// I, 58: the region is invalid.
    pub i: bool,
    /// CR, 59: common region, where EDAT-2 applies.
    pub cr: bool,
    /// TT, 60-61: type of the table that this entry is in; region-third.
    #[bits(2)]
    pub tt: TableType,
    /// TL, 62-63: last quarter of the segment table that exists.
    #[bits(2)]
    pub tl: u8,
}
const _: () = assert!(RegionThirdEntry::FC_OFFSET == 10 && RegionThirdEntry::P_OFFSET == 9);
const _: () = assert!(RegionThirdEntry::TF_OFFSET == 6 && RegionThirdEntry::I_OFFSET == 5);
const _: () = assert!(RegionThirdEntry::CR_OFFSET == 4 && RegionThirdEntry::TT_OFFSET == 2);

impl RegionThirdEntry {
    /// Returns where the segment table starts, or would start if its first quarter existed.
    #[must_use]
    pub const fn table(self) -> Absolute {
        Absolute::new(self.origin() << 12)
    }

    /// Returns the entry with the segment table put in; bits below 4 KiB are dropped.
    #[must_use]
    pub const fn with_table(self, table: Absolute) -> Self {
        self.with_origin(table.bits() >> 12)
    }

    /// Returns the other reading of the same bits, which holds if FC is 1 and EDAT-2 applies.
    #[must_use]
    pub const fn as_frame(self) -> RegionFrameEntry {
        RegionFrameEntry::from_bits(self.into_bits())
    }
}

/// Region-third-table entry that maps a 2 GiB frame: FC is 1 and EDAT-2 applies. PoP ch. 3.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct RegionFrameEntry {
    /// Region-frame absolute address, 0-32, in units of 2 GiB.
    #[bits(33)]
    pub rfaa: u64,
    #[bits(14)]
    __: u16,
    /// AV, 47: ACC and F count in place of the storage key.
    pub av: bool,
    /// ACC, 48-51: access-control bits.
    #[bits(4)]
    pub acc: u8,
    /// F, 52: fetch protection.
    pub f: bool,
    /// FC, 53: format control, 1.
    pub fc: bool,
    /// P, 54: DAT protection.
    pub p: bool,
    /// IEP, 55: instruction-execution protection.
    pub iep: bool,
    #[bits(2)]
    __: u8,
    /// I, 58: the region is invalid.
    pub i: bool,
    /// CR, 59: common region.
    pub cr: bool,
    /// TT, 60-61: type of the table that this entry is in; region-third.
    #[bits(2)]
    pub tt: TableType,
    #[bits(2)]
    __: u8,
}
const _: () = assert!(RegionFrameEntry::RFAA_OFFSET == 31 && RegionFrameEntry::AV_OFFSET == 16);
const _: () = assert!(RegionFrameEntry::ACC_OFFSET == 12 && RegionFrameEntry::F_OFFSET == 11);
const _: () = assert!(RegionFrameEntry::FC_OFFSET == 10 && RegionFrameEntry::IEP_OFFSET == 8);
const _: () = assert!(RegionFrameEntry::I_OFFSET == 5 && RegionFrameEntry::CR_OFFSET == 4);

impl RegionFrameEntry {
    /// Returns the absolute address of the frame; large frames are not prefixed.
    #[must_use]
    pub const fn frame(self) -> Absolute {
        Absolute::new(self.rfaa() << 31)
    }

    /// Returns the entry with the frame put in; bits below 2 GiB are dropped.
    #[must_use]
    pub const fn with_frame(self, frame: Absolute) -> Self {
        self.with_rfaa(frame.bits() >> 31)
    }
}

/// Segment-table entry that designates a page table: FC is 0 or EDAT-1 does not apply. PoP ch. 3.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct SegmentEntry {
    /// Page-table origin, 0-52, in units of 2 KiB.
    #[bits(53)]
    pub origin: u64,
    /// FC, 53: where EDAT-1 applies, the entry is a [`SegmentFrameEntry`].
    pub fc: bool,
    /// P, 54: DAT protection, whatever the facilities.
    pub p: bool,
    #[bits(3)]
    __: u8,
    /// I, 58: the segment is invalid.
    pub i: bool,
    /// CS, 59: common segment.
    pub cs: bool,
    /// TT, 60-61: type of the table that this entry is in; segment.
    #[bits(2)]
    pub tt: TableType,
    #[bits(2)]
    __: u8,
}
const _: () = assert!(SegmentEntry::ORIGIN_OFFSET == 11 && SegmentEntry::FC_OFFSET == 10);
const _: () = assert!(SegmentEntry::P_OFFSET == 9 && SegmentEntry::I_OFFSET == 5);
const _: () = assert!(SegmentEntry::CS_OFFSET == 4 && SegmentEntry::TT_OFFSET == 2);

impl SegmentEntry {
    /// Returns where the page table starts.
    #[must_use]
    pub const fn table(self) -> Absolute {
        Absolute::new(self.origin() << 11)
    }

    /// Returns the entry with the page table put in; bits below 2 KiB are dropped.
    #[must_use]
    pub const fn with_table(self, table: Absolute) -> Self {
        self.with_origin(table.bits() >> 11)
    }

    /// Returns the other reading of the same bits, which holds if FC is 1 and EDAT-1 applies.
    #[must_use]
    pub const fn as_frame(self) -> SegmentFrameEntry {
        SegmentFrameEntry::from_bits(self.into_bits())
    }
}

/// Segment-table entry that maps a 1 MiB frame: FC is 1 and EDAT-1 applies. PoP ch. 3.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct SegmentFrameEntry {
    /// Segment-frame absolute address, 0-43, in units of 1 MiB.
    #[bits(44)]
    pub sfaa: u64,
    #[bits(3)]
    __: u8,
    /// AV, 47: ACC and F count in place of the storage key.
    pub av: bool,
    /// ACC, 48-51: access-control bits.
    #[bits(4)]
    pub acc: u8,
    /// F, 52: fetch protection.
    pub f: bool,
    /// FC, 53: format control, 1.
    pub fc: bool,
    /// P, 54: DAT protection.
    pub p: bool,
    /// IEP, 55: instruction-execution protection.
    pub iep: bool,
    #[bits(2)]
    __: u8,
    /// I, 58: the segment is invalid.
    pub i: bool,
    /// CS, 59: common segment.
    pub cs: bool,
    /// TT, 60-61: type of the table that this entry is in; segment.
    #[bits(2)]
    pub tt: TableType,
    #[bits(2)]
    __: u8,
}
const _: () = assert!(SegmentFrameEntry::SFAA_OFFSET == 20 && SegmentFrameEntry::AV_OFFSET == 16);
const _: () = assert!(SegmentFrameEntry::ACC_OFFSET == 12 && SegmentFrameEntry::F_OFFSET == 11);
const _: () = assert!(SegmentFrameEntry::FC_OFFSET == 10 && SegmentFrameEntry::IEP_OFFSET == 8);
const _: () = assert!(SegmentFrameEntry::I_OFFSET == 5 && SegmentFrameEntry::CS_OFFSET == 4);

impl SegmentFrameEntry {
    /// Returns the absolute address of the frame; large frames are not prefixed.
    #[must_use]
    pub const fn frame(self) -> Absolute {
        Absolute::new(self.sfaa() << 20)
    }

    /// Returns the entry with the frame put in; bits below 1 MiB are dropped.
    #[must_use]
    pub const fn with_frame(self, frame: Absolute) -> Self {
        self.with_sfaa(frame.bits() >> 20)
    }
}

/// Page-table entry. PoP ch. 3, "Page-Table Entries".
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct PageEntry {
    /// Page-frame real address, 0-51, in units of 4 KiB.
    #[bits(52)]
    pub pfra: u64,
    /// Bit 52: must be zero in a valid entry, else a translation-specification exception.
    pub b52: bool,
    /// I, 53: the page is invalid.
    pub i: bool,
    /// P, 54: DAT protection.
    pub p: bool,
    /// IEP, 55: instruction-execution protection; before facility 130, the change-recording override.
    pub iep: bool,
    /// Bits 56-63: ignored by the machine, left to software.
    pub software: u8,
}
const _: () =
    assert!(PageEntry::PFRA_OFFSET == 12 && PageEntry::B52_OFFSET == 11 && PageEntry::I_OFFSET == 10);
const _: () =
    assert!(PageEntry::P_OFFSET == 9 && PageEntry::IEP_OFFSET == 8 && PageEntry::SOFTWARE_OFFSET == 0);

impl PageEntry {
    /// Returns the real address of the frame; prefixing applies to it.
    #[must_use]
    pub const fn frame(self) -> Real {
        Real::new(self.pfra() << 12)
    }

    /// Returns the entry with the frame put in; bits below 4 KiB are dropped.
    #[must_use]
    pub const fn with_frame(self, frame: Real) -> Self {
        self.with_pfra(frame.bits() >> 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_worked_examples_have_the_fields_that_the_walk_needs() {
        // s390 worked examples: five-level walk, 1 MiB frame, 2 GiB frame, protections.
        let asce = Asce::from_bits(0x10_000f);
        assert_eq!(
            (asce.table(), asce.dt(), asce.tl()),
            (Absolute::new(0x10_0000), TableType::RegionFirst, 3)
        );
        let first = RegionFirstEntry::from_bits(0x11_000f);
        assert_eq!(
            (first.table(), first.tt(), first.tl()),
            (Absolute::new(0x11_0000), TableType::RegionFirst, 3)
        );
        let third = RegionThirdEntry::from_bits(0x13_0007);
        assert_eq!(
            (third.table(), third.fc(), third.tt()),
            (Absolute::new(0x13_0000), false, TableType::RegionThird)
        );
        let region_frame = RegionThirdEntry::from_bits(0x8000_0404);
        assert!(region_frame.fc());
        assert_eq!(region_frame.as_frame().frame(), Absolute::new(0x8000_0000));
        let segment_frame = SegmentEntry::from_bits(0x230_0400);
        assert!(segment_frame.fc());
        assert_eq!(segment_frame.as_frame().frame(), Absolute::new(0x230_0000));
        assert!(PageEntry::from_bits(0x234_5200).p() && PageEntry::from_bits(0x234_5100).iep());
        assert!(PageEntry::from_bits(0x400).i() && SegmentEntry::from_bits(0x14_0010).cs());
    }

    #[test]
    fn a_page_table_may_lie_on_any_2_kib_boundary() {
        assert_eq!(SegmentEntry::from_bits(0x14_0800).table(), Absolute::new(0x14_0800));
        assert_eq!(SegmentEntry::new().with_table(Absolute::new(0x14_0bff)).into_bits(), 0x14_0800);
    }

    #[test]
    fn linux_software_bits_are_the_last_byte_of_a_page_entry() {
        let entry = PageEntry::new().with_frame(Real::new(0x234_5fff)).with_software(0x8d);
        assert_eq!(entry.into_bits(), 0x234_508d);
    }

    #[test]
    fn the_address_splits_as_in_the_worked_example() {
        let address = Virtual::from_bits(0xfedc_ba98_7654_3210);
        for (level, index) in [
            (Level::RegionFirst, 0x7f6),
            (Level::RegionSecond, 0x72e),
            (Level::RegionThird, 0x530),
            (Level::Segment, 0x765),
            (Level::Page, 0x43),
        ] {
            assert_eq!(level.index(address), index, "{level:?}");
        }
        assert_eq!(address.bx(), 0x210);
    }

    #[test]
    fn levels_agree_with_their_tables() {
        for level in
            [Level::RegionFirst, Level::RegionSecond, Level::RegionThird, Level::Segment, Level::Page]
        {
            assert_eq!(level.table_bytes(), u64::from(level.entries()) * 8);
            if let Some(below) = level.below() {
                assert_eq!(below.entry_bytes() * u64::from(below.entries()), level.entry_bytes());
                assert_eq!(below.above(), Some(level));
            }
            if let Some(table_type) = level.table_type() {
                assert_eq!(table_type.level(), level);
            }
        }
    }
}
