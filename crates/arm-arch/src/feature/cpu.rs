//! Models of processing elements, and what one may do with them. Arm ARM, "Principles of the ID scheme".
//!
//! A [`CpuModel`] is a point in a space with an order: one is *below* another where a guest that was told the lower
//! finds all of it on the higher. [`CpuModel::meet`] is the greatest that is below both, so that the meet over all
//! hosts of a cluster is what a guest may be told that is to move among them.
//!
//! ```
//! use arm_arch::feature::{CpuModel, models};
//!
//! let (n1, v1) = (models::NEOVERSE_N1.model, models::NEOVERSE_V1.model);
//! let both = n1.meet(&v1);
//! assert!(both.fits(&n1).is_ok() && both.fits(&v1).is_ok());
//! let why = v1.fits(&n1).unwrap_err();
//! assert_eq!(why.to_string(), "ID_AA64PFR0_EL1: field RAS asks for 0x2, 0x1 is there");
//! assert_eq!(n1.version().unwrap().to_string(), "Armv8.2-A");
//! ```

use super::aarch32::follow;
use super::requirement::{Duty, Requirement};
use super::rule::Rule;
use super::rules::RULES;
use super::version::Version;
use super::{
    AARCH32_FIELDS, FIELDS, Feature, Features, Field, IdError, IdRegisters, Kind, Reason, clauses_of,
};
use crate::feature::field::field;
use crate::sysreg::{CtrEl0, DczidEl0, MidrEl1, SysRegId, names};
use core::fmt;

/// The fields of `CTR_EL0`, which a guest may rely on as on those of the ID space. Arm ARM, CTR_EL0.
pub static CTR_FIELDS: &[Field] = &[
    field(names::CTR_EL0, "IminLine", 3, 0, Kind::Unsigned),
    // VPIPT, (reserved,) VIPT, PIPT: each asks for less maintenance than the one before.
    field(names::CTR_EL0, "L1Ip", 15, 14, Kind::Unsigned),
    field(names::CTR_EL0, "DminLine", 19, 16, Kind::Unsigned),
    field(names::CTR_EL0, "ERG", 23, 20, Kind::Reach),
    field(names::CTR_EL0, "CWG", 27, 24, Kind::Reach),
    field(names::CTR_EL0, "IDC", 28, 28, Kind::Unsigned),
    field(names::CTR_EL0, "DIC", 29, 29, Kind::Unsigned),
    field(names::CTR_EL0, "TminLine", 37, 32, Kind::Unsigned),
];

/// `CTR_EL0`\[31\] is RES1.
pub(super) const CTR_RES1: u64 = 1 << 31;

/// The fields of `DCZID_EL0`. Arm ARM, DCZID_EL0.
static DCZID_FIELDS: &[Field] =
    &[field(names::DCZID_EL0, "BS", 3, 0, Kind::Exact), field(names::DCZID_EL0, "DZP", 4, 4, Kind::Exact)];

/// The part that stands for no part: implementer 0 is reserved for software use, and the architecture is told by the
/// ID registers.
const NO_PART: MidrEl1 = MidrEl1::new().with_architecture(0xf);

/// What a processing element says about itself: a set of identification registers, as a value.
/// Arm ARM, "Principles of the ID scheme".
///
/// Holding one proves nothing; one that comes out of [`CpuModel::sanitised`] or [`CpuModel::meet`] has no reserved bit
/// and no feature without those it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuModel {
    ids: IdRegisters,
}

impl CpuModel {
    /// Takes registers as they are.
    #[must_use]
    pub const fn new(ids: IdRegisters) -> Self {
        Self { ids }
    }

    /// Returns the registers.
    #[must_use]
    pub const fn ids(&self) -> &IdRegisters {
        &self.ids
    }

    /// Returns the features that the registers announce. `data/id_fields.tsv`, `data/features.tsv`.
    #[must_use]
    pub fn features(&self) -> Features {
        Features::of(&self.ids)
    }

