//! What no outside source covers, by hand: EL3, Secure state, AT at each level, HPFAR, syndromes, lost
//! races, memory that fails. Each case cites the page of the Arm ARM that decides.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::panic,
    clippy::expect_used,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use arm_arch::{ExceptionLevel, FaultStatus, Ipa, Level, Pa, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtOperation, AtOutcome, DescriptorKind, Fault, Implementation, Located,
    Mapping, Privilege, Qualifiers, Recorder, Regime, Registers, Space, Stage, Stage1Registers, Step,
    Translation, Translator, at,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Descriptors by space and address; there is nothing from 0xf000_0000 on.
struct Spaces(BTreeMap<(u8, u64), u64>);

impl Spaces {
    fn of(entries: &[(Space, u64, u64)]) -> Self {
        Self(entries.iter().map(|(space, at, value)| ((*space as u8, *at), *value)).collect())
    }
}

impl TableMemory<Located> for Spaces {
    type Error = ();

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, ()> {
        if at.pa.bits() >= 0xf000_0000 {
            return Ok(None);
        }
        Ok(Some(self.0.get(&(at.space as u8, at.pa.bits())).copied().unwrap_or(0).to_le_bytes()))
    }
}

const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
const WRITE: Access = Access::new(AccessKind::Write, Privilege::Privileged);
const FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Privileged);
const USER_READ: Access = Access::new(AccessKind::Read, Privilege::Unprivileged);
const USER_FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Unprivileged);

fn ask(
    regime: Regime,
    registers: &Registers,
    memory: &Spaces,
    va: u64,
    access: Access,
) -> Translation<Located> {
    let translator = Translator::new(regime, registers, &Implementation::ALL);
    translator.translate(Va::new(va), access, memory, &mut ()).expect("memory works")
}

fn mapped<A>(translation: Translation<A>) -> Mapping<A> {
    match translation {
        Translation::Mapped(mapping) => mapping,
        Translation::Fault(fault) => panic!("{fault:x?}"),
    }
}

fn faulted<A: std::fmt::Debug>(translation: Translation<A>) -> Fault {
    match translation {
        Translation::Fault(fault) => fault,
        Translation::Mapped(mapping) => panic!("{mapping:x?}"),
    }
}

use Space::{NonSecure, Secure};

/// EL3 on: 39-bit addresses from level 1, 4 KiB, 40 bits out; attribute 0 Write-Back. Arm ARM, TCR_EL3.
fn el3() -> Registers {
    let own = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x8082_0019,
        ttbr0: 0x4000_0000,
        mair: 0xff,
        ..Stage1Registers::default()
    };
    Registers { el3: own, scr_el3: 1, ..Registers::default() }
}

#[test]
fn el3_is_secure_and_ns_bits_lead_out_of_it() {
    // Level 1: [0] a block, [1] a Non-secure block, [2] a table whose successors are Non-secure (NSTable).
    let memory = Spaces::of(&[
        (Secure, 0x4000_0000, 0x8000_0401),
        (Secure, 0x4000_0008, 0xc000_0421),
        (Secure, 0x4000_0010, 1 << 63 | 0x4000_1003),
        (NonSecure, 0x4000_1000, 0x2000_0401),
    ]);
    let of = |va| {
        let found = mapped(ask(Regime::El3, &el3(), &memory, va, READ));
        (found.output.pa.bits(), found.space, found.not_global)
    };
    assert_eq!(of(0x123), (0x8000_0123, Secure, false));
    assert_eq!(of(0x4000_0123), (0xc000_0123, NonSecure, false));
    assert_eq!(of(0x8000_0123), (0x2000_0123, NonSecure, false));
}

