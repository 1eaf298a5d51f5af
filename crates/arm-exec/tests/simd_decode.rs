//! Which words of the SIMD&FP space are instructions, against the table of encodings, the list of announced
//! features, and the reserved combinations that the manual's decode pseudocode names.

#![allow(clippy::arithmetic_side_effects, reason = "a test counts")]

use arm_exec::simd::decode;
use testkit::insn::announced::is_announced;
use testkit::insn::table::{Decoded, Row, Table};
use testkit::rng::Rng;

/// Whether the word, of this row, is UNDEFINED by a rule that mask and value do not express.
fn is_reserved(row: &Row, w: u32) -> bool {
    let q = w >> 30 & 1 == 1;
    let size = w >> 22 & 3;
    let sz = w >> 22 & 1 == 1;
    let immh = w >> 19 & 15;
    let imm5 = w >> 16 & 31;
    let name = row.mnemonic();
    let by_kind = row.name.rsplit('_').next().unwrap_or("");
    let is_float = name.starts_with('F') || matches!(name, "SCVTF" | "UCVTF");
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match row.class() {
        // FMAXNMV and its kin have all bits in the row. 8B 16B 4H 8H 4S.
        "asimdall" if is_float => false,
        "asimdall" => size == 3 || (size == 2 && !q),
        "asimddiff" if name == "PMULL" => size == 1 || size == 2,
        "asimddiff" | "asisddiff" if starts(&["SQDM"]) => size == 0 || size == 3,
        "asimddiff" => size == 3,
        "asimdelem" | "asisdelem" if name.ends_with("DOT") => size != 2,
        "asimdelem" if is_float => sz && (w >> 21 & 1 == 1 || !q),
        "asisdelem" if is_float => sz && w >> 21 & 1 == 1,
        "asimdelem" | "asisdelem" => size == 0 || size == 3,
        "asimdext" => !q && w >> 14 & 1 == 1,
        "asimdins" => match row.name.as_str() {
            "DUP_asimdins_DV_v" | "DUP_asimdins_DR_r" => imm5 & 15 == 0 || (imm5 & 15 == 8 && !q),
            "SMOV_asimdins_W_w" => imm5 & 3 == 0,
            "SMOV_asimdins_X_x" | "UMOV_asimdins_W_w" => imm5 & 7 == 0,
            "UMOV_asimdins_X_x" => false,
            _ => imm5 & 15 == 0,
        },
        "asisdone" => imm5 & 15 == 0,
        "asimdmisc" => match name {
            "NOT" | "RBIT" | "FCVTN" | "FCVTL" | "FCVTXN" => false,
            "REV16" | "CNT" => size != 0,
            "REV32" => size > 1,
            "REV64" | "CLS" | "CLZ" | "SADDLP" | "UADDLP" | "SADALP" | "UADALP" | "XTN" | "SQXTN"
            | "UQXTN" | "SQXTUN" | "SHLL" => size == 3,
            "URECPE" | "URSQRTE" => sz,
            _ if is_float => sz && !q,
            _ => size == 3 && !q,
        },
        "asisdmisc" if matches!(name, "SQXTN" | "UQXTN" | "SQXTUN") => size == 3,
        "asimdperm" => size == 3 && !q,
        "asimdsame" => match name {
            "AND" | "BIC" | "ORR" | "ORN" | "EOR" | "BSL" | "BIT" | "BIF" => false,
            "PMUL" => size != 0,
            "SQDMULH" | "SQRDMULH" => size == 0 || size == 3,
            "MLA" | "MLS" | "MUL" => size == 3,
            _ if is_float => sz && !q,
            _ if starts(&[
                "SHADD", "UHADD", "SRHADD", "URHADD", "SHSUB", "UHSUB", "SMAX", "UMAX", "SMIN", "UMIN",
            ]) =>
            {
                size == 3
            }
            _ if starts(&["SABD", "UABD", "SABA", "UABA"]) => size == 3,
            _ => size == 3 && !q,
        },
        "asisdsame" if matches!(name, "SQDMULH" | "SQRDMULH") => size == 0 || size == 3,
        "asimdsame2" | "asisdsame2" if name.ends_with("DOT") => size != 2,
        "asimdsame2" | "asisdsame2" => size == 0 || size == 3,
        "asimdshf" => match by_kind {
            "R" => immh == 0 || (immh > 7 && !q),
            "C" => immh < 4 || (immh > 7 && !q),
            _ => immh == 0 || immh > 7,
        },
        "asisdshf" => match by_kind {
            "R" => immh == 0,
            "C" => immh < 4,
            _ => immh == 0 || immh > 7,
        },
        "float2fix" => w >> 31 == 0 && w >> 15 & 1 == 0,
        _ => false,
    }
}

/// Whether the word is an instruction, from tables alone; and the row's name.
fn expectation(word: u32) -> (bool, &'static str) {
    match Table::shared().decode_strictly(word) {
        Decoded::Nothing => (false, "unallocated"),
        // Should-be bits are ignored: a permitted choice, and what other implementations do.
        Decoded::Row(row) | Decoded::ShouldBe(row) => {
            (is_announced(row) && !is_reserved(row, word), &row.name)
        }
    }
}

