//! Arithmetic and conversions against LLVM's APFloat, in all rounding modes, with and without flushing.
//!
//! APFloat knows neither Arm's NaN rules nor flush-to-zero, and takes a result for tiny after rounding. Those three are
//! put on top of it here, from its result rounded towards zero: that is below the smallest normal number exactly
//! if the true result is. Nor does it report an overflow to the largest number: for that the operation is repeated in
//! quadruple precision, rounded towards zero.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod fp_support;

use arm_exec::fp::{self, Env, F16, F32, F64, Format, Fpcr, Fpsr, Inexact, IntType, Rounding};
use fp_support::Random;
use rustc_apfloat::ieee::{Double, Half, Quad, Single};
use rustc_apfloat::{Float, FloatConvert, Round, Status, StatusAnd};

/// A format, and APFloat's type for it.
trait Peer: Format {
    type Ap: Float + FloatConvert<Quad> + FloatConvert<Half> + FloatConvert<Single> + FloatConvert<Double>;
}
impl Peer for F16 {
    type Ap = Half;
}
impl Peer for F32 {
    type Ap = Single;
}
impl Peer for F64 {
    type Ap = Double;
}

const MODES: [(u32, Round); 4] = [
    (0, Round::NearestTiesToEven),
    (1, Round::TowardPositive),
    (2, Round::TowardNegative),
    (3, Round::TowardZero),
];

fn random_env(random: &mut Random) -> (Env, Round) {
    let (rmode, round) = random.pick(&MODES);
    let controls = [0, 0, 0, Fpcr::FZ | Fpcr::FZ16, Fpcr::DN, Fpcr::FZ | Fpcr::FZ16 | Fpcr::DN];
    let fpcr = (rmode << 22) | random.pick(&controls);
    let fpsr = random.pick(&[0, 0, Fpsr::IXC, Fpsr::QC]);
    (Env::new(fpcr, fpsr), round)
}

fn is_nan<F: Format>(bits: u64) -> bool {
    bits & !F::SIGN > F::INFINITY
}

/// The NaN an operation on these operands gives: the first signalling one, else the first, made quiet.
fn nan_rule<F: Format>(operands: &[u64], env: &mut Env) -> Option<u64> {
    let signalling = operands.iter().find(|&&op| is_nan::<F>(op) && op & F::QUIET == 0);
    let chosen = signalling.or_else(|| operands.iter().find(|&&op| is_nan::<F>(op)))?;
    env.fpsr.0 |= if signalling.is_some() { Fpsr::IOC } else { 0 };
    Some(if env.fpcr.dn() { F::DEFAULT_NAN } else { chosen | F::QUIET })
}

fn flushing<F: Format>(env: &Env) -> bool {
    if F::IS_HALF { env.fpcr.fz16() } else { env.fpcr.fz() }
}

fn flushed<F: Format>(op: u64, env: &mut Env) -> u64 {
    if !flushing::<F>(env) || op & F::INFINITY != 0 || op & F::FRAC_MASK == 0 {
        return op;
    }
    env.fpsr.0 |= if F::IS_HALF { 0 } else { Fpsr::IDC };
    op & F::SIGN
}

fn quad<F: Peer>(op: F::Ap) -> Quad {
    op.convert(&mut false).value
}

