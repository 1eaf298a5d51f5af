//! SMCCC and PSCI by literal identifiers and results.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::sysreg::names;
use machine::{Cpu, FakePlatform, RAM, TestVm, control, vm};
use vcpu_core::{Config, Speculation, Vm, Weakness};
use xarch_abi::{AccessSize, Deadline, Exit, Guest, Next, RegId, StopReason};

const NOT_SUPPORTED: u64 = u64::MAX;
const INVALID_PARAMETERS: u64 = u64::MAX - 1;
const ALREADY_ON: u64 = u64::MAX - 3;
const ON_PENDING: u64 = u64::MAX - 4;
const INTERNAL_FAILURE: u64 = u64::MAX - 5;
const INVALID_ADDRESS: u64 = u64::MAX - 8;

const CPU_ON_64: u64 = 0xc400_0003;

#[test]
fn calls_that_return_have_these_results() {
    const CASES: &[(&str, [u64; 4], u64)] = &[
        ("SMCCC_VERSION is 1.1", [0x8000_0000, 0, 0, 0], 0x1_0001),
        ("SMCCC_ARCH_FEATURES(SMCCC_VERSION)", [0x8000_0001, 0x8000_0000, 0, 0], 0),
        ("SMCCC_ARCH_FEATURES(ARCH_FEATURES)", [0x8000_0001, 0x8000_0001, 0, 0], 0),
        ("SMCCC_ARCH_FEATURES(WORKAROUND_1), unknown", [0x8000_0001, 0x8000_8000, 0, 0], NOT_SUPPORTED),
        ("SMCCC_ARCH_FEATURES(WORKAROUND_2), unknown", [0x8000_0001, 0x8000_7fff, 0, 0], NOT_SUPPORTED),
        ("SMCCC_ARCH_FEATURES(WORKAROUND_3), unknown", [0x8000_0001, 0x8000_3fff, 0, 0], NOT_SUPPORTED),
        ("SMCCC_ARCH_FEATURES of another owner", [0x8000_0001, 0x8400_0000, 0, 0], NOT_SUPPORTED),
        ("WORKAROUND_1 itself", [0x8000_8000, 0, 0, 0], NOT_SUPPORTED),
        ("SMCCC_VERSION as a 64-bit call", [0xc000_0000, 0, 0, 0], NOT_SUPPORTED),
        ("PSCI_VERSION is 1.1", [0x8400_0000, 0, 0, 0], 0x1_0001),
        ("PSCI_VERSION with the SVE hint", [0x8401_0000, 0, 0, 0], 0x1_0001),
        ("PSCI_VERSION, garbage above W0", [0xffff_ffff_8400_0000, 0, 0, 0], 0x1_0001),
        ("PSCI_VERSION as a 64-bit call", [0xc400_0000, 0, 0, 0], NOT_SUPPORTED),
        ("MIGRATE_INFO_TYPE: no Trusted OS", [0x8400_0006, 0, 0, 0], 2),
        ("PSCI_FEATURES(CPU_ON)", [0x8400_000a, 0x8400_0003, 0, 0], 0),
        ("PSCI_FEATURES(CPU_ON), 64 bits", [0x8400_000a, 0xc400_0003, 0, 0], 0),
        ("PSCI_FEATURES(CPU_OFF), 64 bits", [0x8400_000a, 0xc400_0002, 0, 0], NOT_SUPPORTED),
        ("PSCI_FEATURES(CPU_SUSPEND): original format", [0x8400_000a, 0xc400_0001, 0, 0], 0),
        ("PSCI_FEATURES(SYSTEM_RESET2)", [0x8400_000a, 0xc400_0012, 0, 0], 0),
        ("PSCI_FEATURES(SMCCC_VERSION)", [0x8400_000a, 0x8000_0000, 0, 0], 0),
        ("PSCI_FEATURES(MIGRATE)", [0x8400_000a, 0x8400_0005, 0, 0], NOT_SUPPORTED),
        ("PSCI_FEATURES(SYSTEM_SUSPEND)", [0x8400_000a, 0xc400_000e, 0, 0], NOT_SUPPORTED),
        ("MIGRATE", [0x8400_0005, 0, 0, 0], NOT_SUPPORTED),
        ("TRNG_VERSION", [0x8400_0050, 0, 0, 0], NOT_SUPPORTED),
        ("KVM features", [0x8600_0000, 0, 0, 0], NOT_SUPPORTED),
        ("a yielding call", [0x0400_0000, 0, 0, 0], NOT_SUPPORTED),
        ("SYSTEM_RESET2 with a vendor's type", [0xc400_0012, 0x8000_0000, 0, 0], INVALID_PARAMETERS),
        ("SYSTEM_RESET2 with a reserved type", [0xc400_0012, 1, 0, 0], INVALID_PARAMETERS),
        ("AFFINITY_INFO of itself", [0xc400_0004, 0, 0, 0], 0),
        ("AFFINITY_INFO of one that is off", [0xc400_0004, 1, 0, 0], 1),
        ("AFFINITY_INFO of none", [0xc400_0004, 0x102, 0, 0], INVALID_PARAMETERS),
        ("AFFINITY_INFO of the second cluster", [0xc400_0004, 0x100, 1, 0], 1),
        ("AFFINITY_INFO of the first cluster", [0xc400_0004, 0x7, 1, 0], 0),
        ("AFFINITY_INFO of all", [0xc400_0004, 0xffff, 2, 0], 0),
        ("AFFINITY_INFO, level 3", [0x8400_0004, 0, 3, 0], 0),
        ("AFFINITY_INFO, level 4", [0xc400_0004, 0, 4, 0], INVALID_PARAMETERS),
        ("AFFINITY_INFO, bit 31 of MPIDR", [0xc400_0004, 0x8000_0000, 0, 0], INVALID_PARAMETERS),
        ("CPU_ON of itself", [CPU_ON_64, 0, RAM, 0], ALREADY_ON),
        ("CPU_ON of none", [CPU_ON_64, 0x102, RAM, 0], INVALID_PARAMETERS),
        ("CPU_ON with bit 31 of MPIDR", [CPU_ON_64, 0x8000_0001, RAM, 0], INVALID_PARAMETERS),
        ("CPU_ON with Aff3, 64 bits", [CPU_ON_64, 0x1_0000_0001, RAM, 0], INVALID_PARAMETERS),
        ("CPU_ON outside memory", [CPU_ON_64, 1, 0x1000, 0], INVALID_ADDRESS),
        ("CPU_ON at an odd address", [CPU_ON_64, 1, RAM + 2, 0], INVALID_ADDRESS),
    ];
    for (name, arguments, want) in CASES {
        // Sixteen in the first cluster, two in the second.
        let (vm, platform) = (vm(18), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.enter();
        let pc = cpu.pc();
        assert_eq!(cpu.call(*arguments), *want, "{name}");
        cpu.enter();
        assert_eq!(cpu.pc(), pc, "{name}: HVC returns behind itself already");
    }
}

#[test]
fn a_32_bit_call_takes_the_low_halves_of_its_arguments() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    assert_eq!(cpu.call([0x8400_0004, 0xffff_ffff_0000_0001, 0xffff_ffff_0000_0000, 0]), 1);
    assert_eq!(cpu.call([0xc400_0004, 0xffff_ffff_0000_0001, 0, 0]), INVALID_PARAMETERS);
}

