//! Scalar floating point: one, two and three sources, compare, select, immediate.
//! Arm ARM, "Floating-point data-processing (1 source)" and its neighbours.
//!
//! ftype 00 is single precision, 01 double; 11, half precision, takes part in FCVT only.

use super::SimdOp;
use super::convert;
use super::float::{
    Real, abs, add, div, fmap, max, maxnum, min, minnum, mul, mul_add, neg, sqrt, sub, with_env,
};
use super::float_misc::{round, round_exact};
use super::lanes::{Lane, bit, bits, data, map, pick, rd, rm, rn};
use super::mod_imm;
use crate::fp::{self, NanCompare, Rounding};
use crate::state::{Flags, FpState};

/// Decodes words with \[30:29\] = 00, \[28\] = 1, \[27:25\] = 111.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    let sf = bit(w, 31);
    match (bit(w, 24), bit(w, 21), bits(w, 15, 10)) {
        (true, _, _) if !sf => three_sources(w),
        (true, _, _) => None,
        (false, false, _) => convert::decode_fixed(w),
        (false, true, 0) => convert::decode_integer(w),
        (false, true, _) if sf => None,
        (false, true, low) => match low & 0b11 {
            0b01 => conditional_compare(w),
            0b10 => two_sources(w),
            0b11 => conditional_select(w),
            _ if low & 0b100 != 0 => immediate(w),
            _ if low & 0b1000 != 0 => compare(w),
            _ if low & 0b1_0000 != 0 => one_source(w),
            _ => None,
        },
    }
}

/// Chooses by ftype, \[23:22\]: single or double precision.
macro_rules! by_type {
    ($w:expr, $kernel:ident, $f:expr) => {
        pick!($w, 2 + bits($w, 23, 22), $kernel, vector [], scalar [u32 u64], $f)
    };
}

/// FMADD, FMSUB, FNMADD, FNMSUB.
fn three_sources(w: u32) -> Option<SimdOp> {
    match (bit(w, 21), bit(w, 15)) {
        (false, false) => by_type!(w, fused, mul_add),
        (false, true) => by_type!(w, fused, |a, n, m, env| mul_add(a, neg(n), m, env)),
        (true, false) => by_type!(w, fused, |a, n, m, env| mul_add(neg(a), neg(n), m, env)),
        (true, true) => by_type!(w, fused, |a, n, m, env| mul_add(neg(a), n, m, env)),
    }
}

/// Rd becomes `f(a, n, m, env)`.
#[inline(always)]
fn fused<T: Lane, const BYTES: usize>(state: &mut FpState, w: u32, f: impl Fn(T, T, T, &mut fp::Env) -> T) {
    let a = T::low(state.v[bits(w, 14, 10) as usize]);
    fmap::<T, BYTES>(state, w, |_, n, m, env| f(a, n, m, env));
}

/// FMUL, FDIV, FADD, FSUB, FMAX, FMIN, FMAXNM, FMINNM, FNMUL.
fn two_sources(w: u32) -> Option<SimdOp> {
    match bits(w, 15, 12) {
        0b0000 => by_type!(w, fmap, |_, n, m, env| mul(n, m, env)),
        0b0001 => by_type!(w, fmap, |_, n, m, env| div(n, m, env)),
        0b0010 => by_type!(w, fmap, |_, n, m, env| add(n, m, env)),
        0b0011 => by_type!(w, fmap, |_, n, m, env| sub(n, m, env)),
        0b0100 => by_type!(w, fmap, |_, n, m, env| max(n, m, env)),
        0b0101 => by_type!(w, fmap, |_, n, m, env| min(n, m, env)),
        0b0110 => by_type!(w, fmap, |_, n, m, env| maxnum(n, m, env)),
        0b0111 => by_type!(w, fmap, |_, n, m, env| minnum(n, m, env)),
        0b1000 => by_type!(w, fmap, |_, n, m, env| neg(mul(n, m, env))),
        _ => None,
    }
}

/// FMOV, FABS, FNEG, FSQRT, FCVT, FRINT*.
fn one_source(w: u32) -> Option<SimdOp> {
    match bits(w, 20, 15) {
        0b000000 => by_type!(w, map, |_, n, _| n),
        0b000001 => by_type!(w, map, |_, n, _| abs(n)),
        0b000010 => by_type!(w, map, |_, n, _| neg(n)),
        0b000011 => by_type!(w, fmap, |_, n, _, env| sqrt(n, env)),
        0b000100 | 0b000101 | 0b000111 => change_precision(w),
        0b001000 => by_type!(w, fmap, |_, n, _, env| round(n, Rounding::TieEven, env)),
        0b001001 => by_type!(w, fmap, |_, n, _, env| round(n, Rounding::PosInf, env)),
        0b001010 => by_type!(w, fmap, |_, n, _, env| round(n, Rounding::NegInf, env)),
        0b001011 => by_type!(w, fmap, |_, n, _, env| round(n, Rounding::Zero, env)),
        0b001100 => by_type!(w, fmap, |_, n, _, env| round(n, Rounding::TieAway, env)),
        0b001110 => by_type!(w, fmap, |_, n, _, env| round_exact(n, env)),
        0b001111 => by_type!(w, fmap, |_, n, _, env| round(n, env.fpcr.rmode(), env)),
        _ => None,
    }
}

