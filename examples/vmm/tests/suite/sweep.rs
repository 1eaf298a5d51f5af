//! Every encoding of the system space at EL1 and EL0: a value, an effect, or UNDEFINED.

use crate::guest::{Program, SCTLR_OFF, a64::*, numbers};
use crate::session::boot;
use std::collections::BTreeMap;

/// op1:CRn:CRm:op2.
const ENCODINGS: u32 = 1 << 14;

/// What an instruction came to: nothing special, or the class of the exception.
type Outcome = Option<u8>;

/// EC 0, and 0x18 (trapped system access), 0x24 and 0x25 (data aborts, of maintenance by address).
const UNDEFINED: Outcome = Some(0);
const TRAPPED: Outcome = Some(0x18);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    El0,
    El1,
}

/// Executes `word(encoding)` for all encodings with the given op0, X0 holding `value` each time, and returns what each
/// came to. Whatever a write to a register does is undone before the next one.
fn sweep(op0: u32, level: Level, value: u64, skipped: &[u32], word: fn(u32) -> u32) -> Vec<Outcome> {
    let mut guest = Program::with_handler("tally");
    // EL0 may use what SCTLR_EL1 can allow it: UCI, UCT, DZE, and so on stay off, so traps show too.
    guest.set(1, value);
    guest.op(mov(0, 1));
    match level {
        Level::El1 => guest.to("sweep", b),
        Level::El0 => guest.at_el0("sweep"),
    }
    if level == Level::El0 {
        guest.to("done", b);
    }
    guest.label("sweep");
    for encoding in 0..ENCODINGS {
        let register = op0 << 14 | encoding;
        guest.op(if skipped.contains(&register) { NOP } else { word(register) });
        match level {
            Level::El1 => guest.to("restore", bl),
            Level::El0 => guest.op(mov(0, 1)),
        }
    }
    match level {
        Level::El1 => guest.to("done", b),
        Level::El0 => guest.op(svc(0)),
    }
    // The state that the kit needs.
    guest.label("restore");
    guest.to("vectors", |o| adr(17, o));
    guest.op(msr(VBAR_EL1, 17));
    guest.write(SCTLR_EL1, SCTLR_OFF);
    for register in [TCR_EL1, TTBR0_EL1, MDSCR_EL1, CNTV_CTL_EL0, CNTP_CTL_EL0] {
        guest.op(msr(register, ZR));
    }
    guest.write(CPACR_EL1, 3 << 20);
    guest.write(DAIF, 0x3c0);
    guest.ops(&[movz(17, 1, 0), msr(SPSEL, 17), ISB, mov(0, 1), ret()]);
    // X20 the class, X21 the place: note class + 1, go on behind it.
    guest.label("tally");
    guest.ops(&[mrs(20, ESR_EL1), ubfx(20, 20, 26, 6), mrs(21, ELR_EL1), lsr(22, 26, 3)]);
    guest.to("note", |o| cbz(22, o));
    guest.op(cmp_i(20, 0x15));
    guest.to("note", |o| b_cond(NE, o));
    guest.ops(&[msr(ELR_EL1, 18), movz(20, 0x3c5, 0), msr(SPSR_EL1, 20), ERET]);
    guest.label("note");
    guest.to("outcomes address", |o| adr(22, o));
    guest.op(ldr(22, 22, 0));
    guest.to("sweep", |o| adr(23, o));
    guest.ops(&[sub(23, 21, 23), lsr(23, 23, 3), add(22, 22, 23), add_i(20, 20, 1), strb(20, 22, 0)]);
    guest.ops(&[add_i(21, 21, 4), msr(ELR_EL1, 21), ERET]);
    // Print them as they are.
    guest.label("done");
    guest.to("outcomes address", |o| adr(10, o));
    guest.op(ldr(10, 10, 0));
    guest.repeat(11, u64::from(ENCODINGS), |guest| {
        guest.ops(&[ldrb_next(12, 10), add_i(12, 12, 0x20), str_w(12, 27, 0)]);
    });
    guest.power_off();
    guest.address_data("outcomes address", "outcomes");
    guest.data("outcomes", 8, vec![0; ENCODINGS as usize]);
    let out = boot(&guest.image(), &[]).out;
    let outcomes: Vec<Outcome> = out.bytes().map(|byte| (byte - 0x20).checked_sub(1)).collect();
    assert_eq!(outcomes.len(), ENCODINGS as usize);
    outcomes
}

