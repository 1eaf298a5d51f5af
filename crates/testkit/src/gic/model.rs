//! What `arm_arch` says of a case, against what the reference recorded.

use super::{Case, LAST, Op, Record};
use arm_arch::SysRegId;
use arm_arch::exception::VirtualLines;
use arm_arch::gic::{IchState, WriteEffect};
use arm_arch::sysreg::{IchHcr, names};
use arm_arch::timer::{Timer, virtual_count};
use std::collections::BTreeMap;

/// Why a difference counts as none: `docs/differences-gic.md` has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Excuse {
    /// The reference counts an EOI in EOIcount also where EOImode is 1.
    CountsSplitEoi,
    /// The reference asserts VGrp0D while Group 1, not Group 0, is disabled.
    Group0DisabledByGroup1,
}

/// Where model and reference differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Which access, from 0.
    pub at: usize,
    /// What: the record's word by name.
    pub what: &'static str,
    /// The model's value.
    pub model: u64,
    /// The reference's value.
    pub reference: u64,
}

/// Replays a case; returns the first difference that has no excuse, and counts the excuses used.
#[must_use]
pub fn replay(case: &Case, records: &[Record], excuses: &mut BTreeMap<Excuse, u64>) -> Option<Difference> {
    if case.is_timer { timers(case, records) } else { interface(case, records, excuses) }
}

/// The register of each code up to 26; `start.S` has the same list.
const ACCESSES: &[Option<SysRegId>] = &[
    None,
    Some(names::ICC_IAR0_EL1),
    Some(names::ICC_IAR1_EL1),
    Some(names::ICC_HPPIR0_EL1),
    Some(names::ICC_HPPIR1_EL1),
    Some(names::ICC_BPR0_EL1),
    Some(names::ICC_BPR1_EL1),
    Some(names::ICC_AP0R0_EL1),
    Some(names::ICC_AP1R0_EL1),
    Some(names::ICC_RPR_EL1),
    Some(names::ICC_PMR_EL1),
    Some(names::ICC_IGRPEN0_EL1),
    Some(names::ICC_IGRPEN1_EL1),
    Some(names::ICC_CTLR_EL1),
    Some(names::ICC_SRE_EL1),
    Some(names::ICC_EOIR0_EL1),
    Some(names::ICC_EOIR1_EL1),
    Some(names::ICC_DIR_EL1),
    Some(names::ICC_BPR0_EL1),
    Some(names::ICC_BPR1_EL1),
    Some(names::ICC_AP0R0_EL1),
    Some(names::ICC_AP1R0_EL1),
    Some(names::ICC_PMR_EL1),
    Some(names::ICC_IGRPEN0_EL1),
    Some(names::ICC_IGRPEN1_EL1),
    Some(names::ICC_CTLR_EL1),
    Some(names::ICC_SRE_EL1),
];
/// The first code that writes.
const FIRST_WRITE: u64 = 15;

/// The words of a record.
const WORDS: [&str; 15] = [
    "value",
    "ISR_EL1",
    "ICH_HCR",
    "ICH_VMCR",
    "ICH_AP0R0",
    "ICH_AP1R0",
    "ICH_LR0",
    "ICH_LR1",
    "ICH_LR2",
    "ICH_LR3",
    "ICH_MISR",
    "ICH_EISR",
    "ICH_ELRSR",
    "GICR_ISACTIVER0",
    "maintenance",
];

/// An interface, and what is around it.
struct Model {
    ich: IchState<4>,
    active: u64,
    last: u64,
}

impl Model {
    fn hypervisor(&mut self, code: u64, value: u64) {
        match code {
            32 => self.ich.hcr = IchState::<4>::sanitised_hcr(value),
            33 => self.ich.vmcr = IchState::<4>::sanitised_vmcr(value),
            34 => self.ich.ap0r0 = value as u32,
            35 => self.ich.ap1r0 = value as u32,
            36..=39 => self.ich.lr[(code - 36) as usize] = IchState::<4>::sanitised_lr(value),
            _ => panic!("no access has code {code}"),
        }
    }

    fn apply(&mut self, op: Op) -> u64 {
        let value = if op.value == LAST { self.last } else { op.value };
        if op.code >= 32 {
            self.hypervisor(op.code, value);
            return 0;
        }
        let Some(id) = ACCESSES[op.code as usize] else { return value };
        if op.code < FIRST_WRITE {
            let got = self.ich.read(id).expect("a register that reads");
            if op.code <= 2 {
                self.last = got;
            }
            return got;
        }
        match self.ich.write(id, value).expect("a register that can be written") {
            WriteEffect::None => {}
            WriteEffect::Deactivate(done) => {
                if let Some(number) = done.physical.filter(|number| *number < 32) {
                    self.active &= !(1 << number);
                }
            }
        }
        value
    }

    fn record(&self, value: u64) -> Record {
        let VirtualLines { irq, fiq } = self.ich.lines();
        let ich = &self.ich;
        [
            value,
            u64::from(irq) << 7 | u64::from(fiq) << 6,
            ich.hcr.into_bits(),
            ich.vmcr.into_bits(),
            u64::from(ich.ap0r0),
            u64::from(ich.ap1r0),
            ich.lr[0].into_bits(),
            ich.lr[1].into_bits(),
            ich.lr[2].into_bits(),
            ich.lr[3].into_bits(),
            ich.misr().into_bits(),
            u64::from(ich.eisr()),
            u64::from(ich.elrsr()),
            self.active,
            u64::from(ich.is_maintenance_due()),
        ]
    }
}

