//! Why a memory operation failed.

use super::SLOTS;
use s390_arch::OutsideStorage;
use xarch_abi::{GuestRange, HostPa};

/// Why a memory operation failed. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Start, length, or the slot's place on the host is not a multiple of 4 KiB.
    Unaligned(GuestRange),
    /// The range reaches beyond the guest-physical address space.
    OutOfRange(GuestRange),
    /// The range shares addresses with a slot that is there.
    Overlap(GuestRange),
    /// There is no slot of exactly this range.
    NoSuchSlot(GuestRange),
    /// The slot's memory on the host is the VM's own: its blocks and tables.
    OwnStorage(HostPa),
    /// The VM has all the slots it can have.
    TooManySlots,
    /// The storage for tables is used up.
    NoTables,
    /// A table, or a slot's memory, lies outside storage.
    Storage(OutsideStorage),
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let range = |f: &mut core::fmt::Formatter<'_>, range: &GuestRange, what: &str| {
            write!(f, "guest range {}..={} {what}", range.start(), range.last())
        };
        match self {
            Self::Unaligned(r) => range(f, r, "is not page-aligned"),
            Self::OutOfRange(r) => range(f, r, "reaches beyond the address space"),
            Self::Overlap(r) => range(f, r, "overlaps a slot"),
            Self::NoSuchSlot(r) => range(f, r, "is not a slot"),
            Self::OwnStorage(host) => write!(f, "host memory at {host} is the VM's own"),
            Self::TooManySlots => write!(f, "no more than {SLOTS} slots"),
            Self::NoTables => write!(f, "the storage for tables is used up"),
            Self::Storage(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for MapError {}

impl From<OutsideStorage> for MapError {
    fn from(error: OutsideStorage) -> Self {
        Self::Storage(error)
    }
}