fn reads(op0: u32, level: Level) -> Vec<Outcome> {
    sweep(op0, level, 0, &[], |register| mrs(0, register))
}

fn writes(op0: u32, level: Level, value: u64, skipped: &[u32]) -> Vec<Outcome> {
    sweep(op0, level, value, skipped, |register| msr(register, 0))
}

/// Checks that nothing but these outcomes came, and returns how often each did.
#[track_caller]
fn only(outcomes: &[Outcome], allowed: &[Outcome]) -> BTreeMap<Outcome, usize> {
    let mut counts = BTreeMap::new();
    for (encoding, outcome) in outcomes.iter().enumerate() {
        let (op1, crn, crm, op2) = (encoding >> 11, encoding >> 7 & 15, encoding >> 3 & 15, encoding & 7);
        assert!(allowed.contains(outcome), "op1 {op1} C{crn} C{crm} op2 {op2}: {outcome:x?}");
        *counts.entry(*outcome).or_insert(0) += 1;
    }
    counts
}

#[track_caller]
fn expect(outcomes: &[Outcome], want: Outcome, registers: &[(&str, u32)]) {
    for (name, register) in registers {
        assert_eq!(outcomes[(register % ENCODINGS) as usize], want, "{name}");
    }
}

/// Registers of the base architecture and of what is announced: they read at EL1.
const READABLE: &[(&str, u32)] = &[
    ("MIDR_EL1", MIDR_EL1),
    ("MPIDR_EL1", MPIDR_EL1),
    ("ID_AA64PFR0_EL1", ID_AA64PFR0_EL1),
    ("the last reserved ID register, which reads as zero", encoding(3, 0, 0, 7, 7)),
    ("CCSIDR_EL1", encoding(3, 1, 0, 0, 0)),
    ("CLIDR_EL1", encoding(3, 1, 0, 0, 1)),
    ("CSSELR_EL1", encoding(3, 2, 0, 0, 0)),
    ("CTR_EL0", encoding(3, 3, 0, 0, 1)),
    ("DCZID_EL0", encoding(3, 3, 0, 0, 7)),
    ("SCTLR_EL1", SCTLR_EL1),
    ("CPACR_EL1", CPACR_EL1),
    ("PAR_EL1", encoding(3, 0, 7, 4, 0)),
    ("SPSR_EL1", SPSR_EL1),
    ("SP_EL0", SP_EL0),
    ("CurrentEL", encoding(3, 0, 4, 2, 2)),
    ("PAN", encoding(3, 0, 4, 2, 3)),
    ("UAO", encoding(3, 0, 4, 2, 4)),
    ("NZCV", encoding(3, 3, 4, 2, 0)),
    ("DAIF", DAIF),
    ("DIT", encoding(3, 3, 4, 2, 5)),
    ("SSBS", encoding(3, 3, 4, 2, 6)),
    ("FPCR", encoding(3, 3, 4, 4, 0)),
    ("FPSR", encoding(3, 3, 4, 4, 1)),
    ("TPIDR_EL0", encoding(3, 3, 13, 0, 2)),
    ("TPIDR_EL1", TPIDR_EL1),
    ("CNTFRQ_EL0", CNTFRQ_EL0),
    ("CNTPCT_EL0", encoding(3, 3, 14, 0, 1)),
    ("CNTVCT_EL0", CNTVCT_EL0),
    ("CNTKCTL_EL1", CNTKCTL_EL1),
    ("CNTV_CVAL_EL0", CNTV_CVAL_EL0),
    ("ICC_IAR1_EL1", ICC_IAR1_EL1),
    ("ICC_CTLR_EL1", encoding(3, 0, 12, 12, 4)),
    ("ICC_RPR_EL1", encoding(3, 0, 12, 11, 3)),
    ("ISR_EL1", encoding(3, 0, 12, 1, 0)),
];

