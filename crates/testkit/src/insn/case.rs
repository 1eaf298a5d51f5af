//! A case, what running it gave, and the trait of whatever runs it.

use super::env::Env;

/// Words of a [`State`].
pub const STATE_WORDS: usize = 108;
/// Words of the data window.
pub const WINDOW_WORDS: usize = 64;
/// Most instruction words a case can have.
pub const CODE_WORDS: usize = 8;

/// The architectural state as 64-bit words; `oracles/insn/README.md` lists them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State(pub [u64; STATE_WORDS]);

/// Positions in [`State`].
pub mod word {
    /// SP_EL0.
    pub const SP_EL0: usize = 31;
    /// SP_EL1.
    pub const SP_EL1: usize = 32;
    /// PSTATE in the form of SPSR.
    pub const PSTATE: usize = 33;
    /// PC.
    pub const PC: usize = 34;
    /// FPCR.
    pub const FPCR: usize = 35;
    /// FPSR.
    pub const FPSR: usize = 36;
    /// TPIDR_EL0.
    pub const TPIDR_EL0: usize = 37;
    /// TPIDRRO_EL0.
    pub const TPIDRRO_EL0: usize = 38;
    /// TPIDR_EL1.
    pub const TPIDR_EL1: usize = 39;
    /// ESR_EL1.
    pub const ESR_EL1: usize = 40;
    /// ELR_EL1.
    pub const ELR_EL1: usize = 41;
    /// FAR_EL1.
    pub const FAR_EL1: usize = 42;
    /// SPSR_EL1.
    pub const SPSR_EL1: usize = 43;
    /// V0 bits 63:0; V*n* is at `V + 2 * n`, low half first.
    pub const V: usize = 44;
}

impl State {
    /// All words zero.
    #[must_use]
    pub const fn zero() -> Self {
        Self([0; STATE_WORDS])
    }

    /// Returns the name of a word.
    #[must_use]
    pub fn name(index: usize) -> String {
        const NAMED: [&str; 13] = [
            "SP_EL0",
            "SP_EL1",
            "PSTATE",
            "PC",
            "FPCR",
            "FPSR",
            "TPIDR_EL0",
            "TPIDRRO_EL0",
            "TPIDR_EL1",
            "ESR_EL1",
            "ELR_EL1",
            "FAR_EL1",
            "SPSR_EL1",
        ];
        match index {
            0..=30 => format!("X{index}"),
            31..=43 => NAMED[index - 31].into(),
            _ => format!("V{}[{}]", (index - word::V) / 2, if index % 2 == 0 { "63:0" } else { "127:64" }),
        }
    }

    /// Returns the Exception level, 0 or 1.
    #[must_use]
    pub fn el(&self) -> u64 {
        self.0[word::PSTATE] >> 2 & 3
    }

    /// Returns the position of the stack pointer in use.
    #[must_use]
    pub fn sp(&self) -> usize {
        if self.0[word::PSTATE] & 1 == 1 { word::SP_EL1 } else { word::SP_EL0 }
    }

    /// Returns the position of the base register `n`, where 31 is the stack pointer.
    #[must_use]
    pub fn base(&self, n: u32) -> usize {
        if n == 31 { self.sp() } else { n as usize }
    }

    /// Returns vector register `n`.
    #[must_use]
    pub fn v(&self, n: usize) -> u128 {
        u128::from(self.0[word::V + 2 * n]) | u128::from(self.0[word::V + 2 * n + 1]) << 64
    }

    /// Sets vector register `n`.
    pub fn set_v(&mut self, n: usize, value: u128) {
        self.0[word::V + 2 * n] = value as u64;
        self.0[word::V + 2 * n + 1] = (value >> 64) as u64;
    }
}

impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let named = self.0.iter().enumerate().map(|(i, v)| (Self::name(i), format!("{v:#018x}")));
        f.debug_map().entries(named).finish()
    }
}

/// Which machine answers for a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// QEMU's `max`, without SVE, SME and pointer authentication.
    Max,
    /// QEMU's `neoverse-n1`: its DC ZVA block is 64 bytes.
    NeoverseN1,
    /// Nobody: the last word is UNDEFINED because nothing announces it.
    Undefined,
}

/// One experiment.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number in the sequence of its seed.
    pub number: u64,
    /// Which of the environments it runs in.
    pub env: Env,
    /// Who answers.
    pub peer: Peer,
    /// The state before; PC is where `code` lies.
    pub state: State,
    /// The data window before, as little-endian words.
    pub window: [u64; WINDOW_WORDS],
    /// One to eight instruction words; only the last may branch.
    pub code: Vec<u32>,
}

impl Case {
    /// Returns the address of the first instruction.
    #[must_use]
    pub fn pc(&self) -> u64 {
        self.state.0[word::PC]
    }

    /// Returns the address after the last instruction.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.pc() + 4 * self.code.len() as u64
    }

    /// Returns the word at an address within the case.
    #[must_use]
    pub fn word_at(&self, address: u64) -> Option<u32> {
        let index = address.checked_sub(self.pc())? / 4;
        self.code.get(usize::try_from(index).ok()?).copied()
    }
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// An SMC with this immediate was trapped (HCR_EL2.TSC) or taken to EL3. PC is that of the SMC.
    Smc(u16),
    /// WFE or WFI suspended the PE or was trapped. PC is that of the instruction.
    WaitFor,
    /// Anything else; never equal to what a reference says.
    Other(String),
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The state after.
    pub state: State,
    /// The data window after, as little-endian words.
    pub window: [u64; WINDOW_WORDS],
    /// [`super::env::digest`] of the two data pages without the window.
    pub outside: u64,
    /// Why it ended.
    pub stop: Stop,
}

/// Something that runs A64 instructions.
pub trait InsnEngine {
    /// Runs one case in a fresh environment: memory as [`super::env`] lays it out, with the case's
    /// words at its PC and its window, the exclusive monitor open for nobody, HCR_EL2 = RW and TSC,
    /// no other trap. Stops at the first [`Stop`].
    fn run(&mut self, case: &Case) -> Raw;
}
