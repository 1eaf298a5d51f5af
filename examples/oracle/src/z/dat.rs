//! `oracle dat`: an access of a z/Architecture CPU.

use super::entry::{self, level_text};
use super::teid::{code_text, fields as teid_fields, protection_text};
use crate::Error;
use crate::answer::{Answer, hex, line, table, to_json};
use crate::input::Given;
use crate::memory::{Memory, Missing};
use crate::ruler::{self, Part};
use mmu_xlate::dat::{
    Access, AccessRegisterTranslation, BaseRegister, Cause, Facilities, Fault, Leaf, LoadRealAddress,
    Mapping, Params, Place, Recording, Request, Space, Target, TestProtection, Translation, access_register,
    load_real_address, test_protection, walk,
};
use s390_arch::addr::{FrameSize, Prefix};
use s390_arch::cr::ControlRegisters;
use s390_arch::dat::{Asce, Level, Virtual};
use s390_arch::pgm::{AccessException, AddressSpace, Ending};
use s390_arch::psw::{AddressingMode, PswMask};
use s390_arch::skey::{AccessKey, StorageKey};
use serde_json::{Value, json};
use std::fmt::Write;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The address.
    pub address: u64,
    /// Registers and storage.
    pub given: Given,
    /// What the access does.
    pub access: Access,
    /// The key; without one, that of the PSW.
    pub key: Option<u8>,
    /// What is installed.
    pub facilities: Facilities,
    /// Bytes of the operand in the page.
    pub bytes: u16,
    /// What asks.
    pub asks: Asks,
}

/// What asks for a translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// The access.
    #[default]
    Access,
    /// LOAD REAL ADDRESS.
    LoadRealAddress,
    /// TEST PROTECTION.
    TestProtection,
}

impl Asks {
    /// Returns what asks, by what was said of the two instructions.
    ///
    /// # Errors
    ///
    /// Both were.
    pub fn of(lra: bool, tprot: bool) -> Result<Self, Error> {
        match (lra, tprot) {
            (false, false) => Ok(Self::Access),
            (true, false) => Ok(Self::LoadRealAddress),
            (false, true) => Ok(Self::TestProtection),
            (true, true) => Err(Error::new("lra and tprot are two questions")),
        }
    }
}

/// Registers of a question, read.
struct Machine {
    params: Params,
    request: Request,
    psw: PswMask,
    assumed: Vec<String>,
    /// What translating the access register loaded, or found.
    art: Option<Result<Asce, AccessException>>,
}

/// PSW with DAT, in 64-bit mode, of the primary space.
const DAT_64: u64 = 0x0400_0001_8000_0000;

impl Question {
    fn machine(&self) -> Result<Result<Machine, Missing>, Error> {
        let mut registers = ControlRegisters::INITIAL;
        let (mut asce, mut psw, mut prefix, mut alet) = (None, None, 0, None);
        for (name, value) in &self.given.registers {
            let value = u64::try_from(*value)
                .map_err(|_| Error::new(format!("register {name} has 64 bits, and the value has more")))?;
            let control = name.strip_prefix("CR").and_then(|number| number.parse::<usize>().ok());
            match (name.as_str(), control.and_then(|number| registers.0.get_mut(number))) {
                (_, Some(register)) => *register = value,
                ("ASCE", _) => asce = Some(Asce::from_bits(value)),
                ("PSW" | "PSWM", _) => psw = Some(value),
                ("PREFIX", _) => prefix = value,
                ("ALET", _) => {
                    alet = Some(u32::try_from(value).map_err(|_| Error::new("register ALET has 32 bits"))?);
                }
                _ => {
                    return Err(Error::new(format!(
                        "register {name} is none of PSW, CR0 to CR15, ASCE, PREFIX, ALET"
                    )));
                }
            }
        }
        let mut assumed = Vec::new();
        if psw.is_none() {
            assumed.push(format!("PSW mask {DAT_64:#018x}: DAT on, primary space, 64-bit mode, key 0"));
        }
        if !self.given.registers.iter().any(|(name, _)| name == "CR0") {
            // What every system sets that has the facilities: EDAT, IEP.
            let cr0 = u64::from(self.facilities.edat1) << 23 | u64::from(self.facilities.iep) << 20;
            registers.0[0] |= cr0;
            assumed.push(format!("CR0 {:#x}: installed facilities enabled", registers.0[0]));
        }
        let psw = PswMask::from_bits(psw.unwrap_or(DAT_64));
        // LOAD REAL ADDRESS translates whether the PSW says so or not. PoP ch. 10.
        let psw = psw.with_dat(psw.dat() || self.asks == Asks::LoadRealAddress);
        let mode = psw
            .addressing_mode()
            .ok_or_else(|| Error::new("register PSW has EA without BA, which is no addressing mode"))?;
        let key = match (self.key, self.asks) {
            (Some(key), _) => AccessKey::new(key).ok_or_else(|| Error::new("a key is 0 to 15"))?,
            (None, Asks::Access | Asks::LoadRealAddress) => AccessKey::from_bits(psw.key()),
            (None, Asks::TestProtection) => {
                assumed.push("key 0 of the second operand".into());
                AccessKey::from_bits(0)
            }
        };
        let prefix = Prefix::new(prefix);
        let real = Params::real(registers.cr0(), self.facilities, prefix).in_mode(mode);
        let request = Request { address: self.address, bytes: self.bytes, access: self.access, key };
        let mut art = None;
        let params = match (asce, Space::of(psw, &registers, self.access)) {
            (Some(asce), _) => real.in_space(asce, psw.space()),
            (None, Space::Real) => real,
            (None, Space::Virtual(asce, space)) => real.in_space(asce, space),
            (None, Space::AccessRegister) => {
                let alet = alet.ok_or_else(|| {
                    Error::new("the PSW says access-register mode: register ALET must be given")
                })?;
                match access_register(BaseRegister::Other(alet), &registers, prefix, &self.given.memory) {
                    Err(missing) => return Ok(Err(missing)),
                    Ok(AccessRegisterTranslation::Space(asce, list)) => {
                        art = Some(Ok(asce));
                        real.in_space(asce, AddressSpace::AccessRegister).with_access_list(list)
                    }
                    Ok(AccessRegisterTranslation::Exception(exception)) => {
                        art = Some(Err(exception));
                        real
                    }
                }
            }
        };
        Ok(Ok(Machine { params, request, psw, assumed, art }))
    }
}

