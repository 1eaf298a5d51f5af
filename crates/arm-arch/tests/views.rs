//! Typed views of registers against the layouts of `data/sysregs.tsv`: each bit belongs to the field of that name.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, and the data is the repository's"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arm_arch::debug::{DbgbcrEl1, DbgbvrContext, DbgwcrEl1};
use arm_arch::exception::PmecrEl1;
use arm_arch::iss::*;
use arm_arch::sysreg::*;
use arm_arch::{EsrEl, PState};

/// A view: its name, the register of the data (or the syndrome), which conditions of fields hold, and how it prints a value.
struct View {
    name: &'static str,
    register: &'static str,
    conditions: &'static [&'static str],
    print: fn(u64) -> String,
}

macro_rules! views {
    ($($view:ident $register:tt $($condition:literal)*;)*) => {
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
    SctlrEl1 SCTLR_EL2 "E2H=1";
    SctlrEl1 SCTLR_EL3;
    Sctlr2 SCTLR2_EL1;
    Sctlr2 SCTLR2_EL2;
    Sctlr2 SCTLR2_EL3;
    CpacrEl1 CPACR_EL1;
    HcrEl2 HCR_EL2;
    HcrxEl2 HCRX_EL2;
    CptrEl2 CPTR_EL2 "E2H=1";
    CptrEl2Classic CPTR_EL2 "E2H=0";
    MdscrEl1 MDSCR_EL1;
    MdcrEl2 MDCR_EL2;
    OslsrEl1 OSLSR_EL1;
    OslarEl1 OSLAR_EL1;
    MdccintEl1 MDCCINT_EL1;
    DbgclaimEl1 DBGCLAIMSET_EL1;
    DbgclaimEl1 DBGCLAIMCLR_EL1;
    Fpcr FPCR;
    Fpsr FPSR;
    HpfarEl2 HPFAR_EL2;
    VbarEl1 VBAR_EL1;
    VbarEl1 VBAR_EL2;
    ScrEl3 SCR_EL3;
    MdcrEl3 MDCR_EL3;
    CptrEl3 CPTR_EL3;
    IsrEl1 ISR_EL1;
    HfgitrEl2 HFGITR_EL2;
    GcscrEl1 GCSCR_EL1;
    GcscrEl1 GCSCR_EL2;
    GcscrEl1 GCSCR_EL3;
    Gcscre0El1 GCSCRE0_EL1;
    IchLr ICH_LR0_EL2 "HW=1";
    IchLr ICH_LR15_EL2 "HW=1";
    IchHcr ICH_HCR_EL2;
    IchVmcr ICH_VMCR_EL2;
    IchVtr ICH_VTR_EL2;
    IchMisr ICH_MISR_EL2;
    IccCtlr ICC_CTLR_EL1;
    IccSre ICC_SRE_EL1;
    IccSre ICC_SRE_EL2;
    IccSre ICC_SRE_EL3;
    IccIntid ICC_IAR0_EL1;
    IccIntid ICC_IAR1_EL1;
    IccIntid ICC_EOIR0_EL1;
    IccIntid ICC_EOIR1_EL1;
    IccIntid ICC_HPPIR0_EL1;
    IccIntid ICC_HPPIR1_EL1;
    IccIntid ICC_DIR_EL1;
    IccSgi ICC_SGI0R_EL1;
    IccSgi ICC_SGI1R_EL1;
    IccSgi ICC_ASGI1R_EL1;
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
    MidrEl1 VPIDR_EL2;
    MpidrEl1 MPIDR_EL1;
    MpidrEl1 VMPIDR_EL2;
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
    Tcr2 TCR2_EL1;
    Tcr2 TCR2_EL2 "E2H=1";
    VtcrEl2 VTCR_EL2;
    VstcrEl2 VSTCR_EL2;
    GpccrEl3 GPCCR_EL3;
    CntCtl CNTP_CTL_EL0;
    CntCtl CNTV_CTL_EL0;
    CntCtl CNTHP_CTL_EL2;
    CntCtl CNTHV_CTL_EL2;
    CntCtl CNTPS_CTL_EL1;
    CntkctlEl1 CNTKCTL_EL1;
    CnthctlEl2 CNTHCTL_EL2 "E2H=1";
    CnthctlEl2Classic CNTHCTL_EL2 "E2H=0";
    TcrEl1 TCR_EL1;
    TcrEl1 TCR_EL2 "E2H=1";
    TtbrEl1 TTBR0_EL1;
    TtbrEl1 TTBR1_EL1;
    TtbrEl1 TTBR0_EL2;
    TtbrEl1 TTBR1_EL2;
    VttbrEl2 VTTBR_EL2;
    ParSuccess PAR_EL1 "F=0";
    ParFault PAR_EL1 "F=1";
    PmuserenrEl0 PMUSERENR_EL0;
    AmuserenrEl0 AMUSERENR_EL0;
    DbgbcrEl1 DBGBCR0_EL1;
    DbgbcrEl1 DBGBCR15_EL1;
    DbgbvrContext DBGBVR0_EL1;
    DbgwcrEl1 DBGWCR0_EL1;
    DbgwcrEl1 DBGWCR15_EL1;
    PmecrEl1 PMECR_EL1;
    Pmscr PMSCR_EL1;
    Pmscr PMSCR_EL2;
    Trfcr TRFCR_EL1;
    Trfcr TRFCR_EL2;
    Pmbsr PMBSR_EL1;
    Pmbsr PMBSR_EL2;
    Pmbsr PMBSR_EL3;
    Trbsr TRBSR_EL1;
    Trbsr TRBSR_EL2;
    Trbsr TRBSR_EL3;
    Disr DISR_EL1 "IDS=0";
    VsesrEl2 VSESR_EL2 "A64" "IDS=0";
    EsrEl ESR_EL1;
    EsrEl ESR_EL2;
    EsrEl ESR_EL3;
    PState SPSR_EL1 "nRW=0";
    PState SPSR_EL2 "nRW=0";
    PState SPSR_EL3 "nRW=0";
};

/// Views of the ISS, and of ISS2: as the register, a value of `ESR_ELx` whose fields `iss::fields` gives. Those have
/// names of the manual too, and `tests/esr_decoder.rs` compares them with another's reading of it.
const SYNDROMES: &[View] = views! {
    Wfx 0x0600_0000;
    FpAccess 0x1e00_0000;
    Immediate 0x5600_0000;
    Immediate 0x5a00_0000;
    Immediate 0x5e00_0000;
    Immediate 0xf200_0000;
    Eret 0x6a00_0000;
    FpException 0xb200_0000;
    DataAbort 0x9300_0000;
    DataAbort 0x9200_0010;
    DataAbort 0x9200_0035;
    InstructionAbort 0x8200_0010;
    InstructionAbort 0x8200_0000;
    Step 0xcb00_0022;
    Watchpoint 0xd200_0022;
    SError 0xbf00_0000;
    SError 0xbe00_0011;
    CoprocessorAccess 0x0e00_0000;
    CoprocessorPair 0x1200_0000;
    CoprocessorMemory 0x1a00_0000;
    BranchTarget 0x3600_0000;
    Smc32 0x4e00_0000;
    SystemAccess128 0x5200_0000;
    Tstart 0x6e00_0000;
    PacFail 0x7200_0000;
    SmeAccess 0x7600_0000;
    Gpc 0x7a00_0000;
    Mops 0x9e00_0000;
    Gcs 0xb600_0000;
    Pmu 0xf600_0000;
    Iss2 0x9200_0000;
    Iss2 0x9300_0000;
};

/// Views that no table of the repository knows, and what says that they are right.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Mss2", "part of PMBSR and TRBSR, whose fields the data has"),
    ("GicPidr2", "memory-mapped: literals"),
    ("GicIidr", "memory-mapped: literals"),
    ("GicdCtlr", "memory-mapped: literals"),
    ("GicdTyper", "memory-mapped: literals"),
    ("GicdSpi", "memory-mapped: literals"),
    ("GicdIrouter", "memory-mapped: literals"),
    ("GicrTyper", "memory-mapped: literals"),
    ("GicrWaker", "memory-mapped: literals"),
];

