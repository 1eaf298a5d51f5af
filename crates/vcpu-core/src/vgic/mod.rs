//! The interrupt controller: a GICv3 with one Security state, affinity routing on, no LPIs.
//!
//! ```text
//!  lines, messages ──▶ distributor (SPIs) ──┐
//!  timers          ──▶ redistributor (PPIs) ├──▶ list registers ──▶ virtual CPU interface of the PE
//!  ICC_SGI*R       ──▶ redistributor (SGIs) ┘    (fill, fold)
//! ```
//!
//! The CPU interface (`ICC_*`) is the hardware's, on the state that list registers, `ICH_VMCR_EL2` and
//! `ICH_AP*R*_EL2` hold. GIC ch. 4 (interrupt handling), ch. 12 (registers).

mod bank;
mod distributor;
mod frame;
mod interface;
mod lists;
mod redistributor;
mod saved;
mod sgi;

pub use saved::{GicRegister, NoGicRegister};

pub(crate) use bank::{Bank, bit, each};
pub(crate) use lists::{LIST_REGISTERS, Listed};

use crate::state::{VcpuSet, affinity_of};
use arm_arch::bits;
use arm_arch::gic::distributor::{self as gicd, GicdCtlr, GicdIrouter};
use arm_arch::gic::redistributor as gicr;
use arm_arch::gic::{FIRST_PPI, FIRST_SPI, PRIORITY_BITS};
use xarch_abi::{AccessSize, DeviceOperation, GuestPa, GuestRange, VcpuIndex};

/// Banks of thirty-two SPIs.
const SPI_BANKS: usize = 8;
/// Number of SPIs: INTIDs 32 to 287.
pub const SPIS: u16 = 256;
const LAST_SPI: u32 = 287;
const _: () = assert!(LAST_SPI - FIRST_SPI + 1 == 256 && SPIS == 256 && SPI_BANKS * 32 == 256);
/// Five bits of priority (CHOICE: what the SAE control block's interface has, with four list registers).
const IMPLEMENTED_PRIORITY: u8 = u8::MAX << (8 - PRIORITY_BITS);
const _: () = assert!(IMPLEMENTED_PRIORITY == 0xf8);

/// Level of an interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Asserted.
    High,
    /// Not asserted.
    Low,
}

/// A shared peripheral interrupt. Holding one means that the distributor has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Spi(u16);

impl Spi {
    /// Returns the SPI with interrupt number `intid`, 32 to 287; `None` for others.
    #[must_use]
    pub const fn new(intid: u32) -> Option<Self> {
        match intid {
            FIRST_SPI..=LAST_SPI => Some(Self(bits::low16(bits::zext32(intid.wrapping_sub(FIRST_SPI))))),
            _ => None,
        }
    }

    /// Returns SPI `number` as device trees count them: from 0, which is INTID 32.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        if number < SPIS { Some(Self(number)) } else { None }
    }

    /// Returns the interrupt number.
    #[must_use]
    pub fn intid(self) -> u32 {
        u32::from(self.0).wrapping_add(FIRST_SPI)
    }
}

/// A private peripheral interrupt of one vCPU.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Ppi(u8);

impl Ppi {
    /// The maintenance interrupt of the virtual CPU interface; BSA's number.
    pub const MAINTENANCE: Self = Self(25);
    /// The virtual timer of EL1; BSA's number.
    pub const VIRTUAL_TIMER: Self = Self(27);
    /// The physical timer of EL1; BSA's number.
    pub const PHYSICAL_TIMER: Self = Self(30);

    /// Returns the PPI with interrupt number `intid`, 16 to 31; `None` for others.
    #[must_use]
    pub const fn new(intid: u32) -> Option<Self> {
        match intid {
            FIRST_PPI..FIRST_SPI => Some(Self(bits::low8(bits::zext32(intid)))),
            _ => None,
        }
    }

    /// Returns the interrupt number.
    #[must_use]
    pub fn intid(self) -> u32 {
        u32::from(self.0)
    }
}

