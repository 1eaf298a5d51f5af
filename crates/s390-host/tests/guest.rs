//! What a guest does, and what the guest side and the platform see of it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod common;

use common::a64::*;
use common::*;
use s390_arch::AbsoluteStorage;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use xarch_abi::{
    AccessCause, Backend, BackendVcpu, DeviceAccess, DeviceAnswer, DeviceOperation, Direction, Exit, GuestPa,
    Next, Outcome, Platform, RegId, Registers, Slot, StopReason, TimerSet, Token, Trap, VcpuIndex, Writable,
};

/// Where nothing is: below RAM.
const DEVICE: u64 = 0x0900_0000;

fn words(parts: &[&[u32]]) -> Vec<u32> {
    parts.concat()
}

/// The one memory access outside RAM that a program makes.
fn access_of(setup: Setup, program: &[u32]) -> xarch_abi::MemoryAccess {
    let (_, seen) = run_one(setup, program, TestGuest::new());
    match seen.as_slice() {
        [Exit::Access(access)] => *access,
        other => panic!("not one access: {other:x?}"),
    }
}

#[test]
fn hvc_traps_with_its_number_and_the_pc_behind_it() {
    let pcs = std::cell::RefCell::new(Vec::new());
    let guest = TestGuest::on_exit(|registers, exit| {
        pcs.borrow_mut().push(registers.read(RegId::PC).unwrap());
        usual(exit)
    });
    let (outcome, seen) = run_one(Setup::default(), &[hvc(7), hvc(0xffff), hvc(0)], guest);
    assert_eq!(outcome, POWER_OFF);
    // ESR_EL2: EC 0x16, IL, ISS the immediate.
    let trap = |syndrome| Exit::Trap(Trap { syndrome, fault_address: 0 });
    assert_eq!(seen, [trap(0x5a00_0007), trap(0x5a00_ffff), trap(0x5a00_0000)]);
    assert_eq!(*pcs.borrow(), [RAM + 4, RAM + 8, RAM + 12]);
}

#[test]
fn general_registers_go_in_and_come_out() {
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[add(0, 1, 30), hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        for n in 0..31 {
            vcpu.write(RegId::general(n), 0x1111_0000_0000_0000 * u64::from(n % 8) + u64::from(n)).unwrap();
        }
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
        assert_eq!(vcpu.read(RegId::general(0)), Ok(0x7777_0000_0000_001f));
        assert_eq!(vcpu.read(RegId::general(30)), Ok(0x6666_0000_0000_001e));
        assert_eq!(vcpu.read(RegId::STATUS), Ok(EL1H));
    });
}

#[test]
fn vectors_go_in_and_come_out_with_element_0_rightmost() {
    with_rig(Setup::default(), |rig| {
        // FPEN at EL1 too.
        let enable = words(&[&mov(9, 3 << 20), &[msr(0xc082, 9), ISB]]);
        rig.load(RAM, &words(&[&enable, &[from_vector(1, 31, 1), to_vector(0, 1, 0), hvc(0)]]));
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        vcpu.write_wide(RegId::vector(31), 0x0123_4567_89ab_cdef_0000_0000_0000_0001).unwrap();
        vcpu.write_wide(RegId::vector(0), u128::MAX).unwrap();
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
        assert_eq!(vcpu.read(RegId::general(1)), Ok(0x0123_4567_89ab_cdef));
        assert_eq!(vcpu.read_wide(RegId::vector(0)), Ok(0xffff_ffff_ffff_ffff_0123_4567_89ab_cdef));
        assert_eq!(vcpu.read_wide(RegId::vector(31)), Ok(0x0123_4567_89ab_cdef_0000_0000_0000_0001));
    });
}

