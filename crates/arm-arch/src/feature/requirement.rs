//! What features need of each other, and since when they are mandatory. `data/features.tsv`.

use super::requirements::{DUTIES, REQUIREMENTS};
use super::version::Version;
use super::{Feature, Features};
use core::fmt;

/// A condition on a processing element, of which requirements and duties are made.
/// `data/features.tsv`, requires and mandatory_when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    /// It has the feature.
    Has(Feature),
    /// It does not have the feature.
    Lacks(Feature),
    /// It complies with the version.
    Since(Version),
    /// It does not comply with the version.
    Before(Version),
}

impl Term {
    /// Whether the condition holds; `None` where it asks for a version, which ID registers do not tell.
    /// `data/features.tsv`, requires.
    #[must_use]
    pub fn holds(self, features: &Features) -> Option<bool> {
        match self {
            Self::Has(feature) => Some(features.has(feature)),
            Self::Lacks(feature) => Some(!features.has(feature)),
            Self::Since(_) | Self::Before(_) => None,
        }
    }

    /// Whether the condition holds for an element of a version.
    fn holds_for(self, features: &Features, version: Version) -> bool {
        match self {
            Self::Has(feature) => features.has(feature),
            Self::Lacks(feature) => !features.has(feature),
            Self::Since(least) => version.includes(least),
            Self::Before(limit) => !version.includes(limit),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Has(feature) => write!(f, "{feature}"),
            Self::Lacks(feature) => write!(f, "no {feature}"),
            Self::Since(version) => write!(f, "{version}"),
            Self::Before(version) => write!(f, "older than {version}"),
        }
    }
}

/// A feature is there only where one of the terms holds. A feature may have several requirements, and needs all.
/// `data/features.tsv`, requires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requirement {
    /// The feature.
    pub feature: Feature,
    /// The terms.
    pub any_of: &'static [Term],
}

/// Makes a row of the table.
pub(super) const fn needs(feature: Feature, any_of: &'static [Term]) -> Requirement {
    Requirement { feature, any_of }
}

impl Requirement {
    /// Returns those that a set of features does not meet. One that asks for a version counts as met.
    /// `data/features.tsv`, requires.
    pub fn unmet(features: &Features) -> impl Iterator<Item = &'static Self> + '_ {
        REQUIREMENTS.iter().filter(|requirement| requirement.is_unmet(features))
    }

    /// Whether the feature is there, and none of the terms holds; one that asks for a version counts as holding.
    /// `data/features.tsv`, requires.
    #[must_use]
    pub fn is_unmet(&self, features: &Features) -> bool {
        features.has(self.feature) && !self.any_of.iter().any(|term| term.holds(features).unwrap_or(true))
    }

    /// Whether all terms ask for a feature, so that more features cannot break it.
    pub(super) fn is_positive(&self) -> bool {
        self.any_of.iter().all(|term| matches!(term, Term::Has(_)))
    }

    /// Returns all requirements, by feature. `data/features.tsv`, requires.
    #[must_use]
    pub fn all() -> &'static [Self] {
        REQUIREMENTS
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs", self.feature)?;
        for (at, term) in self.any_of.iter().enumerate() {
            write!(f, "{} {term}", if at == 0 { "" } else { " or" })?;
        }
        Ok(())
    }
}

/// A feature is mandatory where all of the terms hold. `data/features.tsv`, mandatory_when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duty {
    /// The feature.
    pub feature: Feature,
    /// The terms.
    pub all_of: &'static [Term],
}

/// Makes a row of the table.
pub(super) const fn duty(feature: Feature, all_of: &'static [Term]) -> Duty {
    Duty { feature, all_of }
}

impl Duty {
    /// Returns what an element with these features lacks to comply with a version, as far as ID registers show it.
    /// `data/features.tsv`, mandatory_when.
    pub fn missing(features: &Features, version: Version) -> impl Iterator<Item = Feature> + '_ {
        DUTIES.iter().filter(move |duty| duty.is_missing(features, version)).map(|duty| duty.feature)
    }

    /// Whether the feature is mandatory for an element of a version, and not there.
    /// `data/features.tsv`, mandatory_when.
    #[must_use]
    pub fn is_missing(&self, features: &Features, version: Version) -> bool {
        let is_due = || self.all_of.iter().all(|term| term.holds_for(features, version));
        !features.has(self.feature) && is_due()
    }

    /// Returns all duties, by feature. `data/features.tsv`, mandatory_when.
    #[must_use]
    pub fn all() -> &'static [Self] {
        DUTIES
    }
}

impl Feature {
    /// Returns the version since which the feature is mandatory without further conditions; `None` if there is none.
    /// `data/features.tsv`, mandatory_when.
    #[must_use]
    pub fn mandatory_since(self) -> Option<Version> {
        DUTIES.iter().filter(|duty| duty.feature == self).find_map(|duty| match duty.all_of {
            [Term::Since(version)] => Some(*version),
            _ => None,
        })
    }

    /// Returns what the feature needs: all of them. `data/features.tsv`, requires.
    pub fn requirements(self) -> impl Iterator<Item = &'static Requirement> {
        REQUIREMENTS.iter().filter(move |requirement| requirement.feature == self)
    }
}

/// The manual's name: `FEAT_PAN`.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FEAT_{self:?}")
    }
}
