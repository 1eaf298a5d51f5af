//! When the hypervisor wants to hear of the virtual CPU interface. GIC, ICH_MISR_EL2.

use super::IchState;
use crate::sysreg::{IchLr, IchMisr, LrState};

impl<const N: usize> IchState<N> {
    /// Returns `ICH_EISR_EL2`: the list registers freed by an EOI that asked for maintenance, bit n for number n.
    /// GIC, ICH_EISR_EL2.
    #[must_use]
    pub fn eisr(&self) -> u32 {
        self.status(|lr| lr.state() == LrState::Inactive && lr.eoi())
    }

    /// Returns `ICH_ELRSR_EL2`: the list registers that can be used, that is free and not in EISR, bit n for number n.
    /// GIC, ICH_ELRSR_EL2.
    #[must_use]
    pub fn elrsr(&self) -> u32 {
        self.status(|lr| lr.state() == LrState::Inactive && !lr.eoi())
    }

    /// Returns `ICH_MISR_EL2`: the conditions that are met and enabled. GIC, ICH_MISR_EL2.
    #[must_use]
    pub fn misr(&self) -> IchMisr {
        let hcr = self.hcr;
        let in_use = self.lr.iter().filter(|lr| lr.state() != LrState::Inactive).count();
        let pending = self.lr.iter().any(|lr| lr.state() == LrState::Pending);
        IchMisr::new()
            .with_eoi(self.eisr() != 0)
            .with_u(hcr.uie() && in_use < 2)
            .with_lrenp(hcr.lrenpie() && hcr.eoicount() != 0)
            .with_np(hcr.npie() && !pending)
            .with_vgrp0e(hcr.vgrp0eie() && self.vmcr.veng0())
            .with_vgrp0d(hcr.vgrp0die() && !self.vmcr.veng0())
            .with_vgrp1e(hcr.vgrp1eie() && self.vmcr.veng1())
            .with_vgrp1d(hcr.vgrp1die() && !self.vmcr.veng1())
    }

    /// Whether the maintenance interrupt, a level, is asserted. GIC, ICH_MISR_EL2, ICH_HCR_EL2.En.
    #[must_use]
    pub fn is_maintenance_due(&self) -> bool {
        self.hcr.en() && self.misr().into_bits() != 0
    }

    /// One bit for each list register of which `which` holds.
    fn status(&self, which: impl Fn(IchLr) -> bool) -> u32 {
        let mut bits = 0;
        for (at, lr) in (0..).zip(self.lr) {
            if which(lr) {
                bits |= 1u32.wrapping_shl(at);
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::{IchHcr, IchVmcr};

    const PENDING: u64 = 0x5000_0000_0000_0028;
    const ACTIVE: u64 = 0x9000_0000_0000_0028;
    const PENDING_ACTIVE: u64 = 0xd000_0000_0000_0028;
    const DONE_EOI: u64 = 1 << 41 | 0x28;
    const DONE_HW: u64 = 1 << 61 | 1 << 41 | 0x28;

    fn state(hcr: u64, vmcr: u64, lr: [u64; 4]) -> IchState<4> {
        let (hcr, vmcr) = (IchHcr::from_bits(hcr), IchVmcr::from_bits(vmcr));
        IchState { hcr, vmcr, ap0r0: 0, ap1r0: 0, lr: lr.map(IchLr::from_bits) }
    }

    #[test]
    fn each_condition_needs_its_enable() {
        const CASES: &[(&str, u64, u64, [u64; 4], u64)] = &[
            ("nothing enabled", 0x001, 3, [0; 4], 0x00),
            ("underflow, none in use", 0x003, 3, [0; 4], 0x02),
            ("underflow, one in use", 0x003, 3, [ACTIVE, 0, 0, 0], 0x02),
            ("no underflow, two in use", 0x003, 3, [ACTIVE, PENDING, 0, 0], 0x00),
            ("EOIcount is zero", 0x005, 3, [0; 4], 0x00),
            ("EOIcount is one", 0x0800_0005, 3, [0; 4], 0x04),
            ("no pending", 0x009, 3, [ACTIVE, 0, 0, 0], 0x08),
            ("pending and active is not pending", 0x009, 3, [PENDING_ACTIVE, 0, 0, 0], 0x08),
            ("pending", 0x009, 3, [0, 0, 0, PENDING], 0x00),
            ("Group 0 enabled", 0x011, 1, [0; 4], 0x10),
            ("Group 0 not enabled", 0x011, 2, [0; 4], 0x00),
            ("Group 0 disabled", 0x021, 2, [0; 4], 0x20),
            ("Group 1 enabled", 0x041, 2, [0; 4], 0x40),
            ("Group 1 disabled", 0x081, 1, [0; 4], 0x80),
            ("EOI asked for", 0x001, 3, [DONE_EOI, 0, 0, 0], 0x01),
            ("EOI asked for, still active", 0x001, 3, [ACTIVE | DONE_EOI, 0, 0, 0], 0x00),
            ("with HW bit 41 is no EOI", 0x001, 3, [DONE_HW, 0, 0, 0], 0x00),
        ];
        for (name, hcr, vmcr, lr, want) in CASES {
            let state = state(*hcr, *vmcr, *lr);
            assert_eq!(state.misr().into_bits(), *want, "{name}");
            assert_eq!(state.is_maintenance_due(), *want != 0, "{name}");
        }
        let off = state(0x002, 3, [0; 4]);
        assert!(off.misr().u() && !off.is_maintenance_due(), "the interface is off");
    }

    #[test]
    fn a_list_register_is_free_or_waits_for_maintenance() {
        let state = state(1, 3, [0, DONE_EOI, DONE_HW, PENDING]);
        assert_eq!((state.eisr(), state.elrsr()), (0b0010, 0b0101));
    }
}
