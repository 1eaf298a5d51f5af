//! Draws cases: a designation, tables along the paths of a few addresses, and the addresses.

use super::{Case, STORAGE_END, TABLES};
use crate::rng::Rng;
use std::collections::BTreeMap;

/// How a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Frame,
    Invalid,
    WrongType,
    /// The next table does not reach the index.
    Short,
    /// The next table is where there is no storage.
    Nowhere,
    Common,
    Bit52,
}

/// Returns case `number` of a sequence, alike on every machine.
#[must_use]
pub fn case(seed: u64, number: u64) -> Case {
    let rng = &mut Rng::item(seed, number);
    // Tables from region-first, 3, down to segment, 0.
    let top = rng.below(4);
    let table = place(rng, 12);
    let length = if rng.percent(75) { 3 } else { rng.below(4) };
    let mut asce = table | top << 2 | length;
    // R, P; what does not matter: G, S, X.
    asce |= flag(rng, 2, 5) | flag(rng, 20, 8) | flag(rng, 30, 9) | flag(rng, 30, 7) | flag(rng, 30, 6);
    // EDAT and instruction-execution-protection control.
    let cr0 = flag(rng, 80, 23) | flag(rng, 50, 20);
    let mut memory = BTreeMap::new();
    let mut queries = Vec::new();
    let bits = 31 + 11 * top as u32;
    let mut before = rng.word();
    for _ in 0..10 {
        let mut address = rng.word();
        if rng.percent(40) {
            let keep = 12 + 8 * rng.below(5) as u32;
            address = before >> keep << keep | address & ((1 << keep) - 1);
        }
        if !rng.percent(4) && bits < 64 {
            address &= (1 << bits) - 1;
        }
        if rng.percent(92) {
            // Within the first table.
            let quarter = bits - 2;
            address = address & !(3 << quarter) | rng.below(length + 1) << quarter;
        }
        before = address;
        path(rng, &mut memory, asce, top, address);
        queries.push(address);
    }
    Case { cr0, asce, memory, queries }
}

/// Makes sure that there is something on the way of an address.
fn path(rng: &mut Rng, memory: &mut BTreeMap<u64, u64>, asce: u64, top: u64, address: u64) {
    let end = if rng.percent(70) {
        End::Frame
    } else {
        *rng.pick(&[
            End::Invalid,
            End::Invalid,
            End::WrongType,
            End::Short,
            End::Nowhere,
            End::Common,
            End::Bit52,
        ])
    };
    let at_level = rng.below(top + 2);
    let mut table = asce & !0xfff;
    for level in (0..=top).rev() {
        let at = table + (address >> (20 + 11 * level) & 0x7ff) * 8;
        if !(TABLES..STORAGE_END).contains(&at) {
            return;
        }
        let here = at_level == level + 1;
        let entry = *memory.entry(at).or_insert_with(|| entry(rng, level, address, end, here));
        if entry & 0x20 != 0 || entry >> 2 & 3 != level {
            return;
        }
        table = if level == 0 { entry & !0x7ff } else { entry & !0xfff };
    }
    let at = table + (address >> 12 & 0xff) * 8;
    if (TABLES..STORAGE_END).contains(&at) {
        memory.entry(at).or_insert_with(|| page(rng, end, at_level == 0));
    }
}

/// Draws a region- or segment-table entry.
fn entry(rng: &mut Rng, level: u64, address: u64, end: End, here: bool) -> u64 {
    let mut entry = place(rng, if level == 0 { 11 } else { 12 }) | level << 2;
    // P.
    entry |= flag(rng, 15, 9);
    if level > 0 {
        // Offset and length of the next table around the quarter that the address needs.
        let quarter = address >> (29 + 11 * (level - 1)) & 3;
        let (first, last) =
            if rng.percent(70) { (0, 3) } else { (rng.below(quarter + 1), quarter + rng.below(4 - quarter)) };
        entry |= first << 6 | last;
        if end == End::Short && here {
            entry = entry & !0xc3 | rng.below(4) << 6 | rng.below(4);
        }
    } else {
        // What EDAT would make a large frame, and reserved bits.
        entry |= flag(rng, 5, 10) | flag(rng, 5, 8);
        if end == End::Common && rng.percent(60) {
            entry |= 1 << 4;
        }
    }
    match end {
        End::Invalid if here => entry |= 1 << 5,
        End::WrongType if here => entry ^= (rng.below(3) + 1) << 2,
        End::Nowhere if here => {
            entry = entry & 0xfff | STORAGE_END << rng.below(20) | rng.word() & 0x7fff_f000
        }
        _ => {}
    }
    entry
}

/// Draws a page-table entry.
fn page(rng: &mut Rng, end: End, here: bool) -> u64 {
    let mut entry = rng.word() & !0xfff;
    if rng.percent(50) {
        entry &= 0x7fff_ffff;
    }
    // P, IEP, and what software owns.
    entry |= flag(rng, 20, 9) | flag(rng, 20, 8) | rng.below(256);
    match end {
        End::Invalid if here => entry |= 1 << 10,
        End::Bit52 => entry |= 1 << 11,
        _ => {}
    }
    entry
}

fn flag(rng: &mut Rng, percent: u64, bit: u32) -> u64 {
    u64::from(rng.percent(percent)) << bit
}

/// Draws where a table lies.
fn place(rng: &mut Rng, align: u32) -> u64 {
    // Not all of the storage, so that a machine's memory stays small.
    (TABLES + rng.below(1 << 25)) >> align << align
}
