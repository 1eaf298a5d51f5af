//! Stage 2: from an intermediate to a physical address, and its judgement.

use super::attr::{Attributes, Shareability, Stage2Attributes};
use super::descend::{self, ATTEMPTS, Leaf, Way};
use super::explain::{Recorder, Step, decided};
use super::fault::{Fault, Qualifiers, Stage};
use super::fields;
use super::format::{Descriptor, NOT_GLOBAL, READ_ONLY, nibble};
use super::geometry::{ACCESS_FLAG, AddressForm, Range, level};
use super::perm::{self, Access, AccessKind, Needs, Permissions, Tags};
use super::registers::Space;
use super::rule::Rule;
use super::source::{Direct, Hardware, Source, Stop};
use super::stage2_params::{Stage2, Tables};
use arm_arch::bits::{bit, field, index, low8, mask};
use arm_arch::{FaultStatus, Ipa, Level};

/// Bit 7, S2AP\[1\] and Dirty, has the opposite sense of AP\[2\].
const WRITABLE: u64 = READ_ONLY;
pub(super) const READABLE: u64 = 1 << 6;
const DBM: u64 = 1 << 51;
/// Bit 11: XS is 0. FEAT_XS.
const FNXS: u64 = NOT_GLOBAL;

/// What stage 2 is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) ipa: u64,
    pub(super) space: Space,
    /// The access whose translation this is part of.
    pub(super) access: Access,
    pub(super) on_behalf: OnBehalf,
}

/// Who needs the address.
#[derive(Clone, Copy, Debug)]
pub(super) enum OnBehalf {
    /// The access itself, with what stage 1 found.
    Access { attributes: Attributes, assured: bool },
    /// Stage 1 reads a descriptor; `top`: in its first table, that of the upper range.
    Read { top: Option<bool> },
    /// Stage 1 writes a descriptor.
    Write,
}

/// What stage 2 answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) output: u64,
    pub(super) space: Space,
    pub(super) level: Level,
    pub(super) size_log2: u8,
    pub(super) contiguous: bool,
    pub(super) attributes: Attributes,
    pub(super) permissions: Permissions,
    pub(super) clean: bool,
    pub(super) mostly_read_only: bool,
    /// Nothing was left to update: it may be kept.
    pub(super) settled: bool,
}

impl Question {
    const fn is_walk(&self) -> bool {
        matches!(self.on_behalf, OnBehalf::Read { .. } | OnBehalf::Write)
    }

    /// Returns a fault of stage 2 for this question.
    const fn fault(&self, status: FaultStatus, write: bool, qualifiers: Qualifiers) -> Fault {
        Fault {
            status,
            stage: Stage::Two,
            s1ptw: self.is_walk(),
            write,
            qualifiers,
            ipa: Some(Ipa::new(self.ipa)),
            ipa_space: self.space,
            granule: None,
        }
    }

    const fn plain(&self, status: FaultStatus) -> Fault {
        self.fault(status, self.access.wnr(), Qualifiers::NONE)
    }

    /// Returns what it needs of the permissions. GCS accesses are loads and stores here; stage 1
    /// writes its tables after reading them. Arm ARM, AArch64.S2CheckPermissions.
    #[inline]
    pub(super) fn needs(&self, params: &Stage2) -> Needs {
        let none = Permissions::NONE;
        let read = Permissions::PRIV_READ;
        match self.on_behalf {
            OnBehalf::Read { .. } => Needs { read, write: none },
            OnBehalf::Write => Needs { read, write: Permissions::WALK_WRITE },
            OnBehalf::Access { .. } => {
                let kind = self.access.kind;
                let kind = match kind {
                    AccessKind::GcsRead => AccessKind::Read,
                    AccessKind::GcsWrite => AccessKind::Write,
                    AccessKind::Read
                    | AccessKind::Write
                    | AccessKind::Atomic
                    | AccessKind::Fetch
                    | AccessKind::Invalidate
                    | AccessKind::Clean
                    | AccessKind::CleanInvalidate
                    | AccessKind::AtRead
                    | AccessKind::AtWrite
                    | AccessKind::AtAddress => kind,
                };
                perm::needs(Access { kind, ..self.access }, params.cmow)
            }
        }
    }

