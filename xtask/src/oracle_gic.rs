//! `cargo xtask oracle gic`: the virtual interrupt interface and the timers, `arm_arch` against QEMU.

use crate::shell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use testkit::gic::{Case, Generator, Qemu, Record, replay, store};

const USAGE: &str = "\
usage: cargo xtask oracle gic [OPTIONS]
  --cases N        how many sequences (default 100000)
  --first N        number of the first (default 0)
  --seed S         0x... or decimal (default: taken from the clock, and printed)
  --show N         report at most N sequences that differ (default 5)
  --store FILE     write the reference's records to FILE instead of comparing
  --qemu PROGRAM   instead of qemu-system-aarch64
";
/// Sequences per run of QEMU.
const BATCH: u64 = 20_000;

struct Options {
    cases: u64,
    first: u64,
    seed: u64,
    show: u64,
    store: Option<PathBuf>,
    qemu: PathBuf,
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = options(arguments)?;
    let scratch = shell::target().join(format!("oracle/gic-{}", std::process::id()));
    let qemu = Qemu { program: options.qemu.clone(), monitor: monitor()?, scratch: scratch.clone() };
    println!("seed {:#x}, {} sequences", options.seed, options.cases);
    let outcome = compare(&options, &qemu);
    let _ = std::fs::remove_dir_all(&scratch);
    outcome
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        cases: 100_000,
        first: 0,
        seed: std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos() as u64),
        show: 5,
        store: None,
        qemu: "qemu-system-aarch64".into(),
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--cases" => options.cases = number(value)?,
            "--first" => options.first = number(value)?,
            "--seed" => options.seed = number(value)?,
            "--show" => options.show = number(value)?,
            "--store" => options.store = Some(value.into()),
            "--qemu" => options.qemu = value.into(),
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    Ok(options)
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.replace('_', "").parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number"))
}

/// Builds `oracles/vgic` and returns the program.
fn monitor() -> Result<PathBuf, String> {
    let source = shell::root().join("oracles/vgic");
    let directory = shell::target().join("oracle");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let program = directory.join("vgic.elf");
    if !shell::has("aarch64-linux-gnu-gcc") {
        return Err(
            "aarch64-linux-gnu-gcc is missing: package gcc-aarch64-linux-gnu, or scripts/setup-cross".into(),
        );
    }
    let mut gcc = Command::new("aarch64-linux-gnu-gcc");
    gcc.args(["-O2", "-g0", "-Wall", "-march=armv8.2-a", "-ffreestanding", "-nostdlib", "-static"]);
    gcc.args(["-mgeneral-regs-only", "-mstrict-align", "-fno-pic", "-fno-stack-protector"]);
    gcc.args(["-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-Wl,-T"]).arg(source.join("link.ld"));
    gcc.arg("-o").arg(&program).args([source.join("start.S"), source.join("main.c")]);
    shell::run(&mut gcc)?;
    Ok(program)
}

fn compare(options: &Options, qemu: &Qemu) -> Result<(), String> {
    let generator = Generator { seed: options.seed };
    let start = Instant::now();
    let (mut differing, mut accesses, mut timers) = (0u64, 0u64, 0u64);
    let mut excuses = BTreeMap::new();
    let mut all: Vec<Vec<Record>> = Vec::new();
    let end = options.first + options.cases;
    let mut next = options.first;
    while next < end {
        let upto = (next + BATCH).min(end);
        let cases: Vec<Case> = (next..upto).map(|n| generator.case(n)).collect();
        let records = qemu.run(&cases)?;
        for (number, (case, records)) in (next..).zip(cases.iter().zip(&records)) {
            accesses += case.ops.len() as u64;
            timers += u64::from(case.is_timer);
            let Some(difference) = replay(case, records, &mut excuses) else { continue };
            differing += 1;
            if differing <= options.show {
                println!("sequence {number} (--first {number} --cases 1 --seed {:#x}):", options.seed);
                println!("  init {:x?}", case.init);
                for (op, record) in case.ops.iter().zip(records).take(difference.at + 1) {
                    println!("  op {} {:#x} -> {record:x?}", op.code, op.value);
                }
                println!("  access {}: {difference:x?}", difference.at);
            }
        }
        if options.store.is_some() {
            all.extend(records);
        }
        next = upto;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} sequences ({timers} of the timers), {accesses} accesses, {differing} sequences differ, {:.0} sequences/s",
        options.cases,
        options.cases as f64 / seconds
    );
    for (excuse, count) in &excuses {
        println!("{count:>10}  {excuse:?} (docs/differences-gic.md)");
    }
    if let Some(file) = &options.store {
        let bytes = store(generator, &all);
        std::fs::write(file, &bytes).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{}: {} bytes", file.display(), bytes.len());
    }
    match differing {
        0 => Ok(()),
        n => Err(format!("{n} of {} sequences differ (seed {:#x})", options.cases, options.seed)),
    }
}
