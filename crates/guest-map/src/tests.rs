//! The whole of it on a machine that exists nowhere, whose CPU keeps what it may.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]
extern crate std;
use super::testing::{Memory, Random, Upper};
use super::*;
use core::cell::RefCell;
use std::collections::BTreeSet;
use std::vec::Vec;
use xarch_abi::{Age, GuestPa, GuestRange, HostPa, Slot, Writable};

const BLOCK: u64 = 0x1_0000;
const PAGE: u64 = 0x1000;
const OWN: (HostPa, u64) = (HostPa::new(0x1000), 0x2000);

struct World<'a> {
    memory: &'a Memory,
    map: GuestMap<Upper>,
}

fn with_world(test: impl FnOnce(World<'_>)) {
    let memory = &Memory::new(0x4000);
    test(World { memory, map: GuestMap::new(memory.upper(OWN), 24, OWN) });
}

fn range(start: u64, bytes: u64) -> GuestRange {
    GuestRange::new(GuestPa::new(start), bytes).unwrap()
}

fn slot(start: u64, bytes: u64, host: u64) -> Slot {
    Slot { guest: range(start, bytes), host: HostPa::new(host), writable: Writable::Yes }
}

impl World<'_> {
    fn add(&mut self, slot: &Slot) -> Result<(), MapError> {
        self.map.add_slot(self.memory, slot)
    }

    /// Accesses as a guest does: the fault is made good and the access repeated. `None` where that cannot be.
    fn access(&mut self, address: u64, store: bool) -> Option<u64> {
        for _ in 0..3 {
            if let Ok(at) = self.memory.access(self.map.upper(), address, store) {
                return Some(at);
            }
            let at = GuestPa::new(address);
            let slot = *self.map.slots().iter().find(|slot| slot.guest.contains(at))?;
            let wanted = if store { Wanted::Store } else { Wanted::Load };
            match self.map.resolve(self.memory, at, &slot, wanted).unwrap() {
                Resolved::Mapped => {}
                Resolved::Hole | Resolved::ReadOnly => return None,
            }
        }
        panic!("no progress at {address:#x}");
    }

    fn dirty(&mut self, range: GuestRange) -> Vec<u64> {
        let mut pages = Vec::new();
        let map = RefCell::new(&mut self.map);
        let locked = |section: &mut dyn FnMut(&mut GuestMap<Upper>) -> _| section(&mut map.borrow_mut());
        collect_dirty(self.memory, locked, range, |page| pages.push(page.value())).unwrap();
        pages
    }

    fn left(&mut self) -> (u64, u64) {
        let pool = &self.map.upper().pool;
        (pool.small_left(), pool.reserved())
    }
}

#[test]
fn one_fault_maps_a_block_where_both_sides_align_and_a_page_elsewhere() {
    for (host, faults) in [(0x2_0000, 1), (0x2_1000, 16), (0x8000_0000, 16)] {
        with_world(|mut world| {
            world.add(&slot(0x10_0000, BLOCK, host)).unwrap();
            let mut seen = 0;
            for page in 0..16 {
                let address = 0x10_0000 + page * PAGE + 8;
                seen += u32::from(world.memory.access(world.map.upper(), address, false).is_err());
                let there =
                    if host == 0x8000_0000 { 0x8fff_f008 - page * PAGE } else { host + page * PAGE + 8 };
                assert_eq!(world.access(address, false), Some(there));
            }
            assert_eq!(seen, faults, "{host:#x}");
        });
    }
}

#[test]
fn memory_that_is_nowhere_is_a_hole() {
    with_world(|mut world| {
        let slot = slot(0x10_0000, BLOCK, 0x9000_0000);
        world.add(&slot).unwrap();
        let got = world.map.resolve(world.memory, GuestPa::new(0x10_0000), &slot, Wanted::Load);
        assert_eq!(got, Ok(Resolved::Hole));
    });
}

#[test]
fn slots_that_cannot_be_change_nothing() {
    with_world(|mut world| {
        world.add(&slot(0x10_0000, BLOCK, 0x2_0000)).unwrap();
        let left = world.left();
        for (what, refused, want) in [
            ("start", slot(0x20_0800, PAGE, 0x2_0000), MapError::Unaligned(range(0x20_0800, PAGE))),
            ("length", slot(0x20_0000, 0x800, 0x2_0000), MapError::Unaligned(range(0x20_0000, 0x800))),
            ("host", slot(0x20_0000, PAGE, 0x2_0800), MapError::Unaligned(range(0x20_0000, PAGE))),
            ("beyond", slot(0xff_f000, 2 * PAGE, 0), MapError::OutOfRange(range(0xff_f000, 2 * PAGE))),
            ("overlap", slot(0x10_f000, 2 * PAGE, 0), MapError::Overlap(range(0x10_f000, 2 * PAGE))),
            ("wraps", slot(0x20_0000, 2 * PAGE, !0xfff), MapError::HostRange(HostPa::new(!0xfff))),
            ("too far", slot(0x20_0000, PAGE, 1 << 32), MapError::HostRange(HostPa::new(1 << 32))),
            ("own, end", slot(0x20_0000, PAGE, 0x2000), MapError::OwnMemory(HostPa::new(0x2000))),
            ("own, start", slot(0x20_0000, 2 * PAGE, 0), MapError::OwnMemory(HostPa::new(0))),
            ("tables", slot(0x20_0000, 0xc0_0000, 0x10_0000), MapError::NoTables),
        ] {
            assert_eq!(world.add(&refused), Err(want), "{what}");
            assert_eq!((world.map.slots().len(), world.left()), (1, left), "{what}");
        }
        let other = range(0x10_0000, PAGE);
        assert_eq!(world.map.remove_slot(world.memory, other), Err(MapError::NoSuchSlot(other)));
        assert_eq!(world.access(0x10_0000, true), Some(0x2_0000));
    });
}

