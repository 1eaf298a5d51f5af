//! The classes that an Armv8.0-A guest in AArch64 does not raise, and those whose ISS is 0. Arm ARM, ESR_EL1.ISS.

use super::{Direction, Immediate};
use crate::bits;
use crate::esr::{EsrEl, ExceptionClass};
use crate::sysreg::SysRegId;
use bitfield_struct::bitfield;

/// The syndromes of AArch32, of extensions, and of classes without an ISS. Arm ARM, ESR_EL1.EC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Other {
    /// EC 0x00: an UNDEFINED instruction, or no known reason.
    Unknown,
    /// EC 0x03, 0x05 and 0x08: MCR, MRC or VMRS to coprocessor 15, 14 or 10.
    Coprocessor(Coprocessor, CoprocessorAccess),
    /// EC 0x04 and 0x0c: MCRR or MRRC; coprocessor 10 has none and stands for 14.
    CoprocessorPair(Coprocessor, CoprocessorPair),
    /// EC 0x06: LDC or STC.
    CoprocessorMemory(CoprocessorMemory),
    /// EC 0x09.
    PAuth,
    /// EC 0x0a.
    Ls64(Ls64),
    /// EC 0x0d.
    BranchTarget(BranchTarget),
    /// EC 0x0e.
    IllegalState,
    /// EC 0x11.
    Svc32(Immediate),
    /// EC 0x12.
    Hvc32(Immediate),
    /// EC 0x13.
    Smc32(Smc32),
    /// EC 0x14.
    SystemAccess128(SystemAccess128),
    /// EC 0x19.
    SveAccess,
    /// EC 0x1b.
    Tstart(Tstart),
    /// EC 0x1c.
    PacFail(PacFail),
    /// EC 0x1d.
    SmeAccess(SmeAccess),
    /// EC 0x1e.
    Gpc(Gpc),
    /// EC 0x22.
    PcAlignment,
    /// EC 0x26.
    SpAlignment,
    /// EC 0x27.
    Mops(Mops),
    /// EC 0x28.
    FpException32(super::FpException),
    /// EC 0x2d.
    Gcs(Gcs),
    /// EC 0x38.
    Bkpt32(Immediate),
    /// EC 0x3a; the ISS is a fault status, 100010.
    VectorCatch(u32),
    /// EC 0x3d.
    Pmu(Pmu),
    /// A class that is reserved, or one above with reserved bits that its form has no place for.
    Reserved(ExceptionClass, u32),
}

/// A coprocessor whose accesses trap. Arm ARM, ESR_EL1.EC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Coprocessor {
    /// VMRS.
    Cp10,
    /// Debug and trace.
    Cp14,
    /// System control.
    Cp15,
}

