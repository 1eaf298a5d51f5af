//! Floating point on lanes: the operations by element type, the loops, and three same.

use super::SimdOp;
use super::integer::Int;
use super::lanes::{Lane, bit, bits, is_scalar, pick, rd, rm, rn, u};
use crate::fp::{self, Env, Format, IntType};
use crate::state::FpState;

/// An element that is the encoding of a floating-point number.
pub(super) trait Real: Int {
    /// Its format.
    type Format: Format;
    /// The signed integer of its size.
    const SIGNED: IntType;
    /// The unsigned integer of its size.
    const UNSIGNED: IntType;
    /// Returns the encoding in the low bits.
    fn encoding(self) -> u64;
    /// Returns the element with this encoding.
    fn from_encoding(encoding: u64) -> Self;
}

macro_rules! real {
    ($($t:ty, $format:ty, $signed:ident, $unsigned:ident;)*) => {$(
        impl Real for $t {
            type Format = $format;
            const SIGNED: IntType = IntType::$signed;
            const UNSIGNED: IntType = IntType::$unsigned;

            #[inline(always)]
            fn encoding(self) -> u64 {
                self.into()
            }

            #[inline(always)]
            fn from_encoding(encoding: u64) -> Self {
                encoding as $t
            }
        }
    )*};
}

real! {
    u32, fp::F32, I32, U32;
    u64, fp::F64, I64, U64;
}

macro_rules! unary {
    ($($name:ident)*) => {$(
        #[inline(always)]
        pub(super) fn $name<T: Real>(n: T, env: &mut Env) -> T {
            T::from_encoding(fp::$name::<T::Format>(n.encoding(), env))
        }
    )*};
}

macro_rules! binary {
    ($($name:ident)*) => {$(
        #[inline(always)]
        pub(super) fn $name<T: Real>(n: T, m: T, env: &mut Env) -> T {
            T::from_encoding(fp::$name::<T::Format>(n.encoding(), m.encoding(), env))
        }
    )*};
}

macro_rules! relation {
    ($($name:ident)*) => {$(
        #[inline(always)]
        pub(super) fn $name<T: Real>(n: T, m: T, env: &mut Env) -> T {
            T::mask(fp::$name::<T::Format>(n.encoding(), m.encoding(), env))
        }
    )*};
}

unary! { sqrt recip_estimate rsqrt_estimate recpx }
binary! { add sub mul mulx div max min maxnum minnum recip_step rsqrt_step }
relation! { compare_eq compare_ge compare_gt }

/// `FPAbs`.
#[inline(always)]
pub(super) fn abs<T: Real>(n: T) -> T {
    T::from_encoding(fp::abs::<T::Format>(n.encoding()))
}

/// `FPNeg`.
#[inline(always)]
pub(super) fn neg<T: Real>(n: T) -> T {
    T::from_encoding(fp::neg::<T::Format>(n.encoding()))
}

/// `FPMulAdd`: `addend + n * m`, rounded once.
#[inline(always)]
pub(super) fn mul_add<T: Real>(addend: T, n: T, m: T, env: &mut Env) -> T {
    T::from_encoding(fp::mul_add::<T::Format>(addend.encoding(), n.encoding(), m.encoding(), env))
}

/// Runs `f` with the environment that FPCR and FPSR make.
#[inline(always)]
pub(super) fn with_env<R>(state: &mut FpState, f: impl FnOnce(&mut FpState, &mut Env) -> R) -> R {
    let mut env = Env::new(state.fpcr, state.fpsr);
    let result = f(state, &mut env);
    state.fpsr = env.fpsr.0;
    result
}

/// Each element becomes `f(d, n, m, env)`.
#[inline(always)]
pub(super) fn fmap<T: Lane, const BYTES: usize>(
    state: &mut FpState,
    w: u32,
    f: impl Fn(T, T, T, &mut Env) -> T,
) {
    let m = state.v[rm(w)];
    let m = T::vector(&m);
    fmap_by::<T, BYTES>(state, w, |i| T::get(&m, i), f);
}

/// [`fmap`] with the second operand of element `i` from `m(i)`.
#[inline(always)]
pub(super) fn fmap_by<T: Lane, const BYTES: usize>(
    state: &mut FpState,
    w: u32,
    m: impl Fn(usize) -> T,
    f: impl Fn(T, T, T, &mut Env) -> T,
) {
    with_env(state, |state, env| {
        if BYTES == T::BYTES {
            state.v[rd(w)] = f(T::low(state.v[rd(w)]), T::low(state.v[rn(w)]), m(0), env).alone();
            return;
        }
        let (d, n) = (T::vector(&state.v[rd(w)]), T::vector(&state.v[rn(w)]));
        let mut value = 0u128;
        let out = T::vector_mut(&mut value);
        for i in 0..BYTES / T::BYTES {
            T::put(out, i, f(T::get(&d, i), T::get(&n, i), m(i), env));
        }
        state.v[rd(w)] = value;
    });
}

/// Each element becomes `f` of two neighbours in the concatenation `m:n`.
#[inline(always)]
fn fpairwise<T: Lane, const BYTES: usize>(state: &mut FpState, w: u32, f: impl Fn(T, T, &mut Env) -> T) {
    with_env(state, |state, env| {
        let (n, m) = (T::vector(&state.v[rn(w)]), T::vector(&state.v[rm(w)]));
        let mut value = 0u128;
        let out = T::vector_mut(&mut value);
        let half = BYTES / T::BYTES / 2;
        for i in 0..half {
            T::put(out, i, f(T::get(&n, 2 * i), T::get(&n, 2 * i + 1), env));
        }
        for i in 0..half {
            T::put(out, half + i, f(T::get(&m, 2 * i), T::get(&m, 2 * i + 1), env));
        }
        state.v[rd(w)] = value;
    });
}

