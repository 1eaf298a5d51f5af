//! Registers of translation beyond EL1: those of EL2 and EL3, the extensions in `TCR2_ELx`, and stage 2.
//! Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `TCR_EL2`, Translation Control Register (EL2), in the form of HCR_EL2.E2H = 0; with 1 it is that of
/// [`super::TcrEl1`]. Arm ARM, TCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct TcrEl2 {
    /// T0SZ, \[5:0\]: the range has 64 − T0SZ address bits.
    #[bits(6)]
    pub t0sz: u8,
    #[bits(2)]
    __: u8,
    /// IRGN0, \[9:8\]: inner cacheability of walks.
    #[bits(2)]
    pub irgn0: u8,
    /// ORGN0, \[11:10\]: outer cacheability of walks.
    #[bits(2)]
    pub orgn0: u8,
    /// SH0, \[13:12\]: shareability of walks.
    #[bits(2)]
    pub sh0: u8,
    /// TG0, \[15:14\]: granule: 00 is 4 KiB, 01 64 KiB, 10 16 KiB.
    #[bits(2)]
    pub tg0: u8,
    /// PS, \[18:16\]: output address size.
    #[bits(3)]
    pub ps: u8,
    __: bool,
    /// TBI, \[20\]: the top byte is ignored.
    pub tbi: bool,
    /// HA, \[21\]: hardware sets the access flag. FEAT_HAFDBS.
    pub ha: bool,
    /// HD, \[22\]: hardware manages dirty state. FEAT_HAFDBS.
    pub hd: bool,
    /// RES1, \[23\]: reads as one.
    pub res1_23: bool,
    /// HPD, \[24\]: hierarchical permissions are ignored. FEAT_HPDS.
    pub hpd: bool,
    /// HWU59, \[25\]: bit 59 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu59: bool,
    /// HWU60, \[26\]: bit 60 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu60: bool,
    /// HWU61, \[27\]: bit 61 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu61: bool,
    /// HWU62, \[28\]: bit 62 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu62: bool,
    /// TBID, \[29\]: TBI does not cover instruction addresses. FEAT_PAuth.
    pub tbid: bool,
    /// TCMA, \[30\]: tag 0 is unchecked. FEAT_MTE2.
    pub tcma: bool,
    /// RES1, \[31\]: reads as one.
    pub res1_31: bool,
    /// DS, \[32\]: descriptors hold 52-bit addresses. FEAT_LPA2.
    pub ds: bool,
    /// MTX, \[33\]: bits 59:56 hold a tag. FEAT_MTE_NO_ADDRESS_TAGS.
    pub mtx: bool,
    #[bits(30)]
    __: u32,
}
const _: () = assert!(TcrEl2::MTX_OFFSET == 33);

