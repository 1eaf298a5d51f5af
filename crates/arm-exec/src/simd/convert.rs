//! Between floating-point and integer or fixed-point numbers, and FMOV to and from general registers.
//! Arm ARM, "Conversion between floating-point and integer", "… and fixed-point".

use super::SimdOp;
use super::float::{Real, with_env};
use super::lanes::{Lane, bit, bits, data, rd, rn};
use crate::fp::{self, Env, IntType, Rounding};
use crate::state::{DISCARD, FpState, ZERO};

/// `FPToFixed` to the integer of the element's size.
#[inline(always)]
pub(super) fn to_fixed<T: Real, const SIGNED: bool>(
    n: T,
    fbits: u32,
    rounding: Rounding,
    env: &mut Env,
) -> T {
    let to = if SIGNED { T::SIGNED } else { T::UNSIGNED };
    T::from_encoding(fp::to_int::<T::Format>(n.encoding(), to, fbits, rounding, env))
}

/// `FixedToFP` from the integer of the element's size, rounding as FPCR says.
#[inline(always)]
pub(super) fn from_fixed<T: Real, const SIGNED: bool>(n: T, fbits: u32, env: &mut Env) -> T {
    let from = if SIGNED { T::SIGNED } else { T::UNSIGNED };
    T::from_encoding(fp::from_int::<T::Format>(n.encoding(), from, fbits, env.fpcr.rmode(), env))
}

/// The general register named by the Rn field, 31 being ZR.
#[inline(always)]
pub(super) fn general(x: &[u64; 64], w: u32) -> u64 {
    const { assert!(ZERO == 31, "the register number of ZR is its slot") };
    x[rn(w)]
}

/// The general register named by the Rd field, 31 being ZR.
#[inline(always)]
pub(super) fn general_mut(x: &mut [u64; 64], w: u32) -> &mut u64 {
    let d = rd(w);
    &mut x[if d == 31 { usize::from(DISCARD) } else { d }]
}

/// The integer type by sf, and by bit 16 of the opcodes, which is set for unsigned.
#[inline(always)]
const fn int_type<const SF: bool, const SIGNED: bool>() -> IntType {
    match (SF, SIGNED) {
        (false, true) => IntType::I32,
        (false, false) => IntType::U32,
        (true, true) => IntType::I64,
        (true, false) => IntType::U64,
    }
}

/// Rd, a general register, becomes the number in Rn.
#[inline(always)]
fn to_general<T: Real, const SF: bool, const SIGNED: bool>(
    state: &mut FpState,
    x: &mut [u64; 64],
    w: u32,
    fbits: u32,
    rounding: Rounding,
) {
    let value = with_env(state, |state, env| {
        let n = T::low(state.v[rn(w)]).encoding();
        fp::to_int::<T::Format>(n, int_type::<SF, SIGNED>(), fbits, rounding, env)
    });
    *general_mut(x, w) = value;
}

/// Rd becomes the number in Rn, a general register.
#[inline(always)]
fn from_general<T: Real, const SF: bool, const SIGNED: bool>(
    state: &mut FpState,
    x: &[u64; 64],
    w: u32,
    fbits: u32,
) {
    with_env(state, |state, env| {
        let rounding = env.fpcr.rmode();
        let value = fp::from_int::<T::Format>(general(x, w), int_type::<SF, SIGNED>(), fbits, rounding, env);
        state.v[rd(w)] = T::from_encoding(value).alone();
    });
}

/// Digits after the point: 64 − scale, \[15:10\].
#[inline(always)]
fn fraction_bits(w: u32) -> u32 {
    64 - bits(w, 15, 10)
}

