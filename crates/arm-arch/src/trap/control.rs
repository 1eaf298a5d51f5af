//! The control registers that decide about traps, and which traps they switch on. Arm ARM, the field of each name.

use super::extension::Extensions;
use super::{Gate, Outcome};
use crate::el::ExceptionLevel;
use crate::iss::{Direction, Other, Syndrome};
use crate::sysreg::{
    AmuserenrEl0, CnthctlEl2, CnthctlEl2Classic, CntkctlEl1, CpacrEl1, CptrEl2, CptrEl2Classic, Gcscre0El1,
    HcrEl2, IccSre, IchHcr, MdcrEl2, MdscrEl1, Mpam2El2, PmuserenrEl0, SctlrEl1,
};
use bitflags::bitflags;

/// The control registers. The default leaves everything off: an EL2 that traps little, and an EL1 that lets EL0 do
/// little. Arm ARM, the register of each name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Controls {
    /// `HCR_EL2`.
    pub hcr: HcrEl2,
    /// `CPTR_EL2`, in the form that HCR_EL2.E2H says.
    pub cptr: u64,
    /// `MDCR_EL2`.
    pub mdcr: MdcrEl2,
    /// `CNTHCTL_EL2`, in the form that HCR_EL2.E2H says.
    pub cnthctl: u64,
    /// `ICH_HCR_EL2`.
    pub ich_hcr: IchHcr,
    /// `ICC_SRE_EL2`: Enable, \[3\], keeps ICC_SRE_EL1 from trapping.
    pub icc_sre_el2: u64,
    /// `SCTLR_EL1`.
    pub sctlr: SctlrEl1,
    /// `CPACR_EL1`.
    pub cpacr: CpacrEl1,
    /// `CNTKCTL_EL1`.
    pub cntkctl: CntkctlEl1,
    /// `MDSCR_EL1`.
    pub mdscr: MdscrEl1,
}

