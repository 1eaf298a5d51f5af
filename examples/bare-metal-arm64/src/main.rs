//! A hypervisor at EL2: runs arm64 guests with `vcpu-core` on one side of the contract and `arm-host` on the other.
//!
//! The smallest honest use of both on bare metal: QEMU's machine "virt" with `virtualization=on,gic-version=3`, with
//! FEAT_VHE (`-cpu max`) and without (`-cpu cortex-a57`). Each vCPU has a CPU of the machine; where two share one, they
//! take turns. Typed bytes go to the first guest, whose console is the machine's; others' lines come out at its end.
//!
//! `cargo xtask run-host bare-metal-arm64` builds and runs it: the guest that it carries says what it has checked, and
//! QEMU's exit status is 0 where every guest turned itself off. With `linux` it boots Debian's kernel on two vCPUs with two more
//! guests beside it, with `bench` it compares kernels inside with the same ones outside, with `kit` it has the conformance kit
//! check the host side, clause by clause.
//!
//! ```text
//!   main      CPUs, their turns, sleep            guest    one VM: both sides of the contract, the Platform
//!   gic       the host's interrupt controller     devices  a guest's serial port and clock
//!   console   the host's serial port              kit      the conformance kit instead of guests
//!   hw        everything unsafe; start.S, guest.S
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;
// The VMM's serial port is shared with this program; what it takes from `std` is in `alloc`.
extern crate alloc as std;

mod console;
mod devices;
mod gic;
mod guest;
#[expect(unsafe_code, reason = "the machine; see the module")]
mod hw;
mod kit;
mod layout;
#[path = "../../vmm/src/pl011.rs"]
mod pl011;

use alloc::vec::Vec;
use arm_host::hw::HardwareCpu;
use arm_host::{Cpu, CpuNumber, HostControl, Intid};
use console::PORT;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use guest::{Guest, VCPUS};
use spin::Once;
use xarch_abi::{Backend, BackendVcpu, Guest as _, Outcome, StopReason, VcpuIndex};

/// The guests, once they are built.
static GUESTS: Once<Vec<Guest>> = Once::new();
/// CPUs that have reset their vCPUs.
static READY: AtomicUsize = AtomicUsize::new(0);
/// CPUs that there are.
static CPUS: AtomicUsize = AtomicUsize::new(1);
/// What each CPU runs now: guest in the high half, vCPU in the low one; all ones for none.
static RUNNING: [AtomicU64; 8] = [const { AtomicU64::new(u64::MAX) }; 8];
/// The summary was printed.
static OVER: AtomicBool = AtomicBool::new(false);

/// Turns that vCPUs of one CPU take: one hundredth of a second.
const TURNS: u64 = 100;

/// A handler of the host's interrupts.
type Handler = fn(Intid);

/// A vCPU and what it waits for.
struct Seat {
    guest: &'static Guest,
    index: VcpuIndex,
    host: arm_host::Vcpu<
        'static,
        HardwareCpu<Handler>,
        arm_host::hw::Control<'static>,
        arm_host::hw::Physical,
        spin::Mutex<arm_host::Tables>,
    >,
    core: vcpu_core::Vcpu<'static, VCPUS>,
    wait: Wait,
}

/// What a vCPU waits for.
#[derive(Clone, Copy)]
enum Wait {
    /// Nothing: it can run.
    No,
    /// A kick.
    Kick,
    /// A kick, or this count.
    Until(u64),
}

/// The first CPU.
fn main() {
    PORT.lock().start();
    gic::start();
    gic::start_cpu(0);
    let form = if hw::has_vhe() { "with" } else { "without" };
    PORT.lock().line(format_args!("xarch: hypervisor at EL2 {form} FEAT_VHE"));
    if kit::is_asked_for() {
        if !hw::start_cpu(1) {
            fail(format_args!("CPU 1 does not start"));
        }
        kit::run();
    }
    let mut guests = Vec::new();
    for (number, description) in guest::descriptions().into_iter().enumerate() {
        match Guest::new(number, description) {
            Ok(guest) => guests.push(guest),
            Err(error) => fail(format_args!("guest {number}: {error}")),
        }
    }
    let cpus = guests.iter().map(|guest| guest.cpu_of(VcpuIndex(guest.description.vcpus))).max();
    let cpus = cpus.unwrap_or(1);
    GUESTS.call_once(|| guests);
    CPUS.store(usize::from(cpus), Ordering::SeqCst);
    for cpu in 1..cpus {
        if !hw::start_cpu(cpu) {
            fail(format_args!("CPU {cpu} does not start"));
        }
    }
    run_cpu(0);
}

