//! `run-host kit`: the conformance kit on every host, and what each keeps: a row for each clause, a column for each host.

use super::{arm64, linux_module, s390x};
use crate::shell;
use std::collections::BTreeSet;
use std::path::PathBuf;

const USAGE: &str = "usage: cargo xtask run-host kit [--only HOST | --collect]
               runs the conformance kit on every host that is installed here, and prints what each one keeps
    --only     tests, bare-metal-arm64, bare-metal-s390x or linux-module
    --collect  runs the tests alone, and takes what the other hosts' own commands have left in target/kit
";

/// The clauses, in a table that a test of the kit compares with the kit.
const CLAUSES: &str = "docs/abi.md";

/// A host that is a test program: its name, package, and test.
const TESTS: [(&str, &str, &str); 5] = [
    ("a back end for RISC-V, in the kit's tests", "xarch-conformance", "every_clause_of_a_host_is_kept"),
    ("s390-host over the model", "s390-host", "the_back_end_keeps_every_clause"),
    ("the C table, back end sae-model", "xarch-ffi", "the_table_keeps_every_clause_that_it_shows"),
    ("the C table, a back end of the caller", "xarch-ffi", "so_it_does_on_a_back_end_of_the_caller"),
    ("the VMM, as a platform", "vmm", "the_platform_keeps_its_clauses"),
];

/// A host that is no test program.
struct Machine {
    /// For `--only`.
    name: &'static str,
    columns: Vec<String>,
    missing: Option<String>,
    /// Whether its own command is a step of all checks.
    is_step: bool,
    /// Runs the kit; everything that is said is left by name. The inner error is why it could not.
    run: Box<dyn Fn() -> Result<Result<(), String>, String>>,
}

fn machines() -> Vec<Machine> {
    let bare = |name, columns: [&str; 2], missing, run: fn() -> Result<(), String>| Machine {
        name,
        columns: columns.map(|column| format!("{name}, {column}")).into(),
        missing,
        is_step: true,
        run: Box::new(move || run().map(Ok)),
    };
    let mut machines = vec![
        bare("bare-metal-arm64", ["with FEAT_VHE", "without FEAT_VHE"], arm64::missing(), arm64::kit),
        bare("bare-metal-s390x", ["model", "instructions"], s390x::missing(), s390x::kit),
    ];
    machines.extend(linux_module::kit_machines().map(|(machine, missing)| Machine {
        name: "linux-module",
        columns: vec![linux_module::kit_column(machine)],
        missing,
        is_step: linux_module::KIT_ALWAYS.contains(&machine),
        run: Box::new(move || linux_module::kit(machine)),
    }));
    machines
}

/// What a host has said that could not be asked begins with it.
pub const SKIPPED: &str = "skipped: ";

/// Where what a host has said is left.
fn place(host: &str) -> PathBuf {
    let name: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    shell::target().join("kit").join(format!("{name}.txt"))
}

/// Leaves what a host has said under the kit, for whoever collects it.
pub fn leave(host: &str, text: &str) -> Result<(), String> {
    let file = place(host);
    let directory = file.parent().ok_or("the place has no directory")?;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|e| format!("{}: {e}", file.display()))
}

/// Throws away what is left.
pub fn forget() -> Result<(), String> {
    let directory = shell::target().join("kit");
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// A clause: its name and who owes it.
#[derive(Debug, PartialEq, Eq)]
struct Clause {
    name: String,
    owed_by: String,
}

/// Reads the table of clauses.
fn clauses(page: &str) -> Vec<Clause> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let parts = rows.filter_map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some(Clause { name: name.into(), owed_by: cells.next()?.into() })
    });
    parts.filter(|clause| ["back end", "guest side", "platform"].contains(&clause.owed_by.as_str())).collect()
}

/// What one host was found to do.
struct Column {
    host: String,
    verdicts: Vec<Option<String>>,
}

impl Column {
    /// Finds the verdicts in what a host has said.
    fn read(host: String, text: &str, clauses: &[Clause]) -> Self {
        let verdicts = clauses.iter().map(|clause| text.lines().find_map(|line| verdict(line, &clause.name)));
        Self { host, verdicts: verdicts.collect() }
    }

    /// Returns what is wrong with it: a clause that is not kept, or that was not asked about though others of its kind were.
    fn failures(&self, clauses: &[Clause]) -> Vec<String> {
        let pairs = || clauses.iter().zip(&self.verdicts);
        let is_platforms = |clause: &Clause| clause.owed_by == "platform";
        let asked: BTreeSet<bool> = pairs()
            .filter(|(_, verdict)| verdict.is_some())
            .map(|(clause, _)| is_platforms(clause))
            .collect();
        let mut failures: Vec<String> = pairs()
            .filter_map(|(clause, verdict)| match verdict.as_deref() {
                Some(verdict) if verdict.starts_with("kept") || verdict.starts_with("not applicable") => None,
                Some(verdict) => Some(format!("{}: {}: {verdict}", self.host, clause.name)),
                None if asked.contains(&is_platforms(clause)) => {
                    Some(format!("{}: {}: not asked", self.host, clause.name))
                }
                None => None,
            })
            .collect();
        if asked.is_empty() {
            failures.push(format!("{}: no verdict at all", self.host));
        }
        failures
    }
}

/// Returns what a line says of a clause: `NAME   VERDICT` or `…: NAME: VERDICT`.
fn verdict(line: &str, clause: &str) -> Option<String> {
    let (before, after) = line.split_once(clause)?;
    let is_word = before.is_empty() || before.ends_with(' ');
    let rest = after.strip_prefix(':').or_else(|| after.starts_with("  ").then_some(after));
    let rest = rest.or_else(|| (after.trim_start() == "kept").then_some(after))?.trim();
    is_word.then(|| rest.to_string())
}

