//! `arm_arch::trap::access` where two or more controls are on at once, where EL3 is asked, and where an access reaches
//! something else than its name says. What is wanted is from the access pseudocode of the registers in the Arm ARM.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use Direction::{Read, Write};
use arm_arch::feature::{Feature, Features};
use arm_arch::iss::{Direction, SystemAccess};
use arm_arch::sysreg::names::*;
use arm_arch::sysreg::{CntkctlEl1, CpacrEl1, HcrEl2, HcrxEl2, MdcrEl2, SctlrEl1, instructions as ins};
use arm_arch::trap::{Controls, El3, Extensions, FineGrained, Outcome, access};
use arm_arch::{PState, SysRegId};

/// Levels by their PSTATE.M.
const EL0: u64 = 0;
const EL1: u64 = 5;
const EL2: u64 = 9;
const EL3: u64 = 13;

/// Who is asked, with the exception class; what is reached.
#[derive(PartialEq, Eq, Debug)]
enum To {
    El1(u8),
    El2(u8),
    El3(u8),
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
            cnthctl: 3,
            icc_sre_el2: 0xf,
            sctlr: Extensions::NEUTRAL.sctlr_el2,
            cpacr: CpacrEl1::from_bits(0x2333_0000),
            cntkctl: CntkctlEl1::from_bits(0x303),
            ..Controls::default()
        };
        let features = Feature::ALL.into_iter().fold(Features::NONE, Features::with);
        let ext = Extensions { el3: Some(El3::OPEN), ..Extensions::NEUTRAL };
        Self { controls, ext, features }
    }

    fn el3(&mut self) -> &mut El3 {
        self.ext.el3.as_mut().unwrap()
    }

    fn ask(&self, id: SysRegId, direction: Direction, mode: u64) -> To {
        let asked = SystemAccess { id, rt: 0, direction };
        match access(asked, PState::from_bits(mode), &self.controls, &self.ext, &self.features) {
            Outcome::Register(reached) if reached == id => To::Own,
            Outcome::Register(reached) => To::Other(reached),
            Outcome::Memory(offset) => To::Memory(offset),
            Outcome::Undefined => To::Undefined,
            Outcome::TrapEl1(syndrome) => To::El1(syndrome.encode().ec().into_bits()),
            Outcome::TrapEl2(syndrome) => To::El2(syndrome.encode().ec().into_bits()),
            Outcome::TrapEl3(syndrome) => To::El3(syndrome.encode().ec().into_bits()),
        }
    }
}

type Change = fn(&mut Machine);

