//! The program from outside: known answers, wrong input, sessions, and the examples of its manual.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod answers;
mod check;
mod insn;
mod manual;
mod program;
mod serve;
mod wrong_input;
