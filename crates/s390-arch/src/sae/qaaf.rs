//! QAAF, Query Available Arm Features: functions, and the block of model capabilities. Linux s390 arm64 KVM series.

use super::facility::SystemRegisterNumber;
use crate::open::open_code;
use zerocopy::byteorder::big_endian::{U16, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Function of QAAF, as general register 0 holds it: format 48-55, two zeros, function code 58-63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QaafFunction {
    /// QMC, 1: query model capabilities; the result is a [`QmcBlock`].
    QueryModelCapabilities,
    /// GISRSA, 2: a ready-to-use save area; the expansion of the name is not published.
    InitialSaveArea {
        /// Format of the save area, `saf`.
        format: u8,
    },
}

impl QaafFunction {
    /// Decodes general register 0; `None` for functions that are not known and for bits that must be zero.
    #[must_use]
    pub const fn decode(gr0: u64) -> Option<Self> {
        match gr0.to_be_bytes() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Some(Self::QueryModelCapabilities),
            [0, 0, 0, 0, 0, 0, format, 2] => Some(Self::InitialSaveArea { format }),
            _ => None,
        }
    }

    /// Encodes general register 0.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::QueryModelCapabilities => 1,
            Self::InitialSaveArea { format } => u64::from_be_bytes([0, 0, 0, 0, 0, 0, format, 2]),
        }
    }
}

/// Result of QMC: 4 KiB of model capabilities.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct QmcBlock {
    /// Reserved.
    pub _000: [u8; 8],
    /// Supported state-description formats, a bitmap; inferred: bit 0 is format 0.
    pub ssdf: u8,
    /// Reserved.
    pub _009: u8,
    /// Supported save-area formats, a bitmap; inferred: bit 0 is format 0.
    pub ssaf: u8,
    /// Reserved.
    pub _00b: [u8; 3],
    /// Highest vCPU number: an id, not a count.
    pub maxncpu: U16,
    /// Register and attribute words; how an index counts into them is [`QmcBase`].
    pub regs: [U64; 510],
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<QmcBlock>() == 0x1000);
    assert!(offset_of!(QmcBlock, _000) == 0x000);
    assert!(offset_of!(QmcBlock, ssdf) == 0x008 && field::SSDF == 0x008);
    assert!(offset_of!(QmcBlock, _009) == 0x009);
    assert!(offset_of!(QmcBlock, ssaf) == 0x00a && field::SSAF == 0x00a);
    assert!(offset_of!(QmcBlock, _00b) == 0x00b);
    assert!(offset_of!(QmcBlock, maxncpu) == 0x00e && field::MAXNCPU == 0x00e);
    assert!(offset_of!(QmcBlock, regs) == 0x010 && field::REGS == 0x010);
};

/// Byte offsets of the fields from the start of the block.
pub mod field {
    /// Supported state-description formats, 1 byte.
    pub const SSDF: u64 = 0x008;
    /// Supported save-area formats, 1 byte.
    pub const SSAF: u64 = 0x00a;
    /// Highest vCPU number, 2 bytes.
    pub const MAXNCPU: u64 = 0x00e;
    /// First of 510 words.
    pub const REGS: u64 = 0x010;
}

impl QmcBlock {
    /// Returns a block of zeros.
    #[must_use]
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// Returns the word with an index; `None` if it would lie outside the block or in its header.
    #[must_use]
    pub fn word(&self, base: QmcBase, index: QmcIndex) -> Option<u64> {
        let at = usize::from(base.regs_index(index)?);
        self.regs.get(at).map(|word| word.get())
    }

    /// Stores the word with an index; returns `None` and does nothing where [`Self::word`] would have none.
    pub fn set_word(&mut self, base: QmcBase, index: QmcIndex, value: u64) -> Option<()> {
        let at = usize::from(base.regs_index(index)?);
        let word = self.regs.get_mut(at)?;
        word.set(value);
        Some(())
    }
}

/// Where the published indexes start to count; the sources contradict each other.
///
/// The table starts at 2 and ends at 0x1ff, which fits words counted from the start of the 4 KiB block. The Linux
/// code uses the numbers as indexes into the array behind the header, two words further on. One is a defect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QmcBase {
    /// Index 2 is the first word behind the header: words are counted from the start of the block.
    #[default]
    FromBlockStart,
    /// Index 0 is the first word behind the header: what the Linux code does.
    FromRegs,
}

