//! A processing element that executes the few instructions of a case with the functions of `arm_arch`.

mod debugging;
mod execute;
mod quirks;

pub use quirks::{COMMON, QUIRKS, Quirk, Quirks};

use super::case::{Case, RECORD_WORDS, Record, word};
use super::machine::Machine;
use arm_arch::debug::{
    Breakpoint, Context, DataAccess, DbgbcrEl1, DbgwcrEl1, DebugControls, Matcher, Security, StepState,
    Watched,
};
use arm_arch::exception::{
    Cause, EntryState, ExceptionLock, Kind, PhysicalLines, ReturnLimits, ReturnState, Route, Routing, ScrEl3,
    Synchronous, VirtualLines, VirtualPriority, branch_address_el2, enter, eret_within, is_pc_misaligned,
    is_sp_misaligned, physical_interrupt, virtual_interrupt_by_priority,
};
use arm_arch::feature::Feature;
use arm_arch::iss::{Direction, Eret, Immediate, InstructionAbort, Origin, Step, StepExclusive, Syndrome};
use arm_arch::iss::{SystemAccess, VsesrEl2, Watchpoint};
use arm_arch::pstate::{Mode, PStateMask};
use arm_arch::sysreg::{HcrEl2, HcrxEl2, MdcrEl2, MdscrEl1, SctlrEl1, TcrEl1, names};
use arm_arch::trap::{self, Controls, Decision, FineGrained};
use arm_arch::{ExceptionLevel, FaultStatus, PState, StackPointer, SysRegId};
use quirks::{
    CLEARS_BTYPE, CLEARS_DIT, CLEARS_FAR, CLEARS_FLAGS, ILLEGAL_BEFORE_ABORT, IRQ_FIRST, KEEPS_PAN, KEEPS_SS,
    KEEPS_TAG, NO_EXLOCK, NO_OS_LOCK, PC_BEFORE_STEP,
};

/// Where the tables of vectors lie, each of whose entries holds [`ESCAPE`].
pub const VECTORS: u64 = 0x4900_0000;
const VECTORS_END: u64 = VECTORS + 32 * 0x800;
/// MRS XZR, PMCR_EL0: trapped to EL3.
const ESCAPE: u32 = 0xd53b_9c1f;
/// What the special registers show of PSTATE.
const READABLE: u64 = 0xf3c0_33cd;
/// HCR_EL2.VSE and OSLSR_EL1.OSLK, of all that is read of these registers.
const VSE: u64 = 1 << 8;
const OSLK: u64 = 1 << 1;

const EL1: ExceptionLevel = ExceptionLevel::El1;
const EL2: ExceptionLevel = ExceptionLevel::El2;
const EL3: ExceptionLevel = ExceptionLevel::El3;

/// ELR, SPSR, ESR and FAR of a level.
#[derive(Clone, Copy, Default)]
struct Syndromes {
    elr: u64,
    spsr: u64,
    esr: u64,
    far: u64,
}

struct Pe<'a> {
    case: &'a Case,
    machine: &'a Machine,
    quirks: Quirks,
    pstate: PState,
    pc: u64,
    x: [u64; 4],
    /// Of EL1 to EL3.
    levels: [Syndromes; 3],
    routing: Routing,
    debug: DebugControls,
    /// What a software step exception is to say of the stepped instruction.
    stepped: StepExclusive,
    breakpoints: Vec<Breakpoint>,
    watchpoints: Vec<Watched>,
    /// A step exception that comes next whatever the state is.
    forced: Option<StepExclusive>,
    /// The offset of the vector of EL3, once it is reached.
    landed: Option<u64>,
}

/// Runs a case until it lands at EL3, and returns what is to be recorded.
///
/// # Panics
///
/// When it does not land.
#[must_use]
pub fn run(case: &Case, machine: &Machine, quirks: Quirks) -> Record {
    let mut pe = Pe::new(case, machine, quirks);
    pe.enter_case();
    for _ in 0..64 {
        if let Some(vector) = pe.landed {
            return pe.record(vector);
        }
        pe.step();
    }
    panic!("a case that does not end: {case:x?}");
}

/// Leaves of a record what is compared.
#[must_use]
pub fn normalise(mut record: Record) -> Record {
    record[16] &= VSE;
    record[17] &= OSLK;
    record
}

