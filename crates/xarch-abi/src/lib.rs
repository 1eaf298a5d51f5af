//! The contract between a guest architecture, a host that can run it, and the program that embeds both
#![no_std]
#![forbid(unsafe_code)]
