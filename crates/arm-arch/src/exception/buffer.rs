//! Profiling exceptions of the Profiling Buffer and of the trace buffer: for which level a management event is recorded,
//! and which level takes the exception. FEAT_SPE_EXC, FEAT_TRBE_EXC. Arm ARM, ReportSPEEvent, CheckForSPEException;
//! TRFCR_EL1, TRFCR_EL2.

use super::route::Routing;
use crate::el::ExceptionLevel;
use crate::iss::{Pmu, ProfilingUnit};
use crate::pstate::PState;
use crate::sysreg::{Event, MdcrEl3, Pmscr, Trfcr};

/// The controls of one buffer, beside [`Routing`]. Zeros, of registers that are not there, disable exceptions.
/// Arm ARM, PMSCR_EL1, PMSCR_EL2, TRFCR_EL1, TRFCR_EL2, MDCR_EL3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferControls {
    unit: ProfilingUnit,
    /// MDCR_EL3.PMSEE or TRBEE.
    el3_ee: u8,
    /// MDCR_EL3.{NSPBE, NSPB} or {NSTBE, NSTB}: the security state that owns the buffer.
    state: (bool, u8),
    el2: Enable,
    el1: Enable,
}

/// EE and KE of a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Enable {
    ee: u8,
    ke: bool,
}

/// The levels for which an event is recorded: S of PMBSR_EL1 to PMBSR_EL3, IRQ of TRBSR_EL1 to TRBSR_EL3. Arm ARM,
/// PMBSR_EL1.S, TRBSR_EL1.IRQ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    /// For EL1.
    pub el1: bool,
    /// For EL2.
    pub el2: bool,
    /// For EL3.
    pub el3: bool,
}

/// EE: exceptions of EL1 only.
const DELEGATED: u8 = 0b01;
/// EE: all events.
const ALL: u8 = 0b11;

/// Whether EE has exceptions for its own level: 1x.
const fn is_own(ee: u8) -> bool {
    ee & 0b10 != 0
}

impl BufferControls {
    /// Takes the controls of the Profiling Buffer out of MDCR_EL3 (which counts where there is an EL3), PMSCR_EL2 and
    /// PMSCR_EL1. Arm ARM, MDCR_EL3.PMSEE, PMSCR_EL2.EE, PMSCR_EL1.EE.
    #[must_use]
    pub const fn profiling(mdcr: MdcrEl3, el2: Pmscr, el1: Pmscr) -> Self {
        Self {
            unit: ProfilingUnit::SPE,
            el3_ee: mdcr.pmsee(),
            state: (mdcr.nspbe(), mdcr.nspb()),
            el2: Enable { ee: el2.ee(), ke: el2.ke() },
            el1: Enable { ee: el1.ee(), ke: el1.ke() },
        }
    }

    /// Takes the controls of the trace buffer out of MDCR_EL3 (which counts where there is an EL3), TRFCR_EL2 and
    /// TRFCR_EL1. Arm ARM, MDCR_EL3.TRBEE, TRFCR_EL2.EE, TRFCR_EL1.EE.
    #[must_use]
    pub const fn trace(mdcr: MdcrEl3, el2: Trfcr, el1: Trfcr) -> Self {
        Self {
            unit: ProfilingUnit::TRBE,
            el3_ee: mdcr.trbee(),
            state: (mdcr.nstbe(), mdcr.nstb()),
            el2: Enable { ee: el2.ee(), ke: el2.ke() },
            el1: Enable { ee: el1.ee(), ke: el1.ke() },
        }
    }

    /// EE of EL3 as it counts.
    fn el3_ee(&self, routing: &Routing) -> u8 {
        if routing.scr.is_some() { self.el3_ee } else { DELEGATED }
    }

