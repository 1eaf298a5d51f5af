//! The control registers of what came after Armv8.0-A, and those of EL3. Arm ARM, the field of each name.

use super::control::switched_on;
use super::{Controls, FineGrained};
use crate::el::ExceptionLevel;
use crate::feature::{Feature, Features};
use crate::sysreg::{
    CptrEl3, HcrxEl2, IccSre, MdcrEl3, Mpam2El2, Mpam3El3, MpamhcrEl2, MpamidrEl1, Pmscr, ScrEl3, Sctlr2,
    SctlrEl1, Trfcr,
};
use bitflags::bitflags;

/// The control registers that decide about later extensions, beside [`Controls`]: those of EL1 and EL2, the
/// fine-grained traps, and EL3 where there is one. [`Extensions::NEUTRAL`] traps nothing.
/// Arm ARM, the register of each name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extensions {
    /// `HCRX_EL2`.
    pub hcrx: HcrxEl2,
    /// The fine-grained traps.
    pub fine: FineGrained,
    /// `MPAM2_EL2`.
    pub mpam2: u64,
    /// `MPAMHCR_EL2`.
    pub mpamhcr: u64,
    /// `MPAMIDR_EL1`, which says whether there is MPAMHCR_EL2.TRAP_MPAMIDR_EL1 or MPAM2_EL2.TIDR.
    pub mpamidr: u64,
    /// `PMUSERENR_EL0`.
    pub pmuserenr: u64,
    /// `AMUSERENR_EL0`.
    pub amuserenr: u64,
    /// `GCSCRE0_EL1`.
    pub gcscre0: u64,
    /// The field of `SPMACCESSR_EL1` that belongs to the system PMU in use: 0 nothing, 1 reads, 3 everything.
    pub spm_access: u8,
    /// `ICC_SRE_EL1`.
    pub icc_sre_el1: u64,
    /// `SCTLR_EL2`, which has the fields of SCTLR_EL1 for EL0 while EL2 hosts it.
    pub sctlr_el2: SctlrEl1,
    /// `SCTLR2_EL1`; 0 counts where FEAT_SCTLR2 or what enables it is absent.
    pub sctlr2_el1: Sctlr2,
    /// `SCTLR2_EL2`, for the EL0 that EL2 hosts.
    pub sctlr2_el2: Sctlr2,
    /// `PMSCR_EL1`: EE says which register PMBSR_EL1 names.
    pub pmscr_el1: Pmscr,
    /// `PMSCR_EL2`.
    pub pmscr_el2: Pmscr,
    /// `TRFCR_EL1`: EE says which register TRBSR_EL1 names.
    pub trfcr_el1: Trfcr,
    /// `TRFCR_EL2`.
    pub trfcr_el2: Trfcr,
    /// Event counters that are implemented, PMCR_EL0.N as the highest level reads it.
    pub counters: u8,
    /// Bits of preemption that the interrupt controller has: 5 to 7 (ICH_VTR_EL2.PREbits + 1).
    pub preemption_bits: u8,
    /// EL3.
    pub el3: Option<El3>,
}

/// The control registers of EL3, of a PE in Non-secure state. Arm ARM, SCR_EL3 and the registers beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct El3 {
    /// `SCR_EL3`.
    pub scr: u64,
    /// `MDCR_EL3`.
    pub mdcr: u64,
    /// `CPTR_EL3`.
    pub cptr: u64,
    /// `MPAM3_EL3`.
    pub mpam3: u64,
    /// `ICC_SRE_EL3`.
    pub icc_sre: u64,
}

/// Whose management events of the profiling and trace buffers may be exceptions: what PMBSR_EL1 and TRBSR_EL1 name
/// depends on it. FEAT_SPE_EXC, FEAT_TRBE_EXC.
pub(super) struct BufferExceptions {
    /// The effective PMSCR_EL2.EE is not 0.
    pub(super) spe: bool,
    /// Nor is PMSCR_EL1.EE.
    pub(super) spe_of_el1: bool,
    /// The effective TRFCR_EL2.EE is not 0.
    pub(super) trbe: bool,
    /// Nor is TRFCR_EL1.EE.
    pub(super) trbe_of_el1: bool,
}

