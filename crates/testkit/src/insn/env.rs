//! The machine around a case: memory map, translation tables, EL1 vectors, system registers.
//!
//! | address (VA = PA unless noted) | contents | EL1 | EL0 |
//! | --- | --- | --- | --- |
//! | 0x40_0000_0000 → PA 0x47e0_0000 | vectors: `SMC #0x100 + n` at `0x80 * n` | RX | - |
//! | 0x4800_0000, 4 MiB | code: `SMC #2` everywhere but in the case's words | RX | RX |
//! | 0x5000_0000, page A | data, zero outside the window | RW | RW |
//! | 0x5000_1000, page B | data, zero outside the window | RW | - |
//! | 0x5000_2000 | not mapped | - | - |
//! | 0x5000_3000, page C | zero | R | R |
//!
//! The window is the last 256 bytes of page A and the first 256 of page B.

/// Physical address of the image of [`image`].
pub const IMAGE: u64 = 0x47e0_0000;
/// Where the EL1 vectors are seen.
pub const VECTORS: u64 = 0x40_0000_0000;
/// The code region.
pub const CODE: u64 = 0x4800_0000;
/// Its size.
pub const CODE_BYTES: u64 = 0x40_0000;
/// What fills the code region: `SMC #2`.
pub const FILLER: u32 = 0xD400_0043;
/// The immediate of the filler.
pub const FILLER_SMC: u16 = 2;
/// The immediate of vector 0.
pub const VECTOR_SMC: u16 = 0x100;
/// The two writable data pages.
pub const DATA: u64 = 0x5000_0000;
/// Their size.
pub const DATA_BYTES: u64 = 0x2000;
/// First byte of the EL1-only page.
pub const PAGE_B: u64 = 0x5000_1000;
/// A page that nothing maps.
pub const UNMAPPED: u64 = 0x5000_2000;
/// The read-only page.
pub const PAGE_C: u64 = 0x5000_3000;
/// The data window.
pub const WINDOW: u64 = DATA + 0xf00;
/// Its size.
pub const WINDOW_BYTES: u64 = 512;

/// Which settings of the EL1&0 regime a case runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Env {
    /// What Linux sets, more or less: no alignment check, EL0 may use DC ZVA, cache maintenance, CTR.
    Plain,
    /// Alignment checked (A), PAN set on exceptions, SSBS set on exceptions, EL0 may use DAIF but not
    /// DC ZVA or cache maintenance.
    Strict,
    /// SIMD and FP trapped at EL0.
    FpTrapEl0,
    /// SIMD and FP trapped at EL1 and EL0.
    FpTrap,
    /// Big-endian data at both levels.
    BigEndian,
}

impl Env {
    /// Returns the environment of a section of cases.
    #[must_use]
    pub fn of_section(section: u64) -> Self {
        match section % 16 {
            3 | 9 => Self::Strict,
            5 => Self::FpTrapEl0,
            11 => Self::FpTrap,
            7 | 13 => Self::BigEndian,
            _ => Self::Plain,
        }
    }

    /// Returns SCTLR_EL1: M, C, I, SA, SA0 and the RES1 bits of an Armv8.0 PE, and what the setting adds.
    #[must_use]
    pub const fn sctlr_el1(self) -> u64 {
        const M: u64 = 1;
        const A: u64 = 1 << 1;
        const C: u64 = 1 << 2;
        const SA: u64 = 1 << 3;
        const SA0: u64 = 1 << 4;
        const UMA: u64 = 1 << 9;
        const I: u64 = 1 << 12;
        const DZE: u64 = 1 << 14;
        const UCT: u64 = 1 << 15;
        const SPAN: u64 = 1 << 23;
        const E0E: u64 = 1 << 24;
        const EE: u64 = 1 << 25;
        const UCI: u64 = 1 << 26;
        const DSSBS: u64 = 1 << 44;
        // EOS, TSCXT, EIS, nTLSMD, LSMAOE; nTWI and nTWE so that WFx at EL0 is not trapped to EL1.
        const ONE: u64 = 1 << 11 | 1 << 16 | 1 << 18 | 1 << 20 | 1 << 22 | 1 << 28 | 1 << 29;
        let base = M | C | SA | SA0 | I | ONE;
        match self {
            Self::Plain | Self::FpTrapEl0 | Self::FpTrap => base | SPAN | DZE | UCT | UCI,
            Self::Strict => base | A | UMA | DSSBS,
            Self::BigEndian => base | SPAN | DZE | UCT | UCI | E0E | EE,
        }
    }

