//! A hypervisor on bare IBM Z: runs arm64 guests with `vcpu-core` on one side of the contract and `s390-host` on the
//! other.
//!
//! The smallest honest use of both on bare metal: QEMU's machine "s390-ccw-virtio". Where the machine announces Start
//! Arm Execution, its instructions run the guest; where it does not, the model does. As nobody outside IBM has such a
//! machine, one can be made: told to announce the facility, this program's handler of program checks emulates the
//! instructions, and the driver for real ones runs unchanged.
//!
//! `cargo xtask run-host bare-metal-s390x` builds and runs it both ways: the guest says what it has checked, and QEMU's
//! exit status is 0 where it turned itself off.
//!
//! ```text
//!   main     CPUs and their sleep          library  the guest by way of the C library
//!   guest    the VM, the Platform          emulate  the facility's instructions, by program check
//!   console  characters, by way of sclp    model    the facility in software
//!   kit      the conformance kit, on this machine
//!   space    the own address space         report   program checks of this program; trial makes them
//!   hw       everything unsafe; start.S
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;
// The VMM's serial port is shared with this program; what it takes from `std` is in `alloc`.
extern crate alloc as std;

mod console;
#[path = "../../bare-metal-arm64/src/devices.rs"]
mod devices;
mod emulate;
mod guest;
#[expect(unsafe_code, reason = "the machine; see the module")]
mod hw;
mod kit;
mod layout;
mod library;
mod model;
#[path = "../../vmm/src/pl011.rs"]
mod pl011;
mod report;
mod sclp;
mod space;
mod trial;

use console::{PORT, Port};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use guest::{Control, Guest, Manifest, Own, Sides};
use layout::CPUS;
use library::Library;
use s390_arch::Absolute;
use s390_arch::sae::Facility;
use s390_host::discovery::{self, Found};
use sclp::Information;
use space::Space;
use spin::Once;
use xarch_abi::{BackendVcpu, Guest as _, Outcome, StopReason, VcpuIndex};

/// The guest, once it is built.
static GUEST: Once<Guest> = Once::new();
/// The model that runs it, where the machine does not.
static MODEL: Once<&'static model::Machine> = Once::new();
/// The address space, for the CPUs that come later.
static SPACE: Once<Space> = Once::new();
/// CPUs that have reset their vCPUs.
static READY: AtomicUsize = AtomicUsize::new(0);
/// What each CPU does.
static PLACES: [Place; CPUS] = [const { Place::new() }; CPUS];
/// Something was typed.
static TYPED: AtomicBool = AtomicBool::new(false);

/// What one CPU does, for the others and for its interruptions.
struct Place {
    /// The control block of its vCPU.
    block: AtomicU64,
    /// The vCPU is being run.
    running: AtomicBool,
    /// It is to leave, and has not done so yet.
    leave: AtomicBool,
}

impl Place {
    const fn new() -> Self {
        Self { block: AtomicU64::new(0), running: AtomicBool::new(false), leave: AtomicBool::new(false) }
    }
}

/// How soon a CPU that is to leave its guest is interrupted once more: 100 µs of the time-of-day clock.
const AGAIN: u64 = 100 << 12;

/// The first CPU, with DAT off.
fn start() -> ! {
    if !sclp::start_console() {
        hw::exit(2);
    }
    let Some(information) = Information::read() else { fail(format_args!("no service processor")) };
    let bytes = information.storage_bytes();
    let features =
        space::Features { large_frames: hw::has_facility(8), protect_execution: hw::has_facility(130) };
    if bytes < layout::OWN_END {
        fail(format_args!("{} MiB of storage are too few", bytes >> 20));
    }
    hw::enter_address_space(*SPACE.call_once(|| space::build(bytes, features)), true);
    PORT.lock().line(format_args!(
        "xarch: hypervisor on IBM Z, {} MiB, DAT with {}",
        bytes >> 20,
        if features.large_frames { "frames of 1 MiB" } else { "pages of 4 KiB" }
    ));
    main(information, bytes)
}

