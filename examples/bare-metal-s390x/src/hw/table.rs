//! The library of `xarch.h`, by its table alone, as a host in C calls it. Numbers that are not 0 come back as errors.

use crate::library::{self, PLATFORM_VERSION};
use alloc::alloc::{Layout, alloc_zeroed};
use core::ffi::c_void;
use core::ptr::{null, null_mut};
use xarch_ffi::*;

/// A status that is not XARCH_OK.
type Result<T> = core::result::Result<T, i32>;

fn done(status: i32) -> Result<()> {
    if status == XARCH_OK { Ok(()) } else { Err(status) }
}

const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// Returns the table.
pub fn api() -> Option<&'static xarch_api> {
    // SAFETY: null, or a table that is there for as long as the program.
    unsafe { xarch_get_api(XARCH_ABI >> 16).as_ref() }
}

/// Describes a back end.
pub fn backend_info(index: u32) -> Result<xarch_backend_info> {
    // SAFETY: numbers, all of them.
    let mut info: xarch_backend_info = unsafe { core::mem::zeroed() };
    info.size = size::<xarch_backend_info>();
    let api = api().ok_or(XARCH_E_NOTSUP)?;
    // SAFETY: the structure has the size that it says.
    done(unsafe { (api.backend_info)(index, &raw mut info) })?;
    Ok(info)
}

/// Memory for an object, for ever.
fn memory(layout: xarch_layout) -> Result<*mut c_void> {
    let layout = Layout::from_size_align(layout.size as usize, layout.align as usize);
    let layout = layout.map_err(|_| XARCH_E_INVAL)?;
    // SAFETY: no object is empty.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() { Err(XARCH_E_NOMEM) } else { Ok(memory.cast()) }
}

extern "C" fn slot(_: *mut c_void, address: u64, to: *mut xarch_slot) -> i32 {
    let Some(found) = library::slot(address) else { return XARCH_E_NOENT };
    // SAFETY: the library's own structure, which says how long it is: longer than the fields of this version.
    unsafe { to.write(xarch_slot { size: (*to).size, ..found }) };
    XARCH_OK
}

extern "C" fn device(_: *mut c_void, vcpu: u32, access: *mut xarch_access) -> i32 {
    // SAFETY: as above.
    library::device(vcpu, unsafe { &mut *access })
}

extern "C" fn kick(_: *mut c_void, vcpu: u32) {
    library::kick(vcpu);
}

extern "C" fn clock(_: *mut c_void) -> u64 {
    crate::model::nanoseconds()
}

static PLATFORM: xarch_platform = xarch_platform {
    size: size::<xarch_platform>(),
    abi: PLATFORM_VERSION,
    clock: Some(clock),
    slot: Some(slot),
    device: Some(device),
    kick: Some(kick),
    relax: None,
    trace: None,
    read: None,
    spin_enter: None,
    spin_leave: None,
};

/// A back end and its VM.
#[derive(Debug)]
pub struct Machine {
    api: &'static xarch_api,
    backend: *mut xarch_backend,
    vm: *mut xarch_vm,
}

// SAFETY: what points to them is given to entries alone, and those say which thread may call them: any for a VM.
unsafe impl Send for Machine {}
// SAFETY: as above.
unsafe impl Sync for Machine {}

impl Machine {
    /// Makes both, in memory that is mapped from `start` on, of which the first `table_bytes` are for tables.
    pub fn new(
        info: &xarch_backend_info,
        vcpus: u32,
        start: u64,
        bytes: u64,
        table_bytes: u64,
    ) -> Result<Self> {
        let api = api().ok_or(XARCH_E_NOTSUP)?;
        let config = xarch_backend_config {
            size: size::<xarch_backend_config>(),
            abi: XARCH_ABI,
            kind: info.kind,
            vcpus,
            address_bits: 40,
            flags: 0,
            platform: &raw const PLATFORM,
            context: null_mut(),
            ops: null(),
            storage: core::ptr::with_exposed_provenance_mut(start as usize),
            storage_bytes: bytes,
            table_bytes,
            code_bytes: 4 << 20,
        };
        let (mut layout, mut backend, mut vm) = (xarch_layout::default(), null_mut(), null_mut());
        // SAFETY: of all of these: structures have the sizes that they say, memory is as long as was asked for and
        // nobody else's, and objects are never destroyed. The storage is mapped for ever, and its tables are the
        // library's.
        done(unsafe { (api.backend_layout)(&raw const config, &raw mut layout) })?;
        let room = memory(layout)?;
        // SAFETY: as above.
        done(unsafe { (api.backend_create)(&raw const config, room, layout.size, &raw mut backend) })?;
        let config = xarch_vm_config {
            size: size::<xarch_vm_config>(),
            abi: XARCH_ABI,
            guest: info.guest,
            vcpus,
            features: 0,
            frames: [0; 4],
        };
        // SAFETY: as above.
        done(unsafe { (api.vm_layout)(&raw const config, &raw mut layout) })?;
        let room = memory(layout)?;
        // SAFETY: as above.
        done(unsafe { (api.vm_create)(backend, &raw const config, room, layout.size, &raw mut vm) })?;
        Ok(Self { api, backend, vm })
    }

