//! Guests with several PEs, on a thread each: what they tell each other by memory, by maintenance of translations and
//! instructions, and by events arrives as the architecture says.
//!
//! A litmus test counts the outcomes that the memory model forbids; on a host with a weaker or stronger order than
//! Arm's the count is to be 0 all the same.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "a broken assumption is a failed test"
)]

mod engine_support;
mod smp_support;

use arm_arch::Pa;
use arm_exec::{Invalidation, Pe};
use engine_support::{CODE, DATA, HOLE, SAME_SYNC, World};
use smp_support::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where PE number `n` starts: each has pages of its own.
const fn entry(n: usize) -> u64 {
    CODE + 0x1000 * n as u64
}

/// PEs whose code is in place.
fn pes(world: &'static World, count: usize) -> Vec<Pe<'static>> {
    (0..count)
        .map(|n| {
            let mut pe = world.small_pe(n, 1 << 13, 1 << 10);
            pe.state.pc = entry(n);
            pe
        })
        .collect()
}

/// Runs the same code on four PEs: `body`, as many times as it says, with X1 the address of [`DATA`].
fn on_four(times: u64, body: impl Fn(&mut Asm)) -> &'static World {
    let world = World::new();
    for n in 0..4 {
        let mut asm = Asm::at(entry(n));
        asm.constant(19, DATA + 0x1000);
        asm.meet(19, 4);
        asm.constant(1, DATA);
        asm.repeat(0, times, &body);
        asm.put(&[HVC_DONE]);
        asm.store(world);
    }
    drive_all(&mut pes(world, 4), world);
    world
}

/// Repeats `attempt` until the status it leaves in X9 is zero.
fn until_stored(asm: &mut Asm, attempt: &[u32]) {
    let again = asm.here();
    asm.put(attempt);
    asm.to(cbnz(9), again);
}

#[test]
fn exclusives_lose_no_increment() {
    const TIMES: u64 = 50_000;
    let world = on_four(TIMES, |asm| {
        until_stored(asm, &[ldxr(2, 1), addi(2, 2, 1), stxr(9, 2, 1)]);
        asm.put(&[addi(3, 1, 8)]);
        until_stored(asm, &[ldaxr(2, 3), addi(2, 2, 3), stlxr(9, 2, 3)]);
        asm.put(&[addi(3, 1, 16)]);
        until_stored(asm, &[ldxp(4, 5, 3), addi(4, 4, 1), addi(5, 5, 2), stxp(9, 4, 5, 3)]);
        asm.put(&[addi(3, 1, 33)]);
        until_stored(asm, &[ldxr_b(2, 3), addi(2, 2, 1), stxr_b(9, 2, 3)]);
    });
    let counts = [0, 8, 16, 24, 32].map(|at| world.get(DATA + at));
    let total = 4 * TIMES;
    assert_eq!(counts, [total, 3 * total, total, 2 * total, (total & 0xff) << 8]);
}

#[test]
fn atomics_lose_no_update() {
    const TIMES: u64 = 50_000;
    let world = on_four(TIMES, |asm| {
        asm.constant(2, 1);
        asm.put(&[ldadd(2, 31, 1), addi(3, 1, 8), ldaddl(2, 31, 3)]);
        // Neighbours of different sizes in one doubleword.
        asm.put(&[addi(3, 1, 16), ldadd_w(2, 31, 3), addi(3, 1, 20), ldadd_h(2, 31, 3)]);
        asm.put(&[addi(3, 1, 23), ldadd_b(2, 31, 3)]);
        for (at, compare_and_swap) in [(24, cas(5, 6, 3)), (32, casal(5, 6, 3))] {
            asm.put(&[addi(3, 1, at), ldr(4, 3)]);
            let again = asm.here();
            asm.put(&[mov(5, 4), addi(6, 4, 1), compare_and_swap, cmp(5, 4), mov(4, 5)]);
            asm.to(b_cond(NE), again);
        }
        asm.put(&[addi(3, 1, 48), ldr(4, 3), addi(9, 3, 8), ldr(5, 9)]);
        let again = asm.here();
        asm.put(&[mov(10, 4), mov(11, 5), addi(12, 4, 1), addi(13, 5, 3), casp(10, 12, 3)]);
        asm.put(&[eor(14, 10, 4), eor(15, 11, 5), mov(4, 10), mov(5, 11), add(14, 14, 15)]);
        asm.to(cbnz(14), again);
    });
    let total = 4 * TIMES;
    let counts = [0, 8, 24, 32, 48, 56].map(|at| world.get(DATA + at));
    assert_eq!(counts, [total, total, total, total, total, 3 * total]);
    let narrow = total & 0xffff_ffff | (total & 0xffff) << 32 | (total & 0xff) << 56;
    assert_eq!(world.get(DATA + 16), narrow);
}

