//! Any word to its instruction: name, group and fields, with unallocated words told apart.
//! Arm ARM, "A64 instruction set encoding".
//!
//! The tables are made from `data/a64_insns.tsv`, all variants of the base, Advanced SIMD and floating-point, SVE and
//! SME sets, and from `data/a64_reserved.tsv`, the operands that those rows leave open but the manual reserves. A
//! word is looked up in a tree whose leaves list at most a few rows; of several that match, the most specific wins.
//!
//! Register numbers whose use together is CONSTRAINED UNPREDICTABLE do not make a word unallocated. Nor do should-be
//! bits: [`Instruction::is_as_should_be`]. Nor is it told which feature an instruction belongs to.
//!
//! ```
//! use arm_arch::a64::decode::decode;
//!
//! let ldr = decode(0xf940_0441).unwrap(); // ldr x1, [x2, #8]
//! assert_eq!((ldr.mnemonic(), ldr.name(), ldr.class()), ("LDR", "LDR_64_ldst_pos", "ldst_pos"));
//! assert_eq!((ldr.field("Rt"), ldr.field("Rn"), ldr.field("imm12")), (Some(1), Some(2), Some(1)));
//! assert!(decode(0x8bec_6ea7).is_none()); // add with a rotated register
//! ```
//!
//! With the feature `a64-text` an [`Instruction`] has `Display`, which writes it as an assembler takes it: preferred forms
//! where immediates decide (`lsl`, `mov`, `dc`), other mnemonics without aliases, branches and literals by distance. Where
//! no syntax is known, mnemonic and fields are written; `Instruction::has_syntax` tells.

mod lists;
mod rows;
#[cfg(feature = "a64-text")]
mod syntax;
#[cfg(feature = "a64-text")]
mod text;
mod tree;

use crate::bits;
use core::fmt;
use core::num::NonZeroU16;

/// One variant.
#[derive(PartialEq, Eq, Debug)]
struct Row {
    /// Bits that select it, and their values.
    mask: u32,
    value: u32,
    /// Those of them that need not match.
    should_be: u32,
    name: &'static str,
    /// Numbers in `lists`.
    group: u16,
    fields: u16,
}

const fn row(mask: u32, value: u32, should_be: u32, name: &'static str, group: u16, fields: u16) -> Row {
    Row { mask, value, should_be, name, group, fields }
}

/// What a field holds, as far as its name in `data/a64_insns.tsv` tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FieldKind {
    /// Number of a general-purpose or, in the groups of `simd_dp`, a SIMD register.
    Register,
    /// Number of a SIMD register.
    Vector,
    /// Number of a scalable vector or tile.
    Scalable,
    /// Number of a predicate.
    Predicate,
    /// A number, or part of one.
    Immediate,
    /// A condition, or flags.
    Condition,
    /// Width of operands or elements.
    Size,
    /// Anything else.
    Other,
}

/// A named range of bits of an instruction word, as `data/a64_insns.tsv` has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Field {
    /// As the manual names it.
    pub name: &'static str,
    /// Highest bit.
    pub high: u8,
    /// Lowest bit.
    pub low: u8,
    /// What it holds.
    pub kind: FieldKind,
}

const fn field(name: &'static str, high: u8, low: u8, kind: FieldKind) -> Field {
    Field { name, high, low, kind }
}

impl Field {
    /// Returns the field's value in a word.
    #[must_use]
    pub fn of(&self, word: u32) -> u32 {
        let above = 31u32.saturating_sub(self.high.into());
        word.wrapping_shl(above).wrapping_shr(above.wrapping_add(self.low.into()))
    }
}

/// An allocated instruction. Arm ARM, "A64 instruction set encoding"; `data/a64_insns.tsv`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    word: u32,
    /// The row, as the tree has it: group and number in the group.
    entry: NonZeroU16,
}

/// Returns the instruction a word is, or `None` if it is unallocated.
/// Arm ARM, "A64 instruction set encoding"; `data/a64_insns.tsv`, `data/a64_reserved.tsv`.
#[must_use]
#[inline]
pub fn decode(word: u32) -> Option<Instruction> {
    const ANSWER: u16 = 0x8000;
    const SEARCH: u16 = 0x4000;
    let mut node = below(*tree::ROOT.get(index(word >> 21))?, word)?;
    let answer = loop {
        if node >= ANSWER {
            break node;
        }
        if node >= SEARCH {
            break search(node ^ SEARCH, word)?;
        }
        // 0 leads nowhere.
        node = below(*tree::BRANCHES.get(usize::from(node).wrapping_sub(1))?, word)?;
    };
    Some(Instruction { word, entry: NonZeroU16::new(answer)? })
}

