//! What the guest is told it runs on: the identification registers of the VM.
//!
//! The host's offer, met with what this core carries, is the limit; the guest's view starts at the limit and
//! the embedder may lower it before the first entry. Injection, controls and trapped reads all ask here.

use crate::state::{Shared, Vm};
use crate::sysreg::optional;
use arm_arch::bits;
use arm_arch::pstate::{PState, PStateMask};
use arm_arch::sysreg::{
    IdAa64Isar1, IdAa64Isar2, IdAa64Mmfr1, IdAa64Mmfr2, IdAa64Pfr0, IdAa64Pfr1, SysRegId, names,
};
use xarch_abi::{Lock, RegId, RegisterError, Registers};

/// Why an identification register does not take a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityError {
    /// There is no such register.
    Unknown(SysRegId),
    /// The register has one value only.
    Fixed(SysRegId),
    /// A field of the register goes beyond the limit.
    Field {
        /// The register.
        register: SysRegId,
        /// The field's lowest bit.
        low_bit: u8,
        /// What was asked for.
        asked: u8,
        /// The most it can be.
        limit: u8,
    },
    /// A vCPU has run.
    Started(SysRegId),
    /// No vCPU was reset yet, so the limits are not known.
    NotReset,
}

impl core::fmt::Display for IdentityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "{id} is no identification register"),
            Self::Fixed(id) => write!(f, "{id} has one value only"),
            Self::Field { register, low_bit, asked, limit } => {
                write!(
                    f,
                    "the field of {register} at bit {low_bit} cannot be {asked:#x}, the limit is {limit:#x}"
                )
            }
            Self::Started(id) => write!(f, "{id} cannot change once a vCPU has run"),
            Self::NotReset => write!(f, "limits are known once a vCPU was reset"),
        }
    }
}

impl core::error::Error for IdentityError {}

/// How far this core goes with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Most {
    /// Unsigned, up to this.
    Up(u8),
    /// Signed, up to this; 15 is −1, absent.
    Signed(u8),
    /// This value, whatever the host says.
    Always(u8),
    /// Any of the host's values: numbers of things, which only shrink.
    Host,
}
use Most::{Always, Host, Signed, Up};

/// Fields that are not listed are 0. Listed are those whose state and traps this core carries.
type Fields = &'static [(u8, Most)];

const TABLE: &[(SysRegId, Fields)] = &[
    (
        names::ID_AA64PFR0_EL1,
        // EL0, EL1: AArch64 only. EL2, EL3: none. FP, AdvSIMD, GIC, DIT, CSV2, CSV3.
        &[
            (0, Always(1)),
            (4, Always(1)),
            (16, Signed(1)),
            (20, Signed(1)),
            (24, Always(1)),
            (48, Up(1)),
            (56, Up(1)),
            (60, Up(1)),
        ],
    ),
    // BT, SSBS.
    (names::ID_AA64PFR1_EL1, &[(0, Up(1)), (4, Up(2))]),
    // DebugVer, BRPs, WRPs, CTX_CMPs; DoubleLock absent.
    (names::ID_AA64DFR0_EL1, &[(0, Host), (12, Host), (20, Host), (28, Host), (36, Always(15))]),
    (
        names::ID_AA64ISAR0_EL1,
        // AES, SHA1, SHA2, CRC32, Atomic, RDM, SHA3, SM3, SM4, DP, FHM, TS, TLB, RNDR; no TME.
        &[
            (4, Up(2)),
            (8, Up(1)),
            (12, Up(2)),
            (16, Up(1)),
            (20, Up(2)),
            (28, Up(1)),
            (32, Up(1)),
            (36, Up(1)),
            (40, Up(1)),
            (44, Up(1)),
            (48, Up(1)),
            (52, Up(2)),
            (56, Up(2)),
            (60, Up(1)),
        ],
    ),
    (
        names::ID_AA64ISAR1_EL1,
        // DPB, APA, API, JSCVT, FCMA, LRCPC, GPA, GPI, FRINTTS, SB, SPECRES, BF16, DGH, I8MM, XS; no LS64.
        &[
            (0, Up(2)),
            (4, Host),
            (8, Host),
            (12, Up(1)),
            (16, Up(1)),
            (20, Up(3)),
            (24, Up(1)),
            (28, Up(1)),
            (32, Up(1)),
            (36, Up(1)),
            (40, Up(1)),
            (44, Up(2)),
            (48, Up(1)),
            (52, Up(1)),
            (56, Up(1)),
        ],
    ),
    (
        names::ID_AA64ISAR2_EL1,
        // WFxT, RPRES, GPA3, APA3, MOPS, BC, PAC_frac, CLRBHB, RPRFM, CSSC.
        &[
            (0, Up(2)),
            (4, Up(1)),
            (8, Up(1)),
            (12, Host),
            (16, Up(1)),
            (20, Up(1)),
            (24, Up(1)),
            (28, Up(1)),
            (48, Up(1)),
            (52, Up(1)),
        ],
    ),
    (
        names::ID_AA64MMFR0_EL1,
        // PARange, ASIDBits, BigEnd, BigEndEL0, TGran16, TGran64, TGran4, ExS, ECV; stage 2 is not the guest's.
        &[
            (0, Host),
            (4, Up(2)),
            (8, Up(1)),
            (16, Up(1)),
            (20, Up(2)),
            (24, Signed(0)),
            (28, Signed(1)),
            (44, Up(1)),
            (60, Up(1)),
        ],
    ),
    (
        names::ID_AA64MMFR1_EL1,
        // HAFDBS, HPDS, PAN, ETS, AFP, nTLBPA, TIDCP1, CMOW, ECBHB; no LO.
        &[
            (0, Up(2)),
            (12, Up(2)),
            (20, Up(3)),
            (36, Up(3)),
            (44, Up(1)),
            (48, Up(1)),
            (52, Up(1)),
            (56, Up(1)),
            (60, Up(1)),
        ],
    ),
    (
        names::ID_AA64MMFR2_EL1,
        // CnP, UAO, LSM, VARange, ST, AT, IDS, TTL, BBM, E0PD; the narrow CCSIDR.
        &[
            (0, Up(1)),
            (4, Up(1)),
            (8, Up(1)),
            (16, Up(1)),
            (28, Up(1)),
            (32, Up(1)),
            (36, Up(1)),
            (48, Up(2)),
            (52, Up(2)),
            (60, Up(1)),
        ],
    ),
];

