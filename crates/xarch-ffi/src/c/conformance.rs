//! The conformance kit on the table of entries: what a program in C gets keeps the contract too, on the library's own
//! back end and on one of the caller's.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

extern crate std;

#[path = "../../../s390-host/tests/common/a64.rs"]
#[allow(dead_code, missing_docs, reason = "a part is used")]
mod a64;
mod own;
#[path = "../../../s390-host/tests/common/programs.rs"]
mod programs;

use super::*;
use crate::convert;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::boxed::Box;
use std::println;
use std::time::Instant;
use xarch_abi::{
    AccessSize, Age, CompletionError, Deadline, DeviceAccess, DeviceAnswer, DeviceOperation, Exit, GuestPa,
    GuestRange, HostPa, Next, Outcome, Platform, RegId, RegisterError, Registers, Slot, StopReason, Token,
    TraceEvent, VcpuIndex, Writable,
};
use xarch_conformance::{
    Bench, ByteOrder, Cannot, Code, Cpu, Facts, GuestSide, Host, MEMORY_BYTES, Refused, Report, Services,
    Step, Text, Threads, Verdict, Vm, check,
};

/// Storage before that of the guest.
const TABLES: u64 = 2 << 20;
const STORAGE: u64 = TABLES + MEMORY_BYTES;
const FREQUENCY: u64 = 1_000_000_000;

/// Memory of any size and alignment.
struct Memory {
    start: *mut u8,
    layout: Layout,
}

impl Memory {
    fn new(bytes: u64, align: u64) -> Self {
        let layout = Layout::from_size_align(bytes as usize, align as usize).unwrap();
        // SAFETY: nothing that the library asks for is empty.
        let start = unsafe { alloc_zeroed(layout) };
        assert!(!start.is_null());
        Self { start, layout }
    }

    fn of(layout: &xarch_layout) -> Self {
        Self::new(layout.size, layout.align)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it came from there, with this layout.
        unsafe { dealloc(self.start, self.layout) }
    }
}

/// What callbacks get.
struct Context {
    started: Instant,
    /// The platform of the run that is under way.
    bench: AtomicPtr<c_void>,
    /// The caller's own back end, or null.
    own: AtomicPtr<c_void>,
}

/// # Safety
/// `context` is the one that the back end was made with.
unsafe fn of<'a>(context: *mut c_void) -> &'a Context {
    // SAFETY: the caller says so, and it lives longer than the back end.
    unsafe { &*context.cast::<Context>() }
}

/// # Safety
/// As [`of`], and within a run.
unsafe fn bench<'a>(context: *mut c_void) -> &'a Bench<'a> {
    // SAFETY: the caller says so, and a run sets it to what lives as long as the run.
    unsafe { &*of(context).bench.load(SeqCst).cast::<Bench<'a>>() }
}

unsafe extern "C" fn clock(context: *mut c_void) -> u64 {
    // SAFETY: the library passes what it was given.
    unsafe { of(context) }.started.elapsed().as_nanos() as u64
}

unsafe extern "C" fn slot(context: *mut c_void, address: u64, found: *mut xarch_slot) -> i32 {
    // SAFETY: slots are asked for in runs.
    match unsafe { bench(context) }.slot(GuestPa::new(address)) {
        None => XARCH_E_NOENT,
        Some(slot) => {
            // SAFETY: the library's own structure, to be filled.
            unsafe { *found = c_slot(&slot) };
            XARCH_OK
        }
    }
}

fn c_slot(slot: &Slot) -> xarch_slot {
    xarch_slot {
        size: size_of::<xarch_slot>() as u32,
        flags: if slot.writable == Writable::Yes { 0 } else { XARCH_SLOT_READ_ONLY },
        guest: slot.guest.start().value(),
        host: slot.host.value(),
        bytes: slot.guest.bytes(),
    }
}

fn operation(operation: u8, value: u64) -> DeviceOperation {
    if operation == XARCH_WRITE { DeviceOperation::Write(value) } else { DeviceOperation::Read }
}

fn access_size(bytes: u32) -> AccessSize {
    AccessSize::from_log2(bytes.trailing_zeros() as u8).unwrap()
}

