//! z/Architecture DAT and the storage window of SIE: the file `s390_dat.json`.

use super::{boolean, field, list, number, optional, pair, read, short, small, string};
use mmu_xlate::TableMemory;
use mmu_xlate::dat::{
    Access, Cause, Facilities, Leaf, LoadRealAddress, Mapping, Params, Place, Recording, Request,
    StorageKeys, StorageWindow, Target, Translation, load_real_address, walk,
};
use s390_arch::addr::{Absolute, FrameSize, Prefix};
use s390_arch::cr::Cr0;
use s390_arch::dat::{Asce, Level, Virtual};
use s390_arch::pgm::{AddressSpace, ProtectionCause};
use s390_arch::psw::AddressingMode;
use s390_arch::skey::{AccessKey, StorageKey};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// What `schema` of the file says.
pub const SCHEMA: &str = "s390-dat-vectors/1";

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// Translations.
    pub cases: Vec<Case>,
    /// Storage windows.
    pub windows: Vec<Window>,
}

/// One access and its answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// What it shows.
    pub text: String,
    /// The parameters of the walk.
    pub params: Params,
    /// The access.
    pub request: Request,
    /// The designation, DAT on or off.
    pub asce: Asce,
    /// Storage.
    pub storage: Storage,
    /// The answer as the file has it.
    pub expect: Value,
}

/// Storage: a size, some doublewords, some keys; all others are 0. It remembers what was loaded.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// How many bytes there are.
    pub size: u64,
    /// Doublewords by address, as a load sees them.
    pub words: BTreeMap<u64, u64>,
    /// Keys by address of the block.
    pub keys: BTreeMap<u64, u8>,
    fetched: RefCell<Vec<(u64, u64)>>,
}

/// A storage window of SIE and what becomes of one address.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name.
    pub id: String,
    mso: u64,
    msl: u64,
    guest_absolute: u64,
    expect: Value,
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
        assert_eq!(block.frame_offset(FrameSize::Page), 0, "{block} is no block");
        let key = self.keys.get(&block.bits()).copied().unwrap_or(0);
        Ok((block.bits() < self.size).then_some(StorageKey::from_bits(key)))
    }
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which field.
    pub fn of(value: &Value) -> Result<Self, String> {
        read(value, "schema", |schema| match string(schema)? {
            SCHEMA => Ok(()),
            other => Err(format!("{other:?} is not {SCHEMA:?}")),
        })?;
        let windows = optional(value, "sie_storage_vectors", |all| list(all, Window::of))?;
        Ok(Self {
            cases: read(value, "vectors", |all| list(all, Case::of))?,
            windows: windows.unwrap_or_default(),
        })
    }
}

impl Case {
    fn of(value: &Value) -> Result<Self, String> {
        let id = read(value, "id", string)?;
        Self::parse(value, id).map_err(|error| format!("{id}: {error}"))
    }

    fn parse(value: &Value, id: &str) -> Result<Self, String> {
        let installed = |name: &str| read(value, "facilities", |all| read(all, name, boolean));
        let facilities = Facilities {
            edat1: installed("edat1")?,
            edat2: installed("edat2")?,
            iep: installed("iep")?,
            ..Facilities::ALL
        };
        let cr0 = Cr0::from_bits(read(value, "cr0", number)?);
        let real = Params::real(cr0, facilities, Prefix::new(read(value, "prefix", number)?));
        let asce = Asce::from_bits(read(value, "asce", number)?);
        let (dat, mode, space) = read(value, "psw", |psw| {
            let mode = read(psw, "amode", |mode| match mode.as_u64() {
                Some(24) => Ok(AddressingMode::Bits24),
                Some(31) => Ok(AddressingMode::Bits31),
                Some(64) => Ok(AddressingMode::Bits64),
                _ => Err(format!("{} is not 24, 31 or 64", short(mode))),
            })?;
            let space = read(psw, "as_id", |id| small(id, 4))?;
            Ok((read(psw, "dat", boolean)?, mode, AddressSpace::from_bits(space as u8)))
        })?;
        let access = read(value, "access", |access| match string(access)? {
            "load" => Ok(Access::Fetch),
            "store" => Ok(Access::Store),
            "ifetch" => Ok(Access::InstructionFetch),
            other => Err(format!("{other:?} is no kind of access")),
        })?;
        let key = AccessKey::from_bits(read(value, "access_key", |key| small(key, 16))? as u8);
        let params = if dat { real.in_space(asce, space) } else { real };
        Ok(Self {
            id: id.into(),
            text: optional(value, "desc", string)?.unwrap_or_default().into(),
            params: params.in_mode(mode),
            request: Request { address: read(value, "vaddr", number)?, bytes: 8, access, key },
            asce,
            storage: Storage::of(value)?,
            expect: field(value, "expect")?.clone(),
        })
    }

