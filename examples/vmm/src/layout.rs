//! The memory map that the guest sees: that of QEMU's `virt` machine, so that its kernels and tools feel at home.

/// GICv3 distributor, 64 KiB.
pub const GICD: (u64, u64) = (0x0800_0000, 0x1_0000);
/// GICv3 redistributors, 128 KiB each.
pub const GICR: (u64, u64) = (0x080a_0000, 0xf6_0000);
/// PL011 serial port.
pub const UART: (u64, u64) = (0x0900_0000, 0x1000);
/// Its interrupt.
pub const UART_INTID: u32 = 33;
/// PL031 real-time clock.
pub const RTC: (u64, u64) = (0x0901_0000, 0x1000);
/// Its interrupt.
pub const RTC_INTID: u32 = 34;
/// Start of RAM.
pub const RAM: u64 = 0x4000_0000;

/// Bits of a guest-physical address: 1 TiB, as QEMU's machine has at most without further ado.
pub const ADDRESS_BITS: u8 = 40;
