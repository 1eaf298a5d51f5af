//! Arm ARM, "Data Processing -- Immediate".

use super::{Decoder, Go, destination, with_sp};
use crate::block::{Code, Operation};
use crate::memory::Word;
use crate::state::{SP, ZERO};

impl Decoder<'_, '_> {
    /// "Data Processing -- Immediate".
    pub(super) fn immediate(&mut self, w: Word) -> Go {
        match w.field(25, 23) {
            0b000 | 0b001 => self.pc_relative(w),
            0b010 => self.add_immediate(w),
            0b100 => self.logical_immediate(w),
            0b101 => self.move_wide(w),
            0b110 => self.bitfield(w),
            0b111 => self.extract(w),
            _ => self.undefined(w),
        }
    }

    fn pc_relative(&mut self, w: Word) -> Go {
        let imm = w.signed(23, 5) << 2 | u64::from(w.field(30, 29));
        let value =
            if w.bit(31) { (self.pc & !0xfff).wrapping_add(imm << 12) } else { self.pc.wrapping_add(imm) };
        self.simple(Code::MovI, destination(w.rt()), ZERO, value)
    }

    fn add_immediate(&mut self, w: Word) -> Go {
        let imm = u64::from(w.field(21, 10)) << if w.bit(22) { 12 } else { 0 };
        let n = with_sp(w.rn());
        let (wide, subtract) = (w.bit(31), w.bit(30));
        if w.bit(29) {
            // Adding k sets the flags as subtracting -k does, unless k is 0.
            let (code, imm) = match (subtract || imm != 0, wide) {
                (false, false) => (Code::AddsI32, 0),
                (false, true) => (Code::AddsI64, 0),
                (true, false) => (Code::SubsI32, imm),
                (true, true) => (Code::SubsI64, imm),
            };
            let imm = if subtract { imm } else { imm.wrapping_neg() };
            return self.simple(code, destination(w.rt()), n, imm);
        }
        let d = with_sp(w.rt());
        let addend = if subtract { imm.wrapping_neg() } else { imm };
        if d == SP && (n != SP || imm & 15 != 0 || !wide) {
            self.sp_is_written();
        }
        if imm == 0 {
            return self.simple(if wide { Code::Mov64 } else { Code::Mov32 }, d, n, 0);
        }
        if let Some(last) = self.last() {
            // ADRP and ADD.
            if wide && last.code == Code::MovI && last.a == n && d == n && n != SP {
                self.join(Operation { imm: last.imm.wrapping_add(addend), ..last });
                return Go::On;
            }
        }
        self.simple(if wide { Code::AddI64 } else { Code::AddI32 }, d, n, addend)
    }

    fn logical_immediate(&mut self, w: Word) -> Go {
        let wide = w.bit(31);
        let Some(imm) = bit_mask(w.bit(22), w.field(15, 10), w.field(21, 16), wide) else {
            return self.undefined(w);
        };
        let n = w.rn() as u8;
        let opc = w.field(30, 29);
        if opc == 3 {
            return self.simple(
                if wide { Code::AndsI64 } else { Code::AndsI32 },
                destination(w.rt()),
                n,
                imm,
            );
        }
        let d = with_sp(w.rt());
        if d == SP {
            self.sp_is_written();
        }
        let code = match (opc, wide) {
            (0, _) => Code::AndI,
            (1, _) if n == ZERO => return self.simple(Code::MovI, d, ZERO, imm),
            (1, true) => Code::OrrI64,
            (1, false) => Code::OrrI32,
            (_, true) => Code::EorI64,
            (_, false) => Code::EorI32,
        };
        self.simple(code, d, n, imm)
    }

    fn move_wide(&mut self, w: Word) -> Go {
        let (wide, hw) = (w.bit(31), w.field(22, 21));
        if w.field(30, 29) == 1 || !wide && hw >= 2 {
            return self.undefined(w);
        }
        let shift = 16 * hw;
        let imm = u64::from(w.field(20, 5)) << shift;
        let d = destination(w.rt());
        let keep = if wide { u64::MAX } else { 0xffff_ffff };
        match w.field(30, 29) {
            0 => self.simple(Code::MovI, d, ZERO, !imm & keep),
            2 => self.simple(Code::MovI, d, ZERO, imm),
            _ => {
                if let Some(last) = self.last() {
                    if last.code == Code::MovI && last.a == d {
                        let value = last.imm & !(0xffff << shift) | imm;
                        self.join(Operation { imm: value & keep, ..last });
                        return Go::On;
                    }
                }
                let code = if wide { Code::Movk64 } else { Code::Movk32 };
                self.emit(Operation {
                    code,
                    a: d,
                    b: w.rt() as u8,
                    d: shift as u8,
                    imm,
                    ..Operation::default()
                });
                Go::On
            }
        }
    }

