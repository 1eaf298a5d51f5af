//! Rules of DAT that the published vectors do not reach, and a slow walker that judges the fast one.
#![cfg(feature = "dat")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

use mmu_xlate::TableMemory;
use mmu_xlate::dat::{
    Access, AccessList, AccessRegisterTranslation, BaseRegister, Cause, Facilities, Fault, Features,
    LoadRealAddress, Mapping, OriginAboveLimit, Params, Place, Recording, Request, StorageKeys,
    StorageWindow, TestProtection, Translation, access_register, load_real_address, test_protection, walk,
    walk_asce,
};
use s390_arch::addr::{Absolute, Prefix};
use s390_arch::cr::{ControlRegisters, Cr0};
use s390_arch::dat::{Asce, Level, Virtual};
use s390_arch::pgm::{AccessException, AddressSpace, ProgramCode, ProtectionCause};
use s390_arch::psw::AddressingMode;
use s390_arch::skey::{AccessKey, StorageKey};
use std::collections::HashMap;

/// The host could not answer.
#[derive(Debug, PartialEq, Eq)]
struct HostFailure;

/// Doublewords, all others zero; one key for every block; an address at which the host fails.
#[derive(Default)]
struct Storage {
    words: HashMap<u64, u64>,
    key: u8,
    failing: Option<u64>,
    size: u64,
}

impl Storage {
    fn of(words: &[(u64, u64)]) -> Self {
        Self { words: words.iter().copied().collect(), size: 1 << 32, ..Self::default() }
    }
}

impl TableMemory<Absolute> for Storage {
    type Error = HostFailure;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, HostFailure> {
        if self.failing == Some(at.bits()) {
            return Err(HostFailure);
        }
        let bits = self.words.get(&at.bits()).copied().unwrap_or(0);
        Ok((at.bits() < self.size).then_some(bits.to_be_bytes()))
    }
}

impl StorageKeys for Storage {
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, HostFailure> {
        if self.failing == Some(block.bits()) {
            return Err(HostFailure);
        }
        Ok((block.bits() < self.size).then_some(StorageKey::from_bits(self.key)))
    }
}

/// Page 0 at frame 0x2345000, page 5 at 0x2346000.
const TABLES: &[(u64, u64)] = &[(0x13_0000, 0x14_0000), (0x14_0000, 0x234_5000), (0x14_0028, 0x234_6000)];
const ASCE: Asce = Asce::from_bits(0x13_0003);
const LAP: u64 = 0x1000_0000;
const FPO: u64 = 0x0200_0000;
const SPO: u64 = 0x0100_0000;
const IEP: u64 = 0x0010_0000;

fn params(cr0: u64, facilities: Facilities) -> Params {
    Params::real(Cr0::from_bits(cr0), facilities, Prefix::default()).in_space(ASCE, AddressSpace::Primary)
}

fn request(address: u64, bytes: u16, access: Access, key: u8) -> Request {
    Request { address, bytes, access, key: AccessKey::new(key).unwrap() }
}

fn mapped(params: &Params, request: &Request, storage: &Storage) -> Mapping {
    let answer = walk(params, request, storage).unwrap();
    answer.mapped().unwrap_or_else(|| panic!("{answer:?}"))
}