/// Fields of views that the data has under another name or in other pieces (the third), or not at all, and why.
const OTHERWISE: &[(&str, &str, &str, &str)] = &[
    ("MpidrEl1", "res1", "", "reads as one"),
    ("CtrEl0", "res1", "", "reads as one"),
    ("ParFault", "res1", "", "reads as one"),
    ("ClidrEl1", "ttype", "Ttype1 Ttype2 Ttype3 Ttype4 Ttype5 Ttype6 Ttype7", "seven fields of two bits"),
    ("TcrEl2", "res1_23", "", "reads as one"),
    ("TcrEl2", "res1_31", "", "reads as one"),
    ("TcrEl3", "res1_23", "", "reads as one"),
    ("TcrEl3", "res1_31", "", "reads as one"),
    ("VtcrEl2", "res1", "", "reads as one"),
    ("VstcrEl2", "res1", "", "reads as one"),
    ("GpccrEl3", "later", "", "carried whole"),
    ("Sctlr2", "later", "", "carried whole"),
    ("PState", "nrw", "", "M[4], which the data has in M"),
    ("SctlrEl1", "bt1", "BT1 BT", "BT where there is one level"),
    ("ParSuccess", "pa", "PA_51_48 PA_47_12", "in two pieces"),
    ("DbgbvrContext", "vmid", "", "the data has ContextID2 there"),
    ("DbgbvrContext", "high", "", "the data has ContextID2 there"),
    ("Mops", "is_set", "MemInst", "what it says"),
    ("Mops", "destination_register", "destreg", "written out"),
    ("Mops", "source_register", "srcreg", "written out"),
    ("Mops", "size_register", "sizereg", "written out"),
    ("PacFail", "data", "IorD", "what it says"),
    ("PacFail", "key_b", "AorB", "what it says"),
    ("Fpcr", "length", "Len", "`len` counts elements in Rust"),
    ("Pmscr", "e0spe", "E0SPE E0HSPE", "E0HSPE of EL2"),
    ("Pmscr", "e1spe", "E1SPE E2SPE", "E2SPE of EL2"),
    ("Trfcr", "e0tre", "E0TRE E0HTRE", "E0HTRE of EL2"),
    ("Trfcr", "e1tre", "E1TRE E2TRE", "E2TRE of EL2"),
    ("Pmbsr", "mss2", "DirtyBit Overlay AssuredOnly TopLevel", "its fields"),
    ("Trbsr", "mss2", "DirtyBit Overlay AssuredOnly TopLevel", "its fields"),
    ("Disr", "iss", "", "a syndrome, which `iss::SError` decodes"),
    ("Immediate", "imm16", "imm16 Comment", "Comment of BRK"),
    ("Eret", "authenticated", "ERET", "what it says"),
    ("Eret", "key_b", "ERETA", "what it says"),
    ("CoprocessorAccess", "read", "Direction", "what it says"),
    ("CoprocessorPair", "read", "Direction", "what it says"),
    ("CoprocessorMemory", "read", "Direction", "what it says"),
    ("CoprocessorMemory", "add", "Offset", "what it says"),
    ("SystemAccess128", "read", "Direction", "what it says"),
];

