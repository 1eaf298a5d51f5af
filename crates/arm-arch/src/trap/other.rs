//! Traps of instructions that name no register: floating point and vectors, pointer authentication, 64-byte accesses,
//! waits, calls.

use super::{Controls, Decision, Extensions, Outcome};
use crate::el::ExceptionLevel;
use crate::iss::{FpAccess, Immediate, Ls64, Other, SmeAccess, Syndrome, WaitKind, Wfx};
use crate::sysreg::{CpacrEl1, CptrEl2Classic, CptrEl3, ScrEl3};

/// A unit that CPACR_EL1, CPTR_EL2 and CPTR_EL3 switch on. Arm ARM, CPACR_EL1, CPTR_EL2, CPTR_EL3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// Floating point and Advanced SIMD: FPEN, TFP.
    Fp,
    /// SVE: ZEN, TZ, EZ.
    Sve,
    /// SME: SMEN, TSM, ESM.
    Sme,
}

impl Unit {
    const fn syndrome(self) -> Syndrome {
        match self {
            Self::Fp => Syndrome::FpAccess(FpAccess::A64),
            Self::Sve => Syndrome::Other(Other::SveAccess),
            Self::Sme => Syndrome::Other(Other::SmeAccess(SmeAccess::new())),
        }
    }

    /// Whether a field of CPACR_EL1, or of CPTR_EL2 with E2H, is closed: 0 and 2 to every level, 1 to EL0.
    const fn is_closed(self, cpacr: CpacrEl1, to_el0: bool) -> bool {
        let field = match self {
            Self::Sve => cpacr.zen(),
            Self::Fp => cpacr.fpen().into_bits(),
            Self::Sme => cpacr.smen(),
        };
        field & 1 == 0 || field == 1 && to_el0
    }

    /// Whether CPTR_EL2 without E2H traps the unit.
    const fn is_closed_by_classic(self, cptr: CptrEl2Classic) -> bool {
        match self {
            Self::Sve => cptr.tz(),
            Self::Fp => cptr.tfp(),
            Self::Sme => cptr.tsm(),
        }
    }

    /// Whether CPTR_EL3 traps the unit: TFP while 1, EZ and ESM while 0.
    const fn is_closed_by_el3(self, cptr: CptrEl3) -> bool {
        match self {
            Self::Sve => !cptr.ez(),
            Self::Fp => cptr.tfp(),
            Self::Sme => !cptr.esm(),
        }
    }

    /// Returns who has switched the unit off, in the order EL1, EL2, EL3; `None` if it is on. Arm ARM,
    /// AArch64.CheckFPAdvSIMDEnabled; the pseudocode of ZCR_EL1 and SMCR_EL1.
    pub(super) fn check(self, el: ExceptionLevel, controls: &Controls, ext: &Extensions) -> Option<Outcome> {
        let syndrome = self.syndrome();
        let at_el0 = el == ExceptionLevel::El0;
        let guest = el <= ExceptionLevel::El1 && !controls.is_host();
        if guest && self.is_closed(controls.cpacr, at_el0) {
            return Some(controls.el1_trap(syndrome));
        }
        let by_el2 = if controls.hcr.e2h() {
            self.is_closed(CpacrEl1::from_bits(controls.cptr), at_el0 && controls.hcr.tge())
        } else {
            self.is_closed_by_classic(CptrEl2Classic::from_bits(controls.cptr))
        };
        if el <= ExceptionLevel::El2 && by_el2 {
            return Some(Outcome::TrapEl2(syndrome));
        }
        let by_el3 = ext.el3.is_some_and(|el3| self.is_closed_by_el3(el3.cptr()));
        by_el3.then_some(Outcome::TrapEl3(syndrome))
    }
}

/// Decides about an instruction of a unit: one of SVE needs floating point too. `None` if it executes.
/// Arm ARM, CheckSVEEnabled, CheckSMEAccess.
pub fn unit_access(unit: Unit, el: ExceptionLevel, controls: &Controls, ext: &Extensions) -> Option<Outcome> {
    // Level by level: the fields of SVE come before those of floating point in the same register.
    let first = unit.check(el, controls, ext);
    let second = if unit == Unit::Sve { Unit::Fp.check(el, controls, ext) } else { None };
    match (first, second) {
        (Some(first), Some(second)) if second.level() < first.level() => Some(second),
        (Some(first), _) => Some(first),
        (None, second) => second,
    }
}

