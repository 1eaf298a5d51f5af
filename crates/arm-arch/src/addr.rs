//! Addresses of the three kinds that translation tells apart, translation granules and lookup levels.
//! Arm ARM, "Translation granules", "Translation table walks".

use core::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Holding one says which space the number is in, not that anything is mapped there.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Names an address by its number.
            #[must_use]
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// Returns the number.
            #[must_use]
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Adds a number of bytes; `None` where the sum does not fit 64 bits.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// Adds a number of bytes modulo 2^64, as the program counter and a base register do.
            #[must_use]
            pub const fn wrapping_add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }

            /// Returns the start of the granule that holds the address.
            #[must_use]
            pub const fn align_down(self, granule: Granule) -> Self {
                Self(self.0 & !granule.offset_mask())
            }

            /// Returns the offset within the granule.
            #[must_use]
            pub const fn page_offset(self, granule: Granule) -> u64 {
                self.0 & granule.offset_mask()
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
    /// A virtual address: what an instruction uses, before stage 1. Arm ARM, AddressDescriptor, vaddress.
    Va
}
address! {
    /// An intermediate physical address: after stage 1, before stage 2. Arm ARM, FaultRecord, ipaddress.
    Ipa
}
address! {
    /// A physical address: after all stages. Arm ARM, AddressDescriptor, paddress.
    Pa
}

/// The translation granule: the size of a page and of a table. Arm ARM, "Translation granules".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Granule {
    /// 4 KiB.
    Size4K,
    /// 16 KiB.
    Size16K,
    /// 64 KiB.
    Size64K,
}

impl Granule {
    /// Returns the number of address bits below the page number: 12, 14 or 16. Arm ARM, TGxGranuleBits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size16K => 14,
            Self::Size64K => 16,
        }
    }

    /// Returns the size in bytes: 4, 16 or 64 KiB. Arm ARM, TGxGranuleBits.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Size4K => 0x1000,
            Self::Size16K => 0x4000,
            Self::Size64K => 0x1_0000,
        }
    }

    /// Returns ones in the bits of an address that are the offset within the granule. Arm ARM, TGxGranuleBits.
    #[must_use]
    pub const fn offset_mask(self) -> u64 {
        self.bytes().wrapping_sub(1)
    }
}

/// A lookup level of a table walk, from −1 (FEAT_LPA2) to 3; −2 exists with FEAT_D128 only.
/// Arm ARM, "Translation table walks".
///
/// Lower levels come first: `Level::L0 < Level::L3`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Level −2, FEAT_D128.
    Minus2,
    /// Level −1, FEAT_LPA2 or FEAT_D128.
    Minus1,
    /// Level 0.
    L0,
    /// Level 1.
    L1,
    /// Level 2.
    L2,
    /// Level 3, which holds pages only.
    L3,
}

impl Level {
    /// All levels in the order of a walk. Arm ARM, "Translation table walks".
    pub const ALL: [Self; 6] = [Self::Minus2, Self::Minus1, Self::L0, Self::L1, Self::L2, Self::L3];

    /// Names a level by its number; `None` outside −2 to 3. Arm ARM, "Translation table walks".
    #[must_use]
    pub const fn from_number(number: i8) -> Option<Self> {
        Some(match number {
            -2 => Self::Minus2,
            -1 => Self::Minus1,
            0 => Self::L0,
            1 => Self::L1,
            2 => Self::L2,
            3 => Self::L3,
            _ => return None,
        })
    }

    /// Returns the level's number: −2 to 3. Arm ARM, "Translation table walks".
    #[must_use]
    pub const fn number(self) -> i8 {
        match self {
            Self::Minus2 => -2,
            Self::Minus1 => -1,
            Self::L0 => 0,
            Self::L1 => 1,
            Self::L2 => 2,
            Self::L3 => 3,
        }
    }

    /// Returns the level that a table entry of this level points to; `None` from level 3.
    /// Arm ARM, "Translation table walks".
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Some(match self {
            Self::Minus2 => Self::Minus1,
            Self::Minus1 => Self::L0,
            Self::L0 => Self::L1,
            Self::L1 => Self::L2,
            Self::L2 => Self::L3,
            Self::L3 => return None,
        })
    }

    /// Whether this is level 3, the last of every walk. Arm ARM, FINAL_LEVEL.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::L3)
    }

    /// Returns how many levels lie below: 0 for level 3, 5 for level −2. Arm ARM, "Translation table walks".
    #[must_use]
    pub const fn remaining(self) -> u32 {
        match self {
            Self::Minus2 => 5,
            Self::Minus1 => 4,
            Self::L0 => 3,
            Self::L1 => 2,
            Self::L2 => 1,
            Self::L3 => 0,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.number(), f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn display_is_sixteen_digits_and_debug_names_the_space() {
        assert_eq!(format!("{}", Va::new(0xffff_8000_0801_0000)), "0xffff800008010000");
        assert_eq!(format!("{}", Pa::new(0x80)), "0x0000000000000080");
        assert_eq!(format!("{:?}", Ipa::new(0x4000_0000)), "Ipa(0x0000000040000000)");
    }

    #[test]
    fn alignment_and_offset_split_an_address_at_the_granule() {
        const CASES: &[(Granule, u32, u64, u64)] = &[
            (Granule::Size4K, 12, 0x1234_5000, 0x678),
            (Granule::Size16K, 14, 0x1234_4000, 0x1678),
            (Granule::Size64K, 16, 0x1234_0000, 0x5678),
        ];
        for (granule, bits, page, offset) in CASES {
            let address = Ipa::new(0x1234_5678);
            assert_eq!(granule.bits(), *bits, "{granule:?}");
            assert_eq!(address.align_down(*granule).bits(), *page, "{granule:?}");
            assert_eq!(address.page_offset(*granule), *offset, "{granule:?}");
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_is_none() {
        assert_eq!(Va::new(u64::MAX).checked_add(0), Some(Va::new(u64::MAX)));
        assert_eq!(Va::new(u64::MAX).checked_add(1), None);
        assert_eq!(Va::new(u64::MAX).wrapping_add(4), Va::new(3));
    }

    #[test]
    fn levels_step_down_to_three() {
        let mut level = Level::Minus2;
        for want in [-1, 0, 1, 2, 3] {
            assert!(!level.is_final());
            level = level.next().unwrap();
            assert_eq!(level.number(), want);
        }
        assert!(level.is_final() && level.next().is_none());
        assert_eq!(Level::from_number(-3), None);
        assert_eq!(Level::from_number(4), None);
        for level in Level::ALL {
            assert_eq!(Level::from_number(level.number()), Some(level));
        }
    }
}