/// FCVT by ftype (from) and opc, \[16:15\] (to).
fn change_precision(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($from:ty, $f:path) => {
            data(|state, _, w| {
                with_env(state, |state, env| state.v[rd(w)] = $f(<$from>::low(state.v[rn(w)]), env).alone());
            })
        };
    }
    match (bits(w, 23, 22), bits(w, 16, 15)) {
        (0b00, 0b01) => op!(u32, fp::f32_to_f64),
        (0b00, 0b11) => op!(u32, fp::f32_to_f16),
        (0b01, 0b00) => op!(u64, fp::f64_to_f32),
        (0b01, 0b11) => op!(u64, fp::f64_to_f16),
        (0b11, 0b00) => op!(u16, fp::f16_to_f32),
        (0b11, 0b01) => op!(u16, fp::f16_to_f64),
        _ => None,
    }
}

/// FMOV (scalar, immediate).
fn immediate(w: u32) -> Option<SimdOp> {
    match (bits(w, 9, 5), bits(w, 23, 22)) {
        (0, 0) => data(|fp, _, w| fp.v[rd(w)] = mod_imm::single(bits(w, 20, 13)).into()),
        (0, 1) => data(|fp, _, w| fp.v[rd(w)] = mod_imm::double(bits(w, 20, 13)).into()),
        _ => None,
    }
}

/// Returns `$f::<T, …>` with T by ftype, a function that reads or writes NZCV.
macro_rules! flags_by_type {
    ($w:expr, $f:ident $(, $parameter:ident)*) => {
        match bits($w, 23, 22) {
            0 => Some(SimdOp::Flags($f::<u32 $(, $parameter)*>)),
            1 => Some(SimdOp::Flags($f::<u64 $(, $parameter)*>)),
            _ => None,
        }
    };
}

/// `FPCompare` into NZCV.
#[inline(always)]
fn compare_into<T: Real, const SIGNALLING: bool>(state: &mut FpState, flags: &mut Flags, n: T, m: T) {
    let nans = if SIGNALLING { NanCompare::Signalling } else { NanCompare::Quiet };
    let nzcv = with_env(state, |_, env| fp::compare::<T::Format>(n.encoding(), m.encoding(), nans, env));
    *flags = Flags::from_nzcv(u64::from(nzcv) << 28);
}

/// FCMP, FCMPE.
#[inline(always)]
fn compare_registers<T: Real, const SIGNALLING: bool>(state: &mut FpState, flags: &mut Flags, w: u32) {
    let (n, m) = (T::low(state.v[rn(w)]), T::low(state.v[rm(w)]));
    compare_into::<T, SIGNALLING>(state, flags, n, m);
}

/// FCMP, FCMPE with zero.
#[inline(always)]
fn compare_zero<T: Real, const SIGNALLING: bool>(state: &mut FpState, flags: &mut Flags, w: u32) {
    let n = T::low(state.v[rn(w)]);
    compare_into::<T, SIGNALLING>(state, flags, n, T::default());
}

const QUIET: bool = false;
const SIGNALLING: bool = true;

/// FCMP, FCMPE. CHOICE: with zero, Rm is should-be-zero and ignored.
fn compare(w: u32) -> Option<SimdOp> {
    match (bits(w, 15, 14), bits(w, 4, 0)) {
        (0, 0b00000) => flags_by_type!(w, compare_registers, QUIET),
        (0, 0b10000) => flags_by_type!(w, compare_registers, SIGNALLING),
        (0, 0b01000) => flags_by_type!(w, compare_zero, QUIET),
        (0, 0b11000) => flags_by_type!(w, compare_zero, SIGNALLING),
        _ => None,
    }
}

/// `ConditionHolds` for cond, \[15:12\].
#[inline(always)]
fn condition_holds(flags: &Flags, w: u32) -> bool {
    let nzcv = flags.nzcv() >> 28;
    let (n, z, c, v) = (nzcv & 8 != 0, nzcv & 4 != 0, nzcv & 2 != 0, nzcv & 1 != 0);
    let holds = match bits(w, 15, 13) {
        0b000 => z,
        0b001 => c,
        0b010 => n,
        0b011 => v,
        0b100 => c && !z,
        0b101 => n == v,
        0b110 => n == v && !z,
        _ => return true,
    };
    holds != bit(w, 12)
}

/// FCCMP, FCCMPE.
#[inline(always)]
fn compare_if<T: Real, const SIGNALLING: bool>(state: &mut FpState, flags: &mut Flags, w: u32) {
    if condition_holds(flags, w) {
        compare_registers::<T, SIGNALLING>(state, flags, w);
    } else {
        *flags = Flags::from_nzcv(u64::from(bits(w, 3, 0)) << 28);
    }
}

fn conditional_compare(w: u32) -> Option<SimdOp> {
    if bit(w, 4) { flags_by_type!(w, compare_if, SIGNALLING) } else { flags_by_type!(w, compare_if, QUIET) }
}

/// FCSEL.
#[inline(always)]
fn select<T: Real>(state: &mut FpState, flags: &mut Flags, w: u32) {
    let from = if condition_holds(flags, w) { rn(w) } else { rm(w) };
    state.v[rd(w)] = T::low(state.v[from]).alone();
}

fn conditional_select(w: u32) -> Option<SimdOp> {
    flags_by_type!(w, select)
}
