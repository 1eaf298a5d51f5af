//! A direct-mapped table from virtual pages to pages of guest memory, whose hit is one subtraction
//! and one comparison.

use super::{PAGE_BYTES, Page, PagePtr, access};
use arm_arch::Pa;
use core::cell::Cell;
use core::marker::PhantomData;

/// Entries of one [`Map`].
pub(crate) const MAP_ENTRIES: usize = 4096;

/// One entry: the virtual address of a page and where the page is.
///
/// Invariant, for the entry at index *i* of a live map: either `tag` is a page address with
/// `index(tag) == i` and `page` points to a page that lives as long as the map, or `tag` is
/// [`vacant`] of *i*, a page address of another index.
#[derive(Clone)]
struct Entry {
    tag: Cell<u64>,
    page: Cell<*const Page>,
}

// SAFETY: the pointer is dereferenced only by a `Map<'m>`, whose entries were made from
// `PagePtr<'m>`, which are shared references to `Sync` pages and so may move between threads.
unsafe impl Send for Entry {}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Entry({:#x})", self.tag.get())
    }
}

const fn index(va: u64) -> usize {
    (va >> 12) as usize & (MAP_ENTRIES - 1)
}

const fn vacant(index: usize) -> u64 {
    ((index ^ 1) as u64) << 12
}

/// Memory for one map, provided by the caller of the engine. What it holds means nothing until a
/// map is made of it, which clears it.
#[derive(Debug)]
pub struct MapMemory {
    entries: [Entry; MAP_ENTRIES],
    /// Absolute address of the page of each entry; apart, because a hit does not need it.
    absolute: [Cell<u64>; MAP_ENTRIES],
    /// Groups of 64 entries that may hold something.
    used: Cell<u64>,
}

impl Default for MapMemory {
    fn default() -> Self {
        Self {
            entries: [const { Entry { tag: Cell::new(0), page: Cell::new(core::ptr::null()) } }; MAP_ENTRIES],
            absolute: [const { Cell::new(0) }; MAP_ENTRIES],
            used: Cell::new(u64::MAX),
        }
    }
}

/// A live map: every page in it can be accessed for `'m`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map<'m> {
    memory: &'m MapMemory,
    pages: PhantomData<&'m Page>,
}

// SAFETY: a map is made of memory that nobody else has, and its copies stay in the one PE that made it
// (see `Confined`): they move to another thread all together.
unsafe impl Send for Map<'_> {}

macro_rules! accesses {
    ($($load:ident $store:ident $ty:ty, $bytes:literal;)*) => {$(
        #[doc = concat!("Loads ", $bytes, " byte(s) at a virtual address; `None` on a miss or where the access leaves the page.")]
        #[inline(always)]
        #[must_use]
        pub fn $load(self, va: u64) -> Option<$ty> {
            let (entry, offset) = self.probe(va);
            if offset > (PAGE_BYTES - $bytes) as u64 {
                return None;
            }
            // SAFETY: `tag` is a page address and `va - tag` is below the page size, so `tag` is the
            // page of `va` and has the same index, the entry's own: by the invariant `page` is live.
            // The access ends inside the page.
            Some(unsafe { access::$load(entry.page.get().cast::<u8>().wrapping_add(offset as usize)) })
        }

        #[doc = concat!("Stores ", $bytes, " byte(s) at a virtual address; `None` on a miss or where the access leaves the page.")]
        #[inline(always)]
        #[must_use]
        pub fn $store(self, va: u64, value: $ty) -> Option<()> {
            let (entry, offset) = self.probe(va);
            if offset > (PAGE_BYTES - $bytes) as u64 {
                return None;
            }
            // SAFETY: as for the load; pages are atomics and may be written through shared references.
            unsafe { access::$store(entry.page.get().cast_mut().cast::<u8>().wrapping_add(offset as usize), value) };
            Some(())
        }
    )*};
}

