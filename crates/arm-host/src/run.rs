//! One vCPU: where its registers are, and the loop around the world switch.

use crate::control;
use crate::machine::{
    AddressSpace, Context, Cpu, CpuNumber, Exception, HostControl, Intid, MAX_CPUS, TableStorage,
};
use crate::registers::{CARRIED, Carried, Equipment, Home, Owner, home};
use crate::stage2::{Resolved, Wanted};
use crate::vm::{HostError, Tables, Vm};
use arm_arch::fault::FaultStatus;
use arm_arch::iss::{self, DataAbort, InstructionAbort};
use arm_arch::sysreg::{CntCtl, CptrEl2, FpEnable, HpfarEl2, names};
use arm_arch::{EsrEl, ExceptionClass, SysRegId};
use xarch_abi::{
    AccessCause, AccessSize, BackendVcpu, Direction, Entry, Exit, Guest, GuestPa, Lock, MemoryAccess,
    Outcome, Platform, RegId, RegisterError, Registers, StopReason, TimerSet, TraceEvent, Trap, VcpuIndex,
    drive,
};

/// The raw code of an [`Exit::Unknown`] that is an SError.
const SERROR: u32 = 0x3;

/// What the driver did for one vCPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Times the guest was entered.
    pub entries: u64,
    /// Exits by a synchronous exception.
    pub traps: u64,
    /// Exits by an interrupt of the host.
    pub interrupts: u64,
    /// Of these, maintenance interrupts of the list registers.
    pub maintenance: u64,
    /// Memory faults made good by mapping.
    pub faults_resolved: u64,
}

/// A vCPU that is not loaded on any CPU: its state is here.
#[derive(Debug)]
pub struct Vcpu<'vm, P, C, S, L> {
    vm: &'vm Vm<C, S, L>,
    cpu: P,
    index: VcpuIndex,
    context: Context,
    carried: [u64; CARRIED.len()],
    equipment: Equipment,
    vectors: [u128; 32],
    displaced: Displaced,
    statistics: Statistics,
}

/// What the CPU had where the vCPU is now. It goes back there with the vCPU's departure.
#[derive(Debug)]
struct Displaced {
    carried: [u64; CARRIED.len()],
    vectors: [u128; 32],
    space: AddressSpace,
    clock_offset: u64,
}

impl<P, C, S, L> Drop for Vcpu<'_, P, C, S, L> {
    fn drop(&mut self) {
        self.vm.release(self.index);
    }
}

/// A vCPU whose system registers and vectors are on this CPU. Only this can enter the guest.
///
/// Holding one means that they were put there and have to be taken back; dropping it does.
#[derive(Debug)]
struct Loaded<'a, 'vm, P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> {
    vcpu: &'a mut Vcpu<'vm, P, C, S, L>,
    /// Timers whose interrupt is active, so that it does not come again while their line is high.
    held: TimerSet,
    /// The offset that the CPU has.
    clock_offset: u64,
    /// The guest side has floating point trap.
    traps_floating_point: bool,
}

impl<'vm, P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> Vcpu<'vm, P, C, S, L> {
    /// Makes vCPU `index` of the VM, to run on `cpu`; all its registers are zero.
    ///
    /// # Errors
    /// [`HostError`] if the VM has no such vCPU, it exists already, or the CPU has too high a number.
    pub fn new(vm: &'vm Vm<C, S, L>, mut cpu: P, index: VcpuIndex) -> Result<Self, HostError> {
        if index.0 >= vm.config().vcpus {
            return Err(HostError::NoSuchVcpu(index));
        }
        let CpuNumber(number) = cpu.number();
        if usize::from(number) >= MAX_CPUS {
            return Err(HostError::NoSuchCpu(CpuNumber(number)));
        }
        if !vm.claim(index) {
            return Err(HostError::VcpuExists(index));
        }
        let equipment = Equipment::ask(|register| cpu.read(register));
        Ok(Self {
            vm,
            cpu,
            index,
            context: Context::default(),
            carried: [0; CARRIED.len()],
            equipment,
            vectors: [0; 32],
            displaced: Displaced {
                carried: [0; CARRIED.len()],
                vectors: [0; 32],
                space: AddressSpace::default(),
                clock_offset: 0,
            },
            statistics: Statistics::default(),
        })
    }

