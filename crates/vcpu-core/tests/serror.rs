//! Virtual SErrors, by literal register values.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::iss::SError;
use arm_arch::sysreg::names;
use machine::{Cpu, FakePlatform, Guest, control, vm};
use xarch_abi::{RegisterError, Registers};

/// `HCR_EL2` of a guest, and with VSE.
const HCR: u64 = 0x0402_001c_801f_603c;
const HCR_VSE: u64 = HCR | 1 << 8;

#[test]
fn an_error_is_pending_until_it_is_taken_or_taken_back() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    // Uncontainable, asynchronous: AET 0, DFSC 010001. IMPLEMENTATION DEFINED: IDS and what follows.
    for bits in [0x11, 0x0c11, 0x100_1234] {
        let error = SError::from_bits(bits);
        cpu.guest.set_serror(&mut cpu.registers, Some(error)).unwrap();
        assert_eq!(cpu.get(control(names::HCR_EL2)), HCR_VSE);
        assert_eq!(cpu.get(control(names::VSESR_EL2)), u64::from(bits));
        assert_eq!(cpu.guest.serror(&mut cpu.registers), Ok(Some(error)));
        cpu.enter();
        assert_eq!(cpu.get(control(names::HCR_EL2)), HCR_VSE, "the element clears it, nobody else");
        // As the element does when it takes it.
        cpu.set(control(names::HCR_EL2), HCR);
        assert_eq!(cpu.guest.serror(&mut cpu.registers), Ok(None));
    }
    cpu.guest.set_serror(&mut cpu.registers, Some(SError::from_bits(0x11))).unwrap();
    cpu.guest.set_serror(&mut cpu.registers, None).unwrap();
    assert_eq!(cpu.get(control(names::HCR_EL2)), HCR);
    cpu.guest.set_serror(&mut cpu.registers, Some(SError::from_bits(0x11))).unwrap();
    cpu.guest.reset(&mut cpu.registers).unwrap();
    assert_eq!(cpu.guest.serror(&mut cpu.registers), Ok(None), "a reset takes it back");
}

#[test]
fn a_host_without_ras_has_no_syndrome_and_one_without_hcr_is_an_error() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.registers.values.remove(&control(names::VSESR_EL2));
    cpu.guest.set_serror(&mut cpu.registers, Some(SError::from_bits(0x11))).unwrap();
    assert_eq!(cpu.registers.read(control(names::HCR_EL2)), Ok(HCR_VSE));
    assert_eq!(cpu.guest.serror(&mut cpu.registers), Ok(Some(SError::from_bits(0))));
    let hcr = control(names::HCR_EL2);
    cpu.registers.values.remove(&hcr);
    assert_eq!(cpu.guest.serror(&mut cpu.registers), Err(RegisterError::Unknown(hcr)));
    assert_eq!(cpu.guest.set_serror(&mut cpu.registers, None), Err(RegisterError::Unknown(hcr)));
}
