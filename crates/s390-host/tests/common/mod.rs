//! A machine, a VM on it, a guest side that decides by closures, and a few words of A64.
#![allow(
    dead_code,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code, of which each test uses a part"
)]

pub mod a64;

use arm_exec::{Caches, Page, Ram};
use s390_arch::sae::QmcBase;
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::{HostError, Tables};
use sae_model::{Clock, Cpu, Machine, Storage};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use testkit::caches::{CacheMemory, Capacity};
use xarch_abi::{
    Backend, BackendVcpu, CompletionError, DeviceAccess, DeviceAnswer, Exit, Guest, GuestPa, GuestRange,
    HostPa, Lock, Next, Outcome, Platform, RegId, RegisterError, Registers, Slot, StopReason, Token,
    TraceEvent, VcpuIndex, Writable,
};

/// Where guest RAM begins for the guest, and on the host.
pub const RAM: u64 = 0x4000_0000;
pub const HOST_RAM: u64 = 2 << 20;
/// The VM's own storage ends where RAM begins.
const OWN: (Absolute, u64) = (Absolute::new(0x1000), HOST_RAM - 0x1000);

/// HCR_EL2 of the SAE sources, with TWI and TWE.
pub const HCR: u64 = 0x0402_000c_801f_003c | 1 << 13 | 1 << 14;
/// PSTATE: EL1h, DAIF masked.
pub const EL1H: u64 = 0x3c5;

/// What the tests vary.
#[derive(Clone, Copy)]
pub struct Setup {
    pub model: sae_model::Config,
    pub limit: s390_host::LimitForm,
    pub qmc_base: QmcBase,
    pub address_bits: u8,
    pub vcpus: u16,
    /// Bytes of guest RAM.
    pub ram: u64,
    /// Stands still unless it is moved.
    pub still: bool,
}

/// Whether this is the program that runs the tests under the settings that are not the default.
const OTHER_SETTINGS: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"other_settings");

impl Default for Setup {
    fn default() -> Self {
        let (model, limit) = if OTHER_SETTINGS {
            let model = sae_model::Config {
                limit: sae_model::LimitForm::Size,
                qmc_base: QmcBase::FromRegs,
                past_limit: sae_model::PastLimit::HostAccess,
                host_stores: sae_model::HostStores::AtEntry,
                ..sae_model::Config::default()
            };
            (model, s390_host::LimitForm::Size)
        } else {
            (sae_model::Config::default(), s390_host::LimitForm::default())
        };
        Self {
            model,
            limit,
            qmc_base: model.qmc_base,
            address_bits: 40,
            vcpus: 1,
            ram: 4 << 20,
            still: false,
        }
    }
}

/// The host's clock: real, or moved by the test.
#[derive(Debug)]
pub struct TestClock {
    started: Option<Instant>,
    pub now: AtomicU64,
}

impl TestClock {
    /// The real clock, from now on.
    pub fn running() -> Self {
        Self { started: Some(Instant::now()), now: AtomicU64::new(0) }
    }
}

impl Clock for TestClock {
    fn nanoseconds(&self) -> u64 {
        let moved = self.now.load(Ordering::SeqCst);
        self.started.map_or(moved, |started| moved + u64::try_from(started.elapsed().as_nanos()).unwrap())
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

/// The lock of an embedder with threads: who waits sleeps.
#[derive(Debug)]
pub struct TestLock<T>(Mutex<T>);

impl<T: Send> Lock<T> for TestLock<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        section(&mut self.0.lock().unwrap())
    }
}

pub type Model<'a> = Machine<'a, TestClock>;
pub type HostVm<'a> = s390_host::Vm<&'a Model<'a>, Storage<'a>, TestLock<Tables>>;
pub type HostVcpu<'a, 'vm> =
    s390_host::Vcpu<'vm, Cpu<'a, TestClock>, &'a Model<'a>, Storage<'a>, TestLock<Tables>>;

/// A CPU that is yet to be made, by the thread that will play it.
#[derive(Debug)]
pub struct Seat<'a> {
    machine: &'a Model<'a>,
    caches: Caches<'a>,
    number: u16,
}

impl<'a> Seat<'a> {
    pub fn cpu(self) -> Cpu<'a, TestClock> {
        self.machine.cpu(self.number, self.caches).expect("the model has such a CPU")
    }

    /// Makes the vCPU of the same number, which will start at `pc` at EL1 with the MMU off.
    pub fn vcpu<'vm>(self, vm: &'vm HostVm<'a>, pc: u64) -> HostVcpu<'a, 'vm> {
        let index = self.number;
        started(vm, self.cpu(), index, pc)
    }
}

/// A machine with one VM that has one slot of RAM.
pub struct Rig<'a> {
    pub vm: HostVm<'a>,
    pub parts: Parts<'a>,
}

