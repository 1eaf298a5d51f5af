//! The one kind of lock the workspace's crates take: one they were given.

/// A value behind mutual exclusion.
///
/// The crates never choose how to wait: an embedder in a kernel brings that kernel's lock, others
/// take the implementation for `spin::Mutex` (feature `spin`). Critical sections are short, call
/// nothing outside their crate, and never nest.
pub trait Lock<T>: Sync {
    /// Makes a lock that holds `value`.
    fn new(value: T) -> Self;

    /// Runs `section` with exclusive access to the value.
    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R;
}

#[cfg(feature = "spin")]
impl<T: Send> Lock<T> for spin::Mutex<T> {
    fn new(value: T) -> Self {
        spin::Mutex::new(value)
    }

    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        section(&mut self.lock())
    }
}
