//! The part of `vmsa_walk` about the way of a walk: which tables it reads, and where in them.

use super::{Listener, Question};
use crate::bits::mask;
use mmu_xlate::vmsa::{DescriptorKind, Located, OutputAddress, Regime, Stage, Step, Translation};
use std::fmt::Write;

impl Question<'_> {
    /// Checks the way of a walk against what it read.
    pub(super) fn steps(&self, listener: &Listener<'_>, found: Translation<Located>) {
        let mut text = String::new();
        // What names the next table, by stage.
        let mut tables: [Option<Table>; 2] = [None; 2];
        let mut reading = [None; 2];
        let mut input = [0; 2];
        let log = listener.view.log.borrow();
        let mut readings = Vec::new();
        for step in &listener.steps {
            text.clear();
            assert!(write!(text, "{step}").is_ok() && !text.is_empty());
            match *step {
                Step::Start { stage, input: address, base, .. } => {
                    input[usize::from(stage == Stage::Two)] = address;
                    tables[usize::from(stage == Stage::Two)] = Some(Table::First(base));
                    self.first_table(stage, base);
                }
                Step::Reading { stage, at, level } => {
                    reading[usize::from(stage == Stage::Two)] = Some((at, level));
                    readings.push((stage, at));
                }
                Step::Descriptor { stage, level, at, index: (high, low), value, kind } => {
                    let own = usize::from(stage == Stage::Two);
                    assert_eq!(reading[own], Some((at, level)), "what is told is what was read");
                    let log2 = if self.is_wide(stage) { 4 } else { 3 };
                    let span = mask(high + 1 - low + log2);
                    let offset = (input[own] >> low & mask(high + 1 - low)) << log2;
                    assert_eq!(at & span, offset, "the place in the table is that of the input");
                    let table = tables[own].take();
                    assert!(table.is_some_and(|table| table.names(at & !span, span)), "{table:x?} {at:#x}");
                    tables[own] = (kind == DescriptorKind::Table).then_some(Table::Next(value));
                }
                _ => {}
            }
        }
        // What memory was asked for is what was told: of stage 2 as it is, of stage 1 where stage 2 put it.
        for key in log.iter() {
            let told = readings.iter().any(|(stage, at)| {
                let place = key.1 & !8 == *at & !8;
                let nested = *stage == Stage::One && self.translator.stage2.is_some();
                place || nested && (key.1 ^ at) & mask(12) & !8 == 0
            });
            assert!(told, "{key:x?} is read, {readings:x?} are told");
        }
        let last = listener.steps.last();
        match found {
            Translation::Fault(fault) => assert_eq!(last, Some(&Step::Fault(fault))),
            Translation::Mapped(mapping) => {
                let output = mapping.output.number();
                assert!(matches!(last, Some(Step::Output { output: told, .. }) if *told == output));
            }
        }
    }

    /// Whether a descriptor has 128 bits.
    fn is_wide(&self, stage: Stage) -> bool {
        match (stage, &self.translator.stage2) {
            (Stage::Two, Some(stage2)) => stage2.is_wide(),
            (Stage::One | Stage::Two, _) => self.translator.stage1.is_wide(),
        }
    }

    /// Checks that the first table is one that a register names.
    fn first_table(&self, stage: Stage, base: u64) {
        let own = match self.regime {
            Regime::El1And0 => &self.registers.el1,
            Regime::El2And0 | Regime::El2 => &self.registers.el2,
            Regime::El3 => &self.registers.el3,
        };
        let named = match stage {
            Stage::One => [own.ttbr0, own.ttbr1],
            Stage::Two => [self.registers.vttbr_el2, self.registers.vsttbr_el2.into()],
        };
        // BADDR[47:..], with [51:48] in bits 5:2, or [55:48] in bits 87:80.
        let named = named.iter().any(|ttbr| {
            let low = *ttbr as u64 & mask(48) & !1;
            let tops = [0, (*ttbr as u64 >> 2 & 0xf) << 48, ((*ttbr >> 80) as u64 & 0xff) << 48];
            tops.iter().any(|top| {
                let address = low | top;
                base & !address == 0 && {
                    // It is cut off below, not in between.
                    let dropped = address ^ base;
                    dropped == 0
                        || base.trailing_zeros() > 63 - dropped.leading_zeros()
                        || base & mask(48) == 0
                }
            })
        });
        assert!(named, "{stage:?}: {base:#x} is no table of a register");
    }
}

/// What names a table.
#[derive(Clone, Copy, Debug)]
enum Table {
    /// It is the first.
    First(u64),
    /// The descriptor above.
    Next(u128),
}

impl Table {
    /// Whether it names the table at an address, `span` long.
    fn names(self, at: u64, span: u64) -> bool {
        match self {
            Self::First(base) => base == at,
            Self::Next(value) => {
                let low = value as u64;
                // 48 bits; bits 15:12 on top; bits 9:8 on top; 56 bits.
                let forms = [
                    low & mask(48),
                    low & mask(48) | (low >> 12 & 0xf) << 48,
                    low & mask(50) | (low >> 8 & 3) << 50,
                    low & mask(56),
                ];
                forms.iter().any(|form| form & !span == at)
            }
        }
    }
}
