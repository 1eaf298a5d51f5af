//! The set of ID registers of a processing element. Arm ARM, "Principles of the ID scheme".

use super::cpu::{CTR_FIELDS, CTR_RES1, register_name};
use super::{AARCH32_FIELDS, FIELDS, Field};
use crate::sysreg::names;
use crate::sysreg::{
    CsselrEl1, CtrEl0, DczidEl0, IdAa64Dfr0, IdAa64Isar0, IdAa64Isar1, IdAa64Isar2, IdAa64Mmfr0, IdAa64Mmfr1,
    IdAa64Mmfr2, IdAa64Pfr0, IdAa64Pfr1, MidrEl1, SysRegId,
};
use core::fmt;

/// The ID registers that all processing elements of a machine share: the ID space (op0 = 3, op1 = 0, CRn = 0, CRm = 1
/// to 3 for AArch32, 4 to 7 for AArch64) and those that describe part, caches and DC ZVA.
/// Arm ARM, "Principles of the ID scheme".
///
/// `MPIDR_EL1` belongs to each element and is not here; the caches behind `CSSELR_EL1` are described by
/// [`IdRegisters::ccsidr`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IdRegisters {
    pub(super) space: [u64; 32],
    /// The AArch32 half: UNKNOWN where EL0 cannot use AArch32 (CHOICE: zero).
    pub(super) aarch32: [u64; 24],
    /// `MIDR_EL1`.
    pub midr: MidrEl1,
    /// `REVIDR_EL1`.
    pub revidr: u64,
    /// `AIDR_EL1`.
    pub aidr: u64,
    /// `CTR_EL0`.
    pub ctr: CtrEl0,
    /// `DCZID_EL0`.
    pub dczid: DczidEl0,
    /// `CLIDR_EL1`.
    pub clidr: u64,
    /// `CCSIDR_EL1` of the level 1 data cache, and of the instruction cache unless that has its own.
    pub ccsidr_l1: u64,
    /// `CCSIDR_EL1` of the level 1 instruction cache; 0 for the same as the data cache.
    pub ccsidr_l1i: u64,
    /// `CCSIDR_EL1` of the level 2 cache; 0 for none.
    pub ccsidr_l2: u64,
}

/// Whether an encoding lies in the ID space, allocated or not: op0 = 3, op1 = 0, CRn = 0, CRm = 1 to 7. What is not
/// allocated reads as zero. Arm ARM, HCR_EL2.TID3.
#[must_use]
pub const fn is_id_space(id: SysRegId) -> bool {
    id.op0() == 3 && id.op1() == 0 && id.crn() == 0 && matches!(id.crm(), 1..=7)
}

/// The bits of `MIDR_EL1`.
const MIDR: u64 = 0xffff_ffff;
/// `DCZID_EL0.DZP`: DC ZVA is prohibited.
const DZP: u64 = DczidEl0::new().with_dzp(true).into_bits();

/// Refuses reserved bits that are not as they must be.
const fn reserved(register: SysRegId, bits: u64) -> Result<(), IdError> {
    if bits == 0 { Ok(()) } else { Err(IdError { register, reason: Reason::Reserved { bits } }) }
}

impl IdRegisters {
    /// All of them 0. Fields in which less than 0 stands for nothing, as FP and AdvSIMD, announce something all the
    /// same. Arm ARM, ID_AA64PFR0_EL1.FP.
    pub const NONE: Self = Self {
        space: [0; 32],
        aarch32: [0; 24],
        midr: MidrEl1::new(),
        revidr: 0,
        aidr: 0,
        ctr: CtrEl0::new(),
        dczid: DczidEl0::new(),
        clidr: 0,
        ccsidr_l1: 0,
        ccsidr_l1i: 0,
        ccsidr_l2: 0,
    };

    /// Returns the set with another value of a register of the AArch64 ID space; as it is where the register is not one
    /// of those. For constants: see [`IdRegisters::set`] elsewhere. Arm ARM, "Principles of the ID scheme".
    #[must_use]
    #[expect(clippy::as_conversions, reason = "widening in a const function")]
    #[expect(clippy::indexing_slicing, reason = "the index is less than the length")]
    pub const fn with(mut self, id: SysRegId, value: u64) -> Self {
        if is_id_space(id) && id.crm() >= 4 {
            let at = (id.crm() as usize & 3) << 3 | id.op2() as usize & 7;
            if at < self.space.len() {
                self.space[at] = value;
            }
        }
        self
    }