/// Where the interrupt controller lies in guest-physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GicConfig {
    /// The distributor, 64 KiB.
    pub distributor: GuestPa,
    /// The redistributors, 128 KiB for each vCPU.
    pub redistributors: GuestPa,
}

/// The addresses of QEMU's machine "virt".
impl Default for GicConfig {
    fn default() -> Self {
        Self { distributor: GuestPa::new(0x0800_0000), redistributors: GuestPa::new(0x080a_0000) }
    }
}

const DISTRIBUTOR_BYTES: u64 = bits::zext32(gicd::FRAME_BYTES);
const REDISTRIBUTOR_BYTES: u64 = bits::zext32(gicr::BYTES);

/// A frame of the controller's registers and an offset in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    /// `GICD`.
    Distributor(u32),
    /// `GICR` of a vCPU: RD frame, then SGI frame at 0x10000.
    Redistributor(VcpuIndex, u32),
}

impl GicConfig {
    /// Returns the ranges of distributor and redistributors, `None` where one wraps.
    pub(crate) fn ranges(&self, vcpus: u16) -> (Option<GuestRange>, Option<GuestRange>) {
        let redistributors = u64::from(vcpus).wrapping_mul(REDISTRIBUTOR_BYTES);
        (
            GuestRange::new(self.distributor, DISTRIBUTOR_BYTES),
            GuestRange::new(self.redistributors, redistributors),
        )
    }

    /// Returns the frame that answers at `address`, `None` if the controller does not.
    pub(crate) fn frame(&self, address: GuestPa, vcpus: u16) -> Option<Frame> {
        let (distributor, redistributors) = self.ranges(vcpus);
        let offset = |range: Option<GuestRange>| {
            range.filter(|range| range.contains(address)).and_then(|range| address.offset_from(range.start()))
        };
        if let Some(offset) = offset(distributor) {
            return Some(Frame::Distributor(bits::trunc32(offset)));
        }
        let offset = offset(redistributors)?;
        let vcpu = VcpuIndex(bits::low16(offset / REDISTRIBUTOR_BYTES));
        Some(Frame::Redistributor(vcpu, bits::trunc32(offset & (REDISTRIBUTOR_BYTES - 1))))
    }
}

/// Where one SPI goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// `GICD_IROUTER`, without the bits that are RES0 here.
    router: GicdIrouter,
    /// The vCPU it names, if there is one.
    target: Option<VcpuIndex>,
    /// The vCPU that has it in a list register, or active.
    holder: Option<VcpuIndex>,
}

/// Private state of one vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Private {
    pub bank: Bank,
    /// `GICR_WAKER`.ProcessorSleep. CHOICE: it is remembered, but does not hold interrupts back.
    pub asleep: bool,
}

/// State of the whole controller.
#[derive(Clone, Debug)]
pub struct Gic<const N: usize> {
    vcpus: u16,
    /// `GICD_CTLR`, EnableGrp0 and EnableGrp1 of it.
    groups: GicdCtlr,
    private: [Private; N],
    spis: [Bank; SPI_BANKS],
    routes: [[Route; 32]; SPI_BANKS],
    /// vCPUs that are powered on: candidates for interrupts that may go anywhere.
    online: VcpuSet,
}

/// SGIs are edges, PPIs levels.
const PRIVATE_EDGES: u32 = 0x0000_ffff;

impl<const N: usize> Gic<N> {
    /// A controller of no vCPUs, before its first reset. All bits are zero, so that none have to be stored.
    pub(crate) const BLANK: Self = Self {
        vcpus: 0,
        groups: GicdCtlr::new(),
        private: [Private { bank: Bank::BLANK, asleep: false }; N],
        spis: [Bank::BLANK; SPI_BANKS],
        routes: [[Route { router: GicdIrouter::new(), target: None, holder: None }; 32]; SPI_BANKS],
        online: VcpuSet::EMPTY,
    };

    /// Becomes the controller of `vcpus` vCPUs; a reset has to follow.
    pub(crate) const fn begin(&mut self, vcpus: u16) {
        self.vcpus = vcpus;
    }