#[test]
fn of_several_controls_the_lowest_level_that_is_asked_traps() {
    // Each adds a control to those before it, from the last asked to the first.
    type Steps = &'static [(&'static str, Change, To)];
    const CASES: &[(&str, SysRegId, Direction, u64, Steps)] = &[
        (
            "PMCR_EL0",
            PMCR_EL0,
            Write,
            EL0,
            &[
                ("open", |_| {}, To::Own),
                ("MDCR_EL3.TPM", |m| m.el3().mdcr |= 1 << 6, To::El3(0x18)),
                ("HDFGWTR.PMCR_EL0", |m| m.ext.fine.hdfgwtr |= 1 << 21, To::El2(0x18)),
                ("MDCR_EL2.TPMCR", |m| m.controls.mdcr.set_tpmcr(true), To::El2(0x18)),
                ("PMUSERENR.EN", |m| m.ext.pmuserenr = 0, To::El1(0x18)),
                ("TGE", |m| m.controls.hcr.set_tge(true), To::El2(0x18)),
                ("no FEAT_PMUv3", |m| m.features = Features::NONE, To::Undefined),
            ],
        ),
        (
            "FPCR",
            FPCR,
            Read,
            EL1,
            &[
                ("CPTR_EL3.TFP", |m| m.el3().cptr |= 1 << 10, To::El3(0x07)),
                ("CPTR_EL2.TFP", |m| m.controls.cptr |= 1 << 10, To::El2(0x07)),
                ("CPACR.FPEN", |m| m.controls.cpacr = CpacrEl1::from_bits(0), To::El1(0x07)),
            ],
        ),
        (
            "ZCR_EL1",
            ZCR_EL1,
            Read,
            EL1,
            &[
                ("CPTR_EL3.EZ", |m| m.el3().cptr &= !(1 << 8), To::El3(0x19)),
                ("CPTR_EL2.TZ", |m| m.controls.cptr |= 1 << 8, To::El2(0x19)),
                ("CPACR.ZEN", |m| m.controls.cpacr = CpacrEl1::from_bits(0x30_0000), To::El1(0x19)),
            ],
        ),
        (
            "SMCR_EL1",
            SMCR_EL1,
            Write,
            EL1,
            &[
                ("CPTR_EL3.ESM", |m| m.el3().cptr &= !(1 << 12), To::El3(0x1d)),
                ("CPTR_EL2.TSM", |m| m.controls.cptr |= 1 << 12, To::El2(0x1d)),
                ("CPACR.SMEN", |m| m.controls.cpacr = CpacrEl1::from_bits(0x33_0000), To::El1(0x1d)),
            ],
        ),
        (
            "SMPRI_EL1 has the class of a register",
            SMPRI_EL1,
            Read,
            EL1,
            &[
                ("CPTR_EL3.ESM", |m| m.el3().cptr &= !(1 << 12), To::El3(0x18)),
                ("HFGRTR.nSMPRI_EL1", |m| m.ext.fine.hfgrtr &= !(1 << 54), To::El2(0x18)),
            ],
        ),
        (
            "FPMR: the unit comes after EL3's enable",
            FPMR,
            Read,
            EL0,
            &[
                ("CPACR.FPEN", |m| m.controls.cpacr = CpacrEl1::from_bits(0), To::El1(0x07)),
                ("SCR.EnFPM", |m| m.el3().scr &= !(1 << 50), To::El3(0x18)),
                ("HCRX.EnFPM", |m| m.ext.hcrx = HcrxEl2::new(), To::El2(0x18)),
                ("SCTLR.EnFPM", |m| m.controls.sctlr = SctlrEl1::new(), To::El1(0x18)),
            ],
        ),
        (
            "TRCSEQEVR0",
            TRCSEQEVR0,
            Read,
            EL1,
            &[
                ("CPTR_EL3.TTA", |m| m.el3().cptr |= 1 << 20, To::El3(0x18)),
                ("HDFGRTR.TRC", |m| m.ext.fine.hdfgrtr |= 1 << 33, To::El2(0x18)),
                ("CPTR_EL2.TTA", |m| m.controls.cptr |= 1 << 20, To::El2(0x18)),
                ("CPACR.TTA", |m| m.controls.cpacr = CpacrEl1::from_bits(1 << 28), To::El1(0x18)),
            ],
        ),
        (
            "MPAM0_EL1: EL3 comes before EL2",
            MPAM0_EL1,
            Read,
            EL1,
            &[
                ("MPAM2.TRAPMPAM0EL1", |m| m.ext.mpam2 |= 1 << 49, To::El2(0x18)),
                ("MPAM3.TRAPLOWER", |m| m.el3().mpam3 = 1 << 62, To::El3(0x18)),
            ],
        ),
        (
            "AMEVCNTR10_EL0",
            AMEVCNTR10_EL0,
            Read,
            EL0,
            &[
                ("CPTR_EL3.TAM", |m| m.el3().cptr |= 1 << 30, To::El3(0x18)),
                ("HAFGRTR.AMEVCNTR10_EL0", |m| m.ext.fine.hafgrtr |= 1 << 18, To::El2(0x18)),
                ("CPTR_EL2.TAM", |m| m.controls.cptr |= 1 << 30, To::El2(0x18)),
                ("AMUSERENR.EN", |m| m.ext.amuserenr = 0, To::El1(0x18)),
            ],
        ),
        (
            "TCR2_EL1",
            TCR2_EL1,
            Write,
            EL1,
            &[
                ("SCR.TCR2En", |m| m.el3().scr &= !(1 << 43), To::El3(0x18)),
                ("HCRX.TCR2En", |m| m.ext.hcrx.set_tcr2en(false), To::El2(0x18)),
            ],
        ),
        (
            "TPIDR2_EL0",
            TPIDR2_EL0,
            Read,
            EL0,
            &[
                ("SCR.EnTP2", |m| m.el3().scr &= !(1 << 41), To::El3(0x18)),
                ("HFGRTR.nTPIDR2_EL0", |m| m.ext.fine.hfgrtr &= !(1 << 55), To::El2(0x18)),
                ("SCTLR.EnTP2", |m| m.controls.sctlr = SctlrEl1::new(), To::El1(0x18)),
            ],
        ),
        (
            "ICC_IAR1_EL1",
            ICC_IAR1_EL1,
            Read,
            EL1,
            &[
                ("SCR.IRQ", |m| m.el3().scr |= 1 << 1, To::El3(0x18)),
                ("IMO makes it virtual", |m| m.controls.hcr.set_imo(true), To::Own),
                ("TALL1", |m| m.controls.ich_hcr.set_tall1(true), To::El2(0x18)),
                ("SRE", |m| m.ext.icc_sre_el1 = 0, To::El1(0x18)),
            ],
        ),
        (
            "PMBLIMITR_EL1",
            PMBLIMITR_EL1,
            Read,
            EL1,
            &[
                ("MDCR_EL3.NSPB", |m| m.el3().mdcr &= !(1 << 12), To::El3(0x18)),
                ("MDCR_EL2.E2PB", |m| m.controls.mdcr.set_e2pb(2), To::El2(0x18)),
            ],
        ),
        (
            "TRBLIMITR_EL1",
            TRBLIMITR_EL1,
            Write,
            EL1,
            &[
                ("MDCR_EL3.NSTB", |m| m.el3().mdcr &= !(1 << 25), To::El3(0x18)),
                ("MDCR_EL2.E2TB", |m| m.controls.mdcr.set_e2tb(2), To::El2(0x18)),
            ],
        ),
        (
            "BRBCR_EL1",
            BRBCR_EL1,
            Read,
            EL1,
            &[
                ("MDCR_EL3.SBRBE", |m| m.el3().mdcr &= !(1 << 32), To::El3(0x18)),
                ("HDFGRTR.nBRBCTL", |m| m.ext.fine.hdfgrtr &= !(1 << 60), To::El2(0x18)),
            ],
        ),
        (
            "APIAKEYLO_EL1",
            APIAKEYLO_EL1,
            Write,
            EL1,
            &[
                ("SCR.APK", |m| m.el3().scr &= !(1 << 16), To::El3(0x18)),
                ("HFGWTR.APIAKey", |m| m.ext.fine.hfgwtr |= 1 << 7, To::El2(0x18)),
                ("HCR.APK", |m| m.controls.hcr.set_apk(false), To::El2(0x18)),
            ],
        ),
        ("RNDR", RNDR, Read, EL0, &[("SCR.TRNDR", |m| m.el3().scr |= 1 << 40, To::El3(0x18))]),
        (
            "DC CVAU",
            ins::DC_CVAU,
            Write,
            EL0,
            &[
                ("HFGITR.DCCVAU", |m| m.ext.fine.hfgitr |= 1 << 7, To::El2(0x18)),
                ("HCR.TOCU", |m| m.controls.hcr.set_tocu(true), To::El2(0x18)),
                ("SCTLR.UCI", |m| m.controls.sctlr.set_uci(false), To::El1(0x18)),
            ],
        ),
        (
            "CNTPCT_EL0",
            CNTPCT_EL0,
            Read,
            EL0,
            &[
                ("CNTHCTL.EL1PCTEN", |m| m.controls.cnthctl = 2, To::El2(0x18)),
                ("CNTKCTL.EL0PCTEN", |m| m.controls.cntkctl = CntkctlEl1::from_bits(0), To::El1(0x18)),
            ],
        ),
    ];
    for (name, id, direction, mode, steps) in CASES {
        let mut machine = Machine::new();
        assert_eq!(machine.ask(*id, *direction, *mode), To::Own, "{name}, open");
        for (step, change, want) in *steps {
            change(&mut machine);
            assert_eq!(machine.ask(*id, *direction, *mode), *want, "{name}, with {step}");
        }
    }
    let mut machine = Machine::new();
    machine.ext.fine.hfgrtr |= 1 << 38;
    assert_eq!(machine.ask(VBAR_EL1, Read, EL1), To::El2(0x18), "HFGRTR.VBAR_EL1");
    assert_eq!(machine.ask(VBAR_EL1, Read, EL0), To::Undefined, "UNDEFINED comes first");
}

