//! Registers that say what the processing element has.
//!
//! The fields are compared as [`crate::feature`] says: signed, unsigned or as flags.
//! Arm ARM, "Principles of the ID scheme".

use bitfield_struct::bitfield;

/// `ID_AA64PFR0_EL1`, Processor Feature Register 0. Arm ARM, ID_AA64PFR0_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Pfr0 {
    /// EL0, \[3:0\]: EL0: 1 is AArch64 only, 2 also AArch32.
    #[bits(4)]
    pub el0: u8,
    /// EL1, \[7:4\]: EL1: 1 is AArch64 only, 2 also AArch32.
    #[bits(4)]
    pub el1: u8,
    /// EL2, \[11:8\]: EL2: 0 is absent, 1 AArch64 only, 2 also AArch32.
    #[bits(4)]
    pub el2: u8,
    /// EL3, \[15:12\]: EL3: 0 is absent, 1 AArch64 only, 2 also AArch32.
    #[bits(4)]
    pub el3: u8,
    /// FP, \[19:16\]: floating point: signed; 0 is present, 1 adds half precision, −1 absent.
    #[bits(4)]
    pub fp: u8,
    /// AdvSIMD, \[23:20\]: Advanced SIMD: signed, as FP.
    #[bits(4)]
    pub advsimd: u8,
    /// GIC, \[27:24\]: system register interface of the GIC: 1 is 3.0 and 4.0, 3 is 4.1.
    #[bits(4)]
    pub gic: u8,
    /// RAS, \[31:28\]: RAS extension version.
    #[bits(4)]
    pub ras: u8,
    /// SVE, \[35:32\]: Scalable Vector Extension.
    #[bits(4)]
    pub sve: u8,
    /// SEL2, \[39:36\]: Secure EL2.
    #[bits(4)]
    pub sel2: u8,
    /// MPAM, \[43:40\]: memory partitioning, major version.
    #[bits(4)]
    pub mpam: u8,
    /// AMU, \[47:44\]: activity monitors.
    #[bits(4)]
    pub amu: u8,
    /// DIT, \[51:48\]: data-independent timing.
    #[bits(4)]
    pub dit: u8,
    /// RME, \[55:52\]: Realm Management Extension.
    #[bits(4)]
    pub rme: u8,
    /// CSV2, \[59:56\]: speculation does not cross contexts, branch targets.
    #[bits(4)]
    pub csv2: u8,
    /// CSV3, \[63:60\]: speculation does not use data of a faulting load.
    #[bits(4)]
    pub csv3: u8,
}
const _: () = assert!(IdAa64Pfr0::CSV3_OFFSET == 60);

/// `ID_AA64PFR1_EL1`, Processor Feature Register 1. Arm ARM, ID_AA64PFR1_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Pfr1 {
    /// BT, \[3:0\]: branch target identification.
    #[bits(4)]
    pub bt: u8,
    /// SSBS, \[7:4\]: speculative store bypass: 1 is PSTATE.SSBS, 2 adds MSR and MRS.
    #[bits(4)]
    pub ssbs: u8,
    /// MTE, \[11:8\]: memory tagging.
    #[bits(4)]
    pub mte: u8,
    /// RAS_frac, \[15:12\]: RAS extension, fraction.
    #[bits(4)]
    pub ras_frac: u8,
    /// MPAM_frac, \[19:16\]: memory partitioning, minor version.
    #[bits(4)]
    pub mpam_frac: u8,
    #[bits(4)]
    __: u8,
    /// SME, \[27:24\]: Scalable Matrix Extension.
    #[bits(4)]
    pub sme: u8,
    /// RNDR_trap, \[31:28\]: trap of RNDR.
    #[bits(4)]
    pub rndr_trap: u8,
    /// CSV2_frac, \[35:32\]: fraction of CSV2.
    #[bits(4)]
    pub csv2_frac: u8,
    /// NMI, \[39:36\]: non-maskable interrupts.
    #[bits(4)]
    pub nmi: u8,
    /// MTE_frac, \[43:40\]: fraction of MTE.
    #[bits(4)]
    pub mte_frac: u8,
    /// GCS, \[47:44\]: guarded control stacks.
    #[bits(4)]
    pub gcs: u8,
    /// THE, \[51:48\]: translation hardening.
    #[bits(4)]
    pub the: u8,
    /// MTEX, \[55:52\]: memory tagging, more.
    #[bits(4)]
    pub mtex: u8,
    /// DF2, \[59:56\]: double fault, second version.
    #[bits(4)]
    pub df2: u8,
    /// PFAR, \[63:60\]: physical fault address registers.
    #[bits(4)]
    pub pfar: u8,
}
const _: () = assert!(IdAa64Pfr1::PFAR_OFFSET == 60);