unsafe extern "C" fn device(context: *mut c_void, vcpu: u32, access: *mut xarch_access) -> i32 {
    // SAFETY: devices are asked in runs, with the library's own structure.
    let (bench, access) = unsafe { (bench(context), &mut *access) };
    let asked = DeviceAccess {
        address: GuestPa::new(access.address),
        size: access_size(access.bytes),
        operation: operation(access.operation, access.value),
    };
    match bench.device(VcpuIndex(vcpu as u16), &asked) {
        None => XARCH_E_AGAIN,
        Some(DeviceAnswer::Absent) => XARCH_E_NODEV,
        Some(DeviceAnswer::Done) => XARCH_OK,
        Some(DeviceAnswer::Value(value)) => {
            access.value = value;
            XARCH_OK
        }
    }
}

unsafe extern "C" fn trace(context: *mut c_void, vcpu: u32, event: *const xarch_trace) {
    // SAFETY: events come in runs, with the library's own structure.
    let (bench, event) = unsafe { (bench(context), &*event) };
    let event = match event.kind {
        XARCH_TRACE_MAPPED => TraceEvent::Mapped(GuestPa::new(event.address)),
        // What exactly was decided cannot be said in this form.
        _ => TraceEvent::Exit(Exit::Spurious, Next::Resume),
    };
    bench.trace(VcpuIndex(vcpu as u16), event);
}

/// Which back end is behind the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// The library's own.
    Library,
    /// One of the caller's.
    Caller,
}

struct Table {
    api: &'static xarch_api,
    started: Instant,
    behind: Behind,
}

struct TableVm<'a> {
    api: &'static xarch_api,
    context: &'a Context,
    own: Option<&'a own::Own<'a>>,
    storage: &'a Memory,
    backend: *mut xarch_backend,
    vm: *mut xarch_vm,
}

// SAFETY: the library's objects may be used from several threads as the header says, and storage is accessed by atomics.
unsafe impl Sync for TableVm<'_> {}

fn layout() -> xarch_layout {
    xarch_layout::default()
}

impl Table {
    fn with_table(
        &self,
        vcpus: u16,
        context: &Context,
        storage: &Memory,
        own: Option<&own::Own<'_>>,
        then: &mut dyn FnMut(&dyn Vm),
    ) {
        let api = self.api;
        let (mut needs, mut backend, mut vm) = (layout(), core::ptr::null_mut(), core::ptr::null_mut());
        // SAFETY: all fields are integers, pointers and functions that may be null.
        let mut info: xarch_backend_info = unsafe { core::mem::zeroed() };
        info.size = size_of::<xarch_backend_info>() as u32;
        // SAFETY: it has the size that it says. The first back end is the one in software.
        assert_eq!(unsafe { (api.backend_info)(0, &raw mut info) }, XARCH_OK);
        // SAFETY: as above.
        let mut platform: xarch_platform = unsafe { core::mem::zeroed() };
        (platform.size, platform.abi) = (size_of::<xarch_platform>() as u32, XARCH_ABI);
        platform.clock = Some(clock);
        platform.slot = Some(slot);
        platform.device = Some(device);
        platform.trace = Some(trace);
        // SAFETY: as above.
        let mut config: xarch_backend_config = unsafe { core::mem::zeroed() };
        (config.size, config.abi) = (size_of::<xarch_backend_config>() as u32, XARCH_ABI);
        (config.kind, config.vcpus, config.address_bits) = (info.kind, u32::from(vcpus), 40);
        config.platform = &raw const platform;
        config.context = (&raw const *context).cast_mut().cast();
        match self.behind {
            Behind::Library => {
                (config.storage, config.storage_bytes) = (storage.start.cast(), STORAGE);
                (config.table_bytes, config.code_bytes) = (TABLES, 1 << 18);
            }
            Behind::Caller => (config.kind, config.ops) = (XARCH_BACKEND_OPS, &raw const own::OPS),
        }
        // SAFETY: all of it lives, and the callbacks obey the header.
        assert_eq!(unsafe { (api.backend_layout)(&raw const config, &raw mut needs) }, XARCH_OK);
        let memory = Memory::of(&needs);
        let (start, bytes) = (memory.start.cast(), needs.size);
        // SAFETY: as above; the memory is as large and aligned as was asked for.
        let made = unsafe { (api.backend_create)(&raw const config, start, bytes, &raw mut backend) };
        assert_eq!(made, XARCH_OK);
        // SAFETY: as above.
        let mut config: xarch_vm_config = unsafe { core::mem::zeroed() };
        (config.size, config.abi) = (size_of::<xarch_vm_config>() as u32, XARCH_ABI);
        (config.guest, config.vcpus) = (info.guest, u32::from(vcpus));
        config.features = XARCH_FEATURE_DEVICE_LATER;
        // SAFETY: it has the size that it says.
        assert_eq!(unsafe { (api.vm_layout)(&raw const config, &raw mut needs) }, XARCH_OK);
        let of_vm = Memory::of(&needs);
        let (start, bytes) = (of_vm.start.cast(), needs.size);
        // SAFETY: as for the back end.
        let made = unsafe { (api.vm_create)(backend, &raw const config, start, bytes, &raw mut vm) };
        assert_eq!(made, XARCH_OK);
        let table = TableVm { api, context, own, storage, backend, vm };
        then(&table);
        // SAFETY: its vCPUs are gone, and nobody uses them any more.
        unsafe {
            assert_eq!((api.vm_destroy)(vm), XARCH_OK);
            assert_eq!((api.backend_destroy)(backend), XARCH_OK);
        }
    }
}

