//! The tables above the page tables: the way down, what is missing on it, what is left over.

use super::{Around, Upper, entry};
use guest_map::{MapError, OutsideMemory, Tables};
use s390_arch::AbsoluteStorage;
use s390_arch::dat::{Level, Virtual};
use s390_arch::sae::HostControl;
use xarch_abi::HostPa;

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
const fn entry_at(level: Level, table: HostPa, address: u64) -> HostPa {
    #[expect(clippy::as_conversions, reason = "widening in a const function")]
    let index = level.index(Virtual::from_bits(address)) as u64;
    nth(table, index)
}

const fn nth(table: HostPa, index: u64) -> HostPa {
    HostPa::new(table.value().wrapping_add(index << 3))
}

/// Fills a table of `level` with one entry.
pub(super) fn fill(
    tables: impl Tables,
    level: Level,
    table: HostPa,
    entry: u64,
) -> Result<(), OutsideMemory> {
    (0..u64::from(level.entries())).try_for_each(|index| tables.store(nth(table, index), entry))
}

/// Returns whether every entry of a table of `level` is a hole.
fn is_hollow(tables: impl Tables, level: Level, table: HostPa) -> Result<bool, OutsideMemory> {
    for index in 0..u64::from(level.entries()) {
        if !entry::is_hole(tables.load(nth(table, index))?) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Upper {
    const fn top(&self) -> (Level, HostPa) {
        (self.asce.dt().level(), HostPa::new(self.asce.table().bits()))
    }

    /// Returns where the segment-table entry for `address` lies, `None` below a token.
    pub(super) fn segment_entry(
        &self,
        tables: impl Tables,
        address: u64,
    ) -> Result<Option<HostPa>, OutsideMemory> {
        let (mut level, mut table) = self.top();
        while level != Level::Segment {
            let entry = tables.load(entry_at(level, table, address))?;
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
        tables: impl Tables,
        address: u64,
    ) -> Result<HostPa, MapError> {
        let (mut level, mut table) = self.top();
        while let (true, Some(below)) = (level != Level::Segment, level.below()) {
            let at = entry_at(level, table, address);
            table = match entry::lower_table(tables.load(at)?) {
                Some(lower) => lower,
                None => {
                    let new = self.pool.take_large(tables)?.ok_or(MapError::NoTables)?;
                    fill(tables, below, new, entry::table_hole(below))?;
                    // From invalid to valid: nothing to purge.
                    tables.store(at, entry::of_lower_table(level, new))?;
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
    ) -> Result<(), OutsideMemory> {
        let mut way = heapless::Vec::<(Level, HostPa, HostPa), 3>::new();
        let (mut level, mut table) = self.top();
        while let (true, Some(below)) = (level != Level::Segment, level.below()) {
            let at = entry_at(level, table, address);
            let Some(lower) = entry::lower_table(around.load(at)?) else { break };
            // There are three levels above the segment tables.
            let _ = way.push((level, at, lower));
            (level, table) = (below, lower);
        }
        for (level, at, lower) in way.iter().rev() {
            let below = level.below().unwrap_or(Level::Segment);
            if !is_hollow(around, below, *lower)? {
                break;
            }
            around.idte(self, *at, address);
            around.store(*at, entry::table_hole(*level))?;
            self.pool.free_large(around, *lower)?;
        }
        Ok(())
    }
}
