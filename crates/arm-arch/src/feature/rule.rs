//! What announces a feature.

use super::{Feature, IdRegisters};
use crate::bits;
use crate::sysreg::SysRegId;

/// One test of one field. All rows of a clause must hold; one clause is enough for the feature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) feature: Feature,
    clause: u8,
    register: SysRegId,
    hi: u8,
    lo: u8,
    signed: bool,
    min: i8,
    max: i8,
}

/// Makes a row for an unsigned field.
pub(super) const fn unsigned(
    feature: Feature,
    clause: u8,
    register: SysRegId,
    hi: u8,
    lo: u8,
    min: i8,
    max: i8,
) -> Rule {
    Rule { feature, clause, register, hi, lo, signed: false, min, max }
}

/// Makes a row for a signed field.
pub(super) const fn signed(
    feature: Feature,
    clause: u8,
    register: SysRegId,
    hi: u8,
    lo: u8,
    min: i8,
    max: i8,
) -> Rule {
    Rule { signed: true, ..unsigned(feature, clause, register, hi, lo, min, max) }
}

impl Rule {
    /// Whether two rows belong to the same clause.
    pub(super) fn is_same_clause(&self, other: &Self) -> bool {
        self.feature == other.feature && self.clause == other.clause
    }

    /// Whether the field's value is within the limits.
    pub(super) fn holds(&self, ids: &IdRegisters) -> bool {
        let (hi, lo) = (u32::from(self.hi), u32::from(self.lo));
        let raw = bits::field(ids.get(self.register).unwrap_or(0), hi, lo);
        let width = hi.wrapping_sub(lo).wrapping_add(1);
        let value = bits::signed(if self.signed { bits::sign_extend(raw, width) } else { raw });
        (i64::from(self.min)..=i64::from(self.max)).contains(&value)
    }
}
