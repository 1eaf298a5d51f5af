//! A machine whose vCPUs, interrupt controller and timers are in a kernel, behind `/dev/xarch`; devices and memory are
//! this program's. The numbers are those of `examples/linux-module/xarch_uapi.h`.

use crate::Error;
use crate::bus::Bus;
use crate::console::Typist;
use crate::image::Image;
use crate::layout::{ADDRESS_BITS, RAM};
use crate::machine::{End, Memory, Operated, type_in};
use crate::memory::{Shared, call, call_number, call_register, open_by, open_by_number};
use crate::options::Options;
use arm_exec::Page;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, opcode};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use xarch_abi::{
    AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa, StopReason, Trap, VcpuIndex,
};

const GROUP: u8 = 0xb9;
const VERSION: i32 = 1;

const GET_API_VERSION: Opcode = opcode::none(GROUP, 0x00);
const GET_RUN_BYTES: Opcode = opcode::none(GROUP, 0x02);
const CREATE_VM: Opcode = opcode::write::<CreateVm>(GROUP, 0x03);
const SET_REGION: Opcode = opcode::write::<Region>(GROUP, 0x10);
const CREATE_VCPU: Opcode = opcode::none(GROUP, 0x11);
const PREFERRED_TARGET: Opcode = opcode::read::<VcpuInit>(GROUP, 0x12);
const IRQ_LINE: Opcode = opcode::write::<IrqLine>(GROUP, 0x13);
const INTERRUPT_VCPU: Opcode = opcode::none(GROUP, 0x14);
const VCPU_INIT: Opcode = opcode::write::<VcpuInit>(GROUP, 0x20);
const RUN: Opcode = opcode::none(GROUP, 0x21);
const GET_ONE_REG: Opcode = opcode::write::<OneReg>(GROUP, 0x22);
const SET_ONE_REG: Opcode = opcode::write::<OneReg>(GROUP, 0x23);
const GET_COUNTERS: Opcode = opcode::read::<Counters>(GROUP, 0x25);

const IRQ_TYPE_SPI: u32 = 1 << 24;

/// `struct xarch_create_vm`.
#[repr(C)]
#[derive(Debug)]
pub struct CreateVm {
    vcpus: u32,
    address_bits: u32,
    flags: u64,
}

/// `struct xarch_region`.
#[repr(C)]
#[derive(Debug)]
pub struct Region {
    region: u32,
    flags: u32,
    guest_address: u64,
    bytes: u64,
    user_address: u64,
}

impl Region {
    /// These pages, from `guest_address` on.
    fn new(guest_address: u64, pages: &'static [Page]) -> Option<Self> {
        let bytes = u64::try_from(size_of_val(pages)).ok()?;
        let user_address = u64::try_from(pages.as_ptr().expose_provenance()).ok()?;
        Some(Self { region: 0, flags: 0, guest_address, bytes, user_address })
    }
}

/// `struct xarch_vcpu_init`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuInit {
    target: u32,
    features: [u32; 7],
}

/// `struct xarch_irq_line`.
#[repr(C)]
#[derive(Debug)]
pub struct IrqLine {
    irq: u32,
    level: u32,
}

/// `struct xarch_one_reg`.
#[repr(C)]
#[derive(Debug)]
pub struct OneReg {
    /// KVM's id of the register.
    pub id: u64,
    /// Of its value.
    pub address: u64,
}

/// `struct xarch_counters`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Counters {
    runs: u64,
    slices: u64,
    waits: u64,
    devices: u64,
    run_ns: u64,
    wait_ns: u64,
}

/// The registers that this program asks for: KVM's ids of X0 to X30, PC and PSTATE.
const fn general(number: u64) -> u64 {
    0x6030_0000_0010_0000 | number.wrapping_mul(2)
}
const PC: u64 = general(32);
const PSTATE: u64 = general(33);

/// One vCPU and the page that it shares.
struct Vcpu {
    index: u16,
    file: OwnedFd,
    page: Shared,
}

