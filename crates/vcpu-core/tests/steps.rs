//! Device accesses that no syndrome describes. Words are those of the GNU assembler.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::sysreg::names;
use machine::{Cpu, FakePlatform, RAM, access, fault_address, vm};
use xarch_abi::{
    AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation, Exit, Guest, GuestPa, Next, RegId, Registers,
    Token,
};

const UART: u64 = 0x0900_0100;
/// A data abort from EL1 or EL0, translation fault at level 3, without a syndrome; and of a write.
const LOAD: u64 = 0x9200_0007;
const STORE: u64 = 0x9200_0047;
const EL1H: u64 = 0x3c5;
const EE: u64 = 1 << 25;

const X1: RegId = RegId::general(1);
const X2: RegId = RegId::general(2);
const X3: RegId = RegId::general(3);
const SP: RegId = RegId::system(names::SP_EL1.into_bits());
const V1: RegId = RegId::vector(1);
const V3: RegId = RegId::vector(3);

fn device(next: Next) -> (DeviceAccess, Token) {
    match next {
        Next::Device(access, token) => (access, token),
        other @ (Next::Resume | Next::Wait { .. } | Next::Stop(_)) => panic!("{other:?}"),
    }
}

/// Puts the word where the PC is, with the MMU off.
fn at_instruction<'a>(vm: &'a machine::TestVm, platform: &'a FakePlatform, word: u32) -> Cpu<'a> {
    let mut cpu = Cpu::new(vm, 0, platform);
    cpu.enter();
    platform.ram.borrow_mut().insert(RAM, (u64::from(word) << 32).to_le_bytes());
    cpu.set(RegId::PC, RAM + 4);
    cpu.set(RegId::STATUS, EL1H);
    cpu.set_sys(names::SCTLR_EL1, 0);
    for (id, value) in [(X1, 0x1111_2222_3333_4444), (X2, fault_address(UART)), (X3, 0x5555_6666_7777_8888)] {
        cpu.set(id, value);
    }
    cpu
}

/// Answers what the platform is asked with 0x0807…01 for the first access, 0x1817…11 for the second, and so on.
fn answer_all(cpu: &mut Cpu<'_>, first: Next) -> Vec<DeviceAccess> {
    let (mut next, mut seen) = (first, Vec::new());
    while let Next::Device(access, token) = next {
        let bytes = (u64::try_from(seen.len()).unwrap() * 0x1010_1010_1010_1010) | 0x0807_0605_0403_0201;
        let answer = match access.operation {
            DeviceOperation::Read => DeviceAnswer::Value(bytes),
            DeviceOperation::Write(_) => DeviceAnswer::Done,
        };
        seen.push(access);
        assert_eq!(cpu.guest.complete(&mut cpu.registers, token, answer), Ok(()));
        next = cpu.prepare();
    }
    assert_eq!(next, Next::Resume);
    seen
}

