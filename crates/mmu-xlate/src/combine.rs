//! Arm stage 1 over z/Architecture DAT: what an access of an SAE guest meets.
//!
//! ```text
//!   VA ──▶ vmsa::walk ──▶ IPA ──▶ + origin ──▶ dat::walk_asce ──▶ absolute address
//!             │ tables                              │
//!             └── each descriptor's IPA goes the same way, as a fetch
//! ```
//!
//! Either both sides permit the access, or one of them faulted: stage 1, and the guest takes an abort at EL1; or the
//! host's tables, and the control block says so (interception code 0x02). SAE control block (Linux s390 arm64 KVM
//! series).

use crate::dat::{self, Features};
use crate::memory::{Swap, TableMemory, TableUpdate};
use crate::vmsa::{
    self, Access, AccessKind, AtContext, AtOperation, AtOutcome, Implementation, Mapping, Params,
    Permissions, Qualifiers, Recorder, Regime, Registers, Space, Stage, Step,
};
use arm_arch::bits::{low8, zext32};
use arm_arch::{EsrEl, ExceptionClass, FaultStatus, Ipa, Level, Va};
use s390_arch::addr::Absolute;
use s390_arch::dat::{Asce, Virtual};
use s390_arch::pgm::{AddressSpace, FetchStoreIndication, ProgramCode, Teid};

/// The host's tables under a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTables {
    /// The designation of the tables.
    pub asce: Asce,
    /// Main-storage origin: added to guest-physical addresses before DAT; a multiple of 4 KiB.
    pub origin: u64,
    /// The last guest-physical address, counted from the origin.
    pub last: Ipa,
    /// What DAT has.
    pub features: Features,
}

/// What an access meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Combined {
    /// Both sides permit it.
    Mapped(Host),
    /// Stage 1 does not: the guest's own abort.
    Guest(vmsa::Fault),
    /// The host's tables do not: an interception.
    Host(HostAccess),
}

/// Where an access of a guest goes, and what a cached translation of it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where the operand is.
    pub absolute: Absolute,
    /// What stage 1 found; its attributes are those of the whole.
    ///
    /// CHOICE: host storage is Normal Write-Back and DAT has no attributes, so that stage 1 decides alone
    /// (INFERRED).
    pub stage1: Mapping<Ipa>,
    /// What DAT found.
    pub host: dat::Mapping,
    /// What both permit.
    pub permissions: Permissions,
    /// Binary logarithm of the bytes for which the answer holds: the smaller of leaf and frame, as far as origin and
    /// limit are no smaller.
    pub size_log2: u8,
}

/// A host access exception, as the control block reports it (interception code 0x02).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAccess {
    /// `esr_elz`: the syndrome of a stage 2 abort, without that of a load or store (ISV 0).
    pub esr: EsrEl,
    /// `pic`: the program-interruption code.
    pub pic: ProgramCode,
    /// `teid`: it names the page and whether it was stored to.
    pub teid: Teid,
    /// `far_elz`: the guest-virtual address.
    pub far: Va,
    /// `gltl`: the level of the stage 1 descriptor that was read; `None` for the access itself.
    pub gltl: Option<Level>,
    /// The guest-physical address that DAT was asked for.
    pub ipa: Ipa,
    /// That address is beyond [`HostTables::last`]: interception code 0x06 (INFERRED).
    pub past_limit: bool,
}

/// Why the host did not let stage 1, or the access, have an address.
enum Refusal<E> {
    Host(E),
    Fault { ipa: Ipa, pic: ProgramCode, teid: Teid, past_limit: bool },
}

impl HostTables {
    /// Returns the binary logarithm of the largest block around an address that the limit does not cut, and that the
    /// origin leaves a block.
    fn reach(&self, ipa: Ipa) -> u8 {
        // Below the highest bit in which they differ the limit is reached nowhere; ones at its end are within it.
        let differs = (ipa.bits() ^ self.last.bits()).checked_ilog2().unwrap_or(0);
        let limit = differs.max(self.last.bits().trailing_ones());
        low8(zext32(limit.min(self.origin.trailing_zeros())))
    }

    /// Translates a guest-physical address.
    fn translate<M: TableMemory<Absolute>>(
        &self,
        ipa: Ipa,
        access: dat::Access,
        memory: &M,
    ) -> Result<dat::Mapping, Refusal<M::Error>> {
        let address = ipa.bits().wrapping_add(self.origin);
        let fsi = match access {
            dat::Access::Store => FetchStoreIndication::Store,
            dat::Access::Fetch | dat::Access::InstructionFetch => FetchStoreIndication::Fetch,
        };
        let named = Teid::of(address, fsi, AddressSpace::Primary);
        if ipa > self.last {
            let pic = ProgramCode::ADDRESSING;
            return Err(Refusal::Fault { ipa, pic, teid: named, past_limit: true });
        }
        let address = Virtual::from_bits(address);
        match dat::walk_asce(self.asce, address, access, self.features, memory) {
            Err(error) => Err(Refusal::Host(error)),
            Ok(dat::Translation::Mapped(mapping)) => Ok(mapping),
            Ok(dat::Translation::Fault(fault)) => Err(Refusal::Fault {
                ipa,
                pic: fault.exception.code(),
                // Exceptions that define no TEID name the page all the same (INFERRED).
                teid: fault.teid.unwrap_or(named),
                past_limit: false,
            }),
        }
    }
}

