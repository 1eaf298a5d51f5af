//! The trap table: which rule and which fine-grained bit each register and system instruction has.

use super::{BANNER, Output, Table, parse_hex};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A register or instruction.
struct Name {
    name: String,
    id: u16,
    access: Access,
    min_el: u8,
    feature: String,
    /// Whether the v9.4 model and Arm's machine-readable specification both know it; so of every instruction.
    in_both: bool,
}

/// Read, write.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Access(bool, bool);

impl Access {
    const NONE: Self = Self(false, false);

    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "-" => Self::NONE,
            "R" | "RO" => Self(true, false),
            "W" | "WO" => Self(false, true),
            "RW" => Self(true, true),
            _ => return Err(format!("access `{text}`")),
        })
    }

    fn code(self) -> &'static str {
        match self {
            Self(false, false) => "N",
            Self(true, false) => "O",
            Self(false, true) => "W",
            Self(true, true) => "B",
        }
    }
}

/// Reads registers and instructions, those that share an encoding as one.
fn names(registers: &Table, instructions: &Table) -> Result<Vec<Name>, String> {
    let [name, enc, access, el, feature, source] =
        ["name", "enc16", "access", "min_el", "feature", "field_src"].map(|c| registers.column(c));
    let (name, enc, access, el, feature, source) = (name?, enc?, access?, el?, feature?, source?);
    // A level may be followed by a condition in words.
    let level = |text: &str| {
        let digit = text.strip_prefix("EL").and_then(|rest| rest.chars().next());
        digit.and_then(|d| d.to_digit(10)).and_then(|d| u8::try_from(d).ok()).ok_or_else(|| text.to_owned())
    };
    let mut all: Vec<Name> = Vec::new();
    for row in &registers.rows {
        let id = parse_hex(&row[enc])?;
        let own = Access::parse(&row[access])?;
        if let Some(other) = all.iter_mut().find(|other| other.id == id) {
            other.access = Access(other.access.0 | own.0, other.access.1 | own.1);
            continue;
        }
        // Two names of EL3 have op1 = 6 and a lower level in the table.
        let min_el = if row[name].ends_with("_EL3") { 3 } else { level(&row[el])? };
        all.push(Name {
            name: row[name].clone(),
            id,
            access: own,
            min_el,
            feature: row[feature].clone(),
            in_both: row[source].contains('S'),
        });
    }
    let columns = ["insn", "op_name", "op0", "op1", "CRn", "CRm", "op2", "min_el", "feature"];
    let [insn, op, op0, op1, crn, crm, op2, el, feature] = columns.map(|c| instructions.column(c));
    let (insn, op, el, feature) = (insn?, op?, el?, feature?);
    let parts = [op0?, op1?, crn?, crm?, op2?];
    for row in &instructions.rows {
        let mut id = 0;
        for (at, width) in parts.into_iter().zip([2, 3, 4, 4, 3]) {
            id = id << width | row[at].parse::<u16>().map_err(|e| format!("`{}`: {e}", row[at]))?;
        }
        let name = if row[op] == "-" { row[insn].clone() } else { format!("{} {}", row[insn], row[op]) };
        // What gives a result is SYSL.
        let access =
            if name == "GCSPOPM" || name == "GCSSS2" { Access(true, false) } else { Access(false, true) };
        all.push(Name {
            name,
            id,
            access,
            min_el: level(&row[el])?,
            feature: row[feature].clone(),
            in_both: true,
        });
    }
    all.sort_by_key(|n| n.id);
    Ok(all)
}

/// Whether a name matches: `*` is any text, `#` a number.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..])),
        '#' => {
            let digits = name.chars().take_while(char::is_ascii_digit).count();
            (1..=digits).any(|at| matches(rest, &name[at..]))
        }
        _ => name.strip_prefix(first).is_some_and(|name| matches(rest, name)),
    }
}

/// The patterns of a cell. An instruction has a blank in its name, written `~` in a list.
fn patterns(cell: &str) -> Vec<String> {
    let is_instruction = ["IC ", "DC ", "AT ", "TLBI ", "CFP ", "DVP ", "CPP ", "COSP ", "BRB "];
    if is_instruction.iter().any(|start| cell.starts_with(start)) {
        return vec![cell.into()];
    }
    cell.split(' ').map(|pattern| pattern.replace('~', " ")).collect()
}

