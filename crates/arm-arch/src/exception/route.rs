//! Which exception level takes an exception: HCR_EL2, MDCR_EL2, HCRX_EL2 and SCR_EL3 against where it came from.
//! Arm ARM, the fields of each name.

use super::cause::Kind;
use crate::el::ExceptionLevel;
use crate::pstate::PState;
use crate::sysreg::{HcrEl2, HcrxEl2, MdcrEl2, ScrEl3};

/// What routes exceptions. Arm ARM, the field of each name: HCR_EL2.TGE, SCR_EL3.EA, MDCR_EL2.TDE and others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Routing {
    /// `HCR_EL2`.
    pub hcr: HcrEl2,
    /// `HCRX_EL2`; 0 where it does not exist or SCR_EL3.HXEn is 0.
    pub hcrx: HcrxEl2,
    /// `MDCR_EL2`.
    pub mdcr: MdcrEl2,
    /// `SCR_EL3`; `None` where there is no EL3.
    pub scr: Option<ScrEl3>,
    /// EL2 is implemented.
    pub has_el2: bool,
}

/// A synchronous exception, as far as its target depends on what it is.
/// Arm ARM, the pseudocode of each: AArch64.Abort, AArch64.CallHypervisor, AArch64.BreakpointException and others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Synchronous {
    /// All that have no row of their own: UNDEFINED, SVC, illegal state, alignment, stage 1 faults, disabled
    /// floating point, authentication failures.
    General,
    /// HVC.
    Hvc,
    /// SMC.
    Smc,
    /// BRK.
    SoftwareBreakpoint,
    /// Breakpoint, watchpoint or software step.
    Debug,
    /// A fault of stage 2, also on a walk of stage 1.
    Stage2,
    /// A synchronous external abort; `is_stage2` on an access that stage 2 or FEAT_NV2 makes.
    External {
        /// Of a stage 2 walk, or of an access of FEAT_NV2.
        is_stage2: bool,
    },
    /// A granule protection fault. FEAT_RME.
    GranuleProtection,
    /// An exception of the memory copy and set instructions. FEAT_MOPS.
    MemoryCopy,
}

/// Where a synchronous exception goes. Arm ARM, AArch64.TakeException.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Route {
    /// It is taken to this level.
    To(ExceptionLevel),
    /// The instruction is UNDEFINED: [`Synchronous::General`] says where that goes.
    Undefined,
}

/// Where a physical interrupt goes. Arm ARM, "Asynchronous exception routing".
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InterruptRoute {
    /// It is taken to this level, unless PSTATE masks it.
    Maskable(ExceptionLevel),
    /// It is taken to this level whatever PSTATE says.
    Unmaskable(ExceptionLevel),
    /// It is for a lower level, and stays pending.
    Pending,
}

impl Routing {
    /// Whether EL2 exists in the current security state. Arm ARM, EL2Enabled.
    #[must_use]
    pub fn is_el2_enabled(&self) -> bool {
        self.has_el2 && self.scr.is_none_or(|scr| scr.ns() || scr.eel2())
    }

    /// HCR_EL2 where EL2 is enabled, else 0.
    fn hcr(&self) -> HcrEl2 {
        if self.is_el2_enabled() { self.hcr } else { HcrEl2::new() }
    }

    /// Returns where a synchronous exception from `pstate` goes.
    /// Arm ARM, the pseudocode of each exception, as AArch64.CallHypervisor.
    pub fn synchronous(&self, exception: Synchronous, pstate: PState) -> Route {
        let el = pstate.el();
        let hcr = self.hcr();
        let general = match el {
            ExceptionLevel::El0 if hcr.tge() => ExceptionLevel::El2,
            ExceptionLevel::El0 | ExceptionLevel::El1 => ExceptionLevel::El1,
            ExceptionLevel::El2 | ExceptionLevel::El3 => el,
        };
        let el2_if = |taken: bool| Route::To(if taken { general.max(ExceptionLevel::El2) } else { general });
        let is_guest = el <= ExceptionLevel::El1;
        match exception {
            Synchronous::General => Route::To(general),
            Synchronous::Hvc => self.hvc(el),
            Synchronous::Smc => self.smc(el),
            Synchronous::SoftwareBreakpoint | Synchronous::Debug => {
                el2_if(is_guest && self.is_el2_enabled() && (hcr.tge() || self.mdcr.tde()))
            }
            Synchronous::Stage2 => el2_if(is_guest),
            Synchronous::External { is_stage2 } => {
                if self.scr.is_some_and(|scr| scr.ea()) {
                    return Route::To(ExceptionLevel::El3);
                }
                let explicit = is_guest && (is_stage2 || hcr.tea());
                match self.masked_error(el) {
                    Some(target) if pstate.a() && !explicit => Route::To(target),
                    Some(_) | None => el2_if(explicit),
                }
            }
            Synchronous::GranuleProtection if self.scr.is_some_and(|scr| scr.gpf()) => {
                Route::To(ExceptionLevel::El3)
            }
            Synchronous::GranuleProtection => el2_if(is_guest && hcr.gpf()),
            Synchronous::MemoryCopy => {
                el2_if(el == ExceptionLevel::El1 && self.is_el2_enabled() && self.hcrx.mce2())
            }
        }
    }

