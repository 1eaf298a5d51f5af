//! Which interrupt is taken, virtual or physical, and what ends a WFI. Arm ARM, "Asynchronous exception types".

use super::cause::Kind;
use super::route::{InterruptRoute, Routing};
use crate::el::{ExceptionLevel, StackPointer};
use crate::iss::{Disr, VsesrEl2};
use crate::pstate::PState;
use crate::sysreg::{HcrEl2, HcrxEl2, SctlrEl1};

/// The lines that the virtual CPU interface drives; see [`crate::gic`]. Arm ARM, "Virtual interrupts".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VirtualLines {
    /// A Group 1 interrupt is signalled.
    pub irq: bool,
    /// A Group 0 interrupt is signalled.
    pub fiq: bool,
}

/// The virtual interrupts that are pending, masked or not.
struct Pending {
    irq: bool,
    fiq: bool,
    serror: bool,
}

/// Virtual interrupts exist at EL1 and EL0, while routing to EL2 is on and EL2 does not host EL0 itself.
/// Arm ARM, "Virtual interrupts".
fn pending(hcr: HcrEl2, lines: VirtualLines) -> Pending {
    let on = !hcr.tge();
    Pending {
        irq: on && hcr.imo() && (hcr.vi() || lines.irq),
        fiq: on && hcr.fmo() && (hcr.vf() || lines.fiq),
        serror: on && hcr.amo() && hcr.vse(),
    }
}

/// Returns the virtual interrupt to take to EL1 before the next instruction; `None` if there is none or all are masked.
/// CHOICE: of several the order is FIQ, IRQ, SError. Arm ARM, "Virtual interrupts".
#[must_use]
pub fn virtual_interrupt(hcr: HcrEl2, lines: VirtualLines, pstate: PState) -> Option<Kind> {
    if pstate.el() > ExceptionLevel::El1 {
        return None;
    }
    let pending = pending(hcr, lines);
    if pending.fiq && !pstate.f() {
        Some(Kind::Fiq)
    } else if pending.irq && !pstate.i() {
        Some(Kind::Irq)
    } else if pending.serror && !pstate.a() {
        Some(Kind::SError)
    } else {
        None
    }
}

/// What virtual interrupts depend on with FEAT_NMI. Arm ARM, HCRX_EL2.VINMI, HCRX_EL2.VFNMI, SCTLR_EL1.NMI.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VirtualPriority {
    /// `HCRX_EL2`, whose VINMI and VFNMI give superpriority to what HCR_EL2.VI and VF make pending, and whose TMEA
    /// (FEAT_DoubleFault2) enables virtual SErrors; 0 where it is not in effect.
    pub hcrx: HcrxEl2,
    /// `SCTLR_EL1`: NMI and SPINTMASK.
    pub sctlr: SctlrEl1,
    /// The interrupt that the virtual CPU interface signals has superpriority.
    pub line: bool,
}

/// Returns the virtual interrupt to take to EL1 as [`virtual_interrupt`] does, with superpriority; `None` if there is
/// none or all are masked. CHOICE: of several that are not masked the order is FIQ, IRQ, SError, with superpriority or
/// without. FEAT_NMI. Arm ARM, HCRX_EL2.VINMI, HCRX_EL2.VFNMI; "Asynchronous exception masking".
#[must_use]
pub fn virtual_interrupt_by_priority(
    hcr: HcrEl2,
    lines: VirtualLines,
    pstate: PState,
    priority: VirtualPriority,
) -> Option<Kind> {
    if pstate.el() > ExceptionLevel::El1 {
        return None;
    }
    let VirtualPriority { hcrx, sctlr, line } = priority;
    let pending = pending(hcr, lines);
    let candidates = [
        (Kind::Fiq, pending.fiq, hcr.vf() && hcrx.vfnmi() || lines.fiq && line),
        (Kind::Irq, pending.irq, hcr.vi() && hcrx.vinmi() || lines.irq && line),
        // HCRX_EL2.TMEA enables virtual SErrors as AMO does. Arm ARM, AArch64.TakeVirtualSErrorException.
        (Kind::SError, pending.serror || !hcr.tge() && hcr.vse() && hcrx.tmea(), false),
    ];
    candidates.into_iter().find_map(|(kind, pending, superpriority)| {
        let masked = is_masked(kind, pstate, ExceptionLevel::El1, sctlr, superpriority);
        (pending && !masked).then_some(kind)
    })
}

