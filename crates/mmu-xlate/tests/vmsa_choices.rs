//! What the architecture leaves open and is chosen here: a test for each row of the table, and none without a row.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::panic,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use arm_arch::sysreg::instructions as ins;
use arm_arch::{ExceptionLevel, Granule, Level, Pa, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtOperation, AtOutcome, CHOICES, Cached, CachedEntry, GranuleProtection,
    GranuleRegisters, Guarded, Implementation, Located, Privilege, Regime, Registers, Space, Stage1Registers,
    Tlbi, TlbiContext, Translation, Translator, at,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// Descriptors by address; all others are 0.
#[derive(Default)]
struct Memory {
    entries: RefCell<BTreeMap<u64, u64>>,
    /// Others always write first.
    contended: bool,
    swaps: Cell<u32>,
}

impl TableMemory<Pa> for Memory {
    type Error = ();

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, ()> {
        Ok(Some(self.entries.borrow().get(&at.bits()).copied().unwrap_or(0).to_le_bytes()))
    }
}

impl TableUpdate<Pa> for Memory {
    fn compare_exchange(&self, at: Pa, old: [u8; 8], new: [u8; 8]) -> Result<Swap, ()> {
        self.swaps.set(self.swaps.get().saturating_add(1));
        if self.contended || self.load(at)? != Some(old) {
            return Ok(Swap::Lost);
        }
        self.entries.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        Ok(Swap::Done)
    }
}

fn memory(entries: &[(u64, u64)]) -> Memory {
    Memory { entries: RefCell::new(entries.iter().copied().collect()), ..Memory::default() }
}

const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
const WRITE: Access = Access::new(AccessKind::Write, Privilege::Privileged);
const FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Privileged);
const ALL: Implementation = Implementation::ALL;

/// EL1&0: 39 bits from level 1 (T0SZ 25), 4 KiB, 40 bits out, table at 0x5000_0000. `tcr` flips bits.
fn el1(tcr: u64, mair: u64) -> Registers {
    let el1 = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x2_8019_0019 ^ tcr,
        ttbr0: 0x5000_0000,
        mair,
        ..Stage1Registers::default()
    };
    // SCR_EL3: NS, TCR2En; HCRX_EL2.TCR2En.
    Registers { el1, scr_el3: 1 | 1 << 43, hcrx_el2: 1 << 14, ..Registers::default() }
}

/// The same with stage 2 on: 40 bits from level 1, tables at 0x4000_0000.
fn both(mair: u64, hcr: u64) -> Registers {
    Registers { hcr_el2: 1 | hcr, vtcr_el2: 0x8002_0058, vttbr_el2: 0x4000_0000, ..el1(0, mair) }
}

/// What comes out: address, attributes and shareability; or stage and FSC.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Out(u64, u8, u8),
    Fault(u8),
}

fn got(translation: Translation<Pa>) -> Got {
    match translation {
        Translation::Mapped(it) => {
            Got::Out(it.output.bits(), it.attributes.byte(), it.attributes.shareability().encode())
        }
        Translation::Fault(it) => Got::Fault(it.status.encode()),
    }
}

fn ask(registers: &Registers, has: &Implementation, entries: &[(u64, u64)], va: u64, access: Access) -> Got {
    let translator = Translator::new(Regime::El1And0, registers, has);
    got(translator.translate(Va::new(va), access, &memory(entries), &mut ()).expect("memory works"))
}

fn one(registers: &Registers, entry: u64, access: Access) -> Got {
    ask(registers, &ALL, &[(0x5000_0000, entry)], 0x123, access)
}

fn ask_at(registers: &Registers, entry: u64) -> u128 {
    let context = AtContext { el: ExceptionLevel::El1, pan: false };
    let memory = memory(&[(0x5000_0000, entry)]);
    match at(AtOperation::S1E1R, Va::new(0x123), context, (registers, &ALL), &memory, &mut ()) {
        Ok(AtOutcome::Par(par)) => par,
        other => panic!("{other:x?}"),
    }
}

