//! Building the objects of `objects` in memory of the caller. Each has one plan, which tells its size and is carried
//! out to make it.

use super::callbacks::{Context, Embedder, Ops};
use super::memory::{Memory, Plan, Spot, fill, read};
use super::types::*;
use crate::lock::Guarded;
use crate::objects::{
    BACKEND_SAE, BACKEND_SAE_MODEL, BackendObject, CoreVcpu, CoreVm, GUEST_AARCH64, Halves, Hardware, Host,
    MODEL_VCPUS, Model, ModelCpu, ModelVcpu, ModelVm, VCPUS, VcpuObject, VmObject, machine,
};
use crate::ops::{OpsHost, OpsVcpu};
use crate::status::Status;
use arm_exec::ram::MapMemory;
use arm_exec::{Block, Caches, Function, Jump, Op, Page, Ram};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use s390_arch::Absolute;
use s390_arch::sae::Facility;
use xarch_abi::{GuestPa, VcpuIndex};

const INVALID: Status = Status(XARCH_E_INVAL);
const PAGE: u64 = xarch_abi::PAGE_BYTES;

/// Room for the working memory of a PE.
struct CacheSpots {
    maps: Spot<MapMemory>,
    ops: Spot<Op>,
    blocks: Spot<Block>,
    jumps: Spot<Jump>,
    functions: Spot<Function>,
}

/// The least number of operations and blocks that a PE takes.
const LEAST_OPS: usize = 4096;
const LEAST_BLOCKS: usize = 256;

impl CacheSpots {
    fn plan(plan: &mut Plan, ops: usize, functions: usize) -> Self {
        let ops = ops.clamp(LEAST_OPS, Caches::OPS);
        Self {
            maps: plan.add(Caches::MAPS),
            ops: plan.add(ops),
            blocks: plan.add((ops >> 4).max(LEAST_BLOCKS)),
            jumps: plan.add(Caches::JUMPS),
            functions: plan.add(functions),
        }
    }

    /// # Safety
    /// The spots are of the memory's plan.
    unsafe fn make(self, memory: &Memory) -> Caches<'static> {
        // SAFETY: the caller's promise, five times.
        let (maps, ops, blocks, jumps, functions) = unsafe {
            (
                memory.at(self.maps),
                memory.at(self.ops),
                memory.at(self.blocks),
                memory.at(self.jumps),
                memory.at(self.functions),
            )
        };
        Caches {
            maps: fill(maps, MapMemory::default),
            ops: fill(ops, Op::default),
            blocks: fill(blocks, Block::default),
            jumps: fill(jumps, Jump::default),
            functions: fill(functions, Function::default),
        }
    }
}

/// Writes one object and returns it. Where it is a constant, or small, nothing of it goes over the stack.
#[inline(always)]
fn put<T>(memory: &'static mut [MaybeUninit<T>], value: T) -> Result<&'static mut T, Status> {
    // A plan has room for one.
    Ok(memory.first_mut().ok_or(INVALID)?.write(value))
}

// What is large is made in functions of its own, so that no two of them are on the stack at once.

#[inline(never)]
fn put_cpu(
    memory: &'static mut [MaybeUninit<ModelCpu>],
    machine: &'static Model,
    number: u16,
    caches: Caches<'static>,
) -> Result<&'static mut ModelCpu, Status> {
    machine.cpu_at(memory.first_mut().ok_or(INVALID)?, number, caches).ok_or(Status(XARCH_E_NOMEM))
}

#[inline(never)]
fn put_vm<F: Facility>(
    memory: &'static mut [MaybeUninit<ModelVm>],
    cpu: &mut F,
    control: machine::Control,
    storage: machine::Window,
    config: s390_host::Config,
) -> Result<&'static mut ModelVm, Status> {
    let place = memory.first_mut().ok_or(INVALID)?;
    Ok(ModelVm::new_at(place, cpu, control, storage, config)?)
}

