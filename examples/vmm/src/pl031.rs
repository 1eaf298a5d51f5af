//! PL031 real-time clock: `vm-superio`'s registers, and the alarm that they lack.
//!
//! Source: PrimeCell Real Time Clock (PL031) Technical Reference Manual, DDI 0224.

use std::time::{SystemTime, UNIX_EPOCH};
use vm_superio::Rtc;
use vm_superio::rtc_pl031::NoEvents;

/// RTCMR, RTCLR and RTCCR: what decides when the counter matches.
const MATCH: u16 = 0x04;
const LOAD: u16 = 0x08;
const CONTROL: u16 = 0x0c;

/// The clock, which counts seconds of the host's.
#[derive(Debug)]
pub struct Pl031 {
    registers: Rtc<NoEvents>,
    /// Second of the host's clock in which the counter comes to be what is in RTCMR.
    alarm: u64,
}

impl Default for Pl031 {
    fn default() -> Self {
        let registers = Rtc::new();
        let alarm = next_match(&registers, now());
        Self { registers, alarm }
    }
}

/// Seconds since 1970 by the host's clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Returns the second at or after `now` in which the counter, of 32 bits, is what is in RTCMR.
fn next_match(registers: &Rtc<NoEvents>, now: u64) -> u64 {
    let state = registers.state();
    let counter = now.wrapping_add_signed(state.offset);
    now.saturating_add(u64::from(state.mr).wrapping_sub(counter) & 0xffff_ffff)
}

impl Pl031 {
    /// Returns the level of the interrupt line: RTCMIS.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        let state = self.registers.state();
        state.ris & state.imsc & 1 != 0
    }

    /// Notices a match that has come. To be called within a second of it.
    pub fn tick(&mut self) {
        self.tick_at(now());
    }

    fn tick_at(&mut self, now: u64) {
        if now < self.alarm {
            return;
        }
        // The one that has come is not to come again; the next is 136 years away.
        self.alarm = next_match(&self.registers, now.saturating_add(1));
        let mut state = self.registers.state();
        state.ris |= 1;
        self.registers = Rtc::from_state(&state, NoEvents);
    }

    /// Reads the register at `offset`.
    pub fn read(&mut self, offset: u64) -> u32 {
        self.tick();
        let mut data = [0; 4];
        if let Ok(offset) = u16::try_from(offset) {
            self.registers.read(offset, &mut data);
        }
        u32::from_le_bytes(data)
    }

    /// Writes the register at `offset`.
    pub fn write(&mut self, offset: u64, value: u32) {
        self.tick();
        let Ok(offset) = u16::try_from(offset) else { return };
        self.registers.write(offset, &value.to_le_bytes());
        if matches!(offset, MATCH | LOAD | CONTROL) {
            self.alarm = next_match(&self.registers, now());
            self.tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPT_MASK: u64 = 0x10;
    const RAW_STATUS: u64 = 0x14;
    const MASKED_STATUS: u64 = 0x18;
    const CLEAR: u64 = 0x1c;

    #[test]
    fn the_counter_matches_when_it_comes_to_the_value() {
        // Seconds of the host, RTCLR less these, RTCMR, second of the match.
        let cases: &[(u64, i64, u32, u64)] = &[
            (1000, 0, 1000, 1000),
            (1000, 0, 1005, 1005),
            (1000, 0, 999, 1000 + 0xffff_ffff),
            (1000, -990, 15, 1005),
            (1000, 0xffff_fff0 - 1000, 4, 1000 + 0x14),
            // Past 2106 the counter has wrapped.
            (0x1_0000_0005, 0, 7, 0x1_0000_0007),
        ];
        for &(now, offset, mr, expected) in cases {
            let mut registers = Rtc::new();
            let state = vm_superio::RtcState { offset, mr, ..registers.state() };
            registers = Rtc::from_state(&state, NoEvents);
            assert_eq!(next_match(&registers, now), expected, "{now} {offset} {mr:#x}");
        }
    }

    #[test]
    fn an_alarm_is_raised_once_and_stays_until_it_is_cleared() {
        let mut clock = Pl031::default();
        clock.write(LOAD.into(), 5000);
        clock.write(MATCH.into(), 6000);
        clock.write(INTERRUPT_MASK, 1);
        let alarm = clock.alarm;
        clock.tick_at(alarm - 1);
        assert!(!clock.interrupt());
        clock.tick_at(alarm);
        assert!(clock.interrupt());
        assert_eq!((clock.read(RAW_STATUS), clock.read(MASKED_STATUS)), (1, 1));
        clock.write(INTERRUPT_MASK, 0);
        assert_eq!((clock.read(RAW_STATUS), clock.read(MASKED_STATUS)), (1, 0));
        assert!(!clock.interrupt());
        clock.write(CLEAR, 1);
        assert_eq!(clock.read(RAW_STATUS), 0);
        clock.tick_at(alarm + 1);
        assert_eq!(clock.read(RAW_STATUS), 0);
    }

    #[test]
    fn a_value_that_the_counter_has_is_a_match_at_once() {
        let mut clock = Pl031::default();
        clock.write(INTERRUPT_MASK, 1);
        // The second may end between the two.
        for _ in 0..3 {
            clock.write(LOAD.into(), 77);
            clock.write(MATCH.into(), 77);
        }
        assert!(clock.interrupt());
    }
}
