//! One guest, two hosts: what it may be told, whether it may move, and which field says no.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::feature::{CpuModel, Feature, IdRegisters, Reason, cpu::NamedModel, models};
use arm_arch::sysreg::{SysRegId, names};
use machine::{Cpu, FakePlatform, FakeRegisters, RAM, TestVm, control, system, vm};
use std::string::ToString;
use vcpu_core::{Config, IdentityError, Vcpu, Vm, saved_model};
use xarch_abi::{Bank, Guest, Next, RegId, RegisterError, Registers, VcpuIndex};

/// A host that offers what a named part has.
fn host(part: &NamedModel) -> FakeRegisters {
    let mut registers = FakeRegisters::new();
    let limits =
        registers.values.keys().filter(|id| id.bank == Bank::HOST_LIMIT).copied().collect::<Vec<_>>();
    for id in limits {
        let encoding = SysRegId::from_bits(u16::try_from(id.index).unwrap());
        if let Some(value) = part.model.ids().get(encoding) {
            registers.values.insert(id, value.into());
        }
    }
    for count in [names::CNTPCT_EL0, names::CNTVCT_EL0] {
        registers.write(system(count), 0).unwrap();
    }
    registers
}

fn limit(part: &NamedModel) -> CpuModel {
    Config::new(1).limit(&mut host(part)).unwrap()
}

/// A vCPU that was reset on the host.
fn on_host<'a>(vm: &'a TestVm, part: &NamedModel) -> (Vcpu<'a, 32>, FakeRegisters) {
    let (mut guest, mut registers) = (Vcpu::new(vm, VcpuIndex(0)).unwrap(), host(part));
    guest.reset(&mut registers).unwrap();
    (guest, registers)
}

#[test]
fn the_limit_of_a_host_is_what_both_it_and_this_core_have() {
    let (n1, v1) = (limit(&models::NEOVERSE_N1), limit(&models::NEOVERSE_V1));
    // PARange is the VM's, 40 bits; no EL2, EL3, RAS, SVE; GICv3.
    assert_eq!(n1.ids().get(names::ID_AA64PFR0_EL1), Some(0x1100_0000_0111_0011));
    assert_eq!(n1.ids().get(names::ID_AA64MMFR0_EL1), Some(0x10_0122));
    assert_eq!(v1.ids().get(names::MIDR_EL1), models::NEOVERSE_V1.model.ids().get(names::MIDR_EL1));
    for model in [n1, v1] {
        assert_eq!(model.unmet().count(), 0, "everything goes together");
        assert!(model.features().has(Feature::LSE) && !model.features().has(Feature::RAS));
    }
}

#[test]
fn what_a_host_has_for_stage_2_does_not_show() {
    let mut registers = host(&models::NEOVERSE_N1);
    // TGran4_2, TGran64_2, TGran16_2: 2, there.
    let mmfr0 = RegId::host_limit(names::ID_AA64MMFR0_EL1.into_bits());
    registers.values.insert(mmfr0, 0x0222_0010_1125);
    let limit = Config::new(1).limit(&mut registers).unwrap();
    assert_eq!(limit.ids().get(names::ID_AA64MMFR0_EL1), Some(0x10_0122));
}

#[test]
fn every_model_has_the_interrupt_controller() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let (mut guest, mut registers) = on_host(&vm, &models::NEOVERSE_N1);
    // GIC is 0 in the least that Armv8.0 allows.
    let least = models::ARMV8_0.model.meet(&vm.limit().unwrap());
    assert_eq!(vm.set_model(&least), Ok(()));
    guest.reset(&mut registers).unwrap();
    assert_eq!(vm.model().unwrap().ids().get(names::ID_AA64PFR0_EL1), Some(0x0100_0011));
    assert_eq!(guest.before_entry(&mut registers, &platform), Next::Resume);
    assert_eq!(vm.set_model(&least), Ok(()), "nothing changes");
}

#[test]
fn a_guest_moves_where_its_model_fits_and_the_field_says_where_not() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let (mut guest, mut registers) = on_host(&vm, &models::NEOVERSE_V1);
    assert_eq!(guest.before_entry(&mut registers, &platform), Next::Resume);
    let mut saved = Vec::new();
    guest.for_each_register(&mut registers, |id| saved.push(id)).unwrap();
    let saved = saved.into_iter().filter(|id| id.bank == Bank::SYSTEM);
    let saved = saved.map(|id| (id, guest.get(&mut registers, id).unwrap())).collect::<Vec<_>>();

    let model = saved_model(saved.iter().copied());
    assert_eq!(
        Some(model.features()),
        vm.model().map(|model| model.features()),
        "what was saved says it all"
    );
    assert_eq!(model.fits(&limit(&models::NEOVERSE_V1)), Ok(()));
    let there = limit(&models::NEOVERSE_N1);
    let why = model.fits(&there).unwrap_err();
    assert_eq!(why.to_string(), "ID_AA64PFR0_EL1: field DIT asks for 0x1, 0x0 is there");
    let fields = model.misfits(&there).map(|error| match error.reason {
        Reason::Field { field, .. } => field.name,
        Reason::Reserved { .. } | Reason::NotWritable => "?",
    });
    let fields = fields.collect::<Vec<_>>();
    // What Armv8.3 and Armv8.4 added to what the N1 has, as far as this core carries it.
    for name in ["DIT", "FHM", "TS", "JSCVT", "FCMA", "LRCPC", "AT"] {
        assert!(fields.contains(&name), "{name} is among {fields:?}");
    }

    // Nor can the registers be written there: the first one that does not fit is refused by name.
    let other_vm: TestVm = machine::vm(1);
    let (mut other, mut other_registers) = on_host(&other_vm, &models::NEOVERSE_N1);
    let pfr0 = system(names::ID_AA64PFR0_EL1);
    let refused = saved.iter().find_map(|(id, value)| other.set(&mut other_registers, *id, *value).err());
    assert_eq!(refused, Some(RegisterError::Value(pfr0, 0x1101_0000_0111_0011)));
}

