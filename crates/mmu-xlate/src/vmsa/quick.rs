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
use super::geometry::{Depth, Quick, Range};
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
    /// The descriptor.
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
    /// Whether a descriptor is a plain table, and has no address bit of `outside`. What is asked about is a copy, so that the
    /// address in it need not wait.
    #[inline]
    const fn is_table(&self, entry: u64, outside: u64) -> bool {
        // Bits 1:0 of a table are ones, so that where they match nothing is borrowed from above them; nor is from above AF.
        entry.wrapping_add(self.less_table) & (self.table_mask | outside) == 0
    }

    #[inline]
    fn page(&self, entry: u64, tables: u64) -> Option<Leaf> {
        ((entry ^ self.page) & self.leaf_mask == 0).then_some(Leaf { entry, size: Size::PAGE, tables })
    }

    /// Returns the block that is where there was no table.
    #[inline]
    fn block(&self, entry: u64, size: Size, tables: u64) -> Option<Leaf> {
        ((entry ^ self.block) & self.leaf_mask == 0).then_some(Leaf { entry, size, tables })
    }
}

/// Where descriptors come from.
trait Tables64 {
    type Error;

    /// Returns the descriptor at an offset into a table, of 64 bits and little-endian; `None`, or one that is not plain, where it
    /// is not to be had without more ado. Of `table` the address bits count, of the offset bits 11:3.
    fn load(&mut self, table: u64, offset: u64) -> Result<Option<u64>, Self::Error>;

    /// Returns the same of the first table, the only one that can be less than a page.
    fn first(&mut self, table: u64, offset: u64) -> Result<Option<u64>, Self::Error>;
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
        self.first(table & ADDRESS, offset & OFFSET)
    }

    #[inline(always)]
    fn first(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        let at = A::located(table | offset, Space::NonSecure);
        if is_refused(self.memory, at)? {
            return Ok(None);
        }
        Ok(self.memory.load(at)?.map(u64::from_le_bytes))
    }
}

/// Whether granule protection, where there is any, refuses a place: the full walk asks again, and says so.
#[inline(always)]
fn is_refused<A: OutputAddress, M: TableMemory<A>>(memory: &M, at: A) -> Result<bool, M::Error> {
    Ok(memory.granule(at)?.is_some_and(|report| report.refusal().is_some()))
}

