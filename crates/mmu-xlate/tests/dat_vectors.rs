//! The DAT walker against the published vectors: every field of every answer, and the order of table fetches.
#![cfg(feature = "dat")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

use mmu_xlate::TableMemory;
use mmu_xlate::dat::{
    Access, Cause, Facilities, Leaf, LoadRealAddress, Mapping, Params, Place, Recording, Request,
    StorageKeys, StorageWindow, Target, Translation, load_real_address, walk, walk_asce,
};
use s390_arch::addr::{Absolute, FrameSize, Prefix};
use s390_arch::cr::Cr0;
use s390_arch::dat::{Asce, Level, Virtual};
use s390_arch::pgm::{AddressSpace, ProtectionCause};
use s390_arch::psw::AddressingMode;
use s390_arch::skey::{AccessKey, StorageKey};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;

const VECTORS: &str = include_str!("vectors/s390_dat.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

/// A number, which the file writes as a string.
fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

/// Storage of a vector: a size, some doublewords, some keys. It remembers what was loaded.
struct Storage {
    size: u64,
    words: HashMap<u64, u64>,
    keys: HashMap<u64, u8>,
    fetched: RefCell<Vec<(u64, u64)>>,
}

impl Storage {
    fn of(vector: &Value) -> Self {
        let pair = |pair: &Value| (number(&pair[0]), number(&pair[1]));
        Self {
            size: number(&vector["mem_size"]),
            words: vector["mem"].as_array().unwrap().iter().map(pair).collect(),
            keys: vector["storage_keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair_| (number(&pair_[0]), u8::try_from(key_byte(&pair_[1])).unwrap()))
                .collect(),
            fetched: RefCell::default(),
        }
    }
}

/// A key byte, string or small integer.
fn key_byte(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| number(value))
}

impl TableMemory<Absolute> for Storage {
    type Error = Infallible;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        assert!(at.is_aligned(8), "{at} is not aligned");
        if at.bits() >= self.size {
            return Ok(None);
        }
        let bits = self.words.get(&at.bits()).copied().unwrap_or(0);
        self.fetched.borrow_mut().push((at.bits(), bits));
        Ok(Some(bits.to_be_bytes()))
    }
}

impl StorageKeys for Storage {
    fn storage_key(&self, block: Absolute) -> Result<Option<StorageKey>, Infallible> {
        assert_eq!(block.frame_offset(FrameSize::Page), 0);
        let key = self.keys.get(&block.bits()).copied().unwrap_or(0);
        Ok((block.bits() < self.size).then_some(StorageKey::from_bits(key)))
    }
}

struct Case<'v> {
    vector: &'v Value,
    params: Params,
    request: Request,
}

impl<'v> Case<'v> {
    fn of(vector: &'v Value) -> Self {
        let installed = |name: &str| vector["facilities"][name].as_bool().unwrap();
        let facilities = Facilities {
            edat1: installed("edat1"),
            edat2: installed("edat2"),
            iep: installed("iep"),
            ..Facilities::ALL
        };
        let cr0 = Cr0::from_bits(number(&vector["cr0"]));
        let real = Params::real(cr0, facilities, Prefix::new(number(&vector["prefix"])));
        let psw = &vector["psw"];
        let mode = match psw["amode"].as_u64().unwrap() {
            24 => AddressingMode::Bits24,
            31 => AddressingMode::Bits31,
            _ => AddressingMode::Bits64,
        };
        let space = AddressSpace::from_bits(u8::try_from(psw["as_id"].as_u64().unwrap()).unwrap());
        let params = if psw["dat"].as_bool().unwrap() { real.in_space(asce(vector), space) } else { real };
        let access = match vector["access"].as_str().unwrap() {
            "load" => Access::Fetch,
            "store" => Access::Store,
            "ifetch" => Access::InstructionFetch,
            other => panic!("access {other}"),
        };
        let key = AccessKey::new(u8::try_from(vector["access_key"].as_u64().unwrap()).unwrap()).unwrap();
        let request = Request { address: number(&vector["vaddr"]), bytes: 8, access, key };
        Self { vector, params: params.in_mode(mode), request }
    }

    fn id(&self) -> &str {
        self.vector["id"].as_str().unwrap()
    }
}

