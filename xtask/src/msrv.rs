//! The oldest compiler the published crates promise to build with: 1.85, from the distribution's packages,
//! unpacked privately.

use crate::checks::PUBLISHED;
use crate::fetch::Apt;
use crate::shell;
use std::path::{Path, PathBuf};
use std::process::Command;

const RELEASE: &str = "1.85";
/// The library that the compiler is linked with, where the distribution has it.
const LLVM: &str = "libllvm19";

/// Checks the published crates with Rust 1.85, or says why not.
pub fn check() -> Result<Result<(), String>, String> {
    let compiler = match compiler() {
        Ok(compiler) => compiler,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut check = shell::cargo();
    check.env("RUSTC", &compiler).env("CARGO_TARGET_DIR", shell::target().join("msrv"));
    // Cargo would ask a wrapper of the newer compiler.
    check.env_remove("RUSTC_WRAPPER").args(["check", "--lib"]);
    for package in PUBLISHED {
        check.args(["--package", package]);
    }
    println!("{}", shell::output(Command::new(&compiler).arg("--version"))?.trim());
    shell::run(&mut check).map(Ok)
}

/// Returns a `rustc` of that release: rustup's where it is installed, else from packages.
fn compiler() -> Result<PathBuf, String> {
    let of_rustup = shell::output(Command::new("rustup").args(["which", "rustc", "--toolchain", RELEASE]));
    if let Ok(path) = of_rustup {
        return Ok(path.trim().into());
    }
    let directory = shell::target().join(format!("rust-{RELEASE}"));
    let wrapper = directory.join("rustc");
    if !wrapper.is_file() {
        unpack(&directory, &wrapper)?;
    }
    Ok(wrapper)
}

fn unpack(directory: &Path, wrapper: &Path) -> Result<(), String> {
    let io = |e: std::io::Error| format!("{}: {e}", directory.display());
    let apt = Apt::new(shell::target().join("demo/apt"))?;
    apt.update(|apt| apt.version_of("rustc-web", RELEASE).map(|_| ()))?;
    let version = apt.version_of("rustc-web", RELEASE)?;
    let packages = [
        format!("rustc-web={version}"),
        format!("libstd-rust-web-dev={version}"),
        format!("libstd-rust-web-{RELEASE}={version}"),
        LLVM.into(),
    ];
    let root = directory.join("root");
    std::fs::create_dir_all(&root).map_err(io)?;
    for package in packages {
        let archive = apt.download(&package, 0)?;
        let mut unpack = Command::new("dpkg-deb");
        shell::run(unpack.arg("-x").arg(archive).arg(&root))?;
    }
    let library = root.join("usr/lib");
    let places: Vec<String> = library
        .read_dir()
        .map_err(io)?
        .flatten()
        .flat_map(|entry| [entry.path(), entry.path().join("lib")])
        .map(|path| path.display().to_string())
        .collect();
    let compiler = root.join("usr/bin/rustc");
    let script =
        format!("#!/bin/sh\nLD_LIBRARY_PATH={} exec {} \"$@\"\n", places.join(":"), compiler.display());
    let part = directory.join("rustc.part");
    std::fs::write(&part, script).map_err(io)?;
    shell::run(Command::new("chmod").arg("+x").arg(&part))?;
    shell::output(Command::new(&part).arg("--version"))?;
    std::fs::rename(&part, wrapper).map_err(io)
}
