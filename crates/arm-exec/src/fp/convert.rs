//! Between formats, to and from integers and fixed point, and to integers in floating-point form.

use super::env::{Env, Fpsr, Rounding};
use super::format::{Class, Finite, Format, infinity, unpack, unpack_cv, zero};
use super::round::{process_nan, round, round_cv, rounds_up, shift_right_jam};

/// The integer a conversion delivers or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntType {
    /// Signed, 16 bits: elements of half-precision vectors.
    I16,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 64 bits.
    U64,
}

impl IntType {
    /// All bits of the type, in the low bits.
    const fn mask(self) -> u64 {
        match self {
            Self::I16 | Self::U16 => 0xffff,
            Self::I32 | Self::U32 => 0xffff_ffff,
            Self::I64 | Self::U64 => u64::MAX,
        }
    }

    const fn is_signed(self) -> bool {
        matches!(self, Self::I16 | Self::I32 | Self::I64)
    }

    /// The greatest magnitude on that side of zero.
    const fn limit(self, negative: bool) -> u64 {
        match (self.is_signed(), negative) {
            (true, false) => self.mask() >> 1,
            (true, true) => (self.mask() >> 1) + 1,
            (false, false) => self.mask(),
            (false, true) => 0,
        }
    }
}

/// What rounding to an integer in floating-point form says about lost digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inexact {
    /// Nothing: FRINTA, FRINTI, FRINTM, FRINTN, FRINTP, FRINTZ.
    Ignore,
    /// IXC: FRINTX.
    Raise,
}

/// `FPConvert`, from format `S` to format `D`. FCVT rounds as FPCR says, FCVTXN to odd.
#[must_use]
pub fn convert<S: Format, D: Format>(op: u64, rounding: Rounding, env: &mut Env) -> u64 {
    let value = unpack_cv::<S>(op, env);
    let alternative = D::IS_HALF && env.fpcr.ahp();
    match value.class {
        Class::QuietNan | Class::SignallingNan => {
            if alternative || matches!(value.class, Class::SignallingNan) {
                env.raise(Fpsr::IOC);
            }
            if alternative {
                zero::<D>(value.sign)
            } else if env.fpcr.dn() {
                D::DEFAULT_NAN
            } else {
                convert_nan::<S, D>(value.bits)
            }
        }
        Class::Infinity if alternative => {
            env.raise(Fpsr::IOC);
            zero::<D>(value.sign) | (D::SIGN - 1)
        }
        Class::Infinity => infinity::<D>(value.sign),
        Class::Zero => zero::<D>(value.sign),
        Class::Finite(value) => round_cv::<D>(value, rounding, env),
    }
}

/// `FPConvertNaN`: keeps the sign and the leading digits of the payload, and makes it quiet.
fn convert_nan<S: Format, D: Format>(bits: u64) -> u64 {
    let payload = bits << (64 - S::FRAC) >> (64 - D::FRAC);
    zero::<D>(bits & S::SIGN != 0) | D::INFINITY | D::QUIET | payload
}

/// A magnitude in two parts: whole, and 64 digits after the point (the last one jammed).
#[derive(Clone, Copy, Debug)]
struct Fixed {
    whole: u64,
    part: u64,
}

/// Splits a number below 2⁶⁴; `None` for greater ones.
#[inline]
fn split(exp: i32, sig: u64) -> Option<Fixed> {
    match exp {
        64.. => None,
        63 => Some(Fixed { whole: sig, part: 0 }),
        0..=62 => Some(Fixed { whole: sig >> (63 - exp), part: sig << (exp + 1) }),
        _ => Some(Fixed { whole: 0, part: shift_right_jam(sig, (-1_i32).wrapping_sub(exp).unsigned_abs()) }),
    }
}

#[inline]
fn rounded(value: Fixed, sign: bool, rounding: Rounding) -> u64 {
    // A magnitude of 2⁶³ or more has no digits after the point, so this cannot carry out.
    value.whole + u64::from(rounds_up(rounding, sign, value.whole & 1 != 0, value.part, 1 << 63))
}