#[test]
fn weaknesses_that_are_absent_are_said_to_need_no_call() {
    let absent = Weakness::Absent;
    let speculation = Speculation { workaround_1: absent, workaround_2: absent, workaround_3: absent };
    let vm: TestVm = Vm::new(Config { speculation, ..Config::new(1) }).unwrap();
    let platform = FakePlatform::default();
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    for (id, features) in [(0x8000_8000, 1), (0x8000_7fff, u64::MAX - 1), (0x8000_3fff, 1)] {
        assert_eq!(cpu.call([0x8000_0001, id, 0, 0]), features, "{id:#x}");
        assert_eq!(cpu.call([id, 0, 0, 0]), 0, "{id:#x}");
    }
}

#[test]
fn smc_is_skipped_and_answered_like_hvc() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.set(RegId::PC, RAM);
    cpu.enter();
    cpu.set(RegId::general(0), 0x8400_0000);
    assert_eq!(cpu.trap(0x5e00_0000), Next::Resume);
    cpu.enter();
    assert_eq!((cpu.x(0), cpu.pc()), (0x1_0001, RAM + 4));
}

#[test]
fn an_immediate_other_than_0_is_no_firmware_call() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    cpu.set(RegId::general(0), 0x8400_0008);
    assert_eq!(cpu.trap(0x5a00_0001), Next::Resume);
    assert_eq!(cpu.x(0), NOT_SUPPORTED);
}

