//! What the docs of `#[bitfield]` layouts say of each field, compared with the layout and with `data/sysregs.tsv`: its
//! name and bits, as in `EC, \[31:26\]: exception class`.

use std::collections::{BTreeMap, BTreeSet};

/// The fields of each register: name, highest bit, lowest bit.
pub type Layouts = BTreeMap<String, BTreeSet<(String, u32, u32)>>;

/// Fields whose doc says it in another way than the table: layout, field, and why.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("DbgbvrContext", "VMID", "the table has ContextID2, which takes the same bits"),
    ("ClidrEl1", "Ttype", "seven fields in one"),
    ("ParSuccess", "PA", "two fields in one"),
    ("Pmbsr", "MSS2", "the table has what MSS2 is made of"),
    ("Trbsr", "MSS2", "the table has what MSS2 is made of"),
];

/// Takes the layouts out of the text of `sysregs.tsv`.
pub fn layouts(sysregs: &str) -> Layouts {
    let rows = sysregs.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter_map(|row| {
        Some(((*row.first()?).to_string(), row.get(9)?.split(',').filter_map(entry).collect()))
    })
    .collect()
}

/// `TBI(E2H=0)[20]` or `TCF0[39:38]`.
fn entry(text: &str) -> Option<(String, u32, u32)> {
    let (name, range) = text.trim().strip_suffix(']')?.split_once('[')?;
    let (high, low) = bits_of(range)?;
    Some((name.split('(').next()?.to_string(), high, low))
}

fn bits_of(range: &str) -> Option<(u32, u32)> {
    let (high, low) = range.split_once(':').unwrap_or((range, range));
    Some((high.parse().ok()?, low.parse().ok()?))
}

/// Returns how many public fields a source file has, and what is wrong with them.
pub fn judge(file: &str, text: &str, layouts: &Layouts) -> (usize, Vec<String>) {
    let mut found = Vec::new();
    let fields = fields(text);
    for field in &fields {
        let place = format!("{file}:{}: {}", field.line, field.owner);
        let Some(said) = field.said else {
            found.push(format!("{place}: the doc of a field has no bits: {}", field.doc));
            continue;
        };
        let range = |(high, low)| if high == low { format!("[{high}]") } else { format!("[{high}:{low}]") };
        match field.bits {
            None => found.push(format!("{place}: how wide is {}?", field.doc)),
            Some(bits) if bits != said => {
                found.push(format!("{place}: {} lies in {}: {}", range(said), range(bits), field.doc));
            }
            Some(_) => {}
        }
        let known: Vec<_> = field.registers.iter().filter_map(|name| layouts.get(name)).collect();
        let known: Vec<_> = known.into_iter().filter(|layout| !layout.is_empty()).collect();
        let excused = OTHERWISE.iter().any(|(owner, name, _)| *owner == field.owner && *name == field.name);
        if field.name.is_empty() || field.name == "RES1" || known.is_empty() || excused {
            continue;
        }
        let wanted = (field.name.clone(), said.0, said.1);
        if !known.iter().any(|layout| layout.contains(&wanted)) {
            found.push(format!(
                "{place}: {} has no {}{}",
                field.registers.join(", "),
                field.name,
                range(said)
            ));
        }
    }
    (fields.len(), found)
}

struct Field {
    line: usize,
    /// The layout, and the registers that its doc names.
    owner: String,
    registers: Vec<String>,
    doc: String,
    /// Name and bits by the doc.
    name: String,
    said: Option<(u32, u32)>,
    /// Bits by the layout.
    bits: Option<(u32, u32)>,
}

/// The public fields of the layouts of a file.
fn fields(text: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut doc = String::new();
    let mut is_layout = false;
    // Name of the layout, registers, and where bit 0 is counted from.
    let mut owner: Option<(String, Vec<String>, u32)> = None;
    let (mut at, mut width) = (Some(0), None);
    for (index, line) in text.lines().enumerate() {
        let code = line.trim();
        if let Some(words) = code.strip_prefix("///") {
            doc.push_str(words);
            continue;
        }
        if code.starts_with('#') {
            is_layout |= code.starts_with("#[bitfield(");
            let bits = code.strip_prefix("#[bits(").and_then(|rest| rest.split([',', ')']).next());
            width = bits.map_or(width, |bits| bits.trim().parse().ok());
            continue;
        }
        if let Some(rest) = line.strip_prefix("pub struct ").filter(|_| is_layout) {
            // "`ESR_ELx` \[55:32\]": a part of a register.
            let part = range_in(&doc).filter(|(before, _)| before.ends_with("` "));
            let base = part.map_or(0, |(_, (_, low))| low);
            owner = Some((rest.trim_end_matches(" {").to_string(), registers_in(&doc), base));
            at = Some(0);
        } else if line == "}" {
            owner = None;
        } else if let (Some((owner, registers, base)), Some((name, kind))) = (&owner, code.split_once(": ")) {
            let width = width.or_else(|| width_of(kind.trim_end_matches(',')));
            let bits = at.zip(width).map(|(at, width): (u32, u32)| (at + width - 1, at));
            at = bits.map(|(high, _)| high + 1);
            if name.starts_with("pub ") {
                let said = range_in(&doc);
                fields.push(Field {
                    line: index + 1,
                    owner: owner.clone(),
                    registers: registers.clone(),
                    name: said.map_or("", |(before, _)| name_in(before)).to_string(),
                    said: said.map(|(_, bits)| bits),
                    bits: bits.map(|(high, low)| (high + base, low + base)),
                    doc: doc.trim().to_string(),
                });
            }
        }
        is_layout = false;
        width = None;
        doc.clear();
    }
    fields
}

