//! Vectors worked out by hand from the Arm ARM, for what no outside source answers: stage 2 of Secure state, EL3 and
//! Root, access to allocation tags, alignment by memory type, when HPFAR_EL2 is valid, AT at each exception level.
//! Each names the page that decides, and shows its arithmetic.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use arm_arch::{ExceptionLevel, Level, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtExecution, AtOperation, Implementation, Located, Privilege, Recorder,
    Regime, Registers, Rule, Space, Stage, Stage1Registers, Step, Tags, Translation, Translator, execute_at,
};
use std::collections::BTreeMap;

use Space::{NonSecure, Realm, Root, Secure};

/// Descriptors by space and address; all others are 0, and there is no memory from 0xf000_0000 on.
struct Spaces(BTreeMap<(u8, u64), u64>);

impl TableMemory<Located> for Spaces {
    type Error = ();

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, ()> {
        if at.pa.bits() >= 0xf000_0000 {
            return Ok(None);
        }
        Ok(Some(self.0.get(&(at.space as u8, at.pa.bits())).copied().unwrap_or(0).to_le_bytes()))
    }
}

fn spaces(entries: &[(Space, u64, u64)]) -> Spaces {
    Spaces(entries.iter().map(|(space, at, value)| ((*space as u8, *at), *value)).collect())
}

/// What must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Address, its space, the attribute byte.
    Out(u64, Space, u8),
    /// Stage, ISS, ISS2, HPFAR_EL2 for an exception to EL2 of the access's own state.
    Fault(Stage, u32, u32, Option<u64>),
}

struct Case {
    name: &'static str,
    cite: &'static str,
    regime: Regime,
    registers: Registers,
    has: Implementation,
    entries: Vec<(Space, u64, u64)>,
    va: u64,
    access: Access,
    want: Want,
}

fn check(cases: &[Case], at_least: usize) {
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    for case in cases {
        let translator = Translator::new(case.regime, &case.registers, &case.has);
        let memory = spaces(&case.entries);
        let found =
            translator.translate(Va::new(case.va), case.access, &memory, &mut ()).expect("memory works");
        let state = if case.registers.scr_el3 & 1 == 0 { Secure } else { NonSecure };
        let got = match found {
            Translation::Mapped(it) => Want::Out(it.output.pa.bits(), it.output.space, it.attributes.byte()),
            Translation::Fault(it) => {
                Want::Fault(it.stage, it.iss(case.access), it.iss2(case.access), it.hpfar(state))
            }
        };
        assert_eq!(got, case.want, "{} ({}): {got:x?}, {:x?}", case.name, case.cite, case.want);
    }
}

const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
const WRITE: Access = Access::new(AccessKind::Write, Privilege::Privileged);
const ATOMIC: Access = Access::new(AccessKind::Atomic, Privilege::Privileged);
const FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Privileged);
const ALL: Implementation = Implementation::ALL;

/// EL1&0: 39 bits from level 1 (TxSZ 25), 4 KiB, IPS 40 bits, table at 0x5000_0000, attribute 0 Write-Back.
const EL1_TCR: u64 = 0x2_8019_0019;

fn el1(mair: u64) -> Stage1Registers {
    Stage1Registers { sctlr: 0x1005, tcr: EL1_TCR, ttbr0: 0x5000_0000, mair, ..Stage1Registers::default() }
}

/// S2AP 0b11, MemAttr 0b1111, AF, block.
const S2_BLOCK: u64 = 0x4fd;

// ---------------------------------------------------------------------------------------------------------------
// Secure stage 2. VSTCR_EL2: T0SZ [5:0], SL0 [7:6], TG0 [15:14], SW [29], SA [30]; VTCR_EL2 gives PS, HA and all else.

/// Stage 1 off. SCR_EL3: NS 0, EEL2 (bit 18). HCR_EL2.VM. VTCR_EL2.PS 40 bits, for Non-secure addresses T0SZ 24, SL0 1.
fn secure(vstcr: u64, vtcr: u64) -> Registers {
    Registers {
        scr_el3: 1 << 18,
        hcr_el2: 1,
        vtcr_el2: 0x8002_0058 | vtcr,
        vttbr_el2: 0x4001_0000,
        vstcr_el2: 0x8000_0000 | vstcr,
        vsttbr_el2: 0x4000_0000,
        ..Registers::default()
    }
}

fn secure_case(
    name: &'static str,
    cite: &'static str,
    registers: Registers,
    entries: &[(Space, u64, u64)],
    (va, access): (u64, Access),
    want: Want,
) -> Case {
    let entries = entries.to_vec();
    Case { name, cite, regime: Regime::El1And0, registers, has: ALL, entries, va, access, want }
}

