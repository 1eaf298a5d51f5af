//! `arm_arch::gic` and `arm_arch::timer` against records of QEMU's virtual interrupt interface and timers.
//!
//! `cargo xtask oracle gic --cases 800 --seed 0x67696376 --store crates/testkit/tests/data/gic_sample.bin` made them.
#![cfg(feature = "gic")]

use std::collections::BTreeMap;
use testkit::gic::{Excuse, Stored, replay};

const SAMPLE: &[u8] = include_bytes!("data/gic_sample.bin");

#[test]
fn every_record_of_the_reference_is_what_the_functions_say() {
    let stored = Stored::parse(SAMPLE).unwrap();
    let mut excuses = BTreeMap::new();
    for (number, records) in (0..).zip(&stored.records) {
        let case = stored.generator.case(number);
        let difference = replay(&case, records, &mut excuses);
        assert_eq!(difference, None, "sequence {number}: {case:x?}");
    }
    assert_eq!(stored.records.len(), 800);
    assert!(
        excuses.contains_key(&Excuse::CountsSplitEoi)
            && excuses.contains_key(&Excuse::Group0DisabledByGroup1)
    );
}

#[test]
fn a_record_that_is_wrong_in_any_word_is_found() {
    let stored = Stored::parse(SAMPLE).unwrap();
    let interface = (0..).zip(&stored.records).find(|(number, records)| {
        let mut excuses = BTreeMap::new();
        let case = stored.generator.case(*number);
        !case.is_timer && replay(&case, records, &mut excuses).is_none() && excuses.is_empty()
    });
    let (number, records) = interface.unwrap();
    let case = stored.generator.case(number);
    for word in 1..15 {
        let mut wrong = records.clone();
        wrong[1][word] ^= 1 << 2;
        let found = replay(&case, &wrong, &mut BTreeMap::new());
        assert_eq!(found.map(|difference| difference.at), Some(1), "word {word}");
    }
}

#[test]
fn the_sequences_reach_what_there_is_to_reach() {
    let stored = Stored::parse(SAMPLE).unwrap();
    let (mut acknowledged, mut lines, mut maintenance, mut timers, mut high) = (0, 0, 0, 0, 0);
    for (number, records) in (0..).zip(&stored.records) {
        let case = stored.generator.case(number);
        for (op, record) in case.ops.iter().zip(records) {
            if case.is_timer {
                timers += 1;
                high += record[3];
            } else {
                acknowledged += u64::from(matches!(op.code, 1 | 2) && record[0] < 1020);
                lines += u64::from(record[1] != 0);
                maintenance += record[14];
            }
        }
    }
    let counts = [acknowledged, lines, maintenance, timers, high];
    assert!(counts.iter().all(|&count| count > 200), "{counts:?}");
}
