//! What the guest is told it runs on: the identification registers of the VM.
//!
//! The host's offer, met with what this core carries, is the limit; the guest's view starts at the limit and the
//! embedder may lower it before the first entry. Injection, controls and trapped reads all ask here.

use crate::state::{Shared, Vm};
use crate::sysreg::optional;
use arm_arch::feature::{Feature, Features, IdError, IdRegisters};
use arm_arch::sysreg::{ClidrEl1, CtrEl0, SysRegId, names};
use xarch_abi::{Lock, RegId, RegisterError, Registers};

/// Why an identification register does not take a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityError {
    /// It goes beyond the limit; the error names the field.
    Limit(IdError),
    /// A vCPU has run.
    Started(SysRegId),
    /// No vCPU was reset yet, so the limits are not known.
    NotReset,
}

impl core::fmt::Display for IdentityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Limit(error) => write!(f, "{error}"),
            Self::Started(id) => write!(f, "{id} cannot change once a vCPU has run"),
            Self::NotReset => f.write_str("limits are known once a vCPU was reset"),
        }
    }
}

impl core::error::Error for IdentityError {}

/// What this core carries: the most it shows of each field, where the host has it. What is 0 here is hidden,
/// because its state, its traps or its controls are not handled.
const CARRIED: [(SysRegId, u64); 9] = [
    // EL0 and EL1 in AArch64, FP, AdvSIMD, GIC, DIT, CSV2, CSV3. No EL2, EL3, RAS, SVE, MPAM, AMU.
    (names::ID_AA64PFR0_EL1, 0x1101_0000_0111_0011),
    // BT, SSBS. No MTE, SME, NMI, GCS.
    (names::ID_AA64PFR1_EL1, 0x0000_0000_0000_0021),
    // DebugVer, BRPs, WRPs, CTX_CMPs; DoubleLock absent. No PMU, SPE, trace.
    (names::ID_AA64DFR0_EL1, 0x0000_00f0_f0f0_f00f),
    // All but TME.
    (names::ID_AA64ISAR0_EL1, 0x1221_1111_1021_2120),
    // All but LS64; pointer authentication is below.
    (names::ID_AA64ISAR1_EL1, 0x0111_2111_0031_1002),
    // WFxT, RPRES, MOPS, BC, PAC_frac, CLRBHB, RPRFM, CSSC.
    (names::ID_AA64ISAR2_EL1, 0x0011_0000_1111_0012),
    // PARange, ASIDBits, BigEnd, BigEndEL0, the granules of stage 1, ExS, ECV. No stage 2, FGT.
    (names::ID_AA64MMFR0_EL1, 0x1000_1000_1021_012f),
    // HAFDBS, HPDS, PAN, ETS, AFP, nTLBPA, TIDCP1, CMOW, ECBHB. No VH, LO, HCX.
    (names::ID_AA64MMFR1_EL1, 0x1111_1030_0030_2002),
    // CnP, UAO, LSM, VARange, ST, AT, IDS, TTL, BBM, E0PD. No IESB, CCIDX, NV, FWB, EVT.
    (names::ID_AA64MMFR2_EL1, 0x1022_0011_1001_0111),
];

/// Fields without an order, where only the host's own value will do: the algorithms of pointer authentication
/// (GPI, GPA, API, APA; APA3, GPA3).
const AS_THE_HOST: [(SysRegId, u64); 2] =
    [(names::ID_AA64ISAR1_EL1, 0xff00_0ff0), (names::ID_AA64ISAR2_EL1, 0xff00)];

/// Registers that name the part rather than what it can do: shown as the host has them.
const NAMED: [SysRegId; 5] =
    [names::MIDR_EL1, names::REVIDR_EL1, names::AIDR_EL1, names::CTR_EL0, names::DCZID_EL0];

/// Returns `ID_AA64MMFR0_EL1`.PARange for a number of address bits.
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

/// The identification registers of a VM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// The most that can be shown.
    limit: IdRegisters,
    /// What is shown.
    view: IdRegisters,
    /// What follows from it.
    features: Features,
}

