//! The ABI as this compiler lays it out, as the header says it, and as version 1.0 froze it in `abi/1.0.txt`.
//!
//! One list serves both sides: the file. Rust's own layout is compared with it here, and a C file of assertions is made
//! of it and compiled with the header.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use xarch_ffi::*;

const FROZEN: &str = include_str!("../abi/1.0.txt");
const HEADER: &str = include_str!("../../../include/xarch.h");

/// Structures that have no size of their own in them and so can never grow.
const NEVER_GROW: &[&str] = &["xarch_layout"];

macro_rules! structures {
    ($text:ident: $($name:ident { $($field:ident)* })*) => {$(
        writeln!($text, "struct {} size {} align {}", stringify!($name), size_of::<$name>(), align_of::<$name>())
            .unwrap();
        $({
            fn bytes<T>(_: fn(&$name) -> &T) -> usize {
                size_of::<T>()
            }
            let (at, bytes) = (core::mem::offset_of!($name, $field), bytes(|of| &of.$field));
            writeln!($text, "field {}.{} at {at} size {bytes}", stringify!($name), stringify!($field)).unwrap();
        })*
    )*};
}

macro_rules! numbers {
    ($text:ident: $($name:ident)*) => {$(
        writeln!($text, "number {} {}", stringify!($name), $name).unwrap();
    )*};
}

/// The ABI as Rust has it.
fn actual() -> String {
    let mut text = String::new();
    numbers! { text:
        XARCH_ABI XARCH_OK XARCH_E_PERM XARCH_E_NOENT XARCH_E_IO XARCH_E_2BIG XARCH_E_AGAIN XARCH_E_NOMEM
        XARCH_E_BUSY XARCH_E_EXIST XARCH_E_NODEV XARCH_E_INVAL XARCH_E_NOSPC XARCH_E_RANGE XARCH_E_NOTSUP
        XARCH_FEATURE_DEVICE_LATER XARCH_BANK_CORE XARCH_BANK_GENERAL XARCH_BANK_VECTOR XARCH_BANK_SYSTEM
        XARCH_BANK_CONTROL XARCH_BANK_INTERRUPT XARCH_BANK_HOST_LIMIT XARCH_BANK_CONTROLLER XARCH_BANK_LINES
        XARCH_BANK_STATE XARCH_STATE_POWER XARCH_STATE_ERROR XARCH_EXIT_SPURIOUS XARCH_EXIT_TRAP
        XARCH_EXIT_ACCESS XARCH_EXIT_TIMER XARCH_EXIT_MAINTENANCE XARCH_EXIT_STOP XARCH_EXIT_INVALID
        XARCH_EXIT_UNKNOWN XARCH_READ XARCH_WRITE XARCH_FETCH XARCH_DIRECTION_UNKNOWN XARCH_CAUSE_NO_SLOT
        XARCH_CAUSE_READ_ONLY XARCH_CAUSE_OUT_OF_RANGE XARCH_SIZE_UNKNOWN XARCH_WALK_LEVEL_UNKNOWN XARCH_OUTCOME_DEVICE
        XARCH_OUTCOME_WAIT XARCH_OUTCOME_INTERRUPTED XARCH_OUTCOME_STOPPED XARCH_NO_DEADLINE
        XARCH_STOP_POWER_OFF XARCH_STOP_RESET XARCH_STOP_SUSPEND XARCH_STOP_INVALID XARCH_STOP_UNKNOWN
        XARCH_STOP_REGISTER XARCH_STOP_MEMORY XARCH_STOP_UNHANDLED XARCH_STOP_HOST XARCH_SLOT_READ_ONLY
        XARCH_IRQ_SHARED XARCH_IRQ_PRIVATE XARCH_IRQ_LOW XARCH_IRQ_HIGH XARCH_IRQ_PULSE XARCH_IRQ_MESSAGE
        XARCH_BACKEND_OPS XARCH_BACKEND_SOFTWARE XARCH_BACKEND_ANNOUNCED XARCH_TRACE_EXIT XARCH_TRACE_MAPPED
        XARCH_DECISION_RESUME XARCH_DECISION_DEVICE XARCH_DECISION_WAIT XARCH_DECISION_STOP
    }
    structures! { text:
        xarch_guest_info { size id name vcpus reserved }
        xarch_backend_info { size kind name guest flags vcpus page_bytes }
        xarch_slot { size flags guest host bytes }
        xarch_access { size bytes address value operation reserved }
        xarch_trace { size kind exit_kind decision syndrome address }
        xarch_platform { size abi clock slot device kick relax trace read spin_enter spin_leave }
        xarch_exit { size kind syndrome fault_address address code direction cause size_log2 walk_level }
        xarch_backend_ops {
            size abi enter read write request_exit add_slot remove_slot unmap protect collect_dirty age
            frame
        }
        xarch_frame { size reserved pc status general timers }
        xarch_backend_config {
            size abi kind vcpus address_bits flags platform context ops storage storage_bytes table_bytes
            code_bytes
        }
        xarch_layout { size align }
        xarch_vm_config { size abi guest vcpus features frames }
        xarch_irq { size kind action number vcpu reserved }
        xarch_outcome {
            size kind reason code address value syndrome deadline_counter deadline_ns token bytes
            operation reserved
        }
        xarch_api {
            size abi features guest_info backend_info backend_layout backend_create backend_destroy
            add_slot remove_slot unmap protect collect_dirty age request_exit vm_layout vm_create
            vm_destroy vm_reset vm_features vm_set_irq vm_get_register vm_set_register vm_list_registers vcpu_layout vcpu_create vcpu_destroy vcpu_reset
            vcpu_boot vcpu_run vcpu_complete vcpu_get_register vcpu_set_register vcpu_list_registers
        }
    }
    text + &types()
}

