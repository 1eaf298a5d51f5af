//! `vmsa_walk`: the Arm walker, both stages, every regime.
//!
//! For any registers, features, tables and access:
//!
//! - a walk ends, within [`MOST_LOADS`];
//! - it reads descriptors only: aligned, in tables that a register or the descriptor before names, at the place that
//!   the input address says; and the recorder tells what is read;
//! - the same question has the same answer and the same steps;
//! - the short way, the walk that is listened to, and the walks with a cold and a warm cache agree, and the short way
//!   reads nothing else;
//! - tables stored in the other byte order, with EE the other way round, mean the same;
//! - a walk that may write agrees with one that may not, writes what the other says it would, only access flag and
//!   dirty state, only where registers let hardware manage them, once, and also after lost races;
//! - a failure of the host is its answer, whichever load it is;
//! - every address of a leaf has the same answer;
//! - what a mapping permits is permitted and nothing else; PAN, WXN and stage 2 only take away;
//! - a fault is one that walks may have, and its registers decode to it;
//! - granule protection is asked before each load, and last for the output; what it refuses is a fault of the stage and
//!   level that was about to read, and nothing is read after it; tables of its own let a walk through or end it;
//! - controls of features that are not there change nothing.

mod granules;
mod rights;
mod steps;
mod ways;

use crate::bits::{bit, mask};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::machine::{Asked, Machine};
use crate::memory::{Contents, Failed, Key, Memory, Tables, View, key};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::iss::Par;
use arm_arch::{FaultStatus, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, Fault, Implementation, Located, Mapping, OutputAddress, Permissions, Privilege,
    Qualifiers, Recorder, Regime, Registers, Stage, Step, Translation, Translator,
};
use std::collections::{BTreeMap, BTreeSet};

/// Loads of one walk: seven levels of stage 1, each behind seven of stage 2, the output's own seven, two loads each, and
/// the writes of access flags, which ask stage 2 once more.
pub const MOST_LOADS: usize = 2 * (7 * (7 + 1) + 7 + 7 * 7);

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Registers and features.
    pub machine: Machine,
    /// The access.
    pub asked: Asked,
    /// Bit 0: the address is made one of its range. Bits 3:1: races that are lost. Bits 7:4: the load that fails.
    pub options: u8,
    /// The address.
    pub va: u64,
    /// The low bits of another one.
    pub offset: u64,
    /// Memory.
    pub contents: Contents,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        self.machine.fields(codec);
        self.asked.fields(codec);
        codec.byte(&mut self.options);
        codec.word(&mut self.va);
        codec.word(&mut self.offset);
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

/// Listens to a walk.
struct Listener<'v> {
    view: &'v View<'v>,
    steps: Vec<Step>,
    /// Whose loads come from here on: the number of loads so far, and stage and level.
    marks: Vec<(usize, Role)>,
    /// Of the last descriptor of stage 1.
    outer: Option<Role>,
}

/// Stage and level of a descriptor.
type Role = (bool, i32);

impl<'v> Listener<'v> {
    fn new(view: &'v View<'v>) -> Self {
        Self { view, steps: Vec::new(), marks: Vec::new(), outer: None }
    }

    /// Returns the roles in which each address was read.
    fn roles(&self) -> BTreeMap<Key, BTreeSet<Role>> {
        let mut roles: BTreeMap<Key, BTreeSet<Role>> = BTreeMap::new();
        for (place, key) in self.view.log.borrow().iter().enumerate() {
            let mark = self.marks.iter().rev().find(|(from, _)| *from <= place);
            roles.entry(*key).or_default().extend(mark.map(|(_, role)| *role));
        }
        roles
    }
}

impl Recorder for Listener<'_> {
    fn record(&mut self, step: Step) {
        let loads = self.view.log.borrow().len();
        match step {
            Step::Reading { stage, level, .. } => {
                let role = (stage == Stage::Two, i32::from(level.number()));
                self.marks.push((loads, role));
                if stage == Stage::One {
                    self.outer = Some(role);
                }
            }
            Step::Output { stage: Stage::Two, .. } => self.marks.extend(self.outer.map(|role| (loads, role))),
            _ => {}
        }
        self.steps.push(step);
    }
}

/// An answer of a walk, or the host's failure.
type Answer = Result<Translation<Located>, Failed>;

/// What a case is about, ready to be asked.
struct Question<'c> {
    registers: Registers,
    implementation: Implementation,
    regime: Regime,
    translator: Translator,
    va: Va,
    access: Access,
    memory: &'c Memory<'c>,
}

