//! What the guest is told it runs on: the CPU model of the VM.
//!
//! The host's offer, met with what this core carries, is the limit; the guest's model starts at the limit and the
//! embedder may lower it before the first entry. Injection, controls, trapped reads and the list of registers all
//! ask here. What may be told, and what goes together, are [`CpuModel`]'s rules.

use crate::state::{Config, Shared, Vm};
use crate::sysreg::optional;
use arm_arch::feature::{CpuModel, Feature, Features, IdError, IdRegisters, Requirement};
use arm_arch::sysreg::{
    ClidrEl1, CtrEl0, IdAa64Dfr0, IdAa64Isar0, IdAa64Isar1, IdAa64Isar2, IdAa64Mmfr0, IdAa64Mmfr1,
    IdAa64Mmfr2, IdAa64Pfr0, IdAa64Pfr1, SysRegId, names, physical_address_code,
};
use xarch_abi::{Bank, Lock, RegId, RegisterError, Registers};

/// Why the guest cannot be told what was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityError {
    /// It goes beyond the limit; the error names the field.
    Limit(IdError),
    /// A feature would be there without another that it needs.
    Unmet(&'static Requirement),
    /// A vCPU has run: the register would change.
    Started(SysRegId),
    /// No vCPU was reset yet, so the limits are not known.
    NotReset,
}

impl core::fmt::Display for IdentityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Limit(error) => write!(f, "{error}"),
            Self::Unmet(requirement) => write!(f, "{requirement}"),
            Self::Started(id) => write!(f, "{id} cannot change once a vCPU has run"),
            Self::NotReset => f.write_str("limits are known once a vCPU was reset"),
        }
    }
}

impl core::error::Error for IdentityError {}

/// What this core carries: the most it shows of each field, where the host has it. What is 0 here is hidden,
/// because its state, its traps or its controls are not handled.
const CARRIED: [(SysRegId, u64); 9] = [
    // EL0 and EL1 in AArch64, FP, AdvSIMD, GICv3, DIT, CSV2, CSV3. No EL2, EL3, RAS, SVE, MPAM, AMU.
    (
        names::ID_AA64PFR0_EL1,
        IdAa64Pfr0::new()
            .with_el0(1)
            .with_el1(1)
            .with_fp(1)
            .with_advsimd(1)
            .with_gic(1)
            .with_dit(1)
            .with_csv2(1)
            .with_csv3(1)
            .into_bits(),
    ),
    // BT, SSBS. No MTE, SME, NMI, GCS.
    (names::ID_AA64PFR1_EL1, IdAa64Pfr1::new().with_bt(1).with_ssbs(2).into_bits()),
    // DebugVer, BRPs, WRPs, CTX_CMPs; DoubleLock absent. No PMU, SPE, trace.
    (
        names::ID_AA64DFR0_EL1,
        IdAa64Dfr0::new()
            .with_debugver(15)
            .with_brps(15)
            .with_wrps(15)
            .with_ctx_cmps(15)
            .with_doublelock(15)
            .into_bits(),
    ),
    // All but TME.
    (
        names::ID_AA64ISAR0_EL1,
        IdAa64Isar0::new()
            .with_aes(2)
            .with_sha1(1)
            .with_sha2(2)
            .with_crc32(1)
            .with_atomic(2)
            .with_rdm(1)
            .with_sha3(1)
            .with_sm3(1)
            .with_sm4(1)
            .with_dp(1)
            .with_fhm(1)
            .with_ts(2)
            .with_tlb(2)
            .with_rndr(1)
            .into_bits(),
    ),
    // All but LS64; pointer authentication is below.
    (
        names::ID_AA64ISAR1_EL1,
        IdAa64Isar1::new()
            .with_dpb(2)
            .with_jscvt(1)
            .with_fcma(1)
            .with_lrcpc(3)
            .with_frintts(1)
            .with_sb(1)
            .with_specres(1)
            .with_bf16(2)
            .with_dgh(1)
            .with_i8mm(1)
            .with_xs(1)
            .into_bits(),
    ),
    // WFxT, RPRES, MOPS, BC, PAC_frac, CLRBHB, RPRFM, CSSC.
    (
        names::ID_AA64ISAR2_EL1,
        IdAa64Isar2::new()
            .with_wfxt(2)
            .with_rpres(1)
            .with_mops(1)
            .with_bc(1)
            .with_pac_frac(1)
            .with_clrbhb(1)
            .with_rprfm(1)
            .with_cssc(1)
            .into_bits(),
    ),
    // PARange as the VM is configured, ASIDBits, BigEnd, BigEndEL0, the granules of stage 1, ExS, ECV. No stage 2, FGT.
    (
        names::ID_AA64MMFR0_EL1,
        IdAa64Mmfr0::new()
            .with_asidbits(2)
            .with_bigend(1)
            .with_bigendel0(1)
            .with_tgran16(2)
            .with_tgran4(1)
            .with_exs(1)
            .with_ecv(1)
            .into_bits(),
    ),
    // HAFDBS, HPDS, PAN, ETS, AFP, nTLBPA, TIDCP1, CMOW, ECBHB. No VH, LO, HCX.
    (
        names::ID_AA64MMFR1_EL1,
        IdAa64Mmfr1::new()
            .with_hafdbs(2)
            .with_hpds(2)
            .with_pan(3)
            .with_ets(3)
            .with_afp(1)
            .with_ntlbpa(1)
            .with_tidcp1(1)
            .with_cmow(1)
            .with_ecbhb(1)
            .into_bits(),
    ),
    // CnP, UAO, LSM, VARange, ST, AT, IDS, TTL, BBM, E0PD. No IESB, CCIDX, NV, FWB, EVT.
    (
        names::ID_AA64MMFR2_EL1,
        IdAa64Mmfr2::new()
            .with_cnp(1)
            .with_uao(1)
            .with_lsm(1)
            .with_varange(1)
            .with_st(1)
            .with_at(1)
            .with_ids(1)
            .with_ttl(2)
            .with_bbm(2)
            .with_e0pd(1)
            .into_bits(),
    ),
];

