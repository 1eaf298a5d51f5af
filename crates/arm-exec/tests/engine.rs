//! What the engine promises around single instructions: precise exceptions, blocks and their links,
//! budgets and requests, invalidation, several PEs on one memory.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a broken assumption is a failed test"
)]

mod engine_support;

use arm_arch::{Ipa, Level, Pa, Va};
use arm_exec::{Event, Invalidation, Stage2Access, Timer};
use engine_support::*;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

const NOP: u32 = 0xd503_201f;
const LOOP: u32 = 0x1400_0000; // b .
const ADD_X0_1: u32 = 0x9100_0400; // add x0, x0, #1
const LDR_X2_X1: u32 = 0xf940_0022; // ldr x2, [x1]
const STR_X6_X1: u32 = 0xf900_0026; // str x6, [x1]
const BR_X1: u32 = 0xd61f_0020;
const DSB_ISH: u32 = 0xd503_3b9f;
const ISB: u32 = 0xd503_3fdf;

#[test]
fn stage_2_aborts_name_the_transfer_and_change_nothing() {
    // Instruction, ESR_EL2 as the Arm ARM lays it out: EC 0x24, IL, ISV and what comes with it, WnR,
    // DFSC left at translation fault, level 0.
    const CASES: &[(&str, u32, u64)] = &[
        ("ldr w3, [x1]", 0xb940_0023, 0x9383_0004),
        ("strb w5, [x1, #1]", 0x3900_0425, 0x9305_0044),
        ("ldrsh x2, [x1]", 0x7980_0022, 0x9362_8004),
        ("ldr x0, [x1], #8 writes back", 0xf840_8420, 0x9200_0004),
        ("ldp x2, x3, [x1]", 0xa940_0c22, 0x9200_0004),
        ("ldadd x2, x3, [x1]", 0xf822_0023, 0x9200_0044),
        ("ldr q3, [x1]", 0x3dc0_0023, 0x9200_0004),
        ("str x2, [x1], #8", 0xf800_8422, 0x9200_0044),
    ];
    for (name, word, want) in CASES {
        let world = World::new();
        world.code(CODE, &[ADD_X0_1, *word, ADD_X0_1]);
        world.map(DATA, HOLE);
        let mut pe = world.pe(0);
        pe.state.x[1] = DATA;
        let Some(Event::Stage2 { esr, far, ipa, s1_walk_level, .. }) = run(&mut pe, world) else {
            panic!("{name}: no abort")
        };
        assert_eq!(esr, *want, "{name}: {esr:#x}");
        assert_eq!((far & !1, ipa.bits() & !1, s1_walk_level), (DATA, DATA, None), "{name}");
        assert_eq!((pe.state.pc, pe.state.x[0], pe.state.x[1]), (CODE + 4, 1, DATA), "{name}");
        assert_eq!(pe.statistics().instructions, 1, "{name}");
    }
}

#[test]
fn an_access_that_was_refused_succeeds_once_it_is_mapped() {
    let world = World::new();
    world.code(CODE, &[LDR_X2_X1, HVC]);
    world.put(DATA, 0x1234);
    world.map(DATA, HOLE);
    let mut pe = world.pe(0);
    pe.state.x[1] = DATA;
    assert!(matches!(run(&mut pe, world), Some(Event::Stage2 { .. })));
    world.map(DATA, DATA);
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!((pe.state.x[2], pe.state.pc), (0x1234, CODE + 8));
}

#[test]
fn a_read_only_page_is_read_and_its_stores_are_refused() {
    let world = World::new();
    world.code(CODE, &[LDR_X2_X1, STR_X6_X1]);
    world.map(DATA, DATA | READ_ONLY);
    let mut pe = world.pe(0);
    pe.state.x[1] = DATA;
    let want = Refused(Stage2Access::Write);
    assert!(matches!(run(&mut pe, world), Some(Event::Stage2 { fault, .. }) if fault == want));
    assert_eq!(pe.state.pc, CODE + 4);
}

#[test]
fn accesses_cross_pages_byte_by_byte() {
    let world = World::new();
    // ldur x4, [x1, #1]; str x4, [x1] at three bytes before the end of a page.
    world.code(CODE, &[0xf840_1024, 0xf900_0024, HVC]);
    world.put(DATA + 0xff8, 0x8877_6655_4433_2211);
    world.map(DATA + 0x1000, 0xc_0000);
    world.put(0xc_0000, 0xffee_ddcc_bbaa_9900);
    let mut pe = world.pe(0);
    pe.state.x[1] = DATA + 0xffc;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[4], 0xccbb_aa99_0088_7766);
    assert_eq!(world.get(DATA + 0xff8), 0x0088_7766_4433_2211);
    assert_eq!(world.get(0xc_0000), 0xffee_ddcc_ccbb_aa99);
}

