//! `cargo xtask bench`: the VMM against QEMU in one run, on one machine.

use crate::bench_exit;
use crate::console::Console;
use crate::demo::{self, Machine, Options};
use crate::shell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const USAGE: &str = "\
usage: cargo xtask bench [engine | exit | exit-core | boot] [--json FILE] [--runs N]
       cargo xtask bench walk | decode [--json FILE]
  engine   kernels of bench/guest: millions of guest instructions per second, ratio to QEMU (more is better)
  exit     HVC and MMIO round trips of a guest: nanoseconds each, ratio to QEMU (less is better); and the core's part
           of them: instructions and nanoseconds, through Rust and C, ratio to a binary search
  exit-core     the core's part alone, which needs no QEMU
  boot     Debian's kernel to a shell: seconds, ratio to QEMU (less is better)
  walk     translation against a raw chain of the same loads, and other crates; decode: A64 words against disarm64
  none     engine, exit and boot
  --json FILE   also write the rows as JSON: name, value, unit, peer, peer_value, ratio
  --runs N      runs of each machine, of which the median counts (default 1)
";

const PEER: &str = "qemu-system-aarch64";
/// Longest silence of a guest that is at work.
const PATIENCE: Duration = Duration::from_secs(300);
/// Kernels whose geometric mean is the engine's figure: integer and memory, not floating point. The pointer
/// chase counts in the form that lets QEMU grow its TLB first; in the other it is hopeless there.
const INTEGER: [&str; 8] =
    ["xorshift", "sieve", "sha256", "matmul", "stream", "chase-grown", "icall", "branchy"];
/// Rows that are exits, reported by `bench exit`.
const EXITS: [&str; 2] = ["trap-hvc", "trap-mmio"];

/// One line of a result.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    peer: String,
    peer_value: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.value / self.peer_value
    }
}

struct Arguments {
    what: Option<String>,
    json: Option<PathBuf>,
    runs: usize,
}

/// The walkers' own program does it, and asks another one about other crates.
pub fn walk(arguments: &[String]) -> Result<(), String> {
    let target = shell::target().join("bench");
    let peers = shell::run(
        shell::cargo()
            .args(["build", "--quiet", "--release", "--manifest-path", "bench/walk/Cargo.toml"])
            .env("CARGO_TARGET_DIR", &target),
    );
    let mut program = shell::cargo();
    // An incremental build does not inline from one part of a crate into another.
    program.env("CARGO_INCREMENTAL", "0");
    program.args(["run", "--release", "--package", "mmu-xlate", "--example", "bench_walk", "--"]);
    program.args(arguments);
    match peers {
        Ok(()) => program.arg("--peers").arg(target.join("release/bench-walk")),
        Err(error) => {
            println!("{error}: no other crates in the table");
            &mut program
        }
    };
    shell::run(&mut program)
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut parsed = Arguments { what: None, json: None, runs: 1 };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--json" => parsed.json = Some(value()?.into()),
            "--runs" => {
                parsed.runs = value()?.parse().map_err(|_| format!("--runs needs a number\n{USAGE}"))?
            }
            "--help" => {
                print!("{USAGE}");
                return Ok(());
            }
            "engine" | "exit" | "exit-core" | "boot" if parsed.what.is_none() => {
                parsed.what = Some(word.clone())
            }
            _ => return Err(format!("unknown argument {word}\n{USAGE}")),
        }
    }
    let runs = parsed.runs.max(1);
    let wanted = |name: &str| parsed.what.as_deref().is_none_or(|what| what == name);
    let mut rows = Vec::new();
    if !wanted("exit-core") || parsed.what.is_none() {
        let peer = peer_version()?;
        let ours = Machine::ours()?;
        if wanted("engine") {
            rows.extend(engine(&ours, &peer, runs)?);
        }
        if wanted("exit") {
            rows.extend(exit(&ours, &peer, runs)?);
        }
        if wanted("boot") {
            rows.extend(boot(&ours, &peer, runs)?);
        }
        print("vmm", &rows);
    }
    if wanted("exit") || wanted("exit-core") {
        match bench_exit::rows()? {
            Ok(core) => {
                let core: Vec<Row> = core.into_iter().map(Row::from).collect();
                print("exit to entry", &core);
                rows.extend(core);
            }
            Err(reason) => println!("the core's part of exits SKIPPED: {reason}"),
        }
    }
    match &parsed.json {
        Some(file) => std::fs::write(file, json(&rows)).map_err(|e| format!("{}: {e}", file.display())),
        None => Ok(()),
    }
}

