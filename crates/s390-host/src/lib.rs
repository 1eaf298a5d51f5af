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
//! A VM on a model of the machine, with 1 MiB of memory at 1 GiB:
//!
//! ```
//! use arm_exec::{Caches, Page, Ram};
//! use s390_arch::{Absolute, sae::QmcBase};
//! use s390_host::{Config, LimitForm, Tables, Vm};
//! use xarch_abi::{Backend, GuestPa, GuestRange, HostPa, Slot, Writable};
//! # use std::iter::repeat_with;
//! # struct Lock<T>(std::sync::Mutex<T>);
//! # impl<T: Send> xarch_abi::Lock<T> for Lock<T> {
//! #     fn new(value: T) -> Self { Self(std::sync::Mutex::new(value)) }
//! #     fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R { section(&mut self.0.lock().unwrap()) }
//! # }
//! # let mut maps: Vec<_> = repeat_with(Default::default).take(Caches::MAPS).collect();
//! # let (mut ops, mut blocks) = (vec![Default::default(); 4096], vec![Default::default(); 256]);
//! # let (mut jumps, mut functions) = (vec![Default::default(); Caches::JUMPS], vec![Default::default()]);
//! # let caches = Caches {
//! #     maps: &mut maps, ops: &mut ops, blocks: &mut blocks, jumps: &mut jumps, functions: &mut functions,
//! # };
//! let storage: Vec<Page> = (0..512).map(|_| Page::zeroed()).collect();
//! let machine = sae_model::Machine::new(Ram::new(&storage), || 0, sae_model::Config::default());
//! let mut cpu = machine.cpu(0, caches).unwrap();
//! let config = Config {
//!     address_bits: 40,
//!     vcpus: 1,
//!     storage: (Absolute::new(0x1000), 0xf_f000),
//!     limit: LimitForm::LastAddress,
//!     qmc_base: QmcBase::FromBlockStart,
//! };
//! let vm = Vm::<_, _, Lock<Tables>>::new(&mut cpu, &machine, machine.storage(), config).unwrap();
//! let ram = GuestRange::new(GuestPa::new(0x4000_0000), 0x10_0000).unwrap();
//! vm.add_slot(&Slot { guest: ram, host: HostPa::new(0x10_0000), writable: Writable::Yes }).unwrap();
//! assert!(vm.add_slot(&Slot { guest: ram, host: HostPa::new(0), writable: Writable::Yes }).is_err());
//! ```
//!
//! # Sources
//! - PoP: z/Architecture Principles of Operation, SA22-7832.
//! - The Linux series "KVM: s390: Introduce arm64 KVM" and its follow-ups; there is no public document of SAE.
//!   What the series leaves open is marked `CHOICE`.
#![no_std]
#![deny(unsafe_code)]

mod block;
pub mod discovery;
mod gmap;
#[cfg(target_arch = "s390x")]
#[expect(unsafe_code, reason = "the machine's own instructions; see the module")]
pub mod hw;
mod registers;
mod run;
mod vm;

pub use guest_map::{MapError, OutsideMemory};
pub use run::{Statistics, Vcpu};
pub use vm::{Config, HostError, LimitForm, MAX_VCPUS, Tables, Vm};
