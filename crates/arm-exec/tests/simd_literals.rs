//! Single instructions with results worked by hand from the manual's descriptions.

mod simd_support;

use simd_support::Machine;

const QC: u32 = 1 << 27;
const IOC: u32 = 1;
const DZC: u32 = 2;
const OFC: u32 = 4;
const IXC: u32 = 16;
const IDC: u32 = 128;

/// V0, V1, V2 before; V0 and FPSR after, from FPSR 0 and this FPCR.
struct Case {
    name: &'static str,
    word: u32,
    fpcr: u32,
    before: [u128; 3],
    want: u128,
    fpsr: u32,
}

const fn case(name: &'static str, word: u32, before: [u128; 3], want: u128, fpsr: u32) -> Case {
    Case { name, word, fpcr: 0, before, want, fpsr }
}

const fn under(fpcr: u32, name: &'static str, word: u32, before: [u128; 3], want: u128, fpsr: u32) -> Case {
    Case { name, word, fpcr, before, want, fpsr }
}

const DIRTY: u128 = u128::MAX;
const LOW: u128 = 0xffff_ffff_ffff_ffff;
const FZ: u32 = 1 << 24;
const DN: u32 = 1 << 25;
const AHP: u32 = 1 << 26;
const TO_ZERO: u32 = 3 << 22;

