//! The generic timer's arithmetic: condition, output, TVAL and deadline.
//! Arm ARM, "The Generic Timer in AArch64 state".
//!
//! Time is a number: the value of the counter that the timer compares with, physical or virtual.

use crate::bits;
use crate::sysreg::{CntCtl, CnthctlEl2, CntkctlEl1};

/// A timer: its control and its compare value. Arm ARM, "The Generic Timer in AArch64 state".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timer {
    /// `CNTx_CTL`; ISTATUS is not kept here but computed.
    pub ctl: CntCtl,
    /// `CNTx_CVAL`.
    pub cval: u64,
}

impl Timer {
    /// Whether the timer's condition is met: it is enabled and the counter has reached CVAL, unsigned. This is
    /// ISTATUS, which reads 0 while the timer is off (CHOICE: the manual says UNKNOWN).
    /// Arm ARM, CNTP_CTL_EL0.ISTATUS.
    #[must_use]
    pub const fn is_met(self, counter: u64) -> bool {
        self.ctl.enable() && counter >= self.cval
    }

    /// Whether the interrupt line is high: a level. Arm ARM, "The Generic Timer in AArch64 state".
    #[must_use]
    pub const fn output(self, counter: u64) -> bool {
        self.is_met(counter) && !self.ctl.imask()
    }

    /// Returns what `CNTx_CTL` reads. Arm ARM, CNTP_CTL_EL0.
    #[must_use]
    pub const fn read_ctl(self, counter: u64) -> u64 {
        let kept = CntCtl::new().with_enable(self.ctl.enable()).with_imask(self.ctl.imask());
        kept.with_istatus(self.is_met(counter)).into_bits()
    }

    /// Writes `CNTx_CTL`; ISTATUS is read-only. Arm ARM, CNTP_CTL_EL0.
    pub const fn write_ctl(&mut self, value: u64) {
        self.ctl = CntCtl::from_bits(value & 3);
    }

    /// Returns what `CNTx_TVAL` reads: the low 32 bits of CVAL less the counter. Arm ARM, CNTP_TVAL_EL0.
    #[must_use]
    pub const fn read_tval(self, counter: u64) -> u64 {
        self.cval.wrapping_sub(counter) & 0xffff_ffff
    }

    /// Writes `CNTx_TVAL`: CVAL becomes the counter plus the value, a signed number of 32 bits.
    /// Arm ARM, CNTP_TVAL_EL0.
    pub const fn write_tval(&mut self, counter: u64, value: u64) {
        self.cval = counter.wrapping_add(bits::sign_extend32(bits::trunc32(value)));
    }

    /// Returns the count at which the line is high, past or to come; `None` if it stays low until a register is
    /// written. Arm ARM, CNTP_CVAL_EL0.
    #[must_use]
    pub const fn deadline(self) -> Option<u64> {
        if self.ctl.enable() && !self.ctl.imask() { Some(self.cval) } else { None }
    }

    /// Returns how many ticks after `counter` the line is high: 0 if it is, `None` if no count brings it.
    /// Arm ARM, CNTP_CVAL_EL0.
    #[must_use]
    pub const fn ticks_left(self, counter: u64) -> Option<u64> {
        match self.deadline() {
            Some(at) => Some(at.saturating_sub(counter)),
            None => None,
        }
    }
}

/// The event stream that a bit of a counter makes: of the virtual one by `CNTKCTL_EL1`, of the physical one by
/// `CNTHCTL_EL2`. An event sets the event register, which a WFE waits for. Arm ARM, CNTKCTL_EL1.EVNTI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventStream {
    /// EVNTEN: there are events.
    enable: bool,
    /// EVNTDIR: on the transition from 1 to 0.
    falling: bool,
    /// EVNTI, with EVNTIS the bits from 8 up.
    bit: u32,
}

