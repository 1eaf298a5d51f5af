//! vCPUs and devices on threads of their own: no interrupt, kick or start is lost.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test"
)]

mod machine;

use arm_arch::gic::Group;
use arm_arch::sysreg::names;
use machine::{FakeRegisters, RAM, TestVm, interrupt, system, vm};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use vcpu_core::{Line, Spi, Vcpu};
use xarch_abi::{
    DeviceAccess, DeviceAnswer, Exit, Guest, GuestPa, GuestRange, HostPa, Next, Platform, RegId, Registers,
    Slot, Trap, VcpuIndex, Writable,
};

const ROUNDS: u32 = 3000;
/// Far beyond what a round takes: whoever sleeps that long was forgotten.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// One sticky kick for each vCPU.
struct Sleepers {
    kicked: [Mutex<bool>; 2],
    wake: [Condvar; 2],
}

impl Sleepers {
    fn new() -> Self {
        Self { kicked: Default::default(), wake: Default::default() }
    }

    fn sleep(&self, vcpu: usize) {
        let mut kicked = self.kicked[vcpu].lock().unwrap();
        while !*kicked {
            let (guard, timeout) = self.wake[vcpu].wait_timeout(kicked, FORGOTTEN).unwrap();
            assert!(!timeout.timed_out(), "vCPU {vcpu} was forgotten");
            kicked = guard;
        }
        *kicked = false;
    }
}

impl Platform for Sleepers {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        let guest = GuestRange::new(GuestPa::new(RAM), 1 << 20)?;
        guest.contains(address).then_some(Slot { guest, host: HostPa::new(0), writable: Writable::Yes })
    }

    fn device(&self, _: VcpuIndex, _: &DeviceAccess) -> Option<DeviceAnswer> {
        None
    }

    fn kick(&self, vcpu: VcpuIndex) {
        let vcpu = usize::from(vcpu.0);
        *self.kicked[vcpu].lock().unwrap() = true;
        self.wake[vcpu].notify_one();
    }
}

/// A vCPU on its own thread.
struct Runner<'a> {
    guest: Vcpu<'a, 32>,
    registers: FakeRegisters,
    platform: &'a Sleepers,
}

impl<'a> Runner<'a> {
    fn new(vm: &'a TestVm, index: u16, platform: &'a Sleepers) -> Self {
        let mut guest = Vcpu::new(vm, VcpuIndex(index)).unwrap();
        let mut registers = FakeRegisters::new();
        for count in [names::CNTPCT_EL0, names::CNTVCT_EL0] {
            registers.write(system(count), 0).unwrap();
        }
        guest.reset(&mut registers).unwrap();
        Self { guest, registers, platform }
    }

    fn obey(&mut self, next: Next) {
        match next {
            Next::Resume => {}
            Next::Wait { .. } => self.platform.sleep(usize::from(self.guest.index().0)),
            other @ (Next::Device(..) | Next::Stop(_)) => panic!("{other:?}"),
        }
    }

    /// Enters, as soon as the vCPU is on.
    fn enter(&mut self) {
        loop {
            let next = self.guest.before_entry(&mut self.registers, self.platform);
            self.obey(next);
            if next == Next::Resume {
                return;
            }
        }
    }

    fn exit(&mut self, exit: Exit) {
        let next = self.guest.on_exit(&mut self.registers, self.platform, exit);
        self.obey(next);
        self.enter();
    }

    fn trap(&mut self, syndrome: u64) {
        self.exit(Exit::Trap(Trap { syndrome, fault_address: 0 }));
    }

    fn call(&mut self, arguments: [u64; 4]) -> u64 {
        for (number, value) in (0..).zip(arguments) {
            self.registers.write(RegId::general(number), value).unwrap();
        }
        self.trap(0x5a00_0000);
        self.registers.read(RegId::general(0)).unwrap()
    }

    /// Writes a register of the interrupt controller.
    fn poke(&mut self, address: u64, value: u64) {
        self.registers.write(RegId::general(3), value).unwrap();
        self.exit(Exit::Access(machine::access(address, 0x9383_8047)));
    }

    /// Turns the CPU interface on, and this vCPU's SGIs.
    fn open(&mut self) {
        self.registers.write(interrupt(names::ICH_VMCR_EL2), 0xf04c_000b).unwrap();
        let frame = 0x080b_0000 + u64::from(self.guest.index().0) * 0x2_0000;
        self.poke(frame + 0x100, 0xffff);
    }

    fn send_sgi(&mut self, value: u64) {
        self.registers.write(RegId::general(0), value).unwrap();
        self.trap(0x6200_0000 | u64::from(names::ICC_SGI1R_EL1.into_iss()));
    }

    /// Waits in WFI until there is an interrupt, takes it, lets `handle` run, and ends it.
    fn take(&mut self, handle: impl FnOnce(u32)) -> u32 {
        loop {
            match self.acknowledge() {
                1023 => self.trap(0x07e0_0000),
                intid => {
                    handle(intid);
                    self.end(intid);
                    return intid;
                }
            }
        }
    }

    fn acknowledge(&mut self) -> u32 {
        let mut ich = machine::read_ich(&mut self.registers);
        let intid = ich.acknowledge(Group::One);
        machine::write_ich(&mut self.registers, &ich);
        intid
    }

    fn end(&mut self, intid: u32) {
        let mut ich = machine::read_ich(&mut self.registers);
        let _ = ich.end_of_interrupt(Group::One, intid);
        machine::write_ich(&mut self.registers, &ich);
        let exit = if ich.is_maintenance_due() { Exit::Maintenance } else { Exit::Spurious };
        self.exit(exit);
    }
}

#[test]
fn two_vcpus_exchange_sgis_without_losing_one() {
    let (vm, platform) = (vm(2), Sleepers::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = Runner::new(&vm, 0, &platform);
            first.enter();
            first.poke(0x0800_0000, 3);
            first.open();
            assert_eq!(first.call([0xc400_0003, 1, RAM, 0]), 0);
            for _ in 0..ROUNDS {
                assert_eq!(first.take(|_| {}), 1);
                first.send_sgi(0x0200_0002);
            }
        });
        scope.spawn(|| {
            let mut second = Runner::new(&vm, 1, &platform);
            second.enter();
            second.open();
            for _ in 0..ROUNDS {
                second.send_sgi(0x0100_0001);
                assert_eq!(second.take(|_| {}), 2);
            }
        });
    });
}

#[test]
fn a_device_raises_its_line_as_often_as_the_guest_answers() {
    let (vm, platform) = (vm(1), Sleepers::new());
    let (asserted, handled) = (AtomicBool::new(false), AtomicU32::new(0));
    let spi = Spi::new(33).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cpu = Runner::new(&vm, 0, &platform);
            cpu.enter();
            cpu.poke(0x0800_0000, 3);
            cpu.open();
            cpu.poke(0x0800_0104, 2);
            while handled.load(Ordering::Acquire) < ROUNDS {
                // A line that falls while the interrupt is on its way leaves nothing behind but this.
                let intid = cpu.take(|_| {
                    if asserted.swap(false, Ordering::AcqRel) {
                        vm.set_spi_level(spi, Line::Low, &platform);
                        handled.fetch_add(1, Ordering::AcqRel);
                    }
                });
                assert_eq!(intid, 33);
            }
        });
        scope.spawn(|| {
            for round in 0..ROUNDS {
                while handled.load(Ordering::Acquire) < round {
                    std::thread::yield_now();
                }
                asserted.store(true, Ordering::Release);
                vm.set_spi_level(spi, Line::High, &platform);
            }
        });
    });
    assert_eq!(handled.into_inner(), ROUNDS);
}
