//! One VM: its address space, its clock, and what is shared by its vCPUs.

use crate::machine::{AddressSpace, Cpu, CpuNumber, HostControl, Intid, MAX_CPUS, TableStorage};
use crate::stage2::{self, Around, Stage2, Upper};
use arm_arch::sysreg::{IdAa64Mmfr0, names};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use guest_map::MapError;
use xarch_abi::{Age, Backend, GuestPa, GuestRange, HostPa, Lock, Slot, VcpuIndex};

/// vCPUs that one VM can have.
pub const MAX_VCPUS: usize = 64;

/// Nobody, where a number of a CPU or a vCPU is kept.
const NOBODY: u16 = u16::MAX;

/// Interrupts of the host that mean something to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupts {
    /// The maintenance interrupt of the virtual CPU interface.
    pub maintenance: Intid,
    /// The virtual timer of EL1.
    pub virtual_timer: Intid,
    /// The physical timer of EL1.
    pub physical_timer: Intid,
    /// What [`HostControl::kick`] sends.
    pub kick: Intid,
}

impl Default for Interrupts {
    /// The INTIDs that Arm's Base System Architecture recommends, and SGI 0.
    fn default() -> Self {
        Self { maintenance: Intid(25), virtual_timer: Intid(27), physical_timer: Intid(30), kick: Intid(0) }
    }
}

/// What a VM is to be.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bits of a guest-physical address, 32 to 48. The one truth about the size of the address space.
    pub address_bits: u8,
    /// vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u16,
    /// Tells the VM's translations from those of others; 0 is as good as any. No two VMs that run have the same.
    pub vmid: u8,
    /// Memory for tables: host address and bytes. Nobody else touches it while the VM lives.
    pub storage: (HostPa, u64),
    /// Interrupts of the host.
    pub interrupts: Interrupts,
}

/// Why a VM or a vCPU could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Address bits outside 32 to 48, or more than the CPU's physical addresses have.
    AddressBits(u8),
    /// No vCPU, or more than [`MAX_VCPUS`].
    Vcpus(u16),
    /// There is no vCPU of that number.
    NoSuchVcpu(VcpuIndex),
    /// The vCPU exists already.
    VcpuExists(VcpuIndex),
    /// A number of a CPU that is [`MAX_CPUS`] or more.
    NoSuchCpu(CpuNumber),
    /// The address space could not be built.
    Map(MapError),
}

