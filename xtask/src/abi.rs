//! `cargo xtask check header`: `include/xarch.h` is what cbindgen makes of `crates/xarch-ffi`, set as a header of a
//! kernel is set.

use crate::shell;
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask check header [--write]
  --write   make include/xarch.h anew instead of comparing
";

/// The files that the header is made of, in this order.
const SOURCES: [&str; 2] = ["crates/xarch-ffi/src/c/types.rs", "crates/xarch-ffi/src/c/api.rs"];
const HEADER: &str = "include/xarch.h";
/// What begins a line of its own in a comment.
const LABELS: [&str; 6] = ["Ownership:", "Ownership,", "Units:", "Context:", "Errors:", "Null:"];
/// Columns of a line, with tabs of eight.
const COLUMNS: usize = 96;

pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check().map(|skipped| skipped.unwrap_or_else(|reason| println!("SKIPPED: {reason}"))),
        ["--write"] => {
            let path = shell::root().join(HEADER);
            std::fs::write(&path, header()?).map_err(|e| format!("{}: {e}", path.display()))?;
            println!("{HEADER} written");
            Ok(())
        }
        _ => Err(format!("unknown options\n{USAGE}")),
    }
}

/// Compares the header with its sources. The inner error is why it could not.
pub fn check() -> Result<Result<(), String>, String> {
    if !shell::has("cbindgen") {
        return Ok(Err("not installed: cbindgen (cargo install cbindgen)".into()));
    }
    let made = header()?;
    let there = read(HEADER)?;
    let differs = made.lines().zip(there.lines()).position(|(made, there)| made != there);
    match differs {
        _ if made == there => {
            println!("{HEADER} is up to date");
            Ok(Ok(()))
        }
        Some(line) => {
            Err(format!("{HEADER}:{}: not what the sources say: cargo xtask check header --write", line + 1))
        }
        None => Err(format!("{HEADER} is shorter or longer than the sources say")),
    }
}

fn read(name: &str) -> Result<String, String> {
    let path = shell::root().join(name);
    std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
}

fn header() -> Result<String, String> {
    let mut source = String::new();
    for name in SOURCES {
        source.push_str(&without_next(&read(name)?));
    }
    let directory = shell::target().join("xarch-header");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let input = directory.join("header.rs");
    std::fs::write(&input, source).map_err(|e| format!("{}: {e}", input.display()))?;
    let mut cbindgen = Command::new("cbindgen");
    cbindgen.args(["--quiet", "--config"]).arg(shell::root().join("crates/xarch-ffi/cbindgen.toml"));
    Ok(dress(&shell::output(cbindgen.arg(&input))?))
}

