//! What the Arm ARM's shared pseudocode says, case by case, worked by hand.

use arm_exec::fp::{self, Env, F16, F32, F64, Fpcr, Fpsr, Inexact, IntType, NanCompare, Rounding};

const FZ: u32 = Fpcr::FZ;
const FZ16: u32 = Fpcr::FZ16;
const DN: u32 = Fpcr::DN;
const AHP: u32 = Fpcr::AHP;
const RP: u32 = 1 << 22;
const RM: u32 = 2 << 22;
const RZ: u32 = 3 << 22;

const IOC: u32 = 0x01;
const DZC: u32 = 0x02;
const OFC: u32 = 0x04;
const UFC: u32 = 0x08;
const IXC: u32 = 0x10;
const IDC: u32 = 0x80;

// Single precision.
const ONE: u32 = 0x3f80_0000;
const TWO: u32 = 0x4000_0000;
const THREE: u32 = 0x4040_0000;
const INF: u32 = 0x7f80_0000;
const MAX: u32 = 0x7f7f_ffff;
const MIN_NORMAL: u32 = 0x0080_0000;
const SUBNORMAL: u32 = 0x0000_0001;
const DEFAULT_NAN: u32 = 0x7fc0_0000;
const QNAN1: u32 = 0xffc0_0001;
const QNAN2: u32 = 0x7fc0_0002;
const SNAN1: u32 = 0x7f80_0001;
const SNAN2: u32 = 0xff80_0002;
const QUIETED1: u32 = 0x7fc0_0001;
const QUIETED2: u32 = 0xffc0_0002;
const MINUS: u32 = 0x8000_0000;

struct Case {
    name: &'static str,
    cite: &'static str,
    fpcr: u32,
    op: fn(&mut Env) -> u64,
    want: u64,
    flags: u32,
}

const fn case(
    name: &'static str,
    cite: &'static str,
    fpcr: u32,
    op: fn(&mut Env) -> u64,
    want: u64,
    flags: u32,
) -> Case {
    Case { name, cite, fpcr, op, want, flags }
}

fn check(cases: &[Case]) {
    for &Case { name, cite, fpcr, op, want, flags } in cases {
        // What was in FPSR before stays, and hides nothing.
        for before in [0, IXC, IOC | DZC | OFC | UFC | IDC, Fpsr::QC] {
            let mut env = Env::new(fpcr, before);
            let got = op(&mut env);
            assert_eq!(
                (got, env.fpsr.0, env.fpcr.0),
                (want, flags | before, fpcr),
                "{name} ({cite}): got {got:#x} {:#x}, want {want:#x} {flags:#x} on top of {before:#x}",
                env.fpsr.0
            );
        }
    }
}

