//! The part of `cargo xtask generate` that makes the register table of `arm-arch` (`sysreg::table`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{BANNER, GROUPS, Output, Table, constant, parse_hex, pick};

/// Where the table goes.
const TABLE: &str = "crates/arm-arch/src/sysreg/table";

/// A row of `data/sysregs.tsv`, as far as the table holds it.
struct Row<'a> {
    name: &'a str,
    enc: u16,
    access: &'a str,
    el: &'a str,
    layout: String,
    needs: &'static str,
    alias_of: &'a str,
    reset: &'a str,
    vncr: &'a str,
}

/// The `feature` column, and the constant of `register::needs` that says the same in features.
const NEEDS: &[(&str, &str)] = &[
    ("-", "ALWAYS"),
    ("AArch32 view (RAZ/UNKNOWN if no AArch32)", "ALWAYS"),
    ("EL2", "EL2"),
    ("EL3", "EL3"),
    ("FEAT_AIE", "AIE"),
    ("FEAT_AMUv1", "AMU"),
    ("FEAT_AMUv1 & FEAT_FGT", "AMU_FGT"),
    ("FEAT_AMUv1p1", "AMU_V1P1"),
    ("FEAT_BRBE", "BRBE"),
    ("FEAT_CCIDX", "CCIDX"),
    ("FEAT_CSV2_2 or CSV2_1p2", "CSV2_2"),
    ("FEAT_DIT", "DIT"),
    ("FEAT_Debugv8 (count in ID_AA64DFR0)", "DEBUG"),
    ("FEAT_Debugv8p9", "DEBUG_V8P9"),
    ("FEAT_Debugv8p9/STEP2", "STEP2"),
    ("FEAT_EBEP", "EBEP"),
    ("FEAT_EBEP or FEAT_PMUv3_SS", "EBEP_OR_PMU_SS"),
    ("FEAT_ECV", "ECV"),
    ("FEAT_ECV_POFF", "ECV_POFF"),
    ("FEAT_ETE or ETMv4 sysreg trace", "TRACE"),
    ("FEAT_FGT", "FGT"),
    ("FEAT_FGT2", "FGT2"),
    ("FEAT_FGWTE3", "FGWTE3"),
    ("FEAT_FPMR", "FPMR"),
    ("FEAT_FPMR/FP8", "ALWAYS"),
    ("FEAT_GCS", "GCS"),
    ("FEAT_GICv3 & EL2", "GIC_EL2"),
    ("FEAT_GICv3 (system register i/f)", "GIC"),
    ("FEAT_HACDBS", "HACDBS"),
    ("FEAT_HCX", "HCX"),
    ("FEAT_HDBSS", "HDBSS"),
    ("FEAT_ITE", "ITE"),
    ("FEAT_LOR", "LOR"),
    ("FEAT_LS64_ACCDATA", "LS64_ACCDATA"),
    ("FEAT_MEC", "MEC"),
    ("FEAT_MPAM", "MPAM"),
    ("FEAT_MPAM & FEAT_SME", "MPAM_SME"),
    ("FEAT_MPAM_PE_BW_CTRL", "MPAM_BW"),
    ("FEAT_MTE2", "MTE2"),
    ("FEAT_NMI", "NMI"),
    ("FEAT_NV2", "NV2"),
    ("FEAT_PAN", "PAN"),
    ("FEAT_PAuth", "PAUTH"),
    ("FEAT_PFAR", "PFAR"),
    ("FEAT_PMUv3", "PMU"),
    ("FEAT_PMUv3_ICNTR", "PMU_ICNTR"),
    ("FEAT_PMUv3_SS", "PMU_SS"),
    ("FEAT_PMUv3p4", "PMU_V3P4"),
    ("FEAT_PMUv3p9", "PMU_V3P9"),
    ("FEAT_RAS", "RAS"),
    ("FEAT_RASv1p1", "RAS_V1P1"),
    ("FEAT_RASv2", "RAS_V2"),
    ("FEAT_RME", "RME"),
    ("FEAT_RME_GPC3", "RME_GPC3"),
    ("FEAT_RNG", "RNG"),
    ("FEAT_S1PIE", "S1PIE"),
    ("FEAT_S1POE", "S1POE"),
    ("FEAT_S2PIE", "S2PIE"),
    ("FEAT_S2POE", "S2POE"),
    ("FEAT_SCTLR2", "SCTLR2"),
    ("FEAT_SEBEP", "SEBEP"),
    ("FEAT_SEL2", "SEL2"),
    ("FEAT_SME", "SME"),
    ("FEAT_SPE", "SPE"),
    ("FEAT_SPE_EXC", "SPE_EXC"),
    ("FEAT_SPE_FDS", "SPE_FDS"),
    ("FEAT_SPEv1p2", "SPE_V1P2"),
    ("FEAT_SPMU", "SPMU"),
    ("FEAT_SRMASK", "SRMASK"),
    ("FEAT_SSBS", "SSBS"),
    ("FEAT_SVE", "SVE"),
    ("FEAT_TCR2", "TCR2"),
    ("FEAT_THE", "THE"),
    ("FEAT_TRBE", "TRBE"),
    ("FEAT_TRBE_EXC", "TRBE_EXC"),
    ("FEAT_TRBE_MPAM", "TRBE_MPAM"),
    ("FEAT_TRF", "TRF"),
    ("FEAT_UAO", "UAO"),
    ("FEAT_VHE", "VHE"),
    ("FEAT_VHE (E2H=1)", "VHE"),
];