    /// Whether the location must be dirty.
    const fn needs_dirty(&self) -> bool {
        match self.on_behalf {
            OnBehalf::Access { .. } => self.access.needs_dirty(),
            OnBehalf::Read { .. } => false,
            OnBehalf::Write => true,
        }
    }
}

/// Walks stage 2, again for each lost race with another writer of its tables.
pub(super) fn resolve<H: Hardware>(
    params: &Stage2,
    question: Question,
    hardware: &mut H,
) -> Result<Answer, Stop<H::Error>> {
    for _ in 0..ATTEMPTS {
        match attempt(params, question, hardware) {
            Err(Stop::Lost) => decided(hardware.recorder(), Stage::Two, None, Rule::RaceLost),
            Err(Stop::Status(status)) => return Err(Stop::Fault(question.plain(status))),
            Err(Stop::Granule(level, refusal)) => {
                let fault = question.plain(FaultStatus::GranuleProtectionOnWalk(level));
                return Err(Stop::Fault(Fault { granule: Some(refusal), ..fault }));
            }
            done => return done,
        }
    }
    Err(Stop::Fault(question.plain(FaultStatus::UnsupportedAtomicUpdate)))
}

#[inline]
fn attempt<H: Hardware>(
    params: &Stage2,
    question: Question,
    hardware: &mut H,
) -> Result<Answer, Stop<H::Error>> {
    let tables = params.tables(question.space);
    let range = &tables.range;
    if question.ipa & !mask(range.iasize) != 0 {
        decided(hardware.recorder(), Stage::Two, None, Rule::InputOutOfRange);
        return Err(Stop::Status(FaultStatus::Translation(Level::L0)));
    }
    if let Some(status) = range.fault {
        decided(hardware.recorder(), Stage::Two, None, range.why);
        return Err(Stop::Status(status));
    }
    if range.d128 {
        return translate::<u128, H>(params, tables, question, hardware);
    }
    translate::<u64, H>(params, tables, question, hardware)
}

#[inline]
fn translate<E: Descriptor, H: Hardware>(
    params: &Stage2,
    tables: &Tables,
    question: Question,
    hardware: &mut H,
) -> Result<Answer, Stop<H::Error>> {
    let way = Way {
        stage: Stage::Two,
        space: tables.walk_space,
        ns_space: tables.walk_space,
        updates: question.access.sets_access_flag(),
        pnch: false,
    };
    let mut source = Direct { hardware, big_endian: params.big_endian };
    let leaf = descend::descend::<E, _>(&tables.range, question.ipa, way, &mut source)?;
    judge(params, tables, question, &leaf, &mut source)
}

