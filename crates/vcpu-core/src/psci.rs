//! Power of vCPUs and of the machine. PSCI v1.1, DEN0022.

use crate::inject::{byte_order, read_general, system};
use crate::smccc::{Function, NOT_SUPPORTED, OWNER_STANDARD_SECURE, Reply, Width};
use crate::state::{Shared, Vcpu, VcpuSet, affinity_of};
use arm_arch::bits;
use arm_arch::gic::Affinity;
use arm_arch::iss::ByteOrder;
use arm_arch::sysreg::{SctlrEl1, names};
use xarch_abi::{GuestPa, Lock, Next, Platform, RegId, RegisterError, Registers, StopReason, VcpuIndex};

/// How a vCPU starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Start {
    /// Its program counter.
    pub entry: u64,
    /// Its X0.
    pub context: u64,
    /// `SCTLR_EL1`.EE, as the caller has it.
    pub big_endian: bool,
}

/// Power of one vCPU, as others see it.
///
/// Whoever turns a vCPU on only leaves the request here: its registers belong to its own thread, which resets
/// them when it finds the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// The numbers make a VM that has not begun all zero.
#[repr(u8)]
pub(crate) enum Power {
    Off,
    OnPending(Start),
    On,
}

const VERSION_1_1: u64 = 0x1_0001;
const SUCCESS: u64 = 0;
const INVALID_PARAMETERS: u64 = negative(2);
const ALREADY_ON: u64 = negative(4);
const ON_PENDING: u64 = negative(5);
const INTERNAL_FAILURE: u64 = negative(6);
const INVALID_ADDRESS: u64 = negative(9);
/// `MIGRATE_INFO_TYPE`: there is no Trusted OS to migrate.
const NO_TRUSTED_OS: u64 = 2;

const fn negative(code: u64) -> u64 {
    0u64.wrapping_sub(code)
}

const PSCI_VERSION: u16 = 0;
const CPU_SUSPEND: u16 = 1;
const CPU_OFF: u16 = 2;
const CPU_ON: u16 = 3;
const AFFINITY_INFO: u16 = 4;
const MIGRATE_INFO_TYPE: u16 = 6;
const SYSTEM_OFF: u16 = 8;
const SYSTEM_RESET: u16 = 9;
const PSCI_FEATURES: u16 = 10;
const SYSTEM_RESET2: u16 = 18;

/// The affinity fields of an `MPIDR`, from level 0, 1, 2 and 3 on; the others of a target must be zero.
const AFFINITY: [u64; 4] = {
    let [aff0, aff1, aff2, aff3] = [u8::MAX; 4];
    let level0 = Affinity { aff3, aff2, aff1, aff0 };
    let level1 = Affinity { aff0: 0, ..level0 };
    let level2 = Affinity { aff1: 0, ..level1 };
    let level3 = Affinity { aff2: 0, ..level2 };
    [
        level0.into_mpidr().into_bits(),
        level1.into_mpidr().into_bits(),
        level2.into_mpidr().into_bits(),
        level3.into_mpidr().into_bits(),
    ]
};

