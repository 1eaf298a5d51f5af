//! The interrupt controller from lines, frames and system registers to the CPU interface.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::sysreg::{LrState, names};
use machine::{Cpu, FakePlatform, RAM, TestVm, vm};
use vcpu_core::{Line, Ppi, Spi};
use xarch_abi::{AccessSize, Deadline, Exit, Guest, Next, RegId, TimerSet, VcpuIndex};

const GICD: u64 = 0x0800_0000;
const GICR: u64 = 0x080a_0000;
const SGI_FRAME: u64 = 0x1_0000;
const STRIDE: u64 = 0x2_0000;
const WFI: u64 = 0x07e0_0000;
const WFE: u64 = 0x07e0_0001;

fn spi(intid: u32) -> Spi {
    Spi::new(intid).unwrap()
}

/// Brings the interface and both groups up, as a kernel does on its first vCPU.
fn boot(cpu: &mut Cpu<'_>) {
    cpu.enter();
    cpu.poke(GICD, 3);
    cpu.open_interface();
    // SGIs and PPIs: enabled, priority 0xa0.
    cpu.poke(GICR + SGI_FRAME + 0x100, 0xffff_ffff);
    for offset in (0x400..0x420).step_by(4) {
        cpu.poke(GICR + SGI_FRAME + offset, 0xa0a0_a0a0);
    }
    cpu.enter();
    cpu.platform.take_kicks();
}

/// Enables an SPI at a priority, level-sensitive as after a reset, routed to vCPU 0.
fn enable(cpu: &mut Cpu<'_>, intid: u32, priority: u64) {
    let (byte, word) = (u64::from(intid), u64::from(intid / 32 * 4));
    assert_eq!(cpu.store(GICD + 0x400 + byte, AccessSize::Byte, priority), Next::Resume);
    cpu.poke(GICD + 0x100 + word, 1 << (intid % 32));
    cpu.enter();
}

fn set_edge(cpu: &mut Cpu<'_>, intid: u32) {
    let offset = u64::from(intid / 16 * 4);
    let config = cpu.peek(GICD + 0xc00 + offset, AccessSize::Word);
    cpu.poke(GICD + 0xc00 + offset, config | 2 << (intid % 16 * 2));
    cpu.enter();
}

/// A second vCPU that was turned on and brought up.
fn second<'a>(vm: &'a TestVm, first: &mut Cpu<'a>, platform: &'a FakePlatform) -> Cpu<'a> {
    let mut second = Cpu::new(vm, 1, platform);
    assert_eq!(first.call([0xc400_0003, 1, RAM, 0]), 0);
    second.enter();
    second.open_interface();
    second.poke(GICR + STRIDE + SGI_FRAME + 0x100, 0xffff_ffff);
    for offset in (0x400..0x420).step_by(4) {
        second.poke(GICR + STRIDE + SGI_FRAME + offset, 0xa0a0_a0a0);
    }
    second.enter();
    platform.take_kicks();
    second
}

#[test]
fn a_level_is_delivered_again_until_its_line_falls() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    enable(&mut cpu, 33, 0xa0);
    assert!(!cpu.irq());
    vm.set_spi_level(spi(33), Line::High, &platform);
    assert_eq!(platform.take_kicks(), [0]);
    cpu.enter();
    // Pending, Group 1, priority 0xa0, EOI maintenance, INTID 33.
    assert_eq!(cpu.ich().lr[0].into_bits(), 0x50a0_0200_0000_0021);
    assert!(cpu.irq());
    assert_eq!(cpu.acknowledge(), 33);
    cpu.enter();
    assert!(!cpu.irq(), "active: not pending again before its end");
    // The device still wants attention.
    cpu.end(33);
    cpu.enter();
    assert!(cpu.irq());
    assert_eq!(cpu.acknowledge(), 33);
    vm.set_spi_level(spi(33), Line::Low, &platform);
    cpu.enter();
    cpu.end(33);
    cpu.enter();
    assert!(!cpu.irq());
    assert_eq!(cpu.acknowledge(), 1023);
}

#[test]
fn a_level_that_falls_before_it_is_taken_is_withdrawn() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    enable(&mut cpu, 33, 0xa0);
    vm.set_spi_level(spi(33), Line::High, &platform);
    cpu.enter();
    platform.take_kicks();
    vm.set_spi_level(spi(33), Line::Low, &platform);
    assert_eq!(platform.take_kicks(), [0], "the vCPU has it in a list register");
    cpu.enter();
    assert!(!cpu.irq());
}

