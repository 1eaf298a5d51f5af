//! What a run means: the state right after the case's last instruction, or right after the exception
//! one of them took. Engine and reference results are brought to this form by the same function.

use super::announced::{Class, classify};
use super::case::{Case, Raw, State, Stop, WINDOW_WORDS, word};
use super::env::{self, Env};
use super::memory_form;

/// The result of a case in comparable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state after.
    pub state: State,
    /// The data window after.
    pub window: [u64; WINDOW_WORDS],
    /// [`env::digest`] of the data pages outside the window.
    pub outside: u64,
    /// How it ended.
    pub end: End,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All instructions completed.
    Completed,
    /// An instruction took an exception to EL1: its class.
    Exception(u64),
    /// The run ended in a way no case is meant to.
    Strange(String),
    /// Nothing is to be learnt from the reference here, for a reason that [`correct_reference`] names.
    Unasked,
}

/// PSTATE bits that the announced set does not have, BTYPE and TCO, which the reference keeps.
const PSTATE_MASK: u64 = !(3 << 10 | 1 << 25);
/// SPSR bits of the announced set: NZCV, DIT, UAO, PAN, SS, IL, SSBS, DAIF, M. The others are RES0, which software
/// may find to keep what it wrote, or not.
const SPSR_MASK: u64 = 0xf1f0_13df;
/// ESR bits of the announced set: none of ISS2.
const ESR_MASK: u64 = 0xffff_ffff;
/// FPCR bits of the announced set: AHP, DN, FZ, RMode. The reference has FZ16.
const FPCR_MASK: u64 = 0x07c0_0000;
/// FPSR bits of the announced set: QC and the cumulative flags. NZCV are AArch32's.
const FPSR_MASK: u64 = 0x0800_009f;

const EC_SHIFT: u32 = 26;

/// Brings a run's result to comparable form.
#[must_use]
pub fn normalise(case: &Case, raw: Raw) -> Outcome {
    let mut outcome =
        Outcome { state: raw.state, window: raw.window, outside: raw.outside, end: End::Completed };
    match raw.stop {
        Stop::WaitFor => outcome.state.0[word::PC] += 4,
        Stop::Smc(env::FILLER_SMC) => {}
        Stop::Smc(number) if number & !15 == env::VECTOR_SMC => taken_to_el1(case, &mut outcome),
        Stop::Smc(number) => outcome.end = End::Strange(format!("SMC #{number:#x}")),
        Stop::Other(what) => outcome.end = End::Strange(what),
    }
    outcome.state.0[word::PSTATE] &= PSTATE_MASK;
    outcome.state.0[word::SPSR_EL1] &= SPSR_MASK;
    outcome.state.0[word::ESR_EL1] &= ESR_MASK;
    outcome.state.0[word::FPCR] &= FPCR_MASK;
    outcome.state.0[word::FPSR] &= FPSR_MASK;
    outcome
}

/// An exception from outside the case means that the case completed before: at EL0 the filler itself
/// is UNDEFINED, and a branch may have gone where nothing can be fetched.
fn taken_to_el1(case: &Case, outcome: &mut Outcome) {
    let state = &mut outcome.state.0;
    let class = state[word::ESR_EL1] >> EC_SHIFT & 0x3f;
    let from = state[word::ELR_EL1];
    // The return address of SVC is that of the next instruction.
    let instruction = if class == 0x15 { from.wrapping_sub(4) } else { from };
    if case.word_at(instruction).is_some() {
        outcome.end = End::Exception(class);
        return;
    }
    if !matches!(class, 0x00 | 0x0e | 0x20 | 0x21 | 0x22) {
        outcome.end = End::Strange(format!("exception class {class:#04x} at {from:#x}"));
        return;
    }
    state[word::PC] = from;
    state[word::PSTATE] = state[word::SPSR_EL1];
    for register in [word::ESR_EL1, word::ELR_EL1, word::FAR_EL1, word::SPSR_EL1] {
        state[register] = case.state.0[register];
    }
}

