//! Instructions as assembler text. Arm ARM, "Structure of the A64 assembler language", and "Assembler symbols" of
//! each instruction.
//!
//! A row has one or more templates, of which the bits of the word select one (`data/a64_syntax.tsv`). In a template,
//! `{…}` stands for something computed from bits, and what is between `<` and `>` is left out where its number is 0:
//!
//! | placeholder | what |
//! | --- | --- |
//! | `{d10:12*8}` | a number: the 12 bits from bit 10, times 8; several such parts are added, as are `+4` and `-4`, and `%32` takes the rest |
//! | `{h…}` | the same in hexadecimal |
//! | `{x5:5}` `{w5:5}` | a general-purpose register, with 31 as `xzr`; in capitals with 31 as `sp` |
//! | `{f13:8}` | an 8-bit floating-point number |
//! | `{b64:0}` `{b32:13}` | a bitmask immediate of 64 or 32 bits, from N, immr, imms at bits 22, 16, 10 or, with 13, imm13 at bit 5 |
//! | `{R19:4,16:3}` `{L…}` | a right or left shift, whose highest set bit also is the size of elements |
//! | `{B}` | the 64 bits that a:b:c:d:e:f:g:h stand for, a byte each |
//! | `{p5:5}` `{q0:5}` | a predicate pattern; a prefetch operation |
//! | `{@22:2\|b\|h\|s\|d}` | one of several words |
//! | `{!sys}` | what is not of this form; see `special` |

mod special;

use super::{Field, FieldKind, Instruction, cut, syntax};
use crate::bits;
use core::fmt::{self, Write as _};

impl fmt::Display for Instruction {
    /// Writes the instruction as LLVM does without aliases, or where no template is known, mnemonic and fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.template() {
            Some(template) => write_template(f, template, self.word),
            None => self.write_fields(f),
        }
    }
}

impl Instruction {
    /// Whether the text is assembler syntax, and not a list of fields. `data/a64_syntax.tsv`.
    #[must_use]
    pub fn has_syntax(&self) -> bool {
        self.template().is_some()
    }

    fn template(&self) -> Option<&'static str> {
        let (group, row) = self.place();
        let lines = *syntax::GROUPS.get(group)?;
        let start = lines.partition_point(|line| line.row < row);
        let mut lines = lines.get(start..)?.iter().take_while(|line| line.row == row);
        lines.find(|line| self.word & line.mask == line.value).map(|line| line.text)
    }

    fn write_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mnemonic().chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()))?;
        let mut separator = " ";
        self.fields().try_for_each(|(field, value)| {
            let before = core::mem::replace(&mut separator, ", ");
            write!(f, "{before}{}={value:#x}", field.name)
        })
    }
}

/// One template of a row, for words that have these bits.
#[derive(Debug)]
pub(super) struct Line {
    /// Number in its group.
    pub row: u16,
    /// Bits that are looked at, and their values.
    pub mask: u32,
    pub value: u32,
    pub text: &'static str,
}

pub(super) const fn line(row: u16, mask: u32, value: u32, text: &'static str) -> Line {
    Line { row, mask, value, text }
}

fn write_template(f: &mut fmt::Formatter<'_>, template: &str, word: u32) -> fmt::Result {
    let mut rest = template;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'{' | b'<')) {
        let (before, from) = halves(rest, at);
        f.write_str(before)?;
        if let Some((optional, after)) = from.strip_prefix('<').and_then(|o| cut(o, b'>')) {
            if number_within(optional, word) != Some(0) {
                write_template(f, optional, word)?;
            }
            rest = after;
        } else if let Some((placeholder, after)) = from.strip_prefix('{').and_then(split_placeholder) {
            write_placeholder(f, placeholder, word)?;
            rest = after;
        } else {
            // A brace of the assembler's own.
            f.write_char('{')?;
            rest = from.get(1..).unwrap_or_default();
        }
    }
    f.write_str(rest)
}

/// Splits a text at an offset within it.
fn halves(text: &str, at: usize) -> (&str, &str) {
    (text.get(..at).unwrap_or(text), text.get(at..).unwrap_or_default())
}

/// Splits a text at each place of an ASCII character, as `split` does, but without its panics.
fn pieces(text: &str, mark: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest.take()?;
        let (piece, after) = cut(text, mark).map_or((text, None), |(piece, after)| (piece, Some(after)));
        rest = after;
        Some(piece)
    })
}

