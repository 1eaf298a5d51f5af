//! Asks the walker what the reference was asked, and compares.

use super::{Answer, Case, STORAGE_END, TABLES};
use mmu_xlate::TableMemory;
use mmu_xlate::dat::{Facilities, Features, LoadRealAddress, load_real_address};
use s390_arch::addr::Absolute;
use s390_arch::cr::Cr0;
use s390_arch::dat::{Asce, Virtual};

/// A walk went to where the program is, whose contents are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

struct Storage<'c>(&'c Case);

impl TableMemory<Absolute> for Storage<'_> {
    type Error = OutOfBounds;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, OutOfBounds> {
        match at.bits() {
            0..TABLES => Err(OutOfBounds),
            at @ TABLES..STORAGE_END => Ok(Some(self.0.memory.get(&at).copied().unwrap_or(0).to_be_bytes())),
            STORAGE_END.. => Ok(None),
        }
    }
}

/// Asks a case's query of the walker.
///
/// # Errors
///
/// When the walk leaves the storage of the case.
pub fn ask(case: &Case, address: u64, facilities: Facilities) -> Result<LoadRealAddress, OutOfBounds> {
    let features = Features::effective(Cr0::from_bits(case.cr0), facilities);
    load_real_address(Asce::from_bits(case.asce), Virtual::from_bits(address), features, &Storage(case))
}

/// Returns the answer that an outcome of the walker is.
#[must_use]
pub fn answer(outcome: LoadRealAddress) -> Answer {
    match (outcome.condition_code(), outcome.register(), outcome) {
        (Some(code), Some(register), _) => Answer::Done(code, register),
        (_, _, LoadRealAddress::Interrupted(exception)) => Answer::Interrupted(exception.code().0),
        (_, _, other) => unreachable!("{other:?} has a condition code and a register"),
    }
}

/// What comparing two answers gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same.
    Same,
    /// A listed difference.
    Listed(&'static str),
    /// None that is known.
    Unexplained,
}

/// Bit 32 of the register, set with an interruption code.
const EXCEPTION: u64 = 0x8000_0000;

/// Compares the walker's outcome with what QEMU gave.
#[must_use]
pub fn compare(ours: LoadRealAddress, theirs: Answer) -> Verdict {
    if answer(ours) == theirs {
        return Verdict::Same;
    }
    // QEMU gives condition code 3 and the code of what an access would have met.
    let Answer::Done(3, register) = theirs else { return Verdict::Unexplained };
    match ours {
        LoadRealAddress::SegmentInvalid(_) if register == EXCEPTION | 0x10 => Verdict::Listed("L1 segment"),
        LoadRealAddress::PageInvalid(_) if register == EXCEPTION | 0x11 => Verdict::Listed("L1 page"),
        LoadRealAddress::Interrupted(exception) if register == EXCEPTION | u64::from(exception.code().0) => {
            Verdict::Listed("L2")
        }
        _ => Verdict::Unexplained,
    }
}

/// Says what an outcome is, for a count.
#[must_use]
pub fn describe(outcome: LoadRealAddress) -> String {
    match outcome {
        LoadRealAddress::Translated(_) => "translated".into(),
        LoadRealAddress::SegmentInvalid(_) => "condition code 1, segment entry invalid".into(),
        LoadRealAddress::PageInvalid(_) => "condition code 2, page entry invalid".into(),
        LoadRealAddress::Exception(code) => format!("condition code 3, code {:#06x}", code.0),
        LoadRealAddress::Interrupted(exception) => format!("interrupted, {exception:?}"),
    }
}
