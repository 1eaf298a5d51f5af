//! Records kept in a file, so that the cases run without the reference.
//!
//! Little-endian: magic, seed, number of cases, fingerprint of the inputs; then each word of each record as its
//! exclusive-or with the one before in the case, in LEB128.

use super::{Generator, RECORD_WORDS, Record, fingerprint};

const MAGIC: &[u8; 8] = b"XGICRES1";

/// Stored records, with the generator of their cases.
#[derive(Debug)]
pub struct Stored {
    /// Makes the cases, from number 0.
    pub generator: Generator,
    /// What was recorded of each.
    pub records: Vec<Vec<Record>>,
}

/// Returns a file with the records of a generator's first cases.
#[must_use]
pub fn store(generator: Generator, records: &[Vec<Record>]) -> Vec<u8> {
    let count = records.len() as u64;
    let sum = (0..count).fold(0, |sum, number| fingerprint(sum, &generator.case(number)));
    let mut bytes = MAGIC.to_vec();
    for word in [generator.seed, count, sum] {
        bytes.extend(word.to_le_bytes());
    }
    for case in records {
        let mut before = [0; RECORD_WORDS];
        for record in case {
            for (word, old) in record.iter().zip(before) {
                leb(&mut bytes, word ^ old);
            }
            before = *record;
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
        let word =
            |n: usize| bytes.get(8 + 8 * n..16 + 8 * n).map(|b| u64::from_le_bytes(b.try_into().unwrap()));
        let (Some(MAGIC), Some(seed), Some(count), Some(sum)) =
            (bytes.get(..8).map(|b| b.try_into().unwrap()), word(0), word(1), word(2))
        else {
            return Err("not a file of stored records".into());
        };
        let generator = Generator { seed };
        let cases: Vec<_> = (0..count).map(|number| generator.case(number)).collect();
        if cases.iter().fold(0, fingerprint) != sum {
            return Err("the generator has changed: store the records again".into());
        }
        let mut rest = &bytes[32..];
        let mut records = Vec::new();
        for case in &cases {
            let mut before = [0; RECORD_WORDS];
            let mut list = Vec::new();
            for _ in &case.ops {
                for word in &mut before {
                    *word ^= unleb(&mut rest).ok_or("truncated records")?;
                }
                list.push(before);
            }
            records.push(list);
        }
        Ok(Self { generator, records })
    }
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
