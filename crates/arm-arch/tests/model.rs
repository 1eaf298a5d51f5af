//! CPU models: named ones against `data/cpu_models.tsv` and the manual, and the algebra over many.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test, and the data is the repository's"
)]

use std::collections::BTreeMap;

use arm_arch::feature::cpu::{NamedModel, WriteError};
use arm_arch::feature::models::{ARMV8_0, CORTEX_A57, MAX_MODELLED, MODELS, NEOVERSE_N1, NEOVERSE_V1};
use arm_arch::feature::{
    AARCH32_FIELDS, CpuModel, Duty, FIELDS, Feature, IdRegisters, Kind, Reason, Requirement, Term, Version,
};
use arm_arch::sysreg::names::*;
use arm_arch::sysreg::{DczidEl0, SysRegId};

/// A xorshift generator: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next() % n == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let length = u64::try_from(list.len()).unwrap();
        *list.get(usize::try_from(self.next() % length).unwrap()).unwrap()
    }
}

/// Models near the named ones: some fields changed, some registers random, sanitised.
fn models(count: usize) -> Vec<CpuModel> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut made: Vec<_> = MODELS.iter().map(|named| named.model.sanitised()).collect();
    while made.len() < count {
        let mut ids = *random.pick(MODELS).model.ids();
        let often = random.pick(&[2, 8, 64]);
        for field in FIELDS.iter().chain(AARCH32_FIELDS) {
            if random.one_in(often) {
                ids.put(field, random.next());
            }
        }
        if random.one_in(2) {
            assert!(ids.set(CTR_EL0, random.next()) && ids.set(DCZID_EL0, random.next() & 0x1f));
        }
        if random.one_in(2) {
            assert!(ids.set(MIDR_EL1, 0x410f_d000 | random.next() & 0x30));
        }
        made.push(CpuModel::new(ids).sanitised());
    }
    made
}

#[test]
fn meet_is_associative_commutative_idempotent_and_below_both() {
    let all = models(400);
    let mut random = Random(1);
    for _ in 0..20_000 {
        let [a, b, c] = [0; 3].map(|_| random.pick(&all));
        let both = a.meet(&b);
        assert_eq!(both, b.meet(&a), "commutative");
        assert_eq!(a.meet(&a), a, "idempotent");
        assert_eq!(both.meet(&c), a.meet(&b.meet(&c)), "associative");
        for host in [&a, &b] {
            assert_eq!(both.fits(host), Ok(()), "below");
            assert_eq!(both.meet(host), both, "below, as the meet sees it");
        }
        assert_eq!(both.sanitised(), both, "closed");
        assert_eq!(both.unmet().find(|r| r.any_of.iter().all(|t| matches!(t, Term::Has(_)))), None);
    }
}

#[test]
fn what_fits_two_hosts_fits_their_meet_but_for_parts() {
    let all = models(60);
    let mut fitting = 0;
    for guest in &all {
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            if guest.fits(a).is_ok() && guest.fits(b).is_ok() {
                fitting += 1;
                assert_eq!(guest.fits(&a.meet(b)), Ok(()), "the meet is the greatest");
            }
        }
    }
    assert!(fitting > 60, "{fitting}: more than each with itself");
}

#[test]
fn sanitising_lowers_and_never_raises() {
    for (number, model) in models(300).iter().enumerate() {
        let mut ids = *model.ids();
        for (at, field) in FIELDS.iter().chain(AARCH32_FIELDS).enumerate() {
            if (number + at) % 7 == 0 {
                ids.put(field, 0xf);
            }
        }
        let raw = CpuModel::new(ids);
        let clean = raw.sanitised();
        assert_eq!(clean.fits(&raw), Ok(()), "{number}");
        assert_eq!(clean.sanitised(), clean, "{number}");
    }
}

