//! The table of entries: its type, which is the header's longest part, and the one symbol that hands it out.

use super::thunks;
use super::types::*;
use core::ffi::c_void;

/// The library's entries. Read-only, valid as long as the library is loaded, the same for all callers.
///
/// Every entry returns XARCH_OK or one of XARCH_E_*, and has done nothing where it returns the latter. Beside
/// the errors that it names: XARCH_E_INVAL for a pointer that is null or misaligned, for a structure that is shorter
/// than version 1.0 has it and for a reserved field that is not 0; XARCH_E_2BIG for a structure with content that the
/// library does not know; and on a back end of the caller's, services return what its functions do, or
/// XARCH_E_NOTSUP.
///
/// No entry takes a lock of the caller's, unless a callback does. Each says its context:
///
///   any      any thread, any time, also from callbacks. Does not sleep.
///   spin     any thread, also from callbacks. Does not sleep, but holds a spin lock for a short,
///            bounded time: not from an interrupt that may come on top of another entry of the
///            same VM or back end. Who can be preempted should disable that around it, or around
///            the lock alone by `spin_enter` and `spin_leave` of the platform.
///   vcpu     one thread at a time for one vCPU, else XARCH_E_BUSY; so too from callbacks for the
///            same vCPU. May sleep where callbacks do, and no lock may be held that they take.
///   setup    nobody else uses the object or what it was made of; not from callbacks. Does not
///            sleep.
///
/// No entry allocates, and none keeps a pointer to a configuration or table after it has returned.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_api {
    /// Size of this table: an entry whose offset is not below it does not exist.
    pub size: u32,
    /// Version of the library, as XARCH_ABI.
    pub abi: u32,
    /// XARCH_FEATURE_*: all that the library can do.
    pub features: u64,

    /// Describes guest architecture number `index`, counted from 0.
    /// Ownership: `info` is the caller's, and filled.
    /// Units: `index` is a number.
    /// Context: any.
    /// Errors: XARCH_E_NOENT past the last one.
    pub guest_info: unsafe extern "C" fn(index: u32, info: *mut xarch_guest_info) -> i32,
    /// Describes back end number `index`, counted from 0, or from XARCH_BACKEND_ANNOUNCED.
    /// Ownership: `info` is the caller's, and filled.
    /// Units: `index` is a number, `page_bytes` in bytes.
    /// Context: any.
    /// Errors: XARCH_E_NOENT past the last one.
    pub backend_info: unsafe extern "C" fn(index: u32, info: *mut xarch_backend_info) -> i32,

    /// Says how much memory a back end needs.
    /// Ownership: both are the caller's; `layout` is filled.
    /// Units: bytes.
    /// Context: any.
    /// Errors: as `backend_create`.
    pub backend_layout:
        unsafe extern "C" fn(config: *const xarch_backend_config, layout: *mut xarch_layout) -> i32,
    /// Makes a back end in `memory`, of which `bytes` are given: at least what `backend_layout` said, and aligned
    /// as it said.
    /// Ownership: the library has `memory` until `backend_destroy`, and uses `storage` until then; configuration
    /// and tables are copied.
    /// Units: bytes.
    /// Context: setup.
    /// Errors: XARCH_E_NOTSUP for a kind that is not there; XARCH_E_NOMEM if memory, `storage` or `table_bytes` is
    /// too small; XARCH_E_INVAL; XARCH_E_2BIG; XARCH_E_IO if the machine refuses.
    pub backend_create: unsafe extern "C" fn(
        config: *const xarch_backend_config,
        memory: *mut c_void,
        bytes: u64,
        backend: *mut *mut xarch_backend,
    ) -> i32,
    /// Gives the back end's memory back to the caller.
    /// Ownership: `memory` and `storage` are the caller's alone again.
    /// Units: none.
    /// Context: setup.
    /// Errors: XARCH_E_BUSY while it has a VM.
    pub backend_destroy: unsafe extern "C" fn(backend: *mut xarch_backend) -> i32,
    /// Makes a range memory. Pages are mapped when they are first touched; the platform's `slot` has to name the
    /// slot from before this is called.
    /// Ownership: `slot` is copied. The memory that it names is the guest's too until the slot is removed, or the
    /// back end is.
    /// Units: bytes, multiples of the back end's page_bytes.
    /// Context: spin.
    /// Errors: XARCH_E_EXIST if it overlaps another; XARCH_E_RANGE; XARCH_E_NOSPC; XARCH_E_NOMEM without room for
    /// tables; XARCH_E_INVAL.
    pub add_slot: unsafe extern "C" fn(backend: *mut xarch_backend, slot: *const xarch_slot) -> i32,
    /// Makes the range of a slot, the whole of it, no memory; when it returns no vCPU uses it. What was on record
    /// about its pages is forgotten. The platform's `slot` stops naming it before. Cannot run out of anything.
    /// Ownership: the slot's memory is the caller's alone when it returns.
    /// Units: bytes, multiples of the back end's page_bytes.
    /// Context: spin.
    /// Errors: XARCH_E_NOENT if there is no slot of exactly this range; XARCH_E_RANGE; XARCH_E_INVAL; XARCH_E_IO.
    pub remove_slot: unsafe extern "C" fn(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32,
    /// Takes every mapping of the range away; when it returns no vCPU uses one, and touching the range maps it
    /// anew. What of it is in no slot is passed over, here and by the services below.
    /// Ownership: nothing changes hands.
    /// Units: bytes, multiples of the back end's page_bytes.
    /// Context: spin.
    /// Errors: XARCH_E_RANGE; XARCH_E_INVAL; XARCH_E_IO.
    pub unmap: unsafe extern "C" fn(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32,
    /// Makes the range read-only until the next store to each page, which is then logged dirty.
    /// Ownership: nothing changes hands.
    /// Units: bytes, multiples of the back end's page_bytes.
    /// Context: spin.
    /// Errors: as `unmap`, and XARCH_E_NOMEM if there is no room for tables.
    pub protect: unsafe extern "C" fn(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32,
    /// Reports the guest-physical address of every page of the range that was stored to since the last call, and
    /// protects it again. A page is reported before a later store to it can go unlogged. `report` is called without
    /// a lock and may sleep if the caller may.
    /// Ownership: `argument` goes to `report` and nowhere else.
    /// Units: bytes, multiples of the back end's page_bytes. `page` is the guest-physical address of its first
    /// byte.
    /// Context: spin.
    /// Errors: as `protect`.
    pub collect_dirty: unsafe extern "C" fn(
        backend: *mut xarch_backend,
        guest: u64,
        bytes: u64,
        report: Option<unsafe extern "C" fn(argument: *mut c_void, page: u64)>,
        argument: *mut c_void,
    ) -> i32,
    /// Returns 1 if a page of the range was touched since the last call, 0 if none, and makes all of them old. A
    /// load, a store, a fetch and a walk of the guest's own tables touch a page; one that is not mapped is old, so
    /// that `unmap` may lose a touch.
    /// Ownership: nothing changes hands.
    /// Units: bytes, multiples of the back end's page_bytes.
    /// Context: spin.
    /// Errors: as `unmap`.
    pub age: unsafe extern "C" fn(backend: *mut xarch_backend, guest: u64, bytes: u64) -> i32,
    /// Makes `vcpu_run` for that vCPU return XARCH_OUTCOME_INTERRUPTED. Sticky: a request that comes before the run
    /// ends the next one at once, and one that a run has not noticed is left to the next. Several before one has
    /// ended a run are one. A vCPU that waits is in no run: waking it is the platform's `kick`. Where hardware runs
    /// the guest, any interrupt of the host makes it leave, and the caller sends one to the CPU that the vCPU is
    /// on, again until `vcpu_run` has returned: it may come before the guest is entered.
    /// Ownership: nothing changes hands.
    /// Units: `vcpu` is a number, counted from 0.
    /// Context: any.
    /// Errors: XARCH_E_NOENT if the back end has not so many.
    pub request_exit: unsafe extern "C" fn(backend: *mut xarch_backend, vcpu: u32) -> i32,

    /// Says how much memory a VM needs.
    /// Ownership: both are the caller's; `layout` is filled.
    /// Units: bytes.
    /// Context: any.
    /// Errors: none of its own.
    pub vm_layout: unsafe extern "C" fn(config: *const xarch_vm_config, layout: *mut xarch_layout) -> i32,
    /// Makes a VM on a back end that has none, in `memory` as `vm_layout` said.
    /// Ownership: the library has `memory` until `vm_destroy`; the configuration is copied.
    /// Units: bytes.
    /// Context: setup.
    /// Errors: XARCH_E_NOTSUP for a guest architecture that the back end does not run; XARCH_E_BUSY if the back end
    /// has a VM; XARCH_E_NOMEM; XARCH_E_INVAL; XARCH_E_2BIG.
    pub vm_create: unsafe extern "C" fn(
        backend: *mut xarch_backend,
        config: *const xarch_vm_config,
        memory: *mut c_void,
        bytes: u64,
        vm: *mut *mut xarch_vm,
    ) -> i32,
    /// Gives the VM's memory back to the caller.
    /// Ownership: `memory` is the caller's again.
    /// Units: none.
    /// Context: setup.
    /// Errors: XARCH_E_BUSY while it has vCPUs.
    pub vm_destroy: unsafe extern "C" fn(vm: *mut xarch_vm) -> i32,
    /// Puts what the vCPUs share into its reset state; input lines stay as they are. Each vCPU is to be reset after
    /// it.
    /// Ownership: nothing changes hands.
    /// Units: none.
    /// Context: setup.
    /// Errors: none of its own.
    pub vm_reset: unsafe extern "C" fn(vm: *mut xarch_vm) -> i32,
    /// Tells the features that both sides know: those that are in use.
    /// Ownership: `features` is the caller's, and filled.
    /// Units: XARCH_FEATURE_*, a bit each.
    /// Context: any.
    /// Errors: none of its own.
    pub vm_features: unsafe extern "C" fn(vm: *mut xarch_vm, features: *mut u64) -> i32,
    /// Drives an interrupt line, and kicks whom it concerns.
    /// Ownership: `irq` is copied.
    /// Units: numbers as the guest architecture counts interrupts, `vcpu` from 0.
    /// Context: spin; calls `kick`.
    /// Errors: XARCH_E_NOENT if there is no such interrupt or vCPU; XARCH_E_NOTSUP for a kind or action of a later
    /// version; XARCH_E_INVAL.
    pub vm_set_irq: unsafe extern "C" fn(vm: *mut xarch_vm, irq: *const xarch_irq) -> i32,

    /// Reads state that all vCPUs share: XARCH_BANK_CONTROLLER, XARCH_BANK_LINES; two numbers, as
    /// `vcpu_get_register`. What is on its way to a vCPU is home only once a register of that vCPU was asked for
    /// after its last run.
    /// Ownership: `value` is the caller's, two numbers, and filled.
    /// Units: as `vcpu_get_register`.
    /// Context: spin.
    /// Errors: XARCH_E_NOENT.
    pub vm_get_register: unsafe extern "C" fn(vm: *mut xarch_vm, id: u64, value: *mut u64) -> i32,
    /// Writes state that all vCPUs share.
    /// Ownership: `value` is copied, two numbers.
    /// Units: as `vcpu_get_register`.
    /// Context: spin, and no vCPU runs.
    /// Errors: XARCH_E_NOENT; XARCH_E_INVAL.
    pub vm_set_register: unsafe extern "C" fn(vm: *mut xarch_vm, id: u64, value: *const u64) -> i32,
    /// Lists that state, in the order in which it is to be restored, after the vCPUs' own. `count` is the room in
    /// `ids` and becomes their number.
    /// Ownership: `ids` and `count` are the caller's, and filled; `ids` may be null if `count` is 0.
    /// Units: `count` in ids, XARCH_REG.
    /// Context: any.
    /// Errors: XARCH_E_2BIG if there is no room for all, with `count` saying how many there are.
    pub vm_list_registers: unsafe extern "C" fn(vm: *mut xarch_vm, ids: *mut u64, count: *mut u32) -> i32,

    /// Says how much memory a vCPU of this VM needs.
    /// Ownership: `layout` is the caller's, and filled.
    /// Units: bytes.
    /// Context: any.
    /// Errors: none of its own.
    pub vcpu_layout: unsafe extern "C" fn(vm: *mut xarch_vm, layout: *mut xarch_layout) -> i32,
    /// Makes vCPU number `index`, in `memory` as `vcpu_layout` said. It has to be reset before it runs. The back
    /// end's own `ops` get `context`.
    /// Ownership: the library has `memory` until `vcpu_destroy`; `context` is never looked at.
    /// Units: bytes; `index` counts from 0.
    /// Context: setup, but other vCPUs of the VM may run.
    /// Errors: XARCH_E_NOENT if the VM has no such vCPU; XARCH_E_EXIST if it was made already; XARCH_E_NOMEM;
    /// XARCH_E_INVAL; XARCH_E_IO.
    pub vcpu_create: unsafe extern "C" fn(
        vm: *mut xarch_vm,
        index: u32,
        context: *mut c_void,
        memory: *mut c_void,
        bytes: u64,
        vcpu: *mut *mut xarch_vcpu,
    ) -> i32,
    /// Gives the vCPU's memory back to the caller.
    /// Ownership: `memory` is the caller's again.
    /// Units: none.
    /// Context: vcpu, and then never again.
    /// Errors: none of its own; where it is XARCH_E_BUSY, the vCPU is still there.
    pub vcpu_destroy: unsafe extern "C" fn(vcpu: *mut xarch_vcpu) -> i32,
    /// Puts every register into its reset state. vCPU 0 is then on, the others wait to be turned on by the guest.
    /// Ownership: nothing changes hands.
    /// Units: none.
    /// Context: vcpu.
    /// Errors: XARCH_E_IO, or what the back end's `write` said, if the host lacks a register that the core relies
    /// on.
    pub vcpu_reset: unsafe extern "C" fn(vcpu: *mut xarch_vcpu) -> i32,
    /// Sets what a boot protocol sets: the address of the first instruction and the first four arguments, an array.
    /// Ownership: `arguments` is copied.
    /// Units: `entry` is an address as the guest sees it, the arguments are numbers of 64 bits.
    /// Context: vcpu, after a reset.
    /// Errors: XARCH_E_IO, as `vcpu_reset`.
    pub vcpu_boot: unsafe extern "C" fn(vcpu: *mut xarch_vcpu, entry: u64, arguments: *const u64) -> i32,
    /// Runs the guest until the host is needed, and says why in `outcome`. After XARCH_OUTCOME_WAIT call it again
    /// when the deadline has passed or somebody kicked; after a stop do not.
    /// Ownership: `outcome` is the caller's, and filled.
    /// Units: bytes and nanoseconds.
    /// Context: vcpu.
    /// Errors: XARCH_E_BUSY: every other end of a run is an outcome.
    pub vcpu_run: unsafe extern "C" fn(vcpu: *mut xarch_vcpu, outcome: *mut xarch_outcome) -> i32,
    /// Answers the device access that XARCH_OUTCOME_DEVICE named: `status` is XARCH_OK with the `value` of a load,
    /// or XARCH_E_NODEV.
    /// Ownership: nothing changes hands.
    /// Units: `value` is a number of the host; byte 0 of the access is the least significant one.
    /// Context: vcpu.
    /// Errors: XARCH_E_NOENT if no access with this token waits; XARCH_E_INVAL; XARCH_E_IO.
    pub vcpu_complete:
        unsafe extern "C" fn(vcpu: *mut xarch_vcpu, token: u32, status: i32, value: u64) -> i32,
    /// Reads a register as the guest would see it: two numbers, of which the first has bits 63 to 0. What is
    /// pending, an exception or the end of an instruction, is applied before.
    /// Ownership: `value` is the caller's, two numbers, and filled.
    /// Units: `id` is an XARCH_REG, numbers are in the host's byte order.
    /// Context: vcpu.
    /// Errors: XARCH_E_NOENT; XARCH_E_IO.
    pub vcpu_get_register: unsafe extern "C" fn(vcpu: *mut xarch_vcpu, id: u64, value: *mut u64) -> i32,
    /// Writes a register, within what the guest may be shown; `value` as in `vcpu_get_register`.
    /// Ownership: `value` is copied.
    /// Units: as `vcpu_get_register`.
    /// Context: vcpu.
    /// Errors: XARCH_E_NOENT; XARCH_E_PERM if it is read-only; XARCH_E_INVAL if it does not take the value;
    /// XARCH_E_IO.
    pub vcpu_set_register: unsafe extern "C" fn(vcpu: *mut xarch_vcpu, id: u64, value: *const u64) -> i32,
    /// Lists the registers that have to be kept to continue the vCPU elsewhere, in the order in which they are to
    /// be restored. `count` is the room in `ids` and becomes their number.
    /// Ownership: `ids` and `count` are the caller's, and filled; `ids` may be null if `count` is 0.
    /// Units: `count` in ids, XARCH_REG.
    /// Context: vcpu.
    /// Errors: XARCH_E_2BIG if there is no room for all, with `count` saying how many there are; XARCH_E_IO.
    pub vcpu_list_registers:
        unsafe extern "C" fn(vcpu: *mut xarch_vcpu, ids: *mut u64, count: *mut u32) -> i32,
}

/// Features of this library.
pub(super) const FEATURES: u64 = {
    let features = XARCH_FEATURE_DEVICE_LATER;
    #[cfg(feature = "next")]
    let features = features | XARCH_FEATURE_PREEMPTED;
    features
};

/// The version of this library: a minor number more where the next version's additions are compiled in.
const ABI: u32 = if cfg!(feature = "next") { XARCH_ABI.wrapping_add(1) } else { XARCH_ABI };

#[expect(clippy::as_conversions, reason = "sizes of tables, far below 2^32")]
static API: xarch_api = xarch_api {
    size: size_of::<xarch_api>() as u32,
    abi: ABI,
    features: FEATURES,
    guest_info: thunks::guest_info,
    backend_info: thunks::backend_info,
    backend_layout: thunks::backend_layout,
    backend_create: thunks::backend_create,
    backend_destroy: thunks::backend_destroy,
    add_slot: thunks::add_slot,
    remove_slot: thunks::remove_slot,
    unmap: thunks::unmap,
    protect: thunks::protect,
    collect_dirty: thunks::collect_dirty,
    age: thunks::age,
    request_exit: thunks::request_exit,
    vm_layout: thunks::vm_layout,
    vm_create: thunks::vm_create,
    vm_destroy: thunks::vm_destroy,
    vm_reset: thunks::vm_reset,
    vm_features: thunks::vm_features,
    vm_set_irq: thunks::vm_set_irq,
    vm_get_register: thunks::vm_get_register,
    vm_set_register: thunks::vm_set_register,
    vm_list_registers: thunks::vm_list_registers,
    vcpu_layout: thunks::vcpu_layout,
    vcpu_create: thunks::vcpu_create,
    vcpu_destroy: thunks::vcpu_destroy,
    vcpu_reset: thunks::vcpu_reset,
    vcpu_boot: thunks::vcpu_boot,
    vcpu_run: thunks::vcpu_run,
    vcpu_complete: thunks::vcpu_complete,
    vcpu_get_register: thunks::vcpu_get_register,
    vcpu_set_register: thunks::vcpu_set_register,
    vcpu_list_registers: thunks::vcpu_list_registers,
};

/// Returns the library's entries for major version `major` of the ABI, null if it does not have that version.
///
/// The only symbol that the library exports. Callers pass XARCH_ABI >> 16. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn xarch_get_api(major: u32) -> *const xarch_api {
    if major == XARCH_ABI >> 16 { &raw const API } else { core::ptr::null() }
}