fn txsz_out_of_range() {
    // 63: beyond 48; 15: below 16. Neither is brought to the limit.
    for txsz in [63, 49, 15] {
        assert_eq!(one(&el1(0x19 ^ txsz, 0xff), 0x8000_0401, READ), Got::Fault(0x04), "{txsz}");
    }
}

fn tg_reserved() {
    // TG0, bits 15:14: 0b11 is reserved: 4 KiB, from level 1, 1 GiB. VA 0x4000_0123: entry 1.
    let entries = [(0x5000_0008, 0x8000_0401)];
    let registers = el1(3 << 14, 0xff);
    assert_eq!(ask(&registers, &ALL, &entries, 0x4000_0123, READ), Got::Out(0x8000_0123, 0xff, 0));
    // 16 KiB where there is no 4 KiB: from level 1 too, 39 - 36 = 3 index bits, then level 2, 32 MiB, VA[35:25] = 0x20.
    let has = Implementation { granule_4k: false, ..ALL };
    let entries = [(0x5000_0000, 0x5001_0003), (0x5001_0100, 0x8000_0401)];
    assert_eq!(ask(&registers, &has, &entries, 0x4000_0123, READ), Got::Out(0x8000_0123, 0xff, 0));
    // TG0 0b01 names 64 KiB, which this one has not.
    let has = Implementation { granule_64k: false, ..ALL };
    let entries = [(0x5000_0008, 0x8000_0401)];
    assert_eq!(ask(&el1(1 << 14, 0xff), &has, &entries, 0x4000_0123, READ), Got::Out(0x8000_0123, 0xff, 0));
}

fn skl_beyond_level_3() {
    // D128, 39 bits: (39 - 1 - 12) / 8 = 3, from level 0. T0SZ 39, 25 bits: (25 - 1 - 12) / 8 = 1, from level 2: SKL 2
    // would begin at level 4.
    let mut registers = el1(0x19 ^ 39, 0xff);
    registers.el1.tcr2 = 1 << 5;
    registers.el1.ttbr0 = 0x5000_0004;
    assert_eq!(one(&registers, 0x8000_0401, READ), Got::Fault(0x04));
    // SKL 1 begins at level 3.
    registers.el1.ttbr0 = 0x5000_0002;
    assert_eq!(one(&registers, 0, READ), Got::Fault(0x07));
}

fn mair_unpredictable() {
    for (byte, want) in [(0x90, 0x00), (0x10, 0x00), (0x02, 0x00), (0x0e, 0x00), (0xf0, 0xff)] {
        let sh = if want == 0xff { 0 } else { 2 };
        assert_eq!(one(&el1(0, byte), 0x8000_0401, READ), Got::Out(0x8000_0123, want, sh), "{byte:#x}");
    }
}

fn sh_reserved() {
    assert_eq!(one(&el1(0, 0xff), 0x8000_0501, READ), Got::Out(0x8000_0123, 0xff, 0));
}

fn mem_attr_reserved() {
    const FWB: u64 = 1 << 46;
    // Outer half in bits 3:2 of MemAttr, inner in 1:0; over Write-Back stage 1 XS is 0: 0x40 for Non-cacheable.
    for (hcr, mem_attr, want, sh) in [
        (0, 0b0100, 0x40, 2),
        (0, 0b1000, 0xb4, 0),
        (0, 0b1100, 0xf4, 0),
        (FWB, 0b0100, 0x40, 2),
        (FWB, 0b0101, 0x40, 2),
    ] {
        let entries = [
            (0x4000_0008, 0x4000_04c1 | if hcr == 0 { 0xf } else { 6 } << 2),
            (0x5000_0000, 0x8000_0401),
            (0x4000_0010, 0x1_0000_04c1 | mem_attr << 2),
        ];
        let found = ask(&both(0xff, hcr), &ALL, &entries, 0x123, READ);
        assert_eq!(found, Got::Out(0x1_0000_0123, want, sh), "{mem_attr:#b}");
    }
}

fn contiguous_misprogrammed() {
    // 16 blocks of 1 GiB from 0, of which this one, number 1, claims to be number 3: its bits below 16 GiB do not count.
    let entries = [(0x5000_0008, 1 << 52 | 0xc000_0401)];
    assert_eq!(ask(&el1(0, 0xff), &ALL, &entries, 0x4000_0123, READ), Got::Out(0x4000_0123, 0xff, 0));
}

