//! Returning from an exception. Arm ARM, AArch64.ExceptionReturn.

use super::entry::ExceptionLock;
use crate::bits;
use crate::debug::DebugControls;
use crate::el::ExceptionLevel;
use crate::pstate::{PState, PStateMask};
use crate::sysreg::{HcrEl2, SctlrEl1, TcrEl1, TcrEl2, TcrEl3};

/// What exception return reads. Arm ARM, AArch64.ExceptionReturn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReturnState {
    /// PSTATE of the ERET.
    pub pstate: PState,
    /// `SPSR_ELx` of the current level.
    pub spsr: PState,
    /// `ELR_ELx` of the current level.
    pub elr: u64,
    /// `HCR_EL2`; 0 where there is no EL2.
    pub hcr: HcrEl2,
    /// `TCR_EL1`: the top byte of the address returned to, when that is EL1 or EL0.
    pub tcr: TcrEl1,
    /// What decides about software step.
    pub debug: DebugControls,
    /// Which bits of PSTATE exist; M\[4\] says that EL0 can be AArch32.
    pub mask: PStateMask,
}

/// What exception return writes. It also clears the local exclusive monitor and sets the event register.
/// Arm ARM, AArch64.ExceptionReturn.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Returned {
    /// The new PC.
    pub pc: u64,
    /// The new PSTATE.
    pub pstate: PState,
    /// Whether the return was illegal: PSTATE.IL is set, and level and stack are those from before.
    pub illegal: bool,
}

/// Returns from an exception in AArch64. Arm ARM, AArch64.ExceptionReturn, SetPSTATEFromPSR.
///
/// The checks that come before it (UNDEFINED at EL0, traps, PSTATE.IL) are the caller's. With FEAT_SEBEP, PPEND is for
/// [`Returned::with_profiling`].
pub fn eret(state: &ReturnState) -> Returned {
    let spsr = state.mask.apply(PState::from_bits(state.spsr.into_bits() | unmasked_mode(state.spsr)));
    let illegal = is_illegal_return(state);
    let target = if illegal { state.pstate.el() } else { spsr.el() };
    let ss = state.debug.return_ss(state.pstate, target, spsr);
    let pstate = if illegal {
        // What the manual reinstates regardless: flags, PAN, masks, PM among them. CHOICE: the bits that become UNKNOWN
        // (SSBS, BTYPE, UAO, DIT, TCO, PACM) keep their values.
        state
            .pstate
            .with_il(true)
            .with_nzcv(spsr.nzcv())
            .with_daif(spsr.daif())
            .with_pan(spsr.pan())
            .with_allint(spsr.allint())
            .with_pm(spsr.pm())
            .with_uinj(false)
    } else {
        spsr
    };
    // An illegal return goes to the level that it came from, and there the top byte is what it is for a legal one. CHOICE:
    // after one to AArch32, which leaves PC[63:32] and PC[1:0] UNKNOWN, too.
    let pc = match target {
        ExceptionLevel::El0 | ExceptionLevel::El1 => branch_address(state.elr, state.tcr),
        ExceptionLevel::El2 | ExceptionLevel::El3 => state.elr,
    };
    Returned { pc, pstate: pstate.with_ss(ss), illegal }
}

/// M\[4:0\] as they are: a mode that does not exist must reach the check, not be masked into one that does.
const fn unmasked_mode(spsr: PState) -> u64 {
    spsr.into_bits() & 0x1f
}

/// Whether the return would be illegal. Arm ARM, IllegalExceptionReturn, R_MWWKM and those that follow.
#[must_use]
pub fn is_illegal_return(state: &ReturnState) -> bool {
    let spsr = state.spsr;
    let target = if spsr.nrw() {
        // Of the AArch32 modes only User can be returned to; levels above EL0 are AArch64.
        if !state.mask.present().nrw() || spsr.m() != 0 {
            return true;
        }
        ExceptionLevel::El0
    } else {
        match spsr.mode() {
            Some(mode) => mode.el(),
            None => return true,
        }
    };
    let to_host = target == ExceptionLevel::El1 && state.hcr.tge();
    target > state.pstate.el() || to_host
}

