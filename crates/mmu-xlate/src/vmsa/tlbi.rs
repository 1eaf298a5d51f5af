//! TLB maintenance as data: which cached translations an instruction must remove. Arm ARM, TLBI.
//!
//! The predicate says what must go. A TLB may remove more, at any time.

use super::registers::{Regime, Space};
use arm_arch::bits::{field, low16, mask, sign_extend, trunc32, trunc64, zext8};
use arm_arch::{Granule, Level, SysRegId};

/// Who must act on it: the suffix of the instruction. Arm ARM, TLBI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shared {
    /// This PE.
    Local,
    /// All PEs of the Inner Shareable domain (IS).
    Inner,
    /// All PEs of the Outer Shareable domain (OS).
    Outer,
}

/// Which translations it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scope {
    /// Stage 1 of EL1&0, with the current VMID: VMALLE1.
    Stage1,
    /// The same, by address and ASID: VAE1.
    Address { any_asid: bool },
    /// The same, by ASID: ASIDE1.
    Asid,
    /// Both stages of EL1&0, with the current VMID: VMALLS12E1.
    Both,
    /// Stage 2, for its dirty state: VMALLWS2E1. FEAT_TLBIW.
    DirtyState,
    /// Stage 2, with the current VMID, by intermediate address: IPAS2E1.
    Intermediate,
    /// Everything of EL1&0: ALLE1.
    AllOfEl1,
    /// Everything of EL2 or EL2&0: ALLE2.
    AllOfEl2,
    /// EL2 or EL2&0 by address: VAE2.
    AddressOfEl2,
    /// Everything of EL3: ALLE3.
    AllOfEl3,
    /// EL3 by address: VAE3.
    AddressOfEl3,
    /// Granule protection: PAALL, RPA. FEAT_RME.
    Physical,
}

/// The addresses that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Extent {
    /// None: all.
    All,
    /// One page.
    Page { address: u64 },
    /// From an address on.
    Range { start: u64, bytes: u64, granule: Option<Granule> },
}

/// A TLB maintenance instruction with its operand. Arm ARM, TLBI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tlbi {
    scope: Scope,
    extent: Extent,
    asid: u16,
    /// The level of the leaf, and the granule for a page.
    hint: Option<(Option<Granule>, Level)>,
    last_level_only: bool,
    non_secure_ipa: bool,
    /// Who must act on it.
    pub shared: Shared,
    /// It is complete without waiting for accesses with XS 1 (nXS). What it removes is the same.
    pub excludes_xs: bool,
}

/// The state under which a TLBI is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlbiContext {
    /// The security state that it is about: of EL2 and below; what SCR_EL3 says at EL3.
    pub state: Space,
    /// `HCR_EL2.E2H`, effective.
    pub e2h: bool,
    /// `HCR_EL2.TGE`, effective.
    pub tge: bool,
    /// The current VMID; 0 where EL2 is not enabled.
    pub vmid: u16,
    /// ASIDs have 16 bits (`TCR_ELx.AS`); else the high byte of an operand is 0.
    pub asid_16: bool,
    /// Ranges start at multiples of 64 KiB for all granules (`TCR_ELx.DS`).
    pub ds: bool,
}

/// What kind of translation is cached. Arm ARM, "Translation Lookaside Buffers".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cached {
    /// From virtual addresses to what stage 1 gives, by a leaf.
    Stage1,
    /// From virtual to physical addresses, both stages in one.
    Combined,
    /// From intermediate to physical addresses, by a leaf.
    Stage2,
    /// A table of stage 1, by the addresses below it.
    Stage1Table,
    /// A table of stage 2, by the addresses below it.
    Stage2Table,
    /// What the granule protection table says. FEAT_RME.
    GranuleProtection,
}

