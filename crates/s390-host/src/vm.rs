//! One VM: its address space, its clock, and what is shared by its vCPUs.

use crate::block::Block;
use crate::discovery::converts_guest_time;
use crate::gmap::{self, Around, Gmap, MapError, Upper};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use s390_arch::sae::{
    BLOCK_BYTES, Facility, HostControl, QaafFunction, QmcBase, QmcIndex, Rejected, SystemRegisterNumber,
    block::field, ptff::PtffFunction, qaaf,
};
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};
use xarch_abi::{Age, Backend, GuestPa, GuestRange, Lock, Slot, VcpuIndex};

/// vCPUs that one VM can have.
pub const MAX_VCPUS: usize = 64;

/// Per vCPU: control block and save area.
const VCPU_BYTES: u64 = 2 * BLOCK_BYTES;
/// What the machine offers, the save-area template, and the system control area.
const VM_BYTES: u64 = 3 * BLOCK_BYTES;
/// Format 0 in a map of formats.
const FORMAT_0: u8 = 0x80;

/// How a control block's main-storage limit is meant.
///
/// CHOICE: the sources disagree: the first versions of the series store the last address, the newest tree the
/// size. The driver can be told either; the default is what SIE does, the last address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitForm {
    /// The last address of guest storage.
    #[default]
    LastAddress,
    /// The number of bytes of guest storage.
    Size,
}

/// What a VM is to be.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bits of a guest-physical address, 32 to 48. The one truth about the size of the address space.
    pub address_bits: u8,
    /// vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u16,
    /// Storage for control blocks and tables: absolute address and bytes. Nobody else touches it while the VM
    /// lives.
    pub storage: (Absolute, u64),
    /// Form of the main-storage limit.
    pub limit: LimitForm,
    /// Where the words of QAAF function 1 start.
    pub qmc_base: QmcBase,
}

/// Why a VM or a vCPU could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Address bits outside 32 to 48.
    AddressBits(u8),
    /// No vCPU, or more than [`MAX_VCPUS`] or the machine allow.
    Vcpus(u16),
    /// There is no vCPU of that number.
    NoSuchVcpu(VcpuIndex),
    /// The vCPU exists already: its blocks have one owner.
    VcpuExists(VcpuIndex),
    /// The storage does not begin at a page, at least one past 0, or is too small for the blocks: bytes needed, without
    /// tables.
    TooSmall(u64),
    /// The address space could not be built.
    Map(MapError),
    /// A block lies outside storage.
    Storage(OutsideStorage),
    /// The machine refused an instruction of the facility.
    Rejected(Rejected),
    /// The machine does not convert guest time: PTFF lacks one of its two functions.
    NoGuestTime,
    /// The machine does not have format 0 of the control block or of the save area.
    NoFormat,
    /// The words of QAAF do not lie where the configuration says: MIDR_EL1, which no machine has as zero, reads zero.
    WrongQmcBase(QmcBase),
}

impl core::fmt::Display for HostError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::AddressBits(bits) => write!(f, "guest addresses of {bits} bits: 32 to 48 are possible"),
            Self::Vcpus(n) => write!(f, "{n} vCPUs are not possible on this machine"),
            Self::NoSuchVcpu(index) => write!(f, "no vCPU {}", index.0),
            Self::VcpuExists(index) => write!(f, "vCPU {} exists already", index.0),
            Self::TooSmall(bytes) => write!(f, "control blocks need {bytes} bytes of page-aligned storage"),
            Self::Map(error) => write!(f, "{error}"),
            Self::Storage(error) => write!(f, "{error}"),
            Self::Rejected(error) => write!(f, "{error}"),
            Self::NoGuestTime => write!(f, "the machine cannot convert guest time"),
            Self::NoFormat => write!(f, "the machine does not take format 0 of control block and save area"),
            Self::WrongQmcBase(base) => {
                write!(f, "the model capabilities do not lie as configured, {base:?}")
            }
        }
    }
}

impl core::error::Error for HostError {}

impl From<MapError> for HostError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}
impl From<OutsideStorage> for HostError {
    fn from(error: OutsideStorage) -> Self {
        Self::Storage(error)
    }
}
impl From<Rejected> for HostError {
    fn from(error: Rejected) -> Self {
        Self::Rejected(error)
    }
}

/// One VM on this host. Shared by the threads of its vCPUs.
///
/// `C` is what the host can do to all CPUs, `S` its storage, `L` the lock of the embedder around the tables.
#[derive(Debug)]
pub struct Vm<C, S, L> {
    pub(crate) control: C,
    pub(crate) storage: S,
    tables: L,
    config: Config,
    asce: u64,
    /// The VM's one clock: the offset of the guest's counts.
    clock_offset: AtomicU64,
    exit_requests: [AtomicBool; MAX_VCPUS],
    /// vCPUs that exist: their blocks have an owner.
    claimed: [AtomicBool; MAX_VCPUS],
}

impl<C, S, L> Vm<C, S, L> {
    /// Returns the lock around the tables, for embedders whose own has more to it than mutual exclusion.
    #[must_use]
    pub const fn lock_mut(&mut self) -> &mut L {
        &mut self.tables
    }

