//! Registers that switch the behaviour of EL1 and EL0 on and off, and what traps to EL2.
//! Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `SCTLR_EL1`, System Control Register (EL1). Arm ARM, SCTLR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct SctlrEl1 {
    /// M, \[0\]: stage 1 of the EL1&0 regime translates.
    pub m: bool,
    /// A, \[1\]: every unaligned access faults.
    pub a: bool,
    /// C, \[2\]: data accesses may be cached.
    pub c: bool,
    /// SA, \[3\]: SP alignment is checked at EL1.
    pub sa: bool,
    /// SA0, \[4\]: SP alignment is checked at EL0.
    pub sa0: bool,
    /// CP15BEN, \[5\]: AArch32 barriers at EL0 by CP15; RES0 without AArch32.
    pub cp15ben: bool,
    /// nAA, \[6\]: ordered accesses across 16 bytes do not fault. FEAT_LSE2.
    pub naa: bool,
    /// ITD, \[7\]: AArch32 IT disable; RES1 without AArch32.
    pub itd: bool,
    /// SED, \[8\]: AArch32 SETEND disable; RES1 without AArch32.
    pub sed: bool,
    /// UMA, \[9\]: EL0 may access DAIF.
    pub uma: bool,
    /// EnRCTX, \[10\]: EL0 may use CFP, DVP and CPP RCTX. FEAT_SPECRES.
    pub enrctx: bool,
    /// EOS, \[11\]: exception return is context synchronising; RES1 without FEAT_ExS.
    pub eos: bool,
    /// I, \[12\]: instruction fetches may be cached.
    pub i: bool,
    /// EnDB, \[13\]: key B for data is in use. FEAT_PAuth.
    pub endb: bool,
    /// DZE, \[14\]: EL0 may use DC ZVA.
    pub dze: bool,
    /// UCT, \[15\]: EL0 may read CTR_EL0.
    pub uct: bool,
    /// nTWI, \[16\]: EL0 may execute WFI.
    pub ntwi: bool,
    __: bool,
    /// nTWE, \[18\]: EL0 may execute WFE.
    pub ntwe: bool,
    /// WXN, \[19\]: writable implies execute-never.
    pub wxn: bool,
    /// TSCXT, \[20\]: EL0 may not access SCXTNUM_EL0; RES1 without FEAT_CSV2_2.
    pub tscxt: bool,
    /// IESB, \[21\]: implicit error synchronisation barrier. FEAT_IESB.
    pub iesb: bool,
    /// EIS, \[22\]: exception entry is context synchronising; RES1 without FEAT_ExS.
    pub eis: bool,
    /// SPAN, \[23\]: exception entry leaves PAN as it is; RES1 without FEAT_PAN.
    pub span: bool,
    /// E0E, \[24\]: data accesses at EL0 are big-endian.
    pub e0e: bool,
    /// EE, \[25\]: data accesses at EL1, and stage 1 table walks, are big-endian.
    pub ee: bool,
    /// UCI, \[26\]: EL0 may use cache maintenance.
    pub uci: bool,
    /// EnDA, \[27\]: key A for data is in use. FEAT_PAuth.
    pub enda: bool,
    /// nTLSMD, \[28\]: no trap of load multiple to device memory; RES1 without FEAT_LSMAOC.
    pub ntlsmd: bool,
    /// LSMAOE, \[29\]: load multiple atomicity and ordering; RES1 without FEAT_LSMAOC.
    pub lsmaoe: bool,
    /// EnIB, \[30\]: key B for instructions is in use. FEAT_PAuth.
    pub enib: bool,
    /// EnIA, \[31\]: key A for instructions is in use. FEAT_PAuth.
    pub enia: bool,
    /// CMOW, \[32\]: cache maintenance at EL0 needs write permission. FEAT_CMOW.
    pub cmow: bool,
    /// MSCEn, \[33\]: EL0 may use memory copy and set. FEAT_MOPS.
    pub mscen: bool,
    /// EnFPM, \[34\]: EL0 may access FPMR. FEAT_FPMR.
    pub enfpm: bool,
    /// BT0, \[35\]: PACIxSP is no landing pad for BTYPE 11 at EL0. FEAT_BTI.
    pub bt0: bool,
    /// BT1, \[36\]: PACIxSP is no landing pad for BTYPE 11 at EL1. FEAT_BTI.
    pub bt1: bool,
    /// ITFSB, \[37\]: tag check faults are synchronised on entry. FEAT_MTE_ASYNC.
    pub itfsb: bool,
    /// TCF0, \[39:38\]: effect of a tag check fault at EL0. FEAT_MTE2.
    #[bits(2)]
    pub tcf0: u8,
    /// TCF, \[41:40\]: effect of a tag check fault at EL1. FEAT_MTE2.
    #[bits(2)]
    pub tcf: u8,
    /// ATA0, \[42\]: allocation tags are accessible at EL0. FEAT_MTE2.
    pub ata0: bool,
    /// ATA, \[43\]: allocation tags are accessible at EL1. FEAT_MTE2.
    pub ata: bool,
    /// DSSBS, \[44\]: value of PSTATE.SSBS on exception entry. FEAT_SSBS.
    pub dssbs: bool,
    /// TWEDEn, \[45\]: delay of the WFE trap is enabled. FEAT_TWED.
    pub tweden: bool,
    /// TWEDEL, \[49:46\]: delay of the WFE trap. FEAT_TWED.
    #[bits(4)]
    pub twedel: u8,
    /// TMT0, \[50\]: TSTART fails at EL0. FEAT_TME.
    pub tmt0: bool,
    /// TMT, \[51\]: TSTART fails at EL1. FEAT_TME.
    pub tmt: bool,
    /// TME0, \[52\]: EL0 may use transactions. FEAT_TME.
    pub tme0: bool,
    /// TME, \[53\]: EL1 may use transactions. FEAT_TME.
    pub tme: bool,
    /// EnASR, \[54\]: EL0 may use ST64BV. FEAT_LS64_V.
    pub enasr: bool,
    /// EnAS0, \[55\]: EL0 may use ST64BV0. FEAT_LS64_ACCDATA.
    pub enas0: bool,
    /// EnALS, \[56\]: EL0 may use LD64B and ST64B. FEAT_LS64.
    pub enals: bool,
    /// EPAN, \[57\]: PAN covers pages that EL0 may only execute. FEAT_PAN3.
    pub epan: bool,
    /// TCSO0, \[58\]: tag checks of stores only, EL0. FEAT_MTE_STORE_ONLY.
    pub tcso0: bool,
    /// TCSO, \[59\]: tag checks of stores only, EL1. FEAT_MTE_STORE_ONLY.
    pub tcso: bool,
    /// EnTP2, \[60\]: EL0 may access TPIDR2_EL0. FEAT_SME.
    pub entp2: bool,
    /// NMI, \[61\]: superpriority is honoured. FEAT_NMI.
    pub nmi: bool,
    /// SPINTMASK, \[62\]: SP selection masks interrupts. FEAT_NMI.
    pub spintmask: bool,
    /// TIDCP, \[63\]: IMPLEMENTATION DEFINED encodings trap from EL0. FEAT_TIDCP1.
    pub tidcp: bool,
}
const _: () = assert!(SctlrEl1::TIDCP_OFFSET == 63);

