//! A second guest architecture, on a back end of its own: RV64I in machine mode.
#![allow(
    dead_code,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code, of which each test uses a part"
)]

pub mod asm;
pub mod guest;
pub mod machine;

use asm::li;
use guest::{FINISHER, FINISHER_PASS, Hart, MTIME, MTIMECMP};
use machine::{ADDRESS_BITS, PAGE, TICK, ToyVcpu, ToyVm};
use std::time::Instant;
use xarch_abi::{AccessSize, Guest, GuestPa, HostPa, RegId, Registers, VcpuIndex};
use xarch_conformance::{
    ByteOrder, Cannot, Code, Cpu, Facts, Host, MEMORY_BYTES, Pair, Services, Step, Threads, Vm,
};

pub const RAM: u64 = 0x8000_0000;
pub const DEVICE: u64 = 0x1000_0000;

/// The registers that take every value.
pub const PLAIN: [RegId; 31] = {
    let mut ids = [RegId::general(1); 31];
    let mut n = 0;
    while n < 31 {
        ids[n] = RegId::general(n as u8 + 1);
        n += 1;
    }
    ids
};
pub const WIDE: [RegId; 3] = [RegId::vector(0), RegId::vector(7), RegId::vector(31)];
pub const READ_ONLY: [RegId; 1] = [RegId::host_limit(asm::MISA)];
pub const UNKNOWN: [RegId; 3] = [RegId::general(0), RegId::general(32), RegId::vector(32)];

pub fn facts(patience: u64, rounds: u32) -> Facts<'static> {
    Facts {
        page_bytes: PAGE,
        address_bits: ADDRESS_BITS,
        vcpus: 2,
        order: ByteOrder::Little,
        ram: GuestPa::new(RAM),
        memory: HostPa::new(0),
        device: GuestPa::new(DEVICE),
        plain: &PLAIN,
        wide: &WIDE,
        read_only: &READ_ONLY,
        unknown: &UNKNOWN,
        patience,
        rounds,
    }
}

/// Puts a step into RV64I.
pub fn assemble(step: &Step, code: &mut Code) -> Result<(), Cannot> {
    let log2 = |size: AccessSize| size.bytes().trailing_zeros();
    match *step {
        Step::Store { at, value, size } => {
            code.words(&li(5, at.value()));
            code.words(&li(6, value));
            code.words(&[asm::store(log2(size), 6, 5, 0)]);
        }
        Step::Copy { from, to, size } => {
            code.words(&li(5, from.value()));
            let funct3 = if size == AccessSize::Double { 3 } else { 4 | log2(size) };
            code.words(&[asm::load(funct3, 6, 5, 0)]);
            code.words(&li(5, to.value()));
            code.words(&[asm::store(3, 6, 5, 0)]);
        }
        Step::Count { counter, flag, total, limit } => {
            code.words(&li(5, counter.value()));
            code.words(&li(6, flag.value()));
            code.words(&li(7, limit));
            code.words(&[
                asm::addi(8, 0, 0),
                asm::load(3, 9, 5, 0),
                asm::addi(9, 9, 1),
                asm::store(3, 9, 5, 0),
                asm::addi(8, 8, 1),
                asm::load(3, 9, 6, 0),
                asm::bne(9, 0, 8),
                asm::bne(8, 7, -24),
            ]);
            code.words(&li(5, total.value()));
            code.words(&[asm::store(3, 8, 5, 0)]);
        }
        Step::Trap => code.words(&[asm::csrr(5, asm::MVENDORID)]),
        Step::Timer { nanoseconds } => {
            code.words(&li(5, MTIME));
            code.words(&[asm::load(3, 6, 5, 0)]);
            code.words(&li(7, nanoseconds / TICK));
            code.words(&[asm::add(6, 6, 7)]);
            code.words(&li(5, MTIMECMP));
            code.words(&[asm::store(3, 6, 5, 0), asm::addi(6, 0, 0x80), asm::csrw(asm::MIE, 6)]);
        }
        Step::Wait => code.words(&[asm::WFI]),
        Step::PowerOff => {
            code.words(&li(5, FINISHER));
            code.words(&li(6, FINISHER_PASS));
            code.words(&[asm::store(2, 6, 5, 0)]);
        }
    }
    Ok(())
}

/// Runs two things at once, as a host with threads does.
pub fn at_once(first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
    std::thread::scope(|scope| {
        scope.spawn(first);
        second();
    });
    Threads::Two
}

/// The host.
pub struct Toy {
    pub started: Instant,
    pub facts: Facts<'static>,
}

impl Toy {
    pub fn new() -> Self {
        Self { started: Instant::now(), facts: facts(5_000_000_000, 300) }
    }
}

impl Host for Toy {
    fn facts(&self) -> Facts<'_> {
        self.facts
    }

    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot> {
        assemble(step, code)
    }

    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm)) {
        then(&ToyHostVm(ToyVm::new(vcpus, MEMORY_BYTES)));
    }

    fn nanoseconds(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn relax(&self) {
        std::thread::yield_now();
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        at_once(first, second)
    }
}

struct ToyHostVm(ToyVm);

impl Vm for ToyHostVm {
    fn services(&self) -> &dyn Services {
        &self.0
    }

    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu)) {
        let mut vcpu = ToyVcpu::new(&self.0, index);
        let mut hart = started(&mut vcpu, index, entry.value());
        then(&mut Pair::new(&mut vcpu, &mut hart));
    }

    fn load(&self, from: HostPa, into: &mut [u8]) {
        load(&self.0, from, into);
    }

    fn store(&self, to: HostPa, bytes: &[u8]) {
        store(&self.0, to, bytes);
    }
}

/// Makes a hart that is to start at `entry`.
pub fn started(registers: &mut impl Registers, index: VcpuIndex, entry: u64) -> Hart {
    let mut hart = Hart::new(index);
    hart.reset(registers).unwrap();
    registers.write(RegId::PC, entry).unwrap();
    hart
}

pub fn load(vm: &ToyVm, from: HostPa, into: &mut [u8]) {
    for (n, piece) in into.chunks_mut(8).enumerate() {
        let at = from.value() + 8 * n as u64;
        if at % 8 == 0 && piece.len() == 8 {
            piece.copy_from_slice(&vm.memory.load(at, 8).to_le_bytes());
        } else {
            for (place, byte) in piece.iter_mut().zip(at..) {
                *place = vm.memory.load(byte, 1) as u8;
            }
        }
    }
}

pub fn store(vm: &ToyVm, to: HostPa, bytes: &[u8]) {
    for (n, piece) in bytes.chunks(8).enumerate() {
        let at = to.value() + 8 * n as u64;
        match <[u8; 8]>::try_from(piece) {
            Ok(whole) if at % 8 == 0 => vm.memory.store(at, 8, u64::from_le_bytes(whole)),
            _ => piece.iter().zip(at..).for_each(|(byte, at)| vm.memory.store(at, 1, u64::from(*byte))),
        }
    }
}
