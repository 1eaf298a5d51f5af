//! Memory for the caches of the engine, which takes it from its caller.

use arm_exec::ram::MapMemory;
use arm_exec::{Block, Caches, Function, Jump, Op};

/// How much an engine can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Decoded instructions.
    pub ops: usize,
    /// Decoded blocks.
    pub blocks: usize,
    /// Functions of SIMD instructions.
    pub functions: usize,
}

impl Capacity {
    /// The least that the engine takes.
    pub const LEAST: Self = Self { ops: 4096, blocks: 256, functions: 1 };
    /// For programs of a few hundred instructions.
    pub const SMALL: Self = Self { ops: 1 << 13, blocks: 512, functions: 64 };
    /// For programs of a few thousand.
    pub const LARGE: Self = Self { ops: 1 << 15, blocks: 4096, functions: 64 };
}

/// Memory for the caches of one PE, or of one CPU of the model.
#[derive(Debug)]
pub struct CacheMemory {
    maps: Vec<MapMemory>,
    ops: Vec<Op>,
    blocks: Vec<Block>,
    jumps: Vec<Jump>,
    functions: Vec<Function>,
}

impl CacheMemory {
    /// Takes memory of the host's.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self {
            maps: list(Caches::MAPS),
            ops: list(capacity.ops),
            blocks: list(capacity.blocks),
            jumps: list(Caches::JUMPS),
            functions: list(capacity.functions),
        }
    }

    /// Gives it to an engine for as long as that lives.
    pub fn lend(&mut self) -> Caches<'_> {
        Caches {
            maps: &mut self.maps,
            ops: &mut self.ops,
            blocks: &mut self.blocks,
            jumps: &mut self.jumps,
            functions: &mut self.functions,
        }
    }

    /// Gives it away for good.
    #[must_use]
    pub fn leak(self) -> Caches<'static> {
        Caches {
            maps: self.maps.leak(),
            ops: self.ops.leak(),
            blocks: self.blocks.leak(),
            jumps: self.jumps.leak(),
            functions: self.functions.leak(),
        }
    }
}

fn list<T: Default>(count: usize) -> Vec<T> {
    let mut list = Vec::new();
    list.resize_with(count, T::default);
    list
}
