//! The C side: everything that is unsafe in this crate, and the types and names that C sees.
#![expect(non_camel_case_types, reason = "the names of the C header")]

pub(crate) mod api;
pub(crate) mod callbacks;
#[cfg(test)]
mod conformance;
#[cfg(target_arch = "s390x")]
pub(crate) mod machine;
pub(crate) mod memory;
mod place;
#[cfg(xarch_static_library)]
mod runtime;
mod thunks;
pub(crate) mod types;

pub use api::*;
pub use types::*;
