//! Single fields of the blocks are spoilt: the machine's reason arrives, nothing else happens, and when the field is put
//! right the guest goes on.
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
use s390_arch::pgm::ProgramCode;
use s390_arch::sae::{Rejected, ValidityReason, block::field, save_area};
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::HostError;
use xarch_abi::{BackendVcpu, Next, Outcome, RegId, Registers, StopReason, VcpuIndex};

/// Which block a spoilt doubleword is in.
#[derive(Clone, Copy, Debug)]
enum In {
    ControlBlock,
    SaveArea,
}

#[test]
fn each_field_has_its_reason_and_the_guest_survives() {
    use In::{ControlBlock, SaveArea};
    let outside = HOST_RAM + (4 << 20);
    for (name, block, offset, value, want) in [
        ("state-description format", ControlBlock, field::SDF, 1 << 56, ValidityReason::UNSUPP_FORMAT),
        ("save-area format", SaveArea, save_area::field::SAF, 1 << 56, ValidityReason::UNSUPP_FORMAT),
        ("way back to the block", SaveArea, save_area::field::SDO, 0x1000, ValidityReason::HOST_CONTROL),
        ("save area: none", ControlBlock, field::SAVE_AREA, 0, ValidityReason::HOST_CONTROL),
        ("save area: misaligned", ControlBlock, field::SAVE_AREA, 0x5004, ValidityReason::HOST_CONTROL),
        ("save area: outside", ControlBlock, field::SAVE_AREA, outside, ValidityReason::HOST_CONTROL),
        (
            "save area: not the loaded one",
            ControlBlock,
            field::SAVE_AREA,
            0x2000,
            ValidityReason::HOST_CONTROL,
        ),
        ("mso: low bits", ControlBlock, field::MSO, 0x1000, ValidityReason::MSO_ALIGN),
        ("mso: above msl", ControlBlock, field::MSO, 1 << 41, ValidityReason::MSO_BOUNDS),
        ("msl: beyond what is announced", ControlBlock, field::MSL, 1 << 48, ValidityReason::MGPAS),
        ("hbasce: real space", ControlBlock, field::HBASCE, 0x8020, ValidityReason::HOST_CONTROL),
        ("hbasce: table outside", ControlBlock, field::HBASCE, outside | 7, ValidityReason::HOST_CONTROL),
        ("scad: misaligned", ControlBlock, field::SCAD, 0x3800, ValidityReason::SCA),
        ("scad: outside", ControlBlock, field::SCAD, outside, ValidityReason::SCA),
        ("irq_ctl", ControlBlock, field::IRQ_CTL, 1 << 56, ValidityReason::IRPTC),
        ("ic", ControlBlock, field::IC, 1, ValidityReason::HOST_CONTROL),
        ("ec", ControlBlock, field::EC, 1 << 63, ValidityReason::HOST_CONTROL),
        ("PSTATE: EL2h", ControlBlock, field::PSTATE, 0x3c9, ValidityReason::INVAL_SYSREG),
        ("PSTATE: EL3t", ControlBlock, field::PSTATE, 0x3cc, ValidityReason::INVAL_SYSREG),
        ("PSTATE: AArch32", ControlBlock, field::PSTATE, 0x3d3, ValidityReason::INVAL_SYSREG),
        ("PSTATE: EL0 with SP_EL1", ControlBlock, field::PSTATE, 0x3c1, ValidityReason::INVAL_SYSREG),
    ] {
        with_rig(Setup::default(), |rig| {
            rig.load(RAM, &[add_imm(0, 0, 1), hvc(0)]);
            let (vm, parts) = rig.split();
            let index = VcpuIndex(0);
            let mut vcpu = parts.vcpu(&vm, 0, RAM);
            let start = match block {
                ControlBlock => vm.control_block(index),
                SaveArea => vm.save_area(index),
            };
            let at = Absolute::new(start.unwrap().bits() + offset);
            // Between LASRM and SAE: the save area has been taken in.
            let mut changed = 0;
            let storage = parts.storage;
            let mut spoilt = TestGuest::on_entry(|_| {
                changed = storage.load_u64(at).unwrap() ^ value;
                storage.store_u64(at, value).unwrap();
                Next::Resume
            });
            let outcome = vcpu.run(&mut spoilt, &parts.platform);
            let Outcome::Stopped(StopReason::Invalid(state)) = outcome else { panic!("{name}: {outcome:?}") };
            assert_eq!((state.reason, state.text), (want.0, want.name().unwrap()), "{name}");
            drop(spoilt);
            storage.store_u64(at, storage.load_u64(at).unwrap() ^ changed).unwrap();
            assert_eq!(vcpu.read(RegId::general(0)), Ok(0), "{name}: the guest ran");
            assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF, "{name}");
            assert_eq!(vcpu.read(RegId::general(0)), Ok(1), "{name}");
        });
    }
}

#[test]
fn a_limit_that_is_no_size_has_its_reason() {
    for limit in [0, (1 << 40) + 0x1000] {
        let model = sae_model::Config { limit: sae_model::LimitForm::Size, ..sae_model::Config::default() };
        let setup = Setup { model, limit: s390_host::LimitForm::Size, ..Setup::default() };
        with_rig(setup, |rig| {
            let (vm, parts) = rig.split();
            let mut vcpu = parts.vcpu(&vm, 0, RAM);
            let at = vm.control_block(VcpuIndex(0)).unwrap().bits() + field::MSL;
            parts.storage.store_u64(Absolute::new(at), limit).unwrap();
            let outcome = vcpu.run(&mut TestGuest::new(), &parts.platform);
            let Outcome::Stopped(StopReason::Invalid(state)) = outcome else { panic!("{outcome:?}") };
            assert_eq!(state.reason, ValidityReason::MSLA.0, "{limit:#x}");
        });
    }
}

#[test]
fn registers_that_leave_no_el1_have_their_reason() {
    // HCR_EL2 without RW; with TGE.
    for hcr in [HCR & !(1 << 31), HCR | 1 << 27] {
        let entry = move |registers: &mut dyn Registers| {
            registers.write(RegId::control(0xe088), hcr).unwrap();
            Next::Resume
        };
        let (outcome, _) = run_one(Setup::default(), &[hvc(0)], TestGuest::on_entry(entry));
        let Outcome::Stopped(StopReason::Invalid(state)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(state.reason, ValidityReason::INVAL_SYSREG.0, "{hcr:#x}");
    }
}

#[test]
fn a_save_area_that_cannot_be_loaded_is_a_failure_with_the_machine_s_code() {
    with_rig(Setup::default(), |rig| {
        rig.load(RAM, &[hvc(0)]);
        let (vm, parts) = rig.split();
        let mut vcpu = parts.vcpu(&vm, 0, RAM);
        let at = vm.save_area(VcpuIndex(0)).unwrap();
        let header = parts.storage.load_u64(at).unwrap();
        assert_eq!(header, 1, "format 0, valid");
        parts.storage.store_u64(at, 0).unwrap();
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), Outcome::Stopped(StopReason::Host));
        let refused = HostError::Rejected(Rejected { code: ProgramCode::SPECIFICATION });
        assert_eq!(vcpu.failure(), Some(refused));
        parts.storage.store_u64(at, header).unwrap();
        assert_eq!(vcpu.run(&mut TestGuest::new(), &parts.platform), POWER_OFF);
    });
}
