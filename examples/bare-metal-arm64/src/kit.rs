//! The conformance kit on `arm-host` and `vcpu-core`: on this machine, with the real world switch and real stage 2.
//!
//! Each check has a VM of its own on the same tables; what "another thread" does, the second CPU does.

#[path = "../../../crates/s390-host/tests/common/a64.rs"]
#[allow(dead_code, reason = "encodings for more tests than this one")]
mod a64;
#[path = "never.rs"]
mod never;
#[path = "../../../crates/s390-host/tests/common/programs.rs"]
mod programs;

use crate::console::PORT;
use crate::guest::{CoreVm, Description, Guest, HostVm};
use crate::hw;
use crate::layout::{self, GUEST_RAM, GUEST_RTC, GUEST_UART, KICK};
use crate::{after, handle, sleep};
use alloc::string::String;
use arm_host::{Config, HostControl, Interrupts};
use core::sync::atomic::{AtomicU64, Ordering};
use never::NeverIn;
use xarch_abi::{
    AccessSize, BackendVcpu, Guest as _, GuestPa, GuestRange, HostPa, Outcome, Platform, VcpuIndex,
};
use xarch_conformance::{
    ByteOrder, Cannot, Clause, Code, Cpu, Embedder, Facts, Host, Machine, Pair, Services, Step, Summary,
    Threads, Verdict, Vm, Woken, check, check_platform,
};

/// Bits of a guest-physical address.
const ADDRESS_BITS: u8 = 40;

/// Whether the loader asks for the kit rather than for guests.
pub fn is_asked_for() -> bool {
    hw::manifest(0) == layout::KIT
}

/// Checks every clause, says the verdicts, and ends the program: 0 if none is broken.
pub fn run() -> ! {
    let host = check(&ThisMachine, say);
    let platform = match Tried::new() {
        Ok(tried) => check_platform(&tried, say),
        Err(error) => crate::fail(format_args!("{error}")),
    };
    let mut bad = false;
    for summary in [host, platform] {
        PORT.lock().line(format_args!("xarch: conformance: {summary}"));
        let Summary { kept, broken, .. } = summary;
        bad |= broken != 0 || kept == 0;
    }
    hw::exit(u64::from(bad))
}

fn say(clause: &Clause, verdict: &Verdict) {
    let mut port = PORT.lock();
    port.line(format_args!("kit: {}: {verdict}", clause.name));
    if matches!(verdict, Verdict::Broken(_)) {
        port.line(format_args!("kit: ({}: {})", clause.owed_by, clause.text));
    }
}

struct ThisMachine;

/// One VM on both sides of the contract.
struct OneVm<'a> {
    host: &'a HostVm,
    core: &'a CoreVm,
}

impl Host for ThisMachine {
    fn facts(&self) -> Facts<'_> {
        Facts {
            page_bytes: 4096,
            address_bits: ADDRESS_BITS,
            vcpus: 2,
            order: ByteOrder::Little,
            ram: GuestPa::new(GUEST_RAM),
            memory: layout::OWN_GUEST.0,
            device: GuestPa::new(GUEST_UART),
            plain: &programs::PLAIN,
            wide: &programs::WIDE,
            read_only: &programs::READ_ONLY,
            unknown: &programs::UNKNOWN,
            patience: 20_000_000_000,
            rounds: 60,
        }
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        programs::assemble(step, code, hw::frequency())
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        let (memory, storage) = hw::table_memory(0);
        let interrupts = Interrupts { kick: KICK, ..Interrupts::default() };
        let config = Config { address_bits: ADDRESS_BITS, vcpus, vmid: 1, storage, interrupts };
        let mut cpu = hw::cpu(hw::this_cpu() as u16, |_| {});
        let host = HostVm::new(&mut cpu, hw::control(), memory, config);
        let host = host.unwrap_or_else(|error| crate::fail(format_args!("{error}")));
        let core = vcpu_core::Config { address_bits: ADDRESS_BITS, ..vcpu_core::Config::new(vcpus) };
        let core = CoreVm::new(core).unwrap_or_else(|error| crate::fail(format_args!("{error}")));
        then(&OneVm { host: &host, core: &core });
    }

    fn nanoseconds(&self) -> u64 {
        (u128::from(hw::count()) * 1_000_000_000 / u128::from(hw::frequency())) as u64
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        hw::at_once(first, second);
        Threads::Two
    }
}

