//! Why an exception is taken, and what it reports. Arm ARM, AArch64.TakeException; the class of each is of ESR_EL1.EC.

use crate::el::ExceptionLevel;
use crate::esr::{EsrEl, ExceptionClass};
use crate::fault::DEBUG_STATUS;
use crate::iss::{DataAbort, Immediate, InstructionAbort, Origin, SError, Step, Syndrome, SystemAccess};
use crate::iss::{FpAccess, Pmu, VsesrEl2, Watchpoint, Wfx};

/// The four kinds of exception, each with its own vector. Arm ARM, AArch64.TakeException, vect_offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Synchronous.
    Sync,
    /// IRQ or virtual IRQ.
    Irq,
    /// FIQ or virtual FIQ.
    Fiq,
    /// SError or virtual SError.
    SError,
}

/// An exception about to be taken. Arm ARM, "Exception entry".
///
/// The constructors choose class and return address by the manual's rules; what they take as `pc` is the address of
/// the instruction, as `next_pc` that of the one after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cause {
    /// Which vector.
    pub kind: Kind,
    /// What ESR is to hold; `None` leaves it as it is, as an interrupt does.
    pub syndrome: Option<EsrEl>,
    /// What FAR is to hold; `None` leaves it as it is.
    pub far: Option<u64>,
    /// The preferred return address, for ELR. Arm ARM, AArch64.TakeException.
    pub preferred_return: u64,
}

impl Cause {
    /// A synchronous exception that leaves FAR as it is. Arm ARM, "Exception entry".
    #[must_use]
    pub const fn sync(syndrome: Syndrome, preferred_return: u64) -> Self {
        Self::of_class(syndrome.encode(), None, preferred_return)
    }

    const fn of_class(esr: EsrEl, far: Option<u64>, preferred_return: u64) -> Self {
        Self { kind: Kind::Sync, syndrome: Some(esr), far, preferred_return }
    }

    /// An UNDEFINED instruction, or any for which EC is 0. Arm ARM, AArch64.Undefined.
    #[must_use]
    pub const fn undefined(pc: u64) -> Self {
        Self::of_class(EsrEl::of(ExceptionClass::UNKNOWN, 0), None, pc)
    }

    /// SVC, which returns behind itself. What it saves is [`calling`](crate::PState::calling). Arm ARM, AArch64.CallSupervisor.
    #[must_use]
    pub const fn svc(imm16: u16, next_pc: u64) -> Self {
        Self::sync(Syndrome::Svc(Immediate::new().with_imm16(imm16)), next_pc)
    }

    /// HVC, which returns behind itself. What it saves is [`calling`](crate::PState::calling). Arm ARM, AArch64.CallHypervisor.
    #[must_use]
    pub const fn hvc(imm16: u16, next_pc: u64) -> Self {
        Self::sync(Syndrome::Hvc(Immediate::new().with_imm16(imm16)), next_pc)
    }

    /// SMC that EL3 takes, which returns behind itself. What it saves is [`calling`](crate::PState::calling). Arm ARM,
    /// AArch64.CallSecureMonitor.
    #[must_use]
    pub const fn smc(imm16: u16, next_pc: u64) -> Self {
        Self::sync(Syndrome::Smc(Immediate::new().with_imm16(imm16)), next_pc)
    }

    /// SMC that EL2 traps, which returns to itself. Arm ARM, AArch64.CheckForSMCUndefOrTrap.
    #[must_use]
    pub const fn trapped_smc(imm16: u16, pc: u64) -> Self {
        Self::sync(Syndrome::Smc(Immediate::new().with_imm16(imm16)), pc)
    }

    /// BRK, which returns to itself. Arm ARM, AArch64.SoftwareBreakpoint.
    #[must_use]
    pub const fn brk(imm16: u16, pc: u64) -> Self {
        Self::sync(Syndrome::Brk(Immediate::new().with_imm16(imm16)), pc)
    }

    /// A trapped system register access or system instruction. Arm ARM, AArch64.SystemAccessTrap.
    #[must_use]
    pub const fn system_access(access: SystemAccess, pc: u64) -> Self {
        Self::sync(Syndrome::SystemAccess(access), pc)
    }

