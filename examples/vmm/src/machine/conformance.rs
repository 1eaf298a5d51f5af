//! The conformance kit on this program's platform.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

use super::*;
use crate::layout::{RTC, UART};
use xarch_abi::AccessSize;
use xarch_conformance::{Embedder, Machine, Report, Threads, Verdict, Woken, check_platform};

const BYTES: u64 = 16 << 20;

struct Tried<'a> {
    host: &'a Host<'a>,
    memory: [GuestRange; 1],
    started: Instant,
}

impl Embedder for Tried<'_> {
    fn machine(&self) -> Machine<'_> {
        // The serial port's flags and the clock's identification: to read and write them changes nothing.
        const DEVICES: [(GuestPa, AccessSize); 3] = [
            (GuestPa::new(UART.0 + 0x18), AccessSize::Word),
            (GuestPa::new(UART.0 + 0x18), AccessSize::Half),
            (GuestPa::new(RTC.0 + 0xfe0), AccessSize::Word),
        ];
        const HOLES: [GuestPa; 4] =
            [GuestPa::new(0), GuestPa::new(RAM - 1), GuestPa::new(RAM + BYTES), GuestPa::new(UART.0)];
        Machine {
            page_bytes: 4096,
            memory: &self.memory,
            holes: &HOLES,
            devices: &DEVICES,
            absent: Some(GuestPa::new(0x1000)),
            vcpu: VcpuIndex(0),
            patience: 20_000_000_000,
        }
    }

    fn platform(&self) -> &dyn Platform {
        self.host
    }

    fn load(&self, from: HostPa, into: &mut [u8]) -> bool {
        self.host.storage.read_bytes(Absolute::new(from.value()), into).is_ok()
    }

    fn wait(&self, vcpu: VcpuIndex, nanoseconds: u64) -> Option<Woken> {
        // As `run_vcpu` does, where the thread of the vCPU is this one.
        let _ = self.host.threads[usize::from(vcpu.0)].set(thread::current());
        let limit = Duration::from_nanos(nanoseconds);
        let started = Instant::now();
        thread::park_timeout(limit);
        Some(if started.elapsed() < limit { Woken::Kicked } else { Woken::TooLate })
    }

    fn exit_requests(&self, _: VcpuIndex) -> Option<u64> {
        None
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The first one stays on this thread, which is always that of the vCPU.
    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        thread::scope(|scope| {
            scope.spawn(second);
            first();
        });
        Threads::Two
    }
}

#[test]
fn the_platform_keeps_its_clauses() {
    let memory = Memory::new(BYTES).unwrap();
    let contents: Vec<u8> = (0..BYTES).map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    memory.load(RAM, &contents).unwrap();
    let model = Model::new(memory.ram(), HostClock(Instant::now()), sae_model::Config::default());
    let core = core(1).unwrap();
    let config = s390_host::Config {
        address_bits: ADDRESS_BITS,
        vcpus: 1,
        storage: (Absolute::new(TABLES_START), memory.ram - TABLES_START),
        limit: s390_host::LimitForm::default(),
        qmc_base: sae_model::Config::default().qmc_base,
    };
    let backend = {
        let mut caches = CacheMemory::new();
        let mut cpu = model.cpu(0, caches.lend()).unwrap();
        HostVm::new(&mut cpu, &model, model.storage(), config).unwrap()
    };
    let guest = GuestRange::new(GuestPa::new(RAM), BYTES).unwrap();
    let slot = Slot { guest, host: HostPa::new(memory.ram), writable: Writable::Yes };
    backend.add_slot(&slot).unwrap();
    let threads = [OnceLock::new()];
    // The first kick may come before the first wait.
    let _ = threads[0].set(thread::current());
    let host = Host {
        slot,
        storage: model.storage(),
        bus: Bus::default(),
        core: &core,
        backend: &backend,
        threads: &threads,
        stop: AtomicBool::new(false),
        end: Mutex::new(None),
        counters: None,
        trace: false,
    };
    let tried = Tried { host: &host, memory: [guest], started: Instant::now() };
    let mut report = Report::default();
    let _ = check_platform(&tried, |clause, verdict| report.note(clause, *verdict));
    println!("{report}");
    for (clause, verdict) in report.verdicts() {
        // What a request does to the back end is the back end's to show.
        let may_not_apply = clause.name == "kick-ends-the-entry";
        let is_kept = matches!(verdict, Verdict::Kept)
            || (may_not_apply && matches!(verdict, Verdict::NotApplicable(_)));
        assert!(is_kept, "{clause}: {verdict}");
    }
}
