//! Three registers of the same arrangement: AdvSIMD three same, three same (extra), and their scalar forms.
//! Arm ARM, "Advanced SIMD three same", "Advanced SIMD scalar three same", "… extra".

use super::SimdOp;
use super::float;
use super::integer::{Fraction, Int};
use super::lanes::{
    bits, by_sign, by_size, data, is_scalar, map, map_sat, pairwise, pick, pick_sign, q, rd, rm, rn, size, u,
};
use crate::state::FpState;

/// Decodes AdvSIMD three same, vector and scalar.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    let opcode = bits(w, 15, 11);
    match opcode {
        0b00011 => logical(w),
        0b00000..=0b00111 => add_and_compare(w, opcode),
        0b01000..=0b01111 => shift_and_extreme(w, opcode),
        0b10000..=0b10111 => multiply_and_pairwise(w, opcode),
        _ => float::three_same(w),
    }
}

/// `f(d, n, m)` on whole registers.
#[inline(always)]
fn whole<const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(u128, u128, u128) -> u128) {
    let value = f(fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)]);
    fp.v[rd(w)] = if BYTES == 8 { value & u128::from(u64::MAX) } else { value };
}

fn logical(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($f:expr) => {
            if q(w) {
                data(|fp, _, w| whole::<16>(fp, w, $f))
            } else {
                data(|fp, _, w| whole::<8>(fp, w, $f))
            }
        };
    }
    if is_scalar(w) {
        return None;
    }
    match (u(w), size(w)) {
        (false, 0) => op!(|_, n, m| n & m),
        (false, 1) => op!(|_, n, m| n & !m),
        (false, 2) => op!(|_, n, m| n | m),
        (false, _) => op!(|_, n, m| n | !m),
        (true, 0) => op!(|_, n, m| n ^ m),
        (true, 1) => op!(|d, n, m| m ^ ((m ^ n) & d)),
        (true, 2) => op!(|d, n, m| d ^ ((d ^ n) & m)),
        (true, _) => op!(|d, n, m| d ^ ((d ^ n) & !m)),
    }
}

fn add_and_compare(w: u32, opcode: u32) -> Option<SimdOp> {
    match opcode {
        0b00000 => by_sign!(w, map, [8 16 32], |_, n, m| (n & m).wrapping_add((n ^ m) >> 1)),
        0b00001 => by_sign!(w, map_sat, vector [8 16 32 64], scalar [8 16 32 64], |_, n, m| {
            let sum = n.saturating_add(m);
            (sum, sum ^ n.wrapping_add(m))
        }),
        0b00010 => by_sign!(w, map, [8 16 32], |_, n, m| (n | m).wrapping_sub((n ^ m) >> 1)),
        0b00100 => by_sign!(w, map, [8 16 32],
            |_, n, m| (n >> 1).wrapping_sub(m >> 1).wrapping_sub(!n & m & 1)),
        0b00101 => by_sign!(w, map_sat, vector [8 16 32 64], scalar [8 16 32 64], |_, n, m| {
            let difference = n.saturating_sub(m);
            (difference, difference ^ n.wrapping_sub(m))
        }),
        0b00110 => by_sign!(w, map, vector [8 16 32 64], scalar [64], |_, n, m| Int::mask(n > m)),
        0b00111 => by_sign!(w, map, vector [8 16 32 64], scalar [64], |_, n, m| Int::mask(n >= m)),
        _ => None,
    }
}

fn shift_and_extreme(w: u32, opcode: u32) -> Option<SimdOp> {
    match opcode {
        0b01000 => by_sign!(w, map, vector [8 16 32 64], scalar [64], |_, n, m| n.shift::<false>(m)),
        0b01001 => by_sign!(w, map_sat, vector [8 16 32 64], scalar [8 16 32 64],
            |_, n, m| n.shift_sat::<false>(m)),
        0b01010 => by_sign!(w, map, vector [8 16 32 64], scalar [64], |_, n, m| n.shift::<true>(m)),
        0b01011 => by_sign!(w, map_sat, vector [8 16 32 64], scalar [8 16 32 64],
            |_, n, m| n.shift_sat::<true>(m)),
        0b01100 => by_sign!(w, map, [8 16 32], |_, n, m| n.max(m)),
        0b01101 => by_sign!(w, map, [8 16 32], |_, n, m| n.min(m)),
        0b01110 => by_sign!(w, map, [8 16 32], |_, n, m| n.max(m).wrapping_sub(n.min(m))),
        0b01111 => by_sign!(w, map, [8 16 32],
            |d, n, m| d.wrapping_add(n.max(m).wrapping_sub(n.min(m)))),
        _ => None,
    }
}

