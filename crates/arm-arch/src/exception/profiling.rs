//! PMU Profiling exceptions: where an overflow of a counter goes. FEAT_EBEP.
//! Arm ARM, "Exception-based event profiling".

use super::ret::Returned;
use super::route::Routing;
use crate::el::ExceptionLevel;
use crate::pstate::PState;
use crate::sysreg::MdcrEl3;
use bitfield_struct::bitfield;

/// `PMECR_EL1`, Performance Monitors Extended Control Register. Arm ARM, PMECR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct PmecrEl1 {
    /// PMEE, \[1:0\]: 11 exceptions, 00 interrupts; others are reserved.
    #[bits(2)]
    pub pmee: u8,
    /// KPME, \[2\]: exceptions also within the target's own level.
    pub kpme: bool,
    /// SSE, \[4:3\]: snapshots. FEAT_PMUv3_SS.
    #[bits(2)]
    pub sse: u8,
    #[bits(59)]
    __: u64,
}
const _: () = assert!(PmecrEl1::KPME_OFFSET == 2 && PmecrEl1::SSE_OFFSET == 3);

/// What an overflow of a performance counter does. Arm ARM, "Exception-based event profiling".
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profiling {
    /// It asserts the interrupt request of the PMU.
    Interrupt,
    /// Nothing: neither exception nor interrupt is enabled.
    Disabled,
    /// The exception is enabled, and masked at the current level.
    Masked,
    /// The exception is taken to this level.
    To(ExceptionLevel),
}

/// Returns what an overflow does at `pstate`. `mdcr` is `MDCR_EL3`, which counts where `routing` has an EL3. CHOICE:
/// reserved values of PMEE disable both, exception and interrupt. Arm ARM, PMUExceptionEnabled, PMUExceptionMasked,
/// PMUInterruptEnabled.
pub fn profiling(routing: &Routing, mdcr: MdcrEl3, pmecr: PmecrEl1, pstate: PState) -> Profiling {
    let el2 = routing.is_el2_enabled();
    let el2_pmee = if el2 { routing.mdcr.pmee() } else { DELEGATED };
    let el3_pmee = if routing.scr.is_some() { mdcr.pmee() } else { DELEGATED };
    let (pmee, target) = if el3_pmee != DELEGATED {
        (el3_pmee, ExceptionLevel::El3)
    } else if el2_pmee != DELEGATED {
        (el2_pmee, ExceptionLevel::El2)
    } else if el2 && routing.hcr.tge() {
        (pmecr.pmee(), ExceptionLevel::El2)
    } else {
        (pmecr.pmee(), ExceptionLevel::El1)
    };
    let el = pstate.el();
    let masked_at_own = !pmecr.kpme() || pstate.pm() || target == ExceptionLevel::El2 && el2_pmee != 0b11;
    match pmee {
        0b00 => Profiling::Interrupt,
        0b11 if target < el || target == el && masked_at_own => Profiling::Masked,
        0b11 => Profiling::To(target),
        _ => Profiling::Disabled,
    }
}

/// What decides about PMU Profiling exceptions beside [`Routing`]. Arm ARM, PMECR_EL1, MDCR_EL3.PMEE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProfilingControls {
    /// `MDCR_EL3`, which counts where there is an EL3.
    pub mdcr: MdcrEl3,
    /// `PMECR_EL1`.
    pub pmecr: PmecrEl1,
}

impl Returned {
    /// Returns this return from `pstate` with PSTATE.PPEND: that of `spsr` if profiling exceptions were masked before
    /// the return and are not after it, else 0: it is cleared at the end of each instruction that does not set it.
    /// FEAT_SEBEP. Arm ARM, ExceptionReturnPPEND.
    pub fn with_profiling(
        self,
        pstate: PState,
        spsr: PState,
        routing: &Routing,
        controls: ProfilingControls,
    ) -> Self {
        let at = |pstate| profiling(routing, controls.mdcr, controls.pmecr, pstate);
        let begins = at(pstate) == Profiling::Masked && matches!(at(self.pstate), Profiling::To(_));
        Self { pstate: self.pstate.with_ppend(begins && spsr.ppend()), ..self }
    }
}

