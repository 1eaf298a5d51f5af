//! The `ICC_*` registers of a guest, by encoding. GIC ch. 12.

use super::{Deactivated, Group, IchState};
use crate::bits;
use crate::sysreg::{IccCtlr, IccIntid, IccSre, IchHcr, IchLr, IchVmcr, SysRegId, names};

/// What a write to an ICC register asks for beyond the state. GIC, ICV_EOIR1_EL1, ICV_DIR_EL1.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteEffect {
    /// Nothing.
    None,
    /// A virtual interrupt was deactivated, perhaps with a physical one.
    Deactivate(Deactivated),
}

impl<const N: usize> IchState<N> {
    /// Reads an ICC register; `None` if it cannot be read, or is no register of this interface (SGI generation is
    /// that of the distributor). Reading IAR acknowledges. GIC, ICV_* registers.
    pub fn read(&mut self, id: SysRegId) -> Option<u64> {
        Some(match id {
            names::ICC_IAR0_EL1 => u64::from(self.acknowledge(Group::Zero)),
            names::ICC_IAR1_EL1 => u64::from(self.acknowledge(Group::One)),
            names::ICC_HPPIR0_EL1 => u64::from(self.highest_pending(Group::Zero)),
            names::ICC_HPPIR1_EL1 => u64::from(self.highest_pending(Group::One)),
            names::ICC_BPR0_EL1 => u64::from(self.binary_point(Group::Zero)),
            names::ICC_BPR1_EL1 => u64::from(self.binary_point(Group::One)),
            names::ICC_AP0R0_EL1 => u64::from(self.ap0r0),
            names::ICC_AP1R0_EL1 => u64::from(self.ap1r0),
            names::ICC_RPR_EL1 => u64::from(self.running_priority()),
            names::ICC_PMR_EL1 => u64::from(self.priority_mask()),
            names::ICC_IGRPEN0_EL1 => u64::from(self.is_enabled(Group::Zero)),
            names::ICC_IGRPEN1_EL1 => u64::from(self.is_enabled(Group::One)),
            names::ICC_CTLR_EL1 => self.ctlr().into_bits(),
            // SRE, DFB and DIB: there is the system register interface only.
            names::ICC_SRE_EL1 => IccSre::new().with_sre(true).with_dfb(true).with_dib(true).into_bits(),
            _ => return None,
        })
    }

    /// Writes an ICC register; `None` if it cannot be written, or is no register of this interface.
    /// GIC, ICV_* registers.
    pub fn write(&mut self, id: SysRegId, value: u64) -> Option<WriteEffect> {
        let intid = IccIntid::from_bits(value).intid();
        match id {
            names::ICC_EOIR0_EL1 => return Some(effect(self.end_of_interrupt(Group::Zero, intid))),
            names::ICC_EOIR1_EL1 => return Some(effect(self.end_of_interrupt(Group::One, intid))),
            names::ICC_DIR_EL1 => return Some(effect(self.deactivate(intid))),
            names::ICC_BPR0_EL1 => self.set_binary_point(Group::Zero, bits::low8(value)),
            names::ICC_BPR1_EL1 => self.set_binary_point(Group::One, bits::low8(value)),
            names::ICC_AP0R0_EL1 => self.ap0r0 = bits::trunc32(value),
            names::ICC_AP1R0_EL1 => self.ap1r0 = bits::trunc32(value),
            names::ICC_PMR_EL1 => self.set_priority_mask(bits::low8(value)),
            names::ICC_IGRPEN0_EL1 => self.vmcr.set_veng0(value & 1 == 1),
            names::ICC_IGRPEN1_EL1 => self.vmcr.set_veng1(value & 1 == 1),
            names::ICC_CTLR_EL1 => {
                let ctlr = IccCtlr::from_bits(value);
                self.vmcr = self.vmcr.with_vcbpr(ctlr.cbpr()).with_veoim(ctlr.eoimode());
            }
            names::ICC_SRE_EL1 => {}
            _ => return None,
        }
        Some(WriteEffect::None)
    }

