//! Running cases under `qemu-system-aarch64` with the program of `oracles/vgic`.

use super::{Case, RECORD_WORDS, Record, model};
use crate::process;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const MAGIC_IN: u64 = 0x314e_4943_4756;
const MAGIC_OUT: u64 = 0x3154_554f_4756;
const INPUT: u64 = 0x6000_0000;
/// A run of at most 20,000 cases that takes longer is taken to hang.
const LIMIT: Duration = Duration::from_secs(60);

/// The reference machine.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-aarch64`, or the path of another.
    pub program: PathBuf,
    /// The program, built from `oracles/vgic`.
    pub monitor: PathBuf,
    /// A directory for inputs and results.
    pub scratch: PathBuf,
}

impl Qemu {
    /// Runs the cases and returns what was recorded of each.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be run, fails, or does not end in time.
    pub fn run(&self, cases: &[Case]) -> Result<Vec<Vec<Record>>, String> {
        std::fs::create_dir_all(&self.scratch).map_err(|e| format!("{}: {e}", self.scratch.display()))?;
        let file = self.scratch.join("input.bin");
        std::fs::write(&file, input(cases)).map_err(|e| format!("{}: {e}", file.display()))?;
        let results = self.scratch.join("results.bin");
        let _ = std::fs::remove_file(&results);
        self.start()?;
        let bytes = std::fs::read(&results).map_err(|e| format!("{}: {e}", results.display()))?;
        output(&bytes, cases)
    }

    fn start(&self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.scratch);
        command.args(["-M", "virt,virtualization=on,gic-version=3", "-cpu", "max", "-m", "2G"]);
        // Instructions are time: a run gives the same counts again, and timers fire on their count.
        command.args(["-icount", "shift=4,sleep=off"]);
        command.args(["-display", "none", "-serial", "none", "-monitor", "none", "-net", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        let monitor = std::path::absolute(&self.monitor).unwrap_or_else(|_| self.monitor.clone());
        command.args(["-device", &format!("loader,file={},cpu-num=0", monitor.display())]);
        command.args(["-device", &format!("loader,file=input.bin,addr={INPUT:#x},force-raw=on")]);
        process::run(&mut command, &[0], LIMIT)
    }
}

fn input(cases: &[Case]) -> Vec<u8> {
    let mut words = vec![MAGIC_IN, cases.len() as u64];
    for case in cases {
        words.push(u64::from(case.is_timer) << 8 | case.ops.len() as u64);
        words.extend(case.init);
        words.extend(case.ops.iter().flat_map(|op| [op.code, op.value]));
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn output(bytes: &[u8], cases: &[Case]) -> Result<Vec<Vec<Record>>, String> {
    let words: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
    let records: usize = cases.iter().map(|case| case.ops.len()).sum();
    if words.len() != 3 + records * RECORD_WORDS || words[..2] != [MAGIC_OUT, cases.len() as u64] {
        return Err(format!("the reference returned {} words for {} cases", words.len(), cases.len()));
    }
    model::check_vtr(words[2])?;
    let mut rest = words[3..].chunks_exact(RECORD_WORDS).map(|record| record.try_into().unwrap());
    Ok(cases.iter().map(|case| rest.by_ref().take(case.ops.len()).collect()).collect())
}
