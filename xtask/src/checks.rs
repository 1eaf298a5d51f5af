//! The rules of the house that a machine can check: who may reach whom, where unsafe code is, what
//! the published crates link.

use crate::shell;
use std::path::{Path, PathBuf};

/// The published crates.
pub const PUBLISHED: [&str; 11] = [
    "xarch-abi",
    "guest-map",
    "arm-arch",
    "s390-arch",
    "mmu-xlate",
    "vcpu-core",
    "s390-host",
    "arm-host",
    "arm-exec",
    "sae-model",
    "xarch-conformance",
];

/// Files, or directories ending in `/`, that may hold unsafe code.
const UNSAFE: &[&str] = &[
    "crates/arm-exec/src/ram.rs",
    "crates/arm-exec/src/ram/",
    "crates/s390-host/src/hw.rs",
    "crates/s390-host/src/hw/",
    "crates/xarch-ffi/src/c/",
    "crates/arm-host/src/hw.rs",
];

/// What one crate may reach in the workspace.
struct Rule {
    package: &'static str,
    /// With all that these reach.
    may_reach: &'static [&'static str],
    /// The number in `docs/architecture.md`.
    number: &'static str,
}

const RULES: &[Rule] = &[
    Rule { package: "xarch-abi", may_reach: &[], number: "1" },
    Rule { package: "xarch-conformance", may_reach: &["xarch-abi"], number: "1" },
    Rule { package: "guest-map", may_reach: &["xarch-abi"], number: "1" },
    Rule { package: "arm-arch", may_reach: &[], number: "4" },
    Rule { package: "s390-arch", may_reach: &[], number: "4" },
    Rule { package: "mmu-xlate", may_reach: &["arm-arch", "s390-arch"], number: "4" },
    Rule { package: "vcpu-core", may_reach: &["xarch-abi", "arm-arch", "mmu-xlate"], number: "2" },
    Rule {
        package: "s390-host",
        may_reach: &["xarch-abi", "guest-map", "arm-arch", "s390-arch", "mmu-xlate"],
        number: "3",
    },
    Rule { package: "arm-host", may_reach: &["xarch-abi", "guest-map", "arm-arch"], number: "3" },
    Rule { package: "arm-exec", may_reach: &["arm-arch", "s390-arch", "mmu-xlate"], number: "5" },
    Rule {
        package: "sae-model",
        may_reach: &["arm-arch", "s390-arch", "mmu-xlate", "arm-exec"],
        number: "5",
    },
    Rule {
        package: "xarch-ffi",
        may_reach: &[
            "xarch-abi",
            "guest-map",
            "arm-arch",
            "s390-arch",
            "mmu-xlate",
            "vcpu-core",
            "s390-host",
            "arm-exec",
            "sae-model",
        ],
        number: "2",
    },
];

/// Other people's crates that a published crate may name. A new one needs a reason.
const LIBRARIES: &[&str] =
    &["bitfield-struct", "bitflags", "heapless", "portable-atomic", "spin", "static_assertions", "zerocopy"];

