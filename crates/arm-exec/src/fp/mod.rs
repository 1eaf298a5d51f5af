//! Floating point as the Arm ARM's shared pseudocode computes it: results and FPSR flags, bit by bit.
//!
//! Everything is done in integers, on encodings, generic over a [`Format`]; the host's own arithmetic serves only where
//! result and flags are provably the same. Operands and results are encodings in the low bits of a
//! `u64` (higher bits of an operand are ignored); the functions named after widths take and give the width's integer.
//!
//! Modelled: single and double precision of the Armv8.0 base with FPCR.{RMode, FZ, DN, AHP}; half precision (IEEE and
//! alternative) in conversions, and, ready for `FEAT_FP16`, in arithmetic with FPCR.FZ16. Not modelled: trapped exceptions,
//! `FEAT_AFP`, `FEAT_FRINTTS`, BFloat16. Underflow is detected before rounding, as Arm demands.
//!
//! ```
//! use arm_exec::fp::{self, Env, Fpsr};
//! let mut env = Env::new(0, 0);
//! assert_eq!(fp::div32(0x3f80_0000, 0x4040_0000, &mut env), 0x3eaa_aaab); // 1 / 3
//! assert_eq!(env.fpsr, Fpsr(Fpsr::IXC));
//! ```
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a numeric kernel: widths and ranges are argued at each step and tested in debug builds"
)]

mod arith;
mod compare;
mod convert;
mod env;
mod estimate;
mod fast;
mod format;
mod round;
mod widths;

pub use arith::{add, div, mul, mul_add, mulx, recip_step, rsqrt_step, sqrt, sub};
pub use compare::{NanCompare, compare, compare_eq, compare_ge, compare_gt, max, maxnum, min, minnum};
pub use convert::{Inexact, IntType, convert, from_int, round_int, to_int};
pub use env::{Env, Fpcr, Fpsr, Rounding};
pub use estimate::{recip_estimate, recpx, rsqrt_estimate, unsigned_recip_estimate, unsigned_rsqrt_estimate};
pub use format::{F16, F32, F64, Format};
pub use widths::*;

/// `FPAbs`: clears the sign, of NaNs too, and looks at nothing.
#[inline]
#[must_use]
pub const fn abs<F: Format>(op: u64) -> u64 {
    op & (F::SIGN - 1)
}

/// `FPNeg`: inverts the sign, of NaNs too, and looks at nothing.
#[inline]
#[must_use]
pub const fn neg<F: Format>(op: u64) -> u64 {
    (op & F::ALL) ^ F::SIGN
}
