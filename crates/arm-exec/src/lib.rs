//! An A64 processing element in software, soft-float included.
//!
//! Modelled: EL1 and EL0 of Armv8.0-A with FEAT_CRC32, FEAT_LSE, FEAT_RDM, FEAT_AES, FEAT_SHA1, FEAT_SHA256, FEAT_PMULL, FEAT_PAN,
//! FEAT_UAO, FEAT_DPB, FEAT_LRCPC, FEAT_DotProd, FEAT_DIT, FEAT_FlagM, FEAT_SSBS; the generic timers'
//! conditions and the virtual CPU interface of a GICv3; self-hosted debug: software step, two breakpoints, two
//! watchpoints. [`MODEL`] says it in identification registers. Not modelled: AArch32, EL2 and EL3 (the
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
//! A PE runs in memory that it is given, until something happens:
//!
//! ```
//! use arm_arch::{Ipa, Pa};
//! use arm_exec::ram::MapMemory;
//! use arm_exec::{Block, Caches, Domain, Environment, Event, Function, Jump, Op, Page, Pe, Ram, Stage2Access, Stage2Page};
//!
//! /// Guest physical addresses are absolute ones.
//! struct Flat<'m>(Ram<'m>);
//!
//! impl<'m> Environment<'m> for Flat<'m> {
//!     type Fault = ();
//!     fn stage2(&self, ipa: Ipa, _: Stage2Access) -> Result<Stage2Page<'m>, ()> {
//!         let absolute = Pa::new(ipa.bits() & !0xfff);
//!         let page = self.0.page(absolute).ok_or(())?;
//!         Ok(Stage2Page { page, absolute, writable: true, executable: true })
//!     }
//!     fn counter(&self) -> u64 {
//!         0
//!     }
//! }
//!
//! let pages = [Page::zeroed()];
//! let world = Flat(Ram::new(&pages));
//! // mul x0, x0, x1; hvc #0
//! world.0.write(Pa::new(0), &[0x00, 0x7c, 0x01, 0x9b, 0x02, 0x00, 0x00, 0xd4]).unwrap();
//!
//! let mut maps: Vec<MapMemory> = (0..Caches::MAPS).map(|_| MapMemory::default()).collect();
//! let (mut ops, mut blocks) = (vec![Op::default(); 4096], vec![Block::default(); 256]);
//! let (mut jumps, mut functions) = (vec![Jump::default(); Caches::JUMPS], vec![Function::default(); 16]);
//! let caches =
//!     Caches { maps: &mut maps, ops: &mut ops, blocks: &mut blocks, jumps: &mut jumps, functions: &mut functions };
//! let domain = Domain::new();
//! let mut pe = Pe::new(caches, &domain, 0).unwrap();
//! (pe.state.x[0], pe.state.x[1]) = (6, 7);
//! assert_eq!(pe.run(&world, 100), Event::Trap { esr: 0x5a00_0000, far: 0 });
//! assert_eq!(pe.state.x[0], 42);
//! ```
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a.
#![no_std]
#![deny(unsafe_code)]

mod abort;
mod block;
mod debug;
mod decode;
mod domain;
mod env;
mod exec;
mod flow;
pub mod fp;
mod memory;
mod model;
mod pe;
#[expect(unsafe_code, reason = "guest memory is shared with guests that race; see the module")]
pub mod ram;
mod rare;
pub mod simd;
pub mod state;
mod sync;
mod syndrome;
mod system;

pub use block::{Block, Jump, Op};
pub use decode::Function;
pub use domain::{Domain, Invalidation, MAX_PES};
pub use env::{Environment, Event, Stage2Access, Stage2Page, Timer};
pub use model::MODEL;
pub use pe::{Caches, Pe, Seat, Statistics};
pub use ram::{Page, PagePtr, Ram};