#[test]
fn el3_has_one_range_and_one_privilege() {
    // AP[2] read-only, XN, and both: bits 7 and 54. APTable[1] and XNTable: bits 62 and 60.
    let memory = Spaces::of(&[
        (Secure, 0x4000_0000, 0x8000_0481),
        (Secure, 0x4000_0008, 1 << 54 | 0x8000_0401),
        (Secure, 0x4000_0010, 1 << 62 | 0x4000_1003),
        (Secure, 0x4000_1000, 0x2000_0401),
        (Secure, 0x4000_0018, 1 << 60 | 0x4000_1003),
    ]);
    let permits =
        |va, access| matches!(ask(Regime::El3, &el3(), &memory, va, access), Translation::Mapped(_));
    let of = |va| [READ, WRITE, FETCH].map(|access| permits(va, access));
    assert_eq!(of(0), [true, false, true], "AP[2]");
    assert_eq!(of(0x4000_0000), [true, true, false], "XN");
    assert_eq!(of(0x8000_0000), [true, false, true], "APTable[1]");
    assert_eq!(of(0xc000_0000), [true, true, false], "XNTable");
    // Bit 55 does not choose a range: all bits above the input size must be 0.
    for va in [0xffff_ffff_0000_0000, 0x80_0000_0000] {
        let fault = faulted(ask(Regime::El3, &el3(), &memory, va, READ));
        assert_eq!(fault, Fault::stage_1(FaultStatus::Translation(Level::L0), false), "{va:#x}");
    }
}

#[test]
fn sif_forbids_fetches_from_non_secure_memory() {
    let memory = Spaces::of(&[(Secure, 0x4000_0008, 0xc000_0421)]);
    let with_sif = Registers { scr_el3: 1 | 1 << 9, ..el3() };
    assert!(matches!(ask(Regime::El3, &el3(), &memory, 0x4000_0000, FETCH), Translation::Mapped(_)));
    let fault = faulted(ask(Regime::El3, &with_sif, &memory, 0x4000_0000, FETCH));
    assert_eq!(fault.status, FaultStatus::Permission(Level::L1));
    assert!(matches!(ask(Regime::El3, &with_sif, &memory, 0x4000_0000, READ), Translation::Mapped(_)));
}

/// Secure EL1&0 with stage 1 off and stage 2 on, 40-bit input from level 1 (two tables concatenated),
/// 4 KiB, 40 bits out. `vstcr` and `vtcr` are more bits. Arm ARM, VSTCR_EL2, VTCR_EL2.
fn secure_stage2(vstcr: u64, vtcr: u64) -> Registers {
    Registers {
        scr_el3: 1 << 18,
        hcr_el2: 1,
        vtcr_el2: 0x8002_0058 | vtcr,
        vttbr_el2: 0x4001_0000,
        vstcr_el2: 0x8000_0058 | vstcr,
        vsttbr_el2: 0x4000_0000,
        ..Registers::default()
    }
}

/// S2AP read and write, MemAttr Write-Back, AF, block.
const S2_BLOCK: u64 = 0x4fd;

#[test]
fn sw_and_sa_say_where_secure_tables_lie_and_lead() {
    const SW: u64 = 1 << 29;
    const SA: u64 = 1 << 30;
    let cases = [
        ("SW 0, SA 0", 0, Secure, Secure),
        ("SA 1", SA, Secure, NonSecure),
        ("SW 1 makes SA 1", SW, NonSecure, NonSecure),
    ];
    for (name, vstcr, tables, output) in cases {
        let memory = Spaces::of(&[(tables, 0x4000_0008, 0x1_0000_0000 | S2_BLOCK)]);
        let registers = secure_stage2(vstcr, 0);
        let found = mapped(ask(Regime::El1And0, &registers, &memory, 0x4000_1234, READ));
        assert_eq!((found.output.pa, found.space), (Pa::new(0x1_0000_1234), output), "{name}");
        assert_eq!(found.ipa, Some(Ipa::new(0x4000_1234)), "{name}");
    }
}

