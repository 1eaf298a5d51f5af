//! Runs an arm64 kernel through the whole stack, on any machine.
//!
//! ```text
//!   this program ── Platform ──▶ xarch-abi ◀── vcpu-core (Guest), s390-host (Backend)
//!   terminal, devices, threads                    s390-host ── Facility ──▶ sae-model ──▶ arm-exec
//! ```
//!
//! or, with `--accel device=/dev/xarch`, the same machine with everything but devices in a kernel that has the module.
//!
//! The library is the program without its command line, so that tests can look into a machine.

mod bus;
pub mod console;
mod cpu;
mod fdt;
pub mod image;
mod kernel;
mod layout;
pub mod machine;
mod memory;
pub mod options;
mod pl011;
mod pl031;
pub mod stats;

use console::Typist;
use image::Image;
use machine::{End, Memory, Setup};
use options::Options;
use std::fmt;
use xarch_abi::StopReason;

/// The examples of the project's first page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// Why the program does not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// What was asked for is not possible.
    Request(String),
    /// A vCPU could not go on.
    Machine(String),
}

impl Error {
    /// Returns the exit status of a program that ends with this.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Machine(_) => 1,
            Self::Request(_) => 2,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(text) | Self::Machine(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// Does what the command line says.
///
/// # Errors
/// [`Error`] has one line for the person.
pub fn run(options: &Options) -> Result<(), Error> {
    let image =
        image::read(&options.kernel, options.initrd.as_deref(), options.memory).map_err(Error::Request)?;
    if let Some(path) = &options.dump_dtb {
        let dtb = machine::device_tree(options, &image).map_err(Error::Request)?;
        return std::fs::write(path, dtb)
            .map_err(|error| Error::Request(format!("{}: {error}", path.display())));
    }
    let memory = Memory::new(options.memory).map_err(Error::Request)?;
    let terminal = console::RawTerminal::enter();
    let result = run_image(options, &image, &memory, &Setup::default());
    drop(terminal);
    result
}

/// Runs an Image until the machine ends, over resets, in memory that is all zeros.
///
/// # Errors
/// [`Error`] has one line for the person.
pub fn run_image(options: &Options, image: &Image, memory: &Memory, setup: &Setup<'_>) -> Result<(), Error> {
    let mut typist = Typist::default();
    loop {
        let (end, report) = machine::run(options, image, memory, &mut typist, setup)?;
        if let Some(report) = report {
            let text = report.to_string();
            eprint!("{}", if console::is_raw() { text.replace('\n', "\r\n") } else { text });
        }
        match end {
            End::Reset if !options.no_reboot => memory.clear().map_err(Error::Machine)?,
            End::PowerOff | End::Reset | End::Quit => return Ok(()),
            End::Failed(vcpu, reason) => {
                return Err(Error::Machine(format!("vcpu {} stopped: {}", vcpu.0, explain(reason))));
            }
        }
    }
}

/// Says why a vCPU does not go on.
fn explain(reason: StopReason) -> String {
    match reason {
        StopReason::Invalid(state) => {
            format!("the hardware refuses its state, validity reason {:#04x} ({})", state.reason, state.text)
        }
        StopReason::Unknown(code) => format!("interception code {code:#x} is unknown"),
        StopReason::Register(error) => error.to_string(),
        StopReason::Memory(address) => format!("no memory for guest address {address}"),
        StopReason::Unhandled(trap) => {
            format!("unhandled trap, syndrome {:#010x}, address {:#018x}", trap.syndrome, trap.fault_address)
        }
        StopReason::Suspend => "the guest suspended the machine, which this one cannot".into(),
        StopReason::Host => "the host stopped it".into(),
        StopReason::PowerOff => "powered off".into(),
        StopReason::Reset => "reset".into(),
    }
}
