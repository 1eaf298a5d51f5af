//! Guest-physical and host addresses.

use core::fmt;

/// A guest-physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GuestPa(u64);

/// An address by which the host's hardware reaches memory, in bytes. Opaque to the contract: the
/// platform hands it to the back end it was written for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HostPa(u64);

macro_rules! address {
    ($name:ident) => {
        impl $name {
            /// Returns the address `value`.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// Returns the address as a number.
            #[must_use]
            pub const fn value(self) -> u64 {
                self.0
            }

            /// Returns the address `bytes` further on, `None` past the end of the address space.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// Returns the distance from `base` in bytes, `None` if `base` lies behind.
            #[must_use]
            pub const fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// Returns the address rounded down to a multiple of 2^`log2` bytes.
            #[must_use]
            pub fn align_down_log2(self, log2: u8) -> Self {
                match u64::MAX.checked_shl(u32::from(log2)) {
                    Some(mask) => Self(self.0 & mask),
                    None => Self(0),
                }
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

address!(GuestPa);
address!(HostPa);

/// A non-empty range of guest-physical addresses that does not wrap.
///
/// Holding one means that `start + bytes` is an address or exactly 2^64. The exclusive end and the
/// inclusive last byte are different questions with different names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct GuestRange {
    start: GuestPa,
    bytes: u64,
}

impl GuestRange {
    /// Returns the range of `bytes` bytes from `start`, `None` if it is empty or wraps.
    #[must_use]
    pub const fn new(start: GuestPa, bytes: u64) -> Option<Self> {
        match bytes.checked_sub(1) {
            Some(rest) if start.0.checked_add(rest).is_some() => Some(Self { start, bytes }),
            _ => None,
        }
    }

    /// Returns the first address.
    #[must_use]
    pub const fn start(self) -> GuestPa {
        self.start
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Returns the last address that belongs to the range.
    #[must_use]
    pub const fn last(self) -> GuestPa {
        GuestPa(self.start.0.wrapping_add(self.bytes).wrapping_sub(1))
    }

    /// Returns whether `address` belongs to the range.
    #[must_use]
    pub const fn contains(self, address: GuestPa) -> bool {
        match address.offset_from(self.start) {
            Some(offset) => offset < self.bytes,
            None => false,
        }
    }

    /// Returns whether the two ranges share an address.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.contains(other.start) || other.contains(self.start)
    }

    /// Returns whether every address of `other` belongs to this range.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.contains(other.start) && self.contains(other.last())
    }
}