/// Why `RUN` came back.
enum Exit {
    Device(DeviceAccess),
    Event(u32),
    Interrupted,
    Failed(StopReason),
}

/// A doubleword of the shared page, `struct xarch_run`.
#[derive(Clone, Copy)]
struct Word(usize);

impl Word {
    /// What is wanted, in four bytes, and why the guest left.
    const REASON: Self = Self(0);
    /// Of a device access its address; of an event its type; of a failure its reason and code.
    const FIRST: Self = Self(1);
    /// Of a device access its bytes, in the guest's order; of a failure its address.
    const SECOND: Self = Self(2);
    /// Of a device access how many, and its flags.
    const THIRD: Self = Self(3);
    /// Of a failure what the hardware said.
    const FOURTH: Self = Self(4);
}

impl Vcpu {
    fn new(vm: &OwnedFd, index: u16, page_bytes: usize) -> rustix::io::Result<Self> {
        let file = open_by_number(vm.as_fd(), CREATE_VCPU, index.into())?;
        let page = Shared::new(file.as_fd(), page_bytes)?;
        let mut init = VcpuInit::default();
        call(vm.as_fd(), PREFERRED_TARGET, &mut init)?;
        call(file.as_fd(), VCPU_INIT, &mut init)?;
        Ok(Self { index, file, page })
    }

    fn set(&self, id: u64, mut value: u64) -> rustix::io::Result<()> {
        call_register(self.file.as_fd(), SET_ONE_REG, id, &mut value).map(|_| ())
    }

    fn get(&self, id: u64) -> u64 {
        let mut value = 0;
        let got = call_register(self.file.as_fd(), GET_ONE_REG, id, &mut value);
        got.map_or(0, |_| value)
    }

    fn word(&self, word: Word) -> Option<&AtomicU64> {
        self.page.words().get(word.0)
    }

    fn bytes(&self, word: Word) -> [u8; 8] {
        self.word(word).map_or([0; 8], |word| word.load(Ordering::Acquire).to_ne_bytes())
    }

    fn number(&self, word: Word) -> u64 {
        u64::from_ne_bytes(self.bytes(word))
    }

