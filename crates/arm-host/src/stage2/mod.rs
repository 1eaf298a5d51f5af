//! The guest's physical address space as stage 2 tables of VMSAv8-64, 4 KiB granule.
//!
//! Pages of 4 KiB and blocks of 2 MiB, in memory that the embedder gave. What becomes of a page is decided by
//! [`guest_map`]; here is how VMSAv8-64 says it, and how its CPUs are made to forget.
//!
//! Any change of a descriptor that a CPU may hold is break-before-make: invalid, TLBI, and only then the new one, so that a store is
//! either in memory and marked, or faults. Arm ARM, "Using break-before-make when updating translation table
//! entries".
//!
//! Tables of level 1 and 2 stay until the VM goes.

mod entry;
#[cfg(test)]
mod tests;

pub(crate) use guest_map::{Resolved, Wanted, collect_dirty};

use crate::machine::{AddressSpace, HostControl, Scope, TableStorage};
use arm_arch::sysreg::{VtcrEl2, VttbrEl2};
use guest_map::{Content, GuestMap, Kind, MapError, OutsideMemory, Pool, Tables};
use xarch_abi::{HostPa, Slot};

/// log2 of the bytes of a table, and of what a page and a block of level 2 translate.
const TABLE_LOG2: u32 = 12;
const PAGE_LOG2: u32 = 12;
const BLOCK_LOG2: u32 = 21;
/// Bits of an address that each level translates.
const LEVEL_BITS: u32 = 9;
/// Most bits of a host address that a descriptor holds, without FEAT_LPA2.
const HOST_BITS: u32 = 48;

/// The memory of one VM.
pub(crate) type Stage2 = GuestMap<Upper>;

/// What the tables are in: the CPUs that may use them, and the memory they lie in.
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

/// Where a walk starts, for an address space of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// log2 of the bytes that an entry of the first table translates: 39 at level 0, 30 at level 1.
    first_log2: u32,
    /// First tables that lie side by side. Arm ARM, "Concatenated translation tables".
    tables: u64,
    /// `VTCR_EL2`.SL0.
    sl0: u8,
}

/// Returns the geometry for addresses of 32 to 48 bits: from level 1 as far as sixteen tables reach.
const fn geometry(bits: u8) -> Geometry {
    match bits {
        0..=39 => Geometry { first_log2: 30, tables: 1, sl0: 1 },
        40 => Geometry { first_log2: 30, tables: 2, sl0: 1 },
        41 => Geometry { first_log2: 30, tables: 4, sl0: 1 },
        42 => Geometry { first_log2: 30, tables: 8, sl0: 1 },
        43 => Geometry { first_log2: 30, tables: 16, sl0: 1 },
        _ => Geometry { first_log2: 39, tables: 1, sl0: 2 },
    }
}

/// The tables of level 0 to 2, and where all tables come from.
#[derive(Debug)]
pub(crate) struct Upper {
    pool: Pool,
    root: HostPa,
    bits: u8,
    space: AddressSpace,
}

impl Upper {
    /// Builds the tables of an address space of 2^`bits` bytes in which everything is a hole, with tables in `own`.
    ///
    /// `output_size` is what the CPUs say of their physical addresses: ID_AA64MMFR0_EL1.PARange.
    pub(crate) fn new<C: HostControl, S: TableStorage>(
        around: Around<'_, C, S>,
        own: (HostPa, u64),
        bits: u8,
        vmid: u8,
        output_size: u8,
    ) -> Result<Self, MapError> {
        let end = own.0.checked_add(own.1).ok_or(OutsideMemory(own.0))?;
        // If the last doubleword is there, so is everything before it.
        around.storage.load(HostPa::new(end.value().saturating_sub(1) & !7))?;
        let mut pool = Pool::new(own.0, own.1, TABLE_LOG2, TABLE_LOG2);
        let geometry = geometry(bits);
        let root = pool.take_first(geometry.tables).ok_or(MapError::NoTables)?;
        for table in 0..geometry.tables {
            let at = HostPa::new(root.value().wrapping_add(table << TABLE_LOG2));
            fill(around, at, 0)?;
        }
        // Write-Back and Inner Shareable walks, 4 KiB granule; the access flag is software's.
        let vtcr = VtcrEl2::new()
            .with_t0sz(64_u8.saturating_sub(bits) & 0x3f)
            .with_sl0(geometry.sl0)
            .with_irgn0(1)
            .with_orgn0(1)
            .with_sh0(3)
            .with_ps(output_size.min(5))
            .with_res1(true);
        let vttbr = VttbrEl2::new().with_vmid(vmid.into()).into_bits() | root.value();
        let space = AddressSpace { vttbr, vtcr: vtcr.into_bits() };
        // Whoever had the VMID before may have left translations.
        around.control.invalidate(space, Scope::All);
        Ok(Self { pool, root, bits, space })
    }