/// `TCR_EL3`, Translation Control Register (EL3). Arm ARM, TCR_EL3.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct TcrEl3 {
    /// T0SZ, \[5:0\]: the range has 64 − T0SZ address bits.
    #[bits(6)]
    pub t0sz: u8,
    #[bits(2)]
    __: u8,
    /// IRGN0, \[9:8\]: inner cacheability of walks.
    #[bits(2)]
    pub irgn0: u8,
    /// ORGN0, \[11:10\]: outer cacheability of walks.
    #[bits(2)]
    pub orgn0: u8,
    /// SH0, \[13:12\]: shareability of walks.
    #[bits(2)]
    pub sh0: u8,
    /// TG0, \[15:14\]: granule: 00 is 4 KiB, 01 64 KiB, 10 16 KiB.
    #[bits(2)]
    pub tg0: u8,
    /// PS, \[18:16\]: output address size.
    #[bits(3)]
    pub ps: u8,
    __: bool,
    /// TBI, \[20\]: the top byte is ignored.
    pub tbi: bool,
    /// HA, \[21\]: hardware sets the access flag. FEAT_HAFDBS.
    pub ha: bool,
    /// HD, \[22\]: hardware manages dirty state. FEAT_HAFDBS.
    pub hd: bool,
    /// RES1, \[23\]: reads as one.
    pub res1_23: bool,
    /// HPD, \[24\]: hierarchical permissions are ignored. FEAT_HPDS.
    pub hpd: bool,
    /// HWU59, \[25\]: bit 59 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu59: bool,
    /// HWU60, \[26\]: bit 60 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu60: bool,
    /// HWU61, \[27\]: bit 61 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu61: bool,
    /// HWU62, \[28\]: bit 62 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu62: bool,
    /// TBID, \[29\]: TBI does not cover instruction addresses. FEAT_PAuth.
    pub tbid: bool,
    /// TCMA, \[30\]: tag 0 is unchecked. FEAT_MTE2.
    pub tcma: bool,
    /// RES1, \[31\]: reads as one.
    pub res1_31: bool,
    /// DS, \[32\]: descriptors hold 52-bit addresses. FEAT_LPA2.
    pub ds: bool,
    /// MTX, \[33\]: bits 59:56 hold a tag. FEAT_MTE_NO_ADDRESS_TAGS.
    pub mtx: bool,
    /// PnCH, \[34\]: bit 52 is Protected, not Contiguous. FEAT_THE.
    pub pnch: bool,
    /// PIE, \[35\]: permissions are indirect. FEAT_S1PIE.
    pub pie: bool,
    /// POE, \[36\]: permissions have an overlay. FEAT_S1POE.
    pub poe: bool,
    /// AIE, \[37\]: attributes are indexed by four bits. FEAT_AIE.
    pub aie: bool,
    /// D128, \[38\]: descriptors have 128 bits. FEAT_D128.
    pub d128: bool,
    #[bits(2)]
    __: u8,
    /// PTTWI, \[41\]: writes of RCWS instructions may have the Reduced Coherence property. FEAT_THE.
    pub pttwi: bool,
    /// HAFT, \[42\]: hardware sets the access flag of tables. FEAT_HAFT.
    pub haft: bool,
    /// DisCH0, \[43\]: Contiguous is ignored in the first table. FEAT_D128.
    pub disch0: bool,
    #[bits(20)]
    __: u32,
}
const _: () = assert!(TcrEl3::DISCH0_OFFSET == 43);

/// `TCR2_EL1` and `TCR2_EL2`, Extended Translation Control Registers. Arm ARM, TCR2_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Tcr2 {
    /// PnCH, \[0\]: bit 52 is Protected, not Contiguous. FEAT_THE.
    pub pnch: bool,
    /// PIE, \[1\]: permissions are indirect. FEAT_S1PIE.
    pub pie: bool,
    /// E0POE, \[2\]: permissions of EL0 have an overlay. FEAT_S1POE.
    pub e0poe: bool,
    /// POE, \[3\]: privileged permissions have an overlay. FEAT_S1POE.
    pub poe: bool,
    /// AIE, \[4\]: attributes are indexed by four bits. FEAT_AIE.
    pub aie: bool,
    /// D128, \[5\]: descriptors have 128 bits. FEAT_D128.
    pub d128: bool,
    /// SKL0, \[7:6\]: EL2 only: levels that TTBR0 skips. FEAT_D128.
    #[bits(2)]
    pub skl0: u8,
    /// SKL1, \[9:8\]: EL2 only: levels that TTBR1 skips. FEAT_D128.
    #[bits(2)]
    pub skl1: u8,
    /// PTTWI, \[10\]: writes of RCWS instructions may have the Reduced Coherence property. FEAT_THE.
    pub pttwi: bool,
    /// HAFT, \[11\]: hardware sets the access flag of tables. FEAT_HAFT.
    pub haft: bool,
    /// AMEC0, \[12\]: EL2 only: alternate memory encryption contexts, TTBR0. FEAT_MEC.
    pub amec0: bool,
    /// AMEC1, \[13\]: EL2 only: alternate memory encryption contexts, TTBR1. FEAT_MEC.
    pub amec1: bool,
    /// DisCH0, \[14\]: Contiguous is ignored in the first table of TTBR0. FEAT_D128.
    pub disch0: bool,
    /// DisCH1, \[15\]: Contiguous is ignored in the first table of TTBR1. FEAT_D128.
    pub disch1: bool,
    /// A2, \[16\]: both ASIDs are in use. FEAT_ASID2.
    pub a2: bool,
    /// FNG0, \[17\]: entries of TTBR0 are not global. FEAT_ASID2.
    pub fng0: bool,
    /// FNG1, \[18\]: entries of TTBR1 are not global. FEAT_ASID2.
    pub fng1: bool,
    /// POE2F, \[19\]: format of the second permission overlay. FEAT_S1POE2.
    pub poe2f: bool,
    /// FNGNA0, \[20\]: EL1 only: entries of TTBR0 are not global when nested. FEAT_ASID2.
    pub fngna0: bool,
    /// FNGNA1, \[21\]: EL1 only: entries of TTBR1 are not global when nested. FEAT_ASID2.
    pub fngna1: bool,
    /// POIW, \[24:22\]: width of the overlay index. FEAT_S1POE2.
    #[bits(3)]
    pub poiw: u8,
    /// VTB0, \[29:25\]: bits of a virtual tag, TTBR0. FEAT_MTE4.
    #[bits(5)]
    pub vtb0: u8,
    /// VTB1, \[34:30\]: bits of a virtual tag, TTBR1. FEAT_MTE4.
    #[bits(5)]
    pub vtb1: u8,
    /// TVAD0, \[35\]: virtual tags of data addresses, TTBR0.
    pub tvad0: bool,
    /// TVAD1, \[36\]: virtual tags of data addresses, TTBR1.
    pub tvad1: bool,
    #[bits(27)]
    __: u32,
}
const _: () = assert!(Tcr2::TVAD1_OFFSET == 36);