/// Checks the dependency rules of every published crate; prints one line for each.
pub fn dependencies() -> Result<(), String> {
    let mut broken = Vec::new();
    for rule in RULES {
        let tree = |arguments: &[&str]| {
            let mut cargo = shell::cargo();
            cargo.args([
                "tree",
                "-p",
                rule.package,
                "-e",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{p}|{f}",
            ]);
            shell::output(cargo.args(arguments))
        };
        let list = judge(rule, &tree(&[])?, &tree(&["--depth", "1"])?);
        println!(
            "rule {}: {:<10} {}",
            rule.number,
            rule.package,
            if list.is_empty() { "holds" } else { "BROKEN" }
        );
        broken.extend(list);
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

/// Returns what breaks a rule, from the lines `name version (path)|features` of `cargo tree`: all that
/// the package reaches, and what it names itself.
fn judge(rule: &Rule, reached: &str, direct: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, ours, features) in packages(reached).filter(|&(name, ..)| name != rule.package) {
        if ours && !rule.may_reach.contains(&name) {
            broken.push(format!("rule {}: {} reaches {name}", rule.number, rule.package));
        }
        if rule.package == "vcpu-core" && name == "mmu-xlate" && features.split(',').any(|f| f == "dat") {
            broken.push("rule 2: vcpu-core reaches the 'dat' half of mmu-xlate".into());
        }
    }
    for (name, ours, _) in packages(direct).filter(|&(name, ..)| name != rule.package) {
        if !ours && !LIBRARIES.contains(&name) {
            broken.push(format!("{} names {name}, which is not among the libraries agreed on", rule.package));
        }
    }
    broken
}

/// Name, whether it is of the workspace, and features.
fn packages(tree: &str) -> impl Iterator<Item = (&str, bool, &str)> {
    tree.lines().filter_map(|line| {
        let (package, features) = line.split_once('|')?;
        let name = package.split(' ').next()?;
        Some((name, package.contains("(/"), features.trim_end_matches(" (*)")))
    })
}

/// Checks that the contract names no architecture: rule 1.
pub fn neutral_contract() -> Result<(), String> {
    let mut named = Vec::new();
    for source in ["crates/xarch-abi/src", "crates/guest-map/src", "crates/xarch-conformance/src"] {
        for file in rust_files(&shell::root().join(source)) {
            let text = read(&file)?;
            let words = architecture_words(&text);
            named.extend(words.map(|(n, word)| format!("{}:{n}: {word}", file.display())));
        }
    }
    if named.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "rule 1: the contract, or what is the same on every host, names an architecture\n{}",
            named.join("\n")
        ))
    }
}

/// Identifiers outside comments that name an architecture, with their line.
fn architecture_words(text: &str) -> impl Iterator<Item = (usize, String)> {
    const WORDS: &[&str] =
        &["arm", "aarch64", "s390", "s390x", "sae", "sie", "asce", "esr", "hcr", "vttbr", "psw"];
    code_lines(text).flat_map(|(number, line)| {
        let split = |c: char| !c.is_ascii_alphanumeric();
        let words: Vec<String> = line.split(split).map(str::to_ascii_lowercase).collect();
        words
            .into_iter()
            .filter(|w| WORDS.contains(&w.as_str()))
            .map(move |w| (number, w))
            .collect::<Vec<_>>()
    })
}