bitflags! {
    /// The traps to EL3 that a register can be subject to, each named after the control bit.
    /// Arm ARM, the field of each name.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct TrapEl3: u64 {
        /// `SCR_EL3.TLOR`.
        const TLOR = 1;
        /// `SCR_EL3.TERR`.
        const TERR = 1 << 1;
        /// `SCR_EL3.APK`, which traps while 0.
        const APK = 1 << 2;
        /// `SCR_EL3.FIEN`, which traps while 0.
        const FIEN = 1 << 3;
        /// `SCR_EL3.TID3`.
        const TID3 = 1 << 4;
        /// `SCR_EL3.TID5`.
        const TID5 = 1 << 5;
        /// `SCR_EL3.EnSCXT`, which traps while 0.
        const ENSCXT = 1 << 6;
        /// `SCR_EL3.ATA`, which traps while 0.
        const ATA = 1 << 7;
        /// `SCR_EL3.FGTEn`, which traps while 0.
        const FGTEN = 1 << 8;
        /// `SCR_EL3.ECVEn`, which traps while 0.
        const ECVEN = 1 << 9;
        /// `SCR_EL3.ADEn`, which traps while 0.
        const ADEN = 1 << 10;
        /// `SCR_EL3.HXEn`, which traps while 0.
        const HXEN = 1 << 11;
        /// `SCR_EL3.GCSEn`, which traps while 0.
        const GCSEN = 1 << 12;
        /// `SCR_EL3.TRNDR`.
        const TRNDR = 1 << 13;
        /// `SCR_EL3.EnTP2`, which traps while 0.
        const ENTP2 = 1 << 14;
        /// `SCR_EL3.RCWMASKEn`, which traps while 0.
        const RCWMASKEN = 1 << 15;
        /// `SCR_EL3.TCR2En`, which traps while 0.
        const TCR2EN = 1 << 16;
        /// `SCR_EL3.SCTLR2En`, which traps while 0.
        const SCTLR2EN = 1 << 17;
        /// `SCR_EL3.PIEn`, which traps while 0.
        const PIEN = 1 << 18;
        /// `SCR_EL3.AIEn`, which traps while 0.
        const AIEN = 1 << 19;
        /// `SCR_EL3.MECEn`, which traps while 0.
        const MECEN = 1 << 20;
        /// `SCR_EL3.EnFPM`, which traps while 0.
        const ENFPM = 1 << 21;
        /// `SCR_EL3.PFAREn`, which traps while 0.
        const PFAREN = 1 << 22;
        /// `SCR_EL3.SRMASKEn`, which traps while 0.
        const SRMASKEN = 1 << 23;
        /// `SCR_EL3.FGTEn2`, which traps while 0.
        const FGTEN2 = 1 << 24;
        /// `SCR_EL3.HDBSSEn`, which traps while 0.
        const HDBSSEN = 1 << 25;
        /// `SCR_EL3.HACDBSEn`, which traps while 0.
        const HACDBSEN = 1 << 26;
        /// `SCR_EL3.FIQ`, where group 0 is not virtual.
        const GROUP0 = 1 << 27;
        /// `SCR_EL3.IRQ`, where group 1 is not virtual.
        const GROUP1 = 1 << 28;
        /// `SCR_EL3.{FIQ, IRQ}` = {1, 1}, where neither group is virtual.
        const BOTH = 1 << 29;
        /// `MDCR_EL3.TDA`.
        const TDA = 1 << 30;
        /// `MDCR_EL3.TDCC`.
        const TDCC = 1 << 31;
        /// `MDCR_EL3.TDOSA`.
        const TDOSA = 1 << 32;
        /// `MDCR_EL3.EBWE`, which traps while 0.
        const EBWE = 1 << 33;
        /// `MDCR_EL3.EnSTEPOP`, which traps while 0.
        const ENSTEPOP = 1 << 34;
        /// `MDCR_EL3.TPM`.
        const TPM = 1 << 35;
        /// `MDCR_EL3.EnPM2`, which traps while 0.
        const ENPM2 = 1 << 36;
        /// `MDCR_EL3.EnPMSS`, which traps while 0.
        const ENPMSS = 1 << 37;
        /// `MDCR_EL3.NSPB`, which traps unless it is 3.
        const NSPB = 1 << 38;
        /// `MDCR_EL3.EnPMSN`, which traps while 0.
        const ENPMSN = 1 << 39;
        /// `MDCR_EL3.EnPMS3`, which traps while 0.
        const ENPMS3 = 1 << 40;
        /// `MDCR_EL3.EnPMS4`, which traps while 0.
        const ENPMS4 = 1 << 41;
        /// `MDCR_EL3.NSTB`, which traps unless it is 3.
        const NSTB = 1 << 42;
        /// `MDCR_EL3.EnTB2`, which traps while 0.
        const ENTB2 = 1 << 43;
        /// `MDCR_EL3.TTRF`.
        const TTRF = 1 << 44;
        /// `MDCR_EL3.EnITE`, which traps while 0.
        const ENITE = 1 << 45;
        /// `MDCR_EL3.SBRBE`, which traps while its low bit is 0.
        const SBRBE = 1 << 46;
        /// `CPTR_EL3.TCPAC`.
        const TCPAC = 1 << 47;
        /// `CPTR_EL3.TAM`.
        const TAM = 1 << 48;
        /// `CPTR_EL3.TTA`.
        const TTA = 1 << 49;
        /// `CPTR_EL3.ESM`, which traps while 0, with EC 0x18.
        const ESM = 1 << 50;
        /// `MPAM3_EL3.TRAPLOWER`, which is asked before EL2.
        const TRAPLOWER = 1 << 51;
        /// `ICC_SRE_EL3.Enable`, which traps while 0.
        const SRE = 1 << 52;
        /// `SCR_EL3.D128En`, which traps 128-bit accesses while 0.
        const D128EN = 1 << 53;
    }
}

