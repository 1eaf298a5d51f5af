//! What a recorder hears of tables that skip levels. Arm ARM,
//! "Translation table descriptor formats", SKL of VMSAv9-128; FEAT_D128.
#![cfg(feature = "vmsa")]
#![allow(missing_docs, reason = "a test")]

use arm_arch::{Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, Implementation, Privilege, Recorder, Regime, Registers, Stage1Registers, Step,
    Translation, Translator,
};
use std::convert::Infallible;

/// A table of level 0 whose entry skips level 1, then one of level 2 of 2^16 entries, then one of level 3.
struct Tables;

impl TableMemory<Pa> for Tables {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        let doubleword: u64 = match at.bits() {
            // SKL, bits 110:109, is 1.
            0x4000_0010 => 0x5000_0401,
            0x4000_0018 => 1 << 45,
            // Bits 35:20 of the address are 0xabcd.
            0x500a_bcd0 => 0x6000_0401,
            // Bits 19:12 are 0x9e; access flag, Inner Shareable, nDirty 0, PIIndex 0.
            0x6000_09e0 => 0x7000_0701,
            _ => 0,
        };
        Ok(Some(doubleword.to_le_bytes()))
    }
}

struct Indices(Vec<(u32, u32)>);

impl Recorder for Indices {
    fn record(&mut self, step: Step) {
        if let Step::Descriptor { index, .. } = step {
            self.0.push(index);
        }
    }
}

#[test]
fn a_table_that_skips_a_level_is_indexed_by_the_bits_of_two() {
    let el1 = Stage1Registers {
        sctlr: 1,
        // T0SZ 26: 38 bits; 4 KiB; IPS 48 bits.
        tcr: 5 << 32 | 26 << 16 | 26 | 2 << 30,
        tcr2: 1 << 5,
        ttbr0: 0x4000_0000,
        // PIIndex 0: read, write.
        pir: 5,
        ..Stage1Registers::default()
    };
    let registers = Registers { el1, hcrx_el2: 1 << 14, scr_el3: 1 | 1 << 43, ..Registers::default() };
    let translator = Translator::new(Regime::El1And0, &registers, &Implementation::ALL);
    let mut indices = Indices(Vec::new());
    let access = Access::new(AccessKind::Read, Privilege::Privileged);
    let found = translator.translate(Va::new(0x1a_bcd9_e123), access, &Tables, &mut indices);
    let Ok(Translation::Mapped(mapping)) = found else { panic!("{found:x?}") };
    assert_eq!(mapping.output, Pa::new(0x7000_0123));
    assert_eq!(indices.0, [(37, 36), (35, 20), (19, 12)]);
}
