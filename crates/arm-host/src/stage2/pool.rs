//! Memory for tables, carved out of what the embedder gave.

use crate::machine::{OutsideMemory, TableStorage};
use xarch_abi::HostPa;

/// A table, and the alignment of one.
pub(super) const TABLE_BYTES: u64 = 4096;

/// A region of memory that hands out tables and takes them back.
///
/// Free tables are linked through their first doubleword. Tables can be reserved: who holds a reservation gets one later,
/// whatever happens in between, so that mapping on a fault and splitting a block cannot run out.
#[derive(Debug)]
pub(super) struct Pool {
    next: u64,
    end: u64,
    /// First free table, 0 when there is none.
    free: u64,
    freed: u64,
    reserved: u64,
}

impl Pool {
    /// Takes the region; what does not fit the alignment of tables is left unused.
    pub(super) fn new(start: HostPa, bytes: u64) -> Self {
        let next = start.value().checked_next_multiple_of(TABLE_BYTES).unwrap_or(u64::MAX);
        Self { next, end: start.value().saturating_add(bytes), free: 0, freed: 0, reserved: 0 }
    }

    /// Takes `tables` adjacent ones, aligned to their size as a whole, before any other. Their content is not defined.
    pub(super) fn take_first(&mut self, tables: u64) -> Option<HostPa> {
        let bytes = tables.checked_mul(TABLE_BYTES)?;
        let start = self.next.checked_next_multiple_of(bytes)?;
        self.next = start.checked_add(bytes).filter(|end| *end <= self.end)?;
        Some(HostPa::new(start))
    }

    /// Returns how many tables could still be handed out, reserved or not.
    pub(super) const fn left(&self) -> u64 {
        (self.end.saturating_sub(self.next) / TABLE_BYTES).saturating_add(self.freed)
    }

    #[cfg(test)]
    pub(super) const fn reserved(&self) -> u64 {
        self.reserved
    }

    fn can_spare(&self) -> bool {
        self.left() > self.reserved
    }

    /// Reserves a table; returns whether there was one.
    #[must_use]
    pub(super) fn reserve(&mut self) -> bool {
        let can = self.can_spare();
        self.reserved = self.reserved.saturating_add(u64::from(can));
        can
    }

    /// Gives a reservation back.
    pub(super) const fn unreserve(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Takes a table; `Ok(None)` when there is none left to spare. Its content is not defined.
    pub(super) fn take(&mut self, storage: &impl TableStorage) -> Result<Option<HostPa>, OutsideMemory> {
        if self.can_spare() { self.cut(storage) } else { Ok(None) }
    }

    /// Takes a table that was reserved. Its content is not defined.
    pub(super) fn take_reserved(
        &mut self,
        storage: &impl TableStorage,
    ) -> Result<Option<HostPa>, OutsideMemory> {
        self.unreserve();
        self.cut(storage)
    }

    fn cut(&mut self, storage: &impl TableStorage) -> Result<Option<HostPa>, OutsideMemory> {
        if self.free != 0 {
            let table = HostPa::new(self.free);
            self.free = storage.load(table)?;
            self.freed = self.freed.saturating_sub(1);
            return Ok(Some(table));
        }
        let after = self.next.checked_add(TABLE_BYTES).filter(|after| *after <= self.end);
        Ok(after.map(|after| HostPa::new(core::mem::replace(&mut self.next, after))))
    }

    /// Puts a table back.
    pub(super) fn free(&mut self, storage: &impl TableStorage, table: HostPa) -> Result<(), OutsideMemory> {
        storage.store(table, self.free)?;
        self.free = table.value();
        self.freed = self.freed.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Memory;

    #[test]
    fn the_first_tables_are_aligned_to_their_size() {
        let mut pool = Pool::new(HostPa::new(0x5800), 0x1_0000);
        assert_eq!(pool.take_first(2), Some(HostPa::new(0x6000)));
        assert_eq!(pool.take_first(4), Some(HostPa::new(0x8000)));
        assert_eq!(pool.left(), 9, "from 0xc000 to 0x15800");
        assert_eq!(pool.take_first(16), None);
    }

    #[test]
    fn a_reservation_outlives_everything_that_others_take() {
        let memory = Memory::new(0x2_0000);
        let mut pool = Pool::new(HostPa::new(0x5000), 0x3000);
        assert!(pool.reserve());
        assert_eq!(pool.take(&memory).unwrap(), Some(HostPa::new(0x5000)));
        assert_eq!(pool.take(&memory).unwrap(), Some(HostPa::new(0x6000)));
        assert_eq!(pool.take(&memory).unwrap(), None);
        assert!(!pool.reserve());
        assert_eq!(pool.take_reserved(&memory).unwrap(), Some(HostPa::new(0x7000)));
    }

    #[test]
    fn what_is_given_back_is_handed_out_again() {
        let memory = Memory::new(0x2_0000);
        let mut pool = Pool::new(HostPa::new(0x5000), 0x2000);
        let tables = [pool.take(&memory).unwrap().unwrap(), pool.take(&memory).unwrap().unwrap()];
        for table in tables {
            pool.free(&memory, table).unwrap();
        }
        assert_eq!(pool.left(), 2);
        assert_eq!(pool.take(&memory).unwrap(), Some(tables[1]));
        assert_eq!(pool.take(&memory).unwrap(), Some(tables[0]));
        assert_eq!(pool.take(&memory).unwrap(), None);
    }
}
