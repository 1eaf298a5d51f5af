//! `cargo xtask oracle insn`: single instructions, an engine against QEMU.

use crate::shell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use testkit::insn::announced::{Class, classify};
use testkit::insn::compare::{changes, describe, differences, report};
use testkit::insn::engine::ArmExec;
use testkit::insn::generate::Generator;
use testkit::insn::outcome::{End, correct_reference, normalise, undefined};
use testkit::insn::qemu::Qemu;
use testkit::insn::store::Writer;
use testkit::insn::{Case, InsnEngine, Outcome, Peer};

const USAGE: &str = "\
usage: cargo xtask oracle insn [OPTIONS]
  --cases N        how many (default 20000)
  --first N        number of the first (default 0)
  --seed S         0x... or decimal (default: taken from the clock, and printed)
  --only PATTERN   only variants whose 'group/name' in data/a64_insns.tsv contains PATTERN
  --store FILE     write the reference's results to FILE instead of comparing
  --reference      ask the reference only, and say what became of the cases
  --audit          check that words which nothing announces are UNDEFINED on a machine that lacks them too
  --show N         report at most N differing cases (default 10); with --reference, the first N cases
  --batch N        cases per run of QEMU (default 20000)
  --qemu PROGRAM   instead of qemu-system-aarch64
";