#[test]
fn secure_stage_2_goes_by_vstcr_and_vsttbr() {
    const OFF: u8 = 0x00;
    let two = |iss, hpfar| Want::Fault(Stage::Two, iss, 0, hpfar);
    // Both stages: stage 1 tables at Secure IPA 0x5000_0000, mapped to themselves.
    let both = |vstcr, vtcr| Registers { el1: el1(0xff), ..secure(vstcr, vtcr) };
    let identity = (Secure, 0x4000_0008, 0x4000_0000 | S2_BLOCK);
    let cases = [
        // T0SZ 24: 40 bits; SL0 1: level 1, IA[39:30], entry 0x4000_1234 >> 30 = 1.
        secure_case(
            "4 KiB, two tables concatenated",
            "VSTCR_EL2.SL0",
            secure(0x58, 0),
            &[(Secure, 0x4000_0008, 0x1_0000_0000 | S2_BLOCK)],
            (0x4000_1234, READ),
            Want::Out(0x1_0000_1234, Secure, OFF),
        ),
        // Second of the concatenated tables: 0x80_4000_0000 >> 30 = 0x201, 0x201 * 8 = 0x1008.
        secure_case(
            "the second of the tables",
            "D8.2.10, VSTTBR_EL2",
            secure(0x58, 0),
            &[(Secure, 0x4000_1008, 0x1_4000_0000 | S2_BLOCK)],
            (0x80_4000_0010, READ),
            Want::Out(0x1_4000_0010, Secure, OFF),
        ),
        // TG0 0b01: 64 KiB; SL0 1: level 2; IA[39:29], entry 0x4000_1234 >> 29 = 2, block of 512 MiB.
        secure_case(
            "64 KiB, while VTCR_EL2 says 4 KiB",
            "VSTCR_EL2.TG0",
            secure(0x58 | 1 << 14, 0),
            &[(Secure, 0x4000_0010, 0x1_2000_0000 | S2_BLOCK)],
            (0x4000_1234, READ),
            Want::Out(0x1_2000_1234, Secure, OFF),
        ),
        // TG0 0b10: 16 KiB; SL0 1: level 2; IA[39:25], entry 0x4200_1234 >> 25 = 0x21, 0x21 * 8 = 0x108, 32 MiB.
        secure_case(
            "16 KiB, sixteen tables concatenated",
            "VSTCR_EL2.TG0",
            secure(0x58 | 2 << 14, 0),
            &[(Secure, 0x4000_0108, 0x1_0200_0000 | S2_BLOCK)],
            (0x4200_1234, READ),
            Want::Out(0x1_0200_1234, Secure, OFF),
        ),
        // T0SZ 25: 39 bits. The last address within, and the first beyond: 0x80_0000_0000 >> 12 << 4 =
        // 0x800_0000 << 4.
        secure_case(
            "the last address of 39 bits",
            "VSTCR_EL2.T0SZ",
            secure(0x59, 0),
            &[(Secure, 0x4000_0ff8, 0x1_0000_0000 | S2_BLOCK)],
            (0x7f_ffff_fff8, READ),
            Want::Out(0x1_3fff_fff8, Secure, OFF),
        ),
        secure_case(
            "the first address beyond 39 bits",
            "VSTCR_EL2.T0SZ, AArch64.IPAIsOutOfRange",
            secure(0x59, 0),
            &[(Secure, 0x4000_0000, 0x1_0000_0000 | S2_BLOCK)],
            (0x80_0000_0000, READ),
            two(0x04, Some(0x8000_0000)),
        ),
        // SL0 0: level 2 resolves at most 12 + 9 + 9 + 4 = 34 bits.
        secure_case(
            "40 bits from level 2",
            "AArch64.S2InconsistentSL",
            secure(0x18, 0),
            &[],
            (0x4000_1234, READ),
            two(0x04, Some(0x40_0010)),
        ),
        secure_case(
            "invalid, for a store",
            "ESR_EL2, DFSC 0b000101, WnR",
            secure(0x58, 0),
            &[],
            (0x4000_1234, WRITE),
            two(0x45, Some(0x40_0010)),
        ),
        secure_case(
            "AF 0",
            "DFSC 0b001001",
            secure(0x58, 0),
            &[(Secure, 0x4000_0008, 0x1_0000_00fd)],
            (0x4000_1234, READ),
            two(0x09, Some(0x40_0010)),
        ),
        secure_case(
            "AF 0 with VTCR_EL2.HA",
            "VTCR_EL2.HA",
            secure(0x58, 1 << 21),
            &[(Secure, 0x4000_0008, 0x1_0000_00fd)],
            (0x4000_1234, READ),
            Want::Out(0x1_0000_1234, Secure, OFF),
        ),
        secure_case(
            "output of 41 bits with PS 40",
            "VTCR_EL2.PS, DFSC 0b000001",
            secure(0x58, 0),
            &[(Secure, 0x4000_0008, 0x100_0000_0000 | S2_BLOCK)],
            (0x4000_1234, READ),
            two(0x01, Some(0x40_0010)),
        ),
        // S2AP 0b01. HPFAR_EL2 is UNKNOWN for it.
        secure_case(
            "a store to what is readable",
            "DFSC 0b001101",
            secure(0x58, 0),
            &[(Secure, 0x4000_0008, 0x1_0000_047d)],
            (0x4000_1234, WRITE),
            two(0x4d, None),
        ),
        secure_case(
            "XN 0b10",
            "D8.4, IFSC 0b001101",
            secure(0x58, 0),
            &[(Secure, 0x4000_0008, 2 << 53 | 0x1_0000_0000 | S2_BLOCK)],
            (0x4000_1234, FETCH),
            two(0x0d, None),
        ),
        secure_case(
            "the tables where there is no memory",
            "DFSC 0b010101",
            Registers { vsttbr_el2: 0xf000_0000, ..secure(0x58, 0) },
            &[],
            (0x4000_1234, READ),
            two(0x15, None),
        ),
        secure_case(
            "big-endian",
            "SCTLR_EL2.EE",
            Registers {
                el2: Stage1Registers { sctlr: 1 << 25, ..Stage1Registers::default() },
                ..secure(0x58, 0)
            },
            &[(Secure, 0x4000_0008, (0x1_0000_0000 | S2_BLOCK).swap_bytes())],
            (0x4000_1234, READ),
            Want::Out(0x1_0000_1234, Secure, OFF),
        ),
        // Stage 1 entry 1 at IPA 0x5000_0008: stage 2 entry 0x5000_0008 >> 30 = 1.
        secure_case(
            "no stage 2 for the table of stage 1",
            "ESR_EL2.S1PTW",
            both(0x58, 0),
            &[],
            (0x4000_1234, READ),
            two(0x85, Some(0x50_0000)),
        ),
        // NSTable (bit 63): the next table is at the Non-secure IPA 0x6000_0000, entry VA[29:21] = 0. No stage 2 there:
        // HPFAR_EL2 = 0x6000_0000 >> 12 << 4, and NS, bit 63.
        secure_case(
            "NSTable leads to Non-secure tables",
            "HPFAR_EL2.NS",
            both(0x58, 0),
            &[identity, (Secure, 0x5000_0008, 1 << 63 | 0x6000_0003)],
            (0x4000_1234, READ),
            two(0x85, Some(1 << 63 | 0x60_0000)),
        ),
        // The same with VTTBR_EL2's entry 1 mapping 0x4000_0000 to itself, in Secure space (NSW, NSA 0).
        secure_case(
            "NSTable, and the leaf is Non-secure",
            "D8.4.2, NSTable",
            both(0x58, 0),
            &[
                identity,
                (Secure, 0x5000_0008, 1 << 63 | 0x6000_0003),
                (Secure, 0x4001_0008, 0x4000_0000 | S2_BLOCK),
                (Secure, 0x6000_0000, 0x8000_0401),
                (Secure, 0x4001_0010, 0x1_8000_0000 | S2_BLOCK),
            ],
            (0x4000_1234, READ),
            Want::Out(0x1_8000_1234, Secure, 0xff),
        ),
    ];
    check(&cases, 18);
}

