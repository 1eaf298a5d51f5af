//! What the opaque structures of the header are: one guest side on one of several back ends.

use crate::c::callbacks::Embedder;
use crate::c::*;
use crate::convert;
use crate::lock::Guarded;
use crate::ops::{OpsHost, OpsVcpu};
use crate::status::Status;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use s390_arch::{Absolute, AbsoluteStorage as _};
use s390_host::Tables;
use xarch_abi::{
    Backend as _, BackendVcpu as _, DeviceAccess, DeviceAnswer, Guest as _, GuestPa, GuestRange, Outcome,
    Platform, RegId, RegisterError, Registers, Slot, TraceEvent, Unreadable, VcpuIndex,
};

/// The most vCPUs of a VM: all that the core can have.
pub(crate) const VCPUS: usize = vcpu_core::MAX_VCPUS;
/// The most vCPUs that the library's own back end runs.
pub(crate) const MODEL_VCPUS: usize = s390_host::MAX_VCPUS;

/// Guest architecture: 64-bit Arm.
pub(crate) const GUEST_AARCH64: u32 = 1;
/// Back end: IBM Z with the facility played in software.
pub(crate) const BACKEND_SAE_MODEL: u32 = 1;
/// Back end: IBM Z with the facility of the machine.
pub(crate) const BACKEND_SAE: u32 = 2;

#[cfg(target_arch = "s390x")]
pub(crate) use crate::c::machine;

/// What a machine without the facility has: it is played.
#[cfg(not(target_arch = "s390x"))]
pub(crate) mod machine {
    use super::{Model, ModelCpu};

    pub(crate) type Control = &'static Model;
    pub(crate) type Cpu = &'static mut ModelCpu;
    pub(crate) type Window = sae_model::Storage<'static>;

    pub(crate) const fn is_there() -> bool {
        false
    }

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it may be none")]
    pub(crate) const fn model_of(control: &Control) -> Option<&'static Model> {
        Some(*control)
    }
}

use machine::{Control, Cpu, Window};

pub(crate) type Model = sae_model::Machine<'static, Embedder>;
pub(crate) type ModelVm = s390_host::Vm<Control, Window, Guarded<Tables>>;
pub(crate) type ModelCpu = sae_model::Cpu<'static, Embedder>;
pub(crate) type ModelVcpu = s390_host::Vcpu<'static, Cpu, Control, Window, Guarded<Tables>>;
type SharedLock = Guarded<vcpu_core::Shared<VCPUS>>;
pub(crate) type CoreVm = vcpu_core::Vm<VCPUS, SharedLock>;
pub(crate) type CoreVcpu = vcpu_core::Vcpu<'static, VCPUS, SharedLock>;

/// The host half of a VM.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each back end, in memory that the caller gave for it")]
pub(crate) enum Host {
    /// The library's own driver, on the library's own machine or on the one that it runs on. Places of memory are
    /// counted from `origin` on.
    Model { control: Control, storage: Window, origin: u64, vm: &'static ModelVm },
    /// The embedder's.
    Ops(OpsHost),
}

/// `xarch_backend`.
#[derive(Debug)]
pub(crate) struct BackendObject {
    pub embedder: Embedder,
    pub host: Host,
    pub vcpus: u16,
    pub address_bits: u8,
    pub code_bytes: u64,
    pub has_vm: AtomicBool,
    /// Features that the VM's maker knows and the library too.
    pub agreed: AtomicU64,
    #[cfg(feature = "next")]
    pub preempted_limit: AtomicU64,
}

impl BackendObject {
    pub(crate) fn has_agreed(&self, feature: u64) -> bool {
        self.agreed.load(Ordering::Relaxed) & feature != 0
    }

    pub(crate) fn request_exit(&self, vcpu: VcpuIndex) {
        match &self.host {
            Host::Model { vm, .. } => vm.request_exit(vcpu),
            Host::Ops(ops) => ops.request_exit(vcpu),
        }
    }

    pub(crate) fn add_slot(&self, slot: &xarch_slot) -> Result<(), Status> {
        let checked = self.place(slot).ok_or(Status(XARCH_E_INVAL))?;
        match &self.host {
            Host::Model { vm, .. } => Ok(vm.add_slot(&checked)?),
            Host::Ops(ops) => ops.table().add_slot(slot),
        }
    }

