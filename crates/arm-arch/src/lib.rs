//! AArch64 registers, syndromes, exceptions, traps and encodings as types, tables and pure functions
#![no_std]
#![forbid(unsafe_code)]
