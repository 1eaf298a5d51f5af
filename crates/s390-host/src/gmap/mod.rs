//! The guest's physical address space as DAT tables: what stage 2 of an SAE guest is.
//!
//! Ordinary region, segment and page tables (PoP ch. 3, "Dynamic Address Translation"), 4 KiB and 1 MiB
//! frames, built in storage that the embedder gave. Memory faults of the guest are resolved here from the
//! platform's slots; dirty logging and ageing are done by taking rights away and seeing the fault.
//!
//! Any change of an entry that a CPU may hold goes through IPTE or IDTE first: those return when nobody uses
//! the old entry any more, so a store is either in storage and marked, or faults.
//!
//! Only adding a slot takes storage for tables. A page table for each segment that could need one is reserved then, so
//! that faults, splits and removal cannot run out.

mod entry;
mod error;
mod leaf;
mod piece;
mod pool;
mod tree;

pub use error::MapError;

use entry::{Content, Frame, PAGE, SEGMENT};
use leaf::{Leaf, change_pages, covers_segment, frame_at, large_frame};
use piece::{Piece, pieces};
use pool::Pool;
use s390_arch::addr::FrameSize;
use s390_arch::dat::{Asce, Level};
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};
use tree::{entry_at, fill, is_hollow, level_for};
use xarch_abi::{Age, GuestPa, GuestRange, Slot};

/// Slots that one VM can have.
const SLOTS: usize = 64;

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
    /// The frame does not take stores.
    ReadOnly,
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

/// The tables of one VM. One lock protects it; CPUs read the tables as they please.
#[derive(Debug)]
pub(crate) struct Gmap {
    pool: Pool,
    asce: Asce,
    bits: u8,
    /// The VM's storage, of which the pool is a part: no slot may lie there.
    own: (Absolute, u64),
    slots: heapless::Vec<Slot, SLOTS>,
}

/// A bit for each page of a segment.
type SegmentBitmap = [u64; 4];

impl Gmap {
    /// Builds an address space of 2^`bits` bytes in which everything is a hole, with tables from `tables` on to the end
    /// of the VM's `own` storage.
    pub(crate) fn new<C: HostControl, S: AbsoluteStorage>(
        around: Around<'_, C, S>,
        own: (Absolute, u64),
        tables: Absolute,
        bits: u8,
    ) -> Result<Self, MapError> {
        let end = own.0.checked_add(own.1).ok_or(OutsideStorage(own.0))?;
        // If the last doubleword is there, so is everything before it.
        let last = end.checked_sub(1).ok_or(OutsideStorage(own.0))?;
        around.storage.load(Absolute::new(last.bits() & !7))?;
        let mut pool = Pool::new(tables, end.bits().saturating_sub(tables.bits()));
        let level = level_for(bits);
        let table = pool.take_large(around.storage)?.ok_or(MapError::NoTables)?;
        fill(around.storage, level, table, entry::table_hole(level))?;
        // X, S and P as Linux sets them for a guest; the table is whole.
        let asce = Asce::new().with_table(table).with_x(true).with_s(true).with_p(true);
        let asce = asce.with_dt(entry::type_of(level)).with_tl(3);
        // Whoever had a table at that place before may have left translations under the same designation.
        around.control.idte_asce(asce.into_bits());
        Ok(Self { pool, asce, bits, own, slots: heapless::Vec::new() })
    }

    pub(crate) const fn asce(&self) -> u64 {
        self.asce.into_bits()
    }

    fn check(&self, range: GuestRange) -> Result<(), MapError> {
        if (range.start().value() | range.bytes()) & FrameSize::Page.offset_mask() != 0 {
            return Err(MapError::Unaligned(range));
        }
        if range.last().value().checked_shr(u32::from(self.bits)).unwrap_or(0) != 0 {
            return Err(MapError::OutOfRange(range));
        }
        Ok(())
    }

