//! The host's serial port, shared by guests: the first one's bytes go out as they are, others' by lines that say whose they are.

use crate::hw::UART;
use core::fmt::Write;
use spin::Mutex;

const DR: usize = 0x000;
const FR: usize = 0x018;
const RXFE: u32 = 1 << 4;
const TXFF: u32 = 1 << 5;
const LCR_H: usize = 0x02c;
const CR: usize = 0x030;
const IMSC: usize = 0x038;
const ICR: usize = 0x044;
/// Receive, and receive timeout.
const RX: u32 = 1 << 4 | 1 << 6;

/// The port. Who holds it says whole lines.
pub static PORT: Mutex<Port> = Mutex::new(Port::new());

/// The host's PL011.
#[derive(Debug)]
pub struct Port {
    /// The last byte that went out did not end a line.
    line_open: bool,
}

impl Port {
    /// The port at the start of a line.
    pub const fn new() -> Self {
        Self { line_open: false }
    }

    /// Enables the port and its receive interrupt.
    pub fn start(&mut self) {
        UART.write(LCR_H, 0x70);
        UART.write(CR, 0x301);
        UART.write(IMSC, RX);
    }

    /// Sends a byte.
    pub fn put(&mut self, byte: u8) {
        while UART.read(FR) & TXFF != 0 {}
        UART.write(DR, u32::from(byte));
        self.line_open = byte != b'\n' && byte != b'\r';
    }

    /// Sends a line of someone who does not own the port.
    pub fn line(&mut self, text: core::fmt::Arguments<'_>) {
        if self.line_open {
            self.put(b'\n');
        }
        // Cannot fail: the port takes everything.
        let _ = self.write_fmt(text);
        self.put(b'\n');
    }

    /// Takes a byte that came in.
    pub fn get(&mut self) -> Option<u8> {
        UART.write(ICR, RX);
        if UART.read(FR) & RXFE != 0 {
            return None;
        }
        Some(UART.read(DR).to_le_bytes()[0])
    }
}

impl Write for Port {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}

/// What a guest beside the first one says, by lines.
#[derive(Debug)]
pub struct Lines {
    bytes: [u8; 240],
    length: usize,
}

impl Lines {
    /// Nothing said yet.
    pub const EMPTY: Self = Self { bytes: [0; 240], length: 0 };

    /// Takes a byte; a whole line goes out, with the guest's number.
    pub fn put(&mut self, guest: usize, byte: u8) {
        if byte != b'\n' && byte != b'\r' {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
                return;
            }
        }
        if self.length > 0 {
            let said = self.bytes.get(..self.length).unwrap_or_default();
            let text = core::str::from_utf8(said).unwrap_or("(not text)");
            PORT.lock().line(format_args!("[{guest}] {text}"));
            self.length = 0;
        }
    }
}
