//! Granule protection checks by hand: each case a register value or a table entry, worked out from the manual's tables.
//!
//! The plain setting: GPCCR_EL3 0x13502 is GPC 1, SH 0b11, ORGN and IRGN 0b01, PGS 0b00 (4 KiB), L0GPTSZ 0 (1 GiB), PPS 0b010
//! (40 bits); GPTBR_EL3 0x80000 is a table at 0x8000_0000. The address 0x40_1234_5678 has
//!
//! ```text
//!  level 0 index  [39:30]  0x40_1234_5678 >> 30           = 0x100   entry at 0x8000_0000 + 8 * 0x100  = 0x8000_0800
//!  level 1 index  [29:16]  0x1234_5678 >> 16              = 0x1234  entry at 0x9000_0000 + 8 * 0x1234 = 0x9000_91a0
//!  GPI            [15:12]  5, that is bits [23:20] of the entry
//! ```
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use arm_arch::{EsrEl, ExceptionLevel, FaultStatus, Ipa, Level, Pa, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtExecution, AtOperation, El1Registers, Fault, GranuleCheck,
    GranuleExtent, GranuleFault, GranuleLevel, GranuleProtection, GranuleReason, GranuleRefusal,
    GranuleRegisters, GranuleReport, Guarded, Implementation, Located, Params, Privilege, Recorder, Regime,
    Registers, RoutesDenials, Space, Stage, Stage1Registers, Step, TableCache, Translation, Translator,
    execute_at, walk, walk_recorded,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;

use GranuleLevel::{L0, L1};
use GranuleReason::{AddressSize, Denied, External, Walk};
use Space::{NonSecure, Realm, Root, Secure};

const PLAIN: GranuleRegisters = GranuleRegisters { gpccr_el3: 0x1_3502, gptbr_el3: 0x8_0000 };
const MACHINE: Implementation = Implementation { rme: true, ..Implementation::ALL };
const ADDRESS: u64 = 0x40_1234_5678;
const FIRST: u64 = 0x8000_0800;
const SECOND: u64 = 0x9000_91a0;
const TABLE: u64 = 0x9000_0003;
/// GPI 5 is Non-secure, all others are Realm.
const GRANULES: u64 = 0xbbbb_bbbb_bb9b_bbbb;

/// Memory by address and space; nothing elsewhere.
struct Spaces(HashMap<(u64, Space), u64>);

impl Spaces {
    fn of(entries: &[(u64, u64)]) -> Self {
        Self(entries.iter().map(|&(at, value)| ((at, Root), value)).collect())
    }
}

impl TableMemory<Located> for Spaces {
    type Error = Infallible;

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, Infallible> {
        Ok(self.0.get(&(at.pa.bits(), at.space)).map(|value| value.to_le_bytes()))
    }
}

fn check_in(
    machine: &Implementation,
    registers: &GranuleRegisters,
    (address, space): (u64, Space),
    entries: &[(u64, u64)],
) -> GranuleCheck {
    let at = Located { pa: Pa::new(address), space };
    let Ok(answer) = GranuleProtection::new(registers, machine).check(at, &Spaces::of(entries));
    answer
}

fn check(registers: &GranuleRegisters, at: (u64, Space), entries: &[(u64, u64)]) -> GranuleCheck {
    check_in(&MACHINE, registers, at, entries)
}

const fn passed(size_log2: u8) -> GranuleCheck {
    GranuleCheck::Passed(GranuleExtent::Entry { size_log2 })
}

const fn fault(reason: GranuleReason, level: GranuleLevel) -> GranuleCheck {
    GranuleCheck::Fault(GranuleFault { reason, level })
}

/// Arm ARM, GPICheck: the spaces that each GPI admits.
#[test]
fn a_granule_admits_the_space_that_its_gpi_names() {
    const CASES: &[(u64, [bool; 4])] = &[
        (0b0000, [false, false, false, false]),
        (0b1000, [true, false, false, false]),
        (0b1001, [false, true, false, false]),
        (0b1010, [false, false, true, false]),
        (0b1011, [false, false, false, true]),
        (0b1111, [true, true, true, true]),
    ];
    for &(gpi, admitted) in CASES {
        for (space, admitted) in [Secure, NonSecure, Root, Realm].into_iter().zip(admitted) {
            // The others are 0b0000 or, where that would be the contiguous form, still 0b0000.
            let granules = [(FIRST, TABLE), (SECOND, gpi << 20)];
            let want = if admitted { passed(12) } else { fault(Denied, L1) };
            assert_eq!(check(&PLAIN, (ADDRESS, space), &granules), want, "GPI {gpi:#x} {space:?}, GPICheck");
            let block = [(FIRST, gpi << 4 | 1)];
            let want = if admitted { passed(30) } else { fault(Denied, L0) };
            assert_eq!(check(&PLAIN, (ADDRESS, space), &block), want, "block {gpi:#x} {space:?}, GPICheck");
        }
    }
}

#[test]
fn each_nibble_is_of_one_granule() {
    for number in 0..16 {
        // GPI `number` is Non-secure, all others Realm.
        let entry = 0xbbbb_bbbb_bbbb_bbbb ^ 2 << (4 * number);
        let entries = [(FIRST, TABLE), (SECOND, entry)];
        for granule in 0..16 {
            let address = 0x40_1234_0000 | granule << 12;
            let want = if granule == number { passed(12) } else { fault(Denied, L1) };
            assert_eq!(check(&PLAIN, (address, NonSecure), &entries), want, "{number} {granule}: GPIIndex");
        }
    }
}

/// Arm ARM, DecodeGPTBlock, DecodeGPTTable, DecodeGPTContiguous, DecodeGPTGranules.
#[test]
fn entries_that_are_reserved_are_walk_faults() {
    struct Case {
        name: &'static str,
        entries: &'static [(u64, u64)],
        want: GranuleCheck,
    }
    const fn case(name: &'static str, entries: &'static [(u64, u64)], want: GranuleCheck) -> Case {
        Case { name, entries, want }
    }
    const CASES: &[Case] = &[
        case("table and granules", &[(FIRST, TABLE), (SECOND, GRANULES)], passed(12)),
        case("level 0, 0b0000", &[(FIRST, 0)], fault(Walk, L0)),
        case("level 0, 0b0010", &[(FIRST, 0x9000_0002)], fault(Walk, L0)),
        case("level 0, 0b1111", &[(FIRST, 0xff)], fault(Walk, L0)),
        case("block, bit 8", &[(FIRST, 0x191)], fault(Walk, L0)),
        case("block, bit 63", &[(FIRST, 1 << 63 | 0x91)], fault(Walk, L0)),
        case("block, GPI 0b0111", &[(FIRST, 0x71)], fault(Walk, L0)),
        case("table, bit 4", &[(FIRST, TABLE | 1 << 4)], fault(Walk, L0)),
        case("table, bit 11", &[(FIRST, TABLE | 1 << 11)], fault(Walk, L0)),
        case("table, bit 52", &[(FIRST, TABLE | 1 << 52)], fault(Walk, L0)),
        // A table of level 1 has 2^(30 - 16) entries: 128 KiB, so bits [16:12] are 0.
        case("table, bit 12", &[(FIRST, TABLE | 1 << 12)], fault(Walk, L0)),
        case("table, bit 16", &[(FIRST, TABLE | 1 << 16)], fault(Walk, L0)),
        case("table, bit 17", &[(FIRST, TABLE | 1 << 17), (SECOND | 1 << 17, GRANULES)], passed(12)),
        case("table above 40 bits", &[(FIRST, TABLE | 1 << 40)], fault(AddressSize, L0)),
        case("table at 39 bits", &[(FIRST, TABLE | 1 << 39), (SECOND | 1 << 39, GRANULES)], passed(12)),
        case("contiguous, 2 MiB", &[(FIRST, TABLE), (SECOND, 0x191)], passed(21)),
        case("contiguous, 32 MiB", &[(FIRST, TABLE), (SECOND, 0x291)], passed(25)),
        case("contiguous, 512 MiB", &[(FIRST, TABLE), (SECOND, 0x391)], passed(29)),
        case("contiguous, 0b00", &[(FIRST, TABLE), (SECOND, 0x091)], fault(Walk, L1)),
        case("contiguous, bit 10", &[(FIRST, TABLE), (SECOND, 0x591)], fault(Walk, L1)),
        case("contiguous, GPI 0b0100", &[(FIRST, TABLE), (SECOND, 0x141)], fault(Walk, L1)),
        case("contiguous, of Realm", &[(FIRST, TABLE), (SECOND, 0x1b1)], fault(Denied, L1)),
        // 0b0011 is no table at level 1, but a reserved GPI 0.
        case("granules, GPI 0", &[(FIRST, TABLE), (SECOND, GRANULES ^ 8)], fault(Walk, L1)),
        case("granules, GPI 15", &[(FIRST, TABLE), (SECOND, GRANULES ^ 1 << 63)], fault(Walk, L1)),
        case("no memory, level 0", &[], fault(External, L0)),
        case("no memory, level 1", &[(FIRST, TABLE)], fault(External, L1)),
    ];
    for case in CASES {
        assert_eq!(check(&PLAIN, (ADDRESS, NonSecure), case.entries), case.want, "{}", case.name);
    }
}

#[test]
fn the_secure_space_is_one_where_secure_el2_is() {
    let without = Implementation { sel2: false, ..MACHINE };
    let block = [(FIRST, 0x81)];
    let granules = [(FIRST, TABLE), (SECOND, 0x9999_9999_9999_9998)];
    assert_eq!(check(&PLAIN, (ADDRESS, Secure), &block), passed(30));
    assert_eq!(check_in(&without, &PLAIN, (ADDRESS, Secure), &block), fault(Walk, L0), "GPIValid");
    assert_eq!(check(&PLAIN, (ADDRESS, NonSecure), &granules), passed(12));
    assert_eq!(check_in(&without, &PLAIN, (ADDRESS, NonSecure), &granules), fault(Walk, L1), "GPIValid");
}

/// Arm ARM, GPCRegistersConsistent, DecodePPS, GPTL0Size.
#[test]
fn register_fields_decide_before_any_table() {
    struct Case {
        name: &'static str,
        gpccr_el3: u64,
        want: GranuleCheck,
    }
    const fn case(name: &'static str, gpccr_el3: u64, want: GranuleCheck) -> Case {
        Case { name, gpccr_el3, want }
    }
    const EVERYWHERE: GranuleCheck = GranuleCheck::Passed(GranuleExtent::Unprotected);
    const CASES: &[Case] = &[
        case("GPC 0", 0x3502, EVERYWHERE),
        case("GPC 0, all else reserved", 0xf0_d107, EVERYWHERE),
        case("PPS 0b111", 0x1_3507, fault(Walk, L0)),
        case("PPS 0b110 of 48 bits", 0x1_3506, fault(Walk, L0)),
        case("PPS 0b101 of 48 bits", 0x1_3505, fault(External, L0)),
        case("PGS 0b11", 0x1_f502, fault(Walk, L0)),
        case("SH 0b01", 0x1_1502, fault(Walk, L0)),
        case("SH 0b00", 0x1_0502, fault(External, L0)),
        // Non-cacheable twice: SH has to be 0b10.
        case("ORGN and IRGN 0, SH 0b11", 0x1_3002, fault(Walk, L0)),
        case("ORGN and IRGN 0, SH 0b10", 0x1_2002, fault(External, L0)),
        case("ORGN 0 alone, SH 0b11", 0x1_3102, fault(External, L0)),
        case("L0GPTSZ 0b0001", 0x11_3502, fault(Walk, L0)),
        case("L0GPTSZ 0b0100", 0x41_3502, fault(External, L0)),
        case("L0GPTSZ 0b0110", 0x61_3502, fault(External, L0)),
        case("L0GPTSZ 0b1001", 0x91_3502, fault(External, L0)),
    ];
    let machine = Implementation { pa_bits: 48, ..MACHINE };
    for case in CASES {
        let registers = GranuleRegisters { gpccr_el3: case.gpccr_el3, ..PLAIN };
        assert_eq!(check_in(&machine, &registers, (ADDRESS, Realm), &[]), case.want, "{}", case.name);
    }
}

#[test]
fn above_the_protected_memory_all_is_non_secure() {
    let nothing: &[(u64, u64)] = &[];
    let last = 0xff_ffff_ffff;
    // Index [39:30] of the last byte is 0x3ff.
    assert_eq!(check(&PLAIN, (last, Root), &[(0x8000_1ff8, 0xa1)]), passed(30));
    let free = GranuleCheck::Passed(GranuleExtent::Unprotected);
    assert_eq!(check(&PLAIN, (last + 1, NonSecure), nothing), free);
    for space in [Secure, Root, Realm] {
        assert_eq!(check(&PLAIN, (last + 1, space), nothing), fault(Denied, L0), "{space:?}");
    }
    // The register's own address: bit 40 is BADDR bit 28.
    let above = GranuleRegisters { gptbr_el3: 1 << 28, ..PLAIN };
    assert_eq!(check(&above, (ADDRESS, NonSecure), nothing), fault(AddressSize, L0));
}

/// Arm ARM, GPTLevel0Index, GPTLevel1Index, GPIIndex: which entries the address is looked up in.
#[test]
fn granule_and_level_0_size_place_the_indices() {
    struct Case {
        name: &'static str,
        registers: GranuleRegisters,
        entries: [(u64, u64); 2],
        want: GranuleCheck,
    }
    let with = |gpccr_el3, gptbr_el3| GranuleRegisters { gpccr_el3, gptbr_el3 };
    let cases = [
        Case {
            // PGS 0b10: 0x1234_5678 >> 18 = 0x48d, and [17:14] = 1.
            name: "16 KiB",
            registers: with(0x1_b502, 0x8_0000),
            entries: [(0x8000_0800, 0x9000_8003), (0x9000_8000 + 8 * 0x48d, 0x90)],
            want: passed(14),
        },
        Case {
            // PGS 0b01: 0x1234_5678 >> 20 = 0x123, and [19:16] = 4. A table of 2^10 entries: 8 KiB.
            name: "64 KiB",
            registers: with(0x1_7502, 0x8_0000),
            entries: [(0x8000_0800, 0x9000_2003), (0x9000_2000 + 8 * 0x123, 0x9_0000)],
            want: passed(16),
        },
        Case {
            name: "64 KiB, a table on 4 KiB",
            registers: with(0x1_7502, 0x8_0000),
            entries: [(0x8000_0800, 0x9000_1003), (0x9000_1000 + 8 * 0x123, 0x9_0000)],
            want: fault(Walk, L0),
        },
        Case {
            // L0GPTSZ 0b0100: 0x40_1234_5678 >> 34 = 0x10, and [33:16] = 0x1234.
            name: "16 GiB",
            registers: with(0x41_3502, 0x8_0000),
            entries: [(0x8000_0080, 0x9000_0003), (0x9000_91a0, 0x90_0000)],
            want: passed(12),
        },
        Case {
            // L0GPTSZ 0b0110: 0x40_1234_5678 >> 36 = 4.
            name: "64 GiB, a block",
            registers: with(0x61_3502, 0x8_0000),
            entries: [(0x8000_0020, 0x91), (0, 0)],
            want: passed(36),
        },
        Case {
            // L0GPTSZ 0b1001 and 52 bits: 0x40_1234_5678 >> 39 = 0.
            name: "512 GiB, a block",
            registers: with(0x91_3506, 0x8_0000),
            entries: [(0x8000_0000, 0x91), (0, 0)],
            want: passed(39),
        },
        Case {
            // 2^(40 - 30) entries are 8 KiB: BADDR bit 0, address bit 12, does not count.
            name: "base within its table",
            registers: with(0x1_3502, 0x8_0001),
            entries: [(0x8000_0800, 0x91), (0, 0)],
            want: passed(30),
        },
        Case {
            // 2^(40 - 34) entries are 512 bytes, but 4 KiB is the least: BADDR bit 0 counts.
            name: "base of the least table",
            registers: with(0x41_3502, 0x8_0001),
            entries: [(0x8000_1080, 0x91), (0, 0)],
            want: passed(34),
        },
    ];
    for case in cases {
        assert_eq!(check(&case.registers, (ADDRESS, NonSecure), &case.entries), case.want, "{}", case.name);
    }
    // 32 bits of protected memory, and 512 GiB an entry: one entry, whatever the address.
    let small = with(0x91_3500, 0x8_0000);
    assert_eq!(check(&small, (0xffff_f000, Realm), &[(0x8000_0000, 0xb1)]), passed(39));
}

/// Arm ARM, EncodeGPCSC, ESR_EL3 xFSC, ReportAsGPCException.
#[test]
fn a_fault_is_reported_by_reason_level_and_walk() {
    use ExceptionLevel::{El1, El3};
    use RoutesDenials::{AsAborts, ToEl3};
    const CASES: &[(GranuleReason, GranuleLevel, u8, [bool; 3])] = &[
        // From EL1 with SCR_EL3.GPF 0 and 1, from EL3 with 1.
        (AddressSize, L0, 0b00_0000, [true, true, true]),
        (Walk, L0, 0b00_0100, [true, true, true]),
        (Walk, L1, 0b00_0101, [true, true, true]),
        (Denied, L0, 0b00_1100, [false, true, false]),
        (Denied, L1, 0b00_1101, [false, true, false]),
        (External, L0, 0b01_0100, [true, true, true]),
        (External, L1, 0b01_0101, [true, true, true]),
    ];
    for &(reason, level, gpcsc, taken) in CASES {
        let fault = GranuleFault { reason, level };
        assert_eq!(fault.gpcsc(), gpcsc, "{fault:?}");
        let got =
            [(AsAborts, El1), (ToEl3, El1), (ToEl3, El3)].map(|(gpf, el)| fault.is_taken_to_el3(gpf, el));
        assert_eq!(got, taken, "{fault:?}");
        assert_eq!(fault.status(None), FaultStatus::GranuleProtection);
        assert_eq!(fault.status(None).encode(), 0b10_1000);
        assert_eq!(fault.status(Some(Level::L2)).encode(), 0b10_0110);
        assert_eq!(fault.status(Some(Level::Minus1)).encode(), 0b10_0011);
    }
    assert_eq!(RoutesDenials::of(1 << 48), ToEl3);
    assert_eq!(RoutesDenials::of(!(1 << 48)), AsAborts);
}

/// EL1&0, 4 KiB, T0SZ 25: tables at 0x4000_0000 and 0x4000_1000, a block of 2 MiB to 0x8060_0000. Stage 2 of 40 bits, from level
/// 1: 0x4000_0000 to 0xc000_0000 by a block of 1 GiB, 0x8060_0000 to 0xc060_0000 by a table at 0x5100_0000.
///
/// ```text
///  asked for              in the walk                                   level 0 entry, level 1 entry of its GPI
///  0x5000_0008            stage 2, level 1, for table 0x4000_0000       0x8000_0008, 0x9002_8000 [3:0]
///  0xc000_0000            stage 1, level 1                              0x8000_0018, 0x9000_0000 [3:0]
///  0x5000_0008            stage 2, level 1, for table 0x4000_1008
///  0xc000_1008            stage 1, level 2                                           0x9000_0000 [7:4]
///  0x5000_0010            stage 2, level 1, for 0x8060_0123
///  0x5100_0018            stage 2, level 2, for 0x8060_0123                          0x9002_8800 [3:0]
///  0xc060_0123            the access                                                 0x9000_0300 [3:0]
/// ```
fn two_stages(scr_el3: u64, hcr_el2: u64) -> Registers {
    let el1 =
        Stage1Registers { sctlr: 5, tcr: 25 | 2 << 32, ttbr0: 0x4000_0000, mair: 0xff, ..Default::default() };
    let (scr_el3, hcr_el2) = (scr_el3 | 1, hcr_el2 | 1);
    Registers { el1, scr_el3, hcr_el2, vtcr_el2: 0x8002_0058, vttbr_el2: 0x5000_0000, ..Default::default() }
}

/// The tables of [`two_stages`], and of granule protection with these changes.
fn tables(changes: &[(u64, u64)]) -> Spaces {
    let mut memory = Spaces::of(&[
        (0x8000_0008, 0x9002_0003),
        (0x8000_0018, 0x9000_0003),
        (0x9002_8000, 0x9),
        (0x9002_8800, 0x9),
        (0x9000_0000, 0x99),
        (0x9000_0300, 0x9),
    ]);
    memory.0.extend(changes.iter().map(|&(at, value)| ((at, Root), value)));
    memory.0.extend([
        ((0x5000_0008, NonSecure), 0xc000_07fd),
        ((0x5000_0010, NonSecure), 0x5100_0003),
        ((0x5100_0018, NonSecure), 0xc060_07fd),
        ((0xc000_0000, NonSecure), 0x4000_1003),
        ((0xc000_1008, NonSecure), 0x8060_0401),
    ]);
    memory
}

const VA: Va = Va::new(0x20_0123);
const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);

