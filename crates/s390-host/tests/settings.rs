//! The driver under every setting of what the sources leave open: where driver and machine mean the same it works, where
//! they do not there is an error that says so.
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
use s390_arch::sae::{QmcBase, ValidityReason};
use s390_host::{HostError, LimitForm};
use sae_model::{HostStores, LimitForm as ModelLimit, PastLimit, TimerForm};
use xarch_abi::{
    AccessCause, Backend, BackendVcpu, Exit, GuestPa, GuestRange, Outcome, RegId, Registers, StopReason,
    Writable,
};

/// Every combination of the settings of the model with those of the driver.
fn setups() -> impl Iterator<Item = Setup> {
    let limits = [(LimitForm::LastAddress, ModelLimit::LastBlock), (LimitForm::Size, ModelLimit::Size)];
    let limits =
        limits.into_iter().flat_map(move |(driver, _)| limits.map(move |(_, model)| (driver, model)));
    let bases = [QmcBase::FromBlockStart, QmcBase::FromRegs];
    let all = limits.flat_map(move |(limit, model_limit)| {
        bases.into_iter().flat_map(move |qmc_base| {
            bases.into_iter().flat_map(move |model_base| {
                [PastLimit::GuestAddressSize, PastLimit::HostAccess].into_iter().flat_map(move |past_limit| {
                    [TimerForm::Edge, TimerForm::Level].into_iter().map(move |timer| Setup {
                        model: sae_model::Config {
                            limit: model_limit,
                            qmc_base: model_base,
                            past_limit,
                            timer,
                            ..sae_model::Config::default()
                        },
                        limit,
                        qmc_base,
                        ..Setup::default()
                    })
                })
            })
        })
    });
    all.flat_map(|setup| {
        [HostStores::AfterInvalidation, HostStores::AtEntry]
            .map(|host_stores| Setup { model: sae_model::Config { host_stores, ..setup.model }, ..setup })
    })
}

/// What comes of a setting for a guest that stores to RAM, calls, and then loads from `past`.
#[derive(Debug, PartialEq, Eq)]
enum Result {
    /// The VM cannot be made.
    Refused(HostError),
    /// The first entry ends with this.
    Stopped(Outcome),
    /// Everything works, and the load past the end is told with this cause.
    Works(AccessCause),
}

fn try_out(setup: Setup, past: u64) -> Result {
    let program =
        [&mov(1, RAM + 0x10_0000)[..], &[str(1, 1, 0), hvc(1)], &mov(2, past), &[ldr(0, 2, 0), hvc(0)]]
            .concat();
    let tried = try_rig(setup, |rig| {
        rig.load(RAM, &program);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let mut guest = TestGuest::new();
        let outcome = vcpu.run(&mut guest, &parts.platform);
        match guest.seen.as_slice() {
            [Exit::Trap(call), Exit::Access(access)] => {
                assert_eq!(call.syndrome, 0x5a00_0001);
                assert_eq!(access.address, GuestPa::new(past));
                assert_eq!(parts.peek(RAM + 0x10_0000), RAM + 0x10_0000);
                Result::Works(access.cause)
            }
            _ => Result::Stopped(outcome),
        }
    });
    tried.unwrap_or_else(Result::Refused)
}

#[test]
fn matching_settings_work_and_others_are_told() {
    let mut matching = 0;
    for setup in setups() {
        // The first page past the end of the address space, and one far beyond.
        for past in [1 << 40, 1 << 44] {
            let got = try_out(setup, past);
            let name = format!("{:?}, {:?}, {:?}, {past:#x}", setup.limit, setup.qmc_base, setup.model);
            if setup.qmc_base != setup.model.qmc_base {
                assert_eq!(got, Result::Refused(HostError::WrongQmcBase(setup.qmc_base)), "{name}");
                continue;
            }
            match (setup.limit, setup.model.limit) {
                // A last address is no multiple of 1 MiB, as a size is.
                (LimitForm::LastAddress, ModelLimit::Size) => {
                    let Result::Stopped(Outcome::Stopped(StopReason::Invalid(state))) = got else {
                        panic!("{name}: {got:x?}")
                    };
                    assert_eq!((state.reason, state.text), (ValidityReason::MSLA.0, "MSLA"), "{name}");
                }
                // A size taken as the last block is one block too much, in which the tables have nothing.
                (LimitForm::Size, ModelLimit::LastBlock)
                | (LimitForm::LastAddress, ModelLimit::LastBlock)
                | (LimitForm::Size, ModelLimit::Size) => {
                    assert_eq!(got, Result::Works(AccessCause::OutOfRange), "{name}");
                    matching += 1;
                }
            }
        }
    }
    // Three forms of the limit, two bases, two reports, two timers, two ways of stores, two addresses.
    assert_eq!(matching, 3 * 2 * 2 * 2 * 2 * 2);
}

