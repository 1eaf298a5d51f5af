//! What cannot be done is said in one clear line, with exit status 2.

use crate::guest::Program;
use crate::session::{Finished, TemporaryFile, boot, run};

fn hello() -> Vec<u8> {
    let mut guest = Program::new();
    guest.say("hello\n");
    guest.power_off();
    guest.image()
}

/// Checks that the program refused, and why.
#[track_caller]
fn refused(finished: &Finished, part: &str) {
    finished.expect_code(2);
    let err = &finished.err;
    assert_eq!(finished.out, "", "{err}");
    assert!(err.starts_with("vmm: ") && err.ends_with('\n') && err.lines().count() == 1, "{err:?}");
    assert!(err.contains(part), "{err:?} does not say {part:?}");
}

#[test]
fn command_lines_that_say_nothing_useful_are_refused() {
    const CASES: &[(&[&str], &str)] = &[
        (&[], "--kernel"),
        (&["--initrd", "i"], "--kernel"),
        (&["--kernel"], "--kernel"),
        (&["--kernel", "k", "--kernel", "k"], "--kernel"),
        (&["k"], "'k'"),
        (&["--kernel", "k", "--frobnicate"], "--frobnicate"),
        (&["--kernel", "k", "-x"], "-x"),
        (&["--kernel", "k", "--cpus"], "--cpus"),
        (&["--kernel", "k", "--stats=yes"], "--stats"),
        (&["--kernel", "k", "--memory", "64", "--mem", "64"], "--memory"),
        // What is typed does not break the line, nor does it reach the terminal as it is.
        (&["--kernel", "k", "--fro\nb\n\nnicate"], r"'--fro\nb\n\nnicate'"),
        (&["--kernel", "k", "--cpus", "a\n\nb"], r"'a\n\nb'"),
        (&["--kernel", "/no\nfile\x1b[31m"], r"/no\nfile\u{1b}[31m: No such file"),
    ];
    for (arguments, part) in CASES {
        refused(&run(arguments), part);
    }
}

#[test]
fn numbers_of_cpus_and_bytes_that_no_machine_has_are_refused() {
    const CASES: &[(&str, &str, &str)] = &[
        ("--cpus", "0", "1..=8"),
        ("--cpus", "9", "1..=8"),
        ("--cpus", "99", "1..=8"),
        ("--cpus", "70000", "1..=8"),
        ("--cpus", "two", "two"),
        ("--cpus", "", "--cpus"),
        ("--cpus", "-1", "-1 is not in 1..=8"),
        ("--memory", "0", "at least 8 MiB"),
        ("--memory", "1", "at least 8 MiB"),
        ("--memory", "7", "at least 8 MiB"),
        ("--memory", "65", "whole number of 2 MiB"),
        ("--memory", "9", "whole number of 2 MiB"),
        ("--memory", "lots", "not a size"),
        ("--memory", "", "size"),
        ("--memory", "é", "not a size"),
        ("--memory", "-1", "'-1' is not a size"),
        ("--memory", "-512", "'-512' is not a size"),
        ("--memory", "1K", "not a size"),
        ("--memory", "9223372036854775808", "more than any host has"),
        ("--memory", "1.5G", "not a size"),
        ("--memory", "18446744073709551616", "not a size"),
        ("--memory", "18446744073709551615", "more than any host has"),
        ("--memory", "99999999999G", "more than any host has"),
        // 1 TiB less the first GiB is what 40 bits of address have; the largest multiple of 2 MiB in 64 bits.
        ("--memory", "1024G", "no more than 1023G"),
        ("--memory", "1047554", "no more than 1023G"),
        ("--memory", "17592186044414", "no more than 1023G"),
    ];
    let kernel = TemporaryFile::new(&hello());
    for (option, value, part) in CASES {
        let finished = run(&["--kernel", kernel.name(), option, value]);
        refused(&finished, part);
    }
}

/// What the host has, and a bit more.
#[test]
fn more_memory_than_the_host_has_is_refused() {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else {
        println!("skipped: no /proc/meminfo");
        return;
    };
    let kib: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mib = (kib / 1024 + 2).next_multiple_of(2).to_string();
    let kernel = TemporaryFile::new(&hello());
    refused(&run(&["--kernel", kernel.name(), "--memory", &mib]), "host cannot provide");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let kernel = TemporaryFile::new(&hello());
    let directory = env!("CARGO_TARGET_TMPDIR");
    for (arguments, parts) in [
        (vec!["--kernel", "/nonexistent/Image"], ["/nonexistent/Image: ", "No such file"]),
        (vec!["--kernel", ""], ["vmm: ", ""]),
        (vec!["--kernel", directory], [directory, "directory"]),
        (
            vec!["--kernel", kernel.name(), "--initrd", "/nonexistent/initrd"],
            ["/nonexistent/initrd: ", "No such file"],
        ),
        (vec!["--kernel", kernel.name(), "--initrd", directory], [directory, "directory"]),
        (
            vec!["--kernel", kernel.name(), "--dtb", "/nonexistent/dtb"],
            ["/nonexistent/dtb: ", "No such file"],
        ),
        // Files without an end.
        (vec!["--kernel", "/dev/zero", "--memory", "64"], ["/dev/zero", "larger than 64 MiB"]),
        (
            vec!["--kernel", kernel.name(), "--initrd", "/dev/zero", "--memory", "64"],
            ["/dev/zero", "larger than 64 MiB"],
        ),
        (vec!["--kernel", kernel.name(), "--dtb", "/dev/zero"], ["/dev/zero", "larger than 2 MiB"]),
    ] {
        let finished = run(&arguments);
        for part in parts {
            refused(&finished, part);
        }
    }
}

