//! The walk: from level to level, down to a leaf or a fault. The same for both stages.

use super::explain::{DescriptorKind, Recorder, Step, decided};
use super::fault::Stage;
use super::fields;
use super::format::Descriptor;
use super::geometry::{ACCESS_FLAG, Range, level};
use super::registers::Space;
use super::rule::Rule;
use super::source::{Hardware, HardwareError, Source, Stop};
use arm_arch::bits::{mask, zext32};
use arm_arch::{FaultStatus, Level};

/// How often a walk starts again because a descriptor changed under its update.
///
/// CHOICE: after so many lost races the update counts as unsupported, so that every walk ends.
pub(super) const ATTEMPTS: u32 = 64;

/// A leaf descriptor and how the walk came to it.
pub(super) struct Leaf<E> {
    pub(super) entry: E,
    pub(super) at: u64,
    pub(super) remaining: u32,
    /// Lowest bit of the input address that the leaf resolves.
    pub(super) shift: u32,
    /// What tables passed on.
    pub(super) tables: E,
    /// The leaf is in the first table.
    pub(super) first: bool,
    /// All descriptors are protected, in mostly read-only memory.
    pub(super) assured: bool,
    /// Where the leaf was read from.
    pub(super) space: Space,
}

/// What a walk needs beside the range.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) stage: Stage,
    /// Space of the tables.
    pub(super) space: Space,
    /// Space after NSTable.
    pub(super) ns_space: Space,
    /// The access flag of tables is set, where it is managed.
    pub(super) updates: bool,
    /// Bit 52 is Protected.
    pub(super) pnch: bool,
}

/// Follows table descriptors from the first table on. Arm ARM, AArch64.S1Walk, AArch64.S2Walk.
#[inline]
pub(super) fn descend<E: Descriptor, S: Source>(
    range: &Range,
    input: u64,
    way: Way,
    source: &mut S,
) -> Result<Leaf<E>, Stop<HardwareError<S>>> {
    let stride = range.granule.bits().wrapping_sub(E::LOG2);
    let mut remaining = range.remaining;
    let mut shift = range.first_shift;
    let mut at = range.base | (input.wrapping_shr(shift) & range.first_mask) << E::LOG2;
    let mut tables = E::NO_TABLES;
    let mut first = true;
    // The lowest input bit that was resolved before: a table that skips levels resolves more than one of a granule.
    let mut above = shift.wrapping_add(64u32.wrapping_sub(range.first_mask.leading_zeros()));
    let mut assured = S::NESTED;
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        start(range, input, way, source.recorder());
    }
    // Only tables larger than a granule can reach beyond the output size.
    if E::WIDE && at & range.beyond != 0 {
        decided(source.recorder(), way.stage, None, Rule::BaseTooLarge);
        return Err(Stop::Status(FaultStatus::AddressSize(Level::L0)));
    }
    loop {
        let space = if E::is_ns_table(tables, range) { way.ns_space } else { way.space };
        if <S::Hardware as Hardware>::Recorder::ACTIVE {
            source.recorder().record(Step::Reading { stage: way.stage, level: level(remaining), at });
        }
        let fetched = source.fetch::<E>(at, space, first)?;
        let Some(entry) = fetched.entry else {
            if let Some(refusal) = fetched.refusal {
                decided(source.recorder(), way.stage, Some(level(remaining)), Rule::GranuleRefuses);
                return Err(Stop::Granule(level(remaining), refusal));
            }
            decided(source.recorder(), way.stage, Some(level(remaining)), Rule::NoMemory);
            return Err(Stop::Status(FaultStatus::ExternalOnWalk(level(remaining))));
        };
        if S::NESTED {
            assured = assured && fetched.mostly_read_only && entry.is_protected(way.pnch);
        }
        if <S::Hardware as Hardware>::Recorder::ACTIVE {
            read(range, entry, (remaining, above, shift), at, way, source.recorder());
        }
        if remaining != 0 && entry.is_quick_table(range) {
            above = shift;
            shift = shift.wrapping_sub(stride);
            remaining = remaining.wrapping_sub(1);
            // The index, already times the size of an entry.
            let offset = input.wrapping_shr(shift.wrapping_sub(E::LOG2)) & range.offset_mask;
            at = entry.low() & range.table_address | offset;
            tables = entry.accumulate(tables);
            first = false;
            continue;
        }
        if !entry.is_table(range, remaining) {
            if !entry.is_leaf(range, remaining) {
                let rule = if entry.low() & 1 == 0 { Rule::NotValid } else { Rule::NotAllowedHere };
                decided(source.recorder(), way.stage, Some(level(remaining)), rule);
                return Err(Stop::Status(FaultStatus::Translation(level(remaining))));
            }
            return Ok(Leaf { entry, at, remaining, shift, tables, first, assured, space });
        }
        let bits = stride.wrapping_mul(entry.steps());
        above = shift;
        shift = shift.wrapping_sub(bits);
        let next = entry.next_table(range) | (input.wrapping_shr(shift) & mask(bits)) << E::LOG2;
        if next & range.beyond != 0 {
            decided(source.recorder(), way.stage, Some(level(remaining)), Rule::NextTableTooLarge);
            return Err(Stop::Status(FaultStatus::AddressSize(level(remaining))));
        }
        if range.haft && way.updates && entry.low() & ACCESS_FLAG == 0 {
            // FEAT_HAFT: hardware sets the access flag of tables.
            decided(source.recorder(), way.stage, Some(level(remaining)), Rule::TableAccessFlagSet);
            source.swap((at, space), level(remaining), entry, entry.with_low(entry.low() | ACCESS_FLAG))?;
        }
        tables = entry.accumulate(tables);
        remaining = remaining.wrapping_sub(entry.steps());
        at = next;
        first = false;
    }
}

