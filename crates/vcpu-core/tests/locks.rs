//! What takes the VM's lock, and what does not: counted. (That nothing allocates needs no test: the crate has no `alloc`.)
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "test"
)]

mod machine;

use arm_arch::sysreg::{SysRegId, names};
use machine::{FakePlatform, FakeRegisters, RAM, access, load_syndrome, system};
use std::cell::Cell;
use std::sync::Mutex;
use vcpu_core::{Config, Shared, Vcpu, Vm};
use xarch_abi::{
    AccessSize, DeviceAnswer, Exit, Guest, Lock, Next, RegId, Registers, TimerSet, Trap, VcpuIndex,
};

thread_local! {
    static TAKEN: Cell<u32> = const { Cell::new(0) };
}

struct Counted<T>(Mutex<T>);

impl<T: Send> Lock<T> for Counted<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        TAKEN.set(TAKEN.get() + 1);
        section(&mut self.0.lock().unwrap())
    }
}

type CountedVm = Vm<4, Counted<Shared<4>>>;
type CountedVcpu<'a> = Vcpu<'a, 4, Counted<Shared<4>>>;

/// From an exit to the next entry: how often the lock was taken.
fn taken(guest: &mut CountedVcpu<'_>, registers: &mut FakeRegisters, exit: Exit) -> u32 {
    let platform = FakePlatform::default();
    TAKEN.set(0);
    if let Next::Device(asked, token) = guest.on_exit(registers, &platform, exit) {
        assert_eq!(asked.address.value(), 0x0900_0000);
        guest.complete(registers, token, DeviceAnswer::Value(1)).unwrap();
    }
    assert_eq!(guest.before_entry(registers, &platform), Next::Resume);
    TAKEN.get()
}

#[test]
fn registers_firmware_versions_and_devices_take_no_lock() {
    let vm = CountedVm::new(Config::new(2)).unwrap();
    let mut guest = CountedVcpu::new(&vm, VcpuIndex(0)).unwrap();
    let mut registers = FakeRegisters::new();
    for count in [names::CNTPCT_EL0, names::CNTVCT_EL0] {
        registers.write(system(count), 0).unwrap();
    }
    guest.reset(&mut registers).unwrap();
    guest.boot(&mut registers, RAM, [0x8400_0000, 0, 0, 0]).unwrap();
    // The first entry looks at everything, whose lock counts.
    assert!(taken(&mut guest, &mut registers, Exit::Spurious) > 0);

    let trap = |syndrome| Exit::Trap(Trap { syndrome, fault_address: 0 });
    let mrs = |id: SysRegId| trap(0x6200_0001 | u64::from(id.into_iss()) | 3 << 5);
    let msr = |id: SysRegId| trap(0x6200_0000 | u64::from(id.into_iss()) | 3 << 5);
    let free = [
        ("ID_AA64PFR0_EL1", mrs(names::ID_AA64PFR0_EL1)),
        ("ID_AA64ZFR0_EL1", mrs(names::ID_AA64ZFR0_EL1)),
        ("MIDR_EL1", mrs(names::MIDR_EL1)),
        ("CTR_EL0", mrs(names::CTR_EL0)),
        ("MPIDR_EL1", mrs(names::MPIDR_EL1)),
        ("CCSIDR_EL1", mrs(names::CCSIDR_EL1)),
        ("CSSELR_EL1", msr(names::CSSELR_EL1)),
        ("CNTVCT_EL0", mrs(names::CNTVCT_EL0)),
        ("ACTLR_EL1", mrs(names::ACTLR_EL1)),
        ("OSDLR_EL1", msr(names::OSDLR_EL1)),
        ("PMCR_EL0, UNDEFINED", mrs(names::PMCR_EL0)),
        ("PSCI_VERSION", trap(0x5a00_0000)),
        ("a device", Exit::Access(access(0x0900_0000, load_syndrome(AccessSize::Word)))),
        ("nothing", Exit::Spurious),
        ("a timer", Exit::Timer(TimerSet::VIRTUAL)),
    ];
    for (name, exit) in free {
        registers.write(RegId::general(0), 0x8400_0000).unwrap();
        assert_eq!(taken(&mut guest, &mut registers, exit), 0, "{name}");
    }
    // What is shared takes it: an SGI, and the distributor.
    assert!(taken(&mut guest, &mut registers, msr(names::ICC_SGI1R_EL1)) > 0);
    let distributor = Exit::Access(access(0x0800_0004, load_syndrome(AccessSize::Word)));
    assert!(taken(&mut guest, &mut registers, distributor) > 0);
}

/// The model may still change after a reset, before the first entry, and the guest sees the change.
#[test]
fn what_was_told_last_is_what_the_guest_reads() {
    let vm = CountedVm::new(Config::new(1)).unwrap();
    let mut guest = CountedVcpu::new(&vm, VcpuIndex(0)).unwrap();
    let mut registers = FakeRegisters::new();
    for count in [names::CNTPCT_EL0, names::CNTVCT_EL0] {
        registers.write(system(count), 0).unwrap();
    }
    guest.reset(&mut registers).unwrap();
    let id = names::ID_AA64ISAR0_EL1;
    // CRC32 [19:16] is taken away.
    let told = guest.get(&mut registers, system(id)).unwrap();
    let less = told & !0xf_0000;
    assert_ne!(told, less);
    guest.set(&mut registers, system(id), less).unwrap();
    taken(&mut guest, &mut registers, Exit::Spurious);
    let mrs = 0x6200_0001 | u64::from(id.into_iss()) | 3 << 5;
    taken(&mut guest, &mut registers, Exit::Trap(Trap { syndrome: mrs, fault_address: 0 }));
    assert_eq!(registers.read(RegId::general(3)).unwrap(), less);
}
