//! Host absolute storage as the guest's memory: the only file tree of this crate with `unsafe`.
//!
//! # Why this is sound
//!
//! Guest memory is a slice of [`Page`]s, that is of `AtomicU64`s: shared references to it may be
//! written through, and no `&mut` or non-atomic Rust reference to its bytes ever exists. It stays
//! borrowed for `'m`, so every [`PagePtr<'m>`] is valid as long as it can be named.
//!
//! Guest code races by nature: two PEs may access the same bytes with different sizes, unaligned,
//! at the same time. Rust's abstract machine gives no meaning to such a race between its own
//! accesses, not even between atomics of different sizes. Plain guest accesses therefore never are
//! Rust accesses: on x86-64, s390x and AArch64 each is one machine instruction in inline assembly,
//! whose meaning is the host architecture's (no tearing of aligned accesses up to eight bytes, some
//! order among racing ones) and which the compiler must treat as an unknown access to memory it
//! does not know. Elsewhere an aligned access is a relaxed atomic of its size and an unaligned one is
//! done byte by byte; there, mixed-size races rest on the code generator lowering atomics to plain
//! machine accesses, as all of them do.
//!
//! Read-modify-write operations are Rust atomics of the operand's size at an aligned address. They
//! too may race with accesses of other sizes. That mix is outside of what Rust defines; it is
//! confined to these memory cells, whose contents no Rust code interprets (every bit pattern is
//! valid, no reference or length is ever made from one), so that at worst the *guest* reads a value
//! the Arm memory model would not give it. 128-bit operations use `portable_atomic::AtomicU128`:
//! one instruction on AArch64, s390x and on x86-64 with `cmpxchg16b` (found at run time); on other
//! hosts it falls back to a lock, which makes CASP and STXP atomic among themselves but not against
//! plain stores of smaller sizes to the same 16 bytes.
//!
//! Offsets into a page are clamped to it, so no safe call reaches outside a page whatever it is given.
//! Nothing here records which pages were stored to: who wants to know maps them read-only.
//!
//! The working memory of a PE is shared references to cells, so that one part can be changed while
//! another is being read. `Confined` lets it move between threads together with its PE.
#![expect(clippy::as_conversions, reason = "offsets and sizes of a page fit every type used here")]

mod access;
mod map;

pub(crate) use map::Map;
pub use map::MapMemory;

use arm_arch::Pa;
use core::cell::Cell;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use portable_atomic::AtomicU128;

/// Bytes of a [`Page`].
pub const PAGE_BYTES: usize = 4096;

/// One 4 KiB page of host absolute storage; zero bytes are a valid page.
#[repr(C, align(4096))]
pub struct Page([AtomicU64; 512]);

impl Page {
    /// Returns a page of zeros.
    #[must_use]
    pub const fn zeroed() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl core::fmt::Debug for Page {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Page")
    }
}

/// Host absolute storage: pages from absolute address 0 on, in memory that the caller provides.
#[derive(Clone, Copy, Debug)]
pub struct Ram<'m> {
    pages: &'m [Page],
}

impl<'m> Ram<'m> {
    /// Takes the caller's memory as absolute storage.
    #[must_use]
    pub const fn new(pages: &'m [Page]) -> Self {
        Self { pages }
    }

