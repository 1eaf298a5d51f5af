//! Guests that touch what is not there, or touch what is there in ways nobody should: the architecture answers.

use crate::guest::{BASE, GICD, GICR, PL011, PL031, Program, TCR, Taken, a64::*, numbers, taken};
use crate::session::boot;

/// Synchronous exceptions from the current level with SP_EL1.
const VECTOR: u64 = 4;
/// EC 0x25 with IL, and the fault status: external abort, unsupported exclusive or atomic, alignment, address size at
/// level 0. Arm ARM, ESR_EL1.
const EXTERNAL: u64 = 0x9600_0010;
const UNSUPPORTED: u64 = 0x9600_0035;
const ALIGNMENT: u64 = 0x9600_0021;
const ADDRESS_SIZE: u64 = 0x9600_0000;
/// WnR.
const WRITE: u64 = 0x40;
/// EC 0x21 with IL.
const FETCH_EXTERNAL: u64 = 0x8600_0010;
const FETCH_ADDRESS_SIZE: u64 = 0x8600_0000;
/// EC 0x22 with IL: PC alignment.
const PC_ALIGNMENT: u64 = 0x8a00_0000;

/// Runs one instruction on an address in X2 each time, X1 being all ones, and returns what was taken.
fn access_each(accesses: &[(u64, u32)]) -> (Vec<u64>, Vec<Taken>) {
    let mut guest = Program::new();
    let mut places = Vec::new();
    for (index, (address, instruction)) in accesses.iter().enumerate() {
        guest.set(2, *address);
        guest.op(movn(1, 0));
        guest.label(&format!("access {index}"));
        places.push(guest.address(&format!("access {index}")));
        guest.op(*instruction);
    }
    guest.say("end\n");
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    assert!(out.ends_with("end\n"), "{out}");
    (places, taken(&out))
}

#[test]
fn addresses_without_memory_are_external_aborts() {
    let addresses = [
        0,
        0x07ff_fff8,
        // Between the interrupt controller, the devices and RAM, and behind it.
        0x0801_0000,
        0x080c_0000,
        0x0900_1000,
        0x0902_0000,
        0x1000_0000,
        0x3fff_fff8,
        0x4400_0000,
        0x80_0000_0000,
        0xff_ffff_fff8,
    ];
    let instructions = [
        (ldr(1, 2, 0), 0),
        (ldr_w(1, 2, 0), 0),
        (ldrb(1, 2, 0), 0),
        (str(1, 2, 0), WRITE),
        (strh(1, 2, 0), WRITE),
    ];
    let cases: Vec<(u64, (u32, u64))> =
        addresses.iter().flat_map(|address| instructions.iter().map(|i| (*address, *i))).collect();
    let accesses: Vec<(u64, u32)> = cases.iter().map(|(address, (word, _))| (*address, *word)).collect();
    let (places, taken) = access_each(&accesses);
    assert_eq!(taken.len(), cases.len());
    for (((address, (word, wnr)), place), got) in cases.iter().zip(places).zip(taken) {
        let want = Taken { vector: VECTOR, esr: EXTERNAL | wnr, elr: place, far: *address };
        assert_eq!(got, want, "{word:#010x} at {address:#x}");
    }
}

/// With the MMU off an address beyond the physical ones is an address size fault at level 0.
/// Arm ARM, AArch64.S1DisabledOutput.
#[test]
fn addresses_beyond_the_address_space_are_address_size_faults() {
    let addresses = [0x100_0000_0000, 0x8000_0000_0000, 0x00ff_ffff_ffff_fff8];
    for instruction in [ldr(1, 2, 0), str(1, 2, 0)] {
        let accesses = addresses.map(|address| (address, instruction));
        let (places, taken) = access_each(&accesses);
        let wnr = if instruction == str(1, 2, 0) { WRITE } else { 0 };
        let wants = addresses.iter().zip(places).map(|(address, place)| Taken {
            vector: VECTOR,
            esr: ADDRESS_SIZE | wnr,
            elr: place,
            far: *address,
        });
        assert_eq!(taken, wants.collect::<Vec<_>>());
    }
}

