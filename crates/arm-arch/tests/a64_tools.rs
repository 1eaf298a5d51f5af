//! The decoder against what GNU objdump and LLVM said of 16,000 words.
//!
//! `cargo xtask oracle a64 --words 16000 --seed 16 --store crates/arm-arch/tests/data/a64_words.tsv` wrote the sample, with
//! binutils 2.40 and LLVM 22. Where the two disagree, or `docs/differences-a64.md` has a reason to differ from both,
//! it says `?`.
#![cfg(feature = "a64")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, of a sample that is known"
)]

use arm_arch::a64::access::{self, Access, Atomic, Extend, Offset, Operation, Registers};
use arm_arch::a64::decode::decode;

struct Sample {
    word: u32,
    allocated: Option<bool>,
    operands: &'static str,
}

fn samples() -> impl Iterator<Item = Sample> {
    include_str!("data/a64_words.tsv").lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        Sample {
            word: u32::from_str_radix(columns[0], 16).unwrap(),
            allocated: match columns[1] {
                "+" => Some(true),
                "-" => Some(false),
                _ => None,
            },
            operands: columns[2],
        }
    })
}

/// Writes registers and address as the sample has them: numbers, then the bracket, without what is zero.
fn operands(access: Access) -> String {
    let mut registers: Vec<u8> = access.rs().into_iter().collect();
    if access.operation() == Operation::Atomic(Atomic::CompareAndSwap) && access.register_count() == 2 {
        registers.push(access.rs().unwrap() + 1);
    }
    registers.extend((0..access.register_count()).map(|n| (access.rt() + n) & 31));
    if matches!(access.registers(), Registers::Pair | Registers::PairHigh) {
        registers.pop();
        registers.extend(access.rt2());
    }
    let rn = access.rn();
    let address = match access.offset() {
        Offset::Immediate(0) => format!("[x{rn}]"),
        Offset::Immediate(by) => format!("[x{rn}, #{by}]"),
        Offset::PreIndexed(0) => format!("[x{rn}]!"),
        Offset::PreIndexed(by) => format!("[x{rn}, #{by}]!"),
        Offset::PostIndexed(by) => format!("[x{rn}], #{by}"),
        Offset::PostIndexedBy(rm) => format!("[x{rn}], x{rm}"),
        Offset::Register { rm, extend, shift } => {
            let (bank, name) = match extend {
                Extend::Uxtw => ("w", ", uxtw"),
                Extend::Sxtw => ("w", ", sxtw"),
                Extend::Sxtx => ("x", ", sxtx"),
                Extend::Lsl => ("x", ", lsl"),
            };
            match access.word() & (1 << 12) {
                0 => format!("[x{rn}, {bank}{rm}{}]", if extend == Extend::Lsl { "" } else { name }),
                _ if extend == Extend::Lsl && shift == 0 => format!("[x{rn}, {bank}{rm}]"),
                _ => format!("[x{rn}, {bank}{rm}{name} #{shift}]"),
            }
        }
        Offset::Literal(_) => String::new(),
    };
    let numbers: Vec<String> = registers.iter().map(ToString::to_string).collect();
    format!("{} {address}", numbers.join(" ")).trim().into()
}

#[test]
fn words_are_allocated_where_both_tools_say_so() {
    let (mut allocated, mut unallocated) = (0, 0);
    for sample in samples() {
        if let Some(want) = sample.allocated {
            assert_eq!(decode(sample.word).is_some(), want, "{:#010x}", sample.word);
            allocated += usize::from(want);
            unallocated += usize::from(!want);
        }
    }
    assert!(allocated > 6_000 && unallocated > 1_000, "{allocated} and {unallocated} compared");
}

#[test]
fn operands_of_accesses_are_as_printed() {
    let mut compared = 0;
    for sample in samples().filter(|sample| !sample.operands.is_empty()) {
        let access = access::decode(sample.word).unwrap();
        assert_eq!(operands(access), sample.operands, "{:#010x}", sample.word);
        compared += 1;
    }
    assert!(compared > 600, "{compared} compared");
}