// ---------------------------------------------------------------------------------------------------------------
// EL3. TCR_EL3: T0SZ [5:0], TG0 [15:14], PS [18:16], TBI [20], HA [21], HD [22], HPD [24], TBID [29], DS [32].

fn el3(tcr: u64, sctlr: u64) -> Registers {
    let own = Stage1Registers {
        sctlr: 0x1005 ^ sctlr,
        tcr: 0x8082_0019 ^ tcr,
        ttbr0: 0x4000_0000,
        mair: 0x44_04ff,
        ..Stage1Registers::default()
    };
    Registers { el3: own, scr_el3: 1, ..Registers::default() }
}

#[test]
fn el3_has_its_own_registers_and_spaces() {
    let one = |iss| Want::Fault(Stage::One, iss, 0, None);
    let block = (Secure, 0x4000_0000, 0x8000_0401);
    let of = |name, cite, registers, has, entries: &[(Space, u64, u64)], va, access, want| Case {
        name,
        cite,
        regime: Regime::El3,
        registers,
        has,
        entries: entries.to_vec(),
        va,
        access,
        want,
    };
    let rme = Implementation { rme: true, ..ALL };
    const TAGGED: u64 = 0xab00_0000_0000_0123;
    let plain = Want::Out(0x8000_0123, Secure, 0xff);
    // NSE is bit 11 and NS bit 5: {0,0} Secure, {0,1} Non-secure, {1,0} Root, {1,1} Realm.
    let root = |bits: u64| [(Root, 0x4000_0000, 0x8000_0401 | bits)];
    let cases = [
        of("39 bits", "TCR_EL3.T0SZ", el3(0, 0), ALL, &[block], 0x123, READ, plain),
        of("a tag without TBI", "TCR_EL3.TBI", el3(0, 0), ALL, &[block], TAGGED, READ, one(0x04)),
        of("a tag with TBI", "TCR_EL3.TBI", el3(1 << 20, 0), ALL, &[block], TAGGED, READ, plain),
        of("TBI for a fetch", "TCR_EL3.TBID 0", el3(1 << 20, 0), ALL, &[block], TAGGED, FETCH, plain),
        of("TBID", "TCR_EL3.TBID", el3(1 << 20 | 1 << 29, 0), ALL, &[block], TAGGED, FETCH, one(0x04)),
        of(
            "XNTable",
            "D8.4.2, bit 60",
            el3(0, 0),
            ALL,
            &[(Secure, 0x4000_0000, 1 << 60 | 0x4000_1003), (Secure, 0x4000_1000, 0x8000_0401)],
            0x123,
            FETCH,
            one(0x0e),
        ),
        of(
            "XNTable with HPD",
            "TCR_EL3.HPD",
            el3(1 << 24, 0),
            ALL,
            &[(Secure, 0x4000_0000, 1 << 60 | 0x4000_1003), (Secure, 0x4000_1000, 0x8000_0401)],
            0x123,
            FETCH,
            plain,
        ),
        of(
            "AF 0",
            "TCR_EL3.HA 0",
            el3(0, 0),
            ALL,
            &[(Secure, 0x4000_0000, 0x8000_0001)],
            0x123,
            READ,
            one(0x09),
        ),
        of(
            "AF 0 with HA",
            "TCR_EL3.HA",
            el3(1 << 21, 0),
            ALL,
            &[(Secure, 0x4000_0000, 0x8000_0001)],
            0x123,
            READ,
            plain,
        ),
        // AP[2] (bit 7) with DBM (bit 51).
        of(
            "DBM without HD",
            "TCR_EL3.HD 0",
            el3(1 << 21, 0),
            ALL,
            &[(Secure, 0x4000_0000, 1 << 51 | 0x8000_0481)],
            0x123,
            WRITE,
            one(0x4d),
        ),
        of(
            "DBM with HD",
            "TCR_EL3.HD",
            el3(3 << 21, 0),
            ALL,
            &[(Secure, 0x4000_0000, 1 << 51 | 0x8000_0481)],
            0x123,
            WRITE,
            plain,
        ),
        of("WXN", "SCTLR_EL3.WXN", el3(0, 1 << 19), ALL, &[block], 0x123, FETCH, one(0x0d)),
        of(
            "WXN and read-only",
            "SCTLR_EL3.WXN",
            el3(0, 1 << 19),
            ALL,
            &[(Secure, 0x4000_0000, 0x8000_0481)],
            0x123,
            FETCH,
            plain,
        ),
        // AP[1], bit 6, is RES1 with one privilege: it gives EL0 nothing and takes no execution away.
        of(
            "AP[1] does not matter",
            "D8.4.1",
            el3(0, 0),
            ALL,
            &[(Secure, 0x4000_0000, 0x8000_0441)],
            0x123,
            FETCH,
            plain,
        ),
        // PS 0 (0x2_0000 away): 32 bits.
        of(
            "output of 33 bits with PS 32",
            "TCR_EL3.PS",
            el3(0x2_0000, 0),
            ALL,
            &[(Secure, 0x4000_0000, 0x1_0000_0401)],
            0x123,
            READ,
            one(0x01),
        ),
        of(
            "the first table beyond the output size",
            "TCR_EL3.PS, level 0",
            Registers { el3: Stage1Registers { ttbr0: 0x100_0000_0000, ..el3(0, 0).el3 }, ..el3(0, 0) },
            ALL,
            &[],
            0x123,
            READ,
            one(0x00),
        ),
        // TG0 0b10, 16 KiB: (39 - 1 - 14) / 11 = 2, so from level 1; VA[38:36] = 0, then VA[35:25] = 0x81: 0x408; 32 MiB.
        of(
            "16 KiB",
            "TCR_EL3.TG0",
            el3(2 << 14, 0),
            ALL,
            &[(Secure, 0x4000_0000, 0x4001_0003), (Secure, 0x4001_0408, 0x8200_0401)],
            0x1_0200_1234,
            READ,
            Want::Out(0x8200_1234, Secure, 0xff),
        ),
        // TG0 0b01, 64 KiB: (39 - 1 - 16) / 13 = 1, so from level 2; VA[38:29] = 2: 0x10; 512 MiB.
        of(
            "64 KiB",
            "TCR_EL3.TG0",
            el3(1 << 14, 0),
            ALL,
            &[(Secure, 0x4000_0010, 0xa000_0401)],
            0x4000_1234,
            READ,
            Want::Out(0xa000_1234, Secure, 0xff),
        ),
        // DS, T0SZ 12 (0x19 ^ 0x0c = 0x15): 52 bits, (52 - 1 - 12) / 9 = 4, so from level -1, VA[51:48] = 1.
        of(
            "52 bits",
            "TCR_EL3.DS",
            el3(0x15 | 1 << 32, 0),
            ALL,
            &[
                (Secure, 0x4000_0008, 0x4000_1003),
                (Secure, 0x4000_1000, 0x4000_2003),
                (Secure, 0x4000_2000, 0x8000_0401),
            ],
            1 << 48 | 0x123,
            READ,
            plain,
        ),
        of(
            "52 bits, invalid at level -1",
            "DFSC 0b101011",
            el3(0x15 | 1 << 32, 0),
            ALL,
            &[],
            1 << 48 | 0x123,
            READ,
            one(0x2b),
        ),
        of(
            "MMU off",
            "SCTLR_EL3.M 0",
            el3(0, 0x1),
            ALL,
            &[block],
            0x123,
            READ,
            Want::Out(0x123, Secure, 0x00),
        ),
        of("Root: Secure", "NSE 0, NS 0", el3(0, 0), rme, &root(0), 0x123, READ, plain),
        of(
            "Root: Non-secure",
            "NS",
            el3(0, 0),
            rme,
            &root(1 << 5),
            0x123,
            READ,
            Want::Out(0x8000_0123, NonSecure, 0xff),
        ),
        of(
            "Root: Root",
            "NSE",
            el3(0, 0),
            rme,
            &root(1 << 11),
            0x123,
            READ,
            Want::Out(0x8000_0123, Root, 0xff),
        ),
        of(
            "Root: Realm",
            "NSE, NS",
            el3(0, 0),
            rme,
            &root(1 << 11 | 1 << 5),
            0x123,
            READ,
            Want::Out(0x8000_0123, Realm, 0xff),
        ),
        of(
            "Root executes Root",
            "D9, FEAT_RME",
            el3(0, 0),
            rme,
            &root(1 << 11),
            0x123,
            FETCH,
            Want::Out(0x8000_0123, Root, 0xff),
        ),
        of("Root executes nothing else", "D9, FEAT_RME", el3(0, 0), rme, &root(0), 0x123, FETCH, one(0x0d)),
    ];
    check(&cases, 27);
}

