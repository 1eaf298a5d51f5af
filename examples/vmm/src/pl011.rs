//! PL011 UART. `vm-superio` has no PL011, so this one is ours.
//!
//! Source: PrimeCell UART (PL011) Technical Reference Manual, DDI 0183. Not modelled: baud rate (a character takes no
//! time), modem lines, DMA, errors.

use std::collections::VecDeque;

/// Interrupt bits of IMSC, RIS, MIS and ICR.
const RX: u32 = 1 << 4;
const TX: u32 = 1 << 5;
const RT: u32 = 1 << 6;
/// All eleven.
const INTERRUPTS: u32 = 0x7ff;

/// Flag register bits.
const RXFE: u32 = 1 << 4;
const RXFF: u32 = 1 << 6;
const TXFE: u32 = 1 << 7;

/// Line control: FIFOs enabled.
const FEN: u32 = 1 << 4;

/// Control register: UART, transmitter and receiver enabled, loop back.
const UARTEN: u32 = 1;
const LBE: u32 = 1 << 7;
const TXE: u32 = 1 << 8;
const RXE: u32 = 1 << 9;

/// PeriphID0–3 and PCellID0–3 of revision r1p4.
const ID: [u8; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// The registers of one port.
#[derive(Debug)]
pub struct Pl011 {
    received: VecDeque<u8>,
    /// Held back until the FIFO has room; the host does not lose what a person types or a script pipes in.
    backlog: VecDeque<u8>,
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    ris: u32,
    dmacr: u32,
}

impl Default for Pl011 {
    fn default() -> Self {
        Self {
            received: VecDeque::new(),
            backlog: VecDeque::new(),
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: RXE | TXE,
            ifls: 0x12,
            imsc: 0,
            ris: 0,
            dmacr: 0,
        }
    }
}

impl Pl011 {
    /// Returns the level of the combined interrupt.
    #[must_use]
    pub const fn interrupt(&self) -> bool {
        self.ris & self.imsc != 0
    }

    /// Takes bytes from the host side.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.backlog.extend(bytes);
        self.fill();
    }

    const fn depth(&self) -> usize {
        if self.lcr_h & FEN != 0 { 16 } else { 1 }
    }

    /// Bytes in the receive FIFO at which RX is raised.
    const fn trigger(&self) -> usize {
        if self.lcr_h & FEN == 0 {
            return 1;
        }
        match (self.ifls >> 3) & 7 {
            0 => 2,
            1 => 4,
            2 => 8,
            3 => 12,
            _ => 14,
        }
    }

    fn fill(&mut self) {
        if self.cr & (UARTEN | RXE) != UARTEN | RXE {
            return;
        }
        let mut came = false;
        while self.received.len() < self.depth() {
            let Some(byte) = self.backlog.pop_front() else { break };
            self.received.push_back(byte);
            came = true;
        }
        if came {
            // Nothing more is on its way for 32 bit times: characters arrive in no time.
            self.ris |= RT;
            if self.received.len() >= self.trigger() {
                self.ris |= RX;
            }
        }
    }

    /// Reads the register at `offset`.
    pub fn read(&mut self, offset: u64) -> u32 {
        match offset {
            0x000 => self.pop(),
            0x018 => self.flags(),
            0x020 => self.ilpr,
            0x024 => self.ibrd,
            0x028 => self.fbrd,
            0x02c => self.lcr_h,
            0x030 => self.cr,
            0x034 => self.ifls,
            0x038 => self.imsc,
            0x03c => self.ris,
            0x040 => self.ris & self.imsc,
            0x048 => self.dmacr,
            0xfe0..=0xffc if offset.is_multiple_of(4) => {
                let index = usize::try_from(offset.wrapping_sub(0xfe0) / 4).unwrap_or(usize::MAX);
                ID.get(index).map_or(0, |byte| u32::from(*byte))
            }
            _ => 0,
        }
    }

    fn pop(&mut self) -> u32 {
        let byte = self.received.pop_front().unwrap_or(0);
        if self.received.len() < self.trigger() {
            self.ris &= !RX;
        }
        if self.received.is_empty() {
            self.ris &= !RT;
        }
        self.fill();
        u32::from(byte)
    }

    fn flags(&self) -> u32 {
        let empty = if self.received.is_empty() { RXFE } else { 0 };
        let full = if self.received.len() >= self.depth() { RXFF } else { 0 };
        TXFE | empty | full
    }

    /// Writes the register at `offset`; returns the byte that goes out, if one does. Writes to read-only registers
    /// change nothing.
    pub fn write(&mut self, offset: u64, value: u32) -> Option<u8> {
        match offset {
            0x000 => return self.transmit(value),
            0x020 => self.ilpr = value & 0xff,
            0x024 => self.ibrd = value & 0xffff,
            0x028 => self.fbrd = value & 0x3f,
            0x02c => {
                self.lcr_h = value & 0xff;
                self.fill();
            }
            0x030 => {
                self.cr = value & 0xffff;
                self.fill();
            }
            0x034 => self.ifls = value & 0x3f,
            0x038 => self.imsc = value & INTERRUPTS,
            0x044 => self.ris &= !(value & INTERRUPTS),
            0x048 => self.dmacr = value & 7,
            _ => {}
        }
        None
    }

    fn transmit(&mut self, value: u32) -> Option<u8> {
        // The FIFO drains at once, which is the transition that TX reports.
        self.ris |= TX;
        let byte = value.to_le_bytes()[0];
        if self.cr & LBE != 0 {
            self.receive(&[byte]);
            return None;
        }
        // Firmware that never set UARTEN still expects its words to be seen, as on QEMU's machine.
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Pl011 {
        let mut uart = Pl011::default();
        uart.write(0x02c, FEN);
        uart.write(0x030, UARTEN | RXE | TXE);
        uart
    }

    #[test]
    fn reset_values_are_those_of_the_manual() {
        let mut uart = Pl011::default();
        for (offset, value) in [(0x018, 0x90), (0x030, 0x300), (0x034, 0x12), (0x038, 0), (0x03c, 0)] {
            assert_eq!(uart.read(offset), value, "{offset:#x}");
        }
        let id: Vec<u32> = (0xfe0..=0xffc).step_by(4).map(|offset| uart.read(offset)).collect();
        assert_eq!(id, [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
    }

    #[test]
    fn a_received_byte_interrupts_until_it_is_read() {
        let mut uart = on();
        uart.write(0x038, RX | RT);
        assert!(!uart.interrupt());
        uart.receive(b"a");
        assert!(uart.interrupt());
        assert_eq!(uart.read(0), u32::from(b'a'));
        assert!(!uart.interrupt());
        assert_eq!(uart.read(0x018) & RXFE, RXFE);
    }

    #[test]
    fn more_than_the_fifo_holds_is_not_lost() {
        let mut uart = on();
        let bytes: Vec<u8> = (0..100).collect();
        uart.receive(&bytes);
        assert_eq!(uart.read(0x018) & RXFF, RXFF);
        let read: Vec<u32> = (0..100).map(|_| uart.read(0)).collect();
        assert_eq!(read, (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn clearing_an_interrupt_and_masking_it_lower_the_line() {
        let mut uart = on();
        uart.write(0x038, TX);
        assert_eq!(uart.write(0, 0x141), Some(b'A'));
        assert!(uart.interrupt());
        uart.write(0x044, TX);
        assert!(!uart.interrupt());
    }

    #[test]
    fn read_only_registers_keep_their_value() {
        let mut uart = on();
        for offset in [0x018, 0x03c, 0x040, 0xfe0, 0xffc] {
            let before = uart.read(offset);
            uart.write(offset, u32::MAX);
            assert_eq!(uart.read(offset), before, "{offset:#x}");
        }
    }

    #[test]
    fn loop_back_sends_nothing_out() {
        let mut uart = on();
        uart.write(0x030, UARTEN | RXE | TXE | LBE);
        assert_eq!(uart.write(0, u32::from(b'x')), None);
        assert_eq!(uart.read(0), u32::from(b'x'));
    }
}
