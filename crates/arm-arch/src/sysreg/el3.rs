//! Registers of EL3 that decide about the levels below it: routing, traps, debug. Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `SCR_EL3`, Secure Configuration Register. Arm ARM, SCR_EL3.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct ScrEl3 {
    /// NS, \[0\]: EL2 and below are Non-secure.
    pub ns: bool,
    /// IRQ, \[1\]: IRQs are taken to EL3.
    pub irq: bool,
    /// FIQ, \[2\]: FIQs are taken to EL3.
    pub fiq: bool,
    /// EA, \[3\]: SErrors and synchronous external aborts are taken to EL3.
    pub ea: bool,
    #[bits(3)]
    __: u8,
    /// SMD, \[7\]: SMC is UNDEFINED.
    pub smd: bool,
    /// HCE, \[8\]: HVC is enabled.
    pub hce: bool,
    /// SIF, \[9\]: Secure state executes no Non-secure memory.
    pub sif: bool,
    /// RW, \[10\]: the level below is AArch64.
    pub rw: bool,
    /// ST, \[11\]: Secure EL1 may access the secure physical timer.
    pub st: bool,
    /// TWI, \[12\]: WFI traps.
    pub twi: bool,
    /// TWE, \[13\]: WFE traps.
    pub twe: bool,
    /// TLOR, \[14\]: LOR registers trap. FEAT_LOR.
    pub tlor: bool,
    /// TERR, \[15\]: error record registers trap. FEAT_RAS.
    pub terr: bool,
    /// APK, \[16\]: pointer authentication keys do not trap. FEAT_PAuth.
    pub apk: bool,
    /// API, \[17\]: pointer authentication instructions do not trap. FEAT_PAuth.
    pub api: bool,
    /// EEL2, \[18\]: there is a Secure EL2. FEAT_SEL2.
    pub eel2: bool,
    /// EASE, \[19\]: synchronous external aborts to EL3 use the SError vector. FEAT_DoubleFault.
    pub ease: bool,
    /// NMEA, \[20\]: SErrors to EL3 are not masked. FEAT_DoubleFault.
    pub nmea: bool,
    /// FIEN, \[21\]: fault injection registers do not trap. FEAT_RASv1p1.
    pub fien: bool,
    /// TID3, \[22\]: ID group 3 traps. FEAT_IDTE3.
    pub tid3: bool,
    /// TID5, \[23\]: ID group 5 traps: GMID. FEAT_IDTE3.
    pub tid5: bool,
    /// POE2En, \[24\]: registers of permission overlays by group do not trap. FEAT_S1POE2.
    pub poe2en: bool,
    /// EnSCXT, \[25\]: SCXTNUM registers do not trap. FEAT_CSV2_2.
    pub enscxt: bool,
    /// ATA, \[26\]: allocation tags do not trap. FEAT_MTE2.
    pub ata: bool,
    /// FGTEn, \[27\]: the fine-grained traps of EL2 are in effect. FEAT_FGT.
    pub fgten: bool,
    /// ECVEn, \[28\]: CNTPOFF_EL2 is in effect. FEAT_ECV.
    pub ecven: bool,
    /// TWEDEn, \[29\]: delay of the WFE trap is enabled. FEAT_TWED.
    pub tweden: bool,
    /// TWEDEL, \[33:30\]: delay of the WFE trap. FEAT_TWED.
    #[bits(4)]
    pub twedel: u8,
    /// TME, \[34\]: transactions are allowed. FEAT_TME.
    pub tme: bool,
    /// AMVOFFEN, \[35\]: virtual offsets of activity monitors. FEAT_AMUv1p1.
    pub amvoffen: bool,
    /// EnAS0, \[36\]: ST64BV0 does not trap. FEAT_LS64_ACCDATA.
    pub enas0: bool,
    /// ADEn, \[37\]: ACCDATA_EL1 does not trap. FEAT_LS64_ACCDATA.
    pub aden: bool,
    /// HXEn, \[38\]: HCRX_EL2 is in effect. FEAT_HCX.
    pub hxen: bool,
    /// GCSEn, \[39\]: guarded control stacks are enabled. FEAT_GCS.
    pub gcsen: bool,
    /// TRNDR, \[40\]: random number registers trap. FEAT_RNG_TRAP.
    pub trndr: bool,
    /// EnTP2, \[41\]: TPIDR2_EL0 does not trap. FEAT_SME.
    pub entp2: bool,
    /// RCWMASKEn, \[42\]: RCWMASK_EL1 and RCWSMASK_EL1 do not trap. FEAT_THE.
    pub rcwmasken: bool,
    /// TCR2En, \[43\]: TCR2_ELx does not trap. FEAT_TCR2.
    pub tcr2en: bool,
    /// SCTLR2En, \[44\]: SCTLR2_ELx does not trap. FEAT_SCTLR2.
    pub sctlr2en: bool,
    /// PIEn, \[45\]: permission indirection and overlay registers do not trap. FEAT_S1PIE.
    pub pien: bool,
    /// AIEn, \[46\]: attribute index enhancement registers do not trap. FEAT_AIE.
    pub aien: bool,
    /// D128En, \[47\]: 128-bit registers do not trap. FEAT_D128.
    pub d128en: bool,
    /// GPF, \[48\]: granule protection faults are taken to EL3. FEAT_RME.
    pub gpf: bool,
    /// MECEn, \[49\]: memory encryption contexts do not trap. FEAT_MEC.
    pub mecen: bool,
    /// EnFPM, \[50\]: FPMR does not trap. FEAT_FPMR.
    pub enfpm: bool,
    /// TMEA, \[51\]: masked external aborts go to EL3. FEAT_DoubleFault2.
    pub tmea: bool,
    /// TWERR, \[52\]: writes of error record registers trap. FEAT_RASv2.
    pub twerr: bool,
    /// PFAREn, \[53\]: PFAR registers do not trap. FEAT_PFAR.
    pub pfaren: bool,
    /// SRMASKEn, \[54\]: mask registers do not trap. FEAT_SRMASK.
    pub srmasken: bool,
    /// EnIDCP128, \[55\]: 128-bit IMPLEMENTATION DEFINED registers do not trap. FEAT_SYSREG128.
    pub enidcp128: bool,
    /// VTLBIDEn, \[56\]: TLBI domains are virtual. FEAT_TLBID.
    pub vtlbiden: bool,
    /// DSE, \[57\]: a delegated SError is pending. FEAT_E3DSE.
    pub dse: bool,
    /// EnDSE, \[58\]: delegated SErrors are enabled. FEAT_E3DSE.
    pub endse: bool,
    /// FGTEn2, \[59\]: the fine-grained traps of FEAT_FGT2 are in effect.
    pub fgten2: bool,
    /// HDBSSEn, \[60\]: the structure of dirty state is enabled. FEAT_HDBSS.
    pub hdbssen: bool,
    /// HACDBSEn, \[61\]: its cleaning by hardware is enabled. FEAT_HACDBS.
    pub hacdbsen: bool,
    /// NSE, \[62\]: with NS, which security state EL2 and below are in. FEAT_RME.
    pub nse: bool,
    /// TPLIMEn, \[63\]: the limits TPMIN and TPMAX are enabled.
    pub tplimen: bool,
}
const _: () = assert!(ScrEl3::TPLIMEN_OFFSET == 63);

