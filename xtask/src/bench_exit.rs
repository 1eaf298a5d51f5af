//! `cargo xtask bench exit`, the half without a guest: what the core does between an exit and the next entry.
//!
//! `bench/exit` has two programs that do the same: one through the Rust traits, one in C through the table of the static
//! library, linked as a kernel links it. Instructions are counted by callgrind, from the loop of the back end on, so that
//! what `enter` and the device take is in them. The peer is a binary search of the kind that KVM begins with, over the
//! registers of `arm-arch`'s trap table, in the same run.

use crate::panic_free;
use crate::shell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kinds of exits, and what the rows call them.
const KINDS: [(&str, &str); 4] = [
    ("id", "read of an ID register"),
    ("psci", "HVC, PSCI_VERSION"),
    ("mmio", "load from a device"),
    ("spurious", "spurious interception"),
];
/// Exits that callgrind counts, and that the clock measures, in this many rounds of which the best counts.
const COUNTED: u64 = 60_000;
const TIMED: u64 = 1_200_000;
const ROUNDS: &str = "9";

/// One line: what the exit costs, and what it is compared with.
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub peer: &'static str,
    pub peer_value: f64,
}

/// Measures all of it. The inner error is why it cannot be.
pub fn rows() -> Result<Result<Vec<Row>, String>, String> {
    if !shell::has("valgrind") {
        return Ok(Err("not installed: valgrind".into()));
    }
    let (rust, c) = (build_rust()?, build_c()?);
    let mut rows = Vec::new();
    for unit in ["instructions", "ns"] {
        let cost = |program: &Path, kind: &str, more: &[&str]| match unit {
            "ns" => timed(program, kind, more),
            _ => counted(program, kind, more),
        };
        let search = cost(&rust, "search", &[])?;
        for (kind, title) in KINDS {
            let value = cost(&rust, kind, &[])?;
            let row = |how: &str, value, peer, peer_value| Row {
                name: format!("{title}, {how}, {unit}"),
                value,
                unit,
                peer,
                peer_value,
            };
            if kind == "id" {
                rows.push(row("Rust", value, "binary search alone", search));
            }
            rows.push(row("C, frame", cost(&c, kind, &[])?, "Rust", value));
            rows.push(row("C, called", cost(&c, kind, &["called"])?, "Rust", value));
        }
    }
    Ok(Ok(rows))
}

fn build_rust() -> Result<PathBuf, String> {
    let target = shell::target().join("bench");
    shell::run(
        shell::cargo()
            .args(["build", "--quiet", "--release", "--manifest-path", "bench/exit/Cargo.toml"])
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "0"),
    )?;
    Ok(target.join("release/bench-exit"))
}

fn build_c() -> Result<PathBuf, String> {
    let library = panic_free::native_library()?;
    let root = shell::root();
    let program = shell::target().join("bench/exit-c");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-I"]);
    cc.arg(root.join("include")).arg(root.join("bench/exit/exit.c")).arg(&library);
    shell::run(cc.arg("-o").arg(&program))?;
    Ok(program)
}

/// Returns instructions of an exit, by callgrind.
fn counted(program: &Path, kind: &str, more: &[&str]) -> Result<f64, String> {
    let out = shell::target().join("bench/callgrind.exit");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--toggle-collect=*run_loop*", "--toggle-collect=*run_search*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([kind, &COUNTED.to_string(), "1"])
        .args(more);
    shell::output(&mut command)?;
    let text = fs::read_to_string(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let total: Option<f64> =
        text.lines().find_map(|line| line.strip_prefix("totals: ")?.split(' ').next()?.parse().ok());
    let total = total.ok_or_else(|| format!("no total in {}", out.display()))?;
    Ok(total / COUNTED as f64)
}

/// Returns nanoseconds of an exit, by the clock.
fn timed(program: &Path, kind: &str, more: &[&str]) -> Result<f64, String> {
    let mut command = Command::new(program);
    command.args([kind, &TIMED.to_string(), ROUNDS]).args(more);
    let text = shell::output(&mut command)?;
    let time = text.split_whitespace().nth(1).and_then(|time| time.parse().ok());
    time.ok_or_else(|| format!("cannot read '{text}'"))
}
