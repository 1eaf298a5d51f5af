//! Running cases under `qemu-system-aarch64` with the program of `oracles/exception`.

use super::case::{Case, RECORD_WORDS, Record};
use super::machine::{MACHINE_WORDS, Machine};
use crate::process;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const MAGIC_IN: u64 = 0x314e_4943_5845;
const MAGIC_OUT: u64 = 0x3154_554f_5845;
const INPUT: u64 = 0x6000_0000;
/// A run of at most 20,000 cases that takes longer is taken to hang.
const LIMIT: Duration = Duration::from_secs(60);

/// The reference machine.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-aarch64`, or the path of another.
    pub program: PathBuf,
    /// The program, built from `oracles/exception`.
    pub monitor: PathBuf,
    /// The processing element.
    pub cpu: String,
    /// A directory for inputs and results.
    pub scratch: PathBuf,
}

impl Qemu {
    /// Runs the cases, and returns what the machine says of itself and what was recorded of each.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be run, fails, or does not end in time.
    pub fn run(&self, cases: &[Case]) -> Result<(Machine, Vec<Record>), String> {
        std::fs::create_dir_all(&self.scratch).map_err(|e| format!("{}: {e}", self.scratch.display()))?;
        let file = self.scratch.join("input.bin");
        std::fs::write(&file, input(cases)).map_err(|e| format!("{}: {e}", file.display()))?;
        let results = self.scratch.join("results.bin");
        let _ = std::fs::remove_file(&results);
        self.start()?;
        let bytes = std::fs::read(&results).map_err(|e| format!("{}: {e}", results.display()))?;
        output(&bytes, cases.len())
    }

    fn start(&self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.scratch);
        // Tags need memory for them, or TCO does not exist.
        let tags = if self.cpu.starts_with("max") { ",mte=on" } else { "" };
        let machine = format!("virt,secure=on,virtualization=on,gic-version=3{tags}");
        command.args(["-M", &machine, "-cpu", &self.cpu, "-m", "2G"]);
        command.args(["-display", "none", "-serial", "none", "-monitor", "none", "-net", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        let monitor = std::path::absolute(&self.monitor).unwrap_or_else(|_| self.monitor.clone());
        command.args(["-device", &format!("loader,file={},cpu-num=0", monitor.display())]);
        command.args(["-device", &format!("loader,file=input.bin,addr={INPUT:#x},force-raw=on")]);
        process::run(&mut command, &[0], LIMIT)
    }
}

fn input(cases: &[Case]) -> Vec<u8> {
    let words = [MAGIC_IN, cases.len() as u64].into_iter().chain(cases.iter().flat_map(|case| case.words));
    words.flat_map(u64::to_le_bytes).collect()
}

fn output(bytes: &[u8], cases: usize) -> Result<(Machine, Vec<Record>), String> {
    const HEAD: usize = 2 + MACHINE_WORDS;
    let words: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
    if words.len() != HEAD + cases * RECORD_WORDS || words[..2] != [MAGIC_OUT, cases as u64] {
        return Err(format!("the reference returned {} words for {cases} cases", words.len()));
    }
    let machine = Machine::of(words[2..HEAD].try_into().unwrap());
    let records = words[HEAD..].chunks_exact(RECORD_WORDS).map(|record| record.try_into().unwrap());
    Ok((machine, records.collect()))
}
