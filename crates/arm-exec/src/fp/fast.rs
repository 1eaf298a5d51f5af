//! The host's arithmetic, where it provably gives Arm's result and Arm's flags.
//!
//! Every function returns `None` unless it can prove that
//!
//! 1. FPCR asks for what Rust's operators do, IEEE 754 to nearest even without flushing ([`Fpcr::is_plain`]). DN, AHP
//!    and FZ16 do not touch finite single and double results. IEEE 754 leaves no freedom in a finite result.
//! 2. The result is not a NaN or an infinity. So no operand was one, except for a finite number over infinity (a
//!    zero, excluded by 3): no IOC, DZC or OFC, and no NaN rule.
//! 3. The result is not tiny, so no UFC. A sum that is subnormal is exact. A product or quotient must be at
//!    least twice the smallest normal number (then it was no smaller than that before rounding), or be the zero
//!    that an operand of zero makes of it.
//! 4. IXC was set before, or it is known whether digits were lost; IDC needs FZ. Each function says how it knows.
//!
//! [`Fpcr::is_plain`]: super::Fpcr

use super::env::{Env, Fpsr};

/// Whether this host's `f32` and `f64` round after every operation; the x87 does not.
const STRICT: bool = cfg!(any(not(target_arch = "x86"), target_feature = "sse2"));

macro_rules! addition {
    ($float:ty, $bits:ty) => {
        /// Adds.
        #[inline(always)]
        pub(in crate::fp) fn add(a: $bits, b: $bits, env: &mut Env) -> Option<$bits> {
            sum(<$float>::from_bits(a), <$float>::from_bits(b), env)
        }

        /// Subtracts. (IEEE 754 defines `x − y` as `x + (−y)`, NaNs excepted, and those are sent away.)
        #[inline(always)]
        pub(in crate::fp) fn sub(a: $bits, b: $bits, env: &mut Env) -> Option<$bits> {
            sum(<$float>::from_bits(a), -<$float>::from_bits(b), env)
        }

        /// Losses: Knuth's TwoSum gives the rounding error of a sum exactly, given that nothing overflows; an overflow
        /// inside it would leave no finite error. An error is never lost to underflow, being a multiple of the smallest
        /// subnormal number.
        #[inline(always)]
        fn sum(x: $float, y: $float, env: &mut Env) -> Option<$bits> {
            let sum = x + y;
            if !STRICT || !env.fpcr.is_plain() || !sum.is_finite() {
                return None;
            }
            if !env.is_set(Fpsr::IXC) {
                let error = two_sum_error(x, y, sum);
                if !error.is_finite() {
                    return None;
                }
                if error != 0.0 {
                    env.raise(Fpsr::IXC);
                }
            }
            Some(sum.to_bits())
        }

        #[inline(always)]
        fn two_sum_error(x: $float, y: $float, sum: $float) -> $float {
            let y_in_sum = sum - x;
            (x - (sum - y_in_sum)) + (y - y_in_sum)
        }
    };
}

/// `f32`, with `f64` to look for lost digits.
pub(in crate::fp) mod single {
    use super::{Env, Fpsr, STRICT};

    addition!(f32, u32);

    /// At least twice the smallest normal number, and finite.
    #[inline(always)]
    fn is_comfortable(x: f32) -> bool {
        (2..=254).contains(&((x.to_bits() >> 23) & 0xff))
    }

    /// Multiplies. The product of two 24-digit numbers is exact in `f64`: 48 digits, exponents far inside.
    #[inline(always)]
    pub(in crate::fp) fn mul(a: u32, b: u32, env: &mut Env) -> Option<u32> {
        let exact = f64::from(f32::from_bits(a)) * f64::from(f32::from_bits(b));
        let product = exact as f32;
        if !STRICT || !env.fpcr.is_plain() {
            return None;
        }
        if is_comfortable(product) {
            if f64::from(product) != exact {
                env.raise(Fpsr::IXC);
            }
            Some(product.to_bits())
        } else if exact == 0.0 {
            Some(product.to_bits())
        } else {
            None
        }
    }

    /// Divides. Digits were lost unless quotient times divisor, exact in `f64`, is the dividend.
    #[inline(always)]
    pub(in crate::fp) fn div(a: u32, b: u32, env: &mut Env) -> Option<u32> {
        let (x, y) = (f32::from_bits(a), f32::from_bits(b));
        let quotient = x / y;
        if !STRICT || !env.fpcr.is_plain() {
            return None;
        }
        if is_comfortable(quotient) {
            if f64::from(quotient) * f64::from(y) != f64::from(x) {
                env.raise(Fpsr::IXC);
            }
            Some(quotient.to_bits())
        } else if x == 0.0 && quotient == 0.0 {
            Some(quotient.to_bits())
        } else {
            None
        }
    }