/// Splits what follows a brace into the placeholder and what is behind it, unless it is none.
fn split_placeholder(text: &str) -> Option<(&str, &str)> {
    text.starts_with(['d', 'h', 'x', 'X', 'w', 'W', 'f', 'b', 'B', 'R', 'L', 'p', 'q', '@', '!'])
        .then_some(())?;
    cut(text, b'}')
}

/// Returns the number of the first placeholder in an optional part.
fn number_within(text: &str, word: u32) -> Option<i64> {
    let (_, from) = cut(text, b'{')?;
    let (placeholder, _) = cut(from, b'}')?;
    Some(sum(placeholder.get(1..)?, word))
}

fn write_placeholder(f: &mut fmt::Formatter<'_>, placeholder: &str, word: u32) -> fmt::Result {
    let kind = placeholder.chars().next().unwrap_or('d');
    let parts = placeholder.get(1..).unwrap_or_default();
    match kind {
        '@' => {
            let mut words = pieces(parts, b'|');
            let index = concatenated_from_low(words.next().unwrap_or_default(), word);
            f.write_str(words.nth(index).unwrap_or_default())
        }
        '!' => special::write(f, parts, word),
        'h' if sum(parts, word) == 0 => f.write_char('0'),
        'h' => write!(f, "{:#x}", sum(parts, word)),
        'x' | 'X' | 'w' | 'W' => register(f, kind, sum(parts, word)),
        'f' => float(f, concatenated(parts, word)),
        'b' => write!(f, "{:#x}", bitmask(parts, word)),
        'B' if byte_mask(word) == 0 => f.write_str("0000000000000000"),
        'B' => write!(f, "{:#016x}", byte_mask(word)),
        'R' | 'L' => write!(f, "{}", shift(kind, concatenated(parts, word))),
        'p' => pattern(f, sum(parts, word)),
        'q' => prefetch(f, sum(parts, word)),
        _ => write!(f, "{}", sum(parts, word)),
    }
}

/// Reads `10:12` as the 12 bits from bit 10.
fn part(text: &str, word: u32) -> (u32, u32) {
    let (low, width) = cut(text, b':').unwrap_or((text, "1"));
    let (low, width): (u32, u32) = (low.parse().unwrap_or(0), width.parse().unwrap_or(0));
    let high = bits::low8(u64::from(low.wrapping_add(width).wrapping_sub(1)));
    let field = Field { name: "", high, low: bits::low8(low.into()), kind: FieldKind::Other };
    (field.of(word), width)
}

/// Adds up `16:3*4,19:1*-32+8%32`.
fn sum(parts: &str, word: u32) -> i64 {
    let (parts, modulus) = cut(parts, b'%').unwrap_or((parts, ""));
    // The constant begins at a sign that no factor has.
    let mut previous = 0;
    let sign = parts.bytes().position(|byte| {
        let before = core::mem::replace(&mut previous, byte);
        matches!(byte, b'+' | b'-') && before != b'*'
    });
    let (parts, constant) = halves(parts, sign.unwrap_or(parts.len()));
    let mut total: i64 = constant.strip_prefix('+').unwrap_or(constant).parse().unwrap_or(0);
    for text in pieces(parts, b',').filter(|text| !text.is_empty()) {
        let (bits, factor) = cut(text, b'*').unwrap_or((text, "1"));
        let factor: i64 = factor.parse().unwrap_or(1);
        total = total.wrapping_add(i64::from(part(bits, word).0).wrapping_mul(factor));
    }
    modulus.parse().map_or(total, |modulus| total.checked_rem_euclid(modulus).unwrap_or(total))
}

/// Puts parts together, the first highest.
fn concatenated(parts: &str, word: u32) -> u32 {
    pieces(parts, b',').fold(0, |above, text| {
        let (value, width) = part(text, word);
        above.wrapping_shl(width) | value
    })
}

/// Puts parts together, the first lowest.
fn concatenated_from_low(parts: &str, word: u32) -> usize {
    let (value, _) = pieces(parts, b',').fold((0u32, 0u32), |(below, at), text| {
        let (value, width) = part(text, word);
        (below | value.wrapping_shl(at), at.wrapping_add(width))
    });
    super::index(value)
}