#[test]
fn non_secure_addresses_of_secure_state_have_the_other_tables() {
    const NSW: u64 = 1 << 29;
    const NSA: u64 = 1 << 30;
    // Stage 1: 39 bits from level 1; a Non-secure block (bit 5) at VA 0x4000_0000.
    let mut registers = secure_stage2(0, 0);
    registers.el1 = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x2_8019_0019,
        ttbr0: 0x5000_0000,
        mair: 0xff,
        ..Stage1Registers::default()
    };
    let cases = [
        ("NSW 0", 0, Secure, Secure),
        ("NSA 1", NSA, Secure, NonSecure),
        ("NSW 1", NSW, NonSecure, NonSecure),
    ];
    for (name, vtcr, tables, output) in cases {
        let registers = Registers { vtcr_el2: registers.vtcr_el2 | vtcr, ..registers };
        let memory = Spaces::of(&[
            // Stage 2 of the Secure IPA 0x5000_0008, where the table of stage 1 is: identity.
            (Secure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
            (Secure, 0x5000_0008, 0x8000_0421),
            // Stage 2 of the Non-secure IPA 0x8000_0000.
            (tables, 0x4001_0010, 0x1_0000_0000 | S2_BLOCK),
        ]);
        let found = mapped(ask(Regime::El1And0, &registers, &memory, 0x4000_1234, READ));
        assert_eq!((found.output.pa, found.space), (Pa::new(0x1_0000_1234), output), "{name}");
        // A fault there names the Non-secure address: HPFAR_EL2.NS.
        let empty =
            Spaces::of(&[(Secure, 0x4000_0008, 0x4000_0000 | S2_BLOCK), (Secure, 0x5000_0008, 0x8000_0421)]);
        let fault = faulted(ask(Regime::El1And0, &registers, &empty, 0x4000_1234, READ));
        assert_eq!((fault.stage, fault.s1ptw), (Stage::Two, false), "{name}");
        assert_eq!(fault.hpfar(Secure), Some(1 << 63 | 0x8000_1000 >> 8), "{name}");
    }
}

#[test]
fn secure_state_without_secure_el2_has_no_stage_2() {
    let registers = Registers { scr_el3: 0, ..secure_stage2(0, 0) };
    let found = mapped(ask(Regime::El1And0, &registers, &Spaces::of(&[]), 0x4000_1234, READ));
    assert_eq!((found.output.pa, found.space, found.ipa), (Pa::new(0x4000_1234), Secure, None));
}

/// EL1&0 with both stages: stage 1 39 bits from level 1 with its table at IPA 0x5000_0000, stage 2 40
/// bits from level 1 with its tables at 0x4000_0000.
fn both_stages() -> Registers {
    let el1 = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x2_8019_0019,
        ttbr0: 0x5000_0000,
        mair: 0xff,
        ..Stage1Registers::default()
    };
    Registers {
        el1,
        scr_el3: 1,
        hcr_el2: 1,
        vtcr_el2: 0x8002_0058,
        vttbr_el2: 0x4000_0000,
        ..Registers::default()
    }
}