// ---------------------------------------------------------------------------------------------------------------
// Alignment by memory type. DFSC 0b100001 = 0x21; WnR (0x40) for stores.

#[test]
fn unaligned_accesses_fault_in_device_memory_alone() {
    // MAIR_EL1 bytes and whether they are Device. MAIR_EL1, "Attr<n>".
    const TYPES: &[(u8, bool)] = &[
        (0x00, true),
        (0x04, true),
        (0x08, true),
        (0x0c, true),
        (0x01, true),
        (0x0d, true),
        (0x44, false),
        (0x40, false),
        (0xa0, false),
        (0x4f, false),
        (0xbb, false),
        (0xf4, false),
        (0xff, false),
    ];
    let mut cases = Vec::new();
    for (byte, device) in TYPES {
        for (access, iss) in [(READ, 0x21), (WRITE, 0x61), (ATOMIC, 0x21)] {
            let fault = Want::Fault(Stage::One, iss, 0, None);
            let out = Want::Out(0x8000_0121, NonSecure, *byte);
            cases.push(Case {
                name: "unaligned, by stage 1",
                cite: "D8.15, AArch64.S1HasAlignmentFaultDueToMemType",
                regime: Regime::El1And0,
                registers: Registers { el1: el1((*byte).into()), scr_el3: 1, ..Registers::default() },
                has: ALL,
                entries: vec![(NonSecure, 0x5000_0000, 0x8000_0401)],
                va: 0x121,
                access: access.unaligned(),
                want: if *device { fault } else { out },
            });
        }
    }
    // Stage 2, MemAttr over Write-Back: 0b00dd Device; 0b0101 Non-cacheable, 0b1010 Write-Through (hints of stage 1), 0b1111.
    // XS is 0 of a Write-Back stage 1: the forms 0b0000dd01, 0x40.
    const MEM_ATTR: &[(u64, Option<u8>)] =
        &[(0, None), (1, None), (2, None), (3, None), (5, Some(0x40)), (10, Some(0xbb)), (15, Some(0xff))];
    for (mem_attr, byte) in MEM_ATTR {
        for (access, iss) in [(READ, 0x21), (WRITE, 0x61), (ATOMIC, 0x21)] {
            cases.push(Case {
                name: "unaligned, by stage 2",
                cite: "D8.15, AArch64.S2HasAlignmentFault; HPFAR_EL2 is UNKNOWN",
                regime: Regime::El1And0,
                registers: Registers {
                    el1: el1(0xff),
                    scr_el3: 1,
                    hcr_el2: 1,
                    vtcr_el2: 0x8002_0058,
                    vttbr_el2: 0x4000_0000,
                    ..Registers::default()
                },
                has: ALL,
                entries: vec![
                    (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
                    (NonSecure, 0x5000_0000, 0x8000_0401),
                    (NonSecure, 0x4000_0010, 0x1_0000_04c1 | mem_attr << 2),
                ],
                va: 0x121,
                access: access.unaligned(),
                want: match byte {
                    None => Want::Fault(Stage::Two, iss, 0, None),
                    Some(byte) => Want::Out(0x1_0000_0121, NonSecure, *byte),
                },
            });
        }
    }
    check(&cases, 60);
}

// ---------------------------------------------------------------------------------------------------------------
// Allocation tags. FEAT_MTE2: MAIR 0xf0 is Tagged. FEAT_MTE_PERM: NoTagAccess, MemAttr 0b0100, with FWB 0b111x.

#[test]
fn tags_need_tagged_memory_and_the_right_to_them() {
    let mte = Implementation { mte2: true, mte_perm: true, ..ALL };
    let canonical = Implementation { mte2: true, mte_canonical_tags: true, ..ALL };
    let ldg = READ.with_tags(Tags::Transferred);
    let stg = WRITE.with_tags(Tags::Transferred);
    let both = |mair, mem_attr: u64, fwb: u64, access, has, want| Case {
        name: "NoTagAccess",
        cite: "HCR_EL2.FWB, FEAT_MTE_PERM, AArch64.S2CheckPermissions",
        regime: Regime::El1And0,
        registers: Registers {
            el1: el1(mair),
            scr_el3: 1,
            hcr_el2: 1 | fwb << 46,
            vtcr_el2: 0x8002_0058,
            vttbr_el2: 0x4000_0000,
            ..Registers::default()
        },
        has,
        entries: vec![
            // The tables of stage 1 in memory that is Write-Back in both forms: 0b1111 and 0b0110.
            (NonSecure, 0x4000_0008, 0x4000_04c1 | if fwb == 0 { 0xf } else { 6 } << 2),
            (NonSecure, 0x5000_0000, 0x8000_0401),
            (NonSecure, 0x4000_0010, 0x1_0000_04c1 | mem_attr << 2),
        ],
        va: 0x120,
        access,
        want,
    };
    let out = |byte| Want::Out(0x1_0000_0120, NonSecure, byte);
    // ISS2.TagAccess is ESR_EL2[41], bit 9 of ISS2; HPFAR_EL2 is UNKNOWN for a Permission fault.
    let denied = |iss| Want::Fault(Stage::Two, iss, 1 << 9, None);
    let checked = READ.with_tags(Tags::Checked);
    let mut cases = vec![
        both(0xf0, 0xf, 0, ldg, mte, out(0xf0)),
        both(0xf0, 0b0100, 0, READ, mte, out(0xe0)),
        both(0xf0, 0b0100, 0, ldg, mte, denied(0x0d)),
        both(0xf0, 0b0100, 0, stg, mte, denied(0x4d)),
        both(0xf0, 0b0100, 0, checked, mte, denied(0x0d)),
        both(0xf0, 0b0100, 0, WRITE.with_tags(Tags::Checked), mte, denied(0x0d)),
        // Stage 1 is not Tagged: nothing is denied.
        both(0xff, 0b0100, 0, ldg, mte, out(0xff)),
        // Without FEAT_MTE_PERM 0b0100 is reserved: its inner half counts as Non-cacheable, the outer is; XS 0.
        both(0xf0, 0b0100, 0, ldg, Implementation { mte_perm: false, ..mte }, out(0x40)),
        both(0xf0, 0b0111, 1, ldg, mte, out(0xf0)),
        both(0xf0, 0b1111, 1, ldg, mte, denied(0x0d)),
        both(0xf0, 0b1110, 1, stg, mte, denied(0x4d)),
        both(0xf0, 0b1111, 1, READ, mte, out(0xe0)),
        // Forced Non-cacheable: the tags are lost, and with them the denial.
        both(0xf0, 0b0101, 1, ldg, mte, out(0x40)),
        // Stage 2 makes it Write-Through: not Tagged any more. Hints of stage 1.
        both(0xf0, 0b1010, 0, ldg, mte, out(0xbb)),
        // Without FEAT_MTE2 0xf0 is Write-Back.
        both(0xf0, 0xf, 0, READ, ALL, out(0xff)),
    ];
    // HCR_EL2.DC, bit 12, makes stage 1 off cacheable; DCT, bit 57, Tagged. Stage 2: DC counts as VM.
    for (dct, has, byte) in [(0, mte, 0xff), (1, mte, 0xf0), (1, ALL, 0xff)] {
        cases.push(Case {
            name: "default Tagged",
            cite: "HCR_EL2.DCT",
            registers: Registers {
                el1: Stage1Registers::default(),
                hcr_el2: 1 << 12 | dct << 57,
                ..cases[0].registers
            },
            entries: vec![(NonSecure, 0x4000_0000, 0x1_0000_04fd)],
            ..both(0, 0, 0, READ, has, out(byte))
        });
    }
    // TCR_EL1.MTX0, bit 60: what is not Tagged has canonical tags; a store of a tag there: TnD, ESR_EL1[42].
    let mtx = |mair, tcr: u64, access, has, want| Case {
        name: "canonical tags",
        cite: "TCR_EL1.MTX0, FEAT_MTE_CANONICAL_TAGS, ESR_EL1.TnD",
        registers: Registers {
            el1: Stage1Registers { tcr: EL1_TCR | tcr, ..el1(mair) },
            scr_el3: 1,
            ..Registers::default()
        },
        entries: vec![(NonSecure, 0x5000_0000, 0x1_0000_0401)],
        ..both(0, 0, 0, access, has, want)
    };
    let canonical_tag = Want::Fault(Stage::One, 0x4d, 1 << 10, None);
    cases.extend([
        mtx(0xff, 1 << 60, stg, canonical, canonical_tag),
        mtx(0xff, 1 << 60, ldg, canonical, out(0xff)),
        mtx(0xff, 1 << 60, WRITE, canonical, out(0xff)),
        mtx(0xf0, 1 << 60, stg, canonical, out(0xf0)),
        mtx(0xff, 0, stg, canonical, out(0xff)),
        mtx(0xff, 1 << 60, stg, mte, out(0xff)),
    ]);
    check(&cases, 24);
}

// ---------------------------------------------------------------------------------------------------------------
// HPFAR_EL2, through walks: FIPA [47:4] is IPA[55:12].

#[test]
fn hpfar_holds_the_page_of_what_stage_2_was_asked_where_it_is_valid() {
    let machine = |hcr: u64| Registers {
        el1: el1(0xff),
        scr_el3: 1,
        hcr_el2: 1 | hcr,
        vtcr_el2: 0x8002_0058,
        vttbr_el2: 0x4000_0000,
        ..Registers::default()
    };
    let tables = (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK);
    let leaf = (NonSecure, 0x5000_0008, 0x8765_0000_u64 & !0x3fff_ffff | 0x401);
    // VA 0x4765_4321: IPA 0x8000_0000 | 0x765_4321 = 0x8765_4321; its page 0x8_7654.
    const VA: u64 = 0x4765_4321;
    const PAGE: Option<u64> = Some(0x87_6540);
    // The descriptor at IPA 0x5000_0008: page 0x5_0000.
    const TABLE: Option<u64> = Some(0x50_0000);
    let of = |name, hcr, entries: &[(Space, u64, u64)], access, want| Case {
        name,
        cite: "HPFAR_EL2",
        regime: Regime::El1And0,
        registers: machine(hcr),
        has: ALL,
        entries: entries.to_vec(),
        va: VA,
        access,
        want,
    };
    let two = |iss, hpfar| Want::Fault(Stage::Two, iss, 0, hpfar);
    let output = |value: u64| (NonSecure, 0x4000_0010, value);
    let first = |value: u64| (NonSecure, 0x4000_0008, value);
    let cases = [
        of("Translation", 0, &[tables, leaf], READ, two(0x05, PAGE)),
        of("Access flag", 0, &[tables, leaf, output(0x1_0000_00fd)], READ, two(0x09, PAGE)),
        of("Address size", 0, &[tables, leaf, output(1 << 40 | S2_BLOCK)], READ, two(0x01, PAGE)),
        of("Permission", 0, &[tables, leaf, output(0x1_0000_043d)], READ, two(0x0d, None)),
        of("Permission, store", 0, &[tables, leaf, output(0x1_0000_047d)], WRITE, two(0x4d, None)),
        of("external abort", 0, &[tables, leaf, output(0xf000_0003)], READ, two(0x16, None)),
        of("Translation, on a table", 0, &[leaf], READ, two(0x85, TABLE)),
        of("Access flag, on a table", 0, &[first(0x4000_00fd), leaf], READ, two(0x89, TABLE)),
        of("Address size, on a table", 0, &[first(1 << 40 | S2_BLOCK), leaf], READ, two(0x81, TABLE)),
        of("Permission, on a table", 0, &[first(0x4000_043d), leaf], READ, two(0x8d, TABLE)),
        // HCR_EL2.PTW, bit 2, and Device memory (MemAttr 0) under the table.
        of("PTW", 1 << 2, &[first(0x4000_04c1), leaf], READ, two(0x8d, TABLE)),
        of("fetch, Translation", 0, &[tables, leaf], FETCH, two(0x05, PAGE)),
        of("stage 1", 0, &[tables], READ, Want::Fault(Stage::One, 0x05, 0, None)),
    ];
    check(&cases, 13);
}

// ---------------------------------------------------------------------------------------------------------------
// AT at each exception level. Arm ARM, AT: the access pseudocode of each.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It executes.
    E,
    /// It is UNDEFINED.
    U,
    /// It is trapped to EL2.
    T,
}

