//! Descriptors that hold memory, and how one is changed under CPUs that may be using it: break before make.

use super::entry::{self, Content, Frame, Kind};
use super::piece::{BLOCK_BYTES, PAGE_LOG2, PAGES, Piece};
use super::{Around, MapError, Resolved, Wanted};
use crate::machine::{AddressSpace, HostControl, OutsideMemory, Scope, TableStorage};
use xarch_abi::{GuestPa, GuestRange, HostPa, Slot, Writable};

/// Valid descriptors of one table that are taken away one by one; more of them go with the whole table.
const ONE_BY_ONE: u32 = 8;

/// One descriptor that can hold memory: where it lies, what its bits mean, which address it translates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    at: HostPa,
    kind: Kind,
    address: u64,
}

impl Leaf {
    /// The descriptor of the page at `address` in its level 3 table.
    pub(super) const fn page(table: HostPa, address: u64) -> Self {
        Self { at: entry_at(PAGE_LOG2, table, address), kind: Kind::Page, address }
    }

    /// The level 2 descriptor at `at`.
    pub(super) const fn block(at: HostPa, address: u64) -> Self {
        Self { at, kind: Kind::Block, address: address & !BLOCK_BYTES.wrapping_sub(1) }
    }

    /// Returns what the descriptor holds.
    pub(super) fn load(self, storage: &impl TableStorage) -> Result<Content, OutsideMemory> {
        storage.load(self.at).map(entry::decode)
    }

    /// Makes the descriptor hold something else, breaking it before where CPUs may use it.
    pub(super) fn replace<C: HostControl, S: TableStorage>(
        self,
        around: Around<'_, C, S>,
        space: AddressSpace,
        new: Content,
    ) -> Result<(), OutsideMemory> {
        let old = around.storage.load(self.at)?;
        let new = entry::encode(self.kind, new);
        if new == old {
            return Ok(());
        }
        if entry::is_valid(old) {
            break_entry(around, space, self.at, Scope::Address(self.address))?;
        }
        around.storage.store(self.at, new)
    }

    /// Puts memory where nothing was.
    pub(super) fn install<C: HostControl, S: TableStorage>(
        self,
        around: Around<'_, C, S>,
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
        around.control.make_coherent(at, self.bytes());
        let frame = Frame { at, writable, young: true, dirty: was_dirty || store, protected: !store };
        // From invalid to valid: there is nothing to break.
        around.storage.store(self.at, entry::encode(self.kind, Content::Frame(frame)))?;
        Ok(Resolved::Mapped)
    }

    const fn bytes(self) -> u64 {
        match self.kind {
            Kind::Block => BLOCK_BYTES,
            Kind::Page => 1 << PAGE_LOG2,
        }
    }

    /// Gives memory that is mapped what the access needs.
    pub(super) fn refresh<C: HostControl, S: TableStorage>(
        self,
        around: Around<'_, C, S>,
        space: AddressSpace,
        frame: Frame,
        wanted: Wanted,
    ) -> Result<Resolved, MapError> {
        let store = matches!(wanted, Wanted::Store);
        if store && !frame.writable {
            return Ok(Resolved::ReadOnly);
        }
        let new =
            Frame { young: true, dirty: frame.dirty || store, protected: frame.protected && !store, ..frame };
        self.replace(around, space, Content::Frame(new))?;
        Ok(Resolved::Mapped)
    }
}

/// Returns where the descriptor for `address` lies in a table whose entries translate 2^`log2` bytes.
pub(super) const fn entry_at(log2: u32, table: HostPa, address: u64) -> HostPa {
    let index = address.wrapping_shr(log2) & 0x1ff;
    HostPa::new(table.value().wrapping_add(index << 3))
}

/// Makes a descriptor invalid and unused everywhere.
pub(super) fn break_entry<C: HostControl, S: TableStorage>(
    around: Around<'_, C, S>,
    space: AddressSpace,
    at: HostPa,
    scope: Scope,
) -> Result<(), OutsideMemory> {
    around.storage.store(at, 0)?;
    around.control.invalidate(space, scope);
    Ok(())
}

/// Makes the pages of a piece hold something else, whose level 3 table the descriptor at `at` designates.
///
/// Where many descriptors change that CPUs may hold, the table goes in one operation instead: while its own descriptor is
/// invalid, nobody reaches it, and who faults waits for our lock. `new` is asked up to twice about a page.
pub(super) fn change_pages<C: HostControl, S: TableStorage>(
    around: Around<'_, C, S>,
    space: AddressSpace,
    at: HostPa,
    piece: Piece,
    mut new: impl FnMut(u16, Content) -> Content,
) -> Result<(), OutsideMemory> {
    let storage = around.storage;
    let of_table = storage.load(at)?;
    let Some(table) = entry::table(of_table) else { return Ok(()) };
    let mut in_use = 0_u32;
    for (page, address) in piece.pages() {
        let old = storage.load(Leaf::page(table, address).at)?;
        let changes = entry::is_valid(old) && entry::encode(Kind::Page, new(page, entry::decode(old))) != old;
        in_use = in_use.saturating_add(u32::from(changes));
    }
    let at_once = in_use > ONE_BY_ONE;
    if at_once {
        break_entry(around, space, at, Scope::All)?;
    }
    for (page, address) in piece.pages() {
        let leaf = Leaf::page(table, address);
        let content = new(page, leaf.load(storage)?);
        if at_once {
            storage.store(leaf.at, entry::encode(Kind::Page, content))?;
        } else {
            leaf.replace(around, space, content)?;
        }
    }
    if at_once {
        storage.store(at, of_table)?;
    }
    Ok(())
}

/// Fills a table with one descriptor.
pub(super) fn fill(storage: &impl TableStorage, table: HostPa, entry: u64) -> Result<(), OutsideMemory> {
    (0..PAGES).try_for_each(|page| {
        let address = u64::from(page) << PAGE_LOG2;
        storage.store(entry_at(PAGE_LOG2, table, address), entry)
    })
}

/// Returns whether every descriptor of a level 3 table is a hole.
pub(super) fn is_hollow(storage: &impl TableStorage, table: HostPa) -> Result<bool, OutsideMemory> {
    for page in 0..PAGES {
        if storage.load(entry_at(PAGE_LOG2, table, u64::from(page) << PAGE_LOG2))? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns where the slot keeps the page of `address`.
pub(super) fn frame_at(slot: &Slot, address: u64) -> Option<HostPa> {
    let offset = GuestPa::new(address).offset_from(slot.guest.start())?;
    let host = slot.guest.contains(GuestPa::new(address)).then(|| slot.host.checked_add(offset)).flatten()?;
    Some(HostPa::new(host.value() & !0xfff))
}

/// Returns the place of the whole block of `address`, if the slot holds all of it and both sides align.
pub(super) fn whole_block(slot: &Slot, address: u64) -> Option<HostPa> {
    let start = address & !BLOCK_BYTES.wrapping_sub(1);
    let at = frame_at(slot, start)?;
    let fits = covers_block(slot, start) && at.value() & BLOCK_BYTES.wrapping_sub(1) == 0;
    fits.then_some(at)
}

/// Returns whether the slot holds the whole block that starts at `start`.
pub(super) fn covers_block(slot: &Slot, start: u64) -> bool {
    GuestRange::new(GuestPa::new(start), BLOCK_BYTES).is_some_and(|block| slot.guest.covers(block))
}
