//! Slots, holes and mappings.

use crate::bench::Bench;
use crate::host::{ByteOrder, Refused, Services};
use crate::program::Step;
use crate::report::{Checked, broken, ensure};
use crate::stage::{Scene, Stage, offset, refused};
use crate::text::Text;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{
    AccessCause, AccessSize, Age, DeviceAccess, DeviceAnswer, DeviceOperation, Direction, Exit, GuestPa,
    GuestRange, HostPa, Next, Outcome, Registers, Slot, StopReason, Writable,
};

const SIZES: [AccessSize; 4] = [AccessSize::Byte, AccessSize::Half, AccessSize::Word, AccessSize::Double];
const VALUE: u64 = 0x8877_6655_4433_2211;
/// What devices answer: nothing that lies in memory.
const DEVICE: u64 = 0xd0d1_d2d3_d4d5_d6d7;

fn copy(from: GuestPa, to: GuestPa) -> Step {
    Step::Copy { from, to, size: AccessSize::Double }
}

fn store(at: GuestPa, value: u64) -> Step {
    Step::Store { at, value, size: AccessSize::Double }
}

/// Notes the accesses that a device gets: how many, and those at an address that is asked about.
#[derive(Default)]
struct Seen {
    reads: AtomicU64,
    writes: AtomicU64,
    last: AtomicU64,
    last_value: AtomicU64,
    last_bytes: AtomicU64,
}

impl Seen {
    fn answer(&self, access: &DeviceAccess) -> Option<DeviceAnswer> {
        self.last.store(access.address.value(), SeqCst);
        self.last_bytes.store(access.size.bytes(), SeqCst);
        Some(match access.operation {
            DeviceOperation::Read => {
                self.reads.fetch_add(1, SeqCst);
                DeviceAnswer::Value(DEVICE)
            }
            DeviceOperation::Write(value) => {
                self.writes.fetch_add(1, SeqCst);
                self.last_value.store(value, SeqCst);
                DeviceAnswer::Done
            }
        })
    }
}

pub(crate) fn is_the_slots(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    let far = offset(stage.data(0), stage.data_bytes().saturating_sub(8));
    let mut program = [Step::PowerOff; 12];
    for ((steps, size), n) in program.chunks_exact_mut(2).zip(SIZES).zip(0_u64..) {
        if let [first, second] = steps {
            let place = offset(stage.data(0), n.saturating_mul(16));
            *first = Step::Store { at: place, value: size.truncate(VALUE), size };
            *second = Step::Copy { from: offset(place, 8), to: stage.word(n), size };
        }
    }
    if let Some(last) = program.get_mut(8..10) {
        last.copy_from_slice(&[copy(far, stage.word(4)), store(far, !VALUE)]);
    }
    stage.with_cpu(&bench, &program, |scene, cpu| {
        for n in 0..4_u64 {
            let place = offset(stage.data(0), n.saturating_mul(16));
            scene.poke(place, u64::MAX);
            scene.poke(offset(place, 8), VALUE);
        }
        scene.poke(far, VALUE);
        scene.finish(cpu)?;
        for (n, size) in (0_u64..).zip(SIZES) {
            let place = offset(stage.data(0), n.saturating_mul(16));
            let mut bytes = [0; 8];
            scene.vm.load(scene.host_address(place), &mut bytes);
            let stored = number(scene, &bytes, size);
            ensure!(stored == size.truncate(VALUE), "a store of {size:?} {VALUE:#x} left {bytes:x?}");
            let rest = bytes.iter().skip(usize::try_from(size.bytes()).unwrap_or(8));
            ensure!(rest.copied().all(|byte| byte == 0xff), "a store of {size:?} left {bytes:x?}");
            scene.vm.load(scene.host_address(offset(place, 8)), &mut bytes);
            scene.expect(n, number(scene, &bytes, size), "a load")?;
        }
        scene.expect(4, VALUE, "the last doubleword of the slot")?;
        ensure!(scene.peek(far) == !VALUE, "the last doubleword of the slot was not stored to");
        Ok(())
    })
}

