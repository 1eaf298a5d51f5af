//! `cargo xtask generate [--check]`: writes the source files that come out of the tables in `data/`.
//!
//! Each output is committed. With `--check` nothing is written, and a file that differs from what the
//! tables give is an error, so that a hand edit or a forgotten run cannot stay unnoticed.

mod models;
mod registers;
mod requirements;
mod traps;

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
    outputs.extend(registers::outputs(&Table::read(&root, "data/sysregs.tsv")?)?);
    outputs.push(instruction_names(&Table::read(&root, "data/sys_insns.tsv")?)?);
    let fields =
        id_fields(&Table::read(&root, "data/sysregs.tsv")?, &Table::read(&root, "data/id_fields.tsv")?)?;
    outputs.push(field_table(&fields));
    outputs.extend(feature_tables(&Table::read(&root, "data/features.tsv")?, &fields)?);
    outputs.push(models::output(
        &Table::read(&root, "data/cpu_models.tsv")?,
        &Table::read(&root, "data/sysregs.tsv")?,
    )?);
    outputs.extend(crate::generate_a64::outputs(&root)?);
    let features = outputs.iter().find(|(path, _)| path.ends_with("feature/names.rs"));
    let features = features.map(|(_, text)| text.clone()).unwrap_or_default();
    outputs.push(traps::output(
        [
            &Table::read(&root, "data/sysregs.tsv")?,
            &Table::read(&root, "data/sys_insns.tsv")?,
            &Table::read(&root, "data/trap_rules.tsv")?,
            &Table::read(&root, "data/fgt_fields.tsv")?,
            &Table::read(&root, "data/fgt_registers.tsv")?,
            &Table::read(&root, "data/sysreg_trap_conditions_v85.tsv")?,
            &Table::read(&root, "data/trap_pairs.tsv")?,
        ],
        &features,
    )?);
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
        "//! Encodings of the SYS and SYSL instructions, as the manual names their aliases. Arm ARM, SYS, SYSL.\n\
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

/// A field of an ID register.
struct Field {
    register: String,
    enc: u16,
    name: String,
    hi: u8,
    lo: u8,
    signed: bool,
}

/// Collects the fields of the AArch64 ID registers (op0 = 3, op1 = 0, CRn = 0, CRm = 4 to 7), lowest first.
fn id_fields(registers: &Table, signs: &Table) -> Result<Vec<Field>, String> {
    let (name, enc, layout) =
        (registers.column("name")?, registers.column("enc16")?, registers.column("fields")?);
    let (s_register, s_field, s_sign) =
        (signs.column("register")?, signs.column("field")?, signs.column("sign")?);
    let mut fields = Vec::new();
    for row in registers.rows.iter().filter(|row| row[name].starts_with("ID_AA64")) {
        for item in row[layout].split(',').filter(|item| *item != "?" && !item.starts_with("RES")) {
            let (field, range) = item.trim_end_matches(']').split_once('[').ok_or_else(|| item.to_owned())?;
            let (hi, lo) = range.split_once(':').unwrap_or((range, range));
            let number = |text: &str| text.parse::<u8>().map_err(|e| format!("{item}: {e}"));
            let signed = signs
                .rows
                .iter()
                .any(|s| s[s_register] == row[name] && s[s_field] == field && s[s_sign] == "signed");
            fields.push(Field {
                register: row[name].clone(),
                enc: parse_hex(&row[enc])?,
                name: field.into(),
                hi: number(hi)?,
                lo: number(lo)?,
                signed,
            });
        }
    }
    // A register whose layout the first table does not have may have fields in the second.
    let (s_enc, s_hi, s_lo) = (signs.column("enc16")?, signs.column("hi")?, signs.column("lo")?);
    for row in signs.rows.iter().filter(|row| row[s_register].starts_with("ID_AA64")) {
        let (Ok(hi), Ok(lo)) = (row[s_hi].parse(), row[s_lo].parse()) else { continue };
        if !fields.iter().any(|f| f.register == row[s_register] && f.name == row[s_field]) {
            fields.push(Field {
                register: row[s_register].clone(),
                enc: parse_hex(&row[s_enc])?,
                name: row[s_field].clone(),
                hi,
                lo,
                signed: row[s_sign] == "signed",
            });
        }
    }
    fields.sort_by_key(|f| (f.enc, f.lo));
    Ok(fields)
}

