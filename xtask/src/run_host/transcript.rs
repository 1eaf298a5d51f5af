//! `run-host transcripts`: the same guest on every host, and what it says compared line by line.
//!
//! Hosts whose guest is told of the same CPU have to give the same transcript. Lines that begin with `~` are time or
//! chance. Where a host's hardware is a CPU that QEMU plays, what QEMU has otherwise than the architecture shows
//! through: such a line is excused only by a row of [`LIST`], which says what it may be instead.

use super::{arm64, s390x};
use crate::console::Console;
use crate::demo;
use crate::{guest, shell};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask run-host transcripts [--only HOST] [--keep DIRECTORY] [--qemu PROGRAM]
               runs guests/transcript on every host that is installed here, and compares what it says
    --only     bare-metal-arm64 or bare-metal-s390x, against the VMM
    --keep     writes the transcripts to files
    --qemu     plays bare-metal-arm64's machine
";

/// Longest silence of a machine that is at work.
const PATIENCE: Duration = Duration::from_secs(120);
const START: &str = "transcript: start\n";
const END: &str = "transcript: end\n";
/// A guest that stops in the middle has fewer.
const LEAST: usize = 3000;

/// What a host tells the guest of its CPU: a name, and the names of the models that it is below.
struct Model {
    name: &'static str,
    /// For the VMM, which knows the engine's own limit.
    vmm: &'static str,
    below: &'static str,
}

/// Everything has the first; the second is the most that QEMU's `max` and the engine have both.
const ARMV8_0: Model = Model { name: "armv8.0", vmm: "armv8.0", below: "armv8.0" };
const COMMON: Model = Model { name: "common", vmm: "neoverse-n1", below: "neoverse-n1+max-modelled" };
const OWN: Model = Model { name: "engine's own", vmm: "", below: "" };

/// What may differ on a machine that QEMU plays, and why: a table, read as it is.
const LIST: &str = "docs/differences-transcript.md";

/// A row of the list.
#[derive(Debug)]
struct Exception {
    /// Patterns of labels.
    lines: Vec<String>,
    /// The CPU of QEMU; none for all.
    cpu: Option<String>,
    /// Whether that is said instead which QEMU says to the guest alone.
    as_alone: bool,
    /// Patterns of what may also be said.
    says: Vec<String>,
}

/// Reads the table: lines, CPU, what is said. What follows is for people.
fn exceptions(text: &str) -> Result<Vec<Exception>, String> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, lines, cpu, says, rule, does, _] = cells[..] else {
            return Err(format!("{LIST}: not five columns: {row}"));
        };
        let patterns =
            |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(String::from).collect() };
        let (as_alone, says) = (says.starts_with("as alone"), patterns(says));
        if rule.is_empty() || does.is_empty() || (says.is_empty() && !as_alone) {
            return Err(format!("{LIST}: a row without its reason: {row}"));
        }
        let cpu = (cpu != "all").then(|| cpu.to_string());
        Ok(Exception { lines: patterns(lines), cpu, as_alone, says })
    })
    .collect()
}

/// Whether a text is of a pattern, in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => {
            let Some(text) = text.strip_prefix(start) else { return false };
            (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| is_like(text, rest)))
        }
    }
}

/// What a CPU of QEMU has otherwise.
struct Machine<'a> {
    cpu: &'a str,
    exceptions: &'a [Exception],
    /// What it says to the guest without a host of ours between.
    alone: &'a str,
}

/// One transcript.
struct Transcript {
    host: String,
    text: String,
    seconds: f64,
}

impl Transcript {
    /// Writes it to a file, if that is asked for.
    fn keep(&self, model: &str, directory: Option<&Path>) -> Result<(), String> {
        let Some(directory) = directory else { return Ok(()) };
        std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let name = format!("{model}-{}", self.host).replace([' ', ',', '\''], "-");
        let file = directory.join(name);
        std::fs::write(&file, &self.text).map_err(|e| format!("{}: {e}", file.display()))
    }
}

