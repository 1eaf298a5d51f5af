//! The register table against `data/sysregs.tsv`, and against literals of the manual.
#![cfg(feature = "tables")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, and the data is the repository's"
)]

use std::collections::{BTreeMap, BTreeSet};

use arm_arch::feature::model::MAX_MODELLED;
use arm_arch::feature::{Feature, Features};
use arm_arch::iss::Direction;
use arm_arch::sysreg::register::{Access, MinEl, Register};
use arm_arch::sysreg::{SysRegId, names};

/// The rows of the table, by column name.
fn data() -> Vec<BTreeMap<String, String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/sysregs.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

fn encoding(row: &BTreeMap<String, String>) -> u16 {
    u16::from_str_radix(row["enc16"].trim_start_matches("0x"), 16).unwrap()
}

fn register(name: &str) -> &'static Register {
    Register::named(name).unwrap_or_else(|| panic!("no {name}"))
}

/// The bits of `[hi:lo]` or `[bit]`.
fn mask(range: &str) -> u64 {
    let (hi, lo) = range.split_once(':').unwrap_or((range, range));
    let (hi, lo): (u32, u32) = (hi.parse().unwrap(), lo.parse().unwrap());
    (u64::MAX >> (63 - hi)) & (u64::MAX << lo)
}

#[test]
fn each_name_of_the_data_is_found_with_what_the_data_says() {
    let rows = data();
    assert_eq!((rows.len(), Register::COUNT), (1134, 1134));
    for row in &rows {
        let found = register(&row["name"]);
        let name = found.name();
        assert_eq!((name, found.id().into_bits()), (row["name"].as_str(), encoding(row)));
        let parts =
            [found.id().op0(), found.id().op1(), found.id().crn(), found.id().crm(), found.id().op2()];
        let wanted = ["op0", "op1", "CRn", "CRm", "op2"].map(|column| row[column].parse::<u8>().unwrap());
        assert_eq!(parts, wanted, "{name}");
        assert_eq!(format!("{:?}", found.access()), row["access"], "{name}");
        assert_eq!(format!("{:?}", found.min_el()), row["min_el"], "{name}");
        let alias = found.alias_of().map_or("-", Register::name);
        assert_eq!(alias, row["alias_of"], "{name}");
        let offset =
            row["vncr_off"].strip_prefix("0x").map(|digits| u16::from_str_radix(digits, 16).unwrap());
        assert_eq!(found.vncr_offset(), offset, "{name}");
        assert_eq!(found.reset().map_or("-", |reset| reset.note), row["reset"], "{name}");
        assert!(Register::named(&row["name"].to_lowercase()).is_some(), "{name} in small letters");
    }
}

#[test]
fn all_encodings_lead_to_the_register_of_the_data_or_to_none() {
    let mut wanted: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for row in data() {
        wanted.entry(encoding(&row)).or_default().push(row["name"].clone());
    }
    let mut found = 0;
    for bits in 0..=u16::MAX {
        let register = Register::of(SysRegId::from_bits(bits));
        match (register, wanted.get(&bits)) {
            (Some(register), Some(names)) => {
                found += 1;
                assert_eq!(register.name(), names[0], "{bits:#x}");
            }
            (None, None) => {}
            other => panic!("{bits:#x}: {other:?}"),
        }
    }
    assert_eq!(found, 1133, "two names share one encoding");
    assert_eq!(Register::all().count(), 1134);
}

#[test]
fn layouts_are_those_of_the_data() {
    let (mut unknown, mut aliases, mut fields) = (0, 0, 0);
    for row in data() {
        let register = register(&row["name"]);
        if row["fields"] == "?" {
            let alias = register.alias_of().filter(|alias| alias.has_layout());
            assert_eq!(register.has_layout(), alias.is_some(), "{register}");
            let (own, other) = (register.fields(), alias.into_iter().flat_map(Register::fields));
            assert!(own.eq(other), "{register}: as the register it is another name of");
            (unknown, aliases) =
                if alias.is_some() { (unknown, aliases + 1) } else { (unknown + 1, aliases) };
            continue;
        }
        assert!(register.has_layout(), "{register}");
        let (mut wanted, mut res0, mut res1) = (BTreeSet::new(), 0, 0);
        for item in row["fields"].split(',') {
            let (name, range) = item.trim_end_matches(']').rsplit_once('[').unwrap();
            match name {
                "RES0" => res0 |= mask(range),
                "RES1" => res1 |= mask(range),
                _ => {}
            }
            if name != "RES0" {
                let name = match name {
                    "M_4(nRW)" => "nRW",
                    _ if name.contains(' ') => "MASK",
                    _ => name,
                };
                wanted.insert(format!("{name}[{range}]"));
            }
        }
        let found: BTreeSet<_> = register.fields().map(|field| field.to_string()).collect();
        assert_eq!(found, wanted, "{register}");
        assert_eq!((register.res0(), register.res1()), (res0, res1), "{register}");
        let lows: Vec<_> = register.fields().map(|field| field.lo).collect();
        assert!(lows.is_sorted(), "{register}: from the lowest bit");
        fields += found.len();
    }
    assert_eq!((unknown, aliases, fields), (280, 11, 6178));
}