/// Hears all, so that the walk takes no short way.
struct Ears(Vec<Step>);

impl Recorder for Ears {
    fn record(&mut self, step: Step) {
        self.0.push(step);
    }
}

struct Refused {
    name: &'static str,
    /// What differs in the tables of granule protection.
    change: (u64, u64),
    status: FaultStatus,
    stage: Stage,
    s1ptw: bool,
    ipa: Option<u64>,
    at: u64,
    level: GranuleLevel,
    hpfar: Option<u64>,
    /// PAR_EL1 of AT S12E1R at EL2: F, FST, PTW, S, RES1.
    par: u64,
    /// ESR_EL3 of it with SCR_EL3.GPF 1: EC 0x1e, IL, S2PTW, GPCSC, CM, S1PTW, WnR, xFSC.
    esr: u64,
}

const REFUSED: &[Refused] = &[
    Refused {
        name: "a table of stage 2, for one of stage 1",
        change: (0x9002_8000, 0xb),
        status: FaultStatus::GranuleProtectionOnWalk(Level::L1),
        stage: Stage::Two,
        s1ptw: true,
        ipa: Some(0x4000_0000),
        at: 0x5000_0008,
        level: L1,
        hpfar: Some(0x40_0000),
        par: 1 | 0b10_0101 << 1 | 1 << 8 | 1 << 9 | 1 << 11,
        esr: 0x7a00_0000 | 1 << 21 | 0b00_1101 << 14 | 1 << 8 | 1 << 7 | 1 << 6 | 0b10_0101,
    },
    Refused {
        name: "a table of stage 1",
        change: (0x9000_0000, 0x9b),
        status: FaultStatus::GranuleProtectionOnWalk(Level::L1),
        stage: Stage::One,
        s1ptw: false,
        ipa: None,
        at: 0xc000_0000,
        level: L1,
        hpfar: None,
        par: 1 | 0b10_0101 << 1 | 1 << 11,
        esr: 0x7a00_0000 | 0b00_1101 << 14 | 1 << 8 | 1 << 6 | 0b10_0101,
    },
    Refused {
        name: "the next table of stage 1",
        change: (0x9000_0000, 0xb9),
        status: FaultStatus::GranuleProtectionOnWalk(Level::L2),
        stage: Stage::One,
        s1ptw: false,
        ipa: None,
        at: 0xc000_1008,
        level: L1,
        hpfar: None,
        par: 1 | 0b10_0110 << 1 | 1 << 11,
        esr: 0x7a00_0000 | 0b00_1101 << 14 | 1 << 8 | 1 << 6 | 0b10_0110,
    },
    Refused {
        name: "a table of stage 2, for the access",
        change: (0x9002_8800, 0xb),
        status: FaultStatus::GranuleProtectionOnWalk(Level::L2),
        stage: Stage::Two,
        s1ptw: false,
        ipa: Some(0x8060_0123),
        at: 0x5100_0018,
        level: L1,
        hpfar: Some(0x80_6000),
        par: 1 | 0b10_0110 << 1 | 1 << 9 | 1 << 11,
        esr: 0x7a00_0000 | 1 << 21 | 0b00_1101 << 14 | 1 << 8 | 1 << 6 | 0b10_0110,
    },
    Refused {
        name: "all of a GiB, by its block",
        change: (0x8000_0018, 0xb1),
        status: FaultStatus::GranuleProtectionOnWalk(Level::L1),
        stage: Stage::One,
        s1ptw: false,
        ipa: None,
        at: 0xc000_0000,
        level: L0,
        hpfar: None,
        par: 1 | 0b10_0101 << 1 | 1 << 11,
        esr: 0x7a00_0000 | 0b00_1100 << 14 | 1 << 8 | 1 << 6 | 0b10_0101,
    },
];