    /// A trapped WFI, WFE, WFIT or WFET. Arm ARM, AArch64.WFxTrap.
    #[must_use]
    pub const fn wfx(iss: Wfx, pc: u64) -> Self {
        Self::sync(Syndrome::Wfx(iss), pc)
    }

    /// A disabled access to floating point or SIMD. Arm ARM, AArch64.AdvSIMDFPAccessTrap.
    #[must_use]
    pub const fn fp_access(pc: u64) -> Self {
        Self::sync(Syndrome::FpAccess(FpAccess::A64), pc)
    }

    /// An instruction executed with PSTATE.IL set. Arm ARM, AArch64.CheckIllegalState.
    #[must_use]
    pub const fn illegal_state(pc: u64) -> Self {
        Self::of_class(EsrEl::of(ExceptionClass::ILLEGAL_STATE, 0), None, pc)
    }

    /// A fetch from an address that is no multiple of 4, which FAR reports. Arm ARM, AArch64.PCAlignmentFault.
    #[must_use]
    pub const fn pc_alignment(pc: u64) -> Self {
        Self::of_class(EsrEl::of(ExceptionClass::PC_ALIGNMENT, 0), Some(pc), pc)
    }

    /// A load or store by an SP that is no multiple of 16. Arm ARM, AArch64.SPAlignmentFault.
    #[must_use]
    pub const fn sp_alignment(pc: u64) -> Self {
        Self::of_class(EsrEl::of(ExceptionClass::SP_ALIGNMENT, 0), None, pc)
    }

    /// A data abort at address `far`; an ISS with FnV leaves FAR as it is. Arm ARM, AArch64.DataAbort.
    #[must_use]
    pub const fn data_abort(origin: Origin, iss: DataAbort, far: u64, pc: u64) -> Self {
        let far = if iss.fnv() { None } else { Some(far) };
        Self::of_class(Syndrome::DataAbort(origin, iss).encode(), far, pc)
    }

    /// An instruction abort at address `far`; an ISS with FnV leaves FAR as it is. Arm ARM, AArch64.InstructionAbort.
    #[must_use]
    pub const fn instruction_abort(origin: Origin, iss: InstructionAbort, far: u64, pc: u64) -> Self {
        let far = if iss.fnv() { None } else { Some(far) };
        Self::of_class(Syndrome::InstructionAbort(origin, iss).encode(), far, pc)
    }

    /// A software step, before the instruction at `pc`. Arm ARM, AArch64.SoftwareStepException.
    #[must_use]
    pub const fn step(origin: Origin, iss: Step, pc: u64) -> Self {
        Self::sync(Syndrome::Step(origin, iss), pc)
    }

    /// An IRQ before the instruction at `pc`. Arm ARM, AArch64.TakePhysicalIRQException.
    #[must_use]
    pub const fn irq(pc: u64) -> Self {
        Self { kind: Kind::Irq, syndrome: None, far: None, preferred_return: pc }
    }

    /// An FIQ before the instruction at `pc`. Arm ARM, AArch64.TakePhysicalFIQException.
    #[must_use]
    pub const fn fiq(pc: u64) -> Self {
        Self { kind: Kind::Fiq, syndrome: None, far: None, preferred_return: pc }
    }

    /// An SError before the instruction at `pc`. Arm ARM, AArch64.TakePhysicalSErrorException.
    #[must_use]
    pub const fn serror(iss: SError, pc: u64) -> Self {
        Self {
            kind: Kind::SError,
            syndrome: Some(Syndrome::SError(iss).encode()),
            far: None,
            preferred_return: pc,
        }
    }

    /// A virtual SError: it reports VSESR_EL2 where there is FEAT_RAS, else an IMPLEMENTATION DEFINED syndrome, here
    /// IDS alone (CHOICE). Taking it clears HCR_EL2.VSE. Arm ARM, AArch64.TakeVirtualSErrorException.
    #[must_use]
    pub const fn virtual_serror(vsesr: Option<VsesrEl2>, pc: u64) -> Self {
        let iss = match vsesr {
            Some(vsesr) => vsesr.error(),
            None => SError::new().with_ids(true),
        };
        Self::serror(iss, pc)
    }