#[test]
#[rustfmt::skip] // one case, one line
fn nan_operands_follow_fpprocessnans() {
    check(&[
        case("the first of two quiet NaNs", "FPProcessNaNs", 0, |e| fp::add32(QNAN1, QNAN2, e).into(), QNAN1.into(), 0),
        case("the second if the first is a number", "FPProcessNaNs", 0, |e| fp::mul32(ONE, QNAN2, e).into(), QNAN2.into(), 0),
        case("a signalling second before a quiet first", "FPProcessNaNs", 0, |e| fp::add32(QNAN1, SNAN2, e).into(), QUIETED2.into(), IOC),
        case("the first of two signalling NaNs", "FPProcessNaNs", 0, |e| fp::div32(SNAN1, SNAN2, e).into(), QUIETED1.into(), IOC),
        case("the subtrahend keeps its sign", "FPSub", 0, |e| fp::sub32(ONE, QNAN1, e).into(), QNAN1.into(), 0),
        case("infinity does not help", "FPMul", 0, |e| fp::mul32(INF, QNAN2, e).into(), QNAN2.into(), 0),
        case("the default NaN for a quiet one", "FPProcessNaN, FPCR.DN", DN, |e| fp::add32(QNAN1, QNAN2, e).into(), DEFAULT_NAN.into(), 0),
        case("the default NaN for a signalling one", "FPProcessNaN, FPCR.DN", DN, |e| fp::add32(QNAN1, SNAN2, e).into(), DEFAULT_NAN.into(), IOC),
        case("double precision", "FPProcessNaN", 0, |e| fp::add64(0xfff0_0000_0000_0001, 0, e), 0xfff8_0000_0000_0001, IOC),
        case("square root", "FPSqrt", 0, |e| fp::sqrt32(SNAN2, e).into(), QUIETED2.into(), IOC),
        case("rounding to integral", "FPRoundInt", 0, |e| fp::round_int32(SNAN1, Rounding::Zero, Inexact::Ignore, e).into(), QUIETED1.into(), IOC),
        case("the step negates its first operand, NaN or not", "FPRecipStepFused", 0, |e| fp::recip_step32(QNAN1, ONE, e).into(), (QNAN1 ^ MINUS).into(), 0),
        case("and not its second", "FPRSqrtStepFused", 0, |e| fp::rsqrt_step32(ONE, QNAN1, e).into(), QNAN1.into(), 0),
        case("a subnormal beside a NaN is flushed all the same", "FPUnpack", FZ, |e| fp::add32(QNAN1, SUBNORMAL, e).into(), QNAN1.into(), IDC),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn fused_multiply_add_follows_fpmuladd() {
    check(&[
        case("a signalling addend first", "FPProcessNaNs3", 0, |e| fp::mul_add32(SNAN1, SNAN2, QNAN1, e).into(), QUIETED1.into(), IOC),
        case("a signalling factor before a quiet addend", "FPProcessNaNs3", 0, |e| fp::mul_add32(QNAN1, ONE, SNAN2, e).into(), QUIETED2.into(), IOC),
        case("a quiet addend before quiet factors", "FPProcessNaNs3", 0, |e| fp::mul_add32(QNAN2, QNAN1, QNAN1, e).into(), QNAN2.into(), 0),
        case("zero times infinity under a quiet addend", "FPMulAdd", 0, |e| fp::mul_add32(QNAN1, 0, INF, e).into(), DEFAULT_NAN.into(), IOC),
        case("infinity times zero under a quiet addend", "FPMulAdd", 0, |e| fp::mul_add32(QNAN1, INF, MINUS, e).into(), DEFAULT_NAN.into(), IOC),
        case("zero times infinity under a signalling addend", "FPMulAdd", 0, |e| fp::mul_add32(SNAN1, 0, INF, e).into(), QUIETED1.into(), IOC),
        case("a flushed zero times infinity", "FPMulAdd", FZ, |e| fp::mul_add32(QNAN1, SUBNORMAL, INF, e).into(), DEFAULT_NAN.into(), IOC | IDC),
        case("zero times infinity plus a number", "FPMulAdd", 0, |e| fp::mul_add32(ONE, 0, INF, e).into(), DEFAULT_NAN.into(), IOC),
        case("infinity less infinity", "FPMulAdd", 0, |e| fp::mul_add32(INF | MINUS, INF, ONE, e).into(), DEFAULT_NAN.into(), IOC),
        case("infinity plus infinity", "FPMulAdd", 0, |e| fp::mul_add32(INF, INF, ONE, e).into(), INF.into(), 0),
        case("a product beyond the format less infinity", "FPMulAdd", 0, |e| fp::mul_add32(INF | MINUS, MAX, MAX, e).into(), (INF | MINUS).into(), 0),
        case("zeros of one sign", "FPMulAdd", RP, |e| fp::mul_add32(MINUS, MINUS, ONE, e).into(), MINUS.into(), 0),
        case("zeros of two signs", "FPMulAdd", 0, |e| fp::mul_add32(0, MINUS, ONE, e).into(), 0, 0),
        case("zeros of two signs, towards minus infinity", "FPMulAdd", RM, |e| fp::mul_add32(0, MINUS, ONE, e).into(), MINUS.into(), 0),
        case("an exact cancellation, towards minus infinity", "FPMulAdd", RM, |e| fp::mul_add32(ONE | MINUS, ONE, ONE, e).into(), MINUS.into(), 0),
        // (1 + 2⁻²³)² - 1 - 2⁻²² is 2⁻⁴⁶: an unfused product would have lost it.
        case("one rounding", "FPMulAdd", 0, |e| fp::mul_add32(0xbf80_0002, 0x3f80_0001, 0x3f80_0001, e).into(), 0x2880_0000, 0),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn infinities_and_zeros_follow_the_pseudocode() {
    check(&[
        case("infinity less infinity", "FPSub", 0, |e| fp::sub32(INF, INF, e).into(), DEFAULT_NAN.into(), IOC),
        case("infinity plus infinity", "FPAdd", 0, |e| fp::add32(INF, INF, e).into(), INF.into(), 0),
        case("minus zero twice", "FPAdd", RP, |e| fp::add32(MINUS, MINUS, e).into(), MINUS.into(), 0),
        case("zero less zero", "FPSub", 0, |e| fp::sub32(0, 0, e).into(), 0, 0),
        case("zero less zero, towards minus infinity", "FPSub", RM, |e| fp::sub32(0, 0, e).into(), MINUS.into(), 0),
        case("x less x, towards minus infinity", "FPSub", RM, |e| fp::sub64(0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000, e), 1 << 63, 0),
        case("zero times infinity", "FPMul", 0, |e| fp::mul32(MINUS, INF, e).into(), DEFAULT_NAN.into(), IOC),
        case("zero times infinity, extended", "FPMulX", 0, |e| fp::mulx32(0, INF, e).into(), TWO.into(), 0),
        case("minus zero times infinity, extended", "FPMulX", 0, |e| fp::mulx32(INF, MINUS, e).into(), (TWO | MINUS).into(), 0),
        case("a flushed zero times infinity, extended", "FPMulX", FZ, |e| fp::mulx32(SUBNORMAL, INF, e).into(), TWO.into(), IDC),
        case("zero over zero", "FPDiv", 0, |e| fp::div32(0, MINUS, e).into(), DEFAULT_NAN.into(), IOC),
        case("infinity over infinity", "FPDiv", 0, |e| fp::div32(INF, INF, e).into(), DEFAULT_NAN.into(), IOC),
        case("one over minus zero", "FPDiv", 0, |e| fp::div32(ONE, MINUS, e).into(), (INF | MINUS).into(), DZC),
        case("infinity over zero divides nothing", "FPDiv", 0, |e| fp::div32(INF, 0, e).into(), INF.into(), 0),
        case("one over a flushed zero", "FPDiv", FZ, |e| fp::div32(ONE, SUBNORMAL, e).into(), INF.into(), DZC | IDC),
        case("one over infinity", "FPDiv", 0, |e| fp::div32(ONE, INF | MINUS, e).into(), MINUS.into(), 0),
        case("root of minus zero", "FPSqrt", 0, |e| fp::sqrt32(MINUS, e).into(), MINUS.into(), 0),
        case("root of minus one", "FPSqrt", 0, |e| fp::sqrt32(ONE | MINUS, e).into(), DEFAULT_NAN.into(), IOC),
        case("root of minus infinity", "FPSqrt", 0, |e| fp::sqrt32(INF | MINUS, e).into(), DEFAULT_NAN.into(), IOC),
        case("root of infinity", "FPSqrt", 0, |e| fp::sqrt32(INF, e).into(), INF.into(), 0),
        case("root of a negative subnormal, flushed", "FPSqrt", FZ, |e| fp::sqrt32(SUBNORMAL | MINUS, e).into(), MINUS.into(), IDC),
        case("step of zero and infinity", "FPRecipStepFused", 0, |e| fp::recip_step32(MINUS, INF, e).into(), TWO.into(), 0),
        case("step of infinity and one", "FPRecipStepFused", 0, |e| fp::recip_step32(INF, ONE, e).into(), (INF | MINUS).into(), 0),
        case("step to zero, towards minus infinity", "FPRecipStepFused", RM, |e| fp::recip_step32(ONE, TWO, e).into(), MINUS.into(), 0),
        case("root step of zero and infinity", "FPRSqrtStepFused", 0, |e| fp::rsqrt_step32(INF, MINUS, e).into(), 0x3fc0_0000, 0),
        case("root step of one and one", "FPRSqrtStepFused", 0, |e| fp::rsqrt_step32(ONE, ONE, e).into(), ONE.into(), 0),
        // (3 + MAX·1)/2: the sum would overflow if it were rounded before the halving.
        case("root step halves before rounding", "FPRSqrtStepFused", 0, |e| fp::rsqrt_step32(MAX | MINUS, TWO, e).into(), MAX.into(), IXC),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn flush_to_zero_takes_operands_and_results() {
    check(&[
        case("a subnormal operand is kept without FZ", "FPUnpack", 0, |e| fp::add32(SUBNORMAL, 0, e).into(), SUBNORMAL.into(), 0),
        case("a subnormal operand is flushed", "FPUnpack, FPCR.FZ", FZ, |e| fp::add32(SUBNORMAL, MINUS, e).into(), 0, IDC),
        case("with its sign", "FPUnpack, FPCR.FZ", FZ, |e| fp::add32(SUBNORMAL | MINUS, MINUS, e).into(), MINUS.into(), IDC),
        case("FZ16 is not for singles", "FPUnpack, FPCR.FZ16", FZ16, |e| fp::add32(SUBNORMAL, 0, e).into(), SUBNORMAL.into(), 0),
        case("an exact subnormal result stands without FZ", "FPRound", 0, |e| fp::sub32(MIN_NORMAL + 1, MIN_NORMAL, e).into(), 1, 0),
        case("an exact subnormal result is flushed with underflow", "FPRound, FPCR.FZ", FZ, |e| fp::sub32(MIN_NORMAL + 1, MIN_NORMAL, e).into(), 0, UFC),
        case("with its sign", "FPRound, FPCR.FZ", FZ, |e| fp::sub32(MIN_NORMAL, MIN_NORMAL + 1, e).into(), MINUS.into(), UFC),
        case("an inexact subnormal result is flushed without inexact", "FPRound, FPCR.FZ", FZ, |e| fp::div32(MIN_NORMAL, THREE, e).into(), 0, UFC),
        case("in every rounding mode", "FPRound, FPCR.FZ", FZ | RP, |e| fp::div32(MIN_NORMAL, THREE, e).into(), 0, UFC),
        case("an inexact subnormal result underflows without FZ", "FPRound", 0, |e| fp::div32(MIN_NORMAL, THREE, e).into(), 0x002a_aaab, UFC | IXC),
        // (1 - 2⁻²⁴) · 2⁻¹²⁶ rounds to 2⁻¹²⁶ after all, but it was tiny before.
        case("tiny is asked before rounding", "FPRound", 0, |e| fp::mul32(MIN_NORMAL, 0x3f7f_ffff, e).into(), MIN_NORMAL.into(), UFC | IXC),
        case("and flushed before rounding", "FPRound, FPCR.FZ", FZ, |e| fp::mul32(MIN_NORMAL, 0x3f7f_ffff, e).into(), 0, UFC),
        case("the smallest normal result is not flushed", "FPRound, FPCR.FZ", FZ, |e| fp::mul32(MIN_NORMAL, ONE, e).into(), MIN_NORMAL.into(), 0),
        case("rounded up to the smallest subnormal", "FPRound", RP, |e| fp::mul32(SUBNORMAL, SUBNORMAL, e).into(), 1, UFC | IXC),
        case("rounded to nothing", "FPRound", 0, |e| fp::mul32(SUBNORMAL, SUBNORMAL | MINUS, e).into(), MINUS.into(), UFC | IXC),
        case("double precision", "FPRound, FPCR.FZ", FZ, |e| fp::mul64(0x0010_0000_0000_0000, 0x3fe0_0000_0000_0000, e), 0, UFC),
        case("half precision is flushed by FZ16", "FPRound, FPCR.FZ16", FZ16, |e| fp::mul::<F16>(0x0400, 0x3800, e), 0, UFC),
        case("and its operands silently", "FPUnpackBase, FPCR.FZ16", FZ16, |e| fp::add::<F16>(0x0001, 0x8000, e), 0, 0),
        case("half precision is not flushed by FZ", "FPRound, FPCR.FZ", FZ, |e| fp::mul::<F16>(0x0400, 0x3800, e), 0x0200, 0),
        case("a comparison flushes too", "FPCompare", FZ, |e| fp::compare32(SUBNORMAL, MINUS, NanCompare::Quiet, e).into(), 0b0110, IDC),
        case("a minimum flushes too", "FPMin", FZ, |e| fp::min32(SUBNORMAL, ONE, e).into(), 0, IDC),
        case("a conversion to integer flushes too", "FPToFixed", FZ, |e| fp::to_int32(SUBNORMAL, IntType::I32, 0, Rounding::PosInf, e), 0, IDC),
        case("rounding to integral flushes too", "FPRoundInt", FZ, |e| fp::round_int32(SUBNORMAL | MINUS, Rounding::NegInf, Inexact::Raise, e).into(), MINUS.into(), IDC),
        case("FRECPX flushes for the flag only", "FPRecpX", FZ, |e| fp::recpx32(SUBNORMAL, e).into(), 0x7f00_0000, IDC),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn overflow_depends_on_rounding_mode_and_sign() {
    check(&[
        case("to nearest", "FPRound", 0, |e| fp::add32(MAX, MAX, e).into(), INF.into(), OFC | IXC),
        case("towards plus infinity", "FPRound", RP, |e| fp::add32(MAX, MAX, e).into(), INF.into(), OFC | IXC),
        case("towards plus infinity, negative", "FPRound", RP, |e| fp::mul32(MAX, MAX | MINUS, e).into(), (MAX | MINUS).into(), OFC | IXC),
        case("towards minus infinity", "FPRound", RM, |e| fp::add32(MAX, MAX, e).into(), MAX.into(), OFC | IXC),
        case("towards minus infinity, negative", "FPRound", RM, |e| fp::mul32(MAX, MAX | MINUS, e).into(), (INF | MINUS).into(), OFC | IXC),
        case("towards zero", "FPRound", RZ, |e| fp::mul32(MAX, MAX | MINUS, e).into(), (MAX | MINUS).into(), OFC | IXC),
        // MAX + 2¹⁰³ is half a unit beyond MAX: to nearest it overflows, towards zero it is only inexact.
        case("half a unit beyond, to nearest", "FPRound", 0, |e| fp::add32(MAX, 0x7300_0000, e).into(), INF.into(), OFC | IXC),
        case("half a unit beyond, towards zero", "FPRound", RZ, |e| fp::add32(MAX, 0x7300_0000, e).into(), MAX.into(), IXC),
        case("less than half a unit beyond", "FPRound", 0, |e| fp::add32(MAX, 0x72ff_ffff, e).into(), MAX.into(), IXC),
        case("double precision", "FPRound", 0, |e| fp::mul64(0x7fef_ffff_ffff_ffff, 0x4000_0000_0000_0000, e), 0x7ff0_0000_0000_0000, OFC | IXC),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn comparisons_give_flags_and_signal_as_told() {
    const Q: NanCompare = NanCompare::Quiet;
    const S: NanCompare = NanCompare::Signalling;
    check(&[
        case("equal", "FPCompare", 0, |e| fp::compare32(ONE, ONE, Q, e).into(), 0b0110, 0),
        case("zeros are equal", "FPCompare", 0, |e| fp::compare32(0, MINUS, S, e).into(), 0b0110, 0),
        case("less", "FPCompare", 0, |e| fp::compare32(TWO | MINUS, ONE | MINUS, Q, e).into(), 0b1000, 0),
        case("greater", "FPCompare", 0, |e| fp::compare32(INF, MAX, S, e).into(), 0b0010, 0),
        case("unordered, quiet", "FPCompare", 0, |e| fp::compare32(ONE, QNAN1, Q, e).into(), 0b0011, 0),
        case("unordered, told to signal", "FPCompare", 0, |e| fp::compare32(QNAN1, ONE, S, e).into(), 0b0011, IOC),
        case("unordered, signalling NaN", "FPCompare", 0, |e| fp::compare32(ONE, SNAN1, Q, e).into(), 0b0011, IOC),
        case("double precision", "FPCompare", 0, |e| fp::compare64(1, 1 << 63, Q, e).into(), 0b0010, 0),
        case("EQ with a quiet NaN", "FPCompareEQ", 0, |e| fp::compare_eq32(QNAN1, QNAN1, e).into(), 0, 0),
        case("EQ with a signalling NaN", "FPCompareEQ", 0, |e| fp::compare_eq32(QNAN1, SNAN1, e).into(), 0, IOC),
        case("EQ of zeros", "FPCompareEQ", 0, |e| fp::compare_eq64(0, 1 << 63, e).into(), 1, 0),
        case("GE with a quiet NaN", "FPCompareGE", 0, |e| fp::compare_ge32(QNAN1, ONE, e).into(), 0, IOC),
        case("GE of zeros", "FPCompareGE", 0, |e| fp::compare_ge32(MINUS, 0, e).into(), 1, 0),
        case("GT with a quiet NaN", "FPCompareGT", 0, |e| fp::compare_gt32(ONE, QNAN1, e).into(), 0, IOC),
        case("GT of zeros", "FPCompareGT", 0, |e| fp::compare_gt32(0, MINUS, e).into(), 0, 0),
        case("GT", "FPCompareGT", 0, |e| fp::compare_gt64(0x3ff0_0000_0000_0000, 0xfff0_0000_0000_0000, e).into(), 1, 0),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn minimum_and_maximum_know_zeros_and_nans() {
    check(&[
        case("maximum of zeros", "FPMax", 0, |e| fp::max32(MINUS, 0, e).into(), 0, 0),
        case("maximum of minus zeros", "FPMax", 0, |e| fp::max32(MINUS, MINUS, e).into(), MINUS.into(), 0),
        case("minimum of zeros", "FPMin", 0, |e| fp::min32(0, MINUS, e).into(), MINUS.into(), 0),
        case("maximum", "FPMax", 0, |e| fp::max32(TWO | MINUS, ONE | MINUS, e).into(), (ONE | MINUS).into(), 0),
        case("minimum", "FPMin", 0, |e| fp::min32(TWO | MINUS, INF, e).into(), (TWO | MINUS).into(), 0),
        case("maximum with a quiet NaN", "FPMax", 0, |e| fp::max32(ONE, QNAN1, e).into(), QNAN1.into(), 0),
        case("minimum with a signalling NaN", "FPMin", 0, |e| fp::min32(QNAN1, SNAN2, e).into(), QUIETED2.into(), IOC),
        case("maximum number with a quiet NaN", "FPMaxNum", 0, |e| fp::maxnum32(ONE | MINUS, QNAN1, e).into(), (ONE | MINUS).into(), 0),
        case("minimum number with a quiet NaN", "FPMinNum", 0, |e| fp::minnum32(QNAN1, INF, e).into(), INF.into(), 0),
        case("maximum number of two quiet NaNs", "FPMaxNum", 0, |e| fp::maxnum32(QNAN1, QNAN2, e).into(), QNAN1.into(), 0),
        case("maximum number with a signalling NaN", "FPMaxNum", 0, |e| fp::maxnum32(ONE, SNAN1, e).into(), QUIETED1.into(), IOC),
        case("minimum number of a quiet and a signalling NaN", "FPMinNum", 0, |e| fp::minnum32(QNAN1, SNAN2, e).into(), QUIETED2.into(), IOC),
        case("maximum number flushes", "FPMaxNum", FZ, |e| fp::maxnum32(QNAN1, SUBNORMAL, e).into(), 0, IDC),
        case("with the default NaN", "FPMaxNum", DN, |e| fp::maxnum64(0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0002, e), 0x7ff8_0000_0000_0000, 0),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn conversions_between_formats_follow_fpconvert() {
    check(&[
        case("a NaN's payload widens to the left", "FPConvertNaN", 0, |e| fp::f16_to_f64(0xfe01, e), 0xfff8_0400_0000_0000, 0),
        case("and narrows from the right", "FPConvertNaN", 0, |e| fp::f64_to_f32(0xfff8_0000_2000_0001, e).into(), 0xffc0_0001, 0),
        case("a signalling NaN is quieted", "FPConvert", 0, |e| fp::f32_to_f64(SNAN1, e), 0x7ff8_0000_2000_0000, IOC),
        case("a signalling NaN whose payload vanishes is a NaN still", "FPConvert", 0, |e| fp::f64_to_f16(0x7ff0_0000_0000_0001, e).into(), 0x7e00, IOC),
        case("the default NaN", "FPConvert, FPCR.DN", DN, |e| fp::f32_to_f16(QNAN1, e).into(), 0x7e00, 0),
        case("the default NaN of a signalling one", "FPConvert, FPCR.DN", DN, |e| fp::f16_to_f32(0xfc01, e).into(), DEFAULT_NAN.into(), IOC),
        case("infinity", "FPConvert", 0, |e| fp::f64_to_f16(0xfff0_0000_0000_0000, e).into(), 0xfc00, 0),
        case("65520 overflows a half", "FPRoundCV", 0, |e| fp::f32_to_f16(0x477f_f000, e).into(), 0x7c00, OFC | IXC),
        case("just below does not", "FPRoundCV", 0, |e| fp::f32_to_f16(0x477f_efff, e).into(), 0x7bff, IXC),
        case("a subnormal half widens", "FPUnpackCV", 0, |e| fp::f16_to_f32(0x0001, e).into(), 0x3380_0000, 0),
        case("FZ16 leaves it alone", "FPUnpackCV, FPCR.FZ16", FZ16 | FZ, |e| fp::f16_to_f64(0x8001, e), 0xbe70_0000_0000_0000, 0),
        case("FZ and FZ16 leave a subnormal half result alone", "FPRoundCV", FZ16 | FZ, |e| fp::f32_to_f16(0x3380_0000, e).into(), 0x0001, 0),
        case("an inexact subnormal half underflows", "FPRoundCV", 0, |e| fp::f32_to_f16(0x3300_0001, e).into(), 0x0001, UFC | IXC),
        case("half of the smallest half goes to even", "FPRoundCV", 0, |e| fp::f32_to_f16(0x3300_0000, e).into(), 0x0000, UFC | IXC),
        case("FZ flushes a subnormal single on its way to half", "FPUnpackCV, FPCR.FZ", FZ | RP, |e| fp::f32_to_f16(SUBNORMAL, e).into(), 0, IDC),
        case("FZ flushes a single result", "FPRound, FPCR.FZ", FZ, |e| fp::f64_to_f32(0x3690_0000_0000_0000, e).into(), 0, UFC),
        case("an exact subnormal single result stands", "FPRound", 0, |e| fp::f64_to_f32(0x36a0_0000_0000_0000, e).into(), 1, 0),
        case("to odd, exact", "FCVTXN", 0, |e| fp::f64_to_f32_odd(0x3ff0_0000_0000_0000, e).into(), ONE.into(), 0),
        case("to odd, inexact", "FCVTXN", 0, |e| fp::f64_to_f32_odd(0x3ff0_0000_0000_0001, e).into(), 0x3f80_0001, IXC),
        case("to odd, already odd", "FCVTXN", RP, |e| fp::f64_to_f32_odd(0x3ff0_0000_3fff_ffff, e).into(), 0x3f80_0001, IXC),
        case("to odd, overflow", "FCVTXN", 0, |e| fp::f64_to_f32_odd(0x7fef_ffff_ffff_ffff, e).into(), MAX.into(), OFC | IXC),
        case("to odd, almost nothing", "FCVTXN", 0, |e| fp::f64_to_f32_odd(0x8010_0000_0000_0000, e).into(), 0x8000_0001, UFC | IXC),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn the_alternative_half_has_numbers_in_place_of_infinity_and_nan() {
    check(&[
        case("its greatest number", "FPUnpackCV, FPCR.AHP", AHP, |e| fp::f16_to_f32(0x7fff, e).into(), 0x47ff_e000, 0),
        case("where IEEE has infinity", "FPUnpackCV, FPCR.AHP", AHP, |e| fp::f16_to_f64(0xfc00, e), 0xc0f0_0000_0000_0000, 0),
        case("to its greatest number", "FPRoundCV, FPCR.AHP", AHP, |e| fp::f32_to_f16(0x47ff_e000, e).into(), 0x7fff, 0),
        case("rounded to it", "FPRoundCV, FPCR.AHP", AHP, |e| fp::f32_to_f16(0x47ff_efff, e).into(), 0x7fff, IXC),
        case("beyond it: invalid, not inexact", "FPRoundCV, FPCR.AHP", AHP, |e| fp::f32_to_f16(0x47ff_f000, e).into(), 0x7fff, IOC),
        case("far beyond it", "FPRoundCV, FPCR.AHP", AHP | RZ, |e| fp::f64_to_f16(0xffef_ffff_ffff_ffff, e).into(), 0xffff, IOC),
        case("infinity is invalid", "FPConvert, FPCR.AHP", AHP, |e| fp::f32_to_f16(INF | MINUS, e).into(), 0xffff, IOC),
        case("a quiet NaN is invalid, and zero", "FPConvert, FPCR.AHP", AHP, |e| fp::f32_to_f16(QNAN1, e).into(), 0x8000, IOC),
        case("even with the default NaN", "FPConvert, FPCR.AHP", AHP | DN, |e| fp::f64_to_f16(0x7ff8_0000_0000_0000, e).into(), 0, IOC),
        case("single to double does not care", "FPConvert, FPCR.AHP", AHP, |e| fp::f32_to_f64(INF, e), 0x7ff0_0000_0000_0000, 0),
        case("arithmetic does not care", "FPUnpack, FPCR.AHP", AHP, |e| fp::add::<F16>(0x7c00, 0, e), 0x7c00, 0),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn conversions_to_integers_saturate_with_invalid_alone() {
    use IntType::{I32, I64, U32, U64};
    use Rounding::{NegInf, PosInf, TieAway, TieEven, Zero};
    check(&[
        case("a NaN is zero", "FPToFixed", 0, |e| fp::to_int32(QNAN1, I32, 0, Zero, e), 0, IOC),
        case("infinity", "FPToFixed", 0, |e| fp::to_int32(INF, I32, 0, Zero, e), 0x7fff_ffff, IOC),
        case("minus infinity", "FPToFixed", 0, |e| fp::to_int32(INF | MINUS, I64, 0, Zero, e), 1 << 63, IOC),
        case("minus infinity, unsigned", "FPToFixed", 0, |e| fp::to_int32(INF | MINUS, U64, 0, Zero, e), 0, IOC),
        case("2³¹", "FPToFixed", 0, |e| fp::to_int32(0x4f00_0000, I32, 0, Zero, e), 0x7fff_ffff, IOC),
        case("-2³¹", "FPToFixed", 0, |e| fp::to_int32(0xcf00_0000, I32, 0, Zero, e), 0x8000_0000, 0),
        case("-2³¹ - 1/2 rounds in", "FPToFixed", 0, |e| fp::to_int64(0xc1e0_0000_0010_0000, I32, 0, Zero, e), 0x8000_0000, IXC),
        case("-2³¹ - 1/2 rounds out", "FPToFixed", 0, |e| fp::to_int64(0xc1e0_0000_0010_0000, I32, 0, NegInf, e), 0x8000_0000, IOC),
        case("2³² - 1/2 rounds out", "FPToFixed", 0, |e| fp::to_int64(0x41ef_ffff_fff0_0000, U32, 0, TieEven, e), 0xffff_ffff, IOC),
        case("2³² - 1/2 rounds in", "FPToFixed", 0, |e| fp::to_int64(0x41ef_ffff_fff0_0000, U32, 0, Zero, e), 0xffff_ffff, IXC),
        case("2⁶³ unsigned", "FPToFixed", 0, |e| fp::to_int64(0x43e0_0000_0000_0000, U64, 0, Zero, e), 1 << 63, 0),
        case("2⁶⁴ unsigned", "FPToFixed", 0, |e| fp::to_int64(0x43f0_0000_0000_0000, U64, 0, Zero, e), u64::MAX, IOC),
        case("-1/2 unsigned rounds to zero", "FPToFixed", 0, |e| fp::to_int32(0xbf00_0000, U32, 0, Zero, e), 0, IXC),
        case("-1/2 unsigned rounds to minus one", "FPToFixed", 0, |e| fp::to_int32(0xbf00_0000, U32, 0, NegInf, e), 0, IOC),
        case("5/2, ties to even", "FPToFixed", 0, |e| fp::to_int32(0x4020_0000, I32, 0, TieEven, e), 2, IXC),
        case("-5/2, ties away", "FPToFixed", 0, |e| fp::to_int32(0xc020_0000, I32, 0, TieAway, e), 0xffff_fffd, IXC),
        case("-5/2 up", "FPToFixed", 0, |e| fp::to_int32(0xc020_0000, I64, 0, PosInf, e), u64::MAX - 1, IXC),
        case("fixed point", "FPToFixed", 0, |e| fp::to_int32(0x3fc0_0000, I32, 4, Zero, e), 24, 0),
        case("fixed point, all fraction", "FPToFixed", 0, |e| fp::to_int64(0x3fe0_0000_0000_0000, U64, 64, Zero, e), 1 << 63, 0),
        case("fixed point, saturated", "FPToFixed", 0, |e| fp::to_int64(0x3fe0_0000_0000_0000, I64, 64, Zero, e), (1 << 63) - 1, IOC),
        case("minus zero", "FPToFixed", 0, |e| fp::to_int64(1 << 63, I64, 0, NegInf, e), 0, 0),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn conversions_from_integers_round_as_fpcr_says() {
    use IntType::{I32, I64, U32, U64};
    fn by_fpcr(value: u64, from: IntType, fbits: u32, env: &mut Env) -> u64 {
        fp::from_int32(value, from, fbits, env.fpcr.rmode(), env).into()
    }
    check(&[
        case("zero is plus zero", "FixedToFP", RM, |e| by_fpcr(0, I32, 0, e), 0, 0),
        case("minus one", "FixedToFP", 0, |e| by_fpcr(0xffff_ffff, I32, 0, e), 0xbf80_0000, 0),
        case("bits above the type are ignored", "FixedToFP", 0, |e| by_fpcr(0xdead_0000_0000_0001, U32, 0, e), ONE.into(), 0),
        case("-2⁶³", "FixedToFP", 0, |e| by_fpcr(1 << 63, I64, 0, e), 0xdf00_0000, 0),
        case("2²⁴ + 1, ties to even", "FixedToFP", 0, |e| by_fpcr(0x0100_0001, I32, 0, e), 0x4b80_0000, IXC),
        case("2²⁴ + 1 up", "FixedToFP", RP, |e| by_fpcr(0x0100_0001, I32, 0, e), 0x4b80_0001, IXC),
        case("2⁶⁴ - 1", "FixedToFP", RZ, |e| by_fpcr(u64::MAX, U64, 0, e), 0x5f7f_ffff, IXC),
        case("fixed point", "FixedToFP", 0, |e| by_fpcr(24, I32, 4, e), 0x3fc0_0000, 0),
        case("fixed point, all fraction", "FixedToFP", 0, |e| by_fpcr(1, U64, 64, e), 0x1f80_0000, 0),
        case("double", "FixedToFP", 0, |e| fp::from_int64(u64::MAX, U64, 0, Rounding::TieEven, e), 0x43f0_0000_0000_0000, IXC),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn rounding_to_integral_keeps_the_sign_and_is_exact_when_told() {
    use Inexact::{Ignore, Raise};
    fn frint(op: u32, rounding: Rounding, inexact: Inexact, env: &mut Env) -> u64 {
        fp::round_int32(op, rounding, inexact, env).into()
    }
    check(&[
        case("-0.4 is minus zero", "FPRoundInt", 0, |e| frint(0xbecc_cccd, Rounding::TieEven, Ignore, e), MINUS.into(), 0),
        case("with the flag", "FPRoundInt", 0, |e| frint(0xbecc_cccd, Rounding::TieEven, Raise, e), MINUS.into(), IXC),
        case("1/2 to even", "FPRoundInt", 0, |e| frint(0x3f00_0000, Rounding::TieEven, Ignore, e), 0, 0),
        case("1/2 away", "FPRoundInt", 0, |e| frint(0x3f00_0000, Rounding::TieAway, Ignore, e), ONE.into(), 0),
        case("3/2 to even", "FPRoundInt", 0, |e| frint(0x3fc0_0000, Rounding::TieEven, Ignore, e), TWO.into(), 0),
        case("a subnormal up", "FPRoundInt", 0, |e| frint(SUBNORMAL, Rounding::PosInf, Raise, e), ONE.into(), IXC),
        case("an integer is exact", "FPRoundInt", 0, |e| frint(THREE, Rounding::NegInf, Raise, e), THREE.into(), 0),
        case("the greatest fraction carries", "FPRoundInt", 0, |e| frint(0x4aff_ffff, Rounding::PosInf, Raise, e), 0x4b00_0000, IXC),
        case("from there on all are integers", "FPRoundInt", 0, |e| frint(0x4b00_0001, Rounding::PosInf, Raise, e), 0x4b00_0001, 0),
        case("infinity", "FPRoundInt", 0, |e| frint(INF | MINUS, Rounding::Zero, Raise, e), (INF | MINUS).into(), 0),
    ]);
}

#[test]
#[rustfmt::skip] // one case, one line
fn estimates_have_their_special_cases() {
    check(&[
        case("of one", "FPRecipEstimate", 0, |e| fp::recip_estimate32(ONE, e).into(), 0x3f7f_8000, 0),
        case("of minus three", "FPRecipEstimate", 0, |e| fp::recip_estimate32(THREE | MINUS, e).into(), 0xbeaa_8000, 0),
        case("of one, double", "FPRecipEstimate", 0, |e| fp::recip_estimate64(0x3ff0_0000_0000_0000, e), 0x3fef_f000_0000_0000, 0),
        case("of zero", "FPRecipEstimate", 0, |e| fp::recip_estimate32(MINUS, e).into(), (INF | MINUS).into(), DZC),
        case("of infinity", "FPRecipEstimate", 0, |e| fp::recip_estimate32(INF | MINUS, e).into(), MINUS.into(), 0),
        case("below 2⁻¹²⁸ overflows", "FPRecipEstimate", 0, |e| fp::recip_estimate32(0x001f_ffff, e).into(), INF.into(), OFC | IXC),
        case("to the greatest number, towards zero", "FPRecipEstimate", RZ, |e| fp::recip_estimate32(0x801f_ffff, e).into(), (MAX | MINUS).into(), OFC | IXC),
        case("to infinity, negative and down", "FPRecipEstimate", RM, |e| fp::recip_estimate32(0x801f_ffff, e).into(), (INF | MINUS).into(), OFC | IXC),
        case("of 2⁻¹²⁸", "FPRecipEstimate", 0, |e| fp::recip_estimate32(0x0020_0000, e).into(), 0x7f7f_8000, 0),
        case("of 2⁻¹²⁷", "FPRecipEstimate", 0, |e| fp::recip_estimate32(0x0040_0000, e).into(), 0x7eff_8000, 0),
        case("of 2⁻¹²⁷, flushed", "FPRecipEstimate, FPCR.FZ", FZ, |e| fp::recip_estimate32(0x0040_0000, e).into(), INF.into(), DZC | IDC),
        case("of 2¹²⁶ is subnormal", "FPRecipEstimate", 0, |e| fp::recip_estimate32(0x7e80_0000, e).into(), 0x007f_c000, 0),
        case("of 2¹²⁷ is more so", "FPRecipEstimate", 0, |e| fp::recip_estimate32(0x7f00_0000, e).into(), 0x003f_e000, 0),
        case("of 2¹²⁶, flushed", "FPRecipEstimate, FPCR.FZ", FZ, |e| fp::recip_estimate32(0xfe80_0000, e).into(), MINUS.into(), UFC),
        case("below 2¹²⁶, not flushed", "FPRecipEstimate, FPCR.FZ", FZ, |e| fp::recip_estimate32(0x7e7f_ffff, e).into(), 0x0080_0000, 0),
        case("root of one", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate32(ONE, e).into(), 0x3f7f_8000, 0),
        case("root of two", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate32(TWO, e).into(), 0x3f34_8000, 0),
        case("root of four, double", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate64(0x4010_0000_0000_0000, e), 0x3fdf_f000_0000_0000, 0),
        case("root of 2⁻¹⁴⁹", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate32(SUBNORMAL, e).into(), 0x64b4_8000, 0),
        case("root of minus zero", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate32(MINUS, e).into(), (INF | MINUS).into(), DZC),
        case("root of minus one", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate32(ONE | MINUS, e).into(), DEFAULT_NAN.into(), IOC),
        case("root of infinity", "FPRSqrtEstimate", 0, |e| fp::rsqrt_estimate32(INF, e).into(), 0, 0),
        case("exponent of one", "FPRecpX", 0, |e| fp::recpx32(0x3fff_ffff, e).into(), TWO.into(), 0),
        case("exponent of zero", "FPRecpX", 0, |e| fp::recpx32(MINUS, e).into(), 0xff00_0000, 0),
        case("exponent of infinity", "FPRecpX", 0, |e| fp::recpx64(0xfff0_0000_0000_0000, e), 1 << 63, 0),
        case("exponent of a NaN", "FPRecpX", 0, |e| fp::recpx32(SNAN2, e).into(), QUIETED2.into(), IOC),
        case("unsigned, below a half", "UnsignedRecipEstimate", 0, |_| fp::unsigned_recip_estimate(0x7fff_ffff).into(), 0xffff_ffff, 0),
        case("unsigned, of a half", "UnsignedRecipEstimate", 0, |_| fp::unsigned_recip_estimate(0x8000_0000).into(), 0xff80_0000, 0),
        case("unsigned, of almost one", "UnsignedRecipEstimate", 0, |_| fp::unsigned_recip_estimate(0xffff_ffff).into(), 0x8000_0000, 0),
        case("unsigned root, below a quarter", "UnsignedRSqrtEstimate", 0, |_| fp::unsigned_rsqrt_estimate(0x3fff_ffff).into(), 0xffff_ffff, 0),
        case("unsigned root, of a quarter", "UnsignedRSqrtEstimate", 0, |_| fp::unsigned_rsqrt_estimate(0x4000_0000).into(), 0xff80_0000, 0),
        case("unsigned root, of almost one", "UnsignedRSqrtEstimate", 0, |_| fp::unsigned_rsqrt_estimate(0xffff_ffff).into(), 0x8000_0000, 0),
    ]);
}

/// Arm ARM, `RecipEstimate` and `RecipSqrtEstimate`: the relative error of an estimate is less than 2⁻⁸.
#[test]
fn estimates_are_within_a_part_in_256() {
    for step in 0..0x2_0000_u64 {
        // All of the digits an estimate looks at, and some below, over two octaves.
        let op = 0x3ff0_0000_0000_0000 + (step << 36);
        let x = f64::from_bits(op);
        let mut env = Env::default();
        let recip = f64::from_bits(fp::recip_estimate::<F64>(op, &mut env));
        let rsqrt = f64::from_bits(fp::rsqrt_estimate::<F64>(op, &mut env));
        assert!((recip * x - 1.0).abs() < 1.0 / 256.0, "{x} {recip}");
        assert!((rsqrt * x.sqrt() - 1.0).abs() < 1.0 / 256.0, "{x} {rsqrt}");
        // The other formats have the same digits.
        let single = fp::convert::<F64, F32>(op, Rounding::Zero, &mut env);
        let mut quiet = Env::default();
        let wide = fp::convert::<F32, F64>(
            fp::recip_estimate::<F32>(single, &mut quiet),
            Rounding::Zero,
            &mut quiet,
        );
        assert_eq!((wide, quiet.fpsr.0), (recip.to_bits(), 0));
    }
}

#[test]
fn sign_operations_look_at_nothing() {
    assert_eq!((fp::abs32(SNAN2), fp::neg32(SNAN1)), (SNAN2 & !MINUS, SNAN1 | MINUS));
    assert_eq!((fp::abs64(1 << 63), fp::neg64(0)), (0, 1 << 63));
    assert_eq!((fp::abs::<F16>(0x8001), fp::neg::<F16>(0x8001)), (1, 1));
}

#[test]
fn bits_above_the_format_are_ignored() {
    let mut env = Env::default();
    let junk = 0xdead_beef_0000_0000_u64;
    assert_eq!(fp::add::<F32>(junk | u64::from(ONE), u64::from(ONE), &mut env), TWO.into());
    assert_eq!(fp::neg::<F32>(junk | u64::from(ONE)), (ONE | MINUS).into());
    assert_eq!(fp::max::<F32>(junk | u64::from(ONE), 0, &mut env), ONE.into());
    assert_eq!(fp::sqrt::<F16>(junk | 0x4400, &mut env), 0x4000);
    assert_eq!(env.fpsr.0, 0);
}
