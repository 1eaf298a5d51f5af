//! `cargo xtask oracle id`: the identification registers of QEMU's CPU models, read by a program that runs on them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::shell;

const USAGE: &str = "\
usage: cargo xtask oracle id [CPU...]     print what QEMU's model of each CPU says
       cargo xtask oracle id --check      compare with the rows of data/cpu_models.tsv that name QEMU
";

/// The rows of `data/cpu_models.tsv` whose source starts with this were read here.
const SOURCE: &str = "QEMU 7.2, -cpu ";

/// Runs `oracle id`; `arguments` is what follows the word on the command line.
pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => Err(format!("which CPU?\n{USAGE}")),
        [flag] if flag == "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        [flag] if flag == "--check" => check(),
        cpus => {
            let (program, names) = (build()?, names()?);
            for cpu in cpus {
                for (register, value) in read(&program, cpu)? {
                    let name = names.get(&register).unwrap_or(&register);
                    println!("{cpu}\t{name}\t{value}\t{SOURCE}{cpu}");
                }
            }
            Ok(())
        }
    }
}

/// Builds `oracles/id`.
fn build() -> Result<PathBuf, String> {
    let source = shell::root().join("oracles/id");
    let directory = shell::target().join("oracle");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let program = directory.join("id.elf");
    if !shell::has("aarch64-linux-gnu-gcc") {
        return Err("aarch64-linux-gnu-gcc is missing: package gcc-aarch64-linux-gnu".into());
    }
    let mut gcc = Command::new("aarch64-linux-gnu-gcc");
    gcc.args(["-O2", "-g0", "-Wall", "-march=armv8-a", "-ffreestanding", "-nostdlib", "-static"]);
    gcc.args(["-mgeneral-regs-only", "-mstrict-align", "-fno-pic", "-fno-stack-protector"]);
    gcc.args(["-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-Wl,-T"]).arg(source.join("link.ld"));
    gcc.arg("-o").arg(&program).args([source.join("start.S"), source.join("main.c")]);
    shell::run(&mut gcc)?;
    Ok(program)
}

/// Runs the program on a CPU; returns registers by generic name, and values as `0x…`.
fn read(program: &PathBuf, cpu: &str) -> Result<Vec<(String, String)>, String> {
    let mut qemu = Command::new("qemu-system-aarch64");
    // All exception levels, so that the model says all it has.
    qemu.args(["-M", "virt,secure=on,virtualization=on,gic-version=3", "-cpu", cpu]);
    qemu.args(["-display", "none", "-serial", "none", "-monitor", "none", "-net", "none"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(program);
    let output = qemu.output().map_err(|e| format!("{}: {e}", shell::line(&qemu)))?;
    // Semihosting writes to the standard error stream.
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{}: {}\n{text}", shell::line(&qemu), output.status));
    }
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(register, value)| (register.to_owned(), value.to_owned())).collect())
}

/// The manual's names by generic name.
fn names() -> Result<BTreeMap<String, String>, String> {
    let path = shell::root().join("data/sysregs.tsv");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut names = BTreeMap::new();
    for line in text.lines().skip(1) {
        if let [name, op0, op1, crn, crm, op2, ..] = line.split('\t').collect::<Vec<_>>()[..] {
            names.insert(format!("S{op0}_{op1}_C{crn}_C{crm}_{op2}"), name.to_owned());
        }
    }
    Ok(names)
}

/// Compares the data with what QEMU says.
fn check() -> Result<(), String> {
    let path = shell::root().join("data/cpu_models.tsv");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut stored: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        if let [_, register, value, source] = line.split('\t').collect::<Vec<_>>()[..]
            && let Some(cpu) = source.strip_prefix(SOURCE)
        {
            stored.entry(cpu).or_default().insert(register.into(), value.into());
        }
    }
    let (program, names) = (build()?, names()?);
    let mut differing = 0;
    for (cpu, values) in &stored {
        let read = read(&program, cpu)?.into_iter();
        let read: BTreeMap<String, String> = read
            .map(|(register, value)| (names.get(&register).cloned().unwrap_or(register), value))
            .collect();
        let registers: std::collections::BTreeSet<_> = read.keys().chain(values.keys()).collect();
        for register in registers {
            let (found, wanted) = (read.get(register), values.get(register));
            if found != wanted {
                differing += 1;
                println!("{cpu} {register}: {found:?}, the data has {wanted:?}");
            }
        }
        println!("{cpu}: {} registers", read.len());
    }
    if stored.is_empty() {
        return Err("no rows name QEMU".into());
    }
    if differing == 0 { Ok(()) } else { Err(format!("{differing} registers differ")) }
}