fn register(f: &mut fmt::Formatter<'_>, kind: char, number: i64) -> fmt::Result {
    match (kind, number) {
        ('x', 31) => f.write_str("xzr"),
        ('w', 31) => f.write_str("wzr"),
        ('X', 31) => f.write_str("sp"),
        ('W', 31) => f.write_str("wsp"),
        _ => write!(f, "{}{number}", kind.to_ascii_lowercase()),
    }
}

/// Arm ARM, `VFPExpandImm`, in units of 1/128: exact in eight digits behind the point.
fn float(f: &mut fmt::Formatter<'_>, imm8: u32) -> fmt::Result {
    let exponent = (imm8 >> 4 & 7) ^ 4;
    let units = u64::from(16 | (imm8 & 15)).wrapping_shl(exponent);
    if imm8 & 0x80 != 0 {
        f.write_char('-')?;
    }
    let fraction = (units & 127).wrapping_mul(100_000_000).wrapping_shr(7);
    write!(f, "{}.{fraction:08}", units >> 7)
}

/// Arm ARM, `DecodeBitMasks`; 0 where it is reserved.
fn bitmask(kind: &str, word: u32) -> u64 {
    let (width, place) = cut(kind, b':').unwrap_or((kind, "0"));
    let (n, immr, imms) = match place {
        "13" => (word >> 17 & 1, word >> 11 & 63, word >> 5 & 63),
        _ => (word >> 22 & 1, word >> 16 & 63, word >> 10 & 63),
    };
    let combined = n << 6 | (!imms & 63);
    let Some(log) = combined.checked_ilog2().filter(|&log| log > 0) else { return 0 };
    let size = 1u32.wrapping_shl(log);
    let levels = size.wrapping_sub(1);
    let ones = bits::mask((imms & levels).wrapping_add(1));
    let by = immr & levels;
    let element = match by {
        0 => ones,
        _ => (ones >> by | ones.wrapping_shl(size.wrapping_sub(by))) & bits::mask(size),
    };
    let mut mask = element;
    let mut filled = size;
    while filled < 64 {
        mask |= mask.wrapping_shl(filled);
        filled = filled.wrapping_mul(2);
    }
    if width == "32" { mask & 0xffff_ffff } else { mask }
}

/// Arm ARM, `AdvSIMDExpandImm`, op = 1 and cmode = 1110.
fn byte_mask(word: u32) -> u64 {
    let imm8 = word >> 11 & 0xe0 | word >> 5 & 0x1f;
    (0..8u32)
        .filter(|&bit| imm8 >> bit & 1 != 0)
        .fold(0, |mask, bit| mask | 0xffu64.wrapping_shl(bit.wrapping_mul(8)))
}

/// The amount of a shift by immediate.
fn shift(kind: char, bits: u32) -> u32 {
    let size = (bits >> 3).checked_ilog2().map_or(0, |log| 8u32.wrapping_shl(log));
    if kind == 'R' { size.wrapping_mul(2).wrapping_sub(bits) } else { bits.wrapping_sub(size) }
}

/// Arm ARM, `DecodePredCount`.
fn pattern(f: &mut fmt::Formatter<'_>, number: i64) -> fmt::Result {
    match number {
        0 => f.write_str("pow2"),
        1..=8 => write!(f, "vl{number}"),
        9 => f.write_str("vl16"),
        10 => f.write_str("vl32"),
        11 => f.write_str("vl64"),
        12 => f.write_str("vl128"),
        13 => f.write_str("vl256"),
        29 => f.write_str("mul4"),
        30 => f.write_str("mul3"),
        31 => f.write_str("all"),
        _ => write!(f, "#{number}"),
    }
}

/// Arm ARM, PRFM.
fn prefetch(f: &mut fmt::Formatter<'_>, number: i64) -> fmt::Result {
    let kind = match number >> 3 {
        0 => "pld",
        1 => "pli",
        2 => "pst",
        _ => return write!(f, "#{number}"),
    };
    let target = match number >> 1 & 3 {
        0 => "l1",
        1 => "l2",
        2 => "l3",
        _ => "slc",
    };
    let policy = if number & 1 == 0 { "keep" } else { "strm" };
    write!(f, "{kind}{target}{policy}")
}