    pub fn add_slot(&self, slot: &xarch_slot) -> Result<()> {
        // SAFETY: as in `new`.
        done(unsafe { (self.api.add_slot)(self.backend, slot) })
    }

    pub fn request_exit(&self, vcpu: u32) -> Result<()> {
        // SAFETY: as in `new`.
        done(unsafe { (self.api.request_exit)(self.backend, vcpu) })
    }

    pub fn set_irq(&self, irq: &xarch_irq) -> Result<()> {
        // SAFETY: as in `new`.
        done(unsafe { (self.api.vm_set_irq)(self.vm, irq) })
    }

    pub fn unmap(&self, guest: u64, bytes: u64) -> Result<()> {
        // SAFETY: as in `new`.
        done(unsafe { (self.api.unmap)(self.backend, guest, bytes) })
    }

    pub fn protect(&self, guest: u64, bytes: u64) -> Result<()> {
        // SAFETY: as in `new`.
        done(unsafe { (self.api.protect)(self.backend, guest, bytes) })
    }

    /// Whether the range is young.
    pub fn age(&self, guest: u64, bytes: u64) -> Result<bool> {
        // SAFETY: as in `new`.
        match unsafe { (self.api.age)(self.backend, guest, bytes) } {
            young @ 0..=1 => Ok(young == 1),
            status => Err(status),
        }
    }

    /// Returns how many pages are dirty.
    pub fn count_dirty(&self, guest: u64, bytes: u64) -> Result<u64> {
        extern "C" fn count(pages: *mut c_void, _: u64) {
            // SAFETY: the count below, which nobody else has.
            unsafe { *pages.cast::<u64>() += 1 };
        }
        let mut pages = 0_u64;
        let argument = (&raw mut pages).cast();
        // SAFETY: as in `new`; the function gets what it wants.
        done(unsafe { (self.api.collect_dirty)(self.backend, guest, bytes, Some(count), argument) })?;
        Ok(pages)
    }

    /// Makes a vCPU in its reset state, which starts at `boot` if that is there.
    pub fn vcpu(&self, index: u32, boot: Option<(u64, [u64; 4])>) -> Result<Vcpu> {
        let (mut layout, mut vcpu) = (xarch_layout::default(), null_mut());
        // SAFETY: as in `new`.
        done(unsafe { (self.api.vcpu_layout)(self.vm, &raw mut layout) })?;
        let room = memory(layout)?;
        // SAFETY: as in `new`.
        let made =
            unsafe { (self.api.vcpu_create)(self.vm, index, null_mut(), room, layout.size, &raw mut vcpu) };
        done(made)?;
        // SAFETY: as in `new`.
        done(unsafe { (self.api.vcpu_reset)(vcpu) })?;
        if let Some((entry, arguments)) = boot {
            // SAFETY: as in `new`.
            done(unsafe { (self.api.vcpu_boot)(vcpu, entry, arguments.as_ptr()) })?;
        }
        Ok(Vcpu { api: self.api, vcpu })
    }
}

/// A vCPU. It stays on its thread.
#[derive(Debug)]
pub struct Vcpu {
    api: &'static xarch_api,
    vcpu: *mut xarch_vcpu,
}

impl Vcpu {
    /// Runs the guest until this program is needed.
    pub fn run(&mut self) -> Result<xarch_outcome> {
        let mut outcome = xarch_outcome {
            size: size::<xarch_outcome>(),
            kind: 0,
            reason: 0,
            code: 0,
            address: 0,
            value: 0,
            syndrome: 0,
            deadline_counter: 0,
            deadline_ns: 0,
            token: 0,
            bytes: 0,
            operation: 0,
            reserved: [0; 2],
        };
        // SAFETY: as in `Machine::new`.
        done(unsafe { (self.api.vcpu_run)(self.vcpu, &raw mut outcome) })?;
        Ok(outcome)
    }
}
