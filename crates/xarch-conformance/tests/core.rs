//! The RISC-V core that the other tests run on, by the RISC-V specifications.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

mod riscv;

use riscv::asm::*;
use riscv::machine::{PAGE, ToyVcpu, ToyVm};
use riscv::{RAM, started};
use std::sync::Mutex;
use std::time::Duration;
use xarch_abi::{
    Backend, BackendVcpu, DeviceAccess, DeviceAnswer, Guest, GuestPa, GuestRange, HostPa, Outcome, Platform,
    RegId, Registers, Slot, StopReason, VcpuIndex, Writable,
};

const FIRST: VcpuIndex = VcpuIndex(0);
const POWER_OFF: Outcome = Outcome::Stopped(StopReason::PowerOff);

/// One slot, and a device that is not there.
struct OneSlot(Slot, Mutex<Vec<DeviceAccess>>);

impl Platform for OneSlot {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        Some(self.0).filter(|slot| slot.guest.contains(address))
    }

    fn device(&self, _: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        self.1.lock().unwrap().push(*access);
        Some(DeviceAnswer::Absent)
    }

    fn kick(&self, _: VcpuIndex) {}
}

/// Runs instructions at the start of RAM, and a handler at its second page, until the machine is turned off or waits.
fn run(words: &[u32], handler: &[u32]) -> ([u64; 32], Outcome, Vec<DeviceAccess>) {
    let vm = ToyVm::new(1, 4 * PAGE);
    let guest = GuestRange::new(GuestPa::new(RAM), 4 * PAGE).unwrap();
    let slot = Slot { guest, host: HostPa::new(0), writable: Writable::Yes };
    vm.add_slot(&slot).unwrap();
    for (at, list) in [(0, words), (PAGE, handler)] {
        let bytes: Vec<u8> = list.iter().flat_map(|word| word.to_le_bytes()).collect();
        riscv::store(&vm, HostPa::new(at), &bytes);
    }
    let mut vcpu = ToyVcpu::new(&vm, FIRST);
    let mut hart = started(&mut vcpu, FIRST, RAM);
    let platform = OneSlot(slot, Mutex::default());
    let mut outcome = vcpu.run(&mut hart, &platform);
    while let Outcome::Wait { deadline: Some(deadline) } = outcome {
        std::thread::sleep(Duration::from_nanos(deadline.nanoseconds));
        outcome = vcpu.run(&mut hart, &platform);
    }
    hart.before_observe(&mut vcpu).unwrap();
    let mut x = [0; 32];
    for n in 1..32 {
        x[usize::from(n)] = vcpu.read(RegId::general(n)).unwrap();
    }
    (x, outcome, platform.1.into_inner().unwrap())
}

/// Instructions that turn the machine off; they use `x30` and `x31`.
fn off() -> Vec<u32> {
    let mut words = li(30, riscv::guest::FINISHER).to_vec();
    words.extend(li(31, riscv::guest::FINISHER_PASS));
    words.push(store(2, 31, 30, 0));
    words
}

fn then_off(words: &[u32]) -> Vec<u32> {
    [words.to_vec(), off()].concat()
}

#[test]
fn instructions_do_what_the_book_says() {
    // Words as the book's formats make them; a0 = 10, a1 = 11, a2 = 12.
    const CASES: &[(&str, &[u32], u64)] = &[
        ("addi a0, x0, -1", &[0xfff0_0513], u64::MAX),
        ("lui a0, 0x80000", &[0x8000_0537], 0xffff_ffff_8000_0000),
        ("auipc a0, 0", &[0x0000_0517], RAM),
        ("addiw sign-extends", &[0x8000_0537, 0xfff5_051b], 0x7fff_ffff),
        ("slli, srai", &[0xfff0_0513, 0x03f5_1513, 0x43f5_5513], u64::MAX),
        ("slli, srli", &[0xfff0_0513, 0x03f5_1513, 0x03f5_5513], 1),
        ("sub", &[0x0050_0593, 0x0070_0613, 0x40c5_8533], u64::MAX - 1),
        ("slt", &[0xfff0_0593, 0x0010_0613, 0x00c5_a533], 1),
        ("sltu", &[0xfff0_0593, 0x0010_0613, 0x00c5_b533], 0),
        ("xor", &[0x0ff0_0593, 0x00f0_0613, 0x00c5_c533], 0xf0),
        ("jal skips", &[0x0010_0513, 0x0080_006f, 0x0020_0513], 1),
        ("beq is taken", &[0x0010_0513, 0x0000_0463, 0x0020_0513], 1),
        ("bne is not", &[0x0010_0513, 0x0000_1463, 0x0020_0513], 2),
        // sb, sw and loads at the start of the third page: lui a1, 0x40001; slli a1, a1, 1.
        (
            "lb sign-extends",
            &[0x4000_15b7, 0x0015_9593, 0x0800_0613, 0x00c5_8023, 0x0005_8503],
            (-128_i64) as u64,
        ),
        ("lbu does not", &[0x4000_15b7, 0x0015_9593, 0x0800_0613, 0x00c5_8023, 0x0005_c503], 128),
        ("csrr a0, misa", &[0x3010_2573], 2 << 62 | 1 << 8),
        ("csrw mscratch, a1; csrr a0", &[0x0550_0593, 0x3405_9073, 0x3400_2573], 0x55),
        ("csrrsi mscratch", &[0x3402_e073, 0x3400_e073, 0x3400_2573], 5),
        ("csrrci mscratch", &[0x340f_e073, 0x3401_7073, 0x3400_2573], 29),
    ];
    for (name, words, want) in CASES {
        let (x, outcome, _) = run(&then_off(words), &[]);
        assert_eq!(outcome, POWER_OFF, "{name}");
        assert_eq!(x[10], *want, "{name}: {:#x}", x[10]);
    }
}

