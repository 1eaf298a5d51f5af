//! Queries with their answers in a file, whole, so that no generator is needed to read them.
//!
//! Big-endian words of 8 bytes. The magic `XLRASAM1`; then cases up to the end of the file: CR0, CR1, the number of entries and of
//! each its address and value; the number of queries, and of each the address and the answer: condition code and R1, or 4
//! and the interruption code.

use super::{Answer, Case};

/// Writes a file's bytes.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: b"XLRASAM1".to_vec() }
    }
}

impl Writer {
    /// Adds a case with these queries of it.
    pub fn push(&mut self, case: &Case, queries: &[(u64, Answer)]) {
        let mut words = vec![case.cr0, case.asce, case.memory.len() as u64];
        words.extend(case.memory.iter().flat_map(|(&at, &value)| [at, value]));
        words.push(queries.len() as u64);
        for &(address, answer) in queries {
            words.push(address);
            words.extend(match answer {
                Answer::Done(code, register) => [code.into(), register],
                Answer::Interrupted(code) => [4, code.into()],
            });
        }
        self.bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    }

    /// Returns the file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
