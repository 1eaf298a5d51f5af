//! The interrupt controller under garbage, timers at their limits, and several CPUs.

use crate::guest::{GICD, GICR, Program, a64::*, numbers, taken};
use crate::session::{Session, boot};
use testkit::rng::Rng;

/// The interrupt vector of EL1, and how the kit tells of it.
fn interrupts(transcript: &str) -> Vec<u64> {
    let lines = transcript.lines().filter_map(|line| line.strip_prefix("i "));
    lines.map(|line| u64::from_str_radix(line, 16).unwrap()).collect()
}

#[test]
fn timers_interrupt_with_their_own_numbers() {
    for (control, value, intid) in [(CNTV_CTL_EL0, CNTV_TVAL_EL0, 27), (CNTP_CTL_EL0, CNTP_TVAL_EL0, 30)] {
        let mut guest = Program::new();
        guest.interrupts(0);
        guest.op(daif_clear(2));
        guest.write(value, 1_000_000);
        guest.write(control, 1);
        guest.op(WFI);
        guest.op(mrs(0, control));
        guest.print(0);
        guest.power_off();
        let out = boot(&guest.image(), &[]).out;
        assert_eq!(interrupts(&out), [intid], "{out}");
        // IMASK only: the kit's handler has masked it.
        assert_eq!(numbers(&out), [2]);
    }
}

/// The comparison is of unsigned numbers; TVAL is signed.
/// Arm ARM, CNTV_CVAL_EL0, CNTV_TVAL_EL0, CNTP_CVAL_EL0, CNTP_TVAL_EL0.
#[test]
fn timers_at_their_limits_are_compared_unsigned() {
    // Register, value, ISTATUS.
    let cases: &[(u32, u64, u64)] = &[
        (CNTV_CVAL_EL0, 0, 4),
        (CNTV_CVAL_EL0, 1, 4),
        (CNTV_CVAL_EL0, u64::MAX, 0),
        (CNTV_CVAL_EL0, 1 << 63, 0),
        (CNTV_CVAL_EL0, u64::MAX >> 1, 0),
        (CNTV_TVAL_EL0, 0, 4),
        (CNTV_TVAL_EL0, 0x7fff_ffff, 0),
        (CNTV_TVAL_EL0, 0xffff_ffff, 4),
        // The upper half of TVAL is not there.
        (CNTV_TVAL_EL0, 0x1234_5678_7fff_ffff, 0),
        (CNTP_CVAL_EL0, 0, 4),
        (CNTP_CVAL_EL0, u64::MAX, 0),
        (CNTP_TVAL_EL0, 0x7fff_ffff, 0),
        (CNTP_TVAL_EL0, 0xffff_ffff, 4),
    ];
    let mut guest = Program::new();
    for (register, value, _) in cases {
        let control = if register >> 3 == CNTV_CTL_EL0 >> 3 { CNTV_CTL_EL0 } else { CNTP_CTL_EL0 };
        guest.write(*register, *value);
        // Enabled and masked: nothing interrupts.
        guest.write(control, 3);
        guest.ops(&[ISB, mrs(0, control)]);
        guest.print(0);
        guest.write(control, 0);
    }
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    let wants: Vec<u64> = cases.iter().map(|(_, _, status)| 3 | status).collect();
    assert_eq!(numbers(&out), wants);
}

/// A compare value of all ones, for a machine that waits: the deadline is centuries away, and no number overflows.
#[test]
fn late_timers_do_not_wake_early() {
    let mut guest = Program::new();
    guest.interrupts(0);
    guest.op(daif_clear(2));
    guest.write(CNTP_CVAL_EL0, u64::MAX);
    guest.write(CNTP_CTL_EL0, 1);
    guest.write(CNTV_TVAL_EL0, 20_000_000);
    guest.write(CNTV_CTL_EL0, 1);
    guest.op(mrs(10, CNTVCT_EL0));
    guest.op(WFI);
    guest.ops(&[mrs(11, CNTVCT_EL0), sub(11, 11, 10)]);
    guest.print(11);
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    assert_eq!(interrupts(&out), [27]);
    assert!(numbers(&out)[0] >= 19_000_000, "{out}");
}

#[test]
fn wfi_with_nothing_enabled_waits_for_the_person() {
    let mut guest = Program::new();
    guest.say("waiting\n");
    guest.op(WFI);
    guest.say("woke up\n");
    guest.power_off();
    let mut session = Session::boot(&guest.image(), &[]);
    session.expect("waiting\n").linger().linger();
    let finished = session.quit();
    assert_eq!(finished.expect_code(0).out, "waiting\n");
}