/// A cached translation, as its tags have it. Arm ARM, "Translation Lookaside Buffers".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedEntry {
    /// What it is.
    pub cached: Cached,
    /// Whose: stage 2 belongs to EL1&0.
    pub regime: Regime,
    /// Of which security state.
    pub state: Space,
    /// Its VMID, in the EL1&0 regime.
    pub vmid: u16,
    /// Its ASID; `None` where it is global, or the regime has none.
    pub asid: Option<u16>,
    /// First input address: of stage 2 the intermediate one, else the virtual one.
    pub start: u64,
    /// Binary logarithm of the bytes that it covers.
    pub size_log2: u8,
    /// The level of its descriptor.
    pub level: Level,
    /// The granule of its tables.
    pub granule: Granule,
    /// The space of the intermediate address, for stage 2.
    pub ipa_space: Space,
}

impl Tlbi {
    /// Reads an instruction; `None` where the encoding is no TLBI.
    #[must_use]
    pub fn decode(id: SysRegId, operand: u64, context: &TlbiContext) -> Option<Self> {
        let address = field(operand, 43, 0);
        Self::of(id, operand, address, field(operand, 36, 0), context)
    }

    /// Reads an instruction with a 128-bit operand, TLBIP. FEAT_D128.
    #[must_use]
    pub fn decode_pair(id: SysRegId, operand: u128, context: &TlbiContext) -> Option<Self> {
        let address = field(trunc64(operand >> 64), 43, 0);
        let mut decoded = Self::of(id, trunc64(operand), address, 0, context)?;
        if let Extent::Range { start, .. } = &mut decoded.extent {
            // The base is a page of 4 KiB, whatever the granule. Arm ARM, TLBIP RVAE1.
            *start = address << 12;
        }
        Some(decoded)
    }

    fn of(id: SysRegId, operand: u64, address: u64, base: u64, context: &TlbiContext) -> Option<Self> {
        if id.op0() != 1 || !matches!(id.crn(), 8 | 9) {
            return None;
        }
        let Form { scope, shared, range, last_level_only } = Form::of(id)?;
        let by_address = matches!(
            scope,
            Scope::Address { .. } | Scope::AddressOfEl2 | Scope::AddressOfEl3 | Scope::Intermediate
        );
        let (extent, hint) = if !by_address {
            (Extent::All, None)
        } else if range {
            (range_of(scope, operand, base, context), range_hint(operand, context.ds))
        } else {
            (Extent::Page { address: address << 12 }, page_hint(operand, context.ds))
        };
        let asid = low16(field(operand, 63, 48));
        Some(Self {
            scope,
            extent,
            asid: if context.asid_16 { asid } else { asid & 0xff },
            hint,
            last_level_only,
            non_secure_ipa: field(operand, 63, 63) != 0,
            shared,
            excludes_xs: id.crn() == 9,
        })
    }

    /// Whether a cached translation must be removed. Arm ARM, TLBI, the page of each operation.
    #[must_use]
    pub fn removes(&self, entry: &CachedEntry, context: &TlbiContext) -> bool {
        self.is_in_scope(entry, context) && self.is_at_level(entry) && self.is_in_extent(entry)
    }

    /// Whether regime, stage, security state, VMID and ASID match.
    fn is_in_scope(&self, entry: &CachedEntry, context: &TlbiContext) -> bool {
        use Cached::{Combined, GranuleProtection, Stage1, Stage1Table, Stage2, Stage2Table};
        let first = matches!(entry.cached, Stage1 | Combined | Stage1Table);
        let host = context.e2h && context.tge;
        let same_state = entry.state == context.state;
        let own_asid = entry.asid == Some(self.asid);
        // What is cached for EL1&0 has a VMID; with {E2H,TGE} = {1,1} these are about EL2&0, which has not.
        let guest = entry.regime == Regime::El1And0 && entry.vmid == context.vmid;
        let current = same_state && if host { entry.regime == Regime::El2And0 } else { guest };
        let el2 = same_state && entry.regime == if context.e2h { Regime::El2And0 } else { Regime::El2 };
        match self.scope {
            Scope::Stage1 => current && first,
            Scope::Address { any_asid } => current && first && (any_asid || own_asid || entry.asid.is_none()),
            Scope::Asid => current && first && own_asid,
            Scope::Both => current && entry.cached != GranuleProtection,
            Scope::DirtyState => same_state && guest && matches!(entry.cached, Combined | Stage2),
            Scope::Intermediate => {
                let non_secure = context.state != Space::Secure || self.non_secure_ipa;
                let space = if non_secure {
                    entry.ipa_space != Space::Secure
                } else {
                    entry.ipa_space == Space::Secure
                };
                same_state && guest && space && matches!(entry.cached, Stage2 | Stage2Table)
            }
            Scope::AllOfEl1 => {
                same_state && entry.regime == Regime::El1And0 && entry.cached != GranuleProtection
            }
            Scope::AllOfEl2 => el2 && first,
            Scope::AddressOfEl2 => el2 && first && (own_asid || entry.asid.is_none()),
            Scope::AllOfEl3 | Scope::AddressOfEl3 => entry.regime == Regime::El3 && first,
            Scope::Physical => entry.cached == GranuleProtection,
        }
    }