/// `MDCR_EL3`, Monitor Debug Configuration Register (EL3). Arm ARM, MDCR_EL3.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MdcrEl3 {
    /// RLTE, \[0\]: tracing of Realm state is enabled. FEAT_RME.
    pub rlte: bool,
    __: bool,
    /// EPMADE, \[2\]: external accesses to performance monitors, with EPMAD. FEAT_RME.
    pub epmade: bool,
    /// ETADE, \[3\]: external accesses to the trace unit, with ETAD. FEAT_RME.
    pub etade: bool,
    /// EDADE, \[4\]: external accesses to debug registers, with EDAD. FEAT_RME.
    pub edade: bool,
    __: bool,
    /// TPM, \[6\]: accesses to performance monitors trap. FEAT_PMUv3.
    pub tpm: bool,
    /// EnPM2, \[7\]: later performance monitor registers do not trap. FEAT_PMUv3p9.
    pub enpm2: bool,
    __: bool,
    /// TDA, \[9\]: accesses to debug registers trap.
    pub tda: bool,
    /// TDOSA, \[10\]: accesses to OS lock and power registers trap.
    pub tdosa: bool,
    /// NSPBE, \[11\]: with NSPB, owner of the profiling buffer. FEAT_RME.
    pub nspbe: bool,
    /// NSPB, \[13:12\]: owner of the profiling buffer. FEAT_SPE.
    #[bits(2)]
    pub nspb: u8,
    /// SPD32, \[15:14\]: self-hosted debug of AArch32 Secure EL1.
    #[bits(2)]
    pub spd32: u8,
    /// SDD, \[16\]: no debug exceptions in Secure state below EL3.
    pub sdd: bool,
    /// SPME, \[17\]: counting in Secure state is allowed.
    pub spme: bool,
    /// STE, \[18\]: tracing of Secure state is enabled. FEAT_TRF.
    pub ste: bool,
    /// TTRF, \[19\]: accesses to trace filter registers trap. FEAT_TRF.
    pub ttrf: bool,
    /// EDAD, \[20\]: external accesses to debug registers are disabled.
    pub edad: bool,
    /// EPMAD, \[21\]: external accesses to performance monitors are disabled.
    pub epmad: bool,
    /// ETAD, \[22\]: external accesses to the trace unit are disabled. FEAT_TRC_EXT.
    pub etad: bool,
    /// SCCD, \[23\]: cycle counting in Secure state is prohibited. FEAT_PMUv3p5.
    pub sccd: bool,
    /// NSTB, \[25:24\]: owner of the trace buffer. FEAT_TRBE.
    #[bits(2)]
    pub nstb: u8,
    /// NSTBE, \[26\]: with NSTB, owner of the trace buffer. FEAT_RME.
    pub nstbe: bool,
    /// TDCC, \[27\]: accesses to the debug communication channel trap. FEAT_FGT.
    pub tdcc: bool,
    /// MTPME, \[28\]: multi-threaded counting. FEAT_MTPMU.
    pub mtpme: bool,
    __: bool,
    /// PMSSE, \[31:30\]: snapshots of counters. FEAT_PMUv3_SS.
    #[bits(2)]
    pub pmsse: u8,
    /// SBRBE, \[33:32\]: branch records: their low bit 0 traps their registers. FEAT_BRBE.
    #[bits(2)]
    pub sbrbe: u8,
    /// MCCD, \[34\]: cycle counting at EL3 is prohibited. FEAT_PMUv3p7.
    pub mccd: bool,
    /// MPMX, \[35\]: event counting at EL3 is limited. FEAT_PMUv3p7.
    pub mpmx: bool,
    /// EnPMSN, \[36\]: PMSNEVFR_EL1 does not trap. FEAT_SPEv1p2.
    pub enpmsn: bool,
    /// E3BREW, \[37\]: branch records at EL3. FEAT_BRBEv1p1.
    pub e3brew: bool,
    /// E3BREC, \[38\]: branch records at EL3. FEAT_BRBEv1p1.
    pub e3brec: bool,
    /// EnTB2, \[39\]: later trace buffer registers do not trap. FEAT_TRBE.
    pub entb2: bool,
    /// PMEE, \[41:40\]: PMU exceptions. FEAT_EBEP.
    #[bits(2)]
    pub pmee: u8,
    /// EnPMS3, \[42\]: PMSDSFR_EL1 does not trap. FEAT_SPE_FDS.
    pub enpms3: bool,
    /// EBWE, \[43\]: extended breakpoints and watchpoints. FEAT_Debugv8p9.
    pub ebwe: bool,
    /// EnPMSS, \[44\]: snapshot registers do not trap. FEAT_PMUv3_SS.
    pub enpmss: bool,
    /// EPMSSAD, \[46:45\]: external accesses to snapshots. FEAT_PMUv3_SS.
    #[bits(2)]
    pub epmssad: u8,
    /// EnITE, \[47\]: TRCITECR_ELx does not trap. FEAT_ITE.
    pub enite: bool,
    /// ETBAD, \[49:48\]: external accesses to the trace buffer. FEAT_TRBE_EXT.
    #[bits(2)]
    pub etbad: u8,
    /// EnSTEPOP, \[50\]: stepping of an opcode. FEAT_STEP2.
    pub enstepop: bool,
    /// PMSEE, \[52:51\]: profiling exceptions. FEAT_SPE_EXC.
    #[bits(2)]
    pub pmsee: u8,
    /// TRBEE, \[54:53\]: trace buffer exceptions. FEAT_TRBE_EXC.
    #[bits(2)]
    pub trbee: u8,
    /// EnPMS4, \[55\]: later profiling registers do not trap. FEAT_SPE.
    pub enpms4: bool,
    __: u8,
}
const _: () = assert!(MdcrEl3::ENPMS4_OFFSET == 55);

