//! What one instruction says about another: an element against the vector of that element, a floating-point
//! vector against its elements one by one.

#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "encodings are put together from fields; a broken assumption is a failed test"
)]

mod simd_support;

use simd_support::Machine;
use testkit::rng::Rng;

/// Index bits H, L, M for `index` of an element of 2^`size` bytes, and M for the register's high bit else.
fn index_bits(size: u32, index: u32, register: u32) -> u32 {
    let (h, l, m) = match size {
        1 => (index >> 2, index >> 1 & 1, index & 1),
        2 => (index >> 1, index & 1, register >> 4),
        _ => (index, 0, register >> 4),
    };
    h << 11 | l << 21 | m << 20 | (register & 15) << 16
}

/// By element, and three same or different: words with size, Q, registers zero; smallest size of both.
const BY_ELEMENT: &[(&str, u32, u32, u32)] = &[
    ("mul", 0x0f00_8000, 0x0e20_9c00, 1),
    ("mla", 0x2f00_0000, 0x0e20_9400, 1),
    ("mls", 0x2f00_4000, 0x2e20_9400, 1),
    ("sqdmulh", 0x0f00_c000, 0x0e20_b400, 1),
    ("sqrdmulh", 0x0f00_d000, 0x2e20_b400, 1),
    ("sqrdmlah", 0x2f00_d000, 0x2e00_8400, 1),
    ("sqrdmlsh", 0x2f00_f000, 0x2e00_8c00, 1),
    ("smull", 0x0f00_a000, 0x0e20_c000, 1),
    ("umull", 0x2f00_a000, 0x2e20_c000, 1),
    ("smlal", 0x0f00_2000, 0x0e20_8000, 1),
    ("umlal", 0x2f00_2000, 0x2e20_8000, 1),
    ("smlsl", 0x0f00_6000, 0x0e20_a000, 1),
    ("umlsl", 0x2f00_6000, 0x2e20_a000, 1),
    ("sqdmull", 0x0f00_b000, 0x0e20_d000, 1),
    ("sqdmlal", 0x0f00_3000, 0x0e20_9000, 1),
    ("sqdmlsl", 0x0f00_7000, 0x0e20_b000, 1),
    ("sdot", 0x0f00_e000, 0x0e00_9400, 2),
    ("udot", 0x2f00_e000, 0x2e00_9400, 2),
];

#[test]
fn an_element_acts_as_the_vector_that_repeats_it() {
    let mut rng = Rng::new(7);
    for &(name, by_element, plain, smallest) in BY_ELEMENT {
        for _ in 0..300 {
            let size = *rng.pick(&[1, 2]);
            if size < smallest {
                continue;
            }
            let q = (rng.below(2) as u32) << 30;
            let register = rng.below(if size == 1 { 16 } else { 32 }) as u32;
            let index = rng.below(u64::from(8u32 >> (size - 1))) as u32;
            let machine = Machine::random(&mut rng);
            let word = by_element | q | size << 22 | index_bits(size, index, register) | 1 << 5;

            let mut repeated = machine.clone();
            let esize = 8 << size;
            let element = machine.fp.v[register as usize] >> (index * esize) & (u128::MAX >> (128 - esize));
            repeated.fp.v[3] = (0..128 / esize).fold(0, |v, i| v | element << (i * esize));
            repeated.run(plain | q | size << 22 | 3 << 16 | 1 << 5);

            let mut indexed = machine;
            indexed.run(word);
            assert_eq!(indexed.v0(), repeated.v0(), "{name} {word:#010x}");
            assert_eq!(indexed.fp.fpsr, repeated.fp.fpsr, "{name} {word:#010x}: FPSR");
        }
    }
}

/// Floating point by element, and three same: words with sz, Q, registers zero.
const FLOAT_BY_ELEMENT: &[(&str, u32, u32)] = &[
    ("fmul", 0x0f80_9000, 0x2e20_dc00),
    ("fmulx", 0x2f80_9000, 0x0e20_dc00),
    ("fmla", 0x0f80_1000, 0x0e20_cc00),
    ("fmls", 0x0f80_5000, 0x0ea0_cc00),
];

