//! A small machine around a PE: a megabyte of memory, of which stage 2 maps any page anywhere.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "each test file uses its part; a broken assumption is a failed test"
)]

use arm_arch::{Ipa, Pa};
use arm_exec::ram::Page;
use arm_exec::{Caches, Domain, Environment, Event, Pe, Ram, Stage2Access, Stage2Page};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use testkit::caches::{CacheMemory, Capacity};

/// Pages of memory.
pub const PAGES: usize = 256;
/// Where tests put code.
pub const CODE: u64 = 0x1_0000;
/// Where tests put data.
pub const DATA: u64 = 0x8_0000;
/// No page is mapped.
pub const HOLE: u64 = u64::MAX;
/// In the table of stage 2: the page is not writable.
pub const READ_ONLY: u64 = 1;

/// What refused an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub Stage2Access);

/// Memory, stage 2 and a clock, shared by the PEs of a test.
pub struct World {
    pub ram: Ram<'static>,
    /// Absolute address of each intermediate physical page, [`HOLE`] or with [`READ_ONLY`].
    pub stage2: Vec<AtomicU64>,
    pub clock: AtomicU64,
    pub domain: Domain,
}

impl World {
    /// Memory of zeros, mapped one to one.
    pub fn new() -> &'static Self {
        let pages: &'static [Page] = (0..PAGES).map(|_| Page::zeroed()).collect::<Vec<_>>().leak();
        // What lies past the memory can be mapped.
        let page = |n| if n < PAGES as u64 { n << 12 } else { HOLE };
        let stage2 = (0..0x2100).map(|n| AtomicU64::new(page(n))).collect();
        Box::leak(Box::new(Self {
            ram: Ram::new(pages),
            stage2,
            clock: AtomicU64::new(0),
            domain: Domain::new(),
        }))
    }

    pub fn map(&self, ipa: u64, to: u64) {
        self.stage2[(ipa >> 12) as usize].store(to, SeqCst);
    }

    pub fn code(&self, at: u64, words: &[u32]) {
        for (n, word) in words.iter().enumerate() {
            self.ram.write(Pa::new(at + 4 * n as u64), &word.to_le_bytes()).unwrap();
        }
    }

    pub fn put(&self, at: u64, value: u64) {
        self.ram.write(Pa::new(at), &value.to_le_bytes()).unwrap();
    }

    pub fn get(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.ram.read(Pa::new(at), &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// PE number `index`, at EL1 with interrupts masked, stage 1 off and memory Normal
    /// (HCR_EL2.DC), FP enabled, exceptions to 0x2000.
    pub fn pe(&'static self, index: usize) -> Pe<'static> {
        self.small_pe(index, 1 << 16, 1 << 12)
    }

    pub fn small_pe(&'static self, index: usize, ops: usize, blocks: usize) -> Pe<'static> {
        let caches = CacheMemory::new(Capacity { ops, blocks, functions: Caches::FUNCTIONS });
        let mut pe = Pe::new(caches.leak(), &self.domain, index).unwrap();
        pe.state.pc = CODE;
        pe.state.sys.hcr_el2 = 1 << 12;
        pe.state.sys.cpacr_el1 = 3 << 20;
        pe.state.sys.vbar_el1 = VECTORS;
        pe
    }
}

/// VBAR_EL1 of every PE.
pub const VECTORS: u64 = 0x2000;
/// Where synchronous exceptions from EL1 with SP_EL1 arrive.
pub const SAME_SYNC: u64 = VECTORS + 0x200;
/// Where synchronous exceptions from EL0 arrive.
pub const LOWER_SYNC: u64 = VECTORS + 0x400;

pub fn list<T: Default>(count: usize) -> &'static mut [T] {
    (0..count).map(|_| T::default()).collect::<Vec<_>>().leak()
}

impl Environment<'static> for World {
    type Fault = Refused;

    fn stage2(&self, ipa: Ipa, access: Stage2Access) -> Result<Stage2Page<'static>, Refused> {
        let entry = self.stage2.get((ipa.bits() >> 12) as usize).map_or(HOLE, |entry| entry.load(SeqCst));
        let writable = entry & READ_ONLY == 0;
        if entry == HOLE || access == Stage2Access::Write && !writable {
            return Err(Refused(access));
        }
        let absolute = Pa::new(entry & !0xfff);
        let page = self.ram.page(absolute).ok_or(Refused(access))?;
        Ok(Stage2Page { page, absolute, writable, executable: true })
    }

    fn counter(&self) -> u64 {
        self.clock.load(SeqCst)
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

/// Runs until something other than the end of the budget happens; `None` if nothing does for long.
pub fn run(pe: &mut Pe<'static>, world: &'static World) -> Option<Event<Refused>> {
    (0..10_000).map(|_| pe.run(world, 1000)).find(|event| *event != Event::Budget)
}

/// `HVC #0`, which ends a test's code.
pub const HVC: u32 = 0xd400_0002;
/// What it is to the caller.
pub const DONE: Event<Refused> = Event::Trap { esr: 0x5a00_0000, far: 0 };