/// The life of a CPU.
fn run_cpu(cpu: u16) {
    if cpu != 0 {
        gic::start_cpu(cpu);
    }
    if kit::is_asked_for() {
        hw::serve();
    }
    let guests = GUESTS.get().map(Vec::as_slice).unwrap_or_default();
    let mut seats: Vec<Seat> = Vec::new();
    for guest in guests {
        for index in (0..guest.description.vcpus).map(VcpuIndex) {
            if guest.cpu_of(index) == cpu {
                seats.push(seat(guest, index, cpu));
            }
        }
    }
    // Nobody runs before everybody is there: the first thing a guest may do is to start another vCPU.
    READY.fetch_add(1, Ordering::SeqCst);
    while READY.load(Ordering::SeqCst) < CPUS.load(Ordering::SeqCst) {
        core::hint::spin_loop();
    }
    let mut idle = hw::cpu(cpu, handle as Handler);
    loop {
        if guests.iter().all(|guest| guest.end().is_some()) {
            finish(guests, &seats);
        }
        let mut ran = false;
        let shared = seats.iter().filter(|seat| seat.guest.end().is_none()).count() > 1;
        for seat in seats.iter_mut().filter(|seat| seat.guest.end().is_none()) {
            if seat.is_due() {
                ran = true;
                seat.run(cpu, shared);
            }
        }
        if !ran {
            let deadline = seats.iter().filter_map(|seat| match seat.wait {
                Wait::Until(count) if seat.guest.end().is_none() => Some(count),
                Wait::Until(_) | Wait::No | Wait::Kick => None,
            });
            sleep(deadline.min(), &mut idle);
        }
    }
}

/// Makes a vCPU, reset, and at its entry if it is a guest's first.
fn seat(guest: &'static Guest, index: VcpuIndex, cpu: u16) -> Seat {
    let host = arm_host::Vcpu::new(&guest.host, hw::cpu(cpu, handle as Handler), index);
    let mut host = host.unwrap_or_else(|error| fail(format_args!("vCPU {}: {error}", index.0)));
    let core = vcpu_core::Vcpu::new(&guest.core, index);
    let mut core = core.unwrap_or_else(|| fail(format_args!("no vCPU {}", index.0)));
    let mut prepared = core.reset(&mut host);
    if let (Some(model), Some(limit)) = (guest.model(), guest.core.limit()) {
        if let Err(error) = guest.core.set_model(&model.meet(&limit)) {
            fail(format_args!("guest {}: {error}", guest.number));
        }
        prepared = prepared.and_then(|()| core.reset(&mut host));
    }
    if index.0 == 0 {
        let description = guest.description;
        let arguments = [description.device_tree, 0, 0, 0];
        prepared = prepared.and_then(|()| core.boot(&mut host, description.entry, arguments));
    }
    if let Err(error) = prepared {
        fail(format_args!("vCPU {}: {error}", index.0));
    }
    Seat { guest, index, host, core, wait: Wait::No }
}

impl Seat {
    fn is_due(&mut self) -> bool {
        if self.guest.take_kick(self.index) {
            self.wait = Wait::No;
        }
        match self.wait {
            Wait::No => true,
            Wait::Kick => false,
            Wait::Until(count) => hw::count() >= count,
        }
    }

    /// Runs the vCPU until it waits, or its turn is over.
    fn run(&mut self, cpu: u16, shared: bool) {
        let running = (self.guest.number as u64) << 32 | u64::from(self.index.0);
        let place = RUNNING.get(usize::from(cpu));
        if let Some(place) = place {
            place.store(running, Ordering::SeqCst);
        }
        if shared {
            hw::set_timer(Some(hw::count() + hw::frequency() / TURNS));
        }
        let own = hw::Own::set(hw::count());
        let outcome = self.host.run(&mut self.core, self.guest);
        if let Err(what) = own.is_as_before() {
            fail(format_args!("the guest's registers are left in the host's: {what}"));
        }
        if let Some(place) = place {
            place.store(u64::MAX, Ordering::SeqCst);
        }
        self.wait = match outcome {
            Outcome::Interrupted => Wait::No,
            Outcome::Wait { deadline: None } => Wait::Kick,
            Outcome::Wait { deadline: Some(deadline) } => Wait::Until(after(deadline.nanoseconds.into())),
            Outcome::Stopped(reason) => stop(self.guest, reason),
            // Every device of these guests answers at once.
            Outcome::Device(..) => stop(self.guest, StopReason::Host),
        };
    }
}

