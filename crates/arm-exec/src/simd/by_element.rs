//! One element of Rm as the second operand: AdvSIMD vector × indexed element and its scalar form.
//! Arm ARM, "Advanced SIMD vector x indexed element".

use super::SimdOp;
use super::float::{Real, fmap_by, mul, mul_add, mulx, neg};
use super::integer::Fraction;
use super::lanes::{Lane, Narrow, bit, bits, by_sign, by_size, map, map_sat, pick, pick_sign, rd, rn, u};
use super::three_different::{Accumulate, DoublingLong, doubling_by};
use super::three_same::{signed_dot, unsigned_dot};
use crate::state::FpState;

/// The element that Rm and the index bits name: H:L:M of V0–V15 for halfwords, H:L for words, H for
/// doublewords.
#[inline(always)]
fn element<T: Lane>(fp: &FpState, w: u32) -> T {
    let (h, l, m) = (bits(w, 11, 11) as usize, bits(w, 21, 21) as usize, bits(w, 20, 20) as usize);
    let register = bits(w, 19, 16) as usize;
    let (register, index) = match T::SIZE {
        1 => (register, h << 2 | l << 1 | m),
        2 => (m << 4 | register, h << 1 | l),
        _ => (m << 4 | register, h),
    };
    T::get(&T::vector(&fp.v[register]), index)
}

/// Each element becomes `f(d, n, element)`.
#[inline(always)]
fn indexed<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T, T) -> T) {
    let m = element::<T>(fp, w);
    map::<T, BYTES>(fp, w, |d, n, _| f(d, n, m));
}

/// [`indexed`] with saturation, as [`map_sat`].
#[inline(always)]
fn indexed_sat<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T, T) -> (T, T)) {
    let m = element::<T>(fp, w);
    map_sat::<T, BYTES>(fp, w, |d, n, _| f(d, n, m));
}

/// Each double-width element becomes `f(d, n, element)`.
#[inline(always)]
fn indexed_long<N: Narrow, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(N::Wide, N::Wide, N::Wide) -> N::Wide,
) {
    let m = element::<N>(fp, w).widen();
    let (d, n) = (N::Wide::vector(&fp.v[rd(w)]), N::vector(&fp.v[rn(w)]));
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        let from = if BYTES == 16 { i + N::Wide::COUNT } else { i };
        N::Wide::put(out, i, f(N::Wide::get(&d, i), N::get(&n, from).widen(), m));
    }
}

/// SQDMULL, SQDMLAL, SQDMLSL by element.
#[inline(always)]
fn indexed_doubling<N: DoublingLong, const BYTES: usize>(fp: &mut FpState, w: u32, what: Accumulate) {
    let m = element::<N>(fp, w);
    doubling_by::<N, BYTES>(fp, w, what, |_| m);
}

/// Each element becomes `f(d, n, element, env)`.
#[inline(always)]
fn indexed_float<T: Real, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(T, T, T, &mut crate::fp::Env) -> T,
) {
    let m = element::<T>(fp, w);
    fmap_by::<T, BYTES>(fp, w, |_| m, f);
}

/// Decodes by U and opcode.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    match bits(w, 15, 12) {
        0b0001 | 0b0101 | 0b1001 => float(w),
        0b0011 | 0b0111 | 0b1011 if !u(w) => doubling(w),
        0b0010 | 0b0110 | 0b1010 => long(w),
        _ => same_size(w),
    }
}

fn long(w: u32) -> Option<SimdOp> {
    match bits(w, 15, 12) {
        0b0010 => by_sign!(w, indexed_long, [16 32], |d, n, m| d.wrapping_add(n.wrapping_mul(m))),
        0b0110 => by_sign!(w, indexed_long, [16 32], |d, n, m| d.wrapping_sub(n.wrapping_mul(m))),
        _ => by_sign!(w, indexed_long, [16 32], |_, n, m| n.wrapping_mul(m)),
    }
}

fn doubling(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($what:expr) => {
            by_size!(w, indexed_doubling, vector [i16 i32], scalar [i16 i32], $what)
        };
    }
    match bits(w, 15, 12) {
        0b0011 => op!(Accumulate::Add),
        0b0111 => op!(Accumulate::Subtract),
        _ => op!(Accumulate::Replace),
    }
}

fn same_size(w: u32) -> Option<SimdOp> {
    match (bits(w, 15, 12), u(w)) {
        (0b0000, true) => by_size!(w, indexed, [u16 u32], |d, n, m| d.wrapping_add(n.wrapping_mul(m))),
        (0b0100, true) => by_size!(w, indexed, [u16 u32], |d, n, m| d.wrapping_sub(n.wrapping_mul(m))),
        (0b1000, false) => by_size!(w, indexed, [u16 u32], |_, n, m| n.wrapping_mul(m)),
        (0b1100, false) => {
            by_size!(w, indexed_sat, vector [i16 i32], scalar [i16 i32], |_, n, m| n.mul_high::<false>(m))
        }
        (0b1101, false) => {
            by_size!(w, indexed_sat, vector [i16 i32], scalar [i16 i32], |_, n, m| n.mul_high::<true>(m))
        }
        (0b1101, true) => by_size!(w, indexed_sat, vector [i16 i32], scalar [i16 i32],
            |d, n, m| d.mul_add_high::<false>(n, m)),
        (0b1111, true) => by_size!(w, indexed_sat, vector [i16 i32], scalar [i16 i32],
            |d, n, m| d.mul_add_high::<true>(n, m)),
        (0b1110, false) => by_size!(w, indexed, [i32], |d, n, m| d.wrapping_add(signed_dot(n, m))),
        (0b1110, true) => by_size!(w, indexed, [u32], |d, n, m| d.wrapping_add(unsigned_dot(n, m))),
        _ => None,
    }
}

fn float(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($f:expr) => {
            by_size!(w, indexed_float, vector [u32 u64], scalar [u32 u64], $f)
        };
    }
    // A doubleword's index is H alone.
    if bit(w, 22) && bit(w, 21) {
        return None;
    }
    match (bits(w, 15, 12), u(w)) {
        (0b0001, false) => op!(mul_add),
        (0b0101, false) => op!(|d, n, m, env| mul_add(d, neg(n), m, env)),
        (0b1001, false) => op!(|_, n, m, env| mul(n, m, env)),
        (0b1001, true) => op!(|_, n, m, env| mulx(n, m, env)),
        _ => None,
    }
}
