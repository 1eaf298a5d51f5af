//! A VM with two slots of memory and a program, for one check.

use crate::bench::Bench;
use crate::host::{ByteOrder, Cpu, Facts, GuestSide, Host, Refused, Threads, Vm};
use crate::program::{Code, Step};
use crate::report::{Checked, Ended, broken, ensure};
use crate::text::Text;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{GuestPa, GuestRange, HostPa, Outcome, Slot, StopReason, VcpuIndex, Writable};

/// The vCPU that runs.
pub(crate) const FIRST: VcpuIndex = VcpuIndex(0);

/// Pages of the slot with code and results.
const CODE_PAGES: u64 = 16;
/// Which of them holds results.
const RESULTS: u64 = 8;
/// Offset of the data slot from the start, in guest and host memory: aligned for large frames.
const DATA: u64 = 2 << 20;
/// What the data slot holds beside whole MiBs.
const DATA_REST_PAGES: u64 = 3;
/// Offset of guest addresses at which nothing is at first.
const FREE: u64 = 8 << 20;
/// Offset of host memory that no slot uses at first, up to that of the data.
const SPARE: u64 = 1 << 20;

/// A host under test, and what is so about it.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) facts: Facts<'h>,
}

/// Pages of `count`, saturating.
const fn times(count: u64, bytes: u64) -> u64 {
    count.saturating_mul(bytes)
}

pub(crate) fn offset(address: GuestPa, bytes: u64) -> GuestPa {
    GuestPa::new(address.value().saturating_add(bytes))
}

impl<'h> Stage<'h> {
    pub(crate) fn new(host: &'h dyn Host) -> Self {
        Self { host, facts: host.facts() }
    }

    pub(crate) const fn page(&self) -> u64 {
        self.facts.page_bytes
    }

    pub(crate) fn ram(&self, bytes: u64) -> GuestPa {
        offset(self.facts.ram, bytes)
    }

    fn memory(&self, bytes: u64) -> HostPa {
        HostPa::new(self.facts.memory.value().saturating_add(bytes))
    }

    /// A doubleword for results and flags.
    pub(crate) fn word(&self, number: u64) -> GuestPa {
        self.ram(times(RESULTS, self.page()).saturating_add(times(number, 8)))
    }

    /// An address in the data slot.
    pub(crate) fn data(&self, bytes: u64) -> GuestPa {
        self.ram(DATA.saturating_add(bytes))
    }

    pub(crate) fn data_bytes(&self) -> u64 {
        (1_u64 << 20).saturating_add(times(DATA_REST_PAGES, self.page()))
    }

    pub(crate) fn data_range(&self) -> GuestRange {
        self.range(self.data(0), self.data_bytes())
    }

    /// A guest address at which there is nothing at first.
    pub(crate) fn free(&self, bytes: u64) -> GuestPa {
        self.ram(FREE.saturating_add(bytes))
    }

    pub(crate) fn range(&self, start: GuestPa, bytes: u64) -> GuestRange {
        // Of what the kit asks for nothing is empty or wraps; if it did, a page that is there is harmless.
        let page = GuestRange::new(GuestPa::new(0), self.page());
        GuestRange::new(start, bytes).or(page).unwrap_or_else(|| unreachable_range(start))
    }

    /// The range of the page with that address.
    pub(crate) fn page_of(&self, address: GuestPa) -> GuestRange {
        let start = address.value() & !self.page().wrapping_sub(1);
        self.range(GuestPa::new(start), self.page())
    }

    /// A slot of host memory that no other slot uses, `bytes` behind the start of such memory.
    pub(crate) fn spare_slot(&self, guest: GuestPa, bytes: u64, from: u64, writable: Writable) -> Slot {
        Slot { guest: self.range(guest, bytes), host: self.memory(SPARE.saturating_add(from)), writable }
    }

    fn standard_slots(&self) -> [Slot; 2] {
        let slot = |at, bytes| Slot {
            guest: self.range(self.ram(at), bytes),
            host: self.memory(at),
            writable: Writable::Yes,
        };
        [slot(0, times(CODE_PAGES, self.page())), slot(DATA, self.data_bytes())]
    }

    /// Makes a VM with the program and shows it to `then`.
    pub(crate) fn with_vm(
        &self,
        vcpus: u16,
        bench: &Bench<'_>,
        program: &[Step],
        mut then: impl FnMut(&Scene<'_, '_>) -> Checked,
    ) -> Checked {
        if vcpus > self.facts.vcpus {
            return Err(Ended::NotApplicable("the host has not as many vCPUs"));
        }
        let mut result = None;
        self.host.with_vm(vcpus, &mut |vm| {
            let scene = Scene { stage: *self, vm, bench };
            result = Some(scene.prepare(program).and_then(|()| then(&scene)));
        });
        result.unwrap_or_else(|| broken!("the host made no VM"))
    }

