//! The machine: memory, the stack of crates, and a thread for each vCPU.

use crate::bus::Bus;
use crate::console::{self, Typed, Typist};
use crate::cpu;
use crate::image::{self, Image};
use crate::layout::{ADDRESS_BITS, RAM};
use crate::options::{Accelerator, Options};
use crate::stats::{Counters, Report, VcpuReport};
use crate::{Error, fdt, kernel, memory};
use arm_exec::ram::MapMemory;
use arm_exec::{Block, Caches, Function, Jump, Op, Page, Ram};
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::Tables;
use sae_model::{Clock, Storage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use vcpu_core::{Line, Spi};
use xarch_abi::{
    Backend, BackendVcpu, DeviceAccess, DeviceAnswer, Guest, GuestPa, GuestRange, HostPa, Outcome, Platform,
    RegId, Registers, Slot, StopReason, TraceEvent, Unreadable, VcpuIndex, Writable,
};

type Model = sae_model::Machine<'static, HostClock>;
type HostVm<'a> = s390_host::Vm<&'a Model, Storage<'static>, spin::Mutex<Tables>>;
type CoreVm = vcpu_core::Vm<8>;

/// Absolute storage below the guest's RAM: page 0 stays unused, as the prefix area of a real machine.
const TABLES_START: u64 = 0x1000;
const LARGE_PAGE: u64 = 2 << 20;

const NO_CPU: &str = "the model has no such CPU";

/// The host's monotonic clock.
#[derive(Debug)]
struct HostClock(Instant);

impl Clock for HostClock {
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How the machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest turned it off.
    PowerOff,
    /// The guest asked for a reset.
    Reset,
    /// The person at the terminal asked for it.
    Quit,
    /// A vCPU cannot go on.
    Failed(VcpuIndex, StopReason),
}

/// Host memory of a machine, kept over resets.
#[derive(Debug)]
pub struct Memory {
    pages: &'static [Page],
    /// Where guest RAM begins in absolute storage.
    ram: u64,
    bytes: u64,
}

impl Memory {
    /// Takes the guest's memory and what its tables need from the host.
    ///
    /// # Errors
    /// In words, if the host does not have it.
    pub fn new(bytes: u64) -> Result<Self, String> {
        // Control blocks, a segment table for each 2 GiB, a page table (1/512) for each MiB, and as much to spare.
        let tables = (bytes / 256).saturating_add(8 << 20);
        let ram = TABLES_START.checked_add(tables).and_then(|end| end.checked_next_multiple_of(LARGE_PAGE));
        let ram = ram.ok_or("more memory than addresses")?;
        let all = ram.checked_add(bytes).ok_or("more memory than addresses")?;
        Ok(Self { pages: memory::take(all)?, ram, bytes })
    }

    /// The guest's part.
    pub(crate) fn guest_pages(&self) -> &'static [Page] {
        let tables = usize::try_from(self.ram / 4096).unwrap_or(usize::MAX);
        self.pages.get(tables..).unwrap_or_default()
    }

    const fn ram(&self) -> Ram<'static> {
        Ram::new(self.pages)
    }

    /// Copies bytes to a guest-physical address in RAM.
    fn load(&self, address: u64, bytes: &[u8]) -> Result<(), String> {
        let at = address.checked_sub(RAM).and_then(|offset| self.ram.checked_add(offset));
        let at = at.ok_or("below RAM")?;
        Storage::new(self.ram()).write_bytes(Absolute::new(at), bytes).map_err(|error| error.to_string())
    }

    /// Fills everything with zeros, for a machine that starts again. Pages that never held anything are only looked
    /// at: the host need not provide them.
    ///
    /// # Errors
    /// In words, if a page is not there, which is a mistake of this program.
    pub fn clear(&self) -> Result<(), String> {
        let storage = Storage::new(self.ram());
        let text = |error: s390_arch::OutsideStorage| error.to_string();
        for page in (0..self.ram().bytes()).step_by(4096) {
            let end = page.saturating_add(4096);
            for at in (page..end).step_by(8) {
                if storage.load_u64(Absolute::new(at)).map_err(text)? != 0 {
                    storage.write_bytes(Absolute::new(page), &[0; 4096]).map_err(text)?;
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The embedder's side of the contract.
struct Host<'a> {
    slot: Slot,
    storage: Storage<'static>,
    bus: Bus,
    core: &'a CoreVm,
    backend: &'a HostVm<'a>,
    threads: &'a [OnceLock<Thread>],
    stop: AtomicBool,
    end: Mutex<Option<End>>,
    counters: Option<Counters>,
    trace: bool,
}

impl Host<'_> {
    fn drive(&self, intid: u32, high: bool) {
        if let Some(spi) = Spi::new(intid) {
            self.core.set_spi_level(spi, if high { Line::High } else { Line::Low }, self);
        }
    }

    /// Ends the machine; the first reason stands, but a machine that the person has ended does not start again.
    fn stop(&self, end: End) {
        let mut stands = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!((*stands, end), (None, _) | (Some(End::Reset), End::Quit)) {
            *stands = Some(end);
        }
        drop(stands);
        self.stop.store(true, Ordering::SeqCst);
        self.bus.close();
        for index in 0..self.core.config().vcpus {
            self.kick(VcpuIndex(index));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Platform for Host<'_> {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.slot.guest.contains(address).then_some(self.slot)
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        let unreadable = Unreadable(address);
        let offset = address.offset_from(self.slot.guest.start()).ok_or(unreadable)?;
        let bytes = u64::try_from(into.len()).map_err(|_| unreadable)?;
        if offset.checked_add(bytes).is_none_or(|end| end > self.slot.guest.bytes()) {
            // The first address behind RAM.
            return Err(self.slot.guest.last().checked_add(1).map_or(unreadable, Unreadable));
        }
        let at = self.slot.host.checked_add(offset).ok_or(unreadable)?;
        self.storage.read_bytes(Absolute::new(at.value()), into).map_err(|_| unreadable)
    }

    fn device(&self, _vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        Some(self.bus.access(access, |intid, high| self.drive(intid, high)))
    }

    fn kick(&self, vcpu: VcpuIndex) {
        self.backend.request_exit(vcpu);
        if let Some(thread) = self.threads.get(usize::from(vcpu.0)).and_then(OnceLock::get) {
            thread.unpark();
        }
    }

    fn relax(&self, _vcpu: VcpuIndex) {
        thread::yield_now();
    }

    fn trace(&self, vcpu: VcpuIndex, event: TraceEvent) {
        if let Some(counters) = &self.counters {
            counters.count(event);
        }
        if self.trace {
            eprintln!("vcpu {}: {event:x?}\r", vcpu.0);
        }
    }
}

/// Memory for the caches of one PE.
struct CacheMemory {
    maps: Vec<MapMemory>,
    ops: Vec<Op>,
    blocks: Vec<Block>,
    jumps: Vec<Jump>,
    functions: Vec<Function>,
}

impl CacheMemory {
    fn new() -> Self {
        Self {
            maps: (0..Caches::MAPS).map(|_| MapMemory::default()).collect(),
            ops: vec![Op::default(); Caches::OPS],
            blocks: vec![Block::default(); Caches::BLOCKS],
            jumps: vec![Jump::default(); Caches::JUMPS],
            functions: vec![Function::default(); Caches::FUNCTIONS],
        }
    }

    fn lend(&mut self) -> Caches<'_> {
        Caches {
            maps: &mut self.maps,
            ops: &mut self.ops,
            blocks: &mut self.blocks,
            jumps: &mut self.jumps,
            functions: &mut self.functions,
        }
    }
}

/// What is called on each vCPU's thread before it runs: absolute storage, its control block, its number.
pub type BeforeRun<'a> = dyn Fn(&Storage<'_>, Absolute, VcpuIndex) + Sync + 'a;

/// What a test or a debugger may want otherwise; the default is the machine that people get.
#[derive(Clone, Copy, Default)]
pub struct Setup<'a> {
    /// Choices and misbehaviour of the model.
    pub model: sae_model::Config,
    /// The form of the main-storage limit that the driver writes.
    pub limit: s390_host::LimitForm,
    /// Looks at, or spoils, what the driver has prepared.
    pub before_run: Option<&'a BeforeRun<'a>>,
}

