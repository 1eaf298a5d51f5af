//! Data aborts and instruction aborts. Arm ARM, ESR_EL1, the ISS encodings of aborts.

use crate::bits;
use crate::fault::FaultStatus;
use bitfield_struct::bitfield;

/// ISS of a data abort (EC 0x24, 0x25). Bits \[23:14\] are valid only with ISV: use [`DataAbort::transfer`].
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a Data Abort".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct DataAbort {
    /// DFSC, \[5:0\]: fault status; see [`DataAbort::status`].
    #[bits(6)]
    pub dfsc: u8,
    /// WnR, \[6\]: the access was a write; also for cache maintenance and AT.
    pub wnr: bool,
    /// S1PTW, \[7\]: a stage 2 fault on a stage 1 table walk.
    pub s1ptw: bool,
    /// CM, \[8\]: the access was cache maintenance or AT.
    pub cm: bool,
    /// EA, \[9\]: type of an external abort.
    pub ea: bool,
    /// FnV, \[10\]: FAR is not valid; external aborts only.
    pub fnv: bool,
    /// SET, \[12:11\]: state of a synchronous error, or kind of a 64-byte access.
    #[bits(2)]
    pub set: u8,
    /// VNCR, \[13\]: the access was one that FEAT_NV2 redirects.
    pub vncr: bool,
    /// AR, \[14\]: the instruction has acquire or release semantics.
    pub ar: bool,
    /// SF, \[15\]: the register has 64 bits.
    pub sf: bool,
    /// SRT, \[20:16\]: the register; 31 is the zero register.
    #[bits(5)]
    pub srt: u8,
    /// SSE, \[21\]: the loaded value is sign-extended.
    pub sse: bool,
    /// SAS, \[23:22\]: size of the access, log2 of the bytes.
    #[bits(2)]
    pub sas: u8,
    /// ISV, \[24\]: bits \[23:14\] are valid.
    pub isv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(DataAbort::ISV_OFFSET == 24);

impl DataAbort {
    /// Returns kind and level of the fault; `None` for a reserved code. Arm ARM, ESR_EL1, DFSC.
    #[must_use]
    pub const fn status(self) -> Option<FaultStatus> {
        FaultStatus::decode(self.dfsc())
    }

    /// Returns this syndrome with a fault status in DFSC. Arm ARM, ESR_EL1, DFSC.
    #[must_use]
    pub const fn with_status(self, status: FaultStatus) -> Self {
        self.with_dfsc(status.encode() & 0x3f)
    }

    /// Returns the access that the instruction asked for; `None` when ISV is 0. Arm ARM, ESR_EL2, ISV.
    #[must_use]
    pub const fn transfer(self) -> Option<Transfer> {
        if !self.isv() {
            return None;
        }
        Some(Transfer {
            size: AccessSize::from_bits(self.sas()),
            sign_extend: self.sse(),
            register: self.srt(),
            wide: self.sf(),
            ordered: self.ar(),
        })
    }

    /// Returns this syndrome with the access, and ISV set. Arm ARM, ESR_EL2, ISV.
    #[must_use]
    pub const fn with_transfer(self, transfer: Transfer) -> Self {
        self.with_isv(true)
            .with_sas(transfer.size.into_bits() & 3)
            .with_sse(transfer.sign_extend)
            .with_srt(transfer.register & 31)
            .with_sf(transfer.wide)
            .with_ar(transfer.ordered)
    }
}

/// The size of one access. Arm ARM, ESR_EL1, SAS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum AccessSize {
    /// 1 byte.
    Byte = 0,
    /// 2 bytes.
    Half = 1,
    /// 4 bytes.
    Word = 2,
    /// 8 bytes.
    Double = 3,
}

impl AccessSize {
    /// Makes a size of the two bits SAS; higher bits are dropped. Arm ARM, ESR_EL1, SAS.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Byte,
            1 => Self::Half,
            2 => Self::Word,
            _ => Self::Double,
        }
    }

    /// Returns the two bits SAS. Arm ARM, ESR_EL1, SAS.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Byte => 0,
            Self::Half => 1,
            Self::Word => 2,
            Self::Double => 3,
        }
    }

    /// Returns the number of bytes. Arm ARM, ESR_EL2, SAS.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// Returns the number of bits: 8 to 64. Arm ARM, ESR_EL1, SAS.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Byte => 8,
            Self::Half => 16,
            Self::Word => 32,
            Self::Double => 64,
        }
    }
}

/// A load or store of one general register, as the syndrome describes it. Arm ARM, ESR_EL2, ISV to AR.
///
/// Holding one means that the syndrome was valid (ISV); direction and address are elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Transfer {
    /// SAS: the size in memory.
    pub size: AccessSize,
    /// SSE: a loaded value is sign-extended to the width of the register.
    pub sign_extend: bool,
    /// SRT: the register; 31 is the zero register.
    pub register: u8,
    /// SF: the register has 64 bits; else a load clears the upper half.
    pub wide: bool,
    /// AR: acquire or release semantics.
    pub ordered: bool,
}

