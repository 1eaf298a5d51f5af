//! The judgement: what a leaf and the tables above it permit, and what an access asks for.

use super::params::Params;
use arm_arch::bits::{bit, index};

/// Whose permissions an access is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// EL1 or higher.
    Privileged,
    /// EL0, or an LDTR/STTR class access of EL1 (unless `PSTATE.UAO` makes it privileged).
    Unprivileged,
}

/// What an access does with the location. Arm ARM, AccessDescriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store; also DC ZVA.
    Write,
    /// An atomic that loads and stores.
    Atomic,
    /// An instruction fetch.
    Fetch,
    /// DC IVAC: invalidates, so needs what a store needs.
    Invalidate,
    /// DC CVAC, CVAU, CVAP; IC IVAU.
    Clean,
    /// DC CIVAC, to the point of coherency.
    CleanInvalidate,
    /// AT ...R: checked as a load, changes nothing.
    AtRead,
    /// AT ...W: checked as a store, changes nothing.
    AtWrite,
    /// AT ...A: permissions are not checked. FEAT_ATS1A.
    AtAddress,
    /// A load from a guarded control stack. FEAT_GCS.
    GcsRead,
    /// A store to a guarded control stack. FEAT_GCS.
    GcsWrite,
}

impl AccessKind {
    /// Returns the place in the declaration.
    #[inline]
    const fn code(self) -> u8 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Atomic => 2,
            Self::Fetch => 3,
            Self::Invalidate => 4,
            Self::Clean => 5,
            Self::CleanInvalidate => 6,
            Self::AtRead => 7,
            Self::AtWrite => 8,
            Self::AtAddress => 9,
            Self::GcsRead => 10,
            Self::GcsWrite => 11,
        }
    }

    /// Returns the kind of a place in the declaration.
    const fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Atomic,
            3 => Self::Fetch,
            4 => Self::Invalidate,
            5 => Self::Clean,
            6 => Self::CleanInvalidate,
            7 => Self::AtRead,
            8 => Self::AtWrite,
            9 => Self::AtAddress,
            10 => Self::GcsRead,
            _ => Self::GcsWrite,
        }
    }
}

/// What an access has to do with allocation tags. FEAT_MTE2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tags {
    /// Nothing: it is not checked, or the check's result is ignored (`SCTLR_ELx.TCF`).
    Unchecked,
    /// They are checked against the tag in the address.
    Checked,
    /// They are what is loaded or stored: LDG, STG and their like.
    Transferred,
}

/// An access as translation sees it. Arm ARM, AccessDescriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// Whose permissions count.
    pub privilege: Privilege,
    /// `PSTATE.PAN`; for AT only in the forms that honour it (FEAT_PAN2).
    pub pan: bool,
    /// The address is a multiple of the access size, or the kind has none.
    pub aligned: bool,
    /// A non-fault or first-fault load of FEAT_SVE.
    pub non_fault: bool,
    /// What it has to do with allocation tags.
    pub tags: Tags,
}

impl Access {
    /// Returns an aligned access with `PSTATE.PAN` 0.
    #[inline]
    #[must_use]
    pub const fn new(kind: AccessKind, privilege: Privilege) -> Self {
        Self { kind, privilege, pan: false, aligned: true, non_fault: false, tags: Tags::Unchecked }
    }

    /// Returns the access under a `PSTATE.PAN`.
    #[inline]
    #[must_use]
    pub const fn with_pan(self, pan: bool) -> Self {
        Self { pan, ..self }
    }

    /// Returns the access with an address that is not a multiple of its size.
    #[inline]
    #[must_use]
    pub const fn unaligned(self) -> Self {
        Self { aligned: false, ..self }
    }

    /// Returns the access as one that has to do with allocation tags.
    #[inline]
    #[must_use]
    pub const fn with_tags(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }

    /// Whether it stores allocation tags.
    pub(super) const fn stores_tags(self) -> bool {
        matches!(self.tags, Tags::Transferred) && self.dirties()
    }

    /// Returns the access as a non-fault or first-fault load of FEAT_SVE.
    #[inline]
    #[must_use]
    pub const fn non_fault(self) -> Self {
        Self { non_fault: true, ..self }
    }

