//! `oracle serve`: questions and answers, a line of JSON each.

use crate::arm::{esr, par, pte, sysreg, translate};
use crate::input::{Given, WordSize, number, number64};
use crate::memory::Rest;
use crate::names::{self, TableLevel};
use crate::z::{dat, entry, teid};
use crate::{Answer, Error, insn};
use arm_arch::{ExceptionLevel, Granule};
use mmu_xlate::dat::{Facilities, Features};
use mmu_xlate::vmsa::{AccessKind, Implementation, Space, Stage};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Read, Write};

/// The longest line that is read.
pub const LONGEST: u64 = 1 << 20;

/// Answers until the input ends.
///
/// # Errors
///
/// Input or output cannot be used any more.
pub fn run(input: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), Error> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.take(LONGEST + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        let too_long = !whole && u64::try_from(line.len()).is_ok_and(|length| length > LONGEST);
        let answer = if too_long {
            skip_line(input)?;
            refusal(&Value::Null, &format!("the line has more than {LONGEST} bytes"))
        } else {
            match std::str::from_utf8(&line).map(str::trim) {
                Ok("") => continue,
                Ok(text) => respond(text),
                Err(_) => refusal(&Value::Null, "the line is not UTF-8"),
            }
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
}

fn skip_line(input: &mut dyn BufRead) -> Result<(), Error> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end.saturating_add(1));
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn refusal(id: &Value, error: &str) -> Value {
    json!({ "id": id, "ok": false, "error": error })
}

/// Answers one line.
fn respond(text: &str) -> Value {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return refusal(&Value::Null, &format!("the line is not JSON: {error}")),
    };
    let id = value.get("id").cloned().unwrap_or(Value::Null);
    let Some(object) = value.as_object() else {
        return refusal(&id, "the line is not an object");
    };
    match answer(object) {
        Ok(Answer { unfinished: Some(error), json, .. }) => {
            json!({ "id": id, "ok": false, "error": error, "answer": json })
        }
        Ok(Answer { json, .. }) => json!({ "id": id, "ok": true, "answer": json }),
        Err(error) => refusal(&id, &error.to_string()),
    }
}

fn answer(object: &Map<String, Value>) -> Result<Answer, Error> {
    let asked = Asked(object);
    match asked.required("ask")? {
        "translate" => translate::answer(&asked.translate()?),
        "dat" => dat::answer(&asked.dat()?),
        "pte" => asked.pte(),
        "esr" => Ok(esr::answer(asked.only(&["value"])?.number64("value")?)),
        "par" => Ok(par::answer(asked.only(&["value"])?.number("value")?)),
        "teid" => {
            let asked = asked.only(&["value", "pic"])?;
            let pic = asked.maybe("pic", |text| {
                u16::try_from(number(text)?).map_err(|_| format!("'{text}' has more than 16 bits"))
            })?;
            Ok(teid::answer(asked.number64("value")?, pic))
        }
        "sysreg" => {
            let asked = asked.only(&["name", "value"])?;
            sysreg::answer(asked.required("name")?, asked.number("value")?)
        }
        "insn" => {
            let word = asked.only(&["word"])?.required("word")?;
            let word = insn::parse(word).map_err(|error| error.at("word"))?;
            Ok(Answer { json: insn::to_json(word), ..Answer::default() })
        }
        other => Err(Error::new(format!(
            "ask: '{other}' is none of translate, dat, pte, esr, par, teid, sysreg, insn"
        ))),
    }
}

/// A question as it came.
#[derive(Clone, Copy)]
struct Asked<'v>(&'v Map<String, Value>);

impl<'v> Asked<'v> {
    /// Checks that nothing else is asked: what is not looked at would seem to have been.
    fn only(self, names: &[&str]) -> Result<Self, Error> {
        let known = |name: &str| matches!(name, "id" | "ask") || names.contains(&name);
        match self.0.keys().find(|name| !known(name)) {
            Some(name) => Err(Error::new(format!("{name}: is not known here"))),
            None => Ok(self),
        }
    }

