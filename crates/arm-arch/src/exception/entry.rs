//! Taking an exception. Arm ARM, AArch64.TakeException.

use super::cause::{Cause, Kind};
use crate::el::{ExceptionLevel, StackPointer};
use crate::esr::EsrEl;
use crate::pstate::{Mode, PState, PStateMask};
use crate::sysreg::{HcrEl2, SctlrEl1};

/// What exception entry reads. Arm ARM, AArch64.TakeException.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryState {
    /// PSTATE before the exception.
    pub pstate: PState,
    /// `VBAR_ELx` of the target.
    pub vbar: u64,
    /// `SCTLR_ELx` of the target: SPAN, DSSBS and SPINTMASK are in the same places in all.
    pub sctlr: SctlrEl1,
    /// `HCR_EL2`; 0 where there is no EL2.
    pub hcr: HcrEl2,
    /// Which bits of PSTATE exist.
    pub mask: PStateMask,
}

/// What exception entry writes. Nothing else changes: neither the event register nor a monitor.
/// Arm ARM, AArch64.TakeException.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entered {
    /// The level that took it: the ELx of the registers below.
    pub target: ExceptionLevel,
    /// The new PC.
    pub pc: u64,
    /// The new PSTATE.
    pub pstate: PState,
    /// For `SPSR_ELx`.
    pub spsr: PState,
    /// For `ELR_ELx`.
    pub elr: u64,
    /// For `ESR_ELx`; `None` leaves it.
    pub esr: Option<EsrEl>,
    /// For `FAR_ELx`; `None` leaves it.
    pub far: Option<u64>,
}

impl Entered {
    /// Returns this entry with PSTATE.EXLOCK set if the exception was taken from the same level, where
    /// `GCSCR_ELx.EXLOCKEN` of that level is `enabled`. FEAT_GCS. Arm ARM, AArch64.TakeException.
    pub fn with_exception_lock(self, enabled: ExceptionLock) -> Self {
        let same = self.spsr.el() == self.target;
        let locked = same && enabled == ExceptionLock::Enabled;
        Self { pstate: self.pstate.with_exlock(locked), ..self }
    }
}

/// `GCSCR_ELx.EXLOCKEN`: while the lock is on, what a handler found in ELR and SPSR cannot be changed unnoticed.
/// FEAT_GCS. Arm ARM, GCSCR_EL1.EXLOCKEN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExceptionLock {
    /// EXLOCKEN is 0, or there are no guarded control stacks.
    Disabled,
    /// EXLOCKEN is 1.
    Enabled,
}

/// Takes an exception to `target`, in AArch64. An exception never lowers the level and never goes to EL0: a target
/// below the current level means the current one. Arm ARM, AArch64.TakeException.
pub fn enter(cause: &Cause, target: ExceptionLevel, state: &EntryState) -> Entered {
    let old = state.mask.apply(state.pstate);
    let target = target.max(old.el()).max(ExceptionLevel::El1);
    let offset = vector_offset(cause.kind, old, target, state.hcr);
    Entered {
        target,
        // VBAR[10:0] is RES0. Arm ARM, VBAR_EL1.
        pc: (state.vbar & !0x7ff).wrapping_add(offset),
        pstate: new_pstate(old, target, state),
        spsr: saved_pstate(old, target, state.hcr),
        elr: cause.preferred_return,
        esr: cause.syndrome,
        far: cause.far,
    }
}

/// Returns the offset of the vector from VBAR. Arm ARM, AArch64.TakeException, vect_offset.
#[must_use]
pub fn vector_offset(kind: Kind, old: PState, target: ExceptionLevel, hcr: HcrEl2) -> u64 {
    let row = if old.el() == target {
        match old.stack_pointer() {
            StackPointer::SpEl0 => 0x000,
            StackPointer::SpElx => 0x200,
        }
    } else if lower_is_aarch32(old, target, hcr) {
        0x600
    } else {
        0x400
    };
    let column = match kind {
        Kind::Sync => 0x000,
        Kind::Irq => 0x080,
        Kind::Fiq => 0x100,
        Kind::SError => 0x180,
    };
    row | column
}