/// Checks that unsafe code is where it may be, and that every other published crate forbids it.
pub fn unsafe_code() -> Result<(), String> {
    let root = shell::root();
    let mut found = Vec::new();
    let mut outside_examples = Vec::new();
    for file in rust_files(&root) {
        let name = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().into_owned();
        let lines = unsafe_lines(&read(&file)?);
        if lines.is_empty() {
            continue;
        }
        let allowed =
            UNSAFE.iter().any(|place| name == *place || (place.ends_with('/') && name.starts_with(place)));
        println!("{name}: {} lines{}", lines.len(), if allowed { "" } else { " (not on the list)" });
        if name.starts_with("examples/") {
            // A module's own modules belong to it.
            let module =
                name.split_once("/hw/").map_or_else(|| name.clone(), |(of, _)| format!("{of}/hw.rs"));
            outside_examples.push(module);
        } else if !allowed {
            found.push(format!("{name}: unsafe code in lines {lines:?}"));
        }
    }
    for package in PUBLISHED {
        let lib = read(&root.join(format!("crates/{package}/src/lib.rs")))?;
        let denies = lib.contains("#![deny(unsafe_code)]") && UNSAFE.iter().any(|p| p.contains(package));
        if !lib.contains("#![forbid(unsafe_code)]") && !denies {
            found.push(format!("crates/{package}/src/lib.rs does not forbid unsafe code"));
        }
    }
    outside_examples.sort();
    outside_examples.dedup();
    let mut per_example: Vec<&str> =
        outside_examples.iter().filter_map(|name| name.split('/').nth(1)).collect();
    per_example.dedup();
    if per_example.len() != outside_examples.len() {
        found.push(format!("an example has unsafe code in more than one file: {outside_examples:?}"));
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

/// Numbers of the lines with unsafe code.
fn unsafe_lines(text: &str) -> Vec<usize> {
    let is_code = |rest: &str| {
        let rest = rest.trim_start();
        rest.is_empty()
            || ["{", "fn ", "impl", "trait ", "extern "].iter().any(|start| rest.starts_with(start))
    };
    let has = |line: &str| {
        line.match_indices("unsafe").any(|(at, word)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
                && is_code(&line[at + word.len()..])
        })
    };
    code_lines(text).filter(|(_, line)| has(line)).map(|(number, _)| number).collect()
}

/// Checks that the published crates are `no_std` whatever is switched on, and use no `alloc`.
pub fn no_std() -> Result<(), String> {
    let mut found = Vec::new();
    for package in PUBLISHED {
        let source = shell::root().join(format!("crates/{package}/src"));
        if !read(&source.join("lib.rs"))?.lines().any(|line| line.trim() == "#![no_std]") {
            found.push(format!("{package} is not unconditionally no_std"));
        }
        let files = rust_files(&source);
        let tests = test_modules(&files)?;
        for file in files.iter().filter(|file| !tests.iter().any(|test| file.starts_with(test))) {
            let text = read(file)?;
            found.extend(
                std_lines(&text).into_iter().map(|n| format!("{}:{n}: std or alloc", file.display())),
            );
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

/// Files and directories of modules that exist in tests only: `#[cfg(test)]` before `mod name;`.
pub fn test_modules(files: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut modules = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default();
        let parent = file.parent().unwrap_or(Path::new(""));
        let own = stem == "lib" || stem == "main" || stem == "mod";
        let directory = if own { parent.to_path_buf() } else { parent.join(stem) };
        for name in test_module_names(&read(file)?) {
            modules.extend([directory.join(&name), directory.join(format!("{name}.rs"))]);
        }
    }
    Ok(modules)
}

fn test_module_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut after_cfg_test = false;
    for line in code_lines(text).map(|(_, line)| line.trim()).filter(|line| !line.is_empty()) {
        let declared = line.rsplit_once("mod ").and_then(|(_, rest)| rest.strip_suffix(';'));
        match declared {
            Some(name) if after_cfg_test => names.push(name.to_string()),
            _ => {}
        }
        // Other attributes may stand between.
        after_cfg_test = line == "#[cfg(test)]" || (after_cfg_test && line.starts_with("#["));
    }
    names
}

/// Lines that bring in `std` or `alloc` outside of tests. A test module is what follows `#[cfg(test)]`.
fn std_lines(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut after_cfg_test = false;
    for (number, line) in code_lines(text) {
        let line = line.trim();
        if line.contains("cfg(test)") {
            after_cfg_test = true;
        } else if after_cfg_test && line.starts_with("mod ") && line.ends_with('{') {
            // Tests come last in a file.
            break;
        } else if !line.starts_with("#[") && !line.is_empty() {
            let brings = ["extern crate std", "extern crate alloc", "std::", "alloc::"];
            let has = |word: &str| {
                line.match_indices(word)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            if !after_cfg_test && brings.iter().any(|word| has(word)) {
                found.push(number);
            }
            after_cfg_test = false;
        }
    }
    found
}

/// Lines without comments, numbered from 1. Block comments are not used in this project.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or("")))
}

pub fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = directory.read_dir() else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{RULES, architecture_words, judge, std_lines, test_module_names, unsafe_lines};

    fn broken(package: &str, reached: &str, direct: &str) -> Vec<String> {
        judge(RULES.iter().find(|rule| rule.package == package).unwrap(), reached, direct)
    }

    /// As `cargo tree -p vcpu-core -e normal --prefix none --format '{p}|{f}'` prints it.
    const GOOD: &str = "vcpu-core v0.1.0 (/x/crates/vcpu-core)|
arm-arch v0.1.0 (/x/crates/arm-arch)|
bitfield-struct v0.13.2 (proc-macro)|
mmu-xlate v0.1.0 (/x/crates/mmu-xlate)|vmsa
arm-arch v0.1.0 (/x/crates/arm-arch)| (*)
xarch-abi v0.1.0 (/x/crates/xarch-abi)|
";

    #[test]
    fn an_allowed_tree_breaks_nothing() {
        assert_eq!(broken("vcpu-core", GOOD, GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_rule_is_broken_by_the_dependency_it_is_about() {
        let with = |line: &str| format!("{GOOD}{line}\n");
        let line = |name: &str| with(&format!("{name} v0.1.0 (/x/crates/{name})|"));
        assert_eq!(broken("xarch-abi", &line("arm-arch"), "")[0], "rule 1: xarch-abi reaches vcpu-core");
        assert_eq!(broken("vcpu-core", &line("s390-arch"), ""), ["rule 2: vcpu-core reaches s390-arch"]);
        assert_eq!(broken("vcpu-core", &line("s390-host"), ""), ["rule 2: vcpu-core reaches s390-host"]);
        assert!(broken("s390-host", GOOD, "").contains(&"rule 3: s390-host reaches vcpu-core".to_string()));
        assert!(
            broken("arm-arch", &line("s390-arch"), "")
                .contains(&"rule 4: arm-arch reaches s390-arch".to_string())
        );
        assert!(broken("arm-exec", GOOD, "").contains(&"rule 5: arm-exec reaches xarch-abi".to_string()));
        assert!(broken("sae-model", GOOD, "").contains(&"rule 5: sae-model reaches vcpu-core".to_string()));
    }

    #[test]
    fn the_host_half_of_the_walkers_is_out_of_reach_of_the_guest_side() {
        let tree = GOOD.replace("|vmsa", "|dat,vmsa");
        assert_eq!(broken("vcpu-core", &tree, ""), ["rule 2: vcpu-core reaches the 'dat' half of mmu-xlate"]);
    }

    #[test]
    fn a_new_library_is_noticed_where_it_is_named() {
        let direct = format!("{GOOD}libc v0.2.1|\n");
        assert_eq!(broken("vcpu-core", GOOD, &direct).len(), 1);
        assert_eq!(
            broken("vcpu-core", &direct, GOOD).len(),
            0,
            "what a library needs itself is its own matter"
        );
    }

    #[test]
    fn architecture_names_count_in_code_not_in_comments() {
        let words = |text| architecture_words(text).map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(words("// Arm\nfn arm_state() {}\nlet alarm = 1;\nstruct Esr;"), [2, 4]);
    }

    #[test]
    fn unsafe_code_is_found_and_words_about_it_are_not() {
        let text = "#![forbid(unsafe_code)]\n// unsafe { }\nlet x = unsafe { 1 };\nunsafe impl Send for X {}\nlet s = \"unsafe\";";
        assert_eq!(unsafe_lines(text), [3, 4]);
    }

    #[test]
    fn modules_of_tests_are_known_by_their_attribute() {
        let text =
            "mod a;\n#[cfg(test)]\n// why\n#[allow(x)]\npub(crate) mod b;\nmod c;\n#[cfg(test)]\nmod d {\n}";
        assert_eq!(test_module_names(text), ["b"]);
    }

    #[test]
    fn std_is_found_outside_of_tests_only() {
        assert_eq!(std_lines("use std::fmt;\nuse core::fmt;"), [1]);
        assert_eq!(std_lines("#[cfg(test)]\nextern crate std;\nextern crate alloc;"), [3]);
        assert_eq!(std_lines("#[cfg(test)]\nmod tests {\n    use std::vec;\n}"), Vec::<usize>::new());
    }
}