impl Host for Table {
    fn facts(&self) -> Facts<'_> {
        Facts {
            page_bytes: 4096,
            address_bits: 40,
            vcpus: 2,
            order: ByteOrder::Little,
            ram: GuestPa::new(0x4000_0000),
            memory: HostPa::new(TABLES),
            device: GuestPa::new(0x0900_0000),
            plain: &programs::PLAIN,
            wide: &programs::WIDE,
            read_only: &programs::READ_ONLY,
            unknown: &programs::UNKNOWN,
            patience: 20_000_000_000,
            rounds: 60,
        }
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        programs::assemble(step, code, FREQUENCY)
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        let context = Box::new(Context {
            started: self.started,
            bench: AtomicPtr::default(),
            own: AtomicPtr::default(),
        });
        let storage = Memory::new(STORAGE, 4096);
        match self.behind {
            Behind::Library => self.with_table(vcpus, &context, &storage, None, then),
            Behind::Caller => own::with_own(&storage, vcpus, self.started, |own| {
                context.own.store((&raw const *own).cast_mut().cast(), SeqCst);
                self.with_table(vcpus, &context, &storage, Some(own), then);
            }),
        }
    }

    fn nanoseconds(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn relax(&self) {
        std::thread::yield_now();
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        std::thread::scope(|scope| {
            scope.spawn(first);
            second();
        });
        Threads::Two
    }
}

fn said(status: i32) -> Result<i32, Refused> {
    if status < 0 { Err(Refused(Text::new(format_args!("status {status}")))) } else { Ok(status) }
}

type Ranged = unsafe extern "C" fn(*mut xarch_backend, u64, u64) -> i32;

impl TableVm<'_> {
    fn ranged(&self, service: Ranged, range: GuestRange) -> Result<i32, Refused> {
        // SAFETY: the back end lives.
        said(unsafe { service(self.backend, range.start().value(), range.bytes()) })
    }
}

unsafe extern "C" fn report(argument: *mut c_void, page: u64) {
    // SAFETY: it is what `collect_dirty` below was given.
    let report = unsafe { &mut *argument.cast::<&mut dyn FnMut(GuestPa)>() };
    report(GuestPa::new(page));
}

