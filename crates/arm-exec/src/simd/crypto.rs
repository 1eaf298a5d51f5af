//! FEAT_AES, FEAT_SHA1, FEAT_SHA256.
//! Arm ARM, "Cryptographic AES", "Cryptographic three-register SHA", "Cryptographic two-register SHA".
//!
//! Names of the pseudocode functions (`AESSubBytes`, `SHAchoose`, …) and of FIPS 197 and FIPS 180-4.
//! The S-boxes are looked up by secret bytes: this is a stand-in for hardware, not a hardened cipher.

use super::SimdOp;
use super::lanes::{Lane, bits, data, rd, rm, rn, size};

/// Decodes the AES instructions; the caller has matched U and \[21:17\], \[11:10\].
pub(super) fn decode_aes(w: u32) -> Option<SimdOp> {
    if size(w) != 0 || !super::lanes::q(w) {
        return None;
    }
    match bits(w, 16, 12) {
        0b00100 => data(|fp, _, w| fp.v[rd(w)] = sub_bytes(shift_rows(fp.v[rd(w)] ^ fp.v[rn(w)]), &SBOX)),
        0b00101 => {
            data(|fp, _, w| fp.v[rd(w)] = sub_bytes(inv_shift_rows(fp.v[rd(w)] ^ fp.v[rn(w)]), &INV_SBOX))
        }
        0b00110 => data(|fp, _, w| fp.v[rd(w)] = mix_columns(fp.v[rn(w)])),
        0b00111 => data(|fp, _, w| fp.v[rd(w)] = inv_mix_columns(fp.v[rn(w)])),
        _ => None,
    }
}

/// Decodes the three-register SHA instructions; the caller has matched U, \[21\], \[15\] and \[11:10\].
pub(super) fn decode_sha_three(w: u32) -> Option<SimdOp> {
    if size(w) != 0 {
        return None;
    }
    match bits(w, 14, 12) {
        0b000 => data(|fp, _, w| fp.v[rd(w)] = sha1_hash(fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)], choose)),
        0b001 => data(|fp, _, w| fp.v[rd(w)] = sha1_hash(fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)], parity)),
        0b010 => data(|fp, _, w| fp.v[rd(w)] = sha1_hash(fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)], majority)),
        0b011 => data(|fp, _, w| {
            let (d, n, m) = (fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)]);
            fp.v[rd(w)] = (n << 64 | d >> 64) ^ d ^ m;
        }),
        0b100 => data(|fp, _, w| fp.v[rd(w)] = sha256_hash(fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)]).0),
        0b101 => data(|fp, _, w| fp.v[rd(w)] = sha256_hash(fp.v[rn(w)], fp.v[rd(w)], fp.v[rm(w)]).1),
        0b110 => data(|fp, _, w| fp.v[rd(w)] = sha256_su1(fp.v[rd(w)], fp.v[rn(w)], fp.v[rm(w)])),
        _ => None,
    }
}

/// Decodes the two-register SHA instructions; the caller has matched U, \[21:17\] and \[11:10\].
pub(super) fn decode_sha_two(w: u32) -> Option<SimdOp> {
    if size(w) != 0 {
        return None;
    }
    match bits(w, 16, 12) {
        0b00000 => data(|fp, _, w| fp.v[rd(w)] = u32::low(fp.v[rn(w)]).rotate_left(30).alone()),
        0b00001 => data(|fp, _, w| fp.v[rd(w)] = sha1_su1(fp.v[rd(w)], fp.v[rn(w)])),
        0b00010 => data(|fp, _, w| fp.v[rd(w)] = sha256_su0(fp.v[rd(w)], fp.v[rn(w)])),
        _ => None,
    }
}

/// The S-box (FIPS 197, 5.1.1): the inverse in GF(2⁸), then an affine map.
const SBOX_VALUES: [u8; 256] = {
    let mut table = [0; 256];
    // `p` runs through all powers of 3, `q` through their inverses.
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p ^= p << 1 ^ if p & 0x80 != 0 { 0x1b } else { 0 };
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        if q & 0x80 != 0 {
            q ^= 0x09;
        }
        table[p as usize] =
            q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            break;
        }
    }
    table[0] = 0x63;
    table
};

/// [`SBOX_VALUES`] in memory.
static SBOX: [u8; 256] = SBOX_VALUES;