    pub(crate) const fn space(&self) -> AddressSpace {
        self.space
    }

    /// Returns where the level 2 descriptor for `address` lies, `None` below a hole.
    fn block_entry(&self, tables: impl Tables, address: u64) -> Result<Option<HostPa>, OutsideMemory> {
        let (mut log2, mut at) = self.first_entry(address);
        while log2 > BLOCK_LOG2 {
            let Some(lower) = entry::table(tables.load(at)?) else { return Ok(None) };
            log2 = log2.saturating_sub(LEVEL_BITS);
            at = entry_at(log2, lower, address);
        }
        Ok(Some(at))
    }

    /// As [`block_entry`](Self::block_entry), but makes the tables that are missing.
    fn make_block_entry(&mut self, tables: impl Tables, address: u64) -> Result<HostPa, MapError> {
        let (mut log2, mut at) = self.first_entry(address);
        while log2 > BLOCK_LOG2 {
            let lower = match entry::table(tables.load(at)?) {
                Some(lower) => lower,
                None => {
                    let new = self.pool.take_large(tables)?.ok_or(MapError::NoTables)?;
                    fill(tables, new, 0)?;
                    // From invalid to valid: nothing to break.
                    tables.store(at, entry::of_table(new))?;
                    new
                }
            };
            log2 = log2.saturating_sub(LEVEL_BITS);
            at = entry_at(log2, lower, address);
        }
        Ok(at)
    }

    /// Returns log2 of the bytes that an entry of the first tables translates, and where the one for `address` is.
    fn first_entry(&self, address: u64) -> (u32, HostPa) {
        let log2 = geometry(self.bits).first_log2;
        // Concatenated tables are one: the index has more than nine bits.
        let index = address.wrapping_shr(log2);
        (log2, HostPa::new(self.root.value().wrapping_add(index << 3)))
    }
}

/// Returns where the descriptor for `address` lies in a table whose entries translate 2^`log2` bytes.
const fn entry_at(log2: u32, table: HostPa, address: u64) -> HostPa {
    let index = address.wrapping_shr(log2) & 0x1ff;
    HostPa::new(table.value().wrapping_add(index << 3))
}

/// Fills a table with one descriptor.
fn fill(tables: impl Tables, table: HostPa, entry: u64) -> Result<(), OutsideMemory> {
    (0..512).try_for_each(|page| tables.store(entry_at(PAGE_LOG2, table, page << PAGE_LOG2), entry))
}

impl<C: HostControl, S: TableStorage> Tables for Around<'_, C, S> {
    type Upper = Upper;

    const BLOCK_LOG2: u32 = BLOCK_LOG2;
    const TABLE_LOG2: u32 = BLOCK_LOG2 + LEVEL_BITS;

    fn load(self, at: HostPa) -> Result<u64, OutsideMemory> {
        self.storage.load(at)
    }

    fn store(self, at: HostPa, entry: u64) -> Result<(), OutsideMemory> {
        self.storage.store(at, entry)
    }

    fn encode(kind: Kind, content: Content) -> u64 {
        entry::encode(kind, content)
    }

    fn decode(_: Kind, entry: u64) -> Content {
        entry::decode(entry)
    }

    fn is_valid(_: Kind, entry: u64) -> bool {
        entry::is_valid(entry)
    }

    fn table(entry: u64) -> Option<HostPa> {
        entry::table(entry)
    }

    fn of_table(table: HostPa) -> u64 {
        entry::of_table(table)
    }

    fn invalidate(
        self,
        upper: &Upper,
        at: HostPa,
        address: u64,
        scope: guest_map::Scope,
    ) -> Result<(), OutsideMemory> {
        self.storage.store(at, 0)?;
        let scope = match scope {
            guest_map::Scope::Page | guest_map::Scope::Block => Scope::Address(address),
            guest_map::Scope::Table => Scope::All,
        };
        self.control.invalidate(upper.space, scope);
        Ok(())
    }

    fn prepare(self, at: HostPa, bytes: u64) {
        self.control.make_coherent(at, bytes);
    }

    fn check_host(self, slot: &Slot) -> Result<(), MapError> {
        let last = slot.host.checked_add(slot.guest.bytes().wrapping_sub(1));
        match last.filter(|last| last.value() >> HOST_BITS == 0) {
            Some(_) => Ok(()),
            None => Err(MapError::HostRange(slot.host)),
        }
    }

    fn find(self, upper: &Upper, address: u64) -> Result<Option<HostPa>, OutsideMemory> {
        upper.block_entry(self, address)
    }

    fn make(self, upper: &mut Upper, address: u64) -> Result<HostPa, MapError> {
        upper.make_block_entry(self, address)
    }

    fn pool(upper: &mut Upper) -> &mut Pool {
        &mut upper.pool
    }
}
