//! The guest's physical address space as DAT tables: what stage 2 of an SAE guest is.
//!
//! Ordinary region, segment and page tables (PoP ch. 3, "Dynamic Address Translation"), 4 KiB and 1 MiB
//! frames, built in storage that the embedder gave. Memory faults of the guest are resolved here from the
//! platform's slots; dirty logging and ageing are done by taking rights away and seeing the fault.
//!
//! Any change of an entry that a CPU may hold goes through IPTE or IDTE first: those return when nobody uses
//! the old entry any more, so a store is either in storage and marked, or faults.

mod entry;
mod pool;

use entry::{Content, Frame, Layout, PAGE, SEGMENT};
use pool::{Pool, TableSize};
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};
use xarch_abi::{Age, GuestPa, GuestRange, Slot, Writable};

const PAGE_BYTES: u64 = 1 << 12;
const SEGMENT_BYTES: u64 = 1 << 20;
const PAGES_PER_SEGMENT: u64 = 256;
const ENTRIES: u64 = 2048;
/// Slots that one VM can have.
const SLOTS: usize = 64;

/// Why a memory operation failed. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Start or length is not a multiple of 4 KiB.
    Unaligned(GuestRange),
    /// The range reaches beyond the guest-physical address space.
    OutOfRange(GuestRange),
    /// The range shares addresses with a slot that is there.
    Overlap(GuestRange),
    /// There is no slot of exactly this range.
    NoSuchSlot(GuestRange),
    /// The VM has all the slots it can have.
    TooManySlots,
    /// The storage for tables is used up.
    NoTables,
    /// A table turned out to lie outside storage.
    Storage(OutsideStorage),
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let range = |f: &mut core::fmt::Formatter<'_>, range: &GuestRange, what: &str| {
            write!(f, "guest range {}..={} {what}", range.start(), range.last())
        };
        match self {
            Self::Unaligned(r) => range(f, r, "is not page-aligned"),
            Self::OutOfRange(r) => range(f, r, "reaches beyond the address space"),
            Self::Overlap(r) => range(f, r, "overlaps a slot"),
            Self::NoSuchSlot(r) => range(f, r, "is not a slot"),
            Self::TooManySlots => write!(f, "no more than {SLOTS} slots"),
            Self::NoTables => write!(f, "the storage for tables is used up"),
            Self::Storage(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for MapError {}

impl From<OutsideStorage> for MapError {
    fn from(error: OutsideStorage) -> Self {
        Self::Storage(error)
    }
}

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

/// Kind of a table above the page tables: its DT or TT bits in place, and the address bits it indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    RegionFirst,
    RegionSecond,
    RegionThird,
    Segment,
}

impl Table {
    const fn type_bits(self) -> u64 {
        match self {
            Self::RegionFirst => 0xc,
            Self::RegionSecond => 0x8,
            Self::RegionThird => 0x4,
            Self::Segment => 0x0,
        }
    }

    const fn shift(self) -> u32 {
        match self {
            Self::RegionFirst => 53,
            Self::RegionSecond => 42,
            Self::RegionThird => 31,
            Self::Segment => 20,
        }
    }

    const fn lower(self) -> Option<Self> {
        match self {
            Self::RegionFirst => Some(Self::RegionSecond),
            Self::RegionSecond => Some(Self::RegionThird),
            Self::RegionThird => Some(Self::Segment),
            Self::Segment => None,
        }
    }

    /// Returns the smallest table that translates addresses of so many bits.
    const fn for_bits(bits: u8) -> Self {
        match bits {
            0..=31 => Self::Segment,
            32..=42 => Self::RegionThird,
            43..=53 => Self::RegionSecond,
            _ => Self::RegionFirst,
        }
    }

    /// Returns where the entry for `address` lies in the table at `origin`.
    const fn entry(self, origin: u64, address: u64) -> Absolute {
        let index = (address >> self.shift()) & ENTRIES.wrapping_sub(1);
        Absolute::new(origin.wrapping_add(index << 3))
    }
}

/// The tables of one VM. One lock protects it; CPUs read the tables as they please.
#[derive(Debug)]
pub(crate) struct Gmap {
    pool: Pool,
    top: Table,
    origin: u64,
    asce: u64,
    bits: u8,
    slots: heapless::Vec<Slot, SLOTS>,
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

/// A bit for each page of a segment.
pub(crate) type SegmentBitmap = [u64; 4];

/// The part of a range that lies in one segment.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// First address.
    start: u64,
    /// Pages of the segment, first and one past the last, 0 to 256.
    first: u64,
    end: u64,
}

impl Piece {
    const fn is_whole(self) -> bool {
        self.end.wrapping_sub(self.first) == PAGES_PER_SEGMENT
    }

    const fn segment(self) -> u64 {
        self.start & !SEGMENT_BYTES.wrapping_sub(1)
    }
}

/// Splits a page-aligned range by segments.
fn pieces(range: GuestRange) -> impl Iterator<Item = Piece> {
    let last = range.last().value();
    let mut next = Some(range.start().value());
    core::iter::from_fn(move || {
        let start = next?;
        let segment_last = start | SEGMENT_BYTES.wrapping_sub(1);
        let piece_last = segment_last.min(last);
        next = if segment_last < last { segment_last.checked_add(1) } else { None };
        let page = |address: u64| (address >> 12) & PAGES_PER_SEGMENT.wrapping_sub(1);
        Some(Piece { start, first: page(start), end: page(piece_last).wrapping_add(1) })
    })
}

impl Gmap {
    /// Builds an address space of 2^`bits` bytes in which everything is a hole.
    pub(crate) fn new<C, S: AbsoluteStorage>(
        around: Around<'_, C, S>,
        tables: Absolute,
        bytes: u64,
        bits: u8,
    ) -> Result<Self, MapError> {
        let mut pool = Pool::new(tables, bytes);
        let top = Table::for_bits(bits);
        let origin =
            pool.allocate(around.storage, TableSize::RegionOrSegment)?.ok_or(MapError::NoTables)?.bits();
        fill(around.storage, origin, ENTRIES, entry::table_hole(top.type_bits()))?;
        // S, X and P as Linux sets them for a guest; table length whole.
        let asce = origin | 0x1c0 | top.type_bits() | entry::FULL_LENGTH;
        Ok(Self { pool, top, origin, asce, bits, slots: heapless::Vec::new() })
    }

    pub(crate) const fn asce(&self) -> u64 {
        self.asce
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

    /// Returns where the segment-table entry for `address` lies, `None` below a token.
    fn segment_entry(
        &self,
        storage: &impl AbsoluteStorage,
        address: u64,
    ) -> Result<Option<Absolute>, OutsideStorage> {
        let (mut table, mut origin) = (self.top, self.origin);
        while let Some(lower) = table.lower() {
            let entry = storage.load_u64(table.entry(origin, address))?;
            if entry & entry::TABLE_INVALID != 0 {
                return Ok(None);
            }
            (table, origin) = (lower, entry & !0xfff);
        }
        Ok(Some(table.entry(origin, address)))
    }

    /// As [`segment_entry`](Self::segment_entry), but makes the tables that are missing.
    fn make_segment_entry(
        &mut self,
        storage: &impl AbsoluteStorage,
        address: u64,
    ) -> Result<Absolute, MapError> {
        let (mut table, mut origin) = (self.top, self.origin);
        while let Some(lower) = table.lower() {
            let at = table.entry(origin, address);
            let mut entry = storage.load_u64(at)?;
            if entry & entry::TABLE_INVALID != 0 {
                let new =
                    self.pool.allocate(storage, TableSize::RegionOrSegment)?.ok_or(MapError::NoTables)?;
                fill(storage, new.bits(), ENTRIES, entry::table_hole(lower.type_bits()))?;
                entry = new.bits() | table.type_bits() | entry::FULL_LENGTH;
                // From invalid to valid: nothing to purge.
                storage.store_u64(at, entry)?;
            }
            (table, origin) = (lower, entry & !0xfff);
        }
        Ok(table.entry(origin, address))
    }

    /// Makes a page table whose entries are all `content`.
    fn make_page_table(
        &mut self,
        storage: &impl AbsoluteStorage,
        content: Content,
    ) -> Result<Absolute, MapError> {
        let table = self.pool.allocate(storage, TableSize::Page)?.ok_or(MapError::NoTables)?;
        fill(storage, table.bits(), PAGES_PER_SEGMENT, PAGE.encode(content))?;
        Ok(table)
    }

    /// Turns a slot's range from hole to empty.
    pub(crate) fn add_slot<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        slot: &Slot,
    ) -> Result<(), MapError> {
        let range = slot.guest;
        self.check(range)?;
        if slot.host.value() & PAGE_BYTES.wrapping_sub(1) != 0 {
            return Err(MapError::Unaligned(range));
        }
        if self.slots.iter().any(|slot| slot.guest.overlaps(range)) {
            return Err(MapError::Overlap(range));
        }
        self.slots.push(*slot).map_err(|_| MapError::TooManySlots)?;
        let done = pieces(range).try_for_each(|piece| self.add_piece(around.storage, piece));
        if done.is_err() {
            // What was turned becomes a hole again; tables that were made stay for the next try.
            self.remove_slot(around, range)?;
        }
        done
    }

    fn add_piece(&mut self, storage: &impl AbsoluteStorage, piece: Piece) -> Result<(), MapError> {
        let at = self.make_segment_entry(storage, piece.start)?;
        let entry = storage.load_u64(at)?;
        let empty = Content::Empty { soft_dirty: false };
        if !entry::is_page_table(entry) {
            if piece.is_whole() {
                storage.store_u64(at, SEGMENT.encode(empty))?;
                return Ok(());
            }
            let table = self.make_page_table(storage, Content::Hole)?;
            storage.store_u64(at, table.bits())?;
        }
        let table = storage.load_u64(at)? & !0x7ff;
        for page in piece.first..piece.end {
            storage.store_u64(page_entry(table, page), PAGE.encode(empty))?;
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
        for piece in pieces(range) {
            self.clear_piece(around, piece, Cleared::Slot)?;
        }
        Ok(())
    }

    /// Takes every mapping of the range away.
    pub(crate) fn unmap<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range) {
            self.clear_piece(around, piece, Cleared::Mapping)?;
        }
        Ok(())
    }

    /// Removes what is mapped in one piece, and puts tokens there.
    fn clear_piece<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        piece: Piece,
        cleared: Cleared,
    ) -> Result<(), MapError> {
        let Some(at) = self.segment_entry(around.storage, piece.start)? else { return Ok(()) };
        let entry = around.storage.load_u64(at)?;
        if entry::is_page_table(entry) {
            let table = entry & !0x7ff;
            for page in piece.first..piece.end {
                let address = piece.segment() | (page << 12);
                clear(around, self.asce, Leaf::page(table, address), cleared)?;
            }
            if piece.is_whole() && matches!(cleared, Cleared::Slot) {
                around.control.idte(at, piece.start, self.asce);
                around.storage.store_u64(at, SEGMENT.encode(Content::Hole))?;
                self.pool.free(around.storage, Absolute::new(table), TableSize::Page)?;
            }
            return Ok(());
        }
        // A large frame lies in one slot as a whole, so it goes as a whole.
        Ok(clear(around, self.asce, Leaf::segment(at, piece.segment()), cleared)?)
    }

    /// Makes the fault at `address` good, if the slot allows it.
    pub(crate) fn resolve<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        address: GuestPa,
        slot: &Slot,
        wanted: Wanted,
    ) -> Result<Resolved, MapError> {
        let address = address.value();
        // The platform was asked before the lock was taken: its answer counts only while it is still true.
        if !self.slots.contains(slot) {
            return Ok(Resolved::Hole);
        }
        let Some(at) = self.segment_entry(around.storage, address)? else { return Ok(Resolved::Hole) };
        let entry = around.storage.load_u64(at)?;
        if !entry::is_page_table(entry) {
            let leaf = Leaf::segment(at, address & !SEGMENT_BYTES.wrapping_sub(1));
            match SEGMENT.decode(entry) {
                Content::Hole => return Ok(Resolved::Hole),
                Content::Frame(frame) => return refresh(around, self.asce, leaf, frame, wanted),
                Content::Empty { soft_dirty } => {
                    if let Some(at) = large_frame(slot, address) {
                        return install(around.storage, leaf, at, slot, wanted, soft_dirty);
                    }
                    let table = self.make_page_table(around.storage, Content::Empty { soft_dirty })?;
                    around.storage.store_u64(at, table.bits())?;
                }
            }
        }
        let table = around.storage.load_u64(at)? & !0x7ff;
        let leaf = Leaf::page(table, address & !PAGE_BYTES.wrapping_sub(1));
        match PAGE.decode(around.storage.load_u64(leaf.at)?) {
            Content::Hole => Ok(Resolved::Hole),
            Content::Frame(frame) => refresh(around, self.asce, leaf, frame, wanted),
            Content::Empty { soft_dirty } => match frame_at(slot, leaf.address) {
                Some(at) => install(around.storage, leaf, at, slot, wanted, soft_dirty),
                None => Ok(Resolved::Hole),
            },
        }
    }

    /// Takes the right to store away; large frames are split so that the log is by page.
    pub(crate) fn protect<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        range: GuestRange,
    ) -> Result<(), MapError> {
        self.check(range)?;
        for piece in pieces(range) {
            let Some(at) = self.segment_entry(around.storage, piece.start)? else { continue };
            let entry = around.storage.load_u64(at)?;
            if let (false, Content::Frame(frame)) = (entry::is_page_table(entry), SEGMENT.decode(entry)) {
                self.split(around, at, piece.segment(), frame)?;
            }
            let entry = around.storage.load_u64(at)?;
            if !entry::is_page_table(entry) {
                continue;
            }
            for page in piece.first..piece.end {
                let leaf = Leaf::page(entry & !0x7ff, piece.segment() | (page << 12));
                change(around, self.asce, leaf, |frame| Frame { protected: true, ..frame })?;
            }
        }
        Ok(())
    }

    /// Replaces a large frame by a page table of the same frames in the same state.
    fn split<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        at: Absolute,
        address: u64,
        frame: Frame,
    ) -> Result<(), MapError> {
        let table = self.make_page_table(around.storage, Content::Hole)?;
        for page in 0..PAGES_PER_SEGMENT {
            let small = Frame { at: Absolute::new(frame.at.bits() | (page << 12)), ..frame };
            around.storage.store_u64(page_entry(table.bits(), page), PAGE.encode(Content::Frame(small)))?;
        }
        // Old frame invalid everywhere, then the table: a CPU in between faults and waits for our lock.
        around.control.idte(at, address, self.asce);
        around.storage.store_u64(at, table.bits())?;
        Ok(())
    }

    /// Collects the dirty pages of the segment of `piece` and protects them again.
    fn collect_piece<C: HostControl, S: AbsoluteStorage>(
        &mut self,
        around: Around<'_, C, S>,
        piece: Piece,
    ) -> Result<SegmentBitmap, MapError> {
        let mut dirty = [0; 4];
        let Some(at) = self.segment_entry(around.storage, piece.start)? else { return Ok(dirty) };
        let entry = around.storage.load_u64(at)?;
        if !entry::is_page_table(entry) {
            if clean(around, self.asce, Leaf::segment(at, piece.segment()))? {
                dirty = [u64::MAX; 4];
            }
            return Ok(dirty);
        }
        for page in piece.first..piece.end {
            let leaf = Leaf::page(entry & !0x7ff, piece.segment() | (page << 12));
            if clean(around, self.asce, leaf)? {
                if let Some(word) = usize::try_from(page >> 6).ok().and_then(|word| dirty.get_mut(word)) {
                    *word |= 1 << (page & 63);
                }
            }
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
            let Some(at) = self.segment_entry(around.storage, piece.start)? else { continue };
            let entry = around.storage.load_u64(at)?;
            let mut make_old = |leaf| {
                change(around, self.asce, leaf, |frame| {
                    if frame.young {
                        age = Age::Young;
                    }
                    Frame { young: false, ..frame }
                })
            };
            if entry::is_page_table(entry) {
                for page in piece.first..piece.end {
                    make_old(Leaf::page(entry & !0x7ff, piece.segment() | (page << 12)))?;
                }
            } else {
                make_old(Leaf::segment(at, piece.segment()))?;
            }
        }
        Ok(age)
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

/// What a cleared entry becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cleared {
    /// The slot goes: a hole.
    Slot,
    /// Only the mapping goes: empty.
    Mapping,
}

