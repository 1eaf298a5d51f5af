//! Round-to-nearest results against the host's, many more of them than there is time for elsewhere.
#![expect(clippy::as_conversions, clippy::arithmetic_side_effects, reason = "a test")]

mod fp_support;

use arm_exec::fp::{self, Env, F32, F64, Fpsr, IntType, NanCompare, Rounding};
use fp_support::Random;

const CASES: u32 = 400_000;

/// NaNs have no sign or payload that the host would promise.
fn same32(got: u32, want: f32) -> bool {
    if want.is_nan() { f32::from_bits(got).is_nan() } else { got == want.to_bits() }
}

fn same64(got: u64, want: f64) -> bool {
    if want.is_nan() { f64::from_bits(got).is_nan() } else { got == want.to_bits() }
}

/// Both without and with IXC set: the short cuts differ.
fn environments() -> [Env; 2] {
    [Env::new(0, 0), Env::new(0, Fpsr::IXC)]
}

#[test]
fn single_precision_is_the_hosts() {
    let mut random = Random(37);
    for _ in 0..CASES {
        let a = random.operand::<F32>() as u32;
        let b = random.partner::<F32>(a.into()) as u32;
        let c = random.partner::<F32>(b.into()) as u32;
        let (x, y, z) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
        for mut env in environments() {
            let e = &mut env;
            assert!(same32(fp::add32(a, b, e), x + y), "{a:#x} + {b:#x}");
            assert!(same32(fp::sub32(a, b, e), x - y), "{a:#x} - {b:#x}");
            assert!(same32(fp::mul32(a, b, e), x * y), "{a:#x} * {b:#x}");
            assert!(same32(fp::div32(a, b, e), x / y), "{a:#x} / {b:#x}");
            assert!(same32(fp::sqrt32(a, e), x.sqrt()), "sqrt {a:#x}");
            assert!(same32(fp::mul_add32(c, a, b, e), x.mul_add(y, z)), "{a:#x} * {b:#x} + {c:#x}");
            assert!(same64(fp::f32_to_f64(a, e), f64::from(x)), "{a:#x}");
            assert_eq!(fp::compare_eq32(a, b, e), x == y, "{a:#x} {b:#x}");
            assert_eq!(fp::compare_ge32(a, b, e), x >= y, "{a:#x} {b:#x}");
            assert_eq!(fp::compare_gt32(a, b, e), x > y, "{a:#x} {b:#x}");
        }
    }
}

#[test]
fn double_precision_is_the_hosts() {
    let mut random = Random(41);
    for _ in 0..CASES {
        let a = random.operand::<F64>();
        let b = random.partner::<F64>(a);
        let c = random.partner::<F64>(b);
        let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
        for mut env in environments() {
            let e = &mut env;
            assert!(same64(fp::add64(a, b, e), x + y), "{a:#x} + {b:#x}");
            assert!(same64(fp::sub64(a, b, e), x - y), "{a:#x} - {b:#x}");
            assert!(same64(fp::mul64(a, b, e), x * y), "{a:#x} * {b:#x}");
            assert!(same64(fp::div64(a, b, e), x / y), "{a:#x} / {b:#x}");
            assert!(same64(fp::sqrt64(a, e), x.sqrt()), "sqrt {a:#x}");
            assert!(same64(fp::mul_add64(c, a, b, e), x.mul_add(y, z)), "{a:#x} * {b:#x} + {c:#x}");
            assert!(same32(fp::f64_to_f32(a, e), x as f32), "{a:#x}");
            assert_eq!(fp::compare_eq64(a, b, e), x == y, "{a:#x} {b:#x}");
            assert_eq!(fp::compare_ge64(a, b, e), x >= y, "{a:#x} {b:#x}");
            assert_eq!(fp::compare_gt64(a, b, e), x > y, "{a:#x} {b:#x}");
        }
    }
}

#[test]
fn compare_gives_one_of_four_answers() {
    let mut random = Random(43);
    for _ in 0..CASES {
        let a = random.operand::<F64>();
        let b = random.partner::<F64>(a);
        let want = match f64::from_bits(a).partial_cmp(&f64::from_bits(b)) {
            None => 0b0011,
            Some(core::cmp::Ordering::Equal) => 0b0110,
            Some(core::cmp::Ordering::Less) => 0b1000,
            Some(core::cmp::Ordering::Greater) => 0b0010,
        };
        let mut env = Env::default();
        assert_eq!(fp::compare64(a, b, NanCompare::Signalling, &mut env), want, "{a:#x} {b:#x}");
        assert_eq!(env.fpsr.0, if want == 3 { Fpsr::IOC } else { 0 }, "{a:#x} {b:#x}");
    }
}

#[test]
fn integers_are_the_hosts() {
    let mut random = Random(47);
    for _ in 0..CASES {
        let op = random.operand::<F64>();
        let x = f64::from_bits(op);
        let mut env = Env::default();
        let mut to = |ty| fp::to_int64(op, ty, 0, Rounding::Zero, &mut env);
        // Rust's casts truncate, saturate, and take NaN for zero, as FCVTZS and FCVTZU do.
        assert_eq!(to(IntType::I64), x as i64 as u64, "{op:#x}");
        assert_eq!(to(IntType::U64), x as u64, "{op:#x}");
        assert_eq!(to(IntType::I32), u64::from(x as i32 as u32), "{op:#x}");
        assert_eq!(to(IntType::U32), u64::from(x as u32), "{op:#x}");
        let value = random.bits() >> random.below(64);
        let mut from = |ty| fp::from_int64(value, ty, 0, Rounding::TieEven, &mut env);
        assert_eq!(from(IntType::I64), (value as i64 as f64).to_bits(), "{value:#x}");
        assert_eq!(from(IntType::U64), (value as f64).to_bits(), "{value:#x}");
        assert_eq!(from(IntType::I32), f64::from(value as i32).to_bits(), "{value:#x}");
        assert_eq!(from(IntType::U32), f64::from(value as u32).to_bits(), "{value:#x}");
    }
}
