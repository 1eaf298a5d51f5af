//! `cargo xtask demo`: Debian's arm64 kernel to a busybox shell, through the whole stack.

use crate::console::Console;
use crate::fetch::{self, Images};
use crate::{md5, shell};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask demo [--smoke] [OPTIONS OF THE VMM]
  --smoke           drive the boot unattended: wait for the shell, run commands, check them, power off
  --kernel FILE --initrd FILE
                    boot these instead of fetching Debian's
  --vmm COMMAND     boot under another machine monitor that takes the same options; 'qemu' is QEMU
  others            go to the VMM, as --cpus 4 --memory 512 --stats (its --help lists them)
";

/// Longest silence of a console that is not a failure.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the kernel is told.
pub const CMDLINE: &str = "console=ttyAMA0 rdinit=/bin/sh panic=-1";

/// What boots the guest.
#[derive(Clone, Debug)]
pub enum Machine {
    /// The project's own, built from this workspace.
    Ours(PathBuf),
    /// `qemu-system-aarch64`.
    Qemu,
    /// Another with our options.
    Other(String),
}

impl Machine {
    /// Builds the project's VMM.
    pub fn ours() -> Result<Self, String> {
        let mut build = shell::cargo();
        build.args(["build", "--release", "--package", "vmm"]);
        shell::run(&mut build)?;
        Ok(Self::Ours(shell::target().join("release/vmm")))
    }

    /// Returns the command that boots `images`.
    pub fn command(&self, images: &Images, options: &Options) -> Command {
        let mut command = match self {
            Self::Ours(program) => Command::new(program),
            Self::Qemu => return qemu(images, options),
            Self::Other(line) => {
                let mut words = line.split_whitespace();
                let mut command = Command::new(words.next().unwrap_or("false"));
                command.args(words);
                command
            }
        };
        command.arg("--kernel").arg(&images.kernel).arg("--initrd").arg(&images.initrd);
        if !options.rest.iter().any(|o| o == "--cmdline" || o.starts_with("--cmdline=")) {
            command.args(["--cmdline", CMDLINE]);
        }
        command.args(&options.rest);
        command
    }
}

fn qemu(images: &Images, options: &Options) -> Command {
    let mut command = Command::new("qemu-system-aarch64");
    // No seed in the device tree, as in ours: with one the kernel moves itself and switches tables at each system call.
    command.args([
        "-M",
        "virt,gic-version=3,dtb-randomness=off",
        "-cpu",
        "cortex-a57",
        "-nographic",
        "-no-reboot",
        "-nic",
        "none",
    ]);
    command.args(["-m", options.value("--memory").unwrap_or("512")]);
    command.args(["-smp", &options.cpus().to_string()]);
    command.arg("-kernel").arg(&images.kernel).arg("-initrd").arg(&images.initrd);
    command.args(["-append", options.value("--cmdline").unwrap_or(CMDLINE)]);
    command
}

/// The options of a boot.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub smoke: bool,
    pub kernel: Option<PathBuf>,
    pub initrd: Option<PathBuf>,
    pub vmm: Option<String>,
    /// What goes to the VMM.
    pub rest: Vec<String>,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| rest.next().cloned())
                    .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
            };
            match name {
                "--smoke" => options.smoke = true,
                "--kernel" => options.kernel = Some(value()?.into()),
                "--initrd" => options.initrd = Some(value()?.into()),
                "--vmm" => options.vmm = Some(value()?),
                _ => options.rest.push(word.clone()),
            }
        }
        Ok(options)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut words = self.rest.iter();
        while let Some(word) = words.next() {
            if word == name {
                return words.next().map(String::as_str);
            }
            if let Some(value) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
                return Some(value);
            }
        }
        None
    }

    fn cpus(&self) -> u32 {
        self.value("--cpus").and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    /// Returns the files to boot.
    pub fn images(&self) -> Result<Images, String> {
        match (&self.kernel, &self.initrd) {
            (Some(kernel), Some(initrd)) => Ok(Images { kernel: kernel.clone(), initrd: initrd.clone() }),
            (None, None) => fetch::images(),
            _ => Err("--kernel and --initrd belong together".into()),
        }
    }

    /// Returns what boots them.
    pub fn machine(&self) -> Result<Machine, String> {
        match self.vmm.as_deref() {
            None => Machine::ours(),
            Some("qemu") => Ok(Machine::Qemu),
            Some(line) => Ok(Machine::Other(line.into())),
        }
    }
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = Options::parse(arguments)?;
    let images = options.images()?;
    let machine = options.machine()?;
    if options.smoke {
        return smoke(&machine, &images, &options, true).map(|_| ());
    }
    println!("Ctrl-A X ends the machine; so does 'poweroff -f' in its shell.");
    shell::run(&mut machine.command(&images, &options))
}

/// What a smoke boot took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Start of the process to the shell's first prompt.
    pub shell: Duration,
    /// Start to the end of the process.
    pub all: Duration,
}

/// Boots, uses the shell, checks what it says, powers off.
pub fn smoke(machine: &Machine, images: &Images, options: &Options, echo: bool) -> Result<Timing, String> {
    let start = Instant::now();
    let mut session =
        Session { console: Console::start(&mut machine.command(images, options), PATIENCE, echo)? };
    session.prompt()?;
    let shell = start.elapsed();
    session.check(options.cpus())?;
    session.console.send("poweroff -f\n")?;
    let status = session.console.end(Duration::from_secs(60))?;
    if !status.success() {
        return Err(session.console.failure(&format!("the machine's exit status after power-off: {status}")));
    }
    if !session.console.text().contains("Power down") {
        return Err(session.console.failure("the kernel did not say that it powers down"));
    }
    let all = start.elapsed();
    println!(
        "\nsmoke boot: shell after {:.2} s, all checks, powered off after {:.2} s",
        shell.as_secs_f64(),
        all.as_secs_f64()
    );
    Ok(Timing { shell, all })
}

