//! The short way: walks of 4 KiB granule, three or four levels, that meet nothing out of the ordinary.
//!
//! It goes by the same parameters and asks the same questions as the full walk of [`super::descend`] and its judges, all
//! at once where they can be: a descriptor is compared with what a plain table, page or block looks like in one step,
//! permissions and attributes are looked up in tables that [`Params`] and [`Stage2`] made of the registers.
//! Whatever is different, a fault above all, makes it give up, and the full walk begins from the start: it alone says
//! what is wrong, updates descriptors, and tells a recorder. So this never decides against an access, and where it decides
//! for one the full walk would have decided the same.
//!
//! What one load needs of the one before is the address and nothing else: where an index lies in the input is known
//! beforehand, and every check is a branch that is not taken.

use super::attr::Attributes;
use super::cache::{Details, Keeper, Key, Known};
use super::format::{GUARDED, NOT_GLOBAL};
use super::geometry::{Quick, Range};
use super::mapping::{Mapping, OutputAddress, Translation};
use super::params::Params;
use super::perm::{self, Access, Permissions};
use super::registers::Space;
use super::stage2;
use super::stage2_params::{Stage2, Tables};
use crate::memory::TableMemory;
use arm_arch::bits::{index, mask};
use arm_arch::{Ipa, Level};
use core::marker::PhantomData;

/// Address bits of a table descriptor.
const ADDRESS: u64 = 0xffff_ffff_f000;
/// The offset into a table, where it has been shifted to.
const OFFSET: u64 = 0xff8;
/// The half of the address space.
const UPPER: u64 = 1 << 55;

/// A leaf that is as most are.
struct Leaf {
    entry: u64,
    size: Size,
    /// All tables above it.
    tables: u64,
}

/// What a leaf maps.
#[derive(Clone, Copy)]
struct Size {
    level: Level,
    log2: u8,
    /// Bits of the output address that the leaf has, and those that are the input's.
    above: u64,
    below: u64,
}

impl Size {
    const PAGE: Self = Self { level: Level::L3, log2: 12, above: mask(48) & !mask(12), below: mask(12) };
    const LARGE: Self = Self { level: Level::L2, log2: 21, above: mask(48) & !mask(21), below: mask(21) };
    const HUGE: Self = Self { level: Level::L1, log2: 30, above: mask(48) & !mask(30), below: mask(30) };
}

impl Leaf {
    /// Returns the output address for an input.
    #[inline]
    const fn output(&self, input: u64) -> u64 {
        self.entry & self.size.above | input & self.size.below
    }
}

impl Quick {
    #[inline]
    const fn is_table(&self, entry: u64) -> bool {
        entry & self.table_mask == self.table
    }

    #[inline]
    fn page(&self, entry: u64, tables: u64) -> Option<Leaf> {
        (entry & self.leaf_mask == self.page).then_some(Leaf { entry, size: Size::PAGE, tables })
    }

    #[inline]
    fn block(&self, entry: u64, size: Size, tables: u64) -> Option<Leaf> {
        (entry & self.leaf_mask == self.block).then_some(Leaf { entry, size, tables })
    }
}

/// Where descriptors come from.
trait Tables64 {
    type Error;

    /// Returns the descriptor in a table, of 64 bits and little-endian; `None` where it is not to be had without more ado.
    fn load(&mut self, table: u64, offset: u64) -> Result<Option<u64>, Self::Error>;

    /// Returns the same of the first table, the only one that can be less than a page.
    fn first(&mut self, table: u64, offset: u64) -> Result<Option<u64>, Self::Error>;

    /// Whether a table may lie there.
    fn has(&self, table: u64) -> bool;
}

/// Tables where memory is asked.
struct Direct<'m, A, M> {
    memory: &'m M,
    address: PhantomData<A>,
}

impl<'m, A, M> Direct<'m, A, M> {
    #[inline]
    const fn new(memory: &'m M) -> Self {
        Self { memory, address: PhantomData }
    }
}

