//! Lanes: a V register seen as a vector of elements, and the loops that walk it.
//!
//! A kernel reads its sources in whole, then stores element by element straight into the register file, which
//! is the form that LLVM turns into one vector instruction. `BYTES` is how much of the destination is
//! written with elements: 16 (Q=1), 8 (Q=0) or the element (scalar); the rest is zeroed.

use core::ops::{BitOr, BitXor};

use zerocopy::{transmute_mut, transmute_ref};

use super::SimdOp;
use crate::state::FpState;

/// FPSR.QC, cumulative saturation.
pub(super) const QC: u32 = crate::fp::Fpsr::QC;

/// Returns the function of a data-processing instruction.
#[inline]
pub(super) fn data(f: fn(&mut FpState, &mut [u64; 64], u32)) -> Option<SimdOp> {
    Some(SimdOp::Data(f))
}

/// Returns bits \[hi:lo\] of `w`.
#[inline(always)]
pub(super) const fn bits(w: u32, hi: u32, lo: u32) -> u32 {
    (w >> lo) & (u32::MAX >> (31 - (hi - lo)))
}

/// Returns bit `at` of `w`.
#[inline(always)]
pub(super) const fn bit(w: u32, at: u32) -> bool {
    w >> at & 1 != 0
}

/// Rd, \[4:0\].
#[inline(always)]
pub(super) const fn rd(w: u32) -> usize {
    (w & 31) as usize
}

/// Rn, \[9:5\].
#[inline(always)]
pub(super) const fn rn(w: u32) -> usize {
    (w >> 5 & 31) as usize
}

/// Rm, \[20:16\].
#[inline(always)]
pub(super) const fn rm(w: u32) -> usize {
    (w >> 16 & 31) as usize
}

/// size, \[23:22\].
#[inline(always)]
pub(super) const fn size(w: u32) -> u32 {
    bits(w, 23, 22)
}

/// Q, \[30\].
#[inline(always)]
pub(super) const fn q(w: u32) -> bool {
    bit(w, 30)
}

/// U, \[29\].
#[inline(always)]
pub(super) const fn u(w: u32) -> bool {
    bit(w, 29)
}

/// Whether the word is of the scalar half of AdvSIMD: bit 28.
#[inline(always)]
pub(super) const fn is_scalar(w: u32) -> bool {
    bit(w, 28)
}

/// How many bytes of the destination the encoding fills, for elements of 2^`size` bytes; `None` if reserved.
#[inline]
pub(super) const fn filled(w: u32, size: u32) -> Option<usize> {
    match (is_scalar(w), q(w)) {
        (true, _) => Some(1 << size),
        (false, true) => Some(16),
        (false, false) if size < 3 => Some(8),
        (false, false) => None,
    }
}

/// Element types: the integers of 8 to 64 bits.
pub(super) trait Lane:
    Copy + Default + PartialEq + BitOr<Output = Self> + BitXor<Output = Self> + 'static
{
    /// The `size` field that names it: log2 of its bytes.
    const SIZE: u32;
    /// Its bytes.
    const BYTES: usize;
    /// Its bits.
    const BITS: u32;
    /// How many of them a V register holds.
    const COUNT: usize;
    /// A V register of them, in memory order.
    type Vector: Copy;
    /// Returns the register as elements.
    fn vector(v: &u128) -> Self::Vector;
    /// Lends the register as elements.
    fn vector_mut(v: &mut u128) -> &mut Self::Vector;
    /// Returns element `lane`.
    fn get(v: &Self::Vector, lane: usize) -> Self;
    /// Replaces element `lane`.
    fn put(v: &mut Self::Vector, lane: usize, value: Self);
    /// Returns element 0.
    fn low(v: u128) -> Self;
    /// Returns the register that holds only this element.
    fn alone(self) -> u128;
}

/// An element with a type of twice its size.
pub(super) trait Narrow: Lane {
    /// The type of twice the size and the same signedness.
    type Wide: Lane;
    /// Returns the same number.
    fn widen(self) -> Self::Wide;
}