impl SctlrEl1 {
    /// What reads as one where no feature gives it a meaning, AArch32 at EL0 among them, and so is one after a reset:
    /// ITD, SED, EOS, TSCXT, EIS, SPAN, nTLSMD, LSMAOE. Arm ARM, SCTLR_EL1.
    pub const RES1: Self = Self::new()
        .with_itd(true)
        .with_sed(true)
        .with_eos(true)
        .with_tscxt(true)
        .with_eis(true)
        .with_span(true)
        .with_ntlsmd(true)
        .with_lsmaoe(true);
}
const _: () = assert!(SctlrEl1::RES1.into_bits() == 0x30d0_0980);

/// `SCTLR2_EL1` and `SCTLR2_EL2`, System Control Registers, extended. FEAT_SCTLR2. Arm ARM, SCTLR2_EL1, SCTLR2_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Sctlr2 {
    __: bool,
    /// EMEC, \[1\]: of EL2 only: memory encryption contexts. FEAT_MEC.
    pub emec: bool,
    /// NMEA, \[2\]: an SError interrupt is not masked by PSTATE.A. FEAT_DoubleFault2.
    pub nmea: bool,
    /// EnADERR, \[3\]: external aborts of reads of Device memory may be SErrors. FEAT_ADERR.
    pub enaderr: bool,
    /// EnANERR, \[4\]: external aborts of reads of Normal memory may be SErrors. FEAT_ANERR.
    pub enanerr: bool,
    /// EASE, \[5\]: synchronous external aborts take the vector of SError. FEAT_DoubleFault2.
    pub ease: bool,
    /// EnIDCP128, \[6\]: EL0 may make 128-bit accesses to IMPLEMENTATION DEFINED registers. FEAT_SYSREG128.
    pub enidcp128: bool,
    /// EnPACM, \[7\]: PACM takes effect at this level. FEAT_PAuth_LR.
    pub enpacm: bool,
    /// EnPACM0, \[8\]: PACM takes effect at EL0. FEAT_PAuth_LR.
    pub enpacm0: bool,
    /// CPTA, \[9\]: checked pointer arithmetic for additions. FEAT_CPA2.
    pub cpta: bool,
    /// CPTA0, \[10\]: the same at EL0.
    pub cpta0: bool,
    /// CPTM, \[11\]: checked pointer arithmetic for multiplications. FEAT_CPA2.
    pub cptm: bool,
    /// CPTM0, \[12\]: the same at EL0.
    pub cptm0: bool,
    __: bool,
    /// What came after, \[28:14\], carried whole.
    #[bits(15)]
    pub later: u16,
    #[bits(35)]
    __: u64,
}
const _: () = assert!(Sctlr2::ENIDCP128_OFFSET == 6);

