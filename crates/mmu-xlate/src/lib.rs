//! Pure address-translation walkers: Arm VMSAv8-64 and z/Architecture DAT.
//!
//! Registers and memory in, a translation or a fault out: no clock, no cache, no allocation. The
//! modules say what each of the two models and what it does not yet.
//!
//! ```text
//!            vmsa (feature)                        dat (feature)
//!   params ─▶ walk ─▶ perm, attr        params ─▶ walk ─▶ prot
//!                │                                  │
//!                └──────── TableMemory ─────────────┘
//! ```
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a.
//! - "PoP": z/Architecture Principles of Operation, SA22-7832.
//! - Arm's v9.4-A Sail model: names of pseudocode functions, and the answers in `tests/vectors`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(all(feature = "dat", feature = "vmsa"))]
pub mod combine;
#[cfg(feature = "dat")]
pub mod dat;
pub mod memory;
#[cfg(feature = "vmsa")]
pub mod vmsa;

pub use memory::{Swap, TableMemory, TableUpdate};
