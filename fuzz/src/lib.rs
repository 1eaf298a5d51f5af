//! What the fuzz targets do: each is a module with its input, its invariants, and `fuzz`, which asserts them.
//!
//! ```text
//!   fuzz_targets/NAME.rs ──▶ NAME::fuzz(bytes) ──▶ Input (arbitrary, codec) ──▶ machine, memory ──▶ the crates
//!   examples/seeds.rs ─ vectors ─▶ Input ─▶ bytes                tests/seeds.rs ─ the same bytes ─▶ NAME::fuzz
//! ```
//!
//! A body returns whether its input was worth keeping. It panics on a finding, and nothing else does.
#![forbid(unsafe_code)]

pub mod a64_decode;
pub mod at;
pub mod bits;
pub mod codec;
pub mod combined_walk;
pub mod dat_walk;
pub mod esr;
pub mod exception_entry_return;
pub mod guarded;
pub mod icc;
pub mod id_write;
pub mod machine;
pub mod memory;
#[cfg(feature = "seeds")]
pub mod seeds;
pub mod sysreg_access;
pub mod tlbi;
pub mod vmsa_walk;

/// A target: its name, what it does with an input.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: &[Target] = &[
    ("vmsa_walk", vmsa_walk::fuzz),
    ("dat_walk", dat_walk::fuzz),
    ("combined_walk", combined_walk::fuzz),
    ("at", at::fuzz),
    ("tlbi", tlbi::fuzz),
    ("esr", esr::fuzz),
    ("sysreg_access", sysreg_access::fuzz),
    ("exception_entry_return", exception_entry_return::fuzz),
    ("a64_decode", a64_decode::fuzz),
    ("id_write", id_write::fuzz),
    ("icc", icc::fuzz),
];
