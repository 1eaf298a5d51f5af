//! Callbacks: no lock is held around them, and they may call back.

use crate::bench::Bench;
use crate::host::Services;
use crate::program::Step;
use crate::report::{Checked, Ended, Verdict, broken, ensure};
use crate::stage::{FIRST, Race, Scene, Stage, refused};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{
    AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation, Exit, GuestPa, Next, Registers, TraceEvent,
    VcpuIndex, Writable,
};

/// The callbacks of a run, in the order in which the program makes them come for the first time.
const NAMES: [&str; 5] = ["before_entry", "slot", "trace", "on_exit", "device"];
const BEFORE_ENTRY: u64 = 0;
const SLOT: u64 = 1;
const TRACE: u64 = 2;
const ON_EXIT: u64 = 3;
const DEVICE: u64 = 4;
const REPORT: u64 = 5;

fn name(callback: u64) -> &'static str {
    usize::try_from(callback).ok().and_then(|place| NAMES.get(place)).copied().unwrap_or("report")
}

/// Uses every service once, on memory that the program does not touch.
fn use_all(stage: &Stage<'_>, services: &dyn Services) -> Checked {
    let page = stage.page_of(stage.data((1 << 20) - 1));
    let spare = stage.spare_slot(stage.free(0), stage.page(), 0, Writable::Yes);
    let said = [
        ("unmap", services.unmap(page)),
        ("protect", services.protect(page)),
        ("collect_dirty", services.collect_dirty(page, &mut |_| {})),
        ("age", services.age(page).map(|_| ())),
        ("add_slot", services.add_slot(&spare)),
        ("remove_slot", services.remove_slot(spare.guest)),
    ];
    for (service, said) in said {
        said.map_err(|error| refused(service, &error))?;
    }
    services.request_exit(VcpuIndex(u16::MAX));
    Ok(())
}

/// A program that makes every callback come.
fn program(stage: &Stage<'_>) -> [Step; 4] {
    let size = AccessSize::Word;
    [
        Step::Trap,
        Step::Store { at: stage.data(0), value: 1, size },
        Step::Store { at: stage.facts.device, value: 1, size },
        Step::PowerOff,
    ]
}

/// Runs the program, and calls `called` in each callback when it comes for the first time; the word returned has a bit
/// for each that came.
fn in_each(
    scene: &Scene<'_, '_>,
    called: &(dyn Fn(u64) + Sync),
    control: impl FnOnce(&Scene<'_, '_>) -> Checked,
) -> (Checked, u64) {
    let came = AtomicU64::new(0);
    let first = |callback: u64| {
        if came.fetch_or(1 << (callback & 63), SeqCst) & (1 << (callback & 63)) == 0 {
            called(callback);
        }
    };
    let on_entry = |_: &mut dyn Registers| {
        first(BEFORE_ENTRY);
        None
    };
    let on_exit = |_: &mut dyn Registers, _: &Exit, _: Next| {
        first(ON_EXIT);
        None
    };
    let on_slot = |_: GuestPa| first(SLOT);
    let on_trace = |_: &TraceEvent| first(TRACE);
    let on_device = |access: &DeviceAccess| {
        first(DEVICE);
        Some(match access.operation {
            DeviceOperation::Read => DeviceAnswer::Value(0),
            DeviceOperation::Write(_) => DeviceAnswer::Done,
        })
    };
    let bench = Bench::default()
        .on_entry(&on_entry)
        .on_exit(&on_exit)
        .on_slot(&on_slot)
        .on_trace(&on_trace)
        .on_device(&on_device);
    let checked = control(&scene.seen_by(&bench));
    (checked, came.load(SeqCst))
}

/// Where two threads meet in a callback.
#[derive(Default)]
struct Meeting {
    /// The callback that is being run, and 1.
    inside: AtomicU64,
    /// The last one, and 1, during which everything was done.
    done: AtomicU64,
    /// The first one, and 1, during which it was not.
    stuck: AtomicU64,
}

impl Meeting {
    /// Runs in the callback: waits for the other side.
    fn hold(&self, stage: &Stage<'_>, callback: u64) {
        let number = callback.saturating_add(1);
        if self.stuck.load(SeqCst) != 0 {
            return;
        }
        self.inside.store(number, SeqCst);
        if !stage.wait_for(|| self.done.load(SeqCst) == number) {
            let _ = self.stuck.compare_exchange(0, number, SeqCst, SeqCst);
        }
        self.inside.store(0, SeqCst);
    }

