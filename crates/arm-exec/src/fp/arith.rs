//! Addition, multiplication, division, square root, and the fused multiply-add.

use super::env::{Env, Rounding};
use super::estimate::rsqrt_estimate_of;
use super::format::{Class, Finite, Format, Operand, infinity, small_constant, unpack, zero};
use super::round::{
    divide_by_zero, exact_zero, invalid, process_nan, process_nans, round, shift_right_jam_128,
};

/// `FPAdd`.
#[inline]
pub fn add<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    match F::fast_add(op1, op2, env) {
        Some(sum) => sum,
        None => add_slow::<F>(op1, op2, false, env),
    }
}

/// `FPSub`. A NaN as second operand keeps its sign.
#[inline]
pub fn sub<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    match F::fast_sub(op1, op2, env) {
        Some(difference) => difference,
        None => add_slow::<F>(op1, op2, true, env),
    }
}

/// `FPMul`.
#[inline]
pub fn mul<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    match F::fast_mul(op1, op2, env) {
        Some(product) => product,
        None => mul_slow::<F>(op1, op2, invalid::<F>, env),
    }
}

/// `FPMulX`: as [`mul`], but zero times infinity is two with the product's sign, and valid.
#[inline]
pub fn mulx<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    match F::fast_mul(op1, op2, env) {
        Some(product) => product,
        None => {
            let sign = (op1 ^ op2) & F::SIGN != 0;
            mul_slow::<F>(op1, op2, |_| small_constant::<F>(sign, 1, false), env)
        }
    }
}

/// `FPDiv`.
#[inline]
pub fn div<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    match F::fast_div(op1, op2, env) {
        Some(quotient) => quotient,
        None => div_slow::<F>(op1, op2, env),
    }
}

/// `FPMulAdd`: `addend + op1 × op2`, rounded once.
///
/// FMSUB and FMLS negate `op1` before, FNMADD and FNMSUB the addend too: [`neg`](super::neg), which a NaN feels.
#[inline]
pub fn mul_add<F: Format>(addend: u64, op1: u64, op2: u64, env: &mut Env) -> u64 {
    match F::fast_mul_add(addend, op1, op2, env) {
        Some(sum) => sum,
        None => mul_add_slow::<F>(addend, op1, op2, env),
    }
}

#[inline(never)]
fn add_slow<F: Format>(op1: u64, op2: u64, negate: bool, env: &mut Env) -> u64 {
    let rounding = env.fpcr.rmode();
    let (a, b) = (unpack::<F>(op1, env), unpack::<F>(op2, env));
    if let Some(nan) = process_nans::<F, 2>([&a, &b], env) {
        return nan;
    }
    let b = if negate { negated(b) } else { b };
    match (a.class, b.class) {
        (Class::Infinity, Class::Infinity) if a.sign != b.sign => invalid::<F>(env),
        (Class::Infinity, _) => infinity::<F>(a.sign),
        (_, Class::Infinity) => infinity::<F>(b.sign),
        (Class::Zero, Class::Zero) if a.sign == b.sign => zero::<F>(a.sign),
        _ => sum::<F>(wide(&a), wide(&b), 0, rounding, env),
    }
}

fn negated(op: Operand) -> Operand {
    let class = match op.class {
        Class::Finite(value) => Class::Finite(Finite { sign: !value.sign, ..value }),
        other @ (Class::Zero | Class::Infinity | Class::QuietNan | Class::SignallingNan) => other,
    };
    Operand { sign: !op.sign, class, ..op }
}

#[inline(never)]
fn mul_slow<F: Format>(
    op1: u64,
    op2: u64,
    zero_times_inf: impl FnOnce(&mut Env) -> u64,
    env: &mut Env,
) -> u64 {
    let rounding = env.fpcr.rmode();
    let (a, b) = (unpack::<F>(op1, env), unpack::<F>(op2, env));
    if let Some(nan) = process_nans::<F, 2>([&a, &b], env) {
        return nan;
    }
    let sign = a.sign != b.sign;
    match (a.class, b.class) {
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => zero_times_inf(env),
        (Class::Infinity, _) | (_, Class::Infinity) => infinity::<F>(sign),
        (Class::Finite(x), Class::Finite(y)) => round::<F>(narrow(product(x, y)), rounding, env),
        _ => zero::<F>(sign),
    }
}

#[inline(never)]
fn div_slow<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    let rounding = env.fpcr.rmode();
    let (a, b) = (unpack::<F>(op1, env), unpack::<F>(op2, env));
    if let Some(nan) = process_nans::<F, 2>([&a, &b], env) {
        return nan;
    }
    let sign = a.sign != b.sign;
    match (a.class, b.class) {
        (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => invalid::<F>(env),
        (Class::Infinity, _) => infinity::<F>(sign),
        (_, Class::Zero) => divide_by_zero::<F>(sign, env),
        (Class::Finite(x), Class::Finite(y)) => round::<F>(quotient::<F>(x, y), rounding, env),
        _ => zero::<F>(sign),
    }
}

