//! The table as rows for people and for counting: what is subject to what, and who says so. Arm ARM, "Accessing" of each
//! register, and the other sources of [`Sources`].

use super::fine::FineBit;
use super::redirect::{Nested, nested};
use super::rules::{Gate, PairRule, Row, Rule, Source, rule_of_pair};
use super::table::{PAIR_RULES, PAIRS, ROWS, RULES};
use super::{Trap, TrapEl3};
use crate::sysreg::{HcrEl2, SysRegId};
use bitflags::bitflags;

bitflags! {
    /// Who says that a register is subject to a control. `data/trap_rules.tsv`, source; `data/NOTICE`.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Sources: u8 {
        /// The Arm ARM: access pseudocode of the register, or of another of its family.
        const MANUAL = 1;
        /// The description of the controlling field; the pseudocode was not seen.
        const SHEET = 2;
        /// Arm's v8.5 model, ordered conditions.
        const MODEL_V85 = 4;
        /// Arm's v9.4 model, fields of the fine-grained trap registers.
        const MODEL_V94 = 8;
        /// Arm's machine-readable specification, fields of the fine-grained trap registers.
        const MACHINE_READABLE = 16;
    }
}

/// A control that something is subject to. `data/trap_rules.tsv`, `data/fgt_fields.tsv`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Control {
    /// Of EL1, for EL0.
    Gate(Gate),
    /// Of EL2.
    El2(Trap),
    /// HCR_EL2.NV, NV1 or NV2.
    Nested,
    /// A fine-grained bit.
    Fine(FineBit),
    /// Of EL3.
    El3(TrapEl3),
}

/// One register or instruction, one control, and who says so. `data/trap_rules.tsv`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapRow {
    /// The register or instruction.
    pub id: SysRegId,
    /// The control.
    pub control: Control,
    /// Who says so.
    pub sources: Sources,
}

impl TrapRow {
    /// Whether two sources agree on it. `data/trap_rules.tsv`, `data/sysreg_trap_conditions_v85.tsv`.
    #[must_use]
    pub const fn has_two_sources(&self) -> bool {
        self.sources.bits().count_ones() >= 2
    }
}

/// Returns every pair of a register or instruction and a control that it is subject to, by encoding.
/// `data/trap_rules.tsv`, `data/fgt_registers.tsv`.
pub fn trap_rows() -> impl Iterator<Item = TrapRow> {
    ROWS.iter()
        .filter_map(|row| row.rule().map(|rule| (row, rule)))
        .flat_map(|(row, rule)| rows_of(row, rule))
}

fn rows_of(row: &'static Row, rule: &'static Rule) -> impl Iterator<Item = TrapRow> {
    let id = SysRegId::from_bits(row.id);
    let own = match rule.source {
        Source::Manual => Sources::MANUAL,
        Source::Sheet => Sources::SHEET,
    };
    let with_model = move |agrees| if agrees { own.union(Sources::MODEL_V85) } else { own };
    let make = move |control, sources| TrapRow { id, control, sources };
    let gate =
        (rule.gate != Gate::None).then(|| make(Control::Gate(rule.gate), with_model(rule.gate_seconded)));
    let traps = rule.traps.iter().map(move |t| make(Control::El2(t), with_model(rule.seconded.contains(t))));
    let both = HcrEl2::new().with_nv(true).with_nv1(true);
    let is_nested =
        [HcrEl2::new().with_nv(true), both].into_iter().any(|hcr| nested(id, hcr) == Nested::Trap);
    let nested = is_nested.then(|| make(Control::Nested, nested_sources(row)));
    let fine = FineBit::of(id).map(|bit| make(Control::Fine(bit), fine_sources(row)));
    let el3 = rule.el3_traps.iter().map(move |t| make(Control::El3(t), own));
    gate.into_iter().chain(traps).chain(nested).chain(fine).chain(el3)
}

/// Returns every pair of a 128-bit form (MRRS, MSRR, SYSP) and a control that it is subject to, by encoding. That it is
/// subject to a control of the 64-bit form says its own pseudocode; the description of D128En says which registers it
/// is about. `data/trap_pairs.tsv`.
pub fn trap_rows_128() -> impl Iterator<Item = TrapRow> {
    PAIRS.iter().flat_map(|(id, _)| {
        let id = SysRegId::from_bits(*id);
        let own = PairRule::of(id);
        let of_both = move |trap| own.is_some_and(|own| own.seconded && own.traps.contains(trap));
        let of_both_el3 = move |trap| own.is_some_and(|own| own.seconded && own.el3_traps.contains(trap));
        let sources = |both| if both { Sources::MANUAL.union(Sources::SHEET) } else { Sources::MANUAL };
        let make = move |control, sources| TrapRow { id, control, sources };
        let rule = rule_of_pair(id);
        let traps = rule.map_or(Trap::empty(), |rule| rule.traps);
        let el3 = rule.map_or(TrapEl3::empty(), |rule| rule.el3_traps);
        let coarse = traps.iter().map(move |trap| make(Control::El2(trap), sources(of_both(trap))));
        let el3 = el3.iter().map(move |trap| make(Control::El3(trap), sources(of_both_el3(trap))));
        let is_nested = nested(id, HcrEl2::new().with_nv(true)) == Nested::Trap;
        let nested = is_nested.then(|| make(Control::Nested, Sources::MANUAL));
        let fine = FineBit::of(id).map(|bit| make(Control::Fine(bit), Sources::MANUAL));
        coarse.chain(nested).chain(fine).chain(el3)
    })
}

/// Bit 11 of a row: the v8.5 model names HCR_EL2.NV.
const fn nested_sources(row: &Row) -> Sources {
    if row.fine >> 11 & 1 == 1 { Sources::MANUAL.union(Sources::MODEL_V85) } else { Sources::MANUAL }
}

/// Bit 12 of a row: the number of the bit was compared with the machine-readable specification. The bits of registers
/// that the v9.4 model does not know come from there.
const fn fine_sources(row: &Row) -> Sources {
    let both = Sources::MODEL_V94.union(Sources::MACHINE_READABLE);
    if row.fine >> 12 & 1 == 1 { both } else { Sources::MACHINE_READABLE }
}

/// Returns how many bytes of constant data the rules take, and how many the rows.
#[must_use]
pub fn table_bytes() -> (usize, usize) {
    let rules = size_of_val(RULES).saturating_add(size_of_val(PAIR_RULES));
    (rules, size_of_val(ROWS).saturating_add(size_of_val(PAIRS)))
}
