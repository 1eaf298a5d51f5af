//! Stage 1: from a virtual address to the output of the regime, and its judgement.

use super::attr::{Attributes, Shareability};
use super::descend::{self, ATTEMPTS, Leaf, Way};
use super::explain::{Recorder, Step, decided};
use super::fault::{Fault, Qualifiers, Stage};
use super::fields;
use super::format::{Descriptor, NOT_GLOBAL, NS, READ_ONLY};
use super::geometry::{ACCESS_FLAG, AddressForm, Range, level};
use super::indirect::{self, Rights};
use super::mapping::{Mapping, OutputAddress, Translation, Update};
use super::params::Params;
use super::perm::{self, Access, AccessKind, Permissions, Privilege};
use super::quick;
use super::registers::{Regime, Space};
use super::rule::Rule;
use super::source::{self, Direct, Hardware, HardwareError, Probe, Source, Stop, Writer};
use crate::memory::{TableMemory, TableUpdate};
use arm_arch::bits::{low8, mask, trunc32};
use arm_arch::{FaultStatus, Level, Va};

/// Dirty Bit Modifier of a 64-bit leaf.
const DBM: u64 = 1 << 51;

/// Translates one address of stage 1, and writes nothing. Arm ARM, AArch64.S1Translate.
///
/// # Errors
///
/// Only the memory's own: then there is neither a mapping nor a fault to report.
#[inline]
pub fn walk<A: OutputAddress, M: TableMemory<A>>(
    params: &Params,
    va: Va,
    access: Access,
    memory: &M,
) -> Result<Translation<A>, M::Error> {
    if let Some(found) = quick::stage_1(params, va.bits(), access, memory)? {
        return Ok(found);
    }
    walk_in_full(params, va, access, memory)
}

/// Does the same as [`walk`], and asks for each descriptor once, in the order of their levels: [`walk`] may look at some
/// before it takes this way.
///
/// # Errors
///
/// As [`walk`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "a frame of its own on the stack of each walk, for nothing")]
pub fn walk_in_full<A: OutputAddress, M: TableMemory<A>>(
    params: &Params,
    va: Va,
    access: Access,
    memory: &M,
) -> Result<Translation<A>, M::Error> {
    if is_long(params, va) {
        probe::<u128, A, M>(params, va, access, memory)
    } else {
        probe::<u64, A, M>(params, va, access, memory)
    }
}

/// Walks by descriptors of one size. Each apart, so that what one keeps on the stack is not there for the other.
#[cold]
#[inline(never)]
fn probe<E: Descriptor, A: OutputAddress, M: TableMemory<A>>(
    params: &Params,
    va: Va,
    access: Access,
    memory: &M,
) -> Result<Translation<A>, M::Error> {
    let recorder = &mut ();
    let mut hardware = Probe::<A, _, _>::new(memory, recorder);
    let found = in_full_as::<E, A, _>(params, va, access, &mut hardware)?;
    checked(found, access, memory, &mut ())
}

/// Translates one address of stage 1, writes nothing, and tells a recorder each step.
/// Arm ARM, AArch64.S1Translate.
///
/// # Errors
///
/// As [`walk`].
pub fn walk_recorded<A: OutputAddress, M: TableMemory<A>, R: Recorder>(
    params: &Params,
    va: Va,
    access: Access,
    memory: &M,
    recorder: &mut R,
) -> Result<Translation<A>, M::Error> {
    if !R::ACTIVE {
        if let Some(found) = quick::stage_1(params, va.bits(), access, memory)? {
            return Ok(found);
        }
    }
    let found = in_full(params, va, access, &mut Probe::<A, _, _>::new(memory, recorder))?;
    checked(found, access, memory, recorder)
}

/// Translates one address of stage 1, and writes what hardware writes: access flag and dirty state.
/// Arm ARM, AArch64.S1Translate.
///
/// # Errors
///
/// As [`walk`].
pub fn walk_updating<A: OutputAddress, M: TableUpdate<A>, R: Recorder>(
    params: &Params,
    va: Va,
    access: Access,
    memory: &M,
    recorder: &mut R,
) -> Result<Translation<A>, M::Error> {
    if !R::ACTIVE {
        if let Some(found) = quick::stage_1(params, va.bits(), access, memory)? {
            return Ok(found);
        }
    }
    let found = in_full(params, va, access, &mut Writer::<A, _, _>::new(memory, recorder))?;
    checked(found, access, memory, recorder)
}