impl std::fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("model", &self.model)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Runs the machine once, from reset to its end.
///
/// # Errors
/// [`Error::Request`] if it could not be built, [`Error::Machine`] if it broke.
pub fn run(
    options: &Options,
    image: &Image,
    memory: &Memory,
    typist: &mut Typist,
    setup: &Setup<'_>,
) -> Result<(End, Option<Report>), Error> {
    let text = |error: &dyn std::fmt::Display| Error::Request(error.to_string());
    load(options, image, memory).map_err(Error::Request)?;
    if let Accelerator::Device(device) = &options.accel {
        return Ok((kernel::run(device, options, image, memory, typist)?, None));
    }
    let model = Model::new(memory.ram(), HostClock(Instant::now()), setup.model);
    let core = core(options.cpus).map_err(Error::Request)?;
    let config = s390_host::Config {
        address_bits: ADDRESS_BITS,
        vcpus: options.cpus,
        storage: (Absolute::new(TABLES_START), memory.ram.saturating_sub(TABLES_START)),
        limit: setup.limit,
        qmc_base: setup.model.qmc_base,
    };
    let backend = {
        // Building a VM asks the machine about itself, which any CPU can answer.
        let mut caches = CacheMemory::new();
        let mut cpu = model.cpu(0, caches.lend()).ok_or_else(|| text(&NO_CPU))?;
        HostVm::new(&mut cpu, &model, model.storage(), config).map_err(|error| text(&error))?
    };
    let guest = GuestRange::new(GuestPa::new(RAM), memory.bytes)
        .ok_or_else(|| text(&"RAM ends past the address space"))?;
    let slot = Slot { guest, host: HostPa::new(memory.ram), writable: Writable::Yes };
    backend.add_slot(&slot).map_err(|error| text(&error))?;

    let threads: Vec<OnceLock<Thread>> = (0..options.cpus).map(|_| OnceLock::new()).collect();
    let host = Host {
        slot,
        storage: model.storage(),
        bus: Bus::default(),
        core: &core,
        backend: &backend,
        threads: &threads,
        stop: AtomicBool::new(false),
        end: Mutex::new(None),
        counters: options.stats.then(Counters::default),
        trace: options.trace,
    };
    let started = Instant::now();
    let ready = Barrier::new(usize::from(options.cpus));
    let reports = thread::scope(|scope| {
        scope.spawn(|| type_in(&host, typist));
        let vcpus: Vec<_> = (0..options.cpus)
            .map(|number| {
                let (host, ready, model, index) = (&host, &ready, &model, VcpuIndex(number));
                scope.spawn(move || run_vcpu(host, ready, index, model, image, options, setup))
            })
            .collect();
        vcpus.into_iter().map(|vcpu| vcpu.join()).collect::<Vec<_>>()
    });
    let end = host.end.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut vcpus = Vec::new();
    for report in reports {
        let panicked = || Err(Error::Machine("a vCPU's thread panicked".into()));
        vcpus.push(report.unwrap_or_else(|_| panicked())?);
    }
    let report = host.counters.as_ref().map(|counters| Report::new(started.elapsed(), counters, vcpus));
    Ok((end.unwrap_or(End::Quit), report))
}