/// Answers.
///
/// # Errors
///
/// What is wrong with the question.
pub fn answer(question: &Question) -> Result<Answer, Error> {
    let memory = &question.given.memory;
    memory.loaded();
    let machine = match question.machine()? {
        Ok(machine) => machine,
        Err(missing) => {
            let json = json!({ "answer": { "missing": hex(missing.0) } });
            return Ok(Answer { text: String::new(), json, unfinished: Some(missing.to_string()) });
        }
    };
    let art_loads = memory.loaded();
    Ok(explain(&machine, memory, &art_loads, question.asks))
}

/// Explains a vector.
pub fn explain_case(case: &testkit::vectors::dat::Case) -> Answer {
    let mut memory = Memory::default();
    memory.rest = crate::memory::Rest::Zero;
    memory.size = Some(case.storage.size);
    for (at, value) in &case.storage.words {
        // Those of a file are aligned, or never found.
        let _ = memory.set(*at, *value);
    }
    for (at, key) in &case.storage.keys {
        memory.set_key(*at, *key);
    }
    let machine = Machine {
        params: case.params,
        request: case.request,
        psw: PswMask::new().with_dat(case.params.asce.is_some()),
        assumed: Vec::new(),
        art: None,
    };
    explain(&machine, &memory, &[], Asks::Access)
}

enum End {
    Mapped(Mapping),
    Fault(Fault),
    Lra(LoadRealAddress),
    Tprot(Tested),
    Exception(AccessException),
    Missing(Missing),
}

/// What TEST PROTECTION finds, and why.
struct Tested {
    outcome: TestProtection,
    /// What a store meets, then what a fetch does.
    faults: [Option<Fault>; 2],
    /// What the walk of one of them loaded.
    loads: Vec<(u64, u64)>,
}

/// Translates as the question has it.
fn end(machine: &Machine, asks: Asks, memory: &Memory) -> Result<End, Missing> {
    let Machine { params, request, art, .. } = machine;
    Ok(match (art, asks, params.asce) {
        // Whoever tests is told of all exceptions but that for a table outside storage. PoP ch. 10.
        (Some(Err(exception @ AccessException::Addressing)), ..)
        | (Some(Err(exception)), Asks::Access, _) => End::Exception(*exception),
        (Some(Err(exception)), Asks::LoadRealAddress, _) => {
            End::Lra(LoadRealAddress::Exception(exception.code()))
        }
        (Some(Err(_)), Asks::TestProtection, _) => End::Tprot(Tested {
            outcome: TestProtection::NotTranslated,
            faults: [None; 2],
            loads: Vec::new(),
        }),
        (_, Asks::LoadRealAddress, Some(asce)) => {
            let address = Virtual::from_bits(params.mode.truncate(request.address));
            End::Lra(load_real_address(asce, address, params.features, memory)?)
        }
        (_, Asks::TestProtection, _) => End::Tprot(tested(params, request, memory)?),
        (_, Asks::Access | Asks::LoadRealAddress, _) => match walk(params, request, memory)? {
            Translation::Mapped(mapping) => End::Mapped(mapping),
            Translation::Fault(fault) => End::Fault(fault),
        },
    })
}

