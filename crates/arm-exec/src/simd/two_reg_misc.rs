//! One source register: AdvSIMD two-register miscellaneous, vector and scalar, the integer part.
//! Arm ARM, "Advanced SIMD two-register miscellaneous", "Advanced SIMD scalar two-register miscellaneous".

use super::integer::Int;
use super::lanes::{
    Lane, Narrow, QC, bits, by_sign, by_size, data, is_scalar, map, map_sat, pick, pick_sign, q, rd, rn,
    size, u,
};
use super::{SimdOp, float_misc};
use crate::state::FpState;

/// Decodes AdvSIMD two-register miscellaneous, vector and scalar.
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    match bits(w, 16, 12) {
        0b00000 | 0b00001 | 0b00101 => bitwise(w),
        0b00010 | 0b00110 => pairwise_long(w),
        0b00011 | 0b00100 | 0b00111 | 0b01011 => arithmetic(w),
        0b01000..=0b01010 => compare_zero(w),
        0b10010..=0b10100 => narrow(w),
        _ => float_misc::decode(w),
    }
}

/// REV64, REV32, REV16, CNT, NOT, RBIT.
fn bitwise(w: u32) -> Option<SimdOp> {
    if is_scalar(w) {
        return None;
    }
    macro_rules! op {
        ($f:expr) => {
            if q(w) {
                data(|fp, _, w| whole::<16>(fp, w, $f))
            } else {
                data(|fp, _, w| whole::<8>(fp, w, $f))
            }
        };
    }
    match (bits(w, 16, 12), u(w), size(w)) {
        (0b00000, false, 0) => op!(|n| n.swap_bytes().rotate_left(64)),
        (0b00000, false, 1) => op!(|n| swap::<16>(swap::<32>(n))),
        (0b00000, false, 2) => op!(swap::<32>),
        (0b00000, true, 0) => op!(|n| swap::<8>(swap::<16>(n))),
        (0b00000, true, 1) => op!(swap::<16>),
        (0b00001, false, 0) => op!(swap::<8>),
        (0b00101, true, 0) => op!(|n| !n),
        (0b00101, true, 1) => op!(|n| n.reverse_bits().swap_bytes()),
        (0b00101, false, 0) => by_size!(w, map, [u8], |_, n, _| n.count_ones() as u8),
        _ => None,
    }
}

/// `f(n)` on the whole register.
#[inline(always)]
fn whole<const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(u128) -> u128) {
    let value = f(fp.v[rn(w)]);
    fp.v[rd(w)] = if BYTES == 8 { value & u128::from(u64::MAX) } else { value };
}

/// Exchanges neighbours of `BITS` bits.
#[inline(always)]
fn swap<const BITS: u32>(n: u128) -> u128 {
    let even = const { u128::MAX / ((1u128 << BITS) + 1) };
    ((n & even) << BITS) | (n >> BITS & even)
}

/// SADDLP, UADDLP, SADALP, UADALP.
fn pairwise_long(w: u32) -> Option<SimdOp> {
    if bits(w, 16, 12) == 0b00010 {
        by_sign!(w, add_long, [8 16 32], |_, a, b| a.wrapping_add(b))
    } else {
        by_sign!(w, add_long, [8 16 32], |d, a, b| d.wrapping_add(a).wrapping_add(b))
    }
}

/// Each double-width element becomes `f` of itself and two neighbours.
#[inline(always)]
fn add_long<N: Narrow, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(N::Wide, N::Wide, N::Wide) -> N::Wide,
) {
    let (d, n) = (N::Wide::vector(&fp.v[rd(w)]), N::vector(&fp.v[rn(w)]));
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        let value = if i < BYTES / N::Wide::BYTES {
            f(N::Wide::get(&d, i), N::get(&n, 2 * i).widen(), N::get(&n, 2 * i + 1).widen())
        } else {
            N::Wide::default()
        };
        N::Wide::put(out, i, value);
    }
}

/// SUQADD, USQADD, CLS, CLZ, SQABS, SQNEG, ABS, NEG.
fn arithmetic(w: u32) -> Option<SimdOp> {
    match (bits(w, 16, 12), u(w)) {
        (0b00011, false) => {
            by_size!(w, map_sat, vector [i8 i16 i32 i64], scalar [i8 i16 i32 i64], |d, n, _| {
                let sum = d.saturating_add_unsigned(n as _);
                (sum, sum ^ d.wrapping_add(n))
            })
        }
        (0b00011, true) => by_size!(w, map_sat, vector [u8 u16 u32 u64], scalar [u8 u16 u32 u64], |d, n, _| {
            let sum = d.saturating_add_signed(n as _);
            (sum, sum ^ d.wrapping_add(n))
        }),
        (0b00100, false) => {
            by_size!(w, map, [i8 i16 i32], |_, n, _| (n ^ (n >> 1)).leading_zeros().wrapping_sub(1) as _)
        }
        (0b00100, true) => by_size!(w, map, [u8 u16 u32], |_, n, _| n.leading_zeros() as _),
        (0b00111, false) => by_size!(w, map_sat, vector [i8 i16 i32 i64], scalar [i8 i16 i32 i64],
            |_, n, _| (n.saturating_abs(), n.saturating_abs() ^ n.wrapping_abs())),
        (0b00111, true) => by_size!(w, map_sat, vector [i8 i16 i32 i64], scalar [i8 i16 i32 i64],
            |_, n, _| (n.saturating_neg(), n.saturating_neg() ^ n.wrapping_neg())),
        (_, false) => by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| n.wrapping_abs()),
        (_, true) => by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| n.wrapping_neg()),
    }
}