impl Other {
    /// Decodes class and ISS; for a class of [`super::Syndrome`], a reserved class and reserved bits that have no place
    /// in a form this is [`Other::Reserved`]. Arm ARM, ESR_EL1.EC.
    #[must_use]
    pub const fn decode(ec: ExceptionClass, iss: u32) -> Self {
        match (ec, iss) {
            (ExceptionClass::UNKNOWN, 0) => Self::Unknown,
            (ExceptionClass::CP15_32, _) => {
                Self::Coprocessor(Coprocessor::Cp15, CoprocessorAccess::from_bits(iss))
            }
            (ExceptionClass::CP14_32, _) => {
                Self::Coprocessor(Coprocessor::Cp14, CoprocessorAccess::from_bits(iss))
            }
            (ExceptionClass::CP10_ID, _) => {
                Self::Coprocessor(Coprocessor::Cp10, CoprocessorAccess::from_bits(iss))
            }
            (ExceptionClass::CP15_64, _) => {
                Self::CoprocessorPair(Coprocessor::Cp15, CoprocessorPair::from_bits(iss))
            }
            (ExceptionClass::CP14_64, _) => {
                Self::CoprocessorPair(Coprocessor::Cp14, CoprocessorPair::from_bits(iss))
            }
            (ExceptionClass::CP14_LS, _) => Self::CoprocessorMemory(CoprocessorMemory::from_bits(iss)),
            (ExceptionClass::PAUTH, 0) => Self::PAuth,
            (ExceptionClass::LS64, _) => match Ls64::decode(iss) {
                Some(kind) => Self::Ls64(kind),
                None => Self::Reserved(ec, iss),
            },
            (ExceptionClass::BRANCH_TARGET, _) => Self::BranchTarget(BranchTarget::from_bits(iss)),
            (ExceptionClass::ILLEGAL_STATE, 0) => Self::IllegalState,
            (ExceptionClass::SVC32, _) => Self::Svc32(Immediate::from_bits(iss)),
            (ExceptionClass::HVC32, _) => Self::Hvc32(Immediate::from_bits(iss)),
            (ExceptionClass::SMC32, _) => Self::Smc32(Smc32::from_bits(iss)),
            (ExceptionClass::SYSTEM_ACCESS_128, _) => Self::SystemAccess128(SystemAccess128::from_bits(iss)),
            (ExceptionClass::SVE_ACCESS, 0) => Self::SveAccess,
            (ExceptionClass::TSTART, _) => Self::Tstart(Tstart::from_bits(iss)),
            (ExceptionClass::PAC_FAIL, _) => Self::PacFail(PacFail::from_bits(iss)),
            (ExceptionClass::SME_ACCESS, _) => Self::SmeAccess(SmeAccess::from_bits(iss)),
            (ExceptionClass::GPC, _) => Self::Gpc(Gpc::from_bits(iss)),
            (ExceptionClass::PC_ALIGNMENT, 0) => Self::PcAlignment,
            (ExceptionClass::SP_ALIGNMENT, 0) => Self::SpAlignment,
            (ExceptionClass::MOPS, _) => Self::Mops(Mops::from_bits(iss)),
            (ExceptionClass::FP_EXCEPTION32, _) => Self::FpException32(super::FpException::from_bits(iss)),
            (ExceptionClass::GCS, _) => Self::Gcs(Gcs::from_bits(iss)),
            (ExceptionClass::BKPT32, _) => Self::Bkpt32(Immediate::from_bits(iss)),
            (ExceptionClass::VECTOR_CATCH, _) => Self::VectorCatch(iss),
            (ExceptionClass::PMU, _) => Self::Pmu(Pmu::from_bits(iss)),
            (_, _) => Self::Reserved(ec, iss),
        }
    }

    /// Returns the register's value, with IL = 1 and ISS2 = 0. Exceptions from T32 with 16 bits have IL = 0.
    /// Arm ARM, ESR_EL1.EC.
    #[must_use]
    pub const fn encode(self) -> EsrEl {
        let (ec, iss) = match self {
            Self::Unknown => (ExceptionClass::UNKNOWN, 0),
            Self::Coprocessor(Coprocessor::Cp15, iss) => (ExceptionClass::CP15_32, iss.into_bits()),
            Self::Coprocessor(Coprocessor::Cp14, iss) => (ExceptionClass::CP14_32, iss.into_bits()),
            Self::Coprocessor(Coprocessor::Cp10, iss) => (ExceptionClass::CP10_ID, iss.into_bits()),
            Self::CoprocessorPair(Coprocessor::Cp15, iss) => (ExceptionClass::CP15_64, iss.into_bits()),
            Self::CoprocessorPair(Coprocessor::Cp14 | Coprocessor::Cp10, iss) => {
                (ExceptionClass::CP14_64, iss.into_bits())
            }
            Self::CoprocessorMemory(iss) => (ExceptionClass::CP14_LS, iss.into_bits()),
            Self::PAuth => (ExceptionClass::PAUTH, 0),
            Self::Ls64(kind) => (ExceptionClass::LS64, kind.encode()),
            Self::BranchTarget(iss) => (ExceptionClass::BRANCH_TARGET, iss.into_bits()),
            Self::IllegalState => (ExceptionClass::ILLEGAL_STATE, 0),
            Self::Svc32(iss) => (ExceptionClass::SVC32, iss.into_bits()),
            Self::Hvc32(iss) => (ExceptionClass::HVC32, iss.into_bits()),
            Self::Smc32(iss) => (ExceptionClass::SMC32, iss.into_bits()),
            Self::SystemAccess128(iss) => (ExceptionClass::SYSTEM_ACCESS_128, iss.into_bits()),
            Self::SveAccess => (ExceptionClass::SVE_ACCESS, 0),
            Self::Tstart(iss) => (ExceptionClass::TSTART, iss.into_bits()),
            Self::PacFail(iss) => (ExceptionClass::PAC_FAIL, iss.into_bits()),
            Self::SmeAccess(iss) => (ExceptionClass::SME_ACCESS, iss.into_bits()),
            Self::Gpc(iss) => (ExceptionClass::GPC, iss.into_bits()),
            Self::PcAlignment => (ExceptionClass::PC_ALIGNMENT, 0),
            Self::SpAlignment => (ExceptionClass::SP_ALIGNMENT, 0),
            Self::Mops(iss) => (ExceptionClass::MOPS, iss.into_bits()),
            Self::FpException32(iss) => (ExceptionClass::FP_EXCEPTION32, iss.into_bits()),
            Self::Gcs(iss) => (ExceptionClass::GCS, iss.into_bits()),
            Self::Bkpt32(iss) => (ExceptionClass::BKPT32, iss.into_bits()),
            Self::VectorCatch(iss) => (ExceptionClass::VECTOR_CATCH, iss),
            Self::Pmu(iss) => (ExceptionClass::PMU, iss.into_bits()),
            Self::Reserved(ec, iss) => (ec, iss),
        };
        EsrEl::of(ec, iss)
    }
}

