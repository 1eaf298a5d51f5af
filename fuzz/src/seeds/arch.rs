//! Seeds for the targets of arm-arch: what there is, from the tables of `data/` and by hand.

use super::Seeds;
use crate::codec::Input;
use crate::{esr, id_write, sysreg_access};
use arm_arch::SysRegId;

/// Returns a syndrome of each class, with few and with many bits of ISS.
pub fn syndromes() -> Seeds {
    let values = (0..64_u64).flat_map(|class| {
        [0, 0x1ff_ffff, 0x3c5_0047, 0x100_0000].map(|iss| class << 26 | 1 << 25 | iss & 0x1ff_ffff)
    });
    let seed = |esr: u64| esr::Case {
        esr,
        far: 0xffff_8000_1234_5678,
        hpfar: 0x1234_5670,
        par: esr << 7 ^ 0x80b,
        data: esr,
    };
    values.map(|value| seed(value).write()).collect()
}

/// Returns a word of each row of the manual's table, fifteen in an input.
pub fn instructions() -> Seeds {
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let words = include_str!("../../../data/a64_insns.tsv").lines().enumerate().filter_map(|(turn, row)| {
        let mut columns = row.split('\t');
        let (_, _, _, value) = (columns.next()?, columns.next()?, columns.next()?, number(columns.next()?)?);
        Some(if turn % 2 == 0 { value } else { value | 0x0001_0041 })
    });
    let words: Vec<u32> = words.collect();
    let inputs = words.chunks(15).step_by(3);
    inputs
        .map(|words| std::iter::once(&0x0a55_aa50).chain(words).flat_map(|word| word.to_le_bytes()).collect())
        .collect()
}

/// Returns accesses to registers and instructions, each at another level.
pub fn accesses() -> Seeds {
    let number = |text: &str| text.parse::<u8>().ok();
    let rows = include_str!("../../../data/sys_insns.tsv").lines().enumerate();
    let instructions = rows.filter_map(|(turn, row)| {
        let columns: Vec<&str> = row.split('\t').collect();
        let [_, _, op0, op1, crn, crm, op2, ..] = columns[..] else { return None };
        let id = SysRegId::new(number(op0)?, number(op1)?, number(crn)?, number(crm)?, number(op2)?);
        Some((id, false, turn))
    });
    let registers = (0..0x4000_u16)
        .step_by(37)
        .map(|bits| (SysRegId::from_bits(bits | 0xc000), bits & 1 == 0, usize::from(bits)));
    let seed = |(id, read, turn): (SysRegId, bool, usize)| {
        let mut bytes = sysreg_access::Case::of(id, read, (turn % 7) as u8, (turn % 5) as u8).write();
        // Controls that trap here and there.
        let end = bytes.len();
        bytes[5..end]
            .iter_mut()
            .enumerate()
            .for_each(|(at, byte)| *byte = (at * turn) as u8 & (turn >> 3) as u8);
        bytes
    };
    instructions.chain(registers).map(seed).collect()
}

/// Returns pairs of named models, with one change.
pub fn models() -> Seeds {
    let pairs = (0..36_u8).flat_map(|pair| [0, 1, 9, 24, 33].map(|register| (pair, register)));
    let seed = |(pair, register): (u8, u8)| id_write::Case {
        models: [pair % 6, pair / 6, pair % 5],
        changes: id_write::Changes(vec![
            (register, 0x10),
            (register, 0x1),
            (register, 0x100),
            (register, 0x11),
        ]),
    };
    pairs.map(|one| seed(one).write()).collect()
}

/// Returns inputs of a few kinds of bytes.
pub fn patterns(length: usize) -> Seeds {
    let byte = |seed: usize, at: usize| crate::bits::mix((seed * 4096 + at) as u64).to_le_bytes()[0];
    (0..48)
        .map(|seed| (0..length).map(|at| byte(seed, at) & byte(seed, at + 2048 * (seed & 1))).collect())
        .collect()
}