impl El3 {
    /// Nothing traps: 0 where 1 traps, 1 in the fields that enable, everything owned by the Non-secure state.
    /// Arm ARM, SCR_EL3 and the registers beside it.
    pub const OPEN: Self = Self {
        // NS, HCE, RW, APK, API, FIEN, EnSCXT, ATA, FGTEn, ECVEn, ADEn, HXEn, GCSEn, EnAS0, EnTP2, RCWMASKEn, TCR2En,
        // SCTLR2En, PIEn, AIEn, D128En, MECEn, EnFPM, PFAREn, SRMASKEn, EnIDCP128, FGTEn2, HDBSSEn, HACDBSEn.
        scr: 0x38e6_fef0_1e23_0501,
        // NSPB, NSTB, EnPM2, SBRBE, EnPMSN, EnTB2, EnPMS3, EBWE, EnPMSS, EnITE, EnSTEPOP, EnPMS4.
        mdcr: 0x0084_9c93_0300_3080,
        // EZ, ESM.
        cptr: 0x1100,
        mpam3: 0,
        icc_sre: 0xf,
    };

    /// SCR_EL3 by its fields.
    pub(super) const fn scr(&self) -> ScrEl3 {
        ScrEl3::from_bits(self.scr)
    }

    /// CPTR_EL3 by its fields.
    pub(super) const fn cptr(&self) -> CptrEl3 {
        CptrEl3::from_bits(self.cptr)
    }

