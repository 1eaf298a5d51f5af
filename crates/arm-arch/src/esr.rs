//! The exception syndrome register and its exception classes. Arm ARM, ESR_EL1.

use bitfield_struct::bitfield;

/// `ESR_ELx`, Exception Syndrome Register. Arm ARM, ESR_EL1, ESR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct EsrEl {
    /// ISS, \[24:0\]: instruction-specific syndrome; its shape depends on `ec` ([`crate::iss`]).
    #[bits(25)]
    pub iss: u32,
    /// IL, \[25\]: the trapped instruction was 32 bits long.
    pub il: bool,
    /// EC, \[31:26\]: exception class.
    #[bits(6)]
    pub ec: ExceptionClass,
    /// ISS2, \[55:32\]: more of the syndrome.
    #[bits(24)]
    pub iss2: u32,
    __: u8,
}

const _: () = assert!(EsrEl::EC_OFFSET == 26 && EsrEl::EC_BITS == 6 && EsrEl::ISS2_OFFSET == 32);

/// `ESR_EL1`, which has the layout of all. Arm ARM, ESR_EL1.
pub type EsrEl1 = EsrEl;
/// `ESR_EL2`, which has the layout of all. Arm ARM, ESR_EL2.
pub type EsrEl2 = EsrEl;

impl EsrEl {
    /// Makes a syndrome for an exception from AArch64: IL is 1, as every A64 instruction has 32 bits
    /// and the classes without an instruction force it to 1. Arm ARM, ESR_EL1.IL.
    #[must_use]
    pub const fn of(ec: ExceptionClass, iss: u32) -> Self {
        // Not by setters: they check their arguments, and a class carries no proof of its six bits.
        let ec = crate::bits::zext8(ec.into_bits() & 0x3f);
        Self::from_bits(ec << Self::EC_OFFSET | 1 << Self::IL_OFFSET | crate::bits::zext32(iss & 0x1ff_ffff))
    }
}

/// The class of an exception: why it was taken, and how to read the ISS. Arm ARM, ESR_EL1.EC.
///
/// Open: a value without a constant here is reserved or belongs to AArch32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct ExceptionClass(u8);

