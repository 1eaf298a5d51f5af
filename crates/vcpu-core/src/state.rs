//! What a VM and its vCPUs are made of: configuration, state shared by vCPUs, state of one.

use crate::identity::{Identity, Told};
use crate::inject::Pending;
use crate::mmio::Outstanding;
use crate::psci::Power;
use crate::smccc::Speculation;
use crate::steps::Steps;
use crate::timer::Lines;
use crate::vgic::{Gic, GicConfig, LIST_REGISTERS, Line, Listed, Ppi, Spi};
use arm_arch::gic::Affinity;
use arm_arch::sysreg::{IchLr, MpidrEl1};
use core::sync::atomic::{AtomicBool, Ordering};
use xarch_abi::{GuestPa, GuestRange, Lock, Platform, VcpuIndex};

/// The most vCPUs of a VM: as many as the redistributor region of QEMU's machine "virt" holds.
pub const MAX_VCPUS: usize = 123;

/// A set of vCPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct VcpuSet(u128);

const _: () = assert!(MAX_VCPUS <= 128);

impl VcpuSet {
    pub const EMPTY: Self = Self(0);

    pub const fn one(vcpu: VcpuIndex) -> Self {
        Self::EMPTY.with(vcpu)
    }

    /// The first `count` vCPUs.
    pub fn first_of(count: u16) -> Self {
        (0..count).map(VcpuIndex).fold(Self::EMPTY, Self::with)
    }

    pub const fn with(self, vcpu: VcpuIndex) -> Self {
        Self(self.0 | Self::bit(vcpu))
    }

    pub const fn without(self, vcpu: VcpuIndex) -> Self {
        Self(self.0 & !Self::bit(vcpu))
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, vcpu: VcpuIndex) -> bool {
        self.0 & Self::bit(vcpu) != 0
    }

    pub fn first(self) -> Option<VcpuIndex> {
        u16::try_from(self.0.trailing_zeros()).ok().filter(|index| *index < 128).map(VcpuIndex)
    }

    pub fn iter(self) -> impl Iterator<Item = VcpuIndex> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let first = rest.first()?;
            rest = rest.without(first);
            Some(first)
        })
    }

    const fn bit(vcpu: VcpuIndex) -> u128 {
        #[expect(clippy::as_conversions, reason = "widening in a const function")]
        match 1u128.checked_shl(vcpu.0 as u32) {
            Some(bit) => bit,
            None => 0,
        }
    }
}

/// Returns the affinity of a vCPU: sixteen at level 0, as an SGI's target list reaches no further without a
/// range selector.
pub(crate) fn affinity_of(vcpu: VcpuIndex) -> Affinity {
    let [low, high] = vcpu.0.to_le_bytes();
    Affinity { aff0: low & 15, aff1: high << 4 | low >> 4, ..Affinity::default() }
}

/// Returns `MPIDR_EL1` of a vCPU.
pub(crate) fn mpidr_of(vcpu: VcpuIndex) -> MpidrEl1 {
    affinity_of(vcpu).into_mpidr().with_res1(true)
}

/// How a VM is built. Fixed once it exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Number of vCPUs.
    pub vcpus: u16,
    /// Where the interrupt controller lies.
    pub gic: GicConfig,
    /// Size of the guest-physical address space in bits, as the back end maps it. The guest's
    /// `ID_AA64MMFR0_EL1`.PARange does not announce more.
    pub address_bits: u8,
    /// What firmware calls say about speculation.
    pub speculation: Speculation,
}

impl Config {
    const NONE: Self = Self {
        vcpus: 0,
        gic: GicConfig { distributor: GuestPa::new(0), redistributors: GuestPa::new(0) },
        address_bits: 0,
        speculation: Speculation::UNKNOWN,
    };

    /// A VM of `vcpus` vCPUs with 40 bits of addresses and the rest at its default.
    #[must_use]
    pub fn new(vcpus: u16) -> Self {
        Self { vcpus, gic: GicConfig::default(), address_bits: 40, speculation: Speculation::default() }
    }
}

/// Whether a vCPU runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerState {
    /// It does.
    On,
    /// It waits for `CPU_ON`.
    Off,
}

