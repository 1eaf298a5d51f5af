//! Instructions that move, fold or repeat elements, against byte and element arrays.

#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "arrays of elements; a broken assumption is a failed test"
)]

mod simd_support;

use simd_support::Machine;
use testkit::rng::Rng;

/// The elements of a register, element 0 first.
fn split(v: u128, esize: u32) -> Vec<u128> {
    (0..128 / esize).map(|i| v >> (i * esize) & (u128::MAX >> (128 - esize))).collect()
}

/// The register of these elements, the rest zero.
fn join(elements: &[u128], esize: u32) -> u128 {
    elements.iter().rev().fold(0, |v, e| v.checked_shl(esize).unwrap_or(0) | e & (u128::MAX >> (128 - esize)))
}

fn sign_extended(e: u128, esize: u32) -> i128 {
    ((e << (128 - esize)) as i128) >> (128 - esize)
}

/// V0, V1 and V2 of `machine`.
fn operands(machine: &Machine) -> [u128; 3] {
    [machine.fp.v[0], machine.fp.v[1], machine.fp.v[2]]
}

/// Calls `test(size, q, machine, rng)` for all arrangements that exist, on random machines.
fn for_arrangements(mut test: impl FnMut(u32, u32, Machine, &mut Rng)) {
    let mut rng = Rng::new(5);
    for _ in 0..200 {
        for (size, q) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 1)] {
            let machine = Machine::random(&mut rng);
            test(size, q, machine, &mut rng);
        }
    }
}