#[test]
fn a_crossing_access_names_the_page_that_fails_and_stores_nothing() {
    let world = World::new();
    world.code(CODE, &[STR_X6_X1]);
    world.map(DATA + 0x1000, HOLE);
    let mut pe = world.pe(0);
    (pe.state.x[1], pe.state.x[6]) = (DATA + 0xffc, u64::MAX);
    let Some(Event::Stage2 { far, ipa, .. }) = run(&mut pe, world) else { panic!("no abort") };
    assert_eq!((far, ipa), (DATA + 0x1000, Ipa::new(DATA + 0x1000)));
    assert_eq!(world.get(DATA + 0xff8), 0);
}

#[test]
fn sctlr_says_when_alignment_matters_and_in_which_order_bytes_lie() {
    let world = World::new();
    world.code(CODE, &[0xf840_1024, HVC]); // ldur x4, [x1, #1]
    world.put(DATA, 0x8877_6655_4433_2211);
    let mut pe = world.pe(0);
    pe.state.x[1] = DATA - 1;
    pe.state.sys.sctlr_el1 |= 1 << 25;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[4], 0x1122_3344_5566_7788, "EE");
    (pe.state.pc, pe.state.x[1]) = (CODE, DATA);
    pe.state.sys.sctlr_el1 &= !(1 << 25);
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[4], 0x0088_7766_5544_3322, "neither");
    pe.state.pc = CODE;
    pe.state.sys.sctlr_el1 |= 1 << 1;
    assert_eq!(pe.step(world), Event::Budget);
    assert_eq!((pe.state.pc, pe.state.sys.esr_el1), (SAME_SYNC, 0x9600_0021), "A");
    assert_eq!((pe.state.sys.far_el1, pe.state.sys.elr_el1), (DATA + 1, CODE));
}

#[test]
fn exceptions_of_the_engine_have_their_syndromes() {
    // Instruction, SP, PC; ESR_EL1, ELR_EL1.
    const CASES: &[(&str, u32, u64, u64, u64, u64)] = &[
        ("ldr x0, [sp, #8] with SP misaligned", 0xf940_07e0, DATA + 8, CODE, 0x9a00_0000, CODE),
        ("UDF", 0, DATA, CODE, 0x0200_0000, CODE),
        ("an address that is not a multiple of four", NOP, DATA, CODE + 2, 0x8a00_0000, CODE + 2),
        ("unaligned LDXR", 0xc85f_7fe4, DATA + 8 + 1, CODE, 0x9a00_0000, CODE),
    ];
    for (name, word, sp, pc, esr, elr) in CASES {
        let world = World::new();
        world.code(CODE, &[*word, NOP]);
        let mut pe = world.pe(0);
        pe.state.sys.sctlr_el1 |= 1 << 3;
        (pe.state.x[32], pe.state.pc) = (*sp, *pc);
        assert_eq!(pe.step(world), Event::Budget, "{name}");
        assert_eq!((pe.state.pc, pe.state.sys.esr_el1), (SAME_SYNC, *esr), "{name}");
        assert_eq!(pe.state.sys.elr_el1, *elr, "{name}");
    }
}

#[test]
fn the_stack_pointer_is_checked_where_it_is_used_not_where_it_is_written() {
    const LDR_SP: u32 = 0xf940_03e0; // ldr x0, [sp]
    // What comes before it, SP afterwards; whether the load is executed.
    const CASES: &[(&str, [u32; 2], u64, bool)] = &[
        ("mov sp, x1; mov sp, x1", [0x9100_003f, 0x9100_003f], DATA + 8, false),
        ("add sp, sp, #8; sub sp, sp, #16", [0x9100_23ff, 0xd100_43ff], DATA - 8, false),
        ("add sp, sp, #8; add sp, sp, #8", [0x9100_23ff, 0x9100_23ff], DATA + 16, true),
        ("ldp x2, x3, [sp], #8; nop", [0xa8c0_8fe2, NOP], DATA + 8, false),
        ("sub sp, sp, #16; nop", [0xd100_43ff, NOP], DATA - 16, true),
    ];
    for sa in [false, true] {
        for (name, before, sp, aligned) in CASES {
            let world = World::new();
            world.code(CODE, &[before[0], before[1], LDR_SP, HVC]);
            world.code(SAME_SYNC, &[HVC]);
            let mut pe = world.pe(0);
            pe.state.sys.sctlr_el1 |= u64::from(sa) << 3;
            (pe.state.x[1], pe.state.x[32]) = (DATA + 8, DATA);
            assert_eq!(run(&mut pe, world), Some(DONE), "{name}");
            let want = if sa && !aligned { SAME_SYNC + 4 } else { CODE + 16 };
            assert_eq!((pe.state.pc, pe.state.x[32]), (want, *sp), "{name}, SA {sa}");
            if sa && !aligned {
                assert_eq!((pe.state.sys.esr_el1, pe.state.sys.elr_el1), (0x9a00_0000, CODE + 8), "{name}");
            }
        }
    }
}

