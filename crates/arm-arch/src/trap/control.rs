//! The control registers that decide about traps, and which traps they switch on.

use super::{Decision, Gate};
use crate::bits;
use crate::el::ExceptionLevel;
use crate::iss::{Direction, Syndrome};
use crate::sysreg::{CntkctlEl1, CpacrEl1, CptrEl2, FpEnable, HcrEl2, IchHcr, MdcrEl2, MdscrEl1, SctlrEl1};
use bitflags::bitflags;

/// The control registers. The default leaves everything off: an EL2 that traps little, and an EL1 that lets EL0 do
/// little.
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
    }
}

/// Returns the traps that the control registers switch on, for one direction.
///
/// They change only when a control register does: an engine may keep the two sets.
#[must_use]
pub fn active_traps(controls: &Controls, direction: Direction) -> Trap {
    let hcr = controls.hcr;
    let mdcr = controls.mdcr;
    let ich = controls.ich_hcr;
    let virtual_memory = match direction {
        Direction::Write => hcr.tvm(),
        Direction::Read => hcr.trvm(),
    };
    // E2H moves EL1PCTEN and EL1PTEN from bits 0 and 1 to 10 and 11.
    let timer = if hcr.e2h() { controls.cnthctl >> 10 } else { controls.cnthctl };
    let table = [
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
        (Trap::TCPAC, CptrEl2::from_bits(controls.cptr).tcpac()),
        (Trap::EL1PCTEN, timer & 1 == 0),
        (Trap::EL1PTEN, timer & 2 == 0),
        (Trap::EL1TVT, bits::bit(controls.cnthctl, 13)),
        (Trap::EL1TVCT, bits::bit(controls.cnthctl, 14)),
        // TDE behaves as TDA, TDOSA and TDRA. Arm ARM, MDCR_EL2.TDE.
        (Trap::TDA, mdcr.tda() || mdcr.tde()),
        (Trap::TDOSA, mdcr.tdosa() || mdcr.tde()),
        (Trap::TDRA, mdcr.tdra() || mdcr.tde()),
        (Trap::TDCC, mdcr.tdcc()),
        (Trap::TC, ich.tc()),
        (Trap::TALL0, ich.tall0()),
        (Trap::TALL1, ich.tall1()),
        (Trap::TDIR, ich.tdir()),
        (Trap::SRE, !bits::bit(controls.icc_sre_el2, 3)),
    ];
    table.into_iter().filter(|(_, on)| *on).map(|(trap, _)| trap).fold(Trap::empty(), Trap::union)
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
    .union(Trap::EL1PTEN);

impl Controls {
    /// Whether EL2 hosts EL0 itself: HCR_EL2.{E2H, TGE} = {1, 1}.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        self.hcr.e2h() && self.hcr.tge()
    }

    /// Whether one of a register's traps is on.
    pub(super) fn traps(&self, traps: Trap, direction: Direction, el: ExceptionLevel) -> bool {
        if traps.is_empty() {
            return false;
        }
        let exempt = self.is_host() && el == ExceptionLevel::El0;
        let traps = if exempt { traps.difference(HOST_EXEMPT) } else { traps };
        active_traps(self, direction).intersects(traps)
    }

    /// A trap that EL1 configured: EL2 takes it in its place while HCR_EL2.TGE is set.
    pub(super) const fn el1_trap(&self, syndrome: Syndrome) -> Decision {
        if self.hcr.tge() { Decision::TrapEl2(syndrome) } else { Decision::TrapEl1(syndrome) }
    }

    /// Whether EL0 passes. While EL2 hosts EL0, the bits of `SCTLR_EL1`, `CPACR_EL1` and `CNTKCTL_EL1` are those
    /// that the access uses, `CNTHCTL_EL2` in place of the last (CHOICE: SCTLR_EL2 is not modelled).
    pub(super) fn opens(&self, gate: Gate) -> bool {
        let timer = if self.is_host() { CntkctlEl1::from_bits(self.cnthctl) } else { self.cntkctl };
        match gate {
            Gate::None => true,
            Gate::Uct => self.sctlr.uct(),
            Gate::Uci => self.sctlr.uci(),
            Gate::Dze => self.sctlr.dze(),
            // DAIF of a host's EL0 belongs to the host. Arm ARM, DAIF.
            Gate::Uma => self.sctlr.uma() && !self.is_host(),
            Gate::EnRctx => self.sctlr.enrctx(),
            Gate::Tscxt => !self.sctlr.tscxt(),
            Gate::Fp => self.is_host() || self.cpacr.fpen() == FpEnable::All,
            Gate::PhysicalCounter => timer.el0pcten(),
            Gate::VirtualCounter => timer.el0vcten(),
            Gate::AnyCounter => timer.el0pcten() || timer.el0vcten(),
            Gate::PhysicalTimer => timer.el0pten(),
            Gate::VirtualTimer => timer.el0vten(),
            Gate::Tdcc => !self.mdscr.tdcc(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e2h_moves_the_timer_controls() {
        let classic = Controls { cnthctl: 1, ..Controls::default() };
        let traps = active_traps(&classic, Direction::Read);
        assert!(!traps.contains(Trap::EL1PCTEN) && traps.contains(Trap::EL1PTEN));
        let hosted = Controls { cnthctl: 1 << 11, hcr: HcrEl2::new().with_e2h(true), ..Controls::default() };
        let traps = active_traps(&hosted, Direction::Read);
        assert!(traps.contains(Trap::EL1PCTEN) && !traps.contains(Trap::EL1PTEN));
    }

    #[test]
    fn with_everything_off_only_the_inverted_controls_trap() {
        let inverted = Trap::APK | Trap::ENSCXT | Trap::ATA | Trap::EL1PCTEN | Trap::EL1PTEN | Trap::SRE;
        assert_eq!(active_traps(&Controls::default(), Direction::Write), inverted);
    }
}