#[test]
fn an_edge_is_delivered_once_and_not_lost_while_active() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    set_edge(&mut cpu, 48);
    enable(&mut cpu, 48, 0x80);
    vm.pulse(spi(48), &platform);
    assert_eq!(platform.take_kicks(), [0]);
    cpu.enter();
    assert_eq!(cpu.ich().lr[0].into_bits(), 0x5080_0000_0000_0030, "no maintenance for an edge");
    assert_eq!(cpu.acknowledge(), 48);
    vm.pulse(spi(48), &platform);
    cpu.enter();
    assert_eq!(cpu.ich().lr[0].state(), LrState::PendingActive);
    cpu.end(48);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 48, "the second edge");
    cpu.end(48);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 1023);
}

#[test]
fn two_edges_before_the_first_is_taken_are_one_interrupt() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    set_edge(&mut cpu, 48);
    enable(&mut cpu, 48, 0x80);
    vm.pulse(spi(48), &platform);
    cpu.enter();
    vm.pulse(spi(48), &platform);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 48);
    cpu.end(48);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 1023);
}

#[test]
fn a_message_makes_an_interrupt_pending_from_host_and_guest() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    set_edge(&mut cpu, 64);
    enable(&mut cpu, 64, 0x80);
    vm.set_spi(spi(64), &platform);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 64);
    cpu.end(64);
    // GICD_SETSPI_NSR, then GICD_CLRSPI_NSR.
    cpu.poke(GICD + 0x40, 64);
    cpu.enter();
    assert!(cpu.irq());
    cpu.poke(GICD + 0x48, 64);
    cpu.enter();
    assert!(!cpu.irq());
    cpu.poke(GICD + 0x40, 16);
    cpu.poke(GICD + 0x40, 900);
    // INTID has thirteen bits.
    cpu.poke(GICD + 0x40, 0x400 + 64);
    cpu.enter();
    assert!(!cpu.irq(), "numbers that are no SPI do nothing");
}

#[test]
fn enables_groups_and_masks_hold_an_interrupt_back() {
    type Step = (&'static str, fn(&mut Cpu<'_>), bool);
    const STEPS: &[Step] = &[
        ("as it is", |_| {}, true),
        ("disabled", |cpu| cpu.poke(GICD + 0x184, 2), false),
        ("enabled", |cpu| cpu.poke(GICD + 0x104, 2), true),
        ("Group 1 not forwarded", |cpu| cpu.poke(GICD, 1), false),
        ("Group 1 forwarded", |cpu| cpu.poke(GICD, 2), true),
        ("in Group 0, which is not forwarded", |cpu| cpu.poke(GICD + 0x84, 0xffff_fffd), false),
        ("back in Group 1", |cpu| cpu.poke(GICD + 0x84, 0xffff_ffff), true),
        ("priority not above the mask", |cpu| cpu.poke(GICD + 0x420, 0xf000), false),
        ("priority above the mask", |cpu| cpu.poke(GICD + 0x420, 0xe800), true),
        ("pending cleared, but the line is high", |cpu| cpu.poke(GICD + 0x284, 2), true),
    ];
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    enable(&mut cpu, 33, 0xa0);
    vm.set_spi_level(spi(33), Line::High, &platform);
    for (name, change, want) in STEPS {
        change(&mut cpu);
        cpu.enter();
        assert_eq!(cpu.irq(), *want, "{name}");
        let next = cpu.trap(WFI);
        let waits = matches!(next, Next::Wait { .. });
        assert_eq!(waits, !*want, "{name}: WFI");
        cpu.enter();
    }
}

#[test]
fn the_highest_priority_goes_first_then_the_lowest_number() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    for (intid, priority) in [(40, 0xa0), (41, 0x40), (42, 0x40), (43, 0xc0)] {
        enable(&mut cpu, intid, priority);
        vm.set_spi_level(spi(intid), Line::High, &platform);
    }
    cpu.enter();
    for want in [41, 42, 40, 43] {
        assert_eq!(cpu.acknowledge(), want);
        vm.set_spi_level(spi(want), Line::Low, &platform);
        cpu.end(want);
        cpu.enter();
    }
    assert_eq!(cpu.acknowledge(), 1023);
}

