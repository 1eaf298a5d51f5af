//! A host made of maps: registers by id, a platform that notes what it is asked, and the architecture's CPU
//! interface on the list registers.
#![allow(dead_code, reason = "each test file uses its part")]

use arm_arch::gic::{Group, IchState};
use arm_arch::sysreg::{IchHcr, IchLr, IchVmcr, SysRegId, names};
use std::cell::RefCell;
use std::collections::BTreeMap;
use vcpu_core::{Config, Vcpu, Vm};
use xarch_abi::{
    AccessCause, AccessSize, DeviceAccess, DeviceAnswer, Direction, Exit, GuestPa, GuestRange, HostPa,
    MemoryAccess, Next, Platform, RegId, RegisterError, Registers, Slot, Trap, Unreadable, VcpuIndex,
    Writable,
};

pub use xarch_abi::Guest;

/// 62.5 MHz: 16 ns a tick.
pub const FREQUENCY: u64 = 62_500_000;
pub const RAM: u64 = 0x4000_0000;

pub fn system(id: SysRegId) -> RegId {
    RegId::system(id.into_bits())
}

pub fn control(id: SysRegId) -> RegId {
    RegId::control(id.into_bits())
}

pub fn interrupt(id: SysRegId) -> RegId {
    RegId::interrupt(id.into_bits())
}

/// The registers that a host for this facility has; anything else is unknown to it.
#[derive(Clone)]
pub struct FakeRegisters {
    pub values: BTreeMap<RegId, u128>,
}

const SYSTEM: &[SysRegId] = &[
    names::MDSCR_EL1,
    names::OSLAR_EL1,
    names::OSLSR_EL1,
    names::MIDR_EL1,
    names::SCTLR_EL1,
    names::ACTLR_EL1,
    names::CPACR_EL1,
    names::TTBR0_EL1,
    names::TTBR1_EL1,
    names::TCR_EL1,
    names::AFSR0_EL1,
    names::AFSR1_EL1,
    names::ESR_EL1,
    names::FAR_EL1,
    names::PAR_EL1,
    names::MAIR_EL1,
    names::VBAR_EL1,
    names::DISR_EL1,
    names::TPIDR_EL1,
    names::CNTKCTL_EL1,
    names::TPIDR_EL0,
    names::TPIDRRO_EL0,
    names::CNTP_CVAL_EL0,
    names::CNTV_CVAL_EL0,
    names::SP_EL0,
    names::SP_EL1,
    names::CONTEXTIDR_EL1,
    names::FPCR,
    names::FPSR,
    names::CNTP_CTL_EL0,
    names::CNTV_CTL_EL0,
    names::ELR_EL1,
    names::SPSR_EL1,
    names::CNTPCT_EL0,
    names::CNTVCT_EL0,
    names::DBGBVR0_EL1,
    names::DBGBCR0_EL1,
    names::DBGBVR5_EL1,
    names::DBGBCR5_EL1,
    names::DBGBCR6_EL1,
    names::DBGWVR3_EL1,
    names::DBGWCR3_EL1,
    names::DBGWCR4_EL1,
];

const CONTROL: &[SysRegId] = &[
    names::HCR_EL2,
    names::HCRX_EL2,
    names::VMPIDR_EL2,
    names::VSESR_EL2,
    names::CPTR_EL2,
    names::MDCR_EL2,
    names::PMUSERENR_EL0,
    names::HFGRTR_EL2,
    names::HFGWTR_EL2,
    names::HFGITR_EL2,
    names::HDFGRTR_EL2,
    names::HDFGWTR_EL2,
    names::CNTHCTL_EL2,
    names::ICC_SRE_EL2,
];

const INTERRUPT: &[SysRegId] = &[
    names::ICH_HCR_EL2,
    names::ICH_VMCR_EL2,
    names::ICH_AP0R0_EL2,
    names::ICH_AP1R0_EL2,
    names::ICH_LR0_EL2,
    names::ICH_LR1_EL2,
    names::ICH_LR2_EL2,
    names::ICH_LR3_EL2,
];