/// `VTCR_EL2`, Virtualization Translation Control Register. Arm ARM, VTCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct VtcrEl2 {
    /// T0SZ, \[5:0\]: the input has 64 − T0SZ address bits.
    #[bits(6)]
    pub t0sz: u8,
    /// SL0, \[7:6\]: with SL2: level of the first table.
    #[bits(2)]
    pub sl0: u8,
    /// IRGN0, \[9:8\]: inner cacheability of walks.
    #[bits(2)]
    pub irgn0: u8,
    /// ORGN0, \[11:10\]: outer cacheability of walks.
    #[bits(2)]
    pub orgn0: u8,
    /// SH0, \[13:12\]: shareability of walks.
    #[bits(2)]
    pub sh0: u8,
    /// TG0, \[15:14\]: granule: 00 is 4 KiB, 01 64 KiB, 10 16 KiB.
    #[bits(2)]
    pub tg0: u8,
    /// PS, \[18:16\]: output address size.
    #[bits(3)]
    pub ps: u8,
    /// VS, \[19\]: VMIDs have 16 bits. FEAT_VMID16.
    pub vs: bool,
    __: bool,
    /// HA, \[21\]: hardware sets the access flag. FEAT_HAFDBS.
    pub ha: bool,
    /// HD, \[22\]: hardware manages dirty state. FEAT_HAFDBS.
    pub hd: bool,
    #[bits(2)]
    __: u8,
    /// HWU59, \[25\]: bit 59 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu59: bool,
    /// HWU60, \[26\]: bit 60 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu60: bool,
    /// HWU61, \[27\]: bit 61 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu61: bool,
    /// HWU62, \[28\]: bit 62 of leaves belongs to hardware. FEAT_HPDS2.
    pub hwu62: bool,
    /// NSW, \[29\]: tables of the Non-secure IPA space are Non-secure. FEAT_SEL2.
    pub nsw: bool,
    /// NSA, \[30\]: the Non-secure IPA space maps to Non-secure memory. FEAT_SEL2.
    pub nsa: bool,
    /// RES1, \[31\]: reads as one.
    pub res1: bool,
    /// DS, \[32\]: descriptors hold 52-bit addresses. FEAT_LPA2.
    pub ds: bool,
    /// SL2, \[33\]: high bit of the level of the first table. FEAT_LPA2.
    pub sl2: bool,
    /// AssuredOnly, \[34\]: bit 58 of leaves is AssuredOnly. FEAT_THE.
    pub assured_only: bool,
    /// TL1, \[35\]: the first stage 1 table of the upper range is checked. FEAT_THE.
    pub tl1: bool,
    /// S2PIE, \[36\]: permissions are indirect. FEAT_S2PIE.
    pub s2pie: bool,
    /// S2POE, \[37\]: permissions have an overlay. FEAT_S2POE.
    pub s2poe: bool,
    /// D128, \[38\]: descriptors have 128 bits. FEAT_D128.
    pub d128: bool,
    __: bool,
    /// GCSH, \[40\]: guarded control stacks need assured translations. FEAT_GCS and FEAT_THE.
    pub gcsh: bool,
    /// TL0, \[41\]: the first stage 1 table of the lower range is checked. FEAT_THE.
    pub tl0: bool,
    #[bits(2)]
    __: u8,
    /// HAFT, \[44\]: hardware sets the access flag of tables. FEAT_HAFT.
    pub haft: bool,
    /// HDBSS, \[45\]: dirty state is tracked in a structure. FEAT_HDBSS.
    pub hdbss: bool,
    #[bits(18)]
    __: u32,
}
const _: () = assert!(VtcrEl2::HDBSS_OFFSET == 45);

