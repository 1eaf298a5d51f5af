//! What a machine's tables have to give, and what their entries say.

use crate::{MapError, OutsideMemory, Pool};
use xarch_abi::{HostPa, PAGE_BYTES, Slot};

/// log2 of [`PAGE_BYTES`]: the unit of slots and of the log.
pub const PAGE_LOG2: u32 = PAGE_BYTES.trailing_zeros();

/// Whether a fault was for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A load or a fetch.
    Load,
    /// A store.
    Store,
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The access can be repeated.
    Mapped,
    /// There is no memory (any more).
    Hole,
    /// The memory does not take stores.
    ReadOnly,
}

/// Memory that is mapped, with its state, as an entry holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it lies, by the addresses that entries hold.
    pub at: HostPa,
    /// The slot takes stores.
    pub writable: bool,
    /// It was touched since it was last made old. An entry that is old is not valid, or faults at every access.
    pub young: bool,
    /// It was stored to since the log was read.
    pub dirty: bool,
    /// Stores fault, so that the next one is seen. Always so while it is not dirty.
    pub protected: bool,
}

/// What an entry for a page or a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No memory.
    Hole,
    /// Memory that is not mapped.
    Empty {
        /// It was stored to since the log was read, when it was mapped.
        dirty: bool,
    },
    /// Memory that is mapped.
    Frame(Frame),
}

impl Content {
    /// Memory that is not mapped and of which nothing is to be remembered.
    pub const EMPTY: Self = Self::Empty { dirty: false };
}

/// How much an entry maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`PAGE_BYTES`].
    Page,
    /// 2^[`BLOCK_LOG2`](Tables::BLOCK_LOG2) bytes.
    Block,
}

/// What CPUs are to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The page that an entry of a table of pages maps.
    Page,
    /// The block that an entry maps.
    Block,
    /// All pages of the table that a block's entry designates.
    Table,
}

/// One machine's tables, and what reaches the CPUs that use them.
///
/// A value is what the tables need from around them: memory to lie in, and a hand on the CPUs. It is as good as a pair of
/// references. Entries are numbers of 64 bits in memory that CPUs read at any time, so each is loaded and stored whole.
pub trait Tables: Copy {
    /// The tables above those of pages, and the pool that they come from: what the lock protects.
    type Upper;

    /// log2 of the bytes of a block: what one entry maps that can designate a table of pages instead. 13 to 21.
    const BLOCK_LOG2: u32;

    /// log2 of the bytes that one table of block entries maps: how often [`prune`](Self::prune) is asked.
    const TABLE_LOG2: u32;

    /// Loads the entry at an address.
    ///
    /// # Errors
    /// If there is no memory.
    fn load(self, at: HostPa) -> Result<u64, OutsideMemory>;

    /// Stores an entry.
    ///
    /// # Errors
    /// If there is no memory.
    fn store(self, at: HostPa, entry: u64) -> Result<(), OutsideMemory>;

    /// Returns the entry that says this.
    fn encode(kind: Kind, content: Content) -> u64;

    /// Returns what an entry says that designates no table.
    fn decode(kind: Kind, entry: u64) -> Content;

    /// Returns whether CPUs may hold the entry.
    fn is_valid(kind: Kind, entry: u64) -> bool;

    /// Returns the table of pages that a block's entry designates, `None` if it designates none.
    fn table(entry: u64) -> Option<HostPa>;

    /// Returns the block's entry that designates a table of pages.
    fn of_table(table: HostPa) -> u64;

    /// Makes the valid entry at `at`, which translates `address`, invalid and what `scope` names unused: when this
    /// returns, no CPU holds it.
    ///
    /// # Errors
    /// If there is no memory at `at`.
    fn invalidate(
        self,
        upper: &Self::Upper,
        at: HostPa,
        address: u64,
        scope: Scope,
    ) -> Result<(), OutsideMemory>;

    /// Is told of memory that a guest is about to get, for machines whose guests do not see what caches hold.
    fn prepare(self, at: HostPa, bytes: u64) {
        let _ = (at, bytes);
    }

    /// Returns the address that an entry has to hold for the `bytes`, a page's or a block's, at a slot's place; `None` if
    /// that memory is not in one piece.
    fn frame_of(self, place: HostPa, bytes: u64) -> Option<HostPa> {
        let _ = bytes;
        Some(place)
    }

    /// Checks that a slot's memory on the host is there, or can be.
    ///
    /// # Errors
    /// If it cannot.
    fn check_host(self, slot: &Slot) -> Result<(), MapError>;

    /// Returns where the block's entry for `address` lies, `None` below a hole.
    ///
    /// # Errors
    /// If a table lies outside memory.
    fn find(self, upper: &Self::Upper, address: u64) -> Result<Option<HostPa>, OutsideMemory>;

    /// As [`find`](Self::find), but makes the tables that are missing, of holes.
    ///
    /// # Errors
    /// [`MapError::NoTables`] if the pool has none left to spare.
    fn make(self, upper: &mut Self::Upper, address: u64) -> Result<HostPa, MapError>;

    /// May take back the tables above `address` in which nothing is left but holes.
    ///
    /// # Errors
    /// If a table lies outside memory.
    fn prune(self, upper: &mut Self::Upper, address: u64) -> Result<(), OutsideMemory> {
        let _ = (upper, address);
        Ok(())
    }

    /// Returns the pool that tables come from.
    fn pool(upper: &mut Self::Upper) -> &mut Pool;
}