#[test]
fn values_print_as_a_person_reads_them() {
    const CASES: &[(&str, u64, &str)] = &[
        (
            "SCTLR_EL1",
            0x30d0_0805,
            "SCTLR_EL1 = 0x0000000030d00805 M=1 C=1 EOS=1 TSCXT=1 EIS=1 SPAN=1 nTLSMD=1 LSMAOE=1",
        ),
        ("SCTLR_EL1", 1 << 17, "SCTLR_EL1 = 0x0000000000020000 reserved=0x20000"),
        ("FAR_EL1", 0xffff_0000_1234_5678, "FAR_EL1 = 0xffff000012345678"),
        (
            "MIDR_EL1",
            0x411f_d070,
            "MIDR_EL1 = 0x00000000411fd070 PartNum=0xd07 Architecture=0xf Variant=1 Implementer=0x41",
        ),
        ("VBAR_EL1", 0, "VBAR_EL1 = 0x0000000000000000"),
        // PAR_EL1.F says which layout it is.
        ("PAR_EL1", 0x0000_0000_8000_0b80, "PAR_EL1 = 0x0000000080000b80 SH=3 NS=1 NSE=1 PA_47_12=0x80000"),
        ("SPSR_EL1", 0x6000_03c5, "SPSR_EL1 = 0x00000000600003c5 M=5 F=1 I=1 A=1 D=1 C=1 Z=1"),
        ("SPSR_EL1", 0x6000_01f0, "SPSR_EL1 = 0x00000000600001f0 nRW=1 T=1 F=1 I=1 A=1 C=1 Z=1"),
        // Not known, and known to be nothing.
        ("TRCAUTHSTATUS", 5, "TRCAUTHSTATUS = 0x0000000000000005 (fields not known)"),
        ("CPACR_EL12", 3 << 20, "CPACR_EL12 = 0x0000000000300000 FPEN=3"),
        ("PAR_EL1", 0xb0f, "PAR_EL1 = 0x0000000000000b0f F=1 FST=7 PTW=1 S=1 RES1=1"),
    ];
    for (name, value, want) in CASES {
        assert_eq!(register(name).decode(*value).to_string(), *want, "{name}");
    }
    let long = format!("{:#}", register("TTBR0_EL1").decode(0x0012_0000_4567_8001));
    assert_eq!(
        long,
        "TTBR0_EL1 = 0x0012000045678001\n  [ 0: 0] CnP = 1\n  [47: 1] BADDR = 0x22b3c000\n  [ 2: 1] SKL(D128) = 0\n  [63:48] ASID = 0x12"
    );
    assert_eq!(format!("{:>12}|", register("DAIF")), "        DAIF|");
}

#[test]
fn another_register_may_say_which_layout_holds() {
    let tcr = register("TCR_EL2").decode(1 << 20 | 25);
    assert_eq!(tcr.given("E2H=0").to_string(), "TCR_EL2 = 0x0000000000100019 T0SZ=0x19 TBI=1");
    assert_eq!(tcr.given("E2H=1").to_string(), "TCR_EL2 = 0x0000000000100019 T0SZ=0x19 T1SZ=0x10");
    assert_eq!(tcr.to_string(), "TCR_EL2 = 0x0000000000100019 T0SZ=0x19 T1SZ(E2H=1)=0x10 TBI(E2H=0)=1",);
    assert_eq!((tcr.field("T0SZ"), tcr.field("TBI"), tcr.field("M")), (Some(25), Some(1), None));
    assert_eq!(tcr.given("E2H=1").field("TBI"), None);
}

#[test]
fn one_encoding_is_two_registers() {
    let id = names::DBGDTRRX_EL0;
    assert_eq!(id, names::DBGDTRTX_EL0);
    let name = |direction| Register::accessed(id, direction).map(Register::name);
    assert_eq!(name(Direction::Read), Some("DBGDTRRX_EL0"));
    assert_eq!(name(Direction::Write), Some("DBGDTRTX_EL0"));
    assert!(Register::accessed(names::MIDR_EL1, Direction::Read).is_some());
    assert!(Register::accessed(names::MIDR_EL1, Direction::Write).is_none());
    assert!(Register::accessed(names::ICC_EOIR1_EL1, Direction::Read).is_none());
    assert!(Register::accessed(names::ICC_EOIR1_EL1, Direction::Write).is_some());
}

