//! The walker against the answers of Arm's executable specification.
//!
//! `vectors/README.md` describes the file. Every query is asked: nothing is skipped.
#![cfg(feature = "vmsa")]
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test")]

use flate2::read::GzDecoder;
use mmu_xlate::vmsa::{Recorder, Rule, Step, TableCache};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use testkit::vectors::vmsa::{Asked, Case, settled};

const VECTORS: &[u8] = include_bytes!("vectors/vmsa_public.jsonl.gz");

fn cases() -> impl Iterator<Item = Case> {
    BufReader::new(GzDecoder::new(VECTORS)).lines().map(|line| Case::parse(&line.unwrap()).unwrap())
}

#[test]
fn every_query_answers_what_the_executable_specification_answers() {
    let (mut total, mut queries, mut failures) = (0, 0, Vec::new());
    let mut by_feature: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in cases() {
        total += 1;
        for query in &case.queries {
            queries += 1;
            let result = case.check(query);
            for feature in &case.features {
                let count = by_feature.entry(feature.clone()).or_default();
                count.0 += usize::from(result.is_ok());
                count.1 += usize::from(result.is_err());
            }
            if let Err(difference) = result {
                failures.push(format!("{} {:?} {}\n   {difference}", case.id, case.features, query.text));
            }
        }
    }
    let failed = failures.len();
    println!("{total} cases, {queries} queries: {} passed, {failed} failed", queries - failed);
    println!("by feature (passed, failed): {by_feature:?}");
    assert_eq!((total, queries), (6049, 35_550), "the file is whole");
    let show = std::env::var("SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    assert!(failures.is_empty(), "{failed} failures:\n{}", failures[..failed.min(show)].join("\n"));
}

/// How often stage 2 did not have to be asked.
#[derive(Default)]
struct Hits(usize);

impl Recorder for Hits {
    fn record(&mut self, step: Step) {
        self.0 += usize::from(matches!(step, Step::Decided { rule: Rule::FromCache, .. }));
    }
}

#[test]
fn a_cache_of_table_addresses_changes_no_answer() {
    let mut hits = Hits::default();
    for case in cases() {
        let (translator, memory, written) = (case.translator(), case.words(), case.words());
        // Two places: entries push each other out.
        let mut cache = TableCache::<2>::new();
        let mut updating = TableCache::<64>::new();
        for query in &case.queries {
            let Asked::Access(access, _) = query.asked else { continue };
            let at = format!("{} {}", case.id, query.text);
            for _ in 0..2 {
                let plain = translator.translate(query.va, access, &memory, &mut ());
                let cached = translator.translate_cached(query.va, access, &memory, &mut hits, &mut cache);
                assert_eq!(plain, cached, "{at}");
            }
            // The tables settle as they are walked: the answers of both stay the same on the way.
            let Ok(plain) = translator.translate(query.va, access, &written, &mut ());
            let Ok(cached) =
                translator.translate_updating_cached(query.va, access, &written, &mut hits, &mut updating);
            assert_eq!(settled(plain), cached, "{at}");
        }
    }
    println!("{} addresses of tables came from the cache", hits.0);
    assert!(hits.0 > 1_000, "{} hits", hits.0);
}
