//! Runs an arm64 kernel through the whole stack, on any machine.
//!
//! ```text
//!   this program ── Platform ──▶ xarch-abi ◀── vcpu-core (Guest), s390-host (Backend)
//!   terminal, devices, threads                    s390-host ── Facility ──▶ sae-model ──▶ arm-exec
//! ```
//!
//! Exit status: 0 when the guest turned the machine off or the person quit, 1 when a vCPU could not go on, 2 when what
//! was asked for is not possible.

mod bus;
mod console;
mod fdt;
mod image;
mod layout;
mod machine;
mod memory;
mod options;
mod pl011;
mod stats;

use clap::Parser;
use machine::{End, Memory};
use options::Options;
use std::process::ExitCode;
use xarch_abi::StopReason;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            console::restore();
            eprintln!("vmm: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let image = image::read(&options.kernel, options.initrd.as_deref(), options.memory)?;
    if let Some(path) = &options.dump_dtb {
        let dtb = machine::device_tree(options, &image)?;
        std::fs::write(path, dtb).map_err(|error| format!("{}: {error}", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let memory = Memory::new(options.memory)?;
    let terminal = console::RawTerminal::new();
    let end = loop {
        let (end, report) = machine::run(options, &image, &memory)?;
        if let Some(report) = report {
            eprint!("{}", report.to_string().replace('\n', "\r\n"));
        }
        if end != End::Reset || options.no_reboot {
            break end;
        }
        memory.clear()?;
    };
    drop(terminal);
    Ok(match end {
        End::PowerOff | End::Reset | End::Quit => ExitCode::SUCCESS,
        End::Failed(vcpu, reason) => {
            eprintln!("vmm: vcpu {} stopped: {}", vcpu.0, explain(reason));
            ExitCode::FAILURE
        }
    })
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
