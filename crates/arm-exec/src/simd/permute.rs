//! Moving elements about: ZIP, UZP, TRN, EXT, TBL, TBX.
//! Arm ARM, "Advanced SIMD permute", "Advanced SIMD extract", "Advanced SIMD table lookup".

use super::SimdOp;
use super::lanes::{Lane, bit, bits, by_size, data, pick, q, rd, rm, rn, size};
use crate::state::FpState;

/// Element `i` of the result is the one that `f(i, count)` names in the concatenation `m:n`.
#[inline(always)]
fn shuffle<T: Lane, const BYTES: usize>(fp: &mut FpState, w: u32, f: impl Fn(usize, usize) -> usize) {
    let (n, m) = (T::vector(&fp.v[rn(w)]), T::vector(&fp.v[rm(w)]));
    let out = T::vector_mut(&mut fp.v[rd(w)]);
    let count = BYTES / T::BYTES;
    for i in 0..T::COUNT {
        let from = f(i, count);
        let value = if from < count { T::get(&n, from) } else { T::get(&m, from - count) };
        T::put(out, i, if i < count { value } else { T::default() });
    }
}

/// Decodes ZIP, UZP, TRN; the caller has matched \[29\], \[21\], \[15\] and \[11:10\].
pub(super) fn decode(w: u32) -> Option<SimdOp> {
    match bits(w, 14, 12) {
        0b001 => by_size!(w, shuffle, [u8 u16 u32 u64], |i, _| 2 * i),
        0b101 => by_size!(w, shuffle, [u8 u16 u32 u64], |i, _| 2 * i + 1),
        0b010 => by_size!(w, shuffle, [u8 u16 u32 u64], |i, count| i / 2 * 2 + i % 2 * count),
        0b110 => by_size!(w, shuffle, [u8 u16 u32 u64], |i, count| i / 2 * 2 + 1 + i % 2 * count),
        0b011 => by_size!(w, shuffle, [u8 u16 u32 u64], |i, count| i / 2 + i % 2 * count),
        0b111 => by_size!(w, shuffle, [u8 u16 u32 u64], |i, count| count / 2 + i / 2 + i % 2 * count),
        _ => None,
    }
}

/// Decodes EXT; the caller has matched all but size, Q and imm4.
pub(super) fn decode_extract(w: u32) -> Option<SimdOp> {
    match (size(w), q(w), bit(w, 14)) {
        (0, true, _) => data(|fp, _, w| {
            let by = 8 * bits(w, 14, 11);
            let (n, m) = (fp.v[rn(w)], fp.v[rm(w)]);
            fp.v[rd(w)] = if by == 0 { n } else { n >> by | m << (128 - by) };
        }),
        (0, false, false) => data(|fp, _, w| {
            let (n, m) = (u64::low(fp.v[rn(w)]), u64::low(fp.v[rm(w)]));
            let both = u128::from(n) | u128::from(m) << 64;
            fp.v[rd(w)] = u64::low(both >> (8 * bits(w, 14, 11))).alone();
        }),
        _ => None,
    }
}

/// Decodes TBL and TBX: op, \[12\], and len, \[14:13\]; the caller has matched the rest but size.
pub(super) fn decode_table(w: u32) -> Option<SimdOp> {
    if size(w) != 0 {
        return None;
    }
    match (bits(w, 14, 13), bit(w, 12)) {
        (0, false) => data(|fp, _, w| look_up::<1, false>(fp, w)),
        (1, false) => data(|fp, _, w| look_up::<2, false>(fp, w)),
        (2, false) => data(|fp, _, w| look_up::<3, false>(fp, w)),
        (_, false) => data(|fp, _, w| look_up::<4, false>(fp, w)),
        (0, true) => data(|fp, _, w| look_up::<1, true>(fp, w)),
        (1, true) => data(|fp, _, w| look_up::<2, true>(fp, w)),
        (2, true) => data(|fp, _, w| look_up::<3, true>(fp, w)),
        (_, true) => data(|fp, _, w| look_up::<4, true>(fp, w)),
    }
}

/// Looks bytes up in `REGISTERS` registers from Rn on; one out of range is zero, or with `KEEP` what Rd had.
#[inline(always)]
fn look_up<const REGISTERS: usize, const KEEP: bool>(fp: &mut FpState, w: u32) {
    let mut table = [[0u8; 16]; REGISTERS];
    for (i, row) in table.iter_mut().enumerate() {
        *row = fp.v[(rn(w) + i) & 31].to_le_bytes();
    }
    let indices = fp.v[rm(w)].to_le_bytes();
    let mut bytes = if KEEP { fp.v[rd(w)].to_le_bytes() } else { [0; 16] };
    let table = table.as_flattened();
    for (byte, index) in bytes.iter_mut().zip(indices) {
        if let Some(found) = table.get(usize::from(index)) {
            *byte = *found;
        }
    }
    let value = u128::from_le_bytes(bytes);
    fp.v[rd(w)] = if q(w) { value } else { value & u128::from(u64::MAX) };
}
