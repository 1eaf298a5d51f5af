//! Arithmetic on one element that the inherent methods of the integers do not offer.

use super::lanes::Lane;

/// Shifts, saturation and rounding on one element.
pub(super) trait Int: Lane {
    /// Returns all ones or all zeroes.
    fn mask(condition: bool) -> Self;
    /// Shifts left by `by` < BITS.
    fn shl(self, by: u32) -> Self;
    /// Shifts right by 1 ≤ `by` ≤ BITS, keeping the sign of signed types.
    fn shr(self, by: u32) -> Self;
    /// Shifts right by 1 ≤ `by` ≤ BITS and rounds half up.
    fn shr_rounded(self, by: u32) -> Self;
    /// Shifts left with saturation by `by`; the second value is not zero if it saturated.
    fn shl_sat(self, by: u32) -> (Self, Self);
    /// Shifts left by the low byte of `by` if positive, else right, as SSHL and USHL (SRSHL, URSHL with
    /// `ROUND`).
    fn shift<const ROUND: bool>(self, by: Self) -> Self;
    /// [`Self::shift`] with saturation to the left; the second value is not zero if it saturated.
    fn shift_sat<const ROUND: bool>(self, by: Self) -> (Self, Self);
}

/// The distance in the low byte of a shift's second operand.
macro_rules! distance {
    ($by:expr) => {
        $by.to_le_bytes()[0] as i8
    };
}

macro_rules! int {
    ($($t:ident)*) => {$(
        impl Int for $t {
            #[inline(always)]
            fn mask(condition: bool) -> Self {
                if condition { !0 } else { 0 }
            }

            #[inline(always)]
            fn shl(self, by: u32) -> Self {
                self.wrapping_shl(by)
            }

            #[inline(always)]
            fn shr(self, by: u32) -> Self {
                self.wrapping_shr(by.wrapping_sub(1)) >> 1
            }

            #[inline(always)]
            fn shr_rounded(self, by: u32) -> Self {
                let last = self.wrapping_shr(by.wrapping_sub(1));
                (last >> 1).wrapping_add(last & 1)
            }

            #[inline(always)]
            fn shl_sat(self, by: u32) -> (Self, Self) {
                let limit = if self.shr(<$t>::BITS) != 0 { <$t>::MIN } else { <$t>::MAX };
                if by >= <$t>::BITS {
                    return if self == 0 { (0, 0) } else { (limit, 1) };
                }
                let shifted = self << by;
                if shifted >> by == self { (shifted, 0) } else { (limit, 1) }
            }

            #[inline(always)]
            fn shift<const ROUND: bool>(self, by: Self) -> Self {
                let by = distance!(by);
                let count = u32::from(by.unsigned_abs());
                match (by >= 0, count < <$t>::BITS) {
                    (true, true) => self << count,
                    (true, false) => 0,
                    (false, true) => if ROUND { self.shr_rounded(count) } else { self >> count },
                    (false, false) if ROUND => if count == <$t>::BITS { self.shr_rounded(count) } else { 0 },
                    (false, false) => self.shr(<$t>::BITS),
                }
            }

            #[inline(always)]
            fn shift_sat<const ROUND: bool>(self, by: Self) -> (Self, Self) {
                match u32::try_from(distance!(by)) {
                    Ok(left) => self.shl_sat(left),
                    Err(_) => (self.shift::<ROUND>(by), 0),
                }
            }
        }
    )*};
}

int! { u8 u16 u32 u64 i8 i16 i32 i64 }

/// `$value` as a `$t`, and whether that is another number.
macro_rules! saturate {
    ($t:ty, $value:expr) => {{
        let exact = $value;
        let value = exact.clamp(<$t>::MIN.into(), <$t>::MAX.into());
        (value as $t, <$t>::from(value != exact))
    }};
}

/// Fixed-point multiplication on 16- and 32-bit elements.
pub(super) trait Fraction: Lane {
    /// The high half of `2 * self * other`, rounded with `ROUND`; the second value says it saturated.
    fn mul_high<const ROUND: bool>(self, other: Self) -> (Self, Self);
    /// The high half of `(self << BITS) ± 2 * a * b`, rounded; the second value says it saturated.
    fn mul_add_high<const SUBTRACT: bool>(self, a: Self, b: Self) -> (Self, Self);
}

macro_rules! fraction {
    ($($t:ident)*) => {$(
        impl Fraction for $t {
            #[inline(always)]
            fn mul_high<const ROUND: bool>(self, other: Self) -> (Self, Self) {
                let product = i64::from(self).wrapping_mul(i64::from(other));
                let half = if ROUND { 1i64 << ($t::BITS - 2) } else { 0 };
                saturate!($t, product.wrapping_add(half) >> ($t::BITS - 1))
            }

            #[inline(always)]
            fn mul_add_high<const SUBTRACT: bool>(self, a: Self, b: Self) -> (Self, Self) {
                let product = i64::from(a).wrapping_mul(i64::from(b));
                let product = if SUBTRACT { product.wrapping_neg() } else { product };
                let sum = (i64::from(self) << ($t::BITS - 1)).wrapping_add(product);
                saturate!($t, sum.wrapping_add(1i64 << ($t::BITS - 2)) >> ($t::BITS - 1))
            }
        }
    )*};
}

fraction! { i16 i32 }
