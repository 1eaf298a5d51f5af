//! `id_write`: models of processing elements, their meet, and what a user may write.
//!
//! For any models and values:
//!
//! - sanitising is done once and for all, raises nothing, and leaves no requirement between features unmet, but
//!   for those that an absent feature would meet;
//! - the meet of sanitised models is below both, associative, commutative and idempotent;
//! - to fit is reflexive and transitive; what does not fit is named, in a field in which the two differ;
//! - models differ in no field exactly if they announce the same; features differ only where fields do;
//! - a write that is accepted is in the result and changes nothing else, the result fits the limit if it did before, and no
//!   requirement becomes unmet; what the limit itself has is accepted; what is refused is told why;
//! - text can be written of everything.

use crate::bits::pick;
use crate::codec::{Codec, Input, arbitrary_input};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::SysRegId;
use arm_arch::feature::models::MODELS;
use arm_arch::feature::{CpuModel, Features, Requirement, Term};
use arm_arch::sysreg::names;
use std::collections::BTreeSet;

/// Registers that are changed, or written: numbers and values.
#[derive(Clone, Debug, Default)]
pub struct Changes(pub Vec<(u8, u64)>);

/// The registers that there are besides the ID space.
const OTHERS: [SysRegId; 8] = [
    names::MIDR_EL1,
    names::REVIDR_EL1,
    names::AIDR_EL1,
    names::CTR_EL0,
    names::DCZID_EL0,
    names::CLIDR_EL1,
    names::SCTLR_EL1,
    names::MPIDR_EL1,
];

/// Returns the register of a number.
#[must_use]
pub fn register(number: u8) -> SysRegId {
    if number < 64 {
        return SysRegId::new(3, 0, 0, number >> 3, number & 7);
    }
    pick(&OTHERS, number)
}

impl Changes {
    /// Goes over the fields, to the end of the input.
    pub fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.rest(&mut self.0, 24, |codec, (number, value)| {
            codec.byte(number);
            codec.word(value);
        });
    }
}

/// Returns a named model, with changes.
#[must_use]
pub fn model(number: u8, changes: &Changes) -> CpuModel {
    let base =
        MODELS.get(usize::from(number) % (MODELS.len() + 1)).map_or(CpuModel::default(), |named| named.model);
    let mut ids = *base.ids();
    for (number, value) in &changes.0 {
        if number & 0x80 == 0 {
            let id = register(*number);
            let changed = ids.get(id).unwrap_or(0) ^ value;
            let _ = ids.set(id, changed);
        }
    }
    CpuModel::new(ids)
}

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Three models.
    pub models: [u8; 3],
    /// What is different in them, one change each in turn, and what is written.
    pub changes: Changes,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        self.models.iter_mut().for_each(|byte| codec.byte(byte));
        self.changes.fields(codec);
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    input.len() > 3
}

/// Whether a requirement can be met by what is not there. Lowering another field may take that away again, and then
/// nothing is lowered for it.
fn by_absence(requirement: &Requirement) -> bool {
    requirement.any_of.iter().any(|term| matches!(term, Term::Lacks(_)))
}

impl Case {
    fn model(&self, which: u8) -> CpuModel {
        let own = self.changes.0.iter().copied().zip(0u8..).filter(|(_, at)| at % 4 == which);
        model(self.models[usize::from(which)], &Changes(own.map(|(change, _)| change).collect()))
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let raw = [self.model(0), self.model(1), self.model(2)];
        let [a, b, c] = raw.map(|model| model.sanitised());
        for (raw, model) in raw.iter().zip([a, b, c]) {
            assert_eq!(model.sanitised(), model, "once and for all");
            assert!(model.fits(raw).is_ok(), "something is raised: {:?}", model.fits(raw));
            assert!(model.unmet().all(by_absence), "a requirement is unmet");
            assert_eq!(model.diff(&model).count(), 0);
            assert!(model.fits(&model).is_ok());
        }
        assert!(!format!("{:#}", raw[0].explain()).is_empty());
        let meet = a.meet(&b);
        assert_eq!(meet, b.meet(&a), "commutative");
        assert_eq!(a.meet(&a), a, "idempotent");
        assert_eq!(meet.meet(&c), a.meet(&b.meet(&c)), "associative");
        assert!(meet.fits(&a).is_ok() && meet.fits(&b).is_ok(), "{:?} {:?}", meet.fits(&a), meet.fits(&b));
        assert!(meet.unmet().all(by_absence));
        if a.fits(&b).is_ok() && b.fits(&c).is_ok() {
            assert!(a.fits(&c).is_ok(), "transitive: {:?}", a.fits(&c));
        }
        let mut differ = BTreeSet::new();
        for difference in a.diff(&b) {
            differ.insert(difference.field.register);
            assert!(difference.left != difference.right && !difference.to_string().is_empty());
        }
        for misfit in a.misfits(&b) {
            assert!(!misfit.to_string().is_empty());
            assert!(differ.contains(&misfit.register), "{misfit} is no difference");
        }
        assert!(!differ.is_empty() || a.features() == b.features());
        self.writes(&a);
    }

    /// A user writes what the last changes say, one after the other.
    fn writes(&self, limit: &CpuModel) {
        let mut now = *limit;
        for (number, value) in
            self.changes.0.iter().copied().zip(0u8..).filter(|(_, at)| at % 4 == 3).map(|(it, _)| it)
        {
            let id = register(number & 0x7f);
            let had = limit.ids().get(id);
            let value = had.unwrap_or(0) ^ value;
            let told = limit.check_write(&now, id, value);
            match &told {
                Ok(next) => {
                    assert_eq!(next.ids().get(id), Some(value), "{id}");
                    let mut want = *now.ids();
                    let _ = want.set(id, value);
                    assert_eq!(*next.ids(), want, "{id}");
                    assert!(
                        next.fits(limit).is_ok() || now.fits(limit).is_err(),
                        "{id}: {:?}",
                        next.fits(limit)
                    );
                    let before = now.features();
                    let old: Vec<&Requirement> = Requirement::unmet(&before).collect();
                    assert!(
                        Requirement::unmet(&next.features()).all(|requirement| old.contains(&requirement))
                    );
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            assert!(
                told.is_ok() || had != Some(value) || now != *limit,
                "{id}: what the limit has is refused"
            );
            now = told.unwrap_or(now);
        }
        let _ = Features::of(now.ids()).pstate_mask();
    }
}