fn main(mut information: Information, bytes: u64) -> ! {
    let storage = sae_model::Storage::new(hw::storage(bytes));
    let Some(manifest) = Manifest::read(&storage) else { fail(format_args!("the loader says nothing")) };
    if manifest.announce {
        emulate::install(model::machine(bytes));
    }
    information.cpus().for_each(emulate::announce);
    let found = discovery::discover(information.cpus().map(|entry| &*entry), hw::facility);
    if manifest.mistake != 0 {
        trial::run(manifest.mistake);
    }
    let cpus = information.cpus().count();
    if usize::from(manifest.vcpus) > cpus.min(CPUS) {
        fail(format_args!("{} vCPUs need as many CPUs, which are {cpus}", manifest.vcpus));
    }
    let guest = match Guest::new(manifest, storage) {
        Ok(guest) => GUEST.call_once(|| guest),
        Err(error) => fail(format_args!("{error}")),
    };
    match found {
        Found::Facility => {
            let how = if manifest.announce { "emulated" } else { "there" };
            PORT.lock().line(format_args!("xarch: Start Arm Execution is {how}"));
        }
        Found::NotAnnounced | Found::NoGuestTime => PORT
            .lock()
            .line(format_args!("xarch: no Start Arm Execution ({found:?}): the model runs the guest")),
    }
    if manifest.kit {
        check(guest, storage, found, bytes);
    }
    match found {
        _ if manifest.library => begin_library(guest, found, bytes),
        Found::Facility => begin(guest, hw::facility(), guest::machine_control()),
        Found::NotAnnounced | Found::NoGuestTime => {
            let machine = *MODEL.call_once(|| model::machine(bytes));
            begin(guest, model::cpu(machine, 0), Control::Model(machine))
        }
    }
}

/// Puts both sides together, starts the other CPUs, and runs the first vCPU.
fn begin<F: Facility>(guest: &'static Guest, mut facility: F, control: Control) -> ! {
    match Own::new(guest, &mut facility, control) {
        Ok(own) => guest.set_sides(Sides::Own(own)),
        Err(error) => fail(format_args!("{error}")),
    }
    start_others(guest);
    run_own(guest, facility, 0)
}

/// As [`begin`], with the C library.
fn begin_library(guest: &'static Guest, found: Found, bytes: u64) -> ! {
    match Library::new(guest, found, bytes) {
        Ok(library) => {
            PORT.lock().line(format_args!("xarch: by way of the C library, back end {}", library.name));
            guest.set_sides(Sides::Library(library));
        }
        Err(error) => fail(format_args!("{error}")),
    }
    start_others(guest);
    run_library(guest, 0)
}

/// Runs the conformance kit, and ends the machine.
fn check(guest: &'static Guest, storage: sae_model::Storage<'static>, found: Found, bytes: u64) -> ! {
    start_others(guest);
    let model = (found != Found::Facility).then(|| model::machine(bytes));
    let kept = kit::run(guest, storage, model);
    hw::exit(u64::from(!kept))
}

fn start_others(guest: &Guest) {
    for cpu in 1..usize::from(guest.manifest.vcpus) {
        if !hw::start_cpu(cpu) {
            fail(format_args!("CPU {cpu} does not start"));
        }
    }
}

/// Another CPU, with DAT off.
fn start_secondary(cpu: usize) -> ! {
    let (Some(space), Some(guest)) = (SPACE.get(), GUEST.get()) else { fail(format_args!("no guest")) };
    hw::enter_address_space(*space, false);
    if guest.manifest.kit {
        kit::serve();
    }
    match (guest.sides(), MODEL.get()) {
        (Some(Sides::Library(_)), _) => run_library(guest, cpu),
        (_, Some(machine)) => run_own(guest, model::cpu(machine, cpu), cpu),
        (_, None) => run_own(guest, hw::facility(), cpu),
    }
}

/// Runs a vCPU of the C library to the guest's end.
fn run_library(guest: &'static Guest, cpu: usize) -> ! {
    let Some(Sides::Library(library)) = guest.sides() else { fail(format_args!("no library")) };
    let mut vcpu = match library.vcpu(guest, VcpuIndex(cpu as u16)) {
        Ok(vcpu) => vcpu,
        Err(error) => fail(format_args!("vCPU {cpu}: {error}")),
    };
    run(guest, cpu, || library::run(&mut vcpu));
    end(guest)
}

