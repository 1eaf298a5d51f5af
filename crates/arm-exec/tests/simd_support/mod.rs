//! What the tests of the SIMD&FP instructions share: a small machine and states worth computing with.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "each test file uses its part; a broken assumption is a failed test"
)]

use arm_exec::simd::{SimdOp, decode};
use arm_exec::state::{Flags, FpState};
use testkit::rng::Rng;

/// As much of a processing element as these instructions see.
#[derive(Clone)]
pub struct Machine {
    pub fp: FpState,
    pub x: [u64; 64],
    pub flags: Flags,
}

impl Machine {
    pub fn new() -> Self {
        Self { fp: FpState { v: [0; 32], fpcr: 0, fpsr: 0 }, x: [0; 64], flags: Flags::from_nzcv(0) }
    }

    /// The machine with these registers in V0, V1, V2.
    pub fn with(d: u128, n: u128, m: u128) -> Self {
        let mut machine = Self::new();
        machine.fp.v[..3].copy_from_slice(&[d, n, m]);
        machine
    }

    /// Every register full of numbers at the edges of some format, and FPCR, FPSR, NZCV too.
    pub fn random(rng: &mut Rng) -> Self {
        let mut machine = Self::new();
        for v in &mut machine.fp.v {
            *v = u128::from(edge(rng)) | u128::from(edge(rng)) << 64;
        }
        for x in &mut machine.x[..30] {
            *x = edge(rng);
        }
        if !rng.percent(30) {
            machine.fp.fpcr = (rng.half() & 3) << 22; // RMode
            for bit in [24, 25, 26] {
                machine.fp.fpcr |= u32::from(rng.percent(30)) << bit; // FZ, DN, AHP
            }
        }
        machine.fp.fpsr = *rng.pick(&[0, 0x10, 0x0800_009f]);
        machine.flags = Flags::from_nzcv(rng.below(16) << 28);
        machine
    }

    /// Executes one word, which must decode.
    pub fn run(&mut self, word: u32) -> &mut Self {
        match decode(word) {
            Some(SimdOp::Data(f)) => f(&mut self.fp, &mut self.x, word),
            Some(SimdOp::Flags(f)) => f(&mut self.fp, &mut self.flags, word),
            None => panic!("{word:#010x} is undefined"),
        }
        self
    }

    /// V0.
    pub fn v0(&self) -> u128 {
        self.fp.v[0]
    }
}

/// 64 bits that are somewhere near an edge, seen as bytes, halves, words, doublewords, integers or floats.
pub fn edge(rng: &mut Rng) -> u64 {
    const DOUBLES: &[u64] = &[
        0,
        1 << 63,
        0x3ff0_0000_0000_0000, // 1
        0x3fe0_0000_0000_0000, // 1/2
        0x3ff8_0000_0000_0000, // 3/2
        0x7ff0_0000_0000_0000, // infinities
        0xfff0_0000_0000_0000,
        0x7ff8_0000_0000_0001, // quiet and signalling NaN
        0x7ff0_0000_0000_0001,
        1, // subnormals
        0x000f_ffff_ffff_ffff,
        0x0010_0000_0000_0000, // smallest and greatest normal numbers
        0x7fef_ffff_ffff_ffff,
        0x43e0_0000_0000_0000, // 2⁶³, −2⁶³, 2³¹ − 1
        0xc3e0_0000_0000_0000,
        0x41df_ffff_ffc0_0000,
        0x380f_ffff_ffff_ffff, // just below single precision's normal numbers
        0x36a0_0000_0000_0000, // its smallest subnormal
        0x47ef_ffff_ffff_ffff, // beyond its greatest number
        0x4330_0000_0000_0001, // 2⁵² + 1
    ];
    const SINGLES: &[u32] = &[
        0,
        1 << 31,
        0x3f80_0000, // 1
        0x3f00_0000, // 1/2
        0x7f80_0000, // infinities
        0xff80_0000,
        0x7fc0_0001, // quiet and signalling NaN
        0x7f80_0001,
        1, // subnormals
        0x007f_ffff,
        0x0080_0000, // smallest and greatest normal numbers
        0x7f7f_ffff,
        0x4f00_0000, // 2³¹, −2³¹, 2⁶³
        0xcf00_0000,
        0x5f00_0000,
        0x3880_0000, // half precision's smallest normal number and neighbours
        0x387f_c000,
        0x3300_0000, // half its smallest subnormal
        0x477f_e000, // its greatest number, and a tie above it
        0x477f_f000,
    ];
    const HALVES: &[u16] =
        &[0, 0x8000, 0x3c00, 0x7c00, 0xfc00, 0x7e01, 0x7c01, 1, 0x3ff, 0x400, 0x7bff, 0xffff, 0x7fff];
    const BYTES: &[u8] = &[0, 1, 2, 0x55, 0x7f, 0x80, 0xfe, 0xff];
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    match rng.below(9) {
        0 => *rng.pick(DOUBLES),
        1 => pair(*rng.pick(SINGLES), *rng.pick(SINGLES)),
        2 => pair(*rng.pick(SINGLES), rng.half()),
        3 => (0..4).fold(0, |all, _| all << 16 | u64::from(*rng.pick(HALVES))),
        4 => (0..8).fold(0, |all, _| all << 8 | u64::from(*rng.pick(BYTES))),
        // Doubles of moderate size with few digits, then singles.
        5 => rng.word() & (1 << 63) | (1003 + rng.below(40)) << 52 | rng.word() & (0xf_ffff << rng.below(33)),
        6 => {
            let mut single = || {
                rng.half() & (1 << 31)
                    | (107 + rng.below(40) as u32) << 23
                    | rng.half() & (0x3f << rng.below(18))
            };
            pair(single(), single())
        }
        7 => (rng.word() as i64 >> rng.below(64)) as u64,
        _ => rng.word(),
    }
}

/// The machine that line `number` of the stored results starts from.
pub fn stored_machine(number: u64) -> Machine {
    Machine::random(&mut Rng::item(0x5349_4d44, number))
}
