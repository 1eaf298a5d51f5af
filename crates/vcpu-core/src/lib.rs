//! One Arm vCPU and its VM: what exits mean, what the guest is told, and its interrupt controller.
//!
//! [`Vcpu`] implements [`xarch_abi::Guest`]. It plays EL2 for a guest at EL1 and EL0 in AArch64: it owns every
//! architectural effect and touches the guest's state by [`RegId`](xarch_abi::RegId) only, so it neither knows
//! nor cares what the host is.
//!
//! Modelled: trapped system registers and identification, injection, WFI and WFE, device accesses, SMCCC 1.1,
//! PSCI 1.1, GICv3 (one Security state, affinity routing, SGIs, PPIs, 256 SPIs, message SPIs), the EL1 timers.
//! Not modelled, and hidden from the guest: AArch32, EL2 and EL3, FEAT_SVE, FEAT_SME, FEAT_MTE, FEAT_PMUv3,
//! FEAT_SPE, FEAT_RAS, FEAT_LOR, LPIs and the ITS.
//!
//! ```text
//!            exits                        decisions (Next)
//!   back end ──────▶ exit ─┬─▶ sysreg ─▶ identity      ┐
//!                          ├─▶ smccc ──▶ psci          ├─▶ inject (the one `apply`) ─▶ registers by id
//!                          ├─▶ mmio ─┬─▶ vgic, devices ┘
//!                          │         └─▶ steps: what no syndrome describes
//!                          └─▶ timer ──▶ vgic ─▶ list registers by id
//! ```
//!
//! # Embedding
//!
//! 1. [`Vm::new`] with a [`Config`]: number of vCPUs, interrupt controller addresses (QEMU's "virt" by
//!    default), size of the guest-physical address space as the back end maps it.
//! 2. For each vCPU [`Vcpu::new`], and a register file from the back end. On the vCPU's thread, or before the
//!    threads start: [`Guest::reset`](xarch_abi::Guest::reset). vCPU 0 is then on, the others off.
//! 3. Optionally lower what the guest sees: [`Vm::set_model`], and reset again.
//! 4. For vCPU 0 write the boot state with [`Vcpu::boot`]: entry address and X0 to X3 (device tree address, zeros).
//! 5. Each thread calls the back end's `run` in a loop and obeys the `Outcome`: on `Wait` sleep until a kick or the
//!    deadline, then run again. vCPUs that are off wait without a deadline until `CPU_ON` kicks them.
//! 6. Devices: [`Vm::set_spi_level`] (levels), [`Vm::pulse`] (edges), [`Vm::set_spi`] (messages), from any
//!    thread, with no lock held that `Platform::kick` takes. `Spi::from_number(1)` is device-tree `<0 1 …>`.
//! 7. `StopReason::PowerOff` and `Reset` come from PSCI on the vCPU that asked. For a reset stop the other
//!    threads, call [`Vm::reset`], reset each vCPU, go on at 4.
//!
//! 8. To save a stopped machine: [`Guest::before_observe`](xarch_abi::Guest::before_observe) on each vCPU, then
//!    [`Vcpu::for_each_register`], [`Vm::power`], [`Vm::for_each_gic_register`]. To restore it: reset, write the
//!    same ids back, [`Vcpu::set_power`], [`Vm::set_gic_register`]. Whether it can go on where there is another host:
//!    [`saved_model`] and [`Config::limit`].
//!    Power, a pending SError and the vCPU's part of the interrupt controller have ids too, which the list does not
//!    name: [`RegId::POWER`](xarch_abi::RegId::POWER), [`RegId::ERROR`](xarch_abi::RegId::ERROR),
//!    [`GicRegister::id`].
//!
//! The interrupt controller's frames are answered here; `Platform::device` sees all other addresses. An access
//! that is not answered at once is offered again by the next `run`, with the same token, until it is completed.
//! The lock is never held when the platform is called.
//!
//! ```
//! use vcpu_core::{Config, Vcpu, Vm};
//! use xarch_abi::VcpuIndex;
//!
//! let vm: Vm = Vm::new(Config::new(2))?;
//! let second = Vcpu::new(&vm, VcpuIndex(1)).unwrap();
//! assert_eq!(second.mpidr().into_bits(), 0x8000_0001);
//! assert!(Vcpu::new(&vm, VcpuIndex(2)).is_none());
//! # Ok::<(), vcpu_core::ConfigError>(())
//! ```
//!
//! # The form of registers
//!
//! - The bank [`SYSTEM`](xarch_abi::Bank::SYSTEM) has the guest's own registers by the encodings that the guest uses:
//!   `SCTLR_EL1` is 3, 0, 1, 0, 0 whatever the host calls it. A host whose hypervisor runs with HCR_EL2.E2H = 1 reaches
//!   sixteen of them by their `_EL12` and `_EL02` names, as the `_EL1` names are its own registers there.
//! - The bank [`CONTROL`](xarch_abi::Bank::CONTROL) has the hypervisor's registers in their form for HCR_EL2.E2H = 1:
//!   CPTR_EL2 as `CPACR_EL1` is laid out, with FPEN rather than TFP; CNTHCTL_EL2 with EL1PCTEN at bit 10 and EL1PTEN at
//!   bit 11; HCR_EL2 with E2H set. It is also the form of an SAE control block. A host with E2H = 1 takes them as they
//!   are; one with E2H = 0 turns three of them into the older form (`arm_host` does both), and each adds to HCR_EL2 what
//!   is its own business: VM, and TGE clear. A register is read back in the form in which it was written.
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a.
//! - "GIC": Arm Generic Interrupt Controller Architecture Specification, GICv3 and v4, IHI 0069, issue H.
//! - SMC Calling Convention, DEN0028, issue E; Power State Coordination Interface, DEN0022, issue E.
//! - SAE control block (Linux s390 arm64 KVM series), for the value of HCR.
#![no_std]
#![forbid(unsafe_code)]

mod exit;
mod identity;
mod inject;
mod mmio;
mod psci;
mod serror;
mod smccc;
mod snapshot;
mod state;
mod steps;
mod sysreg;
mod timer;
mod vgic;

pub use identity::{IdentityError, saved_model};
pub use smccc::{Speculation, Weakness};
pub use state::{Config, ConfigError, MAX_VCPUS, PowerState, Shared, Vcpu, Vm};
pub use vgic::{GicConfig, GicRegister, Line, NoGicRegister, Ppi, SPIS, Spi};
