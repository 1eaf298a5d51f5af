//! A machine that is saved and restored elsewhere goes on as the first would have.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::sysreg::names;
use machine::{Cpu, FakePlatform, RAM, TestVm, vm};
use vcpu_core::{GicRegister, Line, NoGicRegister, PowerState, Ppi, Spi};
use xarch_abi::{AccessSize, Bank, Guest, Next, RegId, Registers, VcpuIndex};

const GICD: u64 = 0x0800_0000;
const GICR: u64 = 0x080a_0000;

type Saved = (Vec<(RegId, u128)>, Vec<(GicRegister, u64)>);

/// Everything that the lists name, of one vCPU and the controller.
fn save(vm: &TestVm, cpu: &mut Cpu<'_>) -> Saved {
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    let mut ids = Vec::new();
    cpu.guest.for_each_register(&mut cpu.registers, |id| ids.push(id)).unwrap();
    let registers = ids
        .into_iter()
        .map(|id| match id.bank {
            Bank::VECTOR => (id, cpu.registers.read_wide(id).unwrap()),
            _ => (id, u128::from(cpu.guest.get(&mut cpu.registers, id).unwrap())),
        })
        .collect();
    let mut gic = Vec::new();
    vm.for_each_gic_register(|register| gic.push((register, vm.gic_register(register).unwrap())));
    (registers, gic)
}

fn restore(vm: &TestVm, cpu: &mut Cpu<'_>, (registers, gic): &Saved) {
    for (id, value) in registers {
        match id.bank {
            Bank::VECTOR => cpu.registers.write_wide(*id, *value).unwrap(),
            _ => cpu.guest.set(&mut cpu.registers, *id, u64::try_from(*value).unwrap()).unwrap(),
        }
    }
    for (register, value) in gic {
        vm.set_gic_register(*register, *value).unwrap();
    }
}

#[test]
fn interrupts_in_every_state_survive() {
    let (old_vm, platform) = (vm(1), FakePlatform::default());
    let mut old = Cpu::new(&old_vm, 0, &platform);
    old.enter();
    old.poke(GICD, 3);
    old.open_interface();
    // 33: level, active and its line still high. 34: edge, pending. 35: level, pending by its latch alone.
    // 36: disabled, its line high. 64: for anyone. 23: a PPI's line.
    old.poke(GICD + 0x104, 0b1110);
    old.poke(GICD + 0xc08, 2 << 4);
    old.poke(GICD + 0x420, 0x60a0_4080);
    old.poke(GICR + 0x1_0414, 0x8000_0000);
    old.poke(GICD + 0x6000 + 64 * 8, 0x8000_0000);
    old.poke(GICR + 0x1_0100, 1 << 23);
    old.poke(GICR + 0x14, 0);
    let spi = |intid| Spi::new(intid).unwrap();
    old_vm.set_spi_level(spi(33), Line::High, &platform);
    old.enter();
    assert_eq!(old.acknowledge(), 33);
    old_vm.pulse(spi(34), &platform);
    old.poke(GICD + 0x204, 1 << 3);
    old_vm.set_spi_level(spi(36), Line::High, &platform);
    old_vm.set_ppi_level(VcpuIndex(0), Ppi::new(23).unwrap(), Line::High, &platform);
    old.set(RegId::vector(5), 0x55);
    old.set_sys(names::TTBR0_EL1, 0x4321_0000);
    old.enter();
    let saved = save(&old_vm, &mut old);

    let (new_vm, platform) = (vm(1), FakePlatform::default());
    let mut new = Cpu::new(&new_vm, 0, &platform);
    restore(&new_vm, &mut new, &saved);
    assert_eq!(save(&new_vm, &mut new), saved, "what was restored is what was saved");
    assert_eq!((new.get(RegId::vector(5)), new.sys(names::TTBR0_EL1)), (0x55, 0x4321_0000));

    for (vm, cpu) in [(&old_vm, &mut old), (&new_vm, &mut new)] {
        cpu.enter();
        assert_eq!(cpu.ich().running_priority(), 0x40);
        assert!(!cpu.irq(), "33 is active, with the highest priority");
        cpu.end(33);
        cpu.enter();
        let mut order = Vec::new();
        loop {
            let intid = cpu.acknowledge();
            if intid == 1023 {
                break;
            }
            order.push(intid);
            match intid {
                23 => vm.set_ppi_level(VcpuIndex(0), Ppi::new(23).unwrap(), Line::Low, &platform),
                33 => vm.set_spi_level(spi(33), Line::Low, &platform),
                _ => {}
            }
            cpu.enter();
            cpu.end(intid);
            cpu.enter();
        }
        assert_eq!(order, [33, 35, 23, 34]);
        cpu.poke(GICD + 0x104, 1 << 4);
        cpu.enter();
        assert_eq!(cpu.acknowledge(), 36, "its line stayed high");
    }
}

