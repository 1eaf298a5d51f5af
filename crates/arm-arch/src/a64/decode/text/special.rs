//! Instructions whose text depends on more than a template can say: preferred forms that the values of immediates
//! decide (LLVM writes them even where it is told to write no aliases), and names of system registers.

use super::super::syntax::names;
use super::{bitmask, register};
use core::fmt::{self, Write as _};

/// Writes what `{!name}` stands for.
pub(super) fn write(f: &mut fmt::Formatter<'_>, name: &str, word: u32) -> fmt::Result {
    match name {
        "bitfield" => bitfield(f, word),
        "move" => wide_move(f, word),
        "orr" => or_immediate(f, word),
        "extended" => extended(f, word),
        "system" => system_register(f, word),
        "sys" => system_instruction(f, word),
        "sysp" => system_pair(f, word),
        "pstate" => pstate(f, word),
        "rprfm" => range_prefetch(f, word),
        "tiles" => tiles(f, word),
        _ => Ok(()),
    }
}

/// Bits \[low + width - 1:low\].
fn bits_at(word: u32, low: u32, width: u32) -> u32 {
    word.wrapping_shr(low) & !u32::MAX.wrapping_shl(width)
}

fn is_64(word: u32) -> bool {
    word >> 31 != 0
}

/// The general-purpose register at `low`, of the width that sf says.
fn operand(f: &mut fmt::Formatter<'_>, word: u32, low: u32) -> fmt::Result {
    let kind = if is_64(word) { 'x' } else { 'w' };
    register(f, kind, bits_at(word, low, 5).into())
}

/// Arm ARM, SBFM, BFM, UBFM: each has a preferred form.
fn bitfield(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let (immr, imms) = (bits_at(word, 16, 6), bits_at(word, 10, 6));
    let size = if is_64(word) { 64u32 } else { 32 };
    let top = size.wrapping_sub(1);
    // Where a field goes to, if it is not moved to bit 0.
    let place = size.wrapping_sub(immr) & top;
    let (above, below) = (imms.wrapping_add(1), imms.wrapping_sub(immr).wrapping_add(1));
    let kind = bits_at(word, 29, 2);
    if kind == 1 {
        if bits_at(word, 5, 5) == 31 && imms < immr {
            f.write_str("bfc ")?;
            operand(f, word, 0)?;
            return write!(f, ", #{place}, #{above}");
        }
        f.write_str(if imms < immr { "bfi " } else { "bfxil " })?;
        operand(f, word, 0)?;
        f.write_str(", ")?;
        operand(f, word, 5)?;
        let (low, width) = if imms < immr { (place, above) } else { (immr, below) };
        return write!(f, ", #{low}, #{width}");
    }
    let signed = kind == 0;
    let extension = match (immr, imms, signed, is_64(word)) {
        (0, 7, true, _) => Some("sxtb"),
        (0, 15, true, _) => Some("sxth"),
        (0, 31, true, true) => Some("sxtw"),
        (0, 7, false, false) => Some("uxtb"),
        (0, 15, false, false) => Some("uxth"),
        _ => None,
    };
    if let Some(extension) = extension {
        write!(f, "{extension} ")?;
        operand(f, word, 0)?;
        f.write_str(", ")?;
        return register(f, 'w', bits_at(word, 5, 5).into());
    }
    let (name, first, second) = if imms == top {
        (if signed { "asr" } else { "lsr" }, immr, None)
    } else if !signed && above == immr {
        ("lsl", top.wrapping_sub(imms), None)
    } else if immr > imms {
        (if signed { "sbfiz" } else { "ubfiz" }, place, Some(above))
    } else {
        (if signed { "sbfx" } else { "ubfx" }, immr, Some(below))
    };
    write!(f, "{name} ")?;
    operand(f, word, 0)?;
    f.write_str(", ")?;
    operand(f, word, 5)?;
    write!(f, ", #{first}")?;
    second.map_or(Ok(()), |width| write!(f, ", #{width}"))
}

/// Writes a value as a signed number of the width that sf says.
fn signed_value(f: &mut fmt::Formatter<'_>, word: u32, value: u64) -> fmt::Result {
    if is_64(word) {
        write!(f, "#{}", crate::bits::signed(value))
    } else {
        write!(f, "#{}", crate::bits::signed32(crate::bits::trunc32(value)))
    }
}

