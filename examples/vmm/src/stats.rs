//! What `--stats` prints: counters of every layer, laid out for a person.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use xarch_abi::{Exit, TraceEvent};

/// Exits that reached the guest side, by exception class.
#[derive(Debug)]
pub struct Counters {
    classes: [AtomicU64; 64],
}

impl Default for Counters {
    fn default() -> Self {
        Self { classes: [const { AtomicU64::new(0) }; 64] }
    }
}

impl Counters {
    /// Counts an event.
    pub fn count(&self, event: TraceEvent) {
        let syndrome = match event {
            TraceEvent::Exit(Exit::Trap(trap), _) => trap.syndrome,
            TraceEvent::Exit(Exit::Access(access), _) => access.trap.syndrome,
            TraceEvent::Exit(
                Exit::Spurious
                | Exit::Timer(_)
                | Exit::Maintenance
                | Exit::Stop
                | Exit::Invalid(_)
                | Exit::Unknown(_),
                _,
            )
            | TraceEvent::Mapped(_) => return,
        };
        // EC, [31:26].
        if let Some(count) = usize::try_from((syndrome >> 26) & 63).ok().and_then(|ec| self.classes.get(ec)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counters of one vCPU.
#[derive(Clone, Copy, Debug)]
pub struct VcpuReport {
    /// The driver's.
    pub driver: s390_host::Statistics,
    /// The model's and the engine's.
    pub model: sae_model::Statistics,
}

/// Everything that was counted.
#[derive(Debug)]
pub struct Report {
    wall: Duration,
    classes: Vec<(usize, u64)>,
    vcpus: Vec<VcpuReport>,
}

impl Report {
    /// Gathers the counters at the end of a run.
    #[must_use]
    pub fn new(wall: Duration, counters: &Counters, vcpus: Vec<VcpuReport>) -> Self {
        let classes = counters.classes.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        Self { wall, classes: classes.filter(|(_, count)| *count != 0).collect(), vcpus }
    }

    fn sum(&self, what: impl Fn(&VcpuReport) -> u64) -> u64 {
        self.vcpus.iter().map(what).fold(0, u64::wrapping_add)
    }
}

/// Interception codes, as the sources name them.
const CODES: [&str; 12] = [
    "spurious",
    "validity",
    "host access",
    "synchronous exception",
    "timer",
    "PE intercomm",
    "guest address size",
    "stop",
    "code 0x08",
    "PMU",
    "maintenance",
    "unknown",
];

/// Returns the name of an exception class. Arm ARM, ESR_EL2.
const fn class(ec: usize) -> &'static str {
    match ec {
        0x00 => "unknown reason",
        0x01 => "WFI or WFE",
        0x07 => "FP access",
        0x15 => "SVC",
        0x16 => "HVC",
        0x17 => "SMC",
        0x18 => "system register or instruction",
        0x1a => "ERET",
        0x20 => "instruction abort",
        0x24 => "data abort",
        _ => "",
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "figures for a person")]
fn ratio(part: u64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part as f64 / whole }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row =
            |f: &mut fmt::Formatter<'_>, name: &str, value: u64| writeln!(f, "  {name:<38} {value:>16}");
        let seconds = self.wall.as_secs_f64();
        let instructions = self.sum(|vcpu| vcpu.model.engine.instructions);
        let accesses = self.sum(|vcpu| vcpu.model.engine.accesses);
        let misses = self.sum(|vcpu| vcpu.model.engine.misses);
        writeln!(f, "statistics: {} vCPUs, {seconds:.3} s", self.vcpus.len())?;
        row(f, "SAE entries", self.sum(|vcpu| vcpu.driver.entries))?;
        for (code, name) in CODES.iter().enumerate() {
            let count = self.sum(|vcpu| vcpu.driver.interceptions.get(code).copied().unwrap_or(0));
            if count != 0 {
                row(f, &format!("interception {code:#04x} {name}"), count)?;
            }
        }
        for (ec, count) in &self.classes {
            row(f, &format!("exception class {ec:#04x} {}", class(*ec)), *count)?;
        }
        row(f, "memory faults resolved", self.sum(|vcpu| vcpu.driver.faults_resolved))?;
        row(f, "DAT walks", self.sum(|vcpu| vcpu.model.dat_walks))?;
        row(f, "stage-1 walks", self.sum(|vcpu| vcpu.model.engine.walks))?;
        row(f, "memory accesses", accesses)?;
        row(f, "TLB misses", misses)?;
        #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "figures for a person")]
        let hit_rate = if accesses == 0 {
            100.0
        } else {
            100.0 * ratio(accesses.saturating_sub(misses), accesses as f64)
        };
        writeln!(f, "  {:<38} {hit_rate:>15.3}%", "TLB hit rate")?;
        row(f, "blocks decoded", self.sum(|vcpu| vcpu.model.engine.decoded))?;
        row(f, "blocks executed", self.sum(|vcpu| vcpu.model.engine.blocks))?;
        row(f, "guest instructions", instructions)?;
        writeln!(f, "  {:<38} {:>16.1}", "MIPS, of wall time", ratio(instructions, seconds * 1e6))
    }
}
