//! Fields of ID registers, and how their values compare. Arm ARM, "Principles of the ID scheme for fields in
//! ID registers".

use crate::bits;
use crate::sysreg::SysRegId;

/// How values of a field compare: which of two a guest may rely on where both may be found.
/// Arm ARM, "Principles of the ID scheme".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A number: more includes less, 0 is nothing.
    Unsigned,
    /// A signed number: more includes less, a negative one is nothing.
    Signed,
    /// Each bit is a feature.
    Flags,
    /// No order: only the same value will do, 0 where they differ.
    Exact,
    /// The logarithm of how far something may reach: less includes more, and 0 says nothing, as far as it may be.
    Reach,
    /// A granule at stage 2: 0 as at stage 1, 1 none, from 2 a number. Nothing is known of 0 beside another value, so
    /// that 1 is what both include.
    StageTwo,
}

/// A field of an ID register. Arm ARM, the field of each name; `data/sysregs.tsv`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The register.
    pub register: SysRegId,
    /// The manual's name.
    pub name: &'static str,
    /// The highest bit.
    pub hi: u8,
    /// The lowest bit.
    pub lo: u8,
    /// How values compare.
    pub kind: Kind,
}

/// Makes a row of the table.
pub(super) const fn field(register: SysRegId, name: &'static str, hi: u8, lo: u8, kind: Kind) -> Field {
    Field { register, name, hi, lo, kind }
}

impl Field {
    /// Returns the field's value in a register, not extended.
    #[must_use]
    pub fn of(&self, register: u64) -> u64 {
        bits::field(register, u32::from(self.hi), u32::from(self.lo))
    }

    /// Returns the bits the field covers.
    #[must_use]
    pub fn mask(&self) -> u64 {
        bits::with_field(0, u32::from(self.hi), u32::from(self.lo), u64::MAX)
    }

    /// Returns a register with this field set to a value.
    #[must_use]
    pub fn put(&self, register: u64, value: u64) -> u64 {
        bits::with_field(register, u32::from(self.hi), u32::from(self.lo), value)
    }

    /// Returns the value a guest may rely on where both may be found: the greatest that both include.
    /// Arm ARM, "Principles of the ID scheme".
    #[must_use]
    pub fn meet(&self, a: u64, b: u64) -> u64 {
        match self.kind {
            Kind::Unsigned => a.min(b),
            Kind::Signed => {
                if self.signed(a) <= self.signed(b) {
                    a
                } else {
                    b
                }
            }
            Kind::Flags => a & b,
            Kind::Exact | Kind::StageTwo if a == b => a,
            Kind::Exact => 0,
            Kind::Reach if a == 0 || b == 0 => 0,
            Kind::Reach => a.max(b),
            Kind::StageTwo if a == 0 || b == 0 => 1,
            Kind::StageTwo => a.min(b),
        }
    }

    /// Whether a guest that relies on `guest` finds all of it where there is `host`.
    /// Arm ARM, "Principles of the ID scheme".
    #[must_use]
    pub fn fits(&self, guest: u64, host: u64) -> bool {
        self.meet(guest, host) == guest
    }

    /// Returns the value as the signed number it is.
    fn signed(&self, value: u64) -> i64 {
        let width = u32::from(self.hi.saturating_sub(self.lo)).saturating_add(1);
        bits::signed(bits::sign_extend(value, width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::FIELDS;

    #[test]
    fn values_meet_by_kind() {
        let of = |kind| field(SysRegId::from_bits(0xc020), "X", 19, 16, kind);
        const CASES: &[(&str, Kind, u64, u64, u64)] = &[
            ("unsigned", Kind::Unsigned, 0xf, 1, 1),
            ("signed, −1 is less than 0", Kind::Signed, 0xf, 0, 0xf),
            ("signed, −1 is less than 1", Kind::Signed, 1, 0xf, 0xf),
            ("flags", Kind::Flags, 0b1100, 0b0101, 0b0100),
            ("exact, same", Kind::Exact, 3, 3, 3),
            ("exact, different", Kind::Exact, 3, 2, 0),
            ("reach", Kind::Reach, 4, 5, 5),
            ("reach, unknown", Kind::Reach, 4, 0, 0),
            ("stage 2, as at stage 1", Kind::StageTwo, 0, 0, 0),
            ("stage 2, as at stage 1 and not", Kind::StageTwo, 0, 1, 1),
            ("stage 2, as at stage 1 and in some way", Kind::StageTwo, 0, 2, 1),
            ("stage 2, with and without 52 bits", Kind::StageTwo, 3, 2, 2),
        ];
        for (name, kind, a, b, want) in CASES {
            assert_eq!(of(*kind).meet(*a, *b), *want, "{name}");
            assert_eq!(of(*kind).meet(*b, *a), *want, "{name}, exchanged");
        }
    }

    #[test]
    fn meet_is_associative_and_below_both_for_every_kind() {
        for kind in [Kind::Unsigned, Kind::Signed, Kind::Flags, Kind::Exact, Kind::Reach, Kind::StageTwo] {
            let f = field(SysRegId::from_bits(0xc020), "X", 19, 16, kind);
            for (a, b) in (0..16).flat_map(|a| (0..16).map(move |b| (a, b))) {
                let both = f.meet(a, b);
                assert!(f.fits(both, a) && f.fits(both, b), "{kind:?} {a} {b}");
                for c in 0..16 {
                    assert_eq!(f.meet(both, c), f.meet(a, f.meet(b, c)), "{kind:?} {a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn the_table_is_in_order_and_nothing_overlaps() {
        for pair in FIELDS.windows(2) {
            let [a, b] = pair else { continue };
            assert!((a.register, a.lo) < (b.register, b.lo), "{} before {}", a.name, b.name);
            assert!(a.register != b.register || a.hi < b.lo, "{} overlaps {}", a.name, b.name);
            assert!(a.lo <= a.hi && a.hi < 64, "{}", a.name);
        }
        let csv2 = FIELDS.iter().find(|f| f.name == "CSV2").unwrap();
        assert_eq!((csv2.register.into_bits(), csv2.mask()), (0xc020, 0x0f00_0000_0000_0000));
        assert_eq!((csv2.of(0x1200 << 48), csv2.put(0, 5)), (2, 5 << 56));
    }
}
