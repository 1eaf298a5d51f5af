//! Elements to and from general registers and each other: AdvSIMD copy and scalar copy.
//! Arm ARM, "Advanced SIMD copy", "Advanced SIMD scalar copy".
//!
//! The lowest bit set in imm5 names the element size; the bits above it are the index.

use super::SimdOp;
use super::convert::{general, general_mut};
use super::lanes::{Lane, bits, data, is_scalar, pick, q, rd, rn, u};
use crate::state::FpState;

/// The index in imm5, \[20:16\].
#[inline(always)]
fn index<T: Lane>(w: u32) -> usize {
    (bits(w, 20, 16) >> (T::SIZE + 1)) as usize
}

/// The element of Rn that imm5 names.
#[inline(always)]
fn element<T: Lane>(fp: &FpState, w: u32) -> T {
    T::get(&T::vector(&fp.v[rn(w)]), index::<T>(w))
}

/// Decodes AdvSIMD copy and scalar copy; the caller has matched \[23:21\], \[15\] and \[10\].
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    let size = bits(w, 20, 16).trailing_zeros();
    if size > 3 {
        return None;
    }
    match (is_scalar(w), u(w), bits(w, 14, 11)) {
        (_, false, 0b0000) => pick!(w, size, duplicate, vector [u8 u16 u32 u64], scalar [u8 u16 u32 u64], ()),
        (false, false, 0b0001) => duplicate_general(w, size),
        (false, false, 0b0011) if q(w) => insert_general(size),
        (false, false, 0b0101) => move_signed(w, size),
        (false, false, 0b0111) => move_unsigned(w, size),
        (false, true, _) if q(w) => insert_element(size),
        _ => None,
    }
}

/// Fills the register with `value`.
#[inline(always)]
fn fill<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, value: T) {
    if BYTES == T::BYTES {
        fp.v[rd(w)] = value.alone();
        return;
    }
    let out = T::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..T::COUNT {
        T::put(out, i, if i < BYTES / T::BYTES { value } else { T::default() });
    }
}

/// DUP (element).
#[inline(always)]
fn duplicate<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, (): ()) {
    let value = element::<T>(fp, w);
    fill::<T, BYTES>(fp, w, value);
}

/// DUP (general).
fn duplicate_general(w: u32, size: u32) -> Option<SimdOp> {
    match (size, q(w)) {
        (0, false) => data(|fp, x, w| fill::<u8, 8>(fp, w, general(x, w) as u8)),
        (0, true) => data(|fp, x, w| fill::<u8, 16>(fp, w, general(x, w) as u8)),
        (1, false) => data(|fp, x, w| fill::<u16, 8>(fp, w, general(x, w) as u16)),
        (1, true) => data(|fp, x, w| fill::<u16, 16>(fp, w, general(x, w) as u16)),
        (2, false) => data(|fp, x, w| fill::<u32, 8>(fp, w, general(x, w) as u32)),
        (2, true) => data(|fp, x, w| fill::<u32, 16>(fp, w, general(x, w) as u32)),
        (3, true) => data(|fp, x, w| fill::<u64, 16>(fp, w, general(x, w))),
        _ => None,
    }
}

/// Replaces the element of Rd that imm5 names.
#[inline(always)]
fn insert<T: Lane>(fp: &mut FpState, w: u32, value: T) {
    T::put(T::vector_mut(&mut fp.v[rd(w)]), index::<T>(w), value);
}

/// INS (general).
fn insert_general(size: u32) -> Option<SimdOp> {
    match size {
        0 => data(|fp, x, w| insert::<u8>(fp, w, general(x, w) as u8)),
        1 => data(|fp, x, w| insert::<u16>(fp, w, general(x, w) as u16)),
        2 => data(|fp, x, w| insert::<u32>(fp, w, general(x, w) as u32)),
        3 => data(|fp, x, w| insert::<u64>(fp, w, general(x, w))),
        _ => None,
    }
}

/// INS (element): the source's index is imm4, \[14:11\], counted in elements after dropping size bits.
#[inline(always)]
fn insert_from<T: Lane>(fp: &mut FpState, w: u32) {
    let from = (bits(w, 14, 11) >> T::SIZE) as usize;
    let value = T::get(&T::vector(&fp.v[rn(w)]), from);
    insert::<T>(fp, w, value);
}

fn insert_element(size: u32) -> Option<SimdOp> {
    match size {
        0 => data(|fp, _, w| insert_from::<u8>(fp, w)),
        1 => data(|fp, _, w| insert_from::<u16>(fp, w)),
        2 => data(|fp, _, w| insert_from::<u32>(fp, w)),
        3 => data(|fp, _, w| insert_from::<u64>(fp, w)),
        _ => None,
    }
}

/// SMOV: bytes and halfwords to W, words too to X.
fn move_signed(w: u32, size: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($t:ty as $result:ty) => {
            data(|fp, x, w| *general_mut(x, w) = (element::<$t>(fp, w) as $result).into())
        };
    }
    match (size, q(w)) {
        (0, false) => op!(i8 as u32),
        (1, false) => op!(i16 as u32),
        (0, true) => op!(i8 as u64),
        (1, true) => op!(i16 as u64),
        (2, true) => op!(i32 as u64),
        _ => None,
    }
}

/// UMOV: up to words to W, doublewords to X.
fn move_unsigned(w: u32, size: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($t:ty) => {
            data(|fp, x, w| *general_mut(x, w) = u64::from(element::<$t>(fp, w)))
        };
    }
    match (size, q(w)) {
        (0, false) => op!(u8),
        (1, false) => op!(u16),
        (2, false) => op!(u32),
        (3, true) => op!(u64),
        _ => None,
    }
}
