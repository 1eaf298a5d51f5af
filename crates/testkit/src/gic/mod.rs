//! The virtual interrupt interface and the timers: random sequences, compared between `arm_arch` and QEMU.
//!
//! A case is a state of the ICH registers and a sequence of accesses: ICC registers at EL1, ICH registers at EL2. Or
//! it is a sequence of timer accesses. After each access the reference records everything that can be seen: the
//! value read, the lines, all ICH registers, the maintenance interrupt, the physical interrupts that are active; for
//! a timer the counter before and after. `oracles/vgic` is the program that does so, `cargo xtask oracle gic` runs
//! it, and `tests/data/gic_sample.bin` holds some of its answers.
//!
//! Registers of cases are drawn by shift and mask on purpose: a field that a typed view has in the wrong place must not be
//! drawn there too.

mod model;
mod qemu;
mod store;

pub use model::{Difference, Excuse, replay};
pub use qemu::Qemu;
pub use store::{Stored, store};

use crate::rng::Rng;

/// The words that the reference records after each access.
pub const RECORD_WORDS: usize = 15;
/// What the reference records after one access.
pub type Record = [u64; RECORD_WORDS];

/// An access, as the oracle's program numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    /// 0–26 ICC registers (`start.S` has the list), 32–39 ICH registers, 64–79 timers.
    pub code: u64,
    /// What is written; all ones stands for what IAR gave last.
    pub value: u64,
}

/// What is written for "what IAR gave last".
pub const LAST: u64 = u64::MAX;

/// A sequence of accesses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// Of the timers, else of the interrupt interface.
    pub is_timer: bool,
    /// ICH_HCR, ICH_VMCR, ICH_AP0R0, ICH_AP1R0, four list registers, and active physical interrupts; or CNTVOFF.
    pub init: [u64; 9],
    /// The accesses in order.
    pub ops: Vec<Op>,
}

/// Makes cases: the same for a seed and a number, everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    /// The seed.
    pub seed: u64,
}

impl Generator {
    /// Returns case `number`; one in five is of the timers.
    #[must_use]
    pub fn case(self, number: u64) -> Case {
        let mut rng = Rng::item(self.seed, number);
        if rng.percent(20) { timer_case(&mut rng) } else { interface_case(&mut rng) }
    }
}

/// Interrupt numbers: SGIs, PPIs, SPIs, special ones, LPIs; not the extended ranges, which neither side has.
const NUMBERS: &[u64] =
    &[0, 3, 15, 16, 27, 30, 31, 32, 40, 63, 500, 1019, 1020, 1021, 1022, 1023, 8192, 8200, 65535];

struct Pool {
    /// The number of each list register: all different, as equal ones are UNPREDICTABLE.
    numbers: [u64; 4],
}

impl Pool {
    fn new(rng: &mut Rng) -> Self {
        let mut numbers = [0; 4];
        for at in 0..4 {
            numbers[at] = loop {
                let number = if rng.percent(70) { 16 + rng.below(48) } else { *rng.pick(NUMBERS) };
                if !numbers[..at].contains(&number) {
                    break number;
                }
            };
        }
        Self { numbers }
    }

    fn list_register(&self, rng: &mut Rng, at: usize) -> u64 {
        let state = *rng.pick(&[0, 1, 1, 1, 1, 2, 2, 3]);
        let hw = u64::from(rng.percent(25));
        let physical = match hw {
            1 => 16 + rng.below(16),
            _ if rng.percent(30) => 1 << 9,
            _ => 0,
        };
        let group = u64::from(rng.percent(75));
        state << 62 | hw << 61 | group << 60 | priority(rng) << 48 | physical << 32 | self.numbers[at]
    }

    fn number(&self, rng: &mut Rng) -> u64 {
        if rng.percent(80) { *rng.pick(&self.numbers) } else { *rng.pick(NUMBERS) }
    }
}

fn priority(rng: &mut Rng) -> u64 {
    if rng.percent(70) { rng.below(32) << 3 } else { rng.below(256) }
}

