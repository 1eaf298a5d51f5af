//! Arm ARM, "Data Processing -- Register".

use super::{Decoder, Go, TEMPORARY, destination, with_sp};
use crate::block::{Code, Operation};
use crate::memory::Word;
use crate::state::{SP, ZERO};

impl Decoder<'_, '_> {
    /// "Data Processing -- Register".
    pub(super) fn register(&mut self, w: Word) -> Go {
        match (w.bit(28), w.field(24, 21)) {
            (false, op) if op & 0b1000 == 0 => self.logical_shifted(w),
            (false, op) if op & 1 == 0 => self.add_shifted(w),
            (false, _) => self.add_extended(w),
            (true, 0b0000) => self.carry_or_flags(w),
            (true, 0b0010) => self.conditional_compare(w),
            (true, 0b0100) => self.conditional_select(w),
            (true, 0b0110) if w.bit(30) => self.one_source(w),
            (true, 0b0110) => self.two_source(w),
            (true, op) if op & 0b1000 != 0 => self.three_source(w),
            _ => self.undefined(w),
        }
    }

    /// Emits what puts a shifted register into the temporary slot; returns the slot to use.
    fn shifted(&mut self, m: u8, kind: u32, amount: u32, wide: bool) -> u8 {
        if amount == 0 {
            return m;
        }
        let size = if wide { 64 } else { 32 };
        let ones = u64::MAX >> (64 - size + amount);
        let op = match kind {
            0 => Operation { code: Code::Ubfiz, d: amount as u8, imm: ones, ..Operation::default() },
            1 => Operation { code: Code::Ubfx, d: amount as u8, imm: ones, ..Operation::default() },
            2 => {
                let code = if wide { Code::Sbf64 } else { Code::Sbf32 };
                let up = 64 - size;
                Operation { code, c: up as u8, d: (up + amount) as u8, ..Operation::default() }
            }
            _ => {
                let code = if wide { Code::Ror64 } else { Code::Ror32 };
                Operation { code, d: amount as u8, ..Operation::default() }
            }
        };
        self.emit(Operation { a: TEMPORARY, b: m, ..op });
        TEMPORARY
    }

    fn logical_shifted(&mut self, w: Word) -> Go {
        let (wide, kind, amount) = (w.bit(31), w.field(23, 22), w.field(15, 10));
        if !wide && amount >= 32 {
            return self.undefined(w);
        }
        let (opc, invert) = (w.field(30, 29), w.bit(21));
        let (d, n, m) = (destination(w.rt()), w.rn() as u8, w.rm() as u8);
        if opc == 1 && !invert && n == ZERO && amount == 0 {
            return self.simple(if wide { Code::Mov64 } else { Code::Mov32 }, d, m, 0);
        }
        if !invert && amount != 0 && opc != 3 {
            use Code::*;
            let code = match (opc, kind, wide) {
                (0, 0, true) => Some(AndLsl64),
                (0, 0, false) => Some(AndLsl32),
                (0, 1, true) => Some(AndLsr64),
                (0, 1, false) => Some(AndLsr32),
                (1, 0, true) => Some(OrrLsl64),
                (1, 0, false) => Some(OrrLsl32),
                (1, 1, true) => Some(OrrLsr64),
                (1, 1, false) => Some(OrrLsr32),
                (2, 0, true) => Some(EorLsl64),
                (2, 0, false) => Some(EorLsl32),
                (2, 1, true) => Some(EorLsr64),
                (2, 1, false) => Some(EorLsr32),
                (2, 3, true) => Some(EorRor64),
                (2, 3, false) => Some(EorRor32),
                _ => None,
            };
            if let Some(code) = code {
                return self.three(code, d, n, m, amount as u8);
            }
        }
        let mut m = self.shifted(m, kind, amount, wide);
        if opc == 3 && invert {
            self.three(Code::OrnR64, TEMPORARY, ZERO, m, 0);
            m = TEMPORARY;
        }
        let code = match (opc, invert, wide) {
            (0, false, true) => Code::AndR64,
            (0, false, false) => Code::AndR32,
            (0, true, true) => Code::BicR64,
            (0, true, false) => Code::BicR32,
            (1, false, true) => Code::OrrR64,
            (1, false, false) => Code::OrrR32,
            (1, true, true) => Code::OrnR64,
            (1, true, false) => Code::OrnR32,
            (2, false, true) => Code::EorR64,
            (2, false, false) => Code::EorR32,
            (2, true, true) => Code::EonR64,
            (2, true, false) => Code::EonR32,
            (_, _, true) => Code::AndsR64,
            (_, _, false) => Code::AndsR32,
        };
        self.three(code, d, n, m, 0)
    }