/// Fields without an order, where only the host's own value will do: the algorithms of pointer authentication
/// (GPI, GPA, API, APA; APA3, GPA3).
const AS_THE_HOST: [(SysRegId, u64); 2] = [
    (names::ID_AA64ISAR1_EL1, ISAR1_ALGORITHMS.into_bits()),
    (names::ID_AA64ISAR2_EL1, ISAR2_ALGORITHMS.into_bits()),
];
const ISAR1_ALGORITHMS: IdAa64Isar1 =
    IdAa64Isar1::new().with_gpi(0xf).with_gpa(0xf).with_api(0xf).with_apa(0xf);
const ISAR2_ALGORITHMS: IdAa64Isar2 = IdAa64Isar2::new().with_apa3(0xf).with_gpa3(0xf);

/// ID_AA64MMFR0_EL1: TGran4_2, TGran64_2, TGran16_2.
const STAGE_2_GRANULES: u64 =
    IdAa64Mmfr0::new().with_tgran4_2(0xf).with_tgran64_2(0xf).with_tgran16_2(0xf).into_bits();

/// Registers that name the part rather than what it can do: shown as the host has them.
const NAMED: [SysRegId; 5] =
    [names::MIDR_EL1, names::REVIDR_EL1, names::AIDR_EL1, names::CTR_EL0, names::DCZID_EL0];

/// The CPU model of a VM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// The most that can be told.
    limit: CpuModel,
    /// What was asked for, register by register: within the limit, but not yet what goes together.
    asked: IdRegisters,
    /// What is told: what was asked for, without features that lack one they need.
    model: CpuModel,
    /// What follows from it.
    features: Features,
}

impl Identity {
    const NOTHING: Self = Self {
        limit: Told::NOTHING.model,
        asked: IdRegisters::NONE,
        model: Told::NOTHING.model,
        features: Features::NONE,
    };

    /// Begins with the most that can be told.
    fn begin(&mut self, limit: &CpuModel) {
        (self.limit, self.asked, self.model) = (*limit, *limit.ids(), *limit);
        self.features = limit.features();
    }

    /// Returns what the guest reads.
    pub const fn view(&self) -> &IdRegisters {
        self.model.ids()
    }

    /// Returns what the guest may use.
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// Takes a value of one register. What does not go with it is hidden from the guest for as long as that is so:
    /// registers may be written in any order.
    fn set(&mut self, id: SysRegId, value: u64) -> Result<(), IdError> {
        self.limit.ids().check_write(id, value)?;
        let mut asked = self.asked;
        let _ = asked.set(id, value);
        self.tell(asked);
        Ok(())
    }

