//! `--cpu-model`: a guest sees the registers of the model, and no others.

use crate::guest::{Program, a64::*, numbers};
use crate::session::{Finished, TemporaryFile, boot, run};
use arm_arch::SysRegId;
use arm_arch::feature::models::{ARMV8_0, NEOVERSE_N1};
use arm_arch::feature::{CpuModel, IdRegisters};
use std::collections::BTreeMap;

/// The ID space of AArch64, MIDR_EL1, REVIDR_EL1, AIDR_EL1, CTR_EL0 and DCZID_EL0.
fn registers() -> Vec<SysRegId> {
    let space = (4..8).flat_map(|crm| (0..8).map(move |op2| SysRegId::new(3, 0, 0, crm, op2)));
    let others = [(0, 0, 0), (0, 0, 6), (1, 0, 7), (3, 0, 1), (3, 0, 7)];
    space.chain(others.map(|(op1, crm, op2)| SysRegId::new(3, op1, 0, crm, op2))).collect()
}

/// What a guest reads.
fn read(arguments: &[&str]) -> BTreeMap<SysRegId, u64> {
    let mut guest = Program::new();
    for id in registers() {
        guest.op(mrs(0, u32::from(id.into_bits())));
        guest.print(0);
    }
    guest.power_off();
    let out = boot(&guest.image(), arguments).out;
    let read: BTreeMap<_, _> = registers().into_iter().zip(numbers(&out)).collect();
    assert_eq!(read.len(), 37, "{out}");
    read
}

/// Whether there is an interrupt controller with system registers is a matter of the machine, and this one has it.
#[test]
fn a_guest_sees_the_registers_of_its_model_and_the_machine_s_interrupt_controller() {
    let mut want: BTreeMap<_, _> =
        registers().into_iter().map(|id| (id, ARMV8_0.model.ids().get(id).unwrap())).collect();
    // Literals of the least that Armv8.0-A allows: no double lock, debug of v8, two breakpoints; no part.
    for (id, value) in [
        (SysRegId::new(3, 0, 0, 4, 0), 0x11),
        (SysRegId::new(3, 0, 0, 5, 0), 0xf0_0010_1006),
        (SysRegId::new(3, 0, 0, 6, 0), 0),
        (SysRegId::new(3, 0, 0, 7, 0), 0),
        (SysRegId::new(3, 0, 0, 0, 0), 0xf_0000),
        (SysRegId::new(3, 3, 0, 0, 7), 4),
    ] {
        assert_eq!(want[&id], value, "{id}");
    }
    // ID_AA64PFR0_EL1.GIC, \[27:24\].
    *want.get_mut(&SysRegId::new(3, 0, 0, 4, 0)).unwrap() |= 1 << 24;
    for arguments in [&["--cpu-model", "armv8.0"][..], &["--cpu-model=armv8.0", "--cpus", "2"]] {
        assert_eq!(read(arguments), want, "{arguments:?}");
    }
    assert_ne!(read(&[]), want, "without it a guest sees what there is");
}

#[test]
fn a_lowered_model_is_below_the_model_and_the_machine() {
    let set = |values: &BTreeMap<SysRegId, u64>| {
        let mut ids = IdRegisters::default();
        for (id, value) in values {
            assert!(ids.set(*id, *value), "{id}");
        }
        CpuModel::new(ids)
    };
    let most = set(&read(&[]));
    let told = set(&read(&["--cpu-model", "neoverse-n1", "--lower-cpu-model"]));
    assert_eq!(told.fits(&NEOVERSE_N1.model), Ok(()));
    assert_eq!(told.fits(&most), Ok(()));
    let space =
        |model: &CpuModel| registers()[..32].iter().map(|id| model.ids().get(*id)).collect::<Vec<_>>();
    assert_eq!(space(&told), space(&NEOVERSE_N1.model.meet(&most)));
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_field_and_limit() {
    let mut guest = Program::new();
    guest.power_off();
    let kernel = TemporaryFile::new(&guest.image());
    let refused = |model: &str| -> Finished { run(&["--kernel", kernel.name(), "--cpu-model", model]) };
    // EL0 of a Cortex-A57 has AArch32.
    let a57 = refused("cortex-a57");
    a57.expect_code(2);
    assert_eq!(
        a57.err,
        "vmm: --cpu-model cortex-a57: ID_AA64PFR0_EL1: field EL0 asks for 0x2, 0x1 is there; \
         --lower-cpu-model tells the guest less\n"
    );
    let unknown = refused("cortex-a999");
    unknown.expect_code(2);
    let help = run(&["--help"]);
    help.expect_code(0);
    for name in ["armv8.0", "cortex-a57", "neoverse-n1", "neoverse-v1", "max-modelled"] {
        assert!(unknown.err.contains(name) && help.out.contains(name), "{name}: {}{}", unknown.err, help.out);
    }
    assert!(help.out.contains("QEMU 7.2, -cpu cortex-a57"), "where its registers come from: {}", help.out);
}