/// The inverse of [`SBOX`].
static INV_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[SBOX_VALUES[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// `AESSubBytes`, `AESInvSubBytes`.
#[inline(always)]
fn sub_bytes(state: u128, table: &[u8; 256]) -> u128 {
    u128::from_le_bytes(state.to_le_bytes().map(|byte| table[usize::from(byte)]))
}

/// Selects the bytes of row `row` of the state: row r of column c is byte 4c + r.
#[inline(always)]
const fn row(state: u128, row: u32) -> u128 {
    state & (0x0000_00ff_0000_00ff_0000_00ff_0000_00ff << (8 * row))
}

/// `AESShiftRows`: row r moves left by r columns.
#[inline(always)]
fn shift_rows(state: u128) -> u128 {
    row(state, 0)
        | row(state, 1).rotate_right(32)
        | row(state, 2).rotate_right(64)
        | row(state, 3).rotate_right(96)
}

/// `AESInvShiftRows`.
#[inline(always)]
fn inv_shift_rows(state: u128) -> u128 {
    row(state, 0)
        | row(state, 1).rotate_left(32)
        | row(state, 2).rotate_left(64)
        | row(state, 3).rotate_left(96)
}

/// Multiplies every byte by x in GF(2⁸).
#[inline(always)]
fn xtime(state: u128) -> u128 {
    let carry = state >> 7 & 0x0101_0101_0101_0101_0101_0101_0101_0101;
    let shifted = (state & 0x7f7f_7f7f_7f7f_7f7f_7f7f_7f7f_7f7f_7f7f) << 1;
    shifted ^ carry ^ carry << 1 ^ carry << 3 ^ carry << 4
}

/// Moves each row up by one within its column.
#[inline(always)]
fn rotate_columns(state: u128) -> u128 {
    (state >> 8 & 0x00ff_ffff_00ff_ffff_00ff_ffff_00ff_ffff) | row(state, 0) << 24
}

/// `AESMixColumns`.
#[inline(always)]
fn mix_columns(state: u128) -> u128 {
    let one = rotate_columns(state);
    let two = rotate_columns(one);
    xtime(state ^ one) ^ one ^ two ^ rotate_columns(two)
}

/// `AESInvMixColumns`: its matrix is that of `AESMixColumns` times the circulant of 5, 0, 4, 0.
#[inline(always)]
fn inv_mix_columns(state: u128) -> u128 {
    let opposite = rotate_columns(rotate_columns(state));
    mix_columns(state ^ xtime(xtime(state ^ opposite)))
}

/// `SHAchoose`.
#[inline(always)]
const fn choose(x: u32, y: u32, z: u32) -> u32 {
    ((y ^ z) & x) ^ z
}

/// `SHAmajority`.
#[inline(always)]
const fn majority(x: u32, y: u32, z: u32) -> u32 {
    (x & y) | ((x | y) & z)
}

/// `SHAparity`.
#[inline(always)]
const fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

/// The four words of a register, word 0 in the low bits.
#[inline(always)]
fn words(v: u128) -> [u32; 4] {
    [v as u32, (v >> 32) as u32, (v >> 64) as u32, (v >> 96) as u32]
}

/// The register of these words.
#[inline(always)]
fn register(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |v, word| v << 32 | u128::from(*word))
}

/// `SHA1hash`: four rounds with `f`.
#[inline(always)]
fn sha1_hash(x: u128, y: u128, w: u128, f: impl Fn(u32, u32, u32) -> u32) -> u128 {
    let [mut a, mut b, mut c, mut d] = words(x);
    let mut e = u32::low(y);
    for word in words(w) {
        let t = e.wrapping_add(a.rotate_left(5)).wrapping_add(f(b, c, d)).wrapping_add(word);
        (a, b, c, d, e) = (t, a, b.rotate_left(30), c, d);
    }
    register([a, b, c, d])
}

/// SHA1SU1.
fn sha1_su1(d: u128, n: u128) -> u128 {
    let [t0, t1, t2, t3] = words(d ^ n >> 32);
    let first = t0.rotate_left(1);
    register([first, t1.rotate_left(1), t2.rotate_left(1), t3.rotate_left(1) ^ first.rotate_left(1)])
}

/// `SHA256hash`: four rounds; both halves of the state.
#[inline(always)]
fn sha256_hash(x: u128, y: u128, w: u128) -> (u128, u128) {
    let [mut a, mut b, mut c, mut d] = words(x);
    let [mut e, mut f, mut g, mut h] = words(y);
    for word in words(w) {
        let sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t = h.wrapping_add(sigma1).wrapping_add(choose(e, f, g)).wrapping_add(word);
        let next = t.wrapping_add(sigma0).wrapping_add(majority(a, b, c));
        (a, b, c, d, e, f, g, h) = (next, a, b, c, d.wrapping_add(t), e, f, g);
    }
    (register([a, b, c, d]), register([e, f, g, h]))
}

/// SHA256SU0.
fn sha256_su0(d: u128, n: u128) -> u128 {
    let [d0, d1, d2, d3] = words(d);
    let sigma = |t: u32| t.rotate_right(7) ^ t.rotate_right(18) ^ t >> 3;
    register([
        d0.wrapping_add(sigma(d1)),
        d1.wrapping_add(sigma(d2)),
        d2.wrapping_add(sigma(d3)),
        d3.wrapping_add(sigma(u32::low(n))),
    ])
}

/// SHA256SU1.
fn sha256_su1(d: u128, n: u128, m: u128) -> u128 {
    let [d0, d1, d2, d3] = words(d);
    let [_, n1, n2, n3] = words(n);
    let [m0, _, m2, m3] = words(m);
    let sigma = |t: u32| t.rotate_right(17) ^ t.rotate_right(19) ^ t >> 10;
    let r0 = d0.wrapping_add(n1).wrapping_add(sigma(m2));
    let r1 = d1.wrapping_add(n2).wrapping_add(sigma(m3));
    let r2 = d2.wrapping_add(n3).wrapping_add(sigma(r0));
    let r3 = d3.wrapping_add(m0).wrapping_add(sigma(r1));
    register([r0, r1, r2, r3])
}
