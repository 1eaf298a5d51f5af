//! Integer lane instructions against a slow transcription of the manual's pseudocode: elements as unbounded
//! integers, one at a time, `Int()`, `SatQ` and `Elem[]` as written there.

#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a transcription in unbounded integers; a broken assumption is a failed test"
)]

mod simd_support;

use simd_support::Machine;
use testkit::rng::Rng;

/// `Elem[v, index, esize]`.
fn elem(v: u128, index: u32, esize: u32) -> u128 {
    v >> (index * esize) & (u128::MAX >> (128 - esize))
}

/// `Int(bits, unsigned)`.
fn int(bits: u128, esize: u32, unsigned: bool) -> i128 {
    if unsigned || bits >> (esize - 1) & 1 == 0 { bits as i128 } else { bits as i128 - (1 << esize) }
}

/// `SatQ(i, N, unsigned)`: the bits, and whether it saturated.
fn sat_q(i: i128, n: u32, unsigned: bool) -> (i128, bool) {
    let (low, high) = if unsigned { (0, (1 << n) - 1) } else { (-(1i128 << (n - 1)), (1 << (n - 1)) - 1) };
    (i.clamp(low, high), !(low..=high).contains(&i))
}

/// The parameters of one element's calculation.
#[derive(Clone, Copy)]
struct E {
    esize: u32,
    unsigned: bool,
    /// For shifts by immediate: the distance.
    shift: u32,
}

/// A calculation on one element of d, n, m.
type Calculation = fn(E, i128, i128, i128) -> (i128, bool);

fn plain(value: i128) -> (i128, bool) {
    (value, false)
}

/// Shifts right as `(i + round_const) >> n`, with all the digits there are.
fn shift_right(i: i128, by: u32, rounding: bool) -> i128 {
    let by = by.min(120);
    (i + if rounding && by > 0 { 1 << (by - 1) } else { 0 }) >> by
}

/// The register shifts: the distance is the low byte of m.
fn shift_by(e: E, n: i128, m: i128, rounding: bool, saturating: bool) -> (i128, bool) {
    let by = int((m & 0xff) as u128, 8, false);
    let value = if by < 0 {
        shift_right(n, by.unsigned_abs() as u32, rounding)
    } else if by >= i128::from(e.esize) {
        // Beyond any element: keeps the sign, and whether it is zero, for saturation.
        if saturating { n.signum() << 100 } else { 0 }
    } else {
        n << by
    };
    if saturating { sat_q(value, e.esize, e.unsigned) } else { plain(value) }
}

fn polynomial_mul(n: i128, m: i128) -> i128 {
    (0..8).filter(|i| m >> i & 1 == 1).fold(0, |product, i| product ^ (n << i))
}

/// All ones if true.
fn ones(condition: bool) -> (i128, bool) {
    plain(-i128::from(condition))
}

/// One instruction: its word with size, Q, U and registers zero, the signs and sizes it has, what it does.
struct Instruction {
    name: &'static str,
    word: u32,
    /// U = 0, U = 1.
    exists: [bool; 2],
    /// Element sizes of 8, 16, 32, 64 bits, as bits 0 to 3.
    sizes: u32,
    of: Calculation,
}

const BOTH: [bool; 2] = [true, true];
const S: [bool; 2] = [true, false];
const U: [bool; 2] = [false, true];
const BHS: u32 = 0b0111;
const BHSD: u32 = 0b1111;
const HS: u32 = 0b0110;
const B: u32 = 0b0001;

const fn row(name: &'static str, word: u32, exists: [bool; 2], sizes: u32, of: Calculation) -> Instruction {
    Instruction { name, word, exists, sizes, of }
}

fn abs_difference(n: i128, m: i128) -> i128 {
    (n - m).abs()
}

/// Words with d = V0, n = V1, m = V2.
fn with_registers(word: u32) -> u32 {
    word | 2 << 16 | 1 << 5
}

