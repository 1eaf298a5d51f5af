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
use crate::memory::TableMemory;
use crate::vmsa::{self, Access, AccessKind, Mapping, Params, Permissions, Qualifiers, Space, Stage};
use arm_arch::{EsrEl, ExceptionClass, FaultStatus, Ipa, Level, Va};
use core::cell::Cell;
use s390_arch::addr::Absolute;
use s390_arch::dat::{Asce, Virtual};
use s390_arch::pgm::{AddressSpace, FetchStoreIndication, ProgramCode, Teid};

/// The host's tables under a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTables {
    /// The designation of the tables.
    pub asce: Asce,
    /// Main-storage origin: added to guest-physical addresses before DAT.
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
    /// Binary logarithm of the bytes for which the answer holds: the smaller of leaf and frame.
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
    /// Descriptors read so far: the next one lies that many levels below the first.
    loads: Cell<u8>,
}

impl<M: TableMemory<Absolute>> TableMemory<Ipa> for Behind<'_, M> {
    type Error = Refusal<M::Error>;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Self::Error> {
        let mapping = self.host.translate(at, dat::Access::Fetch, self.memory)?;
        let entry = self.memory.load(mapping.absolute).map_err(Refusal::Host)?;
        self.loads.set(self.loads.get().wrapping_add(1));
        Ok(entry)
    }
}

/// Translates an access of a guest through both sides, and writes nothing.
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
    let tables = Behind { host, memory, loads: Cell::new(0) };
    let (refusal, gltl) = match vmsa::walk::<Ipa, _>(stage1, va, access, &tables) {
        Ok(vmsa::Translation::Fault(fault)) => return Ok(Combined::Guest(fault)),
        Ok(vmsa::Translation::Mapped(mapping)) => {
            match host.translate(mapping.output, dat_access(access.kind), memory) {
                Ok(found) => return Ok(Combined::Mapped(meet(mapping, found, host))),
                Err(refusal) => (refusal, None),
            }
        }
        Err(refusal) => (refusal, below(stage1.start_level(va), tables.loads.get())),
    };
    match refusal {
        Refusal::Host(error) => Err(error),
        Refusal::Fault { ipa, pic, teid, past_limit } => {
            let esr = syndrome(access, pic, gltl.is_some());
            Ok(Combined::Host(HostAccess { esr, pic, teid, far: va, gltl, ipa, past_limit }))
        }
    }
}

/// Returns the level so many steps below another.
fn below(first: Level, steps: u8) -> Option<Level> {
    Level::ALL.into_iter().filter(|level| *level >= first).nth(steps.into())
}

/// Returns what an access of the guest is to the host's tables. DC invalidates, which changes storage;
/// AT asks stage 1 only, so that its kind does not matter.
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
    };
    let class = if access.is_fetch() {
        ExceptionClass::INSTRUCTION_ABORT_LOWER
    } else {
        ExceptionClass::DATA_ABORT_LOWER
    };
    EsrEl::of(class, fault.iss(access))
}