impl<'m> Map<'m> {
    /// Makes a map, empty, of the caller's memory.
    #[must_use]
    pub fn new(memory: &'m mut MapMemory) -> Self {
        memory.used.set(u64::MAX);
        let map = Self { memory, pages: PhantomData };
        map.clear();
        map
    }

    #[inline(always)]
    fn probe(self, va: u64) -> (&'m Entry, u64) {
        #[expect(clippy::indexing_slicing, reason = "the index is masked to the length of the array")]
        let entry = &self.memory.entries[index(va)];
        (entry, va.wrapping_sub(entry.tag.get()))
    }

    accesses! {
        load8 store8 u8, 1;
        load16 store16 u16, 2;
        load32 store32 u32, 4;
        load64 store64 u64, 8;
    }

    /// Returns the page that a virtual address maps to, with its absolute address; `None` on a miss.
    #[inline]
    #[must_use]
    pub fn page(self, va: u64) -> Option<(PagePtr<'m>, Pa)> {
        let (entry, offset) = self.probe(va);
        if offset >= PAGE_BYTES as u64 {
            return None;
        }
        // SAFETY: the entry matched, so `page` is live for `'m` (see the loads).
        Some((PagePtr(unsafe { &*entry.page.get() }), Pa::new(self.absolute(va).get())))
    }

    /// Hands what stands where the page of a virtual address goes to another map, if it is another page.
    #[inline]
    pub fn give_way(self, va: u64, to: Self) {
        let (entry, _) = self.probe(va);
        let (tag, place) = (entry.tag.get(), index(va));
        if tag == vacant(place) || tag ^ va & !0xfff == 0 {
            return;
        }
        // The same place there: what holds here of the entry holds there, and both maps live as long as the page.
        let (other, _) = to.probe(va);
        other.page.set(entry.page.get());
        other.tag.set(tag);
        to.absolute(va).set(self.absolute(va).get());
        to.memory.used.set(to.memory.used.get() | 1 << (place >> 6));
    }

    fn absolute(self, va: u64) -> &'m Cell<u64> {
        #[expect(clippy::indexing_slicing, reason = "the index is masked to the length of the array")]
        &self.memory.absolute[index(va)]
    }

    /// Maps the page of a virtual address, replacing what its entry held.
    pub fn insert(self, va: u64, page: PagePtr<'m>, absolute: Pa) {
        let (entry, _) = self.probe(va);
        entry.page.set(core::ptr::from_ref(page.0));
        entry.tag.set(va & !0xfff);
        self.absolute(va).set(absolute.bits() & !0xfff);
        let group = index(va) >> 6;
        self.memory.used.set(self.memory.used.get() | (1 << group));
    }

    /// Forgets the page of a virtual address, whatever the tag in bits 63:56 was.
    pub fn remove(self, va: u64) {
        let (entry, _) = self.probe(va);
        if (entry.tag.get() ^ va) << 8 >> 20 == 0 {
            entry.tag.set(vacant(index(va)));
        }
    }

    /// Forgets everything.
    pub fn clear(self) {
        self.groups(|slot, entry| {
            entry.tag.set(vacant(slot));
            entry.page.set(core::ptr::null());
        });
        self.memory.used.set(0);
    }

    /// Forgets the pages of which `keep`, given virtual and absolute address, says no.
    pub fn retain(self, keep: impl Fn(u64, Pa) -> bool) {
        self.groups(|slot, entry| {
            let tag = entry.tag.get();
            if index(tag) == slot && !keep(tag, Pa::new(self.absolute(tag).get())) {
                entry.tag.set(vacant(slot));
                entry.page.set(core::ptr::null());
            }
        });
    }

    /// Calls `each` with the entries of the groups in use.
    fn groups(self, each: impl Fn(usize, &Entry)) {
        let mut used = self.memory.used.get();
        let mut first = 0_usize;
        for group in self.memory.entries.chunks_exact(64) {
            if used & 1 != 0 {
                for (n, entry) in group.iter().enumerate() {
                    each(first.wrapping_add(n), entry);
                }
            }
            used >>= 1;
            first = first.wrapping_add(64);
        }
    }
}
