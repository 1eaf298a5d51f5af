//! Memory partitioning: what traps, and what says so. FEAT_MPAM. Arm ARM, MPAM2_EL2.

use bitfield_struct::bitfield;

/// `MPAM2_EL2`, MPAM2 Register (EL2). Arm ARM, MPAM2_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Mpam2El2 {
    /// PARTID, \[15:0\]: partition of instruction fetches.
    pub partid: u16,
    /// PARTID_D, \[31:16\]: partition of data accesses.
    pub partid_d: u16,
    /// PMG_I, \[39:32\]: performance group of instruction fetches.
    pub pmg_i: u8,
    /// PMG_D, \[47:40\]: performance group of data accesses.
    pub pmg_d: u8,
    /// TRAPMPAM1EL1, \[48\]: accesses of EL1 to MPAM1_EL1 trap.
    pub trapmpam1el1: bool,
    /// TRAPMPAM0EL1, \[49\]: accesses of EL1 to MPAM0_EL1 trap.
    pub trapmpam0el1: bool,
    /// EnMPAMSM, \[50\]: MPAMSM_EL1 does not trap. FEAT_SME.
    pub enmpamsm: bool,
    #[bits(3)]
    __: u8,
    /// ALTSP_FRCD, \[54\]: the alternative space is forced.
    pub altsp_frcd: bool,
    /// ALTSP_EL2, \[55\]: EL2 uses the alternative space.
    pub altsp_el2: bool,
    /// ALTSP_HFC, \[56\]: the alternative space can be forced.
    pub altsp_hfc: bool,
    __: bool,
    /// TIDR, \[58\]: MPAMIDR_EL1 traps, where MPAMIDR_EL1.HAS_TIDR says so.
    pub tidr: bool,
    #[bits(4)]
    __: u8,
    /// MPAMEN, \[63\]: partitioning is enabled; that of EL3, read.
    pub mpamen: bool,
}
const _: () = assert!(Mpam2El2::MPAMEN_OFFSET == 63);

/// `MPAM3_EL3`, MPAM3 Register (EL3). Arm ARM, MPAM3_EL3.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Mpam3El3 {
    /// PARTID, \[15:0\]: partition of instruction fetches.
    pub partid: u16,
    /// PARTID_D, \[31:16\]: partition of data accesses.
    pub partid_d: u16,
    /// PMG_I, \[39:32\]: performance group of instruction fetches.
    pub pmg_i: u8,
    /// PMG_D, \[47:40\]: performance group of data accesses.
    pub pmg_d: u8,
    #[bits(4)]
    __: u8,
    /// RT_ALTSP_NS, \[52\]: the alternative space of Root state is the Non-secure one.
    pub rt_altsp_ns: bool,
    #[bits(2)]
    __: u8,
    /// ALTSP_EL3, \[55\]: EL3 uses the alternative space.
    pub altsp_el3: bool,
    /// ALTSP_HFC, \[56\]: the alternative space can be forced.
    pub altsp_hfc: bool,
    /// ALTSP_HEN, \[57\]: the levels below choose their alternative space.
    pub altsp_hen: bool,
    #[bits(2)]
    __: u8,
    /// FORCE_NS, \[60\]: Secure state uses the Non-secure space.
    pub force_ns: bool,
    /// SDEFLT, \[61\]: Secure state uses the default partition.
    pub sdeflt: bool,
    /// TRAPLOWER, \[62\]: accesses of the levels below to all registers of this extension trap.
    pub traplower: bool,
    /// MPAMEN, \[63\]: partitioning is enabled.
    pub mpamen: bool,
}
const _: () = assert!(Mpam3El3::MPAMEN_OFFSET == 63);