/// Whether a function exists in this width.
const fn exists(width: Width, number: u16) -> bool {
    match number {
        PSCI_VERSION | CPU_OFF | MIGRATE_INFO_TYPE | SYSTEM_OFF | SYSTEM_RESET | PSCI_FEATURES => {
            matches!(width, Width::Smc32)
        }
        CPU_SUSPEND | CPU_ON | AFFINITY_INFO | SYSTEM_RESET2 => true,
        _ => false,
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    pub(crate) fn psci_call<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        function: Function,
    ) -> Result<Reply, RegisterError> {
        if !exists(function.width, function.number) {
            return Ok(Reply::Value(NOT_SUPPORTED));
        }
        let mut argument = |number| {
            let value = read_general(registers, number)?;
            Ok(match function.width {
                Width::Smc32 => value & 0xffff_ffff,
                Width::Smc64 => value,
            })
        };
        Ok(match function.number {
            PSCI_VERSION => Reply::Value(VERSION_1_1),
            CPU_SUSPEND => self.cpu_suspend(registers)?,
            CPU_OFF => self.cpu_off(registers)?,
            CPU_ON => {
                let [target, entry, context] = [argument(1)?, argument(2)?, argument(3)?];
                let big_endian = byte_order(registers)? == ByteOrder::Big;
                Reply::Value(self.cpu_on(platform, target, Start { entry, context, big_endian }))
            }
            AFFINITY_INFO => Reply::Value(self.affinity_info(argument(1)?, argument(2)?)),
            MIGRATE_INFO_TYPE => Reply::Value(NO_TRUSTED_OS),
            SYSTEM_OFF => Reply::ValueThen(INTERNAL_FAILURE, Next::Stop(StopReason::PowerOff)),
            SYSTEM_RESET => Reply::ValueThen(INTERNAL_FAILURE, Next::Stop(StopReason::Reset)),
            // Type 0 is a warm reset; there are no vendor types here.
            SYSTEM_RESET2 if bits::trunc32(argument(1)?) == 0 => {
                Reply::ValueThen(INTERNAL_FAILURE, Next::Stop(StopReason::Reset))
            }
            SYSTEM_RESET2 => Reply::Value(INVALID_PARAMETERS),
            PSCI_FEATURES => Reply::Value(psci_features(bits::trunc32(argument(1)?))),
            _ => Reply::Value(NOT_SUPPORTED),
        })
    }

    /// Every state is taken as standby: waits as WFI does, and succeeds.
    fn cpu_suspend<R: Registers>(&mut self, registers: &mut R) -> Result<Reply, RegisterError> {
        Ok(Reply::ValueThen(SUCCESS, self.wait_for_interrupt(registers, None)?))
    }

    fn cpu_off<R: Registers>(&mut self, registers: &mut R) -> Result<Reply, RegisterError> {
        self.fold_lists(registers)?;
        self.power_off();
        Ok(Reply::Never(Next::Wait { deadline: None }))
    }

    fn cpu_on<P: Platform>(&mut self, platform: &P, target: u64, start: Start) -> u64 {
        let Some(target) = self.vcpu_of(target) else { return INVALID_PARAMETERS };
        if start.entry & 3 != 0 || platform.slot(GuestPa::new(start.entry)).is_none() {
            return INVALID_ADDRESS;
        }
        let result = self.vm.with(|shared| match shared.power.get_mut(usize::from(target.0)) {
            Some(power @ Power::Off) => {
                *power = Power::OnPending(start);
                SUCCESS
            }
            Some(Power::OnPending(_)) => ON_PENDING,
            Some(Power::On) => ALREADY_ON,
            None => INVALID_PARAMETERS,
        });
        if result == SUCCESS {
            self.concern(VcpuSet::one(target));
        }
        result
    }

    fn vcpu_of(&self, mpidr: u64) -> Option<VcpuIndex> {
        let vcpus = self.vm.config().vcpus;
        (0..vcpus).map(VcpuIndex).find(|vcpu| affinity_of(*vcpu).into_mpidr().into_bits() == mpidr)
    }

    /// On if any vCPU of the affinity group is, 1 if none, 2 if one was asked to start.
    fn affinity_info(&self, target: u64, level: u64) -> u64 {
        let [every, ..] = AFFINITY;
        let Some(compared) = AFFINITY.get(bits::index(level)) else { return INVALID_PARAMETERS };
        if target & !every != 0 {
            return INVALID_PARAMETERS;
        }
        let vcpus = self.vm.config().vcpus;
        let member =
            |vcpu: &VcpuIndex| (affinity_of(*vcpu).into_mpidr().into_bits() ^ target) & compared == 0;
        let members = (0..vcpus).map(VcpuIndex).filter(member);
        let states = self.vm.with(|shared| {
            let state = |vcpu: VcpuIndex| match shared.power.get(usize::from(vcpu.0)) {
                Some(Power::On) => 0,
                Some(Power::OnPending(_)) => 2,
                Some(Power::Off) | None => 1,
            };
            members.map(state).reduce(more_on)
        });
        states.unwrap_or(INVALID_PARAMETERS)
    }

    /// Starts if asked to: resets the registers here, on the vCPU's own thread, and sets what the caller gave.
    /// Returns whether the vCPU is on.
    pub(crate) fn start_if_asked<R: Registers>(&mut self, registers: &mut R) -> Result<bool, RegisterError> {
        let index = usize::from(self.index.0);
        let power = self.vm.with(|shared| shared.power.get(index).copied()).unwrap_or(Power::Off);
        match power {
            Power::Off => return Ok(false),
            Power::On => {}
            Power::OnPending(start) => {
                self.reset_registers(registers)?;
                let sctlr = SctlrEl1::from_bits(registers.read(system(names::SCTLR_EL1))?);
                let sctlr = sctlr.with_ee(start.big_endian);
                registers.write(system(names::SCTLR_EL1), sctlr.into_bits())?;
                registers.write(RegId::PC, start.entry)?;
                registers.write(RegId::general(0), start.context)?;
            }
        }
        self.power_on();
        Ok(true)
    }

    /// Says that this vCPU is on.
    pub(crate) fn power_on(&mut self) {
        self.note_power(Power::On);
        self.running = true;
    }

    /// Says that this vCPU is off.
    pub(crate) fn power_off(&mut self) {
        self.note_power(Power::Off);
        self.running = false;
    }

    fn note_power(&mut self, power: Power) {
        let index = self.index;
        let concerned = self.vm.with(|shared| {
            if let Some(slot) = shared.power.get_mut(usize::from(index.0)) {
                *slot = power;
            }
            shared.gic.set_online(index, power == Power::On)
        });
        self.concern(concerned);
    }
}

/// Of two states of `AFFINITY_INFO`, the one that a group reports: on, else starting, else off.
const fn more_on(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, _) | (_, 0) => 0,
        (2, _) | (_, 2) => 2,
        _ => 1,
    }
}

/// 0 for what exists (for `CPU_SUSPEND`: the original format of its state, platform-coordinated).
fn psci_features(id: u32) -> u64 {
    const SMCCC_VERSION: u32 = 0x8000_0000;
    if id == SMCCC_VERSION {
        return SUCCESS;
    }
    match Function::decode(id) {
        Some(function) if function.owner == OWNER_STANDARD_SECURE => {
            if exists(function.width, function.number) { SUCCESS } else { NOT_SUPPORTED }
        }
        Some(_) | None => NOT_SUPPORTED,
    }
}
