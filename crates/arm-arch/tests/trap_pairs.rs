//! `arm_arch::trap::access_128`: MRRS, MSRR and SYSP. What is wanted is from the access pseudocode of the registers and of
//! TLBIP in the Arm ARM; which instructions have the form is from their names: those with an address.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use Direction::{Read, Write};
use arm_arch::feature::{Feature, Features};
use arm_arch::iss::{Direction, SystemAccess, SystemAccess128};
use arm_arch::sysreg::names::*;
use arm_arch::sysreg::{CpacrEl1, HcrEl2, HcrxEl2, MdcrEl2, Sctlr2, instructions as ins};
use arm_arch::trap::{
    Control, Controls, El3, Extensions, FineGrained, Outcome, Sources, Trap, TrapEl3, access, access_128,
    trap_rows_128,
};
use arm_arch::{PState, SysRegId};
use std::collections::{BTreeMap, BTreeSet};

const EL0: u64 = 0;
const EL1: u64 = 5;
const EL2: u64 = 9;
const EL3: u64 = 13;

/// Who is asked, with the value of ESR; what is reached.
#[derive(PartialEq, Eq, Debug)]
enum To {
    El1(u64),
    El2(u64),
    El3(u64),
    Undefined,
    Own,
    Other(SysRegId),
    Memory(u16),
}

/// Everything open, and every feature there.
struct Machine {
    controls: Controls,
    ext: Extensions,
    features: Features,
}

impl Machine {
    fn new() -> Self {
        let hcr = HcrEl2::new().with_rw(true).with_apk(true).with_api(true).with_ata(true);
        let controls = Controls {
            hcr: hcr.with_enscxt(true).with_fien(true),
            mdcr: MdcrEl2::from_bits(0x0004_0800_0300_b01f),
            sctlr: Extensions::NEUTRAL.sctlr_el2,
            cpacr: CpacrEl1::from_bits(0x2333_0000),
            ..Controls::default()
        };
        let features = Feature::ALL.into_iter().fold(Features::NONE, Features::with);
        let ext = Extensions { el3: Some(El3::OPEN), ..Extensions::NEUTRAL };
        Self { controls, ext, features }
    }

    fn el3(&mut self) -> &mut El3 {
        self.ext.el3.as_mut().unwrap()
    }

    /// Asks about an access whose first register is X6.
    fn ask(&self, id: SysRegId, direction: Direction, mode: u64) -> To {
        let asked = SystemAccess128::of(id, 6, direction);
        match access_128(asked, PState::from_bits(mode), &self.controls, &self.ext, &self.features) {
            Outcome::Register(reached) if reached == id => To::Own,
            Outcome::Register(reached) => To::Other(reached),
            Outcome::Memory(offset) => To::Memory(offset),
            Outcome::Undefined => To::Undefined,
            Outcome::TrapEl1(syndrome) => To::El1(syndrome.encode().into_bits()),
            Outcome::TrapEl2(syndrome) => To::El2(syndrome.encode().into_bits()),
            Outcome::TrapEl3(syndrome) => To::El3(syndrome.encode().into_bits()),
        }
    }
}

type Change = fn(&mut Machine);

/// EC 0x14, IL, and the ISS for X6 and X7.
const MRRS_TTBR0: u64 = 0x5230_08c1;
const MSRR_TTBR0: u64 = 0x5230_08c0;
const MRRS_PAR: u64 = 0x5230_1cc9;
const MSRR_RCWMASK: u64 = 0x523c_34c0;
const MRRS_VTTBR: u64 = 0x5231_08c3;
const TLBIP_VAE1: u64 = 0x5212_20ce;
const TLBIP_VAE1IS: u64 = 0x5212_20c6;
const TLBIP_VAE1NXS: u64 = 0x5212_24ce;
const TLBIP_IPAS2E1: u64 = 0x5213_20c8;