    /// As [`with_vm`](Self::with_vm), with the vCPU that runs the program.
    pub(crate) fn with_cpu(
        &self,
        bench: &Bench<'_>,
        program: &[Step],
        mut then: impl FnMut(&Scene<'_, '_>, &mut dyn Cpu) -> Checked,
    ) -> Checked {
        self.with_vm(1, bench, program, |scene| scene.with_cpu(FIRST, |cpu| then(scene, cpu)))
    }

    /// Waits until something is so, or patience has an end; returns whether it is.
    pub(crate) fn wait_for(&self, is_so: impl Fn() -> bool) -> bool {
        let start = self.host.nanoseconds();
        while !is_so() {
            if self.host.nanoseconds().wrapping_sub(start) > self.facts.patience {
                return is_so();
            }
            self.host.relax();
        }
        true
    }

    /// Lets time pass.
    pub(crate) fn sleep(&self, nanoseconds: u64) {
        let start = self.host.nanoseconds();
        while self.host.nanoseconds().wrapping_sub(start) < nanoseconds {
            self.host.relax();
        }
    }
}

/// The one-byte range at an address: what is left where a fact makes no sense.
fn unreachable_range(start: GuestPa) -> GuestRange {
    match GuestRange::new(start, 1) {
        Some(range) => range,
        None => unreachable_range(GuestPa::new(0)),
    }
}

/// One VM for one check.
pub(crate) struct Scene<'v, 'b> {
    pub(crate) stage: Stage<'v>,
    pub(crate) vm: &'v dyn Vm,
    pub(crate) bench: &'v Bench<'b>,
}

/// Says that a service which is to succeed was refused.
pub(crate) fn refused(what: &str, error: &Refused) -> Ended {
    Ended::Broken(Text::new(format_args!("{what} was refused: {}", error.0)))
}

impl Scene<'_, '_> {
    /// Makes the two slots, puts the program at the start of the first, and zeros where programs look. A function of its
    /// own: the code, which is large, is on the stack only here.
    #[inline(never)]
    fn prepare(&self, program: &[Step]) -> Checked {
        let mut code = Code::default();
        for step in program {
            self.stage.host.assemble(step, &mut code).map_err(|cannot| Ended::NotApplicable(cannot.0))?;
        }
        let Some(code) = code.bytes() else { return Err(Ended::NotApplicable("the program is too long")) };
        for slot in self.stage.standard_slots() {
            self.add(&slot)?;
        }
        let (page, last) = (self.stage.page(), self.stage.data_bytes().saturating_sub(self.stage.page()));
        self.clear(self.stage.ram(0), times(CODE_PAGES, page));
        self.clear(self.stage.data(0), page);
        self.clear(self.stage.data(last), page);
        for (at, bytes) in (0..).step_by(8).zip(code.chunks(8)) {
            self.vm.store(self.stage.memory(at), bytes);
        }
        Ok(())
    }

    /// Makes memory of the two slots zero.
    fn clear(&self, start: GuestPa, bytes: u64) {
        let zeros = [0; 256];
        for at in (0..bytes).step_by(zeros.len()) {
            self.vm.store(self.host_address(offset(start, at)), &zeros);
        }
    }

    /// Returns the scene with another platform, which names the same slots.
    pub(crate) fn seen_by<'s, 'c>(&'s self, bench: &'s Bench<'c>) -> Scene<'s, 'c> {
        for slot in self.bench.slots() {
            bench.name(&slot);
        }
        Scene { stage: self.stage, vm: self.vm, bench }
    }

    /// Names a slot, and makes it.
    pub(crate) fn add(&self, slot: &Slot) -> Checked {
        self.bench.name(slot);
        self.vm.services().add_slot(slot).map_err(|error| refused("a slot", &error))
    }

    /// Stops naming a slot, and takes it away.
    pub(crate) fn remove(&self, range: GuestRange) -> Checked {
        self.bench.forget(range);
        self.vm.services().remove_slot(range).map_err(|error| refused("removing a slot", &error))
    }

    /// Makes a vCPU that starts with the program.
    pub(crate) fn with_cpu(
        &self,
        index: VcpuIndex,
        mut then: impl FnMut(&mut dyn Cpu) -> Checked,
    ) -> Checked {
        let mut result = None;
        self.vm.with_vcpu(index, self.stage.ram(0), &mut |cpu| result = Some(then(cpu)));
        result.unwrap_or_else(|| broken!("the host made no vCPU {}", index.0))
    }

