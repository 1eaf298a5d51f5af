//! One source register of floating-point numbers: the rest of AdvSIMD two-register miscellaneous.

use super::SimdOp;
use super::convert::{from_fixed, to_fixed};
use super::float::{
    Real, abs, by_precision, compare_eq, compare_ge, compare_gt, fmap, neg, recip_estimate, recpx,
    rsqrt_estimate, sqrt, with_env,
};
use super::lanes::{Lane, bit, bits, data, is_scalar, map, pick, q, rd, rn, u};
use crate::fp::{self, Env, Inexact, Rounding};
use crate::state::FpState;

/// Decodes by U, size\[1\] and opcode.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    match (u(w), bit(w, 23), bits(w, 16, 12)) {
        (_, false, 0b10110 | 0b10111) => change_precision(w),
        (false, false, 0b11000) => by_precision!(w, fmap, |_, n, _, env| round(n, Rounding::TieEven, env)),
        (false, false, 0b11001) => by_precision!(w, fmap, |_, n, _, env| round(n, Rounding::NegInf, env)),
        (false, true, 0b11000) => by_precision!(w, fmap, |_, n, _, env| round(n, Rounding::PosInf, env)),
        (false, true, 0b11001) => by_precision!(w, fmap, |_, n, _, env| round(n, Rounding::Zero, env)),
        (true, false, 0b11000) => by_precision!(w, fmap, |_, n, _, env| round(n, Rounding::TieAway, env)),
        (true, false, 0b11001) => by_precision!(w, fmap, |_, n, _, env| round_exact(n, env)),
        (true, true, 0b11001) => by_precision!(w, fmap, |_, n, _, env| round(n, env.fpcr.rmode(), env)),
        (_, _, 0b11010 | 0b11011) | (_, false, 0b11100) => to_int(w),
        (_, true, 0b11100) => unsigned_estimate(w),
        (false, false, 0b11101) => {
            by_precision!(w, both fmap, |_, n, _, env| from_fixed::<_, true>(n, 0, env))
        }
        (true, false, 0b11101) => {
            by_precision!(w, both fmap, |_, n, _, env| from_fixed::<_, false>(n, 0, env))
        }
        (false, true, 0b01100) => by_precision!(w, both fmap, |_, n, _, env| compare_gt(n, 0, env)),
        (false, true, 0b01101) => by_precision!(w, both fmap, |_, n, _, env| compare_eq(n, 0, env)),
        (false, true, 0b01110) => by_precision!(w, both fmap, |_, n, _, env| compare_gt(0, n, env)),
        (true, true, 0b01100) => by_precision!(w, both fmap, |_, n, _, env| compare_ge(n, 0, env)),
        (true, true, 0b01101) => by_precision!(w, both fmap, |_, n, _, env| compare_ge(0, n, env)),
        (false, true, 0b01111) => by_precision!(w, map, |_, n, _| abs(n)),
        (true, true, 0b01111) => by_precision!(w, map, |_, n, _| neg(n)),
        (false, true, 0b11101) => by_precision!(w, both fmap, |_, n, _, env| recip_estimate(n, env)),
        (true, true, 0b11101) => by_precision!(w, both fmap, |_, n, _, env| rsqrt_estimate(n, env)),
        (false, true, 0b11111) if is_scalar(w) => by_precision!(w, both fmap, |_, n, _, env| recpx(n, env)),
        (true, true, 0b11111) => by_precision!(w, fmap, |_, n, _, env| sqrt(n, env)),
        _ => None,
    }
}

/// `FPRoundInt` without inexactness.
#[inline(always)]
pub(super) fn round<T: Real>(n: T, rounding: Rounding, env: &mut Env) -> T {
    T::from_encoding(fp::round_int::<T::Format>(n.encoding(), rounding, Inexact::Ignore, env))
}

/// `FPRoundInt` as FRINTX does it.
#[inline(always)]
pub(super) fn round_exact<T: Real>(n: T, env: &mut Env) -> T {
    T::from_encoding(fp::round_int::<T::Format>(n.encoding(), env.fpcr.rmode(), Inexact::Raise, env))
}