/// Chooses by precision (ftype\[0\]), sf and signedness (`$f::<T, SF, SIGNED>`).
macro_rules! by_types {
    ($w:expr, |$fp:ident, $x:ident, $word:ident| $f:ident($($argument:expr),*)) => {{
        match (bit($w, 22), bit($w, 31), !bit($w, 16)) {
            (false, false, false) => data(|$fp, $x, $word| $f::<u32, false, false>($($argument),*)),
            (false, false, true) => data(|$fp, $x, $word| $f::<u32, false, true>($($argument),*)),
            (false, true, false) => data(|$fp, $x, $word| $f::<u32, true, false>($($argument),*)),
            (false, true, true) => data(|$fp, $x, $word| $f::<u32, true, true>($($argument),*)),
            (true, false, false) => data(|$fp, $x, $word| $f::<u64, false, false>($($argument),*)),
            (true, false, true) => data(|$fp, $x, $word| $f::<u64, false, true>($($argument),*)),
            (true, true, false) => data(|$fp, $x, $word| $f::<u64, true, false>($($argument),*)),
            (true, true, true) => data(|$fp, $x, $word| $f::<u64, true, true>($($argument),*)),
        }
    }};
}

/// Decodes conversions between floating-point and fixed-point; the caller has matched \[30:24\] and \[21\].
pub(super) fn decode_fixed(w: u32) -> Option<SimdOp> {
    // ftype must be S or D; a 32-bit register has at most 32 digits after the point.
    if bit(w, 23) || (!bit(w, 31) && !bit(w, 15)) {
        return None;
    }
    match bits(w, 20, 17) {
        0b0001 => by_types!(w, |fp, x, w| from_general(fp, x, w, fraction_bits(w))),
        0b1100 => by_types!(w, |fp, x, w| to_general(fp, x, w, fraction_bits(w), Rounding::Zero)),
        _ => None,
    }
}

/// Decodes conversions between floating-point and integer; the caller has matched \[30:24\], \[21\] and
/// \[15:10\].
pub(super) fn decode_integer(w: u32) -> Option<SimdOp> {
    // rmode:opcode, its last bit (unsigned) aside.
    match (bits(w, 23, 22), bits(w, 20, 17)) {
        (0 | 1, 0b0000) => by_types!(w, |fp, x, w| to_general(fp, x, w, 0, Rounding::TieEven)),
        (0 | 1, 0b0001) => by_types!(w, |fp, x, w| from_general(fp, x, w, 0)),
        (0 | 1, 0b0010) => by_types!(w, |fp, x, w| to_general(fp, x, w, 0, Rounding::TieAway)),
        (0 | 1, 0b0100) => by_types!(w, |fp, x, w| to_general(fp, x, w, 0, Rounding::PosInf)),
        (0 | 1, 0b1000) => by_types!(w, |fp, x, w| to_general(fp, x, w, 0, Rounding::NegInf)),
        (0 | 1, 0b1100) => by_types!(w, |fp, x, w| to_general(fp, x, w, 0, Rounding::Zero)),
        (_, 0b0011 | 0b0111) => decode_move(w),
        _ => None,
    }
}

/// FMOV between a general and a V register, by sf, ftype, rmode and opcode.
fn decode_move(w: u32) -> Option<SimdOp> {
    match (bit(w, 31), bits(w, 23, 22), bits(w, 20, 16)) {
        (false, 0, 0b00110) => data(|fp, x, w| *general_mut(x, w) = u32::low(fp.v[rn(w)]).into()),
        (false, 0, 0b00111) => data(|fp, x, w| fp.v[rd(w)] = u128::from(general(x, w) as u32)),
        (true, 1, 0b00110) => data(|fp, x, w| *general_mut(x, w) = u64::low(fp.v[rn(w)])),
        (true, 1, 0b00111) => data(|fp, x, w| fp.v[rd(w)] = general(x, w).into()),
        (true, 2, 0b01110) => data(|fp, x, w| *general_mut(x, w) = u64::low(fp.v[rn(w)] >> 64)),
        (true, 2, 0b01111) => data(|fp, x, w| {
            let low = u128::from(u64::low(fp.v[rd(w)]));
            fp.v[rd(w)] = low | u128::from(general(x, w)) << 64;
        }),
        _ => None,
    }
}
