//! TLB maintenance: what each instruction must remove, by hand from Arm ARM, TLBI, the page of each
//! operation. Operands are spelt out: ASID\[63:48\], TTL\[47:44\], VA\[55:12\] in \[43:0\]; ranges
//! TG\[47:46\], SCALE\[45:44\], NUM\[43:39\], TTL\[38:37\], BaseADDR\[36:0\].
#![cfg(feature = "vmsa")]
#![allow(missing_docs, clippy::panic, clippy::expect_used, reason = "a test")]

use arm_arch::sysreg::instructions as ins;
use arm_arch::{Granule, Level, SysRegId};
use mmu_xlate::vmsa::{Cached, CachedEntry, Regime, Shared, Space, Tlbi, TlbiContext};

const GUEST: TlbiContext =
    TlbiContext { state: Space::NonSecure, e2h: false, tge: false, vmid: 7, asid_16: true, ds: false };
/// A host with VHE: {E2H,TGE} = {1,1}.
const HOST: TlbiContext = TlbiContext { e2h: true, tge: true, ..GUEST };

/// The page at VA 0x7f12_3456_7000 of ASID 0x42 and VMID 7.
const PAGE: CachedEntry = CachedEntry {
    cached: Cached::Stage1,
    regime: Regime::El1And0,
    state: Space::NonSecure,
    vmid: 7,
    asid: Some(0x42),
    start: 0x7f12_3456_7000,
    size_log2: 12,
    level: Level::L3,
    granule: Granule::Size4K,
    ipa_space: Space::NonSecure,
};
/// The 2 MiB block around it, global.
const BLOCK: CachedEntry =
    CachedEntry { asid: None, start: 0x7f12_3440_0000, size_log2: 21, level: Level::L2, ..PAGE };
/// The table of level 3 that its page is in.
const TABLE: CachedEntry = CachedEntry {
    cached: Cached::Stage1Table,
    start: 0x7f12_3440_0000,
    size_log2: 21,
    level: Level::L2,
    ..PAGE
};
const KERNEL: CachedEntry = CachedEntry { asid: None, start: 0xffff_8000_1000_0000, ..PAGE };
/// IPA 0x8_1234_5000.
const STAGE2: CachedEntry = CachedEntry { cached: Cached::Stage2, asid: None, start: 0x8_1234_5000, ..PAGE };
const COMBINED: CachedEntry = CachedEntry { cached: Cached::Combined, ..PAGE };
const OTHER_VM: CachedEntry = CachedEntry { vmid: 8, ..PAGE };
const OTHER_ASID: CachedEntry = CachedEntry { asid: Some(0x43), ..PAGE };
const SECURE: CachedEntry = CachedEntry { state: Space::Secure, ..PAGE };
const OF_HOST: CachedEntry = CachedEntry { regime: Regime::El2And0, vmid: 0, ..PAGE };
const OF_EL2: CachedEntry = CachedEntry { regime: Regime::El2, vmid: 0, asid: None, ..PAGE };
const OF_EL3: CachedEntry = CachedEntry { regime: Regime::El3, vmid: 0, asid: None, ..PAGE };

/// VA 0x7f12_3456_7000 >> 12, with ASID 0x42.
const OPERAND: u64 = 0x0042_0007_f123_4567;

struct Case {
    name: &'static str,
    id: SysRegId,
    operand: u64,
    context: TlbiContext,
    gone: &'static [CachedEntry],
    kept: &'static [CachedEntry],
}