#[test]
fn jumps_to_nowhere_come_back_as_exceptions() {
    let targets: [(u64, u64); 9] = [
        (0, FETCH_EXTERNAL),
        (0x1000_0000, FETCH_EXTERNAL),
        (0x4400_0000, FETCH_EXTERNAL),
        (PL011, FETCH_EXTERNAL),
        (GICD, FETCH_EXTERNAL),
        (0x100_0000_0000, FETCH_ADDRESS_SIZE),
        (BASE + 2, PC_ALIGNMENT),
        (BASE + 0x1003, PC_ALIGNMENT),
        (0x1000_0001, PC_ALIGNMENT),
    ];
    let mut guest = Program::new();
    for (index, (target, _)) in targets.iter().enumerate() {
        let back = format!("back {index}");
        guest.resume_at(Some(&back));
        guest.set(2, *target);
        guest.op(br(2));
        guest.label(&back);
    }
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    let wants = targets.map(|(target, esr)| Taken { vector: VECTOR, esr, elr: target, far: target });
    assert_eq!(taken(&out), wants);
}

#[test]
fn read_only_registers_of_devices_keep_their_values() {
    // Address, value: PrimeCell manuals DDI 0183 and DDI 0224; GIC, GICD_PIDR2 and GICR_PIDR2 (architecture 3).
    let registers: [(u64, Option<u32>); 12] = [
        (PL011 + 0x018, Some(0x90)),
        (PL011 + 0x03c, None),
        (PL011 + 0x040, Some(0)),
        (PL011 + 0xfe0, Some(0x11)),
        (PL011 + 0xffc, Some(0xb1)),
        (PL031 + 0xfe0, Some(0x31)),
        (PL031 + 0xffc, Some(0xb1)),
        (GICD + 0x004, None),
        (GICD + 0x008, None),
        (GICD + 0xffe8, Some(0x3b)),
        (GICR + 0x008, None),
        (GICR + 0xffe8, Some(0x3b)),
    ];
    let mut guest = Program::new();
    for (address, _) in registers {
        guest.set(2, address);
        guest.op(ldr_w(3, 2, 0));
        guest.op(movn(1, 0));
        guest.op(str_w(1, 2, 0));
        guest.op(ldr_w(4, 2, 0));
        guest.print(3);
        guest.print(4);
    }
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    assert_eq!(taken(&out), []);
    let values = numbers(&out);
    for ((address, want), values) in registers.iter().zip(values.chunks(2)) {
        if let Some(want) = want {
            assert_eq!(values[0] & !0xc0, u64::from(*want) & !0xc0, "{address:#x}");
        }
        // RIS of the UART tells that characters went out meanwhile.
        if *address != PL011 + 0x03c {
            assert_eq!(values[0], values[1], "{address:#x}");
        }
    }
}

/// What an access to a device may come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// It works.
    Value,
    /// Only this.
    Abort(u64),
    /// Several elements in one access is no device access: an external abort.
    External,
    /// Nor is an exclusive or an atomic: the abort of an unsupported one.
    Unsupported,
}