const INTEGER: &[Case] = &[
    case("add v0.8b", 0x0e22_8420, [DIRTY, 0xff_00ff, 0x01_0001], 0, 0),
    case("add v0.16b", 0x4e22_8420, [DIRTY, 0xff << 120, 0x02 << 120], 1 << 120, 0),
    case("add d0, d1, d2", 0x5ee2_8420, [DIRTY, DIRTY, 2], 1, 0),
    case("sub v0.2d", 0x6ee2_8420, [0, 0, 1 << 64 | 1], DIRTY, 0),
    case("sqadd b0, 127 + 1", 0x5e22_0c20, [DIRTY, 0x7f, 1], 0x7f, QC),
    case("sqadd b0, 126 + 1", 0x5e22_0c20, [DIRTY, 0x7e, 1], 0x7f, 0),
    case("uqsub h0, 1 − 2", 0x7e62_2c20, [DIRTY, 1, 2], 0, QC),
    case("uqadd v0.8b, upper half not looked at", 0x2e22_0c20, [0, DIRTY << 64, DIRTY << 64], 0, 0),
    case("srhadd v0.8b, (−1 + 0 + 1) / 2", 0x0e22_1420, [0, 0xff, 0], 0, 0),
    case("shadd v0.8b, (−1 + 0) / 2", 0x0e22_0420, [0, 0xff, 0], 0xff, 0),
    case("uhsub v0.8b, (0 − 1) / 2", 0x2e22_2420, [0, 0, 1], 0xff, 0),
    case("cmhi v0.4s", 0x6ea2_3420, [0, 0xffff_ffff, 1], 0xffff_ffff, 0),
    case("cmgt v0.4s", 0x4ea2_3420, [0, 0xffff_ffff, 1], 0, 0),
    case("cmtst v0.8b", 0x0e22_8c20, [0, 0x0181, 0x8080], 0x00ff, 0),
    case("bsl v0.16b", 0x6e62_1c20, [0xf0, 0x33, 0x55], 0x35, 0),
    case("bit v0.16b", 0x6ea2_1c20, [0xf0, 0x33, 0x0f], 0xf3, 0),
    case("bif v0.16b", 0x6ee2_1c20, [0xf0, 0x33, 0x0f], 0x30, 0),
    case("orn v0.8b", 0x0ee2_1c20, [0, 1, 0xff], 0xffff_ffff_ffff_ff01, 0),
    case(
        "sshl v0.2d by −1 of −3",
        0x4ee2_4420,
        [0, DIRTY - 2, 0xff],
        DIRTY >> 64 << 64 | 0xffff_ffff_ffff_fffe,
        0,
    ),
    case("srshl d0 by −64 of −1", 0x5ee2_5420, [0, DIRTY, 0xc0], 0, 0),
    case("urshl d0 by −64 of 2⁶³", 0x7ee2_5420, [0, 1 << 63, 0xc0], 1, 0),
    case("uqshl b0 by 1 of 128", 0x7e22_4c20, [0, 0x80, 1], 0xff, QC),
    case("uqshl b0 by 127 of 0", 0x7e22_4c20, [0, 0, 0x7f], 0, 0),
    case("sqshl b0 by 8 of −1", 0x5e22_4c20, [0, 0xff, 8], 0x80, QC),
    case("sqdmulh h0, −1 · −1", 0x5e62_b420, [0, 0x8000, 0x8000], 0x7fff, QC),
    case("sqdmulh h0, −1 · 1/2", 0x5e62_b420, [0, 0x8000, 0x4000], 0xc000, 0),
    case("sqrdmulh h0 rounds 1/2 up", 0x7e62_b420, [0, 1, 0x4000], 1, 0),
    case("sqdmulh h0 cuts 1/2 off", 0x5e62_b420, [0, 1, 0x4000], 0, 0),
    case("sqrdmlah h0", 0x7e42_8420, [0x7fff, 0x7fff, 0x7fff], 0x7fff, QC),
    case("sqrdmlsh h0", 0x7e42_8c20, [0x7fff, 0x7fff, 0x7fff], 0x0001, 0),
    case("sdot v0.2s", 0x0e82_9420, [10, 0xff02_0304, 0x0101_0101], 18, 0),
    case("udot v0.2s", 0x2e82_9420, [10, 0xff02_0304, 0x0101_0101], 274, 0),
    case("pmul v0.8b", 0x2e22_9c20, [0, 0x03, 0x83], 0x85, 0),
    case("pmull v0.8h", 0x0e22_e020, [0, 0xff, 0xff], 0x5555, 0),
    case("umull2 v0.8h", 0x6e22_c020, [DIRTY, 0xff << 64, 0xff << 64], 0xfe01, 0),
    case("sqdmull s0, −1 · −1", 0x5e62_d020, [DIRTY, 0x8000, 0x8000], 0x7fff_ffff, QC),
    case("addhn v0.8b", 0x0e22_4020, [DIRTY, 0x1234, 0x0100], 0x13, 0),
    case("raddhn2 v0.16b keeps the low half", 0x6e22_4020, [DIRTY, 0x1280, 0], 0x13 << 64 | LOW, 0),
    case("xtn2 v0.4s", 0x4ea1_2820, [7, 2 << 64 | 1, 0], 2 << 96 | 1 << 64 | 7, 0),
    case("sqxtun b0 of −1", 0x7e21_2820, [DIRTY, 0xffff, 0], 0, QC),
    case("uqxtn h0 of 2¹⁶", 0x7e61_4820, [DIRTY, 0x1_0000, 0], 0xffff, QC),
    case("suqadd b0, −128 + 255", 0x5e20_3820, [0x80, 0xff, 0], 0x7f, 0),
    case("usqadd b0, 1 − 2", 0x7e20_3820, [1, 0xfe, 0], 0, QC),
    case("sqabs d0 of the smallest", 0x5ee0_7820, [0, 1 << 63, 0], (1 << 63) - 1, QC),
    case("abs d0 of the smallest", 0x5ee0_b820, [0, 1 << 63, 0], 1 << 63, 0),
    case("cls v0.8b", 0x0e20_4820, [0, 0x00ff_c040_2010_fe01, 0], 0x0707_0100_0102_0606, 0),
    case("clz v0.2s", 0x2ea0_4820, [0, 1, 0], 32 << 32 | 31, 0),
    case("cnt v0.8b", 0x0e20_5820, [0, 0xff01, 0], 0x0801, 0),
    case("rev64 v0.4h", 0x0e60_0820, [0, 0x0001_0002_0003_0004, 0], 0x0004_0003_0002_0001, 0),
    case("sshr d0, #64", 0x5f40_0420, [0, 1 << 63, 0], LOW, 0),
    case("ushr d0, #64", 0x7f40_0420, [DIRTY, 1 << 63, 0], 0, 0),
    case("urshr d0, #64", 0x7f40_2420, [DIRTY, 1 << 63, 0], 1, 0),
    case("sri v0.8b, #4", 0x2f0c_4420, [0xab, 0xcd, 0], 0xac, 0),
    case("sli v0.8b, #4", 0x2f0c_5420, [0xab, 0xcd, 0], 0xdb, 0),
    case("sqshlu b0, #1 of −1", 0x7f09_6420, [0, 0xff, 0], 0, QC),
    case("sqshlu b0, #1 of 127", 0x7f09_6420, [0, 0x7f, 0], 0xfe, 0),
    case("sqrshrn b0, #8 of 0x7f80", 0x5f08_9c20, [0, 0x7f80, 0], 0x7f, QC),
    case("addp d0, v1.2d", 0x5ef1_b820, [DIRTY, 2 << 64 | 3, 0], 5, 0),
    case("uaddlv h0, v1.16b", 0x6e30_3820, [DIRTY, DIRTY, 0], 16 * 255, 0),
    case("urecpe v0.2s of 1/2 and less", 0x0ea1_c820, [0, 0x8000_0000, 0], 0xffff_ffff_ff80_0000, 0),
    case("ursqrte v0.2s of 1/4 and less", 0x2ea1_c820, [0, 0x4000_0000, 0], 0xffff_ffff_ff80_0000, 0),
];