/// Returns what is left of a translation once granule protection has been asked about its output. Arm ARM,
/// AArch64.TranslateAddress.
#[inline]
pub(super) fn checked<A: OutputAddress, M: TableMemory<A>, R: Recorder>(
    found: Translation<A>,
    access: Access,
    memory: &M,
    recorder: &mut R,
) -> Result<Translation<A>, M::Error> {
    let Translation::Mapped(mapping) = &found else { return Ok(found) };
    if !access.reaches_memory() {
        return Ok(found);
    }
    let Some(refusal) = source::granule(mapping.output, memory, recorder)? else { return Ok(found) };
    decided(recorder, Stage::One, None, Rule::GranuleRefuses);
    let fault = Fault::stage_1(FaultStatus::GranuleProtection, access.wnr());
    let fault = Fault { granule: Some(refusal), ..fault };
    if R::ACTIVE {
        recorder.record(Step::Fault(fault));
    }
    Ok(Translation::Fault(fault))
}

/// Walks stage 1 where nothing is behind it, the long way.
#[cold]
#[inline(never)]
fn in_full<A: OutputAddress, H: Hardware>(
    params: &Params,
    va: Va,
    access: Access,
    hardware: &mut H,
) -> Result<Translation<A>, H::Error> {
    if is_long(params, va) {
        in_full_as::<u128, A, H>(params, va, access, hardware)
    } else {
        in_full_as::<u64, A, H>(params, va, access, hardware)
    }
}

/// Whether the descriptors for an address have 128 bits.
#[inline]
const fn is_long(params: &Params, va: Va) -> bool {
    let [low, high] = &params.ranges;
    if va.bits() & 1 << 55 == 0 { low.d128 } else { high.d128 }
}

#[inline]
fn in_full_as<E: Descriptor, A: OutputAddress, H: Hardware>(
    params: &Params,
    va: Va,
    access: Access,
    hardware: &mut H,
) -> Result<Translation<A>, H::Error> {
    let mut source = Direct { hardware, big_endian: params.big_endian };
    match resolve_as::<E, A, _>(params, va, access, &mut source) {
        Ok(mapping) => Ok(Translation::Mapped(mapping)),
        Err(stop) => finish(stop, access, source.recorder()).map(Translation::Fault),
    }
}

/// Makes a fault of what stopped a stage 1 walk.
#[inline]
pub(super) fn finish<E, R: Recorder>(stop: Stop<E>, access: Access, recorder: &mut R) -> Result<Fault, E> {
    let fault = match stop {
        Stop::Host(error) => return Err(error),
        Stop::Fault(fault) => fault,
        Stop::Status(status) => Fault::stage_1(status, access.wnr()),
        Stop::Granule(level, refusal) => {
            let status = FaultStatus::GranuleProtectionOnWalk(level);
            Fault { granule: Some(refusal), ..Fault::stage_1(status, access.wnr()) }
        }
        Stop::Lost => Fault::stage_1(FaultStatus::UnsupportedAtomicUpdate, access.wnr()),
    };
    if R::ACTIVE {
        recorder.record(Step::Fault(fault));
    }
    Ok(fault)
}

/// Walks stage 1, again for each lost race with another writer of its tables.
#[inline]
pub(super) fn resolve<A: OutputAddress, S: Source>(
    params: &Params,
    va: Va,
    access: Access,
    source: &mut S,
) -> Result<Mapping<A>, Stop<HardwareError<S>>> {
    if is_long(params, va) {
        resolve_as::<u128, A, S>(params, va, access, source)
    } else {
        resolve_as::<u64, A, S>(params, va, access, source)
    }
}

/// Does the same for descriptors of one size.
#[inline]
fn resolve_as<E: Descriptor, A: OutputAddress, S: Source>(
    params: &Params,
    va: Va,
    access: Access,
    source: &mut S,
) -> Result<Mapping<A>, Stop<HardwareError<S>>> {
    if !S::Hardware::WRITES {
        return attempt::<E, A, S>(params, va, access, source);
    }
    for _ in 0..ATTEMPTS {
        match attempt::<E, A, S>(params, va, access, source) {
            Err(Stop::Lost) => decided(source.recorder(), Stage::One, None, Rule::RaceLost),
            done => return done,
        }
    }
    Err(Stop::Lost)
}