#[test]
fn touching_ram_maps_it_by_large_frames_where_both_sides_align_and_by_pages_where_not() {
    // Three pages of one segment, then one of the next: loads, so that no second fault makes them writable.
    let program = |base| {
        words(&[
            &mov(1, base),
            &[ldr(0, 1, 0), add_pages(1, 1, 1), ldr(0, 1, 0), add_pages(1, 1, 1), ldr(0, 1, 0)],
            &[add_pages(1, 1, 0xfe), ldr(0, 1, 0), hvc(0)],
        ])
    };
    for (base, host, want) in [
        (0x8000_0000, HOST_RAM + 0x40_0000, vec![0x8000_0000, 0x8010_0000]),
        (0x8000_0000, HOST_RAM + 0x40_1000, vec![0x8000_0000, 0x8000_1000, 0x8000_2000, 0x8010_0000]),
    ] {
        with_rig(Setup { ram: 16 << 20, ..Setup::default() }, |rig| {
            // The machine's RAM gives its upper half to a slot of its own.
            rig.vm.remove_slot(range(RAM, 16 << 20)).unwrap();
            rig.platform.slots.lock().unwrap().clear();
            rig.add_slot(slot(RAM, 4 << 20, HOST_RAM, Writable::Yes));
            rig.add_slot(slot(base, 4 << 20, host, Writable::Yes));
            rig.load(RAM, &program(base));
            let (vm, parts) = rig.split();
            let mut vcpu = parts.vcpu(&vm, 0, RAM);
            assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
            let mapped = parts.platform.mapped.lock().unwrap();
            let data: Vec<u64> = mapped.iter().map(|at| at.value()).filter(|at| *at >= base).collect();
            assert_eq!(data, want, "host at {host:#x}");
            assert_eq!(vcpu.statistics().faults_resolved, 1 + u64::try_from(want.len()).unwrap());
        });
    }
}

#[test]
fn stores_reach_the_slot_s_memory_in_little_endian() {
    with_rig(Setup::default(), |rig| {
        let program = words(&[&mov(0, 0x1234_5678_9abc), &mov(1, RAM + 0x10_0000), &[str(0, 1, 8), hvc(0)]]);
        rig.load(RAM, &program);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
        let mut bytes = [0; 8];
        let at = s390_arch::Absolute::new(HOST_RAM + 0x10_0008);
        parts.storage.read_bytes(at, &mut bytes).unwrap();
        assert_eq!(bytes, [0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0]);
    });
}

#[test]
fn accesses_outside_ram_name_address_direction_and_cause() {
    let load = |at| words(&[&mov(1, at), &[ldr(0, 1, 0), hvc(0)]]);
    let byte = |at| words(&[&mov(1, at), &[ldrb(3, 1, 5), hvc(0)]]);
    let store = |at| words(&[&mov(1, at), &[str(2, 1, 8), hvc(0)]]);
    let jump = |at| words(&[&mov(1, at), &[br(1)]]);
    use AccessCause::{NoSlot, OutOfRange};
    use Direction::{Read, Write};
    // ESR_EL2: data abort from a lower level with ISV, SAS, SRT, SF and WnR; instruction abort. The fault status code
    // is the host's business.
    for (name, program, address, direction, cause, esr) in [
        ("load", load(DEVICE), DEVICE, Read, NoSlot, 0x93c0_8000),
        ("load of a byte", byte(DEVICE), DEVICE + 5, Read, NoSlot, 0x9303_0000),
        ("store", store(DEVICE), DEVICE + 8, Write, NoSlot, 0x93c2_8040),
        ("fetch", jump(DEVICE), DEVICE, Read, NoSlot, 0x8200_0000),
        ("load past the end", load(1 << 40), 1 << 40, Read, OutOfRange, 0x93c0_8000),
        ("store past the end", store(1 << 45), (1 << 45) + 8, Write, OutOfRange, 0x93c2_8040),
    ] {
        let access = access_of(Setup::default(), &program);
        assert_eq!(access.address, GuestPa::new(address), "{name}");
        assert_eq!((access.direction, access.cause), (direction, cause), "{name}");
        assert_eq!(access.trap.syndrome & !0x3f, esr, "{name}: {:#x}", access.trap.syndrome);
        assert_eq!(access.trap.fault_address, address, "{name}");
        assert_eq!((access.size, access.walk_level), (None, Some(0)), "{name}");
    }
}

