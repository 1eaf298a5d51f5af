//! Hosts with one fault each: the kit says which clause they break, and no other.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code"
)]

mod faults;
mod riscv;

use riscv::machine::{PAGE, ToyError, ToyVcpu, ToyVm};
use riscv::{Toy, started};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::thread::ThreadId;
use xarch_abi::{
    Age, Backend, BackendVcpu, Bank, CompletionError, Deadline, DeviceAccess, DeviceAnswer, Exit, Guest,
    GuestPa, GuestRange, HostPa, Next, Outcome, Platform, RegId, RegisterError, Registers, Slot, Token,
    TraceEvent, Unreadable, VcpuIndex, Writable,
};
use xarch_conformance::{
    Cannot, Code, Cpu, Facts, Host, MEMORY_BYTES, Pair, Report, Step, Threads, Vm, check,
};

/// What is wrong with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// An exit request that comes while no run is under way is forgotten.
    LosesAKick,
    /// A request ends the run after the next one too.
    RemembersAKick,
    /// A request for any vCPU ends the run of the first.
    KicksTheWrongVcpu,
    /// The page behind a slot is mapped too.
    MapsOnePageTooMany,
    /// The last page of the range of `collect_dirty` is left out.
    ForgetsTheLastDirtyPage,
    /// `unmap` takes the log with it.
    UnmapForgetsTheLog,
    /// `age` says once more that a page is young.
    StaysYoung,
    /// The device is asked under the lock of the memory services.
    AsksDevicesUnderALock,
    /// The back end changes the guest's status after a trap.
    InjectsItself,
    /// After mapping a page the guest is entered without asking.
    SkipsBeforeEntry,
    /// What before_entry says of waiting is not obeyed.
    EntersAllTheSame,
    /// Registers that do not exist read as zero.
    UnknownRegistersAreZero,
    /// Of wide registers only the lower half is kept.
    CutsWideRegisters,
    /// Wide writes to narrow registers lose the upper half.
    CutsWideWrites,
    /// An access is reported at the start of its page.
    MisplacesAccesses,
    /// What the guest side writes between runs after a device access is lost.
    LosesALateAnswer,
    /// A write that fails advances the program counter all the same.
    GoesOnAfterAnError,
    /// A slot that overlaps is refused after the free part was taken.
    KeepsHalfOfARefusedSlot,
    /// A slot that is removed stays mapped.
    RemovedSlotsStay,
    /// A store to a read-only slot reaches memory.
    StoresToReadOnlySlots,
    /// Waits lose their deadline.
    LosesTheDeadline,
    /// Timers are not reported.
    SwallowsTimers,
    /// Decisions are traced before they are made.
    TracesSomethingElse,
    /// Vector registers are not those of the run.
    ForgetsWhatCallbacksWrite,
    /// Misaligned ranges are rounded.
    RoundsRanges,
    /// A write of what the host offers is taken, and lost.
    TakesReadOnlyWrites,
    /// A request that a callback makes is forgotten.
    LosesAKickFromInside,
    /// The pages beside the range of `age` become old with it.
    AgesTheNeighbours,
    /// The pages beside the range of `collect_dirty` leave the log with it.
    CollectsTheNeighbours,
    /// `collect_dirty` names once more what it named the last time.
    NamesDirtyPagesTwice,
    /// A wait without a timer gets a deadline.
    InventsADeadline,
    /// A trap is reported a second time.
    ReportsTrapsTwice,
    /// After a wait the next run waits again, without asking the guest side.
    WaitsAgain,
}