/// A host that stores over instructions takes their mapping away, and needs nothing else, whatever the frame's size.
#[test]
fn instructions_that_the_host_stores_are_executed_after_unmap() {
    for host_stores in [HostStores::AfterInvalidation, HostStores::AtEntry] {
        let model = sae_model::Config { host_stores, ..sae_model::Config::default() };
        with_rig(Setup { model, ..Setup::default() }, |rig| {
            let (vm, parts) = rig.split();
            let mut vcpu = parts.vcpu(&vm, 0, RAM);
            // A whole frame of 1 MiB, the page that splits it, the page alone, and all pages of the frame.
            for (value, bytes) in [(1, 1 << 20), (2, 0x1000), (3, 0x1000), (4, 1 << 20), (5, 4 << 20)] {
                parts.load(RAM, &[&mov(0, value)[..], &[hvc(0)]].concat());
                vm.unmap(GuestRange::new(GuestPa::new(RAM), bytes).unwrap()).unwrap();
                vcpu.write(RegId::PC, RAM).unwrap();
                assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
                assert_eq!(vcpu.read(RegId::general(0)), Ok(value), "{host_stores:?}, {bytes:#x} bytes");
            }
        });
    }
}

#[test]
fn the_last_page_is_the_guest_s_and_the_next_is_not_at_every_size() {
    for address_bits in [32, 36, 40, 42, 43, 44, 47] {
        for (limit, model) in
            [(LimitForm::LastAddress, ModelLimit::LastBlock), (LimitForm::Size, ModelLimit::Size)]
        {
            let end = 1_u64 << address_bits;
            let program = |at| [&mov(1, at)[..], &[str(1, 1, 0xff8), ldr(2, 1, 0xff8), hvc(0)]].concat();
            let setup = Setup {
                address_bits,
                limit,
                model: sae_model::Config { limit: model, ..sae_model::Config::default() },
                ..Setup::default()
            };
            let run = |at: u64| {
                with_rig(setup, |rig| {
                    rig.add_slot(slot(end - 0x1000, 0x1000, HOST_RAM + 0x20_0000, Writable::Yes));
                    rig.load(RAM, &program(at));
                    let (vm, parts) = rig.split();
                    let mut vcpu = parts.vcpu(&vm, 0, RAM);
                    let mut guest = TestGuest::new();
                    let _ = vcpu.run(&mut guest, &parts.platform);
                    (guest.seen.last().copied(), parts.peek(RAM + 0x20_0ff8))
                })
            };
            let (exit, stored) = run(end - 0x1000);
            assert!(matches!(exit, Some(Exit::Trap(trap)) if trap.syndrome == 0x5a00_0000), "{exit:x?}");
            assert_eq!(stored, end - 0x1000, "{address_bits} bits, {limit:?}");
            let (exit, _) = run(end);
            let Some(Exit::Access(access)) = exit else {
                panic!("{address_bits} bits, {limit:?}: {exit:x?}")
            };
            assert_eq!(access.cause, AccessCause::OutOfRange);
            assert_eq!(access.address, GuestPa::new(end + 0xff8));
        }
    }
}

#[test]
fn configurations_that_cannot_be_are_refused_by_name() {
    let of = |setup: Setup| try_rig(setup, |_| ()).err();
    let base = Setup::default();
    assert_eq!(of(Setup { address_bits: 31, ..base }), Some(HostError::AddressBits(31)));
    assert_eq!(of(Setup { address_bits: 49, ..base }), Some(HostError::AddressBits(49)));
    assert_eq!(of(Setup { address_bits: 32, ..base }), None);
    assert_eq!(of(Setup { address_bits: 48, ..base }), None);
}

#[test]
fn storage_that_is_too_small_or_not_there_is_refused() {
    use s390_arch::{Absolute, AbsoluteStorage};
    use s390_host::{Config, MapError, OutsideMemory, Tables, Vm};
    use xarch_abi::HostPa;
    with_rig(Setup::default(), |rig| {
        let config = Config {
            address_bits: 40,
            vcpus: 1,
            storage: (Absolute::new(0x1000), 0),
            limit: LimitForm::default(),
            qmc_base: QmcBase::default(),
        };
        let end = HOST_RAM + (4 << 20);
        let mut cpu = rig.parts.seat(0).cpu();
        // Two blocks for the vCPU, three for the VM; then the top table on a boundary of 16 KiB.
        for (name, start, bytes, vcpus, want) in [
            ("nothing", 0x1000, 0, 1, Some(HostError::TooSmall(0x5000))),
            ("one byte less than the blocks", 0x1000, 0x4fff, 1, Some(HostError::TooSmall(0x5000))),
            ("no room for the top table", 0x1000, 0xafff, 1, Some(HostError::Map(MapError::NoTables))),
            ("just enough", 0x1000, 0xb000, 1, None),
            ("at 0", 0, 0x10000, 1, Some(HostError::TooSmall(0x5000))),
            ("not at a page", 0x1800, 0x10000, 1, Some(HostError::TooSmall(0x5000))),
            ("no vCPU", 0x1000, 0x10000, 0, Some(HostError::Vcpus(0))),
            ("65 vCPUs", 0x1000, 0x10_0000, 65, Some(HostError::Vcpus(65))),
            ("64 vCPUs", 0x1000, 0x10_0000, 64, None),
            (
                "past the end of storage",
                end - 0x10000,
                0x11000,
                1,
                Some(HostError::Map(MapError::Outside(OutsideMemory(HostPa::new(end + 0xff8))))),
            ),
        ] {
            let config = Config { storage: (Absolute::new(start), bytes), vcpus, ..config };
            let made = Vm::<_, _, TestLock<Tables>>::new(&mut cpu, rig.machine, rig.storage, config);
            assert_eq!(made.err(), want, "{name}");
        }
        assert!(rig.storage.load(Absolute::new(0)).is_ok());
        assert!(rig.vm.remove_slot(range(RAM, 4 << 20)).is_ok());
    });
}
