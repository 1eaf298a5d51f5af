//! `a64_decode`: both decoders of A64, over a few words at a time.
//!
//! For any word:
//!
//! - either decoder answers, the same each time, and keeps the word;
//! - the fields of an instruction lie within the word in falling order, do not overlap, and hold the word's bits; a word
//!   with other operands in the same fields that decodes to the same row has the same name, class and fields;
//! - what is written is not empty, has no control characters, and begins with a letter;
//! - the trap subset decodes allocated words only, those of loads, stores and system instructions: what the complete decoder
//!   has unallocated is no access that can be emulated;
//! - an access has the registers, sizes and offsets that its form may have: 1 to 4 registers below 32, at most 64 bytes, an
//!   offset within its field, writeback exactly where the offset says so, reads and writes as the operation says;
//! - Rt and Rn are where A64 has them, in bits 4:0 and 9:5.

use crate::codec::{Codec, Input, arbitrary_input};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::a64::access::{self, Access, Address, Offset, Operation, Transfer};
use arm_arch::a64::decode::{self, Instruction};
use std::fmt::Write;

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Words.
    pub words: Vec<u32>,
    /// Other operands for each.
    pub noise: u32,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.half(&mut self.noise);
        codec.rest(&mut self.words, 16, C::half);
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    case.words.iter().any(|word| decode::decode(*word).is_some())
}

impl Case {
    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        for word in &self.words {
            let instruction = decode::decode(*word);
            if let Some(instruction) = instruction {
                complete(*word, &instruction, self.noise);
            }
            if let Some(access) = access::decode(*word) {
                // What is refused may be more: there are reserved sizes of copies and sets.
                let refused = matches!(access.operation(), Operation::Refused(_));
                assert!(instruction.is_some() || refused, "{word:#010x} is {access:?}, and unallocated");
                subset(*word, access);
            }
        }
    }
}

fn complete(word: u32, instruction: &Instruction, noise: u32) {
    assert_eq!(instruction.word(), word);
    assert!(!instruction.name().is_empty() && !instruction.mnemonic().is_empty(), "{word:#010x}");
    assert!(instruction.group().ends_with(instruction.class()), "{word:#010x}");
    let mut below = 32;
    let mut operands = 0u32;
    for (field, value) in instruction.fields() {
        let (low, width) = (u32::from(field.low), u32::from(field.high + 1 - field.low));
        assert!(width >= 1 && low + width <= below, "{word:#010x}: {field:?}");
        below = low;
        let bits = (u64::from(u32::MAX) >> (32 - width)) as u32;
        assert_eq!(word >> low & bits, value, "{word:#010x}: {field:?}");
        assert_eq!(instruction.field(field.name), Some(value), "{word:#010x}: {field:?}");
        operands |= bits << low;
    }
    let mut text = String::new();
    assert!(write!(text, "{instruction}").is_ok());
    let first = text.chars().next();
    assert!(first.is_some_and(char::is_alphabetic), "{word:#010x}: {text:?}");
    assert!(!text.chars().any(char::is_control) && text.trim() == text, "{word:#010x}: {text:?}");
    let other = word ^ noise & operands;
    if let Some(other) = decode::decode(other).filter(|other| other.name() == instruction.name()) {
        assert_eq!((other.group(), other.class()), (instruction.group(), instruction.class()));
        let same =
            other.fields().map(|(field, _)| field.name).eq(instruction.fields().map(|(field, _)| field.name));
        assert!(same, "{word:#010x} and {:#010x}", other.word());
    }
}

fn subset(word: u32, access: Access) {
    assert_eq!(access.word(), word);
    // Loads and stores have 1x0 in bits 28:26 and 27:25, system instructions 0xd5 on top.
    let system = word >> 24 == 0xd5;
    assert!(word & 0x0a00_0000 == 0x0800_0000 || system, "{word:#010x} is {access:?}");
    assert_eq!((access.rt(), access.rn()), ((word & 31) as u8, (word >> 5 & 31) as u8), "{word:#010x}");
    let registers = [Some(access.rt()), access.rt2(), Some(access.rn()), access.rs()];
    assert!(registers.into_iter().flatten().all(|register| register < 32), "{word:#010x}");
    assert!(access.register_count() <= 4 && access.size_log2() <= 4, "{word:#010x}");
    let refused = matches!(access.operation(), Operation::Refused(_));
    assert!(access.bytes() <= 64 || refused, "{word:#010x}: {} bytes", access.bytes());
    let transfers = access.is_read() || access.is_write();
    let block = access.operation() == Operation::ZeroBlock;
    assert!(access.register_count() > 0 || !transfers || block, "{word:#010x}: nothing is transferred");
    let writeback = match access.offset() {
        Offset::Immediate(offset) => {
            within(word, access, offset);
            false
        }
        Offset::PreIndexed(offset) | Offset::PostIndexed(offset) => {
            within(word, access, offset);
            true
        }
        Offset::PostIndexedBy(rm) => rm < 31,
        Offset::Literal(offset) => {
            assert!(offset % 4 == 0 && (-(1 << 20)..1 << 20).contains(&offset), "{word:#010x}");
            assert_eq!(access.address(), Address::Literal);
            false
        }
        Offset::Register { rm, shift, .. } => {
            assert!(rm < 32 && (shift == 0 || shift == access.size_log2()), "{word:#010x}");
            false
        }
    };
    assert_eq!(access.has_writeback(), writeback, "{word:#010x}: {:?}", access.offset());
    let expected = match access.operation() {
        Operation::Load | Operation::LoadExclusive => (true, false),
        Operation::Store | Operation::StoreExclusive | Operation::ZeroBlock => (false, true),
        Operation::Atomic(_) => (true, true),
        Operation::Prefetch | Operation::Maintenance | Operation::Refused(_) => (false, false),
    };
    assert_eq!((access.is_read(), access.is_write()), expected, "{word:#010x}");
    assert!(!access.is_acquire_pc() || access.is_acquire(), "{word:#010x}");
    let bytes = access.vector_bytes();
    assert!(bytes == 8 || bytes == 16, "{word:#010x}");
    if access.transfer() == Transfer::Lane {
        assert!(access.lane() < 16 >> access.size_log2(), "{word:#010x}: lane {}", access.lane());
    }
    let _ = access.is_unpredictable();
}

/// Checks an offset: twelve unsigned or nine signed bits, scaled by at most 16.
fn within(word: u32, access: Access, offset: i64) {
    let limit = 0x1000_i64 << access.size_log2();
    assert!((-limit..limit).contains(&offset), "{word:#010x}: {offset}");
}
