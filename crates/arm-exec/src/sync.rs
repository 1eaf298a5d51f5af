//! The atomics of the mailboxes: core's, or in the models of `tests/loom_domain.rs` the model checker's, which
//! tries every order of threads and every value that a load may return.

#[cfg(not(all(loom, test)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(all(loom, test))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// A constructor: constant, where atomics can be made by one.
#[cfg(not(all(loom, test)))]
macro_rules! constructor {
    ($(#[$meta:meta])* $vis:vis $name:ident $body:block) => {
        $(#[$meta])*
        $vis const fn $name() -> Self $body
    };
}
#[cfg(all(loom, test))]
macro_rules! constructor {
    ($(#[$meta:meta])* $vis:vis $name:ident $body:block) => {
        $(#[$meta])*
        $vis fn $name() -> Self $body
    };
}
pub(crate) use constructor;

/// An array of new values.
#[cfg(not(all(loom, test)))]
macro_rules! array {
    ($new:expr; $length:expr) => {
        [const { $new }; $length]
    };
}
#[cfg(all(loom, test))]
macro_rules! array {
    ($new:expr; $length:expr) => {
        core::array::from_fn::<_, { $length }, _>(|_| $new)
    };
}
pub(crate) use array;
