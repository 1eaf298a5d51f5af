//! The functions of `kit.c`, and what it calls.
//!
//! The claim of every call is the same: `xarch_kit_run` was given a table of functions that do what `kit.h` says, on any
//! thread of the kernel, until it returns; a handle is one that `vm_create` has returned and `vm_destroy` has not taken.

use core::ffi::c_void;
use core::ptr::NonNull;
use xarch_conformance::Threads;

/// Kinds of [`Exit`].
pub(crate) const EXIT_DEVICE: u32 = 0;
pub(crate) const EXIT_WAIT: u32 = 1;
pub(crate) const EXIT_INTERRUPTED: u32 = 2;
pub(crate) const EXIT_POWER_OFF: u32 = 3;

/// What `device` says where the answer comes later: XARCH_E_AGAIN.
pub(crate) const LATER: i32 = -11;

/// Why a run ended. `struct xarch_kit_exit`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Exit {
    pub(crate) kind: u32,
    pub(crate) bytes: u32,
    pub(crate) address: u64,
    pub(crate) value: u64,
    pub(crate) token: u32,
    pub(crate) is_write: u32,
    pub(crate) counter: u64,
    pub(crate) nanoseconds: u64,
}

/// A slot. `struct xarch_kit_slot`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) guest: u64,
    pub(crate) bytes: u64,
    pub(crate) host: u64,
    pub(crate) read_only: u64,
}

/// A VM of the module's.
#[derive(Debug)]
pub(crate) struct VmHandle(NonNull<c_void>);

// SAFETY: the module's functions take one on any thread.
unsafe impl Sync for VmHandle {}

type Call = unsafe extern "C" fn(argument: *mut c_void);
type Pointer = *mut c_void;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $returns:ty)?;)*) => {
        /// `struct xarch_kit_functions`.
        #[repr(C)]
        #[derive(Debug)]
        pub struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $returns)?,)*
        }
    };
}

functions! {
    vm_create(u32) -> Pointer;
    vm_destroy(Pointer);
    add_slot(Pointer, u64, u64, u64, u32) -> i32;
    remove_slot(Pointer, u64, u64) -> i32;
    unmap(Pointer, u64, u64) -> i32;
    protect(Pointer, u64, u64) -> i32;
    collect_dirty(Pointer, u64, u64, unsafe extern "C" fn(*mut c_void, u64), *mut c_void) -> i32;
    age(Pointer, u64, u64) -> i32;
    interrupt(Pointer, u32);
    start(Pointer, u32, u64) -> i32;
    run(Pointer, u32, *mut Exit);
    complete(Pointer, u32, u32, u64, u32) -> i32;
    get_register(Pointer, u32, u64, *mut u64) -> i32;
    set_register(Pointer, u32, u64, *const u64) -> i32;
    load(Pointer, u64, *mut c_void, u64);
    store(Pointer, u64, *const c_void, u64);
    slot(Pointer, u64, *mut Found) -> i32;
    ask_device(Pointer, u32, u64, u32, u32, u64) -> i32;
    kick(Pointer, u32);
    wait(Pointer, u32, u64) -> i32;
    exit_requests(Pointer, u32) -> u32;
    clock() -> u64;
    relax();
    both(Call, *mut c_void, Call, *mut c_void) -> i32;
    log(*const c_void, u64);
}

/// Calls a function of the table with a handle.
macro_rules! call {
    ($of:expr, $name:ident($($argument:expr),*)) => {
        // SAFETY: see the module.
        unsafe { ($of.$name)($($argument),*) }
    };
}

fn bytes(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(0)
}

impl Functions {
    pub(crate) fn make_vm(&self, vcpus: u32) -> Option<VmHandle> {
        NonNull::new(call!(self, vm_create(vcpus))).map(VmHandle)
    }

    pub(crate) fn end_vm(&self, vm: VmHandle) {
        call!(self, vm_destroy(vm.0.as_ptr()));
    }

    pub(crate) fn add_region(
        &self,
        vm: &VmHandle,
        guest: u64,
        bytes: u64,
        place: u64,
        read_only: u32,
    ) -> i32 {
        call!(self, add_slot(vm.0.as_ptr(), guest, bytes, place, read_only))
    }

    pub(crate) fn remove_region(&self, vm: &VmHandle, guest: u64, bytes: u64) -> i32 {
        call!(self, remove_slot(vm.0.as_ptr(), guest, bytes))
    }

    pub(crate) fn unmapped(&self, vm: &VmHandle, guest: u64, bytes: u64) -> i32 {
        call!(self, unmap(vm.0.as_ptr(), guest, bytes))
    }

    pub(crate) fn protected(&self, vm: &VmHandle, guest: u64, bytes: u64) -> i32 {
        call!(self, protect(vm.0.as_ptr(), guest, bytes))
    }

