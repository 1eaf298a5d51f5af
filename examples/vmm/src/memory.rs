//! Host memory for the machine: the one file of this program with unsafe code.

use arm_exec::Page;
use std::alloc::{Layout, alloc_zeroed};

/// Bytes that one page has.
const PAGE_BYTES: u64 = 4096;
/// The start of the memory is a multiple of this, so that large host pages can back it.
const ALIGNMENT: usize = 2 << 20;

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
        .and_then(|bytes| Layout::from_size_align(bytes, ALIGNMENT).ok())
        .ok_or_else(too_large)?;
    // SAFETY: the layout has a size other than zero: `bytes` is, and less than a page would give 0 pages,
    // which the check below rules out before the allocator is called.
    let start = if layout.size() == 0 { return Err(too_large()) } else { unsafe { alloc_zeroed(layout) } };
    if start.is_null() {
        return Err(too_large());
    }
    // SAFETY: the allocation has `pages` pages, is aligned to more than a page, all-zero bytes are valid atomics,
    // and it is never freed, so it lives for 'static.
    Ok(unsafe { core::slice::from_raw_parts(start.cast::<Page>(), pages) })
}

/// Returns the memory that the host has, where it says so.
fn host_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}