#[inline(never)]
fn put_vcpu(
    memory: &'static mut [MaybeUninit<ModelVcpu>],
    vm: &'static ModelVm,
    cpu: machine::Cpu,
    index: VcpuIndex,
) -> Result<&'static mut ModelVcpu, Status> {
    put(memory, ModelVcpu::new(vm, cpu, index)?)
}

#[inline(never)]
fn put_guest(
    memory: &'static mut [MaybeUninit<CoreVcpu>],
    vm: &'static CoreVm,
    index: VcpuIndex,
) -> Result<&'static mut CoreVcpu, Status> {
    put(memory, CoreVcpu::new(vm, index).ok_or(Status(XARCH_E_NOENT))?)
}

/// A configuration of which everything was looked at that can be without making anything.
pub(super) struct BackendParts {
    config: xarch_backend_config,
    embedder: Embedder,
    ops: Option<Ops>,
    vcpus: u16,
    address_bits: u8,
}

/// Copies configuration and tables in and checks them.
///
/// # Safety
/// As `backend_create` says about `config`.
pub(super) unsafe fn backend_parts(config: *const xarch_backend_config) -> Result<BackendParts, Status> {
    // SAFETY: the caller's promise.
    let config = unsafe { read(config) }?;
    // SAFETY: as above, for the tables that it names.
    let table = unsafe { read(config.platform) }?;
    let context = Context(config.context);
    let embedder = Embedder { table, context };
    let vcpus = u16::try_from(config.vcpus).map_err(|_| INVALID)?;
    let address_bits = u8::try_from(config.address_bits).map_err(|_| INVALID)?;
    let most = if config.kind == XARCH_BACKEND_OPS { VCPUS } else { MODEL_VCPUS };
    let possible = (1..=most).contains(&usize::from(vcpus)) && (32..=48).contains(&address_bits);
    let agrees = same_major(config.abi) && same_major(table.abi) && embedder.has_both_hooks();
    if !(possible && agrees) || config.flags != 0 {
        return Err(INVALID);
    }
    let ops = match config.kind {
        XARCH_BACKEND_OPS => {
            // SAFETY: as above.
            let table = unsafe { read(config.ops) }?;
            let ops = Ops::new(table, context).ok_or(INVALID)?;
            if !same_major(table.abi) || !config.storage.is_null() {
                return Err(INVALID);
            }
            Some(ops)
        }
        BACKEND_SAE_MODEL | BACKEND_SAE => {
            if config.kind == BACKEND_SAE && !machine::is_there() {
                return Err(Status(XARCH_E_NOTSUP));
            }
            let aligned = (config.storage_bytes | config.table_bytes) & (PAGE - 1) == 0
                && config.storage.cast::<Page>().is_aligned();
            let timed = config.kind == BACKEND_SAE || embedder.has_clock();
            if config.storage.is_null() || !config.ops.is_null() || !aligned || !timed {
                return Err(INVALID);
            }
            if config.table_bytes > config.storage_bytes || config.table_bytes <= PAGE {
                return Err(Status(XARCH_E_NOMEM));
            }
            None
        }
        _ => return Err(Status(XARCH_E_NOTSUP)),
    };
    Ok(BackendParts { config, embedder, ops, vcpus, address_bits })
}

const fn same_major(abi: u32) -> bool {
    abi >> 16 == XARCH_ABI >> 16
}

/// Room for the library's own machine and a CPU.
struct HostSpots {
    machine: Spot<Model>,
    cpu: Spot<ModelCpu>,
    caches: CacheSpots,
}

/// Where the parts of a back end lie.
pub(super) struct BackendPlan {
    pub plan: Plan,
    backend: Spot<BackendObject>,
    vm: Option<Spot<ModelVm>>,
    model: Option<HostSpots>,
}

impl BackendParts {
    pub(super) fn plan(&self) -> BackendPlan {
        let mut plan = Plan::default();
        let backend = plan.add(1);
        let vm = self.ops.is_none().then(|| plan.add(1));
        let model = (self.config.kind == BACKEND_SAE_MODEL).then(|| {
            // Building a VM asks the machine about itself, which a CPU answers that is needed no more afterwards.
            HostSpots {
                machine: plan.add(1),
                cpu: plan.add(1),
                caches: CacheSpots::plan(&mut plan, LEAST_OPS, 1),
            }
        });
        BackendPlan { plan, backend, vm, model }
    }

