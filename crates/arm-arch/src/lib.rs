//! AArch64 registers, syndromes, exceptions, traps and encodings as types, tables and pure functions.
//!
//! The half of the manual that code needs, for whoever writes a hypervisor, an emulator, a debugger or a kernel test.
//! Nothing here holds state, knows storage or decides policy: registers go in as values, and what is to be written
//! comes out. A guest-controlled value never panics.
//!
//! Modelled: AArch64 at EL1 and EL0 with EL2 above, as Armv8.0-A has it, and what of FEAT_PAN, FEAT_UAO, FEAT_DIT,
//! FEAT_SSBS2, FEAT_FlagM, FEAT_LSE, FEAT_VHE (forms of control registers) and GICv3 touches PSTATE, registers or
//! traps; layouts and ID fields also of what is newer, traps of every named register to EL1, EL2 and EL3, the
//! redirections of FEAT_NV2 and E2H, 128-bit accesses (FEAT_D128), breakpoints and watchpoints, profiling exceptions of
//! the PMU (FEAT_EBEP, FEAT_SEBEP) and of the profiling and trace buffers (FEAT_SPE_EXC, FEAT_TRBE_EXC: routing and
//! syndromes, not what fills a buffer). Not modelled: AArch32; of Secure state more than routing and debug.
//!
//! Beside the rules: [`a64`], instruction words (features `a64`, `a64-text`); [`feature`] with `CpuModel`, what a guest
//! may rely on; feature `tables`, every register's fields by encoding and by name.
//!
//! Constant data on x86-64 (`.rodata` and `.data.rel.ro` of the library by `size -A`; a program links what it uses): 123
//! kB, of which the trap table has 20 and the table of loads and stores 26; `tables` adds 116 kB, `a64`
//! 434 kB, with `a64-text` 928 kB.
//!
//! ```text
//!   exception   debug   trap   gic   timer      rules: pure functions over register values
//!        │        │       │     │      │
//!        ▼        ▼       ▼     ▼      ▼
//!   feature  ◀──  ID registers, what they announce, RES0 and RES1
//!        │
//!        ▼
//!   sysreg · iss · esr · fault · pstate · el     layouts: one type per register or syndrome
//!        │
//!        ▼
//!   addr · bits                                  addresses, casts
//! ```
//!
//! An exit of a guest that reads an ID register, from syndrome to value:
//!
//! ```
//! use arm_arch::feature::model::MAX_MODELLED;
//! use arm_arch::iss::{Direction, Syndrome};
//! use arm_arch::{EsrEl, ExceptionClass};
//!
//! let esr = EsrEl::from_bits(0x6230_006f); // mrs x3, ID_AA64MMFR0_EL1
//! assert_eq!(esr.ec(), ExceptionClass::SYSTEM_ACCESS);
//! let Syndrome::SystemAccess(access) = Syndrome::decode(esr) else { unreachable!() };
//! assert_eq!((access.rt, access.direction), (3, Direction::Read));
//! assert_eq!(MAX_MODELLED.get(access.id), Some(0x10_0025));
//! ```
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a. Pseudocode functions
//!   are cited by name.
//! - "GIC": Arm Generic Interrupt Controller Architecture Specification, GICv3 and GICv4, IHI 0069, issue H.
//! - `data/NOTICE` in the repository names what the generated tables (`sysreg::names`, `sysreg::instructions`,
//!   `feature`) were made from; `cargo xtask generate` makes them.
#![no_std]
#![forbid(unsafe_code)]

pub mod a64;
pub mod addr;
pub mod bits;
pub mod debug;
pub mod el;
pub mod esr;
pub mod exception;
pub mod fault;
pub mod feature;
pub mod gic;
pub mod iss;
pub mod pstate;
pub mod sysreg;
pub mod timer;
pub mod trap;

pub use addr::{Granule, Ipa, Level, Pa, Va};
pub use el::{ExceptionLevel, StackPointer};
pub use esr::{EsrEl, ExceptionClass};
pub use fault::FaultStatus;
pub use feature::{Feature, Features, IdRegisters};
pub use iss::Syndrome;
pub use pstate::{Mode, PState};
pub use sysreg::SysRegId;
