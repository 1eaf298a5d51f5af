//! Arm stage 1 over DAT, by literal tables: which side faults, and what the control block says.
//! Codes after PoP ch. 6, TEID after PoP ch. 3, syndromes after Arm ARM, ESR_EL2.
#![cfg(all(feature = "vmsa", feature = "dat"))]
#![allow(missing_docs, clippy::panic, clippy::expect_used, clippy::type_complexity, reason = "a test")]

use arm_arch::{FaultStatus, Ipa, Level, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::combine::{Combined, Host, HostTables, walk};
use mmu_xlate::dat::Features;
use mmu_xlate::vmsa::{Access, AccessKind, El1Registers, Implementation, Params, Permissions, Privilege};
use s390_arch::addr::Absolute;
use s390_arch::dat::Asce;

/// Entries by absolute address: those of the host big-endian, those of the guest little-endian.
#[derive(Clone)]
struct Memory {
    host: Vec<(u64, u64)>,
    guest: Vec<(u64, u64)>,
}

impl TableMemory<Absolute> for Memory {
    type Error = &'static str;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Self::Error> {
        let find = |list: &[(u64, u64)]| list.iter().rev().find(|it| it.0 == at.bits()).map(|it| it.1);
        match (find(&self.host), find(&self.guest)) {
            (Some(entry), _) => Ok(Some(entry.to_be_bytes())),
            (None, Some(entry)) => Ok(Some(entry.to_le_bytes())),
            (None, None) if at.bits() >= 0xdead_0000 => Err("the host failed"),
            (None, None) => Ok(Some([0; 8])),
        }
    }
}

/// VA 0x4020_1234 by three tables at IPA 0x10_0000, 0x10_1000 and 0x10_2000 to IPA 0x20_3234, index 1
/// in each; the host has these at 0x50_0000, 0x51_0000, 0x52_0000 and 0x60_0000.
fn memory() -> Memory {
    Memory {
        host: vec![
            (0x13_0008, 0x14_0000), // segment 1: a page table
            (0x13_0010, 0x15_0000), // segment 2
            (0x14_0000, 0x50_0000), // pages 0x100 to 0x102
            (0x14_0008, 0x51_0000),
            (0x14_0010, 0x52_0000),
            (0x15_0018, 0x60_0000), // page 0x203
        ],
        guest: vec![(0x50_0008, 0x10_1003), (0x51_0008, 0x10_2003), (0x52_0008, 0x20_3743)],
    }
}

const VA: Va = Va::new(0x4020_1234);
const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
const WRITE: Access = Access::new(AccessKind::Write, Privilege::Privileged);
const FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Unprivileged);

/// 39-bit addresses, 4 KiB granule, 40-bit output; attribute 0 Normal Write-Back.
fn stage1() -> Params {
    let registers = El1Registers {
        sctlr: 0x1005,
        tcr: 0x2_8019_0019,
        ttbr0: 0x10_0000,
        mair: 0xff,
        ..Default::default()
    };
    Params::el1(&registers, &Implementation::ARMV8_0)
}

fn tables() -> HostTables {
    HostTables {
        asce: Asce::from_bits(0x13_0003),
        origin: 0,
        last: Ipa::new(0x3f_ffff),
        features: Features::ALL,
    }
}

fn mapped(combined: Result<Combined, &'static str>) -> Host {
    match combined {
        Ok(Combined::Mapped(host)) => host,
        other => panic!("{other:x?}"),
    }
}

#[test]
fn an_access_that_both_sides_permit_reaches_host_storage() {
    let found = mapped(walk(&stage1(), &tables(), VA, READ, &memory()));
    assert_eq!(found.absolute, Absolute::new(0x60_0234));
    assert_eq!((found.stage1.output, found.size_log2), (Ipa::new(0x20_3234), 12));
    assert_eq!(found.stage1.attributes.byte(), 0xff);
    assert!(found.permissions.contains(Permissions::PRIV_READ.union(Permissions::USER_WRITE)));
}

#[test]
fn protection_by_the_host_takes_writes_and_execution_away() {
    let mut protected = memory();
    protected.host.push((0x15_0018, 0x60_0200));
    let found = mapped(walk(&stage1(), &tables(), VA, READ, &protected));
    let all = mapped(walk(&stage1(), &tables(), VA, READ, &memory())).permissions;
    let writes = Permissions::PRIV_WRITE.union(Permissions::USER_WRITE);
    assert_eq!(found.permissions, all.without(writes));
    protected.host.push((0x15_0018, 0x60_0100));
    let found = mapped(walk(&stage1(), &tables(), VA, READ, &protected));
    assert_eq!(found.permissions, all.without(Permissions::USER_EXECUTE));
}