/// What makes a return illegal beyond [`is_illegal_return`]: the levels that exist, and guarded control stacks.
/// Arm ARM, IllegalExceptionReturn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReturnLimits {
    /// EL2 is implemented and, in Secure state, enabled.
    pub is_el2_enabled: bool,
    /// `GCSCR_ELx.EXLOCKEN` of the current level.
    pub lock: ExceptionLock,
}

impl ReturnLimits {
    /// Whether the return is illegal for one of these reasons: to EL2 where there is none; within a level whose
    /// exception state is to be locked while PSTATE.EXLOCK is 0. Arm ARM, IllegalExceptionReturn.
    #[must_use]
    pub fn forbid(self, pstate: PState, spsr: PState) -> bool {
        let target = spsr.el();
        let unlocked = self.lock == ExceptionLock::Enabled && !pstate.exlock();
        target == ExceptionLevel::El2 && !self.is_el2_enabled || target == pstate.el() && unlocked
    }
}

/// Returns from an exception as [`eret`] does, and judges [`ReturnLimits`] too.
/// Arm ARM, AArch64.ExceptionReturn, IllegalExceptionReturn.
pub fn eret_within(state: &ReturnState, limits: ReturnLimits) -> Returned {
    if !limits.forbid(state.pstate, state.spsr) {
        return eret(state);
    }
    // A mode that is reserved makes it illegal, with all that follows from that.
    let illegal = ReturnState { spsr: PState::from_bits(state.spsr.into_bits() & !0x1f | 0b0010), ..*state };
    eret(&illegal)
}

/// Whether a fetch from `pc` is a PC alignment fault: A64 instructions lie on words. Arm ARM,
/// AArch64.CheckPCAlignment.
#[must_use]
pub const fn is_pc_misaligned(pc: u64) -> bool {
    pc & 3 != 0
}

/// Whether a load or store by SP is an SP alignment fault: SCTLR_ELx.SA, or for EL0 SA0, asks for 16 bytes.
/// Arm ARM, CheckSPAlignment.
#[must_use]
pub const fn is_sp_misaligned(sp: u64, el: ExceptionLevel, sctlr: SctlrEl1) -> bool {
    let checks = match el {
        ExceptionLevel::El0 => sctlr.sa0(),
        ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => sctlr.sa(),
    };
    checks && sp & 15 != 0
}

/// Returns the address that a branch or return to EL1 or EL0 goes to: where the top byte is ignored, it becomes a
/// copy of bit 55. Arm ARM, AArch64.BranchAddr.
#[must_use]
pub const fn branch_address(target: u64, tcr: TcrEl1) -> u64 {
    let upper = bits::bit(target, 55);
    let ignored = if upper { tcr.tbi1() && !tcr.tbid1() } else { tcr.tbi0() && !tcr.tbid0() };
    if ignored { bits::sign_extend(target, 56) } else { target }
}

/// Returns the address that a branch or return to EL2 goes to: with HCR_EL2.E2H as for EL1, else TBI and TBID of
/// `TCR_EL2` clear the top byte. [`eret`] leaves that to its caller. Arm ARM, AArch64.BranchAddr.
#[must_use]
pub const fn branch_address_el2(target: u64, tcr_el2: u64, hcr: HcrEl2) -> u64 {
    let one_range = TcrEl2::from_bits(tcr_el2);
    if hcr.e2h() {
        branch_address(target, TcrEl1::from_bits(tcr_el2))
    } else if one_range.tbi() && !one_range.tbid() {
        target & bits::mask(56)
    } else {
        target
    }
}

