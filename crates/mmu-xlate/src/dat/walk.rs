//! Act two: from a designation down the tables to a frame. PoP ch. 3, "Translation Process".

use super::params::{Access, AccessList, Features, Params, Request};
use super::prot;
use super::quick::{self, Rest};
use crate::memory::TableMemory;
use s390_arch::addr::{Absolute, FrameSize, Prefix, Real};
use s390_arch::dat::{
    Asce, Level, PageEntry, RegionFirstEntry, RegionSecondEntry, RegionThirdEntry, SegmentEntry, TableType,
    Virtual,
};
use s390_arch::pgm::{AccessException, AddressSpace, ProgramCode, ProtectionCause, Teid};
use s390_arch::skey::StorageKey;

/// Storage whose blocks have keys: what an access needs beyond the tables. PoP ch. 3, "Storage Key".
pub trait StorageKeys: TableMemory<Absolute> {
    /// Returns the key of the 4 KiB block that `block` starts; `None` where no storage is configured.
    ///
    /// # Errors
    ///
    /// Fails when the answer cannot be given; the walk ends there and reports no fault.
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, Self::Error>;
}

impl<M: StorageKeys + ?Sized> StorageKeys for &M {
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, Self::Error> {
        (**self).storage_key(block)
    }
}

/// What the architecture says happens. PoP ch. 3, "Dynamic Address Translation".
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// The access goes through.
    Mapped(Mapping),
    /// A program interruption is recognised.
    Fault(Fault),
}

impl Translation {
    /// Returns the mapping, where there is one.
    #[must_use]
    pub const fn mapped(self) -> Option<Mapping> {
        match self {
            Self::Mapped(mapping) => Some(mapping),
            Self::Fault(_) => None,
        }
    }

    /// Returns the fault, where there is one.
    #[must_use]
    pub const fn fault(self) -> Option<Fault> {
        match self {
            Self::Mapped(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

/// What mapped an address. PoP ch. 3, "Dynamic Address Translation".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// Nothing: DAT is off.
    DatOff,
    /// The real-space control of the ASCE.
    RealSpace,
    /// A page-table entry.
    Page,
    /// A segment-table entry with FC = 1.
    Segment,
    /// A region-third-table entry with FC = 1.
    Region,
}

impl Leaf {
    /// Returns the size of the frame; without tables, the 4 KiB within which an answer holds.
    #[must_use]
    pub const fn frame_size(self) -> FrameSize {
        match self {
            Self::DatOff | Self::RealSpace | Self::Page => FrameSize::Page,
            Self::Segment => FrameSize::Segment,
            Self::Region => FrameSize::Region,
        }
    }

    /// Returns the level of the entry; `None` where there is none.
    #[must_use]
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::DatOff | Self::RealSpace => None,
            Self::Page => Some(Level::Page),
            Self::Segment => Some(Level::Segment),
            Self::Region => Some(Level::RegionThird),
        }
    }
}

/// What translation yields: real addresses, except from large frames. PoP ch. 3, "Translation Process".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A real address, to which prefixing was then applied.
    Real(Real),
    /// An address in a large frame, which is not prefixed.
    Absolute(Absolute),
}

impl Target {
    /// Returns the address as its 64 bits, as LOAD REAL ADDRESS does of either kind.
    #[must_use]
    pub const fn bits(self) -> u64 {
        match self {
            Self::Real(real) => real.bits(),
            Self::Absolute(absolute) => absolute.bits(),
        }
    }
}

/// A table entry: where it is and what it was when loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its address.
    pub at: Absolute,
    /// Its 64 bits.
    pub bits: u64,
}

/// Access-control bits and fetch protection that a large frame has in place of its storage keys (AV = 1).
/// PoP ch. 3, "Storage Key".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessControl {
    /// ACC.
    pub acc: u8,
    /// F: fetches are protected too.
    pub f: bool,
}

/// What the access leaves in the storage key. PoP ch. 3, "Reference Recording", "Change Recording".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// R is set.
    Reference,
    /// R and C are set.
    ReferenceAndChange,
}

impl Recording {
    /// Returns the key with the bits set.
    #[must_use]
    pub const fn applied_to(self, key: StorageKey) -> StorageKey {
        match self {
            Self::Reference => key.with_r(true),
            Self::ReferenceAndChange => key.with_r(true).with_c(true),
        }
    }
}