/// Judges a leaf: output size, access flag, alignment, permissions, in this order.
/// Arm ARM, "MMU fault prioritization from a single address translation stage".
#[inline]
fn judge<E: Descriptor, H: Hardware>(
    params: &Stage2,
    tables: &Tables,
    question: Question,
    leaf: &Leaf<E>,
    source: &mut Direct<'_, H>,
) -> Result<Answer, Stop<H::Error>> {
    let range = &tables.range;
    let entry = leaf.entry;
    let low = entry.low();
    let access = question.access;
    let at_level = level(leaf.remaining);
    if H::Recorder::ACTIVE {
        let address = entry.output(range, leaf.shift);
        let told = (entry.wide(), address, leaf.shift, E::WIDE);
        fields::stage2(params, range, at_level, told, source.recorder());
    }
    let Some((output, contiguous)) = descend::output(range, leaf, question.ipa) else {
        decided(source.recorder(), Stage::Two, Some(at_level), Rule::OutputTooLarge);
        return Err(Stop::Status(FaultStatus::AddressSize(at_level)));
    };
    let address_only = matches!(access.kind, AccessKind::AtAddress) && !question.is_walk();
    let wants_access_flag = question.is_walk() || access.wants_access_flag();
    if low & ACCESS_FLAG == 0 && !params.ha && wants_access_flag {
        decided(source.recorder(), Stage::Two, Some(at_level), Rule::AccessFlagClear);
        return Err(Stop::Status(FaultStatus::AccessFlag(at_level)));
    }
    let own = memory(params, range, entry);
    let attributes = match question.on_behalf {
        OnBehalf::Access { attributes, .. } => own.over(attributes, params, access.is_fetch()),
        OnBehalf::Read { .. } | OnBehalf::Write => Attributes::DEVICE_NGNRNE,
    };
    if H::Recorder::ACTIVE && !question.is_walk() {
        source.recorder().record(Step::Memory { stage: Stage::Two, attributes });
    }
    if !question.is_walk() && attributes.is_device() && !access.aligned && access.wants_alignment() {
        decided(source.recorder(), Stage::Two, Some(at_level), Rule::DeviceUnaligned);
        return Err(Stop::Status(FaultStatus::Alignment));
    }
    // A page that hardware may make dirty counts as writable. Arm ARM, VTCR_EL2.HD.
    let managed = params.hd && low & WRITABLE == 0 && (params.pie || low & DBM != 0);
    let rights = rights(params, entry, if managed { low | WRITABLE } else { low });
    if H::Recorder::ACTIVE {
        let Rights { base, overlay, .. } = rights;
        if managed {
            decided(source.recorder(), Stage::Two, Some(at_level), Rule::DirtyManaged);
        }
        source.recorder().record(Step::Rights { stage: Stage::Two, level: at_level, base, overlay });
    }
    if address_only {
        decided(source.recorder(), Stage::Two, Some(at_level), Rule::AddressOnly);
    } else {
        let failed = |(write, why)| question.fault(FaultStatus::Permission(at_level), write, why);
        if let Err((write, why, rule)) = check(params, question, &own, entry, rights) {
            decided(source.recorder(), Stage::Two, Some(at_level), rule);
            return Err(Stop::Fault(failed((write, why))));
        }
        if is_barred_from_tags(question, &own) {
            let write = access.stores_tags();
            decided(source.recorder(), Stage::Two, Some(at_level), Rule::NoTags);
            return Err(Stop::Fault(failed((write, Qualifiers::TAG_ACCESS))));
        }
        if params.pie && question.needs_dirty() && low & WRITABLE == 0 && !managed {
            decided(source.recorder(), Stage::Two, Some(at_level), Rule::Clean);
            return Err(Stop::Fault(failed((true, Qualifiers::DIRTY_BIT))));
        }
    }
    let dirties = match question.on_behalf {
        OnBehalf::Access { .. } => access.dirties(),
        OnBehalf::Read { .. } => false,
        OnBehalf::Write => true,
    };
    let dirtied = managed && dirties;
    let mut new = if dirtied { low | WRITABLE } else { low };
    if params.ha && access.sets_access_flag() {
        new |= ACCESS_FLAG;
    }
    decided(source.recorder(), Stage::Two, Some(at_level), Rule::Permitted);
    if new != low {
        if (new ^ low) & ACCESS_FLAG != 0 {
            decided(source.recorder(), Stage::Two, Some(at_level), Rule::AccessFlagSet);
        }
        if dirtied {
            decided(source.recorder(), Stage::Two, Some(at_level), Rule::DirtySet);
        }
        source.swap((leaf.at, leaf.space), at_level, entry, entry.with_low(new))?;
    }
    if H::Recorder::ACTIVE {
        source.recorder().record(Step::Output { stage: Stage::Two, output });
    }
    let realm_ns = matches!(tables.output_space, Space::Realm) && entry.is_s2_ns();
    Ok(Answer {
        output,
        space: if realm_ns { Space::NonSecure } else { tables.output_space },
        level: at_level,
        size_log2: descend::size_log2(leaf.shift),
        contiguous,
        attributes,
        permissions: rights.held(),
        clean: !dirtied && (managed || params.pie && low & WRITABLE == 0),
        mostly_read_only: rights.is_mostly_read_only(),
        // Where hardware manages the access flag of tables nothing is.
        settled: low & ACCESS_FLAG != 0 && !range.haft,
    })
}

/// Whether the access needs tags that stage 1 says are there, and stage 2 keeps from it. FEAT_MTE_PERM.
const fn is_barred_from_tags(question: Question, own: &Stage2Attributes) -> bool {
    match question.on_behalf {
        OnBehalf::Access { attributes, .. } => {
            own.no_tag_access && attributes.is_tagged() && !matches!(question.access.tags, Tags::Unchecked)
        }
        OnBehalf::Read { .. } | OnBehalf::Write => false,
    }
}

