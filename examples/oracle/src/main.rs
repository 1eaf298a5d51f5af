//! Explains page tables, traps and instructions of Arm and z/Architecture.
//!
//! Exit status: 0 with an answer, 1 when a check failed, 2 when what was asked makes no sense.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match oracle::options::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => {
            eprintln!("oracle: {}", oracle::options::in_one_line(&error));
            return ExitCode::from(2);
        }
        Err(help) => {
            // Help and version; a reader that is gone does not want it.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let ended = oracle::run(&options, &mut io::stdin().lock(), &mut out);
    let flushed = out.flush().map_err(oracle::Error::from);
    match ended.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => ExitCode::from(status),
        Err(oracle::Error::OutputGone) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::from(2)
        }
    }
}