/// Runs a vCPU to the guest's end.
fn run_own<F: Facility>(guest: &'static Guest, facility: F, cpu: usize) -> ! {
    let index = VcpuIndex(cpu as u16);
    let Some(Sides::Own(own)) = guest.sides() else { fail(format_args!("no guest")) };
    let host = s390_host::Vcpu::new(&own.host, facility, index);
    let mut host = host.unwrap_or_else(|error| fail(format_args!("vCPU {cpu}: {error}")));
    let core = vcpu_core::Vcpu::new(&own.core, index);
    let mut core = core.unwrap_or_else(|| fail(format_args!("no vCPU {cpu}")));
    let mut prepared = core.reset(&mut host);
    if cpu == 0 {
        let arguments = [guest.manifest.device_tree, 0, 0, 0];
        prepared = prepared.and_then(|()| core.boot(&mut host, guest.manifest.entry, arguments));
    }
    if let Err(error) = prepared {
        fail(format_args!("vCPU {cpu}: {error}"));
    }
    run(guest, cpu, || host.run(&mut core, guest));
    if let Some(error) = host.failure() {
        PORT.lock().line(format_args!("xarch: vCPU {cpu}: {error}"));
    }
    let statistics = host.statistics();
    PORT.lock().line(format_args!(
        "xarch: vCPU {cpu}: {} entries, {} pages mapped, interceptions {:?}",
        statistics.entries, statistics.faults_resolved, statistics.interceptions
    ));
    end(guest)
}

/// Runs a vCPU until the guest has ended, by `enter`.
fn run(guest: &'static Guest, cpu: usize, mut enter: impl FnMut() -> Outcome) {
    let index = VcpuIndex(cpu as u16);
    let Some(place) = PLACES.get(cpu) else { fail(format_args!("no CPU {cpu}")) };
    place.block.store(guest.control_block(index).map_or(0, Absolute::bits), Ordering::SeqCst);
    // Nobody runs before everybody is there: the first thing a guest may do is to start another vCPU.
    READY.fetch_add(1, Ordering::SeqCst);
    while READY.load(Ordering::SeqCst) < usize::from(guest.manifest.vcpus) {
        core::hint::spin_loop();
    }
    let mut services = Services::default();
    while guest.end().is_none() {
        if cpu == 0 && TYPED.swap(false, Ordering::SeqCst) {
            type_in(guest);
        }
        let kept = hw::Kept::set(hw::clock());
        place.running.store(true, Ordering::SeqCst);
        hw::enable();
        let outcome = enter();
        hw::disable();
        if !kept.are_kept() {
            fail(format_args!("vCPU {cpu}: the guest's registers are left in the host's"));
        }
        place.running.store(false, Ordering::SeqCst);
        place.leave.store(false, Ordering::SeqCst);
        match outcome {
            Outcome::Interrupted => {}
            Outcome::Wait { deadline } => {
                if cpu == 0 {
                    services.render(guest);
                }
                let at = deadline.map(|deadline| after(deadline.nanoseconds));
                sleep(guest, index, at);
            }
            Outcome::Stopped(reason) => guest.stop(reason),
            // Every device of this guest answers at once.
            Outcome::Device(..) => guest.stop(StopReason::Host),
        }
    }
    if cpu == 0 && guest.manifest.services {
        // Each of them at least once, and what was stored to since the last time.
        while services.rounds < 4 || services.rounds % 4 != 1 {
            services.render(guest);
        }
        PORT.lock().line(format_args!("xarch: {services:?}"));
    }
}

/// Waits for the other CPUs' ends.
fn end(guest: &Guest) -> ! {
    let done = READY.fetch_sub(1, Ordering::SeqCst) == 1;
    while !done {
        hw::wait();
    }
    finish(guest)
}

/// What was asked of the guest's memory while it ran.
#[derive(Debug, Default)]
struct Services {
    rounds: u64,
    dirty_pages: u64,
    young: u64,
}

