//! A program check of the hypervisor itself: what, where, and with what in the registers.

use crate::console::Port;
use crate::emulate;
use crate::hw::{self, Frame, ProgramCheck};
use crate::layout::{HEAP, LINEAR};
use core::fmt;
use s390_arch::pgm::{AccessException, Ending};

/// Reports, and ends the machine.
pub fn program_check(frame: &Frame, check: ProgramCheck) -> ! {
    // Whoever holds the console will not give it back.
    let mut port = Port::new();
    let code = check.code.without_per();
    port.line(format_args!(""));
    port.line(format_args!(
        "xarch: program check {:#06x}, {}, on CPU {}",
        check.code.0,
        code.name().unwrap_or("which has no name"),
        hw::this_cpu()
    ));
    port.line(format_args!("  PSW {:016x} {:016x}, {}", frame.mask, frame.address, Place(frame.address)));
    // Where the address is one that cannot be fetched from, the instruction is not there to be shown.
    let access = AccessException::decode(code);
    let start = match access.map(AccessException::ending) {
        Some(Ending::Nullify) => frame.address,
        _ => frame.address.wrapping_sub(check.length),
    };
    let text = hw::image().text;
    if check.length != 0 && (text.0..text.1).contains(&start) && start % 2 == 0 {
        let bytes = hw::instruction(start);
        let shown = Instruction(bytes, check.length as usize);
        let name = emulate::name(bytes).unwrap_or("");
        port.line(format_args!("  instruction {shown} {name}"));
    }
    if access.is_some_and(AccessException::has_teid) {
        let teid = check.teid;
        port.line(format_args!(
            "  TEID {:016x}: {:?} at {:#x}, {}",
            teid.into_bits(),
            teid.fsi(),
            teid.address(),
            Place(teid.address())
        ));
        if let (s390_arch::ProgramCode::PROTECTION, Some(cause)) = (code, teid.protection()) {
            port.line(format_args!("  protection: {cause:?}"));
        }
    }
    if code == s390_arch::ProgramCode::DATA {
        port.line(format_args!("  data-exception code {:#04x}", check.data_code));
    }
    port.line(format_args!("  last branch from {:#x}, {}", check.breaking, Place(check.breaking)));
    for (row, registers) in frame.general.chunks(4).enumerate() {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| registers.get(n).copied().unwrap_or(0));
        port.line(format_args!("  R{:<2} {a:016x} {b:016x} {c:016x} {d:016x}", row * 4));
    }
    hw::exit(3)
}

/// What an address of this program is part of.
struct Place(u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = hw::image();
        let own = |start| self.0 - start;
        match self.0 {
            at if (image.text.0..image.text.1).contains(&at) => write!(f, "text + {:#x}", own(image.text.0)),
            at if (image.text.1..image.stacks).contains(&at) => write!(f, "data + {:#x}", own(image.text.1)),
            at if (image.stacks..image.end).contains(&at) => write!(f, "stacks + {:#x}", own(image.stacks)),
            at if (HEAP.0..HEAP.0 + HEAP.1).contains(&at) => write!(f, "heap + {:#x}", own(HEAP.0)),
            at if (LINEAR..LINEAR + (2 << 30)).contains(&at) => write!(f, "absolute {:#x}", own(LINEAR)),
            at if at < 0x2000 => write!(f, "prefix area + {at:#x}"),
            _ => write!(f, "nowhere"),
        }
    }
}

struct Instruction([u8; 6], usize);

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(self.1).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
