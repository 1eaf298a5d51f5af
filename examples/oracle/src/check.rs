//! `oracle check`: files of test vectors.

use crate::arm::translate;
use crate::input;
use crate::z::dat;
use crate::{Answer, Error};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use testkit::vectors::dat::{File, Wrong};
use testkit::vectors::vmsa;

/// What was found.
#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
}

/// The most that a compressed file may hold.
const LARGEST: u64 = 4 << 30;

/// Checks a file and returns the exit status: 1 where something failed.
///
/// # Errors
///
/// What is wrong with the file, in which line and field.
pub fn run(path: &Path, verbose: bool, out: &mut dyn Write) -> Result<u8, Error> {
    let name = path.display();
    let mut bytes = input::read(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        let unpacked = MultiGzDecoder::new(bytes.as_slice()).take(LARGEST).read_to_end(&mut plain);
        unpacked.map_err(|error| Error::new(error.to_string()).at(&name))?;
        bytes = plain;
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::new("is neither text nor gzip").at(&name))?;
    if text.trim().is_empty() {
        return Err(Error::new("is empty").at(&name));
    }
    let mut count = Count::default();
    if is_lines(&text) {
        lines(&text, &name.to_string(), verbose, &mut count, out)?;
    } else {
        let value: Value =
            serde_json::from_str(&text).map_err(|error| Error::new(error.to_string()).at(&name))?;
        whole(&value, &name.to_string(), verbose, &mut count, out)?;
    }
    writeln!(out, "{} passed, {} failed", count.passed, count.failed)?;
    Ok(u8::from(count.failed > 0))
}

/// Whether the first line is an object of its own.
fn is_lines(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // A file of one object on one line is one that says which schema it has.
    match serde_json::from_str::<Value>(first) {
        Ok(value) => value.get("schema").is_none(),
        Err(error) => !error.is_eof(),
    }
}

/// Cases of Arm, one a line.
fn lines(text: &str, name: &str, verbose: bool, count: &mut Count, out: &mut dyn Write) -> Result<(), Error> {
    for (line, number) in text.lines().zip(1u64..) {
        if line.trim().is_empty() {
            continue;
        }
        let case = vmsa::Case::parse(line).map_err(|e| Error::new(e).at(format_args!("{name}:{number}")))?;
        for query in &case.queries {
            match case.check(query) {
                Ok(()) => count.passed += 1,
                Err(difference) => {
                    count.failed += 1;
                    if verbose {
                        let head = format!("{name}:{number}: {}", case.id);
                        let walk = translate::explain_case(&case, query)?;
                        report(&head, &difference, &query.text, &walk, out)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Vectors of z/Architecture, one file.
fn whole(
    value: &Value,
    name: &str,
    verbose: bool,
    count: &mut Count,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let file = File::of(value).map_err(|error| Error::new(error).at(name))?;
    for case in &file.cases {
        match case.check() {
            Ok(()) => count.passed += 1,
            Err(Wrong::File(error)) => return Err(Error::new(error).at(format_args!("{name}: {}", case.id))),
            Err(Wrong::Answer(difference)) => {
                count.failed += 1;
                if verbose {
                    let head = format!("{name}: {}", case.id);
                    report(&head, &difference, &case.text, &dat::explain_case(case), out)?;
                }
            }
        }
    }
    for window in &file.windows {
        match window.check() {
            Ok(()) => count.passed += 1,
            Err(Wrong::File(error)) => {
                return Err(Error::new(error).at(format_args!("{name}: {}", window.id)));
            }
            Err(Wrong::Answer(difference)) => {
                count.failed += 1;
                if verbose {
                    writeln!(out, "{name}: {}: FAILED\n  {difference}\n", window.id)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes a failure: the difference, what was asked, and the walk.
fn report(
    head: &str,
    difference: &str,
    asked: &str,
    walk: &Answer,
    out: &mut dyn Write,
) -> Result<(), Error> {
    writeln!(out, "{head}: FAILED\n  {difference}\n  asked: {asked}")?;
    for line in walk.text.lines() {
        writeln!(out, "  | {line}")?;
    }
    writeln!(out)?;
    Ok(())
}
