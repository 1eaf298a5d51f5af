//! Running an emulator to its end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command that must end with one of these statuses, and within the limit.
///
/// # Errors
///
/// When it cannot be started, does not end in time, or ends otherwise: with what it said.
pub fn run(command: &mut Command, good: &[i32], limit: Duration) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|e| format!("{name}: {e} (is it installed? scripts/setup-cross)"))?;
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|e| format!("{name}: {e}"))? {
            Some(status) if status.code().is_some_and(|code| good.contains(&code)) => return Ok(()),
            Some(status) => {
                let mut text = String::new();
                if let Some(mut stderr) = child.stderr.take() {
                    let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
                }
                return Err(format!("{name}: {status}: {}", text.trim()));
            }
            None if start.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name}: no end after {} s", limit.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