/// A name as both sides can spell it.
fn plain(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "").to_lowercase()
}

/// Which bits each field has: name as [`plain`] gives it, and a mask.
type Layout = BTreeMap<String, u64>;

/// The fields of a register, by the data, where the view's conditions hold.
fn layout(view: &View, row: &str) -> Layout {
    let mut layout = Layout::new();
    for field in row.split(',').filter(|field| !field.starts_with("RES")) {
        let (name, range) = field.trim_end_matches(']').split_once('[').unwrap();
        let (name, condition) = name.trim_end_matches(')').split_once('(').unwrap_or((name, ""));
        if !condition.is_empty() && !view.conditions.contains(&condition) {
            continue;
        }
        let (high, low) = range.split_once(':').unwrap_or((range, range));
        *layout.entry(plain(name)).or_default() |= mask(high.parse().unwrap(), low.parse().unwrap());
    }
    layout
}

fn mask(high: u32, low: u32) -> u64 {
    u64::MAX >> (63 - (high - low)) << low
}

/// `field: value` of what a view prints, one level deep.
fn printed(text: &str) -> BTreeMap<String, String> {
    let inside = text.split_once('{').map_or("", |(_, rest)| rest.strip_suffix('}').unwrap_or(rest));
    let (mut fields, mut depth, mut start) = (BTreeMap::new(), 0, 0);
    for (at, character) in inside.char_indices().chain([(inside.len(), ',')]) {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                if let Some((name, value)) = inside[start..at].split_once(": ") {
                    fields.insert(name.trim().to_owned(), value.to_owned());
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    fields
}

/// The fields of a view: which of them each bit alone changes.
fn fields_of(view: &View) -> Layout {
    let zero = printed(&(view.print)(0));
    let mut fields: Layout = zero.keys().map(|name| (name.clone(), 0)).collect();
    for bit in 0..64 {
        let set = printed(&(view.print)(1 << bit));
        let differs = |(name, value): &(&String, &String)| zero.get(*name) != Some(*value);
        let changed: Vec<_> = set.iter().filter(differs).map(|(name, _)| name).collect();
        assert!(changed.len() < 2, "{} bit {bit} is in two fields: {changed:?}", view.name);
        for name in changed {
            *fields.get_mut(name).unwrap() |= 1 << bit;
        }
    }
    fields
}

/// The register table: name, and its layout as the data writes it.
fn rows(text: &str) -> BTreeMap<&str, &str> {
    let header: Vec<&str> = text.lines().next().unwrap().split('\t').collect();
    let column = header.iter().position(|name| *name == "fields").unwrap();
    let row = |line: &'_ str| -> (usize, usize) {
        let start = line.match_indices('\t').nth(column - 1).unwrap().0 + 1;
        (start, line[start..].find('\t').map_or(line.len(), |length| start + length))
    };
    text.lines()
        .map(|line| {
            let (start, end) = row(line);
            (line.split('\t').next().unwrap(), &line[start..end])
        })
        .collect()
}

/// What the comparison found.
#[derive(Default)]
struct Found {
    bits: u32,
    wrong: Vec<String>,
    /// Fields that some layout has.
    confirmed: BTreeSet<(&'static str, String)>,
}

/// Compares the fields of a view with those of a layout: same name, same bits. A field that the layout lacks is none of
/// this register; one of the view's others has to have it.
fn compare(view: &View, theirs: &Layout, found: &mut Found) {
    let is_syndrome = view.register.starts_with("0x");
    for (name, bits) in fields_of(view) {
        assert!(bits != 0, "{}.{name} is in no bit", view.name);
        let otherwise = OTHERWISE.iter().find(|(of, field, ..)| *of == view.name && *field == name);
        let want = otherwise.map_or(name.as_str(), |(_, _, want, _)| want);
        let at = want.split(' ').filter_map(|name| theirs.get(&plain(name))).fold(0, |all, bits| all | bits);
        // In a syndrome, fields that exclude each other may share bits.
        let is_free = is_syndrome || theirs.values().all(|theirs| theirs & bits == 0);
        if at == bits {
            found.bits += bits.count_ones();
            found.confirmed.insert((view.name, name));
        } else if at != 0 || !is_free && !want.is_empty() {
            found
                .wrong
                .push(format!("{}.{name}: {bits:#x}, {} {at:#x} in {}", view.name, want, view.register));
        }
    }
}

#[test]
fn each_field_of_a_view_has_the_bits_that_the_data_gives_it() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/sysregs.tsv")).unwrap();
    let rows = rows(&text);
    let mut found = Found::default();
    for view in VIEWS {
        compare(view, &layout(view, rows[view.register]), &mut found);
    }
    for view in SYNDROMES {
        compare(view, &syndrome(view), &mut found);
    }
    assert!(found.wrong.is_empty(), "{}", found.wrong.join("\n"));
    for view in VIEWS.iter().chain(SYNDROMES) {
        for (name, _) in fields_of(view) {
            let reason = OTHERWISE
                .iter()
                .any(|(of, field, want, _)| *of == view.name && *field == name && want.is_empty());
            let is_confirmed = found.confirmed.contains(&(view.name, name.clone()));
            assert!(
                is_confirmed != reason,
                "{}.{name}: in no register, or an exception that none needs",
                view.name
            );
        }
    }
    println!(
        "{} views of {} registers, {} of syndromes: {} fields, {} bits",
        names(VIEWS).len(),
        VIEWS.len(),
        names(SYNDROMES).len(),
        found.confirmed.len(),
        found.bits
    );
    assert!(found.bits > 2_000, "{}", found.bits);
}

/// The fields of the ISS, or for [`Iss2`] of ISS2, of a value of `ESR_ELx`.
fn syndrome(view: &View) -> Layout {
    let esr = u64::from_str_radix(&view.register.replace('_', "")[2..], 16).unwrap();
    let shift = if view.name == "Iss2" { 32 } else { 0 };
    fields(EsrEl::from_bits(esr))
        .filter(|field| field.low < 32 && shift == 0 || field.low >= 32 && shift == 32)
        .map(|field| (plain(field.name), mask(field.high.into(), field.low.into()) >> shift))
        .collect()
}

fn names(views: &[View]) -> BTreeSet<&'static str> {
    views.iter().map(|view| view.name).collect()
}