    /// Takes all registers at once: each field must be within the limit, and everything must go together.
    fn set_model(&mut self, model: &CpuModel) -> Result<(), IdentityError> {
        model.fits(&self.limit).map_err(IdentityError::Limit)?;
        let asked = *model.ids();
        for id in listed() {
            self.limit.ids().check_write(id, asked.get(id).unwrap_or(0)).map_err(IdentityError::Limit)?;
        }
        let (offered, told) = (self.limit.features(), model.features());
        let is_new = |r: &&'static Requirement| !r.is_unmet(&offered);
        if let Some(requirement) = Requirement::unmet(&told).find(is_new) {
            return Err(IdentityError::Unmet(requirement));
        }
        self.tell(asked);
        Ok(())
    }

    fn tell(&mut self, asked: IdRegisters) {
        self.asked = asked;
        let model = CpuModel::new(described(asked)).sanitised();
        (self.model, self.features) = (model, model.features());
    }

    /// The first register in which the guest would see another value.
    fn first_change(&self, model: &CpuModel) -> Option<SysRegId> {
        let (now, model) = (self.view(), described(*model.ids()));
        listed().find(|id| now.get(*id) != model.get(*id))
    }

    /// Whether the guest is told of a part that the host is not.
    pub fn is_other_part(&self) -> bool {
        self.view().midr != self.limit.ids().midr
    }
}

/// What one vCPU knows of the model: enough for every trap without asking the VM, under its lock, again. The model only
/// changes before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    /// Which telling: see [`Shared::told`].
    number: u32,
    pub model: CpuModel,
    pub features: Features,
}

impl Told {
    /// Nothing yet.
    pub const NOTHING: Self =
        Self { number: 0, model: CpuModel::new(IdRegisters::NONE), features: Features::NONE };

    /// Whether HCR has to let pointer authentication through.
    pub fn has_pointer_authentication(&self) -> bool {
        self.features.has(Feature::PAuth)
    }

    /// Whether HCRX has to let memory copy and set through.
    pub fn has_memory_copy(&self) -> bool {
        self.features.has(Feature::MOPS)
    }

    /// Whether HCR has to let error records through.
    pub fn has_error_records(&self) -> bool {
        self.features.has(Feature::RAS)
    }

    /// Whether DC ZVA is prohibited, which HCR has to see to.
    pub const fn is_zva_prohibited(&self) -> bool {
        self.model.ids().dczid.dzp()
    }

    /// Whether the guest has a model.
    pub const fn is_known(&self) -> bool {
        self.number != 0
    }
}

impl<const N: usize> Shared<N> {
    /// Puts down what is told now, where it is to stay, unless it is there already.
    pub(crate) fn tell(&self, told: &mut Told) {
        if let Some(identity) = self.identity.as_ref().filter(|_| told.number != self.told) {
            told.number = self.told;
            told.model = identity.model;
            told.features = identity.features;
        }
    }

    /// Has every vCPU look at the identity again.
    fn retell(&mut self) {
        // 0 stands for nothing.
        self.told = self.told.checked_add(1).unwrap_or(1);
    }
}

