//! Stage 2 descriptors, and what the bits mean that hardware leaves to software.
//!
//! Arm ARM, "Translation table descriptor formats", stage 2, 4 KiB granule. An invalid descriptor says
//! whether there is a slot at all: a hole is all zeros; an empty one will be mapped when it is touched.
//!
//! By hand: half of the bits are this host's own, and what the others are is a matter of one format.

use guest_map::{Content, Frame, Kind};
use xarch_abi::HostPa;

/// Bit 0: hardware may use the descriptor.
const VALID: u64 = 1;
/// Bit 1: at level 3 a page, above it a table.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// MemAttr, \[5:2\]: Normal memory, Write-Back, inner and outer.
const NORMAL: u64 = 0xf << 2;
/// S2AP, \[7:6\]: loads.
const READ: u64 = 1 << 6;
/// S2AP: stores.
const WRITE: u64 = 1 << 7;
/// SH, \[9:8\]: Inner Shareable.
const INNER_SHAREABLE: u64 = 3 << 8;
/// AF, \[10\]: the access flag.
const ACCESSED: u64 = 1 << 10;
/// Bits \[47:12\]: where a table or a page lies.
const ADDRESS: u64 = 0xffff_ffff_f000;

// Bits [58:55] are software's.

/// The page was stored to since the log was read.
const DIRTY: u64 = 1 << 55;
/// The slot takes stores.
const WRITABLE: u64 = 1 << 56;
/// An invalid descriptor that is no hole.
const EMPTY: u64 = 1 << 57;

/// Bits that make a descriptor a leaf at the level of its kind: 2 for a block of 2 MiB, 3 for a page.
const fn leaf(kind: Kind) -> u64 {
    match kind {
        Kind::Block => VALID,
        Kind::Page => VALID | TABLE_OR_PAGE,
    }
}

/// Reads a leaf; a table is none.
pub(super) const fn decode(entry: u64) -> Content {
    if entry & VALID == 0 {
        if entry & EMPTY == 0 { Content::Hole } else { Content::Empty { dirty: entry & DIRTY != 0 } }
    } else {
        Content::Frame(Frame {
            at: HostPa::new(entry & ADDRESS),
            writable: entry & WRITABLE != 0,
            young: entry & ACCESSED != 0,
            dirty: entry & DIRTY != 0,
            protected: entry & WRITE == 0,
        })
    }
}

/// Makes a leaf. Instructions can be fetched from all memory: XN, \[54:53\], is 0.
pub(super) const fn encode(kind: Kind, content: Content) -> u64 {
    const fn on(state: bool, bits: u64) -> u64 {
        if state { bits } else { 0 }
    }
    match content {
        Content::Hole => 0,
        Content::Empty { dirty } => EMPTY | on(dirty, DIRTY),
        Content::Frame(frame) => {
            (frame.at.value() & ADDRESS)
                | leaf(kind)
                | NORMAL
                | INNER_SHAREABLE
                | READ
                | on(frame.writable && !frame.protected, WRITE)
                | on(frame.young, ACCESSED)
                | on(frame.dirty, DIRTY)
                | on(frame.writable, WRITABLE)
        }
    }
}

pub(super) const fn is_valid(entry: u64) -> bool {
    entry & VALID != 0
}

/// Returns the table that a descriptor above level 3 designates, `None` for a block or what is invalid.
pub(super) const fn table(entry: u64) -> Option<HostPa> {
    if entry & (VALID | TABLE_OR_PAGE) == VALID | TABLE_OR_PAGE {
        Some(HostPa::new(entry & ADDRESS))
    } else {
        None
    }
}

/// Returns the descriptor of a table.
pub(super) const fn of_table(table: HostPa) -> u64 {
    (table.value() & ADDRESS) | VALID | TABLE_OR_PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame =
        Frame { at: HostPa::new(0x1234_5000), writable: true, young: true, dirty: true, protected: false };

    #[test]
    fn leaves_are_those_of_the_manual() {
        let page = |frame| encode(Kind::Page, Content::Frame(frame));
        // MemAttr 1111, S2AP 11, SH 11, AF, valid; dirty and writable in the bits of software.
        assert_eq!(page(FRAME), 0x0180_0000_1234_57ff);
        assert_eq!(page(Frame { young: false, ..FRAME }), 0x0180_0000_1234_53ff);
        assert_eq!(page(Frame { protected: true, dirty: false, ..FRAME }), 0x0100_0000_1234_577f);
        assert_eq!(page(Frame { writable: false, dirty: false, ..FRAME }), 0x1234_577f);
        let block = Frame { at: HostPa::new(0x1220_0000), ..FRAME };
        assert_eq!(encode(Kind::Block, Content::Frame(block)), 0x0180_0000_1220_07fd);
        assert_eq!(encode(Kind::Page, Content::Hole), 0);
        assert_eq!(encode(Kind::Page, Content::Empty { dirty: true }), 0x0280_0000_0000_0000);
    }

    #[test]
    fn tables_are_told_from_blocks() {
        assert_eq!(of_table(HostPa::new(0x4000_1000)), 0x4000_1003);
        assert_eq!(table(0x4000_1003), Some(HostPa::new(0x4000_1000)));
        assert_eq!((table(0x4020_0001), table(0x4000_1002)), (None, None));
    }

    #[test]
    fn what_a_leaf_says_is_read_back() {
        for content in [
            Content::Hole,
            Content::Empty { dirty: false },
            Content::Empty { dirty: true },
            Content::Frame(FRAME),
            Content::Frame(Frame { young: false, protected: true, ..FRAME }),
            Content::Frame(Frame { writable: false, protected: true, dirty: false, ..FRAME }),
        ] {
            for kind in [Kind::Block, Kind::Page] {
                assert_eq!(decode(encode(kind, content)), content, "{kind:?}");
            }
        }
    }
}
