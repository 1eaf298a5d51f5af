//! Registers of self-hosted debug: who may debug what, and what traps. Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `MDSCR_EL1`, Monitor Debug System Control Register. Arm ARM, MDSCR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MdscrEl1 {
    /// SS, \[0\]: software step is enabled.
    pub ss: bool,
    #[bits(5)]
    __: u8,
    /// ERR, \[6\]: with the OS lock: EDSCR.ERR.
    pub err: bool,
    #[bits(5)]
    __: u8,
    /// TDCC, \[12\]: accesses to the debug communication channel trap from EL0.
    pub tdcc: bool,
    /// KDE, \[13\]: debug exceptions within a level are enabled.
    pub kde: bool,
    /// HDE, \[14\]: with the OS lock: EDSCR.HDE.
    pub hde: bool,
    /// MDE, \[15\]: breakpoints, watchpoints and vector catch are enabled.
    pub mde: bool,
    #[bits(3)]
    __: u8,
    /// SC2, \[19\]: sample CONTEXTIDR_EL2. FEAT_PCSRv8.
    pub sc2: bool,
    __: bool,
    /// TDA, \[21\]: with the OS lock: EDSCR.TDA.
    pub tda: bool,
    /// INTdis, \[23:22\]: with the OS lock: EDSCR.INTdis.
    #[bits(2)]
    pub intdis: u8,
    #[bits(2)]
    __: u8,
    /// TXU, \[26\]: with the OS lock: EDSCR.TXU.
    pub txu: bool,
    /// RXO, \[27\]: with the OS lock: EDSCR.RXO.
    pub rxo: bool,
    __: bool,
    /// TXfull, \[29\]: with the OS lock: EDSCR.TXfull.
    pub txfull: bool,
    /// RXfull, \[30\]: with the OS lock: EDSCR.RXfull.
    pub rxfull: bool,
    /// TFO, \[31\]: trace filter override. FEAT_TRF.
    pub tfo: bool,
    /// EMBWE, \[32\]: extended breakpoints and watchpoints. FEAT_Debugv8p9.
    pub embwe: bool,
    /// TTA, \[33\]: trap of external trace accesses. FEAT_TRBE_EXT.
    pub tta: bool,
    /// EnSPM, \[34\]: system PMU accesses do not trap from EL0. FEAT_SPMU.
    pub enspm: bool,
    /// EHBWE, \[35\]: extended halting breakpoints. FEAT_Debugv8p9.
    pub ehbwe: bool,
    #[bits(14)]
    __: u16,
    /// EnSTEPOP, \[50\]: stepping of an opcode. FEAT_STEP2.
    pub enstepop: bool,
    #[bits(13)]
    __: u16,
}
const _: () = assert!(MdscrEl1::ENSTEPOP_OFFSET == 50);

/// `MDCR_EL2`, Monitor Debug Configuration Register (EL2). Arm ARM, MDCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MdcrEl2 {
    /// HPMN, \[4:0\]: event counters of EL1 and EL0.
    #[bits(5)]
    pub hpmn: u8,
    /// TPMCR, \[5\]: accesses to PMCR_EL0 trap.
    pub tpmcr: bool,
    /// TPM, \[6\]: accesses to performance monitors trap.
    pub tpm: bool,
    /// HPME, \[7\]: counters of EL2 are enabled.
    pub hpme: bool,
    /// TDE, \[8\]: debug exceptions go to EL2, and debug registers trap.
    pub tde: bool,
    /// TDA, \[9\]: accesses to debug registers trap.
    pub tda: bool,
    /// TDOSA, \[10\]: accesses to OS lock and power registers trap.
    pub tdosa: bool,
    /// TDRA, \[11\]: accesses to debug ROM address registers trap.
    pub tdra: bool,
    /// E2PB, \[13:12\]: owner of the profiling buffer. FEAT_SPE.
    #[bits(2)]
    pub e2pb: u8,
    /// TPMS, \[14\]: accesses to profiling registers trap. FEAT_SPE.
    pub tpms: bool,
    /// EnSPM, \[15\]: system PMU accesses do not trap. FEAT_SPMU.
    pub enspm: bool,
    __: bool,
    /// HPMD, \[17\]: counting at EL2 is prohibited. FEAT_PMUv3p1.
    pub hpmd: bool,
    __: bool,
    /// TTRF, \[19\]: accesses to TRFCR_EL1 trap. FEAT_TRF.
    pub ttrf: bool,
    #[bits(3)]
    __: u8,
    /// HCCD, \[23\]: cycle counting at EL2 is prohibited. FEAT_PMUv3p5.
    pub hccd: bool,
    /// E2TB, \[25:24\]: owner of the trace buffer. FEAT_TRBE.
    #[bits(2)]
    pub e2tb: u8,
    /// HLP, \[26\]: counters of EL2 overflow at 64 bits. FEAT_PMUv3p5.
    pub hlp: bool,
    /// TDCC, \[27\]: accesses to the debug communication channel trap. FEAT_FGT.
    pub tdcc: bool,
    /// MTPME, \[28\]: multi-threaded counting. FEAT_MTPMU.
    pub mtpme: bool,
    /// HPMFZO, \[29\]: counters freeze on overflow. FEAT_PMUv3p7.
    pub hpmfzo: bool,
    /// PMSSE, \[31:30\]: snapshots of counters. FEAT_PMUv3_SS.
    #[bits(2)]
    pub pmsse: u8,
    #[bits(4)]
    __: u8,
    /// HPMFZS, \[36\]: counters freeze on a profiling event. FEAT_SPEv1p2.
    pub hpmfzs: bool,
    #[bits(3)]
    __: u8,
    /// PMEE, \[41:40\]: PMU exceptions. FEAT_EBEP.
    #[bits(2)]
    pub pmee: u8,
    __: bool,
    /// EBWE, \[43\]: extended breakpoints and watchpoints. FEAT_Debugv8p9.
    pub ebwe: bool,
    #[bits(6)]
    __: u8,
    /// EnSTEPOP, \[50\]: stepping of an opcode. FEAT_STEP2.
    pub enstepop: bool,
    #[bits(13)]
    __: u16,
}
const _: () = assert!(MdcrEl2::ENSTEPOP_OFFSET == 50);

