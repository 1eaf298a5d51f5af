//! Asks the walker what the reference was asked.

use super::case::{Answer, Case, MEMORY_END, Query, STAGE_1_TABLES};
use arm_arch::{ExceptionLevel, Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    AtContext, AtExecution, AtOperation, Fault, Implementation, Recorder, Registers, Step, execute_at,
};
use std::collections::BTreeMap;

/// A walk went to where the program and the devices are, whose contents are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

/// The memory of a case.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'c> {
    /// Its descriptors.
    pub words: &'c BTreeMap<u64, u64>,
}

impl TableMemory<Pa> for Memory<'_> {
    type Error = OutOfBounds;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, OutOfBounds> {
        match at.bits() {
            0..STAGE_1_TABLES => Err(OutOfBounds),
            at @ STAGE_1_TABLES..MEMORY_END => {
                Ok(Some(self.words.get(&at).copied().unwrap_or(0).to_le_bytes()))
            }
            MEMORY_END.. => Ok(None),
        }
    }
}

/// What a walk met.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

impl Recorder for Trace {
    fn record(&mut self, step: Step) {
        self.steps.push(step);
    }
}

/// Runs an AT at EL3 on memory of any kind.
///
/// # Errors
///
/// Whatever the memory fails with.
pub fn ask<M: TableMemory<Pa>>(
    query: Query,
    pan: bool,
    machine: (&Registers, &Implementation),
    memory: &M,
    trace: &mut Trace,
) -> Result<Answer, M::Error> {
    let context = AtContext { el: ExceptionLevel::El3, pan };
    let (_, operation): (_, AtOperation) = query.operation();
    Ok(match execute_at((operation, 0), Va::new(query.va), context, machine, memory, trace)? {
        AtExecution::Par(par) => Answer::Par(par as u64),
        AtExecution::Abort { fault, .. } => abort(&fault),
        AtExecution::Undefined { .. } => Answer::Exception(0, 0),
        AtExecution::Trapped { .. } => Answer::Exception(0x18, 0),
    })
}

/// Returns an abort taken at EL3.
fn abort(fault: &Fault) -> Answer {
    Answer::Exception(0x25, fault.status.encode() | u8::from(fault.s1ptw) << 7)
}

/// Asks a case's query as the architecture has it.
///
/// # Errors
///
/// When the walk leaves the memory of the case.
pub fn ask_case(
    case: &Case,
    query: Query,
    implementation: &Implementation,
) -> Result<(Answer, Trace), OutOfBounds> {
    let mut trace = Trace::default();
    let memory = Memory { words: &case.memory };
    let answer = ask(query, case.pan(), (&case.typed(), implementation), &memory, &mut trace)?;
    Ok((answer, trace))
}

/// Says what an answer is, for a count: a mapping, or kind, level and stage of the fault.
#[must_use]
pub fn describe(answer: Answer) -> String {
    let status = |code: u8| match arm_arch::FaultStatus::decode(code) {
        Some(status) => format!("{status:?}"),
        None => format!("status {code:#04x}"),
    };
    match answer {
        Answer::Par(par) if par & 1 == 0 => "mapped".into(),
        Answer::Par(par) => {
            let stage = match (par >> 9 & 1, par >> 8 & 1) {
                (0, _) => "stage 1",
                (_, 0) => "stage 2",
                _ => "stage 2 of tables",
            };
            format!("{stage}: {}", status((par >> 1 & 0x3f) as u8))
        }
        Answer::Exception(0x25, code) => {
            let whose = if code & 0x80 == 0 { "" } else { ", stage 2 of tables" };
            format!("exception: {}{whose}", status(code & 0x3f))
        }
        Answer::Exception(class, _) => format!("exception: class {class:#04x}"),
    }
}

/// Returns a walk as lines: where it starts, what it reads, where it ends.
#[must_use]
pub fn lines(trace: &Trace) -> Vec<String> {
    let shown = |step: &&Step| {
        matches!(step, Step::Start { .. } | Step::Descriptor { .. } | Step::Output { .. } | Step::Fault(_))
    };
    trace.steps.iter().filter(shown).map(|step| format!("{step:x?}")).collect()
}