    /// Where the slots with code and data have an address.
    pub(crate) fn host_address(&self, address: GuestPa) -> HostPa {
        self.stage.memory(address.value().saturating_sub(self.stage.facts.ram.value()))
    }

    /// Reads a doubleword of the slots with code and data.
    pub(crate) fn peek(&self, address: GuestPa) -> u64 {
        self.peek_host(self.host_address(address))
    }

    pub(crate) fn peek_host(&self, from: HostPa) -> u64 {
        let mut bytes = [0; 8];
        self.vm.load(from, &mut bytes);
        match self.stage.facts.order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        }
    }

    /// Writes a doubleword of the slots with code and data.
    pub(crate) fn poke(&self, address: GuestPa, value: u64) {
        self.poke_host(self.host_address(address), value);
    }

    pub(crate) fn poke_host(&self, to: HostPa, value: u64) {
        let bytes = match self.stage.facts.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        self.vm.store(to, &bytes);
    }

    /// Runs the program to its end.
    pub(crate) fn finish(&self, cpu: &mut dyn Cpu) -> Checked {
        // A run may be interrupted by what is left of an earlier request.
        for _ in 0..8 {
            match cpu.run(self.bench) {
                Outcome::Stopped(StopReason::PowerOff) => return Ok(()),
                Outcome::Interrupted => {}
                other @ (Outcome::Device(..) | Outcome::Wait { .. } | Outcome::Stopped(_)) => {
                    broken!("the program was to end, and the run ended with {other:?}")
                }
            }
        }
        broken!("runs are interrupted although nobody asks for it")
    }

    /// Checks that a doubleword of the result page is as it should.
    pub(crate) fn expect(&self, number: u64, want: u64, what: &str) -> Checked {
        let seen = self.peek(self.stage.word(number));
        ensure!(seen == want, "{what}: {want:#x} was to be there, {seen:#x} is");
        Ok(())
    }

    /// Ends the check unless the kit stands between back end and guest side.
    pub(crate) fn needs_guest_side(cpu: &dyn Cpu) -> Checked {
        match cpu.guest_side() {
            GuestSide::Watched => Ok(()),
            GuestSide::Hidden => Err(Ended::NotApplicable("the guest side is out of reach")),
        }
    }

    /// Runs the program on a thread of its own, again whenever it is interrupted, while `control` does what it does.
    /// The word `flag` ends the program; it is set in the end, and the vCPU kicked until it is out.
    pub(crate) fn race(&self, flag: u64, mut control: impl FnMut(&Race<'_>) -> Checked + Send) -> Checked {
        let race = Race { scene: self, runs: AtomicU64::new(0), is_over: AtomicU64::new(0) };
        let (mut controlled, mut ran) = (Ok(()), Ok(()));
        let threads = self.stage.host.at_once(
            &mut || {
                controlled = control(&race);
                self.poke(self.stage.word(flag), 1);
                race.is_over.fetch_or(1, SeqCst);
                while !self.stage.wait_for(|| race.is_over.load(SeqCst) & 2 != 0) {
                    self.vm.services().request_exit(FIRST);
                }
            },
            &mut || {
                ran = self.with_cpu(FIRST, |cpu| race.run(cpu));
                race.is_over.fetch_or(2, SeqCst);
            },
        );
        match threads {
            Threads::One => Err(Ended::NotApplicable("the host under test has one thread")),
            Threads::Two => controlled.and(ran),
        }
    }
}

/// A program that runs while something else happens.
pub(crate) struct Race<'a> {
    scene: &'a Scene<'a, 'a>,
    /// Runs that were interrupted.
    pub(crate) runs: AtomicU64,
    /// Bit 0: the controlling side is done. Bit 1: the program is.
    is_over: AtomicU64,
}

impl Race<'_> {
    fn run(&self, cpu: &mut dyn Cpu) -> Checked {
        loop {
            match cpu.run(self.scene.bench) {
                Outcome::Stopped(StopReason::PowerOff) => return Ok(()),
                Outcome::Interrupted => self.runs.fetch_add(1, SeqCst),
                other @ (Outcome::Device(..) | Outcome::Wait { .. } | Outcome::Stopped(_)) => {
                    broken!("the program was to go on, and the run ended with {other:?}")
                }
            };
        }
    }

    /// Returns whether the program has come to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_over.load(SeqCst) & 2 != 0
    }

    /// Waits until a doubleword of memory changes, which says that the guest runs.
    pub(crate) fn see_progress(&self, address: GuestPa) -> Checked {
        let before = self.scene.peek(address);
        let goes_on = || self.scene.peek(address) != before || self.has_ended();
        ensure!(self.scene.stage.wait_for(goes_on), "the guest does not go on");
        Ok(())
    }
}