    /// Checks a slot, and says where its memory is.
    fn place(&self, slot: &xarch_slot) -> Option<Slot> {
        let checked = convert::slot(slot)?;
        match &self.host {
            Host::Model { origin, .. } => Some(Slot { host: checked.host.checked_add(*origin)?, ..checked }),
            Host::Ops(_) => Some(checked),
        }
    }

    pub(crate) fn remove_slot(&self, range: GuestRange) -> Result<(), Status> {
        match &self.host {
            Host::Model { vm, .. } => Ok(vm.remove_slot(range)?),
            Host::Ops(ops) => ops.table().remove_slot(range.start().value(), range.bytes()),
        }
    }

    pub(crate) fn unmap(&self, range: GuestRange) -> Result<(), Status> {
        match &self.host {
            Host::Model { vm, .. } => Ok(vm.unmap(range)?),
            Host::Ops(ops) => ops.table().unmap(range.start().value(), range.bytes()),
        }
    }

    pub(crate) fn protect(&self, range: GuestRange) -> Result<(), Status> {
        match &self.host {
            Host::Model { vm, .. } => Ok(vm.protect(range)?),
            Host::Ops(ops) => ops.table().protect(range.start().value(), range.bytes()),
        }
    }

    pub(crate) fn collect_dirty(
        &self,
        range: GuestRange,
        report: crate::c::callbacks::Report,
    ) -> Result<(), Status> {
        match &self.host {
            Host::Model { vm, .. } => Ok(vm.collect_dirty(range, |page| report.page(page.value()))?),
            Host::Ops(ops) => ops.table().collect_dirty(range.start().value(), range.bytes(), report),
        }
    }

    /// 1 if young, 0 if old.
    pub(crate) fn age(&self, range: GuestRange) -> Result<i32, Status> {
        match &self.host {
            Host::Model { vm, .. } => Ok(match vm.age(range)? {
                xarch_abi::Age::Young => 1,
                xarch_abi::Age::Old => 0,
            }),
            Host::Ops(ops) => ops.table().age(range.start().value(), range.bytes()),
        }
    }
}

impl BackendObject {
    /// Reads guest memory out of the caller's storage.
    fn read_storage(&self, storage: &Window, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        let (mut at, mut rest) = (address, into);
        while !rest.is_empty() {
            let slot = self.slot(at).ok_or(Unreadable(at))?;
            let offset = at.offset_from(slot.guest.start()).ok_or(Unreadable(at))?;
            let host = slot.host.value().checked_add(offset).ok_or(Unreadable(at))?;
            // To the next doubleword: slots begin and end there.
            let step = 8_u64.wrapping_sub(at.value() & 7);
            let bytes = usize::try_from(step).map_or(rest.len(), |step| step.min(rest.len()));
            let Some((piece, after)) = core::mem::take(&mut rest).split_at_mut_checked(bytes) else { break };
            let read = match <&mut [u8; 8]>::try_from(&mut *piece) {
                Ok(whole) => storage.load(Absolute::new(host)).map(|loaded| *whole = loaded),
                Err(_) => storage.read_bytes(Absolute::new(host), piece),
            };
            read.map_err(|_| Unreadable(at))?;
            rest = after;
            if !rest.is_empty() {
                at = at.checked_add(step).ok_or(Unreadable(at))?;
            }
        }
        Ok(())
    }
}

impl Platform for BackendObject {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.place(&self.embedder.slot(address.value())?)
    }

    fn device(&self, vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        let mut question = convert::access(access);
        let said = self.embedder.device(u32::from(vcpu.0), &mut question);
        let later = said == XARCH_E_AGAIN && self.has_agreed(XARCH_FEATURE_DEVICE_LATER);
        if later { None } else { Some(convert::answer(said, question.value, access.operation)) }
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        match (self.embedder.read(address.value(), into), &self.host) {
            (Some(XARCH_OK), _) => Ok(()),
            (None, Host::Model { storage, .. }) => self.read_storage(storage, address, into),
            (Some(_), _) | (None, Host::Ops(_)) => Err(Unreadable(address)),
        }
    }

    fn kick(&self, vcpu: VcpuIndex) {
        if !self.embedder.kick(u32::from(vcpu.0)) {
            self.request_exit(vcpu);
        }
    }

    fn relax(&self, vcpu: VcpuIndex) {
        self.embedder.relax(u32::from(vcpu.0));
    }

    #[inline]
    fn trace(&self, vcpu: VcpuIndex, event: TraceEvent) {
        if self.embedder.traces() {
            self.embedder.trace(u32::from(vcpu.0), &convert::trace(&event));
        }
    }
}

