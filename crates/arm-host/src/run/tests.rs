//! The loop, with a CPU that does what it is told.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "test code"
)]
extern crate std;
use super::*;
use crate::control::Form;
use crate::machine::AddressSpace;
use crate::testing::{Call, Calls, Memory, StdLock};
use crate::vm::{Config, Interrupts};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;
use xarch_abi::{
    Backend, CompletionError, DeviceAccess, DeviceAnswer, GuestRange, HostPa, Next, Slot, Token, Writable,
};

/// What the guest does, one after the other: exception, ESR, FAR, HPFAR.
type Step = (Exception, u64, u64, u64);

/// What was done to the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Enter,
    Drop(u32),
    Deactivate(u32),
    Handle(u32),
    DropCached,
    Space(u64, u64),
}

#[derive(Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    pending: VecDeque<u32>,
    registers: BTreeMap<SysRegId, u64>,
    stage_1: Option<u64>,
    /// While the guest runs, it writes these.
    guest_writes: Vec<(SysRegId, u64)>,
    done: Vec<Done>,
    vectors: [u128; 32],
    space: (AddressSpace, u64),
    /// What the registers were at the last entry.
    inside: BTreeMap<SysRegId, u64>,
    /// Floating point was used where CPTR_EL2, with FEAT_VHE, traps it.
    trapped: bool,
}

impl Script {
    /// Notes a use of floating point.
    fn use_floating_point(&mut self) {
        let access = self.registers.get(&names::CPTR_EL2).copied().unwrap_or(0);
        self.trapped |= CptrEl2::from_bits(access).fpen() != arm_arch::sysreg::FpEnable::All;
    }
}

struct ScriptedCpu<'a>(&'a RefCell<Script>, Form);

impl Cpu for ScriptedCpu<'_> {
    fn number(&self) -> CpuNumber {
        CpuNumber(3)
    }
    fn form(&self) -> Form {
        self.1
    }
    fn enter(&mut self, context: &mut Context) -> Exception {
        let mut script = self.0.borrow_mut();
        script.done.push(Done::Enter);
        script.inside = script.registers.clone();
        let writes = core::mem::take(&mut script.guest_writes);
        script.registers.extend(writes);
        let (exception, esr, far, hpfar) = script.steps.pop_front().unwrap();
        (context.esr, context.far, context.hpfar) = (esr, far, hpfar);
        exception
    }
    fn read(&mut self, register: SysRegId) -> u64 {
        if register == names::FPCR {
            self.0.borrow_mut().use_floating_point();
        }
        self.0.borrow().registers.get(&register).copied().unwrap_or(0)
    }
    fn write(&mut self, register: SysRegId, value: u64) {
        if register == names::FPCR {
            self.0.borrow_mut().use_floating_point();
        }
        self.0.borrow_mut().registers.insert(register, value);
    }
    fn store_vectors(&mut self, vectors: &mut [u128; 32]) {
        self.0.borrow_mut().use_floating_point();
        *vectors = self.0.borrow().vectors;
    }
    fn load_vectors(&mut self, vectors: &[u128; 32]) {
        self.0.borrow_mut().use_floating_point();
        self.0.borrow_mut().vectors = *vectors;
    }
    fn address_space(&mut self) -> (AddressSpace, u64) {
        self.0.borrow().space
    }
    fn set_address_space(&mut self, space: AddressSpace, offset: u64) {
        self.0.borrow_mut().space = (space, offset);
        self.0.borrow_mut().done.push(Done::Space(space.vttbr >> 48, offset));
    }
    fn drop_cached(&mut self) {
        self.0.borrow_mut().done.push(Done::DropCached);
    }
    fn stage_1(&mut self, _: u64) -> Option<u64> {
        self.0.borrow().stage_1
    }
    fn acknowledge(&mut self) -> Option<Intid> {
        self.0.borrow_mut().pending.pop_front().map(Intid)
    }
    fn drop_priority(&mut self, interrupt: Intid) {
        self.0.borrow_mut().done.push(Done::Drop(interrupt.0));
    }
    fn deactivate(&mut self, interrupt: Intid) {
        self.0.borrow_mut().done.push(Done::Deactivate(interrupt.0));
    }
    fn handle(&mut self, interrupt: Intid) {
        self.0.borrow_mut().done.push(Done::Handle(interrupt.0));
    }
}

