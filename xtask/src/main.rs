//! The workspace's own commands: `cargo xtask COMMAND`. Each prints the command lines it runs.

mod abi;
mod bench;
mod bench_decode;
mod bench_exit;
mod checks;
mod citations;
mod console;
mod cross;
mod demo;
mod emulator;
mod fetch;
mod field_docs;
mod fuzz;
mod generate;
mod generate_a64;
mod guest;
mod md5;
mod msrv;
mod oracle;
mod oracle_a64;
mod oracle_at;
mod oracle_exception;
mod oracle_gic;
mod oracle_id;
mod oracle_lra;
mod oracle_run;
mod panic_free;
mod run_host;
mod shell;
mod steps;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo          boot Debian's arm64 kernel to a shell (--smoke: unattended)
  test          everything that is checked before a change goes in (--quick, --target s390x)
  ci            the same, with versions; .ci/run calls it
  fmt lint doc rules
                one step of it (rules: dependencies, unsafe code, no_std)
  check header  whether include/xarch.h is what its sources say (--write: make it)
  check citations
                whether the public items of arm-arch say where the manual or the tables have them, and of fields which
                bits
  check panic-free
                link the static library whole: no panic, no allocator, little stack (--help for options)
  generate      make source files from data/ (--check: only say whether they are up to date)
  bench         speed against QEMU in one run (engine, exit, boot; --json FILE)
  bench exit    also what the core does between an exit and the next entry (--json FILE)
  bench walk    translation against a raw chain of the same loads (--json FILE)
  bench decode  instructions and time to decode a word, against disarm64 (--json FILE)
  fuzz          run the targets of fuzz/ (--help for options)
  oracle insn   compare single instructions with QEMU (--help for options)
  oracle at     compare Arm address translation with QEMU (--help for options)
  oracle lra    compare z/Architecture address translation with QEMU (--help for options)
  oracle exception
                compare exception entry, return, routing and debug exceptions with QEMU (--help for options)
  oracle gic    compare the interrupt controller's CPU interface with QEMU (--help for options)
  oracle a64    compare the decoder with objdump and LLVM (--help for options)
  oracle id     read identification registers of QEMU's CPUs (--check: compare with data/)
  guest         build a guest of our own, and say where it is: transcript
  run-host      build and run a host under QEMU: bare-metal-arm64, bare-metal-s390x, linux-module; or transcripts,
                the same guest on all of them (HOST --help: more)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match command {
        "bench" if rest.first().is_some_and(|kind| kind == "decode") => bench_decode::run(&rest[1..]),
        "bench" if rest.first().is_some_and(|kind| kind == "walk") => bench::walk(&rest[1..]),
        "bench" => bench::run(rest),
        "demo" => demo::run(rest),
        "test" => test::test(rest),
        "ci" => test::ci(),
        "fmt" => test::fmt(&rest.iter().map(String::as_str).collect::<Vec<_>>()),
        "lint" => test::lint(),
        "doc" => test::doc(),
        "rules" => test::rules(),
        "check" if rest.first().is_some_and(|what| what == "header") => abi::run(&rest[1..]),
        "check" if rest.first().is_some_and(|what| what == "citations") => citations::run(&rest[1..]),
        "check" if rest.first().is_some_and(|what| what == "panic-free") => panic_free::run(&rest[1..]),
        "fuzz" => fuzz::run(rest),
        "guest" => guest::run(rest),
        "generate" => generate::run(rest),
        "oracle" if rest.first().is_some_and(|kind| kind == "a64") => oracle_a64::run(&rest[1..]),
        "oracle" if rest.first().is_some_and(|kind| kind == "id") => oracle_id::run(&rest[1..]),
        "oracle" if rest.first().is_some_and(|kind| kind == "gic") => oracle_gic::run(&rest[1..]),
        "oracle" if rest.first().is_some_and(|kind| kind == "at") => oracle_at::run(&rest[1..]),
        "oracle" if rest.first().is_some_and(|kind| kind == "exception") => oracle_exception::run(&rest[1..]),
        "oracle" if rest.first().is_some_and(|kind| kind == "lra") => oracle_lra::run(&rest[1..]),
        "oracle" => oracle::run(rest),
        "run-host" => run_host::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => {
            eprint!("{USAGE}");
            eprintln!("xtask: unknown command '{other}'");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
