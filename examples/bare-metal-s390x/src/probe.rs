//! Whether the machine has the facility: each step of the chain that the Linux series goes through.

use crate::sclp::Information;
use s390_arch::sae::Facility;
use s390_arch::sae::ptff::PtffFunction;

/// The byte of a CPU entry that announces the facility, and its bit there. The number of the byte is inferred from
/// where the series puts the bit.
pub const AEF_BYTE: usize = 4;
pub const AEF: u8 = 0x80;

/// How far the chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Every step says yes. What is left, QAAF, the driver does.
    Facility,
    /// The service processor does not announce it.
    NotAnnounced,
    /// It is announced, but PTFF lacks a function for guest time.
    NoGuestTime,
}

/// Walks the chain. PTFF is executed only by a machine that announces the facility.
pub fn probe<F: Facility>(information: &mut Information, facility: impl FnOnce() -> F) -> Found {
    let mut cpus = 0;
    for entry in information.cpus() {
        cpus += 1;
        if entry.get(AEF_BYTE).is_none_or(|byte| byte & AEF == 0) {
            return Found::NotAnnounced;
        }
    }
    if cpus == 0 {
        return Found::NotAnnounced;
    }
    let mut mask = [0; 2];
    let needed = [PtffFunction::QueryArmGuestTimeOffset, PtffFunction::QueryArmGuestPhysicalTime];
    let asked = facility().ptff(0, &mut mask);
    let has = |function: PtffFunction| mask[0] << function.code() >> 63 != 0;
    if asked.is_ok() && needed.into_iter().all(has) { Found::Facility } else { Found::NoGuestTime }
}
