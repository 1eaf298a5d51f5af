//! Seeds from `vmsa_public.jsonl.gz`.

use super::{Seeds, vectors};
use crate::codec::Input;
use crate::machine::{Asked, Machine};
use crate::memory::Contents;
use crate::vmsa_walk;
use arm_arch::{Pa, Va};
use flate2::read::GzDecoder;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{Access, Recorder, Step, Translator};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader};
use testkit::vectors::vmsa::{Asked as VectorAsked, Case};

/// One case in so many becomes a seed.
const EVERY: usize = 4;

/// Reads some of the cases.
fn cases() -> Result<Vec<Case>, String> {
    let path = vectors("vmsa_public.jsonl.gz");
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut cases = Vec::new();
    for (number, line) in BufReader::new(GzDecoder::new(file)).lines().enumerate() {
        let line = line.map_err(|error| format!("line {}: {error}", number + 1))?;
        if number % EVERY == 0 {
            cases.push(Case::parse(&line).map_err(|error| format!("line {}: {error}", number + 1))?);
        }
    }
    Ok(cases)
}

/// Listens, so that the walk is the one that inputs are laid out for.
struct Listener;

impl Recorder for Listener {
    fn record(&mut self, _: Step) {}
}

/// The memory of a case, which remembers what was read first.
struct Trace<'c> {
    words: &'c BTreeMap<u64, u64>,
    order: RefCell<Vec<u64>>,
}

impl TableMemory<Pa> for Trace<'_> {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        let mut order = self.order.borrow_mut();
        if !order.contains(&at.bits()) {
            order.push(at.bits());
        }
        Ok(Some(self.words.get(&at.bits()).copied().unwrap_or(0).to_le_bytes()))
    }
}

/// Returns what a walk reads, in its order.
fn words(case: &Case, translator: &Translator, va: Va, access: Access) -> Vec<u64> {
    let trace = Trace { words: &case.memory, order: RefCell::default() };
    let Ok(_) = translator.translate(va, access, &trace, &mut Listener);
    trace.order.into_inner().iter().map(|at| case.memory.get(at).copied().unwrap_or(0)).collect()
}

/// Returns a walk of each case, another one in turn.
pub fn walks() -> Result<Seeds, String> {
    let mut seeds = Vec::new();
    for (turn, case) in cases()?.iter().enumerate() {
        let accesses: Vec<_> = case
            .queries
            .iter()
            .filter_map(|query| match query.asked {
                VectorAsked::Access(access, _) => Some((query.va, access)),
                VectorAsked::At(..) => None,
            })
            .collect();
        if accesses.is_empty() {
            continue;
        }
        let (va, access) = accesses[turn % accesses.len()];
        let machine = Machine::of(case.regime, &case.registers, &case.implementation);
        let words = words(case, &case.translator(), va, access);
        let seed = vmsa_walk::Case {
            machine,
            asked: Asked::of(access),
            options: if turn % 3 == 0 { 5 } else { 0 },
            va: va.bits(),
            offset: va.bits() ^ 0xfff,
            contents: Contents { shape: if turn % 5 == 0 { 0x40 } else { 0 }, words, ..Contents::default() },
        };
        seeds.push(seed.write());
    }
    Ok(seeds)
}