    /// Returns what was done so far.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Returns the CPU this vCPU runs on.
    pub const fn cpu(&mut self) -> &mut P {
        &mut self.cpu
    }

    /// Keeps what the CPU has where a vCPU is going to be.
    fn displace(&mut self) {
        let equipment = self.equipment;
        let Displaced { carried, vectors, space, clock_offset } = &mut self.displaced;
        // It may be the embedder itself who is not to use floating point.
        let access = self.cpu.read(names::CPTR_EL2);
        self.cpu.write(names::CPTR_EL2, control::floating_point(self.cpu.form()));
        self.cpu.store_vectors(vectors);
        for (what, value) in CARRIED.iter().zip(carried).filter(|(what, _)| equipment.has(what.needs)) {
            let is_access = what.register == names::CPTR_EL2;
            *value = if is_access { access } else { self.cpu.read(what.register) };
        }
        (*space, *clock_offset) = self.cpu.address_space();
    }

    /// Puts back what the CPU had; CPTR_EL2, which may keep from the rest, at the end.
    fn put_back(&mut self) {
        let equipment = self.equipment;
        let Displaced { carried, vectors, space, clock_offset } = &self.displaced;
        self.cpu.load_vectors(vectors);
        let theirs = || CARRIED.iter().zip(carried).filter(|(what, _)| equipment.has(what.needs));
        let is_last = |what: &Carried| what.register == names::CPTR_EL2;
        for (what, value) in theirs().filter(|(what, _)| !is_last(what)) {
            self.cpu.write(what.register, *value);
        }
        for (what, value) in theirs().filter(|(what, _)| is_last(what)) {
            self.cpu.write(what.register, *value);
        }
        self.cpu.set_address_space(*space, *clock_offset);
    }

    /// Puts the vCPU on this CPU.
    fn load(&mut self) -> Loaded<'_, 'vm, P, C, S, L> {
        self.displace();
        let foreign = self.vm.note_loaded(self.index, Some(self.cpu.number()));
        let clock_offset = self.vm.clock_offset();
        self.cpu.set_address_space(self.vm.address_space(), clock_offset);
        let equipment = self.equipment;
        let holds_access = self.holds_access();
        for (carried, value) in CARRIED.iter().zip(&self.carried) {
            if equipment.has(carried.needs) {
                put(&mut self.cpu, equipment, holds_access, carried.register, *value);
            }
        }
        self.cpu.load_vectors(&self.vectors);
        if foreign {
            self.cpu.drop_cached();
        }
        let traps_floating_point = self.traps_floating_point();
        Loaded { vcpu: self, held: TimerSet::default(), clock_offset, traps_floating_point }
    }

    fn access(&self) -> CptrEl2 {
        let cptr = RegId::control(names::CPTR_EL2.into_bits());
        let Some(Home::Carried(place)) = home(cptr) else { return CptrEl2::new() };
        self.carried.get(place).map_or(CptrEl2::new(), |cptr| CptrEl2::from_bits(*cptr))
    }

    fn traps_floating_point(&self) -> bool {
        self.access().fpen() != FpEnable::All
    }

    /// Whether the guest side has CPACR_EL1 trap: then it is here, and the CPU has one that lets everything come to the
    /// traps of CPTR_EL2.
    fn holds_access(&self) -> bool {
        self.access().tcpac()
    }

    /// Whether the truth about a register is on the CPU while the vCPU is loaded.
    fn is_on_cpu(&self, carried: &Carried) -> bool {
        carried.owner == Owner::Guest && (carried.register != names::CPACR_EL1 || !self.holds_access())
    }