/// A guest side that writes down what it is asked, and ends the run after so many exits.
#[derive(Default)]
struct Asked {
    exits: Vec<Exit>,
    left: usize,
    /// What it does to registers at an exit.
    writes: Vec<(RegId, u64)>,
    reads: Vec<(RegId, u64)>,
}

impl Guest for Asked {
    fn before_entry<R: Registers, P: Platform>(&mut self, _: &mut R, _: &P) -> Next {
        if self.left == 0 { Next::Stop(StopReason::PowerOff) } else { Next::Resume }
    }
    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, _: &P, exit: Exit) -> Next {
        self.exits.push(exit);
        self.left -= 1;
        for (id, value) in &self.writes {
            registers.write(*id, *value).unwrap();
        }
        for (id, value) in &mut self.reads {
            *value = registers.read(*id).unwrap();
        }
        Next::Resume
    }
    fn before_observe<R: Registers>(&mut self, _: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }
    fn complete<R: Registers>(
        &mut self,
        _: &mut R,
        token: Token,
        _: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        Err(CompletionError::NotWaiting(token))
    }
    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        registers.read(id)
    }
    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        registers.write(id, value)
    }
    fn reset<R: Registers>(&mut self, _: &mut R) -> Result<(), RegisterError> {
        Ok(())
    }
}

struct Embedder(Slot);

impl Platform for Embedder {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.0.guest.contains(address).then_some(self.0)
    }
    fn device(&self, _: VcpuIndex, _: &DeviceAccess) -> Option<DeviceAnswer> {
        None
    }
    fn kick(&self, _: VcpuIndex) {}
}

type TestVm<'a> = Vm<&'a Calls, &'a Memory, StdLock<Tables>>;

const RAM: Slot = Slot {
    guest: match GuestRange::new(GuestPa::new(0x4000_0000), 0x20_0000) {
        Some(range) => range,
        None => panic!("a range"),
    },
    host: HostPa::new(0x8000_0000),
    writable: Writable::Yes,
};

/// ID_AA64MMFR0_EL1 of 48 bits, HCX, four list registers with five bits, a count.
fn script() -> RefCell<Script> {
    let registers = [
        (names::ID_AA64MMFR0_EL1, 5),
        (names::ID_AA64MMFR1_EL1, 1 << 40),
        (names::ICH_VTR_EL2, 4 << 29 | 4 << 26 | 3),
        (names::CNTPCT_EL0, 1000),
    ];
    RefCell::new(Script { registers: registers.into(), ..Script::default() })
}

struct Host {
    calls: Calls,
    memory: Memory,
}

impl Host {
    fn new() -> Self {
        Self { calls: Calls::default(), memory: Memory::new(0x4_0000) }
    }

    fn vm<'a>(&'a self, script: &'a RefCell<Script>) -> TestVm<'a> {
        let config = Config {
            address_bits: 40,
            vcpus: 2,
            vmid: 9,
            storage: (HostPa::new(0x1_0000), 0x2_0000),
            interrupts: Interrupts::default(),
        };
        let vm = Vm::new(&mut ScriptedCpu(script, Form::Vhe), &self.calls, &self.memory, config).unwrap();
        vm.add_slot(&RAM).unwrap();
        self.calls.take();
        vm
    }
}

/// Runs vCPU 0 until its guest side was asked `exits` times.
fn run(steps: &[Step], asked: &mut Asked, exits: usize, prepare: impl FnOnce(&mut Script)) -> Vec<Done> {
    let (host, script) = (Host::new(), script());
    let vm = host.vm(&script);
    script.borrow_mut().steps.extend(steps);
    prepare(&mut script.borrow_mut());
    let mut vcpu = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(0)).unwrap();
    asked.left = exits;
    assert_eq!(vcpu.run(asked, &Embedder(RAM)), Outcome::Stopped(StopReason::PowerOff));
    core::mem::take(&mut script.borrow_mut().done)
}