/// Named registers of the data, by model.
fn data() -> BTreeMap<String, Vec<(String, u64)>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/cpu_models.tsv");
    let mut models: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let [model, register, value, _source] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let value = u64::from_str_radix(value.trim_start_matches("0x"), 16).unwrap();
        models.entry(model.into()).or_default().push((register.into(), value));
    }
    models
}

#[test]
fn named_models_hold_what_the_data_says() {
    const REGISTERS: &[(&str, SysRegId)] = &[
        ("MIDR_EL1", MIDR_EL1),
        ("ID_PFR0_EL1", ID_PFR0_EL1),
        ("ID_PFR1_EL1", ID_PFR1_EL1),
        ("ID_PFR2_EL1", ID_PFR2_EL1),
        ("ID_DFR0_EL1", ID_DFR0_EL1),
        ("ID_MMFR0_EL1", ID_MMFR0_EL1),
        ("ID_MMFR1_EL1", ID_MMFR1_EL1),
        ("ID_MMFR2_EL1", ID_MMFR2_EL1),
        ("ID_MMFR3_EL1", ID_MMFR3_EL1),
        ("ID_MMFR4_EL1", ID_MMFR4_EL1),
        ("ID_ISAR0_EL1", ID_ISAR0_EL1),
        ("ID_ISAR1_EL1", ID_ISAR1_EL1),
        ("ID_ISAR2_EL1", ID_ISAR2_EL1),
        ("ID_ISAR3_EL1", ID_ISAR3_EL1),
        ("ID_ISAR4_EL1", ID_ISAR4_EL1),
        ("ID_ISAR5_EL1", ID_ISAR5_EL1),
        ("ID_ISAR6_EL1", ID_ISAR6_EL1),
        ("MVFR0_EL1", MVFR0_EL1),
        ("MVFR1_EL1", MVFR1_EL1),
        ("MVFR2_EL1", MVFR2_EL1),
        ("ID_AA64PFR0_EL1", ID_AA64PFR0_EL1),
        ("ID_AA64PFR1_EL1", ID_AA64PFR1_EL1),
        ("ID_AA64ZFR0_EL1", ID_AA64ZFR0_EL1),
        ("ID_AA64DFR0_EL1", ID_AA64DFR0_EL1),
        ("ID_AA64ISAR0_EL1", ID_AA64ISAR0_EL1),
        ("ID_AA64ISAR1_EL1", ID_AA64ISAR1_EL1),
        ("ID_AA64MMFR0_EL1", ID_AA64MMFR0_EL1),
        ("ID_AA64MMFR1_EL1", ID_AA64MMFR1_EL1),
        ("ID_AA64MMFR2_EL1", ID_AA64MMFR2_EL1),
        ("REVIDR_EL1", REVIDR_EL1),
        ("AIDR_EL1", AIDR_EL1),
        ("CTR_EL0", CTR_EL0),
        ("DCZID_EL0", DCZID_EL0),
        ("CLIDR_EL1", CLIDR_EL1),
    ];
    let data = data();
    assert_eq!(data.len() + 1, MODELS.len(), "max-modelled is not in the data");
    for (model, values) in &data {
        let ids = NamedModel::find(model).unwrap().model;
        let caches = |select| ids.ids().ccsidr(select);
        for (register, value) in values {
            let found = match register.as_str() {
                "CCSIDR.L1D" => caches(0),
                "CCSIDR.L1I" => caches(1),
                "CCSIDR.L2" => caches(2),
                name => {
                    let (_, id) = REGISTERS
                        .iter()
                        .find(|(known, _)| *known == name)
                        .unwrap_or_else(|| panic!("{name}"));
                    ids.ids().get(*id).unwrap()
                }
            };
            assert_eq!(found, *value, "{model}: {register}");
        }
    }
    assert!(NamedModel::find("cortex-a999").is_none());
}

