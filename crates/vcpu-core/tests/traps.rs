//! Trapped instructions, identification, reset values and injection, by literal register values.
#![allow(missing_docs, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic, reason = "test")]

mod machine;

use arm_arch::feature::Reason;
use arm_arch::{SysRegId, sysreg::instructions, sysreg::names};
use machine::{Cpu, FREQUENCY, FakePlatform, FakeRegisters, RAM, TestVm, control, interrupt, system, vm};
use vcpu_core::{Config, IdentityError, Vcpu, Vm};
use xarch_abi::{
    Bank, Exit, Guest, InvalidState, Next, RegId, RegisterError, Registers, StopReason, Trap, VcpuIndex,
};

const UNDEFINED: u64 = 0x0200_0000;

/// A vCPU at EL1h at the start of memory, with its vectors behind.
fn at_el1<'a>(vm: &'a TestVm, platform: &'a FakePlatform) -> Cpu<'a> {
    let mut cpu = Cpu::new(vm, 0, platform);
    cpu.set_sys(names::VBAR_EL1, RAM + 0x800);
    cpu.set(RegId::PC, RAM);
    cpu.enter();
    cpu
}

#[test]
fn a_reset_leaves_these_values() {
    let (vm, platform) = (vm(20), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 17, &platform);
    let cases = [
        // E2H, RW, AMO, IMO, FMO, PTW, TSC, TID1-5, TIDCP, TLOR, TERR, TWI, TWE.
        (control(names::HCR_EL2), 0x0402_001c_801f_603c),
        (control(names::HCRX_EL2), 0),
        // TTA, TAM, FPEN; TCPAC, as the host has SVE.
        (control(names::CPTR_EL2), 0xd030_0000),
        (control(names::MDCR_EL2), 0x0008_4060),
        // EL0 is let through to MDCR_EL2; nothing is of those fine-grained traps that are about features it has not.
        (control(names::PMUSERENR_EL0), 1),
        (control(names::HFGRTR_EL2), 0),
        (control(names::HFGWTR_EL2), 0),
        (control(names::HFGITR_EL2), 0),
        (control(names::HDFGRTR_EL2), 0),
        (control(names::HDFGWTR_EL2), 0),
        (control(names::CNTHCTL_EL2), 0xc00),
        (control(names::ICC_SRE_EL2), 0xf),
        (control(names::VMPIDR_EL2), 0x8000_0101),
        (interrupt(names::ICH_HCR_EL2), 1),
        (interrupt(names::ICH_VMCR_EL2), 0x004c_0008),
        (interrupt(names::ICH_AP0R0_EL2), 0),
        (interrupt(names::ICH_AP1R0_EL2), 0),
        (interrupt(names::ICH_LR3_EL2), 0),
        // With ITD and SED: EL0 has no AArch32.
        (system(names::SCTLR_EL1), 0x30d0_0980),
        (system(names::CNTV_CTL_EL0), 0),
        (system(names::CNTP_CTL_EL0), 0),
        (system(names::MIDR_EL1), 0x414f_d0c1),
        (RegId::STATUS, 0x3c5),
        (RegId::PC, 0),
        (RegId::general(30), 0),
        (RegId::vector(31), 0),
    ];
    for (id, want) in cases {
        assert_eq!(cpu.get(id), want, "{id:?}");
    }
}

#[test]
fn controls_follow_from_what_the_guest_is_told() {
    let vm = vm(1);
    let mut guest = Vcpu::new(&vm, VcpuIndex(0)).unwrap();
    let mut registers = FakeRegisters::new();
    // MOPS, APA3 and GPA3.
    let isar2 = RegId::host_limit(names::ID_AA64ISAR2_EL1.into_bits());
    registers.values.insert(isar2, 0x1_1100);
    guest.reset(&mut registers).unwrap();
    let read = |registers: &mut FakeRegisters, id| registers.read(control(id)).unwrap();
    assert_eq!(read(&mut registers, names::HCR_EL2), 0x0402_031c_801f_603c, "API and APK");
    assert_eq!(read(&mut registers, names::HCRX_EL2), 0x800, "MSCEn");
    vm.set_identification(names::ID_AA64ISAR2_EL1, 0).unwrap();
    guest.reset(&mut registers).unwrap();
    assert_eq!(read(&mut registers, names::HCR_EL2), 0x0402_001c_801f_603c);
    assert_eq!(read(&mut registers, names::HCRX_EL2), 0);
}