#[test]
fn pmuserenr_has_a_bit_for_each_kind_of_access() {
    const EN: u64 = 1;
    const SW: u64 = 2;
    const CR: u64 = 4;
    const ER: u64 = 8;
    // Register, direction, bits that suffice.
    const CASES: &[(SysRegId, Direction, &[u64])] = &[
        (PMCR_EL0, Read, &[EN]),
        (PMSWINC_EL0, Write, &[EN, SW]),
        (PMCCNTR_EL0, Read, &[EN, CR]),
        (PMCCNTR_EL0, Write, &[EN]),
        (PMEVCNTR5_EL0, Read, &[EN, ER]),
        (PMEVCNTR5_EL0, Write, &[EN]),
        (PMEVTYPER5_EL0, Read, &[EN]),
        (PMSELR_EL0, Write, &[EN, ER]),
        (PMXEVCNTR_EL0, Read, &[EN, ER]),
        (PMXEVCNTR_EL0, Write, &[EN]),
    ];
    let mut machine = Machine::new();
    for (id, direction, enough) in CASES {
        for bit in [EN, SW, CR, ER] {
            machine.ext.pmuserenr = bit;
            let want = if enough.contains(&bit) { To::Own } else { To::El1(0x18) };
            assert_eq!(machine.ask(*id, *direction, EL0), want, "{id} {direction:?} with {bit:#x}");
        }
    }
    machine.ext.pmuserenr = 0;
    assert_eq!(machine.ask(PMUSERENR_EL0, Read, EL0), To::Own);
    assert_eq!(machine.ask(PMUSERENR_EL0, Write, EL0), To::Undefined);
}