/// `CPACR_EL1`, Architectural Feature Access Control Register. Arm ARM, CPACR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CpacrEl1 {
    __: u16,
    /// ZEN, \[17:16\]: SVE: x0 traps EL1 and EL0, 01 traps EL0, 11 traps nothing. FEAT_SVE.
    #[bits(2)]
    pub zen: u8,
    #[bits(2)]
    __: u8,
    /// FPEN, \[21:20\]: floating point and SIMD, in the same encoding.
    #[bits(2)]
    pub fpen: FpEnable,
    #[bits(2)]
    __: u8,
    /// SMEN, \[25:24\]: SME, in the same encoding. FEAT_SME.
    #[bits(2)]
    pub smen: u8,
    #[bits(2)]
    __: u8,
    /// TTA, \[28\]: accesses to trace registers trap.
    pub tta: bool,
    /// E0POE, \[29\]: EL0 may access POR_EL0. FEAT_S1POE.
    pub e0poe: bool,
    /// TAM, \[30\]: see CPTR_EL2; RES0 here unless accessed with HCR_EL2.E2H set.
    pub tam: bool,
    /// TCPAC, \[31\]: see CPTR_EL2.
    pub tcpac: bool,
    /// E0TP0E, \[32\]: EL0 accesses of group 0 do not trap. FEAT_S1POE2.
    pub e0tp0e: bool,
    /// E0TP1E, \[33\]: EL0 accesses of group 1 do not trap. FEAT_S1POE2.
    pub e0tp1e: bool,
    #[bits(30)]
    __: u32,
}
const _: () = assert!(CpacrEl1::E0TP1E_OFFSET == 33);

