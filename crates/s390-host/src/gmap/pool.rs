//! Storage for tables, carved out of what the embedder gave.

use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

/// Sizes of tables. PoP ch. 3: page tables have 256 entries, the others 2048; each is aligned to its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableSize {
    /// 2 KiB.
    Page,
    /// 16 KiB.
    RegionOrSegment,
}

/// A region of storage that hands out tables and takes them back.
///
/// Free tables are linked through their first doubleword. A 16 KiB piece is cut into eight page tables
/// when none is free; cut pieces stay page tables.
#[derive(Debug)]
pub(super) struct Pool {
    next: u64,
    end: u64,
    /// Head of the free list, 0 when empty.
    free_large: u64,
    free_small: u64,
}

const LARGE_BYTES: u64 = 16 << 10;
const SMALL_BYTES: u64 = 2 << 10;

impl Pool {
    /// Takes the region; what does not fit the alignment of tables is left unused.
    pub(super) fn new(start: Absolute, bytes: u64) -> Self {
        let next = start.bits().checked_next_multiple_of(LARGE_BYTES).unwrap_or(u64::MAX);
        Self { next, end: start.bits().saturating_add(bytes), free_large: 0, free_small: 0 }
    }

    /// Takes a table out; `Ok(None)` when there is none left. Its content is not defined.
    pub(super) fn allocate(
        &mut self,
        storage: &impl AbsoluteStorage,
        size: TableSize,
    ) -> Result<Option<Absolute>, OutsideStorage> {
        match size {
            TableSize::RegionOrSegment => self.allocate_large(storage),
            TableSize::Page => self.allocate_small(storage),
        }
    }

    fn allocate_large(&mut self, storage: &impl AbsoluteStorage) -> Result<Option<Absolute>, OutsideStorage> {
        if self.free_large != 0 {
            let at = Absolute::new(self.free_large);
            self.free_large = storage.load_u64(at)?;
            return Ok(Some(at));
        }
        match self.next.checked_add(LARGE_BYTES) {
            Some(after) if after <= self.end => {
                let at = Absolute::new(self.next);
                self.next = after;
                Ok(Some(at))
            }
            _ => Ok(None),
        }
    }

    fn allocate_small(&mut self, storage: &impl AbsoluteStorage) -> Result<Option<Absolute>, OutsideStorage> {
        if self.free_small == 0 {
            let Some(piece) = self.allocate_large(storage)? else { return Ok(None) };
            let mut at = piece.bits();
            while at < piece.bits().wrapping_add(LARGE_BYTES) {
                self.free(storage, Absolute::new(at), TableSize::Page)?;
                at = at.wrapping_add(SMALL_BYTES);
            }
        }
        let at = Absolute::new(self.free_small);
        self.free_small = storage.load_u64(at)?;
        Ok(Some(at))
    }

    /// Puts a table back.
    pub(super) fn free(
        &mut self,
        storage: &impl AbsoluteStorage,
        table: Absolute,
        size: TableSize,
    ) -> Result<(), OutsideStorage> {
        let head = match size {
            TableSize::Page => &mut self.free_small,
            TableSize::RegionOrSegment => &mut self.free_large,
        };
        storage.store_u64(table, *head)?;
        *head = table.bits();
        Ok(())
    }
}