/// `OSLSR_EL1`, OS Lock Status Register. Arm ARM, OSLSR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct OslsrEl1 {
    /// OSLM_0, \[0\]: low bit of OSLM: 10 says that there is an OS lock.
    pub oslm_0: bool,
    /// OSLK, \[1\]: the OS lock is set.
    pub oslk: bool,
    /// nTT, \[2\]: RES0: 32-bit accesses to OSLAR_EL1.
    pub ntt: bool,
    /// OSLM_1, \[3\]: high bit of OSLM.
    pub oslm_1: bool,
    #[bits(60)]
    __: u64,
}
const _: () = assert!(OslsrEl1::OSLM_1_OFFSET == 3);

/// `OSLAR_EL1`, OS Lock Access Register. Arm ARM, OSLAR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct OslarEl1 {
    /// OSLK, \[0\]: becomes OSLSR_EL1.OSLK.
    pub oslk: bool,
    #[bits(63)]
    __: u64,
}
const _: () = assert!(OslarEl1::OSLK_OFFSET == 0);

/// `MDCCINT_EL1`, Monitor Debug Comms Channel Interrupt Enable Register. Arm ARM, MDCCINT_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MdccintEl1 {
    #[bits(29)]
    __: u32,
    /// TX, \[29\]: an empty transmit channel interrupts.
    pub tx: bool,
    /// RX, \[30\]: a full receive channel interrupts.
    pub rx: bool,
    #[bits(33)]
    __: u64,
}
const _: () = assert!(MdccintEl1::RX_OFFSET == 30);

/// `DBGCLAIMSET_EL1` and `DBGCLAIMCLR_EL1`, Debug Claim Tag Registers. Arm ARM, DBGCLAIMSET_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct DbgclaimEl1 {
    /// CLAIM, \[7:0\]: one bit for each tag.
    pub claim: u8,
    #[bits(56)]
    __: u64,
}
const _: () = assert!(DbgclaimEl1::CLAIM_BITS == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let mdscr = MdscrEl1::from_bits(0xa001);
        assert!(mdscr.ss() && mdscr.kde() && mdscr.mde() && !mdscr.tdcc());
        let mdcr = MdcrEl2::from_bits(0xf46);
        assert!(mdcr.tda() && mdcr.tdosa() && mdcr.tdra() && mdcr.tde() && mdcr.tpm() && !mdcr.tpmcr());
        assert_eq!(mdcr.hpmn(), 6);
        // After a cold reset: there is an OS lock, and it is set.
        let oslsr = OslsrEl1::from_bits(0xa);
        assert!(oslsr.oslk() && oslsr.oslm_1() && !oslsr.oslm_0() && !oslsr.ntt());
        let channel = MdccintEl1::from_bits(0x4000_0000);
        assert!(channel.rx() && !channel.tx() && MdccintEl1::from_bits(0x2000_0000).tx());
        assert_eq!(DbgclaimEl1::from_bits(0x1_f5).claim(), 0xf5);
        assert!(OslarEl1::from_bits(1).oslk() && !OslarEl1::from_bits(2).oslk());
    }
}
