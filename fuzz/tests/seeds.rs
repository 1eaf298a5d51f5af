//! Every target over its seeds: what libFuzzer starts from, without libFuzzer.

use xarch_fuzz::codec::Input;
use xarch_fuzz::{TARGETS, seeds, vmsa_walk};

#[test]
fn every_target_holds_for_its_seeds() {
    for (name, fuzz) in TARGETS {
        let seeds = seeds::of(name).expect("the vectors can be read");
        let kept = seeds
            .iter()
            .enumerate()
            .filter(|(number, seed)| {
                std::panic::catch_unwind(|| fuzz(seed)).unwrap_or_else(|_| panic!("{name}: seed {number}"))
            })
            .count();
        println!("{name}: {} seeds, {kept} worth keeping", seeds.len());
        assert!(
            seeds.len() >= 20 && kept * 10 >= seeds.len() * 9,
            "{name}: {} seeds, {kept} kept",
            seeds.len()
        );
    }
}

#[test]
fn a_seed_is_read_as_it_was_written() {
    let seeds = seeds::of("vmsa_walk").expect("the vectors can be read");
    for seed in seeds {
        let case = vmsa_walk::Case::read(&mut arbitrary::Unstructured::new(&seed));
        assert_eq!(case.write(), seed);
    }
}
