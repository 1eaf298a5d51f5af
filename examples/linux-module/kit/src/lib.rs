//! The conformance kit in a kernel, on top of the Linux module: what the module's client gets keeps the contract too.
//!
//! The kit is the client. It makes VMs, regions and vCPUs by the calls behind the module's descriptors, runs guests by
//! the one behind `XARCH_RUN`, and answers accesses to devices through the run page; two threads of the kernel are what
//! clauses about races want. The services that the module offers nobody, `unmap`, `protect`, `collect_dirty` and `age`,
//! are those of the module's back end. Then the module is what is checked: the platform that the library asks.
//!
//! ```text
//!   xarch_kit_run(functions of kit.c) ──▶ xarch-conformance ──▶ Kernel, KernelVm ──▶ kit.c ──▶ vm.c memory.c vcpu.c
//!                                                                                              └▶ the library
//! ```
//!
//! Not seen: what back end and guest side say to each other, and the module's own answers to the library, of which a
//! client knows nothing.
//!
//! # Sources
//! None: `kit.h` beside the module says what crosses the border.
#![no_std]
#![deny(unsafe_code)]

#[allow(
    dead_code,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "code of tests, of which a part is used"
)]
#[path = "../../../../crates/s390-host/tests/common/a64.rs"]
mod a64;
#[expect(unsafe_code, reason = "C calls and is called")]
mod c;
mod embedder;
#[allow(
    dead_code,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "code of tests, of which a part is used"
)]
#[path = "../../../../crates/s390-host/tests/common/programs.rs"]
mod programs;

pub use c::{Functions, xarch_kit_run};

use c::{Exit, VmHandle};
use xarch_abi::{
    AccessSize, Age, CompletionError, Deadline, DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa,
    GuestRange, HostPa, Outcome, Platform as _, RegId, RegisterError, Registers, Slot, StopReason, Token,
    VcpuIndex, Writable,
};
use xarch_conformance::{
    Bench, ByteOrder, Cannot, Code, Cpu, Facts, GuestSide, Host, Refused, Services, Step, Text, Threads, Vm,
    check, check_platform,
};

/// The start of guest RAM, and a page of devices.
const RAM: u64 = 0x4000_0000;
const DEVICE: u64 = 0x0900_0000;
/// Ticks of the guest's counter in a second: the library's own back end has one for each nanosecond.
const FREQUENCY: u64 = 1_000_000_000;
/// A machine under emulation, with others beside it, is slow.
const PATIENCE: u64 = 20_000_000_000;

/// What the module says, as errors of Linux.
const EPERM: i32 = -1;
const ENOENT: i32 = -2;
const E2BIG: i32 = -7;
const EINVAL: i32 = -22;

/// Runs all clauses and says each verdict; returns how many were broken.
fn run(kernel: &Functions) -> u32 {
    let say = |text: core::fmt::Arguments<'_>| kernel.say(Text::<240>::new(text).as_str());
    let host = check(&Kernel(kernel), |clause, verdict| say(format_args!("{}: {verdict}", clause.name)));
    say(format_args!("as a host: {host}"));
    let platform = embedder::with(kernel, |embedder| {
        check_platform(embedder, |clause, verdict| say(format_args!("{}: {verdict}", clause.name)))
    });
    match platform {
        Some(platform) => {
            say(format_args!("as a platform: {platform}"));
            host.broken.saturating_add(platform.broken)
        }
        None => {
            say(format_args!("as a platform: there is no VM"));
            host.broken.saturating_add(1)
        }
    }
}

/// The module as a host.
struct Kernel<'k>(&'k Functions);

impl Host for Kernel<'_> {
    fn facts(&self) -> Facts<'_> {
        Facts {
            page_bytes: xarch_abi::PAGE_BYTES,
            address_bits: 40,
            vcpus: 2,
            order: ByteOrder::Little,
            ram: GuestPa::new(RAM),
            memory: HostPa::new(0),
            device: GuestPa::new(DEVICE),
            plain: &programs::PLAIN,
            wide: &programs::WIDE,
            // What the host can offer is not shown.
            read_only: &[],
            unknown: &programs::UNKNOWN,
            patience: PATIENCE,
            rounds: 60,
        }
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        programs::assemble(step, code, FREQUENCY)
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        if let Some(vm) = self.0.make_vm(u32::from(vcpus)) {
            then(&KernelVm { kernel: self.0, vm: &vm });
            self.0.end_vm(vm);
        }
    }

    fn nanoseconds(&self) -> u64 {
        self.0.nanoseconds()
    }

    fn relax(&self) {
        self.0.relaxed();
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        self.0.at_once(first, second)
    }

    fn asks_for_slots(&self) -> bool {
        // The module has a table of its own, which it makes of the calls.
        false
    }
}

/// One VM of the module's.
struct KernelVm<'k> {
    kernel: &'k Functions,
    vm: &'k VmHandle,
}

fn said(status: i32) -> Result<i32, Refused> {
    if status < 0 { Err(Refused(Text::new(format_args!("error {status}")))) } else { Ok(status) }
}