impl<'a> Pe<'a> {
    fn new(case: &'a Case, machine: &'a Machine, quirks: Quirks) -> Self {
        let w = &case.words;
        let scr = scr(w[word::SCR], machine);
        let hcr = hcr(w[word::HCR], machine);
        let hcrx = if machine.has(Feature::HCX) { w[word::HCRX] } else { 0 };
        let routing = Routing {
            hcr,
            hcrx: HcrxEl2::from_bits(hcrx),
            mdcr: MdcrEl2::from_bits(w[word::MDCR_EL2]),
            scr: Some(scr),
            has_el2: true,
        };
        let level = |at: usize| Syndromes { spsr: w[at], elr: w[at + 1], esr: w[at + 2], far: w[at + 3] };
        let pairs = |at: usize, count: usize| (0..count).map(move |n| (w[at + 2 * n], w[at + 2 * n + 1]));
        let locked = w[word::OS_LOCK] & 1 != 0 && quirks & NO_OS_LOCK == 0
            || machine.double_lock && w[word::DOUBLE_LOCK] & 1 != 0;
        let el3 = Syndromes { esr: w[word::ESR_EL3], far: w[word::FAR_EL3], ..Syndromes::default() };
        Self {
            case,
            machine,
            quirks,
            pstate: machine.mask.apply(PState::from_bits(0x23cd)),
            pc: 0,
            x: [0, 1, 2, 3].map(|n| w[word::X0 + n]),
            levels: [level(word::SPSR_EL1), level(word::SPSR_EL2), el3],
            routing,
            debug: DebugControls {
                mdscr: MdscrEl1::from_bits(w[word::MDSCR]),
                os_lock: locked,
                route_to_el2: routing.is_el2_enabled() && (hcr.tge() || w[word::MDCR_EL2] >> 8 & 1 != 0),
                // Debug in Secure state is not asked about.
                security: Security::NonSecure,
            },
            stepped: StepExclusive::Unknown,
            breakpoints: pairs(word::BREAKPOINTS, machine.breakpoints)
                .map(|(control, value)| Breakpoint { control: DbgbcrEl1::from_bits(control), value })
                .collect(),
            watchpoints: pairs(word::WATCHPOINTS, machine.watchpoints)
                .map(|(control, value)| Watched { control: DbgwcrEl1::from_bits(control), value })
                .collect(),
            forced: None,
            landed: None,
        }
    }

    fn has_quirk(&self, quirk: Quirks) -> bool {
        self.quirks & quirk != 0
    }

    /// HCR_EL2 as it is in effect: 0 where EL2 is disabled.
    fn hcr(&self) -> HcrEl2 {
        if self.routing.is_el2_enabled() { self.routing.hcr } else { HcrEl2::new() }
    }

    /// The bits of PSTATE that there are.
    fn mask(&self) -> PStateMask {
        let mask = self.machine.mask;
        if self.has_quirk(NO_EXLOCK) {
            let present = mask.present().with_exlock(false);
            PStateMask::ARMV8_0.with(present)
        } else {
            mask
        }
    }

    fn is_host(&self) -> bool {
        self.hcr().e2h() && self.hcr().tge()
    }

    fn sctlr(&self, el: ExceptionLevel) -> SctlrEl1 {
        let el = match el {
            ExceptionLevel::El0 if self.is_host() => EL2,
            ExceptionLevel::El0 => EL1,
            other => other,
        };
        let mut sctlr = SctlrEl1::from_bits(self.case.words[word::SCTLR + usize::from(el.number()) - 1]);
        if !self.machine.has(Feature::NMI) {
            sctlr = sctlr.with_nmi(false).with_spintmask(false);
        }
        sctlr
    }

    fn level(&mut self, el: ExceptionLevel) -> &mut Syndromes {
        &mut self.levels[usize::from(el.number()) - 1]
    }

    fn lock(&self, el: ExceptionLevel) -> ExceptionLock {
        let locked = match el {
            ExceptionLevel::El1 => self.case.words[word::GCSCR] >> 6 & 1 == 1,
            ExceptionLevel::El2 => self.case.words[word::GCSCR + 1] >> 6 & 1 == 1,
            ExceptionLevel::El0 | ExceptionLevel::El3 => false,
        };
        if locked && self.machine.has(Feature::GCS) {
            ExceptionLock::Enabled
        } else {
            ExceptionLock::Disabled
        }
    }

    /// The exception return from EL3 that starts a case.
    fn enter_case(&mut self) {
        self.level(EL3).spsr = self.case.words[word::PSTATE];
        self.level(EL3).elr = self.case.words[word::PC];
        self.exception_return();
    }

