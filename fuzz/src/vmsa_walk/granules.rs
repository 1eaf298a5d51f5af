//! The part of `vmsa_walk` about granule protection: memory that refuses a question, and memory with tables of its own.

use super::{Listener, MOST_LOADS, Question, answered};
use crate::guarded::{self, Refusing};
use crate::memory::View;
use arm_arch::FaultStatus;
use mmu_xlate::vmsa::{
    Fault, GranuleCheck, GranuleProtection, GranuleRefusal, GranuleRegisters, Guarded, Located, Stage, Step,
    Translation,
};

impl Question<'_> {
    /// Granule protection refuses one of the questions.
    pub(super) fn refused(&self, view: &View<'_>, found: Translation<Located>, number: usize) {
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
        match answer {
            Translation::Fault(Fault { granule: Some(refusal), .. }) => {
                assert!(asked.iter().any(|(at, _)| *at == refusal.at), "{refusal:?}");
            }
            // The question that is refused was the short way's, and the full walk asked others.
            other => assert_eq!(other, found, "the short way is refused"),
        }
    }

    /// Tables of granule protection, in the same memory.
    pub(super) fn protected(&self, found: Translation<Located>, seed: u64) {
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
}
