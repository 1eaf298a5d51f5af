//! The address of a load or store, from its encoding: which registers make it, and how much it touches.

use super::table::Row;

/// How the address is made. Arm ARM, "Load/Store addressing modes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// Base plus this.
    Immediate(i64),
    /// Base plus an extended and shifted register.
    Register {
        /// Rm.
        rm: u32,
        /// `option`, \[15:13\].
        option: u32,
        /// Left shift.
        shift: u32,
    },
}

/// One access form.
#[derive(Clone, Copy, Debug)]
pub struct MemoryForm {
    /// Base register; 31 is the stack pointer.
    pub rn: u32,
    /// What is added to it.
    pub offset: Offset,
    /// Bytes touched.
    pub bytes: u64,
    /// Natural alignment of the access.
    pub alignment: u64,
    /// The access makes several single-copy atomic accesses, which may be done when one of them faults.
    pub several: bool,
}

fn signed(value: u32, bits: u32) -> i64 {
    i64::from((value << (32 - bits)) as i32 >> (32 - bits))
}

/// Returns the form of a word of the load and store groups, other than literals.
#[must_use]
pub fn of(word: u32, row: &Row) -> Option<MemoryForm> {
    let size = word >> 30;
    let vector = word >> 26 & 1;
    let opc = word >> 22 & 3;
    let rn = word >> 5 & 31;
    let scale = if vector == 1 { (opc >> 1) << 2 | size } else { size };
    let single = |offset, scale: u32| MemoryForm {
        rn,
        offset,
        bytes: 1 << scale,
        alignment: 1 << scale,
        several: false,
    };
    let several =
        |offset, bytes: u64, alignment: u64| MemoryForm { rn, offset, bytes, alignment, several: true };
    let imm9 = signed(word >> 12 & 0x1ff, 9);
    let form = match row.class() {
        "ldst_pos" => single(Offset::Immediate(i64::from(word >> 10 & 0xfff) << scale), scale),
        "ldst_unscaled" | "ldst_immpre" | "ldst_unpriv" => single(Offset::Immediate(imm9), scale),
        "ldst_immpost" => single(Offset::Immediate(0), scale),
        "ldst_regoff" => {
            let shift = if word >> 12 & 1 == 1 { scale } else { 0 };
            single(Offset::Register { rm: word >> 16 & 31, option: word >> 13 & 7, shift }, scale)
        }
        "ldstexclr" | "ldstord" | "comswap" | "memop" => single(Offset::Immediate(0), size),
        "ldstexclp" | "comswappr" => single(Offset::Immediate(0), 3 + (word >> 30 & 1)),
        "ldstpair_off" | "ldstpair_pre" | "ldstnapair_offs" | "ldstpair_post" => {
            let scale = if vector == 1 { 2 + size } else { 2 + (size >> 1) };
            let imm7 = signed(word >> 15 & 0x7f, 7) << scale;
            let offset = if row.class() == "ldstpair_post" { 0 } else { imm7 };
            several(Offset::Immediate(offset), 2 << scale, 1 << scale)
        }
        "asisdlse" | "asisdlsep" => {
            let registers = match word >> 12 & 15 {
                0 | 2 => 4,
                4 | 6 => 3,
                8 | 10 => 2,
                _ => 1,
            };
            several(
                Offset::Immediate(0),
                registers * if word >> 30 & 1 == 1 { 16 } else { 8 },
                1 << (word >> 10 & 3),
            )
        }
        "asisdlso" | "asisdlsop" => {
            let registers = u64::from((word >> 13 & 1) << 1 | word >> 21 & 1) + 1;
            let element: u64 = match word >> 14 & 3 {
                0 => 1,
                1 => 2,
                2 => 4 << (word >> 10 & 1),
                _ => 1 << (word >> 10 & 3),
            };
            several(Offset::Immediate(0), registers * element, element)
        }
        _ => return None,
    };
    Some(form)
}

/// Returns what `option` and `shift` make of a register's value.
#[must_use]
pub fn extend(value: u64, option: u32, shift: u32) -> u64 {
    let extended = match option {
        2 => value & 0xffff_ffff,
        6 => value as u32 as i32 as i64 as u64,
        _ => value,
    };
    extended << shift
}

#[cfg(test)]
mod tests {
    use super::{Offset, of};
    use crate::insn::table::Table;

    /// Words as GNU as assembles them.
    #[test]
    fn offsets_and_sizes_are_what_the_assembler_wrote() {
        const CASES: &[(u32, i64, u64)] = &[
            (0xF940_0460, 8, 8),    // ldr x0, [x3, #8]
            (0x3D80_0460, 16, 16),  // str q0, [x3, #16]
            (0xF85F_8C60, -8, 8),   // ldr x0, [x3, #-8]!
            (0xF85F_8460, 0, 8),    // ldr x0, [x3], #-8
            (0xA97F_0460, -16, 16), // ldp x0, x1, [x3, #-16]
            (0xAD7F_0460, -32, 32), // ldp q0, q1, [x3, #-32]
            (0x6940_0460, 0, 8),    // ldpsw x0, x1, [x3]
            (0x4C40_0060, 0, 64),   // ld4 {v0.16b - v3.16b}, [x3]
            (0x0D40_8460, 0, 8),    // ld1 {v0.d}[0], [x3]
            (0x4D60_E860, 0, 16),   // ld4r {v0.4s - v3.4s}, [x3]
            (0xC87F_0460, 0, 16),   // ldxp x0, x1, [x3]
            (0x0860_7C62, 0, 8),    // casp w0, w1, w2, w3, [x3]
        ];
        for &(word, offset, bytes) in CASES {
            let form = of(word, Table::shared().decode(word).unwrap()).unwrap();
            assert_eq!((form.offset, form.bytes), (Offset::Immediate(offset), bytes), "{word:#010x}");
            assert_eq!(form.rn, 3, "{word:#010x}");
        }
    }
}
