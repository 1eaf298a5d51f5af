//! The evaluator: reads the rule of an access in the manual's order. Arm ARM, "Accessing" of each register.

use super::{
    Controls, Decision, Extensions, Gate, Nested, Outcome, Rule, Trap, TrapEl3, Unit, active_traps, hosted,
    nested, rule_of, rule_of_pair, vncr_offset, without_alias,
};
use crate::el::{ExceptionLevel, StackPointer};
use crate::feature::{Feature, Features};
use crate::iss::{Direction, Other, Syndrome, SystemAccess, SystemAccess128};
use crate::pstate::PState;
use crate::sysreg::{CnthctlEl2, HcrEl2, IccSre, SysRegId, names};

/// What all steps of a decision look at.
#[derive(Clone, Copy)]
struct Asked<'a> {
    access: SystemAccess,
    /// It is MRRS, MSRR or SYSP.
    is_pair: bool,
    el: ExceptionLevel,
    stack_pointer: StackPointer,
    controls: &'a Controls,
    ext: &'a Extensions,
    features: &'a Features,
}

/// Decides about MSR (register), MRS, SYS or SYSL at EL1 or EL0, without nested virtualization and EL3; also about MSR
/// (immediate), whose `id` has op0 = 0 and CRn = 4 and whose `rt` is 31. Arm ARM, "Accessing" of each register.
///
/// The order is the manual's: not there or not at this level, then what EL1 configured, then what EL2 configured.
pub fn system_access(
    access: SystemAccess,
    pstate: PState,
    controls: &Controls,
    features: &Features,
) -> Decision {
    let ext = &Extensions::NEUTRAL;
    let (el, stack_pointer) = (pstate.el(), pstate.stack_pointer());
    let asked = Asked { access, is_pair: false, el, stack_pointer, controls, ext, features };
    match asked.refusal(access.id) {
        Some(outcome) => outcome.into(),
        None => Decision::Allowed,
    }
}

/// Decides about MSR, MRS, SYS, SYSL or MSR (immediate) at any level, and says what a permitted one reaches: under
/// nested virtualization memory or a register of EL1, at an EL2 with E2H that of EL2 for the name of EL1, and the
/// reverse for `_EL12` and `_EL02`.
///
/// The order is the manual's: UNDEFINED; MPAM3_EL3.TRAPLOWER; what EL1 configured; the coarse and the fine-grained
/// traps of EL2; those of EL3; the units (FP, SVE, SME) of EL1, EL2 and EL3. Arm ARM, "Accessing" of each register.
pub fn access(
    access: SystemAccess,
    pstate: PState,
    controls: &Controls,
    ext: &Extensions,
    features: &Features,
) -> Outcome {
    let (el, stack_pointer) = (pstate.el(), pstate.stack_pointer());
    Asked { access, is_pair: false, el, stack_pointer, controls, ext, features }.outcome()
}

/// Decides about MRRS, MSRR or SYSP (TLBIP) at any level, as [`access`] does about the 64-bit forms: the same controls
/// in the same order, with HCRX_EL2.D128En and SCR_EL3.D128En for registers, and EC 0x14. FEAT_D128; of IMPLEMENTATION
/// DEFINED registers FEAT_SYSREG128 and FEAT_SYSINSTR128. Arm ARM, "Accessing" of TTBR0_EL1, PAR_EL1, RCWMASK_EL1 and
/// the others; TLBIP; S3_\<op1\>_\<Cn\>_\<Cm\>_\<op2\>.
pub fn access_128(
    access: SystemAccess128,
    pstate: PState,
    controls: &Controls,
    ext: &Extensions,
    features: &Features,
) -> Outcome {
    let access = SystemAccess { id: access.id(), rt: access.first_register(), direction: access.direction() };
    let (el, stack_pointer) = (pstate.el(), pstate.stack_pointer());
    Asked { access, is_pair: true, el, stack_pointer, controls, ext, features }.outcome()
}

