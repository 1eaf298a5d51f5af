//! Real and absolute addresses, and the sizes of frames. PoP ch. 3, "Address Types".
//!
//! There is no operator between the two: a real address becomes an absolute one by prefixing,
//! [`Real::prefixed`], and by nothing else.

use core::fmt;

/// Sizes of what a leaf entry maps. PoP ch. 3, "Dynamic Address Translation".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameSize {
    /// Page frame, 4 KiB.
    Page,
    /// Segment frame, 1 MiB (EDAT-1).
    Segment,
    /// Region frame, 2 GiB (EDAT-2).
    Region,
}

impl FrameSize {
    /// Returns the size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.bytes_log2()
    }

    /// Returns the binary logarithm of the size in bytes.
    #[must_use]
    pub const fn bytes_log2(self) -> u32 {
        match self {
            Self::Page => 12,
            Self::Segment => 20,
            Self::Region => 31,
        }
    }

    /// Returns the bits of an address that lie inside a frame of this size.
    #[must_use]
    pub const fn offset_mask(self) -> u64 {
        self.bytes().wrapping_sub(1)
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Makes the address from its 64 bits; every value is one.
            #[must_use]
            pub const fn new(bits: u64) -> Self {
                Self(bits)
            }

            /// Returns the address as its 64 bits.
            #[must_use]
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Returns the address `bytes` further on; `None` past the end of the address space.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// Returns the address `bytes` before this one; `None` below zero.
            #[must_use]
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// Returns the first address of the frame that this one lies in.
            #[must_use]
            pub const fn align_down(self, frame: FrameSize) -> Self {
                Self(self.0 & !frame.offset_mask())
            }

            /// Returns the offset into the frame that this address lies in, in bytes.
            #[must_use]
            pub const fn frame_offset(self, frame: FrameSize) -> u64 {
                self.0 & frame.offset_mask()
            }

            /// Returns whether the address is a multiple of `alignment_bytes`, which is a power of two.
            #[must_use]
            pub const fn is_aligned(self, alignment_bytes: u64) -> bool {
                self.0 & alignment_bytes.wrapping_sub(1) == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#018x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#018x})"), self.0)
            }
        }
    };
}

address! {
    /// A real address: what DAT yields for a page frame, and what an address is with DAT off.
    Real
}

address! {
    /// An absolute address: a place in main storage, after prefixing.
    Absolute
}

/// The two pages that prefixing exchanges: 8 KiB. PoP ch. 3, "Prefixing".
const PREFIX_AREA_MASK: u64 = 0x1fff;

/// The bits of the prefix register that count: 33 to 50, the rest reads as zero. PoP ch. 3, "Prefixing".
const PREFIX_MASK: u64 = 0x7fff_e000;

/// The prefix of a CPU: the 8 KiB area exchanged with the first 8 KiB of storage. PoP ch. 3, "Prefixing".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix(u64);

impl Prefix {
    /// Makes a prefix from the register; bits other than 33 to 50 are ignored.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self(bits & PREFIX_MASK)
    }

    /// Returns the absolute address of the prefix area.
    #[must_use]
    pub const fn area(self) -> Absolute {
        Absolute(self.0)
    }
}

impl Real {
    /// Applies prefixing: exchanges the first 8 KiB with the prefix area. PoP ch. 3, "Prefixing".
    #[must_use]
    pub const fn prefixed(self, prefix: Prefix) -> Absolute {
        let area = self.0 & !PREFIX_AREA_MASK;
        let offset = self.0 & PREFIX_AREA_MASK;
        if area == 0 {
            Absolute(prefix.0 | offset)
        } else if area == prefix.0 {
            Absolute(offset)
        } else {
            Absolute(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn display_is_sixteen_digits_and_debug_names_the_type() {
        assert_eq!(format!("{}", Real::new(0x1234)), "0x0000000000001234");
        assert_eq!(format!("{:?}", Absolute::new(u64::MAX)), "Absolute(0xffffffffffffffff)");
    }

    #[test]
    fn addition_stops_at_the_end_of_the_address_space() {
        assert_eq!(Absolute::new(u64::MAX - 7).checked_add(7), Some(Absolute::new(u64::MAX)));
        assert_eq!(Absolute::new(u64::MAX - 7).checked_add(8), None);
        assert_eq!(Absolute::new(7).checked_sub(8), None);
    }

    #[test]
    fn frames_have_the_sizes_of_the_book() {
        for (frame, bytes) in
            [(FrameSize::Page, 0x1000), (FrameSize::Segment, 0x10_0000), (FrameSize::Region, 0x8000_0000)]
        {
            assert_eq!(frame.bytes(), bytes);
            assert_eq!(Real::new(3 * bytes + 5).align_down(frame), Real::new(3 * bytes));
            assert_eq!(Real::new(3 * bytes + 5).frame_offset(frame), 5);
        }
    }

    #[test]
    fn prefixing_exchanges_both_areas_and_nothing_else() {
        let prefix = Prefix::new(0x0180_0000);
        for (real, absolute) in [
            (0x0000, 0x0180_0000),
            (0x1fff, 0x0180_1fff),
            (0x2000, 0x2000),
            (0x017f_ffff, 0x017f_ffff),
            (0x0180_0000, 0x0000),
            (0x0180_1fff, 0x1fff),
            (0x0180_2000, 0x0180_2000),
            (0x1_0180_0000, 0x1_0180_0000),
        ] {
            assert_eq!(Real::new(real).prefixed(prefix), Absolute::new(absolute), "real {real:#x}");
        }
    }

    #[test]
    fn a_prefix_holds_bits_33_to_50_only() {
        assert_eq!(Prefix::new(u64::MAX).area(), Absolute::new(0x7fff_e000));
    }
}
