//! The facility in software: what runs guests where the machine cannot, and what emulates it.

use crate::{fail, hw};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use arm_exec::ram::MapMemory;
use arm_exec::{Block, Caches, Function, Jump, Op};

/// The model's clock: nanoseconds of the time-of-day clock.
pub type Clock = fn() -> u64;
/// The machine in software, over the real one's storage.
pub type Machine = sae_model::Machine<'static, Clock>;
/// One of its CPUs.
pub type Cpu = sae_model::Cpu<'static, Clock>;

/// Returns the nanoseconds since the time-of-day clock's epoch, modulo 2^64.
pub fn nanoseconds() -> u64 {
    // 4096 units are a microsecond.
    (u128::from(hw::clock()) * 125 >> 9) as u64
}

/// Makes the machine over `bytes` of storage.
pub fn machine(bytes: u64) -> &'static Machine {
    let machine = Machine::new(hw::storage(bytes), nanoseconds, sae_model::Config::default());
    Box::leak(Box::new(machine))
}

/// Makes CPU `number`.
pub fn cpu(machine: &'static Machine, number: usize) -> Cpu {
    let caches = Caches {
        maps: Vec::leak((0..Caches::MAPS).map(|_| MapMemory::default()).collect()),
        ops: Vec::leak(vec![Op::default(); Caches::OPS]),
        blocks: Vec::leak(vec![Block::default(); Caches::BLOCKS]),
        jumps: Vec::leak(vec![Jump::default(); Caches::JUMPS]),
        functions: Vec::leak(vec![Function::default(); Caches::FUNCTIONS]),
    };
    machine.cpu(number as u16, caches).unwrap_or_else(|| fail(format_args!("the model has no CPU {number}")))
}