    /// Returns the newest version of the architecture all of whose mandatory features are announced, as far as ID
    /// registers show them; `None` where not even those of Armv8.0-A are. `data/features.tsv`, mandatory_when.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        let features = self.features();
        Version::NEWEST_FIRST.into_iter().find(|version| Duty::missing(&features, *version).next().is_none())
    }

    /// Returns the model with reserved bits as they read, and without features that lack one they need: of those, the
    /// field is lowered until it no longer announces them. Nothing is ever raised.
    /// Arm ARM, "Principles of the ID scheme".
    ///
    /// A need that the absence of another feature would meet stays ([`unmet`](Self::unmet) tells it): lowering could
    /// then not be the greatest model below this one.
    #[must_use]
    pub fn sanitised(&self) -> Self {
        let mut model = *self;
        model.sanitise();
        model
    }

    /// Makes the model [`sanitised`](Self::sanitised), where it lies. Arm ARM, "Principles of the ID scheme".
    pub fn sanitise(&mut self) {
        self.clear_reserved();
        let features = close(&mut self.ids);
        follow(&mut self.ids, &features);
    }

    #[inline(never)]
    fn clear_reserved(&mut self) {
        let given = self.ids;
        let ids = &mut self.ids;
        (ids.space, ids.aarch32) = ([0; 32], [0; 24]);
        for field in given.fields() {
            ids.put(field, given.field(field));
        }
        let ctr = CTR_FIELDS.iter().fold(CTR_RES1, |ctr, f| f.put(ctr, f.of(given.ctr.into_bits())));
        ids.ctr = CtrEl0::from_bits(ctr);
        ids.dczid = DczidEl0::from_bits(given.dczid.into_bits() & 0x1f);
    }

    /// Returns the greatest model that is below both: what a guest may rely on that must run on either.
    /// Arm ARM, "Principles of the ID scheme".
    ///
    /// Associative, commutative, and idempotent on what is sanitised. Where the parts differ, the result is no part;
    /// where the caches differ, it describes none; where DC ZVA differs, it prohibits it.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let mut both = *self;
        both.lower_to(other);
        both
    }

    /// Makes the model the [`meet`](Self::meet) of itself and another, where it lies: models are large.
    /// Arm ARM, "Principles of the ID scheme".
    pub fn lower_to(&mut self, other: &Self) {
        self.meet_fields(other);
        self.sanitise();
    }

    #[inline(never)]
    fn meet_fields(&mut self, other: &Self) {
        let (given, b) = (self.ids, &other.ids);
        let (a, ids) = (&given, &mut self.ids);
        *ids = IdRegisters::NONE;
        ids.put_meet(a, b);
        let (left, right) = (a.ctr.into_bits(), b.ctr.into_bits());
        let ctr = CTR_FIELDS.iter().fold(0, |ctr, f| f.put(ctr, f.meet(f.of(left), f.of(right))));
        ids.ctr = CtrEl0::from_bits(ctr);
        ids.dczid = if a.dczid.bs() == b.dczid.bs() {
            a.dczid.with_dzp(a.dczid.dzp() || b.dczid.dzp())
        } else {
            DczidEl0::new().with_dzp(true)
        };
        ids.midr = NO_PART;
        if (a.midr, a.revidr, a.aidr) == (b.midr, b.revidr, b.aidr) {
            (ids.midr, ids.revidr, ids.aidr) = (a.midr, a.revidr, a.aidr);
        }
        if caches(a) == caches(b) {
            (ids.clidr, ids.ccsidr_l1, ids.ccsidr_l1i, ids.ccsidr_l2) = caches(a);
        }
    }

    /// Checks that a guest which was told this model can run on a host.
    /// Arm ARM, "Principles of the ID scheme".
    ///
    /// Part numbers and the description of caches are not compared: they can be shown to a guest as one likes.
    ///
    /// # Errors
    ///
    /// Names the first field that asks for more than there is; [`CpuModel::misfits`] names all.
    pub fn fits(&self, host: &Self) -> Result<(), IdError> {
        self.misfits(host).next().map_or(Ok(()), Err)
    }

    /// Returns every field that asks for more than a host has, by register. Arm ARM, "Principles of the ID scheme".
    pub fn misfits(&self, host: &Self) -> impl Iterator<Item = IdError> {
        let (guest, host) = (self.ids, host.ids);
        let zva = guest.dczid.dzp() || guest.dczid.into_bits() & 0x1f == host.dczid.into_bits() & 0x1f;
        guest.fields().chain(CTR_FIELDS).chain(if zva { &[] } else { DCZID_FIELDS }).filter_map(
            move |field| {
                let (wanted, limit) = (guest.field(field), host.field(field));
                let reason = Reason::Field { field, wanted, limit };
                (!field.fits(wanted, limit)).then_some(IdError { register: field.register, reason })
            },
        )
    }

    /// Checks a value that a user wants a register of a guest to have, where `self` is the most there may be and `now`
    /// what the guest's other registers hold; returns `now` with that value. Arm ARM, "Principles of the ID scheme".
    ///
    /// # Errors
    ///
    /// Names what is wrong: a register that is not in the set or not writable, a reserved bit, a field that asks for
    /// more than there is, or a feature that would lack one it needs although it did not before.
    pub fn check_write(&self, now: &Self, register: SysRegId, value: u64) -> Result<Self, WriteError> {
        self.ids.check_write(register, value).map_err(WriteError::Limit)?;
        let mut next = *now;
        if next.ids.set(register, value) {
            let (before, after) = (now.features(), next.features());
            let fresh = |r: &&'static Requirement| !Requirement::unmet(&before).any(|old| old == *r);
            if let Some(requirement) = Requirement::unmet(&after).find(fresh) {
                return Err(WriteError::Unmet { register, requirement });
            }
        }
        Ok(next)
    }

    /// Returns the requirements between features that the model does not meet. `data/features.tsv`, requires.
    pub fn unmet(&self) -> impl Iterator<Item = &'static Requirement> {
        let features = self.features();
        // An iterator over the table that owns the features it asks.
        Requirement::all().iter().filter(move |requirement| requirement.is_unmet(&features))
    }

    /// Returns what the model lacks to comply with a version, as far as ID registers show it.
    /// `data/features.tsv`, mandatory_when.
    pub fn missing_for(&self, version: Version) -> impl Iterator<Item = Feature> {
        let features = self.features();
        Duty::all().iter().filter(move |duty| duty.is_missing(&features, version)).map(|duty| duty.feature)
    }

    /// Returns each field in which two models differ, by register.
    pub fn diff(&self, other: &Self) -> impl Iterator<Item = Difference> {
        let (left, right) = (self.ids, other.ids);
        FIELDS.iter().chain(AARCH32_FIELDS).chain(CTR_FIELDS).chain(DCZID_FIELDS).filter_map(move |field| {
            let (left, right) = (left.field(field), right.field(field));
            (left != right).then_some(Difference { field, left, right })
        })
    }

    /// Returns the model as text for a person: version, features, and what does not go together.
    #[must_use]
    pub const fn explain(&self) -> Explanation<'_> {
        Explanation { model: self }
    }
}

