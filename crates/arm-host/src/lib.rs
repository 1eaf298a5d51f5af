//! The back end for Arm: runs guests at EL1 and EL0 from a hypervisor at EL2, with and without FEAT_VHE.
//!
//! The twin of `s390-host`: the same contract kept by a host that has nothing in common with the other. What is modelled: the world
//! switch; the guest's physical address space as stage 2 tables, 4 KiB pages and 2 MiB blocks, changed by break-before-make,
//! dirty logging and ageing; list registers of GICv3; the guest's own timers; one virtual clock per VM. Not modelled:
//! SVE and SME state, debug registers beside MDSCR_EL1 (a guest reaches them, and finds what another left there),
//! FEAT_RAS, nested guests, VMIDs of 16 bits.
//!
//! ```text
//!   Guest (vcpu-core)        xarch-abi         this crate                        Cpu: hw, or a test
//!   before_entry  ◀───────────────────────  Loaded::run
//!                                              enter: context ──────────────────▶ ERET
//!                                              decode ESR, FAR, HPFAR      ◀───── exception to EL2
//!   on_exit       ◀──── Exit ──────────────    memory fault in a slot: stage 2, and around again
//! ```
//!
//! The types say who owns register state: a [`Vcpu`] is unloaded and its registers are in it; while it runs, a private
//! `Loaded` exists, which alone can enter the guest and reads them off the CPU.
//!
//! This crate decides nothing about the guest. It reads of a syndrome what memory was missing, and turns control
//! registers into the form of the host; see `docs/architecture.md`.
//!
//! # Embedding
//!
//! Interrupts stay masked at EL2: they are taken when they make a CPU leave the guest, and by the embedder while a
//! vCPU waits. The embedder sets up the GIC with EOImode 1 and enables the interrupts of [`Interrupts`] on each CPU.
//! All tables and guest memory are mapped at EL2 where they lie (CHOICE: physical addresses are what the contract's
//! `HostPa` means here).
//!
//! # Sources
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a.
//! - "GIC": Arm Generic Interrupt Controller Architecture Specification, GICv3 and GICv4, IHI 0069, issue H.
#![no_std]
#![deny(unsafe_code)]

mod control;
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
#[expect(unsafe_code, reason = "the machine's own instructions; see the module")]
pub mod hw;
mod machine;
mod registers;
mod run;
mod stage2;
#[cfg(test)]
mod testing;
mod vm;

pub use control::Form;
pub use machine::{
    AddressSpace, Context, Cpu, CpuNumber, Exception, HostControl, Intid, MAX_CPUS, OutsideMemory, Scope,
    TableStorage,
};
pub use run::{Statistics, Vcpu};
pub use stage2::MapError;
pub use vm::{Config, HostError, Interrupts, MAX_VCPUS, Tables, Vm};