impl Services for TableVm<'_> {
    fn add_slot(&self, slot: &Slot) -> Result<(), Refused> {
        // SAFETY: the back end lives, and the slot has its size.
        said(unsafe { (self.api.add_slot)(self.backend, &c_slot(slot)) }).map(|_| ())
    }

    fn remove_slot(&self, range: GuestRange) -> Result<(), Refused> {
        self.ranged(self.api.remove_slot, range).map(|_| ())
    }

    fn unmap(&self, range: GuestRange) -> Result<(), Refused> {
        self.ranged(self.api.unmap, range).map(|_| ())
    }

    fn protect(&self, range: GuestRange) -> Result<(), Refused> {
        self.ranged(self.api.protect, range).map(|_| ())
    }

    fn collect_dirty(&self, range: GuestRange, mut told: &mut dyn FnMut(GuestPa)) -> Result<(), Refused> {
        let (start, bytes, argument) = (range.start().value(), range.bytes(), (&raw mut told).cast());
        // SAFETY: function and argument fit, and live until it returns.
        said(unsafe { (self.api.collect_dirty)(self.backend, start, bytes, Some(report), argument) })
            .map(|_| ())
    }

    fn age(&self, range: GuestRange) -> Result<Age, Refused> {
        Ok(if self.ranged(self.api.age, range)? == 0 { Age::Old } else { Age::Young })
    }

    fn request_exit(&self, vcpu: VcpuIndex) {
        // SAFETY: the back end lives. That there is no such vCPU is an answer.
        let _ = unsafe { (self.api.request_exit)(self.backend, u32::from(vcpu.0)) };
    }
}

impl Vm for TableVm<'_> {
    fn services(&self) -> &dyn Services {
        self
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        let index = u32::from(index.0);
        match self.own {
            None => self.with_table_vcpu(index, core::ptr::null_mut(), entry, then),
            Some(own) => own.with_seat(self.context, index, |seat| {
                self.with_table_vcpu(index, seat, entry, then);
            }),
        }
    }

    fn load(&self, from: HostPa, into: &mut [u8]) {
        match <&mut [u8; 8]>::try_from(&mut *into) {
            Ok(whole) if from.value() % 8 == 0 => {
                *whole = self.doubleword(from).load(SeqCst).to_ne_bytes();
            }
            _ => {
                into.iter_mut().zip(from.value()..).for_each(|(byte, at)| *byte = self.byte(at).load(SeqCst))
            }
        }
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        match <[u8; 8]>::try_from(bytes) {
            Ok(whole) if to.value() % 8 == 0 => {
                self.doubleword(to).store(u64::from_ne_bytes(whole), SeqCst);
            }
            _ => bytes.iter().zip(to.value()..).for_each(|(byte, at)| self.byte(at).store(*byte, SeqCst)),
        }
    }
}

impl TableVm<'_> {
    /// Makes a vCPU of which the back end has made its half, and boots the first.
    fn with_table_vcpu(
        &self,
        index: u32,
        of_backend: *mut c_void,
        entry: GuestPa,
        then: &mut dyn FnMut(&mut dyn Cpu),
    ) {
        let api = self.api;
        let (mut needs, mut vcpu) = (layout(), core::ptr::null_mut());
        // SAFETY: the VM lives; the memory is as large and aligned as was asked for, and lives until the vCPU is gone.
        unsafe {
            assert_eq!((api.vcpu_layout)(self.vm, &raw mut needs), XARCH_OK);
            let memory = Memory::of(&needs);
            let start = memory.start.cast();
            let made = (api.vcpu_create)(self.vm, index, of_backend, start, needs.size, &raw mut vcpu);
            assert_eq!(made, XARCH_OK);
            assert_eq!((api.vcpu_reset)(vcpu), XARCH_OK);
            if index == 0 {
                assert_eq!((api.vcpu_boot)(vcpu, entry.value(), [0_u64; 4].as_ptr()), XARCH_OK);
            }
            then(&mut TableCpu { vm: self, vcpu });
            assert_eq!((api.vcpu_destroy)(vcpu), XARCH_OK);
        }
    }

    fn doubleword(&self, at: HostPa) -> &AtomicU64 {
        assert!(at.value() % 8 == 0 && at.value() < STORAGE);
        // SAFETY: within storage, which is aligned to pages and accessed by atomics.
        unsafe { &*self.storage.start.add(at.value() as usize).cast::<AtomicU64>() }
    }

    fn byte(&self, at: u64) -> &AtomicU8 {
        assert!(at < STORAGE);
        // SAFETY: as above.
        unsafe { &*self.storage.start.add(at as usize).cast::<AtomicU8>() }
    }
}

struct TableCpu<'a> {
    vm: &'a TableVm<'a>,
    vcpu: *mut xarch_vcpu,
}

