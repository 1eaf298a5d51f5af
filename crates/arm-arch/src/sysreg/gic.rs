//! Registers of the interrupt controller's CPU interface and hypervisor interface. GIC ch. 12.

use bitfield_struct::bitfield;

/// `ICH_LR<n>_EL2`, List Register: one virtual interrupt. GIC, `ICH_LR<n>_EL2`.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IchLr {
    /// vINTID, \[31:0\]: the virtual interrupt's number.
    pub vintid: u32,
    /// pINTID, \[44:32\]: with HW: the physical interrupt to deactivate; else bit 41 is EOI.
    #[bits(13)]
    pub pintid: u16,
    #[bits(3)]
    __: u8,
    /// Priority, \[55:48\]: the interrupt's priority.
    pub priority: u8,
    #[bits(3)]
    __: u8,
    /// NMI, \[59\]: the interrupt has superpriority. FEAT_GICv3_NMI.
    pub nmi: bool,
    /// Group, \[60\]: the interrupt is in Group 1.
    pub group: bool,
    /// HW, \[61\]: the interrupt is that of a physical one.
    pub hw: bool,
    /// State, \[63:62\]: inactive, pending, active, or both.
    #[bits(2)]
    pub state: LrState,
}
const _: () = assert!(IchLr::STATE_OFFSET == 62);

impl IchLr {
    /// Whether EOI of this interrupt raises the maintenance interrupt: bit 41, where HW is 0.
    /// GIC, ICH_LR\<n\>_EL2.EOI.
    #[must_use]
    pub const fn eoi(self) -> bool {
        !self.hw() && self.pintid() & 1 << 9 != 0
    }

    /// Returns this register with the bit that [`IchLr::eoi`] reads; HW must be 0 for it to count.
    /// GIC, `ICH_LR<n>_EL2`.EOI.
    #[must_use]
    pub const fn with_eoi(self, eoi: bool) -> Self {
        let rest = self.pintid() & !(1 << 9);
        self.with_pintid(if eoi { rest | 1 << 9 } else { rest })
    }
}

/// The state of a list register's interrupt. GIC, `ICH_LR<n>_EL2`.State.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum LrState {
    /// 0b00: inactive; the list register is free.
    Inactive = 0,
    /// 0b01: pending.
    Pending = 1,
    /// 0b10: active.
    Active = 2,
    /// 0b11: pending and active.
    PendingActive = 3,
}

impl LrState {
    /// Makes a state of its two bits; higher bits are dropped. GIC, `ICH_LR<n>_EL2`.State.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Inactive,
            1 => Self::Pending,
            2 => Self::Active,
            _ => Self::PendingActive,
        }
    }

    /// Returns the two bits. GIC, `ICH_LR<n>_EL2`.State.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Inactive => 0,
            Self::Pending => 1,
            Self::Active => 2,
            Self::PendingActive => 3,
        }
    }

    /// Whether the interrupt is active, pending again or not. GIC, ICH_LR\<n\>_EL2.State.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::PendingActive)
    }
}

/// `ICH_HCR_EL2`, Interrupt Controller Hyp Control Register. GIC, ICH_HCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IchHcr {
    /// En, \[0\]: the virtual CPU interface is on.
    pub en: bool,
    /// UIE, \[1\]: maintenance on underflow: at most one list register is in use.
    pub uie: bool,
    /// LRENPIE, \[2\]: maintenance on EOI of an interrupt in no list register.
    pub lrenpie: bool,
    /// NPIE, \[3\]: maintenance when no interrupt is pending.
    pub npie: bool,
    /// VGrp0EIE, \[4\]: maintenance when Group 0 is enabled.
    pub vgrp0eie: bool,
    /// VGrp0DIE, \[5\]: maintenance when Group 0 is disabled.
    pub vgrp0die: bool,
    /// VGrp1EIE, \[6\]: maintenance when Group 1 is enabled.
    pub vgrp1eie: bool,
    /// VGrp1DIE, \[7\]: maintenance when Group 1 is disabled.
    pub vgrp1die: bool,
    /// vSGIEOICount, \[8\]: EOI of a virtual SGI does not count. GICv4.1.
    pub vsgieoicount: bool,
    __: bool,
    /// TC, \[10\]: common registers trap.
    pub tc: bool,
    /// TALL0, \[11\]: registers of Group 0 trap.
    pub tall0: bool,
    /// TALL1, \[12\]: registers of Group 1 trap.
    pub tall1: bool,
    /// TSEI, \[13\]: locally generated SErrors trap.
    pub tsei: bool,
    /// TDIR, \[14\]: ICC_DIR_EL1 traps. FEAT_GICv3_TDIR.
    pub tdir: bool,
    /// DVIM, \[15\]: direct injection is masked. GICv4.1.
    pub dvim: bool,
    #[bits(11)]
    __: u16,
    /// EOIcount, \[31:27\]: EOIs of interrupts in no list register.
    #[bits(5)]
    pub eoicount: u8,
    __: u32,
}
const _: () = assert!(IchHcr::EOICOUNT_OFFSET == 27);

