//! Embedders: one that keeps every clause of the platform, and others with one fault each.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code"
)]

mod faults;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};
use xarch_abi::{
    AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa, GuestRange, HostPa, Platform, Slot,
    Unreadable, VcpuIndex, Writable,
};
use xarch_conformance::{CLAUSES, Embedder, Machine, Party, Report, Threads, Verdict, Woken, check_platform};

const PAGE: u64 = 4096;
/// Two slots that touch, and one alone; on the host the other way round.
const SLOTS: [(u64, u64, u64); 3] =
    [(0x8000_0000, 4 * PAGE, 4 * PAGE), (0x8000_4000, 2 * PAGE, 0), (0x9000_0000, PAGE, 9 * PAGE)];
const HOST_BYTES: u64 = 10 * PAGE;
const DEVICE: u64 = 0x1000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The second slot is named for an address behind its end.
    NamesASlotTooFar,
    /// The slot is named as if it began with the page that was asked about.
    NamesTheRest,
    /// A slot begins in the midst of a page on the host.
    IsMisaligned,
    /// Bytes are read from the page before.
    ReadsTheWrongBytes,
    /// A read that crosses from one slot to the next goes on in the first.
    ReadsOnInTheSlot,
    /// The address that was asked about is named where a later one has no memory.
    NamesTheStart,
    /// Writes are answered with a value.
    AnswersWritesWithValues,
    /// Where no device is, zero is read.
    AnswersForNobody,
    /// A kick wakes only who waits already.
    ForgetsEarlyKicks,
    /// A kick asks the back end and wakes nobody.
    WakesNobody,
    /// A kick wakes and does not ask the back end.
    LeavesTheGuestAlone,
}

const CASES: &[(Fault, &str, &[&str])] = &[
    (Fault::NamesASlotTooFar, "slot-is-nowhere-else", &[]),
    (Fault::NamesTheRest, "slot-holds-its-address", &[]),
    (Fault::IsMisaligned, "slot-is-aligned", &["read-memory-reads-slots"]),
    (Fault::ReadsTheWrongBytes, "read-memory-reads-slots", &[]),
    (Fault::ReadsOnInTheSlot, "read-memory-reads-slots", &[]),
    (Fault::NamesTheStart, "read-memory-names-the-hole", &[]),
    (Fault::AnswersWritesWithValues, "device-answers-in-kind", &[]),
    (Fault::AnswersForNobody, "device-answers-in-kind", &[]),
    (Fault::ForgetsEarlyKicks, "kick-before-a-wait", &["kick-ends-a-wait"]),
    (Fault::WakesNobody, "kick-ends-a-wait", &["kick-before-a-wait"]),
    (Fault::LeavesTheGuestAlone, "kick-ends-the-entry", &[]),
];

struct Toy {
    fault: Fault,
    patience: u64,
    started: Instant,
    memory: Vec<u8>,
    /// A kick came, somebody waits.
    kicked: Mutex<(bool, bool)>,
    woken: Condvar,
    requests: AtomicU64,
}

impl Toy {
    fn new(fault: Fault, patience: u64) -> Self {
        // Another byte at each place, far beyond a page.
        let memory = (0..HOST_BYTES).map(|at| (at ^ at >> 8 ^ at >> 12).to_le_bytes()[0]).collect();
        let started = Instant::now();
        Self {
            fault,
            patience,
            started,
            memory,
            kicked: Mutex::default(),
            woken: Condvar::new(),
            requests: AtomicU64::new(0),
        }
    }
}

fn slot((guest, bytes, host): (u64, u64, u64)) -> Slot {
    let guest = GuestRange::new(GuestPa::new(guest), bytes).unwrap();
    Slot { guest, host: HostPa::new(host), writable: Writable::Yes }
}