fn nt() {
    // nT is bit 16 of a block.
    assert_eq!(one(&el1(0, 0xff), 1 << 16 | 0x8000_0401, READ), Got::Out(0x8000_0123, 0xff, 0));
}

fn nv_0_with_nv1_1() {
    const NV: u64 = 1 << 42;
    const NV1: u64 = 1 << 43;
    // Bit 54: UXN, or with {NV,NV1} = {1,1} PXN.
    let of = |hcr| one(&Registers { hcr_el2: hcr, ..el1(0, 0xff) }, 1 << 54 | 0x8000_0401, FETCH);
    assert_eq!(of(NV1), Got::Out(0x8000_0123, 0xff, 0));
    assert_eq!(of(NV | NV1), Got::Fault(0x0d));
}

fn access_flag_with_a_permission_fault() {
    const HA: u64 = 1 << 39;
    let translator = Translator::new(Regime::El1And0, &el1(HA, 0xff), &ALL);
    let memory = memory(&[(0x5000_0000, 0x8000_0081)]);
    let of =
        |access| got(translator.translate_updating(Va::new(0x123), access, &memory, &mut ()).expect("works"));
    assert_eq!(of(WRITE), Got::Fault(0x0d));
    assert_eq!(memory.entries.borrow().get(&0x5000_0000), Some(&0x8000_0081));
    assert_eq!(of(READ), Got::Out(0x8000_0123, 0xff, 0));
    assert_eq!(memory.entries.borrow().get(&0x5000_0000), Some(&0x8000_0481));
}

fn access_flag_by_at() {
    const HA: u64 = 1 << 39;
    // AT has no right to write here at all: it takes memory that cannot be written. FST 0b001001 without HA.
    assert_eq!(ask_at(&el1(HA, 0xff), 0x8000_0001), 0xff00_0000_8000_0800);
    assert_eq!(ask_at(&el1(0, 0xff), 0x8000_0001), 0x813);
}

fn access_flag_fault_by_cache_maintenance() {
    for kind in [AccessKind::Clean, AccessKind::CleanInvalidate, AccessKind::Invalidate] {
        let access = Access::new(kind, Privilege::Privileged);
        assert_eq!(one(&el1(0, 0xff), 0x8000_0001, access), Got::Out(0x8000_0123, 0xff, 0), "{kind:?}");
    }
    assert_eq!(one(&el1(0, 0xff), 0x8000_0001, READ), Got::Fault(0x09));
}

fn instruction_fetch_from_device() {
    // nGnRE, 0x04: XS is 1, so 0x44; 0x05 has XS 0: 0x40.
    assert_eq!(one(&el1(0, 0x04), 0x8000_0401, FETCH), Got::Out(0x8000_0123, 0x44, 2));
    assert_eq!(one(&el1(0, 0x05), 0x8000_0401, FETCH), Got::Out(0x8000_0123, 0x40, 2));
}

fn ic_ivau_at_el0() {
    let clean = Access::new(AccessKind::Clean, Privilege::Unprivileged);
    assert_eq!(one(&el1(0, 0xff), 0x8000_0401, clean), Got::Fault(0x0d));
    assert_eq!(one(&el1(0, 0xff), 0x8000_0441, clean), Got::Out(0x8000_0123, 0xff, 0));
}

fn stage_1_tables_in_device() {
    const PTW: u64 = 1 << 2;
    let entries = [(0x4000_0008, 0x4000_04c1), (0x5000_0000, 0x8000_0401), (0x4000_0010, 0x1_0000_04fd)];
    let of = |hcr| ask(&both(0xff, hcr), &ALL, &entries, 0x123, READ);
    assert_eq!(of(0), Got::Out(0x1_0000_0123, 0xff, 0));
    assert_eq!(of(PTW), Got::Fault(0x0d));
}