/// [`pick`] by sz, \[22\]: single or double precision, vector and scalar.
macro_rules! by_precision {
    ($w:expr, both $kernel:ident, $f:expr) => {
        pick!($w, 2 + $crate::simd::lanes::bits($w, 22, 22), $kernel, vector [u32 u64], scalar [u32 u64], $f)
    };
    ($w:expr, $kernel:ident, $f:expr) => {
        pick!($w, 2 + $crate::simd::lanes::bits($w, 22, 22), $kernel, vector [u32 u64], scalar [], $f)
    };
}
pub(super) use by_precision;

/// Decodes the floating-point part of three same, vector and scalar: opcodes 11000 and above.
pub(super) fn three_same(w: u32) -> Option<SimdOp> {
    match (u(w), bit(w, 23), bits(w, 13, 11)) {
        (false, false, 0b000) => by_precision!(w, fmap, |_, n, m, env| maxnum(n, m, env)),
        (false, false, 0b001) => by_precision!(w, fmap, mul_add),
        (false, false, 0b010) => by_precision!(w, fmap, |_, n, m, env| add(n, m, env)),
        (false, false, 0b011) => by_precision!(w, both fmap, |_, n, m, env| mulx(n, m, env)),
        (false, false, 0b100) => by_precision!(w, both fmap, |_, n, m, env| compare_eq(n, m, env)),
        (false, false, 0b110) => by_precision!(w, fmap, |_, n, m, env| max(n, m, env)),
        (false, false, 0b111) => by_precision!(w, both fmap, |_, n, m, env| recip_step(n, m, env)),
        (false, true, 0b000) => by_precision!(w, fmap, |_, n, m, env| minnum(n, m, env)),
        (false, true, 0b001) => by_precision!(w, fmap, |d, n, m, env| mul_add(d, neg(n), m, env)),
        (false, true, 0b010) => by_precision!(w, fmap, |_, n, m, env| sub(n, m, env)),
        (false, true, 0b110) => by_precision!(w, fmap, |_, n, m, env| min(n, m, env)),
        (false, true, 0b111) => by_precision!(w, both fmap, |_, n, m, env| rsqrt_step(n, m, env)),
        (true, false, 0b000) => by_precision!(w, fpairwise, maxnum),
        (true, false, 0b010) => by_precision!(w, fpairwise, add),
        (true, false, 0b011) => by_precision!(w, fmap, |_, n, m, env| mul(n, m, env)),
        (true, false, 0b100) => by_precision!(w, both fmap, |_, n, m, env| compare_ge(n, m, env)),
        (true, false, 0b101) => by_precision!(w, both fmap, |_, n, m, env| compare_ge(abs(n), abs(m), env)),
        (true, false, 0b110) => by_precision!(w, fpairwise, max),
        (true, false, 0b111) => by_precision!(w, fmap, |_, n, m, env| div(n, m, env)),
        (true, true, 0b000) => by_precision!(w, fpairwise, minnum),
        (true, true, 0b010) => by_precision!(w, both fmap, |_, n, m, env| abs(sub(n, m, env))),
        (true, true, 0b100) => by_precision!(w, both fmap, |_, n, m, env| compare_gt(n, m, env)),
        (true, true, 0b101) => by_precision!(w, both fmap, |_, n, m, env| compare_gt(abs(n), abs(m), env)),
        (true, true, 0b110) => by_precision!(w, fpairwise, min),
        _ => None,
    }
}

/// Decodes AdvSIMD scalar pairwise: one element of the two in Rn.
pub(super) fn scalar_pairwise(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($f:ident) => {
            by_precision!(w, both one_pair, $f)
        };
    }
    match (u(w), bit(w, 23), bits(w, 16, 12)) {
        (false, true, 0b11011) if bit(w, 22) => super::lanes::data(|fp, _, w| {
            let n = fp.v[rn(w)];
            fp.v[rd(w)] = u64::low(n).wrapping_add(u64::low(n >> 64)).alone();
        }),
        (true, false, 0b01100) => op!(maxnum),
        (true, false, 0b01101) => op!(add),
        (true, false, 0b01111) => op!(max),
        (true, true, 0b01100) => op!(minnum),
        (true, true, 0b01111) => op!(min),
        _ => None,
    }
}

/// The element `f(n[0], n[1])`.
#[inline(always)]
fn one_pair<T: Lane, const BYTES: usize>(state: &mut FpState, w: u32, f: impl Fn(T, T, &mut Env) -> T) {
    with_env(state, |state, env| {
        let n = T::vector(&state.v[rn(w)]);
        state.v[rd(w)] = f(T::get(&n, 0), T::get(&n, 1), env).alone();
    });
}

/// Decodes FMAXNMV, FMAXV, FMINNMV, FMINV: the four single-precision elements, in pairs (`Reduce`).
pub(super) fn across(w: u32) -> Option<SimdOp> {
    macro_rules! op {
        ($f:ident) => {
            super::lanes::data(|fp, _, w| {
                with_env(fp, |fp, env| {
                    let n = u32::vector(&fp.v[rn(w)]);
                    let low = $f(u32::get(&n, 0), u32::get(&n, 1), env);
                    let high = $f(u32::get(&n, 2), u32::get(&n, 3), env);
                    fp.v[rd(w)] = $f(low, high, env).alone();
                });
            })
        };
    }
    if is_scalar(w) || !super::lanes::q(w) || !u(w) || bit(w, 22) {
        return None;
    }
    match (bit(w, 23), bits(w, 16, 12)) {
        (false, 0b01100) => op!(maxnum),
        (false, 0b01111) => op!(max),
        (true, 0b01100) => op!(minnum),
        (true, 0b01111) => op!(min),
        _ => None,
    }
}