/// Puts kernel, RAM disk and device tree into guest memory.
fn load(options: &Options, image: &Image, memory: &Memory) -> Result<(), String> {
    let placement = &image.placement;
    let dtb = device_tree(options, image)?;
    memory.load(placement.kernel, &image.kernel)?;
    memory.load(placement.initrd.0, &image.initrd)?;
    memory.load(placement.dtb, &dtb)
}

/// Returns the device tree: the person's own, or the machine's.
///
/// # Errors
/// In words, if the file cannot be read or what was asked for cannot be said in one.
pub fn device_tree(options: &Options, image: &Image) -> Result<Vec<u8>, String> {
    let dtb = match &options.dtb {
        Some(path) => image::file(path, image::DTB_BYTES)?,
        None => fdt::build(&affinities(options.cpus)?, options.memory, &options.cmdline, &image.placement)
            .map_err(|error| format!("device tree: {error}"))?,
    };
    let bytes = u64::try_from(dtb.len()).map_err(|_| "device tree too large")?;
    if bytes > image::DTB_BYTES || !dtb.starts_with(&[0xd0, 0x0d, 0xfe, 0xed]) {
        return Err("the device tree is none, or larger than 2 MiB".into());
    }
    Ok(dtb)
}

/// Returns the affinities of the vCPUs, as the device tree names CPUs: MPIDR_EL1 without its flags.
fn affinities(cpus: u16) -> Result<Vec<u64>, String> {
    let core = core(cpus)?;
    let vcpus = (0..cpus).filter_map(|index| vcpu_core::Vcpu::new(&core, VcpuIndex(index)));
    Ok(vcpus.map(|vcpu| vcpu.mpidr().into_bits() & 0xff_00ff_ffff).collect())
}

