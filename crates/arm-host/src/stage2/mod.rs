//! The guest's physical address space as stage 2 tables of VMSAv8-64, 4 KiB granule.
//!
//! Pages of 4 KiB and blocks of 2 MiB, in memory that the embedder gave. Memory faults of the guest are resolved here
//! from the platform's slots; dirty logging and ageing are done by taking rights away and seeing the fault.
//!
//! Any change of a descriptor that a CPU may hold is break-before-make: invalid, TLBI, and only then the new one, so that a store is
//! either in memory and marked, or faults. Arm ARM D8.16, "Using break-before-make when updating translation table
//! entries".
//!
//! Only adding a slot takes memory for tables. A level 3 table for each block that could need one is reserved then, so
//! that faults, splits and removal cannot run out. Tables of level 1 and 2 stay until the VM goes.

mod entry;
mod error;
mod leaf;
mod piece;
mod pool;
#[cfg(test)]
mod tests;

pub use error::MapError;

use crate::machine::{AddressSpace, HostControl, OutsideMemory, Scope, TableStorage};
use arm_arch::sysreg::VtcrEl2;
use entry::{Content, Frame, Kind};
use leaf::{Leaf, break_entry, change_pages, covers_block, entry_at, fill, frame_at, is_hollow, whole_block};
use piece::{BLOCK_LOG2, PAGE_LOG2, Piece, pieces};
use pool::{Pool, TABLE_BYTES};
use xarch_abi::{Age, GuestPa, GuestRange, HostPa, Slot};

/// Slots that one VM can have.
const SLOTS: usize = 64;
/// Bits of an address that each level translates.
const LEVEL_BITS: u32 = 9;
/// Most bits of a host address that a descriptor holds, without FEAT_LPA2.
const HOST_BITS: u32 = 48;

/// Whether a fault was for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Load,
    Store,
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The access can be repeated.
    Mapped,
    /// There is no memory (any more).
    Hole,
    /// The memory does not take stores.
    ReadOnly,
}

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
    /// First tables that lie side by side. Arm ARM D8.2, "Concatenated translation tables".
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

/// The tables of one VM. One lock protects it; CPUs read the tables as they please.
#[derive(Debug)]
pub(crate) struct Stage2 {
    pool: Pool,
    root: HostPa,
    bits: u8,
    space: AddressSpace,
    /// The VM's storage, of which the pool is a part: no slot may lie there.
    own: (HostPa, u64),
    slots: heapless::Vec<Slot, SLOTS>,
}

/// A bit for each page of a block.
type BlockBitmap = [u64; 8];

impl Stage2 {
    /// Builds an address space of 2^`bits` bytes in which everything is a hole, with tables in `own`.
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
        let mut pool = Pool::new(own.0, own.1);
        let geometry = geometry(bits);
        let root = pool.take_first(geometry.tables).ok_or(MapError::NoTables)?;
        for table in 0..geometry.tables {
            let at = HostPa::new(root.value().wrapping_add(table.wrapping_mul(TABLE_BYTES)));
            fill(around.storage, at, 0)?;
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
        let vttbr = u64::from(vmid) << 48 | root.value();
        let space = AddressSpace { vttbr, vtcr: vtcr.into_bits() };
        // Whoever had the VMID before may have left translations.
        around.control.invalidate(space, Scope::All);
        Ok(Self { pool, root, bits, space, own, slots: heapless::Vec::new() })
    }

    pub(crate) const fn space(&self) -> AddressSpace {
        self.space
    }

    fn check(&self, range: GuestRange) -> Result<(), MapError> {
        if (range.start().value() | range.bytes()) & 0xfff != 0 {
            return Err(MapError::Unaligned(range));
        }
        if range.last().value().checked_shr(u32::from(self.bits)).unwrap_or(0) != 0 {
            return Err(MapError::OutOfRange(range));
        }
        Ok(())
    }

    fn check_slot(&self, slot: &Slot) -> Result<(), MapError> {
        let range = slot.guest;
        self.check(range)?;
        if slot.host.value() & 0xfff != 0 {
            return Err(MapError::Unaligned(range));
        }
        if self.slots.iter().any(|slot| slot.guest.overlaps(range)) {
            return Err(MapError::Overlap(range));
        }
        let last = slot.host.checked_add(range.bytes().wrapping_sub(1));
        let last =
            last.filter(|last| last.value() >> HOST_BITS == 0).ok_or(MapError::HostRange(slot.host))?;
        let (own, bytes) = self.own;
        if last >= own && slot.host.value() < own.value().saturating_add(bytes) {
            return Err(MapError::OwnStorage(slot.host));
        }
        Ok(())
    }

