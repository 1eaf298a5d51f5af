//! The instructions that cases have.

use super::quirks::{DOWN_BY_HVC, HOST_UMA, NO_SP_CHECK, SECURE_HVC, STEPS_ANYWAY, SWAPS_OPS};
use super::*;

impl Pe<'_> {
    pub(super) fn execute(&mut self, instruction: u32, state: StepState) {
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
