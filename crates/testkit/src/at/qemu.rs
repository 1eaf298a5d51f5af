//! Runs cases under `qemu-system-aarch64` with the program of `oracles/at`.

use super::case::{Answer, Case};
use crate::process;
use mmu_xlate::vmsa::{HardwareUpdates, Implementation};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const MAGIC_IN: u64 = 0x314e_4954_4158;
const MAGIC_OUT: u64 = 0x0031_5455_4f54_4158;
const INPUT: u64 = 0x6000_0000;
const ID_WORDS: usize = 9;

/// A run that takes longer is taken to hang.
const LIMIT: Duration = Duration::from_secs(600);

/// The reference machine.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// `qemu-system-aarch64`, or the path of another.
    pub program: PathBuf,
    /// What to run, built from `oracles/at`.
    pub monitor: PathBuf,
    /// A directory for inputs and results.
    pub scratch: PathBuf,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Replies {
    /// What the machine announces.
    pub implementation: Implementation,
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
        let io = |e: std::io::Error| format!("{}: {e}", self.scratch.display());
        std::fs::create_dir_all(&self.scratch).map_err(io)?;
        std::fs::write(self.scratch.join("input.bin"), input(cases)).map_err(io)?;
        let results = self.scratch.join("results.bin");
        let _ = std::fs::remove_file(&results);
        let mut command = Command::new(&self.program);
        command.current_dir(&self.scratch);
        command.args(["-M", "virt,secure=on,virtualization=on,gic-version=3,highmem=off", "-cpu", "max"]);
        command.args(["-m", "3G", "-display", "none", "-serial", "none", "-monitor", "none", "-net", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        let monitor = std::path::absolute(&self.monitor).unwrap_or_else(|_| self.monitor.clone());
        command.args(["-device", &format!("loader,file={},cpu-num=0", monitor.display())]);
        command.args(["-device", &format!("loader,file=input.bin,addr={INPUT:#x},force-raw=on")]);
        process::run(&mut command, &[0], LIMIT)?;
        let bytes = std::fs::read(&results).map_err(|e| format!("{}: {e}", results.display()))?;
        output(&bytes, cases)
    }
}

fn input(cases: &[Case]) -> Vec<u8> {
    let mut words = vec![MAGIC_IN, cases.len() as u64];
    for case in cases {
        words.push(case.memory.len() as u64 | (case.queries.len() as u64) << 32);
        words.extend(case.registers);
        words.extend(case.memory.iter().flat_map(|(&at, &value)| [at, value]));
        words.extend(case.queries.iter().flat_map(|query| [u64::from(query.operation), query.va]));
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn output(bytes: &[u8], cases: &[Case]) -> Result<Replies, String> {
    let words: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
    let queries: usize = cases.iter().map(|case| case.queries.len()).sum();
    let whole =
        words.len() == 2 + ID_WORDS + 2 * queries && words[0] == MAGIC_OUT && words[1] == cases.len() as u64;
    if !whole {
        return Err(format!("the reference returned {} words for {queries} queries", words.len()));
    }
    let implementation = implementation(&words[2..2 + ID_WORDS]);
    let mut rest = words[2 + ID_WORDS..].chunks_exact(2);
    let answers =
        cases.iter().map(|case| rest.by_ref().take(case.queries.len()).map(answer).collect()).collect();
    Ok(Replies { implementation, answers })
}

fn answer(words: &[u64]) -> Answer {
    match words[1] {
        0 => Answer::Par(words[0]),
        syndrome => {
            let class = (syndrome >> 26 & 0x3f) as u8;
            // S1PTW and the status code; there is nothing else to compare.
            Answer::Exception(class, if class == 0x25 { (syndrome & 0xbf) as u8 } else { 0 })
        }
    }
}

/// Reads what the machine has from PFR0, PFR1, MMFR0 to 4, ISAR1, ISAR2.
fn implementation(ids: &[u64]) -> Implementation {
    let field = |word: usize, low: u32| ids[word] >> low & 0xf;
    let [pfr0, mmfr0, mmfr1, mmfr2, mmfr3, isar1, isar2] = [0, 2, 3, 4, 5, 7, 8];
    let pauth = (field(isar1, 4) | field(isar1, 8) | field(isar2, 12)) != 0;
    Implementation {
        pa_bits: [32, 36, 40, 42, 44, 48, 52, 56][(field(mmfr0, 0) as usize).min(7)],
        el2: field(pfr0, 8) != 0,
        el3: field(pfr0, 12) != 0,
        granule_4k: field(mmfr0, 28) != 0xf,
        granule_16k: field(mmfr0, 20) != 0,
        granule_64k: field(mmfr0, 24) == 0,
        ttst: field(mmfr2, 28) != 0,
        lva: field(mmfr2, 16) != 0,
        lva3: field(mmfr2, 16) > 1,
        lpa: field(mmfr0, 0) >= 6,
        lpa2: field(mmfr0, 28) == 1,
        d128: field(mmfr3, 32) != 0,
        hpds: field(mmfr1, 12) != 0,
        hafdbs: match field(mmfr1, 0) {
            0 => HardwareUpdates::None,
            1 => HardwareUpdates::AccessFlag,
            2 => HardwareUpdates::DirtyState,
            _ => HardwareUpdates::TableAccessFlag,
        },
        vhe: field(mmfr1, 8) != 0,
        sel2: field(pfr0, 36) != 0,
        rme: field(pfr0, 52) != 0,
        nv: field(mmfr2, 24) != 0,
        pan3: field(mmfr1, 20) >= 3,
        e0pd: field(mmfr2, 60) != 0,
        nfd: field(pfr0, 32) != 0,
        tbid: pauth,
        fgt: field(mmfr0, 56) != 0,
        pan2: field(mmfr1, 20) >= 2,
        ats1a: field(isar2, 60) != 0,
        mte2: field(1, 8) >= 2,
        cmow: field(mmfr1, 56) != 0,
        xnx: field(mmfr1, 28) != 0,
        fwb: field(mmfr2, 40) != 0,
        xs: field(isar1, 56) != 0,
        tcr2: field(mmfr3, 0) != 0,
        s1pie: field(mmfr3, 8) != 0,
        s2pie: field(mmfr3, 12) != 0,
        s1poe: field(mmfr3, 16) != 0,
        s2poe: field(mmfr3, 20) != 0,
        aie: field(mmfr3, 24) != 0,
        the: field(1, 48) != 0,
        ..Implementation::ARMV8_0
    }
}
