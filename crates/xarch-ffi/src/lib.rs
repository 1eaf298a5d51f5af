//! The C face of xarch: the tables behind `include/xarch.h`, and objects in memory of the caller.
//!
//! This is the only crate that knows all others: it puts [`vcpu_core`] on one of the back ends, which the caller
//! chooses by number, and hands out one table of entries by one symbol, [`xarch_get_api`]. What the header says is
//! said here, in the types of this crate, from which it is generated; `docs/abi.md` says how it grows.
//!
//! ```text
//!   C host ──▶ xarch_get_api(1) ──▶ table of entries ──▶ objects ─┬─▶ vcpu-core
//!      ▲                                                          ├─▶ s390-host on sae-model or on the machine
//!      └── platform: slots, devices, clock, kicks ◀───────────────┤
//!      └── a back end of its own: enter, read, write ◀────────────┘
//! ```
//!
//! Compiled for s390x it also drives the facility of the machine itself, for a caller that has found it announced.
//!
//! Rust programs use the traits of [`xarch_abi`]: this crate is for those that are not. Its static library is made by
//!
//! ```text
//! cargo rustc -p xarch-ffi --release --crate-type staticlib -- --cfg xarch_static_library
//! ```
//!
//! which adds the panic handler that a program without Rust's standard library has to have, and which nothing calls:
//! `cargo xtask check panic-free` links the library whole and looks.
//!
//! ```
//! // SAFETY: the table is a static of the library.
//! let api = unsafe { xarch_ffi::xarch_get_api(1).as_ref() }.expect("major version 1 is there");
//! assert_eq!(api.abi >> 16, 1);
//! assert!(xarch_ffi::xarch_get_api(2).is_null());
//! ```
//!
//! # Sources
//! None: the contract is this project's own.
#![no_std]
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "C calls and is called; see the module")]
mod c;
mod convert;
mod lock;
mod objects;
mod ops;
mod status;

pub use c::*;
