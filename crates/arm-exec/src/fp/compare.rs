//! Comparison, minimum and maximum. No arithmetic happens: encodings are ordered as signed magnitudes.

use super::env::{Env, Fpsr};
use super::format::{Format, flush_operand, infinity, is_nan, is_signalling};
use super::round::process_nan;

/// Which NaNs make a comparison an invalid operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanCompare {
    /// Signalling ones only: FCMP, FCCMP, FCMEQ.
    Quiet,
    /// All of them: FCMPE, FCCMPE, FCMGE, FCMGT.
    Signalling,
}

/// What to compare for, of the vector comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    GreaterOrEqual,
    Greater,
}

/// `FPCompare`. Returns N:Z:C:V as the manual writes them, N in bit 3.
#[inline]
#[must_use]
pub fn compare<F: Format>(op1: u64, op2: u64, nans: NanCompare, env: &mut Env) -> u8 {
    match ordered::<F>(op1, op2, nans, env) {
        None => 0b0011,
        Some((a, b)) if a == b => 0b0110,
        Some((a, b)) if a < b => 0b1000,
        Some(_) => 0b0010,
    }
}

/// `FPCompareEQ`.
#[inline]
#[must_use]
pub fn compare_eq<F: Format>(op1: u64, op2: u64, env: &mut Env) -> bool {
    relates::<F>(op1, op2, Relation::Equal, NanCompare::Quiet, env)
}

/// `FPCompareGE`. The absolute comparison FACGE clears the signs before.
#[inline]
#[must_use]
pub fn compare_ge<F: Format>(op1: u64, op2: u64, env: &mut Env) -> bool {
    relates::<F>(op1, op2, Relation::GreaterOrEqual, NanCompare::Signalling, env)
}

/// `FPCompareGT`. The absolute comparison FACGT clears the signs before.
#[inline]
#[must_use]
pub fn compare_gt<F: Format>(op1: u64, op2: u64, env: &mut Env) -> bool {
    relates::<F>(op1, op2, Relation::Greater, NanCompare::Signalling, env)
}

#[inline]
fn relates<F: Format>(op1: u64, op2: u64, relation: Relation, nans: NanCompare, env: &mut Env) -> bool {
    let Some((a, b)) = ordered::<F>(op1, op2, nans, env) else {
        return false;
    };
    match relation {
        Relation::Equal => a == b,
        Relation::GreaterOrEqual => a >= b,
        Relation::Greater => a > b,
    }
}

/// Returns the operands as integers of the same order, or `None` for unordered, raising what is due.
#[inline]
fn ordered<F: Format>(op1: u64, op2: u64, nans: NanCompare, env: &mut Env) -> Option<(i64, i64)> {
    let (a, b) = (flush_operand::<F>(op1, env), flush_operand::<F>(op2, env));
    if is_nan::<F>(a) || is_nan::<F>(b) {
        let signals = matches!(nans, NanCompare::Signalling);
        if signals || is_signalling::<F>(a) || is_signalling::<F>(b) {
            env.raise(Fpsr::IOC);
        }
        return None;
    }
    Some((rank::<F>(a), rank::<F>(b)))
}

/// Maps signed magnitude to two's complement; both zeros become 0.
#[inline]
fn rank<F: Format>(bits: u64) -> i64 {
    let magnitude = (bits & (F::SIGN - 1)) as i64;
    if bits & F::SIGN != 0 { -magnitude } else { magnitude }
}

/// `FPMax`.
#[inline]
#[must_use]
pub fn max<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    extremum::<F>(op1, op2, Extremum::Max, env)
}

/// `FPMin`.
#[inline]
#[must_use]
pub fn min<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    extremum::<F>(op1, op2, Extremum::Min, env)
}

/// `FPMaxNum`: a quiet NaN loses against a number.
#[inline]
#[must_use]
pub fn maxnum<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    let (op1, op2) = without_quiet_nan::<F>(op1, op2, infinity::<F>(true));
    extremum::<F>(op1, op2, Extremum::Max, env)
}

/// `FPMinNum`: a quiet NaN loses against a number.
#[inline]
#[must_use]
pub fn minnum<F: Format>(op1: u64, op2: u64, env: &mut Env) -> u64 {
    let (op1, op2) = without_quiet_nan::<F>(op1, op2, infinity::<F>(false));
    extremum::<F>(op1, op2, Extremum::Min, env)
}

/// Puts the infinity that always loses in place of a quiet NaN, unless both are.
#[inline]
fn without_quiet_nan<F: Format>(op1: u64, op2: u64, loser: u64) -> (u64, u64) {
    let is_quiet = |bits: u64| is_nan::<F>(bits) && !is_signalling::<F>(bits);
    match (is_quiet(op1), is_quiet(op2)) {
        (true, false) => (loser, op2),
        (false, true) => (op1, loser),
        (true, true) | (false, false) => (op1, op2),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extremum {
    Min,
    Max,
}

#[inline]
fn extremum<F: Format>(op1: u64, op2: u64, which: Extremum, env: &mut Env) -> u64 {
    let (a, b) = (flush_operand::<F>(op1, env), flush_operand::<F>(op2, env));
    if is_nan::<F>(a) || is_nan::<F>(b) {
        return nan_of_two::<F>(a, b, env);
    }
    let (x, y) = (rank::<F>(a), rank::<F>(b));
    // Of two zeros, the maximum is minus zero if both are, the minimum if either is.
    match which {
        Extremum::Max if x == y => a & b,
        Extremum::Min if x == y => a | b,
        Extremum::Max => {
            if x > y {
                a
            } else {
                b
            }
        }
        Extremum::Min => {
            if x < y {
                a
            } else {
                b
            }
        }
    }
}

/// `FPProcessNaNs` on encodings of which one at least is a NaN.
#[cold]
fn nan_of_two<F: Format>(a: u64, b: u64, env: &mut Env) -> u64 {
    let second = !is_signalling::<F>(a) && (is_signalling::<F>(b) || !is_nan::<F>(a));
    process_nan::<F>(if second { b } else { a }, env)
}
