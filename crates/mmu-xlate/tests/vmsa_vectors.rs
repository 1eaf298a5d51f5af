//! The walker against the answers of Arm's executable specification.
//!
//! `vectors/README.md` describes the file. Cases that need what is not modelled yet are counted by
//! the reason, never silently left out.
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

use arm_arch::{FaultStatus, Ipa, Va};
use flate2::read::GzDecoder;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, El1Registers, Fault, Implementation, Mapping, Params, Privilege, Translation, walk,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};

const VECTORS: &[u8] = include_bytes!("vectors/vmsa_public.jsonl.gz");

/// Features whose cases are skipped, in the order in which one is named as the reason.
const NOT_MODELLED: &[&str] = &["s2", "s12", "d128", "s1pie", "s1poe", "the", "aie", "gcs", "haft"];

/// Controls of TCR2_EL1 that are not modelled: some cases set them without naming the feature.
const TCR2_NOT_MODELLED: &[(&str, u64)] = &[
    ("PnCH", 1 << 0),
    ("PIE", 1 << 1),
    ("E0POE", 1 << 2),
    ("POE", 1 << 3),
    ("AIE", 1 << 4),
    ("D128", 1 << 5),
    ("HAFT", 1 << 11),
];

struct Memory(BTreeMap<u64, u64>);

impl TableMemory<Ipa> for Memory {
    type Error = Infallible;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Infallible> {
        Ok(Some(self.0.get(&at.bits()).copied().unwrap_or(0).to_le_bytes()))
    }
}

fn number(value: &Value) -> u128 {
    let text = value.as_str().expect("a number is a string");
    u128::from_str_radix(text.strip_prefix("0x").expect("in hexadecimal"), 16).unwrap()
}

fn register(case: &Value, name: &str) -> u64 {
    case["regs"].get(name).map_or(0, |value| number(value) as u64)
}

