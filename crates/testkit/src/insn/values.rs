//! Random values that meet the corners: registers, floating-point numbers, PSTATE.

use super::case::{State, WINDOW_WORDS, word};
use super::env;
use crate::rng::Rng;

/// Returns a general register's value.
pub fn general(rng: &mut Rng) -> u64 {
    match rng.below(12) {
        0..=3 => rng.word(),
        4 => env::WINDOW + rng.below(env::WINDOW_BYTES),
        5 => rng.below(64),
        6 => u64::MAX - rng.below(64),
        7 => 1 << rng.below(64),
        8 => (1u64 << rng.below(64)).wrapping_sub(1),
        9 => rng.word() >> rng.below(64),
        10 => *rng.pick(&[
            0,
            1,
            u64::MAX,
            1 << 63,
            i64::MAX as u64,
            1 << 31,
            0x7fff_ffff,
            0xffff_ffff,
            0xffff_ffff_8000_0000,
        ]),
        _ => (rng.word() as i64 >> rng.below(64)) as u64,
    }
}

/// A floating-point format: exponent and fraction bits.
#[derive(Clone, Copy)]
struct Format {
    exponent: u32,
    fraction: u32,
}

const HALF: Format = Format { exponent: 5, fraction: 10 };
const SINGLE: Format = Format { exponent: 8, fraction: 23 };
const DOUBLE: Format = Format { exponent: 11, fraction: 52 };

impl Format {
    fn random(self, rng: &mut Rng) -> u64 {
        let most = (1u64 << self.exponent) - 1;
        let bias = most >> 1;
        let fraction_mask = (1u64 << self.fraction) - 1;
        let exponent = match rng.below(16) {
            0 => 0,
            1 => most,
            2 => 1,
            3 => most - 1,
            4..=7 => bias + rng.below(6) - 3,
            8..=10 => bias + rng.below(u64::from(self.fraction) + 4),
            11 => (bias + u64::from(*rng.pick(&[31u32, 32, 63, 64, 15, 16]))).min(most),
            12 => (bias + 2 - u64::from(self.fraction).min(bias)) + rng.below(4),
            _ => rng.below(most + 1),
        };
        let fraction = match rng.below(8) {
            0 => 0,
            1 => fraction_mask,
            2 => 1 << rng.below(u64::from(self.fraction)),
            3 => fraction_mask ^ (1 << rng.below(u64::from(self.fraction))),
            4 => fraction_mask << rng.below(u64::from(self.fraction)) & fraction_mask,
            _ => rng.word() & fraction_mask,
        };
        (rng.below(2) << self.exponent | exponent) << self.fraction | fraction
    }

    fn lanes(self, rng: &mut Rng) -> u64 {
        let bits = 1 + self.exponent + self.fraction;
        (0..64 / bits).fold(0, |word, lane| word | self.random(rng) << (lane * bits))
    }
}

/// Returns half a vector register.
fn half_vector(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0..=2 => DOUBLE.lanes(rng),
        3..=5 => SINGLE.lanes(rng),
        6 => HALF.lanes(rng),
        7 => general(rng),
        _ => rng.word(),
    }
}

fn pstate(rng: &mut Rng) -> u64 {
    let nzcv = rng.below(16) << 28;
    let daif = if rng.percent(70) { 0x3c0 } else { rng.below(16) << 6 };
    let dit = u64::from(rng.percent(30)) << 24;
    let ssbs = u64::from(rng.percent(30)) << 12;
    let common = nzcv | daif | dit | ssbs;
    if rng.percent(35) {
        return common;
    }
    let pan = u64::from(rng.percent(15)) << 22;
    let uao = u64::from(rng.percent(25)) << 23;
    common | pan | uao | if rng.percent(12) { 4 } else { 5 }
}

fn fpcr(rng: &mut Rng) -> u64 {
    if rng.percent(40) {
        return 0;
    }
    let rmode = rng.below(4) << 22;
    let fz = u64::from(rng.percent(30)) << 24;
    let dn = u64::from(rng.percent(30)) << 25;
    let ahp = u64::from(rng.percent(20)) << 26;
    rmode | fz | dn | ahp
}

/// Returns a random state with its code at `pc`.
pub fn state(rng: &mut Rng, pc: u64) -> State {
    let mut s = State::zero();
    for n in 0..31 {
        s.0[n] = general(rng);
    }
    s.0[word::SP_EL0] = env::WINDOW + 16 * rng.below(32);
    s.0[word::SP_EL1] = env::WINDOW + 16 * rng.below(32);
    s.0[word::PSTATE] = pstate(rng);
    s.0[word::PC] = pc;
    s.0[word::FPCR] = fpcr(rng);
    s.0[word::FPSR] = if rng.percent(70) { 0 } else { rng.word() & 0x0800_009f };
    for n in [word::TPIDR_EL0, word::TPIDRRO_EL0, word::TPIDR_EL1, word::FAR_EL1] {
        s.0[n] = rng.word();
    }
    s.0[word::ESR_EL1] = rng.word() & 0xffff_ffff;
    s.0[word::ELR_EL1] = env::CODE + 0x1000 + (rng.below(0x8_0000) << 2);
    // A return that is legal, mostly: to EL0, EL1t or EL1h; AArch32 is left out, EL2 is illegal.
    let mode = *rng.pick(&[0, 0, 4, 5, 5, 5, 1, 9]);
    s.0[word::SPSR_EL1] = (pstate(rng) & !0xf) | mode | u64::from(rng.percent(5)) << 20;
    for n in word::V..word::V + 64 {
        s.0[n] = half_vector(rng);
    }
    // Operands that cancel, or are equal.
    for _ in 0..6 {
        let (from, to) = (rng.below(32) as usize, rng.below(32) as usize);
        let sign = *rng.pick(&[
            0u128,
            1 << 127 | 1 << 63,
            0x8000_0000_8000_0000_8000_0000_8000_0000,
            1,
            1 << 64 | 1,
        ]);
        s.set_v(to, s.v(from) ^ sign);
    }
    s
}

/// Returns random data for the window.
pub fn window(rng: &mut Rng) -> [u64; WINDOW_WORDS] {
    std::array::from_fn(|_| half_vector(rng))
}