fn core(cpus: u16) -> Result<CoreVm, String> {
    let config = vcpu_core::Config { address_bits: ADDRESS_BITS, ..vcpu_core::Config::new(cpus) };
    CoreVm::new(config).map_err(|error| error.to_string())
}

/// Ends the machine when the thread of a vCPU panics: the others would wait for it forever.
struct EndOnPanic<'a> {
    host: &'a Host<'a>,
    /// Where the others wait for it at the start, until it has been there.
    ready: Option<&'a Barrier>,
}

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.host.stop(End::Quit);
            if let Some(ready) = self.ready {
                ready.wait();
            }
        }
    }
}

/// The life of one vCPU's thread.
fn run_vcpu(
    host: &Host<'_>,
    ready: &Barrier,
    index: VcpuIndex,
    model: &Model,
    image: &Image,
    options: &Options,
    setup: &Setup<'_>,
) -> Result<VcpuReport, Error> {
    let mut end = EndOnPanic { host, ready: Some(ready) };
    if let Some(thread) = host.threads.get(usize::from(index.0)) {
        // Set once, by this thread; nobody else writes it.
        let _ = thread.set(thread::current());
    }
    let mut caches = CacheMemory::new();
    let text = |error: &dyn std::fmt::Display| Error::Machine(error.to_string());
    let cpu = model.cpu(index.0, caches.lend()).ok_or_else(|| text(&NO_CPU));
    let made = cpu.and_then(|cpu| {
        let made = s390_host::Vcpu::new(host.backend, cpu, index);
        let mut vcpu = made.map_err(|error| text(&error))?;
        let guest = vcpu_core::Vcpu::new(host.core, index);
        let mut guest = guest.ok_or_else(|| text(&"the VM has no such vCPU"))?;
        prepare(&mut vcpu, &mut guest, index, image).map_err(Error::Machine)?;
        if let Some(named) = &options.cpu_model {
            cpu::tell(host.core, named, options.lower_cpu_model).map_err(Error::Request)?;
            // Controls follow from it.
            prepare(&mut vcpu, &mut guest, index, image).map_err(Error::Machine)?;
        }
        if let (Some(before_run), Some(block)) = (setup.before_run, host.backend.control_block(index)) {
            before_run(&model.storage(), block, index);
        }
        Ok((vcpu, guest))
    });
    // Nobody runs before everybody is there: the first thing a guest may do is to start another CPU.
    ready.wait();
    end.ready = None;
    let (mut vcpu, mut guest) = match made {
        Ok(made) => made,
        Err(error) => {
            host.stop(End::Quit);
            return Err(error);
        }
    };
    while !host.is_stopped() {
        match vcpu.run(&mut guest, host) {
            Outcome::Interrupted => {}
            Outcome::Wait { deadline: None } => thread::park(),
            Outcome::Wait { deadline: Some(deadline) } => {
                thread::park_timeout(Duration::from_nanos(deadline.nanoseconds));
            }
            // Every device of this machine answers at once.
            Outcome::Device(..) => host.stop(End::Failed(index, StopReason::Host)),
            Outcome::Stopped(StopReason::PowerOff) => host.stop(End::PowerOff),
            Outcome::Stopped(StopReason::Reset) => host.stop(End::Reset),
            Outcome::Stopped(reason) => {
                describe(&mut vcpu, &mut guest, index);
                host.stop(End::Failed(index, reason));
            }
        }
    }
    let driver = *vcpu.statistics();
    Ok(VcpuReport { driver, model: vcpu.facility().statistics() })
}