/// Fields that no order compares: another value means another thing, not more or less of it.
const EXACT: &[&str] = &["APA", "API", "APA3", "GPA", "GPI", "GPA3"];
/// Fields for stage 2, where 0 refers to the field for stage 1.
const STAGE_2: &[&str] = &["TGran4_2", "TGran16_2", "TGran64_2"];
/// Fields of which the table has no sign, but in which the highest value means none. Arm ARM, "Alternative ID
/// scheme used for the Performance Monitors Extension version".
const SIGNED: &[&str] = &["PMUVer"];
/// Fields in which each bit announces something of its own.
const FLAGS: &[&str] = &["I16I64", "I8I32", "I16I32", "SYSPMUID"];

/// The table of ID fields.
fn field_table(fields: &[Field]) -> Output {
    let mut text = format!(
        "//! The fields of the AArch64 ID registers, by register and from the lowest bit. `data/id_fields.tsv`.\n{BANNER}\n\
         use super::field::Kind::{{Exact, Flags, Signed, StageTwo, Unsigned}};\nuse super::field::{{Field, field}};\n\
         use crate::sysreg::names as id;\n\n/// Every named field; what is in none of them is RES0.\n\
         #[rustfmt::skip]\npub static FIELDS: &[Field] = &[\n"
    );
    for Field { register, name, hi, lo, signed, .. } in fields {
        let kind = match name.as_str() {
            _ if EXACT.contains(&name.as_str()) || register.contains("AFR") => "Exact",
            _ if FLAGS.contains(&name.as_str()) => "Flags",
            _ if STAGE_2.contains(&name.as_str()) => "StageTwo",
            _ if *signed || SIGNED.contains(&name.as_str()) => "Signed",
            _ => "Unsigned",
        };
        let _ = writeln!(text, "    field(id::{register}, \"{name}\", {hi}, {lo}, {kind}),");
    }
    text.push_str("];\n");
    ("crates/arm-arch/src/feature/fields.rs".into(), text)
}

/// Features whose rule the table has not, or states only under a condition that always holds here.
const MORE_RULES: &[(&str, &str)] = &[
    ("FEAT_EL0", "UInt(ID_AA64PFR0_EL1.EL0) >= 1"),
    ("FEAT_EL1", "UInt(ID_AA64PFR0_EL1.EL1) >= 1"),
    ("FEAT_AA64EL0", "UInt(ID_AA64PFR0_EL1.EL0) >= 1"),
    ("FEAT_AA64EL1", "UInt(ID_AA64PFR0_EL1.EL1) >= 1"),
    ("FEAT_AA64EL2", "UInt(ID_AA64PFR0_EL1.EL2) >= 1"),
    ("FEAT_AA64EL3", "UInt(ID_AA64PFR0_EL1.EL3) >= 1"),
    ("FEAT_AA64", "UInt(ID_AA64PFR0_EL1.EL0) >= 1"),
    ("FEAT_AA32EL2", "UInt(ID_AA64PFR0_EL1.EL2) >= 2"),
    ("FEAT_AA32EL3", "UInt(ID_AA64PFR0_EL1.EL3) >= 2"),
    ("FEAT_AA32", "UInt(ID_AA64PFR0_EL1.EL0) >= 2"),
    ("FEAT_E2H0", "UInt(ID_AA64MMFR1_EL1.VH) >= 1 && SInt(ID_AA64MMFR4_EL1.E2H0) >= 0"),
    ("FEAT_SRMASK", "UInt(ID_AA64MMFR4_EL1.SRMASK) >= 1"),
    ("FEAT_DoubleFault", "UInt(ID_AA64PFR0_EL1.EL3) >= 1 && UInt(ID_AA64PFR0_EL1.RAS) >= 2"),
    (
        "FEAT_S2TGran4K",
        "UInt(ID_AA64PFR0_EL1.EL2) >= 1 && ((UInt(ID_AA64MMFR0_EL1.TGran4_2) == 0 && SInt(ID_AA64MMFR0_EL1.TGran4) >= 0) || UInt(ID_AA64MMFR0_EL1.TGran4_2) >= 2)",
    ),
    (
        "FEAT_S2TGran16K",
        "UInt(ID_AA64PFR0_EL1.EL2) >= 1 && ((UInt(ID_AA64MMFR0_EL1.TGran16_2) == 0 && UInt(ID_AA64MMFR0_EL1.TGran16) >= 1) || UInt(ID_AA64MMFR0_EL1.TGran16_2) >= 2)",
    ),
    (
        "FEAT_S2TGran64K",
        "UInt(ID_AA64PFR0_EL1.EL2) >= 1 && ((UInt(ID_AA64MMFR0_EL1.TGran64_2) == 0 && SInt(ID_AA64MMFR0_EL1.TGran64) >= 0) || UInt(ID_AA64MMFR0_EL1.TGran64_2) >= 2)",
    ),
    ("FEAT_UAO", "UInt(ID_AA64MMFR2_EL1.UAO) >= 1"),
    ("FEAT_S2FWB", "UInt(ID_AA64MMFR2_EL1.FWB) >= 1"),
    ("FEAT_GICv3", "UInt(ID_AA64PFR0_EL1.GIC) >= 1"),
    ("FEAT_SpecSEI", "UInt(ID_AA64MMFR1_EL1.SpecSEI) >= 1"),
    ("FEAT_SVE2", "UInt(ID_AA64ZFR0_EL1.SVEver) >= 1"),
    ("FEAT_EL2", "UInt(ID_AA64PFR0_EL1.EL2) >= 1"),
    ("FEAT_EL3", "UInt(ID_AA64PFR0_EL1.EL3) >= 1"),
    ("FEAT_AA32EL0", "UInt(ID_AA64PFR0_EL1.EL0) >= 2"),
    ("FEAT_AA32EL1", "UInt(ID_AA64PFR0_EL1.EL1) >= 2"),
    (
        "FEAT_PAuth",
        "UInt(ID_AA64ISAR1_EL1.APA) >= 1 || UInt(ID_AA64ISAR1_EL1.API) >= 1 || UInt(ID_AA64ISAR2_EL1.APA3) >= 1",
    ),
    ("FEAT_LPA2", "SInt(ID_AA64MMFR0_EL1.TGran4) >= 1 || UInt(ID_AA64MMFR0_EL1.TGran16) >= 2"),
];