fn interface(case: &Case, records: &[Record], excuses: &mut BTreeMap<Excuse, u64>) -> Option<Difference> {
    let mut model = Model { ich: IchState::default(), active: case.init[8], last: 1023 };
    for (code, value) in (32..40).zip(case.init) {
        model.hypervisor(code, value);
    }
    for (at, (op, want)) in case.ops.iter().zip(records).enumerate() {
        let value = model.apply(*op);
        let mut got = model.record(value);
        if got[HCR] != want[HCR] && counts_split_eoi(op, &model.ich, want[HCR]) {
            model.ich.hcr = IchHcr::from_bits(want[HCR]);
            got = model.record(value);
            *excuses.entry(Excuse::CountsSplitEoi).or_default() += 1;
        }
        if got[MISR] != want[MISR] {
            let reference = as_group1_says(&model.ich, got[MISR]);
            *excuses.entry(Excuse::Group0DisabledByGroup1).or_default() += u64::from(reference == want[MISR]);
            got[MISR] = reference;
            got[MAINTENANCE] = u64::from(model.ich.hcr.en() && reference != 0);
        }
        for word in 0..WORDS.len() {
            // The value is one only after a read.
            if word == 0 && (op.code == 0 || op.code >= FIRST_WRITE) {
                continue;
            }
            if got[word] != want[word] {
                return Some(Difference { at, what: WORDS[word], model: got[word], reference: want[word] });
            }
        }
    }
    None
}

const HCR: usize = 2;
const MISR: usize = 10;
const MAINTENANCE: usize = 14;

/// Whether the reference has counted an EOI that, as EOImode is 1, would not have deactivated anything.
fn counts_split_eoi(op: &Op, ich: &IchState<4>, reference: u64) -> bool {
    let counted = ich.hcr.with_eoicount(ich.hcr.eoicount().wrapping_add(1) & 31);
    matches!(op.code, 15 | 16) && ich.vmcr.veoim() && counted.into_bits() == reference
}

/// MISR with VGrp0D by the enable of the other group.
fn as_group1_says(ich: &IchState<4>, misr: u64) -> u64 {
    let disabled = ich.hcr.vgrp0die() && !ich.vmcr.veng1();
    misr & !(1 << 5) | u64::from(disabled) << 5
}

/// A timer case: what the reference read must be right at some count between the one before and the one after.
fn timers(case: &Case, records: &[Record]) -> Option<Difference> {
    let mut timers = [Timer::default(); 2];
    for (at, (op, record)) in case.ops.iter().zip(records).enumerate() {
        let [value, before, after, line, later, cval, physical, virt, physical_later, ..] = *record;
        let access = op.code & 7;
        let timer = &mut timers[(op.code as usize - 64) >> 3];
        let differs = |what, model, reference| Some(Difference { at, what, model, reference });
        let counts = move || (0..=after.wrapping_sub(before)).map(move |step| before.wrapping_add(step));
        match access {
            0 => timer.write_ctl(op.value),
            1 | 2 => timer.cval = value,
            3 => {
                let written = counts().find_map(|now| {
                    let mut after = *timer;
                    after.write_tval(now, op.value);
                    (after.cval == cval).then_some(after)
                });
                match written {
                    Some(after) => *timer = after,
                    None => {
                        timer.write_tval(before, op.value);
                        return differs("CVAL after a write of TVAL", timer.cval, cval);
                    }
                }
            }
            4 if counts().all(|now| timer.read_ctl(now) != value) => {
                return differs("CTL", timer.read_ctl(before), value);
            }
            5 if timer.cval != value => return differs("CVAL", timer.cval, value),
            6 if counts().all(|now| timer.read_tval(now) != value) => {
                return differs("TVAL", timer.read_tval(before), value);
            }
            _ => {}
        }
        if timer.cval != cval {
            return differs("CVAL", timer.cval, cval);
        }
        let mut later_counts = (0..=later.wrapping_sub(after)).map(|step| after.wrapping_add(step));
        if later_counts.all(|now| u64::from(timer.output(now)) != line) {
            return differs("line", u64::from(timer.output(after)), line);
        }
        // The deadline says the same as the line: no ticks are left when it is high, and some when it will rise.
        if line == 1 && timer.ticks_left(later) != Some(0) {
            return differs(
                "ticks left while the line is high",
                timer.ticks_left(later).unwrap_or(u64::MAX),
                0,
            );
        }
        if line == 0 && timer.ticks_left(after) == Some(0) {
            return differs("ticks left while the line is low", 0, 1);
        }
        let offset = case.init[0];
        if !(physical..=physical_later).any(|now| virtual_count(now, offset) == virt) {
            return differs("CNTVCT", virtual_count(physical, offset), virt);
        }
    }
    None
}

/// Checks that the reference has the interface that the model has.
///
/// # Errors
///
/// When ICH_VTR_EL2 differs in list registers, priorities or preemption.
pub(super) fn check_vtr(vtr: u64) -> Result<(), String> {
    let ours = IchState::<4>::vtr().into_bits();
    // TDS and nV4 aside: they say nothing about what is compared.
    if (vtr ^ ours) & !0x18_0000 == 0 && IchHcr::from_bits(0).into_bits() == 0 {
        Ok(())
    } else {
        Err(format!("the reference's ICH_VTR_EL2 is {vtr:#x}, not {ours:#x}"))
    }
}
