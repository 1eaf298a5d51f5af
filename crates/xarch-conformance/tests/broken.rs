//! Hosts with one fault each: the kit says which clause they break, and no other.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code"
)]

mod faults;
#[path = "broken/host.rs"]
mod host;
mod riscv;

use host::BrokenHost;
use riscv::Toy;
use xarch_conformance::{Party, Report, check};

/// What is wrong with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// An exit request that comes while no run is under way is forgotten.
    LosesAKick,
    /// A request ends the run after the next one too.
    RemembersAKick,
    /// A request for any vCPU ends the run of the first.
    KicksTheWrongVcpu,
    /// The page behind a slot is mapped too.
    MapsOnePageTooMany,
    /// The last page of the range of `collect_dirty` is left out.
    ForgetsTheLastDirtyPage,
    /// `unmap` takes the log with it.
    UnmapForgetsTheLog,
    /// `age` says once more that a page is young.
    StaysYoung,
    /// The device is asked under the lock of the memory services.
    AsksDevicesUnderALock,
    /// The back end changes the guest's status after a trap.
    InjectsItself,
    /// After mapping a page the guest is entered without asking.
    SkipsBeforeEntry,
    /// What before_entry says of waiting is not obeyed.
    EntersAllTheSame,
    /// Registers that do not exist read as zero.
    UnknownRegistersAreZero,
    /// Of wide registers only the lower half is kept.
    CutsWideRegisters,
    /// Wide writes to narrow registers lose the upper half.
    CutsWideWrites,
    /// An access is reported at the start of its page.
    MisplacesAccesses,
    /// What the guest side writes between runs after a device access is lost.
    LosesALateAnswer,
    /// A write that fails advances the program counter all the same.
    GoesOnAfterAnError,
    /// A slot that overlaps is refused after the free part was taken.
    KeepsHalfOfARefusedSlot,
    /// A slot that is removed stays mapped.
    RemovedSlotsStay,
    /// A store to a read-only slot reaches memory.
    StoresToReadOnlySlots,
    /// Waits lose their deadline.
    LosesTheDeadline,
    /// Timers are not reported.
    SwallowsTimers,
    /// Decisions are traced before they are made.
    TracesSomethingElse,
    /// Vector registers are not those of the run.
    ForgetsWhatCallbacksWrite,
    /// Misaligned ranges are rounded.
    RoundsRanges,
    /// A write of what the host offers is taken, and lost.
    TakesReadOnlyWrites,
    /// A request that a callback makes is forgotten.
    LosesAKickFromInside,
    /// The pages beside the range of `age` become old with it.
    AgesTheNeighbours,
    /// The pages beside the range of `collect_dirty` leave the log with it.
    CollectsTheNeighbours,
    /// `collect_dirty` names once more what it named the last time.
    NamesDirtyPagesTwice,
    /// A wait without a timer gets a deadline.
    InventsADeadline,
    /// A trap is reported a second time.
    ReportsTrapsTwice,
    /// After a wait the next run waits again, without asking the guest side.
    WaitsAgain,
    /// A register takes every value but one.
    SaturatesARegister,
    /// What one vCPU writes to a register another one reads.
    SharesARegister,
    /// Of stores of two bytes one arrives.
    CutsHalves,
    /// Where no slot is, pages are young.
    HolesAreYoung,
    /// `unmap` of a range makes its last page zero.
    UnmapClears,
    /// `unmap` under a guest that runs writes back what was there before.
    UnmapPutsBack,
    /// `collect_dirty` names the page behind each page too.
    NamesThePageBehind,
    /// `collect_dirty` under a guest that runs leaves its pages writable.
    LeavesPagesWritable,
    /// A slot that is removed under a guest that runs stays mapped.
    RemovedSlotsStayWhileItRuns,
    /// That the machine is suspended is told as that it is off.
    SuspendIsPowerOff,
    /// `before_observe` applies nothing.
    ObservesNothing,
    /// What `before_observe` has applied is applied again at the next entry.
    AppliesAgain,
    /// Of a store of eight bytes a device gets four.
    CutsDeviceStores,
    /// An access that waits gets a new token with each run.
    RenamesWhatWaits,
    /// An answer is taken whatever its token.
    TakesAnyToken,
    /// An answer is taken whatever its kind.
    TakesAnyAnswer,
    /// A request from another thread is forgotten while the guest runs.
    LosesAKickWhileItRuns,
    /// Now and then a request is forgotten.
    LosesEveryFifthKick,
    /// A callback may not unmap.
    RefusesInCallbacks,
}

