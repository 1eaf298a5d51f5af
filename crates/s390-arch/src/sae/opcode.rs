//! Encodings of the facility's instructions. Linux s390 arm64 KVM series; formats as PoP ch. 5 draws them.
//!
//! The register number of SASR and EASR is an immediate, so a driver needs one instruction per register.

use super::facility::{M4, SystemRegisterNumber};

/// A general-register designation, R0 to R15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gpr(u8);

impl Gpr {
    /// Designates general register `n`; `None` above 15.
    #[must_use]
    pub const fn new(n: u8) -> Option<Self> {
        if n < 16 { Some(Self(n)) } else { None }
    }

    /// Returns the number, 0 to 15.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The instructions in RRE format; each uses R1 only, R2 is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rre {
    /// SAE, Start Arm Execution: R1 is the absolute address of the control block.
    Sae,
    /// LASRM, Load Arm System Register Multiple: R1 is the logical address of the save area.
    Lasrm,
    /// STIASRM, Store and Invalidate Arm System Register Multiple: R1 as for LASRM.
    Stiasrm,
    /// QAAF, Query Available Arm Features: GR0 is the function, R1 the logical address of the result.
    Qaaf,
}

impl Rre {
    /// Returns the sixteen bits of operation code.
    #[must_use]
    pub const fn opcode(self) -> u16 {
        match self {
            Self::Sae => 0xb9a5,
            Self::Lasrm => 0xb9a6,
            Self::Stiasrm => 0xb9a7,
            Self::Qaaf => 0xb9ad,
        }
    }

    /// Decodes an instruction; `None` if its operation code is none of these. R2 and the unused bits do not count.
    #[must_use]
    pub const fn decode(code: [u8; 4]) -> Option<(Self, Gpr)> {
        let [high, low, _, registers] = code;
        let operation = match u16::from_be_bytes([high, low]) {
            0xb9a5 => Self::Sae,
            0xb9a6 => Self::Lasrm,
            0xb9a7 => Self::Stiasrm,
            0xb9ad => Self::Qaaf,
            _ => return None,
        };
        Some((operation, Gpr(registers >> 4)))
    }

    /// Encodes the instruction: operation code 0-15, R1 24-27.
    #[must_use]
    pub const fn encode(self, r1: Gpr) -> [u8; 4] {
        let [high, low] = self.opcode().to_be_bytes();
        [high, low, 0, r1.0 << 4]
    }
}

/// The instructions in RIE-h format, a format that the series introduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rie {
    /// SASR, Set Arm System Register: R1 is the value.
    Sasr,
    /// EASR, Extract Arm System Register: R1 is the result.
    Easr,
}

impl Rie {
    /// Returns the two parts of the operation code, bits 0-7 and 40-47.
    #[must_use]
    pub const fn opcode(self) -> (u8, u8) {
        match self {
            Self::Sasr => (0xed, 0x99),
            Self::Easr => (0xed, 0x9b),
        }
    }

    /// Encodes the instruction: R1 8-11, R3 16-19, I2 20-35, M4 36-39; R3 is the address of the save area.
    #[must_use]
    pub const fn encode(self, r1: Gpr, r3: Gpr, i2: SystemRegisterNumber, m4: M4) -> [u8; 6] {
        let (first, last) = self.opcode();
        let [i2_high, i2_low] = i2.0.to_be_bytes();
        [
            first,
            r1.0 << 4,
            (r3.0 << 4) | (i2_high >> 4),
            (i2_high << 4) | (i2_low >> 4),
            (i2_low << 4) | m4.into_bits(),
            last,
        ]
    }
}

/// An instruction in RIE-h format, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RieOperands {
    /// Which one.
    pub operation: Rie,
    /// R1, 8-11: value or result.
    pub r1: Gpr,
    /// R3, 16-19: address of the save area.
    pub r3: Gpr,
    /// I2, 20-35: the register.
    pub i2: SystemRegisterNumber,
    /// M4, 36-39; `None` for values without a meaning.
    pub m4: Option<M4>,
}

impl RieOperands {
    /// Decodes an instruction; `None` if its operation code is none of these. The unused bits do not count.
    #[must_use]
    pub const fn decode(code: [u8; 6]) -> Option<Self> {
        let [first, r1, a, b, c, last] = code;
        let operation = match (first, last) {
            (0xed, 0x99) => Rie::Sasr,
            (0xed, 0x9b) => Rie::Easr,
            _ => return None,
        };
        let i2 = u16::from_be_bytes([(a << 4) | (b >> 4), (b << 4) | (c >> 4)]);
        Some(Self {
            operation,
            r1: Gpr(r1 >> 4),
            r3: Gpr(a >> 4),
            i2: SystemRegisterNumber(i2),
            m4: M4::from_bits(c & 15),
        })
    }
}