#[test]
fn a_floating_point_element_acts_as_the_vector_that_repeats_it() {
    let mut rng = Rng::new(8);
    for &(name, by_element, plain) in FLOAT_BY_ELEMENT {
        for _ in 0..300 {
            let sz = rng.below(2) as u32;
            let q = (rng.below(2) as u32 | sz) << 30;
            let register = rng.below(32) as u32;
            let index = rng.below(u64::from(4u32 >> sz)) as u32;
            let machine = Machine::random(&mut rng);
            let word = by_element | q | sz << 22 | index_bits(2 + sz, index, register) | 1 << 5;
            let mut repeated = machine.clone();
            let esize = 32 << sz;
            let element = machine.fp.v[register as usize] >> (index * esize) & (u128::MAX >> (128 - esize));
            repeated.fp.v[3] = (0..128 / esize).fold(0, |v, i| v | element << (i * esize));
            repeated.run(plain | q | sz << 22 | 3 << 16 | 1 << 5);
            let mut indexed = machine;
            indexed.run(word);
            assert_eq!(indexed.v0(), repeated.v0(), "{name} {word:#010x}");
            assert_eq!(indexed.fp.fpsr, repeated.fp.fpsr, "{name} {word:#010x}: FPSR");
        }
    }
}

/// A vector instruction (sz and Q zero) and a scalar one that does the same to one element (type zero).
const LANEWISE: &[(&str, u32, u32)] = &[
    ("fadd", 0x0e20_d400, 0x1e20_2800),
    ("fsub", 0x0ea0_d400, 0x1e20_3800),
    ("fmul", 0x2e20_dc00, 0x1e20_0800),
    ("fdiv", 0x2e20_fc00, 0x1e20_1800),
    ("fmax", 0x0e20_f400, 0x1e20_4800),
    ("fmin", 0x0ea0_f400, 0x1e20_5800),
    ("fmaxnm", 0x0e20_c400, 0x1e20_6800),
    ("fminnm", 0x0ea0_c400, 0x1e20_7800),
    ("fmulx", 0x0e20_dc00, 0x5e20_dc00),
    ("fabd", 0x2ea0_d400, 0x7ea0_d400),
    ("frecps", 0x0e20_fc00, 0x5e20_fc00),
    ("frsqrts", 0x0ea0_fc00, 0x5ea0_fc00),
    ("fcmeq", 0x0e20_e400, 0x5e20_e400),
    ("fcmge", 0x2e20_e400, 0x7e20_e400),
    ("fcmgt", 0x2ea0_e400, 0x7ea0_e400),
    ("facge", 0x2e20_ec00, 0x7e20_ec00),
    ("facgt", 0x2ea0_ec00, 0x7ea0_ec00),
];

/// The same of one source.
const LANEWISE_ONE_SOURCE: &[(&str, u32, u32)] = &[
    ("fabs", 0x0ea0_f800, 0x1e20_c000),
    ("fneg", 0x2ea0_f800, 0x1e21_4000),
    ("fsqrt", 0x2ea1_f800, 0x1e21_c000),
    ("frintn", 0x0e21_8800, 0x1e24_4000),
    ("frintp", 0x0ea1_8800, 0x1e24_c000),
    ("frintm", 0x0e21_9800, 0x1e25_4000),
    ("frintz", 0x0ea1_9800, 0x1e25_c000),
    ("frinta", 0x2e21_8800, 0x1e26_4000),
    ("frintx", 0x2e21_9800, 0x1e27_4000),
    ("frinti", 0x2ea1_9800, 0x1e27_c000),
    ("fcvtns", 0x0e21_a800, 0x5e21_a800),
    ("fcvtnu", 0x2e21_a800, 0x7e21_a800),
    ("fcvtps", 0x0ea1_a800, 0x5ea1_a800),
    ("fcvtpu", 0x2ea1_a800, 0x7ea1_a800),
    ("fcvtms", 0x0e21_b800, 0x5e21_b800),
    ("fcvtmu", 0x2e21_b800, 0x7e21_b800),
    ("fcvtzs", 0x0ea1_b800, 0x5ea1_b800),
    ("fcvtzu", 0x2ea1_b800, 0x7ea1_b800),
    ("fcvtas", 0x0e21_c800, 0x5e21_c800),
    ("fcvtau", 0x2e21_c800, 0x7e21_c800),
    ("scvtf", 0x0e21_d800, 0x5e21_d800),
    ("ucvtf", 0x2e21_d800, 0x7e21_d800),
    ("frecpe", 0x0ea1_d800, 0x5ea1_d800),
    ("frsqrte", 0x2ea1_d800, 0x7ea1_d800),
    ("fcmgt #0", 0x0ea0_c800, 0x5ea0_c800),
    ("fcmge #0", 0x2ea0_c800, 0x7ea0_c800),
    ("fcmeq #0", 0x0ea0_d800, 0x5ea0_d800),
    ("fcmle #0", 0x2ea0_d800, 0x7ea0_d800),
    ("fcmlt #0", 0x0ea0_e800, 0x5ea0_e800),
];

