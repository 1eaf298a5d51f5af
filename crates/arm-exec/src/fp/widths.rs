//! The operations under names with the width in them, for callers that know it.

use super::env::{Env, Rounding};
use super::format::{F16, F32, F64};
use super::{Inexact, abs, neg};
use super::{IntType, NanCompare, arith, compare, convert, estimate, fast};

macro_rules! unary {
    ($($module:ident :: $op:ident => $single:ident, $double:ident;)*) => {$(
        #[doc = concat!("[`", stringify!($op), "`](super::", stringify!($op), "), single precision.")]
        #[inline]
        #[must_use]
        pub fn $single(op: u32, env: &mut Env) -> u32 {
            $module::$op::<F32>(u64::from(op), env) as u32
        }

        #[doc = concat!("[`", stringify!($op), "`](super::", stringify!($op), "), double precision.")]
        #[inline]
        #[must_use]
        pub fn $double(op: u64, env: &mut Env) -> u64 {
            $module::$op::<F64>(op, env)
        }
    )*};
}

macro_rules! binary {
    ($($module:ident :: $op:ident => $single:ident, $double:ident;)*) => {$(
        #[doc = concat!("[`", stringify!($op), "`](super::", stringify!($op), "), single precision.")]
        #[inline]
        #[must_use]
        pub fn $single(op1: u32, op2: u32, env: &mut Env) -> u32 {
            $module::$op::<F32>(u64::from(op1), u64::from(op2), env) as u32
        }

        #[doc = concat!("[`", stringify!($op), "`](super::", stringify!($op), "), double precision.")]
        #[inline]
        #[must_use]
        pub fn $double(op1: u64, op2: u64, env: &mut Env) -> u64 {
            $module::$op::<F64>(op1, op2, env)
        }
    )*};
}

macro_rules! relation {
    ($($op:ident => $single:ident, $double:ident;)*) => {$(
        #[doc = concat!("[`", stringify!($op), "`](super::", stringify!($op), "), single precision.")]
        #[inline]
        #[must_use]
        pub fn $single(op1: u32, op2: u32, env: &mut Env) -> bool {
            compare::$op::<F32>(u64::from(op1), u64::from(op2), env)
        }

        #[doc = concat!("[`", stringify!($op), "`](super::", stringify!($op), "), double precision.")]
        #[inline]
        #[must_use]
        pub fn $double(op1: u64, op2: u64, env: &mut Env) -> bool {
            compare::$op::<F64>(op1, op2, env)
        }
    )*};
}

macro_rules! conversion {
    ($($from:ident => $to:ident: $name:ident, $source:ty, $result:ty;)*) => {$(
        #[doc = concat!("[`convert`](super::convert) from `", stringify!($from), "` to `", stringify!($to), "`, rounding as FPCR says.")]
        #[inline]
        #[must_use]
        pub fn $name(op: $source, env: &mut Env) -> $result {
            convert::convert::<$from, $to>(u64::from(op), env.fpcr.rmode(), env) as $result
        }
    )*};
}

binary! {
    arith::add => add32, add64;
    arith::sub => sub32, sub64;
    arith::mul => mul32, mul64;
    arith::mulx => mulx32, mulx64;
    arith::div => div32, div64;
    arith::recip_step => recip_step32, recip_step64;
    arith::rsqrt_step => rsqrt_step32, rsqrt_step64;
    compare::max => max32, max64;
    compare::min => min32, min64;
    compare::maxnum => maxnum32, maxnum64;
    compare::minnum => minnum32, minnum64;
}

unary! {
    arith::sqrt => sqrt32, sqrt64;
    estimate::recip_estimate => recip_estimate32, recip_estimate64;
    estimate::rsqrt_estimate => rsqrt_estimate32, rsqrt_estimate64;
    estimate::recpx => recpx32, recpx64;
}

relation! {
    compare_eq => compare_eq32, compare_eq64;
    compare_ge => compare_ge32, compare_ge64;
    compare_gt => compare_gt32, compare_gt64;
}

conversion! {
    F16 => F32: f16_to_f32, u16, u32;
    F16 => F64: f16_to_f64, u16, u64;
    F32 => F16: f32_to_f16, u32, u16;
    F64 => F16: f64_to_f16, u64, u16;
}