#[test]
fn an_fp_instruction_traps_and_an_unallocated_one_is_undefined() {
    for (word, want) in [(0x1e62_2820, 0x1fe0_0000), (0x1e60_f800, 0x0200_0000), (0x3dc0_0023, 0x1fe0_0000)] {
        let world = World::new();
        world.code(CODE, &[word]);
        let mut pe = world.pe(0);
        pe.state.sys.cpacr_el1 = 0;
        assert_eq!(pe.step(world), Event::Budget);
        assert_eq!(pe.state.sys.esr_el1, want, "{word:#x}");
        assert_eq!(pe.state.sys.elr_el1, CODE, "{word:#x}");
    }
}

#[test]
fn a_run_executes_as_many_blocks_as_it_was_given() {
    let world = World::new();
    world.code(CODE, &[LOOP]);
    let mut pe = world.pe(0);
    for blocks in [1, 2, 1000, 100_000] {
        let before = pe.statistics();
        assert_eq!(pe.run(world, blocks), Event::Budget);
        let after = pe.statistics();
        assert_eq!(after.blocks - before.blocks, u64::from(blocks));
        assert_eq!(after.instructions - before.instructions, u64::from(blocks));
        assert_eq!(pe.state.pc, CODE);
    }
    assert_eq!(pe.run(world, 0), Event::Budget);
    // An endless chain of exceptions ends as well: the vector holds zeros, which are UNDEFINED.
    world.code(CODE, &[0]);
    pe.flush_all();
    assert_eq!(pe.run(world, 10_000), Event::Budget);
}

#[test]
fn stepping_and_running_give_the_same() {
    // The body of a xorshift generator: three exclusive ors, a sum, a counted loop.
    const WORDS: [u32; 8] =
        [0xca00_3400, 0xca40_1c00, 0xca00_4400, 0x8b00_0063, 0xd100_0442, 0xb100_045f, 0x54ff_ff41, HVC];
    let world = World::new();
    world.code(CODE, &WORDS);
    let start = |pe: &mut arm_exec::Pe<'_>| {
        pe.state.pc = CODE;
        (pe.state.x[0], pe.state.x[2], pe.state.x[3]) = (0x9e37_79b9_7f4a_7c15, 999, 0);
    };
    let (mut fast, mut slow) = (world.pe(0), world.pe(1));
    start(&mut fast);
    start(&mut slow);
    assert_eq!(run(&mut fast, world), Some(DONE));
    let mut steps = 0;
    while slow.step(world) == Event::Budget {
        steps += 1;
    }
    // The same sum from a loop in Rust.
    let (mut x, mut sum) = (0x9e37_79b9_7f4a_7c15_u64, 0_u64);
    for _ in 0..1000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum = sum.wrapping_add(x);
    }
    assert_eq!((fast.state.x[3], slow.state.x[3]), (sum, sum));
    assert_eq!(fast.state.x, slow.state.x);
    assert_eq!(fast.state.flags.nzcv(), slow.state.flags.nzcv());
    assert_eq!((steps, fast.statistics().instructions), (7000, 7001));
}

#[test]
fn a_request_to_exit_waits_for_the_next_run_and_ends_one_that_goes_on() {
    let world = World::new();
    world.code(CODE, &[LOOP]);
    let mut pe = world.pe(0);
    world.domain.request_exit(0);
    assert_eq!(pe.run(world, 100), Event::ExitRequest);
    assert_eq!(pe.statistics().blocks, 0);
    assert_eq!(pe.run(world, 100), Event::Budget, "answered once");
    world.domain.request_exit(0);
    world.domain.cancel_exit(0);
    assert_eq!(pe.run(world, 100), Event::Budget, "taken back");
    let runner = thread::spawn(move || {
        loop {
            match pe.run(world, u32::MAX) {
                Event::Budget => {}
                event => return event,
            }
        }
    });
    thread::sleep(std::time::Duration::from_millis(20));
    world.domain.request_exit(0);
    assert_eq!(runner.join().unwrap(), Event::ExitRequest);
}

#[test]
fn an_invalidation_waits_for_a_pe_that_announced_itself() {
    let world = World::new();
    world.code(CODE, &[LOOP]);
    let mut pe = world.pe(0);
    pe.announce();
    let mut looks = 0;
    world.domain.invalidate(Invalidation::All, || {
        looks += 1;
        if looks == 3 {
            pe.withdraw();
        }
    });
    assert_eq!(looks, 3);
    // What was announced is taken up by the run, which leaves.
    pe.announce();
    assert_eq!(pe.run(world, 5), Event::Budget);
    world.domain.invalidate(Invalidation::All, || panic!("nothing runs"));
}

