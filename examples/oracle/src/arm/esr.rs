//! `oracle esr`: exception syndromes.

use super::code_text;
use crate::answer::{Answer, Field, hex, table, to_json};
use arm_arch::iss::{self, AccessSize, Direction, Syndrome, SystemAccess};
use arm_arch::{EsrEl, ExceptionClass};
use serde_json::json;
use std::fmt::Write;

const SOURCE: &str = "Arm ARM, ESR_EL1";

/// Returns the fields of a syndrome, as its class lays it out.
pub fn fields(esr: EsrEl) -> Vec<Field> {
    let field = |high: u8, low: u8, name: &str, value: u64, means: String| Field {
        bits: vec![(high.into(), low.into())],
        name: name.into(),
        value: value.into(),
        means,
        source: SOURCE.into(),
    };
    let of_iss = |part: iss::Field| {
        field(part.high, part.low, part.name, part.value, meaning(esr, part.name, part.value))
    };
    let mut list: Vec<Field> = iss::fields(esr).map(of_iss).collect();
    list.push(field(31, 26, "EC", esr.ec().into_bits().into(), iss::describe(esr.ec()).into()));
    let il = if esr.il() { "32-bit instruction, or none" } else { "16-bit instruction" };
    list.push(field(25, 25, "IL", esr.il().into(), il.into()));
    list.sort_by_key(|field| std::cmp::Reverse(field.bits.first().copied()));
    list
}

/// Says what a field's value means in its class.
fn meaning(esr: EsrEl, name: &str, value: u64) -> String {
    let abort = matches!(
        esr.ec(),
        ExceptionClass::INSTRUCTION_ABORT_LOWER
            | ExceptionClass::INSTRUCTION_ABORT_SAME
            | ExceptionClass::DATA_ABORT_LOWER
            | ExceptionClass::DATA_ABORT_SAME
    );
    let pair = |one: &str, zero: &str| if value == 1 { one.to_owned() } else { zero.to_owned() };
    if esr.ec() == ExceptionClass::SYSTEM_ACCESS && name == "Op0" {
        return instruction(SystemAccess::decode(esr.iss()));
    }
    match name {
        "DFSC" | "IFSC" if abort => code_text(u8::try_from(value).unwrap_or(0)),
        "DFSC" | "IFSC" if value == 0x22 => "debug exception".into(),
        "DFSC" if value == 0x11 => "asynchronous SError".into(),
        "DFSC" if value == 0 => "uncategorised".into(),
        "WnR" => pair("a write", "a read"),
        "S1PTW" => pair("stage 2, on the address of a stage 1 descriptor", "not on a walk of stage 1"),
        "CM" => pair("cache maintenance or AT", "neither cache maintenance nor AT"),
        "FnV" => pair("FAR is not valid", "FAR is valid"),
        "ISV" if abort => pair("bits 23:14 tell of the instruction", "nothing is told of the instruction"),
        "SAS" => format!("{} bytes", AccessSize::from_bits(u8::try_from(value).unwrap_or(0)).bytes()),
        "SSE" => pair("sign-extended", "zero-extended"),
        "SRT" => register(esr, value),
        "SF" => pair("64-bit register", "32-bit register"),
        "AR" => pair("acquire or release", "neither acquire nor release"),
        "VNCR" => pair("an access that FEAT_NV2 redirects", "not from VNCR_EL2"),
        "SET" => ["recoverable", "reserved", "uncontainable", "restartable or corrected"]
            .get(usize::try_from(value).unwrap_or(4))
            .copied()
            .unwrap_or_default()
            .into(),
        "TI" => ["WFI", "WFE", "WFIT", "WFET"]
            .get(usize::try_from(value).unwrap_or(4))
            .copied()
            .unwrap_or_default()
            .into(),
        "CV" => pair("COND is valid", "COND is not valid"),
        "COND" => if value == 14 { "always, as from AArch64" } else { "" }.into(),
        "Direction" => pair("read", "write"),
        "Rt" => {
            if value == 31 {
                "xzr".into()
            } else {
                format!("x{value}")
            }
        }
        "ERET" => pair("ERETAA or ERETAB", "ERET"),
        "Overlay" => pair("the overlay does not permit it", ""),
        "DirtyBit" => pair("the location is clean", ""),
        "AssuredOnly" => pair("stage 1 was not assured", ""),
        "TopLevel" => pair("the first table is not marked as one", ""),
        "TnD" => pair("a tag access, not one of data", ""),
        "TagAccess" => pair("no access to tags", ""),
        "GCS" => pair("an access to a guarded control stack", ""),
        "imm16" => format!("#{value:#x}"),
        _ => String::new(),
    }
}

/// Returns the register of a load or store.
fn register(esr: EsrEl, number: u64) -> String {
    let wide = match Syndrome::decode(esr) {
        Syndrome::DataAbort(_, abort) => abort.sf(),
        _ => true,
    };
    let prefix = if wide { "x" } else { "w" };
    if number == 31 { format!("{prefix}zr") } else { format!("{prefix}{number}") }
}

/// Returns the instruction that a syndrome of class 0x18 is about.
fn instruction(access: SystemAccess) -> String {
    let name = super::sysreg::name_of(access.id, access.direction);
    let general = if access.rt == 31 { "xzr".into() } else { format!("x{}", access.rt) };
    match (access.id.op0(), access.direction) {
        (0 | 1, Direction::Write) => format!("{name}, {general}"),
        (0 | 1, Direction::Read) => format!("{general}, {name}"),
        (_, Direction::Write) => format!("msr {name}, {general}"),
        (_, Direction::Read) => format!("mrs {general}, {name}"),
    }
}

/// Explains a value.
pub fn answer(value: u64) -> Answer {
    let esr = EsrEl::from_bits(value);
    let fields = fields(esr);
    let class = iss::describe(esr.ec());
    let mut text = String::new();
    let _ = writeln!(text, "ESR_ELx = {value:#018x}  {class}");
    text.push_str(&table(&fields, 2));
    let reserved = iss::reserved(esr);
    if reserved != 0 {
        let _ = writeln!(text, "  bits set that belong to no field: {reserved:#x}");
    }
    let json = json!({
        "esr": hex(value),
        "ec": hex(esr.ec().into_bits()),
        "class": class,
        "iss": hex(esr.iss()),
        "iss2": hex(esr.iss2()),
        "reserved": hex(reserved),
        "fields": to_json(&fields),
    });
    Answer { text, json, unfinished: None }
}