/// What the header declares each field and function as, its parameters included: two that change places are as long as
/// before. The subject ends with a colon.
fn types() -> String {
    let code = code();
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut types = String::new();
    for part in code.split("\nstruct ").skip(1) {
        let Some((name, body)) = part.split_once(" {") else { continue };
        let Some((body, _)) = body.split_once("\n};") else { continue };
        for declaration in body.split(';').map(plain).filter(|text| !text.is_empty()) {
            writeln!(types, "type {name}.{}: {declaration}", field(&declaration)).unwrap();
        }
    }
    let entry = code.split_once("xarch_get_api(").expect("the entry is declared");
    let (returns, parameters) = (entry.0.rsplit('\n').next(), entry.1.split_once(';'));
    let (returns, parameters) = (returns.expect("it returns something"), parameters.expect("it ends").0);
    writeln!(types, "type xarch_get_api: {}", plain(&format!("{returns}xarch_get_api({parameters}")))
        .unwrap();
    types
}

/// The name that a declaration is about.
fn field(declaration: &str) -> &str {
    let name = match declaration.split_once("(*") {
        Some((_, rest)) => rest.split(')').next(),
        None => declaration.rsplit([' ', '*']).next().and_then(|field| field.split('[').next()),
    };
    name.expect("a field has a name")
}

/// Every line of a list by what it is about.
fn lines(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let (_, subject, rest) = (words.next(), words.next(), words.next());
            (subject.expect("a line has a subject"), rest.expect("a line says something"))
        })
        .collect()
}

fn size_of_line(says: &str) -> Option<u64> {
    says.strip_prefix("size ")?.split(' ').next()?.parse().ok()
}

/// What breaks programs that were compiled against `frozen`.
fn incompatible(frozen: &str, actual: &str) -> Vec<String> {
    let now = lines(actual);
    let mut broken = Vec::new();
    for (subject, was) in lines(frozen) {
        match now.get(subject) {
            None => broken.push(format!("{subject} is gone")),
            Some(is) if *is == was || subject == "XARCH_ABI" => {}
            Some(is) => {
                let grown = size_of_line(was).zip(size_of_line(is)).is_some_and(|(was, is)| is > was)
                    && !subject.contains('.')
                    && !NEVER_GROW.contains(&subject);
                if !grown {
                    broken.push(format!("{subject} was '{was}' and is '{is}'"));
                }
            }
        }
    }
    broken
}