#[test]
fn a_timer_is_told_when_its_condition_becomes_true() {
    let world = World::new();
    world.code(CODE, &[LOOP]);
    let mut pe = world.pe(0);
    (pe.state.sys.cntv_ctl_el0, pe.state.sys.cntv_cval_el0) = (1, 1000);
    assert_eq!(pe.run(world, 5000), Event::Budget);
    world.clock.store(1000, SeqCst);
    assert_eq!(pe.run(world, 5000), Event::Timer(Timer::Virtual));
    assert_eq!(pe.run(world, 5000), Event::Budget, "once");
    // Set by the caller, it is looked at before anything is executed.
    let before = pe.statistics().blocks;
    (pe.state.sys.cntp_ctl_el0, pe.state.sys.cntp_cval_el0) = (1, 999);
    assert_eq!(pe.run(world, 5000), Event::Timer(Timer::Physical));
    assert_eq!(pe.statistics().blocks, before);
}

#[test]
fn code_that_changes_is_executed_after_ic_ivau() {
    let world = World::new();
    // str w2, [x1]; dc cvau, x1; dsb ish; ic ivau, x1; dsb ish; isb; br x1
    let words = [0xb900_0022, 0xd50b_7b21, DSB_ISH, 0xd50b_7521, DSB_ISH, ISB, BR_X1];
    world.code(CODE, &words);
    let routine = 0x2_0000;
    world.code(routine, &[ADD_X0_1, HVC]);
    let mut pe = world.pe(0);
    pe.state.pc = routine;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[0], 1);
    // add x0, x0, #0x10
    (pe.state.pc, pe.state.x[1], pe.state.x[2]) = (CODE, routine, 0x9100_4000);
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[0], 0x11);
}

#[test]
fn links_do_not_outlive_the_pages_they_lead_to() {
    let world = World::new();
    // bl to the next page, and back by ret.
    world.code(CODE, &[0x9400_0400, HVC]);
    world.code(CODE + 0x1000, &[ADD_X0_1, 0xd65f_03c0]);
    world.code(0x9_0000, &[0x9100_4000, 0xd65f_03c0]);
    let mut pe = world.pe(0);
    for _ in 0..3 {
        pe.state.pc = CODE;
        assert_eq!(run(&mut pe, world), Some(DONE));
    }
    assert_eq!(pe.state.x[0], 3);
    world.map(CODE + 0x1000, 0x9_0000);
    world.domain.invalidate_page(Pa::new(CODE + 0x1000), || ());
    pe.state.pc = CODE;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[0], 0x13);
    world.map(CODE + 0x1000, CODE + 0x1000);
    world.domain.invalidate_stage2(|| ());
    pe.state.pc = CODE;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[0], 0x14);
}

#[test]
fn a_pending_link_does_not_survive_a_change_of_pc() {
    let world = World::new();
    // cmp x0, #0; b.eq +8; hvc #1; hvc #0
    world.code(CODE, &[0xf100_001f, 0x5400_0040, 0xd400_0022, HVC]);
    world.code(DATA, &[0xd400_0022]);
    let mut pe = world.pe(0);
    // The budget ends at the branch, and the caller goes elsewhere.
    assert_eq!(pe.run(world, 1), Event::Budget);
    assert_eq!(pe.state.pc, CODE + 12);
    pe.state.pc = DATA;
    assert_eq!(run(&mut pe, world), Some(Event::Trap { esr: 0x5a00_0001, far: 0 }));
    pe.state.pc = CODE;
    assert_eq!(run(&mut pe, world), Some(DONE));
}

#[test]
fn more_code_than_the_caches_hold_still_runs() {
    let world = World::new();
    // 64 pages of "add x0, x0, #1; b .+4" and the way back to the first, seven times.
    let mut words = [ADD_X0_1, 0x1400_0001].repeat(64 * 512);
    let length = words.len();
    // subs x7, x7, #1; b.ne to the next, which goes back; hvc
    words[length - 4..].copy_from_slice(&[0xf100_04e7, 0x5400_0040, HVC, 0x1400_0000]);
    words[length - 1] |= (-(length as i32 - 1)) as u32 & 0x3ff_ffff;
    // b.ne rather than b.eq over the HVC.
    words[length - 3] |= 1;
    world.code(CODE, &words);
    let mut pe = world.small_pe(0, 1 << 13, 256);
    pe.state.x[7] = 7;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[0], 7 * (64 * 512 - 2));
    assert!(pe.statistics().evictions > 10);
}