/// Arm's result and flags of APFloat's operation `op`, a function of the rounding mode; `in_quad` is the same operation
/// in quadruple precision, towards zero.
fn arm<D: Peer>(
    op: impl Fn(Round) -> StatusAnd<D::Ap>,
    in_quad: impl Fn() -> Quad,
    round: Round,
    flush: bool,
    env: &mut Env,
) -> u64 {
    let got = op(round);
    let bits = got.value.to_bits() as u64;
    if got.status.contains(Status::INVALID_OP) {
        env.fpsr.0 |= Fpsr::IOC;
        return D::DEFAULT_NAN;
    }
    let truncated = op(Round::TowardZero);
    let floor = truncated.value.to_bits() as u64 & !D::SIGN;
    let inexact = got.status.contains(Status::INEXACT);
    let is_zero = floor == 0 && !truncated.status.contains(Status::INEXACT);
    let tiny = floor <= D::FRAC_MASK && !is_zero;
    if tiny && flush {
        env.fpsr.0 |= Fpsr::UFC;
        return bits & D::SIGN;
    }
    let limit = Quad::from_u128(1).value.scalbn(D::EMAX + 1);
    let overflow = match inexact && bits & !D::SIGN == D::MAX_NORMAL {
        true => in_quad().abs() >= limit,
        false => got.status.contains(Status::OVERFLOW),
    };
    for (set, flag) in [
        (got.status.contains(Status::DIV_BY_ZERO), Fpsr::DZC),
        (overflow, Fpsr::OFC),
        (tiny && inexact, Fpsr::UFC),
        (inexact, Fpsr::IXC),
    ] {
        env.fpsr.0 |= if set { flag } else { 0 };
    }
    bits
}

fn ap<F: Peer>(bits: u64) -> F::Ap {
    F::Ap::from_bits(u128::from(bits))
}

type Ours = fn(u64, u64, u64, &mut Env) -> u64;
type Theirs<A> = fn(A, A, A, Round) -> StatusAnd<A>;

/// One operation on up to three operands, `arity` of which count.
fn differ<F: Peer>(
    name: &str,
    arity: usize,
    ours: Ours,
    theirs: Theirs<F::Ap>,
    in_quad: Theirs<Quad>,
    cases: u32,
) {
    let mut random = Random(0x5eed ^ u64::from(F::WIDTH));
    for case in 0..cases {
        let (env, round) = random_env(&mut random);
        let a = random.operand::<F>();
        let (b, c) = (random.partner::<F>(a), random.operand::<F>());
        // The addend near the product, half of the time.
        let c = match random.below(2) {
            0 => {
                (theirs_product::<F>(a, b) ^ (random.bits() & F::SIGN)).wrapping_add(random.below(3)) & F::ALL
            }
            _ => c,
        };
        let operands = [a, b, c];
        let mut want_env = env;
        let [x, y, z] = operands.map(|op| flushed::<F>(op, &mut Env { ..env }));
        for &op in &operands[..arity] {
            flushed::<F>(op, &mut want_env);
        }
        // FPMulAdd looks at the addend first.
        let order = if arity == 3 { [c, a, b] } else { operands };
        let flush = flushing::<F>(&env);
        let op = |round| theirs(ap::<F>(x), ap::<F>(y), ap::<F>(z), round);
        let want = match nan_rule::<F>(&order[..arity], &mut want_env) {
            Some(_) if arity == 3 && is_invalid_product::<F>(x, y) && c & F::QUIET != 0 => {
                want_env.fpsr.0 |= Fpsr::IOC;
                F::DEFAULT_NAN
            }
            Some(nan) => nan,
            None => {
                let [x, y, z] = [x, y, z].map(|op| quad::<F>(ap::<F>(op)));
                arm::<F>(op, || in_quad(x, y, z, Round::TowardZero).value, round, flush, &mut want_env)
            }
        };
        let mut got_env = env;
        let got = ours(a, b, c, &mut got_env);
        assert!(
            got == want && got_env == want_env,
            "{name}{} #{case}: {a:#x} {b:#x} {c:#x} {env:x?}: got {got:#x} {:#x}, want {want:#x} {:#x}",
            F::WIDTH,
            got_env.fpsr.0,
            want_env.fpsr.0
        );
    }
}

fn theirs_product<F: Peer>(a: u64, b: u64) -> u64 {
    ap::<F>(a).mul_r(ap::<F>(b), Round::NearestTiesToEven).value.to_bits() as u64
}

fn is_invalid_product<F: Format>(a: u64, b: u64) -> bool {
    let (a, b) = (a & !F::SIGN, b & !F::SIGN);
    (a == F::INFINITY && b == 0) || (a == 0 && b == F::INFINITY)
}

