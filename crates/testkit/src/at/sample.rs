//! Queries with their answers in a file, whole: registers, descriptors, operations, so that no generator is needed to read them.
//!
//! Little-endian, numbers as LEB128 unless said otherwise. The magic `XATSAMP2`, the length of a line of text and the line (who
//! answered); then cases up to the end of the file: 33 registers (27 of magic `XATSAMP1`); the number of descriptors, and of each its address less the
//! one before it divided by 8, and its value in 8 bytes; the number of queries, and of each the operation (a position in
//! `AtOperation::ALL`), the virtual address in 8 bytes, and the answer: 0 and PAR_EL1 in 8 bytes, or 1, the exception class,
//! and S1PTW with the status code.

use super::case::{Answer, Case, Query};
use std::collections::BTreeMap;

const MAGIC: &[u8; 8] = b"XATSAMP2";

/// Writes a file's bytes.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts a file; `who` answered.
    #[must_use]
    pub fn new(who: &str) -> Self {
        let mut bytes = MAGIC.to_vec();
        leb(&mut bytes, who.len() as u64);
        bytes.extend(who.bytes());
        Self { bytes }
    }

    /// Adds a case with these queries of it, and the descriptors that are not 0.
    pub fn push(&mut self, case: &Case, queries: &[(Query, Answer)]) {
        let bytes = &mut self.bytes;
        case.registers.iter().for_each(|&value| leb(bytes, value));
        let memory: BTreeMap<u64, u64> =
            case.memory.iter().map(|(&at, &v)| (at, v)).filter(|&(_, v)| v != 0).collect();
        leb(bytes, memory.len() as u64);
        let mut before = 0;
        for (at, value) in memory {
            leb(bytes, (at - before) / 8);
            before = at;
            bytes.extend(value.to_le_bytes());
        }
        leb(bytes, queries.len() as u64);
        for (query, answer) in queries {
            bytes.push(query.operation);
            bytes.extend(query.va.to_le_bytes());
            match answer {
                Answer::Par(par) => {
                    bytes.push(0);
                    bytes.extend(par.to_le_bytes());
                }
                Answer::Exception(class, status) => bytes.extend([1, *class, *status]),
            }
        }
    }

    /// Returns the file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

fn leb(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
