//! Memory that holds tables: what lies at an address is decided when it is first read, by the input, so that every
//! walk gets somewhere whatever the registers say. From then on it stays.

use crate::bits::{bit, mask, mix};
use crate::codec::Codec;
use arm_arch::Pa;
use mmu_xlate::dat::StorageKeys;
use mmu_xlate::vmsa::{Located, OutputAddress, Space};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use s390_arch::addr::Absolute;
use s390_arch::skey::StorageKey;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Where a doubleword lies.
pub type Key = (u8, u64);

/// What an input says of memory.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Bits 5:0: there is no memory from this power of two on; 0: no such end. Bit 6: the doublewords that `words` does
    /// not give look like descriptors; else they are 0. Bit 7: of those, few are leaves.
    pub shape: u8,
    /// Bits that are cleared in those.
    pub clear: u64,
    /// Bits that are set in those.
    pub set: u64,
    /// What is read first, second, and so on.
    pub words: Vec<u64>,
}

/// How many doublewords an input gives at most.
const MOST: usize = 96;

impl Contents {
    /// Goes over the fields; they reach to the end of the input.
    pub fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.byte(&mut self.shape);
        codec.word(&mut self.clear);
        codec.word(&mut self.set);
        codec.rest(&mut self.words, MOST, C::word);
    }

    /// Returns a doubleword that nobody gave.
    fn natural(&self, key: Key, place: usize, tables: Tables) -> u64 {
        match tables {
            _ if !bit(self.shape.into(), 6) => 0,
            Tables::Arm => self.descriptor(key),
            Tables::Dat(top) => self.entry(key, u64::from(top).checked_sub(place as u64)),
            Tables::Both if key.1 >> 60 == HOST => {
                // The address says which table it is; an entry for a table says where the next one is.
                let level = key.1 >> 56 & 7;
                let entry = self.entry(key, 3_u64.checked_sub(level));
                let frame = entry & 0x400 != 0 && (level == 2 || level == 3);
                if level > 3 || frame { entry } else { entry | HOST << 60 | (level + 1) << 56 }
            }
            Tables::Both => self.descriptor(key).swap_bytes(),
        }
    }

    /// Returns a doubleword that often is an entry of the table that is due: `tt`, or a page table.
    fn entry(&self, (_, at): Key, tt: Option<u64>) -> u64 {
        let random = mix(at ^ self.set.rotate_left(17));
        let origin = random & 0x7fff_f000;
        // I, FC, P, IEP, TF seldom; all quarters, mostly.
        let rare = random >> 32 & random >> 40 & random >> 48;
        let entry = match tt {
            Some(tt) => origin | tt << 2 | 3 | rare & 0x7f0 | mix(random) & mix(random + 1) & 0xf00,
            None => origin | mix(random) & mix(random + 1) & rare & 0xf00 | random & 0xff,
        };
        entry & !self.clear | self.set
    }

    /// Returns a doubleword that often is a table or leaf with a small address.
    fn descriptor(&self, (space, at): Key) -> u64 {
        let random = mix(at ^ u64::from(space) << 60 ^ self.set.rotate_left(17));
        let kind = match (random >> 32 & 15, bit(self.shape.into(), 7)) {
            (0, _) => 0,
            (1..=3, false) => 1,
            _ => 3,
        };
        let flag = if random >> 36 & 7 == 0 { 0 } else { 1 << 10 };
        let address = random >> 16 & 0xffff << 16;
        let upper = mix(random) & 0xfff8_0000_0000_0000 & mix(random + 1);
        (upper | address | random & 0xbfc | flag | kind) & !self.clear | self.set
    }
}

/// What doublewords that nobody gave look like.
#[derive(Clone, Copy, Debug)]
pub enum Tables {
    /// Descriptors.
    Arm,
    /// Entries of z/Architecture tables: of this table type first, then of those below.
    Dat(u8),
    /// Descriptors, and entries of a host's tables, which lie where address bits 63:60 are [`HOST`]. Bits 59:56 are 0
    /// for a region-first table, to 4 for a page table.
    Both,
}

/// Where the natural tables of a host lie.
pub const HOST: u64 = 4;

/// The memory of one input.
#[derive(Clone, Debug)]
pub struct Memory<'i> {
    contents: &'i Contents,
    tables: Tables,
    words: RefCell<BTreeMap<Key, u64>>,
    given: Cell<usize>,
}

const fn space(space: Space) -> u8 {
    match space {
        Space::NonSecure => 0,
        Space::Secure => 1,
        Space::Root => 2,
        Space::Realm => 3,
    }
}

impl<'i> Memory<'i> {
    /// Makes memory that nobody has read.
    #[must_use]
    pub fn new(contents: &'i Contents, tables: Tables) -> Self {
        Self { contents, tables, words: RefCell::default(), given: Cell::new(0) }
    }

    /// Returns the doubleword at an address, as a little-endian machine has it; `None` where there is no memory.
    #[must_use]
    pub fn word(&self, key: Key) -> Option<u64> {
        let end = u32::from(self.contents.shape & 63);
        if end != 0 && key.1 & !mask(end) != 0 {
            return None;
        }
        let mut words = self.words.borrow_mut();
        Some(*words.entry(key).or_insert_with(|| {
            let place = self.given.get();
            self.given.set(place + 1);
            self.contents
                .words
                .get(place)
                .copied()
                .unwrap_or_else(|| self.contents.natural(key, place, self.tables))
        }))
    }

    /// Looks at it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            memory: self,
            written: RefCell::default(),
            log: RefCell::default(),
            big_endian: false,
            fails_at: None,
            races: Cell::new(0),
        }
    }
}

