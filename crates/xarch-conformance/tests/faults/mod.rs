//! What both tests of broken parties do: a fault at a time, and its clause is broken, and no other.

use std::fmt::Debug;
use xarch_conformance::{CLAUSES, Party, Report, Verdict};

/// Returns what is broken that should not be, or the other way round.
fn wrong<F: Debug>(fault: F, clause: &str, may_follow: &[&str], report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    for (broken, seen) in report.broken() {
        println!("{fault:?} breaks {}: {seen}", broken.name);
        if broken.name != clause && !may_follow.contains(&broken.name) {
            wrong.push(format!("{fault:?} breaks {}: {seen}", broken.name));
        }
    }
    if !matches!(report.verdict(clause), Some(Verdict::Broken(_))) {
        wrong.push(format!("{fault:?} does not break {clause}"));
    }
    assert!(report.to_string().contains(clause), "the report names the clause");
    wrong
}

/// Asks for a report on each fault, with little patience first: much of what is broken does nothing where something is
/// waited for. A machine with too much to do may break another clause by that; what patience mends was not broken.
pub fn each_breaks_its_clause<F: Copy + Debug>(
    cases: &[(F, &str, &[&str])],
    patience: [u64; 2],
    report: impl Fn(F, u64) -> Report,
) {
    for (fault, clause, may_follow) in cases {
        let mut seen = Vec::new();
        for patience in patience {
            seen = wrong(*fault, clause, may_follow, &report(*fault, patience));
            if seen.is_empty() {
                break;
            }
        }
        assert!(seen.is_empty(), "{}", seen.join("\n"));
    }
}

/// Checks that of the clauses that such parties owe each has a fault by which it is named.
pub fn every_clause_is_broken<F>(cases: &[(F, &str, &[&str])], is_owed_here: impl Fn(Party) -> bool) {
    let owed = CLAUSES.iter().filter(|clause| is_owed_here(clause.owed_by));
    let whole =
        owed.map(|clause| clause.name).filter(|name| cases.iter().all(|(_, clause, _)| clause != name));
    assert_eq!(whole.collect::<Vec<_>>(), Vec::<&str>::new(), "nobody breaks these");
}