impl ExceptionClass {
    /// Makes a class of its six bits; higher bits are dropped. Arm ARM, ESR_EL1.EC.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x3f)
    }

    /// Returns the six bits. Arm ARM, ESR_EL1.EC.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        self.0
    }
}

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl ExceptionClass {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Returns the constant's name; `None` for a class that has none. Arm ARM, ESR_EL1.EC.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

classes! {
    /// Unknown reason: mostly an UNDEFINED instruction.
    UNKNOWN = 0x00;
    /// WFI, WFE, WFIT or WFET.
    WFX = 0x01;
    /// MCR or MRC to coprocessor 15 (AArch32).
    CP15_32 = 0x03;
    /// MCRR or MRRC to coprocessor 15 (AArch32).
    CP15_64 = 0x04;
    /// MCR or MRC to coprocessor 14 (AArch32).
    CP14_32 = 0x05;
    /// LDC or STC (AArch32).
    CP14_LS = 0x06;
    /// Access to floating point, Advanced SIMD, SVE or SME disabled by FPEN or TFP.
    FP_ACCESS = 0x07;
    /// VMRS (AArch32).
    CP10_ID = 0x08;
    /// Pointer authentication instruction or key.
    PAUTH = 0x09;
    /// LD64B, ST64B, ST64BV or ST64BV0, and others.
    LS64 = 0x0a;
    /// MRRC to coprocessor 14 (AArch32).
    CP14_64 = 0x0c;
    /// Branch target exception.
    BRANCH_TARGET = 0x0d;
    /// Illegal execution state.
    ILLEGAL_STATE = 0x0e;
    /// SVC from AArch32.
    SVC32 = 0x11;
    /// HVC from AArch32.
    HVC32 = 0x12;
    /// SMC from AArch32.
    SMC32 = 0x13;
    /// MSRR, MRRS or a 128-bit system instruction.
    SYSTEM_ACCESS_128 = 0x14;
    /// SVC from AArch64.
    SVC64 = 0x15;
    /// HVC from AArch64.
    HVC64 = 0x16;
    /// SMC from AArch64.
    SMC64 = 0x17;
    /// MSR, MRS or a system instruction.
    SYSTEM_ACCESS = 0x18;
    /// SVE access disabled by ZEN or TZ.
    SVE_ACCESS = 0x19;
    /// ERET, ERETAA or ERETAB.
    ERET = 0x1a;
    /// TSTART.
    TSTART = 0x1b;
    /// Pointer authentication failure.
    PAC_FAIL = 0x1c;
    /// SME access disabled or in the wrong mode.
    SME_ACCESS = 0x1d;
    /// Granule protection check.
    GPC = 0x1e;
    /// Instruction abort from a lower exception level.
    INSTRUCTION_ABORT_LOWER = 0x20;
    /// Instruction abort from the same exception level.
    INSTRUCTION_ABORT_SAME = 0x21;
    /// PC alignment.
    PC_ALIGNMENT = 0x22;
    /// Data abort from a lower exception level.
    DATA_ABORT_LOWER = 0x24;
    /// Data abort from the same exception level.
    DATA_ABORT_SAME = 0x25;
    /// SP alignment.
    SP_ALIGNMENT = 0x26;
    /// Memory copy and memory set.
    MOPS = 0x27;
    /// Trapped floating-point exception from AArch32.
    FP_EXCEPTION32 = 0x28;
    /// Trapped floating-point exception from AArch64.
    FP_EXCEPTION64 = 0x2c;
    /// Guarded control stack.
    GCS = 0x2d;
    /// SError.
    SERROR = 0x2f;
    /// Breakpoint from a lower exception level.
    BREAKPOINT_LOWER = 0x30;
    /// Breakpoint from the same exception level.
    BREAKPOINT_SAME = 0x31;
    /// Software step from a lower exception level.
    STEP_LOWER = 0x32;
    /// Software step from the same exception level.
    STEP_SAME = 0x33;
    /// Watchpoint from a lower exception level.
    WATCHPOINT_LOWER = 0x34;
    /// Watchpoint from the same exception level.
    WATCHPOINT_SAME = 0x35;
    /// BKPT from AArch32.
    BKPT32 = 0x38;
    /// Vector catch (AArch32).
    VECTOR_CATCH = 0x3a;
    /// BRK.
    BRK64 = 0x3c;
    /// PMU exception.
    PMU = 0x3d;
}

impl core::fmt::Debug for ExceptionClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ExceptionClass({:#04x})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_syndromes_decode_as_the_manual_numbers_them() {
        const CASES: &[(&str, u64, ExceptionClass, bool, u32)] = &[
            ("svc #0 from AArch64", 0x5600_0000, ExceptionClass::SVC64, true, 0),
            (
                "translation fault, level 3, write, EL1",
                0x9600_0047,
                ExceptionClass::DATA_ABORT_SAME,
                true,
                0x47,
            ),
            ("brk #0x800", 0xf200_0800, ExceptionClass::BRK64, true, 0x800),
            ("undefined", 0x0200_0000, ExceptionClass::UNKNOWN, true, 0),
        ];
        for (name, value, ec, il, iss) in CASES {
            let esr = EsrEl::from_bits(*value);
            assert_eq!((esr.ec(), esr.il(), esr.iss()), (*ec, *il, *iss), "{name}");
            assert_eq!(EsrEl::of(*ec, *iss).into_bits(), *value, "{name}");
        }
    }

    #[test]
    fn iss2_is_the_upper_half() {
        let esr = EsrEl::from_bits(0x0012_3456_9200_000f);
        assert_eq!((esr.ec(), esr.il(), esr.iss()), (ExceptionClass::DATA_ABORT_LOWER, true, 0xf));
        assert_eq!(esr.iss2(), 0x12_3456);
    }

    #[test]
    fn every_class_survives_the_register() {
        for ec in 0..64 {
            let esr = EsrEl::from_bits(u64::from(ec) << 26);
            assert_eq!(esr.ec().into_bits(), ec);
        }
    }
}