    /// EE of EL2 as it counts. Arm ARM, EffectivePMSCR_EL2_EE; TRFCR_EL2.EE.
    fn el2_ee(&self, routing: &Routing) -> u8 {
        match self.el3_ee(routing) {
            0 => 0,
            _ if routing.is_el2_enabled() => self.el2.ee,
            _ => DELEGATED,
        }
    }

    /// Whether EE of EL1 has exceptions, as it counts. CHOICE: 01 and 10, which are reserved without FEAT_NV, are 00 and
    /// 11, as with it. Arm ARM, EffectivePMSCR_EL1_EE; TRFCR_EL1.EE.
    fn has_el1(&self, routing: &Routing) -> bool {
        self.el2_ee(routing) != 0 && is_own(self.el1.ee)
    }

    /// Whether the current security state owns the buffer, and the level that does. Arm ARM, ProfilingBufferOwner.
    fn owner(&self, routing: &Routing) -> (bool, ExceptionLevel) {
        let (realm, state) = self.state;
        let is_nonsecure = is_own(state);
        let is_own_state = routing.scr.is_none_or(|scr| (scr.ns(), scr.nse()) == (is_nonsecure, realm));
        let is_secure = routing.scr.is_some() && !is_nonsecure;
        let has_el2 = routing.has_el2 && (!is_secure || routing.scr.is_some_and(|scr| scr.eel2()));
        let field = if self.unit == ProfilingUnit::TRBE { routing.mdcr.e2tb() } else { routing.mdcr.e2pb() };
        let level = if has_el2 && field == 0 { ExceptionLevel::El2 } else { ExceptionLevel::El1 };
        (is_own_state, level)
    }

    /// Returns the level for which an event is recorded: which of the three syndrome registers is written. Arm ARM,
    /// ReportSPEEvent; of the trace buffer TRFCR_EL2.EE.
    #[must_use]
    pub fn recorded_for(&self, routing: &Routing, event: Event) -> ExceptionLevel {
        let (_, owner) = self.owner(routing);
        let (stage1, stage2, fsc) = match event {
            Event::Stage1(fsc) => (true, false, fsc),
            Event::Stage2(fsc) => (false, true, fsc),
            Event::Other(_) | Event::GranuleProtectionCheck | Event::ImplementationDefined(_) => {
                (false, false, 0)
            }
        };
        let check = event == Event::GranuleProtectionCheck;
        let is_fault = stage1 || stage2;
        let protection = is_fault && matches!(fsc, 0b10_0010..=0b10_1000);
        let external = is_fault && matches!(fsc, 0b01_0000 | 0b01_0010..=0b01_0111 | 0b01_1011);
        let (el3_ee, el2_ee) = (self.el3_ee(routing), self.el2_ee(routing));
        let scr = routing.scr.unwrap_or_default();
        let to_el3 = el3_ee == ALL || check || protection && scr.gpf() || external && scr.ea();
        let hcr = routing.hcr;
        let to_el2 = el2_ee == ALL
            || stage1 && owner == ExceptionLevel::El2
            || stage2
            || check
            || protection && hcr.gpf()
            || external && hcr.tea();
        if is_own(el3_ee) && to_el3 {
            ExceptionLevel::El3
        } else if is_own(el2_ee) && to_el2 {
            ExceptionLevel::El2
        } else {
            ExceptionLevel::El1
        }
    }