bitflags! {
    /// The traps to EL2 that a register can be subject to, each named after the control bit.
    /// Arm ARM, the field of each name.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Trap: u64 {
        /// `HCR_EL2.TID1`.
        const TID1 = 1;
        /// `HCR_EL2.TID2`.
        const TID2 = 1 << 1;
        /// `HCR_EL2.TID3`.
        const TID3 = 1 << 2;
        /// `HCR_EL2.TID4`.
        const TID4 = 1 << 3;
        /// `HCR_EL2.TID5`.
        const TID5 = 1 << 4;
        /// `HCR_EL2.TACR`.
        const TACR = 1 << 5;
        /// `HCR_EL2.TSW`.
        const TSW = 1 << 6;
        /// `HCR_EL2.TPCP`.
        const TPCP = 1 << 7;
        /// `HCR_EL2.TPU`.
        const TPU = 1 << 8;
        /// `HCR_EL2.TTLB`.
        const TTLB = 1 << 9;
        /// `HCR_EL2.TVM` for writes, `HCR_EL2.TRVM` for reads.
        const TVM = 1 << 10;
        /// `HCR_EL2.TDZ`.
        const TDZ = 1 << 11;
        /// `HCR_EL2.TLOR`.
        const TLOR = 1 << 12;
        /// `HCR_EL2.TERR`.
        const TERR = 1 << 13;
        /// `HCR_EL2.APK`, which traps while 0.
        const APK = 1 << 14;
        /// `HCR_EL2.AT`.
        const AT = 1 << 15;
        /// `HCR_EL2.TICAB`.
        const TICAB = 1 << 16;
        /// `HCR_EL2.TOCU`.
        const TOCU = 1 << 17;
        /// `HCR_EL2.EnSCXT`, which traps while 0.
        const ENSCXT = 1 << 18;
        /// `HCR_EL2.TTLBIS`.
        const TTLBIS = 1 << 19;
        /// `HCR_EL2.TTLBOS`.
        const TTLBOS = 1 << 20;
        /// `HCR_EL2.ATA`, which traps while 0.
        const ATA = 1 << 21;
        /// `HCR_EL2.FMO` or `IMO`: generation of SGIs.
        const SGI = 1 << 22;
        /// `CPTR_EL2.TCPAC`.
        const TCPAC = 1 << 23;
        /// `CNTHCTL_EL2.EL1PCTEN`, which traps while 0.
        const EL1PCTEN = 1 << 24;
        /// `CNTHCTL_EL2.EL1PTEN` (EL1PCEN), which traps while 0.
        const EL1PTEN = 1 << 25;
        /// `CNTHCTL_EL2.EL1TVT`.
        const EL1TVT = 1 << 26;
        /// `CNTHCTL_EL2.EL1TVCT`.
        const EL1TVCT = 1 << 27;
        /// `MDCR_EL2.TDA`.
        const TDA = 1 << 28;
        /// `MDCR_EL2.TDOSA`.
        const TDOSA = 1 << 29;
        /// `MDCR_EL2.TDRA`.
        const TDRA = 1 << 30;
        /// `MDCR_EL2.TDCC`.
        const TDCC = 1 << 31;
        /// `ICH_HCR_EL2.TC`.
        const TC = 1 << 32;
        /// `ICH_HCR_EL2.TALL0`.
        const TALL0 = 1 << 33;
        /// `ICH_HCR_EL2.TALL1`.
        const TALL1 = 1 << 34;
        /// `ICH_HCR_EL2.TDIR`.
        const TDIR = 1 << 35;
        /// `ICC_SRE_EL2.Enable`, which traps while 0.
        const SRE = 1 << 36;
        /// `MDCR_EL2.TPM`.
        const TPM = 1 << 37;
        /// `MDCR_EL2.TPMCR`.
        const TPMCR = 1 << 38;
        /// `MDCR_EL2.HPMN`: event counters that EL2 keeps for itself.
        const HPMN = 1 << 39;
        /// `MDCR_EL2.EnSPM`, which traps while 0.
        const ENSPM = 1 << 40;
        /// `MDCR_EL2.TPMS`.
        const TPMS = 1 << 41;
        /// `MDCR_EL2.E2PB`, which traps while its low bit is 0.
        const E2PB = 1 << 42;
        /// `MDCR_EL2.E2TB`, which traps while its low bit is 0.
        const E2TB = 1 << 43;
        /// `MDCR_EL2.TTRF`.
        const TTRF = 1 << 44;
        /// `MDCR_EL2.EBWE`, which traps while 0.
        const EBWE = 1 << 45;
        /// `MDCR_EL2.EnSTEPOP`, which traps while 0.
        const ENSTEPOP = 1 << 46;
        /// `CPTR_EL2.TTA`.
        const TTA = 1 << 47;
        /// `CPTR_EL2.TAM`.
        const TAM = 1 << 48;
        /// `HCR_EL2.FIEN`, which traps while 0.
        const FIEN = 1 << 49;
        /// `HCRX_EL2.SCTLR2En`, which traps while 0.
        const SCTLR2EN = 1 << 50;
        /// `HCRX_EL2.TCR2En`, which traps while 0.
        const TCR2EN = 1 << 51;
        /// `HCRX_EL2.EnFPM`, which traps while 0.
        const ENFPM = 1 << 52;
        /// `HCRX_EL2.SRMASKEn`, which traps while 0.
        const SRMASKEN = 1 << 53;
        /// `HCRX_EL2.TALLINT`, for writes.
        const TALLINT = 1 << 54;
        /// `MPAM2_EL2.TRAPMPAM0EL1`.
        const TRAPMPAM0 = 1 << 55;
        /// `MPAM2_EL2.TRAPMPAM1EL1`.
        const TRAPMPAM1 = 1 << 56;
        /// `MPAM2_EL2.EnMPAMSM`, which traps while 0.
        const ENMPAMSM = 1 << 57;
        /// `MPAMHCR_EL2.TRAP_MPAMIDR_EL1`, or `MPAM2_EL2.TIDR` where there is that instead.
        const MPAMIDR = 1 << 58;
        /// `HCRX_EL2.D128En`, which traps 128-bit accesses while 0.
        const D128EN = 1 << 59;
    }
}

