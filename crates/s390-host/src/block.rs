//! Control blocks and save areas in host storage, field by field.

use s390_arch::sae::block::field;
use s390_arch::sae::{BLOCK_BYTES, Interception, InterceptionCode};
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

/// A 4 KiB block in host storage.
///
/// Only the thread of the vCPU that owns the block touches it, and only while the vCPU is not in
/// SAE; what other threads change never lives in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'s, S> {
    storage: &'s S,
    at: Absolute,
}

impl<'s, S: AbsoluteStorage> Block<'s, S> {
    pub(crate) const fn new(storage: &'s S, at: Absolute) -> Self {
        Self { storage, at }
    }

    fn address(&self, offset: u64) -> Result<Absolute, OutsideStorage> {
        self.at.checked_add(offset).ok_or(OutsideStorage(self.at))
    }

    /// Loads the doubleword field at `offset`.
    #[inline]
    pub(crate) fn load(&self, offset: u64) -> Result<u64, OutsideStorage> {
        self.storage.load_u64(self.address(offset)?)
    }

    /// Stores the doubleword field at `offset`.
    #[inline]
    pub(crate) fn store(&self, offset: u64, value: u64) -> Result<(), OutsideStorage> {
        self.storage.store_u64(self.address(offset)?, value)
    }

    /// Loads the word field at `offset`, a half of its doubleword.
    #[inline]
    pub(crate) fn load_word(&self, offset: u64) -> Result<u32, OutsideStorage> {
        let [a, b, c, d, low @ ..] = self.storage.load(self.address(offset & !7)?)?;
        Ok(u32::from_be_bytes(if offset & 4 == 0 { [a, b, c, d] } else { low }))
    }

    /// Stores the word field at `offset`.
    pub(crate) fn store_word(&self, offset: u64, value: u32) -> Result<(), OutsideStorage> {
        self.storage.write_bytes(self.address(offset)?, &value.to_be_bytes())
    }

    /// Fills the block with zeros.
    pub(crate) fn clear(&self) -> Result<(), OutsideStorage> {
        (0..BLOCK_BYTES >> 3).try_for_each(|n| self.store(n << 3, 0))
    }

    /// Copies another block of the same storage into this one.
    pub(crate) fn copy_from(&self, other: Absolute) -> Result<(), OutsideStorage> {
        let other = Self { storage: self.storage, at: other };
        (0..BLOCK_BYTES >> 3).try_for_each(|n| self.store(n << 3, other.load(n << 3)?))
    }

    /// Clears the interception code, as a host does before every SAE.
    #[inline]
    pub(crate) fn clear_interception(&self) -> Result<(), OutsideStorage> {
        // icptr is byte 0 of a doubleword whose other bytes are reserved.
        self.store(field::ICPTR, 0)
    }

    /// Decodes what SAE recorded, once and whole: nothing else reads the raw words.
    #[inline]
    pub(crate) fn interception(&self) -> Result<Interception, OutsideStorage> {
        let [code, ..] = self.storage.load(self.address(field::ICPTR)?)?;
        let mut data = [0; 8];
        let code = InterceptionCode(code);
        if code != InterceptionCode::SPURIOUS {
            for (n, word) in (0_u64..).zip(&mut data) {
                *word = self.load(field::ICPTD.wrapping_add(n << 3))?;
            }
        }
        Ok(Interception::decode(code, &data))
    }
}