/// Arm ARM, FetchDescriptor, HPFAR_EL2, PAR_EL1, TakeGPCException.
#[test]
fn a_table_out_of_reach_is_a_fault_of_its_level_and_stage() {
    let registers = two_stages(0, 0);
    let translator = Translator::new(Regime::El1And0, &registers, &MACHINE);
    let protection = GranuleProtection::new(&PLAIN, &MACHINE);
    for case in REFUSED {
        let memory = &tables(&[case.change]);
        let guarded = Guarded { memory, protection: &protection };
        let fault = GranuleFault { reason: Denied, level: case.level };
        let refusal = GranuleRefusal { fault, at: Located { pa: Pa::new(case.at), space: NonSecure } };
        let want = Fault {
            stage: case.stage,
            s1ptw: case.s1ptw,
            ipa: case.ipa.map(Ipa::new),
            granule: Some(refusal),
            ..Fault::stage_1(case.status, false)
        };
        let mut ears = Ears(Vec::new());
        let mut cache = TableCache::<64>::new();
        for answer in [
            translator.translate(VA, READ, &guarded, &mut ()),
            translator.translate(VA, READ, &guarded, &mut ears),
            translator.translate_cached(VA, READ, &guarded, &mut (), &mut cache),
        ] {
            let Ok(answer) = answer;
            assert_eq!(answer, Translation::Fault(want), "{}", case.name);
        }
        assert!(ears.0.contains(&Step::Fault(want)), "{}", case.name);
        let told = ears.0.iter().rev().find_map(|step| match step {
            Step::Granule(report) => report.refusal(),
            _ => None,
        });
        assert_eq!(told, Some(refusal), "{}", case.name);
        assert_eq!(want.hpfar(NonSecure), case.hpfar, "{}: HPFAR_EL2", case.name);
        assert_eq!(refusal.mfar(), case.at & !0xfff | 1 << 63, "{}: MFAR_EL3", case.name);
        let context = AtContext { el: ExceptionLevel::El2, pan: false };
        let run = |registers: &Registers| {
            let operation = (AtOperation::S12E1R, 3);
            let Ok(end) = execute_at(operation, VA, context, (registers, &MACHINE), &guarded, &mut ());
            end
        };
        assert_eq!(run(&registers), AtExecution::Par(case.par.into()), "{}: PAR_EL1", case.name);
        let end = run(&two_stages(1 << 48, 0));
        let AtExecution::Abort { target, .. } = end else { panic!("{}: {end:?}", case.name) };
        assert_eq!(target, ExceptionLevel::El3, "{}: SCR_EL3.GPF", case.name);
        let esr = end.esr(ExceptionLevel::El2).map(EsrEl::into_bits);
        assert_eq!(esr, Some(case.esr), "{}: ESR_EL3", case.name);
    }
}