#[test]
fn each_at_executes_where_its_page_says() {
    use Verdict::{E, T, U};
    const AT: u64 = 1 << 44;
    const NV: u64 = 1 << 42;
    const NS: u64 = 1;
    // SCR_EL3.FGTEn.
    const FGT: u64 = 1 << 27;
    // Columns: EL0; EL1; EL1 with HCR_EL2.AT; EL1 with HCR_EL2.NV; EL1 with its bit of HFGITR_EL2; EL2; EL3 with EL2
    // enabled; EL3 in Secure state without Secure EL2.
    #[rustfmt::skip]
    const ROWS: &[(&str, u64, [Verdict; 8])] = &[
        ("S1E1R",  1 << 12, [U, E, T, E, T, E, E, E]),
        ("S1E1W",  1 << 13, [U, E, T, E, T, E, E, E]),
        ("S1E0R",  1 << 14, [U, E, T, E, T, E, E, E]),
        ("S1E0W",  1 << 15, [U, E, T, E, T, E, E, E]),
        ("S1E1RP", 1 << 16, [U, E, T, E, T, E, E, E]),
        ("S1E1WP", 1 << 17, [U, E, T, E, T, E, E, E]),
        ("S1E1A",  1 << 62, [U, E, T, E, T, E, E, E]),
        ("S1E2R",  0,       [U, U, U, T, U, E, E, U]),
        ("S1E2W",  0,       [U, U, U, T, U, E, E, U]),
        ("S1E2A",  0,       [U, U, U, T, U, E, E, U]),
        ("S12E1R", 0,       [U, U, U, T, U, E, E, E]),
        ("S12E1W", 0,       [U, U, U, T, U, E, E, E]),
        ("S12E0R", 0,       [U, U, U, T, U, E, E, E]),
        ("S12E0W", 0,       [U, U, U, T, U, E, E, E]),
        ("S1E3R",  0,       [U, U, U, U, U, U, E, E]),
        ("S1E3W",  0,       [U, U, U, U, U, U, E, E]),
        ("S1E3A",  0,       [U, U, U, U, U, U, E, E]),
    ];
    use ExceptionLevel::{El0, El1, El2, El3};
    assert_eq!(ROWS.len(), AtOperation::ALL.len());
    for (name, fine, want) in ROWS {
        let (_, operation) = AtOperation::ALL.into_iter().find(|(it, _)| it == name).expect("a name");
        assert_eq!(AtOperation::decode(operation.id()), Some(operation));
        let columns = [
            (El0, 0, 0, NS),
            (El1, 0, 0, NS),
            (El1, AT, 0, NS),
            (El1, NV, 0, NS),
            (El1, 0, *fine, NS | FGT),
            (El2, AT | NV, u64::MAX, NS | FGT),
            (El3, AT | NV, u64::MAX, NS | FGT),
            (El3, AT, u64::MAX, FGT),
        ];
        for (column, ((el, hcr_el2, hfgitr_el2, scr_el3), want)) in columns.into_iter().zip(want).enumerate()
        {
            let registers = Registers { hcr_el2, hfgitr_el2, scr_el3, ..Registers::default() };
            let context = AtContext { el, pan: false };
            let got = execute_at::<Located, _, _>(
                (operation, 3),
                Va::new(0x1000),
                context,
                (&registers, &ALL),
                &spaces(&[]),
                &mut (),
            )
            .expect("memory works");
            let verdict = match got {
                AtExecution::Par(_) => E,
                AtExecution::Undefined { target } => {
                    assert_eq!(target, if el == El0 { El1 } else { el }, "{name}, column {column}");
                    assert_eq!(got.esr(el).map(|esr| esr.into_bits()), Some(0x0200_0000));
                    U
                }
                AtExecution::Trapped { target, .. } => {
                    assert_eq!(target, El2, "{name}, column {column}");
                    T
                }
                AtExecution::Abort { .. } => panic!("{name}, column {column}: {got:x?}"),
            };
            assert_eq!(verdict, *want, "{name}, column {column}");
        }
    }
}