    /// Returns the level that takes an error which PSTATE.A masks at `el` and which is routed nowhere else: EL2 from EL1,
    /// EL3 from EL1 and EL2. FEAT_DoubleFault2. Arm ARM, HCRX_EL2.TMEA, SCR_EL3.TMEA.
    pub(super) fn masked_error(&self, el: ExceptionLevel) -> Option<ExceptionLevel> {
        let by_el3 = self.scr.is_some_and(|scr| scr.tmea());
        match el {
            ExceptionLevel::El1 if self.is_el2_enabled() && self.hcrx.tmea() => Some(ExceptionLevel::El2),
            ExceptionLevel::El1 | ExceptionLevel::El2 if by_el3 => Some(ExceptionLevel::El3),
            ExceptionLevel::El0 | ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => None,
        }
    }

    /// Arm ARM, HVC; AArch64.CallHypervisor.
    fn hvc(&self, el: ExceptionLevel) -> Route {
        let enabled = self.scr.map_or(!self.hcr.hcd(), |scr| scr.hce());
        match el {
            ExceptionLevel::El1 | ExceptionLevel::El2 if self.is_el2_enabled() && enabled => {
                Route::To(ExceptionLevel::El2)
            }
            ExceptionLevel::El3 if self.has_el2 && enabled => Route::To(ExceptionLevel::El3),
            ExceptionLevel::El0 | ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => {
                Route::Undefined
            }
        }
    }

    /// Arm ARM, AArch64.CheckForSMCUndefOrTrap. CHOICE: without EL3 TSC traps too, and not only under nested
    /// virtualization, as in [`crate::trap::smc`]: where EL2 wants to hear of SMC it is how a guest makes calls.
    fn smc(&self, el: ExceptionLevel) -> Route {
        let traps = el == ExceptionLevel::El1 && self.hcr().tsc();
        match self.scr {
            _ if el == ExceptionLevel::El0 => Route::Undefined,
            Some(_) if traps => Route::To(ExceptionLevel::El2),
            Some(scr) if scr.smd() => Route::Undefined,
            Some(_) => Route::To(ExceptionLevel::El3),
            None if traps => Route::To(ExceptionLevel::El2),
            None => Route::Undefined,
        }
    }

