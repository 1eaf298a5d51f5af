//! AT: stage 1 translations on request.

use crate::abort::{Abort, Cause};
use crate::env::Stage2Access;
use crate::flow::{Flow, Host};
use crate::pe::Pe;
use arm_arch::bits::index;
use arm_arch::sysreg::instructions as ins;
use arm_arch::{Ipa, Level, SysRegId, Va};
use core::cell::Cell;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{Access, AccessKind, Privilege, Translation, walk};

/// The tables of stage 1, behind stage 2.
struct Tables<'e, 'm> {
    env: &'e dyn Host<'m>,
    loads: Cell<usize>,
}

impl TableMemory<Ipa> for Tables<'_, '_> {
    /// Where stage 2 failed.
    type Error = Ipa;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Ipa> {
        self.loads.set(self.loads.get().wrapping_add(1));
        let page = self.env.stage2(at, Stage2Access::Walk).ok_or(at)?;
        Ok(Some(page.page.load64(index(at.bits() & 0xff8)).to_le_bytes()))
    }
}

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
    // Nobody runs before they are known.
    let params = pe.params.as_ref()?;
    let tables = Tables { env, loads: Cell::new(0) };
    pe.state.sys.par_el1 = match walk(params, Va::new(va), access, &tables) {
        Ok(Translation::Mapped(mapping)) => mapping.par(),
        Ok(Translation::Fault(fault)) => fault.par(),
        Err(ipa) => {
            let first = params.start_level(Va::new(va));
            let walk_level = level_of(first, tables.loads.get());
            return Some(Flow::Abort(Abort { va, access, cause: Cause::Stage2 { ipa, walk_level } }));
        }
    };
    Some(Flow::Next)
}

/// The level of the last of `loads` descriptors, the first of which was at `first`.
fn level_of(first: Level, loads: usize) -> Option<Level> {
    Level::ALL.into_iter().filter(|level| *level >= first).nth(loads.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_is_one_level_below() {
        assert_eq!(level_of(Level::L0, 1), Some(Level::L0));
        assert_eq!(level_of(Level::L1, 3), Some(Level::L3));
        assert_eq!(level_of(Level::L3, 2), None);
        assert_eq!(level_of(Level::L0, 0), None);
    }
}