    /// Returns whether SCTLR_EL1.SPAN is clear: taking an exception sets PSTATE.PAN.
    #[must_use]
    pub const fn exception_sets_pan(self) -> bool {
        self.sctlr_el1() >> 23 & 1 == 0
    }

    /// Returns SCTLR_EL1.DSSBS.
    #[must_use]
    pub const fn exception_ssbs(self) -> bool {
        self.sctlr_el1() >> 44 & 1 == 1
    }

    /// Returns CPACR_EL1.
    #[must_use]
    pub const fn cpacr_el1(self) -> u64 {
        match self {
            Self::FpTrapEl0 => 1 << 20,
            Self::FpTrap => 0,
            Self::Plain | Self::Strict | Self::BigEndian => 3 << 20,
        }
    }

    /// Returns TCR_EL1: T0SZ 25, 4 KiB granule, write-back inner shareable walks, EPD1, IPS 40 bits.
    #[must_use]
    pub const fn tcr_el1(self) -> u64 {
        25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32
    }

    /// Returns MAIR_EL1: attribute 0 is Normal write-back.
    #[must_use]
    pub const fn mair_el1(self) -> u64 {
        0xff
    }

    /// Returns TTBR0_EL1.
    #[must_use]
    pub const fn ttbr0_el1(self) -> u64 {
        if self.is_big_endian() { BIG_ENDIAN_TABLES } else { TABLES }
    }

    /// Returns VBAR_EL1.
    #[must_use]
    pub const fn vbar_el1(self) -> u64 {
        VECTORS
    }

    /// Returns whether data is big-endian.
    #[must_use]
    pub const fn is_big_endian(self) -> bool {
        matches!(self, Self::BigEndian)
    }
}

/// Returns the bytes at [`IMAGE`]: the vectors, the translation tables, and the tables once more in
/// big-endian form, because SCTLR_EL1.EE governs walks too.
#[must_use]
pub fn image() -> Vec<u8> {
    let mut vectors = [0u64; 512];
    for n in 0..16 {
        vectors[16 * n] = u64::from(0xD400_0003 | (u32::from(VECTOR_SMC) + n as u32) << 5);
    }
    let little = tables(TABLES).into_iter().flat_map(u64::to_le_bytes);
    let big = tables(BIG_ENDIAN_TABLES).into_iter().flat_map(u64::to_be_bytes);
    vectors.into_iter().flat_map(u64::to_le_bytes).chain(little).chain(big).collect()
}

/// Where the tables lie, five pages each.
const TABLES: u64 = IMAGE + 0x1000;
const BIG_ENDIAN_TABLES: u64 = IMAGE + 0x6000;

/// Returns the five tables that lie at `at`, the level-1 table first.
fn tables(at: u64) -> Vec<u64> {
    const TABLE: u64 = 3;
    const AF_ISH: u64 = 1 << 10 | 3 << 8;
    const PAGE: u64 = 3 | AF_ISH;
    const BLOCK: u64 = 1 | AF_ISH;
    const EL0: u64 = 1 << 6;
    const READ_ONLY: u64 = 1 << 7;
    const XN: u64 = 1 << 54 | 1 << 53;
    const UXN: u64 = 1 << 54;
    let table = |n: u64| (at + 0x1000 * n) | TABLE;
    let mut pages = [[0u64; 512]; 5];
    pages[0][1] = table(1); // 0x4000_0000
    pages[0][256] = table(3); // 0x40_0000_0000
    for n in 0..CODE_BYTES >> 21 {
        pages[1][64 + n as usize] = (CODE + (n << 21)) | BLOCK | EL0 | READ_ONLY;
    }
    pages[1][128] = table(2); // 0x5000_0000
    pages[2][0] = DATA | PAGE | EL0 | XN;
    pages[2][1] = PAGE_B | PAGE | XN;
    pages[2][3] = PAGE_C | PAGE | EL0 | READ_ONLY | XN;
    pages[3][0] = table(4);
    pages[4][0] = IMAGE | PAGE | READ_ONLY | UXN;
    pages.concat()
}

/// Returns one number for what lies in the data pages outside the window: `word(i)` is little-endian word *i* of
/// the 1,024 words at [`DATA`].
pub fn digest(word: impl Fn(usize) -> u64) -> u64 {
    let inside = |i: usize| (0x1e0..0x1e0 + 64).contains(&i);
    let nonzero = (0..1024).filter(|&i| !inside(i)).map(|i| (i as u64, word(i))).filter(|&(_, v)| v != 0);
    nonzero.fold(0, |sum, (i, v)| (sum ^ v ^ i).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}