fn assured_only_with_stage_1_off() {
    // VTCR_EL2.AssuredOnly, bit 34; bit 58 of the leaf.
    let mut registers = both(0xff, 0);
    registers.el1.sctlr = 0;
    let entries = [(0x4000_0000, 1 << 58 | 0x1_0000_04fd)];
    assert_eq!(ask(&registers, &ALL, &entries, 0x120, READ), Got::Out(0x1_0000_0120, 0x00, 2));
    registers.vtcr_el2 |= 1 << 34;
    assert_eq!(ask(&registers, &ALL, &entries, 0x120, READ), Got::Fault(0x0d));
}

fn updates_that_keep_losing() {
    const HA: u64 = 1 << 39;
    let memory = Memory { contended: true, ..memory(&[(0x5000_0000, 0x8000_0001)]) };
    let translator = Translator::new(Regime::El1And0, &el1(HA, 0xff), &ALL);
    let found = translator.translate_updating(Va::new(0x123), READ, &memory, &mut ()).expect("works");
    assert_eq!((got(found), memory.swaps.get()), (Got::Fault(0b11_0001), 64));
}

fn granule_protection_of_cache_maintenance() {
    // GPCCR_EL3: GPC, SH 0b11, WBWA, 4 KiB, 1 GiB, 40 bits; all of the third GiB is Realm, of the second Non-secure.
    struct Machine;
    impl TableMemory<Located> for Machine {
        type Error = ();

        fn load(&self, at: Located) -> Result<Option<[u8; 8]>, ()> {
            let entry: u64 = match at.pa.bits() {
                0x6000_0008 => 0x91,
                0x6000_0010 => 0xb1,
                0x5000_0000 => 0x8000_0401,
                _ => 0,
            };
            Ok(Some(entry.to_le_bytes()))
        }
    }
    let registers = GranuleRegisters { gpccr_el3: 0x1_3502, gptbr_el3: 0x6_0000 };
    let protection = GranuleProtection::new(&registers, &ALL);
    let guarded = Guarded { memory: &Machine, protection: &protection };
    let translator = Translator::new(Regime::El1And0, &el1(0, 0xff), &ALL);
    for kind in [AccessKind::Clean, AccessKind::CleanInvalidate, AccessKind::Invalidate] {
        let access = Access::new(kind, Privilege::Privileged);
        let answer = translator.translate(Va::new(0x123), access, &guarded, &mut ());
        let Ok(Translation::Fault(fault)) = answer else { panic!("{kind:?}: {answer:?}") };
        assert_eq!(fault.status.encode(), 0b10_1000, "{kind:?}");
    }
}

fn par_ns_outside_secure_state() {
    // NS, bit 9.
    assert_eq!(ask_at(&el1(0, 0xff), 0x8000_0421) >> 9 & 1, 0);
}

const CONTEXT: TlbiContext =
    TlbiContext { state: Space::NonSecure, e2h: false, tge: false, vmid: 7, asid_16: true, ds: false };
const ENTRY: CachedEntry = CachedEntry {
    cached: Cached::Stage1,
    regime: Regime::El1And0,
    state: Space::NonSecure,
    vmid: 7,
    asid: None,
    start: 0x1000,
    size_log2: 12,
    level: Level::L3,
    granule: Granule::Size4K,
    ipa_space: Space::NonSecure,
};

fn tlbi_by_range() {
    // TG, bits 47:46, over page 1: 0b01 is 4 KiB.
    for (tg, gone) in [(1, true), (0, false), (2, false), (3, false)] {
        let tlbi = Tlbi::decode(ins::TLBI_RVAAE1, tg << 46 | 1, &CONTEXT).expect("a TLBI");
        assert_eq!(tlbi.removes(&ENTRY, &CONTEXT), gone, "TG {tg}");
    }
}

fn ttl_reserved() {
    // TTL, bits 47:44: 0b1000 is 16 KiB with a reserved level, 0b1100 64 KiB with one.
    for (ttl, gone) in [(0b1000, true), (0b1100, true), (0b0111, true), (0b0110, false)] {
        let tlbi = Tlbi::decode(ins::TLBI_VAAE1, ttl << 44 | 1, &CONTEXT).expect("a TLBI");
        assert_eq!(tlbi.removes(&ENTRY, &CONTEXT), gone, "TTL {ttl:#b}");
    }
}