/// The number that the first bytes of memory are to the guest.
fn number(scene: &Scene<'_, '_>, bytes: &[u8], size: AccessSize) -> u64 {
    let bytes = bytes.iter().take(usize::try_from(size.bytes()).unwrap_or(8));
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    match scene.stage.facts.order {
        ByteOrder::Little => bytes.rev().fold(0, join),
        ByteOrder::Big => bytes.fold(0, join),
    }
}

pub(crate) fn ends_with_its_slot(stage: &Stage<'_>) -> Checked {
    let seen = Seen::default();
    let on_device = |access: &DeviceAccess| seen.answer(access);
    let bench = Bench::default().on_device(&on_device);
    let page = stage.page();
    // One page of memory in the midst of nothing, whose neighbours on the host are full of something else.
    let start = stage.free(page);
    let byte = |from, n| Step::Copy { from, to: stage.word(n), size: AccessSize::Byte };
    let before = GuestPa::new(start.value().saturating_sub(1));
    let last = offset(start, page.saturating_sub(1));
    let program = [
        byte(before, 0),
        byte(start, 1),
        byte(last, 2),
        byte(offset(start, page), 3),
        store(offset(start, page), VALUE),
        store(GuestPa::new(start.value().saturating_sub(8)), VALUE),
        // The slot of the data, whose end is not that of a large frame.
        byte(offset(stage.data(0), stage.data_bytes()), 4),
        Step::PowerOff,
    ];
    stage.with_cpu(&bench, &program, |scene, cpu| {
        let slot = stage.spare_slot(start, page, page, Writable::Yes);
        let around = slot.host.value().saturating_sub(page);
        for at in (0..page.saturating_mul(3)).step_by(8) {
            let inside = at >= page && at < page.saturating_mul(2);
            let value = if inside { 0x4545_4545_4545_4545 } else { 0x6767_6767_6767_6767 };
            scene.poke_host(HostPa::new(around.saturating_add(at)), value);
        }
        scene.add(&slot)?;
        scene.finish(cpu)?;
        let outside = AccessSize::Byte.truncate(DEVICE);
        scene.expect(0, outside, "the byte before a slot is a device's")?;
        scene.expect(1, 0x45, "the first byte of a slot")?;
        scene.expect(2, 0x45, "the last byte of a slot")?;
        scene.expect(3, outside, "the byte behind a slot is a device's")?;
        scene.expect(4, outside, "the byte behind a slot of another size is a device's")?;
        let behind = HostPa::new(slot.host.value().saturating_add(page));
        ensure!(
            scene.peek_host(behind) == 0x6767_6767_6767_6767,
            "a store behind a slot reached host memory"
        );
        ensure!(seen.reads.load(SeqCst) == 3, "{} loads outside memory, not 3", seen.reads.load(SeqCst));
        ensure!(seen.writes.load(SeqCst) == 2, "{} stores outside memory, not 2", seen.writes.load(SeqCst));
        Ok(())
    })
}

pub(crate) fn access_has_its_address(stage: &Stage<'_>) -> Checked {
    let page = stage.page();
    let holes = [
        (stage.facts.device, AccessSize::Word),
        (offset(stage.facts.device, 0x38), AccessSize::Double),
        (offset(stage.facts.device, page.saturating_sub(1)), AccessSize::Byte),
        (offset(stage.free(0), 0x2a), AccessSize::Half),
        (offset(stage.free(page), 0xff8), AccessSize::Double),
    ];
    for (hole, size) in holes {
        for is_store in [false, true] {
            access_at(stage, hole, size, is_store)?;
        }
    }
    Ok(())
}

