//! Writes the seeds of all targets, or of those named: `seeds DIRECTORY [TARGET…]`, a directory each.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((directory, wanted)) = arguments.split_first() else {
        eprintln!("usage: seeds DIRECTORY [TARGET…]");
        return ExitCode::from(2);
    };
    for (name, _) in xarch_fuzz::TARGETS {
        if wanted.is_empty() || wanted.iter().any(|target| target == name) {
            if let Err(error) = write(&Path::new(directory).join(name), name) {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn write(directory: &Path, target: &str) -> Result<(), String> {
    let seeds = xarch_fuzz::seeds::of(target)?;
    std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(directory.join(format!("seed-{number:05}")), seed)
            .map_err(|error| error.to_string())?;
    }
    println!("{target}: {} seeds", seeds.len());
    Ok(())
}
