//! An A64 processing element in software, soft-float included
#![no_std]
#![forbid(unsafe_code)]

pub mod fp;
pub mod state;