const THREE_SAME: &[Instruction] = &[
    row("[SU]HADD", 0x0e20_0400, BOTH, BHS, |_, _, n, m| plain((n + m) >> 1)),
    row("[SU]QADD", 0x0e20_0c00, BOTH, BHSD, |e, _, n, m| sat_q(n + m, e.esize, e.unsigned)),
    row("[SU]RHADD", 0x0e20_1400, BOTH, BHS, |_, _, n, m| plain((n + m + 1) >> 1)),
    row("[SU]HSUB", 0x0e20_2400, BOTH, BHS, |_, _, n, m| plain((n - m) >> 1)),
    row("[SU]QSUB", 0x0e20_2c00, BOTH, BHSD, |e, _, n, m| sat_q(n - m, e.esize, e.unsigned)),
    row("CMGT, CMHI", 0x0e20_3400, BOTH, BHSD, |_, _, n, m| ones(n > m)),
    row("CMGE, CMHS", 0x0e20_3c00, BOTH, BHSD, |_, _, n, m| ones(n >= m)),
    row("[SU]SHL", 0x0e20_4400, BOTH, BHSD, |e, _, n, m| shift_by(e, n, m, false, false)),
    row("[SU]QSHL", 0x0e20_4c00, BOTH, BHSD, |e, _, n, m| shift_by(e, n, m, false, true)),
    row("[SU]RSHL", 0x0e20_5400, BOTH, BHSD, |e, _, n, m| shift_by(e, n, m, true, false)),
    row("[SU]QRSHL", 0x0e20_5c00, BOTH, BHSD, |e, _, n, m| shift_by(e, n, m, true, true)),
    row("[SU]MAX", 0x0e20_6400, BOTH, BHS, |_, _, n, m| plain(n.max(m))),
    row("[SU]MIN", 0x0e20_6c00, BOTH, BHS, |_, _, n, m| plain(n.min(m))),
    row("[SU]ABD", 0x0e20_7400, BOTH, BHS, |_, _, n, m| plain(abs_difference(n, m))),
    row("[SU]ABA", 0x0e20_7c00, BOTH, BHS, |_, d, n, m| plain(d + abs_difference(n, m))),
    row("ADD", 0x0e20_8400, S, BHSD, |_, _, n, m| plain(n + m)),
    row("SUB", 0x0e20_8400, U, BHSD, |_, _, n, m| plain(n - m)),
    row("CMTST", 0x0e20_8c00, S, BHSD, |_, _, n, m| ones(n & m != 0)),
    row("CMEQ", 0x0e20_8c00, U, BHSD, |_, _, n, m| ones(n == m)),
    row("MLA", 0x0e20_9400, S, BHS, |_, d, n, m| plain(d + n * m)),
    row("MLS", 0x0e20_9400, U, BHS, |_, d, n, m| plain(d - n * m)),
    row("MUL", 0x0e20_9c00, S, BHS, |_, _, n, m| plain(n * m)),
    row("PMUL", 0x0e20_9c00, U, B, |_, _, n, m| plain(polynomial_mul(n, m))),
    row("SQDMULH", 0x0e20_b400, S, HS, |e, _, n, m| sat_q((2 * n * m) >> e.esize, e.esize, false)),
    row("SQRDMULH", 0x0e20_b400, U, HS, |e, _, n, m| {
        let (n, m) = (signed(e, n), signed(e, m));
        sat_q((2 * n * m + (1 << (e.esize - 1))) >> e.esize, e.esize, false)
    }),
    row("SQRDMLAH", 0x0e00_8400, U, HS, |e, d, n, m| rounding_accumulate(e, d, n, m, 1)),
    row("SQRDMLSH", 0x0e00_8c00, U, HS, |e, d, n, m| rounding_accumulate(e, d, n, m, -1)),
];

/// Operands of instructions with U = 1 that are signed all the same.
fn signed(e: E, i: i128) -> i128 {
    int(i as u128, e.esize, false)
}

fn rounding_accumulate(e: E, d: i128, n: i128, m: i128, sign: i128) -> (i128, bool) {
    let (d, n, m) = (signed(e, d), signed(e, n), signed(e, m));
    sat_q(((d << e.esize) + sign * 2 * n * m + (1 << (e.esize - 1))) >> e.esize, e.esize, false)
}