    /// Whether it is an instruction fetch.
    #[inline]
    #[must_use]
    pub const fn is_fetch(self) -> bool {
        matches!(self.kind, AccessKind::Fetch)
    }

    /// Whether a successful access makes the location dirty.
    #[inline]
    pub(super) const fn dirties(self) -> bool {
        matches!(self.kind, AccessKind::Write | AccessKind::Atomic | AccessKind::GcsWrite)
    }

    /// Whether the location must be dirty, or be one that hardware makes dirty.
    #[inline]
    pub(super) const fn needs_dirty(self) -> bool {
        self.dirties() || matches!(self.kind, AccessKind::AtWrite)
    }

    /// Whether hardware sets the access flag for it.
    ///
    /// CHOICE: AT sets none, which the architecture permits.
    #[inline]
    pub(super) const fn sets_access_flag(self) -> bool {
        !self.is_address_translation()
    }

    /// Whether it is AT.
    #[inline]
    #[must_use]
    pub const fn is_address_translation(self) -> bool {
        matches!(self.kind, AccessKind::AtRead | AccessKind::AtWrite | AccessKind::AtAddress)
    }

    /// Whether a clear access flag is a fault, where hardware does not set it: not for cache maintenance,
    /// but for every AT. Arm ARM, AArch64.S1Walk.
    ///
    /// CHOICE: IMPLEMENTATION DEFINED for maintenance by address.
    /// Arm ARM, "MMU faults generated by cache maintenance operations".
    #[inline]
    pub(super) const fn wants_access_flag(self) -> bool {
        !matches!(self.kind, AccessKind::Invalidate | AccessKind::Clean | AccessKind::CleanInvalidate)
    }

    /// Whether the alignment rule of Device memory applies.
    #[inline]
    pub(super) const fn wants_alignment(self) -> bool {
        matches!(self.kind, AccessKind::Read | AccessKind::Write | AccessKind::Atomic)
    }

    /// Whether the access goes on to where its translation leads, and granule protection is asked: AT does not. Arm ARM,
    /// AArch64.TranslateAddress, AArch64.AT.
    ///
    /// CHOICE: cache maintenance does.
    #[inline]
    pub(super) const fn reaches_memory(self) -> bool {
        !matches!(self.kind, AccessKind::AtRead | AccessKind::AtWrite | AccessKind::AtAddress)
    }

    /// Returns `ESR_ELx.WnR` for a fault of any kind but Permission: an atomic faults on its read,
    /// maintenance and AT report 1. Arm ARM, ESR_EL1, "ISS encoding for an exception from a Data
    /// Abort".
    pub(super) const fn wnr(self) -> bool {
        !matches!(self.kind, AccessKind::Read | AccessKind::Atomic | AccessKind::Fetch | AccessKind::GcsRead)
    }

    /// Whether `ESR_ELx.WnR` says write for a stage 2 abort: stores, atomics, maintenance and AT.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(self.kind, AccessKind::Read | AccessKind::Fetch | AccessKind::GcsRead)
    }

    /// Whether `ESR_ELx.CM` is set: cache maintenance or AT.
    #[must_use]
    pub const fn is_maintenance(self) -> bool {
        match self.kind {
            AccessKind::Invalidate
            | AccessKind::Clean
            | AccessKind::CleanInvalidate
            | AccessKind::AtRead
            | AccessKind::AtWrite
            | AccessKind::AtAddress => true,
            AccessKind::Read
            | AccessKind::Write
            | AccessKind::Atomic
            | AccessKind::Fetch
            | AccessKind::GcsRead
            | AccessKind::GcsWrite => false,
        }
    }
}