    /// Whether the level matches: hints speak of leaves only, and the forms for the last level leave
    /// tables alone.
    fn is_at_level(&self, entry: &CachedEntry) -> bool {
        if matches!(entry.cached, Cached::Stage1Table | Cached::Stage2Table) {
            return !self.last_level_only;
        }
        match self.hint {
            Some((granule, level)) => {
                entry.level == level && granule.is_none_or(|granule| granule == entry.granule)
            }
            None => true,
        }
    }

    /// Whether an address that is named lies in the entry.
    fn is_in_extent(&self, entry: &CachedEntry) -> bool {
        let (start, bytes) = match self.extent {
            Extent::All => return true,
            Extent::Page { address } => (address, 1),
            // CHOICE: with a reserved TG nothing need be removed, and with another granule than that of
            // the entry neither.
            Extent::Range { start, bytes, granule } if granule == Some(entry.granule) => (start, bytes),
            Extent::Range { .. } => return false,
        };
        // Addresses have 56 bits here, so that the sign of a virtual one does not matter. Intervals meet
        // where one starts within the other.
        let entry_bytes = mask(trunc32(zext8(entry.size_log2))).saturating_add(1);
        let distance = |from: u64, to: u64| to.wrapping_sub(from) & mask(56);
        distance(entry.start, start) < entry_bytes || distance(start, entry.start) < bytes
    }
}

/// What the encoding says.
struct Form {
    scope: Scope,
    shared: Shared,
    range: bool,
    last_level_only: bool,
}

impl Form {
    /// Reads op1, CRm and op2. Arm ARM, TLBI.
    fn of(id: SysRegId) -> Option<Self> {
        let (shared, range) = match id.crm() {
            1 => (Shared::Outer, false),
            3 => (Shared::Inner, false),
            7 => (Shared::Local, false),
            2 => (Shared::Inner, true),
            5 => (Shared::Outer, true),
            6 => (Shared::Local, true),
            0 | 4 => return Self::stage_2(id),
            _ => return None,
        };
        let (scope, last_level_only) = match (id.op1(), range, id.op2()) {
            (0, false, 0) => (Scope::Stage1, false),
            (0, false, 2) => (Scope::Asid, false),
            (0, _, 1) => (Scope::Address { any_asid: false }, false),
            (0, _, 3) => (Scope::Address { any_asid: true }, false),
            (0, _, 5) => (Scope::Address { any_asid: false }, true),
            (0, _, 7) => (Scope::Address { any_asid: true }, true),
            (4, false, 0) => (Scope::AllOfEl2, false),
            (4, false, 4) => (Scope::AllOfEl1, false),
            (4, false, 6) => (Scope::Both, false),
            (4, true, 2) => (Scope::DirtyState, false),
            (4, _, 1) => (Scope::AddressOfEl2, false),
            (4, _, 5) => (Scope::AddressOfEl2, true),
            (6, false, 0) => (Scope::AllOfEl3, false),
            (6, false, 4) if shared != Shared::Inner => (Scope::Physical, false),
            (6, _, 1) => (Scope::AddressOfEl3, false),
            (6, _, 5) => (Scope::AddressOfEl3, true),
            _ => return None,
        };
        Some(Self { scope, shared, range, last_level_only })
    }

