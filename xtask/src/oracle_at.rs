//! `cargo xtask oracle at`: address translation of Arm, `mmu_xlate::vmsa` against QEMU's AT instructions.

use crate::oracle_run::{Options, Progress, Share, build};
use crate::{emulator, shell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use testkit::at::ask::{ask_case, describe, lines};
use testkit::at::case::REGISTER_NAMES;
use testkit::at::differences::{Explainer, Explanation, same, tells_space};
use testkit::at::generate::{World, case};
use testkit::at::qemu::Qemu;
use testkit::at::sample::Writer;
use testkit::at::{Answer, Case, Query};

const USAGE: &str = "\
usage: cargo xtask oracle at [OPTIONS]
  --world W      regimes of EL1 and EL2: non-secure (default) or secure; that of EL3: el3
  --cases N      queries, in all shards together (default 100000)
  --seed S       0x... or decimal (default 1)
  --shard I/N    only part I of N, from 1 (default 1/1)
  --resume FILE  keep counts in FILE, and go on where it stands
  --show N       report at most N unexplained differences (default 5)
  --store FILE   write queries on which both agree, with the answers, to FILE
  --qemu PROGRAM instead of one that is fetched (11.1 or later)
";

/// Cases per run of QEMU.
const BATCH: u64 = 4000;

const LISTED: &str = "listed differences";
const UNEXPLAINED: &str = "unexplained differences";
const ASTRAY: &str = "left out: walks to the program or a device";
const WITHOUT_EL2: &str = "left out: Non-secure tables without Secure EL2 (B18)";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let (world, arguments) = world(arguments)?;
    let Some(options) = Options::read(&arguments, USAGE)? else { return Ok(()) };
    let program = match &options.qemu {
        Some(program) => program.clone(),
        None => emulator::program("qemu-system-aarch64")?,
    };
    let version = emulator::version(&program)?;
    let (name, world) = world;
    println!("{version}; {name}, seed {:#x}, shard {}", options.seed, options.share);
    let scratch = shell::target().join(format!("oracle/at-{}", std::process::id()));
    let qemu = Qemu { program, monitor: monitor()?, scratch: scratch.clone() };
    let mut progress = Progress::start(&options, &format!("{name} queries"))?;
    let mut writer = options.store.as_ref().map(|_| Writer::new(&version));
    let Share { part, of } = options.share;
    let mut batch = progress.next;
    while progress.done < options.share.of_total(options.cases) {
        // Batches go round the shards.
        let first = (batch * of + part - 1) * BATCH;
        // The last batch is as small as it can be: a case has fifteen queries.
        let rest = (options.share.of_total(options.cases) - progress.done).div_ceil(15);
        let cases: Vec<Case> =
            (first..first + BATCH.min(rest)).map(|n| case(world, options.seed, n)).collect();
        let replies = qemu.run(&cases)?;
        let explainer = Explainer::new(replies.implementation);
        for (number, (case, answers)) in (first..).zip(cases.iter().zip(&replies.answers)) {
            let mut agreed = Vec::new();
            for (&query, &theirs) in case.queries.iter().zip(answers) {
                progress.done += 1;
                let Ok((ours, trace)) = ask_case(case, query, &replies.implementation) else {
                    progress.count(ASTRAY);
                    continue;
                };
                progress.count(&format!("answer: {}", describe(ours)));
                progress.count(&format!("asked: {} of {}", query.operation().0, regime(case, query)));
                if same(ours, theirs, tells_space(case, query)) {
                    agreed.push((query, theirs));
                    continue;
                }
                match explainer.explain(case, query, theirs, &trace) {
                    Explanation::By(set) => {
                        progress.count(&format!("difference: {set}"));
                        progress.count(LISTED);
                    }
                    Explanation::Astray => progress.count(ASTRAY),
                    Explanation::WithoutEl2 => progress.count(WITHOUT_EL2),
                    Explanation::None => {
                        progress.count(UNEXPLAINED);
                        if progress.shown < options.show {
                            progress.shown += 1;
                            report(options.seed, number, case, query, (ours, theirs));
                            lines(&trace).iter().for_each(|line| println!("    {line}"));
                            explainer.alone(case, query, &trace).iter().for_each(|(set, answer, _)| {
                                println!("    with {set}: {answer:x?}");
                            });
                        }
                    }
                }
            }
            if let Some(writer) = &mut writer {
                writer.push(case, &agreed);
            }
        }
        batch += 1;
        progress.save(batch)?;
        progress.line(&[LISTED, UNEXPLAINED]);
    }
    let _ = std::fs::remove_dir_all(&scratch);
    progress.table();
    let mapped = progress.counted("answer: mapped");
    println!("leaf reached: {:.1} %", 100.0 * mapped as f64 / progress.done as f64);
    if let (Some(file), Some(writer)) = (&options.store, writer) {
        let bytes = writer.finish();
        std::fs::write(file, &bytes).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{}: {} bytes; to be compressed by gzip -9n", file.display(), bytes.len());
    }
    match progress.counted(UNEXPLAINED) {
        0 => Ok(()),
        n => Err(format!("{n} of {} queries differ without a reason that is known", progress.done)),
    }
}

/// Builds `oracles/at` and returns the program.
fn monitor() -> Result<PathBuf, String> {
    let flags = ["-march=armv8-a", "-mgeneral-regs-only", "-mstrict-align"];
    build("at", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", &flags)
}

/// Returns the regime that answers, by the controls alone.
fn regime(case: &Case, query: Query) -> String {
    if query.is_of_el3() {
        return "EL3".into();
    }
    let hcr = case.hcr();
    let (e2h, tge) = (hcr.e2h(), hcr.tge());
    let (name, _) = query.operation();
    let regime = match (name.starts_with("S1E2"), e2h, tge) {
        (true, false, _) => "EL2",
        (true, true, _) | (false, true, true) => "EL2&0",
        _ if hcr.vm() => "EL1&0 with stage 2",
        _ => "EL1&0",
    };
    format!("{}{regime}", if case.is_secure() { "Secure " } else { "" })
}

/// Takes the world out of the options.
fn world(arguments: &[String]) -> Result<((&'static str, World), Vec<String>), String> {
    let mut rest = arguments.to_vec();
    let Some(at) = rest.iter().position(|argument| argument == "--world") else {
        return Ok((World::ALL[0], rest));
    };
    rest.remove(at);
    let name = if at < rest.len() { rest.remove(at) } else { String::new() };
    let world = World::ALL.into_iter().find(|(known, _)| *known == name);
    world.map(|world| (world, rest)).ok_or_else(|| format!("no such world: '{name}'\n{USAGE}"))
}

fn report(seed: u64, number: u64, case: &Case, query: Query, (ours, theirs): (Answer, Answer)) {
    println!(
        "seed {seed:#x} case {number}: AT {} {:#x}: {ours:x?}, QEMU {theirs:x?}",
        query.operation().0,
        query.va
    );
    let set: BTreeMap<_, _> =
        REGISTER_NAMES.iter().zip(case.registers).filter(|(_, value)| *value != 0).collect();
    println!("    {set:x?}");
}
