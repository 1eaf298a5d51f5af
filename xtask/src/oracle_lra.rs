//! `cargo xtask oracle lra`: address translation of z/Architecture, `mmu_xlate::dat` against QEMU's LOAD REAL ADDRESS.

use crate::oracle_run::{Options, Progress, Share, build};
use crate::{emulator, shell};
use std::path::PathBuf;
use testkit::lra::Case;
use testkit::lra::ask::{Verdict, ask, compare, describe};
use testkit::lra::generate::case;
use testkit::lra::qemu::Qemu;
use testkit::lra::sample::Writer;

const USAGE: &str = "\
usage: cargo xtask oracle lra [OPTIONS]
  --cases N      queries, in all shards together (default 100000)
  --seed S       0x... or decimal (default 1)
  --shard I/N    only part I of N, from 1 (default 1/1)
  --resume FILE  keep counts in FILE, and go on where it stands
  --show N       report at most N unexplained differences (default 5)
  --store FILE   write queries on which both agree, with the answers, to FILE
  --qemu PROGRAM instead of one that is fetched (10.0 or later)
";

/// Cases per run of QEMU.
const BATCH: u64 = 20_000;

const LISTED: &str = "listed differences";
const UNEXPLAINED: &str = "unexplained differences";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let Some(options) = Options::read(arguments, USAGE)? else { return Ok(()) };
    let program = match &options.qemu {
        Some(program) => program.clone(),
        None => emulator::program("qemu-system-s390x")?,
    };
    println!("{}; seed {:#x}, shard {}", emulator::version(&program)?, options.seed, options.share);
    let scratch = shell::target().join(format!("oracle/lra-{}", std::process::id()));
    let qemu = Qemu { program, monitor: monitor()?, scratch: scratch.clone() };
    let mut progress = Progress::start(&options, "queries")?;
    let mut writer = options.store.as_ref().map(|_| Writer::default());
    let Share { part, of } = options.share;
    let mut batch = progress.next;
    while progress.done < options.share.of_total(options.cases) {
        let first = (batch * of + part - 1) * BATCH;
        let upto = first + BATCH.min((options.share.of_total(options.cases) - progress.done).div_ceil(10));
        let cases: Vec<Case> = (first..upto).map(|n| case(options.seed, n)).collect();
        let replies = qemu.run(&cases)?;
        for (number, (case, answers)) in (first..).zip(cases.iter().zip(&replies.answers)) {
            let mut agreed = Vec::new();
            for (&address, &theirs) in case.queries.iter().zip(answers) {
                progress.done += 1;
                let Ok(ours) = ask(case, address, replies.facilities) else {
                    progress.count("left out: walks to the program");
                    continue;
                };
                progress.count(&format!("answer: {}", describe(ours)));
                match compare(ours, theirs) {
                    Verdict::Same => agreed.push((address, theirs)),
                    Verdict::Listed(name) => {
                        progress.count(&format!("difference: {name}"));
                        progress.count(LISTED);
                    }
                    Verdict::Unexplained => {
                        progress.count(UNEXPLAINED);
                        if progress.shown < options.show {
                            progress.shown += 1;
                            println!(
                                "seed {:#x} case {number}: LRAG {address:#x}: {ours:x?}, QEMU {theirs:x?}",
                                options.seed
                            );
                            println!("    CR0 {:#x}, ASCE {:#x}, {:x?}", case.cr0, case.asce, case.memory);
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

/// Builds `oracles/lra` and returns the program.
fn monitor() -> Result<PathBuf, String> {
    build("lra", "s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu", &["-march=z13", "-mzarch", "-msoft-float"])
}
