//! System registers and instructions that trap, and registers as the embedder sees them.

use crate::identity::{Identity, IdentityError};
use crate::inject::{Injection, Pending, control, read_general, system, write_general};
use crate::state::{PowerState, Shared, Vcpu, mpidr_of};
use crate::vgic::GicRegister;
use arm_arch::feature::is_id_space;
use arm_arch::gic::Group;
use arm_arch::iss::{Direction, SError, Syndrome, SystemAccess};
use arm_arch::sysreg::{
    CnthctlEl2, CpacrEl1, CptrEl2, CsselrEl1, FpEnable, HcrEl2, HcrxEl2, IccSgi, IccSre, IdAa64Pfr0,
    IdAa64Pfr1, MdcrEl2, PmuserenrEl0, SctlrEl1, SysRegId, instructions, names,
};
use arm_arch::timer::Timer;
use arm_arch::{EsrEl, ExceptionClass, PState};
use arm_arch::{ExceptionLevel, bits, trap};
use xarch_abi::{Bank, Lock, Next, RegId, RegisterError, Registers};

/// `HCR_EL2` without what depends on the guest's features: a host of EL1 and EL0 in AArch64, interrupts virtual,
/// identification, SMC, WFx, LOR and IMPLEMENTATION DEFINED encodings trapped. SAE control block (Linux s390
/// arm64 KVM series), with TWI and TWE added.
pub(crate) const HCR: HcrEl2 = HcrEl2::new()
    .with_e2h(true)
    .with_rw(true)
    .with_amo(true)
    .with_imo(true)
    .with_fmo(true)
    .with_ptw(true)
    .with_tsc(true)
    .with_tid1(true)
    .with_tid2(true)
    .with_tid3(true)
    .with_tid4(true)
    .with_tid5(true)
    .with_tidcp(true)
    .with_tlor(true)
    .with_twi(true)
    .with_twe(true);

const _: () = assert!(HCR.into_bits() == 0x0402_000c_801f_603c);

/// `CPTR_EL2`: floating point does not trap; trace and activity monitors do.
const CPTR: CptrEl2 = CptrEl2::new().with_fpen(FpEnable::All).with_tta(true).with_tam(true);
/// `CPACR_EL1`, what the guest has of it: FPEN.
const CPACR: u64 = CpacrEl1::new().with_fpen(FpEnable::All).into_bits();
/// `MDCR_EL2`: performance monitors, profiling and trace trap; they are not announced.
const MDCR: MdcrEl2 = MdcrEl2::new().with_tpm(true).with_tpmcr(true).with_tpms(true).with_ttrf(true);
/// `PMUSERENR_EL0`: EN, which is all. The guest has no performance monitors; with its EL1 out of the way, what its EL0 asks of
/// those of the machine comes to EL2, which MDCR_EL2 sees to. Arm ARM, PMUSERENR_EL0.
const PMUSERENR: PmuserenrEl0 = PmuserenrEl0::new().with_en(true);
/// Fine-grained traps: none of those that are on at 1, all of those that are off at 1, which are about what is not announced.
const FINE_GRAINED: [SysRegId; 5] =
    [names::HFGRTR_EL2, names::HFGWTR_EL2, names::HFGITR_EL2, names::HDFGRTR_EL2, names::HDFGWTR_EL2];
