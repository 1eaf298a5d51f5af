//! Memory for tables, carved out of what the embedder gave.

use crate::{OutsideMemory, Tables};
use xarch_abi::HostPa;

/// A region of memory that hands out tables of two sizes and takes them back.
///
/// *Small* ones are tables of pages, *large* ones all others. Both are aligned to their size. Free tables are linked through
/// their first entry. A large one is cut into small ones when no small one is free, and what was cut stays small.
/// Small tables can be reserved: who holds a reservation gets one later, whatever happens in between, so that mapping on a
/// fault and splitting a block cannot run out.
#[derive(Debug)]
pub struct Pool {
    next: u64,
    end: u64,
    large_bytes: u64,
    small_bytes: u64,
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
    fn push(&mut self, tables: impl Tables, table: HostPa) -> Result<(), OutsideMemory> {
        tables.store(table, self.head)?;
        self.head = table.value();
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    fn pop(&mut self, tables: impl Tables) -> Result<Option<HostPa>, OutsideMemory> {
        if self.head == 0 {
            return Ok(None);
        }
        let table = HostPa::new(self.head);
        self.head = tables.load(table)?;
        self.count = self.count.saturating_sub(1);
        Ok(Some(table))
    }
}

impl Pool {
    /// Takes the region of `bytes` from `start` on, which is not 0, for tables of 2^`large_log2` and 2^`small_log2` bytes.
    /// What does not fit the alignment of tables is left unused.
    #[must_use]
    pub const fn new(start: HostPa, bytes: u64, large_log2: u32, small_log2: u32) -> Self {
        let large_bytes = 1_u64.wrapping_shl(large_log2);
        let next = match start.value().checked_next_multiple_of(large_bytes) {
            Some(next) => next,
            None => u64::MAX,
        };
        Self {
            next,
            end: start.value().saturating_add(bytes),
            large_bytes,
            small_bytes: 1_u64.wrapping_shl(small_log2),
            large: FreeList { head: 0, count: 0 },
            small: FreeList { head: 0, count: 0 },
            reserved: 0,
        }
    }

    const fn small_in_large(&self) -> u64 {
        match self.large_bytes.checked_div(self.small_bytes) {
            Some(0) | None => 1,
            Some(tables) => tables,
        }
    }

    /// Returns how many small tables could still be handed out, reserved or not.
    #[must_use]
    pub const fn small_left(&self) -> u64 {
        let uncut = match self.end.saturating_sub(self.next).checked_div(self.large_bytes) {
            Some(uncut) => uncut,
            None => 0,
        };
        let large = self.large.count.saturating_add(uncut);
        large.saturating_mul(self.small_in_large()).saturating_add(self.small.count)
    }

    /// Returns how many small tables are reserved.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.reserved
    }

    const fn can_spare(&self, small: u64) -> bool {
        match self.small_left().checked_sub(self.reserved) {
            Some(left) => left >= small,
            None => false,
        }
    }

    /// Reserves a small table; returns whether there was one.
    #[must_use]
    pub fn reserve(&mut self) -> bool {
        let can = self.can_spare(1);
        self.reserved = self.reserved.saturating_add(u64::from(can));
        can
    }

