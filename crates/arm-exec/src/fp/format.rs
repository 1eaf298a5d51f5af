//! The interchange formats, and taking an encoding apart.

use super::env::{Env, Fpsr};
use super::fast;

/// A binary interchange format of IEEE 754, its encodings in the low bits of a `u64`.
///
/// Everything is a constant of the width and the fraction's, so that code over a `Format` costs what code
/// written for that format would.
pub trait Format: Copy + core::fmt::Debug + sealed::Sealed {
    /// Bits of the encoding.
    const WIDTH: u32;
    /// Bits of the fraction (`F` of `FPRound`).
    const FRAC: u32;
    /// Whether FPCR.FZ16 rather than FPCR.FZ flushes this format.
    const IS_HALF: bool;

    /// The exponent field of all ones, as a number; also its mask.
    const EXP_ONES: u64 = (1 << (Self::WIDTH - 1 - Self::FRAC)) - 1;
    /// The greatest exponent of a finite number, which is also the bias.
    const EMAX: i32 = (Self::EXP_ONES >> 1) as i32;
    /// The exponent of the smallest normal number (`minimum_exp`).
    const EMIN: i32 = 1 - Self::EMAX;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::WIDTH - 1);
    /// The fraction's bits.
    const FRAC_MASK: u64 = (1 << Self::FRAC) - 1;
    /// Plus infinity.
    const INFINITY: u64 = Self::EXP_ONES << Self::FRAC;
    /// The largest finite number.
    const MAX_NORMAL: u64 = Self::INFINITY - 1;
    /// The bit that tells a quiet NaN from a signalling one.
    const QUIET: u64 = 1 << (Self::FRAC - 1);
    /// `FPDefaultNaN`.
    const DEFAULT_NAN: u64 = Self::INFINITY | Self::QUIET;
    /// All bits of the encoding.
    const ALL: u64 = Self::SIGN | (Self::SIGN - 1);
}

pub(super) mod sealed {
    use super::Env;

    /// Keeps [`Format`](super::Format) ours, and holds the host's short cuts; `None` means "take the long way".
    pub trait Sealed: Sized {
        fn fast_add(_a: u64, _b: u64, _env: &mut Env) -> Option<u64> {
            None
        }
        fn fast_sub(_a: u64, _b: u64, _env: &mut Env) -> Option<u64> {
            None
        }
        fn fast_mul(_a: u64, _b: u64, _env: &mut Env) -> Option<u64> {
            None
        }
        fn fast_div(_a: u64, _b: u64, _env: &mut Env) -> Option<u64> {
            None
        }
        fn fast_mul_add(_addend: u64, _a: u64, _b: u64, _env: &mut Env) -> Option<u64> {
            None
        }
    }
}

/// Half precision. Only conversions need it before `FEAT_FP16`; arithmetic works all the same.
#[derive(Clone, Copy, Debug)]
pub struct F16;
/// Single precision.
#[derive(Clone, Copy, Debug)]
pub struct F32;
/// Double precision.
#[derive(Clone, Copy, Debug)]
pub struct F64;

impl Format for F16 {
    const WIDTH: u32 = 16;
    const FRAC: u32 = 10;
    const IS_HALF: bool = true;
}

impl Format for F32 {
    const WIDTH: u32 = 32;
    const FRAC: u32 = 23;
    const IS_HALF: bool = false;
}

impl Format for F64 {
    const WIDTH: u32 = 64;
    const FRAC: u32 = 52;
    const IS_HALF: bool = false;
}

impl sealed::Sealed for F16 {}

macro_rules! fast_by_host {
    ($format:ty, $bits:ty, $module:ident) => {
        impl sealed::Sealed for $format {
            #[inline(always)]
            fn fast_add(a: u64, b: u64, env: &mut Env) -> Option<u64> {
                fast::$module::add(a as $bits, b as $bits, env).map(u64::from)
            }
            #[inline(always)]
            fn fast_sub(a: u64, b: u64, env: &mut Env) -> Option<u64> {
                fast::$module::sub(a as $bits, b as $bits, env).map(u64::from)
            }
            #[inline(always)]
            fn fast_mul(a: u64, b: u64, env: &mut Env) -> Option<u64> {
                fast::$module::mul(a as $bits, b as $bits, env).map(u64::from)
            }
            #[inline(always)]
            fn fast_div(a: u64, b: u64, env: &mut Env) -> Option<u64> {
                fast::$module::div(a as $bits, b as $bits, env).map(u64::from)
            }
            #[inline(always)]
            fn fast_mul_add(addend: u64, a: u64, b: u64, env: &mut Env) -> Option<u64> {
                fast::$module::mul_add(addend as $bits, a as $bits, b as $bits, env).map(u64::from)
            }
        }
    };
}
fast_by_host!(F32, u32, single);
fast_by_host!(F64, u64, double);

