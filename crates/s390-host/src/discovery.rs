//! Whether the machine has the facility: each step of the chain that the Linux series goes through.
//!
//! Two of them are somebody else's to make: the service element's words about the CPUs are read by whoever talks to it,
//! and PTFF is only executed by a machine that announces the facility there. What is left, QAAF, [`Vm::new`](crate::Vm::new)
//! does.

use s390_arch::sae::Facility;
use s390_arch::sae::ptff::PtffFunction;

/// The byte of a CPU entry, in what the service element says about the machine, that announces the facility. The number
/// of the byte is inferred from where the series puts the bit.
pub const AEF_BYTE: usize = 4;
/// The bit of that byte.
pub const AEF: u8 = 0x80;

/// How far the chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Every step says yes.
    Facility,
    /// The service element does not announce it, for some CPU at least.
    NotAnnounced,
    /// It is announced, but PTFF lacks a function for guest time.
    NoGuestTime,
}

/// Walks the chain for a machine whose CPUs have these entries. `facility` is called, and PTFF executed, only if all of
/// them announce the facility.
pub fn discover<'a, F: Facility>(
    cpu_entries: impl IntoIterator<Item = &'a [u8]>,
    facility: impl FnOnce() -> F,
) -> Found {
    let mut cpus = cpu_entries.into_iter().peekable();
    let announced = cpus.peek().is_some() && cpus.all(is_announced);
    if !announced {
        return Found::NotAnnounced;
    }
    if converts_guest_time(&mut facility()) { Found::Facility } else { Found::NoGuestTime }
}

/// Whether a CPU entry of the service element announces the facility.
#[must_use]
pub fn is_announced(cpu_entry: &[u8]) -> bool {
    cpu_entry.get(AEF_BYTE).is_some_and(|byte| byte & AEF != 0)
}

/// Whether the machine converts guest time: both functions of PTFF that the facility adds are there.
pub fn converts_guest_time<F: Facility>(facility: &mut F) -> bool {
    let mut installed = [0, 0];
    let asked = facility.ptff(PTFF_QUERY, &mut installed);
    let bit = |function: PtffFunction| (1_u64 << 63).wrapping_shr(u32::from(function.code()));
    let needed = bit(PtffFunction::QueryArmGuestTimeOffset) | bit(PtffFunction::QueryArmGuestPhysicalTime);
    asked.is_ok() && installed[0] & needed == needed
}

/// PTFF-QAF, query available functions. PoP ch. 10, PERFORM TIMING FACILITY FUNCTION.
const PTFF_QUERY: u8 = 0;

#[cfg(test)]
#[allow(clippy::panic, reason = "test code")]
mod tests {
    extern crate std;
    use super::{Found, discover};
    use s390_arch::Absolute;
    use s390_arch::pgm::ProgramCode;
    use s390_arch::sae::{Facility, M4, Rejected, SystemRegisterNumber};

    /// A CPU on which nothing but PTFF may be executed, with this mask of functions.
    struct Timing(Option<u64>);

    /// Name, CPU entries, mask of PTFF's functions, and how far the chain goes.
    type Case<'a> = (&'a str, &'a [&'a [u8]], Option<u64>, Found);

    const REJECTED: Rejected = Rejected { code: ProgramCode::OPERATION };

    impl Facility for Timing {
        fn sae(&mut self, _: Absolute) {
            panic!("SAE before it is known to be there")
        }
        fn lasrm(&mut self, _: Absolute) -> Result<(), Rejected> {
            panic!("LASRM before it is known to be there")
        }
        fn stiasrm(&mut self, _: Absolute) -> Result<(), Rejected> {
            panic!("STIASRM before it is known to be there")
        }
        fn sasr(&mut self, _: Absolute, _: SystemRegisterNumber, _: M4, _: u64) -> Result<(), Rejected> {
            panic!("SASR before it is known to be there")
        }
        fn easr(&mut self, _: Absolute, _: SystemRegisterNumber, _: M4) -> Result<u64, Rejected> {
            panic!("EASR before it is known to be there")
        }
        fn qaaf(&mut self, _: u64, _: Absolute) -> Result<(), Rejected> {
            panic!("QAAF before it is known to be there")
        }
        fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected> {
            assert_eq!(code, 0, "only the query may be asked");
            parameters[0] = self.0.ok_or(REJECTED)?;
            Ok(())
        }
        fn load_vectors(&mut self, _: &[u128; 32]) {}
        fn store_vectors(&mut self, _: &mut [u128; 32]) {}
    }

    #[test]
    fn the_chain_ends_where_a_step_says_no() {
        const WITH: [u8; 16] = [0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        const WITHOUT: [u8; 16] = [0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // Functions 0x10 and 0x11 are bits 16 and 17 of the mask, from the left.
        let both = Some(0x0000_c000_0000_0000);
        let cases: &[Case<'_>] = &[
            ("no CPU", &[], both, Found::NotAnnounced),
            ("announced by none", &[&WITHOUT, &WITHOUT], both, Found::NotAnnounced),
            ("announced by one of two", &[&WITH, &WITHOUT], both, Found::NotAnnounced),
            ("an entry too short", &[&WITH[..4]], both, Found::NotAnnounced),
            ("no PTFF", &[&WITH], None, Found::NoGuestTime),
            ("one function", &[&WITH], Some(0x0000_8000_0000_0000), Found::NoGuestTime),
            ("the other", &[&WITH], Some(0x0000_4000_0000_0000), Found::NoGuestTime),
            ("all but these", &[&WITH], Some(!0x0000_c000_0000_0000), Found::NoGuestTime),
            ("all", &[&WITH, &WITH], both, Found::Facility),
        ];
        for (name, entries, mask, want) in cases {
            let asked = core::cell::Cell::new(false);
            let found = discover(entries.iter().copied(), || {
                asked.set(true);
                Timing(*mask)
            });
            assert_eq!(found, *want, "{name}");
            assert_eq!(asked.get(), *want != Found::NotAnnounced, "{name}: PTFF");
        }
    }
}
