//! z/Architecture PSW, DAT entries, SIE and SAE control blocks, and the traits of the SAE facility
#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod cr;
pub mod dat;
mod open;
pub mod pgm;
pub mod psw;
pub mod sae;
pub mod skey;
pub mod storage;

pub use addr::{Absolute, FrameSize, Prefix, Real};
pub use dat::{Asce, Virtual};
pub use pgm::{ProgramCode, Teid};
pub use storage::{AbsoluteStorage, OutsideStorage};
