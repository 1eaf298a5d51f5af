//! Registers by id.

use crate::bench::Bench;
use crate::host::Cpu;
use crate::program::Step;
use crate::report::{Checked, Ended, broken, ensure};
use crate::stage::{FIRST, Scene, Stage};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{Bank, Next, RegId, RegisterError, Registers, StopReason, VcpuIndex};

const PATTERNS: [u64; 6] = [0, u64::MAX, 0x0123_4567_89ab_cdef, 1 << 63, 0xffff_ffff_0000_0000, 0x8000_0001];
const WIDE: [u128; 4] =
    [0, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, 0x8000_0000_0000_0001_0000_0000_0000_0000];
/// Ids that nobody has: a bank of no meaning, and an index beyond every encoding in each bank that has one.
const NOBODYS: [RegId; 6] = [
    RegId { bank: Bank(0xfff0), index: 0 },
    RegId { bank: Bank::CORE, index: 0xffff_ff00 },
    RegId { bank: Bank::GENERAL, index: 0x0001_0001 },
    RegId { bank: Bank::VECTOR, index: 0x0001_0000 },
    RegId { bank: Bank::SYSTEM, index: 0xffff_fff1 },
    RegId { bank: Bank::CONTROL, index: 0xffff_fff0 },
];
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

fn on_cpu(stage: &Stage<'_>, mut then: impl FnMut(&Stage<'_>, &mut dyn Registers) -> Checked) -> Checked {
    let bench = Bench::default();
    stage.with_cpu(&bench, &[Step::PowerOff], |scene, cpu| then(&scene.stage, cpu.registers()))
}

/// A value that is another for each place.
fn value(place: u64) -> u64 {
    SEED.wrapping_mul(place.wrapping_add(1))
}

fn write(registers: &mut dyn Registers, id: RegId, value: u64) -> Checked {
    match registers.write(id, value) {
        Ok(()) => Ok(()),
        Err(error) => broken!("{id:?} does not take {value:#x}: {error}"),
    }
}

fn read(registers: &mut dyn Registers, id: RegId, want: u64) -> Checked {
    let seen = registers.read(id);
    ensure!(seen == Ok(want), "{id:?} was written as {want:#x} and reads {seen:x?}");
    Ok(())
}

fn some<T>(list: &[T]) -> Checked {
    if list.is_empty() { Err(Ended::NotApplicable("the facts name no such register")) } else { Ok(()) }
}

pub(crate) fn holds(stage: &Stage<'_>) -> Checked {
    some(stage.facts.plain)?;
    on_cpu(stage, |stage, registers| {
        for id in stage.facts.plain {
            for pattern in PATTERNS {
                write(registers, *id, pattern)?;
                read(registers, *id, pattern)?;
            }
        }
        fill(stage, registers)?;
        filled(stage, registers)
    })
}

/// Puts a value of its own into each register that takes one.
fn fill(stage: &Stage<'_>, registers: &mut dyn Registers) -> Checked {
    for (id, place) in stage.facts.plain.iter().zip(0..) {
        write(registers, *id, value(place))?;
    }
    for (id, place) in stage.facts.wide.iter().zip(1000..) {
        if let Err(error) = registers.write_wide(*id, wide_value(place)) {
            broken!("{id:?} does not take a wide value: {error}");
        }
    }
    Ok(())
}

fn wide_value(place: u64) -> u128 {
    u128::from(value(place)) << 64 | u128::from(value(!place))
}

fn filled(stage: &Stage<'_>, registers: &mut dyn Registers) -> Checked {
    for (id, place) in stage.facts.plain.iter().zip(0..) {
        read(registers, *id, value(place))?;
    }
    for (id, place) in stage.facts.wide.iter().zip(1000..) {
        let (seen, want) = (registers.read_wide(*id), wide_value(place));
        ensure!(seen == Ok(want), "{id:?} was written as {want:#x} and reads {seen:x?}");
    }
    Ok(())
}

