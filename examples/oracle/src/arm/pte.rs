//! `oracle pte` for Arm: one descriptor, by a walk that finds it at its level.

use super::view::{fields, memory_text, permissions_text};
use crate::Error;
use crate::answer::{Answer, arm_source, hex, line, size, table, to_json};
use arm_arch::sysreg::{HcrEl2, HcrxEl2, ScrEl3, SctlrEl1, Tcr2, TcrEl1, VtcrEl2};
use arm_arch::{Granule, Level, Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, Implementation, Privilege, Recorder, Regime, Registers, Rule, Stage, Step,
    Translation, Translator,
};
use serde_json::json;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Write;
use testkit::vectors::vmsa::set_register;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The descriptor.
    pub value: u128,
    /// Its level.
    pub level: Level,
    /// Its stage.
    pub stage: Stage,
    /// The granule, where registers do not say.
    pub granule: Granule,
    /// `TCR_ELx.DS`, where registers do not say.
    pub lpa2: bool,
    /// 128-bit descriptors, where registers do not say.
    pub d128: bool,
    /// Registers that are known.
    pub registers: Vec<(String, u128)>,
}

/// Tables that lead to one descriptor.
struct Tables {
    value: u128,
    /// Loads before it.
    above: Cell<u32>,
}

impl Tables {
    fn next(&self) -> u128 {
        match self.above.get().checked_sub(1) {
            Some(left) => {
                self.above.set(left);
                // A table, accessed: descriptors are mmu-xlate's, which reads them and does not name them.
                0x403
            }
            None => self.value,
        }
    }
}

impl TableMemory<Pa> for Tables {
    type Error = Infallible;

    fn load(&self, _: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        let [a, b, c, d, e, f, g, h, ..] = self.next().to_le_bytes();
        Ok(Some([a, b, c, d, e, f, g, h]))
    }

    fn load_pair(&self, _: Pa, _: Pa) -> Result<Option<[[u8; 8]; 2]>, Infallible> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.next().to_le_bytes();
        Ok(Some([[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]]))
    }
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Recorder for Steps {
    fn record(&mut self, step: Step) {
        self.0.push(step);
    }
}

impl Question {
    /// Returns registers whose walk passes the level, and then what is known of them.
    fn machine(&self) -> Result<Registers, Error> {
        let mut all = Registers {
            scr_el3: ScrEl3::new().with_ns(true).with_tcr2en(true).into_bits(),
            hcrx_el2: HcrxEl2::new().with_tcr2en(true).into_bits(),
            ..Registers::default()
        };
        let deep = self.level < Level::L0 && !self.d128;
        let ds = self.lpa2 || deep;
        let txsz = match () {
            () if self.d128 && self.level < Level::Minus1 => 9,
            () if self.d128 || ds => 12,
            () => 16,
        };
        let tg0 = match self.granule {
            Granule::Size4K => 0,
            Granule::Size64K => 1,
            Granule::Size16K => 2,
        };
        if self.stage == Stage::One {
            all.el1.sctlr = SctlrEl1::new().with_m(true).into_bits();
            all.el1.tcr = TcrEl1::new().with_t0sz(txsz).with_tg0(tg0).with_ips(6).with_ds(ds).into_bits();
            all.el1.tcr2 = Tcr2::new().with_d128(self.d128).into_bits();
        } else {
            // The highest level that the granule has.
            let (sl0, sl2) = match (self.granule, ds) {
                (Granule::Size4K, true) => (0, true),
                (Granule::Size16K, true) => (3, false),
                _ => (2, false),
            };
            all.hcr_el2 = HcrEl2::new().with_vm(true).into_bits();
            all.vtcr_el2 = VtcrEl2::new()
                .with_t0sz(txsz)
                .with_sl0(sl0)
                .with_tg0(tg0)
                .with_ps(6)
                .with_ds(ds)
                .with_sl2(sl2)
                .with_d128(self.d128)
                .into_bits();
        }
        for (name, value) in &self.registers {
            set_register(&mut all, name, *value)
                .map_err(|error| Error::new(format!("register {name} {error}")))?;
        }
        // The other stage is not asked, and the value is a number.
        for sctlr in [&mut all.el1.sctlr, &mut all.el2.sctlr] {
            *sctlr = SctlrEl1::from_bits(*sctlr).with_ee(false).into_bits();
        }
        if self.stage == Stage::One {
            all.hcr_el2 = HcrEl2::from_bits(all.hcr_el2).with_vm(false).with_dc(false).into_bits();
        }
        Ok(all)
    }