    /// Turns a slot's range from hole to empty.
    pub(crate) fn add_slot<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        slot: &Slot,
    ) -> Result<(), MapError> {
        self.check_slot(slot)?;
        self.slots.push(*slot).map_err(|_| MapError::TooManySlots)?;
        let done = pieces(slot.guest).try_for_each(|piece| self.add_piece(around.storage, piece));
        if done.is_err() {
            self.remove_slot(around, slot.guest)?;
        }
        done
    }

    fn add_piece(&mut self, storage: &impl TableStorage, piece: Piece) -> Result<(), MapError> {
        let empty = Content::Empty { dirty: false };
        let at = self.make_block_entry(storage, piece.block())?;
        let mut table = entry::table(storage.load(at)?);
        if table.is_none() {
            if piece.is_whole() {
                if !self.pool.reserve() {
                    return Err(MapError::NoTables);
                }
                return Ok(storage.store(at, entry::encode(Kind::Block, empty))?);
            }
            let new = self.pool.take(storage)?.ok_or(MapError::NoTables)?;
            fill(storage, new, entry::encode(Kind::Page, Content::Hole))?;
            storage.store(at, entry::of_table(new))?;
            table = Some(new);
        }
        for (_, address) in piece.pages() {
            if let Some(table) = table {
                storage.store(entry_at(PAGE_LOG2, table, address), entry::encode(Kind::Page, empty))?;
            }
        }
        Ok(())
    }

    /// Returns where the level 2 descriptor for `address` lies, `None` below a hole.
    fn block_entry(
        &self,
        storage: &impl TableStorage,
        address: u64,
    ) -> Result<Option<HostPa>, OutsideMemory> {
        let (mut log2, mut at) = self.first_entry(address);
        while log2 > BLOCK_LOG2 {
            let Some(lower) = entry::table(storage.load(at)?) else { return Ok(None) };
            log2 = log2.saturating_sub(LEVEL_BITS);
            at = entry_at(log2, lower, address);
        }
        Ok(Some(at))
    }

    /// As [`block_entry`](Self::block_entry), but makes the tables that are missing.
    fn make_block_entry(&mut self, storage: &impl TableStorage, address: u64) -> Result<HostPa, MapError> {
        let (mut log2, mut at) = self.first_entry(address);
        while log2 > BLOCK_LOG2 {
            let lower = match entry::table(storage.load(at)?) {
                Some(lower) => lower,
                None => {
                    let new = self.pool.take(storage)?.ok_or(MapError::NoTables)?;
                    fill(storage, new, 0)?;
                    // From invalid to valid: nothing to break.
                    storage.store(at, entry::of_table(new))?;
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

    /// Turns a slot's range into a hole. Needs no memory.
    pub(crate) fn remove_slot<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        let index =
            self.slots.iter().position(|slot| slot.guest == range).ok_or(MapError::NoSuchSlot(range))?;
        self.slots.swap_remove(index);
        pieces(range).try_for_each(|piece| self.remove_piece(around, piece))
    }

    /// Makes one piece of a slot a hole; pieces that a failed addition did not come to are one already.
    fn remove_piece<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        piece: Piece,
    ) -> Result<(), MapError> {
        let Some(at) = self.block_entry(around.storage, piece.block())? else { return Ok(()) };
        let descriptor = around.storage.load(at)?;
        let Some(table) = entry::table(descriptor) else {
            if entry::decode(descriptor) != Content::Hole {
                Leaf::block(at, piece.block()).replace(around, self.space, Content::Hole)?;
                self.pool.unreserve();
            }
            return Ok(());
        };
        if !piece.is_whole() {
            change_pages(around, self.space, at, piece, |_, _| Content::Hole)?;
            if !is_hollow(around.storage, table)? {
                return Ok(());
            }
        }
        break_entry(around, self.space, at, Scope::All)?;
        Ok(self.pool.free(around.storage, table)?)
    }

    /// Takes every mapping of the range away. What was stored to stays in the log.
    pub(crate) fn unmap<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range) {
            let Some(at) = self.block_entry(around.storage, piece.block())? else { continue };
            match entry::table(around.storage.load(at)?) {
                Some(table) => self.unmap_pages(around, at, piece, table)?,
                // A block goes as a whole: what was not asked for is mapped again when it is touched.
                None => {
                    let leaf = Leaf::block(at, piece.block());
                    let content = leaf.load(around.storage)?;
                    leaf.replace(around, self.space, emptied(content))?;
                }
            }
        }
        Ok(())
    }

    fn unmap_pages<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: HostPa,
        piece: Piece,
        table: HostPa,
    ) -> Result<(), MapError> {
        let mut is_clean = true;
        change_pages(around, self.space, at, piece, |_, content| {
            let content = emptied(content);
            is_clean &= content == Content::Empty { dirty: false };
            content
        })?;
        // Nothing is known of the block any more, so that it can become whole again.
        let is_one_slot = self.slots.iter().any(|slot| covers_block(slot, piece.block()));
        if piece.is_whole() && is_clean && is_one_slot {
            break_entry(around, self.space, at, Scope::All)?;
            around.storage.store(at, entry::encode(Kind::Block, Content::Empty { dirty: false }))?;
            self.pool.free(around.storage, table)?;
            // Of the table just put back: there is one.
            let _ = self.pool.reserve();
        }
        Ok(())
    }

    /// Makes the fault at `address` good, if the slot allows it.
    pub(crate) fn resolve<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        address: GuestPa,
        slot: &Slot,
        wanted: Wanted,
    ) -> Result<Resolved, MapError> {
        // The platform was asked before the lock was taken: its answer counts only while it is still true.
        if !self.slots.contains(slot) {
            return Ok(Resolved::Hole);
        }
        let (storage, address) = (around.storage, address.value());
        let Some(at) = self.block_entry(storage, address)? else { return Ok(Resolved::Hole) };
        if entry::table(storage.load(at)?).is_none() {
            let leaf = Leaf::block(at, address);
            match (leaf.load(storage)?, whole_block(slot, address)) {
                (Content::Hole, _) => return Ok(Resolved::Hole),
                (Content::Frame(frame), _) => return leaf.refresh(around, self.space, frame, wanted),
                (Content::Empty { dirty }, Some(frame)) => {
                    return leaf.install(around, frame, slot, wanted, dirty);
                }
                (Content::Empty { .. }, None) => self.split(around, at, address)?,
            }
        }
        let Some(table) = entry::table(storage.load(at)?) else { return Ok(Resolved::Hole) };
        let leaf = Leaf::page(table, address & !0xfff);
        match (leaf.load(storage)?, frame_at(slot, address)) {
            (Content::Frame(frame), _) => leaf.refresh(around, self.space, frame, wanted),
            (Content::Empty { dirty }, Some(frame)) => leaf.install(around, frame, slot, wanted, dirty),
            (Content::Hole, _) | (Content::Empty { .. }, None) => Ok(Resolved::Hole),
        }
    }

    /// Replaces a block, or an empty one, by a table of pages in the same state.
    fn split<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: HostPa,
        address: u64,
    ) -> Result<(), MapError> {
        let leaf = Leaf::block(at, address);
        let content = leaf.load(around.storage)?;
        let table = self.pool.take_reserved(around.storage)?.ok_or(MapError::NoTables)?;
        for page in 0..u64::from(piece::PAGES) {
            let offset = page << PAGE_LOG2;
            let small = match content {
                Content::Frame(frame) => {
                    Content::Frame(Frame { at: HostPa::new(frame.at.value() | offset), ..frame })
                }
                Content::Empty { .. } | Content::Hole => content,
            };
            around.storage.store(entry_at(PAGE_LOG2, table, offset), entry::encode(Kind::Page, small))?;
        }
        // The block broken everywhere, then the table: a CPU in between faults and waits for our lock.
        leaf.replace(around, self.space, Content::Empty { dirty: false })?;
        Ok(around.storage.store(at, entry::of_table(table))?)
    }

    /// Splits what is not yet a table, where `needed` says so of its content.
    fn split_where<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: HostPa,
        piece: Piece,
        needed: impl FnOnce(Content) -> bool,
    ) -> Result<(), MapError> {
        if entry::table(around.storage.load(at)?).is_none()
            && needed(Leaf::block(at, piece.block()).load(around.storage)?)
        {
            self.split(around, at, piece.block())?;
        }
        Ok(())
    }

    /// Takes the right to store away; blocks are split so that the log is by page.
    pub(crate) fn protect<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range) {
            let Some(at) = self.block_entry(around.storage, piece.block())? else { continue };
            self.split_where(around, at, piece, |content| matches!(content, Content::Frame(_)))?;
            change_pages(around, self.space, at, piece, |_, content| match content {
                Content::Frame(frame) => Content::Frame(Frame { protected: true, ..frame }),
                Content::Empty { .. } | Content::Hole => content,
            })?;
        }
        Ok(())
    }

    /// Collects the dirty pages of the block of `piece` and protects them again.
    fn collect_piece<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        piece: Piece,
    ) -> Result<BlockBitmap, MapError> {
        let mut dirty = BlockBitmap::default();
        let Some(at) = self.block_entry(around.storage, piece.block())? else { return Ok(dirty) };
        // The pages of the block that are not asked about stay in the log.
        self.split_where(around, at, piece, |content| !piece.is_whole() && is_dirty(content))?;
        let mut clean = |page: u16, content: Content| {
            if is_dirty(content) {
                if let Some(word) = dirty.get_mut(usize::from(page >> 6)) {
                    *word |= 1 << (page & 63);
                }
            }
            cleaned(content)
        };
        if entry::table(around.storage.load(at)?).is_some() {
            change_pages(around, self.space, at, piece, clean)?;
        } else {
            let leaf = Leaf::block(at, piece.block());
            let content = leaf.load(around.storage)?;
            for (page, _) in piece.pages() {
                clean(page, content);
            }
            // Where the piece is a part of the block, nothing was dirty and nothing changes.
            leaf.replace(around, self.space, cleaned(content))?;
        }
        Ok(dirty)
    }

    /// Makes everything mapped in the range old.
    pub(crate) fn age<C: HostControl, S: TableStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<Age, MapError> {
        self.check(range)?;
        let mut age = Age::Old;
        for piece in pieces(range) {
            let Some(at) = self.block_entry(around.storage, piece.block())? else { continue };
            // The pages of the block that are not asked about stay young.
            let is_young = |content| matches!(content, Content::Frame(Frame { young: true, .. }));
            self.split_where(around, at, piece, |content| !piece.is_whole() && is_young(content))?;
            let mut make_old = |content: Content| match content {
                Content::Frame(frame) => {
                    if frame.young {
                        age = Age::Young;
                    }
                    Content::Frame(Frame { young: false, ..frame })
                }
                Content::Empty { .. } | Content::Hole => content,
            };
            if entry::table(around.storage.load(at)?).is_some() {
                change_pages(around, self.space, at, piece, |_, content| make_old(content))?;
            } else {
                let leaf = Leaf::block(at, piece.block());
                let content = make_old(leaf.load(around.storage)?);
                leaf.replace(around, self.space, content)?;
            }
        }
        Ok(age)
    }
}