/// Conditions of rules whose registers are RES0 where the condition does not hold.
const GUARDS: &[&str] =
    &["(FEAT_SME && FEAT_AA64EL1) --> (", "((FEAT_SME || FEAT_SVE) && FEAT_AA64EL1) --> ("];

/// One test of one field: lowest and highest value that pass.
#[derive(Clone)]
struct Test {
    field: String,
    min: i8,
    max: i8,
}

/// The enumeration of features, and the rules that find them in the ID registers.
fn feature_tables(table: &Table, fields: &[Field]) -> Result<Vec<Output>, String> {
    let (feature, detect) = (table.column("feature")?, table.column("detect_aarch64")?);
    let mut rules: Vec<(String, Vec<Vec<Test>>)> = Vec::new();
    for row in &table.rows {
        let name = &row[feature];
        if let Some((_, rule)) = MORE_RULES.iter().find(|(n, _)| n == name) {
            rules.push((name.clone(), disjunction(rule)?));
            continue;
        }
        let prefix = format!("{name} <-> ");
        // Rules that mention other registers or other features are not of the form this table holds.
        let own = row[detect].split(" ; ").filter_map(|clause| {
            let guarded = GUARDS.iter().find_map(|guard| clause.strip_prefix(guard)?.strip_suffix(')'));
            guarded.unwrap_or(clause).strip_prefix(&prefix)
        });
        let known = |clauses: &Vec<Vec<Test>>| {
            clauses
                .iter()
                .flatten()
                .all(|t| fields.iter().any(|f| format!("{}.{}", f.register, f.name) == t.field))
        };
        if let Some(clauses) = own.filter_map(|rule| disjunction(rule).ok()).find(known) {
            rules.push((name.clone(), clauses));
        }
    }
    for (name, rule) in MORE_RULES {
        if !rules.iter().any(|(n, _)| n == name) {
            rules.push(((*name).into(), disjunction(rule)?));
        }
    }
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    let mut names = format!(
        "//! The features that ID registers announce, as the manual names them. `data/features.tsv`.\n{BANNER}\n\
         /// An architectural feature that the AArch64 ID registers announce.\n\
         #[expect(non_camel_case_types, reason = \"the manual's names\")]\n\
         #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]\n#[repr(u16)]\npub enum Feature {{\n"
    );
    let mut text = format!(
        "//! What announces each feature: rows of one feature and clause must all hold, and one clause suffices.\n\
         {BANNER}\nuse super::names::Feature;\nuse super::rule::{{Rule, signed, unsigned}};\n\
         use crate::sysreg::names as id;\n\n/// Sorted by feature and clause.\n#[rustfmt::skip]\n\
         pub(super) static RULES: &[Rule] = &[\n"
    );
    for (name, clauses) in &rules {
        let variant = name.trim_start_matches("FEAT_");
        let _ = writeln!(names, "    /// `{name}`.\n    {variant},");
        for (number, clause) in clauses.iter().enumerate() {
            for Test { field, min, max } in clause {
                let (register, part) = field.split_once('.').ok_or_else(|| field.clone())?;
                let Field { hi, lo, signed, .. } = fields
                    .iter()
                    .find(|f| f.register == register && f.name == part)
                    .ok_or_else(|| format!("{name}: no field {field}"))?;
                let kind = if *signed { "signed" } else { "unsigned" };
                let _ = writeln!(
                    text,
                    "    {kind}(Feature::{variant}, {number}, id::{register}, {hi}, {lo}, {min}, {max}),"
                );
            }
        }
    }
    let _ = write!(
        names,
        "}}\n\nimpl Feature {{\n    /// Number of features.\n    pub const COUNT: usize = {};\n\n    \
         /// All of them, in the order of their names.\n    #[rustfmt::skip]\n    \
         pub const ALL: [Self; Self::COUNT] = [\n",
        rules.len()
    );
    for (name, _) in &rules {
        let _ = writeln!(names, "        Self::{},", name.trim_start_matches("FEAT_"));
    }
    names.push_str("    ];\n}\n");
    text.push_str("];\n");
    let announced: Vec<_> = rules.into_iter().map(|(name, _)| name).collect();
    Ok(vec![
        requirements::output(table, &announced)?,
        ("crates/arm-arch/src/feature/names.rs".into(), names),
        ("crates/arm-arch/src/feature/rules.rs".into(), text),
    ])
}