/// opcode, \[14:12\], and the index into `n ++ m` of result element i, of count.
type Permutation = (&'static str, u32, fn(usize, usize) -> usize);

const PERMUTATIONS: &[Permutation] = &[
    ("uzp1", 0b001, |i, _| 2 * i),
    ("uzp2", 0b101, |i, _| 2 * i + 1),
    ("trn1", 0b010, |i, count| if i % 2 == 0 { i } else { count + i - 1 }),
    ("trn2", 0b110, |i, count| if i % 2 == 0 { i + 1 } else { count + i }),
    ("zip1", 0b011, |i, count| if i % 2 == 0 { i / 2 } else { count + i / 2 }),
    ("zip2", 0b111, |i, count| count / 2 + if i % 2 == 0 { i / 2 } else { count + i / 2 }),
];

#[test]
fn permutations_take_the_elements_that_the_manual_draws() {
    for_arrangements(|size, q, machine, _| {
        let esize = 8 << size;
        let count = ((64 << q) / esize) as usize;
        let [_, n, m] = operands(&machine);
        let both = [&split(n, esize)[..count], &split(m, esize)[..count]].concat();
        for &(name, opcode, from) in PERMUTATIONS {
            let word = 0x0e00_0800 | q << 30 | size << 22 | 2 << 16 | opcode << 12 | 1 << 5;
            let want: Vec<u128> = (0..count).map(|i| both[from(i, count)]).collect();
            assert_eq!(machine.clone().run(word).v0(), join(&want, esize), "{name} {word:#010x}");
        }
    });
}

#[test]
fn ext_takes_bytes_from_a_position_in_the_concatenation() {
    for_arrangements(|_, q, machine, rng| {
        let bytes = 8 << q;
        let position = rng.below(bytes as u64) as usize;
        let word = 0x2e00_0000 | q << 30 | 2 << 16 | (position as u32) << 11 | 1 << 5;
        let [_, n, m] = operands(&machine);
        let both = [&n.to_le_bytes()[..bytes], &m.to_le_bytes()[..bytes]].concat();
        let mut want = [0; 16];
        want[..bytes].copy_from_slice(&both[position..position + bytes]);
        assert_eq!(machine.clone().run(word).v0(), u128::from_le_bytes(want), "{word:#010x}");
    });
}

#[test]
fn tables_are_looked_up_over_registers_that_wrap_around() {
    for_arrangements(|_, q, mut machine, rng| {
        // Indices mostly within four registers.
        for index in [2, 0] {
            machine.fp.v[index] &= 0x7f7f_ff7f_3f3f_7f7f_3f1f_3f0f_3f2f_0f3f;
        }
        let first = *rng.pick(&[1, 3, 30, 31]);
        let registers = rng.below(4);
        let keep = rng.percent(50);
        let word = 0x0e00_0000
            | q << 30
            | 2 << 16
            | (registers as u32) << 13
            | u32::from(keep) << 12
            | (first as u32) << 5;
        let table: Vec<u8> =
            (0..=registers).flat_map(|i| machine.fp.v[(first + i) as usize % 32].to_le_bytes()).collect();
        let [d, _, m] = operands(&machine);
        let mut want = [0; 16];
        for (i, byte) in want[..8 << q].iter_mut().enumerate() {
            let outside = if keep { d.to_le_bytes()[i] } else { 0 };
            *byte = table.get(usize::from(m.to_le_bytes()[i])).copied().unwrap_or(outside);
        }
        assert_eq!(machine.run(word).v0(), u128::from_le_bytes(want), "{word:#010x}");
    });
}

#[test]
fn elements_are_copied_to_and_from_where_imm5_says() {
    for_arrangements(|size, q, machine, rng| {
        let esize = 8 << size;
        let index = rng.below(u64::from(128 / esize)) as usize;
        let imm5 = ((index as u32) << (size + 1) | 1 << size) << 16;
        let [d, n, _] = operands(&machine);
        let element = split(n, esize)[index];
        let count = ((64 << q) / esize) as usize;
        let after = |word: u32| {
            let mut machine = machine.clone();
            machine.run(word);
            machine
        };

        let dup = 0x0e00_0400 | q << 30 | imm5 | 1 << 5;
        assert_eq!(after(dup).v0(), join(&vec![element; count], esize), "dup {dup:#010x}");
        let scalar = 0x5e00_0400 | imm5 | 1 << 5;
        assert_eq!(after(scalar).v0(), element, "dup, scalar {scalar:#010x}");
        let general = 0x0e00_0c00 | q << 30 | imm5 | 1 << 5;
        let from_x1 = u128::from(machine.x[1]) & (u128::MAX >> (128 - esize));
        assert_eq!(after(general).v0(), join(&vec![from_x1; count], esize), "dup, general {general:#010x}");

        let mut inserted = split(d, esize);
        inserted[index] = from_x1;
        let ins = 0x4e00_1c00 | imm5 | 1 << 5;
        assert_eq!(after(ins).v0(), join(&inserted, esize), "ins, general {ins:#010x}");
        let source = rng.below(u64::from(128 / esize)) as usize;
        inserted[index] = split(n, esize)[source];
        let ins = 0x6e00_0400 | imm5 | (source as u32) << (11 + size) | 1 << 5;
        assert_eq!(after(ins).v0(), join(&inserted, esize), "ins, element {ins:#010x}");

        let umov = 0x0e00_3c00 | u32::from(size == 3) << 30 | imm5 | 1 << 5;
        assert_eq!(u128::from(after(umov).x[0]), element, "umov {umov:#010x}");
        if size < 2 {
            let smov = 0x0e00_2c00 | imm5 | 1 << 5;
            assert_eq!(
                after(smov).x[0],
                u64::from(sign_extended(element, esize) as u32),
                "smov w {smov:#010x}"
            );
        }
        if size < 3 {
            let smov = 0x4e00_2c00 | imm5 | 1 << 5;
            assert_eq!(after(smov).x[0], sign_extended(element, esize) as u64, "smov x {smov:#010x}");
        }
    });
}

#[test]
fn a_move_to_xzr_changes_no_register_and_one_from_it_is_zero() {
    let mut machine = Machine::random(&mut Rng::new(6));
    let before = machine.x;
    machine.run(0x4e08_3c3f); // umov xzr, v1.d[0]
    machine.run(0x9e66_003f); // fmov xzr, d1
    assert_eq!(machine.x[..32], before[..32]);
    assert_eq!(machine.run(0x4e08_0fe0).v0(), 0, "dup v0.2d, xzr");
    machine.fp.v[0] = 7;
    assert_eq!(machine.run(0x9eaf_03e0).v0(), 7, "fmov v0.d[1], xzr");
}

#[test]
fn elements_are_reversed_within_their_container() {
    // Word with size and Q zero, container bits.
    const CASES: &[(&str, u32, u32, u32)] =
        &[("rev64", 0x0e20_0800, 64, 2), ("rev32", 0x2e20_0800, 32, 1), ("rev16", 0x0e20_1800, 16, 0)];
    for_arrangements(|size, q, machine, _| {
        for &(name, word, container, largest) in CASES {
            if size > largest {
                continue;
            }
            let word = word | q << 30 | size << 22 | 1 << 5;
            let esize = 8 << size;
            let mut elements = split(machine.fp.v[1], esize);
            for chunk in elements.chunks_mut((container / esize) as usize) {
                chunk.reverse();
            }
            elements.truncate(((64 << q) / esize) as usize);
            assert_eq!(machine.clone().run(word).v0(), join(&elements, esize), "{name} {word:#010x}");
        }
        let rbit = 0x2e60_5800 | q << 30 | 1 << 5;
        let mut bytes = machine.fp.v[1].to_le_bytes().map(u8::reverse_bits);
        bytes[8 << q..].fill(0);
        assert_eq!(machine.clone().run(rbit).v0(), u128::from_le_bytes(bytes), "rbit");
    });
}

/// A fold of all elements: name, word with size and Q zero, whether to sign-extend, result bits per
/// element bits, step.
type Fold = (&'static str, u32, bool, u32, fn(i128, i128) -> i128);

const FOLDS: &[Fold] = &[
    ("addv", 0x0e31_b800, false, 1, |a, b| a + b),
    ("saddlv", 0x0e30_3800, true, 2, |a, b| a + b),
    ("uaddlv", 0x2e30_3800, false, 2, |a, b| a + b),
    ("smaxv", 0x0e30_a800, true, 1, i128::max),
    ("umaxv", 0x2e30_a800, false, 1, i128::max),
    ("sminv", 0x0e31_a800, true, 1, i128::min),
    ("uminv", 0x2e31_a800, false, 1, i128::min),
];

#[test]
fn across_lanes_folds_all_elements() {
    for_arrangements(|size, q, machine, _| {
        if size == 3 || (size == 2 && q == 0) {
            return;
        }
        let esize = 8 << size;
        for &(name, word, signed, width, step) in FOLDS {
            let word = word | q << 30 | size << 22 | 1 << 5;
            let mut elements = split(machine.fp.v[1], esize);
            elements.truncate(((64 << q) / esize) as usize);
            let value = |e: &u128| if signed { sign_extended(*e, esize) } else { *e as i128 };
            let want = elements.iter().map(value).reduce(step).unwrap() as u128;
            let want = want & (u128::MAX >> (128 - width * esize));
            assert_eq!(machine.clone().run(word).v0(), want, "{name} {word:#010x}");
        }
    });
}

/// A step on neighbours: name, word with size and Q zero, whether to sign-extend, whether 2D exists, step.
type Pairing = (&'static str, u32, bool, bool, fn(i128, i128) -> i128);

const PAIRINGS: &[Pairing] = &[
    ("addp", 0x0e20_bc00, false, true, |a, b| a + b),
    ("smaxp", 0x0e20_a400, true, false, i128::max),
    ("umaxp", 0x2e20_a400, false, false, i128::max),
    ("sminp", 0x0e20_ac00, true, false, i128::min),
    ("uminp", 0x2e20_ac00, false, false, i128::min),
];

#[test]
fn pairwise_operations_take_neighbours_of_n_then_of_m() {
    for_arrangements(|size, q, machine, _| {
        let esize = 8 << size;
        let count = ((64 << q) / esize) as usize;
        let [_, n, m] = operands(&machine);
        let both = [&split(n, esize)[..count], &split(m, esize)[..count]].concat();
        for &(name, word, signed, has_2d, step) in PAIRINGS {
            if size == 3 && !has_2d {
                continue;
            }
            let word = word | q << 30 | size << 22 | 2 << 16 | 1 << 5;
            let value = |e: u128| if signed { sign_extended(e, esize) } else { e as i128 };
            let want: Vec<u128> =
                both.chunks(2).map(|pair| step(value(pair[0]), value(pair[1])) as u128).collect();
            assert_eq!(machine.clone().run(word).v0(), join(&want, esize), "{name} {word:#010x}");
        }
    });
}

#[test]
fn pairwise_long_additions_widen_first() {
    for_arrangements(|size, q, machine, _| {
        if size == 3 {
            return;
        }
        let esize = 8 << size;
        let count = ((64 << q) / esize) as usize;
        let [d, n, _] = operands(&machine);
        for (name, word, signed, accumulate) in [
            ("saddlp", 0x0e20_2800, true, false),
            ("uaddlp", 0x2e20_2800, false, false),
            ("sadalp", 0x0e20_6800, true, true),
            ("uadalp", 0x2e20_6800, false, true),
        ] {
            let word = word | q << 30 | size << 22 | 1 << 5;
            let value = |e: u128| if signed { sign_extended(e, esize) } else { e as i128 };
            let sums =
                split(n, esize)[..count].chunks(2).map(|p| value(p[0]) + value(p[1])).collect::<Vec<_>>();
            let before = split(d, 2 * esize);
            let want: Vec<u128> = (0..count / 2)
                .map(|i| (sums[i] + if accumulate { before[i] as i128 } else { 0 }) as u128)
                .collect();
            assert_eq!(machine.clone().run(word).v0(), join(&want, 2 * esize), "{name} {word:#010x}");
        }
    });
}

#[test]
fn wide_additions_extend_only_the_second_operand() {
    for_arrangements(|size, q, machine, _| {
        if size == 3 {
            return;
        }
        let esize = 8 << size;
        let [_, n, m] = operands(&machine);
        let half = (64 / esize) as usize;
        for (name, word, signed, sign) in [
            ("saddw", 0x0e20_1000, true, 1),
            ("uaddw", 0x2e20_1000, false, 1),
            ("ssubw", 0x0e20_3000, true, -1),
            ("usubw", 0x2e20_3000, false, -1),
        ] {
            let word = word | q << 30 | size << 22 | 2 << 16 | 1 << 5;
            let value = |e: u128| if signed { sign_extended(e, esize) } else { e as i128 };
            let second = &split(m, esize)[half * q as usize..];
            let want: Vec<u128> = split(n, 2 * esize)
                .iter()
                .zip(second)
                .map(|(n, m)| (*n as i128 + sign * value(*m)) as u128)
                .collect();
            assert_eq!(machine.clone().run(word).v0(), join(&want, 2 * esize), "{name} {word:#010x}");
        }
    });
}

#[test]
fn shll_and_long_shifts_widen_first() {
    for_arrangements(|size, q, machine, rng| {
        if size == 3 {
            return;
        }
        let esize = 8 << size;
        let half = (64 / esize) as usize;
        let by = rng.below(u64::from(esize)) as u32;
        let source = &split(machine.fp.v[1], esize)[half * q as usize..][..half];
        let shifted = |signed: bool, by: u32| {
            let value = |e: &u128| if signed { sign_extended(*e, esize) as u128 } else { *e };
            join(&source.iter().map(|e| value(e) << by).collect::<Vec<_>>(), 2 * esize)
        };
        let shll = 0x2e21_3800 | q << 30 | size << 22 | 1 << 5;
        assert_eq!(machine.clone().run(shll).v0(), shifted(false, esize), "shll {shll:#010x}");
        let sshll = 0x0f00_a400 | q << 30 | (esize + by) << 16 | 1 << 5;
        assert_eq!(machine.clone().run(sshll).v0(), shifted(true, by), "sshll {sshll:#010x}");
        let ushll = sshll | 1 << 29;
        assert_eq!(machine.clone().run(ushll).v0(), shifted(false, by), "ushll {ushll:#010x}");
    });
}