#[test]
fn a_guest_that_was_told_what_both_hosts_have_moves_either_way() {
    let both = limit(&models::NEOVERSE_N1).meet(&limit(&models::NEOVERSE_V1));
    for (from, to) in
        [(&models::NEOVERSE_N1, &models::NEOVERSE_V1), (&models::NEOVERSE_V1, &models::NEOVERSE_N1)]
    {
        let (old_vm, new_vm, platform) = (vm(1), vm(1), FakePlatform::default());
        let (mut old, mut registers) = on_host(&old_vm, from);
        old_vm.set_model(&both).unwrap();
        old.reset(&mut registers).unwrap();
        assert_eq!(old.before_entry(&mut registers, &platform), Next::Resume);
        assert_eq!(old_vm.model().unwrap().fits(&limit(to)), Ok(()));
        let mut saved = Vec::new();
        old.for_each_register(&mut registers, |id| saved.push(id)).unwrap();

        let (mut new, mut there) = on_host(&new_vm, to);
        // In any order: the guest's model is whole when all are written.
        for id in saved.into_iter().rev().filter(|id| id.bank != Bank::VECTOR) {
            let value = old.get(&mut registers, id).unwrap();
            assert_eq!(new.set(&mut there, id, value), Ok(()), "{id:?}");
        }
        assert_eq!(new_vm.model(), old_vm.model(), "{} to {}", from.name, to.name);
        assert_eq!(
            there.read(system(names::MIDR_EL1)),
            Ok(0xf_0000),
            "the part that is none, as the guest reads it"
        );
    }
}

#[test]
fn a_feature_without_one_that_it_needs_is_hidden_or_refused() {
    let vm = vm(1);
    let (mut guest, mut registers) = on_host(&vm, &models::NEOVERSE_V1);
    let read = |guest: &mut Vcpu<'_, 32>, registers: &mut FakeRegisters, id| {
        guest.get(registers, system(id)).unwrap()
    };
    let isar1 = read(&mut guest, &mut registers, names::ID_AA64ISAR1_EL1);
    assert_eq!(isar1 >> 12 & 0xff, 0x11, "JSCVT and FCMA");
    // Without floating point there are no conversions for JavaScript and no complex numbers either.
    let pfr0 = read(&mut guest, &mut registers, names::ID_AA64PFR0_EL1);
    guest.set(&mut registers, system(names::ID_AA64PFR0_EL1), pfr0 | 0xff << 16).unwrap();
    assert!(!vm.model().unwrap().features().has(Feature::FP));
    assert_eq!(read(&mut guest, &mut registers, names::ID_AA64ISAR1_EL1) >> 12 & 0xff, 0);
    guest.set(&mut registers, system(names::ID_AA64PFR0_EL1), pfr0).unwrap();
    assert_eq!(read(&mut guest, &mut registers, names::ID_AA64ISAR1_EL1), isar1, "back, as it was asked for");
    // All at once, it is an error with both names.
    let mut ids = *vm.model().unwrap().ids();
    assert!(ids.set(names::ID_AA64PFR0_EL1, pfr0 | 0xff << 16));
    let refused = vm.set_model(&CpuModel::new(ids)).unwrap_err();
    assert!(matches!(refused, IdentityError::Unmet(_)), "{refused}");
    assert!(refused.to_string().ends_with("needs FEAT_FP"), "{refused}");
    assert_eq!(read(&mut guest, &mut registers, names::ID_AA64PFR0_EL1), pfr0, "nothing has changed");
}

