//! Self-hosted debug as a guest sees it: software step, breakpoints, watchpoints.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test"
)]

mod engine_support;

use arm_exec::{Event, Pe, Statistics};
use engine_support::{CODE, DATA, DONE, HVC, LOWER_SYNC, SAME_SYNC, VECTORS, World, run};

// Words as an assembler writes them.
const NOP: u32 = 0xd503_201f;
const ERET: u32 = 0xd69f_03e0;
const SVC: u32 = 0xd400_0001;
const BRK: u32 = 0xd420_0000;
const UDF: u32 = 0x0000_0000;
/// `add x1, x1, #1`.
const ADD: u32 = 0x9100_0421;
/// `ldxr x2, [x0]`.
const LDXR: u32 = 0xc85f_7c02;
/// `stxr w3, x2, [x0]`.
const STXR: u32 = 0xc803_7c02;
/// `b .`
const LOOP: u32 = 0x1400_0000;

/// `MDSCR_EL1`: SS, KDE, MDE.
const SS: u64 = 1;
const KDE: u64 = 1 << 13;
const MDE: u64 = 1 << 15;
/// SPSR: software step.
const SPSR_SS: u64 = 1 << 21;
/// PSTATE.D as the engine keeps it.
const D: u64 = 1 << 9;

/// ESR of a step from EL0: ISV, and EX for a load exclusive.
const STEPPED: u64 = 0xcb00_0022;
const STEPPED_EXCLUSIVE: u64 = 0xcb00_0062;
const NOT_STEPPED: u64 = 0xca00_0022;