const CASES: u32 = 120_000;

fn differ_all_formats<const N: usize>(
    name: &str,
    ours: [Ours; 3],
    theirs: (Theirs<Half>, Theirs<Single>, Theirs<Double>, Theirs<Quad>),
) {
    differ::<F16>(name, N, ours[0], theirs.0, theirs.3, CASES / 2);
    differ::<F32>(name, N, ours[1], theirs.1, theirs.3, CASES);
    differ::<F64>(name, N, ours[2], theirs.2, theirs.3, CASES);
}

macro_rules! peers {
    ($($test:ident: $name:literal, $arity:literal, $ours:expr, $theirs:expr;)*) => {$(
        #[test]
        fn $test() {
            differ_all_formats::<$arity>($name, $ours, ($theirs, $theirs, $theirs, $theirs));
        }
    )*};
}

peers! {
    additions_agree: "add", 2,
        [|a, b, _, e| fp::add::<F16>(a, b, e), |a, b, _, e| fp::add::<F32>(a, b, e), |a, b, _, e| fp::add::<F64>(a, b, e)],
        |a, b, _, r| a.add_r(b, r);
    subtractions_agree: "sub", 2,
        [|a, b, _, e| fp::sub::<F16>(a, b, e), |a, b, _, e| fp::sub::<F32>(a, b, e), |a, b, _, e| fp::sub::<F64>(a, b, e)],
        |a, b, _, r| a.sub_r(b, r);
    multiplications_agree: "mul", 2,
        [|a, b, _, e| fp::mul::<F16>(a, b, e), |a, b, _, e| fp::mul::<F32>(a, b, e), |a, b, _, e| fp::mul::<F64>(a, b, e)],
        |a, b, _, r| a.mul_r(b, r);
    divisions_agree: "div", 2,
        [|a, b, _, e| fp::div::<F16>(a, b, e), |a, b, _, e| fp::div::<F32>(a, b, e), |a, b, _, e| fp::div::<F64>(a, b, e)],
        |a, b, _, r| a.div_r(b, r);
    fused_multiply_adds_agree: "mul_add", 3,
        [|a, b, c, e| fp::mul_add::<F16>(c, a, b, e), |a, b, c, e| fp::mul_add::<F32>(c, a, b, e), |a, b, c, e| fp::mul_add::<F64>(c, a, b, e)],
        |a, b, c, r| a.mul_add_r(b, c, r);
}

/// FMULX is FMUL but for zero times infinity, which is ±2.
#[test]
fn mulx_is_mul_except_for_zero_times_infinity() {
    fn check<F: Format>() {
        let mut random = Random(7);
        for _ in 0..50_000 {
            let (env, _) = random_env(&mut random);
            let a = random.operand::<F>();
            let b = random.partner::<F>(a);
            let (mut x, mut y) = (env, env);
            let (got, mul) = (fp::mulx::<F>(a, b, &mut x), fp::mul::<F>(a, b, &mut y));
            let mut quiet = env;
            if is_invalid_product::<F>(flushed::<F>(a, &mut quiet), flushed::<F>(b, &mut quiet)) {
                let two = ((F::EXP_ONES >> 1) + 1) << F::FRAC;
                assert_eq!((got, x), (two | ((a ^ b) & F::SIGN), quiet));
            } else {
                assert_eq!((got, x), (mul, y));
            }
        }
    }
    check::<F16>();
    check::<F32>();
    check::<F64>();
}