macro_rules! lane {
    ($($t:ty, $unsigned:ty, $size:literal;)*) => {$(
        impl Lane for $t {
            const SIZE: u32 = $size;
            const BYTES: usize = 1 << $size;
            const BITS: u32 = 8 << $size;
            const COUNT: usize = 16 >> $size;
            type Vector = [$t; 16 >> $size];

            #[inline(always)]
            fn vector(v: &u128) -> Self::Vector {
                let lanes: &Self::Vector = transmute_ref!(v);
                *lanes
            }

            #[inline(always)]
            fn vector_mut(v: &mut u128) -> &mut Self::Vector {
                transmute_mut!(v)
            }

            #[inline(always)]
            fn get(v: &Self::Vector, lane: usize) -> Self {
                v[place(lane, Self::COUNT)]
            }

            #[inline(always)]
            fn put(v: &mut Self::Vector, lane: usize, value: Self) {
                v[place(lane, Self::COUNT)] = value;
            }

            #[inline(always)]
            fn low(v: u128) -> Self {
                v as $t
            }

            #[inline(always)]
            fn alone(self) -> u128 {
                u128::from(self as $unsigned)
            }
        }
    )*};
}

lane! {
    u8, u8, 0;
    u16, u16, 1;
    u32, u32, 2;
    u64, u64, 3;
    i8, u8, 0;
    i16, u16, 1;
    i32, u32, 2;
    i64, u64, 3;
}

macro_rules! narrow {
    ($($t:ty => $wide:ty;)*) => {$(
        impl Narrow for $t {
            type Wide = $wide;

            #[inline(always)]
            fn widen(self) -> $wide {
                <$wide>::from(self)
            }
        }
    )*};
}

narrow! {
    u8 => u16;
    u16 => u32;
    u32 => u64;
    i8 => i16;
    i16 => i32;
    i32 => i64;
}

/// Where element `lane` lies: element 0 holds the least significant bits of the register's value.
#[inline(always)]
const fn place(lane: usize, count: usize) -> usize {
    let lane = lane & (count - 1);
    if cfg!(target_endian = "big") { count - 1 - lane } else { lane }
}

/// Each element becomes `f(d, n, m)`.
#[inline(always)]
pub(super) fn map<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T, T) -> T) {
    if BYTES == T::BYTES && BYTES < 16 {
        let value = f(T::low(fp.v[rd(w)]), T::low(fp.v[rn(w)]), T::low(fp.v[rm(w)]));
        fp.v[rd(w)] = value.alone();
        return;
    }
    let (d, n, m) = (T::vector(&fp.v[rd(w)]), T::vector(&fp.v[rn(w)]), T::vector(&fp.v[rm(w)]));
    let out = T::vector_mut(&mut fp.v[rd(w)]);
    for i in 0..T::COUNT {
        let value =
            if i < BYTES / T::BYTES { f(T::get(&d, i), T::get(&n, i), T::get(&m, i)) } else { T::default() };
        T::put(out, i, value);
    }
}

/// Each element becomes the first of `f(d, n, m)`; a second that is not zero sets FPSR.QC.
#[inline(always)]
pub(super) fn map_sat<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T, T) -> (T, T)) {
    let (d, n, m) = (T::vector(&fp.v[rd(w)]), T::vector(&fp.v[rn(w)]), T::vector(&fp.v[rm(w)]));
    let out = T::vector_mut(&mut fp.v[rd(w)]);
    let mut lost = T::default();
    for i in 0..T::COUNT {
        let mut value = T::default();
        if i < BYTES / T::BYTES {
            let (result, difference) = f(T::get(&d, i), T::get(&n, i), T::get(&m, i));
            value = result;
            lost = lost | difference;
        }
        T::put(out, i, value);
    }
    if lost != T::default() {
        fp.fpsr |= QC;
    }
}

/// Each element becomes `f` of two neighbours in the concatenation `m:n`.
#[inline(always)]
pub(super) fn pairwise<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(T, T) -> T) {
    let (n, m) = (T::vector(&fp.v[rn(w)]), T::vector(&fp.v[rm(w)]));
    let out = T::vector_mut(&mut fp.v[rd(w)]);
    let half = BYTES / T::BYTES / 2;
    for i in 0..T::COUNT {
        let value = if i < half {
            f(T::get(&n, 2 * i), T::get(&n, 2 * i + 1))
        } else if i < 2 * half {
            f(T::get(&m, 2 * (i - half)), T::get(&m, 2 * (i - half) + 1))
        } else {
            T::default()
        };
        T::put(out, i, value);
    }
}