#[test]
fn version_1_0_still_runs() {
    assert_eq!(incompatible(FROZEN, &actual()), Vec::<String>::new());
}

#[cfg(not(feature = "next"))]
#[test]
fn the_list_has_everything_there_is() {
    let actual = actual();
    if actual != FROZEN {
        println!("{actual}");
    }
    assert!(actual == FROZEN, "an addition goes into a new list, abi/1.N.txt: as above; and into XARCH_ABI");
}

#[test]
fn an_incompatible_change_is_named() {
    const CASES: &[(&str, &str, &str)] = &[
        ("field xarch_slot.host at 16 size 8", "field xarch_slot.host at 24 size 8", "xarch_slot.host was"),
        ("number XARCH_E_BUSY -16", "number XARCH_E_BUSY -17", "XARCH_E_BUSY was '-16' and is '-17'"),
        ("field xarch_irq.vcpu at 16 size 4\n", "", "xarch_irq.vcpu is gone"),
        ("struct xarch_layout size 16", "struct xarch_layout size 24", "xarch_layout was"),
        ("struct xarch_exit size 40", "struct xarch_exit size 32", "xarch_exit was"),
        ("field xarch_api.vcpu_run at", "field xarch_api.vcpu_run  at", "xarch_api.vcpu_run was"),
        ("uint64_t id, uint64_t *value", "uint64_t *value, uint64_t id", "xarch_backend_ops.read: was"),
        (
            "type xarch_exit.walk_level: int8_t",
            "type xarch_exit.walk_level: uint8_t",
            "xarch_exit.walk_level: was",
        ),
        ("type xarch_get_api: const struct", "type xarch_get_api: struct", "xarch_get_api: was"),
    ];
    for (from, to, want) in CASES {
        assert!(FROZEN.contains(from), "{from}");
        let broken = incompatible(FROZEN, &FROZEN.replacen(from, to, 1));
        assert!(broken.len() == 1 && broken[0].starts_with(want), "{from}: {broken:?}");
    }
    let grown = FROZEN.replacen("struct xarch_exit size 40", "struct xarch_exit size 48", 1);
    assert_eq!(incompatible(FROZEN, &grown), Vec::<String>::new(), "growing is no break");
}

/// The header without its comments.
fn code() -> String {
    let mut rest = HEADER;
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").expect("comments end").1;
    }
    code + rest
}

#[test]
fn the_list_has_every_name_of_the_header() {
    let mut names = BTreeSet::new();
    let code = code();
    for line in code.lines() {
        if let Some(name) = line.strip_prefix("#define XARCH_").and_then(|rest| rest.split_once(' ')) {
            if !name.0.contains('(') {
                names.insert(format!("XARCH_{}", name.0));
            }
        }
    }
    for part in code.split("\nstruct ").skip(1) {
        let Some((name, body)) = part.split_once(" {") else { continue };
        let Some((body, _)) = body.split_once("\n};") else { continue };
        names.insert(name.to_string());
        for declaration in body.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            names.insert(format!("{name}.{}", field(declaration)));
        }
    }
    let listed = lines(FROZEN).into_keys().filter(|subject| !subject.ends_with(':')).map(String::from);
    assert_eq!(names, listed.collect());
}

/// A C file that asserts what the list says.
fn assertions() -> String {
    let mut c = String::from(
        "#ifdef __cplusplus\n#define CHECK(is, text) static_assert(is, text)\n#else\n#define CHECK(is, text) \\\n\
         \t_Static_assert(is, text)\n#endif\n#include \"xarch.h\"\n#include \"xarch.h\"\n",
    );
    for line in FROZEN.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let checks = match words[..] {
            ["struct", name, "size", size, "align", align] => {
                vec![
                    format!("sizeof(struct {name}) == {size}"),
                    format!("__alignof__(struct {name}) == {align}"),
                ]
            }
            ["field", name, "at", at, "size", size] => {
                let (of, field) = name.split_once('.').unwrap();
                vec![
                    format!("__builtin_offsetof(struct {of}, {field}) == {at}"),
                    format!("sizeof(((struct {of} *)0)->{field}) == {size}"),
                ]
            }
            ["type", ..] => continue,
            ["number", name, value] if value.starts_with('-') => vec![format!("{name} == ({value})")],
            ["number", name, value] => vec![format!("{name} == {value}ull")],
            _ => panic!("{line}"),
        };
        for check in checks {
            writeln!(c, "CHECK({check}, \"{line}\");").unwrap();
        }
    }
    c.push_str("int main(void) { return xarch_get_api(XARCH_ABI >> 16) ? 0 : 1; }\n");
    c
}