/// `ID_AA64ISAR0_EL1`, Instruction Set Attribute Register 0. Arm ARM, ID_AA64ISAR0_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Isar0 {
    #[bits(4)]
    __: u8,
    /// AES, \[7:4\]: AES: 1 is AESE and its like, 2 adds PMULL.
    #[bits(4)]
    pub aes: u8,
    /// SHA1, \[11:8\]: SHA1.
    #[bits(4)]
    pub sha1: u8,
    /// SHA2, \[15:12\]: SHA2: 1 is SHA256, 2 adds SHA512.
    #[bits(4)]
    pub sha2: u8,
    /// CRC32, \[19:16\]: CRC32.
    #[bits(4)]
    pub crc32: u8,
    /// Atomic, \[23:20\]: LSE atomics: 2 is FEAT_LSE.
    #[bits(4)]
    pub atomic: u8,
    /// TME, \[27:24\]: transactional memory.
    #[bits(4)]
    pub tme: u8,
    /// RDM, \[31:28\]: rounding doubling multiply accumulate.
    #[bits(4)]
    pub rdm: u8,
    /// SHA3, \[35:32\]: SHA3.
    #[bits(4)]
    pub sha3: u8,
    /// SM3, \[39:36\]: SM3.
    #[bits(4)]
    pub sm3: u8,
    /// SM4, \[43:40\]: SM4.
    #[bits(4)]
    pub sm4: u8,
    /// DP, \[47:44\]: dot product.
    #[bits(4)]
    pub dp: u8,
    /// FHM, \[51:48\]: FMLAL and FMLSL.
    #[bits(4)]
    pub fhm: u8,
    /// TS, \[55:52\]: flag manipulation: 1 is FEAT_FlagM, 2 FEAT_FlagM2.
    #[bits(4)]
    pub ts: u8,
    /// TLB, \[59:56\]: TLB maintenance: 1 is outer shareable, 2 adds ranges.
    #[bits(4)]
    pub tlb: u8,
    /// RNDR, \[63:60\]: random numbers.
    #[bits(4)]
    pub rndr: u8,
}
const _: () = assert!(IdAa64Isar0::RNDR_OFFSET == 60);

/// `ID_AA64ISAR1_EL1`, Instruction Set Attribute Register 1. Arm ARM, ID_AA64ISAR1_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Isar1 {
    /// DPB, \[3:0\]: DC CVAP, 2 adds DC CVADP.
    #[bits(4)]
    pub dpb: u8,
    /// APA, \[7:4\]: address authentication by QARMA5.
    #[bits(4)]
    pub apa: u8,
    /// API, \[11:8\]: address authentication, IMPLEMENTATION DEFINED.
    #[bits(4)]
    pub api: u8,
    /// JSCVT, \[15:12\]: JavaScript conversion.
    #[bits(4)]
    pub jscvt: u8,
    /// FCMA, \[19:16\]: complex numbers.
    #[bits(4)]
    pub fcma: u8,
    /// LRCPC, \[23:20\]: release consistent loads: 1 is LDAPR, 2 adds LDAPUR.
    #[bits(4)]
    pub lrcpc: u8,
    /// GPA, \[27:24\]: generic authentication by QARMA5.
    #[bits(4)]
    pub gpa: u8,
    /// GPI, \[31:28\]: generic authentication, IMPLEMENTATION DEFINED.
    #[bits(4)]
    pub gpi: u8,
    /// FRINTTS, \[35:32\]: rounding to 32 and 64 bits.
    #[bits(4)]
    pub frintts: u8,
    /// SB, \[39:36\]: speculation barrier.
    #[bits(4)]
    pub sb: u8,
    /// SPECRES, \[43:40\]: prediction restriction by context.
    #[bits(4)]
    pub specres: u8,
    /// BF16, \[47:44\]: BFloat16.
    #[bits(4)]
    pub bf16: u8,
    /// DGH, \[51:48\]: data gathering hint.
    #[bits(4)]
    pub dgh: u8,
    /// I8MM, \[55:52\]: matrix multiplication of bytes.
    #[bits(4)]
    pub i8mm: u8,
    /// XS, \[59:56\]: nXS forms.
    #[bits(4)]
    pub xs: u8,
    /// LS64, \[63:60\]: loads and stores of 64 bytes.
    #[bits(4)]
    pub ls64: u8,
}
const _: () = assert!(IdAa64Isar1::LS64_OFFSET == 60);