/// `HCR_EL2`, Hypervisor Configuration Register. Arm ARM, HCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct HcrEl2 {
    /// VM, \[0\]: stage 2 translates.
    pub vm: bool,
    /// SWIO, \[1\]: invalidation by set and way also cleans.
    pub swio: bool,
    /// PTW, \[2\]: a stage 1 walk into Device memory faults at stage 2.
    pub ptw: bool,
    /// FMO, \[3\]: FIQs go to EL2, virtual FIQs are enabled.
    pub fmo: bool,
    /// IMO, \[4\]: IRQs go to EL2, virtual IRQs are enabled.
    pub imo: bool,
    /// AMO, \[5\]: SErrors go to EL2, virtual SErrors are enabled.
    pub amo: bool,
    /// VF, \[6\]: a virtual FIQ is pending.
    pub vf: bool,
    /// VI, \[7\]: a virtual IRQ is pending.
    pub vi: bool,
    /// VSE, \[8\]: a virtual SError is pending.
    pub vse: bool,
    /// FB, \[9\]: maintenance from EL1 is broadcast.
    pub fb: bool,
    /// BSU, \[11:10\]: minimum shareability of barriers.
    #[bits(2)]
    pub bsu: u8,
    /// DC, \[12\]: default cacheable: stage 1 is off and memory cacheable.
    pub dc: bool,
    /// TWI, \[13\]: WFI traps.
    pub twi: bool,
    /// TWE, \[14\]: WFE traps.
    pub twe: bool,
    /// TID0, \[15\]: ID group 0 traps.
    pub tid0: bool,
    /// TID1, \[16\]: ID group 1 traps: REVIDR, AIDR, SMIDR.
    pub tid1: bool,
    /// TID2, \[17\]: ID group 2 traps: CTR, CCSIDR, CLIDR, CSSELR.
    pub tid2: bool,
    /// TID3, \[18\]: ID group 3 traps: the ID_ registers.
    pub tid3: bool,
    /// TSC, \[19\]: SMC traps.
    pub tsc: bool,
    /// TIDCP, \[20\]: IMPLEMENTATION DEFINED encodings trap.
    pub tidcp: bool,
    /// TACR, \[21\]: ACTLR traps.
    pub tacr: bool,
    /// TSW, \[22\]: data cache maintenance by set and way traps.
    pub tsw: bool,
    /// TPCP, \[23\]: data cache maintenance to the point of coherency traps.
    pub tpcp: bool,
    /// TPU, \[24\]: cache maintenance to the point of unification traps.
    pub tpu: bool,
    /// TTLB, \[25\]: TLB maintenance traps.
    pub ttlb: bool,
    /// TVM, \[26\]: writes of the virtual memory controls trap.
    pub tvm: bool,
    /// TGE, \[27\]: exceptions from EL0 go to EL2.
    pub tge: bool,
    /// TDZ, \[28\]: DC ZVA traps.
    pub tdz: bool,
    /// HCD, \[29\]: HVC is disabled; RES0 with EL3.
    pub hcd: bool,
    /// TRVM, \[30\]: reads of the virtual memory controls trap.
    pub trvm: bool,
    /// RW, \[31\]: EL1 is AArch64.
    pub rw: bool,
    /// CD, \[32\]: stage 2 data accesses are not cached.
    pub cd: bool,
    /// ID, \[33\]: stage 2 instruction fetches are not cached.
    pub id: bool,
    /// E2H, \[34\]: EL2 hosts an operating system. FEAT_VHE.
    pub e2h: bool,
    /// TLOR, \[35\]: LOR registers trap. FEAT_LOR.
    pub tlor: bool,
    /// TERR, \[36\]: error record registers trap. FEAT_RAS.
    pub terr: bool,
    /// TEA, \[37\]: synchronous external aborts go to EL2. FEAT_RAS.
    pub tea: bool,
    /// MIOCNCE, \[38\]: mismatched cacheability may lose coherency.
    pub miocnce: bool,
    /// TME, \[39\]: transactions are allowed. FEAT_TME.
    pub tme: bool,
    /// APK, \[40\]: pointer authentication keys do not trap. FEAT_PAuth.
    pub apk: bool,
    /// API, \[41\]: pointer authentication instructions do not trap. FEAT_PAuth.
    pub api: bool,
    /// NV, \[42\]: nested virtualization. FEAT_NV.
    pub nv: bool,
    /// NV1, \[43\]: nested virtualization, more traps. FEAT_NV.
    pub nv1: bool,
    /// AT, \[44\]: address translation instructions trap. FEAT_NV.
    pub at: bool,
    /// NV2, \[45\]: nested virtualization, registers in memory. FEAT_NV2.
    pub nv2: bool,
    /// FWB, \[46\]: stage 2 attributes win. FEAT_S2FWB.
    pub fwb: bool,
    /// FIEN, \[47\]: fault injection registers do not trap. FEAT_RASv1p1.
    pub fien: bool,
    /// GPF, \[48\]: granule protection faults go to EL2. FEAT_RME.
    pub gpf: bool,
    /// TID4, \[49\]: ID group 4 traps: CCSIDR, CLIDR, CSSELR. FEAT_EVT.
    pub tid4: bool,
    /// TICAB, \[50\]: IC IALLUIS traps. FEAT_EVT.
    pub ticab: bool,
    /// AMVOFFEN, \[51\]: virtual offsets of activity monitors. FEAT_AMUv1p1.
    pub amvoffen: bool,
    /// TOCU, \[52\]: cache maintenance to the point of unification traps. FEAT_EVT.
    pub tocu: bool,
    /// EnSCXT, \[53\]: SCXTNUM registers do not trap. FEAT_CSV2_2.
    pub enscxt: bool,
    /// TTLBIS, \[54\]: inner shareable TLB maintenance traps. FEAT_EVT.
    pub ttlbis: bool,
    /// TTLBOS, \[55\]: outer shareable TLB maintenance traps. FEAT_EVT.
    pub ttlbos: bool,
    /// ATA, \[56\]: allocation tags do not trap. FEAT_MTE2.
    pub ata: bool,
    /// DCT, \[57\]: default cacheability is tagged. FEAT_MTE2.
    pub dct: bool,
    /// TID5, \[58\]: ID group 5 traps: GMID. FEAT_MTE2.
    pub tid5: bool,
    /// TWEDEn, \[59\]: delay of the WFE trap is enabled. FEAT_TWED.
    pub tweden: bool,
    /// TWEDEL, \[63:60\]: delay of the WFE trap. FEAT_TWED.
    #[bits(4)]
    pub twedel: u8,
}
const _: () = assert!(HcrEl2::TWEDEL_OFFSET == 60);