const fn is_dirty(content: Content) -> bool {
    match content {
        Content::Hole => false,
        Content::Empty { dirty } | Content::Frame(Frame { dirty, .. }) => dirty,
    }
}

/// Returns the content after it was reported: memory that was stored to takes stores by a fault again.
const fn cleaned(content: Content) -> Content {
    match content {
        Content::Empty { .. } => Content::Empty { dirty: false },
        Content::Frame(frame) if frame.dirty => {
            Content::Frame(Frame { dirty: false, protected: true, ..frame })
        }
        Content::Frame(_) | Content::Hole => content,
    }
}

/// Returns the content without its memory.
const fn emptied(content: Content) -> Content {
    match content {
        Content::Frame(frame) => Content::Empty { dirty: frame.dirty },
        Content::Empty { .. } | Content::Hole => content,
    }
}

/// Collects the dirty pages of a range, a block at a time, so that nothing is called under the lock.
pub(crate) fn collect_dirty<C: HostControl, S: TableStorage>(
    around: Around<'_, C, S>,
    locked: impl Fn(&mut dyn FnMut(&mut Stage2) -> Result<(), MapError>) -> Result<(), MapError>,
    range: GuestRange,
    mut report: impl FnMut(GuestPa),
) -> Result<(), MapError> {
    locked(&mut |tables| tables.check(range))?;
    for piece in pieces(range) {
        let mut dirty = BlockBitmap::default();
        locked(&mut |tables| {
            dirty = tables.collect_piece(around, piece)?;
            Ok(())
        })?;
        for (word, bits) in (0_u64..).zip(dirty) {
            let mut bits: u64 = bits;
            while bits != 0 {
                let page = (word << 6) | u64::from(bits.trailing_zeros());
                report(GuestPa::new(piece.block() | (page << PAGE_LOG2)));
                bits &= bits.wrapping_sub(1);
            }
        }
    }
    Ok(())
}
