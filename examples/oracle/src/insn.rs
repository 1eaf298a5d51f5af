//! `oracle insn`: A64 instruction words.

use crate::Error;
use crate::options::Insn;
use arm_arch::a64::decode::{Instruction, decode};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

/// Longest line that can hold a word; longer ones are wrong whatever is in them.
const LONGEST: u64 = 256;

/// Reads words and says what they are.
///
/// # Errors
///
/// What is wrong with the input, and in which line.
pub fn run(asked: &Insn, json: bool, stdin: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), Error> {
    for text in &asked.words {
        write_word(word(text)?, json, out)?;
    }
    for path in &asked.files {
        if path.as_os_str() == "-" {
            stream("standard input", stdin, asked.binary, json, out)?;
            continue;
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::new(error.to_string()).at(&name))?;
        stream(&name, &mut BufReader::with_capacity(1 << 16, file), asked.binary, json, out)?;
    }
    Ok(())
}

fn stream(
    name: &str,
    input: &mut dyn BufRead,
    binary: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if binary { words_of_bytes(name, input, json, out) } else { words_of_lines(name, input, json, out) }
}

/// Little-endian words, as instructions always are.
fn words_of_bytes(name: &str, input: &mut dyn BufRead, json: bool, out: &mut dyn Write) -> Result<(), Error> {
    let mut offset = 0u64;
    loop {
        let mut bytes = [0; 4];
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            match input.read(rest) {
                Ok(0) => break,
                Ok(read) => rest = std::mem::take(&mut rest).get_mut(read..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::new(error.to_string()).at(name)),
            }
        }
        match rest.len() {
            0 => write_word(u32::from_le_bytes(bytes), json, out)?,
            4 => return Ok(()),
            missing => {
                let text = format!("ends {} bytes into a word", 4usize.saturating_sub(missing));
                return Err(Error::new(text).at(format_args!("{name}, byte {offset}")));
            }
        }
        offset = offset.wrapping_add(4);
    }
}

fn words_of_lines(name: &str, input: &mut dyn BufRead, json: bool, out: &mut dyn Write) -> Result<(), Error> {
    let mut line = Vec::new();
    for number in 1u64.. {
        if !next_line(input, &mut line).map_err(|error| Error::new(error.to_string()).at(name))? {
            break;
        }
        let wrong = |error: Error| error.at(format_args!("{name}:{number}"));
        let text = content(&line, number).map_err(wrong)?;
        if !text.is_empty() {
            write_word(word(text).map_err(wrong)?, json, out)?;
        }
    }
    Ok(())
}

/// Takes the next line, or the beginning of one that is longer than [`LONGEST`]; false at the end.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let _ = input.take(LONGEST).read_until(b'\n', line)?;
    if line.last() != Some(&b'\n') && u64::try_from(line.len()) == Ok(LONGEST) {
        let _ = input.skip_until(b'\n')?;
    }
    Ok(!line.is_empty())
}

/// Returns what a line holds beside a comment.
fn content(line: &[u8], number: u64) -> Result<&str, Error> {
    let end = line
        .iter()
        .zip(line.iter().skip(1).chain([&0]))
        .position(|(byte, next)| matches!(byte, b'#' | b';') || (*byte, *next) == (b'/', b'/'));
    let is_cut = end.is_none() && u64::try_from(line.len()) == Ok(LONGEST) && line.last() != Some(&b'\n');
    let text = std::str::from_utf8(line.get(..end.unwrap_or(line.len())).unwrap_or_default())
        .map_err(|_| Error::new("not text; --binary takes the words of a file of bytes"))?;
    // What some editors begin a file with.
    let text = if number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
    if is_cut && text.trim().is_empty() {
        return Err(Error::new(format!("more than {LONGEST} characters before a word")));
    }
    Ok(text.trim())
}

/// Reads a word: hexadecimal digits, 0x or not.
fn word(text: &str) -> Result<u32, Error> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let valid = (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    match u32::from_str_radix(digits, 16) {
        Ok(word) if valid => Ok(word),
        _ => {
            let shown: String = text.chars().take(40).collect();
            Err(Error::new(format!("'{shown}' is not an instruction word of up to 8 hexadecimal digits")))
        }
    }
}

fn write_word(word: u32, json: bool, out: &mut dyn Write) -> Result<(), Error> {
    match (decode(word), json) {
        (None, false) => writeln!(out, "{word:08x}  unallocated")?,
        (None, true) => writeln!(out, "{{\"word\":\"{word:#010x}\",\"allocated\":false}}")?,
        (Some(instruction), false) => write_text(&instruction, out)?,
        (Some(instruction), true) => write_json(&instruction, out)?,
    }
    Ok(())
}

fn write_text(instruction: &Instruction, out: &mut dyn Write) -> Result<(), Error> {
    write!(out, "{:08x}  {instruction}  ; {}", instruction.word(), instruction.name())?;
    for (field, value) in instruction.fields() {
        write!(out, " {}={value:#x}", field.name)?;
    }
    if !instruction.is_as_should_be() {
        out.write_all(b"  (should-be bits are not)")?;
    }
    out.write_all(b"\n")?;
    Ok(())
}

/// Writes one object by hand: names and syntax hold nothing that JSON would escape.
fn write_json(instruction: &Instruction, out: &mut dyn Write) -> Result<(), Error> {
    write!(
        out,
        "{{\"word\":\"{:#010x}\",\"allocated\":true,\"name\":\"{}\",\"group\":\"{}\",\"text\":\"{instruction}\",\"as_should_be\":{},\"operands\":{{",
        instruction.word(),
        instruction.name(),
        instruction.group(),
        instruction.is_as_should_be(),
    )?;
    for (at, (field, value)) in instruction.fields().enumerate() {
        let separator = if at == 0 { "" } else { "," };
        write!(out, "{separator}\"{}\":{value}", field.name)?;
    }
    out.write_all(b"}}\n")?;
    Ok(())
}

/// Returns what [`run`] would write for one word.
pub fn to_json(word: u32) -> Value {
    match decode(word) {
        None => json!({ "word": format!("{word:#010x}"), "allocated": false }),
        Some(instruction) => {
            let operands: serde_json::Map<String, Value> =
                instruction.fields().map(|(field, value)| (field.name.into(), value.into())).collect();
            json!({
                "word": format!("{word:#010x}"),
                "allocated": true,
                "name": instruction.name(),
                "group": instruction.group(),
                "text": instruction.to_string(),
                "as_should_be": instruction.is_as_should_be(),
                "operands": operands,
            })
        }
    }
}

/// Reads a word for [`to_json`].
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(text: &str) -> Result<u32, Error> {
    word(text)
}