/// ISS of a trapped MCR, MRC or VMRS (EC 0x03, 0x05, 0x08).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from an MCR or MRC access".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct CoprocessorAccess {
    /// Direction, \[0\]: to the general register.
    pub read: bool,
    /// CRm, \[4:1\].
    #[bits(4)]
    pub crm: u8,
    /// Rt, \[9:5\]: the general register, as AArch64 numbers it.
    #[bits(5)]
    pub rt: u8,
    /// CRn, \[13:10\].
    #[bits(4)]
    pub crn: u8,
    /// Opc1, \[16:14\].
    #[bits(3)]
    pub opc1: u8,
    /// Opc2, \[19:17\].
    #[bits(3)]
    pub opc2: u8,
    /// COND, \[23:20\].
    #[bits(4)]
    pub cond: u8,
    /// CV, \[24\]: COND is valid.
    pub cv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(CoprocessorAccess::CV_OFFSET == 24);

/// ISS of a trapped MCRR or MRRC (EC 0x04, 0x0c).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from an MCRR or MRRC access".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct CoprocessorPair {
    /// Direction, \[0\]: to the general registers.
    pub read: bool,
    /// CRm, \[4:1\].
    #[bits(4)]
    pub crm: u8,
    /// Rt, \[9:5\].
    #[bits(5)]
    pub rt: u8,
    /// Rt2, \[14:10\].
    #[bits(5)]
    pub rt2: u8,
    __: bool,
    /// Opc1, \[19:16\].
    #[bits(4)]
    pub opc1: u8,
    /// COND, \[23:20\].
    #[bits(4)]
    pub cond: u8,
    /// CV, \[24\]: COND is valid.
    pub cv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(CoprocessorPair::CV_OFFSET == 24);

/// ISS of a trapped LDC or STC (EC 0x06).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from an LDC or STC instruction".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct CoprocessorMemory {
    /// Direction, \[0\]: LDC.
    pub read: bool,
    /// AM, \[3:1\]: form of the address.
    #[bits(3)]
    pub am: u8,
    /// Offset, \[4\]: the offset is added.
    pub add: bool,
    /// Rn, \[9:5\]: the base register.
    #[bits(5)]
    pub rn: u8,
    #[bits(2)]
    __: u8,
    /// imm8, \[19:12\]: the immediate.
    pub imm8: u8,
    /// COND, \[23:20\].
    #[bits(4)]
    pub cond: u8,
    /// CV, \[24\]: COND is valid.
    pub cv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(CoprocessorMemory::CV_OFFSET == 24);

/// The instruction of EC 0x0a, whose ISS is a number.
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from an LD64B or ST64B* instruction".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ls64 {
    /// ST64BV. FEAT_LS64_V.
    St64bv,
    /// ST64BV0. FEAT_LS64_ACCDATA.
    St64bv0,
    /// LD64B or ST64B. FEAT_LS64.
    Plain,
}

impl Ls64 {
    const fn decode(iss: u32) -> Option<Self> {
        Some(match iss {
            0 => Self::St64bv,
            1 => Self::St64bv0,
            2 => Self::Plain,
            _ => return None,
        })
    }

    const fn encode(self) -> u32 {
        match self {
            Self::St64bv => 0,
            Self::St64bv0 => 1,
            Self::Plain => 2,
        }
    }
}

/// ISS of a branch target exception (EC 0x0d).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a Branch Target Identification instruction".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct BranchTarget {
    /// BTYPE, \[1:0\]: PSTATE.BTYPE.
    #[bits(2)]
    pub btype: u8,
    #[bits(30)]
    __: u32,
}
const _: () = assert!(BranchTarget::BTYPE_OFFSET == 0);

