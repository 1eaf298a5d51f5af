//! Comparing outcomes, and saying readably what differs.

use super::announced::{Class, classify};
use super::case::{Case, State, WINDOW_WORDS, word};
use super::env;
use super::memory_form;
use super::outcome::{End, Outcome, is_partial, unknown_pstate};
use super::table::Table;
use core::fmt::Write as _;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Register or address.
    pub what: String,
    /// The reference's value.
    pub want: String,
    /// The engine's value.
    pub got: String,
}

/// Returns what a case changes: `want` is the value before, `got` the value after.
#[must_use]
pub fn changes(case: &Case, after: &Outcome) -> Vec<Difference> {
    let before = Outcome { state: case.state, window: case.window, outside: 0, end: End::Completed };
    let mut list = registers(&before, after, &[]);
    list.extend(memory(&before, after));
    list
}

/// Returns what differs between the reference's outcome and the engine's; nothing when they agree.
#[must_use]
pub fn differences(case: &Case, want: &Outcome, got: &Outcome) -> Vec<Difference> {
    let mut list = Vec::new();
    if want.end == End::Unasked {
        return list;
    }
    if want.end != got.end {
        list.push(difference("end", format!("{:x?}", want.end), format!("{:x?}", got.end)));
    }
    let partial = want.end == got.end && is_partial(case, want);
    let unknown = if partial { destinations(case, want) } else { Vec::new() };
    let mut want = want.clone();
    let unknown_pstate = unknown_pstate(case, &want);
    let pstate = &mut want.state.0[word::PSTATE];
    *pstate = *pstate & !unknown_pstate | got.state.0[word::PSTATE] & unknown_pstate;
    list.extend(registers(&want, got, &unknown));
    if !partial {
        list.extend(memory(&want, got));
    }
    list
}

fn registers(want: &Outcome, got: &Outcome, unknown: &[usize]) -> Vec<Difference> {
    let pairs = want.state.0.iter().zip(&got.state.0).enumerate();
    let differing = pairs.filter(|(index, (w, g))| w != g && !unknown.contains(index));
    differing
        .map(|(index, (w, g))| difference(&State::name(index), format!("{w:#018x}"), format!("{g:#018x}")))
        .collect()
}

fn memory(want: &Outcome, got: &Outcome) -> Vec<Difference> {
    let address = |index: usize| format!("[{:#x}]", env::WINDOW + 8 * index as u64);
    let differing = (0..WINDOW_WORDS).filter(|&index| want.window[index] != got.window[index]);
    let mut list: Vec<_> = differing
        .map(|i| {
            difference(&address(i), format!("{:#018x}", want.window[i]), format!("{:#018x}", got.window[i]))
        })
        .collect();
    if want.outside != got.outside {
        list.push(difference(
            "memory outside",
            format!("{:#x}", want.outside),
            format!("{:#x}", got.outside),
        ));
    }
    list
}

fn difference(what: &str, want: String, got: String) -> Difference {
    Difference { what: what.into(), want, got }
}

/// The destination registers of the load that aborted: UNKNOWN, except the base.
fn destinations(case: &Case, outcome: &Outcome) -> Vec<usize> {
    let Some(at) = case.word_at(outcome.state.0[word::ELR_EL1]) else { return Vec::new() };
    let Class::Announced(row) = classify(at) else { return Vec::new() };
    let Some(form) = memory_form::of(at, row) else { return Vec::new() };
    let vector = at >> 26 & 1 == 1;
    let structure = row.class().starts_with("asisdls");
    let count = if structure { 4 } else { 1 };
    let firsts = if structure { vec![at & 31] } else { vec![at & 31, at >> 10 & 31] };
    let registers = firsts.iter().flat_map(|&first| (0..count).map(move |n| ((first + n) % 32) as usize));
    if vector {
        registers.flat_map(|n| [word::V + 2 * n, word::V + 2 * n + 1]).collect()
    } else {
        registers.filter(|&n| n != form.rn as usize && n != 31).collect()
    }
}

/// Returns a report of one case: its words by name and fields, the registers it names, what differs.
#[must_use]
pub fn report(case: &Case, seed: u64, differences: &[Difference]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "case {} of seed {seed:#x}: EL{}, {:?}, {:?}",
        case.number,
        case.state.el(),
        case.env,
        case.peer
    );
    for (index, &word) in case.code.iter().enumerate() {
        let _ = writeln!(text, "  {:#x}: {word:08x}  {}", case.pc() + 4 * index as u64, describe(word));
    }
    for index in shown(case) {
        let _ = writeln!(text, "    {:<10} {:#018x}", State::name(index), case.state.0[index]);
    }
    for d in differences {
        let _ = writeln!(text, "  {:<16} want {}  got {}", d.what, d.want, d.got);
    }
    text
}

/// Returns a word's variant and fields.
#[must_use]
pub fn describe(word: u32) -> String {
    let Some(row) = Table::shared().decode(word) else { return "unallocated".into() };
    let fields: Vec<String> = row.fields.iter().map(|f| format!("{}={:#x}", f.name, f.of(word))).collect();
    format!("{} {}", row.name, fields.join(" "))
}

/// The words of the state that the case's instructions name.
fn shown(case: &Case) -> Vec<usize> {
    let mut list = vec![word::PSTATE, word::FPCR, word::FPSR, word::SP_EL0, word::SP_EL1];
    for &code in &case.code {
        let Some(row) = Table::shared().decode(code) else { continue };
        let vector = row.group.starts_with("simd_dp") || code >> 26 & 1 == 1;
        for f in row.fields.iter().filter(|f| f.name.starts_with('R') && f.high - f.low == 4) {
            let n = f.of(code) as usize;
            if vector {
                list.extend([word::V + 2 * n, word::V + 2 * n + 1]);
            }
            if n < 31 && (!vector || row.group.starts_with("ldst") || row.class().starts_with("float2")) {
                list.push(n);
            }
        }
    }
    list.sort_unstable();
    list.dedup();
    list
}
