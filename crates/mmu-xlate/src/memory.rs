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
}

impl<A, M: TableMemory<A> + ?Sized> TableMemory<A> for &M {
    type Error = M::Error;

    #[inline]
    fn load(&self, at: A) -> Result<Option<[u8; 8]>, Self::Error> {
        (**self).load(at)
    }
}
