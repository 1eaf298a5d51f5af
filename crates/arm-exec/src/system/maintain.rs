//! SYS: cache and TLB maintenance, DC ZVA, and AT by way of [`address`].

use super::{address, registers};
use crate::abort::Abort;
use crate::domain::Invalidation;
use crate::flow::{Flow, Host};
use crate::pe::Pe;
use arm_arch::sysreg::{HcrEl2, instructions as ins};
use arm_arch::{SysRegId, Va};
use mmu_xlate::vmsa::{Access, AccessKind, Privilege};

/// Executes a system instruction that is allowed. What is not announced is UNDEFINED.
pub(super) fn execute<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, id: SysRegId, operand: u64) -> Flow {
    if let Some((what, shared)) = invalidation(id, operand) {
        let forced = HcrEl2::from_bits(pe.state.sys.hcr_el2).fb();
        pe.invalidate(what);
        if shared || forced {
            pe.broadcast(what);
        }
        return Flow::Context;
    }
    if let Some(flow) = address::execute(pe, env, id, operand) {
        return flow;
    }
    let done = match id {
        // By set and way: there is no cache whose contents differ from memory.
        ins::DC_ISW | ins::DC_CSW | ins::DC_CISW => Ok(Flow::Next),
        ins::DC_IVAC => by_address(pe, env, operand, AccessKind::Invalidate),
        ins::DC_CVAC | ins::DC_CVAU | ins::DC_CVAP => by_address(pe, env, operand, AccessKind::Clean),
        ins::DC_CIVAC => by_address(pe, env, operand, AccessKind::CleanInvalidate),
        ins::DC_ZVA => zero(pe, env, operand),
        ins::IC_IVAU => invalidate_code(pe, env, operand),
        _ => Ok(Flow::Undefined),
    };
    done.unwrap_or_else(Flow::Abort)
}

/// Returns what an instruction invalidates without looking at memory, and whether it does so for the
/// Inner Shareable domain.
///
/// CHOICE: by ASID means all that are not global, and a last-level form the whole walk: more than
/// asked for, as the architecture permits. Outer Shareable and range forms are not announced.
fn invalidation(id: SysRegId, operand: u64) -> Option<(Invalidation, bool)> {
    let address = Invalidation::Address(Va::new(registers::tlbi_address(operand)));
    Some(match id {
        ins::TLBI_VMALLE1 => (Invalidation::Translations, false),
        ins::TLBI_VMALLE1IS => (Invalidation::Translations, true),
        ins::TLBI_ASIDE1 => (Invalidation::NonGlobal, false),
        ins::TLBI_ASIDE1IS => (Invalidation::NonGlobal, true),
        ins::TLBI_VAE1 | ins::TLBI_VAAE1 | ins::TLBI_VALE1 | ins::TLBI_VAALE1 => (address, false),
        ins::TLBI_VAE1IS | ins::TLBI_VAAE1IS | ins::TLBI_VALE1IS | ins::TLBI_VAALE1IS => (address, true),
        ins::IC_IALLU => (Invalidation::Code, false),
        ins::IC_IALLUIS => (Invalidation::Code, true),
        _ => return None,
    })
}

/// The access of the current Exception level.
fn access(pe: &Pe<'_>, kind: AccessKind) -> Access {
    let privilege = if pe.state.mode.el == 0 { Privilege::Unprivileged } else { Privilege::Privileged };
    Access::new(kind, privilege).with_pan(pe.state.mode.pan)
}

/// DC by address: memory is always clean, so only the translation remains, which may fault.
fn by_address<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, va: u64, kind: AccessKind) -> Result<Flow, Abort> {
    let access = access(pe, kind);
    pe.translate(env, va, access)?;
    pe.watched(va & !63, 64, access)?;
    Ok(Flow::Next)
}

/// DC ZVA: zeroes the 64 bytes around an address. Its FAR is the address as it was given; on Device
/// memory it is an Alignment fault whatever the address. Arm ARM, DC ZVA.
fn zero<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, va: u64) -> Result<Flow, Abort> {
    let access = access(pe, AccessKind::Write).unaligned();
    let (found, offset) = pe.translate(env, va, access)?;
    pe.watched(va & !63, 64, access)?;
    let start = offset & !0x3f;
    for at in (start..start.saturating_add(64)).step_by(8) {
        found.page.store64(at, 0);
    }
    Ok(Flow::Next)
}

/// IC IVAU: decoded instructions of the page are dropped, for the Inner Shareable domain.
fn invalidate_code<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, va: u64) -> Result<Flow, Abort> {
    let access = access(pe, AccessKind::Clean);
    let (found, _) = pe.translate(env, va, access)?;
    let what = Invalidation::CodePage(found.absolute);
    pe.invalidate(what);
    pe.broadcast(what);
    Ok(Flow::Context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_reaches_what_it_names() {
        const OPERAND: u64 = 0x0012_0000_0040_1234;
        let page = Invalidation::Address(Va::new(0x4_0123_4000));
        let cases = [
            ("VMALLE1", ins::TLBI_VMALLE1, Some((Invalidation::Translations, false))),
            ("VMALLE1IS", ins::TLBI_VMALLE1IS, Some((Invalidation::Translations, true))),
            ("ASIDE1IS", ins::TLBI_ASIDE1IS, Some((Invalidation::NonGlobal, true))),
            ("VAE1", ins::TLBI_VAE1, Some((page, false))),
            ("VAALE1IS", ins::TLBI_VAALE1IS, Some((page, true))),
            ("IALLU", ins::IC_IALLU, Some((Invalidation::Code, false))),
            ("IALLUIS", ins::IC_IALLUIS, Some((Invalidation::Code, true))),
            ("VAE1OS is not announced", ins::TLBI_VAE1OS, None),
            ("RVAE1 is not announced", ins::TLBI_RVAE1, None),
            ("ALLE1 belongs to EL2", ins::TLBI_ALLE1, None),
        ];
        for (name, id, want) in cases {
            assert_eq!(invalidation(id, OPERAND), want, "{name}");
        }
    }
}