/// A rig without its VM.
pub struct Parts<'a> {
    pub machine: &'a Model<'a>,
    seats: Mutex<Vec<Option<Seat<'a>>>>,
    pub clock: &'a TestClock,
    pub platform: TestPlatform,
    pub storage: Storage<'a>,
}

/// Builds the rig; the error is what the driver says of the settings.
pub fn try_rig<T>(setup: Setup, test: impl FnOnce(Rig<'_>) -> T) -> Result<T, HostError> {
    let pages: Vec<Page> = (0..(HOST_RAM + setup.ram) >> 12).map(|_| Page::zeroed()).collect();
    let clock = TestClock { started: (!setup.still).then(Instant::now), now: AtomicU64::new(0) };
    let machine = Machine::new(Ram::new(&pages), clock, setup.model);
    let mut memory: Vec<CacheMemory> = (0..setup.vcpus).map(|_| CacheMemory::new(Capacity::LARGE)).collect();
    let config = s390_host::Config {
        address_bits: setup.address_bits,
        vcpus: setup.vcpus,
        storage: OWN,
        limit: setup.limit,
        qmc_base: setup.qmc_base,
    };
    let vm = {
        let mut cpu = machine.cpu(0, memory[0].lend()).expect("the model has CPU 0");
        HostVm::new(&mut cpu, &machine, machine.storage(), config)?
    };
    let ram = slot(RAM, setup.ram, HOST_RAM, Writable::Yes);
    vm.add_slot(&ram)?;
    let seats: Vec<_> = (0..)
        .zip(&mut memory)
        .map(|(number, memory)| Some(Seat { machine: &machine, caches: memory.lend(), number }))
        .collect();
    let platform = TestPlatform { slots: Mutex::new(vec![ram]), ..TestPlatform::default() };
    let storage = machine.storage();
    let parts =
        Parts { machine: &machine, seats: Mutex::new(seats), clock: machine.clock(), platform, storage };
    Ok(test(Rig { vm, parts }))
}

pub fn with_rig<T>(setup: Setup, test: impl FnOnce(Rig<'_>) -> T) -> T {
    try_rig(setup, test).expect("the rig can be built")
}

pub fn slot(guest: u64, bytes: u64, host: u64, writable: Writable) -> Slot {
    Slot { guest: GuestRange::new(GuestPa::new(guest), bytes).unwrap(), host: HostPa::new(host), writable }
}

pub fn range(start: u64, bytes: u64) -> GuestRange {
    GuestRange::new(GuestPa::new(start), bytes).unwrap()
}

impl<'a> Rig<'a> {
    pub fn add_slot(&self, slot: Slot) {
        self.vm.add_slot(&slot).unwrap();
        self.parts.platform.slots.lock().unwrap().push(slot);
    }

    /// Takes the rig apart, so that the VM can be borrowed beside it.
    pub fn split(self) -> (HostVm<'a>, Parts<'a>) {
        (self.vm, self.parts)
    }
}

impl<'a> std::ops::Deref for Rig<'a> {
    type Target = Parts<'a>;
    fn deref(&self) -> &Parts<'a> {
        &self.parts
    }
}

impl<'a> Parts<'a> {
    /// Makes a vCPU on this thread.
    pub fn vcpu<'vm>(&self, vm: &'vm HostVm<'a>, index: u16, pc: u64) -> HostVcpu<'a, 'vm> {
        self.seat(index).vcpu(vm, pc)
    }

    /// Takes what a thread needs to play a CPU.
    pub fn seat(&self, index: u16) -> Seat<'a> {
        self.seats.lock().unwrap()[usize::from(index)].take().expect("one vCPU for each CPU")
    }

    /// Puts instructions at a guest-physical address of RAM.
    pub fn load(&self, address: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.storage.write_bytes(Absolute::new(address - RAM + HOST_RAM), &bytes).unwrap();
    }

    /// Reads a doubleword of RAM as the guest sees it.
    pub fn peek(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.storage.load(Absolute::new(address - RAM + HOST_RAM)).unwrap())
    }

    /// Puts a doubleword into RAM as the guest sees it.
    pub fn poke(&self, address: u64, value: u64) {
        self.storage.store(Absolute::new(address - RAM + HOST_RAM), value.to_le_bytes()).unwrap();
    }
}