/// The answer for an access that goes through. PoP ch. 3, "Dynamic Address Translation".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What the tables yield, before prefixing.
    pub target: Target,
    /// Where the operand is.
    pub absolute: Absolute,
    /// What mapped it.
    pub leaf: Leaf,
    /// The entry that did; `None` without tables.
    pub entry: Option<Entry>,
    /// Stores are prohibited by P of some entry on the way.
    pub dat_protected: bool,
    /// IEP of the leaf, whether or not CR0 enables it.
    pub instruction_protected: bool,
    /// ACC and F of a large frame with AV = 1.
    pub access_control: Option<AccessControl>,
    /// What to record in the storage key of the block. Nothing is written by a walk.
    pub recording: Recording,
}

impl Mapping {
    /// Returns the absolute address of the frame.
    #[must_use]
    pub const fn frame(&self) -> Absolute {
        self.absolute.align_down(self.leaf.frame_size())
    }
}

/// Where translation ended without a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Before translation, at the effective address.
    EffectiveAddress,
    /// At the access list.
    AccessList,
    /// At the ASCE: the address needs a higher table than there is.
    Asce,
    /// At an entry or the length of a table.
    Table(Level),
    /// At the target in storage.
    Frame,
    /// At the storage key of the target.
    Key,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The invalid bit of an entry.
    Invalid,
    /// A table shorter than the index, or starting above it.
    Length,
    /// TT of an entry is not the type of its table.
    Type,
    /// A common segment or region in a private space.
    Common,
    /// Bit 52 of a page-table entry.
    Bit52,
    /// The entry lies outside storage.
    Table,
    /// The target lies outside storage.
    Frame,
    /// The designation type is too low for the address.
    AsceType,
    /// Protection of some kind.
    Protection(ProtectionCause),
}

/// A program interruption that translation recognises. A correct answer, not an error.
/// PoP ch. 6, "Program Interruption".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The exception, which gives the code and how the instruction ends.
    pub exception: AccessException,
    /// Translation-exception identification; `None` where none is defined.
    pub teid: Option<Teid>,
    /// Where it was found.
    pub place: Place,
    /// Why.
    pub cause: Cause,
    /// The entry that decided, where one was loaded and did.
    pub entry: Option<Entry>,
}

impl Fault {
    /// Returns the program-interruption code.
    #[must_use]
    pub const fn pic(&self) -> ProgramCode {
        self.exception.code()
    }
}

/// What ends the descent: a finding in the tables, or the host.
enum Stop<E> {
    Host(E),
    Finding(Finding),
}

/// A fault to which the TEID is yet to be added.
#[derive(Clone, Copy)]
struct Finding {
    place: Place,
    cause: Cause,
    entry: Option<Entry>,
}

impl<E> From<Finding> for Stop<E> {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

impl Finding {
    /// Returns the exception that is recognised. PoP ch. 6, "Access Exceptions".
    const fn exception(&self) -> AccessException {
        match (self.cause, self.place) {
            (Cause::Invalid | Cause::Length, Place::Table(level)) => level.exception(),
            // Only tables are invalid or too short.
            (Cause::Invalid | Cause::Length, _) | (Cause::AsceType, _) => AccessException::AsceType,
            (Cause::Type | Cause::Common | Cause::Bit52, _) => AccessException::TranslationSpecification,
            (Cause::Table | Cause::Frame, _) => AccessException::Addressing,
            (Cause::Protection(_), _) => AccessException::Protection,
        }
    }

