//! AES, SHA-1, SHA-256 and carry-less multiplication, by the published examples.

#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the algorithms as their standards write them"
)]

mod simd_support;

use simd_support::Machine;

const AESE: u32 = 0x4e28_4820; // aese v0.16b, v1.16b
const AESD: u32 = 0x4e28_5820;
const AESMC: u32 = 0x4e28_6800; // aesmc v0.16b, v0.16b
const AESIMC: u32 = 0x4e28_7800;

/// FIPS 197: the byte at the lowest address is the first.
fn block(hex: &str) -> u128 {
    u128::from_str_radix(hex, 16).unwrap().swap_bytes()
}

/// FIPS 197, 5.2, with AESE for the S-box: equal columns are not changed by ShiftRows.
fn expand_key(key: u128) -> Vec<u128> {
    let sub_word = |w: u32| {
        let columns = (0..4).fold(0, |v, _| v << 32 | u128::from(w));
        Machine::with(columns, 0, 0).run(AESE).v0() as u32
    };
    let mut words: Vec<u32> = (0..4).map(|i| (key >> (32 * i)) as u32).collect();
    let mut rcon = 1;
    for i in 4..44 {
        let mut t = words[i - 1];
        if i % 4 == 0 {
            t = sub_word(t.rotate_right(8)) ^ rcon;
            rcon = rcon << 1 ^ if rcon & 0x80 != 0 { 0x11b } else { 0 };
        }
        words.push(words[i - 4] ^ t);
    }
    words.chunks(4).map(|w| (0..4).rev().fold(0, |v, i| v << 32 | u128::from(w[i]))).collect()
}

fn encrypt(keys: &[u128], plain: u128) -> u128 {
    let mut machine = Machine::with(plain, 0, 0);
    for (round, key) in keys[..10].iter().enumerate() {
        machine.fp.v[1] = *key;
        machine.run(AESE);
        if round < 9 {
            machine.run(AESMC);
        }
    }
    machine.v0() ^ keys[10]
}

/// The equivalent inverse cipher, FIPS 197, 5.3.5.
fn decrypt(keys: &[u128], cipher: u128) -> u128 {
    let mut machine = Machine::with(cipher, 0, 0);
    for round in 0..10 {
        let key = keys[10 - round];
        machine.fp.v[1] = if round == 0 { key } else { Machine::with(key, 0, 0).run(AESIMC).v0() };
        machine.run(AESD);
        if round < 9 {
            machine.run(AESIMC);
        }
    }
    machine.v0() ^ keys[0]
}

/// Key, plaintext, ciphertext: FIPS 197 C.1 and B.
const AES_128: &[(&str, &str, &str)] = &[
    (
        "000102030405060708090a0b0c0d0e0f",
        "00112233445566778899aabbccddeeff",
        "69c4e0d86a7b0430d8cdb78070b4c55a",
    ),
    (
        "2b7e151628aed2a6abf7158809cf4f3c",
        "3243f6a8885a308d313198a2e0370734",
        "3925841d02dc09fbdc118597196a0b32",
    ),
];

#[test]
fn aes_128_encrypts_and_decrypts_the_examples_of_fips_197() {
    for &(key, plain, cipher) in AES_128 {
        let keys = expand_key(block(key));
        assert_eq!(encrypt(&keys, block(plain)), block(cipher), "{cipher}");
        assert_eq!(decrypt(&keys, block(cipher)), block(plain), "{plain}");
    }
    // FIPS 197, A.1: the last round key of the second.
    assert_eq!(expand_key(block(AES_128[1].0))[10], block("d014f9a8c9ee2589e13f0cc8b6630ca6"));
}

/// The blocks of a padded message, as big-endian words.
fn padded(message: &[u8]) -> Vec<[u32; 16]> {
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    while bytes.len() % 64 != 56 {
        bytes.push(0);
    }
    bytes.extend((message.len() as u64 * 8).to_be_bytes());
    let word = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
    bytes.chunks(64).map(|block| core::array::from_fn(|i| word(&block[4 * i..]))).collect()
}

fn register(words: &[u32]) -> u128 {
    words.iter().rev().fold(0, |v, w| v << 32 | u128::from(*w))
}

fn words(v: u128) -> [u32; 4] {
    core::array::from_fn(|i| (v >> (32 * i)) as u32)
}

/// SHA-1 with the schedule and rounds of the instructions.
fn sha1(message: &[u8]) -> [u32; 5] {
    let mut abcd = register(&[0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]);
    let mut e = 0xc3d2_e1f0u32;
    for block in padded(message) {
        let mut schedule: Vec<u128> = block.chunks(4).map(register).collect();
        for i in 4..20 {
            // sha1su0 v0.4s, v1.4s, v2.4s; sha1su1 v0.4s, v1.4s
            let mut machine = Machine::with(schedule[i - 4], schedule[i - 3], schedule[i - 2]);
            machine.run(0x5e02_3020);
            machine.fp.v[1] = schedule[i - 1];
            schedule.push(machine.run(0x5e28_1820).v0());
        }
        let (mut state, mut last) = (abcd, e);
        for (i, w) in schedule.iter().enumerate() {
            // SHA1C, SHA1P, SHA1M, SHA1P q0, s1, v2.4s
            let (k, hash) = match i / 5 {
                0 => (0x5a82_7999u32, 0x5e02_0020),
                1 => (0x6ed9_eba1, 0x5e02_1020),
                2 => (0x8f1b_bcdc, 0x5e02_2020),
                _ => (0xca62_c1d6, 0x5e02_1020),
            };
            let keyed = words(*w).map(|w| w.wrapping_add(k));
            // sha1h s0, s1 of a, which is e four rounds later
            let next = Machine::with(0, state, 0).run(0x5e28_0820).v0() as u32;
            state = Machine::with(state, last.into(), register(&keyed)).run(hash).v0();
            last = next;
        }
        let (before, after) = (words(abcd), words(state));
        abcd = register(&core::array::from_fn::<u32, 4, _>(|i| before[i].wrapping_add(after[i])));
        e = e.wrapping_add(last);
    }
    let [a, b, c, d] = words(abcd);
    [a, b, c, d, e]
}

