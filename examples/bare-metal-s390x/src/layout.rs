//! Where things lie: in absolute storage, in the hypervisor's address space, and in the guest's.

use s390_arch::Absolute;

/// Memory for this program's own allocations: the caches of the model, most of all.
pub const HEAP: (u64, u64) = (16 << 20, 96 << 20);
/// Storage for control blocks, save areas and the guest's DAT tables.
pub const TABLES: (Absolute, u64) = (Absolute::new(112 << 20), 7 << 20);
/// What the guest sees as read-only memory.
pub const ROM: (u64, u64) = (119 << 20, 1 << 20);
/// Where the loader says what is to be done.
pub const MANIFEST: u64 = 120 << 20;
/// The end of what is this program's. The guest's memory comes after it.
pub const OWN_END: u64 = 128 << 20;

/// Where absolute storage lies in the hypervisor's address space, from [`TABLES`] on; what is below belongs to this
/// program, at the addresses that it has.
pub const LINEAR: u64 = 4 << 30;

/// Bytes of each of a CPU's stacks, the page that catches an overflow included.
pub const STACK_BYTES: u64 = 0x42000;
/// Stacks that a CPU has: for the program, for instructions that are emulated, and for reports.
pub const STACKS: u64 = 3;

/// CPUs that are used.
pub const CPUS: usize = 2;

/// Where the guest sees its read-only memory, and its memory, as on QEMU's machine "virt".
pub const GUEST_ROM: u64 = 0;
pub const GUEST_RAM: u64 = 0x4000_0000;
/// Its PL011.
pub const GUEST_UART: u64 = 0x0900_0000;
/// The SPI of that.
pub const GUEST_UART_SPI: u32 = 33;
/// Its PL031.
pub const GUEST_RTC: u64 = 0x0901_0000;
