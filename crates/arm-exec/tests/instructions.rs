//! 20,000 instructions against the stored results of a reference: `testkit::insn` says what a case is.

use testkit::insn::InsnEngine;
use testkit::insn::compare::{differences, report};
use testkit::insn::engine::ArmExec;
use testkit::insn::generate::Generator;
use testkit::insn::outcome::{End, normalise};
use testkit::insn::store::{Stored, fingerprint};

const SHOWN: usize = 10;

/// `cargo xtask oracle insn --seed S --store FILE` makes the file; QEMU is the reference.
#[test]
fn stored_cases_give_the_references_results() {
    let stored = Stored::parse(include_bytes!("../../testkit/data/insn.bin")).unwrap();
    assert!(stored.count >= 20_000, "{} cases", stored.count);
    let generator = Generator::new(stored.seed);
    let mut engine = ArmExec::new();
    let (mut inputs, mut compared) = (0, 0);
    let mut failed = Vec::new();
    for number in 0..stored.count {
        let case = generator.case(number);
        inputs = fingerprint(inputs, &case);
        let want = stored.outcome(&case);
        compared += u64::from(want.end != End::Unasked);
        let got = normalise(&case, engine.run(&case));
        let list = differences(&case, &want, &got);
        if !list.is_empty() {
            failed.push(report(&case, stored.seed, &list));
        }
    }
    assert_eq!(inputs, stored.fingerprint, "the generator has changed: store the results again");
    assert!(compared * 100 > stored.count * 99, "only {compared} cases are compared");
    assert!(
        failed.is_empty(),
        "{} cases differ\n{}",
        failed.len(),
        failed[..failed.len().min(SHOWN)].join("\n")
    );
}