#[test]
fn a_read_only_slot_is_loaded_from_and_a_store_to_it_is_an_access() {
    with_rig(Setup::default(), |rig| {
        let rom = slot(0x1000, 0x1000, HOST_RAM + 0x20_0000, Writable::No);
        rig.add_slot(rom);
        rig.poke(RAM + 0x20_0000, 42);
        rig.load(RAM, &words(&[&mov(1, 0x1000), &[ldr(0, 1, 0), str(0, 1, 16), hvc(0)]]));
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let mut guest = TestGuest::new();
        let outcome = vcpu.run(&mut guest, &parts.platform);
        assert!(matches!(outcome, Outcome::Stopped(StopReason::Unhandled(_))), "{outcome:x?}");
        let [Exit::Access(access)] = guest.seen[..] else { panic!("{:x?}", guest.seen) };
        assert_eq!((access.cause, access.direction), (AccessCause::ReadOnlySlot, Direction::Write));
        assert_eq!(access.address, GuestPa::new(0x1010));
        assert_eq!(vcpu.read(RegId::general(0)), Ok(42));
        assert_eq!(parts.peek(RAM + 0x20_0010), 0);
    });
}

/// Answers every other time with the slot that was there before, until it was asked [`LATE`] times.
struct Behind<'p> {
    platform: &'p TestPlatform,
    before: Slot,
    asked: AtomicUsize,
}

const LATE: usize = 20;

impl Platform for Behind<'_> {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        let asked = self.asked.fetch_add(1, SeqCst);
        if asked < LATE && asked % 2 == 0 { Some(self.before) } else { self.platform.slot(address) }
    }

    fn device(&self, _vcpu: VcpuIndex, _access: &DeviceAccess) -> Option<DeviceAnswer> {
        None
    }

    fn kick(&self, _vcpu: VcpuIndex) {}
}

#[test]
fn an_answer_about_a_slot_that_has_changed_since_is_asked_for_again() {
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let before = slot(RAM, 4 << 20, HOST_RAM + 0x1000, Writable::Yes);
        let platform = Behind { platform: &parts.platform, before, asked: AtomicUsize::new(0) };
        let mut guest = TestGuest::new();
        // Never mapped to where the old slot was, and never told as no memory: asked until both sides agree.
        platform.asked.store(LATE, SeqCst);
        assert_eq!(vcpu.run(&mut guest, &platform), POWER_OFF);
        vm.unmap(range(RAM, 4 << 20)).unwrap();
        vcpu.write(RegId::PC, RAM).unwrap();
        platform.asked.store(0, SeqCst);
        assert_eq!(vcpu.run(&mut guest, &platform), POWER_OFF);
        assert!(platform.asked.load(SeqCst) > LATE);
    });
}

#[test]
fn a_stage_1_table_outside_ram_is_an_access_with_the_level_of_the_walk() {
    // MMU on with a root table where nothing is. TCR_EL1: T0SZ 25, 4 KiB granule: the walk starts at level 1; EPD1.
    let guest = |registers: &mut dyn Registers| {
        for (register, value) in [(0xc100, DEVICE), (0xc102, 0x80_0019), (0xc080, 0x30d0_0801)] {
            registers.write(RegId::system(register), value).unwrap();
        }
        Next::Resume
    };
    let (_, seen) = run_one(Setup::default(), &[hvc(0)], TestGuest::on_entry(guest));
    let [Exit::Access(access)] = seen[..] else { panic!("{seen:x?}") };
    assert_eq!((access.cause, access.walk_level), (AccessCause::NoSlot, Some(1)));
    // EC: instruction abort; S1PTW. The entry for RAM is the second of the table; what is reported is the page of
    // the entry with the offset of the access.
    assert_eq!((access.trap.syndrome >> 26, access.trap.syndrome >> 7 & 1), (0x20, 1));
    assert_eq!(access.address, GuestPa::new(DEVICE));
    assert_eq!(access.trap.fault_address, RAM);
}

#[test]
fn a_device_answers_at_once_or_later_by_its_token() {
    let program = words(&[&mov(1, DEVICE), &[ldr(0, 1, 0), hvc(0)]]);
    let asked = DeviceAccess {
        address: GuestPa::new(DEVICE),
        size: xarch_abi::AccessSize::Double,
        operation: DeviceOperation::Read,
    };
    let decide = move |registers: &mut dyn Registers, exit| match exit {
        Exit::Access(_) => {
            let pc = registers.read(RegId::PC).unwrap();
            registers.write(RegId::PC, pc + 4).unwrap();
            Next::Device(asked, Token(9))
        }
        other => usual(other),
    };
    for answer in [Some(DeviceAnswer::Value(5)), None] {
        with_rig(Setup::default(), |rig| {
            rig.load(RAM, &program);
            let (vm, mut parts) = rig.split();
            parts.platform.answer = answer;
            let mut vcpu = parts.vcpu(&vm, 0, RAM);
            let mut guest = TestGuest::on_exit(decide);
            let outcome = vcpu.run(&mut guest, &parts.platform);
            match answer {
                Some(value) => {
                    assert_eq!(outcome, POWER_OFF);
                    assert_eq!(guest.completed, [(Token(9), value)]);
                }
                None => {
                    assert_eq!(outcome, Outcome::Device(asked, Token(9)));
                    assert_eq!(vcpu.run(&mut guest, &parts.platform), POWER_OFF);
                }
            }
        });
    }
}