/// Divides significands: at least `FRAC + 3` digits of the quotient, the rest jammed.
#[inline]
fn quotient<F: Format>(x: Finite, y: Finite) -> Finite {
    let drop = 63 - F::FRAC;
    // Both hold FRAC + 1 digits, the highest set; the divisor is never zero.
    let (num, den) = (x.sig >> drop, (y.sig >> drop).max(1));
    let extra = F::FRAC + 4;
    let (digits, rest) = if 2 * F::FRAC + 5 <= 64 {
        let num = num << extra;
        (num / den, num % den != 0)
    } else {
        let (num, den) = (u128::from(num) << extra, u128::from(den));
        ((num / den) as u64, num % den != 0)
    };
    // num/den is in (1/2, 2), so `digits` has bit `extra` or `extra - 1` as its highest.
    let lead = digits.leading_zeros() & 63;
    let exp = x.exp - y.exp + 63 - extra as i32 - lead as i32;
    Finite { sign: x.sign != y.sign, exp, sig: (digits << lead) | u64::from(rest) }
}

#[inline(never)]
fn mul_add_slow<F: Format>(addend: u64, op1: u64, op2: u64, env: &mut Env) -> u64 {
    let rounding = env.fpcr.rmode();
    let (c, a, b) = (unpack::<F>(addend, env), unpack::<F>(op1, env), unpack::<F>(op2, env));
    let nan = process_nans::<F, 3>([&c, &a, &b], env);
    let zero_times_inf = (a.is_infinite() && b.is_zero()) || (a.is_zero() && b.is_infinite());
    // A quiet NaN as addend does not hide an invalid product.
    if matches!(c.class, Class::QuietNan) && zero_times_inf {
        return invalid::<F>(env);
    }
    if let Some(nan) = nan {
        return nan;
    }
    let sign = a.sign != b.sign;
    let infinite = a.is_infinite() || b.is_infinite();
    if zero_times_inf || (c.is_infinite() && infinite && c.sign != sign) {
        return invalid::<F>(env);
    }
    if c.is_infinite() {
        return infinity::<F>(c.sign);
    }
    if infinite {
        return infinity::<F>(sign);
    }
    if c.is_zero() && (a.is_zero() || b.is_zero()) && c.sign == sign {
        return zero::<F>(sign);
    }
    sum::<F>(wide(&c), wide_product(&a, &b), 0, rounding, env)
}

/// `FPRecipStepFused`: `2 − op1 × op2`, rounded once.
#[must_use]
pub fn recip_step<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    let two = Wide { sign: false, exp: 1, sig: 1 << 127 };
    step::<F>(op1, op2, small_constant::<F>(false, 1, false), two, 0, env)
}

/// `FPRSqrtStepFused`: `(3 − op1 × op2) / 2`, rounded once.
#[must_use]
pub fn rsqrt_step<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    let three = Wide { sign: false, exp: 1, sig: 3 << 126 };
    step::<F>(op1, op2, small_constant::<F>(false, 0, true), three, -1, env)
}

fn step<F: Format>(op1: u64, op2: u64, zero_times_inf: u64, from: Wide, scale: i32, env: &mut Env) -> u64 {
    let rounding = env.fpcr.rmode();
    // FPNeg comes before the NaN rules here.
    let (a, b) = (unpack::<F>(op1 ^ F::SIGN, env), unpack::<F>(op2, env));
    if let Some(nan) = process_nans::<F, 2>([&a, &b], env) {
        return nan;
    }
    match (a.class, b.class) {
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => zero_times_inf,
        (Class::Infinity, _) | (_, Class::Infinity) => infinity::<F>(a.sign != b.sign),
        _ => sum::<F>(Some(from), wide_product(&a, &b), scale, rounding, env),
    }
}

/// `FPSqrt`.
#[must_use]
pub fn sqrt<F: Format>(op: u64, env: &mut Env) -> u64 {
    let a = unpack::<F>(op, env);
    match a.class {
        Class::QuietNan | Class::SignallingNan => process_nan::<F>(a.bits, env),
        Class::Zero => zero::<F>(a.sign),
        _ if a.sign => invalid::<F>(env),
        Class::Infinity => infinity::<F>(false),
        Class::Finite(value) => {
            let rounding = env.fpcr.rmode();
            round::<F>(root::<F>(value), rounding, env)
        }
    }
}

