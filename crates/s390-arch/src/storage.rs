//! Host absolute storage, as the embedder implements it.

use crate::addr::Absolute;
use core::sync::atomic::AtomicU64;

/// The 512 doublewords of a frame of 4 KiB, each with its bytes as they lie in storage.
pub type Frame = [AtomicU64; 512];

/// An address outside the configured storage, or not aligned as the access needs it.
///
/// PoP ch. 3, "Address Types": absolute storage is what prefixing leaves; an access outside it is
/// an addressing exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideStorage(pub Absolute);

impl core::fmt::Display for OutsideStorage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "absolute address {} is outside storage or misaligned", self.0)
    }
}

impl core::error::Error for OutsideStorage {}

/// Host absolute storage: control blocks, save areas, DAT tables and guest frames live in it.
///
/// Implemented by the embedder (the kernel's linear mapping, a bare-metal identity mapping, the
/// model's memory). Doublewords are loaded and stored with single-copy atomicity and hand over the
/// bytes as they lie; every field that z/Architecture defines is big-endian, which
/// [`load_u64`](Self::load_u64) and [`store_u64`](Self::store_u64) respect on any host.
pub trait AbsoluteStorage: Sync {
    /// Loads the doubleword at `at`, which must be a multiple of 8.
    ///
    /// # Errors
    /// [`OutsideStorage`] where there is no storage, or `at` is not aligned.
    fn load(&self, at: Absolute) -> Result<[u8; 8], OutsideStorage>;

    /// Stores the doubleword at `at`, which must be a multiple of 8.
    ///
    /// # Errors
    /// [`OutsideStorage`] where there is no storage, or `at` is not aligned.
    fn store(&self, at: Absolute, bytes: [u8; 8]) -> Result<(), OutsideStorage>;

    /// Compares the doubleword at `at` with `current` and, if equal, replaces it by `new`
    /// (COMPARE AND SWAP, PoP ch. 7). The inner `Err` carries the value that was found instead.
    ///
    /// # Errors
    /// [`OutsideStorage`] where there is no storage, or `at` is not aligned.
    fn compare_and_swap(
        &self,
        at: Absolute,
        current: [u8; 8],
        new: [u8; 8],
    ) -> Result<Result<(), [u8; 8]>, OutsideStorage>;

    /// Returns the frame at `at`, which must be a multiple of 4096: for blocks that are looked at often, checked once.
    ///
    /// # Errors
    /// [`OutsideStorage`] where there is no storage, or `at` is not aligned.
    fn frame(&self, at: Absolute) -> Result<&Frame, OutsideStorage>;

    /// Copies bytes out of storage; not atomic.
    ///
    /// # Errors
    /// [`OutsideStorage`] if any byte of the range is; `into` is then unspecified.
    fn read_bytes(&self, at: Absolute, into: &mut [u8]) -> Result<(), OutsideStorage>;

    /// Copies bytes into storage; not atomic.
    ///
    /// # Errors
    /// [`OutsideStorage`] if any byte of the range is; nothing has been written then.
    fn write_bytes(&self, at: Absolute, from: &[u8]) -> Result<(), OutsideStorage>;

    /// Returns the frame of `bytes`, a page's or a segment's, that the memory at `place` is, which slots of guest memory
    /// name; `None` if it is not one frame.
    ///
    /// A place is an absolute address unless the embedder has its memory mapped in a row, wherever its pages are: then
    /// it says here where each is. All other methods take places for such memory too.
    #[inline]
    fn frame_of(&self, place: Absolute, bytes: u64) -> Option<Absolute> {
        let _ = bytes;
        Some(place)
    }

    /// Loads the big-endian doubleword at `at`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[inline]
    fn load_u64(&self, at: Absolute) -> Result<u64, OutsideStorage> {
        self.load(at).map(u64::from_be_bytes)
    }

    /// Stores the big-endian doubleword at `at`.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    #[inline]
    fn store_u64(&self, at: Absolute, value: u64) -> Result<(), OutsideStorage> {
        self.store(at, value.to_be_bytes())
    }
}

impl<S: AbsoluteStorage + ?Sized> AbsoluteStorage for &S {
    fn load(&self, at: Absolute) -> Result<[u8; 8], OutsideStorage> {
        (**self).load(at)
    }
    fn store(&self, at: Absolute, bytes: [u8; 8]) -> Result<(), OutsideStorage> {
        (**self).store(at, bytes)
    }
    fn compare_and_swap(
        &self,
        at: Absolute,
        current: [u8; 8],
        new: [u8; 8],
    ) -> Result<Result<(), [u8; 8]>, OutsideStorage> {
        (**self).compare_and_swap(at, current, new)
    }
    fn frame(&self, at: Absolute) -> Result<&Frame, OutsideStorage> {
        (**self).frame(at)
    }
    fn read_bytes(&self, at: Absolute, into: &mut [u8]) -> Result<(), OutsideStorage> {
        (**self).read_bytes(at, into)
    }
    fn write_bytes(&self, at: Absolute, from: &[u8]) -> Result<(), OutsideStorage> {
        (**self).write_bytes(at, from)
    }
    fn frame_of(&self, place: Absolute, bytes: u64) -> Option<Absolute> {
        (**self).frame_of(place, bytes)
    }
}