/// `MPAMHCR_EL2`, MPAM Hypervisor Control Register (EL2). Arm ARM, MPAMHCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MpamhcrEl2 {
    /// EL0_VPMEN, \[0\]: partitions of EL0 are virtual.
    pub el0_vpmen: bool,
    /// EL1_VPMEN, \[1\]: partitions of EL1 are virtual.
    pub el1_vpmen: bool,
    #[bits(6)]
    __: u8,
    /// GSTAPP_PLK, \[8\]: EL0 has the partition of EL1.
    pub gstapp_plk: bool,
    #[bits(22)]
    __: u32,
    /// TRAP_MPAMIDR_EL1, \[31\]: MPAMIDR_EL1 traps.
    pub trap_mpamidr_el1: bool,
    __: u16,
    /// nTRAPMPAM1EL1, \[48\]: MPAM1_EL1 does not trap.
    pub ntrapmpam1el1: bool,
    /// nTRAPMPAM0EL1, \[49\]: MPAM0_EL1 does not trap.
    pub ntrapmpam0el1: bool,
    /// nTRAPMPAMSM, \[50\]: MPAMSM_EL1 does not trap.
    pub ntrapmpamsm: bool,
    #[bits(7)]
    __: u8,
    /// nTIDR, \[58\]: MPAMIDR_EL1 does not trap.
    pub ntidr: bool,
    #[bits(5)]
    __: u8,
}
const _: () = assert!(MpamhcrEl2::NTIDR_OFFSET == 58);

/// `MPAMIDR_EL1`, MPAM ID Register (EL1). Arm ARM, MPAMIDR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MpamidrEl1 {
    /// PARTID_MAX, \[15:0\]: highest partition.
    pub partid_max: u16,
    __: bool,
    /// HAS_HCR, \[17\]: there is MPAMHCR_EL2.
    pub has_hcr: bool,
    /// VPMR_MAX, \[20:18\]: highest register of virtual partitions.
    #[bits(3)]
    pub vpmr_max: u8,
    /// HAS_ALT_ID, \[21\]: alternative identifiers.
    pub has_alt_id: bool,
    /// HAS_INSTR_ALT_ID, \[22\]: alternative identifiers of fetches.
    pub has_instr_alt_id: bool,
    #[bits(9)]
    __: u16,
    /// PMG_MAX, \[39:32\]: highest performance group.
    pub pmg_max: u8,
    __: u16,
    /// HAS_BW_CTRL, \[56\]: bandwidth controls.
    pub has_bw_ctrl: bool,
    /// HAS_ALTSP, \[57\]: alternative spaces.
    pub has_altsp: bool,
    /// HAS_TIDR, \[58\]: there is MPAM2_EL2.TIDR.
    pub has_tidr: bool,
    /// SP4, \[59\]: four spaces.
    pub sp4: bool,
    /// HAS_FORCE_NS, \[60\]: there is MPAM3_EL3.FORCE_NS.
    pub has_force_ns: bool,
    /// HAS_SDEFLT, \[61\]: there is MPAM3_EL3.SDEFLT.
    pub has_sdeflt: bool,
    #[bits(2)]
    __: u8,
}
const _: () = assert!(MpamidrEl1::HAS_SDEFLT_OFFSET == 61);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let mpam2 = Mpam2El2::from_bits(0x8405_0403_0002_0001);
        assert!(
            mpam2.mpamen()
                && mpam2.tidr()
                && mpam2.enmpamsm()
                && mpam2.trapmpam1el1()
                && !mpam2.trapmpam0el1()
        );
        assert_eq!((mpam2.partid(), mpam2.partid_d(), mpam2.pmg_i(), mpam2.pmg_d()), (1, 2, 3, 4));
        assert!(Mpam2El2::from_bits(1 << 49).trapmpam0el1());
        let mpam3 = Mpam3El3::from_bits(0x4000_0000_0007_0000);
        assert!(mpam3.traplower() && !mpam3.mpamen() && !mpam3.sdeflt());
        assert_eq!((mpam3.partid_d(), mpam3.partid()), (7, 0));
        let hcr = MpamhcrEl2::from_bits(0x8000_0102);
        assert!(
            hcr.trap_mpamidr_el1() && hcr.gstapp_plk() && hcr.el1_vpmen() && !hcr.el0_vpmen() && !hcr.ntidr()
        );
        let idr = MpamidrEl1::from_bits(0x0400_0001_0006_003f);
        assert!(idr.has_tidr() && idr.has_hcr() && !idr.sp4() && !idr.has_altsp());
        assert_eq!((idr.partid_max(), idr.pmg_max(), idr.vpmr_max()), (63, 1, 1));
    }
}
