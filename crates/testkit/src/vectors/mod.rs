//! Test vectors: readers of the files under `crates/mmu-xlate/tests/vectors`, and the comparison with the walkers.
//!
//! A file that is wrong is an error that names the field; nothing here panics on what a file says. The schemas are
//! described beside the files.

pub mod dat;
pub mod vmsa;

use serde_json::{Map, Value};

/// Returns the object that a value is.
fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{} where an object was expected", short(value)))
}

/// Returns a field of an object.
fn field<'v>(value: &'v Value, name: &str) -> Result<&'v Value, String> {
    object(value)?.get(name).ok_or_else(|| format!("field {name:?} is missing"))
}

/// Returns what a reader makes of a field.
fn read<'v, T>(
    value: &'v Value,
    name: &str,
    reader: impl FnOnce(&'v Value) -> Result<T, String>,
) -> Result<T, String> {
    reader(field(value, name)?).map_err(|error| format!("field {name:?}: {error}"))
}

/// Returns what a reader makes of a field, where there is one that is not null.
fn optional<'v, T>(
    value: &'v Value,
    name: &str,
    reader: impl FnOnce(&'v Value) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match object(value)?.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => reader(found).map(Some).map_err(|error| format!("field {name:?}: {error}")),
    }
}

/// Checks that an object has no other fields: one that is not compared would look as if it were.
fn only(value: &Value, names: &[&str]) -> Result<(), String> {
    match object(value)?.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(format!("field {key:?} is not known")),
        None => Ok(()),
    }
}

/// Reads each element of a list.
fn list<'v, T>(value: &'v Value, reader: impl Fn(&'v Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    let elements =
        value.as_array().ok_or_else(|| format!("{} where a list was expected", short(value)))?.iter();
    elements
        .enumerate()
        .map(|(at, element)| reader(element).map_err(|error| format!("element {at}: {error}")))
        .collect()
}

/// Reads a number that is written as a string of hexadecimal digits.
fn wide(value: &Value) -> Result<u128, String> {
    let text = string(value)?;
    text.strip_prefix("0x")
        .and_then(|digits| u128::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("{text:?} is not a hexadecimal number"))
}

/// Reads such a number of at most 64 bits.
fn number(value: &Value) -> Result<u64, String> {
    u64::try_from(wide(value)?).map_err(|_| format!("{} has more than 64 bits", short(value)))
}

/// Reads a plain number below a limit.
fn small(value: &Value, limit: u64) -> Result<u64, String> {
    value
        .as_u64()
        .filter(|number| *number < limit)
        .ok_or_else(|| format!("{} where a number below {limit} was expected", short(value)))
}

fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{} where true or false was expected", short(value)))
}

/// Reads 0 or 1.
fn bit(value: &Value) -> Result<bool, String> {
    small(value, 2).map(|bit| bit == 1)
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{} where a string was expected", short(value)))
}

/// Reads two numbers.
fn pair(value: &Value) -> Result<(u64, u64), String> {
    match value.as_array().map(Vec::as_slice) {
        Some([first, second]) => Ok((number(first)?, number(second)?)),
        _ => Err(format!("{} where [address, value] was expected", short(value))),
    }
}

/// Returns the beginning of a value, for a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
