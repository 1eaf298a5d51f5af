//! Cases and what is recorded of them.

/// Words of a case in the input.
pub const CASE_WORDS: usize = 80;
/// Words of a record.
pub const RECORD_WORDS: usize = 18;

/// What the reference records of a case.
pub type Record = [u64; RECORD_WORDS];

/// The words of a record, in order.
pub const RECORD_NAMES: [&str; RECORD_WORDS] = [
    "vector",
    "PSTATE as read",
    "X0",
    "X1",
    "ELR_EL3",
    "SPSR_EL3",
    "ESR_EL3",
    "FAR_EL3",
    "ELR_EL2",
    "SPSR_EL2",
    "ESR_EL2",
    "FAR_EL2",
    "ELR_EL1",
    "SPSR_EL1",
    "ESR_EL1",
    "FAR_EL1",
    "HCR_EL2",
    "OSLSR_EL1",
];

/// Where things stand in a case's words; `oracles/exception/main.c` has the same numbers.
#[allow(missing_docs, reason = "the registers' names")]
pub mod word {
    pub const PSTATE: usize = 0;
    pub const PC: usize = 1;
    pub const X0: usize = 2;
    pub const SCR: usize = 6;
    pub const HCR: usize = 7;
    pub const HCRX: usize = 8;
    pub const MDCR_EL3: usize = 9;
    pub const MDCR_EL2: usize = 10;
    pub const MDSCR: usize = 11;
    /// SCTLR_EL1, SCTLR_EL2, SCTLR_EL3.
    pub const SCTLR: usize = 12;
    pub const TCR_EL1: usize = 15;
    pub const TCR_EL2: usize = 16;
    pub const VTTBR: usize = 17;
    pub const VTCR: usize = 18;
    pub const CONTEXTIDR_EL1: usize = 19;
    pub const CONTEXTIDR_EL2: usize = 20;
    pub const OS_LOCK: usize = 21;
    pub const DOUBLE_LOCK: usize = 22;
    pub const VSESR: usize = 23;
    /// VBAR_EL1, VBAR_EL2.
    pub const VBAR: usize = 24;
    pub const SPSR_EL1: usize = 26;
    pub const ELR_EL1: usize = 27;
    pub const ESR_EL1: usize = 28;
    pub const FAR_EL1: usize = 29;
    pub const SPSR_EL2: usize = 30;
    pub const ELR_EL2: usize = 31;
    pub const ESR_EL2: usize = 32;
    pub const FAR_EL2: usize = 33;
    pub const ESR_EL3: usize = 34;
    pub const FAR_EL3: usize = 35;
    pub const SP_EL0: usize = 36;
    /// GCSCR_EL1, GCSCR_EL2.
    pub const GCSCR: usize = 39;
    /// Bit 0: a Group 0 interrupt is pending; bit 1: one of Group 1; bit 2: that one has superpriority.
    pub const PENDING: usize = 41;
    pub const CODE_AT: usize = 42;
    pub const CODE: usize = 43;
    /// What the case is about; the reference does not look.
    pub const KIND: usize = 45;
    /// DBGBCR0, DBGBVR0, … of six breakpoints.
    pub const BREAKPOINTS: usize = 48;
    /// DBGWCR0, DBGWVR0, … of four watchpoints.
    pub const WATCHPOINTS: usize = 60;
}

/// What a case is about.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Svc,
    Hvc,
    Smc,
    Eret,
    IllegalState,
    Undefined,
    SoftwareBreakpoint,
    PcAlignment,
    SpAlignment,
    Step,
    StepReturn,
    Breakpoint,
    Watchpoint,
    VirtualInterrupt,
    PhysicalInterrupt,
    Pstate,
}

impl Kind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Svc,
        Self::Hvc,
        Self::Smc,
        Self::Eret,
        Self::IllegalState,
        Self::Undefined,
        Self::SoftwareBreakpoint,
        Self::PcAlignment,
        Self::SpAlignment,
        Self::Step,
        Self::StepReturn,
        Self::Breakpoint,
        Self::Watchpoint,
        Self::VirtualInterrupt,
        Self::PhysicalInterrupt,
        Self::Pstate,
    ];
}

/// A case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// What it is about.
    pub kind: Kind,
    /// The words, by [`word`].
    pub words: [u64; CASE_WORDS],
}

impl Case {
    /// Returns the instruction at an address: that of the case, else UDF #0, of which memory is full.
    #[must_use]
    pub fn instruction(&self, pc: u64) -> u32 {
        let at = pc.wrapping_sub(self.words[word::CODE_AT]) / 4;
        if at < 4 { (self.words[word::CODE + at as usize / 2] >> (32 * (at % 2))) as u32 } else { 0 }
    }

    /// Sets the instructions.
    pub fn set_code(&mut self, code: &[u32]) {
        for (at, &instruction) in code.iter().take(4).enumerate() {
            self.words[word::CODE + at / 2] |= u64::from(instruction) << (32 * (at % 2));
        }
    }
}

/// Adds a case to a fingerprint, which starts at 0: a generator that has changed is found by it.
#[must_use]
pub fn fingerprint(sum: u64, case: &Case) -> u64 {
    case.words.iter().fold(sum, |sum, word| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23))
}
