//! Which system registers a save area holds, and where this model keeps them in it.
//!
//! The layout of a save area is the machine's own business. This model's: one doubleword per register of
//! [`SAVED`], in that order.

use arm_arch::SysRegId;
use arm_arch::sysreg::names;
use arm_exec::state::SysRegs;
use s390_arch::sae::SystemRegisterNumber;

/// Registers of the published list whose features this machine does not have: kept, without effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inert([u64; INERT]);

const INERT: usize = 18;

impl Inert {
    pub(crate) const NONE: Self = Self([0; INERT]);
}

/// The number by which SASR and EASR know a register: its encoding.
const fn number_of(register: SysRegId) -> SystemRegisterNumber {
    SystemRegisterNumber(register.into_bits())
}

macro_rules! saved {
    ({ $($name:ident $field:ident $([$index:literal])?;)+ } inert { $($inert:ident $at:literal;)+ }) => {
        /// Every register that a save area holds, in the order in which this model stores them.
        pub(crate) const SAVED: &[SystemRegisterNumber] =
            &[$(number_of(names::$name),)+ $(number_of(names::$inert)),+];

        const _: () = assert!([$($at),+].len() == INERT);

        /// Returns the register of a loaded save area, `None` if there is none of that number. Inline: of a number that the
        /// caller names, nothing is left but the place.
        #[inline(always)]
        pub(crate) fn register<'a>(
            sys: &'a mut SysRegs,
            inert: &'a mut Inert,
            number: SystemRegisterNumber,
        ) -> Option<&'a mut u64> {
            Some(match SysRegId::from_bits(number.0) {
                $(names::$name => &mut sys.$field$([$index])?,)+
                $(names::$inert => &mut inert.0[$at],)+
                _ => return None,
            })
        }

        /// Hands every register of a save area to `each`, in the order of [`SAVED`].
        #[inline]
        pub(crate) fn for_each(
            sys: &mut SysRegs,
            inert: &mut Inert,
            mut each: impl FnMut(SystemRegisterNumber, &mut u64),
        ) {
            $(each(number_of(names::$name), &mut sys.$field$([$index])?);)+
            $(each(number_of(names::$inert), &mut inert.0[$at]);)+
        }
    };
}

saved! {{
    MDCCINT_EL1 mdccint_el1;
    MDSCR_EL1 mdscr_el1;
    DBGBVR0_EL1 dbgbvr_el1[0];
    DBGBCR0_EL1 dbgbcr_el1[0];
    DBGWVR0_EL1 dbgwvr_el1[0];
    DBGWCR0_EL1 dbgwcr_el1[0];
    DBGBVR1_EL1 dbgbvr_el1[1];
    DBGBCR1_EL1 dbgbcr_el1[1];
    DBGWVR1_EL1 dbgwvr_el1[1];
    DBGWCR1_EL1 dbgwcr_el1[1];
    OSLSR_EL1 oslsr_el1;
    OSDLR_EL1 osdlr_el1;
    DBGCLAIMSET_EL1 dbgclaim_el1;
    MIDR_EL1 midr_el1;
    SCTLR_EL1 sctlr_el1;
    ACTLR_EL1 actlr_el1;
    CPACR_EL1 cpacr_el1;
    TTBR0_EL1 ttbr0_el1;
    TTBR1_EL1 ttbr1_el1;
    TCR_EL1 tcr_el1;
    SPSR_EL1 spsr_el1;
    ELR_EL1 elr_el1;
    AFSR0_EL1 afsr0_el1;
    AFSR1_EL1 afsr1_el1;
    ESR_EL1 esr_el1;
    FAR_EL1 far_el1;
    PAR_EL1 par_el1;
    MAIR_EL1 mair_el1;
    AMAIR_EL1 amair_el1;
    VBAR_EL1 vbar_el1;
    DISR_EL1 disr_el1;
    TPIDR_EL1 tpidr_el1;
    CNTKCTL_EL1 cntkctl_el1;
    CSSELR_EL1 csselr_el1;
    TPIDR_EL0 tpidr_el0;
    TPIDRRO_EL0 tpidrro_el0;
    CNTFRQ_EL0 cntfrq_el0;
    CNTP_CVAL_EL0 cntp_cval_el0;
    CNTV_CVAL_EL0 cntv_cval_el0;
    VMPIDR_EL2 vmpidr_el2;
    HCR_EL2 hcr_el2;
    MDCR_EL2 mdcr_el2;
    CPTR_EL2 cptr_el2;
    HCRX_EL2 hcrx_el2;
    VSESR_EL2 vsesr_el2;
    ICC_SRE_EL2 icc_sre_el2;
    CNTHCTL_EL2 cnthctl_el2;
} inert {
    ZCR_EL1 0;
    APIAKEYLO_EL1 1;
    APIAKEYHI_EL1 2;
    APIBKEYLO_EL1 3;
    APIBKEYHI_EL1 4;
    APDAKEYLO_EL1 5;
    APDAKEYHI_EL1 6;
    APDBKEYLO_EL1 7;
    APDBKEYHI_EL1 8;
    APGAKEYLO_EL1 9;
    APGAKEYHI_EL1 10;
    SCXTNUM_EL1 11;
    SCXTNUM_EL0 12;
    HFGRTR_EL2 13;
    HFGWTR_EL2 14;
    HFGITR_EL2 15;
    HDFGRTR_EL2 16;
    HDFGWTR_EL2 17;
}}

