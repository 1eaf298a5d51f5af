//! One rule for each register and instruction that EL1 or EL0 can reach.

use super::Trap;
use crate::el::ExceptionLevel;
use crate::feature::{Feature, Features, is_id_space};
use crate::iss::Direction;
use crate::sysreg::SysRegId;
use crate::sysreg::instructions as ins;
use crate::sysreg::names as reg;

/// Which accesses a register has at one level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Allowed {
    /// None.
    Nothing,
    /// MRS, SYSL.
    Read,
    /// MSR, SYS.
    Write,
    /// Both.
    Both,
}

impl Allowed {
    /// Whether a direction is among them.
    #[must_use]
    pub const fn includes(self, direction: Direction) -> bool {
        match self {
            Self::Nothing => false,
            Self::Read => matches!(direction, Direction::Read),
            Self::Write => matches!(direction, Direction::Write),
            Self::Both => true,
        }
    }
}

/// The control of EL1 that EL0 needs open. Arm ARM, SCTLR_EL1, CPACR_EL1, CNTKCTL_EL1, MDSCR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Gate {
    /// None.
    None,
    /// `SCTLR_EL1.UCT`.
    Uct,
    /// `SCTLR_EL1.UCI`.
    Uci,
    /// `SCTLR_EL1.DZE`.
    Dze,
    /// `SCTLR_EL1.UMA`.
    Uma,
    /// `SCTLR_EL1.EnRCTX`.
    EnRctx,
    /// `SCTLR_EL1.TSCXT`, which closes while 1.
    Tscxt,
    /// `CPACR_EL1.FPEN`, which EL1 itself is subject to.
    Fp,
    /// `CNTKCTL_EL1.EL0PCTEN`.
    PhysicalCounter,
    /// `CNTKCTL_EL1.EL0VCTEN`.
    VirtualCounter,
    /// Either of the two.
    AnyCounter,
    /// `CNTKCTL_EL1.EL0PTEN`.
    PhysicalTimer,
    /// `CNTKCTL_EL1.EL0VTEN`.
    VirtualTimer,
    /// `MDSCR_EL1.TDCC`, which closes while 1.
    Tdcc,
}

/// What is true of a register or system instruction, seen from EL1 and EL0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The accesses at EL1.
    pub el1: Allowed,
    /// The accesses at EL0.
    pub el0: Allowed,
    /// The feature it belongs to; `None` is Armv8.0-A.
    pub needs: Option<Feature>,
    /// What EL0 needs open.
    pub gate: Gate,
    /// The traps to EL2 it is subject to.
    pub traps: Trap,
}

impl Rule {
    const fn new(el1: Allowed, el0: Allowed) -> Self {
        Self { el1, el0, needs: None, gate: Gate::None, traps: Trap::empty() }
    }

