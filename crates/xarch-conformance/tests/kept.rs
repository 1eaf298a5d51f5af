//! A host that keeps every clause, whose guest architecture the contract has never heard of.
#![allow(clippy::panic, reason = "test code")]

mod riscv;

use riscv::Toy;
use xarch_conformance::{CLAUSES, Party, Report, Verdict, check};

#[test]
fn every_clause_of_a_host_is_kept() {
    let mut report = Report::default();
    let summary = check(&Toy::new(), |clause, verdict| report.note(clause, *verdict));
    println!("{report}");
    for (clause, verdict) in report.verdicts() {
        assert!(matches!(verdict, Verdict::Kept), "{clause}: {verdict}");
    }
    let all = CLAUSES.iter().filter(|clause| clause.owed_by != Party::Platform).count();
    assert_eq!(usize::try_from(summary.kept), Ok(all));
    assert_eq!(summary, report.summary());
}

#[test]
fn names_are_unique_and_sentences_end_without_a_stop() {
    for (place, clause) in CLAUSES.iter().enumerate() {
        assert!(CLAUSES.iter().skip(place + 1).all(|other| other.name != clause.name), "{}", clause.name);
        assert!(clause.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", clause.name);
        assert!(!clause.text.ends_with('.') && clause.text.len() < 130, "{}", clause.name);
    }
}

/// The list in the documentation is this one.
#[test]
fn the_documentation_lists_every_clause() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/abi.md");
    // A published crate has no such page.
    let Ok(page) = std::fs::read_to_string(page) else { return };
    for clause in &CLAUSES {
        let row = format!("| `{}` | {} | {} |", clause.name, clause.owed_by, clause.text);
        assert!(page.contains(&row), "docs/abi.md lacks: {row}");
    }
}
