//! Guests of our own: `cargo xtask guest transcript` builds `guests/transcript`, which every host runs.

use crate::shell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const GCC: &str = "aarch64-linux-gnu-gcc";
const SOURCES: [&str; 14] = [
    "start.S",
    "main.c",
    "registers.c",
    "exceptions.c",
    "unprivileged.c",
    "pstate.c",
    "floating.c",
    "memory.c",
    "devices.c",
    "firmware.c",
    "interrupts.c",
    "debugging.c",
    "translation.c",
    "second.c",
];
/// Longer than this an image is no longer one that a host can carry in a corner.
const MOST: u64 = 64 << 10;

pub fn run(words: &[String]) -> Result<(), String> {
    match words {
        [name] if name == "transcript" => {
            println!("{}", transcript_image()?.display());
            Ok(())
        }
        _ => Err("usage: cargo xtask guest transcript".into()),
    }
}

/// Returns what keeps guests from being built here.
pub fn missing() -> Option<String> {
    (!shell::has(GCC))
        .then(|| format!("not installed: {GCC} (package gcc-aarch64-linux-gnu, scripts/setup-cross)"))
}

/// Builds the transcript guest, and returns its image: an arm64 `Image` for 0x4008_0000.
pub fn transcript_image() -> Result<PathBuf, String> {
    if let Some(missing) = missing() {
        return Err(missing);
    }
    let source = shell::root().join("guests/transcript");
    let directory = shell::target().join("guests/transcript");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let list = directory.join("registers.inc");
    std::fs::write(&list, register_list(&shell::root())?).map_err(|e| format!("{}: {e}", list.display()))?;
    let (program, image) = (directory.join("transcript.elf"), directory.join("transcript.bin"));
    let options = "-Os -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -march=armv8-a \
                   -mgeneral-regs-only -mstrict-align -mno-outline-atomics -fno-tree-loop-distribute-patterns \
                   -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
                   -Wl,--no-warn-rwx-segments";
    let mut gcc = Command::new(GCC);
    gcc.args(options.split_whitespace()).arg("-I").arg(&directory).arg("-Wl,-T");
    gcc.arg(source.join("guest.ld")).arg("-o").arg(&program);
    shell::run(gcc.args(SOURCES.map(|file| source.join(file))))?;
    let mut copy = Command::new("aarch64-linux-gnu-objcopy");
    shell::run(copy.args(["-O", "binary"]).arg(&program).arg(&image))?;
    let bytes = std::fs::metadata(&image).map_err(|e| format!("{}: {e}", image.display()))?.len();
    if bytes > MOST {
        Err(format!("{}: {bytes} bytes, more than {MOST}", image.display()))
    } else {
        Ok(image)
    }
}

/// Writes the registers that EL1 may read as rows of `registers.c`: encoding, what it takes to read it, number, name.
fn register_list(root: &Path) -> Result<String, String> {
    let path = root.join("data/sysregs.tsv");
    let table = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().ok_or("data/sysregs.tsv is empty")?;
    let column = |name: &str| {
        header.iter().position(|h| *h == name).ok_or_else(|| format!("data/sysregs.tsv: no column {name}"))
    };
    let [name, op0, encoding, access, level] =
        [column("name")?, column("op0")?, column("enc16")?, column("access")?, column("min_el")?];
    let mut rows = String::new();
    let mut seen = Vec::new();
    for row in lines {
        let is_ours = (row[level].starts_with("EL0") || row[level].starts_with("EL1"))
            && row[access].contains('R')
            && row[op0] != "1"
            && !seen.contains(&row[encoding]);
        if is_ours {
            seen.push(row[encoding]);
            let (gate, number) = gate(row[name]);
            let _ = writeln!(rows, "REGISTER({}, {gate}, {number}, \"{}\")", row[encoding], row[name]);
        }
    }
    Ok(rows)
}

/// Names what it takes to read a register and get the same answer everywhere.
fn gate(name: &str) -> (&'static str, u8) {
    let numbered = |prefix: [&str; 2]| {
        let rest = prefix.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        rest.strip_suffix("_EL1")?.parse().ok()
    };
    if let Some(number) = numbered(["DBGBVR", "DBGBCR"]) {
        return ("BREAKPOINT", number);
    }
    if let Some(number) = numbered(["DBGWVR", "DBGWCR"]) {
        return ("WATCHPOINT", number);
    }
    let gate = match name {
        "CNTFRQ_EL0" | "CNTPCT_EL0" | "CNTVCT_EL0" | "CNTP_TVAL_EL0" | "CNTV_TVAL_EL0" => "TIME",
        // Of a debugger outside; QEMU has none of them.
        "OSDTRRX_EL1" | "OSDTRTX_EL1" | "OSECCR_EL1" | "DBGPRCR_EL1" | "DBGCLAIMSET_EL1"
        | "DBGCLAIMCLR_EL1" | "DBGAUTHSTATUS_EL1" | "DBGDTR_EL0" | "DBGDTRRX_EL0" => "CHANNEL",
        "CNTPCTSS_EL0" | "CNTVCTSS_EL0" => "ECV",
        "PAN" => "PAN",
        "UAO" => "UAO",
        "DIT" => "DIT",
        "SSBS" => "SSBS",
        "TCO" => "TCO",
        "RNDR" | "RNDRRS" => "RNG",
        "DISR_EL1" => "RAS",
        _ => "ALWAYS",
    };
    (gate, 0)
}