#[test]
fn counters_are_there_up_to_pmcr_n_and_el1s_up_to_hpmn() {
    let mut machine = Machine::new();
    machine.ext.counters = 8;
    machine.controls.mdcr.set_hpmn(6);
    for (id, want) in [
        (PMEVCNTR5_EL0, To::Own),
        (PMEVCNTR6_EL0, To::El2(0x18)),
        (PMEVTYPER7_EL0, To::El2(0x18)),
        (PMEVCNTR8_EL0, To::Undefined),
        (PMEVTYPER30_EL0, To::Undefined),
        (PMCCFILTR_EL0, To::Own),
    ] {
        assert_eq!(machine.ask(id, Read, EL1), want, "{id}");
    }
    assert_eq!(machine.ask(PMEVCNTR6_EL0, Read, EL2), To::Own, "EL2 has them all");
    assert_eq!(machine.ask(PMEVCNTR8_EL0, Read, EL2), To::Undefined);
}

#[test]
fn el3_makes_the_second_fine_grained_registers_count_as_zero_and_the_first_not_at_all() {
    let mut machine = Machine::new();
    machine.ext.fine = FineGrained { hfgrtr: FineGrained::OPEN.hfgrtr | 1 << 29, ..FineGrained::OPEN };
    assert_eq!(machine.ask(SCTLR_EL1, Read, EL1), To::El2(0x18));
    assert_eq!(machine.ask(PFAR_EL1, Read, EL1), To::Own);
    machine.el3().scr &= !(1 << 27 | 1 << 59);
    assert_eq!(machine.ask(SCTLR_EL1, Read, EL1), To::Own, "FGTEn is 0");
    assert_eq!(machine.ask(PFAR_EL1, Read, EL1), To::El2(0x18), "FGTEn2 is 0: nPFAR_EL1 counts as 0");
    assert_eq!(machine.ask(HFGRTR_EL2, Read, EL2), To::El3(0x18));
    assert_eq!(machine.ask(HFGRTR2_EL2, Read, EL2), To::El3(0x18));
    assert_eq!(machine.ask(HFGRTR_EL2, Read, EL3), To::Own);
}