/// A fault, the clause that says so, and clauses that may say so too, as they ask for the same on their way.
const CASES: &[(Fault, &str, &[&str])] = &[
    (Fault::LosesAKick, "kick-is-sticky", &["kick-is-never-lost", "kick-ends-an-entry"]),
    (Fault::RemembersAKick, "kick-is-used-up", &[]),
    (Fault::KicksTheWrongVcpu, "kick-has-its-vcpu", &[]),
    (Fault::MapsOnePageTooMany, "memory-ends-with-its-slot", &["slot-is-refused-whole"]),
    (
        Fault::ForgetsTheLastDirtyPage,
        "dirty-names-what-was-stored-to",
        &["dirty-names-nothing-else", "dirty-while-it-runs"],
    ),
    (Fault::UnmapForgetsTheLog, "dirty-outlives-unmap", &[]),
    (Fault::StaysYoung, "age-tells-what-was-touched", &[]),
    (Fault::AsksDevicesUnderALock, "callback-without-a-lock", &[]),
    (Fault::InjectsItself, "injects-nothing", &[]),
    (Fault::SkipsBeforeEntry, "before-entry-before-every-entry", &[]),
    (Fault::EntersAllTheSame, "enters-only-on-resume", &[]),
    (Fault::UnknownRegistersAreZero, "register-unknown", &[]),
    (
        Fault::CutsWideRegisters,
        "register-wide-is-whole",
        &[
            "register-holds",
            "register-error-changes-nothing",
            "register-is-not-cut",
            "register-has-its-vcpu",
            "register-is-the-same-inside",
        ],
    ),
    (Fault::CutsWideWrites, "register-is-not-cut", &["register-error-changes-nothing"]),
    (
        Fault::MisplacesAccesses,
        "access-has-its-address",
        &[
            "read-only-slot-takes-no-store",
            "device-answer-at-once",
            "device-answer-later",
            "device-answer-has-its-token",
            "device-is-offered-again",
            // This guest's timer is at the end of a page.
            "timer-ends-an-entry",
            "wait-has-its-deadline",
        ],
    ),
    (
        Fault::LosesALateAnswer,
        "device-answer-later",
        &["device-is-offered-again", "device-answer-has-its-token", "device-answer-fits"],
    ),
    (Fault::GoesOnAfterAnError, "register-error-changes-nothing", &[]),
    (Fault::KeepsHalfOfARefusedSlot, "slot-is-refused-whole", &[]),
    (Fault::RemovedSlotsStay, "removed-slot-is-gone", &["remove-while-it-runs"]),
    (Fault::StoresToReadOnlySlots, "read-only-slot-takes-no-store", &[]),
    (Fault::LosesTheDeadline, "wait-has-its-deadline", &["enters-only-on-resume", "decision-is-the-outcome"]),
    (Fault::SwallowsTimers, "timer-ends-an-entry", &[]),
    (Fault::TracesSomethingElse, "decision-is-traced", &[]),
    (Fault::ForgetsWhatCallbacksWrite, "register-is-the-same-inside", &[]),
    (Fault::RoundsRanges, "range-is-checked", &[]),
    (Fault::TakesReadOnlyWrites, "register-read-only", &["register-error-changes-nothing"]),
    (Fault::LosesAKickFromInside, "kick-from-a-callback", &[]),
    (Fault::AgesTheNeighbours, "age-stays-outside-the-range", &[]),
    (Fault::CollectsTheNeighbours, "dirty-stays-outside-the-range", &["dirty-outlives-unmap"]),
    (
        Fault::NamesDirtyPagesTwice,
        "dirty-is-named-once",
        &["dirty-names-nothing-else", "dirty-stays-outside-the-range"],
    ),
    (Fault::InventsADeadline, "wait-without-a-timer", &["enters-only-on-resume", "decision-is-the-outcome"]),
    (Fault::ReportsTrapsTwice, "trap-is-reported-once", &["before-entry-before-every-entry"]),
    (Fault::WaitsAgain, "wait-ends", &["enters-only-on-resume", "observe-applies-once"]),
];

struct BrokenHost {
    toy: Toy,
    fault: Fault,
    patience: u64,
}

struct BrokenVm {
    vm: ToyVm,
    fault: Fault,
    lock: Mutex<()>,
    is_running: AtomicBool,
    /// A request that was obeyed and is still there.
    kick_remains: AtomicU64,
    aged: AtomicBool,
    /// What `collect_dirty` named last.
    named: Mutex<Vec<GuestPa>>,
    /// Whose run is under way.
    runner: Mutex<Option<ThreadId>>,
}

impl BrokenVm {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn locked(&self) -> Option<MutexGuard<'_, ()>> {
        self.is(Fault::AsksDevicesUnderALock).then(|| self.lock.lock().unwrap())
    }

    fn rounded(&self, range: GuestRange) -> GuestRange {
        if !self.is(Fault::RoundsRanges) {
            return range;
        }
        let start = range.start().value() & !(PAGE - 1);
        let end = (range.last().value() | (PAGE - 1)).wrapping_add(1);
        GuestRange::new(GuestPa::new(start), end - start).unwrap_or(range)
    }
}

