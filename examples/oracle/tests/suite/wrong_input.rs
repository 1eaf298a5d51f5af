//! What makes no sense is said in one line that names what and where, with exit status 2.

use crate::program::{TemporaryFile, run};

#[test]
fn dumps_that_overlap_and_names_without_end_are_refused() {
    let dump = TemporaryFile::new(&[0; 32]);
    let at = |base: &str| format!("{}@{base}", dump.name());
    let ask = |one: &str, other: &str| {
        run(&["translate", "0", "--memory", &at(one), "--memory", &at(other), "--rest", "zero"])
    };
    ask("0x1000", "0x1020").expect_code(0);
    ask("0x1020", "0x1000").expect_code(0);
    for (one, other) in [("0x1000", "0x1018"), ("0x1018", "0x1000"), ("0x1000", "0x1000")] {
        let finished = ask(one, other);
        finished.expect_code(2);
        assert!(finished.err.contains(&format!("@{other}: overlaps the dump at {one}")), "{}", finished.err);
    }
    let list = TemporaryFile::new(format!("TCR_EL1=1\n{}=1\n", "A".repeat(1 << 20)).as_bytes());
    let finished = run(&["translate", "0", "--registers", list.name()]);
    finished.expect_code(2);
    assert!(finished.err.contains(&format!("{}:2: 'AAAA", list.name())), "{}", finished.err);
    assert!(finished.err.len() < 300, "{} bytes", finished.err.len());
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    const CASES: &[(&[&str], &str)] = &[
        (&["frobnicate"], "frobnicate"),
        (&["esr"], "<VALUE>"),
        (&["esr", "zero"], "'zero' is not a number"),
        (&["esr", "ff"], "start with 0x"),
        (&["esr", "0x10000000000000000"], "more than 64 bits"),
        (&["esr", "1", "2"], "'2'"),
        (&["par", "0x100000000000000000000000000000000"], "more than 128 bits"),
        (&["teid", "0", "--pic", "0x10000"], "more than 16 bits"),
        (&["cpu", "cortex-a1"], "'cortex-a1' is no CPU model; there are armv8.0, cortex-a57"),
        (&["cpu", "armv8.0", "--on", "cortex-a1"], "'cortex-a1'"),
        (&["cpu", "--on", "armv8.0"], "MODEL"),
        (&["cpu", "armv8.0", "--on", "armv8.0", "--diff", "armv8.0"], "cannot be used with"),
        (&["sysreg", "NONE_EL1", "0"], "'NONE_EL1' is no system register"),
        (&["sysreg", "SCTLR", "0"], "SCTLR_EL1"),
        (&["sysreg", "SCTLR_EL1", "0x10000000000000000"], "SCTLR_EL1: the value has more than 64 bits"),
        (&["sysreg", "S3_0_C16_C0_0", "0"], "S3_0_C16_C0_0"),
        (&["translate", "TCR_EL1=1"], "no address"),
        (&["translate", "0", "1"], "'1': there is an address already"),
        (&["translate", "0", "TCR_EL7=1"], "register TCR_EL7"),
        (&["translate", "0", "TCR_EL1=0x10000000000000000"], "TCR_EL1 has 64 bits"),
        (&["translate", "0", "TCR_EL1=one"], "TCR_EL1: 'one'"),
        (&["translate", "0", "TCR_EL1="], "TCR_EL1: ''"),
        (&["translate", "0", "TCR_EL1=1", "TCR_EL1=2"], "TCR_EL1 is given twice"),
        (&["translate", "0", "T-CR=1"], "'T-CR' is neither"),
        (&["translate", "0", "0x1001=1"], "0x1001 is not a multiple of 8"),
        (&["translate", "0", "0x1008=1", "--word-size", "16"], "0x1008 is not a multiple of 16"),
        (&["translate", "0", "0x1000=0x10000000000000000"], "--word-size"),
        (&["translate", "0", "0x1000=1", "0x1000=2"], "0x1000 is given twice"),
        (&["translate", "0", "--word-size", "4"], "'4'"),
        (&["translate", "0", "--access", "peek"], "'peek'"),
        (&["translate", "0", "--el", "4"], "'4'"),
        (&["translate", "0", "--at", "S1E9R"], "'S1E9R'"),
        (&["translate", "0", "--regime", "el4"], "'el4'"),
        (&["translate", "0", "--security", "open"], "'open'"),
        (&["translate", "0", "--feature", "flying"], "'flying' is no feature"),
        (&["translate", "0", "--implementation", "armv9"], "'armv9'"),
        (&["translate", "0", "--pa-bits", "57"], "57"),
        (&["translate", "0", "--rest", "ones"], "'ones'"),
        (&["translate", "0", "--memory", "dump"], "FILE@BASE"),
        (&["translate", "0", "--memory", "/nonexistent/dump@0"], "/nonexistent/dump: "),
        (&["translate", "0", "--memory", "/dev/null@1"], "not a multiple of 8"),
        (&["translate", "0", "--memory", "/dev/null@x"], "--memory /dev/null@x: 'x'"),
        (&["translate", "0", "--registers", "/nonexistent/list"], "/nonexistent/list: "),
        (&["dat", "0", "CR16=0"], "register CR16"),
        (&["dat", "0", "PSW=0x400000100000000", "0=0"], "register PSW has EA without BA"),
        (&["dat", "0", "PSW=0x400400180000000"], "ALET must be given"),
        (&["dat", "0", "--key", "16"], "16"),
        (&["dat", "0", "--storage-key", "0"], "ADDRESS=KEY"),
        (&["dat", "0", "--storage-key", "0=0x100"], "ADDRESS=KEY"),
        (&["dat", "0", "--without", "edat3"], "'edat3'"),
        (&["dat", "0", "--tprot", "--lra"], "--lra"),
        (&["dat", "0", "--bytes", "0"], "0 is not in 1..=4096"),
        (&["dat", "0", "--bytes", "4097"], "4097 is not in 1..=4096"),
        (&["translate", "0", "--at", "S1E1R", "--access", "write"], "--access"),
        (&["translate", "0", "--at", "S1E1R", "--regime", "el3"], "--regime"),
        (&["dat", "0", "--tprot", "--access", "store"], "--access"),
        (&["pte", "0"], "--level"),
        (&["pte", "0", "--level", "4"], "level '4'"),
        (&["pte", "0", "--level", "5-level"], "level '5-level'"),
        (&["pte", "--level", "3"], "ENTRY"),
        (&["pte", "0x10000000000000000", "--level", "3"], "--d128"),
        (&["pte", "0x10000000000000000", "--level", "page"], "more than 64 bits"),
        (
            &["pte", "0", "--level", "0", "--granule", "64k"],
            "level 0: walks of these registers do not pass it",
        ),
        (&["pte", "0", "--level", "3", "--granule", "8k"], "'8k'"),
        (&["insn"], "FILE"),
        (&["insn", "/nonexistent/words"], "/nonexistent/words: "),
        (&["insn", "-w", "hello"], "'hello'"),
        (&["check", "/nonexistent/vectors"], "/nonexistent/vectors: "),
        (&["sae-block", "/nonexistent/block"], "/nonexistent/block: "),
        (&["sae-block", "/dev/null"], "is 0 bytes, and a control block has 4096"),
        (&["serve", "now"], "'now'"),
    ];
    for (arguments, part) in CASES {
        let finished = run(arguments);
        finished.expect_code(2);
        let err = &finished.err;
        assert!(err.contains(part), "{arguments:?}: {err:?} does not say {part:?}");
        assert!(err.starts_with("oracle: ") && err.lines().count() == 1, "{arguments:?}: {err:?}");
    }
}

