//! Why a memory operation failed.

use crate::map::SLOTS;
use core::fmt;
use xarch_abi::{GuestRange, HostPa};

/// An access outside of the memory that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideMemory(pub HostPa);

impl fmt::Display for OutsideMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no host memory at {}", self.0)
    }
}

impl core::error::Error for OutsideMemory {}

/// Why a memory operation failed. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Start, length, or the slot's place on the host is not a multiple of 4 KiB.
    Unaligned(GuestRange),
    /// The range reaches beyond the guest-physical address space.
    OutOfRange(GuestRange),
    /// The slot's place on the host reaches beyond the addresses that a table entry holds.
    HostRange(HostPa),
    /// The range shares addresses with a slot that is there.
    Overlap(GuestRange),
    /// There is no slot of exactly this range.
    NoSuchSlot(GuestRange),
    /// The slot's memory on the host is the VM's own, with its tables.
    OwnMemory(HostPa),
    /// The VM has all the slots it can have.
    TooManySlots,
    /// The memory for tables is used up.
    NoTables,
    /// A table, or a slot's memory, lies outside memory.
    Outside(OutsideMemory),
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, range: &GuestRange, what: &str| {
            write!(f, "guest range {}..={} {what}", range.start(), range.last())
        };
        match self {
            Self::Unaligned(r) => range(f, r, "is not page-aligned"),
            Self::OutOfRange(r) => range(f, r, "reaches beyond the address space"),
            Self::HostRange(host) => {
                write!(f, "host memory at {host} reaches beyond the addresses of table entries")
            }
            Self::Overlap(r) => range(f, r, "overlaps a slot"),
            Self::NoSuchSlot(r) => range(f, r, "is not a slot"),
            Self::OwnMemory(host) => write!(f, "host memory at {host} is the VM's own"),
            Self::TooManySlots => write!(f, "no more than {SLOTS} slots"),
            Self::NoTables => write!(f, "the memory for tables is used up"),
            Self::Outside(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for MapError {}

impl From<OutsideMemory> for MapError {
    fn from(error: OutsideMemory) -> Self {
        Self::Outside(error)
    }
}
