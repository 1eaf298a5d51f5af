//! Other targets: the tests on big-endian s390x under qemu-user, and builds without an operating system.
//!
//! The distribution's compiler with its sources is used, because it can build `core` and `std` for any
//! target; rustup's offers no standard library for s390x in every installation.

use crate::checks::PUBLISHED;
use crate::shell;
use std::path::Path;
use std::process::Command;

const RUSTC: &str = "/usr/bin/rustc";

/// Returns what keeps the s390x tests from running here.
pub fn s390x_missing() -> Option<String> {
    compiler_missing().or_else(|| {
        let needs = [("s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu"), ("qemu-s390x", "qemu-user")];
        let missing: Vec<&str> =
            needs.iter().filter(|(program, _)| !shell::has(program)).map(|&(_, p)| p).collect();
        (!missing.is_empty()).then(|| format!("not installed: {} (scripts/setup-cross)", missing.join(", ")))
    })
}

/// Returns what keeps builds for other targets from running here.
pub fn compiler_missing() -> Option<String> {
    let there = Path::new(RUSTC).exists() && source_directory().is_some();
    (!there).then(|| "not installed: rustc-web and rust-web-src (scripts/setup-cross)".into())
}

/// Where `rustc --print sysroot` has the sources of the standard library.
fn source_directory() -> Option<std::path::PathBuf> {
    let sysroot = shell::output(Command::new(RUSTC).args(["--print", "sysroot"])).ok()?;
    let path = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    path.is_dir().then_some(path)
}

/// A cargo command with the distribution's compiler, and a target directory of its own.
fn cargo() -> Command {
    let mut cargo = shell::cargo();
    cargo.env("RUSTC", RUSTC).env("RUSTDOC", "/usr/bin/rustdoc").env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_TARGET_DIR", shell::target().join("cross")).env("RUST_BACKTRACE", "0");
    cargo
}

fn packages(cargo: &mut Command) {
    for package in PUBLISHED {
        cargo.args(["--package", package]);
    }
}

const S390X: &str = "s390x-unknown-linux-gnu";

/// A cargo command that builds for s390x with `std`, and runs what it built under qemu-user.
fn cargo_s390x(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER", "s390x-linux-gnu-gcc");
    cargo.env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER", "qemu-s390x -L /usr/s390x-linux-gnu");
    // Tests unwind; with the profile's abort, cargo would build two cores that exclude each other.
    cargo.env("CARGO_PROFILE_RELEASE_PANIC", "unwind");
    cargo.args([command, "--release", "--target", S390X]);
    cargo.arg("-Zbuild-std=std,panic_abort,panic_unwind,test");
    cargo
}

/// Builds the tests of the published crates for s390x and runs them.
pub fn test_s390x() -> Result<(), String> {
    let mut test = cargo_s390x("test");
    test.args(["--tests", "--no-fail-fast"]);
    packages(&mut test);
    shell::run_tests(&mut test)
}

/// The files that `oracle check` reads.
const VECTORS: [&str; 2] = ["vmsa_public.jsonl.gz", "s390_dat.json"];

/// Has the oracle check both files of vectors, built by this machine's cargo.
pub fn check_vectors() -> Result<(), String> {
    check(|| {
        let mut run = shell::cargo();
        run.args(["run", "--release"]);
        run
    })
}

/// Has the oracle check both files of vectors on a big-endian machine.
pub fn check_vectors_s390x() -> Result<(), String> {
    check(|| cargo_s390x("run"))
}

fn check(cargo_run: impl Fn() -> Command) -> Result<(), String> {
    for file in VECTORS {
        let path = Path::new("crates/mmu-xlate/tests/vectors").join(file);
        let mut run = cargo_run();
        run.args(["--quiet", "--package", "oracle", "--", "check"]).arg(path);
        shell::run(&mut run)?;
    }
    Ok(())
}

/// Builds the published crates with `core` alone: neither `std` nor `alloc` exists there.
pub fn build_bare() -> Result<(), String> {
    for target in ["s390x-unknown-none-softfloat", "aarch64-unknown-none-softfloat"] {
        let mut build = cargo();
        build.args(["build", "--release", "--lib", "--target", target]);
        build.args(["-Zbuild-std=core,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"]);
        packages(&mut build);
        shell::run(&mut build)?;
    }
    Ok(())
}
