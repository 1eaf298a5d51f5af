//! Address translation as pure functions: Arm VMSAv8-64 and VMSAv9-128, z/Architecture DAT, and one over the other.
//!
//! Registers and memory go in; a translation or a fault, complete with everything that a syndrome register reports,
//! comes out. Nothing is cached, logged or allocated, a guest-controlled value never panics, and a walk writes only
//! through a trait that the caller must give it.
//!
//! ```text
//!   vmsa                                       dat
//!   Params, Stage2   ◀── registers             Params          ◀── control registers, PSW
//!      │ walk, Translator, at                    │ walk, load_real_address, test_protection
//!      ▼                                         ▼
//!   Mapping │ Fault ──▶ ISS, HPFAR, PAR        Mapping │ Fault ──▶ code, TEID
//!              └──────────── combine ────────────┘
//!                 stage 1 of a guest over the host's tables
//! ```
//!
//! Modelled and not modelled: see [`vmsa`] and [`dat`]. What the architecture leaves open and is done here is in
//! [`vmsa::CHOICES`].
//!
//! A debugger that follows a guest's page tables, and says why not:
//!
//! ```
//! use arm_arch::{Ipa, Va};
//! use core::convert::Infallible;
//! use mmu_xlate::TableMemory;
//! use mmu_xlate::vmsa::{Access, AccessKind, El1Registers, Implementation, Params, Privilege, Translation, walk};
//!
//! struct Tables;
//! impl TableMemory<Ipa> for Tables {
//!     type Error = Infallible;
//!     fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Infallible> {
//!         let entry: u64 = match at.bits() {
//!             0x4000_0008 => 0x8000_0781, // level 1: 1 GiB, read-only, EL1 only
//!             _ => 0,
//!         };
//!         Ok(Some(entry.to_le_bytes()))
//!     }
//! }
//!
//! // MMU on, 39-bit addresses, 4 KiB granule, 40-bit output, attribute 0 Write-Back.
//! let registers =
//!     El1Registers { sctlr: 0x1005, tcr: 0x2_8019_0019, ttbr0: 0x4000_0000, mair: 0xff, ..Default::default() };
//! let params = Params::el1(&registers, &Implementation::ARMV8_0);
//! let ask = |kind| walk(&params, Va::new(0x4123_4567), Access::new(kind, Privilege::Privileged), &Tables);
//!
//! let Ok(Translation::Mapped(mapping)) = ask(AccessKind::Read) else { panic!() };
//! assert_eq!(mapping.output, Ipa::new(0x8123_4567));
//!
//! let Ok(Translation::Fault(fault)) = ask(AccessKind::Write) else { panic!() };
//! assert_eq!(fault.iss(Access::new(AccessKind::Write, Privilege::Privileged)), 0x4d); // Permission, level 1, WnR
//! ```
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a. Pseudocode functions
//!   are cited by name. Their executable form, the v9.4-A Sail model (BSD-3-Clause-Clear), gave the expected values of
//!   `tests/vectors/vmsa_public.jsonl.gz`; no text of it is here.
//! - "PoP": IBM, z/Architecture Principles of Operation, SA22-7832, cited by chapter and section.
//! - "SAE control block (Linux s390 arm64 KVM series)": see `s390-arch`.
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