    /// Makes the back end.
    ///
    /// # Safety
    /// `memory` was taken for this plan; `storage` of the configuration is the library's from now on.
    pub(super) unsafe fn make(
        &self,
        spots: BackendPlan,
        memory: &Memory,
    ) -> Result<&'static mut BackendObject, Status> {
        let host = match (spots.vm, spots.model, self.ops) {
            // SAFETY: the caller's promise.
            (Some(vm), Some(spots), _) => unsafe { self.model(vm, spots, memory) }?,
            #[cfg(target_arch = "s390x")]
            // SAFETY: the caller's promise.
            (Some(vm), None, _) => unsafe { self.machine(vm, memory) }?,
            (None, _, Some(ops)) => Host::Ops(OpsHost::new(ops)),
            _ => return Err(INVALID),
        };
        // SAFETY: the spot is of the memory's plan.
        let place = unsafe { memory.at(spots.backend) };
        let backend = BackendObject {
            embedder: self.embedder,
            host,
            vcpus: self.vcpus,
            address_bits: self.address_bits,
            code_bytes: self.config.code_bytes,
            has_vm: AtomicBool::new(false),
            agreed: AtomicU64::new(0),
            #[cfg(feature = "next")]
            preempted_limit: AtomicU64::new(0),
        };
        put(place, backend)
    }

    /// Returns `storage` as pages.
    ///
    /// # Safety
    /// As `make`.
    unsafe fn pages(&self) -> Result<Ram<'static>, Status> {
        let pages = usize::try_from(self.config.storage_bytes / PAGE).map_err(|_| INVALID)?;
        // SAFETY: not null and aligned (`backend_parts`); the library's own memory for as long as the back end lives
        // (`backend_create`); every pattern of bytes is a page, and pages are only ever accessed as `arm_exec::ram`
        // does, for which the embedder's own accesses are those of another CPU.
        let pages = unsafe { core::slice::from_raw_parts(self.config.storage.cast::<Page>(), pages) };
        Ok(Ram::new(pages))
    }

    /// # Safety
    /// As `make`.
    unsafe fn model(&self, vm: Spot<ModelVm>, spots: HostSpots, memory: &Memory) -> Result<Host, Status> {
        // SAFETY: the caller's promise.
        let pages = unsafe { self.pages() }?;
        // SAFETY: the spots are of the memory's plan.
        let (machine, vm) = unsafe { (memory.at(spots.machine), memory.at(vm)) };
        // SAFETY: as above.
        let (cpu, caches) = unsafe { (memory.at(spots.cpu), spots.caches.make(memory)) };
        let settings = sae_model::Config::default();
        let model: &'static Model = put(machine, Model::new(pages, self.embedder, settings))?;
        let cpu = put_cpu(cpu, model, 0, caches)?;
        let config = s390_host::Config {
            address_bits: self.address_bits,
            vcpus: self.vcpus,
            storage: (Absolute::new(PAGE), self.config.table_bytes.wrapping_sub(PAGE)),
            limit: s390_host::LimitForm::default(),
            qmc_base: settings.qmc_base,
        };
        let (control, storage) = (machine::Control::from(model), machine::Window::from(model.storage()));
        let vm = put_vm(vm, cpu, control, storage, config)?;
        vm.lock_mut().tell(self.embedder.spin_hooks());
        Ok(Host::Model { control, storage, origin: 0, vm })
    }

    /// # Safety
    /// As `make`, on a machine that has the facility.
    #[cfg(target_arch = "s390x")]
    unsafe fn machine(&self, vm: Spot<ModelVm>, memory: &Memory) -> Result<Host, Status> {
        // SAFETY: the caller's promise.
        let pages = sae_model::Storage::new(unsafe { self.pages() }?);
        let (tables, start) = (self.config.table_bytes, self.config.storage.expose_provenance());
        #[expect(clippy::as_conversions, reason = "an address, on a machine with 64 bits")]
        let storage = machine::Window::mapped(pages, start as u64, tables).ok_or(INVALID)?;
        // SAFETY: the kind is one that `backend_info` has named to a caller who knows that the facility is announced.
        let (cpu, control) = unsafe { (storage.cpu(), storage.control()) };
        let (mut cpu, control) = (cpu.ok_or(INVALID)?, control.ok_or(INVALID)?);
        let config = s390_host::Config {
            address_bits: self.address_bits,
            vcpus: self.vcpus,
            storage: (Absolute::new(storage.origin()), tables),
            limit: s390_host::LimitForm::default(),
            qmc_base: s390_arch::sae::QmcBase::default(),
        };
        // SAFETY: the spot is of the memory's plan.
        let vm = put_vm(unsafe { memory.at(vm) }, &mut cpu, control, storage, config)?;
        vm.lock_mut().tell(self.embedder.spin_hooks());
        Ok(Host::Model { control, storage, origin: storage.origin(), vm })
    }
}

