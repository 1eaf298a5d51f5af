//! Where registers are: whatever holds one at the moment, it is the same register.
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
use s390_host::HostError;
use std::sync::atomic::Ordering::SeqCst;
use xarch_abi::{
    Backend, BackendVcpu, Bank, Next, Outcome, RegId, RegisterError, Registers, StopReason, VcpuIndex,
};

/// Every register of 64 bits that can be written and read back, with the bits that it keeps.
fn registers() -> Vec<(RegId, u64)> {
    let all = u64::MAX;
    let mut list: Vec<(RegId, u64)> = (0..31).map(|n| (RegId::general(n), all)).collect();
    // The published lists of the save area and of the control block.
    for number in [
        0x8012, 0xc080, 0xc081, 0xc082, 0xc090, 0xc100, 0xc101, 0xc102, 0xc108, 0xc109, 0xc10a, 0xc10b,
        0xc110, 0xc111, 0xc112, 0xc113, 0xc118, 0xc119, 0xc200, 0xc201, 0xc288, 0xc289, 0xc290, 0xc300,
        0xc3a0, 0xc510, 0xc600, 0xc609, 0xc684, 0xc687, 0xc708, 0xde82, 0xde83, 0xde87, 0xdf12, 0xdf1a,
        0xc208, 0xe208, 0xc681, 0xda20, 0xda21,
    ] {
        list.push((RegId::system(number), all));
    }
    list.extend([0xdf11, 0xdf19].map(|number| (RegId::system(number), 0xffff_ffff)));
    for number in [
        0xe088, 0xe092, 0xe005, 0xe089, 0xe08a, 0xe08c, 0xe08d, 0xe08e, 0xe18c, 0xe18d, 0xe293, 0xe64d,
        0xe708,
    ] {
        list.push((RegId::control(number), all));
    }
    for number in [0xe640, 0xe648, 0xe658, 0xe65f, 0xe660, 0xe661, 0xe662, 0xe663] {
        list.push((RegId::interrupt(number), all));
    }
    list.push((RegId::PC, all));
    list
}

fn value_of(place: usize, round: u64, bits: u64) -> u64 {
    (u64::try_from(place).unwrap() << 32 | 0x5a5a_0000 | round).rotate_left(u32::try_from(round).unwrap())
        & bits
}

/// Runs `inside` with the registers of a loaded vCPU, without entering the guest.
fn while_loaded(
    vcpu: &mut HostVcpu<'_, '_>,
    platform: &TestPlatform,
    inside: impl FnMut(&mut dyn Registers),
) {
    let mut inside = inside;
    let mut guest = TestGuest::on_entry(move |registers| {
        inside(registers);
        Next::Stop(StopReason::PowerOff)
    });
    assert_eq!(vcpu.run(&mut guest, platform), POWER_OFF);
}

#[test]
fn a_register_has_one_value_loaded_or_not() {
    with_rig(Setup::default(), |rig| {
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let list = registers();
        for (place, (id, bits)) in list.iter().enumerate() {
            vcpu.write(*id, value_of(place, 1, *bits)).unwrap_or_else(|error| panic!("{error}"));
        }
        for (place, (id, bits)) in list.iter().enumerate() {
            assert_eq!(vcpu.read(*id), Ok(value_of(place, 1, *bits)), "{id:?} not loaded");
        }
        while_loaded(&mut vcpu, &parts.platform, |registers| {
            for (place, (id, bits)) in list.iter().enumerate() {
                assert_eq!(registers.read(*id), Ok(value_of(place, 1, *bits)), "{id:?} loaded");
                registers.write(*id, value_of(place, 2, *bits)).unwrap();
            }
            for (place, (id, bits)) in list.iter().enumerate() {
                assert_eq!(registers.read(*id), Ok(value_of(place, 2, *bits)), "{id:?} written while loaded");
            }
        });
        for (place, (id, bits)) in list.iter().enumerate() {
            assert_eq!(vcpu.read(*id), Ok(value_of(place, 2, *bits)), "{id:?} put back");
        }
    });
}

