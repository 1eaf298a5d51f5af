//! Elements of one size times elements of another: AdvSIMD three different and its scalar form.
//! Arm ARM, "Advanced SIMD three different".

use core::array::from_fn;

use super::SimdOp;
use super::lanes::{
    Lane, Narrow, QC, bits, by_sign, by_size, data, is_scalar, pick, pick_sign, q, rd, rm, rn, size, u,
};
use crate::state::FpState;

/// Which element of a 128-bit source feeds element `i` of a long operation; `BYTES` is 16 for the "2" forms.
#[inline(always)]
const fn source<const BYTES: usize>(i: usize, wide_count: usize) -> usize {
    if BYTES == 16 { i + wide_count } else { i }
}

/// Each double-width element of d becomes `f(d, n, m)`.
#[inline(always)]
fn long<N: Narrow, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(N::Wide, N::Wide, N::Wide) -> N::Wide,
) {
    let (n, m) = (N::vector(&fp.v[rn(w)]), N::vector(&fp.v[rm(w)]));
    let d = N::Wide::vector(&fp.v[rd(w)]);
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        let from = source::<BYTES>(i, N::Wide::COUNT);
        let value = f(N::Wide::get(&d, i), N::get(&n, from).widen(), N::get(&m, from).widen());
        N::Wide::put(out, i, value);
    }
}

/// Each double-width element of d becomes `f(n, m)`, where n has double-width elements already.
#[inline(always)]
fn wide<N: Narrow, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(N::Wide, N::Wide) -> N::Wide) {
    let (n, m) = (N::Wide::vector(&fp.v[rn(w)]), N::vector(&fp.v[rm(w)]));
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        let from = source::<BYTES>(i, N::Wide::COUNT);
        N::Wide::put(out, i, f(N::Wide::get(&n, i), N::get(&m, from).widen()));
    }
}

/// Each element becomes `f(n, m)` of double-width elements; the "2" forms keep the lower half of d.
#[inline(always)]
fn narrow<N: Narrow, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(N::Wide, N::Wide) -> N) {
    let (n, m) = (N::Wide::vector(&fp.v[rn(w)]), N::Wide::vector(&fp.v[rm(w)]));
    if BYTES == 8 {
        fp.v[rd(w)] = 0;
    }
    let out = N::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        N::put(out, source::<BYTES>(i, N::Wide::COUNT), f(N::Wide::get(&n, i), N::Wide::get(&m, i)));
    }
}

/// Decodes AdvSIMD three different, vector and scalar.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    let opcode = bits(w, 15, 12);
    match (opcode, u(w)) {
        (0b1001 | 0b1011 | 0b1101, false) => doubling(w, opcode),
        (0b1110, false) if is_scalar(w) => None,
        (0b1110, false) => polynomial(w),
        _ => integer(w, opcode),
    }
}

/// ADDHN and SUBHN by size: the high halves of `$f(n, m, half)`, with `half` the rounding constant.
macro_rules! pick_narrow {
    ($w:expr, |$n:ident, $m:ident, $half:ident| $f:expr) => {{
        by_size!($w, narrow, [u8], |$n: u16, $m: u16| {
            let $half = 1u16 << 7;
            ($f >> 8) as u8
        })
        .or_else(|| {
            by_size!($w, narrow, [u16], |$n: u32, $m: u32| {
                let $half = 1u32 << 15;
                ($f >> 16) as u16
            })
        })
        .or_else(|| {
            by_size!($w, narrow, [u32], |$n: u64, $m: u64| {
                let $half = 1u64 << 31;
                ($f >> 32) as u32
            })
        })
    }};
}
fn integer(w: u32, opcode: u32) -> Option<SimdOp> {
    match (opcode, u(w)) {
        (0b0000, _) => by_sign!(w, long, [8 16 32], |_, n, m| n.wrapping_add(m)),
        (0b0001, _) => by_sign!(w, wide, [8 16 32], |n, m| n.wrapping_add(m)),
        (0b0010, _) => by_sign!(w, long, [8 16 32], |_, n, m| n.wrapping_sub(m)),
        (0b0011, _) => by_sign!(w, wide, [8 16 32], |n, m| n.wrapping_sub(m)),
        (0b0100, false) => pick_narrow!(w, |n, m, _half| n.wrapping_add(m)),
        (0b0100, true) => pick_narrow!(w, |n, m, half| n.wrapping_add(m).wrapping_add(half)),
        (0b0101, _) => by_sign!(w, long, [8 16 32],
            |d, n, m| d.wrapping_add(n.max(m).wrapping_sub(n.min(m)))),
        (0b0110, false) => pick_narrow!(w, |n, m, _half| n.wrapping_sub(m)),
        (0b0110, true) => pick_narrow!(w, |n, m, half| n.wrapping_sub(m).wrapping_add(half)),
        (0b0111, _) => by_sign!(w, long, [8 16 32], |_, n, m| n.max(m).wrapping_sub(n.min(m))),
        (0b1000, _) => by_sign!(w, long, [8 16 32], |d, n, m| d.wrapping_add(n.wrapping_mul(m))),
        (0b1010, _) => by_sign!(w, long, [8 16 32], |d, n, m| d.wrapping_sub(n.wrapping_mul(m))),
        (0b1100, _) => by_sign!(w, long, [8 16 32], |_, n, m| n.wrapping_mul(m)),
        _ => None,
    }
}

