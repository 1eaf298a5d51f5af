//! The devices, by address.

use crate::console;
use crate::layout::{RTC, RTC_INTID, UART, UART_INTID};
use crate::pl011::Pl011;
use crate::pl031::Pl031;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use xarch_abi::{AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation};

/// Everything that answers on the bus beside RAM and the interrupt controller.
///
/// A device's interrupt line is driven where it changes, and while the device is held: of two threads that change it,
/// the later one has the last word at the interrupt controller too.
#[derive(Debug)]
pub struct Bus {
    uart: Mutex<Wired<Pl011>>,
    rtc: Mutex<Wired<Pl031>>,
    /// Nobody waits for the console's reader any more.
    over: AtomicBool,
}

/// A device and the level that its interrupt line was last driven to.
#[derive(Debug)]
struct Wired<D> {
    device: D,
    intid: u32,
    high: bool,
}

impl<D> Wired<D> {
    fn new(device: D, intid: u32) -> Mutex<Self> {
        Mutex::new(Self { device, intid, high: false })
    }

    /// Drives the line where it is to change.
    fn settle(&mut self, high: bool, drive: impl FnOnce(u32, bool)) {
        if self.high != high {
            self.high = high;
            drive(self.intid, high);
        }
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            uart: Wired::new(Pl011::default(), UART_INTID),
            rtc: Wired::new(Pl031::default(), RTC_INTID),
            over: AtomicBool::new(false),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A device whose thread panicked is in some state of its own, as real ones are.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the offset of the access in a device's window.
fn offset(access: &DeviceAccess, (base, bytes): (u64, u64)) -> Option<u64> {
    let offset = access.address.value().checked_sub(base)?;
    (offset < bytes).then_some(offset)
}

impl Bus {
    /// Answers an access; `drive` is told the number of an interrupt line that changes, and its new level.
    pub fn access(&self, access: &DeviceAccess, drive: impl FnOnce(u32, bool)) -> DeviceAnswer {
        if let Some(offset) = offset(access, UART) {
            let mut uart = lock(&self.uart);
            let mut sent = None;
            let answer = word(access, offset, |offset, operation| match operation {
                DeviceOperation::Read => uart.device.read(offset),
                DeviceOperation::Write(value) => {
                    sent = sent.or(uart.device.write(offset, low(value)));
                    0
                }
            });
            let level = uart.device.interrupt();
            uart.settle(level, drive);
            drop(uart);
            // A slow reader holds this vCPU, not the person who types.
            if let Some(byte) = sent {
                console::write(byte, || self.over.load(Ordering::SeqCst));
            }
            return answer;
        }
        if let Some(offset) = offset(access, RTC) {
            let mut rtc = lock(&self.rtc);
            let answer = word(access, offset, |offset, operation| match operation {
                DeviceOperation::Read => rtc.device.read(offset),
                DeviceOperation::Write(value) => {
                    rtc.device.write(offset, low(value));
                    0
                }
            });
            let level = rtc.device.interrupt();
            rtc.settle(level, drive);
            return answer;
        }
        DeviceAnswer::Absent
    }

    /// Gives typed bytes to the serial port; `drive` as for [`access`](Self::access).
    pub fn type_in(&self, bytes: &[u8], drive: impl FnOnce(u32, bool)) {
        let mut uart = lock(&self.uart);
        uart.device.receive(bytes);
        let level = uart.device.interrupt();
        uart.settle(level, drive);
    }

    /// Lets time pass for the clock's alarm; to be called a few times a second; `drive` as for [`access`](Self::access).
    pub fn tick(&self, drive: impl FnOnce(u32, bool)) {
        let mut rtc = lock(&self.rtc);
        rtc.device.tick();
        let level = rtc.device.interrupt();
        rtc.settle(level, drive);
    }

    /// Lets no vCPU wait for the console's reader any more: the machine ends.
    pub fn close(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// The 32 bits of a value that a register takes.
fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX)
}

/// Turns an access of any size into one of the 32-bit register it falls into, as the bus of PrimeCell devices does:
/// narrow reads take their part of the register, narrow writes bring zeros in the rest.
fn word(
    access: &DeviceAccess,
    offset: u64,
    mut register: impl FnMut(u64, DeviceOperation) -> u32,
) -> DeviceAnswer {
    let shift = (offset & 3) << 3;
    let base = offset & !3;
    let next = base.wrapping_add(4);
    match access.operation {
        DeviceOperation::Read => {
            let low = u64::from(register(base, DeviceOperation::Read));
            let high = match access.size {
                AccessSize::Double => u64::from(register(next, DeviceOperation::Read)) << 32,
                AccessSize::Byte | AccessSize::Half | AccessSize::Word => 0,
            };
            DeviceAnswer::Value(access.size.truncate((low | high) >> shift))
        }
        DeviceOperation::Write(value) => {
            register(base, DeviceOperation::Write((value << shift) & 0xffff_ffff));
            if access.size == AccessSize::Double {
                register(next, DeviceOperation::Write(value >> 32));
            }
            DeviceAnswer::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xarch_abi::GuestPa;

    fn read(bus: &Bus, address: u64, size: AccessSize) -> DeviceAnswer {
        let access = DeviceAccess { address: GuestPa::new(address), size, operation: DeviceOperation::Read };
        bus.access(&access, |intid, high| panic!("line {intid} is driven to {high}"))
    }

    #[test]
    fn a_line_is_driven_where_it_changes_and_only_then() {
        let bus = Bus::default();
        let mut seen = Vec::new();
        let write = |offset, value, seen: &mut Vec<(u32, bool)>| {
            let address = GuestPa::new(UART.0 + offset);
            let access =
                DeviceAccess { address, size: AccessSize::Word, operation: DeviceOperation::Write(value) };
            assert_eq!(bus.access(&access, |intid, high| seen.push((intid, high))), DeviceAnswer::Done);
        };
        // UARTCR: on; UARTIMSC: receive and receive timeout.
        write(0x30, 0x301, &mut seen);
        write(0x38, 0x50, &mut seen);
        assert_eq!(seen, []);
        bus.type_in(b"a", |intid, high| seen.push((intid, high)));
        bus.type_in(b"b", |intid, high| seen.push((intid, high)));
        assert_eq!(seen, [(UART_INTID, true)]);
        // UARTICR.
        write(0x44, 0x50, &mut seen);
        assert_eq!(seen, [(UART_INTID, true), (UART_INTID, false)]);
    }

    #[test]
    fn narrow_and_wide_reads_take_their_part() {
        let bus = Bus::default();
        assert_eq!(read(&bus, 0x0900_0030, AccessSize::Word), DeviceAnswer::Value(0x300));
        assert_eq!(read(&bus, 0x0900_0031, AccessSize::Byte), DeviceAnswer::Value(0x3));
        assert_eq!(read(&bus, 0x0900_0030, AccessSize::Double), DeviceAnswer::Value(0x12_0000_0300));
        assert_eq!(read(&bus, 0x0900_0fe4, AccessSize::Word), DeviceAnswer::Value(0x10));
    }

    #[test]
    fn the_clock_says_what_it_is() {
        let bus = Bus::default();
        for (offset, id) in [(0xfe0, 0x31), (0xfe4, 0x10), (0xfe8, 0x04), (0xff0, 0x0d), (0xffc, 0xb1)] {
            assert_eq!(
                read(&bus, 0x0901_0000 + offset, AccessSize::Word),
                DeviceAnswer::Value(id),
                "{offset:#x}"
            );
        }
    }

    #[test]
    fn addresses_without_a_device_are_absent() {
        let bus = Bus::default();
        for address in [0, 0x08ff_ffff, 0x0900_1000, 0x0901_1000, 0x3fff_ffff] {
            assert_eq!(read(&bus, address, AccessSize::Word), DeviceAnswer::Absent, "{address:#x}");
        }
    }
}
