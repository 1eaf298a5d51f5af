//! Act one: what registers and facilities say, in a form that the walk can use. PoP ch. 3 and 4.

use s390_arch::addr::Prefix;
use s390_arch::cr::{ControlRegisters, Cr0};
use s390_arch::dat::Asce;
use s390_arch::pgm::{AddressSpace, FetchStoreIndication, ProtectionCause, Teid};
use s390_arch::psw::{AddressingMode, PswMask};
use s390_arch::skey::AccessKey;

/// What an access does. PoP ch. 3, "Protection".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Fetches an operand.
    Fetch,
    /// Stores an operand.
    Store,
    /// Fetches an instruction.
    InstructionFetch,
}

impl Access {
    /// Returns what the TEID says of this access.
    const fn indication(self) -> FetchStoreIndication {
        match self {
            Self::Fetch | Self::InstructionFetch => FetchStoreIndication::Fetch,
            Self::Store => FetchStoreIndication::Store,
        }
    }
}

/// One access to be translated; an operand that crosses a page is two. PoP ch. 3, "Address Summary".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The address as computed; the walk truncates it to the addressing mode.
    pub address: u64,
    /// How many bytes of the operand lie in this page; they matter to fetch-protection override.
    pub bytes: u16,
    /// What the access does.
    pub access: Access,
    /// The key that it is made with.
    pub key: AccessKey,
}

/// Facilities of the machine that change translation or what is reported of it.
/// PoP ch. 4, "Facility Indications".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facilities {
    /// Facility 8: enhanced DAT 1.
    pub edat1: bool,
    /// Facility 78: enhanced DAT 2.
    pub edat2: bool,
    /// Facility 130: instruction-execution protection.
    pub iep: bool,
    /// Facility 75: access-exception fetch/store indication.
    pub fsi: bool,
    /// Enhanced suppression on protection 2; facility 131 comes with it.
    pub esop2: bool,
}

impl Facilities {
    /// Everything that this crate knows of.
    pub const ALL: Self = Self { edat1: true, edat2: true, iep: true, fsi: true, esop2: true };

    /// Reads the facility list that STFLE stores, doubleword by doubleword; what is beyond its end is not installed.
    #[must_use]
    pub fn from_list(list: &[u64]) -> Self {
        let installed = |word: usize, mask: u64| list.get(word).is_some_and(|bits| bits & mask != 0);
        Self {
            edat1: installed(0, 1 << 55),
            edat2: installed(1, 1 << 49),
            iep: installed(2, 1 << 61),
            fsi: installed(1, 1 << 52),
            esop2: installed(2, 1 << 60),
        }
    }
}

/// Which facilities are effective: installed, and enabled where a control register has a say.
/// PoP ch. 3, "Dynamic Address Translation".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// EDAT-1 applies: 1 MiB frames, P of region entries.
    pub edat1: bool,
    /// EDAT-2 applies: 2 GiB frames, common regions.
    pub edat2: bool,
    /// Instruction-execution protection applies.
    pub iep: bool,
    /// The TEID tells fetches from stores.
    pub fsi: bool,
    /// The TEID tells all kinds of protection apart.
    pub esop2: bool,
}

impl Features {
    /// Everything that this crate knows of.
    pub const ALL: Self = Self { edat1: true, edat2: true, iep: true, fsi: true, esop2: true };

    /// Returns what applies: EDAT-1 and EDAT-2 under CR0.40, instruction-execution protection under CR0.43.
    /// PoP ch. 4, "Control Registers".
    #[must_use]
    pub const fn effective(cr0: Cr0, facilities: Facilities) -> Self {
        let edat1 = cr0.edat() && facilities.edat1;
        Self {
            edat1,
            edat2: edat1 && facilities.edat2,
            iep: cr0.iep() && facilities.iep,
            fsi: facilities.fsi,
            esop2: facilities.esop2,
        }
    }

    /// Returns the TEID of a failing access, kind of protection not yet put in.
    pub(super) const fn teid(self, address: u64, access: Access, space: AddressSpace) -> Teid {
        let fsi = if self.fsi { access.indication() } else { FetchStoreIndication::Unknown };
        Teid::of(address, fsi, space)
    }

    /// Returns what the TEID may say of a violation: without ESOP-2 only bit 61 is told.
    pub(super) const fn reported(self, cause: ProtectionCause) -> ProtectionCause {
        match cause {
            ProtectionCause::LowAddress | ProtectionCause::Key if !self.esop2 => {
                ProtectionCause::NotIdentified
            }
            ProtectionCause::NotIdentified
            | ProtectionCause::Dat
            | ProtectionCause::Key
            | ProtectionCause::AccessList
            | ProtectionCause::LowAddress
            | ProtectionCause::InstructionExecution => cause,
        }
    }
}

/// The space that a PSW selects. PoP ch. 3, "Translation Modes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// DAT is off: addresses are real.
    Real,
    /// An address space by its ASCE, and how the TEID names it.
    Virtual(Asce, AddressSpace),
    /// Access-register mode: the base register's access register must be translated first.
    AccessRegister,
}

