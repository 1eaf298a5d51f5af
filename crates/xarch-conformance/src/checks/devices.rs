//! Device accesses: answered at once, or later by token.

use crate::bench::Bench;
use crate::host::Cpu;
use crate::program::Step;
use crate::report::{Checked, Ended, broken, ensure};
use crate::stage::{Scene, Stage, offset};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{AccessSize, CompletionError, DeviceAccess, DeviceAnswer, DeviceOperation, Outcome, Token};

const ANSWER: u64 = 0xa1a2_a3a4_a5a6_a7a8;
const SIZES: [AccessSize; 4] = [AccessSize::Byte, AccessSize::Half, AccessSize::Word, AccessSize::Double];

fn never(_: &DeviceAccess) -> Option<DeviceAnswer> {
    None
}

pub(crate) fn at_once(stage: &Stage<'_>) -> Checked {
    for (size, number) in SIZES.into_iter().zip(0_u64..) {
        let at = offset(stage.facts.device, 0x40);
        let value = size.truncate(!ANSWER);
        let (reads, writes, stored) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let on_device = |access: &DeviceAccess| {
            if access.address != at || access.size != size {
                return Some(DeviceAnswer::Absent);
            }
            Some(match access.operation {
                DeviceOperation::Read => {
                    reads.fetch_add(1, SeqCst);
                    // What lies above the size may hold anything.
                    DeviceAnswer::Value(ANSWER)
                }
                DeviceOperation::Write(value) => {
                    writes.fetch_add(1, SeqCst);
                    stored.store(value, SeqCst);
                    DeviceAnswer::Done
                }
            })
        };
        let bench = Bench::default().on_device(&on_device);
        let program = [
            Step::Copy { from: at, to: stage.word(number), size },
            Step::Store { at, value, size },
            Step::PowerOff,
        ];
        stage.with_cpu(&bench, &program, |scene, cpu| {
            scene.finish(cpu)?;
            scene.expect(number, size.truncate(ANSWER), "what a device answered")?;
            let (reads, writes, stored) = (reads.load(SeqCst), writes.load(SeqCst), stored.load(SeqCst));
            ensure!((reads, writes) == (1, 1), "one load was asked {reads} times, one store {writes} times");
            ensure!(stored == value, "a store of {value:#x} reached the device as {stored:#x}");
            Ok(())
        })?;
    }
    Ok(())
}

/// Runs to an access that is not answered yet.
fn unanswered(scene: &Scene<'_, '_>, cpu: &mut dyn Cpu) -> Result<(DeviceAccess, Token), Ended> {
    for _ in 0..8 {
        match cpu.run(scene.bench) {
            Outcome::Device(access, token) => return Ok((access, token)),
            Outcome::Interrupted => {}
            other @ (Outcome::Wait { .. } | Outcome::Stopped(_)) => {
                broken!("a device that is not ready ends a run with {other:?}")
            }
        }
    }
    broken!("runs are interrupted although nobody asks for it")
}

/// A load, a store, and a load of which each waits for its answer.
fn program(stage: &Stage<'_>) -> [Step; 5] {
    let (at, size) = (stage.facts.device, AccessSize::Word);
    [
        Step::Copy { from: at, to: stage.word(0), size },
        Step::Store { at: offset(at, 4), value: 0x5678, size },
        Step::Copy { from: offset(at, 8), to: stage.word(1), size },
        Step::Store { at: stage.word(2), value: 1, size },
        Step::PowerOff,
    ]
}

