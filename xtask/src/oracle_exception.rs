//! `cargo xtask oracle exception`: exception entry, return, routing and debug exceptions, `arm_arch` against QEMU.

use crate::oracle_run::{Options, Progress, Share, build};
use crate::{emulator, shell};
use std::path::PathBuf;
use testkit::exception::{Case, Generator, Machine, QUIRKS, Qemu, RECORD_NAMES, Record, Verdict};
use testkit::exception::{judge, run as expected, store};

const USAGE: &str = "\
usage: cargo xtask oracle exception [OPTIONS]
  --cases N      in all shards together (default 100000)
  --seed S       0x... or decimal (default 1)
  --shard I/N    only part I of N, from 1 (default 1/1)
  --resume FILE  keep counts in FILE, and go on where it stands
  --show N       report at most N unexplained differences (default 5)
  --store FILE   write what the reference recorded to FILE; with the sample's seed from case 0
  --cpu MODEL    the processing element (default max)
  --qemu PROGRAM instead of qemu-system-aarch64; `fetch` for one of a later suite
";

/// Cases per run of QEMU.
const BATCH: u64 = 20_000;

const LISTED: &str = "listed differences";
const UNEXPLAINED: &str = "unexplained differences";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut arguments = arguments.to_vec();
    let cpu = match arguments.iter().position(|argument| argument == "--cpu") {
        Some(at) if at + 1 < arguments.len() => arguments.drain(at..at + 2).nth(1),
        _ => None,
    };
    let Some(options) = Options::read(&arguments, USAGE)? else { return Ok(()) };
    let program = match &options.qemu {
        Some(program) if program.as_os_str() == "fetch" => emulator::program("qemu-system-aarch64")?,
        Some(program) => program.clone(),
        None => "qemu-system-aarch64".into(),
    };
    let cpu = cpu.unwrap_or_else(|| "max".into());
    println!("{}, {cpu}; seed {:#x}, shard {}", emulator::version(&program)?, options.seed, options.share);
    let scratch = shell::target().join(format!("oracle/exception-{}", std::process::id()));
    let qemu = Qemu { program, monitor: monitor()?, cpu, scratch: scratch.clone() };
    let outcome = compare(&options, &qemu);
    let _ = std::fs::remove_dir_all(&scratch);
    outcome
}

/// Builds `oracles/exception` and returns the program.
fn monitor() -> Result<PathBuf, String> {
    let flags = ["-march=armv8-a", "-mgeneral-regs-only", "-mstrict-align"];
    build("exception", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", &flags)
}

fn compare(options: &Options, qemu: &Qemu) -> Result<(), String> {
    let generator = Generator { seed: options.seed };
    let mut progress = Progress::start(options, "cases")?;
    let Share { part, of } = options.share;
    let total = options.share.of_total(options.cases);
    let mut kept: Option<(Machine, Vec<Record>)> = None;
    let mut batch = progress.next;
    while progress.done < total {
        // Batches go round the shards.
        let first = (batch * of + part - 1) * BATCH;
        let count = BATCH.min(total - progress.done);
        let cases: Vec<Case> = (first..first + count).map(|number| generator.case(number)).collect();
        let (machine, records) = qemu.run(&cases)?;
        for (number, (case, record)) in (first..).zip(cases.iter().zip(&records)) {
            progress.done += 1;
            progress.count(&format!("kind: {:?}", case.kind));
            match judge(case, &machine, record) {
                Verdict::Same => {}
                Verdict::Explained(set) => {
                    progress.count(LISTED);
                    for quirk in QUIRKS.iter().filter(|quirk| set & quirk.bit != 0) {
                        progress.count(&format!("difference: {}", quirk.name));
                    }
                }
                Verdict::Differs(words) => {
                    progress.count(UNEXPLAINED);
                    progress.count(&format!("unexplained: {:?}", case.kind));
                    if progress.shown < options.show {
                        progress.shown += 1;
                        report(number, case, record, &machine, words);
                    }
                }
            }
        }
        if options.store.is_some() {
            kept.get_or_insert((machine, Vec::new())).1.extend(records);
        }
        batch += 1;
        progress.save(batch)?;
        progress.line(&[LISTED, UNEXPLAINED]);
    }
    progress.table();
    if let (Some(file), Some((machine, records))) = (&options.store, kept) {
        let bytes = store(&machine, generator, &records);
        std::fs::write(file, &bytes).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{}: {} bytes", file.display(), bytes.len());
    }
    match progress.counted(UNEXPLAINED) {
        0 => Ok(()),
        n => Err(format!("{n} of {} cases differ without a reason that is known", progress.done)),
    }
}

fn report(number: u64, case: &Case, record: &Record, machine: &Machine, words: u32) {
    println!("case {number}, {:?}:", case.kind);
    for (at, value) in case.words.iter().enumerate().filter(|(_, value)| **value != 0) {
        print!(" {at}={value:#x}");
    }
    println!();
    let ours = expected(case, machine, 0);
    for (at, name) in RECORD_NAMES.iter().enumerate() {
        let mark = if words >> at & 1 == 1 { "  <--" } else { "" };
        println!("  {name:16} ours {:#18x} theirs {:#18x}{mark}", ours[at], record[at]);
    }
}