/// Parses `a && b || (c && d)` over tests of ID fields into clauses of which one must hold.
fn disjunction(text: &str) -> Result<Vec<Vec<Test>>, String> {
    let text = strip_parentheses(text.trim());
    let parts = split_outside(text, "||");
    if parts.len() > 1 {
        let mut clauses = Vec::new();
        for part in parts {
            // FEAT_BBM holds for every Armv8.4 element; only what is announced is looked at.
            if part.trim() != "v8Ap4" {
                clauses.extend(disjunction(part)?);
            }
        }
        return Ok(clauses);
    }
    let parts = split_outside(text, "&&");
    if parts.len() > 1 {
        let mut clauses = vec![Vec::new()];
        for part in parts {
            let right = disjunction(part)?;
            let product = clauses.iter().flat_map(|left: &Vec<Test>| {
                right.iter().map(move |more| left.iter().chain(more).cloned().collect::<Vec<_>>())
            });
            clauses = product.collect();
        }
        return Ok(clauses);
    }
    Ok(vec![vec![test(text)?]])
}

/// Parses `UInt(REGISTER.FIELD) >= 1`.
fn test(text: &str) -> Result<Test, String> {
    let unknown = || format!("cannot read `{text}`");
    let rest = text.strip_prefix("UInt(").or_else(|| text.strip_prefix("SInt(")).ok_or_else(unknown)?;
    let (field, rest) = rest.split_once(')').ok_or_else(unknown)?;
    let (operator, value) = rest.trim().split_once(' ').ok_or_else(unknown)?;
    let value: i8 = value.parse().map_err(|_| unknown())?;
    let (min, max) = match operator {
        ">=" => (value, i8::MAX),
        "==" => (value, value),
        "<" => (i8::MIN, value - 1),
        _ => return Err(unknown()),
    };
    if !field.starts_with("ID_AA64") { Err(unknown()) } else { Ok(Test { field: field.into(), min, max }) }
}

/// Removes parentheses around the whole.
fn strip_parentheses(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return text };
    let mut depth = 0;
    for c in inner.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return text;
        }
    }
    strip_parentheses(inner.trim())
}

/// Splits at an operator outside parentheses.
fn split_outside<'a>(text: &'a str, operator: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(operator) => {
                parts.push(text[start..at].trim());
                start = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}