impl Asked<'_> {
    fn outcome(&self) -> Outcome {
        match self.el {
            ExceptionLevel::El0 | ExceptionLevel::El1 => self.as_guest(),
            ExceptionLevel::El2 | ExceptionLevel::El3 => self.as_host(),
        }
    }

    const fn trapped(&self) -> Syndrome {
        let SystemAccess { id, rt, direction } = self.access;
        if self.is_pair {
            Syndrome::Other(Other::SystemAccess128(SystemAccess128::of(id, rt, direction)))
        } else {
            Syndrome::SystemAccess(self.access)
        }
    }

    fn rule_of(&self, id: SysRegId) -> Option<Rule> {
        if self.is_pair { rule_of_pair(id) } else { rule_of(id, self.features) }
    }

    /// EL1 and EL0: what nested virtualization says, then the rule.
    fn as_guest(&self) -> Outcome {
        let id = self.access.id;
        let how = if self.el == ExceptionLevel::El1 { self.nested(id) } else { Nested::Direct };
        match how {
            Nested::Direct => self.refusal(id).unwrap_or(Outcome::Register(id)),
            // A name of EL1, whose traps come first.
            Nested::Memory(offset) if !matches!(id.op1(), 4 | 5) => {
                self.refusal(id).unwrap_or(Outcome::Memory(offset))
            }
            Nested::Memory(offset) => {
                let trap = self.is_trapped_timer(id).then_some(Outcome::TrapEl2(self.trapped()));
                self.absence_at_el2(id).or(trap).unwrap_or(Outcome::Memory(offset))
            }
            // ATA is asked in the name of the register that is reached. Arm ARM, TFSR_EL2.
            Nested::Register(plain) if plain == names::TFSR_EL1 => {
                self.refusal(plain).unwrap_or(Outcome::Register(plain))
            }
            Nested::Register(plain) => self.absence_at_el2(id).unwrap_or(Outcome::Register(plain)),
            Nested::Trap => self.absence_at_el2(id).unwrap_or(Outcome::TrapEl2(self.trapped())),
        }
    }

    /// HCR_EL2 with the fields of nested virtualization that the features have.
    fn nested_hcr(&self) -> HcrEl2 {
        let nv = self.controls.hcr.nv() && self.features.has(Feature::NV);
        let nv2 = nv && self.controls.hcr.nv2() && self.features.has(Feature::NV2);
        self.controls.hcr.with_nv(nv).with_nv2(nv2)
    }

    /// What nested virtualization makes of an access. Where no management event of a buffer can be an exception for EL1,
    /// PMBSR_EL1 is kept in memory whatever NV1 is, and TRBSR_EL1 never. Arm ARM, PMBSR_EL1, TRBSR_EL1.
    fn nested(&self, id: SysRegId) -> Nested {
        let hcr = self.nested_hcr();
        let memory = || vncr_offset(id).map_or(Nested::Direct, Nested::Memory);
        match id {
            names::PMBSR_EL1 if hcr.nv2() && !self.ext.buffer_exceptions(self.features).spe_of_el1 => {
                memory()
            }
            names::TRBSR_EL1 if !self.ext.buffer_exceptions(self.features).trbe_of_el1 => Nested::Direct,
            _ => nested(id, hcr),
        }
    }

    /// The register that a name of EL1 reaches at an EL2 with E2H. Those of PMBSR_EL1 and TRBSR_EL1 depend on whether
    /// management events may be exceptions. Arm ARM, PMBSR_EL1, TRBSR_EL1.
    fn hosted(&self, id: SysRegId) -> SysRegId {
        let own = match id {
            names::PMBSR_EL1 => !self.ext.buffer_exceptions(self.features).spe,
            names::TRBSR_EL1 => !self.ext.buffer_exceptions(self.features).trbe,
            _ => false,
        };
        if own { id } else { hosted(id) }
    }

    /// CNTHCTL_EL2.EL1NVPCT and EL1NVVCT keep the guest's timers out of memory. FEAT_ECV.
    fn is_trapped_timer(&self, id: SysRegId) -> bool {
        let cnthctl = CnthctlEl2::from_bits(self.controls.cnthctl);
        match id {
            names::CNTP_CTL_EL02 | names::CNTP_CVAL_EL02 => cnthctl.el1nvpct(),
            names::CNTV_CTL_EL02 | names::CNTV_CVAL_EL02 => cnthctl.el1nvvct(),
            _ => false,
        }
    }

    /// A name that a guest hypervisor uses: UNDEFINED if EL2 does not have it, and EL3 may be asked before EL2.
    fn absence_at_el2(&self, id: SysRegId) -> Option<Outcome> {
        let plain = without_alias(id).unwrap_or(id);
        let Some(rule) = self.rule_of(plain) else { return Some(Outcome::Undefined) };
        let there = rule.needs.are_met(self.features)
            && self.has_alias(id)
            && rule.permits(self.access.direction, ExceptionLevel::El2)
            && !matches!(id, names::VSTTBR_EL2 | names::VSTCR_EL2);
        if !there {
            return Some(Outcome::Undefined);
        }
        let first = rule.el3_traps.intersection(TrapEl3::TRAPLOWER);
        self.el3_trap(first)
    }

    /// Whether the features of an `_EL12` or `_EL02` name are there, which may be more than those of what it stands for:
    /// PMBSR_EL12 came with FEAT_SPE_EXC. True of other names.
    fn has_alias(&self, id: SysRegId) -> bool {
        match id {
            names::PMBSR_EL12 => self.features.has(Feature::SPE_EXC),
            names::TRBSR_EL12 => self.features.has(Feature::TRBE_EXC),
            _ => true,
        }
    }

    /// EL2 and EL3: what is there, what EL3 says, and the units.
    fn as_host(&self) -> Outcome {
        let id = self.access.id;
        let e2h = self.controls.hcr.e2h();
        let plain = without_alias(id);
        if plain.is_some() && !(e2h && self.has_alias(id)) {
            return Outcome::Undefined;
        }
        let Some(rule) = self.rule_of(plain.unwrap_or(id)) else { return self.unallocated() };
        let read_only = self.access.direction == Direction::Write && self.is_for_higher_level(id);
        if !rule.needs.are_met(self.features)
            || !rule.permits(self.access.direction, self.el)
            || read_only
            || self.el == ExceptionLevel::El2 && is_secure(id)
            || self.is_selected_stack_pointer(id)
            || self.is_beyond(id)
        {
            return Outcome::Undefined;
        }
        let at_el2 = self.el == ExceptionLevel::El2;
        if at_el2 && self.is_closed_to_el2(rule.gate) {
            return Outcome::TrapEl2(self.trapped());
        }
        let reached = match plain {
            Some(plain) => plain,
            None if at_el2 && e2h => self.hosted(id),
            None => id,
        };
        // EL3 is subject to CPTR_EL3 itself.
        let own = if at_el2 { TrapEl3::all() } else { TrapEl3::ESM.union(TrapEl3::TTA) };
        let trap = self.el3_trap(rule.el3_traps.intersection(own));
        trap.or_else(|| self.unit(rule.gate)).unwrap_or(Outcome::Register(reached))
    }

    /// What EL2 is subject to itself: ICC_SRE_EL2.SRE and CPTR_EL2.TTA.
    fn is_closed_to_el2(&self, gate: Gate) -> bool {
        let traces = active_traps(self.controls, self.ext, self.access.direction).contains(Trap::TTA);
        gate == Gate::Sre && !IccSre::from_bits(self.controls.icc_sre_el2).sre()
            || gate == Gate::Trace && traces
    }

    /// Returns why EL1 or EL0 does not get what `id` names, in the order of the manual; `None` if it does.
    fn refusal(&self, id: SysRegId) -> Option<Outcome> {
        let direction = self.access.direction;
        let Some(rule) = self.rule_of(id) else { return Some(self.unallocated()) };
        if !rule.needs.are_met(self.features) {
            return Some(Outcome::Undefined);
        }
        if !rule.permits(direction, self.el) {
            return Some(self.below());
        }
        if self.is_selected_stack_pointer(id) || self.is_beyond(id) {
            return Some(Outcome::Undefined);
        }
        if let Some(outcome) = self.el3_trap(rule.el3_traps.intersection(TrapEl3::TRAPLOWER)) {
            return Some(outcome);
        }
        let trapped = self.trapped();
        if self.el == ExceptionLevel::El0 && !self.controls.opens(rule.gate, direction, self.ext) {
            return Some(self.controls.el1_trap(trapped));
        }
        let is_off = rule.gate == Gate::Sre && !IccSre::from_bits(self.ext.icc_sre_el1).sre();
        if is_off || rule.gate == Gate::Trace && self.controls.cpacr.tta() {
            return Some(Outcome::TrapEl1(trapped));
        }
        if self.controls.traps(self.ext, rule.traps, direction, self.el) || self.is_fine_trapped(id) {
            return Some(Outcome::TrapEl2(trapped));
        }
        // Counters that EL2 keeps. CHOICE: without FEAT_FGT, where it is CONSTRAINED UNPREDICTABLE, UNDEFINED.
        if rule.traps.contains(Trap::HPMN) && counter(id) >= self.controls.mdcr.hpmn() && self.has_hpmn() {
            let fgt = self.features.has(Feature::FGT);
            return Some(if fgt { Outcome::TrapEl2(trapped) } else { Outcome::Undefined });
        }
        self.el3_trap(rule.el3_traps).or_else(|| self.unit(rule.gate))
    }

    /// Whether MDCR_EL2.HPMN counts: there is an EL2 that uses performance monitors. CHOICE: a value of 0 without
    /// FEAT_HPMN0, which is reserved, takes nothing away.
    fn has_hpmn(&self) -> bool {
        self.controls.mdcr.hpmn() != 0 || self.features.has(Feature::HPMN0)
    }

    fn is_fine_trapped(&self, id: SysRegId) -> bool {
        let hosted = self.controls.is_host() && self.el == ExceptionLevel::El0;
        !hosted && self.ext.fine(self.features).traps(id, self.access.direction, self.ext.hcrx())
    }

    fn el3_trap(&self, traps: TrapEl3) -> Option<Outcome> {
        if traps.is_empty() {
            return None;
        }
        let active = self.ext.el3.as_ref()?.active_traps(self.controls, self.el);
        active.intersects(traps).then_some(Outcome::TrapEl3(self.trapped()))
    }

    /// The unit that a register belongs to.
    fn unit(&self, gate: Gate) -> Option<Outcome> {
        let unit = if !gate.is_unit() {
            return None;
        } else if gate == Gate::Sve {
            Unit::Sve
        } else if gate == Gate::Sme {
            Unit::Sme
        } else {
            Unit::Fp
        };
        unit.check(self.el, self.controls, self.ext)
    }

    /// The stack pointer in use has no other name. Arm ARM, SP_EL0.
    fn is_selected_stack_pointer(&self, id: SysRegId) -> bool {
        id == names::SP_EL0 && self.stack_pointer == StackPointer::SpEl0
    }

    /// Event counters and active-priority registers beyond those implemented. Arm ARM, PMEVCNTR<n>_EL0; GIC,
    /// ICC_AP0R<n>_EL1.
    fn is_beyond(&self, id: SysRegId) -> bool {
        let is_priorities = id.op0() == 3 && id.op1() == 0 && id.crn() == 12;
        let first = match (id.crm(), id.op2()) {
            (8, n @ 4..=7) => n & 3,
            (9, n @ 0..=3) => n,
            _ => 0,
        };
        // One register for 5 bits of preemption, two for 6, four for 7.
        let wanted = match first {
            0 => 5,
            1 => 6,
            _ => 7,
        };
        is_priorities && wanted > self.ext.preemption_bits
            || is_event_counter(id) && counter(id) >= self.ext.counters
    }

    /// Registers that only the highest level writes, and that this level is not. Arm ARM, CNTFRQ_EL0, AMCR_EL0.
    fn is_for_higher_level(&self, id: SysRegId) -> bool {
        let is_monitor = (id.op0(), id.op1(), id.crn()) == (3, 3, 13) && id.crm() >= 2;
        let is_one = id == names::CNTFRQ_EL0 || is_monitor && id != names::AMUSERENR_EL0;
        is_one && self.el == ExceptionLevel::El2 && self.ext.el3.is_some()
    }

    /// An encoding without a rule: IMPLEMENTATION DEFINED ones may be trapped by HCR_EL2.TIDCP, and from EL0 by
    /// SCTLR_EL1.TIDCP (FEAT_TIDCP1), 128-bit accesses to them also by EnIDCP128 of each level; the rest is UNDEFINED.
    /// CHOICE: there are no IMPLEMENTATION DEFINED registers.
    fn unallocated(&self) -> Outcome {
        if !is_implementation_defined(self.access.id) || self.is_pair && !self.has_pairs() {
            return Outcome::Undefined;
        }
        let controls = self.controls;
        let at_el0 = self.el == ExceptionLevel::El0;
        let host = at_el0 && controls.is_host();
        let sctlr = if host { self.ext.sctlr_el2 } else { controls.sctlr };
        let by_el1 = at_el0
            && (self.features.has(Feature::TIDCP1) && sctlr.tidcp()
                || self.is_pair && !self.ext.opens_implementation_defined(self.features, host));
        let by_el2 = self.el <= ExceptionLevel::El1
            && !host
            && (!at_el0 && controls.hcr.tidcp() || self.is_pair && !self.ext.hcrx().enidcp128());
        let by_el3 = self.el <= ExceptionLevel::El2
            && self.is_pair
            && self.ext.el3.is_some_and(|el3| !el3.scr().enidcp128());
        if by_el1 {
            controls.el1_trap(self.trapped())
        } else if by_el2 {
            Outcome::TrapEl2(self.trapped())
        } else if by_el3 {
            Outcome::TrapEl3(self.trapped())
        } else {
            Outcome::Undefined
        }
    }

    /// Whether 128-bit forms are implemented: of registers, of instructions.
    fn has_pairs(&self) -> bool {
        let feature = if self.access.id.op0() == 1 { Feature::SYSINSTR128 } else { Feature::SYSREG128 };
        self.features.has(Feature::D128) || self.features.has(feature)
    }

    /// An access that the register does not have at this level. With FEAT_IDST a read of the ID space at EL0 is told
    /// apart from an UNDEFINED instruction.
    fn below(&self) -> Outcome {
        let read_at_el0 = self.el == ExceptionLevel::El0 && self.access.direction == Direction::Read;
        let id = self.access.id;
        let id_group = id.op0() == 3 && matches!(id.op1(), 0 | 1 | 3) && id.crn() == 0 && id.crm() <= 7;
        if read_at_el0 && id_group && self.features.has(Feature::IDST) {
            self.controls.el1_trap(self.trapped())
        } else {
            Outcome::Undefined
        }
    }
}