/// Where a VM lies.
pub(super) struct VmPlan {
    pub plan: Plan,
    vm: Spot<VmObject>,
    core: Spot<CoreVm>,
}

impl VmPlan {
    pub(super) fn new() -> Self {
        let mut plan = Plan::default();
        let (vm, core) = (plan.add(1), plan.add(1));
        Self { plan, vm, core }
    }

    /// Makes a VM on a back end that was claimed for it.
    ///
    /// # Safety
    /// `memory` was taken for this plan.
    #[expect(clippy::mut_from_ref, reason = "what is returned lies in the caller's memory")]
    pub(super) unsafe fn make(
        self,
        memory: &Memory,
        backend: &'static BackendObject,
        config: &xarch_vm_config,
    ) -> Result<&'static mut VmObject, Status> {
        let core_config = core_config(config, backend)?;
        // SAFETY: the spots are of the memory's plan.
        let (place, core) = unsafe { (memory.at(self.vm), memory.at(self.core)) };
        let core = put(core, const { CoreVm::blank(Guarded::around(vcpu_core::Shared::BLANK)) })?;
        core.configure(core_config).map_err(|_| INVALID)?;
        core.lock_mut().tell(backend.embedder.spin_hooks());
        backend.agreed.store(config.features & super::api::FEATURES, Ordering::Relaxed);
        #[cfg(feature = "next")]
        backend.preempted_limit.store(config.preempted_limit, Ordering::Relaxed);
        let made = [const { AtomicBool::new(false) }; VCPUS];
        put(place, VmObject { backend, core, users: AtomicU32::new(0), made })
    }
}

/// Checks a VM's configuration and puts it into the core's terms.
pub(super) fn core_config(
    config: &xarch_vm_config,
    backend: &BackendObject,
) -> Result<vcpu_core::Config, Status> {
    if !same_major(config.abi) {
        return Err(INVALID);
    }
    if config.guest != GUEST_AARCH64 {
        return Err(Status(XARCH_E_NOTSUP));
    }
    let vcpus =
        u16::try_from(config.vcpus).ok().filter(|n| (1..=backend.vcpus).contains(n)).ok_or(INVALID)?;
    let mut core = vcpu_core::Config { address_bits: backend.address_bits, ..vcpu_core::Config::new(vcpus) };
    match config.frames {
        [0, 0, 0, 0] => {}
        [distributor, redistributors, 0, 0] => {
            core.gic.distributor = GuestPa::new(distributor);
            core.gic.redistributors = GuestPa::new(redistributors);
        }
        _ => return Err(INVALID),
    }
    Ok(core)
}

/// Where the parts of a vCPU lie.
pub(super) struct VcpuPlan {
    pub plan: Plan,
    vcpu: Spot<VcpuObject>,
    guest: Spot<CoreVcpu>,
    model: Option<ModelSpots>,
}

/// Room for a vCPU on the library's own back end.
struct ModelSpots {
    vcpu: Spot<ModelVcpu>,
    cpu: CpuSpots,
}

