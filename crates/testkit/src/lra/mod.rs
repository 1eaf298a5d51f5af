//! Address translation of z/Architecture: structured random cases, asked by LRAG of QEMU and of the walker.
//!
//! A case is generated from a seed and a number, alike on every machine; `cargo xtask oracle lra` drives the comparison, and
//! `docs/differences.md` lists where QEMU is known to differ.

pub mod ask;
pub mod generate;
pub mod qemu;
pub mod sample;

use std::collections::BTreeMap;

/// Where tables lie.
pub const TABLES: u64 = 0x5000_0000;
/// The end of storage.
pub const STORAGE_END: u64 = 0x8000_0000;

/// Control registers, table entries, addresses: all that the answers depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// CR0.
    pub cr0: u64,
    /// CR1, the primary ASCE.
    pub asce: u64,
    /// Doublewords; storage is 0 elsewhere.
    pub memory: BTreeMap<u64, u64>,
    /// What is asked.
    pub queries: Vec<u64>,
}

/// What LRAG ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Condition code and R1.
    Done(u8, u64),
    /// A program interruption with this code.
    Interrupted(u16),
}
