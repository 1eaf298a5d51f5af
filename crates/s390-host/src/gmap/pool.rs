//! Storage for tables, carved out of what the embedder gave.

use s390_arch::dat::Level;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

/// Region and segment tables: 16 KiB, aligned to their size. PoP ch. 3, "Region-Table Entries".
const LARGE_BYTES: u64 = Level::Segment.table_bytes();
/// Page tables: 2 KiB, aligned to their size. PoP ch. 3, "Segment-Table Entries".
const SMALL_BYTES: u64 = Level::Page.table_bytes();
/// Page tables that fit where a region or segment table does.
const SMALL_IN_LARGE: u64 = LARGE_BYTES / SMALL_BYTES;

/// A region of storage that hands out tables and takes them back.
///
/// Free tables are linked through their first doubleword. A 16 KiB piece is cut into eight page tables when none is
/// free; cut pieces stay page tables. Page tables can be reserved: who holds a reservation gets one later, whatever
/// happens in between, so that mapping on a fault and splitting a large frame cannot run out.
#[derive(Debug)]
pub(super) struct Pool {
    next: u64,
    end: u64,
    large: FreeList,
    small: FreeList,
    reserved: u64,
}

#[derive(Debug, Default)]
struct FreeList {
    /// First free table, 0 when there is none.
    head: u64,
    count: u64,
}

impl FreeList {
    fn push(&mut self, storage: &impl AbsoluteStorage, table: Absolute) -> Result<(), OutsideStorage> {
        storage.store_u64(table, self.head)?;
        self.head = table.bits();
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    fn pop(&mut self, storage: &impl AbsoluteStorage) -> Result<Option<Absolute>, OutsideStorage> {
        if self.head == 0 {
            return Ok(None);
        }
        let table = Absolute::new(self.head);
        self.head = storage.load_u64(table)?;
        self.count = self.count.saturating_sub(1);
        Ok(Some(table))
    }
}

impl Pool {
    /// Takes the region; what does not fit the alignment of tables is left unused.
    pub(super) fn new(start: Absolute, bytes: u64) -> Self {
        let next = start.bits().checked_next_multiple_of(LARGE_BYTES).unwrap_or(u64::MAX);
        let end = start.bits().saturating_add(bytes);
        Self { next, end, large: FreeList::default(), small: FreeList::default(), reserved: 0 }
    }

    /// Returns how many page tables could still be handed out, reserved or not.
    pub(super) fn small_left(&self) -> u64 {
        let uncut = self.end.saturating_sub(self.next) / LARGE_BYTES;
        let large = self.large.count.saturating_add(uncut);
        large.saturating_mul(SMALL_IN_LARGE).saturating_add(self.small.count)
    }

    #[cfg(test)]
    pub(super) const fn reserved(&self) -> u64 {
        self.reserved
    }

    fn can_spare(&self, small: u64) -> bool {
        self.small_left().checked_sub(self.reserved).is_some_and(|left| left >= small)
    }

    /// Reserves a page table; returns whether there was one.
    #[must_use]
    pub(super) fn reserve(&mut self) -> bool {
        let can = self.can_spare(1);
        self.reserved = self.reserved.saturating_add(u64::from(can));
        can
    }

    /// Gives a reservation back.
    pub(super) fn unreserve(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Takes a region or segment table out; `Ok(None)` when there is none left to spare. Its content is not defined.
    pub(super) fn take_large(
        &mut self,
        storage: &impl AbsoluteStorage,
    ) -> Result<Option<Absolute>, OutsideStorage> {
        if self.can_spare(SMALL_IN_LARGE) { self.cut_large(storage) } else { Ok(None) }
    }

    /// Takes a page table out; `Ok(None)` when there is none left to spare. Its content is not defined.
    pub(super) fn take_small(
        &mut self,
        storage: &impl AbsoluteStorage,
    ) -> Result<Option<Absolute>, OutsideStorage> {
        if self.can_spare(1) { self.cut_small(storage) } else { Ok(None) }
    }

    /// Takes out a page table that was reserved. Its content is not defined.
    pub(super) fn take_reserved(
        &mut self,
        storage: &impl AbsoluteStorage,
    ) -> Result<Option<Absolute>, OutsideStorage> {
        self.unreserve();
        self.cut_small(storage)
    }

    fn cut_large(&mut self, storage: &impl AbsoluteStorage) -> Result<Option<Absolute>, OutsideStorage> {
        if let Some(table) = self.large.pop(storage)? {
            return Ok(Some(table));
        }
        let after = self.next.checked_add(LARGE_BYTES).filter(|after| *after <= self.end);
        Ok(after.map(|after| {
            let table = Absolute::new(self.next);
            self.next = after;
            table
        }))
    }

    fn cut_small(&mut self, storage: &impl AbsoluteStorage) -> Result<Option<Absolute>, OutsideStorage> {
        if self.small.head == 0 {
            let Some(piece) = self.cut_large(storage)? else { return Ok(None) };
            for n in 0..SMALL_IN_LARGE {
                let at = piece.bits().wrapping_add(n.wrapping_mul(SMALL_BYTES));
                self.small.push(storage, Absolute::new(at))?;
            }
        }
        self.small.pop(storage)
    }

    /// Puts a region or segment table back.
    pub(super) fn free_large(
        &mut self,
        storage: &impl AbsoluteStorage,
        table: Absolute,
    ) -> Result<(), OutsideStorage> {
        self.large.push(storage, table)
    }

    /// Puts a page table back.
    pub(super) fn free_small(
        &mut self,
        storage: &impl AbsoluteStorage,
        table: Absolute,
    ) -> Result<(), OutsideStorage> {
        self.small.push(storage, table)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::gmap::testing::Memory;

    /// Room for two large tables: the first is at 0x8000.
    fn pool() -> (Memory, Pool) {
        (Memory::new(0x20000), Pool::new(Absolute::new(0x5000), 0xb000))
    }

    #[test]
    fn tables_are_aligned_to_their_size_and_never_overlap() {
        let memory = Memory::new(0x20000);
        let mut pool = Pool::new(Absolute::new(0x5000), 0x13000);
        assert_eq!(pool.take_large(&memory).unwrap(), Some(Absolute::new(0x8000)));
        let mut small: std::vec::Vec<u64> =
            std::iter::from_fn(|| pool.take_small(&memory).unwrap()).map(|table| table.bits()).collect();
        small.sort_unstable();
        let want: std::vec::Vec<u64> = (0..24).map(|n| 0xc000 + n * 0x800).collect();
        assert_eq!(small, want);
        assert_eq!(pool.take_large(&memory).unwrap(), None);
    }

    #[test]
    fn a_reservation_outlives_everything_that_others_take() {
        let (memory, mut pool) = pool();
        assert!(pool.reserve());
        while pool.take_large(&memory).unwrap().is_some() {}
        while pool.take_small(&memory).unwrap().is_some() {}
        assert!(!pool.reserve());
        assert!(pool.take_reserved(&memory).unwrap().is_some());
        assert_eq!(pool.take_small(&memory).unwrap(), None);
    }

    #[test]
    fn what_is_given_back_is_handed_out_again() {
        let (memory, mut pool) = pool();
        let table = pool.take_large(&memory).unwrap().unwrap();
        while pool.take_large(&memory).unwrap().is_some() {}
        while pool.take_small(&memory).unwrap().is_some() {}
        pool.free_large(&memory, table).unwrap();
        assert_eq!(pool.take_large(&memory).unwrap(), Some(table));
    }
}