impl Platform for Toy {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        let holds = |slot: &Slot| slot.guest.contains(address);
        let mut found = SLOTS.into_iter().map(slot).find(holds);
        match (self.fault, &mut found) {
            (Fault::NamesASlotTooFar, None) if address == GuestPa::new(0x8000_6000) => {
                found = Some(slot(SLOTS[1]));
            }
            (Fault::NamesTheRest, Some(slot)) => {
                let page = address.align_down_log2(12);
                slot.host = slot.host.checked_add(page.offset_from(slot.guest.start()).unwrap()).unwrap();
                let rest = slot.guest.last().offset_from(page).unwrap() + 1;
                slot.guest = GuestRange::new(page, rest).unwrap();
            }
            (Fault::IsMisaligned, Some(slot)) => slot.host = HostPa::new(slot.host.value() | 0x200),
            _ => {}
        }
        found
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut within: Option<Slot> = None;
        for (byte, at) in into.iter_mut().zip(address.value()..) {
            let at = GuestPa::new(at);
            let named = SLOTS.into_iter().map(slot).find(|slot| slot.guest.contains(at));
            let missing = if self.fault == Fault::NamesTheStart { address } else { at };
            let named = named.ok_or(Unreadable(missing))?;
            let slot = match within {
                Some(slot) if self.fault == Fault::ReadsOnInTheSlot => slot,
                _ => named,
            };
            within = Some(slot);
            let from = slot.host.value() + (at.value() - slot.guest.start().value());
            let wrong = if self.fault == Fault::ReadsTheWrongBytes { 1 } else { 0 };
            *byte = self.memory[usize::try_from((from ^ wrong) % HOST_BYTES).unwrap()];
        }
        Ok(())
    }

    fn device(&self, _: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        let is_there = access.address.value() & !0xfff == DEVICE;
        Some(match access.operation {
            _ if !is_there && self.fault != Fault::AnswersForNobody => DeviceAnswer::Absent,
            DeviceOperation::Write(_) if self.fault != Fault::AnswersWritesWithValues => DeviceAnswer::Done,
            DeviceOperation::Read | DeviceOperation::Write(_) => DeviceAnswer::Value(0),
        })
    }

    fn kick(&self, _: VcpuIndex) {
        if self.fault != Fault::LeavesTheGuestAlone {
            self.requests.fetch_add(1, SeqCst);
        }
        let mut kicked = self.kicked.lock().unwrap();
        let is_heard = match self.fault {
            Fault::WakesNobody => false,
            Fault::ForgetsEarlyKicks => kicked.1,
            _ => true,
        };
        kicked.0 |= is_heard;
        self.woken.notify_all();
    }
}

impl Embedder for Toy {
    fn machine(&self) -> Machine<'_> {
        const MEMORY: [GuestRange; 2] = [
            match GuestRange::new(GuestPa::new(0x8000_0000), 6 * PAGE) {
                Some(range) => range,
                None => panic!("the range is one"),
            },
            match GuestRange::new(GuestPa::new(0x9000_0000), PAGE) {
                Some(range) => range,
                None => panic!("the range is one"),
            },
        ];
        Machine {
            page_bytes: PAGE,
            memory: &MEMORY,
            holes: &const {
                [GuestPa::new(0), GuestPa::new(0x8000_6000), GuestPa::new(0x8fff_ffff), GuestPa::new(DEVICE)]
            },
            devices: &const {
                [(GuestPa::new(DEVICE), AccessSize::Word), (GuestPa::new(DEVICE + 0xff8), AccessSize::Double)]
            },
            absent: Some(GuestPa::new(0x2000_0000)),
            vcpu: VcpuIndex(0),
            patience: self.patience,
        }
    }

    fn platform(&self) -> &dyn Platform {
        self
    }

    fn load(&self, from: HostPa, into: &mut [u8]) -> bool {
        let start = usize::try_from(from.value()).unwrap();
        into.copy_from_slice(&self.memory[start..start + into.len()]);
        true
    }

    fn wait(&self, _: VcpuIndex, nanoseconds: u64) -> Option<Woken> {
        let mut kicked = self.kicked.lock().unwrap();
        kicked.1 = true;
        let limit = Duration::from_nanos(nanoseconds);
        let (mut kicked, _) = self.woken.wait_timeout_while(kicked, limit, |kicked| !kicked.0).unwrap();
        let (was_kicked, _) = std::mem::take(&mut *kicked);
        Some(if was_kicked { Woken::Kicked } else { Woken::TooLate })
    }

    fn exit_requests(&self, _: VcpuIndex) -> Option<u64> {
        Some(self.requests.load(SeqCst))
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap()
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        std::thread::scope(|scope| {
            scope.spawn(first);
            second();
        });
        Threads::Two
    }
}

const PATIENCE: [u64; 2] = [500_000_000, 20_000_000_000];

fn report(fault: Fault, patience: u64) -> Report {
    let mut report = Report::default();
    let _ = check_platform(&Toy::new(fault, patience), |clause, verdict| report.note(clause, *verdict));
    report
}

#[test]
fn every_clause_of_a_platform_is_kept() {
    let report = report(Fault::None, PATIENCE[1]);
    for (clause, verdict) in report.verdicts() {
        assert!(matches!(verdict, Verdict::Kept), "{clause}: {verdict}");
    }
    let all = CLAUSES.iter().filter(|clause| clause.owed_by == Party::Platform).count();
    assert_eq!(usize::try_from(report.summary().kept), Ok(all));
}

#[test]
fn each_fault_breaks_its_clause_and_no_other() {
    faults::each_breaks_its_clause(CASES, PATIENCE, report);
}

#[test]
fn every_clause_of_a_platform_has_a_platform_that_breaks_it() {
    faults::every_clause_is_broken(CASES, |party| party == Party::Platform);
}
