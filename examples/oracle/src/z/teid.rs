//! `oracle teid`: translation-exception identifications.

use crate::answer::{Answer, Field, Fields, hex, line, table, to_json};
use s390_arch::pgm::{AccessException, Ending, ProgramCode, ProtectionCause, Teid};
use serde_json::json;
use std::fmt::Write;

const SOURCE: &str = "PoP ch. 3, TEID";

/// Returns the fields of an identification.
pub fn fields(value: u64, protection: bool) -> Vec<Field> {
    let teid = Teid::from_bits(value);
    let mut fields = Fields::from_left(value, SOURCE);
    fields.add((0, 51), "address", format!("page {:#018x}", teid.address()));
    let fsi = ["not known", "a store", "a fetch", "not assigned"];
    let fsi = usize::try_from(fields.bits(52, 53)).ok().and_then(|at| fsi.get(at)).unwrap_or(&"");
    fields.add((52, 53), "FSI", *fsi);
    fields.reserved(54, 55);
    if protection {
        let cause = protection_text(teid.protection());
        fields.add((56, 56), "b56", "");
        fields.reserved(57, 59);
        fields.add((60, 60), "b60", "");
        fields.add((61, 61), "b61", format!("with 56 and 60: {cause}"));
    } else {
        fields.reserved(56, 61);
    }
    let space = ["primary", "by access register", "secondary", "home"];
    let space = usize::try_from(fields.bits(62, 63)).ok().and_then(|at| space.get(at)).unwrap_or(&"");
    fields.add((62, 63), "AS", *space);
    fields.list
}

/// Says which protection it was.
pub fn protection_text(cause: Option<ProtectionCause>) -> &'static str {
    match cause {
        Some(ProtectionCause::NotIdentified) => "not identified",
        Some(ProtectionCause::Dat) => "DAT protection: P of a table entry",
        Some(ProtectionCause::Key) => "key-controlled protection",
        Some(ProtectionCause::AccessList) => "access-list-controlled protection",
        Some(ProtectionCause::LowAddress) => "low-address protection",
        Some(ProtectionCause::InstructionExecution) => "instruction-execution protection",
        None => "not assigned",
    }
}

/// Says what an interruption code is.
pub fn code_text(code: ProgramCode) -> String {
    let name = code.without_per().name().unwrap_or("not known");
    let per = if code.is_per() && code != ProgramCode::PER_EVENT { ", with a PER event" } else { "" };
    format!("{name}{per}")
}

/// Explains a value; `pic` is the code that was stored with it.
pub fn answer(value: u64, pic: Option<u16>) -> Answer {
    let code = pic.map(ProgramCode);
    // Without a code, the bits of protection are shown as if it were one.
    let protection = code.is_none_or(|code| code.without_per() == ProgramCode::PROTECTION);
    let fields = fields(value, protection);
    let mut text = String::new();
    let _ = writeln!(text, "TEID = {value:#018x}");
    if let Some(code) = code {
        line(&mut text, "code", format_args!("{:#06x}  {}", code.0, code_text(code)));
        match AccessException::decode(code) {
            Some(exception) if !exception.has_teid() => {
                line(&mut text, "", "no TEID is defined for this code");
            }
            Some(exception) => {
                let ending = match exception.ending() {
                    Ending::Nullify => "nullified: the old PSW designates the instruction",
                    Ending::Suppress => "suppressed: the old PSW designates the next instruction",
                };
                line(&mut text, "ending", ending);
            }
            None => line(&mut text, "", "this code is no access exception"),
        }
    }
    text.push_str(&table(&fields, 2));
    let json = json!({
        "teid": hex(value),
        "pic": code.map(|code| hex(code.0)),
        "code": code.map(code_text),
        "address": hex(Teid::from_bits(value).address()),
        "fields": to_json(&fields),
    });
    Answer { text, json, unfinished: None }
}
