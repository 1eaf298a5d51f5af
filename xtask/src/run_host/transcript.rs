//! `run-host transcripts`: the same guest on every host, and what it says compared line by line.
//!
//! Hosts whose guest is told of the same CPU have to give the same transcript. Lines that begin with `~` are time or
//! chance. Where a host's hardware is a CPU that QEMU plays, what QEMU has otherwise than the architecture shows
//! through: such a line is excused only if [`MACHINE`] names it and QEMU prints the very same line to the guest alone.

use super::{arm64, s390x};
use crate::console::Console;
use crate::demo::Machine;
use crate::guest;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask run-host transcripts [--keep DIRECTORY]
               runs guests/transcript on every host that is installed here, and compares what it says
    --keep     writes the transcripts to files
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

/// What of a line's label says that it is about something that QEMU 7.2 has otherwise, and why.
const MACHINE: &[(&str, &str)] = &[
    ("unaligned", "no alignment fault on Device memory, which all memory is with the MMU off"),
    ("misaligned", "no alignment check of the stack pointer; none on Device memory"),
    ("dc-zva", "no alignment fault of DC ZVA on Device memory"),
    ("dc-", "no translation of the address of cache maintenance"),
    ("ic-", "no translation of the address of cache maintenance"),
    ("reserved-type", "FEAT_LPA2 allows larger blocks, whether TCR_EL1.DS says so or not"),
    ("daifset", "the syndrome of MSR DAIFSet at EL0 has its fields in other places"),
    ("step.el1", "a step exception after PSTATE.D was set"),
    ("past-pa", "physical addresses are longer than the guest is told, which AT and a walk show"),
    ("DBGCLAIM", "no claim tags"),
    ("sysreg.ZCR", "FEAT_SVE is there, told of or not, and CPACR_EL1 traps first"),
    ("sysreg.SM", "FEAT_SME is there, told of or not, and CPACR_EL1 traps first"),
    ("sysreg.SVCR", "FEAT_SME is there, told of or not, and CPACR_EL1 traps first"),
    ("sysreg.TPIDR2", "FEAT_SME is there, told of or not, and nothing traps the register"),
    ("sysreg.ERRIDR", "FEAT_RAS is there, told of or not"),
    ("sysreg.CCSIDR2", "FEAT_IDST is there, told of or not"),
    ("sysreg.GMID", "FEAT_IDST is there, told of or not"),
    ("el0.midr", "FEAT_IDST is there, told of or not"),
    ("el0.id_aa64pfr0", "FEAT_IDST is there, told of or not"),
    ("el0.mpidr", "FEAT_IDST is there, told of or not"),
    ("el0.pm", "the performance monitors' EL0 traps come before EL2's"),
];

/// One transcript.
struct Transcript {
    host: String,
    text: String,
    seconds: f64,
}

