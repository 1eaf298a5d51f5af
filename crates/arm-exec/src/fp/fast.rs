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

macro_rules! host {
    ($float:ty, $bits:ty, $wide:ty, $frac:literal) => {
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

        /// Losses: TwoSum gives the rounding error exactly, given that nothing overflows; an overflow inside it
        /// would leave no finite error. No error is lost to underflow, being a multiple of the smallest subnormal
        /// number.
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

        /// Knuth's TwoSum: what `x + y` differs from the rounded `sum` by.
        #[inline(always)]
        pub(super) fn two_sum_error(x: $float, y: $float, sum: $float) -> $float {
            let y_in_sum = sum - x;
            (x - (sum - y_in_sum)) + (y - y_in_sum)
        }

        const LEAD: $bits = 1 << $frac;
        const FIELD: $bits = <$float>::INFINITY.to_bits();

        /// At least twice the smallest normal number, and finite.
        #[inline(always)]
        pub(super) fn is_comfortable(x: $float) -> bool {
            let field = x.to_bits() & FIELD;
            (2 * LEAD..FIELD).contains(&field)
        }

        /// The digits of a normal number, as an integer.
        #[inline(always)]
        fn digits(bits: $bits) -> Option<$wide> {
            (bits & FIELD != 0).then_some(<$wide>::from((bits & (LEAD - 1)) | LEAD))
        }

        /// Multiplies. Two numbers of `p` digits have a product of 2p − 1 or 2p: none are lost if those below
        /// the highest `p` are zero.
        #[inline(always)]
        pub(in crate::fp) fn mul(a: $bits, b: $bits, env: &mut Env) -> Option<$bits> {
            let (x, y) = (<$float>::from_bits(a), <$float>::from_bits(b));
            let product = x * y;
            if !STRICT || !env.fpcr.is_plain() {
                return None;
            }
            if is_comfortable(product) {
                if !env.is_set(Fpsr::IXC) {
                    let exact = digits(a)? * digits(b)?;
                    let unit = LEAD << ((exact >> (2 * $frac + 1)) as u32 & 1);
                    if exact as $bits & (unit - 1) != 0 {
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

        /// Divides. No digits are lost if the quotient's times the divisor's are the dividend's, scaled by
        /// 2^frac or 2^(frac + 1).
        #[inline(always)]
        pub(in crate::fp) fn div(a: $bits, b: $bits, env: &mut Env) -> Option<$bits> {
            let (x, y) = (<$float>::from_bits(a), <$float>::from_bits(b));
            let quotient = x / y;
            if !STRICT || !env.fpcr.is_plain() {
                return None;
            }
            if is_comfortable(quotient) {
                if !env.is_set(Fpsr::IXC) {
                    let dividend = digits(a)?;
                    let back = digits(quotient.to_bits())? * digits(b)?;
                    if back != dividend << $frac && back != dividend << ($frac + 1) {
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
    };
}

/// Rounds `sum + error` to odd, `sum` being its nearest number: of the two neighbours between which the true value lies,
/// takes the odd one. An odd `sum` is it; else the other is one unit of the encoding away, towards the error.
#[inline(always)]
fn to_odd(sum: f64, error: f64) -> f64 {
    let bits = sum.to_bits();
    if error == 0.0 || bits & 1 != 0 {
        return sum;
    }
    let outwards = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if outwards { bits.wrapping_add(1) } else { bits.wrapping_sub(1) })
}

/// Converts `f64` to `f32`.
#[inline(always)]
pub(super) fn narrow(op: u64, env: &mut Env) -> Option<u32> {
    let wide = f64::from_bits(op);
    let result = wide as f32;
    if !STRICT || !env.fpcr.is_plain() || !single::is_comfortable(result) {
        return None;
    }
    if f64::from(result) != wide {
        env.raise(Fpsr::IXC);
    }
    Some(result.to_bits())
}

/// Converts `f32` to `f64`, normal numbers only: those are exact under any FPCR.
#[inline(always)]
pub(super) fn widen(op: u32) -> Option<u64> {
    let field = op & 0x7f80_0000;
    if field == 0 || field == 0x7f80_0000 {
        return None;
    }
    let sign = u64::from(op & 0x8000_0000) << 32;
    Some(sign | ((u64::from(op & 0x7fff_ffff) << 29) + ((1023 - 127) << 52)))
}

/// `f32`.
pub(in crate::fp) mod single {
    use super::{Env, Fpsr, STRICT, double, to_odd};

    host!(f32, u32, u64, 23);

    /// Multiplies and adds: the product is exact in `f64` (48 digits, exponents far inside); its sum with the addend is
    /// rounded there to odd, and rounding 53 digits so made to 24 is rounding once (53 ≥ 24 + 2; Boldo and
    /// Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
    #[inline(always)]
    pub(in crate::fp) fn mul_add(addend: u32, a: u32, b: u32, env: &mut Env) -> Option<u32> {
        // Not `f64::from`: on s390x the compiler makes MDEBR of it, which QEMU 7.2 computes from an operand that it
        // forgot to lengthen (real machines do not), and the tests run there.
        let product = f64::from_bits(super::widen(a)?) * f64::from_bits(super::widen(b)?);
        let addend = f64::from(f32::from_bits(addend));
        let sum = product + addend;
        if !STRICT || !env.fpcr.is_plain() {
            return None;
        }
        if sum == 0.0 {
            // Exact, for both terms are multiples of 2⁻²⁹⁸; and IEEE 754's sign of zero is Arm's.
            return Some((sum as f32).to_bits());
        }
        let error = double::two_sum_error(product, addend, sum);
        let result = to_odd(sum, error) as f32;
        if !is_comfortable(result) {
            return None;
        }
        if error != 0.0 || f64::from(result) != sum {
            env.raise(Fpsr::IXC);
        }
        Some(result.to_bits())
    }
}

/// `f64`.
pub(in crate::fp) mod double {
    use super::{Env, Fpsr, STRICT, to_odd};

    host!(f64, u64, u128, 52);

    /// From 2⁻³⁰⁰ to 2³⁰⁰, more or less.
    #[inline(always)]
    fn is_moderate(bits: u64) -> bool {
        ((bits & FIELD) >> 52).wrapping_sub(1023 - 300) <= 600
    }

    /// Multiplies and adds by Boldo and Melquiond's algorithm (2008, as above): product and sums with their exact errors,
    /// the two least parts joined by rounding to odd, the last sum to nearest.
    ///
    /// It asks that nothing overflows or underflows. With factors and addend in 2^±300, or the addend zero, every
    /// number that occurs is below 2⁷⁰⁰ and a multiple of 2⁻⁸⁰⁰; nor can the result be tiny. Digits are lost exactly if one
    /// of the last two sums loses some: where there is a leading error at all, the joined part is less than two units of
    /// the leading one, so 53 digits of it, the last one odd, cannot all fit into the result.
    #[inline(always)]
    pub(in crate::fp) fn mul_add(addend: u64, a: u64, b: u64, env: &mut Env) -> Option<u64> {
        if !STRICT || !env.fpcr.is_plain() || !is_moderate(a) || !is_moderate(b) {
            return None;
        }
        if !is_moderate(addend) && addend << 1 != 0 {
            return None;
        }
        let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(addend));
        let (high, low) = two_product(x, y);
        let middle = z + low;
        let middle_error = two_sum_error(z, low, middle);
        let leading = high + middle;
        let leading_error = two_sum_error(high, middle, leading);
        let least = middle_error + leading_error;
        let least_error = two_sum_error(middle_error, leading_error, least);
        let joined = to_odd(least, least_error);
        let result = leading + joined;
        if !env.is_set(Fpsr::IXC) && (least_error != 0.0 || two_sum_error(leading, joined, result) != 0.0) {
            env.raise(Fpsr::IXC);
        }
        Some(result.to_bits())
    }

    /// Dekker's product: the rounded product and its error. The halves have 26 digits, one more in the sign.
    #[inline(always)]
    fn two_product(x: f64, y: f64) -> (f64, f64) {
        let product = x * y;
        let ((xh, xl), (yh, yl)) = (halves(x), halves(y));
        let error = ((xh * yh - product) + xh * yl + xl * yh) + xl * yl;
        (product, error)
    }

    /// Veltkamp's splitting.
    #[inline(always)]
    fn halves(x: f64) -> (f64, f64) {
        let scaled = 134_217_729.0 * x; // 2²⁷ + 1
        let high = scaled - (scaled - x);
        (high, x - high)
    }
}