/// `ID_AA64ISAR2_EL1`, Instruction Set Attribute Register 2. Arm ARM, ID_AA64ISAR2_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Isar2 {
    /// WFxT, \[3:0\]: WFET and WFIT.
    #[bits(4)]
    pub wfxt: u8,
    /// RPRES, \[7:4\]: precision of reciprocal estimates.
    #[bits(4)]
    pub rpres: u8,
    /// GPA3, \[11:8\]: generic authentication by QARMA3.
    #[bits(4)]
    pub gpa3: u8,
    /// APA3, \[15:12\]: address authentication by QARMA3.
    #[bits(4)]
    pub apa3: u8,
    /// MOPS, \[19:16\]: memory copy and set.
    #[bits(4)]
    pub mops: u8,
    /// BC, \[23:20\]: consistent conditional branches.
    #[bits(4)]
    pub bc: u8,
    /// PAC_frac, \[27:24\]: constant PAC field.
    #[bits(4)]
    pub pac_frac: u8,
    /// CLRBHB, \[31:28\]: CLRBHB.
    #[bits(4)]
    pub clrbhb: u8,
    /// SYSREG_128, \[35:32\]: 128-bit system registers.
    #[bits(4)]
    pub sysreg_128: u8,
    /// SYSINSTR_128, \[39:36\]: 128-bit system instructions.
    #[bits(4)]
    pub sysinstr_128: u8,
    /// PRFMSLC, \[43:40\]: PRFM to the system level cache.
    #[bits(4)]
    pub prfmslc: u8,
    /// PCDPHINT, \[47:44\]: producer-consumer hints.
    #[bits(4)]
    pub pcdphint: u8,
    /// RPRFM, \[51:48\]: RPRFM.
    #[bits(4)]
    pub rprfm: u8,
    /// CSSC, \[55:52\]: common short sequence compression.
    #[bits(4)]
    pub cssc: u8,
    /// LUT, \[59:56\]: lookup table instructions.
    #[bits(4)]
    pub lut: u8,
    /// ATS1A, \[63:60\]: AT S1E1A.
    #[bits(4)]
    pub ats1a: u8,
}
const _: () = assert!(IdAa64Isar2::ATS1A_OFFSET == 60);