#[test]
fn a_hosts_el0_is_subject_to_the_controls_of_el2() {
    let mut machine = Machine::new();
    machine.controls.hcr = machine.controls.hcr.with_e2h(true).with_tge(true).with_tid2(true);
    machine.controls.cptr = 0x2330_0000 | 3 << 16;
    machine.controls.cnthctl = 0xf03;
    machine.controls.sctlr = SctlrEl1::new();
    machine.controls.cpacr = CpacrEl1::from_bits(0);
    assert_eq!(machine.ask(CTR_EL0, Read, EL0), To::Own, "SCTLR_EL1.UCT and TID2 do not count");
    assert_eq!(machine.ask(FPCR, Read, EL0), To::Own, "CPACR_EL1 does not count");
    machine.ext.sctlr_el2.set_uct(false);
    assert_eq!(machine.ask(CTR_EL0, Read, EL0), To::El2(0x18));
    machine.controls.cptr &= !(2 << 20);
    assert_eq!(machine.ask(FPCR, Read, EL0), To::El2(0x07), "FPEN is 1");
    machine.controls.cnthctl = 0;
    assert_eq!(machine.ask(CNTVCT_EL0, Read, EL0), To::El2(0x18), "EL0VCTEN");
    machine.controls.mdcr.set_tpm(true);
    assert_eq!(machine.ask(PMCR_EL0, Read, EL0), To::El2(0x18), "MDCR_EL2 counts for a host's EL0 too");
}

#[test]
fn nested_virtualization_redirects_and_traps_as_each_registers_pseudocode_has_it() {
    const NV: u64 = 1 << 42;
    const NV1: u64 = 1 << 43;
    const NV2: u64 = 1 << 45;
    const CASES: &[(&str, SysRegId, u64, To)] = &[
        ("HCR_EL2 without NV", HCR_EL2, 0, To::Undefined),
        ("HCR_EL2", HCR_EL2, NV, To::El2(0x18)),
        ("HCR_EL2 in memory", HCR_EL2, NV | NV2, To::Memory(0x78)),
        ("VSESR_EL2 in memory", VSESR_EL2, NV | NV2, To::Memory(0x508)),
        ("HFGRTR2_EL2 in memory", HFGRTR2_EL2, NV | NV2, To::Memory(0x2c0)),
        ("ZCR_EL2 is not", ZCR_EL2, NV | NV2, To::El2(0x18)),
        ("ELR_EL2", ELR_EL2, NV, To::El2(0x18)),
        ("ELR_EL2, NV2", ELR_EL2, NV | NV2, To::Other(ELR_EL1)),
        ("TFSR_EL2, NV2", TFSR_EL2, NV | NV2, To::Other(TFSR_EL1)),
        ("ELR_EL1, 011", ELR_EL1, NV | NV1, To::El2(0x18)),
        ("ELR_EL1, 111", ELR_EL1, NV | NV1 | NV2, To::Memory(0x230)),
        ("ELR_EL1, 101", ELR_EL1, NV | NV2, To::Own),
        ("ELR_EL12, 101", ELR_EL12, NV | NV2, To::Memory(0x230)),
        ("ELR_EL12, 111", ELR_EL12, NV | NV1 | NV2, To::El2(0x18)),
        ("ELR_EL12, 000", ELR_EL12, 0, To::Undefined),
        ("TCR2_EL1, 111", TCR2_EL1, NV | NV1 | NV2, To::Memory(0x270)),
        ("TRCITECR_EL1, 111", TRCITECR_EL1, NV | NV1 | NV2, To::Memory(0x888)),
        ("TRCITECR_EL12, 101", TRCITECR_EL12, NV | NV2, To::Memory(0x888)),
        ("S2POR_EL1, 101", S2POR_EL1, NV | NV2, To::Memory(0x2b8)),
        ("BRBCR_EL1, 111", BRBCR_EL1, NV | NV1 | NV2, To::Memory(0x8e0)),
        ("CNTP_CTL_EL02, 101", CNTP_CTL_EL02, NV | NV2, To::Memory(0x180)),
        ("TLBI ALLE2", ins::TLBI_ALLE2, NV, To::El2(0x18)),
        ("CNTHPS_CTL_EL2", CNTHPS_CTL_EL2, NV, To::El2(0x18)),
        ("VSTTBR_EL2 is Secure", VSTTBR_EL2, NV | NV2, To::Undefined),
        ("no such register", SysRegId::new(3, 4, 14, 14, 7), NV, To::Undefined),
    ];
    for (name, id, hcr, want) in CASES {
        let mut machine = Machine::new();
        machine.controls.hcr = HcrEl2::from_bits(machine.controls.hcr.into_bits() | hcr);
        let direction = if id.op0() == 1 { Write } else { Read };
        assert_eq!(machine.ask(*id, direction, EL1), *want, "{name}");
    }
    let mut machine = Machine::new();
    machine.controls.hcr = HcrEl2::from_bits(machine.controls.hcr.into_bits() | NV | NV1 | NV2);
    machine.controls.hcr.set_trvm(true);
    assert_eq!(machine.ask(TCR2_EL1, Read, EL1), To::El2(0x18), "TRVM comes before memory");
    machine.controls.hcr.set_trvm(false);
    machine.el3().scr &= !(1 << 43);
    assert_eq!(machine.ask(TCR2_EL1, Read, EL1), To::El3(0x18), "and so does EL3");
    machine.controls.hcr.set_nv1(false);
    machine.controls.cnthctl |= 1 << 15;
    assert_eq!(machine.ask(CNTP_CTL_EL02, Read, EL1), To::El2(0x18), "EL1NVPCT");
    machine.features = Features::NONE;
    assert_eq!(machine.ask(HCR_EL2, Read, EL1), To::Undefined, "without FEAT_NV");
}