const IMMEDIATE: &[Case] = &[
    case("movi v0.2s, #0xab, lsl #16", 0x0f05_4560, [DIRTY, 0, 0], 0x00ab_0000_00ab_0000, 0),
    case("mvni v0.2s, #0xab", 0x2f05_0560, [DIRTY, 0, 0], 0xffff_ff54_ffff_ff54, 0),
    case("orr v0.2s, #0xab, lsl #24", 0x0f05_7560, [1 | 1 << 64, 0, 0], 0xab00_0000_ab00_0001, 0),
    case("bic v0.4h, #0xab, lsl #8", 0x2f05_b560, [LOW, 0, 0], 0x54ff_54ff_54ff_54ff, 0),
    case("movi v0.4h, #0xab", 0x0f05_8560, [DIRTY, 0, 0], 0x00ab_00ab_00ab_00ab, 0),
    case("movi v0.2s, #0xab, msl #8", 0x0f05_c560, [DIRTY, 0, 0], 0x0000_abff_0000_abff, 0),
    case("mvni v0.2s, #0xab, msl #16", 0x2f05_d560, [DIRTY, 0, 0], 0xff54_0000_ff54_0000, 0),
    case("movi v0.8b, #0xab", 0x0f05_e560, [DIRTY, 0, 0], 0xabab_abab_abab_abab, 0),
    case("movi d0, imm8 0xab", 0x2f05_e560, [DIRTY, 0, 0], 0xff00_ff00_ff00_ffff, 0),
    case(
        "movi v0.2d, imm8 0x80",
        0x6f04_e400,
        [0, 0, 0],
        0xff00_0000_0000_0000 << 64 | 0xff00_0000_0000_0000,
        0,
    ),
    case("fmov v0.2s, #1.0", 0x0f03_f600, [DIRTY, 0, 0], 0x3f80_0000_3f80_0000, 0),
    case(
        "fmov v0.2d, #-0.125",
        0x6f06_f400,
        [0, 0, 0],
        0xbfc0_0000_0000_0000 << 64 | 0xbfc0_0000_0000_0000,
        0,
    ),
    case("fmov s0, #2.0", 0x1e20_1000, [DIRTY, 0, 0], 0x4000_0000, 0),
    case("fmov s0, #31.0", 0x1e27_f000, [DIRTY, 0, 0], 0x41f8_0000, 0),
    case("fmov d0, #-1.9375", 0x1e7f_f000, [DIRTY, 0, 0], 0xbfff_0000_0000_0000, 0),
];

