//! A guest's physical memory as a host keeps it: which there is, what was stored to, what was touched.
//!
//! A back end maps memory when the guest touches it, logs stores by taking the right to store away, finds out what is in
//! use by making mappings old, and takes all of it back. How a table entry looks, and how CPUs are made to forget one, is
//! the machine's own; the rest is the same everywhere and here.
//!
//! ```text
//!   a back end's VM ──▶ GuestMap ──▶ Tables   entries, tables, pool     implemented by the back end
//!   under its lock      slots, log,           invalidation              for what its machine has
//!                       ageing, splits
//! ```
//!
//! Memory is mapped in pages of 4 KiB, and in blocks where a slot holds one whole and both sides align. An entry is in one
//! of three states, [`Content`]: a *hole*, where there is no slot; *empty*, memory that is not mapped; a *frame*, memory
//! that is, with its marks. From one valid state to another an entry always goes by [`Tables::invalidate`], which returns
//! when no CPU uses the old one, so that a store is either in memory and marked, or faults.
//!
//! Only adding a slot takes memory for tables. A table of pages for each block that could need one is reserved then, so
//! that faults, splits and removal cannot run out.
//!
//! No allocation, no unsafe code, no locks: the caller holds one around every call, and [`collect_dirty`] takes it in turns.
#![no_std]
#![forbid(unsafe_code)]

mod error;
mod leaf;
mod map;
mod piece;
mod pool;
mod tables;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::{MapError, OutsideMemory};
pub use map::{GuestMap, SLOTS, collect_dirty};
pub use pool::Pool;
pub use tables::{Content, Frame, Kind, PAGE_LOG2, Resolved, Scope, Tables, Wanted};
