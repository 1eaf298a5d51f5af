//! `dat_walk`: the z/Architecture walker, against a literal reading of the Principles of Operation.
//!
//! For any ASCE, control registers, facilities, key, prefix and tables:
//!
//! - the answer of [`walk`] is that of [`Slow`], which follows PoP ch. 3 step by step and shares nothing but types: address,
//!   protection, access control, recording; or interruption code and translation-exception identification;
//! - it reads five entries at most, each once, in order, at origin plus eight times the index, and not beyond the first
//!   that decides;
//! - the same question has the same answer; a failure of the host is its answer, whichever load it is;
//! - every address of a frame has the same answer;
//! - [`walk_asce`] says what [`walk`] says where keys, prefix and low-address protection have no say, and
//!   [`load_real_address`] says the same with condition codes;
//! - protection takes away only: what a store may, a fetch may; what a key may, key 0 may; without low-address protection
//!   and with fetch- and storage-protection override more is permitted.

use crate::bits::{bit, mask, pick};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::memory::{Contents, Failed, Memory, Tables};
use arbitrary::{Arbitrary, Unstructured};
use mmu_xlate::dat::{
    Access, AccessList, Facilities, Features, Leaf, LoadRealAddress, Mapping, Params, Recording, Request,
    Translation, load_real_address, walk, walk_asce,
};
use s390_arch::addr::Prefix;
use s390_arch::cr::Cr0;
use s390_arch::dat::{Asce, Virtual};
use s390_arch::pgm::AddressSpace;
use s390_arch::psw::AddressingMode;
use s390_arch::skey::AccessKey;

const SPACES: [AddressSpace; 4] =
    [AddressSpace::Primary, AddressSpace::AccessRegister, AddressSpace::Secondary, AddressSpace::Home];
const ACCESSES: [Access; 3] = [Access::Fetch, Access::Store, Access::InstructionFetch];

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Bits 1:0: the access. 3:2: space. 5:4: addressing mode. 6: DAT is off. 7: fetch-only access list.
    pub kind: u8,
    /// EDAT-1, EDAT-2, IEP, FSI, ESOP-2 are missing. Bits 7:5: how often the address loses its high bits.
    pub missing: u8,
    /// The access key, and how many bytes, times 16.
    pub key: u8,
    /// See `key`.
    pub bytes: u8,
    /// CR0.
    pub cr0: u64,
    /// The prefix register.
    pub prefix: u64,
    /// The designation.
    pub asce: u64,
    /// The address.
    pub address: u64,
    /// The low bits of another one.
    pub offset: u64,
    /// The load that fails.
    pub fails_at: u8,
    /// Storage.
    pub contents: Contents,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        for byte in [&mut self.kind, &mut self.missing, &mut self.key, &mut self.bytes] {
            codec.byte(byte);
        }
        for word in [&mut self.cr0, &mut self.prefix, &mut self.asce, &mut self.address, &mut self.offset] {
            codec.word(word);
        }
        codec.byte(&mut self.fails_at);
        self.contents.fields(codec);
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    input.len() > 40
}

impl Case {
    fn facilities(&self) -> Facilities {
        let has = |at| !bit(self.missing.into(), at);
        Facilities { edat1: has(0), edat2: has(1), iep: has(2), fsi: has(3), esop2: has(4) }
    }

    /// Returns the address, made short enough for the table type now and then.
    fn address(&self) -> u64 {
        let reach = mask(31 + 11 * u32::from(self.asce.to_le_bytes()[0] >> 2 & 3));
        if self.missing >> 5 == 0 { self.address } else { self.address & reach }
    }

    fn params(&self) -> Params {
        let mode = pick(
            &[AddressingMode::Bits64, AddressingMode::Bits31, AddressingMode::Bits24, AddressingMode::Bits64],
            self.kind >> 4 & 3,
        );
        let real =
            Params::real(Cr0::from_bits(self.cr0), self.facilities(), Prefix::new(self.prefix)).in_mode(mode);
        let list = if bit(self.kind.into(), 7) { AccessList::FetchOnly } else { AccessList::Unrestricted };
        let space = pick(&SPACES, self.kind >> 2 & 3);
        if bit(self.kind.into(), 6) {
            return Params { space, ..real.with_access_list(list) };
        }
        real.in_space(Asce::from_bits(self.asce), space).with_access_list(list)
    }

