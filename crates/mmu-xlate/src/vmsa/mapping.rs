//! What a walk yields: addresses, mappings, updates.

use super::attr::Attributes;
use super::fault::Fault;
use super::perm::Permissions;
use super::registers::Space;
use arm_arch::bits::mask;
use arm_arch::sysreg::ParSuccess;
use arm_arch::{Ipa, Level, Pa};

/// The address space that a stage produces, and in which its tables lie.
pub trait OutputAddress: Copy {
    /// Makes an address of its number.
    fn from_number(number: u64) -> Self;
    /// Returns the number.
    fn number(self) -> u64;

    /// Makes an address of its number in one of the address spaces of FEAT_SEL2 and FEAT_RME. Types that
    /// do not tell them apart drop the space.
    #[inline]
    fn located(number: u64, space: Space) -> Self {
        let _ = space;
        Self::from_number(number)
    }
}

impl OutputAddress for Ipa {
    #[inline]
    fn from_number(number: u64) -> Self {
        Self::new(number)
    }

    #[inline]
    fn number(self) -> u64 {
        self.bits()
    }
}

impl OutputAddress for Pa {
    #[inline]
    fn from_number(number: u64) -> Self {
        Self::new(number)
    }

    #[inline]
    fn number(self) -> u64 {
        self.bits()
    }
}

/// A physical address with its space, for memory that tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Located {
    /// The address.
    pub pa: Pa,
    /// Its space.
    pub space: Space,
}

impl OutputAddress for Located {
    #[inline]
    fn from_number(number: u64) -> Self {
        Self { pa: Pa::new(number), space: Space::NonSecure }
    }

    #[inline]
    fn number(self) -> u64 {
        self.pa.bits()
    }

    #[inline]
    fn located(number: u64, space: Space) -> Self {
        Self { pa: Pa::new(number), space }
    }
}

/// What the architecture says happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Translation<A> {
    /// The access is permitted and goes there.
    Mapped(Mapping<A>),
    /// The access faults.
    Fault(Fault),
}

/// Where an access goes, and all that a TLB entry for it holds. Arm ARM, AddressDescriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<A> {
    /// Output address of the access itself, offset included.
    pub output: A,
    /// Level of the leaf, of stage 1 where both stages walk; `None` with the stage off.
    pub level: Option<Level>,
    /// Binary logarithm of the bytes that the leaf maps, of the smaller one where both stages walk;
    /// with the stage off those of a 4 KiB page.
    pub size_log2: u8,
    /// The leaf is one of a group that maps adjacent output addresses alike.
    pub contiguous: bool,
    /// Memory type and shareability for this kind of access (fetches and data may differ).
    pub attributes: Attributes,
    /// What is permitted, for both privileges.
    pub permissions: Permissions,
    /// The entry belongs to one ASID.
    pub not_global: bool,
    /// Guarded page. FEAT_BTI.
    pub guarded: bool,
    /// Write permission rests on dirty state that hardware has not recorded: a TLB entry made from
    /// this mapping must not let a store through without another walk. False once `update` sets it.
    pub clean: bool,
    /// Every descriptor of stage 1 was Protected, in memory that only walks may write. FEAT_THE.
    pub assured: bool,
    /// The address space of the output.
    pub space: Space,
    /// The intermediate address, where both stages were asked.
    pub ipa: Option<Ipa>,
    /// What a walk that cannot write would have written to the leaf. The other updates of a walk, of
    /// tables and of another stage, go to the recorder.
    pub update: Option<Update<A>>,
}

/// A descriptor that the hardware would write, by compare and swap. Arm ARM, AArch64.MemSwapTableDesc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<A> {
    /// Where the doubleword of the descriptor lies that changes.
    pub at: A,
    /// What the walk read.
    pub old: u64,
    /// What takes its place.
    pub new: u64,
    /// The descriptor is stored big-endian.
    pub big_endian: bool,
}

impl<A: OutputAddress> Mapping<A> {
    /// Returns `PAR_EL1` of an address translation instruction that succeeds, in its 64-bit form: PA,
    /// ATTR, SH, and bit 11 RES1. CHOICE: NS reads 0, UNKNOWN outside Secure state.
    #[must_use]
    pub fn par(&self) -> u64 {
        let par = ParSuccess::new().with_attr(self.attributes.byte()).with_nse(true);
        let par = par.with_sh_checked(self.attributes.shareability().encode()).unwrap_or(par);
        self.output.number() & mask(52) & !mask(12) | par.into_bits()
    }

    /// Returns `PAR_EL1` in its 128-bit form: bit 64 says so, the address is in bits 119:76. FEAT_D128.
    #[must_use]
    pub fn par_wide(&self) -> u128 {
        let low = u128::from(self.par() & !(mask(52) & !mask(12)));
        let address = u128::from(self.output.number() & mask(56) & !mask(12));
        low | 1 << 64 | address << 64
    }
}