#[test]
fn loads_change_registers_as_the_instruction_says() {
    struct Case {
        name: &'static str,
        word: u32,
        sctlr: u64,
        offset: i64,
        writeback: i64,
        pieces: &'static [(u64, AccessSize)],
        after: &'static [(RegId, u128)],
    }
    use AccessSize::{Byte, Double, Half, Word};
    let cases: &[Case] = &[
        Case {
            name: "ldp w1, w3, [x2]",
            word: 0x2940_0c41,
            sctlr: 0,
            offset: 0,
            writeback: 0,
            pieces: &[(0, Word), (4, Word)],
            after: &[(X1, 0x0403_0201), (X3, 0x1413_1211)],
        },
        Case {
            name: "ldp w1, w3, [x2], big-endian",
            word: 0x2940_0c41,
            sctlr: EE,
            offset: 0,
            writeback: 0,
            pieces: &[(0, Word), (4, Word)],
            after: &[(X1, 0x0102_0304), (X3, 0x1112_1314)],
        },
        Case {
            name: "ldpsw x1, x3, [x2]",
            word: 0x6940_0c41,
            sctlr: EE,
            offset: 0,
            writeback: 0,
            pieces: &[(0, Word), (4, Word)],
            after: &[(X1, 0x0102_0304), (X3, 0x1112_1314)],
        },
        Case {
            name: "ldr q1, [x2, #16]",
            word: 0x3dc0_0441,
            sctlr: 0,
            offset: 16,
            writeback: 0,
            pieces: &[(0, Double), (8, Double)],
            after: &[(V1, 0x1817_1615_1413_1211_0807_0605_0403_0201)],
        },
        Case {
            name: "ldr q1, [x2, #16], big-endian",
            word: 0x3dc0_0441,
            sctlr: EE,
            offset: 16,
            writeback: 0,
            pieces: &[(0, Double), (8, Double)],
            after: &[(V1, 0x0102_0304_0506_0708_1112_1314_1516_1718)],
        },
        Case {
            name: "ldp q1, q3, [x2]",
            word: 0xad40_0c41,
            sctlr: 0,
            offset: 0,
            writeback: 0,
            pieces: &[(0, Double), (8, Double), (16, Double), (24, Double)],
            after: &[
                (V1, 0x1817_1615_1413_1211_0807_0605_0403_0201),
                (V3, 0x3837_3635_3433_3231_2827_2625_2423_2221),
            ],
        },
        Case {
            name: "ldrsb w1, [x2], #1",
            word: 0x38c0_1441,
            sctlr: 0,
            offset: 0,
            writeback: 1,
            pieces: &[(0, Byte)],
            after: &[(X1, 1)],
        },
        Case {
            name: "ldr s1, [x2]",
            word: 0xbd40_0041,
            sctlr: 0,
            offset: 0,
            writeback: 0,
            pieces: &[(0, Word)],
            after: &[(V1, 0x0403_0201)],
        },
        Case {
            name: "ldrh w1, [x2, #-2]!",
            word: 0x785f_ec41,
            sctlr: 0,
            offset: -2,
            writeback: -2,
            pieces: &[(0, Half)],
            after: &[(X1, 0x0201)],
        },
    ];
    for case in cases {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_instruction(&vm, &platform, case.word);
        cpu.set_sys(names::SCTLR_EL1, case.sctlr);
        let address = UART.wrapping_add_signed(case.offset);
        let first = cpu.exit(Exit::Access(access(address, LOAD)));
        let seen = answer_all(&mut cpu, first);
        let want = case.pieces.iter().map(|(offset, size)| DeviceAccess {
            address: GuestPa::new(address + offset),
            size: *size,
            operation: DeviceOperation::Read,
        });
        assert_eq!(seen, want.collect::<Vec<_>>(), "{}", case.name);
        for (id, value) in case.after {
            assert_eq!(cpu.registers.read_wide(*id).unwrap(), *value, "{}: {id:?}", case.name);
        }
        assert_eq!(cpu.x(2), fault_address(UART).wrapping_add_signed(case.writeback), "{}", case.name);
        assert_eq!(cpu.pc(), RAM + 8, "{}", case.name);
    }
}

#[test]
fn signs_are_extended_to_the_width_of_the_register() {
    for (name, word, want) in [
        ("ldrsb w1, [x2], #1", 0x38c0_1441, 0xffff_ff80),
        ("ldrsb x1, [x2], #1", 0x3880_1441, 0xffff_ffff_ffff_ff80),
        ("ldpsw x1, x3, [x2]", 0x6940_0c41, 0xffff_ffff_8000_0080),
    ] {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_instruction(&vm, &platform, word);
        let mut next = cpu.exit(Exit::Access(access(UART, LOAD)));
        while let Next::Device(_, token) = next {
            let answer = DeviceAnswer::Value(0x8000_0080);
            assert_eq!(cpu.guest.complete(&mut cpu.registers, token, answer), Ok(()));
            next = cpu.prepare();
        }
        assert_eq!(cpu.x(1), want, "{name}");
    }
}