/// Turns a layout of the table into the notation of `register::Field`: fields only, lowest first, separated by
/// spaces; `-` if there are none. What is in none of them is reserved. Nothing where the layout is not known.
fn layout(text: &str) -> Result<String, String> {
    if text == "?" {
        return Ok(String::new());
    }
    let mut fields = Vec::new();
    for item in text.split(',') {
        let (name, range) = item.trim_end_matches(']').rsplit_once('[').ok_or_else(|| item.to_owned())?;
        let name = match name {
            "RES0" => continue,
            // A description instead of a name: a mask register, each bit of which stands for one of another.
            _ if name.contains(' ') => "MASK",
            "M_4(nRW)" => "nRW",
            _ => name,
        };
        let low = range.rsplit(':').next().unwrap_or(range);
        let low: u8 = low.parse().map_err(|e| format!("{item}: {e}"))?;
        fields.push((low, format!("{name}[{range}]")));
    }
    if fields.is_empty() {
        return Ok("-".into());
    }
    fields.sort();
    Ok(fields.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" "))
}

fn rows(table: &Table) -> Result<Vec<(&'static str, Row<'_>)>, String> {
    let at = |column| table.column(column);
    let (name, op0, enc, access, el) = (at("name")?, at("op0")?, at("enc16")?, at("access")?, at("min_el")?);
    let (fields, feature, reset) = (at("fields")?, at("feature")?, at("reset")?);
    let (vncr, alias_of) = (at("vncr_off")?, at("alias_of")?);
    // Another name of a register has its layout.
    let fields_of = |row: &'_ [String]| {
        let other =
            (row[fields] == "?").then(|| table.rows.iter().find(|other| other[name] == row[alias_of]));
        layout(&other.flatten().map_or(row, |other| other)[fields])
    };
    let mut rows = Vec::new();
    for row in &table.rows {
        let needs = NEEDS
            .iter()
            .find(|(text, _)| *text == row[feature])
            .ok_or_else(|| format!("{}: no rule for `{}`", row[name], row[feature]))?;
        let made = Row {
            name: &row[name],
            enc: parse_hex(&row[enc])?,
            access: &row[access],
            el: &row[el],
            layout: fields_of(row)?,
            needs: needs.1,
            alias_of: &row[alias_of],
            reset: &row[reset],
            vncr: &row[vncr],
        };
        rows.push((pick(&row[name], &row[op0]), made));
    }
    Ok(rows)
}