/// What the host offers: more than the core carries in several fields.
pub const LIMITS: &[(SysRegId, u64)] = &[
    // CSV3 1, CSV2 2, RME 0, DIT 1, AMU 1, MPAM 1, SEL2 1, SVE 1, RAS 2, GIC 3, AdvSIMD 1, FP 1, EL3-0 2.
    (names::ID_AA64PFR0_EL1, 0x1201_1111_2311_2222),
    // MTE 3, SSBS 2, BT 1.
    (names::ID_AA64PFR1_EL1, 0x0000_0000_0000_0321),
    // PMSVer 1, CTX_CMPs 1, WRPs 3, BRPs 5, PMUVer 6, TraceVer 1, DebugVer 6.
    (names::ID_AA64DFR0_EL1, 0x0000_0001_1030_5616),
    (names::ID_AA64ISAR0_EL1, 0x1221_1110_1021_2120),
    (names::ID_AA64ISAR1_EL1, 0x0000_0000_0010_1002),
    (names::ID_AA64MMFR0_EL1, 0x0000_0000_0010_1125),
    // HCX 1, XNX 1, PAN 2, LO 1, HPDS 1, VH 1, VMIDBits 2, HAFDBS 2.
    (names::ID_AA64MMFR1_EL1, 0x0000_0100_1021_1122),
    (names::ID_AA64MMFR2_EL1, 0x1000_0000_1000_1011),
    (names::MIDR_EL1, 0x414f_d0c1),
    (names::REVIDR_EL1, 0x12),
    (names::CTR_EL0, 0x8444_c004),
    (names::DCZID_EL0, 4),
    (names::CNTFRQ_EL0, FREQUENCY),
    (names::ICH_VTR_EL2, 0x90b8_0003),
];

impl FakeRegisters {
    pub fn new() -> Self {
        let mut values = BTreeMap::new();
        for number in 0..31 {
            values.insert(RegId::general(number), 0xdead);
        }
        for number in 0..32 {
            values.insert(RegId::vector(number), 0xdead);
        }
        for id in [RegId::PC, RegId::STATUS] {
            values.insert(id, 0xdead);
        }
        let system = SYSTEM.iter().map(|id| system(*id));
        let control = CONTROL.iter().map(|id| control(*id));
        let interrupt = INTERRUPT.iter().map(|id| interrupt(*id));
        values.extend(system.chain(control).chain(interrupt).map(|id| (id, 0xdead)));
        values
            .extend(LIMITS.iter().map(|(id, value)| (RegId::host_limit(id.into_bits()), u128::from(*value))));
        Self { values }
    }
}

impl Registers for FakeRegisters {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        let value = self.values.get(&id).ok_or(RegisterError::Unknown(id))?;
        u64::try_from(*value).map_err(|_| RegisterError::Wide(id))
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.write_wide(id, u128::from(value))
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        self.values.get(&id).copied().ok_or(RegisterError::Unknown(id))
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        match self.values.get_mut(&id) {
            Some(slot) => {
                *slot = value;
                Ok(())
            }
            None => Err(RegisterError::Unknown(id)),
        }
    }
}

/// Notes what it is asked. One GiB of RAM, of which the doublewords in `ram` can be read.
#[derive(Default)]
pub struct FakePlatform {
    pub kicks: RefCell<Vec<u16>>,
    pub ram: RefCell<BTreeMap<u64, [u8; 8]>>,
}

impl FakePlatform {
    /// Who was kicked since the last call.
    pub fn take_kicks(&self) -> Vec<u16> {
        self.kicks.take()
    }
}

impl Platform for FakePlatform {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        let guest = GuestRange::new(GuestPa::new(RAM), 1 << 30)?;
        guest.contains(address).then_some(Slot { guest, host: HostPa::new(0), writable: Writable::Yes })
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        for (at, byte) in (address.value()..).zip(into) {
            let ram = self.ram.borrow();
            let word = ram.get(&(at & !7)).ok_or(Unreadable(GuestPa::new(at)))?;
            *byte = *word.get(usize::try_from(at & 7).unwrap()).unwrap();
        }
        Ok(())
    }

    fn device(&self, _: VcpuIndex, _: &DeviceAccess) -> Option<DeviceAnswer> {
        None
    }

    fn kick(&self, vcpu: VcpuIndex) {
        self.kicks.borrow_mut().push(vcpu.0);
    }
}