fn fault(params: &Params, request: &Request, storage: &Storage) -> Fault {
    let answer = walk(params, request, storage).unwrap();
    answer.fault().unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn fetch_protection_override_ends_with_the_last_byte_of_the_operand() {
    struct Case {
        name: &'static str,
        cr0: u64,
        at: u64,
        bytes: u16,
        access: Access,
        allowed: bool,
    }
    let fetch = Access::Fetch;
    let cases = [
        Case { name: "off", cr0: 0, at: 0, bytes: 1, access: fetch, allowed: false },
        Case { name: "on", cr0: FPO, at: 0, bytes: 1, access: fetch, allowed: true },
        Case {
            name: "instruction",
            cr0: FPO,
            at: 0,
            bytes: 2,
            access: Access::InstructionFetch,
            allowed: true,
        },
        Case { name: "store", cr0: FPO, at: 0, bytes: 1, access: Access::Store, allowed: false },
        Case { name: "up to 2047", cr0: FPO, at: 2040, bytes: 8, access: fetch, allowed: true },
        Case { name: "over 2047", cr0: FPO, at: 2040, bytes: 9, access: fetch, allowed: false },
        Case { name: "at 2048", cr0: FPO, at: 2048, bytes: 1, access: fetch, allowed: false },
        Case { name: "other override", cr0: SPO, at: 0, bytes: 1, access: fetch, allowed: false },
    ];
    for case in cases {
        let storage = Storage { key: 0x18, ..Storage::of(TABLES) };
        let request = request(case.at, case.bytes, case.access, 3);
        let got = walk(&params(case.cr0, Facilities::ALL), &request, &storage).unwrap();
        assert_eq!(
            got.mapped().is_some(),
            case.allowed,
            "{}: PoP ch. 3, fetch-protection override",
            case.name
        );
    }
}

#[test]
fn storage_protection_override_opens_key_9_only() {
    for (cr0, key, allowed) in [(SPO, 0x98, true), (SPO, 0x88, false), (0, 0x98, false), (0, 0x38, true)] {
        let storage = Storage { key, ..Storage::of(TABLES) };
        let got =
            walk(&params(cr0, Facilities::ALL), &request(0x5000, 1, Access::Store, 3), &storage).unwrap();
        assert_eq!(got.mapped().is_some(), allowed, "CR0 {cr0:#x} key {key:#x}");
    }
}

#[test]
fn a_fetch_only_access_list_entry_stops_stores_before_dat_protection() {
    let params = params(0, Facilities::ALL).with_access_list(AccessList::FetchOnly);
    let storage = Storage::of(&[(0x13_0000, 0x14_0200), (0x14_0028, 0x234_6000)]);
    let got = fault(&params, &request(0x5120, 1, Access::Store, 0), &storage);
    assert_eq!(got.place, Place::AccessList);
    assert_eq!(got.cause, Cause::Protection(ProtectionCause::AccessList));
    assert_eq!(got.teid.map(u64::from), Some(0x540c));
    let real_space = Params { asce: Some(ASCE.with_r(true)), ..params };
    assert_eq!(fault(&real_space, &request(0x5120, 1, Access::Store, 0), &storage).teid, got.teid);
    assert!(mapped(&params, &request(0x5120, 1, Access::Fetch, 0), &storage).dat_protected);
}

#[test]
fn the_teid_says_no_more_than_the_facilities_let_it() {
    let none = Facilities::default();
    let esop2 = Facilities { esop2: true, ..none };
    let fsi = Facilities { fsi: true, ..none };
    let protected = [(0x13_0000, 0x14_0200), (0x14_0000, 0x234_5000)];
    for (facilities, cr0, key, words, teid) in [
        (none, LAP, 0, TABLES, 0x000),
        (esop2, LAP, 0, TABLES, 0x080),
        (fsi, LAP, 0, TABLES, 0x400),
        (Facilities::ALL, LAP, 0, TABLES, 0x480),
        (none, 0, 0x10, TABLES, 0x000),
        (esop2, 0, 0x10, TABLES, 0x008),
        (Facilities::ALL, 0, 0x10, TABLES, 0x408),
        (none, 0, 0, &protected, 0x004),
        (Facilities::ALL, 0, 0, &protected, 0x404),
    ] {
        let storage = Storage { key, ..Storage::of(words) };
        let got = fault(&params(cr0, facilities), &request(0x100, 1, Access::Store, 3), &storage);
        assert_eq!(got.teid.map(u64::from), Some(teid), "{facilities:?} {:?}", got.cause);
    }
}

#[test]
fn a_private_space_is_without_low_address_protection_and_fetch_protection_override() {
    let storage = Storage { key: 0x18, ..Storage::of(TABLES) };
    for (p, cr0, access, key, allowed) in [
        (false, LAP, Access::Store, 0, false),
        (true, LAP, Access::Store, 0, true),
        (false, FPO, Access::Fetch, 3, true),
        (true, FPO, Access::Fetch, 3, false),
    ] {
        let params = params(cr0, Facilities::ALL).in_space(ASCE.with_p(p), AddressSpace::Primary);
        let got = walk(&params, &request(0x100, 1, access, key), &storage).unwrap();
        assert_eq!(got.mapped().is_some(), allowed, "P {p} CR0 {cr0:#x}: PoP ch. 3, private-space control");
    }
}

#[test]
fn a_protection_of_the_tables_names_the_level_of_the_leaf() {
    for (name, asce, words, level) in [
        ("page", 0x13_0003, &[(0x13_0000, 0x14_0000), (0x14_0028, 0x234_6200)][..], Level::Page),
        ("segment frame", 0x13_0003, &[(0x13_0000, 0x230_0600)], Level::Segment),
        ("region frame", 0x13_0007, &[(0x13_0000, 0x604)], Level::RegionThird),
    ] {
        let storage = Storage::of(words);
        let params =
            params(0x0080_0000, Facilities::ALL).in_space(Asce::from_bits(asce), AddressSpace::Primary);
        let got = fault(&params, &request(0x5000, 1, Access::Store, 0), &storage);
        assert_eq!(got.place, Place::Table(level), "{name}");
        assert_eq!(got.cause, Cause::Protection(ProtectionCause::Dat), "{name}");
        let leaf = mapped(&params, &request(0x5000, 1, Access::Fetch, 0), &storage).leaf;
        assert_eq!(leaf.level(), Some(level), "{name}");
    }
}

#[test]
fn the_teid_names_the_space() {
    for (space, teid) in [
        (AddressSpace::Primary, 0x6400),
        (AddressSpace::AccessRegister, 0x6401),
        (AddressSpace::Secondary, 0x6402),
        (AddressSpace::Home, 0x6403),
    ] {
        let params = params(0, Facilities::ALL).in_space(ASCE, space);
        // Page 6 has an entry of 0x400: invalid.
        let storage = Storage::of(&[(0x13_0000, 0x14_0000), (0x14_0030, 0x400)]);
        let got = fault(&params, &request(0x6000, 1, Access::Store, 0), &storage);
        assert_eq!(got.teid.map(u64::from), Some(teid), "{space:?}: PoP ch. 3, TEID bits 62-63");
    }
}

#[test]
fn addresses_are_truncated_to_the_addressing_mode() {
    for (mode, address, to) in [
        (AddressingMode::Bits24, 0xff00_5123, Some(0x234_6123)),
        (AddressingMode::Bits31, 0x8000_5123, Some(0x234_6123)),
        (AddressingMode::Bits64, 0x8000_5123, None),
    ] {
        let params = params(0, Facilities::ALL).in_mode(mode);
        let got = walk(&params, &request(address, 1, Access::Fetch, 0), &Storage::of(TABLES)).unwrap();
        assert_eq!(got.mapped().map(|mapping| mapping.absolute.bits()), to, "{mode:?}: PoP ch. 3");
    }
}

#[test]
fn instruction_execution_protection_needs_the_bit_and_its_enablement() {
    let none = Facilities::default();
    let iep = Facilities { iep: true, ..none };
    for (pte, cr0, facilities, access, teid) in [
        (0x234_6100, IEP, Facilities::ALL, Access::InstructionFetch, Some(0x5884)),
        (0x234_6100, IEP, iep, Access::InstructionFetch, Some(0x5084)),
        (0x234_6100, IEP, none, Access::InstructionFetch, None),
        (0x234_6100, 0, Facilities::ALL, Access::InstructionFetch, None),
        (0x234_6000, IEP, Facilities::ALL, Access::InstructionFetch, None),
        (0x234_6100, IEP, Facilities::ALL, Access::Fetch, None),
        (0x234_6100, IEP, Facilities::ALL, Access::Store, None),
    ] {
        let storage = Storage::of(&[(0x13_0000, 0x14_0000), (0x14_0028, pte)]);
        let got = walk(&params(cr0, facilities), &request(0x5000, 2, access, 0), &storage).unwrap();
        let found = got.fault().map(|fault| fault.teid.map(u64::from));
        assert_eq!(found, teid.map(Some), "entry {pte:#x} CR0 {cr0:#x} {access:?}: PoP ch. 3");
    }
}

#[test]
fn a_storage_window_ends_with_the_block_of_its_limit() {
    // The low 20 bits of the origin count as zeros, those of the limit as ones.
    let window = StorageWindow::new(0x1234_5678, 0x2000_0000).unwrap();
    for (guest, host) in [
        (0, Some(0x1230_0000)),
        (0x123, Some(0x1230_0123)),
        (0xddf_ffff, Some(0x200f_ffff)),
        (0xde0_0000, None),
        (u64::MAX, None),
    ] {
        let found = window.host(guest).map(Virtual::into_bits);
        assert_eq!(found, host, "{guest:#x}: state description, MSO and MSL");
    }
    assert_eq!(StorageWindow::new(0x2010_0000, 0x2000_0000), Err(OriginAboveLimit));
    assert!(StorageWindow::new(0x2000_0000, 0x2000_0000).is_ok());
    assert_eq!(OriginAboveLimit.to_string(), "main-storage origin above main-storage limit");
}

#[test]
fn storage_by_reference_has_the_keys_of_the_storage() {
    let storage = Storage { key: 0x18, ..Storage::of(TABLES) };
    for (key, allowed) in [(1, true), (2, false)] {
        let got =
            walk(&params(0, Facilities::ALL), &request(0x5000, 1, Access::Fetch, key), &&storage).unwrap();
        assert_eq!(got.mapped().is_some(), allowed, "key {key}");
    }
}

/// PoP ch. 10, LOAD REAL ADDRESS: what goes into the register, and when the instruction itself is interrupted.
/// PoP ch. 10, "TEST PROTECTION".
#[test]
fn test_protection_tells_what_is_permitted_or_is_interrupted() {
    struct Case {
        name: &'static str,
        cr0: u64,
        words: &'static [(u64, u64)],
        /// ACC, F, R, C of the block.
        storage_key: u8,
        key: u8,
        at: u64,
        want: TestProtection,
    }
    use TestProtection::{Fetch, FetchAndStore, Interrupted, Neither, NotTranslated};
    const fn case(name: &'static str, want: TestProtection) -> Case {
        Case { name, cr0: 0, words: TABLES, storage_key: 0x30, key: 3, at: 0x5008, want }
    }
    const PROTECTED: &[(u64, u64)] =
        &[(0x13_0000, 0x14_0000), (0x14_0028, 0x234_6200), (0x14_0000, 0x234_5200)];
    let cases = [
        case("matching key", FetchAndStore),
        Case { key: 4, ..case("other key", Fetch) },
        Case { key: 4, storage_key: 0x38, ..case("other key, fetch-protected", Neither) },
        Case { storage_key: 0x38, ..case("matching key, fetch-protected", FetchAndStore) },
        Case { key: 0, storage_key: 0x38, ..case("key 0", FetchAndStore) },
        Case { cr0: SPO, key: 4, storage_key: 0x98, ..case("storage-protection override", FetchAndStore) },
        Case { key: 4, storage_key: 0x98, ..case("key 9 without override", Neither) },
        Case { words: PROTECTED, ..case("DAT protection", Fetch) },
        Case { words: PROTECTED, key: 0, ..case("DAT protection, key 0", Fetch) },
        Case { words: PROTECTED, key: 4, storage_key: 0x38, ..case("DAT and key", Neither) },
        Case { cr0: LAP, at: 0x1ff, ..case("low address", Fetch) },
        Case { cr0: LAP, at: 0x200, ..case("beyond low addresses", FetchAndStore) },
        Case { at: 0x1ff, ..case("low address, control off", FetchAndStore) },
        Case { cr0: LAP, at: 0x100, key: 4, storage_key: 0x38, ..case("low address and key", Neither) },
        Case {
            cr0: LAP | FPO,
            at: 0x100,
            key: 4,
            storage_key: 0x38,
            ..case("low address, fetch-protection override", Fetch)
        },
        Case { cr0: FPO, at: 0x7ff, key: 4, storage_key: 0x38, ..case("override, byte 2047", Fetch) },
        Case { cr0: FPO, at: 0x800, key: 4, storage_key: 0x38, ..case("override, byte 2048", Neither) },
        Case { words: &[(0x13_0000, 0x20)], ..case("segment invalid", NotTranslated) },
        Case { words: &[(0x13_0000, 0x14_0000), (0x14_0028, 0x400)], ..case("page invalid", NotTranslated) },
        Case { at: 1 << 31, ..case("beyond the designation", NotTranslated) },
        Case {
            cr0: LAP,
            at: 0x100,
            words: &[(0x13_0000, 0x20)],
            ..case("low and not translated", NotTranslated)
        },
        Case {
            words: &[(0x13_0000, 0x14_0000), (0x14_0028, 0x800)],
            ..case("bit 52", Interrupted(AccessException::TranslationSpecification))
        },
        Case {
            words: &[(0x13_0000, 0x14_0000), (0x14_0028, 1 << 40)],
            ..case("no storage", Interrupted(AccessException::Addressing))
        },
        Case {
            cr0: LAP,
            at: 0x100,
            words: &[(0x13_0000, 0x14_0000), (0x14_0000, 1 << 40)],
            ..case("low and no storage", Interrupted(AccessException::Addressing))
        },
    ];
    for case in cases {
        let storage = Storage { key: case.storage_key, ..Storage::of(case.words) };
        let params = params(case.cr0, Facilities::ALL);
        let key = AccessKey::new(case.key).unwrap();
        assert_eq!(test_protection(&params, case.at, key, &storage), Ok(case.want), "{}", case.name);
    }
    // Access-list-controlled protection: stores only.
    let fetch_only = params(0, Facilities::ALL).with_access_list(AccessList::FetchOnly);
    let key = AccessKey::new(3).unwrap();
    let storage = Storage { key: 0x30, ..Storage::of(TABLES) };
    assert_eq!(test_protection(&fetch_only, 0x5008, key, &storage), Ok(Fetch));
    let codes = [FetchAndStore, Fetch, Neither, NotTranslated, Interrupted(AccessException::Addressing)]
        .map(TestProtection::condition_code);
    assert_eq!(codes, [Some(0), Some(1), Some(2), Some(3), None]);
    let failing = Storage { failing: Some(0x14_0028), ..Storage::of(TABLES) };
    assert_eq!(test_protection(&params(0, Facilities::ALL), 0x5008, key, &failing), Err(HostFailure));
}

#[test]
fn load_real_address_tells_the_entry_or_the_code_or_is_interrupted() {
    use LoadRealAddress as L;
    const INVALID: u64 = 0x20;
    struct Case {
        name: &'static str,
        asce: u64,
        at: u64,
        words: &'static [(u64, u64)],
        want: LoadRealAddress,
        code: Option<u8>,
        register: Option<u64>,
    }
    let done = |name, asce, at, words, want, code, register| Case {
        name,
        asce,
        at,
        words,
        want,
        code: Some(code),
        register: Some(register),
    };
    let interrupted = |name, asce, at, words, exception| Case {
        name,
        asce,
        at,
        words,
        want: L::Interrupted(exception),
        code: None,
        register: None,
    };
    let page_invalid: &[(u64, u64)] = &[(0x13_0000, 0x14_0000), (0x14_0030, 0x400)];
    let segment = L::SegmentInvalid(Absolute::new(0x13_0008));
    let page = L::PageInvalid(Absolute::new(0x14_0030));
    let exception = |code| L::Exception(ProgramCode(code));
    let cases = [
        done("page", 0x13_0003, 0x5123, TABLES, L::Translated(0x234_6123), 0, 0x234_6123),
        done("segment invalid", 0x13_0003, 0x10_0000, &[(0x13_0008, INVALID)], segment, 1, 0x13_0008),
        done("page invalid", 0x13_0003, 0x6000, page_invalid, page, 2, 0x14_0030),
        done(
            "region invalid",
            0x13_0007,
            0x8000_0000,
            &[(0x13_0008, INVALID)],
            exception(0x3b),
            3,
            0x8000_003b,
        ),
        done("table too short", 0x13_0000, 0x2000_0000, &[], exception(0x10), 3, 0x8000_0010),
        done("type", 0x13_0003, 0x8000_0000, &[], exception(0x38), 3, 0x8000_0038),
        interrupted(
            "translation specification",
            0x13_0003,
            0x10_0000,
            &[(0x13_0008, 0x4)],
            AccessException::TranslationSpecification,
        ),
        interrupted("addressing", 0xf_ffff_f000_0003, 0, &[], AccessException::Addressing),
    ];
    for Case { name, asce, at, words, want, code, register } in cases {
        let (asce, at) = (Asce::from_bits(asce), Virtual::from_bits(at));
        let got = load_real_address(asce, at, Features::ALL, &Storage::of(words));
        assert_eq!(got, Ok(want), "{name}");
        assert_eq!((want.condition_code(), want.register()), (code, register), "{name}");
    }
}

#[test]
fn a_failing_host_is_an_error_and_never_a_fault() {
    for failing in [0x13_0000, 0x14_0028, 0x234_6000] {
        let storage = Storage { failing: Some(failing), ..Storage::of(TABLES) };
        let got = walk(&params(0, Facilities::ALL), &request(0x5000, 1, Access::Fetch, 0), &storage);
        assert_eq!(got, Err(HostFailure), "{failing:#x}");
    }
}

#[test]
fn a_table_at_the_end_of_the_address_space_is_outside_storage_where_it_would_wrap() {
    let asce = Asce::from_bits(0xffff_ffff_ffff_f003);
    let storage = Storage { size: u64::MAX, ..Storage::of(&[]) };
    let got =
        walk_asce(asce, Virtual::from_bits(0x2000_0000), Access::Fetch, Features::ALL, &storage).unwrap();
    let fault = got.fault().unwrap();
    assert_eq!((fault.exception, fault.place), (AccessException::Addressing, Place::Table(Level::Segment)));
    assert_eq!((fault.cause, fault.teid, fault.entry), (Cause::Table, None, None));
}

#[test]
fn a_fault_hands_over_the_entry_that_decided() {
    // An empty segment with software's token in it, and a region whose table is too short.
    let token = 0x0001_0005_0000_0020;
    let storage = Storage::of(&[(0x13_0008, token), (0x12_0000, 0x13_0004)]);
    for (asce, at, entry, exception) in [
        (0x13_0003, 0x10_0000, Some((0x13_0008, token)), AccessException::SegmentTranslation),
        (0x12_0007, 0x2000_0000, Some((0x12_0000, 0x13_0004)), AccessException::SegmentTranslation),
        (0x13_0000, 0x2000_0000, None, AccessException::SegmentTranslation),
        (0x13_0003, 0x8000_0000, None, AccessException::AsceType),
    ] {
        let asce = Asce::from_bits(asce);
        let got = walk_asce(asce, Virtual::from_bits(at), Access::Fetch, Features::ALL, &storage).unwrap();
        let fault = got.fault().unwrap();
        assert_eq!(fault.entry.map(|entry| (entry.at.bits(), entry.bits)), entry, "{at:#x}");
        assert_eq!(fault.exception, exception, "{at:#x}");
    }
}

#[test]
fn a_mapping_hands_over_the_entry_that_made_it() {
    // A page below three tables, and a segment frame (FC, bit 53). A shorter segment table is out of the ordinary.
    for region in [0x13_0007, 0x13_0006] {
        let storage = Storage::of(&[
            (0x12_0000, region),
            (0x13_0000, 0x14_0000),
            (0x14_0028, 0x234_6000),
            (0x13_0008, 0x230_0400),
        ]);
        for (at, entry, target) in
            [(0x5123, (0x14_0028, 0x234_6000), 0x234_6123), (0x10_0456, (0x13_0008, 0x230_0400), 0x230_0456)]
        {
            let (asce, address) = (Asce::from_bits(0x12_0007), Virtual::from_bits(at));
            let alone = walk_asce(asce, address, Access::Fetch, Features::ALL, &storage).unwrap();
            let of_cpu = params(0x0080_0000, Facilities::ALL).in_space(asce, AddressSpace::Primary);
            let of_cpu = mapped(&of_cpu, &request(at, 1, Access::Fetch, 0), &storage);
            for mapping in [alone.mapped().unwrap(), of_cpu] {
                assert_eq!(mapping.entry.map(|entry| (entry.at.bits(), entry.bits)), Some(entry), "{at:#x}");
                assert_eq!((mapping.target.bits(), mapping.absolute.bits()), (target, target), "{at:#x}");
            }
        }
    }
}

#[test]
fn recording_sets_r_for_all_and_c_for_stores() {
    let key = StorageKey::from_bits(0x30);
    for (access, recording, after) in [
        (Access::Fetch, Recording::Reference, 0x34),
        (Access::InstructionFetch, Recording::Reference, 0x34),
        (Access::Store, Recording::ReferenceAndChange, 0x36),
    ] {
        let got = mapped(&params(0, Facilities::ALL), &request(0x5000, 1, access, 0), &Storage::of(TABLES));
        assert_eq!(got.recording, recording);
        assert_eq!(got.recording.applied_to(key).into_bits(), after);
    }
}

/// Control block at 0x2000, access list at 0x3000, ASTE at 0x4000, authority table at 0x5000.
const ALET: u32 = 0x0042_0003;
const ART: &[(u64, u64)] = &[
    (0x2010, 0x0000_3000_0000_0000),
    (0x3030, 0x0042_0000_0000_0000),
    (0x3038, 0x0000_4000_0000_0007),
    (0x4000, 0x0000_5000_0000_0000),
    (0x4008, 0x13_0003),
    (0x4010, 0x0000_6000_0000_0007),
];

#[test]
fn access_register_translation_finds_the_space_or_says_what_stopped_it() {
    use AccessException as E;
    use AccessRegisterTranslation::{Exception, Space};
    struct Case {
        name: &'static str,
        alet: u32,
        patch: &'static [(u64, u64)],
        eax: u64,
        want: AccessRegisterTranslation,
    }
    let ok = Space(ASCE, AccessList::Unrestricted);
    let case = |name, alet, patch, eax, want| Case { name, alet, patch, eax, want };
    let private: &[(u64, u64)] = &[(0x3030, 0x0142_0007_0000_0000)];
    let authorized: &[(u64, u64)] = &[(0x3030, 0x0142_0009_0000_0000), (0x5000, 0x0001_0000_0000_0000)];
    let long: &[(u64, u64)] =
        &[(0x3030, 0x0142_0007_0000_0000), (0x4000, 0x0000_5000_0000_0010), (0x5000, 0x0000_0000_0040_0000)];
    // The length counts blocks of 16 indices, less one: index 0x10 needs 1, index 0x20 needs 2.
    let beyond: &[(u64, u64)] = &[(0x3030, 0x0142_0009_0000_0000), (0x5000, 0x0000_0000_4000_0000)];
    let beyond_long: &[(u64, u64)] =
        &[(0x3030, 0x0142_0009_0000_0000), (0x4000, 0x0000_5000_0000_0010), (0x5008, 0x4000_0000_0000_0000)];
    let below: &[(u64, u64)] =
        &[(0x3030, 0x0142_0009_0000_0000), (0x4000, 0x0000_5000_0000_0010), (0x5000, 0x0001_0000_0000_0000)];
    let cases = [
        case("primary", 0, &[], 0, Space(Asce::from_bits(0x1000), AccessList::Unrestricted)),
        case("secondary", 1, &[], 0, Space(Asce::from_bits(0x7000), AccessList::Unrestricted)),
        case("list", ALET, &[], 0, ok),
        case("fetch-only", ALET, &[(0x3030, 0x0242_0000_0000_0000)], 0, Space(ASCE, AccessList::FetchOnly)),
        case("reserved bit", 0x0242_0003, &[], 0, Exception(E::AletSpecification)),
        case("list of the primary space", 0x0142_0003, &[(0x8010, 0x0000_3000_0000_0000)], 0, ok),
        case("beyond the list", 0x0042_0008, &[], 0, Exception(E::AlenTranslation)),
        case("invalid entry", ALET, &[(0x3030, 0x8042_0000_0000_0000)], 0, Exception(E::AlenTranslation)),
        case("entry sequence", ALET, &[(0x3030, 0x0043_0000_0000_0000)], 0, Exception(E::AleSequence)),
        case("invalid ASTE", ALET, &[(0x4000, 0x8000_5000_0000_0000)], 0, Exception(E::AsteValidity)),
        case("ASTE sequence", ALET, &[(0x4010, 0x0000_6000_0000_0008)], 0, Exception(E::AsteSequence)),
        case("private, other index", ALET, private, 0x0006, Exception(E::ExtendedAuthority)),
        case("private, own index", ALET, private, 0x0007, ok),
        case("private, bit of index 7", ALET, authorized, 7, ok),
        case("private, bit of index 6", ALET, authorized, 6, Exception(E::ExtendedAuthority)),
        case("beyond the authority table", ALET, private, 0x0010, Exception(E::ExtendedAuthority)),
        case("last byte of the authority table", ALET, long, 0x0014, ok),
        case("public, other index", ALET, &[(0x3030, 0x0042_0007_0000_0000)], 0x0006, ok),
        case("a bit beyond the authority table", ALET, beyond, 0x0010, Exception(E::ExtendedAuthority)),
        case("a bit beyond a longer one", ALET, beyond_long, 0x0020, Exception(E::ExtendedAuthority)),
        case("index below the length", ALET, below, 0x0007, ok),
        case("outside storage", ALET, &[(0x3038, 0x7fff_ffc0_0000_0007)], 0, Exception(E::Addressing)),
    ];
    for case in cases {
        let mut registers = ControlRegisters([0; 16]);
        for (n, value) in [(1, 0x1000), (2, 0x2000), (5, 0x8000), (7, 0x7000), (8, case.eax << 16)] {
            registers.0[n] = value;
        }
        let mut storage = Storage { size: 0x10_0000, ..Storage::of(ART) };
        storage.words.extend(case.patch.iter().copied());
        let got = access_register(BaseRegister::Other(case.alet), &registers, Prefix::default(), &storage);
        assert_eq!(got, Ok(case.want), "{}: PoP ch. 5, access-register translation", case.name);
    }
}

#[test]
fn tables_of_access_registers_are_at_real_addresses() {
    // The control block at real 0x0, which the prefix puts at 0x8000; the list at real 0x8080, absolute 0x80.
    let mut registers = ControlRegisters([0; 16]);
    registers.0[1] = 0x1000;
    let moved: Vec<_> = ART
        .iter()
        .map(|(at, value)| match at {
            0x2010 => (0x8010, 0x0000_8080_0000_0000),
            0x3030 | 0x3038 => (at - 0x3000 + 0x80, *value),
            _ => (*at, *value),
        })
        .collect();
    let storage = Storage::of(&moved);
    let got = access_register(BaseRegister::Other(ALET), &registers, Prefix::new(0x8000), &storage);
    assert_eq!(got, Ok(AccessRegisterTranslation::Space(ASCE, AccessList::Unrestricted)));
    let got = access_register(BaseRegister::Other(ALET), &registers, Prefix::default(), &storage);
    assert_eq!(got, Ok(AccessRegisterTranslation::Exception(AccessException::AleSequence)));
}

#[test]
fn access_register_0_is_the_primary_space_whatever_it_holds() {
    let mut registers = ControlRegisters([0; 16]);
    registers.0[1] = 0x1000;
    let got = access_register(BaseRegister::Zero, &registers, Prefix::default(), &Storage::default());
    assert_eq!(got, Ok(AccessRegisterTranslation::Space(Asce::from_bits(0x1000), AccessList::Unrestricted)));
}

/// Answer of the literal walker: address, protection, IEP, or program-interruption code.
type Literal = Result<(u64, bool, bool), u16>;

/// One loop over levels on raw bits, as the translation process is written; shares nothing with the walk.
fn literal(asce: u64, va: u64, edat1: bool, edat2: bool, storage: &Storage) -> Literal {
    let bit = |value: u64, n: u32| value >> (63 - n) & 1 == 1;
    let index = |level: u64| va >> [20, 31, 42, 53][usize::try_from(level).unwrap()] & 0x7ff;
    let missing = |level: u64| [0x10, 0x3b, 0x3a, 0x39][usize::try_from(level).unwrap()];
    let read = |at: u64| storage.load(Absolute::new(at)).unwrap().map(u64::from_be_bytes).ok_or(0x05_u16);
    if bit(asce, 58) {
        return Ok((va, false, false));
    }
    let mut level = asce >> 2 & 3;
    if (level + 1..4).any(|higher| index(higher) != 0) {
        return Err(0x38);
    }
    if index(level) >> 9 > asce & 3 {
        return Err(missing(level));
    }
    let mut table = asce & !0xfff;
    let mut protected = false;
    loop {
        let entry = read(table + 8 * index(level))?;
        if bit(entry, 58) {
            return Err(missing(level));
        }
        if entry >> 2 & 3 != level {
            return Err(0x12);
        }
        let common = bit(entry, 59) && (level == 0 || (level == 1 && edat2));
        if common && bit(asce, 55) {
            return Err(0x12);
        }
        protected |= bit(entry, 54) && (level == 0 || edat1);
        if bit(entry, 53) && ((level == 1 && edat2) || (level == 0 && edat1)) {
            let offset = if level == 1 { 0x7fff_ffff } else { 0xf_ffff };
            return Ok((entry & !offset | va & offset, protected, bit(entry, 55)));
        }
        if level == 0 {
            table = entry & !0x7ff;
            break;
        }
        level -= 1;
        let quarter = index(level) >> 9;
        if quarter < entry >> 6 & 3 || quarter > entry & 3 {
            return Err(missing(level));
        }
        table = entry & !0xfff;
    }
    let entry = read(table + 8 * (va >> 12 & 0xff))?;
    if bit(entry, 53) {
        return Err(0x11);
    }
    if bit(entry, 52) {
        return Err(0x12);
    }
    Ok((entry & !0xfff | va & 0xfff, protected || bit(entry, 54), bit(entry, 55)))
}

/// A fixed stream of numbers (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// True once in `n`.
    fn once_in(&mut self, n: u64) -> bool {
        self.next() % n == 0
    }
}

