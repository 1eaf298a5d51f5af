//! Results stored from QEMU 7.2 (qemu-aarch64 -cpu max): three words of every announced variant of the table,
//! with registers, FPCR, FPSR and NZCV at random. Runs where there is no QEMU, in either byte order.
//!
//! A line is word, Vd, Xd, FPSR, NZCV after the instruction, all hexadecimal; d is the number in \[4:0\]. The
//! line's number, from 0, is the number of the machine that it started from.

#![allow(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a broken file is a failed test"
)]

mod simd_support;

use simd_support::{Machine, stored_machine};

#[test]
fn stored_results_of_qemu_are_reproduced() {
    let lines = include_str!("simd_support/qemu.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for (number, line) in lines.enumerate() {
        let columns: Vec<u128> =
            line.split(' ').map(|column| u128::from_str_radix(column, 16).unwrap()).collect();
        let [word, v, x, fpsr, nzcv] = columns[..] else { unreachable!("{line}") };
        let mut machine: Machine = stored_machine(number as u64);
        machine.run(word as u32);
        let d = (word & 31) as usize;
        assert_eq!(machine.fp.v[d], v, "{line}: V{d} is {:032x}", machine.fp.v[d]);
        assert_eq!(u128::from(machine.x[d]), x, "{line}: X{d} is {:016x}", machine.x[d]);
        assert_eq!(u128::from(machine.fp.fpsr), fpsr, "{line}: FPSR is {:08x}", machine.fp.fpsr);
        assert_eq!(u128::from(machine.flags.nzcv()), nzcv, "{line}: NZCV is {:08x}", machine.flags.nzcv());
        count += 1;
    }
    assert_eq!(count, 3 * 535);
}
