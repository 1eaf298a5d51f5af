//! Entries that hold frames, and how one is changed under CPUs that may be using it.

use crate::piece::{Piece, offset_mask, pages};
use crate::tables::{Content, Frame, Kind, PAGE_LOG2, Resolved, Scope, Tables, Wanted};
use crate::{MapError, OutsideMemory};
use xarch_abi::{GuestPa, GuestRange, HostPa, PAGE_BYTES, Slot, Writable};

/// Valid entries of one table that are invalidated one by one; more of them go with their table.
const ONE_BY_ONE: u32 = 8;

/// One entry that can hold a frame: where it lies, how much it maps, which address it translates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    at: HostPa,
    kind: Kind,
    address: u64,
}

/// Returns where the entry of a page of a block lies in its table.
pub(crate) fn page_entry(table: HostPa, page: u16) -> HostPa {
    HostPa::new(table.value().wrapping_add(u64::from(page) << 3))
}

impl Leaf {
    /// The entry of the page at `address` in its table.
    pub(crate) fn page<T: Tables>(table: HostPa, address: u64) -> Self {
        let index = (address & offset_mask(T::BLOCK_LOG2)) >> PAGE_LOG2;
        Self { at: HostPa::new(table.value().wrapping_add(index << 3)), kind: Kind::Page, address }
    }

    /// The block's entry at `at`.
    pub(crate) const fn block<T: Tables>(at: HostPa, address: u64) -> Self {
        Self { at, kind: Kind::Block, address: address & !offset_mask(T::BLOCK_LOG2) }
    }

    const fn bytes<T: Tables>(self) -> u64 {
        match self.kind {
            Kind::Page => PAGE_BYTES,
            Kind::Block => 1_u64.wrapping_shl(T::BLOCK_LOG2),
        }
    }

    const fn scope(self) -> Scope {
        match self.kind {
            Kind::Page => Scope::Page,
            Kind::Block => Scope::Block,
        }
    }

    /// Returns what the entry holds.
    pub(crate) fn load<T: Tables>(self, tables: T) -> Result<Content, OutsideMemory> {
        tables.load(self.at).map(|entry| T::decode(self.kind, entry))
    }

    /// Makes the entry hold something else, after invalidating what CPUs may hold of it.
    pub(crate) fn replace<T: Tables>(
        self,
        tables: T,
        upper: &T::Upper,
        new: Content,
    ) -> Result<(), OutsideMemory> {
        let old = tables.load(self.at)?;
        let new = T::encode(self.kind, new);
        if new == old {
            return Ok(());
        }
        if T::is_valid(self.kind, old) {
            tables.invalidate(upper, self.at, self.address, self.scope())?;
        }
        tables.store(self.at, new)
    }

    /// Puts a frame where nothing was.
    pub(crate) fn install<T: Tables>(
        self,
        tables: T,
        at: HostPa,
        slot: &Slot,
        wanted: Wanted,
        was_dirty: bool,
    ) -> Result<Resolved, MapError> {
        let writable = matches!(slot.writable, Writable::Yes);
        let store = matches!(wanted, Wanted::Store);
        if store && !writable {
            return Ok(Resolved::ReadOnly);
        }
        tables.prepare(at, self.bytes::<T>());
        let frame = Frame { at, writable, young: true, dirty: was_dirty || store, protected: !store };
        // From invalid to valid: nobody holds anything.
        tables.store(self.at, T::encode(self.kind, Content::Frame(frame)))?;
        Ok(Resolved::Mapped)
    }

    /// Gives a frame that is there what the access needs.
    pub(crate) fn refresh<T: Tables>(
        self,
        tables: T,
        upper: &T::Upper,
        frame: Frame,
        wanted: Wanted,
    ) -> Result<Resolved, MapError> {
        let store = matches!(wanted, Wanted::Store);
        if store && !frame.writable {
            return Ok(Resolved::ReadOnly);
        }
        let new =
            Frame { young: true, dirty: frame.dirty || store, protected: frame.protected && !store, ..frame };
        self.replace(tables, upper, Content::Frame(new))?;
        Ok(Resolved::Mapped)
    }
}