#[test]
fn edges_in_list_registers_are_saved_as_pending() {
    let (old_vm, platform) = (vm(1), FakePlatform::default());
    let mut old = Cpu::new(&old_vm, 0, &platform);
    old.enter();
    old.poke(GICD, 3);
    old.open_interface();
    old.poke(GICD + 0x104, 2);
    old.poke(GICD + 0xc08, 2 << 2);
    old_vm.pulse(Spi::new(33).unwrap(), &platform);
    old.enter();
    assert!(old.irq());
    let saved = save(&old_vm, &mut old);
    assert!(saved.1.contains(&(GicRegister::Distributor(0x204), 2)));
    let (new_vm, platform) = (vm(1), FakePlatform::default());
    let mut new = Cpu::new(&new_vm, 0, &platform);
    restore(&new_vm, &mut new, &saved);
    new.enter();
    assert_eq!(new.acknowledge(), 33);
    old.enter();
    assert_eq!(old.acknowledge(), 33, "saving does not disturb");
}

/// What the controller has of a timer's line is the old vCPU's last look at it; the new vCPU has not looked yet.
#[test]
fn a_timer_that_is_turned_off_after_the_move_does_not_go_on_interrupting() {
    let (old_vm, platform) = (vm(1), FakePlatform::default());
    let mut old = Cpu::new(&old_vm, 0, &platform);
    old.enter();
    old.poke(GICD, 3);
    old.open_interface();
    old.poke(GICR + 0x1_0418, 0x8080_8080);
    old.poke(GICR + 0x1_0100, 1 << 27);
    old.set_sys(names::CNTV_CVAL_EL0, 0);
    old.set_sys(names::CNTV_CTL_EL0, 1);
    old.set_clock(100);
    old.enter();
    assert_eq!(old.acknowledge(), 27);
    let saved = save(&old_vm, &mut old);
    assert!(saved.1.contains(&(GicRegister::PpiLines(VcpuIndex(0)), 1 << 27)), "the line is high");

    let (new_vm, platform) = (vm(1), FakePlatform::default());
    let mut new = Cpu::new(&new_vm, 0, &platform);
    restore(&new_vm, &mut new, &saved);
    // The rest of the handler: the guest turns the timer off without an exit, and ends the interrupt.
    for cpu in [&mut old, &mut new] {
        cpu.set_sys(names::CNTV_CTL_EL0, 0);
        cpu.enter();
        cpu.end(27);
        cpu.enter();
        assert!(!cpu.irq());
    }
    assert_eq!(new_vm.gic_register(GicRegister::PpiLines(VcpuIndex(0))), Ok(0));
}

#[test]
fn a_start_that_was_asked_for_is_saved_as_done() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut first = Cpu::new(&vm, 0, &platform);
    let mut second = Cpu::new(&vm, 1, &platform);
    first.enter();
    assert_eq!((vm.power(VcpuIndex(0)), vm.power(VcpuIndex(1))), (PowerState::On, PowerState::Off));
    assert_eq!(first.call([0xc400_0003, 1, RAM + 0x40, 9]), 0);
    second.guest.before_observe(&mut second.registers).unwrap();
    assert_eq!((second.pc(), second.x(0)), (RAM + 0x40, 9));
    assert_eq!(vm.power(VcpuIndex(1)), PowerState::On);
    assert_eq!(vm.power(VcpuIndex(2)), PowerState::Off);
    // Restored elsewhere: registers first, then power.
    second.guest.reset(&mut second.registers).unwrap();
    second.guest.set_power(PowerState::Off);
    assert_eq!(second.prepare(), Next::Wait { deadline: None });
    second.set(RegId::PC, RAM + 0x44);
    second.guest.set_power(PowerState::On);
    second.enter();
    assert_eq!(second.pc(), RAM + 0x44);
}

#[test]
fn what_is_no_state_is_an_error() {
    let vm = vm(1);
    for register in [
        GicRegister::Distributor(0x4),
        GicRegister::Distributor(0x80),
        GicRegister::Distributor(0x184),
        GicRegister::Distributor(0x6004),
        GicRegister::Distributor(0x60f8),
        GicRegister::Distributor(0x6900),
        GicRegister::Redistributor(VcpuIndex(0), 0x8),
        GicRegister::Redistributor(VcpuIndex(0), 0x1_0104),
        GicRegister::Redistributor(VcpuIndex(1), 0x14),
        GicRegister::SpiLines(0),
        GicRegister::SpiLines(33),
        GicRegister::SpiLines(288),
        GicRegister::PpiLines(VcpuIndex(1)),
    ] {
        assert_eq!(vm.gic_register(register), Err(NoGicRegister(register)), "{register:x?}");
        assert_eq!(vm.set_gic_register(register, 1), Err(NoGicRegister(register)), "{register:x?}");
    }
}

#[test]
fn a_reset_of_the_machine_forgets_what_list_registers_held() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    cpu.poke(GICD, 3);
    cpu.open_interface();
    cpu.poke(GICD + 0x104, 2);
    cpu.poke(GICD + 0xc08, 2 << 2);
    vm.pulse(Spi::new(33).unwrap(), &platform);
    cpu.enter();
    cpu.acknowledge();
    vm.pulse(Spi::new(33).unwrap(), &platform);
    cpu.enter();
    vm.reset();
    cpu.guest.reset(&mut cpu.registers).unwrap();
    cpu.enter();
    assert_eq!(cpu.peek(GICD + 0x304, AccessSize::Word), 0, "active");
    assert_eq!(cpu.peek(GICD + 0x204, AccessSize::Word), 0, "pending");
}