#[inline]
fn attempt<E: Descriptor, A: OutputAddress, S: Source>(
    params: &Params,
    va: Va,
    access: Access,
    source: &mut S,
) -> Result<Mapping<A>, Stop<HardwareError<S>>> {
    let [low, high] = &params.ranges;
    let (range, sign) = if va.bits() & 1 << 55 == 0 { (low, 0) } else { (high, params.high_sign) };
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        let rule = match (params.unprivileged, sign) {
            (false, _) => Rule::OneRange,
            (true, 0) => Rule::LowerRange,
            (true, _) => Rule::UpperRange,
        };
        decided(source.recorder(), Stage::One, None, rule);
    }
    if range.special {
        if let Some(decision) = special(params, range, sign, va, access, source) {
            return decision;
        }
    } else if is_out_of_range(range, sign, va, access) {
        decided(source.recorder(), Stage::One, None, Rule::InputOutOfRange);
        return Err(Stop::Status(FaultStatus::Translation(Level::L0)));
    }
    translate::<E, A, S>(params, range, va.bits(), access, source)
}

/// Whether the bits above the input size are not all as bit 55 is, apart from an ignored top byte or
/// tag.
#[inline]
const fn is_out_of_range(range: &Range, sign: u64, va: Va, access: Access) -> bool {
    let [data, fetch] = range.checked;
    (va.bits() ^ sign) & if access.is_fetch() { fetch } else { data } != 0
}

/// Looks at what may come before a walk; `None` where the walk follows. Kept apart so that the plain walk is short, and not
/// around it, so that it is not on the stack then.
#[cold]
#[inline(never)]
fn special<A: OutputAddress, S: Source>(
    params: &Params,
    range: &Range,
    sign: u64,
    va: Va,
    access: Access,
    source: &mut S,
) -> Option<Result<Mapping<A>, Stop<HardwareError<S>>>> {
    let [data, fetch] = range.ignored;
    if !params.on {
        decided(source.recorder(), Stage::One, None, Rule::Stage1Off);
        let ignored = if access.is_fetch() { fetch } else { data };
        return Some(flat(params, va, ignored, access, source));
    }
    let user = matches!(access.privilege, Privilege::Unprivileged);
    let barred = if user && range.e0pd {
        Some(Rule::BarredToEl0)
    } else if user && range.nfd && access.non_fault {
        Some(Rule::NonFaultLoad)
    } else if is_out_of_range(range, sign, va, access) {
        Some(Rule::InputOutOfRange)
    } else {
        None
    };
    if let Some(rule) = barred {
        decided(source.recorder(), Stage::One, None, rule);
        return Some(Err(Stop::Status(FaultStatus::Translation(Level::L0))));
    }
    let status = range.fault?;
    decided(source.recorder(), Stage::One, None, range.why);
    Some(Err(Stop::Status(status)))
}

#[inline]
fn translate<E: Descriptor, A: OutputAddress, S: Source>(
    params: &Params,
    range: &Range,
    va: u64,
    access: Access,
    source: &mut S,
) -> Result<Mapping<A>, Stop<HardwareError<S>>> {
    let way = Way {
        stage: Stage::One,
        space: params.space,
        ns_space: Space::NonSecure,
        updates: access.sets_access_flag(),
        pnch: params.pnch,
    };
    let leaf = descend::descend::<E, S>(range, va, way, source)?;
    judge(params, range, va, &leaf, access, source)
}