/// `VSTCR_EL2`, Virtualization Secure Translation Control Register; what it lacks VTCR_EL2 has. Arm ARM, VSTCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct VstcrEl2 {
    /// T0SZ, \[5:0\]: the input has 64 − T0SZ address bits.
    #[bits(6)]
    pub t0sz: u8,
    /// SL0, \[7:6\]: with SL2: level of the first table.
    #[bits(2)]
    pub sl0: u8,
    #[bits(6)]
    __: u8,
    /// TG0, \[15:14\]: granule, as VTCR_EL2.TG0.
    #[bits(2)]
    pub tg0: u8,
    #[bits(13)]
    __: u16,
    /// SW, \[29\]: tables of the Secure IPA space are Non-secure.
    pub sw: bool,
    /// SA, \[30\]: the Secure IPA space maps to Non-secure memory.
    pub sa: bool,
    /// RES1, \[31\]: reads as one.
    pub res1: bool,
    __: bool,
    /// SL2, \[33\]: high bit of the level of the first table. FEAT_LPA2.
    pub sl2: bool,
    #[bits(30)]
    __: u32,
}
const _: () = assert!(VstcrEl2::SL2_OFFSET == 33);

/// `GPCCR_EL3`, Granule Protection Check Control Register (EL3). FEAT_RME. Arm ARM, GPCCR_EL3.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct GpccrEl3 {
    /// PPS, \[2:0\]: how many bits of address are protected.
    #[bits(3)]
    pub pps: u8,
    /// PPS3, \[3\]: more of PPS.
    pub pps3: bool,
    __: bool,
    /// RLPAD, \[5\]: the Realm space is not there. FEAT_RME_GPC2.
    pub rlpad: bool,
    /// NSPAD, \[6\]: the Non-secure space is not there. FEAT_RME_GPC2.
    pub nspad: bool,
    /// SPAD, \[7\]: the Secure space is not there. FEAT_RME_GPC2.
    pub spad: bool,
    /// IRGN, \[9:8\]: inner cacheability of loads of tables.
    #[bits(2)]
    pub irgn: u8,
    /// ORGN, \[11:10\]: outer cacheability.
    #[bits(2)]
    pub orgn: u8,
    /// SH, \[13:12\]: shareability.
    #[bits(2)]
    pub sh: u8,
    /// PGS, \[15:14\]: size of a physical granule: 00 4 KiB, 01 64 KiB, 10 16 KiB.
    #[bits(2)]
    pub pgs: u8,
    /// GPC, \[16\]: granule protection checks are made.
    pub gpc: bool,
    /// GPCP, \[17\]: faults on loads of tables have the priority of others.
    pub gpcp: bool,
    /// TBGPCD, \[18\]: the trace buffer is not checked.
    pub tbgpcd: bool,
    /// NSO, \[19\]: entries can say Non-secure only. FEAT_RME_GPC2.
    pub nso: bool,
    /// L0GPTSZ, \[23:20\]: memory that an entry of level 0 covers; read-only.
    #[bits(4)]
    pub l0gptsz: u8,
    /// APPSAA, \[24\]: addresses above PPS are of all spaces.
    pub appsaa: bool,
    /// What came after FEAT_RME_GPC2, and RES0, \[63:25\].
    #[bits(39)]
    pub later: u64,
}
const _: () = assert!(GpccrEl3::GPC_OFFSET == 16 && GpccrEl3::L0GPTSZ_OFFSET == 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpccr_el3_is_laid_out_as_the_manual_numbers_it() {
        // Checks on, 16 KiB granules, 48 bits, 64 GiB by an entry of level 0, write-back, inner shareable.
        let on = GpccrEl3::from_bits(0x0061_b505);
        assert_eq!((on.gpc(), on.pgs(), on.pps(), on.l0gptsz()), (true, 2, 5, 6));
        assert_eq!((on.irgn(), on.orgn(), on.sh(), on.gpcp(), on.appsaa()), (1, 1, 3, false, false));
        let pads = GpccrEl3::from_bits(0x0108_00e8);
        assert_eq!(
            (pads.rlpad(), pads.nspad(), pads.spad(), pads.nso(), pads.appsaa()),
            (true, true, true, true, true)
        );
        assert_eq!((pads.pps3(), pads.gpc(), GpccrEl3::from_bits(1 << 25).later()), (true, false, 1));
    }

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // What Linux programs for a guest of 40-bit addresses: 24 bits unused, start at level 1, 4 KiB, 40 bits out.
        let vtcr = VtcrEl2::from_bits(0x8002_3558);
        assert_eq!((vtcr.t0sz(), vtcr.sl0(), vtcr.tg0(), vtcr.ps()), (24, 1, 0, 2));
        assert!(vtcr.res1() && !vtcr.vs() && !vtcr.ha() && !vtcr.ds());
        assert_eq!(VtcrEl2::new().with_s2poe(true).with_haft(true).into_bits(), 0x1020_0000_0000);
        // 40 bits in, 16 KiB granule, start at level 1, tables of Secure memory.
        let vstcr = VstcrEl2::from_bits(0x2_a000_8058);
        assert_eq!((vstcr.t0sz(), vstcr.sl0(), vstcr.tg0()), (24, 1, 2));
        assert!(vstcr.sl2() && vstcr.sw() && !vstcr.sa() && vstcr.res1());
        assert_eq!(VstcrEl2::new().with_sw(true).with_sa(true).into_bits(), 0x6000_0000);
        // Linux at EL2 without VHE: 48 bits, inner shareable, write-back walks.
        let tcr = TcrEl2::from_bits(0x8085_3510);
        assert_eq!((tcr.t0sz(), tcr.tg0(), tcr.ps(), tcr.sh0()), (16, 0, 5, 3));
        assert!(tcr.res1_23() && tcr.res1_31() && !tcr.tbi());
        let tcr2 = Tcr2::from_bits(0x82e);
        assert!(tcr2.pie() && tcr2.e0poe() && tcr2.poe() && tcr2.d128() && tcr2.haft() && !tcr2.aie());
        // Trusted Firmware-A: 64 GiB of addresses, 40 bits out, inner shareable, write-back walks.
        let tcr = TcrEl3::from_bits(0x8082_351c);
        assert_eq!((tcr.t0sz(), tcr.tg0(), tcr.ps(), tcr.sh0()), (28, 0, 2, 3));
        assert_eq!((tcr.irgn0(), tcr.orgn0()), (1, 1));
        assert!(tcr.res1_23() && tcr.res1_31() && !tcr.tbi() && !tcr.ha() && !tcr.hd());
        assert_eq!(TcrEl3::new().with_pie(true).with_d128(true).into_bits(), 0x48_0000_0000);
    }
}
