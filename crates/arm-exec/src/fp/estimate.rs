//! Reciprocals and reciprocal square roots to eight digits, and FRECPX.

use super::env::{Env, Fpsr};
use super::format::{Class, Format, flush_operand, flushes, infinity, is_nan, unpack, zero};
use super::round::{divide_by_zero, invalid, overflows_to_infinity, process_nan};

/// `RecipEstimate`: from 256 to 511 (standing for 0.5 to 1) to 256 to 511 (1 to 2).
const fn recip_of(a: u32) -> u32 {
    // To the middle of the interval, and the quotient to nearest.
    ((1_u32 << 19) / (2 * a + 1)).div_ceil(2)
}

/// `RecipSqrtEstimate`: from 128 to 511 (standing for 0.25 to 1) to 256 to 511 (1 to 2).
const fn rsqrt_of(a: u32) -> u32 {
    // To the middle of the interval, which is twice as wide from 0.5 on.
    let a = if a < 256 { 2 * a + 1 } else { 2 * (a | 1) };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// The low eight bits of `rsqrt_of`, the ninth being set always.
const RSQRT: [u8; 512] = {
    let mut table = [0; 512];
    let mut a = 128;
    while a < 512 {
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[a] = (rsqrt_of(a as u32) & 0xff) as u8;
        }
        a += 1;
    }
    table
};

/// [`rsqrt_of`], looked up.
#[inline]
pub(super) fn rsqrt_estimate_of(a: u32) -> u32 {
    256 | u32::from(RSQRT.get(a as usize).copied().unwrap_or(0))
}

/// `UnsignedRecipEstimate`, URECPE: of a fraction in \[0.5, 1), else all ones.
#[inline]
#[must_use]
pub fn unsigned_recip_estimate(op: u32) -> u32 {
    if op >> 31 == 0 { u32::MAX } else { recip_of(op >> 23) << 23 }
}

/// `UnsignedRSqrtEstimate`, URSQRTE: of a fraction in \[0.25, 1), else all ones.
#[inline]
#[must_use]
pub fn unsigned_rsqrt_estimate(op: u32) -> u32 {
    if op >> 30 == 0 { u32::MAX } else { rsqrt_estimate_of(op >> 23) << 23 }
}

/// A number's sign-less fields as the estimates take them: biased exponent, and fraction in 52 bits.
///
/// A subnormal is brought to a leading one; its exponent goes on below 1.
fn fields<F: Format>(bits: u64) -> (i32, u64) {
    let exp = ((bits >> F::FRAC) & F::EXP_ONES) as i32;
    let frac = (bits & F::FRAC_MASK) << (52 - F::FRAC);
    if exp != 0 {
        return (exp, frac);
    }
    // The leading one goes to bit 52, out of the fraction; at bit 51 it means exponent 0.
    let up = frac.leading_zeros().saturating_sub(11).min(53);
    (1 - up as i32, (frac << up) & ((1 << 52) - 1))
}

/// `FPRecipEstimate`.
#[must_use]
pub fn recip_estimate<F: Format>(op: u64, env: &mut Env) -> u64 {
    let operand = unpack::<F>(op, env);
    let sign = operand.sign;
    match operand.class {
        Class::QuietNan | Class::SignallingNan => process_nan::<F>(operand.bits, env),
        Class::Infinity => zero::<F>(sign),
        Class::Zero => divide_by_zero::<F>(sign, env),
        // Below 2^-(EMAX+1) the reciprocal overflows.
        Class::Finite(value) if value.exp < -(F::EMAX + 1) => {
            env.raise(Fpsr::OFC | Fpsr::IXC);
            let to_infinity = overflows_to_infinity(env.fpcr.rmode(), sign);
            zero::<F>(sign) | if to_infinity { F::INFINITY } else { F::MAX_NORMAL }
        }
        // From 2^(EMAX-1) on it is subnormal.
        Class::Finite(value) if flushes::<F>(env) && value.exp >= F::EMAX - 1 => {
            env.raise(Fpsr::UFC);
            zero::<F>(sign)
        }
        Class::Finite(_) => recip_of_finite::<F>(operand.bits),
    }
}

fn recip_of_finite<F: Format>(bits: u64) -> u64 {
    let (exp, frac) = fields::<F>(bits);
    let scaled = 256 | (frac >> 44) as u32;
    let frac = u64::from(recip_of(scaled) & 0xff) << 44;
    // 29, 253 or 2045 less the exponent; 0 and -1 are results below the normal numbers.
    let (exp, frac) = match 2 * F::EMAX - 1 - exp {
        0 => (0, (1 << 51) | (frac >> 1)),
        -1 => (0, (1 << 50) | (frac >> 2)),
        exp => (exp as u64 & F::EXP_ONES, frac),
    };
    (bits & F::SIGN) | (exp << F::FRAC) | (frac >> (52 - F::FRAC))
}

/// `FPRSqrtEstimate`.
#[must_use]
pub fn rsqrt_estimate<F: Format>(op: u64, env: &mut Env) -> u64 {
    let operand = unpack::<F>(op, env);
    match operand.class {
        Class::QuietNan | Class::SignallingNan => process_nan::<F>(operand.bits, env),
        Class::Zero => divide_by_zero::<F>(operand.sign, env),
        _ if operand.sign => invalid::<F>(env),
        Class::Infinity => zero::<F>(false),
        Class::Finite(_) => rsqrt_of_finite::<F>(operand.bits),
    }
}

fn rsqrt_of_finite<F: Format>(bits: u64) -> u64 {
    let (exp, frac) = fields::<F>(bits);
    let scaled = if exp & 1 == 0 { 256 | (frac >> 44) as u32 } else { 128 | (frac >> 45) as u32 };
    // 44, 380 or 3068 less the exponent, halved; never near the ends of the format.
    let exp = ((3 * F::EMAX - 1 - exp) >> 1) as u64 & F::EXP_ONES;
    let frac = u64::from(rsqrt_estimate_of(scaled) & 0xff) << 44;
    (exp << F::FRAC) | (frac >> (52 - F::FRAC))
}

/// `FPRecpX`: a power of two with about the reciprocal's exponent.
#[must_use]
pub fn recpx<F: Format>(op: u64, env: &mut Env) -> u64 {
    // Unpacked for its exceptions only; the result is made from the exponent field as given.
    let flushed = flush_operand::<F>(op, env);
    if is_nan::<F>(flushed) {
        return process_nan::<F>(flushed, env);
    }
    let sign = op & F::SIGN != 0;
    match op & F::INFINITY {
        0 => infinity::<F>(sign) - (1 << F::FRAC),
        exp => zero::<F>(sign) | (!exp & F::INFINITY),
    }
}