/// Not there for this guest: other levels, features that are not announced, write-only and IMPLEMENTATION DEFINED ones.
const ABSENT: &[(&str, u32)] = &[
    ("HCR_EL2", encoding(3, 4, 1, 1, 0)),
    ("SCTLR_EL12", encoding(3, 5, 1, 0, 0)),
    ("SCR_EL3", encoding(3, 6, 1, 1, 0)),
    ("SP_EL1", encoding(3, 4, 4, 1, 0)),
    ("ZCR_EL1", encoding(3, 0, 1, 2, 0)),
    ("SMCR_EL1", encoding(3, 0, 1, 2, 6)),
    ("TCR2_EL1", encoding(3, 0, 2, 0, 3)),
    ("APIAKeyLo_EL1", encoding(3, 0, 2, 1, 0)),
    ("ERRIDR_EL1", encoding(3, 0, 5, 3, 0)),
    ("DISR_EL1", encoding(3, 0, 12, 1, 1)),
    ("PMCR_EL0", encoding(3, 3, 9, 12, 0)),
    ("PMSCR_EL1", encoding(3, 0, 9, 9, 0)),
    ("RNDR", encoding(3, 3, 2, 4, 0)),
    ("TCO", encoding(3, 3, 4, 2, 7)),
    ("GCSPR_EL0", encoding(3, 3, 2, 5, 1)),
    ("IMPLEMENTATION DEFINED 3,0,11,0,0", encoding(3, 0, 11, 0, 0)),
    ("IMPLEMENTATION DEFINED 3,7,15,15,7", encoding(3, 7, 15, 15, 7)),
    ("ICC_EOIR1_EL1, which is write-only", ICC_EOIR1_EL1),
    ("ICC_SGI1R_EL1, which is write-only", ICC_SGI1R_EL1),
];

#[test]
fn reads_at_el1_are_values_or_undefined() {
    let outcomes = reads(3, Level::El1);
    let counts = only(&outcomes, &[None, UNDEFINED]);
    expect(&outcomes, None, READABLE);
    expect(&outcomes, UNDEFINED, ABSENT);
    // The architecture has some hundred registers; the rest of the space is empty.
    assert!(counts[&None] < 400, "{counts:?}");
}

#[test]
fn reads_at_el0_are_values_traps_or_undefined() {
    let outcomes = reads(3, Level::El0);
    only(&outcomes, &[None, UNDEFINED, TRAPPED]);
    expect(&outcomes, UNDEFINED, ABSENT);
    expect(
        &outcomes,
        None,
        &[
            ("NZCV", encoding(3, 3, 4, 2, 0)),
            ("DIT", encoding(3, 3, 4, 2, 5)),
            ("SSBS", encoding(3, 3, 4, 2, 6)),
            ("FPCR", encoding(3, 3, 4, 4, 0)),
            ("TPIDR_EL0", encoding(3, 3, 13, 0, 2)),
            ("TPIDRRO_EL0", encoding(3, 3, 13, 0, 3)),
            ("DCZID_EL0", encoding(3, 3, 0, 0, 7)),
        ],
    );
    // CTR_EL0 without UCT, DAIF without UMA, counters and timers without their bits in CNTKCTL_EL1.
    expect(
        &outcomes,
        TRAPPED,
        &[
            ("CTR_EL0", encoding(3, 3, 0, 0, 1)),
            ("DAIF", DAIF),
            ("CNTVCT_EL0", CNTVCT_EL0),
            ("CNTFRQ_EL0", CNTFRQ_EL0),
            ("CNTV_CTL_EL0", CNTV_CTL_EL0),
        ],
    );
    // MIDR_EL1 and the like are emulated by nobody for EL0: FEAT_IDST is not announced.
    expect(
        &outcomes,
        UNDEFINED,
        &[("MIDR_EL1", MIDR_EL1), ("SCTLR_EL1", SCTLR_EL1), ("TPIDR_EL1", TPIDR_EL1)],
    );
}

