//! Requests to leave the guest.

use crate::bench::Bench;
use crate::program::Step;
use crate::report::{Checked, ensure};
use crate::stage::{FIRST, Scene, Stage};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{AccessSize, Exit, Next, Outcome, Registers, StopReason, VcpuIndex};

const OFF: Outcome = Outcome::Stopped(StopReason::PowerOff);

fn store(stage: &Stage<'_>) -> Step {
    Step::Store { at: stage.word(0), value: 1, size: AccessSize::Double }
}

/// A guest that is busy until the word 1 is set.
fn busy(stage: &Stage<'_>) -> [Step; 2] {
    let count = Step::Count {
        counter: stage.word(2),
        flag: stage.word(1),
        total: stage.word(3),
        limit: 0x7fff_ffff_ffff,
    };
    [count, Step::PowerOff]
}

pub(crate) fn sticky(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_cpu(&bench, &[store(stage), Step::PowerOff], |scene, cpu| {
        for _ in 0..3 {
            scene.vm.services().request_exit(FIRST);
            let seen = cpu.run(scene.bench);
            ensure!(seen == Outcome::Interrupted, "a request came before the run, which ended with {seen:?}");
            scene.expect(0, 0, "a store of a guest that was not to be entered")?;
        }
        Ok(())
    })
}

pub(crate) fn used_up(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_cpu(&bench, &[store(stage), Step::PowerOff], |scene, cpu| {
        scene.vm.services().request_exit(FIRST);
        let first = cpu.run(scene.bench);
        // Where the first run was not ended, it is `kick-is-sticky` that says so.
        let second = if first == OFF { OFF } else { cpu.run(scene.bench) };
        ensure!(second == OFF, "one request ended a run with {first:?}, and the next one with {second:?}");
        scene.expect(0, 1, "the store of the guest")
    })
}

pub(crate) fn has_its_vcpu(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    let vcpus = stage.facts.vcpus.min(2);
    stage.with_vm(vcpus, &bench, &[store(stage), Step::PowerOff], |scene| {
        scene.with_cpu(FIRST, |cpu| {
            for other in [1, vcpus, 64, u16::MAX] {
                scene.vm.services().request_exit(VcpuIndex(other));
            }
            let seen = cpu.run(scene.bench);
            ensure!(seen == OFF, "requests for others ended a run with {seen:?}");
            Ok(())
        })
    })
}

pub(crate) fn from_a_callback(stage: &Stage<'_>) -> Checked {
    let is_asked = AtomicU64::new(0);
    let program = [Step::Trap, store(stage), Step::PowerOff];
    stage.with_vm(1, &Bench::default(), &program, |scene| {
        let services = scene.vm.services();
        let on_exit = |_: &mut dyn Registers, exit: &Exit, _: Next| {
            if matches!(exit, Exit::Trap(_)) && is_asked.fetch_add(1, SeqCst) == 0 {
                services.request_exit(FIRST);
            }
            None
        };
        let bench = Bench::default().on_exit(&on_exit);
        let scene = scene.seen_by(&bench);
        scene.with_cpu(FIRST, |cpu| {
            Scene::needs_guest_side(cpu)?;
            let seen = cpu.run(scene.bench);
            ensure!(
                seen == Outcome::Interrupted,
                "a request came from on_exit, and the run ended with {seen:?}"
            );
            scene.expect(0, 0, "a store behind the exit")?;
            let seen = cpu.run(scene.bench);
            ensure!(seen == OFF, "the run after it ended with {seen:?}");
            scene.expect(0, 1, "a store behind the exit")
        })
    })
}

pub(crate) fn ends_an_entry(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_vm(1, &bench, &busy(stage), |scene| {
        scene.race(1, |race| {
            race.see_progress(stage.word(2))?;
            scene.vm.services().request_exit(FIRST);
            let has_ended = || race.runs.load(SeqCst) > 0 || race.has_ended();
            ensure!(stage.wait_for(has_ended), "a request did not end the entry of a guest that is busy");
            Ok(())
        })
    })
}

pub(crate) fn never_lost(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    let rounds = u64::from(stage.facts.rounds);
    stage.with_vm(1, &bench, &busy(stage), |scene| {
        scene.race(1, |race| {
            race.see_progress(stage.word(2))?;
            for kick in 0..rounds {
                // Now and then the guest gets some time, so that the kick finds it at work.
                if kick & 7 == 0 {
                    stage.sleep(50_000);
                }
                let before = race.runs.load(SeqCst);
                scene.vm.services().request_exit(FIRST);
                let has_ended = || race.runs.load(SeqCst) > before || race.has_ended();
                ensure!(stage.wait_for(has_ended), "of {rounds} requests the one after {kick} ended no run");
            }
            Ok(())
        })
    })
}