fn access_at(stage: &Stage<'_>, at: GuestPa, size: AccessSize, is_store: bool) -> Checked {
    let seen = Seen::default();
    let on_device = |access: &DeviceAccess| seen.answer(access);
    let (exits, address, flaws) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let on_exit = |_: &mut dyn Registers, exit: &Exit, next: Next| {
        // What the guest side answers itself is its own: machines are turned off so.
        if let (Exit::Access(access), Next::Device(..)) = (exit, next) {
            exits.fetch_add(1, SeqCst);
            address.store(access.address.value(), SeqCst);
            let directions = if is_store {
                [Direction::Write, Direction::Unknown]
            } else {
                [Direction::Read, Direction::Unknown]
            };
            flaws.fetch_or(u64::from(!directions.contains(&access.direction)), SeqCst);
            flaws.fetch_or(u64::from(access.size.is_some_and(|told| told != size)) << 1, SeqCst);
            flaws.fetch_or(u64::from(access.cause != AccessCause::NoSlot) << 2, SeqCst);
        }
        None
    };
    let bench = Bench::default().on_device(&on_device).on_exit(&on_exit);
    let access = if is_store {
        Step::Store { at, value: size.truncate(VALUE), size }
    } else {
        Step::Copy { from: at, to: stage.word(0), size }
    };
    stage.with_cpu(&bench, &[access, Step::PowerOff], |scene, cpu| {
        scene.finish(cpu)?;
        if Scene::needs_guest_side(cpu).is_ok() {
            let (exits, told) = (exits.load(SeqCst), GuestPa::new(address.load(SeqCst)));
            ensure!(exits == 1, "one access of {at} was reported {exits} times");
            ensure!(told == at, "an access of {at} was reported as one of {told}");
            let flaws = flaws.load(SeqCst);
            ensure!(flaws & 1 == 0, "the direction of an access of {at} is wrong (a store: {is_store})");
            ensure!(flaws & 2 == 0, "the size of an access of {at} is wrong: it has {size:?}");
            ensure!(flaws & 4 == 0, "an access of {at}, where no slot is, was reported with another cause");
        }
        let (device, bytes) = (GuestPa::new(seen.last.load(SeqCst)), seen.last_bytes.load(SeqCst));
        ensure!(device == at, "an access of {at} reached the device as one of {device}");
        ensure!(
            bytes == size.bytes(),
            "an access of {} bytes reached the device as one of {bytes}",
            size.bytes()
        );
        let asked = if is_store { &seen.writes } else { &seen.reads }.load(SeqCst);
        ensure!(asked == 1, "the device was asked {asked} times");
        Ok(())
    })
}

pub(crate) fn read_only(stage: &Stage<'_>) -> Checked {
    let seen = Seen::default();
    let on_device = |access: &DeviceAccess| seen.answer(access);
    let (stores, told, others) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let on_exit = |_: &mut dyn Registers, exit: &Exit, next: Next| {
        if let (Exit::Access(access), Next::Device(..)) = (exit, next) {
            let is_it = access.cause == AccessCause::ReadOnlySlot;
            if is_it { &stores } else { &others }.fetch_add(1, SeqCst);
            told.store(access.address.value(), SeqCst);
        }
        None
    };
    let bench = Bench::default().on_device(&on_device).on_exit(&on_exit);
    let at = stage.free(0x10);
    // A store before anything is mapped, and one after.
    let program =
        [store(at, 1), copy(at, stage.word(0)), store(at, 2), copy(at, stage.word(1)), Step::PowerOff];
    stage.with_cpu(&bench, &program, |scene, cpu| {
        let slot = stage.spare_slot(stage.free(0), stage.page(), 0, Writable::No);
        let host = HostPa::new(slot.host.value().saturating_add(0x10));
        scene.poke_host(host, VALUE);
        scene.add(&slot)?;
        scene.finish(cpu)?;
        scene.expect(0, VALUE, "a load from a read-only slot")?;
        scene.expect(1, VALUE, "a load from a read-only slot after a store")?;
        let there = scene.peek_host(host);
        ensure!(there == VALUE, "a store to a read-only slot left {there:#x} in place of {VALUE:#x}");
        if Scene::needs_guest_side(cpu).is_ok() {
            let (stores, others) = (stores.load(SeqCst), others.load(SeqCst));
            ensure!(stores == 2, "{stores} of 2 stores to a read-only slot were reported as such");
            ensure!(others == 0, "{others} accesses of a read-only slot were reported with another cause");
            ensure!(told.load(SeqCst) == at.value(), "a store to {at} was reported at another address");
        }
        Ok(())
    })
}

