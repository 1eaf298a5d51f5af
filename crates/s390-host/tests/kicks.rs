//! Kicks: none is lost, whenever it comes.
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
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};
use xarch_abi::{Backend, BackendVcpu, Exit, Outcome, RegId, Registers, VcpuIndex};

const VCPU: VcpuIndex = VcpuIndex(0);
/// Far longer than anything here takes.
const TOO_LONG: Duration = Duration::from_secs(30);

#[test]
fn a_kick_before_the_entry_ends_it_before_the_guest_has_done_anything() {
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[add_imm(0, 0, 1), hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let mut guest = TestGuest::new();
        for _ in 0..3 {
            vm.request_exit(VCPU);
            vm.request_exit(VCPU);
            assert_eq!(vcpu.run(&mut guest, &parts.platform), Outcome::Interrupted);
            assert_eq!(vcpu.read(RegId::PC), Ok(RAM));
        }
        // What is left of the kicks at the machine is a spurious end at most; the run comes to its own end.
        assert_eq!(vcpu.run(&mut guest, &parts.platform), POWER_OFF);
        assert_eq!(vcpu.read(RegId::general(0)), Ok(1));
        assert!(guest.seen.iter().filter(|exit| **exit == Exit::Spurious).count() <= 1, "{:?}", guest.seen);
    });
}

#[test]
fn a_kick_from_the_guest_side_ends_the_run_too() {
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[hvc(1), add_imm(0, 0, 1), hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let mut guest = TestGuest::on_exit(|_, exit| {
            if matches!(exit, Exit::Trap(trap) if trap.syndrome == 0x5a00_0001) {
                vm.request_exit(VCPU);
            }
            usual(exit)
        });
        assert_eq!(vcpu.run(&mut guest, &parts.platform), Outcome::Interrupted);
        assert_eq!(vcpu.read(RegId::general(0)), Ok(0));
        assert_eq!(vcpu.run(&mut guest, &parts.platform), POWER_OFF);
    });
}

#[test]
fn kicks_of_one_vcpu_do_not_touch_another() {
    with_rig(Setup { vcpus: 2, ..Setup::default() }, |rig| {
        rig.load(RAM, &[hvc(0)]);
        let (vm, parts) = rig.split();
        let mut second = parts.vcpu(&vm, 1, RAM);
        vm.request_exit(VCPU);
        vm.request_exit(VcpuIndex(2));
        vm.request_exit(VcpuIndex(u16::MAX));
        let mut guest = TestGuest::new();
        assert_eq!(second.run(&mut guest, &parts.platform), POWER_OFF);
        assert!(!guest.seen.contains(&Exit::Spurious));
    });
}

/// One kick after the other into a guest that loops, each sent when the last has ended a run: if one were lost, nothing
/// would ever end the run.
#[test]
fn every_kick_into_a_busy_loop_ends_a_run() {
    const KICKS: u64 = 500;
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[add_imm(0, 0, 1), b(-1)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let (ended, stuck) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for kick in 0..KICKS {
                    let sent = Instant::now();
                    vm.request_exit(VCPU);
                    while ended.load(SeqCst) == kick {
                        if sent.elapsed() > TOO_LONG {
                            stuck.store(true, SeqCst);
                            // Ends the run, unless the machine does not listen any more.
                            vm.request_exit(VCPU);
                            return;
                        }
                        thread::yield_now();
                    }
                    // Now and then the guest gets some time, so that the kick finds it at work.
                    if kick % 16 == 0 {
                        thread::sleep(Duration::from_micros(200));
                    }
                }
            });
            while ended.load(SeqCst) < KICKS && !stuck.load(SeqCst) {
                assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), Outcome::Interrupted);
                ended.fetch_add(1, SeqCst);
            }
        });
        assert!(!stuck.load(SeqCst), "kick {} was lost", ended.load(SeqCst));
        assert!(vcpu.read(RegId::general(0)).unwrap() > 0, "the guest never ran");
    });
}

#[test]
fn kicks_from_many_threads_at_once_are_all_answered() {
    const THREADS: u64 = 4;
    const KICKS: u64 = 500;
    with_rig(Setup { vcpus: 2, ..Setup::default() }, |rig| {
        rig.load(RAM, &[hvc(1), b(-1)]);
        let (vm, parts) = rig.split();
        let seats = [parts.seat(0), parts.seat(1)];
        let (done, platform) = (AtomicU64::new(0), &parts.platform);
        let finished = || done.load(SeqCst) == THREADS;
        let runs = thread::scope(|scope| {
            for thread in 0..THREADS {
                let (vm, done) = (&vm, &done);
                scope.spawn(move || {
                    for kick in 0..KICKS {
                        vm.request_exit(VcpuIndex(u16::try_from((thread + kick) % 2).unwrap()));
                        thread::yield_now();
                    }
                    done.fetch_add(1, SeqCst);
                });
            }
            let runners: Vec<_> = seats
                .into_iter()
                .map(|seat| {
                    let vm = &vm;
                    scope.spawn(move || {
                        let mut vcpu = seat.vcpu(vm, RAM);
                        let mut runs = 0_u64;
                        // Once in any case: all kicks may have come by now, and one of them is owed.
                        loop {
                            let outcome = vcpu.run(&mut TestGuest::new(), platform);
                            assert_eq!(outcome, Outcome::Interrupted);
                            runs += 1;
                            if finished() {
                                break runs;
                            }
                        }
                    })
                })
                .collect();
            // The last kicks may have ended the last runs before all was done: one more for each, which they owe.
            while !finished() {
                thread::yield_now();
            }
            vm.request_exit(VcpuIndex(0));
            vm.request_exit(VcpuIndex(1));
            runners.into_iter().map(|runner| runner.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(runs.iter().all(|runs| (1..=KICKS * THREADS / 2 + 1).contains(runs)), "{runs:?}");
    });
}
