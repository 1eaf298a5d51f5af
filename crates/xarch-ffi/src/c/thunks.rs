//! The entries: pointers in, references to the objects out, and what is done with them elsewhere.
//!
//! Every entry has the same `# Safety`: the caller obeys what `include/xarch.h` says about it. In particular a pointer
//! to an object is one that the library has returned and whose object was not destroyed, a pointer to a structure is
//! null or valid for the bytes that its size says, and memory that was given is the library's alone.

use super::callbacks::{Context, Report};
use super::memory::{Memory, read, write};
use super::place::{VcpuPlan, VmPlan, backend_parts, core_config};
use super::types::*;
use crate::convert;
use crate::objects::{
    BACKEND_SAE, BACKEND_SAE_MODEL, BackendObject, GUEST_AARCH64, Halves, Hardware, MODEL_VCPUS, ModelVcpu,
    VCPUS, VcpuObject, VmObject, machine,
};
use crate::status::{Status, code};
use core::ffi::{c_char, c_void};
use core::sync::atomic::Ordering;

const INVALID: Status = Status(XARCH_E_INVAL);

/// Refuses a pointer that cannot be one to a `T`.
fn checked<T>(pointer: *const T) -> Result<(), Status> {
    if pointer.is_null() || !pointer.is_aligned() { Err(INVALID) } else { Ok(()) }
}

/// Returns the object behind a pointer of the caller.
///
/// # Safety
/// See the module.
unsafe fn object<T, O>(pointer: *mut O) -> Result<&'static T, Status> {
    let pointer = pointer.cast::<T>();
    checked(pointer)?;
    // SAFETY: a pointer that `hand_out` made of a reference to this `T`, which lives until it is destroyed.
    Ok(unsafe { &*pointer })
}

/// Gives a new object to the caller.
///
/// # Safety
/// `to` is valid for writing a pointer.
unsafe fn hand_out<T, O>(object: &'static mut T, to: *mut *mut O) {
    // SAFETY: the caller's promise.
    unsafe { to.write(core::ptr::from_mut(object).cast::<O>()) }
}

/// Writes a plain value.
///
/// # Safety
/// `to` is null or valid for writing.
unsafe fn give<T>(to: *mut T, value: T) -> Result<(), Status> {
    checked(to)?;
    // SAFETY: not null, and valid otherwise.
    unsafe { to.write(value) };
    Ok(())
}

/// Reads plain values.
///
/// # Safety
/// `from` is null or valid for reading.
unsafe fn take<T: Copy>(from: *const T) -> Result<T, Status> {
    checked(from)?;
    // SAFETY: not null, and valid otherwise.
    Ok(unsafe { from.read() })
}

