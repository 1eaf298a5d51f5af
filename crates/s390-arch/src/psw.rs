//! The program-status word. PoP ch. 4, "Program-Status Word".

use crate::pgm::AddressSpace;
use bitfield_struct::bitfield;

/// The first doubleword of a PSW.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct PswMask {
    __: bool,
    /// R, 1: program-event recording.
    pub per: bool,
    #[bits(3)]
    __: u8,
    /// T, 5: DAT is on.
    pub dat: bool,
    /// IO, 6: I/O interruptions are enabled.
    pub io: bool,
    /// EX, 7: external interruptions are enabled.
    pub external: bool,
    /// Key, 8-11: storage access key.
    #[bits(4)]
    pub key: u8,
    /// Bit 12: zero here, one in the short format.
    pub b12: bool,
    /// M, 13: machine checks are enabled.
    pub machine_check: bool,
    /// W, 14: wait state.
    pub wait: bool,
    /// P, 15: problem state.
    pub problem: bool,
    /// AS, 16-17: address-space control.
    #[bits(2)]
    pub space: AddressSpace,
    /// CC, 18-19: condition code.
    #[bits(2)]
    pub cc: u8,
    /// Program mask, 20-23: fixed-point overflow, decimal overflow, HFP underflow, HFP significance.
    #[bits(4)]
    pub program_mask: u8,
    /// RI, 24: runtime instrumentation, facility 64.
    pub ri: bool,
    #[bits(6)]
    __: u8,
    /// EA, 31: extended addressing.
    pub ea: bool,
    /// BA, 32: basic addressing.
    pub ba: bool,
    #[bits(31)]
    __: u32,
}
const _: () = assert!(PswMask::DAT_OFFSET == 58 && PswMask::KEY_OFFSET == 52 && PswMask::B12_OFFSET == 51);
const _: () =
    assert!(PswMask::PROBLEM_OFFSET == 48 && PswMask::SPACE_OFFSET == 46 && PswMask::CC_OFFSET == 44);
const _: () = assert!(PswMask::PROGRAM_MASK_OFFSET == 40 && PswMask::RI_OFFSET == 39);
const _: () = assert!(PswMask::EA_OFFSET == 32 && PswMask::BA_OFFSET == 31);

/// Bits of the mask that must be zero where runtime instrumentation is not installed.
const UNASSIGNED: u64 = 0xb808_00fe_7fff_ffff;

/// How many bits of an address count. PoP ch. 5, "Addressing Mode".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressingMode {
    /// 24-bit mode.
    Bits24,
    /// 31-bit mode.
    Bits31,
    /// 64-bit mode.
    #[default]
    Bits64,
}

impl AddressingMode {
    /// Returns the bits of an effective address that count.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Bits24 => 0x00ff_ffff,
            Self::Bits31 => 0x7fff_ffff,
            Self::Bits64 => u64::MAX,
        }
    }

    /// Truncates an address to the mode, which every effective address is before it is translated.
    #[must_use]
    pub const fn truncate(self, address: u64) -> u64 {
        address & self.mask()
    }
}

impl PswMask {
    /// Returns the addressing mode; `None` for EA without BA, which no valid PSW has.
    #[must_use]
    pub const fn addressing_mode(self) -> Option<AddressingMode> {
        match (self.ea(), self.ba()) {
            (false, false) => Some(AddressingMode::Bits24),
            (false, true) => Some(AddressingMode::Bits31),
            (true, true) => Some(AddressingMode::Bits64),
            (true, false) => None,
        }
    }
}

/// A PSW: mask and instruction address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Psw {
    /// Bits 0-63.
    pub mask: PswMask,
    /// Bits 64-127.
    pub address: u64,
}

impl Psw {
    /// Returns whether loading this PSW is not a specification exception, on a machine without runtime
    /// instrumentation. PoP ch. 6, "Early Exception Recognition".
    #[must_use]
    pub const fn is_valid(self) -> bool {
        match self.mask.addressing_mode() {
            Some(mode) => {
                self.mask.into_bits() & UNASSIGNED == 0
                    && self.address & !mode.mask() == 0
                    && self.address & 1 == 0
            }
            None => false,
        }
    }

    /// Expands the 64-bit short format, which LPSW loads; `None` if bit 12 is zero, a specification exception.
    #[must_use]
    pub const fn from_short(short: u64) -> Option<Self> {
        const BIT_12: u64 = 1 << 51;
        const ADDRESS: u64 = 0x7fff_ffff;
        if short & BIT_12 == 0 {
            return None;
        }
        Some(Self { mask: PswMask::from_bits(short & !BIT_12 & !ADDRESS), address: short & ADDRESS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn psw(mask: u64, address: u64) -> Psw {
        Psw { mask: PswMask::from_bits(mask), address }
    }

    #[test]
    fn fields_have_the_masks_of_the_book() {
        for (mask, bits) in [
            (PswMask::new().with_per(true), 0x4000_0000_0000_0000_u64),
            (PswMask::new().with_dat(true), 0x0400_0000_0000_0000),
            (PswMask::new().with_io(true), 0x0200_0000_0000_0000),
            (PswMask::new().with_external(true), 0x0100_0000_0000_0000),
            (PswMask::new().with_key(0xf), 0x00f0_0000_0000_0000),
            (PswMask::new().with_machine_check(true), 0x0004_0000_0000_0000),
            (PswMask::new().with_wait(true), 0x0002_0000_0000_0000),
            (PswMask::new().with_problem(true), 0x0001_0000_0000_0000),
            (PswMask::new().with_space(AddressSpace::Home), 0x0000_c000_0000_0000),
            (PswMask::new().with_cc(3), 0x0000_3000_0000_0000),
            (PswMask::new().with_program_mask(0xf), 0x0000_0f00_0000_0000),
            (PswMask::new().with_ri(true), 0x0000_0080_0000_0000),
            (PswMask::new().with_ea(true), 0x0000_0001_0000_0000),
            (PswMask::new().with_ba(true), 0x0000_0000_8000_0000),
        ] {
            assert_eq!(mask.into_bits(), bits);
        }
    }

    #[test]
    fn validity_follows_the_addressing_mode() {
        for (mask, address, valid) in [
            (0x0000_0001_8000_0000, u64::MAX - 1, true),
            (0x0000_0001_8000_0000, 1, false),
            (0x0000_0000_8000_0000, 0x7fff_fffe, true),
            (0x0000_0000_8000_0000, 0x8000_0000, false),
            (0, 0x00ff_fffe, true),
            (0, 0x0100_0000, false),
            (0x0000_0001_0000_0000, 0, false),
            (0x8000_0001_8000_0000, 0, false),
            (0x0008_0001_8000_0000, 0, false),
            (0x0000_0081_8000_0000, 0, false),
            (0x0000_0001_8000_0001, 0, false),
            (0x0704_c001_8000_0000, 0x1000, true),
        ] {
            assert_eq!(psw(mask, address).is_valid(), valid, "{mask:#x} {address:#x}");
        }
    }

    #[test]
    fn a_short_psw_has_bit_12_inverted() {
        assert_eq!(Psw::from_short(0x0008_0000_8001_2344), Some(psw(0x0000_0000_8000_0000, 0x1_2344)));
        assert_eq!(Psw::from_short(0x0000_0000_8001_2344), None);
    }
}
