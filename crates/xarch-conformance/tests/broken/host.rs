//! The host of which each has one fault, around one that has none.

use super::Fault;
use super::riscv::machine::{PAGE, ToyError, ToyVcpu, ToyVm};
use super::riscv::{self, Toy, started};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use xarch_abi::{
    Age, Backend, BackendVcpu, Bank, CompletionError, Deadline, DeviceAccess, DeviceAnswer, DeviceOperation,
    Exit, Guest, GuestPa, GuestRange, HostPa, Next, Outcome, Platform, RegId, RegisterError, Registers, Slot,
    StopReason, Token, TraceEvent, Unreadable, VcpuIndex, Writable,
};
use xarch_conformance::{
    Bench, Cannot, Code, Cpu, Facts, GuestSide, Host, MEMORY_BYTES, Pair, Step, Threads, Vm,
};

pub(super) struct BrokenHost {
    pub(super) toy: Toy,
    pub(super) fault: Fault,
    pub(super) patience: u64,
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
    /// Requests so far.
    requests: AtomicU64,
    /// Who wrote the register that all vCPUs share, and what.
    shared: Mutex<Option<(VcpuIndex, u64)>>,
}

impl BrokenVm {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn locked(&self) -> Option<MutexGuard<'_, ()>> {
        self.is(Fault::AsksDevicesUnderALock).then(|| self.lock.lock().unwrap())
    }

    /// Whether a run is under way on this thread: then this is a callback.
    fn is_in_a_callback(&self) -> bool {
        *self.runner.lock().unwrap() == Some(std::thread::current().id())
    }

    fn runs_elsewhere(&self) -> bool {
        self.is_running.load(SeqCst) && !self.is_in_a_callback()
    }

    /// Where a guest address lies on the host.
    fn host(&self, address: GuestPa) -> Option<u64> {
        let slot = self.vm.slot_of(address)?;
        Some(slot.host.value() + address.offset_from(slot.guest.start())?)
    }

    /// Makes the last page of a range zero, if it is memory.
    fn clear_the_last_page(&self, range: GuestRange) {
        if let Some(host) = self.host(GuestPa::new(range.last().value() & !(PAGE - 1))) {
            (host..host + PAGE).step_by(8).for_each(|at| self.vm.memory.store(at, 8, 0));
        }
    }

    /// Unmaps, and puts back what stood at the start of the range before a guest that runs stored there once more.
    fn unmap_and_put_back(&self, range: GuestRange) -> Result<(), ToyError> {
        let kept = self.host(range.start()).map(|at| (at, self.vm.memory.load(at, 8)));
        self.vm.unmap(range)?;
        if let Some((at, value)) = kept {
            let start = Instant::now();
            while self.vm.memory.load(at, 8) == value && start.elapsed() < Duration::from_millis(50) {
                std::thread::yield_now();
            }
            self.vm.memory.store(at, 8, value);
        }
        Ok(())
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
            Fault::RemovedSlotsStayWhileItRuns if self.runs_elsewhere() => self.vm.forget_slot(range),
            Fault::MapsOnePageTooMany => self.vm.remove_slot(
                with_a_page_more(&Slot { guest: range, host: HostPa::new(0), writable: Writable::Yes }).guest,
            ),
            _ => self.vm.remove_slot(range),
        }
    }

    fn unmap(&self, range: GuestRange) -> Result<(), ToyError> {
        let _lock = self.locked();
        match self.fault {
            Fault::RefusesInCallbacks if self.is_in_a_callback() => return Err(ToyError::NoSuchSlot),
            Fault::UnmapPutsBack if self.runs_elsewhere() => self.unmap_and_put_back(range)?,
            _ => self.vm.unmap(self.rounded(range))?,
        }
        if self.is(Fault::UnmapClears) && range.bytes() > PAGE {
            self.clear_the_last_page(range);
        }
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
            let behind = GuestPa::new(page.value() + PAGE);
            if self.is(Fault::NamesThePageBehind) && range.contains(behind) {
                report(behind);
            }
        })?;
        if self.is(Fault::LeavesPagesWritable) && self.runs_elsewhere() {
            self.vm.unprotect(range);
        }
        if self.is(Fault::NamesDirtyPagesTwice) {
            let again = std::mem::replace(&mut *self.named.lock().unwrap(), named.clone());
            again.into_iter().filter(|page| !named.contains(page)).for_each(report);
        }
        Ok(())
    }

    fn age(&self, range: GuestRange) -> Result<Age, ToyError> {
        let _lock = self.locked();
        let age = self.vm.age(range)?;
        if self.is(Fault::HolesAreYoung) && self.vm.slot_of(range.start()).is_none() {
            return Ok(Age::Young);
        }
        if self.is(Fault::AgesTheNeighbours) {
            for range in neighbours(range) {
                let _ = self.vm.age(range);
            }
        }
        let was_young = self.aged.swap(age == Age::Young, SeqCst);
        Ok(if self.is(Fault::StaysYoung) && was_young { Age::Young } else { age })
    }

    fn request_exit(&self, vcpu: VcpuIndex) {
        let before = self.requests.fetch_add(1, SeqCst);
        match self.fault {
            Fault::LosesAKick if !self.is_running.load(SeqCst) => {}
            Fault::LosesAKickWhileItRuns if self.runs_elsewhere() => {}
            Fault::LosesAKickFromInside if self.is_in_a_callback() => {}
            Fault::LosesEveryFifthKick if before % 5 == 4 => {}
            Fault::KicksTheWrongVcpu => self.vm.request_exit(VcpuIndex(0)),
            _ => self.vm.request_exit(vcpu),
        }
        if self.is(Fault::RemembersAKick) && !self.is_running.load(SeqCst) {
            self.kick_remains.store(1, SeqCst);
        }
    }
}