#[test]
fn cpacr_el1_traps_where_the_host_has_vectors_and_keeps_what_the_guest_has_of_it() {
    // ID_AA64PFR0_EL1.SVE, ID_AA64PFR1_EL1.SME.
    for (sve, sme, cptr) in [(0, 0, 0x5030_0000), (1, 0, 0xd030_0000), (0, 1, 0xd030_0000)] {
        let vm = vm(1);
        let mut guest = Vcpu::new(&vm, VcpuIndex(0)).unwrap();
        let mut registers = FakeRegisters::new();
        let limit = |id: SysRegId| RegId::host_limit(id.into_bits());
        registers.values.insert(limit(names::ID_AA64PFR0_EL1), 0x11 | sve << 32);
        registers.values.insert(limit(names::ID_AA64PFR1_EL1), sme << 24);
        guest.reset(&mut registers).unwrap();
        assert_eq!(registers.read(control(names::CPTR_EL2)), Ok(cptr), "SVE {sve}, SME {sme}");
    }
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    // FPEN 1 and 3; E0POE, TTA, SMEN, ZEN are of features that the guest has not.
    for (written, kept) in [(0x10_0000, 0x10_0000), (u64::MAX, 0x30_0000), (0, 0)] {
        cpu.set(RegId::general(1), written);
        assert_eq!(cpu.msr(names::CPACR_EL1, 1), Next::Resume);
        assert_eq!(cpu.mrs(2, names::CPACR_EL1), Next::Resume);
        assert_eq!(cpu.x(2), kept, "{written:#x}");
    }
}

#[test]
fn the_guest_reads_the_vms_identification() {
    const CASES: &[(&str, SysRegId, u64)] = &[
        // Host 0x1201_1111_2311_2222: CSV2 1 at most, no AMU, MPAM, SEL2, SVE, RAS, EL3, EL2; GICv3.
        ("ID_AA64PFR0_EL1", names::ID_AA64PFR0_EL1, 0x1101_0000_0111_0011),
        ("ID_AA64PFR1_EL1 without MTE", names::ID_AA64PFR1_EL1, 0x21),
        ("ID_AA64DFR0_EL1 without PMU, SPE, trace; no DoubleLock", names::ID_AA64DFR0_EL1, 0xf0_1030_5006),
        ("ID_AA64ISAR0_EL1 as the host", names::ID_AA64ISAR0_EL1, 0x1221_1110_1021_2120),
        // PARange of the VM, 40 bits, where the host has 48.
        ("ID_AA64MMFR0_EL1 without SNSMem", names::ID_AA64MMFR0_EL1, 0x10_0122),
        ("ID_AA64MMFR1_EL1 without HCX, XNX, LO, VH, VMIDBits", names::ID_AA64MMFR1_EL1, 0x20_1002),
        ("ID_AA64MMFR2_EL1", names::ID_AA64MMFR2_EL1, 0x1000_0000_1000_0011),
        ("ID_AA64ZFR0_EL1", names::ID_AA64ZFR0_EL1, 0),
        ("ID_PFR0_EL1, AArch32", names::ID_PFR0_EL1, 0),
        ("a hole", SysRegId::new(3, 0, 0, 7, 7), 0),
        ("MIDR_EL1", names::MIDR_EL1, 0x414f_d0c1),
        ("REVIDR_EL1", names::REVIDR_EL1, 0x12),
        ("AIDR_EL1, which the host does not have", names::AIDR_EL1, 0),
        ("MPIDR_EL1", names::MPIDR_EL1, 0x8000_0000),
        ("CTR_EL0", names::CTR_EL0, 0x8444_c004),
        ("CLIDR_EL1", names::CLIDR_EL1, 0x0920_0003),
        ("CCSIDR_EL1, lines of 64 bytes", names::CCSIDR_EL1, 2),
        ("CSSELR_EL1", names::CSSELR_EL1, 0),
        ("OSDLR_EL1", names::OSDLR_EL1, 0),
    ];
    for (name, id, want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_el1(&vm, &platform);
        assert_eq!(cpu.mrs(0, *id), Next::Resume, "{name}");
        cpu.enter();
        assert_eq!((cpu.x(0), cpu.pc()), (*want, RAM + 4), "{name}");
    }
}