#[test]
fn writes_at_el1_take_or_are_undefined() {
    // All ones in SCTLR_EL1 turn on the MMU with tables at 0: that is another test's.
    for (value, skipped) in [(0, &[][..]), (u64::MAX, &[SCTLR_EL1]), (0x5555_5555_5555_5555, &[SCTLR_EL1])] {
        let outcomes = writes(3, Level::El1, value, skipped);
        only(&outcomes, &[None, UNDEFINED]);
        expect(
            &outcomes,
            None,
            &[
                ("CPACR_EL1", CPACR_EL1),
                ("TTBR0_EL1", TTBR0_EL1),
                ("VBAR_EL1", VBAR_EL1),
                ("CSSELR_EL1", encoding(3, 2, 0, 0, 0)),
                ("CNTV_CVAL_EL0", CNTV_CVAL_EL0),
                ("ICC_PMR_EL1", ICC_PMR_EL1),
                ("ICC_EOIR1_EL1", ICC_EOIR1_EL1),
                ("ICC_SGI1R_EL1", ICC_SGI1R_EL1),
                ("PAR_EL1", encoding(3, 0, 7, 4, 0)),
            ],
        );
        expect(
            &outcomes,
            UNDEFINED,
            &[
                ("MIDR_EL1", MIDR_EL1),
                ("CTR_EL0", encoding(3, 3, 0, 0, 1)),
                ("CurrentEL", encoding(3, 0, 4, 2, 2)),
                ("CNTFRQ_EL0, which only the highest level writes", CNTFRQ_EL0),
                ("CNTVCT_EL0", CNTVCT_EL0),
                ("ICC_IAR1_EL1", ICC_IAR1_EL1),
                ("HCR_EL2", encoding(3, 4, 1, 1, 0)),
                ("PMCR_EL0", encoding(3, 3, 9, 12, 0)),
            ],
        );
    }
}

#[test]
fn writes_at_el0_take_trap_or_are_undefined() {
    for value in [0, u64::MAX] {
        let outcomes = writes(3, Level::El0, value, &[]);
        let counts = only(&outcomes, &[None, UNDEFINED, TRAPPED]);
        expect(
            &outcomes,
            None,
            &[
                ("NZCV", encoding(3, 3, 4, 2, 0)),
                ("FPCR", encoding(3, 3, 4, 4, 0)),
                ("FPSR", encoding(3, 3, 4, 4, 1)),
                ("DIT", encoding(3, 3, 4, 2, 5)),
                ("SSBS", encoding(3, 3, 4, 2, 6)),
                ("TPIDR_EL0", encoding(3, 3, 13, 0, 2)),
            ],
        );
        assert_eq!(counts[&None], 6, "nothing else is writable at EL0");
    }
}

/// op0 2: debug registers.
#[test]
fn debug_registers_are_values_or_undefined() {
    for level in [Level::El1, Level::El0] {
        let read = reads(2, level);
        only(&read, &[None, UNDEFINED, TRAPPED]);
        for value in [0, u64::MAX] {
            only(&writes(2, level, value, &[]), &[None, UNDEFINED, TRAPPED]);
        }
        if level == Level::El1 {
            expect(
                &read,
                None,
                &[
                    ("MDSCR_EL1", MDSCR_EL1),
                    ("DBGBVR0_EL1", encoding(2, 0, 0, 0, 4)),
                    ("DBGWCR0_EL1", encoding(2, 0, 0, 0, 7)),
                    ("OSLSR_EL1", encoding(2, 0, 1, 1, 4)),
                ],
            );
            expect(&read, UNDEFINED, &[("OSLAR_EL1, which is write-only", encoding(2, 0, 1, 0, 4))]);
        }
    }
}