/// Returns the node that a branch leads a word to.
#[inline]
fn below(branch: u64, word: u32) -> Option<u16> {
    // Shifts look at five bits of the distance only.
    let selected = word.wrapping_shr(bits::trunc32(branch)) & bits::trunc32(branch >> 48);
    let base = bits::trunc32(branch) >> 8;
    tree::NODES.get(index(base.wrapping_add(selected))).copied()
}

/// Returns the answer of the first pattern that matches.
#[inline]
fn search(start: u16, word: u32) -> Option<u16> {
    let patterns = tree::PATTERNS.get(usize::from(start)..)?;
    patterns.iter().find(|&&(mask, value, _)| word & mask == value).map(|&(_, _, answer)| answer)
}

/// Widens an index; a value that does not fit an address finds no entry.
fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Splits a text at the first place of an ASCII character, as `split_once` does, but without its panics.
fn cut(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == mark)?;
    Some((text.get(..at)?, text.get(at.wrapping_add(1)..)?))
}

impl Instruction {
    /// Returns the row's group, and its number there.
    fn place(&self) -> (usize, u16) {
        let entry = self.entry.get();
        (usize::from(entry >> 11 & 7), entry & 0x7ff)
    }

    fn row(&self) -> &'static Row {
        // Every answer of the tree is the place of a row.
        const NONE: Row = row(0, 0, 0, "", 0, 0);
        let (group, number) = self.place();
        rows::GROUPS.get(group).and_then(|rows| rows.get(usize::from(number))).unwrap_or(&NONE)
    }

    /// Returns the word.
    #[must_use]
    pub const fn word(&self) -> u32 {
        self.word
    }

    /// Returns the variant's name, as `LDR_64_ldst_pos`. `data/a64_insns.tsv`, name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row().name
    }

    /// Returns the part of the name before the first underscore: the mnemonic, without aliases.
    /// `data/a64_insns.tsv`, name.
    #[must_use]
    pub fn mnemonic(&self) -> &'static str {
        cut(self.name(), b'_').map_or(self.name(), |(before, _)| before)
    }

    /// Returns the path in the manual's decode tree, as `ldst/ldst_pos`. `data/a64_insns.tsv`, group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        lists::GROUPS.get(usize::from(self.row().group)).copied().unwrap_or_default()
    }

    /// Returns the last part of the group, as `ldst_pos`. `data/a64_insns.tsv`, group.
    #[must_use]
    pub fn class(&self) -> &'static str {
        let group = self.group();
        let start = group.bytes().rposition(|byte| byte == b'/').map_or(0, |at| at.wrapping_add(1));
        group.get(start..).unwrap_or_default()
    }

    /// Returns the fields, most significant first, each with its value. `data/a64_insns.tsv`, fields.
    pub fn fields(&self) -> impl Iterator<Item = (&'static Field, u32)> + Clone + use<> {
        let word = self.word;
        let list = lists::LISTS.get(usize::from(self.row().fields)).copied().unwrap_or_default();
        list.iter()
            .filter_map(|&number| lists::FIELDS.get(usize::from(number)))
            .map(move |field| (field, field.of(word)))
    }

    /// Returns the value of the field of this name, as the manual spells it; `None` if the variant has none.
    /// `data/a64_insns.tsv`, fields.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<u32> {
        self.fields().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// Is false if should-be-zero or should-be-one bits have the other value: CONSTRAINED UNPREDICTABLE.
    /// Arm ARM, glossary, "should-be".
    #[must_use]
    pub fn is_as_should_be(&self) -> bool {
        let row = self.row();
        (self.word ^ row.value) & row.should_be == 0
    }
}

impl fmt::Debug for Instruction {
    /// Name and fields, as `LDR_64_ldst_pos imm12=1 Rn=2 Rt=1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.fields().try_for_each(|(field, value)| write!(f, " {}={value}", field.name))
    }
}
