//! The recorder: how a walk tells what it read and decided, at no cost where nobody listens.

use super::attr::Attributes;
use super::fault::{Fault, Stage};
use super::gpc::GranuleReport;
use super::mapping::Update;
use super::perm::Permissions;
use super::rule::Rule;
use arm_arch::Level;
use core::fmt;

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
    /// A descriptor is about to be read: what follows until the next of these is about it.
    Reading {
        /// Whose it is.
        stage: Stage,
        /// Its level.
        level: Level,
        /// Its address, in the output space of the stage.
        at: u64,
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
    /// What a field of the descriptor just read decides.
    Field {
        /// Whose descriptor it is.
        stage: Stage,
        /// Its level.
        level: Level,
        /// The field.
        field: Field,
    },
    /// A rule decided something: how the walk goes on, or why it does not. A fault follows on the one
    /// that is its reason.
    Decided {
        /// Whose walk it is.
        stage: Stage,
        /// The level of the descriptor, where it is about one.
        level: Option<Level>,
        /// The rule.
        rule: Rule,
    },
    /// What a leaf permits, tables and controls applied: an access needs both.
    Rights {
        /// Whose leaf it is.
        stage: Stage,
        /// Its level.
        level: Level,
        /// The base permissions.
        base: Permissions,
        /// What the overlay leaves; everything without one.
        overlay: Permissions,
    },
    /// The memory attributes that the stage arrives at, those of stage 1 combined at stage 2.
    Memory {
        /// Which stage.
        stage: Stage,
        /// The attributes.
        attributes: Attributes,
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
    /// Granule protection was asked about a physical address.
    Granule(GranuleReport),
    /// The walk ends in a fault.
    Fault(Fault),
}

/// A field of a descriptor: what it is called, where it lies and what its value decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The manual's name.
    pub name: &'static str,
    /// The bits of the descriptor that make up the field, the most significant first, each from the highest
    /// to the lowest.
    pub parts: [Option<(u32, u32)>; 3],
    /// Its value; of an address field the address.
    pub value: u64,
    /// What this value means under the controls of the walk.
    pub means: &'static str,
    /// Where it stands: section or register of the Arm ARM.
    pub cite: &'static str,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let mut before = " [";
        for (high, low) in self.parts.iter().flatten() {
            f.write_str(before)?;
            before = ",";
            if high == low { write!(f, "{high}")? } else { write!(f, "{high}:{low}")? }
        }
        write!(f, "] = {:#x}: {} ({})", self.value, self.means, self.cite)
    }
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorKind {
    /// Nothing is mapped. Arm ARM, AArch64.DecodeDescriptorType.
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

/// Tells a recorder of a rule.
#[inline]
pub(super) fn decided<R: Recorder>(recorder: &mut R, stage: Stage, level: Option<Level>, rule: Rule) {
    if R::ACTIVE {
        recorder.record(Step::Decided { stage, level, rule });
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "stage 1",
            Self::Two => "stage 2",
        })
    }
}

impl fmt::Display for DescriptorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Table => "table",
            Self::Block => "block",
            Self::Page => "page",
        })
    }
}

/// One line for a person.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { stage, input, input_bits, level, base } => {
                let level = level.number();
                write!(
                    f,
                    "{stage}: input {input:#x}, {input_bits} bits, from level {level}, table at {base:#x}"
                )
            }
            Self::Reading { stage, level, at } => {
                write!(f, "{stage} level {}: reads the descriptor at {at:#x}", level.number())
            }
            Self::Descriptor { stage, level, at, index: (high, low), value, kind } => {
                let level = level.number();
                write!(f, "{stage} level {level}: {kind} {value:#x} at {at:#x}, by input bits {high}:{low}")
            }
            Self::Field { stage, level, field } => write!(f, "{stage} level {}: {field}", level.number()),
            Self::Decided { stage, level: Some(level), rule } => {
                write!(f, "{stage} level {}: {rule}", level.number())
            }
            Self::Decided { stage, level: None, rule } => write!(f, "{stage}: {rule}"),
            Self::Rights { stage, level, base, overlay } => {
                write!(f, "{stage} level {}: base {base:?}, overlay {overlay:?}", level.number())
            }
            Self::Memory { stage, attributes } => {
                let (byte, sh) = (attributes.byte(), attributes.shareability());
                write!(f, "{stage}: memory {byte:#04x}, {:?}, {sh:?}", attributes.memory_type())
            }
            Self::Update(Update { at, old, new, .. }) => write!(f, "update at {at:#x}: {old:#x} to {new:#x}"),
            Self::Output { stage, output } => write!(f, "{stage}: output {output:#x}"),
            Self::Granule(report) => report.fmt(f),
            Self::Fault(fault) => {
                let on = if fault.s1ptw { ", on a table of stage 1" } else { "" };
                write!(f, "{}: fault {:?}{on}", fault.stage, fault.status)
            }
        }
    }
}
