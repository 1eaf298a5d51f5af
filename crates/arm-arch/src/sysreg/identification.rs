//! Registers that say which part the processing element is, and what its caches are like.
//! Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `MIDR_EL1`, Main ID Register. Arm ARM, MIDR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MidrEl1 {
    /// Revision, \[3:0\]: minor revision.
    #[bits(4)]
    pub revision: u8,
    /// PartNum, \[15:4\]: part number of the implementer.
    #[bits(12)]
    pub part_num: u16,
    /// Architecture, \[19:16\]: 1111: the ID registers say what is implemented.
    #[bits(4)]
    pub architecture: u8,
    /// Variant, \[23:20\]: major revision.
    #[bits(4)]
    pub variant: u8,
    /// Implementer, \[31:24\]: who made it; 0 is reserved for software use.
    pub implementer: u8,
    __: u32,
}
const _: () = assert!(MidrEl1::IMPLEMENTER_OFFSET == 24);

/// `MPIDR_EL1`, Multiprocessor Affinity Register. Arm ARM, MPIDR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MpidrEl1 {
    /// Aff0, \[7:0\]: affinity level 0.
    pub aff0: u8,
    /// Aff1, \[15:8\]: affinity level 1.
    pub aff1: u8,
    /// Aff2, \[23:16\]: affinity level 2.
    pub aff2: u8,
    /// MT, \[24\]: the elements at level 0 share a core.
    pub mt: bool,
    #[bits(5)]
    __: u8,
    /// U, \[30\]: a uniprocessor system.
    pub u: bool,
    /// RES1, \[31\]: reads as one.
    pub res1: bool,
    /// Aff3, \[39:32\]: affinity level 3.
    pub aff3: u8,
    #[bits(24)]
    __: u32,
}
const _: () = assert!(MpidrEl1::AFF3_OFFSET == 32);

/// `CTR_EL0`, Cache Type Register. Arm ARM, CTR_EL0.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CtrEl0 {
    /// IminLine, \[3:0\]: log2 of the words in the smallest instruction cache line.
    #[bits(4)]
    pub imin_line: u8,
    #[bits(10)]
    __: u16,
    /// L1Ip, \[15:14\]: instruction cache policy: 10 is VIPT, 11 PIPT.
    #[bits(2)]
    pub l1ip: u8,
    /// DminLine, \[19:16\]: log2 of the words in the smallest data cache line.
    #[bits(4)]
    pub dmin_line: u8,
    /// ERG, \[23:20\]: log2 of the words in the exclusives reservation granule.
    #[bits(4)]
    pub erg: u8,
    /// CWG, \[27:24\]: log2 of the words in the cache write-back granule.
    #[bits(4)]
    pub cwg: u8,
    /// IDC, \[28\]: no clean to the point of unification is needed.
    pub idc: bool,
    /// DIC, \[29\]: no invalidation of the instruction cache is needed.
    pub dic: bool,
    __: bool,
    /// RES1, \[31\]: reads as one.
    pub res1: bool,
    /// TminLine, \[37:32\]: log2 of the words of the smallest tag cache line. FEAT_MTE2.
    #[bits(6)]
    pub tmin_line: u8,
    #[bits(26)]
    __: u32,
}
const _: () = assert!(CtrEl0::TMIN_LINE_OFFSET == 32);

/// `DCZID_EL0`, Data Cache Zero ID Register. Arm ARM, DCZID_EL0.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct DczidEl0 {
    /// BS, \[3:0\]: log2 of the words that DC ZVA writes.
    #[bits(4)]
    pub bs: u8,
    /// DZP, \[4\]: DC ZVA is prohibited.
    pub dzp: bool,
    #[bits(59)]
    __: u64,
}
const _: () = assert!(DczidEl0::DZP_OFFSET == 4);

