//! Registers that say how an address is translated. Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `TCR_EL1`, Translation Control Register (EL1). Arm ARM, TCR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct TcrEl1 {
    /// T0SZ, \[5:0\]: the range of TTBR0 has 64 − T0SZ address bits.
    #[bits(6)]
    pub t0sz: u8,
    __: bool,
    /// EPD0, \[7\]: walks of the range of TTBR0 are disabled.
    pub epd0: bool,
    /// IRGN0, \[9:8\]: inner cacheability of walks by TTBR0.
    #[bits(2)]
    pub irgn0: u8,
    /// ORGN0, \[11:10\]: outer cacheability of walks by TTBR0.
    #[bits(2)]
    pub orgn0: u8,
    /// SH0, \[13:12\]: shareability of walks by TTBR0.
    #[bits(2)]
    pub sh0: u8,
    /// TG0, \[15:14\]: granule of TTBR0: 00 is 4 KiB, 01 64 KiB, 10 16 KiB.
    #[bits(2)]
    pub tg0: u8,
    /// T1SZ, \[21:16\]: the range of TTBR1 has 64 − T1SZ address bits.
    #[bits(6)]
    pub t1sz: u8,
    /// A1, \[22\]: the ASID is that of TTBR1.
    pub a1: bool,
    /// EPD1, \[23\]: walks of the range of TTBR1 are disabled.
    pub epd1: bool,
    /// IRGN1, \[25:24\]: inner cacheability of walks by TTBR1.
    #[bits(2)]
    pub irgn1: u8,
    /// ORGN1, \[27:26\]: outer cacheability of walks by TTBR1.
    #[bits(2)]
    pub orgn1: u8,
    /// SH1, \[29:28\]: shareability of walks by TTBR1.
    #[bits(2)]
    pub sh1: u8,
    /// TG1, \[31:30\]: granule of TTBR1: 01 is 16 KiB, 10 4 KiB, 11 64 KiB.
    #[bits(2)]
    pub tg1: u8,
    /// IPS, \[34:32\]: output address size.
    #[bits(3)]
    pub ips: u8,
    __: bool,
    /// AS, \[36\]: ASIDs have 16 bits.
    pub r#as: bool,
    /// TBI0, \[37\]: the top byte is ignored in the range of TTBR0.
    pub tbi0: bool,
    /// TBI1, \[38\]: the top byte is ignored in the range of TTBR1.
    pub tbi1: bool,
    /// HA, \[39\]: hardware sets the access flag. FEAT_HAFDBS.
    pub ha: bool,
    /// HD, \[40\]: hardware manages dirty state. FEAT_HAFDBS.
    pub hd: bool,
    /// HPD0, \[41\]: hierarchical permissions are ignored, TTBR0. FEAT_HPDS.
    pub hpd0: bool,
    /// HPD1, \[42\]: hierarchical permissions are ignored, TTBR1. FEAT_HPDS.
    pub hpd1: bool,
    /// HWU059, \[43\]: bit 59 of leaves belongs to hardware, TTBR0. FEAT_HPDS2.
    pub hwu059: bool,
    /// HWU060, \[44\]: bit 60 of leaves belongs to hardware, TTBR0. FEAT_HPDS2.
    pub hwu060: bool,
    /// HWU061, \[45\]: bit 61 of leaves belongs to hardware, TTBR0. FEAT_HPDS2.
    pub hwu061: bool,
    /// HWU062, \[46\]: bit 62 of leaves belongs to hardware, TTBR0. FEAT_HPDS2.
    pub hwu062: bool,
    /// HWU159, \[47\]: bit 59 of leaves belongs to hardware, TTBR1. FEAT_HPDS2.
    pub hwu159: bool,
    /// HWU160, \[48\]: bit 60 of leaves belongs to hardware, TTBR1. FEAT_HPDS2.
    pub hwu160: bool,
    /// HWU161, \[49\]: bit 61 of leaves belongs to hardware, TTBR1. FEAT_HPDS2.
    pub hwu161: bool,
    /// HWU162, \[50\]: bit 62 of leaves belongs to hardware, TTBR1. FEAT_HPDS2.
    pub hwu162: bool,
    /// TBID0, \[51\]: TBI0 does not cover instruction addresses. FEAT_PAuth.
    pub tbid0: bool,
    /// TBID1, \[52\]: TBI1 does not cover instruction addresses. FEAT_PAuth.
    pub tbid1: bool,
    /// NFD0, \[53\]: non-fault accesses by EL0 do not walk TTBR0. FEAT_SVE.
    pub nfd0: bool,
    /// NFD1, \[54\]: non-fault accesses by EL0 do not walk TTBR1. FEAT_SVE.
    pub nfd1: bool,
    /// E0PD0, \[55\]: EL0 has no access to the range of TTBR0. FEAT_E0PD.
    pub e0pd0: bool,
    /// E0PD1, \[56\]: EL0 has no access to the range of TTBR1. FEAT_E0PD.
    pub e0pd1: bool,
    /// TCMA0, \[57\]: tag 0 is unchecked in the range of TTBR0. FEAT_MTE2.
    pub tcma0: bool,
    /// TCMA1, \[58\]: tag 15 is unchecked in the range of TTBR1. FEAT_MTE2.
    pub tcma1: bool,
    /// DS, \[59\]: descriptors hold 52-bit addresses. FEAT_LPA2.
    pub ds: bool,
    /// MTX0, \[60\]: bits 59:56 hold a tag, TTBR0. FEAT_MTE_NO_ADDRESS_TAGS.
    pub mtx0: bool,
    /// MTX1, \[61\]: bits 59:56 hold a tag, TTBR1. FEAT_MTE_NO_ADDRESS_TAGS.
    pub mtx1: bool,
    #[bits(2)]
    __: u8,
}
const _: () = assert!(TcrEl1::MTX1_OFFSET == 61);