/// `ID_AA64MMFR0_EL1`.PARange by number of address bits.
pub(crate) const fn parange_of(address_bits: u8) -> Option<u8> {
    Some(match address_bits {
        32 => 0,
        36 => 1,
        40 => 2,
        42 => 3,
        44 => 4,
        48 => 5,
        52 => 6,
        56 => 7,
        _ => return None,
    })
}

impl Most {
    /// The most that host and core can do together.
    fn meet(self, host: u8) -> u8 {
        match self {
            Up(most) => host.min(most),
            Signed(most) => {
                if is_below(host, most) {
                    host
                } else {
                    most
                }
            }
            Always(value) => value,
            Host => host,
        }
    }

    /// Whether a guest may be shown `asked` where `limit` can be done.
    fn allows(self, asked: u8, limit: u8) -> bool {
        match self {
            Up(_) | Host => asked <= limit,
            Signed(_) => asked == limit || is_below(asked, limit),
            Always(value) => asked == value,
        }
    }
}

/// Compares four-bit signed fields.
fn is_below(one: u8, other: u8) -> bool {
    let signed = |field: u8| bits::signed(bits::sign_extend(u64::from(field), 4));
    signed(one) < signed(other)
}

fn field(register: u64, low: u8) -> u8 {
    let low = u32::from(low);
    bits::low8(bits::field(register, low.saturating_add(3), low))
}

fn with_field(register: u64, low: u8, value: u8) -> u64 {
    let low = u32::from(low);
    bits::with_field(register, low.saturating_add(3), low, u64::from(value))
}

/// Registers that name the part rather than what it can do.
const NAMES: [SysRegId; 5] =
    [names::MIDR_EL1, names::REVIDR_EL1, names::AIDR_EL1, names::CTR_EL0, names::DCZID_EL0];

/// The identification registers of a VM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// As [`TABLE`] lists them: the most that can be shown.
    limit: [u64; TABLE.len()],
    /// What is shown.
    view: [u64; TABLE.len()],
    names: [u64; NAMES.len()],
}

impl Identity {
    /// Meets what the host offers with what this core carries.
    pub fn of_host<R: Registers>(registers: &mut R, address_bits: u8) -> Result<Self, RegisterError> {
        let mut offered = |id: SysRegId| {
            optional(registers.read(RegId::host_limit(id.into_bits()))).map(Option::unwrap_or_default)
        };
        let mut limit = [0; TABLE.len()];
        for (slot, (id, fields)) in limit.iter_mut().zip(TABLE) {
            let host = offered(*id)?;
            *slot = fields
                .iter()
                .fold(0, |register, (low, most)| with_field(register, *low, most.meet(field(host, *low))));
            if *id == names::ID_AA64MMFR0_EL1 {
                let most = parange_of(address_bits).unwrap_or(0);
                *slot = with_field(*slot, 0, field(*slot, 0).min(most));
            }
        }
        let mut named = [0; NAMES.len()];
        for (slot, id) in named.iter_mut().zip(NAMES) {
            *slot = offered(id)?;
        }
        Ok(Self { limit, view: limit, names: named })
    }