fn multiply_and_pairwise(w: u32, opcode: u32) -> Option<SimdOp> {
    match (opcode, u(w)) {
        (0b10000, false) => {
            by_size!(w, map, vector [u8 u16 u32 u64], scalar [u64], |_, n, m| n.wrapping_add(m))
        }
        (0b10000, true) => {
            by_size!(w, map, vector [u8 u16 u32 u64], scalar [u64], |_, n, m| n.wrapping_sub(m))
        }
        (0b10001, false) => {
            by_size!(w, map, vector [u8 u16 u32 u64], scalar [u64], |_, n, m| Int::mask(n & m != 0))
        }
        (0b10001, true) => {
            by_size!(w, map, vector [u8 u16 u32 u64], scalar [u64], |_, n, m| Int::mask(n == m))
        }
        (0b10010, false) => by_size!(w, map, [u8 u16 u32], |d, n, m| d.wrapping_add(n.wrapping_mul(m))),
        (0b10010, true) => by_size!(w, map, [u8 u16 u32], |d, n, m| d.wrapping_sub(n.wrapping_mul(m))),
        (0b10011, false) => by_size!(w, map, [u8 u16 u32], |_, n, m| n.wrapping_mul(m)),
        (0b10011, true) => by_size!(w, map, [u8], |_, n, m| polynomial_mul(n, m)),
        (0b10100, _) => by_sign!(w, pairwise, [8 16 32], |a, b| a.max(b)),
        (0b10101, _) => by_sign!(w, pairwise, [8 16 32], |a, b| a.min(b)),
        (0b10110, false) => {
            by_size!(w, map_sat, vector [i16 i32], scalar [i16 i32], |_, n, m| n.mul_high::<false>(m))
        }
        (0b10110, true) => {
            by_size!(w, map_sat, vector [i16 i32], scalar [i16 i32], |_, n, m| n.mul_high::<true>(m))
        }
        (0b10111, false) => by_size!(w, pairwise, [u8 u16 u32 u64], |a, b| a.wrapping_add(b)),
        _ => None,
    }
}

/// The low half of the carry-less product.
#[inline(always)]
fn polynomial_mul(n: u8, m: u8) -> u8 {
    let mut product = 0;
    for i in 0..8 {
        product ^= (n << i) & 0u8.wrapping_sub(m >> i & 1);
    }
    product
}

/// Decodes AdvSIMD three same (extra), vector and scalar: FEAT_RDM and FEAT_DotProd.
pub(super) fn decode_extra(w: u32) -> Option<SimdOp> {
    match (bits(w, 14, 11), u(w)) {
        (0b0000, true) => by_size!(w, map_sat, vector [i16 i32], scalar [i16 i32],
            |d, n, m| d.mul_add_high::<false>(n, m)),
        (0b0001, true) => by_size!(w, map_sat, vector [i16 i32], scalar [i16 i32],
            |d, n, m| d.mul_add_high::<true>(n, m)),
        (0b0010, false) => by_size!(w, map, [i32], |d, n, m| d.wrapping_add(signed_dot(n, m))),
        (0b0010, true) => by_size!(w, map, [u32], |d, n, m| d.wrapping_add(unsigned_dot(n, m))),
        _ => None,
    }
}

/// The sum of the four products of signed bytes.
#[inline(always)]
pub(super) fn signed_dot(n: i32, m: i32) -> i32 {
    let (n, m) = (n.to_le_bytes(), m.to_le_bytes());
    let product = |i: usize| i32::from(n[i] as i8).wrapping_mul(i32::from(m[i] as i8));
    product(0).wrapping_add(product(1)).wrapping_add(product(2)).wrapping_add(product(3))
}

/// The sum of the four products of unsigned bytes.
#[inline(always)]
pub(super) fn unsigned_dot(n: u32, m: u32) -> u32 {
    let (n, m) = (n.to_le_bytes(), m.to_le_bytes());
    let product = |i: usize| u32::from(n[i]).wrapping_mul(u32::from(m[i]));
    product(0).wrapping_add(product(1)).wrapping_add(product(2)).wrapping_add(product(3))
}