fn peer_version() -> Result<String, String> {
    let text = shell::output(Command::new(PEER).arg("--version"))
        .map_err(|e| format!("{e} (package qemu-system-arm, or scripts/setup-cross)"))?;
    let version = text.split_whitespace().nth(3).unwrap_or("?");
    Ok(format!("{PEER} {version}"))
}

/// A guest built from `bench/guest`.
pub struct Guest {
    image: PathBuf,
}

impl Guest {
    /// Builds the guest with these macros; `name` tells builds apart.
    pub fn build(name: &str, macros: &[&str]) -> Result<Self, String> {
        let source = shell::root().join("bench/guest");
        let directory = shell::target().join("bench");
        std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let program = directory.join(format!("{name}.elf"));
        let image = directory.join(format!("{name}.bin"));
        let gcc = "aarch64-linux-gnu-gcc";
        if !shell::has(gcc) {
            return Err(format!("{gcc} is missing: package gcc-aarch64-linux-gnu, or scripts/setup-cross"));
        }
        // No vectorisation: the engines are compared on the base instructions first.
        let common = "-O2 -fno-tree-vectorize -fno-tree-loop-distribute-patterns -ffp-contract=off -std=gnu11 -Wall \
                      -Wextra -ffreestanding -fno-pic -fno-pie -mcpu=cortex-a57 -mno-outline-atomics -c";
        let mut objects = Vec::new();
        for file in ["start.S", "guest.c", "kernels.c"] {
            let object = directory.join(format!("{name}-{file}.o"));
            let mut compile = Command::new(gcc);
            compile.args(common.split_whitespace()).args(macros);
            if file == "guest.c" {
                compile.arg("-mgeneral-regs-only");
            }
            shell::run(compile.arg("-o").arg(&object).arg(source.join(file)))?;
            objects.push(object);
        }
        let mut link = Command::new(gcc);
        link.args(["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096"]);
        link.args(["-Wl,--no-warn-rwx-segments", "-Wl,-T"]).arg(source.join("guest.ld"));
        shell::run(link.arg("-o").arg(&program).args(&objects))?;
        let mut copy = Command::new("aarch64-linux-gnu-objcopy");
        shell::run(copy.args(["-O", "binary"]).arg(&program).arg(&image))?;
        Ok(Self { image })
    }

    /// Returns the image that was built.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Returns QEMU with the guest at EL1.
    pub fn qemu(&self, extra: &[&str]) -> Command {
        let mut command = Command::new(PEER);
        command.args([
            "-M",
            "virt,gic-version=3",
            "-cpu",
            "cortex-a57",
            "-m",
            "128",
            "-nographic",
            "-nic",
            "none",
        ]);
        command.args(["-no-reboot", "-kernel"]).arg(&self.image).args(extra);
        command
    }

    fn ours(&self, machine: &Machine) -> Result<Command, String> {
        let Machine::Ours(program) = machine else { return Err("only the project's VMM is measured".into()) };
        let mut command = Command::new(program);
        command.arg("--kernel").arg(&self.image).args(["--memory", "128"]);
        Ok(command)
    }
}

/// What the guest says of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    iterations: u64,
    pub microseconds: f64,
    pub sum: String,
}

/// Runs a guest and reads its results.
pub fn measure(command: &mut Command) -> Result<BTreeMap<String, Measured>, String> {
    let mut console = Console::start(command, PATIENCE, false)?;
    let end = |text: &str| text.find("bench-guest: done").or_else(|| text.find("FAULT"));
    console.expect("the guest's last line", end)?;
    let status = console.end(Duration::from_secs(30))?;
    if !status.success() {
        return Err(console.failure(&format!("the machine ended with {status}")));
    }
    let results = parse(console.text());
    if results.is_empty() || console.text().contains("FAULT") {
        return Err(console.failure("the guest has no results"));
    }
    Ok(results)
}

