//! The part of `cargo xtask generate` that makes the named CPU models out of `data/cpu_models.tsv`.

use std::fmt::Write as _;

use super::{BANNER, Output, Table};

/// Registers outside the ID space, and the field of `IdRegisters` and type that hold them.
const OTHERS: &[(&str, &str, &str)] = &[
    ("MIDR_EL1", "midr", "MidrEl1"),
    ("REVIDR_EL1", "revidr", ""),
    ("AIDR_EL1", "aidr", ""),
    ("CTR_EL0", "ctr", "CtrEl0"),
    ("DCZID_EL0", "dczid", "DczidEl0"),
    ("CLIDR_EL1", "clidr", ""),
    ("CCSIDR.L1D", "ccsidr_l1", ""),
    ("CCSIDR.L1I", "ccsidr_l1i", ""),
    ("CCSIDR.L2", "ccsidr_l2", ""),
];

/// A register of a model, from the table.
struct Value<'a> {
    register: &'a str,
    value: &'a str,
    source: &'a str,
}

/// One constant per model, and the list of them.
pub fn output(models: &Table, registers: &Table) -> Result<Output, String> {
    let [model, register, value, source] = ["model", "register", "value", "source"].map(|c| models.column(c));
    let (model, register, value, source) = (model?, register?, value?, source?);
    let mut text = format!(
        "//! Named models, and where each value comes from. `data/cpu_models.tsv`.\n{BANNER}\n\
         use super::IdRegisters;\nuse super::cpu::{{CpuModel, NamedModel}};\nuse super::model;\n\
         use crate::sysreg::{{CtrEl0, DczidEl0, MidrEl1}};\n"
    );
    let mut names: Vec<&str> = Vec::new();
    for row in &models.rows {
        if !names.contains(&row[model].as_str()) {
            names.push(&row[model]);
        }
    }
    for name in &names {
        let own: Vec<_> = models.rows.iter().filter(|row| row[model] == *name).collect();
        let values: Vec<_> = own
            .iter()
            .map(|row| Value { register: &row[register], value: &row[value], source: &row[source] })
            .collect();
        text.push_str(&constant(name, &values, registers)?);
    }
    text.push_str(
        "\n/// Everything that the software processing element of this workspace implements: [`model::MAX_MODELLED`].\n\
         pub const MAX_MODELLED: NamedModel = NamedModel {\n    name: \"max-modelled\",\n    \
         source: \"what the engine of this workspace implements\",\n    \
         model: CpuModel::new(model::MAX_MODELLED),\n};\n",
    );
    let list: Vec<_> = names.iter().map(|name| constant_name(name)).collect();
    let _ = write!(
        text,
        "\n/// All of them.\n#[rustfmt::skip]\npub static MODELS: &[NamedModel] = &[{}, MAX_MODELLED];\n",
        list.join(", ")
    );
    Ok(("crates/arm-arch/src/feature/models.rs".into(), text))
}

fn constant_name(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}

fn constant(name: &str, values: &[Value<'_>], registers: &Table) -> Result<String, String> {
    let [r_name, op0, op1, crn, crm, op2] =
        ["name", "op0", "op1", "CRn", "CRm", "op2"].map(|c| registers.column(c));
    let (r_name, op0, op1, crn, crm, op2) = (r_name?, op0?, op1?, crn?, crm?, op2?);
    let first = values.first().map_or("", |value| value.source);
    let mut text = format!(
        "\n/// `{name}`: {first}.\n#[rustfmt::skip]\npub const {}: NamedModel = NamedModel {{\n    name: \"{name}\",\n    \
         source: \"{first}\",\n    model: CpuModel::new(IdRegisters {{\n",
        constant_name(name)
    );
    // Two halves of the ID space: the AArch64 one from CRm = 4, the AArch32 one from CRm = 1; eight for each CRm.
    for (field, from, length) in [("space", 4, 32), ("aarch32", 1, 24)] {
        let mut lines = String::new();
        for Value { register, value, source } in values {
            let Some(row) = registers.rows.iter().find(|row| row[r_name] == *register) else { continue };
            let number = |at: usize| row[at].parse::<usize>().map_err(|e| format!("{register}: {e}"));
            let is_space = (number(op1)?, number(crn)?) == (0, 0) && number(op0)? == 3;
            let place = (number(crm)?.wrapping_sub(from)).wrapping_mul(8).wrapping_add(number(op2)?);
            if is_space && place < length {
                let note = if *source == first { String::new() } else { format!(": {source}") };
                let _ = writeln!(lines, "            space[{place}] = {value}; // {register}{note}");
            }
        }
        if lines.is_empty() {
            let _ = writeln!(text, "        {field}: [0; {length}],");
        } else {
            let _ = write!(
                text,
                "        {field}: {{\n            let mut space = [0; {length}];\n{lines}            space\n        }},\n"
            );
        }
    }
    for (register, field, kind) in OTHERS {
        let value = values.iter().find(|v| v.register == *register).map_or("0", |v| v.value);
        let value = if kind.is_empty() { value.into() } else { format!("{kind}::from_bits({value})") };
        let _ = writeln!(text, "        {field}: {value},");
    }
    text.push_str("    }),\n};\n");
    Ok(text)
}