/// `2 − ab` and `(3 − ab)/2` are fused multiply-adds; the halving moves into a factor where that is exact.
#[test]
fn reciprocal_steps_are_fused_multiply_adds() {
    fn step<F: Peer>(a: F::Ap, b: F::Ap, c: F::Ap, round: Round, flush: bool, env: &mut Env) -> u64 {
        let in_quad = || quad::<F>(a).mul_add_r(quad::<F>(b), quad::<F>(c), Round::TowardZero).value;
        arm::<F>(|r| a.mul_add_r(b, c, r), in_quad, round, flush, env)
    }
    fn check<F: Peer>() {
        let mut random = Random(11);
        let one = (F::EXP_ONES >> 1) << F::FRAC;
        let (two, one_and_half) = (one + F::FRAC_MASK + 1, one | F::QUIET);
        for _ in 0..CASES {
            let (env, round) = random_env(&mut random);
            let a = random.operand::<F>();
            // Reciprocals of one another, as in use, or anything.
            let b = match random.below(2) {
                0 => fp::recip_estimate::<F>(a, &mut Env::new(0, 0)) ^ random.below(1 << (F::FRAC - 6)),
                _ => random.partner::<F>(a),
            };
            if is_nan::<F>(a) || is_nan::<F>(b) || is_invalid_product::<F>(a, b) {
                continue;
            }
            let mut want_env = env;
            let (x, y) = (flushed::<F>(a, &mut want_env), flushed::<F>(b, &mut want_env));
            if is_invalid_product::<F>(x, y) {
                continue;
            }
            let flush = flushing::<F>(&env);
            let (minus, y_ap) = (ap::<F>(x ^ F::SIGN), ap::<F>(y));
            let mut got_env = env;
            let mut want2_env = want_env;
            let got = fp::recip_step::<F>(a, b, &mut got_env);
            let want = step::<F>(minus, y_ap, ap::<F>(two), round, flush, &mut want2_env);
            assert_eq!((got, got_env), (want, want2_env), "recip_step{} {a:#x} {b:#x} {env:x?}", F::WIDTH);

            let field = (x >> F::FRAC) & F::EXP_ONES;
            if field > 1 {
                let half = if field == F::EXP_ONES { x } else { x - F::FRAC_MASK - 1 };
                let minus = ap::<F>(half ^ F::SIGN);
                let mut got_env = env;
                let got = fp::rsqrt_step::<F>(a, b, &mut got_env);
                let want = step::<F>(minus, y_ap, ap::<F>(one_and_half), round, flush, &mut want_env);
                assert_eq!((got, got_env), (want, want_env), "rsqrt_step{} {a:#x} {b:#x} {env:x?}", F::WIDTH);
            }
        }
    }
    check::<F16>();
    check::<F32>();
    check::<F64>();
}

/// A root is right if its square, exact in quadruple precision, and its successor's enclose the operand.
#[test]
fn square_roots_are_enclosed_by_squares() {
    fn check<F: Peer>(cases: u32) {
        let mut random = Random(13);
        for _ in 0..cases {
            let (rmode, round) = random.pick(&MODES);
            let mut op = random.operand::<F>() & !F::SIGN;
            if random.below(3) == 0 {
                // A square of few digits has an exact root.
                let few = random.operand::<F>() >> (F::FRAC / 2 + 1) << (F::FRAC / 2 + 1);
                op = theirs_product::<F>(few, few);
            }
            if op >= F::INFINITY || op == 0 {
                continue;
            }
            let mut env = Env::new(rmode << 22, 0);
            let got = fp::sqrt::<F>(op, &mut env);
            let mut down_env = Env::new(3 << 22, 0);
            let down = fp::sqrt::<F>(op, &mut down_env);
            let (x, low, high) =
                (quad::<F>(ap::<F>(op)), quad::<F>(ap::<F>(down)), quad::<F>(ap::<F>(down + 1)));
            let square = |q: Quad| (q * q).value;
            assert!(square(low) <= x && x < square(high), "sqrt{} {op:#x}: {down:#x}", F::WIDTH);
            let exact = square(low) == x;
            // The middle of the two has one digit more: its square is exact too.
            let middle = ((low + high).value * Quad::from_bits(0x3ffe << 112)).value;
            let up = match round {
                Round::TowardPositive => !exact,
                // The square of the middle is never a number of the format: no ties.
                Round::NearestTiesToEven => x > square(middle),
                Round::TowardNegative | Round::TowardZero | Round::NearestTiesToAway => false,
            };
            assert_eq!(got, down + u64::from(up), "sqrt{} {op:#x} {round:?}", F::WIDTH);
            let want = if exact { 0 } else { Fpsr::IXC };
            assert_eq!((env.fpsr.0, down_env.fpsr.0), (want, want), "sqrt{} {op:#x}", F::WIDTH);
        }
    }
    check::<F16>(CASES / 2);
    check::<F32>(CASES);
    check::<F64>(CASES);
}