/// Tables at 0x4_0000 that map a virtual address, with the 4 KiB granule and 39-bit addresses.
struct Tables(&'static World);

impl Tables {
    /// MAIR attribute 0 is Normal memory; TTBR0 at 0x4_0000, whose entry 0 is the table at 0x4_1000
    /// and entry 1 a block of 1 GiB at 0; entry 0 of that the table at 0x4_2000, which maps 1:1.
    fn new(world: &'static World, pe: &mut arm_exec::Pe<'static>) -> Self {
        let this = Self(world);
        world.put(0x4_0000, 0x4_1003);
        world.put(0x4_0008, 0x701);
        world.put(0x4_1000, 0x4_2003);
        // 2 MiB at 2 MiB: block to 0.
        world.put(0x4_1008, 0x701);
        for page in 0..PAGES as u64 {
            this.page(page, page << 12);
        }
        let sys = &mut pe.state.sys;
        (sys.ttbr0_el1, sys.mair_el1) = (0x4_0000, 0xff);
        // T0SZ 25, EPD1, IPS 40 bits; HCR_EL2 without DC, stage 1 on.
        sys.tcr_el1 = 25 | 1 << 23 | 2 << 32;
        sys.hcr_el2 = 0;
        sys.sctlr_el1 |= 0x1005;
        this
    }

    fn page(&self, page: u64, to: u64) {
        self.0.put(0x4_2000 + 8 * page, to | 0x703);
    }
}

#[test]
fn tlbi_by_address_drops_the_page_or_the_block_around_it() {
    // Where the translation is changed: the table entry, what it becomes, two addresses of it (TLBI
    // names the first), what is there afterwards.
    const CASES: &[(&str, u64, u64, [u64; 2])] = &[
        ("a page", 0x4_2000 + 8 * 0x80, 0x9_0703, [0x8_0000, 0x8_0ff8]),
        ("a block of 2 MiB", 0x4_1008, 0, [0x20_0000 + 0x8_0000, 0x20_0000 + 0x8_1000]),
        ("a block of 1 GiB", 0x4_0008, 0, [0x4000_0000 + 0x8_0000, 0x4000_0000 + 0x8_1000]),
    ];
    for (name, entry, becomes, addresses) in CASES {
        let world = World::new();
        // ldr x2, [x1]; hvc — tlbi vae1, x5; dsb ish; isb; hvc
        world.code(CODE, &[LDR_X2_X1, HVC, 0xd508_8725, DSB_ISH, ISB, HVC]);
        world.put(0x8_0000, 1);
        world.put(0x8_0ff8, 1);
        world.put(0x8_1000, 1);
        world.put(0x9_0000, 2);
        world.put(0x9_0ff8, 2);
        let mut pe = world.pe(0);
        Tables::new(world, &mut pe);
        for address in addresses {
            (pe.state.pc, pe.state.x[1]) = (CODE, *address);
            assert_eq!(run(&mut pe, world), Some(DONE), "{name}");
            assert_eq!(pe.state.x[2], 1, "{name}");
        }
        world.put(*entry, *becomes);
        (pe.state.pc, pe.state.x[5]) = (CODE + 8, addresses[0] >> 12);
        assert_eq!(run(&mut pe, world), Some(DONE), "{name}");
        for address in addresses {
            (pe.state.pc, pe.state.x[1]) = (CODE, *address);
            let event = pe.step(world);
            if *becomes == 0 {
                assert_eq!((pe.state.pc, pe.state.sys.far_el1), (SAME_SYNC, *address), "{name}");
            } else {
                assert_eq!((event, pe.state.x[2]), (Event::Budget, 2), "{name}");
            }
        }
    }
}

/// Two pages 16 MiB apart have one place in a map: the one that was asked for before is kept in another, and goes with it.
#[test]
fn a_page_that_gave_way_to_another_is_kept_and_forgotten_as_it_would_be_in_place() {
    const PAGES: [u64; 2] = [0x8_0000, 0x108_0000];
    const TLBI_VAE1: u32 = 0xd508_8725;
    const TLBI_VAAE1: u32 = 0xd508_8765;
    const TLBI_VMALLE1: u32 = 0xd508_871f;
    for (name, tlbi) in
        [("VAE1", TLBI_VAE1), ("VAAE1", TLBI_VAAE1), ("VMALLE1", TLBI_VMALLE1), ("the host", 0)]
    {
        for first in [0, 1] {
            let world = World::new();
            // ldr x2, [x1]; hvc — tlbi, x5; dsb ish; isb; hvc
            world.code(CODE, &[LDR_X2_X1, HVC, tlbi, DSB_ISH, ISB, HVC]);
            let mut pe = world.pe(0);
            Tables::new(world, &mut pe);
            // The second by a table of its own: level 2, entry 8.
            world.put(0x4_1040, 0x4_3003);
            world.put(0x4_3000 + 8 * 0x80, 0xa_0703);
            for (at, value) in [(0x8_0000, 1), (0xa_0000, 2), (0xb_0000, 3)] {
                world.put(at, value);
            }
            let load = |pe: &mut arm_exec::Pe<'static>, page: usize| {
                (pe.state.pc, pe.state.x[1]) = (CODE, PAGES[page]);
                assert_eq!(run(pe, world), Some(DONE), "{name}");
                pe.state.x[2]
            };
            // `first` gives way.
            let second = 1 - first;
            let want = [1, 2];
            assert_eq!([load(&mut pe, first), load(&mut pe, second)], [want[first], want[second]], "{name}");
            let walks = pe.statistics().walks;
            for _ in 0..3 {
                assert_eq!([load(&mut pe, first), load(&mut pe, second)], [want[first], want[second]]);
            }
            assert_eq!(pe.statistics().walks, walks, "{name}: both are known");
            if tlbi == 0 {
                // Stage 2 moves the page.
                let absolute = [0x8_0000, 0xa_0000][first];
                world.map(absolute, 0xb_0000);
                pe.invalidate(Invalidation::Page(Pa::new(absolute)));
            } else {
                world.put([0x4_2000, 0x4_3000][first] + 8 * 0x80, 0xb_0703);
                (pe.state.pc, pe.state.x[5]) = (CODE + 8, PAGES[first] >> 12);
                assert_eq!(run(&mut pe, world), Some(DONE), "{name}");
            }
            assert_eq!([load(&mut pe, first), load(&mut pe, second)], [3, want[second]], "{name}: {first}");
        }
    }
}