/// `TTBR0_EL1` and `TTBR1_EL1`, Translation Table Base Registers (EL1). Arm ARM, TTBR0_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct TtbrEl1 {
    /// CnP, \[0\]: common not private: other elements share the tables. FEAT_TTCNP.
    pub cnp: bool,
    /// BADDR, \[47:1\]: bits 47:1 of the table base; with 52-bit addresses bits 5:2 stand for address bits 51:48.
    #[bits(47)]
    pub baddr: u64,
    /// ASID, \[63:48\]: address space identifier.
    pub asid: u16,
}
const _: () = assert!(TtbrEl1::ASID_OFFSET == 48);

impl TtbrEl1 {
    /// Returns the table base as an address, bits \[47:1\] in place; the walker aligns it by the table's size.
    /// Arm ARM, TTBR0_EL1.BADDR.
    #[must_use]
    pub const fn base(self) -> u64 {
        self.into_bits() & 0x0000_ffff_ffff_fffe
    }
}

/// `VTTBR_EL2`, Virtualization Translation Table Base Register. Arm ARM, VTTBR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct VttbrEl2 {
    /// CnP, \[0\]: the tables are shared by PEs. FEAT_TTCNP.
    pub cnp: bool,
    /// BADDR, \[47:1\]: bits 47 to 1 of the base address.
    #[bits(47)]
    pub baddr: u64,
    /// VMID, \[63:48\]: virtual machine identifier; 8 bits of it count without FEAT_VMID16.
    pub vmid: u16,
}
const _: () = assert!(VttbrEl2::VMID_OFFSET == 48);

/// `MAIR_EL1`, Memory Attribute Indirection Register (EL1): eight attributes of a byte each. Arm ARM, MAIR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(transparent)]
pub struct MairEl1(u64);

impl MairEl1 {
    /// Makes a register of its value. Arm ARM, MAIR_EL1.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the value. Arm ARM, MAIR_EL1.
    #[must_use]
    pub const fn into_bits(self) -> u64 {
        self.0
    }

    /// Returns Attr\<n\>, bits \[8n+7:8n\]; `index` is AttrIndx, of which three bits count. Arm ARM, MAIR_EL1.
    #[must_use]
    pub const fn attr(self, index: u8) -> u8 {
        let [a0, a1, a2, a3, a4, a5, a6, a7] = self.0.to_le_bytes();
        match index & 7 {
            0 => a0,
            1 => a1,
            2 => a2,
            3 => a3,
            4 => a4,
            5 => a5,
            6 => a6,
            _ => a7,
        }
    }
}

