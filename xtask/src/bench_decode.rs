//! `cargo xtask bench decode`: host instructions and time to decode an A64 word, against the crate disarm64.
//!
//! `bench/decode` has the loops. The words are those of `oracle a64`: drawn evenly from the groups of the decode tree.
//! Instructions are counted by callgrind, which sees no noise; what an empty loop takes is subtracted from both sides.

use crate::oracle_a64::Words;
use crate::shell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask bench decode [--json FILE] [--words N] [--seed S]
  --json FILE   also write the rows as JSON: name, value, unit, peer, peer_value, ratio
  --words N     how many words (default 1000000)
  --seed S      of the words (default 1)
";

/// What identifies instructions without their operands.
const PEER: &str = "disarm64";
/// Our loops, and what the rows call them.
const LOOPS: [(&str, &str); 2] = [("access", "trap subset"), ("complete", "complete decode")];
/// Runs of a timed loop, of which the best counts.
const ROUNDS: &str = "15";

struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    peer_value: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.value / self.peer_value
    }
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut json_file, mut count, mut seed) = (None, 1_000_000usize, 1u64);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if word == "--help" {
            print!("{USAGE}");
            return Ok(());
        }
        let value = rest.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("'{value}' is not a number"));
        match word.as_str() {
            "--json" => json_file = Some(PathBuf::from(value)),
            "--words" => count = usize::try_from(number()?).map_err(|e| e.to_string())?,
            "--seed" => seed = number()?,
            _ => return Err(format!("unknown argument {word}\n{USAGE}")),
        }
    }
    if !shell::has("valgrind") {
        return Err("valgrind is missing: package valgrind".into());
    }
    let program = build()?;
    let directory = shell::target().join("bench");
    fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let file = directory.join("decode.bin");
    let mut source = Words::new(seed);
    let bytes: Vec<u8> = (0..count).flat_map(|_| source.next_word().to_le_bytes()).collect();
    fs::write(&file, bytes).map_err(|e| format!("{}: {e}", file.display()))?;
    let rows = measure(&program, &file, count)?;
    println!(
        "\n{count} words, seed {seed:#x}; an empty loop subtracted\n{:<32} {:>10} {PEER:>18}  ratio",
        "", "ours"
    );
    for row in &rows {
        let (name, unit) = (&row.name, row.unit);
        println!("{name:<32} {:>10.2} {:>18.2}  {:.3}  {unit}", row.value, row.peer_value, row.ratio());
    }
    json_file
        .map_or(Ok(()), |file| fs::write(&file, json(&rows)).map_err(|e| format!("{}: {e}", file.display())))
}

/// Builds the loops and returns where they are.
fn build() -> Result<PathBuf, String> {
    let target = shell::target().join("bench");
    shell::run(
        shell::cargo()
            .args(["build", "--quiet", "--release", "--manifest-path", "bench/decode/Cargo.toml"])
            // Incremental builds are cut into many units, which cannot inline into each other.
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join("release/bench-decode"))
}

fn measure(program: &Path, file: &Path, count: usize) -> Result<Vec<Row>, String> {
    let instructions = |name: &str| -> Result<f64, String> {
        let total = counted(program, name, file)? as f64;
        Ok(total / count as f64)
    };
    let mut rows = Vec::new();
    for (unit, cost) in [
        ("instructions", &instructions as &dyn Fn(&str) -> Result<f64, String>),
        ("ns", &|name: &str| timed(program, name, file)),
    ] {
        let empty = cost("empty")?;
        let peer_value = cost(PEER)? - empty;
        for (name, title) in LOOPS {
            let value = cost(name)? - empty;
            rows.push(Row { name: format!("{title}, {unit} a word"), value, unit, peer_value });
        }
    }
    Ok(rows)
}

/// Returns how many instructions a loop takes, by callgrind.
fn counted(program: &Path, name: &str, file: &Path) -> Result<u64, String> {
    let out = shell::target().join("bench/callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", &format!("--toggle-collect=*loop_{name}*")])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(name)
        .arg(file);
    shell::output(&mut command)?;
    let text = fs::read_to_string(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| format!("no total in {}", out.display()))
}

/// Returns nanoseconds a word, by the clock.
fn timed(program: &Path, name: &str, file: &Path) -> Result<f64, String> {
    let text = shell::output(Command::new(program).arg(name).arg(file).arg(ROUNDS))?;
    let time = text.split_whitespace().nth(1).and_then(|time| time.parse().ok());
    time.ok_or_else(|| format!("cannot read '{text}'"))
}

fn json(rows: &[Row]) -> String {
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let Row { name, value, unit, peer_value } = row;
            format!(
                "  {{\"name\": \"{name}\", \"value\": {value:.3}, \"unit\": \"{unit}\", \"peer\": \"{PEER} 0.1.26\", \"peer_value\": {peer_value:.3}, \"ratio\": {:.4}}}",
                row.ratio()
            )
        })
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::{Row, json};

    #[test]
    fn rows_are_written_as_json() {
        let row = Row { name: "a".into(), value: 1.0, unit: "ns", peer_value: 4.0 };
        let want = "[\n  {\"name\": \"a\", \"value\": 1.000, \"unit\": \"ns\", \"peer\": \"disarm64 0.1.26\", \"peer_value\": 4.000, \"ratio\": 0.2500}\n]\n";
        assert_eq!(json(&[row]), want);
    }
}
