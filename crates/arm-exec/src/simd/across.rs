//! All elements of one register into one: AdvSIMD across lanes. Arm ARM, "Advanced SIMD across lanes".

use super::lanes::{Lane, Narrow, bits, by_sign, by_size, pick, pick_sign, rd, rn, size, u};
use super::{SimdOp, float};
use crate::state::FpState;

/// Decodes by U and opcode.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    // Words need all four: there is no 2S form.
    if size(w) == 2 && !super::lanes::q(w) && !matches!(bits(w, 16, 12), 0b01100 | 0b01111) {
        return None;
    }
    match (bits(w, 16, 12), u(w)) {
        (0b00011, _) => by_sign!(w, sum_long, [8 16 32], |a, b| a.wrapping_add(b)),
        (0b01010, _) => by_sign!(w, reduce, [8 16 32], |a, b| a.max(b)),
        (0b11010, _) => by_sign!(w, reduce, [8 16 32], |a, b| a.min(b)),
        (0b11011, false) => by_size!(w, reduce, [u8 u16 u32], |a, b| a.wrapping_add(b)),
        (0b01100 | 0b01111, true) => float::across(w),
        _ => None,
    }
}

/// Folds the elements with `f`.
#[inline(always)]
fn reduce<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T) -> T) {
    let n = T::vector(&fp.v[rn(w)]);
    fp.v[rd(w)] = (1..BYTES / T::BYTES).fold(T::get(&n, 0), |all, i| f(all, T::get(&n, i))).alone();
}

/// Folds the elements with `f` at twice their width.
#[inline(always)]
fn sum_long<N: Narrow, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(N::Wide, N::Wide) -> N::Wide,
) {
    let n = N::vector(&fp.v[rn(w)]);
    let wide = |i| N::get(&n, i).widen();
    fp.v[rd(w)] = (1..BYTES / N::BYTES).fold(wide(0), |all, i| f(all, wide(i))).alone();
}