/// Leaves out a file's own documentation, and what a next version might add.
fn without_next(source: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in source.lines().filter(|line| !line.starts_with("//!")) {
        let text = line.trim();
        if text == "#[cfg(feature = \"next\")]" {
            skipping = true;
        } else if skipping {
            skipping = text.starts_with("///") || !(text.ends_with(';') || text.ends_with(','));
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Sets cbindgen's text as C programmers do: tabs, stars before the lines of a comment, short comments in one line,
/// numbers of one kind in one block.
fn dress(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut lines = text.lines().peekable();
    // What the configuration brings is set already: it ends where the numbers begin.
    let mut set = false;
    while let Some(line) = lines.next() {
        set |= line.starts_with("#define XARCH_HAS");
        let indent = line.len() - line.trim_start().len();
        if set && line.trim() == "/*" {
            let mut body = Vec::new();
            for line in lines.by_ref().take_while(|line| line.trim() != "*/") {
                body.push(line.get(indent + 1..).unwrap_or("").trim_end().replace('`', ""));
            }
            out.extend(comment(&body, indent / 8));
        } else if let Some((name, value)) =
            line.strip_prefix("#define ").filter(|_| set).and_then(|l| l.split_once(' '))
        {
            out.push(format!("#define {name} {}", number(name, value)));
        } else if let Some((code, note)) = line.split_once("//").filter(|_| set) {
            out.push(format!("{} /* {} */", code.trim_end(), note.trim()));
        } else {
            let tabs = "\t".repeat(indent / 8) + &" ".repeat(indent % 8);
            out.push(format!("{tabs}{}", line.trim_start()).trim_end().to_string());
        }
    }
    let mut out = together(&out);
    out.push('\n');
    out
}

fn number(name: &str, value: &str) -> String {
    if name == "XARCH_ABI" {
        value.parse::<u32>().map_or_else(|_| value.into(), |value| format!("{value:#010x}"))
    } else if value == "UINT64_MAX" || value.starts_with('~') || value.starts_with('!') {
        // Kernels have another name for it.
        "(~(uint64_t)0)".into()
    } else if value.starts_with('-') {
        format!("({value})")
    } else {
        value.into()
    }
}

/// A comment of paragraphs; one that is indented stays as it is.
fn comment(body: &[String], tabs: usize) -> Vec<String> {
    let margin = "\t".repeat(tabs);
    let columns = COLUMNS - 8 * tabs - 3;
    let mut lines: Vec<String> = Vec::new();
    for paragraph in body.split(|line| line.is_empty()).filter(|paragraph| !paragraph.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        if paragraph.iter().any(|line| line.starts_with(' ')) {
            lines.extend(paragraph.iter().cloned());
            continue;
        }
        let mut current = String::new();
        for line in paragraph {
            // What these words begin is looked for at the start of a line.
            if LABELS.iter().any(|word| line.starts_with(word)) && !current.is_empty() {
                lines.push(std::mem::take(&mut current));
            }
            for word in line.split_whitespace() {
                if !current.is_empty() && current.len() + 1 + word.len() > columns {
                    lines.push(std::mem::take(&mut current));
                }
                if !current.is_empty() {
                    current.push(' ');
                }
                current.push_str(word);
            }
        }
        lines.push(current);
    }
    if let [line] = &lines[..] {
        return vec![format!("{margin}/* {line} */")];
    }
    let mut out = vec![format!("{margin}/*")];
    out.extend(lines.iter().map(|line| format!("{margin} * {line}").trim_end().to_string()));
    out.push(format!("{margin} */"));
    out
}

/// Takes the empty lines out between numbers of one kind, and doubled ones.
fn together(lines: &[String]) -> String {
    let kind = |line: &str| {
        let name = line.strip_prefix("#define XARCH_")?.split([' ', '(']).next()?;
        Some(name.split('_').next().unwrap_or(name).to_string())
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut last = None;
    for (index, line) in lines.iter().enumerate() {
        if line.is_empty() {
            let next = lines[index..].iter().find_map(|line| kind(line));
            let same = last.is_some() && last == next && kept.last().is_some_and(|l| kind(l).is_some());
            if same || kept.last().is_none_or(|last| last.is_empty()) {
                continue;
            }
        }
        if let Some(found) = kind(line) {
            last = Some(found);
        }
        kept.push(line);
    }
    kept.join("\n").trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::{dress, without_next};

    #[test]
    fn comments_and_numbers_are_set_as_in_c() {
        let from = "#define XARCH_HAS 1\n\n/*\n The `call` did.\n */\n#define XARCH_E_PERM -1\n\n/*\n Two\n lines.\n\n More.\n */\n#define XARCH_E_IO -5\n\nstruct x {\n        /*\n         One.\n         */\n        int a;\n};\n";
        let want = "#define XARCH_HAS 1\n\n/* The call did. */\n#define XARCH_E_PERM (-1)\n/*\n * Two lines.\n *\n * More.\n */\n#define XARCH_E_IO (-5)\n\nstruct x {\n\t/* One. */\n\tint a;\n};\n";
        assert_eq!(dress(from), want);
    }

    #[test]
    fn what_a_next_version_adds_is_not_in_the_header() {
        let from = "//! File.\nkeep;\n#[cfg(feature = \"next\")]\n/// Gone,\npub const X: u64 = 1;\nkeep;\n";
        assert_eq!(without_next(from), "keep;\nkeep;\n");
    }
}
