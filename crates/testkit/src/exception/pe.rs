//! A processing element that executes the few instructions of a case with the functions of `arm_arch`.

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

/// Ways in which the reference differs; a set of them.
pub type Quirks = u32;

/// One way in which the reference differs.
#[derive(Clone, Copy, Debug)]
pub struct Quirk {
    /// Its bit.
    pub bit: Quirks,
    /// Its row in `docs/differences-exceptions.md`, and what it is.
    pub name: &'static str,
}

/// An illegal return keeps PAN.
const KEEPS_PAN: Quirks = 1;
/// FAR becomes 0 with a breakpoint.
const CLEARS_FAR: Quirks = 1 << 1;
/// Of virtual interrupts IRQ comes first.
const IRQ_FIRST: Quirks = 1 << 2;

/// Taking an exception clears the flags.
const CLEARS_FLAGS: Quirks = 1 << 3;

/// Taking an exception clears DIT.
const CLEARS_DIT: Quirks = 1 << 4;

/// The OS lock does not keep debug exceptions off.
const NO_OS_LOCK: Quirks = 1 << 5;
/// UMA is looked for in SCTLR_EL2 for the host's EL0.
const HOST_UMA: Quirks = 1 << 6;
/// ERET that is itself a branch target clears BTYPE after the return.
const CLEARS_BTYPE: Quirks = 1 << 7;
/// SP is not checked for alignment.
const NO_SP_CHECK: Quirks = 1 << 8;

/// PSTATE.EXLOCK is always 0.
const NO_EXLOCK: Quirks = 1 << 9;
/// A PC alignment fault comes before a pending software step.
const PC_BEFORE_STEP: Quirks = 1 << 10;
/// Illegal state comes before an instruction abort.
const ILLEGAL_BEFORE_ABORT: Quirks = 1 << 11;
/// The syndrome of a trapped MSR (immediate) has op1 and op2 exchanged.
const SWAPS_OPS: Quirks = 1 << 12;
/// HVC of Secure EL1 reaches EL2 without a Secure EL2.
const SECURE_HVC: Quirks = 1 << 13;
/// An illegal return does not load SS.
const KEEPS_SS: Quirks = 1 << 14;
/// A stepped instruction is followed by the step exception whatever it did to PSTATE, with ISV.
const STEPS_ANYWAY: Quirks = 1 << 15;
/// Reserved combinations of HMC, SSC and PMC or PAC, and SSC = 11, are taken bit by bit.
const STATE_BY_BITS: Quirks = 1 << 16;
/// Contexts: unlinked ones never match, of linked ones only CONTEXTIDR, at any level.
const FEW_CONTEXTS: Quirks = 1 << 17;
/// A watchpoint with MASK 1 or 2 is disabled.
const NO_SMALL_MASK: Quirks = 1 << 18;
/// Of BAS of a watchpoint only the first run of ones counts.
const FIRST_RUN: Quirks = 1 << 19;
/// HVC of EL3 goes down to EL2. QEMU 7.2.
const DOWN_BY_HVC: Quirks = 1 << 20;

/// Those that nearly every case shows.
pub const COMMON: Quirks = CLEARS_FLAGS | CLEARS_DIT | NO_EXLOCK;