/// All five IEEE rounding modes, and round to odd, which is truncation with the last digit set if that lost any.
fn random_rounding(random: &mut Random) -> (Rounding, Round) {
    random.pick(&[
        (Rounding::TieEven, Round::NearestTiesToEven),
        (Rounding::PosInf, Round::TowardPositive),
        (Rounding::NegInf, Round::TowardNegative),
        (Rounding::Zero, Round::TowardZero),
        (Rounding::TieAway, Round::NearestTiesToAway),
    ])
}

#[test]
fn conversions_between_formats_agree() {
    fn check<S: Peer, D: Peer>()
    where
        S::Ap: FloatConvert<D::Ap>,
    {
        let mut random = Random(17 ^ u64::from(S::WIDTH * 100 + D::WIDTH));
        for _ in 0..CASES {
            let (mut env, _) = random_env(&mut random);
            let op = match random.below(2) {
                0 => random.operand::<S>(),
                // A number near the narrower format's.
                _ => {
                    let mut lossy = Env::new(0, 0);
                    let near = fp::convert::<D, S>(random.operand::<D>(), Rounding::TieEven, &mut lossy);
                    near.wrapping_add(random.below(5)).wrapping_sub(2) & S::ALL
                }
            };
            if is_nan::<S>(op) {
                continue;
            }
            let (ours, theirs) = random.pick(&[
                (Rounding::TieEven, Round::NearestTiesToEven),
                (Rounding::PosInf, Round::TowardPositive),
                (Rounding::NegInf, Round::TowardNegative),
                (Rounding::Zero, Round::TowardZero),
                (Rounding::Odd, Round::TowardZero),
            ]);
            // FZ16 is not for conversions.
            env.fpcr.0 |= Fpcr::FZ16;
            let mut want_env = env;
            let value = if S::IS_HALF { op } else { flushed::<S>(op, &mut want_env) };
            let flush = !D::IS_HALF && env.fpcr.fz();
            let before = want_env.fpsr.0 & Fpsr::IXC;
            want_env.fpsr.0 &= !Fpsr::IXC;
            let mut want = arm::<D>(
                |r| ap::<S>(value).convert_r(r, &mut false),
                || quad::<S>(ap::<S>(value)),
                theirs,
                flush,
                &mut want_env,
            );
            if ours == Rounding::Odd && want_env.fpsr.0 & Fpsr::IXC != 0 {
                want |= 1;
            }
            want_env.fpsr.0 |= before;
            let mut got_env = env;
            let got = fp::convert::<S, D>(op, ours, &mut got_env);
            assert_eq!(
                (got, got_env),
                (want, want_env),
                "{}->{} {op:#x} {env:x?} {ours:?}",
                S::WIDTH,
                D::WIDTH
            );
        }
    }
    check::<F16, F32>();
    check::<F16, F64>();
    check::<F32, F16>();
    check::<F32, F64>();
    check::<F64, F16>();
    check::<F64, F32>();
}