/// The tables of stage 1 behind the host's.
struct Behind<'a, M> {
    host: &'a HostTables,
    memory: &'a M,
}

impl<M: TableMemory<Absolute>> TableMemory<Ipa> for Behind<'_, M> {
    type Error = Refusal<M::Error>;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Self::Error> {
        let mapping = self.host.translate(at, dat::Access::Fetch, self.memory)?;
        self.memory.load(mapping.absolute).map_err(Refusal::Host)
    }
}

impl<M: TableUpdate<Absolute>> TableUpdate<Ipa> for Behind<'_, M> {
    fn compare_exchange(&self, at: Ipa, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Self::Error> {
        let mapping = self.host.translate(at, dat::Access::Store, self.memory)?;
        self.memory.compare_exchange(mapping.absolute, old, new).map_err(Refusal::Host)
    }

    fn compare_exchange_pair(
        &self,
        at: Ipa,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Self::Error> {
        // 16 aligned bytes are in one frame.
        let mapping = self.host.translate(at, dat::Access::Store, self.memory)?;
        self.memory.compare_exchange_pair(mapping.absolute, old, new).map_err(Refusal::Host)
    }
}

/// Translates an access of a guest through both sides, and writes nothing. AT is no such access: see [`at`].
///
/// # Errors
///
/// Only the memory's own.
pub fn walk<M: TableMemory<Absolute>>(
    stage1: &Params,
    host: &HostTables,
    va: Va,
    access: Access,
    memory: &M,
) -> Result<Combined, M::Error> {
    let first = vmsa::walk::<Ipa, _>(stage1, va, access, &Behind { host, memory });
    both(first, stage1, host, va, access, memory)
}

/// Translates an access of a guest through both sides, and writes what hardware writes to the guest's tables: access
/// flags and dirty state. To the host's tables such a write is a store.
///
/// # Errors
///
/// Only the memory's own.
pub fn walk_updating<M: TableUpdate<Absolute>>(
    stage1: &Params,
    host: &HostTables,
    va: Va,
    access: Access,
    memory: &M,
) -> Result<Combined, M::Error> {
    let first = vmsa::walk_updating::<Ipa, _, _>(stage1, va, access, &Behind { host, memory }, &mut ());
    both(first, stage1, host, va, access, memory)
}

/// Asks the host for what stage 1 leads to.
fn both<M: TableMemory<Absolute>>(
    first: Result<vmsa::Translation<Ipa>, Refusal<M::Error>>,
    stage1: &Params,
    host: &HostTables,
    va: Va,
    access: Access,
    memory: &M,
) -> Result<Combined, M::Error> {
    match first {
        Ok(vmsa::Translation::Fault(fault)) => Ok(Combined::Guest(fault)),
        Ok(vmsa::Translation::Mapped(mapping)) => {
            match host.translate(mapping.output, dat_access(access.kind), memory) {
                Ok(found) => Ok(Combined::Mapped(meet(mapping, found, host))),
                Err(refusal) => refused(refusal, va, access, None).map(Combined::Host),
            }
        }
        Err(refusal) => {
            let level = refusal_level(&refusal, stage1, host, va, access, memory);
            refused(refusal, va, access, Some(level)).map(Combined::Host)
        }
    }
}

/// Makes the report of a refusal; `level` is that of the descriptor it is about.
fn refused<E>(refusal: Refusal<E>, va: Va, access: Access, level: Option<Level>) -> Result<HostAccess, E> {
    match refusal {
        Refusal::Host(error) => Err(error),
        Refusal::Fault { ipa, pic, teid, past_limit } => {
            let esr = syndrome(access, pic, level.is_some());
            Ok(HostAccess { esr, pic, teid, far: va, gltl: level, ipa, past_limit })
        }
    }
}

/// Returns the level of the descriptor that was refused: walks once more, to its address and no further, and
/// listens. Where the tables changed meanwhile it is that of the last descriptor.
#[cold]
fn refusal_level<M: TableMemory<Absolute>>(
    refusal: &Refusal<M::Error>,
    stage1: &Params,
    host: &HostTables,
    va: Va,
    access: Access,
    memory: &M,
) -> Level {
    let mut last = LastRead(stage1.start_level(va));
    if let Refusal::Fault { ipa, .. } = refusal {
        let tables = Until { tables: Behind { host, memory }, end: *ipa };
        // The answer does not matter: the recorder has what was asked.
        let _ = vmsa::walk_recorded::<Ipa, _, _>(stage1, va, access, &tables, &mut last);
    }
    last.0
}

/// Tables up to an address.
struct Until<'a, M> {
    tables: Behind<'a, M>,
    end: Ipa,
}