    /// Puts everything but the input lines into the reset state, where it lies: the whole is too large for a stack.
    pub(crate) fn reset(&mut self) {
        let Self { vcpus: _, groups, private, spis, routes, online } = self;
        (*groups, *online) = (GicdCtlr::new(), VcpuSet::EMPTY);
        for private in private {
            private.bank = Bank { line: private.bank.line, ..Bank::reset(PRIVATE_EDGES) };
            private.asleep = true;
        }
        for bank in spis {
            *bank = Bank { line: bank.line, ..Bank::reset(0) };
        }
        for route in routes.as_flattened_mut() {
            *route = Route { router: GicdIrouter::new(), target: Some(VcpuIndex(0)), holder: None };
        }
    }

    /// Answers an access to a frame. Returns the value read (0 for a write) and who has to look.
    pub(crate) fn access(
        &mut self,
        frame: Frame,
        size: AccessSize,
        operation: DeviceOperation,
    ) -> (u64, VcpuSet) {
        match (frame, operation) {
            (Frame::Distributor(offset), DeviceOperation::Read) => {
                (self.read_distributor(offset, size), VcpuSet::EMPTY)
            }
            (Frame::Distributor(offset), DeviceOperation::Write(value)) => {
                (0, self.write_distributor(offset, size, value))
            }
            (Frame::Redistributor(vcpu, offset), DeviceOperation::Read) => {
                (self.read_redistributor(vcpu, offset, size), VcpuSet::EMPTY)
            }
            (Frame::Redistributor(vcpu, offset), DeviceOperation::Write(value)) => {
                (0, self.write_redistributor(vcpu, offset, size, value))
            }
        }
    }

    /// Drives the line of an SPI. Returns who has to look.
    pub(crate) fn set_spi_line(&mut self, spi: Spi, line: Line) -> VcpuSet {
        let (bank, number) = (usize::from(spi.0 >> 5), u32::from(spi.0 & 31));
        let changed = self.spis.get_mut(bank).is_some_and(|state| state.set_line(number, line));
        if changed { self.concerned_now(bank, bit(number)) } else { VcpuSet::EMPTY }
    }

    /// Latches or unlatches an SPI, as a message does. Returns who has to look.
    pub(crate) fn message(&mut self, spi: Spi, line: Line) -> VcpuSet {
        let (bank, bit) = (usize::from(spi.0 >> 5), bit(u32::from(spi.0 & 31)));
        let field = match line {
            Line::High => frame::Field::SetPending,
            Line::Low => frame::Field::ClearPending,
        };
        match self.spis.get_mut(bank).map(|state| state.write(field, bit, u32::MAX)) {
            Some(touched) => self.concerned_now(bank, touched),
            None => VcpuSet::EMPTY,
        }
    }

    /// Drives the line of a PPI. Returns who has to look.
    pub(crate) fn set_ppi_line(&mut self, vcpu: VcpuIndex, ppi: Ppi, line: Line) -> VcpuSet {
        let private = self.private_mut(vcpu);
        let changed = private.is_some_and(|private| private.bank.set_line(u32::from(ppi.0), line));
        if changed { VcpuSet::one(vcpu) } else { VcpuSet::EMPTY }
    }

    /// Says that a vCPU was powered on or off: interrupts that may go anywhere go to the first that is on.
    pub(crate) fn set_online(&mut self, vcpu: VcpuIndex, online: bool) -> VcpuSet {
        self.online = if online { self.online.with(vcpu) } else { self.online.without(vcpu) };
        let mut concerned = VcpuSet::EMPTY;
        for bank in 0..SPI_BANKS {
            for number in 0..32 {
                let any = self.route(bank, number).is_some_and(|route| route.router.interrupt_routing_mode());
                if any {
                    concerned = concerned.union(self.retarget(bank, number));
                }
            }
        }
        concerned
    }