pub type TestVm = Vm<32>;

pub fn vm(vcpus: u16) -> TestVm {
    Vm::new(Config::new(vcpus)).unwrap()
}

/// One vCPU with its registers, reset.
pub struct Cpu<'a> {
    pub guest: Vcpu<'a, 32>,
    pub registers: FakeRegisters,
    pub platform: &'a FakePlatform,
}

impl<'a> Cpu<'a> {
    pub fn new(vm: &'a TestVm, index: u16, platform: &'a FakePlatform) -> Self {
        let mut guest = Vcpu::new(vm, VcpuIndex(index)).unwrap();
        let mut registers = FakeRegisters::new();
        for count in [names::CNTPCT_EL0, names::CNTVCT_EL0] {
            registers.write(system(count), 0).unwrap();
        }
        guest.reset(&mut registers).unwrap();
        Self { guest, registers, platform }
    }

    pub fn prepare(&mut self) -> Next {
        self.guest.before_entry(&mut self.registers, self.platform)
    }

    /// Enters, which must be possible.
    pub fn enter(&mut self) {
        assert_eq!(self.prepare(), Next::Resume);
    }

    pub fn exit(&mut self, exit: Exit) -> Next {
        self.guest.on_exit(&mut self.registers, self.platform, exit)
    }

    pub fn get(&mut self, id: RegId) -> u64 {
        self.registers.read(id).unwrap()
    }

    pub fn set(&mut self, id: RegId, value: u64) {
        self.registers.write(id, value).unwrap();
    }

    pub fn sys(&mut self, id: SysRegId) -> u64 {
        self.get(system(id))
    }

    pub fn set_sys(&mut self, id: SysRegId, value: u64) {
        self.set(system(id), value);
    }

    pub fn x(&mut self, number: u8) -> u64 {
        self.get(RegId::general(number))
    }

    pub fn pc(&mut self) -> u64 {
        self.get(RegId::PC)
    }

    /// Both counters: there is one clock.
    pub fn set_clock(&mut self, count: u64) {
        self.set_sys(names::CNTPCT_EL0, count);
        self.set_sys(names::CNTVCT_EL0, count);
    }

    pub fn trap(&mut self, syndrome: u64) -> Next {
        self.exit(Exit::Trap(Trap { syndrome, fault_address: 0 }))
    }

    /// `MRS X<rt>`.
    pub fn mrs(&mut self, rt: u8, id: SysRegId) -> Next {
        self.trap(0x6200_0001 | u64::from(id.into_iss()) | u64::from(rt) << 5)
    }

    /// `MSR`, from X`rt`.
    pub fn msr(&mut self, id: SysRegId, rt: u8) -> Next {
        self.trap(0x6200_0000 | u64::from(id.into_iss()) | u64::from(rt) << 5)
    }

    /// Calls firmware by HVC #0; returns what happens next.
    pub fn hvc(&mut self, arguments: [u64; 4]) -> Next {
        for (number, value) in (0..).zip(arguments) {
            self.set(RegId::general(number), value);
        }
        self.trap(0x5a00_0000)
    }

    /// Calls firmware, which must return at once; returns X0.
    pub fn call(&mut self, arguments: [u64; 4]) -> u64 {
        assert_eq!(self.hvc(arguments), Next::Resume);
        self.x(0)
    }

    /// Loads from an address without RAM, to X3.
    pub fn load(&mut self, address: u64, size: AccessSize) -> Next {
        self.exit(Exit::Access(access(address, load_syndrome(size))))
    }

    /// Stores X3.
    pub fn store(&mut self, address: u64, size: AccessSize, value: u64) -> Next {
        self.set(RegId::general(3), value);
        self.exit(Exit::Access(access(address, load_syndrome(size) | 0x40)))
    }

    /// Reads a register of the interrupt controller, in one go.
    pub fn peek(&mut self, address: u64, size: AccessSize) -> u64 {
        assert_eq!(self.load(address, size), Next::Resume);
        self.x(3)
    }