/// ISS of SMC from AArch32 (EC 0x13).
/// Arm ARM, ESR_EL2, "ISS encoding for an exception from SMC instruction execution in AArch32 state".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Smc32 {
    #[bits(19)]
    __: u32,
    /// CCKNOWNPASS, \[19\]: 0 for an instruction that is known to have passed its condition.
    pub cc_known_pass: bool,
    /// COND, \[23:20\].
    #[bits(4)]
    pub cond: u8,
    /// CV, \[24\]: COND is valid.
    pub cv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(Smc32::CV_OFFSET == 24);

/// ISS of a trapped MSRR, MRRS or SYSP (EC 0x14).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from MSRR, MRRS, or 128-bit System instruction execution".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct SystemAccess128 {
    /// Direction, \[0\]: MRRS.
    pub read: bool,
    /// CRm, \[4:1\].
    #[bits(4)]
    pub crm: u8,
    __: bool,
    /// Rt, \[9:6\]: half the number of the first general register.
    #[bits(4)]
    pub rt: u8,
    /// CRn, \[13:10\].
    #[bits(4)]
    pub crn: u8,
    /// Op1, \[16:14\].
    #[bits(3)]
    pub op1: u8,
    /// Op2, \[19:17\].
    #[bits(3)]
    pub op2: u8,
    /// Op0, \[21:20\].
    #[bits(2)]
    pub op0: u8,
    #[bits(10)]
    __: u16,
}
const _: () = assert!(SystemAccess128::OP0_OFFSET == 20);

impl SystemAccess128 {
    /// Makes the ISS of an access whose first general register is `first`, an even one; an odd number is rounded down.
    /// Arm ARM, MRRS.
    #[must_use]
    pub const fn of(id: SysRegId, first: u8, direction: Direction) -> Self {
        Self::from_bits(id.into_iss())
            .with_rt((first >> 1) & 0xf)
            .with_read(matches!(direction, Direction::Read))
    }

    /// Returns which way it goes. Arm ARM, ESR_EL1, Direction.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.read() { Direction::Read } else { Direction::Write }
    }

    /// Returns the register's encoding: Op0 to CRm of the ISS.
    /// Arm ARM, ESR_EL1, "ISS encoding for an exception from MSRR, MRRS, or 128-bit System instruction execution".
    #[must_use]
    pub const fn id(self) -> SysRegId {
        SysRegId::from_iss(self.into_bits())
    }

    /// Returns the number of the first general register of the pair. Arm ARM, ESR_EL1, Rt of MRRS.
    #[must_use]
    pub const fn first_register(self) -> u8 {
        bits::low8(bits::zext8(self.rt()) << 1)
    }
}

/// ISS of a trapped TSTART (EC 0x1b). Arm ARM, ESR_EL2, "ISS encoding for an exception from a TSTART instruction".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Tstart {
    #[bits(5)]
    __: u8,
    /// Rd, \[9:5\]: the destination.
    #[bits(5)]
    pub rd: u8,
    #[bits(22)]
    __: u32,
}
const _: () = assert!(Tstart::RD_OFFSET == 5);

/// ISS of a pointer authentication failure (EC 0x1c). FEAT_FPAC.
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a Pointer Authentication instruction authentication failure".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct PacFail {
    /// AorB, \[0\]: key B.
    pub key_b: bool,
    /// IorD, \[1\]: a data key.
    pub data: bool,
    #[bits(30)]
    __: u32,
}
const _: () = assert!(PacFail::DATA_OFFSET == 1);

/// ISS of a disabled access to SME (EC 0x1d). Arm ARM, ESR_EL1, "ISS encoding for an exception due to SME functionality".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct SmeAccess {
    /// SMTC, \[2:0\]: 0 disabled, 1 not legal in streaming mode, 2 only legal there, 3 ZA is off, 4 ZT0 is disabled.
    #[bits(3)]
    pub smtc: u8,
    #[bits(29)]
    __: u32,
}
const _: () = assert!(SmeAccess::SMTC_OFFSET == 0);