/// A level that the granule has leaves at with FEAT_LPA2 only is no hint without it. Arm ARM, TLBI VAE1, TTL.
#[test]
fn a_level_that_needs_lpa2_is_no_hint_without_it() {
    // TTL, bits 47:44: 4 KiB level 0, 16 KiB level 1; with DS they name such leaves, of which the entry is none.
    for (ttl, ds, gone) in [
        (0b0100, false, true),
        (0b0100, true, false),
        (0b1001, false, true),
        (0b1001, true, false),
        (0b0101, false, false),
        (0b1101, false, false),
        (0b0111, false, true),
    ] {
        let context = TlbiContext { ds, ..CONTEXT };
        let tlbi = Tlbi::decode(ins::TLBI_VAAE1, ttl << 44 | 1, &context).expect("a TLBI");
        assert_eq!(tlbi.removes(&ENTRY, &context), gone, "TTL {ttl:#b}, DS {ds}");
    }
    // TTL of a range, bits 38:37, of 16 KiB (TG 2): level 1; level 3 is the entry's.
    let entry = CachedEntry { start: 0x4000, size_log2: 14, granule: Granule::Size16K, ..ENTRY };
    for (ttl, ds, gone) in
        [(1, false, true), (1, true, false), (2, false, false), (3, false, true), (0, true, true)]
    {
        let context = TlbiContext { ds, ..CONTEXT };
        let base = if ds { 0 } else { 1 };
        let tlbi = Tlbi::decode(ins::TLBI_RVAAE1, 2 << 46 | 1 << 39 | ttl << 37 | base, &context);
        assert_eq!(tlbi.expect("a TLBI").removes(&entry, &context), gone, "TTL {ttl}, DS {ds}");
    }
}

fn tlbi_rpa() {
    let tlbi = Tlbi::decode(ins::TLBI_RPAOS, 1, &CONTEXT).expect("a TLBI");
    for start in [0x1000, 0x8000_0000] {
        let entry = CachedEntry { cached: Cached::GranuleProtection, start, ..ENTRY };
        assert!(tlbi.removes(&entry, &CONTEXT), "{start:#x}");
    }
    assert!(!tlbi.removes(&ENTRY, &CONTEXT));
}

const TESTS: &[(&str, fn())] = &[
    ("TxSZ out of range", txsz_out_of_range),
    ("TG reserved or not implemented", tg_reserved),
    ("SKL beyond level 3", skl_beyond_level_3),
    ("MAIR byte UNPREDICTABLE", mair_unpredictable),
    ("SH 0b01", sh_reserved),
    ("MemAttr reserved", mem_attr_reserved),
    ("Contiguous misprogrammed", contiguous_misprogrammed),
    ("nT", nt),
    ("NV 0 with NV1 1", nv_0_with_nv1_1),
    ("access flag with a Permission fault", access_flag_with_a_permission_fault),
    ("access flag by AT", access_flag_by_at),
    ("access flag fault by cache maintenance", access_flag_fault_by_cache_maintenance),
    ("instruction fetch from Device memory", instruction_fetch_from_device),
    ("IC IVAU at EL0", ic_ivau_at_el0),
    ("stage 1 tables in Device memory of stage 2, PTW 0", stage_1_tables_in_device),
    ("AssuredOnly with stage 1 off", assured_only_with_stage_1_off),
    ("updates that keep losing", updates_that_keep_losing),
    ("granule protection of cache maintenance", granule_protection_of_cache_maintenance),
    ("PAR_EL1.NS outside Secure state", par_ns_outside_secure_state),
    ("TLBI by range, TG reserved or not of the entry", tlbi_by_range),
    ("TTL reserved", ttl_reserved),
    ("TLBI RPA", tlbi_rpa),
];

#[test]
fn each_choice_is_what_the_table_says() {
    for (_, test) in TESTS {
        test();
    }
}

#[test]
fn each_choice_has_a_test() {
    let tested: BTreeSet<&str> = TESTS.iter().map(|(name, _)| *name).collect();
    let named: BTreeSet<&str> = CHOICES.iter().map(|choice| choice.name).collect();
    assert_eq!(tested, named);
}