/// PTFF, an E-format instruction: its two bytes.
pub const PTFF: [u8; 2] = [0x01, 0x04];

#[cfg(test)]
mod tests {
    use super::*;

    const R2: Gpr = Gpr(2);
    const R3: Gpr = Gpr(3);

    #[test]
    fn sasr_of_sctlr_el1_is_the_worked_example() {
        let bytes = Rie::Sasr.encode(R2, R3, SystemRegisterNumber(0xc080), M4::SaveArea);
        assert_eq!(bytes, [0xed, 0x20, 0x3c, 0x08, 0x08, 0x99]);
    }

    #[test]
    fn each_field_of_rie_h_lands_in_its_own_bits() {
        // By the table of bit numbers: all ones in one field, the others zero.
        let zero = SystemRegisterNumber(0);
        let r0 = Gpr(0);
        let r15 = Gpr(15);
        for (bytes, want) in [
            (Rie::Easr.encode(r15, r0, zero, M4::Loaded), [0xed, 0xf0, 0x00, 0x00, 0x00, 0x9b]),
            (Rie::Easr.encode(r0, r15, zero, M4::Loaded), [0xed, 0x00, 0xf0, 0x00, 0x00, 0x9b]),
            (
                Rie::Easr.encode(r0, r0, SystemRegisterNumber(0xffff), M4::Loaded),
                [0xed, 0x00, 0x0f, 0xff, 0xf0, 0x9b],
            ),
            (Rie::Easr.encode(r0, r0, zero, M4::SaveArea), [0xed, 0x00, 0x00, 0x00, 0x08, 0x9b]),
        ] {
            assert_eq!(bytes, want);
        }
    }

    #[test]
    fn rre_has_r1_in_bits_24_to_27() {
        assert_eq!(Rre::Sae.encode(R2), [0xb9, 0xa5, 0x00, 0x20]);
        assert_eq!(Rre::Lasrm.encode(R3), [0xb9, 0xa6, 0x00, 0x30]);
        assert_eq!(Rre::Stiasrm.encode(R3), [0xb9, 0xa7, 0x00, 0x30]);
        assert_eq!(Rre::Qaaf.encode(Gpr(15)), [0xb9, 0xad, 0x00, 0xf0]);
    }

    #[test]
    fn what_is_decoded_is_what_the_layout_says() {
        // The worked example, and one with all fields apart; unused bits are set.
        let operands = RieOperands::decode([0xed, 0x2f, 0x3c, 0x08, 0x08, 0x99]);
        let sctlr = SystemRegisterNumber(0xc080);
        let set = RieOperands { operation: Rie::Sasr, r1: R2, r3: R3, i2: sctlr, m4: Some(M4::SaveArea) };
        assert_eq!(operands, Some(set));
        let operands = RieOperands::decode([0xed, 0xf0, 0xe1, 0x23, 0x40, 0x9b]);
        let (r1, r3, i2) = (Gpr(15), Gpr(14), SystemRegisterNumber(0x1234));
        assert_eq!(operands, Some(RieOperands { operation: Rie::Easr, r1, r3, i2, m4: Some(M4::Loaded) }));
        let operands = RieOperands::decode([0xed, 0xf0, 0xe1, 0x23, 0x44, 0x9b]);
        assert_eq!(operands.map(|operands| operands.m4), Some(None));
        // ED..1B is another instruction.
        assert_eq!(RieOperands::decode([0xed, 0x20, 0x3c, 0x08, 0x08, 0x1b]), None);
        assert_eq!(Rre::decode([0xb9, 0xa5, 0, 0x20]), Some((Rre::Sae, R2)));
        assert_eq!(Rre::decode([0xb9, 0xa6, 0xff, 0x3f]), Some((Rre::Lasrm, R3)));
        assert_eq!(Rre::decode([0xb9, 0xa7, 0, 0xf0]), Some((Rre::Stiasrm, Gpr(15))));
        assert_eq!(Rre::decode([0xb9, 0xad, 0, 0]), Some((Rre::Qaaf, Gpr(0))));
        assert_eq!(Rre::decode([0xb9, 0xa4, 0, 0x20]), None);
    }

    #[test]
    fn there_are_sixteen_general_registers() {
        assert_eq!(Gpr::new(15).map(Gpr::number), Some(15));
        assert_eq!(Gpr::new(16), None);
    }
}
