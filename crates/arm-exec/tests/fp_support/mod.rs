//! Operands that are likely to hurt, shared by the floating-point tests.

#![allow(dead_code, reason = "every test crate takes what it needs")]
#![expect(clippy::indexing_slicing, reason = "a test")]

use arm_exec::fp::Format;

/// SplitMix64: reproducible, and good enough to spread operands.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A fraction: random, sparse, nearly all zeros or ones, or with a long tail of zeros.
    fn fraction<F: Format>(&mut self) -> u64 {
        let frac = match self.below(7) {
            0 | 1 => self.bits(),
            2 => 0,
            3 => self.below(4),
            4 => self.below(4).wrapping_neg().wrapping_sub(1),
            5 => (1 << self.below(64)) | (1 << self.below(64)),
            _ => self.bits() << self.below(u64::from(F::FRAC) + 1),
        };
        frac & F::FRAC_MASK
    }

    /// An operand by itself.
    pub fn operand<F: Format>(&mut self) -> u64 {
        let sign = if self.bits() & 1 != 0 { F::SIGN } else { 0 };
        let one = (F::EXP_ONES >> 1) as i64;
        let span = i64::from(F::FRAC) + 4;
        let field = match self.below(10) {
            0 => return sign | self.special::<F>(),
            1 => return self.bits() & F::ALL,
            2..=4 => one + self.below(9) as i64 - 4,
            5 | 6 => one + self.below(2 * span as u64) as i64 - span,
            7 => self.below(3) as i64,
            8 => self.below(span as u64) as i64,
            _ => 2 * one - self.below(3) as i64,
        };
        sign | ((field as u64).min(F::EXP_ONES - 1) << F::FRAC) | self.fraction::<F>()
    }

    fn special<F: Format>(&mut self) -> u64 {
        let min_normal = F::FRAC_MASK + 1;
        let one = (F::EXP_ONES >> 1) << F::FRAC;
        let payload = self.bits() & (F::QUIET - 1);
        self.pick(&[
            0,
            0,
            1,
            2,
            F::FRAC_MASK,
            F::FRAC_MASK - 1,
            min_normal,
            min_normal + 1,
            2 * min_normal,
            F::MAX_NORMAL,
            F::MAX_NORMAL - 1,
            one,
            one + 1,
            one - 1,
            one + min_normal,
            F::INFINITY,
            F::INFINITY,
            F::DEFAULT_NAN,
            F::INFINITY | F::QUIET | payload,
            F::INFINITY | payload.max(1),
        ])
    }

    /// A second operand: unrelated, near the first one in value or exponent, or such that product or quotient come out near
    /// an end of the format.
    pub fn partner<F: Format>(&mut self, of: u64) -> u64 {
        let sign = if self.bits() & 1 != 0 { F::SIGN } else { 0 };
        let bias = (F::EXP_ONES >> 1) as i64;
        let span = i64::from(F::FRAC) + 4;
        let near = ((of >> F::FRAC) & F::EXP_ONES) as i64;
        let field = match self.below(8) {
            0 => return (of ^ sign).wrapping_add(self.below(7)).wrapping_sub(3) & F::ALL,
            1 | 2 => near + self.below(2 * span as u64) as i64 - span,
            3 => bias - near + self.below(5) as i64 - 2,
            4 => near + bias + self.below(5) as i64 - 2,
            5 => self.pick(&[3 * bias - near, near - bias]) + self.below(5) as i64 - 2,
            _ => return self.operand::<F>(),
        };
        sign | ((field.max(0) as u64).min(F::EXP_ONES - 1) << F::FRAC) | self.fraction::<F>()
    }
}
