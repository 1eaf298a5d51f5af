//! Granule protection checks: which physical address spaces may reach a granule of memory. FEAT_RME.
//!
//! ```text
//!  PA and space ── GPC off? ── registers consistent? ── below PPS? ──▶ level 0 ──▶ level 1 ──▶ GPI ── the space? ──▶ Passed
//!                                    walk, 0             space, 0      block, table contiguous, sixteen GPIs  space, level
//! ```
//!
//! A check is a walk of its own, after stage 1 and stage 2, of each table that they load or update and then of what the access
//! reaches: [`Guarded`] memory has walks make it. AT asks only about tables, as what it yields is not accessed. Not modelled: FEAT_RME_GPC2 and later (NSO, SPAD and its like, windows), caching of GPT entries.

use super::mapping::Located;
use super::registers::Space;
use crate::memory::{Swap, TableMemory, TableUpdate};
use arm_arch::bits::{field, low8, mask, trunc32};
use arm_arch::exception::ScrEl3;
use arm_arch::sysreg::GpccrEl3;
use arm_arch::{ExceptionLevel, FaultStatus, Level, Pa};
use core::fmt;

/// The registers of granule protection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GranuleRegisters {
    /// `GPCCR_EL3`.
    pub gpccr_el3: u64,
    /// `GPTBR_EL3`.
    pub gptbr_el3: u64,
}

/// What the registers say, read once: no register is read after this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GranuleProtection(Setting);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// `GPCCR_EL3.GPC` 0.
    Off,
    /// The fields contradict each other or are reserved.
    Inconsistent,
    On(Tables),
}

/// Shape and place of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tables {
    /// Binary logarithm of the protected memory, PPS.
    protected: u32,
    /// Binary logarithm of what one entry of level 0 covers, L0GPTSZ.
    covered: u32,
    /// Binary logarithm of the granule, PGS.
    granule: u32,
    /// `GPTBR_EL3.BADDR` as an address.
    base: u64,
    /// The Secure space exists: FEAT_SEL2.
    secure: bool,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum GranuleCheck {
    /// The access goes on.
    Passed(GranuleExtent),
    /// It does not.
    Fault(GranuleFault),
}

/// How far a check that passed holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GranuleExtent {
    /// For all addresses of the space: nothing is protected, or nothing up there.
    Unprotected,
    /// For an aligned range of so many bytes, as their binary logarithm.
    Entry {
        /// At least the granule.
        size_log2: u8,
    },
}

/// Why a check fails. Arm ARM, GPCFRecord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GranuleReason {
    /// An address above the protected memory, in the register or in a table: GPCF_AddressSize.
    AddressSize,
    /// A reserved register field or entry: GPCF_Walk.
    Walk,
    /// The granule is not of the space: GPCF_Fail.
    Denied,
    /// There is no memory where an entry should be: GPCF_EABT.
    External,
}

/// Level of a granule protection table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GranuleLevel {
    /// The first table, and the registers.
    L0,
    /// The second.
    L1,
}

/// A check, with the entries that it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GranuleReport {
    /// What was checked.
    pub at: Located,
    /// What was read of the tables, level 0 first.
    pub entries: [Option<GranuleEntry>; 2],
    /// How it ended.
    pub check: GranuleCheck,
}

impl GranuleReport {
    /// Returns the refusal, where it is one.
    #[inline]
    #[must_use]
    pub const fn refusal(&self) -> Option<GranuleRefusal> {
        match self.check {
            GranuleCheck::Passed(_) => None,
            GranuleCheck::Fault(fault) => Some(GranuleRefusal { fault, at: self.at }),
        }
    }
}

/// One line for a person.
impl fmt::Display for GranuleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "granule protection of {:#x}, {:?}: ", self.at.pa.bits(), self.at.space)?;
        for (level, entry) in self.entries.iter().flatten().enumerate() {
            write!(f, "level {level} entry {:#x} at {:#x}, ", entry.value, entry.at.bits())?;
        }
        match self.check {
            GranuleCheck::Passed(GranuleExtent::Unprotected) => f.write_str("not protected"),
            GranuleCheck::Passed(GranuleExtent::Entry { size_log2 }) => {
                write!(f, "passed, as for all of 2^{size_log2} bytes")
            }
            GranuleCheck::Fault(fault) => fault.fmt(f),
        }
    }
}

/// In the manual's words.
impl fmt::Display for GranuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            GranuleReason::AddressSize => "granule protection table address size fault",
            GranuleReason::Walk => "granule protection table walk fault",
            GranuleReason::Denied => "granule protection fault",
            GranuleReason::External => "external abort on a granule protection table fetch",
        };
        let level = match self.level {
            GranuleLevel::L0 => 0,
            GranuleLevel::L1 => 1,
        };
        write!(f, "{reason}, level {level}")
    }
}