    fn exception_return(&mut self) {
        let el = self.pstate.el();
        let Syndromes { elr, spsr, .. } = *self.level(el);
        let spsr = PState::from_bits(spsr);
        let tcr = if self.is_host() { word::TCR_EL2 } else { word::TCR_EL1 };
        let mut tcr = TcrEl1::from_bits(self.case.words[tcr]);
        if !self.machine.has(Feature::PAuth) {
            tcr = tcr.with_tbid0(false).with_tbid1(false);
        }
        let state = ReturnState {
            pstate: self.pstate,
            spsr,
            elr,
            hcr: self.hcr(),
            tcr,
            debug: self.debug,
            mask: self.mask(),
        };
        let limits = ReturnLimits { is_el2_enabled: self.routing.is_el2_enabled(), lock: self.lock(el) };
        let back = eret_within(&state, limits);
        let (pan, was_target) = (self.pstate.pan(), self.pstate.btype() != 0);
        self.pstate = back.pstate;
        if back.illegal && self.has_quirk(KEEPS_SS) {
            self.pstate = self.pstate.with_ss(false);
        }
        if back.illegal && self.has_quirk(KEEPS_PAN) {
            self.pstate = self.pstate.with_pan(pan);
        }
        if self.has_quirk(CLEARS_BTYPE) && was_target {
            self.pstate = self.pstate.with_btype(0);
        }
        self.pc = if back.illegal && self.has_quirk(KEEPS_TAG) {
            elr
        } else if self.pstate.el() == EL2 {
            branch_address_el2(back.pc, self.case.words[word::TCR_EL2], self.routing.hcr)
        } else {
            back.pc
        };
    }

    fn take(&mut self, cause: &Cause, target: ExceptionLevel) {
        let target = target.max(self.pstate.el()).max(EL1);
        let vbar = match target {
            ExceptionLevel::El1 => self.case.words[word::VBAR],
            ExceptionLevel::El2 => self.case.words[word::VBAR + 1],
            ExceptionLevel::El0 | ExceptionLevel::El3 => 0,
        };
        let state = EntryState {
            pstate: self.pstate,
            vbar,
            sctlr: self.sctlr(target),
            hcr: self.hcr(),
            mask: self.mask(),
        };
        let entered = enter(cause, target, &state).with_exception_lock(self.lock(target));
        let entered_pstate = entered.pstate;
        let level = self.level(target);
        level.elr = entered.elr;
        level.spsr = entered.spsr.into_bits();
        level.esr = entered.esr.map_or(level.esr, arm_arch::EsrEl::into_bits);
        level.far = entered.far.unwrap_or(level.far);
        self.pstate = self.mask().apply(entered_pstate);
        if self.has_quirk(CLEARS_FLAGS) {
            self.pstate = self.pstate.with_nzcv(0);
        }
        if self.has_quirk(CLEARS_DIT) {
            self.pstate = self.pstate.with_dit(false);
        }
        self.pc = entered.pc;
        self.stepped = StepExclusive::Unknown;
        if target == EL3 {
            self.landed = Some(entered.pc);
        }
    }

    /// Takes an exception of EL3 to EL2, as if it were from there but for what SPSR_EL2 says.
    fn take_down(&mut self, cause: &Cause) {
        let from = self.pstate.m();
        self.pstate = self.pstate.with_m(0b1000 | from & 1);
        self.take(cause, EL2);
        let level = self.level(EL2);
        level.spsr = PState::from_bits(level.spsr).with_m(from).into_bits();
    }

    /// Takes a synchronous exception where the controls say.
    fn synchronous(&mut self, exception: Synchronous, cause: impl FnOnce(Origin) -> Cause) {
        let target = match self.routing.synchronous(exception, self.pstate) {
            Route::To(target) => target,
            Route::Undefined => return self.undefined(),
        };
        let cause = cause(Origin::of(self.pstate.el(), target));
        self.take(&cause, target);
    }

    fn undefined(&mut self) {
        let pc = self.pc;
        self.synchronous(Synchronous::General, |_| Cause::undefined(pc));
    }

    /// One instruction, or what is taken in its place.
    /// Arm ARM, "Prioritization of Synchronous exceptions taken to AArch64 state".
    fn step(&mut self) {
        if let Some(exclusive) = self.forced.take() {
            let (iss, pc) = (Step::of(exclusive), self.pc);
            let target = self.debug.target();
            return self.take(&Cause::step(Origin::of(self.pstate.el(), target), iss, pc), target);
        }
        if let Some((cause, target)) = self.interrupt() {
            return self.take(&cause, target);
        }
        let pc = self.pc;
        let state = self.debug.step_state(self.pstate);
        let misaligned_first = is_pc_misaligned(pc) && self.has_quirk(PC_BEFORE_STEP);
        if state == StepState::ActivePending && !misaligned_first {
            let iss = Step::of(self.stepped);
            return self.synchronous(Synchronous::Debug, |origin| Cause::step(origin, iss, pc));
        }
        if is_pc_misaligned(pc) {
            return self.synchronous(Synchronous::General, |_| Cause::pc_alignment(pc));
        }
        let illegal_first = self.pstate.il() && self.has_quirk(ILLEGAL_BEFORE_ABORT);
        if pc >> 32 != 0 && !illegal_first {
            let iss = InstructionAbort::new().with_status(FaultStatus::AddressSize(arm_arch::Level::L0));
            return self
                .synchronous(Synchronous::General, |origin| Cause::instruction_abort(origin, iss, pc, pc));
        }
        let (breakpoints, _) = self.debug_units(self.pstate.el());
        if self.matcher(&breakpoints).breakpoint(pc).is_some() {
            let clears = self.has_quirk(CLEARS_FAR);
            return self.synchronous(Synchronous::Debug, |origin| {
                let cause = Cause::breakpoint(origin, pc);
                if clears { Cause { far: Some(0), ..cause } } else { cause }
            });
        }
        if self.pstate.il() {
            return self.synchronous(Synchronous::General, |_| Cause::illegal_state(pc));
        }
        let word = self.fetch(pc);
        self.execute(word, state);
    }