pub fn run(words: &[&str]) -> Result<(), String> {
    let (mut keep, mut only) = (None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match (*word, rest.next()) {
            ("--keep", Some(directory)) => keep = Some(Path::new(*directory)),
            ("--only", Some(host)) => only = Some(*host),
            ("--qemu", Some(program)) => arm64::use_qemu(program),
            _ => return Err(format!("unknown: {}\n{USAGE}", words.join(" "))),
        }
    }
    let list = shell::root().join(LIST);
    let list = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let exceptions = exceptions(&list)?;
    let demo::Machine::Ours(vmm) = demo::Machine::ours()? else { return Err("no VMM".into()) };
    let image = guest::transcript_image()?;
    let ours = |model: &Model| {
        let mut command = Command::new(&vmm);
        command.arg("--kernel").arg(&image).args(["--memory", "64", "--cpus", "2"]);
        if !model.vmm.is_empty() {
            command.args(["--cpu-model", model.vmm, "--lower-cpu-model"]);
        }
        take("VMM, SAE model", &mut command)
    };
    let mut report = Report::default();
    let left_out = |host| only.filter(|only| *only != host).map(|_| "not asked for".to_string());
    match left_out("bare-metal-arm64").or_else(arm64::missing) {
        Some(missing) => report.skip("bare-metal-arm64", &missing),
        None => {
            let hypervisor = arm64::Hypervisor::build()?;
            let mut machines = HashMap::new();
            for cpu in ["cortex-a57", "max"] {
                let said = take(&format!("QEMU {cpu}, no host"), &mut alone(&image, cpu))?;
                said.keep("", keep)?;
                machines.insert(cpu, said);
            }
            for (model, cpus) in [(&ARMV8_0, &["cortex-a57", "max"][..]), (&COMMON, &["max"][..])] {
                let reference = ours(model)?;
                let mut group = vec![];
                for cpu in cpus {
                    let name = format!("bare-metal-arm64, {cpu}");
                    let inside = take(&name, &mut hypervisor.transcript(&image, cpu, model.below)?)?;
                    let alone = machines.get(cpu).map_or("", |said| said.text.as_str());
                    group.push((inside, Some(Machine { cpu, exceptions: &exceptions, alone })));
                }
                report.compare(model, reference, group, keep)?;
            }
        }
    }
    match left_out("bare-metal-s390x").or_else(s390x::missing) {
        Some(missing) => report.skip("bare-metal-s390x", &missing),
        None => {
            let start = Instant::now();
            let texts = s390x::transcripts()?;
            let seconds = start.elapsed().as_secs_f64() / 2.0;
            let names = ["bare-metal-s390x, model", "bare-metal-s390x, instructions"];
            let group = names.into_iter().zip(texts).map(|(host, text)| {
                let text = inner(&text)?;
                Ok((Transcript { host: host.into(), text, seconds }, None))
            });
            report.compare(&OWN, ours(&OWN)?, group.collect::<Result<_, String>>()?, keep)?;
        }
    }
    report.end()
}

/// Returns the guest on QEMU without a host of ours between.
fn alone(image: &Path, cpu: &str) -> Command {
    let mut qemu = Command::new(arm64::qemu());
    qemu.args(["-M", "virt,gic-version=3", "-cpu", cpu, "-m", "64", "-smp", "2", "-nographic"]);
    qemu.args(["-nic", "none", "-no-reboot", "-kernel"]).arg(image);
    qemu
}

/// Runs a machine to its end and takes what the guest said.
fn take(host: &str, command: &mut Command) -> Result<Transcript, String> {
    let start = Instant::now();
    let mut console = Console::start(command, PATIENCE, false)?;
    let status = console.end(PATIENCE)?;
    if !status.success() {
        return Err(console.failure(&format!("{host}: {status}")));
    }
    let text = inner(console.text()).map_err(|what| console.failure(&format!("{host}: {what}")))?;
    Ok(Transcript { host: host.into(), text, seconds: start.elapsed().as_secs_f64() })
}

/// Returns the guest's part of what a console said.
pub fn inner(text: &str) -> Result<String, String> {
    let from = text.find(START).ok_or("no transcript")?;
    let to = text[from..].find(END).ok_or("the transcript has no end")?;
    let inner = &text[from..from + to + END.len()];
    match inner.lines().count() {
        lines if lines < LEAST => Err(format!("the transcript has {lines} lines only")),
        _ => Ok(inner.into()),
    }
}