/// `ICH_VMCR_EL2`, Interrupt Controller Virtual Machine Control Register. GIC, ICH_VMCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IchVmcr {
    /// VENG0, \[0\]: Group 0 is enabled.
    pub veng0: bool,
    /// VENG1, \[1\]: Group 1 is enabled.
    pub veng1: bool,
    /// VAckCtl, \[2\]: AckCtl of GICv2; RES0 with the system register interface only.
    pub vackctl: bool,
    /// VFIQEn, \[3\]: Group 0 is signalled as FIQ; RES1 with the system register interface only.
    pub vfiqen: bool,
    /// VCBPR, \[4\]: one binary point for both groups.
    pub vcbpr: bool,
    #[bits(4)]
    __: u8,
    /// VEOIM, \[9\]: EOI drops priority only, DIR deactivates.
    pub veoim: bool,
    __: u8,
    /// VBPR1, \[20:18\]: binary point of Group 1.
    #[bits(3)]
    pub vbpr1: u8,
    /// VBPR0, \[23:21\]: binary point of Group 0.
    #[bits(3)]
    pub vbpr0: u8,
    /// VPMR, \[31:24\]: priority mask.
    pub vpmr: u8,
    __: u32,
}
const _: () = assert!(IchVmcr::VPMR_OFFSET == 24);

/// `ICH_VTR_EL2`, Interrupt Controller VGIC Type Register. GIC, ICH_VTR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IchVtr {
    /// ListRegs, \[4:0\]: number of list registers, less one.
    #[bits(5)]
    pub list_regs: u8,
    #[bits(13)]
    __: u16,
    /// DVIM, \[18\]: direct injection can be masked.
    pub dvim: bool,
    /// TDS, \[19\]: ICH_HCR_EL2.TDIR exists.
    pub tds: bool,
    /// nV4, \[20\]: no direct injection of interrupts.
    pub nv4: bool,
    /// A3V, \[21\]: affinity level 3 may be non-zero.
    pub a3v: bool,
    /// SEIS, \[22\]: SErrors can be generated locally.
    pub seis: bool,
    /// IDbits, \[25:23\]: interrupt numbers: 000 is 16 bits, 001 24.
    #[bits(3)]
    pub idbits: u8,
    /// PREbits, \[28:26\]: preemption bits, less one.
    #[bits(3)]
    pub prebits: u8,
    /// PRIbits, \[31:29\]: priority bits, less one.
    #[bits(3)]
    pub pribits: u8,
    __: u32,
}
const _: () = assert!(IchVtr::PRIBITS_OFFSET == 29);

/// `ICH_MISR_EL2`, Interrupt Controller Maintenance Interrupt State Register. GIC, ICH_MISR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IchMisr {
    /// EOI, \[0\]: a list register asks for maintenance by its EOI bit.
    pub eoi: bool,
    /// U, \[1\]: underflow.
    pub u: bool,
    /// LRENP, \[2\]: EOIcount is not zero.
    pub lrenp: bool,
    /// NP, \[3\]: no list register is pending.
    pub np: bool,
    /// VGrp0E, \[4\]: Group 0 is enabled.
    pub vgrp0e: bool,
    /// VGrp0D, \[5\]: Group 0 is disabled.
    pub vgrp0d: bool,
    /// VGrp1E, \[6\]: Group 1 is enabled.
    pub vgrp1e: bool,
    /// VGrp1D, \[7\]: Group 1 is disabled.
    pub vgrp1d: bool,
    #[bits(56)]
    __: u64,
}
const _: () = assert!(IchMisr::VGRP1D_OFFSET == 7);

/// `ICC_CTLR_EL1`, Interrupt Controller Control Register (EL1). GIC, ICC_CTLR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IccCtlr {
    /// CBPR, \[0\]: one binary point for both groups.
    pub cbpr: bool,
    /// EOImode, \[1\]: EOI drops priority only, DIR deactivates.
    pub eoimode: bool,
    #[bits(4)]
    __: u8,
    /// PMHE, \[6\]: the priority mask is a hint for the distributor.
    pub pmhe: bool,
    __: bool,
    /// PRIbits, \[10:8\]: priority bits, less one; read-only.
    #[bits(3)]
    pub pribits: u8,
    /// IDbits, \[13:11\]: interrupt numbers: 000 is 16 bits, 001 24; read-only.
    #[bits(3)]
    pub idbits: u8,
    /// SEIS, \[14\]: SErrors can be generated locally; read-only.
    pub seis: bool,
    /// A3V, \[15\]: affinity level 3 may be non-zero; read-only.
    pub a3v: bool,
    #[bits(2)]
    __: u8,
    /// RSS, \[18\]: SGIs reach Aff0 up to 255; read-only.
    pub rss: bool,
    /// ExtRange, \[19\]: extended ranges of interrupts exist; read-only.
    pub ext_range: bool,
    #[bits(44)]
    __: u64,
}
const _: () = assert!(IccCtlr::EXT_RANGE_OFFSET == 19);