#[test]
fn syndromes_are_faults_of_stage_2_or_none() {
    use Direction::{Fetch, Read, Write};
    const WORD: Option<AccessSize> = Some(AccessSize::Word);
    let fault = |wanted, direction, size, has_address| Some(Fault { wanted, direction, size, has_address });
    // ESR_EL2: EC \[31:26\], IL; ISV 24, SAS 23:22, CM 8, S1PTW 7, WnR 6, status. Arm ARM, ESR_EL2.
    let cases = [
        ("load, translation, level 2", 0x9200_0006, fault(Wanted::Load, Read, None, true)),
        ("load of a word with syndrome", 0x9385_0006, fault(Wanted::Load, Read, WORD, true)),
        ("store of a word with syndrome", 0x9385_0046, fault(Wanted::Store, Write, WORD, true)),
        ("store, permission, level 3", 0x9200_004f, fault(Wanted::Store, Write, None, false)),
        ("load, access flag", 0x9200_000b, fault(Wanted::Load, Read, None, true)),
        ("fetch, translation", 0x8200_0007, fault(Wanted::Load, Fetch, None, true)),
        ("walk for a load, translation", 0x9200_0086, fault(Wanted::Load, Read, None, true)),
        ("walk that sets a flag, permission", 0x9200_008f, fault(Wanted::Store, Read, None, true)),
        ("walk for a fetch that sets a flag", 0x8200_008f, fault(Wanted::Store, Fetch, None, true)),
        ("cache maintenance, translation", 0x9200_0146, fault(Wanted::Load, Write, None, true)),
        ("cache maintenance that wants a store", 0x9200_014e, fault(Wanted::Store, Write, None, false)),
        ("address size", 0x9200_0001, fault(Wanted::Load, Read, None, true)),
        ("external abort", 0x9200_0010, None),
        ("abort of EL2 itself", 0x9600_0006, None),
        ("HVC", 0x5a00_0000, None),
        ("MRS", 0x6230_006f, None),
        ("reserved status", 0x9200_003f, None),
    ];
    for (name, esr, want) in cases {
        assert_eq!(Fault::decode(esr), want, "{name}");
    }
}

#[test]
fn memory_in_a_slot_is_mapped_without_asking() {
    let mut asked = Asked::default();
    let steps = [
        (Exception::Synchronous, 0x9200_0006, 0xffff_0123, 0x40_0010),
        (Exception::Synchronous, 0x5a00_0000, 0, 0),
    ];
    run(&steps, &mut asked, 1, |_| {});
    assert_eq!(asked.exits, [Exit::Trap(Trap { syndrome: 0x5a00_0000, fault_address: 0 })]);
}

#[test]
fn an_access_outside_ram_comes_with_its_address() {
    let mut asked = Asked::default();
    // HPFAR_EL2.FIPA holds bits [55:12] from bit 4 on.
    let device = (Exception::Synchronous, 0x9385_0046, 0xffff_8000_1234_5018, 0x9_0000);
    let beyond = (Exception::Synchronous, 0x9200_0006, 0x18, 1 << 36);
    run(&[device, beyond], &mut asked, 2, |_| {});
    let first = MemoryAccess {
        address: GuestPa::new(0x0900_0018),
        size: Some(AccessSize::Word),
        direction: Direction::Write,
        cause: AccessCause::NoSlot,
        trap: Trap { syndrome: 0x9385_0046, fault_address: 0xffff_8000_1234_5018 },
        walk_level: None,
    };
    let second = MemoryAccess {
        address: GuestPa::new(1 << 44 | 0x18),
        size: None,
        direction: Direction::Read,
        cause: AccessCause::OutOfRange,
        trap: Trap { syndrome: 0x9200_0006, fault_address: 0x18 },
        walk_level: None,
    };
    assert_eq!(asked.exits, [Exit::Access(first), Exit::Access(second)]);
}