const CASES: &[Case] = &[
    Case {
        name: "VAE1: the address and ASID or global, tables too, current VMID",
        id: ins::TLBI_VAE1,
        operand: OPERAND,
        context: GUEST,
        gone: &[PAGE, BLOCK, TABLE, COMBINED],
        kept: &[OTHER_ASID, OTHER_VM, KERNEL, STAGE2, SECURE, OF_HOST, OF_EL2, OF_EL3],
    },
    Case {
        name: "VALE1: the last level only",
        id: ins::TLBI_VALE1IS,
        operand: OPERAND,
        context: GUEST,
        gone: &[PAGE, BLOCK, COMBINED],
        kept: &[TABLE, OTHER_ASID],
    },
    Case {
        name: "VAAE1: any ASID",
        id: ins::TLBI_VAAE1OS,
        operand: OPERAND,
        context: GUEST,
        gone: &[PAGE, OTHER_ASID, BLOCK, TABLE],
        kept: &[OTHER_VM, KERNEL],
    },
    Case {
        name: "VAALE1: any ASID, last level",
        id: ins::TLBI_VAALE1,
        operand: OPERAND,
        context: GUEST,
        gone: &[PAGE, OTHER_ASID],
        kept: &[TABLE],
    },
    Case {
        name: "VAE1 of the upper range: bit 55 is the sign",
        id: ins::TLBI_VAE1,
        operand: 0x0042_0ff8_0001_0000,
        context: GUEST,
        gone: &[KERNEL],
        kept: &[PAGE],
    },
    Case {
        name: "ASIDE1: what is not global",
        id: ins::TLBI_ASIDE1,
        operand: 0x42 << 48,
        context: GUEST,
        gone: &[PAGE, TABLE, COMBINED],
        kept: &[BLOCK, KERNEL, OTHER_ASID, OTHER_VM, STAGE2],
    },
    Case {
        name: "8-bit ASIDs: the high byte is 0",
        id: ins::TLBI_ASIDE1,
        operand: 0xff42 << 48,
        context: TlbiContext { asid_16: false, ..GUEST },
        gone: &[PAGE],
        kept: &[OTHER_ASID],
    },
    Case {
        name: "VMALLE1: stage 1 of the VMID",
        id: ins::TLBI_VMALLE1,
        operand: 0,
        context: GUEST,
        gone: &[PAGE, BLOCK, TABLE, COMBINED, KERNEL, OTHER_ASID],
        kept: &[STAGE2, OTHER_VM, SECURE, OF_EL2, OF_HOST],
    },
    Case {
        name: "VMALLE1 under {E2H,TGE} = {1,1}: the host's",
        id: ins::TLBI_VMALLE1IS,
        operand: 0,
        context: HOST,
        gone: &[OF_HOST],
        kept: &[PAGE, OF_EL2],
    },
    Case {
        name: "VAE1 under {E2H,TGE} = {1,1}: the host's",
        id: ins::TLBI_VAE1,
        operand: OPERAND,
        context: HOST,
        gone: &[OF_HOST],
        kept: &[PAGE],
    },
    Case {
        name: "VMALLS12E1: both stages of the VMID",
        id: ins::TLBI_VMALLS12E1,
        operand: 0,
        context: GUEST,
        gone: &[PAGE, STAGE2, COMBINED, TABLE],
        kept: &[OTHER_VM, OF_EL2, SECURE],
    },
    Case {
        name: "ALLE1: both stages, all VMIDs",
        id: ins::TLBI_ALLE1,
        operand: 0,
        context: GUEST,
        gone: &[PAGE, OTHER_VM, STAGE2, KERNEL],
        kept: &[OF_EL2, OF_HOST, SECURE],
    },
    Case {
        name: "IPAS2E1: stage 2 alone, by its own address",
        id: ins::TLBI_IPAS2E1,
        operand: 0x81_2345,
        context: GUEST,
        gone: &[STAGE2],
        kept: &[COMBINED, PAGE],
    },
    Case {
        name: "IPAS2E1 of another page",
        id: ins::TLBI_IPAS2LE1OS,
        operand: 0x81_2346,
        context: GUEST,
        gone: &[],
        kept: &[STAGE2],
    },
    Case {
        name: "ALLE2 without VHE",
        id: ins::TLBI_ALLE2,
        operand: 0,
        context: GUEST,
        gone: &[OF_EL2],
        kept: &[OF_HOST, PAGE, OF_EL3],
    },
    Case {
        name: "ALLE2 with E2H",
        id: ins::TLBI_ALLE2,
        operand: 0,
        context: TlbiContext { e2h: true, ..GUEST },
        gone: &[OF_HOST],
        kept: &[OF_EL2, PAGE],
    },
    Case {
        name: "VAE2 with E2H knows ASIDs",
        id: ins::TLBI_VAE2,
        operand: 0x0043_0007_f123_4567,
        context: TlbiContext { e2h: true, ..GUEST },
        gone: &[],
        kept: &[OF_HOST],
    },
    Case {
        name: "VAE2 without VHE",
        id: ins::TLBI_VAE2,
        operand: OPERAND,
        context: GUEST,
        gone: &[OF_EL2],
        kept: &[PAGE, OF_EL3],
    },
    Case {
        name: "VALE3",
        id: ins::TLBI_VALE3,
        operand: OPERAND,
        context: GUEST,
        gone: &[OF_EL3],
        kept: &[OF_EL2, PAGE],
    },
    Case {
        name: "TTL 0b0111: 4 KiB, level 3",
        id: ins::TLBI_VAE1,
        operand: OPERAND | 0b0111 << 44,
        context: GUEST,
        gone: &[PAGE, TABLE],
        kept: &[BLOCK],
    },
    Case {
        name: "TTL 0b0110: 4 KiB, level 2",
        id: ins::TLBI_VAE1,
        operand: OPERAND | 0b0110 << 44,
        context: GUEST,
        gone: &[BLOCK],
        kept: &[PAGE],
    },
    Case {
        name: "TTL 0b0011: no granule, no hint",
        id: ins::TLBI_VAE1,
        operand: OPERAND | 0b0011 << 44,
        context: GUEST,
        gone: &[PAGE, BLOCK],
        kept: &[],
    },
    Case {
        // TG 4 KiB, SCALE 0, NUM 0: (0 + 1) << (5*0 + 1) = 2 pages, from 0x7f12_3456_6000.
        name: "RVAE1: two pages, of which the second",
        id: ins::TLBI_RVAE1,
        operand: 0x42 << 48 | 1 << 46 | 0x7_f123_4566,
        context: GUEST,
        gone: &[PAGE, BLOCK, TABLE],
        kept: &[OTHER_ASID, KERNEL],
    },
    Case {
        // The same two pages one page lower: they end where the page starts.
        name: "RVAE1: ends before the page",
        id: ins::TLBI_RVAE1,
        operand: 0x42 << 48 | 1 << 46 | 0x7_f123_4565,
        context: GUEST,
        gone: &[],
        kept: &[PAGE],
    },
    Case {
        // SCALE 1, NUM 3: (3 + 1) << (5*1 + 1) = 256 pages = 0x10_0000 bytes, from 0x7f12_3446_8000 to
        // 0x7f12_3456_8000.
        name: "RVALE1: 256 pages, of which the last",
        id: ins::TLBI_RVALE1IS,
        operand: 0x42 << 48 | 1 << 46 | 1 << 44 | 3 << 39 | 0x7_f123_4468,
        context: GUEST,
        gone: &[PAGE],
        kept: &[TABLE],
    },
    Case {
        name: "RVAE1 of another granule",
        id: ins::TLBI_RVAE1,
        operand: 0x42 << 48 | 2 << 46 | 0x7_f123_4566 >> 2,
        context: GUEST,
        gone: &[],
        kept: &[PAGE],
    },
    Case {
        name: "RVAE1 with TTL 3: no block",
        id: ins::TLBI_RVAE1,
        operand: 0x42 << 48 | 1 << 46 | 3 << 37 | 0x7_f123_4566,
        context: GUEST,
        gone: &[PAGE],
        kept: &[BLOCK],
    },
    Case {
        // BaseADDR is VA[52:16] with DS: 0x7f12_3456 << 16, two pages of 4 KiB from 0x7f12_3456_0000.
        name: "RVAE1 with DS: the base is in 64 KiB",
        id: ins::TLBI_RVAE1,
        operand: 0x42 << 48 | 1 << 46 | 2 << 39 | 0x7f12_3456,
        context: TlbiContext { ds: true, ..GUEST },
        gone: &[BLOCK],
        kept: &[PAGE],
    },
    Case {
        // BaseADDR[36] is VA[48], the sign: 0xffff_8000_1000_0000 >> 12 in 37 bits.
        name: "RVAAE1 of the upper range",
        id: ins::TLBI_RVAAE1,
        operand: 1 << 46 | 0x18_0001_0000,
        context: GUEST,
        gone: &[KERNEL],
        kept: &[PAGE],
    },
    Case {
        name: "RIPAS2E1",
        id: ins::TLBI_RIPAS2E1,
        operand: 1 << 46 | 0x81_2344,
        context: GUEST,
        gone: &[STAGE2],
        kept: &[COMBINED],
    },
    Case {
        name: "VMALLWS2E1: what has dirty state of stage 2",
        id: ins::TLBI_VMALLWS2E1,
        operand: 0,
        context: GUEST,
        gone: &[STAGE2, COMBINED],
        kept: &[PAGE, OTHER_VM],
    },
];

