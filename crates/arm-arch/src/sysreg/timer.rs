//! Registers of the generic timer. Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `CNTP_CTL_EL0`, `CNTV_CTL_EL0` and their like, timer control. Arm ARM, CNTV_CTL_EL0.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CntCtl {
    /// ENABLE, \[0\]: the timer is on.
    pub enable: bool,
    /// IMASK, \[1\]: its interrupt is masked.
    pub imask: bool,
    /// ISTATUS, \[2\]: its condition is met; read-only.
    pub istatus: bool,
    #[bits(61)]
    __: u64,
}
const _: () = assert!(CntCtl::ISTATUS_OFFSET == 2);

/// `CNTKCTL_EL1`, Counter-timer Kernel Control Register. Arm ARM, CNTKCTL_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CntkctlEl1 {
    /// EL0PCTEN, \[0\]: EL0 may read the physical counter.
    pub el0pcten: bool,
    /// EL0VCTEN, \[1\]: EL0 may read the virtual counter.
    pub el0vcten: bool,
    /// EVNTEN, \[2\]: the event stream is enabled.
    pub evnten: bool,
    /// EVNTDIR, \[3\]: events on the transition from 1 to 0.
    pub evntdir: bool,
    /// EVNTI, \[7:4\]: the counter bit that triggers events.
    #[bits(4)]
    pub evnti: u8,
    /// EL0VTEN, \[8\]: EL0 may access the virtual timer.
    pub el0vten: bool,
    /// EL0PTEN, \[9\]: EL0 may access the physical timer.
    pub el0pten: bool,
    #[bits(7)]
    __: u8,
    /// EVNTIS, \[17\]: EVNTI counts from bit 8. FEAT_ECV.
    pub evntis: bool,
    /// CNTVMASK, \[18\]: see CNTHCTL_EL2. FEAT_RME.
    pub cntvmask: bool,
    /// CNTPMASK, \[19\]: see CNTHCTL_EL2. FEAT_RME.
    pub cntpmask: bool,
    #[bits(44)]
    __: u64,
}
const _: () = assert!(CntkctlEl1::CNTPMASK_OFFSET == 19);

/// `CNTHCTL_EL2`, Counter-timer Hypervisor Control Register, in the form of HCR_EL2.E2H = 1. Arm ARM, CNTHCTL_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CnthctlEl2 {
    /// EL0PCTEN, \[0\]: EL0 of a host may read the physical counter.
    pub el0pcten: bool,
    /// EL0VCTEN, \[1\]: EL0 of a host may read the virtual counter.
    pub el0vcten: bool,
    /// EVNTEN, \[2\]: the event stream is enabled.
    pub evnten: bool,
    /// EVNTDIR, \[3\]: events on the transition from 1 to 0.
    pub evntdir: bool,
    /// EVNTI, \[7:4\]: the counter bit that triggers events.
    #[bits(4)]
    pub evnti: u8,
    /// EL0VTEN, \[8\]: EL0 of a host may access the virtual timer.
    pub el0vten: bool,
    /// EL0PTEN, \[9\]: EL0 of a host may access the physical timer.
    pub el0pten: bool,
    /// EL1PCTEN, \[10\]: EL1 and EL0 may read the physical counter.
    pub el1pcten: bool,
    /// EL1PTEN, \[11\]: EL1 and EL0 may access the physical timer.
    pub el1pten: bool,
    /// ECV, \[12\]: the physical offset is in use. FEAT_ECV.
    pub ecv: bool,
    /// EL1TVT, \[13\]: accesses to the virtual timer trap. FEAT_ECV.
    pub el1tvt: bool,
    /// EL1TVCT, \[14\]: accesses to the virtual counter trap. FEAT_ECV.
    pub el1tvct: bool,
    /// EL1NVPCT, \[15\]: EL02 accesses to the physical timer trap. FEAT_ECV.
    pub el1nvpct: bool,
    /// EL1NVVCT, \[16\]: EL02 accesses to the virtual timer trap. FEAT_ECV.
    pub el1nvvct: bool,
    /// EVNTIS, \[17\]: EVNTI counts from bit 8. FEAT_ECV.
    pub evntis: bool,
    /// CNTVMASK, \[18\]: the virtual timer's interrupt is masked. FEAT_RME.
    pub cntvmask: bool,
    /// CNTPMASK, \[19\]: the physical timer's interrupt is masked. FEAT_RME.
    pub cntpmask: bool,
    #[bits(44)]
    __: u64,
}
const _: () = assert!(CnthctlEl2::CNTPMASK_OFFSET == 19);