impl<A: OutputAddress, M: TableMemory<A>> Tables64 for Direct<'_, A, M> {
    type Error = M::Error;

    #[inline(always)]
    fn load(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        Ok(self.memory.load(A::located(table | offset, Space::NonSecure))?.map(u64::from_le_bytes))
    }

    #[inline(always)]
    fn first(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        self.load(table, offset)
    }

    #[inline(always)]
    fn has(&self, _: u64) -> bool {
        true
    }
}

/// Follows plain tables of 4 KiB, so many levels below the first one, to a plain leaf.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each of its uses is a walk of its own, with its own loads")]
fn descend<const DEPTH: u8, T: Tables64>(
    quick: &Quick,
    input: u64,
    from: &mut T,
) -> Result<Option<Leaf>, T::Error> {
    let offset = input.wrapping_shr(u32::from(quick.first)) & quick.offset;
    let Some(mut entry) = from.first(quick.base, offset)? else { return Ok(None) };
    let mut tables = 0;
    if DEPTH == 3 {
        // No block is here.
        let table = entry & ADDRESS;
        if !quick.is_table(entry) || !from.has(table) {
            return Ok(None);
        }
        tables |= entry;
        let Some(next) = from.load(table, input >> 27 & OFFSET)? else { return Ok(None) };
        entry = next;
    }
    if !quick.is_table(entry) {
        return Ok(quick.block(entry, Size::HUGE, tables));
    }
    let table = entry & ADDRESS;
    if !from.has(table) {
        return Ok(None);
    }
    tables |= entry;
    let Some(entry) = from.load(table, input >> 18 & OFFSET)? else { return Ok(None) };
    if !quick.is_table(entry) {
        return Ok(quick.block(entry, Size::LARGE, tables));
    }
    let table = entry & ADDRESS;
    if !from.has(table) {
        return Ok(None);
    }
    tables |= entry;
    let Some(entry) = from.load(table, input >> 9 & OFFSET)? else { return Ok(None) };
    Ok(quick.page(entry, tables))
}

/// Whether the bits of an address beyond the input size are as they must be: all as `sign` is.
#[inline]
const fn is_open(range: &Range, va: u64, sign: u64, access: Access) -> bool {
    let [data, fetch] = range.checked;
    let checked = if access.is_fetch() { fetch } else { data };
    (va ^ sign) & checked == 0 && access.aligned
}