#[test]
fn more_pending_interrupts_than_list_registers_all_arrive() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    let all: Vec<u32> = (40..47).collect();
    for intid in &all {
        set_edge(&mut cpu, *intid);
        enable(&mut cpu, *intid, 0xa0);
    }
    for intid in &all {
        vm.pulse(spi(*intid), &platform);
    }
    cpu.enter();
    assert_eq!(cpu.ich().lr.map(|lr| lr.vintid()), [40, 41, 42, 43]);
    assert!(cpu.ich().hcr.npie(), "wants to hear when nothing is pending any more");
    let mut got = Vec::new();
    for _ in &all {
        let intid = cpu.acknowledge();
        got.push(intid);
        if cpu.ich().is_maintenance_due() {
            assert_eq!(cpu.exit(Exit::Maintenance), Next::Resume);
            cpu.enter();
        }
        cpu.end(intid);
        cpu.enter();
    }
    assert_eq!(got, all);
    assert!(!cpu.ich().hcr.npie() && !cpu.irq());
}

#[test]
fn a_higher_priority_replaces_a_waiting_one_when_all_are_taken() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    for intid in 40..44 {
        enable(&mut cpu, intid, 0xa0);
        vm.set_spi_level(spi(intid), Line::High, &platform);
    }
    enable(&mut cpu, 100, 0x20);
    vm.set_spi_level(spi(100), Line::High, &platform);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 100);
    assert_eq!(cpu.ich().running_priority(), 0x20);
}

#[test]
fn nested_interrupts_keep_their_list_registers_and_leave_one_to_preempt() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    // Five levels of nesting with four list registers, each preempting the one before.
    let nest = [(40, 0xc0), (41, 0xa0), (42, 0x80), (43, 0x60), (44, 0x40)];
    for (intid, priority) in nest {
        enable(&mut cpu, intid, priority);
        vm.set_spi_level(spi(intid), Line::High, &platform);
        cpu.enter();
        assert_eq!(cpu.acknowledge(), intid, "preempts");
        vm.set_spi_level(spi(intid), Line::Low, &platform);
        cpu.enter();
    }
    assert!(cpu.ich().hcr.lrenpie(), "one active interrupt has no list register");
    for (intid, _) in nest.into_iter().rev() {
        cpu.end(intid);
        cpu.enter();
    }
    assert_eq!(cpu.ich().running_priority(), 0xff);
    for intid in 40..45u64 {
        let active = cpu.peek(GICD + 0x304, AccessSize::Word);
        assert_eq!(active & 1 << (intid - 32), 0, "{intid} is not active any more");
    }
    assert!(!cpu.ich().hcr.lrenpie());
}

#[test]
fn active_and_pending_state_reads_as_the_interface_left_it() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    set_edge(&mut cpu, 33);
    enable(&mut cpu, 33, 0xa0);
    vm.pulse(spi(33), &platform);
    cpu.enter();
    let registers = |cpu: &mut Cpu<'_>| {
        (cpu.peek(GICD + 0x204, AccessSize::Word), cpu.peek(GICD + 0x304, AccessSize::Word))
    };
    assert_eq!(registers(&mut cpu), (2, 0));
    cpu.enter();
    cpu.acknowledge();
    assert_eq!(registers(&mut cpu), (0, 2));
    cpu.enter();
    vm.pulse(spi(33), &platform);
    assert_eq!(registers(&mut cpu), (2, 2));
    cpu.enter();
    // ICACTIVER ends it without an EOI, so that it is only pending; ICPENDR clears that too.
    cpu.poke(GICD + 0x384, 2);
    assert_eq!(registers(&mut cpu), (2, 0));
    cpu.poke(GICD + 0x284, 2);
    assert_eq!(registers(&mut cpu), (0, 0));
    cpu.enter();
    assert!(!cpu.irq());
    // ISACTIVER makes an idle interrupt active; it is in a list register, so that its EOI finds it.
    cpu.poke(GICD + 0x304, 2);
    cpu.enter();
    assert_eq!(cpu.ich().lr[0].state(), LrState::Active);
}