    /// Returns the level that takes a profiling exception now, with its ISS; `None` if none is pending that is enabled
    /// and unmasked. CHOICE: of several the one of the highest level. Arm ARM, CheckForSPEException; of the trace buffer
    /// TRFCR_EL1 and TRFCR_EL2, EE and KE.
    #[must_use]
    pub fn exception(
        &self,
        routing: &Routing,
        recorded: Recorded,
        pstate: PState,
    ) -> Option<(ExceptionLevel, Pmu)> {
        let el = pstate.el();
        let (is_own_state, _) = self.owner(routing);
        let el2_ee = self.el2_ee(routing);
        let own_level = |enable: Enable| enable.ke && !pstate.pm();
        let by_el3 = is_own(self.el3_ee(routing)) && recorded.el3 && el < ExceptionLevel::El3;
        let unmasked_el2 = match el {
            ExceptionLevel::El0 | ExceptionLevel::El1 => true,
            ExceptionLevel::El2 => el2_ee == ALL && own_level(self.el2),
            ExceptionLevel::El3 => false,
        };
        let by_el2 = is_own(el2_ee) && recorded.el2 && is_own_state && unmasked_el2;
        let unmasked_el1 = match el {
            ExceptionLevel::El0 => true,
            ExceptionLevel::El1 => own_level(self.el1),
            ExceptionLevel::El2 | ExceptionLevel::El3 => false,
        };
        let by_el1 = self.has_el1(routing) && recorded.el1 && is_own_state && unmasked_el1;
        let iss = Pmu::new().with_fsc(self.unit);
        if by_el3 {
            Some((ExceptionLevel::El3, iss))
        } else if by_el2 || by_el1 && routing.is_el2_enabled() && routing.hcr.tge() {
            Some((ExceptionLevel::El2, iss))
        } else if by_el1 {
            Some((ExceptionLevel::El1, iss))
        } else {
            None
        }
    }