#[test]
fn a_read_to_the_zero_register_is_skipped() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    assert_eq!(cpu.mrs(31, names::MIDR_EL1), Next::Resume);
    cpu.enter();
    assert_eq!(cpu.pc(), RAM + 4);
}

#[test]
fn csselr_keeps_level_and_ind() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    for (written, csselr, ccsidr) in [(1, 1, 2), (u64::MAX, 0xf, 0), (2, 2, 0), (0, 0, 2)] {
        cpu.set(RegId::general(1), written);
        assert_eq!(cpu.msr(names::CSSELR_EL1, 1), Next::Resume);
        assert_eq!(cpu.mrs(2, names::CSSELR_EL1), Next::Resume);
        assert_eq!(cpu.mrs(3, names::CCSIDR_EL1), Next::Resume);
        assert_eq!((cpu.x(2), cpu.x(3)), (csselr, ccsidr), "{written:#x}");
    }
}

#[test]
fn what_does_not_exist_is_undefined() {
    let cases = [
        ("write of an identification register", names::ID_AA64PFR0_EL1, true),
        ("write of MIDR", names::MIDR_EL1, true),
        ("write of MPIDR", names::MPIDR_EL1, true),
        ("write of CNTPCT", names::CNTPCT_EL0, true),
        ("write of CCSIDR", names::CCSIDR_EL1, true),
        ("read of ICC_SGI1R", names::ICC_SGI1R_EL1, false),
        ("read of OSLAR", names::OSLAR_EL1, false),
        ("write of OSLSR", names::OSLSR_EL1, true),
        ("PMU", names::PMCR_EL0, false),
        ("PMU", names::PMCCNTR_EL0, true),
        ("SPE", names::PMSCR_EL1, false),
        ("a self-synchronised count, as ECV is 0", names::CNTVCTSS_EL0, false),
        ("LORegion", names::LORC_EL1, false),
        ("LORegion identification, as LO is 0", names::LORID_EL1, false),
        ("MTE", names::GMID_EL1, false),
        ("SME", names::SMIDR_EL1, false),
        ("wide CCSIDR", names::CCSIDR2_EL1, false),
        ("IMPLEMENTATION DEFINED", SysRegId::new(3, 0, 15, 0, 0), false),
        ("EL2", names::HCR_EL2, false),
        ("a register of the host that is not here", names::AMAIR_EL1, false),
    ];
    for (name, id, is_write) in cases {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_el1(&vm, &platform);
        let next = if is_write { cpu.msr(id, 0) } else { cpu.mrs(0, id) };
        assert_eq!(next, Next::Resume, "{name}");
        cpu.enter();
        assert_eq!((cpu.sys(names::ESR_EL1), cpu.pc()), (UNDEFINED, RAM + 0xa00), "{name}");
        assert_eq!(cpu.x(0), 0, "{name}");
    }
}

#[test]
fn registers_that_the_host_carries_pass_through_when_they_trap() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    cpu.set(RegId::general(1), 0x1234);
    for id in [names::TTBR0_EL1, names::TCR_EL1, names::MAIR_EL1, names::CNTKCTL_EL1, names::OSLAR_EL1] {
        assert_eq!(cpu.msr(id, 1), Next::Resume);
        assert_eq!(cpu.sys(id), 0x1234, "{id}");
    }
    cpu.set_sys(names::OSLSR_EL1, 8);
    assert_eq!(cpu.mrs(2, names::OSLSR_EL1), Next::Resume);
    assert_eq!(cpu.x(2), 8);
}

