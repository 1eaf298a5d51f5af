//! The program from outside: wrong input, hostile guests, terminals. Everything that is started has a limit.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod aborts;
mod boot;
mod cpu_model;
mod device_tree;
mod firmware;
mod guest;
mod interrupts;
mod loops;
mod session;
mod soup;
mod stats;
mod sweep;
mod terminal;
mod validity;
mod wrong_input;
