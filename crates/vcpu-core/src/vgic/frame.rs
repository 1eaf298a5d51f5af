//! Which accesses a register takes, and what they see of it. GIC ch. 12, "Programmers' Model".

use arm_arch::gic::frame::GicPidr2;
use xarch_abi::AccessSize;

pub(crate) use arm_arch::gic::frame::{Field, PIDR2, Register};

/// Returns the shared register at `offset`, `None` if there is none or it does not take accesses of that size
/// and alignment (which then read as zero and write nothing).
pub(crate) const fn decode(offset: u32, size: AccessSize) -> Option<Register> {
    let aligned_word = matches!(size, AccessSize::Word) && offset & 3 == 0;
    match Register::at(offset) {
        Some(register) if aligned_word => Some(register),
        Some(register @ Register::Priority(_)) if matches!(size, AccessSize::Byte) => Some(register),
        _ => None,
    }
}

/// The one peripheral identification register that software reads: GICv3, the rest as in Arm's parts.
pub(crate) const PIDR2_VALUE: u32 = GicPidr2::new().with_arch_rev(3).with_imp_def(0xb).into_bits();
const _: () = assert!(PIDR2_VALUE == 0x3b);

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
    fn priorities_take_bytes_too_and_nothing_is_unaligned() {
        const CASES: &[(&str, u32, AccessSize, Option<Register>)] = &[
            ("GICD_ISENABLER31", 0x17c, AccessSize::Word, Some(Register::Bits(Field::SetEnable, 31))),
            ("GICD_IPRIORITYR8", 0x420, AccessSize::Word, Some(Register::Priority(32))),
            ("a byte of GICD_IPRIORITYR8", 0x421, AccessSize::Byte, Some(Register::Priority(33))),
            ("half of a priority register", 0x420, AccessSize::Half, None),
            ("unaligned priorities", 0x421, AccessSize::Word, None),
            ("byte of an enable register", 0x104, AccessSize::Byte, None),
            ("double of an enable register", 0x100, AccessSize::Double, None),
            ("unaligned word", 0x102, AccessSize::Word, None),
            ("GICD_ICFGR2", 0xc08, AccessSize::Word, Some(Register::Config(1, 0))),
            ("byte of a configuration register", 0xc08, AccessSize::Byte, None),
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