impl Transfer {
    /// Returns what a load puts in the register, given the bytes from memory as a number.
    /// Arm ARM, ESR_EL2, SSE and SF.
    #[must_use]
    pub const fn loaded(self, memory: u64) -> u64 {
        let value = memory & bits::mask(self.size.bits());
        let extended = if self.sign_extend { bits::sign_extend(value, self.size.bits()) } else { value };
        if self.wide { extended } else { extended & bits::mask(32) }
    }

    /// Returns what a store puts in memory, given the register. Arm ARM, ESR_EL2, SAS.
    #[must_use]
    pub const fn stored(self, register: u64) -> u64 {
        register & bits::mask(self.size.bits())
    }
}

/// ISS of an instruction abort (EC 0x20, 0x21).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from an Instruction Abort".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct InstructionAbort {
    /// IFSC, \[5:0\]: fault status; see [`InstructionAbort::status`].
    #[bits(6)]
    pub ifsc: u8,
    __: bool,
    /// S1PTW, \[7\]: a stage 2 fault on a stage 1 table walk.
    pub s1ptw: bool,
    __: bool,
    /// EA, \[9\]: type of an external abort.
    pub ea: bool,
    /// FnV, \[10\]: FAR is not valid; external aborts only.
    pub fnv: bool,
    /// SET, \[12:11\]: state of a synchronous error.
    #[bits(2)]
    pub set: u8,
    __: bool,
    /// PFV, \[14\]: PFAR is valid. FEAT_PFAR.
    pub pfv: bool,
    #[bits(6)]
    __: u8,
    /// TopLevel, \[21\]: the fault is due to TopLevel. FEAT_THE.
    pub top_level: bool,
    #[bits(10)]
    __: u16,
}
const _: () = assert!(InstructionAbort::TOP_LEVEL_OFFSET == 21);

impl InstructionAbort {
    /// Returns kind and level of the fault; `None` for a reserved code. Arm ARM, ESR_EL1, IFSC.
    #[must_use]
    pub const fn status(self) -> Option<FaultStatus> {
        FaultStatus::decode(self.ifsc())
    }

    /// Returns this syndrome with a fault status in IFSC. Arm ARM, ESR_EL1, IFSC.
    #[must_use]
    pub const fn with_status(self, status: FaultStatus) -> Self {
        self.with_ifsc(status.encode() & 0x3f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Level;

    #[test]
    fn transfer_is_none_without_isv() {
        let store = DataAbort::from_bits(0x0182_0047 & !(1 << 24));
        assert_eq!(store.transfer(), None);
        assert_eq!(store.status(), Some(FaultStatus::Translation(Level::L3)));
    }

    #[test]
    fn a_literal_syndrome_names_every_part_of_the_access() {
        // ldrsh w5, [x0] that hits a stage 2 translation fault at level 2.
        let iss = DataAbort::from_bits(0x0165_0006);
        let want =
            Transfer { size: AccessSize::Half, sign_extend: true, register: 5, wide: false, ordered: false };
        assert_eq!(iss.transfer(), Some(want));
        assert!(!iss.wnr() && !iss.s1ptw() && !iss.cm() && !iss.fnv());
        assert_eq!(iss.status(), Some(FaultStatus::Translation(Level::L2)));
        let made = DataAbort::new().with_status(FaultStatus::Translation(Level::L2)).with_transfer(want);
        assert_eq!(made.into_bits(), 0x0165_0006);
        // stlr x3, [x1]: ordered, 64 bits, a write.
        let iss = DataAbort::from_bits(0x01c3_c047);
        let want =
            Transfer { size: AccessSize::Double, sign_extend: false, register: 3, wide: true, ordered: true };
        assert_eq!((iss.transfer(), iss.wnr()), (Some(want), true));
    }

    #[test]
    fn loads_extend_to_the_width_of_the_register() {
        let load =
            |size, sign_extend, wide| Transfer { size, sign_extend, register: 0, wide, ordered: false };
        const CASES: &[(&str, AccessSize, bool, bool, u64, u64)] = &[
            ("ldrb", AccessSize::Byte, false, false, 0x1_ff80, 0x80),
            ("ldrsb w", AccessSize::Byte, true, false, 0x80, 0xffff_ff80),
            ("ldrsb x", AccessSize::Byte, true, true, 0x80, 0xffff_ffff_ffff_ff80),
            ("ldrsw", AccessSize::Word, true, true, 0x8000_0000, 0xffff_ffff_8000_0000),
            ("ldr w", AccessSize::Word, false, false, 0x1_8000_0000, 0x8000_0000),
            ("ldr x", AccessSize::Double, false, true, u64::MAX, u64::MAX),
        ];
        for (name, size, sign, wide, memory, want) in CASES {
            assert_eq!(load(*size, *sign, *wide).loaded(*memory), *want, "{name}");
        }
        assert_eq!(load(AccessSize::Half, false, false).stored(0x1234_5678), 0x5678);
    }

    #[test]
    fn an_instruction_abort_holds_status_and_walk() {
        let iss = InstructionAbort::from_bits(0x8e);
        assert_eq!((iss.status(), iss.s1ptw()), (Some(FaultStatus::Permission(Level::L2)), true));
        assert_eq!(InstructionAbort::new().with_status(FaultStatus::External).into_bits(), 0x10);
    }
}
