//! The encoding that names a system register or a system instruction. Arm ARM, MRS, SYS.

use crate::bits;
use core::fmt;

/// The five fields op0, op1, CRn, CRm and op2 of MSR, MRS, SYS and SYSL, packed into 16 bits.
///
/// Any value is a possible encoding; whether a register stands behind it is another question. The packing is
/// op0\[15:14\], op1\[13:11\], CRn\[10:7\], CRm\[6:3\], op2\[2:0\]. Arm ARM, MRS, MSR (register), SYS, SYSL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SysRegId(u16);

impl SysRegId {
    /// Packs the five fields; bits beyond a field's width are dropped. Arm ARM, MRS, MSR (register), SYS.
    #[must_use]
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        let high = bits::zext8(op0 & 3) << 14 | bits::zext8(op1 & 7) << 11 | bits::zext8(crn & 15) << 7;
        Self(bits::low16(high | bits::zext8(crm & 15) << 3 | bits::zext8(op2 & 7)))
    }

    /// Makes an encoding of its packed form, op0 highest. `data/sysregs.tsv`, enc16.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the packed form, op0 highest. `data/sysregs.tsv`, enc16.
    #[must_use]
    pub const fn into_bits(self) -> u16 {
        self.0
    }

    /// Returns op0: 1 for SYS and SYSL, 2 for debug and trace registers, 3 for the others. Arm ARM, MRS, op0; SYS.
    #[must_use]
    pub const fn op0(self) -> u8 {
        self.part(15, 14)
    }

    /// Returns op1, 0 to 7: 4 for most registers of EL2, 6 of EL3. Arm ARM, MRS, op1.
    #[must_use]
    pub const fn op1(self) -> u8 {
        self.part(13, 11)
    }

    /// Returns CRn, 0 to 15. Arm ARM, MRS, CRn.
    #[must_use]
    pub const fn crn(self) -> u8 {
        self.part(10, 7)
    }

    /// Returns CRm, 0 to 15. Arm ARM, MRS, CRm.
    #[must_use]
    pub const fn crm(self) -> u8 {
        self.part(6, 3)
    }

    /// Returns op2, 0 to 7. Arm ARM, MRS, op2.
    #[must_use]
    pub const fn op2(self) -> u8 {
        self.part(2, 0)
    }

    const fn part(self, hi: u32, lo: u32) -> u8 {
        bits::low8(bits::field(bits::zext16(self.0), hi, lo))
    }

    /// Takes the fields out of the ISS of exception class 0x18. Arm ARM, ESR_EL2, "ISS encoding for an
    /// exception from MSR, MRS, or System instruction execution".
    #[must_use]
    pub const fn from_iss(iss: u32) -> Self {
        let iss = bits::zext32(iss);
        Self::new(
            bits::low8(bits::field(iss, 21, 20)),
            bits::low8(bits::field(iss, 16, 14)),
            bits::low8(bits::field(iss, 13, 10)),
            bits::low8(bits::field(iss, 4, 1)),
            bits::low8(bits::field(iss, 19, 17)),
        )
    }

    /// Returns the fields in their places of that ISS, with Rt and Direction 0.
    /// Arm ARM, ESR_EL1, "ISS encoding for an exception from MSR, MRS, or System instruction execution".
    #[must_use]
    pub const fn into_iss(self) -> u32 {
        let high =
            bits::zext8(self.op0()) << 20 | bits::zext8(self.op2()) << 17 | bits::zext8(self.op1()) << 14;
        bits::trunc32(high | bits::zext8(self.crn()) << 10 | bits::zext8(self.crm()) << 1)
    }

    /// Takes the fields out of an instruction word of MSR (register), MRS, SYS or SYSL.
    /// Arm ARM, MRS, MSR (register), SYS, SYSL.
    #[must_use]
    pub const fn from_instruction(word: u32) -> Self {
        let word = bits::zext32(word);
        Self::new(
            bits::low8(bits::field(word, 20, 19)),
            bits::low8(bits::field(word, 18, 16)),
            bits::low8(bits::field(word, 15, 12)),
            bits::low8(bits::field(word, 11, 8)),
            bits::low8(bits::field(word, 7, 5)),
        )
    }
}

impl fmt::Debug for SysRegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The generic name that assemblers accept: `S3_0_C1_C0_0`.
impl fmt::Display for SysRegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}_{}_C{}_C{}_{}", self.op0(), self.op1(), self.crn(), self.crm(), self.op2())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::sysreg::{instructions, names};
    use std::string::ToString;

    #[test]
    fn encodings_are_those_of_the_manual() {
        const CASES: &[(&str, SysRegId, [u8; 5], u16)] = &[
            ("SCTLR_EL1", names::SCTLR_EL1, [3, 0, 1, 0, 0], 0xc080),
            ("MIDR_EL1", names::MIDR_EL1, [3, 0, 0, 0, 0], 0xc000),
            ("CNTVCT_EL0", names::CNTVCT_EL0, [3, 3, 14, 0, 2], 0xdf02),
            ("OSLAR_EL1", names::OSLAR_EL1, [2, 0, 1, 0, 4], 0x8084),
            ("HCR_EL2", names::HCR_EL2, [3, 4, 1, 1, 0], 0xe088),
            ("DC ZVA", instructions::DC_ZVA, [1, 3, 7, 4, 1], 0x5ba1),
            ("TLBI VMALLE1IS", instructions::TLBI_VMALLE1IS, [1, 0, 8, 3, 0], 0x4418),
        ];
        for (name, id, [op0, op1, crn, crm, op2], bits) in CASES {
            assert_eq!(id.into_bits(), *bits, "{name}");
            assert_eq!(*id, SysRegId::new(*op0, *op1, *crn, *crm, *op2), "{name}");
            assert_eq!([id.op0(), id.op1(), id.crn(), id.crm(), id.op2()], [*op0, *op1, *crn, *crm, *op2]);
        }
        assert_eq!(names::SCTLR_EL1.to_string(), "S3_0_C1_C0_0");
    }

    #[test]
    fn all_encodings_survive_the_iss() {
        for bits in 0..=u16::MAX {
            let id = SysRegId::from_bits(bits);
            assert_eq!(SysRegId::from_iss(id.into_iss()), id);
            assert_eq!(id.into_iss() & 0x3e1, 0, "Rt and Direction are not part of the name");
        }
    }

    #[test]
    fn a_trapped_read_of_id_aa64mmfr0_has_this_syndrome() {
        // mrs x0, ID_AA64MMFR0_EL1: op0 3, op1 0, CRn 0, CRm 7, op2 0, Rt 0, Direction 1.
        assert_eq!(names::ID_AA64MMFR0_EL1.into_iss() | 1, 0x30_000f);
        assert_eq!(SysRegId::from_instruction(0xd538_0700), names::ID_AA64MMFR0_EL1);
        assert_eq!(SysRegId::from_instruction(0xd50b_7420), instructions::DC_ZVA);
    }
}