#[test]
fn of_several_controls_the_lowest_level_that_is_asked_traps() {
    type Steps = &'static [(&'static str, Change, To)];
    // Each adds a control to those before it, from the last asked to the first.
    const CASES: &[(&str, SysRegId, Direction, u64, Steps)] = &[
        (
            "MRRS of TTBR0_EL1",
            TTBR0_EL1,
            Read,
            EL1,
            &[
                ("open", |_| {}, To::Own),
                ("SCR.D128En", |m| m.el3().scr &= !(1 << 47), To::El3(MRRS_TTBR0)),
                ("HCRX.D128En", |m| m.ext.hcrx.set_d128en(false), To::El2(MRRS_TTBR0)),
                ("HFGRTR.TTBR0_EL1", |m| m.ext.fine.hfgrtr |= 1 << 36, To::El2(MRRS_TTBR0)),
                ("HCR.TRVM", |m| m.controls.hcr.set_trvm(true), To::El2(MRRS_TTBR0)),
                ("no FEAT_D128", |m| m.features = Features::NONE, To::Undefined),
            ],
        ),
        (
            "MSRR to TTBR0_EL1",
            TTBR0_EL1,
            Write,
            EL1,
            &[
                ("HCR.TRVM is for reads", |m| m.controls.hcr.set_trvm(true), To::Own),
                ("HCR.TVM", |m| m.controls.hcr.set_tvm(true), To::El2(MSRR_TTBR0)),
            ],
        ),
        (
            "HCRX_EL2 does not count without SCR.HXEn",
            TTBR0_EL1,
            Write,
            EL1,
            &[("SCR.HXEn", |m| m.el3().scr &= !(1 << 38), To::El2(MSRR_TTBR0))],
        ),
        (
            "MRRS of PAR_EL1",
            PAR_EL1,
            Read,
            EL1,
            &[
                ("TRVM is not about it", |m| m.controls.hcr.set_trvm(true), To::Own),
                ("HFGRTR.PAR_EL1", |m| m.ext.fine.hfgrtr |= 1 << 27, To::El2(MRRS_PAR)),
            ],
        ),
        (
            "MSRR to RCWMASK_EL1",
            RCWMASK_EL1,
            Write,
            EL1,
            &[
                ("SCR.RCWMASKEn", |m| m.el3().scr &= !(1 << 42), To::El3(MSRR_RCWMASK)),
                ("HCRX.D128En", |m| m.ext.hcrx.set_d128en(false), To::El2(MSRR_RCWMASK)),
            ],
        ),
        (
            "at EL2 only EL3 is asked",
            TTBR0_EL1,
            Read,
            EL2,
            &[
                ("HCRX.D128En", |m| m.ext.hcrx.set_d128en(false), To::Own),
                ("SCR.D128En", |m| m.el3().scr &= !(1 << 47), To::El3(MRRS_TTBR0)),
            ],
        ),
        ("at EL3 nobody is", TTBR0_EL1, Read, EL3, &[("SCR.D128En", |m| m.el3().scr &= !(1 << 47), To::Own)]),
        (
            "TLBIP VAE1IS",
            ins::TLBI_VAE1IS,
            Write,
            EL1,
            &[
                ("D128En is about registers", |m| m.ext.hcrx.set_d128en(false), To::Own),
                ("that of EL3 too", |m| m.el3().scr &= !(1 << 47), To::Own),
                ("HCR.TTLBIS", |m| m.controls.hcr.set_ttlbis(true), To::El2(TLBIP_VAE1IS)),
                ("HCR.TTLB", |m| m.controls.hcr.set_ttlb(true), To::El2(TLBIP_VAE1IS)),
            ],
        ),
        (
            "TLBIP VAE1",
            ins::TLBI_VAE1,
            Write,
            EL1,
            &[
                ("HCR.TTLBIS is not about it", |m| m.controls.hcr.set_ttlbis(true), To::Own),
                ("HFGITR.TLBIVAE1", |m| m.ext.fine.hfgitr |= 1 << 43, To::El2(TLBIP_VAE1)),
            ],
        ),
        (
            "TLBIP VAE1NXS",
            SysRegId::new(1, 0, 9, 7, 1),
            Write,
            EL1,
            &[
                ("HFGITR.TLBIVAE1", |m| m.ext.fine.hfgitr |= 1 << 43, To::El2(TLBIP_VAE1NXS)),
                ("HCRX.FGTnXS", |m| m.ext.hcrx.set_fgtnxs(true), To::Own),
            ],
        ),
    ];
    for (name, id, direction, mode, steps) in CASES {
        let mut machine = Machine::new();
        for (step, change, want) in *steps {
            change(&mut machine);
            assert_eq!(machine.ask(*id, *direction, *mode), *want, "{name}: {step}");
        }
    }
}