/// `PAR_EL1`, Physical Address Register, as F = 0 lays it out. Arm ARM, PAR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct ParSuccess {
    /// F, \[0\]: 0: the translation succeeded.
    pub f: bool,
    #[bits(6)]
    __: u8,
    /// SH, \[8:7\]: shareability.
    #[bits(2)]
    pub sh: u8,
    /// NS, \[9\]: output address space; RES1 where there is one only.
    pub ns: bool,
    /// IMPDEF, \[10\]: IMPLEMENTATION DEFINED.
    pub imp_def: bool,
    /// NSE, \[11\]: output address space, with FEAT_RME; else RES1.
    pub nse: bool,
    /// PA, \[51:12\]: bits 51:12 of the output address.
    #[bits(40)]
    pub pa: u64,
    #[bits(4)]
    __: u8,
    /// ATTR, \[63:56\]: memory attribute, in the encoding of MAIR_EL1.
    pub attr: u8,
}
const _: () = assert!(ParSuccess::ATTR_OFFSET == 56);

/// `PAR_EL1`, Physical Address Register, as F = 1 lays it out. Arm ARM, PAR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct ParFault {
    /// F, \[0\]: 1: the translation failed.
    pub f: bool,
    /// FST, \[6:1\]: fault status, as in ESR_ELx.
    #[bits(6)]
    pub fst: u8,
    __: bool,
    /// PTW, \[8\]: the fault is of stage 2 on a stage 1 walk.
    pub ptw: bool,
    /// S, \[9\]: the fault is of stage 2.
    pub s: bool,
    __: bool,
    /// RES1, \[11\]: reads as one.
    pub res1: bool,
    /// AssuredOnly, \[12\]: the fault is due to AssuredOnly. FEAT_THE.
    pub assured_only: bool,
    /// TopLevel, \[13\]: the fault is due to TopLevel. FEAT_THE.
    pub top_level: bool,
    /// Overlay, \[14\]: the fault is due to a permission overlay. FEAT_S1POE.
    pub overlay: bool,
    /// DirtyBit, \[15\]: the fault is due to dirty state. FEAT_S1PIE.
    pub dirty_bit: bool,
    #[bits(48)]
    __: u64,
}
const _: () = assert!(ParFault::DIRTY_BIT_OFFSET == 15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // Linux, 48-bit addresses, 4 KiB granule, 16-bit ASID: T0SZ = T1SZ = 16, IPS = 44 bits.
        let tcr = TcrEl1::from_bits(0x0000_0074_b510_3510 | 1 << 22);
        assert_eq!((tcr.t0sz(), tcr.t1sz(), tcr.tg0(), tcr.tg1(), tcr.ips()), (16, 16, 0, 2, 4));
        assert!(
            tcr.a1() && tcr.r#as() && tcr.tbi0() && tcr.tbi1() && !tcr.epd0() && !tcr.epd1() && !tcr.ha()
        );
        assert_eq!((tcr.irgn0(), tcr.orgn0(), tcr.sh0()), (1, 1, 3));
        assert_eq!((tcr.irgn1(), tcr.orgn1(), tcr.sh1()), (1, 1, 3));
        assert_eq!(TcrEl1::new().with_ds(true).with_tbid1(true).into_bits(), 0x0810_0000_0000_0000);

        let vttbr = VttbrEl2::from_bits(0x0042_0000_4123_4001);
        assert_eq!((vttbr.vmid(), vttbr.baddr(), vttbr.cnp()), (0x42, 0x2091_a000, true));
        let ttbr = TtbrEl1::from_bits(0x0012_0000_4123_4001);
        assert_eq!((ttbr.asid(), ttbr.base(), ttbr.cnp()), (0x12, 0x4123_4000, true));
        assert_eq!(ttbr.baddr(), 0x4123_4000 >> 1);

        let mair = MairEl1::from_bits(0x0004_0044_00ff_0c08);
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|n| mair.attr(n)), [8, 12, 0xff, 0, 0x44, 0, 4, 0]);
        assert_eq!(mair.attr(10), 0xff, "three bits of the index count");
    }

    #[test]
    fn both_forms_of_par_share_bit_0() {
        let good = ParSuccess::from_bits(0xff00_0000_4123_4b80);
        assert_eq!(
            (good.f(), good.attr(), good.pa() << 12, good.sh(), good.ns()),
            (false, 0xff, 0x4123_4000, 3, true)
        );
        let bad = ParFault::from_bits(0x80f);
        assert_eq!((bad.f(), bad.fst(), bad.s(), bad.ptw()), (true, 0b000111, false, false));
    }
}
