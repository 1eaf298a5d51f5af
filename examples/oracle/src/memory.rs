//! The memory that a question brings along.

use crate::Error;
use arm_arch::Pa;
use mmu_xlate::TableMemory;
use mmu_xlate::dat::StorageKeys;
use mmu_xlate::vmsa::Located;
use s390_arch::Absolute;
use s390_arch::skey::StorageKey;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// What lies where nothing is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// That is not known: a walk that needs it has no answer.
    #[default]
    Unknown,
    /// Zeros.
    Zero,
    /// Nothing: an external abort, an addressing exception.
    Absent,
}

/// A walk needs what nobody gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub u64);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the walk needs the doubleword at {:#018x}, which is not given (or say --rest)", self.0)
    }
}

/// Memory: dumps, over them single doublewords, and storage keys.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    dumps: Vec<(u64, Vec<u8>)>,
    words: BTreeMap<u64, u64>,
    keys: BTreeMap<u64, u8>,
    /// What lies elsewhere.
    pub rest: Rest,
    /// The first address beyond storage, of a z/Architecture machine.
    pub size: Option<u64>,
    loads: RefCell<Vec<(u64, u64)>>,
}

impl Memory {
    /// Puts in a doubleword, as a load sees it.
    pub fn set(&mut self, at: u64, value: u64) -> Result<(), Error> {
        if !at.is_multiple_of(8) {
            return Err(Error::new(format!("address {at:#x} is not a multiple of 8")));
        }
        match self.words.insert(at, value) {
            Some(before) if before != value => {
                Err(Error::new(format!("{at:#x} is given twice, as {before:#x} and as {value:#x}")))
            }
            _ => Ok(()),
        }
    }

    /// Puts in a 128-bit descriptor, low half first.
    pub fn set_pair(&mut self, at: u64, value: u128) -> Result<(), Error> {
        if !at.is_multiple_of(16) {
            return Err(Error::new(format!("address {at:#x} is not a multiple of 16")));
        }
        let bytes = value.to_le_bytes();
        let (low, high) = bytes.split_at(8);
        self.set(at, doubleword(low))?;
        self.set(at | 8, doubleword(high))
    }

    /// Puts in bytes.
    pub fn dump(&mut self, base: u64, bytes: Vec<u8>) -> Result<(), Error> {
        if !base.is_multiple_of(8) {
            return Err(Error::new(format!("base {base:#x} is not a multiple of 8")));
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(end) = base.checked_add(length) else {
            return Err(Error::new("reaches beyond the last address"));
        };
        let overlaps = |(other, bytes): &&(u64, Vec<u8>)| {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            *other < end && base < other.saturating_add(length)
        };
        if let Some((other, _)) = self.dumps.iter().find(overlaps) {
            return Err(Error::new(format!("overlaps the dump at {other:#x}")));
        }
        self.dumps.push((base, bytes));
        Ok(())
    }

    /// Sets the storage key of a block.
    pub fn set_key(&mut self, block: u64, key: u8) {
        self.keys.insert(block & !0xfff, key);
    }

    /// Returns what was loaded since the last call.
    pub fn loaded(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.loads.borrow_mut())
    }

    fn dumped(&self, at: u64) -> Option<[u8; 8]> {
        self.dumps.iter().find_map(|(base, bytes)| {
            let start = usize::try_from(at.checked_sub(*base)?).ok()?;
            bytes.get(start..start.checked_add(8)?)?.try_into().ok()
        })
    }

    /// Loads; `order` makes the bytes of a doubleword that was given as a number.
    fn load(&self, at: u64, order: fn(u64) -> [u8; 8]) -> Result<Option<[u8; 8]>, Missing> {
        if self.size.is_some_and(|size| at >= size) {
            return Ok(None);
        }
        let listed = self.words.get(&at).map(|value| order(*value));
        match listed.or_else(|| self.dumped(at)) {
            Some(bytes) => Ok(Some(bytes)),
            None => match self.rest {
                Rest::Unknown => Err(Missing(at)),
                Rest::Zero => Ok(Some([0; 8])),
                Rest::Absent => Ok(None),
            },
        }
    }
}

/// Returns eight bytes as a number.
fn doubleword(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Doublewords that are listed are as a little-endian load sees them.
impl TableMemory<Pa> for Memory {
    type Error = Missing;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Missing> {
        self.load(at.bits(), u64::to_le_bytes)
    }
}

/// The same, in all address spaces.
impl TableMemory<Located> for Memory {
    type Error = Missing;

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, Missing> {
        self.load(at.pa.bits(), u64::to_le_bytes)
    }
}

/// Doublewords that are listed are as a load sees them.
impl TableMemory<Absolute> for Memory {
    type Error = Missing;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Missing> {
        let bytes = self.load(at.bits(), u64::to_be_bytes)?;
        if let Some(bytes) = bytes {
            self.loads.borrow_mut().push((at.bits(), u64::from_be_bytes(bytes)));
        }
        Ok(bytes)
    }
}

/// Keys that are not given are 0. Without a size, storage is everywhere.
impl StorageKeys for Memory {
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, Missing> {
        let key = self.keys.get(&block.bits()).copied().unwrap_or(0);
        let there = self.size.is_none_or(|size| block.bits() < size);
        Ok(there.then_some(StorageKey::from_bits(key)))
    }
}
