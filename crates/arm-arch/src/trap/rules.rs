//! What a rule is, and the lookup of the rule of a register or system instruction.
//! Arm ARM, "Accessing" of each register.

use super::table::{PAIR_RULES, PAIRS, ROWS, RULES};
use super::{Trap, TrapEl3};
use crate::el::ExceptionLevel;
use crate::feature::{Feature, Features, is_id_space};
use crate::iss::Direction;
use crate::sysreg::SysRegId;

/// Which accesses a register has at one level. Arm ARM, "Accessing" of each register.
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
    /// Whether a direction is among them. Arm ARM, "Accessing" of each register.
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

/// The control that EL0 needs open; of [`Gate::is_unit`] the higher levels too. While EL2 hosts EL0, the register of
/// EL2 takes the place of that of EL1. Arm ARM, the registers named.
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
    /// `SCTLR_EL1.EnTP2`.
    EnTp2,
    /// `SCTLR_EL1.EnFPM`; then [`Gate::Fp`].
    EnFpm,
    /// `CPACR_EL1.E0POE`.
    E0Poe,
    /// `CPACR_EL1.FPEN`.
    Fp,
    /// `CPACR_EL1.ZEN`.
    Sve,
    /// `CPACR_EL1.SMEN`.
    Sme,
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
    /// `PMUSERENR_EL0.EN` (with FEAT_PMUv3p9 or UEN).
    PmEn,
    /// EN or ER.
    PmEr,
    /// EN; ER also opens it for reads.
    PmErRead,
    /// EN; CR also opens it for reads.
    PmCr,
    /// EN or SW.
    PmSw,
    /// EN; IR also opens it for reads, UEN for both.
    PmIr,
    /// EN or UEN.
    PmZr,
    /// `AMUSERENR_EL0.EN`.
    AmEn,
    /// The field of `SPMACCESSR_EL1` of the system PMU in use.
    Spm,
    /// `GCSCRE0_EL1.nTR`.
    Ntr,
    /// `ICC_SRE_EL1.SRE`, which EL1 itself is subject to.
    Sre,
    /// `CPACR_EL1.TTA`, which closes while 1 and which EL1 itself is subject to; EL2 to its own, EL3 to its own.
    Trace,
}

impl Gate {
    /// Whether it belongs to a unit (FP, SVE, SME) that every level may have switched off.
    /// Arm ARM, CPACR_EL1, CPTR_EL2, CPTR_EL3.
    #[must_use]
    pub const fn is_unit(self) -> bool {
        matches!(self, Self::Fp | Self::Sve | Self::Sme | Self::EnFpm)
    }
}

/// The features a register belongs to. `data/trap_rules.tsv`, feature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Needs {
    /// Armv8.0-A.
    Always,
    /// One feature.
    One(Feature),
    /// One of two.
    Either(Feature, Feature),
    /// Two together.
    Both(Feature, Feature),
    /// A feature that no ID register modelled here announces.
    Unannounced,
}

impl Needs {
    /// Whether the features are announced; never for what no ID register announces. `data/trap_rules.tsv`, feature.
    #[must_use]
    pub fn are_met(self, features: &Features) -> bool {
        match self {
            Self::Always => true,
            Self::One(feature) => features.has(feature),
            Self::Either(a, b) => features.has(a) || features.has(b),
            Self::Both(a, b) => features.has(a) && features.has(b),
            Self::Unannounced => false,
        }
    }
}

/// Where a line of `data/trap_rules.tsv` comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// The Arm ARM: the access pseudocode of the register, or of another of its family.
    Manual,
    /// The description of the controlling field; the pseudocode was not seen.
    Sheet,
}

/// What is true of a register or system instruction. Arm ARM, "Accessing" of each register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The accesses at EL0 to EL3, where nothing traps.
    pub levels: [Allowed; 4],
    /// The features it belongs to.
    pub needs: Needs,
    /// What EL0 needs open.
    pub gate: Gate,
    /// The traps to EL2 it is subject to.
    pub traps: Trap,
    /// The traps to EL3 it is subject to.
    pub el3_traps: TrapEl3,
    /// Those of `traps` that the v8.5 model has too.
    pub seconded: Trap,
    /// Whether the v8.5 model has `gate` too.
    pub gate_seconded: bool,
    /// Where the rest comes from.
    pub source: Source,
}

/// Makes a rule, for the table.
#[expect(clippy::too_many_arguments, reason = "one for each column of the table")]
pub(super) const fn rule(
    levels: [Allowed; 4],
    needs: Needs,
    gate: Gate,
    traps: Trap,
    el3_traps: TrapEl3,
    seconded: Trap,
    gate_seconded: bool,
    source: Source,
) -> Rule {
    Rule { levels, needs, gate, traps, el3_traps, seconded, gate_seconded, source }
}

impl Rule {
    /// A register that EL1 and above have, of one feature.
    const fn of(levels: [Allowed; 4], needs: Needs, gate: Gate) -> Self {
        rule(levels, needs, gate, Trap::empty(), TrapEl3::empty(), Trap::empty(), false, Source::Manual)
    }

    /// Whether a level has the access, where nothing traps it. Arm ARM, "Accessing" of each register.
    #[must_use]
    pub fn permits(&self, direction: Direction, el: ExceptionLevel) -> bool {
        let level = self.levels.get(usize::from(el.number()));
        level.is_some_and(|allowed| allowed.includes(direction))
    }
}

/// A row of the table: an encoding, its rule, and its fine-grained bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The encoding.
    pub(super) id: u16,
    rule: u16,
    /// Bit \[5:0\]; traps reads \[6\], writes \[7\]; group plus one \[10:8\]; the v8.5 model has HCR_EL2.NV \[11\]; two
    /// sources have the bit's number \[12\].
    pub(super) fine: u16,
}