/// Takes an exception to EL1 with this syndrome at the state's PC. Arm ARM, AArch64.TakeException.
fn take_exception(env: Env, state: &mut State, syndrome: u64) {
    const KEPT: u64 = 0xf << 28 | 1 << 24 | 1 << 22; // NZCV, DIT, PAN
    let before = state.0[word::PSTATE];
    let vector = match (state.el(), before & 1) {
        (0, _) => 0x400,
        (_, 0) => 0,
        _ => 0x200,
    };
    let pan = u64::from(env.exception_sets_pan()) << 22;
    let ssbs = u64::from(env.exception_ssbs()) << 12;
    state.0[word::SPSR_EL1] = before;
    state.0[word::ELR_EL1] = state.0[word::PC];
    state.0[word::ESR_EL1] = syndrome;
    state.0[word::PSTATE] = before & KEPT | pan | ssbs | 0x3c0 | 5;
    state.0[word::PC] = env.vbar_el1() + vector;
}

/// What an UNDEFINED instruction leaves: exception class 0, nothing else touched.
#[must_use]
pub fn undefined(case: &Case) -> Outcome {
    let mut state = case.state;
    take_exception(case.env, &mut state, 1 << 25);
    let stop = Stop::Smc(env::VECTOR_SMC);
    normalise(case, Raw { state, window: case.window, outside: 0, stop })
}

/// Corrects the reference where it is known to depart from the architecture. Returns the names of the
/// corrections.
///
/// * `sp-alignment`: QEMU makes no SP alignment check. AArch64.SPAlignmentFault, for every load and store whose
///   base is a misaligned SP while SCTLR_EL1.SA or SA0 is set; prefetches are exempt.
/// * `ldapr-alignment`: QEMU 7.2 lets LDAPR be unaligned. Without FEAT_LSE2 a load-acquire must be aligned
///   (Arm ARM, "Alignment of data accesses").
/// * `exception-pstate`: QEMU clears PSTATE.{N,Z,C,V,DIT} when it takes an exception; AArch64.TakeException
///   leaves them as they are.
/// * `atomic-wnr`: on a Data Abort of an atomic access QEMU may set ESR_EL1.WnR. The manual (ESR_ELx, ISS of
///   Data Aborts, WnR): it is 0 when a read of the address would have faulted too. A load-exclusive is a read.
/// * `msr-immediate-iss`: QEMU exchanges op1 and op2 in the syndrome of a trapped `MSR (immediate)`.
/// * `illegal-return`: on an illegal exception return PAN becomes that of SPSR (SetPSTATEFromPSR); QEMU keeps it.
pub fn correct_reference(case: &Case, outcome: &mut Outcome) -> Vec<&'static str> {
    if let Some((name, syndrome, far)) = missed_alignment_fault(case, outcome) {
        if case.code.len() > 1 {
            outcome.end = End::Unasked;
            return vec![name];
        }
        let mut state = case.state;
        take_exception(case.env, &mut state, syndrome);
        state.0[word::FAR_EL1] = far.unwrap_or(state.0[word::FAR_EL1]);
        let (window, stop) = (case.window, Stop::Smc(env::VECTOR_SMC));
        *outcome = normalise(case, Raw { state, window, outside: 0, stop });
        return vec![name];
    }
    if is_illegal_return(case, outcome) {
        let state = &mut outcome.state.0;
        state[word::PSTATE] = state[word::PSTATE] & !PAN | case.state.0[word::SPSR_EL1] & PAN;
        return vec!["illegal-return"];
    }
    let End::Exception(class) = outcome.end else { return Vec::new() };
    let mut names = Vec::new();
    let state = &mut outcome.state.0;
    let kept = state[word::SPSR_EL1] & (0xf << 28 | 1 << 24);
    if state[word::PSTATE] & kept != kept {
        state[word::PSTATE] |= kept;
        names.push("exception-pstate");
    }
    if matches!(class, 0x24 | 0x25) && is_read_fault_of_atomic(case, outcome) {
        outcome.state.0[word::ESR_EL1] &= !WNR;
        names.push("atomic-wnr");
    }
    if let (0x18, Some(at)) = (class, case.word_at(outcome.state.0[word::ELR_EL1])) {
        if let Class::Announced(row) = classify(at) {
            if row.class() == "pstate" {
                let (op1, crm, op2) =
                    (u64::from(at >> 16 & 7), u64::from(at >> 8 & 15), u64::from(at >> 5 & 7));
                let iss = op2 << 17 | op1 << 14 | 4 << 10 | 31 << 5 | crm << 1;
                outcome.state.0[word::ESR_EL1] = 0x18 << EC_SHIFT | 1 << 25 | iss;
                names.push("msr-immediate-iss");
            }
        }
    }
    names
}