const ONE: u128 = 0x3ff0_0000_0000_0000;
const THREE: u128 = 0x4008_0000_0000_0000;
const INFINITY: u128 = 0x7ff0_0000_0000_0000;
const DEFAULT_NAN: u128 = 0x7ff8_0000_0000_0000;
const SIGNALLING_NAN: u128 = 0x7ff0_0000_0000_0001;

const FLOAT: &[Case] = &[
    case("fadd d0, 1 + 1", 0x1e62_2820, [DIRTY, ONE, ONE], 0x4000_0000_0000_0000, 0),
    case("fadd s0, 1 + 2⁻²⁴, a tie", 0x1e22_2820, [DIRTY, 0x3f80_0000, 0x3380_0000], 0x3f80_0000, IXC),
    under(
        1 << 22,
        "fadd s0, the same, upwards",
        0x1e22_2820,
        [0, 0x3f80_0000, 0x3380_0000],
        0x3f80_0001,
        IXC,
    ),
    case("fsub d0, ∞ − ∞", 0x1e62_3820, [0, INFINITY, INFINITY], DEFAULT_NAN, IOC),
    case("fmul s0 overflows", 0x1e22_0820, [0, 0x7f7f_ffff, 0x4000_0000], 0x7f80_0000, OFC | IXC),
    under(
        TO_ZERO,
        "fmul s0, the same, to zero",
        0x1e22_0820,
        [0, 0x7f7f_ffff, 0x4000_0000],
        0x7f7f_ffff,
        OFC | IXC,
    ),
    case("fnmul d0, −(1 · 3)", 0x1e62_8820, [0, ONE, THREE], THREE | 1 << 63, 0),
    case("fdiv d0, 1 / 0", 0x1e62_1820, [0, ONE, 0], INFINITY, DZC),
    case("fdiv d0, 1 / 3", 0x1e62_1820, [0, ONE, THREE], 0x3fd5_5555_5555_5555, IXC),
    case("fsqrt d0 of −1", 0x1e61_c020, [0, ONE | 1 << 63, 0], DEFAULT_NAN, IOC),
    case("fmax d0 of −0 and +0", 0x1e62_4820, [DIRTY, 1 << 63, 0], 0, 0),
    case("fminnm d0 ignores a quiet NaN", 0x1e62_7820, [0, DEFAULT_NAN, ONE], ONE, 0),
    case("fmin d0 does not", 0x1e62_5820, [0, DEFAULT_NAN, ONE], DEFAULT_NAN, 0),
    case(
        "fmaxnm d0 raises for a signalling one",
        0x1e62_6820,
        [0, SIGNALLING_NAN, ONE],
        SIGNALLING_NAN | 1 << 51,
        IOC,
    ),
    under(DN, "fadd d0 with DN", 0x1e62_2820, [0, SIGNALLING_NAN, ONE], DEFAULT_NAN, IOC),
    under(FZ, "fadd d0 flushes operands", 0x1e62_2820, [0, 1, ONE], ONE, IDC),
    case(
        "fmov d0 takes NaNs as they are",
        0x1e60_4020,
        [DIRTY, DIRTY << 64 | SIGNALLING_NAN, 0],
        SIGNALLING_NAN,
        0,
    ),
    case("fabs s0 of a NaN", 0x1e20_c020, [DIRTY, 0xffc0_0001, 0], 0x7fc0_0001, 0),
    case("fneg s0 of a NaN", 0x1e21_4020, [DIRTY, 0x7f80_0001, 0], 0xff80_0001, 0),
    case("fmulx s0, 0 · −∞", 0x5e22_dc20, [DIRTY, 0, 0xff80_0000], 0xc000_0000, 0),
    case("frecps s0, 0 · ∞", 0x5e22_fc20, [0, 0, 0x7f80_0000], 0x4000_0000, 0),
    case("frsqrts s0, 0 · ∞", 0x5ea2_fc20, [0, 0, 0x7f80_0000], 0x3fc0_0000, 0),
    case("frecpe s0 of 1", 0x5ea1_d820, [0, 0x3f80_0000, 0], 0x3f7f_8000, 0),
    case("frsqrte s0 of 1", 0x7ea1_d820, [0, 0x3f80_0000, 0], 0x3f7f_8000, 0),
    case("frecpe s0 of −0", 0x5ea1_d820, [0, 0x8000_0000, 0], 0xff80_0000, DZC),
    case("frecpx s0 of 1", 0x5ea1_f820, [0, 0x3f80_0000, 0], 0x4000_0000, 0),
    case("facgt s0, |−2| > 1", 0x7ea2_ec20, [0, 0xc000_0000, 0x3f80_0000], 0xffff_ffff, 0),
    case("fcmge s0 with a quiet NaN", 0x7e22_e420, [DIRTY, 0x7fc0_0000, 0], 0, IOC),
    case("fcmeq s0 with a quiet NaN", 0x5e22_e420, [DIRTY, 0x7fc0_0000, 0], 0, 0),
    case("frinta d0 of 2.5", 0x1e66_4020, [0, 0x4004_0000_0000_0000, 0], THREE, 0),
    case("frintn d0 of 2.5", 0x1e64_4020, [0, 0x4004_0000_0000_0000, 0], 0x4000_0000_0000_0000, 0),
    case("frintx d0 of 2.5", 0x1e67_4020, [0, 0x4004_0000_0000_0000, 0], 0x4000_0000_0000_0000, IXC),
    case("fcvt s0, d1 of 1 + 2⁻⁵²", 0x1e62_4020, [DIRTY, ONE + 1, 0], 0x3f80_0000, IXC),
    case("fcvtxn s0, d1 of 1 + 2⁻⁵², to odd", 0x7e61_6820, [DIRTY, ONE + 1, 0], 0x3f80_0001, IXC),
    case("fcvt h0, s1 of 65520 overflows", 0x1e23_c020, [DIRTY, 0x477f_f000, 0], 0x7c00, OFC | IXC),
    under(AHP, "fcvt h0, s1 of ∞ with AHP", 0x1e23_c020, [DIRTY, 0x7f80_0000, 0], 0x7fff, IOC),
    under(AHP, "fcvt s0, h1 of 0x7c00 with AHP", 0x1ee2_4020, [DIRTY, 0x7c00, 0], 0x4780_0000, 0),
    case("fcvt d0, h1 of the smallest subnormal", 0x1ee2_c020, [DIRTY, 1, 0], 0x3e70_0000_0000_0000, 0),
    case("fcvtzs s0 of 2³¹", 0x5ea1_b820, [0, 0x4f00_0000, 0], 0x7fff_ffff, IOC),
    case("fcvtzu v0.2s, #1 of 0.5", 0x2f3f_fc20, [0, 0x3f00_0000, 0], 1, 0),
    case("scvtf s0, #31 of −2³¹", 0x5f21_e420, [0, 0x8000_0000, 0], 0xbf80_0000, 0),
    case("ucvtf v0.2d of 2⁶⁴ − 1", 0x6e61_d820, [0, LOW, 0], 0x43f0_0000_0000_0000, IXC),
    case("fmaxv s0", 0x6e30_f820, [DIRTY, 0x3f80_0000_0000_0000_4000_0000_c000_0000, 0], 0x4000_0000, 0),
    case("faddp s0", 0x7e30_d820, [DIRTY, 0x3f80_0000_3f80_0000, 0], 0x4000_0000, 0),
    case(
        "fdiv v0.2s: 0 / 0 in the upper half is not computed",
        0x2e22_fc20,
        [0, 0, 0x3f80_0000_3f80_0000],
        0,
        0,
    ),
];