    /// Returns a carried register that this CPU has.
    fn carried(&self, place: usize) -> Option<&'static Carried> {
        CARRIED.get(place).filter(|carried| self.equipment.has(carried.needs))
    }

    /// Reads a register whose truth is not on the CPU.
    fn read_here(&mut self, id: RegId) -> Result<u64, RegisterError> {
        let unknown = RegisterError::Unknown(id);
        match home(id).ok_or(unknown)? {
            Home::Pc => Ok(self.context.pc),
            Home::Status => Ok(self.context.pstate),
            Home::General(n) => self.context.general.get(usize::from(n)).copied().ok_or(unknown),
            Home::Vector(_) => Err(RegisterError::Wide(id)),
            Home::Carried(place) => {
                self.carried(place).and_then(|_| self.carried.get(place).copied()).ok_or(unknown)
            }
            Home::PhysicalCount => Ok(self.cpu.read(names::CNTPCT_EL0)),
            Home::VirtualCount => Ok(self.cpu.read(names::CNTPCT_EL0).wrapping_sub(self.vm.clock_offset())),
            Home::Limit(register) => Ok(self.cpu.read(register)),
        }
    }

    /// Writes a register whose truth is not on the CPU.
    fn write_here(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        let unknown = RegisterError::Unknown(id);
        match home(id).ok_or(unknown)? {
            Home::Pc => self.context.pc = value,
            Home::Status => self.context.pstate = value,
            Home::General(n) => *self.context.general.get_mut(usize::from(n)).ok_or(unknown)? = value,
            Home::Vector(_) => return Err(RegisterError::Wide(id)),
            Home::Carried(place) => {
                self.carried(place).ok_or(unknown)?;
                *self.carried.get_mut(place).ok_or(unknown)? = value;
            }
            // The physical count is the machine's.
            Home::PhysicalCount | Home::Limit(_) => return Err(RegisterError::ReadOnly(id)),
            Home::VirtualCount => {
                let now = self.cpu.read(names::CNTPCT_EL0);
                self.vm.set_clock_offset(now.wrapping_sub(value));
            }
        }
        Ok(())
    }
}

impl<P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> Registers for Vcpu<'_, P, C, S, L> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        self.read_here(id)
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.write_here(id, value)
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        match home(id) {
            Some(Home::Vector(n)) => {
                self.vectors.get(usize::from(n)).copied().ok_or(RegisterError::Unknown(id))
            }
            _ => self.read(id).map(u128::from),
        }
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        match home(id) {
            Some(Home::Vector(n)) => {
                *self.vectors.get_mut(usize::from(n)).ok_or(RegisterError::Unknown(id))? = value;
                Ok(())
            }
            _ => self.write(id, u64::try_from(value).map_err(|_| RegisterError::Wide(id))?),
        }
    }
}

impl<P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> Registers for Loaded<'_, '_, P, C, S, L> {
    #[inline]
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        if let Some(Home::Carried(place)) = home(id) {
            let carried = self.vcpu.carried(place).ok_or(RegisterError::Unknown(id))?;
            if self.vcpu.is_on_cpu(carried) {
                return Ok(self.vcpu.cpu.read(carried.register));
            }
        }
        self.vcpu.read_here(id)
    }

    #[inline]
    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        if id == RegId::control(names::CPTR_EL2.into_bits()) {
            return self.write_cptr(id, value);
        }
        self.vcpu.write_here(id, value)?;
        self.put(id, value)
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        if let Some(Home::Vector(_)) = home(id) {
            self.vcpu.cpu.store_vectors(&mut self.vcpu.vectors);
            return self.vcpu.read_wide(id);
        }
        self.read(id).map(u128::from)
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        if let Some(Home::Vector(_)) = home(id) {
            self.vcpu.cpu.store_vectors(&mut self.vcpu.vectors);
            self.vcpu.write_wide(id, value)?;
            self.vcpu.cpu.load_vectors(&self.vcpu.vectors);
            return Ok(());
        }
        self.write(id, u64::try_from(value).map_err(|_| RegisterError::Wide(id))?)
    }
}