impl Registers for TableCpu<'_> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        u64::try_from(self.read_wide(id)?).map_err(|_| RegisterError::Wide(id))
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.write_wide(id, u128::from(value))
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        let mut value = [0; 2];
        // SAFETY: the vCPU lives, and there is room for two numbers.
        match unsafe { (self.vm.api.vcpu_get_register)(self.vcpu, convert::id(id), value.as_mut_ptr()) } {
            XARCH_OK => Ok(convert::whole(value)),
            error => Err(convert::register_error(id, 0, error)),
        }
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        let halves = convert::halves(value);
        // SAFETY: the vCPU lives, and there are two numbers.
        match unsafe { (self.vm.api.vcpu_set_register)(self.vcpu, convert::id(id), halves.as_ptr()) } {
            XARCH_OK => Ok(()),
            // That a value does not fit is said as that it is not taken.
            XARCH_E_INVAL if halves[1] != 0 => Err(RegisterError::Wide(id)),
            error => Err(convert::register_error(id, halves[0], error)),
        }
    }
}

impl Cpu for TableCpu<'_> {
    fn run(&mut self, bench: &Bench<'_>) -> Outcome {
        self.vm.context.bench.store((&raw const *bench).cast_mut().cast(), SeqCst);
        // SAFETY: all fields are integers.
        let mut outcome: xarch_outcome = unsafe { core::mem::zeroed() };
        outcome.size = size_of::<xarch_outcome>() as u32;
        // SAFETY: the vCPU lives, and `outcome` has its size.
        assert_eq!(unsafe { (self.vm.api.vcpu_run)(self.vcpu, &raw mut outcome) }, XARCH_OK);
        self.vm.context.bench.store(core::ptr::null_mut(), SeqCst);
        match outcome.kind {
            XARCH_OUTCOME_DEVICE => Outcome::Device(
                DeviceAccess {
                    address: GuestPa::new(outcome.address),
                    size: access_size(u32::from(outcome.bytes)),
                    operation: operation(outcome.operation, outcome.value),
                },
                Token(outcome.token),
            ),
            XARCH_OUTCOME_WAIT => Outcome::Wait {
                deadline: (outcome.deadline_ns != XARCH_NO_DEADLINE).then_some(Deadline {
                    counter: outcome.deadline_counter,
                    nanoseconds: outcome.deadline_ns,
                }),
            },
            XARCH_OUTCOME_INTERRUPTED => Outcome::Interrupted,
            _ if outcome.reason == XARCH_STOP_POWER_OFF => Outcome::Stopped(StopReason::PowerOff),
            _ => Outcome::Stopped(StopReason::Unknown(outcome.reason)),
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
        let (status, value) = match answer {
            DeviceAnswer::Value(value) => (XARCH_OK, value),
            DeviceAnswer::Done => (XARCH_OK, 0),
            DeviceAnswer::Absent => (XARCH_E_NODEV, 0),
        };
        // SAFETY: the vCPU lives.
        match unsafe { (self.vm.api.vcpu_complete)(self.vcpu, token.0, status, value) } {
            XARCH_OK => Ok(()),
            XARCH_E_NOENT => Err(CompletionError::NotWaiting(token)),
            _ => Err(CompletionError::Mismatch(token)),
        }
    }

    fn guest_side(&self) -> GuestSide {
        GuestSide::Hidden
    }
}

fn keeps_every_clause_that_it_shows(behind: Behind) {
    // SAFETY: the table is a static of the library.
    let api = unsafe { xarch_get_api(XARCH_ABI >> 16).as_ref() }.unwrap();
    let mut report = Report::default();
    let host = Table { api, started: Instant::now(), behind };
    let summary = check(&host, |clause, verdict| report.note(clause, *verdict));
    println!("{report}");
    assert_eq!(summary.broken, 0);
    // What it does not show is what back end and guest side say to each other.
    for (clause, verdict) in report.verdicts() {
        if let Verdict::NotApplicable(reason) = verdict {
            assert_eq!(*reason, "the guest side is out of reach", "{clause}");
        }
    }
    assert!(summary.kept >= 38, "{summary}");
}

#[test]
fn the_table_keeps_every_clause_that_it_shows() {
    keeps_every_clause_that_it_shows(Behind::Library);
}

#[test]
fn so_it_does_on_a_back_end_of_the_caller() {
    keeps_every_clause_that_it_shows(Behind::Caller);
}