    /// Asks for the translation, the order of fetches and, where the file has it, LOAD REAL ADDRESS.
    ///
    /// # Errors
    ///
    /// The difference; or what is wrong with the expectation.
    pub fn check(&self) -> Result<(), Wrong> {
        self.storage.fetched.borrow_mut().clear();
        let Ok(got) = walk(&self.params, &self.request, &self.storage);
        let fetched = std::mem::take(&mut *self.storage.fetched.borrow_mut());
        let want = read(&self.expect, "table_fetches", |all| list(all, fetch))?;
        same("ok", matches!(got, Translation::Mapped(_)), read(&self.expect, "ok", boolean)?)?;
        match got {
            Translation::Mapped(mapping) => self.check_mapping(&mapping, want.last().copied())?,
            Translation::Fault(fault) => {
                same("pic", u64::from(fault.pic().0), read(&self.expect, "pic", number)?)?;
                let teid = optional(&self.expect, "teid", number)?;
                same("teid", fault.teid.map(u64::from), teid)?;
                same("level", fault.place, read(&self.expect, "level", place)?)?;
                same("cause", fault.cause, read(&self.expect, "cause", cause)?)?;
            }
        }
        same("table_fetches", fetched, want)?;
        match optional(&self.expect, "lra", Ok)? {
            Some(lra) => self.check_lra(lra),
            None => Ok(()),
        }
    }

    fn check_mapping(&self, mapping: &Mapping, last: Option<(u64, u64)>) -> Result<(), Wrong> {
        let want = &self.expect;
        same("real", mapping.target.bits(), read(want, "real", number)?)?;
        same("absolute", mapping.absolute.bits(), read(want, "absolute", number)?)?;
        same("frame_size", mapping.leaf.frame_size().bytes(), read(want, "frame_size", number)?)?;
        same("dat_protected", mapping.dat_protected, read(want, "dat_protected", boolean)?)?;
        same("noexec_bit", mapping.instruction_protected, read(want, "noexec_bit", boolean)?)?;
        same("leaf", mapping.leaf, read(want, "leaf", leaf)?)?;
        let absolute = matches!(mapping.target, Target::Absolute(_));
        same("leaf_is_absolute", absolute, read(want, "leaf_is_absolute", boolean)?)?;
        let recording = match self.request.access {
            Access::Store => Recording::ReferenceAndChange,
            Access::Fetch | Access::InstructionFetch => Recording::Reference,
        };
        same("the recording", mapping.recording, recording)?;
        same("the leaf's entry", mapping.entry.map(|entry| (entry.at.bits(), entry.bits)), last)
    }

    fn check_lra(&self, want: &Value) -> Result<(), Wrong> {
        let address = Virtual::from_bits(self.params.mode.truncate(self.request.address));
        let Ok(got) = load_real_address(self.asce, address, self.params.features, &self.storage);
        if let Some(pic) = optional(want, "pic", number)? {
            let code = match got {
                LoadRealAddress::Interrupted(exception) => Some(u64::from(exception.code().0)),
                _ => None,
            };
            return same("lra.pic", code, Some(pic));
        }
        same("lra.cc", got.condition_code().map(u64::from), Some(read(want, "cc", |cc| small(cc, 4))?))?;
        match optional(want, "value", number)? {
            Some(value) => same("lra.value", got.register(), Some(value)),
            None => Ok(()),
        }
    }
}