/// Returns the address that a branch or return to EL3 goes to: TBI and TBID of `TCR_EL3` clear the top byte. [`eret`]
/// leaves that to its caller. Arm ARM, AArch64.BranchAddr.
#[must_use]
pub const fn branch_address_el3(target: u64, tcr_el3: u64) -> u64 {
    let tcr = TcrEl3::from_bits(tcr_el3);
    if tcr.tbi() && !tcr.tbid() { target & bits::mask(56) } else { target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::MdscrEl1;

    const ALL: PStateMask = PStateMask::ARMV8_0.with(PState::from_bits(0x01c0_3c00));

    fn state(pstate: u64, spsr: u64) -> ReturnState {
        ReturnState {
            pstate: PState::from_bits(pstate),
            spsr: PState::from_bits(spsr),
            elr: 0x40_0000,
            hcr: HcrEl2::new(),
            tcr: TcrEl1::new(),
            debug: DebugControls::OFF,
            mask: ALL,
        }
    }

    #[test]
    fn a_legal_return_loads_the_saved_state() {
        const CASES: &[(&str, u64, u64, u64)] = &[
            ("to EL0", 0x3c5, 0x8000_0000, 0x8000_0000),
            ("to EL1 on SP_EL0", 0x3c5, 0x3c4, 0x3c4),
            ("PAN, UAO, DIT, SSBS", 0x3c5, 0x1c0_1005, 0x1c0_1005),
            ("IL is loaded too", 0x3c5, 0x10_0000, 0x10_0000),
            ("SS is dropped when stepping is off", 0x3c5, 0x20_0000, 0),
            ("RES0 bits are dropped", 0x3c5, 0xc_0000, 0),
            ("PM of a profiled kernel is dropped without FEAT_EBEP", 0x3c5, 1 << 32 | 0x5, 0x5),
        ];
        for (name, pstate, spsr, want) in CASES {
            let back = eret(&state(*pstate, *spsr));
            assert!(!back.illegal, "{name}");
            assert_eq!((back.pstate.into_bits(), back.pc), (*want, 0x40_0000), "{name}");
        }
    }

    #[test]
    fn newer_bits_of_pstate_come_back_from_spsr() {
        const NEWER: u64 = 0x1f_0000_7000;
        let mask = ALL.with(PState::from_bits(NEWER));
        for bit in (0..64).map(|at| 1 << at).filter(|bit| NEWER & bit != 0) {
            let back = eret(&ReturnState { mask, ..state(0x3c5, bit | 5) });
            assert_eq!((back.pstate.into_bits(), back.illegal), (bit | 5, false), "{bit:#x}");
            // An illegal return loads ALLINT and PM, and leaves the others as they were, but for UINJ. Arm ARM,
            // SetPSTATEFromPSR.
            let loads = bit == 1 << 13 || bit == 1 << 32;
            let back = eret(&ReturnState { mask, ..state(0x3c5, bit | 9) });
            let loaded = if loads { bit } else { 0 };
            assert_eq!((back.pstate.into_bits(), back.illegal), (loaded | 0x10_0005, true), "{bit:#x}");
            let back = eret(&ReturnState { mask, ..state(bit | 0x3c5, 9) });
            let kept = if loads || bit == 1 << 36 { 0 } else { bit };
            assert_eq!((back.pstate.into_bits(), back.illegal), (kept | 0x10_0005, true), "{bit:#x}");
        }
    }

    #[test]
    fn a_stepping_debugger_at_el1_arms_el0() {
        let mut state = state(0x3c5, 0x20_0000);
        state.debug = DebugControls { mdscr: MdscrEl1::from_bits(1), os_lock: false, ..DebugControls::OFF };
        assert_eq!(eret(&state).pstate.into_bits(), 0x20_0000);
    }

    #[test]
    fn an_illegal_return_loads_ss_as_one_to_its_own_level() {
        const SS: u64 = 1 << 21;
        // KDE and SS: EL0 is stepped, and so is EL1 while D is 0. MDSCR_EL1, PSTATE, SPSR (to EL2), SS then. Arm ARM,
        // DebugExceptionReturnSS.
        const CASES: &[(&str, u64, u64, u64, bool)] = &[
            ("D was set and is not", 0x2001, 0x205, SS | 0x9, true),
            ("D stays", 0x2001, 0x205, SS | 0x209, false),
            ("already stepping", 0x2001, 0x5, SS | 0x9, false),
            ("no KDE", 0x0001, 0x205, SS | 0x9, false),
            ("SPSR.SS is 0", 0x2001, 0x205, 0x9, false),
        ];
        for (name, mdscr, pstate, spsr, want) in CASES {
            let mdscr = MdscrEl1::from_bits(*mdscr);
            let debug = DebugControls { mdscr, os_lock: false, ..DebugControls::OFF };
            let back = eret(&ReturnState { debug, ..state(*pstate, *spsr) });
            assert_eq!((back.pstate.ss(), back.illegal), (*want, true), "{name}");
        }
    }

    #[test]
    fn illegal_returns_are_those_the_manual_lists() {
        for m in 0..32u64 {
            let legal_at_el1 = matches!(m, 0b00000 | 0b00100 | 0b00101);
            assert_eq!(is_illegal_return(&state(0x3c5, m)), !legal_at_el1, "from EL1, M = {m:#07b}");
            let legal_at_el2 = legal_at_el1 || matches!(m, 0b01000 | 0b01001);
            assert_eq!(is_illegal_return(&state(0x3c9, m)), !legal_at_el2, "from EL2, M = {m:#07b}");
        }
        let with_user = ReturnState { mask: ALL.with(PState::new().with_nrw(true)), ..state(0x3c5, 0x10) };
        assert!(!is_illegal_return(&with_user), "AArch32 User where EL0 has AArch32");
        for m in 0x11..0x20 {
            let other = ReturnState { spsr: PState::from_bits(m), ..with_user };
            assert!(is_illegal_return(&other), "AArch32 mode {m:#x}, which no level above EL0 has");
        }
        let hosted = ReturnState { hcr: HcrEl2::new().with_tge(true), ..state(0x3c9, 0x5) };
        assert!(is_illegal_return(&hosted), "to EL1 with HCR_EL2.TGE");
        let hosted = ReturnState { hcr: HcrEl2::new().with_tge(true), ..state(0x3c9, 0x0) };
        assert!(!is_illegal_return(&hosted), "to EL0 with HCR_EL2.TGE");
    }

    #[test]
    fn an_illegal_return_sets_il_and_keeps_level_and_stack() {
        // From EL1h to EL2h: flags, masks and PAN come from SPSR, UAO and SSBS stay.
        let back = eret(&state(0x0080_13c5, 0xf140_0049));
        assert!(back.illegal);
        assert_eq!(back.pstate.into_bits(), 0xf0d0_1045);
        assert_eq!(back.pc, 0x40_0000);
        // From EL1t: the stack pointer stays SP_EL0.
        assert_eq!(eret(&state(0x4, 0x9)).pstate.into_bits(), 0x10_0004);
    }

    #[test]
    fn an_ignored_top_byte_becomes_bit_55() {
        const TBI0: u64 = 1 << 37;
        const TBI1: u64 = 1 << 38;
        const TBID0: u64 = 1 << 51;
        const CASES: &[(&str, u64, u64, u64)] = &[
            ("TBI0 = 0", TBI1, 0xab00_0000_0000_1000, 0xab00_0000_0000_1000),
            ("TBI0 = 1", TBI0, 0xab00_0000_0000_1000, 0x1000),
            ("TBI0 = TBID0 = 1", TBI0 | TBID0, 0xab00_0000_0000_1000, 0xab00_0000_0000_1000),
            ("TBI1 = 0", TBI0, 0xab80_0000_0000_1000, 0xab80_0000_0000_1000),
            ("TBI1 = 1", TBI1, 0xab80_0000_0000_1000, 0xff80_0000_0000_1000),
            ("TBI1 = TBID1 = 1", TBI1 | 1 << 52, 0xab80_0000_0000_1000, 0xab80_0000_0000_1000),
            ("bit 63 does not choose", TBI0, 0x8000_0000_0000_1000, 0x1000),
            ("nor does it where it is 0", TBI1, 0x0080_0000_0000_1000, 0xff80_0000_0000_1000),
        ];
        for (name, tcr, elr, want) in CASES {
            // To EL0, and illegally to EL2, which leaves the PE at EL1 but the address what it is. Arm ARM,
            // AArch64.ExceptionReturn.
            for spsr in [0x0, 0x9] {
                let state = ReturnState { elr: *elr, tcr: TcrEl1::from_bits(*tcr), ..state(0x3c5, spsr) };
                assert_eq!(eret(&state).pc, *want, "{name}, SPSR {spsr:#x}");
            }
            // At EL2 and EL3 the address is for the caller, also after a return that is illegal.
            for (pstate, spsr) in [(0x3c9, 0x9), (0x3c9, 0xd), (0x3cd, 0x2)] {
                let state = ReturnState { elr: *elr, tcr: TcrEl1::from_bits(*tcr), ..state(pstate, spsr) };
                assert_eq!(eret(&state).pc, *elr, "{name}, PSTATE {pstate:#x}, SPSR {spsr:#x}");
            }
        }
    }

    #[test]
    fn the_top_byte_at_el2_is_of_one_range_or_of_two() {
        const TAGGED: u64 = 0xab80_0000_0000_1000;
        let e2h = HcrEl2::new().with_e2h(true);
        let cases: &[(&str, u64, HcrEl2, u64)] = &[
            ("TBI is 0", 0, HcrEl2::new(), TAGGED),
            ("TBI", 1 << 20, HcrEl2::new(), 0x0080_0000_0000_1000),
            ("TBI and TBID", 1 << 20 | 1 << 29, HcrEl2::new(), TAGGED),
            ("E2H, TBI1", 1 << 38, e2h, 0xff80_0000_0000_1000),
            ("E2H, TBI0", 1 << 37, e2h, TAGGED),
            ("E2H has no TBI", 1 << 20, e2h, TAGGED),
        ];
        for (name, tcr, hcr, want) in cases {
            assert_eq!(branch_address_el2(TAGGED, *tcr, *hcr), *want, "{name}");
        }
        for (tcr, want) in [(0, TAGGED), (1 << 20, 0x0080_0000_0000_1000), (1 << 20 | 1 << 29, TAGGED)] {
            assert_eq!(branch_address_el3(TAGGED, tcr), want, "TCR_EL3 {tcr:#x}");
        }
    }

    #[test]
    fn a_return_is_illegal_to_an_el2_that_is_not_there_and_past_an_open_lock() {
        use ExceptionLock::{Disabled, Enabled};
        const EXLOCK: u64 = 1 << 34;
        // PSTATE, SPSR, EL2 enabled, EXLOCKEN, illegal.
        const CASES: &[(&str, u64, u64, bool, ExceptionLock, bool)] = &[
            ("EL3 to EL2", 0xd, 0x9, true, Disabled, false),
            ("EL3 to EL2, none", 0xd, 0x9, false, Disabled, true),
            ("EL3 to EL1, no EL2", 0xd, 0x5, false, Disabled, false),
            ("EL1 to EL1, locked", EXLOCK | 0x5, 0x5, true, Enabled, false),
            ("EL1 to EL1, unlocked", 0x5, 0x5, true, Enabled, true),
            ("EL1 to EL1, EXLOCKEN is 0", 0x5, 0x5, true, Disabled, false),
            ("EL1 to EL0, unlocked", 0x5, 0x0, true, Enabled, false),
        ];
        for (name, pstate, spsr, is_el2_enabled, lock, illegal) in CASES {
            let limits = ReturnLimits { is_el2_enabled: *is_el2_enabled, lock: *lock };
            let back = eret_within(&state(*pstate, *spsr | 0x8000_0000), limits);
            assert_eq!(
                (back.illegal, back.pstate.il(), back.pstate.n()),
                (*illegal, *illegal, true),
                "{name}"
            );
            assert_eq!(back.pstate.m(), bits::low8(if *illegal { *pstate } else { *spsr } & 15), "{name}");
        }
    }

    #[test]
    fn alignment_is_of_four_and_of_sixteen() {
        assert!(!is_pc_misaligned(0x1000) && is_pc_misaligned(0x1002) && is_pc_misaligned(0x1001));
        // SA is bit 3, SA0 bit 4.
        for (sctlr, el0, el1) in [(0, false, false), (8, false, true), (16, true, false), (24, true, true)] {
            let sctlr = SctlrEl1::from_bits(sctlr);
            for (sp, off) in [(0x1000, false), (0x1008, true), (0x100f, true), (0x1010, false)] {
                assert_eq!(is_sp_misaligned(sp, ExceptionLevel::El0, sctlr), el0 && off, "{sp:#x}");
                assert_eq!(is_sp_misaligned(sp, ExceptionLevel::El1, sctlr), el1 && off, "{sp:#x}");
                assert_eq!(is_sp_misaligned(sp, ExceptionLevel::El2, sctlr), el1 && off, "{sp:#x}");
            }
        }
    }
}
