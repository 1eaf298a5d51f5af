//! A back end of the caller's, as `xarch_backend_ops` wants it: functions that get two pointers and know nothing of the
//! core. What runs the guest behind them is s390-host on a machine of their own; `enter` asks it for one entry.

use super::*;
use crate::lock::Guarded;
use crate::status::Status;
use arm_exec::{Page, Ram};
use core::ffi::c_void;
use s390_arch::Absolute;
use s390_host::{LimitForm, Tables};
use sae_model::{Clock, Machine, Storage};
use testkit::caches::{CacheMemory, Capacity};
use xarch_abi::{Backend, BackendVcpu as _, Direction, Guest, InvalidState, MemoryAccess, Trap};

pub(super) struct Started(Instant);

impl Clock for Started {
    fn nanoseconds(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

type OwnMachine<'m> = Machine<'m, Started>;
type OwnVm<'m> = s390_host::Vm<&'m OwnMachine<'m>, Storage<'m>, Guarded<Tables>>;
type OwnVcpu<'m> =
    s390_host::Vcpu<'m, sae_model::Cpu<'m, Started>, &'m OwnMachine<'m>, Storage<'m>, Guarded<Tables>>;

/// What is behind the first pointer, for the functions of the table.
pub(super) struct Own<'m> {
    machine: &'m OwnMachine<'m>,
    vm: &'m OwnVm<'m>,
}

/// What is behind the pointer of a vCPU.
struct Seat<'m> {
    context: *const Context,
    vcpu: OwnVcpu<'m>,
}

pub(super) static OPS: xarch_backend_ops = xarch_backend_ops {
    size: size_of::<xarch_backend_ops>() as u32,
    abi: XARCH_ABI,
    enter: Some(enter),
    read: Some(read),
    write: Some(write),
    request_exit: Some(request_exit),
    add_slot: Some(add_slot),
    remove_slot: Some(remove_slot),
    unmap: Some(unmap),
    protect: Some(protect),
    collect_dirty: Some(collect_dirty),
    age: Some(age),
    frame: None,
};

/// Makes a machine in `storage`, and a VM on it, for as long as `then` takes.
pub(super) fn with_own(storage: &Memory, vcpus: u16, started: Instant, then: impl FnOnce(&Own<'_>)) {
    let pages = (STORAGE / 4096) as usize;
    // SAFETY: it is aligned to pages, has that many, and everyone accesses it as `arm_exec::ram` does.
    let pages = unsafe { core::slice::from_raw_parts(storage.start.cast::<Page>(), pages) };
    let machine = Machine::new(Ram::new(pages), Started(started), sae_model::Config::default());
    let config = s390_host::Config {
        address_bits: 40,
        vcpus,
        storage: (Absolute::new(4096), TABLES - 4096),
        limit: LimitForm::default(),
        qmc_base: sae_model::Config::default().qmc_base,
    };
    let mut memory = CacheMemory::new(Capacity::SMALL);
    let vm = {
        let mut cpu = machine.cpu(0, memory.lend()).unwrap();
        OwnVm::new(&mut cpu, &machine, machine.storage(), config).unwrap()
    };
    then(&Own { machine: &machine, vm: &vm });
}

impl Own<'_> {
    /// Makes a vCPU; `then` gets what the library is to be given for it.
    pub(super) fn with_seat(&self, context: &Context, index: u32, then: impl FnOnce(*mut c_void)) {
        let mut memory = CacheMemory::new(Capacity::SMALL);
        let cpu = self.machine.cpu(index as u16, memory.lend()).unwrap();
        let vcpu = OwnVcpu::new(self.vm, cpu, VcpuIndex(index as u16)).unwrap();
        let mut seat = Seat { context, vcpu };
        then((&raw mut seat).cast());
    }
}

/// A guest side for one entry: it lets the guest in, once, and keeps what came of it.
#[derive(Default)]
struct Once {
    entered: bool,
    exit: Option<Exit>,
}

impl Guest for Once {
    fn before_entry<R: Registers, P: Platform>(&mut self, _: &mut R, _: &P) -> Next {
        // A second time is after a fault that was resolved: the core wants to be asked first.
        if core::mem::replace(&mut self.entered, true) { Next::Stop(StopReason::Host) } else { Next::Resume }
    }

    fn on_exit<R: Registers, P: Platform>(&mut self, _: &mut R, _: &P, exit: Exit) -> Next {
        self.exit = Some(exit);
        Next::Stop(StopReason::Host)
    }