/// The alternative half-precision format is the IEEE one with one exponent more, and no infinity at the end of it.
#[test]
fn alternative_half_is_ieee_half_with_one_more_exponent() {
    fn check<S: Peer>()
    where
        S::Ap: FloatConvert<Half>,
    {
        let mut random = Random(19 ^ u64::from(S::WIDTH));
        let base = (S::EXP_ONES >> 1) << S::FRAC;
        for _ in 0..CASES {
            let (rmode, round) = random.pick(&MODES);
            let env = Env::new((rmode << 22) | Fpcr::AHP, 0);
            let op = match random.below(2) {
                0 => random.operand::<S>(),
                // Around the format's range, from 2^-28 to 2^17.
                _ => {
                    (base - (28 << S::FRAC) + (random.below(46) << S::FRAC))
                        ^ (random.bits() & (S::SIGN | S::FRAC_MASK))
                }
            };
            if op & !S::SIGN >= S::INFINITY {
                continue;
            }
            let large = (op & !S::SIGN) >= base + (15 << S::FRAC);
            let op_ap = ap::<S>(if large { op - (1 << S::FRAC) } else { op });
            let mut want_env = env;
            let mut want = arm::<F16>(
                |r| op_ap.convert_r(r, &mut false),
                || quad::<S>(op_ap),
                round,
                false,
                &mut want_env,
            );
            if large && want_env.fpsr.0 & Fpsr::OFC != 0 {
                want_env.fpsr.0 = Fpsr::IOC;
                want |= 0x7fff;
            } else if large {
                want += 0x400;
            }
            let mut got_env = env;
            let got = fp::convert::<S, F16>(op, env.fpcr.rmode(), &mut got_env);
            assert_eq!((got, got_env), (want, want_env), "{:#x} {env:x?}", op);
            // Back is exact.
            let back = fp::convert::<F16, S>(got, Rounding::Zero, &mut got_env);
            if got_env.fpsr.0 == 0 {
                assert_eq!(back, op);
            }
        }
    }
    check::<F32>();
    check::<F64>();
}

const INT_TYPES: [(IntType, usize, bool); 6] = [
    (IntType::I16, 16, true),
    (IntType::U16, 16, false),
    (IntType::I32, 32, true),
    (IntType::U32, 32, false),
    (IntType::I64, 64, true),
    (IntType::U64, 64, false),
];

/// Quadruple precision holds all operands and scales exactly.
#[test]
fn conversions_to_integers_agree() {
    fn check<F: Peer>() {
        let mut random = Random(23 ^ u64::from(F::WIDTH));
        for _ in 0..2 * CASES {
            let (env, _) = random_env(&mut random);
            let (ours, theirs) = random_rounding(&mut random);
            let (to, width, signed) = random.pick(&INT_TYPES);
            let fbits = random.pick(&[0, 0, 1, 8, 31, 32, 64]).min(width as u32);
            let op = match random.below(3) {
                0 => random.operand::<F>(),
                // Near the limits of the types, and near halves.
                1 => {
                    let near = (random.pick(&[0_u64, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 63, u64::MAX]))
                        .wrapping_add(random.below(5))
                        .wrapping_sub(2);
                    let sign = random.bits() & F::SIGN;
                    let mut lossy = Env::new(0, 0);
                    sign | fp::from_int::<F>(near, IntType::U64, fbits, Rounding::TieEven, &mut lossy)
                }
                _ => {
                    let mut lossy = Env::new(0, 0);
                    let halves = random.below(40).wrapping_sub(20);
                    fp::from_int::<F>(halves, IntType::I64, 1 + fbits, Rounding::TieEven, &mut lossy)
                }
            };
            let mut want_env = env;
            let value = flushed::<F>(op, &mut want_env);
            let mut lost = false;
            let scaled: Quad = FloatConvert::<Quad>::convert(ap::<F>(value), &mut lost).value;
            let scaled = scaled.scalbn(fbits as i32);
            let mut exact = false;
            let (status, want) = if signed {
                let r = scaled.to_i128_r(width, theirs, &mut exact);
                (r.status, r.value as u64)
            } else {
                let r = scaled.to_u128_r(width, theirs, &mut exact);
                (r.status, r.value as u64)
            };
            let want = if width == 64 { want } else { want & ((1 << width) - 1) };
            if status.contains(Status::INVALID_OP) {
                want_env.fpsr.0 |= Fpsr::IOC;
            } else if status.contains(Status::INEXACT) {
                want_env.fpsr.0 |= Fpsr::IXC;
            }
            let mut got_env = env;
            let got = fp::to_int::<F>(op, to, fbits, ours, &mut got_env);
            assert_eq!(
                (got, got_env),
                (want, want_env),
                "{}: {op:#x} {to:?} {fbits} {ours:?} {env:x?}",
                F::WIDTH
            );
        }
    }
    check::<F16>();
    check::<F32>();
    check::<F64>();
}