/// Makes a vCPU in the state of the start of a guest at EL1, MMU off.
pub fn started<'a, 'vm>(
    vm: &'vm HostVm<'a>,
    cpu: Cpu<'a, TestClock>,
    index: u16,
    pc: u64,
) -> HostVcpu<'a, 'vm> {
    let mut vcpu = HostVcpu::new(vm, cpu, VcpuIndex(index)).unwrap();
    for (id, value) in [
        (RegId::control(0xe088), HCR),
        (RegId::control(0xe005), 1 << 31 | u64::from(index)),
        (RegId::control(0xe08a), 0x0030_0000), // CPTR_EL2 (E2H): FPEN
        (RegId::control(0xe708), 0xc00),       // CNTHCTL_EL2 (E2H): EL1PCEN, EL1PCTEN
        (RegId::control(0xe64d), 0xf),         // ICC_SRE_EL2
        (RegId::PC, pc),
        (RegId::STATUS, EL1H),
    ] {
        vcpu.write(id, value).unwrap();
    }
    vcpu
}

/// A platform with slots and at most one device, whose answer is fixed.
#[derive(Default)]
pub struct TestPlatform {
    pub slots: Mutex<Vec<Slot>>,
    pub answer: Option<DeviceAnswer>,
    pub mapped: Mutex<Vec<GuestPa>>,
}

impl Platform for TestPlatform {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.slots.lock().unwrap().iter().find(|slot| slot.guest.contains(address)).copied()
    }

    fn device(&self, _vcpu: VcpuIndex, _access: &DeviceAccess) -> Option<DeviceAnswer> {
        self.answer
    }

    fn kick(&self, _vcpu: VcpuIndex) {}

    fn trace(&self, _vcpu: VcpuIndex, event: TraceEvent) {
        if let TraceEvent::Mapped(address) = event {
            self.mapped.lock().unwrap().push(address);
        }
    }
}

type OnEntry<'t> = Box<dyn FnMut(&mut dyn Registers) -> Next + 't>;
type OnExit<'t> = Box<dyn FnMut(&mut dyn Registers, Exit) -> Next + 't>;

/// A guest side that knows nothing but to stop.
pub struct TestGuest<'t> {
    pub entry: OnEntry<'t>,
    pub exit: OnExit<'t>,
    pub seen: Vec<Exit>,
    pub completed: Vec<(Token, DeviceAnswer)>,
}

impl<'t> TestGuest<'t> {
    pub fn new() -> Self {
        Self {
            entry: Box::new(|_| Next::Resume),
            exit: Box::new(|_, exit| usual(exit)),
            seen: Vec::new(),
            completed: Vec::new(),
        }
    }

    pub fn on_entry(entry: impl FnMut(&mut dyn Registers) -> Next + 't) -> Self {
        Self { entry: Box::new(entry), ..Self::new() }
    }

    pub fn on_exit(exit: impl FnMut(&mut dyn Registers, Exit) -> Next + 't) -> Self {
        Self { exit: Box::new(exit), ..Self::new() }
    }
}

/// What happens after an exit that the test has no opinion about. `HVC #0` turns the machine off.
pub fn usual(exit: Exit) -> Next {
    match exit {
        Exit::Spurious | Exit::Timer(_) | Exit::Maintenance => Next::Resume,
        Exit::Trap(trap) if trap.syndrome == 0x5a00_0000 => Next::Stop(StopReason::PowerOff),
        Exit::Trap(trap) if trap.syndrome >> 26 == 0x16 => Next::Resume,
        Exit::Trap(trap) => Next::Stop(StopReason::Unhandled(trap)),
        Exit::Access(access) => Next::Stop(StopReason::Unhandled(access.trap)),
        Exit::Stop => Next::Stop(StopReason::Host),
        Exit::Invalid(state) => Next::Stop(StopReason::Invalid(state)),
        Exit::Unknown(code) => Next::Stop(StopReason::Unknown(code)),
    }
}

impl Guest for TestGuest<'_> {
    fn before_entry<R: Registers, P: Platform>(&mut self, registers: &mut R, _platform: &P) -> Next {
        (self.entry)(registers)
    }

    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, _platform: &P, exit: Exit) -> Next {
        self.seen.push(exit);
        (self.exit)(registers, exit)
    }

    fn before_observe<R: Registers>(&mut self, _registers: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }

    fn complete<R: Registers>(
        &mut self,
        _registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        self.completed.push((token, answer));
        Ok(())
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        registers.read(id)
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        registers.write(id, value)
    }

    fn reset<R: Registers>(&mut self, _registers: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }
}

pub const POWER_OFF: Outcome = Outcome::Stopped(StopReason::PowerOff);

/// Runs one vCPU from RAM's start with a guest side, to its end.
pub fn run_one(setup: Setup, words: &[u32], mut guest: TestGuest<'_>) -> (Outcome, Vec<Exit>) {
    with_rig(setup, |rig| {
        rig.load(RAM, words);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let outcome = vcpu.run(&mut guest, &parts.platform);
        (outcome, std::mem::take(&mut guest.seen))
    })
}