    fn fetch(&self, pc: u64) -> u32 {
        match pc {
            VECTORS..VECTORS_END if pc % 0x80 == 0 => ESCAPE,
            _ => self.case.instruction(pc),
        }
    }

    fn interrupt(&mut self) -> Option<(Cause, ExceptionLevel)> {
        let pc = self.pc;
        let pending = self.case.words[word::PENDING];
        // An interrupt of Group 1 is an FIQ outside of its Security state.
        let foreign = self.pstate.el() == EL3 || !self.routing.scr.is_some_and(|scr| scr.ns());
        let group1 = pending & 2 != 0;
        let lines = PhysicalLines {
            irq: group1 && !foreign,
            fiq: pending & 1 != 0 || group1 && foreign,
            serror: false,
            // The interrupt controller gives superpriority to IRQs alone.
            superpriority: group1 && !foreign && pending & 4 != 0 && self.machine.words[32] != 0,
        };
        let physical = physical_interrupt(&self.routing, lines, self.pstate, |el| self.sctlr(el));
        match physical {
            Some((Kind::Irq, target)) => return Some((Cause::irq(pc), target)),
            Some((_, target)) => return Some((Cause::fiq(pc), target)),
            None => {}
        }
        let priority = VirtualPriority {
            hcrx: if self.machine.has(Feature::NMI) { self.routing.hcrx } else { HcrxEl2::new() },
            sctlr: self.sctlr(EL1),
            line: false,
        };
        let take = |hcr| virtual_interrupt_by_priority(hcr, VirtualLines::default(), self.pstate, priority);
        let hcr = self.hcr();
        let kind = match take(hcr)? {
            Kind::Fiq if self.has_quirk(IRQ_FIRST) && take(hcr.with_vf(false)) == Some(Kind::Irq) => {
                Kind::Irq
            }
            kind => kind,
        };
        let cause = match kind {
            Kind::Irq => Cause::irq(pc),
            Kind::Fiq => Cause::fiq(pc),
            Kind::SError | Kind::Sync => {
                self.routing.hcr = self.routing.hcr.with_vse(false);
                let vsesr = VsesrEl2::from_bits(self.case.words[word::VSESR]);
                Cause::virtual_serror(self.machine.has(Feature::RAS).then_some(vsesr), pc)
            }
        };
        Some((cause, EL1))
    }

    fn record(&self, vector: u64) -> Record {
        let mut record = [0; RECORD_WORDS];
        record[0] = vector;
        record[1] = self.pstate.into_bits() & READABLE;
        record[2] = self.x[0];
        record[3] = self.x[1];
        for (n, level) in self.levels.iter().rev().enumerate() {
            record[4 + 4 * n..8 + 4 * n].copy_from_slice(&[level.elr, level.spsr, level.esr, level.far]);
        }
        record[16] = self.routing.hcr.into_bits();
        record[17] = if self.case.words[word::OS_LOCK] & 1 == 1 { OSLK } else { 0 };
        debug_assert_eq!(self.pstate.mode(), Some(Mode::El3h));
        normalise(record)
    }
}

/// SCR_EL3 as the machine keeps it.
fn scr(value: u64, machine: &Machine) -> ScrEl3 {
    let kept = if machine.has(Feature::SEL2) { value } else { value & !(1 << 18) };
    ScrEl3::from_bits(kept)
}

/// HCR_EL2 as the machine keeps it.
fn hcr(value: u64, machine: &Machine) -> HcrEl2 {
    let mut hcr = HcrEl2::from_bits(value);
    if !machine.has(Feature::VHE) {
        hcr = hcr.with_e2h(false);
    }
    if !machine.has(Feature::NV) {
        hcr = hcr.with_nv(false).with_nv1(false);
    }
    if !machine.has(Feature::NV2) {
        hcr = hcr.with_nv2(false);
    }
    hcr
}
