//! The guest by way of the C library: what a host in C does, through the table of `xarch.h` alone.
//!
//! Where the machine announces the facility the library drives it by its own, in the driver's real instructions; where
//! it does not, the library's model runs the guest.

use crate::guest::{ADDRESS_BITS, Guest};
use crate::hw::table::{self, Machine, Vcpu};
use crate::layout::{LINEAR, TABLES};
use crate::{GUEST, emulate};
use alloc::format;
use alloc::string::String;
use s390_host::discovery::Found;
use xarch_abi::{
    AccessSize, Deadline, DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa, GuestRange, Outcome,
    Platform, StopReason, VcpuIndex, Writable,
};
use xarch_ffi::*;

/// The version of the contract that this program was written for.
pub const PLATFORM_VERSION: u32 = XARCH_ABI;

/// A guest of the library.
#[derive(Debug)]
pub struct Library {
    machine: Machine,
    /// What the library calls the back end.
    pub name: String,
}

fn said<T>(what: &str, result: Result<T, i32>) -> Result<T, String> {
    result.map_err(|status| format!("{what}: the library says {status}"))
}

impl Library {
    /// Makes the guest's machine, with the tables at the start of `bytes` of storage.
    pub fn new(guest: &Guest, found: Found, bytes: u64) -> Result<Self, String> {
        // What is announced is asked for only where it is: the library executes PTFF to answer.
        let first = if found == Found::NotAnnounced { 0 } else { XARCH_BACKEND_ANNOUNCED };
        let info = match table::backend_info(first) {
            Err(XARCH_E_NOENT) => said("the model", table::backend_info(0))?,
            info => said("back end", info)?,
        };
        let name = info.name.iter().map(|c| char::from(*c as u8)).take_while(|c| *c != '\0').collect();
        if info.flags & XARCH_BACKEND_SOFTWARE == 0 {
            // The tables of this guest are purged by the library's own instructions, which nobody emulates.
            emulate::keep_nothing();
        }
        let (start, table_bytes) = (TABLES.0.bits(), TABLES.1);
        let vcpus = u32::from(guest.manifest.vcpus);
        let machine = Machine::new(&info, vcpus, LINEAR + start, bytes - start, table_bytes);
        let machine = said("a machine", machine)?;
        for slot in guest.slots() {
            said("a slot", machine.add_slot(&in_c(slot)))?;
        }
        Ok(Self { machine, name })
    }

    /// Makes a vCPU.
    pub fn vcpu(&self, guest: &Guest, index: VcpuIndex) -> Result<Vcpu, String> {
        let boot = (index.0 == 0).then_some((guest.manifest.entry, [guest.manifest.device_tree, 0, 0, 0]));
        said("a vCPU", self.machine.vcpu(u32::from(index.0), boot))
    }

    /// Makes a vCPU leave the guest, once somebody has interrupted its CPU.
    pub fn request_exit(&self, vcpu: VcpuIndex) {
        // There is no other error than a number that does not exist.
        let _ = self.machine.request_exit(u32::from(vcpu.0));
    }

    /// Drives a shared line.
    pub fn drive(&self, number: u32, high: bool) {
        let irq = xarch_irq {
            size: size_of::<xarch_irq>() as u32,
            kind: XARCH_IRQ_SHARED,
            action: if high { XARCH_IRQ_HIGH } else { XARCH_IRQ_LOW },
            number,
            vcpu: 0,
            reserved: 0,
        };
        // The line exists.
        let _ = self.machine.set_irq(&irq);
    }

    /// Renders one of the services of memory, in turn: what it counted, of dirty pages and young ranges.
    pub fn serve(&self, round: u64, ram: GuestRange) -> Result<(u64, u64), String> {
        let (start, bytes) = (ram.start().value(), ram.bytes());
        let done = match round % 4 {
            0 => self.machine.count_dirty(start, bytes).map(|pages| (pages, 0)),
            1 => self.machine.protect(start, bytes).map(|()| (0, 0)),
            2 => self.machine.age(start, bytes).map(|young| (0, u64::from(young))),
            _ => self.machine.unmap(start, bytes).map(|()| (0, 0)),
        };
        said("a service of memory", done)
    }
}

/// Runs the guest until this program is needed.
pub fn run(vcpu: &mut Vcpu) -> Outcome {
    match vcpu.run() {
        Ok(outcome) => in_rust(&outcome),
        Err(_) => Outcome::Stopped(StopReason::Host),
    }
}

fn in_rust(outcome: &xarch_outcome) -> Outcome {
    let nanoseconds = outcome.deadline_ns;
    match (outcome.kind, outcome.reason) {
        (XARCH_OUTCOME_INTERRUPTED, _) => Outcome::Interrupted,
        (XARCH_OUTCOME_WAIT, _) => Outcome::Wait {
            deadline: (nanoseconds != XARCH_NO_DEADLINE)
                .then_some(Deadline { counter: outcome.deadline_counter, nanoseconds }),
        },
        (XARCH_OUTCOME_STOPPED, XARCH_STOP_POWER_OFF) => Outcome::Stopped(StopReason::PowerOff),
        (XARCH_OUTCOME_STOPPED, XARCH_STOP_RESET) => Outcome::Stopped(StopReason::Reset),
        (XARCH_OUTCOME_STOPPED, reason) => Outcome::Stopped(StopReason::Unknown(reason << 16 | outcome.code)),
        _ => Outcome::Stopped(StopReason::Host),
    }
}

/// A slot in the library's words: memory is counted from the start of the tables.
fn in_c(slot: &xarch_abi::Slot) -> xarch_slot {
    xarch_slot {
        size: size_of::<xarch_slot>() as u32,
        flags: if slot.writable == Writable::Yes { 0 } else { XARCH_SLOT_READ_ONLY },
        guest: slot.guest.start().value(),
        host: slot.host.value() - TABLES.0.bits(),
        bytes: slot.guest.bytes(),
    }
}

/// The library asks for a slot.
pub fn slot(address: u64) -> Option<xarch_slot> {
    (address >> ADDRESS_BITS == 0).then_some(())?;
    GUEST.get()?.slot(GuestPa::new(address)).as_ref().map(in_c)
}

/// The library asks a device.
pub fn device(vcpu: u32, access: &mut xarch_access) -> i32 {
    let size = AccessSize::from_log2(access.bytes.trailing_zeros() as u8);
    let (Some(guest), Some(size)) = (GUEST.get(), size) else { return XARCH_E_NODEV };
    let operation = match access.operation {
        XARCH_WRITE => DeviceOperation::Write(access.value),
        _ => DeviceOperation::Read,
    };
    let asked = DeviceAccess { address: GuestPa::new(access.address), size, operation };
    match guest.device(VcpuIndex(vcpu as u16), &asked) {
        Some(DeviceAnswer::Value(value)) => access.value = value,
        Some(DeviceAnswer::Done) => {}
        Some(DeviceAnswer::Absent) | None => return XARCH_E_NODEV,
    }
    XARCH_OK
}

/// The library wants a vCPU to look.
pub fn kick(vcpu: u32) {
    if let Some(guest) = GUEST.get() {
        guest.kick(VcpuIndex(vcpu as u16));
    }
}