/// The register that two vCPUs share.
const SHARED: RegId = RegId::general(31);

struct BrokenVcpu<'vm> {
    vm: &'vm BrokenVm,
    index: VcpuIndex,
    inner: ToyVcpu<'vm>,
    loses_writes: bool,
    /// What the last run ended with, if that was a wait.
    waited: Option<Outcome>,
}

impl Registers for BrokenVcpu<'_> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        if self.vm.is(Fault::SharesARegister) && id == SHARED {
            if let Some((_, value)) = self.vm.shared.lock().unwrap().filter(|(by, _)| *by != self.index) {
                return Ok(value);
            }
        }
        match self.inner.read(id) {
            Err(RegisterError::Unknown(_)) if self.vm.is(Fault::UnknownRegistersAreZero) => Ok(0),
            result => result,
        }
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        if self.loses_writes && id.bank == Bank::GENERAL {
            return Ok(());
        }
        if id == SHARED {
            *self.vm.shared.lock().unwrap() = Some((self.index, value));
        }
        let saturates = self.vm.is(Fault::SaturatesARegister) && id == RegId::general(3);
        let value = if saturates { value.min(u64::MAX - 1) } else { value };
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

/// What the kit sees of a vCPU and its guest side.
struct BrokenCpu<'vm, C> {
    vm: &'vm BrokenVm,
    pair: C,
    /// The access that the last run ended with, and the token that the guest side gave it.
    offered: Option<(DeviceAccess, Token)>,
    /// `before_observe` was called, and no run since.
    is_observed: bool,
}

impl<C: Cpu> Cpu for BrokenCpu<'_, C> {
    fn run(&mut self, bench: &Bench<'_>) -> Outcome {
        if std::mem::take(&mut self.is_observed) && self.vm.is(Fault::AppliesAgain) {
            let pc = self.registers().read(RegId::PC).unwrap();
            self.registers().write(RegId::PC, pc + 4).unwrap();
        }
        let before = self.offered.take();
        match self.pair.run(bench) {
            Outcome::Device(access, token) => {
                self.offered = Some((access, token));
                let is_new = self.vm.is(Fault::RenamesWhatWaits) && before == self.offered;
                Outcome::Device(access, if is_new { Token(token.0 + 1) } else { token })
            }
            other => other,
        }
    }

    fn registers(&mut self) -> &mut dyn Registers {
        self.pair.registers()
    }

    fn before_observe(&mut self) -> Result<(), RegisterError> {
        self.is_observed = true;
        if self.vm.is(Fault::ObservesNothing) { Ok(()) } else { self.pair.before_observe() }
    }

    fn complete(&mut self, token: Token, answer: DeviceAnswer) -> Result<(), CompletionError> {
        match (self.vm.fault, self.offered, self.pair.complete(token, answer)) {
            (Fault::TakesAnyToken, Some((_, right)), Err(CompletionError::NotWaiting(_))) => {
                self.pair.complete(right, answer)
            }
            (Fault::TakesAnyAnswer, _, Err(CompletionError::Mismatch(_))) => {
                let other =
                    if answer == DeviceAnswer::Done { DeviceAnswer::Value(0) } else { DeviceAnswer::Done };
                self.pair.complete(token, other)
            }
            (_, _, result) => result,
        }
    }

    fn guest_side(&self) -> GuestSide {
        self.pair.guest_side()
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
        match next {
            Next::Stop(StopReason::Suspend) if self.vm.is(Fault::SuspendIsPowerOff) => {
                Next::Stop(StopReason::PowerOff)
            }
            next => next,
        }
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
        match access.operation {
            DeviceOperation::Write(value) if self.vm.is(Fault::CutsDeviceStores) => {
                let operation = DeviceOperation::Write(value & u64::from(u32::MAX));
                self.platform.device(vcpu, &DeviceAccess { operation, ..*access })
            }
            _ => self.platform.device(vcpu, access),
        }
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
        let mut vcpu = BrokenVcpu {
            vm: self,
            index,
            inner: ToyVcpu::new(&self.vm, index),
            loses_writes: false,
            waited: None,
        };
        let mut hart = started(&mut vcpu, index, entry.value());
        let pair = Pair::new(&mut vcpu, &mut hart);
        then(&mut BrokenCpu { vm: self, pair, offered: None, is_observed: false });
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
        let mut vm = ToyVm::new(vcpus, MEMORY_BYTES);
        vm.cuts_halves = self.fault == Fault::CutsHalves;
        then(&BrokenVm {
            vm,
            fault: self.fault,
            lock: Mutex::new(()),
            is_running: AtomicBool::new(false),
            kick_remains: AtomicU64::new(0),
            aged: AtomicBool::new(false),
            named: Mutex::default(),
            runner: Mutex::default(),
            requests: AtomicU64::new(0),
            shared: Mutex::default(),
        });
    }

    fn nanoseconds(&self) -> u64 {
        self.toy.nanoseconds()
    }

    fn relax(&self) {
        if self.fault == Fault::RemovedSlotsStayWhileItRuns {
            // The guest's thread gets its turn, however much there is to do.
            return std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::yield_now();
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        riscv::at_once(first, second)
    }
}