/// Returns whether a change of the register changes how addresses are translated.
pub(crate) const fn steers_translation(number: SystemRegisterNumber) -> bool {
    matches!(
        SysRegId::from_bits(number.0),
        names::SCTLR_EL1
            | names::TTBR0_EL1
            | names::TTBR1_EL1
            | names::TCR_EL1
            | names::MAIR_EL1
            | names::HCR_EL2
            | names::HCRX_EL2
    )
}

/// OSLAR_EL1, which only takes writes: they set OSLSR_EL1.OSLK.
pub(crate) const OSLAR: SystemRegisterNumber = SystemRegisterNumber(names::OSLAR_EL1.into_bits());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_a_register_of_its_own() {
        let (mut sys, mut inert) = (SysRegs::default(), Inert::NONE);
        for (value, number) in (1_u64..).zip(SAVED) {
            *register(&mut sys, &mut inert, *number).unwrap() = value;
        }
        let mut next = 1;
        for_each(&mut sys, &mut inert, |number, value| {
            assert_eq!((number, *value), (SAVED[next - 1], u64::try_from(next).unwrap()));
            next += 1;
        });
        assert_eq!(next - 1, SAVED.len());
        assert_eq!(register(&mut sys, &mut inert, SystemRegisterNumber(0xc682)), None);
        assert!(SAVED.len() <= 508, "more than a save area has room for");
    }

    /// Register numbers that the SAE sources give to SASR and EASR, without OSLAR_EL1.
    const PUBLISHED: [u16; 52] = [
        0xc081, 0xc288, 0xc289, 0xdf00, 0xdf12, 0xdf1a, 0xc609, 0xc000, 0x808c, 0xc3a0, 0xc080, 0xc082,
        0xc600, 0xc290, 0xc102, 0xc510, 0xc100, 0xc101, 0xc300, 0xde82, 0xc684, 0xde83, 0xc708, 0xc090,
        0xde87, 0xc687, 0xc10a, 0xc10b, 0xc108, 0xc109, 0xc118, 0xc119, 0xc112, 0xc113, 0xc110, 0xc111,
        0x8012, 0xc201, 0xc200, 0xe088, 0xe092, 0xe005, 0xe293, 0xe08a, 0xe089, 0xe08c, 0xe08d, 0xe08e,
        0xe18c, 0xe18d, 0xe708, 0xe64d,
    ];

    #[test]
    fn every_published_register_is_in_the_save_area() {
        for number in PUBLISHED {
            assert!(SAVED.contains(&SystemRegisterNumber(number)), "{number:#x}");
        }
    }
}
