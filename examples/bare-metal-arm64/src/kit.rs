//! The conformance kit on `arm-host` and `vcpu-core`: on this machine, with the real world switch and real stage 2.
//!
//! Each check has a VM of its own on the same tables; what "another thread" does, the second CPU does.

#[path = "../../../crates/s390-host/tests/common/a64.rs"]
#[allow(dead_code, reason = "encodings for more tests than this one")]
mod a64;
#[path = "../../../crates/s390-host/tests/common/programs.rs"]
mod programs;

use crate::console::PORT;
use crate::guest::{CoreVm, HostVm};
use crate::hw;
use crate::layout::{self, GUEST_RAM, GUEST_UART, KICK};
use arm_host::{Config, HostControl, Interrupts};
use xarch_abi::{Guest, GuestPa, HostPa, VcpuIndex};
use xarch_conformance::{
    ByteOrder, Cannot, Code, Cpu, Facts, Host, Pair, Services, Step, Summary, Threads, Verdict, Vm, check,
};

/// Bits of a guest-physical address.
const ADDRESS_BITS: u8 = 40;

/// Whether the loader asks for the kit rather than for guests.
pub fn is_asked_for() -> bool {
    hw::manifest(0) == layout::KIT
}

/// Checks every clause, says the verdicts, and ends the program: 0 if none is broken.
pub fn run() -> ! {
    let summary = check(&ThisMachine, |clause, verdict| {
        let mut port = PORT.lock();
        port.line(format_args!("xarch: {:<36} {verdict}", clause.name));
        if matches!(verdict, Verdict::Broken(_)) {
            port.line(format_args!("xarch: {:<36} ({}: {})", "", clause.owed_by, clause.text));
        }
    });
    PORT.lock().line(format_args!("xarch: conformance: {summary}"));
    let Summary { kept, broken, .. } = summary;
    hw::exit(u64::from(broken != 0 || kept == 0))
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
