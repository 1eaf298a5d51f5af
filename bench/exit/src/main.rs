//! What the core does between an exit and the next entry, through its Rust traits: `bench-exit KIND COUNT [ROUNDS]`.
//!
//! The back end is as small as one can be: registers in an array, and an `enter` that reports the same exit each time.
//! `cargo xtask bench exit` runs it, under callgrind for instructions and by itself for time, and `exit.c` beside it, which
//! is the same through the C table. `search` is what KVM does first with a trapped register: a binary search.

use arm_arch::sysreg::{SysRegId, names};
use arm_arch::trap::trap_rows;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;
use vcpu_core::{Config, Vcpu, Vm};
use xarch_abi::{
    AccessCause, Bank, DeviceAccess, DeviceAnswer, Direction, Exit, Guest, GuestPa, MemoryAccess, Next,
    Platform, RegId, RegisterError, Registers, Slot, Trap, VcpuIndex,
};

const CODE: u64 = 0x4000_0000;
const DEVICE: u64 = 0x0900_0000;
const VIRTUAL_TIMER: u32 = names::CNTV_CTL_EL0.into_bits() as u32;
const PHYSICAL_TIMER: u32 = names::CNTP_CTL_EL0.into_bits() as u32;
const SYSTEM_CONTROL: u32 = names::SCTLR_EL1.into_bits() as u32;

/// Registers of a host: those of every exit at once, the others wherever.
struct Machine {
    pc: u64,
    status: u64,
    general: [u64; 32],
    timers: [u64; 2],
    /// Which byte order a device access has is asked of it.
    system_control: u64,
    others: HashMap<RegId, u128>,
}

impl Registers for Machine {
    #[inline(always)]
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        Ok(match (id.bank, id.index) {
            (Bank::GENERAL, number @ 0..32) => self.general[number as usize],
            (Bank::CORE, 0) => self.pc,
            (Bank::CORE, 1) => self.status,
            (Bank::SYSTEM, VIRTUAL_TIMER) => self.timers[0],
            (Bank::SYSTEM, PHYSICAL_TIMER) => self.timers[1],
            (Bank::SYSTEM, SYSTEM_CONTROL) => self.system_control,
            _ => return self.read_other(id),
        })
    }

    #[inline(always)]
    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        match (id.bank, id.index) {
            (Bank::GENERAL, number @ 0..32) => self.general[number as usize] = value,
            (Bank::CORE, 0) => self.pc = value,
            (Bank::CORE, 1) => self.status = value,
            (Bank::SYSTEM, VIRTUAL_TIMER) => self.timers[0] = value,
            (Bank::SYSTEM, PHYSICAL_TIMER) => self.timers[1] = value,
            (Bank::SYSTEM, SYSTEM_CONTROL) => self.system_control = value,
            _ => {
                self.others.insert(id, u128::from(value));
            }
        }
        Ok(())
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        self.others.insert(id, value);
        Ok(())
    }
}

impl Machine {
    fn new() -> Self {
        Self { pc: 0, status: 0, general: [0; 32], timers: [0; 2], system_control: 0, others: HashMap::new() }
    }

    #[inline(never)]
    fn read_other(&self, id: RegId) -> Result<u64, RegisterError> {
        let value =
            self.others.get(&id).copied().unwrap_or(if id.bank == Bank::HOST_LIMIT { 0x1111 } else { 0 });
        u64::try_from(value).map_err(|_| RegisterError::Wide(id))
    }

    #[inline(never)]
    fn enter(&mut self, exit: &Exit) -> Exit {
        self.pc = CODE;
        // PSCI_VERSION: the answer goes where the question was.
        self.general[0] = 0x8400_0000;
        *exit
    }
}

struct Devices;

impl Platform for Devices {
    fn slot(&self, _: GuestPa) -> Option<Slot> {
        None
    }

    #[inline(never)]
    fn device(&self, _: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        Some(DeviceAnswer::Value(access.address.value()))
    }

    fn kick(&self, _: VcpuIndex) {}
}

/// The loop of a back end, as `xarch_abi::BackendVcpu::run` describes it.
#[inline(never)]
fn run_loop(guest: &mut Vcpu<'_>, machine: &mut Machine, exits: &[Exit], count: u64) {
    let platform = Devices;
    let mut which = exits.iter().cycle();
    for _ in 0..count {
        let mut next = guest.before_entry(machine, &platform);
        if matches!(next, Next::Resume) {
            let exit = machine.enter(black_box(which.next().unwrap_or(&Exit::Stop)));
            next = guest.on_exit(machine, &platform, exit);
        }
        match next {
            Next::Resume => {}
            Next::Device(access, token) => {
                if let Some(answer) = platform.device(VcpuIndex(0), &access) {
                    guest.complete(machine, token, answer).expect("the access waits");
                }
            }
            Next::Wait { .. } | Next::Stop(_) => panic!("{next:?}"),
        }
    }
}