    /// Reads the forms by intermediate and by physical address, whose domain is in op2.
    const fn stage_2(id: SysRegId) -> Option<Self> {
        let (shared, range, last_level_only) = match (id.op1(), id.crm(), id.op2()) {
            (4, 0, 1) => (Shared::Inner, false, false),
            (4, 0, 2) => (Shared::Inner, true, false),
            (4, 0, 5) => (Shared::Inner, false, true),
            (4, 0, 6) => (Shared::Inner, true, true),
            (4, 4, 0) => (Shared::Outer, false, false),
            (4, 4, 1) => (Shared::Local, false, false),
            (4, 4, 2) => (Shared::Local, true, false),
            (4, 4, 3) => (Shared::Outer, true, false),
            (4, 4, 4) => (Shared::Outer, false, true),
            (4, 4, 5) => (Shared::Local, false, true),
            (4, 4, 6) => (Shared::Local, true, true),
            (4, 4, 7) => (Shared::Outer, true, true),
            // By physical address: what is named is a part of all, which may go too.
            (6, 4, 3 | 7) => {
                return Some(Self {
                    scope: Scope::Physical,
                    shared: Shared::Outer,
                    range: true,
                    last_level_only: false,
                });
            }
            _ => return None,
        };
        Some(Self { scope: Scope::Intermediate, shared, range, last_level_only })
    }
}

/// Returns the addresses of a range. Arm ARM, TLBI RVAE1.
fn range_of(scope: Scope, operand: u64, base: u64, context: &TlbiContext) -> Extent {
    let granule = match field(operand, 47, 46) {
        1 => Some(Granule::Size4K),
        2 => Some(Granule::Size16K),
        3 => Some(Granule::Size64K),
        _ => None,
    };
    let bits = granule.map_or(12, Granule::bits);
    let shift = if context.ds { 16 } else { bits };
    let base = if scope == Scope::Intermediate { base } else { sign_extend(base, 37) };
    let scale = trunc32(field(operand, 45, 44));
    let granules = field(operand, 43, 39).wrapping_add(1).wrapping_shl(scale.wrapping_mul(5).wrapping_add(1));
    Extent::Range { start: base.wrapping_shl(shift), bytes: granules.wrapping_shl(bits), granule }
}

/// Returns the level that TTL of a page names; `None` without a hint. Level 0 with 4 KiB and level 1 with 16 KiB have
/// leaves with FEAT_LPA2 only; without it they are no hint. `ds` says whether the regime uses that. Arm ARM, TLBI VAE1,
/// TTL.
fn page_hint(operand: u64, ds: bool) -> Option<(Option<Granule>, Level)> {
    let granule = match field(operand, 47, 46) {
        1 => Granule::Size4K,
        2 => Granule::Size16K,
        3 => Granule::Size64K,
        _ => return None,
    };
    let level = match (field(operand, 45, 44), granule) {
        (0, Granule::Size4K) if ds => Level::L0,
        (1, Granule::Size4K | Granule::Size64K) => Level::L1,
        (1, Granule::Size16K) if ds => Level::L1,
        (2, _) => Level::L2,
        (3, _) => Level::L3,
        // CHOICE: reserved, no hint.
        _ => return None,
    };
    Some((Some(granule), level))
}

/// Returns the level that TTL of a range names; `None` without a hint. TG, \[47:46\], 16 KiB has leaves of level 1 with
/// FEAT_LPA2 only.
fn range_hint(operand: u64, ds: bool) -> Option<(Option<Granule>, Level)> {
    let level = match field(operand, 38, 37) {
        1 if field(operand, 47, 46) == 2 && !ds => return None,
        1 => Level::L1,
        2 => Level::L2,
        3 => Level::L3,
        _ => return None,
    };
    Some((None, level))
}