    /// Returns this cause with the SError vector, if it is a synchronous external abort: where SCTLR2_ELx.EASE or
    /// SCR_EL3.EASE of the target is 1. FEAT_DoubleFault, FEAT_DoubleFault2. Arm ARM, AArch64.AbortSyndrome and
    /// AArch64.TakeException.
    #[must_use]
    pub const fn at_serror_vector(self) -> Self {
        let Some(esr) = self.syndrome else { return self };
        let status = match (self.kind, Syndrome::decode(esr)) {
            (Kind::Sync, Syndrome::DataAbort(_, iss)) => iss.status(),
            (Kind::Sync, Syndrome::InstructionAbort(_, iss)) => iss.status(),
            _ => None,
        };
        match status {
            Some(status) if status.is_external() => Self { kind: Kind::SError, ..self },
            Some(_) | None => self,
        }
    }

    /// A PMU Profiling exception before the instruction at `pc`, which has the vector of synchronous ones even where it
    /// is not. FEAT_EBEP. Arm ARM, TakeProfilingException.
    #[must_use]
    pub const fn profiling(iss: Pmu, pc: u64) -> Self {
        Self::sync(Syndrome::Other(crate::iss::Other::Pmu(iss)), pc)
    }

    /// A breakpoint, before the instruction at `pc`. Arm ARM, AArch64.BreakpointException.
    #[must_use]
    pub const fn breakpoint(origin: Origin, pc: u64) -> Self {
        Self::sync(Syndrome::Breakpoint(origin, crate::bits::trunc32(crate::bits::zext8(DEBUG_STATUS))), pc)
    }

    /// A watchpoint; `far` is the first byte that it watches of the access. Arm ARM, AArch64.WatchpointException.
    #[must_use]
    pub const fn watchpoint(origin: Origin, iss: Watchpoint, far: u64, pc: u64) -> Self {
        Self::of_class(Syndrome::Watchpoint(origin, iss.with_dfsc(DEBUG_STATUS)).encode(), Some(far), pc)
    }

    /// A synchronous external abort on a data access: what a hypervisor injects for an address where nothing
    /// answers. `iss` gives WnR and CM of the access; status, ISV and S1PTW are set here. Arm ARM, AArch64.DataAbort.
    #[must_use]
    pub fn external_data_abort(
        from: ExceptionLevel,
        target: ExceptionLevel,
        iss: DataAbort,
        far: u64,
        pc: u64,
    ) -> Self {
        let kept = DataAbort::new().with_wnr(iss.wnr()).with_cm(iss.cm());
        let iss = kept.with_status(crate::fault::FaultStatus::External);
        Self::data_abort(Origin::of(from, target), iss, far, pc)
    }

