//! Guests that will never do anything sensible again. The program listens to the person all the same.

use crate::guest::{GICD, Program, SCTLR_OFF, SCTLR_ON, TCR, a64::*};
use crate::interrupts::start_all;
use crate::session::Session;
use std::time::{Duration, Instant};

/// A way to ask the program to end.
#[derive(Clone, Copy)]
enum Way {
    Keys,
    Terminate,
    Interrupt,
    HangUp,
}

const WAYS: [Way; 4] = [Way::Keys, Way::Terminate, Way::Keys, Way::Interrupt];

/// Boots, waits until the guest says "now", lets it run on, and ends it.
#[track_caller]
fn ends(image: &[u8], arguments: &[&str], way: Way) {
    let mut session = Session::boot(image, arguments);
    session.expect("now\n").linger();
    let asked = Instant::now();
    let finished = match way {
        Way::Keys => session.quit(),
        Way::Terminate => session.signal_and_finish(rustix::process::Signal::TERM),
        Way::Interrupt => session.signal_and_finish(rustix::process::Signal::INT),
        Way::HangUp => session.signal_and_finish(rustix::process::Signal::HUP),
    };
    finished.expect_code(0);
    assert!(asked.elapsed() < Duration::from_secs(10), "took {:?}", asked.elapsed());
}

fn busy(body: impl FnOnce(&mut Program)) -> Vec<u8> {
    let mut guest = Program::new();
    guest.say("now\n");
    body(&mut guest);
    guest.hang();
    guest.image()
}

#[test]
fn every_way_to_end_a_busy_guest_works() {
    for way in [Way::Keys, Way::Terminate, Way::Interrupt, Way::HangUp] {
        ends(&busy(|_| {}), &[], way);
        ends(&busy(|_| {}), &["--cpus", "8"], way);
    }
}

#[test]
fn waiting_guests_are_ended() {
    for (way, instruction) in WAYS.into_iter().zip([WFI, WFI, WFE, WFE]) {
        let image = busy(|guest| {
            guest.label("wait");
            guest.op(instruction);
            guest.to("wait", b);
        });
        ends(&image, &[], way);
        ends(&image, &["--cpus", "4"], way);
    }
    // Powered off CPUs, and a timer that will not come due in this age.
    ends(&busy(|guest| guest.call(0x8400_0002, [0; 3])), &[], Way::Keys);
    let late = busy(|guest| {
        guest.interrupts(0);
        guest.write(CNTV_CVAL_EL0, u64::MAX);
        guest.write(CNTV_CTL_EL0, 1);
        guest.op(WFI);
    });
    ends(&late, &[], Way::Terminate);
}

/// The vectors themselves fault: no end to exceptions, and none of them leaves the guest.
#[test]
fn guests_whose_vectors_fault_are_ended() {
    let vectors: [u64; 6] =
        [0, 0x1000_0000, 0x0900_0000, 0x4300_0000, 0x0000_ffff_ffff_f800, 0xffff_ffff_ffff_f800];
    for (index, vector) in vectors.into_iter().enumerate() {
        let image = busy(|guest| {
            guest.write(VBAR_EL1, vector);
            guest.ops(&[ISB, 0]);
        });
        ends(&image, if index % 2 == 0 { &[] } else { &["--cpus", "2"] }, WAYS[index % 4]);
    }
}

