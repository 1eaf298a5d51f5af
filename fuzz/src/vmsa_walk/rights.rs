//! The part of `vmsa_walk` about what is permitted, and what takes it away: PAN, WXN, stage 2; controls of features that are
//! not there.

use super::{Question, answered, needed};
use arm_arch::FaultStatus;
use mmu_xlate::vmsa::{
    Access, AccessKind, Fault, HardwareUpdates, Located, Mapping, OutputAddress, Permissions, Privilege,
    Qualifiers, Regime, Registers, Stage, Translation, Translator,
};

impl Question<'_> {
    /// What a mapping says is permitted is, and nothing else.
    pub(super) fn permitted(&self, mapping: &Mapping<Located>) {
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

    /// PAN and WXN.
    pub(super) fn takes_away(&self) {
        let without = self.ask(self.va, self.access.with_pan(false));
        let with = self.ask(self.va, self.access.with_pan(true));
        match (without, with) {
            (Translation::Mapped(one), Translation::Mapped(other)) => assert_eq!(one, other, "PAN"),
            (Translation::Mapped(mapping), Translation::Fault(fault)) => {
                assert!(is_of_permissions(&fault), "PAN: {fault:?}");
                assert!(self.access.privilege == Privilege::Privileged, "PAN: {fault:?}");
                assert!(mapping.permissions.contains(Permissions::UNDER_PAN), "PAN: {mapping:?}");
            }
            (Translation::Fault(_), Translation::Mapped(_)) => panic!("PAN permits"),
            (Translation::Fault(one), Translation::Fault(other)) => {
                // What comes before permissions stays; what comes after may be forestalled.
                assert!(one == other || may_forestall(&one, &other), "PAN: {other:?} for {one:?}");
            }
        }
        const WXN: u64 = 1 << 19;
        let mut registers = self.registers;
        let own = match self.regime {
            Regime::El1And0 => &mut registers.el1,
            Regime::El2And0 | Regime::El2 => &mut registers.el2,
            Regime::El3 => &mut registers.el3,
        };
        own.sctlr |= WXN;
        let translator = Translator::new(self.regime, &registers, &self.implementation);
        let access = self.access.with_pan(false);
        let other = answered(translator.translate(self.va, access, &self.memory.view(), &mut ()));
        match (without, other) {
            (Translation::Mapped(one), Translation::Mapped(other)) => {
                assert!(one.permissions.contains(other.permissions), "WXN gives {other:?} for {one:?}");
                assert_eq!((one.output, one.attributes), (other.output, other.attributes), "WXN");
            }
            (Translation::Fault(one), Translation::Mapped(other)) => {
                panic!("WXN permits {other:?}, without {one:?}")
            }
            (Translation::Mapped(one), Translation::Fault(other)) => {
                // It takes execution away, and of an overlay writing.
                let taken = access.is_fetch() || other.qualifiers == Qualifiers::OVERLAY;
                assert!(is_of_permissions(&other) && taken, "WXN: {other:?} for {one:?}");
            }
            (Translation::Fault(one), Translation::Fault(other)) => {
                assert!(one == other || may_forestall(&one, &other), "WXN: {other:?} for {one:?}");
            }
        }
    }

    /// Stage 1 by itself, where there are two.
    pub(super) fn first_stage(&self, found: Translation<Located>) {
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
    pub(super) fn missing(&self, found: Translation<Located>) {
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

/// Whether a fault is one of what stage 1 permits.
fn is_of_permissions(fault: &Fault) -> bool {
    matches!(fault.status, FaultStatus::Permission(_)) && fault.stage == Stage::One
}

/// Whether `first` may come in place of `later`: a Permission fault of stage 1 before another one, at the same level, or
/// before what stage 2 finds once stage 1 is done.
fn may_forestall(later: &Fault, first: &Fault) -> bool {
    let same_level = is_of_permissions(later) && later.status == first.status;
    is_of_permissions(first) && (same_level || later.stage == Stage::Two)
}