#[test]
fn timer_values_are_distances() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    cpu.set_clock(0x1_0000_0000);
    cpu.set(RegId::general(1), 0x10);
    assert_eq!(cpu.msr(names::CNTV_TVAL_EL0, 1), Next::Resume);
    assert_eq!(cpu.sys(names::CNTV_CVAL_EL0), 0x1_0000_0010);
    assert_eq!(cpu.mrs(2, names::CNTV_TVAL_EL0), Next::Resume);
    assert_eq!(cpu.x(2), 0x10);
    cpu.set(RegId::general(1), 0xffff_ffff);
    assert_eq!(cpu.msr(names::CNTP_TVAL_EL0, 1), Next::Resume);
    assert_eq!(cpu.sys(names::CNTP_CVAL_EL0), 0xffff_ffff);
    assert_eq!(cpu.mrs(2, names::CNTVCT_EL0), Next::Resume);
    assert_eq!(cpu.x(2), 0x1_0000_0000);
}

#[test]
fn maintenance_by_set_and_way_does_nothing() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    for (number, id) in (1..).zip([instructions::DC_ISW, instructions::DC_CSW, instructions::DC_CISW]) {
        assert_eq!(cpu.msr(id, 0), Next::Resume);
        cpu.enter();
        assert_eq!(cpu.pc(), RAM + 4 * number, "{id}");
    }
}

#[test]
fn an_exception_is_entered_with_these_values() {
    struct Case {
        name: &'static str,
        status: u64,
        sctlr: u64,
        // ESR_EL1, PC less VBAR, new PSTATE.
        esr: u64,
        vector: u64,
        after: u64,
    }
    const SPAN: u64 = 1 << 23;
    const CASES: &[Case] = &[
        Case { name: "EL1h", status: 0x5, sctlr: SPAN, esr: UNDEFINED, vector: 0x200, after: 0x3c5 },
        Case { name: "EL1t", status: 0x4, sctlr: SPAN, esr: UNDEFINED, vector: 0x0, after: 0x3c5 },
        Case { name: "EL0t", status: 0x0, sctlr: SPAN, esr: UNDEFINED, vector: 0x400, after: 0x3c5 },
        Case {
            name: "flags and DIT stay; SS, IL, BTYPE, UAO go; SSBS as DSSBS",
            status: 0xf1b0_1c05,
            sctlr: SPAN,
            esr: UNDEFINED,
            vector: 0x200,
            after: 0xf100_03c5,
        },
        Case { name: "PAN", status: 0x5, sctlr: 0, esr: UNDEFINED, vector: 0x200, after: 0x40_03c5 },
        Case {
            name: "SSBS",
            status: 0x5,
            sctlr: SPAN | 1 << 44,
            esr: UNDEFINED,
            vector: 0x200,
            after: 0x13c5,
        },
    ];
    for case in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_el1(&vm, &platform);
        cpu.set(RegId::STATUS, case.status);
        cpu.set_sys(names::SCTLR_EL1, case.sctlr);
        cpu.set_sys(names::FAR_EL1, 0x77);
        // A trapped ERET cannot be.
        assert_eq!(cpu.trap(0x6a00_0000), Next::Resume);
        assert_eq!(cpu.pc(), RAM, "{}: nothing before the entry", case.name);
        cpu.enter();
        assert_eq!(cpu.sys(names::ESR_EL1), case.esr, "{}", case.name);
        assert_eq!(cpu.pc(), RAM + 0x800 + case.vector, "{}", case.name);
        assert_eq!(cpu.get(RegId::STATUS), case.after, "{}", case.name);
        assert_eq!(cpu.sys(names::ELR_EL1), RAM, "{}: the instruction itself", case.name);
        assert_eq!(cpu.sys(names::SPSR_EL1), case.status, "{}", case.name);
        assert_eq!(cpu.sys(names::FAR_EL1), 0x77, "{}: FAR stays", case.name);
        cpu.enter();
        assert_eq!(cpu.pc(), RAM + 0x800 + case.vector, "{}: once", case.name);
    }
}

