//! One vCPU: where its registers are, and the loop around SAE.

use crate::block::Block;
use crate::gmap::{Resolved, Wanted};
use crate::registers::{self, Home, Shadow, home};
use crate::vm::{HostError, Tables, Vm};
use s390_arch::pgm::{AccessException, FetchStoreIndication, ProgramCode};
use s390_arch::sae::{
    Facility, HostAccess, HostControl, Interception, M4, ValidityReason, block::field, ptff::PtffFunction,
    save_area,
};
use s390_arch::{Absolute, AbsoluteStorage};
use xarch_abi::{
    AccessCause, BackendVcpu, Direction, Entry, Exit, Guest, GuestPa, InvalidState, Lock, MemoryAccess,
    Outcome, Platform, RegId, RegisterError, Registers, StopReason, TimerSet, TraceEvent, Trap, VcpuIndex,
    drive,
};

/// Marks the raw code of an [`Exit::Unknown`] that is a program interruption which came with code 2.
const HOST_ACCESS_OF: u32 = 0x0002_0000;

/// What the driver did for one vCPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Times SAE was executed.
    pub entries: u64,
    /// Interceptions by code; everything above the last known code counts in the last element.
    pub interceptions: [u64; 12],
    /// Memory faults made good by mapping.
    pub faults_resolved: u64,
}

/// A vCPU that is not loaded on any CPU: its state is in its two blocks and here.
#[derive(Debug)]
pub struct Vcpu<'vm, F, C, S, L> {
    vm: &'vm Vm<C, S, L>,
    facility: F,
    index: VcpuIndex,
    block: Block<'vm>,
    block_at: Absolute,
    area: Absolute,
    shadows: [u64; Shadow::ALL.len()],
    /// Whether the CPU that the vCPU is loaded on has the shadowed registers as they are here.
    shadows_are_on_cpu: bool,
    vectors: [u128; 32],
    /// What `gpto` of the block is.
    clock_offset: u64,
    failure: Option<HostError>,
    statistics: Statistics,
}

impl<F, C, S, L> Drop for Vcpu<'_, F, C, S, L> {
    fn drop(&mut self) {
        self.vm.release(self.index);
    }
}

/// A vCPU whose system registers and vectors are on this CPU. Only this can execute SAE.
///
/// Holding one means that LASRM succeeded and STIASRM is still owed; dropping it pays.
#[derive(Debug)]
struct Loaded<'a, 'vm, F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> {
    vcpu: &'a mut Vcpu<'vm, F, C, S, L>,
}

impl<'vm, F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Vcpu<'vm, F, C, S, L> {
    /// Makes vCPU `index` of the VM, to run on the CPU of `facility`; its state is the machine's initial one.
    ///
    /// # Errors
    /// [`HostError`] if the VM has no such vCPU, it exists already, or its blocks lie outside storage.
    pub fn new(vm: &'vm Vm<C, S, L>, facility: F, index: VcpuIndex) -> Result<Self, HostError> {
        let (block_at, area) = vm.blocks(index).ok_or(HostError::NoSuchVcpu(index))?;
        let (block, satellite) = (Block::new(&vm.storage, block_at)?, Block::new(&vm.storage, area)?);
        let template = Block::new(&vm.storage, vm.template())?;
        if !vm.claim(index) {
            return Err(HostError::VcpuExists(index));
        }
        let clock_offset = vm.clock_offset();
        block.clear();
        vm.describe(block);
        block.store(field::GPTO, clock_offset);
        block.store(field::SAVE_AREA, area.bits());
        // The template goes in first: it would overwrite the pointer back to the control block.
        satellite.copy_from(template);
        satellite.store(save_area::field::SDO, block_at.bits());
        Ok(Self {
            vm,
            facility,
            index,
            block,
            block_at,
            area,
            shadows: [0; Shadow::ALL.len()],
            shadows_are_on_cpu: false,
            vectors: [0; 32],
            clock_offset,
            failure: None,
            statistics: Statistics::default(),
        })
    }

