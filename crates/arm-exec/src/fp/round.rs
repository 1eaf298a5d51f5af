//! Rounding to a format, and NaN results.

use super::env::{Env, Fpsr, Rounding};
use super::format::{Class, Finite, Format, Operand, flushes, infinity, is_signalling, zero};

/// Shifts right; what falls out survives as bit 0.
#[inline]
pub(super) const fn shift_right_jam(x: u64, by: u32) -> u64 {
    if by == 0 {
        x
    } else if by < 64 {
        (x >> by) | (x << (64 - by) != 0) as u64
    } else {
        (x != 0) as u64
    }
}

/// Shifts right; what falls out survives as bit 0.
#[inline]
pub(super) const fn shift_right_jam_128(x: u128, by: u32) -> u128 {
    if by == 0 {
        x
    } else if by < 128 {
        (x >> by) | (x << (128 - by) != 0) as u128
    } else {
        (x != 0) as u128
    }
}

/// Whether a magnitude with `below` (in units of `2·half`) under its last bit is stepped up.
#[inline]
pub(super) const fn rounds_up(rounding: Rounding, sign: bool, odd: bool, below: u64, half: u64) -> bool {
    match rounding {
        Rounding::TieEven => below > half || (below == half && odd),
        Rounding::PosInf => !sign && below != 0,
        Rounding::NegInf => sign && below != 0,
        Rounding::Zero | Rounding::Odd => false,
        Rounding::TieAway => below >= half,
    }
}

/// Whether overflow gives infinity (`overflow_to_inf`) rather than the largest number.
#[inline]
pub(super) const fn overflows_to_infinity(rounding: Rounding, sign: bool) -> bool {
    match rounding {
        Rounding::TieEven | Rounding::TieAway => true,
        Rounding::PosInf => !sign,
        Rounding::NegInf => sign,
        Rounding::Zero | Rounding::Odd => false,
    }
}

/// `FPRound`.
#[inline]
pub(super) fn round<F: Format>(value: Finite, rounding: Rounding, env: &mut Env) -> u64 {
    let flush = flushes::<F>(env);
    round_with::<F>(value, rounding, flush, env)
}

/// `FPRoundCV`: FZ16 does not apply, and a half may be in the alternative format.
pub(super) fn round_cv<F: Format>(value: Finite, rounding: Rounding, env: &mut Env) -> u64 {
    if !F::IS_HALF {
        return round::<F>(value, rounding, env);
    }
    if env.fpcr.ahp() {
        return round_alternative::<F>(value, rounding, env);
    }
    round_with::<F>(value, rounding, false, env)
}

#[inline]
fn round_with<F: Format>(value: Finite, rounding: Rounding, flush: bool, env: &mut Env) -> u64 {
    if value.exp < F::EMIN {
        return round_tiny::<F>(value, rounding, flush, env);
    }
    if value.exp > F::EMAX {
        return overflow::<F>(value.sign, rounding, env);
    }
    let (magnitude, inexact) = assemble::<F>(value, rounding);
    if magnitude >= F::INFINITY {
        return overflow::<F>(value.sign, rounding, env);
    }
    if inexact {
        env.raise(Fpsr::IXC);
    }
    zero::<F>(value.sign) | magnitude
}

/// Rounds what is below the normal numbers before rounding: that is where Arm looks for underflow.
#[cold]
fn round_tiny<F: Format>(value: Finite, rounding: Rounding, flush: bool, env: &mut Env) -> u64 {
    if flush {
        // Underflow, but not inexact, and even where the subnormal would have been exact.
        env.raise(Fpsr::UFC);
        return zero::<F>(value.sign);
    }
    let (magnitude, inexact) = assemble::<F>(value, rounding);
    if inexact {
        env.raise(Fpsr::UFC | Fpsr::IXC);
    }
    zero::<F>(value.sign) | magnitude
}

#[cold]
fn overflow<F: Format>(sign: bool, rounding: Rounding, env: &mut Env) -> u64 {
    env.raise(Fpsr::OFC | Fpsr::IXC);
    let magnitude = if overflows_to_infinity(rounding, sign) { F::INFINITY } else { F::MAX_NORMAL };
    zero::<F>(sign) | magnitude
}

/// `FPRound` to the alternative half-precision format, whose greatest exponent is for numbers too.
fn round_alternative<F: Format>(value: Finite, rounding: Rounding, env: &mut Env) -> u64 {
    let (magnitude, inexact) =
        if value.exp > F::EMAX + 1 { (F::SIGN, false) } else { assemble::<F>(value, rounding) };
    if magnitude >= F::SIGN {
        env.raise(Fpsr::IOC);
        return zero::<F>(value.sign) | (F::SIGN - 1);
    }
    if inexact {
        env.raise(if value.exp < F::EMIN { Fpsr::UFC | Fpsr::IXC } else { Fpsr::IXC });
    }
    zero::<F>(value.sign) | magnitude
}

/// Rounds to the format's digits. Returns the encoding without sign, and whether digits were lost.
///
/// The leading bit is added into the exponent field, not masked off, so a carry out of the fraction steps the
/// exponent and a subnormal that rounds up becomes the smallest normal number, by itself.
#[inline]
fn assemble<F: Format>(value: Finite, rounding: Rounding) -> (u64, bool) {
    let drop = 63 - F::FRAC;
    let above = value.exp - F::EMIN;
    let (field, sig) = if above >= 0 {
        (above as u64, value.sig)
    } else {
        (0, shift_right_jam(value.sig, above.unsigned_abs()))
    };
    let mut digits = sig >> drop;
    let below = sig & ((1 << drop) - 1);
    if rounds_up(rounding, value.sign, digits & 1 != 0, below, 1 << (drop - 1)) {
        digits += 1;
    } else if matches!(rounding, Rounding::Odd) && below != 0 {
        digits |= 1;
    }
    ((field << F::FRAC) + digits, below != 0)
}

/// The exact zero of an addition: its sign depends on the rounding mode only.
#[inline]
pub(super) fn exact_zero<F: Format>(rounding: Rounding) -> u64 {
    zero::<F>(matches!(rounding, Rounding::NegInf))
}

/// The default NaN of an invalid operation.
#[cold]
pub(super) fn invalid<F: Format>(env: &mut Env) -> u64 {
    env.raise(Fpsr::IOC);
    F::DEFAULT_NAN
}

/// A division of a number by zero: the infinity of that sign.
#[cold]
pub(super) fn divide_by_zero<F: Format>(sign: bool, env: &mut Env) -> u64 {
    env.raise(Fpsr::DZC);
    infinity::<F>(sign)
}

/// `FPProcessNaN`.
#[cold]
pub(super) fn process_nan<F: Format>(bits: u64, env: &mut Env) -> u64 {
    if is_signalling::<F>(bits) {
        env.raise(Fpsr::IOC);
    }
    if env.fpcr.dn() { F::DEFAULT_NAN } else { bits | F::QUIET }
}

/// `FPProcessNaNs` and `FPProcessNaNs3`: the first signalling NaN, else the first quiet one, else `None`.
#[inline]
pub(super) fn process_nans<F: Format, const N: usize>(operands: [&Operand; N], env: &mut Env) -> Option<u64> {
    let is_nan = |op: &&Operand| matches!(op.class, Class::QuietNan | Class::SignallingNan);
    let first = operands.into_iter().find(is_nan)?;
    let is_signalling = |op: &&Operand| matches!(op.class, Class::SignallingNan);
    let chosen = operands.into_iter().find(is_signalling).unwrap_or(first);
    Some(process_nan::<F>(chosen.bits, env))
}