#[test]
fn at_reports_in_par_or_takes_the_exception_that_is_due() {
    let identity = (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK);
    let stage1 = (NonSecure, 0x5000_0008, 0x8000_0401);
    let output = (NonSecure, 0x4000_0010, 0x1_0000_0000 | S2_BLOCK);
    let all = [identity, stage1, output];
    let run = |operation, el, entries: &[(Space, u64, u64)]| {
        let context = AtContext { el, pan: false };
        let state = (&both_stages(), &Implementation::ALL);
        at(operation, Va::new(0x4000_1234), context, state, &Spaces::of(entries), &mut ())
            .expect("memory works")
    };
    let par = |outcome| match outcome {
        AtOutcome::Par(par) => par,
        AtOutcome::Abort(fault, _) => panic!("{fault:x?}"),
    };
    use AtOperation::{S1E0R, S1E1A, S1E1R, S1E1W, S12E1R, S12E1W};
    use ExceptionLevel::{El1, El2};
    // ATTR 0xff, SH of the descriptor 0 (Non-shareable), bit 11 RES1. Arm ARM, PAR_EL1.
    assert_eq!(par(run(S1E1R, El1, &all)), 0xff00_0000_8000_1800);
    assert_eq!(par(run(S12E1R, El2, &all)), 0xff00_0001_0000_1800);
    // EL0 has no access: Permission fault, level 1. FST 0x0d.
    assert_eq!(par(run(S1E0R, El1, &all)), 0x81b);
    // Nothing at stage 1 level 1. FST 0x05.
    assert_eq!(par(run(S1E1W, El1, &[identity])), 0x80b);
    // Stage 2 does not map the output: S is set, and stage 1 alone does not ask.
    assert_eq!(par(run(S12E1W, El2, &all[..2])), 0xa0b);
    assert_eq!(par(run(S1E1W, El2, &all[..2])), 0xff00_0000_8000_1800);
    // Stage 2 does not map the table of stage 1: PTW and S at EL2; at EL1 a data abort to EL2.
    assert_eq!(par(run(S1E1R, El2, &[stage1])), 0xb0b);
    assert_eq!(par(run(S12E1R, El2, &[stage1])), 0xb0b);
    let AtOutcome::Abort(fault, access) = run(S1E1R, El1, &[stage1]) else { panic!("an exception is due") };
    // DFSC 0x05, WnR, S1PTW, CM.
    assert_eq!((fault.iss(access), fault.hpfar(NonSecure)), (0x1c5, Some(0x5000_0000 >> 8)));
    // No memory under the tables: a synchronous external abort on the walk, from every level.
    let nowhere = [(NonSecure, 0x4000_0008, 0xc000_0000 | S2_BLOCK), output];
    let beyond =
        Registers { el1: Stage1Registers { ttbr0: 0x7000_0000, ..both_stages().el1 }, ..both_stages() };
    for el in [El1, El2] {
        let state = (&beyond, &Implementation::ALL);
        let context = AtContext { el, pan: false };
        let outcome = at(S1E1R, Va::new(0x4000_1234), context, state, &Spaces::of(&nowhere), &mut ());
        let Ok(AtOutcome::Abort(fault, _)) = outcome else { panic!("{outcome:x?}") };
        assert_eq!(fault.status, FaultStatus::ExternalOnWalk(Level::L1), "{el:?}");
    }
    // AT S1E1A checks no permission, but AF is none: AArch64.S1Walk excepts cache maintenance alone. FEAT_ATS1A.
    let hidden = [identity, (NonSecure, 0x5000_0008, 0x8000_0001)];
    assert_eq!(par(run(S1E1A, El1, &hidden)), 0x813, "Access flag fault, level 1");
    assert_eq!(par(run(S1E1R, El1, &hidden)), 0x813, "Access flag fault, level 1");
    // AP[2]: read-only.
    let read_only = [identity, (NonSecure, 0x5000_0008, 0x8000_0481)];
    assert_eq!(par(run(S1E1W, El1, &read_only)), 0x81b, "Permission fault, level 1");
    assert_eq!(par(run(S1E1A, El1, &read_only)), 0xff00_0000_8000_1800);
}

#[test]
fn at_under_e2h_and_tge_asks_the_regime_of_the_host() {
    let el2 = both_stages().el1;
    let registers =
        Registers { el2, el1: Stage1Registers::default(), hcr_el2: 1 | 1 << 34 | 1 << 27, ..both_stages() };
    let memory = Spaces::of(&[(NonSecure, 0x5000_0008, 0x8000_0441)]);
    for operation in [AtOperation::S1E0R, AtOperation::S1E1R, AtOperation::S12E0R, AtOperation::S1E2R] {
        let context = AtContext { el: ExceptionLevel::El2, pan: false };
        let state = (&registers, &Implementation::ALL);
        let outcome = at(operation, Va::new(0x4000_1234), context, state, &memory, &mut ());
        assert_eq!(outcome, Ok(AtOutcome::Par(0xff00_0000_8000_1800)), "{operation:?}");
    }
}

