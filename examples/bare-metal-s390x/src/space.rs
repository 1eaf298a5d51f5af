//! The hypervisor's own address space.
//!
//! ```text
//!          0 ┌ this program, where it lies: text read-only, the rest never executed, a hole below each stack
//!     HEAP.. │ its allocations
//!            └ nothing
//!   LINEAR.. ┌ below TABLES: one page of zeros, read-only
//!            └ from TABLES on: absolute storage
//! ```
//!
//! PoP ch. 3, "Dynamic Address Translation". Frames of 1 MiB are used where EDAT-1 is installed.

use crate::hw::{self, Image};
use crate::layout::{CPUS, HEAP, LINEAR, STACK_BYTES, STACKS, TABLES};
use alloc::boxed::Box;
use alloc::vec::Vec;
use s390_arch::dat::{
    Asce, Level, PageEntry, RegionThirdEntry, SegmentEntry, SegmentFrameEntry, TableType, Virtual,
};
use s390_arch::{Absolute, Real};

const PAGE: u64 = 4096;
const SEGMENT: u64 = 1 << 20;

/// A region-third or segment table.
#[repr(C, align(16384))]
struct Table([u64; 2048]);

#[repr(C, align(2048))]
struct PageTable([u64; 256]);

/// What may be done with a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Nothing,
    Read,
    Execute,
    Write,
}

/// Whether the machine has what makes tables smaller or stricter.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// EDAT-1, facility 8: frames of 1 MiB.
    pub large_frames: bool,
    /// Facility 130: pages that are never executed.
    pub protect_execution: bool,
}

/// An address space that maps this program where it lies: tables that stay for ever.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    asce: u64,
    features: Features,
}

impl Space {
    /// Returns its address-space-control element.
    pub const fn asce(self) -> u64 {
        self.asce
    }

    /// Returns what the machine has for it.
    pub const fn features(self) -> Features {
        self.features
    }
}

/// Builds the tables for a machine with `bytes` of storage.
pub fn build(bytes: u64, features: Features) -> Space {
    let zeros = leak(Page([0; 4096])).addr;
    let image = hw::image();
    let own = segments(0, HEAP.0 + HEAP.1, features, &|at| (own_use(&image, at), at));
    let linear = segments(0, bytes, features, &|at| {
        if at < TABLES.0.bits() { (Use::Read, zeros) } else { (Use::Write, at) }
    });
    let mut regions =
        Table([RegionThirdEntry::new().with_i(true).with_tt(TableType::RegionThird).into_bits(); 2048]);
    for (at, table) in [(0, own), (LINEAR, linear)] {
        let entry = RegionThirdEntry::new().with_tt(TableType::RegionThird).with_tl(3);
        let index = usize::from(Level::RegionThird.index(Virtual::from_bits(at)));
        regions.0[index] = entry.with_table(Absolute::new(table)).into_bits();
    }
    let asce = Asce::new().with_dt(TableType::RegionThird).with_tl(3);
    Space { asce: asce.with_table(Absolute::new(leak(regions).addr)).into_bits(), features }
}

#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// Something that was given to the machine.
struct Leaked {
    addr: u64,
}

/// Lays something out for ever. This program's memory lies at its absolute addresses.
fn leak<T>(value: T) -> Leaked {
    Leaked { addr: (&raw const *Box::leak(Box::new(value))).expose_provenance() as u64 }
}

/// What this program does with its own page at `at`.
fn own_use(image: &Image, at: u64) -> Use {
    let stacks = image.stacks..image.stacks + STACKS * STACK_BYTES * CPUS as u64;
    if (image.text.0..image.text.1).contains(&at) {
        Use::Execute
    } else if stacks.contains(&at) && (at - image.stacks) % STACK_BYTES == 0 {
        Use::Nothing
    } else if at < image.end || at >= HEAP.0 {
        Use::Write
    } else {
        Use::Nothing
    }
}

/// Builds the segment table of a region of which the first `bytes` are mapped.
fn segments(start: u64, bytes: u64, features: Features, page: &dyn Fn(u64) -> (Use, u64)) -> u64 {
    let invalid = SegmentEntry::new().with_i(true).into_bits();
    let mut table = Table([invalid; 2048]);
    let mut shared: Option<([u64; 256], u64)> = None;
    for (index, entry) in table.0.iter_mut().enumerate() {
        let first = start + index as u64 * SEGMENT;
        if first >= bytes {
            break;
        }
        let pages: Vec<(Use, u64)> = (0..256).map(|number| page(first + number * PAGE)).collect();
        let whole = pages.iter().enumerate().all(|(n, page)| *page == (Use::Write, first + n as u64 * PAGE));
        if whole && features.large_frames {
            let frame = SegmentFrameEntry::new().with_fc(true).with_iep(features.protect_execution);
            *entry = frame.with_frame(Absolute::new(first)).into_bits();
            continue;
        }
        let mut words = [0; 256];
        for (word, (what, at)) in words.iter_mut().zip(pages) {
            *word = page_entry(what, at, features);
        }
        // Of equal tables in a row, one is enough.
        let at = match shared {
            Some((known, at)) if known == words => at,
            _ => leak(PageTable(words)).addr,
        };
        shared = Some((words, at));
        *entry = SegmentEntry::new().with_table(Absolute::new(at)).into_bits();
    }
    leak(table).addr
}

fn page_entry(what: Use, at: u64, features: Features) -> u64 {
    let entry = PageEntry::new().with_frame(Real::new(at));
    let data = entry.with_iep(features.protect_execution);
    match what {
        Use::Nothing => data.with_i(true),
        Use::Read => data.with_p(true),
        Use::Execute => entry.with_p(true),
        Use::Write => data,
    }
    .into_bits()
}