/// The same on every CPU at once: faults that stay in the guest, aborts that a host resolves or not, and exits.
#[test]
fn four_cpus_that_loop_on_faults_are_ended() {
    let bodies: [fn(&mut Program); 4] = [
        // No vectors: instruction aborts.
        |guest| {
            guest.write(VBAR_EL1, 0x1000_0000);
            guest.ops(&[ISB, 0]);
        },
        // The first word of the vectors is undefined.
        |guest| {
            guest.to("nothing", |o| adr(4, o));
            guest.ops(&[msr(VBAR_EL1, 4), ISB, 0]);
        },
        // A load from nowhere, whose vector returns to it.
        |guest| {
            guest.to("back", |o| adr(4, o));
            guest.ops(&[msr(VBAR_EL1, 4), ISB]);
            guest.set(5, 0x1000_0000);
            guest.op(ldr(6, 5, 0));
        },
        // A jump behind RAM, whose vector goes there again.
        |guest| {
            guest.to("back", |o| adr(4, o));
            guest.ops(&[msr(VBAR_EL1, 4), ISB]);
            guest.set(5, 0x4400_0000);
            guest.ops(&[msr(ELR_EL1, 5), movz(6, 0x3c5, 0), msr(SPSR_EL1, 6), ERET]);
        },
    ];
    for (body, way) in bodies.into_iter().zip(WAYS) {
        let mut guest = Program::new();
        start_all(&mut guest, 4);
        guest.say("now\n");
        guest.label("second");
        body(&mut guest);
        guest.hang();
        guest.data("nothing", 2048, vec![0; 2048]);
        guest.data("back", 2048, ERET.to_le_bytes().repeat(512));
        ends(&guest.image(), &["--cpus", "4"], way);
    }
}

/// CPUs that turn themselves off while another turns them on.
#[test]
fn cpus_that_come_and_go_are_ended() {
    let mut guest = Program::new();
    guest.say("now\n");
    guest.label("again");
    for cpu in 1..4 {
        guest.set(0, 0xc400_0003);
        guest.set(1, cpu);
        guest.to("second", |o| adr(2, o));
        guest.ops(&[movz(3, 0, 0), hvc(0)]);
    }
    guest.to("again", b);
    guest.label("second");
    guest.call(0x8400_0002, [0; 3]);
    guest.hang();
    let image = guest.image();
    for way in [Way::Keys, Way::Terminate] {
        ends(&image, &["--cpus", "4"], way);
    }
}

#[test]
fn guests_that_loop_on_exits_are_ended() {
    let instructions: [&[u32]; 12] = [
        &[movz(0, 0x8400, 1), hvc(0)],
        &[smc(3)],
        &[ldr_w(1, 27, 0x18)],
        &[str_w(ZR, 27, 0x24)],
        &[mrs(1, ID_AA64PFR0_EL1)],
        &[msr(TLBI_VMALLE1, ZR), DSB],
        &[msr(IC_IALLU, ZR), ISB],
        &[svc(0)],
        &[0],
        &[msr(ICC_SGI1R_EL1, 7)],
        &[ldxr(1, 16), stxr(2, 1, 16)],
        &[str_w(13, 14, 0), msr(DC_CVAU, 14), DSB, msr(IC_IVAU, 14), DSB, ISB],
    ];
    for (index, words) in instructions.into_iter().enumerate() {
        // Exceptions go on at the loop without a word.
        let mut guest = Program::with_handler("quiet");
        guest.say("now\n");
        guest.set(7, 1 << 40);
        guest.set(16, 0x4100_0000);
        guest.op(movz(13, 0x001f, 0));
        guest.op(movk(13, 0xd503, 1));
        guest.to("loop", |o| adr(14, o));
        guest.label("loop");
        guest.op(NOP);
        guest.ops(words);
        guest.to("loop", b);
        guest.label("quiet");
        guest.to("loop", |o| adr(25, o));
        guest.ops(&[msr(ELR_EL1, 25), ERET]);
        ends(&guest.image(), &[], WAYS[index % 4]);
    }
}

/// An interrupt that is never acknowledged comes again and again.
#[test]
fn interrupt_storms_are_ended() {
    let mut guest = Program::with_handler("storm");
    guest.interrupts(0);
    guest.say("now\n");
    guest.write(CNTV_CVAL_EL0, 0);
    guest.write(CNTV_CTL_EL0, 1);
    guest.op(daif_clear(2));
    guest.hang();
    guest.label("storm");
    guest.op(ERET);
    ends(&guest.image(), &[], Way::Keys);
}

