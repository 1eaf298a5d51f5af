//! Firmware calls: PSCI 1.1 (DEN0022) and the SMC Calling Convention (DEN0028), asked for by name and by nonsense.

use crate::guest::{BASE, Program, a64::*, numbers, taken};
use crate::session::boot;

const NOT_SUPPORTED: u64 = u64::MAX;
const INVALID_PARAMETERS: u64 = -2_i64 as u64;
const ALREADY_ON: u64 = -4_i64 as u64;
const INVALID_ADDRESS: u64 = -9_i64 as u64;

type Case = (&'static str, u64, [u64; 3], u64);

/// Calls each function and compares what X0 holds afterwards.
fn check(cases: &[Case], arguments: &[&str]) {
    let mut guest = Program::new();
    for (_, id, arguments, _) in cases {
        guest.call(*id, *arguments);
        guest.print(0);
    }
    guest.power_off();
    let out = boot(&guest.image(), arguments).out;
    let got = numbers(&out);
    assert_eq!(got.len(), cases.len(), "{out}");
    for ((name, _, _, want), got) in cases.iter().zip(got) {
        assert_eq!(got, *want, "{name}: {got:#x}, not {want:#x}");
    }
}

#[test]
fn psci_answers_as_specified() {
    check(
        &[
            ("PSCI_VERSION", 0x8400_0000, [0; 3], 0x1_0001),
            ("PSCI_VERSION, upper half of X0 set", 0xffff_ffff_8400_0000, [0; 3], 0x1_0001),
            ("PSCI_VERSION, hint about SVE", 0x8401_0000, [0; 3], 0x1_0001),
            ("PSCI_VERSION has no 64-bit form", 0xc400_0000, [0; 3], NOT_SUPPORTED),
            ("MIGRATE", 0x8400_0005, [0; 3], NOT_SUPPORTED),
            ("MIGRATE, 64 bits", 0xc400_0005, [0; 3], NOT_SUPPORTED),
            ("MIGRATE_INFO_TYPE", 0x8400_0006, [0; 3], 2),
            ("MIGRATE_INFO_UP_CPU", 0x8400_0007, [0; 3], NOT_SUPPORTED),
            ("SYSTEM_OFF has no 64-bit form", 0xc400_0008, [0; 3], NOT_SUPPORTED),
            ("SYSTEM_RESET has no 64-bit form", 0xc400_0009, [0; 3], NOT_SUPPORTED),
            ("CPU_OFF has no 64-bit form", 0xc400_0002, [0; 3], NOT_SUPPORTED),
            ("CPU_FREEZE", 0x8400_000b, [0; 3], NOT_SUPPORTED),
            ("CPU_DEFAULT_SUSPEND", 0xc400_000c, [0; 3], NOT_SUPPORTED),
            ("NODE_HW_STATE", 0xc400_000d, [0; 3], NOT_SUPPORTED),
            ("SYSTEM_SUSPEND", 0xc400_000e, [0; 3], NOT_SUPPORTED),
            ("PSCI_SET_SUSPEND_MODE", 0x8400_000f, [1, 0, 0], NOT_SUPPORTED),
            ("PSCI_STAT_RESIDENCY", 0xc400_0010, [0; 3], NOT_SUPPORTED),
            ("PSCI_STAT_COUNT", 0xc400_0011, [0; 3], NOT_SUPPORTED),
            ("SYSTEM_RESET2 of no known type", 0xc400_0012, [5, 0, 0], INVALID_PARAMETERS),
            ("SYSTEM_RESET2 of a vendor's type", 0x8400_0012, [0x8000_0000, 1, 0], INVALID_PARAMETERS),
            ("MEM_PROTECT", 0x8400_0013, [1, 0, 0], NOT_SUPPORTED),
            ("MEM_PROTECT_CHECK_RANGE", 0xc400_0014, [BASE, 4096, 0], NOT_SUPPORTED),
            ("SYSTEM_OFF2", 0xc400_0015, [1, 0, 0], NOT_SUPPORTED),
            ("a number that PSCI never had", 0x8400_001f, [0; 3], NOT_SUPPORTED),
        ],
        &[],
    );
}

#[test]
fn psci_features_knows_what_there_is() {
    const FEATURES: u64 = 0x8400_000a;
    let cases: Vec<Case> = [
        (0x8400_0000, 0),
        (0x8400_0001, 0),
        (0xc400_0001, 0),
        (0x8400_0002, 0),
        (0xc400_0002, NOT_SUPPORTED),
        (0x8400_0003, 0),
        (0xc400_0003, 0),
        (0x8400_0004, 0),
        (0xc400_0004, 0),
        (0x8400_0005, NOT_SUPPORTED),
        (0x8400_0006, 0),
        (0x8400_0008, 0),
        (0x8400_0009, 0),
        (0x8400_000a, 0),
        (0x8400_000e, NOT_SUPPORTED),
        (0xc400_0012, 0),
        (0x8000_0000, 0),
        (0, NOT_SUPPORTED),
        (0xffff_ffff, NOT_SUPPORTED),
        (0xffff_ffff_8400_0003, 0),
    ]
    .map(|(id, want)| ("PSCI_FEATURES", FEATURES, [id, 0, 0], want))
    .to_vec();
    check(&cases, &[]);
}

#[test]
fn cpu_on_and_affinity_info_check_their_arguments() {
    let good = BASE + 0x1000;
    check(
        &[
            ("CPU_ON of itself", 0xc400_0003, [0, good, 0], ALREADY_ON),
            (
                "CPU_ON of itself, 32 bits, upper halves set",
                0x8400_0003,
                [0xdead_beef << 32, good, 0],
                ALREADY_ON,
            ),
            ("CPU_ON of a CPU that is not there", 0xc400_0003, [2, good, 0], INVALID_PARAMETERS),
            ("CPU_ON with Aff1", 0xc400_0003, [0x100, good, 0], INVALID_PARAMETERS),
            ("CPU_ON with Aff3", 0xc400_0003, [0x1_0000_0001, good, 0], INVALID_PARAMETERS),
            ("CPU_ON with MPIDR's RES1", 0xc400_0003, [0x8000_0001, good, 0], INVALID_PARAMETERS),
            ("CPU_ON with bit 24", 0xc400_0003, [0x100_0001, good, 0], INVALID_PARAMETERS),
            ("CPU_ON with bit 63", 0xc400_0003, [1 << 63 | 1, good, 0], INVALID_PARAMETERS),
            ("CPU_ON of all ones", 0xc400_0003, [u64::MAX, good, 0], INVALID_PARAMETERS),
            ("CPU_ON to no memory", 0xc400_0003, [1, 0x1000_0000, 0], INVALID_ADDRESS),
            ("CPU_ON to 0", 0xc400_0003, [1, 0, 0], INVALID_ADDRESS),
            ("CPU_ON to a device", 0xc400_0003, [1, 0x0900_0000, 0], INVALID_ADDRESS),
            ("CPU_ON behind RAM", 0xc400_0003, [1, 0x4400_0000, 0], INVALID_ADDRESS),
            ("CPU_ON to all ones", 0xc400_0003, [1, u64::MAX, 0], INVALID_ADDRESS),
            ("AFFINITY_INFO of itself", 0xc400_0004, [0, 0, 0], 0),
            ("AFFINITY_INFO of the other", 0xc400_0004, [1, 0, 0], 1),
            ("AFFINITY_INFO of the other, 32 bits", 0x8400_0004, [1, 0, 0], 1),
            ("AFFINITY_INFO of the cluster", 0xc400_0004, [1, 1, 0], 0),
            ("AFFINITY_INFO at level 3", 0xc400_0004, [1, 3, 0], 0),
            ("AFFINITY_INFO at level 4", 0xc400_0004, [0, 4, 0], INVALID_PARAMETERS),
            ("AFFINITY_INFO at a huge level", 0xc400_0004, [0, u64::MAX, 0], INVALID_PARAMETERS),
            ("AFFINITY_INFO of nobody", 0xc400_0004, [99, 0, 0], INVALID_PARAMETERS),
            ("AFFINITY_INFO with bit 24", 0xc400_0004, [0x100_0000, 0, 0], INVALID_PARAMETERS),
            ("AFFINITY_INFO of all ones", 0xc400_0004, [u64::MAX, 0, 0], INVALID_PARAMETERS),
        ],
        &["--cpus", "2"],
    );
}

#[test]
fn unknown_services_are_not_supported() {
    let mut cases: Vec<Case> = vec![
        ("SMCCC_VERSION", 0x8000_0000, [0; 3], 0x1_0001),
        ("SMCCC_ARCH_FEATURES of SMCCC_VERSION", 0x8000_0001, [0x8000_0000, 0, 0], 0),
        ("SMCCC_ARCH_FEATURES of itself", 0x8000_0001, [0x8000_0001, 0, 0], 0),
        ("SMCCC_ARCH_FEATURES of PSCI", 0x8000_0001, [0x8400_0000, 0, 0], NOT_SUPPORTED),
        ("SMCCC_ARCH_FEATURES of nothing", 0x8000_0001, [u64::MAX, 0, 0], NOT_SUPPORTED),
        ("SMCCC_VERSION has no 64-bit form", 0xc000_0000, [0; 3], NOT_SUPPORTED),
        ("bit 17 must be zero", 0x8402_0000, [0; 3], NOT_SUPPORTED),
        ("bit 23 must be zero", 0x8480_0000, [0; 3], NOT_SUPPORTED),
        ("a yielding call", 0x0400_0000, [0; 3], NOT_SUPPORTED),
        ("zero", 0, [0; 3], NOT_SUPPORTED),
        ("all ones", u64::MAX, [u64::MAX; 3], NOT_SUPPORTED),
        ("TRNG_VERSION", 0x8400_0050, [0; 3], NOT_SUPPORTED),
        ("PV_TIME_FEATURES", 0xc500_0020, [0xc500_0021, 0, 0], NOT_SUPPORTED),
        ("SDEI_VERSION", 0xc400_0020, [0; 3], NOT_SUPPORTED),
    ];
    // Every owner in both widths: general query, its UID, and a number of its own.
    for owner in (1..64).filter(|owner| *owner != 4) {
        for width in [0x8000_0000, 0xc000_0000] {
            for number in [0, 1, 0xff00, 0xff01, 0xff03, 0xffff] {
                cases.push(("a service of nobody's", width | owner << 24 | number, [1, 2, 3], NOT_SUPPORTED));
            }
        }
    }
    check(&cases, &[]);
}

/// Arguments and results but X0 come back unchanged, as the convention wants since 1.1.
#[test]
fn calls_change_nothing_but_x0() {
    let mut guest = Program::new();
    for register in 1..=17 {
        guest.set(register, 0x1111_1111_1111_1111 * u64::from(register % 15));
    }
    guest.set(0, 0x8400_0000);
    guest.op(hvc(0));
    for register in 1..=17 {
        guest.print(register);
    }
    guest.power_off();
    let wants: Vec<u64> = (1..=17).map(|register| 0x1111_1111_1111_1111 * (register % 15)).collect();
    assert_eq!(numbers(&boot(&guest.image(), &[]).out), wants);
}

#[test]
fn immediates_and_the_other_conduit_do_not_confuse() {
    let mut guest = Program::new();
    for word in [hvc(0), hvc(1), hvc(0xffff), smc(0), smc(1), smc(0xffff)] {
        guest.set(0, 0x8400_0000);
        guest.op(word);
        guest.print(0);
    }
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    assert_eq!(taken(&out), []);
    let version = 0x1_0001;
    let nothing = NOT_SUPPORTED;
    assert_eq!(numbers(&out), [version, nothing, nothing, version, nothing, nothing]);
}

/// HVC and SMC are UNDEFINED at EL0: only SVC leaves it.
#[test]
fn el0_cannot_call_the_firmware() {
    let mut guest = Program::new();
    guest.at_el0("user");
    guest.say("back\n");
    guest.power_off();
    guest.label("user");
    guest.set(0, 0x8400_0008);
    guest.ops(&[hvc(0), smc(0), hvc(7), svc(0)]);
    let out = boot(&guest.image(), &[]).out;
    assert!(out.ends_with("back\n"), "{out}");
    let syndromes: Vec<(u64, u64)> = taken(&out).iter().map(|taken| (taken.vector, taken.esr)).collect();
    assert_eq!(syndromes, [(8, 0x0200_0000); 3]);
}

/// CPU_SUSPEND is a standby here: it ends with the interrupt, even a masked one, and says success.
#[test]
fn cpu_suspend_waits_for_an_interrupt() {
    let mut guest = Program::new();
    guest.interrupts(0);
    for (id, state) in [(0xc400_0001, 0), (0x8400_0001, 0x1_0000), (0xc400_0001, u64::MAX)] {
        guest.write(CNTV_TVAL_EL0, 10_000_000);
        guest.write(CNTV_CTL_EL0, 1);
        guest.op(mrs(10, CNTVCT_EL0));
        guest.call(id, [state, BASE, 7]);
        guest.ops(&[mrs(11, CNTVCT_EL0), sub(11, 11, 10)]);
        guest.write(CNTV_CTL_EL0, 0);
        guest.print(0);
        guest.print(11);
    }
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    for pair in numbers(&out).chunks(2) {
        assert_eq!(pair[0], 0, "{out}");
        assert!(pair[1] >= 9_000_000, "10 ms of waiting are {} ticks", pair[1]);
    }
    assert_eq!(numbers(&out).len(), 6);
}
