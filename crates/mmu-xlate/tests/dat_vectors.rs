//! The DAT walker against the published vectors: every field of every answer, and the order of table fetches.
#![cfg(feature = "dat")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use mmu_xlate::dat::{Translation, walk_asce};
use s390_arch::dat::Virtual;
use testkit::vectors::dat::{File, cause};

const VECTORS: &str = include_str!("vectors/s390_dat.json");

fn file() -> File {
    File::of(&serde_json::from_str(VECTORS).unwrap()).unwrap()
}

#[test]
fn every_translation_and_load_real_address_vector_gets_its_answer() {
    let file = file();
    for case in &file.cases {
        assert_eq!(case.check(), Ok(()), "{}", case.id);
    }
    let with_lra = file.cases.iter().filter(|case| !case.expect["lra"].is_null()).count();
    assert_eq!((file.cases.len(), with_lra), (181, 178), "the file is whole");
}

#[test]
fn a_walk_by_asce_gives_what_a_cpu_with_prefix_zero_and_key_zero_gets() {
    let mut compared = 0;
    for case in &file().cases {
        let Some(asce) = case.params.asce else { continue };
        let (id, want) = (&case.id, &case.expect);
        let number = |name: &str| {
            let text = want[name].as_str().unwrap();
            u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
        };
        let address = Virtual::from_bits(case.params.mode.truncate(case.request.address));
        let Ok(got) = walk_asce(asce, address, case.request.access, case.params.features, &case.storage);
        match got {
            Translation::Mapped(mapping) => {
                // What a CPU would still refuse is not the tables'.
                let refused = ["frame", "key", "lap"].iter().any(|at| want["level"] == *at);
                assert!(want["ok"] == true || refused, "{id}: {mapping:?}");
                if want["ok"] == true {
                    assert_eq!(mapping.target.bits(), number("real"), "{id}");
                    assert_eq!(mapping.absolute.bits(), mapping.target.bits(), "{id}");
                    assert_eq!(mapping.frame().bits() % number("frame_size"), 0, "{id}");
                    compared += 1;
                }
            }
            Translation::Fault(fault) if want["level"] != "lap" => {
                assert_eq!(u64::from(fault.pic().0), number("pic"), "{id}");
                assert_eq!(Ok(fault.cause), cause(&want["cause"]), "{id}");
                compared += 1;
            }
            Translation::Fault(_) => {}
        }
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn every_storage_window_vector_gets_its_answer() {
    let windows = file().windows;
    assert_eq!(windows.len(), 7, "the file is whole");
    for window in windows {
        assert_eq!(window.check(), Ok(()), "{}", window.id);
    }
}