/// A slot with the page behind it.
fn with_a_page_more(slot: &Slot) -> Slot {
    let guest = GuestRange::new(slot.guest.start(), slot.guest.bytes() + PAGE);
    Slot { guest: guest.unwrap_or(slot.guest), ..*slot }
}

/// The pages beside a range, where there are some.
fn neighbours(range: GuestRange) -> impl Iterator<Item = GuestRange> {
    let page = |at| GuestRange::new(GuestPa::new(at), PAGE);
    let before = range.start().value().checked_sub(PAGE).and_then(page);
    let behind = range.last().value().checked_add(1).and_then(page);
    before.into_iter().chain(behind)
}

impl Backend for BrokenVm {
    type Error = ToyError;

    fn add_slot(&self, slot: &Slot) -> Result<(), ToyError> {
        let _lock = self.locked();
        let added = match self.fault {
            Fault::MapsOnePageTooMany => self.vm.add_slot(&with_a_page_more(slot)),
            Fault::StoresToReadOnlySlots => self.vm.add_slot(&Slot { writable: Writable::Yes, ..*slot }),
            _ => self.vm.add_slot(slot),
        };
        if self.is(Fault::KeepsHalfOfARefusedSlot) && added == Err(ToyError::Overlap) {
            let first = GuestRange::new(slot.guest.start(), PAGE).unwrap();
            let _ = self.vm.add_slot(&Slot { guest: first, ..*slot });
        }
        added
    }

    fn remove_slot(&self, range: GuestRange) -> Result<(), ToyError> {
        let _lock = self.locked();
        match self.fault {
            Fault::RemovedSlotsStay => self.vm.forget_slot(range),
            Fault::MapsOnePageTooMany => self.vm.remove_slot(
                with_a_page_more(&Slot { guest: range, host: HostPa::new(0), writable: Writable::Yes }).guest,
            ),
            _ => self.vm.remove_slot(range),
        }
    }

    fn unmap(&self, range: GuestRange) -> Result<(), ToyError> {
        let _lock = self.locked();
        self.vm.unmap(self.rounded(range))?;
        if self.is(Fault::UnmapForgetsTheLog) {
            self.vm.collect_dirty(range, |_| {})?;
        }
        Ok(())
    }

    fn protect(&self, range: GuestRange) -> Result<(), ToyError> {
        let _lock = self.locked();
        self.vm.protect(range)
    }

    fn collect_dirty<F: FnMut(GuestPa)>(&self, range: GuestRange, mut report: F) -> Result<(), ToyError> {
        drop(self.locked());
        let last = GuestPa::new(range.last().value() & !(PAGE - 1));
        let mut named = Vec::new();
        if self.is(Fault::CollectsTheNeighbours) {
            for range in neighbours(range) {
                let _ = self.vm.collect_dirty(range, |_| {});
            }
        }
        self.vm.collect_dirty(range, |page| {
            named.push(page);
            let is_forgotten =
                self.is(Fault::ForgetsTheLastDirtyPage) && page == last && range.bytes() > PAGE;
            if !is_forgotten {
                report(page);
            }
        })?;
        if self.is(Fault::NamesDirtyPagesTwice) {
            let again = std::mem::replace(&mut *self.named.lock().unwrap(), named.clone());
            again.into_iter().filter(|page| !named.contains(page)).for_each(report);
        }
        Ok(())
    }

    fn age(&self, range: GuestRange) -> Result<Age, ToyError> {
        let _lock = self.locked();
        let age = self.vm.age(range)?;
        if self.is(Fault::AgesTheNeighbours) {
            for range in neighbours(range) {
                let _ = self.vm.age(range);
            }
        }
        let was_young = self.aged.swap(age == Age::Young, SeqCst);
        Ok(if self.is(Fault::StaysYoung) && was_young { Age::Young } else { age })
    }

    fn request_exit(&self, vcpu: VcpuIndex) {
        match self.fault {
            Fault::LosesAKick if !self.is_running.load(SeqCst) => {}
            Fault::LosesAKickFromInside
                if *self.runner.lock().unwrap() == Some(std::thread::current().id()) => {}
            Fault::KicksTheWrongVcpu => self.vm.request_exit(VcpuIndex(0)),
            _ => self.vm.request_exit(vcpu),
        }
        if self.is(Fault::RemembersAKick) && !self.is_running.load(SeqCst) {
            self.kick_remains.store(1, SeqCst);
        }
    }
}