/// MOVZ or MOVN can make the value: it is in one halfword.
fn is_halfword(value: u64) -> bool {
    (0..4u32).any(|half| value & !0xffffu64.wrapping_shl(half.wrapping_mul(16)) == 0)
}

/// Arm ARM, MOVZ and MOVN: preferred as MOV, unless a shorter or another form makes the same value.
fn wide_move(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let zeroing = word & 1 << 30 != 0;
    let (imm16, shift) = (u64::from(bits_at(word, 5, 16)), bits_at(word, 21, 2).wrapping_mul(16));
    let width = if is_64(word) { u64::MAX } else { 0xffff_ffff };
    let halfword = imm16.wrapping_shl(shift);
    let value = if zeroing { halfword } else { !halfword & width };
    let preferred = (imm16 != 0 || shift == 0) && (zeroing || !is_halfword(value));
    if preferred {
        f.write_str("mov ")?;
        operand(f, word, 0)?;
        f.write_str(", ")?;
        return signed_value(f, word, value);
    }
    f.write_str(if zeroing { "movz " } else { "movn " })?;
    operand(f, word, 0)?;
    write!(f, ", #{imm16}")?;
    if shift == 0 { Ok(()) } else { write!(f, ", lsl #{shift}") }
}

/// Arm ARM, ORR (immediate): preferred as MOV from the zero register, unless MOVZ or MOVN make the same value.
fn or_immediate(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let (kind, value) = if is_64(word) { ('X', bitmask("64", word)) } else { ('W', bitmask("32", word)) };
    let width = if is_64(word) { u64::MAX } else { 0xffff_ffff };
    let zero = bits_at(word, 5, 5) == 31;
    let moved = zero && !is_halfword(value) && !is_halfword(!value & width);
    f.write_str(if moved { "mov " } else { "orr " })?;
    register(f, kind, bits_at(word, 0, 5).into())?;
    f.write_str(", ")?;
    if moved {
        return signed_value(f, word, value);
    }
    operand(f, word, 5)?;
    write!(f, ", #{value:#x}")
}

/// The third operand of ADD and SUB (extended register), with what is before it.
fn extended(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let (option, amount) = (bits_at(word, 13, 3), bits_at(word, 10, 3));
    f.write_str(", ")?;
    let kind = if is_64(word) && option & 3 == 3 { 'x' } else { 'w' };
    register(f, kind, bits_at(word, 16, 5).into())?;
    // With the stack pointer the extension that changes nothing is a shift, which may be left out.
    let sets_flags = word & 1 << 29 != 0;
    let stack = bits_at(word, 5, 5) == 31 || (!sets_flags && bits_at(word, 0, 5) == 31);
    let plain = if is_64(word) { 3 } else { 2 };
    if stack && option == plain {
        return if amount == 0 { Ok(()) } else { write!(f, ", lsl #{amount}") };
    }
    const NAMES: [&str; 8] = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"];
    write!(f, ", {}", NAMES.get(super::super::index(option)).copied().unwrap_or_default())?;
    if amount == 0 { Ok(()) } else { write!(f, " #{amount}") }
}

/// The register of MRS, MSR, MRRS and MSRR: its name for this direction, or its encoding.
fn system_register(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let encoding = bits_at(word, 5, 15) | 0x8000;
    let reads = word & 1 << 21 != 0;
    let start = names::REGISTERS.partition_point(|&(other, ..)| u32::from(other) < encoding);
    let known = names::REGISTERS.get(start..).unwrap_or_default().iter();
    let mut known = known.take_while(|&&(other, ..)| u32::from(other) == encoding);
    match known.find(|&&(_, read, write, _)| if reads { read } else { write }) {
        Some((.., name)) => f.write_str(name),
        None => generic_register(f, word),
    }
}

fn generic_register(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let [op0, op1, n, m, op2] =
        [(19, 2), (16, 3), (12, 4), (8, 4), (5, 3)].map(|(low, width)| bits_at(word, low, width));
    write!(f, "S{op0}_{op1}_C{n}_C{m}_{op2}")
}

/// Returns whether a SYS instruction takes a register, and its name.
fn alias(word: u32) -> Option<(bool, &'static str)> {
    let encoding = bits_at(word, 5, 14);
    let at = names::INSTRUCTIONS.binary_search_by_key(&encoding, |&(other, ..)| other.into()).ok()?;
    names::INSTRUCTIONS.get(at).map(|&(_, operand, name)| (operand, name))
}