impl Vm for OneVm<'_> {
    fn services(&self) -> &dyn Services {
        self.host
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        let fail =
            |error: &dyn core::fmt::Display| -> ! { crate::fail(format_args!("vCPU {}: {error}", index.0)) };
        let cpu = hw::cpu(hw::this_cpu() as u16, |_| {});
        let mut vcpu = arm_host::Vcpu::new(self.host, cpu, index).unwrap_or_else(|error| fail(&error));
        let guest = vcpu_core::Vcpu::new(self.core, index);
        let mut guest = guest.unwrap_or_else(|| fail(&"there is none"));
        let mut prepared = guest.reset(&mut vcpu);
        if index.0 == 0 {
            prepared = prepared.and_then(|()| guest.boot(&mut vcpu, entry.value(), [0; 4]));
        }
        prepared.unwrap_or_else(|error| fail(&error));
        then(&mut Pair::new(&mut vcpu, &mut guest));
    }

    // The guest, whose caches are off, is no part of what this CPU's keep coherent.
    fn load(&self, from: HostPa, into: &mut [u8]) {
        hw::control().make_coherent(from, into.len() as u64);
        hw::read_guest_memory(from, into);
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        hw::write_guest_memory(to, bytes);
        hw::control().make_coherent(to, bytes.len() as u64);
    }
}

/// The platform under test: a guest whose vCPU belongs to the CPU that serves.
struct Tried {
    guest: Guest,
    memory: [GuestRange; 1],
    /// Runs that a request ended.
    requests: AtomicU64,
}

impl Tried {
    /// Memory of the guest: a few pages of a pattern.
    const BYTES: u64 = 1 << 20;

    fn new() -> Result<Self, String> {
        let description = Description {
            memory: layout::OWN_GUEST.0,
            bytes: Self::BYTES,
            entry: GUEST_RAM,
            device_tree: 0,
            vcpus: 1,
            first_cpu: 1,
            models: 0,
        };
        for at in (0..Self::BYTES).step_by(8) {
            let pattern = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            hw::write_guest_memory(HostPa::new(description.memory.value() + at), &pattern);
        }
        let memory = GuestRange::new(GuestPa::new(GUEST_RAM), Self::BYTES).ok_or("no range")?;
        Ok(Self { guest: Guest::new(0, description)?, memory: [memory], requests: AtomicU64::new(0) })
    }
}

impl Embedder for Tried {
    fn machine(&self) -> Machine<'_> {
        // The serial port's flags and the clock's identification: to read and write them changes nothing.
        const DEVICES: [(GuestPa, AccessSize); 3] = [
            (GuestPa::new(GUEST_UART + 0x18), AccessSize::Word),
            (GuestPa::new(GUEST_UART + 0x18), AccessSize::Half),
            (GuestPa::new(GUEST_RTC + 0xfe0), AccessSize::Word),
        ];
        const HOLES: [GuestPa; 4] = [
            GuestPa::new(0),
            GuestPa::new(GUEST_RAM - 1),
            GuestPa::new(GUEST_RAM + Tried::BYTES),
            GuestPa::new(GUEST_UART),
        ];
        Machine {
            page_bytes: 4096,
            memory: &self.memory,
            holes: &HOLES,
            devices: &DEVICES,
            absent: Some(GuestPa::new(0x1000)),
            vcpu: VcpuIndex(0),
            patience: 20_000_000_000,
        }
    }

    fn platform(&self) -> &dyn Platform {
        &self.guest
    }

    fn load(&self, from: HostPa, into: &mut [u8]) -> bool {
        hw::read_guest_memory(from, into);
        true
    }

    // As a CPU does whose only vCPU waits.
    fn wait(&self, vcpu: VcpuIndex, nanoseconds: u64) -> Option<Woken> {
        let mut idle = hw::cpu(hw::this_cpu() as u16, handle);
        let limit = after(nanoseconds.into());
        loop {
            if self.guest.take_kick(vcpu) {
                return Some(Woken::Kicked);
            }
            if hw::count() >= limit {
                return Some(Woken::TooLate);
            }
            sleep(Some(limit), &mut idle);
        }
    }

    // A run of a guest side that lets nobody in ends by a request, if there is one.
    fn exit_requests(&self, vcpu: VcpuIndex) -> Option<u64> {
        let cpu = hw::cpu(hw::this_cpu() as u16, |_| {});
        let mut host = arm_host::Vcpu::new(&self.guest.host, cpu, vcpu).ok()?;
        if host.run(&mut NeverIn, &self.guest) == Outcome::Interrupted {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        Some(self.requests.load(Ordering::Relaxed))
    }

    fn nanoseconds(&self) -> u64 {
        ThisMachine.nanoseconds()
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        ThisMachine.at_once(first, second)
    }
}