/// Tells the recorder where a walk starts.
#[cold]
fn start<R: Recorder>(range: &Range, input: u64, way: Way, recorder: &mut R) {
    recorder.record(Step::Start {
        stage: way.stage,
        input,
        input_bits: range.iasize,
        level: range.start,
        base: range.base,
    });
}

/// Tells the recorder of a descriptor.
#[cold]
fn read<E: Descriptor, R: Recorder>(
    range: &Range,
    entry: E,
    (remaining, above, shift): (u32, u32, u32),
    at: u64,
    way: Way,
    recorder: &mut R,
) {
    let kind = if entry.is_table(range, remaining) {
        DescriptorKind::Table
    } else if !entry.is_leaf(range, remaining) {
        DescriptorKind::Invalid
    } else if remaining == 0 {
        DescriptorKind::Page
    } else {
        DescriptorKind::Block
    };
    let value = entry.wide();
    let index = (above.wrapping_sub(1), shift);
    let level = level(remaining);
    recorder.record(Step::Descriptor { stage: way.stage, level, at, index, value, kind });
    if kind == DescriptorKind::Table {
        fields::table(way.stage, level, (value, entry.next_table(range), E::WIDE), range, recorder);
    }
}

/// Returns the output address of a leaf and whether it is part of a contiguous group; `None` beyond
/// the output size.
#[inline]
pub(super) fn output<E: Descriptor>(range: &Range, leaf: &Leaf<E>, input: u64) -> Option<(u64, bool)> {
    let contiguous = leaf.entry.is_contiguous(range, leaf.tables, leaf.first);
    // Within a contiguous group the address comes from the group, not from the single entry.
    let span = if contiguous {
        leaf.shift.wrapping_add(E::contiguous_bits(range.granule, level(leaf.remaining)))
    } else {
        leaf.shift
    };
    let output = leaf.entry.output(range, span) | input & below(span);
    (output & range.beyond == 0).then_some((output, contiguous))
}

/// Returns ones in the bits below one that is within 64.
#[inline]
pub(super) const fn below(bit: u32) -> u64 {
    1u64.wrapping_shl(bit).wrapping_sub(1)
}

/// Returns the size of a leaf as [`Mapping::size_log2`] has it.
#[inline]
pub(super) const fn size_log2(shift: u32) -> u8 {
    arm_arch::bits::low8(zext32(shift))
}