/// `xarch_vm`.
#[derive(Debug)]
pub(crate) struct VmObject {
    pub backend: &'static BackendObject,
    pub core: &'static CoreVm,
    /// vCPUs that exist.
    pub users: AtomicU32,
    /// Which, by number.
    pub made: [AtomicBool; VCPUS],
}

/// What runs the guest of one vCPU.
#[derive(Debug)]
pub(crate) enum Hardware {
    Model(&'static mut ModelVcpu),
    Ops(OpsVcpu),
}

impl Registers for Hardware {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        match self {
            Self::Model(vcpu) => vcpu.read(id),
            Self::Ops(vcpu) => vcpu.read(id),
        }
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        match self {
            Self::Model(vcpu) => vcpu.write(id, value),
            Self::Ops(vcpu) => vcpu.write(id, value),
        }
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        match self {
            Self::Model(vcpu) => vcpu.read_wide(id),
            Self::Ops(vcpu) => vcpu.read_wide(id),
        }
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        match self {
            Self::Model(vcpu) => vcpu.write_wide(id, value),
            Self::Ops(vcpu) => vcpu.write_wide(id, value),
        }
    }
}

/// The two halves of a vCPU.
#[derive(Debug)]
pub(crate) struct Halves {
    pub guest: &'static mut CoreVcpu,
    pub hardware: Hardware,
}

/// `xarch_vcpu`.
#[derive(Debug)]
pub(crate) struct VcpuObject {
    pub vm: &'static VmObject,
    pub index: VcpuIndex,
    pub busy: AtomicBool,
    pub halves: UnsafeCell<Halves>,
}

/// A function of its own: the engine is deep, and what the caller's own back end takes need not be above it.
#[inline(never)]
fn run_model(vcpu: &mut ModelVcpu, guest: &mut CoreVcpu, backend: &'static BackendObject) -> Outcome {
    vcpu.run(guest, backend)
}

impl Halves {
    pub(crate) fn run(&mut self, backend: &'static BackendObject) -> xarch_outcome {
        let outcome: Outcome = match &mut self.hardware {
            Hardware::Model(vcpu) => run_model(vcpu, self.guest, backend),
            Hardware::Ops(vcpu) => match vcpu.run_or_fail(self.guest, backend) {
                Ok(outcome) => outcome,
                Err(error) => return convert::failed(error),
            },
        };
        convert::outcome(&outcome)
    }

    pub(crate) fn reset(&mut self) -> Result<(), Status> {
        Ok(self.guest.reset(&mut self.hardware)?)
    }

    pub(crate) fn boot(&mut self, entry: u64, arguments: [u64; 4]) -> Result<(), Status> {
        Ok(self.guest.boot(&mut self.hardware, entry, arguments)?)
    }

    pub(crate) fn complete(&mut self, token: u32, status: i32, value: u64) -> Result<(), Status> {
        let answers = match status {
            XARCH_OK => [DeviceAnswer::Value(value), DeviceAnswer::Done],
            XARCH_E_NODEV => [DeviceAnswer::Absent; 2],
            _ => return Err(Status(XARCH_E_INVAL)),
        };
        let token = xarch_abi::Token(token);
        let mut result = Ok(());
        for answer in answers {
            // The core knows whether a load or a store waits: of a store the value says nothing.
            result = self.guest.complete(&mut self.hardware, token, answer);
            if !matches!(result, Err(xarch_abi::CompletionError::Mismatch(_))) {
                break;
            }
        }
        Ok(result?)
    }

