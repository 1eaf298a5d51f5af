//! Accesses to guest-physical memory that no RAM answers for.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::sysreg::names;
use machine::{Cpu, FakePlatform, RAM, access, fault_address, load_syndrome, vm};
use xarch_abi::{
    AccessCause, AccessSize, CompletionError, DeviceAccess, DeviceAnswer, DeviceOperation, Exit, Guest,
    GuestPa, MemoryAccess, Next, RegId, Token,
};

const UART: u64 = 0x0900_0018;
/// ISV and X3, from EL0 or EL1, translation fault at level 3.
const STORE: u64 = 0x9303_0047;
const LOAD: u64 = 0x9303_0007;
const SAS_SHIFT: u32 = 22;
const SSE: u64 = 1 << 21;
const SF: u64 = 1 << 15;
const EE: u64 = 1 << 25;
const E0E: u64 = 1 << 24;

fn device(next: Next) -> (DeviceAccess, Token) {
    match next {
        Next::Device(access, token) => (access, token),
        other @ (Next::Resume | Next::Wait { .. } | Next::Stop(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_load_puts_the_answer_into_the_register_as_the_syndrome_says() {
    type Case = (&'static str, u64, AccessSize, u64, u64);
    const CASES: &[Case] = &[
        ("ldrb w3", LOAD, AccessSize::Byte, 0x1_ff85, 0x85),
        ("ldrsb w3", LOAD | SSE, AccessSize::Byte, 0x85, 0xffff_ff85),
        ("ldrsb x3", LOAD | SSE | SF, AccessSize::Byte, 0x85, 0xffff_ffff_ffff_ff85),
        ("ldrh w3", LOAD | 1 << SAS_SHIFT, AccessSize::Half, 0x8765, 0x8765),
        ("ldrsh x3", LOAD | SSE | SF | 1 << SAS_SHIFT, AccessSize::Half, 0x8765, 0xffff_ffff_ffff_8765),
        ("ldr w3", LOAD | 2 << SAS_SHIFT, AccessSize::Word, 0x1_8765_4321, 0x8765_4321),
        ("ldrsw x3", LOAD | SSE | SF | 2 << SAS_SHIFT, AccessSize::Word, 0x8765_4321, 0xffff_ffff_8765_4321),
        ("ldr x3", LOAD | SF | 3 << SAS_SHIFT, AccessSize::Double, u64::MAX - 5, u64::MAX - 5),
    ];
    for (name, syndrome, size, answer, want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.set(RegId::PC, RAM);
        cpu.set(RegId::general(3), 0x5555_5555_5555_5555);
        cpu.enter();
        let (asked, token) = device(cpu.exit(Exit::Access(access(UART, *syndrome))));
        let read =
            DeviceAccess { address: GuestPa::new(UART), size: *size, operation: DeviceOperation::Read };
        assert_eq!(asked, read, "{name}");
        assert_eq!(cpu.guest.complete(&mut cpu.registers, token, DeviceAnswer::Value(*answer)), Ok(()));
        assert_eq!(cpu.x(3), *want, "{name}");
        cpu.enter();
        assert_eq!(cpu.pc(), RAM + 4, "{name}");
    }
}

#[test]
fn a_store_brings_the_register_cut_to_size() {
    const CASES: &[(&str, u64, AccessSize, u64)] = &[
        ("strb", STORE, AccessSize::Byte, 0x88),
        ("strh", STORE | 1 << SAS_SHIFT, AccessSize::Half, 0x7788),
        ("str w", STORE | 2 << SAS_SHIFT, AccessSize::Word, 0x5566_7788),
        ("str x", STORE | SF | 3 << SAS_SHIFT, AccessSize::Double, 0x1122_3344_5566_7788),
        ("str xzr", STORE | 0x1f_0000 | SF | 3 << SAS_SHIFT, AccessSize::Double, 0),
    ];
    for (name, syndrome, size, want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.set(RegId::PC, RAM);
        cpu.set(RegId::general(3), 0x1122_3344_5566_7788);
        cpu.enter();
        let (asked, token) = device(cpu.exit(Exit::Access(access(UART, *syndrome))));
        assert_eq!((asked.size, asked.operation), (*size, DeviceOperation::Write(*want)), "{name}");
        assert_eq!(cpu.guest.complete(&mut cpu.registers, token, DeviceAnswer::Done), Ok(()), "{name}");
        cpu.enter();
        assert_eq!(cpu.pc(), RAM + 4, "{name}");
    }
}

#[test]
fn a_big_endian_guest_exchanges_the_bytes_of_its_data() {
    const EL0: u64 = 0x0;
    const EL1: u64 = 0x5;
    const CASES: &[(&str, u64, u64, u64)] = &[
        ("EL1, little-endian", EL1, 0, 0x5566_7788),
        ("EL1, EE", EL1, EE, 0x8877_6655),
        ("EL1, E0E does not count", EL1, E0E, 0x5566_7788),
        ("EL0, E0E", EL0, E0E, 0x8877_6655),
        ("EL0, EE does not count", EL0, EE, 0x5566_7788),
    ];
    for (name, status, sctlr, want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.enter();
        cpu.set(RegId::STATUS, *status);
        cpu.set_sys(names::SCTLR_EL1, *sctlr);
        cpu.set(RegId::general(3), 0x1122_3344_5566_7788);
        let (asked, token) = device(cpu.exit(Exit::Access(access(UART, STORE | 2 << SAS_SHIFT))));
        assert_eq!(asked.operation, DeviceOperation::Write(*want), "{name}");
        assert_eq!(cpu.guest.complete(&mut cpu.registers, token, DeviceAnswer::Done), Ok(()));
        cpu.enter();
        let (_, token) = device(cpu.exit(Exit::Access(access(UART, LOAD | 2 << SAS_SHIFT))));
        let answer = DeviceAnswer::Value(*want);
        assert_eq!(cpu.guest.complete(&mut cpu.registers, token, answer), Ok(()));
        assert_eq!(cpu.x(3), 0x5566_7788, "{name}");
    }
}

#[test]
fn accesses_that_are_faults_inject_these_syndromes() {
    struct Case {
        name: &'static str,
        access: MemoryAccess,
        from: u64,
        esr: u64,
    }
    let at = |syndrome| access(UART, syndrome);
    let with = |syndrome, cause| MemoryAccess { cause, ..access(UART, syndrome) };
    let (el0, el1) = (0x0, 0x5);
    let cases = [
        Case {
            name: "beyond the address space, write, EL1",
            access: with(STORE, AccessCause::OutOfRange),
            from: el1,
            esr: 0x9600_0040,
        },
        Case {
            name: "beyond the address space, read, EL0",
            access: with(LOAD, AccessCause::OutOfRange),
            from: el0,
            esr: 0x9200_0000,
        },
        Case {
            name: "a fetch beyond the address space",
            access: with(0x8200_0007, AccessCause::OutOfRange),
            from: el1,
            esr: 0x8600_0000,
        },
        Case { name: "a fetch from a device, EL1", access: at(0x8200_0007), from: el1, esr: 0x8600_0010 },
        Case { name: "a fetch from a device, EL0", access: at(0x8200_0007), from: el0, esr: 0x8200_0010 },
        Case {
            name: "a table walk into nothing, level 2",
            access: MemoryAccess { walk_level: Some(2), ..at(0x9200_0087) },
            from: el1,
            esr: 0x9600_0016,
        },
        Case {
            name: "a table walk of a fetch into nothing, level 0",
            access: MemoryAccess { walk_level: Some(0), ..at(0x8200_0087) },
            from: el0,
            esr: 0x8200_0014,
        },
        Case { name: "a load without ISV", access: at(0x9200_0007), from: el1, esr: 0x9600_0010 },
        Case { name: "a store without ISV, EL0", access: at(0x9200_0047), from: el0, esr: 0x9200_0050 },
        Case {
            name: "a store without ISV to a read-only slot",
            access: with(0x9200_004f, AccessCause::ReadOnlySlot),
            from: el1,
            esr: 0x9600_0050,
        },
    ];
    for case in cases {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.set(RegId::PC, RAM);
        cpu.enter();
        cpu.set(RegId::STATUS, case.from);
        cpu.set_sys(names::VBAR_EL1, RAM + 0x800);
        assert_eq!(cpu.exit(Exit::Access(case.access)), Next::Resume, "{}", case.name);
        cpu.enter();
        assert_eq!(cpu.sys(names::ESR_EL1), case.esr, "{}", case.name);
        let vector = if case.from == el1 { 0xa00 } else { 0xc00 };
        assert_eq!(cpu.pc(), RAM + vector, "{}", case.name);
        assert_eq!(cpu.sys(names::ELR_EL1), RAM, "{}", case.name);
    }
}

/// Arm ARM, ESR_EL1, DFSC: 0b0101LL is an external abort on a table walk at level LL.
#[test]
fn a_walk_whose_level_the_host_does_not_say_is_walked_again() {
    // The fault address 0xffff_8000_1000_0000 has index 0x100 at level 0, 0 at level 1 and 0x80 at level 2.
    const NOWHERE: u64 = 0x0a00_0000;
    const TABLE: u64 = 3;
    /// Name, TTBR1, entries of tables with their addresses, and ESR.
    type Case = (&'static str, u64, &'static [(u64, u64)], u64);
    const CASES: &[Case] = &[
        ("TTBR1 names nothing", NOWHERE, &[], 0x9600_0014),
        ("an entry of level 0 does", RAM, &[(RAM + 0x800, NOWHERE | TABLE)], 0x9600_0015),
        (
            "an entry of level 1 does",
            RAM,
            &[(RAM + 0x800, (RAM + 0x1000) | TABLE), (RAM + 0x1000, NOWHERE | TABLE)],
            0x9600_0016,
        ),
        ("the entry is gone", RAM, &[(RAM + 0x800, 0)], 0x9600_0017),
    ];
    for (name, ttbr, entries, esr) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        platform.ram.borrow_mut().extend(entries.iter().map(|(at, entry)| (*at, entry.to_le_bytes())));
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.enter();
        // T1SZ 16, TG1 4 KiB; M.
        cpu.set_sys(names::TCR_EL1, 2 << 30 | 16 << 16);
        cpu.set_sys(names::TTBR1_EL1, *ttbr);
        cpu.set_sys(names::SCTLR_EL1, 0x30d0_0801);
        assert_eq!(cpu.exit(Exit::Access(access(UART, 0x9200_0087))), Next::Resume, "{name}");
        cpu.enter();
        assert_eq!(cpu.sys(names::ESR_EL1), *esr, "{name}");
    }
}

/// Class of defect 31: the fault address of an address size fault is virtual.
#[test]
fn semantics_far_is_the_virtual_address() {
    for cause in [AccessCause::OutOfRange, AccessCause::NoSlot] {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.enter();
        let faulting = MemoryAccess { cause, ..access(0x100_0900_0018, 0x9200_0047) };
        assert_eq!(cpu.exit(Exit::Access(faulting)), Next::Resume);
        cpu.enter();
        assert_eq!(cpu.sys(names::FAR_EL1), 0xffff_8000_1000_0018, "{cause:?}");
        assert_eq!(fault_address(0x18), 0xffff_8000_1000_0018);
    }
}

#[test]
fn cache_maintenance_of_a_device_is_skipped() {
    for cause in [AccessCause::NoSlot, AccessCause::ReadOnlySlot] {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        cpu.set(RegId::PC, RAM);
        cpu.enter();
        let maintenance = MemoryAccess { cause, ..access(UART, 0x9200_0147) };
        assert_eq!(cpu.exit(Exit::Access(maintenance)), Next::Resume);
        cpu.enter();
        assert_eq!(cpu.pc(), RAM + 4, "{cause:?}");
    }
}

#[test]
fn a_store_to_a_read_only_slot_goes_to_a_device() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    let store = MemoryAccess { cause: AccessCause::ReadOnlySlot, ..access(0x1000, STORE) };
    assert!(matches!(cpu.exit(Exit::Access(store)), Next::Device(..)));
}

#[test]
fn a_device_that_is_absent_is_an_external_abort() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.set(RegId::PC, RAM);
    cpu.enter();
    let (_, token) = device(cpu.load(UART, AccessSize::Word));
    assert_eq!(cpu.guest.complete(&mut cpu.registers, token, DeviceAnswer::Absent), Ok(()));
    cpu.enter();
    assert_eq!(cpu.sys(names::ESR_EL1), 0x9600_0010);
    assert_eq!((cpu.sys(names::ELR_EL1), cpu.sys(names::FAR_EL1)), (RAM, fault_address(UART)));
    assert_eq!(cpu.x(3), 0, "the register is as it was");
}

#[test]
fn an_access_waits_for_its_own_answer() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.set(RegId::PC, RAM);
    cpu.enter();
    let (asked, token) = device(cpu.load(UART, AccessSize::Word));
    let Cpu { guest, registers, .. } = &mut cpu;
    let wrong = Token(token.0 + 1);
    let value = DeviceAnswer::Value(7);
    assert_eq!(guest.complete(registers, wrong, value), Err(CompletionError::NotWaiting(wrong)));
    assert_eq!(
        guest.complete(registers, token, DeviceAnswer::Done),
        Err(CompletionError::Mismatch(token)),
        "a read needs a value"
    );
    // No entry before the answer, and to an observer the instruction was not executed.
    assert_eq!(cpu.prepare(), Next::Device(asked, token));
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    assert_eq!(cpu.pc(), RAM);
    assert_eq!(cpu.guest.complete(&mut cpu.registers, token, value), Ok(()));
    assert_eq!(
        cpu.guest.complete(&mut cpu.registers, token, value),
        Err(CompletionError::NotWaiting(token)),
        "once"
    );
    cpu.enter();
    assert_eq!((cpu.pc(), cpu.x(3)), (RAM + 4, 7));
    let (_, next) = device(cpu.store(UART, AccessSize::Byte, 1));
    assert_ne!(next, token);
    let Cpu { guest, registers, .. } = &mut cpu;
    assert_eq!(guest.complete(registers, next, value), Err(CompletionError::Mismatch(next)));
    assert_eq!(guest.complete(registers, next, DeviceAnswer::Done), Ok(()));
}

#[test]
fn the_literal_load_is_what_the_manual_encodes() {
    // EC 0x24, IL, ISV, SAS 2, SRT 3, SF, translation fault at level 3.
    assert_eq!(load_syndrome(AccessSize::Word), 0x9383_8007);
}
