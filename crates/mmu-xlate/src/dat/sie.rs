//! The guest storage window of SIE: main-storage origin and limit. State description, MSO and MSL.

use s390_arch::dat::Virtual;

/// Granularity of origin and limit: the low 20 bits do not count.
const BLOCK_MASK: u64 = 0xf_ffff;

/// The part of a host's primary space that is a guest's absolute storage, last block inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageWindow {
    first: u64,
    last: u64,
}

/// MSO lies above MSL: a validity interception, reason 0x0041.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginAboveLimit;

impl core::fmt::Display for OriginAboveLimit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("main-storage origin above main-storage limit")
    }
}

impl core::error::Error for OriginAboveLimit {}

impl StorageWindow {
    /// Makes the window; the low 20 bits of the origin count as zeros, those of the limit as ones.
    ///
    /// # Errors
    ///
    /// Fails if the origin lies above the limit.
    pub const fn new(mso: u64, msl: u64) -> Result<Self, OriginAboveLimit> {
        let window = Self { first: mso & !BLOCK_MASK, last: msl | BLOCK_MASK };
        if window.first > window.last { Err(OriginAboveLimit) } else { Ok(window) }
    }

    /// Returns the host virtual address of a guest absolute one; `None` outside the window, an addressing exception
    /// of the guest.
    #[must_use]
    pub const fn host(&self, guest_absolute: u64) -> Option<Virtual> {
        match self.first.checked_add(guest_absolute) {
            Some(host) if host <= self.last => Some(Virtual::from_bits(host)),
            _ => None,
        }
    }
}
