//! The recorder: how a walk tells what it read and decided, at no cost where nobody listens.

use super::fault::{Fault, Stage};
use super::mapping::Update;
use arm_arch::Level;

/// One step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Registers give the first table.
    Start {
        /// Whose walk it is.
        stage: Stage,
        /// The input address.
        input: u64,
        /// Bits of the input address that are translated.
        input_bits: u32,
        /// Level of the first table.
        level: Level,
        /// Address of the first table.
        base: u64,
    },
    /// A descriptor was read.
    Descriptor {
        /// Whose it is.
        stage: Stage,
        /// Its level.
        level: Level,
        /// Its address, in the output space of the stage.
        at: u64,
        /// The highest and the lowest bit of the input address that chose it.
        index: (u32, u32),
        /// Its value, in the register's byte order.
        value: u128,
        /// What it is.
        kind: DescriptorKind,
    },
    /// Hardware writes a descriptor, or would with the right to.
    Update(Update<u64>),
    /// The stage is done.
    Output {
        /// Which stage.
        stage: Stage,
        /// What it translates to.
        output: u64,
    },
    /// The walk ends in a fault.
    Fault(Fault),
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorKind {
    /// Nothing is mapped. Arm ARM D8.3.
    Invalid,
    /// It points to the next table.
    Table,
    /// It maps memory above level 3.
    Block,
    /// It maps memory at level 3.
    Page,
}

/// Whoever wants to know each step of a walk; `()` does not and costs nothing.
pub trait Recorder {
    /// Whether steps are wanted at all.
    const ACTIVE: bool = true;

    /// Takes one step.
    fn record(&mut self, step: Step);
}

impl Recorder for () {
    const ACTIVE: bool = false;

    #[inline]
    fn record(&mut self, _step: Step) {}
}

impl<R: Recorder + ?Sized> Recorder for &mut R {
    const ACTIVE: bool = R::ACTIVE;

    #[inline]
    fn record(&mut self, step: Step) {
        (**self).record(step);
    }
}
