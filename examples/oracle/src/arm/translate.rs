//! `oracle translate`: an access of an Arm processing element through one stage or both.

use super::view::{View, space_text};
use crate::Error;
use crate::answer::Answer;
use crate::input::Given;
use crate::memory::Missing;
use arm_arch::sysreg::{GpccrEl3, HcrEl2, HcrxEl2, ScrEl3};
use arm_arch::{ExceptionLevel, Va};
use mmu_xlate::vmsa::{
    Access, AtContext, AtOperation, AtOutcome, Fault, GranuleProtection, GranuleRegisters, Guarded,
    Implementation, Located, Mapping, Recorder, Regime, Registers, Space, Step, Translation, Translator, at,
};
use serde_json::json;
use testkit::vectors::vmsa::{RegisterError, set_register};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The virtual address.
    pub va: u64,
    /// Registers and memory.
    pub given: Given,
    /// The regime, where it does not follow from the exception level.
    pub regime: Option<Regime>,
    /// The exception level of the access, or of the AT.
    pub el: ExceptionLevel,
    /// The access.
    pub access: Access,
    /// An AT instead of the access.
    pub at: Option<AtOperation>,
    /// What is implemented.
    pub implementation: Implementation,
    /// The security state, where SCR_EL3 is not given.
    pub security: Space,
    /// Descriptors without their bits.
    pub brief: bool,
}

/// A question with its registers read.
pub struct Machine {
    /// All registers, assumed ones among them.
    pub registers: Registers,
    implementation: Implementation,
    /// The regime that is asked.
    pub regime: Regime,
    /// The security state of EL2 and below.
    pub security: Space,
    /// The regime with its parameters read.
    pub translator: Translator,
    /// Granule protection.
    pub protection: GranuleProtection,
    /// What was assumed, in words.
    pub assumed: Vec<String>,
}

impl Question {
    fn machine(&self) -> Result<Machine, Error> {
        let mut registers = Registers::default();
        let mut assumed = Vec::new();
        let mut others = Vec::new();
        let mut granules = GranuleRegisters::default();
        for (name, value) in &self.given.registers {
            let granule = match name.as_str() {
                "GPCCR_EL3" => Some(&mut granules.gpccr_el3),
                "GPTBR_EL3" => Some(&mut granules.gptbr_el3),
                _ => None,
            };
            if let Some(register) = granule {
                *register = u64::try_from(*value)
                    .map_err(|_| Error::new(format!("register {name} {}", RegisterError::TooWide)))?;
                continue;
            }
            match set_register(&mut registers, name, *value) {
                Ok(()) => {}
                Err(RegisterError::Unknown) if super::sysreg::is_register(name) => others.push(name.as_str()),
                Err(error) => return Err(Error::new(format!("register {name} {error}"))),
            }
        }
        let given = |name: &str| self.given.registers.iter().any(|(known, _)| known == name);
        if !given("SCR_EL3") {
            // NS, NSE, EEL2, TCR2En.
            let state = match self.security {
                Space::NonSecure => ScrEl3::new().with_ns(true),
                Space::Secure => ScrEl3::new().with_eel2(true),
                Space::Realm => ScrEl3::new().with_ns(true).with_nse(true),
                Space::Root => ScrEl3::new().with_nse(true),
            };
            registers.scr_el3 = state.with_tcr2en(true).into_bits();
            assumed.push(format!("SCR_EL3 {:#x}: {}, TCR2En", registers.scr_el3, space_text(self.security)));
        }
        if !given("HCRX_EL2") {
            registers.hcrx_el2 = HcrxEl2::new().with_tcr2en(true).into_bits();
            assumed.push("HCRX_EL2 0x4000: TCR2En".into());
        }
        if !others.is_empty() {
            assumed.push(format!("translation does not read {}", others.join(", ")));
        }
        let regime = self.regime.unwrap_or_else(|| self.natural_regime(&registers));
        let mut implementation = self.implementation;
        if GpccrEl3::from_bits(granules.gpccr_el3).gpc() && !implementation.rme {
            implementation.rme = true;
            assumed.push("FEAT_RME: GPCCR_EL3.GPC is 1".into());
        }
        let protection = GranuleProtection::new(&granules, &implementation);
        let translator = Translator::new(regime, &registers, &implementation);
        let security = security(&registers, &implementation);
        Ok(Machine { registers, implementation, regime, security, translator, protection, assumed })
    }