#[test]
fn levels_nesting_and_e2h_are_those_of_the_64_bit_forms() {
    const NV: u64 = 1 << 42;
    const NV1: u64 = 1 << 43;
    const NV2: u64 = 1 << 45;
    const E2H: u64 = 1 << 34;
    const CASES: &[(&str, SysRegId, Direction, u64, u64, To)] = &[
        ("TTBR0_EL1 at EL0", TTBR0_EL1, Read, EL0, 0, To::Undefined),
        ("TLBIP VAE1 at EL0", ins::TLBI_VAE1, Write, EL0, 0, To::Undefined),
        ("SYSP gives no result", ins::TLBI_VAE1, Read, EL1, 0, To::Undefined),
        ("TTBR0_EL2 at EL1", TTBR0_EL2, Read, EL1, 0, To::Undefined),
        ("VTTBR_EL2, 001", VTTBR_EL2, Read, EL1, NV, To::El2(MRRS_VTTBR)),
        ("VTTBR_EL2, 101", VTTBR_EL2, Read, EL1, NV | NV2, To::Memory(0x20)),
        ("TTBR0_EL1, 101", TTBR0_EL1, Write, EL1, NV | NV2, To::Own),
        ("TTBR0_EL1, 111", TTBR0_EL1, Write, EL1, NV | NV1 | NV2, To::Memory(0x200)),
        ("TTBR1_EL12, 101", TTBR1_EL12, Write, EL1, NV | NV2, To::Memory(0x210)),
        ("TLBIP IPAS2E1 at EL1", ins::TLBI_IPAS2E1, Write, EL1, 0, To::Undefined),
        ("TLBIP IPAS2E1, 001", ins::TLBI_IPAS2E1, Write, EL1, NV, To::El2(TLBIP_IPAS2E1)),
        ("TLBIP IPAS2E1 at EL2", ins::TLBI_IPAS2E1, Write, EL2, 0, To::Own),
        ("TTBR0_EL1 of a host", TTBR0_EL1, Read, EL2, E2H, To::Other(TTBR0_EL2)),
        ("TTBR0_EL1 at EL2", TTBR0_EL1, Read, EL2, 0, To::Own),
        ("TTBR0_EL12 of a host", TTBR0_EL12, Read, EL2, E2H, To::Other(TTBR0_EL1)),
        ("TTBR0_EL12 at EL2", TTBR0_EL12, Read, EL2, 0, To::Undefined),
        ("TTBR0_EL12 at EL3 of a host", TTBR0_EL12, Read, EL3, E2H, To::Other(TTBR0_EL1)),
        ("SCTLR_EL1 has 64 bits", SCTLR_EL1, Read, EL1, 0, To::Undefined),
        ("TLBI VMALLE1 has no address", ins::TLBI_VMALLE1, Write, EL1, 0, To::Undefined),
        ("the ID space has 64 bits", SysRegId::new(3, 0, 0, 7, 7), Read, EL1, 0, To::Undefined),
    ];
    for (name, id, direction, mode, hcr, want) in CASES {
        let mut machine = Machine::new();
        machine.controls.hcr = HcrEl2::from_bits(machine.controls.hcr.into_bits() | hcr);
        assert_eq!(machine.ask(*id, *direction, *mode), *want, "{name}");
    }
}