pub(crate) fn slot_is_refused_whole(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_vm(1, &bench, &[Step::PowerOff], |scene| {
        let page = stage.page();
        let good = stage.spare_slot(stage.free(0), page, 0, Writable::Yes);
        let bits = u32::from(stage.facts.address_bits);
        let end = 1_u64.checked_shl(bits).unwrap_or(0);
        let end = stage.range(GuestPa::new(end), page);
        let half = page / 2;
        let reaches =
            stage.range(GuestPa::new(end.start().value().wrapping_sub(page)), page.saturating_mul(2));
        let touching = stage.range(
            GuestPa::new(stage.data_range().start().value().saturating_sub(page)),
            page.saturating_mul(2),
        );
        let bad = [
            ("that begins within a page", Slot { guest: stage.range(stage.free(half), page), ..good }),
            ("of half a page", Slot { guest: stage.range(stage.free(0), half), ..good }),
            (
                "of a page and a half",
                Slot { guest: stage.range(stage.free(0), page.saturating_add(half)), ..good },
            ),
            (
                "of host memory that begins within a page",
                Slot { host: HostPa::new(good.host.value().saturating_add(half)), ..good },
            ),
            ("behind the address space", Slot { guest: end, ..good }),
            ("that reaches out of the address space", Slot { guest: reaches, ..good }),
            ("that is there already", Slot { guest: stage.data_range(), ..good }),
            ("that overlaps the start of one", Slot { guest: touching, ..good }),
        ];
        for (what, slot) in bad {
            if slot.guest.start() == GuestPa::new(0) {
                continue;
            }
            let said = scene.vm.services().add_slot(&slot);
            ensure!(said.is_err(), "a slot {what} was taken: {:?}", slot.guest);
        }
        // Nothing of them is there: these are free, all of them.
        for at in [stage.free(0), touching.start()] {
            scene.add(&Slot { guest: stage.range(at, page), ..good }).map_err(|_| {
                let what = "a page of a slot that was refused is taken since: another slot there";
                refused(what, &Refused(Text::new(format_args!("{at}"))))
            })?;
            scene.remove(stage.range(at, page))?;
        }
        Ok(())
    })
}

/// One service asked about a range.
fn ask(services: &dyn Services, which: &str, range: GuestRange) -> Result<(), Refused> {
    match which {
        "unmap" => services.unmap(range),
        "protect" => services.protect(range),
        "collect_dirty" => services.collect_dirty(range, &mut |_| {}),
        "age" => services.age(range).map(|_| ()),
        _ => services.remove_slot(range),
    }
}

pub(crate) fn range_is_checked(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_vm(1, &bench, &[Step::PowerOff], |scene| {
        let (page, data) = (stage.page(), stage.data_range());
        let end = 1_u64.checked_shl(u32::from(stage.facts.address_bits)).unwrap_or(0);
        let bad = [
            ("that begins within a page", Some(stage.range(offset(data.start(), page / 2), page))),
            ("that ends within a page", Some(stage.range(data.start(), page / 2))),
            ("that begins and ends a byte late", Some(stage.range(offset(data.start(), 1), page))),
            ("behind the address space", GuestRange::new(GuestPa::new(end), page).filter(|_| end != 0)),
            (
                "that reaches out of the address space",
                GuestRange::new(GuestPa::new(end.wrapping_sub(page)), page.saturating_mul(2))
                    .filter(|_| end != 0),
            ),
        ];
        for service in ["unmap", "protect", "collect_dirty", "age", "remove_slot"] {
            for (what, range) in bad {
                let Some(range) = range else { continue };
                let said = ask(scene.vm.services(), service, range);
                ensure!(said.is_err(), "{service} takes a range {what}: {range:?}");
            }
        }
        for service in ["unmap", "protect", "collect_dirty", "age"] {
            let last = stage.range(GuestPa::new(end.wrapping_sub(page)), page);
            ask(scene.vm.services(), service, last).map_err(|error| refused(service, &error))?;
        }
        Ok(())
    })
}

pub(crate) fn hole_has_nothing(stage: &Stage<'_>) -> Checked {
    let bench = Bench::default();
    stage.with_vm(1, &bench, &[Step::PowerOff], |scene| {
        let services = scene.vm.services();
        for range in [stage.range(stage.free(0), 4 << 20), stage.range(stage.free(0), stage.page())] {
            for service in ["unmap", "protect", "collect_dirty", "age"] {
                ask(services, service, range).map_err(|error| refused(service, &error))?;
            }
            let mut named = None;
            let collected = services.collect_dirty(range, &mut |page| named = Some(page));
            ensure!(collected.is_ok() && named.is_none(), "in a hole {named:?} is said to be dirty");
            let age = services.age(range);
            ensure!(matches!(age, Ok(Age::Old)), "a hole has the age {age:?}");
        }
        Ok(())
    })
}