#[test]
fn stores_bring_each_register_and_write_back() {
    use AccessSize::Double;
    type Case = (&'static str, u32, RegId, i64, &'static [(u64, AccessSize, u64)], i64);
    let cases: &[Case] = &[
        (
            "stp x1, x3, [sp, #-16]!",
            0xa9bf_0fe1,
            SP,
            -16,
            &[(0, Double, 0x1111_2222_3333_4444), (8, Double, 0x5555_6666_7777_8888)],
            -16,
        ),
        (
            "stp w1, w3, [x2, #8]!",
            0x2981_0c41,
            X2,
            8,
            &[(0, AccessSize::Word, 0x3333_4444), (4, AccessSize::Word, 0x7777_8888)],
            8,
        ),
        ("stp xzr, x1, [x2]", 0xa900_045f, X2, 0, &[(0, Double, 0), (8, Double, 0x1111_2222_3333_4444)], 0),
        ("str q1, [x2]", 0x3d80_0041, X2, 0, &[(0, Double, 0xaaaa), (8, Double, 0xbbbb)], 0),
        ("str d1, [x2]", 0xfd00_0041, X2, 0, &[(0, Double, 0xaaaa)], 0),
    ];
    for (name, word, base, offset, pieces, writeback) in cases {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_instruction(&vm, &platform, *word);
        cpu.registers.write_wide(V1, 0xbbbb << 64 | 0xaaaa).unwrap();
        cpu.set(*base, fault_address(UART));
        let address = UART.wrapping_add_signed(*offset);
        let first = cpu.exit(Exit::Access(access(address, STORE)));
        let want = pieces.iter().map(|(offset, size, value)| DeviceAccess {
            address: GuestPa::new(address + offset),
            size: *size,
            operation: DeviceOperation::Write(*value),
        });
        assert_eq!(answer_all(&mut cpu, first), want.collect::<Vec<_>>(), "{name}");
        assert_eq!(cpu.get(*base), fault_address(UART).wrapping_add_signed(*writeback), "{name}");
        assert_eq!(cpu.pc(), RAM + 8, "{name}");
    }
}

#[test]
fn the_offset_register_is_extended_and_shifted() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    // ldr d1, [x2, w3, sxtw #3]
    let mut cpu = at_instruction(&vm, &platform, 0xfc63_d841);
    cpu.set(X3, 0x5555_5555_ffff_fffe);
    let (asked, _) = device(cpu.exit(Exit::Access(access(UART - 16, LOAD))));
    assert_eq!(asked.address, GuestPa::new(UART - 16));
}

#[test]
fn nothing_changes_if_a_later_piece_has_no_device() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    // ldp x1, x3, [x2], #16
    let mut cpu = at_instruction(&vm, &platform, 0xa8c1_0c41);
    let (_, token) = device(cpu.exit(Exit::Access(access(UART, LOAD))));
    assert_eq!(cpu.guest.complete(&mut cpu.registers, token, DeviceAnswer::Value(7)), Ok(()));
    let (asked, token) = device(cpu.prepare());
    assert_eq!(asked.address, GuestPa::new(UART + 8));
    assert_eq!(cpu.guest.complete(&mut cpu.registers, token, DeviceAnswer::Absent), Ok(()));
    cpu.enter();
    assert_eq!((cpu.x(1), cpu.x(2)), (0x1111_2222_3333_4444, fault_address(UART)));
    assert_eq!(cpu.sys(names::ESR_EL1), 0x9600_0010);
    assert_eq!(cpu.sys(names::FAR_EL1), fault_address(UART) + 8);
    assert_eq!(cpu.sys(names::ELR_EL1), RAM + 4);
}

#[test]
fn the_interrupt_controller_answers_pairs_too() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    // ldp w1, w3, [x2], from GICD_CTLR: then GICD_TYPER follows.
    let mut cpu = at_instruction(&vm, &platform, 0x2940_0c41);
    const GICD: u64 = 0x0800_0000;
    cpu.set(X2, fault_address(GICD));
    assert_eq!(cpu.exit(Exit::Access(access(GICD, LOAD))), Next::Resume);
    let pair = (cpu.x(1), cpu.x(3));
    cpu.enter();
    let singles = (cpu.peek(GICD, AccessSize::Word), cpu.peek(GICD + 4, AccessSize::Word));
    assert_eq!(pair, singles);
    assert_ne!(pair.1, 0);
}

