//! Whether an instruction is allowed: questions to `arm_arch::trap`, asked with the registers of this
//! PE, and their answers kept for as long as those registers stay as they are.

use super::identification::MODEL;
use super::{gic, pstate};
use crate::state::{State, SysRegs};
use arm_arch::bits::index;
use arm_arch::exception::VirtualLines;
use arm_arch::feature::Features;
use arm_arch::iss::{Direction, SystemAccess, WaitKind};
use arm_arch::sysreg::{CntkctlEl1, CpacrEl1, HcrEl2, IchHcr, MdcrEl2, MdscrEl1, SctlrEl1, names};
use arm_arch::trap::{self, Controls, Decision};
use arm_arch::{ExceptionLevel, PState, SysRegId};

/// Accesses that are remembered as allowed; a power of two.
const REMEMBERED: usize = 64;

/// What follows from the registers of a PE, kept until they change. It holds no state of its own:
/// forgetting all of it changes nothing but time.
#[derive(Debug)]
pub(crate) struct Derived {
    /// What is announced.
    features: Features,
    /// The control registers that `allowed` is true for.
    controls: Controls,
    /// Accesses that are allowed: encoding, direction and level, plus one.
    allowed: [u32; REMEMBERED],
    /// The registers of the virtual CPU interface that the next two are true for.
    interface: Interface,
    lines: VirtualLines,
    /// `ICH_MISR_EL2` where the maintenance interrupt is due, else 0.
    maintenance: u64,
}

type Interface = ([u64; 4], [u64; 4]);

impl Derived {
    /// Derives what follows from the announced features; the rest comes when it is asked for.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            features: Features::of(MODEL),
            controls: Controls::default(),
            allowed: [0; REMEMBERED],
            interface: ([0; 4], [0; 4]),
            lines: VirtualLines::default(),
            maintenance: 0,
        }
    }

    /// Returns what is announced.
    #[cfg(test)]
    pub(super) const fn features(&self) -> &Features {
        &self.features
    }

    /// Decides about MSR, MRS, SYS, SYSL and MSR (immediate).
    pub(super) fn system_access(&mut self, state: &State, access: SystemAccess) -> Decision {
        let controls = controls(state);
        if controls != self.controls {
            self.controls = controls;
            self.allowed = [0; REMEMBERED];
        }
        let key = key(state, access);
        let slot = self.allowed.get_mut(index(u64::from(key)) % REMEMBERED);
        if slot.as_ref().is_some_and(|slot| **slot == key) {
            return Decision::Allowed;
        }
        let decision = trap::system_access(access, pstate::pstate(state), &controls, &self.features);
        // SP_EL0 depends on SPSel too.
        if let (Decision::Allowed, Some(slot), true) = (decision, slot, access.id != names::SP_EL0) {
            *slot = key;
        }
        decision
    }

    /// Returns the lines of the virtual CPU interface, and `ICH_MISR_EL2` where maintenance is due.
    pub(super) fn interface(&mut self, sys: &SysRegs) -> (VirtualLines, u64) {
        let registers = [sys.ich_hcr_el2, sys.ich_vmcr_el2, sys.ich_ap0r0_el2, sys.ich_ap1r0_el2];
        let interface = (registers, sys.ich_lr_el2);
        if interface != self.interface {
            let ich = gic::load(sys);
            self.lines = ich.lines();
            self.maintenance = if ich.is_maintenance_due() { ich.misr().into_bits() } else { 0 };
            self.interface = interface;
        }
        (self.lines, self.maintenance)
    }
}

/// An access as a number that is never 0.
fn key(state: &State, access: SystemAccess) -> u32 {
    let read = u32::from(access.direction == Direction::Read);
    let el1 = u32::from(pstate::el(state) != ExceptionLevel::El0);
    (u32::from(access.id.into_bits()) << 2 | read << 1 | el1).wrapping_add(1)
}

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

/// Whether a read of one of these registers at EL1, or where it says so a write, is not allowed.
pub(super) fn any_trapped(state: &State, registers: impl Iterator<Item = (SysRegId, bool)>) -> bool {
    let (controls, features) = (controls(state), Features::of(MODEL));
    let mut registers = registers;
    registers.any(|(id, written)| {
        let allowed = |direction| {
            let access = SystemAccess { id, rt: 0, direction };
            trap::system_access(access, PState::RESET_EL1, &controls, &features) == Decision::Allowed
        };
        !allowed(Direction::Read) || written && !allowed(Direction::Write)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const READ_ESR: SystemAccess = SystemAccess { id: names::ESR_EL1, rt: 0, direction: Direction::Read };

    #[test]
    fn a_remembered_access_is_forgotten_when_a_control_changes() {
        let mut derived = Derived::new();
        let mut state = State::reset();
        assert_eq!(derived.system_access(&state, READ_ESR), Decision::Allowed);
        assert_eq!(derived.system_access(&state, READ_ESR), Decision::Allowed);
        state.sys.hcr_el2 = 1 << 30;
        let trapped = derived.system_access(&state, READ_ESR);
        assert!(matches!(trapped, Decision::TrapEl2(_)), "TRVM");
        state.sys.hcr_el2 = 0;
        assert_eq!(derived.system_access(&state, READ_ESR), Decision::Allowed);
    }

    #[test]
    fn level_and_direction_are_told_apart() {
        let mut derived = Derived::new();
        let mut state = State::reset();
        assert_eq!(derived.system_access(&state, READ_ESR), Decision::Allowed);
        state.mode.el = 0;
        assert_eq!(derived.system_access(&state, READ_ESR), Decision::Undefined);
        state.mode.el = 1;
        let midr = SystemAccess { id: names::MIDR_EL1, ..READ_ESR };
        assert_eq!(derived.system_access(&state, midr), Decision::Allowed);
        let write = SystemAccess { direction: Direction::Write, ..midr };
        assert_eq!(derived.system_access(&state, write), Decision::Undefined);
    }

    #[test]
    fn sp_el0_is_not_remembered() {
        let mut derived = Derived::new();
        let mut state = State::reset();
        let sp_el0 = SystemAccess { id: names::SP_EL0, ..READ_ESR };
        assert_eq!(derived.system_access(&state, sp_el0), Decision::Allowed);
        state.mode.sp_elx = false;
        assert_eq!(derived.system_access(&state, sp_el0), Decision::Undefined);
    }

    #[test]
    fn the_interface_follows_its_registers() {
        let mut derived = Derived::new();
        let mut state = State::reset();
        assert_eq!(derived.interface(&state.sys), (VirtualLines::default(), 0));
        state.sys.ich_hcr_el2 = 3;
        state.sys.ich_vmcr_el2 = 0xf04c_000a;
        assert_eq!(derived.interface(&state.sys), (VirtualLines::default(), 2));
        state.sys.ich_lr_el2[3] = 0x50a0_0000_0000_001b;
        assert!(derived.interface(&state.sys).0.irq);
    }
}