/// Doubling long multiplication: elements whose product saturates at twice their size.
pub(super) trait DoublingLong: Narrow {
    /// `2 * n * m`; the second value is not zero if it saturated.
    fn double_mul(n: Self, m: Self) -> (Self::Wide, Self::Wide);
    /// `a ± b` with saturation; the second value is not zero if it saturated.
    fn accumulate<const SUBTRACT: bool>(a: Self::Wide, b: Self::Wide) -> (Self::Wide, Self::Wide);
}

macro_rules! doubling_long {
    ($($t:ty => $wide:ty;)*) => {$(
        impl DoublingLong for $t {
            #[inline(always)]
            fn double_mul(n: Self, m: Self) -> ($wide, $wide) {
                let product = n.widen().wrapping_mul(m.widen());
                let doubled = product.saturating_add(product);
                (doubled, doubled ^ product.wrapping_add(product))
            }

            #[inline(always)]
            fn accumulate<const SUBTRACT: bool>(a: $wide, b: $wide) -> ($wide, $wide) {
                let (limited, exact) = if SUBTRACT {
                    (a.saturating_sub(b), a.wrapping_sub(b))
                } else {
                    (a.saturating_add(b), a.wrapping_add(b))
                };
                (limited, limited ^ exact)
            }
        }
    )*};
}

doubling_long! {
    i16 => i32;
    i32 => i64;
}

/// What SQDMULL and its relatives do with the product.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Accumulate {
    Replace,
    Add,
    Subtract,
}

/// One element of SQDMULL, SQDMLAL or SQDMLSL; the second value is not zero if it saturated.
#[inline(always)]
pub(super) fn doubling_element<N: DoublingLong>(
    what: Accumulate,
    d: N::Wide,
    n: N,
    m: N,
) -> (N::Wide, N::Wide) {
    let (product, lost) = N::double_mul(n, m);
    let (value, also_lost) = match what {
        Accumulate::Replace => (product, lost),
        Accumulate::Add => N::accumulate::<false>(d, product),
        Accumulate::Subtract => N::accumulate::<true>(d, product),
    };
    (value, lost | also_lost)
}

/// SQDMULL, SQDMLAL, SQDMLSL; `BYTES` below 8 are the scalar forms.
#[inline(always)]
fn doubling_long<N: DoublingLong, const BYTES: usize>(fp: &mut FpState, w: u32, what: Accumulate) {
    let m = N::vector(&fp.v[rm(w)]);
    doubling_by::<N, BYTES>(fp, w, what, |i| N::get(&m, i));
}

/// [`doubling_long`] with the second operand of element `i` from `m(i)`.
#[inline(always)]
pub(super) fn doubling_by<N: DoublingLong, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    what: Accumulate,
    m: impl Fn(usize) -> N,
) {
    let n = N::vector(&fp.v[rn(w)]);
    let d = N::Wide::vector(&fp.v[rd(w)]);
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    let mut lost = N::Wide::default();
    for i in 0..N::Wide::COUNT {
        let mut value = N::Wide::default();
        if BYTES >= 8 || i == 0 {
            let from = source::<BYTES>(i, N::Wide::COUNT);
            let (result, difference) = doubling_element(what, N::Wide::get(&d, i), N::get(&n, from), m(from));
            value = result;
            lost = lost | difference;
        }
        N::Wide::put(out, i, value);
    }
    if lost != N::Wide::default() {
        fp.fpsr |= QC;
    }
}

fn doubling(w: u32, opcode: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($what:expr) => {
            by_size!(w, doubling_long, vector [i16 i32], scalar [i16 i32], $what)
        };
    }
    match opcode {
        0b1001 => op!(Accumulate::Add),
        0b1011 => op!(Accumulate::Subtract),
        _ => op!(Accumulate::Replace),
    }
}

/// PMULL: bytes, and with FEAT_PMULL doublewords.
fn polynomial(w: u32) -> Option<SimdOp> {
    match (size(w), q(w)) {
        (0, _) => by_size!(w, long, [u8], |_, n, m| carryless_16(n, m)),
        (3, false) => data(|fp, _, w| {
            fp.v[rd(w)] = carryless_128(u64::low(fp.v[rn(w)]), u64::low(fp.v[rm(w)]));
        }),
        (3, true) => data(|fp, _, w| {
            fp.v[rd(w)] = carryless_128(u64::low(fp.v[rn(w)] >> 64), u64::low(fp.v[rm(w)] >> 64));
        }),
        _ => None,
    }
}

/// The carry-less product of two bytes.
#[inline(always)]
fn carryless_16(n: u16, m: u16) -> u16 {
    let mut product = 0;
    for i in 0..8 {
        product ^= (n << i) & 0u16.wrapping_sub(m >> i & 1);
    }
    product
}

/// The carry-less product of two doublewords.
///
/// Integer multiplication with holes: of operands that keep every fifth bit, at most 13 ones meet in a place,
/// which is less than the 2⁵ that would reach the next; the lowest bit of each place is the sum without carries.
fn carryless_128(n: u64, m: u64) -> u128 {
    const EVERY_FIFTH: u128 = 0x2108_4210_8421_0842_1084_2108_4210_8421;
    let hole = |v: u64, i: usize| u128::from(v & (u64::low(EVERY_FIFTH) << i));
    let (n, m): ([u128; 5], [u128; 5]) = (from_fn(|i| hole(n, i)), from_fn(|i| hole(m, i)));
    (0..5).fold(0, |product, place| {
        let sum = (0..5).fold(0, |sum, i| sum ^ n[i].wrapping_mul(m[(place + 5 - i) % 5]));
        product | (sum & (EVERY_FIFTH << place))
    })
}
