//! Records kept in a file, so that the cases run without the reference.
//!
//! Little-endian: magic, what the machine says of itself, seed, number of cases, fingerprint of the inputs; then each
//! word of each record as its exclusive-or with the case's word for the same register, in LEB128.

use super::case::{Case, RECORD_WORDS, Record, fingerprint, word};
use super::generate::Generator;
use super::machine::{MACHINE_WORDS, Machine};

const MAGIC: &[u8; 8] = b"XEXCRES1";
const HEAD: usize = MACHINE_WORDS + 3;

/// Stored records, with the generator of their cases.
#[derive(Debug)]
pub struct Stored {
    /// What answered.
    pub machine: Machine,
    /// Makes the cases, from number 0.
    pub generator: Generator,
    /// What was recorded of each.
    pub records: Vec<Record>,
}

/// Returns a file with the records of a generator's first cases.
#[must_use]
pub fn store(machine: &Machine, generator: Generator, records: &[Record]) -> Vec<u8> {
    let count = records.len() as u64;
    let sum = (0..count).fold(0, |sum, number| fingerprint(sum, &generator.case(number)));
    let mut bytes = MAGIC.to_vec();
    for word in machine.words.into_iter().chain([generator.seed, count, sum]) {
        bytes.extend(word.to_le_bytes());
    }
    for (number, record) in (0..).zip(records) {
        for (word, expected) in record.iter().zip(unchanged(&generator.case(number))) {
            leb(&mut bytes, word ^ expected);
        }
    }
    bytes
}

impl Stored {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it is not of this format, or was made by another generator.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Some((head, mut rest)) = bytes.split_at_checked(8 + 8 * HEAD) else {
            return Err("not a file of stored records".into());
        };
        if &head[..8] != MAGIC {
            return Err("not a file of stored records".into());
        }
        let words: Vec<u64> =
            head[8..].chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
        let (machine, rest_of_head) = words.split_at(MACHINE_WORDS);
        let [seed, count, sum] = rest_of_head.try_into().unwrap();
        let generator = Generator { seed };
        let (mut found, mut records) = (0, Vec::new());
        for number in 0..count {
            let case = generator.case(number);
            found = fingerprint(found, &case);
            let mut record = unchanged(&case);
            for word in &mut record {
                *word ^= unleb(&mut rest).ok_or("truncated records")?;
            }
            records.push(record);
        }
        if found != sum {
            return Err("the generator has changed: store the records again".into());
        }
        Ok(Self { machine: Machine::of(machine.try_into().unwrap()), generator, records })
    }
}

/// What a record would be if nothing wrote a register.
fn unchanged(case: &Case) -> Record {
    let w = &case.words;
    let mut record = [0; RECORD_WORDS];
    record[2..4].copy_from_slice(&w[word::X0..word::X0 + 2]);
    for (at, from) in [(8, word::SPSR_EL2), (12, word::SPSR_EL1)] {
        // The case has SPSR before ELR.
        record[at..at + 4].copy_from_slice(&[w[from + 1], w[from], w[from + 2], w[from + 3]]);
    }
    record[4] = w[word::PC];
    record[6..8].copy_from_slice(&[w[word::ESR_EL3], w[word::FAR_EL3]]);
    record[16] = w[word::HCR];
    record
}

fn leb(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn unleb(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