#[test]
fn el2_and_el3_reach_what_e2h_says() {
    const CASES: &[(&str, SysRegId, bool, u64, To)] = &[
        ("SCTLR_EL1 of a host", SCTLR_EL1, true, EL2, To::Other(SCTLR_EL2)),
        ("SCTLR_EL1 without E2H", SCTLR_EL1, false, EL2, To::Own),
        ("SCTLR_EL1 at EL3", SCTLR_EL1, true, EL3, To::Own),
        ("SCTLR_EL12 of a host", SCTLR_EL12, true, EL2, To::Other(SCTLR_EL1)),
        ("SCTLR_EL12 without E2H", SCTLR_EL12, false, EL2, To::Undefined),
        ("SCTLR_EL12 at EL3", SCTLR_EL12, true, EL3, To::Other(SCTLR_EL1)),
        ("SCTLR_EL12 at EL3 without E2H", SCTLR_EL12, false, EL3, To::Undefined),
        ("TRCITECR_EL1", TRCITECR_EL1, true, EL2, To::Other(TRCITECR_EL2)),
        ("PFAR_EL1", PFAR_EL1, true, EL2, To::Other(PFAR_EL2)),
        ("CNTV_CTL_EL0", CNTV_CTL_EL0, true, EL2, To::Other(CNTHV_CTL_EL2)),
        ("CNTV_CTL_EL02", CNTV_CTL_EL02, true, EL2, To::Other(CNTV_CTL_EL0)),
        ("SCR_EL3 at EL2", SCR_EL3, false, EL2, To::Undefined),
        ("SCR_EL3 at EL3", SCR_EL3, false, EL3, To::Own),
        ("VSTCR_EL2 in Non-secure state", VSTCR_EL2, false, EL2, To::Undefined),
    ];
    for (name, id, e2h, mode, want) in CASES {
        let mut machine = Machine::new();
        machine.controls.hcr.set_e2h(*e2h);
        assert_eq!(machine.ask(*id, Read, *mode), *want, "{name}");
    }
    let mut machine = Machine::new();
    assert_eq!(machine.ask(CNTFRQ_EL0, Write, EL2), To::Undefined, "EL3 is the highest level");
    assert_eq!(machine.ask(CNTFRQ_EL0, Write, EL3), To::Own);
    machine.ext.el3 = None;
    assert_eq!(machine.ask(CNTFRQ_EL0, Write, EL2), To::Own, "EL2 is");
    machine.controls.cptr = 1 << 20;
    assert_eq!(machine.ask(TRCCONFIGR, Read, EL2), To::El2(0x18), "EL2 is subject to its own TTA");
}