    /// Makes the fault: adds what the TEID says of the access.
    #[cold]
    fn into_fault(self, features: Features, address: u64, access: Access, space: AddressSpace) -> Fault {
        let exception = self.exception();
        let teid = features.teid(address, access, space);
        let teid = match self.cause {
            Cause::Protection(cause) => teid.with_protection(features.reported(cause)),
            Cause::Invalid
            | Cause::Length
            | Cause::Type
            | Cause::Common
            | Cause::Bit52
            | Cause::Table
            | Cause::Frame
            | Cause::AsceType => teid,
        };
        Fault {
            exception,
            teid: exception.has_teid().then_some(teid),
            place: self.place,
            cause: self.cause,
            entry: self.entry,
        }
    }
}

/// Translates one access of a CPU: low-address protection, tables, prefixing, table protection, storage, key.
/// PoP ch. 3, "Dynamic Address Translation", "Protection".
///
/// # Errors
///
/// Whatever the memory fails with; no interruption is recognised then.
pub fn walk<M: StorageKeys>(params: &Params, request: &Request, mem: &M) -> Result<Translation, M::Error> {
    let address = params.mode.truncate(request.address);
    let finding = match translate(params, address, request, mem) {
        Ok(mapping) => return Ok(Translation::Mapped(mapping)),
        Err(Stop::Host(error)) => return Err(error),
        Err(Stop::Finding(finding)) => finding,
    };
    Ok(Translation::Fault(finding.into_fault(params.features, address, request.access, params.space)))
}

/// Translates an address that only tables judge: what a host's tables make of a guest-physical address.
///
/// There is no PSW, no low-address or key-controlled protection, and the prefix is zero, so that the real address of
/// a page frame is its absolute one; whether storage is there is left to the access that follows. The TEID names the
/// primary space, as for an interruption under SIE or SAE.
///
/// # Errors
///
/// Whatever the memory fails with; no interruption is recognised then.
#[inline]
pub fn walk_asce<M: TableMemory<Absolute>>(
    asce: Asce,
    address: Virtual,
    access: Access,
    features: Features,
    mem: &M,
) -> Result<Translation, M::Error> {
    let finding = match descend(asce, address, features, Prefix::default(), mem) {
        Ok(mapping) => match prot::tables(features, AccessList::Unrestricted, &mapping, access) {
            None => return Ok(Translation::Mapped(recorded(mapping, access))),
            Some(cause) => protection_of_tables(cause, &mapping),
        },
        Err(Stop::Host(error)) => return Err(error),
        Err(Stop::Finding(finding)) => finding,
    };
    Ok(Translation::Fault(finding.into_fault(features, address.into_bits(), access, AddressSpace::Primary)))
}

/// Walks the tables for an address and judges nothing: what LOAD REAL ADDRESS sees.
///
/// # Errors
///
/// Whatever the memory fails with; no interruption is recognised then.
pub(super) fn probe<M: TableMemory<Absolute>>(
    asce: Asce,
    address: Virtual,
    features: Features,
    mem: &M,
) -> Result<Translation, M::Error> {
    match descend(asce, address, features, Prefix::default(), mem) {
        Ok(mapping) => Ok(Translation::Mapped(mapping)),
        Err(Stop::Host(error)) => Err(error),
        Err(Stop::Finding(finding)) => Ok(Translation::Fault(finding.into_fault(
            features,
            address.into_bits(),
            Access::Fetch,
            AddressSpace::Primary,
        ))),
    }
}

/// Does all of [`walk`] but the TEID, in the order of PoP ch. 6, "Access Exceptions".
fn translate<M: StorageKeys>(
    params: &Params,
    address: u64,
    request: &Request,
    mem: &M,
) -> Result<Mapping, Stop<M::Error>> {
    if let Some(cause) = prot::low_address(params, address, request.access) {
        return Err(protection(Place::EffectiveAddress, cause, None).into());
    }
    let mapping = match params.asce {
        None => untranslated(Leaf::DatOff, Real::new(address), params.prefix),
        Some(asce) => descend(asce, Virtual::from_bits(address), params.features, params.prefix, mem)?,
    };
    if let Some(cause) = prot::tables(params.features, params.access_list, &mapping, request.access) {
        return Err(protection_of_tables(cause, &mapping).into());
    }
    let block = mapping.absolute.align_down(FrameSize::Page);
    let Some(key) = mem.storage_key(block).map_err(Stop::Host)? else {
        return Err(Finding { place: Place::Frame, cause: Cause::Frame, entry: mapping.entry }.into());
    };
    if let Some(cause) = prot::key(params, address, request, &mapping, key) {
        return Err(protection(Place::Key, cause, mapping.entry).into());
    }
    Ok(recorded(mapping, request.access))
}

/// Returns the finding of a protection.
const fn protection(place: Place, cause: ProtectionCause, entry: Option<Entry>) -> Finding {
    Finding { place, cause: Cause::Protection(cause), entry }
}

/// Returns the finding of a protection that the tables or the access list decided.
fn protection_of_tables(cause: ProtectionCause, mapping: &Mapping) -> Finding {
    let place = match (cause, mapping.leaf.level()) {
        (ProtectionCause::Dat | ProtectionCause::InstructionExecution, Some(level)) => Place::Table(level),
        _ => Place::AccessList,
    };
    protection(place, cause, mapping.entry)
}

/// Returns the mapping with what the access records.
const fn recorded(mapping: Mapping, access: Access) -> Mapping {
    let recording = match access {
        Access::Fetch | Access::InstructionFetch => Recording::Reference,
        Access::Store => Recording::ReferenceAndChange,
    };
    Mapping { recording, ..mapping }
}

/// Returns the mapping of an address that no table translates.
#[inline]
pub(super) const fn untranslated(leaf: Leaf, real: Real, prefix: Prefix) -> Mapping {
    Mapping {
        target: Target::Real(real),
        absolute: real.prefixed(prefix),
        leaf,
        entry: None,
        dat_protected: false,
        instruction_protected: false,
        access_control: None,
        recording: Recording::Reference,
    }
}

/// Walks the tables that an ASCE designates.
#[inline]
fn descend<M: TableMemory<Absolute>>(
    asce: Asce,
    address: Virtual,
    features: Features,
    prefix: Prefix,
    mem: &M,
) -> Result<Mapping, Stop<M::Error>> {
    if asce.r() {
        return Ok(untranslated(Leaf::RealSpace, Real::new(address.into_bits()), prefix));
    }
    let level = asce.dt().level();
    translates(level, address)?;
    if asce.tl() != LAST_QUARTER {
        within(level, address, 0, asce.tl())?;
    }
    match quick::descend(asce, address, features, prefix, mem).map_err(Stop::Host)? {
        Ok(mapping) => Ok(mapping),
        Err(rest) => descend_from(rest, asce.p(), address, features, prefix, mem),
    }
}

/// TL of a table that has all its quarters.
const LAST_QUARTER: u8 = 3;

/// Walks on from an entry that is not plain.
#[inline(never)]
fn descend_from<M: TableMemory<Absolute>>(
    Rest { level, entry, protected }: Rest,
    private: bool,
    address: Virtual,
    features: Features,
    prefix: Prefix,
    mem: &M,
) -> Result<Mapping, Stop<M::Error>> {
    let mut descent = Descent { mem, address, features, prefix, private, protected };
    let (mut level, mut at) = (level, entry.ok_or(outside(level))?);
    loop {
        let (below, table) = match level {
            Level::RegionFirst => descent.region_first(at)?,
            Level::RegionSecond => descent.region_second(at)?,
            Level::RegionThird => match descent.region_third(at)? {
                Below::Table(table) => (Level::Segment, table),
                Below::Frame(mapping) => return Ok(mapping),
            },
            Level::Segment => match descent.segment(at)? {
                Below::Table(table) => (Level::Page, table),
                Below::Frame(mapping) => return Ok(mapping),
            },
            Level::Page => return descent.page(at).map_err(Stop::Finding),
        };
        at = descent.load(below, table)?;
        level = below;
    }
}

/// Checks that a full table of a level reaches the address: every higher index is zero. PoP, ASCE-type exception.
#[inline]
fn translates(level: Level, address: Virtual) -> Result<(), Finding> {
    let beyond = match level {
        Level::RegionFirst => 0,
        Level::RegionSecond => address.into_bits() >> 53,
        Level::RegionThird => address.into_bits() >> 42,
        Level::Segment | Level::Page => address.into_bits() >> 31,
    };
    if beyond == 0 {
        Ok(())
    } else {
        Err(Finding { place: Place::Asce, cause: Cause::AsceType, entry: None })
    }
}

/// Checks the quarter of an index against the first and last that its table has.
#[inline]
fn within(level: Level, address: Virtual, first: u8, last: u8) -> Result<(), Finding> {
    let quarter = level.index(address) >> 9;
    if quarter >= u16::from(first) && quarter <= u16::from(last) {
        Ok(())
    } else {
        Err(Finding { place: Place::Table(level), cause: Cause::Length, entry: None })
    }
}

/// One walk, from the first table to the leaf.
struct Descent<'m, M> {
    mem: &'m M,
    address: Virtual,
    features: Features,
    prefix: Prefix,
    /// P of the ASCE.
    private: bool,
    /// P of the entries so far.
    protected: bool,
}