    /// Writes a register of the interrupt controller.
    pub fn poke(&mut self, address: u64, value: u64) {
        assert_eq!(self.store(address, AccessSize::Word, value), Next::Resume);
    }

    /// The CPU interface as the architecture sees it.
    pub fn ich(&mut self) -> IchState<4> {
        read_ich(&mut self.registers)
    }

    /// Changes the CPU interface as the guest's instructions would.
    pub fn with_ich<T>(&mut self, change: impl FnOnce(&mut IchState<4>) -> T) -> T {
        let mut ich = self.ich();
        let result = change(&mut ich);
        write_ich(&mut self.registers, &ich);
        result
    }

    /// `MSR ICC_PMR_EL1, #0xf0; MSR ICC_IGRPEN1_EL1, #1; MSR ICC_IGRPEN0_EL1, #1`.
    pub fn open_interface(&mut self) {
        self.with_ich(|ich| {
            ich.set_priority_mask(0xf0);
            ich.vmcr.set_veng0(true);
            ich.vmcr.set_veng1(true);
        });
    }

    /// `MRS ICC_IAR1_EL1`.
    pub fn acknowledge(&mut self) -> u32 {
        self.with_ich(|ich| ich.acknowledge(Group::One))
    }

    /// `MSR ICC_EOIR1_EL1`; then the maintenance interrupt, if it is due.
    pub fn end(&mut self, intid: u32) {
        let _ = self.with_ich(|ich| ich.end_of_interrupt(Group::One, intid));
        if self.ich().is_maintenance_due() {
            assert_eq!(self.exit(Exit::Maintenance), Next::Resume);
        }
    }

    /// Whether the virtual IRQ line is high.
    pub fn irq(&mut self) -> bool {
        self.ich().lines().irq
    }
}

const LIST_REGISTERS: [SysRegId; 4] =
    [names::ICH_LR0_EL2, names::ICH_LR1_EL2, names::ICH_LR2_EL2, names::ICH_LR3_EL2];

/// The CPU interface that the registers describe.
pub fn read_ich(registers: &mut FakeRegisters) -> IchState<4> {
    let mut get = |id| registers.read(interrupt(id)).unwrap();
    IchState {
        hcr: IchHcr::from_bits(get(names::ICH_HCR_EL2)),
        vmcr: IchVmcr::from_bits(get(names::ICH_VMCR_EL2)),
        ap0r0: u32::try_from(get(names::ICH_AP0R0_EL2)).unwrap(),
        ap1r0: u32::try_from(get(names::ICH_AP1R0_EL2)).unwrap(),
        lr: LIST_REGISTERS.map(|id| IchLr::from_bits(get(id))),
    }
}

/// Puts a changed CPU interface back.
pub fn write_ich(registers: &mut FakeRegisters, ich: &IchState<4>) {
    let mut set = |id, value| registers.write(interrupt(id), value).unwrap();
    set(names::ICH_HCR_EL2, ich.hcr.into_bits());
    set(names::ICH_VMCR_EL2, ich.vmcr.into_bits());
    set(names::ICH_AP0R0_EL2, u64::from(ich.ap0r0));
    set(names::ICH_AP1R0_EL2, u64::from(ich.ap1r0));
    for (id, lr) in LIST_REGISTERS.into_iter().zip(ich.lr) {
        set(id, lr.into_bits());
    }
}

/// ESR of a load to X3 with ISV that hits a translation fault at level 3 of stage 2.
pub fn load_syndrome(size: AccessSize) -> u64 {
    0x9303_8007 | u64::from(size.bytes().trailing_zeros()) << 22
}

/// An access without RAM; the fault address has nothing in common with the guest-physical one but the offset.
pub fn access(address: u64, syndrome: u64) -> MemoryAccess {
    MemoryAccess {
        address: GuestPa::new(address),
        size: None,
        direction: Direction::Unknown,
        cause: AccessCause::NoSlot,
        trap: Trap { syndrome, fault_address: fault_address(address) },
        walk_level: None,
    }
}

pub fn fault_address(address: u64) -> u64 {
    0xffff_8000_1000_0000 | address & 0xfff
}
