//! The trap table of `arm_arch::trap` against what it was made from: every row of the ordered conditions of Arm's v8.5
//! model (`data/sysreg_trap_conditions_v85.tsv`), every fine-grained bit, every alias and offset, and all encodings.
//!
//! For each row of the model the fields that any row names are filled at random, and level, class and ISS of the answer
//! are compared with the first condition that holds; every condition has to have decided at least once, and every row
//! to have let something pass. What the model has otherwise is in `docs/differences-traps.md`, by name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use arm_arch::feature::{Feature, Features, IdRegisters};
use arm_arch::iss::{Direction, SystemAccess};
use arm_arch::sysreg::HcrxEl2;
use arm_arch::sysreg::{
    CntkctlEl1, CpacrEl1, HcrEl2, IchHcr, MdcrEl2, MdscrEl1, Pmscr, Sctlr2, SctlrEl1, Trfcr, names,
};
use arm_arch::trap::{
    Control, Controls, El3, Extensions, FineGrained, Nested, Outcome, Sources, access, hosted, nested,
    rule_of, table_bytes, trap_rows, vncr_offset, without_alias,
};
use arm_arch::{PState, SysRegId, bits};
use std::collections::{BTreeMap, BTreeSet};

/// A register file: what is not in it reads 0.
type Values = BTreeMap<&'static str, u64>;

/// Positions of fields.
type Fields = BTreeMap<(String, String), (u32, u32)>;

/// What is not asked about: 1 where 0 would trap. API and ATA and FIEN; EnSPM, E2PB, E2TB, EBWE, EnSTEPOP and all
/// counters; EL1TVCT and the others of FEAT_ECV stay 0.
const NEUTRAL: &[(&str, u64)] =
    &[("HCR_EL2", 1 << 41 | 1 << 47 | 1 << 56), ("MDCR_EL2", 0x0004_0800_0300_b01f), ("MPAM2_EL2", 1 << 50)];

fn controls(values: &Values) -> Controls {
    let of = |name| values.get(name).copied().unwrap_or(0);
    Controls {
        hcr: HcrEl2::from_bits(of("HCR_EL2")),
        cptr: of("CPTR_EL2"),
        mdcr: MdcrEl2::from_bits(of("MDCR_EL2")),
        cnthctl: of("CNTHCTL_EL2"),
        ich_hcr: IchHcr::from_bits(of("ICH_HCR_EL2")),
        icc_sre_el2: of("ICC_SRE_EL2"),
        sctlr: SctlrEl1::from_bits(of("SCTLR_EL1")),
        cpacr: CpacrEl1::from_bits(of("CPACR_EL1")),
        cntkctl: CntkctlEl1::from_bits(of("CNTKCTL_EL1")),
        mdscr: MdscrEl1::from_bits(of("MDSCR_EL1")),
    }
}

fn extensions(values: &Values) -> Extensions {
    let of = |name| values.get(name).copied().unwrap_or(0);
    Extensions {
        pmuserenr: of("PMUSERENR_EL0"),
        mpam2: of("MPAM2_EL2"),
        mpamhcr: of("MPAMHCR_EL2"),
        mpamidr: of("MPAMIDR_EL1"),
        icc_sre_el1: of("ICC_SRE_EL1"),
        sctlr_el2: SctlrEl1::from_bits(of("SCTLR_EL2")),
        preemption_bits: 7,
        ..Extensions::NEUTRAL
    }
}