/// `FPToFixed`: a number to a fixed-point number with `fbits` (0 to 64) digits after the point, saturated.
///
/// The result is in the low bits of the type's width, all others are zero.
#[inline]
#[must_use]
pub fn to_int<F: Format>(op: u64, to: IntType, fbits: u32, rounding: Rounding, env: &mut Env) -> u64 {
    let operand = unpack::<F>(op, env);
    let sign = operand.sign;
    match operand.class {
        Class::Zero => 0,
        Class::QuietNan | Class::SignallingNan => {
            env.raise(Fpsr::IOC);
            0
        }
        Class::Infinity => saturated(to, sign, env),
        Class::Finite(value) => match split(value.exp + fbits.min(64) as i32, value.sig) {
            None => saturated(to, sign, env),
            Some(fixed) => {
                let magnitude = rounded(fixed, sign, rounding);
                if magnitude > to.limit(sign) {
                    return saturated(to, sign, env);
                }
                if fixed.part != 0 {
                    env.raise(Fpsr::IXC);
                }
                (if sign { magnitude.wrapping_neg() } else { magnitude }) & to.mask()
            }
        },
    }
}

#[cold]
fn saturated(to: IntType, sign: bool, env: &mut Env) -> u64 {
    env.raise(Fpsr::IOC);
    let magnitude = to.limit(sign);
    (if sign { magnitude.wrapping_neg() } else { magnitude }) & to.mask()
}

/// `FixedToFP`: the low bits of `value`, a fixed-point number with `fbits` (0 to 64) digits after the point.
#[inline]
#[must_use]
pub fn from_int<F: Format>(value: u64, from: IntType, fbits: u32, rounding: Rounding, env: &mut Env) -> u64 {
    let bits = value & from.mask();
    let sign = from.is_signed() && bits > from.limit(false);
    let magnitude = (if sign { bits.wrapping_neg() } else { bits }) & from.mask();
    if magnitude == 0 {
        return 0;
    }
    let lead = magnitude.leading_zeros();
    let exp = 63 - lead as i32 - fbits.min(64) as i32;
    round::<F>(Finite { sign, exp, sig: magnitude << lead }, rounding, env)
}

/// `FPRoundInt`: to the integer in the same format.
#[must_use]
pub fn round_int<F: Format>(op: u64, rounding: Rounding, inexact: Inexact, env: &mut Env) -> u64 {
    let operand = unpack::<F>(op, env);
    match operand.class {
        Class::QuietNan | Class::SignallingNan => process_nan::<F>(operand.bits, env),
        Class::Infinity => infinity::<F>(operand.sign),
        Class::Zero => zero::<F>(operand.sign),
        Class::Finite(value) if value.exp >= F::FRAC as i32 => operand.bits,
        Class::Finite(value) => {
            let (result, lost) = round_fraction::<F>(operand.bits, value, rounding);
            if lost && matches!(inexact, Inexact::Raise) {
                env.raise(Fpsr::IXC);
            }
            result
        }
    }
}

/// Rounds a number below 2^FRAC. Returns it, and whether digits were lost.
fn round_fraction<F: Format>(bits: u64, value: Finite, rounding: Rounding) -> (u64, bool) {
    let sign = value.sign;
    if value.exp < 0 {
        let part = shift_right_jam(value.sig, (-1 - value.exp).unsigned_abs());
        let one = (F::EMAX as u64) << F::FRAC;
        let up = rounds_up(rounding, sign, false, part, 1 << 63);
        return (zero::<F>(sign) | if up { one } else { 0 }, true);
    }
    // The encoding's digits below `unit` go. A carry out of the fraction steps the exponent, which is right; and of a
    // number below 2 the unit is the lowest bit of the exponent field, set like the digit it stands for.
    let unit = 1 << (F::FRAC - value.exp.unsigned_abs());
    let below = bits & (unit - 1);
    let up = rounds_up(rounding, sign, bits & unit != 0, below, unit >> 1);
    (bits - below + if up { unit } else { 0 }, below != 0)
}
