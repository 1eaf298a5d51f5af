//! Control registers as the guest side writes them, and as this CPU takes them.
//!
//! The guest side writes them in their form for HCR_EL2.E2H = 1, which is also the one of an SAE control block. A host
//! without FEAT_VHE, or one that does not use it, has the older form of three of them.

use arm_arch::SysRegId;
use arm_arch::sysreg::{CnthctlEl2, CnthctlEl2Classic, CptrEl2, CptrEl2Classic, FpEnable, HcrEl2, names};

/// In which form EL2 has its control registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// HCR_EL2.E2H is 0.
    Classic,
    /// HCR_EL2.E2H is 1: FEAT_VHE, in use.
    Vhe,
}

/// What CPTR_EL2 has as RES1 with E2H = 0, where SVE and SME have no field: \[13\], \[9\], \[7:0\]. Arm ARM, CPTR_EL2.
const CPTR_RES1: u64 = 0x22ff;
/// Traps nothing, in the form for E2H = 1.
const UNTRAPPED: u8 = 3;

/// Returns the value that goes into the register: what is this host's own business added, in the CPU's form.
pub(crate) fn on_cpu(register: SysRegId, value: u64, form: Form) -> u64 {
    match (register, form) {
        // Stage 2 is always on, and whether the host is one of FEAT_VHE is the host's decision.
        (names::HCR_EL2, _) => {
            let hcr = HcrEl2::from_bits(value).with_vm(true).with_tge(false);
            hcr.with_e2h(form == Form::Vhe).into_bits()
        }
        (names::CPTR_EL2, Form::Classic) => classic_cptr(CptrEl2::from_bits(value)),
        (names::CNTHCTL_EL2, Form::Classic) => classic_cnthctl(value),
        _ => value,
    }
}

/// Returns CPTR_EL2 in the CPU's form with floating point untrapped: to get at the registers, whoever they are of.
pub(crate) fn floating_point(form: Form) -> u64 {
    on_cpu(names::CPTR_EL2, CptrEl2::new().with_fpen(FpEnable::All).into_bits(), form)
}

fn classic_cptr(cptr: CptrEl2) -> u64 {
    let classic = CptrEl2Classic::new()
        .with_tz(cptr.zen() != UNTRAPPED)
        // A trap from EL0 alone, which only a host has a use for, becomes one from both levels.
        .with_tfp(cptr.fpen() != FpEnable::All)
        .with_tsm(cptr.smen() != UNTRAPPED)
        .with_tta(cptr.tta())
        .with_tam(cptr.tam())
        .with_tcpac(cptr.tcpac());
    CPTR_RES1 | classic.into_bits()
}

/// EL1PCTEN and EL1PTEN lie at 10 and 11 in one form, at 0 and 1 in the other; the event stream and what is newer lie at
/// the same place in both. Arm ARM, CNTHCTL_EL2.
fn classic_cnthctl(value: u64) -> u64 {
    let form = CnthctlEl2::from_bits(value);
    let user = form.with_el0pcten(false).with_el0vcten(false).with_el0vten(false).with_el0pten(false);
    let others = user.with_el1pcten(false).with_el1pten(false).into_bits();
    let classic = CnthctlEl2Classic::from_bits(others);
    classic.with_el1pcten(form.el1pcten()).with_el1pcen(form.el1pten()).into_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        register: SysRegId,
        value: u64,
        classic: u64,
        vhe: u64,
    }

    const CASES: &[Case] = &[
        // The value of an SAE control block with TWI and TWE; E2H is bit 34, VM bit 0, TGE bit 27.
        Case {
            register: names::HCR_EL2,
            value: 0x0402_000c_801f_603c,
            classic: 0x0402_0008_801f_603d,
            vhe: 0x0402_000c_801f_603d,
        },
        Case {
            register: names::HCR_EL2,
            value: 0x0800_0000 | 1 << 31,
            classic: 0x8000_0001,
            vhe: 0x4_8000_0001,
        },
        // FPEN 11, TTA, TAM: floating point free, SVE and SME trapped.
        Case { register: names::CPTR_EL2, value: 0x5030_0000, classic: 0x4010_33ff, vhe: 0x5030_0000 },
        Case { register: names::CPTR_EL2, value: 0x0333_0000, classic: 0x0000_22ff, vhe: 0x0333_0000 },
        Case { register: names::CPTR_EL2, value: 0x8010_0000, classic: 0x8000_37ff, vhe: 0x8010_0000 },
        Case { register: names::CNTHCTL_EL2, value: 0xc00, classic: 3, vhe: 0xc00 },
        Case { register: names::CNTHCTL_EL2, value: 0x3_e3fc, classic: 0x3_e0fc, vhe: 0x3_e3fc },
        Case { register: names::CNTHCTL_EL2, value: 0x400, classic: 1, vhe: 0x400 },
        Case { register: names::MDCR_EL2, value: 0x8_4060, classic: 0x8_4060, vhe: 0x8_4060 },
    ];

    #[test]
    fn control_registers_mean_the_same_in_both_forms() {
        for Case { register, value, classic, vhe } in CASES {
            assert_eq!(
                on_cpu(*register, *value, Form::Classic),
                *classic,
                "{register:?} {value:#x}, classic"
            );
            assert_eq!(on_cpu(*register, *value, Form::Vhe), *vhe, "{register:?} {value:#x}, FEAT_VHE");
        }
    }
}