/// Returns `VDISR_EL2` if ESB at EL1 or EL0 defers a virtual SError, one that is pending and that PSTATE.A masks; taking
/// it so clears HCR_EL2.VSE. `hcrx` is 0 where it is not in effect. FEAT_RAS. Arm ARM, AArch64.vESBOperation.
#[must_use]
pub fn deferred_virtual_serror(hcr: HcrEl2, hcrx: HcrxEl2, vsesr: VsesrEl2, pstate: PState) -> Option<Disr> {
    let is_guest = pstate.el() <= ExceptionLevel::El1;
    let is_pending = hcr.vse() && !hcr.tge() && (hcr.amo() || hcrx.tmea());
    (is_guest && is_pending && pstate.a()).then(|| vsesr.deferred())
}

/// Whether a virtual interrupt ends a WFI: pending is enough, PSTATE does not matter.
/// Arm ARM, "Wait for Interrupt mechanism".
#[must_use]
pub fn wakes_from_wfi(hcr: HcrEl2, lines: VirtualLines) -> bool {
    let pending = pending(hcr, lines);
    pending.irq || pending.fiq || pending.serror
}

/// Physical interrupts that are pending. Arm ARM, "Asynchronous exception types".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhysicalLines {
    /// An IRQ.
    pub irq: bool,
    /// An FIQ.
    pub fiq: bool,
    /// An SError.
    pub serror: bool,
    /// The IRQ or FIQ has superpriority. FEAT_NMI.
    pub superpriority: bool,
}

/// Whether PSTATE masks an interrupt to the current level or, from the host's EL0, to EL2; `sctlr` is that of the
/// target. Arm ARM, "Asynchronous exception masking".
///
/// With SCTLR_ELx.NMI superpriority passes I and F, but at the target's own level neither ALLINT nor, on its own stack
/// pointer, SPINTMASK; these two also hold back interrupts without it. They do not count below that level (Arm ARM,
/// ALLINT). SErrors have A alone.
#[must_use]
pub fn is_masked(
    kind: Kind,
    pstate: PState,
    target: ExceptionLevel,
    sctlr: SctlrEl1,
    superpriority: bool,
) -> bool {
    let own = match kind {
        Kind::Sync => return false,
        Kind::SError => return pstate.a(),
        Kind::Irq => pstate.i(),
        Kind::Fiq => pstate.f(),
    };
    if !sctlr.nmi() {
        return own;
    }
    let on_own_stack = pstate.stack_pointer() == StackPointer::SpElx;
    let all = pstate.el() == target && (pstate.allint() || sctlr.spintmask() && on_own_stack);
    all || own && !superpriority
}