/// What is the same for many names, as the source of a `Rule`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    levels: [&'static str; 4],
    needs: String,
    gate: String,
    traps: Vec<String>,
    el3: Vec<String>,
    seconded: Vec<String>,
    gate_seconded: bool,
    source: String,
}

/// The features that the ID registers announce.
fn announced(features: &str) -> BTreeSet<String> {
    features
        .lines()
        .filter_map(|l| l.trim().strip_prefix("Self::")?.strip_suffix(','))
        .map(Into::into)
        .collect()
}

/// The features of the register table, as a need.
fn default_needs(text: &str, known: &BTreeSet<String>) -> String {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let found: Vec<&str> =
        words.iter().filter_map(|w| w.strip_prefix("FEAT_")).filter(|w| known.contains(*w)).collect();
    let named = words.iter().any(|w| w.starts_with("FEAT_"));
    match found[..] {
        [] if named => "?".into(),
        [] => "-".into(),
        [one] => one.into(),
        [a, b, ..] => format!("{a}{}{b}", if words.contains(&"or") { '|' } else { '&' }),
    }
}

fn needs(text: &str, known: &BTreeSet<String>) -> Result<String, String> {
    let feature = |name: &str| {
        if known.contains(name) { Ok(format!("F::{name}")) } else { Err(format!("no feature {name}")) }
    };
    Ok(match text {
        "-" => "Always".into(),
        "?" => "Unannounced".into(),
        _ if text.contains('|') => {
            let (a, b) = text.split_once('|').unwrap_or((text, text));
            format!("Either({}, {})", feature(a)?, feature(b)?)
        }
        _ if text.contains('&') => {
            let (a, b) = text.split_once('&').unwrap_or((text, text));
            format!("Both({}, {})", feature(a)?, feature(b)?)
        }
        _ => format!("One({})", feature(text)?),
    })
}

/// Traps and features of TLB maintenance follow from the name.
fn tlbi(name: &str) -> (Vec<String>, String) {
    let operation = name.trim_start_matches("TLBI ");
    let plain = operation.trim_end_matches("NXS");
    let nxs = plain != operation;
    let mut traps = vec!["TTLB".to_owned()];
    if plain.ends_with("OS") {
        traps.push("TTLBOS".into());
    } else if plain.ends_with("IS") {
        traps.push("TTLBIS".into());
    }
    let feature = match plain {
        _ if plain.starts_with('R') => Some("TLBIRANGE"),
        _ if plain.starts_with("VMALLWS2") => Some("TLBIW"),
        _ if plain.ends_with("OS") => Some("TLBIOS"),
        _ => None,
    };
    let feature = match (feature, nxs) {
        (Some(f), true) => format!("{f}&XS"),
        (Some(f), false) => f.into(),
        (None, true) => "XS".into(),
        (None, false) => "-".into(),
    };
    (traps, feature)
}

/// What the v8.5 model says of one encoding: names of traps, and that EL0 meets a control of EL1.
#[derive(Default)]
struct Second {
    traps: BTreeSet<String>,
    gate: bool,
    nested: bool,
}

/// Controls of EL1, and those of EL2 that stand in for them while it hosts EL0.
const GATES: &[&str] = &["SCTLR_", "PMUSERENR", "CNTKCTL", "CPACR", "MDSCR", "ICC_SRE_EL1", "CPTR_EL2.FPEN"];

fn second_source(conditions: &Table) -> Result<BTreeMap<u16, Second>, String> {
    let parts = ["op0", "op1", "CRn", "CRm", "op2"].map(|c| conditions.column(c));
    let text = conditions.column("ordered_traps")?;
    let mut all: BTreeMap<u16, Second> = BTreeMap::new();
    for row in &conditions.rows {
        let mut id = 0;
        for (at, width) in parts.iter().zip([2, 3, 4, 4, 3]) {
            let at = at.clone()?;
            id = id << width | row[at].parse::<u16>().map_err(|e| format!("`{}`: {e}", row[at]))?;
        }
        let second = all.entry(id).or_default();
        for word in row[text].split([' ', '(', ')', '!']).filter_map(|w| w.split_once('=')) {
            let (register, field) = word.0.split_once('.').ok_or_else(|| word.0.to_owned())?;
            second.gate |= GATES.iter().any(|gate| word.0.starts_with(gate));
            second.nested |= register == "HCR_EL2" && field == "NV";
            if GATES.iter().any(|gate| register.starts_with(gate.trim_end_matches('_'))) {
                continue;
            }
            let trap = match field {
                "TPC" => "TPCP",
                "TRVM" => "TVM",
                "FMO" | "IMO" => "SGI",
                "EL1PCEN" => "EL1PTEN",
                "Enable" => "SRE",
                "EnSCXT" => "ENSCXT",
                "TRAPMPAM0EL1" => "TRAPMPAM0",
                "TRAPMPAM1EL1" => "TRAPMPAM1",
                "TRAP_MPAMIDR_EL1" => "MPAMIDR",
                other => other,
            };
            second.traps.insert(trap.into());
        }
    }
    Ok(all)
}