    /// Returns `ICC_CTLR_EL1`: the two modes, and what is implemented. GIC, ICV_CTLR_EL1.
    #[must_use]
    pub fn ctlr(&self) -> IccCtlr {
        let vtr = Self::vtr();
        IccCtlr::new()
            .with_cbpr(self.vmcr.vcbpr())
            .with_eoimode(self.vmcr.veoim())
            .with_pribits(vtr.pribits())
            .with_idbits(vtr.idbits())
            .with_a3v(vtr.a3v())
    }

    /// Returns `ICH_VMCR_EL2` as it reads after a write of `value`: binary points at least the minimum, bits of
    /// priority that do not exist 0, VFIQEn 1. GIC, ICH_VMCR_EL2.
    #[must_use]
    pub fn sanitised_vmcr(value: u64) -> IchVmcr {
        // The fields that exist: VPMR, VBPR0, VBPR1, VEOIM, VCBPR, VENG1, VENG0.
        let mut state = Self { vmcr: IchVmcr::from_bits(value & 0xfffc_0213), ..Self::default() };
        let raw = state.vmcr;
        state.set_priority_mask(raw.vpmr());
        state.set_binary_point(Group::Zero, raw.vbpr0());
        state.vmcr.set_vcbpr(false);
        state.set_binary_point(Group::One, raw.vbpr1());
        state.vmcr.with_vcbpr(raw.vcbpr()).with_vfiqen(true)
    }

    /// Returns `ICH_HCR_EL2` as it reads after a write of `value`: what GICv3 with TDIR defines. GIC, ICH_HCR_EL2.
    #[must_use]
    pub const fn sanitised_hcr(value: u64) -> IchHcr {
        IchHcr::from_bits(value & 0xf800_7cff)
    }

    /// Returns `ICH_LR<n>_EL2` as it reads after a write of `value`: RES0 bits and those bits of priority that do not
    /// exist are 0, and so is NMI, as superpriority is not modelled. GIC, `ICH_LR<n>_EL2`.
    #[must_use]
    pub const fn sanitised_lr(value: u64) -> IchLr {
        IchLr::from_bits(value & 0xf0f8_1fff_ffff_ffff)
    }
}