    /// Returns where a physical interrupt goes that is pending while the element is at `el`; a synchronous kind goes
    /// nowhere. Arm ARM, "Asynchronous exception routing".
    pub fn interrupt(&self, kind: Kind, el: ExceptionLevel) -> InterruptRoute {
        let hcr = self.hcr();
        let (to_el3, to_el2) = match kind {
            Kind::Sync => return InterruptRoute::Pending,
            Kind::Irq => (self.scr.is_some_and(|scr| scr.irq()), hcr.imo()),
            Kind::Fiq => (self.scr.is_some_and(|scr| scr.fiq()), hcr.fmo()),
            Kind::SError => (self.scr.is_some_and(|scr| scr.ea()), hcr.amo()),
        };
        match el {
            ExceptionLevel::El3 if to_el3 => InterruptRoute::Maskable(ExceptionLevel::El3),
            ExceptionLevel::El3 => InterruptRoute::Pending,
            ExceptionLevel::El0 | ExceptionLevel::El1 | ExceptionLevel::El2 if to_el3 => {
                InterruptRoute::Unmaskable(ExceptionLevel::El3)
            }
            ExceptionLevel::El2 if hcr.tge() || to_el2 => InterruptRoute::Maskable(ExceptionLevel::El2),
            ExceptionLevel::El2 => InterruptRoute::Pending,
            // The host's EL0 and its EL2 are one program: PSTATE masks.
            ExceptionLevel::El0 | ExceptionLevel::El1 if hcr.tge() && hcr.e2h() => {
                InterruptRoute::Maskable(ExceptionLevel::El2)
            }
            ExceptionLevel::El0 | ExceptionLevel::El1 if hcr.tge() || to_el2 => {
                InterruptRoute::Unmaskable(ExceptionLevel::El2)
            }
            ExceptionLevel::El0 | ExceptionLevel::El1 => InterruptRoute::Maskable(ExceptionLevel::El1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TGE: u64 = 1 << 27;
    const E2H: u64 = 1 << 34;
    const IMO: u64 = 1 << 4;
    const TSC: u64 = 1 << 19;
    const TEA: u64 = 1 << 37;
    const NV: u64 = 1 << 42;
    const GPF: u64 = 1 << 48;
    const NS: u64 = 1;
    const EL: [ExceptionLevel; 4] =
        [ExceptionLevel::El0, ExceptionLevel::El1, ExceptionLevel::El2, ExceptionLevel::El3];
    const MODE: [u64; 4] = [0x0, 0x5, 0x9, 0xd];

    fn routing(hcr: u64, scr: Option<u64>) -> Routing {
        Routing {
            hcr: HcrEl2::from_bits(hcr),
            hcrx: HcrxEl2::new(),
            mdcr: MdcrEl2::new(),
            scr: scr.map(ScrEl3::from_bits),
            has_el2: true,
        }
    }

    /// Level taken to, from EL0 to EL3; 9 for UNDEFINED.
    fn targets(routing: &Routing, exception: Synchronous) -> [u8; 4] {
        MODE.map(|mode| match routing.synchronous(exception, PState::from_bits(mode)) {
            Route::To(el) => el.number(),
            Route::Undefined => 9,
        })
    }

    #[test]
    fn scr_el3_is_laid_out_as_the_manual_numbers_it() {
        let scr = ScrEl3::from_bits(1 << 62 | 1 << 48 | 1 << 27 | 1 << 19 | 1 << 18 | 0x18f);
        assert!(scr.ns() && scr.irq() && scr.fiq() && scr.ea() && scr.smd() && scr.hce());
        assert!(scr.eel2() && scr.ease() && scr.fgten() && scr.gpf() && scr.nse());
        let others = ScrEl3::from_bits(!scr.into_bits());
        assert!(
            !others.ns() && !others.irq() && !others.fiq() && !others.ea() && !others.smd() && !others.hce()
        );
        assert!(!others.eel2() && !others.ease() && !others.fgten() && !others.gpf() && !others.nse());
    }

    #[test]
    fn synchronous_exceptions_go_where_the_controls_say() {
        use Synchronous::{
            Debug, External, General, GranuleProtection, Hvc, Smc, SoftwareBreakpoint, Stage2,
        };
        let direct = External { is_stage2: false };
        let walk = External { is_stage2: true };
        let secure = Some(0);
        type Case = (&'static str, Synchronous, u64, Option<u64>, [u8; 4]);
        let cases: &[Case] = &[
            ("general", General, 0, Some(NS), [1, 1, 2, 3]),
            ("general, TGE", General, TGE, Some(NS), [2, 1, 2, 3]),
            ("general, TGE, Secure without EEL2", General, TGE, secure, [1, 1, 2, 3]),
            ("general, TGE, Secure with EEL2", General, TGE, Some(1 << 18), [2, 1, 2, 3]),
            ("HVC, no EL3", Hvc, 0, None, [9, 2, 2, 9]),
            ("HVC, HCD", Hvc, 1 << 29, None, [9, 9, 9, 9]),
            ("HVC, HCE = 0", Hvc, 0, Some(NS), [9, 9, 9, 9]),
            ("HVC, HCE = 1, HCD does not count", Hvc, 1 << 29, Some(NS | 0x100), [9, 2, 2, 3]),
            ("HVC, HCE = 1, Secure", Hvc, 0, Some(0x100), [9, 9, 9, 3]),
            ("SMC", Smc, 0, Some(NS), [9, 3, 3, 3]),
            ("SMC, TSC", Smc, TSC, Some(NS), [9, 2, 3, 3]),
            ("SMC, SMD", Smc, 0, Some(NS | 0x80), [9, 9, 9, 9]),
            ("SMC, SMD and TSC", Smc, TSC, Some(NS | 0x80), [9, 2, 9, 9]),
            ("SMC, no EL3", Smc, 0, None, [9, 9, 9, 9]),
            ("SMC, no EL3, TSC", Smc, TSC, None, [9, 2, 9, 9]),
            ("SMC, no EL3, TSC and NV", Smc, TSC | NV, None, [9, 2, 9, 9]),
            ("SMC, TSC, Secure without EEL2", Smc, TSC, secure, [9, 3, 3, 3]),
            ("stage 2", Stage2, 0, Some(NS), [2, 2, 2, 3]),
            ("external", direct, 0, Some(NS), [1, 1, 2, 3]),
            ("external, TEA", direct, TEA, Some(NS), [2, 2, 2, 3]),
            ("external, TGE", direct, TGE, Some(NS), [2, 1, 2, 3]),
            ("external, EA", direct, TEA, Some(NS | 8), [3, 3, 3, 3]),
            ("external on a stage 2 walk", walk, 0, Some(NS), [2, 2, 2, 3]),
            ("granule protection", GranuleProtection, 0, Some(NS), [1, 1, 2, 3]),
            ("granule protection, HCR.GPF", GranuleProtection, GPF, Some(NS), [2, 2, 2, 3]),
            ("granule protection, SCR.GPF", GranuleProtection, GPF, Some(NS | 1 << 48), [3, 3, 3, 3]),
            ("debug", Debug, 0, Some(NS), [1, 1, 2, 3]),
            ("debug, TGE", Debug, TGE, Some(NS), [2, 2, 2, 3]),
            ("BRK, TGE", SoftwareBreakpoint, TGE, Some(NS), [2, 2, 2, 3]),
        ];
        for (name, exception, hcr, scr, want) in cases {
            let levels = if scr.is_some() { 4 } else { 3 };
            let got = targets(&routing(*hcr, *scr), *exception);
            assert_eq!(got[..levels], want[..levels], "{name}");
        }
        let tde = Routing { mdcr: MdcrEl2::from_bits(1 << 8), ..routing(0, None) };
        assert_eq!(targets(&tde, Debug), [2, 2, 2, 3], "MDCR.TDE");
        assert_eq!(targets(&tde, General), [1, 1, 2, 3], "MDCR.TDE is for debug exceptions only");
        let alone = Routing { has_el2: false, ..routing(TGE | TEA, None) };
        assert_eq!(targets(&alone, General), [1, 1, 2, 3], "no EL2");
        let copies = Routing { hcrx: HcrxEl2::from_bits(1 << 10), ..routing(0, None) };
        assert_eq!(targets(&copies, Synchronous::MemoryCopy), [1, 2, 2, 3], "HCRX.MCE2");
        let masked = Routing { hcrx: HcrxEl2::from_bits(1 << 19), ..routing(0, None) };
        assert_eq!(targets(&masked, direct), [1, 1, 2, 3], "HCRX.TMEA, A is 0");
    }

    #[test]
    fn an_error_that_a_masks_goes_where_tmea_says() {
        let direct = Synchronous::External { is_stage2: false };
        let walk = Synchronous::External { is_stage2: true };
        const HCRX_TMEA: u64 = 1 << 19;
        const SCR_TMEA: u64 = 1 << 51;
        type Case = (&'static str, Synchronous, u64, u64, u64, [u8; 4], [u8; 4]);
        // HCR_EL2, HCRX_EL2, SCR_EL3, levels taken to from EL0 to EL3 with PSTATE.A 0 and 1.
        let cases: &[Case] = &[
            ("neither", direct, 0, 0, NS, [1, 1, 2, 3], [1, 1, 2, 3]),
            ("HCRX.TMEA", direct, 0, HCRX_TMEA, NS, [1, 1, 2, 3], [1, 2, 2, 3]),
            ("HCRX.TMEA, Secure without EEL2", direct, 0, HCRX_TMEA, 0, [1, 1, 2, 3], [1, 1, 2, 3]),
            ("SCR.TMEA", direct, 0, 0, NS | SCR_TMEA, [1, 1, 2, 3], [1, 3, 3, 3]),
            ("both", direct, 0, HCRX_TMEA, NS | SCR_TMEA, [1, 1, 2, 3], [1, 2, 3, 3]),
            ("SCR.TMEA and TEA", direct, TEA, 0, NS | SCR_TMEA, [2, 2, 2, 3], [2, 2, 3, 3]),
            ("SCR.TMEA, on a stage 2 walk", walk, 0, 0, NS | SCR_TMEA, [2, 2, 2, 3], [2, 2, 3, 3]),
            ("SCR.TMEA and EA", direct, 0, 0, NS | SCR_TMEA | 8, [3, 3, 3, 3], [3, 3, 3, 3]),
        ];
        for (name, exception, hcr, hcrx, scr, open, masked) in cases {
            let routing = Routing { hcrx: HcrxEl2::from_bits(*hcrx), ..routing(*hcr, Some(*scr)) };
            for (a, want) in [(0, open), (0x100, masked)] {
                let got =
                    MODE.map(|mode| match routing.synchronous(*exception, PState::from_bits(mode | a)) {
                        Route::To(el) => el.number(),
                        Route::Undefined => 9,
                    });
                assert_eq!(got, *want, "{name}, A {a:#x}");
            }
        }
    }

    #[test]
    fn controls_of_an_el2_that_is_not_enabled_route_nothing() {
        // All that could route, in Secure state without a Secure EL2, where there is no EL2, and in Non-secure state.
        let all = |scr: Option<u64>, has_el2| Routing {
            hcr: HcrEl2::from_bits(TGE | TEA | TSC | GPF | 0x38),
            hcrx: HcrxEl2::from_bits(1 << 10 | 1 << 19),
            mdcr: MdcrEl2::from_bits(1 << 8),
            scr: scr.map(ScrEl3::from_bits),
            has_el2,
        };
        let direct = Synchronous::External { is_stage2: false };
        let kinds = [
            Synchronous::General,
            Synchronous::Debug,
            Synchronous::SoftwareBreakpoint,
            direct,
            Synchronous::GranuleProtection,
            Synchronous::MemoryCopy,
        ];
        for kind in kinds {
            assert_eq!(targets(&all(Some(0), true), kind)[..2], [1, 1], "{kind:?}, Secure");
            assert_eq!(targets(&all(None, false), kind)[..2], [1, 1], "{kind:?}, no EL2");
            assert_ne!(targets(&all(Some(NS), true), kind)[..2], [1, 1], "{kind:?}, Non-secure");
        }
        assert_eq!(targets(&all(Some(0), true), Synchronous::Smc), [9, 3, 3, 3], "TSC, Secure");
        assert_eq!(targets(&all(Some(0x100), false), Synchronous::Hvc), [9, 9, 9, 9], "HVC, no EL2, HCE");
        assert_eq!(targets(&all(Some(0x100), true), Synchronous::Hvc), [9, 9, 9, 3], "HVC, Secure, HCE");
    }

    #[test]
    fn physical_interrupts_go_where_the_tables_of_the_manual_say() {
        use InterruptRoute::{Maskable as M, Pending, Unmaskable as U};
        const EL1: ExceptionLevel = ExceptionLevel::El1;
        const EL2: ExceptionLevel = ExceptionLevel::El2;
        const EL3: ExceptionLevel = ExceptionLevel::El3;
        // HCR_EL2, SCR_EL3.IRQ, then from EL0 to EL3.
        const CASES: &[(u64, bool, [InterruptRoute; 4])] = &[
            (0, false, [M(EL1), M(EL1), Pending, Pending]),
            (IMO, false, [U(EL2), U(EL2), M(EL2), Pending]),
            (TGE, false, [U(EL2), U(EL2), M(EL2), Pending]),
            (TGE | IMO, false, [U(EL2), U(EL2), M(EL2), Pending]),
            (E2H, false, [M(EL1), M(EL1), Pending, Pending]),
            (E2H | IMO, false, [U(EL2), U(EL2), M(EL2), Pending]),
            (E2H | TGE, false, [M(EL2), M(EL2), M(EL2), Pending]),
            (E2H | TGE | IMO, false, [M(EL2), M(EL2), M(EL2), Pending]),
            (0, true, [U(EL3), U(EL3), U(EL3), M(EL3)]),
            (E2H | TGE | IMO, true, [U(EL3), U(EL3), U(EL3), M(EL3)]),
        ];
        for (hcr, el3, want) in CASES {
            let routing = routing(*hcr, Some(NS | u64::from(*el3) << 1));
            assert_eq!(EL.map(|el| routing.interrupt(Kind::Irq, el)), *want, "HCR {hcr:#x}, EL3 {el3}");
        }
        // Each kind has its own bits.
        for (kind, hcr, scr) in
            [(Kind::Fiq, 1 << 3, 1 << 2), (Kind::Irq, 1 << 4, 1 << 1), (Kind::SError, 1 << 5, 8)]
        {
            let other = routing(0x38 & !hcr, Some(NS | 0xe & !scr));
            assert_eq!(other.interrupt(kind, EL1), M(EL1), "{kind:?}");
            assert_eq!(routing(hcr, Some(NS)).interrupt(kind, EL1), U(EL2), "{kind:?}");
            assert_eq!(routing(0, Some(NS | scr)).interrupt(kind, EL1), U(EL3), "{kind:?}");
            assert_eq!(routing(hcr, Some(0)).interrupt(kind, EL1), M(EL1), "{kind:?}: Secure, no EL2");
        }
        assert_eq!(routing(u64::MAX, None).interrupt(Kind::Sync, EL1), Pending);
    }
}