    /// Returns what the guest reads; 0 for unallocated encodings and AArch32 ones.
    pub fn value(&self, id: SysRegId) -> u64 {
        let listed = TABLE.iter().zip(self.view).find(|((row, _), _)| *row == id).map(|(_, value)| value);
        let named = || NAMES.iter().zip(self.names).find(|(name, _)| **name == id).map(|(_, value)| value);
        listed.or_else(named).unwrap_or(0)
    }

    /// Shows the guest `value`, within the limit.
    fn set(&mut self, id: SysRegId, value: u64) -> Result<(), IdentityError> {
        let Some(at) = TABLE.iter().position(|(row, _)| *row == id) else {
            return if self.value(id) == value { Ok(()) } else { Err(IdentityError::Fixed(id)) };
        };
        let (Some((_, fields)), Some(limit), Some(view)) =
            (TABLE.get(at), self.limit.get(at), self.view.get_mut(at))
        else {
            return Err(IdentityError::Unknown(id));
        };
        for low in (0..64).step_by(4) {
            let most = fields.iter().find(|(at, _)| *at == low).map_or(Always(0), |(_, most)| *most);
            let (asked, limit) = (field(value, low), field(*limit, low));
            if !most.allows(asked, limit) {
                return Err(IdentityError::Field { register: id, low_bit: low, asked, limit });
            }
        }
        *view = value;
        Ok(())
    }

    /// The bits of PSTATE that exist for the guest.
    pub fn pstate_mask(&self) -> PStateMask {
        let pfr0 = IdAa64Pfr0::from_bits(self.value(names::ID_AA64PFR0_EL1));
        let pfr1 = IdAa64Pfr1::from_bits(self.value(names::ID_AA64PFR1_EL1));
        let mmfr1 = IdAa64Mmfr1::from_bits(self.value(names::ID_AA64MMFR1_EL1));
        let mmfr2 = IdAa64Mmfr2::from_bits(self.value(names::ID_AA64MMFR2_EL1));
        let present = PState::new()
            .with_dit(pfr0.dit() != 0)
            .with_btype(if pfr1.bt() != 0 { 3 } else { 0 })
            .with_ssbs(pfr1.ssbs() != 0)
            .with_pan(mmfr1.pan() != 0)
            .with_uao(mmfr2.uao() != 0);
        PStateMask::ARMV8_0.with(present)
    }

    /// FEAT_PAuth, with any algorithm.
    pub fn has_pointer_authentication(&self) -> bool {
        let isar1 = IdAa64Isar1::from_bits(self.value(names::ID_AA64ISAR1_EL1));
        let isar2 = IdAa64Isar2::from_bits(self.value(names::ID_AA64ISAR2_EL1));
        isar1.apa() | isar1.api() | isar2.apa3() | isar1.gpa() | isar1.gpi() | isar2.gpa3() != 0
    }

    /// FEAT_MOPS.
    pub fn has_memory_copy(&self) -> bool {
        IdAa64Isar2::from_bits(self.value(names::ID_AA64ISAR2_EL1)).mops() != 0
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vm<N, L> {
    /// Returns what the guest reads of an identification register; `None` before the first reset of a vCPU.
    pub fn identification(&self, id: SysRegId) -> Option<u64> {
        self.with(|shared| shared.identity.as_ref().map(|identity| identity.value(id)))
    }

    /// Shows the guest another value, within what host and core can do.
    ///
    /// # Errors
    /// [`IdentityError`] names the field that goes too far, or says why it is too late or too early.
    pub fn set_identification(&self, id: SysRegId, value: u64) -> Result<(), IdentityError> {
        let started = self.has_started();
        self.with(|shared| {
            let identity = shared.identity.as_mut().ok_or(IdentityError::NotReset)?;
            if started && identity.value(id) != value {
                return Err(IdentityError::Started(id));
            }
            identity.set(id, value)
        })
    }
}

/// Goes through the identification registers that have a value.
pub(crate) fn listed() -> impl Iterator<Item = SysRegId> {
    TABLE.iter().map(|(id, _)| *id).chain(NAMES)
}