    /// The two words of 32 bits of a doubleword, as they lie in memory.
    fn pair(&self, word: Word) -> [u32; 2] {
        let [a, b, c, d, e, f, g, h] = self.bytes(word);
        [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
    }

    fn put(&self, word: Word, bytes: [u8; 8]) {
        if let Some(word) = self.word(word) {
            word.store(u64::from_ne_bytes(bytes), Ordering::Release);
        }
    }

    fn run(&self) -> rustix::io::Result<Exit> {
        match call_number(self.file.as_fd(), RUN, 0) {
            Err(Errno::INTR) => return Ok(Exit::Interrupted),
            result => result?,
        };
        let [_, reason] = self.pair(Word::REASON);
        let [first, second] = self.pair(Word::FIRST);
        Ok(match reason {
            1 => Exit::Device(self.access().ok_or(Errno::PROTO)?),
            2 => Exit::Event(first),
            4 => Exit::Failed(self.failure(first, second)),
            _ => return Err(Errno::PROTO),
        })
    }

    fn access(&self) -> Option<DeviceAccess> {
        let [size, _] = self.pair(Word::THIRD);
        let is_write = self.bytes(Word::THIRD)[4] != 0;
        let size = AccessSize::from_log2(u8::try_from(size.checked_ilog2()?).ok()?)?;
        let value = size.truncate(u64::from_le_bytes(self.bytes(Word::SECOND)));
        let operation = if is_write { DeviceOperation::Write(value) } else { DeviceOperation::Read };
        Some(DeviceAccess { address: GuestPa::new(self.number(Word::FIRST)), size, operation })
    }

    fn answer(&self, answer: DeviceAnswer) {
        let mut flags = self.bytes(Word::THIRD);
        match answer {
            DeviceAnswer::Value(value) => self.put(Word::SECOND, value.to_le_bytes()),
            DeviceAnswer::Done => {}
            DeviceAnswer::Absent => flags[5] = 1,
        }
        self.put(Word::THIRD, flags);
    }

    /// Why it does not go on: `XARCH_STOP_*` of xarch.h.
    fn failure(&self, reason: u32, code: u32) -> StopReason {
        match reason {
            3 | 4 => StopReason::Unknown(code),
            6 => StopReason::Memory(GuestPa::new(self.number(Word::SECOND))),
            7 => StopReason::Unhandled(Trap {
                syndrome: self.number(Word::FOURTH),
                fault_address: self.number(Word::SECOND),
            }),
            _ => StopReason::Host,
        }
    }

    fn describe(&self) {
        eprintln!(
            "vmm: vcpu {} at PC {:#018x}, PSTATE {:#010x}\r",
            self.index,
            self.get(PC),
            self.get(PSTATE)
        );
        let numbers: Vec<u64> = (0..31).collect();
        for row in numbers.chunks(4) {
            let line: Vec<String> =
                row.iter().map(|n| format!("X{n:<2} {:#018x}", self.get(general(*n)))).collect();
            eprintln!("  {}\r", line.join("  "));
        }
    }

    fn print_counters(&self) {
        let mut counters = Counters::default();
        if call(self.file.as_fd(), GET_COUNTERS, &mut counters).is_err() {
            return;
        }
        let Counters { runs, slices, waits, devices, run_ns, wait_ns } = counters;
        eprintln!(
            "vcpu {}: {runs} runs, {slices} slices, {waits} waits, {devices} device accesses, {} ms inside, {} ms asleep\r",
            self.index,
            run_ns / 1_000_000,
            wait_ns / 1_000_000
        );
    }
}

/// What the threads share.
struct Host {
    vm: OwnedFd,
    vcpus: u16,
    bus: Bus,
    stop: AtomicBool,
    end: Mutex<Option<End>>,
}

impl Host {
    fn drive(&self, intid: u32, high: bool) {
        let mut line = IrqLine { irq: IRQ_TYPE_SPI | intid, level: u32::from(high) };
        // The machine has these lines: nothing can be wrong but the kernel.
        if let Err(error) = call(self.vm.as_fd(), IRQ_LINE, &mut line) {
            eprintln!("vmm: interrupt line {intid}: {error}\r");
        }
    }

    /// Ends the machine; the first reason stands, but a machine that the person has ended does not start again.
    fn stop(&self, end: End) {
        let mut stands = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!((*stands, end), (None, _) | (Some(End::Reset), End::Quit)) {
            *stands = Some(end);
        }
        drop(stands);
        self.stop.store(true, Ordering::SeqCst);
        self.bus.close();
        for index in 0..self.vcpus {
            // One that is not made yet looks before it runs.
            let _ = call_number(self.vm.as_fd(), INTERRUPT_VCPU, index.into());
        }
    }

    /// The life of one vCPU's thread.
    fn run(&self, vcpu: &Vcpu) -> Result<(), String> {
        let _end = EndOnPanic(self);
        let index = VcpuIndex(vcpu.index);
        while !self.has_ended() {
            let exit = vcpu.run().map_err(|error| {
                self.stop(End::Quit);
                format!("vcpu {}: {error}", vcpu.index)
            })?;
            match exit {
                Exit::Interrupted => {}
                Exit::Device(access) => {
                    vcpu.answer(self.bus.access(&access, |intid, high| self.drive(intid, high)));
                }
                Exit::Event(1) => self.stop(End::PowerOff),
                Exit::Event(2) => self.stop(End::Reset),
                Exit::Event(3) => self.stop(End::Failed(index, StopReason::Suspend)),
                Exit::Event(_) => self.stop(End::Failed(index, StopReason::Host)),
                Exit::Failed(reason) => {
                    vcpu.describe();
                    self.stop(End::Failed(index, reason));
                }
            }
        }
        Ok(())
    }
}

/// Ends the machine when the thread of a vCPU panics: the others would wait for it forever.
struct EndOnPanic<'a>(&'a Host);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(End::Quit);
        }
    }
}