    /// Returns what was done so far.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Returns what made the last run end with [`StopReason::Host`], if one did.
    #[must_use]
    pub const fn failure(&self) -> Option<HostError> {
        self.failure
    }

    /// Returns the CPU this vCPU runs on.
    pub const fn facility(&mut self) -> &mut F {
        &mut self.facility
    }

    fn shadow(&mut self, which: Shadow) -> Option<&mut u64> {
        self.shadows.get_mut(which.place())
    }

    /// Loads the vCPU on this CPU.
    fn load(&mut self) -> Result<Loaded<'_, 'vm, F, C, S, L>, HostError> {
        self.facility.lasrm(self.area)?;
        self.facility.load_vectors(&self.vectors);
        self.shadows_are_on_cpu = false;
        Ok(Loaded { vcpu: self })
    }

    /// Takes a shadowed register that the guest may have changed off the CPU.
    #[inline(always)]
    fn read_back(&mut self, shadow: Shadow) -> Result<(), HostError> {
        let value = self.facility.easr(self.area, shadow.number(), M4::Loaded)?;
        if let Some(place) = self.shadow(shadow) {
            *place = value;
        }
        Ok(())
    }

    /// Reads a register, with the system registers where `m4` says. Inline, so that of a register that the caller
    /// names nothing is left but its place.
    #[inline(always)]
    fn read_at(&mut self, id: RegId, m4: M4) -> Result<u64, RegisterError> {
        Ok(match home(id).ok_or(RegisterError::Unknown(id))? {
            Home::Block(offset) => self.block.load(offset),
            Home::BlockWord(offset) => u64::from(self.block.load_word(offset)),
            // What the machine does then is not known.
            Home::SaveArea(registers::OSLAR) => return Err(RegisterError::Unknown(id)),
            Home::SaveArea(register) => {
                return self.facility.easr(self.area, register, m4).map_err(|error| rejected(id, error.code));
            }
            Home::Shadow(shadow) => {
                return self.shadow(shadow).copied().ok_or(RegisterError::Unknown(id));
            }
            Home::Clock => return self.guest_count(id),
            Home::Vector(_) => return Err(RegisterError::Wide(id)),
            Home::Limit(register) => return self.vm.limit(register).ok_or(RegisterError::Unknown(id)),
        })
    }

    /// Writes a register, with the system registers where `m4` says. Inline as reading is.
    #[inline(always)]
    fn write_at(&mut self, id: RegId, value: u64, m4: M4) -> Result<(), RegisterError> {
        match home(id).ok_or(RegisterError::Unknown(id))? {
            Home::Block(offset) => self.block.store(offset, value),
            Home::BlockWord(offset) => {
                let word = u32::try_from(value).map_err(|_| RegisterError::Value(id, value))?;
                self.block.store_word(offset, word);
            }
            Home::SaveArea(registers::OSLSR) => return Err(RegisterError::ReadOnly(id)),
            Home::SaveArea(register) => {
                return self
                    .facility
                    .sasr(self.area, register, m4, value)
                    .map_err(|error| rejected(id, error.code));
            }
            Home::Shadow(shadow) => {
                let place = self.shadow(shadow).ok_or(RegisterError::Unknown(id))?;
                if core::mem::replace(place, value) != value {
                    self.shadows_are_on_cpu = false;
                }
            }
            Home::Clock => return self.set_guest_count(id, value),
            Home::Vector(_) => return Err(RegisterError::Wide(id)),
            Home::Limit(_) => return Err(RegisterError::ReadOnly(id)),
        }
        Ok(())
    }

    #[inline(never)]
    fn guest_count(&mut self, id: RegId) -> Result<u64, RegisterError> {
        let mut parameters = [self.vm.clock_offset(), 0];
        let code = PtffFunction::QueryArmGuestPhysicalTime.code();
        self.facility.ptff(code, &mut parameters).map_err(|error| rejected(id, error.code))?;
        Ok(parameters[1])
    }

    fn set_guest_count(&mut self, id: RegId, count: u64) -> Result<(), RegisterError> {
        let mut parameters = [count, 0];
        let code = PtffFunction::QueryArmGuestTimeOffset.code();
        self.facility.ptff(code, &mut parameters).map_err(|error| rejected(id, error.code))?;
        self.vm.set_clock_offset(parameters[1]);
        Ok(())
    }
}

