//! Questions about z/Architecture.

pub mod dat;
pub mod entry;
pub mod teid;
