//! Which register lies at an offset, and which accesses it takes. GIC ch. 12, "Programmers' Model".

use xarch_abi::AccessSize;

/// A register with one bit for each of thirty-two interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// `IGROUPR`.
    Group,
    /// `ISENABLER`.
    SetEnable,
    /// `ICENABLER`.
    ClearEnable,
    /// `ISPENDR`.
    SetPending,
    /// `ICPENDR`.
    ClearPending,
    /// `ISACTIVER`.
    SetActive,
    /// `ICACTIVER`.
    ClearActive,
}

/// A register of the part that distributor and redistributors lay out alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Register {
    /// One bit for each interrupt; the bank of thirty-two.
    Bits(Field, u32),
    /// `IPRIORITYR`: one byte for each interrupt, from this one.
    Priority(u32),
    /// `ICFGR`: two bits for each interrupt; the bank of thirty-two and the half of it.
    Config(u32, u32),
}

/// Returns the shared register at `offset`, `None` if there is none or it does not take accesses of that size
/// and alignment (which then read as zero and write nothing).
pub(crate) const fn decode(offset: u32, size: AccessSize) -> Option<Register> {
    let word = matches!(size, AccessSize::Word) && offset & 3 == 0;
    if let 0x400..=0x7fb = offset {
        let byte = matches!(size, AccessSize::Byte);
        return if byte || word { Some(Register::Priority(offset & 0x3ff)) } else { None };
    }
    if !word {
        return None;
    }
    let index = (offset & 0x7f) >> 2;
    let field = match offset {
        0x080..=0x0ff => Field::Group,
        0x100..=0x17f => Field::SetEnable,
        0x180..=0x1ff => Field::ClearEnable,
        0x200..=0x27f => Field::SetPending,
        0x280..=0x2ff => Field::ClearPending,
        0x300..=0x37f => Field::SetActive,
        0x380..=0x3ff => Field::ClearActive,
        0xc00..=0xcff => return Some(Register::Config((offset & 0xff) >> 3, (offset >> 2) & 1)),
        _ => return None,
    };
    Some(Register::Bits(field, index))
}

/// `PIDR2`, the one identification register software reads: ArchRev 3 is GICv3.
pub(crate) const PIDR2: (u32, u32) = (0xffe8, 0x3b);

/// Takes the 32-bit half at `offset` out of a 64-bit register, or all of it; `None` where the access is
/// neither.
pub(crate) const fn part(register: u64, offset: u32, size: AccessSize) -> Option<u64> {
    match (size, offset & 7) {
        (AccessSize::Double, 0) => Some(register),
        (AccessSize::Word, 0) => Some(register & 0xffff_ffff),
        (AccessSize::Word, 4) => Some(register >> 32),
        _ => None,
    }
}

/// Puts what [`part`] takes out; `None` where the access is neither.
pub(crate) const fn with_part(register: u64, offset: u32, size: AccessSize, value: u64) -> Option<u64> {
    match (size, offset & 7) {
        (AccessSize::Double, 0) => Some(value),
        (AccessSize::Word, 0) => Some(register & !0xffff_ffff | value & 0xffff_ffff),
        (AccessSize::Word, 4) => Some(register & 0xffff_ffff | value << 32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_manual() {
        const CASES: &[(&str, u32, AccessSize, Option<Register>)] = &[
            ("GICD_IGROUPR1", 0x084, AccessSize::Word, Some(Register::Bits(Field::Group, 1))),
            ("GICD_ISENABLER31", 0x17c, AccessSize::Word, Some(Register::Bits(Field::SetEnable, 31))),
            ("GICR_ICENABLER0", 0x180, AccessSize::Word, Some(Register::Bits(Field::ClearEnable, 0))),
            ("GICD_ISPENDR2", 0x208, AccessSize::Word, Some(Register::Bits(Field::SetPending, 2))),
            ("GICD_ICPENDR1", 0x284, AccessSize::Word, Some(Register::Bits(Field::ClearPending, 1))),
            ("GICD_ISACTIVER1", 0x304, AccessSize::Word, Some(Register::Bits(Field::SetActive, 1))),
            ("GICD_ICACTIVER1", 0x384, AccessSize::Word, Some(Register::Bits(Field::ClearActive, 1))),
            ("GICD_IPRIORITYR8", 0x420, AccessSize::Word, Some(Register::Priority(32))),
            ("a byte of GICD_IPRIORITYR8", 0x421, AccessSize::Byte, Some(Register::Priority(33))),
            ("GICR_ICFGR1", 0xc04, AccessSize::Word, Some(Register::Config(0, 1))),
            ("GICD_ICFGR2", 0xc08, AccessSize::Word, Some(Register::Config(1, 0))),
            ("half of a priority register", 0x420, AccessSize::Half, None),
            ("byte of an enable register", 0x104, AccessSize::Byte, None),
            ("double of an enable register", 0x100, AccessSize::Double, None),
            ("unaligned word", 0x102, AccessSize::Word, None),
            ("GICD_ITARGETSR8", 0x820, AccessSize::Word, None),
        ];
        for (name, offset, size, want) in CASES {
            assert_eq!(decode(*offset, *size), *want, "{name}");
        }
    }

    #[test]
    fn halves_of_wide_registers_are_accessible() {
        let register = 0x1111_2222_3333_4444;
        assert_eq!(part(register, 0x6100, AccessSize::Word), Some(0x3333_4444));
        assert_eq!(part(register, 0x6104, AccessSize::Word), Some(0x1111_2222));
        assert_eq!(part(register, 0x6100, AccessSize::Half), None);
        assert_eq!(part(register, 0x6104, AccessSize::Double), None);
        assert_eq!(with_part(register, 4, AccessSize::Word, 9), Some(0x9_3333_4444));
    }
}