    fn request(&self) -> Request {
        Request {
            address: self.address(),
            bytes: u16::from(self.bytes) << 4,
            access: pick(&ACCESSES, self.kind & 3),
            key: AccessKey::from_bits(self.key & 0xf),
        }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let memory = Memory::new(&self.contents, Tables::Dat(self.asce.to_le_bytes()[0] >> 2 & 3));
        let (params, request) = (self.params(), self.request());
        let slow = Slow { case: self, params: &params, request: &request, memory: &memory };
        let (want, loads) = slow.walk();
        let view = memory.view();
        let found = answered(walk(&params, &request, &view));
        same(&found, &want);
        let log: Vec<u64> = view.log.borrow().iter().map(|key| key.1).collect();
        assert_eq!(log, loads, "the entries that are read");
        assert!(log.len() <= 5);
        assert_eq!(walk(&params, &request, &memory.view()), Ok(found), "the same question, another answer");
        let at = usize::from(self.fails_at & 7);
        let failing = memory.view().failing(at);
        assert_eq!(walk(&params, &request, &failing).is_err(), at < log.len(), "the host fails at load {at}");
        if let Translation::Mapped(mapping) = found {
            self.frame(&params, &request, &memory, &mapping);
        }
        permissions(&params, &request, &memory, found);
        tables_only(&params, &request, &memory, found);
    }

    /// Every address of a frame has the same answer.
    fn frame(&self, params: &Params, request: &Request, memory: &Memory<'_>, mapping: &Mapping) {
        let within = mask(match mapping.leaf {
            Leaf::DatOff | Leaf::RealSpace | Leaf::Page => 12,
            Leaf::Segment => 20,
            Leaf::Region => 31,
        });
        let within = within & params.mode.mask();
        let moved = |address: u64| address & !within | self.offset & within;
        let address = params.mode.truncate(moved(request.address));
        // Low addresses are protected by themselves, and those below 2 KiB opened; the keys of a large frame differ.
        if params.lap && address < 0x2000
            || params.fpo
            || mapping.leaf.frame_size() != s390_arch::addr::FrameSize::Page && request.key != AccessKey::ZERO
        {
            return;
        }
        let other = Request { address, key: AccessKey::ZERO, ..*request };
        let found = answered(walk(params, &other, &memory.view()));
        let Translation::Mapped(found) = found else {
            let block = moved(mapping.absolute.bits()) & !0xfff;
            assert!(memory.storage_key(block).is_none(), "{found:x?} beside {mapping:x?}");
            return;
        };
        assert_eq!(found.absolute.bits(), moved(mapping.absolute.bits()));
        assert_eq!(Mapping { absolute: mapping.absolute, target: mapping.target, ..found }, *mapping);
    }
}

/// What takes away only.
fn permissions(params: &Params, request: &Request, memory: &Memory<'_>, found: Translation) {
    let ask = |params: &Params, request: &Request| answered(walk(params, request, &memory.view()));
    let permitted = |translation: Translation| translation.mapped().is_some();
    let more = [
        ask(params, &Request { key: AccessKey::ZERO, ..*request }),
        ask(&Params { lap: false, ..*params }, request),
        ask(&Params { fpo: true, ..*params }, request),
        ask(&Params { spo: true, ..*params }, request),
        ask(&params.with_access_list(AccessList::Unrestricted), request),
        ask(&Params { features: Features { iep: false, ..params.features }, ..*params }, request),
    ];
    for (number, more) in more.into_iter().enumerate() {
        assert!(permitted(more) || !permitted(found), "{number}: {more:x?}, and before {found:x?}");
        if let (Translation::Mapped(one), Translation::Mapped(other)) = (found, more) {
            assert_eq!(one, other);
        }
    }
    let fetch = ask(params, &Request { access: Access::Fetch, ..*request });
    assert!(permitted(fetch) || !permitted(found), "{fetch:x?}, and {found:x?} for {:?}", request.access);
}