#[test]
fn a_floating_point_vector_is_its_elements_one_by_one() {
    let mut rng = Rng::new(9);
    let cases = LANEWISE.iter().map(|&(name, vector, scalar)| (name, vector | 2 << 16, scalar | 2 << 16));
    for (name, vector, scalar) in cases.chain(LANEWISE_ONE_SOURCE.iter().copied()) {
        for _ in 0..200 {
            let sz = rng.below(2) as u32;
            let q = rng.below(2) as u32 | sz;
            let esize = 32 << sz;
            let machine = Machine::random(&mut rng);
            let mut whole = machine.clone();
            whole.run(vector | q << 30 | sz << 22 | 1 << 5);

            let (mut want, mut fpsr) = (0, machine.fp.fpsr);
            for i in 0..(64 << q) / esize {
                let mut one = machine.clone();
                one.fp.v[1] >>= i * esize;
                one.fp.v[2] >>= i * esize;
                one.run(scalar | sz << 22 | 1 << 5);
                want |= one.v0() << (i * esize);
                fpsr |= one.fp.fpsr;
            }
            assert_eq!(whole.v0(), want, "{name}, sz {sz}, Q {q}, n {:#x}", machine.fp.v[1]);
            assert_eq!(whole.fp.fpsr, fpsr, "{name}: FPSR");
        }
    }
}

#[test]
fn fused_vectors_are_the_scalar_instruction_on_each_element() {
    let mut rng = Rng::new(10);
    for (name, vector, scalar) in [("fmla", 0x0e22_cc20, 0x1f02_0020), ("fmls", 0x0ea2_cc20, 0x1f02_8020)] {
        for _ in 0..300 {
            let sz = rng.below(2) as u32;
            let q = rng.below(2) as u32 | sz;
            let esize = 32 << sz;
            let machine = Machine::random(&mut rng);
            let mut whole = machine.clone();
            whole.run(vector | q << 30 | sz << 22);
            let (mut want, mut fpsr) = (0, machine.fp.fpsr);
            for i in 0..(64 << q) / esize {
                let mut one = machine.clone();
                for v in &mut one.fp.v[..3] {
                    *v >>= i * esize;
                }
                one.run(scalar | sz << 22);
                want |= one.v0() << (i * esize);
                fpsr |= one.fp.fpsr;
            }
            assert_eq!((whole.v0(), whole.fp.fpsr), (want, fpsr), "{name}, sz {sz}, Q {q}");
        }
    }
}

#[test]
fn pairs_and_folds_of_floating_point_are_the_scalar_instruction_on_neighbours() {
    // Three same pairwise, scalar pairwise, across lanes (0: none), scalar.
    const CASES: &[(&str, u32, u32, u32, u32)] = &[
        ("fadd", 0x2e20_d400, 0x7e30_d800, 0, 0x1e20_2800),
        ("fmax", 0x2e20_f400, 0x7e30_f800, 0x6e30_f800, 0x1e20_4800),
        ("fmin", 0x2ea0_f400, 0x7eb0_f800, 0x6eb0_f800, 0x1e20_5800),
        ("fmaxnm", 0x2e20_c400, 0x7e30_c800, 0x6e30_c800, 0x1e20_6800),
        ("fminnm", 0x2ea0_c400, 0x7eb0_c800, 0x6eb0_c800, 0x1e20_7800),
    ];
    let mut rng = Rng::new(11);
    for &(name, vector, pair, across, scalar) in CASES {
        for _ in 0..200 {
            let sz = rng.below(2) as u32;
            let esize = 32 << sz;
            let machine = Machine::random(&mut rng);
            let mut steps = machine.clone();
            let mut step = |a: u128, b: u128| {
                (steps.fp.v[1], steps.fp.v[2]) = (a, b);
                (steps.run(scalar | sz << 22 | 2 << 16 | 1 << 5).v0(), steps.fp.fpsr)
            };
            let [n, m] = [machine.fp.v[1], machine.fp.v[2]];
            let element = |v: u128, i: u32| v >> (i * esize) & (u128::MAX >> (128 - esize));
            let first = step(element(n, 0), element(n, 1));
            let after = |word: u32| {
                let mut machine = machine.clone();
                machine.run(word | 1 << 5);
                (machine.v0(), machine.fp.fpsr)
            };
            assert_eq!(after(pair | sz << 22), first, "{name}p, scalar");

            let half = 64 / esize;
            let mut want = first.0;
            let mut fpsr = first.1;
            for i in 1..2 * half {
                let from = if i < half { n } else { m };
                let (value, flags) = step(element(from, 2 * (i % half)), element(from, 2 * (i % half) + 1));
                want |= value << (i * esize);
                fpsr = flags;
            }
            assert_eq!(after(vector | 1 << 30 | sz << 22 | 2 << 16), (want, fpsr), "{name}p, vector");

            if across != 0 {
                let mut steps = machine.clone();
                let mut step = |a: u128, b: u128| {
                    (steps.fp.v[1], steps.fp.v[2]) = (a, b);
                    (steps.run(scalar | 2 << 16 | 1 << 5).v0(), steps.fp.fpsr)
                };
                let word = |i: u32| n >> (32 * i) & 0xffff_ffff;
                let (low, high) = (step(word(0), word(1)).0, step(word(2), word(3)).0);
                assert_eq!(after(across), step(low, high), "{name}v");
            }
        }
    }
}