/// `ID_AA64MMFR0_EL1`, Memory Model Feature Register 0. Arm ARM, ID_AA64MMFR0_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Mmfr0 {
    /// PARange, \[3:0\]: physical address size: 0 is 32 bits, then 36, 40, 42, 44, 48, 52, 56.
    #[bits(4)]
    pub parange: u8,
    /// ASIDBits, \[7:4\]: ASID size: 0 is 8 bits, 2 is 16.
    #[bits(4)]
    pub asidbits: u8,
    /// BigEnd, \[11:8\]: mixed endianness at every level.
    #[bits(4)]
    pub bigend: u8,
    /// SNSMem, \[15:12\]: Secure and Non-secure memory are distinct.
    #[bits(4)]
    pub snsmem: u8,
    /// BigEndEL0, \[19:16\]: mixed endianness at EL0.
    #[bits(4)]
    pub bigendel0: u8,
    /// TGran16, \[23:20\]: 16 KiB granule: 0 is absent.
    #[bits(4)]
    pub tgran16: u8,
    /// TGran64, \[27:24\]: 64 KiB granule: signed; 0 is present, −1 absent.
    #[bits(4)]
    pub tgran64: u8,
    /// TGran4, \[31:28\]: 4 KiB granule: signed; 0 is present, −1 absent.
    #[bits(4)]
    pub tgran4: u8,
    /// TGran16_2, \[35:32\]: 16 KiB granule at stage 2.
    #[bits(4)]
    pub tgran16_2: u8,
    /// TGran64_2, \[39:36\]: 64 KiB granule at stage 2.
    #[bits(4)]
    pub tgran64_2: u8,
    /// TGran4_2, \[43:40\]: 4 KiB granule at stage 2.
    #[bits(4)]
    pub tgran4_2: u8,
    /// ExS, \[47:44\]: EIS and EOS can be 0.
    #[bits(4)]
    pub exs: u8,
    __: u8,
    /// FGT, \[59:56\]: fine-grained traps.
    #[bits(4)]
    pub fgt: u8,
    /// ECV, \[63:60\]: enhanced counter virtualization.
    #[bits(4)]
    pub ecv: u8,
}
const _: () = assert!(IdAa64Mmfr0::ECV_OFFSET == 60);

/// `ID_AA64MMFR1_EL1`, Memory Model Feature Register 1. Arm ARM, ID_AA64MMFR1_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Mmfr1 {
    /// HAFDBS, \[3:0\]: hardware access flag, 2 adds dirty state.
    #[bits(4)]
    pub hafdbs: u8,
    /// VMIDBits, \[7:4\]: VMID size: 0 is 8 bits, 2 is 16.
    #[bits(4)]
    pub vmidbits: u8,
    /// VH, \[11:8\]: Virtualization Host Extensions.
    #[bits(4)]
    pub vh: u8,
    /// HPDS, \[15:12\]: hierarchical permissions can be disabled.
    #[bits(4)]
    pub hpds: u8,
    /// LO, \[19:16\]: limited ordering regions.
    #[bits(4)]
    pub lo: u8,
    /// PAN, \[23:20\]: privileged access never: 2 adds AT S1E1RP, 3 adds EPAN.
    #[bits(4)]
    pub pan: u8,
    /// SpecSEI, \[27:24\]: SErrors from speculation.
    #[bits(4)]
    pub specsei: u8,
    /// XNX, \[31:28\]: execute-never by level at stage 2.
    #[bits(4)]
    pub xnx: u8,
    /// TWED, \[35:32\]: delay of the WFE trap.
    #[bits(4)]
    pub twed: u8,
    /// ETS, \[39:36\]: enhanced translation synchronisation.
    #[bits(4)]
    pub ets: u8,
    /// HCX, \[43:40\]: HCRX_EL2.
    #[bits(4)]
    pub hcx: u8,
    /// AFP, \[47:44\]: alternate floating point.
    #[bits(4)]
    pub afp: u8,
    /// nTLBPA, \[51:48\]: no intermediate caching of translations by address.
    #[bits(4)]
    pub ntlbpa: u8,
    /// TIDCP1, \[55:52\]: SCTLR_EL1.TIDCP.
    #[bits(4)]
    pub tidcp1: u8,
    /// CMOW, \[59:56\]: cache maintenance needs write permission.
    #[bits(4)]
    pub cmow: u8,
    /// ECBHB, \[63:60\]: branch history is not shared with exceptions.
    #[bits(4)]
    pub ecbhb: u8,
}
const _: () = assert!(IdAa64Mmfr1::ECBHB_OFFSET == 60);