fn skip_reason(case: &Value) -> Option<String> {
    let regime = case["regime"].as_str().unwrap();
    if regime != "EL1&0" {
        return Some(format!("regime {regime}"));
    }
    let features: Vec<&str> =
        case["features"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    if let Some(name) = NOT_MODELLED.iter().find(|name| features.contains(name)) {
        return Some(format!("feature {name}"));
    }
    let tcr2 = register(case, "TCR2_EL1");
    TCR2_NOT_MODELLED.iter().find(|(_, bit)| tcr2 & bit != 0).map(|(name, _)| format!("TCR2_EL1.{name}"))
}

fn access(query: &Value) -> Access {
    let access = &query["access"];
    let flag = |name: &str| access.get(name).and_then(Value::as_u64).unwrap_or(0) == 1;
    let mut privilege = if access["el"].as_u64() == Some(0) || flag("unpriv") {
        Privilege::Unprivileged
    } else {
        Privilege::Privileged
    };
    let mut pan = flag("pan");
    let kind = match access["kind"].as_str().unwrap() {
        "read" => AccessKind::Read,
        "write" => AccessKind::Write,
        "rmw" => AccessKind::Atomic,
        "ifetch" => AccessKind::Fetch,
        "dc_ivac" => AccessKind::Invalidate,
        "dc_cvac" => AccessKind::Clean,
        "dc_civac" => AccessKind::CleanInvalidate,
        "at" => {
            let op = access["op"].as_str().unwrap();
            let rest = op.strip_prefix("S1E").expect("a stage 1 operation");
            privilege = if rest.starts_with('0') { Privilege::Unprivileged } else { Privilege::Privileged };
            pan &= op.ends_with('P');
            if rest[1..].starts_with('R') { AccessKind::AtRead } else { AccessKind::AtWrite }
        }
        other => panic!("unknown kind {other}"),
    };
    Access::new(kind, privilege).with_pan(pan)
}

fn check_mapping(mapping: &Mapping<Ipa>, query: &Value, is_at: bool) -> Result<(), String> {
    let expect = &query["expect"];
    let Some(pa) = expect.get("pa") else { return Err(format!("{mapping:x?} where a fault was due")) };
    let output = if is_at { mapping.output.bits() & !0xfff } else { mapping.output.bits() };
    let got = (
        u128::from(output),
        u128::from(mapping.attributes.byte()),
        u64::from(mapping.attributes.shareability().encode()),
    );
    let want = (number(pa), number(&expect["attr"]), expect["sh"].as_u64().unwrap());
    if got != want {
        return Err(format!("got pa, attr, sh {got:x?}, want {want:x?}"));
    }
    let updates: Vec<(u128, u128)> = query
        .get("updates")
        .and_then(Value::as_array)
        .map(|list| list.iter().map(|pair| (number(&pair[0]), number(&pair[1]))).collect())
        .unwrap_or_default();
    let made: Vec<(u128, u128)> = mapping
        .update
        .iter()
        .map(|update| {
            let new = if update.big_endian { update.new.swap_bytes() } else { update.new };
            (u128::from(update.at.bits()), u128::from(new))
        })
        .collect();
    // The architecture permits access flag updates by AT and does not require them; we make none.
    if !is_at && made != updates {
        return Err(format!("updates {made:x?}, want {updates:x?}"));
    }
    if is_at && !made.is_empty() {
        return Err(format!("AT updates {made:x?}"));
    }
    if is_at {
        let mask = 0xff00_0000_0000_0000 | 0x00ff_ffff_ffff_f000 | 0x180 | 1;
        let want = number(&expect["par"]) as u64;
        if (mapping.par() ^ want) & mask != 0 {
            return Err(format!("PAR {:#x}, want {want:#x}", mapping.par()));
        }
    }
    Ok(())
}

fn check_fault(fault: &Fault, query: &Value, is_at: bool) -> Result<(), String> {
    let expect = &query["expect"];
    let Some(want) = expect.get("fault") else { return Err(format!("{fault:?} where a mapping was due")) };
    let (name, level) = match fault.status {
        FaultStatus::Translation(level) => ("translation", level),
        FaultStatus::AddressSize(level) => ("address_size", level),
        FaultStatus::AccessFlag(level) => ("access_flag", level),
        FaultStatus::Permission(level) => ("permission", level),
        other => return Err(format!("unexpected {other:?}")),
    };
    let got = (name, u128::from(fault.status.encode()), i64::from(level.number()));
    let wanted = (want["type"].as_str().unwrap(), number(&want["fsc"]), want["level"].as_i64().unwrap());
    if got != wanted {
        return Err(format!("got {got:x?}, want {wanted:x?}"));
    }
    if want["s2"].as_u64().unwrap() != 0 || want["s1ptw"].as_u64().unwrap() != 0 || fault.s1ptw {
        return Err("a stage 2 fault with one stage".into());
    }
    if let Some(wnr) = want.get("wnr") {
        if wnr.as_u64() != Some(u64::from(fault.write)) {
            return Err(format!("WnR {}, want {wnr}", fault.write));
        }
    }
    if is_at {
        let want = number(&expect["par"]) as u64;
        if (fault.par() ^ want) & (0x3 << 8 | 0x7f) != 0 {
            return Err(format!("PAR {:#x}, want {want:#x}", fault.par()));
        }
    }
    Ok(())
}

fn check(params: &Params, memory: &Memory, query: &Value) -> Result<(), String> {
    let access = access(query);
    let is_at = query["access"]["kind"] == "at";
    let va = Va::new(number(&query["va"]) as u64);
    let Ok(translation) = walk(params, va, access, memory);
    match &translation {
        Translation::Mapped(mapping) => check_mapping(mapping, query, is_at),
        Translation::Fault(fault) => check_fault(fault, query, is_at),
    }
}

#[test]
fn stage_1_answers_what_the_executable_specification_answers() {
    let (mut cases, mut queries, mut failures) = (0, 0, Vec::new());
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    for line in BufReader::new(GzDecoder::new(VECTORS)).lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(reason) = skip_reason(&case) {
            *skipped.entry(reason).or_default() += 1;
            continue;
        }
        let registers = El1Registers {
            sctlr: register(&case, "SCTLR_EL1"),
            tcr: register(&case, "TCR_EL1"),
            ttbr0: register(&case, "TTBR0_EL1"),
            ttbr1: register(&case, "TTBR1_EL1"),
            mair: register(&case, "MAIR_EL1"),
            hcr: register(&case, "HCR_EL2"),
        };
        let implementation = Implementation {
            pa_bits: u8::try_from(case["pamax"].as_u64().unwrap()).unwrap(),
            ..Implementation::ALL
        };
        let params = Params::el1(&registers, &implementation);
        let memory = Memory(
            case["mem"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (number(&pair[0]) as u64, number(&pair[1]) as u64))
                .collect(),
        );
        cases += 1;
        for query in case["queries"].as_array().unwrap() {
            queries += 1;
            if let Err(difference) = check(&params, &memory, query) {
                failures.push(format!("{} {query}\n    {difference}", case["id"]));
            }
        }
    }
    println!("{cases} cases, {queries} queries; cases skipped: {skipped:?}");
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
    let all = cases + skipped.values().sum::<usize>();
    assert_eq!(all, 6049, "the file is whole");
    assert!(queries > 4000, "{queries} queries");
}
