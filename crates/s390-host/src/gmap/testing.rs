//! Storage, and a CPU that keeps every translation for as long as it is allowed to.
#![expect(clippy::arithmetic_side_effects, reason = "test code")]
extern crate std;
use mmu_xlate::TableMemory;
use mmu_xlate::dat::{Access, Features, Leaf, Translation, walk_asce};
use s390_arch::dat::{Asce, Virtual};
use s390_arch::pgm::AccessException;
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage, Frame, OutsideStorage};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::Vec;

/// Where a place lies, and whether so many bytes from there on are one frame.
pub(crate) type Places = fn(Absolute, u64) -> Option<Absolute>;

/// Absolute storage from 0 on.
#[derive(Debug)]
pub(crate) struct Memory(Vec<AtomicU64>, Places);

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self::scattered(bytes, |place, _| Some(place))
    }

    /// Storage whose owner sees its pages in another order.
    pub(crate) fn scattered(bytes: usize, places: Places) -> Self {
        Self((0..bytes / 8).map(|_| AtomicU64::new(0)).collect(), places)
    }

    fn word(&self, at: Absolute) -> Result<&AtomicU64, OutsideStorage> {
        let index = at.is_aligned(8).then(|| usize::try_from(at.bits() / 8).ok()).flatten();
        index.and_then(|index| self.0.get(index)).ok_or(OutsideStorage(at))
    }
}

impl AbsoluteStorage for Memory {
    fn load(&self, at: Absolute) -> Result<[u8; 8], OutsideStorage> {
        Ok(self.word(at)?.load(Ordering::SeqCst).to_ne_bytes())
    }
    fn store(&self, at: Absolute, bytes: [u8; 8]) -> Result<(), OutsideStorage> {
        self.word(at)?.store(u64::from_ne_bytes(bytes), Ordering::SeqCst);
        Ok(())
    }
    fn compare_and_swap(
        &self,
        at: Absolute,
        current: [u8; 8],
        new: [u8; 8],
    ) -> Result<Result<(), [u8; 8]>, OutsideStorage> {
        let (current, new) = (u64::from_ne_bytes(current), u64::from_ne_bytes(new));
        let swapped = self.word(at)?.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst);
        Ok(swapped.map(|_| ()).map_err(u64::to_ne_bytes))
    }
    fn frame(&self, at: Absolute) -> Result<&Frame, OutsideStorage> {
        let first = at.is_aligned(4096).then(|| usize::try_from(at.bits() / 8).ok()).flatten();
        first.and_then(|first| self.0.get(first..)?.first_chunk()).ok_or(OutsideStorage(at))
    }
    fn read_bytes(&self, at: Absolute, into: &mut [u8]) -> Result<(), OutsideStorage> {
        for (offset, byte) in (0..).zip(into) {
            let from = Absolute::new(at.bits() + offset);
            *byte = self.load(Absolute::new(from.bits() & !7))?[usize::try_from(from.bits() & 7).unwrap()];
        }
        Ok(())
    }
    fn write_bytes(&self, at: Absolute, from: &[u8]) -> Result<(), OutsideStorage> {
        for (offset, byte) in (0..).zip(from) {
            let to = at.bits() + offset;
            let mut word = self.load(Absolute::new(to & !7))?;
            word[usize::try_from(to & 7).unwrap()] = *byte;
            self.store(Absolute::new(to & !7), word)?;
        }
        Ok(())
    }
    fn frame_of(&self, place: Absolute, bytes: u64) -> Option<Absolute> {
        (self.1)(place, bytes)
    }
}

/// What a walk loaded.
struct Recorder<'a> {
    memory: &'a Memory,
    way: RefCell<Vec<Absolute>>,
}

impl TableMemory<Absolute> for Recorder<'_> {
    type Error = Infallible;
    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        self.way.borrow_mut().push(at);
        Ok(AbsoluteStorage::load(self.memory, at).ok())
    }
}

/// One translation that the CPU keeps.
#[derive(Debug)]
struct Kept {
    page: Absolute,
    protected: bool,
    /// The entries that it was formed from.
    way: Vec<Absolute>,
}

/// A CPU that forgets nothing but what it is told to, and exactly that. PoP ch. 10, INVALIDATE PAGE TABLE ENTRY and
/// INVALIDATE DAT TABLE ENTRY.
#[derive(Debug)]
pub(crate) struct Cpu<'a> {
    memory: &'a Memory,
    kept: Mutex<BTreeMap<u64, Kept>>,
    pub(crate) purges: AtomicU64,
}

impl<'a> Cpu<'a> {
    pub(crate) fn new(memory: &'a Memory) -> Self {
        Self { memory, kept: Mutex::default(), purges: AtomicU64::new(0) }
    }

    /// Accesses an address: where it led, or what is recognised.
    pub(crate) fn access(
        &self,
        asce: u64,
        address: u64,
        access: Access,
    ) -> Result<Absolute, AccessException> {
        let store = access == Access::Store;
        let mut kept = self.kept.lock().unwrap();
        if let Some(kept) = kept.get(&(address >> 12)) {
            if store && kept.protected {
                return Err(AccessException::Protection);
            }
            return Ok(Absolute::new(kept.page.bits() | address & 0xfff));
        }
        let recorder = Recorder { memory: self.memory, way: RefCell::default() };
        let address_in = Virtual::from_bits(address);
        let Ok(translation) = walk_asce(Asce::from_bits(asce), address_in, access, Features::ALL, &recorder);
        match translation {
            Translation::Fault(fault) => Err(fault.exception),
            Translation::Mapped(mapping) => {
                assert!(matches!(mapping.leaf, Leaf::Page | Leaf::Segment), "{:?}", mapping.leaf);
                let page = Absolute::new(mapping.absolute.bits() & !0xfff);
                let way = recorder.way.into_inner();
                kept.insert(address >> 12, Kept { page, protected: mapping.dat_protected, way });
                Ok(mapping.absolute)
            }
        }
    }

    fn invalidate(&self, entry: Absolute, bit: u64) {
        let old = self.memory.load_u64(entry).unwrap();
        self.memory.store_u64(entry, old | bit).unwrap();
        self.purges.fetch_add(1, Ordering::SeqCst);
        self.kept.lock().unwrap().retain(|_, kept| !kept.way.contains(&entry));
    }
}

impl HostControl for Cpu<'_> {
    fn ipte(&self, page_table: Absolute, address: u64, _asce: u64) {
        assert!(page_table.is_aligned(0x800));
        self.invalidate(Absolute::new(page_table.bits() + (address >> 12 & 0xff) * 8), 0x400);
    }
    fn idte(&self, entry: Absolute, _address: u64, _asce: u64) {
        self.invalidate(entry, 0x20);
    }
    fn idte_asce(&self, _asce: u64) {
        self.kept.lock().unwrap().clear();
    }
    fn ptlb(&self) {
        self.kept.lock().unwrap().clear();
    }
    fn request_exit(&self, _block: Absolute) {}
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
