//! First inputs: the vectors that the project carries, told as the targets read them.

mod dat;
mod vmsa;

use std::path::PathBuf;

/// Inputs of a target.
pub type Seeds = Vec<Vec<u8>>;

/// Returns the seeds of a target, the same on every machine.
///
/// # Errors
///
/// What is wrong with a file of vectors.
pub fn of(target: &str) -> Result<Seeds, String> {
    match target {
        "dat_walk" => dat::walks(),
        "vmsa_walk" => vmsa::walks(),
        _ => Ok(Vec::new()),
    }
}

/// Returns a file of the walkers' vectors.
fn vectors(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/mmu-xlate/tests/vectors").join(name)
}
