//! What goes into the parameters: registers, the regime, the address space.

/// A translation regime. Arm ARM, TranslationRegime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regime {
    /// EL1&0: an operating system and its applications.
    El1And0,
    /// EL2&0: the same with `HCR_EL2.E2H` 1. FEAT_VHE.
    El2And0,
    /// EL2 with `HCR_EL2.E2H` 0.
    El2,
    /// EL3.
    El3,
}

impl Regime {
    /// Whether EL0 uses it too, with permissions of its own. Arm ARM, HasUnprivileged.
    #[inline]
    #[must_use]
    pub const fn has_unprivileged(self) -> bool {
        matches!(self, Self::El1And0 | Self::El2And0)
    }
}

/// A physical (or intermediate physical) address space. Arm ARM, PASpace, FEAT_RME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Space {
    /// Non-secure: the only one that a machine without EL3 need have.
    #[default]
    NonSecure,
    /// Secure.
    Secure,
    /// Root. FEAT_RME.
    Root,
    /// Realm. FEAT_RME.
    Realm,
}

/// The registers that stage 1 of the EL1&0 regime reads, as Armv8.0 has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct El1Registers {
    /// `SCTLR_EL1`.
    pub sctlr: u64,
    /// `TCR_EL1`.
    pub tcr: u64,
    /// `TTBR0_EL1`.
    pub ttbr0: u64,
    /// `TTBR1_EL1`.
    pub ttbr1: u64,
    /// `MAIR_EL1`.
    pub mair: u64,
    /// `HCR_EL2` as it is effective; 0 without EL2.
    pub hcr: u64,
}

/// Stage 1 registers of one exception level. What a level does not have stays 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage1Registers {
    /// `SCTLR_ELx`.
    pub sctlr: u64,
    /// `TCR_ELx`.
    pub tcr: u64,
    /// `TCR2_ELx`. FEAT_TCR2.
    pub tcr2: u64,
    /// `TTBR0_ELx`; 128 bits with FEAT_D128.
    pub ttbr0: u128,
    /// `TTBR1_ELx`; 128 bits with FEAT_D128.
    pub ttbr1: u128,
    /// `MAIR_ELx`.
    pub mair: u64,
    /// `MAIR2_ELx`. FEAT_AIE.
    pub mair2: u64,
    /// `PIR_ELx`. FEAT_S1PIE.
    pub pir: u64,
    /// `PIRE0_ELx`. FEAT_S1PIE.
    pub pire0: u64,
    /// `POR_ELx`. FEAT_S1POE.
    pub por: u64,
}

/// All registers that translation reads; those that do not exist are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Stage 1 of EL1.
    pub el1: Stage1Registers,
    /// Stage 1 of EL2.
    pub el2: Stage1Registers,
    /// Stage 1 of EL3.
    pub el3: Stage1Registers,
    /// `POR_EL0`. FEAT_S1POE.
    pub por_el0: u64,
    /// `HCR_EL2`.
    pub hcr_el2: u64,
    /// `HCRX_EL2`. FEAT_HCX.
    pub hcrx_el2: u64,
    /// `HFGITR_EL2`: which AT instructions of EL1 are trapped. FEAT_FGT.
    pub hfgitr_el2: u64,
    /// `SCR_EL3`; without EL3 the security state is Non-secure, whatever it holds.
    pub scr_el3: u64,
    /// `VTCR_EL2`.
    pub vtcr_el2: u64,
    /// `VTTBR_EL2`; 128 bits with FEAT_D128.
    pub vttbr_el2: u128,
    /// `VSTCR_EL2`. FEAT_SEL2.
    pub vstcr_el2: u64,
    /// `VSTTBR_EL2`. FEAT_SEL2.
    pub vsttbr_el2: u64,
    /// `S2PIR_EL2`. FEAT_S2PIE.
    pub s2pir_el2: u64,
    /// `S2POR_EL1`. FEAT_S2POE.
    pub s2por_el1: u64,
}

impl From<&El1Registers> for Stage1Registers {
    fn from(registers: &El1Registers) -> Self {
        Self {
            sctlr: registers.sctlr,
            tcr: registers.tcr,
            ttbr0: registers.ttbr0.into(),
            ttbr1: registers.ttbr1.into(),
            mair: registers.mair,
            ..Self::default()
        }
    }
}

impl From<&El1Registers> for Registers {
    fn from(registers: &El1Registers) -> Self {
        let el1 = Stage1Registers::from(registers);
        Self { el1, hcr_el2: registers.hcr, scr_el3: El1Registers::SCR_EL3, ..Self::default() }
    }
}

impl El1Registers {
    /// EL1&0 is non-secure.
    pub(super) const SCR_EL3: u64 = 1;
}