/// The description of the caches.
const fn caches(ids: &IdRegisters) -> (u64, u64, u64, u64) {
    (ids.clidr, ids.ccsidr_l1, ids.ccsidr_l1i, ids.ccsidr_l2)
}

/// Lowers fields until no feature lacks another it needs; returns the features that are left.
///
/// Only requirements without a negation count: for those the order does not matter, the result is the greatest below
/// the argument. Each step lowers a field, so there are no more steps than values.
fn close(ids: &mut IdRegisters) -> Features {
    loop {
        let features = Features::of(ids);
        let mut lowered = false;
        for requirement in Requirement::unmet(&features).filter(|r| r.is_positive()) {
            for clause in clauses_of(requirement.feature) {
                if clause.iter().all(|rule| rule.holds(ids)) {
                    // The last test is the one of the feature's own field.
                    lowered |= clause.iter().rev().any(|rule| rule.lower(ids));
                }
            }
        }
        if !lowered {
            return features;
        }
    }
}

/// A model with a name, to start from: a row of `data/cpu_models.tsv` for each register.
#[derive(Clone, Copy, Debug)]
pub struct NamedModel {
    /// The name, as emulators spell it.
    pub name: &'static str,
    /// Where the values come from.
    pub source: &'static str,
    /// The model.
    pub model: CpuModel,
}

impl NamedModel {
    /// Returns the model of this name, as `cortex-a57`; `None` if there is none. `data/cpu_models.tsv`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        super::models::MODELS.iter().find(|model| model.name == name)
    }
}

/// Why a value of a register of a guest's model is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// The value is not within the limit.
    Limit(IdError),
    /// A feature would lack another that it needs.
    Unmet {
        /// The register written.
        register: SysRegId,
        /// What is needed.
        requirement: &'static Requirement,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(error) => write!(f, "{error}"),
            Self::Unmet { register, requirement } => match register_name(*register) {
                Some(name) => write!(f, "{name}: {requirement}"),
                None => write!(f, "{register}: {requirement}"),
            },
        }
    }
}

impl core::error::Error for WriteError {}

/// A field in which two models differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The field.
    pub field: &'static Field,
    /// Its value in the first.
    pub left: u64,
    /// Its value in the second.
    pub right: u64,
}

impl Difference {
    /// Returns the features that this field announces in one of the two and not in the other, as far as it alone does.
    /// `data/id_fields.tsv`.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        let Self { field, left, right } = *self;
        let decides = move |rule: &Rule| rule.is_of(field) && rule.passes(left) != rule.passes(right);
        let mut last = None;
        let rules = RULES.iter().filter(move |rule| decides(rule)).map(|rule| rule.feature);
        // Rows of one feature stand together.
        rules.filter(move |feature| last.replace(*feature) != Some(*feature))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, left, right } = self;
        match register_name(field.register) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{}", field.register)?,
        }
        write!(f, ".{}: {left:#x} and {right:#x}", field.name)?;
        for (number, feature) in self.features().enumerate() {
            write!(f, "{} {feature}", if number == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// A model as text. `{}` is one line; `{:#}` lists features, and what is amiss, below it.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    model: &'a CpuModel,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, features) = (self.model, self.model.features());
        match model.version() {
            Some(version) => write!(f, "{version}")?,
            None => f.write_str("no version of the architecture")?,
        }
        write!(f, ", {} features, part {:#010x}", features.iter().count(), model.ids.midr.into_bits())?;
        if !f.alternate() {
            return Ok(());
        }
        f.write_str("\n ")?;
        for feature in features.iter() {
            write!(f, " {feature:?}")?;
        }
        for requirement in model.unmet() {
            write!(f, "\n  amiss: {requirement}")?;
        }
        Ok(())
    }
}