#[test]
fn an_sgi_reaches_the_vcpus_of_its_target_list() {
    type Case = (&'static str, u64, &'static [u16], u32);
    const CASES: &[Case] = &[
        ("SGI 1 to Aff0 1", 0x0100_0002, &[1], 1),
        ("SGI 15 to Aff0 1 and 2", 0x0f00_0006, &[1, 2], 15),
        ("SGI 3 to all but self", 0x100_0300_0000, &[1, 2, 16, 17], 3),
        ("SGI 2 to Aff1 1, Aff0 0 and 1", 0x0201_0003, &[16, 17], 2),
        ("SGI 2 to Aff2 1", 0x1_0200_0003, &[], 2),
        ("SGI 2 to a range that nobody is in", 0x1000_0200_0003, &[], 2),
        ("SGI 4 to nobody", 0x0400_0000, &[], 4),
    ];
    for (name, value, want, intid) in CASES {
        let (vm, platform) = (vm(18), FakePlatform::default());
        let mut first = Cpu::new(&vm, 0, &platform);
        boot(&mut first);
        let others = [1u16, 2, 16, 17];
        let mut cpus: Vec<Cpu<'_>> = Vec::new();
        for index in others {
            let mpidr = u64::from(index % 16) | u64::from(index / 16) << 8;
            let mut cpu = Cpu::new(&vm, index, &platform);
            assert_eq!(first.call([0xc400_0003, mpidr, RAM, 0]), 0);
            cpu.enter();
            cpu.open_interface();
            cpu.poke(GICR + u64::from(index) * STRIDE + SGI_FRAME + 0x100, 0xffff);
            cpu.enter();
            cpus.push(cpu);
        }
        platform.take_kicks();
        first.set(RegId::general(9), *value);
        assert_eq!(first.msr(names::ICC_SGI1R_EL1, 9), Next::Resume, "{name}");
        let kicks: Vec<u16> =
            platform.take_kicks().into_iter().filter(|vcpu| others.contains(vcpu)).collect();
        assert_eq!(kicks, *want, "{name}");
        for (cpu, index) in cpus.iter_mut().zip(others) {
            cpu.enter();
            let hit = want.contains(&index);
            assert_eq!(cpu.acknowledge(), if hit { *intid } else { 1023 }, "{name}: vCPU {index}");
        }
    }
}

#[test]
fn an_sgi_to_itself_needs_no_kick() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    cpu.set(RegId::PC, RAM);
    cpu.set(RegId::general(0), 0x0700_0001);
    assert_eq!(cpu.msr(names::ICC_SGI1R_EL1, 0), Next::Resume);
    assert_eq!(platform.take_kicks(), []);
    cpu.enter();
    assert_eq!((cpu.acknowledge(), cpu.pc()), (7, RAM + 4));
}

#[test]
fn an_sgi_register_generates_its_own_group_only() {
    const CASES: &[(&str, u64, arm_arch::SysRegId, bool)] = &[
        ("SGI1R, Group 1", 0xffff_ffff, names::ICC_SGI1R_EL1, true),
        ("SGI1R, Group 0", 0, names::ICC_SGI1R_EL1, false),
        ("SGI0R, Group 1", 0xffff_ffff, names::ICC_SGI0R_EL1, false),
        ("SGI0R, Group 0", 0, names::ICC_SGI0R_EL1, true),
        ("ASGI1R, Group 1", 0xffff_ffff, names::ICC_ASGI1R_EL1, false),
        ("ASGI1R, Group 0", 0, names::ICC_ASGI1R_EL1, false),
    ];
    for (name, groups, register, want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        boot(&mut cpu);
        cpu.poke(GICR + SGI_FRAME + 0x80, *groups);
        cpu.set(RegId::general(0), 0x0100_0001);
        assert_eq!(cpu.msr(*register, 0), Next::Resume, "{name}");
        let pending = cpu.peek(GICR + SGI_FRAME + 0x200, AccessSize::Word);
        assert_eq!(pending == 2, *want, "{name}");
    }
}

#[test]
fn an_spi_goes_where_its_router_says() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    boot(&mut first);
    let mut second = second(&vm, &mut first, &platform);
    enable(&mut first, 33, 0xa0);
    // GICD_IROUTER33, 64 bits: Aff0 1.
    assert_eq!(first.store(GICD + 0x6108, AccessSize::Double, 1), Next::Resume);
    first.enter();
    platform.take_kicks();
    vm.set_spi_level(spi(33), Line::High, &platform);
    assert_eq!(platform.take_kicks(), [1]);
    first.enter();
    second.enter();
    assert!(!first.irq() && second.irq());
    // Routed away while it waits in a list register: the holder gives it up, the new target takes it.
    first.poke(GICD + 0x6108, 0);
    assert_eq!(platform.take_kicks(), [1], "the holder has to let go");
    second.enter();
    assert!(!second.irq());
    assert_eq!(platform.take_kicks(), [0]);
    first.enter();
    assert!(first.irq());
    assert_eq!(first.peek(GICD + 0x6108, AccessSize::Double), 0);
}

#[test]
fn an_active_spi_stays_with_its_holder_when_it_is_rerouted() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    boot(&mut first);
    let mut second = second(&vm, &mut first, &platform);
    set_edge(&mut first, 33);
    enable(&mut first, 33, 0xa0);
    vm.pulse(spi(33), &platform);
    first.enter();
    assert_eq!(first.acknowledge(), 33);
    first.poke(GICD + 0x6108, 1);
    vm.pulse(spi(33), &platform);
    first.enter();
    second.enter();
    assert!(!second.irq(), "still active elsewhere");
    platform.take_kicks();
    first.end(33);
    // The edge that came meanwhile was in the holder's list register; it is given to the new target.
    assert_eq!(first.exit(Exit::Maintenance), Next::Resume);
    first.enter();
    assert!(!first.irq());
    assert_eq!(platform.take_kicks(), [1]);
    second.enter();
    assert_eq!(second.acknowledge(), 33);
}