/// `CPTR_EL3`, Architectural Feature Trap Register (EL3). Arm ARM, CPTR_EL3.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct CptrEl3 {
    __: u8,
    /// EZ, \[8\]: SVE does not trap. FEAT_SVE.
    pub ez: bool,
    __: bool,
    /// TFP, \[10\]: floating point and SIMD trap.
    pub tfp: bool,
    __: bool,
    /// ESM, \[12\]: SME does not trap. FEAT_SME.
    pub esm: bool,
    #[bits(7)]
    __: u8,
    /// TTA, \[20\]: accesses to trace registers trap.
    pub tta: bool,
    #[bits(9)]
    __: u16,
    /// TAM, \[30\]: accesses to activity monitors trap. FEAT_AMUv1.
    pub tam: bool,
    /// TCPAC, \[31\]: accesses to CPACR_EL1 and CPTR_EL2 trap.
    pub tcpac: bool,
    __: u32,
}
const _: () = assert!(CptrEl3::TCPAC_OFFSET == 31);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // What Trusted Firmware-A gives a Non-secure EL2 of a CPU with FEAT_FGT, FEAT_HCX and pointer authentication.
        let scr = ScrEl3::from_bits(0x40_0803_0d31);
        assert!(
            scr.ns()
                && scr.hce()
                && scr.rw()
                && scr.st()
                && scr.apk()
                && scr.api()
                && scr.fgten()
                && scr.hxen()
        );
        assert!(
            !scr.irq() && !scr.fiq() && !scr.ea() && !scr.smd() && !scr.eel2() && !scr.twi() && !scr.ecven()
        );
        let scr = ScrEl3::from_bits(0x6801_0009_6000_308c | 0xf << 30);
        assert!(scr.fiq() && scr.ea() && scr.smd() && scr.twi() && scr.twe() && scr.nse() && scr.hacdbsen());
        assert!(scr.gpf() && scr.fgten2() && scr.tweden() && scr.amvoffen() && !scr.ns() && !scr.tplimen());
        assert_eq!(scr.twedel(), 0xf);

        let mdcr = MdcrEl3::from_bits(1 << 16 | 3 << 40);
        assert_eq!((mdcr.sdd(), mdcr.pmee(), mdcr.tda(), mdcr.nspb()), (true, 3, false, 0));
        let mdcr = MdcrEl3::from_bits(0x0001_0001_0308_3640);
        assert!(mdcr.tpm() && mdcr.tda() && mdcr.tdosa() && mdcr.ttrf() && !mdcr.sdd() && !mdcr.enpm2());
        assert_eq!((mdcr.nspb(), mdcr.nstb(), mdcr.sbrbe(), mdcr.etbad(), mdcr.pmee()), (3, 3, 1, 1, 0));

        let cptr = CptrEl3::from_bits(0x8010_0400);
        assert!(cptr.tcpac() && cptr.tta() && cptr.tfp() && !cptr.tam() && !cptr.ez() && !cptr.esm());
        let cptr = CptrEl3::from_bits(0x4000_1100);
        assert!(cptr.tam() && cptr.esm() && cptr.ez() && !cptr.tcpac() && !cptr.tta() && !cptr.tfp());
    }
}
