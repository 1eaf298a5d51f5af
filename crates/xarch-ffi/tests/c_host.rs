//! Hosts in C, linked with the static library and nothing else of this project but `xarch.h`.
//!
//! It takes longer than most tests because it builds the library first, twice: as it is, and with what a later
//! version might add.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::process::Command;
use support::{compiler, library, program, run};

#[test]
fn programs_in_c_run_guests_to_their_end() {
    let Some(cc) = compiler("cc") else { return };
    let old = library(&[]);
    let host = program(&cc, "host.c", "host", &[], &old);
    let said = run(&mut Command::new(host));
    assert!(said.starts_with("guest ended: device got \"ok\""), "{said}");

    // With registers that it keeps in a frame, a host gets the same.
    let frame = program(&cc, "growth.c", "growth-frame", &["-DFRAME"], &old);
    let said = run(Command::new(&frame).arg("old"));
    assert!(said.starts_with("old host, old core: guest ended, 0 of "), "{said}");

    // Old and new, mixed: what one side lacks the other does without.
    let new = library(&["next"]);
    let pairs = [
        ("old", "old", "old host, old core: guest ended, 0 of "),
        ("old", "new", "old host, new core: guest ended, 0 of "),
        ("new", "old", "new host, old core: guest ended, 0 of "),
        ("new", "new", "new host, new core: guest ended, "),
    ];
    for (host, core, want) in pairs {
        let defines: &[&str] = if host == "new" { &["-DNEW_HOST"] } else { &[] };
        let library = if core == "new" { &new } else { &old };
        let built = program(&cc, "growth.c", &format!("growth-{host}-{core}"), defines, library);
        let said = run(Command::new(&built).arg(core));
        assert!(said.starts_with(want), "{said}");
        assert_eq!(said.contains(" 0 of "), (host, core) != ("new", "new"), "{said}");
        // A back end that reports the new kind to a core that it did not agree with about it.
        let said = run(Command::new(&built).args([core, "rude"]));
        let refused = format!("{host} host, {core} core: refused\n");
        assert_eq!(said == refused, (host, core) != ("new", "new"), "{said}");
    }
}