    fn add_shifted(&mut self, w: Word) -> Go {
        let (wide, kind, amount) = (w.bit(31), w.field(23, 22), w.field(15, 10));
        if kind == 3 || !wide && amount >= 32 {
            return self.undefined(w);
        }
        let (d, n, m) = (destination(w.rt()), w.rn() as u8, w.rm() as u8);
        let (subtract, flags) = (w.bit(30), w.bit(29));
        if amount != 0 && !flags {
            use Code::*;
            let code = match (subtract, kind, wide) {
                (false, 0, true) => Some(AddLsl64),
                (false, 0, false) => Some(AddLsl32),
                (false, 1, true) => Some(AddLsr64),
                (false, 1, false) => Some(AddLsr32),
                (true, 0, true) => Some(SubLsl64),
                (true, 0, false) => Some(SubLsl32),
                (true, 1, true) => Some(SubLsr64),
                (true, 1, false) => Some(SubLsr32),
                _ => None,
            };
            if let Some(code) = code {
                return self.three(code, d, n, m, amount as u8);
            }
        }
        let m = self.shifted(m, kind, amount, wide);
        self.three(add_code(subtract, flags, wide), d, n, m, 0)
    }

    fn add_extended(&mut self, w: Word) -> Go {
        let (wide, option, amount) = (w.bit(31), w.field(15, 13), w.field(12, 10));
        if w.field(23, 22) != 0 || amount > 4 {
            return self.undefined(w);
        }
        let (subtract, flags) = (w.bit(30), w.bit(29));
        let d = if flags { destination(w.rt()) } else { with_sp(w.rt()) };
        let (n, m) = (with_sp(w.rn()), w.rm() as u8);
        if d == SP {
            self.sp_is_written();
        }
        if wide && !subtract && !flags && (option == 2 || option == 6) {
            let code = if option == 2 { Code::AddUxtw } else { Code::AddSxtw };
            return self.three(code, d, n, m, amount as u8);
        }
        // The extended register, shifted. In 32-bit forms only the low half matters.
        let bits = 8 << (option & 3);
        let m = if option & 4 == 0 {
            let imm = u64::MAX >> (64 - bits);
            let op = Operation {
                code: Code::Ubfiz,
                a: TEMPORARY,
                b: m,
                d: amount as u8,
                imm,
                ..Operation::default()
            };
            self.emit(op);
            TEMPORARY
        } else {
            let up = 64 - bits;
            // Sign-extended, then shifted: the first shift is undone but for the amount.
            if up >= amount {
                self.three(Code::Sbf64, TEMPORARY, m, up as u8, (up - amount) as u8);
            } else {
                self.emit(Operation {
                    code: Code::Ubfiz,
                    a: TEMPORARY,
                    b: m,
                    d: amount as u8,
                    imm: u64::MAX,
                    ..Operation::default()
                });
            }
            TEMPORARY
        };
        self.three(add_code(subtract, flags, wide), d, n, m, 0)
    }

    /// ADC, SBC, RMIF, SETF8, SETF16.
    fn carry_or_flags(&mut self, w: Word) -> Go {
        let valid = match w.field(15, 10) {
            0 => true,
            // RMIF: the rotation takes bits 20:15.
            op if op & 0b1_1111 == 0b00001 => w.field(31, 29) == 0b101 && !w.bit(4),
            // SETF8, SETF16.
            0b000010 | 0b010010 => {
                w.field(31, 29) == 0b001 && w.field(20, 16) == 0 && !w.bit(15) && w.field(4, 0) == 0b01101
            }
            _ => false,
        };
        if valid { self.rare(w) } else { self.undefined(w) }
    }

    fn conditional_compare(&mut self, w: Word) -> Go {
        if !w.bit(29) || w.bit(10) || w.bit(4) {
            return self.undefined(w);
        }
        let immediate = w.bit(11);
        self.emit(Operation {
            code: Code::Ccmp,
            a: w.field(3, 0) as u8,
            b: w.rn() as u8,
            c: if immediate { ZERO } else { w.rm() as u8 },
            d: w.field(15, 12) as u8,
            e: w.field(31, 30) as u8,
            imm: if immediate { w.rm() as u64 } else { 0 },
            ..Operation::default()
        });
        Go::On
    }

