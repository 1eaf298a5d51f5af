//! Each low bit of each table entry on a walk of five levels, both ways: what PoP ch. 3 says of it is what happens, and what
//! has been loaded is not loaded again.
#![cfg(feature = "dat")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use mmu_xlate::TableMemory;
use mmu_xlate::dat::{Access, Cause, Features, Leaf, Translation, walk_asce};
use s390_arch::addr::Absolute;
use s390_arch::dat::{Asce, Virtual};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Doublewords, all others zero, and where has been loaded from.
struct Storage {
    words: BTreeMap<u64, u64>,
    loads: RefCell<Vec<u64>>,
}

impl TableMemory<Absolute> for Storage {
    type Error = Infallible;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        self.loads.borrow_mut().push(at.bits());
        let word = self.words.get(&at.bits()).copied().unwrap_or(0);
        Ok(Some(word.to_be_bytes()))
    }
}

/// Region-first to page table, full length: where each lies, and what its entry is. TT is 11, 10, 01, 00.
const TABLES: [(u64, u64); 5] = [
    (0x10_0000, 0x11_000f),
    (0x11_0000, 0x12_000b),
    (0x12_0000, 0x13_0007),
    (0x13_0000, 0x14_0000),
    (0x14_0000, 0x234_5000),
];
/// Lowest address bit of each index; that of the page table has eight bits, the others eleven.
const SHIFTS: [u32; 5] = [53, 42, 31, 20, 12];

/// The address whose upper four indices are in a quarter of their tables, and the entries that it meets.
fn scenario(quarter: u64) -> (u64, [u64; 5], Storage) {
    let index = |level: usize| if level == 4 { 0x5a } else { quarter << 9 | 0x2a };
    let mut address = 0x678;
    let mut places = [0; 5];
    let mut words = BTreeMap::new();
    for (level, ((table, entry), shift)) in TABLES.into_iter().zip(SHIFTS).enumerate() {
        address |= index(level) << shift;
        let at = table + 8 * index(level);
        places[level] = at;
        words.insert(at, entry);
    }
    (address, places, Storage { words, loads: RefCell::default() })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Page,
    Protected,
    NotExecuted,
    Frame(Leaf),
    Stops(Cause),
}

/// What bit `bit` (from the right) of an entry does when it is inverted. PoP ch. 3, "Region-Table Entries", "Segment-Table
/// Entries", "Page-Table Entries", "Translation Process".
fn want(level: usize, bit: u32, quarter: u64, features: Features) -> Want {
    let Features { edat1, edat2, .. } = features;
    match (level, bit) {
        // TL: one bit clear, the last quarter is 2 or 1. TF: the first quarter is 1 or 2. Of the next table, whose
        // index is in `quarter`.
        (0..=2, 0) if quarter == 3 => Want::Stops(Cause::Length),
        (0..=2, 1) if quarter >= 2 => Want::Stops(Cause::Length),
        (0..=2, 6) if quarter < 1 => Want::Stops(Cause::Length),
        (0..=2, 7) if quarter < 2 => Want::Stops(Cause::Length),
        (0..=3, 2 | 3) => Want::Stops(Cause::Type),
        (0..=3, 5) | (4, 10) => Want::Stops(Cause::Invalid),
        (4, 11) => Want::Stops(Cause::Bit52),
        (0..=2, 9) if edat1 => Want::Protected,
        (3 | 4, 9) => Want::Protected,
        (4, 8) => Want::NotExecuted,
        // FC.
        (2, 10) if edat2 => Want::Frame(Leaf::Region),
        (3, 10) if edat1 => Want::Frame(Leaf::Segment),
        // Common, in a space that is not private; what is ignored.
        _ => Want::Page,
    }
}

#[test]
fn each_bit_of_an_entry_does_what_the_manual_says() {
    let mut met = BTreeSet::new();
    for quarter in 0..4 {
        for features in [
            Features::ALL,
            Features { edat2: false, ..Features::ALL },
            Features { edat1: false, edat2: false, ..Features::ALL },
        ] {
            for level in 0..5 {
                for bit in (0..12).filter(|bit| level != 3 || *bit != 11) {
                    let (address, places, mut storage) = scenario(quarter);
                    *storage.words.entry(places[level]).or_default() ^= 1 << bit;
                    let case = format!("level {level}, bit {bit}, quarter {quarter}, {features:?}");
                    let asce = Asce::from_bits(0x10_000f);
                    let Ok(answer) =
                        walk_asce(asce, Virtual::from_bits(address), Access::Fetch, features, &storage);
                    let want = want(level, bit, quarter, features);
                    match answer {
                        Translation::Mapped(mapping) => {
                            let got = match (mapping.leaf, mapping.dat_protected) {
                                (leaf @ (Leaf::Segment | Leaf::Region), _) => Want::Frame(leaf),
                                _ if mapping.instruction_protected => Want::NotExecuted,
                                (_, true) => Want::Protected,
                                (_, false) => Want::Page,
                            };
                            assert_eq!(got, want, "{case}");
                            if mapping.leaf == Leaf::Page {
                                assert_eq!(mapping.absolute, Absolute::new(0x234_5678), "{case}");
                                assert_eq!(
                                    mapping.entry.map(|entry| entry.at.bits()),
                                    Some(places[4]),
                                    "{case}"
                                );
                            }
                        }
                        Translation::Fault(fault) => assert_eq!(Want::Stops(fault.cause), want, "{case}"),
                    }
                    let last = match want {
                        Want::Frame(_) | Want::Stops(_) => level,
                        Want::Page | Want::Protected | Want::NotExecuted => 4,
                    };
                    // Each table once, and none below the one that ends it.
                    assert_eq!(storage.loads.into_inner().as_slice(), &places[..=last], "{case}");
                    met.insert(format!("{want:?}"));
                }
            }
        }
    }
    assert_eq!(met.len(), 9, "{met:?}");
}

/// All bits that a plain entry has clear, and none that it has set: TF, I, FC, what is common, TT inverted; of a page I and bit
/// 52. I is looked at first. PoP ch. 3, "Translation Process".
#[test]
fn an_entry_with_all_that_a_plain_one_lacks_is_invalid() {
    for (level, entry) in [0xe0, 0xe4, 0x4f8, 0x43c, 0xc00].into_iter().enumerate() {
        let (address, places, mut storage) = scenario(1);
        storage.words.insert(places[level], entry);
        let (asce, address) = (Asce::from_bits(0x10_000f), Virtual::from_bits(address));
        let Ok(answer) = walk_asce(asce, address, Access::Fetch, Features::ALL, &storage);
        let cause = match answer {
            Translation::Fault(fault) => Some(fault.cause),
            Translation::Mapped(_) => None,
        };
        assert_eq!(cause, Some(Cause::Invalid), "level {level}: {answer:x?}");
    }
}