impl Case {
    /// Returns the address that is asked.
    fn va(&self) -> u64 {
        if !bit(self.options.into(), 0) {
            return self.va;
        }
        let two = self.machine.regime().has_unprivileged();
        let high = two && bit(self.va, 55);
        let size = 64 - (self.machine.own.tcr >> if high { 16 } else { 0 } & 63) as u32;
        if high { self.va | !mask(size) } else { self.va & mask(size) }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let memory = Memory::new(&self.contents, Tables::Arm);
        let (regime, registers, implementation) =
            (self.machine.regime(), self.machine.registers(), self.machine.implementation());
        let question = Question {
            translator: Translator::new(regime, &registers, &implementation),
            va: Va::new(self.va()),
            access: self.asked.access(regime),
            registers,
            implementation,
            regime,
            memory: &memory,
        };
        let view = memory.view();
        let mut listener = Listener::new(&view);
        let found = question.translator.translate(question.va, question.access, &view, &mut listener);
        let Ok(found) = found else { panic!("the host did not fail") };
        let loads = view.log.borrow().len();
        assert!(loads <= MOST_LOADS, "{loads} loads");
        question.steps(&listener, found);
        question.again(&view, &listener.steps, found);
        question.other_ways(&view, found);
        question.other_order(found);
        question.updates(&listener, found, u32::from(self.options >> 1 & 7));
        question.failure(&view, usize::from(self.options >> 4));
        question.refused(&view, found, (self.offset >> 12 & 0x1f) as usize);
        question.protected(found, self.offset);
        match found {
            Translation::Mapped(mapping) => {
                question.mapping(&mapping);
                question.neighbour(&view, &mapping, self.offset);
                question.permitted(&mapping);
            }
            Translation::Fault(fault) => question.fault(&fault, &listener.steps),
        }
        question.takes_away();
        question.first_stage(found);
        question.missing(found);
    }
}