/// An entry of a granule protection table, in the Root space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GranuleEntry {
    /// Where it lies.
    pub at: Pa,
    /// What it is.
    pub value: u64,
}

/// A check that failed, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GranuleRefusal {
    /// How.
    pub fault: GranuleFault,
    /// The physical address that was not to be accessed.
    pub at: Located,
}

impl GranuleRefusal {
    /// Returns `MFAR_EL3`: the address by 4 KiB and its space, in NS and NSE. Arm ARM, MFAR_EL3.
    #[must_use]
    pub const fn mfar(&self) -> u64 {
        const NS: u64 = 1 << 63;
        const NSE: u64 = 1 << 62;
        let space = match self.at.space {
            Space::Secure => 0,
            Space::NonSecure => NS,
            Space::Root => NSE,
            Space::Realm => NS | NSE,
        };
        self.at.pa.bits() & mask(56) & !mask(12) | space
    }
}

/// A check that failed. A correct answer, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GranuleFault {
    /// Why.
    pub reason: GranuleReason,
    /// At which table.
    pub level: GranuleLevel,
}

impl GranuleFault {
    const fn new(reason: GranuleReason, level: GranuleLevel) -> Self {
        Self { reason, level }
    }

    /// Returns the status code of the access; `walk` is the level of the table whose load was checked. Arm ARM, ESR_EL3,
    /// xFSC.
    #[must_use]
    pub const fn status(self, walk: Option<Level>) -> FaultStatus {
        match walk {
            Some(level) => FaultStatus::GranuleProtectionOnWalk(level),
            None => FaultStatus::GranuleProtection,
        }
    }

    /// Returns GPCSC of a granule protection check exception. Arm ARM, EncodeGPCSC.
    #[must_use]
    pub const fn gpcsc(self) -> u8 {
        let reason = match self.reason {
            GranuleReason::AddressSize => 0b00_0000,
            GranuleReason::Walk => 0b00_0100,
            GranuleReason::Denied => 0b00_1100,
            GranuleReason::External => 0b01_0100,
        };
        match self.level {
            GranuleLevel::L0 => reason,
            GranuleLevel::L1 => reason | 1,
        }
    }

    /// Whether an access from a level is reported as a granule protection check exception, taken to EL3, and not as an
    /// abort: all but a denial, and that with `SCR_EL3.GPF` 1, from below EL3. Arm ARM, ReportAsGPCException.
    #[must_use]
    pub const fn is_taken_to_el3(self, gpf: RoutesDenials, from: ExceptionLevel) -> bool {
        match self.reason {
            GranuleReason::AddressSize | GranuleReason::Walk | GranuleReason::External => true,
            GranuleReason::Denied => {
                matches!(gpf, RoutesDenials::ToEl3) && !matches!(from, ExceptionLevel::El3)
            }
        }
    }
}

/// `SCR_EL3.GPF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoutesDenials {
    /// 0: denials are aborts like others.
    AsAborts,
    /// 1: they go to EL3.
    ToEl3,
}

impl RoutesDenials {
    /// Reads the bit of `SCR_EL3`.
    #[must_use]
    pub const fn of(scr_el3: u64) -> Self {
        if ScrEl3::from_bits(scr_el3).gpf() { Self::ToEl3 } else { Self::AsAborts }
    }
}

/// Entries: what bits \[3:0\] say of level 0, and of level 1 where it is not sixteen granules.
const BLOCK: u64 = 0b0001;
const CONTIGUOUS: u64 = 0b0001;
const TABLE: u64 = 0b0011;

impl GranuleProtection {
    /// Reads the registers; `pa_bits` is what the processing element has, `secure` whether it has FEAT_SEL2.
    /// Arm ARM, GPCRegistersConsistent.
    ///
    /// CHOICE: L0GPTSZ is read-only; a value that the manual reserves counts as inconsistent.
    #[must_use]
    pub fn new(registers: &GranuleRegisters, implementation: &super::Implementation) -> Self {
        let gpccr = GpccrEl3::from_bits(registers.gpccr_el3);
        if !gpccr.gpc() {
            return Self(Setting::Off);
        }
        let protected = match gpccr.pps() {
            0 => Some(32),
            1 => Some(36),
            2 => Some(40),
            3 => Some(42),
            4 => Some(44),
            5 => Some(48),
            6 => Some(52),
            _ => None,
        };
        let granule = match gpccr.pgs() {
            0b00 => Some(12),
            0b10 => Some(14),
            0b01 => Some(16),
            _ => None,
        };
        let covered = match gpccr.l0gptsz() {
            0b0000 => Some(30),
            0b0100 => Some(34),
            0b0110 => Some(36),
            0b1001 => Some(39),
            _ => None,
        };
        // SH 0b01 is reserved; memory that is Non-cacheable twice is Outer Shareable.
        let cached = gpccr.irgn() != 0 || gpccr.orgn() != 0;
        let shared = gpccr.sh() != 0b01 && (cached || gpccr.sh() == 0b10);
        match (protected, granule, covered) {
            (Some(protected), Some(granule), Some(covered))
                if shared && protected <= u32::from(implementation.pa_bits) =>
            {
                let base = field(registers.gptbr_el3, 39, 0).wrapping_shl(12);
                let secure = implementation.sel2;
                Self(Setting::On(Tables { protected, covered, granule, base, secure }))
            }
            _ => Self(Setting::Inconsistent),
        }
    }