impl<P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> Drop for Loaded<'_, '_, P, C, S, L> {
    fn drop(&mut self) {
        let vcpu = &mut *self.vcpu;
        let (equipment, holds_access) = (vcpu.equipment, vcpu.holds_access());
        vcpu.cpu.write(names::CPTR_EL2, control::floating_point(vcpu.cpu.form()));
        vcpu.cpu.store_vectors(&mut vcpu.vectors);
        for (carried, value) in CARRIED.iter().zip(&mut vcpu.carried) {
            let is_here =
                carried.owner == Owner::Control || holds_access && carried.register == names::CPACR_EL1;
            if !is_here && equipment.has(carried.needs) {
                *value = vcpu.cpu.read(carried.register);
            }
        }
        // A timer or a list register that is changed in pieces would interrupt the host for nothing.
        for register in [names::CNTP_CTL_EL0, names::CNTV_CTL_EL0, names::ICH_HCR_EL2] {
            vcpu.cpu.write(register, 0);
        }
        self.release(|_| true);
        self.vcpu.put_back();
        self.vcpu.vm.note_loaded(self.vcpu.index, None);
    }
}

/// Puts a register on a CPU, in the form that it takes and with what is this host's own business.
fn put<P: Cpu>(cpu: &mut P, equipment: Equipment, holds_access: bool, register: SysRegId, value: u64) {
    let value = match register {
        // Or EL1's own trap would come before that of EL2. Arm ARM, CPACR_EL1.ZEN.
        names::CPACR_EL1 if holds_access => value | equipment.vector_access,
        // A trap of floating point would also be one of this driver's.
        names::CPTR_EL2 if CptrEl2::from_bits(value).fpen() != FpEnable::All => {
            control::floating_point(cpu.form())
        }
        _ => control::on_cpu(register, value, cpu.form()),
    };
    cpu.write(register, value);
}

/// A timer of EL1, its control register, and its interrupt on this host.
const TIMERS: [(TimerSet, SysRegId); 2] =
    [(TimerSet::VIRTUAL, names::CNTV_CTL_EL0), (TimerSet::PHYSICAL, names::CNTP_CTL_EL0)];

impl<P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> Loaded<'_, '_, P, C, S, L> {
    /// Puts a register that was written here on the CPU as well, if it is one that is there.
    fn put(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        if let Some(Home::Carried(place)) = home(id) {
            let carried = self.vcpu.carried(place).ok_or(RegisterError::Unknown(id))?;
            let (equipment, holds_access) = (self.vcpu.equipment, self.vcpu.holds_access());
            put(&mut self.vcpu.cpu, equipment, holds_access, carried.register, value);
        }
        Ok(())
    }

    /// Writes CPTR_EL2, which says where CPACR_EL1 is.
    fn write_cptr(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        let cpacr = RegId::system(names::CPACR_EL1.into_bits());
        let access = self.read(cpacr)?;
        self.vcpu.write_here(id, value)?;
        self.traps_floating_point = self.vcpu.traps_floating_point();
        self.put(id, value)?;
        self.write(cpacr, access)
    }

    fn timer_interrupt(&self, timer: TimerSet) -> Intid {
        let interrupts = self.vcpu.vm.config().interrupts;
        if timer == TimerSet::VIRTUAL { interrupts.virtual_timer } else { interrupts.physical_timer }
    }

    /// Lets the interrupts of timers come again, of which `may` says so given their control register.
    fn release(&mut self, may: impl Fn(CntCtl) -> bool) {
        for (timer, register) in TIMERS {
            if self.held.contains(timer) && may(CntCtl::from_bits(self.vcpu.cpu.read(register))) {
                let interrupt = self.timer_interrupt(timer);
                self.vcpu.cpu.deactivate(interrupt);
                self.held = TimerSet(self.held.0 & !timer.0);
            }
        }
    }