#[test]
fn a_model_beyond_the_limit_too_early_or_too_late_is_refused() {
    let early: TestVm = Vm::new(Config::new(1)).unwrap();
    let model = models::ARMV8_0.model;
    assert_eq!(early.set_model(&model), Err(IdentityError::NotReset));
    assert_eq!((early.model(), early.limit()), (None, None));

    let (vm, platform) = (vm(1), FakePlatform::default());
    let (mut guest, mut registers) = on_host(&vm, &models::NEOVERSE_N1);
    let refused = vm.set_model(&models::NEOVERSE_V1.model).unwrap_err();
    assert_eq!(refused.to_string(), "ID_AA64PFR0_EL1: field EL0 asks for 0x2, 0x1 is there");
    let reserved = {
        let mut ids = *vm.limit().unwrap().ids();
        assert!(ids.set(names::ID_AA64ISAR0_EL1, ids.isar0().into_bits() | 1));
        vm.set_model(&CpuModel::new(ids)).unwrap_err()
    };
    assert_eq!(reserved.to_string(), "ID_AA64ISAR0_EL1: reserved bits 0x1 are wrong");
    let met = model.meet(&vm.limit().unwrap());
    assert_eq!(vm.set_model(&met), Ok(()));
    // What was asked for, and the interrupt controller, which is this core's own.
    assert_eq!(vm.model().map(|m| m.features()), Some(met.features().with(Feature::GICv3)));
    assert!(!met.features().has(Feature::LSE));
    assert_eq!(guest.before_entry(&mut registers, &platform), Next::Resume);
    assert_eq!(vm.set_model(&met), Ok(()), "no change");
    assert_eq!(vm.set_model(&vm.limit().unwrap()), Err(IdentityError::Started(names::ID_AA64PFR0_EL1)));
}

#[test]
fn registers_of_features_that_the_guest_has_not_are_hidden() {
    let vm = vm(1);
    let (mut guest, mut registers) = (Vcpu::new(&vm, VcpuIndex(0)).unwrap(), host(&models::NEOVERSE_V1));
    let key = system(names::APIAKEYLO_EL1);
    registers.values.insert(key, 7);
    registers.values.insert(system(names::SCXTNUM_EL1), 0);
    // GPI, GPA, API, APA: the V1 of the emulator has none.
    let isar1 = RegId::host_limit(names::ID_AA64ISAR1_EL1.into_bits());
    let value = registers.values[&isar1];
    registers.values.insert(isar1, value | 0x110_0110 & 0x100_0010 | 1 << 24 | 1 << 4);
    guest.reset(&mut registers).unwrap();
    let listed = |guest: &mut Vcpu<'_, 32>, registers: &mut FakeRegisters| {
        let mut list = Vec::new();
        guest.for_each_register(registers, |id| list.push(id)).unwrap();
        list
    };
    assert!(listed(&mut guest, &mut registers).contains(&key));
    assert_eq!(guest.get(&mut registers, key), Ok(7));
    let scxtnum = system(names::SCXTNUM_EL1);
    assert!(!listed(&mut guest, &mut registers).contains(&scxtnum), "CSV2 is 1 at most");
    assert_eq!(guest.get(&mut registers, scxtnum), Err(RegisterError::Unknown(scxtnum)));
    assert_eq!(guest.set(&mut registers, scxtnum, 0), Err(RegisterError::Unknown(scxtnum)));

    let model = vm.limit().unwrap().meet(&models::NEOVERSE_N1.model);
    vm.set_model(&model).unwrap();
    guest.reset(&mut registers).unwrap();
    assert!(!listed(&mut guest, &mut registers).contains(&key), "without pointer authentication no keys");
    assert_eq!(guest.get(&mut registers, key), Err(RegisterError::Unknown(key)));
}

#[test]
fn a_guest_without_dc_zva_traps_on_it() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    let mut ids: IdRegisters = *vm.model().unwrap().ids();
    ids.dczid.set_dzp(true);
    vm.set_model(&CpuModel::new(ids)).unwrap();
    cpu.guest.reset(&mut cpu.registers).unwrap();
    assert_eq!(cpu.get(control(names::HCR_EL2)), 0x0402_001c_901f_603c, "TDZ");
    cpu.set_sys(names::VBAR_EL1, RAM + 0x800);
    cpu.set(RegId::PC, RAM);
    cpu.enter();
    assert_eq!(cpu.msr(arm_arch::sysreg::instructions::DC_ZVA, 0), Next::Resume);
    cpu.enter();
    assert_eq!((cpu.sys(names::ESR_EL1), cpu.pc()), (0x0200_0000, RAM + 0xa00));
}

#[test]
fn another_part_needs_a_host_that_can_show_it() {
    let vm = vm(1);
    let (mut guest, mut registers) = on_host(&vm, &models::NEOVERSE_N1);
    let midr = system(names::MIDR_EL1);
    assert_eq!(guest.set(&mut registers, midr, 0x411f_d070), Ok(()));
    assert_eq!(registers.read(midr), Ok(0x411f_d070));
    guest.reset(&mut registers).unwrap();
    assert_eq!(registers.read(midr), Ok(0x411f_d070));
    registers.values.remove(&midr);
    assert_eq!(guest.reset(&mut registers), Err(RegisterError::Unknown(midr)));
    assert_eq!(vm.set_model(&vm.limit().unwrap()), Ok(()));
    assert_eq!(guest.reset(&mut registers), Ok(()), "its own part it shows by itself");
}
