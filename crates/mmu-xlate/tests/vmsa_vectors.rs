//! The walker against the answers of Arm's executable specification.
//!
//! `vectors/README.md` describes the file. Every query is asked: nothing is skipped.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use arm_arch::{ExceptionLevel, FaultStatus, Pa, Va};
use flate2::read::GzDecoder;
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtOperation, AtOutcome, Fault, Implementation, Mapping, Privilege,
    Qualifiers, Recorder, Regime, Registers, Rule, Stage, Step, TableCache, Translation, Translator, at,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};

const VECTORS: &[u8] = include_bytes!("vectors/vmsa_public.jsonl.gz");

/// Doublewords by address, as a little-endian load sees them; all others are 0.
#[derive(Clone)]
struct Memory(RefCell<BTreeMap<u64, u64>>);

impl Memory {
    fn bytes(&self, at: Pa) -> [u8; 8] {
        self.0.borrow().get(&at.bits()).copied().unwrap_or(0).to_le_bytes()
    }
}

impl TableMemory<Pa> for Memory {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        assert_eq!(at.bits() % 8, 0, "descriptors are aligned");
        Ok(Some(self.bytes(at)))
    }
}

impl TableUpdate<Pa> for Memory {
    fn compare_exchange(&self, at: Pa, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Infallible> {
        if self.bytes(at) != old {
            return Ok(Swap::Lost);
        }
        self.0.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        Ok(Swap::Done)
    }

    fn compare_exchange_pair(
        &self,
        at: Pa,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Infallible> {
        let second = Pa::new(at.bits() + 8);
        if [self.bytes(at), self.bytes(second)] != old {
            return Ok(Swap::Lost);
        }
        for (at, new) in [at, second].into_iter().zip(new) {
            self.0.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        }
        Ok(Swap::Done)
    }
}

/// What a walk would have written: the bits that change, by address, as memory has them.
#[derive(Default)]
struct Updates(BTreeMap<u64, (u64, u64)>);

impl Recorder for Updates {
    fn record(&mut self, step: Step) {
        if let Step::Update(update) = step {
            let stored = |value: u64| if update.big_endian { value.swap_bytes() } else { value };
            let entry = self.0.entry(update.at).or_insert((stored(update.old), 0));
            entry.1 |= stored(update.old ^ update.new);
        }
    }
}

fn number(value: &Value) -> u128 {
    let text = value.as_str().expect("a number is a string");
    u128::from_str_radix(text.strip_prefix("0x").expect("in hexadecimal"), 16).unwrap()
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_u64).unwrap_or(0) == 1
}

fn registers(case: &Value) -> Registers {
    let mut all = Registers::default();
    for (name, value) in case["regs"].as_object().unwrap() {
        let value = number(value);
        let low = value as u64;
        let level = match &name[name.len() - 4..] {
            "_EL1" => &mut all.el1,
            _ => &mut all.el2,
        };
        match &name[..name.len() - 4] {
            "SCTLR" => level.sctlr = low,
            "TCR" => level.tcr = low,
            "TCR2" => level.tcr2 = low,
            "TTBR0" => level.ttbr0 = value,
            "TTBR1" => level.ttbr1 = value,
            "MAIR" => level.mair = low,
            "MAIR2" => level.mair2 = low,
            "PIR" => level.pir = low,
            "PIRE0" => level.pire0 = low,
            "POR" if name == "POR_EL0" => all.por_el0 = low,
            "POR" => level.por = low,
            "SCR" => all.scr_el3 = low,
            "HCR" => all.hcr_el2 = low,
            "HCRX" => all.hcrx_el2 = low,
            "VTCR" => all.vtcr_el2 = low,
            "VTTBR" => all.vttbr_el2 = value,
            "S2PIR" => all.s2pir_el2 = low,
            "S2POR" => all.s2por_el1 = low,
            other => panic!("unknown register {other}"),
        }
    }
    all
}

fn access(query: &Value) -> Access {
    let access = &query["access"];
    let privilege = if access["el"].as_u64() == Some(0) || flag(access, "unpriv") {
        Privilege::Unprivileged
    } else {
        Privilege::Privileged
    };
    let kind = match access["kind"].as_str().unwrap() {
        "read" => AccessKind::Read,
        "write" => AccessKind::Write,
        "rmw" => AccessKind::Atomic,
        "ifetch" => AccessKind::Fetch,
        "dc_ivac" => AccessKind::Invalidate,
        "dc_cvac" => AccessKind::Clean,
        "dc_civac" => AccessKind::CleanInvalidate,
        "gcs_read" => AccessKind::GcsRead,
        "gcs_write" => AccessKind::GcsWrite,
        other => panic!("unknown kind {other}"),
    };
    Access::new(kind, privilege).with_pan(flag(access, "pan"))
}

fn check_mapping(mapping: &Mapping<Pa>, expect: &Value) -> Result<(), String> {
    let Some(pa) = expect.get("pa") else { return Err(format!("{mapping:x?} where a fault was due")) };
    let got = (
        u128::from(mapping.output.bits()),
        u128::from(mapping.attributes.byte()),
        u64::from(mapping.attributes.shareability().encode()),
    );
    let want = (number(pa), number(&expect["attr"]), expect["sh"].as_u64().unwrap());
    if got == want { Ok(()) } else { Err(format!("got pa, attr, sh {got:x?}, want {want:x?}")) }
}

fn check_fault(fault: &Fault, expect: &Value) -> Result<(), String> {
    let Some(want) = expect.get("fault") else { return Err(format!("{fault:x?} where a mapping was due")) };
    let (name, level) = match fault.status {
        FaultStatus::Translation(level) => ("translation", level),
        FaultStatus::AddressSize(level) => ("address_size", level),
        FaultStatus::AccessFlag(level) => ("access_flag", level),
        FaultStatus::Permission(level) => ("permission", level),
        other => return Err(format!("unexpected {other:?}")),
    };
    let qualifier = |one| fault.qualifiers.contains(one);
    let got = (
        (name, u128::from(fault.status.encode()), i64::from(level.number())),
        (fault.stage == Stage::Two, fault.s1ptw),
        [Qualifiers::OVERLAY, Qualifiers::DIRTY_BIT, Qualifiers::TOP_LEVEL, Qualifiers::ASSURED_ONLY]
            .map(qualifier),
        want.get("ipa").and(fault.ipa).map(|ipa| u128::from(ipa.bits())),
        want.get("wnr").map(|_| fault.write),
    );
    let wanted = (
        (want["type"].as_str().unwrap(), number(&want["fsc"]), want["level"].as_i64().unwrap()),
        (flag(want, "s2"), flag(want, "s1ptw")),
        ["overlay", "dirtybit", "toplevel", "assuredonly"].map(|name| flag(want, name)),
        want.get("ipa").map(number),
        want.get("wnr").map(|wnr| wnr.as_u64() == Some(1)),
    );
    if got == wanted { Ok(()) } else { Err(format!("got {got:x?}\n   want {wanted:x?}")) }
}

fn check_at(
    op: &str,
    (registers, implementation): (&Registers, &Implementation),
    memory: &Memory,
    query: &Value,
) -> Result<(), String> {
    let &(_, operation) = AtOperation::ALL.iter().find(|(name, _)| *name == op).expect("a name");
    let context = AtContext { el: ExceptionLevel::El2, pan: flag(&query["access"], "pan") };
    let va = Va::new(number(&query["va"]) as u64);
    let Ok(outcome) = at(operation, va, context, (registers, implementation), memory, &mut ());
    let AtOutcome::Par(par) = outcome else { return Err(format!("{outcome:x?}")) };
    let want = number(&query["expect"]["par"]);
    let mask: u128 = if want & 1 == 0 {
        // PA in either form, ATTR, SH, F and the mark of the 128-bit form.
        let pa = if want >> 64 & 1 == 1 { 0xfff_ffff_ffff << 76 } else { 0xff_ffff_ffff << 12 };
        pa | 1 << 64 | 0xff << 56 | 0x180 | 1
    } else {
        let permission = if want >> 1 & 0x3c == 0xc { 0xf000 } else { 0 };
        1 << 64 | permission | 0x300 | 0x7f
    };
    if (par ^ want) & mask == 0 { Ok(()) } else { Err(format!("PAR {par:#x}, want {want:#x}")) }
}

/// Asks once with the right to write and once without: both answers and the same updates.
fn check_access(translator: &Translator, memory: &Memory, query: &Value) -> Result<(), String> {
    let access = access(query);
    let va = Va::new(number(&query["va"]) as u64);
    let written = memory.clone();
    let Ok(translation) = translator.translate_updating(va, access, &written, &mut ());
    match &translation {
        Translation::Mapped(mapping) => check_mapping(mapping, &query["expect"])?,
        Translation::Fault(fault) => check_fault(fault, &query["expect"])?,
    }
    let want: BTreeMap<u64, u64> = query
        .get("updates")
        .and_then(Value::as_array)
        .map(|list| list.iter().map(|pair| (number(&pair[0]) as u64, number(&pair[1]) as u64)).collect())
        .unwrap_or_default();
    let before = memory.0.borrow();
    let made: BTreeMap<u64, u64> = written
        .0
        .into_inner()
        .into_iter()
        .filter(|(at, value)| before.get(at).copied().unwrap_or(0) != *value)
        .collect();
    if made != want {
        return Err(format!("updates {made:x?}, want {want:x?}"));
    }
    let mut recorded = Updates::default();
    let Ok(probed) = translator.translate(va, access, memory, &mut recorded);
    let recorded: BTreeMap<u64, u64> =
        recorded.0.into_iter().map(|(at, (old, changed))| (at, old ^ changed)).collect();
    if recorded != want {
        return Err(format!("recorded updates {recorded:x?}, want {want:x?}"));
    }
    match (probed, translation) {
        (Translation::Mapped(a), Translation::Mapped(b)) => check_same(a, b),
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!("a probe finds {a:x?}, a walk {b:x?}")),
    }
}