const fn rejected(id: RegId, code: ProgramCode) -> RegisterError {
    #[expect(clippy::as_conversions, reason = "widening in a const function")]
    RegisterError::Host(id, code.0 as u32)
}

impl<F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Registers for Vcpu<'_, F, C, S, L> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        self.read_at(id, M4::SaveArea)
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.write_at(id, value, M4::SaveArea)
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

impl<F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Registers
    for Loaded<'_, '_, F, C, S, L>
{
    #[inline(always)]
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        self.vcpu.read_at(id, M4::Loaded)
    }

    #[inline(always)]
    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.vcpu.write_at(id, value, M4::Loaded)
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        self.vcpu.facility.store_vectors(&mut self.vcpu.vectors);
        self.vcpu.read_wide(id)
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        self.vcpu.facility.store_vectors(&mut self.vcpu.vectors);
        self.vcpu.write_wide(id, value)?;
        self.vcpu.facility.load_vectors(&self.vcpu.vectors);
        Ok(())
    }
}

impl<F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Drop for Loaded<'_, '_, F, C, S, L> {
    fn drop(&mut self) {
        let vcpu = &mut *self.vcpu;
        vcpu.facility.store_vectors(&mut vcpu.vectors);
        // The area was loaded here, by the same CPU: there is nothing that could be refused.
        let _ = vcpu.facility.stiasrm(vcpu.area);
    }
}

impl<F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Loaded<'_, '_, F, C, S, L> {
    /// Executes SAE once and decodes what it recorded.
    fn execute(&mut self) -> Result<Interception, HostError> {
        let vcpu = &mut *self.vcpu;
        let block = vcpu.block;
        if !vcpu.shadows_are_on_cpu {
            for (shadow, value) in Shadow::ALL.into_iter().zip(vcpu.shadows) {
                vcpu.facility.sasr(vcpu.area, shadow.number(), M4::Loaded, value)?;
            }
            vcpu.shadows_are_on_cpu = true;
        }
        let clock_offset = vcpu.vm.clock_offset();
        if vcpu.clock_offset != clock_offset {
            block.store(field::GPTO, clock_offset);
            vcpu.clock_offset = clock_offset;
        }
        block.clear_interception();
        vcpu.facility.sae(vcpu.block_at);
        for shadow in Shadow::GUEST_OWNED {
            vcpu.read_back(shadow)?;
        }
        vcpu.statistics.entries = vcpu.statistics.entries.wrapping_add(1);
        let interception = block.interception();
        vcpu.count(interception);
        Ok(interception)
    }

    /// Turns an interception into what the guest side is asked, `None` if this side has dealt with it.
    fn exit<P: Platform>(
        &mut self,
        platform: &P,
        interception: Interception,
    ) -> Result<Option<Exit>, StopReason> {
        Ok(Some(match interception {
            Interception::Spurious => Exit::Spurious,
            Interception::Validity(reason) => Exit::Invalid(invalid(reason)),
            Interception::HostAccess(access) => return self.host_access(platform, &access),
            Interception::GuestAddressSize(access) => {
                Exit::Access(memory_access(&access, AccessCause::OutOfRange))
            }
            Interception::Trap(trap) => Exit::Trap(Trap { syndrome: trap.esr, fault_address: trap.far }),
            Interception::Timer(reason) => {
                let on = |due: bool, timer: TimerSet| if due { timer.0 } else { 0 };
                Exit::Timer(TimerSet(
                    on(reason.virtual_timer(), TimerSet::VIRTUAL) | on(reason.physical(), TimerSet::PHYSICAL),
                ))
            }
            Interception::Stop => Exit::Stop,
            Interception::Maintenance => Exit::Maintenance,
            // Nothing is published about these but the numbers.
            Interception::PeIntercomm
            | Interception::Code08
            | Interception::Pmu
            | Interception::Unknown(_) => Exit::Unknown(u32::from(interception.code().0)),
        }))
    }

