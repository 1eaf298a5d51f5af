//! The order between back end and guest side.

use crate::bench::Bench;
use crate::host::Cpu;
use crate::program::Step;
use crate::report::{Checked, ensure};
use crate::stage::{FIRST, Scene, Stage};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{
    AccessSize, Deadline, DeviceAccess, DeviceOperation, Exit, Next, Outcome, RegId, Registers, StopReason,
    Token,
};

fn store(stage: &Stage<'_>, number: u64) -> Step {
    Step::Store { at: stage.word(number), value: number.wrapping_add(1), size: AccessSize::Double }
}

/// A program in which everything happens at least once: faults of both slots, traps, device accesses.
fn everything(stage: &Stage<'_>) -> [Step; 8] {
    let size = AccessSize::Word;
    [
        store(stage, 0),
        Step::Trap,
        Step::Store { at: stage.data(0), value: 1, size },
        Step::Copy { from: stage.facts.device, to: stage.data(1 << 20), size },
        Step::Trap,
        Step::Store { at: stage.facts.device, value: 1, size },
        store(stage, 1),
        Step::PowerOff,
    ]
}

/// Runs it, and asks what was seen.
fn after_everything(stage: &Stage<'_>, was_seen: impl Fn(&Bench<'_>) -> Checked) -> Checked {
    let bench = Bench::default();
    stage.with_cpu(&bench, &everything(stage), |scene, cpu| {
        Scene::needs_guest_side(cpu)?;
        let finished = scene.finish(cpu);
        // What went wrong on the way says more than where it ended.
        was_seen(scene.bench)?;
        finished?;
        let entries = scene.bench.order.entries.load(SeqCst);
        ensure!(
            entries >= 4,
            "before_entry was called {entries} times for two traps and two device accesses"
        );
        Ok(())
    })
}

pub(crate) fn asked(stage: &Stage<'_>) -> Checked {
    after_everything(stage, |bench| bench.order.is_kept())
}

pub(crate) fn injects_nothing(stage: &Stage<'_>) -> Checked {
    after_everything(stage, |bench| bench.order.is_untouched())
}

pub(crate) fn traced(stage: &Stage<'_>) -> Checked {
    after_everything(stage, |bench| bench.order.is_traced())
}

pub(crate) fn trap_once(stage: &Stage<'_>) -> Checked {
    let traps = AtomicU64::new(0);
    let on_exit = |_: &mut dyn Registers, exit: &Exit, next: Next| {
        // The one that turns the machine off may be a trap too.
        let counts = matches!(exit, Exit::Trap(_)) && next == Next::Resume;
        traps.fetch_add(u64::from(counts), SeqCst);
        None
    };
    let bench = Bench::default().on_exit(&on_exit);
    let program = [
        Step::Trap,
        store(stage, 0),
        Step::Trap,
        Step::Trap,
        store(stage, 1),
        store(stage, 2),
        Step::PowerOff,
    ];
    stage.with_cpu(&bench, &program, |scene, cpu| {
        scene.finish(cpu)?;
        for number in 0..3 {
            scene.expect(number, number.wrapping_add(1), "what the program stores around traps")?;
        }
        if Scene::needs_guest_side(cpu).is_ok() {
            let traps = traps.load(SeqCst);
            ensure!(traps == 3, "3 traps were reported {traps} times");
        }
        Ok(())
    })
}

/// Decisions that end a run, and how.
fn endings(stage: &Stage<'_>) -> [(Next, Outcome); 4] {
    let deadline = Some(Deadline { counter: 0x1234_5678_9abc, nanoseconds: 987_654_321 });
    let access = DeviceAccess {
        address: stage.facts.device,
        size: AccessSize::Half,
        operation: DeviceOperation::Write(0xbeef),
    };
    [
        (Next::Wait { deadline }, Outcome::Wait { deadline }),
        (Next::Wait { deadline: None }, Outcome::Wait { deadline: None }),
        (Next::Stop(StopReason::Suspend), Outcome::Stopped(StopReason::Suspend)),
        (Next::Device(access, Token(0x77)), Outcome::Device(access, Token(0x77))),
    ]
}