fn check_same(probed: Mapping<Pa>, walked: Mapping<Pa>) -> Result<(), String> {
    let probed = Mapping { update: None, ..probed };
    if probed == walked { Ok(()) } else { Err(format!("a probe finds {probed:x?}, a walk {walked:x?}")) }
}

/// The machine of a case, and its memory.
fn machine(case: &Value) -> (Translator, Registers, Implementation, Memory) {
    let registers = registers(case);
    let implementation = Implementation {
        pa_bits: u8::try_from(case["pamax"].as_u64().unwrap()).unwrap(),
        ..Implementation::ALL
    };
    let translator = Translator::new(regime(case), &registers, &implementation);
    let list = case["mem"].as_array().unwrap().iter();
    let memory = list.map(|pair| (number(&pair[0]) as u64, number(&pair[1]) as u64)).collect();
    (translator, registers, implementation, Memory(RefCell::new(memory)))
}

fn regime(case: &Value) -> Regime {
    match case["regime"].as_str().unwrap() {
        "EL1&0" => Regime::El1And0,
        "EL2&0" => Regime::El2And0,
        "EL2" => Regime::El2,
        other => panic!("unknown regime {other}"),
    }
}

#[test]
fn every_query_answers_what_the_executable_specification_answers() {
    let (mut cases, mut queries, mut failures) = (0, 0, Vec::new());
    let mut by_feature: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in BufReader::new(GzDecoder::new(VECTORS)).lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (translator, registers, implementation, memory) = machine(&case);
        cases += 1;
        for query in case["queries"].as_array().unwrap() {
            queries += 1;
            let result = match query["access"]["op"].as_str() {
                Some(op) => check_at(op, (&registers, &implementation), &memory, query),
                None => check_access(&translator, &memory, query),
            };
            for feature in case["features"].as_array().unwrap() {
                let count = by_feature.entry(feature.as_str().unwrap().into()).or_default();
                count.0 += usize::from(result.is_ok());
                count.1 += usize::from(result.is_err());
            }
            if let Err(difference) = result {
                failures.push(format!("{} {} {query}\n   {difference}", case["id"], case["features"]));
            }
        }
    }
    println!(
        "{cases} cases, {queries} queries: {} passed, {} failed",
        queries - failures.len(),
        failures.len()
    );
    println!("by feature (passed, failed): {by_feature:?}");
    assert_eq!((cases, queries), (6049, 35_550), "the file is whole");
    let show = std::env::var("SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures[..failures.len().min(show)].join("\n")
    );
}

