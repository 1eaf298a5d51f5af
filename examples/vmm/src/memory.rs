//! Host memory for the machine, and calls of the kernel that reach into memory: the one file of this program with unsafe
//! code.

use crate::kernel::{Counters, CreateVm, IrqLine, OneReg, Region, VcpuInit};
use arm_exec::Page;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
use rustix::mm::{MapFlags, ProtFlags};
use std::alloc::{Layout, alloc_zeroed};
use std::ffi::c_void;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Bytes that one page has.
const PAGE_BYTES: u64 = 4096;
/// The start of the memory is a multiple of this, so that large host pages can back it.
const ALIGNMENT: usize = 2 << 20;
/// What the allocator gives zeroed memory for without writing to it; for more it fills the memory with zeros itself.
const PLAIN_ALIGNMENT: usize = 8;

/// Takes zeroed pages from the host for as long as the program runs.
///
/// The memory is not touched, so a host that overcommits gives it out as the guest uses it.
///
/// # Errors
/// In words, if the host does not have that much.
pub fn take(bytes: u64) -> Result<&'static [Page], String> {
    let too_large = || format!("the host cannot provide {} MiB for the guest and its tables", bytes >> 20);
    if bytes == 0 || host_bytes().is_some_and(|host| bytes > host) {
        return Err(too_large());
    }
    let pages = usize::try_from(bytes / PAGE_BYTES).map_err(|_| too_large())?;
    let layout = pages
        .checked_mul(size_of::<Page>())
        .and_then(|bytes| bytes.checked_add(ALIGNMENT))
        .and_then(|bytes| Layout::from_size_align(bytes, PLAIN_ALIGNMENT).ok())
        .ok_or_else(too_large)?;
    // SAFETY: the layout has a size other than zero, `ALIGNMENT` at least.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return Err(too_large());
    }
    let skipped = start.align_offset(ALIGNMENT);
    if skipped > ALIGNMENT {
        return Err(too_large());
    }
    // SAFETY: the allocation has `ALIGNMENT` bytes more than the pages, and no more than that is skipped.
    let first = unsafe { start.add(skipped) };
    // SAFETY: `pages` pages from here on are in the allocation, aligned to more than a page, all-zero bytes are valid
    // atomics, and it is never freed, so it lives for 'static.
    Ok(unsafe { core::slice::from_raw_parts(first.cast::<Page>(), pages) })
}

/// Returns the memory that the host has, where it says so.
fn host_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// What a call of the kernel is about.
///
/// # Safety
/// `repr(C)`, numbers only, all of which the kernel may write; if there is an address among them, the kernel may use what
/// lies there as long as it likes.
pub unsafe trait Argument {}

macro_rules! arguments {
    ($($name:ty),*) => {$(
        // SAFETY: `repr(C)` structures of numbers. The one address, of `Region`, is that of pages that live for ever
        // and are atomics, which others may change at any time: `Region::new` takes nothing else.
        unsafe impl Argument for $name {}
    )*};
}

arguments!(Counters, CreateVm, IrqLine, Region, VcpuInit);

/// A call of which the number that it returns is wanted.
struct Call(Opcode, *mut c_void);

// SAFETY: the pointer is what the callers below make it, and the output is the kernel's number.
unsafe impl Ioctl for Call {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.0
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.1
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<IoctlOutput> {
        Ok(out)
    }
}

/// Calls the kernel about a structure.
pub fn call<T: Argument>(
    fd: BorrowedFd<'_>,
    opcode: Opcode,
    argument: &mut T,
) -> rustix::io::Result<IoctlOutput> {
    // SAFETY: these calls, whose codes say how long their argument is, read and write that much: `T`, which may be
    // written.
    unsafe { rustix::ioctl::ioctl(fd, Call(opcode, std::ptr::from_mut(argument).cast())) }
}

/// Calls the kernel about a number.
pub fn call_number(fd: BorrowedFd<'_>, opcode: Opcode, number: usize) -> rustix::io::Result<IoctlOutput> {
    // SAFETY: codes without a length are about a number, which the kernel takes as such.
    unsafe { rustix::ioctl::ioctl(fd, Call(opcode, std::ptr::without_provenance_mut(number))) }
}

/// Calls the kernel about a structure, for a new descriptor.
pub fn open_by<T: Argument>(
    fd: BorrowedFd<'_>,
    opcode: Opcode,
    argument: &mut T,
) -> rustix::io::Result<OwnedFd> {
    let number = call(fd, opcode, argument)?;
    // SAFETY: a descriptor that the kernel has just made, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Calls the kernel about a number, for a new descriptor.
pub fn open_by_number(fd: BorrowedFd<'_>, opcode: Opcode, number: usize) -> rustix::io::Result<OwnedFd> {
    let number = call_number(fd, opcode, number)?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Reads or writes a register of 64 bits, as the code says.
pub fn call_register(
    fd: BorrowedFd<'_>,
    opcode: Opcode,
    id: u64,
    value: &mut u64,
) -> rustix::io::Result<IoctlOutput> {
    // Bits 55 to 52 of an id say its size; only that of 64 bits fits.
    if (id >> 52) & 15 != 3 {
        return Err(rustix::io::Errno::INVAL);
    }
    let address = u64::try_from(std::ptr::from_mut(value).expose_provenance());
    let mut reg = OneReg { id, address: address.map_err(|_| rustix::io::Errno::FAULT)? };
    // SAFETY: the call reads `reg`, and 8 bytes at its address are read or written, which is `value`.
    unsafe { rustix::ioctl::ioctl(fd, Call(opcode, std::ptr::from_mut(&mut reg).cast())) }
}

/// Memory that the kernel shares with this program. It goes when this is dropped.
#[derive(Debug)]
pub struct Shared {
    start: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: what lies there is only used as atomics.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps the start of a file.
    pub fn new(fd: BorrowedFd<'_>, bytes: usize) -> rustix::io::Result<Self> {
        // SAFETY: a new mapping, where the kernel likes, touches nothing that is there.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                fd,
                0,
            )
        }?;
        NonNull::new(start.cast()).map(|start| Self { start, bytes }).ok_or(rustix::io::Errno::NOMEM)
    }

    /// Returns it as doublewords.
    pub const fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has `bytes` bytes and starts at a page; every pattern of bits is a number, and others may
        // change atomics.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.bytes / 8) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's alone, and no reference to it is left.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
