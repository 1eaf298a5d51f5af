//! First inputs: the vectors and tables that the project carries, told as the targets read them.

mod arch;
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
    Ok(match target {
        "vmsa_walk" => vmsa::walks()?,
        "dat_walk" => dat::walks()?,
        "combined_walk" => vmsa::over_a_host()?,
        "at" => vmsa::instructions()?,
        "tlbi" => vmsa::maintenance()?,
        "esr" => arch::syndromes(),
        "a64_decode" => arch::instructions(),
        "sysreg_access" => arch::accesses(),
        "id_write" => arch::models(),
        "icc" => arch::patterns(320),
        "exception_entry_return" => arch::patterns(106),
        other => return Err(format!("{other} is no target")),
    })
}

/// Returns a file of the walkers' vectors.
fn vectors(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/mmu-xlate/tests/vectors").join(name)
}
