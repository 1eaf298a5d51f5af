//! The fine-grained trap register of instructions, of which code asks three by name. FEAT_FGT. Arm ARM, HFGITR_EL2.
//!
//! The others are asked by their number, which `data/fgt_fields.tsv` gives: see `trap::FineBit`.

use bitfield_struct::bitfield;

/// `HFGITR_EL2`, Hypervisor Fine-Grained Instruction Trap Register. Arm ARM, HFGITR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct HfgitrEl2 {
    /// ICIALLUIS, \[0\]: IC IALLUIS traps.
    pub icialluis: bool,
    /// ICIALLU, \[1\]: IC IALLU traps.
    pub iciallu: bool,
    /// ICIVAU, \[2\]: IC IVAU traps.
    pub icivau: bool,
    /// DCIVAC, \[3\]: DC IVAC traps.
    pub dcivac: bool,
    /// DCISW, \[4\]: DC ISW traps.
    pub dcisw: bool,
    /// DCCSW, \[5\]: DC CSW traps.
    pub dccsw: bool,
    /// DCCISW, \[6\]: DC CISW traps.
    pub dccisw: bool,
    /// DCCVAU, \[7\]: DC CVAU traps.
    pub dccvau: bool,
    /// DCCVAP, \[8\]: DC CVAP traps. FEAT_DPB.
    pub dccvap: bool,
    /// DCCVADP, \[9\]: DC CVADP traps. FEAT_DPB2.
    pub dccvadp: bool,
    /// DCCIVAC, \[10\]: DC CIVAC traps.
    pub dccivac: bool,
    /// DCZVA, \[11\]: DC ZVA traps.
    pub dczva: bool,
    /// ATS1E1R, \[12\]: AT S1E1R traps.
    pub ats1e1r: bool,
    /// ATS1E1W, \[13\]: AT S1E1W traps.
    pub ats1e1w: bool,
    /// ATS1E0R, \[14\]: AT S1E0R traps.
    pub ats1e0r: bool,
    /// ATS1E0W, \[15\]: AT S1E0W traps.
    pub ats1e0w: bool,
    /// ATS1E1RP, \[16\]: AT S1E1RP traps. FEAT_PAN2.
    pub ats1e1rp: bool,
    /// ATS1E1WP, \[17\]: AT S1E1WP traps. FEAT_PAN2.
    pub ats1e1wp: bool,
    /// TLBIVMALLE1OS, \[18\]: TLBI VMALLE1OS traps. FEAT_TLBIOS.
    pub tlbivmalle1os: bool,
    /// TLBIVAE1OS, \[19\]: TLBI VAE1OS traps. FEAT_TLBIOS.
    pub tlbivae1os: bool,
    /// TLBIASIDE1OS, \[20\]: TLBI ASIDE1OS traps. FEAT_TLBIOS.
    pub tlbiaside1os: bool,
    /// TLBIVAAE1OS, \[21\]: TLBI VAAE1OS traps. FEAT_TLBIOS.
    pub tlbivaae1os: bool,
    /// TLBIVALE1OS, \[22\]: TLBI VALE1OS traps. FEAT_TLBIOS.
    pub tlbivale1os: bool,
    /// TLBIVAALE1OS, \[23\]: TLBI VAALE1OS traps. FEAT_TLBIOS.
    pub tlbivaale1os: bool,
    /// TLBIRVAE1OS, \[24\]: TLBI RVAE1OS traps. FEAT_TLBIRANGE.
    pub tlbirvae1os: bool,
    /// TLBIRVAAE1OS, \[25\]: TLBI RVAAE1OS traps. FEAT_TLBIRANGE.
    pub tlbirvaae1os: bool,
    /// TLBIRVALE1OS, \[26\]: TLBI RVALE1OS traps. FEAT_TLBIRANGE.
    pub tlbirvale1os: bool,
    /// TLBIRVAALE1OS, \[27\]: TLBI RVAALE1OS traps. FEAT_TLBIRANGE.
    pub tlbirvaale1os: bool,
    /// TLBIVMALLE1IS, \[28\]: TLBI VMALLE1IS traps.
    pub tlbivmalle1is: bool,
    /// TLBIVAE1IS, \[29\]: TLBI VAE1IS traps.
    pub tlbivae1is: bool,
    /// TLBIASIDE1IS, \[30\]: TLBI ASIDE1IS traps.
    pub tlbiaside1is: bool,
    /// TLBIVAAE1IS, \[31\]: TLBI VAAE1IS traps.
    pub tlbivaae1is: bool,
    /// TLBIVALE1IS, \[32\]: TLBI VALE1IS traps.
    pub tlbivale1is: bool,
    /// TLBIVAALE1IS, \[33\]: TLBI VAALE1IS traps.
    pub tlbivaale1is: bool,
    /// TLBIRVAE1IS, \[34\]: TLBI RVAE1IS traps. FEAT_TLBIRANGE.
    pub tlbirvae1is: bool,
    /// TLBIRVAAE1IS, \[35\]: TLBI RVAAE1IS traps. FEAT_TLBIRANGE.
    pub tlbirvaae1is: bool,
    /// TLBIRVALE1IS, \[36\]: TLBI RVALE1IS traps. FEAT_TLBIRANGE.
    pub tlbirvale1is: bool,
    /// TLBIRVAALE1IS, \[37\]: TLBI RVAALE1IS traps. FEAT_TLBIRANGE.
    pub tlbirvaale1is: bool,
    /// TLBIRVAE1, \[38\]: TLBI RVAE1 traps. FEAT_TLBIRANGE.
    pub tlbirvae1: bool,
    /// TLBIRVAAE1, \[39\]: TLBI RVAAE1 traps. FEAT_TLBIRANGE.
    pub tlbirvaae1: bool,
    /// TLBIRVALE1, \[40\]: TLBI RVALE1 traps. FEAT_TLBIRANGE.
    pub tlbirvale1: bool,
    /// TLBIRVAALE1, \[41\]: TLBI RVAALE1 traps. FEAT_TLBIRANGE.
    pub tlbirvaale1: bool,
    /// TLBIVMALLE1, \[42\]: TLBI VMALLE1 traps.
    pub tlbivmalle1: bool,
    /// TLBIVAE1, \[43\]: TLBI VAE1 traps.
    pub tlbivae1: bool,
    /// TLBIASIDE1, \[44\]: TLBI ASIDE1 traps.
    pub tlbiaside1: bool,
    /// TLBIVAAE1, \[45\]: TLBI VAAE1 traps.
    pub tlbivaae1: bool,
    /// TLBIVALE1, \[46\]: TLBI VALE1 traps.
    pub tlbivale1: bool,
    /// TLBIVAALE1, \[47\]: TLBI VAALE1 traps.
    pub tlbivaale1: bool,
    /// CFPRCTX, \[48\]: CFP RCTX traps. FEAT_SPECRES.
    pub cfprctx: bool,
    /// DVPRCTX, \[49\]: DVP RCTX traps. FEAT_SPECRES.
    pub dvprctx: bool,
    /// CPPRCTX, \[50\]: CPP RCTX traps. FEAT_SPECRES.
    pub cpprctx: bool,
    /// ERET, \[51\]: ERET, ERETAA and ERETAB at EL1 trap.
    pub eret: bool,
    /// SVC_EL0, \[52\]: SVC at EL0 traps.
    pub svc_el0: bool,
    /// SVC_EL1, \[53\]: SVC at EL1 traps.
    pub svc_el1: bool,
    /// DCCVAC, \[54\]: DC CVAC traps.
    pub dccvac: bool,
    /// nBRBINJ, \[55\]: BRB INJ does not trap. FEAT_BRBE.
    pub nbrbinj: bool,
    /// nBRBIALL, \[56\]: BRB IALL does not trap. FEAT_BRBE.
    pub nbrbiall: bool,
    /// nGCSPUSHM_EL1, \[57\]: GCSPUSHM at EL1 does not trap. FEAT_GCS.
    pub ngcspushm_el1: bool,
    /// nGCSSTR_EL1, \[58\]: GCSSTR and GCSSTTR at EL1 do not trap. FEAT_GCS.
    pub ngcsstr_el1: bool,
    /// nGCSEPP, \[59\]: GCSPUSHX, GCSPOPCX and GCSPOPX do not trap. FEAT_GCS.
    pub ngcsepp: bool,
    /// COSPRCTX, \[60\]: COSP RCTX traps. FEAT_SPECRES2.
    pub cosprctx: bool,
    __: bool,
    /// ATS1E1A, \[62\]: AT S1E1A traps. FEAT_ATS1A.
    pub ats1e1a: bool,
    /// PSBCSYNC, \[63\]: PSB CSYNC traps. FEAT_SPEv1p5.
    pub psbcsync: bool,
}
const _: () = assert!(HfgitrEl2::PSBCSYNC_OFFSET == 63);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let calls = HfgitrEl2::from_bits(0x0038_0000_0000_0000);
        assert!(calls.svc_el0() && calls.svc_el1() && calls.eret() && !calls.dccvac() && !calls.cpprctx());
        let lowest = HfgitrEl2::from_bits(0x0800_0000_0000_0801);
        assert!(!lowest.iciallu() && lowest.icialluis() && lowest.dczva() && lowest.ngcsepp());
        let tlb = HfgitrEl2::from_bits(1 << 43 | 1 << 18 | 1 << 63);
        assert!(tlb.tlbivae1() && tlb.tlbivmalle1os() && tlb.psbcsync() && !tlb.tlbivmalle1());
    }
}