    const fn gate(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    const fn traps(self, traps: Trap) -> Self {
        Self { traps, ..self }
    }

    const fn needs(self, feature: Feature) -> Self {
        Self { needs: Some(feature), ..self }
    }

    /// Whether a level has the access.
    #[must_use]
    pub fn permits(&self, direction: Direction, el: ExceptionLevel) -> bool {
        if el == ExceptionLevel::El0 { self.el0.includes(direction) } else { self.el1.includes(direction) }
    }
}

/// Read-write at EL1.
const RW: Rule = Rule::new(Allowed::Both, Allowed::Nothing);
/// Read-only at EL1.
const RO: Rule = Rule::new(Allowed::Read, Allowed::Nothing);
/// Write-only at EL1; also instructions without a result.
const WO: Rule = Rule::new(Allowed::Write, Allowed::Nothing);
/// Read-write at both levels.
const RW0: Rule = Rule::new(Allowed::Both, Allowed::Both);
/// Read-only at both levels.
const RO0: Rule = Rule::new(Allowed::Read, Allowed::Read);
/// Write-only at both levels.
const WO0: Rule = Rule::new(Allowed::Write, Allowed::Write);

/// Two traps of one register.
const fn or(a: Trap, b: Trap) -> Trap {
    a.union(b)
}

/// Returns the rule of a register or system instruction; `None` if EL1 and EL0 have none by this encoding, with the
/// features (and numbers of breakpoints) that are announced. Whether the rule's own feature is there is for the
/// caller.
#[must_use]
pub fn rule(id: SysRegId, features: &Features) -> Option<Rule> {
    match id.op0() {
        0 => pstate_immediate(id),
        1 => instruction(id),
        2 => debug(id, features),
        _ => register(id),
    }
}

/// MSR (immediate): CRn = 4; CRm is the operand. Arm ARM C5.1.3.
fn pstate_immediate(id: SysRegId) -> Option<Rule> {
    if id.crn() != 4 {
        return None;
    }
    Some(match (id.op1(), id.op2()) {
        (0, 3) => WO.needs(Feature::UAO),
        (0, 4) => WO.needs(Feature::PAN),
        (0, 5) => WO,
        (3, 1) => WO0.needs(Feature::SSBS2),
        (3, 2) => WO0.needs(Feature::DIT),
        (3, 4) => WO0.needs(Feature::MTE),
        (3, 6 | 7) => WO0.gate(Gate::Uma),
        _ => return None,
    })
}

/// System instructions: AT, DC, IC, TLBI, prediction restriction. Arm ARM C5.3 to C5.5.
fn instruction(id: SysRegId) -> Option<Rule> {
    Some(match id {
        ins::IC_IALLUIS => WO.traps(or(or(Trap::TPU, Trap::TICAB), Trap::TOCU)),
        ins::IC_IALLU => WO.traps(or(Trap::TPU, Trap::TOCU)),
        ins::IC_IVAU | ins::DC_CVAU => WO0.gate(Gate::Uci).traps(or(Trap::TPU, Trap::TOCU)),
        ins::DC_ISW | ins::DC_CSW | ins::DC_CISW => WO.traps(Trap::TSW),
        ins::DC_IVAC => WO.traps(Trap::TPCP),
        ins::DC_CVAC | ins::DC_CIVAC => WO0.gate(Gate::Uci).traps(Trap::TPCP),
        ins::DC_CVAP => WO0.gate(Gate::Uci).traps(Trap::TPCP).needs(Feature::DPB),
        ins::DC_CVADP => WO0.gate(Gate::Uci).traps(Trap::TPCP).needs(Feature::DPB2),
        ins::DC_ZVA => WO0.gate(Gate::Dze).traps(Trap::TDZ),
        ins::AT_S1E1R | ins::AT_S1E1W | ins::AT_S1E0R | ins::AT_S1E0W => WO.traps(Trap::AT),
        ins::AT_S1E1RP | ins::AT_S1E1WP => WO.traps(Trap::AT).needs(Feature::PAN2),
        ins::CFP_RCTX | ins::DVP_RCTX | ins::CPP_RCTX => WO0.gate(Gate::EnRctx).needs(Feature::SPECRES),
        _ => return tlb_maintenance(id),
    })
}

/// TLBI of the EL1&0 regime: op1 = 0, CRn = 8, or 9 for the nXS forms; CRm says domain and form.
fn tlb_maintenance(id: SysRegId) -> Option<Rule> {
    let nxs = match (id.op1(), id.crn()) {
        (0, 8) => false,
        (0, 9) => true,
        _ => return None,
    };
    let by_range = matches!(id.op2(), 1 | 3 | 5 | 7);
    let by_address = matches!(id.op2(), 0..=3 | 5 | 7);
    let rule = match id.crm() {
        7 if by_address => WO.traps(Trap::TTLB),
        3 if by_address => WO.traps(or(Trap::TTLB, Trap::TTLBIS)),
        1 if by_address => WO.traps(or(Trap::TTLB, Trap::TTLBOS)).needs(Feature::TLBIOS),
        6 if by_range => WO.traps(Trap::TTLB).needs(Feature::TLBIRANGE),
        2 if by_range => WO.traps(or(Trap::TTLB, Trap::TTLBIS)).needs(Feature::TLBIRANGE),
        5 if by_range => WO.traps(or(Trap::TTLB, Trap::TTLBOS)).needs(Feature::TLBIRANGE),
        _ => return None,
    };
    Some(if nxs { rule.needs(Feature::XS) } else { rule })
}

/// Debug registers. Arm ARM D24.3.
fn debug(id: SysRegId, features: &Features) -> Option<Rule> {
    // DBGBVR<n>, DBGBCR<n>, DBGWVR<n>, DBGWCR<n>: n is CRm.
    if id.op1() == 0 && id.crn() == 0 {
        let count = match id.op2() {
            4 | 5 => features.breakpoints(),
            6 | 7 => features.watchpoints(),
            _ => 0,
        };
        if id.crm() < count {
            return Some(RW.traps(Trap::TDA));
        }
    }
    let channel = or(Trap::TDA, Trap::TDCC);
    Some(match id {
        reg::MDSCR_EL1 | reg::OSECCR_EL1 | reg::DBGCLAIMSET_EL1 | reg::DBGCLAIMCLR_EL1 => RW.traps(Trap::TDA),
        reg::DBGAUTHSTATUS_EL1 => RO.traps(Trap::TDA),
        reg::MDCCINT_EL1 | reg::OSDTRRX_EL1 | reg::OSDTRTX_EL1 => RW.traps(channel),
        reg::MDRAR_EL1 => RO.traps(Trap::TDRA),
        reg::OSLAR_EL1 => WO.traps(Trap::TDOSA),
        reg::OSLSR_EL1 => RO.traps(Trap::TDOSA),
        reg::OSDLR_EL1 | reg::DBGPRCR_EL1 => RW.traps(Trap::TDOSA),
        reg::MDCCSR_EL0 => RO0.gate(Gate::Tdcc).traps(channel),
        reg::DBGDTR_EL0 => RW0.gate(Gate::Tdcc).traps(channel),
        // DBGDTRRX when read, DBGDTRTX when written.
        reg::DBGDTRRX_EL0 => RW0.gate(Gate::Tdcc).traps(channel),
        _ => return None,
    })
}

/// System registers, op0 = 3. Arm ARM D24.2.
fn register(id: SysRegId) -> Option<Rule> {
    if is_id_space(id) {
        return Some(RO.traps(Trap::TID3));
    }
    if let Some(rule) = interrupt_controller(id) {
        return Some(rule);
    }
    Some(match id {
        reg::MIDR_EL1 | reg::MPIDR_EL1 => RO,
        reg::REVIDR_EL1 | reg::AIDR_EL1 => RO.traps(Trap::TID1),
        reg::CCSIDR_EL1 | reg::CLIDR_EL1 => RO.traps(or(Trap::TID2, Trap::TID4)),
        reg::CCSIDR2_EL1 => RO.traps(or(Trap::TID2, Trap::TID4)).needs(Feature::CCIDX),
        reg::CSSELR_EL1 => RW.traps(or(Trap::TID2, Trap::TID4)),
        reg::GMID_EL1 => RO.traps(Trap::TID5).needs(Feature::MTE2),
        reg::CTR_EL0 => RO0.gate(Gate::Uct).traps(Trap::TID2),
        reg::DCZID_EL0 => RO0,

        reg::SCTLR_EL1
        | reg::TTBR0_EL1
        | reg::TTBR1_EL1
        | reg::TCR_EL1
        | reg::ESR_EL1
        | reg::FAR_EL1
        | reg::AFSR0_EL1
        | reg::AFSR1_EL1
        | reg::MAIR_EL1
        | reg::AMAIR_EL1
        | reg::CONTEXTIDR_EL1 => RW.traps(Trap::TVM),
        reg::ACTLR_EL1 => RW.traps(Trap::TACR),
        reg::CPACR_EL1 => RW.traps(Trap::TCPAC),
        reg::SPSR_EL1 | reg::ELR_EL1 | reg::SP_EL0 | reg::VBAR_EL1 | reg::PAR_EL1 | reg::TPIDR_EL1 => RW,
        reg::CNTKCTL_EL1 => RW,
        reg::ISR_EL1 => RO,
        reg::TPIDR_EL0 => RW0,
        reg::TPIDRRO_EL0 => Rule::new(Allowed::Both, Allowed::Read),
        reg::SCXTNUM_EL0 => RW0.gate(Gate::Tscxt).traps(Trap::ENSCXT).needs(Feature::CSV2_2),
        reg::SCXTNUM_EL1 => RW.traps(Trap::ENSCXT).needs(Feature::CSV2_2),

        reg::SP_SEL => RW,
        reg::CURRENT_EL => RO,
        reg::NZCV => RW0,
        reg::DAIF => RW0.gate(Gate::Uma),
        reg::FPCR | reg::FPSR => RW0.gate(Gate::Fp),
        reg::PAN => RW.needs(Feature::PAN),
        reg::UAO => RW.needs(Feature::UAO),
        reg::DIT => RW0.needs(Feature::DIT),
        reg::SSBS => RW0.needs(Feature::SSBS2),
        reg::TCO => RW0.needs(Feature::MTE),

        // CHOICE: CNTFRQ_EL0 is written at the highest level only, which is not EL1 even where no EL2 is announced.
        reg::CNTFRQ_EL0 => RO0.gate(Gate::AnyCounter),
        reg::CNTPCT_EL0 => RO0.gate(Gate::PhysicalCounter).traps(Trap::EL1PCTEN),
        reg::CNTVCT_EL0 => RO0.gate(Gate::VirtualCounter).traps(Trap::EL1TVCT),
        reg::CNTPCTSS_EL0 => RO0.gate(Gate::PhysicalCounter).traps(Trap::EL1PCTEN).needs(Feature::ECV),
        reg::CNTVCTSS_EL0 => RO0.gate(Gate::VirtualCounter).traps(Trap::EL1TVCT).needs(Feature::ECV),
        reg::CNTP_TVAL_EL0 | reg::CNTP_CTL_EL0 | reg::CNTP_CVAL_EL0 => {
            RW0.gate(Gate::PhysicalTimer).traps(Trap::EL1PTEN)
        }
        reg::CNTV_TVAL_EL0 | reg::CNTV_CTL_EL0 | reg::CNTV_CVAL_EL0 => {
            RW0.gate(Gate::VirtualTimer).traps(Trap::EL1TVT)
        }

        reg::APIAKEYLO_EL1
        | reg::APIAKEYHI_EL1
        | reg::APIBKEYLO_EL1
        | reg::APIBKEYHI_EL1
        | reg::APDAKEYLO_EL1
        | reg::APDAKEYHI_EL1
        | reg::APDBKEYLO_EL1
        | reg::APDBKEYHI_EL1
        | reg::APGAKEYLO_EL1
        | reg::APGAKEYHI_EL1 => RW.traps(Trap::APK).needs(Feature::PAuth),
        reg::LORSA_EL1 | reg::LOREA_EL1 | reg::LORN_EL1 | reg::LORC_EL1 => {
            RW.traps(Trap::TLOR).needs(Feature::LOR)
        }
        reg::LORID_EL1 => RO.traps(Trap::TLOR).needs(Feature::LOR),
        reg::ERRIDR_EL1 | reg::ERXFR_EL1 => RO.traps(Trap::TERR).needs(Feature::RAS),
        reg::ERRSELR_EL1
        | reg::ERXCTLR_EL1
        | reg::ERXSTATUS_EL1
        | reg::ERXADDR_EL1
        | reg::ERXMISC0_EL1
        | reg::ERXMISC1_EL1 => RW.traps(Trap::TERR).needs(Feature::RAS),
        reg::DISR_EL1 => RW.needs(Feature::RAS),
        reg::RGSR_EL1 | reg::GCR_EL1 | reg::TFSR_EL1 | reg::TFSRE0_EL1 => {
            RW.traps(Trap::ATA).needs(Feature::MTE2)
        }
        _ => return None,
    })
}

/// The CPU interface of the interrupt controller, with five bits of preemption. GIC ch. 12.
fn interrupt_controller(id: SysRegId) -> Option<Rule> {
    let rule = match id {
        reg::ICC_IAR0_EL1 | reg::ICC_HPPIR0_EL1 => RO.traps(Trap::TALL0),
        reg::ICC_EOIR0_EL1 => WO.traps(Trap::TALL0),
        reg::ICC_BPR0_EL1 | reg::ICC_AP0R0_EL1 | reg::ICC_IGRPEN0_EL1 => RW.traps(Trap::TALL0),
        reg::ICC_IAR1_EL1 | reg::ICC_HPPIR1_EL1 => RO.traps(Trap::TALL1),
        reg::ICC_EOIR1_EL1 => WO.traps(Trap::TALL1),
        reg::ICC_BPR1_EL1 | reg::ICC_AP1R0_EL1 | reg::ICC_IGRPEN1_EL1 => RW.traps(Trap::TALL1),
        reg::ICC_PMR_EL1 | reg::ICC_CTLR_EL1 => RW.traps(Trap::TC),
        reg::ICC_RPR_EL1 => RO.traps(Trap::TC),
        reg::ICC_DIR_EL1 => WO.traps(or(Trap::TC, Trap::TDIR)),
        reg::ICC_SGI0R_EL1 | reg::ICC_SGI1R_EL1 | reg::ICC_ASGI1R_EL1 => WO.traps(or(Trap::TC, Trap::SGI)),
        reg::ICC_SRE_EL1 => RW.traps(Trap::SRE),
        _ => return None,
    };
    Some(rule.needs(Feature::GICv3))
}