#[test]
fn a_permission_fault_asks_the_guests_own_tables_for_the_address() {
    let store = (Exception::Synchronous, 0x9200_004f, 0x7777_7abc, 0xdead_0000);
    let hvc = (Exception::Synchronous, 0x5a00_0000, 0, 0);
    let mut asked = Asked::default();
    run(&[store], &mut asked, 1, |script| script.stage_1 = Some(0x0a00_0000));
    let [Exit::Access(access)] = asked.exits[..] else { unreachable!("{:?}", asked.exits) };
    assert_eq!(access.address, GuestPa::new(0x0a00_0abc));
    // The tables changed meanwhile: the guest tries again.
    let mut asked = Asked::default();
    run(&[store, hvc], &mut asked, 1, |script| script.stage_1 = None);
    assert!(matches!(asked.exits[..], [Exit::Trap(_)]));
}

#[test]
fn a_timers_interrupt_stays_active_until_its_line_is_low() {
    let irq = (Exception::Interrupt, 0, 0, 0);
    let hvc = (Exception::Synchronous, 0x5a00_0000, 0, 0);
    let mut asked = Asked::default();
    // ENABLE and ISTATUS; the guest turns it off in its second run.
    let done = run(&[irq, hvc, hvc], &mut asked, 3, |script| {
        script.pending.push_back(27);
        script.guest_writes.push((names::CNTV_CTL_EL0, 5));
    });
    assert_eq!(asked.exits[0], Exit::Timer(TimerSet::VIRTUAL));
    let first: Vec<_> =
        done.iter().filter(|done| !matches!(done, Done::Space(..) | Done::DropCached)).collect();
    let wants = [&Done::Enter, &Done::Drop(27), &Done::Enter, &Done::Enter, &Done::Deactivate(27)];
    assert_eq!(first, wants, "high to the end: given back with the CPU");

    let mut asked = Asked { writes: std::vec![(RegId::system(0xdf19), 2)], ..Asked::default() };
    let done = run(&[irq, hvc], &mut asked, 2, |script| {
        script.pending.push_back(27);
        script.guest_writes.push((names::CNTV_CTL_EL0, 5));
    });
    let first: Vec<_> =
        done.iter().filter(|done| !matches!(done, Done::Space(..) | Done::DropCached)).collect();
    assert_eq!(first, [&Done::Enter, &Done::Drop(27), &Done::Deactivate(27), &Done::Enter]);
}

#[test]
fn interrupts_are_told_apart() {
    let irq = (Exception::Interrupt, 0, 0, 0);
    for (pending, want, handled) in [
        (Some(30), Exit::Timer(TimerSet::PHYSICAL), None),
        (Some(25), Exit::Maintenance, None),
        (Some(0), Exit::Spurious, None),
        (Some(33), Exit::Spurious, Some(Done::Handle(33))),
        (None, Exit::Spurious, None),
    ] {
        let mut asked = Asked::default();
        let done = run(&[irq], &mut asked, 1, |script| script.pending.extend(pending));
        assert_eq!(asked.exits, [want], "{pending:?}");
        let found = done.iter().find(|done| matches!(done, Done::Handle(_))).copied();
        assert_eq!(found, handled, "{pending:?}");
        let ends = done.iter().filter(|done| matches!(done, Done::Deactivate(_))).count();
        assert_eq!(ends, usize::from(pending.is_some()), "{pending:?}");
    }
    let mut asked = Asked::default();
    run(&[(Exception::SError, 0, 0, 0)], &mut asked, 1, |_| {});
    assert_eq!(asked.exits, [Exit::Unknown(3)]);
}