    /// Returns the value of an ID register, 0 for any of the ID space that is not allocated; `None` for a register that
    /// is not in this set. `CCSIDR_EL1` depends on `CSSELR_EL1`: see [`IdRegisters::ccsidr`]. Arm ARM, HCR_EL2.TID3.
    #[must_use]
    pub fn get(&self, id: SysRegId) -> Option<u64> {
        // Nearly all that is asked for is of the ID space.
        if let Some(value) = self.slot(id) {
            return Some(*value);
        }
        Some(match id {
            names::MIDR_EL1 => self.midr.into_bits(),
            names::REVIDR_EL1 => self.revidr,
            names::AIDR_EL1 => self.aidr,
            names::CTR_EL0 => self.ctr.into_bits(),
            names::DCZID_EL0 => self.dczid.into_bits(),
            names::CLIDR_EL1 => self.clidr,
            _ => return None,
        })
    }

    /// Sets the value of an ID register without any check; says whether it is in this set.
    /// Arm ARM, "Principles of the ID scheme".
    #[must_use]
    pub fn set(&mut self, id: SysRegId, value: u64) -> bool {
        match id {
            names::MIDR_EL1 => self.midr = MidrEl1::from_bits(value),
            names::REVIDR_EL1 => self.revidr = value,
            names::AIDR_EL1 => self.aidr = value,
            names::CTR_EL0 => self.ctr = CtrEl0::from_bits(value),
            names::DCZID_EL0 => self.dczid = DczidEl0::from_bits(value),
            names::CLIDR_EL1 => self.clidr = value,
            _ => match self.slot_mut(id) {
                Some(slot) => *slot = value,
                None => return false,
            },
        }
        true
    }

    /// Returns `CCSIDR_EL1` for a value of `CSSELR_EL1`: the caches of levels 1 and 2, and 0 for what is not there
    /// (CHOICE: the manual says UNKNOWN). Arm ARM, CCSIDR_EL1, CSSELR_EL1.
    #[must_use]
    pub const fn ccsidr(&self, csselr: u64) -> u64 {
        let csselr = CsselrEl1::from_bits(csselr);
        match (csselr.level(), csselr.ind()) {
            (0, true) if self.ccsidr_l1i != 0 => self.ccsidr_l1i,
            (0, _) => self.ccsidr_l1,
            (1, false) => self.ccsidr_l2,
            _ => 0,
        }
    }

    /// Where a register of the ID space lies: eight for each CRm.
    fn slot(&self, id: SysRegId) -> Option<&u64> {
        let op2 = usize::from(id.op2());
        match (is_id_space(id), id.crm().checked_sub(4)) {
            (true, Some(row)) => self.space.get(usize::from(row << 3) | op2),
            (true, None) => self.aarch32.get(usize::from(id.crm().wrapping_sub(1) << 3) | op2),
            (false, _) => None,
        }
    }

    fn slot_mut(&mut self, id: SysRegId) -> Option<&mut u64> {
        let op2 = usize::from(id.op2());
        match (is_id_space(id), id.crm().checked_sub(4)) {
            (true, Some(row)) => self.space.get_mut(usize::from(row << 3) | op2),
            (true, None) => self.aarch32.get_mut(usize::from(id.crm().wrapping_sub(1) << 3) | op2),
            (false, _) => None,
        }
    }