    fn before_observe<R: Registers>(&mut self, _: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }

    fn complete<R: Registers>(
        &mut self,
        _: &mut R,
        token: Token,
        _: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        Err(CompletionError::NotWaiting(token))
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        registers.read(id)
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        registers.write(id, value)
    }

    fn reset<R: Registers>(&mut self, _: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }
}

/// Of the platform, what resolving a fault takes: what was decided about an exit is traced by the library.
struct Slots<'a>(&'a Bench<'a>);

impl Platform for Slots<'_> {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.0.slot(address)
    }

    fn device(&self, _: VcpuIndex, _: &DeviceAccess) -> Option<DeviceAnswer> {
        None
    }

    fn kick(&self, _: VcpuIndex) {}

    fn trace(&self, vcpu: VcpuIndex, event: TraceEvent) {
        if let TraceEvent::Mapped(_) = event {
            self.0.trace(vcpu, event);
        }
    }
}

/// # Safety
/// `vcpu` came from [`Own::with_seat`], which has not ended.
unsafe fn seat<'a>(vcpu: *mut c_void) -> &'a mut Seat<'static> {
    // SAFETY: the caller says so; the library calls for one vCPU from one thread at a time.
    unsafe { &mut *vcpu.cast() }
}

unsafe extern "C" fn enter(vcpu: *mut c_void, exit: *mut xarch_exit) -> i32 {
    // SAFETY: the library passes what it was given, within a run, and a structure to be filled.
    let (seat, exit) = unsafe { (seat(vcpu), &mut *exit) };
    // SAFETY: as above.
    let bench = unsafe { bench(seat.context.cast_mut().cast()) };
    let mut once = Once::default();
    let outcome = seat.vcpu.run(&mut once, &Slots(bench));
    match (once.exit, outcome) {
        (Some(seen), _) => describe(&seen, exit),
        (None, Outcome::Interrupted) => {}
        (None, Outcome::Stopped(StopReason::Host)) if seat.vcpu.failure().is_none() => {}
        (None, _) => return XARCH_E_IO,
    }
    XARCH_OK
}

/// Puts an exit into the header's form; the structure says that it was spurious.
fn describe(seen: &Exit, exit: &mut xarch_exit) {
    let (kind, code) = match *seen {
        Exit::Spurious => (XARCH_EXIT_SPURIOUS, 0),
        Exit::Trap(_) => (XARCH_EXIT_TRAP, 0),
        Exit::Access(_) => (XARCH_EXIT_ACCESS, 0),
        Exit::Timer(timers) => (XARCH_EXIT_TIMER, timers.0),
        Exit::Maintenance => (XARCH_EXIT_MAINTENANCE, 0),
        Exit::Stop => (XARCH_EXIT_STOP, 0),
        Exit::Invalid(InvalidState { reason, .. }) => (XARCH_EXIT_INVALID, u32::from(reason)),
        Exit::Unknown(code) => (XARCH_EXIT_UNKNOWN, code),
    };
    (exit.kind, exit.code) = (kind, code);
    if let Exit::Trap(trap) | Exit::Access(MemoryAccess { trap, .. }) = seen {
        let Trap { syndrome, fault_address } = *trap;
        (exit.syndrome, exit.fault_address) = (syndrome, fault_address);
    }
    if let Exit::Access(access) = seen {
        exit.address = access.address.value();
        exit.size_log2 = access.size.map_or(XARCH_SIZE_UNKNOWN, |size| size.bytes().trailing_zeros() as u8);
        exit.direction = match access.direction {
            Direction::Read => XARCH_READ,
            Direction::Write => XARCH_WRITE,
            Direction::Fetch => XARCH_FETCH,
            Direction::Unknown => XARCH_DIRECTION_UNKNOWN,
        };
        exit.cause = match access.cause {
            xarch_abi::AccessCause::NoSlot => XARCH_CAUSE_NO_SLOT,
            xarch_abi::AccessCause::ReadOnlySlot => XARCH_CAUSE_READ_ONLY,
            xarch_abi::AccessCause::OutOfRange => XARCH_CAUSE_OUT_OF_RANGE,
        };
        exit.walk_level = access.walk_level.unwrap_or(XARCH_WALK_LEVEL_UNKNOWN);
    }
}