fn effect(deactivated: Deactivated) -> WriteEffect {
    if deactivated == Deactivated::NONE { WriteEffect::None } else { WriteEffect::Deactivate(deactivated) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::{IchLr, LrState};

    #[test]
    fn a_guest_sets_the_interface_up_and_takes_an_interrupt() {
        let mut ich = IchState::<4> { hcr: IchHcr::from_bits(1), ..IchState::default() };
        assert_eq!(ich.read(names::ICC_SRE_EL1), Some(7));
        for (id, value) in [
            (names::ICC_SRE_EL1, 1),
            (names::ICC_PMR_EL1, 0xf0),
            (names::ICC_BPR1_EL1, 0),
            (names::ICC_CTLR_EL1, 0),
            (names::ICC_IGRPEN1_EL1, 1),
        ] {
            assert_eq!(ich.write(id, value), Some(WriteEffect::None));
        }
        assert_eq!(ich.vmcr.into_bits(), 0xf04c_000a);
        ich.lr[2] = IchLr::from_bits(0x70a0_001b_0000_001b);
        assert_eq!(ich.read(names::ICC_HPPIR1_EL1), Some(27));
        assert_eq!(ich.read(names::ICC_IAR1_EL1), Some(27));
        assert_eq!(ich.read(names::ICC_RPR_EL1), Some(0xa0));
        assert_eq!(ich.read(names::ICC_AP1R0_EL1), Some(1 << 20));
        let done = Deactivated { physical: Some(27) };
        assert_eq!(ich.write(names::ICC_EOIR1_EL1, 27), Some(WriteEffect::Deactivate(done)));
        assert_eq!(ich.read(names::ICC_RPR_EL1), Some(0xff));
        assert_eq!(ich.lr[2].state(), LrState::Inactive);
    }

    #[test]
    fn ctlr_shows_modes_and_implementation() {
        let mut ich = IchState::<4>::default();
        // A3V, IDbits 1, PRIbits 4.
        assert_eq!(ich.read(names::ICC_CTLR_EL1), Some(0x8c00));
        let _ = ich.write(names::ICC_CTLR_EL1, u64::MAX);
        assert_eq!(ich.read(names::ICC_CTLR_EL1), Some(0x8c03));
        assert!(ich.vmcr.vcbpr() && ich.vmcr.veoim());
    }

    #[test]
    fn registers_that_are_not_there_are_none() {
        let mut ich = IchState::<4>::default();
        assert_eq!(ich.read(names::ICC_EOIR1_EL1), None, "write-only");
        assert_eq!(ich.write(names::ICC_IAR1_EL1, 0), None, "read-only");
        assert_eq!(ich.read(names::ICC_AP0R1_EL1), None, "five bits of preemption need one register");
        assert_eq!(ich.write(names::ICC_SGI1R_EL1, 0), None, "that of the distributor");
        assert_eq!(ich.read(names::SCTLR_EL1), None);
    }

    #[test]
    fn the_hypervisors_writes_are_sanitised() {
        assert_eq!(IchState::<4>::sanitised_vmcr(0).into_bits(), 0x004c_0008);
        assert_eq!(IchState::<4>::sanitised_vmcr(u64::MAX).into_bits(), 0xf8fc_021b);
        assert_eq!(
            IchState::<4>::sanitised_vmcr(0x0050_0010).into_bits(),
            0x0050_0018,
            "VBPR1 apart from VCBPR"
        );
        assert_eq!(IchState::<4>::sanitised_hcr(u64::MAX).into_bits(), 0xf800_7cff);
        assert_eq!(IchState::<4>::sanitised_lr(u64::MAX).into_bits(), 0xf0f8_1fff_ffff_ffff);
        assert_eq!(IchState::<4>::sanitised_lr(0x50a7_0000_0000_001b).into_bits(), 0x50a0_0000_0000_001b);
    }

    /// Interface on, all open; Group 0 has 40 at 0x60, Group 1 has 41 at 0x80.
    fn busy() -> IchState<4> {
        let mut ich = IchState::<4> { hcr: IchHcr::from_bits(1), ..IchState::default() };
        ich.vmcr = IchVmcr::from_bits(0xf84c_000b);
        ich.lr[0] = IchLr::from_bits(0x4060_0000_0000_0028);
        ich.lr[1] = IchLr::from_bits(0x5080_0000_0000_0029);
        ich
    }

    #[test]
    fn each_encoding_reads_the_register_that_it_names() {
        // op0 3, op1 0, CRn 12: CRm, op2, what it reads. GIC, the encodings of the ICC registers.
        let mut ich = IchState { ap0r0: 0x1000, ap1r0: 0x10_0000, ..busy() };
        ich.vmcr = IchVmcr::from_bits(0xf074_0009);
        const CASES: &[(&str, u8, u8, u64)] = &[
            ("PMR", 6, 0, 0xf0),
            ("HPPIR0", 8, 2, 40),
            ("BPR0", 8, 3, 3),
            ("AP0R0", 8, 4, 0x1000),
            ("AP1R0", 9, 0, 0x10_0000),
            ("RPR", 11, 3, 0x60),
            ("HPPIR1", 12, 2, 1023),
            ("BPR1", 12, 3, 5),
            ("CTLR", 12, 4, 0x8c00),
            ("SRE", 12, 5, 7),
            ("IGRPEN0", 12, 6, 1),
            ("IGRPEN1", 12, 7, 0),
        ];
        for (name, crm, op2, want) in CASES {
            let id = if *name == "PMR" {
                SysRegId::new(3, 0, 4, 6, 0)
            } else {
                SysRegId::new(3, 0, 12, *crm, *op2)
            };
            assert_eq!(ich.read(id), Some(*want), "{name}");
        }
        let (iar0, iar1) = (SysRegId::new(3, 0, 12, 8, 0), SysRegId::new(3, 0, 12, 12, 0));
        let mut ich = busy();
        assert_eq!((ich.read(iar1), ich.read(iar0)), (Some(1023), Some(40)), "Group 0 is first");
        assert_eq!((ich.ap0r0, ich.ap1r0), (1 << 12, 0));
        let mut ich = busy();
        ich.vmcr.set_veng0(false);
        let hppir1 = SysRegId::new(3, 0, 12, 12, 2);
        assert_eq!((ich.read(hppir1), ich.read(iar0), ich.read(iar1)), (Some(41), Some(1023), Some(41)));
        assert_eq!((ich.ap0r0, ich.ap1r0), (0, 1 << 16));
    }

    #[test]
    fn each_encoding_writes_the_register_that_it_names() {
        // CRm, op2, the value, then VMCR, AP0R0 and AP1R0.
        const CASES: &[(&str, SysRegId, u64, u64, u32, u32)] = &[
            ("PMR", SysRegId::new(3, 0, 4, 6, 0), 0xa7, 0xa04c_000b, 0, 0),
            ("BPR0", SysRegId::new(3, 0, 12, 8, 3), 5, 0xf8ac_000b, 0, 0),
            ("AP0R0", SysRegId::new(3, 0, 12, 8, 4), 0xf_0000_0100, 0xf84c_000b, 0x100, 0),
            ("AP1R0", SysRegId::new(3, 0, 12, 9, 0), 0xf_0000_0200, 0xf84c_000b, 0, 0x200),
            ("BPR1", SysRegId::new(3, 0, 12, 12, 3), 5, 0xf854_000b, 0, 0),
            ("CTLR, CBPR", SysRegId::new(3, 0, 12, 12, 4), 1, 0xf84c_001b, 0, 0),
            ("CTLR, EOImode", SysRegId::new(3, 0, 12, 12, 4), 2, 0xf84c_020b, 0, 0),
            ("CTLR, the rest", SysRegId::new(3, 0, 12, 12, 4), !3, 0xf84c_000b, 0, 0),
            ("SRE", SysRegId::new(3, 0, 12, 12, 5), 0, 0xf84c_000b, 0, 0),
            ("IGRPEN0", SysRegId::new(3, 0, 12, 12, 6), 0, 0xf84c_000a, 0, 0),
            ("IGRPEN1", SysRegId::new(3, 0, 12, 12, 7), !1, 0xf84c_0009, 0, 0),
        ];
        for (name, id, value, vmcr, ap0r0, ap1r0) in CASES {
            let mut ich = busy();
            assert_eq!(ich.write(*id, *value), Some(WriteEffect::None), "{name}");
            let got = (ich.vmcr.into_bits(), ich.ap0r0, ich.ap1r0);
            assert_eq!(got, (*vmcr, *ap0r0, *ap1r0), "{name}");
        }
        // EOIR0, EOIR1 and DIR: each frees what is of its group, or what was dropped before.
        let active = |lr: u64| lr & !(3 << 62) | 2 << 62;
        let mut ich = busy();
        ich.lr = ich.lr.map(|lr| IchLr::from_bits(active(lr.into_bits())));
        (ich.ap0r0, ich.ap1r0) = (1 << 12, 1 << 16);
        assert_eq!(ich.write(SysRegId::new(3, 0, 12, 8, 1), 40), Some(WriteEffect::None), "EOIR0");
        assert_eq!((ich.lr[0].state(), ich.lr[1].state()), (LrState::Inactive, LrState::Active));
        assert_eq!((ich.ap0r0, ich.ap1r0), (0, 1 << 16));
        ich.vmcr.set_veoim(true);
        assert_eq!(ich.write(SysRegId::new(3, 0, 12, 12, 1), 41), Some(WriteEffect::None), "EOIR1");
        assert_eq!((ich.lr[1].state(), ich.ap1r0), (LrState::Active, 0));
        assert_eq!(ich.write(SysRegId::new(3, 0, 12, 11, 1), 0xff00_0029), Some(WriteEffect::None), "DIR");
        assert_eq!(ich.lr[1].state(), LrState::Inactive, "the number has 24 bits");
    }
}