/// Executes TEST PROTECTION, and asks what it asked once more, for the reasons.
fn tested(params: &Params, request: &Request, memory: &Memory) -> Result<Tested, Missing> {
    let outcome = test_protection(params, request.address, request.key, memory)?;
    memory.loaded();
    let mut loads = Vec::new();
    let mut ask = |access| {
        let fault = match walk(params, &Request { access, bytes: 1, ..*request }, memory)? {
            Translation::Mapped(_) => None,
            Translation::Fault(fault) => Some(fault),
        };
        let own = memory.loaded();
        if loads.is_empty() {
            loads = own;
        }
        Ok(fault)
    };
    let faults = [ask(Access::Store)?, ask(Access::Fetch)?];
    Ok(Tested { outcome, faults, loads })
}

fn explain(machine: &Machine, memory: &Memory, art_loads: &[(u64, u64)], asks: Asks) -> Answer {
    let params = &machine.params;
    let address = params.mode.truncate(machine.request.address);
    let end = end(machine, asks, memory).unwrap_or_else(End::Missing);
    let loads = match &end {
        End::Tprot(tested) => tested.loads.clone(),
        _ => memory.loaded(),
    };
    let mut text = heading(machine, asks);
    for (at, bits) in art_loads {
        let _ = writeln!(text, "  access register  {at:#018x}: {bits:#018x}");
    }
    let walked = match params.asce {
        Some(asce) => tables(asce, address, params, &loads, &mut text),
        None => {
            text.push_str("\nDAT is off: the address is real\n");
            Vec::new()
        }
    };
    text.push_str("\nresult   ");
    let result = match &end {
        End::Mapped(mapping) => mapped(mapping, machine, memory, &mut text),
        End::Fault(fault) => faulted(fault, &mut text),
        End::Lra(answer) => load_real(answer, &mut text),
        End::Tprot(tested) => tprot(tested, &mut text),
        End::Exception(exception) => {
            let code = exception.code();
            let _ = writeln!(text, "program interruption {:#06x}: {}", code.0, code_text(code));
            json!({ "pic": hex(code.0), "code": code_text(code), "place": "access register" })
        }
        End::Missing(missing) => {
            text.push_str("not known: storage is missing\n");
            json!({ "missing": hex(missing.0) })
        }
    };
    let json = json!({
        "question": {
            "address": hex(machine.request.address),
            "access": asks_text(asks, machine),
            "asce": params.asce.map(|asce| hex(asce.into_bits())),
            "assumed": machine.assumed,
        },
        "walk": walked,
        "answer": result,
    });
    let unfinished = match end {
        End::Missing(missing) => Some(missing.to_string()),
        _ => None,
    };
    Answer { text, json, unfinished }
}

const fn asks_text(asks: Asks, machine: &Machine) -> &'static str {
    match asks {
        Asks::Access => access_text(machine.request.access),
        Asks::LoadRealAddress => "LOAD REAL ADDRESS",
        Asks::TestProtection => "TEST PROTECTION",
    }
}

fn heading(machine: &Machine, asks: Asks) -> String {
    let mut text = String::new();
    let mode = match machine.params.mode {
        AddressingMode::Bits24 => 24,
        AddressingMode::Bits31 => 31,
        AddressingMode::Bits64 => 64,
    };
    let what = asks_text(asks, machine);
    let _ = writeln!(
        text,
        "{:#018x}  {what}, {mode}-bit mode, key {}{}",
        machine.request.address,
        machine.request.key.into_bits(),
        if machine.psw.problem() { ", problem state" } else { "" },
    );
    for assumed in &machine.assumed {
        line(&mut text, "assumed", assumed);
    }
    text
}

const fn access_text(access: Access) -> &'static str {
    match access {
        Access::Fetch => "fetch",
        Access::Store => "store",
        Access::InstructionFetch => "instruction fetch",
    }
}

