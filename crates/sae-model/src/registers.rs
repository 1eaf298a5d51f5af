//! Which system registers a save area holds, and where this model keeps them in it.
//!
//! The layout of a save area is the machine's own business. This model's: one doubleword per register of
//! [`SAVED`], in that order.

use arm_exec::state::SysRegs;
use s390_arch::sae::SystemRegisterNumber;

/// Registers of the published list whose features this machine does not have: kept, without effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inert([u64; INERT]);

const INERT: usize = 18;

impl Inert {
    pub(crate) const NONE: Self = Self([0; INERT]);
}

macro_rules! saved {
    ($($number:literal $field:ident $([$index:literal])?;)+ inert: $($inert:literal $at:literal;)+) => {
        /// Every register that a save area holds, in the order in which this model stores them.
        pub(crate) const SAVED: &[SystemRegisterNumber] =
            &[$(SystemRegisterNumber($number),)+ $(SystemRegisterNumber($inert)),+];

        const _: () = assert!([$($inert),+].len() == INERT);

        /// Returns the register of a loaded save area, `None` if there is none of that number. Inline: of a number that the
        /// caller names, nothing is left but the place.
        #[inline(always)]
        pub(crate) fn register<'a>(
            sys: &'a mut SysRegs,
            inert: &'a mut Inert,
            number: SystemRegisterNumber,
        ) -> Option<&'a mut u64> {
            Some(match number.0 {
                $($number => &mut sys.$field$([$index])?,)+
                $($inert => &mut inert.0[$at],)+
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
            $(each(SystemRegisterNumber($number), &mut sys.$field$([$index])?);)+
            $(each(SystemRegisterNumber($inert), &mut inert.0[$at]);)+
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
    0x83c6 dbgclaim_el1;
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
    inert:
    0xc090 0; // ZCR_EL1
    0xc108 1; // APIAKEYLO_EL1
    0xc109 2; // APIAKEYHI_EL1
    0xc10a 3; // APIBKEYLO_EL1
    0xc10b 4; // APIBKEYHI_EL1
    0xc110 5; // APDAKEYLO_EL1
    0xc111 6; // APDAKEYHI_EL1
    0xc112 7; // APDBKEYLO_EL1
    0xc113 8; // APDBKEYHI_EL1
    0xc118 9; // APGAKEYLO_EL1
    0xc119 10; // APGAKEYHI_EL1
    0xc687 11; // SCXTNUM_EL1
    0xde87 12; // SCXTNUM_EL0
    0xe08c 13; // HFGRTR_EL2
    0xe08d 14; // HFGWTR_EL2
    0xe08e 15; // HFGITR_EL2
    0xe18c 16; // HDFGRTR_EL2
    0xe18d 17; // HDFGWTR_EL2
}

/// Returns whether a change of the register changes how addresses are translated.
pub(crate) const fn steers_translation(number: SystemRegisterNumber) -> bool {
    matches!(number.0, 0xc080 | 0xc100 | 0xc101 | 0xc102 | 0xc510 | 0xe088 | 0xe092)
}

/// OSLAR_EL1, which only takes writes: they set OSLSR_EL1.OSLK.
pub(crate) const OSLAR: SystemRegisterNumber = SystemRegisterNumber(0x8084);

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
