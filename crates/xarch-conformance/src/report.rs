//! What a check says: a verdict for each clause.

use crate::clauses::{CLAUSES, Clause};
use crate::text::Text;
use core::fmt;

/// Whether a clause is kept.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// It is, as far as was seen.
    Kept,
    /// It is not: what was seen.
    Broken(Text),
    /// It could not be asked: why.
    NotApplicable(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Broken(seen) => write!(f, "BROKEN: {seen}"),
            Self::NotApplicable(reason) => write!(f, "not applicable: {reason}"),
        }
    }
}

/// How many clauses were kept, broken and not applicable.
#[must_use]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Kept.
    pub kept: u32,
    /// Broken.
    pub broken: u32,
    /// Not applicable.
    pub not_applicable: u32,
}

impl Summary {
    /// Returns the summary with one more verdict.
    pub const fn with(self, verdict: &Verdict) -> Self {
        let Self { kept, broken, not_applicable } = self;
        match verdict {
            Verdict::Kept => Self { kept: kept.saturating_add(1), ..self },
            Verdict::Broken(_) => Self { broken: broken.saturating_add(1), ..self },
            Verdict::NotApplicable(_) => Self { not_applicable: not_applicable.saturating_add(1), ..self },
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, broken, not_applicable } = self;
        write!(f, "{kept} kept, {broken} broken, {not_applicable} not applicable")
    }
}

/// All verdicts, to look at them later. Some 10 KiB: who has less takes them one by one, from
/// [`check`](crate::check).
#[derive(Clone, Copy, Debug)]
pub struct Report {
    verdicts: [Option<Verdict>; CLAUSES.len()],
}

impl Default for Report {
    fn default() -> Self {
        Self { verdicts: [None; CLAUSES.len()] }
    }
}

impl Report {
    /// Notes a verdict.
    pub fn note(&mut self, clause: &Clause, verdict: Verdict) {
        let place = CLAUSES.iter().position(|known| known.name == clause.name);
        if let Some(place) = place.and_then(|place| self.verdicts.get_mut(place)) {
            *place = Some(verdict);
        }
    }

    /// Returns the verdicts that were noted.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static Clause, &Verdict)> {
        let pairs = CLAUSES.iter().zip(&self.verdicts);
        pairs.filter_map(|(clause, verdict)| verdict.as_ref().map(|verdict| (clause, verdict)))
    }

    /// Returns the verdict on the clause of that name, if it was asked about.
    #[must_use]
    pub fn verdict(&self, name: &str) -> Option<&Verdict> {
        self.verdicts().find(|(clause, _)| clause.name == name).map(|(_, verdict)| verdict)
    }

    /// Returns the clauses that are broken, with what was seen.
    pub fn broken(&self) -> impl Iterator<Item = (&'static Clause, &Text)> {
        self.verdicts().filter_map(|(clause, verdict)| match verdict {
            Verdict::Broken(seen) => Some((clause, seen)),
            Verdict::Kept | Verdict::NotApplicable(_) => None,
        })
    }

    /// Returns how many there are of each.
    pub fn summary(&self) -> Summary {
        self.verdicts().fold(Summary::default(), |summary, (_, verdict)| summary.with(verdict))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (clause, verdict) in self.verdicts() {
            writeln!(f, "{:<36} {verdict}", clause.name)?;
            if matches!(verdict, Verdict::Broken(_)) {
                writeln!(f, "{:<36} ({}: {})", "", clause.owed_by, clause.text)?;
            }
        }
        writeln!(f, "{}", self.summary())
    }
}

/// How a check ends that does not simply find its clause kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Broken(Text),
    NotApplicable(&'static str),
}

pub(crate) type Checked = Result<(), Ended>;

/// Ends a check with what was seen.
macro_rules! broken {
    ($($text:tt)*) => {
        return Err($crate::report::Ended::Broken($crate::text::Text::new(format_args!($($text)*))))
    };
}

/// Ends a check with what was seen, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            $crate::report::broken!($($text)*);
        }
    };
}

pub(crate) use {broken, ensure};

impl From<Checked> for Verdict {
    fn from(checked: Checked) -> Self {
        match checked {
            Ok(()) => Self::Kept,
            Err(Ended::Broken(seen)) => Self::Broken(seen),
            Err(Ended::NotApplicable(reason)) => Self::NotApplicable(reason),
        }
    }
}