    pub(crate) fn collected(
        &self,
        vm: &VmHandle,
        guest: u64,
        bytes: u64,
        mut told: &mut dyn FnMut(u64),
    ) -> i32 {
        unsafe extern "C" fn report(argument: *mut c_void, page: u64) {
            // SAFETY: it is what is passed below, and lives until the call returns.
            let told = unsafe { &mut *argument.cast::<&mut dyn FnMut(u64)>() };
            told(page);
        }
        call!(self, collect_dirty(vm.0.as_ptr(), guest, bytes, report, (&raw mut told).cast()))
    }

    pub(crate) fn aged(&self, vm: &VmHandle, guest: u64, bytes: u64) -> i32 {
        call!(self, age(vm.0.as_ptr(), guest, bytes))
    }

    pub(crate) fn interrupted(&self, vm: &VmHandle, vcpu: u32) {
        call!(self, interrupt(vm.0.as_ptr(), vcpu));
    }

    pub(crate) fn started(&self, vm: &VmHandle, vcpu: u32, entry: u64) -> i32 {
        call!(self, start(vm.0.as_ptr(), vcpu, entry))
    }

    pub(crate) fn ran(&self, vm: &VmHandle, vcpu: u32) -> Exit {
        let mut exit = Exit::default();
        call!(self, run(vm.0.as_ptr(), vcpu, &raw mut exit));
        exit
    }

    pub(crate) fn completed(&self, vm: &VmHandle, vcpu: u32, token: u32, value: u64, absent: u32) -> i32 {
        call!(self, complete(vm.0.as_ptr(), vcpu, token, value, absent))
    }

    pub(crate) fn register_read(&self, vm: &VmHandle, vcpu: u32, id: u64, value: &mut [u64; 2]) -> i32 {
        call!(self, get_register(vm.0.as_ptr(), vcpu, id, value.as_mut_ptr()))
    }

    pub(crate) fn register_written(&self, vm: &VmHandle, vcpu: u32, id: u64, value: [u64; 2]) -> i32 {
        call!(self, set_register(vm.0.as_ptr(), vcpu, id, value.as_ptr()))
    }

    pub(crate) fn loaded(&self, vm: &VmHandle, from: u64, into: &mut [u8]) {
        call!(self, load(vm.0.as_ptr(), from, into.as_mut_ptr().cast(), bytes(into.len())));
    }

    pub(crate) fn stored(&self, vm: &VmHandle, to: u64, from: &[u8]) {
        call!(self, store(vm.0.as_ptr(), to, from.as_ptr().cast(), bytes(from.len())));
    }

    pub(crate) fn slot_of(&self, vm: &VmHandle, address: u64) -> Option<Found> {
        let mut found = Found::default();
        (call!(self, slot(vm.0.as_ptr(), address, &raw mut found)) == 0).then_some(found)
    }

    pub(crate) fn device(
        &self,
        vm: &VmHandle,
        vcpu: u32,
        address: u64,
        bytes: u32,
        is_write: u32,
        value: u64,
    ) -> i32 {
        call!(self, ask_device(vm.0.as_ptr(), vcpu, address, bytes, is_write, value))
    }

    pub(crate) fn kicked(&self, vm: &VmHandle, vcpu: u32) {
        call!(self, kick(vm.0.as_ptr(), vcpu));
    }

    pub(crate) fn waited(&self, vm: &VmHandle, vcpu: u32, nanoseconds: u64) -> i32 {
        call!(self, wait(vm.0.as_ptr(), vcpu, nanoseconds))
    }

    pub(crate) fn slices(&self, vm: &VmHandle, vcpu: u32) -> u32 {
        call!(self, exit_requests(vm.0.as_ptr(), vcpu))
    }

    pub(crate) fn nanoseconds(&self) -> u64 {
        call!(self, clock())
    }

    pub(crate) fn relaxed(&self) {
        call!(self, relax());
    }

    pub(crate) fn at_once(
        &self,
        mut first: &mut (dyn FnMut() + Send),
        mut second: &mut (dyn FnMut() + Send),
    ) -> Threads {
        unsafe extern "C" fn work(argument: *mut c_void) {
            // SAFETY: it is what is passed below, each to one thread, and lives until both have ended.
            let work = unsafe { &mut *argument.cast::<&mut (dyn FnMut() + Send)>() };
            work();
        }
        let (first, second) = ((&raw mut first).cast(), (&raw mut second).cast());
        if call!(self, both(work, first, work, second)) == 0 { Threads::Two } else { Threads::One }
    }

    pub(crate) fn say(&self, text: &str) {
        call!(self, log(text.as_ptr().cast(), bytes(text.len())));
    }
}

/// Checks the module, and says each verdict to `log`. Returns how many clauses are broken.
///
/// # Safety
/// The table's functions do what `kit.h` says, on any thread, until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xarch_kit_run(functions: *const Functions) -> u32 {
    // SAFETY: the caller's promise.
    crate::run(unsafe { &*functions })
}

/// The library's entry is to be in the same object.
#[used]
static ENTRY: extern "C" fn(u32) -> *const xarch_ffi::xarch_api = xarch_ffi::xarch_get_api;

/// Where a panic of the kit would go; the library has none.
#[cfg(xarch_static_library)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