/// A fine-grained bit: group, bit, and the directions that have it.
struct Fine {
    group: usize,
    bit: u16,
    access: Access,
    seconded: bool,
}

/// The groups whose fields, where a register is known to both, the machine-readable specification has at the same
/// numbers as the v9.4 model: compared with the crate arm-sysregs-el2 0.5.2, 416 of the 456 fields, none different.
/// It has HFGITR2_EL2 alone, and names the fields of HAFGRTR_EL2 otherwise.
const COMPARED: [bool; 7] = [true, true, true, false, true, true, false];

/// The registers that share a layout, in the order of `FineGroup`: for reads, for writes.
const GROUPS: [(&str, &str); 7] = [
    ("HFGRTR_EL2", "HFGWTR_EL2"),
    ("HFGRTR2_EL2", "HFGWTR2_EL2"),
    ("HFGITR_EL2", "HFGITR_EL2"),
    ("HFGITR2_EL2", "HFGITR2_EL2"),
    ("HDFGRTR_EL2", "HDFGWTR_EL2"),
    ("HDFGRTR2_EL2", "HDFGWTR2_EL2"),
    ("HAFGRTR_EL2", "HAFGRTR_EL2"),
];

/// Finds the encodings that each bit is about: those of its name, or those of the list.
fn fine_rows(fields: &Table, list: &Table, names: &[Name]) -> Result<BTreeMap<u16, Fine>, String> {
    let [register, field, bit, polarity] = ["register", "field", "bit", "polarity"].map(|c| fields.column(c));
    let (register, field, bit, polarity) = (register?, field?, bit?, polarity?);
    let (l_field, l_names) = (list.column("field")?, list.column("registers")?);
    if let Some(row) = list.rows.iter().find(|l| {
        !fields.rows.iter().any(|row| row[field] == l[l_field])
            || patterns(&l[l_names]).iter().any(|p| p != "-" && !names.iter().any(|n| matches(p, &n.name)))
    }) {
        return Err(format!("{}: {row:?} matches nothing", list.path));
    }
    let mut all: BTreeMap<u16, Fine> = BTreeMap::new();
    for row in &fields.rows {
        let plain = if row[polarity].starts_with('0') { &row[field][1..] } else { &row[field] };
        let group = GROUPS.iter().position(|(r, w)| row[register] == *r || row[register] == *w);
        let group = group.ok_or_else(|| row[register].clone())?;
        // HAFGRTR_EL2 is about reads: nobody below EL2 writes an activity monitor.
        let reads = row[register] == GROUPS[group].0;
        let writes = row[register] == GROUPS[group].1 && row[register] != "HAFGRTR_EL2";
        let bit = row[bit].rsplit(':').next().unwrap_or("").parse::<u16>();
        let bit = bit.map_err(|e| format!("{row:?}: {e}"))?;
        let listed = list.rows.iter().find(|l| l[l_field] == row[field]).map(|l| patterns(&l[l_names]));
        for name in names {
            let hit = match &listed {
                Some(patterns) => patterns.iter().any(|p| matches(p, &name.name)),
                None => name.name.replace(' ', "") == plain,
            };
            if !hit {
                continue;
            }
            let fine = all.entry(name.id).or_insert(Fine {
                group,
                bit,
                access: Access::NONE,
                seconded: COMPARED[group] && name.in_both,
            });
            if (fine.group, fine.bit) != (group, bit) {
                return Err(format!("{} has two fine-grained bits", name.name));
            }
            fine.access = Access(fine.access.0 | reads, fine.access.1 | writes);
        }
    }
    Ok(all)
}