/// What a location permits, for both privileges at once, so that one walk fills a TLB entry.
/// Arm ARM, AArch64.S1ComputePermissions, AArch64.S2ComputePermissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u16);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Privileged read.
    pub const PRIV_READ: Self = Self(1);
    /// Privileged write.
    pub const PRIV_WRITE: Self = Self(2);
    /// Privileged execute.
    pub const PRIV_EXECUTE: Self = Self(4);
    /// Unprivileged read.
    pub const USER_READ: Self = Self(8);
    /// Unprivileged write.
    pub const USER_WRITE: Self = Self(0x10);
    /// Unprivileged execute.
    pub const USER_EXECUTE: Self = Self(0x20);
    /// `PSTATE.PAN` takes privileged reads and writes away here. Not a permission but a property of
    /// the location: EL0 can reach it (with EPAN also by execution only).
    pub const UNDER_PAN: Self = Self(0x40);
    /// Privileged guarded control stack. FEAT_GCS.
    pub const PRIV_GCS: Self = Self(0x80);
    /// Unprivileged guarded control stack. FEAT_GCS.
    pub const USER_GCS: Self = Self(0x100);
    /// Every read, write and execution, with stage 1 off.
    pub const ALL: Self = Self(0x3f);
    /// Walks of stage 1 may write its tables here: stage 2 only.
    pub(super) const WALK_WRITE: Self = Self(0x200);
    /// All that an overlay or stage 2 can take away.
    pub(super) const EVERY: Self = Self(0x3bf);

    /// Whether all of `other` is here.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns what is in either.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns what is in both: the meet of two stages.
    #[inline]
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns what remains without `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns what remains under a `PSTATE.PAN`.
    #[inline]
    #[must_use]
    pub const fn with_pan(self, pan: bool) -> Self {
        if pan && self.contains(Self::UNDER_PAN) {
            self.without(Self::PRIV_READ.union(Self::PRIV_WRITE))
        } else {
            self
        }
    }

    #[inline]
    pub(super) const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

impl core::fmt::Debug for Permissions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Permissions(")?;
        for (letter, bit) in [
            ("r", Self::PRIV_READ),
            ("w", Self::PRIV_WRITE),
            ("x", Self::PRIV_EXECUTE),
            ("/r", Self::USER_READ),
            ("w", Self::USER_WRITE),
            ("x", Self::USER_EXECUTE),
            (" pan", Self::UNDER_PAN),
            (" gcs", Self::PRIV_GCS),
            ("/gcs", Self::USER_GCS),
        ] {
            f.write_str(if self.contains(bit) { letter } else { "-" })?;
        }
        f.write_str(")")
    }
}

/// Lowest bit of AP\[2:1\], and of UXN and PXN, in a leaf.
const AP1_SHIFT: u32 = 6;
const AP2_SHIFT: u32 = 7;
const PXN_SHIFT: u32 = 53;
const AP1: u64 = 1 << AP1_SHIFT;
const PXN: u64 = 1 << PXN_SHIFT;
const UXN: u64 = 1 << 54;
/// Lowest bit of the hierarchical permissions in a table descriptor: PXNTable, UXNTable, APTable.
const TABLE_SHIFT: u32 = 59;
const UXN_TABLE: u64 = 1 << 60;
const AP2: u64 = 1 << AP2_SHIFT;
const AP_TABLE0: u64 = 1 << 61;
const AP_TABLE1: u64 = 1 << 62;

/// Returns the direct permissions of a regime with two privileges: `leaf` is the descriptor, `tables`
/// the OR of those above it as far as they count. Arm ARM, AArch64.S1DirectBasePermissions.
#[inline]
pub(super) fn direct(params: &Params, leaf: u64, tables: u64) -> Permissions {
    // AP[2:1] to bits 1:0, UXN and PXN to bits 3:2.
    let mut at = leaf >> AP1_SHIFT & 3 | leaf >> 51 & 0xc;
    if tables != 0 {
        // APTable[0] takes EL0's access away, APTable[1] writes.
        let tables = tables >> TABLE_SHIFT;
        at = at & !(tables >> 2 & 1) | tables >> 2 & 2 | (tables & 3) << 2;
    }
    params.direct.get(index(at)).copied().unwrap_or(Permissions::NONE)
}

/// Returns what [`direct`] finds: by EL0 access, read-only, PXN and UXN from bit 0 on.
pub(super) fn directs(wxn: bool, epan: bool) -> [Permissions; 16] {
    let [[neither, with_epan], [with_wxn, with_both]] = &DIRECT;
    match (wxn, epan) {
        (false, false) => *neither,
        (false, true) => *with_epan,
        (true, false) => *with_wxn,
        (true, true) => *with_both,
    }
}

/// What [`directs`] chooses from: by WXN and EPAN.
const DIRECT: [[[Permissions; 16]; 2]; 2] =
    [[directs_of(false, false), directs_of(false, true)], [directs_of(true, false), directs_of(true, true)]];

/// Returns the permissions of all combinations.
const fn directs_of(wxn: bool, epan: bool) -> [Permissions; 16] {
    let mut table = [Permissions::NONE; 16];
    let mut rest: &mut [Permissions] = &mut table;
    let mut at = 0u64;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = direct_of(bit(at, 0), !bit(at, 1), bit(at, 2), bit(at, 3), wxn, epan);
        rest = others;
        at = at.wrapping_add(1);
    }
    table
}

/// Returns the permissions of one combination.
const fn direct_of(user: bool, write: bool, pxn: bool, uxn: bool, wxn: bool, epan: bool) -> Permissions {
    let user_write = user && write;
    // What EL0 can write is never executed at EL1.
    let execute = !pxn && !user_write;
    Permissions::PRIV_READ
        .union(Permissions::PRIV_WRITE.when(write))
        .union(Permissions::PRIV_EXECUTE.when(execute && !(wxn && write)))
        .union(Permissions::USER_READ.when(user))
        .union(Permissions::USER_WRITE.when(user_write))
        .union(Permissions::USER_EXECUTE.when(!(uxn || wxn && user_write)))
        .union(Permissions::UNDER_PAN.when(user || epan && !uxn))
}

/// The same before WXN and PAN are looked at, for all regimes: single-privilege ones and EL1&0 with
/// `HCR_EL2.{NV,NV1}` 1 have no EL0 access, and bit 54 for PXN.
pub(super) fn direct_base(params: &Params, leaf: u64, tables: u64) -> Permissions {
    let write = leaf & AP2 == 0 && tables & AP_TABLE1 == 0;
    if params.unprivileged && !params.nv1 {
        let user = leaf & AP1 != 0 && tables & AP_TABLE0 == 0;
        let uxn = (leaf | tables >> 6) & UXN != 0;
        let pxn = (leaf | tables >> 6) & PXN != 0;
        return direct_of(user, write, pxn, uxn, false, params.epan);
    }
    let execute = leaf & UXN == 0 && tables & UXN_TABLE == 0;
    Permissions::PRIV_READ
        .union(Permissions::PRIV_WRITE.when(write))
        .union(Permissions::PRIV_EXECUTE.when(execute))
        .union(Permissions::USER_EXECUTE.when(params.nv1))
}

/// Why an access is denied: the operation that failed was the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) write: bool,
}

/// What an access needs of a location: to read it and to write it, or to execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) read: Permissions,
    pub(super) write: Permissions,
}

/// Returns what an access needs. `cmow`: cleaning with invalidation needs to write, too.
#[inline]
pub(super) fn needs(access: Access, cmow: bool) -> Needs {
    let at =
        u64::from(access.kind.code()) << 1 | u64::from(matches!(access.privilege, Privilege::Unprivileged));
    let needs = NEEDS.get(index(at)).copied().unwrap_or(NEEDS_NOTHING);
    if matches!(access.kind, AccessKind::CleanInvalidate) && !cmow {
        return Needs { write: Permissions::NONE, ..needs };
    }
    needs
}

const NEEDS_NOTHING: Needs = Needs { read: Permissions::NONE, write: Permissions::NONE };

/// What [`needs`] finds: by kind of access and, in bit 0, privilege.
const NEEDS: [Needs; 24] = {
    let mut table = [NEEDS_NOTHING; 24];
    let mut rest: &mut [Needs] = &mut table;
    let mut kind = 0;
    while let Some(([privileged, user], others)) = rest.split_first_chunk_mut::<2>() {
        *privileged = needs_of(AccessKind::of_code(kind), false);
        *user = needs_of(AccessKind::of_code(kind), true);
        rest = others;
        kind = kind.wrapping_add(1);
    }
    table
};

/// Returns what a kind of access needs.
///
/// CHOICE: IC IVAU at EL0 needs read permission, like a clean (IMPLEMENTATION DEFINED).
const fn needs_of(kind: AccessKind, user: bool) -> Needs {
    let (r, w, x, gcs) = if user {
        (Permissions::USER_READ, Permissions::USER_WRITE, Permissions::USER_EXECUTE, Permissions::USER_GCS)
    } else {
        (Permissions::PRIV_READ, Permissions::PRIV_WRITE, Permissions::PRIV_EXECUTE, Permissions::PRIV_GCS)
    };
    let none = Permissions::NONE;
    let (read, write) = match kind {
        AccessKind::Read | AccessKind::AtRead => (r, none),
        AccessKind::Write | AccessKind::AtWrite | AccessKind::Invalidate => (none, w),
        AccessKind::Atomic => (r, w),
        AccessKind::Fetch => (x, none),
        AccessKind::Clean => (r.when(user), none),
        AccessKind::CleanInvalidate => (r.when(user), w),
        AccessKind::AtAddress => (none, none),
        AccessKind::GcsRead => (gcs, none),
        AccessKind::GcsWrite => (none, gcs),
    };
    Needs { read, write }
}

/// What an access wants of a location, all at once: of some permissions exactly those.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    of: Permissions,
    these: Permissions,
}

impl Wants {
    const NOTHING: Self = Self { of: Permissions::NONE, these: Permissions::NONE };

    /// Whether the access is permitted; where it is not [`check`] says so, and why, but for some that it permits: cleaning
    /// with invalidation is taken to need a right to write.
    #[inline]
    pub(super) const fn are_met(self, held: Permissions) -> bool {
        held.0 & self.of.0 == self.these.0
    }
}

/// Returns what an access wants.
#[inline]
pub(super) fn wants(access: Access) -> Wants {
    let user = u64::from(matches!(access.privilege, Privilege::Unprivileged));
    let at = u64::from(access.kind.code()) << 2 | user << 1 | u64::from(access.pan);
    WANTS.get(index(at)).copied().unwrap_or(Wants::NOTHING)
}

/// What [`wants`] finds: by kind of access, in bit 1 privilege, in bit 0 PAN.
const WANTS: [Wants; 48] = {
    let mut table = [Wants::NOTHING; 48];
    let mut rest: &mut [Wants] = &mut table;
    let mut kind = 0;
    while let Some(([open, under_pan, user, user_under_pan], others)) = rest.split_first_chunk_mut::<4>() {
        let of = AccessKind::of_code(kind);
        *open = wants_of(Access::new(of, Privilege::Privileged));
        *under_pan = wants_of(Access::new(of, Privilege::Privileged).with_pan(true));
        *user = wants_of(Access::new(of, Privilege::Unprivileged));
        *user_under_pan = *user;
        rest = others;
        kind = kind.wrapping_add(1);
    }
    table
};

/// Returns what an access wants. PAN takes what is privileged.
const fn wants_of(access: Access) -> Wants {
    let Needs { read, write } = needs_of(access.kind, matches!(access.privilege, Privilege::Unprivileged));
    let these = read.union(write);
    Wants { of: these.union(Permissions::UNDER_PAN.when(is_under_pan(access))), these }
}

/// Whether `PSTATE.PAN` matters to an access.
#[inline]
pub(super) const fn is_under_pan(access: Access) -> bool {
    access.pan
        && matches!(
            access.kind,
            AccessKind::Read
                | AccessKind::Write
                | AccessKind::Atomic
                | AccessKind::AtRead
                | AccessKind::AtWrite
        )
}

/// Checks what an access needs against what it has. Arm ARM, AArch64.S1CheckPermissions.
#[inline]
pub(super) fn check(held: Permissions, needs: Needs, access: Access) -> Result<(), Denied> {
    if !held.contains(needs.read) {
        return Err(Denied { write: access.is_maintenance() });
    }
    if !held.contains(needs.write) {
        return Err(Denied { write: true });
    }
    Ok(())
}