impl Identity {
    /// Meets what the host offers with what this core carries.
    pub fn of_host<R: Registers>(registers: &mut R, address_bits: u8) -> Result<Self, RegisterError> {
        let (mut host, mut carried) = (IdRegisters::default(), IdRegisters::default());
        for id in listed() {
            let offered = optional(registers.read(RegId::host_limit(id.into_bits())))?.unwrap_or(0);
            // Every listed register is in the set.
            let _ = host.set(id, offered);
        }
        for (id, value) in CARRIED {
            let _ = carried.set(id, value);
        }
        for (id, mask) in AS_THE_HOST {
            let mixed = carried.get(id).unwrap_or(0) & !mask | host.get(id).unwrap_or(0) & mask;
            let _ = carried.set(id, mixed);
        }
        let mut limit = host.meet(&carried);
        // The interrupt controller is this core's own: GICv3, whatever the host has besides its CPU interface.
        let pfr0 = limit.pfr0().with_gic(1);
        let _ = limit.set(names::ID_AA64PFR0_EL1, pfr0.into_bits());
        let mmfr0 = limit.mmfr0();
        let parange = parange_of(address_bits).unwrap_or(0).min(mmfr0.parange());
        let _ = limit.set(names::ID_AA64MMFR0_EL1, mmfr0.with_parange(parange).into_bits());
        limit.clidr = cache_levels(limit.ctr).into_bits();
        limit.ccsidr_l1 = cache_geometry(limit.ctr);
        Ok(Self { limit, view: limit, features: Features::of(&limit) })
    }

    /// Returns what the guest reads.
    pub const fn view(&self) -> &IdRegisters {
        &self.view
    }

    /// Returns what the guest may use.
    pub const fn features(&self) -> &Features {
        &self.features
    }

    fn set(&mut self, id: SysRegId, value: u64) -> Result<(), IdError> {
        self.limit.check_write(id, value)?;
        let _ = self.view.set(id, value);
        self.features = Features::of(&self.view);
        Ok(())
    }

    /// Whether HCR has to let pointer authentication through.
    pub fn has_pointer_authentication(&self) -> bool {
        self.features.has(Feature::PAuth)
    }

    /// Whether HCRX has to let memory copy and set through.
    pub fn has_memory_copy(&self) -> bool {
        self.features.has(Feature::MOPS)
    }
}

/// `CLIDR_EL1`: one level with separate caches (CHOICE: the host's real hierarchy is none of the guest's
/// business, as nothing it does by set and way has an effect).
fn cache_levels(ctr: CtrEl0) -> ClidrEl1 {
    let unification = u8::from(!ctr.idc());
    ClidrEl1::new().with_ctype1(3).with_louis(unification).with_louu(unification).with_loc(1)
}

/// `CCSIDR_EL1` in its 32-bit form: one set, one way, lines as `CTR_EL0` says for data.
fn cache_geometry(ctr: CtrEl0) -> u64 {
    // CTR has log2 of words, CCSIDR log2 of bytes less four: two more, four less.
    u64::from(ctr.dmin_line().saturating_sub(2) & 7)
}

/// Goes through the identification registers that have a value.
pub(crate) fn listed() -> impl Iterator<Item = SysRegId> {
    CARRIED.into_iter().map(|(id, _)| id).chain(NAMED)
}

impl<const N: usize, L: Lock<Shared<N>>> Vm<N, L> {
    /// Returns what the guest is told; `None` before the first reset of a vCPU.
    pub fn identification(&self) -> Option<IdRegisters> {
        self.with(|shared| shared.identity.as_ref().map(|identity| identity.view))
    }

    /// Shows the guest another value of an identification register, within what host and core can do. The
    /// vCPUs have to be reset again, as controls follow from it.
    ///
    /// # Errors
    /// [`IdentityError`] names the field that goes too far, or says why it is too late or too early.
    pub fn set_identification(&self, id: SysRegId, value: u64) -> Result<(), IdentityError> {
        let started = self.has_started();
        self.with(|shared| {
            let identity = shared.identity.as_mut().ok_or(IdentityError::NotReset)?;
            if started && identity.view.get(id) != Some(value) {
                return Err(IdentityError::Started(id));
            }
            identity.set(id, value).map_err(IdentityError::Limit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_line_of_64_bytes_is_line_size_2() {
        let ctr = CtrEl0::from_bits(0x8444_c004);
        assert_eq!(cache_geometry(ctr), 2);
        assert_eq!(cache_levels(ctr).into_bits(), 0x0920_0003);
        assert_eq!(cache_levels(ctr.with_idc(true)).into_bits(), 0x0100_0003);
    }

    #[test]
    fn every_listed_register_is_in_the_set() {
        let mut set = IdRegisters::default();
        assert!(listed().all(|id| set.set(id, 0)));
    }
}