impl Operated for Host {
    fn type_in(&self, bytes: &[u8]) {
        self.bus.type_in(bytes, |intid, high| self.drive(intid, high));
    }

    fn tick(&self) {
        self.bus.tick(|intid, high| self.drive(intid, high));
    }

    fn quit(&self) {
        self.stop(End::Quit);
    }

    fn has_ended(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Makes the VM and its vCPUs; the first one starts at the kernel.
fn build(
    device: &Path,
    options: &Options,
    image: &Image,
    memory: &Memory,
) -> Result<(OwnedFd, Vec<Vcpu>), String> {
    let open = rustix::fs::open(device, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let device_file = open.map_err(|error| format!("{}: {error}", device.display()))?;
    let fails = |what: &'static str| move |error: Errno| format!("{}: {what}: {error}", device.display());
    let version = call_number(device_file.as_fd(), GET_API_VERSION, 0).map_err(fails("version"))?;
    if version != VERSION {
        return Err(format!("{}: version {version}, not {VERSION}", device.display()));
    }
    let page_bytes = call_number(device_file.as_fd(), GET_RUN_BYTES, 0).map_err(fails("size of a page"))?;
    let page_bytes = usize::try_from(page_bytes).map_err(|_| "the device's page has no size")?;
    let mut config = CreateVm { vcpus: options.cpus.into(), address_bits: ADDRESS_BITS.into(), flags: 0 };
    let vm = open_by(device_file.as_fd(), CREATE_VM, &mut config).map_err(fails("making a VM"))?;
    let mut region = Region::new(RAM, memory.guest_pages()).ok_or("more memory than addresses")?;
    call(vm.as_fd(), SET_REGION, &mut region).map_err(fails("guest memory"))?;
    let vcpus =
        (0..options.cpus).map(|index| Vcpu::new(&vm, index, page_bytes)).collect::<Result<Vec<_>, _>>();
    let vcpus = vcpus.map_err(fails("making a vCPU"))?;
    if let Some(first) = vcpus.first() {
        let boot =
            first.set(PC, image.placement.kernel).and_then(|()| first.set(general(0), image.placement.dtb));
        boot.map_err(fails("registers"))?;
    }
    Ok((vm, vcpus))
}

/// Runs the machine once, from reset to its end; kernel, RAM disk and device tree are in memory.
///
/// # Errors
/// [`Error::Request`] if it could not be built, [`Error::Machine`] if it broke.
pub fn run(
    device: &Path,
    options: &Options,
    image: &Image,
    memory: &Memory,
    typist: &mut Typist,
) -> Result<End, Error> {
    let refused = [("--trace", options.trace), ("--cpu-model", options.cpu_model.is_some())];
    if let Some((name, _)) = refused.into_iter().find(|(_, asked)| *asked) {
        return Err(Error::Request(format!("{name} needs --accel model: the kernel decides that itself")));
    }
    let (vm, vcpus) = build(device, options, image, memory).map_err(Error::Request)?;
    let host = Host {
        vm,
        vcpus: options.cpus,
        bus: Bus::default(),
        stop: AtomicBool::new(false),
        end: Mutex::new(None),
    };
    let results = thread::scope(|scope| {
        scope.spawn(|| type_in(&host, typist));
        let threads: Vec<_> = vcpus.iter().map(|vcpu| scope.spawn(|| host.run(vcpu))).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    if options.stats {
        vcpus.iter().for_each(Vcpu::print_counters);
    }
    for result in results {
        let result = result.unwrap_or_else(|_| Err("a vCPU's thread panicked".into()));
        result.map_err(Error::Machine)?;
    }
    let end = host.end.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(end.unwrap_or(End::Quit))
}