/// Every form of access to a device register (the MMU is off: all is Device-nGnRnE memory).
#[test]
fn every_form_of_access_to_a_device_is_answered() {
    use Answer::{Abort, External, Unsupported, Value};
    let cases: &[(&str, u32, u64, Answer)] = &[
        ("ldrb w1, [x2]", ldrb(1, 2, 0), 0, Value),
        ("ldrb w1, [x2] + 3", ldrb(1, 2, 0), 3, Value),
        ("ldrh w1, [x2]", ldrh(1, 2, 0), 0, Value),
        ("ldrh w1, [x2] + 2", ldrh(1, 2, 0), 2, Value),
        ("ldr w1, [x2]", ldr_w(1, 2, 0), 0, Value),
        ("ldr x1, [x2]", ldr(1, 2, 0), 0, Value),
        ("ldrsb x1, [x2]", 0x3980_0041, 0, Value),
        ("ldrsh w1, [x2]", 0x79c0_0041, 0, Value),
        ("ldrsw x1, [x2]", 0xb980_0041, 0, Value),
        ("ldur w1, [x2, #-1] + 5", 0xb85f_f041, 5, Value),
        ("ldr wzr, [x2]", ldr_w(31, 2, 0), 0, Value),
        ("strb w1, [x2]", strb(1, 2, 0), 0, Value),
        ("strh w1, [x2]", strh(1, 2, 0), 0, Value),
        ("str w1, [x2]", str_w(1, 2, 0), 0, Value),
        ("str x1, [x2]", str(1, 2, 0), 0, Value),
        ("ldar w1, [x2]", 0x88df_fc41, 0, Value),
        ("stlr w1, [x2]", 0x889f_fc41, 0, Value),
        ("prfm pldl1keep, [x2]", 0xf980_0040, 0, Value),
        ("dc cvau, x2", msr(DC_CVAU, 2), 0, Value),
        ("dc civac, x2", msr(DC_CIVAC, 2), 0, Value),
        ("ldrh w1, [x2] + 1", ldrh(1, 2, 0), 1, Abort(ALIGNMENT)),
        ("ldr w1, [x2] + 2", ldr_w(1, 2, 0), 2, Abort(ALIGNMENT)),
        ("ldr x1, [x2] + 4", ldr(1, 2, 0), 4, Abort(ALIGNMENT)),
        ("str w1, [x2] + 1", str_w(1, 2, 0), 1, Abort(ALIGNMENT | WRITE)),
        ("ldp x1, x3, [x2] + 4", 0xa940_0c41, 4, Abort(ALIGNMENT)),
        ("ldr q1, [x2] + 8", 0x3dc0_0041, 8, Abort(ALIGNMENT)),
        ("ldxr x1, [x2] + 4", ldxr(1, 2), 4, Abort(ALIGNMENT)),
        ("ldr x1, [x2], #8", ldr_next(1, 2), 0, Value),
        ("str x1, [x2], #8", str_next(1, 2), 0, Value),
        ("ldp x1, x3, [x2]", 0xa940_0c41, 0, Value),
        ("stp x1, x3, [x2]", 0xa900_0c41, 0, Value),
        ("ldp w1, w3, [x2]", 0x2940_0c41, 0, Value),
        ("ldr q1, [x2]", 0x3dc0_0041, 0, Value),
        ("str q1, [x2]", 0x3d80_0041, 0, Value),
        ("ldr d1, [x2]", 0xfd40_0041, 0, Value),
        ("str s1, [x2]", 0xbd00_0041, 0, Value),
        ("ld1 {v1.16b}, [x2]", 0x4c40_7041, 0, External),
        ("st1 {v1.4s, v2.4s}, [x2]", 0x4c00_a841, 0, External),
        ("ldxr x1, [x2]", ldxr(1, 2), 0, Unsupported),
        ("ldaxr w1, [x2]", 0x885f_fc41, 0, Unsupported),
        ("ldxp x1, x3, [x2]", 0xc87f_0c41, 0, Unsupported),
        ("ldadd x1, x3, [x2]", ldadd(1, 3, 2), 0, Unsupported),
        ("swp w1, w3, [x2]", 0xb821_8043, 0, Unsupported),
        ("cas x1, x3, [x2]", 0xc8a1_7c43, 0, Unsupported),
        ("casp x0, x1, x4, x5, [x2]", 0x4820_7c44, 0, Unsupported),
    ];
    // Aligned registers without side effects: UARTILPR, RTCIMSC, GICD_IPRIORITYR of SPIs,
    // GICR_IPRIORITYR of PPIs.
    for register in [PL011 + 0x20, PL031 + 0x10, GICD + 0x440, GICR + 0x1_0410] {
        let accesses: Vec<(u64, u32)> = cases.iter().map(|case| (register + case.2, case.1)).collect();
        let (places, taken) = access_each(&accesses);
        for ((text, _, offset, want), place) in cases.iter().zip(places) {
            let got = taken.iter().find(|taken| taken.elr == place);
            let name = format!("{text} at {register:#x}");
            match want {
                Value => assert_eq!(got, None, "{name}"),
                Abort(esr) => {
                    let got = got.unwrap_or_else(|| panic!("{name}: no exception"));
                    assert_eq!((got.vector, got.esr, got.far), (VECTOR, *esr, register + offset), "{name}");
                }
                External | Unsupported => {
                    let got = got.unwrap_or_else(|| panic!("{name}: no exception"));
                    assert_eq!((got.vector, got.far), (VECTOR, register + offset), "{name}");
                    // Whether an atomic that was not done is a read or a write is not said.
                    let esr = if *want == External { EXTERNAL } else { UNSUPPORTED };
                    assert_eq!(got.esr & !WRITE, esr, "{name}");
                }
            }
        }
    }
}

/// A store exclusive without the monitor fails before it looks at memory, or aborts; it is never taken.
#[test]
fn a_store_exclusive_to_a_device_is_not_done() {
    let mut guest = Program::new();
    guest.set(2, PL031 + 4);
    guest.set(1, 0x1234_5678);
    guest.op(str_w(1, 2, 0));
    guest.set(3, 0xff);
    // stxr w3, w4, [x2]
    guest.op(0x8803_7c44);
    guest.op(ldr_w(5, 2, 0));
    guest.print(5);
    guest.power_off();
    assert_eq!(numbers(&boot(&guest.image(), &[]).out), [0x1234_5678]);
}