/// Decides about an instruction of floating point or Advanced SIMD, where there is no EL3.
/// Arm ARM, AArch64.CheckFPAdvSIMDEnabled.
pub fn fp_access(el: ExceptionLevel, controls: &Controls) -> Decision {
    Unit::Fp.check(el, controls, &Extensions::NEUTRAL).map_or(Decision::Allowed, Decision::from)
}

/// Decides about an instruction that authenticates or signs a pointer, where SCTLR_ELx enables the key: `None` if it
/// executes. The keys themselves are registers. Arm ARM, HCR_EL2.API, SCR_EL3.API, TrapPACUse.
pub fn pointer_authentication(el: ExceptionLevel, controls: &Controls, ext: &Extensions) -> Option<Outcome> {
    let syndrome = Syndrome::Other(Other::PAuth);
    let host = controls.is_host() && el == ExceptionLevel::El0;
    if el <= ExceptionLevel::El1 && !host && !controls.hcr.api() {
        return Some(Outcome::TrapEl2(syndrome));
    }
    let by_el3 = el <= ExceptionLevel::El2 && ext.el3.is_some_and(|el3| !el3.scr().api());
    by_el3.then_some(Outcome::TrapEl3(syndrome))
}

/// Decides about LD64B, ST64B, ST64BV or ST64BV0: `None` if it executes. Arm ARM, SCTLR_EL1.EnALS, EnASR and EnAS0,
/// HCRX_EL2, SCR_EL3.EnAS0.
pub fn ls64_access(kind: Ls64, el: ExceptionLevel, controls: &Controls, ext: &Extensions) -> Option<Outcome> {
    let syndrome = Syndrome::Other(Other::Ls64(kind));
    let hcrx = ext.hcrx();
    let host = controls.is_host();
    let at_el0 = el == ExceptionLevel::El0;
    let sctlr = if host { ext.sctlr_el2 } else { controls.sctlr };
    let (open, enabled) = match kind {
        Ls64::Plain => (sctlr.enals(), hcrx.enals()),
        Ls64::St64bv => (sctlr.enasr(), hcrx.enasr()),
        Ls64::St64bv0 => (sctlr.enas0(), hcrx.enas0()),
    };
    if at_el0 && !open {
        return Some(controls.el1_trap(syndrome));
    }
    if el <= ExceptionLevel::El1 && !(host && at_el0) && !enabled {
        return Some(Outcome::TrapEl2(syndrome));
    }
    let by_el3 =
        kind == Ls64::St64bv0 && el <= ExceptionLevel::El2 && ext.el3.is_some_and(|el3| !el3.scr().enas0());
    by_el3.then_some(Outcome::TrapEl3(syndrome))
}

/// Decides about a WFI, WFE, WFIT or WFET that would wait, where there is no EL3; one that would not is never trapped.
/// Arm ARM, AArch64.CheckForWFxTrap.
///
/// `register` is the register with the timeout, of WFIT and WFET.
pub fn wait(kind: WaitKind, register: Option<u8>, el: ExceptionLevel, controls: &Controls) -> Decision {
    let ext = Extensions { sctlr_el2: controls.sctlr, ..Extensions::NEUTRAL };
    wait_access(kind, register, el, controls, &ext).map_or(Decision::Allowed, Decision::from)
}

/// Decides as [`wait`] does, with SCTLR_EL2 for the EL0 that EL2 hosts, and SCR_EL3.TWI and TWE: `None` if it waits.
/// Arm ARM, AArch64.CheckForWFxTrap.
pub fn wait_access(
    kind: WaitKind,
    register: Option<u8>,
    el: ExceptionLevel,
    controls: &Controls,
    ext: &Extensions,
) -> Option<Outcome> {
    let iss = match register {
        Some(rn) => Wfx::a64(kind).with_rv(true).with_rn(rn & 31),
        None => Wfx::a64(kind),
    };
    let syndrome = Syndrome::Wfx(iss);
    let host = controls.is_host();
    let sctlr = if host { ext.sctlr_el2 } else { controls.sctlr };
    let scr = ext.el3.map_or(ScrEl3::new(), |el3| el3.scr());
    let (open, trapped, by_el3) = match kind {
        WaitKind::Wfi | WaitKind::Wfit => (sctlr.ntwi(), controls.hcr.twi(), scr.twi()),
        WaitKind::Wfe | WaitKind::Wfet => (sctlr.ntwe(), controls.hcr.twe(), scr.twe()),
    };
    let at_el0 = el == ExceptionLevel::El0;
    if at_el0 && !open {
        return Some(controls.el1_trap(syndrome));
    }
    if trapped && el <= ExceptionLevel::El1 && !(host && at_el0) {
        return Some(Outcome::TrapEl2(syndrome));
    }
    (el <= ExceptionLevel::El2 && by_el3).then_some(Outcome::TrapEl3(syndrome))
}