    /// Whether an event recorded for EL1 asserts the interrupt request (PMBIRQ, TRBIRQ) and is no exception. Arm ARM,
    /// PMBSR_EL1.S, TRBSR_EL1.IRQ.
    #[must_use]
    pub fn is_interrupt(&self, routing: &Routing) -> bool {
        !self.has_el1(routing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::{HcrEl2, HcrxEl2, MdcrEl2, ScrEl3};

    const EL1: ExceptionLevel = ExceptionLevel::El1;
    const EL2: ExceptionLevel = ExceptionLevel::El2;
    const EL3: ExceptionLevel = ExceptionLevel::El3;

    /// Non-secure state with an EL2, and the buffer EL1's or (`false`) EL2's.
    fn routing(has_el3: bool, el1_owns: bool) -> Routing {
        let mdcr = if el1_owns { MdcrEl2::new().with_e2pb(3).with_e2tb(3) } else { MdcrEl2::new() };
        Routing {
            hcr: HcrEl2::new(),
            hcrx: HcrxEl2::new(),
            mdcr,
            scr: has_el3.then(|| ScrEl3::new().with_ns(true)),
            has_el2: true,
        }
    }

    /// Both buffers with the same fields: EE of EL3, EE and KE of EL2, of EL1; the Non-secure state owns them.
    fn both(el3: u8, el2: (u8, bool), el1: (u8, bool)) -> [BufferControls; 2] {
        let mdcr = MdcrEl3::new().with_nspb(3).with_nstb(3).with_pmsee(el3).with_trbee(el3);
        let pmscr = |(ee, ke)| Pmscr::new().with_ee(ee).with_ke(ke);
        let trfcr = |(ee, ke)| Trfcr::new().with_ee(ee).with_ke(ke);
        [
            BufferControls::profiling(mdcr, pmscr(el2), pmscr(el1)),
            BufferControls::trace(mdcr, trfcr(el2), trfcr(el1)),
        ]
    }

    #[test]
    fn an_event_is_recorded_for_the_level_that_asked_for_its_kind() {
        const FULL: Event = Event::Other(1);
        const STAGE_1: Event = Event::Stage1(0b00_0111);
        const STAGE_2: Event = Event::Stage2(0b00_0111);
        const EXTERNAL: Event = Event::Stage1(0b01_0000);
        const ASYNCHRONOUS: Event = Event::Stage1(0b01_0001);
        const PROTECTION: Event = Event::Stage1(0b10_1000);
        const UNSUPPORTED: Event = Event::Stage1(0b11_0001);
        const CHECK: Event = Event::GranuleProtectionCheck;
        let (tea, gpf) = (HcrEl2::new().with_tea(true), HcrEl2::new().with_gpf(true));
        // EE of EL3 and EL2, HCR_EL2, whether EL1 owns the buffer, and where the event goes.
        let cases: &[(&str, u8, u8, HcrEl2, bool, Event, ExceptionLevel)] = &[
            ("delegated", 1, 1, HcrEl2::new(), true, STAGE_2, EL1),
            ("EL2 traps all", 1, 3, HcrEl2::new(), true, FULL, EL2),
            ("EL2 traps faults of its own", 1, 2, HcrEl2::new(), true, FULL, EL1),
            ("stage 1 of EL1", 1, 2, HcrEl2::new(), true, STAGE_1, EL1),
            ("stage 1 of EL2", 1, 2, HcrEl2::new(), false, STAGE_1, EL2),
            ("stage 2", 1, 2, HcrEl2::new(), true, STAGE_2, EL2),
            ("an external abort", 1, 2, HcrEl2::new(), true, EXTERNAL, EL1),
            ("with TEA", 1, 2, tea, true, EXTERNAL, EL2),
            ("an asynchronous one", 1, 2, tea, true, ASYNCHRONOUS, EL1),
            ("a granule protection fault", 1, 2, HcrEl2::new(), true, PROTECTION, EL1),
            ("with GPF", 1, 2, gpf, true, PROTECTION, EL2),
            ("not another fault", 1, 2, gpf, true, UNSUPPORTED, EL1),
            ("a granule protection check", 1, 2, HcrEl2::new(), true, CHECK, EL2),
            ("that EL3 takes", 2, 2, HcrEl2::new(), true, CHECK, EL3),
            ("EL3 leaves stage 2", 2, 2, HcrEl2::new(), true, STAGE_2, EL2),
            ("EL3 traps all", 3, 3, HcrEl2::new(), true, FULL, EL3),
            ("PMSEE = 0 disables all", 0, 3, HcrEl2::new(), true, STAGE_2, EL1),
            ("EE of EL2 = 0", 1, 0, HcrEl2::new(), true, STAGE_2, EL1),
        ];
        for (name, el3, el2, hcr, el1_owns, event, want) in cases {
            let routing = Routing { hcr: *hcr, ..routing(true, *el1_owns) };
            for controls in both(*el3, (*el2, false), (3, false)) {
                assert_eq!(controls.recorded_for(&routing, *event), *want, "{name}");
            }
        }
        let to_el3 = |change: fn(ScrEl3) -> ScrEl3, event| {
            let mut routing = routing(true, true);
            routing.scr = routing.scr.map(change);
            both(2, (1, false), (3, false)).map(|controls| controls.recorded_for(&routing, event))
        };
        assert_eq!(to_el3(|scr| scr.with_ea(true), EXTERNAL), [EL3, EL3]);
        assert_eq!(to_el3(|scr| scr.with_gpf(true), PROTECTION), [EL3, EL3]);
        assert_eq!(to_el3(|scr| scr, EXTERNAL), [EL1, EL1]);
    }

    #[test]
    fn a_recorded_event_is_taken_where_it_is_enabled_and_unmasked() {
        const PM: u64 = 1 << 32;
        let el = |level: u64| level << 2 | u64::from(level > 0);
        let (one, two, three) = (
            Recorded { el1: true, ..Recorded::default() },
            Recorded { el2: true, ..Recorded::default() },
            Recorded { el3: true, ..Recorded::default() },
        );
        // EE of EL3; EE and KE of EL2 and of EL1; what is recorded; PSTATE; who takes it.
        type Case = (&'static str, u8, (u8, bool), (u8, bool), Recorded, u64, Option<ExceptionLevel>);
        let cases: &[Case] = &[
            ("EL1's at EL0", 1, (1, false), (3, false), one, el(0), Some(EL1)),
            ("EL1's at EL1", 1, (1, false), (3, false), one, el(1), None),
            ("with KE", 1, (1, false), (3, true), one, el(1), Some(EL1)),
            ("with PM", 1, (1, false), (3, true), one, el(1) | PM, None),
            ("PM at EL0 masks nothing", 1, (1, false), (3, true), one, PM, Some(EL1)),
            ("EL1's at EL2", 1, (1, false), (3, true), one, el(2), None),
            ("EE of EL1 = 0", 1, (1, false), (0, true), one, el(0), None),
            ("EE of EL2 = 0", 1, (0, false), (3, true), one, el(0), None),
            ("PMSEE = 0", 0, (1, false), (3, true), one, el(0), None),
            ("EL2's at EL1", 1, (2, false), (0, false), two, el(1) | PM, Some(EL2)),
            ("EL2's at EL2", 1, (3, true), (0, false), two, el(2), Some(EL2)),
            ("with PM", 1, (3, true), (0, false), two, el(2) | PM, None),
            ("without KE", 1, (3, false), (0, false), two, el(2), None),
            ("with EE = 10", 1, (2, true), (0, false), two, el(2), None),
            ("EL2's, delegated", 1, (1, true), (3, true), two, el(0), None),
            ("EL2's at EL3", 1, (3, true), (0, false), two, el(3), None),
            ("EL3's at EL2", 2, (1, false), (0, false), three, el(2), Some(EL3)),
            ("EL3's at EL3", 3, (1, false), (0, false), three, el(3), None),
            ("EL3's, delegated", 1, (1, false), (0, false), three, el(0), None),
            ("nothing recorded", 3, (3, true), (3, true), Recorded::default(), el(0), None),
        ];
        for (name, el3, el2, el1, recorded, pstate, want) in cases {
            for (unit, controls) in [1u32, 2].into_iter().zip(both(*el3, *el2, *el1)) {
                let taken = controls.exception(&routing(true, true), *recorded, PState::from_bits(*pstate));
                assert_eq!(taken.map(|(level, _)| level), *want, "{name}");
                // FSC is in \[5:1\], and the exception is asynchronous.
                assert!(taken.is_none_or(|(_, iss)| iss.into_bits() == unit << 1), "{name}");
            }
        }
        let tge = Routing { hcr: HcrEl2::new().with_tge(true), ..routing(true, true) };
        let secure = Routing { scr: Some(ScrEl3::new()), ..routing(true, true) };
        let alone = Routing { has_el2: false, ..routing(false, true) };
        for controls in both(1, (1, false), (3, false)) {
            let taken =
                |routing| controls.exception(routing, one, PState::from_bits(0)).map(|(level, _)| level);
            assert_eq!(taken(&tge), Some(EL2), "TGE");
            assert_eq!(taken(&secure), None, "another state owns the buffer");
            assert_eq!(taken(&alone), Some(EL1), "neither EL2 nor EL3");
        }
    }

    #[test]
    fn an_event_is_an_interrupt_or_an_exception_and_none_is_taken_downwards() {
        for all in 0..1u32 << 13 {
            let at = |low: u32, bits: u32| u8::try_from(all >> low & ((1 << bits) - 1)).unwrap_or(0);
            let set = |bit| at(bit, 1) == 1;
            let routing = routing(set(12), true);
            let pstate = PState::from_bits(u64::from(at(10, 2)) << 2 | u64::from(at(10, 2) > 0));
            for controls in both(at(0, 2), (at(2, 2), set(4)), (at(5, 2), set(7))) {
                let recorded = Recorded { el1: set(8), el2: set(9), el3: set(8) && set(9) };
                let taken = controls.exception(&routing, recorded, pstate);
                assert!(taken.is_none_or(|(level, _)| level >= pstate.el() && level > ExceptionLevel::El0));
                let only_el1 = Recorded { el1: true, ..Recorded::default() };
                let at_el0 = controls.exception(&routing, only_el1, PState::from_bits(0));
                assert_eq!(controls.is_interrupt(&routing), at_el0.is_none());
            }
        }
    }
}
