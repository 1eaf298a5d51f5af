//! Random instructions, from fixed seeds, at EL0 and EL1, with vectors that go on with the next one.
//!
//! Each is executed on its own: registers are set anew (addresses of a sandbox, of a device, of nothing, and numbers),
//! the instruction stands before an SVC or a branch back, and a timer ends what loops.

use crate::guest::{PL031, Program, a64::*, numbers};
use crate::session::{Finished, LIMIT, Session};
use testkit::rng::Rng;

/// 64 KiB that loads and stores may reach from the registers.
const SANDBOX: u64 = 0x4200_0000;
/// Words that stand for one try: the instruction, and ways back for those that jump a little.
const TRY: usize = 4;

/// Instruction words: half of them of any kind, half with the leading bits of something that exists.
fn word(rng: &mut Rng, el1: bool) -> u32 {
    const KINDS: &[(u32, u32)] = &[
        // Fixed bits, mask of the random ones: loads and stores, SIMD and scalar ones, data processing, floating point,
        // system, branches, exceptions.
        (0x0800_0000, 0xf6ff_ffff),
        (0x3800_0000, 0xc7ff_ffff),
        (0x2800_0000, 0xd7ff_ffff),
        (0x0c00_0000, 0x41ff_ffff),
        (0x0a00_0000, 0xf1ff_ffff),
        (0x1a00_0000, 0xf1ff_ffff),
        (0x1000_0000, 0xe3ff_ffff),
        (0x0e00_0000, 0xf1ff_ffff),
        (0x1e20_0000, 0xe1df_ffff),
        (0xd500_0000, 0x003f_ffff),
        (0x1000_0000, 0xe7ff_ffff),
        (0xd400_0000, 0x00ff_ffff),
    ];
    loop {
        let random = rng.half();
        let word = if rng.percent(50) {
            random
        } else {
            let (fixed, mask) = *rng.pick(KINDS);
            fixed | random & mask
        };
        // HVC with immediate 0 could turn the machine off by chance only, but WFI and WFE at EL1 wait for what will
        // not come, and an MSR of these leaves no vectors to come back to.
        let lost = [WFI, WFE].contains(&word)
            || el1
                && [VBAR_EL1, SCTLR_EL1, TCR_EL1, TTBR0_EL1, MAIR_EL1]
                    .iter()
                    .any(|register| word & !31 == msr(*register, 0))
            || el1 && word & 0xffff_f0ff == 0xd503_40df;
        if !lost {
            return word;
        }
    }
}

fn registers(rng: &mut Rng) -> Vec<u8> {
    let value = |rng: &mut Rng| match rng.below(8) {
        0..=2 => SANDBOX + rng.below(0x1_0000),
        3 => SANDBOX + rng.below(0x1000) * 16,
        4 => *rng.pick(&[PL031, PL031 + 0xfe0, 0x1000_0000, 0x4400_0000, 0, 0x100_0000_0000]),
        5 => rng.below(256),
        6 => rng.around_zero(64) as u64,
        _ => rng.word(),
    };
    (0..32 * 64).flat_map(|_| value(rng).to_le_bytes()).collect()
}