#[test]
fn a_refusal_of_the_host_is_told_in_the_control_block() {
    const INVALID: u64 = 0x400;
    const PAST: u64 = 0x1f_ffff;
    struct Case {
        name: &'static str,
        entry: (u64, u64),
        last: u64,
        access: Access,
        want: (u64, u16, u64, Option<Level>, bool),
    }
    let end = 0x3f_ffff;
    let cases = [
        Case {
            name: "the page of the first table",
            entry: (0x14_0000, INVALID),
            last: end,
            access: READ,
            want: (0x9200_0084, 0x11, 0x10_0800, Some(Level::L1), false),
        },
        Case {
            name: "the page of the last table, for a store",
            entry: (0x14_0010, INVALID),
            last: end,
            access: WRITE,
            want: (0x9200_00c4, 0x11, 0x10_2800, Some(Level::L3), false),
        },
        Case {
            name: "the page of the second table, for a fetch",
            entry: (0x14_0008, INVALID),
            last: end,
            access: FETCH,
            want: (0x8200_0084, 0x11, 0x10_1800, Some(Level::L2), false),
        },
        Case {
            name: "the segment of the output",
            entry: (0x13_0010, 0x20),
            last: end,
            access: READ,
            want: (0x9200_0004, 0x10, 0x20_3800, None, false),
        },
        Case {
            name: "the page of the output, for a store",
            entry: (0x15_0018, INVALID),
            last: end,
            access: WRITE,
            want: (0x9200_0044, 0x11, 0x20_3400, None, false),
        },
        Case {
            name: "a store to a protected page",
            entry: (0x15_0018, 0x60_0200),
            last: end,
            access: WRITE,
            want: (0x9200_004c, 0x04, 0x20_3404, None, false),
        },
        Case {
            name: "a fetch from a page protected from execution",
            entry: (0x15_0018, 0x60_0100),
            last: end,
            access: FETCH,
            want: (0x8200_000c, 0x04, 0x20_3884, None, false),
        },
        Case {
            name: "past the limit",
            entry: (0x15_0018, 0x60_0000),
            last: PAST,
            access: READ,
            want: (0x9200_0004, 0x05, 0x20_3800, None, true),
        },
    ];
    for Case { name, entry, last, access, want } in cases {
        let mut memory = memory();
        memory.host.push(entry);
        let tables = HostTables { last: Ipa::new(last), ..tables() };
        let Ok(Combined::Host(got)) = walk(&stage1(), &tables, VA, access, &memory) else {
            panic!("{name}: the host permits it");
        };
        let (esr, pic, teid, gltl, past) = want;
        assert_eq!(got.esr.into_bits(), esr, "{name}: {:#x}", got.esr.into_bits());
        assert_eq!(got.pic.0, pic, "{name}");
        assert_eq!(u64::from(got.teid), teid, "{name}: {:#x}", u64::from(got.teid));
        assert_eq!((got.gltl, got.past_limit, got.far), (gltl, past, VA), "{name}");
    }
}

#[test]
fn a_fault_of_stage_1_is_the_guests_own() {
    let mut invalid = memory();
    invalid.guest.push((0x52_0008, 0));
    let Ok(Combined::Guest(fault)) = walk(&stage1(), &tables(), VA, WRITE, &invalid) else {
        panic!("nothing is mapped");
    };
    assert_eq!(fault.status, FaultStatus::Translation(Level::L3));
}

#[test]
fn the_origin_moves_the_guest_in_the_address_space() {
    let mut moved = memory();
    // Segments 3 and 4 instead of 1 and 2.
    moved.host.extend([(0x13_0008, 0x20), (0x13_0010, 0x20), (0x13_0018, 0x14_0000), (0x13_0020, 0x15_0000)]);
    let tables = HostTables { origin: 0x20_0000, ..tables() };
    let found = mapped(walk(&stage1(), &tables, VA, READ, &moved));
    assert_eq!((found.absolute, found.stage1.output), (Absolute::new(0x60_0234), Ipa::new(0x20_3234)));
}

#[test]
fn a_failing_host_is_an_error() {
    let mut failing = memory();
    failing.host.push((0x14_0008, 0xdead_0000));
    assert_eq!(walk(&stage1(), &tables(), VA, READ, &failing), Err("the host failed"));
}

use mmu_xlate::combine::{CombinedAt, at, walk_updating};
use mmu_xlate::vmsa::{AtContext, AtOperation, Registers, Stage1Registers};
use mmu_xlate::{Swap, TableUpdate};
use std::cell::RefCell;

/// The same memory, with what is written to the guest's part.
struct Written(Memory, RefCell<Vec<(u64, u64)>>);

impl TableMemory<Absolute> for Written {
    type Error = &'static str;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Self::Error> {
        let written = self.1.borrow().iter().rev().find(|it| it.0 == at.bits()).map(|it| it.1);
        written.map_or_else(|| self.0.load(at), |value| Ok(Some(value.to_le_bytes())))
    }
}

