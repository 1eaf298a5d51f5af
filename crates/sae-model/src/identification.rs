//! What the machine says it is: the words of QAAF function 1.

use crate::block::Block;
use arm_arch::SysRegId;
use arm_arch::gic::IchState;
use arm_arch::sysreg::MpidrEl1;
use arm_exec::MODEL;
use s390_arch::sae::{QmcBase, QmcIndex, qaaf};

/// CNTFRQ_EL0: 1 GHz, the constant of the SAE sources.
pub(crate) const CNTFRQ: u64 = 1_000_000_000;

/// MPIDR_EL1 of CPU 0. Arm ARM, MPIDR_EL1.
const MPIDR: u64 = MpidrEl1::new().with_res1(true).into_bits();

/// The highest CPU number, as QAAF reports it: an id, not a count.
const HIGHEST_CPU: u16 = 63;

/// Format 0 of both blocks: the first bit of each map.
const FORMAT_0: u64 = 0x80;

/// Returns MIDR_EL1.
pub(crate) const fn midr() -> u64 {
    MODEL.ids().midr.into_bits()
}

/// Returns one word: what the engine implements, or a property of this machine.
pub(crate) fn word(index: QmcIndex) -> u64 {
    match index {
        QmcIndex::MPIDR_EL1 => MPIDR,
        QmcIndex::CNTFRQ_EL0 => CNTFRQ,
        QmcIndex::ICH_VTR_EL2 => IchState::<4>::vtr().into_bits(),
        // No performance monitors; nothing is published about the interruption controls.
        _ => index
            .register()
            .and_then(|number| MODEL.ids().get(SysRegId::from_bits(number.0)))
            .unwrap_or_default(),
    }
}

/// Writes the block of function 1.
pub(crate) fn write_capabilities(block: Block<'_>, base: QmcBase) {
    block.clear();
    // ssdf, ssaf and maxncpu share a doubleword: bytes 0, 2, and 6 to 7.
    let header = FORMAT_0 << 56 | FORMAT_0 << 40 | u64::from(HIGHEST_CPU);
    block.store(qaaf::field::SSDF, header);
    for index in QmcIndex::NAMED {
        if let Some(offset) = base.offset(*index) {
            block.store(offset, word(*index));
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use arm_arch::Pa;
    use arm_exec::{Page, Ram};
    use s390_arch::sae::QmcBlock;
    use std::vec;
    use zerocopy::FromBytes;

    #[test]
    fn words_lie_where_the_base_says_and_hold_what_the_engine_is() {
        for base in [QmcBase::FromBlockStart, QmcBase::FromRegs] {
            let pages = vec![Page::zeroed()];
            let ram = Ram::new(&pages);
            write_capabilities(Block::new(ram.page(Pa::new(0)).unwrap()).unwrap(), base);
            let mut bytes = [0; 0x1000];
            ram.read(Pa::new(0), &mut bytes).unwrap();
            let block = QmcBlock::read_from_bytes(&bytes).unwrap();
            assert_eq!((block.ssdf, block.ssaf, block.maxncpu.get()), (0x80, 0x80, 63));
            // Values of the ID registers: Arm ARM, by name, for the features that the engine lists.
            for (index, want) in [
                (QmcIndex::MIDR_EL1, 0x000f_7a00),
                (QmcIndex::MPIDR_EL1, 0x8000_0000),
                (QmcIndex::ID_AA64PFR0_EL1, 0x1101_0000_0100_0011),
                (QmcIndex::ID_AA64ISAR0_EL1, 0x0010_1000_1021_1120),
                (QmcIndex::ID_AA64MMFR0_EL1, 0x10_0025),
                (QmcIndex::ID_PFR0_EL1, 0),
                (QmcIndex::CNTFRQ_EL0, 1_000_000_000),
                (QmcIndex::CTR_EL0, 0x9444_c004),
                // Four list registers, five bits of priority and of preemption.
                (QmcIndex::ICH_VTR_EL2, 0x90b8_0003),
                (QmcIndex::PMCR_EL0, 0),
            ] {
                assert_eq!(block.word(base, index), Some(want), "{index:?} {base:?}");
            }
        }
    }
}