unsafe extern "C" fn read(vcpu: *mut c_void, id: u64, value: *mut u64) -> i32 {
    // SAFETY: as `enter`.
    let seat = unsafe { seat(vcpu) };
    let Some(id) = convert::register(id) else { return XARCH_E_NOENT };
    match seat.vcpu.read_wide(id) {
        Ok(found) => {
            // SAFETY: there is room for two numbers.
            unsafe { value.cast::<[u64; 2]>().write(convert::halves(found)) };
            XARCH_OK
        }
        Err(error) => Status::from(error).0,
    }
}

unsafe extern "C" fn write(vcpu: *mut c_void, id: u64, value: *const u64) -> i32 {
    // SAFETY: as `enter`; there are two numbers.
    let (seat, value) = unsafe { (seat(vcpu), *value.cast::<[u64; 2]>()) };
    let Some(id) = convert::register(id) else { return XARCH_E_NOENT };
    match seat.vcpu.write_wide(id, convert::whole(value)) {
        Ok(()) => XARCH_OK,
        Err(error) => Status::from(error).0,
    }
}

/// # Safety
/// As [`of`], while [`with_own`] has not ended.
unsafe fn vm<'a>(context: *mut c_void) -> &'a OwnVm<'static> {
    // SAFETY: the caller says so, and `own` was set before the library knew of it.
    unsafe { (*of(context).own.load(SeqCst).cast::<Own<'static>>()).vm }
}

unsafe extern "C" fn request_exit(context: *mut c_void, vcpu: u32) {
    // SAFETY: the library passes what it was given.
    Backend::request_exit(unsafe { vm(context) }, VcpuIndex(vcpu as u16));
}

fn told<T>(result: Result<T, s390_host::MapError>) -> Result<T, i32> {
    result.map_err(|error| Status::from(error).0)
}

fn ranged<T>(
    guest: u64,
    bytes: u64,
    service: impl FnOnce(GuestRange) -> Result<T, s390_host::MapError>,
) -> Result<T, i32> {
    told(service(GuestRange::new(GuestPa::new(guest), bytes).ok_or(XARCH_E_INVAL)?))
}

fn status(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(XARCH_OK)
}

unsafe extern "C" fn add_slot(context: *mut c_void, slot: *const xarch_slot) -> i32 {
    // SAFETY: the library passes what it was given, and a slot.
    let (vm, slot) = unsafe { (vm(context), &*slot) };
    match convert::slot(slot) {
        Some(slot) => status(told(Backend::add_slot(vm, &slot))),
        None => XARCH_E_INVAL,
    }
}

unsafe extern "C" fn remove_slot(context: *mut c_void, guest: u64, bytes: u64) -> i32 {
    // SAFETY: the library passes what it was given.
    let vm = unsafe { vm(context) };
    status(ranged(guest, bytes, |range| Backend::remove_slot(vm, range)))
}

unsafe extern "C" fn unmap(context: *mut c_void, guest: u64, bytes: u64) -> i32 {
    // SAFETY: as above.
    let vm = unsafe { vm(context) };
    status(ranged(guest, bytes, |range| Backend::unmap(vm, range)))
}

unsafe extern "C" fn protect(context: *mut c_void, guest: u64, bytes: u64) -> i32 {
    // SAFETY: as above.
    let vm = unsafe { vm(context) };
    status(ranged(guest, bytes, |range| Backend::protect(vm, range)))
}

unsafe extern "C" fn collect_dirty(
    context: *mut c_void,
    guest: u64,
    bytes: u64,
    report: Option<unsafe extern "C" fn(argument: *mut c_void, page: u64)>,
    argument: *mut c_void,
) -> i32 {
    // SAFETY: as above.
    let vm = unsafe { vm(context) };
    let Some(report) = report else { return XARCH_E_INVAL };
    // SAFETY: function and argument came together, for this.
    let tell = |page: GuestPa| unsafe { report(argument, page.value()) };
    status(ranged(guest, bytes, |range| Backend::collect_dirty(vm, range, tell)))
}

unsafe extern "C" fn age(context: *mut c_void, guest: u64, bytes: u64) -> i32 {
    // SAFETY: as above.
    let vm = unsafe { vm(context) };
    match ranged(guest, bytes, |range| Backend::age(vm, range)) {
        Ok(Age::Young) => 1,
        Ok(Age::Old) => 0,
        Err(error) => error,
    }
}
