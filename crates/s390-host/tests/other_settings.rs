//! The driver's tests once more, on a machine whose settings are the other ones. The timer as a level has its own tests, as
//! has the limit where blocks are spoilt: what is expected there depends on the setting.
#![allow(
    clippy::duplicate_mod,
    reason = "each brings the helpers that it has where it is a program of its own"
)]

#[path = "guest.rs"]
mod guest;
#[path = "kicks.rs"]
mod kicks;
#[path = "mischief.rs"]
mod mischief;
#[path = "registers.rs"]
mod registers;
#[path = "smp.rs"]
mod smp;