#[test]
fn vectors_have_one_value_loaded_or_not() {
    with_rig(Setup::default(), |rig| {
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let value =
            |n: u8, round: u128| 0x0123_4567_89ab_cdef_0000_0000_0000_0000 + (round << 64) + u128::from(n);
        for n in 0..32 {
            vcpu.write_wide(RegId::vector(n), value(n, 1)).unwrap();
        }
        while_loaded(&mut vcpu, &parts.platform, |registers| {
            for n in 0..32 {
                assert_eq!(registers.read_wide(RegId::vector(n)), Ok(value(n, 1)));
                registers.write_wide(RegId::vector(n), value(n, 2)).unwrap();
            }
        });
        for n in 0..32 {
            assert_eq!(vcpu.read_wide(RegId::vector(n)), Ok(value(n, 2)));
        }
        assert_eq!(vcpu.read(RegId::vector(3)), Err(RegisterError::Wide(RegId::vector(3))));
        assert_eq!(vcpu.write(RegId::vector(3), 1), Err(RegisterError::Wide(RegId::vector(3))));
        assert_eq!(vcpu.read_wide(RegId::general(3)), Ok(0));
        let too_wide = vcpu.write_wide(RegId::general(3), 1 << 64);
        assert_eq!(too_wide, Err(RegisterError::Wide(RegId::general(3))));
    });
}

#[test]
fn the_os_lock_is_written_by_one_register_and_read_by_the_other() {
    let (oslar, oslsr) = (RegId::system(0x8084), RegId::system(0x808c));
    with_rig(Setup::default(), |rig| {
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        // OSLSR_EL1: OSLM says that the lock is there, OSLK is its state.
        assert_eq!(vcpu.read(oslsr), Ok(0x8));
        assert_eq!(vcpu.write(oslsr, 0xa), Err(RegisterError::ReadOnly(oslsr)));
        assert_eq!(vcpu.read(oslar), Err(RegisterError::Unknown(oslar)));
        vcpu.write(oslar, 1).unwrap();
        assert_eq!(vcpu.read(oslsr), Ok(0xa));
        while_loaded(&mut vcpu, &parts.platform, |registers| {
            assert_eq!(registers.read(oslsr), Ok(0xa));
            registers.write(oslar, 0).unwrap();
            assert_eq!(registers.read(oslsr), Ok(0x8));
        });
        assert_eq!(vcpu.read(oslsr), Ok(0x8));
    });
}

#[test]
fn registers_that_are_not_there_are_errors_and_change_nothing() {
    with_rig(Setup::default(), |rig| {
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        for id in [
            RegId::general(31),
            RegId::vector(32),
            RegId { bank: Bank(7), index: 0 },
            RegId::system(0xc005), // MPIDR_EL1 is the guest side's
            RegId::control(0xe601),
            RegId::interrupt(0xe664),
        ] {
            assert_eq!(vcpu.read(id), Err(RegisterError::Unknown(id)));
            assert_eq!(vcpu.write(id, 0), Err(RegisterError::Unknown(id)));
        }
        let limit = RegId::host_limit(0xc020);
        assert_eq!(vcpu.write(limit, 0), Err(RegisterError::ReadOnly(limit)));
        assert_eq!(vcpu.read(limit), Ok(0x1101_0000_0100_0011));
        let control = RegId::system(0xdf19);
        vcpu.write(control, 3).unwrap();
        assert_eq!(vcpu.write(control, 1 << 32), Err(RegisterError::Value(control, 1 << 32)));
        assert_eq!(vcpu.read(control), Ok(3));
    });
}