/// The label of a line.
fn label(line: &str) -> &str {
    line.split_once(": ").map_or(line, |(label, _)| label)
}

/// The lines of a transcript that are to be compared, with how often their label was there before.
pub fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut seen = HashMap::new();
    let kept = text.lines().filter(|line| !line.starts_with('~'));
    kept.map(|line| {
        let count = seen.entry(label(line)).or_insert(0);
        *count += 1;
        (*count - 1, line)
    })
    .collect()
}

impl Machine<'_> {
    /// Whether a line may be what it is on this machine.
    fn excuses(&self, line: (usize, &str), alone: &[(usize, &str)]) -> bool {
        let said = line.1.split_once(": ").map_or("", |(_, said)| said);
        self.exceptions.iter().any(|exception| {
            exception.lines.iter().any(|pattern| is_like(label(line.1), pattern))
                && exception.cpu.as_ref().is_none_or(|cpu| cpu == self.cpu)
                && (exception.as_alone && alone.contains(&line)
                    || exception.says.iter().any(|pattern| is_like(said, pattern)))
        })
    }
}

/// Compares two transcripts; returns how many lines are the machine's own doing.
fn difference(
    reference: &Transcript,
    other: &Transcript,
    machine: Option<&Machine<'_>>,
) -> Result<usize, String> {
    let (want, got) = (lines(&reference.text), lines(&other.text));
    let alone = machine.map(|machine| lines(machine.alone)).unwrap_or_default();
    let mut excused = 0;
    let mut others = Vec::new();
    for (at, pair) in want.iter().zip(&got).enumerate() {
        let (want_line, got_line) = pair;
        if want_line == got_line {
            continue;
        }
        let is_same_thing = label(want_line.1) == label(got_line.1);
        if is_same_thing && machine.is_some_and(|machine| machine.excuses(*got_line, &alone)) {
            excused += 1;
            continue;
        }
        let machine =
            alone.iter().find(|(count, line)| *count == got_line.0 && label(line) == label(got_line.1));
        others.push(format!(
            "line {at} of those compared:\n{:>36}: {}\n{:>36}: {}\n{:>36}: {}",
            reference.host,
            want_line.1,
            other.host,
            got_line.1,
            "the machine alone",
            machine.map_or("no such line", |(_, line)| line)
        ));
        if !is_same_thing {
            // From here on everything is another thing.
            break;
        }
    }
    if want.len() != got.len() {
        others.push(format!("{} lines are to be compared, {} has {}", want.len(), other.host, got.len()));
    }
    if others.is_empty() { Ok(excused) } else { Err(others.join("\n")) }
}

/// What is known in the end.
#[derive(Default)]
struct Report {
    table: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    fn skip(&mut self, host: &str, missing: &str) {
        self.table.push(format!("{host:<32} skipped: {missing}"));
    }

