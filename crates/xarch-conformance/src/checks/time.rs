//! Timers and waiting.

use crate::bench::Bench;
use crate::program::Step;
use crate::report::{Checked, broken, ensure};
use crate::stage::{FIRST, Scene, Stage};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{AccessSize, Exit, Next, Outcome, Registers};

/// Long enough to be still to come after some steps, wherever this runs.
const FAR: u64 = 3_000_000_000;
const NEAR: u64 = 20_000_000;

fn store(stage: &Stage<'_>) -> Step {
    Step::Store { at: stage.word(0), value: 1, size: AccessSize::Double }
}

pub(crate) fn ends_an_entry(stage: &Stage<'_>) -> Checked {
    let (start, came, after) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let now = || stage.host.nanoseconds();
    let on_exit = |_: &mut dyn Registers, exit: &Exit, _: Next| {
        if matches!(exit, Exit::Timer(_)) && came.fetch_add(1, SeqCst) == 0 {
            after.store(now().wrapping_sub(start.load(SeqCst)), SeqCst);
        }
        None
    };
    let bench = Bench::default().on_exit(&on_exit);
    let count = Step::Count {
        counter: stage.word(2),
        flag: stage.word(1),
        total: stage.word(3),
        limit: 0x7fff_ffff_ffff,
    };
    let program = [Step::Timer { nanoseconds: NEAR }, count, Step::PowerOff];
    stage.with_vm(1, &bench, &program, |scene| {
        scene.with_cpu(FIRST, |cpu| Scene::needs_guest_side(cpu))?;
        start.store(now(), SeqCst);
        scene.race(1, |race| {
            race.see_progress(stage.word(2))?;
            stage.wait_for(|| came.load(SeqCst) != 0 || race.has_ended());
            Ok(())
        })?;
        ensure!(came.load(SeqCst) != 0, "a timer that came due was not reported to the guest side");
        let after = after.load(SeqCst);
        ensure!(after >= NEAR, "a timer of {NEAR} ns was reported {after} ns after the program began");
        Ok(())
    })
}

/// Runs to a wait.
fn wait(scene: &Scene<'_, '_>, cpu: &mut dyn crate::host::Cpu) -> Result<Option<u64>, crate::report::Ended> {
    for _ in 0..8 {
        match cpu.run(scene.bench) {
            Outcome::Wait { deadline } => return Ok(deadline.map(|deadline| deadline.nanoseconds)),
            Outcome::Interrupted => {}
            other @ (Outcome::Device(..) | Outcome::Stopped(_)) => {
                broken!("the guest was to wait, and the run ended with {other:?}")
            }
        }
    }
    broken!("runs are interrupted although nobody asks for it")
}

pub(crate) fn has_its_deadline(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    let program = [Step::Timer { nanoseconds: FAR }, Step::Wait, store(stage), Step::PowerOff];
    stage.with_cpu(&bench, &program, |scene, cpu| {
        let start = stage.host.nanoseconds();
        let deadline = wait(scene, cpu)?;
        let spent = stage.host.nanoseconds().wrapping_sub(start);
        let Some(left) = deadline else { broken!("a timer is armed and the wait has no deadline") };
        ensure!(left <= FAR, "a timer of {FAR} ns is due in {left} ns");
        // A timer starts when the program arms it, at the earliest when the run began. Clocks may tick coarsely.
        let least = FAR.saturating_sub(spent).saturating_sub(1_000);
        ensure!(left >= least, "{spent} ns after the start a timer of {FAR} ns is due in {left} ns");
        scene.expect(0, 0, "a store behind a wait that is not over")
    })
}

pub(crate) fn without_a_timer(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_cpu(&bench, &[Step::Wait, store(stage), Step::PowerOff], |scene, cpu| {
        let deadline = wait(scene, cpu)?;
        ensure!(deadline.is_none(), "no timer is armed, and the wait ends in {deadline:?} ns");
        Ok(())
    })
}

pub(crate) fn ends(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    let program = [Step::Timer { nanoseconds: NEAR }, Step::Wait, store(stage), Step::PowerOff];
    stage.with_cpu(&bench, &program, |scene, cpu| {
        // A slow machine may find the timer due before the guest waits: then there is no wait.
        let seen = cpu.run(scene.bench);
        match seen {
            Outcome::Wait { deadline } => stage.sleep(deadline.map_or(NEAR, |deadline| deadline.nanoseconds)),
            Outcome::Interrupted | Outcome::Device(..) | Outcome::Stopped(_) => {
                return scene.expect(0, 1, "the store");
            }
        }
        scene.finish(cpu)?;
        scene.expect(0, 1, "the store behind a wait that is over")
    })
}