#[test]
fn a_wrong_line_of_a_list_is_named() {
    for (text, parts) in [
        ("# fine\nTCR_EL1=1\nnonsense\n", [":3:", "'nonsense'"]),
        ("TCR_EL1=1\n\n0x1001=1\n", [":3:", "not a multiple of 8"]),
        ("TCR_EL1=0xg\n", [":1:", "TCR_EL1: '0xg'"]),
        ("TCR_EL1=1\nTCR_EL1=2\n", [":2:", "given twice"]),
    ] {
        let file = TemporaryFile::new(text.as_bytes());
        let finished = run(&["translate", "0", "--registers", file.name()]);
        for part in parts {
            assert!(finished.expect_code(2).err.contains(part), "{text:?}: {}", finished.err);
        }
        assert!(finished.err.contains(file.name()), "{}", finished.err);
    }
    let binary = TemporaryFile::new(&[0xff; 8]);
    assert!(
        run(&["translate", "0", "--registers", binary.name()]).expect_code(2).err.contains("is not text")
    );
}

#[test]
fn help_and_version_are_no_errors() {
    for (arguments, part) in [
        (&["--help"][..], "translate"),
        (&["translate", "--help"], "--access"),
        (&["--version"], "oracle 0."),
    ] {
        assert!(run(arguments).expect_code(0).out.contains(part));
    }
}
