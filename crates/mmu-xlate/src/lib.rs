//! Pure address-translation walkers: Arm VMSAv8-64 and z/Architecture DAT
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "dat")]
pub mod dat;
pub mod memory;
#[cfg(feature = "vmsa")]
pub mod vmsa;

pub use memory::TableMemory;