#[test]
fn literals_of_the_manual() {
    let sctlr = register("SCTLR_EL12");
    assert_eq!((sctlr.id(), sctlr.min_el()), (SysRegId::new(3, 5, 1, 0, 0), MinEl::EL2));
    assert_eq!(sctlr.alias_of().map(Register::id), Some(names::SCTLR_EL1));
    assert_eq!(register("CNTV_CTL_EL02").alias_of().map(Register::name), Some("CNTV_CTL_EL0"));
    assert_eq!(register("SCTLR_EL1").vncr_offset(), Some(0x110));
    assert_eq!(register("MPIDR_EL1").res1(), 1 << 31);
    assert_eq!(register("CurrentEL").access(), Access::RO);
    assert_eq!(register("OSLAR_EL1").access(), Access::WO);
    assert_eq!(register("DAIF").reset().and_then(|reset| reset.bits), Some(0x3c0));
    assert_eq!(register("TCR_EL1").reset().and_then(|reset| reset.bits), None);
    assert_eq!(register("PMCR_EL0").reset().unwrap().bits, None);
    assert!(Register::named("").is_none());
    assert!(Register::named("SCTLR_EL").is_none());
    assert!(Register::named("ZZZ").is_none());
}

#[test]
fn presence_follows_the_features() {
    let none = Features::NONE;
    let with = |feature| none.with(feature);
    #[rustfmt::skip]
    let cases: &[(&str, Features, Option<bool>)] = &[
        ("SCTLR_EL1", none, Some(true)),
        ("PAN", none, Some(false)),
        ("PAN", with(Feature::PAN), Some(true)),
        ("ZCR_EL1", none, Some(false)),
        ("ZCR_EL1", with(Feature::SVE), Some(true)),
        ("HCR_EL2", none, Some(false)),
        ("HCR_EL2", with(Feature::EL2), Some(true)),
        ("ICH_HCR_EL2", with(Feature::EL2), Some(false)),
        ("ICH_HCR_EL2", with(Feature::EL2).with(Feature::GICv3), Some(true)),
        ("SCXTNUM_EL0", with(Feature::CSV2), Some(false)),
        ("SCXTNUM_EL0", with(Feature::CSV2_2), Some(true)),
        ("SCXTNUM_EL0", with(Feature::CSV2_1p2), Some(true)),
        ("SCTLR_EL12", with(Feature::EL2), Some(false)),
        ("SCTLR_EL12", with(Feature::VHE), Some(true)),
        ("TRBMPAM_EL1", none, Some(false)),
        ("TRBMPAM_EL1", with(Feature::TRBE), None),
        // One breakpoint and one watchpoint.
        ("DBGBVR0_EL1", none, Some(true)),
        ("DBGBVR1_EL1", none, Some(false)),
        ("DBGWCR0_EL1", none, Some(true)),
        ("DBGWCR1_EL1", none, Some(false)),
        // Two of each.
        ("DBGBCR1_EL1", Features::of(&MAX_MODELLED), Some(true)),
        ("DBGWVR2_EL1", Features::of(&MAX_MODELLED), Some(false)),
        // The AArch32 view is there, if only to read as zero.
        ("ID_PFR0_EL1", none, Some(true)),
    ];
    for (name, features, want) in cases {
        assert_eq!(register(name).is_present(features), *want, "{name}");
    }
}

#[test]
fn what_a_register_needs_is_what_the_data_says() {
    // What stands in the data for more than a feature, or for one by another name.
    const OTHERS: &[(&str, &str)] = &[
        ("-", "nothing"),
        ("AArch32 view (RAZ/UNKNOWN if no AArch32)", "nothing"),
        ("EL2", "FEAT_EL2"),
        ("EL3", "FEAT_EL3"),
        ("FEAT_AMUv1 & FEAT_FGT", "FEAT_AMUv1 and FEAT_FGT"),
        ("FEAT_CSV2_2 or CSV2_1p2", "FEAT_CSV2_2 or FEAT_CSV2_1p2"),
        ("FEAT_Debugv8 (count in ID_AA64DFR0)", "as many breakpoints or watchpoints"),
        ("FEAT_Debugv8p9/STEP2", "FEAT_Debugv8p9 and more"),
        ("FEAT_EBEP or FEAT_PMUv3_SS", "FEAT_EBEP or FEAT_PMUv3_SS"),
        ("FEAT_ETE or ETMv4 sysreg trace", "FEAT_TRC_SR"),
        // ID_AA64FPFR0_EL1, which reads as zero where there is neither.
        ("FEAT_FPMR/FP8", "nothing"),
        ("FEAT_GICv3 & EL2", "FEAT_GICv3 and FEAT_EL2"),
        ("FEAT_GICv3 (system register i/f)", "FEAT_GICv3"),
        ("FEAT_MPAM", "FEAT_MPAM or FEAT_MPAMv0p1"),
        ("FEAT_MPAM & FEAT_SME", "FEAT_MPAM and FEAT_SME"),
        ("FEAT_MPAM_PE_BW_CTRL", "FEAT_MPAM and more"),
        ("FEAT_SPE_FDS", "FEAT_SPE and more"),
        ("FEAT_TRBE_MPAM", "FEAT_TRBE and more"),
        ("FEAT_VHE (E2H=1)", "FEAT_VHE"),
    ];
    for row in data() {
        let text = row["feature"].as_str();
        let want = OTHERS.iter().find(|(data, _)| *data == text).map_or(text, |(_, want)| want);
        assert_eq!(register(&row["name"]).needs().to_string(), want, "{}", row["name"]);
    }
}
