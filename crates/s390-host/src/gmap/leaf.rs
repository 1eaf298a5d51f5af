//! Entries that hold frames, and how one is changed under CPUs that may be using it.

use super::entry::{self, Content, Frame, Layout, PAGE, SEGMENT};
use super::piece::Piece;
use super::tree::entry_at;
use super::{Around, MapError, Resolved, Wanted};
use s390_arch::addr::FrameSize;
use s390_arch::dat::Level;
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};
use xarch_abi::{GuestPa, GuestRange, Slot, Writable};

/// Valid entries of one page table that are purged one by one; more of them go with their segment.
const ONE_BY_ONE: u32 = 8;

/// One entry that can hold a frame: where it lies, what its bits mean, which address it translates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    at: Absolute,
    layout: Layout,
    address: u64,
}

impl Leaf {
    /// The entry for the page at `address` in its page table.
    pub(super) const fn page(table: Absolute, address: u64) -> Self {
        Self { at: entry_at(Level::Page, table, address), layout: PAGE, address }
    }

    /// The segment-table entry at `at`.
    pub(super) const fn segment(at: Absolute, address: u64) -> Self {
        Self { at, layout: SEGMENT, address: address & !FrameSize::Segment.offset_mask() }
    }

    /// Returns what the entry holds.
    pub(super) fn load(self, storage: &impl AbsoluteStorage) -> Result<Content, OutsideStorage> {
        storage.load_u64(self.at).map(|entry| self.layout.decode(entry))
    }

    /// Makes the entry hold something else, after purging what CPUs may hold of it.
    pub(super) fn replace<C: HostControl, S: AbsoluteStorage>(
        self,
        around: Around<'_, C, S>,
        asce: u64,
        new: Content,
    ) -> Result<(), OutsideStorage> {
        let old = around.storage.load_u64(self.at)?;
        let new = self.layout.encode(new);
        if new == old {
            return Ok(());
        }
        if self.layout.is_valid(old) {
            self.invalidate(around.control, asce);
        }
        around.storage.store_u64(self.at, new)
    }

    /// Makes the entry invalid, and unused everywhere.
    fn invalidate<C: HostControl>(self, control: &C, asce: u64) {
        if self.layout == PAGE {
            // The entry lies at its index in a table aligned to its size.
            let table = self.at.bits() & !Level::Page.table_bytes().wrapping_sub(1);
            control.ipte(Absolute::new(table), self.address, asce);
        } else {
            control.idte(self.at, self.address, asce);
        }
    }

    /// Puts a frame where nothing was.
    pub(super) fn install(
        self,
        storage: &impl AbsoluteStorage,
        at: Absolute,
        slot: &Slot,
        wanted: Wanted,
        was_dirty: bool,
    ) -> Result<Resolved, MapError> {
        let writable = matches!(slot.writable, Writable::Yes);
        let store = matches!(wanted, Wanted::Store);
        if store && !writable {
            return Ok(Resolved::ReadOnly);
        }
        let frame = Frame { at, writable, young: true, soft_dirty: was_dirty || store, protected: !store };
        // From invalid to valid: there is nothing to purge.
        storage.store_u64(self.at, self.layout.encode(Content::Frame(frame)))?;
        Ok(Resolved::Mapped)
    }

    /// Gives a frame that is there what the access needs.
    pub(super) fn refresh<C: HostControl, S: AbsoluteStorage>(
        self,
        around: Around<'_, C, S>,
        asce: u64,
        frame: Frame,
        wanted: Wanted,
    ) -> Result<Resolved, MapError> {
        let store = matches!(wanted, Wanted::Store);
        if store && !frame.writable {
            return Ok(Resolved::ReadOnly);
        }
        let new = Frame {
            young: true,
            soft_dirty: frame.soft_dirty || store,
            protected: frame.protected && !store,
            ..frame
        };
        self.replace(around, asce, Content::Frame(new))?;
        Ok(Resolved::Mapped)
    }
}

/// Makes the pages of a piece hold something else, whose page table the segment-table entry at `at` designates.
///
/// Where many entries change that CPUs may hold, the segment goes in one operation instead: while its entry is invalid,
/// nobody reaches the page table, and who faults waits for our lock. `new` is asked up to twice about a page.
pub(super) fn change_pages<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    asce: u64,
    at: Absolute,
    piece: Piece,
    mut new: impl FnMut(u16, Content) -> Content,
) -> Result<(), OutsideStorage> {
    let Around { control, storage } = around;
    let segment = storage.load_u64(at)?;
    let Some(table) = entry::page_table(segment) else { return Ok(()) };
    let mut in_use = 0_u32;
    for (page, address) in piece.pages() {
        let old = storage.load_u64(Leaf::page(table, address).at)?;
        let changes = PAGE.is_valid(old) && PAGE.encode(new(page, PAGE.decode(old))) != old;
        in_use = in_use.saturating_add(u32::from(changes));
    }
    let at_once = in_use > ONE_BY_ONE;
    if at_once {
        control.idte(at, piece.segment(), asce);
    }
    for (page, address) in piece.pages() {
        let leaf = Leaf::page(table, address);
        let content = leaf.load(storage)?;
        let content = new(page, content);
        if at_once {
            storage.store_u64(leaf.at, PAGE.encode(content))?;
        } else {
            leaf.replace(around, asce, content)?;
        }
    }
    if at_once {
        storage.store_u64(at, segment)?;
    }
    Ok(())
}

/// Returns the frame in which the slot keeps the page of `address`.
pub(super) fn frame_at(storage: &impl AbsoluteStorage, slot: &Slot, address: u64) -> Option<Absolute> {
    storage.frame_of(place_of(slot, address)?, FrameSize::Page.bytes())
}

/// Returns the large frame for the segment of `address`, if the slot holds all of it, it is one, and both sides align.
pub(super) fn large_frame(storage: &impl AbsoluteStorage, slot: &Slot, address: u64) -> Option<Absolute> {
    let start = address & !FrameSize::Segment.offset_mask();
    if !covers_segment(slot, start) {
        return None;
    }
    let at = storage.frame_of(place_of(slot, start)?, FrameSize::Segment.bytes())?;
    (at.frame_offset(FrameSize::Segment) == 0).then_some(at)
}

/// Returns the place that the slot names for the page of `address`.
fn place_of(slot: &Slot, address: u64) -> Option<Absolute> {
    let offset = GuestPa::new(address).offset_from(slot.guest.start())?;
    let host = slot.guest.contains(GuestPa::new(address)).then(|| slot.host.checked_add(offset)).flatten()?;
    Some(Absolute::new(host.value()).align_down(FrameSize::Page))
}

/// Returns whether the slot holds the whole segment that starts at `start`.
pub(super) fn covers_segment(slot: &Slot, start: u64) -> bool {
    GuestRange::new(GuestPa::new(start), FrameSize::Segment.bytes())
        .is_some_and(|segment| slot.guest.covers(segment))
}