pub(crate) fn removed_is_gone(stage: &Stage<'_>) -> Checked {
    let seen = Seen::default();
    let on_device = |access: &DeviceAccess| seen.answer(access);
    let (page, turn) = (stage.page(), AtomicU64::new(0));
    let (first, other) = (
        stage.spare_slot(stage.free(0), page, 0, Writable::Yes),
        stage.spare_slot(stage.free(0), page, page, Writable::Yes),
    );
    let at = stage.free(0);
    // At each wait another slot takes the place of the one before.
    let program = [
        store(at, 1),
        copy(at, stage.word(0)),
        Step::Copy { from: stage.facts.device, to: stage.word(4), size: AccessSize::Word },
        copy(at, stage.word(1)),
        store(at, 3),
        Step::Copy { from: stage.facts.device, to: stage.word(4), size: AccessSize::Word },
        copy(at, stage.word(2)),
        Step::PowerOff,
    ];
    let pause = |access: &DeviceAccess| {
        let is_pause = stage.page_of(stage.facts.device).contains(access.address);
        if is_pause { None } else { on_device(access) }
    };
    let bench = Bench::default().on_device(&pause);
    stage.with_cpu(&bench, &program, |scene, cpu| {
        scene.add(&first)?;
        scene.poke_host(other.host, VALUE);
        loop {
            match cpu.run(scene.bench) {
                Outcome::Device(_, token) => {
                    match turn.fetch_add(1, SeqCst) {
                        0 => scene.remove(first.guest)?,
                        _ => scene.add(&other)?,
                    }
                    let done = cpu.complete(token, DeviceAnswer::Value(0));
                    ensure!(done.is_ok(), "a device's answer was refused: {done:?}");
                }
                Outcome::Interrupted => {}
                Outcome::Stopped(StopReason::PowerOff) => break,
                ended @ (Outcome::Wait { .. } | Outcome::Stopped(_)) => {
                    broken!("the program was to end, and the run ended with {ended:?}")
                }
            }
        }
        scene.expect(0, 1, "a load from a slot")?;
        scene.expect(1, DEVICE, "a load from where a slot was")?;
        scene.expect(2, VALUE, "a load from the slot that came after it")?;
        let (left, new) = (scene.peek_host(first.host), scene.peek_host(other.host));
        ensure!(left == 1, "a store to where a slot was left {left:#x} in its memory");
        ensure!(new == VALUE, "a store to where no slot was is in the one that came after it: {new:#x}");
        ensure!(seen.writes.load(SeqCst) == 1, "a store to where a slot was is no access outside memory");
        Ok(())
    })
}

pub(crate) fn unmap_keeps_memory(stage: &Stage<'_>) -> Checked {
    let pause = |_: &DeviceAccess| None;
    let bench = Bench::default().on_device(&pause);
    let last = offset(stage.data(0), stage.data_bytes().saturating_sub(8));
    let program = [
        store(stage.data(0), VALUE),
        store(last, !VALUE),
        store(stage.facts.device, 0),
        copy(stage.data(0), stage.word(0)),
        copy(last, stage.word(1)),
        store(stage.data(8), 5),
        Step::PowerOff,
    ];
    stage.with_cpu(&bench, &program, |scene, cpu| {
        let outcome = cpu.run(scene.bench);
        let Outcome::Device(_, token) = outcome else {
            broken!("a device that is not ready ends a run with {outcome:?}")
        };
        let unmapped = scene.vm.services().unmap(stage.data_range());
        unmapped.map_err(|error| refused("unmap", &error))?;
        let done = cpu.complete(token, DeviceAnswer::Done);
        ensure!(done.is_ok(), "a device's answer was refused: {done:?}");
        scene.finish(cpu)?;
        scene.expect(0, VALUE, "what was stored before unmap")?;
        scene.expect(1, !VALUE, "what was stored before unmap")?;
        ensure!(scene.peek(stage.data(8)) == 5, "a store after unmap did not reach the slot");
        Ok(())
    })
}
