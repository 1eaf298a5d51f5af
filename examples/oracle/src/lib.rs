//! Explains page tables, traps and instructions of Arm and z/Architecture.
//!
//! ```text
//!   options ── a question ──▶ arm · z · insn · block ── an answer ──▶ text, for a person
//!   serve   ──  (JSON)   ──▶                                     └──▶ JSON, for a program
//!                                   │
//!                                   ▼
//!                  mmu-xlate · arm-arch · s390-arch       what the architectures say
//! ```
//!
//! It links nothing that decides but the crates of the house, so that what it says is what they do. `docs/oracle.md`
//! of the repository shows how to ask, and the form of JSON.
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "widths of text, counts, bits of a granule; numbers that come in go through checked functions"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "of the many steps of a walk one asks for a few")]

mod answer;
mod arm;
mod block;
mod check;
mod input;
mod insn;
mod memory;
mod names;
pub mod options;
mod ruler;
mod serve;
mod z;

use answer::Answer;
use options::{Command, Options};
use std::fmt;
use std::io::{self, BufRead, Write};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// What was asked makes no sense, or a file does not.
    Request(String),
    /// Nobody reads the answer.
    OutputGone,
}

impl Error {
    fn new(text: impl Into<String>) -> Self {
        Self::Request(text.into())
    }

    /// Returns the error with where it is before it.
    fn at(self, place: impl fmt::Display) -> Self {
        match self {
            Self::Request(text) => Self::Request(format!("{place}: {text}")),
            Self::OutputGone => Self::OutputGone,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputGone,
            _ => Self::Request(error.to_string()),
        }
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Request(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(text) => f.write_str(text),
            Self::OutputGone => f.write_str("nobody reads the output"),
        }
    }
}

impl std::error::Error for Error {}

/// Does what the command line says, and returns the exit status.
///
/// # Errors
///
/// What is wrong with the question.
pub fn run(options: &Options, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<u8, Error> {
    let answer = match &options.command {
        Command::Translate(asked) => arm::translate::answer(&asked.question()?)?,
        Command::Dat(asked) => z::dat::answer(&asked.question()?)?,
        Command::Pte(asked) => asked.answer()?,
        Command::Esr(asked) => arm::esr::answer(asked.value),
        Command::Par(asked) => arm::par::answer(asked.value),
        Command::Teid(asked) => z::teid::answer(asked.value, asked.pic),
        Command::Sysreg(asked) => arm::sysreg::answer(&asked.name, asked.value)?,
        Command::Cpu(asked) => {
            let (names, on, diff) = (&asked.names, asked.on.as_deref(), asked.diff.as_deref());
            let (answer, holds) = arm::cpu::answer(&arm::cpu::Question { names, on, diff })?;
            return print(&answer, options.json, out).map(|status| if holds { status } else { 1 });
        }
        Command::SaeBlock(asked) => block::answer(&asked.file)?,
        Command::Insn(asked) => return insn::run(asked, options.json, input, out).map(|()| 0),
        Command::Check(asked) => return check::run(&asked.file, asked.verbose, out),
        Command::Serve => return serve::run(input, out).map(|()| 0),
    };
    print(&answer, options.json, out)
}

/// Prints an answer. One that could not be brought to its end is printed as far as it goes.
fn print(answer: &Answer, json: bool, out: &mut dyn Write) -> Result<u8, Error> {
    if json {
        writeln!(out, "{}", answer.json)?;
    } else {
        out.write_all(answer.text.as_bytes())?;
    }
    match &answer.unfinished {
        None => Ok(0),
        Some(error) => Err(Error::Request(error.clone())),
    }
}
