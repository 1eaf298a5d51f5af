//! System registers: their names, their encodings, and typed views of those that code reads by field.

mod id;
pub mod instructions;
pub mod names;

pub use id::SysRegId;