/// All of them.
pub const QUIRKS: &[Quirk] = &[
    Quirk { bit: KEEPS_PAN, name: "illegal return keeps PAN" },
    Quirk { bit: CLEARS_FAR, name: "FAR is 0 after a breakpoint" },
    Quirk { bit: IRQ_FIRST, name: "virtual IRQ before virtual FIQ" },
    Quirk { bit: CLEARS_FLAGS, name: "N, Z, C and V become 0 with an exception" },
    Quirk { bit: CLEARS_DIT, name: "DIT becomes 0 with an exception" },
    Quirk { bit: NO_OS_LOCK, name: "the OS lock has no effect" },
    Quirk { bit: NO_EXLOCK, name: "EXLOCK is always 0" },
    Quirk { bit: PC_BEFORE_STEP, name: "PC alignment before a pending step" },
    Quirk { bit: ILLEGAL_BEFORE_ABORT, name: "illegal state before an instruction abort" },
    Quirk { bit: SWAPS_OPS, name: "op1 and op2 exchanged in a syndrome" },
    Quirk { bit: SECURE_HVC, name: "HVC from Secure EL1 without Secure EL2" },
    Quirk { bit: DOWN_BY_HVC, name: "HVC from EL3 goes to EL2" },
    Quirk { bit: KEEPS_SS, name: "illegal return does not load SS" },
    Quirk { bit: STEPS_ANYWAY, name: "step exception after an instruction that ends stepping" },
    Quirk { bit: STATE_BY_BITS, name: "HMC, SSC, PMC and PAC bit by bit" },
    Quirk { bit: FEW_CONTEXTS, name: "few contexts" },
    Quirk { bit: NO_SMALL_MASK, name: "no watchpoint with MASK 1 or 2" },
    Quirk { bit: FIRST_RUN, name: "only the first run of BAS" },
    Quirk { bit: HOST_UMA, name: "SCTLR_EL2 has UMA" },
    Quirk { bit: CLEARS_BTYPE, name: "ERET with BTYPE clears the BTYPE returned to" },
    Quirk { bit: NO_SP_CHECK, name: "SP is not checked for alignment" },
];

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
        self.pc = if self.pstate.el() == EL2 && !back.illegal {
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

    /// One instruction, or what is taken in its place. Arm ARM D1.3.6, the order of priorities.
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

    /// Breakpoints and watchpoints, rewritten so that they match as those of the reference do.
    fn debug_units(&self, el: ExceptionLevel) -> (Vec<Breakpoint>, Vec<Watched>) {
        let mut breakpoints = self.breakpoints.clone();
        let mut watchpoints = self.watchpoints.clone();
        for Breakpoint { control, .. } in &mut breakpoints {
            if self.has_quirk(STATE_BY_BITS) && is_odd(control.hmc(), control.ssc(), control.pmc()) {
                let on = control.e() && by_bits(control.hmc(), control.ssc(), control.pmc(), el);
                *control = control.with_e(on).with_hmc(true).with_ssc(1).with_pmc(3);
            }
            if self.has_quirk(FEW_CONTEXTS) {
                match control.bt() {
                    0b0010 | 0b0110 | 0b1000 | 0b1010 | 0b1100 | 0b1110 => *control = control.with_e(false),
                    1 if self.links(control.lbn(), self.pstate.el()) => *control = control.with_bt(0),
                    1 => *control = control.with_e(false),
                    _ => {}
                }
            }
        }
        for Watched { control, .. } in &mut watchpoints {
            if self.has_quirk(STATE_BY_BITS) && is_odd(control.hmc(), control.ssc(), control.pac()) {
                let on = control.e() && by_bits(control.hmc(), control.ssc(), control.pac(), el);
                *control = control.with_e(on).with_hmc(true).with_ssc(1).with_pac(3);
            }
            if self.has_quirk(FEW_CONTEXTS) && control.wt() {
                let on = control.e() && self.links(control.lbn(), self.pstate.el());
                *control = control.with_wt(false).with_e(on);
            }
            if self.has_quirk(NO_SMALL_MASK) && matches!(control.mask(), 1 | 2) {
                *control = control.with_e(false);
            }
            if self.has_quirk(FIRST_RUN) {
                let bas = control.bas();
                let first = bas.trailing_zeros();
                let run = bas.checked_shr(first).map_or(0, u8::trailing_ones);
                *control = control.with_bas((((1u16 << run) - 1) << first.min(8)) as u8);
            }
        }
        (breakpoints, watchpoints)
    }

    /// Whether the reference finds the context that something links to.
    fn links(&self, number: u8, el: ExceptionLevel) -> bool {
        let first = self.breakpoints.len() - self.machine.unit.context_aware;
        let Some(Breakpoint { control, value }) = self.breakpoints.get(usize::from(number)) else {
            return false;
        };
        if usize::from(number) < first || !control.e() {
            return false;
        }
        let w = &self.case.words;
        let (id1, id2) = (w[word::CONTEXTIDR_EL1] as u32, w[word::CONTEXTIDR_EL2] as u32);
        let id = match (control.bt(), el) {
            (0b0011, ExceptionLevel::El0) if self.is_host() => id2,
            (0b0011, EL2) if self.hcr().e2h() => id2,
            (0b0011, EL2 | EL3) => return false,
            (0b0011 | 0b0111, _) => id1,
            (0b1101, _) => id2,
            _ => return false,
        };
        id == *value as u32
    }

    fn matcher<'b>(&'b self, breakpoints: &'b [Breakpoint]) -> Matcher<'b> {
        let w = &self.case.words;
        let wide = w[word::VTCR] >> 19 & 1 == 1 && self.machine.has(Feature::VMID16);
        let vmid = (w[word::VTTBR] >> 48) as u16;
        Matcher {
            unit: self.machine.unit,
            controls: self.debug,
            pstate: self.pstate,
            context: Context {
                contextidr_el1: w[word::CONTEXTIDR_EL1] as u32,
                contextidr_el2: w[word::CONTEXTIDR_EL2] as u32,
                vmid: if wide { vmid } else { vmid & 0xff },
                hcr: self.hcr(),
            },
            breakpoints,
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

    fn execute(&mut self, instruction: u32, state: StepState) {
        let pc = self.pc;
        let next = pc.wrapping_add(4);
        let imm = (instruction >> 5) as u16;
        let el = self.pstate.el();
        match instruction {
            i if i & 0xffe0_001f == 0xd400_0001 => {
                self.pstate = self.pstate.with_ss(false);
                self.synchronous(Synchronous::General, |_| Cause::svc(imm, next));
            }
            i if i & 0xffe0_001f == 0xd400_0002 => {
                let enabled = self.routing.scr.is_some_and(|scr| scr.hce());
                if self.has_quirk(SECURE_HVC) && el == EL1 && enabled && !self.routing.is_el2_enabled() {
                    return self.take(&Cause::hvc(imm, next), EL2);
                }
                if self.routing.synchronous(Synchronous::Hvc, self.pstate) != Route::Undefined {
                    self.pstate = self.pstate.with_ss(false);
                    if el == EL3 && self.has_quirk(DOWN_BY_HVC) {
                        return self.take_down(&Cause::hvc(imm, next));
                    }
                }
                self.synchronous(Synchronous::Hvc, |_| Cause::hvc(imm, next));
            }
            i if i & 0xffe0_001f == 0xd400_0003 => self.secure_monitor_call(imm),
            i if i & 0xffe0_001f == 0xd420_0000 => {
                self.synchronous(Synchronous::SoftwareBreakpoint, |_| Cause::brk(imm, pc));
            }
            0xd69f_03e0 => match trap::eret(Eret::new(), el, &self.controls(), &FineGrained::OPEN) {
                Decision::Allowed => {
                    self.exception_return();
                    self.stepped = StepExclusive::Unknown;
                    if state == StepState::ActiveNotPending && self.has_quirk(STEPS_ANYWAY) {
                        self.forced = Some(StepExclusive::No);
                    }
                }
                decision => self.decided(decision),
            },
            ESCAPE if el != EL3 => {
                let access = SystemAccess { id: names::PMCR_EL0, rt: 31, direction: Direction::Read };
                self.take(&Cause::system_access(access, pc), EL3);
            }
            // BR X3
            0xd61f_0060 => {
                self.pc = self.x[3];
                let btype = if self.machine.has(Feature::BTI) { 1 } else { 0 };
                self.advance(StepExclusive::No, state);
                self.pstate = self.pstate.with_btype(btype);
            }
            0xd503_201f => self.done(state),
            i if i >> 22 == 0b11_0101_0100 => self.system(i, state),
            i => match access(i) {
                Some(memory) => self.memory(memory, state),
                None => self.undefined(),
            },
        }
    }

    fn secure_monitor_call(&mut self, imm: u16) {
        let (pc, next) = (self.pc, self.pc.wrapping_add(4));
        match self.routing.synchronous(Synchronous::Smc, self.pstate) {
            Route::To(EL2) => self.take(&Cause::trapped_smc(imm, pc), EL2),
            Route::To(target) => {
                self.pstate = self.pstate.with_ss(false);
                let iss = Immediate::new().with_imm16(imm);
                self.take(&Cause::sync(Syndrome::Smc(iss), next), target);
            }
            Route::Undefined => self.undefined(),
        }
    }

    fn controls(&self) -> Controls {
        Controls { hcr: self.hcr(), sctlr: self.sctlr(ExceptionLevel::El0), ..Controls::default() }
    }

    fn decided(&mut self, decision: Decision) {
        if let Some((cause, target)) = decision.cause(&self.controls(), self.pc) {
            self.take(&cause, target);
        }
    }

    /// The instruction has been executed, and the next one follows.
    fn done(&mut self, state: StepState) {
        self.pc = self.pc.wrapping_add(4);
        self.advance(StepExclusive::No, state);
    }

    fn advance(&mut self, exclusive: StepExclusive, state: StepState) {
        self.pstate = self.pstate.with_btype(0);
        if state == StepState::ActiveNotPending {
            self.pstate = self.pstate.with_ss(false);
            self.stepped = exclusive;
            self.forced = self.has_quirk(STEPS_ANYWAY).then_some(exclusive);
        }
    }

    /// MSR and MRS.
    fn system(&mut self, instruction: u32, state: StepState) {
        let id = SysRegId::from_instruction(instruction);
        let direction = if instruction >> 21 & 1 == 1 { Direction::Read } else { Direction::Write };
        let rt = instruction & 31;
        let el = self.pstate.el();
        if id.op0() == 0 && rt != 31 {
            return self.undefined();
        }
        let is_allowed = match el {
            // The rules do not have it.
            _ if is_allint(id) && self.machine.has(Feature::NMI) => el != ExceptionLevel::El0,
            ExceptionLevel::El0 | ExceptionLevel::El1 => {
                // MSR (immediate) has its immediate in CRm, which the rules do not ask for.
                let asked = if id.op0() == 0 { SysRegId::from_instruction(instruction & !0xf00) } else { id };
                let access = SystemAccess { id: asked, rt: rt as u8, direction };
                let is_daif = id == names::DAIF || id.op0() == 0 && id.op1() == 3 && id.op2() >= 6;
                let mut controls = self.controls();
                if self.has_quirk(HOST_UMA) && is_daif && self.is_host() && controls.sctlr.uma() {
                    // As for a guest's EL0.
                    controls.hcr = controls.hcr.with_tge(false);
                }
                match trap::system_access(access, self.pstate, &controls, &self.machine.features) {
                    Decision::Allowed => true,
                    decision @ (Decision::TrapEl1(_) | Decision::TrapEl2(_)) => {
                        let id = if id.op0() == 0 && self.has_quirk(SWAPS_OPS) {
                            SysRegId::new(0, id.op2(), id.crn(), id.crm(), id.op1())
                        } else {
                            id
                        };
                        let syndrome = Syndrome::SystemAccess(SystemAccess { id, ..access });
                        return self.decided(match decision {
                            Decision::TrapEl2(_) => Decision::TrapEl2(syndrome),
                            _ => Decision::TrapEl1(syndrome),
                        });
                    }
                    decision => return self.decided(decision),
                }
            }
            EL2 => id.op1() != 6 && self.read(id).is_some() | (id.op0() == 0),
            EL3 => self.read(id).is_some() | (id.op0() == 0),
        };
        if !is_allowed {
            return self.undefined();
        }
        match (id.op0(), self.read(id)) {
            (0, _) if self.write_immediate(id, (instruction >> 8 & 15) as u8) => self.done(state),
            (3, Some(value)) if direction == Direction::Read => {
                if rt < 4 {
                    self.x[rt as usize] = value;
                }
                self.done(state);
            }
            _ => self.undefined(),
        }
    }

    /// What a special register shows; `None` for one that the machine does not have.
    fn read(&self, id: SysRegId) -> Option<u64> {
        let bits = self.pstate.into_bits();
        let mask = match id {
            names::NZCV => 0xf000_0000,
            names::DAIF => 0x3c0,
            names::CURRENT_EL => 0xc,
            names::SP_SEL => 1,
            names::PAN => 1 << 22,
            names::UAO => 1 << 23,
            names::DIT => 1 << 24,
            names::SSBS => 1 << 12,
            names::TCO => 1 << 25,
            names::ALLINT => 1 << 13,
            _ => return None,
        };
        let is_there = mask & 0xf000_03cd != 0 || self.machine.mask.present().into_bits() & mask != 0;
        is_there.then_some(bits & mask)
    }

    /// MSR (immediate); `false` for a field that the machine does not have.
    fn write_immediate(&mut self, id: SysRegId, imm: u8) -> bool {
        let set = imm & 1 == 1;
        let daif = u64::from(imm) << 6;
        let has = self.machine.mask.present();
        let old = self.pstate;
        let (is_there, new) = match (id.op1(), id.op2()) {
            (0, 3) => (has.uao(), old.with_uao(set)),
            (0, 4) => (has.pan(), old.with_pan(set)),
            (0, 5) => (true, old.with_m(old.m() & !1 | imm & 1)),
            (1, 0) => (has.allint() && imm < 2, old.with_allint(set)),
            (3, 1) => (has.ssbs(), old.with_ssbs(set)),
            (3, 2) => (has.dit(), old.with_dit(set)),
            (3, 4) => (has.tco(), old.with_tco(set)),
            (3, 6) => (true, old.with_daif(old.daif() | daif)),
            (3, 7) => (true, old.with_daif(old.daif() & !daif)),
            _ => (false, old),
        };
        if is_there {
            self.pstate = new;
        }
        is_there
    }

    fn memory(&mut self, memory: Memory, state: StepState) {
        let pc = self.pc;
        let el = self.pstate.el();
        let sctlr = self.sctlr(el);
        let base = match memory.base {
            31 => {
                let from = match self.pstate.stack_pointer() {
                    StackPointer::SpEl0 => 0,
                    StackPointer::SpElx => usize::from(el.number()),
                };
                let sp = self.case.words[word::SP_EL0 + from];
                if is_sp_misaligned(sp, el, sctlr) && !self.has_quirk(NO_SP_CHECK) {
                    return self.synchronous(Synchronous::General, |_| Cause::sp_alignment(pc));
                }
                sp
            }
            n => self.x[n as usize & 3],
        };
        let is_unprivileged =
            memory.is_unprivileged && !self.pstate.uao() && (el == EL1 || el == EL2 && self.is_host());
        let access = DataAccess {
            address: base.wrapping_add(memory.offset),
            bytes: memory.bytes,
            is_load: !memory.is_store,
            is_store: memory.is_store,
            is_unprivileged,
            pc,
        };
        let as_if = if is_unprivileged { ExceptionLevel::El0 } else { el };
        let (breakpoints, watchpoints) = self.debug_units(as_if);
        if let Some((_, far)) = self.matcher(&breakpoints).watchpoint(&watchpoints, access) {
            let iss = Watchpoint::new().with_wnr(memory.is_store);
            return self.synchronous(Synchronous::Debug, |origin| Cause::watchpoint(origin, iss, far, pc));
        }
        self.pc = pc.wrapping_add(4);
        self.advance(if memory.is_exclusive { StepExclusive::Yes } else { StepExclusive::No }, state);
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

/// Whether a combination of HMC, SSC and PMC or PAC is reserved or asks for Secure state by SSC = 11.
/// Arm ARM, CheckValidStateMatch.
fn is_odd(hmc: bool, ssc: u8, pxc: u8) -> bool {
    match (hmc, ssc, pxc) {
        (false, 3, _) | (true, 0, 0 | 2) | (true, 1, 2) | (true, 2 | 3, 2) => true,
        (false, _, 0) => true,
        // Reserved without Secure EL2.
        (true, 1, 0) | (true, 3, 1 | 3) => true,
        _ => false,
    }
}

/// How the reference takes them in Non-secure state.
fn by_bits(hmc: bool, ssc: u8, pxc: u8, el: ExceptionLevel) -> bool {
    let level = match el {
        ExceptionLevel::El0 => pxc & 2 != 0,
        ExceptionLevel::El1 => pxc & 1 != 0,
        ExceptionLevel::El2 | ExceptionLevel::El3 => hmc,
    };
    level && ssc != 2
}

/// ALLINT, by name or as a field of PSTATE.
fn is_allint(id: SysRegId) -> bool {
    id == names::ALLINT || (id.op0(), id.op1(), id.crn(), id.op2()) == (0, 1, 4, 0) && id.crm() < 2
}

/// A load or store of a case; registers other than X2 and X3 are not written.
struct Memory {
    base: u32,
    offset: u64,
    bytes: u64,
    is_store: bool,
    is_exclusive: bool,
    is_unprivileged: bool,
}

/// Decodes the loads and stores that cases have.
fn access(i: u32) -> Option<Memory> {
    let size = 1 << (i >> 30);
    let plain = Memory {
        base: i >> 5 & 31,
        offset: 0,
        bytes: size,
        is_store: i >> 22 & 1 == 0,
        is_exclusive: false,
        is_unprivileged: false,
    };
    if i & 0x3f80_0000 == 0x3900_0000 {
        // LDR, STR with an unsigned offset.
        return Some(Memory { offset: u64::from(i >> 10 & 0xfff) * size, ..plain });
    }
    if i & 0x3fa0_0c00 == 0x3800_0800 {
        // LDTR, STTR.
        return Some(Memory { offset: u64::from(i >> 12 & 0xff), is_unprivileged: true, ..plain });
    }
    if i & 0x3fff_7c00 == 0x085f_7c00 {
        // LDXR, LDAXR.
        return Some(Memory { is_exclusive: true, ..plain });
    }
    if i & 0xffa0_0000 == 0xa900_0000 && i & 1 << 23 == 0 {
        // LDP, STP of 64 bits with an offset that is not negative.
        return Some(Memory { offset: u64::from(i >> 15 & 0x3f) * 8, bytes: 16, ..plain });
    }
    None
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