fn table(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/../../data/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn encoding(row: &[String]) -> SysRegId {
    let part = |at: usize| row[at].parse::<u8>().unwrap();
    SysRegId::new(part(1), part(2), part(3), part(4), part(5))
}

/// Field positions, from `data/sysregs.tsv`: register and field to (hi, lo); a layout of E2H has its suffix.
fn layouts() -> Fields {
    let mut fields = BTreeMap::new();
    for row in table("sysregs.tsv") {
        for item in row[9].split(',') {
            let Some((name, range)) = item.trim_end_matches(']').split_once('[') else { continue };
            let (hi, lo) = range.split_once(':').unwrap_or((range, range));
            fields.insert((row[0].clone(), name.to_owned()), (hi.parse().unwrap(), lo.parse().unwrap()));
        }
    }
    fields
}

/// A field under one value of HCR_EL2.E2H.
fn position(fields: &Fields, register: &str, field: &str, e2h: u64) -> (u32, u32) {
    let field = if (register, field) == ("HCR_EL2", "TPC") { "TPCP" } else { field };
    let at = |name: String| fields.get(&(register.to_owned(), name));
    *at(format!("{field}(E2H={e2h})"))
        .or_else(|| at(field.to_owned()))
        .or_else(|| at(format!("{field}(E2H={})", 1 - e2h)))
        .unwrap_or_else(|| panic!("{register}.{field}"))
}

/// The bits that the conditions name, by register.
fn named_bits(rows: &[Vec<String>], fields: &Fields) -> Values {
    let mut masks: Values = BTreeMap::new();
    for word in rows.iter().flat_map(|row| row[8].split([' ', '(', ')', '!'])) {
        let Some((register, field)) = word.split('=').next().and_then(|name| name.split_once('.')) else {
            continue;
        };
        let register: &'static str = match register {
            "SCTLR_ELx" => "SCTLR_EL1",
            other => other.to_owned().leak(),
        };
        for e2h in [0, 1] {
            let (hi, lo) = position(fields, register, field, e2h);
            *masks.entry(register).or_default() |= bits::mask(hi - lo + 1) << lo;
        }
    }
    // The host's EL0 has the fields of SCTLR_EL1 in SCTLR_EL2.
    masks.insert("SCTLR_EL2", masks["SCTLR_EL1"]);
    masks
}

/// Evaluates `A.X=1 & (B.Y=0 | !C.Z=1)` from the front of `text`.
struct Expression<'a> {
    text: &'a str,
    values: &'a Values,
    fields: &'a BTreeMap<(String, String), (u32, u32)>,
}