/// What an entry that may designate a frame leads to.
enum Below {
    Table(Absolute),
    Frame(Mapping),
}

impl<M: TableMemory<Absolute>> Descent<'_, M> {
    #[inline]
    fn region_first(&mut self, at: Entry) -> Result<(Level, Absolute), Finding> {
        let entry = RegionFirstEntry::from_bits(at.bits);
        usable(Level::RegionFirst, at, entry.i(), entry.tt())?;
        self.protected |= entry.p() && self.features.edat1;
        self.next(Level::RegionSecond, at, entry.tf(), entry.tl())?;
        Ok((Level::RegionSecond, entry.table()))
    }

    #[inline]
    fn region_second(&mut self, at: Entry) -> Result<(Level, Absolute), Finding> {
        let entry = RegionSecondEntry::from_bits(at.bits);
        usable(Level::RegionSecond, at, entry.i(), entry.tt())?;
        self.protected |= entry.p() && self.features.edat1;
        self.next(Level::RegionThird, at, entry.tf(), entry.tl())?;
        Ok((Level::RegionThird, entry.table()))
    }

    #[inline]
    fn region_third(&mut self, at: Entry) -> Result<Below, Finding> {
        let entry = RegionThirdEntry::from_bits(at.bits);
        usable(Level::RegionThird, at, entry.i(), entry.tt())?;
        if self.features.edat2 {
            self.common(Level::RegionThird, at, entry.cr())?;
        }
        self.protected |= entry.p() && self.features.edat1;
        if self.features.edat2 && entry.fc() {
            let frame = entry.as_frame();
            let control = frame.av().then(|| AccessControl { acc: frame.acc(), f: frame.f() });
            return Ok(Below::Frame(self.large(Leaf::Region, frame.frame(), at, frame.iep(), control)));
        }
        self.next(Level::Segment, at, entry.tf(), entry.tl())?;
        Ok(Below::Table(entry.table()))
    }

    #[inline]
    fn segment(&mut self, at: Entry) -> Result<Below, Finding> {
        let entry = SegmentEntry::from_bits(at.bits);
        usable(Level::Segment, at, entry.i(), entry.tt())?;
        self.common(Level::Segment, at, entry.cs())?;
        self.protected |= entry.p();
        if self.features.edat1 && entry.fc() {
            let frame = entry.as_frame();
            let control = frame.av().then(|| AccessControl { acc: frame.acc(), f: frame.f() });
            return Ok(Below::Frame(self.large(Leaf::Segment, frame.frame(), at, frame.iep(), control)));
        }
        Ok(Below::Table(entry.table()))
    }

    #[inline]
    fn page(&self, at: Entry) -> Result<Mapping, Finding> {
        let entry = PageEntry::from_bits(at.bits);
        if entry.i() {
            return Err(found(Level::Page, Cause::Invalid, at));
        }
        if entry.b52() {
            return Err(found(Level::Page, Cause::Bit52, at));
        }
        let real = Real::new(entry.frame().bits() | self.address.frame_offset(FrameSize::Page));
        Ok(Mapping {
            entry: Some(at),
            dat_protected: self.protected | entry.p(),
            instruction_protected: entry.iep(),
            ..untranslated(Leaf::Page, real, self.prefix)
        })
    }

    /// Returns the mapping through a frame larger than a page. Large frames are absolute.
    #[inline]
    fn large(
        &self,
        leaf: Leaf,
        frame: Absolute,
        entry: Entry,
        iep: bool,
        access_control: Option<AccessControl>,
    ) -> Mapping {
        let absolute = Absolute::new(frame.bits() | self.address.frame_offset(leaf.frame_size()));
        Mapping {
            target: Target::Absolute(absolute),
            absolute,
            leaf,
            entry: Some(entry),
            dat_protected: self.protected,
            instruction_protected: iep,
            access_control,
            recording: Recording::Reference,
        }
    }

    /// Loads the entry for the address from a table.
    #[inline]
    fn load(&self, level: Level, table: Absolute) -> Result<Entry, Stop<M::Error>> {
        let offset = u64::from(level.index(self.address)) << 3;
        let at = table.checked_add(offset).ok_or(outside(level))?;
        let bytes = self.mem.load(at).map_err(Stop::Host)?.ok_or(outside(level))?;
        Ok(Entry { at, bits: u64::from_be_bytes(bytes) })
    }

    /// Checks the next table's offset and length, which its designating entry holds.
    #[inline]
    fn next(&self, level: Level, entry: Entry, first: u8, last: u8) -> Result<(), Finding> {
        within(level, self.address, first, last).map_err(|finding| Finding { entry: Some(entry), ..finding })
    }

    /// Checks that a private space has nothing common.
    #[inline]
    fn common(&self, level: Level, entry: Entry, common: bool) -> Result<(), Finding> {
        if common && self.private { Err(found(level, Cause::Common, entry)) } else { Ok(()) }
    }
}

/// Checks the invalid bit, then the type, of a region- or segment-table entry.
#[inline]
fn usable(level: Level, entry: Entry, invalid: bool, table_type: TableType) -> Result<(), Finding> {
    if invalid {
        return Err(found(level, Cause::Invalid, entry));
    }
    if level.table_type() != Some(table_type) {
        return Err(found(level, Cause::Type, entry));
    }
    Ok(())
}

/// Returns the finding that an entry lies outside storage.
const fn outside(level: Level) -> Finding {
    Finding { place: Place::Table(level), cause: Cause::Table, entry: None }
}

/// Returns the finding that an entry decides.
const fn found(level: Level, cause: Cause, entry: Entry) -> Finding {
    Finding { place: Place::Table(level), cause, entry: Some(entry) }
}