/// Follows plain tables of 4 KiB, so many levels below the first one, to a plain leaf. No table has an address with a bit of
/// `outside`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each of its uses is a walk of its own, with its own loads")]
fn descend<const DEPTH: u8, T: Tables64>(
    quick: &Quick,
    outside: u64,
    input: u64,
    from: &mut T,
) -> Result<Option<Leaf>, T::Error> {
    // Where the index of the first table lies follows from the levels below it.
    let offset = input >> if DEPTH == 3 { 36 } else { 27 } & quick.offset;
    let Some(mut entry) = from.first(quick.base, offset)? else { return Ok(None) };
    let mut tables = 0;
    if DEPTH == 3 {
        // No block is here.
        if !quick.is_table(entry, outside) {
            return Ok(None);
        }
        tables |= entry;
        let Some(next) = from.load(entry, input >> 27)? else { return Ok(None) };
        entry = next;
    }
    if !quick.is_table(entry, outside) {
        return Ok(quick.block(entry, Size::HUGE, tables));
    }
    tables |= entry;
    let Some(entry) = from.load(entry, input >> 18)? else { return Ok(None) };
    if !quick.is_table(entry, outside) {
        return Ok(quick.block(entry, Size::LARGE, tables));
    }
    tables |= entry;
    let Some(entry) = from.load(entry, input >> 9)? else { return Ok(None) };
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
    let quick = &range.quick_way;
    let leaf = match quick.depth() {
        Depth::Three => descend::<3, _>(quick, 0, va, &mut tables)?,
        Depth::Two => descend::<2, _>(quick, 0, va, &mut tables)?,
        Depth::Other => None,
    };
    let Some(leaf) = leaf else { return Ok(None) };
    let Some(Judged { permissions, attributes }) = judge(params, range, &leaf, access) else {
        return Ok(None);
    };
    let output = A::from_number(leaf.output(va));
    if access.reaches_memory() && is_refused(memory, output)? {
        return Ok(None);
    }
    Ok(Some(Translation::Mapped(Mapping {
        output,
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
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and is to be made where it is wanted")]
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
    if Quick::are_both_three(first, &second.quick_way) {
        return nested::<3, 3, A, M, K>(walk, stages);
    }
    match (first.depth(), second.quick_way.depth()) {
        (Depth::Three, Depth::Two) => nested::<3, 2, A, M, K>(walk, stages),
        (Depth::Two, Depth::Three) => nested::<2, 3, A, M, K>(walk, stages),
        (Depth::Two, Depth::Two) => nested::<2, 2, A, M, K>(walk, stages),
        (Depth::Three, Depth::Three) | (Depth::Other, _) | (_, Depth::Other) => Ok(None),
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
    let quick = &range.quick_way;
    let path = key.of_path(va, quick.name);
    let known = if K::ON { keeper.path(path) } else { None };
    let found = if let Some(tables) = known {
        let mut direct = Direct::<A, M>::new(memory);
        let Some(entry) = direct.load(tables, va >> 9)? else { return Ok(None) };
        quick.page(entry, tables)
    } else {
        let mut behind =
            Behind::<SECOND, A, M, K> { stage2, key, memory, keeper, page: 0, address: PhantomData };
        // What stage 2 has no place for is no plain table.
        let found = descend::<FIRST, _>(quick, outside & ADDRESS, va, &mut behind)?;
        let page = behind.page;
        if let (true, Some(leaf)) = (K::ON && !range.haft && !second.haft, &found) {
            if matches!(leaf.size.level, Level::L3) {
                keeper.keep_path(path, page | leaf.tables & !ADDRESS);
            }
        }
        found
    };
    let Some(leaf) = found else { return Ok(None) };
    let Some(first) = judge(params, range, &leaf, access) else { return Ok(None) };
    let ipa = leaf.output(va);
    if ipa & outside != 0 {
        return Ok(None);
    }
    let mut tables = Direct::<A, M>::new(memory);
    let Some(own) = descend::<SECOND, _>(&second.quick_way, 0, ipa, &mut tables)? else { return Ok(None) };
    // What stage 2 takes away does not touch what PAN asks for, so this is its own check.
    let permissions = first.permissions.intersection(stage2::held(stage2, own.entry));
    if !perm::wants(access).are_met(permissions) {
        return Ok(None);
    }
    let attributes = if own.entry & stage2.transparent_mask == stage2.transparent {
        first.attributes.shared_by(own.entry >> 8)
    } else {
        stage2::memory(stage2, second, own.entry).over(first.attributes, stage2, access.is_fetch())
    };
    let output = A::from_number(own.output(ipa));
    if access.reaches_memory() && is_refused(memory, output)? {
        return Ok(None);
    }
    Ok(Some(Translation::Mapped(Mapping {
        output,
        level: Some(leaf.size.level),
        size_log2: leaf.size.log2.min(own.size.log2),
        contiguous: false,
        attributes,
        permissions,
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
    /// Where the last one lies.
    page: u64,
    address: PhantomData<A>,
}

impl<const DEPTH: u8, A: OutputAddress, M: TableMemory<A>, K: Keeper> Tables64
    for Behind<'_, DEPTH, A, M, K>
{
    type Error = M::Error;

    #[inline(always)]
    fn load(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        if !K::ON {
            let quick = &self.stage2.quick_to_tables;
            return Ok(Some(behind::<DEPTH, A, M>(quick, table, offset, self.memory)?));
        }
        let page = table & ADDRESS;
        let key = self.key.of_page(page);
        let found = match self.keeper.page(key) {
            Some(known) => Some(known),
            None => miss::<DEPTH, A, M, K>(self.stage2, page, key, self.memory, self.keeper)?,
        };
        let Some(found) = found else { return Ok(None) };
        self.page = found;
        Direct::<A, M>::new(self.memory).load(found, offset)
    }

    #[inline(always)]
    fn first(&mut self, table: u64, offset: u64) -> Result<Option<u64>, M::Error> {
        self.load(table, table | offset)
    }
}

/// Returns the descriptor at an offset into a page of stage 1 tables, wherever stage 2 puts it; 0, which is not plain, where that
/// is not. Of `page` bits 47:12 count, of `offset` 11:3. A function of its own: registers are few.
#[inline(never)]
fn behind<const DEPTH: u8, A: OutputAddress, M: TableMemory<A>>(
    quick: &Quick,
    page: u64,
    offset: u64,
    memory: &M,
) -> Result<u64, M::Error> {
    let mut tables = Direct::<A, M>::new(memory);
    let Some(leaf) = descend::<DEPTH, _>(quick, 0, page, &mut tables)? else { return Ok(0) };
    let page = if matches!(leaf.size.level, Level::L3) { leaf.entry } else { leaf.output(page) };
    Ok(tables.load(page, offset)?.unwrap_or(0))
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
    let Some(leaf) = descend::<DEPTH, _>(&stage2.quick_to_tables, 0, page, &mut tables)? else {
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