fn asce(vector: &Value) -> Asce {
    Asce::from_bits(number(&vector["asce"]))
}

/// Names of levels; for an entry outside storage the file has the number of the table instead.
fn level(value: &Value) -> Option<Level> {
    if let Some(number) = value.as_i64() {
        return Some(match number {
            3 => Level::RegionFirst,
            2 => Level::RegionSecond,
            1 => Level::RegionThird,
            0 => Level::Segment,
            -1 => Level::Page,
            other => panic!("level {other}"),
        });
    }
    match value.as_str().unwrap() {
        "region1" => Some(Level::RegionFirst),
        "region2" => Some(Level::RegionSecond),
        "region3" => Some(Level::RegionThird),
        "segment" => Some(Level::Segment),
        "page" => Some(Level::Page),
        _ => None,
    }
}

fn place(value: &Value) -> Place {
    match (level(value), value.as_str()) {
        (Some(level), _) => Place::Table(level),
        (None, Some("asce")) => Place::Asce,
        (None, Some("frame")) => Place::Frame,
        (None, Some("lap")) => Place::EffectiveAddress,
        (None, Some("key")) => Place::Key,
        (None, other) => panic!("place {other:?}"),
    }
}

fn cause(value: &Value) -> Cause {
    match value.as_str().unwrap() {
        "invalid" => Cause::Invalid,
        "length" => Cause::Length,
        "type" => Cause::Type,
        "common" => Cause::Common,
        "bit52" => Cause::Bit52,
        "table" => Cause::Table,
        "frame" => Cause::Frame,
        "asce-type" => Cause::AsceType,
        "dat" => Cause::Protection(ProtectionCause::Dat),
        "iep" => Cause::Protection(ProtectionCause::InstructionExecution),
        "low-address" => Cause::Protection(ProtectionCause::LowAddress),
        "key" => Cause::Protection(ProtectionCause::Key),
        other => panic!("cause {other}"),
    }
}

fn check_mapping(case: &Case<'_>, mapping: &Mapping) {
    let (id, want) = (case.id(), &case.vector["expect"]);
    assert_eq!(mapping.target.bits(), number(&want["real"]), "{id}: real");
    assert_eq!(mapping.absolute.bits(), number(&want["absolute"]), "{id}: absolute");
    assert_eq!(mapping.leaf.frame_size().bytes(), number(&want["frame_size"]), "{id}: frame size");
    assert_eq!(mapping.dat_protected, want["dat_protected"].as_bool().unwrap(), "{id}: DAT protection");
    assert_eq!(mapping.instruction_protected, want["noexec_bit"].as_bool().unwrap(), "{id}: IEP");
    let leaf = match want["leaf"].as_str().unwrap() {
        "page" => Leaf::Page,
        "segment" => Leaf::Segment,
        "region3" => Leaf::Region,
        "real-space" => Leaf::RealSpace,
        "none" => Leaf::DatOff,
        other => panic!("{id}: leaf {other}"),
    };
    assert_eq!(mapping.leaf, leaf, "{id}: leaf");
    let is_absolute = matches!(mapping.target, Target::Absolute(_));
    assert_eq!(is_absolute, want["leaf_is_absolute"].as_bool().unwrap(), "{id}: kind of address");
    let recording = match case.request.access {
        Access::Store => Recording::ReferenceAndChange,
        Access::Fetch | Access::InstructionFetch => Recording::Reference,
    };
    assert_eq!(mapping.recording, recording, "{id}: recording");
    let last = want["table_fetches"].as_array().unwrap().last();
    let entry = last.map(|fetch| (number(&fetch[1]), number(&fetch[2])));
    assert_eq!(mapping.entry.map(|entry| (entry.at.bits(), entry.bits)), entry, "{id}: leaf entry");
}