/// Whether the level immediately below the target uses AArch32, which is not always the level left.
fn lower_is_aarch32(old: PState, target: ExceptionLevel, hcr: HcrEl2) -> bool {
    match target {
        ExceptionLevel::El2 if !(hcr.e2h() && hcr.tge()) => !hcr.rw(),
        // CHOICE: EL2 is taken to be AArch64, as AArch32 above EL0 is not modelled.
        ExceptionLevel::El3 => false,
        ExceptionLevel::El0 | ExceptionLevel::El1 | ExceptionLevel::El2 => old.nrw(),
    }
}

/// Returns what SPSR receives. BTYPE is kept for every kind of exception (CHOICE: for some synchronous ones it may
/// be saved as 0). Under nested virtualization EL1 finds itself recorded as EL2.
fn saved_pstate(old: PState, target: ExceptionLevel, hcr: HcrEl2) -> PState {
    let nested = hcr.nv() && (!hcr.nv1() || hcr.nv2());
    if nested && old.el() == ExceptionLevel::El1 && target == ExceptionLevel::El1 {
        old.with_m(old.m() & 0b0011 | 0b1000)
    } else {
        old
    }
}

/// Returns PSTATE after entry. Arm ARM, AArch64.TakeException.
fn new_pstate(old: PState, target: ExceptionLevel, state: &EntryState) -> PState {
    let has = state.mask.present();
    let hosted = target == ExceptionLevel::El2 && state.hcr.e2h() && state.hcr.tge();
    let pan = !state.sctlr.span() && (target == ExceptionLevel::El1 || hosted);
    let new = old
        .with_mode(Mode::handler(target))
        .with_ss(false)
        .with_il(false)
        .with_daif(PState::DAIF)
        .with_uao(false)
        .with_btype(0)
        .with_btype2(false)
        .with_tco(true)
        .with_pan(old.pan() || pan)
        .with_ssbs(state.sctlr.dssbs())
        .with_allint(!state.sctlr.spintmask())
        .with_pm(true)
        .with_ppend(false)
        // EXLOCKEN is a control of guarded control stacks: see `Entered::with_exception_lock`.
        .with_exlock(false)
        .with_pacm(false)
        .with_uinj(false);
    // The lines above set bits regardless of features; what does not exist stays 0.
    PState::from_bits(new.into_bits() & has.into_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EL0: u64 = 0x0;
    const EL1T: u64 = 0x4;
    const EL1H: u64 = 0x5;
    const ALL: PStateMask = PStateMask::ARMV8_0.with(PState::from_bits(0x01c0_3c00));

    fn state(pstate: u64, sctlr: u64, mask: PStateMask) -> EntryState {
        EntryState {
            pstate: PState::from_bits(pstate),
            vbar: 0xffff_0000_0000_0fff,
            sctlr: SctlrEl1::from_bits(sctlr),
            hcr: HcrEl2::new().with_rw(true),
            mask,
        }
    }

    #[test]
    fn the_vector_is_chosen_by_level_stack_and_kind() {
        const CASES: &[(&str, u64, Kind, u64)] = &[
            ("EL1t, synchronous", EL1T, Kind::Sync, 0x000),
            ("EL1t, IRQ", EL1T, Kind::Irq, 0x080),
            ("EL1t, FIQ", EL1T, Kind::Fiq, 0x100),
            ("EL1t, SError", EL1T, Kind::SError, 0x180),
            ("EL1h, synchronous", EL1H, Kind::Sync, 0x200),
            ("EL1h, IRQ", EL1H, Kind::Irq, 0x280),
            ("EL1h, FIQ", EL1H, Kind::Fiq, 0x300),
            ("EL1h, SError", EL1H, Kind::SError, 0x380),
            ("EL0, synchronous", EL0, Kind::Sync, 0x400),
            ("EL0, IRQ", EL0, Kind::Irq, 0x480),
            ("EL0, FIQ", EL0, Kind::Fiq, 0x500),
            ("EL0, SError", EL0, Kind::SError, 0x580),
        ];
        for (name, pstate, kind, want) in CASES {
            let cause = Cause { kind: *kind, ..Cause::irq(0x1000) };
            let taken = enter(&cause, ExceptionLevel::El1, &state(*pstate, 0, PStateMask::ARMV8_0));
            assert_eq!(taken.pc, 0xffff_0000_0000_0800 + want, "{name}");
            assert_eq!(taken.pstate.into_bits(), 0x3c5, "{name}");
            assert_eq!((taken.spsr.into_bits(), taken.elr), (*pstate, 0x1000), "{name}");
        }
        let aarch32 = vector_offset(Kind::Irq, PState::from_bits(0x10), ExceptionLevel::El1, HcrEl2::new());
        assert_eq!(aarch32, 0x680, "EL0 in AArch32");
        let to_el2 = vector_offset(Kind::Sync, PState::new(), ExceptionLevel::El2, HcrEl2::new());
        assert_eq!(to_el2, 0x600, "EL0 in AArch64, but HCR_EL2.RW says that EL1 is AArch32");
    }

    #[test]
    fn the_width_of_the_lower_level_is_that_of_the_one_below_the_target() {
        const RW: u64 = 1 << 31;
        const TGE: u64 = 1 << 27;
        const E2H: u64 = 1 << 34;
        const EL0_32: u64 = 0x10;
        // Target, HCR_EL2, PSTATE, row of the table.
        type Case = (&'static str, ExceptionLevel, u64, u64, u64);
        const CASES: &[Case] = &[
            ("EL1 from AArch64", ExceptionLevel::El1, 0, EL0, 0x400),
            ("EL1 from AArch32", ExceptionLevel::El1, RW, EL0_32, 0x600),
            ("EL2 above EL1 in AArch64, from AArch32", ExceptionLevel::El2, RW, EL0_32, 0x400),
            ("EL2 above EL1 in AArch32", ExceptionLevel::El2, 0, EL0, 0x600),
            ("EL2 with TGE alone", ExceptionLevel::El2, RW | TGE, EL0_32, 0x400),
            ("EL2 with TGE alone, RW 0", ExceptionLevel::El2, TGE, EL0, 0x600),
            ("EL2 with E2H alone", ExceptionLevel::El2, RW | E2H, EL0_32, 0x400),
            ("the host's EL0 in AArch32", ExceptionLevel::El2, RW | E2H | TGE, EL0_32, 0x600),
            ("the host's EL0 in AArch64", ExceptionLevel::El2, E2H | TGE, EL0, 0x400),
            ("EL3 above EL2", ExceptionLevel::El3, 0, EL1H, 0x400),
            ("EL3 from AArch32", ExceptionLevel::El3, 0, EL0_32, 0x400),
            ("EL2 on SP_EL0", ExceptionLevel::El2, 0, 0x8, 0x000),
            ("EL3 on SP_EL3", ExceptionLevel::El3, 0, 0xd, 0x200),
        ];
        for (name, target, hcr, pstate, row) in CASES {
            for (kind, column) in
                [(Kind::Sync, 0), (Kind::Irq, 0x80), (Kind::Fiq, 0x100), (Kind::SError, 0x180)]
            {
                let offset =
                    vector_offset(kind, PState::from_bits(*pstate), *target, HcrEl2::from_bits(*hcr));
                assert_eq!(offset, row + column, "{name}, {kind:?}");
            }
        }
    }

    #[test]
    fn pan_is_set_at_el1_and_at_a_hosts_el2_where_span_is_0() {
        const SPAN: u64 = 1 << 23;
        const HOST: u64 = 1 << 34 | 1 << 27;
        // Target, HCR_EL2, SCTLR of the target, PSTATE, PAN then.
        type Case = (&'static str, ExceptionLevel, u64, u64, u64, bool);
        const CASES: &[Case] = &[
            ("EL1", ExceptionLevel::El1, 0, 0, EL0, true),
            ("EL1, SPAN", ExceptionLevel::El1, 0, SPAN, EL0, false),
            ("EL2", ExceptionLevel::El2, 0, 0, EL0, false),
            ("EL2, E2H", ExceptionLevel::El2, 1 << 34, 0, EL0, false),
            ("EL2, TGE", ExceptionLevel::El2, 1 << 27, 0, EL0, false),
            ("EL2 of a host", ExceptionLevel::El2, HOST, 0, EL0, true),
            ("EL2 of a host, SPAN", ExceptionLevel::El2, HOST, SPAN, EL0, false),
            ("EL2 of a host, within it", ExceptionLevel::El2, HOST, 0, 0x9, true),
            ("EL2, was set", ExceptionLevel::El2, 0, 0, EL0 | 1 << 22, true),
            ("EL3", ExceptionLevel::El3, HOST, 0, EL0, false),
        ];
        for (name, target, hcr, sctlr, pstate, want) in CASES {
            let state = EntryState { hcr: HcrEl2::from_bits(*hcr), ..state(*pstate, *sctlr, ALL) };
            assert_eq!(enter(&Cause::irq(0), *target, &state).pstate.pan(), *want, "{name}");
        }
    }

    #[test]
    fn each_bit_of_pstate_goes_where_the_manual_says() {
        const SPAN: u64 = 1 << 23;
        const DSSBS: u64 = 1 << 44;
        const NZCV: u64 = 0xf000_0000;
        const CASES: &[(&str, u64, u64, u64)] = &[
            ("flags are kept", EL0 | NZCV, SPAN, 0xf000_23c5),
            ("SS is cleared", EL0 | 1 << 21, SPAN, 0x23c5),
            ("IL is cleared", EL0 | 1 << 20, SPAN, 0x23c5),
            ("PAN is set when SPAN is 0", EL0, 0, 0x40_23c5),
            ("PAN is kept when SPAN is 1", EL0 | 1 << 22, SPAN, 0x40_23c5),
            ("UAO is cleared", EL1H | 1 << 23, SPAN, 0x23c5),
            ("DIT is kept", EL1H | 1 << 24, SPAN, 0x100_23c5),
            ("BTYPE is cleared", EL1H | 3 << 10, SPAN, 0x23c5),
            ("SSBS comes from DSSBS, 0", EL1H | 1 << 12, SPAN, 0x23c5),
            ("SSBS comes from DSSBS, 1", EL1H, SPAN | DSSBS, 0x33c5),
            ("ALLINT is cleared by SPINTMASK", EL1H, SPAN | 1 << 62, 0x3c5),
        ];
        for (name, old, sctlr, want) in CASES {
            let taken = enter(&Cause::irq(0), ExceptionLevel::El1, &state(*old, *sctlr, ALL));
            assert_eq!(taken.pstate.into_bits(), *want, "{name}");
            assert_eq!(taken.spsr.into_bits(), *old, "{name}");
        }
        let mte = ALL.with(PState::new().with_tco(true));
        let taken = enter(&Cause::irq(0), ExceptionLevel::El1, &state(EL0, SPAN, mte));
        assert!(taken.pstate.tco(), "TCO is set");
    }

    #[test]
    fn newer_bits_of_pstate_go_where_the_manual_says() {
        const CASES: &[(&str, u64, u64)] = &[
            ("PM becomes 1", 0, 1 << 32),
            ("PM stays 1", 1 << 32, 1 << 32),
            ("PPEND becomes 0", 1 << 33, 1 << 32),
            ("PACM becomes 0", 1 << 35, 1 << 32),
            ("UINJ becomes 0", 1 << 36, 1 << 32),
            ("BTYPE2 becomes 0", 1 << 14, 1 << 32),
        ];
        let mask = PStateMask::ARMV8_0.with(PState::from_bits(0x1b_0000_4000));
        for (name, old, want) in CASES {
            let taken = enter(&Cause::irq(0), ExceptionLevel::El1, &state(EL1H | old, 0, mask));
            assert_eq!(taken.pstate.into_bits(), want | 0x3c5, "{name}");
            assert_eq!(taken.spsr.into_bits(), EL1H | old, "{name}");
        }
    }

    #[test]
    fn bits_of_absent_features_are_neither_set_nor_saved() {
        let taken =
            enter(&Cause::irq(0), ExceptionLevel::El1, &state(EL0 | 0x3c0_3c00, 0, PStateMask::ARMV8_0));
        assert_eq!(taken.pstate.into_bits(), 0x3c5);
        assert_eq!(taken.spsr.into_bits(), 0);
    }

    #[test]
    fn an_exception_never_lowers_the_level() {
        let el2 = EntryState { pstate: PState::from_bits(0x9), ..state(0, 0, PStateMask::ARMV8_0) };
        let taken = enter(&Cause::undefined(0), ExceptionLevel::El1, &el2);
        assert_eq!((taken.target, taken.pstate.mode()), (ExceptionLevel::El2, Some(Mode::El2h)));
        let el0 = enter(&Cause::undefined(0), ExceptionLevel::El0, &state(0, 0, PStateMask::ARMV8_0));
        assert_eq!(el0.target, ExceptionLevel::El1);
    }

    #[test]
    fn nested_virtualization_records_el1_as_el2() {
        const CASES: &[(&str, u64, u64)] = &[
            ("NV = 0", 0, 0x5),
            ("NV = 1", 1 << 42, 0x9),
            ("NV = NV1 = 1, NV2 = 0", 3 << 42, 0x5),
            ("NV = NV1 = NV2 = 1", 3 << 42 | 1 << 45, 0x9),
            ("NV = NV2 = 1", 1 << 42 | 1 << 45, 0x9),
        ];
        for (name, hcr, want) in CASES {
            // The stack pointer is recorded as it is, and so are the other levels.
            for (from, target, spsr) in [
                (EL1H, ExceptionLevel::El1, *want),
                (EL1T, ExceptionLevel::El1, want & !1),
                (EL1H, ExceptionLevel::El2, EL1H),
                (EL0, ExceptionLevel::El1, EL0),
            ] {
                let state =
                    EntryState { hcr: HcrEl2::from_bits(*hcr), ..state(from, 0, PStateMask::ARMV8_0) };
                let taken = enter(&Cause::irq(0), target, &state);
                assert_eq!(taken.spsr.into_bits(), spsr, "{name}: from {from:#x} to {target:?}");
            }
        }
    }

    #[test]
    fn exlock_follows_exlocken_within_a_level_only() {
        const EXLOCK: u64 = 1 << 34;
        const CASES: &[(&str, u64, ExceptionLock, u64)] = &[
            ("same level, enabled", 0x5, ExceptionLock::Enabled, EXLOCK | 0x3c5),
            ("same level, disabled", 0x5, ExceptionLock::Disabled, 0x3c5),
            ("same level, disabled, was set", EXLOCK | 0x5, ExceptionLock::Disabled, 0x3c5),
            ("lower level, enabled", 0x0, ExceptionLock::Enabled, 0x3c5),
        ];
        for (name, pstate, lock, want) in CASES {
            let state = EntryState {
                pstate: PState::from_bits(*pstate),
                vbar: 0,
                sctlr: SctlrEl1::new().with_span(true),
                hcr: HcrEl2::new(),
                mask: PStateMask::ARMV8_0.with(PState::from_bits(EXLOCK)),
            };
            let taken = enter(&Cause::undefined(0x1000), ExceptionLevel::El1, &state);
            assert_eq!(taken.with_exception_lock(*lock).pstate.into_bits(), *want, "{name}");
            assert_eq!(taken.spsr.into_bits(), *pstate, "{name}: what was set is saved");
        }
    }
}