/// Makes the pages of a piece hold something else, whose table the block's entry at `at` designates.
///
/// Where many entries change that CPUs may hold, the table goes in one operation instead: while the block's entry is
/// invalid, nobody reaches it, and who faults waits for the caller's lock. `new` is asked up to twice about a page.
pub(crate) fn change_pages<T: Tables>(
    tables: T,
    upper: &T::Upper,
    at: HostPa,
    piece: Piece,
    mut new: impl FnMut(u16, Content) -> Content,
) -> Result<(), OutsideMemory> {
    let block = tables.load(at)?;
    let Some(table) = T::table(block) else { return Ok(()) };
    let mut in_use = 0_u32;
    for (page, _) in piece.pages() {
        let old = tables.load(page_entry(table, page))?;
        let changes = T::is_valid(Kind::Page, old)
            && T::encode(Kind::Page, new(page, T::decode(Kind::Page, old))) != old;
        in_use = in_use.saturating_add(u32::from(changes));
    }
    let at_once = in_use > ONE_BY_ONE;
    if at_once {
        tables.invalidate(upper, at, piece.block(), Scope::Table)?;
    }
    for (page, address) in piece.pages() {
        let leaf = Leaf::page::<T>(table, address);
        let content = new(page, leaf.load(tables)?);
        if at_once {
            tables.store(leaf.at, T::encode(Kind::Page, content))?;
        } else {
            leaf.replace(tables, upper, content)?;
        }
    }
    if at_once {
        tables.store(at, block)?;
    }
    Ok(())
}

/// Fills a table of pages.
pub(crate) fn fill<T: Tables>(
    tables: T,
    table: HostPa,
    content: impl Fn(u16) -> Content,
) -> Result<(), OutsideMemory> {
    (0..pages(T::BLOCK_LOG2))
        .try_for_each(|page| tables.store(page_entry(table, page), T::encode(Kind::Page, content(page))))
}

/// Returns whether a table of pages is one hole.
pub(crate) fn is_hollow<T: Tables>(tables: T, table: HostPa) -> Result<bool, OutsideMemory> {
    for page in 0..pages(T::BLOCK_LOG2) {
        if T::decode(Kind::Page, tables.load(page_entry(table, page))?) != Content::Hole {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the frame in which the slot keeps the page of `address`.
pub(crate) fn frame_at<T: Tables>(tables: T, slot: &Slot, address: u64) -> Option<HostPa> {
    tables.frame_of(place_of(slot, address)?, PAGE_BYTES)
}

/// Returns the frame for the whole block of `address`, if the slot holds all of it, it is one, and both sides align.
pub(crate) fn whole_block<T: Tables>(tables: T, slot: &Slot, address: u64) -> Option<HostPa> {
    let offset = offset_mask(T::BLOCK_LOG2);
    let start = address & !offset;
    if !covers_block::<T>(slot, start) {
        return None;
    }
    let at = tables.frame_of(place_of(slot, start)?, offset.wrapping_add(1))?;
    (at.value() & offset == 0).then_some(at)
}

/// Returns the place that the slot names for the page of `address`.
fn place_of(slot: &Slot, address: u64) -> Option<HostPa> {
    let address = GuestPa::new(address & !PAGE_BYTES.wrapping_sub(1));
    if !slot.guest.contains(address) {
        return None;
    }
    slot.host.checked_add(address.offset_from(slot.guest.start())?)
}

/// Returns whether the slot holds the whole block that starts at `start`.
pub(crate) fn covers_block<T: Tables>(slot: &Slot, start: u64) -> bool {
    GuestRange::new(GuestPa::new(start), 1_u64.wrapping_shl(T::BLOCK_LOG2))
        .is_some_and(|block| slot.guest.covers(block))
}
