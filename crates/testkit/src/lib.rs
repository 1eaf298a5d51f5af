//! Helpers for the workspace's tests: slow literal transcriptions, vector readers, instruction oracles.
//!
//! A development tool: it uses `std`, and a broken assumption here is a panic, which is a failed test.
//!
//! * [`rng`]: seeded random numbers
//! * `caches`: memory for the engine's caches (feature `caches`)
//! * `vectors` (feature of that name): files of test vectors, read and compared with the walkers
//! * `gic`: the virtual interrupt interface and the timers, compared between `arm_arch` and QEMU (feature `gic`)
//! * `exception`: exceptions and debug exceptions, compared between `arm_arch` and QEMU (feature `exception`)
//! * `at`: address translation of Arm, compared between the walker and QEMU (feature `translate`)
//! * `lra`: address translation of z/Architecture, likewise
//! * [`insn`]: single A64 instructions, compared between an engine, QEMU and stored results
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    reason = "a test tool: a broken assumption is a failed test"
)]

#[cfg(feature = "translate")]
pub mod at;
#[cfg(feature = "caches")]
pub mod caches;
#[cfg(feature = "exception")]
pub mod exception;
#[cfg(feature = "gic")]
pub mod gic;
pub mod insn;
#[cfg(feature = "translate")]
pub mod lra;
mod process;
pub mod rng;
#[cfg(feature = "vectors")]
pub mod vectors;
