//! The guest's memory: slots, and what becomes of their pages.

use crate::MapError;
use crate::leaf::{Leaf, change_pages, covers_block, fill, frame_at, is_hollow, page_entry, whole_block};
use crate::piece::{Piece, pieces};
use crate::tables::{Content, Frame, Kind, PAGE_LOG2, Resolved, Scope, Tables, Wanted};
use xarch_abi::{Age, GuestPa, GuestRange, HostPa, PAGE_BYTES, Slot};

/// Slots that one VM can have.
pub const SLOTS: usize = 64;

/// A bit for each page of a block.
type BlockBitmap = [u64; 8];

/// The memory of one VM. One lock protects it; CPUs read the tables as they please.
#[derive(Debug)]
pub struct GuestMap<U> {
    upper: U,
    bits: u8,
    /// The VM's own memory, in which its tables lie: no slot may be there.
    own: (HostPa, u64),
    slots: heapless::Vec<Slot, SLOTS>,
}

impl<U> GuestMap<U> {
    /// Makes an address space of 2^`bits` bytes without memory, of tables in which everything is a hole; `own` is the VM's
    /// memory, start and bytes.
    ///
    /// Inline: it is large, and is to be made where it lies.
    #[must_use]
    #[inline(always)]
    pub const fn new(upper: U, bits: u8, own: (HostPa, u64)) -> Self {
        Self { upper, bits, own, slots: heapless::Vec::new() }
    }

    /// Returns the tables above those of pages.
    #[must_use]
    pub const fn upper(&self) -> &U {
        &self.upper
    }

