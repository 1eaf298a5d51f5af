//! `combined_walk`: stage 1 of a guest over the tables of a z/Architecture host.
//!
//! For any registers, host tables, origin, limit and access:
//!
//! - the answer is that of the two walks put together by hand ([`Plain`]): where both permit it, the address, the meet of
//!   permissions and sizes; else the side that faulted, the guest's fault as it is, or the host's code, TEID, the
//!   guest-virtual and guest-physical address, and the level of the descriptor that was not had;
//! - the syndrome is that of a stage 2 abort of this access, and decodes to what the rest says;
//! - it ends, the same question has the same answer, a failure of the host is its answer;
//! - every address of what the size claims has the same answer;
//! - a walk that may write agrees, and writes access flag and dirty state of the guest's tables only;
//! - AT agrees with the walk, and asks nothing of the output address.

use crate::bits::{bit, mask};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::machine::{Asked, Machine};
use crate::memory::{Contents, Failed, HOST, Memory, Tables};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::iss::{Par, Syndrome};
use arm_arch::sysreg::HcrEl2;
use arm_arch::{ExceptionClass, ExceptionLevel, FaultStatus, Ipa, Level, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::combine::{Combined, CombinedAt, Host, HostAccess, HostTables, at, walk, walk_updating};
use mmu_xlate::dat::{self, Features};
use mmu_xlate::vmsa::{
    self, Access, AccessKind, AtContext, AtOperation, Mapping, Params, Permissions, Recorder, Regime, Step,
};
use s390_arch::dat::{Asce, Virtual};
use s390_arch::pgm::ProgramCode;
use std::cell::{Cell, RefCell};

/// Loads: seven descriptors of two doublewords, each behind five entries, and the output's five; once more to find out
/// the level of a refusal; once more for each write.
const MOST_LOADS: usize = 3 * (7 * 2 * 6 + 5);

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Registers and features of the guest, of EL1&0.
    pub machine: Machine,
    /// The access.
    pub asked: Asked,
    /// Bit 0: the tables lie where natural ones are found. Bit 1: the origin is a multiple of 1 MiB, else
    /// of a page. Bit 2: there is no
    /// limit. Bits 7:3: features of DAT that are missing.
    pub options: u8,
    /// The load that fails.
    pub fails_at: u8,
    /// The address.
    pub va: u64,
    /// The low bits of another one.
    pub offset: u64,
    /// The host's designation.
    pub asce: u64,
    /// Main-storage origin.
    pub origin: u64,
    /// The last guest-physical address.
    pub last: u64,
    /// Storage.
    pub contents: Contents,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        self.machine.fields(codec);
        self.asked.fields(codec);
        codec.byte(&mut self.options);
        codec.byte(&mut self.fails_at);
        for word in [&mut self.va, &mut self.offset, &mut self.asce, &mut self.origin, &mut self.last] {
            codec.word(word);
        }
        self.contents.fields(codec);
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    input.len() > 200
}

