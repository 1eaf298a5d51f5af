//! Cache maintenance does not stop at a clear access flag, and sets it only where hardware manages it. Arm ARM D8.5.1,
//! TCR_EL1.HA, VTCR_EL2.HA.
#![cfg(feature = "vmsa")]
#![allow(missing_docs, clippy::panic, reason = "a test")]

use arm_arch::{Pa, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, Implementation, Privilege, Regime, Registers, Stage1Registers, Translation,
    Translator,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use std::cell::RefCell;
use std::convert::Infallible;

/// Of stage 1 at 0x4000_0000 and of stage 2 at 0x5000_0000 the first entries: 1 GiB from 0 on, access flag clear, all
/// accesses permitted.
struct Tables(RefCell<Vec<(u64, u64)>>);

impl TableMemory<Pa> for Tables {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        let descriptor: u64 = match at.bits() {
            0x4000_0000 => 0x341,
            // The tables of stage 1 lie in the second GiB, which has been used.
            0x5000_0008 => 0x4000_07fd,
            0x5000_0000 => 0x3fd,
            _ => 0,
        };
        Ok(Some(descriptor.to_le_bytes()))
    }
}

impl TableUpdate<Pa> for Tables {
    fn compare_exchange(&self, at: Pa, _: [u8; 8], new: [u8; 8]) -> Result<Swap, Infallible> {
        self.0.borrow_mut().push((at.bits(), u64::from_le_bytes(new)));
        Ok(Swap::Done)
    }
}

/// 39 bits, 4 KiB, 40 bits out: stage 1 and, where `nested`, stage 2 from level 1.
fn registers(nested: bool, first_ha: u64, second_ha: u64) -> Registers {
    let el1 = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x2_8019_0019 | first_ha << 39,
        ttbr0: 0x4000_0000,
        mair: 0xff,
        ..Stage1Registers::default()
    };
    Registers {
        el1,
        scr_el3: 1,
        hcr_el2: u64::from(nested),
        vtcr_el2: 0x8002_0059 | second_ha << 21,
        vttbr_el2: 0x5000_0000,
        ..Registers::default()
    }
}

/// A name, registers, and what is written where.
type Case = (&'static str, Registers, &'static [(u64, u64)]);

#[test]
fn maintenance_sets_the_access_flag_only_where_hardware_manages_it() {
    const FIRST: (u64, u64) = (0x4000_0000, 0x741);
    const SECOND: (u64, u64) = (0x5000_0000, 0x7fd);
    let cases: [Case; 6] = [
        ("stage 1, HA 0", registers(false, 0, 0), &[]),
        ("stage 1, HA 1", registers(false, 1, 0), &[FIRST]),
        ("both, HA 0", registers(true, 0, 0), &[]),
        ("both, HA of stage 1", registers(true, 1, 0), &[FIRST]),
        ("both, HA of stage 2", registers(true, 0, 1), &[SECOND]),
        ("both, HA 1", registers(true, 1, 1), &[FIRST, SECOND]),
    ];
    for (name, registers, want) in cases {
        let translator = Translator::new(Regime::El1And0, &registers, &Implementation::ALL);
        for kind in [AccessKind::Clean, AccessKind::CleanInvalidate, AccessKind::Invalidate] {
            let tables = Tables(RefCell::default());
            let access = Access::new(kind, Privilege::Privileged);
            let found = translator.translate_updating(Va::new(0x1234), access, &tables, &mut ());
            let Ok(Translation::Mapped(mapping)) = found else { panic!("{name}, {kind:?}: {found:x?}") };
            assert_eq!(mapping.output, Pa::new(0x1234), "{name}, {kind:?}");
            assert_eq!(*tables.0.borrow(), want, "{name}, {kind:?}");
        }
    }
}
