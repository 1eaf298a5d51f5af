//! Traps of instructions that name no register: floating point, waits, calls.

use super::{Controls, Decision};
use crate::bits;
use crate::el::ExceptionLevel;
use crate::iss::{FpAccess, Immediate, Syndrome, WaitKind, Wfx};
use crate::sysreg::{CptrEl2, FpEnable};

/// Decides about an instruction of floating point or Advanced SIMD. Arm ARM, AArch64.CheckFPAdvSIMDEnabled.
pub fn fp_access(el: ExceptionLevel, controls: &Controls) -> Decision {
    let syndrome = Syndrome::FpAccess(FpAccess::A64);
    let closed = match controls.cpacr.fpen() {
        FpEnable::None | FpEnable::NoneReserved => true,
        FpEnable::NotEl0 => el == ExceptionLevel::El0,
        FpEnable::All => false,
    };
    if closed && el <= ExceptionLevel::El1 && !controls.is_host() {
        return controls.el1_trap(syndrome);
    }
    if traps_fp(el, controls) { Decision::TrapEl2(syndrome) } else { Decision::Allowed }
}

/// Whether `CPTR_EL2` traps floating point, in either of its forms. Arm ARM, AArch64.CheckFPAdvSIMDTrap.
fn traps_fp(el: ExceptionLevel, controls: &Controls) -> bool {
    if !controls.hcr.e2h() {
        return bits::bit(controls.cptr, 10);
    }
    match CptrEl2::from_bits(controls.cptr).fpen() {
        FpEnable::None | FpEnable::NoneReserved => true,
        FpEnable::NotEl0 => el == ExceptionLevel::El0 && controls.hcr.tge(),
        FpEnable::All => false,
    }
}

/// Decides about a WFI, WFE, WFIT or WFET that would wait; one that would not is never trapped.
/// Arm ARM, AArch64.CheckForWFxTrap.
///
/// `register` is the register with the timeout, of WFIT and WFET.
pub fn wait(kind: WaitKind, register: Option<u8>, el: ExceptionLevel, controls: &Controls) -> Decision {
    let iss = match register {
        Some(rn) => Wfx::a64(kind).with_rv(true).with_rn(rn & 31),
        None => Wfx::a64(kind),
    };
    let syndrome = Syndrome::Wfx(iss);
    let (open, trapped) = match kind {
        WaitKind::Wfi | WaitKind::Wfit => (controls.sctlr.ntwi(), controls.hcr.twi()),
        WaitKind::Wfe | WaitKind::Wfet => (controls.sctlr.ntwe(), controls.hcr.twe()),
    };
    if el == ExceptionLevel::El0 && !open {
        return controls.el1_trap(syndrome);
    }
    let host = controls.is_host() && el == ExceptionLevel::El0;
    if trapped && el <= ExceptionLevel::El1 && !host {
        Decision::TrapEl2(syndrome)
    } else {
        Decision::Allowed
    }
}

/// Decides about SMC, where there is no EL3: EL2 traps it or it is UNDEFINED. Arm ARM, AArch64.CheckForSMCUndefOrTrap.
pub fn smc(imm16: u16, el: ExceptionLevel, controls: &Controls) -> Decision {
    if el == ExceptionLevel::El1 && controls.hcr.tsc() {
        Decision::TrapEl2(Syndrome::Smc(Immediate::new().with_imm16(imm16)))
    } else {
        Decision::Undefined
    }
}

/// Decides about HVC: it calls EL2 from EL1 unless HCR_EL2.HCD disables it. The preferred return address of the
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
}