    /// Enters the guest once.
    fn switch(&mut self) -> Exception {
        if self.held != TimerSet::default() {
            // The guest side has seen that the timer came due. Its interrupt is of use again once the line is low.
            self.release(|control| !(control.enable() && control.istatus()) || control.imask());
        }
        let vcpu = &mut *self.vcpu;
        let clock_offset = vcpu.vm.clock_offset();
        if self.clock_offset != clock_offset {
            vcpu.cpu.set_address_space(vcpu.vm.address_space(), clock_offset);
            self.clock_offset = clock_offset;
        }
        vcpu.statistics.entries = vcpu.statistics.entries.wrapping_add(1);
        if !self.traps_floating_point {
            return vcpu.cpu.enter(&mut vcpu.context);
        }
        let form = vcpu.cpu.form();
        let access = control::on_cpu(names::CPTR_EL2, vcpu.access().into_bits(), form);
        vcpu.cpu.write(names::CPTR_EL2, access);
        let exception = vcpu.cpu.enter(&mut vcpu.context);
        vcpu.cpu.write(names::CPTR_EL2, control::floating_point(form));
        exception
    }

    /// Turns what ended the guest's run into what the guest side is asked, `None` if this side has dealt with it.
    fn exit<Q: Platform>(&mut self, platform: &Q, exception: Exception) -> Result<Option<Exit>, StopReason> {
        let statistics = &mut self.vcpu.statistics;
        match exception {
            Exception::Synchronous => {
                statistics.traps = statistics.traps.wrapping_add(1);
                self.synchronous(platform)
            }
            Exception::Interrupt | Exception::FastInterrupt => {
                statistics.interrupts = statistics.interrupts.wrapping_add(1);
                Ok(Some(self.interrupt()))
            }
            Exception::SError => Ok(Some(Exit::Unknown(SERROR))),
        }
    }

    /// Takes an interrupt of the host.
    fn interrupt(&mut self) -> Exit {
        let Some(interrupt) = self.vcpu.cpu.acknowledge() else { return Exit::Spurious };
        self.vcpu.cpu.drop_priority(interrupt);
        let interrupts = self.vcpu.vm.config().interrupts;
        for (timer, _) in TIMERS {
            if interrupt == self.timer_interrupt(timer) {
                // It stays active until the line is low.
                self.held = TimerSet(self.held.0 | timer.0);
                return Exit::Timer(timer);
            }
        }
        if interrupt != interrupts.maintenance && interrupt != interrupts.kick {
            self.vcpu.cpu.handle(interrupt);
        }
        self.vcpu.cpu.deactivate(interrupt);
        if interrupt != interrupts.maintenance {
            return Exit::Spurious;
        }
        let maintenance = &mut self.vcpu.statistics.maintenance;
        *maintenance = maintenance.wrapping_add(1);
        Exit::Maintenance
    }

    fn synchronous<Q: Platform>(&mut self, platform: &Q) -> Result<Option<Exit>, StopReason> {
        let Context { esr, far, hpfar, .. } = self.vcpu.context;
        let trap = Trap { syndrome: esr, fault_address: far };
        let Some(fault) = Fault::decode(esr) else { return Ok(Some(Exit::Trap(trap))) };
        let page = if fault.has_address {
            HpfarEl2::from_bits(hpfar).page().bits()
        } else {
            // HPFAR says nothing about it: the guest's own tables do, unless they have changed since.
            match self.vcpu.cpu.stage_1(far) {
                Some(address) => address & !0xfff,
                None => return Ok(None),
            }
        };
        let address = GuestPa::new(page | far & 0xfff);
        let exit = |cause| {
            let access = MemoryAccess {
                address,
                size: fault.size,
                direction: fault.direction,
                cause,
                trap,
                // The syndrome has no level of the guest's own walk.
                walk_level: None,
            };
            Ok(Some(Exit::Access(access)))
        };
        if !self.vcpu.vm.holds(address) {
            return exit(AccessCause::OutOfRange);
        }
        let Some(slot) = platform.slot(address) else { return exit(AccessCause::NoSlot) };
        match self.vcpu.vm.resolve(address, &slot, fault.wanted) {
            Ok(Resolved::Mapped) => {
                let resolved = &mut self.vcpu.statistics.faults_resolved;
                *resolved = resolved.wrapping_add(1);
                platform.trace(self.vcpu.index, TraceEvent::Mapped(address));
                Ok(None)
            }
            // The slot went, or another came in its place, since the platform was asked: the guest tries again.
            Ok(Resolved::Hole) if platform.slot(address) != Some(slot) => Ok(None),
            Ok(Resolved::Hole) => exit(AccessCause::NoSlot),
            Ok(Resolved::ReadOnly) => exit(AccessCause::ReadOnlySlot),
            Err(_) => Err(StopReason::Memory(address)),
        }
    }
}