impl Question<'_> {
    fn ask(&self, va: Va, access: Access) -> Translation<Located> {
        answered(self.translator.translate(va, access, &self.memory.view(), &mut ()))
    }

    fn mapping(&self, mapping: &Mapping<Located>) {
        let output = mapping.output.number();
        assert_eq!(
            output & !mask(self.implementation.pa_bits.into()),
            0,
            "{output:#x} is beyond the machine"
        );
        let within = mask(mapping.size_log2.into());
        assert!((12..56).contains(&mapping.size_log2), "{mapping:?}");
        assert_eq!((output ^ self.va.bits()) & within, 0, "{mapping:?}");
        assert_eq!(mapping.output.space, mapping.space);
        assert_eq!(mapping.ipa.is_some(), self.translator.stage2.is_some());
        if let Some(needed) = needed(self.access.kind, self.access.privilege) {
            let held = mapping
                .permissions
                .with_pan(self.access.pan && self.access.privilege == Privilege::Privileged);
            // PAN does not count under {NV,NV1}, and a GCS is not data.
            let held = if held.contains(needed) { held } else { mapping.permissions };
            assert!(held.contains(needed), "{:?} by {:?}", self.access, mapping.permissions);
        }
        if let Some(update) = mapping.update {
            assert!(update.old != update.new && (update.old ^ update.new) & !0x480 == 0, "{update:x?}");
            assert!(!self.access.is_address_translation(), "AT writes");
            let there = self.memory.word(key(update.at));
            assert_eq!(
                there.map(|word| if update.big_endian { word.swap_bytes() } else { word }),
                Some(update.old)
            );
        }
        match Par::decode(mapping.par()) {
            Par::Success(par) => {
                assert_eq!(par.into_bits() & mask(52) & !mask(12), output & mask(52) & !mask(12));
                assert_eq!(
                    (par.attr(), par.sh()),
                    (mapping.attributes.byte(), mapping.attributes.shareability().encode())
                );
            }
            Par::Fault(par) => panic!("{par:?} for a mapping"),
        }
        assert_eq!(mapping.par_wide() >> 76 & u128::from(mask(44)), u128::from(output >> 12 & mask(44)));
    }

    /// Another address of the same leaf.
    fn neighbour(&self, view: &View<'_>, mapping: &Mapping<Located>, offset: u64) {
        // A block may be larger than the output size, which is 32 bits at least.
        let within = mask(u32::from(mapping.size_log2).min(32));
        let moved = |address: u64| address & !within | offset & within;
        let other = self.memory.view();
        let mut listener = Listener::new(&other);
        let va = Va::new(moved(self.va.bits()));
        let found = answered(self.translator.translate(va, self.access, &other, &mut listener));
        let Translation::Mapped(found) = found else { panic!("{found:x?} beside {mapping:x?}") };
        let want = Mapping {
            output: Located::located(moved(mapping.output.number()), mapping.space),
            ipa: mapping.ipa.map(|ipa| arm_arch::Ipa::new(moved(ipa.bits()))),
            ..*mapping
        };
        assert_eq!(found, want, "another address of the leaf");
        assert_eq!(*other.log.borrow(), *view.log.borrow());
    }

    fn fault(&self, fault: &Fault, steps: &[Step]) {
        use FaultStatus as F;
        let possible = matches!(
            fault.status,
            F::Translation(_)
                | F::AddressSize(_)
                | F::AccessFlag(_)
                | F::Permission(_)
                | F::ExternalOnWalk(_)
        ) || fault.status == F::Alignment && !self.access.aligned;
        assert!(possible, "{fault:?} from a walk");
        assert_eq!(F::decode(fault.status.encode()), Some(fault.status));
        assert_eq!(fault.ipa.is_some(), fault.stage == Stage::Two);
        assert!(!fault.s1ptw || fault.stage == Stage::Two);
        assert!(fault.stage == Stage::One || self.translator.stage2.is_some());
        assert!(fault.qualifiers == Qualifiers::NONE || matches!(fault.status, F::Permission(_)));
        let reading = steps.iter().rev().find_map(|step| match step {
            Step::Reading { stage: Stage::One, level, at } => Some((*level, *at)),
            _ => None,
        });
        let output = steps.iter().rev().find_map(|step| match step {
            Step::Output { stage: Stage::One, output } => Some(*output),
            _ => None,
        });
        match (fault.stage, fault.s1ptw) {
            (Stage::One, _) => {
                let same = reading.is_none_or(|(level, _)| fault.status.level().is_none_or(|of| of == level));
                assert!(same, "{fault:?} after {reading:?}");
            }
            (Stage::Two, true) => assert_eq!(fault.ipa.map(arm_arch::Ipa::bits), reading.map(|(_, at)| at)),
            (Stage::Two, false) => assert_eq!(fault.ipa.map(arm_arch::Ipa::bits), output),
        }
        if self.access.is_fetch() {
            assert!(!fault.write || fault.stage == Stage::Two, "{fault:?} of a fetch");
            assert_eq!(fault.iss(self.access) & 0x140, 0, "WnR and CM of an instruction abort");
        }
        let Par::Fault(par) = Par::decode(fault.par()) else { panic!("{:#x} for {fault:?}", fault.par()) };
        assert_eq!(Par::decode(fault.par()).status(), Some(fault.status));
        assert_eq!((par.s(), par.ptw()), (fault.stage == Stage::Two, fault.s1ptw));
        assert_eq!(F::decode((fault.iss(self.access) & 0x3f) as u8), Some(fault.status));
        let hpfar = fault.hpfar(fault.ipa_space);
        if let (Some(hpfar), Some(ipa)) = (hpfar, fault.ipa) {
            assert_eq!(hpfar >> 4 << 12, ipa.bits() & mask(56) & !mask(12));
        }
        assert!(hpfar.is_none() || fault.stage == Stage::Two);
    }
}

/// Returns the permission that an access needs, where it is one of those that mappings tell.
fn needed(kind: AccessKind, privilege: Privilege) -> Option<Permissions> {
    let (privileged, user) = match kind {
        AccessKind::Read | AccessKind::AtRead => (Permissions::PRIV_READ, Permissions::USER_READ),
        AccessKind::Write | AccessKind::AtWrite => (Permissions::PRIV_WRITE, Permissions::USER_WRITE),
        AccessKind::Fetch => (Permissions::PRIV_EXECUTE, Permissions::USER_EXECUTE),
        AccessKind::Atomic => (
            Permissions::PRIV_READ.union(Permissions::PRIV_WRITE),
            Permissions::USER_READ.union(Permissions::USER_WRITE),
        ),
        _ => return None,
    };
    Some(match privilege {
        Privilege::Privileged => privileged,
        Privilege::Unprivileged => user,
    })
}

fn answered(answer: Answer) -> Translation<Located> {
    match answer {
        Ok(found) => found,
        Err(Failed) => panic!("the host did not fail"),
    }
}