/// PMEVCNTR<n>_EL0 and PMEVTYPER<n>_EL0; the row after the last is PMCCFILTR_EL0.
const fn is_event_counter(id: SysRegId) -> bool {
    id.op0() == 3 && id.op1() == 3 && id.crn() == 14 && id.crm() >= 8 && counter(id) < 31
}

/// The number of an event counter. Arm ARM, PMEVCNTR<n>_EL0: CRm\[1:0\] and op2.
const fn counter(id: SysRegId) -> u8 {
    (id.crm() & 3) << 3 | id.op2()
}

/// Registers of EL2 that are there in Secure state only. FEAT_SEL2.
const fn is_secure(id: SysRegId) -> bool {
    matches!(
        id,
        names::VSTTBR_EL2
            | names::VSTCR_EL2
            | names::SDER32_EL2
            | names::CNTHPS_CTL_EL2
            | names::CNTHPS_CVAL_EL2
            | names::CNTHPS_TVAL_EL2
            | names::CNTHVS_CTL_EL2
            | names::CNTHVS_CVAL_EL2
            | names::CNTHVS_TVAL_EL2
    )
}

/// Whether an encoding is reserved for IMPLEMENTATION DEFINED use: `S3_<op1>_C11` and `C15`, `SYS` with CRn 11 or 15.
/// Arm ARM, S3_\<op1\>_\<Cn\>_\<Cm\>_\<op2\>.
#[must_use]
pub const fn is_implementation_defined(id: SysRegId) -> bool {
    matches!(id.op0(), 1 | 3) && matches!(id.crn(), 11 | 15)
}