struct Options {
    cases: u64,
    first: u64,
    seed: u64,
    only: Option<String>,
    store: Option<PathBuf>,
    reference: bool,
    audit: bool,
    show: usize,
    batch: u64,
    qemu: PathBuf,
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.split_first() {
        Some((kind, rest)) if kind == "insn" && !rest.iter().any(|a| a == "--help") => insn(&options(rest)?),
        Some((kind, _)) if kind == "insn" || kind == "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("which oracle?\n{USAGE}")),
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        cases: 20_000,
        first: 0,
        seed: std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos() as u64),
        only: None,
        store: None,
        reference: false,
        audit: false,
        show: usize::MAX,
        batch: 20_000,
        qemu: "qemu-system-aarch64".into(),
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--reference" {
            options.reference = true;
            continue;
        }
        if name == "--audit" {
            options.audit = true;
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--cases" => options.cases = number(value)?,
            "--first" => options.first = number(value)?,
            "--seed" => options.seed = number(value)?,
            "--only" => options.only = Some(value.clone()),
            "--store" => options.store = Some(value.into()),
            "--show" => options.show = number(value)? as usize,
            "--batch" => options.batch = number(value)?.clamp(1, 20_000),
            "--qemu" => options.qemu = value.into(),
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    if options.show == usize::MAX {
        options.show = if options.reference { 0 } else { 10 };
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

/// Builds `oracles/insn` and returns the program.
pub fn monitor() -> Result<PathBuf, String> {
    let source = shell::root().join("oracles/insn");
    let directory = shell::target().join("oracle");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let program = directory.join("insn.elf");
    if is_newer(&program, &source) {
        return Ok(program);
    }
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

fn is_newer(program: &Path, sources: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let Some(built) = time(program) else { return false };
    let Ok(entries) = sources.read_dir() else { return false };
    entries.flatten().all(|entry| time(&entry.path()).is_some_and(|t| t < built))
}

/// What a run has counted.
#[derive(Default)]
struct Tally {
    cases: u64,
    differing: u64,
    by_row: BTreeMap<String, (u64, u64)>,
    by_end: BTreeMap<String, u64>,
    corrections: BTreeMap<&'static str, u64>,
    strange: u64,
}

fn insn(options: &Options) -> Result<(), String> {
    let generator = match &options.only {
        Some(pattern) => Generator::only(options.seed, pattern)?,
        None => Generator::new(options.seed),
    };
    let scratch = shell::target().join(format!("oracle/run-{}", std::process::id()));
    let qemu = Qemu { program: options.qemu.clone(), monitor: monitor()?, scratch: scratch.clone() };
    if options.audit {
        return audit(&qemu, &generator, options);
    }
    let mut engine: Option<Box<dyn InsnEngine>> = None;
    if !options.reference && options.store.is_none() {
        engine = Some(Box::new(ArmExec::new()));
    }
    let mut writer = Writer::new(options.seed);
    let mut tally = Tally::default();
    println!("seed {:#x}, {} cases", options.seed, options.cases);
    let start = Instant::now();
    let mut next = options.first;
    let end = options.first + options.cases;
    while next < end {
        let upto = (next + options.batch).min(end);
        let cases: Vec<Case> = (next..upto).map(|n| generator.case(n)).collect();
        let wanted = reference(&qemu, &cases, &mut tally)?;
        for (case, want) in cases.iter().zip(&wanted) {
            tally.count(case, want);
            if options.reference && tally.cases <= options.show as u64 {
                println!("{:x?}", want.end);
                print!("{}", report(case, options.seed, &changes(case, want)));
            }
            if options.store.is_some() {
                writer.push(case, want);
            } else if let Some(engine) = &mut engine {
                let got = normalise(case, engine.run(case));
                let list = differences(case, want, &got);
                tally.compared(case, !list.is_empty());
                if !list.is_empty() && tally.differing <= options.show as u64 {
                    print!("{}", report(case, options.seed, &list));
                }
            }
        }
        next = upto;
        let done = next - options.first;
        println!(
            "{done} cases, {} differ, {:.0} cases/s",
            tally.differing,
            done as f64 / start.elapsed().as_secs_f64()
        );
    }
    let _ = std::fs::remove_dir_all(&scratch);
    tally.print(options.reference);
    if let Some(file) = &options.store {
        let bytes = writer.finish();
        std::fs::write(file, &bytes).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{}: {} bytes", file.display(), bytes.len());
    }
    match tally.differing {
        0 => Ok(()),
        n => Err(format!("{n} of {} cases differ (seed {:#x})", tally.cases, options.seed)),
    }
}

/// Puts the words that nothing announces to a machine without most of their features, and lists those
/// it knows: only the half-precision and the limited-ordering instructions may be among them.
fn audit(qemu: &Qemu, generator: &Generator, options: &Options) -> Result<(), String> {
    let all = (options.first..options.first + options.cases).map(|n| generator.case(n));
    let cases: Vec<Case> = all.filter(|case| case.peer == Peer::Undefined).collect();
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    for batch in cases.chunks(options.batch as usize) {
        let asked: Vec<&Case> = batch.iter().collect();
        for (case, raw) in batch.iter().zip(qemu.run(&asked, Peer::Undefined)?) {
            let outcome = normalise(case, raw);
            let list = differences(case, &undefined(case), &outcome);
            if outcome.end != End::Exception(0) {
                let name = describe(case.code[0]).split(' ').next().unwrap_or_default().to_string();
                *known.entry(name).or_default() += 1;
                if known.values().sum::<u64>() <= options.show as u64 {
                    print!("{}", report(case, options.seed, &list));
                }
            }
        }
    }
    println!("{} words, {} variants the machine knows:", cases.len(), known.len());
    for (name, count) in &known {
        println!("{count:>8}  {name}");
    }
    Ok(())
}

/// Returns what is expected of each case: by QEMU, or by the rule that nothing announces the word.
fn reference(qemu: &Qemu, cases: &[Case], tally: &mut Tally) -> Result<Vec<Outcome>, String> {
    let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
    for peer in [Peer::Max, Peer::NeoverseN1] {
        let chosen: Vec<(usize, &Case)> =
            cases.iter().enumerate().filter(|(_, case)| case.peer == peer).collect();
        let asked: Vec<&Case> = chosen.iter().map(|&(_, case)| case).collect();
        for (&(index, case), raw) in chosen.iter().zip(qemu.run(&asked, peer)?) {
            let mut outcome = normalise(case, raw);
            for name in correct_reference(case, &mut outcome) {
                *tally.corrections.entry(name).or_default() += 1;
            }
            outcomes[index] = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().zip(cases).map(|(o, case)| o.unwrap_or_else(|| undefined(case))).collect())
}

impl Tally {
    fn count(&mut self, case: &Case, want: &Outcome) {
        self.cases += 1;
        let end = match &want.end {
            End::Completed => "completed".into(),
            End::Exception(class) if case.peer == Peer::Undefined => {
                format!("exception {class:#04x} (not announced)")
            }
            End::Exception(class) => format!("exception {class:#04x}"),
            End::Unasked => "not compared".into(),
            End::Strange(what) => {
                self.strange += 1;
                if self.strange <= 5 {
                    println!("the reference: {what}");
                    print!("{}", report(case, 0, &[]));
                }
                format!("strange: {what}")
            }
        };
        *self.by_end.entry(end).or_default() += 1;
    }

    fn compared(&mut self, case: &Case, differs: bool) {
        self.differing += u64::from(differs);
        let name = match case.code.last().map(|&word| classify(word)) {
            _ if case.code.len() > 1 => "(sequence)".into(),
            Some(Class::Announced(row)) => format!("{}/{}", row.group, row.name),
            _ => "(not announced)".into(),
        };
        let entry = self.by_row.entry(name).or_default();
        entry.0 += 1;
        entry.1 += u64::from(differs);
    }

    fn print(&self, all: bool) {
        for (end, count) in &self.by_end {
            println!("{count:>10}  {end}");
        }
        for (name, count) in &self.corrections {
            println!("{count:>10}  reference corrected: {name}");
        }
        if self.by_row.is_empty() || all {
            return;
        }
        println!(
            "{} cases of {} variants compared, {} differ",
            self.cases,
            self.by_row.len(),
            self.differing
        );
        let mut differing: Vec<_> = self.by_row.iter().filter(|(_, (_, d))| *d > 0).collect();
        differing.sort_by_key(|(_, (_, d))| std::cmp::Reverse(*d));
        for (name, (count, differ)) in differing {
            println!("{differ:>8} of {count:<8} {name}");
        }
    }
}
