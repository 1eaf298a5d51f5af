//! A case: the registers of a translation regime, descriptors, and addresses to be translated.

use arm_arch::sysreg::{HcrEl2, ScrEl3};
use mmu_xlate::vmsa::{AtOperation, Registers, Stage1Registers};
use std::collections::BTreeMap;

/// Words of registers in a case.
pub const REGISTER_WORDS: usize = 33;

/// Positions in [`Case::registers`], as `oracles/at/README.md` has them.
#[expect(missing_docs, reason = "the manual's names")]
pub mod register {
    pub const SCR_EL3: usize = 0;
    pub const HCR_EL2: usize = 1;
    pub const HCRX_EL2: usize = 2;
    pub const SCTLR_EL1: usize = 3;
    pub const TCR_EL1: usize = 4;
    pub const TCR2_EL1: usize = 5;
    pub const TTBR0_EL1: usize = 6;
    pub const TTBR1_EL1: usize = 7;
    pub const MAIR_EL1: usize = 8;
    pub const MAIR2_EL1: usize = 9;
    pub const PIR_EL1: usize = 10;
    pub const PIRE0_EL1: usize = 11;
    pub const SCTLR_EL2: usize = 12;
    pub const TCR_EL2: usize = 13;
    pub const TCR2_EL2: usize = 14;
    pub const TTBR0_EL2: usize = 15;
    pub const TTBR1_EL2: usize = 16;
    pub const MAIR_EL2: usize = 17;
    pub const MAIR2_EL2: usize = 18;
    pub const PIR_EL2: usize = 19;
    pub const PIRE0_EL2: usize = 20;
    pub const VTCR_EL2: usize = 21;
    pub const VTTBR_EL2: usize = 22;
    pub const VSTCR_EL2: usize = 23;
    pub const VSTTBR_EL2: usize = 24;
    pub const S2PIR_EL2: usize = 25;
    pub const PAN: usize = 26;
    pub const SCTLR_EL3: usize = 27;
    pub const TCR_EL3: usize = 28;
    pub const TTBR0_EL3: usize = 29;
    pub const MAIR_EL3: usize = 30;
    pub const MAIR2_EL3: usize = 31;
    pub const PIR_EL3: usize = 32;
}

/// Their names, in order.
pub const REGISTER_NAMES: [&str; REGISTER_WORDS] = [
    "SCR_EL3",
    "HCR_EL2",
    "HCRX_EL2",
    "SCTLR_EL1",
    "TCR_EL1",
    "TCR2_EL1",
    "TTBR0_EL1",
    "TTBR1_EL1",
    "MAIR_EL1",
    "MAIR2_EL1",
    "PIR_EL1",
    "PIRE0_EL1",
    "SCTLR_EL2",
    "TCR_EL2",
    "TCR2_EL2",
    "TTBR0_EL2",
    "TTBR1_EL2",
    "MAIR_EL2",
    "MAIR2_EL2",
    "PIR_EL2",
    "PIRE0_EL2",
    "VTCR_EL2",
    "VTTBR_EL2",
    "VSTCR_EL2",
    "VSTTBR_EL2",
    "S2PIR_EL2",
    "PAN",
    "SCTLR_EL3",
    "TCR_EL3",
    "TTBR0_EL3",
    "MAIR_EL3",
    "MAIR2_EL3",
    "PIR_EL3",
];

/// Where descriptors of stage 1 lie, in physical memory.
pub const STAGE_1_TABLES: u64 = 0xc000_0000;
/// Where descriptors of stage 2 lie.
pub const STAGE_2_TABLES: u64 = 0xe000_0000;
/// Distance of those for Non-secure addresses, in Secure state.
pub const NON_SECURE_TABLES: u64 = 0x1000_0000;
/// Where the program's vectors and all of it that runs with the MMU on lie, in 4 KiB.
pub const PROGRAM: u64 = 0x4020_0000;
/// The end of memory: nothing lies from here on.
pub const MEMORY_END: u64 = 0x1_0000_0000;