/// Arm ARM, AArch64.TranslateAddress: after both stages, of the access alone; AArch64.AT makes none.
#[test]
fn the_output_is_checked_for_an_access_and_not_for_at() {
    let registers = two_stages(0, 0);
    let translator = Translator::new(Regime::El1And0, &registers, &MACHINE);
    let protection = GranuleProtection::new(&PLAIN, &MACHINE);
    let open = tables(&[]);
    let shut = tables(&[(0x9000_0300, 0xb)]);
    let output = Located { pa: Pa::new(0xc060_0123), space: NonSecure };
    let refusal = GranuleRefusal { fault: GranuleFault { reason: Denied, level: L1 }, at: output };
    let write = Access::new(AccessKind::Write, Privilege::Privileged);
    let clean = Access::new(AccessKind::Clean, Privilege::Privileged);
    let fetch = Access::new(AccessKind::Fetch, Privilege::Privileged);
    for (access, wnr) in [(READ, false), (write, true), (clean, true), (fetch, false)] {
        let want = Fault { granule: Some(refusal), ..Fault::stage_1(FaultStatus::GranuleProtection, wnr) };
        let mut cache = TableCache::<64>::new();
        for _ in 0..2 {
            let guarded = Guarded { memory: &open, protection: &protection };
            let Ok(answer) = translator.translate_cached(VA, access, &guarded, &mut (), &mut cache);
            let Translation::Mapped(mapping) = answer else { panic!("{access:?}: {answer:?}") };
            let to: Located = mapping.output;
            assert_eq!(to, output, "{access:?}");
            let guarded = Guarded { memory: &shut, protection: &protection };
            let Ok(answer) = translator.translate_cached(VA, access, &guarded, &mut (), &mut cache);
            assert_eq!(answer, Translation::Fault(want), "{access:?}");
            let Ok(answer) = translator.translate(VA, access, &guarded, &mut Ears(Vec::new()));
            assert_eq!(answer, Translation::Fault(want), "{access:?}");
        }
        // From EL0 to EL1, and by SCR_EL3.GPF to EL3.
        let class = if access.is_fetch() { 0x82 } else { 0x92 };
        let flags = u64::from(wnr) << 6 | u64::from(access.is_maintenance()) << 8;
        let esr = |to| want.esr(access, ExceptionLevel::El0, to).into_bits();
        assert_eq!(esr(ExceptionLevel::El1), class << 24 | flags | 0b10_1000, "{access:?}: ESR_EL1");
        let ind = u64::from(access.is_fetch()) << 20;
        let want = 0x7a00_0000 | ind | 0b00_1101 << 14 | flags | 0b10_1000;
        assert_eq!(esr(ExceptionLevel::El3), want, "{access:?}: ESR_EL3");
        assert_eq!(refusal.mfar(), 0x8000_0000_c060_0000);
    }
    let context = AtContext { el: ExceptionLevel::El2, pan: false };
    for operation in [AtOperation::S12E1R, AtOperation::S12E1W] {
        let guarded = Guarded { memory: &shut, protection: &protection };
        let Ok(end) = execute_at((operation, 0), VA, context, (&registers, &MACHINE), &guarded, &mut ());
        // ATTR 0xff, SH 0b11, NS.
        assert_eq!(end, AtExecution::Par(0xff00_0000_c060_0380), "{operation:?}");
    }
}