/// A PE about to return to `CODE` at EL0, from a handler at EL1 that ends the test.
fn debugger(world: &'static World, code: &[u32], mdscr: u64) -> Pe<'static> {
    world.code(CODE, code);
    // Where an exception from EL0 arrives, the test looks.
    world.code(LOWER_SYNC, &[HVC]);
    world.code(SAME_SYNC, &[HVC]);
    world.code(VECTORS + 0x1000, &[ERET]);
    let mut pe = world.pe(0);
    pe.state.sys.mdscr_el1 = mdscr;
    pe.state.sys.elr_el1 = CODE;
    pe.state.x[0] = DATA;
    pe
}

/// Returns to EL0 with this SPSR, until the next exception; its ESR and ELR, and SPSR.SS.
fn resume(pe: &mut Pe<'static>, world: &'static World, spsr: u64) -> (u64, u64, bool) {
    pe.state.pc = VECTORS + 0x1000;
    pe.state.sys.spsr_el1 = spsr;
    assert_eq!(run(pe, world), Some(DONE));
    (pe.state.sys.esr_el1, pe.state.sys.elr_el1, pe.state.sys.spsr_el1 & SPSR_SS != 0)
}

#[test]
fn a_debugger_steps_through_a_program_one_instruction_at_a_time() {
    let world = World::new();
    let mut pe = debugger(world, &[ADD, ADD, NOP, LOOP], SS);
    for count in 1..=3 {
        let (esr, elr, ss) = resume(&mut pe, world, SPSR_SS);
        assert_eq!((esr, elr, ss), (STEPPED, CODE + 4 * count, false), "instruction {count}");
        assert_eq!(pe.state.x[1], count.min(2));
    }
    // A branch to itself is a step that goes nowhere.
    for _ in 0..2 {
        assert_eq!(resume(&mut pe, world, SPSR_SS), (STEPPED, CODE + 12, false));
    }
    // With SS of SPSR clear nothing executes.
    assert_eq!(resume(&mut pe, world, 0), (NOT_STEPPED, CODE + 12, false));
}

#[test]
fn a_step_over_a_call_is_behind_it_and_over_a_fault_before_it() {
    // What it does, its ESR, ELR and SPSR.SS.
    const CASES: &[(&str, u32, u64, u64, bool)] = &[
        ("SVC is done when it is taken", SVC, 0x5600_0000, CODE + 4, false),
        ("BRK is not", BRK, 0xf200_0000, CODE, true),
        ("nor what is UNDEFINED", UDF, 0x0200_0000, CODE, true),
        // ldr x2, [x1], of an address that stage 1, were it on, could not have; MRS of a register of EL1.
        ("nor a register of another level", 0xd538_1000, 0x0200_0000, CODE, true),
    ];
    for (name, word, esr, elr, ss) in CASES {
        let world = World::new();
        let mut pe = debugger(world, &[*word, NOP], SS);
        assert_eq!(resume(&mut pe, world, SPSR_SS), (*esr, *elr, *ss), "{name}");
        assert_eq!(pe.state.sys.mdscr_el1, SS);
        // The handler of the call returns with what it found: the step exception comes before the next instruction,
        // and is not about the instruction before the call.
        if !*ss {
            assert_eq!(resume(&mut pe, world, 0), (NOT_STEPPED, CODE + 4, false), "{name}");
        }
    }
}

#[test]
fn a_step_tells_load_exclusives_and_the_exception_breaks_the_pair() {
    let world = World::new();
    world.put(DATA, 0x77);
    let mut pe = debugger(world, &[LDXR, STXR, NOP], SS);
    assert_eq!(resume(&mut pe, world, SPSR_SS), (STEPPED_EXCLUSIVE, CODE + 4, false));
    assert_eq!(pe.state.x[2], 0x77);
    pe.state.x[2] = 0x78;
    assert_eq!(resume(&mut pe, world, SPSR_SS), (STEPPED, CODE + 8, false));
    assert_eq!(
        (pe.state.x[3], world.get(DATA)),
        (1, 0x77),
        "the return from the handler cleared the monitor"
    );
}

#[test]
fn an_element_steps_itself_at_el1_where_kde_and_d_let_it() {
    let world = World::new();
    // ERET at EL1 with D set begins, and ends with D clear.
    let mut pe = debugger(world, &[NOP, NOP, ERET], SS | KDE);
    assert_eq!(resume(&mut pe, world, SPSR_SS | 5), (0xcf00_0022, CODE + 4, false));
    // Without KDE, or with D, the code just runs: it returns to EL0, where the step is active and pending.
    for (mdscr, spsr) in [(SS, SPSR_SS | 5), (SS | KDE, SPSR_SS | D | 5)] {
        let world = World::new();
        // adr x4, .+20; msr ELR_EL1, x4; msr SPSR_EL1, xzr; eret
        let code = [0x1000_00a4, 0xd518_4024, 0xd518_401f, ERET, NOP, NOP];
        let mut pe = debugger(world, &code, mdscr);
        assert_eq!(resume(&mut pe, world, spsr), (NOT_STEPPED, CODE + 20, false), "{mdscr:#x} {spsr:#x}");
    }
    // Opening D in the middle: the next instruction is not executed any more.
    let world = World::new();
    // msr DAIFClr, #8; nop
    let mut pe = debugger(world, &[NOP, 0xd503_48ff, ADD], SS | KDE);
    assert_eq!(resume(&mut pe, world, D | 5), (0xce00_0022, CODE + 8, false));
    assert_eq!(pe.state.x[1], 0);
}

#[test]
fn an_eret_that_is_stepped_arrives_and_then_the_exception_comes() {
    let world = World::new();
    let mut pe = debugger(world, &[ERET, NOP], SS | KDE);
    // The ERET at CODE returns to itself plus 4, at EL1 with everything open.
    pe.state.pc = VECTORS + 0x1000;
    pe.state.sys.spsr_el1 = SPSR_SS | 5;
    assert_eq!(pe.run(world, 1), Event::Budget, "the first return");
    assert_eq!((pe.state.pc, pe.state.mode.ss), (CODE, true));
    (pe.state.sys.elr_el1, pe.state.sys.spsr_el1) = (CODE + 4, SPSR_SS | 5);
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!((pe.state.sys.esr_el1, pe.state.sys.elr_el1), (0xcf00_0022, CODE + 4));
}

/// E and PMC or PAC for EL0, EL1; BAS of all bytes.
const AT_EL0: u64 = 0x1e5;
const AT_EL1: u64 = 0x1e3;

#[test]
fn a_breakpoint_stops_before_its_instruction_at_the_levels_it_is_for() {
    // MDSCR, DBGBCR, SPSR, ESR of the breakpoint.
    const CASES: &[(&str, u64, u64, u64, Option<u64>)] = &[
        ("EL0", MDE, AT_EL0, 0, Some(0xc200_0022)),
        ("EL0, a breakpoint for EL1", MDE, AT_EL1, 0, None),
        ("EL0, disabled", MDE, AT_EL0 & !1, 0, None),
        ("EL0, without MDE", 0, AT_EL0, 0, None),
        ("EL1", MDE | KDE, AT_EL1, 5, Some(0xc600_0022)),
        ("EL1, without KDE", MDE, AT_EL1, 5, None),
        ("EL1, D set", MDE | KDE, AT_EL1, D | 5, None),
        ("EL1, a breakpoint for EL0", MDE | KDE, AT_EL0, 5, None),
        ("EL1, HMC is reserved without EL2", MDE | KDE, AT_EL1 | 1 << 13, 5, None),
    ];
    for number in 0..2 {
        for (name, mdscr, control, spsr, esr) in CASES {
            let world = World::new();
            let mut pe = debugger(world, &[ADD, ADD, ADD, SVC], *mdscr);
            pe.state.sys.dbgbcr_el1[number] = *control;
            pe.state.sys.dbgbvr_el1[number] = CODE + 8;

            let (got, elr, _) = resume(&mut pe, world, *spsr);
            match esr {
                Some(esr) => assert_eq!((got, elr, pe.state.x[1]), (*esr, CODE + 8, 2), "{name}"),
                None => assert_eq!((got, elr, pe.state.x[1]), (0x5600_0000, CODE + 16, 3), "{name}"),
            }
        }
    }
}

#[test]
fn the_os_lock_holds_debug_exceptions_back() {
    let world = World::new();
    let mut pe = debugger(world, &[ADD, SVC], MDE | SS);
    pe.state.sys.dbgbcr_el1[0] = AT_EL0;
    pe.state.sys.dbgbvr_el1[0] = CODE;
    pe.state.sys.dbgwcr_el1[0] = 0x1ffd;
    pe.state.sys.oslsr_el1 = 2;
    assert_eq!(resume(&mut pe, world, 0), (0x5600_0000, CODE + 8, false));
    pe.state.sys.oslsr_el1 = 0;
    pe.state.sys.elr_el1 = CODE;
    assert_eq!(resume(&mut pe, world, 0), (NOT_STEPPED, CODE, false), "the step comes before the breakpoint");
    pe.state.sys.mdscr_el1 = MDE;
    assert_eq!(resume(&mut pe, world, 0), (0xc200_0022, CODE, false));
}

#[test]
fn a_breakpoint_is_found_in_a_loop_that_was_running_without_it() {
    let world = World::new();
    // add; cbnz x5 to the next page and back; the breakpoint is set when the blocks are known and linked.
    let far = CODE + 0x1000;
    // sub x5, x5, #1; b far | far: cbnz x5, CODE; svc
    world.code(far, &[0xb5ff_8005, SVC]);
    let mut pe = debugger(world, &[0xd100_04a5, 0x1400_03ff], 0);
    pe.state.x[5] = 1000;
    assert_eq!(resume(&mut pe, world, 0).0, 0x5600_0000);
    (pe.state.sys.mdscr_el1, pe.state.sys.dbgbcr_el1[1], pe.state.sys.dbgbvr_el1[1]) = (MDE, AT_EL0, far);
    pe.state.x[5] = 1000;
    pe.state.sys.elr_el1 = CODE;
    for left in [999, 998] {
        assert_eq!(resume(&mut pe, world, 0), (0xc200_0022, far, false));
        assert_eq!(pe.state.x[5], left);
        // Over it: off for one step.
        (pe.state.sys.mdscr_el1, pe.state.sys.dbgbcr_el1[1]) = (SS, 0);
        assert_eq!(resume(&mut pe, world, SPSR_SS), (STEPPED, CODE, false));
        (pe.state.sys.mdscr_el1, pe.state.sys.dbgbcr_el1[1]) = (MDE, AT_EL0);
    }
}

#[test]
fn breakpoints_match_contexts_and_links() {
    // Breakpoint 1 is the one that knows contexts.
    const CONTEXT: u64 = AT_EL0 | 0b0010 << 20;
    const LINKED_CONTEXT: u64 = AT_EL0 | 0b0011 << 20;
    const LINKED_ADDRESS: u64 = AT_EL0 | 0b0001 << 20 | 1 << 16;
    // DBGBCR0, DBGBCR1, CONTEXTIDR; how many instructions are executed before the exception.
    const CASES: &[(&str, u64, u64, u64, u64)] = &[
        ("a context", 0, CONTEXT, 0x1234, 0),
        ("another context", 0, CONTEXT, 0x1235, 3),
        ("an address in a context", LINKED_ADDRESS, LINKED_CONTEXT, 0x1234, 1),
        ("an address in another context", LINKED_ADDRESS, LINKED_CONTEXT, 0x1235, 3),
        ("a linked context is none by itself", 0, LINKED_CONTEXT, 0x1234, 3),
        ("the first breakpoint knows no contexts", CONTEXT, 0, CODE + 4, 3),
    ];
    for (name, first, second, contextidr, done) in CASES {
        let world = World::new();
        let mut pe = debugger(world, &[ADD, ADD, ADD, SVC], MDE);
        pe.state.sys.dbgbcr_el1 = [*first, *second];
        pe.state.sys.dbgbvr_el1 = [CODE + 4, 0x1234];
        pe.state.sys.contextidr_el1 = *contextidr;
        let (esr, _, _) = resume(&mut pe, world, 0);
        assert_eq!(pe.state.x[1], *done, "{name}");
        assert_eq!(esr, if *done == 3 { 0x5600_0000 } else { 0xc200_0022 }, "{name}");
    }
}

/// DBGWCR for EL0: E, PAC 10, LSC, BAS.
const fn watch(lsc: u64, bas: u64) -> u64 {
    0b101 | lsc << 3 | bas << 5
}

const READ: u64 = 0xd200_0022;
const WRITE: u64 = 0xd200_0062;

/// A watchpoint, the words of an access by X0 (and X2, the value), the address, and what comes of it.
struct Case {
    name: &'static str,
    control: u64,
    value: u64,
    word: u32,
    base: u64,
    want: Option<(u64, u64)>,
}

#[test]
fn watchpoints_match_the_bytes_of_every_kind_of_access() {
    const ALL: u64 = 0xff;
    const L: u64 = 1;
    const S: u64 = 2;
    const fn case(name: &'static str, control: u64, word: u32, base: u64, want: Option<(u64, u64)>) -> Case {
        Case { name, control, value: DATA, word, base, want }
    }
    let cases = [
        case("ldrb", watch(L, ALL), 0x3940_0002, DATA + 7, Some((READ, DATA + 7))),
        case("ldrb, behind", watch(L, ALL), 0x3940_0002, DATA + 8, None),
        case("ldrh, into it, unaligned", watch(L, ALL), 0x7940_0002, DATA - 1, Some((READ, DATA))),
        case("ldrh, before", watch(L, ALL), 0x7940_0002, DATA - 2, None),
        case("ldr w, byte 3", watch(L, 8), 0xb940_0002, DATA, Some((READ, DATA + 3))),
        case("ldr w, byte 4", watch(L, 16), 0xb940_0002, DATA, None),
        case("ldr x", watch(L, ALL), 0xf940_0002, DATA, Some((READ, DATA))),
        case("ldr x, across, unaligned", watch(L, 1), 0xf940_0002, DATA - 7, Some((READ, DATA))),
        case("ldr x, stores only", watch(S, ALL), 0xf940_0002, DATA, None),
        case("strb", watch(S, ALL), 0x3900_0002, DATA, Some((WRITE, DATA))),
        case("strh", watch(S, ALL), 0x7900_0002, DATA + 6, Some((WRITE, DATA + 6))),
        case("str w", watch(S, ALL), 0xb900_0002, DATA + 5, Some((WRITE, DATA + 5))),
        case("str x", watch(3, ALL), 0xf900_0002, DATA, Some((WRITE, DATA))),
        case("str x, loads only", watch(L, ALL), 0xf900_0002, DATA, None),
        case("str x, for EL1", watch(S, ALL) & !4 | 2, 0xf900_0002, DATA, None),
        case("ldp x, its second", watch(L, ALL), 0xa940_0c02, DATA - 8, Some((READ, DATA))),
        case("stp x, its first", watch(S, ALL), 0xa900_0c02, DATA, Some((WRITE, DATA))),
        case("ldr q", watch(L, ALL), 0x3dc0_0002, DATA - 8, Some((READ, DATA))),
        case("str d", watch(S, ALL), 0xfd00_0002, DATA, Some((WRITE, DATA))),
        case("ld1 of four registers", watch(L, ALL), 0x4c40_2002, DATA - 48, Some((READ, DATA))),
        case("ldr x, with write-back", watch(L, ALL), 0xf840_8402, DATA, Some((READ, DATA))),
        case("ldtr x", watch(L, ALL), 0xf840_0802, DATA, Some((READ, DATA))),
        case("ldar x", watch(L, ALL), 0xc8df_fc02, DATA, Some((READ, DATA))),
        case("stlr x", watch(S, ALL), 0xc89f_fc02, DATA, Some((WRITE, DATA))),
        case("ldxr x", watch(L, ALL), 0xc85f_7c02, DATA, Some((READ, DATA))),
        case("ldadd, for loads", watch(3, ALL), 0xf822_0003, DATA, Some((READ, DATA))),
        case("ldadd, for stores", watch(S, ALL), 0xf822_0003, DATA, Some((WRITE, DATA))),
        case("cas", watch(L, ALL), 0xc8a2_7c03, DATA, Some((READ, DATA))),
        case(
            "dc zva, from the middle of its block",
            watch(S, 1),
            0xd50b_7420,
            DATA + 40,
            Some((WRITE, DATA)),
        ),
        case("dc zva, the next block", watch(S, ALL), 0xd50b_7420, DATA + 64, None),
        case("dc cvac is no store", watch(3, ALL), 0xd50b_7a20, DATA, None),
        case("prfm is no load", watch(3, ALL), 0xf980_0002, DATA, None),
        Case { value: DATA + 4, ..case("a word", watch(L, 0xf), 0xf940_0002, DATA, Some((READ, DATA + 4))) },
        case("4 KiB", watch(L, ALL) | 12 << 24, 0x3940_0002, DATA + 0xfff, Some((READ, DATA + 0xfff))),
        case("beyond 4 KiB", watch(L, ALL) | 12 << 24, 0x3940_0002, DATA + 0x1000, None),
    ];
    for (number, Case { name, control, value, word, base, want }) in (0..).zip(cases) {
        let world = World::new();
        world.put(DATA, 0x1111_1111_1111_1111);
        let mut pe = debugger(world, &[word, SVC], MDE);
        // DZE, UCI: cache maintenance at EL0.
        pe.state.sys.sctlr_el1 |= 1 << 14 | 1 << 26;
        pe.state.sys.dbgwcr_el1[number & 1] = control;
        pe.state.sys.dbgwvr_el1[number & 1] = value;
        let values = [base, 0, 0x2222_2222_2222_2222, 0x3333_3333_3333_3333];
        pe.state.x[..4].copy_from_slice(&values);
        // DC takes its address from the field of Rt.
        let word_is_system = word >> 22 == 0b11_0101_0100;
        if word_is_system {
            pe.state.x[0] = base;
        }
        let (esr, elr, _) = resume(&mut pe, world, 0);
        match want {
            Some((want, far)) => {
                assert_eq!((esr, pe.state.sys.far_el1, elr), (want, far, CODE), "{name}");
                assert_eq!(world.get(DATA), 0x1111_1111_1111_1111, "{name}: nothing was stored");
                assert_eq!(pe.state.x[..4], values, "{name}: nothing was loaded or moved on");
            }
            None => assert_eq!((esr, elr), (0x5600_0000, CODE + 8), "{name}"),
        }
    }
}

#[test]
fn ldtr_at_el1_counts_as_an_access_of_el0() {
    for (uao, want) in [(false, 0xd600_0022), (true, 0x5600_0000)] {
        let world = World::new();
        // ldtr x2, [x0]; svc
        let mut pe = debugger(world, &[0xf840_0802, SVC], MDE | KDE);
        (pe.state.sys.dbgwcr_el1[0], pe.state.sys.dbgwvr_el1[0]) = (watch(1, 0xff), DATA);
        let spsr = if uao { 1 << 23 | 5 } else { 5 };
        assert_eq!(resume(&mut pe, world, spsr).0, want, "UAO {uao}");
    }
}

#[test]
fn a_fault_of_translation_comes_before_a_watchpoint() {
    let world = World::new();
    // ldr x2, [x0], not aligned, where SCTLR_EL1.A asks for it.
    let mut pe = debugger(world, &[0xf940_0002, SVC], MDE);
    (pe.state.sys.dbgwcr_el1[0], pe.state.sys.dbgwvr_el1[0]) = (watch(1, 0xff), DATA);
    pe.state.sys.sctlr_el1 |= 2;
    pe.state.x[0] = DATA + 1;
    let (esr, _, _) = resume(&mut pe, world, 0);
    assert_eq!((esr, pe.state.sys.far_el1), (0x9200_0021, DATA + 1));
}

#[test]
fn debug_exceptions_go_to_el2_where_tde_says_so() {
    let world = World::new();
    // ldr x2, [x0]
    let mut pe = debugger(world, &[0xf940_0002, SVC], MDE);
    pe.state.sys.mdcr_el2 = TDE;
    (pe.state.sys.dbgwcr_el1[0], pe.state.sys.dbgwvr_el1[0]) = (watch(1, 0xff), DATA);
    pe.state.pc = VECTORS + 0x1000;
    pe.state.sys.spsr_el1 = 0;
    assert_eq!(run(&mut pe, world), Some(Event::Trap { esr: READ, far: DATA }));
    (pe.state.sys.dbgbcr_el1[0], pe.state.sys.dbgbvr_el1[0]) = (AT_EL0, CODE);
    assert_eq!(run(&mut pe, world), Some(Event::Trap { esr: 0xc200_0022, far: 0 }));
    assert_eq!(pe.state.pc, CODE);
}

/// `MDCR_EL2`.TDE.
const TDE: u64 = 1 << 8;

#[test]
fn steps_go_to_el2_where_tde_says_so() {
    let world = World::new();
    let mut pe = debugger(world, &[ADD, LDXR, SVC], SS);
    pe.state.sys.mdcr_el2 = TDE;
    let step = |pe: &mut Pe<'static>| {
        // EL2 lets one instruction execute: PSTATE.SS, as its ERET would set it.
        pe.state.mode.ss = true;
        (run(pe, world), pe.state.pc, pe.state.mode.ss)
    };
    // Below EL2 without KDE, and D does not mask: the ERET is the last instruction before stepping begins there.
    pe.state.pc = VECTORS + 0x1000;
    pe.state.sys.spsr_el1 = 0;
    let trap = |esr| Some(Event::Trap { esr, far: 0 });
    assert_eq!(step(&mut pe), (trap(STEPPED), CODE, false), "the ERET of EL1 is stepped too");
    assert_eq!(pe.state.mode.el, 0);
    assert_eq!(step(&mut pe), (trap(STEPPED), CODE + 4, false));
    assert_eq!(pe.state.x[1], 1);
    assert_eq!(step(&mut pe), (trap(STEPPED_EXCLUSIVE), CODE + 8, false));
    // Asked again without PSTATE.SS, nothing executes; nobody remembers what was stepped.
    assert_eq!((run(&mut pe, world), pe.state.pc), (trap(NOT_STEPPED), CODE + 8));
    // SVC is taken, then stepped at EL1, with D set.
    assert_eq!(step(&mut pe), (trap(STEPPED), LOWER_SYNC, false));
    assert_eq!((pe.state.mode.el, pe.state.mode.daif & D), (1, D));
    // SSAdvance comes before the exception of SVC. Arm ARM, AArch64.CallSupervisor.
    assert_eq!(pe.state.sys.spsr_el1 & SPSR_SS, 0);
    // EL1 has seen nothing of it.
    assert_eq!(pe.state.sys.esr_el1, 0x5600_0000);
    pe.state.sys.mdcr_el2 = 0;
    assert_eq!(run(&mut pe, world), Some(DONE), "off, and masked at EL1");
}

#[test]
fn what_is_not_armed_costs_nothing() {
    // sub x5, x5, #1; ldr x2, [x0]; cbnz x5, CODE; svc
    let count = |mdscr, control| -> Statistics {
        let world = World::new();
        let mut pe = debugger(world, &[0xd100_04a5, 0xf940_0002, 0xb5ff_ffc5, SVC], mdscr);
        pe.state.x[5] = 1000;
        pe.state.sys.dbgwcr_el1[0] = control;
        assert_eq!(resume(&mut pe, world, 0).0, 0x5600_0000);
        pe.statistics()
    };
    let plain = count(0, 0);
    // Off; on, but nothing is enabled; enabled, but for a level that is never reached.
    for (mdscr, control) in [(0, watch(1, 0xff)), (MDE, 0)] {
        assert_eq!(count(mdscr, control), plain);
    }
    assert_eq!(count(MDE, watch(1, 0xff)).instructions, plain.instructions, "the same program");
}
