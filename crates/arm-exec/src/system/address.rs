//! AT: stage 1 translations on request.

use crate::abort::{Abort, Cause};
use crate::flow::{Flow, Host};
use crate::pe::Pe;
use arm_arch::SysRegId;
use arm_arch::sysreg::instructions as ins;
use mmu_xlate::vmsa::{Access, AccessKind, Privilege};

/// Executes AT S1E1R, S1E1W, S1E0R or S1E0W: the result goes to PAR_EL1. `None` for an encoding that
/// is none of them (those of EL2 are UNDEFINED here, S1E1RP and S1E1WP need FEAT_PAN2).
///
/// A fault of stage 2 on the tables is an exception to EL2; an external abort on the walk is
/// reported in PAR_EL1 (CHOICE; the architecture takes the abort, but no memory here answers with one).
pub(super) fn execute<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, id: SysRegId, va: u64) -> Option<Flow> {
    let (kind, privilege) = match id {
        ins::AT_S1E1R => (AccessKind::AtRead, Privilege::Privileged),
        ins::AT_S1E1W => (AccessKind::AtWrite, Privilege::Privileged),
        ins::AT_S1E0R => (AccessKind::AtRead, Privilege::Unprivileged),
        ins::AT_S1E0W => (AccessKind::AtWrite, Privilege::Unprivileged),
        _ => return None,
    };
    let access = Access::new(kind, privilege);
    pe.state.sys.par_el1 = match pe.walk(env, va, access) {
        Ok(mapping) => mapping.par(),
        Err(Abort { cause: Cause::Stage1(fault), .. }) => fault.par(),
        Err(abort) => return Some(Flow::Abort(abort)),
    };
    Some(Flow::Next)
}
