//! Random lines, register accesses, acknowledgements and traps on two vCPUs: nothing panics, no interrupt is in two
//! list registers, and what a plain reading of the registers says should be taken next is in one.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test"
)]

mod machine;

use arm_arch::sysreg::{LrState, names};
use machine::{Cpu, FakePlatform, RAM, TestVm, interrupt, vm};
use std::collections::BTreeSet;
use vcpu_core::{GicRegister, Line, Ppi, Spi};
use xarch_abi::{AccessSize, Exit, Guest, GuestPa, MemoryAccess, Next, RegId, Trap, VcpuIndex};

const GICD: u64 = 0x0800_0000;
const GICR: u64 = 0x080a_0000;

/// Marsaglia's xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit
    }

    /// Few bits, so that states meet.
    fn sparse(&mut self) -> u64 {
        self.next() & self.next() & self.next() & 0xffff_ffff
    }
}

/// Reads the saved state as the manual describes the registers: knows nothing of list registers.
struct Book<'a>(&'a TestVm);

impl Book<'_> {
    fn word(&self, vcpu: u16, base: u32, intid: u32) -> u32 {
        let offset = base + intid / 32 * 4;
        let register = if intid < 32 {
            GicRegister::Redistributor(VcpuIndex(vcpu), 0x1_0000 + offset)
        } else {
            GicRegister::Distributor(offset)
        };
        u32::try_from(self.0.gic_register(register).unwrap()).unwrap()
    }

    fn bit(&self, vcpu: u16, base: u32, intid: u32) -> bool {
        self.word(vcpu, base, intid) >> (intid % 32) & 1 != 0
    }

    fn line(&self, vcpu: u16, intid: u32) -> bool {
        let register = match intid {
            0..=31 => GicRegister::PpiLines(VcpuIndex(vcpu)),
            _ => GicRegister::SpiLines(intid & !31),
        };
        self.0.gic_register(register).unwrap() >> (intid % 32) & 1 != 0
    }

    fn priority(&self, vcpu: u16, intid: u32) -> u32 {
        let offset = 0x400 + intid / 4 * 4;
        let register = if intid < 32 {
            GicRegister::Redistributor(VcpuIndex(vcpu), 0x1_0000 + offset)
        } else {
            GicRegister::Distributor(offset)
        };
        u32::try_from(self.0.gic_register(register).unwrap() >> (intid % 4 * 8) & 0xff).unwrap()
    }

    fn is_edge(&self, vcpu: u16, intid: u32) -> bool {
        let offset = 0xc00 + intid / 16 * 4;
        let register = if intid < 32 {
            GicRegister::Redistributor(VcpuIndex(vcpu), 0x1_0000 + offset)
        } else {
            GicRegister::Distributor(offset)
        };
        self.0.gic_register(register).unwrap() >> (intid % 16 * 2 + 1) & 1 != 0
    }

    fn is_target(&self, vcpu: u16, intid: u32) -> bool {
        if intid < 32 {
            return true;
        }
        match self.0.gic_register(GicRegister::Distributor(0x6000 + intid * 8)).unwrap() {
            // Both vCPUs are on: the first one.
            router if router & 0x8000_0000 != 0 => vcpu == 0,
            router => router == u64::from(vcpu),
        }
    }

    /// The interrupt to be taken next by the vCPU, if it is not held back by what is active.
    fn next(&self, vcpu: u16) -> Option<(u32, u32)> {
        let groups = self.0.gic_register(GicRegister::Distributor(0)).unwrap();
        (0..288)
            .filter(|intid| {
                let group = u32::from(self.bit(vcpu, 0x80, *intid));
                let line = self.line(vcpu, *intid) && !self.is_edge(vcpu, *intid);
                (line || self.bit(vcpu, 0x200, *intid))
                    && self.bit(vcpu, 0x100, *intid)
                    && !self.bit(vcpu, 0x300, *intid)
                    && groups >> group & 1 != 0
                    && self.is_target(vcpu, *intid)
            })
            .map(|intid| (self.priority(vcpu, intid), intid))
            .min()
    }
}

fn listed(cpu: &mut Cpu<'_>) -> Vec<u32> {
    let in_use = cpu.ich().lr.into_iter().filter(|lr| lr.state() != LrState::Inactive);
    in_use.map(|lr| lr.vintid()).collect()
}

fn check(vm: &TestVm, cpus: &mut [Cpu<'_>; 2], at: usize, step: u64) {
    let cpu = &mut cpus[at];
    let index = cpu.guest.index().0;
    if cpu.ich().is_maintenance_due() {
        assert_eq!(cpu.exit(Exit::Maintenance), Next::Resume);
    }
    cpu.enter();
    let pending: Vec<u32> =
        cpu.ich().lr.into_iter().filter(|lr| lr.state() == LrState::Pending).map(|lr| lr.vintid()).collect();
    // Only then is everything folded: what is in the list registers has to be right without that.
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    if let Some((priority, intid)) = Book(vm).next(index) {
        assert!(
            pending.contains(&intid),
            "step {step}: vCPU {index} lists {pending:?}, not {intid} of priority {priority:#x}"
        );
    }
    cpu.enter();
    let [first, second] = cpus;
    for cpu in [&mut *first, &mut *second] {
        let all = listed(cpu);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "step {step}: {all:?}");
    }
    let (one, other) = (listed(first), listed(second));
    let shared: Vec<&u32> = one.iter().filter(|intid| **intid >= 32 && other.contains(intid)).collect();
    assert!(shared.is_empty(), "step {step}: {shared:?} are in list registers of both");
}

