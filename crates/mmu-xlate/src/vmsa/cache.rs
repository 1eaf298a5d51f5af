//! A cache of where the tables of stage 1 lie behind stage 2: small, the caller's, and off unless it is given.
//!
//! A two-stage walk of four levels each is 24 loads, of which 19 find the last table of stage 1. They rarely change: a guest
//! that did not move its tables, and a hypervisor that did not move the guest, meet the same answers again. Arm ARM,
//! "Translation Lookaside Buffers", permits to keep
//!
//! - where stage 2 puts a page of tables: under the VMID, until maintenance by intermediate address, [`Cached::Stage2`];
//! - where the last table for 2 MiB of virtual addresses lies, both stages in one: under VMID and ASID, until maintenance
//!   by virtual address that is not for the last level only, [`Cached::Stage1Table`]. Maintenance of stage 2 alone need not
//!   remove it, which is why who executes it has to follow it up by VMALLE1.
//!
//! Leaves are not kept, of neither stage.

use super::registers::{Regime, Space};
use super::tlbi::{Cached, CachedEntry, Tlbi, TlbiContext};
use arm_arch::bits::{index, low8, low16, mask, sign_extend, trunc32, zext8};
use arm_arch::{Granule, Level};

/// Where stage 1 tables lie, as a walk last found: `N` pages and the last tables of `N` ranges, a power of two, each at one
/// place.
///
/// It belongs to one PE, as its registers are: what maintenance must follow when a register other than `TTBRx_EL1` or the VMID
/// changes must follow here, too. Its owner calls [`Self::remove`] for each TLBI that the guest or its hypervisor executes, and [`Self::clear`] when
/// it changes stage 2 tables behind the back of both. Nothing with a clear access flag is kept, and nothing at all
/// where hardware manages the access flag of tables (FEAT_HAFT).
#[derive(Clone, Debug)]
pub struct TableCache<const N: usize = 64> {
    slots: [Slot; N],
    /// What most walks do not ask for, at the same places.
    details: [Details; N],
    paths: [Path; N],
}

/// A way that stage 1 took down to its last table.
#[derive(Clone, Copy, Debug)]
struct Path {
    tag: u64,
    name: u64,
    /// Where that table lies, and beside the address what tables above it said of permissions.
    tables: u64,
}

/// What is asked: 2 MiB of virtual addresses, under a VMID, by a tree of tables and its ASID.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathKey {
    tag: u64,
    /// [`super::geometry::Quick::name`].
    name: u64,
}

impl PathKey {
    /// The index bits of the three last levels above: of each the low ones differ most, so they are laid beside each other.
    #[inline]
    const fn place<const N: usize>(self) -> usize {
        index(self.tag >> 21 ^ self.tag >> 27 ^ self.tag >> 34) & N.wrapping_sub(1)
    }
}

/// A page, and where it lies.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u64,
    output: u64,
}

/// What stage 2 said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The page.
    pub(super) output: u64,
    pub(super) details: Details,
}

/// What it said beside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Details {
    /// Space of the page.
    pub(super) space: Space,
    /// Only walks write there. FEAT_THE.
    pub(super) mostly_read_only: bool,
    /// Security state, space of the intermediate address: what the tag does not tell in full.
    pub(super) state: Space,
    pub(super) ipa_space: Space,
    /// Of the leaf.
    pub(super) size_log2: u8,
    pub(super) level: Level,
    pub(super) granule: Granule,
}

/// What is asked: 4 KiB of intermediate addresses, under a VMID, and on whose behalf as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    tag: u64,
    state: Space,
    ipa_space: Space,
}

/// The virtual address in a tag of [`Path`]: bit 55 is its sign.
const PREFIX: u64 = mask(56) & !mask(21);
/// The intermediate address in a tag: where it is in the address. Around it are the halves of the VMID.
const PAGE: u64 = mask(56) & !mask(12);
const VMID_HIGH: u32 = 56;
const VMID_LOW: u32 = 4;
/// The lowest bit of what top-level table it is: 0 none, or no difference.
const TOP: u32 = 2;
/// Security state and space are not both Non-secure: they are to be compared.
const OTHER: u64 = 2;
const VALID: u64 = 1;

impl Key {
    #[inline]
    pub(super) const fn new(
        ipa: u64,
        vmid: u16,
        top: Option<bool>,
        (state, ipa_space): (Space, Space),
    ) -> Self {
        let top = match top {
            None => 0,
            Some(false) => 1 << TOP,
            Some(true) => 2 << TOP,
        };
        let [low, high] = vmid.to_le_bytes();
        let vmid = zext8(low) << VMID_LOW | zext8(high) << VMID_HIGH;
        let other = match (state, ipa_space) {
            (Space::NonSecure, Space::NonSecure) => 0,
            _ => OTHER,
        };
        Self { tag: ipa & PAGE | vmid | top | other | VALID, state, ipa_space }
    }

    /// Returns the key of another address in Non-secure state.
    #[inline]
    pub(super) const fn of_page(self, page: u64) -> Self {
        Self { tag: self.tag & !PAGE | page & PAGE, ..self }
    }

    /// Returns the key of a way of stage 1, in Non-secure state, with the VMID of this one.
    #[inline]
    pub(super) const fn of_path(self, va: u64, name: u64) -> PathKey {
        PathKey { tag: self.tag & !PAGE | va & PREFIX, name }
    }

    #[inline]
    fn place<const N: usize>(self) -> usize {
        index(self.tag >> 12) & N.wrapping_sub(1)
    }
}