#[test]
fn each_instruction_removes_what_it_names() {
    for Case { name, id, operand, context, gone, kept } in CASES {
        let tlbi = Tlbi::decode(*id, *operand, context).expect(name);
        for entry in *gone {
            assert!(tlbi.removes(entry, context), "{name}: stays: {entry:x?}");
        }
        for entry in *kept {
            assert!(!tlbi.removes(entry, context), "{name}: goes: {entry:x?}");
        }
    }
}

#[test]
fn the_intermediate_space_is_named_in_secure_state() {
    let context = TlbiContext { state: Space::Secure, ..GUEST };
    let secure = CachedEntry { state: Space::Secure, ipa_space: Space::Secure, ..STAGE2 };
    let other = CachedEntry { ipa_space: Space::NonSecure, ..secure };
    let of = |ns: u64| Tlbi::decode(ins::TLBI_IPAS2E1IS, ns << 63 | 0x81_2345, &context).expect("a TLBI");
    assert!(of(0).removes(&secure, &context) && !of(0).removes(&other, &context));
    assert!(of(1).removes(&other, &context) && !of(1).removes(&secure, &context));
}

#[test]
fn suffixes_say_who_and_what_to_wait_for() {
    let of = |id| {
        let tlbi = Tlbi::decode(id, 0, &GUEST).expect("a TLBI");
        (tlbi.shared, tlbi.excludes_xs)
    };
    assert_eq!(of(ins::TLBI_VAE1), (Shared::Local, false));
    assert_eq!(of(ins::TLBI_VAE1IS), (Shared::Inner, false));
    assert_eq!(of(ins::TLBI_VAE1OSNXS), (Shared::Outer, true));
    assert_eq!(of(ins::TLBI_RVAE1OS), (Shared::Outer, false));
    assert_eq!(of(ins::TLBI_RIPAS2LE1ISNXS), (Shared::Inner, true));
    assert_eq!(of(ins::TLBI_IPAS2E1OS), (Shared::Outer, false));
    assert_eq!(of(ins::TLBI_PAALL), (Shared::Local, false));
    assert_eq!(of(ins::TLBI_RPAOS), (Shared::Outer, false));
}