/// PMEE of a level that leaves it to the one below.
const DELEGATED: u8 = 0b01;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::{HcrEl2, HcrxEl2, MdcrEl2, ScrEl3};

    const IRQ: Profiling = Profiling::Interrupt;
    const DIS: Profiling = Profiling::Disabled;
    const MSK: Profiling = Profiling::Masked;
    const EL1: Profiling = Profiling::To(ExceptionLevel::El1);
    const EL2: Profiling = Profiling::To(ExceptionLevel::El2);
    const EL3: Profiling = Profiling::To(ExceptionLevel::El3);
    /// Either value of a control.
    const X: u8 = 9;

    /// MDCR_EL3.PMEE, MDCR_EL2.PMEE, HCR_EL2.TGE, PMECR_EL1.PMEE, KPME, PSTATE.PM; from EL3, EL2, EL1, EL0.
    /// Arm ARM, table D13-1; with TGE there is no EL1.
    const TABLE: &[([u8; 6], [Profiling; 4])] = &[
        ([0, X, X, X, X, X], [IRQ, IRQ, IRQ, IRQ]),
        ([1, 0, X, X, X, X], [IRQ, IRQ, IRQ, IRQ]),
        ([1, 1, 0, 0, X, X], [IRQ, IRQ, IRQ, IRQ]),
        ([1, 1, 0, 2, X, X], [DIS, DIS, DIS, DIS]),
        ([1, 1, 0, 3, 0, X], [MSK, MSK, MSK, EL1]),
        ([1, 1, 0, 3, 1, 0], [MSK, MSK, EL1, EL1]),
        ([1, 1, 0, 3, 1, 1], [MSK, MSK, MSK, EL1]),
        ([1, 1, 1, 0, X, X], [IRQ, IRQ, IRQ, IRQ]),
        ([1, 1, 1, 2, X, X], [DIS, DIS, DIS, DIS]),
        ([1, 1, 1, 3, X, X], [MSK, MSK, EL2, EL2]),
        ([1, 2, X, X, X, X], [DIS, DIS, DIS, DIS]),
        ([1, 3, X, X, 0, X], [MSK, MSK, EL2, EL2]),
        ([1, 3, X, X, 1, 0], [MSK, EL2, EL2, EL2]),
        ([1, 3, X, X, 1, 1], [MSK, MSK, EL2, EL2]),
        ([2, X, X, X, X, X], [DIS, DIS, DIS, DIS]),
        ([3, X, X, X, 0, X], [MSK, EL3, EL3, EL3]),
        ([3, X, X, X, 1, 0], [EL3, EL3, EL3, EL3]),
        ([3, X, X, X, 1, 1], [MSK, EL3, EL3, EL3]),
    ];

    #[test]
    fn an_overflow_goes_where_the_manuals_table_says() {
        let mut rows = 0;
        for all in 0..1u32 << 10 {
            let at = |low: u32, bits: u32| u8::try_from(all >> low & ((1 << bits) - 1)).unwrap_or(0);
            let controls = [at(0, 2), at(2, 2), at(4, 1), at(5, 2), at(7, 1), at(8, 1)];
            // PMECR_EL1.PMEE 01 is reserved, as 10 is.
            let mut as_listed = controls;
            as_listed[3] = if controls[3] == 1 { 2 } else { controls[3] };
            let fits = |row: &[u8; 6]| row.iter().zip(as_listed).all(|(want, is)| *want == X || *want == is);
            let Some((_, want)) = TABLE.iter().find(|(row, _)| fits(row)) else { panic!("{controls:?}") };
            let routing = Routing {
                hcr: HcrEl2::new().with_tge(controls[2] == 1),
                hcrx: HcrxEl2::new(),
                mdcr: MdcrEl2::new().with_pmee(controls[1]),
                scr: Some(ScrEl3::new().with_ns(true)),
                has_el2: true,
            };
            let mdcr = MdcrEl3::new().with_pmee(controls[0]);
            let pmecr = PmecrEl1::from_bits(u64::from(controls[3]) | u64::from(controls[4]) << 2);
            for (mode, want) in [0xd, 0x9, 0x5, 0x0].into_iter().zip(want) {
                if mode == 5 && controls[2] == 1 {
                    continue;
                }
                let pstate = PState::from_bits(mode | u64::from(controls[5]) << 32);
                assert_eq!(profiling(&routing, mdcr, pmecr, pstate), *want, "{controls:?} from {mode:#x}");
                rows += 1;
            }
        }
        assert_eq!(rows, (1 << 10) * 7 / 2);
    }

    #[test]
    fn without_el2_and_el3_pmecr_decides() {
        let alone = Routing {
            hcr: HcrEl2::new().with_tge(true),
            hcrx: HcrxEl2::new(),
            mdcr: MdcrEl2::new().with_pmee(0b10),
            scr: None,
            has_el2: false,
        };
        let pmecr = PmecrEl1::from_bits(0b111);
        assert_eq!((pmecr.pmee(), pmecr.kpme(), PmecrEl1::from_bits(0x18).sse()), (3, true, 3));
        let mdcr = MdcrEl3::new().with_pmee(0b10);
        assert_eq!(profiling(&alone, mdcr, pmecr, PState::from_bits(5)), EL1);
        let secure = Routing { scr: Some(ScrEl3::new()), has_el2: true, ..alone };
        let delegated = MdcrEl3::new().with_pmee(0b01);
        assert_eq!(profiling(&secure, delegated, pmecr, PState::from_bits(0)), EL1, "no Secure EL2");
    }

    #[test]
    fn a_pending_exception_comes_back_where_profiling_begins() {
        use crate::debug::DebugControls;
        use crate::exception::{ReturnState, eret};
        use crate::pstate::PStateMask;
        use crate::sysreg::TcrEl1;
        const PM: u64 = 1 << 32;
        const PPEND: u64 = 1 << 33;
        // PMECR_EL1, PSTATE, SPSR, PPEND after the return.
        const CASES: &[(&str, u64, u64, u64, bool)] = &[
            ("EL1, masked by PM, to EL0", 0b011, PM | 0x3c5, PPEND, true),
            ("nothing was pending", 0b011, PM | 0x3c5, 0, false),
            ("to EL1 without KPME", 0b011, PM | 0x3c5, PPEND | 0x5, false),
            ("to EL1 with KPME", 0b111, PM | 0x3c5, PPEND | 0x5, true),
            ("to EL1 with KPME and PM", 0b111, PM | 0x3c5, PPEND | PM | 0x5, false),
            ("from an EL1 that takes them", 0b111, 0x3c5, PPEND, false),
            ("interrupts in place of exceptions", 0b000, PM | 0x3c5, PPEND, false),
            ("an illegal return, which loads PM, 0", 0b111, PM | 0x3c5, PPEND | 0x9, true),
            ("an illegal return, which loads PM, 1", 0b111, PM | 0x3c5, PPEND | PM | 0x9, false),
        ];
        let routing = Routing {
            hcr: HcrEl2::new(),
            hcrx: HcrxEl2::new(),
            mdcr: MdcrEl2::new().with_pmee(0b01),
            scr: None,
            has_el2: true,
        };
        for (name, pmecr, pstate, spsr, want) in CASES {
            let (pstate, spsr) = (PState::from_bits(*pstate), PState::from_bits(*spsr));
            let state = ReturnState {
                pstate,
                spsr,
                elr: 0x1000,
                hcr: HcrEl2::new(),
                tcr: TcrEl1::new(),
                debug: DebugControls::OFF,
                mask: PStateMask::ARMV8_0.with(PState::from_bits(PM | PPEND)),
            };
            let controls = ProfilingControls { mdcr: MdcrEl3::new(), pmecr: PmecrEl1::from_bits(*pmecr) };
            let plain = eret(&state);
            let back = plain.with_profiling(pstate, spsr, &routing, controls);
            assert_eq!(back.pstate.ppend(), *want, "{name}");
            let changed = back.pstate.into_bits() ^ plain.pstate.into_bits();
            assert_eq!(changed & !PPEND, 0, "{name}: nothing else changes");
        }
    }
}
