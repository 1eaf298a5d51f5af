//! The back end for Arm: runs guests at EL1 and EL0 from a hypervisor at EL2, with and without FEAT_VHE.
//!
//! The twin of `s390-host`: the same contract kept by a host that has nothing in common with the other. What is modelled: the world
//! switch; the guest's physical address space as stage 2 tables, 4 KiB pages and 2 MiB blocks, changed by break-before-make,
//! dirty logging and ageing; list registers of GICv3; the guest's own timers; one virtual clock per VM. Not modelled:
//! SVE and SME state, FEAT_RAS, nested guests, VMIDs of 16 bits.
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
//! vCPU waits. A vCPU stays on the CPU that it was made for. Whatever of the CPU a run uses is after it as it was before: control
//! registers of EL2, VTTBR_EL2 and VTCR_EL2, CNTVOFF_EL2, what EL1 and EL0 have, breakpoints, keys, timers, ICH_* and V0 to V31; of SVE
//! registers only that part. The embedder sets up the GIC with EOImode 1 and enables the interrupts of [`Interrupts`] on each CPU.
//! All tables and guest memory are mapped at EL2 where they lie (CHOICE: physical addresses are what the contract's
//! `HostPa` means here).
//!
//! A VM with 2 MiB of memory at 1 GiB, and tables in memory that is played by an array:
//!
//! ```
//! use arm_host::{Config, HostControl, Interrupts, MapError, TableStorage, Tables, Vm};
//! use xarch_abi::{Backend, GuestPa, GuestRange, HostPa, Slot, Writable};
//! # use arm_host::{AddressSpace, Context, Cpu, CpuNumber, Exception, Form, Intid, OutsideMemory, Scope};
//! # use std::sync::{Mutex, atomic::{AtomicU64, Ordering}};
//! # struct Lock<T>(Mutex<T>);
//! # impl<T: Send> xarch_abi::Lock<T> for Lock<T> {
//! #     fn new(value: T) -> Self { Self(Mutex::new(value)) }
//! #     fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R { section(&mut self.0.lock().unwrap()) }
//! # }
//! # struct Memory(Vec<AtomicU64>);
//! # impl TableStorage for Memory {
//! #     fn load(&self, at: HostPa) -> Result<u64, OutsideMemory> {
//! #         let word = self.0.get(at.value() as usize / 8).ok_or(OutsideMemory(at))?;
//! #         Ok(word.load(Ordering::Relaxed))
//! #     }
//! #     fn store(&self, at: HostPa, value: u64) -> Result<(), OutsideMemory> {
//! #         let word = self.0.get(at.value() as usize / 8).ok_or(OutsideMemory(at))?;
//! #         Ok(word.store(value, Ordering::Relaxed))
//! #     }
//! # }
//! # struct Nobody;
//! # impl HostControl for Nobody {
//! #     fn invalidate(&self, _: AddressSpace, _: Scope) {}
//! #     fn make_coherent(&self, _: HostPa, _: u64) {}
//! #     fn kick(&self, _: CpuNumber) {}
//! # }
//! # struct Played;
//! # impl Cpu for Played {
//! #     fn number(&self) -> CpuNumber { CpuNumber(0) }
//! #     fn form(&self) -> Form { Form::Vhe }
//! #     fn enter(&mut self, _: &mut Context) -> Exception { Exception::Interrupt }
//! #     fn read(&mut self, _: arm_arch::SysRegId) -> u64 { 5 }
//! #     fn write(&mut self, _: arm_arch::SysRegId, _: u64) {}
//! #     fn store_vectors(&mut self, _: &mut [u128; 32]) {}
//! #     fn load_vectors(&mut self, _: &[u128; 32]) {}
//! #     fn address_space(&mut self) -> (AddressSpace, u64) { (AddressSpace::default(), 0) }
//! #     fn set_address_space(&mut self, _: AddressSpace, _: u64) {}
//! #     fn drop_cached(&mut self) {}
//! #     fn stage_1(&mut self, _: u64) -> Option<u64> { None }
//! #     fn acknowledge(&mut self) -> Option<Intid> { None }
//! #     fn drop_priority(&mut self, _: Intid) {}
//! #     fn deactivate(&mut self, _: Intid) {}
//! #     fn handle(&mut self, _: Intid) {}
//! # }
//! # let (mut cpu, control) = (Played, Nobody);
//! # let memory = Memory((0..0x4000).map(|_| AtomicU64::new(0)).collect());
//! let config = Config {
//!     address_bits: 40,
//!     vcpus: 1,
//!     vmid: 1,
//!     storage: (HostPa::new(0x1_0000), 0x1_0000),
//!     interrupts: Interrupts::default(),
//! };
//! let vm = Vm::<_, _, Lock<Tables>>::new(&mut cpu, control, memory, config).unwrap();
//! let ram = GuestRange::new(GuestPa::new(0x4000_0000), 0x20_0000).unwrap();
//! let slot = Slot { guest: ram, host: HostPa::new(0x8000_0000), writable: Writable::Yes };
//! vm.add_slot(&slot).unwrap();
//! assert_eq!(vm.add_slot(&slot), Err(MapError::Overlap(ram)));
//! ```
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
pub use guest_map::MapError;
pub use machine::{
    AddressSpace, Context, Cpu, CpuNumber, Exception, HostControl, Intid, MAX_CPUS, OutsideMemory, Scope,
    TableStorage,
};
pub use run::{Statistics, Vcpu};
pub use vm::{Config, HostError, Interrupts, MAX_VCPUS, Tables, Vm};