/// Why a VM cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// No vCPU, or more than there is room for.
    Vcpus {
        /// How many were asked for.
        asked: u16,
        /// How many there can be.
        most: usize,
    },
    /// The frames of the interrupt controller are not aligned to 64 KiB, overlap, or leave the address space.
    GicFrames(GicConfig),
    /// An address size that no `PARange` value stands for, or below 32 bits.
    AddressBits(u8),
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Vcpus { asked, most } => write!(f, "{asked} vCPUs asked for, 1 to {most} are possible"),
            Self::GicFrames(gic) => write!(
                f,
                "interrupt controller frames at {} and {} do not fit",
                gic.distributor, gic.redistributors
            ),
            Self::AddressBits(bits) => write!(f, "an address space of {bits} bits is not possible"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// What the vCPUs of a VM share, behind its one lock. Opaque: it is public so that a lock can be named.
#[derive(Debug)]
pub struct Shared<const N: usize> {
    pub(crate) gic: Gic<N>,
    pub(crate) power: [Power; N],
    pub(crate) identity: Option<Identity>,
    /// How often the identity was told anew.
    pub(crate) told: u32,
}

impl<const N: usize> Shared<N> {
    /// What vCPUs share before there are any: what the lock of [`Vm::blank`] is made around.
    pub const BLANK: Self = Self { gic: Gic::BLANK, power: [Power::Off; N], identity: None, told: 0 };
}

/// One VM: what its vCPUs have in common.
///
/// `N` is the most vCPUs it can have, `L` the lock that it takes. The lock is held for short, bounded work
/// only; the platform is never called under it.
#[derive(Debug)]
pub struct Vm<const N: usize = 8, L = spin::Mutex<Shared<N>>> {
    config: Config,
    /// Who has to look at the shared state before the next entry.
    attention: [AtomicBool; N],
    /// A vCPU has run: identification registers are fixed.
    started: AtomicBool,
    shared: L,
}

impl<const N: usize, L: Lock<Shared<N>>> Vm<N, L> {
    /// Makes a VM in its reset state.
    ///
    /// # Errors
    /// [`ConfigError`] says what does not fit.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let mut vm = Self::blank(L::new(Shared::BLANK));
        vm.configure(config)?;
        Ok(vm)
    }

    /// Makes a VM without vCPUs, around a lock of [`Shared::BLANK`]. It can be a constant, and so be copied to where it is
    /// to lie without a detour over the stack; [`configure`](Self::configure) then makes a VM of it.
    #[must_use]
    pub const fn blank(lock: L) -> Self {
        Self {
            config: Config::NONE,
            attention: [const { AtomicBool::new(false) }; N],
            started: AtomicBool::new(false),
            shared: lock,
        }
    }

    /// Makes a VM in its reset state of one that is blank, where it lies.
    ///
    /// # Errors
    /// [`ConfigError`] says what does not fit; nothing has changed then.
    pub fn configure(&mut self, config: Config) -> Result<(), ConfigError> {
        check(&config, N)?;
        self.config = config;
        self.with(|shared| shared.gic.begin(config.vcpus));
        self.reset();
        Ok(())
    }

    /// Returns how the VM was built.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the lock, for embedders whose own has more to it than mutual exclusion.
    #[must_use]
    pub const fn lock_mut(&mut self) -> &mut L {
        &mut self.shared
    }

    /// Puts the shared state into its reset state: interrupt controller (but for its input lines) and power.
    /// No vCPU may be running; each is then reset by [`Guest::reset`](xarch_abi::Guest::reset).
    pub fn reset(&self) {
        self.with(|shared| {
            shared.gic.reset();
            shared.power.fill(Power::Off);
        });
        self.mark_all();
        self.started.store(false, Ordering::Relaxed);
    }

    /// Drives the line of a level or edge SPI and kicks whom it concerns.
    pub fn set_spi_level<P: Platform>(&self, spi: Spi, line: Line, platform: &P) {
        let concerned = self.with(|shared| shared.gic.set_spi_line(spi, line));
        self.notify(concerned, platform);
    }

    /// Raises and lowers the line of an SPI: one edge.
    pub fn pulse<P: Platform>(&self, spi: Spi, platform: &P) {
        let concerned = self.with(|shared| {
            let raised = shared.gic.set_spi_line(spi, Line::High);
            raised.union(shared.gic.set_spi_line(spi, Line::Low))
        });
        self.notify(concerned, platform);
    }

    /// Makes an SPI pending as a message does, whatever its line; what `GICD_SETSPI_NSR` takes.
    pub fn set_spi<P: Platform>(&self, spi: Spi, platform: &P) {
        let concerned = self.with(|shared| shared.gic.message(spi, Line::High));
        self.notify(concerned, platform);
    }

    /// Drives the line of a PPI of one vCPU. The timers' PPIs are driven by the vCPU itself.
    pub fn set_ppi_level<P: Platform>(&self, vcpu: VcpuIndex, ppi: Ppi, line: Line, platform: &P) {
        let concerned = self.with(|shared| shared.gic.set_ppi_line(vcpu, ppi, line));
        self.notify(concerned, platform);
    }

    /// Whether a vCPU is on. One that was asked to start is on once its thread has noticed, or before its state
    /// is observed.
    #[must_use]
    pub fn power(&self, vcpu: VcpuIndex) -> PowerState {
        let power = self.with(|shared| shared.power.get(usize::from(vcpu.0)).copied());
        match power {
            Some(Power::On) => PowerState::On,
            Some(Power::Off | Power::OnPending(_)) | None => PowerState::Off,
        }
    }

    pub(crate) fn with<R>(&self, section: impl FnOnce(&mut Shared<N>) -> R) -> R {
        self.shared.with(section)
    }

    /// Tells vCPUs to look before their next entry. They have to be kicked too, where they may be running.
    pub(crate) fn mark(&self, vcpus: VcpuSet) {
        for vcpu in vcpus.iter() {
            if let Some(flag) = self.attention.get(usize::from(vcpu.0)) {
                flag.store(true, Ordering::Release);
            }
        }
    }

    /// Tells all vCPUs to look.
    pub(crate) fn mark_all(&self) {
        self.mark(VcpuSet::first_of(self.config.vcpus));
    }

    /// Whether the vCPU was told to look, without taking note of it.
    #[inline]
    pub(crate) fn has_attention(&self, vcpu: VcpuIndex) -> bool {
        self.attention.get(usize::from(vcpu.0)).is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Whether the vCPU was told to look since it last asked.
    pub(crate) fn take_attention(&self, vcpu: VcpuIndex) -> bool {
        let Some(flag) = self.attention.get(usize::from(vcpu.0)) else { return false };
        flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn note_start(&self) {
        if !self.started.load(Ordering::Relaxed) {
            self.started.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    fn notify<P: Platform>(&self, concerned: VcpuSet, platform: &P) {
        self.mark(concerned);
        for vcpu in concerned.iter() {
            platform.kick(vcpu);
        }
    }
}

fn check(config: &Config, most: usize) -> Result<(), ConfigError> {
    let most = most.min(MAX_VCPUS);
    if config.vcpus == 0 || usize::from(config.vcpus) > most {
        return Err(ConfigError::Vcpus { asked: config.vcpus, most });
    }
    if arm_arch::sysreg::physical_address_code(config.address_bits).is_none() {
        return Err(ConfigError::AddressBits(config.address_bits));
    }
    let gic = config.gic;
    let limit = 1u64.checked_shl(u32::from(config.address_bits)).unwrap_or(u64::MAX);
    let fits = |range: &GuestRange| range.start().value() & 0xffff == 0 && range.last().value() < limit;
    let (distributor, redistributors) = gic.ranges(config.vcpus);
    match (distributor.filter(fits), redistributors.filter(fits)) {
        (Some(one), Some(other)) if !one.overlaps(other) => Ok(()),
        _ => Err(ConfigError::GicFrames(gic)),
    }
}

/// What a vCPU knows of its list registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lists {
    /// How many the host has.
    pub count: usize,
    /// How many are in use, from the first.
    pub used: usize,
    /// What they hold: as last written, or read after that.
    pub registers: Listed,
    /// The control register as last written.
    pub control: u64,
    /// The distributor counts the interrupts as listed: they have to be folded before it decides anew.
    pub loaded: bool,
    /// The choice has to be made anew before the next entry.
    pub refill: bool,
    /// Something that wanted in was left out.
    pub overflow: bool,
    /// Among that an active interrupt, so that ends are counted.
    pub active_left: bool,
}

impl Lists {
    pub const fn empty() -> Self {
        Self {
            count: 0,
            used: 0,
            registers: [IchLr::new(); LIST_REGISTERS],
            control: 0,
            loaded: false,
            refill: true,
            overflow: false,
            active_left: false,
        }
    }
}

/// One Arm vCPU. Owned by the thread that runs it.
#[derive(Debug)]
pub struct Vcpu<'vm, const N: usize = 8, L = spin::Mutex<Shared<N>>> {
    pub(crate) vm: &'vm Vm<N, L>,
    pub(crate) index: VcpuIndex,
    /// It is on; otherwise the shared power state says whether it was asked to start.
    pub(crate) running: bool,
    pub(crate) pending: Pending,
    pub(crate) outstanding: Option<Outstanding>,
    /// The instruction whose accesses go to devices one by one.
    pub(crate) steps: Option<Steps>,
    pub(crate) next_token: u32,
    pub(crate) lists: Lists,
    pub(crate) lines: Lines,
    /// Ticks of the guest's counter in a second.
    pub(crate) frequency: u64,
    /// `CSSELR_EL1`.
    pub(crate) csselr: u64,
    /// What the guest was told when it last could change: read without the lock.
    pub(crate) told: Told,
    /// vCPUs that were told to look, but not kicked yet.
    pub(crate) owed: VcpuSet,
}

impl<'vm, const N: usize, L: Lock<Shared<N>>> Vcpu<'vm, N, L> {
    /// Makes vCPU `index` of the VM; `None` if the VM has none of that number. It has to be
    /// [reset](xarch_abi::Guest::reset) before it runs.
    #[must_use]
    pub fn new(vm: &'vm Vm<N, L>, index: VcpuIndex) -> Option<Self> {
        (index.0 < vm.config.vcpus).then_some(Self {
            vm,
            index,
            running: false,
            pending: Pending::None,
            outstanding: None,
            steps: None,
            next_token: 0,
            lists: Lists::empty(),
            lines: Lines::LOW,
            frequency: 0,
            csselr: 0,
            told: Told::NOTHING,
            owed: VcpuSet::EMPTY,
        })
    }

    /// Returns the vCPU's number.
    #[must_use]
    pub const fn index(&self) -> VcpuIndex {
        self.index
    }

    /// Returns `MPIDR_EL1`, which the device tree's `reg` repeats without bit 31.
    #[must_use]
    pub fn mpidr(&self) -> MpidrEl1 {
        mpidr_of(self.index)
    }

    /// Turns the vCPU on or off without a firmware call, as the restoring of a saved machine does: its registers
    /// stay as they are.
    pub fn set_power(&mut self, power: PowerState) {
        match power {
            PowerState::On => self.power_on(),
            PowerState::Off => self.power_off(),
        }
    }

    /// Notes who has to look: itself before the next entry, others at once.
    pub(crate) fn concern(&mut self, vcpus: VcpuSet) {
        self.lists.refill |= vcpus.contains(self.index);
        let others = vcpus.without(self.index);
        self.vm.mark(others);
        self.owed = self.owed.union(others);
    }

    /// Kicks those who have to look.
    #[inline]
    pub(crate) fn kick_owed<P: Platform>(&mut self, platform: &P) {
        if self.owed == VcpuSet::EMPTY {
            return;
        }
        for vcpu in core::mem::take(&mut self.owed).iter() {
            platform.kick(vcpu);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinities_have_sixteen_at_level_0() {
        for (index, want) in [(0, 0x8000_0000), (15, 0x8000_000f), (16, 0x8000_0100), (122, 0x8000_070a)] {
            assert_eq!(mpidr_of(VcpuIndex(index)).into_bits(), want, "vCPU {index}");
        }
    }

    #[test]
    fn a_vm_that_does_not_fit_is_refused_with_the_reason() {
        type Four = Vm<4>;
        let good = Config::new(4);
        assert!(Four::new(good).is_ok());
        let refused = |config| Four::new(config).err();
        assert_eq!(refused(Config { vcpus: 0, ..good }), Some(ConfigError::Vcpus { asked: 0, most: 4 }));
        assert_eq!(refused(Config { vcpus: 5, ..good }), Some(ConfigError::Vcpus { asked: 5, most: 4 }));
        assert_eq!(refused(Config { address_bits: 41, ..good }), Some(ConfigError::AddressBits(41)));
        for (distributor, redistributors) in [
            (0x0800_1000, 0x080a_0000),
            (0x080a_0000, 0x080a_0000),
            (0x0811_0000, 0x080a_0000),
            (0x0800_0000, 0xff_fff8_0000 + 0x1_0000),
        ] {
            let gic = GicConfig {
                distributor: GuestPa::new(distributor),
                redistributors: GuestPa::new(redistributors),
            };
            assert_eq!(refused(Config { gic, ..good }), Some(ConfigError::GicFrames(gic)));
        }
        let highest = GicConfig { redistributors: GuestPa::new(0xff_fff8_0000), ..good.gic };
        assert!(Four::new(Config { gic: highest, ..good }).is_ok(), "the last byte is the last byte");
    }

    #[test]
    fn sets_go_by_number() {
        let set = VcpuSet::one(VcpuIndex(3)).with(VcpuIndex(127)).with(VcpuIndex(0));
        assert!(set.iter().eq([VcpuIndex(0), VcpuIndex(3), VcpuIndex(127)]));
        assert_eq!(set.without(VcpuIndex(0)).first(), Some(VcpuIndex(3)));
        assert_eq!(VcpuSet::EMPTY.first(), None);
        assert_eq!(VcpuSet::one(VcpuIndex(128)), VcpuSet::EMPTY);
    }
}
