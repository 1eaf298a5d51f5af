//! Typed views of registers against the layouts of `data/sysregs.tsv`: each bit belongs to the field of that name.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, and the data is the repository's"
)]

use std::collections::{BTreeMap, BTreeSet};

use arm_arch::debug::{DbgbcrEl1, DbgwcrEl1};
use arm_arch::exception::PmecrEl1;
use arm_arch::iss::{Disr, VsesrEl2};
use arm_arch::sysreg::*;
use arm_arch::{EsrEl, PState};

/// A view: its name, the register of the data, which conditions of fields hold, and how it prints a value.
struct View {
    name: &'static str,
    register: &'static str,
    conditions: &'static [&'static str],
    print: fn(u64) -> String,
}

macro_rules! views {
    ($($view:ident $register:ident $($condition:literal)*;)*) => {
        &[$(View {
            name: stringify!($view),
            register: stringify!($register),
            conditions: &[$($condition),*],
            print: |bits| format!("{:?}", $view::from_bits(bits.try_into().unwrap_or(0))),
        }),*]
    };
}

const VIEWS: &[View] = views! {
    SctlrEl1 SCTLR_EL1;
    CpacrEl1 CPACR_EL1;
    HcrEl2 HCR_EL2;
    HcrxEl2 HCRX_EL2;
    CptrEl2 CPTR_EL2 "E2H=1";
    CptrEl2Classic CPTR_EL2 "E2H=0";
    MdscrEl1 MDSCR_EL1;
    MdcrEl2 MDCR_EL2;
    OslsrEl1 OSLSR_EL1;
    OslarEl1 OSLAR_EL1;
    ScrEl3 SCR_EL3;
    MdcrEl3 MDCR_EL3;
    CptrEl3 CPTR_EL3;
    IsrEl1 ISR_EL1;
    HfgitrEl2 HFGITR_EL2;
    GcscrEl1 GCSCR_EL1;
    Gcscre0El1 GCSCRE0_EL1;
    IchLr ICH_LR0_EL2 "HW=1";
    IchHcr ICH_HCR_EL2;
    IchVmcr ICH_VMCR_EL2;
    IchVtr ICH_VTR_EL2;
    IchMisr ICH_MISR_EL2;
    IccCtlr ICC_CTLR_EL1;
    IccSre ICC_SRE_EL2;
    IccIntid ICC_IAR1_EL1;
    IccSgi ICC_SGI1R_EL1;
    IdAa64Pfr0 ID_AA64PFR0_EL1;
    IdAa64Pfr1 ID_AA64PFR1_EL1;
    IdAa64Isar0 ID_AA64ISAR0_EL1;
    IdAa64Isar1 ID_AA64ISAR1_EL1;
    IdAa64Isar2 ID_AA64ISAR2_EL1;
    IdAa64Mmfr0 ID_AA64MMFR0_EL1;
    IdAa64Mmfr1 ID_AA64MMFR1_EL1;
    IdAa64Mmfr2 ID_AA64MMFR2_EL1;
    IdAa64Dfr0 ID_AA64DFR0_EL1;
    MidrEl1 MIDR_EL1;
    MpidrEl1 MPIDR_EL1;
    CtrEl0 CTR_EL0;
    DczidEl0 DCZID_EL0;
    CsselrEl1 CSSELR_EL1;
    ClidrEl1 CLIDR_EL1;
    Mpam2El2 MPAM2_EL2;
    Mpam3El3 MPAM3_EL3;
    MpamhcrEl2 MPAMHCR_EL2;
    MpamidrEl1 MPAMIDR_EL1;
    TcrEl2 TCR_EL2 "E2H=0";
    TcrEl3 TCR_EL3;
    Tcr2 TCR2_EL2 "E2H=1";
    VtcrEl2 VTCR_EL2;
    VstcrEl2 VSTCR_EL2;
    GpccrEl3 GPCCR_EL3;
    CntCtl CNTP_CTL_EL0;
    CntkctlEl1 CNTKCTL_EL1;
    CnthctlEl2 CNTHCTL_EL2 "E2H=1";
    CnthctlEl2Classic CNTHCTL_EL2 "E2H=0";
    TcrEl1 TCR_EL1;
    TtbrEl1 TTBR0_EL1;
    VttbrEl2 VTTBR_EL2;
    PmuserenrEl0 PMUSERENR_EL0;
    AmuserenrEl0 AMUSERENR_EL0;
    DbgbcrEl1 DBGBCR0_EL1;
    DbgwcrEl1 DBGWCR0_EL1;
    PmecrEl1 PMECR_EL1;
    Pmscr PMSCR_EL2;
    Trfcr TRFCR_EL2;
    Pmbsr PMBSR_EL1;
    Trbsr TRBSR_EL1;
    Sctlr2 SCTLR2_EL2;
    Disr DISR_EL1 "IDS=0";
    VsesrEl2 VSESR_EL2 "A64" "IDS=0";
    EsrEl ESR_EL1;
    PState SPSR_EL1 "nRW=0";
};

