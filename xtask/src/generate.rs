//! `cargo xtask generate [--check]`: writes the source files that come out of the tables in `data/`.
//!
//! Each output is committed. With `--check` nothing is written, and a file that differs from what the
//! tables give is an error, so that a hand edit or a forgotten run cannot stay unnoticed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the register and instruction names of `arm-arch` go.
const NAMES: &str = "crates/arm-arch/src/sysreg/names";

/// A file to be written: path below the workspace, and text.
type Output = (String, String);

/// Runs `generate`; `args` is what follows the word on the command line.
pub fn run(args: &[String]) -> Result<(), String> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err(format!("generate: unknown arguments {args:?}; usage: generate [--check]")),
    };
    let root = workspace()?;
    let mut outputs = register_names(&Table::read(&root, "data/sysregs.tsv")?)?;
    outputs.push(instruction_names(&Table::read(&root, "data/sys_insns.tsv")?)?);
    let mut stale = Vec::new();
    for (path, text) in outputs {
        let full = root.join(&path);
        if fs::read_to_string(&full).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            stale.push(path);
        } else {
            fs::write(&full, text).map_err(|e| format!("{}: {e}", full.display()))?;
            println!("wrote {path}");
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!("generated files differ from data/: {}", stale.join(", ")))
    }
}

/// Finds the workspace: the directory above this package.
fn workspace() -> Result<PathBuf, String> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).ok_or_else(|| "no workspace".into())
}

/// A table of `data/`: one header line, tab-separated.
struct Table {
    path: &'static str,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(root: &Path, path: &'static str) -> Result<Self, String> {
        let text = fs::read_to_string(root.join(path)).map_err(|e| format!("{path}: {e}"))?;
        let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        let header = lines.next().ok_or_else(|| format!("{path}: empty"))?;
        let rows: Vec<_> = lines.collect();
        if let Some(at) = rows.iter().position(|row| row.len() != header.len()) {
            return Err(format!("{path}: row {} has not {} columns", at + 2, header.len()));
        }
        Ok(Self { path, header, rows })
    }

    fn column(&self, name: &str) -> Result<usize, String> {
        self.header.iter().position(|h| h == name).ok_or_else(|| format!("{}: no column `{name}`", self.path))
    }
}

/// The groups of register names, in the order in which `pick` asks, with the title of their file.
const GROUPS: &[(&str, &str)] = &[
    ("trace", "Trace unit registers (`TRC*`)."),
    ("branch", "Branch record buffer registers (`BRB*`)."),
    ("system_pmu", "System PMU registers (`SPM*`)."),
    ("debug", "Debug registers, op0 = 2."),
    ("gic", "Interrupt controller: CPU interface (`ICC_*`) and hypervisor interface (`ICH_*`)."),
    ("timer", "Generic timer (`CNT*`)."),
    ("performance", "Performance monitors, statistical profiling and trace buffer (`PM*`, `TRB*`)."),
    ("activity", "Activity monitors (`AM*`)."),
    ("mpam", "Memory partitioning and monitoring (`MPAM*`)."),
    ("id", "Identification registers (`ID_*`, `MVFR*`)."),
    ("el3", "Other registers of EL3."),
    ("el2", "Other registers of EL2, and the `_EL12` aliases."),
    ("el1", "Other registers of EL1."),
    ("el0", "Other registers of EL0, and those without a level in their name."),
];

/// Returns the group a register's name belongs to.
fn pick(name: &str, op0: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
    match () {
        () if starts(&["TRC"]) => "trace",
        () if starts(&["BRB"]) => "branch",
        () if starts(&["SPM"]) => "system_pmu",
        () if op0 == "2" => "debug",
        () if starts(&["ICC_", "ICH_"]) => "gic",
        () if starts(&["CNT"]) => "timer",
        () if starts(&["PM", "TRB"]) => "performance",
        () if starts(&["AM"]) && !starts(&["AMAIR"]) => "activity",
        () if starts(&["MPAM"]) => "mpam",
        () if starts(&["ID_", "MVFR"]) => "id",
        () if name.contains("_EL3") => "el3",
        () if name.contains("_EL2") || name.contains("_EL12") => "el2",
        () if name.contains("_EL1") => "el1",
        () => "el0",
    }
}