/// `CNTHCTL_EL2` in the form of HCR_EL2.E2H = 0: where the controls of EL1 lie. Arm ARM, CNTHCTL_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CnthctlEl2Classic {
    /// EL1PCTEN, \[0\]: EL1 and EL0 may read the physical counter.
    pub el1pcten: bool,
    /// EL1PCEN, \[1\]: EL1 and EL0 may access the physical timer.
    pub el1pcen: bool,
    /// EVNTEN, \[2\]: the event stream is enabled.
    pub evnten: bool,
    /// EVNTDIR, \[3\]: events on the transition from 1 to 0.
    pub evntdir: bool,
    /// EVNTI, \[7:4\]: the counter bit that triggers events.
    #[bits(4)]
    pub evnti: u8,
    #[bits(4)]
    __: u8,
    /// ECV, \[12\]: the physical offset is in use. FEAT_ECV.
    pub ecv: bool,
    /// EL1TVT, \[13\]: accesses to the virtual timer trap. FEAT_ECV.
    pub el1tvt: bool,
    /// EL1TVCT, \[14\]: accesses to the virtual counter trap. FEAT_ECV.
    pub el1tvct: bool,
    /// EL1NVPCT, \[15\]: EL02 accesses to the physical timer trap. FEAT_ECV.
    pub el1nvpct: bool,
    /// EL1NVVCT, \[16\]: EL02 accesses to the virtual timer trap. FEAT_ECV.
    pub el1nvvct: bool,
    /// EVNTIS, \[17\]: EVNTI counts from bit 8. FEAT_ECV.
    pub evntis: bool,
    /// CNTVMASK, \[18\]: the virtual timer's interrupt is masked. FEAT_RME.
    pub cntvmask: bool,
    /// CNTPMASK, \[19\]: the physical timer's interrupt is masked. FEAT_RME.
    pub cntpmask: bool,
    #[bits(44)]
    __: u64,
}
const _: () = assert!(CnthctlEl2Classic::CNTPMASK_OFFSET == 19);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let ctl = CntCtl::from_bits(5);
        assert!(ctl.enable() && !ctl.imask() && ctl.istatus());
        // Linux: EL0 reads the virtual counter; event stream on bit 7.
        let kctl = CntkctlEl1::from_bits(0x76);
        assert!(kctl.el0vcten() && kctl.evnten() && !kctl.el0pcten() && !kctl.el0vten() && !kctl.el0pten());
        assert_eq!(kctl.evnti(), 7);
        let hctl = CnthctlEl2::from_bits(0xc00);
        assert!(hctl.el1pcten() && hctl.el1pten() && !hctl.el0pcten() && !hctl.el1tvt());
        let classic = CnthctlEl2Classic::from_bits(2);
        assert!(classic.el1pcen() && !classic.el1pcten());
        let classic = CnthctlEl2Classic::from_bits(0x1_f076);
        assert!(classic.el1pcen() && classic.evnten() && !classic.evntdir() && !classic.evntis());
        assert!(
            classic.ecv()
                && classic.el1tvt()
                && classic.el1tvct()
                && classic.el1nvpct()
                && classic.el1nvvct()
        );
        assert_eq!(classic.evnti(), 7);
    }
}