impl Space {
    /// Returns the space that an access uses.
    ///
    /// CHOICE: PoP leaves open whether instructions in secondary-space mode come from the primary or the secondary
    /// space; here, as in Linux, from the primary.
    #[must_use]
    pub const fn of(psw: PswMask, registers: &ControlRegisters, access: Access) -> Self {
        if !psw.dat() {
            return Self::Real;
        }
        let instruction = matches!(access, Access::InstructionFetch);
        match psw.space() {
            AddressSpace::Primary => Self::Virtual(registers.primary(), AddressSpace::Primary),
            AddressSpace::AccessRegister if !instruction => Self::AccessRegister,
            AddressSpace::Secondary if !instruction => {
                Self::Virtual(registers.secondary(), AddressSpace::Secondary)
            }
            AddressSpace::AccessRegister | AddressSpace::Secondary => {
                Self::Virtual(registers.primary(), psw.space())
            }
            AddressSpace::Home => Self::Virtual(registers.home(), AddressSpace::Home),
        }
    }
}

/// Whether an access-list entry restricts stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessList {
    /// No restriction, or no access list in use.
    #[default]
    Unrestricted,
    /// The entry's fetch-only bit is one.
    FetchOnly,
}

/// All that a walk needs to know of the CPU; nothing reads a register after this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The ASCE, or `None` with DAT off.
    pub asce: Option<Asce>,
    /// How the TEID names the space.
    pub space: AddressSpace,
    /// What the access-list entry allows, in access-register mode.
    pub access_list: AccessList,
    /// Addressing mode.
    pub mode: AddressingMode,
    /// Facilities in effect.
    pub features: Features,
    /// CR0.35: low-address protection.
    pub lap: bool,
    /// CR0.38: fetch-protection override.
    pub fpo: bool,
    /// CR0.39: storage-protection override.
    pub spo: bool,
    /// Prefix of the CPU.
    pub prefix: Prefix,
}

impl Params {
    /// Makes the parameters of accesses to real addresses, DAT off.
    #[must_use]
    pub const fn real(cr0: Cr0, facilities: Facilities, prefix: Prefix) -> Self {
        Self {
            asce: None,
            space: AddressSpace::Primary,
            access_list: AccessList::Unrestricted,
            mode: AddressingMode::Bits64,
            features: Features::effective(cr0, facilities),
            lap: cr0.lap(),
            fpo: cr0.fpo(),
            spo: cr0.spo(),
            prefix,
        }
    }

    /// Returns the same with DAT on and in the given space.
    #[must_use]
    pub const fn in_space(self, asce: Asce, space: AddressSpace) -> Self {
        Self { asce: Some(asce), space, ..self }
    }

    /// Returns the same with the outcome of access-register translation.
    #[must_use]
    pub const fn with_access_list(self, access_list: AccessList) -> Self {
        Self { access_list, ..self }
    }

    /// Returns the same in another addressing mode; 64-bit is what one starts with.
    #[must_use]
    pub const fn in_mode(self, mode: AddressingMode) -> Self {
        Self { mode, ..self }
    }

    /// Returns whether DAT is on and the space is private, which rules out LAP and fetch-protection override.
    pub(super) const fn is_private(&self) -> bool {
        match self.asce {
            Some(asce) => asce.p(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_are_read_from_their_bit_numbers() {
        let bit = |n: u32| {
            let mut list = [0_u64; 3];
            list[usize::try_from(n / 64).unwrap()] = 1 << (63 - n % 64);
            Facilities::from_list(&list)
        };
        let none = Facilities::default();
        assert_eq!(bit(8), Facilities { edat1: true, ..none });
        assert_eq!(bit(75), Facilities { fsi: true, ..none });
        assert_eq!(bit(78), Facilities { edat2: true, ..none });
        assert_eq!(bit(130), Facilities { iep: true, ..none });
        assert_eq!(bit(131), Facilities { esop2: true, ..none });
        assert_eq!(Facilities::from_list(&[]), none);
    }

    #[test]
    fn edat_2_needs_edat_1_and_both_need_cr0() {
        let edat = Cr0::new().with_edat(true);
        let only2 = Facilities { edat2: true, ..Facilities::default() };
        assert!(!Features::effective(edat, only2).edat2);
        assert!(Features::effective(edat, Facilities::ALL).edat2);
        assert!(!Features::effective(Cr0::new(), Facilities::ALL).edat1);
        assert!(!Features::effective(edat, Facilities::ALL).iep);
        assert!(Features::effective(Cr0::new().with_iep(true), Facilities::ALL).iep);
    }

    #[test]
    fn the_psw_selects_the_space_of_data_and_of_instructions() {
        let mut registers = ControlRegisters::INITIAL;
        registers.0[1] = 0x1000;
        registers.0[7] = 0x7000;
        registers.0[13] = 0xd000;
        let asce = |bits| Asce::from_bits(bits);
        let on = PswMask::new().with_dat(true);
        use AddressSpace::{AccessRegister, Home, Primary, Secondary};
        for (psw, access, want) in [
            (PswMask::new().with_space(Home), Access::Fetch, Space::Real),
            (on, Access::Store, Space::Virtual(asce(0x1000), Primary)),
            (on.with_space(AccessRegister), Access::Fetch, Space::AccessRegister),
            (
                on.with_space(AccessRegister),
                Access::InstructionFetch,
                Space::Virtual(asce(0x1000), AccessRegister),
            ),
            (on.with_space(Secondary), Access::Fetch, Space::Virtual(asce(0x7000), Secondary)),
            (on.with_space(Secondary), Access::InstructionFetch, Space::Virtual(asce(0x1000), Secondary)),
            (on.with_space(Home), Access::InstructionFetch, Space::Virtual(asce(0xd000), Home)),
        ] {
            assert_eq!(Space::of(psw, &registers, access), want, "{psw:?} {access:?}");
        }
    }
}
