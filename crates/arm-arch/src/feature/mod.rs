//! ID registers and the features they announce. Arm ARM, "Principles of the ID scheme".
//!
//! [`IdRegisters`] is what a guest is told; [`Features`] is what follows from it and what code asks. The tables are
//! generated: [`FIELDS`] says where each field lies and how two values compare, the rules say which values announce
//! which feature, the requirements which features go together. A field that has no name is RES0. [`AARCH32_FIELDS`] are
//! those of the AArch32 registers, which announce nothing of their own here. [`CpuModel`] is the
//! value one computes with: what several hosts have in common, whether a guest fits, what two models differ in.

mod aarch32;
pub mod cpu;
mod field;
mod fields;
mod id_registers;
pub mod model;
pub mod models;
mod names;
pub mod requirement;
mod requirements;
mod rule;
mod rules;
mod sanitise;
pub mod version;

pub use aarch32::AARCH32_FIELDS;
pub use cpu::CpuModel;
pub use field::{Field, Kind};
pub use fields::FIELDS;
pub use id_registers::{IdError, IdRegisters, Reason, is_id_space};
pub use names::Feature;
pub use requirement::{Duty, Requirement, Term};
pub use version::Version;

use crate::pstate::{PState, PStateMask};
use rule::Rule;

/// The words of a set of features.
const WORDS: usize = Feature::COUNT.div_ceil(64);

/// The features that a set of ID registers announces. Arm ARM, the field of each name; `data/features.tsv`.
///
/// Holding one answers "is it there" for everyone: PSTATE bits, register visibility and traps derive from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    bits: [u64; WORDS],
    breakpoints: u8,
    watchpoints: u8,
}

impl Features {
    /// Nothing but Armv8.0-A without any optional feature, and the one breakpoint and watchpoint that 0 in BRPs and
    /// WRPs stands for. Arm ARM, ID_AA64DFR0_EL1.BRPs; `data/features.tsv`.
    pub const NONE: Self = Self { bits: [0; WORDS], breakpoints: 1, watchpoints: 1 };

    /// Returns what the ID registers announce. `data/id_fields.tsv`, `data/features.tsv`.
    #[must_use]
    pub fn of(ids: &IdRegisters) -> Self {
        let dfr0 = ids.dfr0();
        let mut features = Self {
            bits: [0; WORDS],
            breakpoints: dfr0.brps().saturating_add(1),
            watchpoints: dfr0.wrps().saturating_add(1),
        };
        for clause in clauses() {
            if let Some(first) = clause.first() {
                if clause.iter().all(|rule| rule.holds(ids)) {
                    features.insert(first.feature);
                }
            }
        }
        features
    }

    /// Whether a feature is announced. Arm ARM, the field of each name.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        let (word, bit) = place(feature);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Returns the features, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Feature> + '_ {
        Feature::ALL.iter().copied().filter(|feature| self.has(*feature))
    }

    /// Returns this set with a feature added.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Self {
        self.insert(feature);
        self
    }

    /// Returns the number of breakpoints. Arm ARM, ID_AA64DFR0_EL1.BRPs.
    #[must_use]
    pub const fn breakpoints(&self) -> u8 {
        self.breakpoints
    }

    /// Returns the number of watchpoints. Arm ARM, ID_AA64DFR0_EL1.WRPs.
    #[must_use]
    pub const fn watchpoints(&self) -> u8 {
        self.watchpoints
    }

    /// Returns the bits of PSTATE that exist. Arm ARM, ProcState.
    #[must_use]
    pub fn pstate_mask(&self) -> PStateMask {
        let bits = PState::new()
            .with_pan(self.has(Feature::PAN))
            .with_uao(self.has(Feature::UAO))
            .with_dit(self.has(Feature::DIT))
            .with_ssbs(self.has(Feature::SSBS))
            .with_tco(self.has(Feature::MTE))
            .with_btype(if self.has(Feature::BTI) { 3 } else { 0 })
            .with_allint(self.has(Feature::NMI))
            .with_exlock(self.has(Feature::GCS))
            .with_pm(self.has(Feature::EBEP) || self.has(Feature::SPE_EXC) || self.has(Feature::TRBE_EXC))
            .with_ppend(self.has(Feature::SEBEP))
            .with_pacm(self.has(Feature::PAuth_LR))
            .with_uinj(self.has(Feature::UINJ))
            .with_nrw(self.has(Feature::AA32EL0));
        PStateMask::ARMV8_0.with(bits)
    }

    fn insert(&mut self, feature: Feature) {
        let (word, bit) = place(feature);
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= bit;
        }
    }
}

/// Returns the clauses of the rules: the rows of one stand together.
fn clauses() -> impl Iterator<Item = &'static [Rule]> {
    clauses_from(rules::RULES)
}

/// The clauses of one feature: the table is in the order of features.
fn clauses_of(feature: Feature) -> impl Iterator<Item = &'static [Rule]> {
    let start = rules::RULES.partition_point(|rule| rule.feature < feature);
    clauses_from(rules::RULES.get(start..).unwrap_or_default())
        .take_while(move |clause| clause.first().is_some_and(|rule| rule.feature == feature))
}