    fn bitfield(&mut self, w: Word) -> Go {
        let wide = w.bit(31);
        let (r, s) = (w.field(21, 16), w.field(15, 10));
        if w.field(30, 29) == 3 || wide != w.bit(22) || !wide && (r | s) >= 32 {
            return self.undefined(w);
        }
        let (d, n) = (destination(w.rt()), w.rn() as u8);
        let size = if wide { 64 } else { 32 };
        // The field: `width` bits from `from` of the source to `to` of the destination.
        let (width, from, to) = if s >= r { (s - r + 1, r, 0) } else { (s + 1, 0, size - r) };
        let ones = u64::MAX >> (64 - width);
        match w.field(30, 29) {
            0 if wide && r == 0 && s == 31 => self.three(Code::Sxtw, d, n, 0, 0),
            0 => {
                let code = if wide { Code::Sbf64 } else { Code::Sbf32 };
                self.three(code, d, n, (64 - from - width) as u8, (64 - width - to) as u8)
            }
            1 => {
                let code = if wide { Code::Bfm64 } else { Code::Bfm32 };
                let rotate = (64 + from - to) & 63;
                // The old value is read from where it is kept; nothing is kept of ZR.
                self.emit(Operation {
                    code,
                    a: d,
                    b: n,
                    d: rotate as u8,
                    imm: ones << to,
                    ..Operation::default()
                });
                Go::On
            }
            _ if s >= r => {
                self.emit(Operation {
                    code: Code::Ubfx,
                    a: d,
                    b: n,
                    d: from as u8,
                    imm: ones,
                    ..Operation::default()
                });
                Go::On
            }
            _ => {
                self.emit(Operation {
                    code: Code::Ubfiz,
                    a: d,
                    b: n,
                    d: to as u8,
                    imm: ones,
                    ..Operation::default()
                });
                Go::On
            }
        }
    }

    fn extract(&mut self, w: Word) -> Go {
        let (wide, s) = (w.bit(31), w.field(15, 10));
        if w.field(30, 29) != 0 || w.bit(21) || wide != w.bit(22) || !wide && s >= 32 {
            return self.undefined(w);
        }
        let code = match (w.rn() == w.rm(), wide) {
            (true, true) => Code::Ror64,
            (true, false) => Code::Ror32,
            (false, true) => Code::Extr64,
            (false, false) => Code::Extr32,
        };
        self.three(code, destination(w.rt()), w.rn() as u8, w.rm() as u8, s as u8)
    }
}

/// Returns the mask of a logical immediate; `None` where it is reserved. Arm ARM, DecodeBitMasks.
pub(crate) fn bit_mask(n: bool, imms: u32, immr: u32, wide: bool) -> Option<u64> {
    let combined = u32::from(n) << 6 | !imms & 63;
    let length = combined.checked_ilog2()?;
    if length == 0 || n && !wide {
        return None;
    }
    let size = 1_u32 << length;
    let levels = size - 1;
    let (s, r) = (imms & levels, immr & levels);
    if s == levels {
        return None;
    }
    let ones = u64::MAX >> (63 - s);
    let element = if r == 0 {
        ones
    } else {
        let keep = u64::MAX >> (64 - size);
        (ones >> r | ones << (size - r)) & keep
    };
    let mut mask = element;
    let mut width = size;
    while width < 64 {
        mask |= mask << width;
        width *= 2;
    }
    Some(if wide { mask } else { mask & 0xffff_ffff })
}

#[cfg(test)]
mod tests {
    use super::bit_mask;

    #[test]
    fn logical_immediates_are_rotated_runs_of_ones() {
        // N, imms, immr, 64-bit; the mask as assemblers write it.
        const CASES: &[(bool, u32, u32, bool, Option<u64>)] = &[
            (true, 0b00_0000, 0, true, Some(1)),
            (true, 0b00_0111, 0, true, Some(0xff)),
            (true, 0b00_0111, 8, true, Some(0xff00_0000_0000_0000)),
            (true, 0b11_1110, 63, true, Some(0xffff_ffff_ffff_fffe)),
            (false, 0b11_1100, 0, true, Some(0x5555_5555_5555_5555)),
            (false, 0b11_1100, 1, true, Some(0xaaaa_aaaa_aaaa_aaaa)),
            (false, 0b11_0000, 0, true, Some(0x0101_0101_0101_0101)),
            (false, 0b10_0111, 4, true, Some(0xf00f_f00f_f00f_f00f)),
            (false, 0b01_1110, 0, false, Some(0x7fff_ffff)),
            (false, 0b00_0000, 1, false, Some(0x8000_0000)),
            (true, 0b11_1111, 0, true, None),
            (false, 0b01_1111, 0, true, None),
            (false, 0b11_1111, 0, true, None),
            (false, 0b11_1101, 0, true, None),
            (true, 0b00_0000, 0, false, None),
        ];
        for (n, imms, immr, wide, want) in CASES {
            assert_eq!(bit_mask(*n, *imms, *immr, *wide), *want, "{n} {imms:#08b} {immr} {wide}");
        }
    }
}