#[test]
fn cpacr_el1_is_here_while_it_traps_and_lets_vectors_through_to_el2() {
    let (cptr, cpacr) = (RegId::control(0xe08a), RegId::system(0xc082));
    // ID_AA64PFR0_EL1.SVE, ID_AA64PFR1_EL1.SME; FPEN; TCPAC with FPEN.
    let cases = [
        ("no vectors", 0, 0, 0x8030_0000, 0x30_0000, 0x30_0000),
        ("SVE", 1 << 32, 0, 0x8030_0000, 0x10_0000, 0x13_0000),
        ("SVE and SME", 1 << 32, 1 << 24, 0x8030_0000, 0x30_0000, 0x333_0000),
        ("no trap", 1 << 32, 1 << 24, 0x0030_0000, 0x30_0000, 0x30_0000),
    ];
    for (name, pfr0, pfr1, controls, written, on_cpu) in cases {
        let (host, script) = (Host::new(), script());
        script.borrow_mut().registers.insert(names::ID_AA64PFR0_EL1, pfr0);
        script.borrow_mut().registers.insert(names::ID_AA64PFR1_EL1, pfr1);
        let vm = host.vm(&script);
        let mut vcpu = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(0)).unwrap();
        vcpu.write(cptr, controls).unwrap();
        vcpu.write(cpacr, written).unwrap();
        script.borrow_mut().steps.push_back((Exception::Synchronous, 0x5a00_0000, 0, 0));
        let mut asked = Asked { left: 1, reads: std::vec![(cpacr, 0)], ..Asked::default() };
        assert_eq!(vcpu.run(&mut asked, &Embedder(RAM)), Outcome::Stopped(StopReason::PowerOff), "{name}");
        assert_eq!(asked.reads, [(cpacr, written)], "{name}, inside");
        assert_eq!(script.borrow().inside[&names::CPACR_EL1], on_cpu, "{name}, on the CPU");
        assert_eq!(vcpu.read(cpacr), Ok(written), "{name}, outside");
        // The trap goes on and off while the vCPU is on the CPU; nothing is lost, and the CPU has what it should.
        let mut loaded = vcpu.load();
        loaded.write(cptr, controls ^ 0x8000_0000).unwrap();
        assert_eq!(loaded.read(cpacr), Ok(written), "{name}, the other way");
        loaded.write(cptr, controls).unwrap();
        assert_eq!(loaded.read(cpacr), Ok(written), "{name}, and back");
        assert_eq!(script.borrow().registers[&names::CPACR_EL1], on_cpu, "{name}, back on the CPU");
    }
}

#[test]
fn registers_are_where_the_table_says() {
    let (host, script) = (Host::new(), script());
    let vm = host.vm(&script);
    let mut vcpu = Vcpu::new(&vm, ScriptedCpu(&script, Form::Classic), VcpuIndex(0)).unwrap();
    let (hcr, sctlr, pauth) = (RegId::control(0xe088), RegId::system(0xc080), RegId::system(0xc108));
    vcpu.write(hcr, 0x0402_000c_801f_603c).unwrap();
    vcpu.write(sctlr, 0x30d0_0800).unwrap();
    assert_eq!(vcpu.write(pauth, 1), Err(RegisterError::Unknown(pauth)), "this CPU has no keys");
    assert_eq!(vcpu.read(RegId::system(0xdf01)), Ok(1000), "CNTPCT_EL0 is the machine's");
    assert_eq!(vcpu.read(RegId::system(0xdf02)), Ok(0), "CNTVCT_EL0 starts at 0");
    script.borrow_mut().steps.push_back((Exception::Synchronous, 0x5a00_0000, 0, 0));
    script.borrow_mut().guest_writes.push((names::SCTLR_EL1, 0x30d0_1805));
    let mut asked = Asked { left: 1, reads: std::vec![(hcr, 0), (sctlr, 0)], ..Asked::default() };
    assert_eq!(vcpu.run(&mut asked, &Embedder(RAM)), Outcome::Stopped(StopReason::PowerOff));
    assert_eq!(asked.reads, [(hcr, 0x0402_000c_801f_603c), (sctlr, 0x30d0_1805)]);
    assert_eq!(vcpu.read(sctlr), Ok(0x30d0_1805), "the guest's value came back with it");
    let script = script.borrow();
    assert_eq!(script.inside[&names::HCR_EL2], 0x0402_0008_801f_603d, "with stage 2, without E2H");
    assert_eq!(script.inside.get(&names::ICH_LR3_EL2), Some(&0));
    assert_eq!(script.inside.get(&names::ICH_LR4_EL2), None, "there are four");
    assert_eq!(script.registers.get(&names::ICH_LR4_EL2), None, "there are four");
}