    /// Multiplies and adds: the product is exact in `f64`; its sum with the addend is rounded there to odd (the error is
    /// known from TwoSum), and rounding 53 digits so made to 24 is rounding once (53 ≥ 24 + 2; Boldo, Melquiond 2008).
    #[inline(always)]
    pub(in crate::fp) fn mul_add(addend: u32, a: u32, b: u32, env: &mut Env) -> Option<u32> {
        let product = f64::from(f32::from_bits(a)) * f64::from(f32::from_bits(b));
        let addend = f64::from(f32::from_bits(addend));
        let sum = product + addend;
        if !STRICT || !env.fpcr.is_plain() {
            return None;
        }
        if sum == 0.0 {
            // Exact, for both terms are multiples of 2⁻²⁹⁸; and IEEE 754's sign of zero is Arm's.
            return Some((sum as f32).to_bits());
        }
        let y_in_sum = sum - product;
        let error = (product - (sum - y_in_sum)) + (addend - y_in_sum);
        let result = to_odd(sum, error) as f32;
        if !is_comfortable(result) {
            return None;
        }
        if error != 0.0 || f64::from(result) != sum {
            env.raise(Fpsr::IXC);
        }
        Some(result.to_bits())
    }

    /// Of the two neighbours between which `sum + error` lies, takes the odd one. An odd `sum` is it; else the
    /// other is one unit of the encoding away, towards the error.
    #[inline(always)]
    fn to_odd(sum: f64, error: f64) -> f64 {
        let bits = sum.to_bits();
        if error == 0.0 || bits & 1 != 0 {
            return sum;
        }
        let outwards = (error > 0.0) == (sum > 0.0);
        f64::from_bits(if outwards { bits.wrapping_add(1) } else { bits.wrapping_sub(1) })
    }
}

/// `f64`, with integers to look for lost digits.
pub(in crate::fp) mod double {
    use super::{Env, Fpsr, STRICT};

    addition!(f64, u64);

    const FIELD: u64 = 0x7ff << 52;
    const LEAD: u64 = 1 << 52;

    /// At least twice the smallest normal number, and finite.
    #[inline(always)]
    fn is_comfortable(x: f64) -> bool {
        (2..=2046).contains(&((x.to_bits() >> 52) & 0x7ff))
    }

    /// The 53 digits of a normal number.
    #[inline(always)]
    fn digits(bits: u64) -> Option<u64> {
        (bits & FIELD != 0).then_some((bits & (LEAD - 1)) | LEAD)
    }

    /// Multiplies. The product of the digits has 105 or 106 of them: none are lost if the lowest 52 or 53 are zero.
    #[inline(always)]
    pub(in crate::fp) fn mul(a: u64, b: u64, env: &mut Env) -> Option<u64> {
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        let product = x * y;
        if !STRICT || !env.fpcr.is_plain() {
            return None;
        }
        if is_comfortable(product) {
            if !env.is_set(Fpsr::IXC) {
                let exact = u128::from(digits(a)?) * u128::from(digits(b)?);
                // 2⁵², or 2⁵³ where there are 106.
                let unit = LEAD << ((exact >> 105) as u32 & 1);
                if exact as u64 & (unit - 1) != 0 {
                    env.raise(Fpsr::IXC);
                }
            }
            Some(product.to_bits())
        } else if product == 0.0 && (x == 0.0 || y == 0.0) {
            Some(product.to_bits())
        } else {
            None
        }
    }

    /// Divides. No digits are lost if the quotient's times the divisor's are the dividend's, scaled by 2⁵² or 2⁵³.
    #[inline(always)]
    pub(in crate::fp) fn div(a: u64, b: u64, env: &mut Env) -> Option<u64> {
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        let quotient = x / y;
        if !STRICT || !env.fpcr.is_plain() {
            return None;
        }
        if is_comfortable(quotient) {
            if !env.is_set(Fpsr::IXC) {
                let dividend = u128::from(digits(a)?);
                let back = u128::from(digits(quotient.to_bits())?) * u128::from(digits(b)?);
                if back != dividend << 52 && back != dividend << 53 {
                    env.raise(Fpsr::IXC);
                }
            }
            Some(quotient.to_bits())
        } else if x == 0.0 && quotient == 0.0 {
            Some(quotient.to_bits())
        } else {
            None
        }
    }

    /// Has no short cut: a fused operation is not in `core`.
    #[inline(always)]
    pub(in crate::fp) fn mul_add(_addend: u64, _a: u64, _b: u64, _env: &mut Env) -> Option<u64> {
        None
    }
}
