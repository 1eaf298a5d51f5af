//! Runs cases under `qemu-system-s390x` with the program of `oracles/lra`.

use super::{Answer, Case};
use crate::process;
use mmu_xlate::dat::Facilities;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const MAGIC_IN: u64 = 0x4c52_4149_4e00_0000;
const MAGIC_OUT: u64 = 0x4c52_414f_5554_0000;
const INPUT: u64 = 0x1000_0000;
const OUTPUT: u64 = 0x3000_0000;
const HEADER_WORDS: usize = 6;

/// A run that takes longer is taken to hang.
const LIMIT: Duration = Duration::from_secs(600);

/// The reference machine.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-s390x`, or the path of another.
    pub program: PathBuf,
    /// What to run, built from `oracles/lra`.
    pub monitor: PathBuf,
    /// A directory for the machine's storage.
    pub scratch: PathBuf,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Replies {
    /// What the machine announces.
    pub facilities: Facilities,
    /// For each case, for each query.
    pub answers: Vec<Vec<Answer>>,
}

impl Qemu {
    /// Asks all queries of all cases.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be run, fails, or does not end in time.
    pub fn run(&self, cases: &[Case]) -> Result<Replies, String> {
        let path = self.scratch.join("storage.bin");
        let io = |e: std::io::Error| format!("{}: {e}", path.display());
        std::fs::create_dir_all(&self.scratch).map_err(io)?;
        let storage =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).map_err(io)?;
        storage.set_len(2 << 30).map_err(io)?;
        storage.write_all_at(&input(cases), INPUT).map_err(io)?;
        let monitor = std::path::absolute(&self.monitor).unwrap_or_else(|_| self.monitor.clone());
        let mut command = Command::new(&self.program);
        command.current_dir(&self.scratch);
        command.args(["-object", "memory-backend-file,id=storage,size=2G,mem-path=storage.bin,share=on"]);
        command.args([
            "-M",
            "s390-ccw-virtio,memory-backend=storage",
            "-m",
            "2G",
            "-cpu",
            "max",
            "-nodefaults",
        ]);
        command
            .args(["-display", "none", "-no-reboot", "-action", "panic=exit-failure", "-kernel"])
            .arg(monitor);
        process::run(&mut command, &[0], LIMIT)?;
        let queries: usize = cases.iter().map(|case| case.queries.len()).sum();
        let mut bytes = vec![0; (HEADER_WORDS + 2 * queries) * 8];
        storage.read_exact_at(&mut bytes, OUTPUT).map_err(io)?;
        output(&bytes, cases)
    }
}

fn input(cases: &[Case]) -> Vec<u8> {
    let mut words = vec![MAGIC_IN, cases.len() as u64];
    for case in cases {
        words.push(case.memory.len() as u64 | (case.queries.len() as u64) << 32);
        words.extend([case.cr0, case.asce]);
        words.extend(case.memory.iter().flat_map(|(&at, &value)| [at, value]));
        words.extend(&case.queries);
    }
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn output(bytes: &[u8], cases: &[Case]) -> Result<Replies, String> {
    let words: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_be_bytes(b.try_into().unwrap())).collect();
    if words[0] != MAGIC_OUT || words[1] != cases.len() as u64 {
        return Err("the reference did not return results".into());
    }
    let facilities = Facilities::from_list(&words[2..HEADER_WORDS]);
    let mut rest = words[HEADER_WORDS..].chunks_exact(2);
    let answers =
        cases.iter().map(|case| rest.by_ref().take(case.queries.len()).map(answer).collect()).collect();
    Ok(Replies { facilities, answers })
}

fn answer(words: &[u64]) -> Answer {
    match words[1] >> 8 {
        0 => Answer::Done(words[1] as u8, words[0]),
        code => Answer::Interrupted(code as u16 & 0x3fff),
    }
}