fn check(word: u32) -> bool {
    let (want, name) = expectation(word);
    assert_eq!(decode(word).is_some(), want, "{word:#010x} {name}");
    want
}

fn rows() -> impl Iterator<Item = &'static Row> {
    let rows = Table::shared().rows();
    rows.iter().filter(|row| row.group.starts_with("simd_dp/"))
}

#[test]
fn every_row_is_what_the_announced_features_make_it() {
    let mut rng = Rng::new(1);
    let (mut instructions, mut others) = (0, 0);
    for row in rows() {
        let mut seen = 0;
        for _ in 0..256 {
            seen += u32::from(check(rng.half() & !row.mask | row.value));
        }
        if is_announced(row) {
            assert!(seen > 0, "{} is never an instruction", row.name);
            instructions += 1;
        } else {
            others += 1;
        }
    }
    assert_eq!((instructions, others), ANNOUNCED_AND_OTHERS);
}

/// How many of the table's variants there are on either side of the line.
const ANNOUNCED_AND_OTHERS: (u32, u32) = (535, 332);

#[test]
fn words_at_random_in_the_space_are_what_the_table_says() {
    let mut rng = Rng::new(2);
    let instructions = (0..100_000).filter(|_| check(rng.half() | 0x0e00_0000)).count();
    assert!((10_000..90_000).contains(&instructions), "{instructions}");
}

#[test]
fn words_of_other_spaces_are_none() {
    let mut rng = Rng::new(3);
    for _ in 0..10_000 {
        let word = rng.half();
        if word >> 25 & 7 != 7 {
            assert!(decode(word).is_none(), "{word:#010x}");
        }
    }
}

/// Each a pair: the last encoding that is an instruction and its first reserved neighbour.
#[test]
fn reserved_encodings_begin_where_the_manual_says() {
    const CASES: &[(&str, u32, u32)] = &[
        ("add v0.2d, v1.2d, v2.2d; .1d", 0x4ee2_8420, 0x0ee2_8420),
        ("shadd v0.4s; .2d", 0x4ea2_0420, 0x4ee2_0420),
        ("mul v0.4s; .2d", 0x4ea2_9c20, 0x4ee2_9c20),
        ("pmul v0.16b; .8h", 0x6e22_9c20, 0x6e62_9c20),
        ("sqdmulh v0.4h; .8b", 0x0e62_b420, 0x0e22_b420),
        ("addv s0, v1.4s; .2s", 0x4eb1_b820, 0x0eb1_b820),
        ("fmaxv s0, v1.4s; .2s", 0x6e30_f820, 0x2e30_f820),
        ("pmull v0.1q; .4s", 0x0ee2_e020, 0x0ea2_e020),
        ("dup v0.2d, x1; .1d", 0x4e08_0c20, 0x0e08_0c20),
        ("umov w0, v1.s[0]; d[0]", 0x0e04_3c20, 0x0e08_3c20),
        ("smov x0, v1.s[0]; d[0]", 0x4e04_2c20, 0x4e08_2c20),
        ("smov w0, v1.h[0]; s[0]", 0x0e02_2c20, 0x0e04_2c20),
        ("ext v0.8b, #7; #8", 0x2e02_3820, 0x2e02_4020),
        ("fmov v0.2d, #1.0; .1d", 0x6f03_f600, 0x2f03_f600),
        ("fmov s0, #2.0; imm5 1", 0x1e20_1000, 0x1e20_1020),
        ("sshr v0.2d, #1; .1d", 0x4f7f_0420, 0x0f7f_0420),
        ("shrn v0.2s, #1; from .1q", 0x0f3f_8420, 0x0f40_8420),
        ("scvtf v0.2s, #32; .4h", 0x0f20_e420, 0x0f1f_e420),
        ("fmla v0.2d, v1.2d, v2.d[1]; L set", 0x4fc2_1820, 0x4fe2_1820),
        ("scvtf s0, w1, #32; #33", 0x1e02_8020, 0x1e02_7c20),
        ("fcvtzs x0, d1, #64; w0", 0x9e58_0020, 0x1e58_0020),
        ("fmov x0, v1.d[1]; w0", 0x9eae_0020, 0x1eae_0020),
        ("fcvt s0, h1; fabs h0, h1", 0x1ee2_4020, 0x1ee0_c020),
        ("fcvt d0, s1; s0, s1", 0x1e22_c020, 0x1e22_4020),
        ("aese; size 1", 0x4e28_4820, 0x4e68_4820),
        ("aese; Q clear", 0x4e28_4820, 0x0e28_4820),
        ("sha1c; size 1", 0x5e02_0020, 0x5e42_0020),
        ("sdot v0.4s; .8h", 0x4e82_9420, 0x4e42_9420),
        ("sqrdmlah v0.4h; .8b", 0x2e42_8420, 0x2e02_8420),
        ("urecpe v0.4s; .2d", 0x4ea1_c820, 0x4ee1_c820),
        ("frecpx s0, s1; v0.4s", 0x5ea1_f820, 0x4ea1_f820),
    ];
    for &(name, instruction, reserved) in CASES {
        assert!(decode(instruction).is_some(), "{name}: {instruction:#010x}");
        assert!(decode(reserved).is_none(), "{name}: {reserved:#010x}");
    }
}
