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
    reason = "a test"
)]

use arm_arch::{ExceptionLevel, FaultStatus, Level, Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, GranuleCheck, GranuleExtent, GranuleFault, GranuleLevel, GranuleProtection,
    GranuleReason, GranuleRegisters, Guarded, Implementation, Located, Privilege, Refused, Regime, Registers,
    RoutesDenials, Space, Stage1Registers, Translation, Translator,
};
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

/// A walk of the EL1&0 regime, 4 KiB, T0SZ 25: tables at 0x4000_0000 and 0x4000_1000, a block of 2 MiB.
#[test]
fn a_guarded_walk_meets_the_check_before_each_load() {
    let el1 =
        Stage1Registers { sctlr: 1, tcr: 25 | 2 << 32, ttbr0: 0x4000_0000, mair: 0xff, ..Default::default() };
    let registers = Registers { el1, scr_el3: 1, ..Default::default() };
    let translator = Translator::new(Regime::El1And0, &registers, &MACHINE);
    let access = Access::new(AccessKind::Read, Privilege::Privileged);
    let tables = [((0x4000_0000, NonSecure), 0x4000_1003), ((0x4000_1008, NonSecure), 0x4060_0401)];
    let protection = GranuleProtection::new(&PLAIN, &MACHINE);
    // Index [39:30] of 0x4000_0000 is 1; the granules at level 1 index 0 are those of 0x4000_0000 to 0x4000_f000.
    let with = |granules: u64| {
        let mut memory = Spaces::of(&[(0x8000_0008, TABLE), (0x9000_0000, granules)]);
        memory.0.extend(tables);
        memory
    };
    let run = |memory: &Spaces| {
        let guarded = Guarded { memory, protection: &protection };
        translator.translate(Va::new(0x20_0123), access, &guarded, &mut ())
    };
    let Ok(Translation::Mapped(mapping)) = run(&with(0x99)) else { panic!("both tables are Non-secure") };
    let output: Located = mapping.output;
    assert_eq!((output.pa.bits(), output.space), (0x4060_0123, NonSecure));
    let denied = GranuleFault { reason: Denied, level: L1 };
    for (granules, table) in [(0x9a, 0x4000_0000), (0xa9, 0x4000_1008)] {
        let at = Located { pa: Pa::new(table), space: NonSecure };
        assert_eq!(run(&with(granules)), Err(Refused::Granule(denied, at)), "{granules:#x}");
    }
    // The output is the access's own to check.
    let Ok(answer) = protection.check(output, &with(0x99));
    assert_eq!(answer, fault(External, L1), "0x4060_0123 is in the granules of level 1 index 0x60");
}