/// `ICC_SRE_EL1`, `ICC_SRE_EL2` and `ICC_SRE_EL3`, Interrupt Controller System Register Enable. GIC, ICC_SRE_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IccSre {
    /// SRE, \[0\]: the CPU interface is by system registers.
    pub sre: bool,
    /// DFB, \[1\]: bypass of FIQs is disabled.
    pub dfb: bool,
    /// DIB, \[2\]: bypass of IRQs is disabled.
    pub dib: bool,
    /// Enable, \[3\]: the level below may access its own; RES0 at EL1.
    pub enable: bool,
    #[bits(60)]
    __: u64,
}
const _: () = assert!(IccSre::ENABLE_OFFSET == 3);

/// `ICC_IAR<n>_EL1`, `ICC_EOIR<n>_EL1`, `ICC_HPPIR<n>_EL1` and `ICC_DIR_EL1`: which interrupt. GIC, ICC_IAR1_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IccIntid {
    /// INTID, \[23:0\]: the interrupt's number.
    #[bits(24)]
    pub intid: u32,
    #[bits(40)]
    __: u64,
}
const _: () = assert!(IccIntid::INTID_BITS == 24);

/// `ICC_SGI0R_EL1`, `ICC_SGI1R_EL1` and `ICC_ASGI1R_EL1`, generation of an SGI. GIC, ICC_SGI1R_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IccSgi {
    /// TargetList, \[15:0\]: one bit for each Aff0 from 16 × RS.
    pub target_list: u16,
    /// Aff1, \[23:16\]: affinity level 1 of the targets.
    pub aff1: u8,
    /// INTID, \[27:24\]: the SGI.
    #[bits(4)]
    pub intid: u8,
    #[bits(4)]
    __: u8,
    /// Aff2, \[39:32\]: affinity level 2 of the targets.
    pub aff2: u8,
    /// IRM, \[40\]: to all but this element, affinity aside.
    pub irm: bool,
    #[bits(3)]
    __: u8,
    /// RS, \[47:44\]: which sixteen of Aff0 TargetList covers.
    #[bits(4)]
    pub rs: u8,
    /// Aff3, \[55:48\]: affinity level 3 of the targets.
    pub aff3: u8,
    __: u8,
}
const _: () = assert!(IccSgi::AFF3_OFFSET == 48);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let lr = IchLr::from_bits(0x50a0_0000_0000_001b);
        assert_eq!((lr.state(), lr.hw(), lr.group(), lr.priority()), (LrState::Pending, false, true, 0xa0));
        assert_eq!((lr.vintid(), lr.eoi(), lr.nmi()), (27, false, false));
        let level = IchLr::from_bits(0x9080_0200_0000_0021);
        assert_eq!((level.state(), level.eoi(), level.vintid()), (LrState::Active, true, 33));
        assert_eq!(IchLr::new().with_eoi(true).into_bits(), 1 << 41);
        assert!(!IchLr::from_bits(1 << 61 | 1 << 41).eoi(), "with HW the bit belongs to pINTID");

        let vmcr = IchVmcr::from_bits(0xf04c_020a);
        assert_eq!((vmcr.vpmr(), vmcr.vbpr0(), vmcr.vbpr1()), (0xf0, 2, 3));
        assert!(vmcr.veng1() && !vmcr.veng0() && vmcr.veoim() && vmcr.vfiqen() && !vmcr.vcbpr());

        let hcr = IchHcr::from_bits(0x1000_0403);
        assert!(hcr.en() && hcr.uie() && hcr.tc() && !hcr.npie());
        assert_eq!(hcr.eoicount(), 2);
        let vtr = IchVtr::from_bits(0x9000_0003 | 1 << 23);
        assert_eq!((vtr.list_regs(), vtr.prebits(), vtr.pribits(), vtr.idbits()), (3, 4, 4, 1));
        assert!(IchMisr::from_bits(0x81).eoi() && IchMisr::from_bits(0x81).vgrp1d());
        let ctlr = IccCtlr::from_bits(0x8c02);
        assert!(ctlr.eoimode() && ctlr.a3v() && !ctlr.cbpr());
        assert_eq!((ctlr.pribits(), ctlr.idbits()), (4, 1));
        assert_eq!(IccIntid::from_bits(0xff00_03ff).intid(), 0x3ff);
        let sre = IccSre::from_bits(9);
        assert!(sre.sre() && sre.enable() && !sre.dfb() && !sre.dib());
        assert!(IccSre::from_bits(6).dfb() && IccSre::from_bits(4).dib() && !IccSre::from_bits(6).sre());
        let sgi = IccSgi::from_bits(0x0003_1002_0504_8001);
        assert_eq!((sgi.aff3(), sgi.rs(), sgi.aff2(), sgi.intid(), sgi.aff1()), (3, 1, 2, 5, 4));
        assert_eq!((sgi.target_list(), sgi.irm()), (0x8001, false));
    }
}