#[test]
fn a_walk_that_stage_2_refuses_says_at_which_level() {
    for (hole, level) in [(0x4_0000, Level::L1), (0x4_1000, Level::L2), (0x4_2000, Level::L3)] {
        let world = World::new();
        let mut pe = world.pe(0);
        Tables::new(world, &mut pe);
        // The code itself is not translated through what is missing: nothing is fetched before.
        world.map(hole, HOLE);
        let event = pe.run(world, 1);
        let want = Event::Stage2 {
            fault: Refused(Stage2Access::Walk),
            // EC 0x20, S1PTW.
            esr: 0x8200_0084,
            far: CODE,
            ipa: Ipa::new(match level {
                Level::L3 => hole + 8 * (CODE >> 12),
                _ => hole,
            }),
            s1_walk_level: Some(level),
        };
        assert_eq!(event, want);
    }
}

/// A table that takes rights away is looked at twice: the level does not count it twice.
#[test]
fn a_refused_walk_says_the_level_whatever_the_tables_above_are() {
    // APTable, XNTable, PXNTable: Arm ARM, "Table descriptor".
    for attributes in [0, 1 << 62, 1 << 60, 1 << 59] {
        let world = World::new();
        world.code(CODE, &[LDR_X2_X1, HVC]);
        let mut pe = world.pe(0);
        Tables::new(world, &mut pe);
        pe.state.x[1] = DATA;
        // Level 2, by a table of level 1 with attributes, of which the last address bits name an address that is not there.
        world.put(0x4_0000 + 8, 0x3_0000 | 3 | attributes);
        world.map(0x3_0000, HOLE);
        pe.state.pc = CODE;
        pe.state.x[1] = 1 << 30;
        let event = pe.run(world, 100);
        let Event::Stage2 { ipa, s1_walk_level, .. } = event else {
            panic!("{attributes:#x}: {event:?}");
        };
        assert_eq!((ipa.bits(), s1_walk_level), (0x3_0000, Some(Level::L2)), "{attributes:#x}");
    }
}

/// Pages 16 MiB apart have one place in a map, and there are two maps.
#[test]
fn a_walk_ends_whose_tables_share_one_place_in_the_map() {
    let world = World::new();
    world.code(CODE, &[LDR_X2_X1, HVC]);
    let mut pe = world.pe(0);
    Tables::new(world, &mut pe);
    // Levels 1, 2 and 3, at intermediate addresses of their own: all where the first table's page would be.
    const PLACES: [u64; 2] = [0x104_0000, 0x204_0000];
    for (place, absolute) in PLACES.into_iter().zip([0x3_0000, 0x3_1000]) {
        world.map(place, absolute);
    }
    world.put(0x4_0000 + 8, PLACES[0] | 3);
    world.put(0x3_0000, PLACES[1] | 3);
    world.put(0x3_1000, DATA | 0x703);
    world.put(DATA, 0x5a);
    for _ in 0..3 {
        pe.state.pc = CODE;
        pe.state.x[1] = 1 << 30;
        assert_eq!(run(&mut pe, world), Some(DONE));
        assert_eq!(pe.state.x[2], 0x5a);
        pe.invalidate(Invalidation::Translations);
    }
}

