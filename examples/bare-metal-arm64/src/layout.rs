//! Where things lie: in the host's memory, and in that of guests.

use arm_host::Intid;
use xarch_abi::HostPa;

/// Memory for this program's own allocations.
pub const HEAP_BYTES: usize = 4 << 20;
/// Guests that can run side by side.
pub const GUESTS: usize = 4;
/// Where the loader says which guests there are.
pub const MANIFEST: usize = 0x4700_0000;
/// What the manifest starts with: "XARCHGST".
pub const MAGIC: u64 = u64::from_le_bytes(*b"XARCHGST");
/// What is there instead where the conformance kit is asked for: "XARCHKIT".
pub const KIT: u64 = u64::from_le_bytes(*b"XARCHKIT");
/// Memory of the guest that this program carries.
pub const OWN_GUEST: (HostPa, u64) = (HostPa::new(0x4800_0000), 64 << 20);

/// Where a guest sees its memory, as on QEMU's machine "virt".
pub const GUEST_RAM: u64 = 0x4000_0000;
/// A guest's PL011.
pub const GUEST_UART: u64 = 0x0900_0000;
/// Its SPI.
pub const GUEST_UART_SPI: u32 = 33;
/// A guest's PL031.
pub const GUEST_RTC: u64 = 0x0901_0000;

/// The SGI that makes a CPU look.
pub const KICK: Intid = Intid(0);
/// The physical timer of EL2.
pub const TIMER: Intid = Intid(26);
/// The host's serial port.
pub const UART: Intid = Intid(33);

/// Returns the memory for a guest's stage 2 tables.
pub const fn tables(number: usize) -> (HostPa, u64) {
    const BYTES: u64 = 4 << 20;
    (HostPa::new(0x4500_0000 + BYTES * number as u64), BYTES)
}