/// Draws the address, and writes the designation and every entry that was loaded.
fn tables(asce: Asce, address: u64, params: &Params, loads: &[(u64, u64)], text: &mut String) -> Vec<Value> {
    let _ = writeln!(text, "\nASCE  {:#018x}", asce.into_bits());
    let fields = entry::asce(asce);
    text.push_str(&table(&fields, 11));
    let mut json =
        vec![json!({ "step": "asce", "value": hex(asce.into_bits()), "fields": to_json(&fields) })];
    if asce.r() {
        return json;
    }
    text.push('\n');
    text.push_str(&ruler::draw(address, &parts(asce, address, params, loads), true, 2));
    text.push('\n');
    let mut level = Some(asce.dt().level());
    for (at, bits) in loads {
        let Some(now) = level else { break };
        let _ = writeln!(text, "  {:<13}{at:#018x}: {bits:#018x}", level_text(now));
        let fields = entry::fields(*bits, now, params.features);
        text.push_str(&table(&fields, 11));
        json.push(json!({
            "step": "entry", "level": level_text(now), "at": hex(*at), "value": hex(*bits),
            "fields": to_json(&fields),
        }));
        level = now.below();
    }
    json
}

/// Returns the parts of an address: an index for each table that there may be, and the offset.
fn parts(asce: Asce, address: u64, params: &Params, loads: &[(u64, u64)]) -> Vec<Part> {
    let first = asce.dt().level();
    let at = Virtual::from_bits(address);
    let mut parts = Vec::new();
    let mut high = 63;
    let mut level = Some(Level::RegionFirst);
    let mut below_first = false;
    let mut loaded = loads.iter();
    while let Some(now) = level {
        let low = now.entry_bytes_log2();
        below_first |= now == first;
        let name = match now {
            Level::RegionFirst => "RFX",
            Level::RegionSecond => "RSX",
            Level::RegionThird => "RTX",
            Level::Segment => "SX",
            Level::Page => "PX",
        };
        let note = if below_first { format!("entry {}", now.index(at)) } else { "must be 0".into() };
        parts.push(Part::new(high, low, name, note));
        high = low.saturating_sub(1);
        level = now.below();
        if below_first
            && let Some((_, bits)) = loaded.next()
            && now != Level::Page
            && entry::is_frame(*bits, now, params.features)
        {
            level = None;
        }
    }
    let offset = Part::new(high, 0, "BX", "");
    let note = format!("{:#x}", offset.of(address));
    parts.push(Part { note, ..offset });
    parts
}

fn mapped(mapping: &Mapping, machine: &Machine, memory: &Memory, text: &mut String) -> Value {
    let absolute = mapping.absolute.bits();
    let _ = writeln!(text, "absolute {absolute:#018x}");
    let kind = match mapping.target {
        Target::Real(real) => {
            line(text, "real", format_args!("{:#018x}, before prefixing", real.bits()));
            "real"
        }
        Target::Absolute(_) => {
            line(text, "real", "large frames are absolute: no prefixing");
            "absolute"
        }
    };
    let leaf = match mapping.leaf {
        Leaf::DatOff => "none: DAT is off",
        Leaf::RealSpace => "none: real space",
        Leaf::Page => "page, 4 KiB",
        Leaf::Segment => "segment frame, 1 MiB",
        Leaf::Region => "region frame, 2 GiB",
    };
    line(text, "leaf", leaf);
    let stores = if mapping.dat_protected { "prohibited by P" } else { "allowed by the tables" };
    line(text, "stores", stores);
    let instructions = match (mapping.instruction_protected, machine.params.features.iep) {
        (true, true) => "prohibited by IEP",
        (true, false) => "IEP is 1, but not enabled",
        (false, _) => "allowed",
    };
    line(text, "instructions", instructions);
    let block = mapping.absolute.align_down(FrameSize::Page);
    let key = mmu_xlate::dat::StorageKeys::storage_key(memory, block).ok().flatten();
    let recorded = key.map(|key| mapping.recording.applied_to(key));
    if let (Some(key), Some(after)) = (key, recorded) {
        line(text, "storage key", format_args!("{}, after the access {}", key_text(key), key_text(after)));
    }
    json!({
        "absolute": hex(absolute),
        "target": hex(mapping.target.bits()),
        "target_is": kind,
        "leaf": leaf,
        "frame_size": hex(mapping.leaf.frame_size().bytes()),
        "dat_protected": mapping.dat_protected,
        "instruction_protected": mapping.instruction_protected,
        "records_change": mapping.recording == Recording::ReferenceAndChange,
        "storage_key": key.map(|key| hex(key.into_bits())),
    })
}

fn key_text(key: StorageKey) -> String {
    let flags = [(key.f(), "F"), (key.r(), "R"), (key.c(), "C")];
    let set: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    format!("{:#04x} (ACC {}{}{set})", key.into_bits(), key.acc(), if set.is_empty() { "" } else { " " })
}