#[test]
fn what_is_no_tlbi_decodes_as_none() {
    for id in [ins::DC_IVAC, ins::AT_S1E1R, ins::IC_IALLU, SysRegId::new(1, 0, 8, 7, 4)] {
        assert_eq!(Tlbi::decode(id, 0, &GUEST), None, "{id:?}");
    }
}

#[test]
fn the_wide_form_has_its_address_in_the_second_register() {
    // TLBIP: VA[55:12] in bits 107:64, ASID and TTL as before.
    let operand = 0x7_f123_4567_u128 << 64 | 0x42 << 48;
    let tlbi = Tlbi::decode_pair(ins::TLBI_VAE1, operand, &GUEST).expect("a TLBI");
    assert!(tlbi.removes(&PAGE, &GUEST) && !tlbi.removes(&KERNEL, &GUEST));
    let range = 0x7_f123_4566_u128 << 64 | 0x42 << 48 | 1 << 46;
    let tlbi = Tlbi::decode_pair(ins::TLBI_RVAE1, range, &GUEST).expect("a TLBI");
    assert!(tlbi.removes(&PAGE, &GUEST) && !tlbi.removes(&OTHER_ASID, &GUEST));
}

/// Stage 2 of a guest, and what it says about the page of its first table.
mod cache {
    use super::{GUEST, SysRegId, TlbiContext, ins};
    use arm_arch::{Level, Pa, Va};
    use mmu_xlate::TableMemory;
    use mmu_xlate::vmsa::{
        Access, AccessKind, Cached, Implementation, Privilege, Regime, Registers, Stage1Registers,
        TableCache, Tlbi, Translation, Translator,
    };
    use std::cell::Cell;