impl TableUpdate<Absolute> for Written {
    fn compare_exchange(&self, at: Absolute, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Self::Error> {
        if self.load(at)? != Some(old) {
            return Ok(Swap::Lost);
        }
        self.1.borrow_mut().push((at.bits(), u64::from_le_bytes(new)));
        Ok(Swap::Done)
    }
}

/// The registers of [`stage1`], hardware setting the access flag (TCR_EL1.HA, bit 39) and `more` bits.
fn registers(tcr2: u64) -> Registers {
    let el1 = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x2_8019_0019 | 1 << 39,
        tcr2,
        ttbr0: 0x10_0000,
        mair: 0xff,
        ..Stage1Registers::default()
    };
    // SCR_EL3: NS, TCR2En; HCRX_EL2.TCR2En.
    Registers { el1, scr_el3: 1 | 1 << 43, hcrx_el2: 1 << 14, ..Registers::default() }
}

#[test]
fn an_update_of_the_guests_tables_is_a_store_to_the_host() {
    use mmu_xlate::vmsa::Regime;
    let params = Params::new(Regime::El1And0, &registers(0), &Implementation::ALL);
    // The leaf without its access flag.
    let mut clear = memory();
    clear.guest.push((0x52_0008, 0x20_3343));
    let written = Written(clear.clone(), RefCell::default());
    let found = mapped(walk_updating(&params, &tables(), VA, READ, &written));
    assert_eq!(found.absolute, Absolute::new(0x60_0234));
    assert_eq!(*written.1.borrow(), [(0x52_0008, 0x20_3743)]);
    // The host protects the page of the last table: protection exception for a store, TEID 0x10_2404 with
    // the store indication (0x400) and bit 61 (0x4), on level 3; the load's own direction is in WnR.
    clear.host.push((0x14_0010, 0x52_0200));
    let protected = Written(clear, RefCell::default());
    let Ok(Combined::Host(got)) = walk_updating(&params, &tables(), VA, READ, &protected) else {
        panic!("the host protects the table");
    };
    assert_eq!((got.pic.0, u64::from(got.teid), got.gltl), (0x04, 0x10_2404, Some(Level::L3)));
    assert_eq!(got.esr.into_bits(), 0x9200_008c, "Permission, level 0, S1PTW");
    assert_eq!((got.ipa, got.far), (Ipa::new(0x10_2008), VA));
}

#[test]
fn a_table_that_skips_levels_is_named_by_its_own() {
    use mmu_xlate::vmsa::Regime;
    // 128-bit descriptors (TCR2_EL1.D128, bit 5), 39 bits from level 1: (39 - 1 - 12) / 8 = 3 levels below 3,
    // so level 0, with 3 index bits: entry 0 at IPA 0x10_0000. SKL 1 (bit 109) there: the next table is of level 2.
    let params = Params::new(Regime::El1And0, &registers(1 << 5), &Implementation::ALL);
    let mut wide = memory();
    wide.guest = vec![(0x50_0000, 0x10_1003), (0x50_0008, 1 << 45)];
    // That table has 16 index bits, VA[35:20] = 0x402, and is as large as 2^(16+4), so that it starts at 0x10_0000
    // (the bits of 0x10_1000 below its size are not looked at): the entry is at 0x10_4020. The host does not map that page, 0x104.
    wide.host.push((0x14_0020, 0x400));
    let Ok(Combined::Host(got)) = walk(&params, &tables(), VA, READ, &wide) else { panic!("not mapped") };
    assert_eq!((got.gltl, got.pic.0), (Some(Level::L2), 0x11));
}

#[test]
fn at_asks_stage_1_alone_and_may_be_intercepted_on_its_tables() {
    let run = |memory: &Memory| {
        let context = AtContext { el: arm_arch::ExceptionLevel::El1, pan: false };
        let state = (&registers(0), &Implementation::ALL);
        at(AtOperation::S1E1R, VA, context, state, &tables(), memory)
    };
    // PA 0x20_3000, ATTR 0xff, SH 0b11 (descriptor bits 9:8 of 0x743), bit 11 RES1; the host does not map 0x20_3000.
    let mut unmapped = memory();
    unmapped.host.push((0x15_0018, 0x400));
    assert_eq!(run(&unmapped), Ok(CombinedAt::Par(0xff00_0000_0020_3980)));
    // A table that the host does not map: EC 0x24, CM, S1PTW, WnR, Translation, level 0.
    let mut unmapped = memory();
    unmapped.host.push((0x14_0008, 0x400));
    let Ok(CombinedAt::Host(got)) = run(&unmapped) else { panic!("an interception is due") };
    assert_eq!((got.esr.into_bits(), got.gltl), (0x9200_01c4, Some(Level::L2)));
    assert_eq!(u64::from(got.teid), 0x10_1800);
}