/// Class of defect 30: PSTATE bits of features that the VM does not have.
#[test]
fn feature_consistency_injection_sets_only_bits_that_the_vm_has() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    // Less PAN, UAO, SSBS, DIT and BTI.
    for (id, value) in [
        (names::ID_AA64MMFR1_EL1, 0x1002),
        (names::ID_AA64MMFR2_EL1, 0),
        (names::ID_AA64PFR1_EL1, 0),
        (names::ID_AA64PFR0_EL1, 0x1100_0000_0111_0011),
    ] {
        cpu.guest.set(&mut cpu.registers, system(id), value).unwrap();
    }
    cpu.enter();
    cpu.set_sys(names::SCTLR_EL1, 1 << 44);
    cpu.set(RegId::STATUS, 0xf1f0_1c05);
    assert_eq!(cpu.trap(0x6a00_0000), Next::Resume);
    cpu.enter();
    assert_eq!(cpu.get(RegId::STATUS), 0xf000_03c5, "neither PAN by SPAN nor SSBS by DSSBS");
    assert_eq!(cpu.sys(names::SPSR_EL1), 0xf030_0005);
}

/// Class of defect 9: a pending exception that is not applied before someone looks.
#[test]
fn protocol_incompleteness_what_is_pending_shows_before_state_is_observed() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    assert_eq!(cpu.trap(0x6a00_0000), Next::Resume);
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    assert_eq!(cpu.pc(), RAM + 0xa00);
    cpu.enter();
    assert_eq!(cpu.pc(), RAM + 0xa00, "applied once");
    // An increment too.
    assert_eq!(cpu.mrs(0, names::MIDR_EL1), Next::Resume);
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    assert_eq!(cpu.pc(), RAM + 0xa04);
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    assert_eq!(cpu.pc(), RAM + 0xa04);
}

/// A host that asks twice without an entry between gets one answer: the exception returns to the instruction.
#[test]
fn an_exception_takes_the_place_of_an_increment_that_nobody_applied() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    assert_eq!(cpu.mrs(0, names::MIDR_EL1), Next::Resume);
    assert_eq!(cpu.trap(UNDEFINED), Next::Resume);
    cpu.enter();
    assert_eq!((cpu.pc(), cpu.get(system(names::ELR_EL1))), (RAM + 0xa00, RAM));
}

/// Class of defect 5: the increment counts as executed: BTYPE and SS are gone.
#[test]
fn ownership_confusion_an_emulated_instruction_ends_as_an_executed_one() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    cpu.set(RegId::STATUS, 0xf020_0c05);
    assert_eq!(cpu.mrs(0, names::MIDR_EL1), Next::Resume);
    cpu.enter();
    assert_eq!((cpu.pc(), cpu.get(RegId::STATUS)), (RAM + 4, 0xf000_0005));
}

#[test]
fn traps_that_cannot_be_are_undefined_and_floating_point_is_reflected() {
    const CASES: &[(&str, u64, u64)] = &[
        ("floating point", 0x1fe0_0000, 0x1fe0_0000),
        ("pointer authentication", 0x2600_0000, UNDEFINED),
        ("SVE", 0x6600_0000, UNDEFINED),
        ("SME", 0x7600_0000, UNDEFINED),
        ("LD64B", 0x2a00_0002, UNDEFINED),
        ("MSRR", 0x5200_0000, UNDEFINED),
        ("BRK", 0xf200_0001, UNDEFINED),
        ("reserved", 0xfe00_0000, UNDEFINED),
        ("AArch32", 0x0fe0_0000, UNDEFINED),
        ("an unresolved data abort", 0x9200_0047, 0x9600_0050),
        ("an unresolved instruction abort", 0x8200_0007, 0x8600_0010),
    ];
    for (name, syndrome, want) in CASES {
        let (vm, platform) = (vm(1), FakePlatform::default());
        let mut cpu = at_el1(&vm, &platform);
        assert_eq!(cpu.trap(*syndrome), Next::Resume, "{name}");
        cpu.enter();
        assert_eq!((cpu.sys(names::ESR_EL1), cpu.pc()), (*want, RAM + 0xa00), "{name}");
    }
}

