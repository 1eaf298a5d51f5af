//! `arm_arch::exception` and `arm_arch::debug` against records of QEMU's exceptions.
//!
//! `cargo xtask oracle exception --cases 1600 --seed 0x657863 --qemu fetch --store crates/testkit/tests/data/exception_sample.bin`
//! made them.
#![cfg(feature = "exception")]

use std::collections::BTreeMap;
use testkit::exception::{Kind, QUIRKS, Stored, Verdict, judge};

const SAMPLE: &[u8] = include_bytes!("data/exception_sample.bin");

#[test]
fn every_record_of_the_reference_is_what_the_functions_say() {
    let stored = Stored::parse(SAMPLE).unwrap();
    let (mut explained, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for (number, record) in (0..).zip(&stored.records) {
        let case = stored.generator.case(number);
        *kinds.entry(case.kind).or_insert(0) += 1;
        let verdict = judge(&case, &stored.machine, record);
        assert!(!matches!(verdict, Verdict::Differs(_)), "case {number}: {verdict:x?} {case:x?} {record:x?}");
        if let Verdict::Explained(set) = verdict {
            for quirk in QUIRKS.iter().filter(|quirk| set & quirk.bit != 0) {
                *explained.entry(quirk.name).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(stored.records.len(), 1600);
    assert!(Kind::ALL.iter().all(|kind| kinds[kind] == 100), "{kinds:?}");
    // The sample is of a reference that has these.
    for name in ["N, Z, C and V become 0 with an exception", "illegal return keeps PAN"] {
        assert!(explained.contains_key(name), "{explained:?}");
    }
}

#[test]
fn a_record_that_is_wrong_in_any_word_is_found() {
    let stored = Stored::parse(SAMPLE).unwrap();
    let case = stored.generator.case(0);
    let record = stored.records[0];
    assert!(!matches!(judge(&case, &stored.machine, &record), Verdict::Differs(_)));
    for word in 0..16 {
        let mut wrong = record;
        wrong[word] ^= 1 << 6;
        assert!(matches!(judge(&case, &stored.machine, &wrong), Verdict::Differs(_)), "word {word}");
    }
}
