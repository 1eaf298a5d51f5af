//! Whether an instruction is allowed: questions to `arm_arch::trap`, asked with the registers of this
//! PE.

use super::pstate;
use crate::state::State;
use arm_arch::feature::Features;
use arm_arch::iss::{SystemAccess, WaitKind};
use arm_arch::sysreg::{CntkctlEl1, CpacrEl1, HcrEl2, IchHcr, MdcrEl2, MdscrEl1, SctlrEl1};
use arm_arch::trap::{self, Controls, Decision};

/// The control registers as they are now.
fn controls(state: &State) -> Controls {
    let sys = &state.sys;
    Controls {
        hcr: HcrEl2::from_bits(sys.hcr_el2),
        cptr: sys.cptr_el2,
        mdcr: MdcrEl2::from_bits(sys.mdcr_el2),
        cnthctl: sys.cnthctl_el2,
        ich_hcr: IchHcr::from_bits(sys.ich_hcr_el2),
        icc_sre_el2: sys.icc_sre_el2,
        sctlr: SctlrEl1::from_bits(sys.sctlr_el1),
        cpacr: CpacrEl1::from_bits(sys.cpacr_el1),
        cntkctl: CntkctlEl1::from_bits(sys.cntkctl_el1),
        mdscr: MdscrEl1::from_bits(sys.mdscr_el1),
    }
}

/// MSR, MRS, SYS and SYSL.
pub(super) fn system_access(state: &State, features: &Features, access: SystemAccess) -> Decision {
    trap::system_access(access, pstate::pstate(state), &controls(state), features)
}

/// WFI and WFE that would wait.
pub(super) fn wait(state: &State, kind: WaitKind) -> Decision {
    trap::wait(kind, None, pstate::el(state), &controls(state))
}

/// FP and SIMD.
pub(super) fn floating_point(state: &State) -> Decision {
    trap::fp_access(pstate::el(state), &controls(state))
}

/// HVC.
pub(super) fn hypervisor_call(state: &State, imm16: u16) -> Decision {
    trap::hvc(imm16, pstate::el(state), &controls(state))
}

/// SMC.
pub(super) fn secure_monitor_call(state: &State, imm16: u16) -> Decision {
    trap::smc(imm16, pstate::el(state), &controls(state))
}
