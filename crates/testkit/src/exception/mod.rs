//! Exceptions: short cases that take, return from or just miss an exception, compared between `arm_arch` and QEMU.
//!
//! A case is a whole state of the control registers (routing, debug, masks, pending interrupts), PSTATE and one to
//! four instructions. The reference enters it from EL3, and records what is found at the next exception to EL3: where
//! it landed, ELR, SPSR, ESR and FAR of EL1 to EL3, PSTATE as read. `pe` computes the same with the functions of
//! `arm_arch`. `oracles/exception` is the program, `cargo xtask oracle exception` runs it, and
//! `tests/data/exception_sample.bin` holds some of the answers.
//!
//! Registers of cases are drawn by shift and mask on purpose: a field that a typed view has in the wrong place must not be
//! drawn there too.

mod case;
mod compare;
mod generate;
mod machine;
mod pe;
mod qemu;
mod store;

pub use case::{CASE_WORDS, Case, Kind, RECORD_NAMES, RECORD_WORDS, Record, word};
pub use compare::{Verdict, judge};
pub use generate::Generator;
pub use machine::Machine;
pub use pe::{QUIRKS, Quirk, Quirks, run};
pub use qemu::Qemu;
pub use store::{Stored, store};
