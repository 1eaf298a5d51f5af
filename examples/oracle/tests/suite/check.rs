//! `oracle check`.

use crate::program::{TemporaryFile, repository, run};
use flate2::read::GzDecoder;
use std::fs;
use std::io::Read;

const ARM: &str = "crates/mmu-xlate/tests/vectors/vmsa_public.jsonl.gz";
const DAT: &str = "crates/mmu-xlate/tests/vectors/s390_dat.json";

#[test]
fn the_vectors_of_the_repository_pass() {
    assert_eq!(run(&["check", &repository(ARM)]).expect_code(0).out, "35550 passed, 0 failed\n");
    // 181 translations and 7 windows.
    assert_eq!(run(&["check", &repository(DAT)]).expect_code(0).out, "188 passed, 0 failed\n");
}

/// The first lines of the Arm vectors, unpacked.
fn arm(lines: usize) -> Vec<String> {
    let mut text = String::new();
    let file = fs::File::open(repository(ARM)).unwrap();
    GzDecoder::new(file).take(1 << 20).read_to_string(&mut text).unwrap();
    text.lines().take(lines).map(Into::into).collect()
}

#[test]
fn a_wrong_expectation_fails_and_is_explained() {
    let mut lines = arm(3);
    // The output address of the first query of the first case.
    let right = "\"pa\":\"0x45159ed1e0\"";
    assert_eq!(lines[0].matches(right).count(), 1);
    lines[0] = lines[0].replace(right, "\"pa\":\"0x45159ed1e8\"");
    let file = TemporaryFile::new(lines.join("\n").as_bytes());
    let quiet = run(&["check", file.name()]);
    let count = lines.iter().map(|line| line.matches("\"va\":").count()).sum::<usize>();
    assert_eq!(quiet.expect_code(1).out, format!("{} passed, 1 failed\n", count - 1));
    run(&["check", "-v", file.name()]).expect_code(1).says(&[
        ":1: p00000: FAILED",
        "0x45159ed1e8",
        "| stage 2",
        "| result   mapped to 0x00000045159ed1e0",
    ]);
}

#[test]
fn a_wrong_expectation_of_dat_fails_and_is_explained() {
    let text = fs::read_to_string(repository(DAT)).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vectors = value["vectors"].as_array_mut().unwrap();
    let vector = vectors.iter_mut().find(|vector| vector["id"] == "inv-ste-fc1").unwrap();
    vector["expect"]["teid"] = "0x106800".into();
    let file = TemporaryFile::new(value.to_string().as_bytes());
    run(&["check", file.name()]).expect_code(1).says(&["187 passed, 1 failed"]);
    run(&["check", "-v", file.name()]).expect_code(1).says(&[
        "inv-ste-fc1: FAILED",
        "teid is Some(105800), not Some(106800)",
        "| result   program interruption 0x0010: segment translation",
    ]);
}

#[test]
fn files_that_are_wrong_are_refused_with_line_and_field() {
    let lines = arm(2);
    let second = |from: &str, to: &str| {
        assert!(lines[1].contains(from), "{from}");
        format!("{}\n{}\n", lines[0], lines[1].replacen(from, to, 1))
    };
    let dat = fs::read_to_string(repository(DAT)).unwrap();
    let vector = |from: &str, to: &str| {
        assert!(dat.contains(from), "{from}");
        dat.replacen(from, to, 1)
    };
    for (name, text, parts) in [
        ("empty", String::new(), &["is empty"][..]),
        ("no JSON", "hello\n".into(), &["expected"]),
        ("cut", format!("{}\n{}", lines[0], &lines[1][..500]), &[":2:", "EOF"]),
        ("another object", "{}\n".into(), &[":1:", "field \"regime\" is missing"]),
        ("no object", "[]\n".into(), &[":1:", "object"]),
        ("register", second("\"TCR_EL1\"", "\"TCR_EL9\""), &[":2:", "field \"regs\"", "TCR_EL9"]),
        ("regime", second("\"EL1&0\"", "\"EL4\""), &[":2:", "field \"regime\"", "EL4"]),
        ("number", second("\"0xc0001001\"", "\"c0001001\""), &[":2:", "field \"mem\"", "c0001001"]),
        ("kind", second("\"rmw\"", "\"swap\""), &[":2:", "field \"queries\"", "field \"kind\"", "swap"]),
        ("level", second("\"level\":2", "\"level\":7"), &[":2:", "field \"level\"", "7"]),
        ("unknown", second("\"overlay\":1", "\"underlay\":1"), &[":2:", "underlay", "not known"]),
        ("no answer", second("\"expect\"", "\"expected\""), &[":2:", "field \"expect\" is missing"]),
        ("pamax", second("\"pamax\":56", "\"pamax\":\"56\""), &[":2:", "field \"pamax\""]),
        ("schema", vector("s390-dat-vectors/1", "s390-dat-vectors/9"), &["field \"schema\""]),
        ("access", vector("\"load\"", "\"peek\""), &["field \"vectors\"", "field \"access\"", "peek"]),
        ("key", vector("\"access_key\": 0", "\"access_key\": 16"), &["field \"access_key\""]),
    ] {
        let file = TemporaryFile::new(text.as_bytes());
        let finished = run(&["check", file.name()]);
        finished.expect_code(2);
        for part in parts {
            assert!(finished.err.contains(part), "{name}: no {part:?} in {}", finished.err);
        }
        assert!(finished.err.contains(file.name()), "{name}: {}", finished.err);
    }
    let gzip = TemporaryFile::new(b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    run(&["check", gzip.name()]).expect_code(2);
    let binary = TemporaryFile::new(&[0xff; 64]);
    assert!(run(&["check", binary.name()]).expect_code(2).err.contains("neither text nor gzip"));
}
