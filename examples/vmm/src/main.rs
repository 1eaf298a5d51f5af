//! Runs an arm64 kernel through the whole stack, on any machine.
//!
//! Exit status: 0 when the guest turned the machine off or the person quit, 1 when a vCPU could not go on, 2 when what
//! was asked for is not possible.

use std::process::ExitCode;
use vmm::Error;
use vmm::options::Options;

fn main() -> ExitCode {
    let options = match Options::from_command_line(std::env::args_os()) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => return fail(&Error::Request(vmm::options::in_one_line(&error))),
        Err(help) => {
            // Help and version; a reader that is gone does not want it.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match vmm::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("vmm: {}", vmm::options::printable(&error.to_string()));
    ExitCode::from(error.status())
}
