//! Tables change under running vCPUs, and no store is lost from the log.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod common;

use common::a64::*;
use common::*;
use s390_arch::{Absolute, AbsoluteStorage};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
use xarch_abi::{Backend, BackendVcpu, GuestRange, Outcome, RegId, Registers, VcpuIndex, Writable};

const VCPUS: u16 = 4;
const ROUNDS: u64 = 12;
/// What the guests store to: 4 MiB from here, behind the segment of their code.
const TARGET: u64 = RAM + (1 << 20);
const TARGET_BYTES: u64 = 4 << 20;
const PAGE: u64 = 0x1000;

/// Stores an ever-changing number at ever-changing places of the target, and counts in X6.
fn hammer(seed: u64) -> Vec<u32> {
    [
        &mov(0, TARGET)[..],
        &mov(1, TARGET_BYTES - 8),
        &mov(2, seed),
        // A full-period generator; the places come from its upper bits.
        &mov(4, 0x5851_f42d_4c95),
        &mov(5, 0x1405_7b7e_f767),
        &[madd(2, 2, 4, 5), lsr(3, 2, 24), and(3, 3, 1), str_indexed(2, 0, 3), add_imm(6, 6, 1), b(-5)],
    ]
    .concat()
}

fn pages() -> impl Iterator<Item = u64> {
    (TARGET..TARGET + TARGET_BYTES).step_by(0x1000)
}

/// Random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }

    /// Some pages of the target, or whole segments.
    fn part(&mut self) -> GuestRange {
        if self.below(2) == 0 {
            let first = self.below(4);
            return range(TARGET + (first << 20), (1 + self.below(4 - first)) << 20);
        }
        let first = self.below(TARGET_BYTES / PAGE);
        let count = 1 + self.below((TARGET_BYTES / PAGE - first).min(300));
        range(TARGET + first * PAGE, count * PAGE)
    }
}

/// What every page held when the log was last told to forget it.
struct Known(Vec<Vec<u8>>);

fn content(parts: &Parts<'_>, page: u64) -> Vec<u8> {
    let mut bytes = vec![0; 0x1000];
    parts.storage.read_bytes(Absolute::new(page - RAM + HOST_RAM), &mut bytes).unwrap();
    bytes
}

impl Known {
    fn of(parts: &Parts<'_>) -> Self {
        Self(pages().map(|page| content(parts, page)).collect())
    }

    fn place(page: u64) -> usize {
        usize::try_from((page - TARGET) / PAGE).unwrap()
    }

    /// Collects, and takes the pages that were reported as they are after that: any later store has to be reported
    /// again.
    fn collect(&mut self, vm: &HostVm<'_>, parts: &Parts<'_>, asked: GuestRange) -> BTreeSet<u64> {
        let mut reported = BTreeSet::new();
        vm.collect_dirty(asked, |page| assert!(reported.insert(page.value()), "{page} is reported twice"))
            .unwrap();
        for page in &reported {
            assert!(asked.contains(xarch_abi::GuestPa::new(*page)), "{page:#x} was not asked for");
            self.0[Self::place(*page)] = content(parts, *page);
        }
        reported
    }

    /// Nobody runs: what the last collection did not report must be as it was known.
    fn check(&mut self, vm: &HostVm<'_>, parts: &Parts<'_>, round: u64) -> usize {
        let before = Self(self.0.clone());
        let reported = self.collect(vm, parts, range(TARGET, TARGET_BYTES));
        for page in pages() {
            let known = &before.0[Self::place(page)];
            if !reported.contains(&page) {
                assert!(*known == content(parts, page), "round {round}: a store to {page:#x} is lost");
            }
        }
        reported.len()
    }
}

/// Threads of vCPUs that run in rounds, in step with the test.
fn in_rounds(
    setup: Setup,
    program: impl Fn(u16) -> Vec<u32>,
    round: impl FnMut(u64, &HostVm<'_>, &Parts<'_>, &dyn Fn(), &dyn Fn()),
    rounds: u64,
) -> Vec<u64> {
    let mut round = round;
    with_rig(setup, |rig| {
        for vcpu in 0..VCPUS {
            rig.load(RAM + u64::from(vcpu) * PAGE, &program(vcpu));
        }
        let (vm, parts) = rig.split();
        let seats: Vec<_> = (0..VCPUS).map(|n| (parts.seat(n), RAM + u64::from(n) * PAGE)).collect();
        let (start, stop) = (Barrier::new(usize::from(VCPUS) + 1), Barrier::new(usize::from(VCPUS) + 1));
        let over = AtomicBool::new(false);
        let (parts, vm) = (&parts, &vm);
        thread::scope(|scope| {
            let runners: Vec<_> = seats
                .into_iter()
                .map(|(seat, pc)| {
                    let (start, stop, over) = (&start, &stop, &over);
                    scope.spawn(move || {
                        let mut vcpu = seat.vcpu(vm, pc);
                        loop {
                            start.wait();
                            if over.load(SeqCst) {
                                return vcpu.read(RegId::general(6)).unwrap();
                            }
                            let outcome = vcpu.run(&mut TestGuest::new(), &parts.platform);
                            assert_eq!(outcome, Outcome::Interrupted);
                            stop.wait();
                        }
                    })
                })
                .collect();
            for number in 0..rounds {
                let halt = || {
                    (0..VCPUS).for_each(|n| vm.request_exit(VcpuIndex(n)));
                    stop.wait();
                };
                let go = || {
                    start.wait();
                };
                round(number, vm, parts, &go, &halt);
            }
            over.store(true, SeqCst);
            start.wait();
            runners.into_iter().map(|runner| runner.join().unwrap()).collect()
        })
    })
}

