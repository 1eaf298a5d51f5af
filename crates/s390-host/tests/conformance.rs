//! The conformance kit on this back end, with the real guest side, on the model of the machine.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

mod common;
#[path = "common/programs.rs"]
mod programs;

use arm_exec::{Page, Ram};
use common::{HOST_RAM, HostVm, Model, TestClock, a64};
use s390_arch::sae::QmcBase;
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::{Config, LimitForm};
use sae_model::{HostStores, LimitForm as ModelLimit, Machine, Mischief, PastLimit, TimerForm};
use std::time::Instant;
use testkit::caches::{CacheMemory, Capacity};
use vcpu_core::Vm as CoreVm;
use xarch_abi::{Guest, GuestPa, HostPa, VcpuIndex};
use xarch_conformance::{
    ByteOrder, Cannot, Code, Cpu, Facts, Host, MEMORY_BYTES, Pair, Report, Services, Step, Threads, Verdict,
    Vm, check,
};

/// Ticks of the model's counter in a second.
const FREQUENCY: u64 = 1_000_000_000;

struct Model390 {
    started: Instant,
    model: sae_model::Config,
    /// Storage of all machines, one after the other: none is clean but the first.
    pages: Vec<Page>,
}

impl Model390 {
    fn new(model: sae_model::Config) -> Self {
        let pages = (0..(HOST_RAM + MEMORY_BYTES) >> 12).map(|_| Page::zeroed()).collect();
        Self { started: Instant::now(), model, pages }
    }
}

/// One VM on a machine of its own.
struct OnModel<'a> {
    machine: &'a Model<'a>,
    vm: &'a HostVm<'a>,
    core: &'a CoreVm<8>,
}

impl Host for Model390 {
    fn facts(&self) -> Facts<'_> {
        Facts {
            page_bytes: 4096,
            address_bits: 40,
            vcpus: 2,
            order: ByteOrder::Little,
            ram: GuestPa::new(0x4000_0000),
            memory: HostPa::new(HOST_RAM),
            device: GuestPa::new(0x0900_0000),
            plain: &programs::PLAIN,
            wide: &programs::WIDE,
            read_only: &programs::READ_ONLY,
            unknown: &programs::UNKNOWN,
            patience: 20_000_000_000,
            rounds: 60,
        }
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        programs::assemble(step, code, FREQUENCY)
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        let machine = Machine::new(Ram::new(&self.pages), TestClock::running(), self.model);
        let config = Config {
            address_bits: 40,
            vcpus,
            storage: (Absolute::new(0x1000), HOST_RAM - 0x1000),
            limit: match self.model.limit {
                ModelLimit::LastBlock => LimitForm::LastAddress,
                ModelLimit::Size => LimitForm::Size,
            },
            qmc_base: self.model.qmc_base,
        };
        let mut memory = CacheMemory::new(Capacity::SMALL);
        let vm = {
            let mut cpu = machine.cpu(0, memory.lend()).unwrap();
            HostVm::new(&mut cpu, &machine, machine.storage(), config).unwrap()
        };
        let core = CoreVm::new(vcpu_core::Config::new(vcpus)).unwrap();
        then(&OnModel { machine: &machine, vm: &vm, core: &core });
    }

    fn nanoseconds(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn relax(&self) {
        std::thread::yield_now();
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        std::thread::scope(|scope| {
            scope.spawn(first);
            second();
        });
        Threads::Two
    }
}

impl Vm for OnModel<'_> {
    fn services(&self) -> &dyn Services {
        self.vm
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        let mut memory = CacheMemory::new(Capacity::SMALL);
        let cpu = self.machine.cpu(index.0, memory.lend()).unwrap();
        let mut vcpu = s390_host::Vcpu::new(self.vm, cpu, index).unwrap();
        let mut guest = vcpu_core::Vcpu::new(self.core, index).unwrap();
        guest.reset(&mut vcpu).unwrap();
        if index.0 == 0 {
            guest.boot(&mut vcpu, entry.value(), [0; 4]).unwrap();
        }
        then(&mut Pair::new(&mut vcpu, &mut guest));
    }

    fn load(&self, from: HostPa, into: &mut [u8]) {
        let (storage, at) = (self.machine.storage(), Absolute::new(from.value()));
        match <&mut [u8; 8]>::try_from(&mut *into) {
            Ok(whole) if from.value() % 8 == 0 => *whole = storage.load(at).unwrap(),
            _ => storage.read_bytes(at, into).unwrap(),
        }
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        let (storage, at) = (self.machine.storage(), Absolute::new(to.value()));
        match <[u8; 8]>::try_from(bytes) {
            Ok(whole) if to.value() % 8 == 0 => storage.store(at, whole).unwrap(),
            _ => storage.write_bytes(at, bytes).unwrap(),
        }
    }
}

fn keeps_every_clause(model: sae_model::Config) {
    let mut report = Report::default();
    let _ = check(&Model390::new(model), |clause, verdict| report.note(clause, *verdict));
    println!("{report}");
    for (clause, verdict) in report.verdicts() {
        assert!(matches!(verdict, Verdict::Kept), "{clause}: {verdict}");
    }
}

#[test]
fn the_back_end_keeps_every_clause() {
    keeps_every_clause(sae_model::Config::default());
}

#[test]
fn it_does_so_on_a_machine_of_the_other_settings() {
    keeps_every_clause(sae_model::Config {
        limit: ModelLimit::Size,
        qmc_base: QmcBase::FromRegs,
        past_limit: PastLimit::HostAccess,
        host_stores: HostStores::AtEntry,
        ..sae_model::Config::default()
    });
}

#[test]
fn it_does_so_on_a_machine_that_ends_entries_for_nothing_and_repeats_its_timers() {
    let misbehaviour = |entries: u64| (entries % 3 == 1).then_some(Mischief::Spurious);
    keeps_every_clause(sae_model::Config {
        timer: TimerForm::Level,
        misbehaviour: Some(misbehaviour),
        ..sae_model::Config::default()
    });
}
