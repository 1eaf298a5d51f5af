//! Which system registers a save area holds, and where this model keeps them in it.
//!
//! The layout of a save area is the machine's own business. This model's: one doubleword per register of
//! [`SAVED`], in that order.

use arm_exec::state::SysRegs;
use s390_arch::sae::SystemRegisterNumber;

macro_rules! saved {
    ($($number:literal $field:ident $([$index:literal])?;)+) => {
        /// Every register that a save area holds, in the order in which this model stores them.
        pub(crate) const SAVED: &[SystemRegisterNumber] = &[$(SystemRegisterNumber($number)),+];

        /// Returns the register of a loaded save area, `None` if there is none of that number.
        #[inline]
        pub(crate) fn register(sys: &mut SysRegs, number: SystemRegisterNumber) -> Option<&mut u64> {
            Some(match number.0 {
                $($number => &mut sys.$field$([$index])?,)+
                _ => return None,
            })
        }
    };
}

saved! {
    0x8010 mdccint_el1;
    0x8012 mdscr_el1;
    0x8004 dbgbvr_el1[0];
    0x8005 dbgbcr_el1[0];
    0x8006 dbgwvr_el1[0];
    0x8007 dbgwcr_el1[0];
    0x800c dbgbvr_el1[1];
    0x800d dbgbcr_el1[1];
    0x800e dbgwvr_el1[1];
    0x800f dbgwcr_el1[1];
    0x808c oslsr_el1;
    0x809c osdlr_el1;
    0xc000 midr_el1;
    0xc080 sctlr_el1;
    0xc081 actlr_el1;
    0xc082 cpacr_el1;
    0xc100 ttbr0_el1;
    0xc101 ttbr1_el1;
    0xc102 tcr_el1;
    0xc200 spsr_el1;
    0xc201 elr_el1;
    0xc288 afsr0_el1;
    0xc289 afsr1_el1;
    0xc290 esr_el1;
    0xc300 far_el1;
    0xc3a0 par_el1;
    0xc510 mair_el1;
    0xc518 amair_el1;
    0xc600 vbar_el1;
    0xc609 disr_el1;
    0xc684 tpidr_el1;
    0xc708 cntkctl_el1;
    0xd000 csselr_el1;
    0xde82 tpidr_el0;
    0xde83 tpidrro_el0;
    0xdf00 cntfrq_el0;
    0xdf12 cntp_cval_el0;
    0xdf1a cntv_cval_el0;
    0xe005 vmpidr_el2;
    0xe088 hcr_el2;
    0xe089 mdcr_el2;
    0xe08a cptr_el2;
    0xe092 hcrx_el2;
    0xe293 vsesr_el2;
    0xe64d icc_sre_el2;
    0xe708 cnthctl_el2;
}

/// Returns whether a change of the register changes how addresses are translated.
pub(crate) const fn steers_translation(number: SystemRegisterNumber) -> bool {
    matches!(number.0, 0xc080 | 0xc100 | 0xc101 | 0xc102 | 0xc510 | 0xe088 | 0xe092)
}

/// OSLAR_EL1, which only takes writes: they set OSLSR_EL1.OSLK.
pub(crate) const OSLAR: SystemRegisterNumber = SystemRegisterNumber(0x8084);

/// OSLSR_EL1.OSLK, \[1\].
pub(crate) const OSLK: u64 = 1 << 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_a_register_of_its_own() {
        let mut sys = SysRegs::default();
        for (value, number) in (1_u64..).zip(SAVED) {
            *register(&mut sys, *number).unwrap() = value;
        }
        for (value, number) in (1_u64..).zip(SAVED) {
            assert_eq!(register(&mut sys, *number).copied(), Some(value), "{number:?}");
        }
        assert_eq!(register(&mut sys, SystemRegisterNumber(0xc682)), None);
        assert!(SAVED.len() <= 508, "more than a save area has room for");
    }
}