fn setup(ram: u64) -> Setup {
    Setup { vcpus: VCPUS, ram, ..Setup::default() }
}

#[test]
fn no_store_is_lost_from_the_log_while_the_tables_change_under_four_vcpus() {
    let mut random = Random(1);
    let mut known = None;
    let (mut collected, mut in_the_end) = (0, 0);
    let stores = in_rounds(
        setup(8 << 20),
        |vcpu| hammer(u64::from(vcpu) * 0x1234_5677 + 1),
        |number, vm, parts, go, halt| {
            let known = known.get_or_insert_with(|| Known::of(parts));
            // Every third round begins with large frames.
            if number % 3 == 0 {
                vm.unmap(range(TARGET, TARGET_BYTES)).unwrap();
            }
            go();
            for _ in 0..16 {
                let part = random.part();
                match random.below(6) {
                    0 => vm.protect(part).unwrap(),
                    1 => drop(vm.age(part).unwrap()),
                    2 => vm.unmap(part).unwrap(),
                    3 => thread::sleep(Duration::from_micros(500)),
                    _ => collected += known.collect(vm, parts, part).len(),
                }
            }
            halt();
            in_the_end += known.check(vm, parts, number);
        },
        ROUNDS,
    );
    assert!(stores.iter().all(|count| *count > 1000), "the guests hardly ran: {stores:?}");
    // Both ways of reporting were at work.
    assert!(collected > 100 && in_the_end > 100, "{collected} {in_the_end}");
}

/// Once `unmap` or `remove_slot` has returned, nobody stores to the frames any more: the host may use them for
/// something else.
#[test]
fn frames_are_the_host_s_again_when_their_mapping_or_slot_is_gone() {
    let slots = [
        slot(TARGET, TARGET_BYTES, HOST_RAM + (TARGET - RAM), Writable::Yes),
        slot(TARGET, TARGET_BYTES, HOST_RAM + (TARGET - RAM) + (8 << 20), Writable::Yes),
    ];
    in_rounds(
        setup(16 << 20),
        |vcpu| hammer(u64::from(vcpu) * 0x7654_3211 + 1),
        |number, vm, parts, go, halt| {
            if number == 0 {
                // RAM as code, and the target as a slot of its own.
                vm.remove_slot(range(RAM, 16 << 20)).unwrap();
                let code = slot(RAM, TARGET - RAM, HOST_RAM, Writable::Yes);
                vm.add_slot(&code).unwrap();
                vm.add_slot(&slots[0]).unwrap();
                *parts.platform.slots.lock().unwrap() = vec![code, slots[0]];
            }
            let host = |n: u64, page: u64| {
                Absolute::new(slots[usize::try_from(n).unwrap()].host.value() + page * PAGE)
            };
            let sample = |n: u64| -> Vec<[u8; 8]> {
                (0..TARGET_BYTES / PAGE * 4)
                    .map(|quarter| {
                        let at = host(n, quarter / 4).bits() + quarter % 4 * 0x400;
                        parts.storage.load(Absolute::new(at)).unwrap()
                    })
                    .collect()
            };
            let (old, new) = (number % 2, 1 - number % 2);
            go();
            thread::sleep(Duration::from_millis(2));
            // The platform knows of the new slot only when it is there: guests that fault in between see no slot. Here
            // the slots have the same guest range, so that the answer is the old one, which no longer counts.
            halt();
            vm.remove_slot(slots[usize::try_from(old).unwrap()].guest).unwrap();
            vm.add_slot(&slots[usize::try_from(new).unwrap()]).unwrap();
            parts.platform.slots.lock().unwrap()[1] = slots[usize::try_from(new).unwrap()];
            go();
            thread::sleep(Duration::from_millis(2));
            let before = sample(old);
            thread::sleep(Duration::from_millis(4));
            assert!(sample(old) == before, "round {number}: a frame is stored to after its slot is gone");
            // While they run, the mapping goes and comes: what is stored must be in the frames of the slot.
            vm.unmap(slots[usize::try_from(new).unwrap()].guest).unwrap();
            halt();
        },
        6,
    );
}

#[test]
fn vcpus_see_each_other_s_stores_and_atomics_while_pages_come_and_go() {
    // LDADDAL X1, X2, [X0] (FEAT_LSE), 20,000 times on one doubleword by four vCPUs, then HVC #0.
    const TIMES: u64 = 20_000;
    let ldaddal = 0xf8e1_0002;
    with_rig(setup(4 << 20), |rig| {
        let program = [
            &mov(0, TARGET)[..],
            &mov(1, 1),
            &mov(3, TIMES),
            &[ldaddal, sub_imm(3, 3, 1), cbnz(3, -2), hvc(0)],
        ]
        .concat();
        rig.load(RAM, &program);
        let (vm, parts) = rig.split();
        let seats: Vec<_> = (0..VCPUS).map(|n| parts.seat(n)).collect();
        let (parts, vm) = (&parts, &vm);
        let left = std::sync::atomic::AtomicU16::new(VCPUS);
        thread::scope(|scope| {
            for seat in seats {
                let left = &left;
                scope.spawn(move || {
                    let mut vcpu = seat.vcpu(vm, RAM);
                    assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
                    left.fetch_sub(1, SeqCst);
                });
            }
            let page = range(TARGET, PAGE);
            while left.load(SeqCst) != 0 {
                vm.protect(page).unwrap();
                let _ = vm.age(page).unwrap();
                vm.unmap(page).unwrap();
                thread::yield_now();
            }
        });
        assert_eq!(parts.peek(TARGET), TIMES * u64::from(VCPUS));
    });
}