/// An entry as KVM's are shaped: the encoding in parts, and what is done with the register.
#[derive(Clone, Copy)]
struct Described {
    name: &'static str,
    parts: [u8; 5],
    access: fn(u64) -> u64,
    reset: fn(u64) -> u64,
    number: u32,
    value: u64,
}

impl Described {
    #[inline(always)]
    fn encoding(&self) -> u32 {
        let [op0, op1, crn, crm, op2] = self.parts.map(u32::from);
        op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
    }
}

fn described(id: SysRegId) -> Described {
    let parts = [id.op0(), id.op1(), id.crn(), id.crm(), id.op2()];
    Described { name: "", parts, access: |v| v, reset: |v| v, number: 0, value: 0 }
}

/// A binary search as C's, by halves of what is left.
#[inline(never)]
fn run_search(table: &[Described], keys: &[SysRegId], count: u64) {
    let mut which = keys.iter().cycle();
    for _ in 0..count {
        let key = described(*black_box(which.next().unwrap_or(&names::MIDR_EL1))).encoding();
        let (mut rest, mut found) = (table, None);
        while !rest.is_empty() {
            let middle = rest.len() / 2;
            let entry = &rest[middle];
            match key.cmp(&entry.encoding()) {
                std::cmp::Ordering::Equal => {
                    found = Some(entry);
                    break;
                }
                std::cmp::Ordering::Greater => rest = &rest[middle + 1..],
                std::cmp::Ordering::Less => rest = &rest[..middle],
            }
        }
        black_box(found.map(|entry| (entry.access)(entry.value) + u64::from(entry.number)).unwrap_or(0));
    }
}

/// What is read: identification, as Linux does when it starts.
const READ: [SysRegId; 6] = [
    names::ID_AA64PFR0_EL1,
    names::ID_AA64MMFR0_EL1,
    names::ID_AA64ISAR0_EL1,
    names::ID_AA64DFR0_EL1,
    names::ID_AA64ISAR1_EL1,
    names::ID_AA64MMFR2_EL1,
];

fn exits(kind: &str) -> Vec<Exit> {
    let trap = |syndrome| Exit::Trap(Trap { syndrome, fault_address: 0 });
    match kind {
        // MRS X3.
        "id" => READ.iter().map(|id| trap(0x6200_0001 | u64::from(id.into_iss()) | 3 << 5)).collect(),
        "psci" => vec![trap(0x5a00_0000)],
        // LDR W3 with ISV, a translation fault at level 3.
        "mmio" => vec![Exit::Access(MemoryAccess {
            address: GuestPa::new(DEVICE),
            size: None,
            direction: Direction::Read,
            cause: AccessCause::NoSlot,
            trap: Trap { syndrome: 0x9383_8007, fault_address: DEVICE },
            walk_level: None,
        })],
        "spurious" => vec![Exit::Spurious],
        _ => panic!("id, psci, mmio, spurious or search"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kind = arguments.first().map_or("", String::as_str);
    let count: u64 = arguments.get(1).and_then(|count| count.parse().ok()).expect("a count");
    let rounds: u32 = arguments.get(2).map_or(1, |rounds| rounds.parse().expect("a number of rounds"));

    let mut ids: Vec<SysRegId> = trap_rows().map(|row| row.id).collect();
    ids.sort_by_key(|id| described(*id).encoding());
    ids.dedup();
    let table: Vec<Described> = ids.iter().map(|id| described(*id)).collect();
    assert!(READ.iter().all(|id| ids.contains(id)), "what is read is in the table");
    let used = table.iter().map(|entry| entry.name.len() as u64 + (entry.reset)(entry.value)).sum::<u64>();

    let vm: Vm = Vm::new(Config::new(1)).expect("one vCPU");
    let mut guest = Vcpu::new(&vm, VcpuIndex(0)).expect("vCPU 0");
    let mut machine = Machine::new();
    guest.reset(&mut machine).expect("reset");
    guest.boot(&mut machine, CODE, [0; 4]).expect("boot");
    let exits = if kind == "search" { Vec::new() } else { exits(kind) };
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        if kind == "search" {
            run_search(&table, &READ, count);
        } else {
            run_loop(&mut guest, &mut machine, &exits, count);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / count as f64);
    }
    println!("{kind} {best:.3} ns {} registers {}", table.len(), used + machine.general[3]);
}
