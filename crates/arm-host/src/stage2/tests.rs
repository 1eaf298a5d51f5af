//! The tables as a walk of the manual sees them, and what goes to the CPUs when they change.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code"
)]
extern crate std;
use super::*;
use crate::testing::{Call, Calls, Memory};
use arm_arch::sysreg::HcrEl2;
use arm_arch::{FaultStatus, Level, Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, Implementation, Privilege, Regime, Registers, Translation, Translator,
};
use std::vec::Vec;
use xarch_abi::{Age, GuestPa, GuestRange, Writable};

const PAGE: u64 = 4096;
const BLOCK: u64 = 2 << 20;
/// The VM's tables.
const OWN: (HostPa, u64) = (HostPa::new(0x1_0000), 0x4_0000);
const VMID: u8 = 7;

struct Walked<'a>(&'a Memory);

impl TableMemory<Pa> for Walked<'_> {
    type Error = OutsideMemory;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, OutsideMemory> {
        self.0.load(HostPa::new(at.bits())).map(|entry| Some(entry.to_le_bytes()))
    }
}

struct Machine {
    memory: Memory,
    calls: Calls,
    tables: Stage2,
}

impl Machine {
    fn new(bits: u8) -> Self {
        let (memory, calls) = (Memory::new(0x10_0000), Calls::default());
        let around = Around { control: &calls, storage: &memory };
        let upper = Upper::new(around, OWN, bits, VMID, 5).unwrap();
        let tables = Stage2::new(upper, bits, OWN);
        assert_eq!(calls.take(), [Call::Invalidate(u64::from(VMID), Scope::All)]);
        Self { memory, calls, tables }
    }