impl core::fmt::Display for HostError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::AddressBits(bits) => write!(f, "guest addresses of {bits} bits are not possible here"),
            Self::Vcpus(n) => write!(f, "{n} vCPUs: 1 to {MAX_VCPUS} are possible"),
            Self::NoSuchVcpu(index) => write!(f, "no vCPU {}", index.0),
            Self::VcpuExists(index) => write!(f, "vCPU {} exists already", index.0),
            Self::NoSuchCpu(cpu) => write!(f, "CPU {} is one too many", cpu.0),
            Self::Map(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for HostError {}

impl From<MapError> for HostError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

/// The tables of a VM, to name the lock's content: `spin::Mutex<Tables>` serves as `L`.
#[derive(Debug)]
pub struct Tables(Stage2);

/// One VM on this host. Shared by the CPUs that run its vCPUs.
///
/// `C` is what reaches all CPUs, `S` memory for tables, `L` the lock of the embedder around the tables.
#[derive(Debug)]
pub struct Vm<C, S, L> {
    control: C,
    storage: S,
    tables: L,
    config: Config,
    space: AddressSpace,
    /// The VM's one clock: what the virtual count lies behind the physical one.
    clock_offset: AtomicU64,
    exit_requests: [AtomicBool; MAX_VCPUS],
    /// vCPUs that exist.
    claimed: [AtomicBool; MAX_VCPUS],
    /// The CPU on which each vCPU is loaded.
    loaded_on: [AtomicU16; MAX_VCPUS],
    /// The vCPU of this VM that each CPU had last: what it caches is that one's.
    last_on: [AtomicU16; MAX_CPUS],
}

impl<C, S, L> Vm<C, S, L> {
    /// Makes the caller the owner of a vCPU; returns whether it had none.
    pub(crate) fn claim(&self, vcpu: VcpuIndex) -> bool {
        self.claimed.get(usize::from(vcpu.0)).is_some_and(|claimed| !claimed.swap(true, Ordering::AcqRel))
    }

    /// Gives a vCPU up.
    pub(crate) fn release(&self, vcpu: VcpuIndex) {
        if let Some(claimed) = self.claimed.get(usize::from(vcpu.0)) {
            claimed.store(false, Ordering::Release);
        }
    }
}

impl<C: HostControl, S: TableStorage, L: Lock<Tables>> Vm<C, S, L> {
    /// Builds a VM whose address space is one hole, with `cpu` being the CPU that this runs on.
    ///
    /// # Errors
    /// [`HostError`] names what does not fit.
    pub fn new<P: Cpu>(cpu: &mut P, control: C, storage: S, config: Config) -> Result<Self, HostError> {
        let output_size = IdAa64Mmfr0::from_bits(cpu.read(names::ID_AA64MMFR0_EL1)).parange();
        let bits = config.address_bits;
        if !(32..=48).contains(&bits) || bits > physical_bits(output_size) {
            return Err(HostError::AddressBits(bits));
        }
        if config.vcpus == 0 || usize::from(config.vcpus) > MAX_VCPUS {
            return Err(HostError::Vcpus(config.vcpus));
        }
        let around = Around { control: &control, storage: &storage };
        let upper = Upper::new(around, config.storage, bits, config.vmid, output_size)?;
        let space = upper.space();
        let tables = Stage2::new(upper, bits, config.storage);
        let vm = Self {
            control,
            storage,
            tables: L::new(Tables(tables)),
            config,
            space,
            clock_offset: AtomicU64::new(cpu.read(names::CNTPCT_EL0)),
            exit_requests: [const { AtomicBool::new(false) }; MAX_VCPUS],
            claimed: [const { AtomicBool::new(false) }; MAX_VCPUS],
            loaded_on: [const { AtomicU16::new(NOBODY) }; MAX_VCPUS],
            last_on: [const { AtomicU16::new(NOBODY) }; MAX_CPUS],
        };
        Ok(vm)
    }

    fn around(&self) -> Around<'_, C, S> {
        Around { control: &self.control, storage: &self.storage }
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns how the CPUs are told the VM's address space, for debuggers and tests.
    #[must_use]
    pub const fn address_space(&self) -> AddressSpace {
        self.space
    }

    /// Returns whether `address` is one the guest can have.
    pub(crate) fn holds(&self, address: GuestPa) -> bool {
        address.value().checked_shr(u32::from(self.config.address_bits)).unwrap_or(0) == 0
    }

    pub(crate) fn clock_offset(&self) -> u64 {
        self.clock_offset.load(Ordering::Acquire)
    }

    /// Moves the VM's virtual clock. Every vCPU takes the offset at its next entry, for which those in the guest
    /// leave it.
    pub(crate) fn set_clock_offset(&self, offset: u64) {
        self.clock_offset.store(offset, Ordering::SeqCst);
        for index in 0..self.config.vcpus {
            self.kick_loaded(VcpuIndex(index));
        }
    }

    pub(crate) fn take_exit_request(&self, vcpu: VcpuIndex) -> bool {
        let flag = self.exit_requests.get(usize::from(vcpu.0));
        flag.is_some_and(|flag| flag.load(Ordering::SeqCst) && flag.swap(false, Ordering::SeqCst))
    }

    /// Notes where a vCPU is; `None` for nowhere. Returns whether the CPU may cache what another vCPU of this VM
    /// translated: they share a VMID, but not their local TLBIs.
    pub(crate) fn note_loaded(&self, vcpu: VcpuIndex, cpu: Option<CpuNumber>) -> bool {
        if let Some(place) = self.loaded_on.get(usize::from(vcpu.0)) {
            // Before the request flag is read: whoever sets it after that finds the CPU here.
            place.store(cpu.map_or(NOBODY, |cpu| cpu.0), Ordering::SeqCst);
        }
        let last = cpu.and_then(|cpu| self.last_on.get(usize::from(cpu.0)));
        last.is_some_and(|last| last.swap(vcpu.0, Ordering::AcqRel) != vcpu.0)
    }

    fn kick_loaded(&self, vcpu: VcpuIndex) {
        let place = self.loaded_on.get(usize::from(vcpu.0)).map(|place| place.load(Ordering::SeqCst));
        if let Some(cpu) = place.filter(|cpu| *cpu != NOBODY) {
            self.control.kick(CpuNumber(cpu));
        }
    }

    /// Makes a memory fault good, if the slot allows it.
    pub(crate) fn resolve(
        &self,
        address: GuestPa,
        slot: &Slot,
        wanted: stage2::Wanted,
    ) -> Result<stage2::Resolved, MapError> {
        self.tables.with(|tables| tables.0.resolve(self.around(), address, slot, wanted))
    }
}

/// Bits of a physical address, from PARange. Arm ARM, ID_AA64MMFR0_EL1.
const fn physical_bits(range: u8) -> u8 {
    match range {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        _ => 48,
    }
}

impl<C: HostControl, S: TableStorage, L: Lock<Tables>> Backend for Vm<C, S, L> {
    type Error = MapError;

    fn add_slot(&self, slot: &Slot) -> Result<(), MapError> {
        self.tables.with(|tables| tables.0.add_slot(self.around(), slot))
    }

    fn remove_slot(&self, range: GuestRange) -> Result<(), MapError> {
        self.tables.with(|tables| tables.0.remove_slot(self.around(), range))
    }

    fn unmap(&self, range: GuestRange) -> Result<(), MapError> {
        self.tables.with(|tables| tables.0.unmap(self.around(), range))
    }

    fn protect(&self, range: GuestRange) -> Result<(), MapError> {
        self.tables.with(|tables| tables.0.protect(self.around(), range))
    }

    fn collect_dirty<F: FnMut(GuestPa)>(&self, range: GuestRange, report: F) -> Result<(), MapError> {
        stage2::collect_dirty(
            self.around(),
            |section| self.tables.with(|tables| section(&mut tables.0)),
            range,
            report,
        )
    }

    fn age(&self, range: GuestRange) -> Result<Age, MapError> {
        self.tables.with(|tables| tables.0.age(self.around(), range))
    }

    fn request_exit(&self, vcpu: VcpuIndex) {
        if let Some(flag) = self.exit_requests.get(usize::from(vcpu.0)) {
            flag.store(true, Ordering::SeqCst);
            self.kick_loaded(vcpu);
        }
    }
}
