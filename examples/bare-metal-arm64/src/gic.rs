//! The host's own GICv3: distributor, redistributors, CPU interface. GIC ch. 12.

use crate::hw::{self, GICD};
use crate::layout::{KICK, TIMER, UART};

/// GICD_CTLR: ARE and both groups, as there is one Security state.
const CTLR: u32 = 1 << 4 | 0b11;
/// The frame of SGIs and PPIs.
const SGI_FRAME: usize = 0x1_0000;
/// Priority of everything.
const PRIORITY: u32 = 0xa0a0_a0a0;
/// What guests' CPUs raise: maintenance, the timers of EL1.
const OF_GUESTS: u32 = 1 << 25 | 1 << 27 | 1 << 30;

/// Sets up the distributor; the serial port interrupts the first CPU.
pub fn start() {
    GICD.write(0x0000, CTLR);
    let (bank, bit) = (UART.0 as usize / 32 * 4, 1 << (UART.0 % 32));
    GICD.write(0x0080 + bank, u32::MAX);
    GICD.write(0x0400 + UART.0 as usize / 4 * 4, PRIORITY);
    GICD.write_double(0x6000 + UART.0 as usize * 8, 0);
    GICD.write(0x0100 + bank, bit);
}

/// Sets up what belongs to a CPU, on that CPU.
pub fn start_cpu(cpu: u16) {
    let redistributor = hw::redistributor(cpu);
    // GICR_WAKER: ProcessorSleep, ChildrenAsleep.
    redistributor.write(0x14, redistributor.read(0x14) & !2);
    while redistributor.read(0x14) & 4 != 0 {}
    redistributor.write(SGI_FRAME + 0x80, u32::MAX);
    for interrupts in (0..32).step_by(4) {
        redistributor.write(SGI_FRAME + 0x400 + interrupts, PRIORITY);
    }
    redistributor.write(SGI_FRAME + 0x100, OF_GUESTS | 1 << KICK.0 | 1 << TIMER.0);
    hw::enable_cpu_interface();
}
