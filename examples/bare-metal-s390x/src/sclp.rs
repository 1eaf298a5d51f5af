//! The service processor: what the machine is, and its console.
//!
//! Commands, masks and layouts are those that Linux and the firmware of QEMU use; there is no public document.

use crate::hw::{Sccb, service_call};

/// READ SCP INFORMATION.
const READ_INFORMATION: u32 = 0x0002_0001;
/// WRITE EVENT MASK.
const WRITE_MASK: u32 = 0x0078_0005;
/// WRITE EVENT DATA.
const WRITE_DATA: u32 = 0x0076_0005;
/// READ EVENT DATA.
const READ_DATA: u32 = 0x0077_0005;

/// Event type of characters, and its bit in a mask of events: type 1 is the leftmost.
const ASCII: u8 = 0x1a;
const ASCII_MASK: u32 = 1 << (32 - ASCII as u32);

/// Answers: done, with and without data.
const DONE: [u16; 2] = [0x0010, 0x0020];

/// Bytes before an event buffer, and before an event's data.
const HEADER: usize = 8;
const EVENT: usize = HEADER + 6;
/// Characters of one event.
const LINE: usize = 256;

/// Sets the length of a block, which begins it.
fn block(length: usize) -> Sccb {
    let mut block = Sccb([0; 4096]);
    block.0[..2].copy_from_slice(&(length as u16).to_be_bytes());
    block
}

fn call(command: u32, block: &mut Sccb) -> bool {
    service_call(command, block).is_some_and(|answer| DONE.contains(&answer))
}

/// What the machine says of itself.
#[derive(Debug)]
pub struct Information(Sccb);

impl Information {
    /// Asks the machine.
    pub fn read() -> Option<Self> {
        let mut block = block(4096);
        call(READ_INFORMATION, &mut block).then_some(Self(block))
    }

    fn number(&self, at: usize, bytes: usize) -> u64 {
        self.0.0[at..at + bytes].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Returns how much storage there is: increments, and MiB in each.
    pub fn storage_bytes(&self) -> u64 {
        let or = |short, long| if short == 0 { long } else { short };
        let increments = or(self.number(8, 2), self.number(104, 8));
        (increments * or(self.number(10, 1), self.number(100, 4))) << 20
    }

    /// Returns the entries of the CPUs, 16 bytes each.
    pub fn cpus(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let (count, offset) = (self.number(16, 2) as usize, self.number(18, 2) as usize);
        self.0.0.get_mut(offset..).unwrap_or_default().chunks_exact_mut(16).take(count)
    }
}

/// Turns the console on, in both directions.
pub fn start_console() -> bool {
    let mut block = block(HEADER + 4 + 16);
    // After the lengths of the masks: what this program takes, what it sends.
    block.0[HEADER + 2..HEADER + 4].copy_from_slice(&4_u16.to_be_bytes());
    block.0[HEADER + 4..HEADER + 8].copy_from_slice(&ASCII_MASK.to_be_bytes());
    block.0[HEADER + 8..HEADER + 12].copy_from_slice(&ASCII_MASK.to_be_bytes());
    call(WRITE_MASK, &mut block)
}

/// Says something, up to [`LINE`] bytes of it; a block for it is the caller's.
pub fn write(block: &mut Sccb, text: &[u8]) {
    for part in text.chunks(LINE) {
        let length = EVENT - HEADER + part.len();
        block.0[..EVENT].fill(0);
        block.0[..2].copy_from_slice(&((HEADER + length) as u16).to_be_bytes());
        block.0[HEADER..HEADER + 2].copy_from_slice(&(length as u16).to_be_bytes());
        block.0[HEADER + 2] = ASCII;
        block.0[EVENT..EVENT + part.len()].copy_from_slice(part);
        call(WRITE_DATA, block);
    }
}

/// Takes what was typed; returns how much of the block it is, and where.
pub fn read(block: &mut Sccb) -> &[u8] {
    block.0[..HEADER].fill(0);
    block.0[..2].copy_from_slice(&4096_u16.to_be_bytes());
    if !call(READ_DATA, block) || block.0[HEADER + 2] != ASCII {
        return &[];
    }
    let length = usize::from(u16::from_be_bytes([block.0[HEADER], block.0[HEADER + 1]]));
    // One byte says what kind of characters these are.
    block.0.get(EVENT + 1..HEADER + length).unwrap_or_default()
}