pub(crate) fn unknown(stage: &Stage<'_>) -> Checked {
    on_cpu(stage, |stage, registers| {
        for id in NOBODYS.iter().chain(stage.facts.unknown) {
            let want = RegisterError::Unknown(*id);
            let seen = [
                registers.read(*id).map(|_| ()),
                registers.write(*id, 0),
                registers.read_wide(*id).map(|_| ()),
                registers.write_wide(*id, 0),
            ];
            for (seen, how) in seen.into_iter().zip(["read", "write", "read_wide", "write_wide"]) {
                ensure!(seen == Err(want), "{how} of {id:?}, which is no register, says {seen:?}");
            }
        }
        Ok(())
    })
}

pub(crate) fn read_only(stage: &Stage<'_>) -> Checked {
    some(stage.facts.read_only)?;
    on_cpu(stage, |stage, registers| {
        for id in stage.facts.read_only {
            let before = registers.read(*id);
            let Ok(there) = before else { broken!("{id:?} reads {before:?}") };
            let said = registers.write(*id, !there);
            ensure!(said == Err(RegisterError::ReadOnly(*id)), "a write of {id:?} says {said:?}");
            ensure!(registers.read(*id) == before, "{id:?} was {before:x?} and is not after a write");
        }
        Ok(())
    })
}

pub(crate) fn error_changes_nothing(stage: &Stage<'_>) -> Checked {
    some(stage.facts.plain)?;
    on_cpu(stage, |stage, registers| {
        let core = |registers: &mut dyn Registers| [registers.read(RegId::PC), registers.read(RegId::STATUS)];
        fill(stage, registers)?;
        let before = core(registers);
        for id in NOBODYS.iter().chain(stage.facts.unknown).chain(stage.facts.read_only) {
            let said = [registers.write(*id, SEED), registers.write_wide(*id, u128::from(SEED) << 32)];
            ensure!(said.iter().all(Result::is_err), "a write of {id:?} says {said:?}");
        }
        for id in stage.facts.plain {
            let said = registers.write_wide(*id, u128::from(SEED) << 64);
            ensure!(said.is_err(), "a write of 128 bits to {id:?} says {said:?}");
        }
        for (id, place) in stage.facts.wide.iter().zip(1000..) {
            // Where a narrow value is taken, nothing has failed.
            if registers.write(*id, SEED).is_ok() {
                let _ = registers.write_wide(*id, wide_value(place));
            }
        }
        ensure!(
            core(registers) == before,
            "writes that failed changed {before:x?} to {:x?}",
            core(registers)
        );
        filled(stage, registers)
    })
}

pub(crate) fn wide_is_whole(stage: &Stage<'_>) -> Checked {
    some(stage.facts.wide)?;
    on_cpu(stage, |stage, registers| {
        for id in stage.facts.wide {
            for pattern in WIDE {
                let said = registers.write_wide(*id, pattern);
                ensure!(said.is_ok(), "{id:?} does not take {pattern:#x}: {said:?}");
                let seen = registers.read_wide(*id);
                ensure!(seen == Ok(pattern), "{id:?} was written as {pattern:#x} and reads {seen:x?}");
            }
        }
        for (id, place) in stage.facts.plain.iter().zip(0..) {
            let said = registers.write_wide(*id, u128::from(value(place)));
            ensure!(said.is_ok(), "{id:?} does not take a value of 64 bits, written wide: {said:?}");
            let seen = registers.read_wide(*id);
            ensure!(seen == Ok(u128::from(value(place))), "{id:?} reads {seen:x?}, wide");
        }
        Ok(())
    })
}