/// CMGT, CMGE, CMEQ, CMLE, CMLT against zero.
fn compare_zero(w: u32) -> Option<SimdOp> {
    match (bits(w, 16, 12), u(w)) {
        (0b01000, false) => {
            by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| Int::mask(n > 0))
        }
        (0b01000, true) => {
            by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| Int::mask(n >= 0))
        }
        (0b01001, false) => {
            by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| Int::mask(n == 0))
        }
        (0b01001, true) => {
            by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| Int::mask(n <= 0))
        }
        (0b01010, false) => {
            by_size!(w, map, vector [i8 i16 i32 i64], scalar [i64], |_, n, _| Int::mask(n < 0))
        }
        _ => None,
    }
}

/// XTN, SQXTUN, SQXTN, UQXTN, SHLL.
fn narrow(w: u32) -> Option<SimdOp> {
    match (bits(w, 16, 12), u(w)) {
        (0b10010, false) => by_size!(w, extract, [u8 u16 u32], |n| (n as _, 0)),
        (0b10010, true) => {
            by_size!(w, extract, vector [i8 i16 i32], scalar [i8 i16 i32], |n| n.to_unsigned_sat())
        }
        (0b10011, true) => by_size!(w, shift_left_long, [u8 u16 u32], ()),
        (0b10100, _) => {
            by_sign!(w, extract, vector [8 16 32], scalar [8 16 32], |n| n.to_same_sat())
        }
        _ => None,
    }
}

/// A double-width element on its way to half its size.
pub(super) trait Saturate<N> {
    /// Limits to the range of `N`; the second value is not zero if that changed the number.
    fn to_same_sat(self) -> (N, N);
    /// Limits to the range of the unsigned type of the size of `N`, and returns the bits.
    fn to_unsigned_sat(self) -> (N, N);
}

macro_rules! saturate {
    ($($wide:ty => $narrow:ty, $unsigned:ty;)*) => {$(
        impl Saturate<$narrow> for $wide {
            #[inline(always)]
            fn to_same_sat(self) -> ($narrow, $narrow) {
                let value = self.clamp(<$narrow>::MIN.into(), <$narrow>::MAX.into());
                (value as $narrow, <$narrow>::from(value != self))
            }

            #[inline(always)]
            fn to_unsigned_sat(self) -> ($narrow, $narrow) {
                let value = self.clamp(0, <$unsigned>::MAX.into());
                (value as $narrow, <$narrow>::from(value != self))
            }
        }
    )*};
}

saturate! {
    i16 => i8, u8;
    i32 => i16, u16;
    i64 => i32, u32;
    u16 => u8, u8;
    u32 => u16, u16;
    u64 => u32, u32;
}

/// Each element becomes the first of `f(n)` of a double-width element; a second not zero sets FPSR.QC.
#[inline(always)]
pub(super) fn extract<N: Narrow, const BYTES: usize>(
    fp: &mut FpState,
    w: u32,
    f: impl Fn(N::Wide) -> (N, N),
) {
    let n = N::Wide::vector(&fp.v[rn(w)]);
    let (count, upper) = if BYTES == N::BYTES { (1, false) } else { (N::Wide::COUNT, BYTES == 16) };
    if !upper {
        fp.v[rd(w)] = 0;
    }
    let out = N::vector_mut(&mut fp.v[rd(w)]);
    let mut lost = N::default();
    for i in 0..count {
        let (value, difference) = f(N::Wide::get(&n, i));
        lost = lost | difference;
        N::put(out, if upper { i + N::Wide::COUNT } else { i }, value);
    }
    if lost != N::default() {
        fp.fpsr |= QC;
    }
}

/// SHLL: to double width, shifted by the element's size.
#[inline(always)]
fn shift_left_long<N: Narrow, const BYTES: usize>(fp: &mut FpState, w: u32, (): ())
where
    N::Wide: Int,
{
    let n = N::vector(&fp.v[rn(w)]);
    let out = N::Wide::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..N::Wide::COUNT {
        let from = if BYTES == 16 { i + N::Wide::COUNT } else { i };
        N::Wide::put(out, i, N::get(&n, from).widen().shl(N::BITS));
    }
}