    /// Checks an access, or a load of a table, at an address of a space. Arm ARM, GranuleProtectionCheck.
    ///
    /// # Errors
    ///
    /// Only the memory's own.
    pub fn check<M: TableMemory<Located>>(&self, at: Located, memory: &M) -> Result<GranuleCheck, M::Error> {
        Ok(self.report(at, memory)?.check)
    }

    /// Checks, and tells which entries decided.
    ///
    /// # Errors
    ///
    /// Only the memory's own.
    pub fn report<M: TableMemory<Located>>(
        &self,
        at: Located,
        memory: &M,
    ) -> Result<GranuleReport, M::Error> {
        let mut entries = [None; 2];
        let check = self.judge(at, memory, &mut entries)?;
        Ok(GranuleReport { at, entries, check })
    }

    fn judge<M: TableMemory<Located>>(
        &self,
        at: Located,
        memory: &M,
        entries: &mut [Option<GranuleEntry>; 2],
    ) -> Result<GranuleCheck, M::Error> {
        let failed = |reason| Ok(GranuleCheck::Fault(GranuleFault::new(reason, GranuleLevel::L0)));
        let tables = match &self.0 {
            Setting::Off => return Ok(GranuleCheck::Passed(GranuleExtent::Unprotected)),
            Setting::Inconsistent => return failed(GranuleReason::Walk),
            Setting::On(tables) => tables,
        };
        if tables.is_above(at.pa.bits()) {
            return if at.space == Space::NonSecure {
                Ok(GranuleCheck::Passed(GranuleExtent::Unprotected))
            } else {
                failed(GranuleReason::Denied)
            };
        }
        if tables.is_above(tables.base) {
            return failed(GranuleReason::AddressSize);
        }
        Ok(match tables.walk(at.pa.bits(), memory, entries)? {
            Err(fault) => GranuleCheck::Fault(fault),
            Ok(entry) if entry.gpi.admits(at.space) => {
                GranuleCheck::Passed(GranuleExtent::Entry { size_log2: low8(entry.size.into()) })
            }
            Ok(entry) => GranuleCheck::Fault(GranuleFault::new(GranuleReason::Denied, entry.level)),
        })
    }
}

/// Granule protection information, a valid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gpi {
    NoAccess,
    Only(Space),
    Any,
}

impl Gpi {
    /// Arm ARM, GPIValid.
    const fn decode(nibble: u64, secure: bool) -> Option<Self> {
        Some(match nibble & 0xf {
            0b0000 => Self::NoAccess,
            0b1000 if secure => Self::Only(Space::Secure),
            0b1001 => Self::Only(Space::NonSecure),
            0b1010 => Self::Only(Space::Root),
            0b1011 => Self::Only(Space::Realm),
            0b1111 => Self::Any,
            _ => return None,
        })
    }

    fn admits(self, space: Space) -> bool {
        match self {
            Self::NoAccess => false,
            Self::Only(own) => own == space,
            Self::Any => true,
        }
    }
}

/// What the tables say of an address.
#[derive(Clone, Copy)]
struct Entry {
    gpi: Gpi,
    level: GranuleLevel,
    /// Binary logarithm of the range that it holds for.
    size: u32,
}

impl Tables {
    const fn is_above(&self, address: u64) -> bool {
        address & !mask(self.protected) != 0
    }

    /// Returns the index that bits up to, not including, `above` make from bit `low` on.
    const fn index(address: u64, above: u32, low: u32) -> u64 {
        (address & mask(above)).wrapping_shr(low)
    }

