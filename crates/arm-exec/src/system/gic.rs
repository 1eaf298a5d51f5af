//! The virtual CPU interface on the registers of this PE.

use super::registers::Effect;
use crate::state::{State, SysRegs};
use arm_arch::SysRegId;
use arm_arch::bits::trunc32;
use arm_arch::gic::IchState;
use arm_arch::sysreg::{IchHcr, IchLr, IchVmcr};

/// Returns the interface's state.
pub(super) fn load(sys: &SysRegs) -> IchState<4> {
    IchState {
        hcr: IchHcr::from_bits(sys.ich_hcr_el2),
        vmcr: IchVmcr::from_bits(sys.ich_vmcr_el2),
        ap0r0: trunc32(sys.ich_ap0r0_el2),
        ap1r0: trunc32(sys.ich_ap1r0_el2),
        lr: sys.ich_lr_el2.map(IchLr::from_bits),
    }
}

fn store(sys: &mut SysRegs, ich: &IchState<4>) {
    sys.ich_hcr_el2 = ich.hcr.into_bits();
    sys.ich_vmcr_el2 = ich.vmcr.into_bits();
    sys.ich_ap0r0_el2 = u64::from(ich.ap0r0);
    sys.ich_ap1r0_el2 = u64::from(ich.ap1r0);
    sys.ich_lr_el2 = ich.lr.map(IchLr::into_bits);
}

/// Reads an ICC register; a read of ICC_IAR acknowledges.
pub(super) fn read(state: &mut State, id: SysRegId) -> Option<u64> {
    let mut ich = load(&state.sys);
    let value = ich.read(id)?;
    store(&mut state.sys, &ich);
    Some(value)
}

/// Writes an ICC register. There is no physical interrupt controller in reach of the PE: the
/// deactivation of a physical interrupt along with a virtual one (HW) is left to whoever folds the
/// list registers.
pub(super) fn write(state: &mut State, id: SysRegId, value: u64) -> Option<Effect> {
    let mut ich = load(&state.sys);
    let _deactivated = ich.write(id, value)?;
    store(&mut state.sys, &ich);
    Some(Effect::Context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arm_arch::sysreg::names;

    #[test]
    fn an_interrupt_is_acknowledged_and_ended_in_its_list_register() {
        let mut state = State::reset();
        state.sys.ich_hcr_el2 = 1;
        state.sys.ich_lr_el2[2] = 0x50a0_0000_0000_001b;
        assert_eq!(write(&mut state, names::ICC_PMR_EL1, 0xf0), Some(Effect::Context));
        assert_eq!(write(&mut state, names::ICC_IGRPEN1_EL1, 1), Some(Effect::Context));
        assert_eq!(read(&mut state, names::ICC_IAR1_EL1), Some(27));
        assert_eq!((state.sys.ich_lr_el2[2], state.sys.ich_ap1r0_el2), (0x90a0_0000_0000_001b, 1 << 20));
        assert_eq!(write(&mut state, names::ICC_EOIR1_EL1, 27), Some(Effect::Context));
        assert_eq!((state.sys.ich_lr_el2[2], state.sys.ich_ap1r0_el2), (0x10a0_0000_0000_001b, 0));
        assert_eq!(read(&mut state, names::SCTLR_EL1), None);
    }
}