/// Returns the union of those flags that stand beside what is true. No table of them: it would lie on the stack.
macro_rules! switched_on {
    ($flags:ty, [$(($flag:expr, $on:expr)),* $(,)?]) => {{
        let mut all = <$flags>::empty();
        $(if $on {
            all = all.union($flag);
        })*
        all
    }};
}
pub(super) use switched_on;

/// Returns the traps that the control registers switch on, for one direction. Arm ARM, the field of each name.
///
/// They change only when a control register does: an engine may keep the two sets.
#[must_use]
pub fn active_traps(controls: &Controls, ext: &Extensions, direction: Direction) -> Trap {
    let hcr = controls.hcr;
    let mdcr = controls.mdcr;
    let ich = controls.ich_hcr;
    let virtual_memory = match direction {
        Direction::Write => hcr.tvm(),
        Direction::Read => hcr.trvm(),
    };
    let hcrx = ext.hcrx();
    let mpam2 = Mpam2El2::from_bits(ext.mpam2);
    // TCPAC and TAM, EL1TVT and EL1TVCT are in the same places in both forms.
    let cptr = CptrEl2::from_bits(controls.cptr);
    let cnthctl = CnthctlEl2::from_bits(controls.cnthctl);
    let trace = if hcr.e2h() { cptr.tta() } else { CptrEl2Classic::from_bits(controls.cptr).tta() };
    let (counter, timer) = controls.physical_timer();
    switched_on!(
        Trap,
        [
            (Trap::TID1, hcr.tid1()),
            (Trap::TID2, hcr.tid2()),
            (Trap::TID3, hcr.tid3()),
            (Trap::TID4, hcr.tid4()),
            (Trap::TID5, hcr.tid5()),
            (Trap::TACR, hcr.tacr()),
            (Trap::TSW, hcr.tsw()),
            (Trap::TPCP, hcr.tpcp()),
            (Trap::TPU, hcr.tpu()),
            (Trap::TTLB, hcr.ttlb()),
            (Trap::TVM, virtual_memory),
            (Trap::TDZ, hcr.tdz()),
            (Trap::TLOR, hcr.tlor()),
            (Trap::TERR, hcr.terr()),
            (Trap::APK, !hcr.apk()),
            (Trap::AT, hcr.at()),
            (Trap::TICAB, hcr.ticab()),
            (Trap::TOCU, hcr.tocu()),
            (Trap::ENSCXT, !hcr.enscxt()),
            (Trap::TTLBIS, hcr.ttlbis()),
            (Trap::TTLBOS, hcr.ttlbos()),
            (Trap::ATA, !hcr.ata()),
            (Trap::SGI, hcr.fmo() || hcr.imo()),
            (Trap::TCPAC, cptr.tcpac()),
            (Trap::EL1PCTEN, !counter),
            (Trap::EL1PTEN, !timer),
            (Trap::EL1TVT, cnthctl.el1tvt()),
            (Trap::EL1TVCT, cnthctl.el1tvct()),
            // TDE behaves as TDA, TDOSA and TDRA. Arm ARM, MDCR_EL2.TDE.
            (Trap::TDA, mdcr.tda() || mdcr.tde()),
            (Trap::TDOSA, mdcr.tdosa() || mdcr.tde()),
            (Trap::TDRA, mdcr.tdra() || mdcr.tde()),
            (Trap::TDCC, mdcr.tdcc()),
            (Trap::TC, ich.tc()),
            (Trap::TALL0, ich.tall0()),
            (Trap::TALL1, ich.tall1()),
            (Trap::TDIR, ich.tdir()),
            (Trap::SRE, !IccSre::from_bits(controls.icc_sre_el2).enable()),
            (Trap::TPM, mdcr.tpm()),
            (Trap::TPMCR, mdcr.tpmcr()),
            (Trap::ENSPM, !mdcr.enspm()),
            (Trap::TPMS, mdcr.tpms()),
            (Trap::E2PB, mdcr.e2pb() & 1 == 0),
            (Trap::E2TB, mdcr.e2tb() & 1 == 0),
            (Trap::TTRF, mdcr.ttrf()),
            (Trap::EBWE, !mdcr.ebwe()),
            (Trap::ENSTEPOP, !mdcr.enstepop()),
            (Trap::TTA, trace),
            (Trap::TAM, cptr.tam()),
            (Trap::FIEN, !hcr.fien()),
            (Trap::SCTLR2EN, !hcrx.sctlr2en()),
            (Trap::TCR2EN, !hcrx.tcr2en()),
            (Trap::ENFPM, !hcrx.enfpm()),
            (Trap::SRMASKEN, !hcrx.srmasken()),
            (Trap::TALLINT, hcrx.tallint() && direction == Direction::Write),
            (Trap::TRAPMPAM0, mpam2.trapmpam0el1()),
            (Trap::TRAPMPAM1, mpam2.trapmpam1el1()),
            (Trap::ENMPAMSM, !mpam2.enmpamsm()),
            (Trap::MPAMIDR, ext.traps_mpamidr()),
            (Trap::D128EN, !hcrx.d128en()),
        ]
    )
}