/// Chooses `kernel::<T, BYTES>(fp, w, f)` by the size field and the width; `None` for what is not listed.
///
/// `vector` lists the element types with a vector form (64-bit ones only with Q=1), `scalar` those with a
/// scalar form. The closure is expanded once per type, so that it may use the inherent methods of that type.
macro_rules! pick {
    ($w:expr, $size:expr, $kernel:ident, vector [$($v:ty)*], scalar [$($s:ty)*], $f:expr) => {{
        let (word, size): (u32, u32) = ($w, $size);
        'found: {
            $(if size == <$v as $crate::simd::lanes::Lane>::SIZE && !$crate::simd::lanes::is_scalar(word) {
                if $crate::simd::lanes::filled(word, size) == Some(16) {
                    break 'found $crate::simd::lanes::data(|fp, _, w| $kernel::<$v, 16>(fp, w, $f));
                }
                if $crate::simd::lanes::filled(word, size) == Some(8) {
                    break 'found $crate::simd::lanes::data(|fp, _, w| $kernel::<$v, 8>(fp, w, $f));
                }
            })*
            $(if size == <$s as $crate::simd::lanes::Lane>::SIZE && $crate::simd::lanes::is_scalar(word) {
                break 'found $crate::simd::lanes::data(
                    |fp, _, w| $kernel::<$s, { size_of::<$s>() }>(fp, w, $f));
            })*
            None
        }
    }};
}

/// [`pick`] by size, \[23:22\].
macro_rules! by_size {
    ($w:expr, $kernel:ident, vector [$($v:ty)*], scalar [$($s:ty)*], $f:expr) => {
        pick!($w, $crate::simd::lanes::size($w), $kernel, vector [$($v)*], scalar [$($s)*], $f)
    };
    ($w:expr, $kernel:ident, [$($v:ty)*], $f:expr) => {
        pick!($w, $crate::simd::lanes::size($w), $kernel, vector [$($v)*], scalar [], $f)
    };
}

/// [`pick`] among the signed types if U is 0 and the unsigned ones if it is 1.
macro_rules! pick_sign {
    ($w:expr, $size:expr, $kernel:ident, [8 16 32], $f:expr) => {
        if $crate::simd::lanes::u($w) {
            pick!($w, $size, $kernel, vector [u8 u16 u32], scalar [], $f)
        } else {
            pick!($w, $size, $kernel, vector [i8 i16 i32], scalar [], $f)
        }
    };
    ($w:expr, $size:expr, $kernel:ident, [16 32], $f:expr) => {
        if $crate::simd::lanes::u($w) {
            pick!($w, $size, $kernel, vector [u16 u32], scalar [], $f)
        } else {
            pick!($w, $size, $kernel, vector [i16 i32], scalar [], $f)
        }
    };
    ($w:expr, $size:expr, $kernel:ident, vector [8 16 32], scalar [8 16 32], $f:expr) => {
        if $crate::simd::lanes::u($w) {
            pick!($w, $size, $kernel, vector [u8 u16 u32], scalar [u8 u16 u32], $f)
        } else {
            pick!($w, $size, $kernel, vector [i8 i16 i32], scalar [i8 i16 i32], $f)
        }
    };
    ($w:expr, $size:expr, $kernel:ident, vector [8 16 32 64], scalar [64], $f:expr) => {
        if $crate::simd::lanes::u($w) {
            pick!($w, $size, $kernel, vector [u8 u16 u32 u64], scalar [u64], $f)
        } else {
            pick!($w, $size, $kernel, vector [i8 i16 i32 i64], scalar [i64], $f)
        }
    };
    ($w:expr, $size:expr, $kernel:ident, vector [8 16 32 64], scalar [8 16 32 64], $f:expr) => {
        if $crate::simd::lanes::u($w) {
            pick!($w, $size, $kernel, vector [u8 u16 u32 u64], scalar [u8 u16 u32 u64], $f)
        } else {
            pick!($w, $size, $kernel, vector [i8 i16 i32 i64], scalar [i8 i16 i32 i64], $f)
        }
    };
}

/// [`pick_sign`] by size, \[23:22\].
macro_rules! by_sign {
    ($w:expr, $kernel:ident, $($rest:tt)*) => {
        pick_sign!($w, $crate::simd::lanes::size($w), $kernel, $($rest)*)
    };
}

pub(super) use {by_sign, by_size, pick, pick_sign};