fn vmcr(rng: &mut Rng) -> u64 {
    // The reference keeps bits of VPMR that its priorities do not have.
    let mask = if rng.percent(70) { 0xf8 } else { rng.below(32) << 3 };
    let points = if rng.percent(50) { 2 << 3 | 3 } else { rng.below(64) };
    let (point0, point1) = (points >> 3, points & 7);
    let enables = *rng.pick(&[3, 3, 3, 3, 2, 2, 1, 0]);
    let modes = u64::from(rng.percent(30)) << 9 | u64::from(rng.percent(30)) << 4;
    mask << 24 | point0 << 21 | point1 << 18 | modes | enables
}

fn hcr(rng: &mut Rng) -> u64 {
    // Maintenance conditions and EOIcount; the bits that trap are not set.
    let count = if rng.percent(80) { 0 } else { rng.below(32) };
    count << 27 | (if rng.percent(50) { rng.below(128) << 1 } else { 0 }) | u64::from(rng.percent(93))
}

/// Active priorities: mostly none or one, sometimes many.
fn active(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0 => 1 << rng.below(32),
        1 => u64::from(rng.half()),
        _ => 0,
    }
}

fn interface_case(rng: &mut Rng) -> Case {
    let pool = Pool::new(rng);
    let mut init = [hcr(rng), vmcr(rng), active(rng), active(rng), 0, 0, 0, 0, u64::from(rng.half())];
    for at in 0..4 {
        init[4 + at] = pool.list_register(rng, at);
    }
    let count = 6 + rng.below(11);
    let ops = (0..count).map(|_| interface_op(rng, &pool)).collect();
    Case { is_timer: false, init, ops }
}

fn interface_op(rng: &mut Rng, pool: &Pool) -> Op {
    let (code, value) = match rng.below(100) {
        0..=5 => (1, 0),
        6..=24 => (2, 0),
        25..=44 => (15 + u64::from(rng.percent(80)), if rng.percent(60) { LAST } else { pool.number(rng) }),
        45..=54 => (17, if rng.percent(50) { LAST } else { pool.number(rng) }),
        55..=67 => (3 + rng.below(12), 0),
        68..=72 => (22, priority(rng)),
        // Three bits: more than that makes the reference abort.
        73..=77 => (18 + rng.below(2), rng.below(8)),
        78..=81 => (23 + rng.below(2), rng.word() & 3),
        82..=85 => (25, rng.word()),
        86 => (26, rng.word()),
        87 => (20 + rng.below(2), active(rng)),
        88 => (32, hcr(rng)),
        89 => (33, vmcr(rng)),
        90 => (34 + rng.below(2), active(rng)),
        _ => {
            let at = rng.below(4) as usize;
            (36 + at as u64, pool.list_register(rng, at))
        }
    };
    Op { code, value }
}

fn timer_case(rng: &mut Rng) -> Case {
    let mut init = [0; 9];
    // No small offset: with a virtual count below the physical one and a CVAL near the top, the reference's next
    // event is in its past, and it raises that event forever.
    init[0] = match rng.below(3) {
        0 => 0,
        1 => rng.word() | 1 << 62,
        _ => rng.below(1 << 40).wrapping_neg(),
    };
    let count = 6 + rng.below(11);
    let ops = (0..count).map(|_| timer_op(rng)).collect();
    Case { is_timer: true, init, ops }
}

fn timer_op(rng: &mut Rng) -> Op {
    let near = rng.around_zero(3000) as u64;
    let (access, value) = match rng.below(16) {
        0..=3 => (0, if rng.percent(80) { *rng.pick(&[1, 1, 1, 3, 0]) } else { rng.word() }),
        4..=5 => (1, near),
        6 => (2, *rng.pick(&[0, 1, u64::MAX, 1 << 63, (1 << 63) - 1])),
        7..=8 => (3, near),
        9 => (3, rng.word()),
        10..=11 => (4, 0),
        12 => (5, 0),
        13 => (6, 0),
        _ => (7, rng.below(2000)),
    };
    Op { code: 64 + 8 * rng.below(2) + access, value }
}

/// Adds a case to a fingerprint, which starts at 0: a generator that has changed is found by it.
#[must_use]
pub fn fingerprint(sum: u64, case: &Case) -> u64 {
    let ops = case.ops.iter().flat_map(|op| [op.code, op.value]);
    case.init
        .iter()
        .copied()
        .chain(ops)
        .fold(sum, |sum, word| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23))
}