#[test]
fn what_is_no_device_access_is_an_abort() {
    for (name, word, syndrome, address, esr) in [
        ("ldxr x1, [x2]", 0xc85f_7c41, LOAD, UART, 0x9600_0035),
        ("ldadd x1, x3, [x2]", 0xf821_0043, LOAD, UART, 0x9600_0035),
        ("ld1 {v1.16b}, [x2]", 0x4c40_7041, LOAD, UART, 0x9600_0010),
        ("ldraa x1, [x2]", 0xf820_0441, LOAD, UART, 0x9600_0010),
        ("ldp x1, x1, [x2]", 0xa940_0441, LOAD, UART, 0x9600_0010),
        ("ldr x2, [x2], #8", 0xf840_8442, LOAD, UART, 0x9600_0010),
        ("add x1, x2, x3: the guest has changed it", 0x8b03_0041, LOAD, UART, 0x9600_0010),
        ("ldp x1, x3, [x2], #16: but it was a store", 0xa8c1_0c41, STORE, UART, 0x9600_0050),
        ("ldp x1, x3, [x2], #16: the first half was memory", 0xa8c1_0c41, LOAD, UART + 8, 0x9600_0010),
    ] {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_instruction(&vm, &platform, word);
        assert_eq!(cpu.exit(Exit::Access(access(address, syndrome))), Next::Resume, "{name}");
        cpu.enter();
        assert_eq!(
            (cpu.sys(names::ESR_EL1), cpu.sys(names::FAR_EL1)),
            (esr, fault_address(address)),
            "{name}"
        );
        assert_eq!(cpu.x(2), fault_address(UART), "{name}");
    }
}

#[test]
fn an_access_beyond_the_page_is_an_abort() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    // ldp x1, x3, [x2], #16
    let mut cpu = at_instruction(&vm, &platform, 0xa8c1_0c41);
    let last = UART | 0xff8;
    cpu.set(X2, fault_address(last));
    assert_eq!(cpu.exit(Exit::Access(access(last, LOAD))), Next::Resume);
    cpu.enter();
    assert_eq!((cpu.sys(names::ESR_EL1), cpu.sys(names::FAR_EL1)), (0x9600_0010, fault_address(last)));
}

#[test]
fn the_instruction_is_read_by_the_guests_own_tables() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    // ldp w1, w3, [x2]
    let mut cpu = at_instruction(&vm, &platform, 0x2940_0c41);
    // TTBR1, 4 KiB granule, 39 bits: three levels. Tables and pages with AF, inner shareable, EL1 read-only.
    const VA: u64 = 0xffff_ff80_0000_0000;
    const TABLES: u64 = RAM + 0x10_0000;
    cpu.set_sys(names::TCR_EL1, 25 << 16 | 0b10 << 30);
    cpu.set_sys(names::TTBR1_EL1, TABLES);
    // Attributes 0: Normal, write-back.
    cpu.set_sys(names::MAIR_EL1, 0xff);
    cpu.set_sys(names::SCTLR_EL1, 1);
    cpu.set(RegId::PC, VA + 4);
    for (at, entry) in [
        (TABLES, (TABLES + 0x1000) | 3),
        (TABLES + 0x1000, (TABLES + 0x2000) | 3),
        (TABLES + 0x2000, RAM | 0x783),
    ] {
        platform.ram.borrow_mut().insert(at, entry.to_le_bytes());
    }
    let (asked, _) = device(cpu.exit(Exit::Access(access(UART, LOAD))));
    assert_eq!((asked.address, asked.size), (GuestPa::new(UART), AccessSize::Word));

    // Tables that are gone: the guest is told that nothing answered.
    let mut cpu = at_instruction(&vm, &platform, 0x2940_0c41);
    cpu.set_sys(names::TCR_EL1, 25 << 16 | 0b10 << 30);
    cpu.set_sys(names::TTBR1_EL1, 0x1000);
    cpu.set_sys(names::SCTLR_EL1, 1);
    cpu.set(RegId::PC, VA + 4);
    assert_eq!(cpu.exit(Exit::Access(access(UART, LOAD))), Next::Resume);
    cpu.enter();
    assert_eq!(cpu.sys(names::ESR_EL1), 0x9600_0010);
}
