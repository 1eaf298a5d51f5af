//! Results kept in a file: the seed and what changed, so that the cases run without the reference.
//!
//! Little-endian: magic, version of the format, seed, number of cases, fingerprint of the inputs; then
//! per case the kind of end, the exception class, the number of changed words, and each as position
//! and exclusive-or with the input, both as LEB128. Positions count the state, the window, and the
//! digest. `cargo xtask oracle insn --store` writes it.

use super::case::{Case, STATE_WORDS, WINDOW_WORDS};
use super::outcome::{End, Outcome};

const MAGIC: &[u8; 8] = b"XINSNRES";
const VERSION: u64 = 1;

/// Stored results.
#[derive(Debug)]
pub struct Stored {
    /// Of the generator.
    pub seed: u64,
    /// How many cases.
    pub count: u64,
    /// Of the inputs, by [`fingerprint`].
    pub fingerprint: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    end: End,
    changes: Vec<(usize, u64)>,
}

/// Adds a case to a fingerprint, which starts at 0: a generator that has changed is found by it.
#[must_use]
pub fn fingerprint(sum: u64, case: &Case) -> u64 {
    let words =
        case.state.0.iter().chain(&case.window).copied().chain(case.code.iter().map(|&w| u64::from(w)));
    words.fold(sum, |sum, w| (sum ^ w).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23))
}

fn words(case: &Case) -> Vec<u64> {
    case.state.0.iter().chain(&case.window).copied().chain([0]).collect()
}

fn outcome_words(outcome: &Outcome) -> Vec<u64> {
    outcome.state.0.iter().chain(&outcome.window).copied().chain([outcome.outside]).collect()
}

/// Writes a file's bytes.
#[derive(Debug)]
pub struct Writer {
    seed: u64,
    count: u64,
    fingerprint: u64,
    body: Vec<u8>,
}

impl Writer {
    /// Starts a file for the cases of a seed, from number 0.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, count: 0, fingerprint: 0, body: Vec::new() }
    }

    /// Adds the next case's outcome.
    pub fn push(&mut self, case: &Case, outcome: &Outcome) {
        self.fingerprint = fingerprint(self.fingerprint, case);
        self.count += 1;
        let (kind, class) = match outcome.end {
            End::Completed => (0, 0),
            End::Exception(class) => (1, class),
            End::Strange(_) => (2, 0),
            End::Unasked => (3, 0),
        };
        leb(&mut self.body, kind);
        leb(&mut self.body, class);
        let before = words(case);
        let after = outcome_words(outcome);
        let changes: Vec<_> = (0..before.len()).filter(|&i| before[i] != after[i]).collect();
        leb(&mut self.body, changes.len() as u64);
        for index in changes {
            leb(&mut self.body, index as u64);
            leb(&mut self.body, before[index] ^ after[index]);
        }
    }

    /// Returns the file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for word in [VERSION, self.seed, self.count, self.fingerprint] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.body);
        bytes
    }
}

impl Stored {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it is not of this format.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let word =
            |n: usize| bytes.get(8 + 8 * n..16 + 8 * n).map(|b| u64::from_le_bytes(b.try_into().unwrap()));
        if bytes.get(..8) != Some(MAGIC) || word(0) != Some(VERSION) {
            return Err("not a file of stored instruction results".into());
        }
        let (Some(seed), Some(count), Some(fingerprint)) = (word(1), word(2), word(3)) else {
            return Err("truncated header".into());
        };
        let mut rest = &bytes[40..];
        let entries =
            (0..count).map(|_| entry(&mut rest)).collect::<Option<_>>().ok_or("truncated results")?;
        Ok(Self { seed, count, fingerprint, entries })
    }

    /// Returns the outcome stored for a case.
    #[must_use]
    pub fn outcome(&self, case: &Case) -> Outcome {
        let entry = &self.entries[case.number as usize];
        let mut words = words(case);
        for &(index, change) in &entry.changes {
            words[index] ^= change;
        }
        Outcome {
            state: super::State(words[..STATE_WORDS].try_into().unwrap()),
            window: words[STATE_WORDS..STATE_WORDS + WINDOW_WORDS].try_into().unwrap(),
            outside: words[STATE_WORDS + WINDOW_WORDS],
            end: entry.end.clone(),
        }
    }
}

fn entry(rest: &mut &[u8]) -> Option<Entry> {
    let end = match (unleb(rest)?, unleb(rest)?) {
        (0, _) => End::Completed,
        (1, class) => End::Exception(class),
        (3, _) => End::Unasked,
        _ => End::Strange("stored".into()),
    };
    let changes = (0..unleb(rest)?)
        .map(|_| {
            let index = unleb(rest)? as usize;
            let change = unleb(rest)?;
            (index <= STATE_WORDS + WINDOW_WORDS).then_some((index, change))
        })
        .collect::<Option<_>>()?;
    Some(Entry { end, changes })
}

fn leb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn unleb(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Stored, Writer};
    use crate::insn::generate::Generator;
    use crate::insn::outcome::undefined;

    #[test]
    fn what_is_written_is_read_and_a_cut_file_is_refused() {
        let generator = Generator::new(5);
        let mut writer = Writer::new(5);
        for n in 0..50 {
            let case = generator.case(n);
            writer.push(&case, &undefined(&case));
        }
        let bytes = writer.finish();
        let stored = Stored::parse(&bytes).unwrap();
        for n in 0..50 {
            let case = generator.case(n);
            assert_eq!(stored.outcome(&case), undefined(&case));
        }
        assert!(Stored::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(Stored::parse(b"something else").is_err());
    }
}