/// A lock taken and released in each of three ways orders plain accesses to what it protects.
#[test]
fn locks_protect_plain_memory() {
    const TIMES: u64 = 3000;
    type Lock = (&'static str, fn(&mut Asm));
    let locks: [Lock; 3] = [
        ("LDAXR, STXR", |asm| {
            let again = asm.here();
            asm.put(&[ldaxr(2, 1)]);
            let busy = asm.ahead(cbnz(2));
            asm.put(&[stxr(9, 3, 1)]);
            let failed = asm.ahead(cbnz(9));
            let done = asm.ahead(b());
            asm.land(busy);
            asm.land(failed);
            asm.put(&[YIELD]);
            asm.to(b(), again);
            asm.land(done);
        }),
        ("SWPA", |asm| {
            let again = asm.here();
            asm.put(&[swpa(3, 2, 1)]);
            let done = asm.ahead(cbz(2));
            asm.put(&[YIELD]);
            asm.to(b(), again);
            asm.land(done);
        }),
        ("CASAL", |asm| {
            let again = asm.here();
            asm.put(&[movz(2, 0), casal(2, 3, 1)]);
            let done = asm.ahead(cbz(2));
            asm.put(&[YIELD]);
            asm.to(b(), again);
            asm.land(done);
        }),
    ];
    for (name, lock) in locks {
        let world = on_four(TIMES, |asm| {
            asm.constant(3, 1);
            lock(asm);
            for at in [0x100, 0x208, 0x310] {
                asm.put(&[addi(4, 1, at), ldr(5, 4), addi(5, 5, 1), str(5, 4)]);
            }
            asm.put(&[stlr(31, 1)]);
        });
        for at in [0x100, 0x208, 0x310] {
            assert_eq!(world.get(DATA + at), 4 * TIMES, "{name}");
        }
    }
}

/// A litmus test: X1 and X2 are the addresses of x and y, X3 is 1, X4 is 2; what is read goes to X5 and X6.
struct Litmus {
    name: &'static str,
    threads: &'static [fn(&mut Asm)],
    /// Whether an outcome is forbidden: what each thread read, then x and y at the end.
    forbidden: fn([[u64; 2]; 4], u64, u64) -> bool,
}

/// EOR X7, Xn, Xn: zero, but not for the memory model.
const fn zero_from(n: u32) -> u32 {
    eor(7, n, n)
}

/// A conditional branch that depends on a register and goes to the next instruction either way.
fn control(asm: &mut Asm, register: u32) {
    let next = asm.ahead(cbnz(register));
    asm.land(next);
}

const SHAPES: &[Litmus] = &[
    Litmus {
        name: "MP+dmb+dmb",
        threads: &[|a| a.put(&[str(3, 1), DMB_ISH, str(3, 2)]), |a| a.put(&[ldr(5, 2), DMB_ISH, ldr(6, 1)])],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+dmb.st+dmb.ld",
        threads: &[
            |a| a.put(&[str(3, 1), DMB_ISHST, str(3, 2)]),
            |a| a.put(&[ldr(5, 2), DMB_ISHLD, ldr(6, 1)]),
        ],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+stlr+ldar",
        threads: &[|a| a.put(&[str(3, 1), stlr(3, 2)]), |a| a.put(&[ldar(5, 2), ldr(6, 1)])],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+stlr+ldapr",
        threads: &[|a| a.put(&[str(3, 1), stlr(3, 2)]), |a| a.put(&[ldapr(5, 2), ldr(6, 1)])],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+ldaddl+swpa",
        threads: &[|a| a.put(&[str(3, 1), ldaddl(3, 31, 2)]), |a| a.put(&[swpa(31, 5, 2), ldr(6, 1)])],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+stlxr+ldaxr",
        threads: &[
            |a| {
                a.put(&[str(3, 1)]);
                until_stored(a, &[ldxr(9, 2), stlxr(9, 3, 2)]);
            },
            |a| a.put(&[ldaxr(5, 2), ldr(6, 1)]),
        ],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+dmb+addr",
        threads: &[
            |a| a.put(&[str(3, 1), DMB_ISH, str(3, 2)]),
            |a| a.put(&[ldr(5, 2), zero_from(5), ldr_x(6, 1, 7)]),
        ],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "MP+dmb+ctrl-isb",
        threads: &[
            |a| a.put(&[str(3, 1), DMB_ISH, str(3, 2)]),
            |a| {
                a.put(&[ldr(5, 2)]);
                control(a, 5);
                a.put(&[ISB, ldr(6, 1)]);
            },
        ],
        forbidden: |r, _, _| r[1] == [1, 0],
    },
    Litmus {
        name: "SB+dmb+dmb",
        threads: &[|a| a.put(&[str(3, 1), DMB_ISH, ldr(5, 2)]), |a| a.put(&[str(3, 2), DMB_ISH, ldr(5, 1)])],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (0, 0),
    },
    Litmus {
        name: "SB+dsb+dsb",
        threads: &[|a| a.put(&[str(3, 1), DSB_ISH, ldr(5, 2)]), |a| a.put(&[str(3, 2), DSB_ISH, ldr(5, 1)])],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (0, 0),
    },
    Litmus {
        name: "SB+stlr-ldar+stlr-ldar",
        threads: &[|a| a.put(&[stlr(3, 1), ldar(5, 2)]), |a| a.put(&[stlr(3, 2), ldar(5, 1)])],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (0, 0),
    },
    Litmus {
        name: "SB+ldaddl-ldar+stlxr-ldar",
        threads: &[
            |a| a.put(&[ldaddl(3, 31, 1), ldar(5, 2)]),
            |a| {
                until_stored(a, &[ldxr(9, 2), stlxr(9, 3, 2)]);
                a.put(&[ldar(5, 1)]);
            },
        ],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (0, 0),
    },
    Litmus {
        name: "LB+data+data",
        threads: &[
            |a| a.put(&[ldr(5, 1), zero_from(5), addi(7, 7, 1), str(7, 2)]),
            |a| a.put(&[ldr(5, 2), zero_from(5), addi(7, 7, 1), str(7, 1)]),
        ],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (1, 1),
    },
    Litmus {
        name: "LB+ctrl+ldar",
        threads: &[
            |a| {
                a.put(&[ldr(5, 1)]);
                control(a, 5);
                a.put(&[str(3, 2)]);
            },
            |a| a.put(&[ldar(5, 2), str(3, 1)]),
        ],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (1, 1),
    },
    Litmus {
        name: "LB+stlr+dmb",
        threads: &[|a| a.put(&[ldr(5, 1), stlr(3, 2)]), |a| a.put(&[ldr(5, 2), DMB_ISH, str(3, 1)])],
        forbidden: |r, _, _| (r[0][0], r[1][0]) == (1, 1),
    },
    Litmus {
        name: "CoRR",
        threads: &[|a| a.put(&[str(3, 1), str(4, 1)]), |a| a.put(&[ldr(5, 1), ldr(6, 1)])],
        forbidden: |r, _, _| r[1][1] < r[1][0],
    },
    Litmus {
        name: "2+2W+dmb+dmb",
        threads: &[|a| a.put(&[str(3, 1), DMB_ISH, str(4, 2)]), |a| a.put(&[str(3, 2), DMB_ISH, str(4, 1)])],
        forbidden: |_, x, y| (x, y) == (1, 1),
    },
    Litmus {
        name: "R+dmb+dmb",
        threads: &[|a| a.put(&[str(3, 1), DMB_ISH, str(3, 2)]), |a| a.put(&[str(4, 2), DMB_ISH, ldr(5, 1)])],
        forbidden: |r, _, y| (r[1][0], y) == (0, 2),
    },
    Litmus {
        name: "S+dmb+data",
        threads: &[
            |a| a.put(&[str(4, 1), DMB_ISH, str(3, 2)]),
            |a| a.put(&[ldr(5, 2), zero_from(5), addi(7, 7, 1), str(7, 1)]),
        ],
        forbidden: |r, x, _| (r[1][0], x) == (1, 2),
    },
    Litmus {
        name: "WRC+dmb+dmb",
        threads: &[
            |a| a.put(&[str(3, 1)]),
            |a| a.put(&[ldr(5, 1), DMB_ISH, str(3, 2)]),
            |a| a.put(&[ldr(5, 2), DMB_ISHLD, ldr(6, 1)]),
        ],
        forbidden: |r, _, _| (r[1][0], r[2]) == (1, [1, 0]),
    },
    Litmus {
        name: "IRIW+ldar",
        threads: &[
            |a| a.put(&[str(3, 1)]),
            |a| a.put(&[str(3, 2)]),
            |a| a.put(&[ldar(5, 1), ldar(6, 2)]),
            |a| a.put(&[ldar(5, 2), ldar(6, 1)]),
        ],
        forbidden: |r, _, _| (r[2], r[3]) == ([1, 0], [1, 0]),
    },
];

/// Pairs of x and y that one round goes through, and how many of them until the threads meet again.
const PLACES: u64 = 2048;
const BATCH: u64 = 128;
/// Rounds of a shape: as many as fit in this time, and one.
const ROUNDS: Duration = Duration::from_millis(60);
const X: u64 = DATA;
const Y: u64 = DATA + 8 * PLACES;
/// What thread `t` read: `RESULTS + 16 * PLACES * t`, two doublewords a place.
const RESULTS: u64 = Y + 8 * PLACES;
/// A counter for each meeting.
const MEETINGS: u64 = RESULTS + 4 * 16 * PLACES;

fn litmus_thread(shape: &Litmus, number: usize) -> Asm {
    let mut asm = Asm::at(entry(number));
    for (register, value) in
        [(1, X), (2, Y), (3, 1), (4, 2), (8, RESULTS + 16 * PLACES * number as u64), (19, MEETINGS)]
    {
        asm.constant(register, value);
    }
    asm.repeat(0, PLACES / BATCH, |asm| {
        asm.meet(19, shape.threads.len() as u64);
        asm.put(&[addi(19, 19, 8)]);
        asm.repeat(17, BATCH, |asm| {
            shape.threads[number](asm);
            asm.put(&[str(5, 8), addi(8, 8, 8), str(6, 8), addi(8, 8, 8), addi(1, 1, 8), addi(2, 2, 8)]);
        });
    });
    asm.put(&[HVC_DONE]);
    asm
}

#[test]
fn no_outcome_is_one_that_the_memory_model_forbids() {
    for shape in SHAPES {
        let world = World::new();
        let mut pes = pes(world, shape.threads.len());
        for number in 0..shape.threads.len() {
            litmus_thread(shape, number).store(world);
        }
        let (mut forbidden, mut seen) = (0, 0);
        let start = Instant::now();
        while seen == 0 || start.elapsed() < ROUNDS {
            for at in (X..MEETINGS + 8 * PLACES / BATCH).step_by(8) {
                world.put(at, 0);
            }
            for (number, pe) in pes.iter_mut().enumerate() {
                pe.state.pc = entry(number);
            }
            drive_all(&mut pes, world);
            for place in 0..PLACES {
                let read = |thread: u64, n: u64| world.get(RESULTS + 16 * (PLACES * thread + place) + 8 * n);
                let read = [0, 1, 2, 3].map(|thread| [0, 1].map(|n| read(thread, n)));
                let at_end = |base: u64| world.get(base + 8 * place);
                forbidden += u64::from((shape.forbidden)(read, at_end(X), at_end(Y)));
                seen += 1;
            }
        }
        println!("{forbidden} of {seen} {}", shape.name);
        assert_eq!(forbidden, 0, "{}, {seen} times", shape.name);
    }
}

/// Stage-1 tables of one level each, and the attributes of a page: AF, inner shareable, attribute 0.
const LEVEL_1: u64 = 0x2_0000;
const LEVEL_2: u64 = 0x2_1000;
const LEVEL_3: u64 = 0x2_2000;
const PAGE: u64 = 1 << 10 | 3 << 8 | 3;
/// Virtual addresses from here on are mapped by the guest as it runs, those below one to one.
const MOVING: u64 = 0x10_0000;

fn enable_stage_1(world: &World, pes: &mut [Pe<'static>]) {
    world.put(LEVEL_1, LEVEL_2 | 3);
    world.put(LEVEL_2, LEVEL_3 | 3);
    for page in 0..MOVING >> 12 {
        world.put(LEVEL_3 + 8 * page, page << 12 | PAGE);
    }
    for pe in pes {
        let sys = &mut pe.state.sys;
        // 4 KiB, 39 bits, write-back; nothing by TTBR1.
        sys.tcr_el1 = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32;
        (sys.mair_el1, sys.ttbr0_el1, sys.hcr_el2) = (0xff, LEVEL_1, 0);
        sys.sctlr_el1 |= 1 << 12 | 1 << 2 | 1;
    }
}

/// Takes back a translation fault of data and tries again; anything else is wrong. X27, X28.
fn retry_handler(world: &World) {
    let mut asm = Asm::at(SAME_SYNC);
    asm.put(&[mrs_esr_el1(27), lsri(27, 27, 26), cmpi(27, 0x25)]);
    let wrong = asm.ahead(b_cond(NE));
    asm.put(&[addi(28, 28, 1), YIELD, ERET]);
    asm.land(wrong);
    asm.put(&[HVC_WRONG]);
    asm.store(world);
}

/// Changes that there are to be at the least.
const CHANGES: u64 = 20;
/// Where mapper `m` says how far it is, and the first of its two pages.
const fn published(m: u64) -> u64 {
    DATA + 0x40 * m
}
const fn frames(m: u64) -> u64 {
    DATA + 0x1_0000 + 0x2000 * m
}

/// Changes the mapping of a page again and again: the new page holds the number of the change, and the old one is
/// cleared as soon as nobody can see it.
fn mapper(m: u64) -> Asm {
    let mut asm = Asm::at(entry(m as usize));
    let va = MOVING + 0x1000 * m;
    for (register, value) in
        [(1, published(m)), (2, LEVEL_3 + 8 * (va >> 12)), (3, va), (4, frames(m)), (5, PAGE), (6, va >> 12)]
    {
        asm.constant(register, value);
    }
    asm.constant(10, 0);
    asm.until_stopped(|asm| {
        // X11: the new page; X12: the old one.
        asm.put(&[addi(10, 10, 1), and_1(11, 10), add_lsl(11, 4, 11, 12)]);
        asm.constant(13, 0x1000);
        asm.put(&[eor(12, 11, 13), str(10, 11)]);
        let invalidate = if m == 0 { tlbi_vae1is(6) } else { TLBI_VMALLE1IS };
        asm.put(&[str(31, 2), DSB_ISH, invalidate, DSB_ISH]);
        asm.put(&[add(13, 11, 5), str(13, 2), DSB_ISH, ISB]);
        asm.put(&[str(31, 12), ldr(14, 3), cmp(14, 10)]);
        let right = asm.ahead(b_cond(EQ));
        asm.put(&[HVC_WRONG]);
        asm.land(right);
        asm.put(&[stlr(10, 1)]);
    });
    asm.put(&[HVC_DONE]);
    asm
}

/// Reads through the mappings that both mappers change: never older than what was published before.
fn reader(n: usize) -> Asm {
    let mut asm = Asm::at(entry(n));
    asm.until_stopped(|asm| {
        for m in 0..2 {
            asm.constant(1, published(m));
            asm.constant(3, MOVING + 0x1000 * m);
            // LDAR orders the load after it.
            asm.put(&[ldar(4, 1), ldr(6, 3), cmp(6, 4)]);
            let right = asm.ahead(b_cond(HS));
            asm.put(&[HVC_WRONG]);
            asm.land(right);
        }
    });
    asm.put(&[HVC_DONE]);
    asm
}

/// Two PEs change mappings, invalidate them for all and reuse the pages, waiting for each other; two read; the host
/// kicks, sends events and invalidates meanwhile.
#[test]
fn a_mapping_that_was_invalidated_is_used_by_nobody() {
    let world = World::new();
    for m in 0..2 {
        mapper(m).store(world);
    }
    for n in 2..4 {
        reader(n).store(world);
    }
    retry_handler(world);
    let mut pes = pes(world, 4);
    enable_stage_1(world, &mut pes);
    for m in 0..2 {
        world.put(LEVEL_3 + 8 * ((MOVING >> 12) + m), frames(m) | PAGE);
    }
    let over = AtomicBool::new(false);
    let ends = std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            let mut n = 0;
            while !over.load(Ordering::SeqCst) {
                world.domain.request_exit(n & 3);
                world.domain.send_event();
                if n % 8 == 0 {
                    world.domain.invalidate(Invalidation::All, std::thread::yield_now);
                }
                n += 1;
                std::thread::yield_now();
            }
        });
        let enough = || (0..2).all(|m| world.get(published(m)) >= CHANGES);
        let ends = drive_until(&mut pes, world, |ipa| panic!("{ipa:#x}"), enough);
        over.store(true, Ordering::SeqCst);
        host.join().unwrap();
        ends
    });
    let kicks: u64 = ends.iter().map(|ends| ends.kicks).sum();
    assert!(kicks > 0, "no kick arrived");
    for m in 0..2 {
        assert!(world.get(published(m)) >= CHANGES, "mapper {m}");
    }
}

