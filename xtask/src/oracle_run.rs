//! What the long comparisons have in common: options, shards, counts that survive a stop, building the program.

use crate::shell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Options of `cargo xtask oracle at` and `lra`.
pub struct Options {
    pub cases: u64,
    pub seed: u64,
    pub share: Share,
    pub resume: Option<PathBuf>,
    pub show: u64,
    pub store: Option<PathBuf>,
    pub qemu: Option<PathBuf>,
}

/// One of several parts of a run.
#[derive(Clone, Copy)]
pub struct Share {
    /// From 1.
    pub part: u64,
    pub of: u64,
}

impl Share {
    /// Returns this part's share of a number.
    pub const fn of_total(self, total: u64) -> u64 {
        total.div_ceil(self.of)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl Options {
    /// Reads them; `None` where only help was wanted.
    pub fn read(arguments: &[String], usage: &str) -> Result<Option<Self>, String> {
        let mut options = Self {
            cases: 100_000,
            seed: 1,
            share: Share { part: 1, of: 1 },
            resume: None,
            show: 5,
            store: None,
            qemu: None,
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if name == "--help" {
                print!("{usage}");
                return Ok(None);
            }
            let value = rest.next().ok_or_else(|| format!("{name} needs a value\n{usage}"))?;
            match name.as_str() {
                "--cases" => options.cases = number(value)?,
                "--seed" => options.seed = number(value)?,
                "--shard" => options.share = share(value)?,
                "--resume" => options.resume = Some(value.into()),
                "--show" => options.show = number(value)?,
                "--store" => options.store = Some(value.into()),
                "--qemu" => options.qemu = Some(value.into()),
                _ => return Err(format!("unknown option {name}\n{usage}")),
            }
        }
        if options.store.is_some() && options.resume.is_some() {
            return Err(format!("--store wants the whole run: not with --resume\n{usage}"));
        }
        Ok(Some(options))
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.replace('_', "").parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number"))
}

fn share(text: &str) -> Result<Share, String> {
    let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    match parts {
        Some((part, of)) if part >= 1 && part <= of => Ok(Share { part, of }),
        _ => Err(format!("'{text}' is not a shard: I/N, from 1/N to N/N")),
    }
}

/// How far a run is, and what it has counted.
pub struct Progress {
    pub done: u64,
    /// The next batch.
    pub next: u64,
    pub shown: u64,
    counts: BTreeMap<String, u64>,
    what: String,
    file: Option<PathBuf>,
    identity: String,
    total: u64,
    start: Instant,
    before: u64,
    said: Instant,
}

impl Progress {
    /// Starts, or goes on from a file that an earlier run of the same seed and shard has left.
    pub fn start(options: &Options, what: &str) -> Result<Self, String> {
        let mut progress = Self {
            done: 0,
            next: 0,
            shown: 0,
            counts: BTreeMap::new(),
            what: what.into(),
            file: options.resume.clone(),
            identity: format!("{what}: seed {:#x} shard {}", options.seed, options.share),
            total: options.share.of_total(options.cases),
            start: Instant::now(),
            before: 0,
            said: Instant::now(),
        };
        if let Some(text) = options.resume.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
            progress.read(&text)?;
            println!("going on after {} {what}", progress.done);
        }
        Ok(progress)
    }

    fn read(&mut self, text: &str) -> Result<(), String> {
        let mut lines = text.lines();
        if lines.next() != Some(&self.identity) {
            return Err(format!("the file to resume from is of another run, not of {}", self.identity));
        }
        for line in lines {
            let (count, name) = line.split_once(' ').ok_or_else(|| format!("cannot resume from '{line}'"))?;
            let count = number(count)?;
            match name {
                "done" => self.done = count,
                "next" => self.next = count,
                name => drop(self.counts.insert(name.into(), count)),
            }
        }
        self.before = self.done;
        Ok(())
    }

    /// Keeps what there is, for a run that goes on.
    pub fn save(&mut self, next: u64) -> Result<(), String> {
        self.next = next;
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = format!("{}\n{} done\n{} next\n", self.identity, self.done, self.next);
        for (name, count) in &self.counts {
            text += &format!("{count} {name}\n");
        }
        let part = file.with_extension("part");
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, file));
        written.map_err(|e| format!("{}: {e}", file.display()))
    }

    pub fn count(&mut self, name: &str) {
        match self.counts.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(name.into(), 1)),
        }
    }

    pub fn counted(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Says how far it is, now and then, and at the end.
    pub fn line(&mut self, running: &[&str]) {
        if self.said.elapsed().as_secs() < 5 && self.done < self.total {
            return;
        }
        self.said = std::time::Instant::now();
        let rate = (self.done - self.before) as f64 / self.start.elapsed().as_secs_f64();
        let counts: Vec<String> =
            running.iter().map(|name| format!("{name} {}", self.counted(name))).collect();
        println!("{} of {} {}, {rate:.0}/s, {}", self.done, self.total, self.what, counts.join(", "));
    }

    /// Prints all counts.
    pub fn table(&self) {
        for (name, count) in &self.counts {
            println!("{count:>10}  {name}");
        }
        println!("{} {}, {:.0} s", self.done, self.what, self.start.elapsed().as_secs_f64());
    }
}

/// Builds the program in `oracles/NAME` where it is older than its sources.
pub fn build(name: &str, compiler: &str, package: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let source = shell::root().join("oracles").join(name);
    let directory = shell::target().join("oracle");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let program = directory.join(format!("{name}.elf"));
    if is_newer(&program, &source) {
        return Ok(program);
    }
    if !shell::has(compiler) {
        return Err(format!("{compiler} is missing: package {package}, or scripts/setup-cross"));
    }
    let mut gcc = Command::new(compiler);
    gcc.args(["-O2", "-g0", "-Wall", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-no-pie"]);
    gcc.args([
        "-fno-stack-protector",
        "-Wl,--build-id=none",
        "-Wl,--no-warn-rwx-segments",
        "-Wl,-z,noexecstack",
    ]);
    gcc.args(flags).arg("-Wl,-T").arg(source.join("link.ld"));
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
