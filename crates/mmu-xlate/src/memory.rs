//! How a walker reaches the tables: the embedder's memory, by address, entry by entry.

/// Memory that holds translation tables, addressed by `A`.
///
/// What lies at an address is the answer of this trait alone: a walk that goes through another stage
/// first (stage 2, host DAT) puts that stage behind `load` and carries its fault in [`Self::Error`].
pub trait TableMemory<A> {
    /// A failure that is not the table's: of the host, or of the stage behind this memory.
    type Error;

    /// Loads one aligned 8-byte entry, single-copy atomically, in memory order; `None` where the
    /// guest has no memory.
    ///
    /// # Errors
    ///
    /// Fails when the answer cannot be given; the walk ends there and reports no fault of its own.
    fn load(&self, at: A) -> Result<Option<[u8; 8]>, Self::Error>;

    /// Loads one aligned 16-byte entry (FEAT_D128): what lies at `at`, and at `second`, 8 bytes on.
    ///
    /// The architecture wants this single-copy atomic. The default loads the halves one after the
    /// other, which is the same only where nobody writes meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    #[inline]
    fn load_pair(&self, at: A, second: A) -> Result<Option<[[u8; 8]; 2]>, Self::Error> {
        let (Some(first), Some(second)) = (self.load(at)?, self.load(second)?) else { return Ok(None) };
        Ok(Some([first, second]))
    }

    /// Asks what stands between a physical address and its use: the granule protection check of Arm (FEAT_RME), before each
    /// access of a walk to its tables and, once, for what it yields. `None` where nothing does, which costs nothing: as in all
    /// memory but [`Guarded`](crate::vmsa::Guarded).
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    #[cfg(feature = "vmsa")]
    #[inline]
    fn granule(&self, at: A) -> Result<Option<crate::vmsa::GranuleReport>, Self::Error> {
        let _ = at;
        Ok(None)
    }
}

impl<A, M: TableMemory<A> + ?Sized> TableMemory<A> for &M {
    type Error = M::Error;

    #[inline]
    fn load(&self, at: A) -> Result<Option<[u8; 8]>, Self::Error> {
        (**self).load(at)
    }

    #[inline]
    fn load_pair(&self, at: A, second: A) -> Result<Option<[[u8; 8]; 2]>, Self::Error> {
        (**self).load_pair(at, second)
    }

    #[cfg(feature = "vmsa")]
    #[inline]
    fn granule(&self, at: A) -> Result<Option<crate::vmsa::GranuleReport>, Self::Error> {
        (**self).granule(at)
    }
}

/// What became of a compare and swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Swap {
    /// Memory held what was expected, and holds the new value now.
    Done,
    /// Memory held something else; nothing was written. The walk starts again.
    Lost,
    /// This memory cannot be updated atomically.
    Unsupported,
}

/// Tables that hardware may write: the access flag and dirty state. A walk that has only
/// [`TableMemory`] cannot change anything.
pub trait TableUpdate<A>: TableMemory<A> {
    /// Replaces an aligned 8-byte entry if it still is `old`, atomically, all in memory order.
    ///
    /// # Errors
    ///
    /// As [`TableMemory::load`].
    fn compare_exchange(&self, at: A, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Self::Error>;

    /// Replaces an aligned 16-byte entry (FEAT_D128). The default cannot.
    ///
    /// # Errors
    ///
    /// As [`TableMemory::load`].
    #[inline]
    fn compare_exchange_pair(
        &self,
        at: A,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Self::Error> {
        let _ = (at, old, new);
        Ok(Swap::Unsupported)
    }
}

impl<A, M: TableUpdate<A> + ?Sized> TableUpdate<A> for &M {
    #[inline]
    fn compare_exchange(&self, at: A, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Self::Error> {
        (**self).compare_exchange(at, old, new)
    }

    #[inline]
    fn compare_exchange_pair(
        &self,
        at: A,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Self::Error> {
        (**self).compare_exchange_pair(at, old, new)
    }
}
