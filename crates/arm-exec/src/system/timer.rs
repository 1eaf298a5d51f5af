//! The timers of EL1&0: registers, conditions, deadlines.
//!
//! The CTL registers in [`SysRegs`] keep, at ISTATUS, whether the output was high when it was last
//! looked at; what a guest reads is computed.

use super::registers::Effect;
use crate::env::Timer as Which;
use crate::state::{State, SysRegs};
use arm_arch::SysRegId;
use arm_arch::sysreg::{CntCtl, names};
use arm_arch::timer::Timer;

fn virtual_timer(sys: &SysRegs) -> Timer {
    Timer { ctl: CntCtl::from_bits(sys.cntv_ctl_el0), cval: sys.cntv_cval_el0 }
}

fn physical_timer(sys: &SysRegs) -> Timer {
    Timer { ctl: CntCtl::from_bits(sys.cntp_ctl_el0), cval: sys.cntp_cval_el0 }
}

/// Reads a counter or a register of a timer. Both counters are the host's count: the offset is in it.
pub(super) fn read(state: &State, id: SysRegId, count: impl FnOnce() -> u64) -> Option<u64> {
    let sys = &state.sys;
    Some(match id {
        names::CNTVCT_EL0 | names::CNTPCT_EL0 => count(),
        names::CNTV_CTL_EL0 => virtual_timer(sys).read_ctl(count()),
        names::CNTV_CVAL_EL0 => sys.cntv_cval_el0,
        names::CNTV_TVAL_EL0 => virtual_timer(sys).read_tval(count()),
        names::CNTP_CTL_EL0 => physical_timer(sys).read_ctl(count()),
        names::CNTP_CVAL_EL0 => sys.cntp_cval_el0,
        names::CNTP_TVAL_EL0 => physical_timer(sys).read_tval(count()),
        _ => return None,
    })
}

/// Writes a register of a timer.
pub(super) fn write(
    state: &mut State,
    id: SysRegId,
    value: u64,
    count: impl FnOnce() -> u64,
) -> Option<Effect> {
    let sys = &mut state.sys;
    let (mut timer, is_virtual) = match id {
        names::CNTV_CTL_EL0 | names::CNTV_CVAL_EL0 | names::CNTV_TVAL_EL0 => (virtual_timer(sys), true),
        names::CNTP_CTL_EL0 | names::CNTP_CVAL_EL0 | names::CNTP_TVAL_EL0 => (physical_timer(sys), false),
        _ => return None,
    };
    let seen = timer.ctl.istatus();
    let count = count();
    match id {
        names::CNTV_CTL_EL0 | names::CNTP_CTL_EL0 => timer.write_ctl(value),
        names::CNTV_CVAL_EL0 | names::CNTP_CVAL_EL0 => timer.cval = value,
        _ => timer.write_tval(count, value),
    }
    // A write that takes the output down and is followed by another that raises it makes an edge.
    let ctl = timer.ctl.with_istatus(seen && timer.output(count)).into_bits();
    if is_virtual {
        (sys.cntv_ctl_el0, sys.cntv_cval_el0) = (ctl, timer.cval);
    } else {
        (sys.cntp_ctl_el0, sys.cntp_cval_el0) = (ctl, timer.cval);
    }
    Some(Effect::Timers)
}

/// Returns a timer whose output has risen since it was last looked at.
///
/// CHOICE: a rising edge of the output (ENABLE, not IMASK, condition met), told once; what the timer
/// does to interrupts is the hypervisor's, who sees the level. Both at once: the virtual one first, the
/// other at the next look.
pub(crate) fn risen(state: &mut State, count: u64) -> Option<Which> {
    let sys = &mut state.sys;
    if edge(&mut sys.cntv_ctl_el0, sys.cntv_cval_el0, count) {
        return Some(Which::Virtual);
    }
    edge(&mut sys.cntp_ctl_el0, sys.cntp_cval_el0, count).then_some(Which::Physical)
}

/// Records the output in a CTL register; whether it has risen.
fn edge(ctl: &mut u64, cval: u64, count: u64) -> bool {
    let before = CntCtl::from_bits(*ctl);
    let output = Timer { ctl: before, cval }.output(count);
    *ctl = before.with_istatus(output).into_bits();
    output && !before.istatus()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: &State, id: SysRegId, count: u64) -> Option<u64> {
        super::read(state, id, || count)
    }

    fn write(state: &mut State, id: SysRegId, value: u64, count: u64) -> Option<Effect> {
        super::write(state, id, value, || count)
    }

    #[test]
    fn the_output_is_told_once_each_time_it_rises() {
        let mut state = State::reset();
        let effect = Some(Effect::Timers);
        assert_eq!(write(&mut state, names::CNTV_CVAL_EL0, 100, 0), effect);
        assert_eq!(write(&mut state, names::CNTV_CTL_EL0, 1, 0), effect);
        assert_eq!(risen(&mut state, 99), None);
        assert_eq!(risen(&mut state, 100), Some(Which::Virtual));
        assert_eq!(risen(&mut state, 101), None);
        assert_eq!(read(&state, names::CNTV_CTL_EL0, 101), Some(5));
        // Masked and unmasked again: a new edge.
        assert_eq!(write(&mut state, names::CNTV_CTL_EL0, 3, 102), effect);
        assert_eq!((risen(&mut state, 102), read(&state, names::CNTV_CTL_EL0, 102)), (None, Some(7)));
        assert_eq!(write(&mut state, names::CNTV_CTL_EL0, 1, 103), effect);
        assert_eq!(risen(&mut state, 103), Some(Which::Virtual));
        // Moved into the future, reached again.
        assert_eq!(write(&mut state, names::CNTV_TVAL_EL0, 10, 104), effect);
        assert_eq!((risen(&mut state, 113), risen(&mut state, 114)), (None, Some(Which::Virtual)));
    }

    #[test]
    fn the_two_timers_do_not_mix() {
        let mut state = State::reset();
        write(&mut state, names::CNTP_TVAL_EL0, 50, 1000);
        write(&mut state, names::CNTP_CTL_EL0, 1, 1000);
        write(&mut state, names::CNTV_TVAL_EL0, 0xffff_ffff, 1000);
        write(&mut state, names::CNTV_CTL_EL0, 1, 1000);
        assert_eq!(read(&state, names::CNTP_CVAL_EL0, 0), Some(1050));
        assert_eq!(read(&state, names::CNTV_CVAL_EL0, 0), Some(999));
        assert_eq!(risen(&mut state, 1060), Some(Which::Virtual));
        assert_eq!(risen(&mut state, 1060), Some(Which::Physical));
        assert_eq!(risen(&mut state, 1060), None);
        assert_eq!(read(&state, names::CNTVCT_EL0, 77), Some(77));
    }
}