/// Makes tables that mostly reach a leaf, each bit that matters disturbed now and then.
fn scenario(numbers: &mut Numbers) -> (u64, u64, Storage) {
    let top = numbers.next() % 4;
    let mut va = numbers.next() & ((1 << [31, 42, 53, 63][usize::try_from(top).unwrap()]) - 1);
    if numbers.once_in(8) {
        va = numbers.next();
    }
    let noise =
        |numbers: &mut Numbers, mask: u64, n: u64| if numbers.once_in(n) { numbers.next() & mask } else { 0 };
    let tl = if numbers.once_in(4) { numbers.next() & 3 } else { 3 };
    let asce = 0x10_0000 | top << 2 | tl | noise(numbers, 0xd00, 3) | noise(numbers, 0x20, 40);
    let mut words = HashMap::new();
    let mut table = 0x10_0000;
    for level in (0..=top).rev() {
        let shift = [20, 31, 42, 53][usize::try_from(level).unwrap()];
        let at = table + 8 * (va >> shift & 0x7ff);
        table += 0x1_0000;
        let length = if level == 0 { 0 } else { 3 };
        let frame = noise(numbers, 0x400, 4);
        let far = noise(numbers, 0xffff_f000_0000_0000, 60);
        let bits = noise(numbers, 0x1_f8f3, 6) | noise(numbers, 0x33f, 6) | noise(numbers, 0x200, 3);
        words.insert(at, (table | level << 2 | length | frame | far) ^ bits);
    }
    let leaf = 0x234_5000 | noise(numbers, 0x300, 2) | noise(numbers, 0xf00, 6) | noise(numbers, 0xff, 2);
    words.insert(table + 8 * (va >> 12 & 0xff), leaf);
    (asce, va, Storage { words, size: 1 << 32, ..Storage::default() })
}