/// `ID_AA64MMFR2_EL1`, Memory Model Feature Register 2. Arm ARM, ID_AA64MMFR2_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Mmfr2 {
    /// CnP, \[3:0\]: common not private.
    #[bits(4)]
    pub cnp: u8,
    /// UAO, \[7:4\]: user access override.
    #[bits(4)]
    pub uao: u8,
    /// LSM, \[11:8\]: LSMAOE and nTLSMD.
    #[bits(4)]
    pub lsm: u8,
    /// IESB, \[15:12\]: implicit error synchronisation.
    #[bits(4)]
    pub iesb: u8,
    /// VARange, \[19:16\]: virtual address size: 1 is 52 bits with 64 KiB granules.
    #[bits(4)]
    pub varange: u8,
    /// CCIDX, \[23:20\]: wide form of CCSIDR_EL1.
    #[bits(4)]
    pub ccidx: u8,
    /// NV, \[27:24\]: nested virtualization.
    #[bits(4)]
    pub nv: u8,
    /// ST, \[31:28\]: small translation tables.
    #[bits(4)]
    pub st: u8,
    /// AT, \[35:32\]: atomicity of unaligned accesses. FEAT_LSE2.
    #[bits(4)]
    pub at: u8,
    /// IDS, \[39:36\]: ID space reads at EL0 report EC 0x18.
    #[bits(4)]
    pub ids: u8,
    /// FWB, \[43:40\]: stage 2 forced write-back.
    #[bits(4)]
    pub fwb: u8,
    #[bits(4)]
    __: u8,
    /// TTL, \[51:48\]: level hints of TLB maintenance.
    #[bits(4)]
    pub ttl: u8,
    /// BBM, \[55:52\]: break-before-make requirement.
    #[bits(4)]
    pub bbm: u8,
    /// EVT, \[59:56\]: enhanced virtualization traps.
    #[bits(4)]
    pub evt: u8,
    /// E0PD, \[63:60\]: TCR_EL1.E0PD0 and E0PD1.
    #[bits(4)]
    pub e0pd: u8,
}
const _: () = assert!(IdAa64Mmfr2::E0PD_OFFSET == 60);

/// `ID_AA64DFR0_EL1`, Debug Feature Register 0. Arm ARM, ID_AA64DFR0_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IdAa64Dfr0 {
    /// DebugVer, \[3:0\]: debug architecture: 6 is Armv8.0.
    #[bits(4)]
    pub debugver: u8,
    /// TraceVer, \[7:4\]: system registers of a trace unit.
    #[bits(4)]
    pub tracever: u8,
    /// PMUVer, \[11:8\]: performance monitors: 0 is absent, 15 IMPLEMENTATION DEFINED.
    #[bits(4)]
    pub pmuver: u8,
    /// BRPs, \[15:12\]: breakpoints, less one.
    #[bits(4)]
    pub brps: u8,
    /// PMSS, \[19:16\]: PMU snapshots.
    #[bits(4)]
    pub pmss: u8,
    /// WRPs, \[23:20\]: watchpoints, less one.
    #[bits(4)]
    pub wrps: u8,
    /// SEBEP, \[27:24\]: synchronous PMU exceptions.
    #[bits(4)]
    pub sebep: u8,
    /// CTX_CMPs, \[31:28\]: context-aware breakpoints, less one.
    #[bits(4)]
    pub ctx_cmps: u8,
    /// PMSVer, \[35:32\]: statistical profiling.
    #[bits(4)]
    pub pmsver: u8,
    /// DoubleLock, \[39:36\]: OS double lock: 0 is present, 15 absent.
    #[bits(4)]
    pub doublelock: u8,
    /// TraceFilt, \[43:40\]: self-hosted trace.
    #[bits(4)]
    pub tracefilt: u8,
    /// TraceBuffer, \[47:44\]: trace buffer.
    #[bits(4)]
    pub tracebuffer: u8,
    /// MTPMU, \[51:48\]: multi-threaded PMU.
    #[bits(4)]
    pub mtpmu: u8,
    /// BRBE, \[55:52\]: branch record buffer.
    #[bits(4)]
    pub brbe: u8,
    /// ExtTrcBuff, \[59:56\]: external trace buffer.
    #[bits(4)]
    pub exttrcbuff: u8,
    /// HPMN0, \[63:60\]: HPMN can be 0.
    #[bits(4)]
    pub hpmn0: u8,
}
const _: () = assert!(IdAa64Dfr0::HPMN0_OFFSET == 60);