#[test]
fn an_spi_for_anyone_goes_to_the_first_vcpu_that_is_on() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    boot(&mut first);
    let mut second = second(&vm, &mut first, &platform);
    enable(&mut second, 33, 0xa0);
    second.poke(GICD + 0x6108, 0x8000_0000);
    vm.set_spi_level(spi(33), Line::High, &platform);
    first.enter();
    second.enter();
    assert!(first.irq() && !second.irq());
    assert_eq!(first.hvc([0x8400_0002, 0, 0, 0]), Next::Wait { deadline: None });
    assert_eq!(platform.take_kicks().last(), Some(&1));
    second.enter();
    assert!(second.irq());
}

#[test]
fn a_router_to_nobody_keeps_the_interrupt_pending() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    enable(&mut cpu, 33, 0xa0);
    // Aff3 1, by the upper half.
    cpu.poke(GICD + 0x610c, 1);
    vm.set_spi_level(spi(33), Line::High, &platform);
    cpu.enter();
    assert!(!cpu.irq());
    assert_eq!(cpu.peek(GICD + 0x204, AccessSize::Word), 2);
    assert_eq!(cpu.peek(GICD + 0x6108, AccessSize::Double), 0x1_0000_0000);
    cpu.poke(GICD + 0x610c, 0);
    cpu.enter();
    assert!(cpu.irq());
}

#[test]
fn timers_drive_their_ppis_as_levels() {
    for (control, compare, intid) in
        [(names::CNTV_CTL_EL0, names::CNTV_CVAL_EL0, 27), (names::CNTP_CTL_EL0, names::CNTP_CVAL_EL0, 30)]
    {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        boot(&mut cpu);
        cpu.set_clock(1000);
        cpu.set_sys(compare, 2000);
        cpu.set_sys(control, 1);
        cpu.enter();
        assert!(!cpu.irq(), "{intid}: not yet");
        cpu.set_clock(2000);
        assert_eq!(cpu.exit(Exit::Timer(TimerSet::VIRTUAL)), Next::Resume);
        cpu.enter();
        assert_eq!(cpu.acknowledge(), intid);
        // The handler ends it without moving the timer: it comes again.
        cpu.end(intid);
        cpu.enter();
        assert_eq!(cpu.acknowledge(), intid);
        // Now it sets the next deadline first.
        cpu.set_sys(compare, 3000);
        cpu.end(intid);
        cpu.enter();
        assert!(!cpu.irq(), "{intid}: the line fell");
        // Masked, and then off.
        cpu.set_clock(3000);
        cpu.set_sys(control, 3);
        cpu.enter();
        assert!(!cpu.irq(), "{intid}: masked");
        cpu.set_sys(control, 1);
        cpu.enter();
        assert!(cpu.irq(), "{intid}: unmasked");
        cpu.set_sys(control, 0);
        cpu.enter();
        assert!(!cpu.irq(), "{intid}: off");
    }
}