/// Where the patched instruction is that others call.
const CALLED: u64 = 0x3_0000;

/// One PE writes instructions; two call them, one meets one in its own block, after a barrier in which it serves
/// others. None executes an older one than was published before.
#[test]
fn an_instruction_that_was_replaced_is_executed_by_nobody() {
    /// Patches that there are to be at the least; the immediate ends them.
    const PATCHES: u64 = 20;
    let world = World::new();
    world.code(CALLED, &[movz(0, 0), RET]);

    // X0, which the patched instruction has set, is X1, what was published before, or newer.
    let check = |asm: &mut Asm| {
        asm.put(&[cmp(0, 1)]);
        let right = asm.ahead(b_cond(HS));
        asm.put(&[HVC_WRONG]);
        asm.land(right);
    };
    for n in 1..3 {
        let mut asm = Asm::at(entry(n));
        asm.constant(2, DATA);
        asm.until_stopped(|asm| {
            asm.put(&[ldar(1, 2), ISB]);
            asm.to(bl(), CALLED);
            check(asm);
        });
        asm.put(&[HVC_DONE]);
        asm.store(world);
    }

    let mut asm = Asm::at(entry(3));
    let mut met = 0;
    asm.constant(2, DATA);
    asm.until_stopped(|asm| {
        asm.put(&[TLBI_VMALLE1IS, DSB_ISH, ldar(1, 2), ISB]);
        met = asm.here();
        asm.put(&[movz(0, 0)]);
        check(asm);
    });
    asm.put(&[HVC_DONE]);
    asm.store(world);

    let mut asm = Asm::at(entry(0));
    for (register, value) in [(2, DATA), (4, CALLED), (5, met), (6, u64::from(movz(0, 0)))] {
        asm.constant(register, value);
    }
    asm.constant(10, 0);
    asm.until_stopped(|asm| {
        asm.put(&[addi(10, 10, 1), add_lsl(7, 6, 10, 5), str_w(7, 4), str_w(7, 5)]);
        asm.put(&[dc_cvau(4), dc_cvau(5), DSB_ISH, ic_ivau(4), ic_ivau(5), DSB_ISH, ISB, stlr(10, 2)]);
        // All that the immediate can hold.
        asm.put(&[lsri(8, 10, 15)]);
        let more = asm.ahead(cbz(8));
        asm.put(&[HVC_DONE]);
        asm.land(more);
    });
    asm.put(&[HVC_DONE]);
    asm.store(world);

    let enough = || world.get(DATA) >= PATCHES;
    drive_until(&mut pes(world, 4), world, |ipa| panic!("{ipa:#x}"), enough);
    assert!(enough(), "{} patches", world.get(DATA));
}