    pub(crate) fn get(&mut self, id: u64) -> Result<[u64; 2], Status> {
        #[cfg(feature = "next")]
        if id >> 32 == u64::from(XARCH_BANK_STATISTICS) {
            return self.statistic(id);
        }
        let id = convert::register(id).ok_or(Status(XARCH_E_NOENT))?;
        self.guest.before_observe(&mut self.hardware)?;
        match self.guest.get(&mut self.hardware, id) {
            Ok(value) => Ok([value, 0]),
            Err(RegisterError::Wide(_)) => Ok(convert::halves(self.hardware.read_wide(id)?)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn set(&mut self, id: u64, value: [u64; 2]) -> Result<(), Status> {
        let id = convert::register(id).ok_or(Status(XARCH_E_NOENT))?;
        self.guest.before_observe(&mut self.hardware)?;
        let [low, high] = value;
        if high != 0 {
            return Ok(self.hardware.write_wide(id, convert::whole(value))?);
        }
        match self.guest.set(&mut self.hardware, id, low) {
            Err(RegisterError::Wide(_)) => Ok(self.hardware.write_wide(id, u128::from(low))?),
            result => Ok(result?),
        }
    }

    pub(crate) fn list(&mut self, mut found: impl FnMut(u64)) -> Result<(), Status> {
        self.guest.before_observe(&mut self.hardware)?;
        self.guest.for_each_register(&mut self.hardware, |id| found(convert::id(id)))?;
        [RegId::ERROR, RegId::POWER].into_iter().map(convert::id).for_each(&mut found);
        self.guest.for_each_gic_register(|register| found(convert::id(register.id())));
        Ok(())
    }

    #[cfg(feature = "next")]
    fn statistic(&self, id: u64) -> Result<[u64; 2], Status> {
        match (&self.hardware, convert::register(id).map(|id| id.index)) {
            (Hardware::Ops(vcpu), Some(0)) => Ok([vcpu.preempted(), 0]),
            (Hardware::Model(_), Some(0)) => Ok([0, 0]),
            _ => Err(Status(XARCH_E_NOENT)),
        }
    }
}

impl VmObject {
    pub(crate) fn set_irq(&self, irq: &xarch_irq) -> Result<(), Status> {
        if irq.reserved != 0 || (irq.kind == XARCH_IRQ_SHARED && irq.vcpu != 0) {
            return Err(Status(XARCH_E_INVAL));
        }
        let line = match irq.action {
            XARCH_IRQ_LOW => Some(vcpu_core::Line::Low),
            XARCH_IRQ_HIGH => Some(vcpu_core::Line::High),
            XARCH_IRQ_PULSE | XARCH_IRQ_MESSAGE => None,
            _ => return Err(Status(XARCH_E_NOTSUP)),
        };
        match irq.kind {
            XARCH_IRQ_SHARED => {
                let spi = vcpu_core::Spi::new(irq.number).ok_or(Status(XARCH_E_NOENT))?;
                match line {
                    Some(line) => self.core.set_spi_level(spi, line, self.backend),
                    None if irq.action == XARCH_IRQ_PULSE => self.core.pulse(spi, self.backend),
                    None => self.core.set_spi(spi, self.backend),
                }
            }
            XARCH_IRQ_PRIVATE => {
                let ppi = vcpu_core::Ppi::new(irq.number).ok_or(Status(XARCH_E_NOENT))?;
                let vcpu = convert::index(irq.vcpu, self.core.config().vcpus)?;
                let line = line.ok_or(Status(XARCH_E_INVAL))?;
                self.core.set_ppi_level(vcpu, ppi, line, self.backend);
            }
            _ => return Err(Status(XARCH_E_NOTSUP)),
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: u64) -> Result<[u64; 2], Status> {
        Ok([self.core.gic_register(shared_register(id)?)?, 0])
    }

    pub(crate) fn set(&self, id: u64, value: [u64; 2]) -> Result<(), Status> {
        let [value, 0] = value else { return Err(Status(XARCH_E_INVAL)) };
        Ok(self.core.set_gic_register(shared_register(id)?, value)?)
    }

    pub(crate) fn list(&self, mut found: impl FnMut(u64)) {
        self.core.for_each_gic_register(|register| {
            if register.vcpu().is_none() {
                found(convert::id(register.id()));
            }
        });
    }

    /// Notes that a vCPU is made; `false` if it was already.
    pub(crate) fn claim(&self, vcpu: VcpuIndex) -> bool {
        self.made.get(usize::from(vcpu.0)).is_some_and(|made| !made.swap(true, Ordering::AcqRel))
    }

    pub(crate) fn release(&self, vcpu: VcpuIndex) {
        if let Some(made) = self.made.get(usize::from(vcpu.0)) {
            made.store(false, Ordering::Release);
        }
    }
}

/// The state that C names and all vCPUs share.
fn shared_register(id: u64) -> Result<vcpu_core::GicRegister, Status> {
    let id = convert::register(id).ok_or(Status(XARCH_E_NOENT))?;
    vcpu_core::GicRegister::from_id(id, None).ok_or(Status(XARCH_E_NOENT))
}

const _: () = assert!(MODEL_VCPUS <= VCPUS && MODEL_VCPUS <= arm_exec::MAX_PES);