/// What tables alone say.
fn tables_only(params: &Params, request: &Request, memory: &Memory<'_>, found: Translation) {
    let Some(asce) = params.asce else { return };
    let address = Virtual::from_bits(params.mode.truncate(request.address));
    let tables = answered(walk_asce(asce, address, request.access, params.features, &memory.view()));
    match (found, tables) {
        (Translation::Mapped(mapping), Translation::Mapped(tables)) => {
            assert_eq!(mapping.target, tables.target);
            assert_eq!(Mapping { absolute: mapping.absolute, ..tables }, mapping);
        }
        (Translation::Mapped(mapping), Translation::Fault(fault)) => {
            panic!("{fault:x?} by tables, {mapping:x?}")
        }
        (Translation::Fault(_), Translation::Mapped(_)) => {}
        (Translation::Fault(fault), Translation::Fault(tables)) => {
            let before = fault.entry.is_none() && fault.pic() == s390_arch::pgm::ProgramCode::PROTECTION
                || params.access_list == AccessList::FetchOnly && request.access == Access::Store;
            if !before {
                assert_eq!(
                    (fault.pic(), fault.cause, fault.place),
                    (tables.pic(), tables.cause, tables.place)
                );
            }
        }
    }
    let real = match load_real_address(asce, address, params.features, &memory.view()) {
        Ok(real) => real,
        Err(Failed) => panic!("the host did not fail"),
    };
    let fetch = answered(walk_asce(asce, address, Access::Fetch, params.features, &memory.view()));
    let code = match fetch {
        Translation::Mapped(mapping) => {
            assert_eq!(real, LoadRealAddress::Translated(mapping.target.bits()));
            Some(0)
        }
        Translation::Fault(fault) => match (fault.pic().0, fault.cause) {
            (0x10, mmu_xlate::dat::Cause::Invalid) => Some(1),
            (0x11, mmu_xlate::dat::Cause::Invalid) => Some(2),
            (0x05 | 0x12, _) => None,
            (code, _) => {
                assert_eq!(real.register(), Some(0x8000_0000 | u64::from(code)));
                Some(3)
            }
        },
    };
    assert_eq!(real.condition_code(), code, "{real:x?}, and {fetch:x?}");
}

fn answered(answer: Result<Translation, Failed>) -> Translation {
    match answer {
        Ok(found) => found,
        Err(Failed) => panic!("the host did not fail"),
    }
}

/// What [`Slow`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Absolute address, DAT protection, IEP, access control, change recorded.
    Mapped(u64, bool, bool, Option<(u8, bool)>, bool),
    /// Code, and the TEID where one is defined.
    Fault(u16, Option<u64>),
}

fn same(found: &Translation, want: &Want) {
    let got = match found {
        Translation::Mapped(mapping) => Want::Mapped(
            mapping.absolute.bits(),
            mapping.dat_protected,
            mapping.instruction_protected,
            mapping.access_control.map(|control| (control.acc, control.f)),
            mapping.recording == Recording::ReferenceAndChange,
        ),
        Translation::Fault(fault) => Want::Fault(fault.pic().0, fault.teid.map(u64::from)),
    };
    assert_eq!(got, *want, "{found:x?}");
}

/// PoP ch. 3, "Dynamic Address Translation" and "Protection", as it is written.
struct Slow<'c> {
    case: &'c Case,
    params: &'c Params,
    request: &'c Request,
    memory: &'c Memory<'c>,
}

/// A result of the tables: address, whether it is real, protection, IEP, access control.
type Reached = (u64, bool, bool, bool, Option<(u8, bool)>);