/// `HCRX_EL2`, Extended Hypervisor Configuration Register. Arm ARM, HCRX_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct HcrxEl2 {
    /// EnAS0, \[0\]: ST64BV0 does not trap. FEAT_LS64_ACCDATA.
    pub enas0: bool,
    /// EnALS, \[1\]: LD64B and ST64B do not trap. FEAT_LS64.
    pub enals: bool,
    /// EnASR, \[2\]: ST64BV does not trap. FEAT_LS64_V.
    pub enasr: bool,
    /// FnXS, \[3\]: TLB maintenance behaves as its nXS form. FEAT_XS.
    pub fnxs: bool,
    /// FGTnXS, \[4\]: fine-grained traps cover the nXS forms. FEAT_XS.
    pub fgtnxs: bool,
    /// SMPME, \[5\]: streaming mode priorities are mapped. FEAT_SME.
    pub smpme: bool,
    /// TALLINT, \[6\]: writes of ALLINT trap. FEAT_NMI.
    pub tallint: bool,
    /// VINMI, \[7\]: the virtual IRQ has superpriority. FEAT_NMI.
    pub vinmi: bool,
    /// VFNMI, \[8\]: the virtual FIQ has superpriority. FEAT_NMI.
    pub vfnmi: bool,
    /// CMOW, \[9\]: cache maintenance needs write permission at stage 2. FEAT_CMOW.
    pub cmow: bool,
    /// MCE2, \[10\]: memory copy exceptions go to EL2. FEAT_MOPS.
    pub mce2: bool,
    /// MSCEn, \[11\]: memory copy and set are enabled. FEAT_MOPS.
    pub mscen: bool,
    #[bits(2)]
    __: u8,
    /// TCR2En, \[14\]: TCR2_EL1 does not trap. FEAT_TCR2.
    pub tcr2en: bool,
    /// SCTLR2En, \[15\]: SCTLR2_EL1 does not trap. FEAT_SCTLR2.
    pub sctlr2en: bool,
    /// PTTWI, \[16\]: TCR2_EL1.PTTWI is in effect. FEAT_THE.
    pub pttwi: bool,
    /// D128En, \[17\]: 128-bit registers do not trap. FEAT_D128.
    pub d128en: bool,
    /// EnSNERR, \[18\]: EnANERR of EL1 counts as 0: synchronous Normal read errors. FEAT_ANERR.
    pub ensnerr: bool,
    /// TMEA, \[19\]: masked external aborts go to EL2. FEAT_DoubleFault2.
    pub tmea: bool,
    /// EnSDERR, \[20\]: EnADERR of EL1 counts as 0: synchronous Device read errors. FEAT_ADERR.
    pub ensderr: bool,
    /// EnIDCP128, \[21\]: 128-bit IMPLEMENTATION DEFINED registers do not trap. FEAT_SYSREG128.
    pub enidcp128: bool,
    /// GCSEn, \[22\]: guarded control stacks are enabled. FEAT_GCS.
    pub gcsen: bool,
    /// EnFPM, \[23\]: FPMR does not trap. FEAT_FPMR.
    pub enfpm: bool,
    /// PACMEn, \[24\]: PSTATE.PACM is enabled. FEAT_PAuth_LR.
    pub pacmen: bool,
    /// VTLBIDEn, \[25\]: TLBI domains are virtual. FEAT_TLBID.
    pub vtlbiden: bool,
    /// SRMASKEn, \[26\]: mask registers do not trap. FEAT_SRMASK.
    pub srmasken: bool,
    /// NVTGE, \[27\]: nested virtualization of TGE. FEAT_NV2p1.
    pub nvtge: bool,
    #[bits(36)]
    __: u64,
}
const _: () = assert!(HcrxEl2::NVTGE_OFFSET == 27);