impl Expression<'_> {
    fn or(&mut self) -> bool {
        let mut result = self.and();
        while self.eat("|") {
            result |= self.and();
        }
        result
    }

    fn and(&mut self) -> bool {
        let mut result = self.term();
        while self.eat("&") {
            result &= self.term();
        }
        result
    }

    fn term(&mut self) -> bool {
        if self.eat("!") {
            return !self.term();
        }
        if self.eat("(") {
            let result = self.or();
            assert!(self.eat(")"), "at `{}`", self.text);
            return result;
        }
        let end = self.text.find([' ', ')']).unwrap_or(self.text.len());
        let (test, rest) = self.text.split_at(end);
        self.text = rest;
        let (name, value) = test.split_once('=').unwrap();
        let (register, field) = name.split_once('.').unwrap();
        self.field(register, field) == value.parse::<u64>().unwrap()
    }

    fn field(&self, register: &str, field: &str) -> u64 {
        let host = self.values["HCR_EL2"] >> 34 & 1 == 1 && self.values["HCR_EL2"] >> 27 & 1 == 1;
        let register = match register {
            "SCTLR_ELx" if host => "SCTLR_EL2",
            "SCTLR_ELx" => "SCTLR_EL1",
            other => other,
        };
        let e2h = self.values["HCR_EL2"] >> 34 & 1;
        let (hi, lo) = position(self.fields, register, field, e2h);
        bits::field(self.values.get(register).copied().unwrap_or(0), hi, lo)
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.text.trim_start();
        match rest.strip_prefix(token) {
            Some(rest) => {
                self.text = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

/// The level that the first true condition names, and its place.
fn expected(conditions: &str, values: &Values, fields: &Fields) -> (Option<u8>, usize) {
    for (place, condition) in conditions.split(" ;; ").enumerate() {
        let (target, text) = condition.split_once(" if ").unwrap();
        let mut expression = Expression { text, values, fields };
        let holds = expression.or();
        assert!(expression.text.trim().is_empty(), "`{}` is left of `{text}`", expression.text);
        if holds {
            return (target.strip_prefix("EL").map(|n| n.parse().unwrap()), place);
        }
    }
    (None, usize::MAX)
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Every feature, with sixteen breakpoints and watchpoints. MDCR_EL2.HPMN = 0 has a meaning with FEAT_HPMN0.
fn features() -> Features {
    let mut ids = IdRegisters::default();
    assert!(ids.set(names::ID_AA64DFR0_EL1, 0x00f0_f006));
    let all = Feature::ALL.into_iter().filter(|feature| *feature != Feature::HPMN0);
    all.fold(Features::of(&ids), Features::with)
}

/// How a name of the model is odd; `docs/differences-traps.md` has each with its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Odd {
    /// Its conditions are wrong: not compared.
    Not,
    /// NV traps the EL1 name: compared without NV.
    Nv,
    /// Trapped with NV2 too: compared without NV2.
    Nv2,
    /// NV traps only with E2H, and has no offset in memory: compared with E2H and without NV2.
    NvAndE2h,
    /// Both that and the next.
    AliasAndE2h,
    /// Compared with NV, since without it the name does not exist at EL1.
    Alias,
    /// One condition is missing with E2H: compared without.
    E2h,
    /// Two conditions are in the wrong order: compared with one at a time.
    Order,
    /// What EL0 meets is told of the timer of EL2, which it reaches by the name of EL0 while EL2 hosts it: compared
    /// under that name, as a host.
    Timer,
    /// The condition of EL0 for the host is named wrongly: compared without TGE.
    Host,
}

fn oddity(name: &str) -> Option<Odd> {
    Some(match name {
        "DAIF" | "SCXTNUM_EL0" | "SCXTNUM_EL1" | "SCXTNUM_EL12" | "ICC_SRE_EL3" => Odd::Not,
        "CNTVCT_EL0" => Odd::Host,
        "DC IVAC" | "DC IGVAC" | "DC IGDVAC" => Odd::E2h,
        "ICC_BPR1_EL1" => Odd::Order,
        "ELR_EL2" | "ESR_EL2" | "FAR_EL2" | "SPSR_EL2" | "TFSR_EL2" => Odd::Nv2,
        _ if name.ends_with("_EL12") && name.starts_with("MPAM") => Odd::AliasAndE2h,
        _ if name.ends_with("_EL2") && name.starts_with("MPAM") => Odd::NvAndE2h,
        _ if name.ends_with("_EL12") || name.ends_with("_EL02") => Odd::Alias,
        _ if NESTED_ODD.contains(&name) => Odd::Nv,
        _ => return None,
    })
}

/// Sets what an oddity asks for.
fn restrict(odd: Option<Odd>, values: &mut Values, seed: &mut u64) {
    let (e2h, nv, nv1, nv2, tge) = (1 << 34, 1 << 42, 1 << 43, 1 << 45, 1 << 27);
    let hcr = values.get_mut("HCR_EL2").unwrap();
    // The model has NV1 and NV2 count without NV, which is a CHOICE of those who do.
    if *hcr & nv == 0 {
        *hcr &= !(nv1 | nv2);
    }
    match odd {
        None | Some(Odd::Not) => {}
        Some(Odd::Nv) => *hcr &= !(nv | nv1 | nv2),
        Some(Odd::Nv2) => *hcr &= !nv2,
        Some(Odd::NvAndE2h) => *hcr = (*hcr | e2h) & !nv2,
        Some(Odd::AliasAndE2h) => *hcr = (*hcr | e2h | nv) & !nv2,
        Some(Odd::Alias) => *hcr |= nv,
        Some(Odd::E2h) => *hcr &= !e2h,
        Some(Odd::Timer) => *hcr |= e2h | tge,
        Some(Odd::Host) => *hcr &= !tge,
        Some(Odd::Order) => {
            if next(seed) & 1 == 0 {
                *values.get_mut("ICC_SRE_EL1").unwrap() |= 1;
            } else {
                *values.get_mut("ICH_HCR_EL2").unwrap() = 0;
            }
        }
    }
}

/// The name of EL0 for a timer that EL2 has, or has in Secure state, or names `_EL02`.
fn el0_timer(name: &str) -> SysRegId {
    let is_virtual = name.starts_with("CNTHV") || name.starts_with("CNTV");
    match (is_virtual, name) {
        (false, _) if name.contains("_TVAL") => names::CNTP_TVAL_EL0,
        (false, _) if name.contains("_CVAL") => names::CNTP_CVAL_EL0,
        (false, _) => names::CNTP_CTL_EL0,
        (true, _) if name.contains("_TVAL") => names::CNTV_TVAL_EL0,
        (true, _) if name.contains("_CVAL") => names::CNTV_CVAL_EL0,
        (true, _) => names::CNTV_CTL_EL0,
    }
}

/// The register that a trapped access leaves, from the manual's table of the fields.
fn esr(name: &str, access: SystemAccess) -> u64 {
    if name == "FPCR" || name == "FPSR" {
        return 0x1fe0_0000;
    }
    let id = access.id;
    let part = |value: u8, at: u32| u64::from(value) << at;
    0x6200_0000
        | part(id.op0(), 20)
        | part(id.op2(), 17)
        | part(id.op1(), 14)
        | part(id.crn(), 10)
        | part(access.rt, 5)
        | part(id.crm(), 1)
        | u64::from(access.direction == Direction::Read)
}

#[test]
fn decisions_agree_with_every_row_of_the_v85_model() {
    let (fields, features) = (layouts(), features());
    let all = table("sysreg_trap_conditions_v85.tsv");
    let masks = named_bits(&all, &fields);
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let (mut rows, mut cases, mut odd_rows) = (0, 0, 0);
    let (mut silent, mut never, mut wrong) = (Vec::new(), Vec::new(), BTreeMap::new());
    for row in &all {
        let (name, el, conditions) = (row[0].as_str(), if row[6] == "EL0" { 0 } else { 1 }, row[8].as_str());
        let hosts_timer = el == 0 && name.starts_with("CNT") && name.ends_with("2");
        let odd = if hosts_timer { Some(Odd::Timer) } else { oddity(name) };
        odd_rows += usize::from(odd.is_some());
        if odd == Some(Odd::Not) {
            continue;
        }
        rows += 1;
        let id = if hosts_timer { el0_timer(name) } else { encoding(row) };
        let rule = rule_of(id, &features).unwrap_or_else(|| panic!("{name} has no rule"));
        let pstate = PState::from_bits(if el == 0 { 0 } else { 5 });
        let el2_name = matches!(id.op1(), 4..=7);
        let mut decided = BTreeSet::new();
        for direction in [Direction::Read, Direction::Write] {
            // Instructions, and some registers, are listed for both directions and have only one.
            let listed = match direction {
                Direction::Read => row[7].contains('R'),
                Direction::Write => row[7].contains('W'),
            };
            let level = if el2_name { arm_arch::ExceptionLevel::El2 } else { pstate.el() };
            let plain = without_alias(id).and_then(|plain| rule_of(plain, &features)).unwrap_or(rule);
            if !listed || !plain.permits(direction, level) {
                continue;
            }
            for _ in 0..400 {
                let mut values: Values =
                    masks.iter().map(|(name, mask)| (*name, next(&mut seed) & mask)).collect();
                for (name, ones) in NEUTRAL {
                    *values.entry(name).or_default() |= ones;
                }
                restrict(odd, &mut values, &mut seed);
                let (controls, ext) = (controls(&values), extensions(&values));
                // EL1 does not run while TGE is set.
                if controls.hcr.tge() && el == 1 {
                    continue;
                }
                let access_ = SystemAccess { id, rt: 3, direction };
                let got = access(access_, pstate, &controls, &ext, &features);
                let (want, place) = expected(conditions, &values, &fields);
                // TGE sends to EL2 what EL1 would take, which the table does not say of every row.
                let want = if controls.hcr.tge() && want == Some(1) { Some(2) } else { want };
                let (level, syndrome) = match got {
                    Outcome::TrapEl1(syndrome) => (Some(1), Some(syndrome)),
                    Outcome::TrapEl2(syndrome) => (Some(2), Some(syndrome)),
                    Outcome::TrapEl3(syndrome) => (Some(3), Some(syndrome)),
                    Outcome::Register(_) | Outcome::Memory(_) => (None, None),
                    // A name of EL2 without NV.
                    Outcome::Undefined if el2_name => (None, None),
                    Outcome::Undefined => (Some(0), None),
                };
                if level != want {
                    let text = format!("{name} from EL{el}, {direction:?}: {got}, {conditions}\n{values:x?}");
                    wrong.entry(name).or_insert(text);
                    continue;
                }
                if let Some(syndrome) = syndrome {
                    let want = esr(name, access_);
                    // CPACR_EL1.FPEN has EC 0 at the EL2 that TGE makes of EL1. Arm ARM, FPCR, CPACR_EL1.FPEN.
                    let by_fpen =
                        controls.hcr.tge() && !controls.hcr.e2h() && values["CPACR_EL1"] >> 20 & 3 != 3;
                    let want = if want >> 26 == 0x07 && by_fpen { 0x0200_0000 } else { want };
                    assert_eq!(syndrome.encode().into_bits(), want, "{name}");
                }
                decided.insert(place);
                cases += 1;
            }
        }
        if decided.is_empty() {
            never.push(name);
            continue;
        }
        let hidden = (0..conditions.split(" ;; ").count()).filter(|place| !decided.contains(place));
        silent.extend(hidden.map(|place| format!("{name} {place}")));
        if !decided.contains(&usize::MAX) {
            silent.push(format!("{name} none"));
        }
    }
    println!("{} rows of the model, {rows} compared ({odd_rows} odd), {cases} cases", all.len());
    assert!(wrong.is_empty(), "{:?}, such as {}", wrong.keys(), wrong.values().next().unwrap());
    println!("conditions that decided nothing: {silent:?}");
    // Beside the odd rows: the host's gate twice in one row, and what TGE sends to EL2 from an EL1 that does not run.
    let twice = |at: &&String| ["IC IVAU", "DC C", "FPCR", "FPSR"].iter().any(|name| at.starts_with(name));
    let even: Vec<_> = silent.iter().filter(|at| !twice(at)).collect();
    assert!(
        even.iter().all(|at| at.rsplit_once(' ').is_some_and(|(name, _)| oddity(name).is_some())),
        "{even:?}"
    );
    assert_eq!(never, NEVER, "rows whose direction the register does not have");
    assert_eq!((all.len(), rows), (660, 652));
    assert!(cases >= 200_000, "{cases}");
}

/// Rows of the model for a direction that the register does not have.
const NEVER: &[&str] = &[];

/// Rows of the model that are odd under nested virtualization; `docs/differences-traps.md` has the reasons.
const NESTED_ODD: &[&str] = &[
    "AFSR0_EL1",
    "AFSR1_EL1",
    "AMAIR_EL1",
    "CNTKCTL_EL1",
    "CNTP_CTL_EL0",
    "CNTP_CVAL_EL0",
    "CNTP_TVAL_EL0",
    "CNTV_CTL_EL0",
    "CNTV_CVAL_EL0",
    "CNTV_TVAL_EL0",
    "CONTEXTIDR_EL1",
    "CPACR_EL1",
    "ELR_EL1",
    "ELR_EL2",
    "ESR_EL2",
    "FAR_EL2",
    "MAIR_EL1",
    "MPAM1_EL12",
    "MPAM2_EL2",
    "MPAMHCR_EL2",
    "MPAMVPM0_EL2",
    "MPAMVPM1_EL2",
    "MPAMVPM2_EL2",
    "MPAMVPM3_EL2",
    "MPAMVPM4_EL2",
    "MPAMVPM5_EL2",
    "MPAMVPM6_EL2",
    "MPAMVPM7_EL2",
    "MPAMVPMV_EL2",
    "SCXTNUM_EL0",
    "SCXTNUM_EL1",
    "SPSR_EL1",
    "SPSR_EL2",
    "TTBR0_EL1",
    "TTBR1_EL1",
    "VBAR_EL1",
];

#[test]
fn nested_virtualization_traps_what_the_v85_model_traps() {
    const NV: u64 = 1 << 42;
    const NV1: u64 = 1 << 43;
    const NV2: u64 = 1 << 45;
    const E2H: u64 = 1 << 34;
    let fields = layouts();
    let (mut rows, mut odd) = (0, BTreeSet::new());
    for row in table("sysreg_trap_conditions_v85.tsv") {
        let id = encoding(&row);
        let (name, conditions) = (&row[0], &row[8]);
        if row[6] != "EL1" || !conditions.contains("HCR_EL2.NV") {
            continue;
        }
        rows += 1;
        for (nv1, nv2, e2h) in (0..8).map(|n| (n & 1, n >> 1 & 1, n >> 2)) {
            let hcr = NV | (nv1 * NV1) | (nv2 * NV2) | (e2h * E2H);
            // All other traps off: the inverted controls are 1.
            let values: Values =
                [("HCR_EL2", hcr | 1 << 40 | 1 << 41 | 1 << 53), ("CNTHCTL_EL2", 0xc03), ("ICC_SRE_EL2", 8)]
                    .into();
            let want = expected(conditions, &values, &fields).0.is_some();
            let got = nested(id, HcrEl2::from_bits(hcr)) == Nested::Trap;
            if got != want {
                odd.insert(name.clone());
            }
        }
    }
    assert!(rows >= 160, "{rows}");
    assert_eq!(odd.iter().map(String::as_str).collect::<Vec<_>>(), NESTED_ODD);
}

/// Offsets that the v9.4 model does not have, from the registers' access pseudocode in the Arm ARM, `NVMem[...]`; that
/// of HDFGWTR2_EL2 as Linux for arm64 has it.
const LATER_OFFSETS: &[(&str, u16)] = &[
    ("ACTLRMASK_EL1", 0x340),
    ("AMAIR2_EL1", 0x288),
    ("BRBCR_EL1", 0x8e0),
    ("CPACRMASK_EL1", 0x320),
    ("GCSCR_EL1", 0x8d0),
    ("GCSPR_EL1", 0x8c0),
    ("HDFGRTR2_EL2", 0x1a0),
    ("HDFGWTR2_EL2", 0x1b0),
    ("HFGITR2_EL2", 0x310),
    ("HFGRTR2_EL2", 0x2c0),
    ("HFGWTR2_EL2", 0x2c8),
    ("MAIR2_EL1", 0x280),
    ("PFAR_EL1", 0x2d0),
    ("S2PIR_EL2", 0x2b0),
    ("S2POR_EL1", 0x2b8),
    ("SCTLR2MASK_EL1", 0x328),
    ("SCTLR2_EL1", 0x278),
    ("SCTLRMASK_EL1", 0x318),
    ("SMCR_EL1", 0x1f0),
    ("SMPRIMAP_EL2", 0x1f8),
    ("SPMACCESSR_EL1", 0x8e8),
    ("TCR2MASK_EL1", 0x338),
    ("TCRMASK_EL1", 0x330),
    ("TRBSR_EL1", 0x860),
    ("TRCITECR_EL1", 0x888),
    ("VSESR_EL2", 0x508),
];

#[test]
fn offsets_and_aliases_are_those_of_the_register_table() {
    let rows = table("sysregs.tsv");
    let by_name: BTreeMap<_, _> = rows.iter().map(|row| (row[0].clone(), encoding(row))).collect();
    let (mut offsets, mut aliases) = (BTreeMap::new(), 0);
    for row in &rows {
        let listed = row[12].strip_prefix("0x").map(|hex| u16::from_str_radix(hex, 16).unwrap());
        let later = LATER_OFFSETS.iter().find(|(name, _)| *name == row[0]).map(|(_, offset)| *offset);
        let offset = vncr_offset(encoding(row));
        assert_eq!(offset, listed.or(later), "{}", row[0]);
        assert!(listed.is_none() || later.is_none(), "{} is in the table", row[0]);
        assert_eq!(without_alias(encoding(row)), by_name.get(&row[13]).copied(), "{}", row[0]);
        if let Some(offset) = offset {
            assert_eq!(offsets.insert(offset, row[0].clone()), None, "{offset:#x} belongs to two");
        }
        aliases += u32::from(row[13] != "-");
    }
    assert_eq!((offsets.len(), aliases), (93 + LATER_OFFSETS.len(), 52));
}

#[test]
fn with_e2h_each_name_with_an_alias_reaches_its_register_of_el2() {
    let rows = table("sysregs.tsv");
    let by_name: BTreeMap<_, _> = rows.iter().map(|row| (row[0].clone(), encoding(row))).collect();
    let mut redirected = BTreeSet::new();
    for row in rows.iter().filter(|row| row[13] != "-") {
        let plain = row[13].as_str();
        // What is named otherwise at EL2. Arm ARM, "E2H".
        let of_el2 = match plain {
            "CPACR_EL1" => "CPTR_EL2".to_owned(),
            "CPACRMASK_EL1" => "CPTRMASK_EL2".to_owned(),
            "CNTKCTL_EL1" => "CNTHCTL_EL2".to_owned(),
            "MPAM1_EL1" => "MPAM2_EL2".to_owned(),
            "MPAMBW1_EL1" => "MPAMBW2_EL2".to_owned(),
            timer if timer.starts_with("CNT") => {
                timer.replace("CNTP", "CNTHP").replace("CNTV", "CNTHV").replace("_EL0", "_EL2")
            }
            other => other.replace("_EL1", "_EL2"),
        };
        assert_eq!(hosted(by_name[plain]), by_name[&of_el2], "{plain} at EL2 with E2H");
        redirected.insert(by_name[plain]);
    }
    for id in (0..=u16::MAX).map(SysRegId::from_bits).filter(|id| !redirected.contains(id)) {
        assert_eq!(hosted(id), id, "{id} has no alias");
    }
}

/// The names of the trap registers, in the order of [`words`].
const FINE: [&str; 11] = [
    "HFGRTR_EL2",
    "HFGWTR_EL2",
    "HFGITR_EL2",
    "HDFGRTR_EL2",
    "HDFGWTR_EL2",
    "HAFGRTR_EL2",
    "HFGRTR2_EL2",
    "HFGWTR2_EL2",
    "HFGITR2_EL2",
    "HDFGRTR2_EL2",
    "HDFGWTR2_EL2",
];

fn words(fine: &mut FineGrained) -> [&mut u64; 11] {
    [
        &mut fine.hfgrtr,
        &mut fine.hfgwtr,
        &mut fine.hfgitr,
        &mut fine.hdfgrtr,
        &mut fine.hdfgwtr,
        &mut fine.hafgrtr,
        &mut fine.hfgrtr2,
        &mut fine.hfgwtr2,
        &mut fine.hfgitr2,
        &mut fine.hdfgrtr2,
        &mut fine.hdfgwtr2,
    ]
}

/// The trap registers with one bit of one of them turned round.
fn turned(register: &str, bit: u32) -> FineGrained {
    let mut fine = FineGrained::OPEN;
    let at = FINE.iter().position(|name| *name == register).unwrap();
    *words(&mut fine)[at] ^= 1 << bit;
    fine
}

#[test]
fn fine_grained_bits_are_those_of_the_model() {
    let names: BTreeMap<_, _> =
        table("sysregs.tsv").into_iter().map(|row| (row[0].clone(), encoding(&row))).collect();
    let all = || (0..=u16::MAX).map(SysRegId::from_bits);
    let both = [Direction::Read, Direction::Write];
    for direction in both {
        assert!(!all().any(|id| FineGrained::OPEN.traps(id, direction, HcrxEl2::new())), "OPEN is open");
    }
    // With every bit turned round all that have one trap: only these need be asked about single bits.
    let mut every = FineGrained::OPEN;
    for word in words(&mut every) {
        *word = !*word;
    }
    let traps = |id| both.iter().any(|direction| every.traps(id, *direction, HcrxEl2::new()));
    let candidates: Vec<SysRegId> = all().filter(|id| traps(*id)).collect();
    let (mut named, mut families, mut without) = (0, 0, Vec::new());
    for row in table("fgt_fields.tsv") {
        let (register, field) = (&row[0], &row[1]);
        let bit = row[2].rsplit(':').next().unwrap().parse().unwrap();
        let plain = if row[3] == "0 traps" { &field[1..] } else { field };
        let fine = turned(register, bit);
        let trapped = |direction| {
            candidates
                .iter()
                .copied()
                .filter(|id| fine.traps(*id, direction, HcrxEl2::new()))
                .collect::<Vec<_>>()
        };
        let [reads, writes] = both.map(trapped);
        match names.get(plain) {
            Some(id) => {
                let one: &[SysRegId] = &[*id];
                let is_write = register.contains("WTR");
                assert_eq!(
                    (&reads[..], &writes[..]),
                    if is_write { (&[][..], one) } else { (one, &[][..]) },
                    "{field}"
                );
                named += 1;
            }
            None if reads.is_empty() && writes.is_empty() => without.push(format!("{register}.{field}")),
            None => families += 1,
        }
    }
    // Without a row: what is no access (SVC, ERET, PSB, TSB, GCSSTR), TRCOSLAR, and registers and instructions newer
    // than the tables of names.
    assert_eq!((named, families, without.len()), (271, 129, 56), "{without:?}");
}

#[test]
fn every_row_of_the_trap_table_says_who_says_so() {
    let (mut two, mut one, mut by_kind) = (0, 0, BTreeMap::new());
    for row in trap_rows() {
        assert!(!row.sources.is_empty(), "{row:?}");
        let kind = match row.control {
            Control::Gate(_) => "EL1",
            Control::El2(_) => "EL2",
            Control::Nested => "nested",
            Control::Fine(_) => "fine-grained",
            Control::El3(_) => "EL3",
        };
        let sheet = usize::from(row.sources.contains(Sources::SHEET));
        let entry: &mut (usize, usize, usize) = by_kind.entry(kind).or_default();
        *entry = (entry.0 + 1, entry.1 + usize::from(row.has_two_sources()), entry.2 + sheet);
        two += usize::from(row.has_two_sources());
        one += usize::from(!row.has_two_sources());
    }
    let (rules, rows) = table_bytes();
    println!("trap rows: {} with two sources, {one} with one; {rules} + {rows} bytes", two);
    println!("kind: (rows, with two sources, of the description only): {by_kind:?}");
    assert_eq!((two, one), (1010, 2302), "docs/differences-traps.md says so");
}

#[test]
fn every_encoding_at_every_level_gets_an_answer_with_nothing_and_with_everything_set() {
    let ones = u64::MAX;
    let all_fine = FineGrained {
        hfgrtr: ones,
        hfgwtr: ones,
        hfgitr: ones,
        hdfgrtr: ones,
        hdfgwtr: ones,
        hafgrtr: ones,
        hfgrtr2: ones,
        hfgwtr2: ones,
        hfgitr2: ones,
        hdfgrtr2: ones,
        hdfgwtr2: ones,
    };
    let everything = Controls {
        hcr: HcrEl2::from_bits(ones),
        cptr: ones,
        mdcr: MdcrEl2::from_bits(ones),
        cnthctl: ones,
        ich_hcr: IchHcr::from_bits(ones),
        icc_sre_el2: ones,
        sctlr: SctlrEl1::from_bits(ones),
        cpacr: CpacrEl1::from_bits(ones),
        cntkctl: CntkctlEl1::from_bits(ones),
        mdscr: MdscrEl1::from_bits(ones),
    };
    let full = Extensions {
        hcrx: HcrxEl2::from_bits(ones),
        fine: all_fine,
        mpam2: ones,
        mpamhcr: ones,
        mpamidr: ones,
        pmuserenr: ones,
        amuserenr: ones,
        gcscre0: ones,
        spm_access: 3,
        icc_sre_el1: ones,
        sctlr_el2: SctlrEl1::from_bits(ones),
        sctlr2_el1: Sctlr2::from_bits(ones),
        sctlr2_el2: Sctlr2::from_bits(ones),
        pmscr_el1: Pmscr::from_bits(ones),
        pmscr_el2: Pmscr::from_bits(ones),
        trfcr_el1: Trfcr::from_bits(ones),
        trfcr_el2: Trfcr::from_bits(ones),
        counters: 31,
        preemption_bits: 7,
        el3: Some(El3 { scr: ones, mdcr: ones, cptr: ones, mpam3: ones, icc_sre: ones }),
    };
    let empty = Extensions {
        hcrx: HcrxEl2::new(),
        fine: FineGrained::ZERO,
        mpam2: 0,
        pmuserenr: 0,
        amuserenr: 0,
        gcscre0: 0,
        spm_access: 0,
        icc_sre_el1: 0,
        sctlr_el2: SctlrEl1::new(),
        sctlr2_el1: Sctlr2::new(),
        sctlr2_el2: Sctlr2::new(),
        counters: 0,
        el3: Some(El3 { scr: 0, mdcr: 0, cptr: 0, mpam3: 0, icc_sre: 0 }),
        ..Extensions::NEUTRAL
    };
    let nothing = Controls::default();
    let every = features();
    let mut kinds = BTreeMap::<u8, u32>::new();
    for (controls, ext, features) in [
        (&nothing, &empty, &every),
        (&everything, &full, &every),
        (&nothing, &Extensions::NEUTRAL, &Features::NONE),
        (&nothing, &Extensions::NEUTRAL, &every),
    ] {
        for id in (0..=u16::MAX).map(SysRegId::from_bits) {
            for mode in [0, 4, 5, 8, 9, 12, 13] {
                for direction in [Direction::Read, Direction::Write] {
                    let pstate = PState::from_bits(mode);
                    let asked = SystemAccess { id, rt: 31, direction };
                    let outcome = access(asked, pstate, controls, ext, features);
                    // Nobody below the level that executes takes a trap.
                    let level = outcome.level();
                    assert!(level == 0 || level >= pstate.el().number(), "{id} at {pstate:?}: {outcome}");
                    *kinds.entry(level).or_default() += 1;
                }
            }
        }
    }
    println!("{kinds:?}");
    assert_eq!(kinds.values().sum::<u32>(), 4 * 65536 * 7 * 2);
    assert!((0..=3).all(|level| kinds[&level] > 100), "{kinds:?}");
}
