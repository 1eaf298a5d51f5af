//! Numbers, registers and memory as people write them.

use crate::Error;
use crate::memory::Memory;
use std::fs;
use std::path::Path;

/// Reads a number: hexadecimal with 0x, binary with 0b, else decimal; `_` and `'` may stand between digits.
///
/// # Errors
///
/// What is wrong with it.
pub fn number(text: &str) -> Result<u128, String> {
    let plain: String = text.chars().filter(|digit| !matches!(digit, '_' | '\'')).collect();
    let (digits, radix) = match plain.get(..2) {
        Some("0x" | "0X") => (plain.get(2..).unwrap_or_default(), 16),
        Some("0b" | "0B") => (plain.get(2..).unwrap_or_default(), 2),
        _ => (plain.as_str(), 10),
    };
    // The conversion takes a sign, which no register has.
    if digits.starts_with(['+', '-']) {
        return Err(format!("'{text}' is not a number"));
    }
    u128::from_str_radix(digits, radix).map_err(|_| {
        if !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)) {
            format!("'{text}' has more than 128 bits")
        } else if radix == 10 && !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
            format!("'{text}' is not a number; hexadecimal ones start with 0x")
        } else {
            format!("'{text}' is not a number")
        }
    })
}

/// Reads a number of at most 64 bits.
///
/// # Errors
///
/// What is wrong with it.
pub fn number64(text: &str) -> Result<u64, String> {
    u64::try_from(number(text)?).map_err(|_| format!("'{text}' has more than 64 bits"))
}

/// Registers by name and memory by address, as command line and files list them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Registers, in capitals, in the order given.
    pub registers: Vec<(String, u128)>,
    /// Memory.
    pub memory: Memory,
}

/// Bytes of a value in a list of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordSize {
    /// 8 bytes.
    Double,
    /// 16 bytes: 128-bit descriptors, low half first.
    Quad,
}

/// What is left of a line without its comment.
fn content(line: &str) -> &str {
    let end = line.find(['#', ';']).unwrap_or(line.len());
    let line = line.get(..end).unwrap_or_default();
    line.split("//").next().unwrap_or_default().trim()
}

/// More than any register's name has.
const LONGEST_NAME: usize = 40;

impl Given {
    /// Takes one `NAME=VALUE` or `ADDRESS=VALUE`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn word(&mut self, text: &str, size: WordSize) -> Result<(), Error> {
        let parted = text
            .split_once('=')
            .or_else(|| text.split_once(':'))
            .or_else(|| text.split_once(char::is_whitespace));
        let (name, value) = parted
            .ok_or_else(|| Error::new(format!("'{text}' is not of the form NAME=VALUE or ADDRESS=VALUE")))?;
        let (name, value) = (name.trim(), value.trim());
        let value = number(value).map_err(|error| Error::new(error).at(name))?;
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            let at = number64(name)?;
            return match size {
                WordSize::Double => {
                    let value = u64::try_from(value).map_err(|_| {
                        Error::new(format!("{name}: the value has more than 64 bits (see --word-size)"))
                    })?;
                    self.memory.set(at, value)
                }
                WordSize::Quad => self.memory.set_pair(at, value),
            };
        }
        let valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(valid) {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            return Err(Error::new(format!("'{shown}' is neither a register nor an address")));
        }
        let name = name.to_ascii_uppercase();
        if let Some((_, before)) = self.registers.iter().find(|(known, _)| *known == name)
            && *before != value
        {
            return Err(Error::new(format!("{name} is given twice, as {before:#x} and as {value:#x}")));
        }
        self.registers.push((name, value));
        Ok(())
    }

    /// Takes a file with one of them on a line; `#`, `;` and `//` start comments.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line.
    pub fn file(&mut self, path: &Path, size: WordSize) -> Result<(), Error> {
        let text = read_text(path)?;
        for (line, number) in text.lines().zip(1..) {
            let line = content(line);
            if !line.is_empty() {
                self.word(line, size).map_err(|e| e.at(format_args!("{}:{number}", path.display())))?;
            }
        }
        Ok(())
    }

    /// Takes a dump, `FILE@BASE`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn dump(&mut self, text: &str) -> Result<(), Error> {
        let (path, base) = text
            .rsplit_once('@')
            .ok_or_else(|| Error::new(format!("--memory {text}: is not of the form FILE@BASE")))?;
        let base = number64(base).map_err(|error| Error::new(error).at(format_args!("--memory {text}")))?;
        let bytes = read(Path::new(path))?;
        self.memory.dump(base, bytes).map_err(|error| error.at(format_args!("--memory {text}")))
    }
}

/// The most that is read of a file.
const LARGEST: u64 = 4 << 30;

/// Reads a file.
///
/// # Errors
///
/// Names the file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let named = |error: std::io::Error| Error::new(error.to_string()).at(path.display());
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(named)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(named)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(Error::new("is larger than 4 GiB").at(path.display()));
    }
    Ok(bytes)
}

/// Reads a file of text.
///
/// # Errors
///
/// Names the file.
pub fn read_text(path: &Path) -> Result<String, Error> {
    String::from_utf8(read(path)?).map_err(|_| Error::new("is not text").at(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_unless_they_say_otherwise() {
        for (text, want) in
            [("0x10", 16), ("16", 16), ("0b1_0000", 16), ("0xffff'0000", 0xffff_0000), ("0", 0)]
        {
            assert_eq!(number(text), Ok(want), "{text}");
        }
        for text in
            ["", "0x", "0x1g", "ff", "-1", "0x-1", "1 2", "0x1_0000_0000_0000_0000_0000_0000_0000_0000"]
        {
            assert!(number(text).is_err(), "{text}");
        }
        assert!(number64("0x1_0000_0000_0000_0000").is_err());
    }

    #[test]
    fn a_list_may_use_any_of_three_separators_and_comments() {
        let mut given = Given::default();
        for line in ["TCR_EL1=0x10", "sctlr_el1 0x1 ", "MAIR_EL1: 0xff", "0x1000=0x55"] {
            given.word(content(line), WordSize::Double).unwrap();
        }
        let names: Vec<&str> = given.registers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["TCR_EL1", "SCTLR_EL1", "MAIR_EL1"]);
        assert_eq!(content("A=1 # one"), "A=1");
        assert_eq!(content("A=1 // one"), "A=1");
        assert_eq!(content("; nothing"), "");
        assert!(given.word("TCR_EL1=0x11", WordSize::Double).is_err(), "two values");
        assert!(given.word("0x1004=1", WordSize::Double).is_err(), "not aligned");
    }
}