    /// Returns the fields of the ID space that say something here: the AArch32 ones only if EL0 can use AArch32.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        // ID_AA64PFR0_EL1.EL0 is 2. Arm ARM, FEAT_AA32EL0.
        let aarch32: &[Field] = if self.pfr0().el0() >= 2 { AARCH32_FIELDS } else { &[] };
        FIELDS.iter().chain(aarch32)
    }

    /// Returns what both include of the ID space, field by field; the rest is that of `self`. [`CpuModel::meet`] treats
    /// all alike, and keeps no feature without those it needs. Arm ARM, "Principles of the ID scheme".
    ///
    /// [`CpuModel::meet`]: super::CpuModel::meet
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let mut both = Self { space: [0; 32], aarch32: [0; 24], ..*self };
        both.put_meet(self, other);
        both
    }

    /// Makes each field of the ID space what both include; AArch32 only if both have it.
    pub(super) fn put_meet(&mut self, a: &Self, b: &Self) {
        let less = if a.pfr0().el0() < b.pfr0().el0() { a } else { b };
        for field in less.fields() {
            self.put(field, field.meet(a.field(field), b.field(field)));
        }
    }

    /// Checks that a guest which was told these values of the ID space can run where there is `host`.
    /// Arm ARM, "Principles of the ID scheme".
    ///
    /// # Errors
    ///
    /// Names the first field that asks for more than there is.
    pub fn fits(&self, host: &Self) -> Result<(), IdError> {
        for field in self.fields() {
            let (wanted, limit) = (self.field(field), host.field(field));
            if !field.fits(wanted, limit) {
                return Err(IdError {
                    register: field.register,
                    reason: Reason::Field { field, wanted, limit },
                });
            }
        }
        Ok(())
    }

    /// Checks a value that a user wants an ID register of the guest to have, where `self` is what the host has.
    /// Arm ARM, "Principles of the ID scheme".
    ///
    /// What names the part (`MIDR_EL1`, `REVIDR_EL1`, `AIDR_EL1`) can be anything, and DC ZVA can be prohibited.
    ///
    /// # Errors
    ///
    /// Names what is wrong: a register that is not in the set or not writable, a reserved bit, or a field that asks
    /// for more than there is.
    pub fn check_write(&self, register: SysRegId, value: u64) -> Result<(), IdError> {
        let Some(host) = self.get(register) else {
            return Err(IdError { register, reason: Reason::NotWritable });
        };
        let fields = match register {
            _ if value == host => return Ok(()),
            names::REVIDR_EL1 | names::AIDR_EL1 => return Ok(()),
            names::MIDR_EL1 => return reserved(register, value & !MIDR),
            names::DCZID_EL0 if value == host | DZP => return Ok(()),
            names::CTR_EL0 => CTR_FIELDS,
            _ if is_id_space(register) && register.crm() >= 4 => FIELDS,
            _ if is_id_space(register) && self.pfr0().el0() >= 2 => AARCH32_FIELDS,
            _ => return Err(IdError { register, reason: Reason::NotWritable }),
        };
        let mut left = value;
        for field in fields.iter().filter(|field| field.register == register) {
            let (wanted, limit) = (field.of(value), field.of(host));
            if !field.fits(wanted, limit) {
                return Err(IdError { register, reason: Reason::Field { field, wanted, limit } });
            }
            left &= !field.mask();
        }
        let res1 = if register == names::CTR_EL0 { CTR_RES1 } else { 0 };
        reserved(register, left ^ res1)
    }

    /// Returns the value of a field, not extended; 0 of a register that is not in this set.
    #[must_use]
    pub fn field(&self, field: &Field) -> u64 {
        field.of(self.get(field.register).unwrap_or(0))
    }

    /// Sets a field of the ID space; that of another register stays as it is.
    pub fn put(&mut self, field: &Field, value: u64) {
        if let Some(slot) = self.slot_mut(field.register) {
            *slot = field.put(*slot, value);
        }
    }

    fn raw(&self, id: SysRegId) -> u64 {
        self.get(id).unwrap_or(0)
    }

    /// Returns `ID_AA64PFR0_EL1`. Arm ARM, ID_AA64PFR0_EL1.
    #[must_use]
    pub fn pfr0(&self) -> IdAa64Pfr0 {
        IdAa64Pfr0::from_bits(self.raw(names::ID_AA64PFR0_EL1))
    }

    /// Returns `ID_AA64PFR1_EL1`. Arm ARM, ID_AA64PFR1_EL1.
    #[must_use]
    pub fn pfr1(&self) -> IdAa64Pfr1 {
        IdAa64Pfr1::from_bits(self.raw(names::ID_AA64PFR1_EL1))
    }

    /// Returns `ID_AA64DFR0_EL1`. Arm ARM, ID_AA64DFR0_EL1.
    #[must_use]
    pub fn dfr0(&self) -> IdAa64Dfr0 {
        IdAa64Dfr0::from_bits(self.raw(names::ID_AA64DFR0_EL1))
    }

    /// Returns `ID_AA64ISAR0_EL1`. Arm ARM, ID_AA64ISAR0_EL1.
    #[must_use]
    pub fn isar0(&self) -> IdAa64Isar0 {
        IdAa64Isar0::from_bits(self.raw(names::ID_AA64ISAR0_EL1))
    }

    /// Returns `ID_AA64ISAR1_EL1`. Arm ARM, ID_AA64ISAR1_EL1.
    #[must_use]
    pub fn isar1(&self) -> IdAa64Isar1 {
        IdAa64Isar1::from_bits(self.raw(names::ID_AA64ISAR1_EL1))
    }

    /// Returns `ID_AA64ISAR2_EL1`. Arm ARM, ID_AA64ISAR2_EL1.
    #[must_use]
    pub fn isar2(&self) -> IdAa64Isar2 {
        IdAa64Isar2::from_bits(self.raw(names::ID_AA64ISAR2_EL1))
    }

    /// Returns `ID_AA64MMFR0_EL1`. Arm ARM, ID_AA64MMFR0_EL1.
    #[must_use]
    pub fn mmfr0(&self) -> IdAa64Mmfr0 {
        IdAa64Mmfr0::from_bits(self.raw(names::ID_AA64MMFR0_EL1))
    }

    /// Returns `ID_AA64MMFR1_EL1`. Arm ARM, ID_AA64MMFR1_EL1.
    #[must_use]
    pub fn mmfr1(&self) -> IdAa64Mmfr1 {
        IdAa64Mmfr1::from_bits(self.raw(names::ID_AA64MMFR1_EL1))
    }

    /// Returns `ID_AA64MMFR2_EL1`. Arm ARM, ID_AA64MMFR2_EL1.
    #[must_use]
    pub fn mmfr2(&self) -> IdAa64Mmfr2 {
        IdAa64Mmfr2::from_bits(self.raw(names::ID_AA64MMFR2_EL1))
    }
}