#[test]
fn wfi_waits_for_the_earliest_timer() {
    type Case = (&'static str, [u64; 4], Next);
    const fn wait(counter: u64, ticks: u64) -> Next {
        Next::Wait { deadline: Some(Deadline { counter, nanoseconds: ticks * 16 }) }
    }
    const NEVER: Next = Next::Wait { deadline: None };
    // CNTV_CTL, CNTV_CVAL, CNTP_CTL, CNTP_CVAL at a count of 1000.
    const CASES: &[Case] = &[
        ("no timer", [0, 0, 0, 0], NEVER),
        ("virtual", [1, 1500, 0, 0], wait(1500, 500)),
        ("physical", [0, 0, 1, 1600], wait(1600, 600)),
        ("both, virtual first", [1, 1500, 1, 1600], wait(1500, 500)),
        ("both, physical first", [1, 1500, 1, 1400], wait(1400, 400)),
        ("masked", [3, 1500, 1, 1600], wait(1600, 600)),
        ("due: its interrupt is pending", [1, 1000, 0, 0], Next::Resume),
        ("due but masked", [3, 1000, 0, 0], NEVER),
        ("far away", [1, u64::MAX, 0, 0], wait_far()),
    ];
    const fn wait_far() -> Next {
        Next::Wait { deadline: Some(Deadline { counter: u64::MAX, nanoseconds: u64::MAX }) }
    }
    for (name, [vctl, vcval, pctl, pcval], want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        boot(&mut cpu);
        cpu.set(RegId::PC, RAM);
        cpu.set_clock(1000);
        cpu.set_sys(names::CNTV_CTL_EL0, *vctl);
        cpu.set_sys(names::CNTV_CVAL_EL0, *vcval);
        cpu.set_sys(names::CNTP_CTL_EL0, *pctl);
        cpu.set_sys(names::CNTP_CVAL_EL0, *pcval);
        assert_eq!(cpu.trap(WFI), *want, "{name}");
        cpu.enter();
        assert_eq!(cpu.pc(), RAM + 4, "{name}: WFI completes when it is woken, for whatever reason");
    }
}

#[test]
fn wfi_does_not_wait_while_an_interrupt_is_pending_even_if_pstate_masks_it() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    enable(&mut cpu, 33, 0xa0);
    vm.set_spi_level(spi(33), Line::High, &platform);
    cpu.enter();
    cpu.set(RegId::STATUS, 0x3c5);
    assert_eq!(cpu.trap(WFI), Next::Resume);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 33);
    assert_eq!(cpu.trap(WFI), Next::Wait { deadline: None }, "active is not pending");
    // An interrupt that comes between the decision and the sleep kicks.
    platform.take_kicks();
    enable(&mut cpu, 34, 0x80);
    vm.set_spi_level(spi(34), Line::High, &platform);
    assert_eq!(platform.take_kicks(), [0]);
}

#[test]
fn wfe_yields_and_wfit_waits_no_longer_than_it_says() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    cpu.set_clock(1000);
    assert_eq!(cpu.trap(WFE), Next::Resume);
    cpu.enter();
    cpu.set(RegId::general(5), 1010);
    // TI 2, RV, RN 5.
    let wfit = WFI | 2 | 4 | 5 << 5;
    let deadline = |counter, nanoseconds| Next::Wait { deadline: Some(Deadline { counter, nanoseconds }) };
    assert_eq!(cpu.trap(wfit), deadline(1010, 160));
    cpu.enter();
    cpu.set_sys(names::CNTV_CVAL_EL0, 1005);
    cpu.set_sys(names::CNTV_CTL_EL0, 1);
    assert_eq!(cpu.trap(wfit), deadline(1005, 80));
    cpu.enter();
    cpu.set(RegId::general(5), 900);
    assert_eq!(cpu.trap(wfit), deadline(900, 0));
}

#[test]
fn a_ppi_of_another_device_is_a_level_of_one_vcpu() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    boot(&mut first);
    let mut second = second(&vm, &mut first, &platform);
    vm.set_ppi_level(VcpuIndex(1), Ppi::new(23).unwrap(), Line::High, &platform);
    assert_eq!(platform.take_kicks(), [1]);
    first.enter();
    second.enter();
    assert!(!first.irq());
    assert_eq!(second.acknowledge(), 23);
    vm.set_ppi_level(VcpuIndex(9), Ppi::new(23).unwrap(), Line::High, &platform);
    assert_eq!(platform.take_kicks(), [], "there is no such vCPU");
}