#[test]
fn permissions_differ_by_exception_level_and_pan() {
    let world = World::new();
    world.code(CODE, &[LDR_X2_X1, HVC]);
    let mut pe = world.pe(0);
    let tables = Tables::new(world, &mut pe);
    // EL0 may read and write (AP 01), so EL1 may not execute it and PAN keeps EL1 away.
    tables.page(DATA >> 12, DATA | 1 << 6);
    tables.page(CODE >> 12, CODE);
    pe.state.x[1] = DATA;
    for pan in [false, true, false] {
        pe.state.pc = CODE;
        pe.state.mode.pan = pan;
        assert_eq!(pe.step(world), Event::Budget);
        let want = if pan { SAME_SYNC } else { CODE + 4 };
        assert_eq!(pe.state.pc, want, "PAN {pan}");
    }
    assert_eq!(pe.state.sys.esr_el1, 0x9600_000f, "permission fault, level 3");
}

/// Maintenance by address is no access to the page: that it was done says nothing about the next load.
#[test]
fn cleaning_a_page_without_its_access_flag_does_not_open_it() {
    // dc cvac, x1; dc civac, x1; dc cvau, x1
    for maintenance in [0xd50b_7a21, 0xd50b_7e21, 0xd50b_7b21] {
        let world = World::new();
        world.code(CODE, &[maintenance, LDR_X2_X1, HVC]);
        let mut pe = world.pe(0);
        let tables = Tables::new(world, &mut pe);
        world.put(0x4_2000 + 8 * (DATA >> 12), DATA | 0x303);
        tables.page(CODE >> 12, CODE);
        pe.state.x[1] = DATA;
        pe.state.pc = CODE;
        assert_eq!(pe.step(world), Event::Budget);
        assert_eq!(pe.state.pc, CODE + 4, "{maintenance:#x}");
        assert_eq!(pe.step(world), Event::Budget);
        assert_eq!((pe.state.pc, pe.state.sys.far_el1), (SAME_SYNC, DATA), "{maintenance:#x}");
        assert_eq!(pe.state.sys.esr_el1, 0x9600_000b, "access flag fault, level 3");
    }
}

#[test]
fn host_changes_reach_a_running_pe_before_they_are_done() {
    let world = World::new();
    // add x6, x6, #1; str x6, [x1]; b back
    world.code(CODE, &[0x9100_04c6, STR_X6_X1, 0x17ff_fffe]);
    let mut pe = world.pe(0);
    pe.state.x[1] = DATA;
    let runner = thread::spawn(move || {
        while pe.run(world, u32::MAX) != Event::ExitRequest {}
        pe.statistics()
    });
    let pages = [DATA, 0x9_0000];
    for round in 0..200 {
        let (old, new) = (pages[round & 1], pages[!round & 1]);
        world.map(DATA, new);
        world.domain.invalidate_page(Pa::new(old), thread::yield_now);
        let (last, first) = (world.get(old), world.get(new));
        // Nothing is stored to the old page any more; the new one moves.
        let mut waited = 0;
        while world.get(new) == first {
            thread::yield_now();
            waited += 1;
            assert!(waited < 10_000_000, "the PE stands still");
        }
        assert_eq!(world.get(old), last, "round {round}");
    }
    world.domain.request_exit(0);
    assert!(runner.join().unwrap().invalidations >= 200);
}

#[test]
fn pes_that_invalidate_at_each_other_both_get_on() {
    let world = World::new();
    // tlbi vae1is, x5; dsb ish; isb; subs x0, x0, #1; b.ne back; hvc
    world.code(CODE, &[0xd508_8325, DSB_ISH, ISB, 0xf100_0400, 0x54ff_ff81, HVC]);
    let runners: Vec<_> = (0..3)
        .map(|index| {
            let mut pe = world.pe(index);
            pe.state.x[0] = 3000;
            thread::spawn(move || run(&mut pe, world))
        })
        .collect();
    for runner in runners {
        assert_eq!(runner.join().unwrap(), Some(DONE));
    }
}

#[test]
fn atomics_and_exclusives_of_two_pes_lose_nothing() {
    // ldadd x2, x3, [x1]; subs x0, x0, #1; b.ne back; hvc
    const ATOMIC: [u32; 4] = [0xf822_0023, 0xf100_0400, 0x54ff_ffc1, HVC];
    // ldxr x4, [x1]; add x4, x4, #1; stxr w5, x4, [x1]; cbnz w5 back; subs; b.ne back; hvc
    const EXCLUSIVE: [u32; 7] =
        [0xc85f_7c24, 0x9100_0484, 0xc805_7c24, 0x35ff_ffa5, 0xf100_0400, 0x54ff_ff61, HVC];
    let world = World::new();
    world.code(CODE, &ATOMIC);
    world.code(CODE + 0x100, &EXCLUSIVE);
    let runners: Vec<_> = [0, 0x100, 0, 0x100]
        .into_iter()
        .enumerate()
        .map(|(index, offset)| {
            let mut pe = world.pe(index);
            pe.state.pc = CODE + offset;
            (pe.state.x[0], pe.state.x[1], pe.state.x[2]) = (20_000, DATA, 1);
            thread::spawn(move || run(&mut pe, world))
        })
        .collect();
    for runner in runners {
        assert_eq!(runner.join().unwrap(), Some(DONE));
    }
    assert_eq!(world.get(DATA), 80_000);
}

