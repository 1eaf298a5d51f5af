//! AArch64 registers, syndromes, exceptions, traps and encodings as types, tables and pure functions.
//!
//! # Sources
//!
//! - "Arm ARM": Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue L.a.
//! - "GIC": Arm Generic Interrupt Controller Architecture Specification, GICv3 and v4, IHI 0069, issue H.
//! - `data/NOTICE` names what the generated tables were made from.
#![no_std]
#![forbid(unsafe_code)]

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
