//! A64 instructions by their encoding. Arm ARM, C4.1.
//!
//! [`access`] is what a hypervisor needs to finish an access that trapped without a syndrome: small and always there.
//! `decode`, behind the feature `a64`, knows every instruction; its tables take some hundred kilobytes.

pub mod access;
#[cfg(feature = "a64")]
pub mod decode;