#[test]
fn named_models_are_of_the_version_their_makers_say_or_lack_this() {
    use Feature::*;
    // Neoverse V1 is sold as Armv8.4; its registers, as published, do not announce three features of it.
    const CASES: &[(&NamedModel, Version, Version, &[Feature])] = &[
        (&ARMV8_0, Version::V8_0, Version::V8_1, &[CRC32, HPDS, LOR, LSE, PAN, RDM]),
        (&CORTEX_A57, Version::V8_0, Version::V8_1, &[HPDS, LOR, LSE, PAN, PMUv3p1, RDM, VHE]),
        (&NEOVERSE_N1, Version::V8_2, Version::V8_3, &[FCMA, JSCVT, PAuth]),
        (&NEOVERSE_V1, Version::V8_3, Version::V8_4, &[TLBIOS, TLBIRANGE, TTL]),
    ];
    for (named, version, next, missing) in CASES {
        assert_eq!(named.model.version(), Some(*version), "{}", named.name);
        let found: Vec<_> = named.model.missing_for(*next).collect();
        assert_eq!(found, *missing, "{} for {next}", named.name);
    }
}

#[test]
fn a_feature_goes_where_one_it_needs_is_not() {
    // Register, value set in the model, feature that has to go, register and value that remain.
    type Case = (&'static str, &'static NamedModel, &'static [(SysRegId, u64)], Feature, (SysRegId, u64));
    const CASES: &[Case] = &[
        // SVE needs FCMA, which N1 has not; F64MM needs SVE.
        (
            "SVE",
            &NEOVERSE_N1,
            &[(ID_AA64PFR0_EL1, 0x1100_0001_1111_1112)],
            Feature::SVE,
            (ID_AA64PFR0_EL1, 0x1100_0000_1111_1112),
        ),
        ("F64MM", &NEOVERSE_N1, &[(ID_AA64ZFR0_EL1, 1 << 56)], Feature::F64MM, (ID_AA64ZFR0_EL1, 0)),
        // PMULL is there with AES or not at all.
        (
            "FP without AdvSIMD",
            &ARMV8_0,
            &[(ID_AA64PFR0_EL1, 0x00f0_0011)],
            Feature::FP,
            (ID_AA64PFR0_EL1, 0x00ff_0011),
        ),
        // A chain: D128 needs LSE128, S1PIE, AIE, TCR2 and the 128-bit instructions.
        ("D128", &NEOVERSE_V1, &[(ID_AA64MMFR3_EL1, 1 << 32)], Feature::D128, (ID_AA64MMFR3_EL1, 0)),
        // Without stage 1 no stage 2: TGran16_2 says not implemented.
        (
            "16 KiB at stage 2",
            &CORTEX_A57,
            &[(ID_AA64MMFR0_EL1, 0x2_0000_1124)],
            Feature::S2TGran16K,
            (ID_AA64MMFR0_EL1, 0x1_0000_1124),
        ),
        ("reserved bits", &ARMV8_0, &[(ID_AA64ISAR0_EL1, 0xf)], Feature::AES, (ID_AA64ISAR0_EL1, 0)),
    ];
    for (name, base, values, feature, (register, want)) in CASES {
        let mut ids: IdRegisters = *base.model.ids();
        for (register, value) in *values {
            assert!(ids.set(*register, *value), "{name}");
        }
        let clean = CpuModel::new(ids).sanitised();
        assert!(!clean.features().has(*feature), "{name}");
        assert_eq!(clean.ids().get(*register), Some(*want), "{name}");
    }
    for named in MODELS {
        assert_eq!(named.model.sanitised(), named.model, "{}: changes nothing", named.name);
        let unmet: Vec<_> = named.model.unmet().map(|r| r.to_string()).collect();
        assert_eq!(unmet, [""; 0], "{}", named.name);
    }
}

#[test]
fn two_hosts_have_this_in_common() {
    let both = NEOVERSE_N1.model.meet(&NEOVERSE_V1.model);
    let ids = both.ids();
    // N1 has no DIT, AMU, MPAM or SVE, and RAS 1; V1 has CSV2 1, CSV3 1 as N1.
    assert_eq!(ids.pfr0().into_bits(), 0x1100_0000_1111_1112);
    assert_eq!(ids.isar0().into_bits(), 0x0000_1000_1021_1120, "what N1 has");
    assert_eq!(ids.isar1().into_bits(), 0x0010_0001);
    assert_eq!(ids.dfr0().into_bits(), 0xf0_1030_5408, "V1 lacks the double lock");
    assert_eq!(ids.ctr.into_bits(), 0x8444_c004, "N1 lacks IDC and DIC");
    assert_eq!(ids.midr.into_bits(), 0x000f_0000, "no part");
    assert_eq!((ids.clidr, ids.ccsidr(0)), (0, 0), "caches differ");
    assert_eq!(both.version(), Some(Version::V8_2));
    let old = both.meet(&CORTEX_A57.model);
    assert_eq!(old.version(), Some(Version::V8_0));
    assert_eq!(old.ids().mmfr0().into_bits(), 0x1124, "40 bits, and 16 KiB only on N1");
    // One prohibits DC ZVA in another size.
    let mut other = *NEOVERSE_N1.model.ids();
    other.dczid = DczidEl0::new().with_bs(5);
    let zva = NEOVERSE_N1.model.meet(&CpuModel::new(other));
    assert_eq!(zva.ids().dczid.into_bits(), 0x10);
    let error = CpuModel::new(other).fits(&NEOVERSE_N1.model).unwrap_err();
    assert_eq!(error.to_string(), "DCZID_EL0: field BS asks for 0x5, 0x4 is there");
}

#[test]
fn what_does_not_fit_is_named() {
    let (n1, v1) = (&NEOVERSE_N1.model, &NEOVERSE_V1.model);
    let names: Vec<_> = v1
        .misfits(n1)
        .map(|error| match error.reason {
            Reason::Field { field, .. } => field.name,
            Reason::Reserved { .. } | Reason::NotWritable => "?",
        })
        .collect();
    #[rustfmt::skip]
    assert_eq!(names, [
        // PFR0, ZFR0, DFR0
        "RAS", "SVE", "MPAM", "AMU", "DIT", "BF16", "I8MM", "DebugVer", "TraceVer", "PMUVer", "PMSVer", "TraceFilt",
        // ISAR0, ISAR1
        "SHA2", "SHA3", "SM3", "SM4", "FHM", "TS", "RNDR",
        "DPB", "APA", "JSCVT", "FCMA", "LRCPC", "GPA", "BF16", "DGH", "I8MM",
        // MMFR2, CTR
        "CCIDX", "NV", "AT", "IDS", "FWB", "BBM", "EVT", "IDC", "DIC",
    ]);
    assert_eq!(ARMV8_0.model.misfits(n1).count(), 0);
    assert_eq!(ARMV8_0.model.fits(v1), Ok(()));
    assert!(CORTEX_A57.model.fits(&ARMV8_0.model).is_err());
}

#[test]
fn differences_and_explanations_read_well() {
    let mut more = *CORTEX_A57.model.ids();
    assert!(more.set(ID_AA64ISAR0_EL1, 0x0021_1120));
    let diff: Vec<_> = CORTEX_A57.model.diff(&CpuModel::new(more)).map(|d| d.to_string()).collect();
    assert_eq!(diff, ["ID_AA64ISAR0_EL1.Atomic: 0x0 and 0x2: FEAT_LSE"]);
    assert!(more.set(ID_AA64MMFR1_EL1, 3 << 20));
    let last = CORTEX_A57.model.diff(&CpuModel::new(more)).last().map(|d| d.to_string());
    assert_eq!(last.as_deref(), Some("ID_AA64MMFR1_EL1.PAN: 0x0 and 0x3: FEAT_PAN, FEAT_PAN2, FEAT_PAN3"));
    assert_eq!(CORTEX_A57.model.diff(&CORTEX_A57.model).count(), 0);
    assert_eq!(ARMV8_0.model.explain().to_string(), "Armv8.0-A, 9 features, part 0x000f0000");
    let long = format!("{:#}", ARMV8_0.model.explain());
    assert_eq!(
        long,
        "Armv8.0-A, 9 features, part 0x000f0000\n  AA64 AA64EL0 AA64EL1 AdvSIMD EL0 EL1 FP TGran4K TGran64K"
    );
    assert!(more.set(ID_AA64PFR0_EL1, 0x0000_0001_0100_2222));
    let amiss = format!("{:#}", CpuModel::new(more).explain());
    assert!(amiss.contains("\n  amiss: FEAT_SVE needs FEAT_FCMA"), "{amiss}");
}

#[test]
fn a_users_write_may_not_leave_a_feature_without_one_it_needs() {
    let (limit, now) = (NEOVERSE_V1.model, NEOVERSE_V1.model);
    let pfr0 = now.ids().pfr0().into_bits();
    let isar1 = now.ids().isar1().into_bits();
    // Without SVE, then without FCMA: fine. Without FCMA alone: SVE lacks it.
    let no_sve = limit.check_write(&now, ID_AA64PFR0_EL1, pfr0 & !(0xf << 32)).unwrap();
    assert!(!no_sve.features().has(Feature::SVE));
    assert!(limit.check_write(&no_sve, ID_AA64ISAR1_EL1, isar1 & !(0xf << 16)).is_ok());
    let error = limit.check_write(&now, ID_AA64ISAR1_EL1, isar1 & !(0xf << 16)).unwrap_err();
    assert_eq!(error.to_string(), "ID_AA64ISAR1_EL1: FEAT_SVE needs FEAT_FCMA");
    let more = limit.check_write(&now, ID_AA64PFR0_EL1, pfr0 | 1 << 52).unwrap_err();
    assert_eq!(more.to_string(), "ID_AA64PFR0_EL1: field RME asks for 0x1, 0x0 is there");
    let part = limit.check_write(&now, CLIDR_EL1, 0).unwrap_err();
    assert_eq!(part.to_string(), "S3_1_C0_C0_1: not writable");
    assert!(matches!(part, WriteError::Limit(_)));
}

#[test]
fn rows_of_the_manual() {
    use Feature::*;
    assert_eq!(LSE.mandatory_since(), Some(Version::V8_1));
    assert_eq!(TTL.mandatory_since(), Some(Version::V8_4));
    assert_eq!(SVE.mandatory_since(), None);
    assert_eq!(VHE.mandatory_since(), None, "only with EL2");
    let needs: Vec<_> = PMULL.requirements().map(|r| r.to_string()).collect();
    assert_eq!(needs, ["FEAT_PMULL needs Armv8.0-A", "FEAT_PMULL needs FEAT_AES"]);
    assert!(SSBS2.requirements().any(|r| r.any_of == [Term::Has(SSBS)]));
    assert!(SRMASK.requirements().any(|r| r.any_of == [Term::Lacks(E2H0)]));
    assert!(Requirement::all().is_sorted_by_key(|r| format!("FEAT_{:?}", r.feature)));
    assert!(Duty::all().is_sorted_by_key(|d| format!("FEAT_{:?}", d.feature)));
    assert_eq!(Feature::ALL.len(), Feature::COUNT);
    assert_eq!(MAX_MODELLED.model.unmet().count(), 0);
    let kind = |name: &str| FIELDS.iter().find(|f| f.name == name).map(|f| f.kind);
    assert_eq!(kind("PMUVer"), Some(Kind::Signed), "0xf is an own form, less than none");
    assert_eq!(kind("TGran4_2"), Some(Kind::StageTwo));
}