#[test]
fn instructions_give_the_results_worked_by_hand() {
    for case in [INTEGER, IMMEDIATE, FLOAT].into_iter().flatten() {
        let [d, n, m] = case.before;
        let mut machine = Machine::with(d, n, m);
        machine.fp.fpcr = case.fpcr;
        machine.run(case.word);
        let got = machine.v0();
        assert_eq!(got, case.want, "{}: {got:#034x}, not {:#034x}", case.name, case.want);
        assert_eq!(machine.fp.fpsr, case.fpsr, "{}: FPSR", case.name);
    }
}

/// fmadd and its kin: word, a, n, m, result. a is V3.
#[test]
fn fused_instructions_negate_as_their_names_say() {
    const CASES: &[(&str, u32, u128)] = &[
        ("fmadd, 1 + 3 · 3", 0x1f42_0c20, 0x4024_0000_0000_0000),
        ("fmsub, 1 − 3 · 3", 0x1f42_8c20, 0xc020_0000_0000_0000),
        ("fnmadd, −1 − 3 · 3", 0x1f62_0c20, 0xc024_0000_0000_0000),
        ("fnmsub, −1 + 3 · 3", 0x1f62_8c20, 0x4020_0000_0000_0000),
    ];
    for &(name, word, want) in CASES {
        let mut machine = Machine::with(u128::MAX, THREE, THREE);
        machine.fp.v[3] = ONE;
        assert_eq!(machine.run(word).v0(), want, "{name}");
    }
}