    /// Checks that what has no meaning there is not said.
    fn without(self, names: &[&str], because: &str) -> Result<(), Error> {
        let said = |name: &&&str| self.0.get(**name).is_some_and(|value| !value.is_null());
        names.iter().find(said).map_or(Ok(()), |name| Err(Error::new(format!("{name}: {because}"))))
    }

    fn text(self, name: &str) -> Result<Option<&'v str>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::new(format!("{name}: is not a string"))),
        }
    }

    fn required(self, name: &str) -> Result<&'v str, Error> {
        self.text(name)?.ok_or_else(|| Error::new(format!("{name}: is missing")))
    }

    fn number(self, name: &str) -> Result<u128, Error> {
        number(self.required(name)?).map_err(|error| Error::new(error).at(name))
    }

    fn number64(self, name: &str) -> Result<u64, Error> {
        number64(self.required(name)?).map_err(|error| Error::new(error).at(name))
    }

    fn maybe<T>(self, name: &str, reader: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Error> {
        let text = self.text(name)?;
        text.map(reader).transpose().map_err(|error| Error::new(error).at(name))
    }

    fn flag(self, name: &str) -> Result<bool, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Error::new(format!("{name}: is neither true nor false"))),
        }
    }

    fn small(self, name: &str, limit: u64) -> Result<Option<u64>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|number| *number < limit) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::new(format!("{name}: is not a number below {limit}"))),
            },
        }
    }

    fn list(self, name: &str) -> Result<&'v [Value], Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(Error::new(format!("{name}: is not a list"))),
        }
    }

    fn texts(self, name: &str) -> Result<Vec<&'v str>, Error> {
        let text = |value: &'v Value| {
            value.as_str().ok_or_else(|| Error::new(format!("{name}: holds something that is not a string")))
        };
        self.list(name)?.iter().map(text).collect()
    }

    fn pairs(self, name: &str) -> Result<Vec<(&'v str, &'v str)>, Error> {
        let wrong = |at: usize| Error::new(format!("{name}: element {at} is not [address, value]"));
        let pair = |(at, value): (usize, &'v Value)| match value.as_array().map(Vec::as_slice) {
            Some([Value::String(first), Value::String(second)]) => Ok((first.as_str(), second.as_str())),
            _ => Err(wrong(at)),
        };
        self.list(name)?.iter().enumerate().map(pair).collect()
    }

    /// Reads registers and memory.
    fn given(self) -> Result<Given, Error> {
        let mut given = Given::default();
        match self.0.get("registers") {
            None | Some(Value::Null) => {}
            Some(Value::Object(registers)) => {
                for (name, value) in registers {
                    let text = value
                        .as_str()
                        .ok_or_else(|| Error::new(format!("registers: {name} is not a string")))?;
                    given.word(&format!("{name}={text}"), WordSize::Double).map_err(|e| e.at("registers"))?;
                }
            }
            Some(_) => return Err(Error::new("registers: is not an object")),
        }
        let size = match self.small("word_size", 17)? {
            None | Some(8) => WordSize::Double,
            Some(16) => WordSize::Quad,
            Some(_) => return Err(Error::new("word_size: is neither 8 nor 16")),
        };
        for (at, value) in self.pairs("memory")? {
            if !at.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(Error::new(format!("memory: '{at}' is not an address")));
            }
            given.word(&format!("{at}={value}"), size).map_err(|error| error.at("memory"))?;
        }
        given.memory.rest = self
            .maybe("rest", |text| match text {
                "unknown" => Ok(Rest::Unknown),
                "zero" => Ok(Rest::Zero),
                "absent" => Ok(Rest::Absent),
                _ => Err("is none of unknown, zero, absent".into()),
            })?
            .unwrap_or_default();
        Ok(given)
    }

    fn translate(self) -> Result<translate::Question, Error> {
        self.only(&[
            "va",
            "registers",
            "memory",
            "word_size",
            "rest",
            "access",
            "el",
            "unprivileged",
            "pan",
            "unaligned",
            "at",
            "regime",
            "security",
            "implementation",
            "features",
            "pa_bits",
        ])?;
        let el = match self.small("el", 4)? {
            Some(0) => ExceptionLevel::El0,
            None | Some(1) => ExceptionLevel::El1,
            Some(2) => ExceptionLevel::El2,
            Some(_) => ExceptionLevel::El3,
        };
        let operation = self.maybe("at", names::at_operation)?;
        if operation.is_some() {
            self.without(&["access", "regime"], "AT has its own")?;
        }
        let kind = self.maybe("access", names::access_kind)?.unwrap_or(AccessKind::Read);
        let mut implementation =
            self.maybe("implementation", names::implementation)?.unwrap_or(Implementation::ALL);
        for feature in self.texts("features")? {
            names::set_feature(&mut implementation, feature).map_err(|error| error.at("features"))?;
        }
        if let Some(bits) = self.small("pa_bits", 57)? {
            implementation.pa_bits = u8::try_from(bits)
                .ok()
                .filter(|bits| *bits >= 32)
                .ok_or_else(|| Error::new("pa_bits: is not 32 to 56"))?;
        }
        Ok(translate::Question {
            va: self.number64("va")?,
            given: self.given()?,
            regime: self.maybe("regime", names::regime)?,
            el,
            access: names::access(
                kind,
                el,
                self.flag("unprivileged")?,
                self.flag("pan")?,
                self.flag("unaligned")?,
            ),
            at: operation,
            implementation,
            security: self.maybe("security", names::security)?.unwrap_or(Space::NonSecure),
            brief: true,
        })
    }

    fn dat(self) -> Result<dat::Question, Error> {
        self.only(&[
            "address",
            "registers",
            "memory",
            "word_size",
            "rest",
            "access",
            "key",
            "storage_keys",
            "size",
            "without",
            "bytes",
            "lra",
            "tprot",
        ])?;
        let mut given = self.given()?;
        given.memory.size = self.maybe("size", number64)?;
        for (block, key) in self.pairs("storage_keys")? {
            let read = |text| number64(text).map_err(|error| Error::new(error).at("storage_keys"));
            let key = u8::try_from(read(key)?)
                .map_err(|_| Error::new(format!("storage_keys: '{key}' has more than 8 bits")))?;
            given.memory.set_key(read(block)?, key);
        }
        let mut facilities = Facilities::ALL;
        for name in self.texts("without")? {
            names::remove_facility(&mut facilities, name).map_err(|error| error.at("without"))?;
        }
        let asks = dat::Asks::of(self.flag("lra")?, self.flag("tprot")?)?;
        if asks == dat::Asks::TestProtection {
            self.without(&["access", "bytes"], "TEST PROTECTION asks for both accesses to a byte")?;
        }
        let bytes = self.small("bytes", 4097)?.unwrap_or(1);
        if bytes == 0 {
            return Err(Error::new("bytes: an operand has one at least"));
        }
        Ok(dat::Question {
            address: self.number64("address")?,
            given,
            access: self.maybe("access", names::dat_access)?.unwrap_or(mmu_xlate::dat::Access::Fetch),
            key: self.small("key", 16)?.and_then(|key| u8::try_from(key).ok()),
            facilities,
            bytes: u16::try_from(bytes).unwrap_or(1),
            asks,
        })
    }

    fn pte(self) -> Result<Answer, Error> {
        self.only(&["value", "level", "stage", "granule", "lpa2", "d128", "registers"])?;
        let value = self.number("value")?;
        let level = names::table_level(self.required("level")?)?;
        match level {
            TableLevel::Arm(level) => pte::answer(&pte::Question {
                value,
                level,
                stage: self.maybe("stage", names::stage)?.unwrap_or(Stage::One),
                granule: self.maybe("granule", names::granule)?.unwrap_or(Granule::Size4K),
                lpa2: self.flag("lpa2")?,
                d128: self.flag("d128")?,
                registers: self.given()?.registers,
            }),
            TableLevel::Dat(level) => {
                let bits = u64::try_from(value).map_err(|_| Error::new("value: has more than 64 bits"))?;
                Ok(entry::answer(bits, level, Features::ALL))
            }
        }
    }
}