/// Judges a leaf: output size, access flag, alignment, permissions, in this order.
/// Arm ARM, "MMU fault prioritization from a single address translation stage".
#[inline]
fn judge<E: Descriptor, A: OutputAddress, S: Source>(
    params: &Params,
    range: &Range,
    va: u64,
    leaf: &Leaf<E>,
    access: Access,
    source: &mut S,
) -> Result<Mapping<A>, Stop<HardwareError<S>>> {
    let entry = leaf.entry;
    let low = entry.low();
    let at_level = level(leaf.remaining);
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        let address = entry.output(range, leaf.shift);
        let told = (entry.wide(), address, leaf.shift, E::WIDE);
        fields::stage1(params, range, at_level, told, source.recorder());
    }
    let Some((output, contiguous)) = descend::output(range, leaf, va) else {
        decided(source.recorder(), Stage::One, Some(at_level), Rule::OutputTooLarge);
        return Err(Stop::Status(FaultStatus::AddressSize(at_level)));
    };
    if low & ACCESS_FLAG == 0 && !params.ha && access.wants_access_flag() {
        decided(source.recorder(), Stage::One, Some(at_level), Rule::AccessFlagClear);
        return Err(Stop::Status(FaultStatus::AccessFlag(at_level)));
    }
    let attributes = attributes(params, range, entry, access);
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        source.recorder().record(Step::Memory { stage: Stage::One, attributes });
    }
    if attributes.is_device() && !access.aligned && access.wants_alignment() {
        decided(source.recorder(), Stage::One, Some(at_level), Rule::DeviceUnaligned);
        return Err(Stop::Status(FaultStatus::Alignment));
    }
    let space = match params.space {
        Space::NonSecure => Space::NonSecure,
        Space::Secure | Space::Root | Space::Realm => space(params, E::is_ns_table(leaf.tables, range), low),
    };
    // A page that hardware may make dirty counts as writable. Arm ARM, TCR_EL1.HD.
    let managed = params.hd && low & READ_ONLY != 0 && (params.pie || low & DBM != 0);
    if managed {
        decided(source.recorder(), Stage::One, Some(at_level), Rule::DirtyManaged);
    }
    let counted = if managed { low & !READ_ONLY } else { low };
    let hierarchy = E::hierarchy(leaf.tables, range);
    let needs = perm::needs(access, params.cmow && matches!(access.privilege, Privilege::Unprivileged));
    let permissions = if params.extended {
        let mut rights = indirect::rights(params, entry, counted, hierarchy);
        if params.sif && space != params.space {
            rights.base = rights.base.without(Permissions::PRIV_EXECUTE.union(Permissions::USER_EXECUTE));
            decided(source.recorder(), Stage::One, Some(at_level), Rule::OtherSpace);
        }
        rights_are(rights.base, rights.overlay, at_level, source);
        judge_extended(params, rights, needs, access, at_level, source.recorder()).map_err(Stop::Fault)?;
        if range.canonical_tags && access.stores_tags() && !attributes.is_tagged() {
            decided(source.recorder(), Stage::One, Some(at_level), Rule::CanonicalTags);
            let fault = Fault::stage_1(FaultStatus::Permission(at_level), true);
            return Err(Stop::Fault(fault.because(Qualifiers::TAG_NOT_DATA)));
        }
        if params.pie && access.needs_dirty() && counted & READ_ONLY != 0 {
            decided(source.recorder(), Stage::One, Some(at_level), Rule::Clean);
            let fault = Fault::stage_1(FaultStatus::Permission(at_level), true);
            return Err(Stop::Fault(fault.because(Qualifiers::DIRTY_BIT)));
        }
        rights.held()
    } else {
        let permissions = perm::direct(params, counted, hierarchy);
        rights_are(permissions, Permissions::EVERY, at_level, source);
        let held = permissions.with_pan(perm::is_under_pan(access));
        if held != permissions {
            decided(source.recorder(), Stage::One, Some(at_level), Rule::PanApplies);
        }
        if let Err(denied) = perm::check(held, needs, access) {
            decided(source.recorder(), Stage::One, Some(at_level), Rule::BaseDenies);
            return Err(Stop::Fault(Fault::stage_1(FaultStatus::Permission(at_level), denied.write)));
        }
        permissions
    };
    let dirtied = managed && access.dirties();
    let mut new = if dirtied { low & !READ_ONLY } else { low };
    if params.ha && access.sets_access_flag() {
        new |= ACCESS_FLAG;
    }
    decided(source.recorder(), Stage::One, Some(at_level), Rule::Permitted);
    let mut update = None;
    if new != low {
        if (new ^ low) & ACCESS_FLAG != 0 {
            decided(source.recorder(), Stage::One, Some(at_level), Rule::AccessFlagSet);
        }
        if dirtied {
            decided(source.recorder(), Stage::One, Some(at_level), Rule::DirtySet);
        }
        source.swap((leaf.at, leaf.space), at_level, entry, entry.with_low(new))?;
        if !S::Hardware::WRITES {
            let big_endian = params.big_endian;
            let at = A::located(E::low_at(leaf.at, big_endian), leaf.space);
            update = Some(Update { at, old: low, new, big_endian });
        }
    }
    let clean = !dirtied && (managed || params.pie && low & READ_ONLY != 0);
    let mapping = Mapping {
        output: A::located(output, space),
        level: Some(at_level),
        size_log2: descend::size_log2(leaf.shift),
        contiguous,
        attributes,
        permissions,
        not_global: params.unprivileged && (low & NOT_GLOBAL != 0 || E::is_ns_table(leaf.tables, range)),
        guarded: entry.is_guarded(),
        clean,
        assured: leaf.assured,
        space,
        ipa: None,
        update,
    };
    done(&mapping, source);
    Ok(mapping)
}

/// Tells the recorder where stage 1 leads.
#[inline]
fn done<A: OutputAddress, S: Source>(mapping: &Mapping<A>, source: &mut S) {
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        let output = mapping.output.number();
        source.recorder().record(Step::Output { stage: Stage::One, output });
    }
}

