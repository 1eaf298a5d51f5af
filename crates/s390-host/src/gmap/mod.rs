//! The guest's physical address space as DAT tables: what stage 2 of an SAE guest is.
//!
//! Ordinary region, segment and page tables (PoP ch. 3, "Dynamic Address Translation"), 4 KiB and 1 MiB
//! frames, built in storage that the embedder gave. What becomes of a page is decided by [`guest_map`]; here is how
//! z/Architecture says it, and how its CPUs are made to forget: IPTE and IDTE, which return when nobody uses the old
//! entry any more.

mod entry;
mod tree;

pub(crate) use guest_map::{MapError, Resolved, Wanted, collect_dirty};

use entry::{Layout, PAGE, SEGMENT};
use guest_map::{Content, GuestMap, Kind, OutsideMemory, Pool, Scope};
use s390_arch::addr::FrameSize;
use s390_arch::dat::{Asce, Level};
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};
use tree::{fill, level_for};
use xarch_abi::{HostPa, Slot};

/// Region and segment tables: 16 KiB, aligned to their size. PoP ch. 3, "Region-Table Entries".
const LARGE_LOG2: u32 = Level::Segment.table_bytes().trailing_zeros();
/// Page tables: 2 KiB, aligned to their size. PoP ch. 3, "Segment-Table Entries".
const SMALL_LOG2: u32 = Level::Page.table_bytes().trailing_zeros();

/// The memory of one VM.
pub(crate) type Gmap = GuestMap<Upper>;

/// The region and segment tables, and where all tables come from.
#[derive(Debug)]
pub(crate) struct Upper {
    pool: Pool,
    asce: Asce,
}

impl Upper {
    /// Builds the tables of an address space of 2^`bits` bytes in which everything is a hole, with tables from `tables` on to the end
    /// of the VM's `own` storage.
    pub(crate) fn new<C: HostControl, S: AbsoluteStorage>(
        around: Around<'_, C, S>,
        own: (Absolute, u64),
        tables: Absolute,
        bits: u8,
    ) -> Result<Self, MapError> {
        let end = own.0.checked_add(own.1).ok_or_else(|| OutsideMemory(place(own.0)))?;
        // If the last doubleword is there, so is everything before it.
        let last = end.checked_sub(1).ok_or_else(|| OutsideMemory(place(own.0)))?;
        guest_map::Tables::load(around, HostPa::new(last.bits() & !7))?;
        let bytes = end.bits().saturating_sub(tables.bits());
        let mut pool = Pool::new(place(tables), bytes, LARGE_LOG2, SMALL_LOG2);
        let level = level_for(bits);
        let table = pool.take_large(around)?.ok_or(MapError::NoTables)?;
        fill(around, level, table, entry::table_hole(level))?;
        // X, S and P as Linux sets them for a guest; the table is whole.
        let asce = Asce::new().with_table(absolute(table)).with_x(true).with_s(true).with_p(true);
        let asce = asce.with_dt(entry::type_of(level)).with_tl(3);
        // Whoever had a table at that place before may have left translations under the same designation.
        around.control.idte_asce(asce.into_bits());
        Ok(Self { pool, asce })
    }

    pub(crate) const fn asce(&self) -> u64 {
        self.asce.into_bits()
    }
}

/// What the tables need from around them, together.
#[derive(Debug)]
pub(crate) struct Around<'a, C, S> {
    pub(crate) control: &'a C,
    pub(crate) storage: &'a S,
}

impl<C, S> Clone for Around<'_, C, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C, S> Copy for Around<'_, C, S> {}

/// Returns the memory of a VM that has these tables and no slot yet; `own` is all its storage.
///
/// Inline: it is large, and is to be made where it lies.
#[inline(always)]
pub(crate) const fn empty(upper: Upper, own: (Absolute, u64), bits: u8) -> Gmap {
    Gmap::new(upper, bits, (place(own.0), own.1))
}

const fn absolute(at: HostPa) -> Absolute {
    Absolute::new(at.value())
}

const fn place(at: Absolute) -> HostPa {
    HostPa::new(at.bits())
}

const fn outside(error: OutsideStorage) -> OutsideMemory {
    OutsideMemory(place(error.0))
}

const fn layout(kind: Kind) -> Layout {
    match kind {
        Kind::Page => PAGE,
        Kind::Block => SEGMENT,
    }
}

impl<C: HostControl, S> Around<'_, C, S> {
    /// Makes a region- or segment-table entry invalid and unused everywhere.
    fn idte(self, upper: &Upper, at: HostPa, address: u64) {
        self.control.idte(absolute(at), address, upper.asce());
    }
}

impl<C: HostControl, S: AbsoluteStorage> guest_map::Tables for Around<'_, C, S> {
    type Upper = Upper;

    const BLOCK_LOG2: u32 = Level::Segment.entry_bytes_log2();
    const TABLE_LOG2: u32 = Level::RegionThird.entry_bytes_log2();

    fn load(self, at: HostPa) -> Result<u64, OutsideMemory> {
        self.storage.load_u64(absolute(at)).map_err(outside)
    }

    fn store(self, at: HostPa, entry: u64) -> Result<(), OutsideMemory> {
        self.storage.store_u64(absolute(at), entry).map_err(outside)
    }

    fn encode(kind: Kind, content: Content) -> u64 {
        layout(kind).encode(content)
    }

    fn decode(kind: Kind, entry: u64) -> Content {
        layout(kind).decode(entry)
    }

    fn is_valid(kind: Kind, entry: u64) -> bool {
        layout(kind).is_valid(entry)
    }

    fn table(entry: u64) -> Option<HostPa> {
        entry::page_table(entry)
    }

    fn of_table(table: HostPa) -> u64 {
        entry::of_page_table(table)
    }

    fn invalidate(self, upper: &Upper, at: HostPa, address: u64, scope: Scope) -> Result<(), OutsideMemory> {
        match scope {
            Scope::Page => {
                // The entry lies at its index in a table aligned to its size.
                let table = at.value() & !Level::Page.table_bytes().wrapping_sub(1);
                self.control.ipte(Absolute::new(table), address, upper.asce());
            }
            Scope::Block | Scope::Table => self.idte(upper, at, address),
        }
        Ok(())
    }

    fn frame_of(self, at: HostPa, bytes: u64) -> Option<HostPa> {
        self.storage.frame_of(absolute(at), bytes).map(|frame| place(frame.align_down(FrameSize::Page)))
    }

    fn check_host(self, slot: &Slot) -> Result<(), MapError> {
        let last = slot.host.checked_add(slot.guest.bytes().wrapping_sub(8));
        self.load(slot.host)?;
        self.load(last.ok_or(MapError::HostRange(slot.host))?)?;
        Ok(())
    }

    fn find(self, upper: &Upper, address: u64) -> Result<Option<HostPa>, OutsideMemory> {
        upper.segment_entry(self, address)
    }

    fn make(self, upper: &mut Upper, address: u64) -> Result<HostPa, MapError> {
        upper.make_segment_entry(self, address)
    }

    fn prune(self, upper: &mut Upper, address: u64) -> Result<(), OutsideMemory> {
        upper.prune(self, address)
    }

    fn pool(upper: &mut Upper) -> &mut Pool {
        &mut upper.pool
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