impl Storage {
    fn of(value: &Value) -> Result<Self, String> {
        Ok(Self {
            size: read(value, "mem_size", number)?,
            words: read(value, "mem", |mem| list(mem, pair))?.into_iter().collect(),
            keys: read(value, "storage_keys", |keys| list(keys, key))?.into_iter().collect(),
            fetched: RefCell::default(),
        })
    }
}

impl Window {
    fn of(value: &Value) -> Result<Self, String> {
        Ok(Self {
            id: read(value, "id", string)?.into(),
            mso: read(value, "mso", number)?,
            msl: read(value, "msl", number)?,
            guest_absolute: read(value, "guest_absolute", number)?,
            expect: field(value, "expect")?.clone(),
        })
    }

    /// Asks and compares.
    ///
    /// # Errors
    ///
    /// The difference; or what is wrong with the expectation.
    pub fn check(&self) -> Result<(), Wrong> {
        let validity = optional(&self.expect, "validity", number)?;
        let Ok(window) = StorageWindow::new(self.mso, self.msl) else {
            return same("validity", Some(0x41), validity);
        };
        same("validity", None, validity)?;
        let host = window.host(self.guest_absolute);
        same("ok", host.is_some(), read(&self.expect, "ok", boolean)?)?;
        match host {
            Some(host) => same("host_virtual", u64::from(host), read(&self.expect, "host_virtual", number)?),
            None => same("pic", 5, read(&self.expect, "pic", number)?),
        }
    }
}

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The answer differs.
    Answer(String),
    /// The expectation cannot be read.
    File(String),
}

impl From<String> for Wrong {
    fn from(error: String) -> Self {
        Self::File(format!("field \"expect\": {error}"))
    }
}

fn same<T: PartialEq + core::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), Wrong> {
    if got == want { Ok(()) } else { Err(Wrong::Answer(format!("{what} is {got:x?}, not {want:x?}"))) }
}

/// Reads `[level, address, value]`.
fn fetch(value: &Value) -> Result<(u64, u64), String> {
    match value.as_array().map(Vec::as_slice) {
        Some([_, at, bits]) => Ok((number(at)?, number(bits)?)),
        _ => Err(format!("{} where [level, address, value] was expected", short(value))),
    }
}

/// Reads `[address, key]`, the key a string or a number.
fn key(value: &Value) -> Result<(u64, u8), String> {
    match value.as_array().map(Vec::as_slice) {
        Some([at, key]) => {
            let bits = key.as_u64().map_or_else(|| number(key), Ok)?;
            Ok((number(at)?, u8::try_from(bits).map_err(|_| format!("{} is no key", short(key)))?))
        }
        _ => Err(format!("{} where [address, key] was expected", short(value))),
    }
}

/// Names of places; for an entry outside storage the file has the number of the table instead.
fn place(value: &Value) -> Result<Place, String> {
    Ok(match (value.as_i64(), value.as_str()) {
        (Some(3), _) | (_, Some("region1")) => Place::Table(Level::RegionFirst),
        (Some(2), _) | (_, Some("region2")) => Place::Table(Level::RegionSecond),
        (Some(1), _) | (_, Some("region3")) => Place::Table(Level::RegionThird),
        (Some(0), _) | (_, Some("segment")) => Place::Table(Level::Segment),
        (Some(-1), _) | (_, Some("page")) => Place::Table(Level::Page),
        (_, Some("asce")) => Place::Asce,
        (_, Some("frame")) => Place::Frame,
        (_, Some("lap")) => Place::EffectiveAddress,
        (_, Some("key")) => Place::Key,
        _ => return Err(format!("{} is no place", short(value))),
    })
}

/// Reads the cause of a fault.
///
/// # Errors
///
/// What is wrong.
pub fn cause(value: &Value) -> Result<Cause, String> {
    Ok(match string(value)? {
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
        other => return Err(format!("{other:?} is no cause")),
    })
}

fn leaf(value: &Value) -> Result<Leaf, String> {
    Ok(match string(value)? {
        "page" => Leaf::Page,
        "segment" => Leaf::Segment,
        "region3" => Leaf::Region,
        "real-space" => Leaf::RealSpace,
        "none" => Leaf::DatOff,
        other => return Err(format!("{other:?} is no leaf")),
    })
}