#[test]
fn hpfar_is_valid_for_some_faults_of_stage_2() {
    use FaultStatus as F;
    const L: Level = Level::L2;
    const IPA: u64 = 0x12_3456_7890;
    let cases: &[(&str, F, bool, bool)] = &[
        ("Translation", F::Translation(L), false, true),
        ("Access flag", F::AccessFlag(L), false, true),
        ("Address size", F::AddressSize(L), false, true),
        ("Permission", F::Permission(L), false, false),
        ("Permission on a walk", F::Permission(L), true, true),
        ("Alignment", F::Alignment, false, false),
        ("External abort on a walk", F::ExternalOnWalk(L), true, false),
    ];
    for (name, status, s1ptw, valid) in cases {
        let fault = Fault {
            stage: Stage::Two,
            s1ptw: *s1ptw,
            ipa: Some(Ipa::new(IPA)),
            ..Fault::stage_1(*status, false)
        };
        // FIPA is IPA[55:12] at bits 47:4.
        let want = (IPA >> 12) << 4;
        assert_eq!(fault.hpfar(NonSecure), valid.then_some(want), "{name}");
    }
    assert_eq!(Fault::stage_1(FaultStatus::Translation(L), false).hpfar(NonSecure), None, "stage 1");
}

#[test]
fn qualifiers_have_their_bits_in_iss_iss2_and_par() {
    let permission = Fault::stage_1(FaultStatus::Permission(Level::L3), true);
    let of = |why, access| {
        let fault = permission.because(why);
        (fault.iss(access), fault.iss2(access), fault.par())
    };
    // ISS2 is ESR[55:32]: DirtyBit 37, Overlay 38, AssuredOnly 39, GCS 40; TopLevel is ISS[21]. PAR: 15, 14,
    // 12 and 13. Arm ARM, ESR_EL1, PAR_EL1.
    assert_eq!(of(Qualifiers::NONE, WRITE), (0x4f, 0, 0x81f));
    assert_eq!(of(Qualifiers::DIRTY_BIT, WRITE), (0x4f, 1 << 5, 0x881f));
    assert_eq!(of(Qualifiers::OVERLAY, WRITE), (0x4f, 1 << 6, 0x481f));
    assert_eq!(of(Qualifiers::ASSURED_ONLY, WRITE), (0x4f, 1 << 7, 0x181f));
    assert_eq!(of(Qualifiers::TOP_LEVEL, WRITE), (0x20_004f, 0, 0x281f));
    let gcs = Access::new(AccessKind::GcsWrite, Privilege::Unprivileged);
    assert_eq!(of(Qualifiers::NONE, gcs), (0x4f, 1 << 8, 0x81f));
    assert_eq!(of(Qualifiers::OVERLAY, FETCH), (0xf, 1 << 6, 0x481f), "an instruction abort has no WnR");
}

