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

use crate::bits::{bit, mask};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::guarded::{self, Refusing};
use crate::machine::{Asked, Machine};
use crate::memory::{Contents, Failed, Key, Memory, Tables, View, key};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::iss::Par;
use arm_arch::{FaultStatus, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, DescriptorKind, Fault, GranuleCheck, GranuleProtection, GranuleRefusal,
    GranuleRegisters, Guarded, HardwareUpdates, Implementation, Located, Mapping, OutputAddress, Permissions,
    Privilege, Qualifiers, Recorder, Regime, Registers, Stage, Step, TableCache, Translation, Translator,
    walk,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

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

    /// Checks the way of a walk against what it read.
    fn steps(&self, listener: &Listener<'_>, found: Translation<Located>) {
        let mut text = String::new();
        // What names the next table, by stage.
        let mut tables: [Option<Table>; 2] = [None; 2];
        let mut reading = [None; 2];
        let mut input = [0; 2];
        let log = listener.view.log.borrow();
        let mut readings = Vec::new();
        for step in &listener.steps {
            text.clear();
            assert!(write!(text, "{step}").is_ok() && !text.is_empty());
            match *step {
                Step::Start { stage, input: address, base, .. } => {
                    input[usize::from(stage == Stage::Two)] = address;
                    tables[usize::from(stage == Stage::Two)] = Some(Table::First(base));
                    self.first_table(stage, base);
                }
                Step::Reading { stage, at, level } => {
                    reading[usize::from(stage == Stage::Two)] = Some((at, level));
                    readings.push((stage, at));
                }
                Step::Descriptor { stage, level, at, index: (high, low), value, kind } => {
                    let own = usize::from(stage == Stage::Two);
                    assert_eq!(reading[own], Some((at, level)), "what is told is what was read");
                    let log2 = if self.is_wide(stage) { 4 } else { 3 };
                    let span = mask(high + 1 - low + log2);
                    let offset = (input[own] >> low & mask(high + 1 - low)) << log2;
                    assert_eq!(at & span, offset, "the place in the table is that of the input");
                    let table = tables[own].take();
                    assert!(table.is_some_and(|table| table.names(at & !span, span)), "{table:x?} {at:#x}");
                    tables[own] = (kind == DescriptorKind::Table).then_some(Table::Next(value));
                }
                _ => {}
            }
        }
        // What memory was asked for is what was told: of stage 2 as it is, of stage 1 where stage 2 put it.
        for key in log.iter() {
            let told = readings.iter().any(|(stage, at)| {
                let place = key.1 & !8 == *at & !8;
                let nested = *stage == Stage::One && self.translator.stage2.is_some();
                place || nested && (key.1 ^ at) & mask(12) & !8 == 0
            });
            assert!(told, "{key:x?} is read, {readings:x?} are told");
        }
        let last = listener.steps.last();
        match found {
            Translation::Fault(fault) => assert_eq!(last, Some(&Step::Fault(fault))),
            Translation::Mapped(mapping) => {
                let output = mapping.output.number();
                assert!(matches!(last, Some(Step::Output { output: told, .. }) if *told == output));
            }
        }
    }

    /// Whether a descriptor has 128 bits.
    fn is_wide(&self, stage: Stage) -> bool {
        match (stage, &self.translator.stage2) {
            (Stage::Two, Some(stage2)) => stage2.is_wide(),
            (Stage::One | Stage::Two, _) => self.translator.stage1.is_wide(),
        }
    }

    /// Checks that the first table is one that a register names.
    fn first_table(&self, stage: Stage, base: u64) {
        let own = match self.regime {
            Regime::El1And0 => &self.registers.el1,
            Regime::El2And0 | Regime::El2 => &self.registers.el2,
            Regime::El3 => &self.registers.el3,
        };
        let named = match stage {
            Stage::One => [own.ttbr0, own.ttbr1],
            Stage::Two => [self.registers.vttbr_el2, self.registers.vsttbr_el2.into()],
        };
        // BADDR[47:..], with [51:48] in bits 5:2, or [55:48] in bits 87:80.
        let named = named.iter().any(|ttbr| {
            let low = *ttbr as u64 & mask(48) & !1;
            let tops = [0, (*ttbr as u64 >> 2 & 0xf) << 48, ((*ttbr >> 80) as u64 & 0xff) << 48];
            tops.iter().any(|top| {
                let address = low | top;
                base & !address == 0 && {
                    // It is cut off below, not in between.
                    let dropped = address ^ base;
                    dropped == 0
                        || base.trailing_zeros() > 63 - dropped.leading_zeros()
                        || base & mask(48) == 0
                }
            })
        });
        assert!(named, "{stage:?}: {base:#x} is no table of a register");
    }

    fn again(&self, view: &View<'_>, steps: &[Step], found: Translation<Located>) {
        let second = self.memory.view();
        let mut listener = Listener::new(&second);
        let again = self.translator.translate(self.va, self.access, &second, &mut listener);
        assert_eq!(again, Ok(found), "the same question, another answer");
        assert!(listener.steps == steps, "the same question, other steps");
        assert_eq!(*second.log.borrow(), *view.log.borrow());
    }

    /// The short way, and caches.
    fn other_ways(&self, view: &View<'_>, found: Translation<Located>) {
        let full: BTreeSet<Key> = view.log.borrow().iter().copied().collect();
        let quick = self.memory.view();
        let answer = self.translator.translate(self.va, self.access, &quick, &mut ());
        assert_eq!(answer, Ok(found), "the short way");
        let within = quick.log.borrow().iter().all(|key| full.contains(key));
        assert!(within, "the short way reads {:x?}, the full one {full:x?}", quick.log.borrow());
        let mut caches = [TableCache::<4>::new(), TableCache::new()];
        for round in 0..2 {
            for (cache, listens) in caches.iter_mut().zip([false, true]) {
                let cached = self.memory.view();
                let (va, access) = (self.va, self.access);
                let answer = if listens {
                    let mut listener = Listener::new(&cached);
                    self.translator.translate_cached(va, access, &cached, &mut listener, cache)
                } else {
                    self.translator.translate_cached(va, access, &cached, &mut (), cache)
                };
                assert_eq!(answer, Ok(found), "with a cache, round {round}, listens {listens}");
                assert!(
                    cached.log.borrow().iter().all(|key| full.contains(key)),
                    "with a cache, round {round}"
                );
            }
            // What the one way left in the cache serves the other.
            caches.swap(0, 1);
        }
        if self.translator.stage2.is_none() {
            let alone = walk(&self.translator.stage1, self.va, self.access, &self.memory.view());
            assert_eq!(alone, Ok(found), "stage 1 by itself");
        }
    }

    /// All descriptors stored the other way round, and both EE flipped.
    fn other_order(&self, found: Translation<Located>) {
        const EE: u64 = 1 << 25;
        let mut registers = self.registers;
        let own = match self.regime {
            Regime::El1And0 => &mut registers.el1,
            Regime::El2And0 | Regime::El2 => &mut registers.el2,
            Regime::El3 => &mut registers.el3,
        };
        let was = bit(own.sctlr, 25);
        own.sctlr ^= EE;
        if self.regime == Regime::El1And0 {
            // Both stages the same way, so that one memory serves.
            let both = self.registers.el2.sctlr & EE == self.registers.el1.sctlr & EE;
            if !both && self.translator.stage2.is_some() {
                return;
            }
            registers.el2.sctlr ^= EE;
        }
        let translator = Translator::new(self.regime, &registers, &self.implementation);
        let swapped = self.memory.view().swapped();
        let other = answered(translator.translate(self.va, self.access, &swapped, &mut ()));
        assert_eq!(settled(other), settled(found), "in the other byte order");
        let update = |translation| match translation {
            Translation::Mapped(Mapping { update: Some(update), .. }) => {
                Some((update.old, update.new, update.big_endian))
            }
            _ => None,
        };
        let (told, other) = (update(found), update(other));
        assert_eq!(told.map(|(old, new, _)| (old, new, !was)), other, "updates in the other byte order");
    }

    /// A walk that writes.
    fn updates(&self, listener: &Listener<'_>, found: Translation<Located>, races: u32) {
        let probed = settled(found);
        let view = self.memory.view();
        let updating = |view: &View<'_>| {
            answered(self.translator.translate_updating(self.va, self.access, view, &mut ()))
        };
        let first = updating(&view);
        let written = view.written.borrow().clone();
        let roles = listener.roles();
        for (key, new) in &written {
            let changed = self.changed(*key, *new);
            // A descriptor of both stages, whose byte orders differ, is written as each of them.
            let shared = roles.get(key).is_some_and(|roles| roles.len() > 1);
            assert!(shared || changed & !0x480 == 0, "only access flag and dirty state: {changed:#x}");
        }
        if written.is_empty() {
            assert_eq!(first, probed, "nothing was written");
            return;
        }
        self.may_write(&written);
        // A table that contains itself: a write changes what the walk goes by.
        if roles.values().any(|roles| roles.len() > 1) {
            return;
        }
        // A stage-2 leaf may hold both a table and what it leads to: the one is written, the other is dirty then.
        let (now_clean, was_clean) = (is_clean(first), is_clean(probed));
        assert!(was_clean || !now_clean, "writing made it clean; {written:x?}");
        assert_eq!(not_clean(first), not_clean(probed), "with the right to write; {written:x?}");
        let mut told: BTreeMap<u64, u64> = BTreeMap::new();
        for step in &listener.steps {
            if let Step::Update(update) = step {
                *told.entry(update.at).or_default() |= update.old ^ update.new;
            }
        }
        let made: BTreeMap<u64, u64> = written
            .iter()
            .map(|(key, new)| (key.1, self.changed(*key, *new)))
            .filter(|made| made.1 != 0)
            .collect();
        // Big-endian, the low half is the second.
        let place = |at: &u64| at & !8;
        let same = told.iter().map(|(at, changed)| (place(at), changed)).collect::<BTreeMap<_, _>>()
            == made.iter().map(|(at, changed)| (place(at), changed)).collect();
        assert!(same, "told {told:x?}, made {made:x?}");
        assert_eq!(updating(&view), first, "a second walk");
        assert_eq!(*view.written.borrow(), written, "a second walk writes");
        let racing = self.memory.view();
        racing.races.set(races);
        assert_eq!(updating(&racing), first, "after {races} lost races");
        assert_eq!(*racing.written.borrow(), written, "after {races} lost races");
        let cached = self.memory.view();
        let mut cache = TableCache::<8>::new();
        for round in 0..2 {
            let answer =
                self.translator.translate_updating_cached(self.va, self.access, &cached, &mut (), &mut cache);
            assert_eq!(answer, Ok(first), "writing with a cache, round {round}");
        }
        assert_eq!(*cached.written.borrow(), written, "writing with a cache");
    }

    /// Returns the bits of a descriptor that a write changed, whichever way it is stored.
    fn changed(&self, key: Key, new: u64) -> u64 {
        let changed = self.memory.word(key).unwrap_or(0) ^ new;
        if changed & !0x480 == 0 { changed } else { changed.swap_bytes() }
    }

    /// Checks that registers let hardware write.
    fn may_write(&self, written: &BTreeMap<Key, u64>) {
        let own = match self.regime {
            Regime::El1And0 => self.registers.el1.tcr >> 39 & 3,
            Regime::El2And0 => self.registers.el2.tcr >> 39 & 3,
            Regime::El2 => self.registers.el2.tcr >> 21 & 3,
            Regime::El3 => self.registers.el3.tcr >> 21 & 3,
        };
        let second = if self.translator.stage2.is_some() { self.registers.vtcr_el2 >> 21 & 3 } else { 0 };
        let (ha, hd) = match self.implementation.hafdbs {
            HardwareUpdates::None => (false, false),
            HardwareUpdates::AccessFlag => (true, false),
            HardwareUpdates::DirtyState | HardwareUpdates::TableAccessFlag => (true, true),
        };
        let managed = |control: u64| (ha && control & 1 != 0, hd && control & 3 == 3);
        let (flag, dirty) = (managed(own).0 || managed(second).0, managed(own).1 || managed(second).1);
        for (key, new) in written {
            let changed = self.changed(*key, *new);
            assert!(changed & 0x400 == 0 || flag, "an access flag is set, and HA is 0");
            assert!(changed & 0x80 == 0 || dirty, "dirty state is set, and HD is 0");
        }
        assert!(!self.access.is_address_translation(), "AT writes");
    }

    /// The host cannot do one of the loads.
    fn failure(&self, view: &View<'_>, at: usize) {
        let failing = self.memory.view().failing(at);
        let answer: Answer =
            self.translator.translate(self.va, self.access, &failing, &mut Listener::new(&failing));
        assert_eq!(answer.is_err(), at < view.log.borrow().len(), "the host fails at load {at}");
        let failing = self.memory.view().failing(at);
        let answer: Answer = self.translator.translate(self.va, self.access, &failing, &mut ());
        assert!(answer.is_ok() || failing.log.borrow().len() == at, "the short way goes on after a failure");
    }

    /// Granule protection refuses one of the questions.
    fn refused(&self, view: &View<'_>, found: Translation<Located>, number: usize) {
        let open = self.memory.view();
        let memory = Refusing::new(&open, usize::MAX);
        let ask = |memory: &Refusing<'_>, listener: &mut Listener<'_>| {
            answered(self.translator.translate(self.va, self.access, memory, listener))
        };
        assert_eq!(ask(&memory, &mut Listener::new(&open)), found, "nothing is refused");
        assert_eq!(*open.log.borrow(), *view.log.borrow());
        let asked = memory.asked.borrow().clone();
        let reaches = !self.access.is_address_translation();
        if let (Translation::Mapped(mapping), true) = (found, reaches) {
            assert_eq!(asked.last().map(|(at, _)| *at), Some(mapping.output), "the output is asked for");
        }
        let Some(number) = number.checked_rem(asked.len()) else { return };
        let Some(&(at, loads)) = asked.get(number) else { return };
        let shut = self.memory.view();
        let memory = Refusing::new(&shut, number);
        let mut listener = Listener::new(&shut);
        let Translation::Fault(fault) = ask(&memory, &mut listener) else { panic!("{at:?} is refused") };
        assert_eq!(shut.log.borrow().len(), loads, "nothing is read after a refusal");
        assert_eq!(fault.granule, Some(GranuleRefusal { fault: guarded::FAULT, at }));
        let is_output = reaches && matches!(found, Translation::Mapped(_)) && number + 1 == asked.len();
        if is_output {
            let plain = Fault::stage_1(FaultStatus::GranuleProtection, fault.write);
            assert_eq!(fault, Fault { granule: fault.granule, ..plain });
        } else {
            let reading = listener.steps.iter().rev().find_map(|step| match step {
                Step::Reading { stage, level, .. } => Some((*stage, *level)),
                _ => None,
            });
            // What stage 2 has translated is read by stage 1.
            let translated = listener.steps.iter().rev().find_map(|step| match step {
                Step::Reading { .. } => Some(false),
                Step::Output { stage: Stage::Two, .. } => Some(true),
                _ => None,
            });
            let FaultStatus::GranuleProtectionOnWalk(level) = fault.status else { panic!("{fault:?}") };
            if translated == Some(false) {
                assert_eq!(reading, Some((fault.stage, level)));
            }
            assert_eq!(fault.ipa.is_some(), fault.stage == Stage::Two);
            assert!(fault.stage == Stage::Two || !fault.s1ptw);
        }
        // The short way asks again from the start where it is refused: it must not get further.
        let quick = self.memory.view();
        let memory = Refusing::new(&quick, number);
        let answer = answered(self.translator.translate(self.va, self.access, &memory, &mut ()));
        let told = match answer {
            Translation::Mapped(_) => None,
            Translation::Fault(fault) => fault.granule,
        };
        assert!(told.is_none_or(|refusal| asked.iter().any(|(at, _)| *at == refusal.at)), "{told:?}");
    }

    /// Tables of granule protection, in the same memory.
    fn protected(&self, found: Translation<Located>, seed: u64) {
        // PPS, PGS, L0GPTSZ from the seed; GPC 1, SH Inner Shareable, cacheable.
        let gpccr_el3 = 1 << 16 | 0x3500 | seed >> 17 & 7 | (seed >> 20 & 3) << 14 | (seed >> 22 & 0xf) << 20;
        let registers = GranuleRegisters { gpccr_el3, gptbr_el3: seed >> 26 };
        let protection = GranuleProtection::new(&registers, &self.implementation);
        let ask = |listens: bool| {
            let view = self.memory.view();
            let guarded = Guarded { memory: &view, protection: &protection };
            let mut listener = Listener::new(&view);
            let answer = if listens {
                self.translator.translate(self.va, self.access, &guarded, &mut listener)
            } else {
                self.translator.translate(self.va, self.access, &guarded, &mut ())
            };
            let loads = view.log.borrow().len();
            // Each load, and the output, by two levels more; the short way may have given up just before its end.
            assert!(loads <= 2 * 3 * (MOST_LOADS + 1), "{loads} loads");
            answered(answer)
        };
        let answer = ask(true);
        assert_eq!(ask(true), answer, "the same question, another answer");
        assert_eq!(ask(false), answer, "the short way");
        match answer {
            Translation::Fault(Fault { granule: Some(refusal), .. }) => {
                let again = protection.check(refusal.at, &self.memory.view());
                assert_eq!(again, Ok(GranuleCheck::Fault(refusal.fault)));
            }
            other => assert_eq!(other, found, "protection refuses, or changes nothing"),
        }
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

    /// What a mapping says is permitted is, and nothing else.
    fn permitted(&self, mapping: &Mapping<Located>) {
        let kind = self.access.kind;
        // Ignored top bytes may differ for fetches, and these go on where others stop at a clear access flag.
        if kind == AccessKind::Fetch || self.access.is_maintenance() {
            return;
        }
        for kind in [AccessKind::Read, AccessKind::Write] {
            if kind == AccessKind::Write && mapping.clean {
                continue;
            }
            let privilege = self.access.privilege;
            let permission = needed(kind, privilege).unwrap_or_default();
            let permitted = mapping.permissions.contains(permission);
            match self.ask(self.va, Access::new(kind, privilege)) {
                Translation::Mapped(other) => {
                    assert!(permitted, "{kind:?} goes through, and {:?}", mapping.permissions);
                    assert_eq!((other.output, other.attributes), (mapping.output, mapping.attributes));
                    assert_eq!(other.permissions, mapping.permissions);
                }
                Translation::Fault(fault) => {
                    assert!(!permitted, "{kind:?} faults, and {:?}: {fault:x?}", mapping.permissions);
                    assert!(matches!(fault.status, FaultStatus::Permission(_)), "{fault:x?}");
                }
            }
        }
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

    /// PAN and WXN.
    fn takes_away(&self) {
        let without = self.ask(self.va, self.access.with_pan(false));
        let with = self.ask(self.va, self.access.with_pan(true));
        match (without, with) {
            (Translation::Mapped(one), Translation::Mapped(other)) => assert_eq!(one, other, "PAN"),
            (Translation::Mapped(mapping), Translation::Fault(fault)) => {
                let permission =
                    matches!(fault.status, FaultStatus::Permission(_)) && fault.stage == Stage::One;
                assert!(permission && self.access.privilege == Privilege::Privileged, "PAN: {fault:?}");
                assert!(mapping.permissions.contains(Permissions::UNDER_PAN), "PAN: {mapping:?}");
            }
            (Translation::Fault(_), Translation::Mapped(_)) => panic!("PAN permits"),
            (Translation::Fault(_), Translation::Fault(_)) => {}
        }
        const WXN: u64 = 1 << 19;
        let mut registers = self.registers;
        for own in [&mut registers.el1, &mut registers.el2, &mut registers.el3] {
            own.sctlr |= WXN;
        }
        let translator = Translator::new(self.regime, &registers, &self.implementation);
        let access = self.access.with_pan(false);
        let other = answered(translator.translate(self.va, access, &self.memory.view(), &mut ()));
        match (without, other) {
            (Translation::Mapped(one), Translation::Mapped(other)) => {
                assert!(one.permissions.contains(other.permissions), "WXN gives {other:?} for {one:?}");
                assert_eq!((one.output, one.attributes), (other.output, other.attributes), "WXN");
            }
            (Translation::Fault(one), Translation::Mapped(other)) => {
                let set = bit(self.registers.el1.sctlr, 19);
                assert!(set && self.regime == Regime::El1And0, "WXN permits {other:?}, without {one:?}");
            }
            (_, Translation::Fault(_)) => {}
        }
    }

    /// Stage 1 by itself, where there are two.
    fn first_stage(&self, found: Translation<Located>) {
        if self.translator.stage2.is_none() {
            return;
        }
        let first =
            answered(self.translator.translate_stage_1(self.va, self.access, &self.memory.view(), &mut ()));
        match (first, found) {
            (Translation::Fault(first), Translation::Fault(both)) => assert_eq!(first, both),
            (Translation::Fault(first), Translation::Mapped(both)) => {
                panic!("{first:?} alone, both {both:?}")
            }
            (Translation::Mapped(first), Translation::Mapped(both)) => {
                assert_eq!(both.ipa.map(arm_arch::Ipa::bits), Some(first.output.number()));
                assert!(first.permissions.contains(both.permissions), "{first:?} alone, both {both:?}");
                assert!(first.level.is_none() || both.size_log2 <= first.size_log2);
            }
            (Translation::Mapped(first), Translation::Fault(both)) => {
                assert!(both.stage == Stage::Two && !both.s1ptw, "{both:?} of both, alone {first:?}");
                assert_eq!(both.ipa.map(arm_arch::Ipa::bits), Some(first.output.number()));
            }
        }
    }

    /// Controls of features that are not there: all at once, and one by one where that differs.
    fn missing(&self, found: Translation<Located>) {
        let of = &self.implementation;
        let two = self.regime.has_unprivileged();
        let tcr = |there: bool, both: u64, one: u64| {
            Control::Tcr(if there {
                0
            } else if two {
                both
            } else {
                one
            })
        };
        let gone = |there: bool, mask: u64| if there { 0 } else { mask };
        let controls = [
            tcr(of.hpds, 3 << 41, 1 << 24),
            tcr(of.lpa2, 1 << 59, 1 << 32),
            tcr(of.e0pd, 3 << 55, 0),
            tcr(of.nfd, 3 << 53, 0),
            tcr(of.tbid, 3 << 51, 1 << 29),
            tcr(of.mtx || of.mte_canonical_tags, 3 << 60, 1 << 33),
            tcr(of.hafdbs != HardwareUpdates::None, 3 << 39, 3 << 21),
            Control::Tcr2(gone(of.tcr2, u64::MAX)),
            Control::Sctlr(gone(of.pan3, 1 << 57)),
            Control::Vtcr(gone(of.lpa2, 1 << 32)),
            Control::Hcr(gone(of.fwb, 1 << 46)),
        ];
        let ask = |controls: &[Control]| {
            let mut registers = self.registers;
            controls.iter().for_each(|control| control.flip(&mut registers));
            let translator = Translator::new(self.regime, &registers, of);
            answered(translator.translate(self.va, self.access, &self.memory.view(), &mut ()))
        };
        if ask(&controls) != found {
            for control in controls {
                assert_eq!(ask(&[control]), found, "{control:x?} is of a feature that is not there");
            }
        }
    }
}

/// Bits of a register, at each level.
#[derive(Clone, Copy, Debug)]
enum Control {
    Tcr(u64),
    Tcr2(u64),
    Sctlr(u64),
    Vtcr(u64),
    Hcr(u64),
}

impl Control {
    fn flip(self, registers: &mut Registers) {
        let Registers { el1, el2, el3, .. } = registers;
        for own in [el1, el2, el3] {
            match self {
                Self::Tcr(mask) => own.tcr ^= mask,
                Self::Tcr2(mask) => own.tcr2 ^= mask,
                Self::Sctlr(mask) => own.sctlr ^= mask,
                Self::Vtcr(_) | Self::Hcr(_) => {}
            }
        }
        match self {
            Self::Vtcr(mask) => registers.vtcr_el2 ^= mask,
            Self::Hcr(mask) => registers.hcr_el2 ^= mask,
            Self::Tcr(_) | Self::Tcr2(_) | Self::Sctlr(_) => {}
        }
    }
}

/// What names a table.
#[derive(Clone, Copy, Debug)]
enum Table {
    /// It is the first.
    First(u64),
    /// The descriptor above.
    Next(u128),
}

impl Table {
    /// Whether it names the table at an address, `span` long.
    fn names(self, at: u64, span: u64) -> bool {
        match self {
            Self::First(base) => base == at,
            Self::Next(value) => {
                let low = value as u64;
                // 48 bits; bits 15:12 on top; bits 9:8 on top; 56 bits.
                let forms = [
                    low & mask(48),
                    low & mask(48) | (low >> 12 & 0xf) << 48,
                    low & mask(50) | (low >> 8 & 3) << 50,
                    low & mask(56),
                ];
                forms.iter().any(|form| form & !span == at)
            }
        }
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

fn is_clean(translation: Translation<Located>) -> bool {
    matches!(translation, Translation::Mapped(Mapping { clean: true, .. }))
}

fn not_clean(translation: Translation<Located>) -> Translation<Located> {
    match translation {
        Translation::Mapped(mapping) => Translation::Mapped(Mapping { clean: false, ..mapping }),
        fault @ Translation::Fault(_) => fault,
    }
}

/// Returns the answer without what is left to write.
fn settled(translation: Translation<Located>) -> Translation<Located> {
    match translation {
        Translation::Mapped(mapping) => Translation::Mapped(Mapping { update: None, ..mapping }),
        fault @ Translation::Fault(_) => fault,
    }
}
