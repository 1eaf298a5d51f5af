//! A real kernel and initrd, by the distribution's package client: without root, with its own state
//! below the target directory, for any host architecture (the package is architecture-independent).

use crate::shell;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What to boot.
#[derive(Clone, Debug)]
pub struct Images {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

const BY_HAND: &str = "pass a kernel and an initrd instead:
  cargo xtask demo --kernel FILE --initrd FILE
where the kernel is an arm64 Image and the initrd has a shell at /bin/sh. Debian's netboot files will do:
  main/installer-arm64/current/images/netboot/debian-installer/arm64/linux and initrd.gz";

/// Returns the cached files, fetching them first where there are none.
pub fn images() -> Result<Images, String> {
    let directory = shell::target().join("demo");
    let images = Images { kernel: directory.join("linux"), initrd: directory.join("initrd.gz") };
    if images.kernel.is_file() && images.initrd.is_file() {
        return Ok(images);
    }
    fetch(&directory, &images).map_err(|message| format!("{message}\n{BY_HAND}"))?;
    Ok(images)
}

fn fetch(directory: &Path, images: &Images) -> Result<(), String> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if !shell::has(program) {
            return Err(format!("{program} is not on this machine, so the kernel cannot be fetched"));
        }
    }
    let apt = Apt::new(directory.join("apt"))?;
    apt.update(|apt| apt.package().map(|_| ()))?;
    let (package, bytes) = apt.package().map_err(|message| match failed_source() {
        // An update that reaches no server still succeeds.
        Some(line) => format!("{message}; is the machine offline? apt-get update said: {line}"),
        None => message,
    })?;
    let archive = apt.download(&package, bytes)?;
    let unpacked = directory.join("unpacked");
    let _ = std::fs::remove_dir_all(&unpacked);
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(&archive).arg(&unpacked);
    watch(&mut unpack, "unpacking", || None)?;
    let kernel =
        find(&unpacked, "text", "linux").ok_or_else(|| format!("{package} has no text/.../linux"))?;
    let initrd =
        find(&unpacked, "text", "initrd.gz").ok_or_else(|| format!("{package} has no text/.../initrd.gz"))?;
    for (from, to) in [(kernel, &images.kernel), (initrd, &images.initrd)] {
        let part = to.with_extension("part");
        let copied = std::fs::copy(&from, &part).and_then(|_| std::fs::rename(&part, to));
        copied.map_err(|e| format!("{}: {e}", to.display()))?;
    }
    let _ = std::fs::remove_dir_all(&unpacked);
    let _ = std::fs::remove_file(&archive);
    Ok(())
}

/// What the last command of the package client could not fetch.
fn failed_source() -> Option<String> {
    let log = std::fs::read_to_string(shell::target().join("demo/log")).ok()?;
    log.lines().find(|line| line.starts_with("Err:") || line.starts_with("W: Failed")).map(String::from)
}

/// A file of this name somewhere below a directory of that name.
fn find(root: &Path, below: &str, name: &str) -> Option<PathBuf> {
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in directory.read_dir().ok()?.flatten() {
            let path = entry.path();
            if entry.file_type().ok()?.is_dir() {
                pending.push(path);
            } else if path.file_name().is_some_and(|n| n == name)
                && path.components().any(|c| c.as_os_str() == below)
            {
                return Some(path);
            }
        }
    }
    None
}

/// apt with a state of its own; sources and keys are the host's.
pub struct Apt {
    directory: PathBuf,
    /// Architectures besides the host's.
    architectures: Vec<String>,
}

