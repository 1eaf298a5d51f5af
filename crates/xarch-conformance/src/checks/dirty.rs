//! What was stored to, and what was touched.

use crate::bench::Bench;
use crate::host::{Cpu, Refused};
use crate::program::Step;
use crate::report::{Checked, broken, ensure};
use crate::stage::{Scene, Stage, offset, refused};
use xarch_abi::{AccessSize, Age, DeviceAccess, DeviceAnswer, GuestPa, GuestRange, Outcome};

const SIZE: AccessSize = AccessSize::Double;

fn store(at: GuestPa) -> Step {
    Step::Store { at, value: 0x55, size: SIZE }
}

/// Ends the run: the program goes on with [`go_on`].
fn pause(stage: &Stage<'_>) -> Step {
    Step::Store { at: stage.facts.device, value: 0, size: AccessSize::Word }
}

fn never(_: &DeviceAccess) -> Option<DeviceAnswer> {
    None
}

/// Runs the program to the next pause, and over it.
fn run_to_pause(scene: &Scene<'_, '_>, cpu: &mut dyn Cpu) -> Checked {
    for _ in 0..8 {
        match cpu.run(scene.bench) {
            Outcome::Device(_, token) => {
                let done = cpu.complete(token, DeviceAnswer::Done);
                ensure!(done.is_ok(), "a device's answer was refused: {done:?}");
                return Ok(());
            }
            Outcome::Interrupted => {}
            other @ (Outcome::Wait { .. } | Outcome::Stopped(_)) => {
                broken!("the program was to go on, and the run ended with {other:?}")
            }
        }
    }
    broken!("runs are interrupted although nobody asks for it")
}

fn collect(scene: &Scene<'_, '_>, range: GuestRange, report: &mut dyn FnMut(GuestPa)) -> Checked {
    let collected = scene.vm.services().collect_dirty(range, report);
    collected.map_err(|error| refused("collect_dirty", &error))
}

fn protect(scene: &Scene<'_, '_>, range: GuestRange) -> Checked {
    scene.vm.services().protect(range).map_err(|error| refused("protect", &error))
}

/// Collects, and wants exactly these pages.
fn expect(scene: &Scene<'_, '_>, range: GuestRange, pages: &[GuestPa], when: &str) -> Checked {
    let (mut count, mut stranger, mut seen) = (0_usize, None, 0_u64);
    collect(scene, range, &mut |page| {
        count = count.saturating_add(1);
        match pages.iter().position(|wanted| *wanted == page) {
            Some(place) => seen |= 1 << (place & 63),
            None => stranger = Some(page),
        }
    })?;
    for (page, place) in pages.iter().zip(0_u32..) {
        ensure!(seen.wrapping_shr(place) & 1 != 0, "{page} was stored to and is not named, {when}");
    }
    if let Some(stranger) = stranger {
        broken!("{stranger} is named and was not stored to, {when}");
    }
    ensure!(count == pages.len(), "pages are named twice, {when}");
    Ok(())
}

/// Pages at both ends of the data slot and where large frames may end.
fn pages(stage: &Stage<'_>) -> [GuestPa; 5] {
    let (page, bytes) = (stage.page(), stage.data_bytes());
    [
        stage.data(0),
        stage.data(page),
        stage.data((1_u64 << 20).saturating_sub(page)),
        stage.data(1 << 20),
        stage.data(bytes.saturating_sub(page)),
    ]
}

fn store_to_all(stage: &Stage<'_>) -> [Step; 5] {
    let last = stage.page().saturating_sub(8);
    // In turns the first and the last doubleword of the page.
    let mut steps = pages(stage).map(store);
    for step in steps.iter_mut().skip(1).step_by(2) {
        if let Step::Store { at, .. } = step {
            *at = offset(*at, last);
        }
    }
    steps
}

/// A program of pieces with a pause behind each, and power off.
fn program<const N: usize>(stage: &Stage<'_>, pieces: &[&[Step]]) -> [Step; N] {
    let mut program = [Step::PowerOff; N];
    let mut places = program.iter_mut();
    for piece in pieces {
        for step in piece.iter().copied().chain([pause(stage)]) {
            if let Some(place) = places.next() {
                *place = step;
            }
        }
    }
    program
}

pub(crate) fn names_stored(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let all = pages(stage);
    let steps: [Step; 16] = program(stage, &[&store_to_all(stage), &store_to_all(stage)]);
    stage.with_cpu(&bench, &steps, |scene, cpu| {
        for turn in 0..2 {
            run_to_pause(scene, cpu)?;
            let mut seen = 0_u64;
            collect(scene, stage.data_range(), &mut |page| {
                if let Some(place) = all.iter().position(|wanted| *wanted == page) {
                    seen |= 1 << (place & 63);
                }
            })?;
            for (page, place) in all.iter().zip(0_u32..) {
                let named = seen.wrapping_shr(place) & 1 != 0;
                ensure!(named, "{page} was stored to and is not named, collection {turn}");
            }
        }
        Ok(())
    })
}