#[test]
fn there_are_so_many_slots_and_no_more() {
    with_world(|mut world| {
        for index in 0..64 {
            world.add(&slot(index * 2 * PAGE, PAGE, 0x10_0000)).unwrap();
        }
        assert_eq!(world.add(&slot(0x20_0000, PAGE, 0x10_0000)), Err(MapError::TooManySlots));
    });
}

#[test]
fn few_pages_are_invalidated_one_by_one_and_many_with_their_table() {
    for (pages, want) in [(8, [Scope::Page; 8].as_slice()), (9, &[Scope::Table])] {
        with_world(|mut world| {
            world.add(&slot(0x10_0000, BLOCK, 0x2_1000)).unwrap();
            for page in 0..pages {
                world.access(0x10_0000 + page * PAGE, true).unwrap();
            }
            world.memory.invalidated();
            world.map.protect(world.memory, range(0x10_0000, BLOCK)).unwrap();
            let seen: Vec<Scope> = world.memory.invalidated().into_iter().map(|(_, scope)| scope).collect();
            assert_eq!(seen, want);
        });
    }
}

#[test]
fn a_block_is_split_for_the_log_and_whole_again_after_it_was_taken_away() {
    with_world(|mut world| {
        let all = range(0x10_0000, BLOCK);
        world.add(&slot(0x10_0000, BLOCK, 0x2_0000)).unwrap();
        world.access(0x10_0000, true).unwrap();
        // Before it is protected, what is known is known of the block.
        assert_eq!(world.dirty(range(0x10_3000, 2 * PAGE)), [0x10_3000, 0x10_4000]);
        world.map.protect(world.memory, all).unwrap();
        world.access(0x10_5000, true).unwrap();
        assert_eq!(world.dirty(all).len(), 14);
        world.map.unmap(world.memory, all).unwrap();
        world.memory.invalidated();
        world.access(0x10_0000, false).unwrap();
        assert!(world.memory.access(world.map.upper(), 0x10_f000, false).is_ok(), "one block again");
    });
}

/// Thousands of operations in random order, against a model that knows pages only.
#[test]
fn whatever_is_done_no_store_is_lost_and_no_table() {
    for seed in 1..=20 {
        with_world(|mut world| {
            let mut random = Random(seed);
            let empty = world.left();
            // Hosts that align, that do not, and whose pages lie the wrong way round.
            let choices = [
                slot(0x10_0000, 2 * BLOCK, 0x10_0000),
                slot(0x1f_e000, 3 * BLOCK, 0x20_1000),
                Slot { writable: Writable::No, ..slot(0x40_0000, BLOCK, 0x30_0000) },
                slot(0x80_3000, 5 * PAGE, 0x8000_0000),
            ];
            let (mut stored, mut touched) = (BTreeSet::new(), BTreeSet::new());
            for _ in 0..3000 {
                let slot = choices[usize::try_from(random.below(4)).unwrap()];
                let present = world.map.slots().contains(&slot);
                let pages = slot.guest.bytes() / PAGE;
                let first = random.below(pages);
                let count = 1 + random.below((pages - first).min(20));
                let start = slot.guest.start().value() + first * PAGE;
                let part = range(start, count * PAGE);
                let inside = |page: &u64| part.contains(GuestPa::new(*page));
                match random.below(16) {
                    0 if present => {
                        world.map.remove_slot(world.memory, slot.guest).unwrap();
                        stored.retain(|page| !slot.guest.contains(GuestPa::new(*page)));
                        touched.retain(|page| !slot.guest.contains(GuestPa::new(*page)));
                    }
                    0 | 1 if !present => world.add(&slot).unwrap(),
                    2 => world.map.protect(world.memory, part).unwrap(),
                    3 => {
                        world.map.unmap(world.memory, part).unwrap();
                        // Blocks go as a whole, and their age with them.
                        touched.retain(|page| !part.overlaps(range(page & !(BLOCK - 1), BLOCK)));
                    }
                    4 => {
                        let age = world.map.age(world.memory, part).unwrap();
                        assert!(age == Age::Young || !touched.iter().any(inside), "seed {seed}: {part:?}");
                        touched.retain(|page| !inside(page));
                        assert_eq!(world.map.age(world.memory, part), Ok(Age::Old), "seed {seed}");
                    }
                    5 | 6 => {
                        let reported = world.dirty(part);
                        assert!(reported.iter().all(inside), "seed {seed}: {part:?}");
                        let due: Vec<u64> = stored.iter().copied().filter(inside).collect();
                        assert!(due.iter().all(|page| reported.contains(page)), "seed {seed}: {part:?}");
                        stored.retain(|page| !inside(page));
                        assert_eq!(world.dirty(part), [], "seed {seed}");
                    }
                    choice => {
                        let (store, offset) = (choice & 1 == 0, random.below(512) << 3);
                        let got = world.access(start + offset, store);
                        let allowed = present && (!store || slot.writable == Writable::Yes);
                        let place = slot.host.value() + first * PAGE;
                        let there =
                            if place < 0x8000_0000 { place } else { 0x8fff_f000 - (place & 0xfff_f000) };
                        assert_eq!(got, allowed.then_some(there + offset), "seed {seed}: {start:#x}");
                        if allowed {
                            touched.insert(start);
                        }
                        if allowed && store {
                            stored.insert(start);
                        }
                    }
                }
            }
            for slot in world.map.slots().to_vec() {
                world.map.remove_slot(world.memory, slot.guest).unwrap();
            }
            assert_eq!(world.left(), empty, "seed {seed}: tables leaked");
        });
    }
}
