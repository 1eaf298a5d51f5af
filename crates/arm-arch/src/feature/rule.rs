//! What announces a feature.

use super::{FIELDS, Feature, Field, IdRegisters, Kind};
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

    /// Lowers the field to the greatest value that fails the test; `false` for a test that a lower value passes too, or
    /// that only a value of 0 passes.
    pub(super) fn lower(&self, ids: &mut IdRegisters) -> bool {
        // The table is by register, and from the lowest bit.
        let at = FIELDS.partition_point(|field| (field.register, field.lo) < (self.register, self.lo));
        let Some(field) = FIELDS.get(at).filter(|field| self.is_of(field)) else { return false };
        let below = match field.kind {
            Kind::Signed | Kind::Unsigned if self.signed || self.min > 0 => self.min.wrapping_sub(1),
            Kind::Exact | Kind::Flags if self.min > 0 => 0,
            Kind::StageTwo if self.min > 1 => 1,
            Kind::Unsigned | Kind::Signed | Kind::Exact | Kind::Flags | Kind::StageTwo | Kind::Reach => {
                return false;
            }
        };
        // Sign-extended, and cut to the field.
        ids.put(field, bits::unsigned(i64::from(below)));
        true
    }

    /// Whether the field's value is within the limits.
    pub(super) fn holds(&self, ids: &IdRegisters) -> bool {
        let (hi, lo) = (u32::from(self.hi), u32::from(self.lo));
        self.passes(bits::field(ids.get(self.register).unwrap_or(0), hi, lo))
    }

    /// Whether the test is one of a field.
    pub(super) fn is_of(&self, field: &Field) -> bool {
        self.register == field.register && self.lo == field.lo
    }

    /// Whether a value of the field, not extended, is within the limits.
    pub(super) fn passes(&self, raw: u64) -> bool {
        let width = u32::from(self.hi.wrapping_sub(self.lo)).wrapping_add(1);
        let value = bits::signed(if self.signed { bits::sign_extend(raw, width) } else { raw });
        (i64::from(self.min)..=i64::from(self.max)).contains(&value)
    }
}
