//! Whether a file cites a section of the Arm manual by its number. Another issue of the manual counts its sections
//! otherwise, and who has that one finds something else; a name can be looked up.

use super::MANUAL;
use crate::{checks, shell};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The files that are looked at: Rust, C, assembly and Markdown.
const KINDS: [&str; 5] = ["*.rs", "*.c", "*.h", "*.S", "*.md"];

/// Returns how many files were looked at, and a line for each number.
pub(super) fn check(root: &Path) -> Result<(usize, Vec<String>), String> {
    let files = tracked_files(root)?;
    let mut found = Vec::new();
    for name in &files {
        let text = checks::read(&root.join(name))?;
        let numbers = numbers_cited(&text, name.ends_with(".md"));
        found.extend(numbers.iter().map(|(line, number)| {
            format!(
                "{name}:{line}: {number} of the {MANUAL} is another section in another issue: cite a name"
            )
        }));
    }
    Ok((files.len(), found))
}

/// The files of [`KINDS`] that belong to the repository, from its root.
fn tracked_files(root: &Path) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    let names = shell::output(git.current_dir(root).args(["ls-files", "-z", "--"]).args(KINDS))?;
    // What is deleted and not committed yet is still listed.
    let is_there = |name: &&str| root.join(name).is_file();
    let names: Vec<String> =
        names.split('\0').filter(|name| !name.is_empty()).filter(is_there).map(String::from).collect();
    if names.is_empty() { Err("git lists no file of the repository".into()) } else { Ok(names) }
}

/// The numbers of sections in what a text cites of [`MANUAL`], each with its line: all up to the end of the sentence, but
/// for what stands between quotation marks. What a Markdown file shows between fences is a program's, not looked at here.
fn numbers_cited(text: &str, is_markdown: bool) -> Vec<(usize, &str)> {
    let mut found = BTreeSet::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut is_fenced = false;
    for (index, line) in lines.iter().enumerate() {
        is_fenced ^= is_markdown && line.trim_start().starts_with("```");
        if is_fenced {
            continue;
        }
        for (at, _) in line.match_indices(MANUAL) {
            let behind = [&line[at + MANUAL.len()..]].into_iter();
            let rest = lines[index + 1..].iter().map_while(|line| continued(line, is_markdown));
            let numbered = (index + 1..).zip(behind.chain(rest));
            found.extend(numbers_in_sentence(numbered));
        }
    }
    found.into_iter().collect()
}

/// The text of a line that goes on with a comment, or with a paragraph of Markdown.
fn continued(line: &str, is_markdown: bool) -> Option<&str> {
    let line = line.trim();
    let comment = ["//!", "///", "//", "* "].iter().find_map(|mark| line.strip_prefix(mark));
    comment.or(is_markdown.then_some(line)).filter(|text| !text.is_empty() && !text.starts_with("```"))
}

/// The numbers of sections in numbered lines, up to the end of the sentence.
fn numbers_in_sentence<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let (mut is_first, mut is_quoted) = (true, false);
    for (number, line) in lines {
        for word in line.split_whitespace() {
            let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_title = is_quoted || word.starts_with(['"', '\'']);
            // Only right behind the manual's name a chapter can be told from a register: D9, B0.
            if !is_title && is_section(name) && (is_first || name.contains('.')) {
                found.push((number, name));
            }
            is_first &= name.is_empty() || name == "chapter" || name == "section";
            is_quoted ^= word.matches('"').count() % 2 == 1;
            if !is_quoted && word.ends_with('.') {
                return found;
            }
        }
    }
    found
}

/// Whether a word is the number of a section, which another issue of the manual gives to another: `D8`, `D8.2.4`.
pub(super) fn is_section(word: &str) -> bool {
    let number = word.strip_prefix(|c: char| ('A'..='K').contains(&c)).unwrap_or_default();
    let is_count = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    number.split('.').all(is_count) && !["A32", "A64"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_section_is_found_wherever_it_stands_in_a_citation() {
        // `~` is the manual, so that these lines are not found themselves.
        const CASES: &[(&str, &[(usize, &str)])] = &[
            ("/// Does. ~ D8.2.4.", &[(1, "D8.2.4")]),
            ("/// Does. ~ C4, \"Advanced SIMD copy\".", &[(1, "C4")]),
            ("/// Does. ~, K1.1 and the notes.", &[(1, "K1.1")]),
            ("/// Does. ~ \u{a7}D9.", &[(1, "D9")]),
            ("/// Does. ~, chapter C6.", &[(1, "C6")]),
            ("// Before (~ D7.5): after.", &[(1, "D7.5")]),
            ("/// ~, AArch64.FullTranslate, D8.5.", &[(1, "D8.5")]),
            ("/// ~ D8.2 and D8.3, read.", &[(1, "D8.2"), (1, "D8.3")]),
            ("    \"~ B2.7\",", &[(1, "B2.7")]),
            ("fn f() {} // ~ B2.7", &[(1, "B2.7")]),
            ("\n//! Ends ~,\n//! D8.17.", &[(3, "D8.17")]),
            ("/* Ends ~\n * D8.17. */", &[(2, "D8.17")]),
            ("/// Two: ~ D8.1; ~ D8.2.", &[(1, "D8.1"), (1, "D8.2")]),
            ("/// ~, SCTLR_EL1.EE.", &[]),
            ("/// ~, DC ZVA.", &[]),
            ("/// ~, A64 instructions, A32.", &[]),
            ("/// ~, \"The D1.3 of old\".", &[]),
            ("/// ~, LD1 of D0 and B0.", &[]),
            ("/// ~, E2H.", &[]),
            ("/// ~, SCTLR_EL1. Then D8.5 of something else.", &[]),
            ("/// ~,\nlet a = D8.5;", &[]),
            ("/// ~,\n\n/// D8.5", &[]),
            ("/// GIC D8.5, PoP ch. 3.", &[]),
        ];
        for (text, want) in CASES {
            assert_eq!(numbers_cited(&text.replace('~', MANUAL), false), *want, "{text}");
        }
    }

    #[test]
    fn a_table_or_paragraph_of_markdown_cites_no_number_but_a_program_it_shows_may() {
        let found = |text: &str| numbers_cited(&text.replace('~', MANUAL), true).len();
        assert_eq!(found("| a | faults (~ B2.7) | b |\n"), 1);
        assert_eq!(found("As ~\nD8.3 has it.\n"), 1);
        assert_eq!(found("As ~\n\nD8.3 has it.\n"), 0);
        assert_eq!(found("```console\n$ a\n~ D8.3\n```\n"), 0);
        assert_eq!(found("```console\n$ a\n```\nAs ~ D8.3 has it.\n"), 1);
    }

    #[test]
    fn the_files_that_are_looked_at_are_those_of_the_repository() {
        let files = tracked_files(&shell::root()).unwrap();
        for name in ["README.md", "xtask/src/citations.rs", "docs/oracle.md"] {
            assert!(files.iter().any(|file| file == name), "{name}");
        }
        assert!(files.iter().all(|file| KINDS.iter().any(|kind| file.ends_with(&kind[1..]))));
    }
}
