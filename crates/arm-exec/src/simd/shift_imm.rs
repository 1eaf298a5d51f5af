//! AdvSIMD shift by immediate, vector and scalar. Arm ARM, "Advanced SIMD shift by immediate".
//!
//! The highest bit set in immh names the element size; immh:immb with it gives the distance.

use super::SimdOp;
use super::convert::{from_fixed, to_fixed};
use super::float::fmap;
use super::integer::Int;
use super::lanes::{Lane, Narrow, bits, map, map_sat, pick, pick_sign, rd, rn, u};
use super::two_reg_misc::{Saturate, extract};
use crate::fp::Rounding;
use crate::state::FpState;

/// The distance of a shift to the right: 1 to the size of the (narrower) element.
#[inline(always)]
fn right(w: u32, element_bits: u32) -> u32 {
    (2 * element_bits).wrapping_sub(bits(w, 22, 16)) & (2 * element_bits - 1)
}

/// The distance of a shift to the left: below the size of the (narrower) element.
#[inline(always)]
fn left(w: u32, element_bits: u32) -> u32 {
    bits(w, 22, 16) & (element_bits - 1)
}

/// Each element becomes `f(d, n, distance)`.
#[inline(always)]
fn shift_right<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T, u32) -> T) {
    let by = right(w, T::BITS);
    map::<T, BYTES>(fp, w, |d, n, _| f(d, n, by));
}

/// Each element becomes `f(d, n, distance)`.
#[inline(always)]
fn shift_left<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T, u32) -> T) {
    let by = left(w, T::BITS);
    map::<T, BYTES>(fp, w, |d, n, _| f(d, n, by));
}

/// Each element becomes the first of `f(n, distance)`; a second that is not zero sets FPSR.QC.
#[inline(always)]
fn shift_left_sat<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, u32) -> (T, T)) {
    let by = left(w, T::BITS);
    map_sat::<T, BYTES>(fp, w, |_, n, _| f(n, by));
}

/// Each element becomes the first of `f(n, distance)` of a double-width one; the second is as above.
#[inline(always)]
fn narrowing<N: Narrow, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(N::Wide, u32) -> (N, N)) {
    let by = right(w, N::BITS);
    extract::<N, BYTES>(fp, w, |n| f(n, by));
}

/// SSHLL, USHLL: to double width, shifted.
#[inline(always)]
fn lengthening<N: Narrow, const BYTES: usize>(fp: &mut FpState, w: u32, (): ())
where
    N::Wide: Int,
{
    let by = left(w, N::BITS);
    let n = N::vector(&fp.v[rn(w)]);
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        let from = if BYTES == 16 { i + N::Wide::COUNT } else { i };
        N::Wide::put(out, i, N::get(&n, from).widen().shl(by));
    }
}

/// Decodes by U and opcode; immh is not zero in a vector form.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    let size = bits(w, 22, 19).checked_ilog2()?;
    let opcode = bits(w, 15, 11);
    match opcode {
        0b00000..=0b01010 => plain(w, size, opcode),
        0b01100 | 0b01110 => saturating_left(w, size, opcode),
        0b10000..=0b10011 => narrow(w, size, opcode),
        0b10100 => pick_sign!(w, size, lengthening, [8 16 32], ()),
        0b11100 | 0b11111 => fixed_point(w, size, opcode),
        _ => None,
    }
}

fn plain(w: u32, size: u32, opcode: u32) -> Option<SimdOp> {
    match (opcode, u(w)) {
        (0b00000, _) => {
            pick_sign!(w, size, shift_right, vector [8 16 32 64], scalar [64], |_, n, by| n.shr(by))
        }
        (0b00010, _) => pick_sign!(w, size, shift_right, vector [8 16 32 64], scalar [64],
            |d, n, by| d.wrapping_add(n.shr(by))),
        (0b00100, _) => pick_sign!(w, size, shift_right, vector [8 16 32 64], scalar [64],
            |_, n, by| n.shr_rounded(by)),
        (0b00110, _) => pick_sign!(w, size, shift_right, vector [8 16 32 64], scalar [64],
            |d, n, by| d.wrapping_add(n.shr_rounded(by))),
        (0b01010, false) => pick!(w, size, shift_left, vector [u8 u16 u32 u64], scalar [u64],
            |_, n, by| n.shl(by)),
        // SRI and SLI keep what the shifted element does not cover.
        (0b01000, true) => pick!(w, size, shift_right, vector [u8 u16 u32 u64], scalar [u64],
            |d, n, by| (d & !Int::shr(!0, by)) | n.shr(by)),
        (0b01010, true) => pick!(w, size, shift_left, vector [u8 u16 u32 u64], scalar [u64],
            |d, n, by| (d & !Int::shl(!0, by)) | n.shl(by)),
        _ => None,
    }
}

fn saturating_left(w: u32, size: u32, opcode: u32) -> Option<SimdOp> {
    match (opcode, u(w)) {
        (0b01110, _) => pick_sign!(w, size, shift_left_sat, vector [8 16 32 64], scalar [8 16 32 64],
            |n, by| n.shl_sat(by)),
        // SQSHLU: a signed element into the unsigned range.
        (_, true) => pick!(w, size, shift_left_sat, vector [u8 u16 u32 u64], scalar [u8 u16 u32 u64],
            |n, by| if n.leading_zeros() == 0 { (0, 1) } else { n.shl_sat(by) }),
        _ => None,
    }
}

fn narrow(w: u32, size: u32, opcode: u32) -> Option<SimdOp> {
    match (opcode, u(w)) {
        (0b10000, false) => {
            pick!(w, size, narrowing, vector [u8 u16 u32], scalar [], |n, by| (n.shr(by) as _, 0))
        }
        (0b10001, false) => pick!(w, size, narrowing, vector [u8 u16 u32], scalar [],
            |n, by| (n.shr_rounded(by) as _, 0)),
        (0b10000, true) => pick!(w, size, narrowing, vector [i8 i16 i32], scalar [i8 i16 i32],
            |n, by| n.shr(by).to_unsigned_sat()),
        (0b10001, true) => pick!(w, size, narrowing, vector [i8 i16 i32], scalar [i8 i16 i32],
            |n, by| n.shr_rounded(by).to_unsigned_sat()),
        (0b10010, _) => pick_sign!(w, size, narrowing, vector [8 16 32], scalar [8 16 32],
            |n, by| n.shr(by).to_same_sat()),
        (0b10011, _) => pick_sign!(w, size, narrowing, vector [8 16 32], scalar [8 16 32],
            |n, by| n.shr_rounded(by).to_same_sat()),
        _ => None,
    }
}

/// SCVTF, UCVTF, FCVTZS, FCVTZU with digits after the point.
fn fixed_point(w: u32, size: u32, opcode: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($f:expr) => {
            pick!(w, size, fixed, vector [u32 u64], scalar [u32 u64], $f)
        };
    }
    match (opcode, u(w)) {
        (0b11100, false) => op!(from_fixed::<_, true>),
        (0b11100, true) => op!(from_fixed::<_, false>),
        (_, false) => op!(|n, fbits, env| to_fixed::<_, true>(n, fbits, Rounding::Zero, env)),
        (_, true) => op!(|n, fbits, env| to_fixed::<_, false>(n, fbits, Rounding::Zero, env)),
    }
}

/// Each element becomes `f(n, fbits, env)`.
#[inline(always)]
fn fixed<T: Lane, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(T, u32, &mut crate::fp::Env) -> T,
) {
    let fbits = right(w, T::BITS);
    fmap::<T, BYTES>(fp, w, |_, n, _, env| f(n, fbits, env));
}
