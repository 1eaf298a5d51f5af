//! `oracle serve`.

use crate::answers::{arm_cases, check_arm};
use crate::program::{repository, run_with};
use serde_json::{Value, json};
use testkit::rng::Rng;

/// Asks and returns the answers, one for each line.
fn serve(questions: &[Value]) -> Vec<Value> {
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let finished = run_with(&["serve"], lines.as_bytes());
    assert_eq!(finished.expect_code(0).err, "");
    let answers: Vec<Value> = finished.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

#[test]
fn a_session_translates_what_the_vectors_ask() {
    let (mut questions, mut expected) = (Vec::new(), Vec::new());
    for case in arm_cases().step_by(13) {
        for query in case["queries"].as_array().unwrap() {
            let access = &query["access"];
            let mut question = json!({
                "id": expected.len(), "ask": "translate", "va": query["va"], "registers": case["regs"],
                "memory": case["mem"], "rest": "zero", "pa_bits": case["pamax"],
            });
            let is_at = access["kind"] == "at";
            if is_at {
                question["at"] = access["op"].clone();
                question["el"] = 2.into();
            } else {
                question["regime"] = case["regime"].clone();
                question["access"] = access["kind"].clone();
                question["el"] = access["el"].clone();
                question["unprivileged"] = (access["unpriv"] == 1).into();
            }
            question["pan"] = (access["pan"] == 1).into();
            questions.push(question);
            expected.push((case["id"].as_str().unwrap().to_owned(), query.clone(), is_at));
        }
    }
    let mut faults = 0;
    for (number, (answer, (name, query, is_at))) in serve(&questions).iter().zip(&expected).enumerate() {
        assert_eq!((&answer["id"], &answer["ok"]), (&number.into(), &true.into()), "{answer}");
        faults += usize::from(query["expect"].get("fault").is_some());
        if *is_at {
            // F and FST, or F and the address: bits that the vectors define in every form.
            let par = |value: &Value| {
                u128::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
            };
            let (got, want) = (par(&answer["answer"]["answer"]["par"]), par(&query["expect"]["par"]));
            let mask = if want & 1 == 1 { 0x7f } else { 0xff << 56 | 0x181 };
            assert_eq!(got & mask, want & mask, "{name}: {query}");
        } else {
            check_arm(&answer["answer"], query, name);
        }
    }
    assert!(questions.len() > 2000 && faults > 500, "{} {faults}", questions.len());
}

/// PSW mask of a vector: T, AS, EA and BA.
fn psw(vector: &Value) -> u64 {
    let mode = match vector["psw"]["amode"].as_u64() {
        Some(24) => 0,
        Some(31) => 1 << 31,
        _ => 3 << 31,
    };
    let dat = u64::from(vector["psw"]["dat"] == true) << 58;
    dat | vector["psw"]["as_id"].as_u64().unwrap() << 46 | mode
}

#[test]
fn a_session_walks_every_dat_vector() {
    let text = std::fs::read_to_string(repository("crates/mmu-xlate/tests/vectors/s390_dat.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let questions: Vec<Value> = vectors
        .iter()
        .map(|vector| {
            let mut registers = json!({
                "PSW": format!("{:#x}", psw(vector)), "CR0": vector["cr0"], "PREFIX": vector["prefix"],
            });
            if vector["psw"]["dat"] == true {
                registers["ASCE"] = vector["asce"].clone();
            }
            let without: Vec<&str> = ["edat1", "edat2", "iep"]
                .into_iter()
                .filter(|name| vector["facilities"][name] == false)
                .collect();
            let keys: Vec<Value> = vector["storage_keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| {
                    let key =
                        pair[1].as_u64().map_or_else(|| pair[1].clone(), |key| format!("{key:#x}").into());
                    json!([pair[0], key])
                })
                .collect();
            json!({
                "ask": "dat", "address": vector["vaddr"], "registers": registers, "memory": vector["mem"],
                "rest": "zero", "size": vector["mem_size"], "access": vector["access"], "without": without,
                "key": vector["access_key"], "storage_keys": keys, "bytes": 8,
            })
        })
        .collect();
    for (answer, vector) in serve(&questions).iter().zip(vectors) {
        let (id, want) = (&vector["id"], &vector["expect"]);
        assert_eq!(answer["ok"], true, "{id}: {answer}");
        let answer = &answer["answer"]["answer"];
        if want["ok"] == true {
            assert_eq!(answer["absolute"], want["absolute"], "{id}: {answer}");
            assert_eq!(answer["frame_size"], want["frame_size"], "{id}");
            assert_eq!(answer["dat_protected"], want["dat_protected"], "{id}");
        } else {
            assert_eq!(answer["pic"], want["pic"], "{id}: {answer}");
            assert_eq!(answer["teid"], want["teid"], "{id}");
        }
    }
}

#[test]
fn a_wrong_line_is_answered_and_the_session_goes_on() {
    const CASES: &[(&str, &str)] = &[
        ("nonsense", "not JSON"),
        ("{\"ask\":\"esr\"", "not JSON"),
        ("[]", "not an object"),
        ("7", "not an object"),
        ("{}", "ask: is missing"),
        ("{\"ask\":5}", "ask: is not a string"),
        ("{\"ask\":\"frobnicate\"}", "frobnicate"),
        ("{\"ask\":\"esr\"}", "value: is missing"),
        ("{\"ask\":\"esr\",\"value\":\"zero\"}", "value: 'zero'"),
        ("{\"ask\":\"esr\",\"value\":7}", "value: is not a string"),
        ("{\"ask\":\"esr\",\"value\":\"0\",\"walue\":\"1\"}", "walue: is not known"),
        ("{\"ask\":\"esr\",\"value\":\"0x10000000000000000\"}", "64 bits"),
        ("{\"ask\":\"teid\",\"value\":\"0\",\"pic\":\"0x10000\"}", "pic:"),
        ("{\"ask\":\"insn\",\"word\":\"123456789\"}", "word:"),
        ("{\"ask\":\"sysreg\",\"name\":\"NO_EL1\",\"value\":\"0\"}", "NO_EL1"),
        ("{\"ask\":\"translate\"}", "va: is missing"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"registers\":{\"NOT_EL1\":\"0\"}}", "NOT_EL1"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"registers\":[]}", "registers: is not an object"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"memory\":[[\"0x4\",\"0\"]]}", "memory: address 0x4"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"memory\":[[\"TCR_EL1\",\"0\"]]}", "memory: 'TCR_EL1'"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"memory\":[[0,0]]}", "memory: element 0"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"el\":4}", "el: is not a number below 4"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"pan\":1}", "pan: is neither true nor false"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"features\":[\"flying\"]}", "features: 'flying'"),
        ("{\"ask\":\"translate\",\"va\":\"0\",\"pa_bits\":12}", "pa_bits"),
        ("{\"ask\":\"dat\",\"address\":\"0\",\"registers\":{\"CR16\":\"0\"}}", "CR16"),
        (
            "{\"ask\":\"translate\",\"va\":\"0\",\"at\":\"S1E1R\",\"access\":\"read\"}",
            "access: AT has its own",
        ),
        (
            "{\"ask\":\"translate\",\"va\":\"0\",\"at\":\"S1E1R\",\"regime\":\"EL3\"}",
            "regime: AT has its own",
        ),
        ("{\"ask\":\"dat\",\"address\":\"0\",\"key\":16}", "key: is not a number below 16"),
        ("{\"ask\":\"dat\",\"address\":\"0\",\"bytes\":0}", "bytes: an operand has one at least"),
        ("{\"ask\":\"dat\",\"address\":\"0\",\"tprot\":true,\"lra\":true}", "lra and tprot"),
        ("{\"ask\":\"dat\",\"address\":\"0\",\"tprot\":true,\"bytes\":1}", "bytes: TEST PROTECTION"),
        ("{\"ask\":\"pte\",\"value\":\"0\",\"level\":\"4\"}", "level '4'"),
    ];
    let mut input = String::new();
    for (line, _) in CASES {
        input.push_str(line);
        input.push('\n');
        input.push_str("{\"ask\":\"insn\",\"word\":\"d503201f\",\"id\":\"after\"}\n\n");
    }
    let finished = run_with(&["serve"], input.as_bytes());
    let answers: Vec<Value> =
        finished.expect_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2 * CASES.len(), "empty lines are not answered");
    for (pair, (line, part)) in answers.chunks(2).zip(CASES) {
        assert_eq!(pair[0]["ok"], false, "{line}");
        let error = pair[0]["error"].as_str().unwrap();
        assert!(error.contains(part), "{line}: {error}");
        assert_eq!((&pair[1]["id"], &pair[1]["ok"]), (&"after".into(), &true.into()), "{line}");
    }
}

#[test]
fn an_error_keeps_the_identity_of_its_question() {
    let answers = serve(&[
        json!({ "id": { "any": ["thing"] }, "ask": "nothing" }),
        // Memory is missing: the walk so far is in the answer.
        json!({
            "id": 2, "ask": "translate", "va": "0x0", "registers": { "SCTLR_EL1": "1", "TCR_EL1": "25" },
        }),
    ]);
    assert_eq!(answers[0]["id"], json!({ "any": ["thing"] }));
    assert_eq!(
        (&answers[1]["ok"], &answers[1]["answer"]["answer"]["missing"]),
        (&false.into(), &"0x0".into())
    );
}

#[test]
fn lines_that_are_too_long_are_refused_and_skipped() {
    let good = "{\"ask\":\"insn\",\"word\":\"d503201f\"}\n";
    let mut input = vec![b' '; (1 << 20) - good.len()];
    // As long as a line may be, its end not counted.
    input.extend(good.as_bytes());
    input.extend(vec![b'x'; 3 << 20]);
    input.push(b'\n');
    input.extend(good.as_bytes());
    // Not UTF-8, and a last line without an end.
    input.extend(b"\xff\xfe\n");
    input.extend(good.trim_end().as_bytes());
    let finished = run_with(&["serve"], &input);
    let answers: Vec<Value> =
        finished.expect_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ok: Vec<bool> = answers.iter().map(|answer| answer["ok"] == true).collect();
    assert_eq!(ok, [true, false, true, false, true]);
    assert!(answers[1]["error"].as_str().unwrap().contains("1048576"), "{}", answers[1]);
    assert!(answers[3]["error"].as_str().unwrap().contains("UTF-8"), "{}", answers[3]);
}

#[test]
fn no_questions_are_no_error() {
    assert_eq!(run_with(&["serve"], b"").expect_code(0).out, "");
}

/// Names of all registers that translation reads.
const REGISTERS: [&str; 30] = [
    "SCTLR_EL1",
    "TCR_EL1",
    "TCR2_EL1",
    "TTBR0_EL1",
    "TTBR1_EL1",
    "MAIR_EL1",
    "MAIR2_EL1",
    "PIR_EL1",
    "PIRE0_EL1",
    "POR_EL1",
    "POR_EL0",
    "SCTLR_EL2",
    "TCR_EL2",
    "TCR2_EL2",
    "TTBR0_EL2",
    "TTBR1_EL2",
    "MAIR_EL2",
    "HCR_EL2",
    "HCRX_EL2",
    "SCR_EL3",
    "VTCR_EL2",
    "VTTBR_EL2",
    "VSTCR_EL2",
    "VSTTBR_EL2",
    "S2PIR_EL2",
    "S2POR_EL1",
    "SCTLR_EL3",
    "TCR_EL3",
    "TTBR0_EL3",
    "MAIR_EL3",
];

/// A number with many, few or one bit set.
fn any(random: &mut Rng) -> String {
    let bits = match random.below(4) {
        0 => random.word(),
        1 => random.word() & random.word() & random.word(),
        2 => 1 << random.below(64),
        _ => random.word() & 0xffff_ffff_f000,
    };
    format!("{bits:#x}")
}

fn any_registers(random: &mut Rng, names: &[&str], percent: u64) -> Value {
    let chosen: Vec<&str> = names.iter().copied().filter(|_| random.percent(percent)).collect();
    chosen
        .into_iter()
        .map(|name| (name.to_owned(), Value::from(any(random))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Whatever registers hold, there is an answer: nothing panics, and a session never ends early.
#[test]
fn any_state_of_a_machine_gets_an_answer() {
    let mut random = Rng::item(7, 0);
    let mut questions = Vec::new();
    for _ in 0..4000 {
        let mut registers = any_registers(&mut random, &REGISTERS, 60);
        for name in ["SCTLR_EL1", "SCTLR_EL2"] {
            // Stage 1 is on more often than not.
            if random.percent(70) {
                registers[name] = "0x1005".into();
            }
        }
        let mut question = json!({
            "ask": "translate", "va": any(&mut random), "registers": registers, "el": random.below(4),
            "rest": *random.pick(&["zero", "absent"]), "pan": random.percent(50),
            "access": *random.pick(&["read", "write", "rmw", "ifetch", "dc_ivac", "gcs_write"]),
            "security": *random.pick(&["non-secure", "secure", "realm"]),
            "implementation": *random.pick(&["all", "armv8.0"]),
        });
        if random.percent(30) {
            question["at"] = (*random.pick(&["S1E1R", "S12E0W", "S1E2A", "S1E3W"])).into();
            question["access"] = Value::Null;
        }
        questions.push(question);
        questions.push(json!({
            "ask": "dat", "address": any(&mut random), "lra": random.percent(30),
            "registers": any_registers(&mut random, &["ASCE", "CR0", "CR1", "CR7", "CR13", "PREFIX"], 60),
            "rest": *random.pick(&["zero", "absent"]), "access": *random.pick(&["load", "store", "ifetch"]),
        }));
        questions.push(json!({
            "ask": "dat", "address": any(&mut random), "tprot": true, "key": random.below(16),
            "registers": any_registers(&mut random, &["ASCE", "CR0", "CR1", "CR7", "CR13", "PREFIX"], 60),
            "rest": *random.pick(&["zero", "absent"]),
        }));
        questions.push(json!({
            "ask": "pte", "value": any(&mut random), "d128": random.percent(40), "lpa2": random.percent(40),
            "level": *random.pick(&["3", "page", "segment", "region3", "region1"]),
            "stage": *random.pick(&["1", "2"]), "granule": *random.pick(&["4k", "16k", "64k"]),
        }));
        for ask in ["esr", "par", "teid"] {
            questions.push(json!({ "ask": ask, "value": any(&mut random) }));
        }
    }
    let answers = serve(&questions);
    for (question, answer) in questions.iter().zip(&answers) {
        assert_eq!(answer["ok"], true, "{question}\n{answer}");
    }
}