/// One thing that a device, a guest or its hypervisor does.
fn act(vm: &TestVm, platform: &FakePlatform, cpu: &mut Cpu<'_>, random: &mut Random) {
    let spi = Spi::new(32 + u32::try_from(random.below(256)).unwrap()).unwrap();
    let busy = Spi::new(32 + u32::try_from(random.below(8)).unwrap()).unwrap();
    let index = u64::from(cpu.guest.index().0);
    match random.below(16) {
        0 => vm.set_spi_level(spi, Line::High, platform),
        1 => vm.set_spi_level(spi, Line::Low, platform),
        2 => vm.pulse(busy, platform),
        3 => vm.set_spi(busy, platform),
        4 => {
            let ppi = Ppi::new(16 + u32::try_from(random.below(16)).unwrap()).unwrap();
            let line = if random.below(2) == 0 { Line::High } else { Line::Low };
            vm.set_ppi_level(cpu.guest.index(), ppi, line, platform);
        }
        5 | 6 => {
            // Enable, pending, active, group, priority, configuration.
            let base = [0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0xc00];
            let base = base[usize::try_from(random.below(8)).unwrap()];
            cpu.poke(GICD + base + random.below(9) * 4, random.sparse());
        }
        7 => {
            let base = [0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0xc04];
            let base = base[usize::try_from(random.below(8)).unwrap()];
            cpu.poke(GICR + index * 0x2_0000 + 0x1_0000 + base, random.sparse());
        }
        8 => cpu.poke(GICD + 0x420 + random.below(64) * 4, random.next()),
        9 => {
            let router = [0, 1, 2, 0x8000_0000, 0x1_0000_0000][usize::try_from(random.below(5)).unwrap()];
            let address = GICD + 0x6000 + (32 + random.below(16)) * 8;
            assert_eq!(cpu.store(address, AccessSize::Double, router), Next::Resume);
        }
        10 => cpu.poke(GICD, random.below(4) | 2),
        11 => {
            cpu.set(RegId::general(0), random.next() & 0x100_0f00_0003);
            let register = if random.below(2) == 0 { names::ICC_SGI1R_EL1 } else { names::ICC_SGI0R_EL1 };
            assert_eq!(cpu.msr(register, 0), Next::Resume);
        }
        12 => {
            // Acknowledges whatever there is, and forgets it: it stays active.
            cpu.acknowledge();
        }
        13 => {
            let active = cpu.ich().lr.into_iter().find(|lr| lr.state().is_active());
            if let Some(lr) = active {
                cpu.end(lr.vintid());
            }
        }
        14 => {
            // An end of something that may not even be active.
            cpu.end(u32::try_from(random.below(300)).unwrap());
        }
        _ => chaos(cpu, random),
    }
}

/// Exits that a host should not report, and accesses of every shape to the frames.
fn chaos(cpu: &mut Cpu<'_>, random: &mut Random) {
    let (syndrome, fault_address) = (random.next() & 0x1ff_ffff, random.next());
    let classes = [0x01, 0x07, 0x18, 0x18, 0x20, 0x24, 0x3c, 0x1a];
    let class = classes[usize::try_from(random.below(8)).unwrap()];
    let trap = Trap { syndrome: class << 26 | 1 << 25 | syndrome, fault_address };
    let exit = if random.below(2) == 0 {
        Exit::Trap(trap)
    } else {
        let base = [GICD, GICR, GICR + 0x1_0000, GICR + 0x3_0000][usize::try_from(random.below(4)).unwrap()];
        let address = GuestPa::new(base + random.below(0x1_0000));
        Exit::Access(MemoryAccess { address, trap, ..machine::access(0, 0) })
    };
    let next = cpu.exit(exit);
    assert!(!matches!(next, Next::Device(..)), "{exit:?} belongs to the interrupt controller");
    // Go on from a sane place, with the interface and the timers as they were.
    for control in [names::CNTV_CTL_EL0, names::CNTP_CTL_EL0] {
        cpu.set_sys(control, 0);
    }
    cpu.set_sys(names::SCTLR_EL1, 0x30d0_0800);
    cpu.set(RegId::STATUS, 0x3c5);
}

#[test]
fn what_should_be_taken_next_is_always_in_a_list_register() {
    for seed in 1..=8u64 {
        let (vm, platform) = (vm(2), FakePlatform::default());
        let mut cpus = [Cpu::new(&vm, 0, &platform), Cpu::new(&vm, 1, &platform)];
        cpus[0].enter();
        assert_eq!(cpus[0].call([0xc400_0003, 1, RAM, 0]), 0);
        cpus[1].enter();
        for cpu in &mut cpus {
            cpu.open_interface();
        }
        cpus[0].poke(GICD, 3);
        cpus[0].enter();
        let mut random = Random(seed << 32 | 0x9e37_79b9);
        for step in 0..4000 {
            let at = usize::try_from(random.below(2)).unwrap();
            act(&vm, &platform, &mut cpus[at], &mut random);
            check(&vm, &mut cpus, at, step);
            if random.below(3) == 0 {
                check(&vm, &mut cpus, 1 - at, step);
            }
        }
        for cpu in &mut cpus {
            let control = cpu.get(interrupt(names::ICH_HCR_EL2));
            assert_eq!(control & !0xf800_000d, 0, "seed {seed}: only En, LRENPIE, NPIE and a count");
        }
    }
}