/// Who keeps what stage 2 says about tables; `()` keeps nothing and costs nothing.
pub(super) trait Keeper {
    /// Whether anything is kept.
    const ON: bool;
    /// Returns where a page of Non-secure state lies.
    fn page(&self, key: Key) -> Option<u64>;
    fn find(&self, key: Key) -> Option<Known>;
    fn keep(&mut self, key: Key, known: Known);
    /// Returns where the last table lies, and what tables above it said.
    fn path(&self, key: PathKey) -> Option<u64>;
    fn keep_path(&mut self, key: PathKey, tables: u64);
}

impl Keeper for () {
    const ON: bool = false;

    #[inline]
    fn page(&self, _: Key) -> Option<u64> {
        None
    }

    #[inline]
    fn find(&self, _: Key) -> Option<Known> {
        None
    }

    #[inline]
    fn keep(&mut self, _: Key, _: Known) {}

    #[inline]
    fn path(&self, _: PathKey) -> Option<u64> {
        None
    }

    #[inline]
    fn keep_path(&mut self, _: PathKey, _: u64) {}
}

impl<const N: usize> Keeper for TableCache<N> {
    const ON: bool = true;

    #[inline]
    fn page(&self, key: Key) -> Option<u64> {
        let slot = self.slots.get(key.place::<N>())?;
        (slot.tag == key.tag).then_some(slot.output)
    }

    #[inline]
    fn find(&self, key: Key) -> Option<Known> {
        let output = self.page(key)?;
        let details = *self.details.get(key.place::<N>())?;
        let same = key.tag & OTHER == 0 || details.state == key.state && details.ipa_space == key.ipa_space;
        same.then_some(Known { output, details })
    }

    fn keep(&mut self, key: Key, known: Known) {
        let place = key.place::<N>();
        if let (Some(slot), Some(details)) = (self.slots.get_mut(place), self.details.get_mut(place)) {
            *slot = Slot { tag: key.tag, output: known.output };
            *details = known.details;
        }
    }

    #[inline]
    fn path(&self, key: PathKey) -> Option<u64> {
        let path = self.paths.get(key.place::<N>())?;
        (path.tag == key.tag && path.name == key.name).then_some(path.tables)
    }

    #[inline(never)]
    fn keep_path(&mut self, key: PathKey, tables: u64) {
        if let Some(path) = self.paths.get_mut(key.place::<N>()) {
            *path = Path { tag: key.tag, name: key.name, tables };
        }
    }
}

impl Path {
    const EMPTY: Self = Self { tag: 0, name: 0, tables: 0 };

    /// Returns it as what it is: a table of stage 1, with all addresses below it.
    fn as_cached(&self) -> Option<CachedEntry> {
        (self.tag & VALID != 0).then_some(CachedEntry {
            cached: Cached::Stage1Table,
            regime: Regime::El1And0,
            state: Space::NonSecure,
            vmid: vmid(self.tag),
            asid: Some(low16(self.name >> 48)),
            start: sign_extend(self.tag & PREFIX, 56),
            size_log2: 21,
            level: Level::L2,
            granule: Granule::Size4K,
            ipa_space: Space::NonSecure,
        })
    }
}

impl Slot {
    const EMPTY: Self = Self { tag: 0, output: 0 };
}

impl Details {
    const EMPTY: Self = Self {
        space: Space::NonSecure,
        mostly_read_only: false,
        state: Space::NonSecure,
        ipa_space: Space::NonSecure,
        size_log2: 0,
        level: Level::L3,
        granule: Granule::Size4K,
    };
}

impl<const N: usize> TableCache<N> {
    /// Returns an empty cache.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "the number of entries is a power of two") };
        Self { slots: [Slot::EMPTY; N], details: [Details::EMPTY; N], paths: [Path::EMPTY; N] }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots = [Slot::EMPTY; N];
        self.paths = [Path::EMPTY; N];
    }

    /// Forgets what a TLBI must remove.
    pub fn remove(&mut self, tlbi: &Tlbi, context: &TlbiContext) {
        for (slot, details) in self.slots.iter_mut().zip(&self.details) {
            if as_cached(slot, details).is_some_and(|cached| tlbi.removes(&cached, context)) {
                *slot = Slot::EMPTY;
            }
        }
        for path in &mut self.paths {
            if path.as_cached().is_some_and(|cached| tlbi.removes(&cached, context)) {
                *path = Path::EMPTY;
            }
        }
    }

    /// Returns what is kept, as [`Tlbi::removes`] takes it.
    pub fn iter(&self) -> impl Iterator<Item = CachedEntry> + '_ {
        let pages =
            self.slots.iter().zip(&self.details).filter_map(|(slot, details)| as_cached(slot, details));
        pages.chain(self.paths.iter().filter_map(Path::as_cached))
    }
}

impl<const N: usize> Default for TableCache<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns an entry as what it is: a translation of stage 2, all that the leaf covers.
fn as_cached(slot: &Slot, details: &Details) -> Option<CachedEntry> {
    let Details { state, ipa_space, size_log2, level, granule, .. } = *details;
    let size = trunc32(zext8(size_log2));
    let ipa = slot.tag & PAGE;
    (slot.tag & VALID != 0).then_some(CachedEntry {
        cached: Cached::Stage2,
        regime: Regime::El1And0,
        state,
        vmid: vmid(slot.tag),
        asid: None,
        start: ipa & !mask(size),
        size_log2,
        level,
        granule,
        ipa_space,
    })
}

/// Returns the VMID in a tag.
const fn vmid(tag: u64) -> u16 {
    u16::from_le_bytes([low8(tag >> VMID_LOW), low8(tag >> VMID_HIGH)])
}