/// One address translation instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Position in [`AtOperation::ALL`].
    pub operation: u8,
    /// Its operand.
    pub va: u64,
}

impl Query {
    /// Whether it asks for the regime of EL3.
    #[must_use]
    pub const fn is_of_el3(self) -> bool {
        matches!(self.operation, 10..=12)
    }

    /// Returns the operation and its name.
    #[must_use]
    pub fn operation(self) -> (&'static str, AtOperation) {
        AtOperation::ALL[usize::from(self.operation)]
    }
}

/// Registers, descriptors, queries: all that the answers depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// By [`register`].
    pub registers: [u64; REGISTER_WORDS],
    /// Doublewords as a little-endian load sees them; memory is 0 elsewhere.
    pub memory: BTreeMap<u64, u64>,
    /// What is asked.
    pub queries: Vec<Query>,
}

impl Case {
    /// Returns the registers as the walker takes them.
    #[must_use]
    pub fn typed(&self) -> Registers {
        let r = |name: usize| self.registers[name];
        let el1 = Stage1Registers {
            sctlr: r(register::SCTLR_EL1),
            tcr: r(register::TCR_EL1),
            tcr2: r(register::TCR2_EL1),
            ttbr0: r(register::TTBR0_EL1).into(),
            ttbr1: r(register::TTBR1_EL1).into(),
            mair: r(register::MAIR_EL1),
            mair2: r(register::MAIR2_EL1),
            pir: r(register::PIR_EL1),
            pire0: r(register::PIRE0_EL1),
            por: 0,
        };
        let el2 = Stage1Registers {
            sctlr: r(register::SCTLR_EL2),
            tcr: r(register::TCR_EL2),
            tcr2: r(register::TCR2_EL2),
            ttbr0: r(register::TTBR0_EL2).into(),
            ttbr1: r(register::TTBR1_EL2).into(),
            mair: r(register::MAIR_EL2),
            mair2: r(register::MAIR2_EL2),
            pir: r(register::PIR_EL2),
            pire0: r(register::PIRE0_EL2),
            por: 0,
        };
        let el3 = Stage1Registers {
            sctlr: r(register::SCTLR_EL3),
            tcr: r(register::TCR_EL3),
            ttbr0: r(register::TTBR0_EL3).into(),
            mair: r(register::MAIR_EL3),
            mair2: r(register::MAIR2_EL3),
            pir: r(register::PIR_EL3),
            ..Stage1Registers::default()
        };
        Registers {
            el1,
            el2,
            el3,
            hcr_el2: r(register::HCR_EL2),
            hcrx_el2: r(register::HCRX_EL2),
            scr_el3: r(register::SCR_EL3),
            vtcr_el2: r(register::VTCR_EL2),
            vttbr_el2: r(register::VTTBR_EL2).into(),
            vstcr_el2: r(register::VSTCR_EL2),
            vsttbr_el2: r(register::VSTTBR_EL2),
            s2pir_el2: r(register::S2PIR_EL2),
            ..Registers::default()
        }
    }

    /// Whether EL2 and below are in Secure state.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        !self.scr().ns()
    }

    /// Whether EL2 is enabled in that state.
    #[must_use]
    pub const fn has_el2(&self) -> bool {
        !self.is_secure() || self.scr().eel2()
    }

    /// Returns `HCR_EL2`, 0 where EL2 is not enabled.
    #[must_use]
    pub const fn hcr(&self) -> HcrEl2 {
        HcrEl2::from_bits(if self.has_el2() { self.registers[register::HCR_EL2] } else { 0 })
    }

    const fn scr(&self) -> ScrEl3 {
        ScrEl3::from_bits(self.registers[register::SCR_EL3])
    }

    /// Whether `PSTATE.PAN` is set.
    #[must_use]
    pub const fn pan(&self) -> bool {
        self.registers[register::PAN] != 0
    }
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// `PAR_EL1`.
    Par(u64),
    /// An exception: its class, and of the syndrome of an abort S1PTW and DFSC.
    Exception(u8, u8),
}