pub fn run(words: &[&str]) -> Result<(), String> {
    let keep = match words {
        [] => None,
        ["--keep", directory] => Some(Path::new(*directory)),
        _ => return Err(format!("unknown: {}\n{USAGE}", words.join(" "))),
    };
    let Machine::Ours(vmm) = Machine::ours()? else { return Err("no VMM".into()) };
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
    let arm = arm64::missing();
    match &arm {
        Some(missing) => report.skip("bare-metal-arm64", missing),
        None => {
            let hypervisor = arm64::Hypervisor::build()?;
            for (model, cpus) in [(&ARMV8_0, &["cortex-a57", "max"][..]), (&COMMON, &["max"][..])] {
                let reference = ours(model)?;
                let mut group = vec![];
                for cpu in cpus {
                    let alone = take(&format!("QEMU {cpu}, no host"), &mut alone(&image, cpu))?;
                    let name = format!("bare-metal-arm64, {cpu}");
                    let inside = take(&name, &mut hypervisor.transcript(&image, cpu, model.below)?)?;
                    group.push((inside, Some(alone)));
                }
                report.compare(model, reference, group, keep)?;
            }
        }
    }
    match s390x::missing() {
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
    let mut qemu = Command::new(arm64::QEMU);
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
fn inner(text: &str) -> Result<String, String> {
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
fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut seen = HashMap::new();
    let kept = text.lines().filter(|line| !line.starts_with('~'));
    kept.map(|line| {
        let count = seen.entry(label(line)).or_insert(0);
        *count += 1;
        (*count - 1, line)
    })
    .collect()
}

/// Returns why a line may be what it is on this machine.
fn excuse(line: (usize, &str), alone: &[(usize, &str)]) -> Option<&'static str> {
    let (_, reason) = MACHINE.iter().find(|(part, _)| label(line.1).contains(part))?;
    alone.contains(&line).then_some(reason)
}

/// Compares two transcripts; returns how many lines are the machine's own doing.
fn difference(reference: &Transcript, other: &Transcript, alone: Option<&str>) -> Result<usize, String> {
    let (want, got) = (lines(&reference.text), lines(&other.text));
    let alone = alone.map(lines).unwrap_or_default();
    let mut excused = 0;
    for (at, pair) in want.iter().zip(&got).enumerate() {
        let (want_line, got_line) = pair;
        if want_line == got_line {
            continue;
        }
        let is_same_thing = label(want_line.1) == label(got_line.1);
        if is_same_thing && excuse(*got_line, &alone).is_some() {
            excused += 1;
            continue;
        }
        let context: Vec<&str> = want[at.saturating_sub(3)..at].iter().map(|(_, line)| *line).collect();
        let machine =
            alone.iter().find(|(count, line)| *count == got_line.0 && label(line) == label(got_line.1));
        return Err(format!(
            "line {at} of those compared differs:\n    {}\n{:>24}: {}\n{:>24}: {}\n{:>24}: {}",
            context.join("\n    "),
            reference.host,
            want_line.1,
            other.host,
            got_line.1,
            "the machine alone",
            machine.map_or("no such line", |(_, line)| line)
        ));
    }
    if want.len() == got.len() {
        Ok(excused)
    } else {
        Err(format!("{} lines are to be compared, {} has {}", want.len(), other.host, got.len()))
    }
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
        group: Vec<(Transcript, Option<Transcript>)>,
        keep: Option<&Path>,
    ) -> Result<(), String> {
        if let Some(directory) = keep {
            std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
            let alone = group.iter().filter_map(|(_, alone)| alone.as_ref());
            for one in group.iter().map(|(one, _)| one).chain(alone).chain([&reference]) {
                let name = format!("{}-{}", model.name, one.host).replace([' ', ',', '\''], "-");
                let file = directory.join(name);
                std::fs::write(&file, &one.text).map_err(|e| format!("{}: {e}", file.display()))?;
            }
        }
        let compared = lines(&reference.text).len();
        self.row(model, &reference, format!("{compared} lines, the reference"));
        for (other, alone) in &group {
            let result = match difference(&reference, other, alone.as_ref().map(|alone| alone.text.as_str()))
            {
                Ok(0) => "the same".to_string(),
                Ok(excused) => format!("the same, but for {excused} lines that are the machine's own"),
                Err(what) => {
                    self.failures.push(format!("{}, {}: {what}", model.name, other.host));
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

    #[test]
    fn a_difference_is_excused_where_it_is_listed_and_the_machines_own() {
        let want = "a: 1\n~time: 5\nexc.sp-misaligned: ec=26\nb: 2\n";
        let cases: [(&str, &str, &str, Result<usize, ()>); 6] = [
            ("the same, time apart", "a: 1\n~time: 6\nexc.sp-misaligned: ec=26\nb: 2\n", "", Ok(0)),
            ("the machine's", "a: 1\nexc.sp-misaligned: ok\nb: 2\n", "exc.sp-misaligned: ok\n", Ok(1)),
            ("not the machine's", "a: 1\nexc.sp-misaligned: ok\nb: 2\n", "exc.sp-misaligned: no\n", Err(())),
            ("not listed", "a: 3\nexc.sp-misaligned: ec=26\nb: 2\n", "a: 3\n", Err(())),
            ("a line less", "a: 1\nexc.sp-misaligned: ec=26\n", "", Err(())),
            ("another thing", "a: 1\nexc.unaligned: ok\nb: 2\n", "exc.unaligned: ok\n", Err(())),
        ];
        for (name, got, alone, result) in cases {
            let found = difference(&transcript(want), &transcript(got), Some(alone));
            assert_eq!(found.map_err(|_| ()), result, "{name}");
        }
    }

    #[test]
    fn lines_of_one_label_are_told_apart() {
        assert_eq!(lines("x: 1\nx: 2\n~x: 3\ny\n"), [(0, "x: 1"), (1, "x: 2"), (0, "y")]);
    }
}
