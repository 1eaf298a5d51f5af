//! The command line, and what is wrong with it.

use crate::cpu;
use crate::layout::{ADDRESS_BITS, RAM};
use arm_arch::feature::cpu::NamedModel;
use clap::Parser;
use std::ffi::OsString;
use std::path::PathBuf;

/// Most vCPUs that one machine can have.
pub const MAX_CPUS: u16 = 8;

/// Runs an arm64 kernel on any machine: an Arm virtual machine on a model of IBM Z's Start Arm Execution.
#[derive(Debug, Parser)]
#[command(name = "vmm", version, max_term_width = 110)]
#[command(after_help = "On the terminal: Ctrl-A X quits, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A H helps.")]
pub struct Options {
    /// The kernel: an arm64 Image, not compressed.
    #[arg(long, value_name = "FILE")]
    pub kernel: PathBuf,

    /// The initial RAM disk.
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,

    /// The kernel's command line.
    #[arg(long, visible_alias = "append", value_name = "TEXT", default_value = "console=ttyAMA0")]
    pub cmdline: String,

    /// Guest memory: MiB, or a number with M or G.
    #[arg(long, visible_alias = "mem", value_name = "SIZE", default_value = "512", value_parser = memory_bytes, allow_negative_numbers = true)]
    pub memory: u64,

    /// Virtual CPUs, a host thread each.
    #[arg(long, visible_alias = "smp", value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CPUS)))]
    pub cpus: u16,

    /// The CPU that the guest is told it runs on, instead of the most that the machine can do.
    #[arg(long, value_name = "NAME", value_parser = cpu::parser())]
    pub cpu_model: Option<NamedModel>,

    /// Lowers the CPU model to what the machine can do, where it would be refused.
    #[arg(long, requires = "cpu_model")]
    pub lower_cpu_model: bool,

    /// A device tree of your own instead of the generated one.
    #[arg(long, value_name = "FILE")]
    pub dtb: Option<PathBuf>,

    /// Writes the device tree to a file and ends.
    #[arg(long, value_name = "FILE")]
    pub dump_dtb: Option<PathBuf>,

    /// What runs the guest: 'model', in this program, or 'device=/dev/xarch', a kernel with the module.
    #[arg(long, value_name = "WHAT", default_value = "model", value_parser = accelerator)]
    pub accel: Accelerator,

    /// Ends when the guest resets instead of starting it again.
    #[arg(long)]
    pub no_reboot: bool,

    /// Prints counters of every layer when the machine ends.
    #[arg(long)]
    pub stats: bool,

    /// Writes every exit that reaches the guest side to standard error.
    #[arg(long)]
    pub trace: bool,
}

/// What runs the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The model, in this program.
    Model,
    /// A kernel, by its device.
    Device(PathBuf),
}

fn accelerator(text: &str) -> Result<Accelerator, String> {
    match text.split_once('=') {
        None if text == "model" => Ok(Accelerator::Model),
        Some(("device", path)) if !path.is_empty() => Ok(Accelerator::Device(path.into())),
        _ => Err("what runs the guest is 'model' or 'device=PATH'".into()),
    }
}

/// RAM that fits between its start and the end of the guest-physical address space.
const ADDRESSABLE: u64 = (1 << ADDRESS_BITS) - RAM;

impl Options {
    /// Takes the command line apart.
    ///
    /// # Errors
    /// What is wrong, or the help that was asked for.
    pub fn from_command_line(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments)
    }
}

/// Says what is wrong with a command line in one line, without the usage.
#[must_use]
pub fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    // After the message come tips and usage, each behind an empty line; what was typed may have such lines too.
    let end = ["\n\n  tip: ", "\n\nUsage: ", "\n\nFor more information"].map(|what| text.rfind(what));
    let message = text.get(..end.into_iter().flatten().min().unwrap_or(text.len())).unwrap_or(&text).trim();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    // A list of missing options has a line for each.
    let message = message.replace("\n  ", " ");
    format!("{} (--help tells more)", printable(&message))
}

/// Replaces what would not stay in its line, or change the terminal, by its escape sequence in Rust.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Parses a size in MiB, or with a suffix; a whole number of 2 MiB, at least 8 MiB.
fn memory_bytes(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.char_indices().next_back() {
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        _ => (text, 20),
    };
    let number: u64 = number.parse().map_err(|_| format!("'{text}' is not a size"))?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is more than any host has"))?;
    if bytes < 8 << 20 {
        return Err("the guest needs at least 8 MiB".into());
    }
    if bytes > ADDRESSABLE {
        return Err(format!("the guest's addresses reach no more than {}G", ADDRESSABLE >> 30));
    }
    if bytes % (2 << 20) != 0 {
        return Err("guest memory must be a whole number of 2 MiB".into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mib_unless_they_say_otherwise() {
        for (text, bytes) in
            [("512", 512 << 20), ("64M", 64 << 20), ("2G", 2 << 30), ("8", 8 << 20), ("1023G", 1023 << 30)]
        {
            assert_eq!(memory_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["0", "7", "9", "1K", "", "G", "-1", "99999999999G", "0x200", "1024G", "1047554"] {
            assert!(memory_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_guest_is_run_by_the_model_or_a_device() {
        assert_eq!(accelerator("model"), Ok(Accelerator::Model));
        assert_eq!(accelerator("device=/dev/xarch"), Ok(Accelerator::Device("/dev/xarch".into())));
        for text in ["", "device", "device=", "kvm", "model=1"] {
            assert!(accelerator(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_of_cpus_outside_the_machine_are_refused() {
        for (cpus, good) in [("0", false), ("1", true), ("8", true), ("9", false), ("99", false)] {
            let parsed = Options::try_parse_from(["vmm", "--kernel", "k", "--cpus", cpus]);
            assert_eq!(parsed.is_ok(), good, "{cpus}");
        }
    }
}