const TWO_REGISTERS: &[Instruction] = &[
    row("SUQADD", 0x0e20_3800, S, BHSD, |e, d, n, _| {
        let n = if n < 0 { n + (1 << e.esize) } else { n };
        sat_q(d + n, e.esize, false)
    }),
    row("USQADD", 0x0e20_3800, U, BHSD, |e, d, n, _| sat_q(d + signed(e, n), e.esize, true)),
    row("CLS", 0x0e20_4800, S, BHS, |e, _, n, _| {
        plain((0..e.esize - 1).rev().take_while(|i| n >> i & 1 == n >> (e.esize - 1) & 1).count() as i128)
    }),
    row("CLZ", 0x0e20_4800, U, BHS, |e, _, n, _| {
        plain((0..e.esize).rev().take_while(|i| n >> i & 1 == 0).count() as i128)
    }),
    row("CNT", 0x0e20_5800, S, B, |_, _, n, _| plain((0..8).filter(|i| n >> i & 1 == 1).count() as i128)),
    row("SQABS", 0x0e20_7800, S, BHSD, |e, _, n, _| sat_q(n.abs(), e.esize, false)),
    row("SQNEG", 0x0e20_7800, U, BHSD, |e, _, n, _| sat_q(-signed(e, n), e.esize, false)),
    row("CMGT #0", 0x0e20_8800, S, BHSD, |_, _, n, _| ones(n > 0)),
    row("CMGE #0", 0x0e20_8800, U, BHSD, |e, _, n, _| ones(signed(e, n) >= 0)),
    row("CMEQ #0", 0x0e20_9800, S, BHSD, |_, _, n, _| ones(n == 0)),
    row("CMLE #0", 0x0e20_9800, U, BHSD, |e, _, n, _| ones(signed(e, n) <= 0)),
    row("CMLT #0", 0x0e20_a800, S, BHSD, |_, _, n, _| ones(n < 0)),
    row("ABS", 0x0e20_b800, S, BHSD, |_, _, n, _| plain(n.abs())),
    row("NEG", 0x0e20_b800, U, BHSD, |_, _, n, _| plain(-n)),
];

const SHIFTS: &[Instruction] = &[
    row("[SU]SHR", 0x0f00_0400, BOTH, BHSD, |e, _, n, _| plain(shift_right(n, e.shift, false))),
    row("[SU]SRA", 0x0f00_1400, BOTH, BHSD, |e, d, n, _| plain(d + shift_right(n, e.shift, false))),
    row("[SU]RSHR", 0x0f00_2400, BOTH, BHSD, |e, _, n, _| plain(shift_right(n, e.shift, true))),
    row("[SU]RSRA", 0x0f00_3400, BOTH, BHSD, |e, d, n, _| plain(d + shift_right(n, e.shift, true))),
    row("SRI", 0x0f00_4400, U, BHSD, |e, d, n, _| {
        let mask = ((1i128 << e.esize) - 1) >> e.shift;
        plain(d & !mask | n >> e.shift & mask)
    }),
    row("SHL", 0x0f00_5400, S, BHSD, |e, _, n, _| plain(n << left(e))),
    row("SLI", 0x0f00_5400, U, BHSD, |e, d, n, _| plain(d & ((1 << left(e)) - 1) | n << left(e))),
    row("SQSHLU", 0x0f00_6400, U, BHSD, |e, _, n, _| sat_q(signed(e, n) << left(e), e.esize, true)),
    row("[SU]QSHL #", 0x0f00_7400, BOTH, BHSD, |e, _, n, _| sat_q(n << left(e), e.esize, e.unsigned)),
];

/// The same immh:immb read as a shift to the left.
fn left(e: E) -> u32 {
    e.esize - e.shift
}

/// Narrowing: n is of twice the size, the result of `esize` bits.
const NARROWING_SHIFTS: &[Instruction] = &[
    row("SHRN", 0x0f00_8400, S, BHS, |e, _, n, _| plain(shift_right(n, e.shift, false))),
    row("RSHRN", 0x0f00_8c00, S, BHS, |e, _, n, _| plain(shift_right(n, e.shift, true))),
    row("SQSHRUN", 0x0f00_8400, U, BHS, |e, _, n, _| {
        sat_q(shift_right(wide_signed(e, n), e.shift, false), e.esize, true)
    }),
    row("SQRSHRUN", 0x0f00_8c00, U, BHS, |e, _, n, _| {
        sat_q(shift_right(wide_signed(e, n), e.shift, true), e.esize, true)
    }),
    row("[SU]QSHRN", 0x0f00_9400, BOTH, BHS, |e, _, n, _| {
        sat_q(shift_right(n, e.shift, false), e.esize, e.unsigned)
    }),
    row("[SU]QRSHRN", 0x0f00_9c00, BOTH, BHS, |e, _, n, _| {
        sat_q(shift_right(n, e.shift, true), e.esize, e.unsigned)
    }),
];