impl Services for KernelVm<'_> {
    fn add_slot(&self, slot: &Slot) -> Result<(), Refused> {
        let read_only = u32::from(slot.writable == Writable::No);
        let (guest, bytes) = (slot.guest.start().value(), slot.guest.bytes());
        said(self.kernel.add_region(self.vm, guest, bytes, slot.host.value(), read_only)).map(|_| ())
    }

    fn remove_slot(&self, range: GuestRange) -> Result<(), Refused> {
        said(self.kernel.remove_region(self.vm, range.start().value(), range.bytes())).map(|_| ())
    }

    fn unmap(&self, range: GuestRange) -> Result<(), Refused> {
        said(self.kernel.unmapped(self.vm, range.start().value(), range.bytes())).map(|_| ())
    }

    fn protect(&self, range: GuestRange) -> Result<(), Refused> {
        said(self.kernel.protected(self.vm, range.start().value(), range.bytes())).map(|_| ())
    }

    fn collect_dirty(&self, range: GuestRange, report: &mut dyn FnMut(GuestPa)) -> Result<(), Refused> {
        let mut page = |page| report(GuestPa::new(page));
        said(self.kernel.collected(self.vm, range.start().value(), range.bytes(), &mut page)).map(|_| ())
    }

    fn age(&self, range: GuestRange) -> Result<Age, Refused> {
        let age = said(self.kernel.aged(self.vm, range.start().value(), range.bytes()))?;
        Ok(if age == 0 { Age::Old } else { Age::Young })
    }

    fn request_exit(&self, vcpu: VcpuIndex) {
        self.kernel.interrupted(self.vm, u32::from(vcpu.0));
    }
}

impl Vm for KernelVm<'_> {
    fn services(&self) -> &dyn Services {
        self
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        let number = u32::from(index.0);
        if self.kernel.started(self.vm, number, entry.value()) == 0 {
            then(&mut KernelCpu { kernel: self.kernel, vm: self.vm, index });
        }
    }

    fn load(&self, from: HostPa, into: &mut [u8]) {
        self.kernel.loaded(self.vm, from.value(), into);
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        self.kernel.stored(self.vm, to.value(), bytes);
    }
}

/// One vCPU of the module's.
struct KernelCpu<'k> {
    kernel: &'k Functions,
    vm: &'k VmHandle,
    index: VcpuIndex,
}

impl KernelCpu<'_> {
    fn number(&self) -> u32 {
        u32::from(self.index.0)
    }

    fn get(&self, id: RegId) -> Result<[u64; 2], RegisterError> {
        let mut value = [0; 2];
        let status = self.kernel.register_read(self.vm, self.number(), number(id), &mut value);
        told(status, id, 0).map(|()| value)
    }

    fn set(&self, id: RegId, value: [u64; 2]) -> Result<(), RegisterError> {
        let [low, _] = value;
        told(self.kernel.register_written(self.vm, self.number(), number(id), value), id, low)
    }
}

/// The header's form of an id.
fn number(id: RegId) -> u64 {
    u64::from(id.bank.0) << 32 | u64::from(id.index)
}

fn told(status: i32, id: RegId, value: u64) -> Result<(), RegisterError> {
    match status {
        0 => Ok(()),
        ENOENT => Err(RegisterError::Unknown(id)),
        EPERM => Err(RegisterError::ReadOnly(id)),
        EINVAL => Err(RegisterError::Value(id, value)),
        E2BIG => Err(RegisterError::Wide(id)),
        error => Err(RegisterError::Host(id, error.unsigned_abs())),
    }
}

impl Registers for KernelCpu<'_> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        match self.get(id)? {
            [value, 0] => Ok(value),
            _ => Err(RegisterError::Wide(id)),
        }
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.set(id, [value, 0])
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        self.get(id).map(|[low, high]| u128::from(high) << 64 | u128::from(low))
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        let half = |value: u128| u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0);
        self.set(id, [half(value), half(value >> 64)])
    }
}

/// The device access that a run ended with.
fn access(exit: &Exit) -> DeviceAccess {
    let log2 = u8::try_from(exit.bytes.trailing_zeros()).unwrap_or(3);
    let is_write = exit.is_write != 0;
    DeviceAccess {
        address: GuestPa::new(exit.address),
        size: AccessSize::from_log2(log2).unwrap_or(AccessSize::Double),
        operation: if is_write { DeviceOperation::Write(exit.value) } else { DeviceOperation::Read },
    }
}

impl Cpu for KernelCpu<'_> {
    fn run(&mut self, bench: &Bench<'_>) -> Outcome {
        loop {
            let exit = self.kernel.ran(self.vm, self.number());
            return match exit.kind {
                c::EXIT_DEVICE => {
                    let (access, token) = (access(&exit), Token(exit.token));
                    match bench.device(self.index, &access) {
                        None => Outcome::Device(access, token),
                        Some(answer) if self.complete(token, answer).is_ok() => continue,
                        Some(_) => Outcome::Stopped(StopReason::Unknown(exit.token)),
                    }
                }
                c::EXIT_WAIT => Outcome::Wait {
                    deadline: (exit.nanoseconds != u64::MAX)
                        .then_some(Deadline { counter: exit.counter, nanoseconds: exit.nanoseconds }),
                },
                c::EXIT_INTERRUPTED => Outcome::Interrupted,
                c::EXIT_POWER_OFF => Outcome::Stopped(StopReason::PowerOff),
                _ => Outcome::Stopped(StopReason::Unknown(exit.token)),
            };
        }
    }

    fn registers(&mut self) -> &mut dyn Registers {
        self
    }

    fn before_observe(&mut self) -> Result<(), RegisterError> {
        // Reading a register does that.
        Ok(())
    }

    fn complete(&mut self, token: Token, answer: DeviceAnswer) -> Result<(), CompletionError> {
        let (value, is_absent) = match answer {
            DeviceAnswer::Value(value) => (value, 0),
            DeviceAnswer::Done => (0, 0),
            DeviceAnswer::Absent => (0, 1),
        };
        match self.kernel.completed(self.vm, self.number(), token.0, value, is_absent) {
            0 => Ok(()),
            ENOENT => Err(CompletionError::NotWaiting(token)),
            _ => Err(CompletionError::Mismatch(token)),
        }
    }

    fn guest_side(&self) -> GuestSide {
        GuestSide::Hidden
    }
}