/// op0 1: maintenance of caches and TLBs, address translation; X0 is an address in RAM, nowhere, and nonsense. By
/// address, what is not there may abort.
#[test]
fn system_instructions_are_done_or_undefined() {
    const ABORT_EL1: Outcome = Some(0x25);
    const ABORT_EL0: Outcome = Some(0x24);
    for (level, abort) in [(Level::El1, ABORT_EL1), (Level::El0, ABORT_EL0)] {
        for address in [0x4200_0000, 0, u64::MAX] {
            let outcomes = writes(1, level, address, &[]);
            only(&outcomes, &[None, UNDEFINED, TRAPPED, abort]);
            if level == Level::El1 {
                expect(
                    &outcomes,
                    None,
                    &[
                        ("IC IALLU", IC_IALLU),
                        ("TLBI VMALLE1", TLBI_VMALLE1),
                        ("AT S1E1R", AT_S1E1R),
                        ("DC ISW", encoding(1, 0, 7, 6, 2)),
                    ],
                );
                expect(
                    &outcomes,
                    UNDEFINED,
                    &[
                        ("TLBI ALLE2", encoding(1, 4, 8, 7, 0)),
                        ("AT S1E2R", encoding(1, 4, 7, 8, 0)),
                        ("IMPLEMENTATION DEFINED 1,0,11,0,0", encoding(1, 0, 11, 0, 0)),
                        ("DC GVA, of MTE", encoding(1, 3, 7, 4, 3)),
                    ],
                );
            } else {
                expect(&outcomes, UNDEFINED, &[("IC IALLU", IC_IALLU), ("TLBI VMALLE1", TLBI_VMALLE1)]);
                expect(
                    &outcomes,
                    TRAPPED,
                    &[("DC CVAU without UCI", DC_CVAU), ("DC ZVA without DZE", DC_ZVA)],
                );
            }
        }
        // SYSL: none exists.
        only(&reads(1, level), &[UNDEFINED]);
    }
}

/// Which registers read as what does not depend on the run: two machines say the same identification.
#[test]
fn identification_says_what_is_announced() {
    let registers: &[(&str, u32, u64, u64)] = &[
        // Name, encoding, mask, value: issue of features. Arm ARM, ID registers.
        (
            "ID_AA64PFR0_EL1: EL1 and EL0 in AArch64, no EL2 and EL3, FP, AdvSIMD, GIC",
            encoding(3, 0, 0, 4, 0),
            0x0fff_ffff,
            0x0100_0011,
        ),
        (
            "ID_AA64ISAR0_EL1: no RNDR, TLBI range; TS 1, DP 1, RDM 1, Atomic 2, CRC32 1, SHA, AES 2",
            encoding(3, 0, 0, 6, 0),
            u64::MAX,
            0x0010_1000_1021_1120,
        ),
        ("ID_AA64ZFR0_EL1", encoding(3, 0, 0, 4, 4), u64::MAX, 0),
        ("ID_AA64DFR0_EL1: no PMU, SPE, trace", encoding(3, 0, 0, 5, 0), 0xf_0000_0ff0, 0),
        ("MPIDR_EL1 of the first", MPIDR_EL1, u64::MAX, 0x8000_0000),
        ("CNTFRQ_EL0", CNTFRQ_EL0, u64::MAX, 1_000_000_000),
        ("CurrentEL", encoding(3, 0, 4, 2, 2), u64::MAX, 4),
    ];
    let mut guest = Program::new();
    for (_, register, _, _) in registers {
        guest.op(mrs(0, *register));
        guest.print(0);
    }
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    for ((name, _, mask, want), got) in registers.iter().zip(numbers(&out)) {
        assert_eq!(got & mask, *want, "{name}: {got:#x}");
    }
}