/// PAR_EL1.NS [9] has a meaning for a Secure regime; EL3's is one whatever SCR_EL3.NS says, without FEAT_RME.
#[test]
fn at_of_el3_tells_the_space_of_what_it_finds() {
    let (_, s1e3r) = AtOperation::ALL.into_iter().find(|(name, _)| *name == "S1E3R").expect("a name");
    // A block of 1 GiB at level 1 with AF, without and with NS (bit 5): ATTR 0xff, SH 0b00, bit 11 RES1.
    for (scr_el3, ns, par) in [
        (0, 0, 0xff00_0000_8000_0800),
        (0, 1 << 5, 0xff00_0000_8000_0a00),
        (1, 0, 0xff00_0000_8000_0800),
        (1, 1 << 5, 0xff00_0000_8000_0a00),
    ] {
        let registers = Registers { scr_el3, ..el3(0, 0) };
        let context = AtContext { el: ExceptionLevel::El3, pan: false };
        let memory = spaces(&[(Secure, 0x4000_0000, 0x8000_0401 | ns)]);
        let got = execute_at((s1e3r, 0), Va::new(0x123), context, (&registers, &ALL), &memory, &mut ());
        assert_eq!(got, Ok(AtExecution::Par(par)), "SCR_EL3.NS {scr_el3}, NS {ns:#x}");
    }
}

