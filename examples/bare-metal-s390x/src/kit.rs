//! The conformance kit, on this machine: by the model, or by the facility's instructions where they are announced.
//!
//! CPU 1 is the kit's other thread.

use crate::guest::{self, ADDRESS_BITS, Control, CoreVm, Guest, HostVm, Own, Sides, VCPUS};
use crate::layout::{GUEST_RTC, GUEST_UART, TABLES};
use crate::model::{self, Cpu as ModelCpu, Machine};
use crate::{PLACES, PORT, after, fail, hw, sleep};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use never::NeverIn;
use s390_arch::sae::Facility;
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::{Config, LimitForm};
use sae_model::Storage;
use spin::Mutex;
use xarch_abi::{
    AccessSize, Backend, BackendVcpu, CompletionError, DeviceAnswer, Guest as GuestSideOf, GuestPa,
    GuestRange, HostPa, Outcome, Platform, RegisterError, Registers, Token, VcpuIndex,
};
use xarch_conformance::{
    Bench, ByteOrder, Cannot, Clause, Code, Cpu, Embedder, Facts, GuestSide, Host, Machine as Place, Pair,
    RAM_BYTES, Services, Step, Threads, Verdict, Vm, Woken, check, check_platform,
};

#[path = "../../../crates/s390-host/tests/common/a64.rs"]
#[allow(dead_code, reason = "an assembler for all tests")]
mod a64;
#[path = "../../bare-metal-arm64/src/never.rs"]
mod never;
#[path = "../../../crates/s390-host/tests/common/programs.rs"]
mod programs;

/// Ticks of the model's counter in a second.
const FREQUENCY: u64 = 1_000_000_000;

/// What the other CPU is to do.
static JOB: Mutex<Option<&'static mut (dyn FnMut() + Send)>> = Mutex::new(None);
/// It is doing it, or is about to.
static AT_WORK: AtomicBool = AtomicBool::new(false);

/// The host under test.
struct Kit {
    guest: &'static Guest,
    storage: Storage<'static>,
    /// The model and its CPUs, one for each vCPU and one to build VMs with; `None` where the facility is announced.
    model: Option<(&'static Machine, [Mutex<ModelCpu>; VCPUS + 1])>,
}

/// Checks every clause, says each verdict, and returns whether none is broken.
pub fn run(guest: &'static Guest, storage: Storage<'static>, model: Option<&'static Machine>) -> bool {
    let model = model.map(|machine| {
        let cpus = core::array::from_fn(|number| Mutex::new(model::cpu(machine, number)));
        (machine, cpus)
    });
    let kit = Kit { guest, storage, model };
    let host = check(&kit, say);
    let own = match &kit.model {
        Some((machine, [.., builder])) => Own::new(guest, &mut *builder.lock(), Control::Model(machine)),
        None => Own::new(guest, &mut hw::facility(), guest::machine_control()),
    };
    guest.set_sides(Sides::Own(own.unwrap_or_else(|error| fail(format_args!("{error}")))));
    let platform = check_platform(&Tried::new(&kit), say);
    for summary in [host, platform] {
        PORT.lock().line(format_args!("kit: {summary}"));
    }
    [host, platform].iter().all(|summary| summary.broken == 0 && summary.kept != 0)
}

fn say(clause: &Clause, verdict: &Verdict) {
    let mut port = PORT.lock();
    port.line(format_args!("kit: {}: {verdict}", clause.name));
    if let Verdict::Broken(_) = verdict {
        port.line(format_args!("kit: ({}: {})", clause.owed_by, clause.text));
    }
}

/// What the other CPU does: whatever it is given.
pub fn serve() -> ! {
    loop {
        let job = JOB.lock().take();
        match job {
            Some(job) => {
                job();
                AT_WORK.store(false, Ordering::SeqCst);
            }
            None => core::hint::spin_loop(),
        }
    }
}

impl Host for Kit {
    fn facts(&self) -> Facts<'_> {
        Facts {
            page_bytes: 4096,
            address_bits: ADDRESS_BITS,
            vcpus: VCPUS as u16,
            order: ByteOrder::Little,
            ram: GuestPa::new(0x4000_0000),
            memory: HostPa::new(self.guest.manifest.memory.0),
            device: GuestPa::new(0x0900_0000),
            plain: &programs::PLAIN,
            wide: &programs::WIDE,
            read_only: &programs::READ_ONLY,
            unknown: &programs::UNKNOWN,
            patience: 20_000_000_000,
            rounds: 8,
        }
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        programs::assemble(step, code, FREQUENCY)
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        let config = Config {
            address_bits: ADDRESS_BITS,
            vcpus,
            storage: TABLES,
            limit: LimitForm::default(),
            qmc_base: s390_arch::sae::QmcBase::default(),
        };
        let host = match &self.model {
            Some((machine, [.., builder])) => {
                HostVm::new(&mut *builder.lock(), Control::Model(machine), self.storage, config)
            }
            None => HostVm::new(&mut hw::facility(), guest::machine_control(), self.storage, config),
        };
        let host = host.unwrap_or_else(|error| fail(format_args!("{error}")));
        let core = vcpu_core::Config { address_bits: ADDRESS_BITS, ..vcpu_core::Config::new(vcpus) };
        let core = CoreVm::new(core).unwrap_or_else(|error| fail(format_args!("{error}")));
        then(&OnMachine { kit: self, host: &host, core: &core });
        // The model, which stays, keeps nothing of pages that are taken from it: the next program is another one.
        if let Some(ram) = GuestRange::new(self.facts().ram, RAM_BYTES) {
            let unmapped = Backend::unmap(&host, ram);
            unmapped.unwrap_or_else(|error| fail(format_args!("{error}")));
        }
    }

