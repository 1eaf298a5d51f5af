//! What the machine says it is: the words of QAAF function 1.

use s390_arch::sae::{QmcBase, QmcIndex, qaaf};
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

/// MIDR_EL1.
pub(crate) const MIDR: u64 = 0x000f_0000;
/// CNTFRQ_EL0: 1 GHz, the constant of the SAE sources.
pub(crate) const CNTFRQ: u64 = 1_000_000_000;

/// The highest CPU number, as QAAF reports it.
const HIGHEST_CPU: u16 = 63;

fn word(index: QmcIndex) -> u64 {
    match index {
        QmcIndex::MIDR_EL1 => MIDR,
        QmcIndex::CNTFRQ_EL0 => CNTFRQ,
        _ => 0,
    }
}

/// Writes the block of function 1.
pub(crate) fn write_capabilities(
    storage: &impl AbsoluteStorage,
    base: QmcBase,
    at: Absolute,
) -> Result<(), OutsideStorage> {
    let place = |offset: u64| at.checked_add(offset).ok_or(OutsideStorage(at));
    storage.write_bytes(at, &[0; 0x1000])?;
    // Format 0 of both blocks: the first bit of each map.
    storage.write_bytes(place(qaaf::field::SSDF)?, &[0x80])?;
    storage.write_bytes(place(qaaf::field::SSAF)?, &[0x80])?;
    storage.write_bytes(place(qaaf::field::MAXNCPU)?, &HIGHEST_CPU.to_be_bytes())?;
    for index in QmcIndex::NAMED {
        if let Some(offset) = base.offset(*index) {
            storage.store_u64(place(offset)?, word(*index))?;
        }
    }
    Ok(())
}
