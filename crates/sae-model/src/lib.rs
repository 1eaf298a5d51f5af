//! The Start Arm Execution facility in software: control blocks, save areas and DAT tables in, interceptions out.
//!
//! A [`Machine`] has absolute storage, a clock and CPUs; a [`Cpu`] executes the facility's instructions as
//! [`s390_arch::sae::Facility`] describes them, running the guest's code on [`arm_exec`]. It plays hardware: it
//! knows nothing of the driver above it, reads nothing but the bytes in storage, reaches guest storage only through
//! the ASCE in the control block, and keeps registers where only SASR and EASR get at them.
//!
//! ```text
//!     Facility, HostControl            (a driver, or a test that plays one)
//!        │ SAE  LASRM  SASR  QAAF  PTFF  IPTE …
//!        ▼
//!     Cpu ── checks the control block, loads guest state ──▶ arm_exec::Pe::run
//!        ▲                                                        │ stage 2: mmu_xlate::dat over storage
//!        └── interception code and data ◀──────────────────────── Event
//! ```
//!
//! Nobody outside IBM can run the real facility and there is no public document of it. Every point that the sources
//! leave open is a setting of [`Config`], marked and explained there; and the model misbehaves on demand.
//!
//! ```
//! use arm_exec::{Page, Ram};
//! use s390_arch::sae::HostControl;
//! use s390_arch::{Absolute, AbsoluteStorage};
//! use sae_model::{Config, Machine};
//!
//! let pages = [const { Page::zeroed() }; 2];
//! let machine = Machine::new(Ram::new(&pages), || 0, Config::default());
//! // A valid page-table entry becomes invalid, and no CPU uses it any more.
//! machine.storage().store_u64(Absolute::new(0x808), 0x1000).unwrap();
//! machine.ipte(Absolute::new(0x800), 0x1000, 0);
//! assert_eq!(machine.storage().load_u64(Absolute::new(0x808)), Ok(0x1400));
//! ```
//!
//! # Sources
//! As [`s390_arch::sae`].
#![no_std]
#![forbid(unsafe_code)]

mod block;
pub mod config;
mod cpu;
mod identification;
mod machine;
mod registers;
mod stage2;
mod storage;

pub use config::{Config, HostStores, LimitForm, Misbehaviour, Mischief, PastLimit, TimerForm};
pub use cpu::{Cpu, Statistics};
pub use machine::{Clock, Machine};
pub use storage::Storage;