/// Returns the bits of a physical address that a code stands for: of ID_AA64MMFR0_EL1.PARange, TCR_ELx.PS, TCR_EL1.IPS,
/// VTCR_EL2.PS and GPCCR_EL3.PPS; `None` for a reserved one. Arm ARM, AArch64.PhysicalAddressSize.
#[must_use]
pub const fn physical_address_bits(code: u8) -> Option<u8> {
    Some(match code {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        6 => 52,
        7 => 56,
        _ => return None,
    })
}

/// Returns the code that [`physical_address_bits`] takes back; `None` where there is none.
/// Arm ARM, AArch64.PhysicalAddressSize.
#[must_use]
pub const fn physical_address_code(bits: u8) -> Option<u8> {
    Some(match bits {
        32 => 0,
        36 => 1,
        40 => 2,
        42 => 3,
        44 => 4,
        48 => 5,
        52 => 6,
        56 => 7,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let pfr0 = IdAa64Pfr0::from_bits(0x1101_0000_0100_0011);
        assert_eq!((pfr0.el0(), pfr0.el1(), pfr0.el2(), pfr0.gic(), pfr0.dit()), (1, 1, 0, 1, 1));
        assert_eq!((pfr0.csv2(), pfr0.csv3(), pfr0.fp()), (1, 1, 0));
        assert_eq!(IdAa64Pfr1::from_bits(0x20).ssbs(), 2);
        let isar0 = IdAa64Isar0::from_bits(0x0010_1000_1021_1120);
        assert_eq!((isar0.aes(), isar0.sha1(), isar0.sha2(), isar0.crc32(), isar0.atomic()), (2, 1, 1, 1, 2));
        assert_eq!((isar0.rdm(), isar0.dp(), isar0.ts()), (1, 1, 1));
        assert_eq!(
            (IdAa64Isar1::from_bits(0x10_0001).dpb(), IdAa64Isar1::from_bits(0x10_0001).lrcpc()),
            (1, 1)
        );
        assert_eq!(IdAa64Isar2::from_bits(0x1_0002).wfxt(), 2);
        assert_eq!(IdAa64Isar2::from_bits(0x1_0002).mops(), 1);
        let mmfr0 = IdAa64Mmfr0::from_bits(0xf010_0025);
        assert_eq!((mmfr0.parange(), mmfr0.asidbits(), mmfr0.tgran16(), mmfr0.tgran4()), (5, 2, 1, 15));
        let mmfr1 = IdAa64Mmfr1::from_bits(0x10_2122);
        assert_eq!(
            (mmfr1.hafdbs(), mmfr1.vmidbits(), mmfr1.vh(), mmfr1.hpds(), mmfr1.pan()),
            (2, 2, 1, 2, 1)
        );
        assert_eq!((IdAa64Mmfr2::from_bits(0x11).cnp(), IdAa64Mmfr2::from_bits(0x11).uao()), (1, 1));
        let dfr0 = IdAa64Dfr0::from_bits(0xf0_1030_5006);
        assert_eq!((dfr0.debugver(), dfr0.brps(), dfr0.wrps(), dfr0.ctx_cmps()), (6, 5, 3, 1));
        assert_eq!((dfr0.pmuver(), dfr0.doublelock()), (0, 15));
    }

    #[test]
    fn codes_of_address_sizes_are_those_of_parange() {
        let sizes = [32, 36, 40, 42, 44, 48, 52, 56];
        for (code, bits) in (0..).zip(sizes) {
            assert_eq!(physical_address_bits(code), Some(bits));
        }
        assert_eq!(physical_address_bits(8), None);
        for bits in 0..=u8::MAX {
            let at = sizes.iter().position(|size| *size == bits);
            assert_eq!(physical_address_code(bits).map(usize::from), at, "{bits}");
        }
    }
}