    /// Returns the size in bytes, the first absolute address that does not exist.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        (self.pages.len() as u64).wrapping_mul(PAGE_BYTES as u64)
    }

    /// Returns the page that holds an absolute address; `None` where there is no storage.
    #[inline]
    #[must_use]
    pub fn page(&self, at: Pa) -> Option<PagePtr<'m>> {
        let index = usize::try_from(at.bits() >> 12).ok()?;
        self.pages.get(index).map(PagePtr)
    }

    /// Loads the eight bytes at a multiple of eight, in memory order, atomically.
    #[inline]
    #[must_use]
    pub fn load8(&self, at: Pa) -> Option<[u8; 8]> {
        Some(self.word(at)?.load(Ordering::SeqCst).to_ne_bytes())
    }

    /// Stores eight bytes at a multiple of eight, atomically; `None` where there is no storage.
    #[inline]
    #[must_use]
    pub fn store8(&self, at: Pa, bytes: [u8; 8]) -> Option<()> {
        self.word(at)?.store(u64::from_ne_bytes(bytes), Ordering::SeqCst);
        Some(())
    }

    /// Replaces the eight bytes at a multiple of eight if they are `old`: `Ok` if it did, otherwise
    /// `Err` with what was found; `None` where there is no storage.
    #[must_use]
    pub fn compare_exchange8(&self, at: Pa, old: [u8; 8], new: [u8; 8]) -> Option<Result<[u8; 8], [u8; 8]>> {
        let (old, new) = (u64::from_ne_bytes(old), u64::from_ne_bytes(new));
        let seen = self.word(at)?.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
        Some(seen.map(u64::to_ne_bytes).map_err(u64::to_ne_bytes))
    }

    /// Copies bytes out of storage; `None`, with `out` partly written, where storage ends.
    #[must_use]
    pub fn read(&self, at: Pa, out: &mut [u8]) -> Option<()> {
        let mut at = at;
        let mut out = out;
        while !out.is_empty() {
            let page = self.page(at)?;
            let bytes = if at.bits() & 7 == 0 && out.len() >= 8 { 8 } else { 1 };
            let (now, rest) = core::mem::take(&mut out).split_at_mut(bytes);
            if let Some(eight) = now.first_chunk_mut::<8>() {
                *eight = page.load64(offset(at)).to_le_bytes();
            } else if let Some(one) = now.first_mut() {
                *one = page.load8(offset(at));
            }
            (at, out) = (at.wrapping_add(bytes as u64), rest);
        }
        Some(())
    }

    /// Copies bytes into storage; `None`, with a part written, where storage ends.
    #[must_use]
    pub fn write(&self, at: Pa, bytes: &[u8]) -> Option<()> {
        let mut at = at;
        let mut bytes = bytes;
        while let Some((&first, rest)) = bytes.split_first() {
            let page = self.page(at)?;
            if let (0, Some((head, tail))) = (at.bits() & 7, bytes.split_first_chunk::<8>()) {
                page.store64(offset(at), u64::from_le_bytes(*head));
                (at, bytes) = (at.wrapping_add(8), tail);
            } else {
                page.store8(offset(at), first);
                (at, bytes) = (at.wrapping_add(1), rest);
            }
        }
        Some(())
    }

    #[inline]
    fn word(&self, at: Pa) -> Option<&'m AtomicU64> {
        if at.bits() & 7 != 0 {
            return None;
        }
        self.page(at)?.0.0.get(offset(at) >> 3)
    }
}

#[inline]
fn offset(at: Pa) -> usize {
    (at.bits() & 0xfff) as usize
}

/// A shared reference to memory that was given to one PE alone, which may change threads with it.
///
/// Who gets the reference out of it promises not to keep it beyond the borrow of the PE that holds it:
/// every method of a PE that executes or invalidates takes it `&mut`, and returns none.
#[derive(Debug)]
pub(crate) struct Confined<'m, T: ?Sized>(&'m T);

// SAFETY: `new` takes the only reference there is, and copies of it live only during calls that have
// the holder borrowed mutably, so at no time do two threads have one.
unsafe impl<T: ?Sized + Send> Send for Confined<'_, T> {}

impl<'m, T> Confined<'m, [Cell<T>]> {
    /// Takes memory that nobody else has, as cells.
    pub(crate) fn cells(memory: &'m mut [T]) -> Self {
        Self(Cell::from_mut(memory).as_slice_of_cells())
    }
}

impl<'m, T, const N: usize> Confined<'m, [Cell<T>; N]> {
    /// Takes an array that nobody else has, as cells.
    pub(crate) fn array(memory: &'m mut [T; N]) -> Option<Self> {
        Some(Self(Cell::from_mut(memory.as_mut_slice()).as_slice_of_cells().first_chunk()?))
    }
}

impl<'m, T: ?Sized> Confined<'m, T> {
    /// Takes memory that nobody else has.
    pub(crate) fn new(memory: &'m mut T) -> Self {
        Self(memory)
    }

    /// Returns the reference, to be used during the current call only.
    #[inline(always)]
    pub(crate) fn get(&self) -> &'m T {
        self.0
    }
}