/// `CSSELR_EL1`, Cache Size Selection Register. Arm ARM, CSSELR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CsselrEl1 {
    /// InD, \[0\]: the instruction cache.
    pub ind: bool,
    /// Level, \[3:1\]: level of the cache, less one.
    #[bits(3)]
    pub level: u8,
    /// TnD, \[4\]: the cache of allocation tags. FEAT_MTE2.
    pub tnd: bool,
    #[bits(59)]
    __: u64,
}
const _: () = assert!(CsselrEl1::TND_OFFSET == 4);

/// `CLIDR_EL1`, Cache Level ID Register. Arm ARM, CLIDR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct ClidrEl1 {
    /// Ctype1, \[2:0\]: cache at level 1: 0 none, 1 instruction, 2 data, 3 both, 4 unified.
    #[bits(3)]
    pub ctype1: u8,
    /// Ctype2, \[5:3\]: cache at level 2.
    #[bits(3)]
    pub ctype2: u8,
    /// Ctype3, \[8:6\]: cache at level 3.
    #[bits(3)]
    pub ctype3: u8,
    /// Ctype4, \[11:9\]: cache at level 4.
    #[bits(3)]
    pub ctype4: u8,
    /// Ctype5, \[14:12\]: cache at level 5.
    #[bits(3)]
    pub ctype5: u8,
    /// Ctype6, \[17:15\]: cache at level 6.
    #[bits(3)]
    pub ctype6: u8,
    /// Ctype7, \[20:18\]: cache at level 7.
    #[bits(3)]
    pub ctype7: u8,
    /// LoUIS, \[23:21\]: level of unification, inner shareable.
    #[bits(3)]
    pub louis: u8,
    /// LoC, \[26:24\]: level of coherency.
    #[bits(3)]
    pub loc: u8,
    /// LoUU, \[29:27\]: level of unification, uniprocessor.
    #[bits(3)]
    pub louu: u8,
    /// ICB, \[32:30\]: inner cache boundary.
    #[bits(3)]
    pub icb: u8,
    /// Ttype, \[46:33\]: seven tag cache types of two bits. FEAT_MTE2.
    #[bits(14)]
    pub ttype: u16,
    #[bits(17)]
    __: u32,
}
const _: () = assert!(ClidrEl1::TTYPE_OFFSET == 33);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // Cortex-A57 r1p0, from its Technical Reference Manual.
        let midr = MidrEl1::from_bits(0x411f_d070);
        assert_eq!(
            (midr.implementer(), midr.variant(), midr.part_num(), midr.revision()),
            (0x41, 1, 0xd07, 0)
        );
        assert_eq!(midr.architecture(), 0xf);
        let mpidr = MpidrEl1::from_bits(0x0000_0012_8003_0201);
        assert_eq!((mpidr.aff3(), mpidr.aff2(), mpidr.aff1(), mpidr.aff0()), (0x12, 3, 2, 1));
        assert!(mpidr.res1() && !mpidr.u() && !mpidr.mt());
        let ctr = CtrEl0::from_bits(0x8444_c004);
        assert_eq!((ctr.imin_line(), ctr.dmin_line(), ctr.erg(), ctr.cwg(), ctr.l1ip()), (4, 4, 4, 4, 3));
        assert!(!ctr.idc() && !ctr.dic());
        let csselr = CsselrEl1::from_bits(0x13);
        assert_eq!((csselr.ind(), csselr.level(), csselr.tnd()), (true, 1, true));
        assert_eq!((CsselrEl1::from_bits(0xc).ind(), CsselrEl1::from_bits(0xc).level()), (false, 6));
        let dczid = DczidEl0::from_bits(0x14);
        assert_eq!((dczid.bs(), dczid.dzp()), (4, true));
        let clidr = ClidrEl1::from_bits(0x0a20_0023);
        assert_eq!(
            (clidr.ctype1(), clidr.ctype2(), clidr.louis(), clidr.loc(), clidr.louu()),
            (3, 4, 1, 2, 1)
        );
    }
}