    fn with<T>(&mut self, section: impl FnOnce(&mut Stage2, Around<'_, Calls, Memory>) -> T) -> T {
        section(&mut self.tables, Around { control: &self.calls, storage: &self.memory })
    }

    fn add(&mut self, slot: Slot) {
        self.with(|tables, around| tables.add_slot(around, &slot)).unwrap();
    }

    fn resolve(&mut self, address: u64, slot: Slot, wanted: Wanted) -> Resolved {
        self.with(|tables, around| tables.resolve(around, GuestPa::new(address), &slot, wanted)).unwrap()
    }

    /// What an access of a guest whose stage 1 is off meets: the host address, or the fault.
    fn access(&self, address: u64, kind: AccessKind) -> Result<u64, FaultStatus> {
        let registers = Registers {
            hcr_el2: HcrEl2::new().with_vm(true).with_rw(true).into_bits(),
            vttbr_el2: self.tables.upper().space().vttbr.into(),
            vtcr_el2: self.tables.upper().space().vtcr,
            scr_el3: 1,
            ..Registers::default()
        };
        let cpu = Implementation { pa_bits: 48, ..Implementation::ARMV8_0 };
        let translator = Translator::new(Regime::El1And0, &registers, &cpu);
        let access = Access::new(kind, Privilege::Privileged);
        let memory = Walked(&self.memory);
        match translator.translate::<Pa, _, _>(Va::new(address), access, &memory, &mut ()).unwrap() {
            Translation::Mapped(mapping) => Ok(mapping.output.bits()),
            Translation::Fault(fault) => Err(fault.status),
        }
    }

    fn load(&self, address: u64) -> Result<u64, FaultStatus> {
        self.access(address, AccessKind::Read)
    }

    fn store(&self, address: u64) -> Result<u64, FaultStatus> {
        self.access(address, AccessKind::Write)
    }

    fn dirty(&mut self, range: GuestRange) -> Vec<u64> {
        let mut pages = Vec::new();
        let tables = core::cell::RefCell::new(&mut self.tables);
        let around = Around { control: &self.calls, storage: &self.memory };
        let locked =
            |section: &mut dyn FnMut(&mut Stage2) -> Result<(), MapError>| section(*tables.borrow_mut());
        collect_dirty(around, locked, range, |page| pages.push(page.value())).unwrap();
        pages
    }
}

fn range(start: u64, bytes: u64) -> GuestRange {
    GuestRange::new(GuestPa::new(start), bytes).unwrap()
}

fn slot(start: u64, bytes: u64, host: u64) -> Slot {
    Slot { guest: range(start, bytes), host: HostPa::new(host), writable: Writable::Yes }
}

#[test]
fn every_size_of_address_space_starts_where_the_manual_says() {
    // VTCR_EL2: T0SZ, SL0 10 for level 0 and 01 for level 1, PS, RES1 \[31\]. Arm ARM, VTCR_EL2.SL0.
    for (bits, sl0) in [(32, 1), (36, 1), (39, 1), (40, 1), (41, 1), (42, 1), (43, 1), (44, 2), (48, 2)] {
        let mut machine = Machine::new(bits);
        let vtcr = 1 << 31 | 5 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | sl0 << 6 | (64 - u64::from(bits));
        assert_eq!(machine.tables.upper().space().vtcr, vtcr, "{bits} bits");
        assert_eq!(machine.tables.upper().space().vttbr >> 48, u64::from(VMID));
        let last = (1 << bits) - PAGE;
        let slot = slot(last, PAGE, 0x8000_0000);
        machine.add(slot);
        assert_eq!(machine.resolve(last, slot, Wanted::Load), Resolved::Mapped);
        assert_eq!(machine.load(last + 8), Ok(0x8000_0008), "{bits} bits");
        let past = machine.with(|tables, around| tables.unmap(around, range(1 << bits, PAGE)));
        assert_eq!(past, Err(MapError::OutOfRange(range(1 << bits, PAGE))));
    }
}

#[test]
fn whole_blocks_become_blocks_and_the_rest_pages() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, BLOCK + PAGE, 0x8000_0000);
    machine.add(slot);
    assert_eq!(machine.load(0x4000_0000), Err(FaultStatus::Translation(Level::L2)));
    assert_eq!(machine.resolve(0x4000_5008, slot, Wanted::Load), Resolved::Mapped);
    assert_eq!(machine.resolve(0x4020_0000, slot, Wanted::Load), Resolved::Mapped);
    let coherent = [Call::Coherent(0x8000_0000, BLOCK), Call::Coherent(0x8020_0000, PAGE)];
    assert_eq!(machine.calls.take(), coherent, "nothing to invalidate: nothing was valid");
    assert_eq!(machine.load(0x401f_fff8), Ok(0x801f_fff8));
    assert_eq!(machine.load(0x4020_0ff8), Ok(0x8020_0ff8));
    assert_eq!(machine.load(0x4020_1000), Err(FaultStatus::Translation(Level::L3)));
    assert_eq!(machine.access(0x4000_0000, AccessKind::Fetch), Ok(0x8000_0000));
    assert_eq!(machine.resolve(0x4020_1000, slot, Wanted::Load), Resolved::Hole);
}

#[test]
fn a_host_that_does_not_align_gets_pages() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, BLOCK, 0x8000_1000);
    machine.add(slot);
    assert_eq!(machine.resolve(0x4000_3000, slot, Wanted::Load), Resolved::Mapped);
    assert_eq!(machine.load(0x4000_3000), Ok(0x8000_4000));
    assert_eq!(machine.load(0x4000_4000), Err(FaultStatus::Translation(Level::L3)));
}

#[test]
fn the_first_store_is_seen_and_breaks_before_it_makes() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, BLOCK, 0x8000_0000);
    machine.add(slot);
    assert_eq!(machine.resolve(0x4000_0000, slot, Wanted::Load), Resolved::Mapped);
    assert_eq!(machine.store(0x4000_0000), Err(FaultStatus::Permission(Level::L2)));
    machine.calls.take();
    assert_eq!(machine.resolve(0x4000_7000, slot, Wanted::Store), Resolved::Mapped);
    assert_eq!(machine.store(0x4000_0000), Ok(0x8000_0000));
    let call = Call::Invalidate(u64::from(VMID), Scope::Address(0x4000_0000));
    assert_eq!(machine.calls.take(), [call]);
    assert_eq!(machine.resolve(0x4000_7000, slot, Wanted::Store), Resolved::Mapped);
    assert_eq!(machine.calls.take(), [], "another CPU's fault of the same page finds it done");
}

