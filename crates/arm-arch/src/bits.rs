//! The one place for truncation, sign casts and bit fields of unknown width.
//!
//! Every function is total: widths and positions out of range have a stated meaning, so that a
//! guest-controlled number never becomes a panic.
#![expect(clippy::as_conversions, reason = "this module is the place for them")]

/// Returns the low 8 bits.
#[must_use]
pub const fn low8(value: u64) -> u8 {
    (value & 0xff) as u8
}

/// Returns the low 16 bits.
#[must_use]
pub const fn low16(value: u64) -> u16 {
    (value & 0xffff) as u16
}

/// Returns the low 32 bits.
#[must_use]
pub const fn trunc32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// Returns the low 64 bits.
#[must_use]
pub const fn trunc64(value: u128) -> u64 {
    (value & 0xffff_ffff_ffff_ffff) as u64
}

/// Returns the high 32 bits.
#[must_use]
pub const fn high32(value: u64) -> u32 {
    (value >> 32) as u32
}

/// Returns the value zero-extended. For `const` contexts; elsewhere `u64::from`.
#[must_use]
pub const fn zext32(value: u32) -> u64 {
    value as u64
}

/// Returns the value zero-extended. For `const` contexts; elsewhere `u64::from`.
#[must_use]
pub const fn zext16(value: u16) -> u64 {
    value as u64
}

/// Returns the value zero-extended. For `const` contexts; elsewhere `u64::from`.
#[must_use]
pub const fn zext8(value: u8) -> u64 {
    value as u64
}

/// Returns the same 64 bits read as a two's complement number.
#[must_use]
pub const fn signed(value: u64) -> i64 {
    value as i64
}

/// Returns the same 32 bits read as a two's complement number.
#[must_use]
pub const fn signed32(value: u32) -> i32 {
    value as i32
}

/// Returns the two's complement bits of a number.
#[must_use]
pub const fn unsigned(value: i64) -> u64 {
    value as u64
}

/// Returns the two's complement bits of a number.
#[must_use]
pub const fn unsigned32(value: i32) -> u32 {
    value as u32
}

/// Extends the sign of the low `width` bits to 64. Width 0 gives 0, 64 and more the value itself.
#[must_use]
pub const fn sign_extend(value: u64, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let shift = 64u32.saturating_sub(width);
    ((value.wrapping_shl(shift) as i64).wrapping_shr(shift)) as u64
}

/// Extends the sign of a 32-bit value to 64 bits.
#[must_use]
pub const fn sign_extend32(value: u32) -> u64 {
    value as i32 as i64 as u64
}

/// Returns ones in the low `width` bits; 64 and more give all ones.
#[must_use]
pub const fn mask(width: u32) -> u64 {
    match 1u64.checked_shl(width) {
        Some(bit) => bit.wrapping_sub(1),
        None => u64::MAX,
    }
}

/// Returns bits `hi` to `lo`, both included, at the bottom; 0 where `hi < lo` or `lo > 63`.
#[must_use]
pub const fn field(value: u64, hi: u32, lo: u32) -> u64 {
    if hi < lo || lo > 63 {
        return 0;
    }
    value.wrapping_shr(lo) & mask(hi.wrapping_sub(lo).wrapping_add(1))
}

/// Returns `value` with bits `hi` to `lo` replaced by the low bits of `new`.
#[must_use]
pub const fn with_field(value: u64, hi: u32, lo: u32, new: u64) -> u64 {
    if hi < lo || lo > 63 {
        return value;
    }
    let ones = mask(hi.wrapping_sub(lo).wrapping_add(1));
    value & !ones.wrapping_shl(lo) | (new & ones).wrapping_shl(lo)
}

/// Whether bit `at` is set; no bit above 63 is.
#[must_use]
pub const fn bit(value: u64, at: u32) -> bool {
    field(value, at, at) == 1
}

/// Returns a number made into an index; saturates where `usize` is narrower.
#[must_use]
pub const fn index(value: u64) -> usize {
    let index = value as usize;
    if index as u64 == value { index } else { usize::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_extension_copies_the_top_bit_of_the_width() {
        const CASES: &[(u64, u32, u64)] = &[
            (0x80, 8, 0xffff_ffff_ffff_ff80),
            (0x7f, 8, 0x7f),
            (0x17f, 8, 0x7f),
            (1, 1, u64::MAX),
            (0x8000_0000_0000_0000, 64, 0x8000_0000_0000_0000),
            (0x5, 0, 0),
            (0x5, 99, 5),
        ];
        for (value, width, want) in CASES {
            assert_eq!(sign_extend(*value, *width), *want, "{value:#x} of {width} bits");
        }
        assert_eq!(sign_extend32(0x8000_0000), 0xffff_ffff_8000_0000);
    }

    #[test]
    fn fields_are_named_by_both_ends() {
        let esr = 0x9600_0047;
        assert_eq!(field(esr, 31, 26), 0x25);
        assert_eq!(field(esr, 5, 0), 7);
        assert_eq!(field(u64::MAX, 63, 0), u64::MAX);
        assert_eq!(field(esr, 3, 4), 0, "ends the wrong way round");
        assert_eq!(field(esr, 70, 64), 0, "beyond the register");
        assert_eq!(with_field(0xffff, 11, 8, 0x35), 0xf5ff);
        assert_eq!(with_field(0, 63, 60, 0xf), 0xf000_0000_0000_0000);
        assert!(bit(esr, 6) && !bit(esr, 3) && !bit(u64::MAX, 64));
    }
}