/// Garbage in all registers of the interrupt controller, in all sizes, then a reading of everything.
#[test]
fn garbage_in_the_interrupt_controller_stays_there() {
    for seed in [1, 2, 3] {
        let mut rng = Rng::new(seed);
        let mut guest = Program::new();
        guest.interrupts(0);
        for _ in 0..4000 {
            let frame = *rng.pick(&[GICD, GICR, GICR + 0x1_0000, GICR + 0x2_0000, GICR + 0x3_0000]);
            let offset = match rng.below(4) {
                0 => rng.below(0x1_0000),
                1 => rng.below(0x1000),
                // Near the registers that do something: CTLR, SETSPI, routing.
                2 => *rng.pick(&[0, 4, 0x10, 0x14, 0x40, 0x48, 0x80, 0x6000, 0x6100, 0xf00]) + rng.below(16),
                _ => rng.below(0x4000) * 4,
            };
            let size = rng.below(4) as u32;
            let address = (frame + (offset & 0xffff)) & !((1 << size) - 1);
            guest.set(2, address);
            let value = if rng.percent(30) { u64::MAX } else { rng.word() };
            guest.set(1, value);
            guest.op(match (size, rng.percent(30)) {
                (0, false) => strb(1, 2, 0),
                (1, false) => strh(1, 2, 0),
                (2, false) => str_w(1, 2, 0),
                (_, false) => str(1, 2, 0),
                (0, true) => ldrb(1, 2, 0),
                (1, true) => ldrh(1, 2, 0),
                (2, true) => ldr_w(1, 2, 0),
                (_, true) => ldr(1, 2, 0),
            });
        }
        for (start, bytes) in [(GICD, 0x1_0000), (GICR, 0x4_0000)] {
            guest.set(2, start);
            guest.repeat(3, bytes / 4, |guest| guest.ops(&[ldr_w(1, 2, 0), add_i(2, 2, 4)]));
        }
        // Whatever became pending is offered and taken now, as often as it likes: at most a thousand times.
        guest.to("count", |o| adr(4, o));
        guest.write(ICC_PMR_EL1, 0xff);
        guest.op(daif_clear(2));
        guest.repeat(3, 1000, |guest| guest.op(NOP));
        guest.op(daif_set(15));
        guest.say("alive\n");
        guest.power_off();
        guest.data("count", 8, vec![0; 8]);
        let out = boot(&guest.image(), &["--cpus", "2"]).out;
        assert!(out.ends_with("alive\n"), "seed {seed}: {out}");
        assert_eq!(taken(&out), [], "seed {seed}");
    }
}

/// Acknowledging and ending what never came.
#[test]
fn the_cpu_interface_survives_nonsense() {
    let mut guest = Program::new();
    guest.interrupts(0);
    let mut rng = Rng::new(7);
    for _ in 0..3000 {
        let register = encoding(3, 0, 12, *rng.pick(&[8, 9, 11, 12]), rng.below(8) as u32);
        guest.set(1, if rng.percent(50) { rng.below(1024) } else { rng.word() });
        // SGIs would interrupt: those are another test's.
        if register != ICC_SGI1R_EL1 {
            guest.op(if rng.percent(50) { msr(register, 1) } else { mrs(1, register) });
        }
    }
    guest.say("alive\n");
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    assert!(out.ends_with("alive\n"), "{out}");
    // Nothing but UNDEFINED, for what is read-only, write-only or not there.
    assert!(taken(&out).iter().all(|taken| (taken.vector, taken.esr) == (4, 0x0200_0000)), "{out}");
}

/// CPU 0 starts all others at "second", X0 being the number; each counts itself and goes on at "each".
pub fn start_all(guest: &mut Program, cpus: u64) {
    for cpu in 1..cpus {
        guest.set(0, 0xc400_0003);
        guest.set(1, cpu);
        guest.to("second", |o| adr(2, o));
        guest.set(3, 0x100 + cpu);
        guest.op(hvc(0));
        guest.print(0);
    }
}