/// Builds a guest that tries `tries` instructions, prints a dot for each 1024, and `done`.
fn soup(seed: u64, tries: usize, el1: bool) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut code = Vec::new();
    for _ in 0..tries {
        code.push(word(&mut rng, el1));
        code.resize(code.len() + TRY - 1, svc(0));
    }
    let code: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();

    let mut guest = Program::with_handler("next");
    // A try at EL1 may jump here: the machine is not started twice.
    guest.to("state", |o| adr(20, o));
    guest.op(ldr(21, 20, 24));
    guest.to("next", |o| cbnz(21, o));
    guest.ops(&[movz(21, 1, 0), str(21, 20, 24)]);
    // EL1 executes nothing that EL0 can write: its soup is in pages of its own.
    guest.mmu_on((!el1).then_some("soup"));
    guest.interrupts(0);
    // What the handler keeps where no register is safe: tries done, next try, next registers, started.
    guest.to("state", |o| adr(20, o));
    guest.to("soup address", |o| adr(21, o));
    guest.op(ldr(21, 21, 0));
    guest.ops(&[str(ZR, 20, 0), str(21, 20, 8), str(ZR, 20, 16), movz(26, 1, 0)]);
    guest.to("next", b);

    // Count by class of exception; interrupts count as class 63.
    guest.label("next");
    guest.ops(&[mrs(20, ESR_EL1), ubfx(20, 20, 26, 6), ubfx(21, 26, 0, 2)]);
    guest.to("synchronous", |o| cbz(21, o));
    guest.op(movz(20, 63, 0));
    guest.label("synchronous");
    guest.to("classes", |o| adr(21, o));
    guest.ops(&[lsl(20, 20, 3), add(21, 21, 20), ldr(20, 21, 0), add_i(20, 20, 1), str(20, 21, 0)]);
    guest.to("vectors", |o| adr(25, o));
    guest.op(msr(VBAR_EL1, 25));
    guest.set(27, crate::guest::PL011);
    // The timer is set anew, an interrupt of it is done with.
    guest.ops(&[msr(CNTV_CTL_EL0, ZR), ISB, mrs(20, ICC_IAR1_EL1), msr(ICC_EOIR1_EL1, 20)]);
    // Masks of PSTATE, debug and the controls that the soup may have changed.
    for register in [MDSCR_EL1, CNTP_CTL_EL0, TPIDR_EL1, CNTKCTL_EL1] {
        guest.op(msr(register, ZR));
    }
    guest.set(20, 3 << 20);
    guest.op(msr(CPACR_EL1, 20));
    guest.set(20, 0xff);
    guest.op(msr(ICC_PMR_EL1, 20));
    guest.ops(&[movz(20, 1, 0), msr(ICC_IGRPEN1_EL1, 20), msr(SPSEL, 20), ISB]);
    guest.to("state", |o| adr(20, o));
    guest.ops(&[ldr(21, 20, 0), ldr(22, 20, 8), ldr(23, 20, 16)]);
    guest.set(24, tries as u64);
    guest.op(cmp(21, 24));
    guest.to("end", |o| b_cond(EQ, o));
    guest.op(ubfx(24, 21, 0, 10));
    guest.to("quiet", |o| cbnz(24, o));
    guest.set(24, u64::from(b'.'));
    guest.op(str_w(24, 27, 0));
    guest.label("quiet");
    guest.ops(&[msr(ELR_EL1, 22), add_i(21, 21, 1), str(21, 20, 0)]);
    guest.ops(&[add_i(22, 22, TRY as u32 * 4), str(22, 20, 8)]);
    guest.ops(&[add_i(24, 23, 1), ubfx(24, 24, 0, 6), str(24, 20, 16)]);
    // EL1 with SP_EL1 or EL0; interrupts open.
    guest.op(movz(24, if el1 { 5 } else { 0 }, 0));
    guest.op(msr(SPSR_EL1, 24));
    guest.set(24, 200_000);
    guest.op(msr(CNTV_TVAL_EL0, 24));
    guest.ops(&[movz(24, 1, 0), msr(CNTV_CTL_EL0, 24)]);
    // All registers, X30 to X0, of one of 64 sets.
    guest.to("registers address", |o| adr(20, o));
    guest.ops(&[ldr(20, 20, 0), lsl(23, 23, 8), add(0, 20, 23)]);
    guest.ops(&[ldr(1, 0, 248), msr(SP_EL0, 1), add_i(SP, 1, 0)]);
    for register in (0..31).rev() {
        guest.op(ldr(register, 0, register * 8));
    }
    guest.op(ERET);

    guest.label("end");
    guest.set(27, crate::guest::PL011);
    guest.say("\n");
    guest.to("classes", |o| adr(10, o));
    guest.repeat(11, 64, |guest| {
        guest.op(ldr_next(12, 10));
        guest.print(12);
    });
    guest.say("done\n");
    guest.power_off();
    guest.data("classes", 8, vec![0; 64 * 8]);
    guest.data("state", 8, vec![0; 32]);
    guest.address_data("registers address", "registers");
    guest.address_data("soup address", "soup");
    guest.data("registers", 8, registers(&mut rng));
    guest.user_data("soup", code);
    guest.image()
}

/// Runs it; what does not come to an end by itself is ended by the person, which has to work.
fn eat(seed: u64, tries: usize, el1: bool) -> (Finished, bool) {
    let session = Session::boot(&soup(seed, tries, el1), &[]);
    let limit = if el1 { LIMIT / 6 } else { LIMIT };
    let done = session.out.wait(limit, |heard| heard.contains("done"));
    let finished = if done { session.finish() } else { session.quit() };
    finished.expect_code(0);
    let classes: Vec<(usize, u64)> =
        numbers(&finished.out).into_iter().enumerate().filter(|(_, count)| *count != 0).collect();
    println!(
        "seed {seed}: {} of {tries} tries, classes {classes:x?}",
        finished.out.matches('.').count() * 1024
    );
    (finished, done)
}

/// If it came to its end: every try was one exception or interrupt, a good part did something, others faulted.
#[track_caller]
fn check_classes(finished: &Finished) {
    let classes = numbers(&finished.out);
    let [undefined, svc, abort] = [0, 0x15, 0x24].map(|class| classes.get(class).copied().unwrap_or(0));
    let own_abort = classes.get(0x25).copied().unwrap_or(0);
    let total: u64 = classes.iter().sum();
    if classes.len() == 64 {
        assert!(total > TRIES as u64, "{total} exceptions");
    }
    assert!(svc > total / 10 && undefined > total / 10 && abort + own_abort > total / 50, "{classes:?}");
}

const TRIES: usize = 32 * 1024;

/// EL0 cannot keep the timer away, so every try ends.
#[test]
fn random_instructions_at_el0_all_come_to_an_end() {
    for seed in [1, 2, 3, 4] {
        let (finished, done) = eat(seed, TRIES, false);
        assert!(done, "seed {seed}: {:?}", finished.out);
        assert_eq!(finished.out.matches('.').count(), TRIES / 1024, "seed {seed}");
        check_classes(&finished);
    }
}

/// EL1 may shut itself out by what it writes; the program lives all the same.
#[test]
fn random_instructions_at_el1_do_not_hurt_the_host() {
    let mut ends = 0;
    for seed in [11, 12, 13, 14] {
        let (finished, done) = eat(seed, TRIES, true);
        check_classes(&finished);
        ends += u32::from(done);
    }
    assert!(ends > 0, "no seed came to its end");
}
