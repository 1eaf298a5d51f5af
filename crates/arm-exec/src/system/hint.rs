//! Hints and barriers.

use super::{gate, interrupt, refuse};
use crate::flow::{Flow, Host};
use crate::pe::Pe;
use crate::ram;
use arm_arch::SysRegId;
use arm_arch::iss::WaitKind;

/// HINT #imm: CRm and op2 are the number; one that is not allocated, or whose extension is not
/// announced, does nothing. Arm ARM, HINT.
pub(super) fn hint<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, id: SysRegId) -> Flow {
    match (id.crm(), id.op2()) {
        (0, 1) => env.relax(),
        (0, 2) => return wait_for_event(pe, env),
        (0, 3) => return wait_for_interrupt(pe),
        (0, 4) => pe.send_event(),
        (0, 5) => pe.state.event = true,
        // NOP; DGH; pointer authentication, ESB, PSB, TSB, CSDB, BTI: nothing to do here.
        _ => {}
    }
    Flow::Next
}

/// WFI: where it would wait it may trap; otherwise it completes at once, as it may.
fn wait_for_interrupt(pe: &mut Pe<'_>) -> Flow {
    if interrupt::wfi_waits(&pe.state, &mut pe.derived) { waited(pe, WaitKind::Wfi) } else { Flow::Next }
}

/// WFE: with the event register set it clears it and goes on.
fn wait_for_event<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>) -> Flow {
    if core::mem::take(&mut pe.state.event) || interrupt::is_deliverable(&pe.state, &mut pe.derived) {
        return Flow::Next;
    }
    let flow = waited(pe, WaitKind::Wfe);
    if matches!(flow, Flow::Next) {
        env.relax();
    }
    flow
}

/// An instruction that would wait: it traps or, as the architecture permits, completes at once.
fn waited(pe: &Pe<'_>, kind: WaitKind) -> Flow {
    refuse(gate::wait(&pe.state, kind))
}

/// CLREX, DSB, DMB, ISB. SB, DSB nXS and TCOMMIT are not announced. Arm ARM, "Barriers".
pub(super) fn barrier<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, id: SysRegId) -> Flow {
    match id.op2() {
        2 => pe.state.monitor.open = false,
        // SSBB and PSSBB are among these.
        4 => {
            ram::full_fence();
            if pe.complete(env) {
                return Flow::Context;
            }
        }
        5 => ram::full_fence(),
        // Whatever changes the context of instructions has ended its block by itself.
        6 => {}
        _ => return Flow::Undefined,
    }
    Flow::Next
}
