//! Guest programs, in steps that every architecture can put into its machine code.

use xarch_abi::{AccessSize, GuestPa};

/// One step of a guest program.
///
/// Steps follow each other without gaps, may use any register, and keep nothing in registers from one to the next.
/// Addresses are aligned to the size of the access, and guest-physical: the guest runs without translation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Stores the low bytes of a value, in one access.
    Store {
        /// Where to.
        at: GuestPa,
        /// The value; what does not fit the size is zero.
        value: u64,
        /// How many bytes.
        size: AccessSize,
    },
    /// Loads in one access, and stores what it got, with zeros above, as a doubleword.
    Copy {
        /// Where from.
        from: GuestPa,
        /// Where the doubleword goes.
        to: GuestPa,
        /// How many bytes are loaded.
        size: AccessSize,
    },
    /// Counts in memory: adds 1 to the doubleword at `counter` by a load and a store, then looks at `flag`, and so on
    /// until the doubleword there is not 0 or it has done so `limit` times. Stores how often it did as a doubleword at
    /// `total`.
    Count {
        /// What is counted up.
        counter: GuestPa,
        /// What ends it.
        flag: GuestPa,
        /// Where the number goes.
        total: GuestPa,
        /// The most it counts, at least 1.
        limit: u64,
    },
    /// Does something that ends the entry as a trap, once, and that the guest side does in its place so that the
    /// guest goes on behind it. No memory and no device is involved.
    Trap,
    /// Arms the guest's timer to come due that many nanoseconds from now, and in a way that it ends waits. The guest's
    /// own interrupts stay masked, so that nothing happens when it does.
    Timer {
        /// How long from now.
        nanoseconds: u64,
    },
    /// Waits for an interrupt.
    Wait,
    /// Turns the machine off.
    PowerOff,
}

/// A guest architecture has no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cannot(pub &'static str);

/// Bytes that a program may have.
pub const CODE_BYTES: usize = 4096;

/// Machine code as it is made.
#[derive(Clone, Debug)]
pub struct Code {
    bytes: [u8; CODE_BYTES],
    used: usize,
    is_too_long: bool,
}

impl Default for Code {
    fn default() -> Self {
        Self { bytes: [0; CODE_BYTES], used: 0, is_too_long: false }
    }
}

impl Code {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.used.checked_add(bytes.len());
        let place = end.and_then(|end| self.bytes.get_mut(self.used..end));
        match (place, end) {
            (Some(place), Some(end)) => {
                place.copy_from_slice(bytes);
                self.used = end;
            }
            _ => self.is_too_long = true,
        }
    }

    /// Appends 32-bit instructions whose first byte is the least significant.
    pub fn words(&mut self, words: &[u32]) {
        for word in words {
            self.push(&word.to_le_bytes());
        }
    }

    /// Returns the code, `None` if it did not fit.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        if self.is_too_long { None } else { self.bytes.get(..self.used) }
    }
}
