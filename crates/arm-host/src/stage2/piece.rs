//! Ranges of pages, cut where blocks end.

use xarch_abi::GuestRange;

pub(super) const BLOCK_LOG2: u32 = 21;
pub(super) const BLOCK_BYTES: u64 = 1 << BLOCK_LOG2;
pub(super) const PAGE_LOG2: u32 = 12;
/// Pages of a block: entries of a table.
pub(super) const PAGES: u16 = 512;

/// The part of a range that lies in one block; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    block: u64,
    /// Pages of the block, first and one past the last, 0 to 512.
    first: u16,
    end: u16,
}

impl Piece {
    /// Returns the first address of the block.
    pub(super) const fn block(self) -> u64 {
        self.block
    }

    pub(super) const fn is_whole(self) -> bool {
        self.end.wrapping_sub(self.first) == PAGES
    }

    /// Returns the numbers of the pages in the block, with their addresses.
    pub(super) fn pages(self) -> impl Iterator<Item = (u16, u64)> {
        (self.first..self.end).map(move |page| (page, self.block | u64::from(page) << PAGE_LOG2))
    }
}

/// Splits a page-aligned range by blocks.
pub(super) fn pieces(range: GuestRange) -> impl Iterator<Item = Piece> {
    let last = range.last().value();
    let mut next = Some(range.start().value());
    core::iter::from_fn(move || {
        let start = next?;
        let block_last = start | BLOCK_BYTES.wrapping_sub(1);
        next = if block_last < last { block_last.checked_add(1) } else { None };
        Some(Piece {
            block: start & !BLOCK_BYTES.wrapping_sub(1),
            first: page(start),
            end: page(block_last.min(last)).saturating_add(1),
        })
    })
}

/// Returns the number of a page in its block.
fn page(address: u64) -> u16 {
    arm_arch::bits::low16(address >> PAGE_LOG2) & PAGES.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;
    use xarch_abi::GuestPa;

    #[test]
    fn pieces_cover_the_range_and_stop_at_blocks() {
        let piece = |block, first, end| Piece { block, first, end };
        for (start, bytes, want) in [
            (0x4000_0000, 0x1000, std::vec![piece(0x4000_0000, 0, 1)]),
            (0x4000_0000, 0x20_0000, std::vec![piece(0x4000_0000, 0, 512)]),
            (0x401f_f000, 0x2000, std::vec![piece(0x4000_0000, 511, 512), piece(0x4020_0000, 0, 1)]),
            (
                0x401f_e000,
                0x20_3000,
                std::vec![piece(0x4000_0000, 510, 512), piece(0x4020_0000, 0, 512), piece(0x4040_0000, 0, 1)],
            ),
            (0xffff_ffff_ffff_e000, 0x2000, std::vec![piece(0xffff_ffff_ffe0_0000, 510, 512)]),
        ] {
            let range = GuestRange::new(GuestPa::new(start), bytes).unwrap();
            assert_eq!(pieces(range).collect::<Vec<_>>(), want, "{start:#x} {bytes:#x}");
        }
    }
}
