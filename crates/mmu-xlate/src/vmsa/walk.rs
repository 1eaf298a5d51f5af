//! The walk: from level to level, down to a leaf or a fault.

use super::attr::Attributes;
use super::params::{AddressForm, Params, Range};
use super::perm::{self, Access, Permissions, Privilege};
use crate::memory::TableMemory;
use arm_arch::bits::{low8, mask};
use arm_arch::sysreg::{ParFault, ParSuccess};
use arm_arch::{FaultStatus, Granule, Ipa, Level, Pa, Va};

/// The address space that a stage produces, and in which its tables lie.
pub trait OutputAddress: Copy {
    /// Makes an address of its number.
    fn from_number(number: u64) -> Self;
    /// Returns the number.
    fn number(self) -> u64;
}

impl OutputAddress for Ipa {
    #[inline]
    fn from_number(number: u64) -> Self {
        Self::new(number)
    }

    #[inline]
    fn number(self) -> u64 {
        self.bits()
    }
}

impl OutputAddress for Pa {
    #[inline]
    fn from_number(number: u64) -> Self {
        Self::new(number)
    }

    #[inline]
    fn number(self) -> u64 {
        self.bits()
    }
}

/// What the architecture says happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Translation<A> {
    /// The access is permitted and goes there.
    Mapped(Mapping<A>),
    /// The access faults.
    Fault(Fault),
}

/// Where an access goes, and all that a TLB entry for it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<A> {
    /// Output address of the access itself, offset included.
    pub output: A,
    /// Level of the leaf; `None` with the stage off.
    pub level: Option<Level>,
    /// Binary logarithm of the bytes that the leaf maps; with the stage off those of a 4 KiB page.
    pub size_log2: u8,
    /// The leaf is one of a group that maps adjacent output addresses alike.
    pub contiguous: bool,
    /// Memory type and shareability for this kind of access (fetches and data may differ).
    pub attributes: Attributes,
    /// What is permitted, for both privileges.
    pub permissions: Permissions,
    /// The entry belongs to one ASID.
    pub not_global: bool,
    /// Guarded page. FEAT_BTI.
    pub guarded: bool,
    /// Write permission rests on dirty state that hardware has not recorded: a TLB entry made from
    /// this mapping must not let a store through without another walk. False once `update` sets it.
    pub clean: bool,
    /// What hardware management of the access flag and dirty state writes back.
    pub update: Option<Update<A>>,
}

/// A descriptor that the hardware would write, by compare and swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<A> {
    /// Where the descriptor lies.
    pub at: A,
    /// What the walk read.
    pub old: u64,
    /// What takes its place.
    pub new: u64,
    /// The descriptor is stored big-endian.
    pub big_endian: bool,
}

/// The stage of translation that found a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Stage 1: VA to IPA, or to PA where there is no stage 2.
    One,
    /// Stage 2: IPA to PA.
    Two,
}

/// A fault, complete but for the address, which the caller named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Kind and level.
    pub status: FaultStatus,
    /// The stage that found it.
    pub stage: Stage,
    /// Stage 2 found it on a descriptor of stage 1.
    pub s1ptw: bool,
    /// `ESR_ELx.WnR`: the write is at fault.
    pub write: bool,
}

impl Fault {
    #[inline]
    const fn of(status: FaultStatus, access: Access) -> Self {
        Self { status, stage: Stage::One, s1ptw: false, write: access.wnr() }
    }

    /// Returns the ISS of the abort, without the syndrome of a load or store (ISV 0): FSC, WnR, S1PTW
    /// and CM; an instruction abort has no WnR and CM. Arm ARM, ESR_EL1.
    #[must_use]
    pub const fn iss(&self, access: Access) -> u32 {
        let mut iss = arm_arch::bits::zext8(self.status.encode());
        if self.s1ptw {
            iss |= 1 << 7;
        }
        if !access.is_fetch() {
            if self.write {
                iss |= 1 << 6;
            }
            if access.is_maintenance() {
                iss |= 1 << 8;
            }
        }
        arm_arch::bits::trunc32(iss)
    }

    /// Returns `PAR_EL1` of an address translation instruction that ends in this fault.
    #[must_use]
    pub const fn par(&self) -> u64 {
        ParFault::new()
            .with_f(true)
            .with_fst(self.status.encode())
            .with_ptw(self.s1ptw)
            .with_s(matches!(self.stage, Stage::Two))
            .with_res1(true)
            .into_bits()
    }
}

impl<A: OutputAddress> Mapping<A> {
    /// Returns `PAR_EL1` of an address translation instruction that succeeds: PA, ATTR, SH, and bit 11
    /// RES1. CHOICE: NS reads 0, UNKNOWN outside Secure state.
    #[must_use]
    pub fn par(&self) -> u64 {
        let par = ParSuccess::new()
            .with_attr(self.attributes.byte())
            .with_sh(self.attributes.shareability().encode())
            .with_nse(true);
        self.output.number() & mask(52) & !mask(12) | par.into_bits()
    }
}

