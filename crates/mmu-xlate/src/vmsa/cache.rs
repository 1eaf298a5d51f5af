//! A cache of what stage 2 says about the tables of stage 1: small, the caller's, and off unless it is given.
//!
//! A two-stage walk of four levels each is 24 loads, of which 16 find out where the tables of stage 1 lie. These
//! rarely change: a guest that did not move its tables, and a hypervisor that did not move the guest, meet the same
//! answers again. Arm ARM D8.16 permits to keep them, under the VMID, until maintenance by intermediate address.

use super::registers::{Regime, Space};
use super::tlbi::{Cached, CachedEntry, Tlbi, TlbiContext};
use arm_arch::bits::{index, mask, trunc32, zext8};
use arm_arch::{Granule, Level};

/// Where a page of stage 1 tables lies, as stage 2 last said: `N` pages, a power of two, each at one place.
///
/// Its owner calls [`Self::remove`] for each TLBI that the guest or its hypervisor executes, and [`Self::clear`] when
/// it changes stage 2 tables behind the back of both. Nothing with a clear access flag is kept, and nothing at all
/// where hardware manages the access flag of tables (FEAT_HAFT).
#[derive(Clone, Debug)]
pub struct TableCache<const N: usize = 64> {
    entries: [Entry; N],
}

/// What is kept about one page.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u64,
    known: Known,
}

/// What stage 2 said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The page.
    pub(super) output: u64,
    /// Its space.
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

/// The lowest bit of the VMID in a tag; below it is IPA\[55:12\].
const VMID: u32 = 44;
/// The lowest bit of what top-level table it is: 0 none, or no difference.
const TOP: u32 = 60;
const VALID: u64 = 1 << 63;
/// Security state and space are not both Non-secure: they are to be compared.
const OTHER: u64 = 1 << 62;

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
            Some(false) => 1u64 << TOP,
            Some(true) => 2u64 << TOP,
        };
        let [low, high] = vmid.to_le_bytes();
        let vmid = zext8(low) | zext8(high) << 8;
        let other = match (state, ipa_space) {
            (Space::NonSecure, Space::NonSecure) => 0,
            _ => OTHER,
        };
        Self { tag: (ipa & mask(56)) >> 12 | vmid << VMID | top | other | VALID, state, ipa_space }
    }

    #[inline]
    fn place<const N: usize>(self) -> usize {
        index(self.tag) & N.wrapping_sub(1)
    }
}

/// Who keeps what stage 2 says about tables; `()` keeps nothing and costs nothing.
pub(super) trait Keeper {
    /// Whether anything is kept.
    const ON: bool;
    fn find(&self, key: Key) -> Option<&Known>;
    fn keep(&mut self, key: Key, known: Known);
}

impl Keeper for () {
    const ON: bool = false;

    #[inline]
    fn find(&self, _: Key) -> Option<&Known> {
        None
    }

    #[inline]
    fn keep(&mut self, _: Key, _: Known) {}
}

impl<const N: usize> Keeper for TableCache<N> {
    const ON: bool = true;

    #[inline]
    fn find(&self, key: Key) -> Option<&Known> {
        let entry = self.entries.get(key.place::<N>())?;
        let known = &entry.known;
        let same = entry.tag == key.tag
            && (key.tag & OTHER == 0 || known.state == key.state && known.ipa_space == key.ipa_space);
        if same { Some(known) } else { None }
    }

    fn keep(&mut self, key: Key, known: Known) {
        if let Some(entry) = self.entries.get_mut(key.place::<N>()) {
            *entry = Entry { tag: key.tag, known };
        }
    }
}

impl<const N: usize> TableCache<N> {
    const EMPTY: Entry = Entry {
        tag: 0,
        known: Known {
            output: 0,
            space: Space::NonSecure,
            mostly_read_only: false,
            state: Space::NonSecure,
            ipa_space: Space::NonSecure,
            size_log2: 0,
            level: Level::L3,
            granule: Granule::Size4K,
        },
    };

    /// Returns an empty cache.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "the number of entries is a power of two") };
        Self { entries: [Self::EMPTY; N] }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries = [Self::EMPTY; N];
    }

    /// Forgets what a TLBI must remove.
    pub fn remove(&mut self, tlbi: &Tlbi, context: &TlbiContext) {
        for entry in &mut self.entries {
            if entry.as_cached().is_some_and(|cached| tlbi.removes(&cached, context)) {
                *entry = Self::EMPTY;
            }
        }
    }

    /// Returns what is kept, as [`Tlbi::removes`] takes it.
    pub fn iter(&self) -> impl Iterator<Item = CachedEntry> + '_ {
        self.entries.iter().filter_map(Entry::as_cached)
    }
}

impl<const N: usize> Default for TableCache<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    /// Returns the entry as what it is: a translation of stage 2, all that the leaf covers.
    fn as_cached(&self) -> Option<CachedEntry> {
        let Known { state, ipa_space, size_log2, level, granule, .. } = self.known;
        let size = trunc32(zext8(size_log2));
        let ipa = (self.tag & mask(VMID)) << 12;
        let vmid = arm_arch::bits::low16(self.tag >> VMID);
        (self.tag & VALID != 0).then_some(CachedEntry {
            cached: Cached::Stage2,
            regime: Regime::El1And0,
            state,
            vmid,
            asid: None,
            start: ipa & !mask(size),
            size_log2,
            level,
            granule,
            ipa_space,
        })
    }
}