/// Arm ARM, SYS: preferred as AT, DC, IC, TLBI and others.
fn system_instruction(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let rt = bits_at(word, 0, 5);
    let alias = alias(word);
    match alias {
        Some((_, name)) => f.write_str(name)?,
        None => generic_instruction(f, "sys", word)?,
    }
    if rt == 31 && alias.is_some_and(|(needs, _)| !needs) {
        return Ok(());
    }
    // After an operation, a comma; after a mnemonic alone, none.
    f.write_str(if alias.is_some_and(|(_, name)| !name.bytes().any(|byte| byte == b' ')) {
        " "
    } else {
        ", "
    })?;
    register(f, 'x', rt.into())
}

/// Arm ARM, SYSP.
fn system_pair(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let rt = bits_at(word, 0, 5);
    // Invalidations by address have the operation's name.
    let by_address =
        |name: &&str| ["va", "rva", "ipas2", "ripas2"].iter().any(|start| name.starts_with(start));
    match alias(word).and_then(|(_, name)| name.strip_prefix("tlbi ")).filter(by_address) {
        Some(operation) => write!(f, "tlbip {operation}")?,
        None => generic_instruction(f, "sysp", word)?,
    }
    let second = if rt == 31 { 31 } else { rt.wrapping_add(1) };
    f.write_str(", ")?;
    register(f, 'x', rt.into())?;
    f.write_str(", ")?;
    register(f, 'x', second.into())
}

fn generic_instruction(f: &mut fmt::Formatter<'_>, name: &str, word: u32) -> fmt::Result {
    let [op1, n, m, op2] = [(16, 3), (12, 4), (8, 4), (5, 3)].map(|(low, width)| bits_at(word, low, width));
    write!(f, "{name} #{op1}, c{n}, c{m}, #{op2}")
}

/// Arm ARM, MSR (immediate).
fn pstate(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let immediate = bits_at(word, 8, 4);
    let (name, immediate) = match (bits_at(word, 16, 3), bits_at(word, 5, 3), immediate) {
        // Allocated with an immediate of 0, and meant to be written so.
        (0, 0, _) => return f.write_str("cfinv"),
        (0, 1, _) => return f.write_str("xaflag"),
        (0, 2, _) => return f.write_str("axflag"),
        (0, 3, _) => ("UAO", immediate),
        (0, 4, _) => ("PAN", immediate),
        (0, 5, _) => ("SPSel", immediate),
        (1, 0, 0 | 1) => ("ALLINT", immediate),
        (1, 0, 2 | 3) => ("PM", immediate & 1),
        (3, 1, _) => ("SSBS", immediate),
        (3, 2, _) => ("DIT", immediate),
        (3, 3, 2 | 3) => ("SVCRSM", immediate & 1),
        (3, 3, 4 | 5) => ("SVCRZA", immediate & 1),
        (3, 3, 6 | 7) => ("SVCRSMZA", immediate & 1),
        (3, 4, _) => ("TCO", immediate),
        (3, 6, _) => ("DAIFSet", immediate),
        (3, 7, _) => ("DAIFClr", immediate),
        _ => {
            f.write_str("msr ")?;
            generic_register(f, word)?;
            return f.write_str(", xzr");
        }
    };
    write!(f, "msr {name}, #{immediate}")
}

/// Arm ARM, RPRFM.
fn range_prefetch(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    let operation = bits_at(word, 15, 1) << 5
        | bits_at(word, 13, 1) << 4
        | bits_at(word, 12, 1) << 3
        | bits_at(word, 0, 3);
    f.write_str("rprfm ")?;
    match operation {
        0 => f.write_str("pldkeep")?,
        1 => f.write_str("pstkeep")?,
        4 => f.write_str("pldstrm")?,
        5 => f.write_str("pststrm")?,
        _ => write!(f, "#{operation}")?,
    }
    f.write_str(", ")?;
    register(f, 'x', bits_at(word, 16, 5).into())?;
    f.write_str(", [")?;
    register(f, 'X', bits_at(word, 5, 5).into())?;
    f.write_char(']')
}

/// The 64-bit tiles of a mask, one bit each.
fn tiles(f: &mut fmt::Formatter<'_>, word: u32) -> fmt::Result {
    f.write_char('{')?;
    let mut separator = "";
    for tile in (0..8u32).filter(|&tile| bits_at(word, tile, 1) != 0) {
        write!(f, "{separator}za{tile}.d")?;
        separator = ", ";
    }
    f.write_char('}')
}