/// Decides about SMC: HCR_EL2.TSC, then SCR_EL3.SMD, then the call; without an EL3 as [`smc`] does.
/// Arm ARM, AArch64.CheckForSMCUndefOrTrap.
pub fn smc_access(imm16: u16, el: ExceptionLevel, controls: &Controls, ext: &Extensions) -> Outcome {
    let syndrome = Syndrome::Smc(Immediate::new().with_imm16(imm16));
    match ext.el3 {
        _ if el == ExceptionLevel::El0 => Outcome::Undefined,
        _ if el == ExceptionLevel::El1 && controls.hcr.tsc() => Outcome::TrapEl2(syndrome),
        Some(el3) if !el3.scr().smd() => Outcome::TrapEl3(syndrome),
        Some(_) | None => Outcome::Undefined,
    }
}

/// Decides about HVC: with an EL3, SCR_EL3.HCE takes the place of HCR_EL2.HCD, and EL3 calls itself.
/// Arm ARM, HVC, AArch64.CallHypervisor.
pub fn hvc_access(imm16: u16, el: ExceptionLevel, controls: &Controls, ext: &Extensions) -> Outcome {
    let disabled = match ext.el3 {
        Some(el3) => !el3.scr().hce(),
        None => controls.hcr.hcd(),
    };
    let syndrome = Syndrome::Hvc(Immediate::new().with_imm16(imm16));
    match el {
        _ if disabled => Outcome::Undefined,
        ExceptionLevel::El0 => Outcome::Undefined,
        ExceptionLevel::El1 | ExceptionLevel::El2 => Outcome::TrapEl2(syndrome),
        ExceptionLevel::El3 => Outcome::TrapEl3(syndrome),
    }
}

/// Decides about SMC, where there is no EL3: EL2 traps it or it is UNDEFINED. CHOICE: HCR_EL2.TSC traps as it does with
/// an EL3, for a hypervisor that answers calls; without HCR_EL2.NV the manual leaves that open.
/// Arm ARM, HCR_EL2.TSC, AArch64.CheckForSMCUndefOrTrap.
pub fn smc(imm16: u16, el: ExceptionLevel, controls: &Controls) -> Decision {
    if el == ExceptionLevel::El1 && controls.hcr.tsc() {
        Decision::TrapEl2(Syndrome::Smc(Immediate::new().with_imm16(imm16)))
    } else {
        Decision::Undefined
    }
}