    /// Makes a fault of the host's translation good, or says what it was. What it keeps on the stack need not be there while
    /// the guest runs.
    #[inline(never)]
    fn host_access<P: Platform>(
        &mut self,
        platform: &P,
        access: &HostAccess,
    ) -> Result<Option<Exit>, StopReason> {
        let exit = |cause| Ok(Some(Exit::Access(memory_access(access, cause))));
        let address = GuestPa::new(access.teid.address());
        let wanted = match AccessException::decode(access.pic) {
            Some(AccessException::Protection) => Wanted::Store,
            Some(kind) if kind.is_translation() => match access.teid.fsi() {
                FetchStoreIndication::Store => Wanted::Store,
                FetchStoreIndication::Fetch
                | FetchStoreIndication::Unknown
                | FetchStoreIndication::Reserved => Wanted::Load,
            },
            // CHOICE: the series says that this never comes from the machine; it is the other way to say code 6.
            Some(AccessException::Addressing) if self.vcpu.vm.holds(address) => {
                return Err(StopReason::Memory(address));
            }
            Some(AccessException::Addressing) => Wanted::Load,
            // Code 2 with a program interruption that translation cannot have: said, not guessed at.
            _ => return Ok(Some(Exit::Unknown(HOST_ACCESS_OF | u32::from(access.pic.0)))),
        };
        if !self.vcpu.vm.holds(address) {
            return exit(AccessCause::OutOfRange);
        }
        let Some(slot) = platform.slot(address) else { return exit(AccessCause::NoSlot) };
        match self.vcpu.vm.resolve(address, &slot, wanted) {
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

impl<F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Entry for Loaded<'_, '_, F, C, S, L> {
    fn index(&self) -> VcpuIndex {
        self.vcpu.index
    }

    fn take_exit_request(&mut self) -> bool {
        self.vcpu.vm.take_exit_request(self.vcpu.index)
    }

    fn enter<P: Platform>(&mut self, platform: &P) -> Result<Option<Exit>, StopReason> {
        match self.execute() {
            Ok(interception) => self.exit(platform, interception),
            Err(error) => {
                self.vcpu.failure = Some(error);
                Err(StopReason::Host)
            }
        }
    }
}

impl<F, C, S, L> Vcpu<'_, F, C, S, L> {
    fn count(&mut self, interception: Interception) {
        let last = self.statistics.interceptions.len().wrapping_sub(1);
        let index = usize::from(interception.code().0).min(last);
        if let Some(count) = self.statistics.interceptions.get_mut(index) {
            *count = count.wrapping_add(1);
        }
    }
}

impl<F: Facility, C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> BackendVcpu for Vcpu<'_, F, C, S, L> {
    fn run<G: Guest, P: Platform>(&mut self, guest: &mut G, platform: &P) -> Outcome {
        let error = match self.load() {
            Ok(mut loaded) => return drive(&mut loaded, guest, platform),
            Err(error) => error,
        };
        self.failure = Some(error);
        Outcome::Stopped(StopReason::Host)
    }
}

/// Puts what code 2 or 6 reports into the contract's terms. The offset in the page is the virtual address's.
fn memory_access(access: &HostAccess, cause: AccessCause) -> MemoryAccess {
    MemoryAccess {
        address: GuestPa::new(access.teid.address() | (access.far & 0xfff)),
        size: None,
        direction: match (AccessException::decode(access.pic), access.teid.fsi()) {
            (Some(AccessException::Protection), _) | (_, FetchStoreIndication::Store) => Direction::Write,
            // A fetch in z/Architecture's sense: operand or instruction.
            (_, FetchStoreIndication::Fetch) => Direction::Read,
            (_, FetchStoreIndication::Unknown | FetchStoreIndication::Reserved) => Direction::Unknown,
        },
        cause,
        trap: Trap { syndrome: access.esr, fault_address: access.far },
        walk_level: i8::try_from(access.gltl).ok(),
    }
}

fn invalid(reason: ValidityReason) -> InvalidState {
    InvalidState { reason: reason.0, text: reason.name().unwrap_or("unknown reason") }
}