/// Fields of views that the data has under another name, in other pieces, or not at all, and why.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("MpidrEl1", "res1", "reads as one"),
    ("CtrEl0", "res1", "reads as one"),
    ("ClidrEl1", "ttype", "seven fields of two bits"),
    ("TcrEl2", "res1_23", "reads as one"),
    ("TcrEl2", "res1_31", "reads as one"),
    ("TcrEl3", "res1_23", "reads as one"),
    ("TcrEl3", "res1_31", "reads as one"),
    ("VtcrEl2", "res1", "reads as one"),
    ("VstcrEl2", "res1", "reads as one"),
    ("Tcr2", "fngna0", "of TCR2_EL1"),
    ("Tcr2", "fngna1", "of TCR2_EL1"),
    ("GpccrEl3", "later", "carried whole"),
    ("Sctlr2", "later", "carried whole"),
    ("Pmscr", "e0spe", "E0HSPE of EL2"),
    ("Pmscr", "e1spe", "E2SPE of EL2"),
    ("Trfcr", "e0tre", "E0HTRE of EL2"),
    ("Trfcr", "e1tre", "E2TRE of EL2"),
    ("Pmbsr", "mss2", "its fields"),
    ("Trbsr", "mss2", "its fields"),
    ("Disr", "iss", "a syndrome, which `iss::SError` decodes"),
    ("PState", "nrw", "M[4], which the data has in M"),
];

/// A name as both sides can spell it.
fn plain(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "").to_lowercase()
}

/// The fields that hold each bit, by the data.
fn layout(view: &View, row: &str) -> BTreeMap<u32, BTreeSet<String>> {
    let mut bits: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for field in row.split(',').filter(|field| !field.starts_with("RES")) {
        let (name, range) = field.trim_end_matches(']').split_once('[').unwrap();
        let (name, condition) = name.trim_end_matches(')').split_once('(').unwrap_or((name, ""));
        if !condition.is_empty() && !view.conditions.contains(&condition) {
            continue;
        }
        let (hi, lo) = range.split_once(':').unwrap_or((range, range));
        for bit in lo.parse::<u32>().unwrap()..=hi.parse().unwrap() {
            bits.entry(bit).or_default().insert(plain(name));
        }
    }
    bits
}

/// `field: value` of what a view prints.
fn fields(printed: &str) -> BTreeMap<String, String> {
    let inside = printed.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches([' ', '}']));
    inside
        .split(", ")
        .filter_map(|part| part.split_once(": "))
        .map(|(n, v)| (n.trim().into(), v.into()))
        .collect()
}

#[test]
fn each_bit_of_a_view_is_in_the_field_that_the_data_has_there() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/sysregs.tsv")).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split('\t').collect();
    let column = header.iter().position(|name| *name == "fields").unwrap();
    let rows: BTreeMap<&str, &str> = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|row| (row[0], row[column]))
        .collect();
    let (mut compared, mut wrong, mut excepted) = (0, Vec::new(), BTreeSet::new());
    for view in VIEWS {
        let layout = layout(view, rows[view.register]);
        let zero = fields(&(view.print)(0));
        for bit in 0..64 {
            let set = fields(&(view.print)(1 << bit));
            let changed: Vec<&String> = set.keys().filter(|name| set[*name] != zero[*name]).collect();
            let [name] = changed[..] else {
                assert!(changed.is_empty(), "{} bit {bit} is in two fields: {changed:?}", view.name);
                continue;
            };
            let names = layout.get(&bit).cloned().unwrap_or_default();
            let known = OTHERWISE.iter().find(|(of, field, _)| *of == view.name && field == name);
            if known.is_some() {
                excepted.insert(known);
                continue;
            }
            compared += 1;
            if !names.contains(&plain(name)) {
                wrong.push(format!("{}.{name} bit {bit}: the data has {names:?}", view.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(excepted.len(), OTHERWISE.len(), "an exception that none needs");
    println!("{} views, {compared} bits", VIEWS.len());
    assert!(compared > 1_000, "{compared}");
}
