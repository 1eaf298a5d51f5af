//! The back end for IBM Z: drives the Start Arm Execution facility through its control blocks and DAT tables.
//!
//! What is modelled: entry and exit of an AArch64 guest (EL1, EL0) by SAE with LASRM, STIASRM, SASR and EASR;
//! the guest's physical address space as region, segment and page tables with frames of 4 KiB and 1 MiB, dirty
//! logging and ageing; one clock per VM by PTFF. Not modelled: machine checks during SAE, SVE state, storage keys
//! (guest storage has none), 2 GiB frames.
//!
//! ```text
//!   Guest (vcpu-core)        xarch-abi         this crate                        Facility: hw or sae-model
//!   before_entry  ◀───────────────────────  Loaded::run
//!                                              enter: SASR shadows, icptr := 0 ──▶ SAE
//!                                              decode the block once        ◀──── interception
//!   on_exit       ◀──── Exit ──────────────    memory fault in a slot: gmap, and around again
//! ```
//!
//! The types say who owns register state: a [`Vcpu`] is unloaded and its registers are in its blocks; while it
//! runs, a private `Loaded` exists, which alone can execute SAE and reads them off the CPU.
//!
//! This crate holds no rule of the Arm architecture: register numbers and syndromes are carried as plain values.
//!
//! # Sources
//! - PoP: z/Architecture Principles of Operation, SA22-7832.
//! - The Linux series "KVM: s390: Introduce arm64 KVM" and its follow-ups; there is no public document of SAE.
//!   What the series leaves open is marked `CHOICE`.
#![no_std]
#![deny(unsafe_code)]

mod block;
mod gmap;
#[cfg(target_arch = "s390x")]
#[expect(unsafe_code, reason = "the machine's own instructions; see the module")]
pub mod hw;
mod registers;
mod run;
mod vm;

pub use gmap::MapError;
pub use run::{Statistics, Vcpu};
pub use vm::{Config, HostError, LimitForm, MAX_VCPUS, Tables, Vm};