/// `ICC_SRE_EL2`: Enable, DIB, DFB, SRE.
const ICC_SRE: IccSre = IccSre::new().with_enable(true).with_dib(true).with_dfb(true).with_sre(true);
/// Guest registers that a reset clears; the manual says UNKNOWN (CHOICE: a guest starts the same way every
/// time). Those that a host does not have are passed over.
const CLEARED: &[SysRegId] = &[
    names::ACTLR_EL1,
    names::CPACR_EL1,
    names::TTBR0_EL1,
    names::TTBR1_EL1,
    names::TCR_EL1,
    names::ESR_EL1,
    names::AFSR0_EL1,
    names::AFSR1_EL1,
    names::FAR_EL1,
    names::PAR_EL1,
    names::MAIR_EL1,
    names::AMAIR_EL1,
    names::VBAR_EL1,
    names::CONTEXTIDR_EL1,
    names::TPIDR_EL0,
    names::TPIDRRO_EL0,
    names::TPIDR_EL1,
    names::SCXTNUM_EL0,
    names::SCXTNUM_EL1,
    names::CNTKCTL_EL1,
    names::CNTP_CTL_EL0,
    names::CNTV_CTL_EL0,
    names::CNTP_CVAL_EL0,
    names::CNTV_CVAL_EL0,
    names::ELR_EL1,
    names::SPSR_EL1,
    names::SP_EL0,
    names::SP_EL1,
    names::FPCR,
    names::FPSR,
    names::MDSCR_EL1,
    names::DISR_EL1,
];

/// [`RegId::ERROR`]: there is one. A format of the contract, which keeps bits 24 to 0 for the syndrome: no register of the
/// manual has it.
const ERROR_PENDING: u64 = 1 << 63;

/// `CSSELR_EL1`: what there is of it without FEAT_MTE2.
const CSSELR: u64 = CsselrEl1::new().with_level(7).with_ind(true).into_bits();

/// What stands behind an encoding that trapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    /// Identification, from the VM's one table.
    Identity,
    /// `MPIDR_EL1`.
    Affinity,
    /// `CCSIDR_EL1`.
    CacheGeometry,
    /// `CSSELR_EL1`.
    CacheSelection,
    /// Generates SGIs; write-only.
    Sgi(Group),
    /// Carried by the host: traps for other reasons than being missing.
    Carried,
    /// A count; read-only.
    Count(SysRegId),
    /// `CNT*_TVAL_EL0`: compare register and count.
    TimerValue(SysRegId, SysRegId),
    /// Reads as zero, writes are ignored.
    Zero,
    /// An instruction with nothing to do.
    Nothing,
    /// There is none.
    Undefined,
}

fn row(id: SysRegId) -> Row {
    match id {
        id if is_id_space(id) => Row::Identity,
        names::MIDR_EL1
        | names::REVIDR_EL1
        | names::AIDR_EL1
        | names::CTR_EL0
        | names::DCZID_EL0
        | names::CLIDR_EL1 => Row::Identity,
        names::MPIDR_EL1 => Row::Affinity,
        names::CCSIDR_EL1 => Row::CacheGeometry,
        names::CSSELR_EL1 => Row::CacheSelection,
        names::ICC_SGI1R_EL1 => Row::Sgi(Group::One),
        names::ICC_SGI0R_EL1 => Row::Sgi(Group::Zero),
        // The other Security state, which there is not.
        names::ICC_ASGI1R_EL1 => Row::Nothing,
        names::CNTPCT_EL0 | names::CNTPCTSS_EL0 => Row::Count(names::CNTPCT_EL0),
        names::CNTVCT_EL0 | names::CNTVCTSS_EL0 => Row::Count(names::CNTVCT_EL0),
        names::CNTP_TVAL_EL0 => Row::TimerValue(names::CNTP_CVAL_EL0, names::CNTPCT_EL0),
        names::CNTV_TVAL_EL0 => Row::TimerValue(names::CNTV_CVAL_EL0, names::CNTVCT_EL0),
        names::ACTLR_EL1
        | names::SCTLR_EL1
        | names::CPACR_EL1
        | names::TTBR0_EL1
        | names::TTBR1_EL1
        | names::TCR_EL1
        | names::ESR_EL1
        | names::AFSR0_EL1
        | names::AFSR1_EL1
        | names::FAR_EL1
        | names::MAIR_EL1
        | names::AMAIR_EL1
        | names::CONTEXTIDR_EL1
        | names::CNTKCTL_EL1
        | names::CNTP_CTL_EL0
        | names::CNTP_CVAL_EL0
        | names::CNTV_CTL_EL0
        | names::CNTV_CVAL_EL0
        | names::MDSCR_EL1
        | names::OSLAR_EL1
        | names::OSLSR_EL1 => Row::Carried,
        names::OSDLR_EL1 | names::DBGPRCR_EL1 | names::MDRAR_EL1 => Row::Zero,
        // By set and way: guest memory is coherent with everything that looks at it.
        instructions::DC_ISW | instructions::DC_CSW | instructions::DC_CISW => Row::Nothing,
        _ => Row::Undefined,
    }
}