/// Bits 1:0 of a descriptor, what it is.
const KIND: u64 = 3;
/// A block, above level 3.
const BLOCK: u64 = 1;
/// A table; a page at level 3.
const TABLE: u64 = 3;
const READ_ONLY: u64 = 1 << 7;
const ACCESS_FLAG: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const GUARDED: u64 = 1 << 50;
const DBM: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;

/// Translates one address of stage 1. Arm ARM D8.2, AArch64.S1Translate.
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
    let [low, high] = &params.ranges;
    let (range, sign) = if va.bits() & 1 << 55 == 0 { (low, 0) } else { (high, u64::MAX) };
    let [data, fetch] = range.ignored;
    let ignored = if access.is_fetch() { fetch } else { data };
    if !params.on {
        return Ok(flat(params, va, ignored, access));
    }
    // The bits above the input size all equal bit 55, apart from an ignored top byte.
    let out_of_range = (va.bits() ^ sign).wrapping_shl(ignored).wrapping_shr(ignored) & !mask(range.iasize);
    let barred = range.e0pd && matches!(access.privilege, Privilege::Unprivileged);
    if out_of_range != 0 || barred {
        return Ok(Translation::Fault(Fault::of(FaultStatus::Translation(Level::L0), access)));
    }
    if let Some(status) = range.fault {
        return Ok(Translation::Fault(Fault::of(status, access)));
    }
    descend(params, range, va.bits(), access, memory)
}

/// Follows table descriptors from the first table on. Arm ARM, AArch64.S1Walk.
#[inline]
fn descend<A: OutputAddress, M: TableMemory<A>>(
    params: &Params,
    range: &Range,
    va: u64,
    access: Access,
    memory: &M,
) -> Result<Translation<A>, M::Error> {
    let stride = range.granule.bits().wrapping_sub(3);
    let mut remaining = range.remaining;
    let mut shift = range.first_shift;
    let mut index_mask = range.first_mask;
    let mut base = range.base;
    let mut tables = 0;
    loop {
        let at = base | (va.wrapping_shr(shift) & index_mask) << 3;
        let Some(bytes) = memory.load(A::from_number(at))? else {
            return Ok(fault(FaultStatus::ExternalOnWalk(level(remaining)), access));
        };
        let entry = if params.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) };
        if entry & KIND != TABLE || remaining == 0 {
            let leaf = Leaf { va, level: level(remaining), shift, tables, entry, at };
            return Ok(judge(params, range, &leaf, access));
        }
        base = next_table(range, entry);
        if base & range.beyond != 0 {
            return Ok(fault(FaultStatus::AddressSize(level(remaining)), access));
        }
        tables |= entry;
        remaining = remaining.wrapping_sub(1);
        shift = shift.wrapping_sub(stride);
        index_mask = mask(stride);
    }
}

/// The level that has so many below it.
#[inline]
const fn level(remaining: u32) -> Level {
    match remaining {
        0 => Level::L3,
        1 => Level::L2,
        2 => Level::L1,
        3 => Level::L0,
        4 => Level::Minus1,
        _ => Level::Minus2,
    }
}

/// Returns the address in a table descriptor.
#[inline]
const fn next_table(range: &Range, entry: u64) -> u64 {
    if matches!(range.form, AddressForm::Bits48) {
        entry & range.table_address
    } else {
        address(range.form, entry, range.granule.bits())
    }
}

#[inline]
const fn fault<A>(status: FaultStatus, access: Access) -> Translation<A> {
    Translation::Fault(Fault::of(status, access))
}

/// The bit that stands for a level in [`Range::blocks`].
#[inline]
const fn block_bit(level: Level) -> u8 {
    match level {
        Level::L0 => 1,
        Level::L1 => 2,
        Level::L2 => 4,
        Level::Minus2 | Level::Minus1 | Level::L3 => 0,
    }
}

/// Returns the address in a descriptor, without the bits below `low`.
#[inline]
const fn address(form: AddressForm, entry: u64, low: u32) -> u64 {
    let plain = entry & mask(48) & !mask(low);
    match form {
        AddressForm::Bits48 => plain,
        AddressForm::Lpa => plain | (entry & 0xf000) << 36,
        AddressForm::Lpa2 => plain | entry & 3 << 48 | (entry & 0x300) << 42,
    }
}

/// A leaf descriptor and how the walk came to it.
struct Leaf {
    va: u64,
    level: Level,
    shift: u32,
    tables: u64,
    entry: u64,
    at: u64,
}