    fn conditional_select(&mut self, w: Word) -> Go {
        if w.bit(29) || w.bit(11) {
            return self.undefined(w);
        }
        let code = match (w.bit(30), w.bit(10), w.bit(31)) {
            (false, false, true) => Code::Csel64,
            (false, false, false) => Code::Csel32,
            (false, true, true) => Code::Csinc64,
            (false, true, false) => Code::Csinc32,
            (true, false, true) => Code::Csinv64,
            (true, false, false) => Code::Csinv32,
            (true, true, true) => Code::Csneg64,
            (true, true, false) => Code::Csneg32,
        };
        self.three(code, destination(w.rt()), w.rn() as u8, w.rm() as u8, w.field(15, 12) as u8)
    }

    fn one_source(&mut self, w: Word) -> Go {
        if w.bit(29) || w.field(20, 16) != 0 {
            return self.undefined(w);
        }
        let (d, n) = (destination(w.rt()), w.rn() as u8);
        match (w.field(15, 10), w.bit(31)) {
            // RBIT, REV16, CLS, REV32.
            (0b000000 | 0b000001 | 0b000101, _) | (0b000010, true) => self.rare(w),
            (0b000010, false) => self.three(Code::Rev32, d, n, 0, 0),
            (0b000011, true) => self.three(Code::Rev64, d, n, 0, 0),
            (0b000100, true) => self.three(Code::Clz64, d, n, 0, 0),
            (0b000100, false) => self.three(Code::Clz32, d, n, 0, 0),
            _ => self.undefined(w),
        }
    }

    fn two_source(&mut self, w: Word) -> Go {
        if w.bit(29) {
            return self.undefined(w);
        }
        let code = match (w.field(15, 10), w.bit(31)) {
            (0b000010, true) => Code::Udiv64,
            (0b000010, false) => Code::Udiv32,
            (0b000011, true) => Code::Sdiv64,
            (0b000011, false) => Code::Sdiv32,
            (0b001000, true) => Code::Lslv64,
            (0b001000, false) => Code::Lslv32,
            (0b001001, true) => Code::Lsrv64,
            (0b001001, false) => Code::Lsrv32,
            (0b001010, true) => Code::Asrv64,
            (0b001010, false) => Code::Asrv32,
            // RORV; CRC32, whose doubleword forms are the 64-bit ones.
            (0b001011, _)
            | (0b010011 | 0b010111, true)
            | (0b010000..=0b010010 | 0b010100..=0b010110, false) => {
                return self.rare(w);
            }
            _ => return self.undefined(w),
        };
        self.three(code, destination(w.rt()), w.rn() as u8, w.rm() as u8, 0)
    }

    fn three_source(&mut self, w: Word) -> Go {
        if w.field(30, 29) != 0 {
            return self.undefined(w);
        }
        let (d, n, m, a) = (destination(w.rt()), w.rn() as u8, w.rm() as u8, w.rt2() as u8);
        let code = match (w.field(23, 21), w.bit(15), w.bit(31)) {
            (0, false, true) if a == ZERO => Code::Mul64,
            (0, false, false) if a == ZERO => Code::Mul32,
            (0, false, true) => Code::Madd64,
            (0, false, false) => Code::Madd32,
            (0, true, true) => Code::Msub64,
            (0, true, false) => Code::Msub32,
            (1, false, true) => Code::Smaddl,
            (5, false, true) => Code::Umaddl,
            (6, false, true) => Code::Umulh,
            // SMSUBL, UMSUBL, SMULH.
            (1 | 5, true, true) | (2, false, true) => return self.rare(w),
            _ => return self.undefined(w),
        };
        self.three(code, d, n, m, a)
    }
}

const fn add_code(subtract: bool, flags: bool, wide: bool) -> Code {
    match (subtract, flags, wide) {
        (false, false, true) => Code::AddR64,
        (false, false, false) => Code::AddR32,
        (false, true, true) => Code::AddsR64,
        (false, true, false) => Code::AddsR32,
        (true, false, true) => Code::SubR64,
        (true, false, false) => Code::SubR32,
        (true, true, true) => Code::SubsR64,
        (true, true, false) => Code::SubsR32,
    }
}