/// Syndrome of a read of the ID space: op0 = 3, op1 = 0, CRn = 0.
const ID_READ: u64 = id_read(0, 0, 0) & ID_READ_MASK;
/// What is looked at to tell one: EC and ISS, but for what differs between two that have nothing in common: op2, Rt and CRm.
const ID_READ_MASK: u64 = {
    let all = EsrEl::of(ExceptionClass::from_bits(u8::MAX), u32::MAX).with_il(false).into_bits();
    all & !(id_read(0, 0, 0) ^ id_read(15, 7, 31))
};

const fn id_read(crm: u8, op2: u8, rt: u8) -> u64 {
    let access = SystemAccess { id: SysRegId::new(3, 0, 0, crm, op2), rt, direction: Direction::Read };
    Syndrome::SystemAccess(access).encode().into_bits()
}

const _: () = assert!(ID_READ == 0x6030_0001 && ID_READ_MASK == 0xfdf1_fc01);

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Does a trapped read of the ID space, of which a guest that starts makes hundreds, without looking any further:
    /// they are there for all. Whether it was one, and is done; [`Self::system_access`] does the same at its leisure.
    #[inline]
    pub(crate) fn read_identification<R: Registers>(&mut self, registers: &mut R, syndrome: u64) -> bool {
        if syndrome & ID_READ_MASK != ID_READ || self.pending != Pending::None {
            return false;
        }
        let access = SystemAccess::decode(EsrEl::from_bits(syndrome).iss());
        let value = self.told.model.ids().get(access.id).unwrap_or(0);
        let done = is_id_space(access.id) && write_general(registers, access.rt, value).is_ok();
        if done {
            self.pending = Pending::Increment;
        }
        done
    }

    /// Does what a trapped MSR, MRS or system instruction asks for, or injects UNDEFINED.
    pub(crate) fn system_access<R: Registers>(
        &mut self,
        registers: &mut R,
        access: SystemAccess,
    ) -> Result<Next, RegisterError> {
        let done = match access.direction {
            _ if !self.is_there(access) => false,
            Direction::Read => match self.read_row(registers, access.id)? {
                Some(value) => {
                    write_general(registers, access.rt, value)?;
                    true
                }
                None => false,
            },
            Direction::Write => {
                let value = read_general(registers, access.rt)?;
                self.write_row(registers, access.id, value)?
            }
        };
        if done {
            self.skip_instruction()
        } else {
            self.inject(Injection::Undefined)
        }
        Ok(Next::Resume)
    }

    /// Whether the guest's model has the register, and the register the direction. The ID space is always there.
    fn is_there(&self, access: SystemAccess) -> bool {
        let SystemAccess { id, direction, .. } = access;
        if is_id_space(id) {
            return direction == Direction::Read;
        }
        let features = &self.told.features;
        // Which level has which access was decided before the trap.
        trap::rule_of(id, features).is_some_and(|rule| {
            let permits = |el| rule.permits(direction, el);
            rule.needs.are_met(features) && (permits(ExceptionLevel::El1) || permits(ExceptionLevel::El0))
        })
    }

    /// Whether a register belongs to a feature that the guest's model has not: it is not shown to the embedder
    /// either.
    pub(crate) fn is_hidden(&self, id: SysRegId) -> bool {
        let features = self.vm.with(|shared| shared.identity.as_ref().map(|identity| *identity.features()));
        let Some(features) = features else { return false };
        trap::rule_of(id, &features).is_some_and(|rule| !rule.needs.are_met(&features))
    }

    /// Returns what the guest reads, `None` where the read is UNDEFINED.
    fn read_row<R: Registers>(
        &mut self,
        registers: &mut R,
        id: SysRegId,
    ) -> Result<Option<u64>, RegisterError> {
        Ok(Some(match row(id) {
            Row::Identity => self.told.model.ids().get(id).unwrap_or(0),
            Row::Affinity => mpidr_of(self.index).into_bits(),
            Row::CacheGeometry => self.told.model.ids().ccsidr(self.csselr),
            Row::CacheSelection => self.csselr,
            Row::Carried => return optional(registers.read(system(id))),
            Row::Count(count) => registers.read(system(count))?,
            Row::TimerValue(compare, count) => {
                let timer = Timer { cval: registers.read(system(compare))?, ..Timer::default() };
                timer.read_tval(registers.read(system(count))?)
            }
            Row::Zero => 0,
            Row::Sgi(_) | Row::Nothing | Row::Undefined => return Ok(None),
        }))
    }

    /// Does what a write does; false where it is UNDEFINED.
    fn write_row<R: Registers>(
        &mut self,
        registers: &mut R,
        id: SysRegId,
        value: u64,
    ) -> Result<bool, RegisterError> {
        match row(id) {
            Row::CacheSelection => self.csselr = value & CSSELR,
            Row::Sgi(group) => {
                let index = self.index;
                let value = IccSgi::from_bits(value);
                let concerned = self.vm.with(|shared| shared.gic.generate_sgi(index, value, group));
                self.concern(concerned);
            }
            // It traps where the host has fields of it that the guest has not.
            Row::Carried if id == names::CPACR_EL1 => registers.write(system(id), value & CPACR)?,
            Row::Carried => {
                return Ok(optional(registers.write(system(id), value))?.is_some());
            }
            Row::TimerValue(compare, count) => {
                let mut timer = Timer::default();
                timer.write_tval(registers.read(system(count))?, value);
                registers.write(system(compare), timer.cval)?;
            }
            Row::Zero | Row::Nothing => {}
            Row::Identity | Row::Affinity | Row::CacheGeometry | Row::Count(_) | Row::Undefined => {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks the VM's identification; 0 before it is known.
    fn identity(&self, ask: impl FnOnce(&Identity) -> u64) -> u64 {
        self.vm.with(|shared| shared.identity.as_ref().map_or(0, ask))
    }

    fn identity_value(&self, id: SysRegId) -> u64 {
        self.identity(|identity| identity.view().get(id).unwrap_or(0))
    }

    /// Puts all registers into their reset state, on the vCPU's own thread. The VM's identity is known.
    #[inline(never)]
    pub(crate) fn reset_registers<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.pending = Pending::None;
        self.outstanding = None;
        self.steps = None;
        self.csselr = 0;
        self.reset_interface(registers)?;
        let vm = self.vm;
        vm.with(|shared| shared.tell(&mut self.told));
        for number in 0..31 {
            registers.write(RegId::general(number), 0)?;
        }
        for number in 0..32 {
            registers.write_wide(RegId::vector(number), 0)?;
        }
        for id in CLEARED {
            optional(registers.write(system(*id), 0))?;
        }
        registers.write(system(names::SCTLR_EL1), SctlrEl1::RES1.into_bits())?;
        let is_other_part = vm.with(|shared| shared.identity.as_ref().is_some_and(Identity::is_other_part));
        self.show_part(registers, is_other_part)?;
        registers.write(RegId::PC, 0)?;
        registers.write(RegId::STATUS, PState::RESET_EL1.into_bits())?;
        self.reset_controls(registers)?;
        self.frequency = registers.read(RegId::host_limit(names::CNTFRQ_EL0.into_bits()))?;
        Ok(())
    }

    /// Writes the registers by which this side controls the guest.
    fn reset_controls<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        let told = &self.told;
        let pauth = told.has_pointer_authentication();
        let hcr = HCR.with_api(pauth).with_apk(pauth).with_tdz(told.is_zva_prohibited());
        let hcr = hcr.with_terr(!told.has_error_records());
        let hcrx = HcrxEl2::new().with_mscen(told.has_memory_copy());
        let timers = CnthctlEl2::new().with_el1pcten(true).with_el1pten(true);
        registers.write(control(names::HCR_EL2), hcr.into_bits())?;
        optional(registers.write(control(names::HCRX_EL2), hcrx.into_bits()))?;
        let cptr = CPTR.with_tcpac(hides_vectors(registers)?);
        registers.write(control(names::CPTR_EL2), cptr.into_bits())?;
        registers.write(control(names::MDCR_EL2), MDCR.into_bits())?;
        optional(registers.write(control(names::PMUSERENR_EL0), PMUSERENR.into_bits()))?;
        for traps in FINE_GRAINED {
            optional(registers.write(control(traps), 0))?;
        }
        registers.write(control(names::CNTHCTL_EL2), timers.into_bits())?;
        registers.write(control(names::ICC_SRE_EL2), ICC_SRE.into_bits())?;
        registers.write(control(names::VMPIDR_EL2), mpidr_of(self.index).into_bits())
    }

    /// `MIDR_EL1` does not trap: the host shows the part. One that cannot may do without, as long as it is its own.
    fn show_part<R: Registers>(&self, registers: &mut R, is_other_part: bool) -> Result<(), RegisterError> {
        let part = self.told.model.ids().midr.into_bits();
        let shown = registers.write(system(names::MIDR_EL1), part);
        if is_other_part { shown } else { optional(shown).map(|_| ()) }
    }

    /// Sets what a boot protocol sets: the entry address and X0 to X3. After a reset, before the first entry.
    ///
    /// # Errors
    /// [`RegisterError`] from the registers.
    pub fn boot<R: Registers>(
        &mut self,
        registers: &mut R,
        entry: u64,
        arguments: [u64; 4],
    ) -> Result<(), RegisterError> {
        for (number, value) in (0..).zip(arguments) {
            registers.write(RegId::general(number), value)?;
        }
        registers.write(RegId::PC, entry)
    }

    pub(crate) fn user_get<R: Registers>(
        &mut self,
        registers: &mut R,
        id: RegId,
    ) -> Result<u64, RegisterError> {
        if let Some(register) = GicRegister::from_id(id, Some(self.index)) {
            return self.vm.gic_register(register).map_err(|_| RegisterError::Unknown(id));
        }
        match id {
            RegId::POWER => return Ok(u64::from(self.vm.power(self.index) == PowerState::On)),
            RegId::ERROR => {
                let error = self.serror(registers)?;
                return Ok(error.map_or(0, |error| ERROR_PENDING | u64::from(error.into_bits())));
            }
            _ => {}
        }
        match own_register(id).map(|encoding| (row(encoding), encoding)) {
            Some((Row::Identity, encoding)) => Ok(self.identity_value(encoding)),
            Some((Row::Affinity, _)) => Ok(mpidr_of(self.index).into_bits()),
            Some((Row::CacheSelection, _)) => Ok(self.csselr),
            Some((_, encoding)) if self.is_hidden(encoding) => Err(RegisterError::Unknown(id)),
            Some(_) | None => registers.read(id),
        }
    }

    pub(crate) fn user_set<R: Registers>(
        &mut self,
        registers: &mut R,
        id: RegId,
        value: u64,
    ) -> Result<(), RegisterError> {
        if let Some(register) = GicRegister::from_id(id, Some(self.index)) {
            return self.vm.set_gic_register(register, value).map_err(|_| RegisterError::Unknown(id));
        }
        match id {
            RegId::POWER => return self.set_power_value(value),
            RegId::ERROR => return self.set_error_value(registers, value),
            _ => {}
        }
        match own_register(id).map(|encoding| (row(encoding), encoding)) {
            Some((Row::Identity, encoding)) => {
                self.vm.set_identification(encoding, value).map_err(|error| match error {
                    IdentityError::Started(_) | IdentityError::NotReset => RegisterError::ReadOnly(id),
                    IdentityError::Limit(_) | IdentityError::Unmet(_) => RegisterError::Value(id, value),
                })?;
                if encoding == names::MIDR_EL1 {
                    registers.write(id, value)?;
                }
                Ok(())
            }
            Some((Row::Affinity, _)) => unchanged(id, mpidr_of(self.index).into_bits(), value),
            Some((Row::CacheSelection, _)) if value & !CSSELR == 0 => {
                self.csselr = value;
                Ok(())
            }
            Some((Row::CacheSelection, _)) => Err(RegisterError::Value(id, value)),
            Some((_, encoding)) if self.is_hidden(encoding) => Err(RegisterError::Unknown(id)),
            Some(_) | None => registers.write(id, value),
        }
    }

    fn set_power_value(&mut self, value: u64) -> Result<(), RegisterError> {
        self.set_power(match value {
            0 => PowerState::Off,
            1 => PowerState::On,
            _ => return Err(RegisterError::Value(RegId::POWER, value)),
        });
        Ok(())
    }

    fn set_error_value<R: Registers>(&mut self, registers: &mut R, value: u64) -> Result<(), RegisterError> {
        let error = SError::from_bits(bits::trunc32(value & !ERROR_PENDING));
        let told = ERROR_PENDING | u64::from(error.into_bits());
        match value {
            0 => self.set_serror(registers, None),
            _ if value == told => self.set_serror(registers, Some(error)),
            _ => Err(RegisterError::Value(RegId::ERROR, value)),
        }
    }
}