impl<M: TableMemory<Absolute>> TableMemory<Ipa> for Until<'_, M> {
    type Error = ();

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, ()> {
        if at == self.end { Err(()) } else { self.tables.load(at).map_err(|_| ()) }
    }
}

/// Keeps the level of the last descriptor that was asked for.
struct LastRead(Level);

impl Recorder for LastRead {
    fn record(&mut self, step: Step) {
        if let Step::Reading { level, .. } = step {
            self.0 = level;
        }
    }
}

/// What an AT instruction of a guest ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CombinedAt {
    /// `PAR_EL1` takes this value, of 128 bits where bit 64 is set (FEAT_D128).
    Par(u128),
    /// The guest's own abort: an external abort on the walk.
    Guest(vmsa::Fault, Access),
    /// The host's tables do not let stage 1 have a descriptor: an interception.
    Host(HostAccess),
}

/// Executes an AT of stage 1 of the EL1&0 regime over the host's tables. The output address is not asked for, and
/// whether the instruction may execute is decided before.
///
/// # Errors
///
/// Only the memory's own.
pub fn at<M: TableMemory<Absolute>>(
    operation: AtOperation,
    va: Va,
    context: AtContext,
    (registers, implementation): (&Registers, &Implementation),
    host: &HostTables,
    memory: &M,
) -> Result<CombinedAt, M::Error> {
    let tables = Behind { host, memory };
    let outcome =
        vmsa::at::<Ipa, _, _>(operation, va, context, (registers, implementation), &tables, &mut ());
    match outcome {
        Ok(AtOutcome::Par(par)) => Ok(CombinedAt::Par(par)),
        Ok(AtOutcome::Abort(fault, access)) => Ok(CombinedAt::Guest(fault, access)),
        Err(refusal) => {
            let stage1 = Params::new(Regime::El1And0, registers, implementation);
            let access = operation.access(context.pan);
            let level = refusal_level(&refusal, &stage1, host, va, access, memory);
            refused(refusal, va, access, Some(level)).map(CombinedAt::Host)
        }
    }
}

/// Returns what an access of the guest is to the host's tables. DC invalidates, which changes storage;
/// AT asks as a fetch, should anybody ask.
const fn dat_access(kind: AccessKind) -> dat::Access {
    match kind {
        AccessKind::Write | AccessKind::Atomic | AccessKind::Invalidate | AccessKind::GcsWrite => {
            dat::Access::Store
        }
        AccessKind::Fetch => dat::Access::InstructionFetch,
        AccessKind::Read
        | AccessKind::Clean
        | AccessKind::CleanInvalidate
        | AccessKind::AtRead
        | AccessKind::AtWrite
        | AccessKind::AtAddress
        | AccessKind::GcsRead => dat::Access::Fetch,
    }
}

/// Returns the meet of both answers.
fn meet(stage1: Mapping<Ipa>, host: dat::Mapping, tables: &HostTables) -> Host {
    let mut permissions = stage1.permissions;
    if host.dat_protected {
        permissions = permissions.without(Permissions::PRIV_WRITE.union(Permissions::USER_WRITE));
    }
    if host.instruction_protected && tables.features.iep {
        permissions = permissions.without(Permissions::PRIV_EXECUTE.union(Permissions::USER_EXECUTE));
    }
    let frame = match host.leaf.frame_size() {
        s390_arch::addr::FrameSize::Page => 12,
        s390_arch::addr::FrameSize::Segment => 20,
        s390_arch::addr::FrameSize::Region => 31,
    };
    let size_log2 = if stage1.level.is_none() { frame } else { stage1.size_log2.min(frame) };
    let size_log2 = size_log2.min(tables.reach(stage1.output));
    Host { absolute: host.absolute, stage1, host, permissions, size_log2 }
}

/// Returns `esr_elz`.
///
/// CHOICE: the host has no Arm levels: level 0, Permission for a protection exception and Translation for
/// all others (INFERRED; the driver goes by `pic`).
fn syndrome(access: Access, pic: ProgramCode, s1ptw: bool) -> EsrEl {
    let status = if pic == ProgramCode::PROTECTION {
        FaultStatus::Permission(Level::L0)
    } else {
        FaultStatus::Translation(Level::L0)
    };
    let fault = vmsa::Fault {
        status,
        stage: Stage::Two,
        s1ptw,
        write: access.is_write(),
        qualifiers: Qualifiers::NONE,
        ipa: None,
        ipa_space: Space::NonSecure,
        granule: None,
    };
    let class = if access.is_fetch() {
        ExceptionClass::INSTRUCTION_ABORT_LOWER
    } else {
        ExceptionClass::DATA_ABORT_LOWER
    };
    EsrEl::of(class, fault.iss(access))
}
