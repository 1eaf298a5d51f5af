//! The tables above the page tables: the way down, what is missing on it, what is left over.

use super::{Around, Gmap, MapError, entry};
use s390_arch::dat::{Level, Virtual};
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

/// Returns the level of the smallest table that translates addresses of so many bits.
pub(super) const fn level_for(bits: u8) -> Level {
    match bits {
        0..=31 => Level::Segment,
        32..=42 => Level::RegionThird,
        43..=53 => Level::RegionSecond,
        _ => Level::RegionFirst,
    }
}

/// Returns where the entry for `address` lies in a table of `level`.
pub(super) const fn entry_at(level: Level, table: Absolute, address: u64) -> Absolute {
    #[expect(clippy::as_conversions, reason = "widening in a const function")]
    let index = level.index(Virtual::from_bits(address)) as u64;
    Absolute::new(table.bits().wrapping_add(index << 3))
}

/// Fills a table of `level` with one entry.
pub(super) fn fill(
    storage: &impl AbsoluteStorage,
    level: Level,
    table: Absolute,
    entry: u64,
) -> Result<(), OutsideStorage> {
    (0..u64::from(level.entries()))
        .try_for_each(|index| storage.store_u64(Absolute::new(table.bits().wrapping_add(index << 3)), entry))
}

/// Returns whether every entry of a table of `level` is a hole.
pub(super) fn is_hollow(
    storage: &impl AbsoluteStorage,
    level: Level,
    table: Absolute,
) -> Result<bool, OutsideStorage> {
    for index in 0..u64::from(level.entries()) {
        let entry = storage.load_u64(Absolute::new(table.bits().wrapping_add(index << 3)))?;
        if !entry::is_hole(entry) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Gmap {
    /// Returns where the segment-table entry for `address` lies, `None` below a token.
    pub(super) fn segment_entry(
        &self,
        storage: &impl AbsoluteStorage,
        address: u64,
    ) -> Result<Option<Absolute>, OutsideStorage> {
        let (mut level, mut table) = (self.asce.dt().level(), self.asce.table());
        while level != Level::Segment {
            let entry = storage.load_u64(entry_at(level, table, address))?;
            let (Some(below), Some(lower)) = (level.below(), entry::lower_table(entry)) else {
                return Ok(None);
            };
            (level, table) = (below, lower);
        }
        Ok(Some(entry_at(level, table, address)))
    }

    /// As [`segment_entry`](Self::segment_entry), but makes the tables that are missing.
    pub(super) fn make_segment_entry(
        &mut self,
        storage: &impl AbsoluteStorage,
        address: u64,
    ) -> Result<Absolute, MapError> {
        let (mut level, mut table) = (self.asce.dt().level(), self.asce.table());
        while let (true, Some(below)) = (level != Level::Segment, level.below()) {
            let at = entry_at(level, table, address);
            table = match entry::lower_table(storage.load_u64(at)?) {
                Some(lower) => lower,
                None => {
                    let new = self.pool.take_large(storage)?.ok_or(MapError::NoTables)?;
                    fill(storage, below, new, entry::table_hole(below))?;
                    // From invalid to valid: nothing to purge.
                    storage.store_u64(at, entry::of_lower_table(level, new))?;
                    new
                }
            };
            level = below;
        }
        Ok(entry_at(level, table, address))
    }

    /// Takes back the tables above `address` in which nothing is left but holes.
    pub(super) fn prune<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        address: u64,
    ) -> Result<(), MapError> {
        let mut way = heapless::Vec::<(Level, Absolute, Absolute), 3>::new();
        let (mut level, mut table) = (self.asce.dt().level(), self.asce.table());
        while let (true, Some(below)) = (level != Level::Segment, level.below()) {
            let at = entry_at(level, table, address);
            let Some(lower) = entry::lower_table(around.storage.load_u64(at)?) else { break };
            // There are three levels above the segment tables.
            let _ = way.push((level, at, lower));
            (level, table) = (below, lower);
        }
        for (level, at, lower) in way.iter().rev() {
            let below = level.below().unwrap_or(Level::Segment);
            if !is_hollow(around.storage, below, *lower)? {
                break;
            }
            around.control.idte(*at, address, self.asce());
            around.storage.store_u64(*at, entry::table_hole(*level))?;
            self.pool.free_large(around.storage, *lower)?;
        }
        Ok(())
    }
}
