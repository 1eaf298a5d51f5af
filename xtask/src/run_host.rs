//! `cargo xtask run-host`: the hosts that are no programs of an operating system, built and run under QEMU.

mod arm64;
mod kit;
mod linux_module;
mod s390x;
mod transcript;

pub use linux_module::KIT_ALWAYS;

/// A host: its name, what keeps it from running here, and what it can be asked to do.
struct Host {
    name: &'static str,
    missing: fn() -> Option<String>,
    run: fn(&[&str]) -> Result<(), String>,
}

const HOSTS: [Host; 5] = [
    Host { name: "bare-metal-arm64", missing: arm64::missing, run: arm64::run },
    Host { name: "bare-metal-s390x", missing: s390x::missing, run: s390x::run },
    Host { name: "kit", missing: || None, run: kit::run },
    Host { name: "linux-module", missing: linux_module::missing, run: linux_module::run },
    Host { name: "transcripts", missing: crate::guest::missing, run: transcript::run },
];

/// Runs the host that `arguments` begin with. An error unless its guest did what it should, also for want of a package.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let usage = || {
        let names: Vec<&str> = HOSTS.iter().map(|host| host.name).collect();
        format!("usage: cargo xtask run-host {} [--help | OPTIONS]", names.join(" | "))
    };
    match words.split_first() {
        Some((&("--help" | "-h"), _)) => {
            println!("{}", usage());
            Ok(())
        }
        Some((name, rest)) => {
            let host = HOSTS
                .iter()
                .find(|host| host.name == *name)
                .ok_or_else(|| format!("no host is called {name}\n{}", usage()))?;
            match (host.missing)() {
                Some(missing) => Err(format!("{name} cannot run here: {missing}")),
                None => (host.run)(rest),
            }
        }
        None => Err(format!("which host?\n{}", usage())),
    }
}

/// Throws away what hosts have said under the conformance kit, for `kit --collect`.
pub fn forget_verdicts() -> Result<(), String> {
    kit::forget()
}

/// Returns what keeps `host` from running here.
pub fn missing(host: &str) -> Option<String> {
    HOSTS.iter().find(|known| known.name == host).and_then(|known| (known.missing)())
}