impl Apt {
    pub fn new(directory: PathBuf) -> Result<Self, String> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let path = directory.join(part);
            std::fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let status = directory.join("state/status");
        std::fs::write(&status, "").map_err(|e| format!("{}: {e}", status.display()))?;
        Ok(Self { directory, architectures: Vec::new() })
    }

    /// Knows the packages of another architecture too.
    pub fn with_architecture(mut self, architecture: &str) -> Self {
        self.architectures.push(architecture.into());
        self
    }

    /// Returns the names of packages that start with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, String> {
        let mut names = self.command("apt-cache");
        Ok(shell::output(names.args(["pkgnames", prefix]))?.lines().map(String::from).collect())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for architecture in &self.architectures {
            command.args(["-o", &format!("APT::Architectures::={architecture}")]);
        }
        let path = |part: &str| self.directory.join(part).display().to_string();
        let settings = [
            format!("Dir::State={}", path("state")),
            format!("Dir::State::status={}", path("state/status")),
            format!("Dir::Cache={}", path("cache")),
            "Acquire::Languages=none".into(),
            "APT::Sandbox::User=".into(),
            "Acquire::Retries=3".into(),
        ];
        for setting in settings {
            command.args(["-o", &setting]);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Reads the package lists. Other sources of the host may fail; what matters is whether what is wanted is
    /// `known` afterwards.
    pub fn update(&self, known: impl Fn(&Self) -> Result<(), String>) -> Result<(), String> {
        let mut command = self.command("apt-get");
        command.args(["-q", "update"]);
        match watch(&mut command, "reading package lists", || None) {
            Ok(()) => Ok(()),
            Err(message) if known(self).is_ok() => {
                println!(
                    "(apt-get update complained, but the package is known: {})",
                    message.lines().next().unwrap_or("")
                );
                Ok(())
            }
            Err(message) => Err(format!("the package lists cannot be read (offline?): {message}")),
        }
    }

    /// Returns the version of a package that starts with `release`.
    pub fn version_of(&self, package: &str, release: &str) -> Result<String, String> {
        let mut madison = self.command("apt-cache");
        let text = shell::output(madison.args(["madison", package]))?;
        let versions = text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim()));
        let mut wanted = versions.filter(|version| version.starts_with(release));
        let version = wanted.next().map(String::from);
        version.ok_or_else(|| format!("no package source of this machine has {package} {release}"))
    }

    /// The newest of `debian-installer-N-netboot-arm64`, but 12 where there is 12; and its size.
    fn package(&self) -> Result<(String, u64), String> {
        let mut search = self.command("apt-cache");
        search.args(["search", "--names-only", "^debian-installer-[0-9]+-netboot-arm64$"]);
        let found = shell::output(&mut search)?;
        let release = |name: &str| name.split('-').nth(2).and_then(|n| n.parse::<u32>().ok());
        let mut names: Vec<&str> = found.lines().filter_map(|line| line.split(' ').next()).collect();
        names.sort_by_key(|name| (release(name) == Some(12), release(name)));
        let name =
            names.last().ok_or("no package source of this machine has debian-installer-12-netboot-arm64")?;
        let mut show = self.command("apt-cache");
        show.args(["show", name]);
        let text = shell::output(&mut show)?;
        let size = text.lines().find_map(|line| line.strip_prefix("Size: ")?.parse().ok());
        Ok(((*name).to_string(), size.unwrap_or(0)))
    }

    /// Fetches one package, named as for apt-get; `bytes` is its size where known.
    pub fn download(&self, package: &str, bytes: u64) -> Result<PathBuf, String> {
        let directory = self.directory.join("download");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let mut command = self.command("apt-get");
        command.args(["-q", "download", package]).current_dir(&directory);
        let have = || size_below(&directory);
        let progress = || match bytes {
            0 => Some(format!("{} MB", have() / 1_000_000)),
            _ => Some(format!("{} of {} MB", have() / 1_000_000, bytes / 1_000_000)),
        };
        watch(&mut command, &format!("fetching {package}"), progress)?;
        let files = directory.read_dir().map_err(|e| e.to_string())?.flatten().map(|entry| entry.path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "deb"))
            .last()
            .ok_or_else(|| format!("apt-get download {package} left no file"))
    }
}

fn size_below(directory: &Path) -> u64 {
    let Ok(entries) = directory.read_dir() else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum()
}

/// Runs a command with a progress line: in place on a terminal, now and then elsewhere.
fn watch(command: &mut Command, what: &str, progress: impl Fn() -> Option<String>) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let log = shell::target().join("demo/log");
    let file = std::fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let second = file.try_clone().map_err(|e| e.to_string())?;
    let mut child: Child =
        command.stdout(file).stderr(second).spawn().map_err(|e| format!("cannot run {name}: {e}"))?;
    let terminal = std::io::stdout().is_terminal();
    let start = Instant::now();
    let mut said = Instant::now();
    let line = || {
        let seconds = start.elapsed().as_secs();
        progress().map_or_else(|| format!("{what}: {seconds} s"), |p| format!("{what}: {p}, {seconds} s"))
    };
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| format!("{name}: {e}"))? {
            break status;
        }
        if terminal {
            print!("\r{}\x1b[K", line());
            let _ = std::io::stdout().flush();
        } else if said.elapsed() > Duration::from_secs(10) {
            println!("{}", line());
            said = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    println!("{}{what}: {} s", if terminal { "\r\x1b[K" } else { "" }, start.elapsed().as_secs());
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("E:") || l.starts_with("Err:")).collect();
    let said = if errors.is_empty() { text.trim() } else { &errors.join("; ") };
    Err(format!("{name}: {status}: {said}"))
}
