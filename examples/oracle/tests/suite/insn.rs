//! `oracle insn`.

use crate::program::{TemporaryFile, run, run_with};
use serde_json::Value;

/// Words whose meaning the manual states.
const WORDS: &[(u32, &str)] = &[
    (0xf940_0441, "ldr x1, [x2, #8]"),
    (0xd503_201f, "nop"),
    (0xd65f_03c0, "ret"),
    (0x0000_0000, "udf #0"),
    (0xd400_0001, "svc #0"),
];

#[test]
fn words_come_as_lines_or_as_bytes() {
    let lines: String = WORDS.iter().map(|(word, _)| format!("{word:#x} # {word}\n")).collect();
    let bytes: Vec<u8> = WORDS.iter().flat_map(|(word, _)| word.to_le_bytes()).collect();
    let by_lines = run_with(&["insn", "-"], lines.as_bytes());
    let by_bytes = run_with(&["insn", "--binary", "-"], &bytes);
    by_lines.expect_code(0);
    assert_eq!(by_lines.out, by_bytes.out);
    for (line, (word, text)) in by_lines.out.lines().zip(WORDS) {
        assert!(line.starts_with(&format!("{word:08x}  ")), "{line}");
        assert!(line.to_lowercase().contains(text), "{line} is not {text}");
    }
    assert_eq!(by_lines.out.lines().count(), WORDS.len());
    let file = TemporaryFile::new(&bytes);
    assert_eq!(run(&["insn", "--binary", file.name()]).expect_code(0).out, by_bytes.out);
}

#[test]
fn json_has_an_object_a_line() {
    let finished = run_with(&["insn", "--json", "-"], b"f9400441\n8bec6ea7\n\n; nothing\nD503201F\n");
    let lines: Vec<Value> =
        finished.expect_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["word"], &lines[0]["allocated"]), (&"0xf9400441".into(), &true.into()));
    assert_eq!(lines[0]["operands"]["Rn"], 2);
    // ADD with a rotated register is not allocated.
    assert_eq!((&lines[1]["word"], &lines[1]["allocated"]), (&"0x8bec6ea7".into(), &false.into()));
    assert_eq!(lines[2]["text"], "nop");
}

/// Names and syntax are put into JSON as they are.
#[test]
fn every_line_is_json_whatever_the_word() {
    let mut random = testkit::rng::Rng::item(1, 0);
    let words: Vec<u8> = (0..200_000).flat_map(|_| random.half().to_le_bytes()).collect();
    let finished = run_with(&["insn", "--json", "--binary", "-"], &words);
    let mut lines = 0;
    for (line, bytes) in finished.expect_code(0).out.lines().zip(words.chunks(4)) {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let word = u32::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(value["word"], format!("{word:#010x}"));
        lines += 1;
    }
    assert_eq!(lines, 200_000);
}

#[test]
fn words_that_are_none_are_refused_with_their_line() {
    for (input, part) in [
        ("f9400441\nhello\n", "standard input:2: 'hello'"),
        ("123456789\n", "standard input:1:"),
        ("0x\n", "standard input:1:"),
        ("+1\n", "standard input:1:"),
        ("1 2\n", "standard input:1: '1 2'"),
    ] {
        let finished = run_with(&["insn", "-"], input.as_bytes());
        assert!(finished.expect_code(2).err.contains(part), "{input:?}: {}", finished.err);
    }
    let long = vec![b'1'; 100_000];
    assert!(run_with(&["insn", "-"], &long).expect_code(2).err.contains("standard input:1:"));
    let torn = TemporaryFile::new(&[0x1f, 0x20, 0x03, 0xd5, 0x1f]);
    let finished = run(&["insn", "--binary", torn.name()]);
    assert!(finished.expect_code(2).err.contains("ends 1 bytes into a word"), "{}", finished.err);
    assert_eq!(finished.out.lines().count(), 1);
    assert!(run_with(&["insn", "--binary", "-"], &[1, 2, 3]).expect_code(2).err.contains("into a word"));
}

#[test]
fn comments_may_be_long_and_of_any_kind() {
    let long = "x".repeat(100_000);
    let input = format!("\u{feff}d503201f\r\n# {long}\nd503201f // {long}\r\n  d503201f\t; two\nd503201f",);
    let finished = run_with(&["insn", "-"], input.as_bytes());
    assert_eq!(finished.expect_code(0).out.lines().count(), 4, "{}", finished.out);
    assert!(finished.out.lines().all(|line| line.starts_with("d503201f  nop")));
    // The line after a long one has the number that an editor shows.
    let wrong = format!("# {long}\nd503201f\nnone\n");
    assert!(
        run_with(&["insn", "-"], wrong.as_bytes()).expect_code(2).err.contains("standard input:3: 'none'")
    );
    let hidden = format!("{}d503201f\n", " ".repeat(300));
    assert!(
        run_with(&["insn", "-"], hidden.as_bytes())
            .expect_code(2)
            .err
            .contains("standard input:1: more than")
    );
    let bytes = run_with(&["insn", "-"], &[0x1f, 0x20, 0x03, 0xd5]);
    assert!(bytes.expect_code(2).err.contains("standard input:1: not text; --binary"), "{}", bytes.err);
}

#[test]
fn nothing_is_said_of_nothing_and_files_are_named() {
    for arguments in [&["insn", "-"][..], &["insn", "--binary", "-"], &["insn", "--json", "-"]] {
        assert_eq!(run_with(arguments, b"").expect_code(0).out, "");
    }
    assert!(run(&["insn", "/nowhere/words"]).expect_code(2).err.contains("/nowhere/words: "));
    let directory = std::env::temp_dir();
    let name = directory.to_str().unwrap();
    assert!(run(&["insn", name]).expect_code(2).err.contains(name));
    assert!(run(&["insn", "--binary", name]).expect_code(2).err.contains(name));
}