    /// Uses every service in each callback, until `is_over`.
    fn visit(&self, stage: &Stage<'_>, services: &dyn Services, is_over: &dyn Fn() -> bool) -> Checked {
        loop {
            let visited = self.done.load(SeqCst);
            // One that was not visited stays until it is; one that was may go between two looks.
            let new = || Some(self.inside.load(SeqCst)).filter(|number| *number != 0 && *number != visited);
            stage.wait_for(|| is_over() || new().is_some());
            let Some(number) = new() else { return Ok(()) };
            use_all(stage, services)?;
            self.done.store(number, SeqCst);
        }
    }

    fn verdict(&self) -> Checked {
        match self.stuck.load(SeqCst).checked_sub(1) {
            None => Ok(()),
            Some(callback) => {
                broken!("while {} ran, another thread could not use the services", name(callback))
            }
        }
    }
}

pub(crate) fn without_a_lock(stage: &Stage<'_>) -> Checked {
    let meeting = Meeting::default();
    let hold = |callback| meeting.hold(stage, callback);
    stage.with_vm(1, &Bench::default(), &program(stage), |scene| {
        let (raced, came) = in_each(scene, &hold, |scene| {
            scene.race(0, |race: &Race<'_>| meeting.visit(stage, scene.vm.services(), &|| race.has_ended()))
        });
        meeting.verdict()?;
        raced?;
        let wanted = u64::from(stage.host.asks_for_slots()) << SLOT | 1 << DEVICE;
        ensure!(
            came & wanted == wanted,
            "slot or device never came in a program that faults and uses a device"
        );
        report_without_a_lock(scene, &meeting)
    })
}

/// The same for `report` of `collect_dirty`, after a program that stored to a page.
fn report_without_a_lock(scene: &Scene<'_, '_>, meeting: &Meeting) -> Checked {
    let (stage, services) = (&scene.stage, scene.vm.services());
    let is_over = AtomicU64::new(0);
    let (mut collected, mut visited) = (Ok(()), Ok(()));
    // Where no page is named, it is `dirty-names-what-was-stored-to` that says so.
    let _ = stage.host.at_once(
        &mut || {
            let said = services.collect_dirty(stage.page_of(stage.data(0)), &mut |_| {
                meeting.hold(stage, REPORT);
            });
            collected = said.map_err(|error| refused("collect_dirty", &error));
            is_over.store(1, SeqCst);
        },
        &mut || visited = meeting.visit(stage, services, &|| is_over.load(SeqCst) != 0),
    );
    meeting.verdict()?;
    collected.and(visited)
}

pub(crate) fn may_call_back(stage: &Stage<'_>) -> Checked {
    if let Err(Ended::Broken(_)) = without_a_lock(stage) {
        return Err(Ended::NotApplicable(
            "callbacks are made under a lock: who calls back would wait for ever",
        ));
    }
    let failed = [const { AtomicU64::new(0) }; NAMES.len()];
    stage.with_vm(1, &Bench::default(), &program(stage), |scene| {
        let services = scene.vm.services();
        let call = |callback: u64| {
            let is_bad = matches!(Verdict::from(use_all(stage, services)), Verdict::Broken(_));
            if let Some(failed) = usize::try_from(callback).ok().and_then(|place| failed.get(place)) {
                failed.store(u64::from(is_bad), SeqCst);
            }
        };
        let (finished, _) = in_each(scene, &call, |scene| scene.with_cpu(FIRST, |cpu| scene.finish(cpu)));
        for (failed, name) in failed.iter().zip(NAMES) {
            ensure!(failed.load(SeqCst) == 0, "a service was refused when called from {name}");
        }
        finished?;
        ensure!(scene.peek(stage.data(0)) == 1, "the guest's store is not there");
        let mut refusal = Ok(());
        let collected = services.collect_dirty(stage.page_of(stage.data(0)), &mut |_| {
            refusal = use_all(stage, services);
        });
        collected.map_err(|error| refused("collect_dirty", &error))?;
        refusal
    })
}