    fn check_slot(&self, storage: &impl AbsoluteStorage, slot: &Slot) -> Result<(), MapError> {
        let range = slot.guest;
        self.check(range)?;
        let host = Absolute::new(slot.host.value());
        if host.frame_offset(FrameSize::Page) != 0 {
            return Err(MapError::Unaligned(range));
        }
        if self.slots.iter().any(|slot| slot.guest.overlaps(range)) {
            return Err(MapError::Overlap(range));
        }
        let last = host.checked_add(range.bytes().wrapping_sub(8)).ok_or(OutsideStorage(host))?;
        storage.load(host)?;
        storage.load(last)?;
        let (own, bytes) = self.own;
        if last >= own && host.bits() < own.bits().saturating_add(bytes) {
            return Err(MapError::OwnStorage(slot.host));
        }
        Ok(())
    }

    /// Turns a slot's range from hole to empty.
    pub(crate) fn add_slot<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        slot: &Slot,
    ) -> Result<(), MapError> {
        self.check_slot(around.storage, slot)?;
        self.slots.push(*slot).map_err(|_| MapError::TooManySlots)?;
        let done = pieces(slot.guest).try_for_each(|piece| self.add_piece(around.storage, piece));
        if done.is_err() {
            self.remove_slot(around, slot.guest)?;
        }
        done
    }

    fn add_piece(&mut self, storage: &impl AbsoluteStorage, piece: Piece) -> Result<(), MapError> {
        let empty = Content::Empty { soft_dirty: false };
        let at = self.make_segment_entry(storage, piece.segment())?;
        let mut table = entry::page_table(storage.load_u64(at)?);
        if table.is_none() {
            if piece.is_whole() {
                if !self.pool.reserve() {
                    return Err(MapError::NoTables);
                }
                storage.store_u64(at, SEGMENT.encode(empty))?;
                return Ok(());
            }
            let new = self.pool.take_small(storage)?.ok_or(MapError::NoTables)?;
            fill(storage, Level::Page, new, PAGE.encode(Content::Hole))?;
            storage.store_u64(at, entry::of_page_table(new))?;
            table = Some(new);
        }
        for (_, address) in piece.pages() {
            if let Some(table) = table {
                storage.store_u64(entry_at(Level::Page, table, address), PAGE.encode(empty))?;
            }
        }
        Ok(())
    }

    /// Turns a slot's range into a hole. Needs no storage.
    pub(crate) fn remove_slot<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        let index =
            self.slots.iter().position(|slot| slot.guest == range).ok_or(MapError::NoSuchSlot(range))?;
        self.slots.swap_remove(index);
        let mut region = None;
        for piece in pieces(range) {
            self.remove_piece(around, piece)?;
            // Once for each segment table, when its last piece is gone.
            let of_piece = piece.segment() >> Level::RegionThird.entry_bytes_log2();
            if let Some(done) = region.filter(|region| *region != of_piece) {
                self.prune(around, done << Level::RegionThird.entry_bytes_log2())?;
            }
            region = Some(of_piece);
        }
        self.prune(around, range.last().value())
    }

    /// Makes one piece of a slot a hole; pieces that a failed addition did not come to are one already.
    fn remove_piece<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        piece: Piece,
    ) -> Result<(), MapError> {
        let Some(at) = self.segment_entry(around.storage, piece.segment())? else { return Ok(()) };
        let segment = around.storage.load_u64(at)?;
        let Some(table) = entry::page_table(segment) else {
            if !entry::is_hole(segment) {
                Leaf::segment(at, piece.segment()).replace(around, self.asce(), Content::Hole)?;
                self.pool.unreserve();
            }
            return Ok(());
        };
        if !piece.is_whole() {
            change_pages(around, self.asce(), at, piece, |_, _| Content::Hole)?;
            if !is_hollow(around.storage, Level::Page, table)? {
                return Ok(());
            }
        }
        around.control.idte(at, piece.segment(), self.asce());
        around.storage.store_u64(at, SEGMENT.encode(Content::Hole))?;
        Ok(self.pool.free_small(around.storage, table)?)
    }

    /// Takes every mapping of the range away. What was stored to stays in the log.
    pub(crate) fn unmap<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range) {
            let Some(at) = self.segment_entry(around.storage, piece.segment())? else { continue };
            match entry::page_table(around.storage.load_u64(at)?) {
                Some(table) => self.unmap_pages(around, at, piece, table)?,
                // A large frame goes as a whole: what was not asked for is mapped again when it is touched.
                None => {
                    let leaf = Leaf::segment(at, piece.segment());
                    let content = leaf.load(around.storage)?;
                    leaf.replace(around, self.asce(), emptied(content))?;
                }
            }
        }
        Ok(())
    }

    fn unmap_pages<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: Absolute,
        piece: Piece,
        table: Absolute,
    ) -> Result<(), MapError> {
        let mut is_clean = true;
        change_pages(around, self.asce(), at, piece, |_, content| {
            let content = emptied(content);
            is_clean &= content == Content::Empty { soft_dirty: false };
            content
        })?;
        // Nothing is known of the segment any more, so that it can become a large frame again.
        let is_one_slot = self.slots.iter().any(|slot| covers_segment(slot, piece.segment()));
        if piece.is_whole() && is_clean && is_one_slot {
            around.control.idte(at, piece.segment(), self.asce());
            around.storage.store_u64(at, SEGMENT.encode(Content::Empty { soft_dirty: false }))?;
            self.pool.free_small(around.storage, table)?;
            // Of the table just put back: there is one.
            let _ = self.pool.reserve();
        }
        Ok(())
    }

    /// Makes the fault at `address` good, if the slot allows it.
    pub(crate) fn resolve<C: HostControl, S: AbsoluteStorage>(
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
        let Some(at) = self.segment_entry(storage, address)? else { return Ok(Resolved::Hole) };
        if entry::page_table(storage.load_u64(at)?).is_none() {
            let leaf = Leaf::segment(at, address);
            match (leaf.load(storage)?, large_frame(storage, slot, address)) {
                (Content::Hole, _) => return Ok(Resolved::Hole),
                (Content::Frame(frame), _) => return leaf.refresh(around, self.asce(), frame, wanted),
                (Content::Empty { soft_dirty }, Some(frame)) => {
                    return leaf.install(storage, frame, slot, wanted, soft_dirty);
                }
                (Content::Empty { .. }, None) => self.split(around, at, address)?,
            }
        }
        let Some(table) = entry::page_table(storage.load_u64(at)?) else { return Ok(Resolved::Hole) };
        let leaf = Leaf::page(table, address);
        match (leaf.load(storage)?, frame_at(storage, slot, address)) {
            (Content::Frame(frame), _) => leaf.refresh(around, self.asce(), frame, wanted),
            (Content::Empty { soft_dirty }, Some(frame)) => {
                leaf.install(storage, frame, slot, wanted, soft_dirty)
            }
            (Content::Hole, _) | (Content::Empty { .. }, None) => Ok(Resolved::Hole),
        }
    }

    /// Replaces a segment's frame or token by a page table in the same state.
    fn split<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: Absolute,
        address: u64,
    ) -> Result<(), MapError> {
        let leaf = Leaf::segment(at, address);
        let content = leaf.load(around.storage)?;
        let table = self.pool.take_reserved(around.storage)?.ok_or(MapError::NoTables)?;
        for page in 0..u64::from(Level::Page.entries()) {
            let small = match content {
                Content::Frame(frame) => {
                    Content::Frame(Frame { at: Absolute::new(frame.at.bits() | (page << 12)), ..frame })
                }
                Content::Empty { .. } | Content::Hole => content,
            };
            around.storage.store_u64(entry_at(Level::Page, table, page << 12), PAGE.encode(small))?;
        }
        // Old frame invalid everywhere, then the table: a CPU in between faults and waits for our lock.
        leaf.replace(around, self.asce(), Content::Empty { soft_dirty: false })?;
        Ok(around.storage.store_u64(at, entry::of_page_table(table))?)
    }

    /// Splits what is not yet a page table, where `needed` says so of its content.
    fn split_where<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: Absolute,
        piece: Piece,
        needed: impl FnOnce(Content) -> bool,
    ) -> Result<(), MapError> {
        if entry::page_table(around.storage.load_u64(at)?).is_none()
            && needed(Leaf::segment(at, piece.segment()).load(around.storage)?)
        {
            self.split(around, at, piece.segment())?;
        }
        Ok(())
    }

    /// Takes the right to store away; large frames are split so that the log is by page.
    pub(crate) fn protect<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range) {
            let Some(at) = self.segment_entry(around.storage, piece.segment())? else { continue };
            self.split_where(around, at, piece, |content| matches!(content, Content::Frame(_)))?;
            change_pages(around, self.asce(), at, piece, |_, content| match content {
                Content::Frame(frame) => Content::Frame(Frame { protected: true, ..frame }),
                Content::Empty { .. } | Content::Hole => content,
            })?;
        }
        Ok(())
    }

    /// Collects the dirty pages of the segment of `piece` and protects them again.
    fn collect_piece<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        piece: Piece,
    ) -> Result<SegmentBitmap, MapError> {
        let mut dirty = [0; 4];
        let Some(at) = self.segment_entry(around.storage, piece.segment())? else { return Ok(dirty) };
        // The pages of the segment that are not asked about stay in the log.
        self.split_where(around, at, piece, |content| !piece.is_whole() && is_dirty(content))?;
        let mut clean = |page: u16, content: Content| {
            if is_dirty(content) {
                if let Some(word) = dirty.get_mut(usize::from(page >> 6)) {
                    *word |= 1 << (page & 63);
                }
            }
            cleaned(content)
        };
        if entry::page_table(around.storage.load_u64(at)?).is_some() {
            change_pages(around, self.asce(), at, piece, clean)?;
        } else {
            let leaf = Leaf::segment(at, piece.segment());
            let content = leaf.load(around.storage)?;
            for (page, _) in piece.pages() {
                clean(page, content);
            }
            // Where the piece is a part of the segment, nothing was dirty and nothing changes.
            leaf.replace(around, self.asce(), cleaned(content))?;
        }
        Ok(dirty)
    }

    /// Makes every frame of the range old.
    pub(crate) fn age<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<Age, MapError> {
        self.check(range)?;
        let mut age = Age::Old;
        for piece in pieces(range) {
            let Some(at) = self.segment_entry(around.storage, piece.segment())? else { continue };
            // The pages of the segment that are not asked about stay young.
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
            if entry::page_table(around.storage.load_u64(at)?).is_some() {
                change_pages(around, self.asce(), at, piece, |_, content| make_old(content))?;
            } else {
                let leaf = Leaf::segment(at, piece.segment());
                let content = make_old(leaf.load(around.storage)?);
                leaf.replace(around, self.asce(), content)?;
            }
        }
        Ok(age)
    }
}