#[test]
fn the_cpu_is_after_a_run_what_it_was_before() {
    for form in [Form::Classic, Form::Vhe] {
        let (host, script) = (Host::new(), script());
        // As many of everything as there can be, so that all of the table counts.
        let equipment = [
            (names::ICH_VTR_EL2, 6 << 29 | 6 << 26 | 15),
            (names::ID_AA64DFR0_EL1, 0x00f0_f106),
            (names::ID_AA64ISAR1_EL1, 0x10),
            (names::ID_AA64MMFR0_EL1, 1 << 56 | 5),
        ];
        script.borrow_mut().registers.extend(equipment);
        let vm = host.vm(&script);
        let mut vcpu = Vcpu::new(&vm, ScriptedCpu(&script, form), VcpuIndex(0)).unwrap();
        for (place, carried) in CARRIED.iter().enumerate() {
            // TGE, and CPTR_EL2 that lets nobody use floating point, among them.
            script.borrow_mut().registers.insert(carried.register, 0xa5 << 48 | 1 << 27 | place as u64);
        }
        script.borrow_mut().registers.insert(names::CPTR_EL2, 0);
        script.borrow_mut().vectors = core::array::from_fn(|n| 0x77 << 64 | n as u128);
        script.borrow_mut().space = (AddressSpace { vttbr: 0x1234_5000, vtcr: 0x8002_3558 }, 0x9999);
        let before = (script.borrow().registers.clone(), script.borrow().vectors, script.borrow().space);
        let ours = RegId::vector(31);
        vcpu.write_wide(ours, 31).unwrap();
        for n in 0..2 {
            // The guest side traps floating point, and does not.
            let access = [(0, 0x37ff, 0), (0x30_0000, 0x33ff, 0x30_0000)][n as usize];
            vcpu.write(RegId::control(0xe08a), access.0).unwrap();
            script.borrow_mut().steps.push_back((Exception::Synchronous, 0x5a00_0000, 0, 0));
            let guest_writes = CARRIED.iter().filter(|carried| carried.owner == Owner::Guest);
            script.borrow_mut().guest_writes =
                guest_writes.map(|carried| (carried.register, 7 + n)).collect();
            let mut asked = Asked { left: 1, ..Asked::default() };
            assert_eq!(vcpu.run(&mut asked, &Embedder(RAM)), Outcome::Stopped(StopReason::PowerOff));
            let script = script.borrow();
            let access = if form == Form::Classic { access.1 } else { access.2 };
            assert_eq!(script.inside[&names::CPTR_EL2], access, "{form:?}");
            assert_eq!(script.space, before.2, "{form:?}");
            assert_eq!(script.vectors, before.1, "{form:?}");
            for (register, value) in &before.0 {
                assert_eq!(script.registers[register], *value, "{form:?}: {register:?}");
            }
            assert!(
                CARRIED
                    .iter()
                    .all(|c| c.owner == Owner::Control || script.inside[&c.register] == 6 + n || n == 0)
            );
        }
        assert_eq!(vcpu.read_wide(ours), Ok(31), "{form:?}");
        assert_eq!(vcpu.read(RegId::system(0xc080)), Ok(8), "{form:?}: SCTLR_EL1 is the guest's");
        assert!(form == Form::Classic || !script.borrow().trapped, "floating point was trapped");
    }
}

#[test]
fn the_clock_of_a_vm_is_one() {
    let (host, script) = (Host::new(), script());
    let vm = host.vm(&script);
    let mut one = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(0)).unwrap();
    let mut other = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(1)).unwrap();
    one.write(RegId::system(0xdf02), 400).unwrap();
    assert_eq!(other.read(RegId::system(0xdf02)), Ok(400));
    assert_eq!(one.write(RegId::system(0xdf01), 4), Err(RegisterError::ReadOnly(RegId::system(0xdf01))));
    other.write(RegId::system(0xdf02), 0).unwrap();
    let mut asked = Asked { left: 0, ..Asked::default() };
    let _ = other.run(&mut asked, &Embedder(RAM));
    assert!(script.borrow().done.contains(&Done::Space(9, 1000)), "{:?}", script.borrow().done);
}