struct Session {
    console: Console,
}

impl Session {
    /// Waits for a shell prompt at the end of the output.
    fn prompt(&mut self) -> Result<(), String> {
        let found = |text: &str| {
            let last = text.rsplit('\n').next().unwrap_or("");
            (last.ends_with("# ") && last.len() < 20).then_some(text.len())
        };
        self.console.expect("the shell's prompt", found).map(|_| ())
    }

    /// Runs a command; returns its output when it succeeds.
    fn command(&mut self, command: &str) -> Result<String, String> {
        // The sum is the shell's: what is typed is echoed, but only a running shell prints 42.
        self.console.send(&format!("{command}; echo \"<$((40+2)):$?>\"\n"))?;
        let end = |text: &str| {
            let at = text.find("<42:")?;
            Some(at + text[at..].find('>')? + 1)
        };
        let text = self.console.expect(&format!("the end of '{command}'"), end)?;
        self.prompt()?;
        let (output, status) = text.rsplit_once("<42:").unwrap_or((&text, ""));
        if status != "0>" {
            return Err(self.console.failure(&format!("'{command}' ended with status {status}")));
        }
        // Without the echo of what was typed.
        let shown = output.split_once('\n').map_or("", |(_, rest)| rest);
        Ok(shown.trim().to_string())
    }

    /// Runs a command whose output must satisfy `is_right`.
    fn demand(&mut self, command: &str, what: &str, is_right: impl Fn(&str) -> bool) -> Result<(), String> {
        let output = self.command(command)?;
        if is_right(&output) {
            return Ok(());
        }
        Err(self.console.failure(&format!("'{command}' should say {what}, but says:\n{output}")))
    }

    fn check(&mut self, cpus: u32) -> Result<(), String> {
        self.command("mount -t proc proc /proc")?;
        self.demand("uname -a", "Linux and aarch64", |text| {
            text.contains("Linux") && text.contains("aarch64")
        })?;
        let count = |text: &str| text.lines().filter(|line| line.starts_with("processor")).count();
        self.demand("cat /proc/cpuinfo", &format!("{cpus} processors"), |text| count(text) == cpus as usize)?;
        self.demand("echo $((123456789*987654321))", "121932631112635269", |text| {
            text == "121932631112635269"
        })?;
        self.checksum()?;
        self.sleep()?;
        let what = format!("timer interrupts on {cpus} CPUs");
        self.demand("cat /proc/interrupts", &what, |text| {
            timer_ticks(text, cpus).is_some_and(|t| !t.contains(&0))
        })
    }

    /// A file of 16 MiB: 131,072 numbers of 7 digits, sixteen times.
    fn checksum(&mut self) -> Result<(), String> {
        let numbers: String = (1_000_000..1_131_072).map(|n| format!("{n}\n")).collect();
        let expected = md5::hex(numbers.repeat(16).as_bytes());
        self.command("seq 1000000 1131071 > /a")?;
        self.command("for i in 1 2 3 4; do cat /a /a > /b; mv /b /a; done")?;
        self.demand("ls -l /a", "16777216 bytes", |text| text.contains(" 16777216 "))?;
        self.demand("md5sum /a", &expected, |text| text.split(' ').next() == Some(&expected))
    }

    /// One second takes one second and not much more, by the guest's own clock.
    fn sleep(&mut self) -> Result<(), String> {
        let text = self.command("cat /proc/uptime; sleep 1; cat /proc/uptime")?;
        let times: Vec<f64> = text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
        let slept = match times[..] {
            [before, after] => after - before,
            _ => return Err(self.console.failure("/proc/uptime is not two numbers")),
        };
        if (0.99..4.0).contains(&slept) {
            return Ok(());
        }
        Err(self.console.failure(&format!("'sleep 1' took {slept:.2} s of guest time")))
    }
}

/// The counts of the timer's line of /proc/interrupts, one per CPU.
fn timer_ticks(text: &str, cpus: u32) -> Option<Vec<u64>> {
    let line = text.lines().find(|line| line.ends_with("arch_timer"))?;
    let counts: Vec<u64> = line.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    (counts.len() >= cpus as usize).then(|| counts[..cpus as usize].to_vec())
}

#[cfg(test)]
mod tests {
    use super::{Options, timer_ticks};

    const INTERRUPTS: &str = "           CPU0       CPU1       
  9:          0          0     GICv3  25 Level     vgic
 11:       1270       1100     GICv3  30 Level     arch_timer
IPI0:        10         12       Rescheduling interrupts";

    #[test]
    fn the_timers_counts_are_read_per_cpu() {
        assert_eq!(timer_ticks(INTERRUPTS, 2), Some(vec![1270, 1100]));
        assert_eq!(timer_ticks("IPI0: 1 2 arch", 2), None);
    }

    #[test]
    fn options_of_the_vmm_pass_through() {
        let words: Vec<String> = ["--smoke", "--cpus", "4", "--kernel=k", "--stats"].map(String::from).into();
        let options = Options::parse(&words).unwrap();
        assert!(options.smoke);
        assert_eq!(options.cpus(), 4);
        assert_eq!(options.rest, ["--cpus", "4", "--stats"]);
        assert_eq!(options.kernel.as_deref(), Some(std::path::Path::new("k")));
    }
}
