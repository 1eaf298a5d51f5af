//! The part of `vmsa_walk` about walks that must agree: again, the short way, with caches, in the other byte order, with the
//! right to write, with a host that fails.

use super::{Answer, Listener, Question, answered};
use crate::bits::bit;
use crate::memory::{Key, View};
use mmu_xlate::vmsa::{
    HardwareUpdates, Located, Mapping, Regime, Step, TableCache, Translation, Translator, walk,
};
use std::collections::{BTreeMap, BTreeSet};

impl Question<'_> {
    pub(super) fn again(&self, view: &View<'_>, steps: &[Step], found: Translation<Located>) {
        let second = self.memory.view();
        let mut listener = Listener::new(&second);
        let again = self.translator.translate(self.va, self.access, &second, &mut listener);
        assert_eq!(again, Ok(found), "the same question, another answer");
        assert!(listener.steps == steps, "the same question, other steps");
        assert_eq!(*second.log.borrow(), *view.log.borrow());
    }

    /// The short way, and caches.
    pub(super) fn other_ways(&self, view: &View<'_>, found: Translation<Located>) {
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
    pub(super) fn other_order(&self, found: Translation<Located>) {
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
    pub(super) fn updates(&self, listener: &Listener<'_>, found: Translation<Located>, races: u32) {
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
    pub(super) fn failure(&self, view: &View<'_>, at: usize) {
        let failing = self.memory.view().failing(at);
        let answer: Answer =
            self.translator.translate(self.va, self.access, &failing, &mut Listener::new(&failing));
        assert_eq!(answer.is_err(), at < view.log.borrow().len(), "the host fails at load {at}");
        let failing = self.memory.view().failing(at);
        let answer: Answer = self.translator.translate(self.va, self.access, &failing, &mut ());
        assert!(answer.is_ok() || failing.log.borrow().len() == at, "the short way goes on after a failure");
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