pub(crate) fn obeyed(stage: &Stage<'_>) -> Checked {
    for (decision, want) in endings(stage) {
        let turns = AtomicU64::new(0);
        let on_entry = |_: &mut dyn Registers| (turns.fetch_add(1, SeqCst) == 0).then_some(decision);
        let never = |_: &DeviceAccess| None;
        let bench = Bench::default().on_entry(&on_entry).on_device(&never);
        stage.with_cpu(&bench, &[store(stage, 0), Step::PowerOff], |scene, cpu| {
            Scene::needs_guest_side(cpu)?;
            let seen = cpu.run(scene.bench);
            scene.bench.order.is_obeyed()?;
            ensure!(seen == want, "before_entry said {decision:?} and the run ended with {seen:?}");
            scene.expect(0, 0, "a store of a guest that was not to be entered")?;
            scene.finish(cpu)?;
            scene.expect(0, 1, "a store of the guest when it was entered")
        })?;
    }
    Ok(())
}

pub(crate) fn decision_is_outcome(stage: &Stage<'_>) -> Checked {
    for (decision, want) in endings(stage) {
        let on_exit =
            |_: &mut dyn Registers, exit: &Exit, _: Next| matches!(exit, Exit::Trap(_)).then_some(decision);
        let never = |_: &DeviceAccess| None;
        let bench = Bench::default().on_exit(&on_exit).on_device(&never);
        let program = [store(stage, 0), Step::Trap, store(stage, 1), Step::PowerOff];
        stage.with_cpu(&bench, &program, |scene, cpu| {
            Scene::needs_guest_side(cpu)?;
            let seen = cpu.run(scene.bench);
            ensure!(seen == want, "the guest side said {decision:?} and the run ended with {seen:?}");
            scene.expect(0, 1, "a store before the trap")?;
            scene.expect(1, 0, "a store after a trap that ended the run")
        })?;
    }
    Ok(())
}

pub(crate) fn observe_once(stage: &Stage<'_>) -> Checked {
    let traps = AtomicU64::new(0);
    // The first trap ends the run with its effect pending.
    let on_exit = |_: &mut dyn Registers, exit: &Exit, _: Next| {
        let is_first = matches!(exit, Exit::Trap(_)) && traps.fetch_add(1, SeqCst) == 0;
        is_first.then_some(Next::Wait { deadline: None })
    };
    let bench = Bench::default().on_exit(&on_exit);
    let program = [store(stage, 0), Step::Trap, store(stage, 1), Step::PowerOff];
    stage.with_vm(1, &bench, &program, |scene| {
        scene.with_cpu(FIRST, |cpu| {
            Scene::needs_guest_side(cpu)?;
            let _ = cpu.run(scene.bench);
            let observe = |cpu: &mut dyn Cpu| {
                let observed = cpu.before_observe();
                (observed, cpu.registers().read(RegId::PC), cpu.registers().read(RegId::STATUS))
            };
            let (first, second) = (observe(cpu), observe(cpu));
            ensure!(first.0.is_ok() && first.1.is_ok(), "before_observe says {first:x?}");
            ensure!(first == second, "before_observe showed {first:x?}, and then {second:x?}");
            let entered_at = &scene.bench.order.entered_at;
            entered_at.store(0, SeqCst);
            scene.finish(cpu)?;
            let entered_at = entered_at.load(SeqCst);
            ensure!(
                first.1 == Ok(entered_at),
                "before_observe showed {:x?}, and the guest was entered at {entered_at:#x}",
                first.1
            );
            scene.expect(1, 2, "the store behind a trap that was observed")?;
            let traps = traps.load(SeqCst);
            // The program's own trap, and the one that may turn the machine off.
            ensure!(traps <= 2, "{traps} traps where the program has one");
            Ok(())
        })
    })
}
