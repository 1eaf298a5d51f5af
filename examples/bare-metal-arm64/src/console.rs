//! The host's serial port, shared by guests: the first one's bytes go out as they are, others' by lines
//! that say whose they are.

use crate::hw::UART;
use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
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

/// The first guest has ended: the port is for the others.
pub static FIRST_IS_OVER: AtomicBool = AtomicBool::new(false);

/// What is kept of a guest while the first one owns the port; more of it goes out at once.
const KEPT: usize = 64 << 10;

/// What a guest beside the first one says, by lines. They are kept until the first guest has ended, so that they do not
/// end up in the middle of what someone reads there.
#[derive(Debug)]
pub struct Lines {
    guest: usize,
    line: String,
    kept: String,
}

impl Lines {
    /// Nothing said yet by guest `guest`.
    pub fn new(guest: usize) -> Self {
        let kept = if guest == 0 { 0 } else { KEPT };
        Self { guest, line: String::with_capacity(240), kept: String::with_capacity(kept) }
    }

    /// Takes a byte.
    pub fn put(&mut self, byte: u8) {
        let ends = byte == b'\n' || self.line.len() == 240;
        if byte != b'\n' && byte != b'\r' && !ends {
            self.line.push(char::from(byte & 0x7f));
        }
        if !ends || self.line.is_empty() {
            return;
        }
        if self.kept.len() + self.line.len() >= KEPT || FIRST_IS_OVER.load(Ordering::SeqCst) {
            self.flush();
        }
        self.kept.push_str(&self.line);
        self.kept.push('\n');
        self.line.clear();
        if FIRST_IS_OVER.load(Ordering::SeqCst) {
            self.flush();
        }
    }

    /// Says what was kept, each line with the guest's number.
    pub fn flush(&mut self) {
        for line in self.kept.lines() {
            PORT.lock().line(format_args!("[{}] {line}", self.guest));
        }
        self.kept.clear();
    }
}