/// Every source file of the crate, without generated tables.
fn sources(under: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The views that a source file declares.
fn declared(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[bitfield(").skip(1).map(|after| {
        let (_, name) = after.split_once("struct ").unwrap();
        name.split(|c: char| !c.is_alphanumeric()).next().unwrap()
    })
}

#[test]
fn every_view_is_compared_and_has_a_literal_test() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    let mut known: BTreeSet<&str> = names(VIEWS).into_iter().chain(names(SYNDROMES)).collect();
    known.extend(ELSEWHERE.iter().map(|(view, _)| *view));
    let (mut views, mut without) = (BTreeSet::new(), Vec::new());
    for file in &files {
        let tests = file.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests);
        for view in declared(file) {
            views.insert(view);
            assert!(
                known.contains(view),
                "{view} is compared with nothing: add it to VIEWS, SYNDROMES or ELSEWHERE"
            );
            let literal = tests
                .match_indices(&format!("{view}::from_bits("))
                .any(|(at, call)| tests[at + call.len()..].starts_with(|c: char| c.is_ascii_digit()));
            if !literal {
                without.push(view);
            }
        }
    }
    assert!(without.is_empty(), "no test beside them takes a literal apart: {without:?}");
    let unknown: Vec<&&str> = known.difference(&views).collect();
    assert!(unknown.is_empty(), "no such views: {unknown:?}");
}