    /// Makes the caller the owner of a vCPU's blocks; returns whether they had none.
    pub(crate) fn claim(&self, vcpu: VcpuIndex) -> bool {
        self.claimed.get(usize::from(vcpu.0)).is_some_and(|claimed| !claimed.swap(true, Ordering::AcqRel))
    }

    /// Gives a vCPU's blocks up.
    pub(crate) fn release(&self, vcpu: VcpuIndex) {
        if let Some(claimed) = self.claimed.get(usize::from(vcpu.0)) {
            claimed.store(false, Ordering::Release);
        }
    }
}

/// The tables of a VM, to name the lock's content: `spin::Mutex<Tables>` serves as `L`.
#[derive(Debug)]
pub struct Tables(Gmap);

/// What a VM is made of, apart from what the caller gives.
struct Base {
    upper: Upper,
    clock_offset: u64,
}

impl<C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Vm<C, S, L> {
    /// Builds a VM whose address space is one hole, with `facility` being the CPU that this runs on.
    ///
    /// # Errors
    /// [`HostError`] names what does not fit.
    pub fn new<F: Facility>(
        facility: &mut F,
        control: C,
        storage: S,
        config: Config,
    ) -> Result<Self, HostError> {
        let base = Self::base(facility, &control, &storage, &config)?;
        let vm = Self::on(base, control, storage, config);
        vm.begin(facility)?;
        Ok(vm)
    }