fn own_register(id: RegId) -> Option<SysRegId> {
    let encoding = u16::try_from(id.index).ok().map(SysRegId::from_bits);
    encoding.filter(|_| id.bank == Bank::SYSTEM)
}

fn unchanged(id: RegId, now: u64, asked: u64) -> Result<(), RegisterError> {
    if now == asked { Ok(()) } else { Err(RegisterError::Value(id, asked)) }
}

/// Whether the host has SVE or SME, of which no guest is told. Their traps by CPACR_EL1 would come before those of
/// CPTR_EL2: it has to be on, and the guest to have another one.
fn hides_vectors<R: Registers>(registers: &mut R) -> Result<bool, RegisterError> {
    let mut offered = |id: SysRegId| {
        optional(registers.read(RegId::host_limit(id.into_bits()))).map(Option::unwrap_or_default)
    };
    let (pfr0, pfr1) = (offered(names::ID_AA64PFR0_EL1)?, offered(names::ID_AA64PFR1_EL1)?);
    Ok(IdAa64Pfr0::from_bits(pfr0).sve() != 0 || IdAa64Pfr1::from_bits(pfr1).sme() != 0)
}

/// Takes a register that a host may do without: `None` if it does.
pub(crate) fn optional<T>(result: Result<T, RegisterError>) -> Result<Option<T>, RegisterError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RegisterError::Unknown(_)) => Ok(None),
        Err(
            error @ (RegisterError::ReadOnly(_)
            | RegisterError::Value(..)
            | RegisterError::Wide(_)
            | RegisterError::Host(..)),
        ) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_have_these_values() {
        assert_eq!(CPTR.into_bits(), 0x5030_0000);
        assert_eq!(MDCR.into_bits(), 0x0008_4060);
        assert_eq!((PMUSERENR.into_bits(), ICC_SRE.into_bits()), (1, 0xf));
        assert_eq!(CnthctlEl2::new().with_el1pcten(true).with_el1pten(true).into_bits(), 0xc00);
    }

    #[test]
    fn unallocated_identification_reads_as_zero_and_others_are_undefined() {
        for (name, id, want) in [
            ("a hole in CRm 7", SysRegId::new(3, 0, 0, 7, 7), Row::Identity),
            ("an AArch32 one", names::ID_PFR0_EL1, Row::Identity),
            ("beyond", SysRegId::new(3, 0, 0, 8, 0), Row::Undefined),
            ("PMU", names::PMCR_EL0, Row::Undefined),
            ("GMID", names::GMID_EL1, Row::Undefined),
            ("LORC", names::LORC_EL1, Row::Undefined),
            ("IMPLEMENTATION DEFINED", SysRegId::new(3, 0, 15, 2, 0), Row::Undefined),
        ] {
            assert_eq!(row(id), want, "{name}");
        }
    }
}
