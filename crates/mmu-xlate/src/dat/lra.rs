//! LOAD REAL ADDRESS: a walk whose faults are condition codes. PoP ch. 10, "LOAD REAL ADDRESS".

use super::params::Features;
use super::walk::{Cause, Place, Translation, probe};
use crate::memory::TableMemory;
use s390_arch::addr::Absolute;
use s390_arch::dat::{Asce, Level, Virtual};
use s390_arch::pgm::{AccessException, ProgramCode};

/// Bit 32 of the register, set with the interruption code in bits 48-63.
const EXCEPTION: u64 = 0x8000_0000;

/// What LOAD REAL ADDRESS ends with. PoP ch. 10, "LOAD REAL ADDRESS".
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadRealAddress {
    /// Condition code 0: the real address; of a large frame, the absolute one.
    Translated(u64),
    /// Condition code 1: the segment-table entry at this address is invalid.
    SegmentInvalid(Absolute),
    /// Condition code 2: the page-table entry at this address is invalid.
    PageInvalid(Absolute),
    /// Condition code 3: the exception that translation would have recognised.
    Exception(ProgramCode),
    /// The instruction itself is interrupted.
    Interrupted(AccessException),
}

impl LoadRealAddress {
    /// Returns the condition code; `None` when interrupted.
    #[must_use]
    pub const fn condition_code(self) -> Option<u8> {
        match self {
            Self::Translated(_) => Some(0),
            Self::SegmentInvalid(_) => Some(1),
            Self::PageInvalid(_) => Some(2),
            Self::Exception(_) => Some(3),
            Self::Interrupted(_) => None,
        }
    }

    /// Returns what goes into the register; `None` when interrupted.
    ///
    /// CHOICE: for a segment table that is too short, emulators differ (the code, or the entry's address); here the
    /// code, as for every other condition code 3.
    #[must_use]
    pub fn register(self) -> Option<u64> {
        match self {
            Self::Translated(address) => Some(address),
            Self::SegmentInvalid(entry) | Self::PageInvalid(entry) => Some(entry.bits()),
            Self::Exception(code) => Some(EXCEPTION | u64::from(code.0)),
            Self::Interrupted(_) => None,
        }
    }
}

/// Executes LOAD REAL ADDRESS for an address already truncated to the addressing mode.
///
/// Protection, keys and the presence of the target are not looked at, and neither is the PSW's DAT bit.
///
/// # Errors
///
/// Whatever the memory fails with.
pub fn load_real_address<M: TableMemory<Absolute>>(
    asce: Asce,
    address: Virtual,
    features: Features,
    mem: &M,
) -> Result<LoadRealAddress, M::Error> {
    let fault = match probe(asce, address, features, mem)? {
        Translation::Mapped(mapping) => return Ok(LoadRealAddress::Translated(mapping.target.bits())),
        Translation::Fault(fault) => fault,
    };
    Ok(match (fault.cause, fault.place, fault.entry) {
        (Cause::Invalid, Place::Table(Level::Segment), Some(entry)) => {
            LoadRealAddress::SegmentInvalid(entry.at)
        }
        (Cause::Invalid, Place::Table(Level::Page), Some(entry)) => LoadRealAddress::PageInvalid(entry.at),
        _ if fault.exception.has_teid() => LoadRealAddress::Exception(fault.pic()),
        _ => LoadRealAddress::Interrupted(fault.exception),
    })
}