/// Makes a row, for the table.
pub(super) const fn row(id: u16, rule: u16, fine: u16) -> Row {
    Row { id, rule, fine }
}

impl Row {
    /// Finds the row of an encoding.
    pub(super) fn of(id: SysRegId) -> Option<&'static Self> {
        let at = ROWS.binary_search_by_key(&id.into_bits(), |row| row.id).ok()?;
        ROWS.get(at)
    }

    /// Returns its rule.
    pub(super) fn rule(&self) -> Option<&'static Rule> {
        RULES.get(usize::from(self.rule))
    }
}

/// What the 128-bit form of a register or instruction has in place of the features, and beside the traps, of the
/// 64-bit form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PairRule {
    needs: Needs,
    pub(super) traps: Trap,
    pub(super) el3_traps: TrapEl3,
    /// Whether the description of the controlling field says the same as the pseudocode.
    pub(super) seconded: bool,
}

/// Makes a rule of a 128-bit form, for the table.
pub(super) const fn pair_rule(needs: Needs, traps: Trap, el3_traps: TrapEl3, seconded: bool) -> PairRule {
    PairRule { needs, traps, el3_traps, seconded }
}

impl PairRule {
    /// Finds what the 128-bit form of an encoding has.
    pub(super) fn of(id: SysRegId) -> Option<&'static Self> {
        let at = PAIRS.binary_search_by_key(&id.into_bits(), |(id, _)| *id).ok()?;
        PAIRS.get(at).and_then(|(_, rule)| PAIR_RULES.get(usize::from(*rule)))
    }
}

/// Returns the rule of the 128-bit form of a register or instruction (MRRS, MSRR, SYSP); `None` if it has none. Whether
/// its features are there is for the caller. Arm ARM, "Accessing" of each register; TLBIP.
#[must_use]
pub fn rule_of_pair(id: SysRegId) -> Option<Rule> {
    let pair = PairRule::of(id)?;
    let rule = Row::of(id).and_then(Row::rule)?;
    Some(Rule {
        needs: pair.needs,
        traps: rule.traps.union(pair.traps),
        el3_traps: rule.el3_traps.union(pair.el3_traps),
        seconded: if pair.seconded { pair.traps } else { Trap::empty() },
        gate_seconded: false,
        ..*rule
    })
}

const NONE: Allowed = Allowed::Nothing;
const READ: Allowed = Allowed::Read;
const WRITE: Allowed = Allowed::Write;

/// What is reserved in the ID space reads as zero and is trapped with the rest. Arm ARM, HCR_EL2.TID3.
const RESERVED_ID: Rule = Rule {
    traps: Trap::TID3,
    el3_traps: TrapEl3::TID3,
    ..Rule::of([NONE, READ, READ, READ], Needs::Always, Gate::None)
};

/// Returns the rule of a register or system instruction; `None` if there is none by this encoding, with the numbers
/// of breakpoints and watchpoints that are announced. Whether the rule's own feature is there is for the caller.
/// Arm ARM, "Accessing" of each register.
#[must_use]
pub fn rule_of(id: SysRegId, features: &Features) -> Option<Rule> {
    if id.op0() == 0 {
        return pstate_immediate(id);
    }
    if is_beyond_count(id, features) {
        return None;
    }
    match Row::of(id).and_then(Row::rule) {
        Some(rule) => Some(*rule),
        None if is_id_space(id) => Some(RESERVED_ID),
        None => None,
    }
}

/// Whether a breakpoint or watchpoint register is one more than there are. DBGBVR<n>, DBGBCR<n>, DBGWVR<n>,
/// DBGWCR<n>: n is CRm.
fn is_beyond_count(id: SysRegId, features: &Features) -> bool {
    if (id.op0(), id.op1(), id.crn()) != (2, 0, 0) {
        return false;
    }
    match id.op2() {
        4 | 5 => id.crm() >= features.breakpoints(),
        6 | 7 => id.crm() >= features.watchpoints(),
        _ => false,
    }
}

/// MSR (immediate): CRn = 4; CRm is the operand. Arm ARM, MSR (immediate).
fn pstate_immediate(id: SysRegId) -> Option<Rule> {
    if id.crn() != 4 {
        return None;
    }
    let el1 = |needs| Rule::of([NONE, WRITE, WRITE, WRITE], needs, Gate::None);
    let el0 = |needs, gate| Rule::of([WRITE; 4], needs, gate);
    Some(match (id.op1(), id.op2(), id.crm()) {
        (0, 3, _) => el1(Needs::One(Feature::UAO)),
        (0, 4, _) => el1(Needs::One(Feature::PAN)),
        (0, 5, _) => el1(Needs::Always),
        // HCRX_EL2.TALLINT traps only what sets the bit. Arm ARM, HCRX_EL2.TALLINT.
        (1, 0, 0) => el1(Needs::One(Feature::NMI)),
        (1, 0, 1) => Rule { traps: Trap::TALLINT, ..el1(Needs::One(Feature::NMI)) },
        (1, 0, 2 | 3) => el1(Needs::One(Feature::EBEP)),
        (3, 1, _) => el0(Needs::One(Feature::SSBS2), Gate::None),
        (3, 2, _) => el0(Needs::One(Feature::DIT), Gate::None),
        (3, 3, 2..=7) => el0(Needs::One(Feature::SME), Gate::Sme),
        (3, 4, _) => el0(Needs::One(Feature::MTE), Gate::None),
        (3, 6 | 7, _) => el0(Needs::Always, Gate::Uma),
        _ => return None,
    })
}