#[test]
fn fused_multiplication_rounds_once() {
    // (1 + 2⁻²³)² − (1 + 2⁻²²) = 2⁻⁴⁶
    let mut machine = Machine::with(0, 0x3f80_0001, 0x3f80_0001);
    machine.fp.v[3] = 0x3f80_0002;
    assert_eq!(machine.run(0x1f22_8c20).v0(), 0x2880_0000, "fnmsub s0, s1, s2, s3");
    assert_eq!(machine.fp.fpsr, 0);
}

/// Numbers go between general and V registers.
#[test]
fn conversions_with_general_registers() {
    // Word, X1 before, V1 before, X0 after, V0 after, FPSR.
    const CASES: &[(&str, u32, u64, u128, u64, u128, u32)] = &[
        ("fmov w0, s1", 0x1e26_0020, 0, u128::MAX, 0xffff_ffff, 0, 0),
        ("fmov s0, w1", 0x1e27_0020, u64::MAX, 0, 0, 0xffff_ffff, 0),
        ("fmov x0, d1", 0x9e66_0020, 0, 5 | 7 << 64, 5, 0, 0),
        ("fmov x0, v1.d[1]", 0x9eae_0020, 0, 5 | 7 << 64, 7, 0, 0),
        ("fmov v0.d[1], x1", 0x9eaf_0020, 9, 0, 0, 9 << 64, 0),
        ("scvtf d0, x1", 0x9e62_0020, u64::MAX, 0, 0, 0xbff0_0000_0000_0000, 0),
        ("ucvtf d0, w1", 0x1e63_0020, u64::MAX, 0, 0, 0x41ef_ffff_ffe0_0000, 0),
        ("scvtf s0, w1, #4", 0x1e02_f020, 24, 0, 0, 0x3fc0_0000, 0),
        ("fcvtzs w0, s1 of −1.5", 0x1e38_0020, 0, 0xbfc0_0000, 0xffff_ffff, 0, IXC),
        ("fcvtms x0, s1 of −1.5", 0x9e30_0020, 0, 0xbfc0_0000, u64::MAX - 1, 0, IXC),
        ("fcvtns w0, d1 of 2.5", 0x1e60_0020, 0, 0x4004_0000_0000_0000, 2, 0, IXC),
        ("fcvtas w0, d1 of 2.5", 0x1e64_0020, 0, 0x4004_0000_0000_0000, 3, 0, IXC),
        ("fcvtpu w0, d1 of 2.5", 0x1e69_0020, 0, 0x4004_0000_0000_0000, 3, 0, IXC),
        ("fcvtzu x0, d1 of −1", 0x9e79_0020, 0, 0xbff0_0000_0000_0000, 0, 0, IOC),
        ("fcvtzs w0, d1 of a NaN", 0x1e78_0020, 0, DEFAULT_NAN, 0, 0, IOC),
        ("fcvtzs x0, d1 of 2⁶³", 0x9e78_0020, 0, 0x43e0_0000_0000_0000, 0x7fff_ffff_ffff_ffff, 0, IOC),
        ("fcvtzs w0, s1, #8 of 1.5", 0x1e18_e020, 0, 0x3fc0_0000, 0x180, 0, 0),
    ];
    for &(name, word, x1, v1, x0, v0, fpsr) in CASES {
        let mut machine = Machine::with(0, v1, 0);
        machine.x[1] = x1;
        machine.run(word);
        assert_eq!((machine.x[0], machine.v0()), (x0, v0), "{name}: {:#x} {:#x}", machine.x[0], machine.v0());
        assert_eq!(machine.fp.fpsr, fpsr, "{name}: FPSR");
    }
}