/// Whether a descriptor maps something: a page at level 3, a block where one is allowed.
#[inline]
const fn is_leaf(range: &Range, leaf: &Leaf) -> bool {
    if leaf.level.is_final() {
        leaf.entry & KIND == TABLE
    } else {
        leaf.entry & KIND == BLOCK && range.blocks & block_bit(leaf.level) != 0
    }
}

/// Judges the last descriptor: valid, output size, access flag, alignment, permissions, in this order.
/// Arm ARM D8.15.
#[inline]
fn judge<A: OutputAddress>(params: &Params, range: &Range, leaf: &Leaf, access: Access) -> Translation<A> {
    let Leaf { va, level, shift, tables, entry, at } = *leaf;
    if !is_leaf(range, leaf) {
        return fault(FaultStatus::Translation(level), access);
    }
    let contiguous = entry & CONTIGUOUS != 0;
    // Within a contiguous group the address comes from the group, not from the single entry.
    let span = if contiguous { shift.wrapping_add(contiguous_bits(range.granule, level)) } else { shift };
    let output = address(range.form, entry, span) | va & mask(span);
    if output & range.beyond != 0 {
        return fault(FaultStatus::AddressSize(level), access);
    }
    if entry & ACCESS_FLAG == 0 && !params.ha {
        return fault(FaultStatus::AccessFlag(level), access);
    }
    let sh = match range.form {
        AddressForm::Lpa2 => range.sh,
        AddressForm::Bits48 | AddressForm::Lpa => super::attr::Shareability::decode(entry.wrapping_shr(8)),
    };
    let [data, fetch] = params.mair;
    let mair = if access.is_fetch() { fetch } else { data };
    // AttrIndx, bits 4:2, as the number of a byte.
    let byte = low8(mair.wrapping_shr(u32::from(low8(entry & 0x1c)) << 1));
    let attributes = Attributes::of(byte, sh);
    if attributes.is_device() && !access.aligned && access.wants_alignment() {
        return fault(FaultStatus::Alignment, access);
    }
    // A page that hardware may make dirty counts as writable. Arm ARM D8.5.2.
    let dirty_managed = params.hd && entry & (DBM | READ_ONLY) == DBM | READ_ONLY;
    let judged = if dirty_managed { entry & !READ_ONLY } else { entry };
    let permissions = perm::direct(params, judged, tables & range.hierarchy);
    if let Err(denied) = perm::check(params, permissions, access) {
        let denied = Fault {
            status: FaultStatus::Permission(level),
            stage: Stage::One,
            s1ptw: false,
            write: denied.write,
        };
        return Translation::Fault(denied);
    }
    let dirtied = dirty_managed && access.dirties();
    let mut new = if dirtied { entry & !READ_ONLY } else { entry };
    if access.sets_access_flag() {
        new |= ACCESS_FLAG;
    }
    let update = (new != entry).then_some(Update {
        at: A::from_number(at),
        old: entry,
        new,
        big_endian: params.big_endian,
    });
    Translation::Mapped(Mapping {
        output: A::from_number(output),
        level: Some(level),
        size_log2: low8(shift.into()),
        contiguous,
        attributes,
        permissions,
        not_global: entry & NOT_GLOBAL != 0,
        guarded: entry & GUARDED != 0,
        clean: dirty_managed && !dirtied,
        update,
    })
}

/// Returns the binary logarithm of the entries in a contiguous group; 0 where the bit is ignored.
/// Arm ARM D8.7.1.
const fn contiguous_bits(granule: Granule, level: Level) -> u32 {
    match (granule, level) {
        (Granule::Size4K, Level::L1 | Level::L2 | Level::L3) => 4,
        (Granule::Size16K, Level::L2) | (Granule::Size64K, Level::L2 | Level::L3) => 5,
        (Granule::Size16K, Level::L3) => 7,
        (Granule::Size4K, Level::Minus2 | Level::Minus1 | Level::L0)
        | (Granule::Size16K | Granule::Size64K, Level::Minus2 | Level::Minus1 | Level::L0 | Level::L1) => 0,
    }
}

/// The mapping with stage 1 off: the address itself. Arm ARM, AArch64.S1DisabledOutput.
#[cold]
fn flat<A: OutputAddress>(params: &Params, va: Va, ignored: u32, access: Access) -> Translation<A> {
    let address = va.bits().wrapping_shl(ignored).wrapping_shr(ignored);
    if address & !mask(params.pa_bits) != 0 {
        return fault(FaultStatus::AddressSize(Level::L0), access);
    }
    let attributes = if access.is_fetch() { params.flat_fetch } else { params.flat_data };
    if attributes.is_device() && !access.aligned && access.wants_alignment() {
        return fault(FaultStatus::Alignment, access);
    }
    Translation::Mapped(Mapping {
        output: A::from_number(address),
        level: None,
        size_log2: 12,
        contiguous: false,
        attributes,
        permissions: Permissions::ALL,
        not_global: false,
        guarded: false,
        clean: false,
        update: None,
    })
}
