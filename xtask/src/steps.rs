//! Steps with headings, a summary at the end, and honest skips.

use std::time::{Duration, Instant};

/// How a step ended.
#[derive(Clone, Debug)]
pub enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

/// A list of steps that have run.
#[derive(Default)]
pub struct Steps {
    /// Only steps whose name contains this are run.
    pub only: String,
    done: Vec<(String, End, Duration)>,
}

impl Steps {
    /// Runs one step. A step that fails does not keep the next from running.
    pub fn step(&mut self, name: &str, step: impl FnOnce() -> Result<(), String>) {
        self.step_or_skip(name, || step().map(Ok));
    }

    /// Runs a step that needs something; without it the step is skipped, and says so.
    pub fn step_if(
        &mut self,
        name: &str,
        missing: Option<String>,
        step: impl FnOnce() -> Result<(), String>,
    ) {
        self.step_or_skip(name, || missing.map_or_else(|| step().map(Ok), |reason| Ok(Err(reason))));
    }

    /// Runs a step that finds out itself whether it can run: the inner error is the reason why not.
    pub fn step_or_skip(&mut self, name: &str, step: impl FnOnce() -> Result<Result<(), String>, String>) {
        if !name.contains(&self.only) {
            return;
        }
        println!("\n==== {name} ====");
        let start = Instant::now();
        let end = match step() {
            Ok(Ok(())) => End::Passed,
            Ok(Err(reason)) => {
                println!("SKIPPED: {reason}");
                End::Skipped(reason)
            }
            Err(message) => {
                println!("FAILED: {message}");
                End::Failed(message)
            }
        };
        self.done.push((name.into(), end, start.elapsed()));
    }

    /// Prints the table, and fails when a step has.
    pub fn finish(self) -> Result<(), String> {
        println!("\n==== summary ====");
        let mut failed = Vec::new();
        let mut skipped = 0;
        for (name, end, time) in &self.done {
            let seconds = time.as_secs_f64();
            match end {
                End::Passed => println!("{name:<44} passed  {seconds:>7.1} s"),
                End::Skipped(reason) => {
                    skipped += 1;
                    println!("{name:<44} SKIPPED {:>9} {}", "", first_line(reason));
                }
                End::Failed(message) => {
                    failed.push(name.as_str());
                    println!("{name:<44} FAILED  {seconds:>7.1} s {}", first_line(message));
                }
            }
        }
        let total: f64 = self.done.iter().map(|(.., time)| time.as_secs_f64()).sum();
        println!("{} steps, {} failed, {skipped} skipped, {total:.0} s", self.done.len(), failed.len());
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn one_failure_fails_the_whole_and_a_skip_does_not() {
        let mut steps = Steps::default();
        steps.step("a", || Ok(()));
        steps.step_if("b", Some("no such thing".into()), || Err("not run".into()));
        assert!(steps.finish().is_ok());
        let mut steps = Steps::default();
        let mut ran = false;
        steps.step("a", || Err("broken".into()));
        steps.step("b", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert_eq!(steps.finish(), Err("failed: a".into()));
    }
}