#[test]
fn comparisons_set_nzcv_and_raise_for_nans() {
    const QUIET: u128 = 0x7fc0_0000;
    const SIGNALLING: u128 = 0x7f80_0001;
    const ONE: u128 = 0x3f80_0000;
    const CASES: &[(&str, u32, u128, u128, u64, u32)] = &[
        ("fcmp 1, 1", 0x1e22_2020, ONE, ONE, 0b0110, 0),
        ("fcmp −0, +0", 0x1e22_2020, 1 << 31, 0, 0b0110, 0),
        ("fcmp 0, 1", 0x1e22_2020, 0, ONE, 0b1000, 0),
        ("fcmp 1, 0", 0x1e22_2020, ONE, 0, 0b0010, 0),
        ("fcmp NaN", 0x1e22_2020, QUIET, ONE, 0b0011, 0),
        ("fcmp signalling NaN", 0x1e22_2020, SIGNALLING, ONE, 0b0011, IOC),
        ("fcmpe NaN", 0x1e22_2030, ONE, QUIET, 0b0011, IOC),
        ("fcmp s1, #0.0", 0x1e20_2028, 1 << 31, ONE, 0b0110, 0),
        ("fcmpe s1, #0.0 NaN", 0x1e20_2038, QUIET, 0, 0b0011, IOC),
        ("fcmp d1, d2: the low word counts", 0x1e62_2020, 1, 0, 0b0010, 0),
    ];
    for &(name, word, n, m, nzcv, fpsr) in CASES {
        let mut machine = Machine::with(0, n, m);
        machine.run(word);
        assert_eq!((machine.flags.nzcv() >> 28, machine.fp.fpsr), (nzcv, fpsr), "{name}");
    }
}

/// Which of the 16 values of NZCV satisfy each condition. Arm ARM, ConditionHolds.
#[test]
fn conditions_choose_in_fcsel_and_fccmp() {
    use arm_exec::state::Flags;
    let holds = |condition: u32, nzcv: u64| {
        let [n, z, c, v] = [8, 4, 2, 1].map(|bit| nzcv & bit != 0);
        match condition {
            0 => z,
            1 => !z,
            2 => c,
            3 => !c,
            4 => n,
            5 => !n,
            6 => v,
            7 => !v,
            8 => c && !z,
            9 => !c || z,
            10 => n == v,
            11 => n != v,
            12 => !z && n == v,
            13 => z || n != v,
            _ => true,
        }
    };
    for condition in 0..16 {
        for nzcv in 0..16 {
            let mut machine = Machine::with(0, 1 | 5 << 64, 2);
            machine.flags = Flags::from_nzcv(nzcv << 28);
            machine.run(0x1e62_0c20 | condition << 12); // fcsel d0, d1, d2
            let taken = holds(condition, nzcv);
            assert_eq!(
                machine.v0(),
                if taken { 1 } else { 2 },
                "fcsel, condition {condition}, NZCV {nzcv:#b}"
            );
            machine.run(0x1e22_0425 | condition << 12); // fccmp s1, s2, #5
            let want = if taken { 0b1000 } else { 5 };
            assert_eq!(machine.flags.nzcv() >> 28, want, "fccmp, condition {condition}, NZCV {nzcv:#b}");
        }
    }
}