/// Four PEs hand a token around, each waiting by WFE for its turn: with WFE that completes, and with WFE that traps.
#[test]
fn events_pass_a_token_around() {
    const TURNS: u64 = 64;
    /// HCR_EL2.TWE.
    const TWE: u64 = 1 << 14;
    for traps in [0, TWE] {
        let world = World::new();
        for n in 0..4 {
            let mut asm = Asm::at(entry(n));
            asm.constant(1, DATA);
            asm.constant(4, n as u64);
            asm.repeat(0, TURNS, |asm| {
                let again = asm.here();
                asm.put(&[ldar(2, 1), and_3(3, 2), cmp(3, 4)]);
                let mine = asm.ahead(b_cond(EQ));
                asm.put(&[WFE]);
                asm.to(b(), again);
                asm.land(mine);
                asm.put(&[addi(2, 2, 1), stlr(2, 1), DSB_ISH, SEV]);
            });
            asm.put(&[HVC_DONE]);
            asm.store(world);
        }
        let mut pes = pes(world, 4);
        for pe in &mut pes {
            pe.state.sys.hcr_el2 |= traps;
        }
        let ends = drive_all(&mut pes, world);
        assert_eq!(world.get(DATA), 4 * TURNS);
        assert_eq!(ends.iter().any(|ends| ends.waits > 0), traps != 0);
    }
}

