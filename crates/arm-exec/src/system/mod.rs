//! The A64 system space: system registers and instructions, hints, barriers, exception generation and
//! return, and what happens between two instructions.
//!
//! Whether something is allowed is [`gate`]'s question to `arm_arch::trap`; exception entry and
//! return, interrupt masking, the virtual CPU interface and the timers are `arm_arch`'s, translation
//! for AT `mmu_xlate`'s. This module moves values between them and the state of the PE.
//!
//! Modelled of debug: software step ([`step_state`], [`interrupts`]; one instruction at a time is the
//! engine's part), BRK, the OS lock, two breakpoints and two watchpoints ([`crate::debug`] says when they are
//! looked for). Not modelled: external debug, the PMU, trace.

mod address;
mod gate;
mod gic;
mod hint;
mod identification;
mod interrupt;
mod maintain;
mod pstate;
mod registers;
mod timer;

#[cfg(test)]
mod tests;

use crate::decode::Field;
use crate::env::Timer;
use crate::flow::{Boundary, Flow, FpTrap, Host};
use crate::pe::Pe;
use crate::state::State;
use arm_arch::bits::{bit, field, low8, low16};
use arm_arch::exception::Cause;
use arm_arch::iss::{Direction, SystemAccess};
use arm_arch::trap::Decision;
use arm_arch::{EsrEl, ExceptionLevel, SysRegId};
use registers::Effect;

pub(crate) use gate::Derived;
pub(crate) use identification::TRANSLATION;
pub(crate) use pstate::{debug_controls, pstate, step_state, take_exception};

/// Returns the level that takes debug exceptions.
pub(crate) fn debug_target(state: &State) -> ExceptionLevel {
    pstate::debug_controls(state).target()
}

/// Takes what is due before the next instruction; see [`interrupt::boundary`].
#[inline(never)]
pub(crate) fn interrupts(pe: &mut Pe<'_>) -> Boundary {
    let stepped = pe.debugging.take_step();
    let boundary = interrupt::boundary(&mut pe.state, &mut pe.derived, stepped);
    if boundary == Boundary::Maintenance {
        // A step that is for EL2 comes after it.
        pe.debugging.keep_step(&pe.state, stepped);
    }
    boundary
}

/// Returns a timer whose output has risen since the last look.
pub(crate) fn timers(pe: &mut Pe<'_>, count: u64) -> Option<Timer> {
    timer::risen(&mut pe.state, count)
}

/// Returns the trap that an FP or SIMD instruction takes in this context: where to, and its ESR.
#[inline(never)]
pub(crate) fn fp_trap(state: &State) -> Option<(FpTrap, u64)> {
    match gate::floating_point(state) {
        // No FP instruction is UNDEFINED by its context.
        Decision::Allowed | Decision::Undefined => None,
        Decision::TrapEl1(syndrome) => Some((FpTrap::El1, syndrome.encode().into_bits())),
        Decision::TrapEl2(syndrome) => Some((FpTrap::El2, syndrome.encode().into_bits())),
    }
}

/// Whether EL1 is not allowed one of the accesses that decoding makes operations of: what `arm_arch::trap` says about
/// each [`Field`]. Their traps are controlled by HCR_EL2 alone.
// Asked where HCR_EL2 has changed: what it keeps on the stack is not below all else.
#[inline(never)]
pub(crate) fn storage_traps(state: &State) -> bool {
    gate::any_trapped(state, Field::ALL.into_iter())
}

/// Executes an instruction of the system space: exception generation, system instructions and
/// registers, ERET and DRPS. `state.pc` is its address.
// Not part of the executor: what it keeps on the stack is not there while a load or store looks for its page.
#[inline(never)]
pub(crate) fn execute<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, word: u32) -> Flow {
    match word {
        0xd69f_03e0 => exception_return(&mut pe.state),
        _ if word >> 24 == 0xd4 => generate(&mut pe.state, word),
        _ if word >> 22 == 0b11_0101_0100 => system(pe, env, word),
        // DRPS is UNDEFINED outside Debug state, ERETAA and ERETAB without FEAT_PAuth.
        _ => Flow::Undefined,
    }
}

/// SVC, HVC, SMC, BRK; HLT and DCPS are UNDEFINED, as halting is never allowed. Arm ARM, "Exception generation".
fn generate(state: &mut State, word: u32) -> Flow {
    let word = u64::from(word);
    let imm16 = low16(field(word, 20, 5));
    match (field(word, 23, 21), field(word, 4, 0)) {
        (0, 1) => {
            advance(state);
            Flow::Exception(esr(&Cause::svc(imm16, state.pc)))
        }
        (0, 2) => {
            let flow = refuse(gate::hypervisor_call(state, imm16));
            if matches!(flow, Flow::Trap(..)) {
                advance(state);
            }
            flow
        }
        (0, 3) => refuse(gate::secure_monitor_call(state, imm16)),
        (1, 0) => breakpoint(state, &Cause::brk(imm16, state.pc)),
        _ => Flow::Undefined,
    }
}

