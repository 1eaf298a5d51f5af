//! The devices of one guest: those of the VMM, and as much of a clock as a kernel asks for.

use crate::console::{Lines, PORT};
use crate::hw;
use crate::layout::{GUEST_RTC, GUEST_UART};
use crate::pl011::Pl011;
use xarch_abi::{AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation};

/// Bytes of the window of a device.
const WINDOW: u64 = 0x1000;

/// Everything that answers beside RAM and the interrupt controller.
#[derive(Debug)]
pub struct Bus {
    guest: usize,
    uart: Pl011,
    lines: Lines,
}

impl Bus {
    /// The devices of guest `guest`.
    pub fn new(guest: usize) -> Self {
        Self { guest, uart: Pl011::default(), lines: Lines::new(guest) }
    }

    /// Answers an access, and says whether the serial port's line is high.
    pub fn access(&mut self, access: &DeviceAccess) -> (DeviceAnswer, bool) {
        let address = access.address.value();
        let answer = match (address & !(WINDOW - 1), address & (WINDOW - 1)) {
            (GUEST_UART, offset) => word(access, offset, |offset, operation| match operation {
                DeviceOperation::Read => self.uart.read(offset),
                DeviceOperation::Write(value) => {
                    if let Some(byte) = self.uart.write(offset, value as u32) {
                        self.say(byte);
                    }
                    0
                }
            }),
            (GUEST_RTC, offset) => word(access, offset, |offset, operation| match operation {
                DeviceOperation::Read => clock(offset),
                DeviceOperation::Write(_) => 0,
            }),
            _ => DeviceAnswer::Absent,
        };
        (answer, self.uart.interrupt())
    }

    /// Gives a typed byte to the serial port; says whether its line is high.
    pub fn type_in(&mut self, byte: u8) -> bool {
        self.uart.receive(&[byte]);
        self.uart.interrupt()
    }

    /// Says what is still kept.
    pub fn flush(&mut self) {
        self.lines.flush();
    }

    fn say(&mut self, byte: u8) {
        match self.guest {
            0 => PORT.lock().put(byte),
            _ => self.lines.put(byte),
        }
    }
}

/// A PL031 that only counts: seconds since the machine started. PrimeCell Real Time Clock (PL031), DDI 0224.
fn clock(offset: u64) -> u32 {
    const ID: [u32; 8] = [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
    match offset {
        // RTCDR.
        0x000 => (hw::count() / hw::frequency()) as u32,
        // RTCCR: it is on.
        0x00c => 1,
        0xfe0..=0xffc => ID.get((offset - 0xfe0) as usize / 4).copied().unwrap_or(0),
        _ => 0,
    }
}

/// Turns an access of any size into one of the 32-bit register it falls into.
fn word(
    access: &DeviceAccess,
    offset: u64,
    mut register: impl FnMut(u64, DeviceOperation) -> u32,
) -> DeviceAnswer {
    let (base, shift) = (offset & !3, (offset & 3) * 8);
    match access.operation {
        DeviceOperation::Read => {
            let low = u64::from(register(base, DeviceOperation::Read));
            let high = match access.size {
                AccessSize::Double => u64::from(register(base + 4, DeviceOperation::Read)) << 32,
                AccessSize::Byte | AccessSize::Half | AccessSize::Word => 0,
            };
            DeviceAnswer::Value(access.size.truncate((low | high) >> shift))
        }
        DeviceOperation::Write(value) => {
            register(base, DeviceOperation::Write((value << shift) & 0xffff_ffff));
            if access.size == AccessSize::Double {
                register(base + 4, DeviceOperation::Write(value >> 32));
            }
            DeviceAnswer::Done
        }
    }
}
