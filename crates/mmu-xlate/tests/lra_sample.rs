//! The walker against stored answers of QEMU's LOAD REAL ADDRESS: control registers, tables, addresses, whole.
//!
//! `cargo xtask oracle lra --store` wrote the file; `docs/differences.md` says which queries it leaves out.
#![cfg(feature = "dat")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used
)]

use flate2::read::GzDecoder;
use mmu_xlate::TableMemory;
use mmu_xlate::dat::{Facilities, Features, LoadRealAddress, load_real_address};
use s390_arch::addr::Absolute;
use s390_arch::cr::Cr0;
use s390_arch::dat::{Asce, Virtual};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io::Read;

const SAMPLE: &[u8] = include_bytes!("vectors/lra_sample.bin.gz");
/// `-cpu max` of QEMU 11.1.3: neither of the enhanced-DAT facilities.
const MACHINE: Facilities = Facilities { edat1: false, edat2: false, iep: true, fsi: true, esop2: true };

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn word(&mut self) -> u64 {
        let (first, rest) = self.0.split_first_chunk::<8>().expect("the file is whole");
        self.0 = rest;
        u64::from_be_bytes(*first)
    }
}

/// All that is not listed is 0 up to 2 GiB, where storage ends.
struct Storage(HashMap<u64, u64>);

impl TableMemory<Absolute> for Storage {
    type Error = Infallible;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        assert!(at.is_aligned(8), "{at} is not aligned");
        let value = self.0.get(&at.bits()).copied().unwrap_or(0);
        Ok((at.bits() < 2 << 30).then_some(value.to_be_bytes()))
    }
}

fn answered(outcome: LoadRealAddress) -> (u64, u64) {
    match (outcome, outcome.condition_code(), outcome.register()) {
        (_, Some(code), Some(register)) => (code.into(), register),
        (LoadRealAddress::Interrupted(exception), ..) => (4, exception.code().0.into()),
        (other, ..) => unreachable!("{other:?}"),
    }
}

#[test]
fn every_stored_address_is_what_the_emulator_loaded() {
    let mut bytes = Vec::new();
    GzDecoder::new(SAMPLE).read_to_end(&mut bytes).unwrap();
    let mut file = Reader(bytes.strip_prefix(b"XLRASAM1").expect("the magic"));
    let (mut queries, mut failures) = (0, Vec::new());
    let mut kinds: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    while !file.0.is_empty() {
        let cr0 = Cr0::from_bits(file.word());
        let asce = Asce::from_bits(file.word());
        let memory = (0..file.word()).map(|_| (file.word(), file.word())).collect();
        let memory = Storage(memory);
        let features = Features::effective(cr0, MACHINE);
        for _ in 0..file.word() {
            let address = Virtual::from_bits(file.word());
            let want = (file.word(), file.word());
            let Ok(outcome) = load_real_address(asce, address, features, &memory);
            let got = answered(outcome);
            if got != want {
                failures.push(format!("LRAG {address} by {asce:?}: got {got:x?}, want {want:x?}"));
            }
            *kinds.entry((want.0, if want.0 == 0 { 0 } else { want.1 })).or_default() += 1;
            queries += 1;
        }
    }
    println!("{queries} queries: {kinds:x?}");
    assert_eq!(queries, 4259, "the file is whole");
    // Translated; the ASCE type and the three region-table exceptions.
    for kind in [(0, 0), (3, 0x8000_0038), (3, 0x8000_0039), (3, 0x8000_003a), (3, 0x8000_003b)] {
        assert!(kinds.get(&kind).is_some_and(|&count| count > 20), "{kind:x?} is asked: {kinds:x?}");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