/// The host's own failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Memory as one walk sees it: it hears what is read, and keeps what is written to itself.
#[derive(Clone, Debug)]
pub struct View<'m> {
    memory: &'m Memory<'m>,
    /// What was written.
    pub written: RefCell<BTreeMap<Key, u64>>,
    /// Every address that was read, in order; of a pair both.
    pub log: RefCell<Vec<Key>>,
    big_endian: bool,
    fails_at: Option<usize>,
    /// How many compare-and-swaps lose a race.
    pub races: Cell<u32>,
}

impl View<'_> {
    /// Returns the same memory stored the other way round.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self { big_endian: !self.big_endian, ..self }
    }

    /// Returns the same memory, whose host cannot do one load, counted from 0.
    #[must_use]
    pub fn failing(self, at: usize) -> Self {
        Self { fails_at: Some(at), ..self }
    }

    /// Returns what is there now.
    #[must_use]
    pub fn current(&self, key: Key) -> Option<u64> {
        let there = self.memory.word(key)?;
        Some(self.written.borrow().get(&key).copied().unwrap_or(there))
    }

    fn read(&self, at: Located) -> Result<Option<u64>, Failed> {
        let key = key(at);
        let mut log = self.log.borrow_mut();
        if self.fails_at == Some(log.len()) {
            return Err(Failed);
        }
        log.push(key);
        Ok(self.current(key))
    }

    fn stored(&self, value: u64) -> [u8; 8] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn value(&self, bytes: [u8; 8]) -> u64 {
        if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }

    /// Replaces doublewords, as a little-endian machine has them.
    fn replace(&self, words: &[(Key, u64, u64)]) -> Swap {
        // Where a descriptor of stage 1 is one of stage 2 as well, the walk may have written to it itself since it read it.
        let stale = |(key, old, _): &(Key, u64, u64)| self.current(*key) != Some(*old);
        if words.iter().any(stale) {
            let own = words.iter().any(|(key, ..)| self.written.borrow().contains_key(key));
            assert!(own, "a write expects what was read");
            return Swap::Lost;
        }
        if self.races.get() > 0 {
            self.races.set(self.races.get() - 1);
            return Swap::Lost;
        }
        self.written.borrow_mut().extend(words.iter().map(|(key, _, new)| (*key, *new)));
        Swap::Done
    }
}

/// Returns the key of an address.
#[must_use]
pub const fn key(at: Located) -> Key {
    (space(at.space), at.pa.bits())
}

const fn after(at: Located) -> Located {
    Located { pa: Pa::new(at.pa.bits().wrapping_add(8)), space: at.space }
}

impl TableMemory<Located> for View<'_> {
    type Error = Failed;

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, Failed> {
        assert_eq!(at.number() & 7, 0, "descriptors are aligned");
        Ok(self.read(at)?.map(|word| self.stored(word)))
    }

    fn load_pair(&self, at: Located, second: Located) -> Result<Option<[[u8; 8]; 2]>, Failed> {
        assert_eq!(at.number() & 15, 0, "128-bit descriptors are aligned");
        assert_eq!(second, after(at), "the halves of a descriptor lie side by side");
        let (Some(low), Some(high)) = (self.read(at)?, self.read(second)?) else { return Ok(None) };
        let [low, high] = [low, high].map(|word| self.stored(word));
        Ok(Some(if self.big_endian { [high, low] } else { [low, high] }))
    }
}

impl TableUpdate<Located> for View<'_> {
    fn compare_exchange(&self, at: Located, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Failed> {
        Ok(self.replace(&[(key(at), self.value(old), self.value(new))]))
    }

    fn compare_exchange_pair(
        &self,
        at: Located,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Failed> {
        let ordered = |halves: [[u8; 8]; 2]| {
            let [first, second] = halves.map(|bytes| self.value(bytes));
            if self.big_endian { [second, first] } else { [first, second] }
        };
        let ([low, high], [new_low, new_high]) = (ordered(old), ordered(new));
        Ok(self.replace(&[(key(at), low, new_low), (key(after(at)), high, new_high)]))
    }
}

/// The key of an absolute address.
const fn absolute(at: Absolute) -> Key {
    (4, at.bits())
}

impl TableMemory<Absolute> for View<'_> {
    type Error = Failed;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Failed> {
        assert_eq!(at.bits() & 7, 0, "entries are aligned");
        let key = absolute(at);
        let mut log = self.log.borrow_mut();
        if self.fails_at == Some(log.len()) {
            return Err(Failed);
        }
        log.push(key);
        Ok(self.current(key).map(u64::to_be_bytes))
    }
}

impl TableUpdate<Absolute> for View<'_> {
    fn compare_exchange(&self, at: Absolute, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Failed> {
        Ok(self.replace(&[(absolute(at), u64::from_be_bytes(old), u64::from_be_bytes(new))]))
    }

    fn compare_exchange_pair(
        &self,
        at: Absolute,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Failed> {
        let ([old, old_second], [new, new_second]) =
            (old.map(u64::from_be_bytes), new.map(u64::from_be_bytes));
        let (first, second) = (absolute(at), (4, at.bits().wrapping_add(8)));
        Ok(self.replace(&[(first, old, new), (second, old_second, new_second)]))
    }
}

impl Memory<'_> {
    /// Returns the storage key of a block; `None` where there is no memory. It looks at the address alone.
    #[must_use]
    pub fn storage_key(&self, block: u64) -> Option<u8> {
        let end = u32::from(self.contents.shape & 63);
        let there = end == 0 || block & !mask(end) == 0;
        there.then(|| mix(block ^ self.contents.clear.rotate_left(9)).to_le_bytes()[0])
    }
}

impl StorageKeys for View<'_> {
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, Failed> {
        assert_eq!(block.bits() & 0xfff, 0, "keys are those of blocks");
        Ok(self.memory.storage_key(block.bits()).map(StorageKey::from_bits))
    }
}
