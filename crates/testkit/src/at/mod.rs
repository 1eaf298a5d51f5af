//! Address translation of Arm: structured random cases, asked by AT of QEMU and of the walker.
//!
//! A case is generated from a seed and a number, alike on every machine; `cargo xtask oracle at` drives the comparison, and
//! `docs/differences.md` lists where QEMU is known to differ.
//!
//! Registers of cases are drawn by shift and mask on purpose: a field that a typed view has in the wrong place must not be
//! drawn there too.

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