/// Returns the manual's name of a register in which a field of a model lies.
pub(super) fn register_name(id: SysRegId) -> Option<&'static str> {
    NAMES.iter().find(|(register, _)| *register == id).map(|(_, name)| *name)
}

/// The registers that have fields here.
#[rustfmt::skip]
static NAMES: &[(SysRegId, &str)] = &[
    (names::ID_AA64PFR0_EL1, "ID_AA64PFR0_EL1"), (names::ID_AA64PFR1_EL1, "ID_AA64PFR1_EL1"),
    (names::ID_AA64PFR2_EL1, "ID_AA64PFR2_EL1"), (names::ID_AA64ZFR0_EL1, "ID_AA64ZFR0_EL1"),
    (names::ID_AA64SMFR0_EL1, "ID_AA64SMFR0_EL1"), (names::ID_AA64FPFR0_EL1, "ID_AA64FPFR0_EL1"),
    (names::ID_AA64DFR0_EL1, "ID_AA64DFR0_EL1"), (names::ID_AA64DFR1_EL1, "ID_AA64DFR1_EL1"),
    (names::ID_AA64DFR2_EL1, "ID_AA64DFR2_EL1"), (names::ID_AA64AFR0_EL1, "ID_AA64AFR0_EL1"),
    (names::ID_AA64AFR1_EL1, "ID_AA64AFR1_EL1"), (names::ID_AA64ISAR0_EL1, "ID_AA64ISAR0_EL1"),
    (names::ID_AA64ISAR1_EL1, "ID_AA64ISAR1_EL1"), (names::ID_AA64ISAR2_EL1, "ID_AA64ISAR2_EL1"),
    (names::ID_AA64ISAR3_EL1, "ID_AA64ISAR3_EL1"), (names::ID_AA64MMFR0_EL1, "ID_AA64MMFR0_EL1"),
    (names::ID_AA64MMFR1_EL1, "ID_AA64MMFR1_EL1"), (names::ID_AA64MMFR2_EL1, "ID_AA64MMFR2_EL1"),
    (names::ID_AA64MMFR3_EL1, "ID_AA64MMFR3_EL1"), (names::ID_AA64MMFR4_EL1, "ID_AA64MMFR4_EL1"),
    (names::CTR_EL0, "CTR_EL0"), (names::DCZID_EL0, "DCZID_EL0"),
    (names::ID_PFR0_EL1, "ID_PFR0_EL1"), (names::ID_PFR1_EL1, "ID_PFR1_EL1"), (names::ID_PFR2_EL1, "ID_PFR2_EL1"),
    (names::ID_DFR0_EL1, "ID_DFR0_EL1"), (names::ID_DFR1_EL1, "ID_DFR1_EL1"), (names::ID_AFR0_EL1, "ID_AFR0_EL1"),
    (names::ID_MMFR0_EL1, "ID_MMFR0_EL1"), (names::ID_MMFR1_EL1, "ID_MMFR1_EL1"),
    (names::ID_MMFR2_EL1, "ID_MMFR2_EL1"), (names::ID_MMFR3_EL1, "ID_MMFR3_EL1"),
    (names::ID_MMFR4_EL1, "ID_MMFR4_EL1"), (names::ID_MMFR5_EL1, "ID_MMFR5_EL1"),
    (names::ID_ISAR0_EL1, "ID_ISAR0_EL1"), (names::ID_ISAR1_EL1, "ID_ISAR1_EL1"),
    (names::ID_ISAR2_EL1, "ID_ISAR2_EL1"), (names::ID_ISAR3_EL1, "ID_ISAR3_EL1"),
    (names::ID_ISAR4_EL1, "ID_ISAR4_EL1"), (names::ID_ISAR5_EL1, "ID_ISAR5_EL1"),
    (names::ID_ISAR6_EL1, "ID_ISAR6_EL1"), (names::MVFR0_EL1, "MVFR0_EL1"), (names::MVFR1_EL1, "MVFR1_EL1"),
    (names::MVFR2_EL1, "MVFR2_EL1"),
];
