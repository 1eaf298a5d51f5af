//! Ranges of pages, cut where blocks end.

use crate::tables::PAGE_LOG2;
use xarch_abi::GuestRange;

/// The part of a range that lies in one block; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    block: u64,
    /// Pages of the block, first and one past the last, 0 to `pages`.
    first: u16,
    end: u16,
    /// Pages of a whole block.
    pages: u16,
}

impl Piece {
    /// Returns the first address of the block.
    pub(crate) const fn block(self) -> u64 {
        self.block
    }

    pub(crate) const fn is_whole(self) -> bool {
        self.end.wrapping_sub(self.first) == self.pages
    }

    /// Returns whether it has the page of that number in the block.
    pub(crate) const fn has(self, page: u16) -> bool {
        self.first <= page && page < self.end
    }

    /// Returns the numbers of the pages in the block, with their addresses.
    pub(crate) fn pages(self) -> impl Iterator<Item = (u16, u64)> {
        (self.first..self.end).map(move |page| (page, self.block | u64::from(page) << PAGE_LOG2))
    }
}

/// Returns the mask of an offset in a block.
pub(crate) const fn offset_mask(block_log2: u32) -> u64 {
    1_u64.wrapping_shl(block_log2).wrapping_sub(1)
}

/// Returns the pages of a block.
pub(crate) const fn pages(block_log2: u32) -> u16 {
    1_u16.wrapping_shl(block_log2.wrapping_sub(PAGE_LOG2))
}

/// Splits a page-aligned range by blocks of 2^`block_log2` bytes.
pub(crate) fn pieces(range: GuestRange, block_log2: u32) -> impl Iterator<Item = Piece> {
    let (last, offset, pages) = (range.last().value(), offset_mask(block_log2), pages(block_log2));
    // At most 512 pages: the number fits.
    let page = move |address: u64| u16::try_from((address & offset) >> PAGE_LOG2).unwrap_or(u16::MAX);
    let mut next = Some(range.start().value());
    core::iter::from_fn(move || {
        let start = next?;
        let block_last = start | offset;
        next = if block_last < last { block_last.checked_add(1) } else { None };
        let end = page(block_last.min(last)).saturating_add(1);
        Some(Piece { block: start & !offset, first: page(start), end, pages })
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;
    use xarch_abi::GuestPa;

    #[test]
    fn pieces_cover_the_range_and_stop_at_blocks() {
        let mib = |block, first, end| Piece { block, first, end, pages: 256 };
        let two = |block, first, end| Piece { block, first, end, pages: 512 };
        for (log2, start, bytes, want) in [
            (20, 0x4000_0000, 0x1000, std::vec![mib(0x4000_0000, 0, 1)]),
            (20, 0x4000_0000, 0x10_0000, std::vec![mib(0x4000_0000, 0, 256)]),
            (20, 0x400f_f000, 0x2000, std::vec![mib(0x4000_0000, 255, 256), mib(0x4010_0000, 0, 1)]),
            (
                20,
                0x400f_e000,
                0x10_3000,
                std::vec![mib(0x4000_0000, 254, 256), mib(0x4010_0000, 0, 256), mib(0x4020_0000, 0, 1)],
            ),
            (20, 0xffff_ffff_ffff_e000, 0x2000, std::vec![mib(0xffff_ffff_fff0_0000, 254, 256)]),
            (21, 0x4000_0000, 0x20_0000, std::vec![two(0x4000_0000, 0, 512)]),
            (21, 0x401f_f000, 0x2000, std::vec![two(0x4000_0000, 511, 512), two(0x4020_0000, 0, 1)]),
            (21, 0xffff_ffff_ffff_e000, 0x2000, std::vec![two(0xffff_ffff_ffe0_0000, 510, 512)]),
        ] {
            let range = GuestRange::new(GuestPa::new(start), bytes).unwrap();
            assert_eq!(pieces(range, log2).collect::<Vec<_>>(), want, "{log2} {start:#x} {bytes:#x}");
        }
        assert!(mib(0, 0, 256).is_whole() && !two(0, 0, 256).is_whole());
    }
}