#[test]
fn registers_of_the_frames_read_as_the_manual_says() {
    const WORD: AccessSize = AccessSize::Word;
    const CASES: &[(&str, u64, AccessSize, u64)] = &[
        ("GICD_CTLR: DS, ARE", GICD, WORD, 0x50),
        ("GICD_TYPER: 288 INTIDs, MBIS, ten bits, A3V", GICD + 4, WORD, 0x0149_0008),
        ("GICD_PIDR2: GICv3", GICD + 0xffe8, WORD, 0x3b),
        ("GICD_IGROUPR0 belongs to GICR", GICD + 0x80, WORD, 0),
        ("GICD_IGROUPR1", GICD + 0x84, WORD, 0xffff_ffff),
        ("GICD_IGROUPR9 is beyond the SPIs", GICD + 0xa4, WORD, 0),
        ("GICD_ICFGR2: levels", GICD + 0xc08, WORD, 0),
        ("GICD_ITARGETSR8 with ARE", GICD + 0x820, WORD, 0),
        ("GICD_SGIR with ARE", GICD + 0xf00, WORD, 0),
        ("GICD_TYPER, half of it", GICD + 4, AccessSize::Half, 0),
        ("GICD_CTLR and TYPER at once", GICD, AccessSize::Double, 0),
        ("GICR_TYPER of vCPU 1", GICR + STRIDE + 8, AccessSize::Double, 0x1_0000_0100),
        ("GICR_TYPER of vCPU 1, high half", GICR + STRIDE + 12, WORD, 1),
        ("GICR_TYPER of vCPU 2: last", GICR + 2 * STRIDE + 8, AccessSize::Double, 0x2_0000_0210),
        ("GICR_WAKER: asleep", GICR + 0x14, WORD, 6),
        ("GICR_PIDR2", GICR + 0xffe8, WORD, 0x3b),
        ("GICR_CTLR: no LPIs", GICR, WORD, 0),
        ("GICR_PROPBASER: no LPIs", GICR + 0x70, AccessSize::Double, 0),
        ("GICR_ICFGR0: SGIs are edges", GICR + SGI_FRAME + 0xc00, WORD, 0xaaaa_aaaa),
        ("GICR_ICFGR1: PPIs are levels", GICR + SGI_FRAME + 0xc04, WORD, 0),
        ("GICR_ISENABLER1 does not exist", GICR + SGI_FRAME + 0x104, WORD, 0),
        ("the end of the last frame", GICR + 3 * STRIDE - 4, WORD, 0),
    ];
    let (vm, platform) = (vm(3), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    for (name, address, size, want) in CASES {
        assert_eq!(cpu.peek(*address, *size), *want, "{name}");
        cpu.enter();
    }
    let beyond = cpu.load(GICR + 3 * STRIDE, WORD);
    assert!(matches!(beyond, Next::Device(..)), "behind the last redistributor is someone else");
}

#[test]
fn writes_to_what_is_read_only_or_reserved_change_nothing() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    let watched = [
        (GICD, 0x53),
        (GICD + 4, 0x0149_0008),
        (GICD + 0x104, 0),
        (GICD + 0xffe8, 0x3b),
        (GICR + SGI_FRAME + 0x100, 0xffff_ffff),
        (GICR + SGI_FRAME + 0xc00, 0xaaaa_aaaa),
    ];
    let check = |cpu: &mut Cpu<'_>, what: &str| {
        for (address, want) in watched {
            assert_eq!(cpu.peek(address, AccessSize::Word), want, "{what}: {address:#x}");
        }
    };
    for (address, _) in watched {
        for size in [AccessSize::Byte, AccessSize::Half, AccessSize::Double] {
            assert_eq!(cpu.store(address, size, u64::MAX), Next::Resume);
            check(&mut cpu, "wrong size");
        }
    }
    for (address, value) in [(GICD + 4, 0), (GICD + 0xffe8, 0), (GICR + SGI_FRAME + 0xc00, 0), (GICD, 0xff)] {
        cpu.poke(address, value);
        check(&mut cpu, "read-only");
    }
    for offset in [0x2, 0x5, 0xfffd, 0xfffc, 0x0ffc, 0x7ffc] {
        for size in [AccessSize::Byte, AccessSize::Half, AccessSize::Word, AccessSize::Double] {
            for base in [GICD, GICR, GICR + SGI_FRAME] {
                assert_eq!(cpu.store(base + offset, size, u64::MAX), Next::Resume);
            }
        }
        check(&mut cpu, "odd offset");
    }
}

#[test]
fn waker_follows_processor_sleep() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    cpu.poke(GICR + 0x14, 0);
    assert_eq!(cpu.peek(GICR + 0x14, AccessSize::Word), 0);
    cpu.poke(GICR + 0x14, 2);
    assert_eq!(cpu.peek(GICR + 0x14, AccessSize::Word), 6);
}