    /// Returns the slots, in no order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn check(&self, range: GuestRange) -> Result<(), MapError> {
        if (range.start().value() | range.bytes()) & PAGE_BYTES.wrapping_sub(1) != 0 {
            return Err(MapError::Unaligned(range));
        }
        if range.last().value().checked_shr(u32::from(self.bits)).unwrap_or(0) != 0 {
            return Err(MapError::OutOfRange(range));
        }
        Ok(())
    }

    fn check_slot<T: Tables<Upper = U>>(&self, tables: T, slot: &Slot) -> Result<(), MapError> {
        let range = slot.guest;
        self.check(range)?;
        if slot.host.value() & PAGE_BYTES.wrapping_sub(1) != 0 {
            return Err(MapError::Unaligned(range));
        }
        if self.slots.iter().any(|slot| slot.guest.overlaps(range)) {
            return Err(MapError::Overlap(range));
        }
        let last = slot.host.checked_add(range.bytes().wrapping_sub(1));
        let last = last.ok_or(MapError::HostRange(slot.host))?;
        tables.check_host(slot)?;
        let (own, bytes) = self.own;
        if last >= own && slot.host.value() < own.value().saturating_add(bytes) {
            return Err(MapError::OwnMemory(slot.host));
        }
        Ok(())
    }

    /// Turns a slot's range from hole to empty.
    ///
    /// # Errors
    /// [`MapError`] says why it cannot be; nothing of it is there then.
    pub fn add_slot<T: Tables<Upper = U>>(&mut self, tables: T, slot: &Slot) -> Result<(), MapError> {
        self.check_slot(tables, slot)?;
        self.slots.push(*slot).map_err(|_| MapError::TooManySlots)?;
        let done = pieces(slot.guest, T::BLOCK_LOG2).try_for_each(|piece| self.add_piece(tables, piece));
        if done.is_err() {
            self.remove_slot(tables, slot.guest)?;
        }
        done
    }

    fn add_piece<T: Tables<Upper = U>>(&mut self, tables: T, piece: Piece) -> Result<(), MapError> {
        let at = tables.make(&mut self.upper, piece.block())?;
        if let Some(table) = T::table(tables.load(at)?) {
            let empty = T::encode(Kind::Page, Content::EMPTY);
            return Ok(piece
                .pages()
                .try_for_each(|(page, _)| tables.store(page_entry(table, page), empty))?);
        }
        if piece.is_whole() {
            if !T::pool(&mut self.upper).reserve() {
                return Err(MapError::NoTables);
            }
            return Ok(tables.store(at, T::encode(Kind::Block, Content::EMPTY))?);
        }
        let table = T::pool(&mut self.upper).take_small(tables)?.ok_or(MapError::NoTables)?;
        fill(tables, table, |page| if piece.has(page) { Content::EMPTY } else { Content::Hole })?;
        Ok(tables.store(at, T::of_table(table))?)
    }

    /// Turns a slot's range into a hole. Needs no memory.
    ///
    /// # Errors
    /// [`MapError::NoSuchSlot`] if no slot has exactly this range.
    pub fn remove_slot<T: Tables<Upper = U>>(
        &mut self,
        tables: T,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        let index =
            self.slots.iter().position(|slot| slot.guest == range).ok_or(MapError::NoSuchSlot(range))?;
        self.slots.swap_remove(index);
        let mut last = range.start().value();
        for piece in pieces(range, T::BLOCK_LOG2) {
            // Once for each table of blocks, when its last piece is gone.
            if (piece.block() ^ last).wrapping_shr(T::TABLE_LOG2) != 0 {
                tables.prune(&mut self.upper, last)?;
            }
            self.remove_piece(tables, piece)?;
            last = piece.block();
        }
        Ok(tables.prune(&mut self.upper, last)?)
    }

    /// Makes one piece of a slot a hole; pieces that a failed addition did not come to are one already.
    fn remove_piece<T: Tables<Upper = U>>(&mut self, tables: T, piece: Piece) -> Result<(), MapError> {
        let Some(at) = tables.find(&self.upper, piece.block())? else { return Ok(()) };
        let Some(table) = T::table(tables.load(at)?) else {
            let leaf = Leaf::block::<T>(at, piece.block());
            if leaf.load(tables)? != Content::Hole {
                leaf.replace(tables, &self.upper, Content::Hole)?;
                T::pool(&mut self.upper).unreserve();
            }
            return Ok(());
        };
        if !piece.is_whole() {
            change_pages(tables, &self.upper, at, piece, |_, _| Content::Hole)?;
            if !is_hollow(tables, table)? {
                return Ok(());
            }
        }
        self.drop_table(tables, at, piece, table, Content::Hole)
    }

    /// Puts something in the place of a table of pages, which goes back to the pool.
    fn drop_table<T: Tables<Upper = U>>(
        &mut self,
        tables: T,
        at: HostPa,
        piece: Piece,
        table: HostPa,
        content: Content,
    ) -> Result<(), MapError> {
        tables.invalidate(&self.upper, at, piece.block(), Scope::Table)?;
        tables.store(at, T::encode(Kind::Block, content))?;
        Ok(T::pool(&mut self.upper).free_small(tables, table)?)
    }

    /// Takes every mapping of the range away. What was stored to stays in the log.
    ///
    /// # Errors
    /// If the range is misaligned or beyond the address space.
    pub fn unmap<T: Tables<Upper = U>>(&mut self, tables: T, range: GuestRange) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range, T::BLOCK_LOG2) {
            let Some(at) = tables.find(&self.upper, piece.block())? else { continue };
            match T::table(tables.load(at)?) {
                Some(table) => self.unmap_pages(tables, at, piece, table)?,
                // A block goes as a whole: what was not asked for is mapped again when it is touched.
                None => {
                    let leaf = Leaf::block::<T>(at, piece.block());
                    let content = leaf.load(tables)?;
                    leaf.replace(tables, &self.upper, emptied(content))?;
                }
            }
        }
        Ok(())
    }

    fn unmap_pages<T: Tables<Upper = U>>(
        &mut self,
        tables: T,
        at: HostPa,
        piece: Piece,
        table: HostPa,
    ) -> Result<(), MapError> {
        let mut is_clean = true;
        change_pages(tables, &self.upper, at, piece, |_, content| {
            let content = emptied(content);
            is_clean &= content == Content::EMPTY;
            content
        })?;
        // Nothing is known of the block any more, so that it can become whole again.
        let is_one_slot = self.slots.iter().any(|slot| covers_block::<T>(slot, piece.block()));
        if piece.is_whole() && is_clean && is_one_slot {
            self.drop_table(tables, at, piece, table, Content::EMPTY)?;
            // Of the table just put back: there is one.
            let _ = T::pool(&mut self.upper).reserve();
        }
        Ok(())
    }

    /// Makes the fault at `address` good, if the slot allows it, which the platform named before the lock was taken.
    ///
    /// # Errors
    /// If a table lies outside memory.
    pub fn resolve<T: Tables<Upper = U>>(
        &mut self,
        tables: T,
        address: GuestPa,
        slot: &Slot,
        wanted: Wanted,
    ) -> Result<Resolved, MapError> {
        // The platform's answer counts only while it is still true.
        if !self.slots.contains(slot) {
            return Ok(Resolved::Hole);
        }
        let address = address.value();
        let Some(at) = tables.find(&self.upper, address)? else { return Ok(Resolved::Hole) };
        if T::table(tables.load(at)?).is_none() {
            let leaf = Leaf::block::<T>(at, address);
            match (leaf.load(tables)?, whole_block(tables, slot, address)) {
                (Content::Hole, _) => return Ok(Resolved::Hole),
                (Content::Frame(frame), _) => return leaf.refresh(tables, &self.upper, frame, wanted),
                (Content::Empty { dirty }, Some(frame)) => {
                    return leaf.install(tables, frame, slot, wanted, dirty);
                }
                (Content::Empty { .. }, None) => self.split(tables, at, address)?,
            }
        }
        let Some(table) = T::table(tables.load(at)?) else { return Ok(Resolved::Hole) };
        let leaf = Leaf::page::<T>(table, address & !PAGE_BYTES.wrapping_sub(1));
        match (leaf.load(tables)?, frame_at(tables, slot, address)) {
            (Content::Frame(frame), _) => leaf.refresh(tables, &self.upper, frame, wanted),
            (Content::Empty { dirty }, Some(frame)) => leaf.install(tables, frame, slot, wanted, dirty),
            (Content::Hole, _) | (Content::Empty { .. }, None) => Ok(Resolved::Hole),
        }
    }

    /// Replaces a block, mapped or not, by a table of pages in the same state.
    fn split<T: Tables<Upper = U>>(&mut self, tables: T, at: HostPa, address: u64) -> Result<(), MapError> {
        let leaf = Leaf::block::<T>(at, address);
        let content = leaf.load(tables)?;
        let table = T::pool(&mut self.upper).take_reserved(tables)?.ok_or(MapError::NoTables)?;
        fill(tables, table, |page| match content {
            Content::Frame(frame) => {
                let at = HostPa::new(frame.at.value() | u64::from(page) << PAGE_LOG2);
                Content::Frame(Frame { at, ..frame })
            }
            Content::Empty { .. } | Content::Hole => content,
        })?;
        // The block invalid everywhere, then the table: a CPU in between faults and waits for the lock.
        leaf.replace(tables, &self.upper, Content::EMPTY)?;
        Ok(tables.store(at, T::of_table(table))?)
    }

    /// Splits what is not yet a table, where `needed` says so of its content.
    fn split_where<T: Tables<Upper = U>>(
        &mut self,
        tables: T,
        at: HostPa,
        piece: Piece,
        needed: impl FnOnce(Content) -> bool,
    ) -> Result<(), MapError> {
        if T::table(tables.load(at)?).is_none() && needed(Leaf::block::<T>(at, piece.block()).load(tables)?) {
            self.split(tables, at, piece.block())?;
        }
        Ok(())
    }

    /// Takes the right to store away; blocks are split so that the log is by page.
    ///
    /// # Errors
    /// If the range is misaligned or beyond the address space.
    pub fn protect<T: Tables<Upper = U>>(&mut self, tables: T, range: GuestRange) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range, T::BLOCK_LOG2) {
            let Some(at) = tables.find(&self.upper, piece.block())? else { continue };
            self.split_where(tables, at, piece, |content| matches!(content, Content::Frame(_)))?;
            change_pages(tables, &self.upper, at, piece, |_, content| match content {
                Content::Frame(frame) => Content::Frame(Frame { protected: true, ..frame }),
                Content::Empty { .. } | Content::Hole => content,
            })?;
        }
        Ok(())
    }

    /// Collects the dirty pages of the block of `piece` and protects them again.
    fn collect_piece<T: Tables<Upper = U>>(
        &mut self,
        tables: T,
        piece: Piece,
    ) -> Result<BlockBitmap, MapError> {
        let mut dirty = BlockBitmap::default();
        let Some(at) = tables.find(&self.upper, piece.block())? else { return Ok(dirty) };
        // The pages of the block that are not asked about stay in the log.
        self.split_where(tables, at, piece, |content| !piece.is_whole() && is_dirty(content))?;
        let mut clean = |page: u16, content: Content| {
            if is_dirty(content) {
                if let Some(word) = dirty.get_mut(usize::from(page >> 6)) {
                    *word |= 1 << (page & 63);
                }
            }
            cleaned(content)
        };
        if T::table(tables.load(at)?).is_some() {
            change_pages(tables, &self.upper, at, piece, clean)?;
        } else {
            let leaf = Leaf::block::<T>(at, piece.block());
            let content = leaf.load(tables)?;
            for (page, _) in piece.pages() {
                clean(page, content);
            }
            // Where the piece is a part of the block, nothing was dirty and nothing changes.
            leaf.replace(tables, &self.upper, cleaned(content))?;
        }
        Ok(dirty)
    }

    /// Makes everything mapped in the range old; returns whether anything of it was young.
    ///
    /// # Errors
    /// If the range is misaligned or beyond the address space.
    pub fn age<T: Tables<Upper = U>>(&mut self, tables: T, range: GuestRange) -> Result<Age, MapError> {
        self.check(range)?;
        let mut age = Age::Old;
        for piece in pieces(range, T::BLOCK_LOG2) {
            let Some(at) = tables.find(&self.upper, piece.block())? else { continue };
            // The pages of the block that are not asked about stay young.
            let is_young = |content| matches!(content, Content::Frame(Frame { young: true, .. }));
            self.split_where(tables, at, piece, |content| !piece.is_whole() && is_young(content))?;
            let mut make_old = |content: Content| match content {
                Content::Frame(frame) => {
                    if frame.young {
                        age = Age::Young;
                    }
                    Content::Frame(Frame { young: false, ..frame })
                }
                Content::Empty { .. } | Content::Hole => content,
            };
            if T::table(tables.load(at)?).is_some() {
                change_pages(tables, &self.upper, at, piece, |_, content| make_old(content))?;
            } else {
                let leaf = Leaf::block::<T>(at, piece.block());
                let content = make_old(leaf.load(tables)?);
                leaf.replace(tables, &self.upper, content)?;
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
        Content::Empty { .. } => Content::EMPTY,
        Content::Frame(frame) if frame.dirty => {
            Content::Frame(Frame { dirty: false, protected: true, ..frame })
        }
        Content::Frame(_) | Content::Hole => content,
    }
}

/// Returns the content without its frame.
const fn emptied(content: Content) -> Content {
    match content {
        Content::Frame(frame) => Content::Empty { dirty: frame.dirty },
        Content::Empty { .. } | Content::Hole => content,
    }
}

/// Reports the dirty pages of a range, each by the address of its start, and protects them again.
///
/// `locked` runs a section with the lock held. It is taken for one block at a time, so that nothing is called under it.
///
/// # Errors
/// If the range is misaligned or beyond the address space, or a table lies outside memory.
pub fn collect_dirty<T: Tables>(
    tables: T,
    locked: impl Fn(&mut dyn FnMut(&mut GuestMap<T::Upper>) -> Result<(), MapError>) -> Result<(), MapError>,
    range: GuestRange,
    mut report: impl FnMut(GuestPa),
) -> Result<(), MapError> {
    locked(&mut |map| map.check(range))?;
    for piece in pieces(range, T::BLOCK_LOG2) {
        let mut dirty = BlockBitmap::default();
        locked(&mut |map| {
            dirty = map.collect_piece(tables, piece)?;
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