/// One entry that can hold a frame: where it lies, what its bits mean, which address it translates.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    at: Absolute,
    layout: Layout,
    address: u64,
}

impl Leaf {
    const fn page(table: u64, address: u64) -> Self {
        let page = (address >> 12) & PAGES_PER_SEGMENT.wrapping_sub(1);
        Self { at: page_entry(table, page), layout: PAGE, address }
    }

    const fn segment(at: Absolute, address: u64) -> Self {
        Self { at, layout: SEGMENT, address }
    }

    /// Makes the entry invalid, and unused everywhere.
    fn invalidate<C: HostControl>(self, control: &C, asce: u64) {
        if self.layout == PAGE {
            // The entry lies at its index in a table aligned to 2 KiB.
            control.ipte(Absolute::new(self.at.bits() & !0x7ff), self.address, asce);
        } else {
            control.idte(self.at, self.address, asce);
        }
    }
}

const fn page_entry(table: u64, page: u64) -> Absolute {
    Absolute::new(table.wrapping_add(page << 3))
}

/// Fills a table with one entry.
fn fill(storage: &impl AbsoluteStorage, origin: u64, entries: u64, entry: u64) -> Result<(), OutsideStorage> {
    for index in 0..entries {
        storage.store_u64(Absolute::new(origin.wrapping_add(index << 3)), entry)?;
    }
    Ok(())
}

