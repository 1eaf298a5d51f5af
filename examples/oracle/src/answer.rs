//! An answer in both its forms, and the fields that most answers are made of.

use serde_json::{Value, json};
use std::fmt::Write;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// For a person.
    pub text: String,
    /// For a program.
    pub json: Value,
    /// Why it stops before the end, where it does.
    pub unfinished: Option<String>,
}

/// Some bits of a value, and what they decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where they are, as the manual numbers them: the most significant part first, each from end to end.
    pub bits: Vec<(u32, u32)>,
    /// The manual's name.
    pub name: String,
    /// Their value.
    pub value: u128,
    /// What they say; empty where the name says it all.
    pub means: String,
    /// Where that is written.
    pub source: String,
}

/// How bits are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// From the right, as Arm does.
    Right,
    /// From the left, as z/Architecture does, in 64 bits.
    Left,
}

/// Takes fields out of a value, one after the other.
#[derive(Clone, Debug)]
pub struct Fields {
    value: u128,
    numbering: Numbering,
    source: &'static str,
    /// What was taken.
    pub list: Vec<Field>,
}

impl Fields {
    /// Starts with a value whose bits count from the right.
    pub fn of(value: u128, source: &'static str) -> Self {
        Self { value, numbering: Numbering::Right, source, list: Vec::new() }
    }

    /// Starts with a value whose bits count from the left.
    pub fn from_left(value: u64, source: &'static str) -> Self {
        Self { value: value.into(), numbering: Numbering::Left, source, list: Vec::new() }
    }

    /// Returns bits, by the manual's numbers.
    pub fn bits(&self, first: u32, last: u32) -> u128 {
        let (high, low) = match self.numbering {
            Numbering::Right => (first, last),
            Numbering::Left => (63u32.saturating_sub(first), 63u32.saturating_sub(last)),
        };
        let width = high.saturating_sub(low).saturating_add(1);
        let mask = u128::MAX.checked_shr(128u32.saturating_sub(width)).unwrap_or(0);
        self.value.checked_shr(low).unwrap_or(0) & mask
    }

    /// Whether a bit is 1.
    pub fn is(&self, bit: u32) -> bool {
        self.bits(bit, bit) != 0
    }

    /// Adds a field with its meaning.
    pub fn add(&mut self, (first, last): (u32, u32), name: &str, means: impl Into<String>) -> &mut Self {
        let value = self.bits(first, last);
        self.list.push(Field {
            bits: vec![(first, last)],
            name: name.into(),
            value,
            means: means.into(),
            source: self.source.into(),
        });
        self
    }

    /// Adds one bit, with what it means as 1 and as 0.
    pub fn flag(&mut self, bit: u32, name: &str, one: &str, zero: &str) -> &mut Self {
        let means = if self.is(bit) { one } else { zero };
        self.add((bit, bit), name, means)
    }

    /// Adds bits that should be zero, if they are not.
    pub fn reserved(&mut self, first: u32, last: u32) -> &mut Self {
        if self.bits(first, last) != 0 {
            self.add((first, last), "RES0", "not zero: reserved");
        }
        self
    }
}

/// Returns the range of bits as the manual writes it.
fn range(field: &Field) -> String {
    let part = |&(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}:{last}") }
    };
    format!("[{}]", field.bits.iter().map(part).collect::<Vec<_>>().join(","))
}

/// Writes fields one below the other, sources at the right; those that are 0 and of which there is nothing to say
/// are left out.
pub fn table(fields: &[Field], indent: usize) -> String {
    let shown: Vec<&Field> =
        fields.iter().filter(|field| field.value != 0 || !field.means.is_empty()).collect();
    let widest = |text: &dyn Fn(&Field) -> usize| shown.iter().map(|field| text(field)).max().unwrap_or(0);
    let ranges = widest(&|field| range(field).len()).max(7);
    let names = widest(&|field| field.name.chars().count());
    let values = widest(&|field| value_text(field).len());
    let meanings = widest(&|field| field.means.chars().count()).min(58);
    let mut text = String::new();
    let mut before = "";
    for field in shown {
        // One source for all is said once.
        let source = if field.source == before { "" } else { &field.source };
        before = &field.source;
        let line = format!(
            "{:indent$}{:<ranges$} {:<names$}  {:>values$}  {:<meanings$}  {source}",
            "",
            range(field),
            field.name,
            value_text(field),
            field.means,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns a source with the document it is in.
pub fn arm_source(cite: &str) -> String {
    format!("Arm ARM, {cite}")
}

/// Narrow fields in binary digits, as manuals write them, wide ones in hexadecimal.
fn value_text(field: &Field) -> String {
    let bits: u32 = field.bits.iter().map(|(first, last)| first.abs_diff(*last).saturating_add(1)).sum();
    match bits {
        1 => field.value.to_string(),
        2..=6 if field.value < 64 => {
            format!("0b{:0width$b}", field.value, width = usize::try_from(bits).unwrap_or(0))
        }
        _ => format!("{:#x}", field.value),
    }
}

/// Returns fields for a program.
pub fn to_json(fields: &[Field]) -> Value {
    fields
        .iter()
        .map(|field| {
            json!({
                "name": field.name,
                "bits": field.bits.iter().map(|(first, last)| [first, last]).collect::<Vec<_>>(),
                "value": hex(field.value),
                "means": field.means,
                "source": field.source,
            })
        })
        .collect()
}

/// Returns a number as JSON has it: a string, so that no reader loses bits.
pub fn hex(value: impl Into<u128>) -> String {
    format!("{:#x}", value.into())
}

/// Adds one line "name  value" to a result.
pub fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "  {name:<12}{value}");
}

/// Returns bytes in the unit that people use.
pub fn size(log2: u32) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = usize::try_from(log2 / 10).ok().and_then(|at| UNITS.get(at)).unwrap_or(&"?");
    format!("{} {unit}", 1u64 << (log2 % 10))
}