fn clauses_from(mut rest: &'static [Rule]) -> impl Iterator<Item = &'static [Rule]> {
    // `chunk_by` and `split_at` would leave a panic in the code.
    core::iter::from_fn(move || {
        let first = rest.first()?;
        let same = rest.iter().take_while(|rule| rule.is_same_clause(first)).count();
        let clause = rest.get(..same)?;
        rest = rest.get(same..)?;
        Some(clause)
    })
}

/// Word and bit of a feature.
#[expect(clippy::as_conversions, reason = "the discriminant of a fieldless enumeration")]
fn place(feature: Feature) -> (usize, u64) {
    let number = feature as u16;
    (usize::from(number >> 6), 1u64.wrapping_shl(u32::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::names::*;

    fn announced(values: &[(crate::SysRegId, u64)]) -> Features {
        let mut ids = IdRegisters::default();
        for (id, value) in values {
            assert!(ids.set(*id, *value));
        }
        Features::of(&ids)
    }

    #[test]
    fn rules_are_in_the_order_of_features() {
        assert!(rules::RULES.is_sorted_by_key(|rule| rule.feature));
        let by_feature = Feature::ALL.iter().flat_map(|feature| clauses_of(*feature));
        assert!(by_feature.map(<[Rule]>::as_ptr).eq(clauses().map(<[Rule]>::as_ptr)));
    }

    #[test]
    fn each_feature_needs_its_field_at_its_value() {
        type Case<'a> = (Feature, &'a [(crate::SysRegId, u64)], bool);
        let cases: &[Case<'_>] = &[
            (Feature::PAN, &[(ID_AA64MMFR1_EL1, 0)], false),
            (Feature::PAN, &[(ID_AA64MMFR1_EL1, 1 << 20)], true),
            (Feature::PAN2, &[(ID_AA64MMFR1_EL1, 1 << 20)], false),
            (Feature::PAN2, &[(ID_AA64MMFR1_EL1, 3 << 20)], true),
            (Feature::LSE, &[(ID_AA64ISAR0_EL1, 1 << 20)], false),
            (Feature::LSE, &[(ID_AA64ISAR0_EL1, 2 << 20)], true),
            (Feature::FP, &[(ID_AA64PFR0_EL1, 0)], true),
            (Feature::FP, &[(ID_AA64PFR0_EL1, 0xf << 16)], false),
            (Feature::FP16, &[(ID_AA64PFR0_EL1, 0xf << 16)], false),
            (Feature::FP16, &[(ID_AA64PFR0_EL1, 1 << 16)], true),
            (Feature::TGran4K, &[(ID_AA64MMFR0_EL1, 0xf << 28)], false),
            (Feature::TGran4K, &[(ID_AA64MMFR0_EL1, 0)], true),
            (Feature::TGran16K, &[(ID_AA64MMFR0_EL1, 0)], false),
            (Feature::TGran16K, &[(ID_AA64MMFR0_EL1, 1 << 20)], true),
            (Feature::PMUv3, &[(ID_AA64DFR0_EL1, 1 << 8)], true),
            (Feature::PMUv3, &[(ID_AA64DFR0_EL1, 0xf << 8)], false),
            (Feature::PAuth, &[(ID_AA64ISAR1_EL1, 1 << 8)], true),
            (Feature::PAuth, &[(ID_AA64ISAR2_EL1, 1 << 12)], true),
            (Feature::NV, &[(ID_AA64MMFR4_EL1, 1 << 20)], true),
            (Feature::NV, &[(ID_AA64MMFR4_EL1, 0)], false),
            (Feature::CSV2_1p1, &[(ID_AA64PFR0_EL1, 1 << 56), (ID_AA64PFR1_EL1, 1 << 32)], true),
            (Feature::CSV2_1p1, &[(ID_AA64PFR0_EL1, 2 << 56), (ID_AA64PFR1_EL1, 1 << 32)], false),
            (Feature::SSBS2, &[(ID_AA64PFR1_EL1, 1 << 4)], false),
            (Feature::SSBS2, &[(ID_AA64PFR1_EL1, 2 << 4)], true),
            (Feature::UAO, &[(ID_AA64MMFR2_EL1, 1 << 4)], true),
            (Feature::GICv3, &[(ID_AA64PFR0_EL1, 1 << 24)], true),
        ];
        for (feature, values, want) in cases {
            assert_eq!(announced(values).has(*feature), *want, "{feature:?} with {values:x?}");
        }
    }

    #[test]
    fn the_pstate_mask_follows_the_features() {
        assert_eq!(Features::NONE.pstate_mask(), PStateMask::ARMV8_0);
        let some = Features::NONE.with(Feature::PAN).with(Feature::SSBS).with(Feature::BTI);
        assert_eq!(some.pstate_mask().present().into_bits(), 0xf070_1fcf);
        // Arm ARM, GetPSRFromPSTATE: the feature of each bit.
        const CASES: &[(Feature, u64)] = &[
            (Feature::PAN, 1 << 22),
            (Feature::UAO, 1 << 23),
            (Feature::DIT, 1 << 24),
            (Feature::MTE, 1 << 25),
            (Feature::SSBS, 1 << 12),
            (Feature::BTI, 3 << 10),
            (Feature::NMI, 1 << 13),
            (Feature::EBEP, 1 << 32),
            (Feature::SPE_EXC, 1 << 32),
            (Feature::TRBE_EXC, 1 << 32),
            (Feature::SEBEP, 1 << 33),
            (Feature::GCS, 1 << 34),
            (Feature::PAuth_LR, 1 << 35),
            (Feature::UINJ, 1 << 36),
            (Feature::AA32EL0, 1 << 4),
            (Feature::RAS, 0),
        ];
        for (feature, bits) in CASES {
            let mask = Features::NONE.with(*feature).pstate_mask().present().into_bits();
            assert_eq!(mask & !PStateMask::ARMV8_0.present().into_bits(), *bits, "{feature:?}");
        }
    }

    #[test]
    fn counts_of_debug_registers_come_from_dfr0() {
        let features = announced(&[(ID_AA64DFR0_EL1, 0x0030_5006)]);
        assert_eq!((features.breakpoints(), features.watchpoints()), (6, 4));
    }
}