/// Class of defects 2 and 3: unexpected codes are values, whatever they are.
#[test]
fn denial_of_service_no_exit_panics() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    let invalid = InvalidState { reason: 5, text: "a register holds an invalid value" };
    assert_eq!(cpu.exit(Exit::Invalid(invalid)), Next::Stop(StopReason::Invalid(invalid)));
    assert_eq!(cpu.exit(Exit::Unknown(0x08)), Next::Stop(StopReason::Unknown(0x08)));
    assert_eq!(cpu.exit(Exit::Stop), Next::Stop(StopReason::Host));
    for ec in 0..64u64 {
        for iss in [0, u64::from(u32::MAX) & 0x1ff_ffff, 0x155_5555, 0x0aa_aaaa] {
            let syndrome = ec << 26 | 1 << 25 | iss;
            let _ = cpu.exit(Exit::Trap(Trap { syndrome, fault_address: u64::MAX }));
            let _ = cpu.exit(Exit::Access(machine::access(u64::MAX, syndrome)));
            let _ = cpu.prepare();
            let _ = cpu.guest.reset(&mut cpu.registers);
        }
    }
    // An access whose syndrome is none of an access.
    let odd = machine::access(0x1000, 0x5600_0000);
    assert_eq!(cpu.exit(Exit::Access(odd)), Next::Stop(StopReason::Unhandled(odd.trap)));
}

#[test]
fn a_register_that_the_host_loses_stops_the_vcpu_with_its_name() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = at_el1(&vm, &platform);
    cpu.registers.values.remove(&system(names::VBAR_EL1));
    assert_eq!(cpu.trap(0x6a00_0000), Next::Resume);
    let lost = RegisterError::Unknown(system(names::VBAR_EL1));
    assert_eq!(cpu.prepare(), Next::Stop(StopReason::Register(lost)));
}

/// Class of defect 25: every field has a limit, and the error names it.
#[test]
fn validation_a_user_cannot_show_more_than_there_is() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let uninitialised: TestVm = Vm::new(Config::new(1)).unwrap();
    assert_eq!(uninitialised.set_identification(names::MIDR_EL1, 0), Err(IdentityError::NotReset));
    let mut cpu = Cpu::new(&vm, 0, &platform);
    const CASES: &[(&str, SysRegId, u64, Option<&str>)] = &[
        ("as it is", names::ID_AA64PFR0_EL1, 0x1101_0000_0111_0011, None),
        ("without DIT", names::ID_AA64PFR0_EL1, 0x1100_0000_0111_0011, None),
        ("without FP", names::ID_AA64PFR0_EL1, 0x1101_0000_01ff_0011, None),
        ("with SVE", names::ID_AA64PFR0_EL1, 0x1101_0001_0111_0011, Some("SVE")),
        ("with EL2", names::ID_AA64PFR0_EL1, 0x1101_0000_0111_0111, Some("EL2")),
        ("with GICv4.1", names::ID_AA64PFR0_EL1, 0x1101_0000_0311_0011, Some("GIC")),
        ("more address bits", names::ID_AA64MMFR0_EL1, 0x10_0123, Some("PARange")),
        ("fewer address bits", names::ID_AA64MMFR0_EL1, 0x10_0120, None),
        ("with a PMU", names::ID_AA64DFR0_EL1, 0xf0_1030_5106, Some("PMUVer")),
        ("with OS double lock", names::ID_AA64DFR0_EL1, 0x00_1030_5006, Some("DoubleLock")),
        ("fewer breakpoints", names::ID_AA64DFR0_EL1, 0xf0_1030_1006, None),
    ];
    for (name, id, value, field) in CASES {
        let result = vm.set_identification(*id, *value);
        let named = match &result {
            Err(IdentityError::Limit(error)) => match error.reason {
                Reason::Field { field, .. } => Some(field.name),
                Reason::Reserved { .. } | Reason::NotWritable => Some("?"),
            },
            _ => None,
        };
        assert_eq!(named, *field, "{name}");
        assert_eq!(result.is_err(), field.is_some(), "{name}");
    }
    let ctr = system(names::CTR_EL0);
    let refused = cpu.guest.set(&mut cpu.registers, ctr, 0x8444_c005);
    assert_eq!(refused, Err(RegisterError::Value(ctr, 0x8444_c005)), "longer lines");
    cpu.enter();
    let pfr0 = system(names::ID_AA64PFR0_EL1);
    let now = cpu.guest.get(&mut cpu.registers, pfr0).unwrap();
    assert_eq!(cpu.guest.set(&mut cpu.registers, pfr0, now), Ok(()), "the same value is no change");
    assert_eq!(
        cpu.guest.set(&mut cpu.registers, pfr0, 0x11),
        Err(RegisterError::ReadOnly(pfr0)),
        "it has run"
    );
}

