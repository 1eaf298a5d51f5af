//! Answers against vectors and literals from the manuals.

use crate::program::{TemporaryFile, repository, run};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};

/// Cases of Arm, as the file has them.
pub fn arm_cases() -> impl Iterator<Item = Value> {
    let file = File::open(repository("crates/mmu-xlate/tests/vectors/vmsa_public.jsonl.gz")).unwrap();
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Checks an answer of the program against the expectation of a vector.
#[track_caller]
pub fn check_arm(answer: &Value, query: &Value, name: &str) {
    let (answer, expect) = (&answer["answer"], &query["expect"]);
    if let Some(fault) = expect.get("fault") {
        let got = &answer["fault"];
        assert_eq!(got["fsc"], fault["fsc"], "{name}: {query}\n{answer}");
        assert_eq!(got["level"], fault["level"], "{name}: {query}");
        assert_eq!(got["stage"], json!(fault["s2"].as_u64().unwrap_or(0) + 1), "{name}: {query}");
        assert_eq!(got["s1ptw"], json!(fault["s1ptw"] == 1), "{name}: {query}");
        for (ours, theirs) in [
            ("overlay", "overlay"),
            ("dirty_bit", "dirtybit"),
            ("top_level", "toplevel"),
            ("assured_only", "assuredonly"),
        ] {
            assert_eq!(got[ours], json!(fault[theirs] == 1), "{name}: {theirs}: {query}");
        }
        if let Some(ipa) = fault.get("ipa") {
            assert_eq!(got["ipa"], *ipa, "{name}: {query}");
        }
        if let Some(wnr) = fault.get("wnr") {
            assert_eq!(got["write"], json!(*wnr == 1), "{name}: {query}");
        }
        return;
    }
    assert_eq!(answer["output"], expect["pa"], "{name}: {query}\n{answer}");
    assert_eq!(answer["attr"], expect["attr"], "{name}: {query}");
    assert_eq!(answer["sh"], expect["sh"], "{name}: {query}");
}

/// The whole way of a person: registers and memory in a file, the rest as options.
#[test]
fn translate_answers_what_the_vectors_expect() {
    let mut asked = 0;
    for case in arm_cases().step_by(211) {
        let mut list = String::from("# a case of the vectors\n");
        for (name, value) in case["regs"].as_object().unwrap() {
            list.push_str(&format!("{name} = {}\n", value.as_str().unwrap()));
        }
        for pair in case["mem"].as_array().unwrap() {
            list.push_str(&format!("{}={} ; memory\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
        }
        let file = TemporaryFile::new(list.as_bytes());
        let Some(query) = case["queries"].as_array().unwrap().iter().find(|q| q["access"]["kind"] != "at")
        else {
            continue;
        };
        let access = &query["access"];
        let (el, pa_bits) = (access["el"].to_string(), case["pamax"].to_string());
        let mut arguments = vec!["translate", "--json", "--rest", "zero", "--registers", file.name()];
        arguments.extend(["--regime", case["regime"].as_str().unwrap(), "--el", &el, "--pa-bits", &pa_bits]);
        arguments.extend(["--access", access["kind"].as_str().unwrap(), query["va"].as_str().unwrap()]);
        if access["pan"] == 1 {
            arguments.push("--pan");
        }
        if access["unpriv"] == 1 {
            arguments.push("--unprivileged");
        }
        // TCR2_EL1 and its like may be absent from the file because they are 0, SCR_EL3 and HCRX_EL2 never are.
        let answer = run(&arguments).expect_code(0).json();
        check_arm(&answer, query, case["id"].as_str().unwrap());
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}

/// Both stages: each descriptor of stage 1 is found by stage 2 first.
#[test]
fn a_walk_of_two_stages_shows_what_stage_2_made_of_each_address() {
    let suits = |case: &Value| {
        let features = case["features"].as_array().unwrap();
        features.contains(&"s12".into()) && !features.contains(&"d128".into())
    };
    let maps = |case: &Value| {
        let all = case["queries"].as_array().unwrap();
        all.iter()
            .find(|query| query["access"]["kind"] == "read" && query["expect"]["pa"].is_string())
            .cloned()
    };
    let found = arm_cases().filter(suits).find_map(|case| maps(&case).map(|query| (case, query)));
    let (case, query) = found.unwrap();
    let mut arguments: Vec<String> = ["translate", "--rest", "zero", "--el"].map(String::from).to_vec();
    arguments.push(query["access"]["el"].to_string());
    arguments.push(query["va"].as_str().unwrap().into());
    for (name, value) in case["regs"].as_object().unwrap() {
        arguments.push(format!("{name}={}", value.as_str().unwrap()));
    }
    for pair in case["mem"].as_array().unwrap() {
        arguments.push(format!("{}={}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let pa = query["expect"]["pa"].as_str().unwrap().strip_prefix("0x").unwrap();
    run(&arguments).expect_code(0).says(&[
        "where the next descriptor is",
        "intermediate address",
        "\nstage 2  ",
        "VTTBR_EL2: first table",
        &format!("mapped to 0x{pa:0>16}"),
    ]);
}

/// Level 1 block of 1 GiB, read-only, EL1 only: AP[2:1] 0b10.
const BLOCK: [&str; 5] = [
    "SCTLR_EL1=0x1005",
    "TCR_EL1=0x280190019",
    "TTBR0_EL1=0x40000000",
    "MAIR_EL1=0xff",
    "0x40000008=0x80000781",
];

#[test]
fn a_mapping_is_drawn_with_every_step() {
    let mut arguments = vec!["translate", "0x41234567"];
    arguments.extend(BLOCK);
    let text = run(&arguments);
    text.expect_code(0).says(&[
        "EL1&0 regime",
        "4 KiB granule, 39-bit addresses, TTBR0_EL1",
        "63                     39 | 38     30 | 29",
        "000000001",
        "entry 1",
        "0x0000000040000008: 0x0000000080000781  block",
        "mapped to 0x0000000081234567",
        "level 1, 1 GiB",
        "Normal Write-Back allocating (0xff), Inner Shareable",
        "privileged r-x, EL0 --x",
    ]);
}

#[test]
fn a_fault_names_syndrome_and_reason() {
    let mut arguments = vec!["translate", "0x41234567", "--access", "write"];
    arguments.extend(BLOCK);
    // EC 0x25, IL, WnR, Permission fault at level 1: Arm ARM, ESR_EL1.
    run(&arguments).expect_code(0).says(&[
        "permission fault, level 1, found by stage 1",
        "0x000000009600004d",
        "FAR_EL1     0x0000000041234567",
        "needed      privileged w",
        "permitted   privileged r-x",
        "Arm ARM, AArch64.S1CheckPermissions",
    ]);
    let answer = run(&[&arguments[..], &["--json"]].concat()).json();
    // FST 0b001101, F, bit 11 RES1: Arm ARM, PAR_EL1.
    assert_eq!(answer["answer"]["par"], "0x81b");
    assert_eq!(answer["answer"]["esr"], "0x9600004d");
    // From EL0 the same read is one of a lower level, to EL1: EC 0x24.
    let mut arguments = vec!["translate", "0x41234567", "--el", "0", "--json"];
    arguments.extend(BLOCK);
    assert_eq!(run(&arguments).expect_code(0).json()["answer"]["esr"], "0x9200000d");
}

#[test]
fn an_at_answers_with_par() {
    let mut arguments = vec!["translate", "0x41234567", "--at", "s1e1r", "--json"];
    arguments.extend(BLOCK);
    // ATTR 0xff, PA, bit 11 RES1, SH 0b11: Arm ARM, PAR_EL1. NS is UNKNOWN outside Secure state and reads 0 here.
    assert_eq!(run(&arguments).expect_code(0).json()["answer"]["par"], "0xff00000081234980");
}

#[test]
fn memory_may_come_as_a_dump() {
    let mut dump = vec![0; 16];
    dump[8..].copy_from_slice(&0x8000_0781_u64.to_le_bytes());
    let file = TemporaryFile::new(&dump);
    let memory = format!("{}@0x40000000", file.name());
    let mut arguments = vec!["translate", "0x41234567", "--memory", &memory];
    arguments.extend(&BLOCK[..4]);
    run(&arguments).expect_code(0).says(&["mapped to 0x0000000081234567"]);
}

#[test]
fn what_memory_lacks_is_named_after_the_walk_so_far() {
    let mut arguments = vec!["translate", "0x41234567", "0x40000008=0x50000003"];
    arguments.extend(&BLOCK[..4]);
    let finished = run(&arguments);
    finished.expect_code(2).says(&["0x0000000040000008: 0x0000000050000003  table"]);
    // Entry 9 of the level 2 table: VA[29:21] of 0x41234567.
    assert!(finished.err.contains("0x0000000050000048"), "{}", finished.err);
    let absent = run(&[&arguments[..], &["--rest", "absent"]].concat());
    absent.expect_code(0).says(&["level 2"]);
    let zero = run(&[&arguments[..], &["--rest", "zero"]].concat());
    zero.expect_code(0).says(&["translation fault, level 2"]);
}

#[test]
fn features_decide_what_a_control_means() {
    // T0SZ 12 is out of range without FEAT_LPA2, and with it DS makes 52-bit addresses.
    let arguments = [
        "translate",
        "0x0",
        "SCTLR_EL1=1",
        "TCR_EL1=0x80000060000000c",
        "TTBR0_EL1=0x40000000",
        "0x40000000=0",
    ];
    run(&arguments).expect_code(0).says(&["52-bit addresses", "translation fault, level -1"]);
    let without = run(&[&arguments[..], &["--feature", "no-lpa2"]].concat());
    without.expect_code(0).says(&["translation fault, level 0"]);
    let old = run(&[&arguments[..], &["--implementation", "armv8.0"]].concat());
    old.expect_code(0).says(&["translation fault, level 0"]);
}

#[test]
fn dat_draws_every_entry_and_the_teid() {
    // Worked examples of PoP ch. 3 as the walker's documentation has them.
    let arguments =
        ["dat", "0x12345678", "ASCE=0x130003", "0x130918=0x140000", "0x140228=0x2345200", "--access"];
    run(&[&arguments[..], &["store"]].concat()).expect_code(0).says(&[
        "entry 291",
        "entry 69",
        "page table at 0x0000000000140000",
        "program interruption 0x0004: protection",
        "DAT protection",
        "0x0000000012345404",
        "suppressed",
    ]);
    run(&[&arguments[..], &["load"]].concat()).expect_code(0).says(&["absolute 0x0000000002345678"]);
}

#[test]
fn dat_answers_load_real_address_and_keys() {
    let invalid = ["dat", "0x12345678", "ASCE=0x130003", "0x130918=0x140000", "0x140228=0x400", "--json"];
    let answer = run(&[&invalid[..], &["--lra"]].concat()).expect_code(0).json();
    assert_eq!((&answer["answer"]["cc"], &answer["answer"]["register"]), (&json!(2), &json!("0x140228")));
    // Key 2 against a block of key 3 with fetch protection.
    let keyed = [
        "dat",
        "0x12345678",
        "ASCE=0x130003",
        "0x130918=0x140000",
        "0x140228=0x2345000",
        "--key",
        "2",
        "--storage-key",
        "0x2345000=0x38",
        "--json",
    ];
    let answer = run(&keyed).expect_code(0).json();
    assert_eq!((&answer["answer"]["pic"], &answer["answer"]["teid"]), (&json!("0x4"), &json!("0x12345808")));
}

#[test]
fn dat_answers_test_protection() {
    // PoP ch. 10, "TEST PROTECTION": 0 both, 1 fetch, 2 neither, 3 not translated.
    let tables = ["dat", "0x12345678", "ASCE=0x130003", "0x130918=0x140000", "--tprot"];
    let cases: [(&[&str], Value, &[&str]); 9] = [
        (&["0x140228=0x2345000"], json!({"cc": 0, "store": null, "fetch": null}), &[]),
        // P of the page, bit 54; then of the segment.
        (&["0x140228=0x2345200"], json!({"cc": 1, "fetch": null}), &["a store", "DAT protection"]),
        (&["0x130918=0x140200", "0x140228=0x2345000"], json!({"cc": 1, "fetch": null}), &["DAT protection"]),
        // Key 2, whether the page's key is 3 without and with fetch protection, or 2.
        (
            &["0x140228=0x2345000", "--key", "2", "--storage-key", "0x2345000=0x30"],
            json!({"cc": 1, "fetch": null}),
            &["a store"],
        ),
        (
            &["0x140228=0x2345000", "--key", "2", "--storage-key", "0x2345000=0x38"],
            json!({"cc": 2}),
            &["a store", "a fetch", "the storage key"],
        ),
        (
            &["0x140228=0x2345000", "--key", "2", "--storage-key", "0x2345000=0x28"],
            json!({"cc": 0, "store": null, "fetch": null}),
            &[],
        ),
        // Without a key it is 0, which goes with all, whatever the PSW's is: here 2.
        (
            &["0x140228=0x2345000", "PSW=0x0420000180000000", "--storage-key", "0x2345000=0x38"],
            json!({"cc": 0, "store": null, "fetch": null}),
            &["key 0 of the second operand"],
        ),
        (
            &["0x140228=0x2345400"],
            json!({"cc": 3}),
            &["the address is not translated", "the entry is invalid"],
        ),
        // Bit 52 of a page-table entry: the instruction is interrupted.
        (&["0x140228=0x2345800"], json!({"pic": "0x12"}), &["program interruption 0x0012"]),
    ];
    for (more, want, says) in cases {
        let mut arguments: Vec<&str> = tables.iter().chain(more).copied().collect();
        if more.iter().any(|word| word.starts_with("0x130918=")) {
            arguments.retain(|word| *word != "0x130918=0x140000");
        }
        run(&arguments).expect_code(0).says(says);
        arguments.push("--json");
        let answer = run(&arguments).expect_code(0).json();
        for (name, value) in want.as_object().unwrap() {
            assert_eq!(&answer["answer"][name], value, "{more:?}: {answer}");
        }
        assert_eq!(answer["question"]["access"], "TEST PROTECTION");
        assert_eq!(answer["walk"].as_array().map(Vec::len), Some(3), "one walk is shown: {answer}");
    }
}

#[test]
fn load_real_address_translates_without_dat_and_tells_what_access_lists_refuse() {
    // PSW without DAT: the primary space, CR1, all the same. PoP ch. 10, "LOAD REAL ADDRESS".
    let primary = ["dat", "0x12345678", "CR1=0x130003", "0x130918=0x140000", "0x140228=0x2345000"];
    let answer = run(&[&primary[..], &["PSW=0x0000000180000000", "--lra", "--json"]].concat());
    let answer = answer.expect_code(0).json();
    assert_eq!((&answer["answer"]["cc"], &answer["answer"]["register"]), (&json!(0), &json!("0x2345678")));
    // Access-register mode, an ALET with a reserved bit: ALET specification, 0028.
    let list = ["dat", "0x12345678", "PSW=0x0400400180000000", "ALET=0x80000000", "--rest", "zero", "--json"];
    let answer = |more: &[&str]| run(&[&list[..], more].concat()).expect_code(0).json()["answer"].clone();
    assert_eq!(answer(&[])["pic"], "0x28");
    let lra = answer(&["--lra"]);
    assert_eq!((&lra["cc"], &lra["register"]), (&json!(3), &json!("0x80000028")));
    assert_eq!(answer(&["--tprot"])["cc"], 3);
}

#[test]
fn entries_are_explained_on_their_own() {
    // Linux: kernel text page, AP[2:1] 0b10, UXN; one of 16 that are contiguous, so that address bits 15:12 come from
    // the input.
    run(&["pte", "0x50000040123f83", "--level", "3"]).expect_code(0).says(&[
        "page, stage 1, level 3",
        "Contiguous",
        "0x0000000040120000",
        "[54]    UXN",
    ]);
    for (arguments, part) in [
        (&["0x40000001", "--level", "1"][..], "block, stage 1, level 1"),
        (&["0x40000001", "--level", "0"], "invalid, stage 1, level 0"),
        (&["0x40000003", "--level", "2"], "table, stage 1, level 2"),
        (&["0x400007fd", "--stage", "2", "--level", "2"], "block, stage 2, level 2"),
        (&["0x40000003", "--granule", "16k", "--level", "3"], "page, stage 1, level 3"),
        (&["0x40000003", "--granule", "64k", "--level", "1"], "table, stage 1, level 1"),
        (&["0x40000003", "--level", "-1"], "table, stage 1, level -1"),
        (&["0x40000003", "--stage", "2", "--level", "-1"], "table, stage 2, level -1"),
        (&["0x40000001", "--d128", "--level", "-2"], "table, stage 1, level -2"),
        (&["0x6000000000000000000040000001", "--d128", "--level", "0"], "block, stage 1, level 0"),
        (&["0x2345200", "--level", "page"], "page-table entry: frame"),
        (&["0x140020", "--level", "segment"], "segment-table entry: invalid"),
        (&["0x2300400", "--level", "segment"], "1 MiB at 0x0000000002300000"),
        (&["0x80000404", "--level", "region3"], "2 GiB at 0x0000000080000000"),
        (&["0x11000f", "--level", "region1"], "region-second table at 0x0000000000110000"),
    ] {
        run(&[&["pte"][..], arguments].concat()).expect_code(0).says(&[part]);
    }
}

#[test]
fn syndromes_are_decoded() {
    for (value, parts) in [
        // LDRH W5, [X1] that stage 2 does not map.
        (
            "0x93450007",
            &["data abort, lower level", "2 bytes", "w5", "translation fault, level 3", "a read"][..],
        ),
        ("0x6230006f", &["mrs x3, id_aa64mmfr0_el1"]),
        ("0x56000000", &["SVC", "#0x0"]),
        ("0x0", &["EC"]),
        ("0xffffffffffffffff", &["EC"]),
    ] {
        let finished = run(&["esr", value]);
        assert_eq!(finished.code, Some(0));
        let text = finished.out.to_lowercase();
        for part in parts {
            assert!(text.contains(&part.to_lowercase()), "{value}: no {part:?} in\n{}", finished.out);
        }
    }
    let json = run(&["esr", "0x93450007", "--json"]).json();
    assert_eq!((&json["ec"], &json["iss"]), (&json!("0x24"), &json!("0x1450007")));
}

#[test]
fn par_is_decoded_in_all_its_forms() {
    for (value, parts) in [
        ("0xff00000081234b80", &["Normal Write-Back", "0x81234000", "Inner Shareable", "succeeded"][..]),
        ("0x80f", &["translation fault, level 3", "stage 1 found", "failed"]),
        ("0xb1f", &["permission fault, level 3", "stage 2 found", "of a stage 1 descriptor"]),
        ("0x812340010000000000000180", &["0x81234000", "128-bit form"]),
    ] {
        run(&["par", value]).expect_code(0).says(parts);
    }
}

#[test]
fn teids_are_decoded() {
    run(&["teid", "0x12345404", "--pic", "4"]).expect_code(0).says(&[
        "protection",
        "suppressed",
        "page 0x0000000012345000",
        "a store",
        "DAT protection",
        "primary",
    ]);
    run(&["teid", "0x12345803", "--pic", "0x11"]).expect_code(0).says(&[
        "page translation",
        "nullified",
        "a fetch",
        "home",
    ]);
    run(&["teid", "0", "--pic", "5"]).expect_code(0).says(&["addressing", "no TEID is defined"]);
}

#[test]
fn registers_are_decoded_by_name_and_by_encoding() {
    // M, C and I: bits 0, 2 and 12.
    for name in ["SCTLR_EL1", "sctlr_el1", "S3_0_C1_C0_0"] {
        let finished = run(&["sysreg", name, "0x1005", "--json"]);
        let json = finished.expect_code(0).json();
        let set: Vec<&str> = json["fields"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|field| field["value"] != "0x0")
            .map(|field| field["name"].as_str().unwrap())
            .collect();
        assert_eq!((json["register"].as_str(), set), (Some("SCTLR_EL1"), vec!["I", "C", "M"]), "{name}");
    }
}

#[test]
fn a_control_block_is_laid_out() {
    // A store to a page that the host lacks, with the payload of code 0x02 at its offsets.
    let mut block = vec![0_u8; 0x1000];
    block[0x80] = 0x02;
    for (at, value) in [
        (0x290, 0xffff_8000_0001_2344_u64),
        (0x288, 0x3c5),
        (0x218, 0x13_0003),
        (0x308, 0xdead_beef),
        (0x400, 0x9200_0047),
        (0x410, 0x4123_5400),
        (0x418, 0xffff_8000_0123_5678),
        (0x150, 1 << 62 | 27),
    ] {
        block[at..at + 8].copy_from_slice(&value.to_be_bytes());
    }
    block[0x40e..0x410].copy_from_slice(&[0, 0x11]);
    block[0x7] = 1;
    let file = TemporaryFile::new(&block);
    run(&["sae-block", file.name()]).expect_code(0).says(&[
        "code 0x02: host access exception",
        "page translation",
        "0x0000000041235400",
        "0xffff800001235678",
        "data abort, lower level",
        "0x290  pc               0xffff800000012344",
        "EL1h",
        "INTID 27, pending",
        "x1  0x00000000deadbeef",
        "segment table",
        "0x007  0x01: not zero",
    ]);
    let json = run(&["sae-block", file.name(), "--json"]).json();
    assert_eq!(json["pc"], "0xffff800000012344");
    assert_eq!(json["interception"]["payload"]["pic"], "0x11");
    assert_eq!(json["gpr"][1], "0xdeadbeef");
}

/// GPCCR_EL3 0x13502: GPC 1, SH 0b11, ORGN and IRGN 0b01, 4 KiB, level 0 entries of 1 GiB, 40 bits; the table at 0x8000_0000. The
/// walk's table is in the second GiB, what it maps in the third. Arm ARM, GPTWalk.
#[test]
fn translate_asks_granule_protection_where_it_is_on() {
    let ask = |more: &[&str]| {
        let mut arguments = vec!["translate", "0x41234567", "SCTLR_EL1=0x1005", "TCR_EL1=0x280190019"];
        arguments.extend(["TTBR0_EL1=0x40000000", "MAIR_EL1=0xff", "0x40000008=0x80000781"]);
        arguments.extend(["GPCCR_EL3=0x13502", "GPTBR_EL3=0x80000"]);
        arguments.extend(more);
        run(&arguments)
    };
    // Blocks of level 0: Non-secure 0x91, Realm 0xb1.
    let answer = |more: &[&str]| {
        let json: Vec<&str> = ["--json"].iter().chain(more).copied().collect();
        ask(&json).json()["answer"].clone()
    };
    let open = answer(&["0x80000008=0x91", "0x80000010=0x91"]);
    assert_eq!(open["output"], "0x81234567");
    let output = answer(&["0x80000008=0x91", "0x80000010=0xb1"]);
    assert_eq!(output["fault"]["fsc"], "0x28");
    assert_eq!(output["fault"]["granule"]["at"], "0x81234567");
    assert_eq!((&output["target"], &output["esr"]), (&json!(1), &json!("0x96000028")));
    assert_eq!(output["mfar"], Value::Null);
    // EC 0x1e, IL, GPCSC 0b001100; MFAR_EL3.NS. SCR_EL3: GPF, TCR2En, NS.
    let claimed = answer(&["0x80000008=0x91", "0x80000010=0xb1", "SCR_EL3=0x1080000000001"]);
    assert_eq!((&claimed["target"], &claimed["esr"]), (&json!(3), &json!("0x7a030028")));
    assert_eq!(claimed["mfar"], "0x8000000081234000");
    // HCR_EL2.GPF: EC 0x24.
    let hypervisor = answer(&["0x80000008=0x91", "0x80000010=0xb1", "HCR_EL2=0x1000000000000"]);
    assert_eq!((&hypervisor["target"], &hypervisor["esr"]), (&json!(2), &json!("0x92000028")));
    let table = answer(&["0x80000008=0xb1", "0x80000010=0x91"]);
    assert_eq!(table["fault"]["fsc"], "0x25", "on a walk, level 1");
    // GPCSC 0b000100, and the same asked by AT: GPC exceptions do not go into PAR_EL1.
    let reserved = answer(&["0x80000008=0x2", "--at", "S1E1R"]);
    assert_eq!((&reserved["target"], &reserved["esr"]), (&json!(3), &json!("0x7a010165")));
    let par = answer(&["0x80000008=0xb1", "--at", "S1E1R"]);
    assert_eq!(par["par"], "0x84b");
    ask(&["0x80000008=0x91", "0x80000010=0xb1"]).expect_code(0).says(&[
        "FEAT_RME: GPCCR_EL3.GPC is 1",
        "granule protection of 0x40000008, NonSecure: level 0 entry 0x91 at 0x80000008, passed",
        "granule protection of 0x81234567, NonSecure: level 0 entry 0xb1 at 0x80000010, granule protection fault, level 0",
        "0x0000000081234567  Non-secure physical address",
    ]);
    let missing = ask(&[]);
    missing.expect_code(2);
    assert!(missing.err.contains("0x0000000080000008"), "{}", missing.err);
}

/// A reader that goes away is no error.
#[test]
fn nobody_needs_to_read_to_the_end() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_oracle"))
        .args(["insn", "--binary", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(&vec![0; 1 << 20]);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn a_layout_that_is_not_known_is_not_one_without_fields() {
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&run(&["sysreg", name, "0x5", "--json"]).expect_code(0).out).unwrap()
    };
    let unknown = json("TRCAUTHSTATUS");
    assert_eq!((&unknown["layout"], &unknown["reserved"]), (&false.into(), &serde_json::Value::Null));
    let known = json("ZCR_EL12");
    assert_eq!((&known["layout"], &known["reserved"]), (&true.into(), &"0x0".into()), "as ZCR_EL1");
    assert!(run(&["sysreg", "TRCAUTHSTATUS", "5"]).expect_code(0).out.contains("not known"));
    // With E2H = 0 these read as one.
    assert!(run(&["sysreg", "CPTR_EL2", "0x33ff"]).expect_code(0).out.contains("that no field has: 0x22ff"));
}

/// The values are those of the parts' manuals: Cortex-A57 has neither LSE nor RAS, Neoverse N1 has both.
#[test]
fn models_are_combined_compared_and_asked_whether_they_fit() {
    let features = |arguments: &[&str]| {
        let json: serde_json::Value = serde_json::from_str(&run(arguments).expect_code(0).out).unwrap();
        json["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f.as_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    let has = |features: &[String], name: &str| features.iter().any(|feature| feature == name);
    let n1 = features(&["cpu", "neoverse-n1", "--json"]);
    assert!(["FEAT_LSE", "FEAT_RAS", "FEAT_VHE", "FEAT_CRC32"].iter().all(|name| has(&n1, name)), "{n1:?}");
    let both = features(&["cpu", "cortex-a57", "neoverse-n1", "--json"]);
    assert!(has(&both, "FEAT_CRC32") && !has(&both, "FEAT_LSE") && !has(&both, "FEAT_RAS"), "{both:?}");

    let refused = run(&["cpu", "neoverse-n1", "--on", "cortex-a57"]).expect_code(1).out.clone();
    assert!(refused.contains("\n  ID_AA64ISAR0_EL1: field Atomic asks for 0x2, 0x0 is there\n"), "{refused}");
    let runs = run(&["cpu", "cortex-a57", "neoverse-n1", "--on", "cortex-a57"]).expect_code(0).out.clone();
    assert_eq!(runs, "a guest that was told cortex-a57 and neoverse-n1 runs on cortex-a57\n");

    let difference = run(&["cpu", "cortex-a57", "--diff", "neoverse-n1"]).expect_code(0).out.clone();
    assert!(difference.contains("\n  ID_AA64ISAR0_EL1.Atomic: 0x0 and 0x2: FEAT_LSE\n"), "{difference}");
    let none = run(&["cpu", "armv8.0", "--diff", "armv8.0"]).expect_code(0).out.clone();
    assert_eq!(none, "armv8.0 and armv8.0\n  no field differs\n");
}
