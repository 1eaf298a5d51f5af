//! Running cases under `qemu-system-aarch64` with the monitor of `oracles/insn`.

use super::case::{CODE_WORDS, Case, Peer, Raw, STATE_WORDS, State, Stop, WINDOW_WORDS, word};
use super::env;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MAGIC_IN: u64 = 0x314e_4953_584e;
const MAGIC_OUT: u64 = 0x3154_554f_584e;
const INPUT: u64 = 0x6000_0000;
const RESULT_WORDS: usize = STATE_WORDS + WINDOW_WORDS + 2;
/// A run of at most 20,000 cases that takes longer is taken to hang.
const LIMIT: Duration = Duration::from_secs(180);

/// The reference machine.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-aarch64`, or the path of another.
    pub program: PathBuf,
    /// The monitor, built from `oracles/insn`.
    pub monitor: PathBuf,
    /// A directory for inputs and results.
    pub scratch: PathBuf,
}

impl Qemu {
    /// Runs the cases that `peer` answers, and returns their results in order.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be run, fails, or does not end in time.
    pub fn run(&self, cases: &[&Case], peer: Peer) -> Result<Vec<Raw>, String> {
        let cpu = match peer {
            Peer::Max => "max,sve=off,sme=off,pauth=off",
            Peer::NeoverseN1 => "neoverse-n1",
            // Asked only to audit the expectation: it lacks what nothing announces, but for FP16 and LOR.
            Peer::Undefined => "neoverse-n1",
        };
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        std::fs::create_dir_all(&self.scratch).map_err(|e| format!("{}: {e}", self.scratch.display()))?;
        let write = |name: &str, bytes: &[u8]| {
            let path = self.scratch.join(name);
            std::fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))
        };
        write("input.bin", &input(cases))?;
        write("image.bin", &env::image())?;
        let results = self.scratch.join("results.bin");
        let _ = std::fs::remove_file(&results);
        self.start(cpu)?;
        let bytes = std::fs::read(&results).map_err(|e| format!("{}: {e}", results.display()))?;
        output(&bytes, cases.len())
    }

    fn start(&self, cpu: &str) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.scratch);
        command.args(["-M", "virt,secure=on,virtualization=on,gic-version=3", "-cpu", cpu, "-m", "3G"]);
        command.args(["-display", "none", "-serial", "none", "-monitor", "none", "-net", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        let monitor = absolute(&self.monitor);
        command.args(["-device", &format!("loader,file={monitor},cpu-num=0")]);
        command.args(["-device", &format!("loader,file=input.bin,addr={INPUT:#x},force-raw=on")]);
        command.args(["-device", &format!("loader,file=image.bin,addr={:#x},force-raw=on", env::IMAGE)]);
        process::run(&mut command, &[0], LIMIT)
            .map_err(|e| format!("{e}; input in {}", self.scratch.display()))
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string()
}

/// Writes the input: sections of cases that share an environment, each with a header of 16 words.
fn input(cases: &[&Case]) -> Vec<u8> {
    let mut words: Vec<u64> = Vec::new();
    for section in cases.chunk_by(|a, b| a.env == b.env) {
        let e = section[0].env;
        let header = [
            MAGIC_IN,
            section.len() as u64,
            e.sctlr_el1(),
            e.tcr_el1(),
            e.mair_el1(),
            e.ttbr0_el1(),
            e.vbar_el1(),
            e.cpacr_el1(),
        ];
        words.extend(header);
        words.extend([0; 8]);
        for case in section {
            words.extend(case.state.0);
            words.extend(case.window);
            words.push(case.code.len() as u64);
            let mut code = case.code.clone();
            code.resize(CODE_WORDS, env::FILLER);
            words.extend(code.chunks(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32));
        }
    }
    words.extend([0; 2]);
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn output(bytes: &[u8], count: usize) -> Result<Vec<Raw>, String> {
    let words: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
    if words.len() != 2 + count * RESULT_WORDS || words[0] != MAGIC_OUT || words[1] != count as u64 {
        return Err(format!("the reference returned {} words for {count} cases", words.len()));
    }
    Ok(words[2..].chunks_exact(RESULT_WORDS).map(result).collect())
}

fn result(words: &[u64]) -> Raw {
    let mut state = State(words[..STATE_WORDS].try_into().unwrap());
    let syndrome = words[STATE_WORDS];
    let stop = match syndrome >> 26 & 0x3f {
        0x17 => {
            // The return address of an SMC is that of the next instruction.
            state.0[word::PC] -= 4;
            Stop::Smc(syndrome as u16)
        }
        0x01 => Stop::WaitFor,
        class => Stop::Other(format!("exception to EL3, class {class:#04x}")),
    };
    let window = words[STATE_WORDS + 1..STATE_WORDS + 1 + WINDOW_WORDS].try_into().unwrap();
    Raw { state, window, outside: words[RESULT_WORDS - 1], stop }
}