#[test]
fn implementation_defined_registers_are_closed_by_each_level() {
    const REGISTER: SysRegId = SysRegId::new(3, 0, 15, 0, 0);
    const INSTRUCTION: SysRegId = SysRegId::new(1, 0, 11, 0, 0);
    const MRRS: u64 = 0x5230_3cc1;
    const SYSP: u64 = 0x5210_2cc0;
    // Level; each adds a control.
    type Steps = &'static [(&'static str, Change, To)];
    const CASES: &[(&str, SysRegId, Direction, u64, Steps)] = &[
        (
            "at EL0",
            REGISTER,
            Read,
            EL0,
            &[
                ("there is none", |_| {}, To::Undefined),
                ("SCR.EnIDCP128", |m| m.el3().scr &= !(1 << 55), To::El3(MRRS)),
                ("HCR.TIDCP is about EL1", |m| m.controls.hcr.set_tidcp(true), To::El3(MRRS)),
                ("HCRX.EnIDCP128", |m| m.ext.hcrx.set_enidcp128(false), To::El2(MRRS)),
                ("SCTLR2.EnIDCP128", |m| m.ext.sctlr2_el1 = Sctlr2::new(), To::El1(MRRS)),
                ("TGE", |m| m.controls.hcr.set_tge(true), To::El2(MRRS)),
            ],
        ),
        (
            "SCTLR_EL1.TIDCP",
            REGISTER,
            Read,
            EL0,
            &[("TIDCP", |m| m.controls.sctlr.set_tidcp(true), To::El1(MRRS))],
        ),
        (
            "SCTLR2_EL1 counts only where EL2 lets it",
            REGISTER,
            Read,
            EL0,
            &[("HCRX.SCTLR2En", |m| m.ext.hcrx.set_sctlr2en(false), To::El1(MRRS))],
        ),
        (
            "a host's EL0",
            REGISTER,
            Read,
            EL0,
            &[
                (
                    "HCRX.EnIDCP128 does not count",
                    |m| {
                        m.controls.hcr = m.controls.hcr.with_e2h(true).with_tge(true);
                        m.ext.hcrx = HcrxEl2::new();
                        m.ext.sctlr2_el1 = Sctlr2::new();
                    },
                    To::Undefined,
                ),
                ("SCTLR2_EL2.EnIDCP128", |m| m.ext.sctlr2_el2 = Sctlr2::new(), To::El2(MRRS)),
            ],
        ),
        (
            "at EL1",
            INSTRUCTION,
            Write,
            EL1,
            &[
                ("SCTLR2 is about EL0", |m| m.ext.sctlr2_el1 = Sctlr2::new(), To::Undefined),
                ("SCR.EnIDCP128", |m| m.el3().scr &= !(1 << 55), To::El3(SYSP)),
                ("HCRX.EnIDCP128", |m| m.ext.hcrx.set_enidcp128(false), To::El2(SYSP)),
                ("HCR.TIDCP", |m| m.controls.hcr.set_tidcp(true), To::El2(SYSP)),
                ("neither feature", |m| m.features = Features::NONE, To::Undefined),
            ],
        ),
        (
            "at EL2",
            REGISTER,
            Read,
            EL2,
            &[
                ("HCRX is not about it", |m| m.ext.hcrx.set_enidcp128(false), To::Undefined),
                ("SCR.EnIDCP128", |m| m.el3().scr &= !(1 << 55), To::El3(MRRS)),
            ],
        ),
        ("at EL3", REGISTER, Read, EL3, &[("SCR", |m| m.el3().scr &= !(1 << 55), To::Undefined)]),
    ];
    for (name, id, direction, mode, steps) in CASES {
        let mut machine = Machine::new();
        for (step, change, want) in *steps {
            change(&mut machine);
            assert_eq!(machine.ask(*id, *direction, *mode), *want, "{name}: {step}");
        }
    }
}

