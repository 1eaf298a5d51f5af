//! The walker against stored answers of QEMU's AT instructions: registers, descriptors, queries and PAR_EL1, whole.
//!
//! `cargo xtask oracle at --store` wrote the file; `docs/differences.md` says which queries it leaves out.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test"
)]

use arm_arch::{ExceptionLevel, FaultStatus, Pa, Va};
use flate2::read::GzDecoder;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    AtContext, AtExecution, AtOperation, HardwareUpdates, Implementation, Registers, Stage1Registers,
    execute_at,
};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io::Read;

const NON_SECURE: &[u8] = include_bytes!("vectors/at_sample.bin.gz");
const SECURE: &[u8] = include_bytes!("vectors/at_sample_secure.bin.gz");
const EL3: &[u8] = include_bytes!("vectors/at_sample_el3.bin.gz");

/// `-cpu max` of QEMU 11.1.3, by its ID registers.
const MACHINE: Implementation = Implementation {
    lva3: false,
    d128: false,
    hafdbs: HardwareUpdates::DirtyState,
    mtx: false,
    s1poe: false,
    s2poe: false,
    the: false,
    ..Implementation::ALL
};

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().expect("the file is whole");
        self.0 = rest;
        first
    }

    fn word(&mut self) -> u64 {
        let (first, rest) = self.0.split_first_chunk::<8>().expect("the file is whole");
        self.0 = rest;
        u64::from_le_bytes(*first)
    }

    /// A number as LEB128.
    fn number(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number of more than 64 bits");
    }
}

/// All that is not listed is 0 up to 4 GiB; from there on there is no memory.
struct Memory(HashMap<u64, u64>);

impl TableMemory<Pa> for Memory {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        assert_eq!(at.bits() % 8, 0, "descriptors are aligned");
        let value = self.0.get(&at.bits()).copied().unwrap_or(0);
        Ok((at.bits() < 1 << 32).then_some(value.to_le_bytes()))
    }
}

/// Takes the registers apart, in the order of the file.
fn registers(r: &[u64; 33]) -> (Registers, bool) {
    let stage = |sctlr: usize, tcr: usize, mair2: usize| Stage1Registers {
        sctlr: r[sctlr],
        tcr: r[tcr],
        tcr2: r[tcr + 1],
        ttbr0: r[tcr + 2].into(),
        ttbr1: r[tcr + 3].into(),
        mair: r[mair2 - 1],
        mair2: r[mair2],
        pir: r[mair2 + 1],
        pire0: r[mair2 + 2],
        por: 0,
    };
    let el3 = Stage1Registers {
        sctlr: r[27],
        tcr: r[28],
        ttbr0: r[29].into(),
        mair: r[30],
        mair2: r[31],
        pir: r[32],
        ..Stage1Registers::default()
    };
    let all = Registers {
        el3,
        scr_el3: r[0],
        hcr_el2: r[1],
        hcrx_el2: r[2],
        el1: stage(3, 4, 9),
        el2: stage(12, 13, 18),
        vtcr_el2: r[21],
        vttbr_el2: r[22].into(),
        vstcr_el2: r[23],
        vsttbr_el2: r[24],
        s2pir_el2: r[25],
        ..Registers::default()
    };
    (all, r[26] != 0)
}

/// What was answered, and how that is written in a failure.
fn expected(file: &mut Reader<'_>) -> (u64, u64) {
    match file.byte() {
        0 => (0, file.word()),
        _ => (u64::from(file.byte()), u64::from(file.byte())),
    }
}

/// An instruction that is UNDEFINED, which no PAR_EL1 can be: it has bit 11 set.
const UNDEFINED: (u64, u64) = (0, 0);

/// The walker's answer in the same form.
fn answered(outcome: AtExecution) -> (u64, u64) {
    match outcome {
        AtExecution::Par(par) => (0, par as u64),
        AtExecution::Abort { fault, .. } => {
            (0x25, u64::from(fault.status.encode() | u8::from(fault.s1ptw) << 7))
        }
        AtExecution::Undefined { .. } => UNDEFINED,
        AtExecution::Trapped { .. } => (0x18, 0),
    }
}