impl QmcBase {
    /// Returns the place of an index in [`QmcBlock::regs`]; `None` if it has none.
    const fn regs_index(self, index: QmcIndex) -> Option<u16> {
        let at = match self {
            Self::FromBlockStart => index.0.checked_sub(2),
            Self::FromRegs => Some(index.0),
        };
        match at {
            Some(at) if at < 510 => Some(at),
            _ => None,
        }
    }

    /// Returns the byte offset of an index from the start of the block; `None` if it has no place.
    #[must_use]
    pub fn offset(self, index: QmcIndex) -> Option<u64> {
        let words = self.regs_index(index)?;
        u64::from(words).checked_mul(8)?.checked_add(field::REGS)
    }
}

open_code! {
    /// Index of a word of the model-capabilities block.
    pub struct QmcIndex(u16) {
        /// MIDR_EL1.
        MIDR_EL1 = 0x02, "MIDR_EL1";
        /// MPIDR_EL1.
        MPIDR_EL1 = 0x07, "MPIDR_EL1";
        /// REVIDR_EL1.
        REVIDR_EL1 = 0x08, "REVIDR_EL1";
        /// ID_PFR0_EL1.
        ID_PFR0_EL1 = 0x0a, "ID_PFR0_EL1";
        /// ID_PFR1_EL1.
        ID_PFR1_EL1 = 0x0b, "ID_PFR1_EL1";
        /// ID_DFR0_EL1.
        ID_DFR0_EL1 = 0x0c, "ID_DFR0_EL1";
        /// ID_AFR0_EL1.
        ID_AFR0_EL1 = 0x0d, "ID_AFR0_EL1";
        /// ID_MMFR0_EL1.
        ID_MMFR0_EL1 = 0x0e, "ID_MMFR0_EL1";
        /// ID_MMFR1_EL1.
        ID_MMFR1_EL1 = 0x0f, "ID_MMFR1_EL1";
        /// ID_MMFR2_EL1.
        ID_MMFR2_EL1 = 0x10, "ID_MMFR2_EL1";
        /// ID_MMFR3_EL1.
        ID_MMFR3_EL1 = 0x11, "ID_MMFR3_EL1";
        /// ID_ISAR0_EL1.
        ID_ISAR0_EL1 = 0x12, "ID_ISAR0_EL1";
        /// ID_ISAR1_EL1.
        ID_ISAR1_EL1 = 0x13, "ID_ISAR1_EL1";
        /// ID_ISAR2_EL1.
        ID_ISAR2_EL1 = 0x14, "ID_ISAR2_EL1";
        /// ID_ISAR3_EL1.
        ID_ISAR3_EL1 = 0x15, "ID_ISAR3_EL1";
        /// ID_ISAR4_EL1.
        ID_ISAR4_EL1 = 0x16, "ID_ISAR4_EL1";
        /// ID_ISAR5_EL1.
        ID_ISAR5_EL1 = 0x17, "ID_ISAR5_EL1";
        /// ID_MMFR4_EL1.
        ID_MMFR4_EL1 = 0x18, "ID_MMFR4_EL1";
        /// ID_ISAR6_EL1.
        ID_ISAR6_EL1 = 0x19, "ID_ISAR6_EL1";
        /// MVFR0_EL1.
        MVFR0_EL1 = 0x1a, "MVFR0_EL1";
        /// MVFR1_EL1.
        MVFR1_EL1 = 0x1b, "MVFR1_EL1";
        /// MVFR2_EL1.
        MVFR2_EL1 = 0x1c, "MVFR2_EL1";
        /// ID_PFR2_EL1.
        ID_PFR2_EL1 = 0x1e, "ID_PFR2_EL1";
        /// ID_DFR1_EL1.
        ID_DFR1_EL1 = 0x1f, "ID_DFR1_EL1";
        /// ID_MMFR5_EL1.
        ID_MMFR5_EL1 = 0x20, "ID_MMFR5_EL1";
        /// ID_AA64PFR0_EL1.
        ID_AA64PFR0_EL1 = 0x22, "ID_AA64PFR0_EL1";
        /// ID_AA64PFR1_EL1.
        ID_AA64PFR1_EL1 = 0x23, "ID_AA64PFR1_EL1";
        /// ID_AA64PFR2_EL1.
        ID_AA64PFR2_EL1 = 0x24, "ID_AA64PFR2_EL1";
        /// ID_AA64ZFR0_EL1.
        ID_AA64ZFR0_EL1 = 0x26, "ID_AA64ZFR0_EL1";
        /// ID_AA64SMFR0_EL1.
        ID_AA64SMFR0_EL1 = 0x27, "ID_AA64SMFR0_EL1";
        /// ID_AA64FPFR0_EL1.
        ID_AA64FPFR0_EL1 = 0x29, "ID_AA64FPFR0_EL1";
        /// ID_AA64DFR0_EL1.
        ID_AA64DFR0_EL1 = 0x2a, "ID_AA64DFR0_EL1";
        /// ID_AA64DFR1_EL1.
        ID_AA64DFR1_EL1 = 0x2b, "ID_AA64DFR1_EL1";
        /// ID_AA64DFR2_EL1.
        ID_AA64DFR2_EL1 = 0x2c, "ID_AA64DFR2_EL1";
        /// ID_AA64AFR0_EL1.
        ID_AA64AFR0_EL1 = 0x2e, "ID_AA64AFR0_EL1";
        /// ID_AA64AFR1_EL1.
        ID_AA64AFR1_EL1 = 0x2f, "ID_AA64AFR1_EL1";
        /// ID_AA64ISAR0_EL1.
        ID_AA64ISAR0_EL1 = 0x32, "ID_AA64ISAR0_EL1";
        /// ID_AA64ISAR1_EL1.
        ID_AA64ISAR1_EL1 = 0x33, "ID_AA64ISAR1_EL1";
        /// ID_AA64ISAR2_EL1.
        ID_AA64ISAR2_EL1 = 0x34, "ID_AA64ISAR2_EL1";
        /// ID_AA64ISAR3_EL1.
        ID_AA64ISAR3_EL1 = 0x35, "ID_AA64ISAR3_EL1";
        /// ID_AA64MMFR0_EL1.
        ID_AA64MMFR0_EL1 = 0x3a, "ID_AA64MMFR0_EL1";
        /// ID_AA64MMFR1_EL1.
        ID_AA64MMFR1_EL1 = 0x3b, "ID_AA64MMFR1_EL1";
        /// ID_AA64MMFR2_EL1.
        ID_AA64MMFR2_EL1 = 0x3c, "ID_AA64MMFR2_EL1";
        /// ID_AA64MMFR3_EL1.
        ID_AA64MMFR3_EL1 = 0x3d, "ID_AA64MMFR3_EL1";
        /// ID_AA64MMFR4_EL1.
        ID_AA64MMFR4_EL1 = 0x3e, "ID_AA64MMFR4_EL1";
        /// CNTFRQ_EL0.
        CNTFRQ_EL0 = 0x42, "CNTFRQ_EL0";
        /// CTR_EL0.
        CTR_EL0 = 0x43, "CTR_EL0";
        /// AIDR_EL1.
        AIDR_EL1 = 0x44, "AIDR_EL1";
        /// IRPTC, bitmap of interruption controls; not an Arm register.
        IRPTC = 0x4a, "IRPTC";
        /// ICH_VTR_EL2.
        ICH_VTR_EL2 = 0x4c, "ICH_VTR_EL2";
        /// GIC_ATTR, not an Arm register; bits not published.
        GIC_ATTR = 0x4d, "GIC_ATTR";
        /// PMMIR_EL1.
        PMMIR_EL1 = 0x52, "PMMIR_EL1";
        /// PMCR_EL0.
        PMCR_EL0 = 0x53, "PMCR_EL0";
        /// PMCEID0_EL0.
        PMCEID0_EL0 = 0x54, "PMCEID0_EL0";
        /// PMCEID1_EL0.
        PMCEID1_EL0 = 0x55, "PMCEID1_EL0";
    }
}

