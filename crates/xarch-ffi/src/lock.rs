//! The library's own lock: it spins, and tells the embedder while it does.

use crate::c::callbacks::SpinHooks;
use xarch_abi::Lock;

/// A value behind a spin lock; once the embedder's hooks are known they are called around each section.
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    lock: spin::Mutex<T>,
    hooks: Option<SpinHooks>,
}

impl<T> Guarded<T> {
    /// Makes a lock that tells nobody yet; for constants.
    pub(crate) const fn around(value: T) -> Self {
        Self { lock: spin::Mutex::new(value), hooks: None }
    }

    /// Has the embedder told from now on.
    pub(crate) fn tell(&mut self, hooks: Option<SpinHooks>) {
        self.hooks = hooks;
    }
}

impl<T: Send> Lock<T> for Guarded<T> {
    #[inline]
    fn new(value: T) -> Self {
        Self::around(value)
    }

    #[inline]
    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        let Some(hooks) = self.hooks else { return section(&mut self.lock.lock()) };
        hooks.enter();
        let result = section(&mut self.lock.lock());
        hooks.leave();
        result
    }
}