/// All files of the table.
pub fn outputs(table: &Table) -> Result<Vec<Output>, String> {
    let rows = rows(table)?;
    let mut groups: Vec<_> = GROUPS.iter().collect();
    groups.sort();
    let mut module =
        format!("//! The register table: one row per name, and the ways to find it.\n{BANNER}\n");
    let mut list = String::from("\n/// The rows by group.\npub(super) static GROUPS: &[&[Register]] = &[\n");
    let mut outputs = Vec::new();
    // Where each row lies: group and position.
    let mut places = BTreeMap::new();
    let mut modules: Vec<_> = groups.iter().map(|(group, _)| *group).chain(["index", "more"]).collect();
    modules.sort();
    for name in modules {
        let _ = writeln!(module, "mod {name};");
    }
    for (number, (group, title)) in groups.iter().enumerate() {
        let _ = writeln!(list, "    {group}::ROWS,");
        let mut text = format!(
            "//! {title}\n{BANNER}\nuse crate::sysreg::names as id;\n\
             #[allow(unused_imports, reason = \"not every group has each\")]\n\
             use crate::sysreg::register::{{Access::*, MinEl::*, Register, needs, row}};\n\n\
             /// By encoding.\n#[rustfmt::skip]\npub(super) static ROWS: &[Register] = &[\n"
        );
        let mut own: Vec<_> = rows.iter().filter(|(g, _)| g == group).map(|(_, row)| row).collect();
        own.sort_by_key(|row| (row.enc, row.access));
        for (position, row) in own.iter().enumerate() {
            places.insert(row.name, number << 12 | position);
            let _ = writeln!(
                text,
                "    row(id::{}, \"{}\", {}, {}, needs::{}, \"{}\"),",
                constant(row.name),
                row.name,
                row.access,
                row.el,
                row.needs,
                row.layout
            );
        }
        text.push_str("];\n");
        outputs.push((format!("{TABLE}/{group}.rs"), text));
    }
    list.push_str("];\n");
    module.push_str(
        "\nuse super::register::Register;\n\
         pub(super) use index::{BASES, BY_NAME, MASKS, ORDER, PAGES};\n\
         pub(super) use more::{ALIASES, RESETS, VNCR};\n",
    );
    outputs.push((format!("{TABLE}/mod.rs"), module + &list));
    outputs.push((format!("{TABLE}/index.rs"), index(&rows, &places)?));
    outputs.push((format!("{TABLE}/more.rs"), more(&rows)?));
    Ok(outputs)
}

