//! A machine that exists nowhere, and a CPU that keeps every translation for as long as it is allowed to.
//!
//! Its guests have 16 MiB: a table of 16 entries for 1 MiB each, tables of 16 blocks of 64 KiB, tables of 16 pages. All tables
//! have 128 bytes.
#![expect(clippy::arithmetic_side_effects, reason = "test code")]
extern crate std;
use crate::{Content, Frame, Kind, MapError, OutsideMemory, Pool, Scope, Tables};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;
use xarch_abi::{HostPa, Slot};

const VALID: u64 = 1;
const TABLE: u64 = 1 << 1;
const WRITABLE: u64 = 1 << 2;
const DIRTY: u64 = 1 << 3;
const PROTECTED: u64 = 1 << 4;
const EMPTY: u64 = 1 << 5;
const PRESENT: u64 = 1 << 6;
const ADDRESS: u64 = !0x7f;

const BLOCK_LOG2: u32 = 16;
const TABLE_LOG2: u32 = 20;

/// What an access meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Translation,
    Protection,
}

/// A translation that the CPU keeps: where to, whether stores are allowed, and the entries that it comes from.
#[derive(Debug)]
struct Kept {
    at: u64,
    writable: bool,
    way: [u64; 2],
}

/// Memory from 0 on, with the CPU.
#[derive(Debug)]
pub(crate) struct Memory {
    words: RefCell<Vec<u64>>,
    kept: RefCell<BTreeMap<u64, Kept>>,
    invalidated: RefCell<Vec<(u64, Scope)>>,
}

#[derive(Debug)]
pub(crate) struct Upper {
    pub(crate) pool: Pool,
    pub(crate) root: u64,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let words = RefCell::new(std::vec![0; bytes / 8]);
        Self { words, kept: RefCell::default(), invalidated: RefCell::default() }
    }

    pub(crate) fn upper(&self, own: (HostPa, u64)) -> Upper {
        let mut pool = Pool::new(own.0, own.1, 7, 7);
        let root = pool.take_first(1).unwrap().value();
        Upper { pool, root }
    }

    /// Returns what was invalidated since it was asked last.
    pub(crate) fn invalidated(&self) -> Vec<(u64, Scope)> {
        self.invalidated.take()
    }

    fn word(at: HostPa) -> Option<usize> {
        (at.value() & 7 == 0).then(|| usize::try_from(at.value() >> 3).ok()).flatten()
    }

    fn get(&self, at: u64) -> u64 {
        Tables::load(self, HostPa::new(at)).unwrap()
    }

    /// Accesses an address of the guest.
    pub(crate) fn access(&self, upper: &Upper, address: u64, store: bool) -> Result<u64, Fault> {
        let mut kept = self.kept.borrow_mut();
        if let Some(kept) = kept.get(&(address >> 12)) {
            let allowed = !store || kept.writable;
            return if allowed { Ok(kept.at | address & 0xfff) } else { Err(Fault::Protection) };
        }
        let region = self.get(upper.root + (address >> TABLE_LOG2 & 15) * 8);
        if region & VALID == 0 {
            return Err(Fault::Translation);
        }
        let block_at = (region & ADDRESS) + (address >> BLOCK_LOG2 & 15) * 8;
        let block = self.get(block_at);
        let (entry, way, offset) = if block & (VALID | TABLE) == VALID | TABLE {
            let page_at = (block & ADDRESS) + (address >> 12 & 15) * 8;
            (self.get(page_at), [block_at, page_at], 0xfff)
        } else {
            (block, [block_at, block_at], 0xffff)
        };
        if entry & VALID == 0 {
            return Err(Fault::Translation);
        }
        let writable = entry & WRITABLE != 0 && entry & PROTECTED == 0;
        if store && !writable {
            return Err(Fault::Protection);
        }
        let at = (entry & ADDRESS & !offset) | address & offset;
        kept.insert(address >> 12, Kept { at: at & !0xfff, writable, way });
        Ok(at)
    }
}

impl Tables for &Memory {
    type Upper = Upper;
    const BLOCK_LOG2: u32 = BLOCK_LOG2;
    const TABLE_LOG2: u32 = TABLE_LOG2;

    fn load(self, at: HostPa) -> Result<u64, OutsideMemory> {
        let words = self.words.borrow();
        Memory::word(at).and_then(|index| words.get(index)).copied().ok_or(OutsideMemory(at))
    }

    fn store(self, at: HostPa, entry: u64) -> Result<(), OutsideMemory> {
        for (page, kept) in self.kept.borrow().iter() {
            let used = kept.way.contains(&at.value());
            assert!(!used, "the entry at {at} is changed under a CPU that uses it for page {page:#x}");
        }
        let mut words = self.words.borrow_mut();
        let word = Memory::word(at).and_then(|index| words.get_mut(index)).ok_or(OutsideMemory(at))?;
        *word = entry;
        Ok(())
    }