fn wide_signed(e: E, i: i128) -> i128 {
    int(i as u128, 2 * e.esize, false)
}

/// Narrowing without a distance.
const NARROWING: &[Instruction] = &[
    row("XTN", 0x0e21_2800, S, BHS, |_, _, n, _| plain(n)),
    row("SQXTUN", 0x0e21_2800, U, BHS, |e, _, n, _| sat_q(wide_signed(e, n), e.esize, true)),
    row("[SU]QXTN", 0x0e21_4800, BOTH, BHS, |e, _, n, _| sat_q(n, e.esize, e.unsigned)),
    row("ADDHN", 0x0e20_4000, S, BHS, |e, _, n, m| plain((n + m) >> e.esize)),
    row("RADDHN", 0x0e20_4000, U, BHS, |e, _, n, m| plain((n + m + (1 << (e.esize - 1))) >> e.esize)),
    row("SUBHN", 0x0e20_6000, S, BHS, |e, _, n, m| plain((n - m) >> e.esize)),
    row("RSUBHN", 0x0e20_6000, U, BHS, |e, _, n, m| plain((n - m + (1 << (e.esize - 1))) >> e.esize)),
];

/// Long: n and m of `esize` bits, d and the result of twice that.
const LONG: &[Instruction] = &[
    row("[SU]ADDL", 0x0e20_0000, BOTH, BHS, |_, _, n, m| plain(n + m)),
    row("[SU]SUBL", 0x0e20_2000, BOTH, BHS, |_, _, n, m| plain(n - m)),
    row("[SU]ABAL", 0x0e20_5000, BOTH, BHS, |_, d, n, m| plain(d + abs_difference(n, m))),
    row("[SU]ABDL", 0x0e20_7000, BOTH, BHS, |_, _, n, m| plain(abs_difference(n, m))),
    row("[SU]MLAL", 0x0e20_8000, BOTH, BHS, |_, d, n, m| plain(d + n * m)),
    row("[SU]MLSL", 0x0e20_a000, BOTH, BHS, |_, d, n, m| plain(d - n * m)),
    row("[SU]MULL", 0x0e20_c000, BOTH, BHS, |_, _, n, m| plain(n * m)),
    row("PMULL", 0x0e20_e000, S, B, |_, _, n, m| plain(polynomial_mul(n & 0xff, m & 0xff))),
    row("SQDMULL", 0x0e20_d000, S, HS, |e, _, n, m| sat_q(2 * n * m, 2 * e.esize, false)),
    row("SQDMLAL", 0x0e20_9000, S, HS, |e, d, n, m| doubling_accumulate(e, d, n, m, 1)),
    row("SQDMLSL", 0x0e20_b000, S, HS, |e, d, n, m| doubling_accumulate(e, d, n, m, -1)),
];

fn doubling_accumulate(e: E, d: i128, n: i128, m: i128, sign: i128) -> (i128, bool) {
    let (product, first) = sat_q(2 * n * m, 2 * e.esize, false);
    let (sum, second) = sat_q(d + sign * product, 2 * e.esize, false);
    (sum, first || second)
}

/// How the operands of a group lie.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Same,
    Long,
    Narrow,
}

const QC: u32 = 1 << 27;

/// Computes V0 and QC the slow way. `count` elements of `esize` bits; `upper` for the "2" forms.
fn slow(i: &Instruction, e: E, shape: Shape, count: u32, upper: bool, [d, n, m]: [u128; 3]) -> (u128, bool) {
    let (from, to) = match shape {
        Shape::Same => (e.esize, e.esize),
        Shape::Long => (e.esize, 2 * e.esize),
        Shape::Narrow => (2 * e.esize, e.esize),
    };
    let source = if upper && shape == Shape::Long { count } else { 0 };
    let target = if upper && shape == Shape::Narrow { count } else { 0 };
    let mut result = if target > 0 { d & u128::from(u64::MAX) } else { 0 };
    let mut saturated = false;
    for index in 0..count {
        let value = |v: u128| int(elem(v, index + source, from), from, e.unsigned);
        let (bits, sat) = (i.of)(e, int(elem(d, index, to), to, e.unsigned), value(n), value(m));
        result |= (bits as u128 & (u128::MAX >> (128 - to))) << ((index + target) * to);
        saturated |= sat;
    }
    (result, saturated)
}