/// A fault, the clause that says so, and clauses that may say so too, as they ask for the same on their way.
const CASES: &[(Fault, &str, &[&str])] = &[
    (Fault::LosesAKick, "kick-is-sticky", &["kick-is-never-lost", "kick-ends-an-entry"]),
    (Fault::RemembersAKick, "kick-is-used-up", &[]),
    (Fault::KicksTheWrongVcpu, "kick-has-its-vcpu", &[]),
    (Fault::MapsOnePageTooMany, "memory-ends-with-its-slot", &["slot-is-refused-whole"]),
    (
        Fault::ForgetsTheLastDirtyPage,
        "dirty-names-what-was-stored-to",
        &["dirty-names-nothing-else", "dirty-while-it-runs"],
    ),
    (Fault::UnmapForgetsTheLog, "dirty-outlives-unmap", &[]),
    (Fault::StaysYoung, "age-tells-what-was-touched", &[]),
    (Fault::AsksDevicesUnderALock, "callback-without-a-lock", &[]),
    (Fault::InjectsItself, "injects-nothing", &[]),
    (Fault::SkipsBeforeEntry, "before-entry-before-every-entry", &[]),
    (Fault::EntersAllTheSame, "enters-only-on-resume", &[]),
    (Fault::UnknownRegistersAreZero, "register-unknown", &[]),
    (
        Fault::CutsWideRegisters,
        "register-wide-is-whole",
        &[
            "register-holds",
            "register-error-changes-nothing",
            "register-is-not-cut",
            "register-has-its-vcpu",
            "register-is-the-same-inside",
        ],
    ),
    (Fault::CutsWideWrites, "register-is-not-cut", &["register-error-changes-nothing"]),
    (
        Fault::MisplacesAccesses,
        "access-has-its-address",
        &[
            "read-only-slot-takes-no-store",
            "device-answer-at-once",
            "device-answer-later",
            "device-answer-has-its-token",
            "device-is-offered-again",
            // This guest's timer is at the end of a page.
            "timer-ends-an-entry",
            "wait-has-its-deadline",
        ],
    ),
    (
        Fault::LosesALateAnswer,
        "device-answer-later",
        &["device-is-offered-again", "device-answer-has-its-token", "device-answer-fits"],
    ),
    (Fault::GoesOnAfterAnError, "register-error-changes-nothing", &[]),
    (Fault::KeepsHalfOfARefusedSlot, "slot-is-refused-whole", &[]),
    (Fault::RemovedSlotsStay, "removed-slot-is-gone", &["remove-while-it-runs"]),
    (Fault::StoresToReadOnlySlots, "read-only-slot-takes-no-store", &[]),
    (Fault::LosesTheDeadline, "wait-has-its-deadline", &["enters-only-on-resume", "decision-is-the-outcome"]),
    (Fault::SwallowsTimers, "timer-ends-an-entry", &[]),
    (Fault::TracesSomethingElse, "decision-is-traced", &[]),
    (Fault::ForgetsWhatCallbacksWrite, "register-is-the-same-inside", &[]),
    (Fault::RoundsRanges, "range-is-checked", &[]),
    (Fault::TakesReadOnlyWrites, "register-read-only", &["register-error-changes-nothing"]),
    (Fault::LosesAKickFromInside, "kick-from-a-callback", &[]),
    (Fault::AgesTheNeighbours, "age-stays-outside-the-range", &[]),
    (Fault::CollectsTheNeighbours, "dirty-stays-outside-the-range", &["dirty-outlives-unmap"]),
    (
        Fault::NamesDirtyPagesTwice,
        "dirty-is-named-once",
        &["dirty-names-nothing-else", "dirty-stays-outside-the-range"],
    ),
    (Fault::InventsADeadline, "wait-without-a-timer", &["enters-only-on-resume", "decision-is-the-outcome"]),
    (Fault::ReportsTrapsTwice, "trap-is-reported-once", &["before-entry-before-every-entry"]),
    (Fault::WaitsAgain, "wait-ends", &["enters-only-on-resume", "observe-applies-once"]),
    (Fault::SaturatesARegister, "register-holds", &[]),
    (Fault::SharesARegister, "register-has-its-vcpu", &[]),
    (Fault::CutsHalves, "memory-is-the-slots", &[]),
    (Fault::HolesAreYoung, "hole-has-nothing", &[]),
    (Fault::UnmapClears, "unmap-keeps-memory", &[]),
    (Fault::UnmapPutsBack, "unmap-while-it-runs", &[]),
    (Fault::NamesThePageBehind, "dirty-names-nothing-else", &[]),
    (Fault::LeavesPagesWritable, "dirty-while-it-runs", &[]),
    (Fault::RemovedSlotsStayWhileItRuns, "remove-while-it-runs", &[]),
    (Fault::SuspendIsPowerOff, "decision-is-the-outcome", &[]),
    (Fault::ObservesNothing, "observe-applies-once", &[]),
    (Fault::AppliesAgain, "observe-applies-once", &[]),
    (Fault::CutsDeviceStores, "device-answer-at-once", &[]),
    (Fault::RenamesWhatWaits, "device-is-offered-again", &[]),
    (Fault::TakesAnyToken, "device-answer-has-its-token", &[]),
    (Fault::TakesAnyAnswer, "device-answer-fits", &[]),
    (Fault::LosesAKickWhileItRuns, "kick-ends-an-entry", &["kick-is-never-lost"]),
    (Fault::LosesEveryFifthKick, "kick-is-never-lost", &[]),
    (Fault::RefusesInCallbacks, "callback-may-call-back", &[]),
];

const PATIENCE: [u64; 2] = [300_000_000, 20_000_000_000];

#[test]
fn each_fault_breaks_its_clause_and_no_other() {
    faults::each_breaks_its_clause(CASES, PATIENCE, |fault, patience| {
        let host = BrokenHost { toy: Toy::new(), fault, patience };
        let mut report = Report::default();
        let _ = check(&host, |clause, verdict| report.note(clause, *verdict));
        report
    });
}

#[test]
fn every_clause_of_a_host_has_a_host_that_breaks_it() {
    faults::every_clause_is_broken(CASES, |party| party != Party::Platform);
}