/// Arm ARM, AArch64.AT, AArch64.DataAbort, ReportAsGPCException: who hears of what AT meets.
#[test]
fn at_ends_in_par_or_in_the_exception_that_gpf_asks_for() {
    use ExceptionLevel::{El1, El2, El3};
    struct Case {
        name: &'static str,
        change: (u64, u64),
        scr_el3: u64,
        hcr_el2: u64,
        operation: AtOperation,
        el: ExceptionLevel,
        want: Result<u128, (ExceptionLevel, u64)>,
    }
    const GPF: u64 = 1 << 48;
    const STAGE_1: (u64, u64) = (0x9000_0000, 0x9b);
    const STAGE_2: (u64, u64) = (0x9002_8000, 0xb);
    const PAR: u128 = 1 | 0b10_0101 << 1 | 1 << 11;
    let case = |name, (scr_el3, hcr_el2), operation, el, change, want| Case {
        name,
        change,
        scr_el3,
        hcr_el2,
        operation,
        el,
        want,
    };
    let (s1, s12) = (AtOperation::S1E1R, AtOperation::S12E1R);
    let cases = [
        case("nobody asks", (0, 0), s1, El1, STAGE_1, Ok(PAR)),
        // EC 0x24, IL; CM, WnR.
        case("HCR_EL2.GPF", (0, GPF), s1, El1, STAGE_1, Err((El2, 0x9200_0165))),
        case("HCR_EL2.GPF, at EL2", (0, GPF), s1, El2, STAGE_1, Ok(PAR)),
        case("HCR_EL2.GPF, both stages", (0, GPF), s12, El2, STAGE_1, Ok(PAR)),
        case("SCR_EL3.GPF", (GPF, 0), s1, El1, STAGE_1, Err((El3, 0x7a03_4165))),
        case("both", (GPF, GPF), s1, El1, STAGE_1, Err((El3, 0x7a03_4165))),
        case("SCR_EL3.GPF, at EL3", (GPF, 0), s1, El3, STAGE_1, Ok(PAR)),
        // S1PTW: EL1 is not told of stage 2.
        case("stage 2 on a table", (0, 0), s1, El1, STAGE_2, Err((El2, 0x9200_01e5))),
        case("stage 2 on a table, at EL2", (0, 0), s1, El2, STAGE_2, Ok(PAR | 1 << 8 | 1 << 9)),
        // The level 0 entry is reserved, then at 0x9200_0000, where nothing is, then above 40 bits.
        case("a GPT walk fault", (0, GPF), s1, El1, (0x8000_0018, 0), Err((El3, 0x7a01_0165))),
        case("the same at EL3", (0, 0), s1, El3, (0x8000_0018, 0), Err((El3, 0x7a01_0165))),
        case("no table", (0, 0), s1, El1, (0x8000_0018, 0x9200_0003), Err((El3, 0x7a05_4165))),
        case("a table too high", (0, 0), s1, El1, (0x8000_0018, 1 << 40 | 3), Err((El3, 0x7a00_0165))),
    ];
    let protection = GranuleProtection::new(&PLAIN, &MACHINE);
    for case in cases {
        let memory = &tables(&[case.change]);
        let guarded = Guarded { memory, protection: &protection };
        let registers = two_stages(case.scr_el3, case.hcr_el2);
        let context = AtContext { el: case.el, pan: false };
        let Ok(end) = execute_at((case.operation, 0), VA, context, (&registers, &MACHINE), &guarded, &mut ());
        let got = match end {
            AtExecution::Par(par) => Ok(par),
            AtExecution::Abort { target, .. } => Err((target, end.esr(case.el).map_or(0, EsrEl::into_bits))),
            other => panic!("{}: {other:?}", case.name),
        };
        assert_eq!(got, case.want, "{}", case.name);
    }
}