/// Returns where the slot keeps the page of `address`.
fn frame_at(slot: &Slot, address: u64) -> Option<Absolute> {
    let offset = GuestPa::new(address).offset_from(slot.guest.start())?;
    slot.host.checked_add(offset).map(|host| Absolute::new(host.value()))
}

/// Returns the large frame for the segment of `address`, if the slot holds all of it and both sides align.
fn large_frame(slot: &Slot, address: u64) -> Option<Absolute> {
    let start = address & !SEGMENT_BYTES.wrapping_sub(1);
    let segment = GuestRange::new(GuestPa::new(start), SEGMENT_BYTES)?;
    let at = frame_at(slot, start)?;
    (slot.guest.covers(segment) && at.bits() & SEGMENT_BYTES.wrapping_sub(1) == 0).then_some(at)
}

/// Puts a frame where nothing was.
fn install(
    storage: &impl AbsoluteStorage,
    leaf: Leaf,
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
    storage.store_u64(leaf.at, leaf.layout.encode(Content::Frame(frame)))?;
    Ok(Resolved::Mapped)
}

/// Gives a frame that is there what the access needs.
fn refresh<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    asce: u64,
    leaf: Leaf,
    frame: Frame,
    wanted: Wanted,
) -> Result<Resolved, MapError> {
    let store = matches!(wanted, Wanted::Store);
    if store && !frame.writable {
        return Ok(Resolved::ReadOnly);
    }
    change(around, asce, leaf, |frame| Frame {
        young: true,
        soft_dirty: frame.soft_dirty || store,
        protected: frame.protected && !store,
        ..frame
    })?;
    Ok(Resolved::Mapped)
}

