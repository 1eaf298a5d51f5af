//! `cargo xtask test`, `ci` and the single steps they are made of.

use crate::demo::{self, Machine, Options};
use crate::steps::Steps;
use crate::{abi, checks, citations, cross, fuzz, generate, msrv, panic_free, run_host, shell};

const USAGE: &str = "\
usage: cargo xtask test [--quick | --only WORD | --target s390x]
  --quick          no release tests, no other targets, one boot
  --only WORD      only the steps whose name contains WORD
  --target s390x   only the tests of the published crates, on s390x under qemu-user
usage: cargo xtask ci     as test, with versions; what .ci/run calls
usage: cargo xtask fmt | lint | doc | rules
";

pub fn test(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => all(false, ""),
        ["--quick"] => all(true, ""),
        ["--only", word] => all(false, word),
        ["--target", "s390x"] | ["--target=s390x"] => match cross::s390x_missing() {
            None => cross::test_s390x(),
            Some(reason) => {
                println!("SKIPPED: {reason}");
                Ok(())
            }
        },
        ["--help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("unknown options {words:?}\n{USAGE}")),
    }
}

pub fn ci() -> Result<(), String> {
    for program in
        ["cargo", "rustc", "/usr/bin/rustc", "qemu-system-aarch64", "qemu-s390x", "aarch64-linux-gnu-gcc"]
    {
        let version = shell::output(std::process::Command::new(program).arg("--version"));
        println!("{program}: {}", version.map_or_else(|e| e, |v| v.lines().next().unwrap_or("").into()));
    }
    all(false, "")
}

fn all(quick: bool, only: &str) -> Result<(), String> {
    let only_full = || quick.then(|| "not with --quick".to_string());
    let mut steps = Steps::default();
    steps.only = only.into();
    steps.step("format", || fmt(&["--check"]));
    cheap(&mut steps);
    steps.step("lints", lint);
    steps.step("tests", || cargo_test(&[]));
    steps.step_if("tests, release", only_full(), || cargo_test(&["--release"]));
    steps.step("documentation", doc);
    let oldest = || if quick { Ok(Err("not with --quick".into())) } else { msrv::check() };
    steps.step_or_skip("oldest compiler, 1.85", oldest);
    steps.step_if(
        "builds without std or alloc",
        only_full().or_else(cross::compiler_missing),
        cross::build_bare,
    );
    steps.step_if("tests on s390x", only_full().or_else(cross::s390x_missing), cross::test_s390x);
    steps.step_if("vectors by the oracle", only_full(), cross::check_vectors);
    let no_s390x = only_full().or_else(cross::s390x_missing);
    steps.step_if("vectors by the oracle on s390x", no_s390x, cross::check_vectors_s390x);
    steps.step_or_skip("C header", abi::check);
    for (target, missing) in panic_free::targets() {
        let name = format!("panic-free library, {target}");
        steps.step_if(&name, only_full().or(missing), || {
            panic_free::run(&["--target", target].map(String::from))
        });
    }
    if only.is_empty() {
        steps.step("verdicts of former runs are gone", run_host::forget_verdicts);
    }
    let in_kernels = format!("linux-module {} --kit", run_host::KIT_ALWAYS.join(" "));
    for host in [
        "bare-metal-arm64",
        "bare-metal-arm64 kit",
        "bare-metal-s390x",
        "linux-module",
        &in_kernels,
        "transcripts",
        // What the kit has said on all of them, and in the tests.
        "kit --collect",
    ] {
        let words: Vec<String> = host.split(' ').map(String::from).collect();
        let missing = only_full().or_else(|| run_host::missing(words.first()?));
        steps.step_if(host, missing, || run_host::run(&words));
    }
    steps.step_if("fuzzing, 10 s each", only_full().or_else(fuzz::missing), fuzz::step);
    steps.step("smoke boot", || smoke(&[]));
    steps.step_if("smoke boot, 4 CPUs", only_full(), || smoke(&["--cpus", "4"]));
    let no_oracle = only_full().or_else(oracle_missing);
    steps.step_if("instructions against QEMU, fresh seed", no_oracle.clone(), || {
        crate::oracle::run(&["insn", "--cases", "100000"].map(String::from))
    });
    steps.step_if("interrupt controller against QEMU, fresh seed", no_oracle.clone(), || {
        crate::oracle_gic::run(&["--cases", "50000"].map(String::from))
    });
    steps.step_if("exceptions against QEMU, fresh seed", no_oracle, || {
        crate::oracle_exception::run(&["--cases", "10000"].map(String::from))
    });
    steps.finish()
}

fn oracle_missing() -> Option<String> {
    let needs =
        [("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"), ("qemu-system-aarch64", "qemu-system-arm")];
    let missing: Vec<&str> =
        needs.iter().filter(|(program, _)| !shell::has(program)).map(|&(_, p)| p).collect();
    (!missing.is_empty()).then(|| format!("not installed: {} (scripts/setup-cross)", missing.join(", ")))
}

fn smoke(extra: &[&str]) -> Result<(), String> {
    let options =
        Options { smoke: true, rest: extra.iter().map(|s| (*s).into()).collect(), ..Options::default() };
    let images = options.images()?;
    demo::smoke(&Machine::ours()?, &images, &options, true).map(|_| ())
}

/// The checks that need no compiler.
pub fn rules() -> Result<(), String> {
    let mut steps = Steps::default();
    cheap(&mut steps);
    steps.finish()
}

fn cheap(steps: &mut Steps) {
    steps.step("generated files", || generate::run(&["--check".into()]));
    steps.step("dependency rules", || checks::dependencies().and_then(|()| checks::neutral_contract()));
    steps.step("unsafe code where it may be", checks::unsafe_code);
    steps.step("no_std, no alloc", checks::no_std);
    steps.step("citations", citations::check);
}

pub fn fmt(arguments: &[&str]) -> Result<(), String> {
    shell::run(shell::cargo().args(["fmt", "--all"]).args(arguments))
}

pub fn lint() -> Result<(), String> {
    let mut clippy = shell::cargo();
    shell::run(clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

pub fn doc() -> Result<(), String> {
    let mut doc = shell::cargo();
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps"]))
}

fn cargo_test(arguments: &[&str]) -> Result<(), String> {
    shell::run_tests(shell::cargo().args(["test", "--workspace", "--no-fail-fast"]).args(arguments))
}