fn kind((class, value): (u64, u64)) -> String {
    match (class, value & 1) {
        _ if (class, value) == UNDEFINED => "undefined".into(),
        (0, 0) => "mapped".into(),
        (0, _) => {
            let status = FaultStatus::decode((value >> 1 & 0x3f) as u8).expect("a status");
            format!("{status:?} stage 2 {} on tables {}", value >> 9 & 1, value >> 8 & 1)
        }
        _ => format!("abort {:?}", FaultStatus::decode((value & 0x3f) as u8)),
    }
}

/// Asks all queries of a file; returns how many there are, and of what kinds.
fn ask(sample: &[u8]) -> (u32, BTreeMap<String, u32>) {
    let mut bytes = Vec::new();
    GzDecoder::new(sample).read_to_end(&mut bytes).unwrap();
    let (magic, rest) = bytes.split_at(8);
    let count = match magic {
        b"XATSAMP1" => 27,
        b"XATSAMP2" => 33,
        _ => panic!("the magic is {magic:?}"),
    };
    let mut file = Reader(rest);
    for _ in 0..file.number() {
        file.byte();
    }
    let (mut queries, mut failures) = (0, Vec::new());
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    while !file.0.is_empty() {
        let mut raw = [0; 33];
        raw[..count].iter_mut().for_each(|register| *register = file.number());
        let (registers, pan) = registers(&raw);
        let mut at_ = 0;
        let memory = (0..file.number())
            .map(|_| {
                at_ += file.number() * 8;
                (at_, file.word())
            })
            .collect();
        let memory = Memory(memory);
        for _ in 0..file.number() {
            let (name, operation) = AtOperation::ALL[usize::from(file.byte())];
            let va = Va::new(file.word());
            let want = expected(&mut file);
            let context = AtContext { el: ExceptionLevel::El3, pan };
            let machine = (&registers, &MACHINE);
            let Ok(outcome) = execute_at((operation, 0), va, context, machine, &memory, &mut ());
            let got = answered(outcome);
            // `PAR_EL1.NS` of a mapping is UNKNOWN outside Secure state, in which EL3 is.
            let secure = raw[0] & 1 == 0 || name.starts_with("S1E3");
            let ignored = if want.0 == 0 && want.1 & 1 == 0 && !secure { 1 << 9 } else { 0 };
            if got.0 != want.0 || (got.1 ^ want.1) & !ignored != 0 {
                failures.push(format!("AT {name} {va:?}: got {got:x?}, want {want:x?}, registers {raw:x?}"));
            }
            *kinds.entry(kind(want)).or_default() += 1;
            queries += 1;
        }
    }
    println!("{queries} queries: {kinds:#?}");
    let show = failures.len().min(10);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures[..show].join("\n"));
    assert!(kinds["mapped"] > queries * 2 / 5, "most walks reach a leaf");
    (queries, kinds)
}

#[test]
fn every_stored_query_answers_as_it_did_on_the_emulator() {
    let (queries, kinds) = ask(NON_SECURE);
    assert_eq!(queries, 50_991, "the file is whole");
    assert!(kinds.len() >= 50, "all kinds of faults are there: {kinds:?}");
}

#[test]
fn every_stored_query_in_secure_state_answers_as_it_did_on_the_emulator() {
    let (queries, kinds) = ask(SECURE);
    assert_eq!(queries, 5_397, "the file is whole");
    assert!(kinds.len() >= 50, "all kinds of faults are there: {kinds:?}");
}

#[test]
fn every_stored_query_at_el3_answers_as_it_did_on_the_emulator() {
    let (queries, kinds) = ask(EL3);
    assert_eq!(queries, 3_226, "the file is whole");
    assert!(kinds.len() >= 18, "all kinds of faults are there: {kinds:?}");
}