impl Slow<'_> {
    fn store(&self) -> bool {
        self.request.access == Access::Store
    }

    fn features(&self) -> (bool, bool, bool) {
        let facilities = self.case.facilities();
        let edat1 = bit(self.case.cr0, 63 - 40) && facilities.edat1;
        (edat1, edat1 && facilities.edat2, bit(self.case.cr0, 63 - 43) && facilities.iep)
    }

    /// Returns the TEID with bits 56, 60 and 61.
    fn teid(&self, address: u64, causes: u64) -> u64 {
        let facilities = self.case.facilities();
        let fsi = match (facilities.fsi, self.store()) {
            (false, _) => 0,
            (true, true) => 0x400,
            (true, false) => 0x800,
        };
        let space = match self.params.space {
            AddressSpace::Primary => 0,
            AddressSpace::AccessRegister => 1,
            AddressSpace::Secondary => 2,
            AddressSpace::Home => 3,
        };
        // Without ESOP-2, low-address and key-controlled protection are not told apart.
        let causes = if !facilities.esop2 && causes & 4 == 0 { 0 } else { causes };
        address & !0xfff | fsi | causes | space
    }

    fn walk(&self) -> (Want, Vec<u64>) {
        let mut loads = Vec::new();
        let address = self.params.mode.truncate(self.request.address);
        let private = self.params.asce.is_some() && bit(self.case.asce, 8);
        let protection = |causes| Want::Fault(4, Some(self.teid(address, causes)));
        if self.store() && bit(self.case.cr0, 63 - 35) && address & !0x11ff == 0 && !private {
            return (protection(0x80), loads);
        }
        let reached = match self.params.asce {
            None => Ok((address, true, false, false, None)),
            Some(_) => self.tables(address, &mut loads),
        };
        let (address_found, real, dat, nx, control) = match reached {
            Ok(reached) => reached,
            Err(code @ (5 | 0x12)) => return (Want::Fault(code, None), loads),
            Err(code) => return (Want::Fault(code, Some(self.teid(address, 0))), loads),
        };
        let absolute = if real { self.prefixed(address_found) } else { address_found };
        if self.store() && self.params.access_list == AccessList::FetchOnly {
            return (protection(0xc), loads);
        }
        if self.store() && dat {
            return (protection(4), loads);
        }
        if self.request.access == Access::InstructionFetch && nx && self.features().2 {
            return (protection(0x84), loads);
        }
        let Some(key) = self.memory.storage_key(absolute & !0xfff) else {
            return (Want::Fault(5, None), loads);
        };
        let (acc, fetch_protected) = control.unwrap_or((key >> 4, key & 8 != 0));
        let own = self.case.key & 0xf;
        let last = address.checked_add(u64::from(self.request.bytes.saturating_sub(1)));
        let low = last.is_some_and(|last| last < 2048) && !private && bit(self.case.cr0, 63 - 38);
        let allowed = own == 0
            || own == acc
            || !self.store() && (!fetch_protected || low)
            || bit(self.case.cr0, 63 - 39) && acc == 9;
        if !allowed {
            return (protection(8), loads);
        }
        (Want::Mapped(absolute, dat, nx, control, self.store()), loads)
    }

    fn prefixed(&self, real: u64) -> u64 {
        let prefix = self.case.prefix & 0x7fff_e000;
        if real < 0x2000 {
            real + prefix
        } else if (prefix..prefix + 0x2000).contains(&real) {
            real - prefix
        } else {
            real
        }
    }

    /// Goes down the tables; an error is the interruption code.
    fn tables(&self, address: u64, loads: &mut Vec<u64>) -> Result<Reached, u16> {
        const TRANSLATION: [u16; 4] = [0x10, 0x3b, 0x3a, 0x39];
        let asce = self.case.asce;
        let (edat1, edat2, _) = self.features();
        if bit(asce, 5) {
            return Ok((address, true, false, false, None));
        }
        let mut load = |at: u64| {
            loads.push(at);
            self.memory.word((4, at)).ok_or(5_u16)
        };
        let top = (asce >> 2 & 3) as u32;
        // Level 0 is the segment table, 3 the region-first table; each index has eleven bits.
        let index = |level: u32| address >> (20 + 11 * level) & 0x7ff;
        if (top + 1..=3).any(|level| index(level) != 0) {
            return Err(0x38);
        }
        let (mut origin, mut first, mut last) = (asce & !0xfff, 0, asce & 3);
        let mut protected = false;
        for level in (0..=top).rev() {
            let code = TRANSLATION[level as usize];
            let quarter = index(level) >> 9;
            if quarter < first || quarter > last {
                return Err(code);
            }
            let entry = load(origin.checked_add(8 * index(level)).ok_or(5_u16)?)?;
            if bit(entry, 5) {
                return Err(code);
            }
            let common = bit(entry, 4) && (level == 0 || level == 1 && edat2);
            if entry >> 2 & 3 != u64::from(level) || common && bit(asce, 8) {
                return Err(0x12);
            }
            protected |= bit(entry, 9) && (level == 0 || edat1);
            if bit(entry, 10) && (level == 0 && edat1 || level == 1 && edat2) {
                let within = mask(20 + 11 * level);
                let control = bit(entry, 16).then_some(((entry >> 12 & 0xf) as u8, bit(entry, 11)));
                return Ok((entry & !within | address & within, false, protected, bit(entry, 8), control));
            }
            (origin, first, last) = (entry & !0xfff, entry >> 6 & 3, entry & 3);
            if level == 0 {
                origin = entry & !0x7ff;
            }
        }
        let page = load(origin.checked_add(8 * (address >> 12 & 0xff)).ok_or(5_u16)?)?;
        if bit(page, 10) {
            return Err(0x11);
        }
        if bit(page, 11) {
            return Err(0x12);
        }
        Ok((page & !0xfff | address & 0xfff, true, protected || bit(page, 9), bit(page, 8), None))
    }
}