/// Looks at the tables in the moment of every invalidation.
struct Watch<'a> {
    memory: &'a Memory,
    at: HostPa,
    seen: std::sync::Mutex<Vec<u64>>,
}

impl HostControl for Watch<'_> {
    fn invalidate(&self, _: AddressSpace, _: Scope) {
        self.seen.lock().unwrap().push(self.memory.load(self.at).unwrap());
    }
    fn make_coherent(&self, _: HostPa, _: u64) {}
    fn kick(&self, _: crate::machine::CpuNumber) {}
}

#[test]
fn the_descriptor_is_invalid_while_it_is_invalidated() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, BLOCK, 0x8000_0000);
    machine.add(slot);
    machine.resolve(0x4000_0000, slot, Wanted::Load);
    let around = Around { control: &machine.calls, storage: &machine.memory };
    let at = around.find(machine.tables.upper(), 0x4000_0000).unwrap().unwrap();
    let old = machine.memory.load(at).unwrap();
    let watch = Watch { memory: &machine.memory, at, seen: std::sync::Mutex::default() };
    let around = Around { control: &watch, storage: &machine.memory };
    let address = GuestPa::new(0x4000_0000);
    assert_eq!(machine.tables.resolve(around, address, &slot, Wanted::Store), Ok(Resolved::Mapped));
    machine.tables.protect(around, slot.guest).unwrap();
    let seen = watch.seen.lock().unwrap().clone();
    assert!(seen.len() >= 2 && seen.iter().all(|entry| entry & 1 == 0), "{seen:x?}");
    assert_ne!(machine.memory.load(at).unwrap(), old);
}

#[test]
fn what_was_stored_to_is_reported_once() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, BLOCK + 2 * PAGE, 0x8000_0000);
    machine.add(slot);
    let whole = slot.guest;
    machine.resolve(0x4000_0000, slot, Wanted::Load);
    assert_eq!(machine.dirty(whole), []);
    machine.with(|tables, around| tables.protect(around, whole)).unwrap();
    machine.resolve(0x4000_3000, slot, Wanted::Store);
    machine.resolve(0x4020_1000, slot, Wanted::Store);
    assert_eq!(machine.store(0x4000_3000), Ok(0x8000_3000));
    assert_eq!(machine.store(0x4000_4000), Err(FaultStatus::Permission(Level::L3)));
    assert_eq!(machine.dirty(whole), [0x4000_3000, 0x4020_1000]);
    assert_eq!(machine.store(0x4000_3000), Err(FaultStatus::Permission(Level::L3)));
    assert_eq!(machine.dirty(whole), []);
}

#[test]
fn what_was_stored_to_stays_in_the_log_when_it_is_unmapped() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, 4 * PAGE, 0x8000_0000);
    machine.add(slot);
    machine.resolve(0x4000_1000, slot, Wanted::Store);
    machine.with(|tables, around| tables.unmap(around, slot.guest)).unwrap();
    assert_eq!(machine.load(0x4000_1000), Err(FaultStatus::Translation(Level::L3)));
    assert_eq!(machine.dirty(slot.guest), [0x4000_1000]);
    assert_eq!(machine.dirty(slot.guest), []);
}

#[test]
fn a_page_is_young_until_it_is_made_old() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, BLOCK, 0x8000_0000);
    machine.add(slot);
    let age = |machine: &mut Machine| {
        machine.with(|tables, around| tables.age(around, range(0x4000_0000, BLOCK))).unwrap()
    };
    assert_eq!(age(&mut machine), Age::Old);
    machine.resolve(0x4000_0000, slot, Wanted::Load);
    assert_eq!(age(&mut machine), Age::Young);
    assert_eq!(machine.load(0x4000_0000), Err(FaultStatus::AccessFlag(Level::L2)));
    assert_eq!(age(&mut machine), Age::Old);
    machine.resolve(0x4000_0000, slot, Wanted::Load);
    assert_eq!((machine.load(0x4000_0000), age(&mut machine)), (Ok(0x8000_0000), Age::Young));
}