    /// Compares a group of transcripts with a reference.
    fn compare(
        &mut self,
        model: &Model,
        reference: Transcript,
        group: Vec<(Transcript, Option<Machine<'_>>)>,
        keep: Option<&Path>,
    ) -> Result<(), String> {
        for one in group.iter().map(|(one, _)| one).chain([&reference]) {
            one.keep(model.name, keep)?;
        }
        let compared = lines(&reference.text).len();
        self.row(model, &reference, format!("{compared} lines, the reference"));
        for (other, machine) in &group {
            let result = match difference(&reference, other, machine.as_ref()) {
                Ok(0) => "the same".to_string(),
                Ok(excused) => format!("the same, but for {excused} lines of {LIST}"),
                Err(what) => {
                    self.failures.push(format!("{}, {}:\n{what}", model.name, other.host));
                    "DIFFERENT".to_string()
                }
            };
            self.row(model, other, result);
        }
        Ok(())
    }

    fn row(&mut self, model: &Model, one: &Transcript, result: String) {
        self.table.push(format!("{:<32} {:<14} {:>5.1} s  {result}", one.host, model.name, one.seconds));
    }

    fn end(self) -> Result<(), String> {
        println!("{:<32} {:<14}", "host", "CPU model");
        self.table.iter().for_each(|row| println!("{row}"));
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(text: &str) -> Transcript {
        Transcript { host: "a host".into(), text: text.into(), seconds: 0.0 }
    }

    const TABLE: &str = "\
| lines | on | says | the architecture | QEMU |
| --- | --- | --- | --- | --- |
| `exc.sp-*` `el0.sp` | all | as alone | rule | does |
| `mmio.wide` | max | `ok *` `no` | rule | does |
| `b` | all | as alone, `ok 7` | rule | does |
";

    #[test]
    fn a_difference_is_excused_where_it_is_listed_with_what_is_said_instead() {
        let exceptions = exceptions(TABLE).unwrap();
        let want = "a: 1\n~time: 5\nexc.sp-misaligned: ec=26\nmmio.wide: 5\n";
        let cases = [
            ("the same, time apart", "a: 1\n~time: 6\nexc.sp-misaligned: ec=26\nmmio.wide: 5\n", "", Ok(0)),
            (
                "listed, as alone",
                "a: 1\nexc.sp-misaligned: ok\nmmio.wide: 5\n",
                "exc.sp-misaligned: ok\n",
                Ok(1),
            ),
            (
                "listed, not as alone",
                "a: 1\nexc.sp-misaligned: ok\nmmio.wide: 5\n",
                "exc.sp-misaligned: no\n",
                Err(()),
            ),
            ("listed, of the pattern", "a: 1\nexc.sp-misaligned: ec=26\nmmio.wide: ok 7\n", "", Ok(1)),
            ("listed, not of the pattern", "a: 1\nexc.sp-misaligned: ec=26\nmmio.wide: 7\n", "", Err(())),
            ("not listed", "a: 3\nexc.sp-misaligned: ec=26\nmmio.wide: 5\n", "a: 3\n", Err(())),
            ("a line less", "a: 1\nexc.sp-misaligned: ec=26\n", "", Err(())),
            ("another thing", "a: 1\nexc.sp-other: ok\nmmio.wide: 5\n", "exc.sp-other: ok\n", Err(())),
        ];
        for (name, got, alone, result) in cases {
            let machine = Machine { cpu: "max", exceptions: &exceptions, alone };
            let found = difference(&transcript(want), &transcript(got), Some(&machine));
            assert_eq!(found.map_err(|_| ()), result, "{name}");
        }
        for (said, result) in [("ok 7", Ok(1)), ("as alone", Ok(1)), ("ok 8", Err(()))] {
            let machine = Machine { cpu: "max", exceptions: &exceptions, alone: "b: as alone\n" };
            let found = difference(&transcript("b: 1"), &transcript(&format!("b: {said}")), Some(&machine));
            assert_eq!(found.map_err(|_| ()), result, "{said}");
        }
        let other = Machine { cpu: "cortex-a57", exceptions: &exceptions, alone: "" };
        let got = transcript("a: 1\nexc.sp-misaligned: ec=26\nmmio.wide: ok 7\n");
        assert!(difference(&transcript(want), &got, Some(&other)).is_err(), "listed for another CPU");
        assert!(difference(&transcript(want), &got, None).is_err(), "no machine that QEMU plays");
    }

    #[test]
    fn every_row_of_the_list_has_its_reason() {
        let list = std::fs::read_to_string(shell::root().join(LIST)).unwrap();
        let exceptions = exceptions(&list).unwrap();
        assert!(!exceptions.is_empty());
        let is_named =
            |row: &Exception| row.lines.iter().all(|line| line.len() > 4 && !line.starts_with('*'));
        assert!(exceptions.iter().all(is_named), "{exceptions:?}");
        assert!(super::exceptions("| `a.b` | all | as alone | | does |\n").is_err());
        assert!(super::exceptions("| `a.b` | all | perhaps | rule | does |\n").is_err());
    }

    #[test]
    fn lines_of_one_label_are_told_apart() {
        assert_eq!(lines("x: 1\nx: 2\n~x: 3\ny\n"), [(0, "x: 1"), (1, "x: 2"), (0, "y")]);
    }
}