/// FCVTNS, FCVTPS, FCVTMS, FCVTZS, FCVTAS and the unsigned ones.
fn to_int(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($rounding:expr) => {
            if u(w) {
                by_precision!(w, both fmap, |_, n, _, env| to_fixed::<_, false>(n, 0, $rounding, env))
            } else {
                by_precision!(w, both fmap, |_, n, _, env| to_fixed::<_, true>(n, 0, $rounding, env))
            }
        };
    }
    match (bit(w, 23), bits(w, 16, 12)) {
        (false, 0b11010) => op!(Rounding::TieEven),
        (false, 0b11011) => op!(Rounding::NegInf),
        (false, 0b11100) => op!(Rounding::TieAway),
        (true, 0b11010) => op!(Rounding::PosInf),
        (true, 0b11011) => op!(Rounding::Zero),
        _ => None,
    }
}

/// URECPE and URSQRTE.
fn unsigned_estimate(w: u32) -> Option<SimdOp> {
    if u(w) {
        pick!(w, 2 + bits(w, 22, 22), map, vector [u32], scalar [], |_, n, _| fp::unsigned_rsqrt_estimate(n))
    } else {
        pick!(w, 2 + bits(w, 22, 22), map, vector [u32], scalar [], |_, n, _| fp::unsigned_recip_estimate(n))
    }
}

/// FCVTN, FCVTL, FCVTXN with their "2" forms.
fn change_precision(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($kernel:ident, $from:ty, $to:ty, $f:expr) => {
            if q(w) {
                data(|fp, _, w| $kernel::<$from, $to, true>(fp, w, $f))
            } else {
                data(|fp, _, w| $kernel::<$from, $to, false>(fp, w, $f))
            }
        };
    }
    match (is_scalar(w), u(w), bit(w, 22), bits(w, 16, 12)) {
        (false, false, false, 0b10110) => op!(shorten, u32, u16, fp::f32_to_f16),
        (false, false, true, 0b10110) => op!(shorten, u64, u32, fp::f64_to_f32),
        (false, true, true, 0b10110) => op!(shorten, u64, u32, fp::f64_to_f32_odd),
        (false, false, false, 0b10111) => op!(lengthen, u16, u32, fp::f16_to_f32),
        (false, false, true, 0b10111) => op!(lengthen, u32, u64, fp::f32_to_f64),
        (true, true, true, 0b10110) => data(|fp, _, w| {
            with_env(fp, |fp, env| fp.v[rd(w)] = fp::f64_to_f32_odd(u64::low(fp.v[rn(w)]), env).alone());
        }),
        _ => None,
    }
}

/// Converts all elements of n into one half of d; the "2" forms keep the lower half.
#[inline(always)]
fn shorten<S: Lane, D: Lane, const UPPER: bool>(state: &mut FpState, w: u32, f: impl Fn(S, &mut Env) -> D) {
    with_env(state, |state, env| {
        let n = S::vector(&state.v[rn(w)]);
        if !UPPER {
            state.v[rd(w)] = 0;
        }
        let out = D::vector_mut(&mut state.v[rd(w)]);
        for i in 0..S::COUNT {
            D::put(out, if UPPER { i + S::COUNT } else { i }, f(S::get(&n, i), env));
        }
    });
}

/// Converts the elements in one half of n into all of d.
#[inline(always)]
fn lengthen<S: Lane, D: Lane, const UPPER: bool>(state: &mut FpState, w: u32, f: impl Fn(S, &mut Env) -> D) {
    with_env(state, |state, env| {
        let n = S::vector(&state.v[rn(w)]);
        let out = D::vector_mut(&mut state.v[rd(w)]);
        for i in 0..D::COUNT {
            D::put(out, i, f(S::get(&n, if UPPER { i + D::COUNT } else { i }), env));
        }
    });
}