#[test]
fn sha_1_digests_the_examples_of_fips_180() {
    const CASES: &[(&str, [u32; 5])] = &[
        ("abc", [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d]),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            [0x8498_3e44, 0x1c3b_d26e, 0xbaae_4aa1, 0xf951_29e5, 0xe546_70f1],
        ),
        ("", [0xda39_a3ee, 0x5e6b_4b0d, 0x3255_bfef, 0x9560_1890, 0xafd8_0709]),
    ];
    for &(message, digest) in CASES {
        assert_eq!(sha1(message.as_bytes()), digest, "{message:?}");
    }
}

/// FIPS 180-4, 4.2.2: the cube roots of the first primes, in binary fractions.
fn cube_root_constants() -> Vec<u32> {
    let is_prime = |n: &u64| (2..*n).all(|d| n % d != 0);
    (2..)
        .filter(is_prime)
        .take(64)
        .map(|prime| {
            // floor(2³² · ∛p), by bisection.
            let target = u128::from(prime) << 96;
            let root = (0..35).rev().fold(0u128, |root, bit| {
                let candidate = root | 1 << bit;
                if candidate * candidate * candidate <= target { candidate } else { root }
            });
            root as u32
        })
        .collect()
}

fn sha256(message: &[u8]) -> [u32; 8] {
    let k = cube_root_constants();
    let mut state = [
        register(&[0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a]),
        register(&[0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]),
    ];
    for block in padded(message) {
        let mut schedule: Vec<u128> = block.chunks(4).map(register).collect();
        for i in 4..16 {
            // sha256su0 v0.4s, v1.4s; sha256su1 v0.4s, v1.4s, v2.4s
            let mut machine = Machine::with(schedule[i - 4], schedule[i - 3], schedule[i - 1]);
            machine.run(0x5e28_2820);
            machine.fp.v[1] = schedule[i - 2];
            schedule.push(machine.run(0x5e02_6020).v0());
        }
        let [mut x, mut y] = state;
        for (i, w) in schedule.iter().enumerate() {
            let keyed: Vec<u32> =
                words(*w).iter().zip(&k[4 * i..]).map(|(w, k)| w.wrapping_add(*k)).collect();
            // sha256h q0, q1, v2.4s; sha256h2 q0, q1, v2.4s
            let upper = Machine::with(x, y, register(&keyed)).run(0x5e02_4020).v0();
            y = Machine::with(y, x, register(&keyed)).run(0x5e02_5020).v0();
            x = upper;
        }
        for (total, part) in state.iter_mut().zip([x, y]) {
            let (a, b) = (words(*total), words(part));
            *total = register(&core::array::from_fn::<u32, 4, _>(|i| a[i].wrapping_add(b[i])));
        }
    }
    let [low, high] = state.map(words);
    core::array::from_fn(|i| if i < 4 { low[i] } else { high[i - 4] })
}

#[test]
fn sha_256_digests_the_examples_of_fips_180() {
    const CASES: &[(&str, [u32; 8])] = &[
        (
            "abc",
            [
                0xba78_16bf,
                0x8f01_cfea,
                0x4141_40de,
                0x5dae_2223,
                0xb003_61a3,
                0x9617_7a9c,
                0xb410_ff61,
                0xf200_15ad,
            ],
        ),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            [
                0x248d_6a61,
                0xd206_38b8,
                0xe5c0_2693,
                0x0c3e_6039,
                0xa33c_e459,
                0x64ff_2167,
                0xf6ec_edd4,
                0x19db_06c1,
            ],
        ),
    ];
    assert_eq!(cube_root_constants()[63], 0xc671_78f2, "FIPS 180-4, 4.2.2, the last constant");
    for &(message, digest) in CASES {
        assert_eq!(sha256(message.as_bytes()), digest, "{message:?}");
    }
}

#[test]
fn carry_less_products_of_doublewords() {
    // A square spreads its bits; x · 2ⁿ shifts; the product of (x + 1) and (x² + x + 1) is x³ + 1.
    const CASES: &[(u64, u64, u128)] = &[
        (u64::MAX, u64::MAX, 0x5555_5555_5555_5555_5555_5555_5555_5555),
        (0x8000_0000_0000_0000, 0x8000_0000_0000_0000, 1 << 126),
        (0x0123_4567_89ab_cdef, 1 << 60, 0x0123_4567_89ab_cdef << 60),
        (3, 7, 9),
        (0, u64::MAX, 0),
    ];
    for &(n, m, product) in CASES {
        let (n, m) = (u128::from(n), u128::from(m));
        assert_eq!(Machine::with(0, n, m).run(0x0ee2_e020).v0(), product, "pmull {n:#x} {m:#x}");
        assert_eq!(Machine::with(0, n << 64, m << 64).run(0x4ee2_e020).v0(), product, "pmull2 {n:#x} {m:#x}");
        assert_eq!(Machine::with(0, m << 64, n << 64).run(0x4ee2_e020).v0(), product, "pmull2, exchanged");
    }
}
