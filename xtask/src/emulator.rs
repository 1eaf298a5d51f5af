//! The emulators that the translation oracles ask: from a later suite of the distribution, unpacked privately.
//!
//! The packages of the base system are too old: QEMU 7.2 aborts on faults at level −1, 10.0 on stage 2 Permission faults of AT,
//! and LRA is of use from 10.0 on. Nothing is installed: the package client resolves against an empty system, so that all
//! libraries come along, and the programs run by the dynamic linker among them.

use crate::shell;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 2] = ["qemu-system-arm", "qemu-system-s390x"];
const SOURCE: &str =
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main\n";
const BY_HAND: &str = "pass one instead: --qemu PROGRAM (11.1 or later)";

/// Returns a program, fetching the packages first where they are not there.
pub fn program(name: &str) -> Result<PathBuf, String> {
    let directory = shell::target().join("qemu");
    let wrapper = directory.join(name);
    if !wrapper.is_file() {
        fetch(&directory).map_err(|message| format!("no emulator of a later suite: {message}\n{BY_HAND}"))?;
    }
    version(&wrapper)?;
    Ok(wrapper)
}

/// Returns what a program says it is.
pub fn version(program: &Path) -> Result<String, String> {
    let text = shell::output(Command::new(program).arg("--version"))?;
    text.lines().next().map(String::from).ok_or_else(|| format!("{} says nothing", program.display()))
}

fn fetch(directory: &Path) -> Result<(), String> {
    for program in ["apt-get", "dpkg-deb"] {
        if !shell::has(program) {
            return Err(format!("{program} is not on this machine"));
        }
    }
    let machine = shell::output(Command::new("dpkg").arg("--print-architecture"))?;
    if machine.trim() != "amd64" {
        return Err(format!("the packages are unpacked on amd64 only, this is {}", machine.trim()));
    }
    let io = |e: std::io::Error| format!("{}: {e}", directory.display());
    let apt = directory.join("apt");
    for part in ["etc/preferences.d", "etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(part)).map_err(io)?;
    }
    std::fs::write(apt.join("etc/sources.list"), SOURCE).map_err(io)?;
    std::fs::write(apt.join("state/status"), "").map_err(io)?;
    shell::run(client(&apt).args(["-q", "update"]))?;
    shell::run(client(&apt).args(["-q", "install", "--yes", "--download-only"]).args(PACKAGES))?;
    let root = directory.join("root");
    std::fs::create_dir_all(&root).map_err(io)?;
    println!("unpacking below {}", root.display());
    for entry in apt.join("cache/archives").read_dir().map_err(io)?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "deb") {
            shell::output(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&root))?;
        }
    }
    for name in ["qemu-system-aarch64", "qemu-system-s390x"] {
        wrap(directory, &root, name).map_err(io)?;
    }
    let _ = std::fs::remove_dir_all(apt);
    Ok(())
}

/// apt-get with a state of its own, for a system that has no package.
fn client(apt: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let path = |part: &str| apt.join(part).display().to_string();
    for setting in [
        format!("Dir::Etc={}", path("etc")),
        "Dir::Etc::sourcelist=sources.list".into(),
        "Dir::Etc::sourceparts=/dev/null".into(),
        format!("Dir::State={}", path("state")),
        format!("Dir::State::status={}", path("state/status")),
        format!("Dir::Cache={}", path("cache")),
        "APT::Sandbox::User=".into(),
        "APT::Install-Recommends=false".into(),
        "Acquire::Languages=none".into(),
        "Acquire::Retries=3".into(),
        // A mirror may hold the suite as it was; the signature is checked all the same.
        "Acquire::Check-Valid-Until=false".into(),
        "Debug::NoLocking=true".into(),
    ] {
        command.args(["-o", &setting]);
    }
    command
}

/// Writes a script that runs a program with the libraries it was built for.
fn wrap(directory: &Path, root: &Path, name: &str) -> std::io::Result<()> {
    let root = root.display();
    let libraries = format!("{root}/usr/lib/x86_64-linux-gnu");
    let script = format!(
        "#!/bin/sh\nQEMU_MODULE_DIR={libraries}/qemu exec {root}/usr/lib64/ld-linux-x86-64.so.2 --library-path \
         {libraries}:{libraries}/systemd {root}/usr/bin/{name} -L {root}/usr/share/qemu \"$@\"\n"
    );
    let file = directory.join(name);
    std::fs::write(&file, script)?;
    let mut permissions = std::fs::metadata(&file)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&file, permissions)
}
