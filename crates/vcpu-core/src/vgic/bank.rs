//! Thirty-two interrupts, one bit each, as the distributor's registers show them.

use super::frame::Field;
use super::{IMPLEMENTED_PRIORITY, Line};
use arm_arch::bits;

/// Returns the bit of interrupt `number` in its bank.
pub(crate) const fn bit(number: u32) -> u32 {
    1u32.wrapping_shl(number & 31)
}

/// Goes through the numbers of the bits that are set, lowest first.
pub(crate) fn each(mut word: u32) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let number = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (number < 32).then_some(number)
    })
}

/// State of thirty-two interrupts.
///
/// Pending state has two sources: a latch (an edge, a message, a write of `ISPENDR`) and the line. While an
/// interrupt is in a list register (`listed`), the latch of an edge is in there too (`in_flight`), and so is
/// the truth about `active` unless software wrote it meanwhile (`active_written`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bank {
    pub group1: u32,
    pub enabled: u32,
    pub latch: u32,
    pub line: u32,
    pub active: u32,
    pub edge: u32,
    /// In a list register of some vCPU, which has to fold it back.
    pub listed: u32,
    /// Was pending when it went into the list register, and software did not clear that meanwhile.
    pub in_flight: u32,
    /// Software wrote the active state while it was in the list register.
    pub active_written: u32,
    pub priority: [u8; 32],
}

impl Bank {
    /// No state yet: every bit is zero.
    pub const BLANK: Self = Self { group1: 0, ..Self::reset(0) };

    /// State after a reset: everything disabled, Group 1 (CHOICE: what firmware leaves to a guest of a
    /// single Security state; the GIC resets it to an UNKNOWN value), priority 0.
    pub const fn reset(edge: u32) -> Self {
        Self {
            group1: u32::MAX,
            enabled: 0,
            latch: 0,
            line: 0,
            active: 0,
            edge,
            listed: 0,
            in_flight: 0,
            active_written: 0,
            priority: [0; 32],
        }
    }

    /// Interrupts that are pending outside list registers.
    pub const fn pending(&self) -> u32 {
        self.latch | (self.line & !self.edge)
    }

    /// Interrupts that a change of enable, group or priority can make a difference to now.
    pub const fn stirring(&self) -> u32 {
        self.pending() | self.listed | self.active
    }

    /// Reads the register of `field`.
    pub const fn read(&self, field: Field) -> u32 {
        match field {
            Field::Group => self.group1,
            Field::SetEnable | Field::ClearEnable => self.enabled,
            Field::SetPending | Field::ClearPending => self.pending() | self.in_flight,
            Field::SetActive | Field::ClearActive => self.active,
        }
    }

    /// Writes the register of `field`; returns the interrupts for which something may have changed.
    pub fn write(&mut self, field: Field, value: u32, writable: u32) -> u32 {
        let value = value & writable;
        let before = self.stirring();
        let touched = match field {
            Field::Group => {
                let changed = (self.group1 ^ value) & writable;
                self.group1 ^= changed;
                changed
            }
            Field::SetEnable => {
                self.enabled |= value;
                value
            }
            Field::ClearEnable => {
                self.enabled &= !value;
                value
            }
            Field::SetPending => {
                self.latch |= value;
                value
            }
            Field::ClearPending => {
                self.latch &= !value;
                self.in_flight &= !value;
                value
            }
            Field::SetActive => {
                self.active |= value;
                self.active_written |= value & self.listed;
                value
            }
            Field::ClearActive => {
                self.active &= !value;
                self.active_written |= value & self.listed;
                value
            }
        };
        touched & (before | self.stirring())
    }

    /// Reads `ICFGR` of interrupts 0–15 (`half` 0) or 16–31: bit 1 of each pair says edge.
    pub fn read_config(&self, half: u32) -> u32 {
        let edge = self.edge.wrapping_shr(half.wrapping_mul(16)) & 0xffff;
        each(edge).fold(0, |word, number| word | 2u32.wrapping_shl(number.wrapping_mul(2)))
    }

