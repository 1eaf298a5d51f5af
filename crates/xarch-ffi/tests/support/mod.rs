//! Building the static library and programs in C that use it.
#![allow(dead_code, clippy::panic, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The package's directory.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where tests may leave files.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Returns a C compiler, if there is one.
pub fn compiler(name: &str) -> Option<String> {
    let found = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: no {name} on this machine");
    }
    found.then(|| name.to_string())
}

/// Runs a command to its end, and fails with what it printed unless it went well.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Builds the static library as its users do, with these features.
pub fn library(features: &[&str]) -> PathBuf {
    let target = scratch().join("library");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg("rustc").arg("--manifest-path").arg(package().join("Cargo.toml")).args([
        "--quiet",
        "--lib",
        "--release",
        "--crate-type",
        "staticlib",
    ]);
    cargo.arg("--target-dir").arg(&target);
    for feature in features {
        cargo.args(["--features", feature]);
    }
    // Little optimised: the programs here run some hundred instructions. What is optimised is checked elsewhere.
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    cargo.args(["--", "--cfg", "xarch_static_library"]);
    run(&mut cargo);
    // The next build of it goes to the same place.
    let library = scratch().join(format!("libxarch-{}.a", features.join("-")));
    if let Err(error) = std::fs::copy(target.join("release/libxarch_ffi.a"), &library) {
        panic!("{}: {error}", library.display());
    }
    library
}

/// Compiles a program of `tests/c` with a library and returns it.
pub fn program(compiler: &str, source: &str, name: &str, defines: &[&str], library: &Path) -> PathBuf {
    let program = scratch().join(name);
    let mut cc = Command::new(compiler);
    cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L"]);
    cc.arg("-I").arg(package().join("../../include")).args(defines);
    cc.arg(package().join("tests/c").join(source)).arg(library).arg("-o").arg(&program);
    run(&mut cc);
    program
}