fn parse(text: &str) -> BTreeMap<String, Measured> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("RESULT "));
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?.to_string();
            let values: BTreeMap<&str, &str> = words.filter_map(|word| word.split_once('=')).collect();
            let measured = Measured {
                iterations: values.get("iters")?.parse().ok()?,
                microseconds: values.get("median_us")?.parse().ok()?,
                sum: (*values.get("sum")?).to_string(),
            };
            Some((name, measured))
        })
        .collect()
}

/// Runs both machines in turn, and returns the median of each kernel for each; the checksums must agree.
fn both(
    guest: &Guest,
    machine: &Machine,
    runs: usize,
) -> Result<BTreeMap<String, (Measured, Measured)>, String> {
    let mut all: BTreeMap<String, (Vec<Measured>, Vec<Measured>)> = BTreeMap::new();
    for _ in 0..runs {
        for (name, measured) in measure(&mut guest.ours(machine)?)? {
            all.entry(name).or_default().0.push(measured);
        }
        for (name, measured) in measure(&mut guest.qemu(&[]))? {
            all.entry(name).or_default().1.push(measured);
        }
    }
    let mut rows = BTreeMap::new();
    for (name, (ours, theirs)) in all {
        let (Some(a), Some(b)) = (median(ours), median(theirs)) else {
            return Err(format!("kernel {name} ran on one machine only"));
        };
        // That sum is of PSCI versions, which each machine chooses.
        if a.sum != b.sum && name != "trap-hvc" {
            return Err(format!("kernel {name}: checksum {} here, {} under {PEER}", a.sum, b.sum));
        }
        rows.insert(name, (a, b));
    }
    Ok(rows)
}

fn median(mut list: Vec<Measured>) -> Option<Measured> {
    list.sort_by(|a, b| a.microseconds.total_cmp(&b.microseconds));
    let middle = list.len() / 2;
    list.into_iter().nth(middle)
}

/// Guest instructions of one sample of each kernel: with `-icount shift=0` QEMU's clock advances by one
/// nanosecond an instruction. Kept until the guest changes.
fn instruction_counts() -> Result<BTreeMap<String, f64>, String> {
    let guest = Guest::build("count", &["-DSAMPLES=1"])?;
    let kept = shell::target().join("bench/count.txt");
    let stamp = fingerprint(&guest.image)?;
    let text = match std::fs::read_to_string(&kept) {
        Ok(text) if text.starts_with(&stamp) => text,
        _ => {
            let measured = measure(&mut guest.qemu(&["-icount", "shift=0,align=off,sleep=off"]))?;
            let lines: Vec<String> =
                measured.iter().map(|(n, m)| format!("{n} {}", m.microseconds)).collect();
            let text = format!("{stamp}\n{}\n", lines.join("\n"));
            std::fs::write(&kept, &text).map_err(|e| format!("{}: {e}", kept.display()))?;
            text
        }
    };
    let entry = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_string(), count.parse::<f64>().ok()? * 1000.0))
    };
    Ok(text.lines().skip(1).filter_map(entry).collect())
}

/// A number that changes with a file's contents.
fn fingerprint(file: &Path) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(crate::md5::hex(&bytes))
}

fn engine(machine: &Machine, peer: &str, runs: usize) -> Result<Vec<Row>, String> {
    let counts = instruction_counts()?;
    let guest = Guest::build("engine", &[])?;
    let measured = both(&guest, machine, runs)?;
    let mut rows = Vec::new();
    for (name, (ours, theirs)) in &measured {
        if EXITS.contains(&name.as_str()) {
            continue;
        }
        let count = *counts.get(name).ok_or_else(|| format!("no instruction count for kernel {name}"))?;
        let (value, peer_value) = (count / ours.microseconds, count / theirs.microseconds);
        rows.push(Row { name: name.clone(), value, unit: "MIPS", peer: peer.into(), peer_value });
    }
    let chosen: Vec<&Row> = rows.iter().filter(|row| INTEGER.contains(&row.name.as_str())).collect();
    let mean = |of: &dyn Fn(&Row) -> f64| {
        (chosen.iter().map(|row| of(row).ln()).sum::<f64>() / chosen.len() as f64).exp()
    };
    let (value, peer_value) = (mean(&|row| row.value), mean(&|row| row.peer_value));
    let name = "geometric mean, integer".into();
    rows.push(Row { name, value, unit: "MIPS", peer: peer.into(), peer_value });
    Ok(rows)
}