/// Returns the physical interrupt to take before the next instruction, and the level that takes it. CHOICE: of several
/// the order is FIQ, IRQ, SError. `sctlr` gives SCTLR of a target. An SError that is masked goes where HCRX_EL2.TMEA and
/// SCR_EL3.TMEA say; NMEA of SCTLR2_ELx and SCR_EL3 is not modelled.
/// Arm ARM, "Asynchronous exception routing", "masking".
#[must_use]
pub fn physical_interrupt(
    routing: &Routing,
    lines: PhysicalLines,
    pstate: PState,
    sctlr: impl Fn(ExceptionLevel) -> SctlrEl1,
) -> Option<(Kind, ExceptionLevel)> {
    let pending = [(Kind::Fiq, lines.fiq), (Kind::Irq, lines.irq), (Kind::SError, lines.serror)];
    pending.into_iter().filter(|(_, pending)| *pending).find_map(|(kind, _)| {
        let target = match routing.interrupt(kind, pstate.el()) {
            InterruptRoute::Unmaskable(target) => Some(target),
            InterruptRoute::Maskable(target) => {
                let masked = is_masked(kind, pstate, target, sctlr(target), lines.superpriority);
                (!masked).then_some(target)
            }
            InterruptRoute::Pending => None,
        };
        let target = match kind {
            Kind::SError => target.or_else(|| routing.masked_error(pstate.el())),
            Kind::Sync | Kind::Irq | Kind::Fiq => target,
        };
        target.map(|target| (kind, target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IRQ: VirtualLines = VirtualLines { irq: true, fiq: false };
    const FIQ: VirtualLines = VirtualLines { irq: false, fiq: true };
    const BOTH: VirtualLines = VirtualLines { irq: true, fiq: true };
    const NONE: VirtualLines = VirtualLines { irq: false, fiq: false };
    const ROUTED: u64 = 0x38;

    #[test]
    fn a_virtual_interrupt_needs_line_routing_and_an_open_mask() {
        const CASES: &[(&str, u64, VirtualLines, u64, Option<Kind>)] = &[
            ("nothing pending", ROUTED, NONE, 0x5, None),
            ("IRQ at EL1", ROUTED, IRQ, 0x5, Some(Kind::Irq)),
            ("IRQ at EL0", ROUTED, IRQ, 0x0, Some(Kind::Irq)),
            ("I is set", ROUTED, IRQ, 0x85, None),
            ("F does not mask IRQ", ROUTED, IRQ, 0x45, Some(Kind::Irq)),
            ("IMO is 0", 0x28, IRQ, 0x5, None),
            ("FIQ", ROUTED, FIQ, 0x5, Some(Kind::Fiq)),
            ("F is set", ROUTED, FIQ, 0x45, None),
            ("FMO is 0", 0x30, FIQ, 0x5, None),
            ("FIQ before IRQ", ROUTED, BOTH, 0x5, Some(Kind::Fiq)),
            ("IRQ when FIQ is masked", ROUTED, BOTH, 0x45, Some(Kind::Irq)),
            ("HCR.VI", ROUTED | 0x80, NONE, 0x5, Some(Kind::Irq)),
            ("HCR.VF", ROUTED | 0x40, NONE, 0x5, Some(Kind::Fiq)),
            ("HCR.VSE", ROUTED | 0x100, NONE, 0x5, Some(Kind::SError)),
            ("HCR.VSE, A is set", ROUTED | 0x100, NONE, 0x105, None),
            ("HCR.VSE, AMO is 0", 0x118, NONE, 0x5, None),
            ("TGE", ROUTED | 1 << 27, IRQ, 0x0, None),
            ("at EL2", ROUTED, IRQ, 0x9, None),
        ];
        for (name, hcr, lines, pstate, want) in CASES {
            let got = virtual_interrupt(HcrEl2::from_bits(*hcr), *lines, PState::from_bits(*pstate));
            assert_eq!(got, *want, "{name}");
        }
    }

    #[test]
    fn esb_defers_a_virtual_serror_that_is_pending_and_masked() {
        const VSE: u64 = 1 << 8;
        const AMO: u64 = 1 << 5;
        const TMEA: u64 = 1 << 19;
        // HCR, HCRX, PSTATE, VDISR; VSESR holds a recoverable error.
        const CASES: &[(&str, u64, u64, u64, Option<u64>)] = &[
            ("masked at EL1", VSE | AMO, 0, 0x105, Some(0x8000_0c11)),
            ("masked at EL0", VSE | AMO, 0, 0x100, Some(0x8000_0c11)),
            ("not masked", VSE | AMO, 0, 0x5, None),
            ("not pending", AMO, 0, 0x105, None),
            ("AMO is 0", VSE, 0, 0x105, None),
            ("by TMEA", VSE, TMEA, 0x105, Some(0x8000_0c11)),
            ("TGE", VSE | AMO | 1 << 27, 0, 0x100, None),
            ("at EL2", VSE | AMO, 0, 0x109, None),
        ];
        for (name, hcr, hcrx, pstate, want) in CASES {
            let (hcr, hcrx) = (HcrEl2::from_bits(*hcr), HcrxEl2::from_bits(*hcrx));
            let vsesr = VsesrEl2::from_bits(0xc11);
            let got = deferred_virtual_serror(hcr, hcrx, vsesr, PState::from_bits(*pstate));
            assert_eq!(got.map(Disr::into_bits), *want, "{name}");
        }
    }

    #[test]
    fn wfi_ends_by_a_masked_interrupt_but_not_by_an_unrouted_one() {
        const CASES: &[(&str, u64, VirtualLines, bool)] = &[
            ("IRQ", ROUTED, IRQ, true),
            ("IRQ, IMO is 0", 0x28, IRQ, false),
            ("FIQ", ROUTED, FIQ, true),
            ("FIQ, FMO is 0", 0x30, FIQ, false),
            ("HCR.VI", ROUTED | 0x80, NONE, true),
            ("HCR.VF", ROUTED | 0x40, NONE, true),
            ("HCR.VSE", ROUTED | 0x100, NONE, true),
            ("HCR.VSE, AMO is 0", 0x118, NONE, false),
            ("nothing routed", 0, BOTH, false),
            ("nothing pending", ROUTED, NONE, false),
            ("TGE", ROUTED | 1 << 27, BOTH, false),
        ];
        for (name, hcr, lines, want) in CASES {
            assert_eq!(wakes_from_wfi(HcrEl2::from_bits(*hcr), *lines), *want, "{name}");
        }
    }

    #[test]
    fn superpriority_passes_i_but_not_allint_and_spintmask() {
        const NMI: u64 = 1 << 61;
        const SPINTMASK: u64 = 1 << 62;
        const ALLINT: u64 = 1 << 13;
        const I: u64 = 1 << 7;
        // SCTLR, PSTATE, masked without superpriority, masked with it.
        const CASES: &[(u64, u64, bool, bool)] = &[
            (0, 0x5, false, false),
            (0, I | 0x5, true, true),
            (0, ALLINT | 0x5, false, false),
            (SPINTMASK, 0x5, false, false),
            (NMI, 0x5, false, false),
            (NMI, I | 0x5, true, false),
            (NMI, ALLINT | 0x5, true, true),
            (NMI, ALLINT | I | 0x4, true, true),
            (NMI | SPINTMASK, 0x5, true, true),
            (NMI | SPINTMASK, 0x4, false, false),
            (NMI | SPINTMASK, I | 0x4, true, false),
            (NMI | SPINTMASK, 0x0, false, false),
            // At EL0, below the target, ALLINT does not count.
            (NMI, ALLINT, false, false),
            (NMI, ALLINT | I, true, false),
        ];
        for (sctlr, pstate, plain, superior) in CASES {
            let masked = |superpriority| {
                let (pstate, sctlr) = (PState::from_bits(*pstate), SctlrEl1::from_bits(*sctlr));
                is_masked(Kind::Irq, pstate, ExceptionLevel::El1, sctlr, superpriority)
            };
            assert_eq!((masked(false), masked(true)), (*plain, *superior), "{sctlr:#x} {pstate:#x}");
        }
        let all = SctlrEl1::from_bits(NMI | SPINTMASK);
        let serror =
            |pstate| is_masked(Kind::SError, PState::from_bits(pstate), ExceptionLevel::El1, all, false);
        assert!(serror(0x105) && !serror(0x2005), "SErrors have A alone");
        assert!(is_masked(Kind::Fiq, PState::from_bits(0x45), ExceptionLevel::El1, SctlrEl1::new(), false));
        assert!(!is_masked(Kind::Fiq, PState::from_bits(0x85), ExceptionLevel::El1, SctlrEl1::new(), false));
    }

    #[test]
    fn a_virtual_interrupt_with_superpriority_passes_i_and_f() {
        const NMI: u64 = 1 << 61;
        const SPINTMASK: u64 = 1 << 62;
        const VI: u64 = 1 << 7;
        const VF: u64 = 1 << 6;
        const VINMI: u64 = 1 << 7;
        const VFNMI: u64 = 1 << 8;
        const TMEA: u64 = 1 << 19;
        const ALLINT: u64 = 1 << 13;
        // HCR, HCRX, SCTLR, PSTATE.
        type Case = (&'static str, u64, u64, u64, u64, Option<Kind>);
        const CASES: &[Case] = &[
            ("I masks", ROUTED | VI, 0, NMI, 0x85, None),
            ("VINMI passes I", ROUTED | VI, VINMI, NMI, 0x85, Some(Kind::Irq)),
            ("VINMI without SCTLR.NMI", ROUTED | VI, VINMI, 0, 0x85, None),
            ("VFNMI is not for IRQ", ROUTED | VI, VFNMI, NMI, 0x85, None),
            ("VFNMI passes F", ROUTED | VF, VFNMI, NMI, 0x45, Some(Kind::Fiq)),
            ("ALLINT masks", ROUTED | VI, VINMI, NMI, ALLINT | 0x5, None),
            ("SPINTMASK masks on SP_EL1", ROUTED | VI, VINMI, NMI | SPINTMASK, 0x5, None),
            ("but not on SP_EL0", ROUTED | VI, VINMI, NMI | SPINTMASK, 0x84, Some(Kind::Irq)),
            ("nor at EL0", ROUTED | VI, VINMI, NMI | SPINTMASK, ALLINT | 0x80, Some(Kind::Irq)),
            ("VINMI alone makes nothing pending", ROUTED, VINMI, NMI, 0x5, None),
            ("SError has A alone", ROUTED | 0x100, 0, NMI, ALLINT | 0x5, Some(Kind::SError)),
            ("TGE", ROUTED | VI | 1 << 27, VINMI, NMI, 0x0, None),
            ("at EL2", ROUTED | VI, VINMI, NMI, 0x9, None),
            ("SError without AMO", 0x118, 0, 0, 0x5, None),
            ("SError by TMEA", 0x118, TMEA, 0, 0x5, Some(Kind::SError)),
            ("SError by TMEA, A is set", 0x118, TMEA, 0, 0x105, None),
            ("SError by TMEA, TGE", 0x118 | 1 << 27, TMEA, 0, 0x0, None),
            ("TMEA alone makes nothing pending", 0x38, TMEA, 0, 0x5, None),
        ];
        for (name, hcr, hcrx, sctlr, pstate, want) in CASES {
            let priority = VirtualPriority {
                hcrx: HcrxEl2::from_bits(*hcrx),
                sctlr: SctlrEl1::from_bits(*sctlr),
                line: false,
            };
            let (hcr, pstate) = (HcrEl2::from_bits(*hcr), PState::from_bits(*pstate));
            assert_eq!(virtual_interrupt_by_priority(hcr, NONE, pstate, priority), *want, "{name}");
        }
        let line = VirtualPriority { line: true, sctlr: SctlrEl1::from_bits(NMI), ..Default::default() };
        let masked = PState::from_bits(0xc5);
        let routed = HcrEl2::from_bits(ROUTED);
        assert_eq!(virtual_interrupt_by_priority(routed, IRQ, masked, line), Some(Kind::Irq));
        assert_eq!(virtual_interrupt_by_priority(routed, FIQ, masked, line), Some(Kind::Fiq));
    }

    #[test]
    fn a_physical_interrupt_is_taken_unless_masked_or_for_a_lower_level() {
        const ALL: PhysicalLines = PhysicalLines { irq: true, fiq: true, serror: true, superpriority: false };
        const EL1: ExceptionLevel = ExceptionLevel::El1;
        const EL2: ExceptionLevel = ExceptionLevel::El2;
        // HCR, PSTATE, what is taken of all three.
        type Case = (&'static str, u64, u64, Option<(Kind, ExceptionLevel)>);
        const CASES: &[Case] = &[
            ("FIQ first", 0, 0x5, Some((Kind::Fiq, EL1))),
            ("then IRQ", 0, 0x45, Some((Kind::Irq, EL1))),
            ("then SError", 0, 0xc5, Some((Kind::SError, EL1))),
            ("all masked", 0, 0x1c5, None),
            ("routed to EL2 nothing masks", 0x38, 0x3c5, Some((Kind::Fiq, EL2))),
            ("only IRQs routed", 0x10, 0x1c5, Some((Kind::Irq, EL2))),
            ("at EL2 for EL1", 0, 0x9, None),
            ("at EL2 for EL2", 0x38, 0x9, Some((Kind::Fiq, EL2))),
            ("at EL2 for EL2, masked", 0x38, 0x3c9, None),
            ("the host's EL0, masked", 1 << 27 | 1 << 34, 0x1c0, None),
            ("the host's EL0", 1 << 27 | 1 << 34, 0x140, Some((Kind::Irq, EL2))),
            ("EL0 under TGE", 1 << 27, 0x1c0, Some((Kind::Fiq, EL2))),
        ];
        for (name, hcr, pstate, want) in CASES {
            let routing = Routing {
                hcr: HcrEl2::from_bits(*hcr),
                hcrx: crate::sysreg::HcrxEl2::new(),
                mdcr: crate::sysreg::MdcrEl2::new(),
                scr: None,
                has_el2: true,
            };
            let got = physical_interrupt(&routing, ALL, PState::from_bits(*pstate), |_| SctlrEl1::new());
            assert_eq!(got, *want, "{name}");
        }
    }

    /// Routing by `HCR_EL2`, `HCRX_EL2` and `SCR_EL3`.
    fn routing(hcr: u64, hcrx: u64, scr: u64) -> Routing {
        Routing {
            hcr: HcrEl2::from_bits(hcr),
            hcrx: HcrxEl2::from_bits(hcrx),
            mdcr: crate::sysreg::MdcrEl2::new(),
            scr: Some(crate::sysreg::ScrEl3::from_bits(scr)),
            has_el2: true,
        }
    }

    #[test]
    fn superpriority_of_a_physical_interrupt_is_judged_by_the_targets_sctlr() {
        const NMI: u64 = 1 << 61;
        const EL1: ExceptionLevel = ExceptionLevel::El1;
        const EL2: ExceptionLevel = ExceptionLevel::El2;
        // HCR, SCTLR_EL1, SCTLR_EL2, PSTATE, taken without superpriority and with it.
        type Taken = Option<ExceptionLevel>;
        type Case = (&'static str, u64, u64, u64, u64, Taken, Taken);
        const CASES: &[Case] = &[
            ("to EL1, NMI", 0, NMI, 0, 0x85, None, Some(EL1)),
            ("to EL1, NMI of EL2", 0, 0, NMI, 0x85, None, None),
            ("to EL2, NMI", 0x10, 0, NMI, 0x89, None, Some(EL2)),
            ("to EL2, NMI of EL1", 0x10, NMI, 0, 0x89, None, None),
            ("not masked", 0, 0, 0, 0x5, Some(EL1), Some(EL1)),
        ];
        for (name, hcr, sctlr1, sctlr2, pstate, plain, superior) in CASES {
            for (superpriority, want) in [(false, plain), (true, superior)] {
                let lines = PhysicalLines { irq: true, superpriority, ..PhysicalLines::default() };
                let got = physical_interrupt(&routing(*hcr, 0, 1), lines, PState::from_bits(*pstate), |el| {
                    SctlrEl1::from_bits(if el == EL1 { *sctlr1 } else { *sctlr2 })
                });
                assert_eq!(got, want.map(|el| (Kind::Irq, el)), "{name}, {superpriority}");
            }
        }
    }

    #[test]
    fn a_masked_serror_goes_where_tmea_says() {
        const HCRX_TMEA: u64 = 1 << 19;
        const SCR_TMEA: u64 = 1 << 51;
        const EL2: ExceptionLevel = ExceptionLevel::El2;
        const EL3: ExceptionLevel = ExceptionLevel::El3;
        // HCR, HCRX, SCR, PSTATE, the level that takes it.
        type Case = (&'static str, u64, u64, u64, u64, Option<ExceptionLevel>);
        const CASES: &[Case] = &[
            ("EL1, A", 0, 0, 1, 0x105, None),
            ("EL1, A, HCRX.TMEA", 0, HCRX_TMEA, 1, 0x105, Some(EL2)),
            ("EL1, HCRX.TMEA, not masked", 0, HCRX_TMEA, 1, 0x5, Some(ExceptionLevel::El1)),
            ("EL0, A, both", 0, HCRX_TMEA, 1 | SCR_TMEA, 0x100, None),
            ("EL1, A, SCR.TMEA", 0, 0, 1 | SCR_TMEA, 0x105, Some(EL3)),
            ("EL1, A, both", 0, HCRX_TMEA, 1 | SCR_TMEA, 0x105, Some(EL2)),
            ("EL1, A, HCRX.TMEA, Secure without EEL2", 0, HCRX_TMEA, 0, 0x105, None),
            ("EL1, A, AMO and SCR.TMEA", 0x20, 0, 1 | SCR_TMEA, 0x105, Some(EL2)),
            ("EL2, A, AMO and SCR.TMEA", 0x20, 0, 1 | SCR_TMEA, 0x109, Some(EL3)),
            ("EL2, A, AMO and HCRX.TMEA", 0x20, HCRX_TMEA, 1, 0x109, None),
            ("EL3, A, SCR.TMEA", 0, 0, 1 | SCR_TMEA | 8, 0x10d, None),
        ];
        for (name, hcr, hcrx, scr, pstate, want) in CASES {
            let lines = PhysicalLines { serror: true, ..PhysicalLines::default() };
            let got =
                physical_interrupt(&routing(*hcr, *hcrx, *scr), lines, PState::from_bits(*pstate), |_| {
                    SctlrEl1::new()
                });
            assert_eq!(got, want.map(|el| (Kind::SError, el)), "{name}");
        }
        // Of an IRQ they say nothing.
        let lines = PhysicalLines { irq: true, ..PhysicalLines::default() };
        let all = routing(0, HCRX_TMEA, 1 | SCR_TMEA);
        assert_eq!(physical_interrupt(&all, lines, PState::from_bits(0x3c5), |_| SctlrEl1::new()), None);
    }
}