/// Decides about HVC: it calls EL2 from EL1 and EL2 unless HCR_EL2.HCD disables it. The preferred return address of the
/// exception is the next instruction. Arm ARM, HVC.
pub fn hvc(imm16: u16, el: ExceptionLevel, controls: &Controls) -> Decision {
    if el == ExceptionLevel::El0 || controls.hcr.hcd() {
        Decision::Undefined
    } else {
        Decision::TrapEl2(Syndrome::Hvc(Immediate::new().with_imm16(imm16)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::{CpacrEl1, HcrEl2, SctlrEl1};
    use crate::trap::El3;

    const EL0: ExceptionLevel = ExceptionLevel::El0;
    const EL1: ExceptionLevel = ExceptionLevel::El1;

    #[test]
    fn fpen_of_el1_comes_before_that_of_el2() {
        #[derive(Debug, PartialEq)]
        enum To {
            Nobody,
            El1,
            El2,
        }
        // HCR.E2H, CPACR.FPEN, CPTR, level, and who is asked.
        const CASES: &[(bool, u64, u64, ExceptionLevel, To)] = &[
            (true, 3, 3 << 20, EL0, To::Nobody),
            (true, 3, 3 << 20, EL1, To::Nobody),
            (true, 1, 3 << 20, EL0, To::El1),
            (true, 1, 3 << 20, EL1, To::Nobody),
            (true, 0, 3 << 20, EL1, To::El1),
            (true, 2, 3 << 20, EL1, To::El1),
            (true, 0, 0, EL1, To::El1),
            (true, 3, 0, EL0, To::El2),
            (true, 3, 2 << 20, EL1, To::El2),
            (true, 3, 1 << 20, EL0, To::Nobody),
            (false, 3, 0, EL1, To::Nobody),
            (false, 3, 1 << 10, EL1, To::El2),
            (false, 0, 1 << 10, EL1, To::El1),
        ];
        for (e2h, fpen, cptr, el, want) in CASES {
            let controls = Controls {
                hcr: HcrEl2::new().with_e2h(*e2h),
                cpacr: CpacrEl1::from_bits(*fpen << 20),
                cptr: *cptr,
                ..Controls::default()
            };
            let got = match fp_access(*el, &controls) {
                Decision::Allowed => To::Nobody,
                Decision::TrapEl1(_) => To::El1,
                Decision::TrapEl2(_) => To::El2,
                Decision::Undefined => panic!("floating point is never undefined here"),
            };
            assert_eq!(got, *want, "E2H {e2h}, FPEN {fpen}, CPTR {cptr:#x}, {el:?}");
        }
    }

    #[test]
    fn what_tge_takes_of_el1_to_el2_has_its_class_but_for_fpen() {
        // Arm ARM, AArch64.AdvSIMDFPAccessTrap, SVEAccessTrap, SMEAccessTrap, AArch64.WFxTrap; E2H is 0.
        let tge = Controls { hcr: HcrEl2::new().with_tge(true), cpacr: CpacrEl1::new(), ..OFF };
        let ext = Extensions::NEUTRAL;
        let closed = |unit| unit_access(unit, EL0, &tge, &ext).map(|outcome| asked(Some(outcome)));
        assert_eq!(closed(Unit::Fp), Some((2, 0x00)));
        assert_eq!(closed(Unit::Sve), Some((2, 0x19)));
        assert_eq!(closed(Unit::Sme), Some((2, 0x1d)));
        let zen = Controls { cpacr: CpacrEl1::from_bits(3 << 16), ..tge };
        assert_eq!(asked(unit_access(Unit::Sve, EL0, &zen, &ext)), (2, 0x00), "FPEN of an SVE instruction");
        let Decision::TrapEl2(syndrome) = fp_access(EL0, &tge) else { panic!("not taken to EL2") };
        assert_eq!(syndrome.encode().into_bits(), 0x0200_0000);
        assert_eq!(asked(wait_access(WaitKind::Wfi, None, EL0, &tge, &ext)), (2, 0x01));
        assert_eq!(asked(ls64_access(Ls64::Plain, EL0, &tge, &ext)), (2, 0x0a));
        // What EL2 itself traps keeps its class.
        let tfp = Controls { cptr: 1 << 10, cpacr: CpacrEl1::from_bits(3 << 20), ..tge };
        assert_eq!(asked(unit_access(Unit::Fp, EL0, &tfp, &ext)), (2, 0x07));
    }

    #[test]
    fn waits_are_trapped_by_el1_from_el0_and_then_by_el2() {
        let controls = |sctlr: u64, hcr: u64| Controls {
            sctlr: SctlrEl1::from_bits(sctlr),
            hcr: HcrEl2::from_bits(hcr),
            ..Controls::default()
        };
        let (ntwi, ntwe, twi, twe) = (1 << 16, 1 << 18, 1 << 13, 1 << 14);
        let wfi = Syndrome::Wfx(Wfx::from_bits(0x1e0_0000));
        let wfe = Syndrome::Wfx(Wfx::from_bits(0x1e0_0001));
        let cases: &[(&str, WaitKind, ExceptionLevel, Controls, Decision)] = &[
            ("WFI, EL0, closed", WaitKind::Wfi, EL0, controls(ntwe, twi), Decision::TrapEl1(wfi)),
            ("WFI, EL0, open", WaitKind::Wfi, EL0, controls(ntwi, 0), Decision::Allowed),
            ("WFI, EL0, open, TWI", WaitKind::Wfi, EL0, controls(ntwi, twi), Decision::TrapEl2(wfi)),
            ("WFI, EL1, TWI", WaitKind::Wfi, EL1, controls(0, twi), Decision::TrapEl2(wfi)),
            ("WFI, EL1, TWE", WaitKind::Wfi, EL1, controls(0, twe), Decision::Allowed),
            ("WFE, EL0, closed", WaitKind::Wfe, EL0, controls(ntwi, 0), Decision::TrapEl1(wfe)),
            ("WFE, EL1, TWE", WaitKind::Wfe, EL1, controls(0, twe), Decision::TrapEl2(wfe)),
        ];
        for (name, kind, el, controls, want) in cases {
            assert_eq!(wait(*kind, None, *el, controls), *want, "{name}");
        }
        let timed = Syndrome::Wfx(Wfx::from_bits(0x1e0_00a6));
        assert_eq!(wait(WaitKind::Wfit, Some(5), EL1, &controls(0, twi)), Decision::TrapEl2(timed));
    }

    const OFF: Controls = Controls {
        hcr: HcrEl2::new(),
        cptr: 0,
        mdcr: crate::sysreg::MdcrEl2::new(),
        cnthctl: 0,
        ich_hcr: crate::sysreg::IchHcr::new(),
        icc_sre_el2: 0,
        sctlr: SctlrEl1::new(),
        cpacr: CpacrEl1::from_bits(0x333_0000),
        cntkctl: crate::sysreg::CntkctlEl1::new(),
        mdscr: crate::sysreg::MdscrEl1::new(),
    };

    fn with_el3(change: impl FnOnce(&mut El3)) -> Extensions {
        let mut el3 = El3::OPEN;
        change(&mut el3);
        Extensions { el3: Some(el3), ..Extensions::NEUTRAL }
    }

    /// Target level and class; level 0 if nobody is asked.
    fn asked(outcome: Option<Outcome>) -> (u8, u8) {
        match outcome {
            None => (0, 0),
            Some(Outcome::TrapEl1(syndrome)) => (1, syndrome.encode().ec().into_bits()),
            Some(Outcome::TrapEl2(syndrome)) => (2, syndrome.encode().ec().into_bits()),
            Some(Outcome::TrapEl3(syndrome)) => (3, syndrome.encode().ec().into_bits()),
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn units_are_asked_from_el1_upwards_in_both_forms_of_cptr() {
        use Unit::{Fp, Sme, Sve};
        let all = 0x333_0000;
        // Unit, level, E2H and TGE, CPACR, CPTR_EL2, CPTR_EL3, who and the class.
        const E2H: u64 = 1 << 34;
        const HOST: u64 = 1 << 34 | 1 << 27;
        let cases = [
            (Sve, EL1, 0, all, 0, 0x1100, (0, 0)),
            (Sve, EL1, 0, all & !(1 << 16), 0, 0x1100, (1, 0x19)),
            (Sve, EL1, 0, all & !(1 << 20), 0, 0x1100, (1, 0x07)),
            (Sve, EL1, 0, 0, 0, 0x1100, (1, 0x19)),
            (Sve, EL0, 0, all & !(2 << 16), 0, 0x1100, (1, 0x19)),
            (Sve, EL1, 0, all & !(2 << 16), 0, 0x1100, (0, 0)),
            (Sve, EL1, 0, all, 1 << 8, 0x1100, (2, 0x19)),
            (Sve, EL1, 0, all, 1 << 10, 0x1100, (2, 0x07)),
            (Sve, EL1, 0, all, 0, 0x1000, (3, 0x19)),
            (Sve, EL1, 0, all, 0, 0x1500, (3, 0x07)),
            (Sve, EL1, 0, all, 1 << 10, 0x1000, (2, 0x07)),
            (Sve, EL1, E2H, all, all & !(3 << 16), 0x1100, (2, 0x19)),
            (Sve, EL1, E2H, all, all & !(2 << 16), 0x1100, (0, 0)),
            (Sve, EL0, HOST, 0, all, 0x1100, (0, 0)),
            (Sve, EL0, HOST, 0, all & !(2 << 16), 0x1100, (2, 0x19)),
            (Sve, ExceptionLevel::El2, 0, 0, 1 << 8, 0x1100, (2, 0x19)),
            (Sve, ExceptionLevel::El3, 0, 0, 1 << 8, 0x1000, (3, 0x19)),
            (Sme, EL1, 0, all & !(3 << 24), 0, 0x1100, (1, 0x1d)),
            (Sme, EL1, 0, all, 1 << 12, 0x1100, (2, 0x1d)),
            (Sme, EL1, E2H, all, all & !(1 << 24), 0x1100, (2, 0x1d)),
            (Sme, EL1, 0, all, 0, 0x100, (3, 0x1d)),
            (Fp, EL1, 0, all, 0, 0x1500, (3, 0x07)),
            (Fp, EL1, 0, all, 0, 0, (0, 0)),
        ];
        for (unit, el, hcr, cpacr, cptr, cptr3, want) in cases {
            let hcr = HcrEl2::from_bits(hcr);
            let controls = Controls { hcr, cpacr: CpacrEl1::from_bits(cpacr), cptr, ..OFF };
            let ext = with_el3(|el3| el3.cptr = cptr3);
            let got = asked(unit_access(unit, el, &controls, &ext));
            assert_eq!(got, want, "{unit:?} {el:?} {hcr:?} {cpacr:#x} {cptr:#x} {cptr3:#x}");
        }
    }

    #[test]
    fn pointer_authentication_asks_api_of_el2_and_el3() {
        let on = Controls { hcr: HcrEl2::new().with_api(true), ..OFF };
        let host = Controls { hcr: HcrEl2::new().with_e2h(true).with_tge(true), ..OFF };
        let open = with_el3(|_| {});
        let closed = with_el3(|el3| el3.scr &= !(1 << 17));
        assert_eq!(asked(pointer_authentication(EL1, &on, &open)), (0, 0));
        assert_eq!(asked(pointer_authentication(EL1, &OFF, &closed)), (2, 0x09));
        assert_eq!(asked(pointer_authentication(EL0, &host, &open)), (0, 0));
        assert_eq!(asked(pointer_authentication(EL1, &on, &closed)), (3, 0x09));
        assert_eq!(asked(pointer_authentication(ExceptionLevel::El3, &on, &closed)), (0, 0));
    }

    #[test]
    fn sixty_four_byte_accesses_have_a_control_at_each_level() {
        let open = Controls { sctlr: SctlrEl1::from_bits(7 << 54), ..OFF };
        let neutral = Extensions::NEUTRAL;
        for (kind, bit, hcrx, iss) in
            [(Ls64::Plain, 56, 1, 2), (Ls64::St64bv, 54, 2, 0), (Ls64::St64bv0, 55, 0, 1)]
        {
            assert_eq!(ls64_access(kind, EL0, &open, &neutral), None);
            let closed = Controls { sctlr: SctlrEl1::from_bits(7 << 54 & !(1 << bit)), ..OFF };
            let got = ls64_access(kind, EL0, &closed, &neutral).unwrap();
            let Outcome::TrapEl1(syndrome) = got else { panic!("{got:?}") };
            assert_eq!(syndrome.encode().into_bits(), 0x2a00_0000 | iss);
            assert_eq!(ls64_access(kind, EL1, &closed, &neutral), None, "EL1 is not subject to its own");
            let bits = neutral.hcrx.into_bits() & !(1 << hcrx);
            let ext = Extensions { hcrx: crate::sysreg::HcrxEl2::from_bits(bits), ..neutral };
            assert_eq!(asked(ls64_access(kind, EL1, &open, &ext)), (2, 0x0a));
        }
        let closed = with_el3(|el3| el3.scr &= !(1 << 36));
        assert_eq!(asked(ls64_access(Ls64::St64bv0, EL1, &open, &closed)), (3, 0x0a));
        assert_eq!(asked(ls64_access(Ls64::Plain, EL1, &open, &closed)), (0, 0));
    }

    #[test]
    fn el3_is_asked_about_waits_and_calls_after_el2() {
        let both = with_el3(|el3| el3.scr |= 1 << 12 | 1 << 7);
        let twi = Controls { hcr: HcrEl2::new().with_twi(true).with_tsc(true), ..OFF };
        assert_eq!(asked(wait_access(WaitKind::Wfi, None, EL1, &OFF, &both)), (3, 0x01));
        assert_eq!(asked(wait_access(WaitKind::Wfe, None, EL1, &OFF, &both)), (0, 0));
        assert_eq!(asked(wait_access(WaitKind::Wfi, None, EL1, &twi, &both)), (2, 0x01));
        assert_eq!(asked(wait_access(WaitKind::Wfi, None, EL0, &twi, &both)), (1, 0x01));
        assert_eq!(asked(Some(smc_access(0, EL1, &twi, &both))), (2, 0x17));
        assert_eq!(smc_access(0, EL1, &OFF, &both), Outcome::Undefined, "SMD");
        assert_eq!(asked(Some(smc_access(0, EL1, &OFF, &with_el3(|_| {})))), (3, 0x17));
        let calls = [(EL1, 2), (ExceptionLevel::El2, 2), (ExceptionLevel::El3, 3)];
        for (el, target) in calls {
            assert_eq!(asked(Some(hvc_access(0, el, &OFF, &both))), (target, 0x16), "HVC at {el:?}");
        }
        assert_eq!(hvc_access(0, EL0, &OFF, &both), Outcome::Undefined, "HVC at EL0");
        let off = with_el3(|el3| el3.scr &= !(1 << 8));
        assert_eq!(hvc_access(0, EL1, &OFF, &off), Outcome::Undefined, "HCE");
    }

    #[test]
    fn calls_reach_el2_from_el1_only() {
        let tsc = Controls { hcr: HcrEl2::new().with_tsc(true), ..Controls::default() };
        let hcd = Controls { hcr: HcrEl2::new().with_hcd(true), ..Controls::default() };
        let off = Controls::default();
        let seven = Immediate::from_bits(7);
        assert_eq!(smc(7, EL1, &tsc), Decision::TrapEl2(Syndrome::Smc(seven)));
        assert_eq!(smc(7, EL0, &tsc), Decision::Undefined);
        assert_eq!(smc(7, EL1, &off), Decision::Undefined);
        assert_eq!(hvc(7, EL1, &off), Decision::TrapEl2(Syndrome::Hvc(seven)));
        assert_eq!(hvc(7, EL0, &off), Decision::Undefined);
        assert_eq!(hvc(7, EL1, &hcd), Decision::Undefined);
    }

    #[test]
    fn hcr_el2_says_nothing_about_the_hosts_el0_nor_about_el2() {
        let el2 = ExceptionLevel::El2;
        let all = HcrEl2::new().with_twi(true).with_twe(true).with_tsc(true);
        let host = Controls { hcr: all.with_e2h(true).with_tge(true), ..OFF };
        let ext = with_el3(|_| {});
        let nothing_opens = Extensions { sctlr_el2: SctlrEl1::new(), ..ext };
        for kind in [WaitKind::Wfi, WaitKind::Wfe, WaitKind::Wfit, WaitKind::Wfet] {
            // SCTLR_EL2 opens, whatever SCTLR_EL1 says; closed, the host itself is asked.
            assert_eq!(wait_access(kind, None, EL0, &host, &ext), None, "{kind:?}");
            assert_eq!(asked(wait_access(kind, None, EL0, &host, &nothing_opens)), (2, 0x01), "{kind:?}");
            assert_eq!(wait_access(kind, None, el2, &host, &ext), None, "{kind:?} at EL2");
        }
        let guest = Controls { hcr: all, ..OFF };
        assert_eq!(asked(Some(smc_access(0, EL1, &guest, &ext))), (2, 0x17));
        assert_eq!(asked(Some(smc_access(0, el2, &guest, &ext))), (3, 0x17), "TSC is about EL1");
        assert_eq!(smc_access(0, el2, &guest, &Extensions::NEUTRAL), Outcome::Undefined, "no EL3");
        assert_eq!(smc(0, el2, &guest), Decision::Undefined);
        assert_eq!(asked(Some(hvc_access(0, el2, &guest, &ext))), (2, 0x16));
        assert_eq!(hvc_access(0, EL0, &guest, &ext), Outcome::Undefined);
    }
}