impl Case {
    fn host(&self) -> HostTables {
        let option = |at| bit(self.options.into(), at);
        let level = 3 - (self.asce >> 2 & 3);
        let natural = HOST << 60 | level << 56 | self.asce & 0xffff_ffff;
        HostTables {
            asce: Asce::from_bits(if option(0) { natural } else { self.asce }),
            origin: self.origin & if option(1) { !0xf_ffff } else { !0xfff },
            last: Ipa::new(if option(2) { u64::MAX } else { self.last }),
            features: Features {
                edat1: !option(3),
                edat2: !option(3) && !option(4),
                iep: !option(5),
                fsi: !option(6),
                esop2: !option(7),
            },
        }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let memory = Memory::new(&self.contents, Tables::Both);
        let machine = Machine { regime: 0, ..self.machine.clone() };
        let (registers, implementation) = (machine.registers(), machine.implementation());
        let params = Params::new(Regime::El1And0, &registers, &implementation);
        let access = self.asked.access(Regime::El1And0);
        let (host, va) = (self.host(), Va::new(self.va));
        let plain = Plain { params: &params, host: &host, memory: &memory };
        let want = plain.walk(va, access);
        let view = memory.view();
        let found = answered(walk(&params, &host, va, access, &view));
        assert_eq!(found, want, "by hand");
        let loads = view.log.borrow().len();
        assert!(loads <= MOST_LOADS, "{loads} loads");
        assert_eq!(
            walk(&params, &host, va, access, &memory.view()),
            Ok(found),
            "the same question, another answer"
        );
        let at_load = usize::from(self.fails_at);
        let failing = memory.view().failing(at_load);
        let answer = walk(&params, &host, va, access, &failing);
        // To find out a level it walks once more, and then the host's failure does not matter.
        let again = matches!(found, Combined::Host(HostAccess { gltl: Some(_), .. }));
        assert!(
            answer == Ok(found) || answer.is_err() && at_load < loads || again,
            "{answer:x?} at {at_load}"
        );
        assert!(again || answer.is_err() == (at_load < loads), "the host fails at load {at_load}");
        match &found {
            Combined::Mapped(mapped) => self.mapped(&plain, va, access, mapped),
            Combined::Guest(_) => {}
            Combined::Host(refused) => refusal(refused, va, access, &host),
        }
        updating(&params, &host, va, access, &memory, found);
        self.at(&plain, (&registers, &implementation), va);
    }

    fn mapped(&self, plain: &Plain<'_>, va: Va, access: Access, mapped: &Host) {
        assert!(mapped.stage1.permissions.contains(mapped.permissions));
        let write = Permissions::PRIV_WRITE.union(Permissions::USER_WRITE);
        assert!(!mapped.host.dat_protected || mapped.permissions.without(write) == mapped.permissions);
        let within = mask(mapped.size_log2.into());
        let moved = |address: u64| address & !within | self.offset & within;
        let other = Va::new(moved(va.bits()));
        let found = answered(walk(plain.params, plain.host, other, access, &plain.memory.view()));
        let Combined::Mapped(found) = found else { panic!("{found:x?} beside {mapped:x?}") };
        let distance = other.bits().wrapping_sub(va.bits());
        assert_eq!(
            found.absolute.bits().wrapping_sub(mapped.absolute.bits()),
            distance,
            "{found:x?} beside {mapped:x?}"
        );
        assert_eq!((found.permissions, found.size_log2), (mapped.permissions, mapped.size_log2));
    }

    fn at(&self, plain: &Plain<'_>, machine: (&vmsa::Registers, &vmsa::Implementation), va: Va) {
        let operations = [
            AtOperation::S1E1R,
            AtOperation::S1E1W,
            AtOperation::S1E0R,
            AtOperation::S1E0W,
            AtOperation::S1E1RP,
            AtOperation::S1E1WP,
            AtOperation::S1E1A,
        ];
        let operation = operations[usize::from(self.fails_at >> 5) % operations.len()];
        let context = AtContext { el: ExceptionLevel::El1, pan: bit(self.offset, 13) };
        // With {E2H,TGE} it is about another regime.
        let hcr = HcrEl2::from_bits(machine.0.hcr_el2);
        if hcr.tge() && machine.1.vhe || hcr.dc() {
            return;
        }
        let registers = vmsa::Registers { hcr_el2: hcr.with_vm(false).into_bits(), ..*machine.0 };
        let view = plain.memory.view();
        let outcome = answered(at(operation, va, context, (&registers, machine.1), plain.host, &view));
        let first = plain.first(va, operation.access(context.pan));
        match (outcome, first) {
            (CombinedAt::Par(par), First::Done(vmsa::Translation::Mapped(mapping))) => {
                assert_eq!(par & 1, 0, "{par:x?} for {mapping:x?}");
            }
            (CombinedAt::Par(par), First::Done(vmsa::Translation::Fault(fault))) => {
                assert_eq!(Par::decode(par as u64).status(), Some(fault.status));
            }
            (CombinedAt::Guest(fault, access), First::Done(vmsa::Translation::Fault(first))) => {
                assert_eq!((fault, access), (first, operation.access(context.pan)));
                assert!(fault.status.is_external());
            }
            (CombinedAt::Host(refused), First::Refused(want)) => {
                let access = operation.access(context.pan);
                assert_eq!((refused.ipa, refused.pic, refused.gltl), (want.ipa, want.pic, Some(want.level)));
                assert_eq!(refused.far, va);
                refusal(&refused, va, access, plain.host);
            }
            (outcome, _) => panic!("{outcome:x?} of {operation:?}"),
        }
    }
}