    /// Whether an interrupt is pending that the CPU interface of the vCPU would signal, going by enables,
    /// groups and priority mask. List registers must have been folded.
    pub(crate) fn has_pending(&self, vcpu: VcpuIndex, interface: Interface) -> bool {
        let mut found = false;
        self.candidates(vcpu, |candidate| {
            found |= candidate.pending && !candidate.active && interface.passes(&candidate);
        });
        found
    }

    fn private(&self, vcpu: VcpuIndex) -> Option<&Private> {
        self.private.get(usize::from(vcpu.0)).filter(|_| vcpu.0 < self.vcpus)
    }

    fn private_mut(&mut self, vcpu: VcpuIndex) -> Option<&mut Private> {
        self.private.get_mut(usize::from(vcpu.0)).filter(|_| vcpu.0 < self.vcpus)
    }

    fn route(&self, bank: usize, number: u32) -> Option<&Route> {
        self.routes.get(bank)?.get(bits::index(u64::from(number & 31)))
    }

    fn route_mut(&mut self, bank: usize, number: u32) -> Option<&mut Route> {
        self.routes.get_mut(bank)?.get_mut(bits::index(u64::from(number & 31)))
    }

    /// Works out the target of an SPI anew. Returns who has to look: old and new target, and its holder.
    fn retarget(&mut self, bank: usize, number: u32) -> VcpuSet {
        let Some(router) = self.route(bank, number).map(|route| route.router) else {
            return VcpuSet::EMPTY;
        };
        let target = if router.interrupt_routing_mode() {
            Some(self.online.first().unwrap_or(VcpuIndex(0)))
        } else {
            vcpu_at(router, self.vcpus)
        };
        let before = self.concerned(bank, bit(number));
        let Some(route) = self.route_mut(bank, number) else { return VcpuSet::EMPTY };
        if route.target == target {
            return VcpuSet::EMPTY;
        }
        route.target = target;
        let stirring = self.spis.get(bank).is_some_and(|state| state.stirring() & bit(number) != 0);
        if stirring { before.union(self.concerned(bank, bit(number))) } else { VcpuSet::EMPTY }
    }

    /// Returns targets and holders of those SPIs that could be taken now or are in a list register: others,
    /// disabled ones say, are nobody's business yet.
    fn concerned_now(&self, bank: usize, interrupts: u32) -> VcpuSet {
        let Some(state) = self.spis.get(bank) else { return VcpuSet::EMPTY };
        let ready = state.pending() & state.enabled & self.enabled_groups(state);
        self.concerned(bank, interrupts & (ready | state.listed))
    }

    /// Returns targets and holders of SPIs of a bank.
    fn concerned(&self, bank: usize, interrupts: u32) -> VcpuSet {
        each(interrupts).filter_map(|number| self.route(bank, number)).fold(VcpuSet::EMPTY, |set, route| {
            [route.target, route.holder].into_iter().flatten().fold(set, VcpuSet::with)
        })
    }

    /// The groups that the distributor forwards, as a mask over a bank.
    const fn enabled_groups(&self, bank: &Bank) -> u32 {
        let group0 = if self.groups.enable_grp0() { !bank.group1 } else { 0 };
        let group1 = if self.groups.enable_grp1() { bank.group1 } else { 0 };
        group0 | group1
    }
}

/// Returns the vCPU with exactly this affinity.
fn vcpu_at(router: GicdIrouter, vcpus: u16) -> Option<VcpuIndex> {
    let named = router.affinity();
    (0..vcpus).map(VcpuIndex).find(|vcpu| affinity_of(*vcpu) == named)
}

/// What the virtual CPU interface lets through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface {
    /// `ICC_PMR_EL1`.
    pub priority_mask: u8,
    /// Group 0 is enabled.
    pub group0: bool,
    /// Group 1 is enabled.
    pub group1: bool,
}

impl Interface {
    fn passes(self, candidate: &lists::Candidate) -> bool {
        let group = if candidate.group1 { self.group1 } else { self.group0 };
        group && candidate.priority < self.priority_mask
    }
}