/// Class of defect 28: a request that is consumed and forgotten, or never consumed.
#[test]
fn lost_request_an_interrupt_is_delivered_whenever_it_is_raised() {
    // At every point of the way from exit to entry, and without a line ever falling.
    type Point = fn(&mut Cpu<'_>);
    const POINTS: &[(&str, Point)] = &[
        ("before an exit", |cpu| {
            assert_eq!(cpu.exit(Exit::Spurious), Next::Resume);
            cpu.enter();
        }),
        ("before an entry", |cpu| cpu.enter()),
        ("before a trapped read", |cpu| {
            assert_eq!(cpu.mrs(0, names::MIDR_EL1), Next::Resume);
            cpu.enter();
        }),
        ("before an access to the distributor", |cpu| {
            cpu.peek(GICD, AccessSize::Word);
            cpu.enter();
        }),
        ("before the state is looked at", |cpu| {
            cpu.guest.before_observe(&mut cpu.registers).unwrap();
            cpu.enter();
        }),
        ("before WFI", |cpu| {
            assert_eq!(cpu.trap(WFI), Next::Resume);
            cpu.enter();
        }),
    ];
    for (name, point) in POINTS {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = Cpu::new(&vm, 0, &platform);
        boot(&mut cpu);
        set_edge(&mut cpu, 48);
        enable(&mut cpu, 48, 0x80);
        enable(&mut cpu, 33, 0xa0);
        vm.pulse(spi(48), &platform);
        point(&mut cpu);
        vm.set_spi_level(spi(33), Line::High, &platform);
        point(&mut cpu);
        assert_eq!(cpu.acknowledge(), 48, "{name}");
        point(&mut cpu);
        cpu.end(48);
        cpu.enter();
        assert_eq!(cpu.acknowledge(), 33, "{name}");
    }
}

/// An edge that is in a list register of vCPU 1, seen from vCPU 0.
fn edge_at_second<'a>(vm: &'a TestVm, platform: &'a FakePlatform) -> (Cpu<'a>, Cpu<'a>) {
    let mut first = Cpu::new(vm, 0, platform);
    boot(&mut first);
    let mut second = second(vm, &mut first, platform);
    set_edge(&mut first, 33);
    enable(&mut first, 33, 0xa0);
    first.poke(GICD + 0x6108, 1);
    vm.pulse(spi(33), platform);
    second.enter();
    assert!(second.irq());
    platform.take_kicks();
    (first, second)
}

#[test]
fn pending_state_in_another_vcpus_list_register_can_be_cleared() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let (mut first, mut second) = edge_at_second(&vm, &platform);
    first.poke(GICD + 0x284, 2);
    assert_eq!(platform.take_kicks(), [1]);
    assert_eq!(first.peek(GICD + 0x204, AccessSize::Word), 0);
    // An edge that comes after that is a new one.
    second.enter();
    assert!(!second.irq());
    vm.pulse(spi(33), &platform);
    second.enter();
    assert!(second.irq());
}

#[test]
fn active_state_in_another_vcpus_list_register_can_be_written() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let (mut first, mut second) = edge_at_second(&vm, &platform);
    assert_eq!(second.acknowledge(), 33);
    second.guest.before_observe(&mut second.registers).unwrap();
    second.enter();
    platform.take_kicks();
    first.poke(GICD + 0x384, 2);
    assert_eq!(platform.take_kicks(), [1]);
    assert_eq!(first.peek(GICD + 0x304, AccessSize::Word), 0);
    second.enter();
    assert_eq!(second.ich().lr[0].state(), LrState::Inactive);
    // And set: it comes back as active, not as pending.
    first.poke(GICD + 0x304, 2);
    second.enter();
    assert_eq!(second.ich().lr[0].state(), LrState::Active);
    assert!(!second.irq());
}

#[test]
fn whoever_holds_an_active_interrupt_hears_of_changes_though_it_is_routed_elsewhere() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let (mut first, mut second) = edge_at_second(&vm, &platform);
    assert_eq!(second.acknowledge(), 33);
    first.poke(GICD + 0x6108, 0);
    second.enter();
    first.enter();
    platform.take_kicks();
    first.poke(GICD + 0x384, 2);
    assert_eq!(platform.take_kicks(), [1]);
    second.enter();
    assert_eq!(second.ich().lr[0].state(), LrState::Inactive);
}

#[test]
fn an_end_that_the_host_does_not_report_is_found_before_the_next_entry() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    enable(&mut cpu, 33, 0xa0);
    vm.set_spi_level(spi(33), Line::High, &platform);
    cpu.enter();
    assert_eq!(cpu.acknowledge(), 33);
    assert_eq!(cpu.exit(Exit::Spurious), Next::Resume);
    cpu.enter();
    let _ = cpu.with_ich(|ich| ich.end_of_interrupt(arm_arch::gic::Group::One, 33));
    assert_eq!(cpu.exit(Exit::Spurious), Next::Resume);
    cpu.enter();
    assert!(cpu.irq(), "the line is still high");
}

#[test]
fn an_interrupt_that_nobody_can_take_kicks_nobody() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    boot(&mut cpu);
    vm.set_spi_level(spi(33), Line::High, &platform);
    vm.set_spi_level(spi(33), Line::Low, &platform);
    vm.set_spi(spi(34), &platform);
    assert_eq!(platform.take_kicks(), [], "disabled");
    enable(&mut cpu, 33, 0xa0);
    cpu.poke(GICD, 0);
    cpu.enter();
    platform.take_kicks();
    vm.set_spi_level(spi(33), Line::High, &platform);
    assert_eq!(platform.take_kicks(), [], "not forwarded");
    cpu.poke(GICD, 2);
    cpu.enter();
    assert!(cpu.irq(), "it was there all the time");
}
