//! What the engine asks of the machine while a guest runs: guest storage through DAT, and the time.

use crate::machine::{Clock, Machine};
use arm_arch::{Ipa, Pa};
use arm_exec::{Environment, Stage2Access, Stage2Page};
use core::cell::Cell;
use mmu_xlate::dat::{Access, Features, Translation, walk_asce};
use s390_arch::dat::{Asce, Virtual};
use s390_arch::pgm::{AddressSpace, FetchStoreIndication, ProgramCode, Teid};

/// Why guest storage was not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostFault {
    /// The host's tables say no.
    Translation { pic: ProgramCode, teid: Teid },
    /// The guest-physical address lies past the main-storage limit.
    PastLimit { teid: Teid },
}

/// The machine around one vCPU during one SAE.
#[derive(Debug)]
pub(crate) struct World<'a, K> {
    pub(crate) machine: &'a Machine<'a, K>,
    pub(crate) asce: Asce,
    pub(crate) origin: u64,
    /// Last guest-physical address, counted from the origin.
    pub(crate) last: u64,
    pub(crate) clock_offset: u64,
    pub(crate) walks: Cell<u64>,
}

impl<K> World<'_, K> {
    /// Returns what a guest-physical address is to the host's tables, which is also what a TEID names.
    const fn host_virtual(&self, guest: u64) -> u64 {
        guest.wrapping_add(self.origin)
    }
}

const fn access(access: Stage2Access) -> Access {
    match access {
        Stage2Access::Read | Stage2Access::Walk => Access::Fetch,
        Stage2Access::Write => Access::Store,
        Stage2Access::Fetch => Access::InstructionFetch,
    }
}

const fn teid(address: u64, access: Stage2Access) -> Teid {
    let fsi = match access {
        Stage2Access::Write => FetchStoreIndication::Store,
        Stage2Access::Read | Stage2Access::Walk | Stage2Access::Fetch => FetchStoreIndication::Fetch,
    };
    Teid::of(address, fsi, AddressSpace::Primary)
}

impl<'a, K: Clock> Environment<'a> for World<'a, K> {
    type Fault = HostFault;

    fn stage2(&self, ipa: Ipa, wanted: Stage2Access) -> Result<Stage2Page<'a>, HostFault> {
        let address = self.host_virtual(ipa.bits());
        let teid = teid(address, wanted);
        if ipa.bits() > self.last {
            return Err(HostFault::PastLimit { teid });
        }
        self.walks.set(self.walks.get().wrapping_add(1));
        let address = Virtual::from_bits(address);
        let storage = self.machine.storage();
        let Ok(translation) = walk_asce(self.asce, address, access(wanted), Features::ALL, &storage);
        let mapping = match translation {
            Translation::Mapped(mapping) => mapping,
            Translation::Fault(fault) => {
                return Err(HostFault::Translation {
                    pic: fault.exception.code(),
                    // Addressing and translation-specification exceptions define none; the page is said all the same.
                    teid: fault.teid.unwrap_or(teid),
                });
            }
        };
        let absolute = Pa::new(mapping.absolute.bits() & !0xfff);
        let page = self
            .machine
            .ram
            .page(absolute)
            .ok_or(HostFault::Translation { pic: ProgramCode::ADDRESSING, teid })?;
        Ok(Stage2Page {
            page,
            absolute,
            writable: !mapping.dat_protected,
            executable: !mapping.instruction_protected,
        })
    }

    fn counter(&self) -> u64 {
        self.machine.clock.nanoseconds().wrapping_add(self.clock_offset)
    }

    fn relax(&self) {
        self.machine.clock.relax();
    }
}