    fn nanoseconds(&self) -> u64 {
        model::nanoseconds()
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        at_once(first, second)
    }
}

/// Runs the first one on the other CPU, and the second one here.
fn at_once(first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
    AT_WORK.store(true, Ordering::SeqCst);
    hw::lend(first, |first| {
        *JOB.lock() = Some(first);
        second();
        while AT_WORK.load(Ordering::SeqCst) {
            core::hint::spin_loop();
        }
    });
    Threads::Two
}

/// One VM.
struct OnMachine<'a> {
    kit: &'a Kit,
    host: &'a HostVm,
    core: &'a CoreVm,
}

impl OnMachine<'_> {
    fn on<F: Facility>(
        &self,
        facility: F,
        index: VcpuIndex,
        entry: GuestPa,
        then: &mut dyn FnMut(&mut dyn Cpu),
    ) {
        let vcpu = s390_host::Vcpu::new(self.host, facility, index);
        let mut vcpu = vcpu.unwrap_or_else(|error| fail(format_args!("vCPU {}: {error}", index.0)));
        let Some(mut guest) = vcpu_core::Vcpu::new(self.core, index) else { fail(format_args!("no vCPU")) };
        let mut prepared = guest.reset(&mut vcpu);
        if index.0 == 0 {
            prepared = prepared.and_then(|()| guest.boot(&mut vcpu, entry.value(), [0; 4]));
        }
        if let Err(error) = prepared {
            fail(format_args!("vCPU {}: {error}", index.0));
        }
        let block = self.host.control_block(index).map_or(0, Absolute::bits);
        then(&mut OnCpu { pair: Pair::new(&mut vcpu, &mut guest), block });
    }
}

impl Vm for OnMachine<'_> {
    fn services(&self) -> &dyn Services {
        self.host
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        match &self.kit.model {
            Some((_, cpus)) => match cpus.get(usize::from(index.0)) {
                Some(cpu) => self.on(&mut *cpu.lock(), index, entry, then),
                None => fail(format_args!("no CPU {}", index.0)),
            },
            None => self.on(hw::facility(), index, entry, then),
        }
    }

    fn load(&self, from: HostPa, into: &mut [u8]) {
        let at = Absolute::new(from.value());
        let loaded = match <&mut [u8; 8]>::try_from(&mut *into) {
            Ok(whole) if from.value() % 8 == 0 => self.kit.storage.load(at).map(|bytes| *whole = bytes),
            _ => self.kit.storage.read_bytes(at, into),
        };
        loaded.unwrap_or_else(|error| fail(format_args!("{error}")));
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        let at = Absolute::new(to.value());
        let stored = match <[u8; 8]>::try_from(bytes) {
            Ok(whole) if to.value() % 8 == 0 => self.kit.storage.store(at, whole),
            _ => self.kit.storage.write_bytes(at, bytes),
        };
        stored.unwrap_or_else(|error| fail(format_args!("{error}")));
    }
}

/// A vCPU that the CPU's interruptions end while it runs, as those of any guest here.
struct OnCpu<'a, V, G> {
    pair: Pair<'a, V, G>,
    block: u64,
}