impl Services {
    /// Asks for one of the services around memory.
    fn render(&mut self, guest: &Guest) {
        if !guest.manifest.services {
            return;
        }
        match guest.serve(self.rounds) {
            Ok((dirty, young)) => {
                self.dirty_pages += dirty;
                self.young += young;
            }
            Err(error) => fail(format_args!("a service of memory: {error}")),
        }
        self.rounds += 1;
    }
}

/// Returns when so many nanoseconds will have passed, by the time-of-day clock.
fn after(nanoseconds: u64) -> u64 {
    let units = (u128::from(nanoseconds) << 9) / 125;
    hw::clock().saturating_add(u64::try_from(units).unwrap_or(u64::MAX))
}

/// Sleeps until the vCPU has something to do, or its deadline.
fn sleep(guest: &Guest, index: VcpuIndex, deadline: Option<u64>) {
    loop {
        let due = deadline.is_some_and(|at| hw::clock() >= at);
        if due || guest.take_kick(index) || guest.end().is_some() || TYPED.load(Ordering::SeqCst) {
            break;
        }
        hw::set_comparator(deadline);
        hw::wait();
    }
    hw::set_comparator(None);
}

/// Gives what was typed to the guest.
fn type_in(guest: &Guest) {
    let mut kept = [0; 256];
    let mut port = PORT.lock();
    let typed = port.typed();
    let count = typed.len().min(kept.len());
    kept[..count].copy_from_slice(&typed[..count]);
    drop(port);
    kept[..count].iter().for_each(|byte| guest.type_in(*byte));
}

/// Makes the CPU whose vCPU has this control block leave it.
fn kick_block(block: Absolute) {
    fence(Ordering::SeqCst);
    let of_block = |place: &&Place| place.block.load(Ordering::SeqCst) == block.bits();
    if let Some(cpu) = PLACES.iter().position(|place| of_block(&place)) {
        leave(cpu);
    }
}

/// Makes a CPU leave its guest.
fn leave(cpu: usize) {
    if let Some(place) = PLACES.get(cpu) {
        place.leave.store(true, Ordering::SeqCst);
    }
    if cpu != hw::this_cpu() {
        hw::call(cpu);
    }
}

/// External-interruption codes. PoP ch. 6, "External Interruption".
const CLOCK_COMPARATOR: u16 = 0x1004;
/// A word of the service processor.
const SERVICE_SIGNAL: u16 = 0x2401;
/// Of its parameter: something has happened; the rest is the address of a block that is done.
const EVENT_PENDING: u32 = 3;

/// Takes an external interruption: between any two instructions of [`run`], also of the guest.
fn external(code: u16, parameter: u32) {
    if code == CLOCK_COMPARATOR {
        hw::set_comparator(None);
    }
    if code == SERVICE_SIGNAL && parameter & EVENT_PENDING != 0 {
        TYPED.store(true, Ordering::SeqCst);
        if let Some(guest) = GUEST.get() {
            guest.request_exit(VcpuIndex(0));
        }
    }
    emulate::interrupted();
    // The interruption may have come after the driver looked for requests, but before SAE: then it ends nothing. So it
    // comes again, until the driver has left.
    let place = PLACES.get(hw::this_cpu());
    if place.is_some_and(|place| place.running.load(Ordering::SeqCst) && place.leave.load(Ordering::SeqCst)) {
        hw::set_comparator(Some(hw::clock().saturating_add(AGAIN)));
    }
}

/// Says how the guest ended, and ends the machine: well if the guest turned itself off.
fn finish(guest: &Guest) -> ! {
    if emulate::machine().is_some() {
        let mut port = PORT.lock();
        for (name, count) in emulate::counts() {
            port.line(format_args!("xarch: emulated {name}: {count}"));
        }
    }
    guest.flush();
    let end = guest.end();
    PORT.lock().line(format_args!("xarch: guest ended: {end:x?}"));
    hw::exit(u64::from(end != Some(StopReason::PowerOff)))
}

/// Ends the machine with a message.
fn fail(message: core::fmt::Arguments<'_>) -> ! {
    // Whoever holds the console will not give it back.
    Port::new().line(format_args!("xarch: {message}"));
    hw::exit(2)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    Port::new().line(format_args!("xarch: {info}"));
    hw::exit(3)
}
