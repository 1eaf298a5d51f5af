//! The short way: walks of 4 KiB granule that meet nothing out of the ordinary.
//!
//! It goes by the same parameters and asks the same questions as the full walk of [`super::descend`] and its judges, all
//! at once where they can be: a descriptor is compared with what a plain table, page or block looks like in one step.
//! Whatever is different, a fault above all, makes it give up, and the full walk begins from the start: it alone says
//! what is wrong, updates descriptors, and tells a recorder. So this never decides against an access, and where it decides
//! for one the full walk would have decided the same.

use super::attr::Attributes;
use super::cache::{Keeper, Key, Known};
use super::format::{GUARDED, NOT_GLOBAL};
use super::geometry::Range;
use super::mapping::{Mapping, OutputAddress, Translation};
use super::params::Params;
use super::perm::{self, Access, Privilege};
use super::registers::Space;
use super::source::Hardware;
use super::stage2::{self, Answer, OnBehalf, Question};
use super::stage2_params::{Stage2, Tables};
use super::translate;
use arm_arch::bits::{index, mask};
use arm_arch::{Ipa, Level};

/// A leaf that is as most are.
struct Leaf {
    entry: u64,
    /// Lowest bit of the input that it resolves: 12, 21, 30.
    shift: u32,
    tables: u64,
}

impl Leaf {
    /// Returns the output address for an input.
    #[inline]
    const fn output(&self, input: u64) -> u64 {
        let below = 1u64.wrapping_shl(self.shift).wrapping_sub(1);
        self.entry & mask(48) & !below | input & below
    }

    #[inline]
    const fn level(&self) -> Level {
        match self.shift {
            PAGE => Level::L3,
            21 => Level::L2,
            _ => Level::L1,
        }
    }
}

/// Lowest bit of the input that a page of 4 KiB resolves; what a table resolves; the lowest bit where no block may be.
const PAGE: u32 = 12;
const STRIDE: u32 = 9;
const LEVEL_0: u32 = 39;
/// Address bits of a table descriptor, and the place in a table.
const ADDRESS: u64 = 0xffff_ffff_f000;
const OFFSET: u64 = 0xff8;

/// Follows plain tables of 4 KiB to a plain leaf, through a `load` that may give up, too.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each of its uses is a loop of its own, with its own loads")]
fn descend<E>(
    range: &Range,
    input: u64,
    mut load: impl FnMut(u64) -> Result<Option<u64>, E>,
) -> Result<Option<Leaf>, E> {
    let mut shift = range.first_shift;
    let mut at = range.base | (input.wrapping_shr(shift) & range.first_mask) << 3;
    let mut tables = 0;
    let [page, block] = range.quick_leaf;
    loop {
        let Some(entry) = load(at)? else { return Ok(None) };
        if shift == PAGE {
            let plain = entry & range.quick_leaf_mask == page;
            return Ok(plain.then_some(Leaf { entry, shift, tables }));
        }
        if entry & range.quick_mask != range.quick {
            let plain = entry & range.quick_leaf_mask == block && shift < LEVEL_0;
            return Ok(plain.then_some(Leaf { entry, shift, tables }));
        }
        shift = shift.wrapping_sub(STRIDE);
        at = entry & ADDRESS | input.wrapping_shr(shift.wrapping_sub(3)) & OFFSET;
        tables |= entry;
    }
}

/// Reads a descriptor of 64 bits, little-endian.
#[inline]
fn load<H: Hardware>(hardware: &mut H, at: u64) -> Result<Option<u64>, H::Error> {
    Ok(hardware.load(at, Space::NonSecure)?.map(u64::from_le_bytes))
}

/// Returns the range of an address whose bits beyond the input size are as they must be, if the short way is open.
#[inline]
fn range(params: &Params, va: u64, access: Access) -> Option<&Range> {
    let [low, high] = &params.ranges;
    let (range, sign) = if va & 1 << 55 == 0 { (low, 0) } else { (high, u64::MAX) };
    let [data, fetch] = range.checked;
    let checked = if access.is_fetch() { fetch } else { data };
    let open = range.is_quick && (va ^ sign) & checked == 0 && access.aligned;
    open.then_some(range)
}

/// Translates by stage 1 alone; `None` where the full walk must.
#[inline]
pub(super) fn stage_1<A: OutputAddress, H: Hardware>(
    params: &Params,
    va: u64,
    access: Access,
    hardware: &mut H,
) -> Result<Option<Translation<A>>, H::Error> {
    let Some(range) = range(params, va, access) else { return Ok(None) };
    let Some(leaf) = descend(range, va, |at| load(hardware, at))? else { return Ok(None) };
    Ok(judge(params, range, va, &leaf, access).map(Translation::Mapped))
}

/// Judges a leaf of stage 1; `None` where it may be a fault.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and taken apart at once")]
fn judge<A: OutputAddress>(
    params: &Params,
    range: &Range,
    va: u64,
    leaf: &Leaf,
    access: Access,
) -> Option<Mapping<A>> {
    let permissions = perm::direct(params, leaf.entry, leaf.tables & range.hierarchy);
    let held = permissions.with_pan(perm::is_under_pan(access));
    let cmow = params.cmow && matches!(access.privilege, Privilege::Unprivileged);
    perm::check(held, perm::needs(access, cmow), access).ok()?;
    Some(Mapping {
        output: A::from_number(leaf.output(va)),
        level: Some(leaf.level()),
        size_log2: super::descend::size_log2(leaf.shift),
        contiguous: false,
        attributes: attributes(params, leaf.entry, access),
        permissions,
        not_global: leaf.entry & NOT_GLOBAL != 0,
        guarded: leaf.entry & GUARDED != 0,
        clean: false,
        assured: false,
        space: Space::NonSecure,
        ipa: None,
        update: None,
    })
}