pub(crate) fn is_not_cut(stage: &Stage<'_>) -> Checked {
    some(stage.facts.plain)?;
    on_cpu(stage, |stage, registers| {
        for id in stage.facts.plain {
            write(registers, *id, 1)?;
            let said = registers.write_wide(*id, 1 << 64);
            ensure!(said == Err(RegisterError::Wide(*id)), "a write of 2^64 to {id:?} says {said:?}");
            read(registers, *id, 1)?;
        }
        for id in stage.facts.wide {
            let whole = wide_value(7);
            let said = registers.write_wide(*id, whole);
            ensure!(said.is_ok(), "{id:?} does not take {whole:#x}: {said:?}");
            let seen = registers.read(*id);
            ensure!(
                seen == Err(RegisterError::Wide(*id)),
                "a narrow read of {id:?}, {whole:#x}, says {seen:x?}"
            );
            let said = registers.write(*id, SEED);
            let seen = registers.read_wide(*id);
            match said {
                Err(RegisterError::Wide(_)) if seen == Ok(whole) => {}
                Ok(()) if seen == Ok(u128::from(SEED)) => {}
                _ => broken!("a narrow write of {id:?} says {said:?} and leaves {seen:x?}"),
            }
        }
        Ok(())
    })
}

pub(crate) fn has_its_vcpu(stage: &Stage<'_>) -> Checked {
    some(stage.facts.plain)?;
    let bench = Bench::default();
    stage.with_vm(2, &bench, &[Step::PowerOff], |scene| {
        scene.with_cpu(FIRST, |first| {
            fill(stage, first.registers())?;
            scene.with_cpu(VcpuIndex(1), |second| {
                for id in stage.facts.plain {
                    write(second.registers(), *id, SEED)?;
                }
                Ok(())
            })?;
            filled(stage, first.registers())
        })
    })
}

pub(crate) fn is_the_same_inside(stage: &Stage<'_>) -> Checked {
    some(stage.facts.plain)?;
    // What a callback found wrong, as a place of `plain` and 1.
    let wrong = AtomicU64::new(0);
    let turns = AtomicU64::new(0);
    let on_entry = |registers: &mut dyn Registers| {
        let ids = stage.facts.plain.iter().zip(1_u64..);
        for (id, place) in ids {
            if registers.read(*id) != Ok(value(place)) || registers.write(*id, !value(place)).is_err() {
                let _ = wrong.compare_exchange(0, place, SeqCst, SeqCst);
            }
        }
        for (id, place) in stage.facts.wide.iter().zip(1_u64..) {
            if registers.read_wide(*id) != Ok(wide_value(place))
                || registers.write_wide(*id, !wide_value(place)).is_err()
                || registers.read_wide(*id) != Ok(!wide_value(place))
            {
                let _ = wrong.compare_exchange(0, 1000_u64.saturating_add(place), SeqCst, SeqCst);
            }
        }
        turns.fetch_add(1, SeqCst);
        Some(Next::Stop(StopReason::Host))
    };
    let bench = Bench::default().on_entry(&on_entry);
    stage.with_cpu(&bench, &[Step::PowerOff], |scene, cpu| {
        Scene::needs_guest_side(cpu)?;
        write_all(stage, cpu)?;
        let _ = cpu.run(scene.bench);
        ensure!(turns.load(SeqCst) == 1, "before_entry was called {} times", turns.load(SeqCst));
        let place = wrong.load(SeqCst);
        ensure!(
            place == 0,
            "register {place} of the facts was not in before_entry what was written before the run"
        );
        for (id, place) in stage.facts.plain.iter().zip(1_u64..) {
            read(cpu.registers(), *id, !value(place))?;
        }
        for (id, place) in stage.facts.wide.iter().zip(1_u64..) {
            let seen = cpu.registers().read_wide(*id);
            let want = !wide_value(place);
            ensure!(
                seen == Ok(want),
                "{id:?} was written as {want:#x} in a run and reads {seen:x?} after it"
            );
        }
        Ok(())
    })
}

fn write_all(stage: &Stage<'_>, cpu: &mut dyn Cpu) -> Checked {
    for (id, place) in stage.facts.plain.iter().zip(1_u64..) {
        write(cpu.registers(), *id, value(place))?;
    }
    for (id, place) in stage.facts.wide.iter().zip(1_u64..) {
        let said = cpu.registers().write_wide(*id, wide_value(place));
        ensure!(said.is_ok(), "{id:?} does not take a wide value: {said:?}");
    }
    Ok(())
}
