//! A64 instructions by their encoding. Arm ARM, "A64 instruction set encoding".
//!
//! [`access`] is what a hypervisor needs to finish an access that trapped without a syndrome: small and always there.
//! `decode`, behind the feature `a64`, knows every instruction, and with the feature `a64-text` prints it.
//!
//! Tables and relocations, on a 64-bit host: `access` 36 KiB, `decode` 430 KiB, text as much again.

pub mod access;
#[cfg(feature = "a64")]
pub mod decode;
