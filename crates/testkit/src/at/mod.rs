//! Address translation of Arm: structured random cases, asked by AT of QEMU and of the walker.
//!
//! A case is generated from a seed and a number, alike on every machine; `cargo xtask oracle at` drives the comparison, and
//! `docs/differences.md` lists where QEMU is known to differ.

pub mod ask;
pub mod attributes;
pub mod case;
pub mod differences;
pub mod generate;
pub mod geometry;
pub mod qemu;
pub mod sample;
pub mod tables;

pub use case::{Answer, Case, Query};
