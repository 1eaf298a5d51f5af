//! `at`: address translation instructions, from the question whether they may execute to PAR_EL1 or the exception.
//!
//! For any instruction, level that exists, registers, features and tables:
//!
//! - it ends, the same question has the same answer, listened to or not, and a failure of the host is its answer;
//! - what is UNDEFINED or trapped reads no tables; who takes an exception exists, is not EL0 and not below who executes;
//! - a trap names the instruction, and its syndrome decodes to it; only EL1 is trapped, and to EL2;
//! - `PAR_EL1` decodes, and is that of a translation of one of the regimes that the instruction may be about: address,
//!   attributes and shareability, or the fault;
//! - an abort is external, or one of stage 2 on the tables of stage 1; its syndrome decodes to it, as a data abort with CM;
//! - the encoding of an instruction decodes to it.

use crate::bits::{bit, mask, pick};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::machine::Machine;
use crate::memory::{Contents, Failed, Memory, Tables, View};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::iss::{Direction, Par, Syndrome};
use arm_arch::sysreg::ScrEl3;
use arm_arch::{ExceptionLevel, SysRegId, Va};
use mmu_xlate::vmsa::{
    AtContext, AtExecution, AtOperation, Fault, Implementation, Located, Mapping, OutputAddress, Recorder,
    Regime, Registers, Space, Stage, Step, Translation, Translator, execute_at,
};

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Registers and features; the regime says whose registers are `own`, as all are.
    pub machine: Machine,
    /// The instruction, of [`AtOperation::ALL`].
    pub operation: u8,
    /// Bits 1:0: the level. 2: `PSTATE.PAN`. 7:3: Rt.
    pub who: u8,
    /// The load that fails.
    pub fails_at: u8,
    /// The operand.
    pub va: u64,
    /// An encoding.
    pub id: u16,
    /// Memory.
    pub contents: Contents,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        self.machine.fields(codec);
        codec.byte(&mut self.operation);
        codec.byte(&mut self.who);
        codec.byte(&mut self.fails_at);
        codec.word(&mut self.va);
        let mut bytes = self.id.to_le_bytes();
        bytes.iter_mut().for_each(|byte| codec.byte(byte));
        self.id = u16::from_le_bytes(bytes);
        self.contents.fields(codec);
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    input.len() > 200
}

/// Listens, so that no walk takes the short way.
struct Listener;

impl Recorder for Listener {
    fn record(&mut self, _: Step) {}
}