/// Returns the memory attributes of a leaf, on their own.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it returns is taken apart at once")]
pub(super) fn memory<E: Descriptor>(params: &Stage2, range: &Range, entry: E) -> Stage2Attributes {
    let low = entry.low();
    let (mem_attr, no_tag_access) = match (low8(field(low, 5, 2)), params.fwb) {
        // Write-Back, NoTagAccess. FEAT_MTE_PERM.
        (0b0100, false) if params.mte_perm => (0b1111, true),
        (mem_attr @ (0b1110 | 0b1111), true) => (mem_attr, params.mte_perm),
        (mem_attr, _) => (mem_attr, false),
    };
    Stage2Attributes {
        mem_attr,
        no_tag_access,
        shareability: match range.form {
            AddressForm::Lpa2 => range.sh,
            AddressForm::Bits48 | AddressForm::Lpa => Shareability::decode(entry.sh()),
        },
        no_xs: params.xs && low & FNXS != 0,
    }
}

/// Returns how to know at once a leaf that leaves the memory type of stage 1 as it is, a mask and what its bits are then:
/// MemAttr is Write-Back, or with `HCR_EL2.FWB` "as stage 1", XS stays, and no cache control has a say. Without FEAT_MTE_PERM.
pub(super) const fn transparent(fwb: bool, xs: bool, uncached: bool) -> (u64, u64) {
    let mem_attr = if fwb { 0b0111 << 2 } else { 0b1111 << 2 };
    let mask = 0b1111 << 2 | if xs { FNXS } else { 0 };
    // A bit beyond the mask is never met.
    (mask, mem_attr | if uncached { 1 } else { 0 })
}

/// What a location permits: an access needs both.
#[derive(Clone, Copy, Debug)]
struct Rights {
    base: Permissions,
    overlay: Permissions,
    /// The first table of the lower range of stage 1 may lie here; of the upper.
    top: [bool; 2],
}

impl Rights {
    const fn held(self) -> Permissions {
        with_gcs(self.base.intersection(self.overlay))
    }

    /// Only walks of stage 1 write here. FEAT_THE.
    const fn is_mostly_read_only(self) -> bool {
        let both = self.base.intersection(self.overlay);
        both.contains(Permissions::WALK_WRITE) && !both.contains(Permissions::PRIV_WRITE)
    }
}

/// Returns permissions with those of guarded control stacks, which are read and written as anything else.
pub(super) const fn with_gcs(both: Permissions) -> Permissions {
    let gcs = Permissions::PRIV_GCS.union(Permissions::USER_GCS);
    both.union(gcs.when(both.contains(Permissions::PRIV_READ)))
}

/// Reading, at all levels.
const READ: Permissions = Permissions::PRIV_READ.union(Permissions::USER_READ);
/// Writing, at all levels.
const WRITE: Permissions = Permissions::PRIV_WRITE.union(Permissions::USER_WRITE);

/// Returns the permissions of a leaf; `low` are its low 64 bits as they count. Arm ARM,
/// AArch64.S2ComputePermissions.
fn rights<E: Descriptor>(params: &Stage2, entry: E, low: u64) -> Rights {
    if !params.pie {
        return Rights { base: direct(params, low), overlay: Permissions::EVERY, top: [false; 2] };
    }
    let (base, top) = indirect(nibble(params.pir, entry.s2_pi_index()));
    if !params.poe {
        let rights = Rights { base, overlay: Permissions::EVERY, top };
        return Rights { top: top.map(|top| top && rights.is_mostly_read_only()), ..rights };
    }
    let (overlay, more) = indirect(nibble(params.por, entry.s2_po_index()));
    let rights = Rights { base, overlay, top };
    let [base0, base1] = top;
    let [overlay0, overlay1] = more;
    let top = [base0 || overlay0, base1 || overlay1];
    Rights { top: top.map(|top| top && rights.is_mostly_read_only()), ..rights }
}

/// Returns direct permissions: S2AP, XN. Arm ARM, AArch64.S2DirectBasePermissions.
#[inline]
pub(super) fn direct(params: &Stage2, low: u64) -> Permissions {
    let at = low >> 6 & 3 | low >> 51 & 0xc;
    params.direct.get(index(at)).copied().unwrap_or(Permissions::NONE)
}

/// Returns what of the permissions of stage 1 is left, as far as the direct ones of a leaf go.
#[inline]
pub(super) fn held(params: &Stage2, low: u64) -> Permissions {
    let at = low >> 6 & 3 | low >> 51 & 0xc;
    params.held.get(index(at)).copied().unwrap_or(Permissions::NONE)
}