    /// Returns the traps that the control registers switch on, for accesses from a level.
    /// Arm ARM, the field of each name.
    #[must_use]
    pub fn active_traps(&self, controls: &Controls, el: ExceptionLevel) -> TrapEl3 {
        let scr = self.scr();
        let mdcr = MdcrEl3::from_bits(self.mdcr);
        let cptr = self.cptr();
        // A register of the virtual CPU interface is EL2's. Arm ARM, ICC_PMR_EL1.
        let guest = el <= ExceptionLevel::El1;
        let (fmo, imo) = (guest && controls.hcr.fmo(), guest && controls.hcr.imo());
        switched_on!(
            TrapEl3,
            [
                (TrapEl3::TLOR, scr.tlor()),
                (TrapEl3::TERR, scr.terr()),
                (TrapEl3::APK, !scr.apk()),
                (TrapEl3::FIEN, !scr.fien()),
                (TrapEl3::TID3, scr.tid3()),
                (TrapEl3::TID5, scr.tid5()),
                (TrapEl3::ENSCXT, !scr.enscxt()),
                (TrapEl3::ATA, !scr.ata()),
                (TrapEl3::FGTEN, !scr.fgten()),
                (TrapEl3::ECVEN, !scr.ecven()),
                (TrapEl3::ADEN, !scr.aden()),
                (TrapEl3::HXEN, !scr.hxen()),
                (TrapEl3::GCSEN, !scr.gcsen()),
                (TrapEl3::TRNDR, scr.trndr()),
                (TrapEl3::ENTP2, !scr.entp2()),
                (TrapEl3::RCWMASKEN, !scr.rcwmasken()),
                (TrapEl3::TCR2EN, !scr.tcr2en()),
                (TrapEl3::SCTLR2EN, !scr.sctlr2en()),
                (TrapEl3::PIEN, !scr.pien()),
                (TrapEl3::AIEN, !scr.aien()),
                (TrapEl3::MECEN, !scr.mecen()),
                (TrapEl3::ENFPM, !scr.enfpm()),
                (TrapEl3::PFAREN, !scr.pfaren()),
                (TrapEl3::SRMASKEN, !scr.srmasken()),
                (TrapEl3::FGTEN2, !scr.fgten2()),
                (TrapEl3::HDBSSEN, !scr.hdbssen()),
                (TrapEl3::HACDBSEN, !scr.hacdbsen()),
                (TrapEl3::GROUP0, scr.fiq() && !fmo),
                (TrapEl3::GROUP1, scr.irq() && !imo),
                (TrapEl3::BOTH, scr.irq() && scr.fiq() && !fmo && !imo),
                (TrapEl3::TDA, mdcr.tda()),
                (TrapEl3::TDCC, mdcr.tdcc()),
                (TrapEl3::TDOSA, mdcr.tdosa()),
                (TrapEl3::EBWE, !mdcr.ebwe()),
                (TrapEl3::ENSTEPOP, !mdcr.enstepop()),
                (TrapEl3::TPM, mdcr.tpm()),
                (TrapEl3::ENPM2, !mdcr.enpm2()),
                (TrapEl3::ENPMSS, !mdcr.enpmss()),
                (TrapEl3::NSPB, mdcr.nspb() != 3),
                (TrapEl3::ENPMSN, !mdcr.enpmsn()),
                (TrapEl3::ENPMS3, !mdcr.enpms3()),
                (TrapEl3::ENPMS4, !mdcr.enpms4()),
                (TrapEl3::NSTB, mdcr.nstb() != 3),
                (TrapEl3::ENTB2, !mdcr.entb2()),
                (TrapEl3::TTRF, mdcr.ttrf()),
                (TrapEl3::ENITE, !mdcr.enite()),
                (TrapEl3::SBRBE, mdcr.sbrbe() & 1 == 0),
                (TrapEl3::TCPAC, cptr.tcpac()),
                (TrapEl3::TAM, cptr.tam()),
                (TrapEl3::TTA, cptr.tta()),
                (TrapEl3::ESM, !cptr.esm()),
                (TrapEl3::TRAPLOWER, Mpam3El3::from_bits(self.mpam3).traplower()),
                (TrapEl3::SRE, !IccSre::from_bits(self.icc_sre).enable()),
                (TrapEl3::D128EN, !scr.d128en()),
            ]
        )
    }
}

