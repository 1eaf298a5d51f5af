//! Access-register translation: from an ALET to an ASCE. PoP ch. 5, "Access-Register Translation".

use super::params::AccessList;
use crate::memory::TableMemory;
use s390_arch::addr::{Absolute, Prefix, Real};
use s390_arch::cr::ControlRegisters;
use s390_arch::dat::Asce;
use s390_arch::pgm::AccessException;

/// Number of the access register that a base register selects. PoP ch. 5, "Access-Register Translation".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseRegister {
    /// Base 0, and access register 0: the primary space, whatever the register holds.
    Zero,
    /// Any other, with the contents of its access register, the ALET.
    Other(u32),
}

/// What access-register translation ends with. PoP ch. 5, "Access-Register Translation".
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessRegisterTranslation {
    /// The space, and what its access-list entry allows. Whether it allows the access is judged by the walk.
    Space(Asce, AccessList),
    /// An exception. None has a TEID; the exception access id names the access register.
    Exception(AccessException),
}

/// What ends the translation early.
enum Stop<E> {
    Host(E),
    Exception(AccessException),
}

/// Translates an access register. PoP ch. 5, "Access-Register Translation".
///
/// Tables are at real addresses, to which the prefix applies.
///
/// # Errors
///
/// Whatever the memory fails with.
pub fn access_register<M: TableMemory<Absolute>>(
    base: BaseRegister,
    registers: &ControlRegisters,
    prefix: Prefix,
    mem: &M,
) -> Result<AccessRegisterTranslation, M::Error> {
    let space = match base {
        BaseRegister::Zero | BaseRegister::Other(0) => Ok((registers.primary(), AccessList::Unrestricted)),
        BaseRegister::Other(1) => Ok((registers.secondary(), AccessList::Unrestricted)),
        BaseRegister::Other(alet) => Tables { registers, prefix, mem }.translate(alet),
    };
    match space {
        Ok((asce, access_list)) => Ok(AccessRegisterTranslation::Space(asce, access_list)),
        Err(Stop::Exception(exception)) => Ok(AccessRegisterTranslation::Exception(exception)),
        Err(Stop::Host(error)) => Err(error),
    }
}

/// Bits of an ALET that must be zero, 0-6.
const ALET_RESERVED: u32 = 0xfe00_0000;
/// P, bit 7 of an ALET: the access list of the primary space instead of the dispatchable unit's.
const ALET_PRIMARY: u32 = 0x0100_0000;
/// I, bit 0 of an access-list entry and of an ASTE.
const INVALID: u64 = 1 << 63;
/// Fetch-only, bit 6 of an access-list entry.
const ALE_FETCH_ONLY: u64 = 1 << 57;
/// Private, bit 7 of an access-list entry.
const ALE_PRIVATE: u64 = 1 << 56;

struct Tables<'t, M> {
    registers: &'t ControlRegisters,
    prefix: Prefix,
    mem: &'t M,
}

impl<M: TableMemory<Absolute>> Tables<'_, M> {
    fn translate(&self, alet: u32) -> Result<(Asce, AccessList), Stop<M::Error>> {
        if alet & ALET_RESERVED != 0 {
            return Err(Stop::Exception(AccessException::AletSpecification));
        }
        let [_, alesn, ..] = alet.to_be_bytes();
        let (entry, aste) = self.access_list_entry(alet)?;
        if entry & INVALID != 0 {
            return Err(Stop::Exception(AccessException::AlenTranslation));
        }
        let [_, entry_alesn, eax_high, eax_low, ..] = entry.to_be_bytes();
        if entry_alesn != alesn {
            return Err(Stop::Exception(AccessException::AleSequence));
        }
        // ASTE: authority table, ASCE, access list and sequence number.
        let aste_origin = (aste >> 32) & 0x7fff_ffc0;
        let authority = self.load(aste_origin)?;
        if authority & INVALID != 0 {
            return Err(Stop::Exception(AccessException::AsteValidity));
        }
        if low_word(self.load(aste_origin.wrapping_add(16))?) != low_word(aste) {
            return Err(Stop::Exception(AccessException::AsteSequence));
        }
        let is_own = u16::from_be_bytes([eax_high, eax_low]) == self.registers.extended_authorization_index();
        if entry & ALE_PRIVATE != 0 && !is_own {
            self.authorize(authority)?;
        }
        let asce = Asce::from_bits(self.load(aste_origin.wrapping_add(8))?);
        let fetch_only = entry & ALE_FETCH_ONLY != 0;
        Ok((asce, if fetch_only { AccessList::FetchOnly } else { AccessList::Unrestricted }))
    }

    /// Finds the access list and loads both doublewords of the entry.
    fn access_list_entry(&self, alet: u32) -> Result<(u64, u64), Stop<M::Error>> {
        let block = if alet & ALET_PRIMARY != 0 {
            self.registers.primary_aste()
        } else {
            self.registers.dispatchable_unit_control_table()
        };
        let designation = self.load(block.wrapping_add(16))? >> 32;
        let alen = u64::from(alet & 0xffff);
        if alen >> 3 > designation & 0x7f {
            return Err(Stop::Exception(AccessException::AlenTranslation));
        }
        let entry = (designation & 0x7fff_ff80).wrapping_add(alen << 4);
        Ok((self.load(entry)?, self.load(entry.wrapping_add(8))?))
    }

    /// Looks up the secondary-authority bit of the extended authorization index.
    fn authorize(&self, authority: u64) -> Result<(), Stop<M::Error>> {
        let eax = self.registers.extended_authorization_index();
        let denied = Stop::Exception(AccessException::ExtendedAuthority);
        let length = (authority >> 4) & 0xfff;
        if u64::from(eax >> 4) > length {
            return Err(denied);
        }
        let byte_at = ((authority >> 32) & 0x7fff_fffc).wrapping_add(u64::from(eax >> 2));
        let doubleword = self.load(byte_at & !7)?.to_be_bytes();
        let byte =
            doubleword.iter().zip(0_u64..).find(|(_, at)| *at == byte_at & 7).map_or(0, |(byte, _)| *byte);
        let bit = 0x40_u8.wrapping_shr(u32::from(eax & 3).wrapping_mul(2));
        if byte & bit == 0 { Err(denied) } else { Ok(()) }
    }

    /// Loads a doubleword at a real address.
    fn load(&self, real: u64) -> Result<u64, Stop<M::Error>> {
        let at = Real::new(real).prefixed(self.prefix);
        let bytes = self.mem.load(at).map_err(Stop::Host)?;
        bytes.map(u64::from_be_bytes).ok_or(Stop::Exception(AccessException::Addressing))
    }
}

/// Returns bits 32-63.
const fn low_word(doubleword: u64) -> u64 {
    doubleword & 0xffff_ffff
}