/// Translates by stage 1 alone; `None` where the full walk must.
#[inline]
pub(super) fn stage_1<A: OutputAddress, M: TableMemory<A>>(
    params: &Params,
    va: u64,
    access: Access,
    memory: &M,
) -> Result<Option<Translation<A>>, M::Error> {
    let [low, high] = &params.ranges;
    // Each half has walks of its own: which it is, is foretold and not waited for.
    if va & UPPER == 0 {
        alone(params, (low, 0), va, access, memory)
    } else {
        alone(params, (high, u64::MAX), va, access, memory)
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and taken apart at once")]
fn alone<A: OutputAddress, M: TableMemory<A>>(
    params: &Params,
    (range, sign): (&Range, u64),
    va: u64,
    access: Access,
    memory: &M,
) -> Result<Option<Translation<A>>, M::Error> {
    if !is_open(range, va, sign, access) {
        return Ok(None);
    }
    let mut tables = Direct::<A, M>::new(memory);
    let leaf = match range.quick_way.depth {
        3 => descend::<3, _>(&range.quick_way, va, &mut tables)?,
        2 => descend::<2, _>(&range.quick_way, va, &mut tables)?,
        _ => None,
    };
    let Some(leaf) = leaf else { return Ok(None) };
    let Some(Judged { permissions, attributes }) = judge(params, range, &leaf, access) else {
        return Ok(None);
    };
    Ok(Some(Translation::Mapped(Mapping {
        output: A::from_number(leaf.output(va)),
        level: Some(leaf.size.level),
        size_log2: leaf.size.log2,
        contiguous: false,
        attributes,
        permissions,
        not_global: leaf.entry & NOT_GLOBAL != 0,
        guarded: leaf.entry & GUARDED != 0,
        clean: false,
        assured: false,
        space: Space::NonSecure,
        ipa: None,
        update: None,
    })))
}

/// What a leaf is found to be.
struct Judged {
    permissions: Permissions,
    attributes: Attributes,
}

/// Judges a leaf of stage 1; `None` where it may be a fault.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is taken apart at once")]
fn judge(params: &Params, range: &Range, leaf: &Leaf, access: Access) -> Option<Judged> {
    let permissions = perm::direct(params, leaf.entry, leaf.tables & range.hierarchy);
    if !perm::wants(access).are_met(permissions) {
        return None;
    }
    let [data, fetch] = &params.attributes;
    let attributes = if access.is_fetch() { fetch } else { data };
    // AttrIndx, SH.
    let at = leaf.entry >> 2 & 7 | leaf.entry >> 5 & 0x18;
    Some(Judged { permissions, attributes: *attributes.get(index(at))? })
}

/// Translates by both stages; `None` where the full walk must.
#[inline]
pub(super) fn both<A: OutputAddress, M: TableMemory<A>, K: Keeper>(
    (params, stage2): (&Params, &Stage2),
    va: u64,
    access: Access,
    memory: &M,
    keeper: &mut K,
) -> Result<Option<Translation<A>>, M::Error> {
    let [low, high] = &params.ranges;
    // As above: where the first table lies must not wait for the address.
    if va & UPPER == 0 {
        half((params, low, stage2, access), 0, (va, memory, keeper))
    } else {
        half((params, high, stage2, access), u64::MAX, (va, memory, keeper))
    }
}

/// Does the same for one half of the address space.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and taken apart at once")]
fn half<A: OutputAddress, M: TableMemory<A>, K: Keeper>(
    (params, range, stage2, access): (&Params, &Range, &Stage2, Access),
    sign: u64,
    (va, memory, keeper): (u64, &M, &mut K),
) -> Result<Option<Translation<A>>, M::Error> {
    let [Tables { range: second, .. }, _] = &stage2.tables;
    let [outside, _] = second.checked;
    let first = &range.quick_way;
    if !is_open(range, va, sign, access) || first.base & outside != 0 {
        return Ok(None);
    }
    let (walk, stages) = ((params, range, stage2, access), (va, memory, keeper));
    match (first.depth, second.quick_way.depth) {
        (3, 3) => nested::<3, 3, A, M, K>(walk, stages),
        (3, 2) => nested::<3, 2, A, M, K>(walk, stages),
        (2, 3) => nested::<2, 3, A, M, K>(walk, stages),
        (2, 2) => nested::<2, 2, A, M, K>(walk, stages),
        _ => Ok(None),
    }
}

/// Does the same for so many levels.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and taken apart at once")]
fn nested<const FIRST: u8, const SECOND: u8, A: OutputAddress, M: TableMemory<A>, K: Keeper>(
    (params, range, stage2, access): (&Params, &Range, &Stage2, Access),
    (va, memory, keeper): (u64, &M, &mut K),
) -> Result<Option<Translation<A>>, M::Error> {
    let [Tables { range: second, .. }, _] = &stage2.tables;
    let [outside, _] = second.checked;
    let key = Key::new(0, stage2.vmid, None, (Space::NonSecure, Space::NonSecure));
    let mut behind = Behind::<SECOND, A, M, K> { stage2, key, memory, keeper, address: PhantomData };
    let Some(leaf) = descend::<FIRST, _>(&range.quick_way, va, &mut behind)? else { return Ok(None) };
    let Some(first) = judge(params, range, &leaf, access) else { return Ok(None) };
    let ipa = leaf.output(va);
    if ipa & outside != 0 {
        return Ok(None);
    }
    let mut tables = Direct::<A, M>::new(memory);
    let Some(own) = descend::<SECOND, _>(&second.quick_way, ipa, &mut tables)? else { return Ok(None) };
    let permissions = stage2::direct(stage2, own.entry);
    if !perm::wants(access).are_met(permissions) {
        return Ok(None);
    }
    let attributes = if own.entry & stage2.transparent_mask == stage2.transparent {
        first.attributes.shared_by(own.entry >> 8)
    } else {
        stage2::memory(stage2, second, own.entry).over(first.attributes, stage2, access.is_fetch())
    };
    let held = stage2::with_gcs(permissions).union(Permissions::UNDER_PAN);
    Ok(Some(Translation::Mapped(Mapping {
        output: A::from_number(own.output(ipa)),
        level: Some(leaf.size.level),
        size_log2: leaf.size.log2.min(own.size.log2),
        contiguous: false,
        attributes,
        permissions: first.permissions.intersection(held),
        not_global: leaf.entry & NOT_GLOBAL != 0,
        guarded: leaf.entry & GUARDED != 0,
        clean: false,
        assured: false,
        space: Space::NonSecure,
        ipa: Some(Ipa::new(ipa)),
        update: None,
    })))
}

/// Tables of stage 1, whose pages stage 2 locates.
struct Behind<'a, const DEPTH: u8, A, M, K> {
    stage2: &'a Stage2,
    key: Key,
    memory: &'a M,
    keeper: &'a mut K,
    address: PhantomData<A>,
}

impl<const DEPTH: u8, A: OutputAddress, M: TableMemory<A>, K: Keeper> Tables64
    for Behind<'_, DEPTH, A, M, K>
{
    type Error = M::Error;

    #[inline(always)]
    fn load(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        let found = if K::ON {
            let key = self.key.of_page(table);
            match self.keeper.page(key) {
                Some(known) => Some(known),
                None => miss::<DEPTH, A, M, K>(self.stage2, table, key, self.memory, self.keeper)?,
            }
        } else {
            locate::<DEPTH, A, M>(&self.stage2.quick_to_tables, table, self.memory)?
        };
        let Some(found) = found else { return Ok(None) };
        Direct::<A, M>::new(self.memory).load(found, offset)
    }

    #[inline(always)]
    fn first(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        self.load(table & !mask(12), table & mask(12) | offset)
    }

    /// What stage 2 has no place for is nothing plain.
    #[inline(always)]
    fn has(&self, table: u64) -> bool {
        let [Tables { range, .. }, _] = &self.stage2.tables;
        let [outside, _] = range.checked;
        table & outside == 0
    }
}

/// Returns where stage 2 puts a page of stage 1 tables, and nothing else about it. A function of its own: registers are
/// few.
#[inline(never)]
fn locate<const DEPTH: u8, A: OutputAddress, M: TableMemory<A>>(
    quick: &Quick,
    page: u64,
    memory: &M,
) -> Result<Option<u64>, M::Error> {
    let Some(leaf) = descend::<DEPTH, _>(quick, page, &mut Direct::<A, M>::new(memory))? else {
        return Ok(None);
    };
    if matches!(leaf.size.level, Level::L3) {
        return Ok(Some(leaf.entry & ADDRESS));
    }
    Ok(Some(leaf.output(page)))
}

/// Returns where stage 2 puts a page of stage 1 tables, and keeps it.
#[inline(never)]
fn miss<const DEPTH: u8, A: OutputAddress, M: TableMemory<A>, K: Keeper>(
    stage2: &Stage2,
    page: u64,
    key: Key,
    memory: &M,
    keeper: &mut K,
) -> Result<Option<u64>, M::Error> {
    let mut tables = Direct::<A, M>::new(memory);
    let Some(leaf) = descend::<DEPTH, _>(&stage2.quick_to_tables, page, &mut tables)? else {
        return Ok(None);
    };
    let output = leaf.output(page);
    let [Tables { range, .. }, _] = &stage2.tables;
    if !range.haft {
        let details = Details {
            space: Space::NonSecure,
            mostly_read_only: false,
            state: Space::NonSecure,
            ipa_space: Space::NonSecure,
            size_log2: leaf.size.log2,
            level: leaf.size.level,
            granule: range.granule,
        };
        keeper.keep(key, Known { output, details });
    }
    Ok(Some(output))
}
