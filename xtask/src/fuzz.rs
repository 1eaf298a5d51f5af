//! `cargo xtask fuzz`: builds the targets of `fuzz/`, gives them their seeds, runs them, and sums up.
//!
//! libFuzzer needs code that counts which edges it takes. cargo-fuzz asks a nightly compiler for that and for a
//! sanitizer of memory; there is no unsafe code behind these targets to sanitize, and the counters alone are a pass of
//! LLVM that every compiler has (`-C passes`). So this works with the compiler at hand and installs nothing.

use crate::shell;
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask fuzz [TARGET…] [--seconds N] [--seed N] [--jobs N] [--seeds]
  TARGET        only these (default: all of fuzz/Cargo.toml)
  --seconds N   how long each runs (default 60)
  --seed N      of libFuzzer's random numbers (default 1)
  --jobs N      targets at the same time (default: processors)
  --seeds       only write the first inputs, fuzz/corpus/TARGET
";

/// What the compiler is to add: a counter for each edge, and a call for each comparison.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// How often a running target is heard of.
const PULSE: Duration = Duration::from_secs(10);
/// Of what a target prints, the last lines are shown with a finding.
const LAST_LINES: usize = 60;

#[derive(Clone)]
struct Options {
    targets: Vec<String>,
    seconds: u64,
    seed: u32,
    jobs: usize,
    only_seeds: bool,
}

/// How a target ran.
#[derive(Default)]
struct Run {
    target: String,
    executions: u64,
    seconds: f64,
    covered: u64,
    edges: u64,
    corpus: String,
    /// The reproducer, or why the target did not end well.
    finding: Option<String>,
    tail: VecDeque<String>,
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let Some(options) = options(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    if let Some(reason) = missing() {
        return Err(reason);
    }
    fuzz(&options)
}

/// The step of CI: ten seconds each, from fixed seeds.
pub fn step() -> Result<(), String> {
    fuzz(&Options { targets: targets()?, seconds: 10, seed: 1, jobs: jobs(), only_seeds: false })
}

/// What is needed and not here.
pub fn missing() -> Option<String> {
    let named = std::env::var_os("CXX").is_some();
    (!named && !shell::has("c++")).then(|| "no C++ compiler: libFuzzer needs one (package g++)".into())
}

fn options(arguments: &[String]) -> Result<Option<Options>, String> {
    let all = targets()?;
    let mut options = Options { targets: Vec::new(), seconds: 60, seed: 1, jobs: jobs(), only_seeds: false };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut number = || {
            let value = rest.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
            value.parse::<u32>().map_err(|_| format!("'{value}' is not a number of 32 bits"))
        };
        match word.as_str() {
            "--help" => return Ok(None),
            "--seeds" => options.only_seeds = true,
            "--seconds" => options.seconds = number()?.into(),
            "--seed" => options.seed = number()?,
            "--jobs" => options.jobs = usize::try_from(number()?).map_err(|e| e.to_string())?.max(1),
            target if all.iter().any(|one| one == target) => options.targets.push(target.into()),
            other => return Err(format!("'{other}' is no option and no target of {all:?}\n{USAGE}")),
        }
    }
    if options.targets.is_empty() {
        options.targets = all;
    }
    Ok(Some(options))
}

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn directory() -> PathBuf {
    shell::root().join("fuzz")
}

fn manifest() -> PathBuf {
    directory().join("Cargo.toml")
}

/// Returns the names of the programs of the manifest.
fn targets() -> Result<Vec<String>, String> {
    let text = fs::read_to_string(manifest()).map_err(|e| format!("{}: {e}", manifest().display()))?;
    Ok(binaries(&text))
}

fn binaries(manifest: &str) -> Vec<String> {
    let sections = manifest.split("\n[").filter_map(|section| section.strip_prefix("[bin]]"));
    let name = |section: &str| {
        let line = section.lines().find_map(|line| line.strip_prefix("name = \""))?;
        line.strip_suffix('"').map(Into::into)
    };
    sections.filter_map(name).collect()
}

fn fuzz(options: &Options) -> Result<(), String> {
    write_seeds(&options.targets)?;
    if options.only_seeds {
        return Ok(());
    }
    let programs = build()?;
    let queue = Mutex::new(options.targets.iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(options.targets.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some(target) = next else { break };
                    let run = one(&programs, target, options);
                    if let Ok(mut done) = done.lock() {
                        done.push(run);
                    }
                }
            });
        }
    });
    let mut runs = done.into_inner().map_err(|e| e.to_string())?;
    runs.sort_by_key(|run| options.targets.iter().position(|target| *target == run.target));
    report(&runs)
}

/// Writes the first inputs to where cargo-fuzz looks for them, too.
fn write_seeds(targets: &[String]) -> Result<(), String> {
    let mut cargo = shell::cargo();
    cargo.args(["run", "--quiet", "--release", "--no-default-features", "--features", "seeds"]);
    cargo.args(["--example", "seeds", "--manifest-path"]).arg(manifest());
    cargo.arg("--target-dir").arg(shell::target().join("fuzz"));
    shell::run(cargo.arg("--").arg(directory().join("corpus")).args(targets))
}

