//! Trapped instructions: system registers, waits, floating point, exception return. Arm ARM, ESR_EL1.ISS.

use crate::bits;
use crate::sysreg::SysRegId;
use bitfield_struct::bitfield;

/// Which way a system register access goes. Arm ARM, ESR_EL1, Direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// MSR or SYS: from the general register.
    Write,
    /// MRS or SYSL: to the general register.
    Read,
}

/// ISS of a trapped MSR, MRS or system instruction (EC 0x18). Arm ARM, ESR_EL1, "ISS encoding for an exception
/// from MSR, MRS, or System instruction execution in AArch64 state".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SystemAccess {
    /// Op0, \[21:20\], Op2, \[19:17\], Op1, \[16:14\], CRn, \[13:10\], and CRm, \[4:1\].
    pub id: SysRegId,
    /// Rt, \[9:5\]: the general register; 31 is the zero register.
    pub rt: u8,
    /// Direction, \[0\].
    pub direction: Direction,
}

impl SystemAccess {
    /// Takes the parts out of an ISS; bits above 21 are not looked at. Arm ARM, ESR_EL1, "ISS encoding for an exception
    /// from MSR, MRS, or System instruction execution in AArch64 state".
    #[must_use]
    pub const fn decode(iss: u32) -> Self {
        let direction = if iss & 1 == 1 { Direction::Read } else { Direction::Write };
        Self { id: SysRegId::from_iss(iss), rt: bits::low8(bits::field(bits::zext32(iss), 9, 5)), direction }
    }

    /// Returns the ISS, 25 bits. Arm ARM, ESR_EL1, "ISS encoding for an exception from MSR, MRS, or System instruction
    /// execution in AArch64 state".
    #[must_use]
    pub const fn encode(self) -> u32 {
        let direction = match self.direction {
            Direction::Read => 1,
            Direction::Write => 0,
        };
        self.id.into_iss() | bits::trunc32(bits::zext8(self.rt & 31) << 5) | direction
    }
}

/// ISS of a trapped WFI, WFE, WFIT or WFET (EC 0x01).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a WF* instruction".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Wfx {
    /// TI, \[1:0\]: the instruction.
    #[bits(2)]
    pub ti: WaitKind,
    /// RV, \[2\]: RN is valid: WFIT and WFET.
    pub rv: bool,
    #[bits(2)]
    __: u8,
    /// RN, \[9:5\]: the register that holds the timeout.
    #[bits(5)]
    pub rn: u8,
    #[bits(10)]
    __: u16,
    /// COND, \[23:20\]: 1110 from AArch64.
    #[bits(4)]
    pub cond: u8,
    /// CV, \[24\]: COND is valid.
    pub cv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(Wfx::CV_OFFSET == 24);

impl Wfx {
    /// Makes the syndrome of an A64 instruction without a timeout. Arm ARM, ESR_EL1, COND.
    #[must_use]
    pub const fn a64(kind: WaitKind) -> Self {
        Self::new().with_cv(true).with_cond(0b1110).with_ti(kind)
    }
}

/// The instruction that waits. Arm ARM, ESR_EL1, TI.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum WaitKind {
    /// WFI.
    Wfi = 0,
    /// WFE.
    Wfe = 1,
    /// WFIT. FEAT_WFxT.
    Wfit = 2,
    /// WFET. FEAT_WFxT.
    Wfet = 3,
}

impl WaitKind {
    /// Makes a kind of the two bits TI; higher bits are dropped. Arm ARM, ESR_EL1, TI.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Wfi,
            1 => Self::Wfe,
            2 => Self::Wfit,
            _ => Self::Wfet,
        }
    }

    /// Returns the two bits TI. Arm ARM, ESR_EL1, TI.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Wfi => 0,
            Self::Wfe => 1,
            Self::Wfit => 2,
            Self::Wfet => 3,
        }
    }
}

/// ISS of a disabled access to floating point, SIMD, SVE or SME (EC 0x07). Arm ARM, ESR_EL1, "ISS encoding for an
/// exception from an access to SVE, Advanced SIMD or floating-point functionality".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct FpAccess {
    #[bits(20)]
    __: u32,
    /// COND, \[23:20\]: 1110 from AArch64.
    #[bits(4)]
    pub cond: u8,
    /// CV, \[24\]: COND is valid.
    pub cv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(FpAccess::CV_OFFSET == 24);