/// Changes the frame of an entry, if it holds one, and purges what CPUs may hold of the old entry.
fn change<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    asce: u64,
    leaf: Leaf,
    new: impl FnOnce(Frame) -> Frame,
) -> Result<(), OutsideStorage> {
    let old = around.storage.load_u64(leaf.at)?;
    let Content::Frame(frame) = leaf.layout.decode(old) else { return Ok(()) };
    replace(around, asce, leaf, old, Content::Frame(new(frame)))
}

fn replace<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    asce: u64,
    leaf: Leaf,
    old: u64,
    new: Content,
) -> Result<(), OutsideStorage> {
    let new = leaf.layout.encode(new);
    if new == old {
        return Ok(());
    }
    if leaf.layout.is_valid(old) {
        leaf.invalidate(around.control, asce);
    }
    around.storage.store_u64(leaf.at, new)
}

/// Takes the soft-dirty state of an entry away and protects it; returns whether it had it.
fn clean<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    asce: u64,
    leaf: Leaf,
) -> Result<bool, OutsideStorage> {
    let old = around.storage.load_u64(leaf.at)?;
    let (dirty, new) = match leaf.layout.decode(old) {
        Content::Hole => return Ok(false),
        Content::Empty { soft_dirty } => (soft_dirty, Content::Empty { soft_dirty: false }),
        Content::Frame(frame) => {
            (frame.soft_dirty, Content::Frame(Frame { soft_dirty: false, protected: true, ..frame }))
        }
    };
    if dirty {
        replace(around, asce, leaf, old, new)?;
    }
    Ok(dirty)
}

/// Takes the frame of an entry away.
fn clear<C: HostControl, S: AbsoluteStorage>(
    around: Around<'_, C, S>,
    asce: u64,
    leaf: Leaf,
    cleared: Cleared,
) -> Result<(), OutsideStorage> {
    let old = around.storage.load_u64(leaf.at)?;
    let new = match (leaf.layout.decode(old), cleared) {
        (_, Cleared::Slot) => Content::Hole,
        (Content::Hole, Cleared::Mapping) => return Ok(()),
        (Content::Empty { soft_dirty }, Cleared::Mapping) => Content::Empty { soft_dirty },
        (Content::Frame(frame), Cleared::Mapping) => Content::Empty { soft_dirty: frame.soft_dirty },
    };
    replace(around, asce, leaf, old, new)
}