/// Turns the manual's name into a constant's.
fn constant(name: &str) -> String {
    match name {
        "CurrentEL" => "CURRENT_EL".into(),
        "SPSel" => "SP_SEL".into(),
        _ => name.to_uppercase(),
    }
}

fn parse_hex(text: &str) -> Result<u16, String> {
    u16::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|e| format!("`{text}`: {e}"))
}

const BANNER: &str = "// Generated by `cargo xtask generate` from `data/`; edit the table, not this file.\n";

/// One file per group of registers, and the file that lists the groups.
fn register_names(table: &Table) -> Result<Vec<Output>, String> {
    let [name, op0, enc, access, el] =
        ["name", "op0", "enc16", "access", "min_el"].map(|column| table.column(column));
    let (name, op0, enc, access, el) = (name?, op0?, enc?, access?, el?);
    let mut outputs = Vec::new();
    let mut index = format!(
        "//! Names of the system registers, as the manual spells them. Arm ARM, ch. D24.\n{BANNER}\n"
    );
    let mut uses = String::new();
    let mut groups: Vec<_> = GROUPS.iter().collect();
    groups.sort();
    for (group, title) in groups {
        let mut text = format!("//! {title}\n{BANNER}\nuse crate::sysreg::SysRegId;\n\n");
        for row in table.rows.iter().filter(|row| pick(&row[name], &row[op0]) == *group) {
            let bits = parse_hex(&row[enc])?;
            let _ = writeln!(text, "/// `{}`: {} from {}.", row[name], row[access], row[el]);
            let _ = writeln!(
                text,
                "pub const {}: SysRegId = SysRegId::from_bits({bits:#06x});",
                constant(&row[name])
            );
        }
        outputs.push((format!("{NAMES}/{group}.rs"), text));
        let _ = writeln!(index, "mod {group};");
        let _ = writeln!(uses, "pub use {group}::*;");
    }
    let _ = write!(index, "\n{uses}");
    outputs.push((format!("{NAMES}/mod.rs"), index));
    Ok(outputs)
}

/// One file with the names of the SYS and SYSL instructions.
fn instruction_names(table: &Table) -> Result<Output, String> {
    let columns = ["insn", "op_name", "op0", "op1", "CRn", "CRm", "op2", "min_el"].map(|c| table.column(c));
    let [insn, op, op0, op1, crn, crm, op2, el] = columns;
    let (insn, op, el) = (insn?, op?, el?);
    let parts = [op0?, op1?, crn?, crm?, op2?];
    let mut text = format!(
        "//! Encodings of the SYS and SYSL instructions, as the manual names their aliases. Arm ARM, C5.3 to C5.5.\n\
         {BANNER}\nuse crate::sysreg::SysRegId;\n\n"
    );
    for row in &table.rows {
        let number = |at: usize| row[at].parse::<u16>().map_err(|e| format!("`{}`: {e}", row[at]));
        let mut bits = 0;
        for (at, width) in parts.into_iter().zip([2, 3, 4, 4, 3]) {
            bits = bits << width | number(at)?;
        }
        let name = if row[op] == "-" { row[insn].clone() } else { format!("{} {}", row[insn], row[op]) };
        let _ = writeln!(text, "/// `{name}`: from {}.", row[el]);
        let _ = writeln!(
            text,
            "pub const {}: SysRegId = SysRegId::from_bits({bits:#06x});",
            constant(&name).replace(' ', "_")
        );
    }
    Ok(("crates/arm-arch/src/sysreg/instructions.rs".into(), text))
}