/// Puts a vCPU into its reset state; the first one starts at the kernel.
fn prepare<R: Registers>(
    registers: &mut R,
    guest: &mut vcpu_core::Vcpu<'_, 8>,
    index: VcpuIndex,
    image: &Image,
) -> Result<(), String> {
    guest.reset(registers).map_err(|error| error.to_string())?;
    if index.0 == 0 {
        // The boot protocol: X0 is the device tree, X1 to X3 are zero.
        guest
            .boot(registers, image.placement.kernel, [image.placement.dtb, 0, 0, 0])
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Says where a vCPU that cannot go on was.
fn describe<R: Registers>(registers: &mut R, guest: &mut vcpu_core::Vcpu<'_, 8>, index: VcpuIndex) {
    if guest.before_observe(registers).is_err() {
        return;
    }
    let mut get = |id| registers.read(id).unwrap_or(0);
    let (pc, status) = (get(RegId::PC), get(RegId::STATUS));
    eprintln!("vmm: vcpu {} at PC {pc:#018x}, PSTATE {status:#010x}\r", index.0);
    let numbers: Vec<u8> = (0..31).collect();
    for row in numbers.chunks(4) {
        let line: Vec<String> =
            row.iter().map(|n| format!("X{n:<2} {:#018x}", get(RegId::general(*n)))).collect();
        eprintln!("  {}\r", line.join("  "));
    }
}

/// What a person can do to a machine.
pub(crate) trait Operated {
    /// Gives typed bytes to the serial port.
    fn type_in(&self, bytes: &[u8]);
    /// Lets time pass for devices that wait for it.
    fn tick(&self);
    /// Ends the machine.
    fn quit(&self);
    /// Whether it has ended.
    fn has_ended(&self) -> bool;
}

impl Operated for Host<'_> {
    fn type_in(&self, bytes: &[u8]) {
        self.bus.type_in(bytes, |intid, high| self.drive(intid, high));
    }

    fn tick(&self) {
        self.bus.tick(|intid, high| self.drive(intid, high));
    }

    fn quit(&self) {
        self.stop(End::Quit);
    }

    fn has_ended(&self) -> bool {
        self.is_stopped()
    }
}

/// Carries what is typed to the serial port, and the time to devices, until the machine ends. What comes after that is
/// kept for the next start.
pub(crate) fn type_in(host: &impl Operated, typist: &mut Typist) {
    let mut buffer = [0; 1024];
    while !host.has_ended() {
        if console::is_signalled() {
            host.quit();
            return;
        }
        console::stop_if_asked();
        host.tick();
        let early = std::mem::take(&mut typist.early);
        if !early.is_empty() {
            host.type_in(&early);
        }
        let Some(typed) = typist.read(&mut buffer) else { continue };
        for typed in typist.keys.split(typed) {
            match typed {
                Typed::Bytes(bytes) if host.has_ended() => typist.early.extend(bytes),
                Typed::Bytes(bytes) => host.type_in(&bytes),
                Typed::Quit => host.quit(),
                Typed::Help => eprint!("\r\nCtrl-A X quits, Ctrl-A Ctrl-A sends Ctrl-A\r\n"),
            }
        }
    }
}

#[cfg(test)]
mod conformance;