#[test]
fn controls_trap_what_they_name_with_its_syndrome() {
    // ESR_EL2 of WFI: EC 1, IL, CV, COND 0xe; TI 0. Of MRS and MSR: EC 0x18, Op0 [21:20], Op2 [19:17], Op1 [16:14],
    // CRn [13:10], Rt [9:5], CRm [4:1], direction [0].
    let sys = |op0: u64, op1: u64, crn: u64, crm: u64, op2: u64, rt: u64, read: u64| {
        0x6200_0000 | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | read
    };
    for (name, word, esr) in [
        ("WFI with TWI", WFI, 0x07e0_0000),
        ("ID_AA64MMFR0_EL1 with TID3", mrs(4, 0xc038), sys(3, 0, 0, 7, 0, 4, 1)),
        ("REVIDR_EL1 with TID1", mrs(5, 0xc006), sys(3, 0, 0, 0, 6, 5, 1)),
        ("CTR_EL0 with TID2", mrs(6, 0xd801), sys(3, 3, 0, 0, 1, 6, 1)),
        // CHOICE of the model: it arrives as a trap of the register.
        ("ICC_SGI1R_EL1", msr(0xc65d, 7), sys(3, 0, 12, 11, 5, 7, 0)),
    ] {
        let (_, seen) = run_one(Setup::default(), &[word, hvc(0)], TestGuest::new());
        let [Exit::Trap(trap)] = seen[..] else { panic!("{name}: {seen:x?}") };
        assert_eq!(trap.syndrome, esr, "{name}: {:#x}", trap.syndrome);
    }
}

#[test]
fn without_the_control_the_guest_goes_on() {
    // HCR_EL2 without TID1, TID2, TID3: the machine's own values.
    let entry = |registers: &mut dyn Registers| {
        registers.write(RegId::control(0xe088), HCR & !(7 << 16)).unwrap();
        Next::Resume
    };
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[mrs(0, 0xc000), mrs(1, 0xc005), mrs(2, 0xc038), mrs(3, 0xd801), hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let mut guest = TestGuest::on_entry(entry);
        assert_eq!(vcpu.run(&mut guest, &parts.platform), POWER_OFF);
        for (n, register) in [(0, 0xc000), (2, 0xc038), (3, 0xd801)] {
            let limit = vcpu.read(RegId::host_limit(register)).unwrap();
            assert_ne!(limit, 0);
            assert_eq!(vcpu.read(RegId::general(n)), Ok(limit), "{register:#x}");
        }
        assert_eq!(vcpu.read(RegId::general(1)), Ok(1 << 31), "MPIDR_EL1 is VMPIDR_EL2");
    });
}

/// Timer interceptions of a guest that arms a timer for 1 ms from its start and then loops.
fn timer_exits(setup: Setup, ctl: u16, cval: u16, value: u64, wait_for: usize) -> Vec<TimerSet> {
    with_rig(setup, |rig| {
        rig.load(
            RAM,
            &words(&[
                &[mrs(0, 0xdf02)],
                &mov(1, 1_000_000),
                &[add(2, 0, 1), msr(cval, 2)],
                &mov(4, value),
                &[msr(ctl, 4), b(0)],
            ]),
        );
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let count = AtomicUsize::new(0);
        let mut guest = TestGuest::on_exit(|_, exit| {
            count.fetch_add(usize::from(matches!(exit, Exit::Timer(_))), SeqCst);
            usual(exit)
        });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let started = Instant::now();
                while count.load(SeqCst) < wait_for && started.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(30));
                vm.request_exit(VcpuIndex(0));
            });
            assert_eq!(vcpu.run(&mut guest, &parts.platform), Outcome::Interrupted);
        });
        guest
            .seen
            .iter()
            .filter_map(|exit| if let Exit::Timer(timers) = exit { Some(*timers) } else { None })
            .collect()
    })
}