#[test]
fn the_embedder_reads_and_writes_by_id() {
    let (vm, platform) = (vm(2), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 1, &platform);
    let Cpu { guest, registers, .. } = &mut cpu;
    let mpidr = system(names::MPIDR_EL1);
    assert_eq!(guest.get(registers, mpidr), Ok(0x8000_0001));
    assert_eq!(guest.set(registers, mpidr, 0x8000_0001), Ok(()));
    assert_eq!(guest.set(registers, mpidr, 5), Err(RegisterError::Value(mpidr, 5)));
    let csselr = system(names::CSSELR_EL1);
    assert_eq!(guest.set(registers, csselr, 3), Ok(()));
    assert_eq!(guest.get(registers, csselr), Ok(3));
    assert_eq!(guest.set(registers, csselr, 0x10), Err(RegisterError::Value(csselr, 0x10)));
    assert_eq!(guest.set(registers, RegId::general(4), 9), Ok(()));
    assert_eq!(guest.get(registers, RegId::general(4)), Ok(9));
    let unknown = RegId { bank: Bank(77), index: 1 };
    assert_eq!(guest.get(registers, unknown), Err(RegisterError::Unknown(unknown)));
    // One clock: the write goes to the host's, which is the VM's.
    let count = system(names::CNTVCT_EL0);
    assert_eq!(guest.set(registers, count, 12345), Ok(()));
    assert_eq!(guest.get(registers, count), Ok(12345));
}

/// Class of defect 21: what was saved can be restored.
#[test]
fn uapi_everything_that_is_listed_reads_and_writes_back() {
    let (vm, platform) = (vm(1), FakePlatform::default());
    let mut cpu = Cpu::new(&vm, 0, &platform);
    cpu.enter();
    cpu.guest.before_observe(&mut cpu.registers).unwrap();
    let mut list = Vec::new();
    cpu.guest.for_each_register(&mut cpu.registers, |id| list.push(id)).unwrap();
    for id in &list {
        if id.bank == Bank::VECTOR {
            continue;
        }
        let value = cpu.guest.get(&mut cpu.registers, *id).unwrap();
        assert_eq!(cpu.guest.set(&mut cpu.registers, *id, value), Ok(()), "{id:?}");
    }
    let mut once = list.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), list.len(), "each register once");
    for id in [RegId::PC, system(names::CSSELR_EL1), system(names::SPSR_EL1), RegId::vector(31)] {
        assert!(list.contains(&id), "{id:?}");
    }
    // The guest is told of six breakpoints and four watchpoints; the host has some of them, and others.
    for (id, want) in [
        (names::DBGBVR0_EL1, true),
        (names::DBGBCR5_EL1, true),
        (names::DBGBCR6_EL1, false),
        (names::DBGWVR3_EL1, true),
        (names::DBGWCR4_EL1, false),
    ] {
        assert_eq!(list.contains(&system(id)), want, "{id}");
    }
    assert!(!list.contains(&system(names::AMAIR_EL1)), "the host does not have it");
    assert!(!list.contains(&system(names::OSLSR_EL1)), "read-only");
}

/// Class of defect 32: a count is not an index.
#[test]
fn unit_confusion_the_last_vcpu_is_one_less_than_their_number() {
    let vm = vm(3);
    assert!(Vcpu::new(&vm, VcpuIndex(2)).is_some());
    assert!(Vcpu::new(&vm, VcpuIndex(3)).is_none());
    assert_eq!(vm.config().vcpus, 3);
    assert_eq!(FREQUENCY, 62_500_000);
}
