//! A64 instructions by their encoding. Arm ARM, C4.1.
//!
//! [`access`] is what a hypervisor needs to finish an access that trapped without a syndrome: small and always there.

pub mod access;