#[test]
fn files_that_are_no_kernel_are_refused_with_a_hint() {
    let whole = hello();
    let mut big_endian = whole.clone();
    big_endian[24] |= 1;
    let mut far = whole.clone();
    far[8..16].copy_from_slice(&0x20_0000_u64.to_le_bytes());
    let mut odd = whole.clone();
    odd[8] = 2;
    let mut no_magic = whole.clone();
    no_magic[56] ^= 1;
    let mut short_header = whole.clone();
    short_header[16..24].copy_from_slice(&100_u64.to_le_bytes());
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(4096, 0);
    for (name, bytes, part) in [
        ("empty", &[][..], "empty"),
        ("a byte", &whole[..1], "not an arm64 Image"),
        ("cut before the magic", &whole[..56], "not an arm64 Image"),
        ("cut in the magic", &whole[..59], "not an arm64 Image"),
        ("cut at the end of the header", &whole[..63], "inside the header"),
        ("zeros", &[0; 4096], "not an arm64 Image"),
        ("text", b"#!/bin/sh\necho hello\n", "not an arm64 Image"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip"),
        ("xz", b"\xfd7zXZ\0\0\x04", "xz"),
        ("ELF", &elf, "ELF"),
        ("magic spoiled", &no_magic, "not an arm64 Image"),
        ("big-endian", &big_endian, "big-endian"),
        ("text offset of 2 MiB", &far, "text offset"),
        ("text offset of 2", &odd, "text offset of 0x2, where no instruction can lie"),
        ("longer than it says", &short_header, "longer than its header says"),
        ("needs all of the address space", &huge, "more than the guest's memory"),
    ] {
        let kernel = TemporaryFile::new(bytes);
        let finished = run(&["--kernel", kernel.name()]);
        refused(&finished, part);
        assert!(finished.err.contains(kernel.name()), "{name}: {}", finished.err);
    }
}

#[test]
fn what_does_not_fit_into_memory_is_refused() {
    let mut large = hello();
    large[16..24].copy_from_slice(&(9_u64 << 20).to_le_bytes());
    let kernel = TemporaryFile::new(&large);
    let initrd = TemporaryFile::new(&vec![0x55; 8 << 20]);
    // 9 MiB of kernel, 2 MiB of device tree, each at a multiple of 2 MiB.
    refused(&run(&["--kernel", kernel.name(), "--memory", "8"]), "needs 9 MiB, more than the guest's memory");
    refused(&run(&["--kernel", kernel.name(), "--memory", "10"]), "without overlap");
    refused(
        &run(&["--kernel", kernel.name(), "--initrd", initrd.name(), "--memory", "18"]),
        "initrd (8 MiB) and device tree do not fit into 18 MiB of memory without overlap",
    );
    let finished = run(&["--kernel", kernel.name(), "--memory", "12"]);
    assert_eq!(finished.expect_code(0).out, "hello\n");
    let finished = run(&["--kernel", kernel.name(), "--initrd", initrd.name(), "--memory", "20"]);
    assert_eq!(finished.expect_code(0).out, "hello\n");
}

#[test]
fn device_trees_that_are_none_are_refused() {
    let kernel = TemporaryFile::new(&hello());
    let mut large = vec![0; (2 << 20) + 1];
    large[..4].copy_from_slice(&[0xd0, 0x0d, 0xfe, 0xed]);
    for (bytes, part) in [
        (&b""[..], "device tree"),
        (b"\xd0\x0d\xfe", "device tree"),
        (b"/dts-v1/;\n/ { };\n", "device tree"),
        (&large, "larger than 2 MiB"),
    ] {
        let dtb = TemporaryFile::new(bytes);
        refused(&run(&["--kernel", kernel.name(), "--dtb", dtb.name()]), part);
    }
}

#[test]
fn a_device_tree_that_cannot_be_written_is_named() {
    let kernel = TemporaryFile::new(&hello());
    let finished = run(&["--kernel", kernel.name(), "--dump-dtb", "/nonexistent/directory/tree.dtb"]);
    refused(&finished, "/nonexistent/directory/tree.dtb: ");
}

#[test]
fn help_and_version_are_no_errors() {
    for (argument, part) in
        [("--help", "--kernel <FILE>"), ("-h", "Ctrl-A X"), ("--version", "vmm 0."), ("-V", "vmm 0.")]
    {
        let finished = run(&[argument]);
        finished.expect_code(0);
        assert!(finished.out.contains(part), "{}", finished.out);
        assert_eq!(finished.err, "");
    }
}

/// Linux sends one argument of at most 128 KiB; it all arrives in the device tree.
#[test]
fn a_long_command_line_arrives_whole() {
    let kernel = TemporaryFile::new(&hello());
    let tree = TemporaryFile::new(b"");
    let long = "x=y ".repeat(25_000);
    run(&["--kernel", kernel.name(), "--cmdline", &long, "--dump-dtb", tree.name()]).expect_code(0);
    let bytes = std::fs::read(tree.name()).unwrap();
    assert!(bytes.windows(long.len()).any(|window| window == long.as_bytes()));
    assert_eq!(boot(&hello(), &["--cmdline", &long]).out, "hello\n");
    assert_eq!(boot(&hello(), &["--cmdline", ""]).out, "hello\n");
}
