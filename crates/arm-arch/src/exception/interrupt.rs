//! Which virtual interrupt is taken, and what ends a WFI.

use super::cause::Kind;
use crate::el::ExceptionLevel;
use crate::pstate::PState;
use crate::sysreg::HcrEl2;

/// The lines that the virtual CPU interface drives; see [`crate::gic`].
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

/// Returns the virtual interrupt to take to EL1 before the next instruction; `None` if there is none or all are
/// masked. CHOICE: of several the order is FIQ, IRQ, SError.
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

/// Whether a virtual interrupt ends a WFI: pending is enough, PSTATE does not matter. Arm ARM, "Wait for Interrupt".
#[must_use]
pub fn wakes_from_wfi(hcr: HcrEl2, lines: VirtualLines) -> bool {
    let pending = pending(hcr, lines);
    pending.irq || pending.fiq || pending.serror
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
    fn wfi_ends_by_a_masked_interrupt_but_not_by_an_unrouted_one() {
        assert!(wakes_from_wfi(HcrEl2::from_bits(ROUTED), IRQ));
        assert!(!wakes_from_wfi(HcrEl2::from_bits(0), IRQ));
        assert!(!wakes_from_wfi(HcrEl2::from_bits(ROUTED), NONE));
    }
}
