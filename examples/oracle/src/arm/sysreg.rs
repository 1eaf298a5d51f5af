//! `oracle sysreg`: system registers by name or encoding.

use crate::Error;
use crate::answer::{Answer, Field, hex, line, table, to_json};
use arm_arch::SysRegId;
use arm_arch::iss::Direction;
use arm_arch::sysreg::Register;
use serde_json::json;
use std::fmt::Write;

/// Returns the register of a name, or of an encoding as assemblers write it.
fn find(name: &str) -> Option<&'static Register> {
    Register::named(name).or_else(|| Register::of(encoding(name)?))
}

/// Reads `S3_0_C1_C0_0`.
fn encoding(text: &str) -> Option<SysRegId> {
    let text = text.to_ascii_uppercase();
    let mut parts = text.split('_');
    let mut part = |prefix: &str, limit: u8| {
        let number: u8 = parts.next()?.strip_prefix(prefix)?.parse().ok()?;
        (number < limit).then_some(number)
    };
    let id = SysRegId::new(part("S", 4)?, part("", 8)?, part("C", 16)?, part("C", 16)?, part("", 8)?);
    parts.next().is_none().then_some(id)
}

/// Returns the name of what an access of one direction reaches; the encoding where it has none.
pub fn name_of(id: SysRegId, direction: Direction) -> String {
    Register::accessed(id, direction)
        .or_else(|| Register::of(id))
        .map_or_else(|| id.to_string(), |register| register.name().to_ascii_lowercase())
}

/// Whether the manual has a register of this name.
pub fn is_register(name: &str) -> bool {
    Register::named(name).is_some()
}

/// Explains a value.
///
/// # Errors
///
/// There is no register of this name, or it is narrower.
pub fn answer(name: &str, value: u128) -> Result<Answer, Error> {
    let register =
        find(name).ok_or_else(|| Error::new(format!("'{name}' is no system register{}", similar(name))))?;
    let value = u64::try_from(value)
        .map_err(|_| Error::new(format!("{}: the value has more than 64 bits", register.name())))?;
    let decoded = register.decode(value);
    let source = "Arm ARM";
    let mut fields: Vec<Field> = decoded
        .fields()
        .map(|(field, value)| Field {
            bits: vec![(field.hi.into(), field.lo.into())],
            name: field.name.into(),
            value: value.into(),
            means: field.when.map(|when| format!("while {when}")).unwrap_or_default(),
            source: String::new(),
        })
        .collect();
    fields.reverse();
    let mut text = String::new();
    let access = format!("{:?}", register.access());
    let _ = writeln!(text, "{} = {value:#018x}", register.name());
    line(&mut text, "encoding", format_args!("{}, {access} from {:?}", register.id(), register.min_el()));
    if let Some(alias) = register.alias_of() {
        line(&mut text, "alias of", alias.name());
    }
    if let Some(reset) = register.reset() {
        let bits = reset.bits.map_or_else(|| "not all known".into(), hex);
        line(&mut text, "reset", format_args!("{bits} {}", reset.note));
    }
    if register.has_layout() {
        text.push_str(&table(&fields, 2));
        // The table leaves out what is 0 under no condition.
        let zero: Vec<&str> = fields
            .iter()
            .filter(|field| field.value == 0 && field.means.is_empty())
            .map(|field| field.name.as_str())
            .collect();
        for (at, names) in zero.chunks(9).enumerate() {
            line(&mut text, if at == 0 { "zero" } else { "" }, names.join(" "));
        }
    } else {
        line(&mut text, "fields", "not known");
    }
    if decoded.reserved() != 0 {
        line(&mut text, "reserved", format_args!("bits set that no field has: {:#x}", decoded.reserved()));
    }
    let json = json!({
        "register": register.name(),
        "encoding": register.id().to_string(),
        "value": hex(value),
        "access": access,
        "layout": register.has_layout(),
        "fields": to_json(&fields),
        "reserved": register.has_layout().then(|| hex(decoded.reserved())),
        "source": format!("{source}, {}", register.name()),
    });
    Ok(Answer { text, json, unfinished: None })
}

/// Names a register that the name may have meant.
fn similar(name: &str) -> String {
    let wanted = name.to_ascii_uppercase();
    let level = |register: &&&str| register.rsplit_once('_').is_some_and(|(stem, _)| stem == wanted);
    let names: Vec<&str> = Register::all().map(Register::name).collect();
    let found: Vec<&str> = names.iter().filter(level).copied().collect();
    if found.is_empty() { String::new() } else { format!("; there is {}", found.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_read_as_assemblers_write_them() {
        assert_eq!(encoding("S3_0_C1_C0_0"), Some(SysRegId::new(3, 0, 1, 0, 0)));
        assert_eq!(encoding("s3_4_c1_c1_0"), Some(SysRegId::new(3, 4, 1, 1, 0)));
        for wrong in ["S4_0_C1_C0_0", "S3_0_C16_C0_0", "S3_0_C1_C0", "S3_0_C1_C0_0_0", "SCTLR_EL1"] {
            assert_eq!(encoding(wrong), None, "{wrong}");
        }
    }
}