#[test]
fn read_only_slots_take_no_stores() {
    let mut machine = Machine::new(40);
    let slot = Slot { writable: Writable::No, ..slot(0x4000_0000, BLOCK, 0x8000_0000) };
    machine.add(slot);
    assert_eq!(machine.resolve(0x4000_0000, slot, Wanted::Store), Resolved::ReadOnly);
    assert_eq!(machine.resolve(0x4000_0000, slot, Wanted::Load), Resolved::Mapped);
    assert_eq!(machine.resolve(0x4000_0000, slot, Wanted::Store), Resolved::ReadOnly);
    assert_eq!(machine.store(0x4000_0000), Err(FaultStatus::Permission(Level::L2)));
}

#[test]
fn what_is_removed_is_gone_and_its_tables_are_free_again() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, 2 * BLOCK + PAGE, 0x8000_0000);
    machine.add(slot);
    machine.with(|tables, around| tables.remove_slot(around, slot.guest)).unwrap();
    // Tables of level 2 stay: what is left now is left again after every round.
    let left = machine.tables.upper().pool.small_left();
    for _ in 0..3 {
        machine.add(slot);
        for address in [0x4000_0000, 0x4020_0000, 0x4040_0000] {
            machine.resolve(address, slot, Wanted::Store);
        }
        machine.with(|tables, around| tables.protect(around, slot.guest)).unwrap();
        machine.with(|tables, around| tables.remove_slot(around, slot.guest)).unwrap();
        assert_eq!(
            (machine.tables.upper().pool.small_left(), machine.tables.upper().pool.reserved()),
            (left, 0)
        );
        assert_eq!(machine.load(0x4000_0000), Err(FaultStatus::Translation(Level::L2)));
        assert_eq!(machine.resolve(0x4000_0000, slot, Wanted::Load), Resolved::Hole);
    }
}

#[test]
fn slots_that_do_not_fit_change_nothing() {
    let mut machine = Machine::new(40);
    machine.add(slot(0x4000_0000, BLOCK, 0x8000_0000));
    let left = machine.tables.upper().pool.small_left();
    let huge = slot(0x8000_0000, 1 << 30, 0x1_0000_0000);
    for (name, refused, want) in [
        ("misaligned", slot(0x5000_0800, PAGE, 0x8000_0000), MapError::Unaligned(range(0x5000_0800, PAGE))),
        (
            "host misaligned",
            slot(0x5000_0000, PAGE, 0x8000_0800),
            MapError::Unaligned(range(0x5000_0000, PAGE)),
        ),
        ("beyond", slot(0xff_ffff_f000, 2 * PAGE, 0), MapError::OutOfRange(range(0xff_ffff_f000, 2 * PAGE))),
        ("overlap", slot(0x401f_f000, 2 * PAGE, 0), MapError::Overlap(range(0x401f_f000, 2 * PAGE))),
        ("own", slot(0x5000_0000, PAGE, 0x4_f000), MapError::OwnMemory(HostPa::new(0x4_f000))),
        ("host beyond", slot(0x5000_0000, PAGE, 1 << 48), MapError::HostRange(HostPa::new(1 << 48))),
        ("no tables", huge, MapError::NoTables),
    ] {
        let got = machine.with(|tables, around| tables.add_slot(around, &refused));
        assert_eq!(got, Err(want), "{name}");
        assert_eq!(machine.tables.slots().len(), 1, "{name}");
    }
    // The attempt with the huge one left an empty table of level 2.
    assert!(
        left - machine.tables.upper().pool.small_left() <= 1,
        "{left} {}",
        machine.tables.upper().pool.small_left()
    );
    let next = machine.with(|tables, _| tables.upper().pool.reserved());
    assert_eq!(next, 1, "the block of the slot that is there");
}

#[test]
fn many_pages_of_a_table_go_in_one_operation() {
    let mut machine = Machine::new(40);
    let slot = slot(0x4000_0000, 64 * PAGE, 0x8000_0000);
    machine.add(slot);
    for page in 0..9 {
        machine.resolve(0x4000_0000 + page * PAGE, slot, Wanted::Store);
    }
    machine.calls.take();
    assert_eq!(machine.dirty(slot.guest).len(), 9);
    assert_eq!(machine.calls.take(), [Call::Invalidate(u64::from(VMID), Scope::All)]);
    assert_eq!(machine.load(0x4000_8000), Ok(0x8000_8000));
}