fn faulted(fault: &Fault, text: &mut String) -> Value {
    let code = fault.pic();
    let _ = writeln!(text, "program interruption {:#06x}: {}", code.0, code_text(code));
    let (place, cause) = (place_text(fault.place), cause_text(fault.cause));
    line(text, "at", &place);
    line(text, "because", &cause);
    let ending = match fault.exception.ending() {
        Ending::Nullify => "nullified: the old PSW designates the instruction",
        Ending::Suppress => "suppressed: the old PSW designates the next instruction",
    };
    line(text, "ending", ending);
    match fault.teid {
        Some(teid) => {
            line(text, "TEID", format_args!("{:#018x}", teid.into_bits()));
            let protection = matches!(fault.cause, Cause::Protection(_));
            text.push_str(&table(&teid_fields(teid.into_bits(), protection), 2));
        }
        None => line(text, "TEID", "none is defined for this code"),
    }
    json!({
        "pic": hex(code.0),
        "code": code_text(code),
        "place": place,
        "cause": cause,
        "nullified": fault.exception.ending() == Ending::Nullify,
        "teid": fault.teid.map(|teid| hex(teid.into_bits())),
    })
}

fn place_text(place: Place) -> String {
    match place {
        Place::EffectiveAddress => "the effective address, before translation".into(),
        Place::AccessList => "the access list".into(),
        Place::Asce => "the ASCE".into(),
        Place::Table(level) => format!("the {} table", level_text(level)),
        Place::Frame => "the target in storage".into(),
        Place::Key => "the storage key".into(),
    }
}

fn cause_text(cause: Cause) -> String {
    match cause {
        Cause::Invalid => "the entry is invalid".into(),
        Cause::Length => "the table is shorter than the index, or starts above it".into(),
        Cause::Type => "TT of the entry is not the type of its table".into(),
        Cause::Common => "a common segment or region in a private space".into(),
        Cause::Bit52 => "bit 52 of the page-table entry is 1".into(),
        Cause::Table => "the entry lies outside storage".into(),
        Cause::Frame => "the target lies outside storage".into(),
        Cause::AsceType => "the address needs a higher table than the ASCE designates".into(),
        Cause::Protection(cause) => protection_text(Some(cause)).into(),
    }
}

fn load_real(answer: &LoadRealAddress, text: &mut String) -> Value {
    match (answer.condition_code(), answer.register()) {
        (Some(cc), Some(register)) => {
            let what = match answer {
                LoadRealAddress::Translated(_) => "the real address",
                LoadRealAddress::SegmentInvalid(_) => "address of the invalid segment-table entry",
                LoadRealAddress::PageInvalid(_) => "address of the invalid page-table entry",
                LoadRealAddress::Exception(_) | LoadRealAddress::Interrupted(_) => {
                    "the code of the exception"
                }
            };
            let _ = writeln!(text, "condition code {cc}, register {register:#018x}: {what}");
            json!({ "cc": cc, "register": hex(register) })
        }
        _ => {
            let LoadRealAddress::Interrupted(exception) = answer else { return Value::Null };
            let code = exception.code();
            let _ = writeln!(text, "program interruption {:#06x}: {}", code.0, code_text(code));
            json!({ "pic": hex(code.0), "code": code_text(code) })
        }
    }
}

fn tprot(tested: &Tested, text: &mut String) -> Value {
    let Some(cc) = tested.outcome.condition_code() else {
        let TestProtection::Interrupted(exception) = tested.outcome else { return Value::Null };
        let code = exception.code();
        let _ = writeln!(text, "program interruption {:#06x}: {}", code.0, code_text(code));
        return json!({ "pic": hex(code.0), "code": code_text(code) });
    };
    let means = match tested.outcome {
        TestProtection::FetchAndStore => "fetching and storing are permitted",
        TestProtection::Fetch => "fetching is permitted, storing is not",
        TestProtection::Neither => "neither fetching nor storing is permitted",
        TestProtection::NotTranslated | TestProtection::Interrupted(_) => "the address is not translated",
    };
    let _ = writeln!(text, "condition code {cc}: {means}");
    let [store, fetch] = &tested.faults;
    let mut why = |name, fault: &Option<Fault>| {
        let Some(fault) = fault else { return Value::Null };
        let (code, place, cause) = (fault.pic(), place_text(fault.place), cause_text(fault.cause));
        line(text, name, format_args!("{} at {place}: {cause}", code_text(code)));
        json!({ "pic": hex(code.0), "code": code_text(code), "place": place, "cause": cause })
    };
    json!({ "cc": cc, "means": means, "store": why("a store", store), "fetch": why("a fetch", fetch) })
}