/// Sources of `PairRule`s, and the encodings that have a 128-bit form, each with the place of its rule.
type PairRules = (Vec<String>, Vec<(u16, usize)>);

/// What the 128-bit forms have. The first line that matches a name counts.
fn pair_rules(pairs: &Table, names: &[Name], known: &BTreeSet<String>) -> Result<PairRules, String> {
    let columns = ["registers", "feature", "el2", "el3", "source"].map(|c| pairs.column(c));
    let [c_names, c_feature, c_el2, c_el3, c_source] = columns;
    let (c_names, c_feature, c_el2, c_el3, c_source) = (c_names?, c_feature?, c_el2?, c_el3?, c_source?);
    let one = |kind: &str, cell: &str| match cell {
        "-" => format!("{kind}::empty()"),
        name => format!("{kind}::{name}"),
    };
    let mut rules = Vec::new();
    for line in &pairs.rows {
        rules.push(format!(
            "pair_rule({}, {}, {}, {})",
            needs(&line[c_feature], known).map_err(|e| format!("{}: {e}", pairs.path))?,
            one("T", &line[c_el2]),
            one("E", &line[c_el3]),
            line[c_source] == "manual+sheet"
        ));
    }
    let mut all = Vec::new();
    for name in names {
        let line =
            pairs.rows.iter().position(|l| patterns(&l[c_names]).iter().any(|p| matches(p, &name.name)));
        all.extend(line.map(|line| (name.id, line)));
    }
    if let Some(unused) = (0..rules.len()).find(|at| !all.iter().any(|(_, line)| line == at)) {
        return Err(format!("{}: {:?} matches nothing", pairs.path, pairs.rows[unused]));
    }
    Ok((rules, all))
}

/// Makes `trap/table.rs`.
pub fn output(tables: [&Table; 7], features: &str) -> Result<Output, String> {
    let [registers, instructions, lines, fields, list, conditions, pairs] = tables;
    let known = announced(features);
    let names = names(registers, instructions)?;
    let second = second_source(conditions)?;
    let fine = fine_rows(fields, list, &names)?;
    let columns = ["registers", "el0", "el1", "feature", "gate", "el2", "el3", "source"];
    let [c_names, c_el0, c_el1, c_feature, c_gate, c_el2, c_el3, c_source] = columns.map(|c| lines.column(c));
    let (c_names, c_el0, c_el1, c_feature) = (c_names?, c_el0?, c_el1?, c_feature?);
    let (c_gate, c_el2, c_el3, c_source) = (c_gate?, c_el2?, c_el3?, c_source?);
    let list_of = |cell: &str| -> Vec<String> {
        if cell == "-" { Vec::new() } else { cell.split(' ').map(Into::into).collect() }
    };
    let mut used = BTreeSet::new();
    let mut rules: BTreeMap<Rule, Vec<&Name>> = BTreeMap::new();
    for name in &names {
        let line =
            lines.rows.iter().position(|l| patterns(&l[c_names]).iter().any(|p| matches(p, &name.name)));
        let line = line.ok_or_else(|| format!("{}: no line for {}", lines.path, name.name))?;
        used.insert(line);
        let line = &lines.rows[line];
        let level = |cell: &str, el: u8| {
            if cell != "=" {
                Access::parse(cell)
            } else if el >= name.min_el {
                Ok(name.access)
            } else {
                Ok(Access::NONE)
            }
        };
        let (el0, el1) = (level(&line[c_el0], 0)?, level(&line[c_el1], 1)?);
        let higher = |el: u8| level("=", el);
        let mut traps = list_of(&line[c_el2]);
        let mut feature = line[c_feature].clone();
        if feature == "tlbi" {
            (traps, feature) = tlbi(&name.name);
        } else if feature == "=" || feature == "-" && name.min_el > 1 {
            feature = default_needs(&name.feature, &known);
        }
        if (el0, el1) == (Access::NONE, Access::NONE) {
            traps.clear();
        }
        let none = Second::default();
        let seen = second.get(&name.id).unwrap_or(&none);
        let seconded = traps.iter().filter(|t| seen.traps.contains(*t)).cloned().collect();
        let gate = if line[c_gate] == "-" { "None".into() } else { line[c_gate].clone() };
        let rule = Rule {
            levels: [el0.code(), el1.code(), higher(2)?.code(), higher(3)?.code()],
            needs: needs(&feature, &known).map_err(|e| format!("{}: {e}", name.name))?,
            gate_seconded: seen.gate && gate != "None",
            gate,
            traps,
            el3: list_of(&line[c_el3]),
            seconded,
            source: line[c_source].clone(),
        };
        rules.entry(rule).or_default().push(name);
    }
    if let Some(unused) = (0..lines.rows.len()).find(|at| !used.contains(at)) {
        return Err(format!("{}: {:?} matches nothing", lines.path, lines.rows[unused]));
    }
    let mut text = text(&rules, &fine, &second);
    let (pair_rules, pairs) = pair_rules(pairs, &names, &known)?;
    text.push_str("\n/// What 128-bit forms have in place of, and beside, what the 64-bit form has.\n#[rustfmt::skip]\n");
    text.push_str("pub(super) static PAIR_RULES: &[PairRule] = &[\n");
    for rule in pair_rules {
        let _ = writeln!(text, "    {rule},");
    }
    text.push_str(
        "];\n\n/// Encodings that have a 128-bit form (MRRS, MSRR, SYSP), and its rule.\n#[rustfmt::skip]\n",
    );
    text.push_str("pub(super) static PAIRS: &[(u16, u8)] = &[");
    for (number, (id, rule)) in pairs.into_iter().enumerate() {
        text.push_str(if number % 8 == 0 { "\n    " } else { " " });
        let _ = write!(text, "({id:#06x}, {rule}),");
    }
    text.push_str("\n];\n");
    Ok(("crates/arm-arch/src/trap/table.rs".into(), text))
}