#[test]
fn conversions_from_integers_agree() {
    fn check<F: Peer>()
    where
        Quad: FloatConvert<F::Ap>,
    {
        let mut random = Random(29 ^ u64::from(F::WIDTH));
        for _ in 0..CASES {
            let (env, round) = random_env(&mut random);
            let (from, width, signed) = random.pick(&INT_TYPES);
            let fbits = random.pick(&[0, 0, 1, 8, 31, 32, 64]).min(width as u32);
            let value = match random.below(4) {
                0 => random.bits(),
                1 => random.bits() >> random.below(64),
                2 => (random.bits() as i64 >> random.below(64)) as u64,
                _ => (1_u64 << random.below(64))
                    .wrapping_add(1 << random.below(64))
                    .wrapping_sub(random.below(3)),
            };
            let unused = 64 - width as u32;
            let integer = if signed {
                i128::from((value << unused) as i64 >> unused)
            } else {
                i128::from(value << unused >> unused)
            };
            let scaled = Quad::from_i128(integer).value.scalbn(-(fbits as i32));
            let mut want_env = env;
            let flush = flushing::<F>(&env);
            let want = match integer {
                0 => 0,
                _ => arm::<F>(|r| scaled.convert_r(r, &mut false), || scaled, round, flush, &mut want_env),
            };
            let mut got_env = env;
            let got = fp::from_int::<F>(value, from, fbits, env.fpcr.rmode(), &mut got_env);
            assert_eq!(
                (got, got_env),
                (want, want_env),
                "{}: {value:#x} {from:?} {fbits} {env:x?}",
                F::WIDTH
            );
        }
    }
    check::<F16>();
    check::<F32>();
    check::<F64>();
}

#[test]
fn rounding_to_integral_agrees() {
    fn check<F: Peer>() {
        let mut random = Random(31 ^ u64::from(F::WIDTH));
        for _ in 0..CASES {
            let (env, _) = random_env(&mut random);
            let (ours, theirs) = random_rounding(&mut random);
            let inexact = random.pick(&[Inexact::Ignore, Inexact::Raise]);
            let op = match random.below(2) {
                0 => random.operand::<F>(),
                _ => {
                    let mut lossy = Env::new(0, 0);
                    let halves = random.below(80).wrapping_sub(40);
                    fp::from_int::<F>(halves, IntType::I64, 1, Rounding::TieEven, &mut lossy)
                        .wrapping_add(random.below(3))
                        .wrapping_sub(1)
                        & F::ALL
                }
            };
            let mut want_env = env;
            let value = flushed::<F>(op, &mut want_env);
            let want = match nan_rule::<F>(&[op], &mut want_env) {
                Some(nan) => nan,
                None => {
                    let integral = ap::<F>(value).round_to_integral(theirs).value.to_bits() as u64;
                    if integral != value && inexact == Inexact::Raise {
                        want_env.fpsr.0 |= Fpsr::IXC;
                    }
                    integral
                }
            };
            let mut got_env = env;
            let got = fp::round_int::<F>(op, ours, inexact, &mut got_env);
            assert_eq!((got, got_env), (want, want_env), "{}: {op:#x} {ours:?} {env:x?}", F::WIDTH);
        }
    }
    check::<F16>();
    check::<F32>();
    check::<F64>();
}