/// [`convert`](super::convert) from `F32` to `F64`.
#[inline]
#[must_use]
pub fn f32_to_f64(op: u32, env: &mut Env) -> u64 {
    match fast::widen(op) {
        Some(wide) => wide,
        None => convert::convert::<F32, F64>(u64::from(op), env.fpcr.rmode(), env),
    }
}

/// [`convert`](super::convert) from `F64` to `F32`, rounding as FPCR says.
#[inline]
#[must_use]
pub fn f64_to_f32(op: u64, env: &mut Env) -> u32 {
    match fast::narrow(op, env) {
        Some(single) => single,
        None => convert::convert::<F64, F32>(op, env.fpcr.rmode(), env) as u32,
    }
}

/// [`convert`](super::convert) from `F64` to `F32`, rounding to odd: FCVTXN.
#[inline]
#[must_use]
pub fn f64_to_f32_odd(op: u64, env: &mut Env) -> u32 {
    convert::convert::<F64, F32>(op, Rounding::Odd, env) as u32
}

/// [`mul_add`](super::mul_add), single precision.
#[inline]
#[must_use]
pub fn mul_add32(addend: u32, op1: u32, op2: u32, env: &mut Env) -> u32 {
    arith::mul_add::<F32>(u64::from(addend), u64::from(op1), u64::from(op2), env) as u32
}

/// [`mul_add`](super::mul_add), double precision.
#[inline]
#[must_use]
pub fn mul_add64(addend: u64, op1: u64, op2: u64, env: &mut Env) -> u64 {
    arith::mul_add::<F64>(addend, op1, op2, env)
}

/// [`abs`](super::abs), single precision.
#[inline]
#[must_use]
pub const fn abs32(op: u32) -> u32 {
    abs::<F32>(op as u64) as u32
}

/// [`abs`](super::abs), double precision.
#[inline]
#[must_use]
pub const fn abs64(op: u64) -> u64 {
    abs::<F64>(op)
}

/// [`neg`](super::neg), single precision.
#[inline]
#[must_use]
pub const fn neg32(op: u32) -> u32 {
    neg::<F32>(op as u64) as u32
}

/// [`neg`](super::neg), double precision.
#[inline]
#[must_use]
pub const fn neg64(op: u64) -> u64 {
    neg::<F64>(op)
}

/// [`compare`](super::compare()), single precision.
#[inline]
#[must_use]
pub fn compare32(op1: u32, op2: u32, nans: NanCompare, env: &mut Env) -> u8 {
    compare::compare::<F32>(u64::from(op1), u64::from(op2), nans, env)
}

/// [`compare`](super::compare()), double precision.
#[inline]
#[must_use]
pub fn compare64(op1: u64, op2: u64, nans: NanCompare, env: &mut Env) -> u8 {
    compare::compare::<F64>(op1, op2, nans, env)
}

/// [`round_int`](super::round_int), single precision.
#[inline]
#[must_use]
pub fn round_int32(op: u32, rounding: Rounding, inexact: Inexact, env: &mut Env) -> u32 {
    convert::round_int::<F32>(u64::from(op), rounding, inexact, env) as u32
}

/// [`round_int`](super::round_int), double precision.
#[inline]
#[must_use]
pub fn round_int64(op: u64, rounding: Rounding, inexact: Inexact, env: &mut Env) -> u64 {
    convert::round_int::<F64>(op, rounding, inexact, env)
}

/// [`to_int`](super::to_int), single precision.
#[inline]
#[must_use]
pub fn to_int32(op: u32, to: IntType, fbits: u32, rounding: Rounding, env: &mut Env) -> u64 {
    convert::to_int::<F32>(u64::from(op), to, fbits, rounding, env)
}

/// [`to_int`](super::to_int), double precision.
#[inline]
#[must_use]
pub fn to_int64(op: u64, to: IntType, fbits: u32, rounding: Rounding, env: &mut Env) -> u64 {
    convert::to_int::<F64>(op, to, fbits, rounding, env)
}

/// [`from_int`](super::from_int), single precision.
#[inline]
#[must_use]
pub fn from_int32(value: u64, from: IntType, fbits: u32, rounding: Rounding, env: &mut Env) -> u32 {
    convert::from_int::<F32>(value, from, fbits, rounding, env) as u32
}

/// [`from_int`](super::from_int), double precision.
#[inline]
#[must_use]
pub fn from_int64(value: u64, from: IntType, fbits: u32, rounding: Rounding, env: &mut Env) -> u64 {
    convert::from_int::<F64>(value, from, fbits, rounding, env)
}