/// Takes the root: 27 or 55 digits of it, the rest jammed.
#[inline]
fn root<F: Format>(value: Finite) -> Finite {
    // x = scaled/2⁶⁴ is in [1/4, 1), its root's digits are the result's. FRAC < 63: nothing is shifted out.
    let odd = (value.exp & 1) as u32;
    let scaled = value.sig >> (1 - odd);
    let (high, rsqrt) = root_estimate(scaled);
    let sig = if F::FRAC <= 23 {
        let (square, mut digits) = (scaled >> 10, high >> 5);
        while digits * digits > square {
            digits -= 1;
        }
        while (digits + 1) * (digits + 1) <= square {
            digits += 1;
        }
        (digits << 37) | u64::from(digits * digits != square)
    } else {
        // One step more: what is left, divided by twice the root.
        let left = i128::from(scaled) - i128::from(high * high);
        let refined = (i128::from(high) << 32) + ((left * i128::from(rsqrt)) >> 32);
        let (square, mut digits) = (u128::from(scaled) << 46, (refined >> 9) as u128);
        while digits * digits > square {
            digits -= 1;
        }
        while (digits + 1) * (digits + 1) <= square {
            digits += 1;
        }
        ((digits as u64) << 9) | u64::from(digits * digits != square)
    };
    Finite { sign: false, exp: value.exp >> 1, sig }
}

/// Estimates √x · 2³² and 2³¹/√x for `x = scaled/2⁶⁴` in \[1/4, 1).
///
/// From the eight digits of the architecture's own table two steps of Newton's, `r' = r·(3 − x·r²)/2`, make more than 28;
/// [`root`] sets the last digits right whatever these are, in at most a step or two.
#[inline]
fn root_estimate(scaled: u64) -> (u64, u64) {
    let x = scaled >> 32;
    let mut r = u64::from(rsqrt_estimate_of((scaled >> 55) as u32)) << 23;
    for _ in 0..2 {
        // x·r² is near 1, with 62 digits after the point.
        let near_one = (x * ((r * r) >> 31)) >> 1;
        r = (r * (((3 << 62) - near_one) >> 32)) >> 31;
    }
    (((x * r) >> 31).min(u64::from(u32::MAX)), r)
}

/// As [`Finite`], with the digits of a product: `± sig/2¹²⁷ · 2^exp`, bit 127 set.
#[derive(Clone, Copy, Debug)]
struct Wide {
    sign: bool,
    exp: i32,
    sig: u128,
}

/// A zero or a number; `None` is zero.
#[inline]
fn wide(op: &Operand) -> Option<Wide> {
    match op.class {
        Class::Finite(Finite { sign, exp, sig }) => Some(Wide { sign, exp, sig: u128::from(sig) << 64 }),
        Class::Zero | Class::Infinity | Class::QuietNan | Class::SignallingNan => None,
    }
}

#[inline]
fn wide_product(a: &Operand, b: &Operand) -> Option<Wide> {
    match (a.class, b.class) {
        (Class::Finite(x), Class::Finite(y)) => Some(product(x, y)),
        _ => None,
    }
}

#[inline]
fn product(x: Finite, y: Finite) -> Wide {
    let sig = u128::from(x.sig) * u128::from(y.sig);
    let lead = sig.leading_zeros() & 1;
    Wide { sign: x.sign != y.sign, exp: x.exp + y.exp + 1 - lead as i32, sig: sig << lead }
}

#[inline]
fn narrow(value: Wide) -> Finite {
    let sig = (value.sig >> 64) as u64 | u64::from(value.sig as u64 != 0);
    Finite { sign: value.sign, exp: value.exp, sig }
}

/// Adds, scales by `2^scale`, and rounds. The caller has dealt with zeros of one sign.
fn sum<F: Format>(a: Option<Wide>, b: Option<Wide>, scale: i32, rounding: Rounding, env: &mut Env) -> u64 {
    let exact = match (a, b) {
        (Some(x), Some(y)) => sum_of_two(x, y),
        (Some(x), None) | (None, Some(x)) => Some(x),
        (None, None) => None,
    };
    match exact {
        Some(value) => {
            let value = narrow(value);
            round::<F>(Finite { exp: value.exp + scale, ..value }, rounding, env)
        }
        None => exact_zero::<F>(rounding),
    }
}

/// Adds two numbers; `None` is zero.
///
/// A product has at most 106 digits, so the lowest 22 bits are free: one is given up for the carry, and digits are
/// jammed only if the exponents differ by more than 21, when a difference loses at most one leading digit.
#[inline]
fn sum_of_two(x: Wide, y: Wide) -> Option<Wide> {
    let (big, small) = if (x.exp, x.sig) >= (y.exp, y.sig) { (x, y) } else { (y, x) };
    let apart = (big.exp - small.exp).unsigned_abs();
    let above = big.sig >> 1;
    let below = shift_right_jam_128(small.sig >> 1, apart);
    let sig = if big.sign == small.sign { above + below } else { above - below };
    if sig == 0 {
        return None;
    }
    let lead = sig.leading_zeros();
    Some(Wide { sign: big.sign, exp: big.exp + 1 - lead as i32, sig: sig << lead })
}