/// Builds all targets at once and returns where they are.
fn build() -> Result<PathBuf, String> {
    let host = host()?;
    let mut cargo = shell::cargo();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    // With a target named, what runs at build time has no counters.
    cargo.args(["build", "--release", "--bins", "--target", &host, "--manifest-path"]).arg(manifest());
    cargo.arg("--target-dir").arg(shell::target().join("fuzz"));
    shell::run(&mut cargo)?;
    Ok(shell::target().join("fuzz").join(host).join("release"))
}

fn host() -> Result<String, String> {
    let version = shell::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(Into::into).ok_or_else(|| "rustc does not name its host".into())
}

/// Runs one target to its end.
fn one(programs: &Path, target: &str, options: &Options) -> Run {
    let mut run = Run { target: target.into(), ..Run::default() };
    if let Err(message) = follow(&mut run, programs, options) {
        run.finding.get_or_insert(message);
    }
    run
}

fn follow(run: &mut Run, programs: &Path, options: &Options) -> Result<(), String> {
    let corpus = directory().join("corpus").join(&run.target);
    let artifacts = directory().join("artifacts").join(&run.target);
    for place in [&corpus, &artifacts] {
        fs::create_dir_all(place).map_err(|e| format!("{}: {e}", place.display()))?;
    }
    let mut command = Command::new(programs.join(&run.target));
    command.args([
        &format!("-max_total_time={}", options.seconds),
        &format!("-seed={}", options.seed),
        &format!("-artifact_prefix={}/", artifacts.display()),
        "-max_len=2048",
        "-len_control=0",
        "-timeout=20",
        "-reload=0",
        "-print_final_stats=1",
    ]);
    command.arg(&corpus).env("RUST_BACKTRACE", "1").stdout(Stdio::null()).stderr(Stdio::piped());
    println!("$ {}", shell::line(&command));
    let start = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", shell::line(&command)))?;
    let lines = child.stderr.take().map(BufReader::new);
    let mut heard = start;
    for line in lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        run.hear(&line);
        if heard.elapsed() >= PULSE && line.starts_with('#') {
            heard = Instant::now();
            let Run { target, executions, covered, corpus, .. } = run;
            let seconds = start.elapsed().as_secs();
            println!(
                "{target:<24} {seconds:>5} s {executions:>11} executions, {covered:>5} edges, corpus {corpus}"
            );
        }
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    run.seconds = start.elapsed().as_secs_f64();
    if status.success() { Ok(()) } else { Err(format!("{status}")) }
}

impl Run {
    /// Reads a line of libFuzzer's.
    fn hear(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix('#') {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let after = |name| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
            let number = |word: &&str| word.parse().ok();
            self.executions = words.first().and_then(number).unwrap_or(self.executions);
            self.covered = after("cov:").and_then(number).unwrap_or(self.covered);
            self.corpus = after("corp:").map_or_else(|| self.corpus.clone(), |word| (*word).into());
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or(self.executions);
        } else if let Some((_, counters)) = line.split_once(" modules   (") {
            let count = counters.split(' ').next().and_then(|word| word.parse().ok());
            self.edges = count.unwrap_or(self.edges);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.finding = Some(path.into());
        }
        if !line.starts_with('#') {
            self.tail.push_back(line.into());
            if self.tail.len() > LAST_LINES {
                self.tail.pop_front();
            }
        }
    }
}

/// Prints what ran, and fails with the findings.
fn report(runs: &[Run]) -> Result<(), String> {
    for run in runs.iter().filter(|run| run.finding.is_some()) {
        println!("\n---- {}: the last lines ----", run.target);
        run.tail.iter().for_each(|line| println!("{line}"));
    }
    println!(
        "\n{:<24} {:>12} {:>8} {:>15} {:>14}  findings",
        "target", "executions", "per s", "edges", "corpus"
    );
    for run in runs {
        let Run { target, executions, seconds, covered, edges, corpus, finding, .. } = run;
        let rate = if *seconds > 0.0 { *executions as f64 / seconds } else { 0.0 };
        let coverage = format!("{covered}/{edges}");
        let finding = finding.as_deref().unwrap_or("none");
        println!("{target:<24} {executions:>12} {rate:>8.0} {coverage:>15} {corpus:>14}  {finding}");
    }
    let found: Vec<String> =
        runs.iter().filter_map(|run| Some(format!("{}: {}", run.target, run.finding.as_ref()?))).collect();
    if found.is_empty() { Ok(()) } else { Err(format!("findings:\n{}", found.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::{Run, binaries};

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let text = "[package]\nname = \"x\"\n\n[[bin]]\nname = \"a\"\npath = \"p\"\n\n[[example]]\nname = \"e\"\n[[bin]]\nname = \"b\"\n";
        assert_eq!(binaries(text), ["a", "b"]);
    }

    #[test]
    fn libfuzzers_lines_are_understood() {
        let mut run = Run::default();
        for line in [
            "INFO: Loaded 1 modules   (6289 inline 8-bit counters): 6289 [0x5, 0x6), ",
            "#32768\tpulse  cov: 712 ft: 2101 corp: 310/88Kb lim: 2048 exec/s: 10922 rss: 75Mb",
            "artifact_prefix='a/'; Test unit written to a/crash-1",
            "stat::number_of_executed_units: 40000",
        ] {
            run.hear(line);
        }
        let got = (run.executions, run.covered, run.edges, run.corpus.as_str(), run.finding.as_deref());
        assert_eq!(got, (40000, 712, 6289, "310/88Kb", Some("a/crash-1")));
    }
}