#[test]
fn pair_atomics_are_whole() {
    let world = World::new();
    // casp x2, x3, x4, x5, [x1]
    world.code(CODE, &[0x4822_7c24, HVC]);
    world.put(DATA, 1);
    world.put(DATA + 8, 2);
    let mut pe = world.pe(0);
    pe.state.x[1..6].copy_from_slice(&[DATA, 1, 2, 3, 4]);
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!((world.get(DATA), world.get(DATA + 8)), (3, 4));
    assert_eq!(pe.state.x[2..4], [1, 2]);
    pe.state.pc = CODE;
    pe.state.x[4] = 9;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!((world.get(DATA), pe.state.x[2], pe.state.x[3]), (3, 3, 4), "no match: loaded");
}

#[test]
fn events_reach_every_pe() {
    let world = World::new();
    world.code(CODE, &[0xd503_209f, HVC]); // sev
    let (mut sender, mut receiver) = (world.pe(0), world.pe(1));
    assert_eq!(run(&mut sender, world), Some(DONE));
    assert!(sender.state.event && !receiver.state.event);
    world.code(CODE, &[LOOP]);
    receiver.flush_all();
    assert_eq!(receiver.run(world, 1), Event::Budget);
    assert!(receiver.state.event);
}

#[test]
fn invalidations_beyond_the_queue_drop_everything() {
    let world = World::new();
    world.code(CODE, &[LDR_X2_X1, HVC]);
    let mut pe = world.pe(0);
    pe.state.x[1] = DATA;
    assert_eq!(run(&mut pe, world), Some(DONE));
    // The PE is not running: nobody waits for it.
    for n in 0..100 {
        world.domain.invalidate(Invalidation::Address(Va::new(n << 12)), || panic!("a wait for nobody"));
    }
    world.map(DATA, 0x9_0000);
    world.put(0x9_0000, 5);
    world.domain.invalidate_page(Pa::new(DATA), || panic!("a wait for nobody"));
    pe.state.pc = CODE;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[2], 5);
}

#[test]
fn a_pe_needs_enough_memory_and_a_number_of_its_domain() {
    use arm_exec::{Caches, Domain, MAX_PES, Pe};
    let make = |maps, ops, functions, index| {
        let domain: &'static Domain = Box::leak(Box::new(Domain::new()));
        let caches = Caches {
            maps: list(maps),
            ops: list(ops),
            blocks: list(256),
            jumps: list(Caches::JUMPS),
            functions: list(functions),
        };
        Pe::new(caches, domain, index).is_some()
    };
    assert!(make(Caches::MAPS, 4096, 1, MAX_PES - 1));
    assert!(!make(Caches::MAPS - 1, 4096, 1, 0));
    assert!(!make(Caches::MAPS, 4095, 1, 0));
    assert!(!make(Caches::MAPS, 4096, 0, 0));
    assert!(!make(Caches::MAPS, 4096, 1, MAX_PES));
}

#[test]
fn a_pe_moves_between_threads() {
    let world = World::new();
    world.code(CODE, &[ADD_X0_1, HVC]);
    let mut pe = world.pe(0);
    for _ in 0..3 {
        pe.state.pc = CODE;
        pe = thread::spawn(move || {
            assert_eq!(run(&mut pe, world), Some(DONE));
            pe
        })
        .join()
        .unwrap();
    }
    assert_eq!(pe.state.x[0], 3);
}

/// Reads of ESR_EL1 that trap, in code that was decoded before they did.
#[test]
fn a_trap_of_storage_reaches_code_that_is_decoded_already() {
    let world = World::new();
    // mrs x1, ESR_EL1; hvc #0
    world.code(CODE, &[0xd538_5201, HVC]);
    let mut pe = world.pe(0);
    pe.state.sys.esr_el1 = 7;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[1], 7);
    pe.state.pc = CODE;
    pe.state.sys.hcr_el2 |= 1 << 30;
    // EC 0x18, Op0 3, Op2 0, Op1 0, CRn 5, Rt 1, CRm 2, a read.
    assert_eq!(run(&mut pe, world), Some(Event::Trap { esr: 0x6230_1425, far: 0 }), "TRVM");
    pe.state.sys.hcr_el2 &= !(1 << 30);
    pe.state.sys.esr_el1 = 8;
    assert_eq!(run(&mut pe, world), Some(DONE));
    assert_eq!(pe.state.x[1], 8);
}