/// ISS of a granule protection check (EC 0x1e). FEAT_RME.
/// Arm ARM, ESR_EL3, "ISS encoding for an exception from a Granule Protection Check".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Gpc {
    /// xFSC, \[5:0\]: fault status.
    #[bits(6)]
    pub xfsc: u8,
    /// WnR, \[6\]: the access was a write.
    pub wnr: bool,
    /// S1PTW, \[7\]: on a walk of stage 1.
    pub s1ptw: bool,
    /// CM, \[8\]: the access was cache maintenance or AT.
    pub cm: bool,
    #[bits(4)]
    __: u8,
    /// VNCR, \[13\]: the access was one that FEAT_NV2 redirects.
    pub vncr: bool,
    /// GPCSC, \[19:14\]: reason and level; see [`Gpc::reason`].
    #[bits(6)]
    pub gpcsc: u8,
    /// InD, \[20\]: an instruction fetch.
    pub ind: bool,
    /// S2PTW, \[21\]: on a walk of stage 2.
    pub s2ptw: bool,
    #[bits(10)]
    __: u16,
}
const _: () = assert!(Gpc::S2PTW_OFFSET == 21);

/// ISS of a memory copy or set exception (EC 0x27). FEAT_MOPS.
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from the Memory Copy and Memory Set instructions".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Mops {
    /// sizereg, \[4:0\]: the register that holds the size.
    #[bits(5)]
    pub size_register: u8,
    /// srcreg, \[9:5\]: the register that holds the source.
    #[bits(5)]
    pub source_register: u8,
    /// destreg, \[14:10\]: the register that holds the destination.
    #[bits(5)]
    pub destination_register: u8,
    __: bool,
    /// OptionA, \[16\]: option A is implemented.
    pub option_a: bool,
    /// WrongOption, \[17\]: the registers are in the form of the other option.
    pub wrong_option: bool,
    /// FromEpilogue, \[18\]: the epilogue instruction.
    pub from_epilogue: bool,
    /// Options, \[22:19\]: bits 15:12 of the instruction.
    #[bits(4)]
    pub options: u8,
    /// isSETG, \[23\]: SETG*.
    pub is_setg: bool,
    /// MemInst, \[24\]: SET*, else CPY*.
    pub is_set: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(Mops::IS_SET_OFFSET == 24);

/// ISS of a guarded control stack exception (EC 0x2d). FEAT_GCS. Arm ARM, ESR_EL1, "ISS encoding for a GCS exception".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Gcs {
    /// IT, \[4:0\]: the kind of instruction.
    #[bits(5)]
    pub it: u8,
    /// Rn, \[9:5\]: the register with the data, where there is one.
    #[bits(5)]
    pub rn: u8,
    /// Raddr, \[14:10\]: the register with the address, where there is one.
    #[bits(5)]
    pub raddr: u8,
    #[bits(5)]
    __: u8,
    /// ExType, \[23:20\]: 0 data check, 1 EXLOCK, 2 trap of GCSSTR or GCSSTTR.
    #[bits(4)]
    pub ex_type: u8,
    __: u8,
}
const _: () = assert!(Gcs::EX_TYPE_OFFSET == 20);

/// ISS of a profiling exception (EC 0x3d). FEAT_EBEP, FEAT_SPE_EXC, FEAT_TRBE_EXC. Arm ARM, ESR_EL1, "ISS encoding for a
/// Profiling exception"; TakeProfilingException.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Pmu {
    /// SYNC, \[0\]: the exception is synchronous.
    pub sync: bool,
    /// FSC, \[5:1\]: which unit it is of.
    #[bits(5)]
    pub fsc: ProfilingUnit,
    #[bits(26)]
    __: u32,
}
const _: () = assert!(Pmu::SYNC_OFFSET == 0 && Pmu::FSC_OFFSET == 1);

/// The unit that a profiling exception is of: FSC of the ISS. Arm ARM, CheckForPMUException, CheckForSPEException,
/// CheckForTRBEException.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProfilingUnit(u8);

impl ProfilingUnit {
    /// 00000: performance monitors. FEAT_EBEP. Arm ARM, CheckForPMUException.
    pub const PMU: Self = Self(0);
    /// 00001: statistical profiling. FEAT_SPE_EXC. Arm ARM, CheckForSPEException.
    pub const SPE: Self = Self(1);
    /// 00010: the trace buffer. FEAT_TRBE_EXC. Arm ARM, CheckForTRBEException.
    pub const TRBE: Self = Self(2);