    /// Arm ARM, GPTWalk.
    fn walk<M: TableMemory<Located>>(
        &self,
        address: u64,
        memory: &M,
        [first, second]: &mut [Option<GranuleEntry>; 2],
    ) -> Result<Result<Entry, GranuleFault>, M::Error> {
        let base = self.base & !mask(self.protected.saturating_sub(self.covered).wrapping_add(3).max(12));
        let top = Self::index(address, self.protected, self.covered);
        let Some(entry) = load(base, top, memory, first)? else {
            return Ok(Err(GranuleFault::new(GranuleReason::External, GranuleLevel::L0)));
        };
        let table = match self.level_0(entry) {
            Ok(Level0::Table(table)) => table,
            Ok(Level0::Block(gpi)) => {
                return Ok(Ok(Entry { gpi, level: GranuleLevel::L0, size: self.covered }));
            }
            Err(reason) => return Ok(Err(GranuleFault::new(reason, GranuleLevel::L0))),
        };
        // Each entry holds sixteen granules.
        let low = self.granule.wrapping_add(4);
        let Some(entry) = load(table, Self::index(address, self.covered, low), memory, second)? else {
            return Ok(Err(GranuleFault::new(GranuleReason::External, GranuleLevel::L1)));
        };
        Ok(self.level_1(entry, address).ok_or(GranuleFault::new(GranuleReason::Walk, GranuleLevel::L1)))
    }

    /// Arm ARM, DecodeGPTBlock, DecodeGPTTable.
    fn level_0(&self, entry: u64) -> Result<Level0, GranuleReason> {
        match entry & 0xf {
            BLOCK if entry & !0xff == 0 => {
                Gpi::decode(entry.wrapping_shr(4), self.secure).map(Level0::Block).ok_or(GranuleReason::Walk)
            }
            TABLE => {
                // A table is as large as it must be, and aligned to that.
                let size = self.covered.wrapping_sub(self.granule).wrapping_sub(1);
                let address = field(entry, 51, 12).wrapping_shl(12);
                if entry & !0xf != address || address & mask(size) != 0 {
                    return Err(GranuleReason::Walk);
                }
                if self.is_above(address) {
                    return Err(GranuleReason::AddressSize);
                }
                Ok(Level0::Table(address))
            }
            _ => Err(GranuleReason::Walk),
        }
    }

    /// Arm ARM, DecodeGPTContiguous, DecodeGPTGranules.
    fn level_1(&self, entry: u64, address: u64) -> Option<Entry> {
        if entry & 0xf == CONTIGUOUS {
            let size = match entry.wrapping_shr(8) {
                0b01 => 21,
                0b10 => 25,
                0b11 => 29,
                _ => return None,
            };
            let gpi = Gpi::decode(entry.wrapping_shr(4), self.secure)?;
            return Some(Entry { gpi, level: GranuleLevel::L1, size });
        }
        let gpi = |number: u64| Gpi::decode(entry.wrapping_shr(trunc32(number.wrapping_mul(4))), self.secure);
        // One reserved value makes all sixteen invalid.
        (0..16).try_for_each(|number| gpi(number).map(|_| ()))?;
        let number = Self::index(address, self.granule.wrapping_add(4), self.granule);
        Some(Entry { gpi: gpi(number)?, level: GranuleLevel::L1, size: self.granule })
    }
}

/// An entry of level 0.
enum Level0 {
    Block(Gpi),
    Table(u64),
}

/// Loads an entry of a table, from the Root space, little-endian, and notes it.
fn load<M: TableMemory<Located>>(
    table: u64,
    index: u64,
    memory: &M,
    note: &mut Option<GranuleEntry>,
) -> Result<Option<u64>, M::Error> {
    let at = Pa::new(table.wrapping_add(index.wrapping_shl(3)));
    let value = memory.load(Located { pa: at, space: Space::Root })?.map(u64::from_le_bytes);
    *note = value.map(|value| GranuleEntry { at, value });
    Ok(value)
}

/// Memory behind granule protection: a walk asks before each access to a table and for its output, and a refusal is a fault of
/// the walk, with level and stage. The trait's own loads are not held up: whoever asks is the walk.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<'m, M> {
    /// What is behind.
    pub memory: &'m M,
    /// The protection.
    pub protection: &'m GranuleProtection,
}

impl<M: TableMemory<Located>> TableMemory<Located> for Guarded<'_, M> {
    type Error = M::Error;

    #[inline]
    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, M::Error> {
        self.memory.load(at)
    }

    #[inline]
    fn load_pair(&self, at: Located, second: Located) -> Result<Option<[[u8; 8]; 2]>, M::Error> {
        self.memory.load_pair(at, second)
    }

    fn granule(&self, at: Located) -> Result<Option<GranuleReport>, M::Error> {
        if matches!(self.protection, GranuleProtection(Setting::Off)) {
            return Ok(None);
        }
        self.protection.report(at, self.memory).map(Some)
    }
}

impl<M: TableUpdate<Located>> TableUpdate<Located> for Guarded<'_, M> {
    #[inline]
    fn compare_exchange(&self, at: Located, old: [u8; 8], new: [u8; 8]) -> Result<Swap, M::Error> {
        self.memory.compare_exchange(at, old, new)
    }

    #[inline]
    fn compare_exchange_pair(
        &self,
        at: Located,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, M::Error> {
        self.memory.compare_exchange_pair(at, old, new)
    }
}
