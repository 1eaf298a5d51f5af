//! Running other programs, and finding one's way around the workspace.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the root of the workspace.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Returns cargo's target directory, where this tool keeps what it makes.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => std::path::absolute(&directory).unwrap_or_else(|_| directory.into()),
        None => root().join("target"),
    }
}

/// Returns the command line as one would type it.
pub fn line(command: &Command) -> String {
    let quoted = |text: &std::ffi::OsStr| {
        let text = text.to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
        if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{text}'") }
    };
    let environment = command.get_envs().filter_map(|(name, value)| {
        let value = value?;
        Some(format!("{}={}", name.to_string_lossy(), quoted(value)))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    environment.chain(words).collect::<Vec<_>>().join(" ")
}

/// Prints a command, runs it with the terminal, and fails when it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    println!("$ {}", line(command));
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", line(command))) }
}

/// Runs a test command as [`run`] does, and prints the sum of the summaries of its test programs.
pub fn run_tests(command: &mut Command) -> Result<(), String> {
    println!("$ {}", line(command));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_start(command, &e))?;
    let mut sum = [0; 3];
    let output = child.stdout.take().map(BufReader::new);
    for text in output.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        println!("{text}");
        for (total, count) in sum.iter_mut().zip(summary(&text).unwrap_or_default()) {
            *total += count;
        }
    }
    let status = child.wait().map_err(|e| cannot_start(command, &e))?;
    let [passed, failed, ignored] = sum;
    println!("all test programs: {passed} passed, {failed} failed, {ignored} ignored");
    if status.success() { Ok(()) } else { Err(format!("{failed} tests failed: {}: {status}", line(command))) }
}

/// Passed, failed and ignored, of a test program's last line.
fn summary(line: &str) -> Option<[u64; 3]> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ").filter_map(|part| part.split(' ').next()?.parse().ok());
    Some([counts.next()?, counts.next()?, counts.next()?])
}

/// Runs a command and returns what it prints on its standard output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| cannot_start(command, &e))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}: {}", line(command), output.status, text.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns whether a program can be started by its name.
pub fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(program).is_file()))
}

/// Returns a cargo command at the root of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo told this program about its own package is nothing that others should hear.
    for name in
        ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"]
    {
        command.env_remove(name);
    }
    command
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run {}: {error}", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_test_programs_summary_is_read() {
        let line = "test result: FAILED. 13 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.62s";
        assert_eq!(summary(line), Some([13, 1, 2]));
        assert_eq!(summary("running 3 tests"), None);
    }
}