    /// Writes `ICFGR`; returns the interrupts for which something may have changed.
    pub fn write_config(&mut self, half: u32, value: u32) -> u32 {
        let shift = half.wrapping_mul(16);
        let edge = (0..16u32)
            .filter(|number| value.wrapping_shr(number.wrapping_mul(2)) & 2 != 0)
            .fold(0, |word, number| word | bit(number));
        let before = self.edge;
        self.edge = self.edge & !0xffffu32.wrapping_shl(shift) | edge.wrapping_shl(shift);
        (before ^ self.edge) & (self.stirring() | self.line)
    }

    /// Reads `bytes` priorities from interrupt `first` on, the first in the lowest byte.
    pub fn read_priority(&self, first: u32, bytes: u64) -> u64 {
        let start = bits::index(u64::from(first));
        let entries = self.priority.iter().skip(start).take(bits::index(bytes));
        entries.rev().fold(0, |word, priority| word << 8 | u64::from(*priority))
    }

    /// Writes `bytes` priorities; returns the interrupts for which something may have changed.
    pub fn write_priority(&mut self, first: u32, bytes: u64, value: u64) -> u32 {
        let start = bits::index(u64::from(first));
        let mut value = value;
        let mut touched = 0;
        let mut number = first;
        for priority in self.priority.iter_mut().skip(start).take(bits::index(bytes)) {
            let new = bits::low8(value) & IMPLEMENTED_PRIORITY;
            if *priority != new {
                *priority = new;
                touched |= bit(number);
            }
            value >>= 8;
            number = number.wrapping_add(1);
        }
        touched & self.stirring()
    }

    /// Returns the priority of interrupt `number`.
    pub fn priority_of(&self, number: u32) -> u8 {
        self.priority.get(bits::index(u64::from(number & 31))).copied().unwrap_or(0xff)
    }

    /// Sets the input line; a rising edge latches. Returns whether something changed.
    pub fn set_line(&mut self, number: u32, line: Line) -> bool {
        let bit = bit(number);
        let was = self.line & bit != 0;
        match line {
            Line::High => {
                self.line |= bit;
                if !was {
                    self.latch |= bit & self.edge;
                }
                !was
            }
            Line::Low => {
                self.line &= !bit;
                was && self.edge & bit == 0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_has_two_bits_for_each_interrupt() {
        let mut bank = Bank::reset(0x0000_ffff);
        assert_eq!((bank.read_config(0), bank.read_config(1)), (0xaaaa_aaaa, 0));
        bank.write_config(1, 0x8000_0003);
        assert_eq!(bank.edge, 0x8001_ffff);
        assert_eq!(bank.read_config(1), 0x8000_0002, "bit 0 of a pair is reserved");
    }

    #[test]
    fn priorities_are_bytes_without_their_low_three_bits() {
        let mut bank = Bank::reset(0);
        bank.write_priority(4, 4, 0xa0ff_1108);
        assert_eq!(bank.read_priority(4, 4), 0xa0f8_1008);
        assert_eq!(bank.read_priority(6, 1), 0xf8);
        bank.write_priority(31, 4, 0x4040_4040);
        assert_eq!(bank.read_priority(28, 4), 0x4000_0000, "the bank ends at 31");
    }

    #[test]
    fn a_level_follows_its_line_and_an_edge_does_not() {
        let mut bank = Bank::reset(0b10);
        assert!(bank.set_line(0, Line::High) && bank.set_line(1, Line::High));
        assert_eq!(bank.pending(), 0b11);
        assert!(!bank.set_line(1, Line::High), "no second edge without a fall");
        assert!(bank.set_line(0, Line::Low));
        assert!(!bank.set_line(1, Line::Low));
        assert_eq!(bank.pending(), 0b10);
    }

    #[test]
    fn clearing_what_is_in_a_list_register_retracts_it() {
        let mut bank = Bank::reset(u32::MAX);
        bank.listed = 1;
        bank.in_flight = 1;
        assert_eq!(bank.read(Field::SetPending), 1);
        assert_eq!(bank.write(Field::ClearPending, 1, u32::MAX), 1);
        assert_eq!((bank.in_flight, bank.read(Field::ClearPending)), (0, 0));
    }
}