/// The traps of `HCR_EL2` and those that behave as they: off while EL2 hosts its own EL0.
const HOST_EXEMPT: Trap = Trap::TID1
    .union(Trap::TID2)
    .union(Trap::TSW)
    .union(Trap::TPCP)
    .union(Trap::TPU)
    .union(Trap::TID4)
    .union(Trap::TICAB)
    .union(Trap::TOCU)
    .union(Trap::TTLB)
    .union(Trap::TTLBIS)
    .union(Trap::TTLBOS)
    .union(Trap::TVM)
    .union(Trap::TDZ)
    .union(Trap::TLOR)
    .union(Trap::TACR)
    .union(Trap::TCPAC)
    .union(Trap::EL1PCTEN)
    .union(Trap::EL1PTEN)
    .union(Trap::EL1TVT)
    .union(Trap::EL1TVCT)
    .union(Trap::ENSCXT)
    .union(Trap::ENFPM);

impl Controls {
    /// Whether EL2 hosts EL0 itself: HCR_EL2.{E2H, TGE} = {1, 1}. Arm ARM, ELIsInHost.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        self.hcr.e2h() && self.hcr.tge()
    }

    /// CNTHCTL_EL2: whether EL1 passes to the physical counter, and to the physical timer. E2H moves both fields.
    const fn physical_timer(&self) -> (bool, bool) {
        if self.hcr.e2h() {
            let cnthctl = CnthctlEl2::from_bits(self.cnthctl);
            (cnthctl.el1pcten(), cnthctl.el1pten())
        } else {
            let cnthctl = CnthctlEl2Classic::from_bits(self.cnthctl);
            (cnthctl.el1pcten(), cnthctl.el1pcen())
        }
    }

    /// Whether one of a register's traps is on.
    pub(super) fn traps(
        &self,
        ext: &Extensions,
        traps: Trap,
        direction: Direction,
        el: ExceptionLevel,
    ) -> bool {
        if traps.is_empty() {
            return false;
        }
        let exempt = self.is_host() && el == ExceptionLevel::El0;
        let traps = if exempt { traps.difference(HOST_EXEMPT) } else { traps };
        active_traps(self, ext, direction).intersects(traps)
    }

    /// A trap that EL1 configured: EL2 takes it in its place while HCR_EL2.TGE is set, with the same syndrome, but for
    /// one of CPACR_EL1.FPEN, which has EC 0 there. Arm ARM, AArch64.AdvSIMDFPAccessTrap, CPACR_EL1.FPEN, FPCR.
    pub(super) const fn el1_trap(&self, syndrome: Syndrome) -> Outcome {
        match (self.hcr.tge(), syndrome) {
            (true, Syndrome::FpAccess(_)) => Outcome::TrapEl2(Syndrome::Other(Other::Unknown)),
            (true, syndrome) => Outcome::TrapEl2(syndrome),
            (false, syndrome) => Outcome::TrapEl1(syndrome),
        }
    }

    /// Whether EL0 passes. While EL2 hosts EL0, the bits of `SCTLR_EL2`, `CPTR_EL2` and `CNTHCTL_EL2` take the place of
    /// those of `SCTLR_EL1`, `CPACR_EL1` and `CNTKCTL_EL1`.
    pub(super) fn opens(&self, gate: Gate, direction: Direction, ext: &Extensions) -> bool {
        let host = self.is_host();
        let timer = if host { CntkctlEl1::from_bits(self.cnthctl) } else { self.cntkctl };
        let sctlr = if host { ext.sctlr_el2 } else { self.sctlr };
        // CPTR_EL2 of a host has the fields of CPACR_EL1.
        let cpacr = if host { CpacrEl1::from_bits(self.cptr) } else { self.cpacr };
        let pmu = PmuserenrEl0::from_bits(ext.pmuserenr);
        let all_counters = pmu.en() || pmu.uen();
        let read = direction == Direction::Read;
        match gate {
            // The units are asked last, at every level; the other two have no register that EL0 has.
            Gate::None | Gate::Fp | Gate::Sve | Gate::Sme | Gate::Sre | Gate::Trace => true,
            Gate::Uct => sctlr.uct(),
            Gate::Uci => sctlr.uci(),
            Gate::Dze => sctlr.dze(),
            // DAIF of a host's EL0 belongs to the host. Arm ARM, DAIF.
            Gate::Uma => sctlr.uma() && !host,
            Gate::EnRctx => sctlr.enrctx(),
            Gate::Tscxt => !sctlr.tscxt(),
            Gate::EnTp2 => sctlr.entp2(),
            Gate::EnFpm => sctlr.enfpm(),
            Gate::E0Poe => cpacr.e0poe(),
            Gate::PhysicalCounter => timer.el0pcten(),
            Gate::VirtualCounter => timer.el0vcten(),
            Gate::AnyCounter => timer.el0pcten() || timer.el0vcten(),
            Gate::PhysicalTimer => timer.el0pten(),
            Gate::VirtualTimer => timer.el0vten(),
            Gate::Tdcc => !self.mdscr.tdcc(),
            Gate::PmEn | Gate::PmZr => all_counters,
            Gate::PmEr => all_counters || pmu.er(),
            Gate::PmErRead => all_counters || read && pmu.er(),
            Gate::PmCr => all_counters || read && pmu.cr(),
            Gate::PmSw => all_counters || pmu.sw(),
            Gate::PmIr => all_counters || read && pmu.ir(),
            Gate::AmEn => AmuserenrEl0::from_bits(ext.amuserenr).en(),
            Gate::Spm => ext.spm_access == 3 || read && ext.spm_access == 1,
            Gate::Ntr => Gcscre0El1::from_bits(ext.gcscre0).ntr(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Extensions = Extensions::NEUTRAL;

    #[test]
    fn e2h_moves_the_timer_controls() {
        let classic = Controls { cnthctl: 1, ..Controls::default() };
        let traps = active_traps(&classic, &OPEN, Direction::Read);
        assert!(!traps.contains(Trap::EL1PCTEN) && traps.contains(Trap::EL1PTEN));
        let hosted = Controls { cnthctl: 1 << 11, hcr: HcrEl2::new().with_e2h(true), ..Controls::default() };
        let traps = active_traps(&hosted, &OPEN, Direction::Read);
        assert!(traps.contains(Trap::EL1PCTEN) && !traps.contains(Trap::EL1PTEN));
    }

    #[test]
    fn e2h_moves_the_trace_control() {
        for (e2h, cptr, want) in
            [(false, 1 << 20, true), (false, 1 << 28, false), (true, 1 << 20, false), (true, 1 << 28, true)]
        {
            let controls = Controls { hcr: HcrEl2::new().with_e2h(e2h), cptr, ..Controls::default() };
            let traps = active_traps(&controls, &OPEN, Direction::Read);
            assert_eq!(traps.contains(Trap::TTA), want, "E2H {e2h}, CPTR {cptr:#x}");
        }
    }

    #[test]
    fn with_everything_off_only_the_inverted_controls_trap() {
        let inverted = Trap::APK | Trap::ENSCXT | Trap::ATA | Trap::EL1PCTEN | Trap::EL1PTEN | Trap::SRE;
        let inverted = inverted | Trap::FIEN | Trap::ENSPM | Trap::E2PB | Trap::E2TB | Trap::EBWE;
        let inverted = inverted | Trap::ENSTEPOP;
        assert_eq!(active_traps(&Controls::default(), &OPEN, Direction::Write), inverted);
    }
}
