//! The decoder's tree against the tables it is made from, searched in order.
#![cfg(feature = "a64")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, of tables that are known"
)]

use arm_arch::a64::access;
use arm_arch::a64::decode::decode;
use std::collections::HashMap;

struct Row {
    name: &'static str,
    group: &'static str,
    mask: u32,
    value: u32,
    should_be: u32,
    fields: Vec<(&'static str, u32, u32)>,
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

/// Rows of `data/a64_insns.tsv`, those with the most mask bits first.
fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = include_str!("../../../data/a64_insns.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            let c: Vec<&str> = line.split('\t').collect();
            let fields = c[5].split(',').filter(|f| !f.is_empty()).map(|f| {
                let (name, range) = f.trim_end_matches(']').split_once('[').unwrap();
                let (high, low) = range.split_once(':').unwrap_or((range, range));
                (name, high.parse().unwrap(), low.parse().unwrap())
            });
            Row {
                group: c[0],
                name: c[1],
                mask: hex(c[2]),
                value: hex(c[3]),
                should_be: hex(c[4]),
                fields: fields.collect(),
            }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.mask.count_ones()));
    rows
}

/// Patterns of `data/a64_reserved.tsv` by row.
fn reserved(rows: &[Row]) -> HashMap<&'static str, Vec<(u32, u32)>> {
    let mut reserved: HashMap<_, Vec<_>> = HashMap::new();
    for line in include_str!("../../../data/a64_reserved.tsv").lines().skip(1) {
        let c: Vec<&str> = line.split('\t').collect();
        let named = |row: &&Row| {
            c[1].split(',').any(|name| match name.strip_prefix('*') {
                Some(part) => format!("{}_", row.name).contains(&format!("{part}_")) || part.is_empty(),
                None => format!("{}_", row.name).starts_with(&format!("{name}_")) || row.name == name,
            })
        };
        for row in rows.iter().filter(|row| row.group == c[0]).filter(named) {
            'pattern: for pattern in c[2].split(';') {
                let (mut mask, mut value) = (0, 0);
                for condition in pattern.split(' ') {
                    let (name, bits) = condition.split_once('=').unwrap();
                    let Some((_, high, low)) = row.fields.iter().find(|f| f.0 == name) else {
                        continue 'pattern;
                    };
                    if (high - low + 1) as usize != bits.len() {
                        continue 'pattern;
                    }
                    let ones = |wanted: &str| {
                        let digits = bits.chars().map(|b| if wanted.contains(b) { '1' } else { '0' });
                        u32::from_str_radix(&digits.collect::<String>(), 2).unwrap() << low
                    };
                    mask |= ones("01");
                    value |= ones("1");
                }
                reserved.entry(row.name).or_default().push((mask, value));
            }
        }
    }
    reserved
}

/// Returns the row a word is of, by looking at all of them.
fn slow<'a>(rows: &'a [Row], reserved: &HashMap<&str, Vec<(u32, u32)>>, word: u32) -> Option<&'a Row> {
    if let Some(row) = rows.iter().find(|row| word & row.mask == row.value) {
        let is_reserved = reserved
            .get(row.name)
            .is_some_and(|patterns| patterns.iter().any(|(mask, value)| word & mask == *value));
        return (!is_reserved).then_some(row);
    }
    rows.iter().find(|row| row.should_be != 0 && (word ^ row.value) & row.mask & !row.should_be == 0)
}

/// A generator of words: xorshift, fixed seed.
fn words(mut state: u64) -> impl Iterator<Item = u32> {
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as u32
    })
}

#[test]
fn the_tree_answers_as_the_rows_do() {
    let rows = rows();
    let reserved = reserved(&rows);
    let mut random = words(0x9e37_79b9_7f4a_7c15);
    let mut allocated = 0;
    for number in 0..120_000 {
        // Around each row in turn: all operands random, and now and then one bit that selects it flipped.
        let row = &rows[number % rows.len()];
        let mut word = random.next().unwrap() & !row.mask | row.value;
        if number % 3 == 0 {
            word ^= 1 << (random.next().unwrap() % 32);
        }
        let want = slow(&rows, &reserved, word).map(|row| (row.name, row.group));
        let got = decode(word);
        assert_eq!(got.map(|i| (i.name(), i.group())), want, "{word:#010x}");
        if let (Some(got), Some(row)) = (got, slow(&rows, &reserved, word)) {
            let fields: Vec<_> =
                got.fields().map(|(f, value)| (f.name, f.high.into(), f.low.into(), value)).collect();
            let want: Vec<_> = row
                .fields
                .iter()
                .map(|&(name, high, low)| (name, high, low, word >> low & (u32::MAX >> (31 - (high - low)))))
                .collect();
            assert_eq!(fields, want, "{word:#010x}");
            allocated += 1;
        }
    }
    assert!(allocated > 80_000, "{allocated}");
}

#[test]
fn each_row_is_found_by_some_word() {
    let rows = rows();
    let mut random = words(0x2545_f491_4f6c_dd1d);
    for row in &rows {
        let found = (0..2000).any(|_| {
            let word = random.next().unwrap() & !row.mask | row.value;
            decode(word).is_some_and(|i| i.name() == row.name)
        });
        assert!(found, "{}", row.name);
    }
}

#[test]
fn an_access_is_a_load_or_store_and_the_other_way_round() {
    let rows = rows();
    let mut random = words(0xd129_0d3f_8a5e_2c47);
    let mut both = 0;
    for row in rows.iter().filter(|row| row.group.starts_with("ldst/")) {
        for _ in 0..60 {
            let word = random.next().unwrap() & !row.mask | row.value;
            let decoded = decode(word);
            let access = access::decode(word);
            if access.is_some_and(|a| matches!(a.operation(), access::Operation::Refused(_))) {
                // No device takes it: its reserved operands do not matter.
                continue;
            }
            assert_eq!(access.is_some(), decoded.is_some(), "{word:#010x} {decoded:?} {access:?}");
            both += usize::from(access.is_some());
        }
    }
    assert!(both > 20_000, "{both}");
}