/// `CPTR_EL2`, Architectural Feature Trap Register, in the form of HCR_EL2.E2H = 1. Arm ARM, CPTR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CptrEl2 {
    __: u16,
    /// ZEN, \[17:16\]: SVE: x0 traps all, 01 traps EL0 of a host, 11 traps nothing. FEAT_SVE.
    #[bits(2)]
    pub zen: u8,
    #[bits(2)]
    __: u8,
    /// FPEN, \[21:20\]: floating point and SIMD, in the same encoding.
    #[bits(2)]
    pub fpen: FpEnable,
    #[bits(2)]
    __: u8,
    /// SMEN, \[25:24\]: SME, in the same encoding. FEAT_SME.
    #[bits(2)]
    pub smen: u8,
    #[bits(2)]
    __: u8,
    /// TTA, \[28\]: accesses to trace registers trap.
    pub tta: bool,
    /// E0POE, \[29\]: EL0 of a host may access POR_EL0. FEAT_S1POE.
    pub e0poe: bool,
    /// TAM, \[30\]: accesses to activity monitors trap. FEAT_AMUv1.
    pub tam: bool,
    /// TCPAC, \[31\]: accesses to CPACR_EL1 trap.
    pub tcpac: bool,
    __: u32,
}
const _: () = assert!(CptrEl2::TCPAC_OFFSET == 31);

/// `CPTR_EL2` in the form of HCR_EL2.E2H = 0. Arm ARM, CPTR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CptrEl2Classic {
    __: u8,
    /// TZ, \[8\]: SVE traps. FEAT_SVE.
    pub tz: bool,
    __: bool,
    /// TFP, \[10\]: floating point and SIMD trap.
    pub tfp: bool,
    __: bool,
    /// TSM, \[12\]: SME traps. FEAT_SME.
    pub tsm: bool,
    #[bits(7)]
    __: u8,
    /// TTA, \[20\]: accesses to trace registers trap.
    pub tta: bool,
    #[bits(9)]
    __: u16,
    /// TAM, \[30\]: accesses to activity monitors trap. FEAT_AMUv1.
    pub tam: bool,
    /// TCPAC, \[31\]: accesses to CPACR_EL1 trap.
    pub tcpac: bool,
    __: u32,
}
const _: () = assert!(CptrEl2Classic::TCPAC_OFFSET == 31);