/// Room for the CPU that it runs on.
enum CpuSpots {
    Model(Spot<ModelCpu>, CacheSpots),
    #[cfg(target_arch = "s390x")]
    Machine(Spot<s390_host::hw::Hw>),
}

impl CpuSpots {
    fn plan(plan: &mut Plan, control: &machine::Control, ops: usize) -> Self {
        #[cfg(target_arch = "s390x")]
        if machine::model_of(control).is_none() {
            return Self::Machine(plan.add(1));
        }
        let _ = control;
        Self::Model(plan.add(1), CacheSpots::plan(plan, ops, Caches::FUNCTIONS))
    }

    /// # Safety
    /// The spots are of the memory's plan; and as `VcpuPlan::make`.
    unsafe fn make(
        self,
        memory: &Memory,
        control: &machine::Control,
        storage: &machine::Window,
        index: VcpuIndex,
    ) -> Result<machine::Cpu, Status> {
        match self {
            Self::Model(cpu, caches) => {
                let _ = storage;
                let model = machine::model_of(control).ok_or(INVALID)?;
                // SAFETY: the caller's promise, twice.
                let (place, caches) = unsafe { (memory.at(cpu), caches.make(memory)) };
                let cpu = put_cpu(place, model, index.0, caches)?;
                Ok(machine::Cpu::from(cpu))
            }
            #[cfg(target_arch = "s390x")]
            Self::Machine(cpu) => {
                // SAFETY: the back end is the machine's own, and its maker vouched for it.
                let hw = unsafe { storage.cpu() }.ok_or(INVALID)?;
                // SAFETY: the caller's promise.
                Ok(machine::Cpu::Machine(put(unsafe { memory.at(cpu) }, hw)?))
            }
        }
    }
}

/// Bytes of decoded code unless the embedder says otherwise.
const CODE_BYTES: u64 = 1 << 20;

impl VcpuPlan {
    pub(super) fn new(backend: &BackendObject) -> Self {
        let mut plan = Plan::default();
        let (vcpu, guest) = (plan.add(1), plan.add(1));
        let code = if backend.code_bytes == 0 { CODE_BYTES } else { backend.code_bytes };
        let ops = usize::try_from(code).unwrap_or(usize::MAX) >> 4;
        let model = match backend.host {
            Host::Model { ref control, .. } => {
                Some(ModelSpots { vcpu: plan.add(1), cpu: CpuSpots::plan(&mut plan, control, ops) })
            }
            Host::Ops(_) => None,
        };
        Self { plan, vcpu, guest, model }
    }

    /// Makes a vCPU whose number was claimed for it.
    ///
    /// # Safety
    /// `memory` was taken for this plan.
    #[expect(clippy::mut_from_ref, reason = "what is returned lies in the caller's memory")]
    pub(super) unsafe fn make(
        self,
        memory: &Memory,
        vm: &'static VmObject,
        index: VcpuIndex,
        context: Context,
    ) -> Result<&'static mut VcpuObject, Status> {
        // SAFETY: the spot is of the memory's plan.
        let guest = unsafe { memory.at(self.guest) };
        let guest = put_guest(guest, vm.core, index)?;
        let hardware = match (&vm.backend.host, self.model) {
            (Host::Model { control, storage, vm, .. }, Some(spots)) => {
                // SAFETY: the spots are of the memory's plan; the rest is the caller's promise.
                let cpu = unsafe { spots.cpu.make(memory, control, storage, index) }?;
                // SAFETY: the spot is of the memory's plan.
                let vcpu = unsafe { memory.at(spots.vcpu) };
                Hardware::Model(put_vcpu(vcpu, vm, cpu, index)?)
            }
            (Host::Ops(host), _) => Hardware::Ops(OpsVcpu::new(host, context, index)?),
            (Host::Model { .. }, None) => return Err(INVALID),
        };
        // SAFETY: the spot is of the memory's plan.
        let place = unsafe { memory.at(self.vcpu) };
        let halves = UnsafeCell::new(Halves { guest, hardware });
        put(place, VcpuObject { vm, index, busy: AtomicBool::new(false), halves })
    }
}