/// Tells the recorder what a leaf permits.
#[inline]
fn rights_are<S: Source>(base: Permissions, overlay: Permissions, level: Level, source: &mut S) {
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        source.recorder().record(Step::Rights { stage: Stage::One, level, base, overlay });
    }
}

/// Checks the overlay before the base permissions. Arm ARM,
/// AArch64.S1CheckPermissions.
fn judge_extended<R: Recorder>(
    params: &Params,
    rights: Rights,
    needs: perm::Needs,
    access: Access,
    level: Level,
    recorder: &mut R,
) -> Result<(), Fault> {
    let fault = |write, why| Fault::stage_1(FaultStatus::Permission(level), write).because(why);
    if matches!(access.kind, AccessKind::AtAddress) {
        decided(recorder, Stage::One, Some(level), Rule::AddressOnly);
        return Ok(());
    }
    if let Err(denied) = perm::check(rights.overlay, needs, access) {
        decided(recorder, Stage::One, Some(level), Rule::OverlayDenies);
        return Err(fault(denied.write, Qualifiers::OVERLAY));
    }
    let base = rights.base.with_pan(perm::is_under_pan(access) && !params.nv1);
    if base != rights.base {
        decided(recorder, Stage::One, Some(level), Rule::PanApplies);
    }
    if let Err(denied) = perm::check(base, needs, access) {
        decided(recorder, Stage::One, Some(level), Rule::BaseDenies);
        return Err(fault(denied.write, Qualifiers::NONE));
    }
    Ok(())
}

/// Returns the attributes that a leaf names, for this kind of access.
#[inline]
fn attributes<E: Descriptor>(params: &Params, range: &Range, entry: E, access: Access) -> Attributes {
    let sh = match range.form {
        AddressForm::Lpa2 => range.sh,
        AddressForm::Bits48 | AddressForm::Lpa => Shareability::decode(entry.sh()),
    };
    let index = entry.attribute_index();
    let [data, fetch] = match params.mair2 {
        Some(mair2) if index & 8 != 0 => mair2,
        Some(_) | None => params.mair,
    };
    let mair = if access.is_fetch() { fetch } else { data };
    Attributes::of(low8(mair.wrapping_shr(trunc32(index & 7) << 3)), sh)
}

/// Returns the address space of a leaf's output: NS, and NSE in Root. Arm ARM,
/// AArch64.S1NextWalkStateLeaf.
#[cold]
fn space(params: &Params, ns_table: bool, low: u64) -> Space {
    let ns = low & NS != 0;
    match params.space {
        Space::NonSecure => Space::NonSecure,
        Space::Secure if ns || ns_table => Space::NonSecure,
        Space::Secure => Space::Secure,
        Space::Realm if ns && params.regime != Regime::El1And0 => Space::NonSecure,
        Space::Realm => Space::Realm,
        Space::Root => match (low & NOT_GLOBAL != 0, ns) {
            (false, false) => Space::Secure,
            (false, true) => Space::NonSecure,
            (true, false) => Space::Root,
            (true, true) => Space::Realm,
        },
    }
}

/// The mapping with stage 1 off: the address itself. Arm ARM, AArch64.S1DisabledOutput.
#[cold]
fn flat<A: OutputAddress, S: Source>(
    params: &Params,
    va: Va,
    ignored: u32,
    access: Access,
    source: &mut S,
) -> Result<Mapping<A>, Stop<HardwareError<S>>> {
    let address = va.bits().wrapping_shl(ignored).wrapping_shr(ignored);
    if address & !mask(params.pa_bits) != 0 {
        decided(source.recorder(), Stage::One, None, Rule::OutputTooLarge);
        return Err(Stop::Status(FaultStatus::AddressSize(Level::L0)));
    }
    let attributes = if access.is_fetch() { params.flat_fetch } else { params.flat_data };
    if <S::Hardware as Hardware>::Recorder::ACTIVE {
        source.recorder().record(Step::Memory { stage: Stage::One, attributes });
    }
    if attributes.is_device() && !access.aligned && access.wants_alignment() {
        decided(source.recorder(), Stage::One, None, Rule::DeviceUnaligned);
        return Err(Stop::Status(FaultStatus::Alignment));
    }
    let mapping = Mapping {
        output: A::located(address, params.space),
        level: None,
        size_log2: 12,
        contiguous: false,
        attributes,
        permissions: Permissions::ALL,
        not_global: false,
        guarded: false,
        clean: false,
        assured: false,
        space: params.space,
        ipa: None,
        update: None,
    };
    done(&mapping, source);
    Ok(mapping)
}