impl FpAccess {
    /// The syndrome of an A64 instruction. Arm ARM, ESR_EL1, COND.
    pub const A64: Self = Self::from_bits(0x1e0_0000);
}

/// ISS of SVC, HVC and SMC (EC 0x15, 0x16, 0x17), and of BRK (EC 0x3c).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from HVC or SVC instruction execution".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Immediate {
    /// imm16, \[15:0\]: the instruction's immediate.
    pub imm16: u16,
    __: u16,
}
const _: () = assert!(Immediate::IMM16_OFFSET == 0);

/// ISS of a trapped ERET, ERETAA or ERETAB (EC 0x1a).
/// Arm ARM, ESR_EL2, "ISS encoding for an exception from an ERET, ERETAA or ERETAB instruction".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Eret {
    /// ERETA, \[0\]: with `authenticated`: key B.
    pub key_b: bool,
    /// ERET, \[1\]: ERETAA or ERETAB.
    pub authenticated: bool,
    #[bits(30)]
    __: u32,
}
const _: () = assert!(Eret::AUTHENTICATED_OFFSET == 1);

/// ISS of a trapped floating-point exception (EC 0x2c).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a trapped floating-point exception".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct FpException {
    /// IOF, \[0\]: invalid operation.
    pub iof: bool,
    /// DZF, \[1\]: division by zero.
    pub dzf: bool,
    /// OFF, \[2\]: overflow.
    pub off: bool,
    /// UFF, \[3\]: underflow.
    pub uff: bool,
    /// IXF, \[4\]: inexact.
    pub ixf: bool,
    #[bits(2)]
    __: u8,
    /// IDF, \[7\]: input denormal.
    pub idf: bool,
    /// VECITR, \[10:8\]: RES1 from AArch64.
    #[bits(3)]
    pub vecitr: u8,
    #[bits(12)]
    __: u16,
    /// TFV, \[23\]: the other bits are valid.
    pub tfv: bool,
    __: u8,
}
const _: () = assert!(FpException::TFV_OFFSET == 23);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::names;

    #[test]
    fn a_trapped_access_names_register_direction_and_encoding() {
        // mrs x5, ID_AA64PFR0_EL1: op0 3, op1 0, CRn 0, CRm 4, op2 0.
        let read = SystemAccess { id: names::ID_AA64PFR0_EL1, rt: 5, direction: Direction::Read };
        assert_eq!(read.encode(), 0x30_00a9);
        assert_eq!(SystemAccess::decode(0x30_00a9), read);
        // msr ICC_SGI1R_EL1, x0: op0 3, op1 0, CRn 12, CRm 11, op2 5.
        let write = SystemAccess { id: names::ICC_SGI1R_EL1, rt: 0, direction: Direction::Write };
        assert_eq!(write.encode(), 0x3a_3016);
        assert_eq!(SystemAccess::decode(0x3a_3016), write);
    }

    #[test]
    fn literals_of_the_short_forms() {
        assert_eq!(Wfx::a64(WaitKind::Wfi).into_bits(), 0x1e0_0000);
        assert_eq!(Wfx::a64(WaitKind::Wfe).into_bits(), 0x1e0_0001);
        let wfit = Wfx::from_bits(0x1e0_0066);
        assert_eq!((wfit.ti(), wfit.rv(), wfit.rn()), (WaitKind::Wfit, true, 3));
        assert_eq!(FpAccess::A64, FpAccess::from_bits(0x1e0_0000));
        assert!(FpAccess::A64.cv() && FpAccess::A64.cond() == 0xe);
        assert_eq!(Immediate::from_bits(0x800).imm16(), 0x800);
        assert!(Eret::from_bits(3).authenticated() && Eret::from_bits(3).key_b());
        let inexact = FpException::from_bits(0x80_0710);
        assert!(inexact.tfv() && inexact.ixf() && !inexact.iof() && inexact.vecitr() == 7);
    }
}