impl<P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> Entry for Loaded<'_, '_, P, C, S, L> {
    fn index(&self) -> VcpuIndex {
        self.vcpu.index
    }

    fn take_exit_request(&mut self) -> bool {
        self.vcpu.vm.take_exit_request(self.vcpu.index)
    }

    fn enter<Q: Platform>(&mut self, platform: &Q) -> Result<Option<Exit>, StopReason> {
        let exception = self.switch();
        self.exit(platform, exception)
    }
}

impl<P: Cpu, C: HostControl, S: TableStorage, L: Lock<Tables>> BackendVcpu for Vcpu<'_, P, C, S, L> {
    fn run<G: Guest, Q: Platform>(&mut self, guest: &mut G, platform: &Q) -> Outcome {
        drive(&mut self.load(), guest, platform)
    }
}

/// A fault of stage 2, as the syndrome reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    wanted: Wanted,
    direction: Direction,
    size: Option<AccessSize>,
    /// HPFAR_EL2 holds the address. Arm ARM, HPFAR_EL2.
    has_address: bool,
}

impl Fault {
    /// Reads ESR_EL2; `None` for everything that is no fault of stage 2 which mapping could make good.
    fn decode(esr: u64) -> Option<Self> {
        let esr = EsrEl::from_bits(esr);
        let (iss, status, s1ptw, is_fetch) = match esr.ec() {
            ExceptionClass::DATA_ABORT_LOWER => {
                let iss = DataAbort::from_bits(esr.iss());
                (iss, iss.status()?, iss.s1ptw(), false)
            }
            ExceptionClass::INSTRUCTION_ABORT_LOWER => {
                let iss = InstructionAbort::from_bits(esr.iss());
                (DataAbort::new(), iss.status()?, iss.s1ptw(), true)
            }
            _ => return None,
        };
        let is_permission = matches!(status, FaultStatus::Permission(_));
        let is_missing = matches!(
            status,
            FaultStatus::Translation(_) | FaultStatus::AccessFlag(_) | FaultStatus::AddressSize(_)
        );
        if !is_permission && !is_missing {
            return None;
        }
        let direction = match (is_fetch, iss.wnr()) {
            (true, _) => Direction::Fetch,
            (false, true) => Direction::Write,
            (false, false) => Direction::Read,
        };
        // Everything mapped can be loaded from and fetched: a permission that lacks is that to store, which hardware
        // also wants that updates stage 1 tables. Cache maintenance says that it writes but stores nothing.
        let stores = if is_permission { s1ptw || !is_fetch } else { iss.wnr() && !iss.cm() && !s1ptw };
        Some(Self {
            wanted: if stores { Wanted::Store } else { Wanted::Load },
            direction,
            size: iss.transfer().map(|transfer| match transfer.size {
                iss::AccessSize::Byte => AccessSize::Byte,
                iss::AccessSize::Half => AccessSize::Half,
                iss::AccessSize::Word => AccessSize::Word,
                iss::AccessSize::Double => AccessSize::Double,
            }),
            has_address: !is_permission || s1ptw,
        })
    }
}

#[cfg(test)]
mod tests;
