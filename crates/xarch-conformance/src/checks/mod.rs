//! The checks, by what they are about. Each is named as its clause in [`CLAUSES`](crate::CLAUSES).

pub(crate) mod callbacks;
pub(crate) mod devices;
pub(crate) mod dirty;
pub(crate) mod entry;
pub(crate) mod kicks;
pub(crate) mod memory;
pub(crate) mod platform;
pub(crate) mod race;
pub(crate) mod registers;
pub(crate) mod time;