fn width_of(kind: &str) -> Option<u32> {
    match kind {
        "bool" => Some(1),
        _ => kind.strip_prefix('u')?.parse().ok(),
    }
}

/// The first `\[31:26\]` of a doc, and what stands before it.
fn range_in(doc: &str) -> Option<(&str, (u32, u32))> {
    let (before, rest) = doc.split_once("\\[")?;
    Some((before, bits_of(rest.split_once("\\]")?.0)?))
}

/// `EC` of "EC, " and of "EC (of EL2: ECX), "; nothing of a sentence.
fn name_in(before: &str) -> &str {
    let name = before.trim().trim_end_matches(',');
    let name = name.split_once(" (").map_or(name, |(name, _)| name);
    if name.contains(' ') { "" } else { name }
}

/// The registers in backticks, with 0 for `<n>`.
fn registers_in(doc: &str) -> Vec<String> {
    let quoted = doc.split('`').skip(1).step_by(2).filter(|word| word.contains("_EL"));
    quoted.map(|name| name.replace("<n>", "0")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "name\top0\top1\tCRn\tCRm\top2\tenc16\taccess\tmin_el\tfields
A_EL1\t3\t0\t0\t0\t0\t0\tRW\tEL1\tHIGH[7:4],MIDDLE(E2H=1)[3],LOW[2:1],RES0[0]
B_EL1\t3\t0\t0\t0\t1\t1\tRW\tEL1\t?
";

    fn found(fields: &str) -> Vec<String> {
        let text = format!(
            "/// `A_EL1`, a register.\n#[bitfield(u8)]\n#[derive(PartialEq)]\npub struct A {{\n    __: bool,\n{fields}}}\n"
        );
        judge("a.rs", &text, &layouts(TABLE)).1
    }

    #[test]
    fn a_doc_that_agrees_with_layout_and_table_is_right() {
        let right = "    /// LOW, \\[2:1\\]: x.\n    #[bits(2)]\n    pub low: u8,\n    /// MIDDLE, \\[3\\]: x.\n    pub r#middle: bool,\n    /// HIGH, \\[7:4\\]: x.\n    #[bits(4, default = 1)]\n    pub high: u8,\n";
        assert_eq!(found(right), Vec::<String>::new());
    }

    #[test]
    fn each_way_to_be_wrong_is_found() {
        const CASES: &[(&str, &str)] = &[
            (
                "    /// MIDDLE, \\[3\\]: x.\n    pub a: bool,\n",
                "a.rs:7: A: [3] lies in [1]: MIDDLE, \\[3\\]: x.",
            ),
            ("    /// LOW, \\[1\\]: x.\n    pub a: bool,\n", "a.rs:7: A: A_EL1 has no LOW[1]"),
            ("    /// Low: x.\n    pub a: bool,\n", "a.rs:7: A: the doc of a field has no bits: Low: x."),
            ("    /// \\[1\\]: x.\n    pub a: Kind,\n", "a.rs:7: A: how wide is \\[1\\]: x.?"),
        ];
        for (fields, want) in CASES {
            assert_eq!(found(fields), [*want], "{fields}");
        }
    }

    #[test]
    fn bits_count_from_where_the_layout_begins() {
        let text = "/// `ESR_ELx` \\[55:32\\].\n#[bitfield(u32)]\npub struct A {\n    /// X, \\[33:32\\].\n    #[bits(2)]\n    pub x: u8,\n    /// Y, \\[34\\].\n    pub y: bool,\n}\n";
        assert_eq!(judge("a.rs", text, &Layouts::new()), (2, Vec::new()));
        let other = text.replace("`ESR_ELx` \\[", "Bits \\[").replace("[33:32", "[1:0").replace("[34", "[2");
        assert_eq!(judge("a.rs", &other, &Layouts::new()), (2, Vec::new()));
    }

    #[test]
    fn what_is_no_layout_or_not_in_the_table_is_not_compared() {
        let plain = "/// `A_EL1`.\npub struct A {\n    pub a: bool,\n}\n";
        assert_eq!(judge("a.rs", plain, &layouts(TABLE)), (0, Vec::new()));
        let unknown =
            "/// `B_EL1`.\n#[bitfield(u8)]\npub struct B {\n    /// X, \\[7:0\\].\n    pub x: u8,\n}\n";
        assert_eq!(judge("a.rs", unknown, &layouts(TABLE)), (1, Vec::new()));
    }
}