impl QmcIndex {
    /// Returns the Arm register that the word holds; `None` for attributes and unnamed indexes.
    #[must_use]
    pub fn register(self) -> Option<SystemRegisterNumber> {
        REGISTERS.iter().find(|(index, _)| *index == self).map(|(_, register)| *register)
    }

    /// Returns the index under which an Arm register is reported.
    #[must_use]
    pub fn of_register(register: SystemRegisterNumber) -> Option<Self> {
        REGISTERS.iter().find(|(_, number)| *number == register).map(|(index, _)| *index)
    }
}

/// The Arm register of each index that has one. Encodings: Arm ARM, under each register's name.
const REGISTERS: [(QmcIndex, SystemRegisterNumber); 53] = [
    (QmcIndex::MIDR_EL1, SystemRegisterNumber(0xc000)),
    (QmcIndex::MPIDR_EL1, SystemRegisterNumber(0xc005)),
    (QmcIndex::REVIDR_EL1, SystemRegisterNumber(0xc006)),
    (QmcIndex::ID_PFR0_EL1, SystemRegisterNumber(0xc008)),
    (QmcIndex::ID_PFR1_EL1, SystemRegisterNumber(0xc009)),
    (QmcIndex::ID_DFR0_EL1, SystemRegisterNumber(0xc00a)),
    (QmcIndex::ID_AFR0_EL1, SystemRegisterNumber(0xc00b)),
    (QmcIndex::ID_MMFR0_EL1, SystemRegisterNumber(0xc00c)),
    (QmcIndex::ID_MMFR1_EL1, SystemRegisterNumber(0xc00d)),
    (QmcIndex::ID_MMFR2_EL1, SystemRegisterNumber(0xc00e)),
    (QmcIndex::ID_MMFR3_EL1, SystemRegisterNumber(0xc00f)),
    (QmcIndex::ID_ISAR0_EL1, SystemRegisterNumber(0xc010)),
    (QmcIndex::ID_ISAR1_EL1, SystemRegisterNumber(0xc011)),
    (QmcIndex::ID_ISAR2_EL1, SystemRegisterNumber(0xc012)),
    (QmcIndex::ID_ISAR3_EL1, SystemRegisterNumber(0xc013)),
    (QmcIndex::ID_ISAR4_EL1, SystemRegisterNumber(0xc014)),
    (QmcIndex::ID_ISAR5_EL1, SystemRegisterNumber(0xc015)),
    (QmcIndex::ID_MMFR4_EL1, SystemRegisterNumber(0xc016)),
    (QmcIndex::ID_ISAR6_EL1, SystemRegisterNumber(0xc017)),
    (QmcIndex::MVFR0_EL1, SystemRegisterNumber(0xc018)),
    (QmcIndex::MVFR1_EL1, SystemRegisterNumber(0xc019)),
    (QmcIndex::MVFR2_EL1, SystemRegisterNumber(0xc01a)),
    (QmcIndex::ID_PFR2_EL1, SystemRegisterNumber(0xc01c)),
    (QmcIndex::ID_DFR1_EL1, SystemRegisterNumber(0xc01d)),
    (QmcIndex::ID_MMFR5_EL1, SystemRegisterNumber(0xc01e)),
    (QmcIndex::ID_AA64PFR0_EL1, SystemRegisterNumber(0xc020)),
    (QmcIndex::ID_AA64PFR1_EL1, SystemRegisterNumber(0xc021)),
    (QmcIndex::ID_AA64PFR2_EL1, SystemRegisterNumber(0xc022)),
    (QmcIndex::ID_AA64ZFR0_EL1, SystemRegisterNumber(0xc024)),
    (QmcIndex::ID_AA64SMFR0_EL1, SystemRegisterNumber(0xc025)),
    (QmcIndex::ID_AA64FPFR0_EL1, SystemRegisterNumber(0xc027)),
    (QmcIndex::ID_AA64DFR0_EL1, SystemRegisterNumber(0xc028)),
    (QmcIndex::ID_AA64DFR1_EL1, SystemRegisterNumber(0xc029)),
    (QmcIndex::ID_AA64DFR2_EL1, SystemRegisterNumber(0xc02a)),
    (QmcIndex::ID_AA64AFR0_EL1, SystemRegisterNumber(0xc02c)),
    (QmcIndex::ID_AA64AFR1_EL1, SystemRegisterNumber(0xc02d)),
    (QmcIndex::ID_AA64ISAR0_EL1, SystemRegisterNumber(0xc030)),
    (QmcIndex::ID_AA64ISAR1_EL1, SystemRegisterNumber(0xc031)),
    (QmcIndex::ID_AA64ISAR2_EL1, SystemRegisterNumber(0xc032)),
    (QmcIndex::ID_AA64ISAR3_EL1, SystemRegisterNumber(0xc033)),
    (QmcIndex::ID_AA64MMFR0_EL1, SystemRegisterNumber(0xc038)),
    (QmcIndex::ID_AA64MMFR1_EL1, SystemRegisterNumber(0xc039)),
    (QmcIndex::ID_AA64MMFR2_EL1, SystemRegisterNumber(0xc03a)),
    (QmcIndex::ID_AA64MMFR3_EL1, SystemRegisterNumber(0xc03b)),
    (QmcIndex::ID_AA64MMFR4_EL1, SystemRegisterNumber(0xc03c)),
    (QmcIndex::CNTFRQ_EL0, SystemRegisterNumber(0xdf00)),
    (QmcIndex::CTR_EL0, SystemRegisterNumber(0xd801)),
    (QmcIndex::AIDR_EL1, SystemRegisterNumber(0xc807)),
    (QmcIndex::ICH_VTR_EL2, SystemRegisterNumber(0xe659)),
    (QmcIndex::PMMIR_EL1, SystemRegisterNumber(0xc4f6)),
    (QmcIndex::PMCR_EL0, SystemRegisterNumber(0xdce0)),
    (QmcIndex::PMCEID0_EL0, SystemRegisterNumber(0xdce6)),
    (QmcIndex::PMCEID1_EL0, SystemRegisterNumber(0xdce7)),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Index, byte offset if indexes count from the start of the block, byte offset that the Linux code reads.
    const OFFSETS: &[(QmcIndex, u64, u64)] = &[
        (QmcIndex::MIDR_EL1, 0x010, 0x020),
        (QmcIndex::MPIDR_EL1, 0x038, 0x048),
        (QmcIndex::REVIDR_EL1, 0x040, 0x050),
        (QmcIndex::ID_PFR0_EL1, 0x050, 0x060),
        (QmcIndex::ID_PFR1_EL1, 0x058, 0x068),
        (QmcIndex::ID_DFR0_EL1, 0x060, 0x070),
        (QmcIndex::ID_AFR0_EL1, 0x068, 0x078),
        (QmcIndex::ID_MMFR0_EL1, 0x070, 0x080),
        (QmcIndex::ID_MMFR1_EL1, 0x078, 0x088),
        (QmcIndex::ID_MMFR2_EL1, 0x080, 0x090),
        (QmcIndex::ID_MMFR3_EL1, 0x088, 0x098),
        (QmcIndex::ID_ISAR0_EL1, 0x090, 0x0a0),
        (QmcIndex::ID_ISAR1_EL1, 0x098, 0x0a8),
        (QmcIndex::ID_ISAR2_EL1, 0x0a0, 0x0b0),
        (QmcIndex::ID_ISAR3_EL1, 0x0a8, 0x0b8),
        (QmcIndex::ID_ISAR4_EL1, 0x0b0, 0x0c0),
        (QmcIndex::ID_ISAR5_EL1, 0x0b8, 0x0c8),
        (QmcIndex::ID_MMFR4_EL1, 0x0c0, 0x0d0),
        (QmcIndex::ID_ISAR6_EL1, 0x0c8, 0x0d8),
        (QmcIndex::MVFR0_EL1, 0x0d0, 0x0e0),
        (QmcIndex::MVFR1_EL1, 0x0d8, 0x0e8),
        (QmcIndex::MVFR2_EL1, 0x0e0, 0x0f0),
        (QmcIndex::ID_PFR2_EL1, 0x0f0, 0x100),
        (QmcIndex::ID_DFR1_EL1, 0x0f8, 0x108),
        (QmcIndex::ID_MMFR5_EL1, 0x100, 0x110),
        (QmcIndex::ID_AA64PFR0_EL1, 0x110, 0x120),
        (QmcIndex::ID_AA64PFR1_EL1, 0x118, 0x128),
        (QmcIndex::ID_AA64PFR2_EL1, 0x120, 0x130),
        (QmcIndex::ID_AA64ZFR0_EL1, 0x130, 0x140),
        (QmcIndex::ID_AA64SMFR0_EL1, 0x138, 0x148),
        (QmcIndex::ID_AA64FPFR0_EL1, 0x148, 0x158),
        (QmcIndex::ID_AA64DFR0_EL1, 0x150, 0x160),
        (QmcIndex::ID_AA64DFR1_EL1, 0x158, 0x168),
        (QmcIndex::ID_AA64DFR2_EL1, 0x160, 0x170),
        (QmcIndex::ID_AA64AFR0_EL1, 0x170, 0x180),
        (QmcIndex::ID_AA64AFR1_EL1, 0x178, 0x188),
        (QmcIndex::ID_AA64ISAR0_EL1, 0x190, 0x1a0),
        (QmcIndex::ID_AA64ISAR1_EL1, 0x198, 0x1a8),
        (QmcIndex::ID_AA64ISAR2_EL1, 0x1a0, 0x1b0),
        (QmcIndex::ID_AA64ISAR3_EL1, 0x1a8, 0x1b8),
        (QmcIndex::ID_AA64MMFR0_EL1, 0x1d0, 0x1e0),
        (QmcIndex::ID_AA64MMFR1_EL1, 0x1d8, 0x1e8),
        (QmcIndex::ID_AA64MMFR2_EL1, 0x1e0, 0x1f0),
        (QmcIndex::ID_AA64MMFR3_EL1, 0x1e8, 0x1f8),
        (QmcIndex::ID_AA64MMFR4_EL1, 0x1f0, 0x200),
        (QmcIndex::CNTFRQ_EL0, 0x210, 0x220),
        (QmcIndex::CTR_EL0, 0x218, 0x228),
        (QmcIndex::AIDR_EL1, 0x220, 0x230),
        (QmcIndex::IRPTC, 0x250, 0x260),
        (QmcIndex::ICH_VTR_EL2, 0x260, 0x270),
        (QmcIndex::GIC_ATTR, 0x268, 0x278),
        (QmcIndex::PMMIR_EL1, 0x290, 0x2a0),
        (QmcIndex::PMCR_EL0, 0x298, 0x2a8),
        (QmcIndex::PMCEID0_EL0, 0x2a0, 0x2b0),
        (QmcIndex::PMCEID1_EL0, 0x2a8, 0x2b8),
    ];

    #[test]
    fn each_index_is_at_its_published_offset_under_either_base() {
        assert_eq!(OFFSETS.len(), QmcIndex::NAMED.len());
        for (index, from_start, from_regs) in OFFSETS {
            assert_eq!(QmcBase::FromBlockStart.offset(*index), Some(*from_start), "{index:?}");
            assert_eq!(QmcBase::FromRegs.offset(*index), Some(*from_regs), "{index:?}");
            let mut block = QmcBlock::zeroed();
            assert_eq!(block.set_word(QmcBase::FromRegs, *index, 0x0123_4567_89ab_cdef), Some(()));
            let at = usize::try_from(*from_regs).unwrap();
            assert_eq!(block.as_bytes()[at..at + 8], [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
            assert_eq!(block.word(QmcBase::FromRegs, *index), Some(0x0123_4567_89ab_cdef));
        }
    }

    #[test]
    fn indexes_outside_the_block_have_no_place() {
        assert_eq!(QmcBase::FromBlockStart.offset(QmcIndex(1)), None);
        assert_eq!(QmcBase::FromBlockStart.offset(QmcIndex(2)), Some(0x10));
        assert_eq!(QmcBase::FromBlockStart.offset(QmcIndex(0x1ff)), Some(0xff8));
        assert_eq!(QmcBase::FromBlockStart.offset(QmcIndex(0x200)), None);
        assert_eq!(QmcBase::FromRegs.offset(QmcIndex(0)), Some(0x10));
        assert_eq!(QmcBase::FromRegs.offset(QmcIndex(0x1fd)), Some(0xff8));
        assert_eq!(QmcBase::FromRegs.offset(QmcIndex(0x1fe)), None);
        assert_eq!(QmcBase::FromRegs.offset(QmcIndex(u16::MAX)), None);
    }

    #[test]
    fn id_registers_are_indexed_by_crm_and_op2() {
        // From 2 on, eight per CRm: the pattern of the published table, which the encodings must follow.
        for index in QmcIndex::NAMED.iter().filter(|index| index.0 < 0x42) {
            let register = index.register().unwrap();
            assert_eq!(register.0 & 0xff80, 0xc000, "{index:?}");
            assert_eq!(register.0 & 0x7f, index.0 - 2, "{index:?}");
            assert_eq!(QmcIndex::of_register(register), Some(*index));
        }
        assert_eq!(QmcIndex::IRPTC.register(), None);
        assert_eq!(QmcIndex::of_register(SystemRegisterNumber(0xc080)), None);
        assert_eq!(QmcIndex::of_register(SystemRegisterNumber(0xdf00)), Some(QmcIndex::CNTFRQ_EL0));
    }

    #[test]
    fn functions_are_format_and_code() {
        assert_eq!(QaafFunction::QueryModelCapabilities.encode(), 0x0001);
        assert_eq!(QaafFunction::InitialSaveArea { format: 3 }.encode(), 0x0302);
        assert_eq!(QaafFunction::decode(0x0302), Some(QaafFunction::InitialSaveArea { format: 3 }));
        for bad in [0, 3, 0x0101, 0x0001_0002, 0x42, 0x82, u64::MAX] {
            assert_eq!(QaafFunction::decode(bad), None, "{bad:#x}");
        }
    }
}
