extern crate std;
use super::testing::{Cpu, Memory, Random};
use super::*;
use core::cell::RefCell;
use mmu_xlate::dat::Access;
use s390_arch::pgm::AccessException;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::vec::Vec;
use xarch_abi::{Age, GuestPa, GuestRange, HostPa, Writable};

const OWN: (Absolute, u64) = (Absolute::new(0x1000), 0x10_0000);
const STORAGE: usize = 32 << 20;
const MIB: u64 = 1 << 20;

fn range(start: u64, bytes: u64) -> GuestRange {
    GuestRange::new(GuestPa::new(start), bytes).unwrap()
}

fn slot(start: u64, bytes: u64, host: u64) -> Slot {
    Slot { guest: range(start, bytes), host: HostPa::new(host), writable: Writable::Yes }
}

/// A VM's tables with a CPU on them and a platform that knows the slots.
struct World<'a> {
    memory: &'a Memory,
    cpu: &'a Cpu<'a>,
    gmap: Gmap,
}

impl<'a> World<'a> {
    fn new(memory: &'a Memory, cpu: &'a Cpu<'a>, own: (Absolute, u64), bits: u8) -> Self {
        let upper = Upper::new(Around { control: cpu, storage: memory }, own, own.0, bits).unwrap();
        let gmap = empty(upper, own, bits);
        Self { memory, cpu, gmap }
    }

    fn around(&self) -> Around<'a, Cpu<'a>, Memory> {
        Around { control: self.cpu, storage: self.memory }
    }

    fn add(&mut self, slot: &Slot) -> Result<(), MapError> {
        self.gmap.add_slot(self.around(), slot)
    }

    fn remove(&mut self, range: GuestRange) -> Result<(), MapError> {
        self.gmap.remove_slot(self.around(), range)
    }

    /// Accesses as a guest does: the fault is made good and the access repeated. `None` where that cannot be.
    fn access(&mut self, address: u64, access: Access) -> Option<Absolute> {
        let wanted = if access == Access::Store { Wanted::Store } else { Wanted::Load };
        for _ in 0..3 {
            if let Ok(at) = self.cpu.access(self.gmap.upper().asce(), address, access) {
                return Some(at);
            }
            let slot =
                self.gmap.slots().iter().find(|slot| slot.guest.contains(GuestPa::new(address))).copied()?;
            match self.gmap.resolve(self.around(), GuestPa::new(address), &slot, wanted).unwrap() {
                Resolved::Mapped => {}
                Resolved::Hole => panic!("a slot has a hole at {address:#x}"),
                Resolved::ReadOnly => return None,
            }
        }
        panic!("no progress at {address:#x}");
    }

    fn dirty(&mut self, range: GuestRange) -> Result<Vec<u64>, MapError> {
        let mut pages = Vec::new();
        let around = self.around();
        let gmap = RefCell::new(&mut self.gmap);
        collect_dirty(
            around,
            |section| section(&mut gmap.borrow_mut()),
            range,
            |page| pages.push(page.value()),
        )?;
        Ok(pages)
    }

    fn left(&self) -> (u64, u64) {
        (self.gmap.upper().pool.small_left(), self.gmap.upper().pool.reserved())
    }
}