#[test]
fn exceptions_go_to_the_handler_with_their_cause() {
    // Privileged Architecture, mcause: 2 illegal instruction, 5 load and 7 store access fault, 11 ecall from M.
    let read_of_nothing = [li(9, 0x1000).to_vec(), vec![load(2, 8, 9, 0)]].concat();
    let write_of_nothing = [li(9, 0x1000).to_vec(), vec![store(2, 8, 9, 0)]].concat();
    for (name, words, cause, value) in [
        ("ecall", vec![ECALL], 11, 0),
        ("a word of zeros", vec![0], 2, 0),
        ("a CSR that is not there", vec![csrr(8, 0x7c0)], 2, 0x7c00_2473),
        ("a write of a CSR that is read-only", vec![csrw(MHARTID, 8)], 2, 0xf144_1073),
        ("a load from nothing", read_of_nothing, 5, 0x1000),
        ("a store to nothing", write_of_nothing, 7, 0x1000),
    ] {
        let set_up = [li(5, RAM + PAGE).to_vec(), vec![csrw(MTVEC, 5)]].concat();
        let at = RAM + 4 * (set_up.len() + words.len() - 1) as u64;
        let handler = [
            vec![csrr(10, MCAUSE), csrr(11, MEPC), csrr(12, MTVAL), csrr(13, MSTATUS), addi(6, 11, 4)],
            vec![csrw(MEPC, 6), MRET],
        ]
        .concat();
        // Behind the instruction: what the handler returned to.
        let program = [set_up, words, vec![addi(14, 0, 77)], off()].concat();
        let (x, outcome, _) = run(&program, &handler);
        assert_eq!(outcome, POWER_OFF, "{name}");
        assert_eq!((x[10], x[12]), (cause, value), "{name}");
        assert_eq!(x[11], at, "{name}: mepc");
        // MPP 3, MIE and MPIE 0: interrupts were off.
        assert_eq!(x[13], 0x1800, "{name}: mstatus {:#x}", x[13]);
        assert_eq!(x[14], 77, "{name}");
    }
}

#[test]
fn the_timer_interrupts_when_it_may() {
    let set_timer = [
        li(5, RAM + PAGE).to_vec(),
        vec![csrw(MTVEC, 5)],
        li(5, riscv::guest::MTIME).to_vec(),
        vec![load(3, 6, 5, 0), addi(6, 6, 2000)],
        li(5, riscv::guest::MTIMECMP).to_vec(),
        vec![store(3, 6, 5, 0), addi(7, 0, 0x80), csrw(MIE, 7)],
    ]
    .concat();
    let handler = [vec![csrr(10, MCAUSE), csrr(11, MSTATUS), csrr(12, MIP)], off()].concat();
    // csrrsi mstatus, 8: from here on it may. Then a loop, or a wait.
    for (name, rest) in
        [("loop", vec![0x3004_6073, 0x0000_006f]), ("wfi", vec![0x3004_6073, WFI, 0x0000_006f])]
    {
        let (x, outcome, _) = run(&[set_timer.clone(), rest].concat(), &handler);
        assert_eq!(outcome, POWER_OFF, "{name}");
        assert_eq!(x[10], 1 << 63 | 7, "{name}: the machine timer's interrupt");
        assert_eq!(x[11], 0x1880, "{name}: MPP 3, MPIE 1, MIE 0");
        assert_eq!(x[12], 0x80, "{name}: MTIP");
    }
    // Masked: the wait ends when it is due, and the guest goes on behind it.
    let (x, outcome, _) = run(&then_off(&[set_timer, vec![WFI, csrr(12, MIP)]].concat()), &handler);
    assert_eq!((outcome, x[12]), (POWER_OFF, 0x80));
}

#[test]
fn device_accesses_have_the_size_of_the_instruction() {
    let words = [li(9, 0x1000_0000).to_vec(), vec![store(1, 9, 9, 6)]].concat();
    let handler = off();
    let set_up = [li(5, RAM + PAGE).to_vec(), vec![csrw(MTVEC, 5)]].concat();
    let (_, outcome, seen) = run(&[set_up, words].concat(), &handler);
    assert_eq!(outcome, POWER_OFF);
    let [access] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(access.address, GuestPa::new(0x1000_0006));
    assert_eq!(
        (access.size, access.operation),
        (xarch_abi::AccessSize::Half, xarch_abi::DeviceOperation::Write(0))
    );
}