    /// As [`new`](Self::new), in memory of the caller: it is large, and nothing of it goes over the stack.
    ///
    /// # Errors
    /// As [`new`](Self::new). The place may have been written to.
    pub fn new_at<'p, F: Facility>(
        place: &'p mut MaybeUninit<Self>,
        facility: &mut F,
        control: C,
        storage: S,
        config: Config,
    ) -> Result<&'p mut Self, HostError> {
        let base = Self::base(facility, &control, &storage, &config)?;
        let vm = place.write(Self::on(base, control, storage, config));
        vm.begin(facility)?;
        Ok(vm)
    }

    /// Checks the configuration and builds the empty tables.
    fn base<F: Facility>(
        facility: &mut F,
        control: &C,
        storage: &S,
        config: &Config,
    ) -> Result<Base, HostError> {
        if !(32..=48).contains(&config.address_bits) {
            return Err(HostError::AddressBits(config.address_bits));
        }
        if config.vcpus == 0 || usize::from(config.vcpus) > MAX_VCPUS {
            return Err(HostError::Vcpus(config.vcpus));
        }
        let blocks = VM_BYTES.wrapping_add(VCPU_BYTES.wrapping_mul(u64::from(config.vcpus)));
        let (start, bytes) = config.storage;
        if start.bits() == 0 || !start.is_aligned(BLOCK_BYTES) || bytes < blocks {
            return Err(HostError::TooSmall(blocks));
        }
        let tables = start.checked_add(blocks).ok_or(HostError::TooSmall(blocks))?;
        let around = Around { control, storage };
        let upper = Upper::new(around, config.storage, tables, config.address_bits)?;
        Ok(Base { upper, clock_offset: query_time_offset(facility)? })
    }

    /// Inline: where a caller writes it into a place at once, it is made there.
    #[inline(always)]
    fn on(base: Base, control: C, storage: S, config: Config) -> Self {
        Self {
            control,
            storage,
            asce: base.upper.asce(),
            tables: L::new(Tables(gmap::empty(base.upper, config.storage, config.address_bits))),
            config,
            clock_offset: AtomicU64::new(base.clock_offset),
            exit_requests: [const { AtomicBool::new(false) }; MAX_VCPUS],
            claimed: [const { AtomicBool::new(false) }; MAX_VCPUS],
        }
    }

    /// Fills in the blocks that all vCPUs share.
    fn begin<F: Facility>(&self, facility: &mut F) -> Result<(), HostError> {
        Block::new(&self.storage, self.system_control_area())?.clear();
        facility.qaaf(QaafFunction::QueryModelCapabilities.encode(), self.capabilities())?;
        self.check_capabilities()?;
        facility.qaaf(QaafFunction::InitialSaveArea { format: 0 }.encode(), self.template())?;
        Ok(())
    }

    /// Checks that the machine can do what was configured.
    fn check_capabilities(&self) -> Result<(), HostError> {
        // ssdf, ssaf and maxncpu share a doubleword.
        let header = Block::new(&self.storage, self.capabilities())?.load(qaaf::field::SSDF);
        let [state_formats, _, area_formats, _, _, _, high, low] = header.to_be_bytes();
        if (state_formats & area_formats) & FORMAT_0 == 0 {
            return Err(HostError::NoFormat);
        }
        // The machine reports an id, not a count.
        let highest = VcpuIndex(u16::from_be_bytes([high, low]));
        if self.config.vcpus.checked_sub(1).is_none_or(|last| VcpuIndex(last) > highest) {
            return Err(HostError::Vcpus(self.config.vcpus));
        }
        let midr = QmcIndex::MIDR_EL1.register().and_then(|midr| self.limit(midr));
        if midr.unwrap_or_default() == 0 {
            return Err(HostError::WrongQmcBase(self.config.qmc_base));
        }
        Ok(())
    }

    fn around(&self) -> Around<'_, C, S> {
        Around { control: &self.control, storage: &self.storage }
    }

    const fn page(&self, number: u64) -> Absolute {
        Absolute::new(self.config.storage.0.bits().wrapping_add(number.wrapping_mul(BLOCK_BYTES)))
    }

    const fn capabilities(&self) -> Absolute {
        self.page(0)
    }

    pub(crate) const fn template(&self) -> Absolute {
        self.page(1)
    }

    const fn system_control_area(&self) -> Absolute {
        self.page(2)
    }

    /// Returns control block and save area of a vCPU, `None` if there is no such vCPU.
    pub(crate) fn blocks(&self, vcpu: VcpuIndex) -> Option<(Absolute, Absolute)> {
        (vcpu.0 < self.config.vcpus).then(|| {
            let first = u64::from(vcpu.0).wrapping_mul(2).wrapping_add(3);
            (self.page(first), self.page(first.wrapping_add(1)))
        })
    }

    /// Returns the absolute address of a vCPU's control block, for debuggers and tests.
    #[must_use]
    pub fn control_block(&self, vcpu: VcpuIndex) -> Option<Absolute> {
        self.blocks(vcpu).map(|(block, _)| block)
    }

    /// Returns the absolute address of a vCPU's save area, for debuggers and tests.
    #[must_use]
    pub fn save_area(&self, vcpu: VcpuIndex) -> Option<Absolute> {
        self.blocks(vcpu).map(|(_, area)| area)
    }

    /// Returns the address-space-control element of the guest's storage.
    #[must_use]
    pub const fn asce(&self) -> u64 {
        self.asce
    }

    /// Returns whether `address` is one the guest can have.
    pub(crate) fn holds(&self, address: GuestPa) -> bool {
        address.value().checked_shr(u32::from(self.config.address_bits)).unwrap_or(0) == 0
    }

    /// Writes the fields of a control block that belong to the VM.
    pub(crate) fn describe(&self, block: Block<'_>) {
        let last = 1_u64
            .checked_shl(u32::from(self.config.address_bits))
            .map_or(u64::MAX, |size| size.wrapping_sub(1));
        let limit = match self.config.limit {
            LimitForm::LastAddress => last,
            LimitForm::Size => last.wrapping_add(1),
        };
        block.store(field::MSO, 0);
        block.store(field::MSL, limit);
        block.store(field::HBASCE, self.asce);
        // CHOICE: vCPUs of one VM name the same system control area; the sources never set scad.
        block.store(field::SCAD, self.system_control_area().bits());
    }

    pub(crate) fn clock_offset(&self) -> u64 {
        self.clock_offset.load(Ordering::Acquire)
    }

    /// Moves the VM's clock. Every vCPU takes the offset at its next entry, for which those in the guest leave it.
    pub(crate) fn set_clock_offset(&self, offset: u64) {
        self.clock_offset.store(offset, Ordering::Release);
        for index in 0..self.config.vcpus {
            if let Some((block, _)) = self.blocks(VcpuIndex(index)) {
                self.control.request_exit(block);
            }
        }
    }

    /// Returns what the machine offers of an identification register.
    pub(crate) fn limit(&self, register: SystemRegisterNumber) -> Option<u64> {
        let offset = self.config.qmc_base.offset(QmcIndex::of_register(register)?)?;
        Block::new(&self.storage, self.capabilities()).ok().map(|block| block.load(offset))
    }

    pub(crate) fn take_exit_request(&self, vcpu: VcpuIndex) -> bool {
        let flag = self.exit_requests.get(usize::from(vcpu.0));
        flag.is_some_and(|flag| flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::AcqRel))
    }

    /// Makes a memory fault good, if the slot allows it.
    pub(crate) fn resolve(
        &self,
        address: GuestPa,
        slot: &Slot,
        wanted: gmap::Wanted,
    ) -> Result<gmap::Resolved, MapError> {
        self.tables.with(|tables| tables.0.resolve(self.around(), address, slot, wanted))
    }
}

/// Asks for the offset under which the guest's counts start at 0.
fn query_time_offset<F: Facility>(facility: &mut F) -> Result<u64, HostError> {
    if !converts_guest_time(facility) {
        return Err(HostError::NoGuestTime);
    }
    let mut parameters = [0, 0];
    facility.ptff(PtffFunction::QueryArmGuestTimeOffset.code(), &mut parameters)?;
    Ok(parameters[1])
}

impl<C: HostControl, S: AbsoluteStorage, L: Lock<Tables>> Backend for Vm<C, S, L> {
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
        gmap::collect_dirty(
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
        if let (Some(flag), Some((block, _))) =
            (self.exit_requests.get(usize::from(vcpu.0)), self.blocks(vcpu))
        {
            flag.store(true, Ordering::Release);
            self.control.request_exit(block);
        }
    }
}
