//! Seeds from `vmsa_public.jsonl.gz`.

use super::{Seeds, vectors};
use crate::codec::Input;
use crate::machine::{Asked, Machine};
use crate::memory::Contents;
use crate::{at, combined_walk, tlbi, vmsa_walk};
use arm_arch::{Pa, Va};
use flate2::read::GzDecoder;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{Access, AtOperation, Recorder, Regime, Step, Translator};
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

/// Returns an AT of each case that has one.
pub fn instructions() -> Result<Seeds, String> {
    let mut seeds = Vec::new();
    for (turn, case) in cases()?.iter().enumerate() {
        let mut asked = case.queries.iter().filter_map(|query| match query.asked {
            VectorAsked::At(operation, pan) => Some((query.va, operation, pan)),
            VectorAsked::Access(..) => None,
        });
        let Some((va, operation, pan)) = asked.next() else { continue };
        let words = words(case, &case.translator(), va, operation.access(pan));
        let place = AtOperation::ALL.iter().position(|(_, one)| *one == operation).unwrap_or(0);
        let seed = at::Case {
            machine: Machine::of(case.regime, &case.registers, &case.implementation),
            operation: u8::try_from(place).unwrap_or(0),
            // At EL2, and at EL1 in turn.
            who: if turn % 2 == 0 { 2 } else { 1 } | u8::from(pan) << 2 | 0x18,
            fails_at: 31,
            va: va.bits(),
            id: operation.id().into_bits(),
            contents: Contents { words, ..Contents::default() },
        };
        seeds.push(seed.write());
    }
    Ok(seeds)
}

/// Returns a two-stage walk of each case that has one, with another instruction each.
pub fn maintenance() -> Result<Seeds, String> {
    let mut seeds = Vec::new();
    for case in cases()?.iter().filter(|case| case.translator().stage2.is_some()) {
        let asked = case.queries.iter().find_map(|query| match query.asked {
            VectorAsked::Access(access, _) => Some((query.va, access)),
            VectorAsked::At(..) => None,
        });
        let Some((va, access)) = asked else { continue };
        let turn = (seeds.len() % 251) as u8;
        let seed = tlbi::Case {
            instruction: turn,
            context: turn.rotate_left(3) & 0x3f | 0xd0,
            entry: turn.rotate_left(5) | 0x80,
            leaf: turn >> 1,
            vmid: 7,
            operand: va.bits() >> 12 & 0xfff_ffff_ffff | 0x42 << 48,
            machine: Machine::of(Regime::El1And0, &case.registers, &case.implementation),
            asked: Asked::of(access),
            va: va.bits(),
            victim: turn,
            change: 1 << (12 + turn % 32),
            contents: Contents { words: words(case, &case.translator(), va, access), ..Contents::default() },
            ..tlbi::Case::default()
        };
        seeds.push(seed.write());
    }
    Ok(seeds)
}

/// Returns walks of EL1&0 by themselves, over a host that is its own address space, and over tables.
pub fn over_a_host() -> Result<Seeds, String> {
    let mut seeds = Vec::new();
    let plain = |case: &&Case| case.regime == Regime::El1And0 && case.translator().stage2.is_none();
    for (turn, case) in cases()?.iter().filter(plain).enumerate() {
        let asked = case.queries.iter().find_map(|query| match query.asked {
            VectorAsked::Access(access, _) => Some((query.va, access)),
            VectorAsked::At(..) => None,
        });
        let Some((va, access)) = asked else { continue };
        // Storage is read as the host does.
        let words = words(case, &case.translator(), va, access).into_iter().map(u64::swap_bytes).collect();
        let seed = combined_walk::Case {
            machine: Machine::of(case.regime, &case.registers, &case.implementation),
            asked: Asked::of(access),
            options: if turn % 2 == 0 { 6 } else { 7 },
            fails_at: 0xff,
            va: va.bits(),
            offset: va.bits() ^ 0xfff,
            // Real space, or a region-first table.
            asce: if turn % 2 == 0 { 0x20 } else { 0xf },
            contents: Contents {
                shape: 0x40,
                words: if turn % 2 == 0 { words } else { Vec::new() },
                ..Contents::default()
            },
            ..combined_walk::Case::default()
        };
        seeds.push(seed.write());
    }
    Ok(seeds)
}