#[test]
fn the_machine_stops_by_psci_and_a_return_would_find_a_failure() {
    for (id, reason) in [
        (0x8400_0008, StopReason::PowerOff),
        (0x8400_0009, StopReason::Reset),
        (0x8400_0012, StopReason::Reset),
        (0xc400_0012, StopReason::Reset),
    ] {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.enter();
        assert_eq!(cpu.hvc([id, 0, 0, 0]), Next::Stop(reason), "{id:#x}");
        assert_eq!(cpu.x(0), INTERNAL_FAILURE, "{id:#x}");
    }
}

#[test]
fn cpu_suspend_waits_like_wfi_and_succeeds() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    cpu.set_clock(1000);
    cpu.set_sys(names::CNTV_CVAL_EL0, 1100);
    cpu.set_sys(names::CNTV_CTL_EL0, 1);
    // 100 ticks of 16 ns.
    let deadline = Some(Deadline { counter: 1100, nanoseconds: 1600 });
    assert_eq!(cpu.hvc([0xc400_0001, 0x1_0000, RAM, 0]), Next::Wait { deadline });
    assert_eq!(cpu.x(0), 0);
}

/// Class of defect 1: a reset by another thread of registers that a vCPU has loaded.
#[test]
fn split_ownership_a_vcpu_that_is_turned_on_resets_itself() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    let mut second = Cpu::new(&vm, 1, &platform);
    first.enter();
    assert_eq!(second.prepare(), Next::Wait { deadline: None });
    assert_eq!(second.prepare(), Next::Wait { deadline: None }, "a kick alone does not start it");
    // The caller runs big-endian.
    first.set_sys(names::SCTLR_EL1, 0x30d0_0800 | 1 << 25);
    platform.take_kicks();
    assert_eq!(first.call([CPU_ON_64, 1, RAM + 0x80, 0x1234]), 0);
    assert_eq!(platform.take_kicks(), [1]);
    assert_eq!(second.pc(), 0, "nothing was written by the caller's thread");
    assert_eq!(first.call([CPU_ON_64, 1, RAM, 0]), ON_PENDING);
    assert_eq!(first.call([0xc400_0004, 1, 0, 0]), 2, "AFFINITY_INFO: on pending");
    // Whatever the registers held before is gone when it starts.
    second.set(RegId::general(7), 7);
    second.set(RegId::vector(0), 7);
    second.set_sys(names::SCTLR_EL1, 0xffff);
    second.set_sys(names::CNTV_CTL_EL0, 1);
    second.enter();
    assert_eq!((second.pc(), second.x(0)), (RAM + 0x80, 0x1234));
    assert_eq!((second.x(7), second.get(RegId::vector(0))), (0, 0));
    assert_eq!(second.get(RegId::STATUS), 0x3c5, "EL1h, all masked");
    assert_eq!(second.sys(names::SCTLR_EL1), 0x32d0_0980, "MMU and caches off, EE of the caller");
    assert_eq!(second.sys(names::CNTV_CTL_EL0), 0);
    assert_eq!(second.get(control(names::VMPIDR_EL2)), 0x8000_0001);
    assert_eq!(first.call([CPU_ON_64, 1, RAM, 0]), ALREADY_ON);
    assert_eq!(first.call([0xc400_0004, 1, 0, 0]), 0);
}

#[test]
fn a_vcpu_that_went_off_can_be_turned_on_again() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    let mut second = Cpu::new(&vm, 1, &platform);
    first.enter();
    assert_eq!(first.call([0x8400_0003, 1, RAM, 5]), 0);
    second.enter();
    assert_eq!(second.hvc([0x8400_0002, 0, 0, 0]), Next::Wait { deadline: None });
    assert_eq!(second.prepare(), Next::Wait { deadline: None });
    assert_eq!(first.call([0xc400_0004, 1, 0, 0]), 1);
    assert_eq!(first.call([0x8400_0003, 1, RAM + 8, 6]), 0);
    second.enter();
    assert_eq!((second.pc(), second.x(0)), (RAM + 8, 6));
}

#[test]
fn a_machine_that_was_reset_starts_with_its_first_vcpu_only() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    let mut second = Cpu::new(&vm, 1, &platform);
    first.enter();
    first.poke(0x0800_0000, 3);
    assert_eq!(first.call([CPU_ON_64, 1, RAM, 0]), 0);
    second.enter();
    vm.reset();
    first.guest.reset(&mut first.registers).unwrap();
    second.guest.reset(&mut second.registers).unwrap();
    first.enter();
    assert_eq!(second.prepare(), Next::Wait { deadline: None });
    assert_eq!(first.peek(0x0800_0000, AccessSize::Word), 0x50, "groups are disabled");
    assert_eq!(first.exit(Exit::Spurious), Next::Resume);
}