#[test]
fn instructions_that_are_none_are_undefined() {
    // EC 0 with IL; BRK has a class of its own, with its immediate.
    let cases: &[(&str, u32, u64)] = &[
        ("udf #0", 0, 0x0200_0000),
        ("all ones", 0xffff_ffff, 0x0200_0000),
        ("hlt #0", 0xd440_0000, 0x0200_0000),
        ("dcps1", 0xd4a0_0001, 0x0200_0000),
        ("mrs x1, hcr_el2", mrs(1, encoding(3, 4, 1, 1, 0)), 0x0200_0000),
        ("mrs x1, scr_el3", mrs(1, encoding(3, 6, 1, 1, 0)), 0x0200_0000),
        ("msr midr_el1, x1", msr(MIDR_EL1, 1), 0x0200_0000),
        ("brk #1", brk(1), 0xf200_0001),
        ("brk #0xffff", brk(0xffff), 0xf200_ffff),
        ("svc #0x123", svc(0x123), 0x5600_0123),
    ];
    let mut guest = Program::new();
    for (index, (_, word, _)) in cases.iter().enumerate() {
        let back = format!("back {index}");
        guest.resume_at(Some(&back));
        guest.op(*word);
        guest.label(&back);
    }
    guest.power_off();
    let taken = taken(&boot(&guest.image(), &[]).out);
    assert_eq!(taken.len(), cases.len());
    for ((text, _, esr), got) in cases.iter().zip(taken) {
        assert_eq!((got.vector, got.esr), (VECTOR, *esr), "{text}");
    }
}

/// Tables of the upper half in places where there are none. TTBR0 keeps the program mapped.
#[test]
fn absurd_tables_fault_at_the_level_they_fail_at() {
    /// T1SZ 25: 39 bits, level 1 first; TG1 4 KiB.
    const TCR1: u64 = TCR & !(1 << 23) | 25 << 16 | 2 << 30;
    const HIGH: u64 = 0xffff_ff80_0000_0000;
    let mut guest = Program::new();
    guest.mmu_on(None);
    // Every entry of `table` points at `table`: level 1 and 2 go round, level 3 maps the table itself.
    guest.to("table", |o| adr(4, o));
    guest.set(5, 3 | 1 << 10 | 3 << 8 | 1 << 2);
    guest.op(orr(5, 4, 5));
    guest.repeat(3, 512, |guest| {
        guest.op(str_next(5, 4));
    });
    guest.data("table", 4096, vec![0; 4096]);
    let steps: &[(&str, u64, Option<u64>, u64)] = &[
        // Name, TCR, TTBR1 (the table if none), fault status.
        ("nothing there", TCR1, Some(0x1000_0000), 0x15),
        ("a device", TCR1, Some(PL011), 0x15),
        ("the distributor", TCR1, Some(GICD), 0x15),
        ("beyond IPS", TCR1, Some(0x100_0000_0000), 0x00),
        ("walks off", TCR1 | 1 << 23, Some(0x1000_0000), 0x04),
        ("level 0 first", TCR1 & !(63 << 16) | 16 << 16, Some(0x1000_0000), 0x14),
        ("level 2 first", TCR1 & !(63 << 16) | 39 << 16, Some(0x1000_0000), 0x16),
        ("zeros", TCR1, Some(0x4200_0000), 0x05),
    ];
    for (index, (_, tcr, ttbr, _)) in steps.iter().enumerate() {
        guest.write(TCR_EL1, *tcr);
        guest.write(TTBR1_EL1, ttbr.unwrap_or(0));
        guest.ops(&[ISB, msr(TLBI_VMALLE1, ZR), DSB, ISB]);
        // An address that the smallest of these halves has.
        guest.set(2, if index == 6 { 0xffff_ffff_fe00_0000 } else { HIGH });
        guest.op(ldr(1, 2, 0));
    }
    guest.say("round\n");
    guest.write(TCR_EL1, TCR1);
    guest.to("table", |o| adr(4, o));
    guest.op(msr(TTBR1_EL1, 4));
    guest.ops(&[ISB, msr(TLBI_VMALLE1, ZR), DSB, ISB]);
    guest.set(2, HIGH);
    guest.op(ldr(1, 2, 0x7f8));
    guest.op(sub(1, 1, 4));
    guest.print(1);
    guest.power_off();
    let out = boot(&guest.image(), &[]).out;
    let (faults, round) = out.split_once("round\n").expect("the guest lives");
    let taken = taken(faults);
    assert_eq!(taken.len(), steps.len(), "{out}");
    for ((name, _, _, status), got) in steps.iter().zip(taken) {
        assert_eq!((got.vector, got.esr), (VECTOR, 0x9600_0000 | status), "{name}");
    }
    assert_eq!(numbers(round), [0x707], "a descriptor of the table, less the table's address");
}
