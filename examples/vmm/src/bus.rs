//! The devices, by address.

use crate::console;
use crate::layout::{RTC, RTC_INTID, UART, UART_INTID};
use crate::pl011::Pl011;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use vm_superio::Rtc;
use vm_superio::rtc_pl031::NoEvents;
use xarch_abi::{AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation};

/// Everything that answers on the bus beside RAM and the interrupt controller.
#[derive(Debug)]
pub struct Bus {
    uart: Mutex<Pl011>,
    rtc: Mutex<Clock>,
}

/// `vm-superio`'s PL031. It keeps the time but has no alarm: the match register is storage.
#[derive(Debug)]
struct Clock(Rtc<NoEvents>);

impl Default for Bus {
    fn default() -> Self {
        Self { uart: Mutex::default(), rtc: Mutex::new(Clock(Rtc::new())) }
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
    /// Answers an access, and says what the interrupt lines of the device are now.
    pub fn access(&self, access: &DeviceAccess) -> (DeviceAnswer, Option<(u32, bool)>) {
        if let Some(offset) = offset(access, UART) {
            let mut uart = lock(&self.uart);
            let answer = word(access, offset, |offset, operation| match operation {
                DeviceOperation::Read => uart.read(offset),
                DeviceOperation::Write(value) => {
                    let value = u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
                    if let Some(byte) = uart.write(offset, value) {
                        console::write(byte);
                    }
                    0
                }
            });
            return (answer, Some((UART_INTID, uart.interrupt())));
        }
        if let Some(offset) = offset(access, RTC) {
            let mut rtc = lock(&self.rtc);
            let answer = word(access, offset, |offset, operation| rtc.0.access(offset, operation));
            return (answer, Some((RTC_INTID, rtc.interrupt())));
        }
        (DeviceAnswer::Absent, None)
    }

    /// Gives typed bytes to the serial port; returns its interrupt line.
    pub fn type_in(&self, bytes: &[u8]) -> (u32, bool) {
        let mut uart = lock(&self.uart);
        uart.receive(bytes);
        (UART_INTID, uart.interrupt())
    }

    /// Makes what was printed visible.
    pub fn flush(&self) {
        let _ = std::io::stdout().flush();
    }
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

trait Registers {
    fn access(&mut self, offset: u64, operation: DeviceOperation) -> u32;
}

impl Registers for Rtc<NoEvents> {
    fn access(&mut self, offset: u64, operation: DeviceOperation) -> u32 {
        let Ok(offset) = u16::try_from(offset) else { return 0 };
        match operation {
            DeviceOperation::Read => {
                let mut data = [0; 4];
                self.read(offset, &mut data);
                u32::from_le_bytes(data)
            }
            DeviceOperation::Write(value) => {
                let value = u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
                self.write(offset, &value.to_le_bytes());
                0
            }
        }
    }
}

impl Clock {
    /// Masked interrupt status. `vm-superio` raises none by itself: it has no alarm, only the registers.
    fn interrupt(&mut self) -> bool {
        self.0.access(0x18, DeviceOperation::Read) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xarch_abi::GuestPa;

    fn read(bus: &Bus, address: u64, size: AccessSize) -> DeviceAnswer {
        let access = DeviceAccess { address: GuestPa::new(address), size, operation: DeviceOperation::Read };
        bus.access(&access).0
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