#[test]
fn eight_cpus_start_and_power_off() {
    let mut guest = Program::new();
    start_all(&mut guest, 8);
    // Until every other one is off again.
    for cpu in 1..8 {
        let label = guest.fresh();
        guest.label(&label);
        guest.call(0xc400_0004, [cpu, 0, 0]);
        guest.op(cmp_i(0, 1));
        guest.to(&label, |o| b_cond(NE, o));
    }
    guest.to("count", |o| adr(4, o));
    guest.op(ldr(0, 4, 0));
    guest.print(0);
    guest.op(ldr(0, 4, 8));
    guest.print(0);
    guest.say("all off\n");
    guest.call(0x8400_0002, [0; 3]);
    guest.say("still here\n");
    guest.label("second");
    // Each adds one to the count and its context and MPIDR to the sum.
    guest.to("count", |o| adr(4, o));
    guest.ops(&[mrs(5, MPIDR_EL1), add(5, 5, 0), movz(6, 1, 0)]);
    guest.ops(&[ldadd(6, 7, 4), add_i(4, 4, 8), ldadd(5, 7, 4), DSB]);
    guest.call(0x8400_0002, [0; 3]);
    guest.hang();
    guest.data("count", 16, vec![0; 16]);
    let mut session = Session::boot(&guest.image(), &["--cpus", "8"]);
    session.expect("all off\n").linger();
    // Nobody is on: the machine waits for the person.
    let finished = session.quit();
    finished.expect_code(0);
    assert!(!finished.out.contains("still here"), "{}", finished.out);
    let numbers = numbers(&finished.out);
    let sum = (1..8).map(|cpu| 0x100 + cpu + 0x8000_0000 + cpu).sum();
    assert_eq!(numbers, [0, 0, 0, 0, 0, 0, 0, 7, sum]);
}

/// Each of eight CPUs adds to one doubleword by LDXR and STXR, and to another by LDADD, without losing any.
#[test]
fn eight_cpus_add_without_losing_any() {
    const TIMES: u64 = 20_000;
    let mut guest = Program::new();
    start_all(&mut guest, 8);
    guest.label("second");
    guest.to("sums", |o| adr(4, o));
    guest.op(movz(6, 1, 0));
    guest.repeat(8, TIMES, |guest| {
        let again = guest.fresh();
        guest.label(&again);
        guest.ops(&[ldxr(5, 4), add_i(5, 5, 1), stxr(7, 5, 4)]);
        guest.to(&again, |o| cbnz(7, o));
        guest.ops(&[add_i(9, 4, 8), ldadd(6, 7, 9)]);
    });
    guest.ops(&[add_i(9, 4, 16), ldadd(6, 7, 9), mrs(5, MPIDR_EL1), ubfx(5, 5, 0, 8)]);
    guest.to("first", |o| cbz(5, o));
    guest.hang();
    // CPU 0 waits for the others.
    guest.label("first");
    guest.ops(&[ldr(5, 4, 16), cmp_i(5, 8)]);
    guest.to("first", |o| b_cond(NE, o));
    for offset in [0, 8] {
        guest.op(ldr(0, 4, offset));
        guest.print(0);
    }
    guest.power_off();
    guest.data("sums", 64, vec![0; 64]);
    let out = boot(&guest.image(), &["--cpus", "8"]).out;
    assert_eq!(numbers(&out)[7..], [8 * TIMES, 8 * TIMES], "{out}");
}

/// An SGI wakes a CPU that waits for it.
#[test]
fn a_software_interrupt_reaches_another_cpu() {
    let mut guest = Program::new();
    guest.interrupts(0);
    start_all(&mut guest, 2);
    guest.to("ready", |o| adr(4, o));
    guest.label("wait");
    guest.op(ldr(5, 4, 0));
    guest.to("wait", |o| cbz(5, o));
    // SGI 3 to Aff0 1; a target list of nobody's, too.
    guest.write(ICC_SGI1R_EL1, 5 << 24 | 0xff00);
    guest.write(ICC_SGI1R_EL1, 3 << 24 | 2);
    guest.label("answer");
    guest.op(ldr(5, 4, 8));
    guest.to("answer", |o| cbz(5, o));
    guest.say("woken\n");
    guest.power_off();
    guest.label("second");
    guest.cpu_start();
    guest.interrupts(1);
    guest.to("ready", |o| adr(4, o));
    // WFI may return early; the handler leaves the number of the interrupt in X20.
    guest.ops(&[movz(5, 1, 0), movz(20, 0, 0), daif_clear(2), str(5, 4, 0)]);
    guest.label("sleep");
    guest.ops(&[WFI, cmp_i(20, 3)]);
    guest.to("sleep", |o| b_cond(NE, o));
    guest.op(str(5, 4, 8));
    guest.hang();
    guest.data("ready", 8, vec![0; 16]);
    let out = boot(&guest.image(), &["--cpus", "2"]).out;
    assert_eq!(interrupts(&out), [3], "{out}");
    assert!(out.ends_with("woken\n"), "{out}");
}