/// The table as source.
fn text(
    rules: &BTreeMap<Rule, Vec<&Name>>,
    fine: &BTreeMap<u16, Fine>,
    second: &BTreeMap<u16, Second>,
) -> String {
    let union = |kind: &str, names: &[String]| match names {
        [] => format!("{kind}::empty()"),
        [first, rest @ ..] => {
            rest.iter().fold(format!("{kind}::{first}"), |all, n| format!("{all}.union({kind}::{n})"))
        }
    };
    let mut text = format!(
        "//! Which rule and which fine-grained bit each register and system instruction has.\n{BANNER}\n\
         use super::rules::Allowed::{{Both as B, Nothing as N, Read as O, Write as W}};\n\
         use super::rules::Needs::{{Always, Both, Either, One, Unannounced}};\n\
         use super::rules::{{Gate as G, PairRule, Row, Rule, Source as S, pair_rule, row, rule}};\n\
         use super::{{Trap as T, TrapEl3 as E}};\nuse crate::feature::Feature as F;\n\n\
         /// The rules, each with the first register that has it.\n#[rustfmt::skip]\n\
         pub(super) static RULES: &[Rule] = &[\n"
    );
    for (rule, names) in rules {
        let [el0, el1, el2, el3] = rule.levels;
        let source = if rule.source == "manual" { "Manual" } else { "Sheet" };
        let _ = writeln!(text, "    // {}, {}", names[0].name, names.len());
        let _ = writeln!(
            text,
            "    rule([{el0}, {el1}, {el2}, {el3}], {}, G::{}, {}, {}, {}, {}, S::{source}),",
            rule.needs,
            rule.gate,
            union("T", &rule.traps),
            union("E", &rule.el3),
            union("T", &rule.seconded),
            rule.gate_seconded
        );
    }
    text.push_str("];\n\n/// Encoding, rule and fine-grained bit, by encoding.\n#[rustfmt::skip]\npub(super) static ROWS: &[Row] = &[");
    let mut rows: Vec<(u16, usize)> =
        rules.values().enumerate().flat_map(|(at, names)| names.iter().map(move |n| (n.id, at))).collect();
    rows.sort_unstable();
    for (number, (id, rule)) in rows.into_iter().enumerate() {
        text.push_str(if number % 6 == 0 { "\n    " } else { " " });
        let packed = fine.get(&id).map_or(0, |f| {
            let group = u16::try_from(f.group + 1).unwrap_or(0);
            u16::from(f.seconded) << 12
                | group << 8
                | u16::from(f.access.1) << 7
                | u16::from(f.access.0) << 6
                | f.bit
        });
        let nested = second.get(&id).is_some_and(|s| s.nested);
        let _ = write!(text, "row({id:#06x}, {rule}, {:#06x}),", packed | u16::from(nested) << 11);
    }
    text.push_str("\n];\n");
    text
}