/// How often stage 2 did not have to be asked.
#[derive(Default)]
struct Hits(usize);

impl Recorder for Hits {
    fn record(&mut self, step: Step) {
        self.0 += usize::from(matches!(step, Step::Decided { rule: Rule::FromCache, .. }));
    }
}

#[test]
fn a_cache_of_table_addresses_changes_no_answer() {
    let mut hits = Hits::default();
    for line in BufReader::new(GzDecoder::new(VECTORS)).lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (translator, _, _, memory) = machine(&case);
        // Two places: entries push each other out.
        let mut cache = TableCache::<2>::new();
        let mut updating = TableCache::<64>::new();
        let written = memory.clone();
        for query in case["queries"].as_array().unwrap() {
            if query["access"].get("op").is_some() {
                continue;
            }
            let (access, va) = (access(query), Va::new(number(&query["va"]) as u64));
            for _ in 0..2 {
                let plain = translator.translate(va, access, &memory, &mut ());
                let cached = translator.translate_cached(va, access, &memory, &mut hits, &mut cache);
                assert_eq!(plain, cached, "{} {query}", case["id"]);
            }
            // The tables settle as they are walked: the answers of both stay the same on the way.
            let plain = translator.translate(va, access, &written, &mut ());
            let cached = translator.translate_updating_cached(va, access, &written, &mut hits, &mut updating);
            match (plain, cached) {
                (Ok(Translation::Mapped(a)), Ok(Translation::Mapped(b))) => check_same(a, b).unwrap(),
                (a, b) => assert_eq!(a, b, "{} {query}", case["id"]),
            }
        }
    }
    println!("{} addresses of tables came from the cache", hits.0);
    assert!(hits.0 > 1_000, "{} hits", hits.0);
}