#[test]
fn a_device_by_stage_2_alone_is_its_alignment_fault() {
    let memory = |mem_attr: u64| {
        Spaces::of(&[
            (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
            (NonSecure, 0x5000_0008, 0x8000_0401),
            (NonSecure, 0x4000_0010, 0x1_0000_04c1 | mem_attr << 2),
        ])
    };
    // MemAttr 0b0001, Device-nGnRE. Arm ARM, AArch64.S2HasAlignmentFault.
    let fault = faulted(ask(Regime::El1And0, &both_stages(), &memory(1), 0x4000_1233, READ.unaligned()));
    assert_eq!((fault.status, fault.stage), (FaultStatus::Alignment, Stage::Two));
    assert_eq!(fault.hpfar(NonSecure), None);
    let found = mapped(ask(Regime::El1And0, &both_stages(), &memory(1), 0x4000_1234, READ));
    assert_eq!(found.attributes.byte(), 0x05, "nGnRE over Write-Back, XS 0");
    let found = mapped(ask(Regime::El1And0, &both_stages(), &memory(0xf), 0x4000_1233, READ.unaligned()));
    assert_eq!(found.attributes.byte(), 0xff);
}

#[test]
fn xnx_tells_execution_at_el0_from_el1() {
    let of = |xn: u64, implementation: &Implementation| {
        let memory = Spaces::of(&[
            (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
            (NonSecure, 0x5000_0008, 0x8000_0441 | 1 << 7),
            (NonSecure, 0x4000_0010, xn << 53 | 0x1_0000_0000 | S2_BLOCK),
        ]);
        let translator = Translator::new(Regime::El1And0, &both_stages(), implementation);
        [FETCH, USER_FETCH].map(|access| {
            let found = translator.translate(Va::new(0x4000_0000), access, &memory, &mut ());
            matches!(found, Ok(Translation::Mapped(_)))
        })
    };
    let old = Implementation { xnx: false, ..Implementation::ALL };
    // Descriptor bits 54:53. Arm ARM, AArch64.S2DirectBasePermissions.
    for (xn, with, without) in [
        (0, [true, true], [true, true]),
        (1, [false, true], [true, true]),
        (2, [false, false], [false, false]),
        (3, [true, false], [false, false]),
    ] {
        assert_eq!(of(xn, &Implementation::ALL), with, "XN {xn:02b}");
        assert_eq!(of(xn, &old), without, "XN {xn:02b} without FEAT_XNX");
    }
}

#[test]
fn tags_and_non_fault_loads_have_their_controls() {
    // MTX0, TCR_EL1[60]: VA[59:56] is a tag of data addresses; bits 63:60 still count.
    let with = |tcr: u64| {
        let mut registers = both_stages();
        registers.hcr_el2 = 0;
        registers.el1.tcr |= tcr;
        registers
    };
    let memory = Spaces::of(&[(NonSecure, 0x5000_0008, 0x8000_0441)]);
    let mapped_at = |tcr, va, access| {
        matches!(ask(Regime::El1And0, &with(tcr), &memory, va, access), Translation::Mapped(_))
    };
    const MTX0: u64 = 1 << 60;
    assert!(mapped_at(MTX0, 0x0b00_0000_4000_0000, READ));
    assert!(!mapped_at(0, 0x0b00_0000_4000_0000, READ));
    assert!(!mapped_at(MTX0, 0x1b00_0000_4000_0000, READ));
    // NFD0, TCR_EL1[53]: non-fault loads of EL0 do not walk.
    const NFD0: u64 = 1 << 53;
    assert!(mapped_at(NFD0, 0x4000_0000, USER_READ) && mapped_at(NFD0, 0x4000_0000, READ.non_fault()));
    let fault = faulted(ask(Regime::El1And0, &with(NFD0), &memory, 0x4000_0000, USER_READ.non_fault()));
    assert_eq!(fault, Fault::stage_1(FaultStatus::Translation(Level::L0), false));
}

#[test]
fn a_clear_access_flag_stops_accesses_and_not_maintenance() {
    let clear = |stage1: u64, stage2: u64| {
        Spaces::of(&[
            (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
            (NonSecure, 0x5000_0008, 0x8000_0041 | stage1),
            (NonSecure, 0x4000_0010, 0x1_0000_00fd | stage2),
        ])
    };
    const AF: u64 = 1 << 10;
    let clean = Access::new(AccessKind::Clean, Privilege::Unprivileged);
    for (stage1, stage2, want) in [(0, AF, Stage::One), (AF, 0, Stage::Two)] {
        let of = |access| ask(Regime::El1And0, &both_stages(), &clear(stage1, stage2), 0x4000_0000, access);
        let fault = faulted(of(READ));
        assert_eq!((fault.status, fault.stage), (FaultStatus::AccessFlag(Level::L1), want));
        assert_eq!(mapped(of(clean)).output.pa, Pa::new(0x1_0000_0000), "CHOICE");
    }
}

/// Memory in which another agent is always a step ahead: each compare and swap first loses to it.
struct Contended {
    entries: RefCell<BTreeMap<u64, u64>>,
    /// What the others write, the next one last.
    others: RefCell<Vec<(u64, u64)>>,
    answer: Option<Swap>,
}

impl TableMemory<Pa> for Contended {
    type Error = ();

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, ()> {
        Ok(Some(self.entries.borrow().get(&at.bits()).copied().unwrap_or(0).to_le_bytes()))
    }
}

impl TableUpdate<Pa> for Contended {
    fn compare_exchange(&self, at: Pa, old: [u8; 8], new: [u8; 8]) -> Result<Swap, ()> {
        if let Some(answer) = self.answer {
            return Ok(answer);
        }
        if let Some((at, value)) = self.others.borrow_mut().pop() {
            self.entries.borrow_mut().insert(at, value);
        }
        if self.load(at)? != Some(old) {
            return Ok(Swap::Lost);
        }
        self.entries.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        Ok(Swap::Done)
    }
}

fn contended(others: &[(u64, u64)], answer: Option<Swap>) -> (Contended, Translator) {
    let entries = BTreeMap::from([(0x5000_0008, 0x8000_0001)]);
    let memory = Contended { entries: RefCell::new(entries), others: RefCell::new(others.to_vec()), answer };
    let mut registers = both_stages();
    registers.hcr_el2 = 0;
    // HA.
    registers.el1.tcr |= 1 << 39;
    (memory, Translator::new(Regime::El1And0, &registers, &Implementation::ALL))
}

#[test]
fn a_lost_race_walks_again() {
    // The others map something else meanwhile: the access goes there, and its flag is set.
    let (memory, translator) = contended(&[(0x5000_0008, 0xc000_0001)], None);
    let found = translator.translate_updating(Va::new(0x4000_0000), READ, &memory, &mut ()).expect("works");
    assert_eq!(mapped(found).output, Pa::new(0xc000_0000));
    assert_eq!(memory.entries.borrow().get(&0x5000_0008), Some(&0xc000_0401));
    // They unmap it: a fault, and nothing is written.
    let (memory, translator) = contended(&[(0x5000_0008, 0)], None);
    let found = translator.translate_updating(Va::new(0x4000_0000), READ, &memory, &mut ()).expect("works");
    assert_eq!(faulted(found).status, FaultStatus::Translation(Level::L1));
    assert_eq!(memory.entries.borrow().get(&0x5000_0008), Some(&0));
}

#[test]
fn an_update_that_memory_cannot_do_is_a_fault() {
    for answer in [Swap::Unsupported, Swap::Lost] {
        let (memory, translator) = contended(&[], Some(answer));
        let found = translator.translate_updating(Va::new(0x4000_0000), READ, &memory, &mut ());
        assert_eq!(faulted(found.expect("works")).status, FaultStatus::UnsupportedAtomicUpdate, "{answer:?}");
    }
}

#[test]
fn a_recorder_hears_each_step() {
    #[derive(Default)]
    struct Steps(Vec<Step>);
    impl Recorder for Steps {
        fn record(&mut self, step: Step) {
            self.0.push(step);
        }
    }
    let memory = Spaces::of(&[
        (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
        (NonSecure, 0x5000_0008, 0x8000_0401),
    ]);
    let translator = Translator::new(Regime::El1And0, &both_stages(), &Implementation::ALL);
    let mut steps = Steps::default();
    let _ = translator.translate(Va::new(0x4000_1234), READ, &memory, &mut steps).expect("memory works");
    let descriptors: Vec<_> = steps
        .0
        .iter()
        .filter_map(|step| match step {
            Step::Descriptor { stage, level, at, index, kind, .. } => {
                Some((*stage, *level, *at, *index, *kind))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        descriptors,
        [
            // Stage 2 of the stage 1 table; 40-bit input: IA[39:30] in two tables.
            (Stage::Two, Level::L1, 0x4000_0008, (39, 30), DescriptorKind::Block),
            (Stage::One, Level::L1, 0x5000_0008, (38, 30), DescriptorKind::Block),
            (Stage::Two, Level::L1, 0x4000_0010, (39, 30), DescriptorKind::Invalid),
        ]
    );
    assert!(matches!(steps.0.last(), Some(Step::Fault(fault)) if fault.stage == Stage::Two));
}