/// Refuses one of the questions that a walk asks, by number, and notes them all.
struct Counting<'m> {
    memory: &'m Spaces,
    refused: usize,
    asked: RefCell<Vec<u64>>,
}

impl TableMemory<Located> for Counting<'_> {
    type Error = Infallible;

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, Infallible> {
        self.memory.load(at)
    }

    fn granule(&self, at: Located) -> Result<Option<GranuleReport>, Infallible> {
        let number = self.asked.borrow().len();
        self.asked.borrow_mut().push(at.pa.bits());
        let check = if number == self.refused { fault(Denied, L0) } else { passed(12) };
        Ok(Some(GranuleReport { at, entries: [None; 2], check }))
    }
}

impl TableUpdate<Located> for Counting<'_> {
    fn compare_exchange(&self, at: Located, old: [u8; 8], _: [u8; 8]) -> Result<Swap, Infallible> {
        Ok(if self.load(at)? == Some(old) { Swap::Done } else { Swap::Lost })
    }
}

/// Arm ARM, AArch64.MemSwapTableDesc: an update is an access of its own.
#[test]
fn an_update_is_checked_as_the_load_was() {
    // TCR_EL1.HA, and AF 0 in a block of level 2; stage 2 off.
    let el1 = Stage1Registers {
        sctlr: 1,
        tcr: 25 | 2 << 32 | 1 << 39,
        ttbr0: 0xc000_0000,
        mair: 0xff,
        ..Default::default()
    };
    let registers = Registers { el1, scr_el3: 1, ..Default::default() };
    let translator = Translator::new(Regime::El1And0, &registers, &MACHINE);
    let memory =
        Spaces([((0xc000_0000, NonSecure), 0xc000_1003), ((0xc000_1008, NonSecure), 0xc060_0001)].into());
    // Two loads, the update, the access.
    let asked = [0xc000_0000, 0xc000_1008, 0xc000_1008, 0xc060_0123];
    let walk = |level| Some(FaultStatus::GranuleProtectionOnWalk(level));
    let want =
        [walk(Level::L1), walk(Level::L2), walk(Level::L2), Some(FaultStatus::GranuleProtection), None];
    for (refused, status) in want.into_iter().enumerate() {
        let memory = Counting { memory: &memory, refused, asked: RefCell::default() };
        // The full walk: the short one asks, gives up and asks again.
        let Ok(answer) = translator.translate_updating(VA, READ, &memory, &mut Ears(Vec::new()));
        let got = match answer {
            Translation::Mapped(_) => None,
            Translation::Fault(fault) => Some(fault.status),
        };
        assert_eq!(got, status, "question {refused}");
        let asked: Vec<u64> = asked.iter().copied().take(refused + 1).collect();
        assert_eq!(*memory.asked.borrow(), asked, "question {refused}");
    }
}