impl Extensions {
    /// Nothing traps and everything is implemented: EL1 opens everything to EL0, EL2 everything to EL1, 31 event
    /// counters, five bits of preemption, no EL3. Arm ARM, the field of each name.
    pub const NEUTRAL: Self = Self {
        // EnAS0, EnALS, EnASR, MSCEn, TCR2En, SCTLR2En, D128En, EnIDCP128, GCSEn, EnFPM, PACMEn, SRMASKEn.
        hcrx: HcrxEl2::from_bits(0x05e2_c807),
        fine: FineGrained::OPEN,
        mpam2: 1 << 50,
        mpamhcr: 0,
        mpamidr: 0,
        pmuserenr: 1,
        amuserenr: 1,
        gcscre0: 1 << 10,
        spm_access: 3,
        icc_sre_el1: 7,
        // nTWE, nTWI, UCI, UCT, DZE, UMA, EnRCTX, EnTP2, EnFPM, EnALS, EnAS0, EnASR.
        sctlr_el2: SctlrEl1::from_bits(0x11c0_0004_0405_c600),
        sctlr2_el1: Sctlr2::new().with_enidcp128(true),
        sctlr2_el2: Sctlr2::new().with_enidcp128(true),
        pmscr_el1: Pmscr::new(),
        pmscr_el2: Pmscr::new(),
        trfcr_el1: Trfcr::new(),
        trfcr_el2: Trfcr::new(),
        counters: 31,
        preemption_bits: 5,
        el3: None,
    };

    /// Returns HCRX_EL2 as it counts: 0 unless SCR_EL3.HXEn is set. Arm ARM, IsHCRXEL2Enabled.
    #[must_use]
    pub const fn hcrx(&self) -> HcrxEl2 {
        match &self.el3 {
            Some(el3) if !el3.scr().hxen() => HcrxEl2::new(),
            Some(_) | None => self.hcrx,
        }
    }

    /// Returns the fine-grained traps as they count. Without SCR_EL3.FGTEn the registers of FEAT_FGT trap nothing;
    /// without FGTEn2 those of FEAT_FGT2 count as 0, which traps what their fields beginning with "n" are about.
    /// Arm ARM, the pseudocode of TCR2_EL1 and of TRCITECR_EL1.
    #[must_use]
    pub fn fine(&self, features: &Features) -> FineGrained {
        let (first, second) = self.el3.map_or((true, true), |el3| (el3.scr().fgten(), el3.scr().fgten2()));
        let first = if features.has(Feature::FGT) && first {
            self.fine
        } else {
            self.fine.with_first_of(&FineGrained::OPEN)
        };
        match (features.has(Feature::FGT2), second) {
            (false, _) => first.with_second_of(&FineGrained::OPEN),
            (true, false) => first.with_second_of(&FineGrained::ZERO),
            (true, true) => first,
        }
    }

    /// Whether EL0 may make 128-bit accesses to IMPLEMENTATION DEFINED registers, by the level that it belongs to. Arm
    /// ARM, S3_\<op1\>_\<Cn\>_\<Cm\>_\<op2\>; IsSCTLR2EL1Enabled, IsSCTLR2EL2Enabled.
    pub(super) fn opens_implementation_defined(&self, features: &Features, host: bool) -> bool {
        let by_el3 = self.el3.is_none_or(|el3| el3.scr().sctlr2en());
        let by_el2 = host || self.hcrx().sctlr2en();
        let sctlr2 = if host { self.sctlr2_el2 } else { self.sctlr2_el1 };
        features.has(Feature::SCTLR2) && by_el3 && by_el2 && sctlr2.enidcp128()
    }

