//! Control blocks and save areas in host storage, field by field.

use core::sync::atomic::{AtomicU64, Ordering};
use s390_arch::sae::block::field;
use s390_arch::sae::{Interception, InterceptionCode};
use s390_arch::{Absolute, AbsoluteStorage, Frame, OutsideStorage};

/// A 4 KiB block in host storage. That it is there was checked once; its fields cannot be out of reach.
///
/// Only the thread of the vCPU that owns the block touches it, and only while the vCPU is not in
/// SAE; what other threads change never lives in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'s>(&'s Frame);

impl<'s> Block<'s> {
    pub(crate) fn new<S: AbsoluteStorage>(storage: &'s S, at: Absolute) -> Result<Self, OutsideStorage> {
        storage.frame(at).map(Self)
    }

    /// The doubleword that holds the byte at `offset`; offsets count modulo the block.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is less than 512")]
    fn doubleword(self, offset: u64) -> &'s AtomicU64 {
        &self.0[usize::try_from(offset >> 3 & 511).unwrap_or(0)]
    }

    /// Loads the doubleword field at `offset`.
    #[inline(always)]
    pub(crate) fn load(self, offset: u64) -> u64 {
        u64::from_be(self.doubleword(offset).load(Ordering::Relaxed))
    }

    /// Stores the doubleword field at `offset`.
    #[inline(always)]
    pub(crate) fn store(self, offset: u64, value: u64) {
        self.doubleword(offset).store(value.to_be(), Ordering::Relaxed);
    }

    /// Loads the word field at `offset`, a half of its doubleword.
    #[inline(always)]
    pub(crate) fn load_word(self, offset: u64) -> u32 {
        let [a, b, c, d, low @ ..] = self.load(offset).to_be_bytes();
        u32::from_be_bytes(if offset & 4 == 0 { [a, b, c, d] } else { low })
    }

    /// Stores the word field at `offset`, a half of its doubleword.
    #[inline]
    pub(crate) fn store_word(self, offset: u64, value: u32) {
        let [a, b, c, d, low @ ..] = self.load(offset).to_be_bytes();
        let word = |bytes| u64::from(u32::from_be_bytes(bytes));
        let (high, low) = if offset & 4 == 0 {
            (u64::from(value), word(low))
        } else {
            (word([a, b, c, d]), u64::from(value))
        };
        self.store(offset, high << 32 | low);
    }

    /// Fills the block with zeros.
    pub(crate) fn clear(self) {
        for word in self.0 {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Copies another block into this one.
    pub(crate) fn copy_from(self, other: Block<'_>) {
        for (to, from) in self.0.iter().zip(other.0) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Clears the interception code, as a host does before every SAE.
    #[inline]
    pub(crate) fn clear_interception(self) {
        // icptr is byte 0 of a doubleword whose other bytes are reserved.
        self.store(field::ICPTR, 0);
    }

    /// Decodes what SAE recorded, once and whole: nothing else reads the raw words.
    #[inline]
    pub(crate) fn interception(self) -> Interception {
        let [code, ..] = self.load(field::ICPTR).to_be_bytes();
        Interception::read(InterceptionCode(code), |n| {
            self.load(field::ICPTD.wrapping_add(u64::try_from(n).unwrap_or(0) << 3))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gmap::testing::Memory;

    #[test]
    fn fields_are_big_endian_and_words_are_halves() {
        let memory = Memory::new(0x2000);
        let block = Block::new(&memory, Absolute::new(0x1000)).unwrap();
        block.store(0x110, 0x0102_0304_0506_0708);
        assert_eq!(memory.load(Absolute::new(0x1110)), Ok([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!((block.load_word(0x110), block.load_word(0x114)), (0x0102_0304, 0x0506_0708));
        block.store_word(0x114, 0x1516_1718);
        assert_eq!(memory.load(Absolute::new(0x1110)), Ok([1, 2, 3, 4, 0x15, 0x16, 0x17, 0x18]));
        block.store_word(0x110, 0x1112_1314);
        assert_eq!(block.load(0x110), 0x1112_1314_1516_1718);
        block.clear();
        assert_eq!(block.load(0x110), 0);
    }

    #[test]
    fn a_block_is_a_frame_of_storage_or_nothing() {
        let memory = Memory::new(0x2000);
        for at in [0x2000, 0x1008, !0xfff] {
            let at = Absolute::new(at);
            assert_eq!(Block::new(&memory, at).err(), Some(OutsideStorage(at)));
        }
    }
}
