//! The timers of EL1: the PE compares, this side samples both before every entry and drives their PPIs as
//! levels. Arm ARM, CNTP_CTL_EL0, CNTV_CTL_EL0.

use crate::inject::system;
use crate::state::{Shared, Vcpu};
use crate::vgic::{Gic, Line, Ppi};
use arm_arch::sysreg::{CntCtl, SysRegId, names};
use arm_arch::timer::Timer;
use xarch_abi::{Deadline, Lock, RegisterError, Registers, VcpuIndex};

/// Output lines of the two timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lines {
    pub virtual_timer: Line,
    pub physical_timer: Line,
}

impl Lines {
    pub const LOW: Self = Self { virtual_timer: Line::Low, physical_timer: Line::Low };

    /// Puts them where they lead to.
    pub fn put<const N: usize>(self, gic: &mut Gic<N>, vcpu: VcpuIndex) {
        gic.set_ppi_line(vcpu, Ppi::VIRTUAL_TIMER, self.virtual_timer);
        gic.set_ppi_line(vcpu, Ppi::PHYSICAL_TIMER, self.physical_timer);
    }
}

/// Registers of one timer.
struct Registered {
    control: SysRegId,
    compare: SysRegId,
    count: SysRegId,
}

const VIRTUAL: Registered =
    Registered { control: names::CNTV_CTL_EL0, compare: names::CNTV_CVAL_EL0, count: names::CNTVCT_EL0 };
const PHYSICAL: Registered =
    Registered { control: names::CNTP_CTL_EL0, compare: names::CNTP_CVAL_EL0, count: names::CNTPCT_EL0 };

/// What one timer does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sample {
    /// It is off, or its interrupt is masked.
    Quiet,
    /// It will raise its line when the counter gets there, that many ticks from now.
    Armed { at: u64, ticks: u64 },
    /// Its line is high.
    Due,
}

impl Registered {
    /// Inline: most entries find a timer off, by one look at a register that the caller names.
    #[inline(always)]
    fn sample<R: Registers>(&self, registers: &mut R) -> Result<Sample, RegisterError> {
        let ctl = CntCtl::from_bits(registers.read(system(self.control))?);
        if (Timer { ctl, cval: 0 }).deadline().is_none() {
            return Ok(Sample::Quiet);
        }
        let timer = Timer { ctl, cval: registers.read(system(self.compare))? };
        Ok(match timer.ticks_left(registers.read(system(self.count))?) {
            None => Sample::Quiet,
            Some(0) => Sample::Due,
            Some(ticks) => Sample::Armed { at: timer.cval, ticks },
        })
    }
}

impl Sample {
    const fn line(self) -> Line {
        match self {
            Self::Due => Line::High,
            Self::Quiet | Self::Armed { .. } => Line::Low,
        }
    }

    /// The ticks until the line rises, and the counter value then.
    const fn armed(self) -> Option<(u64, u64)> {
        match self {
            Self::Armed { at, ticks } => Some((ticks, at)),
            Self::Quiet | Self::Due => None,
        }
    }
}

/// Returns the nanoseconds that `ticks` take, rounded up, at most `u64::MAX`. Exact up to 18 GHz, too small
/// above; the architecture counts with 1 GHz at most.
fn nanoseconds(ticks: u64, frequency: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let (Some(seconds), Some(rest)) = (ticks.checked_div(frequency), ticks.checked_rem(frequency)) else {
        return 0;
    };
    let last = frequency.saturating_sub(1);
    let fraction = rest.saturating_mul(SECOND).saturating_add(last).checked_div(frequency).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(fraction)
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Most entries: whether both timers are off or masked, and their lines low.
    #[inline]
    pub(crate) fn is_without_timers<R: Registers>(&self, registers: &mut R) -> bool {
        let mut is_off = |timer: &Registered| match registers.read(system(timer.control)) {
            Ok(control) => (Timer { ctl: CntCtl::from_bits(control), cval: 0 }).deadline().is_none(),
            Err(_) => false,
        };
        self.lines == Lines::LOW && is_off(&VIRTUAL) && is_off(&PHYSICAL)
    }

    /// Samples both timers, drives their PPIs where they changed, and returns when the earlier one of those
    /// that are armed comes due.
    pub(crate) fn sample_timers<R: Registers>(
        &mut self,
        registers: &mut R,
    ) -> Result<Option<Deadline>, RegisterError> {
        let (virtual_timer, physical_timer) = (VIRTUAL.sample(registers)?, PHYSICAL.sample(registers)?);
        if (virtual_timer, physical_timer) == (Sample::Quiet, Sample::Quiet) {
            // Most entries: nothing to work out.
            self.drive(Lines::LOW);
            return Ok(None);
        }
        self.drive(Lines { virtual_timer: virtual_timer.line(), physical_timer: physical_timer.line() });
        Ok([virtual_timer, physical_timer]
            .into_iter()
            .filter_map(Sample::armed)
            .min()
            .map(|(ticks, counter)| self.deadline(counter, ticks)))
    }

    /// Returns the moment `ticks` from now.
    pub(crate) fn deadline(&self, counter: u64, ticks: u64) -> Deadline {
        Deadline { counter, nanoseconds: nanoseconds(ticks, self.frequency) }
    }

    /// Returns the earlier of a deadline and the virtual counter reaching `counter`, as WFIT waits.
    pub(crate) fn with_timeout<R: Registers>(
        &self,
        registers: &mut R,
        deadline: Option<Deadline>,
        counter: u64,
    ) -> Result<Deadline, RegisterError> {
        let now = registers.read(system(names::CNTVCT_EL0))?;
        let timeout = self.deadline(counter, counter.saturating_sub(now));
        Ok(match deadline {
            Some(deadline) if deadline.nanoseconds <= timeout.nanoseconds => deadline,
            Some(_) | None => timeout,
        })
    }

    fn drive(&mut self, lines: Lines) {
        if lines == self.lines {
            return;
        }
        let index = self.index;
        self.vm.with(|shared| lines.put(&mut shared.gic, index));
        self.lines = lines;
        self.lists.refill = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_rounded_up() {
        const CASES: &[(u64, u64, u64)] = &[
            (1, 1_000_000_000, 1),
            (1, 62_500_000, 16),
            (3, 24_000_000, 125),
            (1, 24_000_000, 42),
            (u64::MAX, 1, u64::MAX),
            (999_999_999, 1_000_000_000, 999_999_999),
            (0x1_0000_0001, 24_000_000, 178_956_970_709),
            (u64::MAX, 1_000_000_000, u64::MAX),
            (5, 0, 0),
        ];
        for (ticks, frequency, want) in CASES {
            assert_eq!(nanoseconds(*ticks, *frequency), *want, "{ticks} ticks of {frequency} Hz");
        }
    }
}