/// Returns the registers with the caches and the interrupt controller as this core describes them: both are its own.
fn described(mut ids: IdRegisters) -> IdRegisters {
    // It is in the set.
    let _ = ids.set(names::ID_AA64PFR0_EL1, ids.pfr0().with_gic(1).into_bits());
    (ids.clidr, ids.ccsidr_l1) = (cache_levels(ids.ctr).into_bits(), cache_geometry(ids.ctr));
    (ids.ccsidr_l1i, ids.ccsidr_l2) = (0, 0);
    ids
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

impl Config {
    /// Returns the most that a guest of such a VM can be told on the host of these registers: what the host offers
    /// (bank [`HOST_LIMIT`](Bank::HOST_LIMIT)) and this core carries.
    ///
    /// A machine that was saved elsewhere can go on here if its [`Vm::model`] fits: see [`saved_model`].
    ///
    /// # Errors
    /// [`RegisterError`] if the host fails to read what it offers.
    pub fn limit<R: Registers>(&self, registers: &mut R) -> Result<CpuModel, RegisterError> {
        let mut limit = CpuModel::new(IdRegisters::NONE);
        self.find_limit(registers, &mut limit)?;
        Ok(limit)
    }

    /// As [`limit`](Self::limit), where it is to lie. Models are large, and a kernel's stack is not: no two of these
    /// functions have more than two on it at once.
    #[inline(never)]
    fn find_limit<R: Registers>(&self, registers: &mut R, limit: &mut CpuModel) -> Result<(), RegisterError> {
        host_model(registers, limit)?;
        self.lower_to_carried(limit);
        describe(limit);
        Ok(())
    }

    /// Makes the host's model one of which this core carries everything.
    #[inline(never)]
    fn lower_to_carried(&self, host: &mut CpuModel) {
        let carried = self.carried(host.ids());
        host.lower_to(&carried);
    }

    /// What this core carries, on such a host.
    #[inline(never)]
    fn carried(&self, host: &IdRegisters) -> CpuModel {
        let mut carried = IdRegisters::NONE;
        // Every listed register is in the set.
        for (id, value) in CARRIED {
            let _ = carried.set(id, value);
        }
        for (id, mask) in AS_THE_HOST {
            let mixed = carried.get(id).unwrap_or(0) & !mask | host.get(id).unwrap_or(0) & mask;
            let _ = carried.set(id, mixed);
        }
        for id in NAMED {
            let _ = carried.set(id, host.get(id).unwrap_or(0));
        }
        let parange = physical_address_code(self.address_bits).unwrap_or(0);
        let _ = carried.set(names::ID_AA64MMFR0_EL1, carried.mmfr0().with_parange(parange).into_bits());
        CpuModel::new(carried)
    }
}

/// Reads what the host offers.
#[inline(never)]
fn host_model<R: Registers>(registers: &mut R, model: &mut CpuModel) -> Result<(), RegisterError> {
    let mut host = IdRegisters::NONE;
    for id in listed() {
        let offered = optional(registers.read(RegId::host_limit(id.into_bits())))?.unwrap_or(0);
        // Every listed register is in the set.
        let _ = host.set(id, offered);
    }
    // The interrupt controller is this core's own: GICv3, whatever the host has besides its CPU interface.
    let _ = host.set(names::ID_AA64PFR0_EL1, host.pfr0().with_gic(1).into_bits());
    // Nor does what it has for stage 2 show, as the guest has none: 0 is "as for stage 1".
    let mmfr0 = host.mmfr0().into_bits() & !STAGE_2_GRANULES;
    let _ = host.set(names::ID_AA64MMFR0_EL1, mmfr0);
    *model = CpuModel::new(host);
    Ok(())
}

/// See [`described`].
#[inline(never)]
fn describe(model: &mut CpuModel) {
    *model = CpuModel::new(described(*model.ids()));
}

/// Returns the CPU model among saved registers, as [`Vcpu::for_each_register`](crate::Vcpu::for_each_register) lists
/// them; others are passed over.
///
/// Whether the machine can go on where there is another host, and which field says no:
///
/// ```
/// # use arm_arch::sysreg::names::{ID_AA64DFR0_EL1, ID_AA64ISAR0_EL1};
/// # use vcpu_core::{Config, saved_model};
/// # use xarch_abi::{RegId, RegisterError, Registers};
/// # struct Host(u64);
/// # impl Registers for Host {
/// #     fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
/// #         let isar0 = RegId::host_limit(ID_AA64ISAR0_EL1.into_bits());
/// #         if id == isar0 { Ok(self.0) } else { Err(RegisterError::Unknown(id)) }
/// #     }
/// #     fn write(&mut self, id: RegId, _: u64) -> Result<(), RegisterError> { Err(RegisterError::ReadOnly(id)) }
/// # }
/// # let mut here = Host(0);
/// // CRC32; no double lock.
/// let saved = [(ID_AA64ISAR0_EL1, 0x1_0000), (ID_AA64DFR0_EL1, 0xf0_0000_0000)];
/// let saved = saved_model(saved.map(|(id, value)| (RegId::system(id.into_bits()), value)));
/// let limit = Config::new(1).limit(&mut here)?;
/// let why = saved.fits(&limit).unwrap_err();
/// assert_eq!(why.to_string(), "ID_AA64ISAR0_EL1: field CRC32 asks for 0x1, 0x0 is there");
/// # Ok::<(), RegisterError>(())
/// ```
#[must_use]
pub fn saved_model(registers: impl IntoIterator<Item = (RegId, u64)>) -> CpuModel {
    let mut ids = IdRegisters::default();
    for (id, value) in registers.into_iter().filter(|(id, _)| id.bank == Bank::SYSTEM) {
        if let Ok(encoding) = u16::try_from(id.index) {
            // What is not of the set is not of the model.
            let _ = ids.set(SysRegId::from_bits(encoding), value);
        }
    }
    CpuModel::new(ids)
}

impl<const N: usize, L: Lock<Shared<N>>> Vm<N, L> {
    /// Returns what the guest is told; `None` before the first reset of a vCPU.
    pub fn model(&self) -> Option<CpuModel> {
        self.with(|shared| shared.identity.as_ref().map(|identity| identity.model))
    }

    /// Returns the most that the guest can be told here; `None` before the first reset of a vCPU.
    pub fn limit(&self) -> Option<CpuModel> {
        self.with(|shared| shared.identity.as_ref().map(|identity| identity.limit))
    }

    /// Tells the guest of another model, within what host and core can do. The vCPUs have to be reset again, as
    /// controls follow from it. The description of the caches stays this core's own.
    ///
    /// A model to start from that need not fit is met with [`limit`](Self::limit) first.
    ///
    /// # Errors
    /// [`IdentityError`] names the field that goes too far, or the feature that lacks one it needs, or says why it
    /// is too late or too early. Nothing has changed then.
    pub fn set_model(&self, model: &CpuModel) -> Result<(), IdentityError> {
        let started = self.has_started();
        self.with(|shared| {
            let identity = shared.identity.as_mut().ok_or(IdentityError::NotReset)?;
            match identity.first_change(model) {
                Some(id) if started => return Err(IdentityError::Started(id)),
                Some(_) => identity.set_model(model)?,
                None => {}
            }
            shared.retell();
            Ok(())
        })?;
        self.mark_all();
        Ok(())
    }

    /// Makes the identity from the most that can be told here, unless there is one.
    #[inline(never)]
    pub(crate) fn begin_identity<R: Registers>(&self, registers: &mut R) -> Result<(), RegisterError> {
        if !self.with(|shared| shared.identity.is_some()) {
            let mut limit = Told::NOTHING.model;
            self.config().find_limit(registers, &mut limit)?;
            self.with(|shared| {
                if shared.identity.is_none() {
                    // A constant: it is made where it lies.
                    shared.identity.insert(Identity::NOTHING).begin(&limit);
                    shared.retell();
                }
            });
        }
        Ok(())
    }

    /// Shows the guest another value of one identification register, within what host and core can do. The vCPUs
    /// have to be reset again, as controls follow from it.
    ///
    /// The order in which registers are written does not matter: a feature that lacks one it needs is hidden for as
    /// long as it does. This is what [`Guest::set`](xarch_abi::Guest::set) asks, whose error has no room for the
    /// field.
    ///
    /// # Errors
    /// [`IdentityError`] names the field that goes too far, or says why it is too late or too early.
    pub fn set_identification(&self, id: SysRegId, value: u64) -> Result<(), IdentityError> {
        let started = self.has_started();
        self.with(|shared| {
            let identity = shared.identity.as_mut().ok_or(IdentityError::NotReset)?;
            if started && identity.view().get(id) != Some(value) {
                return Err(IdentityError::Started(id));
            }
            identity.set(id, value).map_err(IdentityError::Limit)?;
            shared.retell();
            Ok(())
        })?;
        self.mark_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_is_these_values() {
        let values = CARRIED.map(|(_, value)| value);
        assert_eq!(values[..3], [0x1101_0000_0111_0011, 0x21, 0x00f0_f0f0_f00f]);
        assert_eq!(values[3..6], [0x1221_1111_1021_2120, 0x0111_2111_0031_1002, 0x0011_0000_1111_0012]);
        assert_eq!(values[6..], [0x1000_1000_1021_0120, 0x1111_1030_0030_2002, 0x1022_0011_1001_0111]);
        assert_eq!(AS_THE_HOST.map(|(_, mask)| mask), [0xff00_0ff0, 0xff00]);
        assert_eq!(STAGE_2_GRANULES, 0xfff_0000_0000);
    }

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