/// Without a second stage, by the functions for one.
#[test]
fn stage_1_alone_meets_the_same_checks() {
    let el1 =
        El1Registers { sctlr: 1, tcr: 25 | 2 << 32, ttbr0: 0xc000_0000, mair: 0xff, ..Default::default() };
    let params = Params::el1(&el1, &MACHINE);
    let protection = GranuleProtection::new(&PLAIN, &MACHINE);
    let mut memory = tables(&[]);
    memory.0.insert((0xc000_0000, NonSecure), 0xc000_1003);
    memory.0.insert((0xc000_1008, NonSecure), 0xc060_0401);
    let ask = |memory: &Spaces| {
        let guarded = Guarded { memory, protection: &protection };
        let Ok(short) = walk(&params, VA, READ, &guarded);
        let Ok(full) = walk_recorded(&params, VA, READ, &guarded, &mut Ears(Vec::new()));
        assert_eq!(short, full);
        match short {
            Translation::Mapped(mapping) => Ok(mapping.output),
            Translation::Fault(fault) => Err(fault.status),
        }
    };
    assert_eq!(ask(&memory), Ok(Located { pa: Pa::new(0xc060_0123), space: NonSecure }));
    memory.0.insert((0x9000_0300, Root), 0xb);
    assert_eq!(ask(&memory), Err(FaultStatus::GranuleProtection));
    memory.0.insert((0x9000_0000, Root), 0xb9);
    assert_eq!(ask(&memory), Err(FaultStatus::GranuleProtectionOnWalk(Level::L2)));
}

/// A report reads as the manual writes.
#[test]
fn a_report_is_a_line_for_a_person() {
    let at = Located { pa: Pa::new(0xc000_1008), space: NonSecure };
    let report = |changes: &[(u64, u64)], registers| {
        let Ok(report) = GranuleProtection::new(registers, &MACHINE).report(at, &tables(changes));
        report.to_string()
    };
    let begin = "granule protection of 0xc0001008, NonSecure: level 0 entry 0x90000003 at 0x80000018, ";
    let cases = [
        (
            report(&[], &PLAIN),
            format!("{begin}level 1 entry 0x99 at 0x90000000, passed, as for all of 2^12 bytes"),
        ),
        (
            report(&[(0x9000_0000, 0xb9)], &PLAIN),
            format!("{begin}level 1 entry 0xb9 at 0x90000000, granule protection fault, level 1"),
        ),
        (
            report(&[], &GranuleRegisters::default()),
            "granule protection of 0xc0001008, NonSecure: not protected".into(),
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
}