    /// Returns the regime that an exception level uses. Arm ARM, TranslationRegime.
    fn natural_regime(&self, registers: &Registers) -> Regime {
        let hcr = HcrEl2::from_bits(registers.hcr_el2);
        let (e2h, tge) = (hcr.e2h() && self.implementation.vhe, hcr.tge());
        match self.el {
            ExceptionLevel::El0 if e2h && tge => Regime::El2And0,
            ExceptionLevel::El0 | ExceptionLevel::El1 => Regime::El1And0,
            ExceptionLevel::El2 if e2h => Regime::El2And0,
            ExceptionLevel::El2 => Regime::El2,
            ExceptionLevel::El3 => Regime::El3,
        }
    }
}

/// Returns the security state of EL2 and below. Arm ARM, SCR_EL3.NS, NSE.
fn security(registers: &Registers, implementation: &Implementation) -> Space {
    let scr = ScrEl3::from_bits(registers.scr_el3);
    match (scr.ns(), scr.nse() && implementation.rme) {
        _ if !implementation.el3 => Space::NonSecure,
        (false, false) => Space::Secure,
        (true, false) => Space::NonSecure,
        (_, true) => Space::Realm,
    }
}

/// All steps of a walk.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Recorder for Steps {
    fn record(&mut self, step: Step) {
        self.0.push(step);
    }
}

/// How it ended.
pub enum End {
    /// The access goes through.
    Mapped(Mapping<Located>),
    /// The access faults.
    Fault(Fault, Access),
    /// PAR_EL1 of an AT.
    Par(u128),
    /// It needs memory that nobody gave.
    Missing(Missing),
}

/// Answers.
///
/// # Errors
///
/// What is wrong with the question.
pub fn answer(question: &Question) -> Result<Answer, Error> {
    Ok(explain(&question.machine()?, question))
}

/// Explains a question about a machine whose registers were read elsewhere.
pub fn explain_case(
    case: &testkit::vectors::vmsa::Case,
    query: &testkit::vectors::vmsa::Query,
) -> Result<Answer, Error> {
    use testkit::vectors::vmsa::Asked;
    let mut given = Given::default();
    for (at, value) in &case.memory {
        given.memory.set(*at, *value)?;
    }
    given.memory.rest = crate::memory::Rest::Zero;
    let (access, at, el) = match query.asked {
        Asked::Access(access, el) => (access, None, el),
        Asked::At(operation, pan) => {
            (operation.access(pan).with_pan(pan), Some(operation), ExceptionLevel::El2)
        }
    };
    let question = Question {
        va: query.va.bits(),
        given,
        regime: Some(case.regime),
        el,
        access,
        at,
        implementation: case.implementation,
        security: Space::NonSecure,
        brief: false,
    };
    let machine = Machine {
        registers: case.registers,
        implementation: case.implementation,
        regime: case.regime,
        security: security(&case.registers, &case.implementation),
        translator: case.translator(),
        protection: GranuleProtection::new(&GranuleRegisters::default(), &case.implementation),
        assumed: Vec::new(),
    };
    Ok(explain(&machine, &question))
}

fn explain(machine: &Machine, question: &Question) -> Answer {
    let va = Va::new(question.va);
    let memory = &Guarded { memory: &question.given.memory, protection: &machine.protection };
    let mut steps = Steps::default();
    let end = match question.at {
        None => {
            match machine.translator.translate::<Located, _, _>(va, question.access, memory, &mut steps) {
                Ok(Translation::Mapped(mapping)) => End::Mapped(mapping),
                Ok(Translation::Fault(fault)) => End::Fault(fault, question.access),
                Err(missing) => End::Missing(missing),
            }
        }
        Some(operation) => {
            let context = AtContext { el: question.el, pan: question.access.pan };
            let machine = (&machine.registers, &machine.implementation);
            match at::<Located, _, _>(operation, va, context, machine, memory, &mut steps) {
                Ok(AtOutcome::Par(par)) => End::Par(par),
                Ok(AtOutcome::Abort(fault, access)) => End::Fault(fault, access),
                Err(missing) => End::Missing(missing),
            }
        }
    };
    let view = View { machine, question, steps: &steps.0 };
    let mut text = view.heading();
    view.walks(&mut text);
    let result = view.result(&end, &mut text);
    let json = json!({
        "question": view.question_json(),
        "walk": view.steps_json(),
        "answer": result,
    });
    let unfinished = match end {
        End::Missing(missing) => Some(missing.to_string()),
        End::Mapped(_) | End::Fault(..) | End::Par(_) => None,
    };
    Answer { text, json, unfinished }
}