/// Does something with a vCPU, alone.
///
/// # Safety
/// See the module.
unsafe fn alone(
    vcpu: *mut xarch_vcpu,
    work: impl FnOnce(&'static VmObject, &mut Halves) -> Result<(), Status>,
) -> Result<(), Status> {
    // SAFETY: the caller's promise.
    let vcpu: &'static VcpuObject = unsafe { object(vcpu) }?;
    if vcpu.busy.swap(true, Ordering::Acquire) {
        return Err(Status(XARCH_E_BUSY));
    }
    // SAFETY: `busy` was not set and is now: until it is cleared nobody else gets here.
    let result = work(vcpu.vm, unsafe { &mut *vcpu.halves.get() });
    vcpu.busy.store(false, Ordering::Release);
    result
}

/// A name in the header's form.
fn name(text: &str) -> [c_char; 32] {
    let mut name = [0; 32];
    // The last byte stays zero.
    for (to, from) in name.iter_mut().take(31).zip(text.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    name
}

/// # Safety
/// See the module.
#[expect(clippy::as_conversions, reason = "a small constant")]
pub(super) unsafe extern "C" fn guest_info(index: u32, info: *mut xarch_guest_info) -> i32 {
    let found = xarch_guest_info {
        size: 0,
        id: GUEST_AARCH64,
        name: name("aarch64"),
        vcpus: VCPUS as u32,
        reserved: 0,
    };
    // SAFETY: the caller's promise.
    code(if index == 0 { unsafe { write(info, &found) } } else { Err(Status(XARCH_E_NOENT)) })
}

/// # Safety
/// See the module.
#[expect(clippy::as_conversions, reason = "a small constant")]
pub(super) unsafe extern "C" fn backend_info(index: u32, info: *mut xarch_backend_info) -> i32 {
    let (kind, text, flags) = match index {
        0 => (BACKEND_SAE_MODEL, "sae-model", XARCH_BACKEND_SOFTWARE),
        XARCH_BACKEND_ANNOUNCED if machine::is_there() => (BACKEND_SAE, "sae", 0),
        _ => return code(Err(Status(XARCH_E_NOENT))),
    };
    let found = xarch_backend_info {
        size: 0,
        kind,
        name: name(text),
        guest: GUEST_AARCH64,
        flags,
        vcpus: MODEL_VCPUS as u32,
        page_bytes: xarch_abi::PAGE_BYTES as u32,
    };
    // SAFETY: the caller's promise.
    code(unsafe { write(info, &found) })
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn backend_layout(
    config: *const xarch_backend_config,
    layout: *mut xarch_layout,
) -> i32 {
    // SAFETY: the caller's promise.
    let plan = unsafe { backend_parts(config) }.map(|parts| parts.plan().plan);
    // SAFETY: the caller's promise.
    code(plan.and_then(|plan| unsafe { give(layout, plan.layout()) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn backend_create(
    config: *const xarch_backend_config,
    memory: *mut c_void,
    bytes: u64,
    backend: *mut *mut xarch_backend,
) -> i32 {
    let make = || -> Result<(), Status> {
        checked(backend)?;
        // SAFETY: the caller's promise.
        let parts = unsafe { backend_parts(config) }?;
        let plan = parts.plan();
        // SAFETY: the caller's promise.
        let memory = unsafe { Memory::new(memory, bytes, &plan.plan) }?;
        // SAFETY: the memory was taken for this plan; for the storage the caller promises.
        let made = unsafe { parts.make(plan, &memory) }?;
        // SAFETY: not null, valid by the caller's promise.
        unsafe { hand_out(made, backend) };
        Ok(())
    };
    code(make())
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn backend_destroy(backend: *mut xarch_backend) -> i32 {
    // SAFETY: the caller's promise.
    code(unsafe { object::<BackendObject, _>(backend) }.and_then(|backend| {
        // Nothing in a back end needs more than to be forgotten.
        if backend.has_vm.load(Ordering::Acquire) { Err(Status(XARCH_E_BUSY)) } else { Ok(()) }
    }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn add_slot(backend: *mut xarch_backend, slot: *const xarch_slot) -> i32 {
    // SAFETY: the caller's promise, twice.
    let both = unsafe { object::<BackendObject, _>(backend).and_then(|backend| Ok((backend, read(slot)?))) };
    code(both.and_then(|(backend, slot)| backend.add_slot(&slot)))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn remove_slot(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32 {
    // SAFETY: the caller's promise.
    let backend = unsafe { object::<BackendObject, _>(backend) };
    code(backend.and_then(|backend| backend.remove_slot(convert::range(guest, bytes)?)))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn unmap(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32 {
    // SAFETY: the caller's promise.
    let backend = unsafe { object::<BackendObject, _>(backend) };
    code(backend.and_then(|backend| backend.unmap(convert::range(guest, bytes)?)))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn protect(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32 {
    // SAFETY: the caller's promise.
    let backend = unsafe { object::<BackendObject, _>(backend) };
    code(backend.and_then(|backend| backend.protect(convert::range(guest, bytes)?)))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn collect_dirty(
    backend: *mut xarch_backend,
    guest: u64,
    bytes: u64,
    report: Option<unsafe extern "C" fn(argument: *mut c_void, page: u64)>,
    argument: *mut c_void,
) -> i32 {
    // SAFETY: the caller's promise.
    let backend = unsafe { object::<BackendObject, _>(backend) };
    code(backend.and_then(|backend| {
        let report = Report { function: report.ok_or(INVALID)?, argument };
        backend.collect_dirty(convert::range(guest, bytes)?, report)
    }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn age(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32 {
    // SAFETY: the caller's promise.
    let backend = unsafe { object::<BackendObject, _>(backend) };
    match backend.and_then(|backend| backend.age(convert::range(guest, bytes)?)) {
        Ok(age) => age,
        Err(status) => status.0,
    }
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn request_exit(backend: *mut xarch_backend, vcpu: u32) -> i32 {
    // SAFETY: the caller's promise.
    let backend = unsafe { object::<BackendObject, _>(backend) };
    code(backend.and_then(|backend| {
        backend.request_exit(convert::index(vcpu, backend.vcpus)?);
        Ok(())
    }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_layout(config: *const xarch_vm_config, layout: *mut xarch_layout) -> i32 {
    // SAFETY: the caller's promise.
    let config = unsafe { read(config) };
    // SAFETY: the caller's promise.
    code(config.and_then(|_| unsafe { give(layout, VmPlan::new().plan.layout()) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_create(
    backend: *mut xarch_backend,
    config: *const xarch_vm_config,
    memory: *mut c_void,
    bytes: u64,
    vm: *mut *mut xarch_vm,
) -> i32 {
    let make = || -> Result<(), Status> {
        checked(vm)?;
        // SAFETY: the caller's promise, twice.
        let (backend, config) = unsafe { (object::<BackendObject, _>(backend)?, read(config)?) };
        core_config(&config, backend)?;
        let plan = VmPlan::new();
        // SAFETY: the caller's promise.
        let memory = unsafe { Memory::new(memory, bytes, &plan.plan) }?;
        if backend.has_vm.swap(true, Ordering::AcqRel) {
            return Err(Status(XARCH_E_BUSY));
        }
        // SAFETY: the memory was taken for this plan.
        let made = unsafe { plan.make(&memory, backend, &config) };
        let made = made.inspect_err(|_| backend.has_vm.store(false, Ordering::Release))?;
        // SAFETY: not null, valid by the caller's promise.
        unsafe { hand_out(made, vm) };
        Ok(())
    };
    code(make())
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_destroy(vm: *mut xarch_vm) -> i32 {
    // SAFETY: the caller's promise.
    code(unsafe { object::<VmObject, _>(vm) }.and_then(|vm| {
        if vm.users.load(Ordering::Acquire) != 0 {
            return Err(Status(XARCH_E_BUSY));
        }
        vm.backend.has_vm.store(false, Ordering::Release);
        Ok(())
    }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_reset(vm: *mut xarch_vm) -> i32 {
    // SAFETY: the caller's promise.
    code(unsafe { object::<VmObject, _>(vm) }.map(|vm| vm.core.reset()))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_features(vm: *mut xarch_vm, features: *mut u64) -> i32 {
    // SAFETY: the caller's promise.
    let vm = unsafe { object::<VmObject, _>(vm) };
    // SAFETY: the caller's promise.
    code(vm.and_then(|vm| unsafe { give(features, vm.backend.agreed.load(Ordering::Relaxed)) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_set_irq(vm: *mut xarch_vm, irq: *const xarch_irq) -> i32 {
    // SAFETY: the caller's promise, twice.
    let both = unsafe { object::<VmObject, _>(vm).and_then(|vm| Ok((vm, read(irq)?))) };
    code(both.and_then(|(vm, irq)| vm.set_irq(&irq)))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_get_register(vm: *mut xarch_vm, id: u64, value: *mut u64) -> i32 {
    // SAFETY: the caller's promise.
    let found = unsafe { object::<VmObject, _>(vm) }.and_then(|vm| vm.get(id));
    // SAFETY: the caller's promise.
    code(found.and_then(|found| unsafe { give(value.cast::<[u64; 2]>(), found) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_set_register(vm: *mut xarch_vm, id: u64, value: *const u64) -> i32 {
    // SAFETY: the caller's promise, twice.
    let (vm, value) = unsafe { (object::<VmObject, _>(vm), take(value.cast::<[u64; 2]>())) };
    code(vm.and_then(|vm| vm.set(id, value?)))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vm_list_registers(vm: *mut xarch_vm, ids: *mut u64, count: *mut u32) -> i32 {
    // SAFETY: the caller's promise.
    let vm = unsafe { object::<VmObject, _>(vm) };
    // SAFETY: the caller's promise.
    code(vm.and_then(|vm| unsafe {
        list(ids, count, |found| {
            vm.list(found);
            Ok(())
        })
    }))
}

/// Gives a list of numbers to the caller, as far as there is room.
///
/// # Safety
/// `count` is null or valid for reading and writing, and `ids` null or valid for writing that many numbers.
unsafe fn list(
    ids: *mut u64,
    count: *mut u32,
    each: impl FnOnce(&mut dyn FnMut(u64)) -> Result<(), Status>,
) -> Result<(), Status> {
    // SAFETY: the caller's promise.
    let room = unsafe { take(count) }?;
    let room = if ids.is_null() { 0 } else { checked(ids).map(|()| room)? };
    let mut there = 0_u32;
    each(&mut |id| {
        if there < room {
            // SAFETY: `ids` has room for `room` numbers, by the caller's promise.
            unsafe { ids.add(usize::try_from(there).unwrap_or(0)).write(id) };
        }
        there = there.saturating_add(1);
    })?;
    // SAFETY: `count` is valid for writing, by the caller's promise.
    unsafe { give(count, there) }?;
    if there > room { Err(Status(XARCH_E_2BIG)) } else { Ok(()) }
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_layout(vm: *mut xarch_vm, layout: *mut xarch_layout) -> i32 {
    // SAFETY: the caller's promise.
    let vm = unsafe { object::<VmObject, _>(vm) };
    // SAFETY: the caller's promise.
    code(vm.and_then(|vm| unsafe { give(layout, VcpuPlan::new(vm.backend).plan.layout()) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_create(
    vm: *mut xarch_vm,
    index: u32,
    context: *mut c_void,
    memory: *mut c_void,
    bytes: u64,
    vcpu: *mut *mut xarch_vcpu,
) -> i32 {
    let make = || -> Result<(), Status> {
        checked(vcpu)?;
        // SAFETY: the caller's promise.
        let vm = unsafe { object::<VmObject, _>(vm) }?;
        let index = convert::index(index, vm.core.config().vcpus)?;
        let plan = VcpuPlan::new(vm.backend);
        // SAFETY: the caller's promise.
        let memory = unsafe { Memory::new(memory, bytes, &plan.plan) }?;
        if !vm.claim(index) {
            return Err(Status(XARCH_E_EXIST));
        }
        // SAFETY: the memory was taken for this plan.
        let made = unsafe { plan.make(&memory, vm, index, Context(context)) };
        let made = made.inspect_err(|_| vm.release(index))?;
        vm.users.fetch_add(1, Ordering::AcqRel);
        // SAFETY: not null, valid by the caller's promise.
        unsafe { hand_out(made, vcpu) };
        Ok(())
    };
    code(make())
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_destroy(vcpu: *mut xarch_vcpu) -> i32 {
    // SAFETY: the caller's promise.
    let found = unsafe { object::<VcpuObject, _>(vcpu) };
    code(found.and_then(|found| {
        if found.busy.swap(true, Ordering::Acquire) {
            return Err(Status(XARCH_E_BUSY));
        }
        let (vm, index) = (found.vm, found.index);
        // SAFETY: nobody else is inside, and nobody may come any more.
        if let Hardware::Model(model) = unsafe { &mut (*found.halves.get()).hardware } {
            // It gives its blocks up; nothing else of a vCPU needs more than to be forgotten.
            // SAFETY: as above: it is not used after this.
            unsafe { core::ptr::drop_in_place(core::ptr::from_mut::<ModelVcpu>(model)) };
        }
        vm.release(index);
        vm.users.fetch_sub(1, Ordering::AcqRel);
        Ok(())
    }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_reset(vcpu: *mut xarch_vcpu) -> i32 {
    // SAFETY: the caller's promise.
    code(unsafe { alone(vcpu, |_, halves| halves.reset()) })
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_boot(vcpu: *mut xarch_vcpu, entry: u64, arguments: *const u64) -> i32 {
    // SAFETY: the caller's promise.
    let arguments = unsafe { take(arguments.cast::<[u64; 4]>()) };
    // SAFETY: the caller's promise.
    code(arguments.and_then(|arguments| unsafe { alone(vcpu, |_, halves| halves.boot(entry, arguments)) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_run(vcpu: *mut xarch_vcpu, outcome: *mut xarch_outcome) -> i32 {
    let run = |vm: &'static VmObject, halves: &mut Halves| {
        // Whether there is room for the outcome has to be known before.
        // SAFETY: the caller's promise.
        unsafe { read(outcome) }?;
        let ended = halves.run(vm.backend);
        // SAFETY: the caller's promise.
        unsafe { write(outcome, &ended) }
    };
    // SAFETY: the caller's promise.
    code(unsafe { alone(vcpu, run) })
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_complete(
    vcpu: *mut xarch_vcpu,
    token: u32,
    status: i32,
    value: u64,
) -> i32 {
    // SAFETY: the caller's promise.
    code(unsafe { alone(vcpu, |_, halves| halves.complete(token, status, value)) })
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_get_register(vcpu: *mut xarch_vcpu, id: u64, value: *mut u64) -> i32 {
    let get = |_: &'static VmObject, halves: &mut Halves| {
        let found = halves.get(id)?;
        // SAFETY: the caller's promise.
        unsafe { give(value.cast::<[u64; 2]>(), found) }
    };
    // SAFETY: the caller's promise.
    code(unsafe { alone(vcpu, get) })
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_set_register(vcpu: *mut xarch_vcpu, id: u64, value: *const u64) -> i32 {
    // SAFETY: the caller's promise.
    let value = unsafe { take(value.cast::<[u64; 2]>()) };
    // SAFETY: the caller's promise.
    code(value.and_then(|value| unsafe { alone(vcpu, |_, halves| halves.set(id, value)) }))
}

/// # Safety
/// See the module.
pub(super) unsafe extern "C" fn vcpu_list_registers(
    vcpu: *mut xarch_vcpu,
    ids: *mut u64,
    count: *mut u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let all =
        |_: &'static VmObject, halves: &mut Halves| unsafe { list(ids, count, |found| halves.list(found)) };
    // SAFETY: the caller's promise.
    code(unsafe { alone(vcpu, all) })
}
