//! AdvSIMD modified immediate: MOVI, MVNI, ORR, BIC, FMOV. Arm ARM, "Advanced SIMD modified immediate".

use super::SimdOp;
use super::lanes::{bit, bits, data, q, rd};
use crate::state::FpState;

/// How cmode and op place imm8 in 64 bits (`AdvSIMDExpandImm`).
mod form {
    pub const WORD: u8 = 0;
    pub const HALFWORD: u8 = 1;
    pub const WORD_ONES: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const BYTE_MASK: u8 = 4;
    pub const SINGLE: u8 = 5;
    pub const DOUBLE: u8 = 6;
}

/// What happens with the 64 bits.
mod action {
    pub const MOVE: u8 = 0;
    pub const MOVE_NOT: u8 = 1;
    pub const OR: u8 = 2;
    pub const CLEAR: u8 = 3;
}

/// `AdvSIMDExpandImm`.
#[inline(always)]
fn expand<const FORM: u8>(w: u32) -> u64 {
    let imm8 = bits(w, 18, 16) << 5 | bits(w, 9, 5);
    let word = |value: u32| u64::from(value) | u64::from(value) << 32;
    match FORM {
        form::WORD => word(imm8 << (8 * bits(w, 14, 13))),
        form::HALFWORD => {
            let half = imm8 << (8 * bits(w, 13, 13));
            word(half << 16 | half)
        }
        form::WORD_ONES => word(if bit(w, 12) { imm8 << 16 | 0xffff } else { imm8 << 8 | 0xff }),
        form::BYTE => u64::from(imm8) * 0x0101_0101_0101_0101,
        form::BYTE_MASK => {
            // One bit per byte, multiplied out to all its bits.
            let mut mask = 0;
            for i in 0..8 {
                mask |= (u64::from(imm8 >> i & 1) * 0xff) << (8 * i);
            }
            mask
        }
        form::SINGLE => word(single(imm8)),
        _ => double(imm8),
    }
}

/// `VFPExpandImm`, single precision.
#[inline(always)]
pub(super) const fn single(imm8: u32) -> u32 {
    let exponent = if imm8 & 0x40 != 0 { 0x1f << 25 } else { 1 << 30 };
    (imm8 & 0x80) << 24 | exponent | (imm8 & 0x3f) << 19
}

/// `VFPExpandImm`, double precision.
#[inline(always)]
pub(super) const fn double(imm8: u32) -> u64 {
    let imm8 = imm8 as u64;
    let exponent = if imm8 & 0x40 != 0 { 0xff << 54 } else { 1 << 62 };
    (imm8 & 0x80) << 56 | exponent | (imm8 & 0x3f) << 48
}

/// Applies the immediate to Rd.
#[inline(always)]
fn apply<const FORM: u8, const ACTION: u8>(fp: &mut FpState, w: u32) {
    let imm = expand::<FORM>(w);
    let imm = u128::from(imm) | u128::from(imm) << 64;
    let d = fp.v[rd(w)];
    let value = match ACTION {
        action::MOVE => imm,
        action::MOVE_NOT => !imm,
        action::OR => d | imm,
        _ => d & !imm,
    };
    fp.v[rd(w)] = if q(w) { value } else { value & u128::from(u64::MAX) };
}

/// Decodes by cmode, \[15:12\], op, \[29\], and o2, \[11\].
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    use action::{CLEAR, MOVE, MOVE_NOT, OR};
    use form::{BYTE, BYTE_MASK, DOUBLE, HALFWORD, SINGLE, WORD, WORD_ONES};
    // o2 is the half-precision FMOV of FEAT_FP16.
    if bit(w, 11) {
        return None;
    }
    match (bits(w, 15, 12), bit(w, 29)) {
        (0 | 2 | 4 | 6, false) => data(|fp, _, w| apply::<WORD, MOVE>(fp, w)),
        (0 | 2 | 4 | 6, true) => data(|fp, _, w| apply::<WORD, MOVE_NOT>(fp, w)),
        (1 | 3 | 5 | 7, false) => data(|fp, _, w| apply::<WORD, OR>(fp, w)),
        (1 | 3 | 5 | 7, true) => data(|fp, _, w| apply::<WORD, CLEAR>(fp, w)),
        (8 | 10, false) => data(|fp, _, w| apply::<HALFWORD, MOVE>(fp, w)),
        (8 | 10, true) => data(|fp, _, w| apply::<HALFWORD, MOVE_NOT>(fp, w)),
        (9 | 11, false) => data(|fp, _, w| apply::<HALFWORD, OR>(fp, w)),
        (9 | 11, true) => data(|fp, _, w| apply::<HALFWORD, CLEAR>(fp, w)),
        (12 | 13, false) => data(|fp, _, w| apply::<WORD_ONES, MOVE>(fp, w)),
        (12 | 13, true) => data(|fp, _, w| apply::<WORD_ONES, MOVE_NOT>(fp, w)),
        (14, false) => data(|fp, _, w| apply::<BYTE, MOVE>(fp, w)),
        (14, true) => data(|fp, _, w| apply::<BYTE_MASK, MOVE>(fp, w)),
        (15, false) => data(|fp, _, w| apply::<SINGLE, MOVE>(fp, w)),
        (15, true) if q(w) => data(|fp, _, w| apply::<DOUBLE, MOVE>(fp, w)),
        _ => None,
    }
}
