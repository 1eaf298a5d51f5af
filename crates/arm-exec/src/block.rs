//! Decoded instructions and the blocks they form.

/// One decoded operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Op(u64, u64);

/// One block of operations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Block(u64, u64);

/// A remembered target of an indirect branch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jump(u64, u64);
