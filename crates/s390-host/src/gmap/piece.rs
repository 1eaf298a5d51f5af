//! Ranges of pages, cut where segments end.

use s390_arch::addr::FrameSize;
use s390_arch::dat::{Level, Virtual};
use xarch_abi::GuestRange;

const SEGMENT_OFFSET: u64 = FrameSize::Segment.offset_mask();
const PAGES: u16 = Level::Page.entries();

/// The part of a range that lies in one segment; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    segment: u64,
    /// Pages of the segment, first and one past the last, 0 to 256.
    first: u16,
    end: u16,
}

impl Piece {
    /// Returns the first address of the segment.
    pub(super) const fn segment(self) -> u64 {
        self.segment
    }

    pub(super) const fn is_whole(self) -> bool {
        self.end.wrapping_sub(self.first) == PAGES
    }

    /// Returns the numbers of the pages in the segment, with their addresses.
    pub(super) fn pages(self) -> impl Iterator<Item = (u16, u64)> {
        (self.first..self.end).map(move |page| (page, self.segment | u64::from(page) << 12))
    }
}

/// Splits a page-aligned range by segments.
pub(super) fn pieces(range: GuestRange) -> impl Iterator<Item = Piece> {
    let last = range.last().value();
    let mut next = Some(range.start().value());
    core::iter::from_fn(move || {
        let start = next?;
        let segment_last = start | SEGMENT_OFFSET;
        next = if segment_last < last { segment_last.checked_add(1) } else { None };
        let page = |address: u64| Level::Page.index(Virtual::from_bits(address));
        Some(Piece {
            segment: start & !SEGMENT_OFFSET,
            first: page(start),
            end: page(segment_last.min(last)).saturating_add(1),
        })
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;
    use xarch_abi::GuestPa;

    #[test]
    fn pieces_cover_the_range_and_stop_at_segments() {
        let piece = |segment, first, end| Piece { segment, first, end };
        for (start, bytes, want) in [
            (0x4000_0000, 0x1000, std::vec![piece(0x4000_0000, 0, 1)]),
            (0x4000_0000, 0x10_0000, std::vec![piece(0x4000_0000, 0, 256)]),
            (0x400f_f000, 0x2000, std::vec![piece(0x4000_0000, 255, 256), piece(0x4010_0000, 0, 1)]),
            (
                0x400f_e000,
                0x10_3000,
                std::vec![piece(0x4000_0000, 254, 256), piece(0x4010_0000, 0, 256), piece(0x4020_0000, 0, 1)],
            ),
            (0xffff_ffff_ffff_e000, 0x2000, std::vec![piece(0xffff_ffff_fff0_0000, 254, 256)]),
        ] {
            let range = GuestRange::new(GuestPa::new(start), bytes).unwrap();
            assert_eq!(pieces(range).collect::<Vec<_>>(), want, "{start:#x} {bytes:#x}");
        }
    }
}