/// PMBSR_EL1 and TRBSR_EL1 name other registers once management events may be exceptions. Arm ARM, PMBSR_EL1, TRBSR_EL1:
/// HCR_EL2.E2H and NV1 are ignored while EE says that they may not.
#[test]
fn syndromes_of_buffers_are_redirected_where_their_events_may_be_exceptions() {
    const NV: u64 = 1 << 42;
    const NV1: u64 = 1 << 43;
    const NV2: u64 = 1 << 45;
    const E2H: u64 = 1 << 34;
    // EE of EL2, EE of EL1, level, HCR_EL2; PMBSR_EL1, TRBSR_EL1.
    const CASES: &[(u8, u8, u64, u64, [To; 2])] = &[
        (0, 0, EL2, E2H, [To::Own, To::Own]),
        (1, 0, EL2, E2H, [To::Other(PMBSR_EL2), To::Other(TRBSR_EL2)]),
        (1, 0, EL2, 0, [To::Own, To::Own]),
        (3, 0, EL3, E2H, [To::Own, To::Own]),
        (0, 3, EL1, NV | NV1 | NV2, [To::Memory(0x820), To::Own]),
        (3, 0, EL1, NV | NV1 | NV2, [To::Memory(0x820), To::Own]),
        (3, 3, EL1, NV | NV1 | NV2, [To::Memory(0x820), To::Memory(0x860)]),
        (3, 3, EL1, NV | NV2, [To::Own, To::Own]),
        (0, 3, EL1, NV | NV2, [To::Memory(0x820), To::Own]),
        (3, 0, EL1, NV | NV2, [To::Memory(0x820), To::Own]),
        (0, 0, EL1, NV, [To::Own, To::Own]),
        (0, 0, EL1, 0, [To::Own, To::Own]),
    ];
    let machine = |el2, el1, hcr: u64| {
        let mut machine = Machine::new();
        machine.el3().mdcr |= 1 << 51 | 1 << 53; // PMSEE and TRBEE delegate
        machine.ext.pmscr_el2.set_ee(el2);
        machine.ext.trfcr_el2.set_ee(el2);
        machine.ext.pmscr_el1.set_ee(el1);
        machine.ext.trfcr_el1.set_ee(el1);
        machine.controls.hcr = HcrEl2::from_bits(machine.controls.hcr.into_bits() | hcr);
        machine
    };
    for (el2, el1, mode, hcr, want) in CASES {
        let machine = machine(*el2, *el1, *hcr);
        let found = [PMBSR_EL1, TRBSR_EL1].map(|id| machine.ask(id, Read, *mode));
        assert_eq!(found, *want, "EE {el2} and {el1}, mode {mode}, HCR {hcr:#x}");
    }
    let mut without = machine(3, 3, E2H);
    without.el3().mdcr &= !(3 << 51 | 3 << 53);
    assert_eq!(without.ask(PMBSR_EL1, Read, EL2), To::Own, "MDCR_EL3.PMSEE is 0");
    assert_eq!(without.ask(TRBSR_EL1, Read, EL2), To::Own, "MDCR_EL3.TRBEE is 0");
    let names = [(PMBSR_EL12, PMBSR_EL1, Feature::SPE), (TRBSR_EL12, TRBSR_EL1, Feature::TRBE)];
    for (alias, plain, feature) in names {
        let mut host = machine(3, 3, E2H);
        assert_eq!(host.ask(alias, Read, EL2), To::Other(plain));
        host.features = Features::NONE.with(feature);
        assert_eq!(host.ask(alias, Read, EL2), To::Undefined, "{feature} alone has no _EL12 name");
        assert_eq!(host.ask(plain, Read, EL2), To::Own, "nor a register of EL2");
    }
    let mut older = machine(3, 3, NV | NV2);
    older.features = Features::NONE.with(Feature::SPE).with(Feature::NV).with(Feature::NV2);
    assert_eq!(older.ask(PMBSR_EL1, Write, EL1), To::Memory(0x820), "before FEAT_SPE_EXC");
    assert_eq!(older.ask(PMBSR_EL2, Read, EL3), To::Undefined);
}

#[test]
fn an_outcome_reads_as_a_sentence() {
    let mut machine = Machine::new();
    machine.controls.hcr.set_tid3(true);
    let read = |machine: &Machine, id, mode| {
        let asked = SystemAccess { id, rt: 4, direction: Read };
        access(asked, PState::from_bits(mode), &machine.controls, &machine.ext, &machine.features).to_string()
    };
    let trapped = read(&machine, ID_AA64PFR0_EL1, EL1);
    assert!(trapped.starts_with("trapped to EL2: 0x62300089 trapped system access MRS X4, S3_0_C0_C4_0"));
    assert_eq!(read(&machine, SCR_EL3, EL1), "undefined");
    assert_eq!(read(&machine, TPIDR_EL1, EL1), "reaches S3_0_C13_C0_4");
    machine.controls.hcr = HcrEl2::from_bits(machine.controls.hcr.into_bits() | 1 << 42 | 1 << 45);
    assert_eq!(read(&machine, HCR_EL2, EL1), "reaches VNCR_EL2 + 0x78");
}