pub fn run(words: &[&str]) -> Result<(), String> {
    let (only, collects) = match words {
        [] => (None, false),
        ["--only", host] => (Some(*host), false),
        ["--collect"] => (None, true),
        _ => return Err(format!("unknown: {}\n{USAGE}", words.join(" "))),
    };
    let asked = |host| only.is_none_or(|only| only == host);
    let page = shell::root().join(CLAUSES);
    let page = std::fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
    let clauses = clauses(&page);
    let (mut columns, mut left_out) = (Vec::new(), Vec::new());
    for (host, package, test) in TESTS.into_iter().filter(|_| asked("tests")) {
        let mut command = shell::cargo();
        command.args(["test", "-q"]);
        // All tests are built then, of the whole workspace: another choice of packages has other features.
        if collects {
            command.args(["--workspace", "--lib", "--bins", "--tests"]);
        } else {
            command.args(["-p", package]);
        }
        command.args([test, "--", "--nocapture"]);
        columns.push(Column::read(host.into(), &shell::output(&mut command)?, &clauses));
    }
    for machine in machines().into_iter().filter(|machine| asked(machine.name)) {
        let ran = match machine.missing {
            Some(why) => Err(why),
            None if collects && machine.is_step => Ok(()),
            None if collects => Err("not with --collect".into()),
            None => (machine.run)()?,
        };
        for host in machine.columns {
            match &ran {
                Err(why) => left_out.push(format!("{host}: {SKIPPED}{why}")),
                Ok(()) => {
                    let text = std::fs::read_to_string(place(&host)).map_err(|_| {
                        format!("{host}: it has left no verdicts: its own command has not run")
                    })?;
                    match text.strip_prefix(SKIPPED) {
                        Some(why) => left_out.push(format!("{host}: {SKIPPED}{why}")),
                        None => columns.push(Column::read(host, &text, &clauses)),
                    }
                }
            }
        }
    }
    print(&clauses, &columns, &left_out);
    let failures: Vec<String> = columns.iter().flat_map(|column| column.failures(&clauses)).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn print(clauses: &[Clause], columns: &[Column], left_out: &[String]) {
    for (number, column) in (1..).zip(columns) {
        let count = |what: &str| {
            let verdicts = column.verdicts.iter().flatten();
            verdicts.filter(|verdict| verdict.starts_with(what)).count()
        };
        println!(
            "{number:>2}  {:<44} {} kept, {} broken, {} not applicable",
            column.host,
            count("kept"),
            count("broken"),
            count("not applicable")
        );
    }
    left_out.iter().for_each(|host| println!(" -  {host}"));
    let heads: Vec<String> = (1..=columns.len()).map(|number| format!("{number:>2}")).collect();
    println!("\n{:<36} {:<11}{}", "clause", "owed by", heads.join(" "));
    let mut reasons = BTreeSet::new();
    for (row, clause) in clauses.iter().enumerate() {
        let cells = (1..).zip(columns).map(|(number, column)| {
            match column.verdicts.get(row).and_then(Option::as_deref) {
                Some("kept") => " +",
                Some(verdict) if verdict.starts_with("not applicable") => {
                    reasons.insert((number, verdict.trim_start_matches("not applicable: ").to_string()));
                    " o"
                }
                Some(_) => " X",
                None => "  ",
            }
        });
        let cells: Vec<&str> = cells.collect();
        println!("{:<36} {:<11}{}", clause.name, clause.owed_by, cells.join(" "));
    }
    println!("\n+ kept, o not applicable, X broken, empty: not this host's");
    reasons.iter().for_each(|(number, reason)| println!("o {number}: {reason}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "| clause | owed by the | says |\n| --- | --- | --- |\n| `a-b` | back end | x |\n| `a-b-c` | \
                        platform | y |\n| `name` | runs | z |\n| `d` | guest side | u |\n";

    #[test]
    fn clauses_are_read_from_the_page() {
        let names: Vec<_> = clauses(PAGE).into_iter().map(|clause| clause.name).collect();
        assert_eq!(names, ["a-b", "a-b-c", "d"]);
        let page = std::fs::read_to_string(shell::root().join(CLAUSES)).unwrap();
        assert!(clauses(&page).len() >= 60);
    }

    #[test]
    fn verdicts_are_found_in_what_hosts_say() {
        for (line, clause, want) in [
            ("a-b            kept", "a-b", Some("kept")),
            ("a-b kept", "a-b", Some("kept")),
            ("test x ... a-b    kept", "a-b", Some("kept")),
            ("kit: a-b: kept", "a-b", Some("kept")),
            ("kit: a-b-c: kept", "a-b", None),
            ("x-a-b    kept", "a-b", None),
            ("a-b    not applicable: one thread", "a-b", Some("not applicable: one thread")),
            ("a-b    broken: it says 5", "a-b", Some("broken: it says 5")),
        ] {
            assert_eq!(verdict(line, clause).as_deref(), want, "{line}");
        }
    }

    #[test]
    fn a_host_that_is_silent_about_a_clause_fails() {
        let clauses = clauses(PAGE);
        let failures = |text| Column::read("h".into(), text, &clauses).failures(&clauses);
        assert_eq!(failures("a-b: kept\nd: kept\n"), Vec::<String>::new(), "a back end without a platform");
        assert_eq!(failures("a-b: kept\n"), ["h: d: not asked"]);
        assert_eq!(failures("a-b-c: kept\n"), Vec::<String>::new(), "a platform alone");
        assert_eq!(failures("a-b: broken: x\nd: kept\n"), ["h: a-b: broken: x"]);
        assert_eq!(failures("nothing"), ["h: no verdict at all"]);
    }
}