pub(crate) fn later(stage: &Stage<'_>) -> Checked {
    let asked = AtomicU64::new(0);
    let on_device = |_: &DeviceAccess| {
        asked.fetch_add(1, SeqCst);
        None
    };
    let bench = Bench::default().on_device(&on_device);
    stage.with_cpu(&bench, &program(stage), |scene, cpu| {
        let size = AccessSize::Word;
        let accesses = [
            (0, DeviceOperation::Read, DeviceAnswer::Value(0x1_0000_1234)),
            (4, DeviceOperation::Write(0x5678), DeviceAnswer::Done),
            (8, DeviceOperation::Read, DeviceAnswer::Value(ANSWER)),
        ];
        for ((at, operation, answer), count) in accesses.into_iter().zip(1_u64..) {
            let want = DeviceAccess { address: offset(stage.facts.device, at), size, operation };
            let (seen, token) = unanswered(scene, cpu)?;
            ensure!(seen == want, "the program does {want:?}, and the run ended with {seen:?}");
            let done = cpu.complete(token, answer);
            ensure!(done.is_ok(), "a device's answer was refused: {done:?}");
            let asked = asked.load(SeqCst);
            ensure!(asked == count, "the device was asked {asked} times for {count} accesses");
        }
        scene.finish(cpu)?;
        scene.expect(0, 0x1234, "the answer that came later")?;
        scene.expect(1, 0xa5a6_a7a8, "the second answer that came later")?;
        scene.expect(2, 1, "the store behind")?;
        ensure!(asked.load(SeqCst) == 3, "the device was asked {} times for 3 accesses", asked.load(SeqCst));
        Ok(())
    })
}

pub(crate) fn offered_again(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    stage.with_cpu(&bench, &program(stage), |scene, cpu| {
        let first = unanswered(scene, cpu)?;
        for _ in 0..3 {
            let again = unanswered(scene, cpu)?;
            ensure!(again == first, "{first:?} was offered, and {again:?} is without an answer");
        }
        scene.expect(0, 0, "the register of a load without an answer")?;
        let done = cpu.complete(first.1, DeviceAnswer::Value(7));
        ensure!(done.is_ok(), "the answer was refused: {done:?}");
        let next = unanswered(scene, cpu)?;
        ensure!(next.0 != first.0, "{next:?} was answered and is offered again");
        scene.expect(0, 7, "the answer")
    })
}

pub(crate) fn token(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    stage.with_cpu(&bench, &program(stage), |scene, cpu| {
        let early = cpu.complete(Token(0), DeviceAnswer::Value(1));
        let want = Err(CompletionError::NotWaiting(Token(0)));
        ensure!(early == want, "an answer to nothing says {early:?}");
        let (_, token) = unanswered(scene, cpu)?;
        let wrong = Token(token.0.wrapping_add(1));
        let said = cpu.complete(wrong, DeviceAnswer::Value(0x666));
        ensure!(
            said == Err(CompletionError::NotWaiting(wrong)),
            "an answer with a wrong token says {said:?}"
        );
        let said = cpu.complete(token, DeviceAnswer::Value(0x42));
        ensure!(said.is_ok(), "the answer was refused: {said:?}");
        let said = cpu.complete(token, DeviceAnswer::Value(0x777));
        ensure!(said == Err(CompletionError::NotWaiting(token)), "a second answer says {said:?}");
        let (_, next) = unanswered(scene, cpu)?;
        ensure!(next != token, "two accesses that wait one after the other have the same token, {token:?}");
        scene.expect(0, 0x42, "the answer")
    })
}

pub(crate) fn fits(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    stage.with_cpu(&bench, &program(stage), |scene, cpu| {
        Scene::needs_guest_side(cpu)?;
        let (_, token) = unanswered(scene, cpu)?;
        let said = cpu.complete(token, DeviceAnswer::Done);
        ensure!(said == Err(CompletionError::Mismatch(token)), "Done to a load says {said:?}");
        let said = cpu.complete(token, DeviceAnswer::Value(9));
        ensure!(said.is_ok(), "the answer after one that did not fit was refused: {said:?}");
        let (_, token) = unanswered(scene, cpu)?;
        let said = cpu.complete(token, DeviceAnswer::Value(1));
        ensure!(said == Err(CompletionError::Mismatch(token)), "a value for a store says {said:?}");
        let said = cpu.complete(token, DeviceAnswer::Done);
        ensure!(said.is_ok(), "the answer after one that did not fit was refused: {said:?}");
        scene.expect(0, 9, "the answer")
    })
}