#[test]
fn a_vcpu_has_one_owner_at_a_time() {
    with_rig(Setup { vcpus: 2, ..Setup::default() }, |rig| {
        let (vm, parts) = rig.split();
        let first = parts.vcpu(&vm, 0, RAM);
        let cpu = parts.seat(1).cpu();
        assert_eq!(HostVcpu::new(&vm, cpu, VcpuIndex(0)).err(), Some(HostError::VcpuExists(VcpuIndex(0))));
        drop(first);
        with_rig(Setup::default(), |other| {
            let cpu = other.parts.seat(0).cpu();
            assert_eq!(
                HostVcpu::new(&other.vm, cpu, VcpuIndex(1)).err(),
                Some(HostError::NoSuchVcpu(VcpuIndex(1)))
            );
        });
    });
}

#[test]
fn a_vcpu_that_is_made_again_is_in_its_initial_state() {
    with_rig(Setup { vcpus: 2, ..Setup::default() }, |rig| {
        rig.load(RAM, &[hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        vcpu.write(RegId::general(5), 99).unwrap();
        vcpu.write(RegId::system(0xc684), 99).unwrap();
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
        drop(vcpu);
        // On another CPU.
        let cpu = parts.seat(1).cpu();
        let mut again = HostVcpu::new(&vm, cpu, VcpuIndex(0)).unwrap();
        assert_eq!(again.read(RegId::general(5)), Ok(0));
        assert_eq!(again.read(RegId::system(0xc684)), Ok(0));
        assert_eq!(again.read(RegId::PC), Ok(0));
    });
}

#[test]
fn there_is_one_clock_for_all_vcpus_and_both_counts() {
    let (physical, virtual_count) = (RegId::system(0xdf01), RegId::system(0xdf02));
    with_rig(Setup { vcpus: 2, still: true, ..Setup::default() }, |rig| {
        rig.clock.now.store(5_000, SeqCst);
        rig.load(RAM, &[mrs(0, 0xdf01), mrs(1, 0xdf02), hvc(0)]);
        let (vm, parts) = rig.split();
        let mut first = parts.vcpu(&vm, 0, RAM);
        let mut second = parts.vcpu(&vm, 1, RAM);
        // The VM was made at time 0, and its counts started there.
        assert_eq!((first.read(physical), second.read(virtual_count)), (Ok(5_000), Ok(5_000)));
        first.write(virtual_count, 1_000_000).unwrap();
        parts.clock.now.fetch_add(7, SeqCst);
        for vcpu in [&mut first, &mut second] {
            assert_eq!((vcpu.read(physical), vcpu.read(virtual_count)), (Ok(1_000_007), Ok(1_000_007)));
            assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
            assert_eq!(vcpu.read(RegId::general(0)), Ok(1_000_007));
            assert_eq!(vcpu.read(RegId::general(1)), Ok(1_000_007));
        }
        second.write(physical, 3).unwrap();
        assert_eq!((first.read(physical), first.read(virtual_count)), (Ok(3), Ok(3)));
    });
}

#[test]
fn moving_the_clock_reaches_a_vcpu_that_is_in_the_guest() {
    with_rig(Setup { vcpus: 2, still: true, ..Setup::default() }, |rig| {
        // Waits until the count has passed 1 << 40.
        rig.load(RAM, &[&mov(1, 1 << 40)[..], &[mrs(0, 0xdf02), cmp(0, 1), b_lo(-2), hvc(0)]].concat());
        let (vm, parts) = rig.split();
        let waiting = parts.seat(0);
        let mut other = parts.vcpu(&vm, 1, RAM);
        let (vm, platform) = (&vm, &parts.platform);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || waiting.vcpu(vm, RAM).run(&mut TestGuest::new(), platform));
            std::thread::sleep(std::time::Duration::from_millis(20));
            other.write(RegId::system(0xdf02), 1 << 41).unwrap();
            let outcome = loop {
                if waiter.is_finished() {
                    break waiter.join().unwrap();
                }
                std::thread::yield_now();
            };
            assert!(matches!(outcome, POWER_OFF | Outcome::Interrupted), "{outcome:?}");
        });
        vm.request_exit(VcpuIndex(0));
    });
}
