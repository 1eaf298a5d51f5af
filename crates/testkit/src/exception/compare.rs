//! Whether a record is what the functions say, and if not, by which known differences.

use super::case::{Case, RECORD_WORDS, Record};
use super::machine::Machine;
use super::pe::{COMMON, QUIRKS, Quirks, normalise, run};

/// What a comparison found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The same.
    Same,
    /// The same with this set of differences, the smallest that explains it.
    Explained(Quirks),
    /// Not the same: the words that differ, one bit each.
    Differs(u32),
}

/// Compares a record with what the functions say.
#[must_use]
pub fn judge(case: &Case, machine: &Machine, record: &Record) -> Verdict {
    let theirs = normalise(*record);
    let ours = run(case, machine, 0);
    if ours == theirs {
        return Verdict::Same;
    }
    let fits = |set: &Quirks| run(case, machine, *set) == theirs;
    // Those that change something alone are tried first; then what nearly every case shows, with up to five others.
    let all: Vec<Quirks> = QUIRKS.iter().map(|quirk| quirk.bit).collect();
    let alone: Vec<Quirks> = all.iter().copied().filter(|&q| run(case, machine, q) != ours).collect();
    let (common, rest): (Vec<Quirks>, Vec<Quirks>) = all.iter().partition(|&q| COMMON & q != 0);
    let found = subsets(&alone, 6).into_iter().find(fits).or_else(|| {
        let rest = subsets(&rest, 5);
        let sets = rest.iter().flat_map(|set| subsets(&common, 3).into_iter().map(move |more| set | more));
        sets.min_by_key(|set| (!fits(set), set.count_ones())).filter(fits)
    });
    match found {
        Some(set) => Verdict::Explained(set),
        None => {
            let differing = (0..RECORD_WORDS).filter(|&at| ours[at] != theirs[at]);
            Verdict::Differs(differing.fold(0, |set, at| set | 1 << at))
        }
    }
}

/// All sets of at most `limit` of these, also the empty one; smaller ones first.
fn subsets(of: &[Quirks], limit: u32) -> Vec<Quirks> {
    let mut sets: Vec<Quirks> = vec![0];
    for &bit in of {
        let more: Vec<Quirks> =
            sets.iter().filter(|set| set.count_ones() < limit).map(|set| set | bit).collect();
        sets.extend(more);
    }
    sets.sort_by_key(|set| set.count_ones());
    sets
}