fn with_world(bits: u8, test: impl FnOnce(World<'_>)) {
    let memory = Memory::new(STORAGE);
    let cpu = Cpu::new(&memory);
    test(World::new(&memory, &cpu, OWN, bits));
}

#[test]
fn a_new_space_has_the_designation_of_its_size_and_is_one_hole() {
    // DT and the exception for an invalid entry of that table. PoP ch. 3.
    for (bits, control, exception) in [
        (32, 0x1c7, AccessException::RegionThirdTranslation),
        (42, 0x1c7, AccessException::RegionThirdTranslation),
        (43, 0x1cb, AccessException::RegionSecondTranslation),
        (48, 0x1cb, AccessException::RegionSecondTranslation),
    ] {
        with_world(bits, |world| {
            let asce = world.gmap.upper().asce();
            assert_eq!(asce & 0xfff, control, "{bits} bits");
            for address in [0, 0x4000_0000, (1 << bits) - 0x1000] {
                assert_eq!(world.cpu.access(asce, address, Access::Fetch), Err(exception), "{address:#x}");
            }
        });
    }
}

#[test]
fn a_slot_that_aligns_gets_large_frames_and_others_get_pages() {
    for (host, faults) in [(0x20_0000, 1), (0x20_1000, 256)] {
        with_world(40, |mut world| {
            let slot = slot(0x4000_0000, MIB, host);
            world.add(&slot).unwrap();
            let mut seen = 0;
            for address in (0x4000_0000..0x4010_0000).step_by(0x1000) {
                if world.cpu.access(world.gmap.upper().asce(), address, Access::Fetch).is_err() {
                    seen += 1;
                }
                let at = world.access(address + 8, Access::Fetch).unwrap();
                assert_eq!(at.bits(), host + (address - 0x4000_0000) + 8);
            }
            assert_eq!(seen, faults, "host at {host:#x}");
        });
    }
}

#[test]
fn a_slot_whose_pages_are_scattered_is_mapped_page_by_page_and_by_segment_where_they_are_not() {
    // Places from 3 MiB to 4 MiB lie the wrong way round, and those from 4 MiB on lie 1 MiB higher, in a row.
    let places = |place: Absolute, bytes: u64| match place.bits() {
        at @ 0x30_0000..0x40_0000 => (bytes == 0x1000).then(|| Absolute::new(0x70_0000 - 0x1000 - at)),
        at => Some(Absolute::new(at + MIB)),
    };
    let memory = Memory::scattered(STORAGE, places);
    let cpu = Cpu::new(&memory);
    let mut world = World::new(&memory, &cpu, OWN, 40);
    world.add(&slot(0x4000_0000, 2 * MIB, 0x30_0000)).unwrap();
    let mut faults = 0;
    for address in (0x4000_0000..0x4020_0000).step_by(0x1000) {
        faults += u32::from(world.cpu.access(world.gmap.upper().asce(), address, Access::Store).is_err());
        let want = match address - 0x4000_0000 {
            offset @ 0..MIB => 0x3f_f000 - offset,
            offset => 0x40_0000 + offset,
        };
        assert_eq!(world.access(address + 8, Access::Store).unwrap().bits(), want + 8, "{address:#x}");
    }
    // One for each page of the first MiB, one for all of the second.
    assert_eq!(faults, 257);
    assert_eq!(world.dirty(range(0x4000_0000, 2 * MIB)).unwrap().len(), 512);
}

#[test]
fn a_slot_whose_memory_is_nowhere_is_a_hole() {
    let memory = Memory::scattered(STORAGE, |_, _| None);
    let cpu = Cpu::new(&memory);
    let mut world = World::new(&memory, &cpu, OWN, 40);
    let slot = slot(0x4000_0000, MIB, 0x30_0000);
    world.add(&slot).unwrap();
    let resolved = world.gmap.resolve(world.around(), GuestPa::new(0x4000_0000), &slot, Wanted::Load);
    assert_eq!(resolved, Ok(Resolved::Hole));
}

#[test]
fn only_a_store_makes_a_page_dirty_and_it_is_reported_once() {
    for host in [0x20_0000, 0x20_1000] {
        with_world(40, |mut world| {
            let all = range(0x4000_0000, MIB);
            world.add(&slot(0x4000_0000, MIB, host)).unwrap();
            world.access(0x4000_3000, Access::Fetch).unwrap();
            assert_eq!(world.dirty(all).unwrap(), []);
            world.gmap.protect(world.around(), all).unwrap();
            world.access(0x4000_3008, Access::Store).unwrap();
            world.access(0x400f_f000, Access::Store).unwrap();
            assert_eq!(world.dirty(all).unwrap(), [0x4000_3000, 0x400f_f000]);
            assert_eq!(world.dirty(all).unwrap(), []);
            world.access(0x4000_3010, Access::Store).unwrap();
            assert_eq!(world.dirty(all).unwrap(), [0x4000_3000]);
        });
    }
}

#[test]
fn a_large_frame_is_dirty_as_a_whole_but_never_beyond_what_was_asked() {
    with_world(40, |mut world| {
        world.add(&slot(0x4000_0000, 2 * MIB, 0x20_0000)).unwrap();
        world.access(0x4000_3000, Access::Store).unwrap();
        let asked = range(0x4000_2000, 0x3000);
        assert_eq!(world.dirty(asked).unwrap(), [0x4000_2000, 0x4000_3000, 0x4000_4000]);
        let rest = world.dirty(range(0x4000_0000, 2 * MIB)).unwrap();
        assert_eq!(rest.len(), 253);
        assert!(rest.iter().all(|page| !asked.contains(GuestPa::new(*page)) && *page < 0x4010_0000));
    });
}

#[test]
fn taking_a_mapping_away_keeps_its_stores_in_the_log() {
    for host in [0x20_0000, 0x20_1000] {
        with_world(40, |mut world| {
            let all = range(0x4000_0000, MIB);
            world.add(&slot(0x4000_0000, MIB, host)).unwrap();
            world.access(0x4000_0000, Access::Store).unwrap();
            world.gmap.unmap(world.around(), all).unwrap();
            assert!(world.cpu.access(world.gmap.upper().asce(), 0x4000_0000, Access::Fetch).is_err());
            world.access(0x4000_0000, Access::Fetch).unwrap();
            assert!(world.dirty(all).unwrap().contains(&0x4000_0000), "host at {host:#x}");
            assert_eq!(world.dirty(all).unwrap(), []);
        });
    }
}

#[test]
fn ageing_sees_each_touch_once_and_only_where_it_was_asked() {
    for host in [0x20_0000, 0x20_1000] {
        with_world(40, |mut world| {
            let (one, other) = (range(0x4000_0000, 0x1000), range(0x4000_1000, 0x1000));
            world.add(&slot(0x4000_0000, MIB, host)).unwrap();
            world.access(0x4000_0000, Access::Fetch).unwrap();
            world.access(0x4000_1000, Access::Store).unwrap();
            assert_eq!(world.gmap.age(world.around(), one).unwrap(), Age::Young);
            assert_eq!(world.gmap.age(world.around(), one).unwrap(), Age::Old);
            assert_eq!(world.gmap.age(world.around(), other).unwrap(), Age::Young);
            world.access(0x4000_0008, Access::Fetch).unwrap();
            assert_eq!(world.gmap.age(world.around(), one).unwrap(), Age::Young);
            assert_eq!(world.dirty(other).unwrap(), [0x4000_1000]);
        });
    }
}

#[test]
fn a_read_only_slot_loads_and_refuses_stores_mapped_or_not() {
    with_world(40, |mut world| {
        for host in [0x20_0000, 0x40_1000] {
            let slot = Slot { writable: Writable::No, ..slot(host << 8, MIB, host) };
            world.add(&slot).unwrap();
            assert_eq!(world.access(host << 8, Access::Store), None);
            assert_eq!(world.access(host << 8, Access::Fetch), Some(Absolute::new(host)));
            assert_eq!(world.access(host << 8, Access::Store), None);
            assert_eq!(world.dirty(slot.guest).unwrap(), []);
        }
    });
}

#[test]
fn slots_that_do_not_fit_are_refused_and_change_nothing() {
    with_world(40, |mut world| {
        world.add(&slot(0x4000_0000, MIB, 0x20_0000)).unwrap();
        let before = world.left();
        let outside = |at| MapError::Outside(OutsideMemory(HostPa::new(at)));
        for (name, wrong, want) in [
            ("start", slot(0x800, 0x1000, 0x30_0000), MapError::Unaligned(range(0x800, 0x1000))),
            ("length", slot(0, 0x1800, 0x30_0000), MapError::Unaligned(range(0, 0x1800))),
            ("host", slot(0, 0x1000, 0x30_0800), MapError::Unaligned(range(0, 0x1000))),
            (
                "last page",
                slot((1 << 40) - 0x1000, 0x2000, 0x30_0000),
                MapError::OutOfRange(range((1 << 40) - 0x1000, 0x2000)),
            ),
            ("overlap", slot(0x400f_f000, 0x2000, 0x40_0000), MapError::Overlap(range(0x400f_f000, 0x2000))),
            ("host end", slot(0, 0x2000, 0x1ff_f000), outside(0x200_0ff8)),
            ("host start", slot(0, 0x1000, 1 << 40), outside(1 << 40)),
            ("own storage, first page", slot(0, 0x1000, 0x1000), MapError::OwnMemory(HostPa::new(0x1000))),
            (
                "own storage, last page",
                slot(0, 0x1000, 0x10_0000),
                MapError::OwnMemory(HostPa::new(0x10_0000)),
            ),
            ("around own storage", slot(0, 0x20_0000, 0), MapError::OwnMemory(HostPa::new(0))),
        ] {
            assert_eq!(world.add(&wrong), Err(want), "{name}");
            assert_eq!(world.left(), before, "{name}");
        }
        world.add(&slot((1 << 40) - 0x1000, 0x1000, 0x30_0000)).unwrap();
        world.add(&slot(0, 0x1000, 0x10_1000)).unwrap();
        assert_eq!(
            world.remove(range(0x4000_0000, 0x1000)),
            Err(MapError::NoSuchSlot(range(0x4000_0000, 0x1000)))
        );
    });
}

#[test]
fn running_out_of_tables_is_an_error_of_adding_and_of_nothing_else() {
    let memory = Memory::new(STORAGE);
    let cpu = Cpu::new(&memory);
    // A top table, a segment table, and eight page tables.
    let mut world = World::new(&memory, &cpu, (Absolute::new(0x4000), 0xc000), 40);
    world.add(&slot(0x4000_0000, 8 * MIB, 0x20_0000)).unwrap();
    let full = world.left();
    for wrong in [slot(0x5000_0000, MIB, 0xc0_0000), slot(0x1_0000_0000, 0x1000, 0xc0_0000)] {
        assert_eq!(world.add(&wrong), Err(MapError::NoTables));
        assert_eq!(world.left(), full);
    }
    for address in (0x4000_0000..0x4080_0000).step_by(0x10_0000) {
        world.access(address, Access::Store).unwrap();
    }
    world.gmap.protect(world.around(), range(0x4000_0000, 8 * MIB)).unwrap();
    assert_eq!(world.dirty(range(0x4000_0000, 8 * MIB)).unwrap().len(), 8 * 256);
    world.remove(range(0x4000_0000, 8 * MIB)).unwrap();
    world.add(&slot(0x1_0000_0000, 8 * MIB, 0x20_0000)).unwrap();
}

#[test]
fn an_unmapped_segment_can_become_a_large_frame_again() {
    with_world(40, |mut world| {
        let all = range(0x4000_0000, MIB);
        world.add(&slot(0x4000_0000, MIB, 0x20_0000)).unwrap();
        world.access(0x4000_0000, Access::Fetch).unwrap();
        world.gmap.protect(world.around(), all).unwrap();
        world.gmap.unmap(world.around(), all).unwrap();
        world.access(0x4000_0000, Access::Fetch).unwrap();
        // The whole segment is there after one touch.
        assert!(world.cpu.access(world.gmap.upper().asce(), 0x400f_f000, Access::Fetch).is_ok());
    });
}

#[test]
fn many_changes_in_a_segment_cost_few_purges() {
    with_world(40, |mut world| {
        let all = range(0x4000_0000, MIB);
        world.add(&slot(0x4000_0000, MIB, 0x20_1000)).unwrap();
        for address in (0x4000_0000..0x4010_0000).step_by(0x1000) {
            world.access(address, Access::Store).unwrap();
        }
        let before = world.cpu.purges.load(Ordering::SeqCst);
        assert_eq!(world.dirty(all).unwrap().len(), 256);
        assert_eq!(world.cpu.purges.load(Ordering::SeqCst) - before, 1);
        world.access(0x4000_0000, Access::Store).unwrap();
        let before = world.cpu.purges.load(Ordering::SeqCst);
        assert_eq!(world.dirty(all).unwrap(), [0x4000_0000]);
        assert_eq!(world.cpu.purges.load(Ordering::SeqCst) - before, 1);
    });
}

/// The slots of the random walk: large and small alignment, two that share a segment, one in another region.
fn candidates() -> [Slot; 5] {
    [
        slot(0x4000_0000, 3 * MIB, 0x20_0000),
        slot(0x4030_0000, 0x2_5000, 0x60_1000),
        slot(0x4032_5000, MIB + 0x3000, 0x70_2000),
        Slot { writable: Writable::No, ..slot(0x4050_0000, MIB, 0x90_0000) },
        slot(0x1_0000_0000, 2 * MIB, 0xa0_0000),
    ]
}

/// What must be true whatever happens: each access reaches the slot's own page, each store is reported by the next
/// collection that asks for its page, nothing is reported outside of what was asked, and nothing is kept after its
/// slot is gone.
#[test]
fn no_store_is_lost_whatever_is_done_to_the_tables() {
    for seed in 1..=24 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        with_world(if seed % 2 == 0 { 40 } else { 48 }, |mut world| {
            let empty = world.left();
            let slots = candidates();
            let mut stored = BTreeSet::new();
            for _ in 0..1500 {
                let slot = slots[usize::try_from(random.below(5)).unwrap()];
                let present = world.gmap.slots().contains(&slot);
                let pages = slot.guest.bytes() >> 12;
                let first = random.below(pages);
                let most = if random.below(3) == 0 { pages - first } else { 8.min(pages - first) };
                let count = 1 + random.below(most);
                let part = range(slot.guest.start().value() + (first << 12), count << 12);
                match random.below(16) {
                    0 if present => {
                        world.remove(slot.guest).unwrap();
                        stored.retain(|page| !slot.guest.contains(GuestPa::new(*page)));
                        let asce = world.gmap.upper().asce();
                        let at = part.start().value();
                        assert!(world.cpu.access(asce, at, Access::Fetch).is_err(), "kept {at:#x}");
                    }
                    0..=2 if !present => world.add(&slot).unwrap(),
                    0 | 1 => world.gmap.protect(world.around(), part).unwrap(),
                    2 => world.gmap.unmap(world.around(), part).unwrap(),
                    3 => drop(world.gmap.age(world.around(), part).unwrap()),
                    4 => {
                        let reported = world.dirty(part).unwrap();
                        for page in &reported {
                            assert!(part.contains(GuestPa::new(*page)), "{page:#x} was not asked for");
                        }
                        for page in stored.iter().filter(|page| part.contains(GuestPa::new(**page))) {
                            assert!(reported.contains(page), "seed {seed}: the store to {page:#x} is lost");
                        }
                        stored.retain(|page| !part.contains(GuestPa::new(*page)));
                    }
                    choice => {
                        let address = part.start().value() + (random.below(512) << 3);
                        let access = if choice & 1 == 0 { Access::Store } else { Access::Fetch };
                        let got = world.access(address, access);
                        let offset = address - slot.guest.start().value();
                        let allowed = present && (access == Access::Fetch || slot.writable == Writable::Yes);
                        let want = allowed.then(|| Absolute::new(slot.host.value() + offset));
                        assert_eq!(got, want, "seed {seed}: {access:?} at {address:#x}");
                        if got.is_some() && access == Access::Store {
                            stored.insert(address & !0xfff);
                        }
                    }
                }
            }
            for slot in world.gmap.slots().to_vec() {
                world.remove(slot.guest).unwrap();
            }
            assert_eq!(world.left(), empty, "seed {seed}: tables leaked");
        });
    }
}