/// The encodings that have the form, by name.
fn forms() -> BTreeMap<SysRegId, String> {
    let read = |name: &str| {
        let path = format!("{}/../../data/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let id = |row: &[&str], at: usize| {
        let part = |at: usize| row[at].parse::<u8>().unwrap();
        SysRegId::new(part(at), part(at + 1), part(at + 2), part(at + 3), part(at + 4))
    };
    let mut all = BTreeMap::new();
    for line in read("sys_insns.tsv").lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let plain = row[1].trim_start_matches('R');
        // By virtual or by intermediate physical address; VMALL has none.
        let has_address = plain.starts_with("VA") || plain.starts_with("IPAS2");
        if row[0] == "TLBI" && has_address {
            all.insert(id(&row, 2), row[1].to_owned());
        }
    }
    const REGISTERS: [&str; 8] = [
        "TTBR0_EL1",
        "TTBR1_EL1",
        "PAR_EL1",
        "RCWMASK_EL1",
        "RCWSMASK_EL1",
        "TTBR0_EL2",
        "TTBR1_EL2",
        "VTTBR_EL2",
    ];
    for line in read("sysregs.tsv").lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        if REGISTERS.contains(&row[0]) {
            all.insert(id(&row, 1), row[0].to_owned());
        }
    }
    all
}

#[test]
fn every_encoding_has_the_form_or_is_undefined() {
    let forms = forms();
    assert_eq!(forms.len(), 8 + 120);
    let open = Machine::new();
    let mut shut = Machine::new();
    shut.ext.fine = FineGrained::ZERO;
    shut.ext.hcrx = HcrxEl2::new();
    shut.ext.el3 = Some(El3 { scr: 0, mdcr: 0, cptr: 0, mpam3: 0, icc_sre: 0 });
    shut.controls.hcr = HcrEl2::new().with_ttlb(true).with_tvm(true).with_trvm(true).with_tidcp(true);
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for id in (0..=u16::MAX).map(SysRegId::from_bits) {
        for (machine, direction) in [(&open, Read), (&open, Write), (&shut, Read), (&shut, Write)] {
            for mode in [EL0, EL1, EL2, EL3] {
                let asked = SystemAccess128::of(id, 0, direction);
                let pstate = PState::from_bits(mode);
                let outcome = access_128(asked, pstate, &machine.controls, &machine.ext, &machine.features);
                let class = match outcome {
                    Outcome::TrapEl1(s) | Outcome::TrapEl2(s) | Outcome::TrapEl3(s) => {
                        // The ISS names the access, whatever it was.
                        let iss = s.encode().iss();
                        assert_eq!((s.encode().ec().into_bits(), iss), (0x14, asked.into_bits()), "{id}");
                        format!("trapped to EL{}", outcome.level())
                    }
                    Outcome::Register(_) | Outcome::Memory(_) => "allowed".into(),
                    Outcome::Undefined => "undefined".into(),
                };
                let implementation_defined = matches!(id.crn(), 11 | 15) && matches!(id.op0(), 1 | 3);
                if !forms.contains_key(&id) && !implementation_defined {
                    assert_eq!(class, "undefined", "{id} {direction:?} at {mode}");
                }
                if forms.contains_key(&id) && mode == EL3 && (id.op0() == 3 || direction == Write) {
                    assert_eq!(class, "allowed", "{id} at EL3");
                }
                *answers.entry(class).or_default() += 1;
            }
        }
    }
    println!("{answers:?}");
    assert!(answers.values().all(|count| *count > 100) && answers.len() == 5, "{answers:?}");
}

