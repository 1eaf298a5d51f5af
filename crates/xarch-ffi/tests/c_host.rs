//! A host in C, linked with the static library and nothing else of this project but `xarch.h`.
//!
//! It takes longer than most tests because it builds the library first, which the growth test shares.

mod support;

use std::process::Command;
use support::{compiler, library, program, run};

#[test]
fn a_program_in_c_runs_a_guest_to_its_end() {
    let Some(cc) = compiler("cc") else { return };
    let host = program(&cc, "host.c", "host", &[], &library(&[]));
    let said = run(&mut Command::new(host));
    assert!(said.starts_with("guest ended: device got \"ok\""), "{said}");
}