    fn knows(&self, name: &str) -> bool {
        self.registers.iter().any(|(known, _)| known == name)
    }
}

/// Explains.
///
/// # Errors
///
/// What is wrong with the question.
pub fn answer(question: &Question) -> Result<Answer, Error> {
    let registers = question.machine()?;
    let implementation = Implementation::ALL;
    let translator = Translator::new(Regime::El1And0, &registers, &implementation);
    let access = Access::new(AccessKind::AtAddress, Privilege::Privileged);
    let first = first_level(&translator, question, access);
    let above = question.level.remaining();
    let Some(above) = first.and_then(|first| first.remaining().checked_sub(above)) else {
        let first = first.map_or_else(|| "no valid start".into(), |first| format!("first level is {first}"));
        return Err(Error::new(format!(
            "level {}: walks of these registers do not pass it ({first})",
            question.level
        )));
    };
    let wide = match (question.stage, &translator.stage2) {
        (Stage::One, _) | (Stage::Two, None) => translator.stage1.is_wide(),
        (Stage::Two, Some(stage2)) => stage2.is_wide(),
    };
    if !wide && question.value >> 64 != 0 {
        return Err(Error::new("the descriptor has more than 64 bits (see --d128)"));
    }
    let tables = Tables { value: question.value, above: Cell::new(above) };
    let mut steps = Steps::default();
    let Ok(translation) = translator.translate::<Pa, _, _>(Va::new(0), access, &tables, &mut steps);
    Ok(render(question, &steps.0, &translation, wide))
}

/// Returns the level at which walks start.
fn first_level(translator: &Translator, question: &Question, access: Access) -> Option<Level> {
    let mut steps = Steps::default();
    let tables = Tables { value: 0, above: Cell::new(0) };
    let Ok(_) = translator.translate::<Pa, _, _>(Va::new(0), access, &tables, &mut steps);
    steps.0.iter().find_map(|step| match step {
        Step::Start { stage, level, .. } if *stage == question.stage => Some(*level),
        _ => None,
    })
}

fn render(question: &Question, steps: &[Step], translation: &Translation<Pa>, wide: bool) -> Answer {
    let own = |step: &Step| match step {
        Step::Descriptor { stage, level, .. } => *stage == question.stage && *level == question.level,
        _ => false,
    };
    let from = steps.iter().position(own).unwrap_or(steps.len());
    let steps = steps.get(from..).unwrap_or_default();
    let kind = match steps.first() {
        Some(Step::Descriptor { kind, .. }) => kind.to_string(),
        _ => "not reached".into(),
    };
    let digits = if wide { 34 } else { 18 };
    let mut text = String::new();
    let _ =
        writeln!(text, "{:#0digits$x}  {kind}, {}, level {}", question.value, question.stage, question.level);
    let fields = fields(steps.get(1..).unwrap_or_default());
    text.push_str(&table(&fields, 2));
    let mut rules = Vec::new();
    for step in steps.iter().take_while(|step| !matches!(step, Step::Reading { .. })) {
        match step {
            // Those of the access that only asks.
            Step::Decided { rule: Rule::Permitted | Rule::AddressOnly, .. } => {}
            Step::Decided { rule, .. } => {
                let _ = writeln!(text, "  · {} ({})", rule.says(), arm_source(rule.cite()));
                rules.push(json!({ "says": rule.says(), "source": arm_source(rule.cite()) }));
            }
            Step::Rights { base, .. } => {
                let _ = writeln!(text, "  · base permissions: {}", permissions_text(*base));
            }
            Step::Memory { attributes, stage } if *stage == Stage::One && question.knows("MAIR_EL1") => {
                let _ = writeln!(text, "  · memory: {}", memory_text(*attributes));
            }
            _ => {}
        }
    }
    let mapped = match translation {
        Translation::Mapped(mapping) if kind == "block" || kind == "page" => {
            line(&mut text, "output", format_args!("{:#018x}", mapping.output.bits()));
            line(&mut text, "size", size(mapping.size_log2.into()));
            json!({ "output": hex(mapping.output.bits()), "size_log2": mapping.size_log2 })
        }
        Translation::Mapped(_) | Translation::Fault(_) => json!(null),
    };
    let json = json!({
        "descriptor": hex(question.value),
        "stage": if question.stage == Stage::One { 1 } else { 2 },
        "level": question.level.number(),
        "kind": kind,
        "fields": to_json(&fields),
        "rules": rules,
        "maps": mapped,
    });
    Answer { text, json, unfinished: None }
}
