//! Seeds from `s390_dat.json`.

use super::{Seeds, vectors};
use crate::codec::Input;
use crate::dat_walk;
use crate::memory::Contents;
use mmu_xlate::TableMemory;
use mmu_xlate::dat::{Access, StorageKeys, walk};
use s390_arch::addr::Absolute;
use s390_arch::psw::AddressingMode;
use s390_arch::skey::StorageKey;
use std::cell::RefCell;
use std::convert::Infallible;
use testkit::vectors::dat::{Case, File, Storage};

/// Returns the cases of the file.
fn cases() -> Result<Vec<Case>, String> {
    let path = vectors("s390_dat.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(File::of(&value)?.cases)
}

/// The storage of a case, which remembers what was read.
struct Trace<'c> {
    storage: &'c Storage,
    words: RefCell<Vec<u64>>,
}

impl TableMemory<Absolute> for Trace<'_> {
    type Error = Infallible;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        let found = self.storage.load(at)?;
        self.words.borrow_mut().extend(found.map(u64::from_be_bytes));
        Ok(found)
    }
}

impl StorageKeys for Trace<'_> {
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, Infallible> {
        self.storage.storage_key(block)
    }
}

/// Returns a walk for each case.
pub fn walks() -> Result<Seeds, String> {
    let seeds = cases()?.into_iter().zip(0u8..).map(|(case, number)| {
        let trace = Trace { storage: &case.storage, words: RefCell::default() };
        let Ok(_) = walk(&case.params, &case.request, &trace);
        let access = match case.request.access {
            Access::Fetch => 0,
            Access::Store => 1,
            Access::InstructionFetch => 2,
        };
        let mode = match case.params.mode {
            AddressingMode::Bits64 => 0,
            AddressingMode::Bits31 => 1,
            AddressingMode::Bits24 => 2,
        };
        let features = case.params.features;
        let off = u8::from(case.params.asce.is_none()) << 6;
        // CR0 in as far as it counts.
        let cr0 = u64::from(features.edat1) << 23 | u64::from(features.iep) << 20;
        let lap = u64::from(case.params.lap) << 28
            | u64::from(case.params.fpo) << 25
            | u64::from(case.params.spo) << 24;
        let seed = dat_walk::Case {
            kind: access | case.params.space.into_bits() << 2 | mode << 4 | off,
            missing: u8::from(features.edat1 && !features.edat2) << 1,
            key: case.request.key.into_bits(),
            bytes: 1,
            cr0: cr0 | lap,
            prefix: case.params.prefix.area().bits(),
            asce: case.asce.into_bits(),
            address: case.request.address,
            offset: case.request.address ^ 0xfff,
            fails_at: number,
            contents: Contents {
                shape: (63 - case.storage.size.leading_zeros().min(63) as u8) & 63 | (number & 1) << 6,
                words: trace.words.into_inner(),
                ..Contents::default()
            },
        };
        seed.write()
    });
    Ok(seeds.collect())
}