    /// Makes a unit of the five bits FSC; higher ones are dropped. Arm ARM, CheckForPMUException.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x1f)
    }

    /// Returns the five bits FSC. Arm ARM, CheckForPMUException.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::names;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // mrc p15, 0, r3, c1, c0, 0 with condition AL: CV, COND 0xe, CRn 1, Rt 3, read.
        let mrc = CoprocessorAccess::from_bits(0x1e0_0461);
        assert_eq!((mrc.cv(), mrc.cond(), mrc.opc1(), mrc.opc2()), (true, 0xe, 0, 0));
        assert_eq!((mrc.crn(), mrc.crm(), mrc.rt(), mrc.read()), (1, 0, 3, true));
        // mcrr p15, 1, r2, r5, c2.
        let mcrr = CoprocessorPair::from_bits(0x1e1_1444);
        assert_eq!((mcrr.opc1(), mcrr.rt2(), mcrr.rt(), mcrr.crm(), mcrr.read()), (1, 5, 2, 2, false));
        let ldc = CoprocessorMemory::from_bits(0x1e0_40b5);
        assert_eq!((ldc.imm8(), ldc.rn(), ldc.add(), ldc.am(), ldc.read()), (4, 5, true, 2, true));
        // mrrs x4, x5, TTBR0_EL1: Op0 3, CRn 2, Rt 4 / 2.
        let mrrs = SystemAccess128::from_bits(0x30_0881);
        assert_eq!((mrrs.id(), mrrs.first_register(), mrrs.read()), (names::TTBR0_EL1, 4, true));
        let pac = PacFail::from_bits(2);
        assert!(pac.data() && !pac.key_b());
        let gpc = Gpc::from_bits(0x0023_4068);
        assert_eq!(
            (gpc.xfsc(), gpc.wnr(), gpc.gpcsc(), gpc.s2ptw(), gpc.ind()),
            (0x28, true, 0xd, true, false)
        );
        assert_eq!(gpc.reason(), Some("granule protection fault, level 1"));
        let mops = Mops::from_bits(0x1_0c43);
        assert_eq!((mops.destination_register(), mops.source_register(), mops.size_register()), (3, 2, 3));
        assert!(mops.option_a() && !mops.wrong_option() && !mops.is_set());
        let gcs = Gcs::from_bits(0x0010_0000);
        assert_eq!((gcs.ex_type(), gcs.it()), (1, 0));
        assert_eq!((SmeAccess::from_bits(4).smtc(), Tstart::from_bits(0x3e0).rd()), (4, 31));
        assert!(Smc32::from_bits(1 << 19).cc_known_pass() && Pmu::from_bits(1).sync());
        assert_eq!(
            [1, 2, 4].map(|iss| Pmu::from_bits(iss).fsc()),
            [ProfilingUnit::PMU, ProfilingUnit::SPE, ProfilingUnit::TRBE]
        );
        assert!(!Pmu::from_bits(0x3e).sync() && Pmu::from_bits(0x3e).fsc().into_bits() == 0x1f);
        // tlbip vae1, x8, x9: Op0 1, CRn 8, CRm 7, Op2 1.
        let sysp = SystemAccess128::of(crate::sysreg::instructions::TLBI_VAE1, 8, Direction::Write);
        assert_eq!((sysp.into_bits(), sysp.direction()), (0x12_210e, Direction::Write));
        assert_eq!(SystemAccess128::of(names::TTBR0_EL1, 4, Direction::Read), mrrs);
        assert_eq!(BranchTarget::from_bits(3).btype(), 3);
    }

    #[test]
    fn each_class_has_its_variant() {
        let cases: &[(u64, Other)] = &[
            (0x0200_0000, Other::Unknown),
            (0x2600_0000, Other::PAuth),
            (0x2a00_0002, Other::Ls64(Ls64::Plain)),
            (0x2a00_0003, Other::Reserved(ExceptionClass::LS64, 3)),
            (0x3a00_0000, Other::IllegalState),
            (0x6600_0000, Other::SveAccess),
            (0x6600_0001, Other::Reserved(ExceptionClass::SVE_ACCESS, 1)),
            (0x8a00_0000, Other::PcAlignment),
            (0x9a00_0000, Other::SpAlignment),
            (0xea00_0022, Other::VectorCatch(0x22)),
            (0xfe00_0000, Other::Reserved(ExceptionClass::from_bits(0x3f), 0)),
        ];
        for (value, want) in cases {
            let esr = EsrEl::from_bits(*value);
            assert_eq!(Other::decode(esr.ec(), esr.iss()), *want, "{value:#x}");
            assert_eq!(want.encode(), esr, "{value:#x}");
        }
    }
}