fn exit(machine: &Machine, peer: &str, runs: usize) -> Result<Vec<Row>, String> {
    let guest = Guest::build("traps", &["-DTRAPS_ONLY"])?;
    let measured = both(&guest, machine, runs)?;
    let nanoseconds = |m: &Measured| m.microseconds * 1000.0 / m.iterations as f64;
    let row = |name: &str| {
        let (ours, theirs) = measured.get(name).ok_or_else(|| format!("the guest has no {name}"))?;
        let (value, peer_value) = (nanoseconds(ours), nanoseconds(theirs));
        Ok(Row { name: name.into(), value, unit: "ns", peer: peer.into(), peer_value })
    };
    EXITS.iter().map(|name| row(name)).collect()
}

fn boot(machine: &Machine, peer: &str, runs: usize) -> Result<Vec<Row>, String> {
    let options = Options::default();
    let images = options.images()?;
    let mut times: [Vec<(f64, f64)>; 2] = Default::default();
    for _ in 0..runs {
        for (machine, times) in [machine, &Machine::Qemu].into_iter().zip(&mut times) {
            let timing = demo::smoke(machine, &images, &options, false)?;
            times.push((timing.shell.as_secs_f64(), timing.all.as_secs_f64()));
        }
    }
    let middle = |list: &[(f64, f64)], of: &dyn Fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = list.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let row = |name: &str, of: &dyn Fn(&(f64, f64)) -> f64| Row {
        name: name.into(),
        value: middle(&times[0], of),
        unit: "s",
        peer: peer.into(),
        peer_value: middle(&times[1], of),
    };
    Ok(vec![row("boot to shell", &|t| t.0), row("boot, commands, power-off", &|t| t.1)])
}

/// Prints a table; where the peer changes, it is named anew.
fn print(title: &str, rows: &[Row]) {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(28);
    let mut peer = "";
    for row in rows {
        if row.peer != peer {
            peer = &row.peer;
            println!("\n{:<width$} {title:>14} {peer:>26}  ratio", "");
        }
        let unit = if row.unit == "instructions" { "ins." } else { row.unit };
        let (name, value, other) = (&row.name, row.value, row.peer_value);
        println!("{name:<width$} {value:>9.1} {unit:<4} {other:>21.1} {unit:<4}  {:.3}", row.ratio());
    }
}

impl From<bench_exit::Row> for Row {
    fn from(row: bench_exit::Row) -> Self {
        let bench_exit::Row { name, value, unit, peer, peer_value } = row;
        Self { name, value, unit, peer: peer.into(), peer_value }
    }
}

fn json(rows: &[Row]) -> String {
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "  {{\"name\": \"{}\", \"value\": {:.3}, \"unit\": \"{}\", \"peer\": \"{}\", \"peer_value\": {:.3}, \"ratio\": {:.4}}}",
                row.name, row.value, row.unit, row.peer, row.peer_value, row.ratio()
            )
        })
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::{Row, json, parse};

    #[test]
    fn results_are_read_from_a_console() {
        let text = "bench-guest: start\r\nRESULT sieve iters=100 median_us=2000 min_us=1990 max_us=2100 sum=00ff\r\n";
        let results = parse(text);
        let sieve = &results["sieve"];
        assert_eq!((sieve.iterations, sieve.microseconds, sieve.sum.as_str()), (100, 2000.0, "00ff"));
    }

    #[test]
    fn rows_are_written_as_json() {
        let row = Row { name: "a".into(), value: 1.0, unit: "s", peer: "q 7.2".into(), peer_value: 4.0 };
        let want = "[\n  {\"name\": \"a\", \"value\": 1.000, \"unit\": \"s\", \"peer\": \"q 7.2\", \"peer_value\": 4.000, \"ratio\": 0.2500}\n]\n";
        assert_eq!(json(&[row]), want);
    }
}