#[test]
fn a_coarse_or_fine_control_of_the_64_bit_form_is_one_of_the_128_bit_form() {
    type Names = &'static [(&'static str, Change)];
    const CONTROLS: Names = &[
        ("TVM", |m| m.controls.hcr.set_tvm(true)),
        ("TRVM", |m| m.controls.hcr.set_trvm(true)),
        ("TTLB", |m| m.controls.hcr.set_ttlb(true)),
        ("TTLBIS", |m| m.controls.hcr.set_ttlbis(true)),
        ("TTLBOS", |m| m.controls.hcr.set_ttlbos(true)),
        ("NV", |m| m.controls.hcr.set_nv(true)),
        ("HFGRTR", |m| m.ext.fine.hfgrtr = !FineGrained::OPEN.hfgrtr),
        ("HFGWTR", |m| m.ext.fine.hfgwtr = !FineGrained::OPEN.hfgwtr),
        ("HFGITR", |m| m.ext.fine.hfgitr = !FineGrained::OPEN.hfgitr),
        ("HFGRTR2", |m| m.ext.fine.hfgrtr2 = !FineGrained::OPEN.hfgrtr2),
        ("HFGWTR2", |m| m.ext.fine.hfgwtr2 = !FineGrained::OPEN.hfgwtr2),
        ("RCWMASKEn", |m| m.el3().scr &= !(1 << 42)),
    ];
    let mut trapped = BTreeSet::new();
    for (name, change) in CONTROLS {
        let mut machine = Machine::new();
        change(&mut machine);
        for (id, form) in forms() {
            for direction in [Read, Write] {
                let wide = machine.ask(id, direction, EL1);
                let asked = SystemAccess { id, rt: 6, direction };
                let pstate = PState::from_bits(EL1);
                let narrow = access(asked, pstate, &machine.controls, &machine.ext, &machine.features);
                match (narrow, wide) {
                    (Outcome::TrapEl2(_), To::El2(_)) | (Outcome::TrapEl3(_), To::El3(_)) => {
                        trapped.insert((*name, form.clone()));
                    }
                    (Outcome::Register(_), To::Own) | (Outcome::Undefined, To::Undefined) => {}
                    (narrow, wide) => panic!("{form} {direction:?} with {name}: {narrow}, {wide:?}"),
                }
            }
        }
    }
    // TVM, TRVM: the two TTBR; TTLB: 48 of EL1, by broadcast 16 each; NV: 48 of EL2 and three; HFGxTR: those two, PAR
    // and RCWMASK, HFGITR the 48; HFGxTR2: RCWSMASK; SCR: both masks.
    let of = |name| trapped.iter().filter(|(of, _)| *of == name).count();
    let counts: Vec<usize> = CONTROLS.iter().map(|(name, _)| of(*name)).collect();
    assert_eq!(counts, [2, 2, 48, 16, 16, 51, 4, 4, 48, 1, 1, 2]);
}

#[test]
fn every_row_says_who_says_so() {
    let (mut all, mut two, mut enables) = (0, 0, BTreeMap::<String, u32>::new());
    for row in trap_rows_128() {
        assert!(!row.sources.is_empty(), "{row:?}");
        all += 1;
        two += u32::from(row.has_two_sources());
        match row.control {
            Control::El2(Trap::D128EN) => *enables.entry("HCRX".into()).or_default() += 1,
            Control::El3(TrapEl3::D128EN) => *enables.entry("SCR".into()).or_default() += 1,
            Control::Gate(_) | Control::El2(_) | Control::Nested | Control::Fine(_) | Control::El3(_) => {
                assert_eq!(row.sources, Sources::MANUAL, "{row:?}");
            }
        }
    }
    println!("128-bit forms: {all} rows, {two} with two sources");
    assert_eq!((enables["HCRX"], enables["SCR"]), (5, 8));
    assert_eq!((all, two), (177, 13), "docs/differences-traps.md says so");
}