#[test]
fn a_timer_ends_the_entry_when_its_output_rises() {
    for (name, ctl, cval, value, want) in [
        ("virtual", 0xdf19, 0xdf1a, 1, Some(TimerSet::VIRTUAL)),
        ("physical", 0xdf11, 0xdf12, 1, Some(TimerSet::PHYSICAL)),
        ("masked", 0xdf19, 0xdf1a, 3, None),
        ("disabled", 0xdf19, 0xdf1a, 0, None),
    ] {
        let want: Vec<TimerSet> = want.into_iter().collect();
        let timers = timer_exits(Setup::default(), ctl, cval, value, want.len());
        assert_eq!(timers, want, "{name}");
    }
}

#[test]
fn a_timer_that_is_a_level_ends_every_entry_and_the_guest_goes_on_all_the_same() {
    let model = sae_model::Config { timer: sae_model::TimerForm::Level, ..Setup::default().model };
    let setup = Setup { model, ..Setup::default() };
    let timers = timer_exits(setup, 0xdf11, 0xdf12, 1, 100);
    assert!(timers.len() >= 100 && timers.iter().all(|timers| *timers == TimerSet::PHYSICAL));
    assert_eq!(timer_exits(setup, 0xdf11, 0xdf12, 3, 0), []);
    // The timer is due before the guest has done anything; it gets through its program one block at an entry.
    with_rig(setup, |rig| {
        rig.load(RAM, &words(&[&mov(0, 50), &[sub_imm(0, 0, 1), cbnz(0, -1), hvc(0)]]));
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        vcpu.write(RegId::system(0xdf19), 1).unwrap();
        let mut guest = TestGuest::new();
        assert_eq!(vcpu.run(&mut guest, &parts.platform), POWER_OFF);
        assert!(guest.seen.contains(&Exit::Timer(TimerSet::VIRTUAL)));
    });
}

#[test]
fn list_registers_interrupt_the_guest_and_maintenance_comes_out() {
    with_rig(Setup::default(), |rig| {
        // IRQ from the current level with SP_ELx: VBAR_EL1 + 0x280.
        rig.load(RAM, &words(&[&mov(1, RAM + 0x1000), &[msr(0xc600, 1), ISB, daif_clear(2), b(0)]]));
        rig.load(RAM + 0x1280, &[mrs(0, 0xc660), msr(0xc661, 0), hvc(1), b(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        // ICH_VMCR_EL2: VPMR 0xff, VENG1. ICH_LR0_EL2: pending, group 1, priority 0x80, INTID 27.
        vcpu.write(RegId::interrupt(0xe65f), 0xff00_0002).unwrap();
        vcpu.write(RegId::interrupt(0xe660), 0x5080_0000_0000_001b).unwrap();
        // ICH_HCR_EL2: En, NPIE: maintenance when nothing is pending any more.
        vcpu.write(RegId::interrupt(0xe658), 1 | 1 << 3).unwrap();
        let mut guest = TestGuest::on_exit(|registers, exit| match exit {
            Exit::Maintenance => {
                registers.write(RegId::interrupt(0xe658), 1).unwrap();
                Next::Resume
            }
            Exit::Trap(trap) if trap.syndrome == 0x5a00_0001 => Next::Stop(StopReason::PowerOff),
            other => usual(other),
        });
        assert_eq!(vcpu.run(&mut guest, &parts.platform), POWER_OFF);
        assert_eq!(guest.seen.iter().filter(|exit| **exit == Exit::Maintenance).count(), 1);
        assert_eq!(vcpu.read(RegId::general(0)), Ok(27));
        assert_eq!(vcpu.read(RegId::interrupt(0xe660)).unwrap() >> 62, 0, "the interrupt has ended");
    });
}

#[test]
fn statistics_count_entries_and_interceptions_by_code() {
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[hvc(1), hvc(2), hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
        let statistics = *vcpu.statistics();
        assert_eq!(statistics.entries, 4);
        assert_eq!((statistics.interceptions[2], statistics.interceptions[3]), (1, 3));
        assert_eq!(statistics.interceptions.iter().sum::<u64>(), statistics.entries);
        assert_eq!(vcpu.facility().statistics().entries, 4);
        assert!(vcpu.facility().statistics().dat_walks >= 2);
    });
}