/// A number that is neither zero nor infinite: `± sig/2⁶³ · 2^exp`, bit 63 of `sig` set.
///
/// Where digits were dropped below bit 0, bit 0 is set instead ("jammed"); every user keeps at least two
/// bits below the last one it delivers, so a jammed value rounds, and counts as inexact, as the true one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finite {
    pub sign: bool,
    pub exp: i32,
    pub sig: u64,
}

/// `FPType` of an operand, with what `FPUnpack` makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Class {
    Zero,
    Finite(Finite),
    Infinity,
    QuietNan,
    SignallingNan,
}

/// An operand taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    /// The encoding as given, high bits clear.
    pub bits: u64,
    pub sign: bool,
    pub class: Class,
}

impl Operand {
    #[inline]
    pub(super) const fn is_zero(&self) -> bool {
        matches!(self.class, Class::Zero)
    }

    #[inline]
    pub(super) const fn is_infinite(&self) -> bool {
        matches!(self.class, Class::Infinity)
    }
}

/// Whether FPCR has this format's subnormals flushed in arithmetic.
#[inline]
pub(super) const fn flushes<F: Format>(env: &Env) -> bool {
    if F::IS_HALF { env.fpcr.fz16() } else { env.fpcr.fz() }
}

/// `FPUnpack`.
#[inline]
pub(super) fn unpack<F: Format>(bits: u64, env: &mut Env) -> Operand {
    unpack_with::<F>(flush_operand::<F>(bits, env), bits)
}

/// `FPUnpackCV`: FZ16 does not apply, and a half may be in the alternative format, which has no infinities
/// and no NaNs.
pub(super) fn unpack_cv<F: Format>(bits: u64, env: &mut Env) -> Operand {
    if !F::IS_HALF {
        return unpack::<F>(bits, env);
    }
    let magnitude = bits & (F::SIGN - 1);
    if env.fpcr.ahp() && magnitude >= F::INFINITY {
        let sign = bits & F::SIGN != 0;
        let exp = F::EMAX + 1;
        let sig = (1 << 63) | ((bits & F::FRAC_MASK) << (63 - F::FRAC));
        return Operand { bits: bits & F::ALL, sign, class: Class::Finite(Finite { sign, exp, sig }) };
    }
    unpack_with::<F>(bits & F::ALL, bits)
}

/// Applies flush-to-zero to an operand's encoding: what unpacking does, for those who compare encodings.
///
/// Half-precision operands are flushed silently: `FPUnpackBase` raises Input Denormal for the wider ones only.
#[inline]
pub(super) fn flush_operand<F: Format>(bits: u64, env: &mut Env) -> u64 {
    let bits = bits & F::ALL;
    if flushes::<F>(env) && bits & F::INFINITY == 0 && bits & F::FRAC_MASK != 0 {
        if !F::IS_HALF {
            env.raise(Fpsr::IDC);
        }
        return bits & F::SIGN;
    }
    bits
}

#[inline]
fn unpack_with<F: Format>(flushed: u64, original: u64) -> Operand {
    let sign = flushed & F::SIGN != 0;
    let field = (flushed >> F::FRAC) & F::EXP_ONES;
    let frac = flushed & F::FRAC_MASK;
    let class = if field == F::EXP_ONES {
        if frac == 0 {
            Class::Infinity
        } else if frac & F::QUIET != 0 {
            Class::QuietNan
        } else {
            Class::SignallingNan
        }
    } else if field != 0 {
        let sig = (1 << 63) | (frac << (63 - F::FRAC));
        Class::Finite(Finite { sign, exp: field as i32 - F::EMAX, sig })
    } else if frac != 0 {
        let lead = frac.leading_zeros();
        Class::Finite(Finite { sign, exp: F::EMIN + 63 - F::FRAC as i32 - lead as i32, sig: frac << lead })
    } else {
        Class::Zero
    };
    Operand { bits: original & F::ALL, sign, class }
}

/// Returns the signed zero.
#[inline]
pub(super) const fn zero<F: Format>(sign: bool) -> u64 {
    if sign { F::SIGN } else { 0 }
}

/// Returns the signed infinity.
#[inline]
pub(super) const fn infinity<F: Format>(sign: bool) -> u64 {
    zero::<F>(sign) | F::INFINITY
}

/// Returns the signed number `1.frac · 2^exp`, for the few constants the steps need.
#[inline]
pub(super) const fn small_constant<F: Format>(sign: bool, exp: i32, half: bool) -> u64 {
    let field = (F::EMAX + exp) as u64;
    zero::<F>(sign) | (field << F::FRAC) | if half { F::QUIET } else { 0 }
}

/// Whether an encoding is a NaN.
#[inline]
pub(super) const fn is_nan<F: Format>(bits: u64) -> bool {
    bits & (F::SIGN - 1) > F::INFINITY
}

/// Whether an encoding is a signalling NaN.
#[inline]
pub(super) const fn is_signalling<F: Format>(bits: u64) -> bool {
    is_nan::<F>(bits) && bits & F::QUIET == 0
}
