//! An A64 processing element in software, soft-float included.
//!
//! Modelled: EL1 and EL0 of Armv8.0-A with FEAT_CRC32, FEAT_LSE, FEAT_RDM, FEAT_AES, FEAT_SHA1, FEAT_SHA256, FEAT_PMULL, FEAT_PAN,
//! FEAT_UAO, FEAT_DPB, FEAT_LRCPC, FEAT_DotProd, FEAT_DIT, FEAT_FlagM, FEAT_SSBS; the generic timers'
//! conditions and the virtual CPU interface of a GICv3. Not modelled: AArch32, EL2 and EL3 (the
//! caller plays EL2: exceptions to it end [`Pe::run`]), PMU, SVE.
//!
//! ```text
//!   Environment ── stage 2, count      Domain ── kicks, invalidations, events
//!        ▲                                ▲
//!        │ misses                         │ between blocks
//!   ┌────┴────────────────────────────────┴─────────────────────────────────┐
//!   │ Pe::run   state ─ decoded blocks ─ maps of translations ─ statistics  │
//!   └────┬──────────────────────┬───────────────────────┬───────────────────┘
//!     decode → exec          simd, fp                system (arm-arch, mmu-xlate)
//! ```
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a.
#![no_std]
#![deny(unsafe_code)]

mod abort;
mod block;
mod decode;
mod domain;
mod env;
mod exec;
mod flow;
pub mod fp;
mod memory;
mod pe;
#[expect(unsafe_code, reason = "guest memory is shared with guests that race; see the module")]
pub mod ram;
mod rare;
pub mod simd;
pub mod state;
mod syndrome;
mod sync;
mod system;

pub use block::{Block, Jump, Op};
pub use decode::Function;
pub use domain::{Domain, Invalidation, MAX_PES};
pub use env::{Environment, Event, Stage2Access, Stage2Page, Timer};
pub use pe::{Caches, Pe, Statistics};
pub use ram::{Page, PagePtr, Ram};