#[test]
fn what_is_not_implemented_is_undefined() {
    for (operation, has) in [
        (AtOperation::S1E1RP, Implementation { pan2: false, ..ALL }),
        (AtOperation::S1E1WP, Implementation { pan2: false, ..ALL }),
        (AtOperation::S1E1A, Implementation { ats1a: false, ..ALL }),
        (AtOperation::S1E2A, Implementation { ats1a: false, ..ALL }),
        (AtOperation::S1E3A, Implementation { ats1a: false, ..ALL }),
    ] {
        let context = AtContext { el: ExceptionLevel::El3, pan: false };
        let registers = Registers { scr_el3: 1, ..Registers::default() };
        let ask = |has: &Implementation| {
            execute_at::<Located, _, _>(
                (operation, 0),
                Va::new(0),
                context,
                (&registers, has),
                &spaces(&[]),
                &mut (),
            )
        };
        assert_eq!(ask(&has), Ok(AtExecution::Undefined { target: ExceptionLevel::El3 }), "{operation:?}");
        assert!(matches!(ask(&ALL), Ok(AtExecution::Par(_))), "{operation:?}");
    }
}

#[test]
fn aborts_and_traps_of_at_say_who_takes_them_and_with_what() {
    use ExceptionLevel::{El1, El2, El3};
    const TEA: u64 = 1 << 37;
    const EA: u64 = 1 << 3;
    let run = |el, hcr, scr, ttbr0: u64, entries: &[(Space, u64, u64)]| {
        let registers = Registers {
            el1: Stage1Registers { ttbr0: ttbr0.into(), ..el1(0xff) },
            hcr_el2: hcr,
            scr_el3: 1 | scr,
            vtcr_el2: 0x8002_0058,
            vttbr_el2: 0x4000_0000,
            ..Registers::default()
        };
        let context = AtContext { el, pan: false };
        let got = execute_at(
            (AtOperation::S1E1R, 3),
            Va::new(0x1000),
            context,
            (&registers, &ALL),
            &spaces(entries),
            &mut (),
        )
        .expect("memory works");
        let target = match got {
            AtExecution::Par(_) => None,
            AtExecution::Undefined { target }
            | AtExecution::Trapped { target, .. }
            | AtExecution::Abort { target, .. } => Some(target),
        };
        (target, got.esr(el).map(|esr| esr.into_bits()))
    };
    // External abort on the walk, level 1: DFSC 0b010101, WnR, CM: 0x155. EC 0x24 from a lower level, 0x25 from the same.
    const NOWHERE: u64 = 0xf000_0000;
    assert_eq!(run(El1, 0, 0, NOWHERE, &[]), (Some(El1), Some(0x9600_0155)));
    assert_eq!(run(El1, TEA, 0, NOWHERE, &[]), (Some(El2), Some(0x9200_0155)));
    assert_eq!(run(El1, 0, EA, NOWHERE, &[]), (Some(El3), Some(0x9200_0155)));
    assert_eq!(run(El2, 0, 0, NOWHERE, &[]), (Some(El2), Some(0x9600_0155)));
    assert_eq!(run(El2, 0, EA, NOWHERE, &[]), (Some(El3), Some(0x9200_0155)));
    assert_eq!(run(El3, 0, 0, NOWHERE, &[]), (Some(El3), Some(0x9600_0155)));
    // Stage 2 does not map the table: DFSC 0b000101, S1PTW, WnR, CM: 0x1c5, at EL1 only.
    assert_eq!(run(El1, 1, 0, 0x5000_0000, &[]), (Some(El2), Some(0x9200_01c5)));
    assert_eq!(run(El2, 1, 0, 0x5000_0000, &[]), (None, None));
    assert_eq!(run(El3, 1, 0, 0x5000_0000, &[]), (None, None));
    // The tables of stage 2 are nowhere: an external abort found by stage 2 goes to EL2; S1PTW, level 2.
    let nowhere = [(NonSecure, 0x4000_0008, 0xf000_0003)];
    assert_eq!(run(El1, 1, 0, 0x5000_0000, &nowhere), (Some(El2), Some(0x9200_01d6)));
    // HCR_EL2.AT: EC 0x18; Op0 1, Op2 0, Op1 0, CRn 7, Rt 3, CRm 8, write:
    // 1 << 20 | 7 << 10 | 3 << 5 | 8 << 1 = 0x10_1c70.
    assert_eq!(run(El1, 1 << 44, 0, 0x5000_0000, &[]), (Some(El2), Some(0x6210_1c70)));
}

// ---------------------------------------------------------------------------------------------------------------
// Explained: the reason stands before the fault.

#[derive(Default)]
struct Steps(Vec<Step>);