impl<V: BackendVcpu, G: GuestSideOf> Cpu for OnCpu<'_, V, G> {
    fn run(&mut self, bench: &Bench<'_>) -> Outcome {
        let Some(place) = PLACES.get(hw::this_cpu()) else { fail(format_args!("no CPU")) };
        let before = place.block.swap(self.block, Ordering::SeqCst);
        // Who asks to leave either finds the block there, or is found by the driver.
        fence(Ordering::SeqCst);
        let kept = hw::Kept::set(hw::clock());
        place.running.store(true, Ordering::SeqCst);
        hw::enable();
        let outcome = self.pair.run(bench);
        hw::disable();
        place.running.store(false, Ordering::SeqCst);
        place.leave.store(false, Ordering::SeqCst);
        place.block.store(before, Ordering::SeqCst);
        if !kept.are_kept() {
            fail(format_args!("the guest's registers are left in the host's"));
        }
        outcome
    }

    fn registers(&mut self) -> &mut dyn Registers {
        self.pair.registers()
    }

    fn before_observe(&mut self) -> Result<(), RegisterError> {
        self.pair.before_observe()
    }

    fn complete(&mut self, token: Token, answer: DeviceAnswer) -> Result<(), CompletionError> {
        self.pair.complete(token, answer)
    }

    fn guest_side(&self) -> GuestSide {
        self.pair.guest_side()
    }
}

/// The platform under test: this program's, with a guest whose vCPU 1 belongs to the other CPU.
struct Tried<'a> {
    kit: &'a Kit,
    memory: [GuestRange; 2],
    holes: [GuestPa; 4],
    /// Runs that a request ended.
    requests: AtomicU64,
}

impl<'a> Tried<'a> {
    /// Fills the guest's memory with a pattern.
    fn new(kit: &'a Kit) -> Self {
        let memory = kit.guest.slots().map(|slot| slot.guest);
        let [_, ram] = kit.guest.slots();
        let mut page: [u8; 4096] = core::array::from_fn(|at| (at * 0x9e37 >> 7) as u8);
        for offset in (0..ram.guest.bytes()).step_by(4096) {
            page[4088..].copy_from_slice(&offset.to_be_bytes());
            let written = kit.storage.write_bytes(Absolute::new(ram.host.value() + offset), &page);
            written.unwrap_or_else(|error| fail(format_args!("{error}")));
        }
        let [rom, _] = memory;
        let start = ram.guest.start().value();
        let holes = [rom.start().value() + rom.bytes(), start - 1, start + ram.guest.bytes(), GUEST_UART]
            .map(GuestPa::new);
        Self { kit, memory, holes, requests: AtomicU64::new(0) }
    }

    /// Whether a run of a guest side that lets nobody in ends by a request.
    fn is_asked_to_leave<F: Facility>(&self, facility: F, vcpu: VcpuIndex) -> Option<bool> {
        let Some(Sides::Own(own)) = self.kit.guest.sides() else { return None };
        let mut host = s390_host::Vcpu::new(&own.host, facility, vcpu).ok()?;
        Some(host.run(&mut NeverIn, self.kit.guest) == Outcome::Interrupted)
    }
}

impl Embedder for Tried<'_> {
    fn machine(&self) -> Place<'_> {
        // The serial port's flags and the clock's identification: to read and write them changes nothing.
        const DEVICES: [(GuestPa, AccessSize); 3] = [
            (GuestPa::new(GUEST_UART + 0x18), AccessSize::Word),
            (GuestPa::new(GUEST_UART + 0x18), AccessSize::Half),
            (GuestPa::new(GUEST_RTC + 0xfe0), AccessSize::Word),
        ];
        Place {
            page_bytes: 4096,
            memory: &self.memory,
            holes: &self.holes,
            devices: &DEVICES,
            absent: Some(GuestPa::new(0x1000)),
            vcpu: VcpuIndex(1),
            patience: 20_000_000_000,
        }
    }

    fn platform(&self) -> &dyn Platform {
        self.kit.guest
    }

    fn load(&self, from: HostPa, into: &mut [u8]) -> bool {
        self.kit.storage.read_bytes(Absolute::new(from.value()), into).is_ok()
    }

    fn wait(&self, vcpu: VcpuIndex, nanoseconds: u64) -> Option<Woken> {
        let deadline = after(nanoseconds);
        sleep(self.kit.guest, vcpu, Some(deadline));
        Some(if hw::clock() < deadline { Woken::Kicked } else { Woken::TooLate })
    }

    fn exit_requests(&self, vcpu: VcpuIndex) -> Option<u64> {
        let is_asked = match &self.kit.model {
            Some((_, cpus)) => self.is_asked_to_leave(&mut *cpus.get(usize::from(vcpu.0))?.lock(), vcpu)?,
            None => self.is_asked_to_leave(hw::facility(), vcpu)?,
        };
        self.requests.fetch_add(is_asked.into(), Ordering::Relaxed);
        Some(self.requests.load(Ordering::Relaxed))
    }

    fn nanoseconds(&self) -> u64 {
        model::nanoseconds()
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        at_once(first, second)
    }
}