/// Why a value of an ID register is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdError {
    /// The register.
    pub register: SysRegId,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a value of an ID register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A field asks for more than there is.
    Field {
        /// The field.
        field: &'static Field,
        /// The value asked for.
        wanted: u64,
        /// The value there is.
        limit: u64,
    },
    /// Bits that no field has are not as they must be.
    Reserved {
        /// Those bits.
        bits: u64,
    },
    /// The register has one value only.
    NotWritable,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match register_name(self.register) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{}", self.register)?,
        }
        match self.reason {
            Reason::Field { field, wanted, limit } => {
                write!(f, ": field {} asks for {wanted:#x}, {limit:#x} is there", field.name)
            }
            Reason::Reserved { bits } => write!(f, ": reserved bits {bits:#x} are wrong"),
            Reason::NotWritable => f.write_str(": not writable"),
        }
    }
}

impl core::error::Error for IdError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::feature::model::MAX_MODELLED;
    use crate::sysreg::names::*;
    use std::string::ToString;

    #[test]
    fn holes_of_the_id_space_read_zero_and_other_registers_are_not_here() {
        let ids = MAX_MODELLED;
        for (crm, op2) in (1..8).flat_map(|crm| (0..8).map(move |op2| (crm, op2))) {
            assert!(ids.get(SysRegId::new(3, 0, 0, crm, op2)).is_some(), "CRm {crm}, op2 {op2}");
        }
        assert_eq!(ids.get(ID_PFR0_EL1), Some(0), "no AArch32");
        assert_eq!(ids.get(SysRegId::new(3, 0, 0, 7, 7)), Some(0));
        assert_eq!(ids.get(SysRegId::new(3, 0, 0, 0, 1)), None);
        assert_eq!(ids.get(MPIDR_EL1), None);
        assert_eq!(ids.get(SCTLR_EL1), None);
    }

    #[test]
    fn a_users_write_is_refused_with_the_field_that_is_wrong() {
        let host = MAX_MODELLED;
        let pfr0 = host.raw(ID_AA64PFR0_EL1);
        assert_eq!(host.check_write(ID_AA64PFR0_EL1, pfr0), Ok(()));
        assert_eq!(host.check_write(ID_AA64PFR0_EL1, pfr0 & !(0xf << 48)), Ok(()), "less DIT");
        assert_eq!(host.check_write(ID_AA64PFR0_EL1, pfr0 | 0xff << 16), Ok(()), "no floating point");
        let sve = host.check_write(ID_AA64PFR0_EL1, pfr0 | 1 << 32).unwrap_err();
        assert_eq!(sve.to_string(), "ID_AA64PFR0_EL1: field SVE asks for 0x1, 0x0 is there");
        let half = host.check_write(ID_AA64PFR0_EL1, pfr0 | 1 << 16).unwrap_err();
        assert!(matches!(half.reason, Reason::Field { field, wanted: 1, limit: 0 } if field.name == "FP"));
        let reserved = host.check_write(ID_AA64ISAR0_EL1, 1).unwrap_err();
        assert_eq!(reserved.reason, Reason::Reserved { bits: 1 });
        assert_eq!(host.check_write(ID_PFR0_EL1, 0), Ok(()));
        assert_eq!(host.check_write(ID_PFR0_EL1, 1).unwrap_err().reason, Reason::NotWritable);
        assert_eq!(host.check_write(SCTLR_EL1, 0).unwrap_err().reason, Reason::NotWritable);
        assert_eq!(host.check_write(CLIDR_EL1, 0).unwrap_err().reason, Reason::NotWritable);
    }

    #[test]
    fn a_part_is_a_name_and_caches_and_dc_zva_are_not() {
        let host = MAX_MODELLED;
        let reason = |id, value| host.check_write(id, value).err().map(|error| error.reason);
        assert_eq!(reason(MIDR_EL1, 0x411f_d070), None);
        assert_eq!(reason(MIDR_EL1, 0x1_411f_d070), Some(Reason::Reserved { bits: 1 << 32 }));
        assert_eq!((reason(REVIDR_EL1, 5), reason(AIDR_EL1, u64::MAX)), (None, None));
        assert_eq!((reason(DCZID_EL0, 4), reason(DCZID_EL0, 0x14)), (None, None), "allowed, prohibited");
        assert_eq!(reason(DCZID_EL0, 5), Some(Reason::NotWritable), "blocks of another size");
        // The host's CTR_EL0 is 0x9444_c004: lines of 64 bytes, IDC.
        assert_eq!(reason(CTR_EL0, 0x8444_c004), None, "without IDC");
        assert_eq!(reason(CTR_EL0, 0x9443_c003), None, "shorter lines");
        let longer = reason(CTR_EL0, 0x9444_c005);
        assert!(
            matches!(longer, Some(Reason::Field { field, wanted: 5, limit: 4 }) if field.name == "IminLine")
        );
        assert_eq!(reason(CTR_EL0, 0x1444_c004), Some(Reason::Reserved { bits: 1 << 31 }), "RES1");
        assert_eq!(reason(CTR_EL0, 0x9444_c104), Some(Reason::Reserved { bits: 1 << 8 }));
    }

    #[test]
    fn meet_is_what_both_have_and_fits_both() {
        let a = MAX_MODELLED;
        let mut b = a;
        // FP −1, AES 1, PARange 2, one more feature that `a` has not.
        assert!(b.set(ID_AA64PFR0_EL1, a.raw(ID_AA64PFR0_EL1) | 0xf << 16));
        assert!(b.set(ID_AA64ISAR0_EL1, 0x10));
        assert!(b.set(ID_AA64MMFR0_EL1, 2));
        assert!(b.set(ID_AA64ISAR1_EL1, 0x10_0001 | 1 << 36));
        let both = a.meet(&b);
        assert_eq!(both.pfr0().fp(), 0xf);
        assert_eq!((both.isar0().into_bits(), both.mmfr0().into_bits()), (0x10, 2));
        assert_eq!(both.isar1().into_bits(), 0x10_0001);
        assert_eq!(both, a.meet(&both));
        assert_eq!(both.fits(&a), Ok(()));
        assert_eq!(both.fits(&b), Ok(()));
        let more = b.fits(&a).unwrap_err();
        assert!(matches!(more.reason, Reason::Field { field, wanted: 1, limit: 0 } if field.name == "SB"));
    }

    #[test]
    fn a_constant_holds_what_is_put_into_it() {
        const SOME: IdRegisters = IdRegisters::NONE
            .with(ID_AA64PFR0_EL1, 0x11)
            .with(ID_AA64ISAR0_EL1, 0x10)
            .with(ID_AA64MMFR4_EL1, 7)
            .with(SCTLR_EL1, 1)
            .with(ID_PFR0_EL1, 1);
        let mut same = IdRegisters::default();
        for (id, value) in [(ID_AA64PFR0_EL1, 0x11), (ID_AA64ISAR0_EL1, 0x10), (ID_AA64MMFR4_EL1, 7)] {
            assert!(same.set(id, value));
        }
        assert_eq!(SOME, same);
    }

    #[test]
    fn caches_that_are_not_described_are_none() {
        assert_eq!(MAX_MODELLED.ccsidr(0), 0xf_e01a);
        assert_eq!(MAX_MODELLED.ccsidr(1), 0xf_e01a);
        assert_eq!(MAX_MODELLED.ccsidr(2), 0);
        let more = IdRegisters { ccsidr_l1i: 0x201f_e012, ccsidr_l2: 0x70ff_e07a, ..MAX_MODELLED };
        assert_eq!([0, 1, 2, 4].map(|csselr| more.ccsidr(csselr)), [0xf_e01a, 0x201f_e012, 0x70ff_e07a, 0]);
    }
}