#[test]
fn the_walk_agrees_with_a_literal_transcription() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let mut answers: HashMap<String, u32> = HashMap::new();
    for round in 0..200_000 {
        let (asce, va, storage) = scenario(&mut numbers);
        let (edat1, edat2) =
            [(false, false), (true, false), (true, true)][usize::try_from(numbers.next() % 3).unwrap()];
        let features = Features { edat1, edat2, ..Features::ALL };
        let want = literal(asce, va, edat1, edat2, &storage);
        let got = walk_asce(Asce::from_bits(asce), Virtual::from_bits(va), Access::Fetch, features, &storage);
        let got = match got.unwrap() {
            Translation::Mapped(m) => Ok((m.absolute.bits(), m.dat_protected, m.instruction_protected)),
            Translation::Fault(fault) => Err(fault.pic().0),
        };
        assert_eq!(got, want, "round {round}: asce {asce:#x} va {va:#x} {features:?} {:x?}", storage.words);
        let kind = want.map_or_else(|code| format!("{code:#x}"), |_| "mapped".to_owned());
        *answers.entry(kind).or_default() += 1;
    }
    // Each answer that tables can give must have been asked for often.
    for kind in ["mapped", "0x5", "0x10", "0x11", "0x12", "0x38", "0x39", "0x3a", "0x3b"] {
        assert!(answers.get(kind).copied().unwrap_or(0) > 500, "{kind}: {answers:?}");
    }
}