/// Returns what [`direct`] finds: by S2AP in bits 1:0, XN in bits 3:2.
pub(super) const fn directs(xnx: bool) -> [Permissions; 16] {
    let mut table = [Permissions::NONE; 16];
    let mut rest: &mut [Permissions] = &mut table;
    let mut at = 0u64;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = direct_of(bit(at, 0), bit(at, 1), field(at, 3, 2), xnx);
        rest = others;
        at = at.wrapping_add(1);
    }
    table
}

/// Returns the permissions of one combination.
const fn direct_of(read: bool, write: bool, xn: u64, xnx: bool) -> Permissions {
    let (privileged, user) = match (xn, xnx) {
        (0, _) | (1, false) => (true, true),
        (1, true) => (false, true),
        (3, true) => (true, false),
        _ => (false, false),
    };
    READ.when(read)
        .union(WRITE.when(write))
        .union(Permissions::WALK_WRITE.when(write))
        .union(Permissions::PRIV_EXECUTE.when(privileged))
        .union(Permissions::USER_EXECUTE.when(user))
}

/// Returns what a field of `S2PIR_EL2` or `S2POR_EL1` means, and which first tables of stage 1 it marks.
/// Arm ARM, S2PIR_EL2.
const fn indirect(value: u8) -> (Permissions, [bool; 2]) {
    let walk = Permissions::WALK_WRITE;
    let mostly_read_only = READ.union(walk);
    let user = Permissions::USER_EXECUTE.when(value & 1 != 0);
    let execute = Permissions::PRIV_EXECUTE.when(value & 2 != 0).union(user);
    match value {
        0b0010 => (mostly_read_only, [false, false]),
        0b0011 => (mostly_read_only, [false, true]),
        0b0110 => (mostly_read_only, [true, false]),
        0b0111 => (mostly_read_only, [true, true]),
        0b0100 => (WRITE, [false, false]),
        0b1000..=0b1011 => (READ.union(execute), [false, false]),
        0b1100..=0b1111 => (READ.union(WRITE).union(walk).union(execute), [false, false]),
        _ => (Permissions::NONE, [false, false]),
    }
}

/// Checks what FEAT_THE and `HCR_EL2.PTW` demand, then the overlay, then base permissions. Arm ARM,
/// AArch64.S2CheckPermissions.
fn check<E: Descriptor>(
    params: &Stage2,
    question: Question,
    own: &Stage2Attributes,
    entry: E,
    rights: Rights,
) -> Result<(), (bool, Qualifiers, Rule)> {
    let other = question.access.wnr();
    match question.on_behalf {
        OnBehalf::Access { assured, .. } => {
            if !assured && entry.is_assured_only(params.assured_only) {
                return Err((other, Qualifiers::ASSURED_ONLY, Rule::NotAssured));
            }
        }
        OnBehalf::Read { top: Some(high) } if !may_be_top(params, rights.top, high) => {
            return Err((other, Qualifiers::TOP_LEVEL, Rule::NotTopLevel));
        }
        OnBehalf::Read { .. } | OnBehalf::Write => {}
    }
    if question.is_walk() && params.ptw && own.is_device(params) {
        return Err((other, Qualifiers::NONE, Rule::WalkInDevice));
    }
    let needs = question.needs(params);
    let write = |denied: perm::Denied| denied.write && !question.is_walk() || question.is_walk() && other;
    perm::check(rights.overlay, needs, question.access)
        .map_err(|it| (write(it), Qualifiers::OVERLAY, Rule::OverlayDenies))?;
    perm::check(rights.base, needs, question.access)
        .map_err(|it| (write(it), Qualifiers::NONE, Rule::BaseDenies))
}

/// Whether the first table of a range of stage 1 may lie where `marks` says. Arm ARM,
/// AArch64.S2CheckPermissions, VTCR_EL2.TL0.
const fn may_be_top(params: &Stage2, marks: [bool; 2], high: bool) -> bool {
    let [low_mark, high_mark] = marks;
    let (own, own_mark, other, other_mark) = if high {
        (params.tl1, high_mark, params.tl0, low_mark)
    } else {
        (params.tl0, low_mark, params.tl1, high_mark)
    };
    own_mark || !(own || other && other_mark)
}