struct BrokenVcpu<'vm> {
    vm: &'vm BrokenVm,
    inner: ToyVcpu<'vm>,
    loses_writes: bool,
    /// What the last run ended with, if that was a wait.
    waited: Option<Outcome>,
}

impl Registers for BrokenVcpu<'_> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        match self.inner.read(id) {
            Err(RegisterError::Unknown(_)) if self.vm.is(Fault::UnknownRegistersAreZero) => Ok(0),
            result => result,
        }
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        if self.loses_writes && id.bank == Bank::GENERAL {
            return Ok(());
        }
        let written = self.inner.write(id, value);
        if self.vm.is(Fault::TakesReadOnlyWrites) && matches!(written, Err(RegisterError::ReadOnly(_))) {
            return Ok(());
        }
        if written.is_err() && self.vm.is(Fault::GoesOnAfterAnError) {
            let pc = self.inner.read(RegId::PC)?;
            self.inner.write(RegId::PC, pc + 4)?;
        }
        written
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        self.inner.read_wide(id)
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        match self.vm.fault {
            Fault::CutsWideRegisters if id.bank == Bank::VECTOR => {
                self.inner.write_wide(id, value & u128::from(u64::MAX))
            }
            Fault::CutsWideWrites if id.bank != Bank::VECTOR => {
                let [low, _] = [value, value >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)));
                self.inner.write(id, low.unwrap())
            }
            _ => self.inner.write_wide(id, value),
        }
    }
}

impl BackendVcpu for BrokenVcpu<'_> {
    fn run<G: Guest, P: Platform>(&mut self, guest: &mut G, platform: &P) -> Outcome {
        let vm = self.vm;
        if vm.kick_remains.load(SeqCst) == 2 {
            vm.kick_remains.store(0, SeqCst);
            return Outcome::Interrupted;
        }
        if vm.is(Fault::WaitsAgain) {
            if let Some(outcome) = self.waited {
                return outcome;
            }
        }
        vm.is_running.store(true, SeqCst);
        *vm.runner.lock().unwrap() = Some(std::thread::current().id());
        let before = self.inner.read_wide(RegId::vector(0));
        let mapped = Cell::new(false);
        let mut broken = BrokenGuest { guest, vm, mapped: &mapped };
        let outcome = self.inner.run(&mut broken, &BrokenPlatform { platform, vm, mapped: &mapped });
        vm.is_running.store(false, SeqCst);
        *vm.runner.lock().unwrap() = None;
        self.waited = Some(outcome).filter(|outcome| matches!(outcome, Outcome::Wait { .. }));
        if vm.is(Fault::ForgetsWhatCallbacksWrite) {
            let _ = before.map(|before| self.inner.write_wide(RegId::vector(0), before));
        }
        if outcome == Outcome::Interrupted && vm.kick_remains.load(SeqCst) == 1 {
            vm.kick_remains.store(2, SeqCst);
        }
        self.loses_writes = vm.is(Fault::LosesALateAnswer) && matches!(outcome, Outcome::Device(..));
        match outcome {
            Outcome::Wait { deadline: Some(_) } if vm.is(Fault::LosesTheDeadline) => {
                Outcome::Wait { deadline: None }
            }
            Outcome::Wait { deadline: None } if vm.is(Fault::InventsADeadline) => {
                Outcome::Wait { deadline: Some(Deadline { counter: 1, nanoseconds: 1 }) }
            }
            outcome => outcome,
        }
    }
}

struct BrokenGuest<'a, G> {
    guest: &'a mut G,
    vm: &'a BrokenVm,
    mapped: &'a Cell<bool>,
}