/// A call is done when its exception is taken: PC and software step are behind it. Arm ARM, SSAdvance.
fn advance(state: &mut State) {
    state.pc = state.pc.wrapping_add(4);
    state.mode.ss = false;
}

/// BRK goes where debug exceptions go.
fn breakpoint(state: &State, cause: &Cause) -> Flow {
    match pstate::debug_controls(state).target() {
        ExceptionLevel::El2 | ExceptionLevel::El3 => Flow::Trap(esr(cause), 0),
        ExceptionLevel::El0 | ExceptionLevel::El1 => Flow::Exception(esr(cause)),
    }
}

/// ERET, UNDEFINED at EL0.
fn exception_return(state: &mut State) -> Flow {
    if pstate::el(state) == ExceptionLevel::El0 {
        return Flow::Undefined;
    }
    pstate::eret(state);
    Flow::Jump
}

/// The ESR of a cause.
fn esr(cause: &Cause) -> u64 {
    cause.syndrome.map_or(0, EsrEl::into_bits)
}

/// Returns what becomes of an instruction; one that is allowed goes on.
fn refuse(decision: Decision) -> Flow {
    match decision {
        Decision::Allowed => Flow::Next,
        Decision::Undefined => Flow::Undefined,
        Decision::TrapEl1(syndrome) => Flow::Exception(syndrome.encode().into_bits()),
        Decision::TrapEl2(syndrome) => Flow::Trap(syndrome.encode().into_bits(), 0),
    }
}

/// Hints, barriers, MSR (immediate), SYS, SYSL, MSR, MRS.
/// Arm ARM, "Branches, Exception Generating and System instructions".
fn system<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, word: u32) -> Flow {
    let id = SysRegId::from_instruction(word);
    let direction = if bit(u64::from(word), 21) { Direction::Read } else { Direction::Write };
    let rt = low8(field(u64::from(word), 4, 0));
    match (id.op0(), direction) {
        (0, Direction::Write) if rt == 31 => match (id.op1(), id.crn()) {
            (3, 2) => hint::hint(pe, env, id),
            (3, 3) => hint::barrier(pe, env, id),
            (_, 4) => immediate(pe, id),
            _ => Flow::Undefined,
        },
        // FEAT_WFxT and the like are not announced.
        (0, _) => Flow::Undefined,
        _ => access(pe, env, SystemAccess { id, rt, direction }),
    }
}

/// MSR (immediate) and CFINV.
fn immediate(pe: &mut Pe<'_>, id: SysRegId) -> Flow {
    if (id.op1(), id.op2()) == (0, 0) {
        pe.state.flags.c ^= 1;
        return Flow::Next;
    }
    let access = SystemAccess { id, rt: 31, direction: Direction::Write };
    let decision = pe.derived.system_access(&pe.state, access);
    if decision != Decision::Allowed {
        return refuse(decision);
    }
    match registers::write_immediate(&mut pe.state, &mut pe.derived, id) {
        Some(effect) => apply(effect),
        None => Flow::Undefined,
    }
}

/// MSR, MRS, SYS and SYSL.
fn access<'m>(pe: &mut Pe<'m>, env: &dyn Host<'m>, access: SystemAccess) -> Flow {
    let decision = pe.derived.system_access(&pe.state, access);
    if decision != Decision::Allowed {
        return refuse(decision);
    }
    let SystemAccess { id, rt, direction } = access;
    match (id.op0(), direction) {
        (1, Direction::Write) => maintain::execute(pe, env, id, general(&pe.state, rt)),
        // No SYSL is announced.
        (1, Direction::Read) => Flow::Undefined,
        (_, Direction::Read) => {
            let Some(value) = registers::read(&mut pe.state, &mut pe.derived, id, || env.counter()) else {
                return Flow::Undefined;
            };
            set_general(&mut pe.state, rt, value);
            if registers::read_changes_context(id) { Flow::Context } else { Flow::Next }
        }
        (_, Direction::Write) => {
            let value = general(&pe.state, rt);
            match registers::write(&mut pe.state, &mut pe.derived, id, value, || env.counter()) {
                Some(effect) => apply(effect),
                None => Flow::Undefined,
            }
        }
    }
}

/// Returns the flow after a register was written.
const fn apply(effect: Effect) -> Flow {
    match effect {
        Effect::None => Flow::Next,
        Effect::Context => Flow::Context,
        Effect::Timers => Flow::Timers,
    }
}

/// Reads a general register; 31 is ZR.
fn general(state: &State, rt: u8) -> u64 {
    if rt == 31 { 0 } else { state.x.get(usize::from(rt)).copied().unwrap_or(0) }
}

/// Writes a general register; 31 is ZR.
fn set_general(state: &mut State, rt: u8, value: u64) {
    if let (0..31, Some(x)) = (rt, state.x.get_mut(usize::from(rt))) {
        *x = value;
    }
}