impl Case {
    /// Returns the level of who executes, one that exists.
    fn level(&self, implementation: &Implementation, registers: &Registers) -> ExceptionLevel {
        let enabled = !implementation.el3 || ScrEl3::from_bits(registers.scr_el3).ns();
        match self.who & 3 {
            0 => ExceptionLevel::El0,
            2 if implementation.el2 && enabled => ExceptionLevel::El2,
            3 if implementation.el3 => ExceptionLevel::El3,
            _ => ExceptionLevel::El1,
        }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let memory = Memory::new(&self.contents, Tables::Arm);
        let (registers, implementation) = (self.machine.registers(), self.machine.implementation());
        let (name, operation) = pick(&AtOperation::ALL, self.operation);
        assert_eq!(AtOperation::decode(operation.id()), Some(operation), "{name}");
        let id = SysRegId::from_bits(self.id);
        assert!(AtOperation::decode(id).is_none_or(|decoded| decoded.id() == id));
        let context = AtContext { el: self.level(&implementation, &registers), pan: bit(self.who.into(), 2) };
        let (rt, va) = (self.who >> 3, Va::new(self.va));
        let machine = (&registers, &implementation);
        let ask = |view: &View<'_>, listens: bool| {
            if listens {
                execute_at::<Located, _, _>((operation, rt), va, context, machine, view, &mut Listener)
            } else {
                execute_at::<Located, _, _>((operation, rt), va, context, machine, view, &mut ())
            }
        };
        let view = memory.view();
        let Ok(found) = ask(&view, true) else { panic!("the host did not fail") };
        let loads = view.log.borrow().len();
        assert!(loads <= crate::vmsa_walk::MOST_LOADS, "{loads} loads");
        assert_eq!(ask(&memory.view(), true), Ok(found), "the same question, another answer");
        assert_eq!(ask(&memory.view(), false), Ok(found), "{name} by the short way");
        let at = usize::from(self.fails_at & 31);
        assert_eq!(ask(&memory.view().failing(at), true).is_err(), at < loads, "the host fails at load {at}");
        let target = match found {
            AtExecution::Par(_) => None,
            AtExecution::Undefined { target }
            | AtExecution::Trapped { target, .. }
            | AtExecution::Abort { target, .. } => Some(target),
        };
        if let Some(target) = target {
            assert!(target >= context.el && target != ExceptionLevel::El0, "{found:?} from {:?}", context.el);
            assert!(target != ExceptionLevel::El2 || implementation.el2, "{found:?} without EL2");
            assert!(target != ExceptionLevel::El3 || implementation.el3, "{found:?} without EL3");
        }
        let esr = found.esr(context.el);
        assert_eq!(esr.is_some(), target.is_some());
        match found {
            AtExecution::Undefined { .. } => {
                assert_eq!((loads, esr.map(|esr| esr.into_bits() >> 26)), (0, Some(0)))
            }
            AtExecution::Trapped { access, target } => {
                assert_eq!((loads, context.el, target), (0, ExceptionLevel::El1, ExceptionLevel::El2));
                assert_eq!((access.id, access.rt, access.direction), (operation.id(), rt, Direction::Write));
                assert_eq!(esr.map(Syndrome::decode), Some(Syndrome::SystemAccess(access)));
            }
            AtExecution::Abort { fault, access, target } => {
                assert_eq!(access, operation.access(context.pan));
                let tables = fault.stage == Stage::Two && fault.s1ptw && context.el == ExceptionLevel::El1;
                assert!(tables || fault.status.is_external(), "{fault:?} of {name}");
                assert!(!tables || target >= ExceptionLevel::El2, "{fault:?} to {target:?}");
                let Some(Syndrome::DataAbort(_, abort)) = esr.map(Syndrome::decode) else {
                    panic!("{esr:?}")
                };
                assert_eq!(
                    (abort.status(), abort.s1ptw(), abort.cm()),
                    (Some(fault.status), fault.s1ptw, true)
                );
            }
            AtExecution::Par(par) => self.par(operation, par, context, machine, &memory),
        }
    }

    /// Checks `PAR_EL1` against translations.
    fn par(
        &self,
        operation: AtOperation,
        par: u128,
        context: AtContext,
        (registers, implementation): (&Registers, &Implementation),
        memory: &Memory<'_>,
    ) {
        // op1 and op2 tell the level and both stages. Arm ARM, AT.
        let both = operation.id().op1() == 4 && operation.id().op2() >= 4;
        let regimes: &[Regime] = match (operation.id().op1(), both) {
            (6, _) => &[Regime::El3],
            (4, false) => &[Regime::El2, Regime::El2And0],
            _ => &[Regime::El1And0, Regime::El2And0],
        };
        let access = operation.access(context.pan);
        let found = regimes.iter().any(|regime| {
            let translator = Translator::new(*regime, registers, implementation);
            let (view, va) = (memory.view(), Va::new(self.va));
            let answer: Result<Translation<Located>, Failed> = if both {
                translator.translate(va, access, &view, &mut ())
            } else {
                translator.translate_stage_1(va, access, &view, &mut ())
            };
            match answer {
                Ok(Translation::Mapped(mapping)) => succeeds(par, &mapping, registers),
                Ok(Translation::Fault(fault)) => fails(par, &fault),
                Err(Failed) => panic!("the host did not fail"),
            }
        });
        assert!(found, "{par:#x} of {operation:?} in none of {regimes:?}");
    }
}

/// Whether a value of `PAR_EL1` is that of a mapping.
fn succeeds(par: u128, mapping: &Mapping<Located>, registers: &Registers) -> bool {
    let Par::Success(low) = Par::decode(par as u64) else { return false };
    let output = mapping.output.number();
    let address = if par >> 64 & 1 == 1 {
        (par >> 76 & u128::from(mask(44))) as u64 == output >> 12
    } else {
        low.into_bits() & mask(52) & !mask(12) == output & mask(52) & !mask(12)
    };
    let secure = mapping.space == Space::NonSecure && !ScrEl3::from_bits(registers.scr_el3).ns();
    let attributes =
        (low.attr(), low.sh()) == (mapping.attributes.byte(), mapping.attributes.shareability().encode());
    address && attributes && (!low.ns() || secure || mapping.space != Space::Secure)
}

/// Whether it is that of a fault.
fn fails(par: u128, fault: &Fault) -> bool {
    let decoded = Par::decode(par as u64);
    let Par::Fault(low) = decoded else { return false };
    decoded.status() == Some(fault.status)
        && low.s() == (fault.stage == Stage::Two)
        && low.ptw() == fault.s1ptw
}