const fn is_dirty(content: Content) -> bool {
    match content {
        Content::Hole => false,
        Content::Empty { soft_dirty } | Content::Frame(Frame { soft_dirty, .. }) => soft_dirty,
    }
}

/// Returns the content after it was reported: a frame that was stored to takes stores by a fault again.
const fn cleaned(content: Content) -> Content {
    match content {
        Content::Empty { .. } => Content::Empty { soft_dirty: false },
        Content::Frame(frame) if frame.soft_dirty => {
            Content::Frame(Frame { soft_dirty: false, protected: true, ..frame })
        }
        Content::Frame(_) | Content::Hole => content,
    }
}

/// Returns the content without its frame.
const fn emptied(content: Content) -> Content {
    match content {
        Content::Frame(frame) => Content::Empty { soft_dirty: frame.soft_dirty },
        Content::Empty { .. } | Content::Hole => content,
    }
}

/// Collects the dirty pages of a range, a segment at a time, so that nothing is called under the lock.
pub(crate) fn collect_dirty<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    locked: impl Fn(&mut dyn FnMut(&mut Gmap) -> Result<(), MapError>) -> Result<(), MapError>,
    range: GuestRange,
    mut report: impl FnMut(GuestPa),
) -> Result<(), MapError> {
    locked(&mut |gmap| gmap.check(range))?;
    for piece in pieces(range) {
        let mut dirty = [0; 4];
        locked(&mut |gmap| {
            dirty = gmap.collect_piece(around, piece)?;
            Ok(())
        })?;
        for (word, bits) in (0_u64..).zip(dirty) {
            let mut bits: u64 = bits;
            while bits != 0 {
                let page = (word << 6) | u64::from(bits.trailing_zeros());
                report(GuestPa::new(piece.segment() | (page << 12)));
                bits &= bits.wrapping_sub(1);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
