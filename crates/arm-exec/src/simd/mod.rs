//! Data processing on the SIMD&FP registers: decoding and execution of A64 words with \[28:25\] = x111.
//!
//! Modelled: floating point and Advanced SIMD of Armv8.0, `FEAT_RDM`, `FEAT_AES` with `FEAT_PMULL`,
//! `FEAT_SHA1`, `FEAT_SHA256`, `FEAT_DotProd`. Everything else in this space (`FEAT_FP16`, `FEAT_SHA512`,
//! `FEAT_SHA3`, `FEAT_SM3`, `FEAT_SM4`, `FEAT_BF16`, `FEAT_I8MM`, `FEAT_FCMA`, `FEAT_FHM`, `FEAT_FRINTTS`,
//! `FEAT_JSCVT`, …) is UNDEFINED: [`decode`] returns `None`. Whether the registers may be used at all
//! (CPACR_EL1.FPEN and above) is the caller's question.
//!
//! [`decode`] follows the tables of Arm ARM, "Data Processing -- Scalar Floating-Point and Advanced SIMD",
//! and gives back a function made for operation, element size and width; that function takes the register
//! numbers and immediates from the word.
//!
//! ```
//! use arm_exec::simd::{SimdOp, decode};
//! use arm_exec::state::FpState;
//!
//! let mut fp = FpState { v: [0; 32], fpcr: 0, fpsr: 0 };
//! (fp.v[1], fp.v[2]) = (0x01ff, 0x0101);
//! let add_v0_v1_v2_8b = 0x0e22_8420;
//! let Some(SimdOp::Data(add)) = decode(add_v0_v1_v2_8b) else { panic!() };
//! add(&mut fp, &mut [0; 64], add_v0_v1_v2_8b);
//! assert_eq!(fp.v[0], 0x0200);
//! ```
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "lane kernels: indices have five bits or are masked, element arithmetic is wrapping_*"
)]

mod across;
mod by_element;
mod convert;
mod copy;
mod crypto;
mod float;
mod float_misc;
mod integer;
mod lanes;
mod mod_imm;
mod permute;
mod scalar;
mod shift_imm;
mod three_different;
mod three_same;
mod two_reg_misc;

use crate::state::{Flags, FpState};
use lanes::{bit, bits};

/// What the decoder found: the function that executes the word it is given.
#[derive(Clone, Copy, Debug)]
pub enum SimdOp {
    /// Data processing among V registers, FPCR, FPSR and the general registers.
    Data(fn(&mut FpState, &mut [u64; 64], u32)),
    /// Also reads or writes NZCV: FCMP, FCMPE, FCCMP, FCCMPE, FCSEL.
    Flags(fn(&mut FpState, &mut Flags, u32)),
}

/// Decodes a word of the space \[28:25\] = x111; `None` is UNDEFINED.
#[must_use]
pub fn decode(word: u32) -> Option<SimdOp> {
    if bits(word, 27, 25) != 0b111 {
        return None;
    }
    match (bits(word, 31, 28), bit(word, 24)) {
        (0b0001 | 0b1001, _) => scalar::decode(word),
        (0b0000 | 0b0010 | 0b0100 | 0b0110, false) => vector(word),
        (0b0101 | 0b0111, false) => vector_scalar(word),
        (0b0000 | 0b0010 | 0b0100 | 0b0110 | 0b0101 | 0b0111, true) => immediate_or_element(word),
        _ => None,
    }
}

/// Advanced SIMD, vector, \[24\] = 0.
fn vector(w: u32) -> Option<SimdOp> {
    let u = lanes::u(w);
    match (bit(w, 21), bit(w, 15), bits(w, 11, 10)) {
        (true, _, 0b01 | 0b11) => three_same::decode(w),
        (true, _, 0b00) => three_different::decode(w),
        (true, _, _) => match bits(w, 20, 17) {
            0b0000 => two_reg_misc::decode(w),
            0b1000 => across::decode(w),
            0b0100 if !u => crypto::decode_aes(w),
            _ => None,
        },
        (false, true, 0b01 | 0b11) => three_same::decode_extra(w),
        (false, false, 0b01 | 0b11) if lanes::size(w) == 0 => copy::decode(w),
        (false, false, 0b00 | 0b10) if u => permute::decode_extract(w),
        (false, false, 0b00) => permute::decode_table(w),
        (false, false, 0b10) => permute::decode(w),
        _ => None,
    }
}

/// Advanced SIMD, scalar, \[24\] = 0, and the SHA instructions.
fn vector_scalar(w: u32) -> Option<SimdOp> {
    let u = lanes::u(w);
    match (bit(w, 21), bit(w, 15), bits(w, 11, 10)) {
        (true, _, 0b01 | 0b11) => three_same::decode(w),
        (true, _, 0b00) => three_different::decode(w),
        (true, _, _) => match bits(w, 20, 17) {
            0b0000 => two_reg_misc::decode(w),
            0b1000 => float::scalar_pairwise(w),
            0b0100 if !u => crypto::decode_sha_two(w),
            _ => None,
        },
        (false, true, 0b01 | 0b11) => three_same::decode_extra(w),
        (false, false, 0b01 | 0b11) if lanes::size(w) == 0 => copy::decode(w),
        (false, false, 0b00) if !u => crypto::decode_sha_three(w),
        _ => None,
    }
}

/// Advanced SIMD, vector and scalar, \[24\] = 1.
fn immediate_or_element(w: u32) -> Option<SimdOp> {
    match (bit(w, 23), bit(w, 10), bits(w, 22, 19)) {
        (_, false, _) => by_element::decode(w),
        (false, true, 0) if !lanes::is_scalar(w) => mod_imm::decode(w),
        (false, true, _) => shift_imm::decode(w),
        (true, true, _) => None,
    }
}
