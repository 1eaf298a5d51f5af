//! Instructions that are not worth an operation of their own, executed from their words.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a numeric kernel: arithmetic is the guest's, modulo 2^n; indices are masked to the length of what they index"
)]

use crate::block::Operation;
use crate::memory::Word;
use crate::pe::Pe;
use crate::simd::{self, SimdOp};
use crate::state::Flags;

impl Pe<'_> {
    /// CCMP and CCMN: `a` the flags otherwise, `b` and `c` or the immediate the operands, `d` the condition,
    /// `e` the size and whether to subtract.
    pub(crate) fn conditional_compare(&mut self, op: Operation) {
        let state = &mut self.state;
        if !state.flags.hold(op.d) {
            state.flags = Flags::from_nzcv(u64::from(op.a) << 28);
            return;
        }
        let left = state.x[usize::from(op.b & 63)];
        let right = state.x[usize::from(op.c & 63)] | op.imm;
        let (right, carry) = if op.e & 1 == 1 { (!right, 1) } else { (right, 0) };
        let (flags, _) =
            if op.e & 2 == 2 { Flags::add64(left, right, carry) } else { Flags::add32(left, right, carry) };
        state.flags = flags;
    }

    /// A SIMD instruction that leaves the flags alone: its function's number is in the immediate.
    #[inline]
    pub(crate) fn simd_data(&mut self, imm: u64) {
        let word = imm as u32;
        match self.functions.get((imm >> 32) as usize) {
            Some(SimdOp::Data(function)) => function(&mut self.state.fp, &mut self.state.x, word),
            Some(SimdOp::Flags(_)) | None => self.simd_unnumbered(word),
        }
    }

    /// A SIMD instruction that has to do with the flags.
    #[inline]
    pub(crate) fn simd_flags(&mut self, imm: u64) {
        let word = imm as u32;
        match self.functions.get((imm >> 32) as usize) {
            Some(SimdOp::Flags(function)) => function(&mut self.state.fp, &mut self.state.flags, word),
            Some(SimdOp::Data(_)) | None => self.simd_unnumbered(word),
        }
    }

    /// A SIMD instruction whose function found no place in the table.
    #[cold]
    fn simd_unnumbered(&mut self, word: u32) {
        match simd::decode(word) {
            Some(SimdOp::Data(function)) => function(&mut self.state.fp, &mut self.state.x, word),
            Some(SimdOp::Flags(function)) => function(&mut self.state.fp, &mut self.state.flags, word),
            // The decoder has seen it before.
            None => {}
        }
    }

    /// Executes a data-processing instruction that has no operation of its own.
    #[inline(never)]
    pub(crate) fn rare(&mut self, word: u32) {
        let w = Word(word);
        match (w.field(28, 28), w.field(24, 21)) {
            (1, 0b0000) => self.carry_or_flags(w),
            (1, 0b0110) if w.bit(30) => self.one_source(w),
            (1, 0b0110) => self.two_source(w),
            _ => self.three_source(w),
        }
    }

    fn x(&self, n: usize) -> u64 {
        // Slot 31 is zero.
        self.state.x[n & 31]
    }

    fn set_x(&mut self, w: Word, value: u64) {
        if w.rt() != 31 {
            self.state.x[w.rt() & 31] = if w.bit(31) { value } else { u64::from(value as u32) };
        }
    }

    fn carry_or_flags(&mut self, w: Word) {
        let carry = self.state.flags.c & 1;
        let (n, m) = (self.x(w.rn()), self.x(w.rm()));
        match w.field(15, 10) {
            0 => {
                let m = if w.bit(30) { !m } else { m };
                let (flags, result) =
                    if w.bit(31) { Flags::add64(n, m, carry) } else { Flags::add32(n, m, carry) };
                if w.bit(29) {
                    self.state.flags = flags;
                }
                self.set_x(w, result);
            }
            // SETF8, SETF16: C stays.
            0b000010 | 0b010010 => {
                let width = if w.bit(14) { 16 } else { 8 };
                let value = n << (64 - width);
                let above = n >> width & 1;
                let flags = &mut self.state.flags;
                (flags.n, flags.z) = (value, value);
                flags.v = (value >> 63 ^ above) << 63;
            }
            // RMIF.
            _ => {
                let rotated = n.rotate_right(w.field(20, 15)) & 15;
                let mask = u64::from(w.field(3, 0));
                let old = self.state.flags.nzcv() >> 28;
                self.state.flags = Flags::from_nzcv((old & !mask | rotated & mask) << 28);
            }
        }
    }

    fn one_source(&mut self, w: Word) {
        let n = self.x(w.rn());
        let value = match (w.field(15, 10), w.bit(31)) {
            (0b000000, true) => n.reverse_bits(),
            (0b000000, false) => u64::from((n as u32).reverse_bits()),
            (0b000001, _) => (n & 0x00ff_00ff_00ff_00ff) << 8 | n >> 8 & 0x00ff_00ff_00ff_00ff,
            (0b000010, _) => n.swap_bytes().rotate_left(32),
            // CLS.
            (_, true) => u64::from((n ^ ((n as i64) >> 63) as u64).leading_zeros()) - 1,
            (_, false) => u64::from((n as u32 ^ ((n as i32) >> 31) as u32).leading_zeros()) - 1,
        };
        self.set_x(w, value);
    }

    fn two_source(&mut self, w: Word) {
        let (n, m) = (self.x(w.rn()), self.x(w.rm()));
        if !w.bit(14) {
            // RORV.
            let value = if w.bit(31) {
                n.rotate_right((m & 63) as u32)
            } else {
                u64::from((n as u32).rotate_right((m & 31) as u32))
            };
            return self.set_x(w, value);
        }
        let polynomial = if w.bit(12) { 0x82f6_3b78 } else { 0xedb8_8320 };
        let mut crc = n as u32;
        for byte in m.to_le_bytes().into_iter().take(1 << w.field(11, 10)) {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { polynomial } else { 0 };
            }
        }
        if w.rt() != 31 {
            self.state.x[w.rt() & 31] = crc.into();
        }
    }

    /// SMSUBL, UMSUBL, SMULH.
    fn three_source(&mut self, w: Word) {
        let (n, m, a) = (self.x(w.rn()), self.x(w.rm()), self.x(w.rt2()));
        let value = match w.field(23, 21) {
            1 => a.wrapping_sub((n as i32 as u64).wrapping_mul(m as i32 as u64)),
            5 => a.wrapping_sub(u64::from(n as u32).wrapping_mul(u64::from(m as u32))),
            _ => ((i128::from(n as i64) * i128::from(m as i64)) >> 64) as u64,
        };
        self.set_x(w, value);
    }
}