/// What few rows have: aliases, offsets in the memory of FEAT_NV2, reset values.
fn more(rows: &[(&str, Row<'_>)]) -> Result<String, String> {
    let mut text = format!(
        "//! What few registers have: aliases, offsets from `VNCR_EL2`, reset values. Each by encoding.\n{BANNER}\n\
         use crate::sysreg::SysRegId;\nuse crate::sysreg::names as id;\nuse crate::sysreg::register::Reset;\n"
    );
    let mut sorted: Vec<_> = rows.iter().map(|(_, row)| row).collect();
    sorted.sort_by_key(|row| row.enc);
    let mut list = |doc: &str, head: &str, lines: &[String]| {
        let _ = write!(text, "\n/// {doc}\n#[rustfmt::skip]\npub(in crate::sysreg) static {head} = &[\n");
        for line in lines {
            let _ = writeln!(text, "    {line},");
        }
        text.push_str("];\n");
    };
    let of = |pick: &dyn Fn(&Row<'_>) -> Option<String>| -> Vec<String> {
        sorted.iter().filter_map(|row| pick(row)).collect()
    };
    let aliases = of(&|row| {
        (row.alias_of != "-").then(|| format!("(id::{}, id::{})", constant(row.name), constant(row.alias_of)))
    });
    list("Other names of a register, and the register.", "ALIASES: &[(SysRegId, SysRegId)]", &aliases);
    let vncr = of(&|row| (row.vncr != "-").then(|| format!("(id::{}, {})", constant(row.name), row.vncr)));
    list("Where EL1 finds the register in memory under FEAT_NV2.", "VNCR: &[(SysRegId, u16)]", &vncr);
    let resets = of(&|row| {
        let bits = match (row.name, row.reset) {
            (_, "-") => return None,
            ("SPSel", "1") => "Some(1)",
            ("DAIF", "D,A,I,F=1") => "Some(0x3c0)",
            (_, text) if text == "0" || text.starts_with("0 ") => "Some(0)",
            _ => "None",
        };
        let id = constant(row.name);
        Some(format!("(id::{id}, Reset {{ bits: {bits}, note: \"{}\" }})", row.reset))
    });
    list("What a reset leaves.", "RESETS: &[(SysRegId, Reset)]", &resets);
    Ok(text)
}

/// The ways from an encoding and from a name to the row.
fn index(rows: &[(&str, Row<'_>)], places: &BTreeMap<&str, usize>) -> Result<String, String> {
    let mut by_encoding: BTreeMap<u16, usize> = BTreeMap::new();
    for (_, row) in rows.iter().filter(|(_, row)| row.enc >> 15 == 1) {
        // Of two rows with one encoding, the one that reads stands first.
        let place = places[row.name];
        by_encoding.entry(row.enc).and_modify(|old| *old = place.min(*old)).or_insert(place);
    }
    if let Some((_, row)) = rows.iter().find(|(_, row)| row.enc >> 15 == 0) {
        return Err(format!("{}: op0 is neither 2 nor 3", row.name));
    }
    let mut pages = vec![0usize; 256];
    let (mut bases, mut masks, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for page in 0..256u16 {
        if !by_encoding.keys().any(|enc| enc >> 7 & 0xff == page) {
            continue;
        }
        pages[usize::from(page)] = bases.len() / 16 + 1;
        for crm in 0..16u16 {
            bases.push(order.len());
            let mut mask = 0;
            for op2 in 0..8 {
                if let Some(place) = by_encoding.get(&(0x8000 | page << 7 | crm << 3 | op2)) {
                    order.push(*place);
                    mask |= 1 << op2;
                }
            }
            masks.push(mask);
        }
    }
    let mut names: Vec<_> = places.iter().map(|(name, place)| (name.to_uppercase(), *place)).collect();
    names.sort();
    let names: Vec<_> = names.into_iter().map(|(_, place)| place).collect();
    let mut text = format!("//! From an encoding, and from a name, to the row. Not for reading.\n{BANNER}");
    let mut list = |doc: &str, name: &str, of: &str, numbers: &[usize]| {
        let _ = write!(
            text,
            "\n/// {doc}\n#[rustfmt::skip]\npub(in crate::sysreg) static {name}: [{of}; {}] = [",
            numbers.len()
        );
        for (at, number) in numbers.iter().enumerate() {
            text.push_str(if at % 16 == 0 { "\n    " } else { " " });
            let _ = write!(text, "{number},");
        }
        text.push_str("\n];\n");
    };
    list("For op0\\[0\\], op1 and CRn: number of the page plus 1, 0 for none.", "PAGES", "u8", &pages);
    list("For each page and CRm: rank of its first register.", "BASES", "u16", &bases);
    list("For each page and CRm: a bit for each op2 with a register.", "MASKS", "u8", &masks);
    list(
        "For each rank, that is by encoding: group\\[15:12\\] and position\\[11:0\\].",
        "ORDER",
        "u16",
        &order,
    );
    list("The same, by name in capitals.", "BY_NAME", "u16", &names);
    Ok(text)
}