/// The host moves a page from frame to frame under four PEs that count in it: unmapped, invalidated, copied, the old
/// frame poisoned, mapped again. No store goes to where the page was.
#[test]
fn a_page_that_the_host_moves_loses_no_store() {
    const FRAMES: [u64; 2] = [DATA + 0x1_0000, DATA + 0x1_1000];
    const COUNTED: u64 = DATA + 0x2_0000;
    /// Moves that there are to be at the least.
    const MOVES: u64 = 20;
    let world = World::new();
    for n in 0..4 {
        let mut asm = Asm::at(entry(n));
        asm.constant(1, COUNTED);
        asm.constant(2, 1);
        asm.put(&[addi(3, 1, 0x100 + 64 * n as u32)]);
        asm.constant(10, 0);
        asm.until_stopped(|asm| {
            asm.repeat(0, 200, |asm| {
                asm.put(&[ldadd(2, 31, 1), ldr(4, 3), addi(4, 4, 1), str(4, 3), addi(10, 10, 1)]);
            });
        });
        asm.put(&[HVC_DONE]);
        asm.store(world);
    }
    world.map(COUNTED, FRAMES[0]);
    let mut pes = pes(world, 4);
    let frame = Mutex::new(0_usize);
    let over = AtomicBool::new(false);
    let moves = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let mut frame = frame.lock().unwrap();
                let (old, new) = (FRAMES[*frame], FRAMES[*frame ^ 1]);
                world.map(COUNTED, HOLE);
                world.domain.invalidate_page(Pa::new(old), std::thread::yield_now);
                for at in (0..0x1000).step_by(8) {
                    world.put(new + at, world.get(old + at));
                    world.put(old + at, 0xdead_dead_dead_dead);
                }
                world.map(COUNTED, new);
                *frame ^= 1;
                drop(frame);
                moves.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
            }
        });
        // A PE that finds no page waits until the host has put it back.
        let put_back = |ipa| {
            assert_eq!(ipa, COUNTED);
            drop(frame.lock().unwrap());
        };
        drive_until(&mut pes, world, put_back, || moves.load(Ordering::SeqCst) >= MOVES);
        over.store(true, Ordering::SeqCst);
    });
    assert!(moves.load(Ordering::SeqCst) >= MOVES);
    let frame = FRAMES[*frame.lock().unwrap()];
    for (n, pe) in pes.iter().enumerate() {
        assert_eq!(world.get(frame + 0x100 + 64 * n as u64), pe.state.x[10], "PE {n}");
    }
    assert_eq!(world.get(frame), pes.iter().map(|pe| pe.state.x[10]).sum::<u64>());
}

/// A PE that runs for ever returns once for each request, and is asked again only when it has.
#[test]
fn every_kick_ends_a_run() {
    const KICKS: u64 = 2000;
    let world = World::new();
    let mut asm = Asm::at(entry(0));
    let top = asm.here();
    asm.put(&[addi(1, 1, 1)]);
    asm.to(b(), top);
    asm.store(world);
    let mut pes = pes(world, 1);
    let pe = &mut pes[0];
    let (ask, answer) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..KICKS {
                world.domain.request_exit(0);
                assert_eq!(answer.recv(), Ok(n));
            }
        });
        for n in 0..KICKS {
            while pe.run(world, u32::MAX) != arm_exec::Event::ExitRequest {}
            ask.send(n).unwrap();
        }
    });
    assert_eq!(pe.run(world, 100), arm_exec::Event::Budget, "one answer for each request");
}
