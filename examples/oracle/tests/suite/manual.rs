//! The examples of `docs/oracle.md` are what the program does.

use crate::program::repository;
use std::path::Path;
use std::process::Command;

/// A command and what it prints, standard error included.
struct Example {
    line: usize,
    command: String,
    output: String,
}

/// Finds `$ command` in the fenced blocks; a backslash at the end continues it.
fn examples(text: &str) -> Vec<Example> {
    let mut all: Vec<Example> = Vec::new();
    let (mut fenced, mut open) = (false, false);
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with("```") {
            fenced = line == "```console";
            open = false;
        } else if fenced && let Some(command) = line.strip_prefix("$ ") {
            open = command.ends_with('\\');
            all.push(Example { line: number, command: command.into(), output: String::new() });
        } else if fenced {
            let last = all.last_mut().expect("a block starts with a command");
            let part = if open { &mut last.command } else { &mut last.output };
            part.push('\n');
            part.push_str(line);
            open &= line.ends_with('\\');
        }
    }
    all
}

/// Commands whose words come from the tables of other crates: of these the numbers count.
const WORDED_ELSEWHERE: [&str; 4] =
    ["oracle translate", "oracle esr", "oracle sysreg", "oracle pte 0x400007fd"];

/// Returns the numbers of an output in their order: values, bits, levels.
fn numbers(text: &str) -> Vec<&str> {
    let is_number =
        |word: &&str| word.trim_start_matches('[').starts_with(|first: char| first.is_ascii_digit());
    text.split_whitespace().filter(is_number).collect()
}

#[test]
fn every_example_prints_what_the_manual_says() {
    let text = std::fs::read_to_string(repository("docs/oracle.md")).unwrap();
    let examples = examples(&text);
    assert!(examples.len() >= 10, "{}", examples.len());
    let directory = Path::new(env!("CARGO_BIN_EXE_oracle")).parent().unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    for example in examples {
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {}\n}} 2>&1", example.command)])
            .env("PATH", &path)
            .current_dir(repository(""))
            .output()
            .unwrap();
        let got = String::from_utf8(output.stdout).unwrap();
        let place = format!("docs/oracle.md:{}: {}", example.line, example.command);
        if WORDED_ELSEWHERE.iter().any(|start| example.command.starts_with(start)) {
            assert_eq!(numbers(&got), numbers(&example.output), "{place}\n{got}");
        } else {
            assert_eq!(got.trim_end(), example.output.trim(), "{place}");
        }
    }
}