/// Runs `word` on random registers and compares with [`slow`], in all sizes, both widths, both signs.
fn check(group: &[Instruction], shape: Shape, by_immediate: bool, scalar: fn(&Instruction, u32) -> bool) {
    let mut rng = Rng::new(4);
    for i in group {
        for round in 0..2000 {
            let size = rng.below(4) as u32;
            let unsigned = rng.percent(50);
            if i.sizes >> size & 1 == 0 || !i.exists[usize::from(unsigned)] {
                continue;
            }
            let esize = 8 << size;
            let shift = 1 + rng.below(u64::from(esize)) as u32;
            let e = E { esize, unsigned, shift };
            let is_scalar = round % 3 == 0 && scalar(i, size);
            let q = rng.percent(50) || (size == 3 && !is_scalar);
            let mut word = with_registers(i.word) | u32::from(unsigned) << 29 | u32::from(q) << 30;
            // immh:immb = 2 * esize − distance, in place of size and Rm.
            word = if by_immediate {
                word & !(0x7f << 16) | (2 * esize - shift) << 16
            } else {
                word | size << 22
            };
            if matches!(i.word >> 17 & 0x1f, 0b10000) && !by_immediate && i.word & 0xc00 == 0x800 {
                word &= !(2 << 16); // one source: \[20:16\] are opcode
            }
            if is_scalar {
                word |= 0x5000_0000;
            }
            let count = match (is_scalar, shape, q) {
                (true, _, _) => 1,
                (false, Shape::Same, true) => 128 / esize,
                (false, _, _) => 64 / esize,
            };
            let random = Machine::random(&mut rng);
            let [d, n, m] = [random.fp.v[0], random.fp.v[1], random.fp.v[2]];
            let (want, saturated) = slow(i, e, shape, count, q && !is_scalar, [d, n, m]);
            let mut machine = Machine::with(d, n, m);
            machine.run(word);
            let context = format!("{} {word:#010x} d {d:#034x} n {n:#034x} m {m:#034x}", i.name);
            assert_eq!(machine.v0(), want, "{context}: {:#034x}, not {want:#034x}", machine.v0());
            assert_eq!(machine.fp.fpsr, if saturated { QC } else { 0 }, "{context}: QC");
        }
    }
}

fn never(_: &Instruction, _: u32) -> bool {
    false
}

#[test]
fn three_same_does_what_its_pseudocode_says() {
    check(THREE_SAME, Shape::Same, false, |i, size| match i.name {
        "CMGT, CMHI" | "CMGE, CMHS" | "CMTST" | "CMEQ" | "ADD" | "SUB" | "[SU]SHL" | "[SU]RSHL" => size == 3,
        name => name.starts_with("SQ") || name.starts_with("[SU]Q"),
    });
}

#[test]
fn two_register_misc_does_what_its_pseudocode_says() {
    check(TWO_REGISTERS, Shape::Same, false, |i, size| match i.name {
        "SUQADD" | "USQADD" | "SQABS" | "SQNEG" => true,
        name => size == 3 && !name.starts_with("CL"),
    });
}

#[test]
fn shifts_by_immediate_do_what_their_pseudocode_says() {
    check(SHIFTS, Shape::Same, true, |i, size| size == 3 || i.name.contains('Q'));
}

#[test]
fn narrowing_shifts_do_what_their_pseudocode_says() {
    check(NARROWING_SHIFTS, Shape::Narrow, true, |i, _| i.name.contains('Q'));
}

#[test]
fn narrowing_does_what_its_pseudocode_says() {
    check(NARROWING, Shape::Narrow, false, |i, _| i.name.contains('Q'));
}

#[test]
fn long_operations_do_what_their_pseudocode_says() {
    check(LONG, Shape::Long, false, |i, _| i.name.starts_with("SQDM"));
    check(LONG, Shape::Long, false, never);
}