/// Ends a guest, and wakes every CPU: it may be the last one that somebody waits for.
fn stop(guest: &Guest, reason: StopReason) -> Wait {
    guest.stop(reason);
    (0..CPUS.load(Ordering::SeqCst)).for_each(|cpu| hw::control().kick(CpuNumber(cpu as u16)));
    Wait::Kick
}

/// Returns what the count will be in so many nanoseconds.
fn after(nanoseconds: u128) -> u64 {
    let ticks = nanoseconds * u128::from(hw::frequency()) / 1_000_000_000;
    hw::count().saturating_add(ticks.min(u128::from(u64::MAX)) as u64)
}

/// Sleeps until an interrupt, or until the deadline; takes the interrupts that came.
fn sleep<F: FnMut(Intid)>(deadline: Option<u64>, idle: &mut HardwareCpu<F>) {
    hw::set_timer(deadline);
    hw::wait();
    while let Some(interrupt) = idle.acknowledge() {
        idle.drop_priority(interrupt);
        idle.handle(interrupt);
        idle.deactivate(interrupt);
    }
}

/// Takes an interrupt of the host that is neither a kick nor a guest's timer.
fn handle(interrupt: Intid) {
    match interrupt {
        layout::TIMER => {
            hw::set_timer(None);
            // Of the vCPU that runs here, the turn is over.
            let running = RUNNING.get(hw::this_cpu()).map(|running| running.load(Ordering::SeqCst));
            let running = running.unwrap_or(u64::MAX);
            if let Some(guest) = GUESTS.get().and_then(|guests| guests.get((running >> 32) as usize)) {
                guest.host.request_exit(VcpuIndex(running as u16));
            }
        }
        layout::UART => {
            let first = GUESTS.get().and_then(|guests| guests.first());
            loop {
                let Some(byte) = PORT.lock().get() else { break };
                if let Some(guest) = first {
                    guest.type_in(byte);
                }
            }
        }
        _ => {}
    }
}

/// Says how the guests ended, and ends the program: 0 if each turned itself off, 4 after a reset, 5 after a suspend to memory,
/// 1 if the hypervisor gave up.
fn finish(guests: &[Guest], seats: &[Seat]) -> ! {
    for seat in seats {
        let statistics = seat.host.statistics();
        PORT.lock().line(format_args!(
            "xarch: guest {} vCPU {}: {} entries, {} traps, {} interrupts, {} of them maintenance, {} pages mapped",
            seat.guest.number,
            seat.index.0,
            statistics.entries,
            statistics.traps,
            statistics.interrupts,
            statistics.maintenance,
            statistics.faults_resolved
        ));
    }
    let done = READY.fetch_sub(1, Ordering::SeqCst) == 1;
    if !done || OVER.swap(true, Ordering::SeqCst) {
        loop {
            hw::wait();
        }
    }
    guests.iter().for_each(Guest::flush);
    let mut status = 0;
    for (number, guest) in guests.iter().enumerate() {
        let end = guest.end();
        status = match end {
            Some(StopReason::PowerOff) => status,
            Some(StopReason::Reset) => 4,
            Some(StopReason::Suspend) => 5,
            _ => 1,
        };
        PORT.lock().line(format_args!("xarch: guest {number} ended: {end:x?}"));
    }
    hw::exit(status)
}

/// Ends the program with a message.
fn fail(message: core::fmt::Arguments<'_>) -> ! {
    PORT.lock().line(format_args!("xarch: {message}"));
    hw::exit(2)
}

/// Reports an exception from EL2 itself.
fn crash(vector: u64, esr: u64, elr: u64, far: u64) {
    // The one who crashed may hold the port.
    let mut port = console::Port::new();
    port.line(format_args!(
        "xarch: exception at EL2, vector {vector}: ESR {esr:#x}, ELR {elr:#x}, FAR {far:#x}"
    ));
    hw::exit(3)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    console::Port::new().line(format_args!("xarch: {info}"));
    hw::exit(3)
}