/// Checks what a refusal says by itself.
fn refusal(refused: &HostAccess, va: Va, access: Access, host: &HostTables) {
    assert_eq!((refused.far, refused.past_limit), (va, refused.ipa > host.last));
    let lower = if access.is_fetch() {
        ExceptionClass::INSTRUCTION_ABORT_LOWER
    } else {
        ExceptionClass::DATA_ABORT_LOWER
    };
    assert_eq!(refused.esr.ec(), lower);
    let protection = refused.pic == ProgramCode::PROTECTION;
    let page = refused.ipa.bits().wrapping_add(host.origin) & !0xfff;
    assert_eq!(refused.teid.address(), page, "{refused:x?}");
    let (status, s1ptw) = match Syndrome::decode(refused.esr) {
        Syndrome::DataAbort(_, abort) => (abort.status(), abort.s1ptw()),
        Syndrome::InstructionAbort(_, abort) => (abort.status(), abort.s1ptw()),
        other => panic!("{other:?} for {refused:x?}"),
    };
    assert_eq!(s1ptw, refused.gltl.is_some());
    let want =
        if protection { FaultStatus::Permission(Level::L0) } else { FaultStatus::Translation(Level::L0) };
    assert_eq!(status, Some(want));
}

/// A walk that writes.
fn updating(
    params: &Params,
    host: &HostTables,
    va: Va,
    access: Access,
    memory: &Memory<'_>,
    found: Combined,
) {
    let view = memory.view();
    let updated = answered(walk_updating(params, host, va, access, &view));
    let written = view.written.borrow().clone();
    for (key, new) in &written {
        let changed = memory.word(*key).unwrap_or(0) ^ new;
        // In either byte order.
        assert!(changed & !0x480 == 0 || changed.swap_bytes() & !0x480 == 0, "{changed:#x}");
    }
    if !written.is_empty() {
        let natural = host.asce.into_bits() >> 60 == HOST;
        let tables = written.keys().any(|key| key.1 >> 60 == HOST);
        // A guest that is given its host's tables may write them; else nobody does.
        let read = view.log.borrow().iter().filter(|key| written.contains_key(key)).count();
        assert!(!natural || !tables || read > 0);
        return;
    }
    match (updated, found) {
        (Combined::Mapped(updated), Combined::Mapped(found)) => {
            let stage1 = Mapping { update: None, ..found.stage1 };
            assert_eq!(updated, Host { stage1, ..found }, "nothing was written");
        }
        // The host does not permit a store to the guest's tables, whatever would have come after it.
        (Combined::Host(refused), found) if Combined::Host(refused) != found => {
            assert!(
                refused.pic == ProgramCode::PROTECTION && refused.gltl.is_some(),
                "{refused:x?}, {found:x?}"
            );
        }
        (updated, found) => assert_eq!(updated, found, "nothing was written"),
    }
}

/// Both walks, put together by hand.
struct Plain<'c> {
    params: &'c Params,
    host: &'c HostTables,
    memory: &'c Memory<'c>,
}

/// What the host did not permit.
#[derive(Clone, Copy, Debug)]
struct Refused {
    ipa: Ipa,
    pic: ProgramCode,
    level: Level,
}

/// What stage 1 ends in.
enum First {
    Done(vmsa::Translation<Ipa>),
    Refused(Refused),
}

/// The guest's tables: what the host does not give is kept.
struct Guest<'p> {
    plain: &'p Plain<'p>,
    refused: RefCell<Option<(Ipa, dat::Fault)>>,
    past: Cell<Option<Ipa>>,
}