/// Who may use an extension: the two bits of `CPACR_EL1.FPEN` and `CPTR_EL2.FPEN`. Arm ARM, CPACR_EL1.FPEN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FpEnable {
    /// 0b00: traps from every level that the register covers.
    None = 0,
    /// 0b01: traps from EL0 only.
    NotEl0 = 1,
    /// 0b10: the same as 0b00.
    NoneReserved = 2,
    /// 0b11: traps nothing.
    All = 3,
}

impl FpEnable {
    /// Makes a value of its two bits; higher bits are dropped. Arm ARM, CPACR_EL1.FPEN.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::NotEl0,
            2 => Self::NoneReserved,
            _ => Self::All,
        }
    }

    /// Returns the two bits. Arm ARM, CPACR_EL1.FPEN.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::NotEl0 => 1,
            Self::NoneReserved => 2,
            Self::All => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // What Linux 6.1 runs with on an Armv8.0 core.
        let sctlr = SctlrEl1::from_bits(0x0000_0000_34d5_d91d);
        assert!(sctlr.m() && sctlr.c() && sctlr.i() && sctlr.sa() && sctlr.sa0());
        assert!(!sctlr.a() && !sctlr.wxn() && !sctlr.ee() && !sctlr.e0e() && !sctlr.uma());
        assert!(sctlr.dze() && sctlr.uct() && sctlr.uci() && sctlr.ntwi() && sctlr.ntwe() && sctlr.span());
        assert_eq!(SctlrEl1::new().with_epan(true).with_dssbs(true).into_bits(), 0x0200_1000_0000_0000);

        // The value of HCR that the SAE series programs: E2H, TLOR, TID4, TID5 and others.
        let hcr = HcrEl2::from_bits(0x0402_000c_801f_003c);
        assert!(hcr.e2h() && hcr.rw() && hcr.amo() && hcr.imo() && hcr.fmo() && hcr.ptw() && hcr.tsc());
        assert!(
            hcr.tid1() && hcr.tid2() && hcr.tid3() && hcr.tid4() && hcr.tid5() && hcr.tidcp() && hcr.tlor()
        );
        assert!(
            !hcr.vm() && !hcr.twi() && !hcr.twe() && !hcr.tge() && !hcr.tvm() && !hcr.tacr() && !hcr.tid0()
        );

        assert!(HcrxEl2::from_bits(0x800).mscen());
        let sctlr2 = Sctlr2::from_bits(0x0000_0aa0);
        assert!(sctlr2.ease() && sctlr2.enpacm() && sctlr2.cpta() && sctlr2.cptm());
        assert!(!sctlr2.enidcp128() && !sctlr2.enpacm0() && !sctlr2.cpta0() && !sctlr2.cptm0());
        let sctlr2 = Sctlr2::from_bits(0x1000_1540);
        assert!(sctlr2.enidcp128() && sctlr2.enpacm0() && sctlr2.cpta0() && sctlr2.cptm0() && !sctlr2.ease());
        let sctlr2 = Sctlr2::from_bits(0x1e);
        assert!(
            sctlr2.emec() && sctlr2.nmea() && sctlr2.enaderr() && sctlr2.enanerr() && sctlr2.later() == 0
        );
        let cptr = CptrEl2::from_bits(0x33_0000);
        assert_eq!((cptr.fpen(), cptr.zen()), (FpEnable::All, 3));
        assert_eq!(CpacrEl1::from_bits(0x10_0000).fpen(), FpEnable::NotEl0);
        // RES1 of a CPU without SVE and SME; then each of the others.
        let cptr = CptrEl2Classic::from_bits(0x33ff);
        assert!(cptr.tz() && cptr.tsm() && !cptr.tfp() && !cptr.tta() && !cptr.tam() && !cptr.tcpac());
        let cptr = CptrEl2Classic::from_bits(0xc010_0400);
        assert!(cptr.tfp() && cptr.tta() && cptr.tam() && cptr.tcpac() && !cptr.tz() && !cptr.tsm());
    }
}