/// Touches all memory, over and over, and what is beyond.
#[test]
fn guests_that_run_over_everything_are_ended() {
    for step in [64, 4096] {
        let mut guest = Program::with_handler("quiet");
        guest.say("now\n");
        guest.label("again");
        guest.set(1, 0x4010_0000);
        guest.label("loop");
        guest.ops(&[str(1, 1, 0), add_i(1, 1, step)]);
        guest.to("loop", b);
        guest.label("quiet");
        guest.to("again", |o| adr(25, o));
        guest.ops(&[msr(ELR_EL1, 25), ERET]);
        ends(&guest.image(), &[], Way::Keys);
    }
}

/// Translation is turned on with registers that mean nothing good. What comes is up to the architecture, mostly aborts
/// without end.
#[test]
fn absurd_translation_does_not_hurt_the_host() {
    let good = TCR;
    let own = 0;
    let table = 1;
    let cases: [(u64, u64, u64, u64); 18] = [
        // TCR, TTBR0 (0: the good tables, 1: a table at itself), MAIR, SCTLR.
        (good, 0x1000_0000, 0xff00, SCTLR_ON),
        (good, 0x0900_0000, 0xff00, SCTLR_ON),
        (good, 0x0800_0000, 0xff00, SCTLR_ON),
        (good, u64::MAX, 0xff00, SCTLR_ON),
        (good, 0xffff_ffff_f000, 0xff00, SCTLR_ON),
        (good, table, 0xff00, SCTLR_ON),
        (0, table, 0xff00, SCTLR_ON),
        (u64::MAX, table, u64::MAX, u64::MAX),
        (u64::MAX, own, u64::MAX, SCTLR_ON),
        (good & !63, own, 0xff00, SCTLR_ON),
        (good | 63, own, 0xff00, SCTLR_ON),
        (good & !63 | 39, own, 0xff00, SCTLR_ON),
        // Reserved granule, 64 KiB pages over tables of 4 KiB, 16 KiB.
        (good | 3 << 14, own, 0xff00, SCTLR_ON),
        (good | 1 << 14, own, 0xff00, SCTLR_ON),
        (good | 2 << 14, own, 0xff00, SCTLR_ON),
        // No lower half at all; reserved attributes; big-endian walks and data; write implies never execute.
        (good | 1 << 7, own, 0xff00, SCTLR_ON),
        (good, own, 0x0101_0101_0101_0101, SCTLR_ON),
        (good, own, 0xff00, SCTLR_ON | 1 << 25 | 1 << 24 | 1 << 19),
    ];
    for (index, (tcr, ttbr, mair, sctlr)) in cases.into_iter().enumerate() {
        let mut guest = Program::new();
        guest.mmu_on(None);
        guest.to("table", |o| adr(4, o));
        guest.set(5, 3 | 1 << 10 | 3 << 8 | 1 << 2);
        guest.op(orr(5, 4, 5));
        guest.repeat(3, 512, |guest| guest.op(str_next(5, 4)));
        guest.data("table", 4096, vec![0; 4096]);
        guest.say("now\n");
        guest.write(SCTLR_EL1, SCTLR_OFF);
        guest.op(ISB);
        match ttbr {
            0 => guest.to("l1", |o| adr(16, o)),
            1 => guest.to("table", |o| adr(16, o)),
            _ => guest.set(16, ttbr),
        }
        guest.ops(&[msr(TTBR0_EL1, 16), msr(TTBR1_EL1, 16)]);
        guest.write(TCR_EL1, tcr);
        guest.write(MAIR_EL1, mair);
        guest.ops(&[ISB, msr(TLBI_VMALLE1, ZR), DSB, ISB]);
        guest.write(SCTLR_EL1, sctlr);
        guest.op(ISB);
        guest.set(2, GICD);
        guest.label("loop");
        guest.ops(&[ldr(1, 2, 0), ldr(1, 25, 0), svc(0), 0]);
        guest.to("loop", b);
        ends(&guest.image(), if index % 3 == 0 { &["--cpus", "2"] } else { &[] }, WAYS[index % 4]);
    }
}