#[test]
fn conversions_of_precision_are_fcvt_on_each_element() {
    // Vector (Q zero), scalar, element bits from and to, elements.
    const CASES: &[(&str, u32, u32, u32, u32)] = &[
        ("fcvtl 4h", 0x0e21_7800, 0x1ee2_4000, 16, 32),
        ("fcvtl 2s", 0x0e61_7800, 0x1e22_c000, 32, 64),
        ("fcvtn 4h", 0x0e21_6800, 0x1e23_c000, 32, 16),
        ("fcvtn 2s", 0x0e61_6800, 0x1e62_4000, 64, 32),
        ("fcvtxn 2s", 0x2e61_6800, 0x7e61_6800, 64, 32),
    ];
    let mut rng = Rng::new(12);
    for &(name, vector, scalar, from, to) in CASES {
        for _ in 0..300 {
            let q = rng.below(2) as u32;
            let machine = Machine::random(&mut rng);
            let count = 128 / from.max(to);
            let mut whole = machine.clone();
            whole.run(vector | q << 30 | 1 << 5);
            let mut fpsr = machine.fp.fpsr;
            // Lengthening reads a half, narrowing writes one.
            let upper = if q == 1 { count } else { 0 };
            let narrows = to < from;
            let mut want = if narrows && q == 1 { machine.fp.v[0] & u128::from(u64::MAX) } else { 0 };
            for i in 0..count {
                let mut one = machine.clone();
                one.fp.v[1] >>= (i + if narrows { 0 } else { upper }) * from;
                one.run(scalar | 1 << 5);
                want |= one.v0() << ((i + if narrows { upper } else { 0 }) * to);
                fpsr |= one.fp.fpsr;
            }
            assert_eq!((whole.v0(), whole.fp.fpsr), (want, fpsr), "{name}, Q {q}");
        }
    }
}

#[test]
fn fixed_point_vectors_are_the_scalar_instruction_on_each_element() {
    let mut rng = Rng::new(13);
    for base in [0x0f00_e400, 0x2f00_e400, 0x0f00_fc00, 0x2f00_fc00] {
        for _ in 0..300 {
            let sz = rng.below(2) as u32;
            let q = rng.below(2) as u32 | sz;
            let esize = 32 << sz;
            let immediate = (2 * esize - 1 - rng.below(u64::from(esize)) as u32) << 16;
            let machine = Machine::random(&mut rng);
            let mut whole = machine.clone();
            whole.run(base | q << 30 | immediate | 1 << 5);
            let (mut want, mut fpsr) = (0, machine.fp.fpsr);
            for i in 0..(64 << q) / esize {
                let mut one = machine.clone();
                one.fp.v[1] >>= i * esize;
                one.run(base | 0x5000_0000 | immediate | 1 << 5);
                want |= one.v0() << (i * esize);
                fpsr |= one.fp.fpsr;
            }
            assert_eq!((whole.v0(), whole.fp.fpsr), (want, fpsr), "{base:#010x}, sz {sz}, Q {q}");
        }
    }
}