/// One page of guest memory: holding it means the page exists for `'m`, not that a guest may access it.
#[derive(Clone, Copy, Debug)]
pub struct PagePtr<'m>(&'m Page);

macro_rules! plain {
    ($($load:ident $store:ident $ty:ty, $bytes:literal;)*) => {$(
        #[doc = concat!("Loads ", $bytes, " byte(s), little-endian, unaligned allowed; the offset is clamped to the page.")]
        #[inline(always)]
        #[must_use]
        pub fn $load(self, offset: usize) -> $ty {
            let at = self.start().wrapping_add(offset.min(PAGE_BYTES - $bytes));
            // SAFETY: `at` and the bytes after it are inside the page, which lives for `'m`.
            unsafe { access::$load(at) }
        }

        #[doc = concat!("Stores ", $bytes, " byte(s), little-endian, unaligned allowed; the offset is clamped to the page.")]
        #[inline(always)]
        pub fn $store(self, offset: usize, value: $ty) {
            let at = self.start().wrapping_add(offset.min(PAGE_BYTES - $bytes));
            // SAFETY: as for the load; the page is made of atomics, so a shared reference may write it.
            unsafe { access::$store(at.cast_mut(), value) }
        }
    )*};
}

macro_rules! atomics {
    ($($name:ident $atomic:ty, $bytes:literal;)*) => {$(
        #[doc = concat!("The ", $bytes, " byte(s) at `offset` as an atomic, in host byte order; the offset is rounded down to alignment and clamped.")]
        #[inline]
        #[must_use]
        pub fn $name(self, offset: usize) -> &'m $atomic {
            let at = self.start().wrapping_add(offset.min(PAGE_BYTES - $bytes) & !($bytes - 1));
            // SAFETY: inside the page, aligned, valid for `'m`, only ever accessed atomically or by
            // assembly (see the module's argument about mixed sizes).
            unsafe { &*at.cast::<$atomic>() }
        }
    )*};
}

impl PagePtr<'_> {
    fn start(self) -> *const u8 {
        core::ptr::from_ref(self.0).cast()
    }

    /// Loads 16 bytes, little-endian, as two accesses of eight; the offset is clamped to the page.
    #[must_use]
    pub fn load128(self, offset: usize) -> u128 {
        let low = self.load64(offset.min(PAGE_BYTES - 16));
        let high = self.load64(offset.min(PAGE_BYTES - 16).wrapping_add(8));
        u128::from(low) | (u128::from(high) << 64)
    }

    /// Stores 16 bytes, little-endian, as two accesses of eight; the offset is clamped to the page.
    pub fn store128(self, offset: usize, value: u128) {
        self.store64(offset.min(PAGE_BYTES - 16), value as u64);
        self.store64(offset.min(PAGE_BYTES - 16).wrapping_add(8), (value >> 64) as u64);
    }

    plain! {
        load8 store8 u8, 1;
        load16 store16 u16, 2;
        load32 store32 u32, 4;
        load64 store64 u64, 8;
    }
}

impl<'m> PagePtr<'m> {
    atomics! {
        atomic8 AtomicU8, 1;
        atomic16 AtomicU16, 2;
        atomic32 AtomicU32, 4;
        atomic64 AtomicU64, 8;
        atomic128 AtomicU128, 16;
    }

    /// Returns the `N` doublewords from `offset`, a multiple of eight, on; `None` where the page ends before.
    #[inline]
    #[must_use]
    pub fn doublewords<const N: usize>(self, offset: usize) -> Option<&'m [AtomicU64; N]> {
        self.0.0.get(offset >> 3..)?.first_chunk()
    }

    /// Returns whether two pointers name the same page.
    #[must_use]
    pub fn is_same(self, other: PagePtr<'_>) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

/// Orders earlier loads before later accesses (the acquire half of LDAR, DMB ISHLD).
#[inline]
pub fn acquire_fence() {
    fence(Ordering::Acquire);
}

/// Orders earlier accesses before later stores (the release half of STLR).
#[inline]
pub fn release_fence() {
    fence(Ordering::Release);
}

/// Orders everything before against everything after (DMB, DSB; between STLR and a later LDAR).
#[inline]
pub fn full_fence() {
    fence(Ordering::SeqCst);
}