    /// A synchronous external abort on an instruction fetch. Arm ARM, AArch64.InstructionAbort.
    #[must_use]
    pub fn external_instruction_abort(
        from: ExceptionLevel,
        target: ExceptionLevel,
        far: u64,
        pc: u64,
    ) -> Self {
        let iss = InstructionAbort::new().with_status(crate::fault::FaultStatus::External);
        Self::instruction_abort(Origin::of(from, target), iss, far, pc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_the_manuals_syndrome_and_return_address() {
        let el0 = ExceptionLevel::El0;
        let el1 = ExceptionLevel::El1;
        let cases: &[(&str, Cause, u64, Option<u64>, u64)] = &[
            ("undefined", Cause::undefined(0x1000), 0x0200_0000, None, 0x1000),
            ("svc #7", Cause::svc(7, 0x1004), 0x5600_0007, None, 0x1004),
            ("hvc #0", Cause::hvc(0, 0x1004), 0x5a00_0000, None, 0x1004),
            ("smc #2", Cause::smc(2, 0x1004), 0x5e00_0002, None, 0x1004),
            ("trapped smc #1", Cause::trapped_smc(1, 0x1000), 0x5e00_0001, None, 0x1000),
            ("brk #0x800", Cause::brk(0x800, 0x1000), 0xf200_0800, None, 0x1000),
            ("illegal state", Cause::illegal_state(0x1000), 0x3a00_0000, None, 0x1000),
            ("PC alignment", Cause::pc_alignment(0x1002), 0x8a00_0000, Some(0x1002), 0x1002),
            ("SP alignment", Cause::sp_alignment(0x1000), 0x9a00_0000, None, 0x1000),
            ("floating point disabled", Cause::fp_access(0x1000), 0x1fe0_0000, None, 0x1000),
            (
                "external abort of a write from EL0",
                Cause::external_data_abort(el0, el1, DataAbort::from_bits(0x0182_0047), 0xdead_0000, 0x1000),
                0x9200_0050,
                Some(0xdead_0000),
                0x1000,
            ),
            (
                "external abort of a fetch at EL1",
                Cause::external_instruction_abort(el1, el1, 0x1000, 0x1000),
                0x8600_0010,
                Some(0x1000),
                0x1000,
            ),
            (
                "external abort without an address",
                Cause::data_abort(Origin::Same, DataAbort::from_bits(0x410), 0xdead_0000, 0x1000),
                0x9600_0410,
                None,
                0x1000,
            ),
            (
                "external abort of a fetch without an address",
                Cause::instruction_abort(
                    Origin::Lower,
                    InstructionAbort::from_bits(0x410),
                    0xdead_0000,
                    0x1000,
                ),
                0x8200_0410,
                None,
                0x1000,
            ),
            (
                "external abort of cache maintenance at EL1",
                Cause::external_data_abort(el1, el1, DataAbort::from_bits(0x0182_01c7), 0xdead_0000, 0x1000),
                0x9600_0150,
                Some(0xdead_0000),
                0x1000,
            ),
            (
                "step at EL0",
                Cause::step(Origin::Lower, Step::from_bits(0x22), 0x1004),
                0xca00_0022,
                None,
                0x1004,
            ),
            (
                "step at the same level, of a load exclusive",
                Cause::step(Origin::Same, Step::from_bits(0x100_0062), 0x1004),
                0xcf00_0062,
                None,
                0x1004,
            ),
            ("SError", Cause::serror(SError::from_bits(1 << 24), 0x1000), 0xbf00_0000, None, 0x1000),
        ];
        for (name, cause, esr, far, elr) in cases {
            assert_eq!(cause.syndrome.map(EsrEl::into_bits), Some(*esr), "{name}");
            assert_eq!(cause.far, *far, "{name}");
            assert_eq!(cause.preferred_return, *elr, "{name}");
        }
        let virtual_error = |vsesr| Cause::virtual_serror(vsesr, 0x1000).syndrome.map(EsrEl::into_bits);
        assert_eq!(virtual_error(Some(VsesrEl2::from_bits(0xc11))), Some(0xbe00_0c11));
        assert_eq!(virtual_error(None), Some(0xbf00_0000));
        let hit = Cause::breakpoint(Origin::Lower, 0x1000);
        assert_eq!((hit.syndrome.map(EsrEl::into_bits), hit.far), (Some(0xc200_0022), None));
        let hit = Cause::watchpoint(Origin::Same, Watchpoint::new().with_wnr(true), 0x2004, 0x1000);
        assert_eq!((hit.syndrome.map(EsrEl::into_bits), hit.far), (Some(0xd600_0062), Some(0x2004)));
        let counter = Cause::profiling(Pmu::new().with_sync(true), 0x1000);
        assert_eq!((counter.kind, counter.syndrome.map(EsrEl::into_bits)), (Kind::Sync, Some(0xf600_0001)));
        assert_eq!(Cause::irq(0x1000).syndrome, None);
        assert_eq!(Cause::fiq(0x1000).far, None);
    }

    #[test]
    fn only_synchronous_external_aborts_move_to_the_serror_vector() {
        let abort = |iss| Cause::data_abort(Origin::Same, DataAbort::from_bits(iss), 0, 0x1000);
        let fetch = |iss| Cause::instruction_abort(Origin::Same, InstructionAbort::from_bits(iss), 0, 0x1000);
        let cases: &[(&str, Cause, Kind)] = &[
            ("external", abort(0x10), Kind::SError),
            ("external on a walk", abort(0x17), Kind::SError),
            ("external, of a fetch", fetch(0x10), Kind::SError),
            ("translation", abort(0x07), Kind::Sync),
            ("alignment", abort(0x21), Kind::Sync),
            ("undefined", Cause::undefined(0x1000), Kind::Sync),
            ("an IRQ", Cause::irq(0x1000), Kind::Irq),
        ];
        for (name, cause, want) in cases {
            let moved = cause.at_serror_vector();
            assert_eq!((moved.kind, moved.syndrome), (*want, cause.syndrome), "{name}");
        }
    }
}
