//! The console, which the guest and the hypervisor share: the guest's bytes go out as they are.

use crate::hw::Sccb;
use crate::sclp;
use alloc::string::String;
use core::fmt::Write;
use spin::Mutex;

/// The console. Who holds it says whole lines.
pub static PORT: Mutex<Port> = Mutex::new(Port::new());

/// Characters by way of the service processor.
#[derive(Debug)]
pub struct Port {
    block: Sccb,
    /// The last byte that went out did not end a line.
    line_open: bool,
}

impl Port {
    /// The console at the start of a line.
    pub const fn new() -> Self {
        Self { block: Sccb([0; 4096]), line_open: false }
    }

    /// Sends a byte.
    pub fn put(&mut self, byte: u8) {
        sclp::write(&mut self.block, &[byte]);
        self.line_open = byte != b'\n' && byte != b'\r';
    }

    /// Sends a line of someone who does not own the console.
    pub fn line(&mut self, text: core::fmt::Arguments<'_>) {
        if self.line_open {
            self.put(b'\n');
        }
        // Cannot fail: the port takes everything.
        let _ = self.write_fmt(text);
        self.put(b'\n');
    }

    /// Takes what was typed.
    pub fn typed(&mut self) -> &[u8] {
        sclp::read(&mut self.block)
    }
}

impl Write for Port {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        sclp::write(&mut self.block, text.as_bytes());
        self.line_open = !text.ends_with('\n');
        Ok(())
    }
}

/// What a guest beside the first one says, by lines.
#[derive(Debug)]
pub struct Lines {
    guest: usize,
    line: String,
}

impl Lines {
    /// Nothing said yet by guest `guest`.
    pub fn new(guest: usize) -> Self {
        Self { guest, line: String::new() }
    }

    /// Takes a byte.
    pub fn put(&mut self, byte: u8) {
        match byte {
            b'\n' => self.flush(),
            b'\r' => {}
            _ => self.line.push(char::from(byte & 0x7f)),
        }
    }

    /// Says what is kept.
    pub fn flush(&mut self) {
        if !self.line.is_empty() {
            PORT.lock().line(format_args!("[{}] {}", self.guest, self.line));
        }
        self.line.clear();
    }
}