#[test]
fn a_request_to_leave_is_kept_and_finds_the_cpu() {
    let (host, script) = (Host::new(), script());
    let vm = host.vm(&script);
    let mut vcpu = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(1)).unwrap();
    vm.request_exit(VcpuIndex(1));
    assert_eq!(host.calls.take(), [], "it is nowhere yet");
    let mut asked = Asked { left: 1, ..Asked::default() };
    assert_eq!(vcpu.run(&mut asked, &Embedder(RAM)), Outcome::Interrupted);
    assert_eq!(asked.exits, []);

    /// Asks for the exit from within the platform, while the vCPU is loaded.
    struct Asking<'a>(&'a TestVm<'a>);
    impl Platform for Asking<'_> {
        fn slot(&self, _: GuestPa) -> Option<Slot> {
            self.0.request_exit(VcpuIndex(1));
            None
        }
        fn device(&self, _: VcpuIndex, _: &DeviceAccess) -> Option<DeviceAnswer> {
            None
        }
        fn kick(&self, _: VcpuIndex) {}
    }
    script.borrow_mut().steps.push_back((Exception::Synchronous, 0x9200_0006, 0, 0x9_0000));
    asked.left = 5;
    assert_eq!(vcpu.run(&mut asked, &Asking(&vm)), Outcome::Interrupted);
    assert_eq!(host.calls.take(), [Call::Kick(3)]);
}

#[test]
fn another_vcpu_of_the_vm_does_not_find_its_brothers_translations() {
    let (host, script) = (Host::new(), script());
    let vm = host.vm(&script);
    let mut one = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(0)).unwrap();
    let mut other = Vcpu::new(&vm, ScriptedCpu(&script, Form::Vhe), VcpuIndex(1)).unwrap();
    let dropped = |vcpu: &mut Vcpu<'_, ScriptedCpu<'_>, &Calls, &Memory, StdLock<Tables>>| {
        script.borrow_mut().done.clear();
        let _ = vcpu.run(&mut Asked::default(), &Embedder(RAM));
        script.borrow().done.contains(&Done::DropCached)
    };
    assert!(dropped(&mut one), "whoever had the VMID before");
    assert!(!dropped(&mut one));
    assert!(dropped(&mut other));
    assert!(dropped(&mut one));
}

#[test]
fn a_vcpu_has_one_owner_and_a_vm_its_limits() {
    let (host, script) = (Host::new(), script());
    let vm = host.vm(&script);
    let cpu = || ScriptedCpu(&script, Form::Vhe);
    let vcpu = Vcpu::new(&vm, cpu(), VcpuIndex(0)).unwrap();
    assert_eq!(Vcpu::new(&vm, cpu(), VcpuIndex(0)).err(), Some(HostError::VcpuExists(VcpuIndex(0))));
    assert_eq!(Vcpu::new(&vm, cpu(), VcpuIndex(2)).err(), Some(HostError::NoSuchVcpu(VcpuIndex(2))));
    drop(vcpu);
    assert!(Vcpu::new(&vm, cpu(), VcpuIndex(0)).is_ok());
    let good = *vm.config();
    let refused = |config| TestVm::new(&mut cpu(), &host.calls, &host.memory, config).err();
    assert_eq!(refused(Config { vcpus: 0, ..good }), Some(HostError::Vcpus(0)));
    assert_eq!(refused(Config { vcpus: 65, ..good }), Some(HostError::Vcpus(65)));
    assert_eq!(refused(Config { address_bits: 31, ..good }), Some(HostError::AddressBits(31)));
    assert_eq!(refused(Config { address_bits: 49, ..good }), Some(HostError::AddressBits(49)));
    script.borrow_mut().registers.insert(names::ID_AA64MMFR0_EL1, 1);
    assert_eq!(refused(Config { address_bits: 37, ..good }), Some(HostError::AddressBits(37)));
}