    /// Stage 2 maps IPA 0x5000_0000, 1 GiB, to one of two places, where stage 1 says different things.
    struct Memory {
        moved: Cell<bool>,
    }

    impl TableMemory<Pa> for Memory {
        type Error = ();

        fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, ()> {
            let value: u64 = match at.bits() {
                0x4000_0008 if self.moved.get() => 0xc000_04fd,
                0x4000_0008 => 0x8000_04fd,
                0x4000_0000 => 0x4fd,
                // Stage 1, by way of IPA 0x5000_0000: IPA 0 and 0x2000_0000, level 1.
                0x9000_0000 => 0x401,
                0xd000_0000 => 0x4000_0401,
                _ => 0,
            };
            Ok(Some(value.to_le_bytes()))
        }
    }

    const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);

    /// VMID 7, as [`GUEST`] has it; the tables of stage 1 at IPA 0x5000_0000.
    fn translator(vmid: u128) -> Translator {
        let el1 = Stage1Registers {
            sctlr: 0x1005,
            tcr: 0x2_8019_0019,
            ttbr0: 0x5000_0000,
            mair: 0xff,
            ..Stage1Registers::default()
        };
        let registers = Registers {
            el1,
            scr_el3: 1,
            hcr_el2: 1,
            vtcr_el2: 0x8002_0058,
            vttbr_el2: vmid << 48 | 0x4000_0000,
            ..Registers::default()
        };
        Translator::new(Regime::El1And0, &registers, &Implementation::ALL)
    }

    fn ask(vmid: u128, memory: &Memory, cache: &mut TableCache<8>) -> u64 {
        let found = translator(vmid).translate_cached(Va::new(0x123), READ, memory, &mut (), cache);
        match found {
            Ok(Translation::Mapped(it)) => Pa::bits(it.output),
            other => panic!("{other:x?}"),
        }
    }

    /// Whether the answer is a new one after stage 2 changed and this was executed.
    fn forgets(id: SysRegId, operand: u64, context: &TlbiContext) -> bool {
        let memory = Memory { moved: Cell::new(false) };
        let mut cache = TableCache::<8>::new();
        assert_eq!(ask(7, &memory, &mut cache), 0x123);
        memory.moved.set(true);
        assert_eq!(ask(7, &memory, &mut cache), 0x123, "kept until it is told");
        let tlbi = Tlbi::decode(id, operand, context).expect("a TLBI");
        cache.remove(&tlbi, context);
        ask(7, &memory, &mut cache) == 0x8000_0123 + 0x4000_0000
    }

    #[test]
    fn the_table_cache_forgets_what_a_tlbi_names() {
        let other = TlbiContext { vmid: 8, ..GUEST };
        // Operands: IPA[51:12]. The leaf covers 0x4000_0000 to 0x7fff_ffff.
        let cases: &[(&str, SysRegId, u64, TlbiContext, bool)] = &[
            ("IPAS2E1 of the page", ins::TLBI_IPAS2E1, 0x5_0000, GUEST, true),
            ("IPAS2LE1IS of the first page of the block", ins::TLBI_IPAS2LE1IS, 0x4_0000, GUEST, true),
            ("IPAS2E1 of the page after the block", ins::TLBI_IPAS2E1, 0x8_0000, GUEST, false),
            ("IPAS2E1 with TTL level 3", ins::TLBI_IPAS2E1, 0b0111 << 44 | 0x5_0000, GUEST, false),
            ("IPAS2E1 with TTL level 1", ins::TLBI_IPAS2E1, 0b0101 << 44 | 0x5_0000, GUEST, true),
            ("IPAS2E1 of another VMID", ins::TLBI_IPAS2E1, 0x5_0000, other, false),
            ("VMALLS12E1", ins::TLBI_VMALLS12E1, 0, GUEST, true),
            ("VMALLS12E1 of another VMID", ins::TLBI_VMALLS12E1, 0, other, false),
            ("ALLE1 of any VMID", ins::TLBI_ALLE1, 0, other, true),
            // What is kept of it is of stage 2: these need not remove it.
            ("VMALLE1", ins::TLBI_VMALLE1, 0, GUEST, false),
            ("VAE1", ins::TLBI_VAE1, 0, GUEST, false),
            ("ALLE2", ins::TLBI_ALLE2, 0, GUEST, false),
        ];
        for (name, id, operand, context, gone) in cases {
            assert_eq!(forgets(*id, *operand, context), *gone, "{name}");
        }
    }

    #[test]
    fn the_table_cache_knows_vmids_and_what_it_holds() {
        let memory = Memory { moved: Cell::new(false) };
        let mut cache = TableCache::<8>::new();
        assert_eq!(ask(7, &memory, &mut cache), 0x123);
        let held: Vec<_> = cache.iter().collect();
        assert_eq!(held.len(), 1);
        let entry = held.first().expect("one");
        assert_eq!(
            (entry.cached, entry.vmid, entry.start, entry.size_log2),
            (Cached::Stage2, 7, 0x4000_0000, 30)
        );
        memory.moved.set(true);
        assert_eq!(ask(8, &memory, &mut cache), 0xc000_0123, "another VMID asks anew");
        cache.clear();
        assert_eq!((ask(7, &memory, &mut cache), cache.iter().count()), (0xc000_0123, 1));
    }

    /// Stage 2 maps IPA 0, 1 GiB, to itself. Stage 1, at 0x1000_0000: VA 0x20_0000, 2 MiB, has its last table at one of two places,
    /// which map page 3 of it differently.
    struct Tree {
        moved: Cell<bool>,
    }

    impl TableMemory<Pa> for Tree {
        type Error = ();

        fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, ()> {
            let value: u64 = match at.bits() {
                0x4000_0000 => 0x4fd,
                0x1000_0000 | 0x1800_0000 => 0x1000_1003,
                0x1000_1008 if self.moved.get() => 0x1000_3003,
                0x1000_1008 => 0x1000_2003,
                0x1000_2018 => 0x2000_0403,
                0x1000_3018 => 0x2000_1403,
                _ => 0,
            };
            Ok(Some(value.to_le_bytes()))
        }
    }

    const OLD: u64 = 0x2000_0123;
    const NEW: u64 = 0x2000_1123;
    const TREE: u128 = 0x1000_0000;
    const OTHER_TREE: u128 = 0x1800_0000;

    /// ASIDs of 16 bits (AS) in `TTBR0_EL1`.
    fn of_tree(vmid: u128, asid: u128, tree: u128) -> Translator {
        of_tree_with(0x12_8019_0019, vmid, asid, tree)
    }

    fn of_tree_with(tcr: u64, vmid: u128, asid: u128, tree: u128) -> Translator {
        let el1 = Stage1Registers {
            sctlr: 0x1005,
            tcr,
            ttbr0: asid << 48 | tree,
            ttbr1: 0x99 << 48,
            mair: 0xff,
            ..Stage1Registers::default()
        };
        let registers = Registers {
            el1,
            scr_el3: 1,
            hcr_el2: 1,
            vtcr_el2: 0x8002_0058,
            vttbr_el2: vmid << 48 | 0x4000_0000,
            ..Registers::default()
        };
        Translator::new(Regime::El1And0, &registers, &Implementation::ALL)
    }

    fn page(translator: &Translator, memory: &Tree, cache: &mut TableCache<8>) -> u64 {
        match translator.translate_cached(Va::new(0x20_3123), READ, memory, &mut (), cache) {
            Ok(Translation::Mapped(it)) => Pa::bits(it.output),
            other => panic!("{other:x?}"),
        }
    }

    #[test]
    fn a_last_table_is_forgotten_by_what_names_its_addresses_and_not_the_last_level_alone() {
        let other = TlbiContext { vmid: 8, ..GUEST };
        let asid = 0x142 << 48;
        // VA 0x20_3000, and 0x3f_f000 of the same 2 MiB, and 0x40_0000 and 0x1f_f000 beside them.
        let cases: &[(&str, SysRegId, u64, TlbiContext, bool)] = &[
            ("VAE1", ins::TLBI_VAE1, asid | 0x203, GUEST, true),
            ("VAE1 of another page below the table", ins::TLBI_VAE1IS, asid | 0x3ff, GUEST, true),
            ("VAE1 above", ins::TLBI_VAE1, asid | 0x400, GUEST, false),
            ("VAE1 below", ins::TLBI_VAE1, asid | 0x1ff, GUEST, false),
            ("VAE1 of another ASID", ins::TLBI_VAE1, 0x42 << 48 | 0x203, GUEST, false),
            ("VAE1 of another VMID", ins::TLBI_VAE1, asid | 0x203, other, false),
            ("VAE1 with TTL of a page: of leaves", ins::TLBI_VAE1, asid | 0b0111 << 44 | 0x203, GUEST, true),
            ("VALE1", ins::TLBI_VALE1, asid | 0x203, GUEST, false),
            ("VAAE1", ins::TLBI_VAAE1OS, 0x203, GUEST, true),
            ("VAALE1", ins::TLBI_VAALE1, 0x203, GUEST, false),
            // TG 4 KiB, SCALE 0, NUM 0: two pages.
            ("RVAE1", ins::TLBI_RVAE1, asid | 1 << 46 | 0x203, GUEST, true),
            ("RVAE1 that ends with the first page", ins::TLBI_RVAE1, asid | 1 << 46 | 0x1ff, GUEST, true),
            ("RVAE1 that ends before", ins::TLBI_RVAE1, asid | 1 << 46 | 0x1fe, GUEST, false),
            ("RVALE1", ins::TLBI_RVALE1, asid | 1 << 46 | 0x203, GUEST, false),
            ("ASIDE1", ins::TLBI_ASIDE1, asid, GUEST, true),
            ("ASIDE1 of another", ins::TLBI_ASIDE1, 0x99 << 48, GUEST, false),
            ("VMALLE1", ins::TLBI_VMALLE1, 0, GUEST, true),
            ("VMALLE1 of another VMID", ins::TLBI_VMALLE1, 0, other, false),
            ("VMALLS12E1", ins::TLBI_VMALLS12E1, 0, GUEST, true),
            ("ALLE1", ins::TLBI_ALLE1, 0, other, true),
            // Stage 2 alone: where it moves a table VMALLE1 follows. Arm ARM, TLBI IPAS2E1.
            ("IPAS2E1 of the table", ins::TLBI_IPAS2E1, 0x1_0002, GUEST, false),
            ("ALLE2", ins::TLBI_ALLE2, 0, GUEST, false),
            ("VAE2", ins::TLBI_VAE2, 0x203, GUEST, false),
        ];
        for (name, id, operand, context, gone) in cases {
            let (memory, translator) = (Tree { moved: Cell::new(false) }, of_tree(7, 0x142, TREE));
            let mut cache = TableCache::<8>::new();
            assert_eq!(page(&translator, &memory, &mut cache), OLD);
            memory.moved.set(true);
            assert_eq!(page(&translator, &memory, &mut cache), OLD, "{name}: kept until it is told");
            let tlbi = Tlbi::decode(*id, *operand, context).expect("a TLBI");
            cache.remove(&tlbi, context);
            assert_eq!(page(&translator, &memory, &mut cache), if *gone { NEW } else { OLD }, "{name}");
        }
    }

    #[test]
    fn a_last_table_belongs_to_the_asid_that_a1_and_as_choose() {
        // TTBR0_EL1.ASID 0x142, TTBR1_EL1.ASID 0x99; AS is bit 36 of TCR_EL1, A1 bit 22.
        let cases = [
            ("AS, A1 0: TTBR0's", 1u64 << 36, [(0x142u64, true), (0x99, false)]),
            ("AS, A1: TTBR1's", 1 << 36 | 1 << 22, [(0x99, true), (0x142, false)]),
            ("8 bits of TTBR0's", 0, [(0x42, true), (0x99, false)]),
        ];
        for (name, bits, asids) in cases {
            for (asid, gone) in asids {
                let memory = Tree { moved: Cell::new(false) };
                let translator = of_tree_with(0x2_8019_0019 | bits, 7, 0x142, TREE);
                let mut cache = TableCache::<8>::new();
                assert_eq!(page(&translator, &memory, &mut cache), OLD, "{name}");
                memory.moved.set(true);
                let context = TlbiContext { asid_16: bits & 1 << 36 != 0, ..GUEST };
                let tlbi = Tlbi::decode(ins::TLBI_ASIDE1, asid << 48, &context).expect("a TLBI");
                cache.remove(&tlbi, &context);
                let want = if gone { NEW } else { OLD };
                assert_eq!(page(&translator, &memory, &mut cache), want, "{name}, ASID {asid:#x}");
            }
        }
    }

    #[test]
    fn a_last_table_belongs_to_its_vmid_asid_and_tree() {
        let memory = Tree { moved: Cell::new(false) };
        let mut cache = TableCache::<8>::new();
        assert_eq!(page(&of_tree(7, 0x142, TREE), &memory, &mut cache), OLD);
        let held: Vec<_> = cache.iter().filter(|entry| entry.cached == Cached::Stage1Table).collect();
        assert_eq!(held.len(), 1);
        let entry = held.first().expect("one");
        assert_eq!(
            (entry.vmid, entry.asid, entry.start, entry.size_log2, entry.level),
            (7, Some(0x142), 0x20_0000, 21, Level::L2)
        );
        memory.moved.set(true);
        for (vmid, asid, tree, want) in [
            (7, 0x142, TREE, OLD),
            (7, 0x42, TREE, NEW),
            (7, 0x142, TREE, OLD),
            (8, 0x142, TREE, NEW),
            (0x107, 0x142, TREE, OLD),
            (7, 0x142, OTHER_TREE, NEW),
        ] {
            // One place for all: what another left is not taken, and the first is put back.
            let mut own = cache.clone();
            assert_eq!(
                page(&of_tree(vmid, asid, tree), &memory, &mut own),
                want,
                "{vmid:x} {asid:x} {tree:x}"
            );
        }
        cache.clear();
        assert_eq!(page(&of_tree(7, 0x142, TREE), &memory, &mut cache), NEW);
    }
}
