//! The part of `cargo xtask generate` that turns the conditions of `data/features.tsv` into clauses.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{BANNER, Output, Table};

/// A condition: features, versions of the architecture, and what joins them.
#[derive(Clone, Debug)]
enum Expr {
    Atom(String),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

/// A condition or its contrary; sorts with its name.
type Literal = (String, bool);
/// Of one disjunction or conjunction.
type Literals = BTreeSet<Literal>;

/// Joints from the loosest to the tightest. ` & ` and ` | ` join what the source states separately.
const JOINTS: &[(&str, bool)] = &[(" | ", false), (" & ", true)];

fn parse(text: &str) -> Result<Expr, String> {
    for (joint, all) in JOINTS {
        let parts = super::split_outside(text, joint);
        if parts.len() > 1 {
            let parts = parts.into_iter().map(parse).collect::<Result<_, _>>()?;
            return Ok(if *all { Expr::And(parts) } else { Expr::Or(parts) });
        }
    }
    if let [condition, then] = super::split_outside(text, " implies ")[..] {
        return Ok(Expr::Or(vec![Expr::Not(Box::new(parse(condition)?)), parse(then)?]));
    }
    tight(super::strip_parentheses(text.trim()))
}

fn tight(text: &str) -> Result<Expr, String> {
    for (joint, all) in [("||", false), ("&&", true)] {
        let parts = super::split_outside(text, joint);
        if parts.len() > 1 {
            let parts = parts.into_iter().map(|part| tight(super::strip_parentheses(part)));
            let parts = parts.collect::<Result<_, _>>()?;
            return Ok(if all { Expr::And(parts) } else { Expr::Or(parts) });
        }
    }
    if let Some(rest) = text.strip_prefix('!') {
        return Ok(Expr::Not(Box::new(tight(super::strip_parentheses(rest))?)));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // What names fields of registers outside the processing element is not a feature; it stays unknown.
    Ok(Expr::Atom(if text.chars().all(is_name) { text.into() } else { "?".into() }))
}

/// Brings a condition into conjunctive (`outer`) or disjunctive form.
fn normal(expr: &Expr, positive: bool, outer: bool) -> Vec<Literals> {
    let (parts, joins) = match expr {
        Expr::Atom(name) => return vec![BTreeSet::from([(name.clone(), positive)])],
        Expr::Not(inner) => return normal(inner, !positive, outer),
        Expr::And(parts) => (parts, positive),
        Expr::Or(parts) => (parts, !positive),
    };
    let mut sides = parts.iter().map(|part| normal(part, positive, outer));
    if joins == outer {
        return sides.flatten().collect();
    }
    let first = sides.next().unwrap_or_default();
    sides.fold(first, |left, right| {
        let pairs = left.iter().flat_map(|l| right.iter().map(move |r| l | r));
        pairs.collect()
    })
}

/// Turns `v8Ap4` into the name of a version.
fn version(atom: &str) -> Option<String> {
    let (major, minor) = atom.strip_prefix('v')?.split_once("Ap")?;
    Some(format!("V{major}_{minor}"))
}

/// Writes terms; `None` where one of them is not known to ID registers.
fn terms(literals: &Literals, features: &[String]) -> Option<Vec<String>> {
    let term = |(name, positive): &Literal| {
        if let Some(version) = version(name) {
            return positive
                .then(|| format!("Since({version})"))
                .or_else(|| Some(format!("Before({version})")));
        }
        let known = features.iter().find(|feature| *feature == name)?;
        let variant = known.trim_start_matches("FEAT_");
        Some(format!("{}(F::{variant})", if *positive { "Has" } else { "Lacks" }))
    };
    literals.iter().map(term).collect()
}

/// The clauses that each feature needs, and when each is mandatory. `features` are those that ID registers announce.
pub fn output(table: &Table, features: &[String]) -> Result<Output, String> {
    let (name, needs, when) =
        (table.column("feature")?, table.column("requires")?, table.column("mandatory_when")?);
    let mut text = format!(
        "//! What features need, and since when they are mandatory. `data/features.tsv`.\n{BANNER}\n\
         use super::names::Feature as F;\n\
         use super::requirement::Term::{{Before, Has, Lacks, Since}};\n\
         use super::requirement::{{Duty, Requirement, duty, needs}};\n\
         use super::version::Version::*;\n\n\
         /// By feature: one of the terms must hold.\n#[rustfmt::skip]\n\
         pub(super) static REQUIREMENTS: &[Requirement] = &[\n"
    );
    let mut duties = String::from(
        "\n/// By feature: mandatory where all terms hold.\n#[rustfmt::skip]\n\
         pub(super) static DUTIES: &[Duty] = &[\n",
    );
    let mut rows: Vec<_> = table.rows.iter().filter(|row| features.contains(&row[name])).collect();
    rows.sort_by_key(|row| &row[name]);
    for row in rows {
        let variant = row[name].trim_start_matches("FEAT_");
        if row[needs] != "-" {
            for mut clause in normal(&parse(&row[needs])?, true, true) {
                // That the feature is there is why one asks.
                clause.remove(&(row[name].clone(), false));
                let vacuous = clause.iter().any(|(atom, yes)| *yes && *atom == row[name]);
                if let Some(terms) = terms(&clause, features).filter(|_| !vacuous) {
                    let _ = writeln!(text, "    needs(F::{variant}, &[{}]),", terms.join(", "));
                }
            }
        }
        if row[when] != "-" {
            for clause in normal(&parse(&row[when])?, true, false) {
                if let Some(terms) = terms(&clause, features) {
                    let _ = writeln!(duties, "    duty(F::{variant}, &[{}]),", terms.join(", "));
                }
            }
        }
    }
    text.push_str("];\n");
    duties.push_str("];\n");
    Ok(("crates/arm-arch/src/feature/requirements.rs".into(), text + &duties))
}