const PAN: u64 = 1 << 22;

/// Returns the bits of PSTATE that are UNKNOWN after this outcome: {DIT,UAO,SSBS} after an illegal exception
/// return (SetPSTATEFromPSR).
#[must_use]
pub fn unknown_pstate(case: &Case, outcome: &Outcome) -> u64 {
    if is_illegal_return(case, outcome) { 1 << 24 | 1 << 23 | 1 << 12 } else { 0 }
}

/// Is true for an ERET at EL1 to a mode that is not EL0, EL1t or EL1h.
fn is_illegal_return(case: &Case, outcome: &Outcome) -> bool {
    let mode = case.state.0[word::SPSR_EL1] & 0x1f;
    case.code == [0xD69F_03E0]
        && case.state.el() == 1
        && outcome.end == End::Completed
        && !matches!(mode, 0 | 4 | 5)
}

/// Returns the alignment fault that the reference does not have: name, syndrome, FAR. In a sequence only
/// the last instruction accesses memory, and what the reference found in its base register is still there, unless
/// it loaded the base register itself: then nobody knows whether it was aligned.
fn missed_alignment_fault(case: &Case, outcome: &Outcome) -> Option<(&'static str, u64, Option<u64>)> {
    let word = *case.code.last()?;
    let Class::Announced(row) = classify(word) else { return None };
    let form = memory_form::of(word, row)?;
    let reached = match outcome.end {
        End::Completed => true,
        End::Exception(class) => {
            outcome.state.0[word::ELR_EL1] == case.end() - 4 && class != 0x07 && class != 0
        }
        _ => false,
    };
    let alone = case.code.len() == 1;
    let before = if alone { &case.state } else { &outcome.state };
    let base = before.0[case.state.base(form.rn)];
    if !reached || row.mnemonic().starts_with("PRF") || row.mnemonic().starts_with("RPRF") {
        return None;
    }
    if form.rn == 31 && base & 15 != 0 {
        return Some(("sp-alignment", 0x26 << EC_SHIFT | 1 << 25, None));
    }
    let unknown = !alone && form.rn == word & 31;
    if row.mnemonic().starts_with("LDAPR") && (unknown || base & (form.alignment - 1) != 0) {
        let class = if case.state.el() == 0 { 0x24 } else { 0x25 };
        return Some(("ldapr-alignment", class << EC_SHIFT | 1 << 25 | 0x21, Some(base)));
    }
    None
}

const WNR: u64 = 1 << 6;

/// Is true for a Data Abort with WnR = 1 of an atomic instruction whose read would have faulted.
fn is_read_fault_of_atomic(case: &Case, outcome: &Outcome) -> bool {
    let state = &outcome.state.0;
    let Some(at) = case.word_at(state[word::ELR_EL1]) else { return false };
    let Class::Announced(row) = classify(at) else { return false };
    let load_exclusive = row.class().starts_with("ldstexcl") && at >> 22 & 1 == 1;
    let atomic = matches!(row.class(), "comswap" | "comswappr")
        || (row.class() == "memop" && !row.mnemonic().starts_with("LDAPR"));
    let permission = state[word::ESR_EL1] & 0x3c == 0x0c;
    let address = state[word::FAR_EL1];
    let read_only =
        address & !0xfff == env::PAGE_C || (env::CODE..env::CODE + env::CODE_BYTES).contains(&address);
    let vectors = case.state.el() == 1 && address & !0xfff == env::VECTORS;
    let readable = permission && (read_only || vectors);
    state[word::ESR_EL1] & WNR != 0 && (load_exclusive || (atomic && !readable))
}

/// Returns whether memory and destination registers may differ after this outcome: a Data Abort in an
/// instruction that makes several accesses, or in an unaligned one across pages.
/// Arm ARM, "Requirements for single-copy atomicity", "Definition of a precise exception and imprecise exception".
#[must_use]
pub fn is_partial(case: &Case, outcome: &Outcome) -> bool {
    let End::Exception(0x24 | 0x25) = outcome.end else { return false };
    let Some(at) = case.word_at(outcome.state.0[word::ELR_EL1]) else { return false };
    let Class::Announced(row) = classify(at) else { return false };
    memory_form::of(at, row).is_some_and(|form| form.several || form.bytes > 1)
}