    fn encode(_: Kind, content: Content) -> u64 {
        let on = |state: bool, bits: u64| if state { bits } else { 0 };
        match content {
            Content::Hole => 0,
            Content::Empty { dirty } => EMPTY | on(dirty, DIRTY),
            Content::Frame(frame) => {
                frame.at.value()
                    | PRESENT
                    | on(frame.young, VALID)
                    | on(frame.writable, WRITABLE)
                    | on(frame.dirty, DIRTY)
                    | on(frame.protected, PROTECTED)
            }
        }
    }

    fn decode(_: Kind, entry: u64) -> Content {
        let dirty = entry & DIRTY != 0;
        if entry & PRESENT != 0 {
            return Content::Frame(Frame {
                at: HostPa::new(entry & ADDRESS),
                writable: entry & WRITABLE != 0,
                young: entry & VALID != 0,
                dirty,
                protected: entry & PROTECTED != 0,
            });
        }
        if entry & EMPTY != 0 { Content::Empty { dirty } } else { Content::Hole }
    }

    fn is_valid(_: Kind, entry: u64) -> bool {
        entry & VALID != 0
    }

    fn table(entry: u64) -> Option<HostPa> {
        (entry & (VALID | TABLE) == VALID | TABLE).then(|| HostPa::new(entry & ADDRESS))
    }

    fn of_table(table: HostPa) -> u64 {
        table.value() | VALID | TABLE
    }

    fn invalidate(self, _: &Upper, at: HostPa, address: u64, scope: Scope) -> Result<(), OutsideMemory> {
        let (at, old) = (at.value(), self.load(at)?);
        assert_ne!(old & VALID, 0, "the entry at {at:#x} for {address:#x} is invalid already");
        assert_eq!(Self::table(old).is_some(), scope == Scope::Table, "{scope:?} at {address:#x}");
        let log2 = if scope == Scope::Page { 12 } else { BLOCK_LOG2 };
        self.kept.borrow_mut().retain(|page, kept| {
            let covered = page << 12 >> log2 == address >> log2;
            assert!(!covered || kept.way.contains(&at), "{scope:?} of {address:#x}, entry at {at:#x}");
            !covered
        });
        self.words.borrow_mut()[Memory::word(HostPa::new(at)).unwrap()] = old & !VALID;
        self.invalidated.borrow_mut().push((address, scope));
        Ok(())
    }

    fn check_host(self, slot: &Slot) -> Result<(), MapError> {
        if slot.host.value() >> 32 == 0 { Ok(()) } else { Err(MapError::HostRange(slot.host)) }
    }

    /// The host's places from 0x8000_0000 on are pages the wrong way round, and those from 0x9000_0000 on nowhere.
    fn frame_of(self, place: HostPa, bytes: u64) -> Option<HostPa> {
        match place.value() {
            0..0x8000_0000 => Some(place),
            at @ 0x8000_0000..0x9000_0000 => {
                (bytes == 0x1000).then(|| HostPa::new(0x8fff_f000 - (at & 0xfff_f000)))
            }
            _ => None,
        }
    }

    fn find(self, upper: &Upper, address: u64) -> Result<Option<HostPa>, OutsideMemory> {
        let region = self.load(HostPa::new(upper.root + (address >> TABLE_LOG2 & 15) * 8))?;
        let at = (region & ADDRESS) + (address >> BLOCK_LOG2 & 15) * 8;
        Ok((region & VALID != 0).then(|| HostPa::new(at)))
    }

    fn make(self, upper: &mut Upper, address: u64) -> Result<HostPa, MapError> {
        if let Some(at) = self.find(upper, address)? {
            return Ok(at);
        }
        let new = upper.pool.take_large(self)?.ok_or(MapError::NoTables)?;
        for index in 0..16 {
            self.store(HostPa::new(new.value() + index * 8), 0)?;
        }
        let region = HostPa::new(upper.root + (address >> TABLE_LOG2 & 15) * 8);
        self.store(region, new.value() | VALID | TABLE)?;
        Ok(self.find(upper, address)?.unwrap())
    }

    fn prune(self, upper: &mut Upper, address: u64) -> Result<(), OutsideMemory> {
        let Some(first) = self.find(upper, address & !0xf_ffff)? else { return Ok(()) };
        if (0..16).any(|index| self.get(first.value() + index * 8) != 0) {
            return Ok(());
        }
        self.store(HostPa::new(upper.root + (address >> TABLE_LOG2 & 15) * 8), 0)?;
        upper.pool.free_large(self, first)
    }

    fn pool(upper: &mut Upper) -> &mut Pool {
        &mut upper.pool
    }
}

/// A fixed sequence of numbers (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}