impl EventStream {
    const fn new(enable: bool, falling: bool, evnti: u8, evntis: bool) -> Self {
        let low = (evnti & 15).wrapping_add(if evntis { 8 } else { 0 });
        Self { enable, falling, bit: bits::trunc32(bits::zext8(low)) }
    }

    /// Reads the controls of EL1; EVNTIS has to be 0 without FEAT_ECV. Arm ARM, CNTKCTL_EL1.
    #[must_use]
    pub const fn of_el1(controls: CntkctlEl1) -> Self {
        Self::new(controls.evnten(), controls.evntdir(), controls.evnti(), controls.evntis())
    }

    /// Reads the controls of EL2, which are in the same places in both forms of the register; EVNTIS has to be 0 without
    /// FEAT_ECV. Arm ARM, CNTHCTL_EL2.
    #[must_use]
    pub const fn of_el2(controls: CnthctlEl2) -> Self {
        Self::new(controls.evnten(), controls.evntdir(), controls.evnti(), controls.evntis())
    }

    /// Returns the first count after `counter` that comes with an event; `None` while there are none.
    /// Arm ARM, CNTKCTL_EL1.EVNTDIR.
    #[must_use]
    pub const fn next(self, counter: u64) -> Option<u64> {
        if !self.enable {
            return None;
        }
        let period = 2u64.wrapping_shl(self.bit);
        let phase = if self.falling { 0 } else { period >> 1 };
        let ticks = phase.wrapping_sub(counter) & period.wrapping_sub(1);
        Some(counter.wrapping_add(if ticks == 0 { period } else { ticks }))
    }
}

/// Whether the local timeout of a WFIT or WFET has passed: `CNTVCT_EL0` has reached the value of the register.
/// FEAT_WFxT. Arm ARM, LocalTimeoutEvent.
#[must_use]
pub const fn has_timed_out(virtual_count: u64, timeout: u64) -> bool {
    virtual_count >= timeout
}

/// Returns the physical count as EL1 and EL0 read it: less `CNTPOFF_EL2` where CNTHCTL_EL2.ECV says so; SCR_EL3.ECVEn, where
/// there is an EL3, is for the caller. FEAT_ECV. Arm ARM, PhysicalOffsetIsValid.
#[must_use]
pub const fn offset_physical_count(physical: u64, offset: u64, controls: CnthctlEl2) -> u64 {
    if controls.ecv() { physical.wrapping_sub(offset) } else { physical }
}