    /// PMSCR_EL2.EE and TRFCR_EL2.EE as they count: 0 without the feature or with MDCR_EL3.PMSEE or TRBEE = 0; the PE
    /// is in Non-secure state and has an EL2. Arm ARM, EffectivePMSCR_EL2_EE, EffectiveTRFCR_EL2_EE.
    pub(super) fn buffer_exceptions(&self, features: &Features) -> BufferExceptions {
        let mdcr = self.el3.map(|el3| MdcrEl3::from_bits(el3.mdcr));
        let spe = features.has(Feature::SPE_EXC) && mdcr.is_none_or(|mdcr| mdcr.pmsee() != 0);
        let trbe = features.has(Feature::TRBE_EXC) && mdcr.is_none_or(|mdcr| mdcr.trbee() != 0);
        let el2_spe = spe && self.pmscr_el2.ee() != 0;
        let el2_trbe = trbe && self.trfcr_el2.ee() != 0;
        BufferExceptions {
            spe: el2_spe,
            spe_of_el1: el2_spe && self.pmscr_el1.ee() != 0,
            trbe: el2_trbe,
            trbe_of_el1: el2_trbe && self.trfcr_el1.ee() != 0,
        }
    }

    /// Whether MPAMIDR_EL1 traps: by MPAMHCR_EL2 if that is there, else by MPAM2_EL2.TIDR.
    pub(super) const fn traps_mpamidr(&self) -> bool {
        let there = MpamidrEl1::from_bits(self.mpamidr);
        there.has_hcr() && MpamhcrEl2::from_bits(self.mpamhcr).trap_mpamidr_el1()
            || there.has_tidr() && Mpam2El2::from_bits(self.mpam2).tidr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_traps_nothing() {
        let controls = Controls::default();
        for el in [ExceptionLevel::El0, ExceptionLevel::El1, ExceptionLevel::El2] {
            assert_eq!(El3::OPEN.active_traps(&controls, el), TrapEl3::empty());
        }
    }

    #[test]
    fn with_everything_off_the_enables_trap() {
        let zero = El3 { scr: 0, mdcr: 0, cptr: 0, mpam3: 0, icc_sre: 0 };
        let traps = zero.active_traps(&Controls::default(), ExceptionLevel::El1);
        let plain = TrapEl3::TLOR | TrapEl3::TERR | TrapEl3::TID3 | TrapEl3::TID5 | TrapEl3::TRNDR;
        let plain = plain | TrapEl3::GROUP0 | TrapEl3::GROUP1 | TrapEl3::BOTH | TrapEl3::TDA | TrapEl3::TDCC;
        let plain = plain | TrapEl3::TDOSA | TrapEl3::TPM | TrapEl3::TTRF | TrapEl3::TCPAC | TrapEl3::TAM;
        let plain = plain | TrapEl3::TTA | TrapEl3::TRAPLOWER;
        assert_eq!(traps, TrapEl3::all().difference(plain));
    }

    #[test]
    fn el3_switches_the_registers_of_el2_off() {
        let features = Features::NONE.with(Feature::FGT).with(Feature::FGT2);
        let mut ext = Extensions { el3: Some(El3::OPEN), ..Extensions::NEUTRAL };
        ext.fine.hfgrtr = 1;
        ext.fine.hfgrtr2 = 1;
        assert_eq!((ext.hcrx(), ext.fine(&features)), (ext.hcrx, ext.fine));
        ext.el3 = Some(El3 { scr: 0, ..El3::OPEN });
        assert_eq!(ext.hcrx().into_bits(), 0);
        let fine = ext.fine(&features);
        assert_eq!((fine.hfgrtr, fine.hfgrtr2), (FineGrained::OPEN.hfgrtr, 0));
        assert_eq!(ext.fine(&Features::NONE), FineGrained::OPEN, "without the features");
    }
}