#[test]
fn every_translation_vector_gets_its_answer() {
    let file = vectors();
    let all = file["vectors"].as_array().unwrap();
    assert_eq!(all.len(), 181);
    for vector in all {
        let case = Case::of(vector);
        let (id, want) = (case.id(), &vector["expect"]);
        let storage = Storage::of(vector);
        let Ok(got) = walk(&case.params, &case.request, &storage);
        match got {
            Translation::Mapped(mapping) => {
                assert_eq!(want["ok"], true, "{id}: mapped {mapping:?}");
                check_mapping(&case, &mapping);
            }
            Translation::Fault(fault) => {
                assert_eq!(want["ok"], false, "{id}: fault {fault:?}");
                assert_eq!(u64::from(fault.pic().0), number(&want["pic"]), "{id}: code");
                let teid = (!want["teid"].is_null()).then(|| number(&want["teid"]));
                assert_eq!(fault.teid.map(u64::from), teid, "{id}: TEID");
                assert_eq!(fault.place, place(&want["level"]), "{id}: place");
                assert_eq!(fault.cause, cause(&want["cause"]), "{id}: cause");
            }
        }
        let fetches: Vec<_> = want["table_fetches"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fetch| (number(&fetch[1]), number(&fetch[2])))
            .collect();
        assert_eq!(*storage.fetched.borrow(), fetches, "{id}: fetches");
    }
}

#[test]
fn every_load_real_address_vector_gets_its_answer() {
    let file = vectors();
    let mut seen = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let (case, want) = (Case::of(vector), &vector["expect"]["lra"]);
        if want.is_null() {
            continue;
        }
        seen += 1;
        let id = case.id();
        let address = Virtual::from_bits(case.params.mode.truncate(case.request.address));
        let Ok(got) = load_real_address(asce(vector), address, case.params.features, &Storage::of(vector));
        if !want["pic"].is_null() {
            let LoadRealAddress::Interrupted(exception) = got else { panic!("{id}: {got:?}") };
            assert_eq!(u64::from(exception.code().0), number(&want["pic"]), "{id}: code");
            continue;
        }
        assert_eq!(got.condition_code().map(u64::from), want["cc"].as_u64(), "{id}: condition code");
        if !want["value"].is_null() {
            assert_eq!(got.register(), Some(number(&want["value"])), "{id}: register");
        }
    }
    assert_eq!(seen, 178);
}

#[test]
fn a_walk_by_asce_gives_what_a_cpu_with_prefix_zero_and_key_zero_gets() {
    let file = vectors();
    let mut compared = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let case = Case::of(vector);
        let Some(asce) = case.params.asce else { continue };
        let address = Virtual::from_bits(case.params.mode.truncate(case.request.address));
        let storage = Storage::of(vector);
        let Ok(got) = walk_asce(asce, address, case.request.access, case.params.features, &storage);
        let want = &vector["expect"];
        match got {
            Translation::Mapped(mapping) => {
                // What a CPU would still refuse is not the tables'.
                let refused = ["frame", "key", "lap"].iter().any(|at| want["level"] == *at);
                assert!(want["ok"] == true || refused, "{}: {mapping:?}", case.id());
                if want["ok"] == true {
                    assert_eq!(mapping.target.bits(), number(&want["real"]), "{}", case.id());
                    assert_eq!(mapping.absolute.bits(), mapping.target.bits(), "{}", case.id());
                    assert_eq!(mapping.frame().bits() % number(&want["frame_size"]), 0, "{}", case.id());
                    compared += 1;
                }
            }
            Translation::Fault(fault) if want["level"] != "lap" => {
                assert_eq!(u64::from(fault.pic().0), number(&want["pic"]), "{}", case.id());
                assert_eq!(fault.cause, cause(&want["cause"]), "{}", case.id());
                compared += 1;
            }
            Translation::Fault(_) => {}
        }
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn every_storage_window_vector_gets_its_answer() {
    let file = vectors();
    let all = file["sie_storage_vectors"].as_array().unwrap();
    assert_eq!(all.len(), 7);
    for vector in all {
        let (id, want) = (&vector["id"], &vector["expect"]);
        let Ok(window) = StorageWindow::new(number(&vector["mso"]), number(&vector["msl"])) else {
            assert_eq!(want["validity"], "0x41", "{id}");
            continue;
        };
        match window.host(number(&vector["guest_absolute"])) {
            Some(host) => assert_eq!(u64::from(host), number(&want["host_virtual"]), "{id}"),
            None => assert_eq!(want["pic"], "0x5", "{id}"),
        }
        assert!(want["validity"].is_null(), "{id}");
    }
}