#[test]
fn c_lays_everything_out_as_rust_does() {
    let kernel = support::package().join("tests/c/kernel");
    let kernel = kernel.to_str().expect("the package's path is text");
    // Compiler, extension, options: what the header promises to compile as.
    let cases: &[(&str, &str, &[&str])] = &[
        ("cc", "c", &["-std=c11", "-Wpedantic"]),
        ("c++", "cc", &["-std=c++17", "-Wpedantic", "-Wno-address"]),
        (
            "cc",
            "c",
            &[
                "-std=gnu11",
                "-ffreestanding",
                "-nostdinc",
                "-D__KERNEL__",
                "-Wstrict-prototypes",
                "-I",
                kernel,
            ],
        ),
        ("s390x-linux-gnu-gcc", "c", &["-std=c11", "-Wpedantic"]),
        ("aarch64-linux-gnu-gcc", "c", &["-std=c11", "-Wpedantic"]),
    ];
    for (index, (compiler, extension, options)) in cases.iter().enumerate() {
        let Some(cc) = support::compiler(compiler) else { continue };
        let source = support::scratch().join(format!("layout{index}.{extension}"));
        std::fs::write(&source, assertions()).unwrap();
        let mut command = Command::new(cc);
        command.args(*options).args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]);
        support::run(command.arg("-I").arg(support::package().join("../../include")).arg(source));
    }
}

#[test]
fn the_header_names_no_architecture() {
    const NAMES: &[&str] = &[
        "arm", "arm64", "aarch64", "s390", "s390x", "z", "sae", "sie", "esr", "gic", "psci", "x86", "riscv",
    ];
    let named: Vec<&str> = HEADER
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| NAMES.contains(&word.to_ascii_lowercase().as_str()))
        .collect();
    assert!(named.is_empty(), "{named:?}");
}

/// The functions of a table of the header: their names, each with its comment in small letters.
fn functions(table: &str) -> BTreeMap<String, String> {
    let (_, body) = HEADER.split_once(&format!("\nstruct {table} {{")).expect("the header has the table");
    let (body, _) = body.split_once("\n};").expect("it ends");
    let mut functions = BTreeMap::new();
    for part in body.split("/*").skip(1) {
        let (comment, declaration) = part.split_once("*/").expect("comments end");
        if declaration.contains("(*") {
            let words = comment.split_whitespace().filter(|word| *word != "*").collect::<Vec<_>>();
            functions.insert(field(declaration).to_string(), words.join(" ").to_ascii_lowercase());
        }
    }
    functions
}

#[test]
fn every_entry_says_who_owns_what_in_which_units_from_where_and_with_which_errors() {
    const WORDS: [&str; 4] = ["ownership", "units", "context", "errors"];
    let entries = functions("xarch_api");
    let listed =
        FROZEN.lines().filter(|line| line.starts_with("type xarch_api.") && line.contains("(*")).count();
    assert_eq!(entries.len(), listed, "each has a comment: {:?}", entries.keys());
    for table in ["xarch_api", "xarch_platform", "xarch_backend_ops"] {
        for (name, comment) in functions(table) {
            let says =
                |word: &&str| comment.contains(&format!("{word}:")) || comment.contains(&format!("{word},"));
            let same =
                comment.contains("as the entry of xarch_api by the same name") && entries.contains_key(&name);
            let missing: Vec<_> = WORDS.into_iter().filter(|word| !says(word) && !same).collect();
            assert!(missing.is_empty(), "{table}.{name} does not say: {missing:?}");
        }
    }
}