/// Returns the attributes that a leaf names, as [`super::stage1::attributes`] does.
#[inline]
fn attributes(params: &Params, entry: u64, access: Access) -> Attributes {
    let [data, fetch] = &params.maps;
    let maps = if access.is_fetch() { fetch } else { data };
    let map = maps.get(index(entry >> 2 & 7)).copied().unwrap_or(0);
    Attributes::of_map(map, entry >> 8)
}

/// Translates by both stages; `None` where the full walk must.
#[inline]
pub(super) fn both<A: OutputAddress, H: Hardware, K: Keeper>(
    (params, stage2): (&Params, &Stage2),
    va: u64,
    access: Access,
    hardware: &mut H,
    keeper: &mut K,
) -> Result<Option<Translation<A>>, H::Error> {
    let [own, _] = &stage2.tables;
    let range = &own.range;
    if !range.is_quick {
        return Ok(None);
    }
    let Some(first) = self::range(params, va, access) else { return Ok(None) };
    let Some(leaf) = nested((first, stage2), va, hardware, keeper)? else { return Ok(None) };
    let Some(found) = judge::<Ipa>(params, first, va, &leaf, access) else { return Ok(None) };
    let Some(leaf) = second(range, found.output.bits(), hardware)? else { return Ok(None) };
    Ok(answer(stage2, range, &found, &leaf, access)
        .map(|answer| Translation::Mapped(translate::combine(&found, &answer))))
}

/// Walks stage 1 with its tables behind stage 2. A function of its own: registers are few.
#[inline(never)]
fn nested<H: Hardware, K: Keeper>(
    (first, stage2): (&Range, &Stage2),
    va: u64,
    hardware: &mut H,
    keeper: &mut K,
) -> Result<Option<Leaf>, H::Error> {
    descend(first, va, |at| {
        let Some(at) = table(stage2, at, hardware, keeper)? else { return Ok(None) };
        load(hardware, at)
    })
}

/// Walks stage 2 for an address.
#[inline]
fn second<H: Hardware>(range: &Range, ipa: u64, hardware: &mut H) -> Result<Option<Leaf>, H::Error> {
    let [checked, _] = range.checked;
    if ipa & checked != 0 {
        return Ok(None);
    }
    descend(range, ipa, |at| load(hardware, at))
}

/// Returns where a descriptor of stage 1 lies.
#[inline]
fn table<H: Hardware, K: Keeper>(
    stage2: &Stage2,
    ipa: u64,
    hardware: &mut H,
    keeper: &mut K,
) -> Result<Option<u64>, H::Error> {
    let [Tables { range, .. }, _] = &stage2.tables;
    if !K::ON {
        return place(range, ipa, hardware);
    }
    let key = Key::new(ipa, stage2.vmid, None, (Space::NonSecure, Space::NonSecure));
    match keeper.find(key) {
        Some(known) => Ok(Some(known.output | ipa & mask(12))),
        None => miss(range, (key, ipa), hardware, keeper),
    }
}

/// Asks stage 2 where a descriptor of stage 1 lies, and keeps the answer.
#[inline(never)]
fn miss<H: Hardware, K: Keeper>(
    range: &Range,
    (key, ipa): (Key, u64),
    hardware: &mut H,
    keeper: &mut K,
) -> Result<Option<u64>, H::Error> {
    let Some(leaf) = second(range, ipa, hardware)? else { return Ok(None) };
    if leaf.entry & stage2::READABLE == 0 {
        return Ok(None);
    }
    let output = leaf.output(ipa);
    if !range.haft {
        let known = Known {
            output: output & !mask(12),
            space: Space::NonSecure,
            mostly_read_only: false,
            state: Space::NonSecure,
            ipa_space: Space::NonSecure,
            size_log2: super::descend::size_log2(leaf.shift),
            level: leaf.level(),
            granule: range.granule,
        };
        keeper.keep(key, known);
    }
    Ok(Some(output))
}

/// Returns where stage 2 puts what may be read.
#[inline(never)]
fn place<H: Hardware>(range: &Range, ipa: u64, hardware: &mut H) -> Result<Option<u64>, H::Error> {
    let Some(leaf) = second(range, ipa, hardware)? else { return Ok(None) };
    Ok((leaf.entry & stage2::READABLE != 0).then(|| leaf.output(ipa)))
}

/// Returns what stage 2 says about the access itself; `None` where it may be a fault.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is large, and taken apart at once")]
fn answer(
    stage2: &Stage2,
    range: &Range,
    found: &Mapping<Ipa>,
    leaf: &Leaf,
    access: Access,
) -> Option<Answer> {
    let on_behalf = OnBehalf::Access { attributes: found.attributes, assured: false };
    let question = Question { ipa: found.output.bits(), space: Space::NonSecure, access, on_behalf };
    let permissions = stage2::direct(stage2, leaf.entry);
    perm::check(permissions, question.needs(stage2), access).ok()?;
    let own = stage2::memory(stage2, range, leaf.entry);
    Some(Answer {
        output: leaf.output(found.output.bits()),
        space: Space::NonSecure,
        level: leaf.level(),
        size_log2: super::descend::size_log2(leaf.shift),
        contiguous: false,
        attributes: own.over(found.attributes, stage2, access.is_fetch()),
        permissions: stage2::with_gcs(permissions),
        clean: false,
        mostly_read_only: false,
        settled: true,
    })
}