    /// Gives a reservation back.
    pub const fn unreserve(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Takes `count` adjacent large tables, aligned to their size as a whole, before any other; `None` when there is no
    /// room. Their content is not defined.
    #[must_use]
    pub fn take_first(&mut self, count: u64) -> Option<HostPa> {
        let bytes = count.checked_mul(self.large_bytes)?;
        let start = self.next.checked_next_multiple_of(bytes)?;
        self.next = start.checked_add(bytes).filter(|end| *end <= self.end)?;
        Some(HostPa::new(start))
    }

    /// Takes a large table; `Ok(None)` when there is none left to spare. Its content is not defined.
    ///
    /// # Errors
    /// If a free table lies outside memory.
    pub fn take_large(&mut self, tables: impl Tables) -> Result<Option<HostPa>, OutsideMemory> {
        if self.can_spare(self.small_in_large()) { self.cut_large(tables) } else { Ok(None) }
    }

    /// Takes a small table; `Ok(None)` when there is none left to spare. Its content is not defined.
    ///
    /// # Errors
    /// If a free table lies outside memory.
    pub fn take_small(&mut self, tables: impl Tables) -> Result<Option<HostPa>, OutsideMemory> {
        if self.can_spare(1) { self.cut_small(tables) } else { Ok(None) }
    }

    /// Takes a small table that was reserved. Its content is not defined.
    ///
    /// # Errors
    /// If a free table lies outside memory.
    pub fn take_reserved(&mut self, tables: impl Tables) -> Result<Option<HostPa>, OutsideMemory> {
        self.unreserve();
        self.cut_small(tables)
    }

    fn cut_large(&mut self, tables: impl Tables) -> Result<Option<HostPa>, OutsideMemory> {
        if let Some(table) = self.large.pop(tables)? {
            return Ok(Some(table));
        }
        let after = self.next.checked_add(self.large_bytes).filter(|after| *after <= self.end);
        Ok(after.map(|after| HostPa::new(core::mem::replace(&mut self.next, after))))
    }

    fn cut_small(&mut self, tables: impl Tables) -> Result<Option<HostPa>, OutsideMemory> {
        if self.small.head == 0 {
            let Some(piece) = self.cut_large(tables)? else { return Ok(None) };
            for n in 0..self.small_in_large() {
                let at = piece.value().wrapping_add(n.wrapping_mul(self.small_bytes));
                self.small.push(tables, HostPa::new(at))?;
            }
        }
        self.small.pop(tables)
    }

    /// Puts a large table back.
    ///
    /// # Errors
    /// If it lies outside memory.
    pub fn free_large(&mut self, tables: impl Tables, table: HostPa) -> Result<(), OutsideMemory> {
        self.large.push(tables, table)
    }

    /// Puts a small table back.
    ///
    /// # Errors
    /// If it lies outside memory.
    pub fn free_small(&mut self, tables: impl Tables, table: HostPa) -> Result<(), OutsideMemory> {
        // Where both are of one size, what was small can be large again.
        if self.small_in_large() == 1 {
            return self.large.push(tables, table);
        }
        self.small.push(tables, table)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::testing::Memory;

    /// As on IBM Z: 16 KiB and 2 KiB. Room for two large tables: the first is at 0x8000.
    fn pool() -> (Memory, Pool) {
        (Memory::new(0x20000), Pool::new(HostPa::new(0x5000), 0xb000, 14, 11))
    }

    #[test]
    fn tables_are_aligned_to_their_size_and_never_overlap() {
        let memory = &Memory::new(0x20000);
        let mut pool = Pool::new(HostPa::new(0x5000), 0x13000, 14, 11);
        assert_eq!(pool.take_large(memory).unwrap(), Some(HostPa::new(0x8000)));
        let mut small: std::vec::Vec<u64> =
            std::iter::from_fn(|| pool.take_small(memory).unwrap()).map(HostPa::value).collect();
        small.sort_unstable();
        let want: std::vec::Vec<u64> = (0..24).map(|n| 0xc000 + n * 0x800).collect();
        assert_eq!(small, want);
        assert_eq!(pool.take_large(memory).unwrap(), None);
    }

    #[test]
    fn the_first_tables_are_aligned_to_their_size_as_a_whole() {
        let mut pool = Pool::new(HostPa::new(0x5800), 0x1_0000, 12, 12);
        assert_eq!(pool.take_first(2), Some(HostPa::new(0x6000)));
        assert_eq!(pool.take_first(4), Some(HostPa::new(0x8000)));
        assert_eq!(pool.small_left(), 9, "from 0xc000 to 0x15800");
        assert_eq!(pool.take_first(16), None);
    }

    #[test]
    fn a_reservation_outlives_everything_that_others_take() {
        let (memory, mut pool) = pool();
        let memory = &memory;
        assert!(pool.reserve());
        while pool.take_large(memory).unwrap().is_some() {}
        while pool.take_small(memory).unwrap().is_some() {}
        assert!(!pool.reserve());
        assert!(pool.take_reserved(memory).unwrap().is_some());
        assert_eq!(pool.take_small(memory).unwrap(), None);
    }

    #[test]
    fn what_is_given_back_is_handed_out_again() {
        let (memory, mut pool) = pool();
        let memory = &memory;
        let table = pool.take_large(memory).unwrap().unwrap();
        while pool.take_large(memory).unwrap().is_some() {}
        while pool.take_small(memory).unwrap().is_some() {}
        pool.free_large(memory, table).unwrap();
        assert_eq!(pool.take_large(memory).unwrap(), Some(table));
    }

    #[test]
    fn where_both_are_of_one_size_either_can_be_had_of_what_is_given_back() {
        let memory = &Memory::new(0x20000);
        let mut pool = Pool::new(HostPa::new(0x5000), 0x2000, 12, 12);
        let tables = [pool.take_small(memory).unwrap().unwrap(), pool.take_large(memory).unwrap().unwrap()];
        assert_eq!(tables, [HostPa::new(0x5000), HostPa::new(0x6000)]);
        pool.free_small(memory, tables[0]).unwrap();
        pool.free_large(memory, tables[1]).unwrap();
        assert_eq!(pool.small_left(), 2);
        assert_eq!(pool.take_large(memory).unwrap(), Some(tables[1]));
        assert_eq!(pool.take_large(memory).unwrap(), Some(tables[0]));
        assert_eq!((pool.take_small(memory).unwrap(), pool.take_large(memory).unwrap()), (None, None));
    }
}
