//! The model's absolute storage, which is the engine's memory.

use arm_arch::Pa;
use arm_exec::Ram;
use mmu_xlate::TableMemory;
use s390_arch::sae::BLOCK_BYTES;
use s390_arch::{Absolute, AbsoluteStorage, Frame, OutsideStorage};

/// Absolute storage over the pages that the engine works on: both see the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'m>(pub(crate) Ram<'m>);

impl<'m> Storage<'m> {
    /// Takes the engine's memory as absolute storage.
    #[must_use]
    pub const fn new(ram: Ram<'m>) -> Self {
        Self(ram)
    }

    fn check(self, at: Absolute, bytes: usize) -> Result<Pa, OutsideStorage> {
        let bytes = u64::try_from(bytes).map_err(|_| OutsideStorage(at))?;
        match at.checked_add(bytes) {
            Some(end) if end.bits() <= self.0.bytes() => Ok(Pa::new(at.bits())),
            _ => Err(OutsideStorage(at)),
        }
    }
}

impl AbsoluteStorage for Storage<'_> {
    #[inline]
    fn load(&self, at: Absolute) -> Result<[u8; 8], OutsideStorage> {
        self.0.load8(Pa::new(at.bits())).ok_or(OutsideStorage(at))
    }

    #[inline]
    fn store(&self, at: Absolute, bytes: [u8; 8]) -> Result<(), OutsideStorage> {
        self.0.store8(Pa::new(at.bits()), bytes).ok_or(OutsideStorage(at))
    }

    fn compare_and_swap(
        &self,
        at: Absolute,
        current: [u8; 8],
        new: [u8; 8],
    ) -> Result<Result<(), [u8; 8]>, OutsideStorage> {
        let swapped = self.0.compare_exchange8(Pa::new(at.bits()), current, new);
        swapped.map(|swapped| swapped.map(|_| ())).ok_or(OutsideStorage(at))
    }

    fn frame(&self, at: Absolute) -> Result<&Frame, OutsideStorage> {
        let page = if at.is_aligned(BLOCK_BYTES) { self.0.page(Pa::new(at.bits())) } else { None };
        page.and_then(|page| page.doublewords(0)).ok_or(OutsideStorage(at))
    }

    fn read_bytes(&self, at: Absolute, into: &mut [u8]) -> Result<(), OutsideStorage> {
        let from = self.check(at, into.len())?;
        self.0.read(from, into).ok_or(OutsideStorage(at))
    }

    fn write_bytes(&self, at: Absolute, from: &[u8]) -> Result<(), OutsideStorage> {
        let to = self.check(at, from.len())?;
        self.0.write(to, from).ok_or(OutsideStorage(at))
    }
}

impl TableMemory<Absolute> for Storage<'_> {
    type Error = core::convert::Infallible;

    #[inline]
    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Self::Error> {
        Ok(self.0.load8(Pa::new(at.bits())))
    }
}