impl Recorder for Steps {
    fn record(&mut self, step: Step) {
        self.0.push(step);
    }
}

#[test]
fn the_rule_that_decides_stands_before_the_fault() {
    let machine = |tcr: u64, hcr| Registers {
        el1: Stage1Registers { tcr: EL1_TCR | tcr, ..el1(0xff04) },
        scr_el3: 1,
        hcr_el2: hcr,
        vtcr_el2: 0x8002_0058,
        vttbr_el2: 0x4000_0000,
        ..Registers::default()
    };
    let user = Access::new(AccessKind::Read, Privilege::Unprivileged);
    let stage1 = |value: u64| vec![(NonSecure, 0x5000_0000, value)];
    let both = |value: u64| {
        vec![
            (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
            (NonSecure, 0x5000_0000, 0x8000_0405),
            (NonSecure, 0x4000_0010, value),
        ]
    };
    let cases: &[(Rule, Registers, Vec<(Space, u64, u64)>, u64, Access)] = &[
        (Rule::InputOutOfRange, machine(0, 0), stage1(0), 1 << 39, READ),
        (Rule::WalksDisabled, machine(1 << 7, 0), stage1(0), 0, READ),
        (Rule::BarredToEl0, machine(1 << 55, 0), stage1(0), 0, user),
        (Rule::NonFaultLoad, machine(1 << 53, 0), stage1(0), 0, user.non_fault()),
        (Rule::StartInvalid, machine(0x3f, 0), stage1(0), 0, READ),
        (Rule::NotValid, machine(0, 0), stage1(0), 0, READ),
        (Rule::NextTableTooLarge, machine(0, 0), stage1(1 << 40 | 3), 0, READ),
        (Rule::OutputTooLarge, machine(0, 0), stage1(1 << 40 | 0x401), 0, READ),
        (Rule::NoMemory, machine(0, 0), stage1(0xf000_0003), 0, READ),
        (Rule::AccessFlagClear, machine(0, 0), stage1(0x8000_0001), 0, READ),
        (Rule::DeviceUnaligned, machine(0, 0), stage1(0x8000_0401), 0, READ.unaligned()),
        (Rule::BaseDenies, machine(0, 0), stage1(0x8000_0485), 0, WRITE),
        (Rule::BaseDenies, machine(0, 0), stage1(0x8000_0445), 0, READ.with_pan(true)),
        (Rule::NotValid, machine(0, 1), both(0), 0, READ),
        (Rule::AccessFlagClear, machine(0, 1), both(0xfd), 0, READ),
        (Rule::BaseDenies, machine(0, 1), both(0x43d), 0, READ),
        (Rule::WalkInDevice, machine(0, 1 | 1 << 2), vec![(NonSecure, 0x4000_0008, 0x4000_04c1)], 0, READ),
    ];
    for (rule, registers, entries, va, access) in cases {
        let translator = Translator::new(Regime::El1And0, registers, &ALL);
        let mut steps = Steps::default();
        let found = translator.translate(Va::new(*va), *access, &spaces(entries), &mut steps);
        assert!(matches!(found, Ok(Translation::Fault(_))), "{rule:?}");
        let [.., Step::Decided { rule: told, .. }, Step::Fault(_)] = steps.0.as_slice() else {
            panic!("{rule:?}: {:x?}", steps.0)
        };
        assert_eq!(told, rule);
        assert!(!rule.says().is_empty() && !rule.cite().is_empty());
        assert!(steps.0.iter().all(|step| !step.to_string().is_empty()));
    }
}

#[test]
fn fields_say_where_they_lie_and_what_they_mean() {
    // A page at level 3 with AttrIndx 1, AP 0b11, SH 0b11, AF, nG, PXN, UXN.
    const PAGE: u64 = 1 << 54 | 1 << 53 | 0x1234_5000 | 0xfc7;
    let registers = Registers { el1: el1(0xff04), scr_el3: 1, ..Registers::default() };
    let translator = Translator::new(Regime::El1And0, &registers, &ALL);
    let memory = spaces(&[
        (NonSecure, 0x5000_0000, 1 << 61 | 0x5000_1003),
        (NonSecure, 0x5000_1000, 0x5000_2003),
        (NonSecure, 0x5000_2008, PAGE),
    ]);
    let mut steps = Steps::default();
    let _ = translator.translate(Va::new(0x1234), READ, &memory, &mut steps).expect("memory works");
    let field = |level, name: &str| {
        let found = steps.0.iter().find_map(|step| match step {
            Step::Field { level: of, field, .. } if *of == level && field.name == name => Some(*field),
            _ => None,
        });
        let field = found.unwrap_or_else(|| panic!("{name}"));
        (field.parts[0], field.value, field.means)
    };
    assert_eq!(
        field(Level::L1, "NextTable"),
        (Some((47, 12)), 0x5000_1000, "the address, without the bits that come from the input")
    );
    assert_eq!(field(Level::L1, "APTable"), (Some((62, 61)), 1, "EL0 has no access below"));
    assert_eq!(field(Level::L2, "APTable"), (Some((62, 61)), 0, "no limits below"));
    assert_eq!(field(Level::L3, "OA").1, 0x1234_5000);
    assert_eq!(field(Level::L3, "AttrIndx"), (Some((4, 2)), 1, "selects a byte of MAIR_ELx"));
    assert_eq!(field(Level::L3, "AP"), (Some((7, 6)), 3, "EL1 and EL0 read"));
    assert_eq!(field(Level::L3, "SH"), (Some((9, 8)), 3, "Inner Shareable"));
    assert_eq!(field(Level::L3, "nG"), (Some((11, 11)), 1, "of the current ASID"));
    assert_eq!(field(Level::L3, "UXN"), (Some((54, 54)), 1, "EL0 does not execute"));
    let rights = steps.0.iter().find_map(|step| match step {
        Step::Rights { base, .. } => Some(format!("{base:?}")),
        _ => None,
    });
    // APTable[0] takes EL0's read away.
    assert_eq!(rights.as_deref(), Some("Permissions(r--------)"));
    let line = steps.0.iter().map(ToString::to_string).find(|line| line.contains("AP [7:6]")).expect("told");
    assert_eq!(line, "stage 1 level 3: AP [7:6] = 0x3: EL1 and EL0 read (AArch64.S1DirectBasePermissions)");
}