pub(crate) fn names_nothing_else(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let far = stage.data(stage.page().saturating_mul(5));
    let load = Step::Copy { from: far, to: stage.word(0), size: SIZE };
    let steps: [Step; 16] = program(stage, &[&[store(far), load], &store_to_all(stage), &[load]]);
    stage.with_cpu(&bench, &steps, |scene, cpu| {
        run_to_pause(scene, cpu)?;
        protect(scene, stage.data_range())?;
        collect(scene, stage.data_range(), &mut |_| {})?;
        run_to_pause(scene, cpu)?;
        expect(scene, stage.data_range(), &pages(stage), "after protect")?;
        run_to_pause(scene, cpu)?;
        expect(scene, stage.data_range(), &[], "after a load")
    })
}

pub(crate) fn named_once(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let [first, _, third, ..] = pages(stage);
    let steps: [Step; 16] =
        program(stage, &[&[store(first), store(third)], &[store(third)], &[store(first)]]);
    stage.with_cpu(&bench, &steps, |scene, cpu| {
        protect(scene, stage.data_range())?;
        collect(scene, stage.data_range(), &mut |_| {})?;
        run_to_pause(scene, cpu)?;
        collect(scene, stage.data_range(), &mut |_| {})?;
        expect(scene, stage.data_range(), &[], "collected twice without a store")?;
        run_to_pause(scene, cpu)?;
        expect_again(scene, third)?;
        run_to_pause(scene, cpu)?;
        expect_again(scene, first)
    })
}

fn expect_again(scene: &Scene<'_, '_>, page: GuestPa) -> Checked {
    let mut times = 0_u32;
    collect(scene, scene.stage.page_of(page), &mut |named| {
        times = times.saturating_add(u32::from(named == page));
    })?;
    ensure!(times == 1, "{page}, which was stored to again, is named {times} times");
    Ok(())
}

pub(crate) fn stays_outside(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let [first, second, third, ..] = pages(stage);
    let steps: [Step; 16] = program(stage, &[&[store(first), store(second), store(third)]]);
    stage.with_cpu(&bench, &steps, |scene, cpu| {
        run_to_pause(scene, cpu)?;
        for page in [second, third, first] {
            let mut is_named = false;
            let mut stranger = None;
            collect(scene, stage.page_of(page), &mut |named| {
                is_named |= named == page;
                stranger = stranger.or(Some(named).filter(|named| *named != page));
            })?;
            ensure!(stranger.is_none(), "{stranger:?} is named where {page} was asked about");
            ensure!(is_named, "{page} was stored to and left the log when others were collected");
        }
        Ok(())
    })
}

pub(crate) fn outlives_unmap(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let all = pages(stage);
    let steps: [Step; 16] = program(stage, &[&store_to_all(stage)]);
    type Service = fn(&Scene<'_, '_>, GuestRange) -> Result<(), Refused>;
    let services: [(&str, Service); 2] = [
        ("unmap", |scene, range| scene.vm.services().unmap(range)),
        ("protect", |scene, range| scene.vm.services().protect(range)),
    ];
    for (name, service) in services {
        stage.with_cpu(&bench, &steps, |scene, cpu| {
            run_to_pause(scene, cpu)?;
            service(scene, stage.data_range()).map_err(|error| refused(name, &error))?;
            for page in all {
                let mut is_named = false;
                collect(scene, stage.page_of(page), &mut |named| is_named |= named == page)?;
                ensure!(is_named, "{page} was stored to before {name} and is not named after it");
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn age(scene: &Scene<'_, '_>, range: GuestRange) -> Result<Age, crate::report::Ended> {
    scene.vm.services().age(range).map_err(|error| refused("age", &error))
}

pub(crate) fn age_tells(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let last = stage.data(stage.data_bytes().saturating_sub(8));
    let load = Step::Copy { from: last, to: stage.word(0), size: SIZE };
    let steps: [Step; 16] = program(stage, &[&[load], &[store(last)], &[load], &[store(stage.data(0))]]);
    let all = stage.data_range();
    let ranges = [all, stage.page_of(last), all, stage.page_of(stage.data(0))];
    stage.with_cpu(&bench, &steps, |scene, cpu| {
        ensure!(age(scene, all)? == Age::Old, "a slot that nobody has touched is young");
        for (range, touch) in ranges.into_iter().zip(["a load", "a store", "a second load", "a second store"])
        {
            run_to_pause(scene, cpu)?;
            ensure!(age(scene, range)? == Age::Young, "after {touch} {range:?} is old");
            ensure!(
                age(scene, range)? == Age::Old,
                "{range:?} is young, and nobody has touched it since {touch}"
            );
        }
        Ok(())
    })
}

pub(crate) fn age_stays_outside(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default().on_device(&never);
    let [first, second, third, fourth, _] = pages(stage);
    let steps: [Step; 16] = program(stage, &[&[store(first), store(second), store(third), store(fourth)]]);
    stage.with_cpu(&bench, &steps, |scene, cpu| {
        run_to_pause(scene, cpu)?;
        for page in [third, first, fourth, second] {
            let seen = age(scene, stage.page_of(page))?;
            ensure!(seen == Age::Young, "{page} was touched, and is old after others were asked about");
        }
        Ok(())
    })
}