impl<G: Guest> Guest for BrokenGuest<'_, G> {
    fn before_entry<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P) -> Next {
        if self.mapped.take() && self.vm.is(Fault::SkipsBeforeEntry) {
            return Next::Resume;
        }
        let next = self.guest.before_entry(registers, platform);
        if self.vm.is(Fault::EntersAllTheSame) && matches!(next, Next::Wait { .. }) {
            return Next::Resume;
        }
        next
    }

    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P, exit: Exit) -> Next {
        let exit = match exit {
            Exit::Access(mut access) if self.vm.is(Fault::MisplacesAccesses) => {
                access.address = access.address.align_down_log2(12);
                Exit::Access(access)
            }
            Exit::Timer(_) if self.vm.is(Fault::SwallowsTimers) => Exit::Spurious,
            exit => exit,
        };
        if self.vm.is(Fault::ReportsTrapsTwice) && matches!(exit, Exit::Trap(_)) {
            let _ = self.guest.on_exit(registers, platform, exit);
        }
        let next = self.guest.on_exit(registers, platform, exit);
        if self.vm.is(Fault::InjectsItself) && matches!(exit, Exit::Trap(_)) {
            let status = registers.read(RegId::STATUS).unwrap();
            registers.write(RegId::STATUS, status ^ 1).unwrap();
        }
        next
    }

    fn before_observe<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.guest.before_observe(registers)
    }

    fn complete<R: Registers>(
        &mut self,
        registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        self.guest.complete(registers, token, answer)
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        self.guest.get(registers, id)
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.guest.set(registers, id, value)
    }

    fn reset<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.guest.reset(registers)
    }
}

struct BrokenPlatform<'a, P> {
    platform: &'a P,
    vm: &'a BrokenVm,
    mapped: &'a Cell<bool>,
}

impl<P: Platform> Platform for BrokenPlatform<'_, P> {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        let slot = self.platform.slot(address);
        match self.vm.fault {
            Fault::MapsOnePageTooMany => {
                let before = address.value().checked_sub(PAGE).map(GuestPa::new);
                let slot = slot.or_else(|| before.and_then(|before| self.platform.slot(before)));
                slot.map(|slot| with_a_page_more(&slot))
            }
            Fault::StoresToReadOnlySlots => slot.map(|slot| Slot { writable: Writable::Yes, ..slot }),
            _ => slot,
        }
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        self.platform.read_memory(address, into)
    }

    fn device(&self, vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        let _lock = self.vm.locked();
        self.platform.device(vcpu, access)
    }

    fn kick(&self, vcpu: VcpuIndex) {
        self.platform.kick(vcpu);
    }

    fn trace(&self, vcpu: VcpuIndex, event: TraceEvent) {
        let event = match event {
            TraceEvent::Mapped(_) => {
                self.mapped.set(true);
                event
            }
            TraceEvent::Exit(exit, _) if self.vm.is(Fault::TracesSomethingElse) => {
                TraceEvent::Exit(exit, Next::Wait { deadline: None })
            }
            TraceEvent::Exit(Exit::Spurious, next) if self.vm.is(Fault::SwallowsTimers) => {
                TraceEvent::Exit(Exit::Spurious, next)
            }
            TraceEvent::Exit(..) => event,
        };
        self.platform.trace(vcpu, event);
    }
}

impl Vm for BrokenVm {
    fn services(&self) -> &dyn xarch_conformance::Services {
        self
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        let mut vcpu =
            BrokenVcpu { vm: self, inner: ToyVcpu::new(&self.vm, index), loses_writes: false, waited: None };
        let mut hart = started(&mut vcpu, index, entry.value());
        then(&mut Pair::new(&mut vcpu, &mut hart));
    }

    fn load(&self, from: HostPa, into: &mut [u8]) {
        riscv::load(&self.vm, from, into);
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        riscv::store(&self.vm, to, bytes);
    }
}

impl Host for BrokenHost {
    fn facts(&self) -> Facts<'_> {
        riscv::facts(self.patience, 8)
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        riscv::assemble(step, code)
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        then(&BrokenVm {
            vm: ToyVm::new(vcpus, MEMORY_BYTES),
            fault: self.fault,
            lock: Mutex::new(()),
            is_running: AtomicBool::new(false),
            kick_remains: AtomicU64::new(0),
            aged: AtomicBool::new(false),
            named: Mutex::default(),
            runner: Mutex::default(),
        });
    }

    fn nanoseconds(&self) -> u64 {
        self.toy.nanoseconds()
    }

    fn relax(&self) {
        std::thread::yield_now();
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        riscv::at_once(first, second)
    }
}

const PATIENCE: [u64; 2] = [300_000_000, 20_000_000_000];

#[test]
fn each_fault_breaks_its_clause_and_no_other() {
    faults::each_breaks_its_clause(CASES, PATIENCE, |fault, patience| {
        let host = BrokenHost { toy: Toy::new(), fault, patience };
        let mut report = Report::default();
        let _ = check(&host, |clause, verdict| report.note(clause, *verdict));
        report
    });
}