/// Returns the virtual count: the physical one less `CNTVOFF_EL2`, modulo 2^64. Arm ARM, CNTVCT_EL0.
#[must_use]
pub const fn virtual_count(physical: u64, offset: u64) -> u64 {
    physical.wrapping_sub(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(ctl: u64, cval: u64) -> Timer {
        Timer { ctl: CntCtl::from_bits(ctl), cval }
    }

    #[test]
    fn the_condition_compares_unsigned_and_the_mask_hides_it() {
        const CASES: &[(&str, u64, u64, u64, bool, bool, u64)] = &[
            ("off", 0, 100, 200, false, false, 0),
            ("one tick before", 1, 100, 99, false, false, 1),
            ("on time", 1, 100, 100, true, true, 5),
            ("masked", 3, 100, 100, true, false, 7),
            ("masked, before", 3, 100, 99, false, false, 3),
            ("CVAL of all ones", 1, u64::MAX, u64::MAX - 1, false, false, 1),
            ("no sign", 1, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, true, true, 5),
        ];
        for (name, ctl, cval, now, met, output, read) in CASES {
            let timer = timer(*ctl, *cval);
            assert_eq!((timer.is_met(*now), timer.output(*now)), (*met, *output), "{name}");
            assert_eq!(timer.read_ctl(*now), *read, "{name}");
        }
        let mut timer = timer(0, 0);
        timer.write_ctl(u64::MAX);
        assert_eq!(timer.read_ctl(0), 7);
        assert_eq!(timer.ctl.into_bits(), 3, "ISTATUS is not stored");
    }

    #[test]
    fn tval_is_signed_when_written_and_the_difference_when_read() {
        let mut timer = timer(1, 0);
        timer.write_tval(1000, 50);
        assert_eq!((timer.cval, timer.read_tval(1010)), (1050, 40));
        timer.write_tval(1000, 0xffff_ffff);
        assert_eq!(timer.cval, 999, "−1");
        assert_eq!(timer.read_tval(1000), 0xffff_ffff);
        timer.write_tval(0, 0x8000_0000);
        assert_eq!(timer.cval, 0xffff_ffff_8000_0000);
        timer.write_tval(0, 0x1_0000_0001);
        assert_eq!(timer.cval, 1, "32 bits count");
    }

    #[test]
    fn a_deadline_exists_while_the_line_can_rise() {
        assert_eq!(timer(0, 100).deadline(), None);
        assert_eq!(timer(3, 100).deadline(), None);
        assert_eq!(timer(1, 100).deadline(), Some(100));
        assert_eq!(timer(1, 100).ticks_left(40), Some(60));
        assert_eq!(timer(1, 100).ticks_left(140), Some(0));
        assert_eq!(timer(0, 100).ticks_left(0), None);
        assert_eq!(virtual_count(10, 12), u64::MAX - 1);
    }

    #[test]
    fn the_event_stream_follows_one_bit_of_the_counter() {
        const EN: u64 = 1 << 2;
        const DIR: u64 = 1 << 3;
        const EVNTIS: u64 = 1 << 17;
        // CNTKCTL_EL1 or CNTHCTL_EL2, the count, the next one with an event.
        const CASES: &[(&str, u64, u64, Option<u64>)] = &[
            ("off", 0, 0, None),
            ("off, whatever the rest says", DIR | 0xf0 | EVNTIS, 0, None),
            ("bit 0 rises every second tick", EN, 0, Some(1)),
            ("from 1", EN, 1, Some(3)),
            ("bit 0 falls in between", EN | DIR, 1, Some(2)),
            ("from 2", EN | DIR, 2, Some(4)),
            ("bit 4 rises", EN | 4 << 4, 0, Some(0x10)),
            ("on the way", EN | 4 << 4, 0xf, Some(0x10)),
            ("just behind it", EN | 4 << 4, 0x10, Some(0x30)),
            ("while it is 1", EN | 4 << 4, 0x1f, Some(0x30)),
            ("bit 4 falls", EN | DIR | 4 << 4, 0, Some(0x20)),
            ("bit 15, the last without EVNTIS", EN | 15 << 4, 0, Some(0x8000)),
            ("EVNTIS: bit 8", EN | EVNTIS, 0, Some(0x100)),
            ("EVNTIS: bit 23", EN | 15 << 4 | EVNTIS, 0, Some(0x80_0000)),
            ("the counter wraps", EN, u64::MAX, Some(1)),
            ("the counter wraps, falling", EN | DIR, u64::MAX, Some(0)),
        ];
        for (name, controls, counter, want) in CASES {
            let el1 = EventStream::of_el1(CntkctlEl1::from_bits(*controls));
            let el2 = EventStream::of_el2(CnthctlEl2::from_bits(*controls));
            assert_eq!((el1.next(*counter), el2.next(*counter)), (*want, *want), "{name}");
        }
    }

    #[test]
    fn timeouts_and_offsets_are_of_the_counter_named() {
        for (count, timeout, want) in
            [(99, 100, false), (100, 100, true), (101, 100, true), (0, u64::MAX, false)]
        {
            assert_eq!(has_timed_out(count, timeout), want, "{count}, {timeout}");
        }
        let ecv = CnthctlEl2::from_bits(1 << 12);
        assert_eq!(offset_physical_count(100, 30, ecv), 70);
        assert_eq!(offset_physical_count(100, 30, CnthctlEl2::new()), 100);
        assert_eq!(offset_physical_count(10, 12, ecv), u64::MAX - 1);
    }
}
