//! Words as LLVM 22 assembles the text beside them.

use super::Address::{AuthenticatedPre, Base, Scaled12, Target};
use super::Offset::{self, Immediate, Literal, PostIndexed, PostIndexedBy, PreIndexed};
use super::Operation::{
    Atomic, Load, LoadExclusive, Maintenance, Prefetch, Refused, Store, StoreExclusive, ZeroBlock,
};
use super::Transfer::{General, Interleaved, Lane, Replicated, Signed32, Signed64, Simd, Vectors};
use super::{Access, Atomic as Op, Extend, Operation, Refusal, Transfer, decode};

/// Word, text, what is done, how, bytes touched, Rn, Rt, what is added.
type Case = (u32, &'static str, Operation, Transfer, u8, u8, u8, Offset);

const fn by(rm: u8, extend: Extend, shift: u8) -> Offset {
    Offset::Register { rm, extend, shift }
}

#[rustfmt::skip]
const FORMS: &[Case] = &[
    (0x3940_0041, "ldrb w1, [x2]", Load, General, 1, 2, 1, Immediate(0)),
    (0xf940_0441, "ldr x1, [x2, #8]", Load, General, 8, 2, 1, Immediate(8)),
    (0x79c0_0fe3, "ldrsh w3, [sp, #6]", Load, Signed32, 2, 31, 3, Immediate(6)),
    (0xb89f_8483, "ldrsw x3, [x4], #-8", Load, Signed64, 4, 4, 3, PostIndexed(-8)),
    (0x3c9f_0cc5, "str q5, [x6, #-16]!", Store, Simd, 16, 6, 5, PreIndexed(-16)),
    (0xfc5f_f0c5, "ldur d5, [x6, #-1]", Load, Simd, 8, 6, 5, Immediate(-1)),
    (0x389f_f8c5, "ldtrsb x5, [x6, #-1]", Load, Signed64, 1, 6, 5, Immediate(-1)),
    (0xb863_d841, "ldr w1, [x2, w3, sxtw #2]", Load, General, 4, 2, 1, by(3, Extend::Sxtw, 2)),
    (0x7c23_6841, "str h1, [x2, x3]", Store, Simd, 2, 2, 1, by(3, Extend::Lsl, 0)),
    (0x3823_4841, "strb w1, [x2, w3, uxtw]", Store, General, 1, 2, 1, by(3, Extend::Uxtw, 0)),
    (0x9c00_0081, "ldr q1, .+16", Load, Simd, 16, 4, 1, Literal(16)),
    (0x98ff_ffe1, "ldrsw x1, .-4", Load, Signed64, 4, 31, 1, Literal(-4)),
    (0xf980_0440, "prfm pldl1keep, [x2, #8]", Prefetch, General, 0, 2, 0, Immediate(8)),
    (0xf87f_fc41, "ldraa x1, [x2, #-8]!", Load, General, 8, 2, 1, PreIndexed(-8)),
    (0xf8bf_f441, "ldrab x1, [x2, #4088]", Load, General, 8, 2, 1, Immediate(4088)),
    (0x29ff_0be1, "ldp w1, w2, [sp, #-8]!", Load, General, 8, 31, 1, PreIndexed(-8)),
    (0x68c1_0861, "ldpsw x1, x2, [x3], #8", Load, Signed64, 8, 3, 1, PostIndexed(8)),
    (0xad20_0861, "stp q1, q2, [x3, #-1024]", Store, Simd, 32, 3, 1, Immediate(-1024)),
    (0x2c40_8861, "ldnp s1, s2, [x3, #4]", Load, Simd, 8, 3, 1, Immediate(4)),
    (0xc85f_7c41, "ldxr x1, [x2]", LoadExclusive, General, 8, 2, 1, Immediate(0)),
    (0x0803_fc41, "stlxrb w3, w1, [x2]", StoreExclusive, General, 1, 2, 1, Immediate(0)),
    (0x887f_9041, "ldaxp w1, w4, [x2]", LoadExclusive, General, 8, 2, 1, Immediate(0)),
    (0xc823_1041, "stxp w3, x1, x4, [x2]", StoreExclusive, General, 16, 2, 1, Immediate(0)),
    (0x48df_fc41, "ldarh w1, [x2]", Load, General, 2, 2, 1, Immediate(0)),
    (0xc89f_7c41, "stllr x1, [x2]", Store, General, 8, 2, 1, Immediate(0)),
    (0x38bf_c041, "ldaprb w1, [x2]", Load, General, 1, 2, 1, Immediate(0)),
    (0x999f_c041, "ldapursw x1, [x2, #-4]", Load, Signed64, 4, 2, 1, Immediate(-4)),
    (0xd90f_f041, "stlur x1, [x2, #255]", Store, General, 8, 2, 1, Immediate(255)),
    (0x1ddf_c841, "ldapur q1, [x2, #-4]", Load, Simd, 16, 2, 1, Immediate(-4)),
    (0x48e1_fc62, "casalh w1, w2, [x3]", Atomic(Op::CompareAndSwap), General, 2, 3, 2, Immediate(0)),
    (0x4862_7cc4, "caspa x2, x3, x4, x5, [x6]", Atomic(Op::CompareAndSwap), General, 16, 6, 4, Immediate(0)),
    (0xf8e1_0062, "ldaddal x1, x2, [x3]", Atomic(Op::Add), General, 8, 3, 2, Immediate(0)),
    (0x3821_107f, "stclrb w1, [x3]", Atomic(Op::Clear), General, 1, 3, 31, Immediate(0)),
    (0x7821_4062, "ldsmaxh w1, w2, [x3]", Atomic(Op::SignedMax), General, 2, 3, 2, Immediate(0)),
    (0xb861_8062, "swpl w1, w2, [x3]", Atomic(Op::Swap), General, 4, 3, 2, Immediate(0)),
    (0xf821_7062, "ldumin x1, x2, [x3]", Atomic(Op::UnsignedMin), General, 8, 3, 2, Immediate(0)),
    (0x4cdf_0060, "ld4 {v0.16b-v3.16b}, [x3], #64", Load, Interleaved, 64, 3, 0, PostIndexed(64)),
    (0x0c85_a060, "st1 {v0.8b, v1.8b}, [x3], x5", Store, Vectors, 16, 3, 0, PostIndexedBy(5)),
    (0x4c40_8bfe, "ld2 {v30.4s, v31.4s}, [sp]", Load, Interleaved, 32, 31, 30, Immediate(0)),
    (0x4d40_4861, "ld1 {v1.h}[5], [x3]", Load, Lane, 2, 3, 1, Immediate(0)),
    (0x4d9f_a461, "st3 {v1.d-v3.d}[1], [x3], #24", Store, Lane, 24, 3, 1, PostIndexed(24)),
    (0x0dc4_c861, "ld1r {v1.2s}, [x3], x4", Load, Replicated, 4, 3, 1, PostIndexedBy(4)),
    (0x4d01_8461, "stl1 {v1.d}[1], [x3]", Store, Lane, 8, 3, 1, Immediate(0)),
    (0x0d41_8461, "ldap1 {v1.d}[0], [x3]", Load, Lane, 8, 3, 1, Immediate(0)),
    (0xd942_0861, "ldiapp x1, x2, [x3], #16", Load, General, 16, 3, 1, PostIndexed(16)),
    (0x9902_1861, "stilp w1, w2, [x3]", Store, General, 8, 3, 1, Immediate(0)),
    (0xd980_0861, "stlr x1, [x3, #-8]!", Store, General, 8, 3, 1, PreIndexed(-8)),
    (0x99c0_0861, "ldapr w1, [x3], #4", Load, General, 4, 3, 1, PostIndexed(4)),
    (0x19e2_8061, "swppal x1, x2, [x3]", Atomic(Op::Swap), General, 16, 3, 1, Immediate(0)),
    (0x1922_3061, "ldsetp x1, x2, [x3]", Atomic(Op::Set), General, 16, 3, 1, Immediate(0)),
    (0xd50b_7425, "dc zva, x5", ZeroBlock, General, 0, 1, 5, Immediate(0)),
    (0xd50b_7e25, "dc civac, x5", Maintenance, General, 0, 17, 5, Immediate(0)),
];

#[test]
fn every_form_is_what_the_assembler_wrote() {
    for &(word, text, operation, transfer, bytes, rn, rt, offset) in FORMS {
        let got = decode(word).unwrap();
        assert_eq!(got.operation(), operation, "{text}");
        assert_eq!(got.transfer(), transfer, "{text}");
        assert_eq!(got.bytes(), bytes, "{text}");
        assert_eq!((got.rn(), got.rt()), (rn, rt), "{text}");
        assert_eq!(got.offset(), offset, "{text}");
        assert!(!got.is_unpredictable(), "{text}");
    }
}

#[test]
fn sizes_that_memory_copies_do_not_have_are_unallocated() {
    // CPYFP and SETP are 0x19010440 and 0x19c00441: sz, [31:30], is 00.
    for word in [0x1901_0440, 0x19c0_0441] {
        assert!(decode(word).is_some(), "{word:#010x}");
        for size in 1..4 {
            assert_eq!(decode(word | size << 30), None, "{word:#010x}, size {size}");
        }
    }
}

#[test]
fn what_no_device_takes_is_refused_by_name() {
    const CASES: &[(u32, &str, Refusal)] = &[
        (0xf83f_d060, "ld64b x0, [x3]", Refusal::Bytes64),
        (0xf821_b062, "st64bv x1, x2, [x3]", Refusal::Bytes64),
        (0xbc21_0062, "ldfadd s1, s2, [x3]", Refusal::FloatAtomic),
        (0x1901_0440, "cpyfp [x0]!, [x1]!, x2!", Refusal::CopyOrSet),
        (0xd920_1841, "stg x1, [x2, #16]", Refusal::Tags),
        (0xd50b_7485, "dc gzva, x5", Refusal::Tags),
        (0x1921_0862, "rcwcas x1, x2, [x3]", Refusal::CheckedTranslation),
        (0xd91f_0c41, "gcsstr x1, [x2]", Refusal::GuardedStack),
    ];
    for &(word, text, why) in CASES {
        assert_eq!(decode(word).map(Access::operation), Some(Refused(why)), "{text}");
    }
}

#[test]
fn what_is_no_access_or_not_allocated_is_none() {
    const CASES: &[(u32, &str)] = &[
        (0x8b02_0020, "add x0, x1, x2"),
        (0xd518_2000, "msr ttbr0_el1, x0"),
        (0xd503_201f, "nop"),
        (0xa400_a000, "ld1b {z0.b}, p0/z, [x0]"),
        (0x0000_0000, "udf #0"),
        (0xffff_ffff, "unallocated"),
        (0xb8c0_0041, "size 2, opc 3: ldursw to 32 bits"),
        (0xb863_0841, "register offset, option 0"),
        (0x0c40_0c60, "ld4 of 1d vectors"),
        (0x4861_7cc4, "casp with odd Rs"),
        (0x4862_7cc5, "casp with odd Rt"),
    ];
    for &(word, text) in CASES {
        assert_eq!(decode(word), None, "{text}");
    }
}

#[test]
fn should_be_bits_do_not_decide() {
    assert_eq!(decode(0x38a1_c041).map(Access::bytes), Some(1), "ldaprb, Rs not all ones");
    assert_eq!(decode(0x885e_0041).map(Access::bytes), Some(4), "ldxr, Rs and Rt2 not all ones");
}

#[test]
fn registers_beside_rt_are_found_where_each_form_has_them() {
    const CASES: &[(u32, &str, Option<u8>, Option<u8>)] = &[
        (0xf940_0441, "ldr x1, [x2, #8]", None, None),
        (0x29ff_0be1, "ldp w1, w2, [sp, #-8]!", Some(2), None),
        (0x0803_fc41, "stlxrb w3, w1, [x2]", None, Some(3)),
        (0xc823_1041, "stxp w3, x1, x4, [x2]", Some(4), Some(3)),
        (0x4862_7cc4, "caspa x2, x3, x4, x5, [x6]", Some(5), Some(2)),
        (0xf8e1_0062, "ldaddal x1, x2, [x3]", None, Some(1)),
        (0x19e2_8061, "swppal x1, x2, [x3]", Some(2), None),
        (0x9902_1861, "stilp w1, w2, [x3]", Some(2), None),
        (0x4c40_8bfe, "ld2 {v30.4s, v31.4s}, [sp]", Some(31), None),
    ];
    for &(word, text, rt2, rs) in CASES {
        let got = decode(word).unwrap();
        assert_eq!((got.rt2(), got.rs()), (rt2, rs), "{text}");
    }
}

#[test]
fn ordering_and_hints_are_those_of_the_mnemonic() {
    /// Acquire, acquirePC, release, limited, unprivileged, non-temporal.
    const CASES: &[(u32, &str, [bool; 6])] = &[
        (0xf940_0441, "ldr x1, [x2, #8]", [false; 6]),
        (0x48df_fc41, "ldarh w1, [x2]", [true, false, false, false, false, false]),
        (0x38bf_c041, "ldaprb w1, [x2]", [true, true, false, false, false, false]),
        (0xc89f_7c41, "stllr x1, [x2]", [false, false, true, true, false, false]),
        (0x48e1_fc62, "casalh w1, w2, [x3]", [true, false, true, false, false, false]),
        (0xb861_8062, "swpl w1, w2, [x3]", [false, false, true, false, false, false]),
        (0x389f_f8c5, "ldtrsb x5, [x6, #-1]", [false, false, false, false, true, false]),
        (0x2c40_8861, "ldnp s1, s2, [x3, #4]", [false, false, false, false, false, true]),
        (0x4d01_8461, "stl1 {v1.d}[1], [x3]", [false, false, true, false, false, false]),
    ];
    for &(word, text, want) in CASES {
        let got = decode(word).unwrap();
        let have = [
            got.is_acquire(),
            got.is_acquire_pc(),
            got.is_release(),
            got.is_limited(),
            got.is_unprivileged(),
            got.is_non_temporal(),
        ];
        assert_eq!(have, want, "{text}");
    }
}

#[test]
fn lanes_are_counted_in_elements() {
    const CASES: &[(u32, &str, u8)] = &[
        (0x4d40_1c61, "ld1 {v1.b}[15], [x3]", 15),
        (0x4d40_4861, "ld1 {v1.h}[5], [x3]", 5),
        (0x0d40_9061, "ld1 {v1.s}[1], [x3]", 1),
        (0x4d9f_a461, "st3 {v1.d-v3.d}[1], [x3], #24", 1),
    ];
    for &(word, text, lane) in CASES {
        assert_eq!(decode(word).unwrap().lane(), lane, "{text}");
    }
}

#[test]
fn register_numbers_that_clash_are_unpredictable() {
    const CASES: &[(u32, &str)] = &[
        (0xf840_8442, "ldr x2, [x2], #8"),
        (0xa8c1_0841, "ldp x1, x2, [x2], #16"),
        (0xa940_0441, "ldp x1, x1, [x2]"),
        (0xc801_7c41, "stxr w1, x1, [x2]"),
        (0xc802_7c41, "stxr w2, x1, [x2]"),
    ];
    for &(word, text) in CASES {
        assert!(decode(word).unwrap().is_unpredictable(), "{text}");
    }
    assert!(!decode(0xfc40_8442).unwrap().is_unpredictable(), "ldr d2, [x2], #8: another bank");
    assert!(!decode(0xf840_87ff).unwrap().is_unpredictable(), "ldr xzr, [sp], #8");
}

#[test]
fn offset_registers_are_extended_before_the_shift() {
    let value = 0x8000_0001_8000_0001;
    assert_eq!(Extend::Uxtw.apply(value, 1), 0x1_0000_0002);
    assert_eq!(Extend::Sxtw.apply(value, 1), 0xffff_ffff_0000_0002);
    assert_eq!(Extend::Lsl.apply(value, 1), 0x0000_0003_0000_0002);
    assert_eq!(Extend::Sxtx.apply(value, 0), value);
}

#[test]
fn the_form_names_the_address_and_stays_small() {
    assert_eq!(decode(0xf87f_fc41).unwrap().address(), AuthenticatedPre);
    assert_eq!(decode(0xf940_0441).unwrap().address(), Scaled12);
    assert_eq!(decode(0xd50b_7425).unwrap().address(), Target);
    assert_eq!(decode(0xc85f_7c41).unwrap().address(), Base);
    assert!(size_of::<Access>() <= 16, "two registers");
}