impl TableMemory<Ipa> for Guest<'_> {
    type Error = Failed;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Failed> {
        if at > self.plain.host.last {
            self.past.set(Some(at));
            return Err(Failed);
        }
        match self.plain.dat(at, dat::Access::Fetch) {
            dat::Translation::Mapped(mapping) => self.plain.memory.view().load(mapping.absolute),
            dat::Translation::Fault(fault) => {
                *self.refused.borrow_mut() = Some((at, fault));
                Err(Failed)
            }
        }
    }
}

/// Hears the levels.
struct Levels(Level);

impl Recorder for Levels {
    fn record(&mut self, step: Step) {
        if let Step::Reading { level, .. } = step {
            self.0 = level;
        }
    }
}

impl Plain<'_> {
    fn dat(&self, ipa: Ipa, access: dat::Access) -> dat::Translation {
        let address = Virtual::from_bits(ipa.bits().wrapping_add(self.host.origin));
        answered(dat::walk_asce(self.host.asce, address, access, self.host.features, &self.memory.view()))
    }

    fn first(&self, va: Va, access: Access) -> First {
        let tables = Guest { plain: self, refused: RefCell::default(), past: Cell::default() };
        let mut levels = Levels(Level::L0);
        match vmsa::walk_recorded(self.params, va, access, &tables, &mut levels) {
            Ok(found) => First::Done(found),
            Err(Failed) => {
                let refused = tables.refused.into_inner().map(|(ipa, fault)| (ipa, fault.pic()));
                let past = tables.past.get().map(|ipa| (ipa, ProgramCode::ADDRESSING));
                let Some((ipa, pic)) = refused.or(past) else { panic!("the host did not fail") };
                First::Refused(Refused { ipa, pic, level: levels.0 })
            }
        }
    }

    fn walk(&self, va: Va, access: Access) -> Combined {
        // Whatever the crate says of how it reports is taken over; what it reports is not.
        let theirs = answered(walk(self.params, self.host, va, access, &self.memory.view()));
        let report = |ipa: Ipa, pic: ProgramCode, gltl: Option<Level>| match theirs {
            Combined::Host(host) => Combined::Host(HostAccess {
                pic,
                far: va,
                gltl,
                ipa,
                past_limit: ipa > self.host.last,
                ..host
            }),
            other => panic!("{other:x?}, where the host has {pic:?} for {ipa}"),
        };
        let mapping = match self.first(va, access) {
            First::Done(vmsa::Translation::Fault(fault)) => return Combined::Guest(fault),
            First::Refused(refused) => return report(refused.ipa, refused.pic, Some(refused.level)),
            First::Done(vmsa::Translation::Mapped(mapping)) => mapping,
        };
        if mapping.output > self.host.last {
            return report(mapping.output, ProgramCode::ADDRESSING, None);
        }
        let kind = match access.kind {
            AccessKind::Write | AccessKind::Atomic | AccessKind::Invalidate | AccessKind::GcsWrite => {
                dat::Access::Store
            }
            AccessKind::Fetch => dat::Access::InstructionFetch,
            _ => dat::Access::Fetch,
        };
        let found = match self.dat(mapping.output, kind) {
            dat::Translation::Fault(fault) => return report(mapping.output, fault.pic(), None),
            dat::Translation::Mapped(found) => found,
        };
        let Combined::Mapped(theirs) = theirs else { panic!("{theirs:x?}, where both permit it") };
        let mut permissions = mapping.permissions;
        if found.dat_protected {
            permissions = permissions.without(Permissions::PRIV_WRITE).without(Permissions::USER_WRITE);
        }
        if found.instruction_protected && self.host.features.iep {
            permissions = permissions.without(Permissions::PRIV_EXECUTE).without(Permissions::USER_EXECUTE);
        }
        Combined::Mapped(Host {
            absolute: found.absolute,
            stage1: mapping,
            host: found,
            permissions,
            ..theirs
        })
    }
}

fn answered<T>(answer: Result<T, Failed>) -> T {
    match answer {
        Ok(found) => found,
        Err(Failed) => panic!("the host did not fail"),
    }
}
