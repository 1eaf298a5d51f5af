//! Program interruptions: codes, how they end an instruction, and the translation-exception identification.

use crate::open::open_code;
use bitfield_struct::bitfield;

open_code! {
    /// A program-interruption code, as stored at real 0x8E. PoP ch. 6, "Program Interruption".
    pub struct ProgramCode(u16) {
        /// No program interruption.
        NONE = 0x00, "none";
        /// Operation exception.
        OPERATION = 0x01, "operation";
        /// Privileged-operation exception.
        PRIVILEGED_OPERATION = 0x02, "privileged operation";
        /// Execute exception.
        EXECUTE = 0x03, "execute";
        /// Protection exception.
        PROTECTION = 0x04, "protection";
        /// Addressing exception.
        ADDRESSING = 0x05, "addressing";
        /// Specification exception.
        SPECIFICATION = 0x06, "specification";
        /// Data exception.
        DATA = 0x07, "data";
        /// Fixed-point-overflow exception.
        FIXED_POINT_OVERFLOW = 0x08, "fixed-point overflow";
        /// Fixed-point-divide exception.
        FIXED_POINT_DIVIDE = 0x09, "fixed-point divide";
        /// Segment-translation exception.
        SEGMENT_TRANSLATION = 0x10, "segment translation";
        /// Page-translation exception.
        PAGE_TRANSLATION = 0x11, "page translation";
        /// Translation-specification exception.
        TRANSLATION_SPECIFICATION = 0x12, "translation specification";
        /// Special-operation exception.
        SPECIAL_OPERATION = 0x13, "special operation";
        /// Vector-processing exception.
        VECTOR_PROCESSING = 0x1b, "vector processing";
        /// ALET-specification exception.
        ALET_SPECIFICATION = 0x28, "ALET specification";
        /// ALEN-translation exception.
        ALEN_TRANSLATION = 0x29, "ALEN translation";
        /// ALE-sequence exception.
        ALE_SEQUENCE = 0x2a, "ALE sequence";
        /// ASTE-validity exception.
        ASTE_VALIDITY = 0x2b, "ASTE validity";
        /// ASTE-sequence exception.
        ASTE_SEQUENCE = 0x2c, "ASTE sequence";
        /// Extended-authority exception.
        EXTENDED_AUTHORITY = 0x2d, "extended authority";
        /// ASCE-type exception.
        ASCE_TYPE = 0x38, "ASCE type";
        /// Region-first-translation exception.
        REGION_FIRST_TRANSLATION = 0x39, "region-first translation";
        /// Region-second-translation exception.
        REGION_SECOND_TRANSLATION = 0x3a, "region-second translation";
        /// Region-third-translation exception.
        REGION_THIRD_TRANSLATION = 0x3b, "region-third translation";
        /// Secure-storage-access exception (inferred number).
        SECURE_STORAGE_ACCESS = 0x3d, "secure-storage access";
        /// Non-secure-storage-access exception (inferred number).
        NON_SECURE_STORAGE_ACCESS = 0x3e, "non-secure-storage access";
        /// Secure-storage violation (inferred number).
        SECURE_STORAGE_VIOLATION = 0x3f, "secure-storage violation";
        /// Monitor event.
        MONITOR_EVENT = 0x40, "monitor event";
        /// PER event and nothing else.
        PER_EVENT = 0x80, "PER event";
    }
}

impl ProgramCode {
    /// The bit that a concurrent PER event adds to any code.
    pub const PER: u16 = 0x80;

    /// Returns the code without the bit of a concurrent PER event; what is compared is always this.
    #[must_use]
    pub const fn without_per(self) -> Self {
        Self(self.0 & !Self::PER)
    }

    /// Returns whether a PER event is indicated.
    #[must_use]
    pub const fn is_per(self) -> bool {
        self.0 & Self::PER != 0
    }
}

/// The access exceptions that DAT and access-register translation recognise. PoP ch. 6, "Access Exceptions".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessException {
    /// Protection: low-address, access-list, DAT, instruction-execution or key-controlled.
    Protection,
    /// Addressing: a table entry or the target lies outside storage.
    Addressing,
    /// Segment translation: invalid segment, or outside the segment table.
    SegmentTranslation,
    /// Page translation: invalid page.
    PageTranslation,
    /// Translation specification: an entry of the wrong format.
    TranslationSpecification,
    /// ALET specification.
    AletSpecification,
    /// ALEN translation.
    AlenTranslation,
    /// ALE sequence.
    AleSequence,
    /// ASTE validity.
    AsteValidity,
    /// ASTE sequence.
    AsteSequence,
    /// Extended authority.
    ExtendedAuthority,
    /// ASCE type: an address beyond what the designation type can translate.
    AsceType,
    /// Region-first translation.
    RegionFirstTranslation,
    /// Region-second translation.
    RegionSecondTranslation,
    /// Region-third translation.
    RegionThirdTranslation,
}

impl AccessException {
    /// Decodes a program-interruption code, PER or not; `None` if it is no access exception of this set.
    #[must_use]
    pub const fn decode(code: ProgramCode) -> Option<Self> {
        Some(match code.without_per() {
            ProgramCode::PROTECTION => Self::Protection,
            ProgramCode::ADDRESSING => Self::Addressing,
            ProgramCode::SEGMENT_TRANSLATION => Self::SegmentTranslation,
            ProgramCode::PAGE_TRANSLATION => Self::PageTranslation,
            ProgramCode::TRANSLATION_SPECIFICATION => Self::TranslationSpecification,
            ProgramCode::ALET_SPECIFICATION => Self::AletSpecification,
            ProgramCode::ALEN_TRANSLATION => Self::AlenTranslation,
            ProgramCode::ALE_SEQUENCE => Self::AleSequence,
            ProgramCode::ASTE_VALIDITY => Self::AsteValidity,
            ProgramCode::ASTE_SEQUENCE => Self::AsteSequence,
            ProgramCode::EXTENDED_AUTHORITY => Self::ExtendedAuthority,
            ProgramCode::ASCE_TYPE => Self::AsceType,
            ProgramCode::REGION_FIRST_TRANSLATION => Self::RegionFirstTranslation,
            ProgramCode::REGION_SECOND_TRANSLATION => Self::RegionSecondTranslation,
            ProgramCode::REGION_THIRD_TRANSLATION => Self::RegionThirdTranslation,
            _ => return None,
        })
    }

    /// Returns the program-interruption code.
    #[must_use]
    pub const fn code(self) -> ProgramCode {
        match self {
            Self::Protection => ProgramCode::PROTECTION,
            Self::Addressing => ProgramCode::ADDRESSING,
            Self::SegmentTranslation => ProgramCode::SEGMENT_TRANSLATION,
            Self::PageTranslation => ProgramCode::PAGE_TRANSLATION,
            Self::TranslationSpecification => ProgramCode::TRANSLATION_SPECIFICATION,
            Self::AletSpecification => ProgramCode::ALET_SPECIFICATION,
            Self::AlenTranslation => ProgramCode::ALEN_TRANSLATION,
            Self::AleSequence => ProgramCode::ALE_SEQUENCE,
            Self::AsteValidity => ProgramCode::ASTE_VALIDITY,
            Self::AsteSequence => ProgramCode::ASTE_SEQUENCE,
            Self::ExtendedAuthority => ProgramCode::EXTENDED_AUTHORITY,
            Self::AsceType => ProgramCode::ASCE_TYPE,
            Self::RegionFirstTranslation => ProgramCode::REGION_FIRST_TRANSLATION,
            Self::RegionSecondTranslation => ProgramCode::REGION_SECOND_TRANSLATION,
            Self::RegionThirdTranslation => ProgramCode::REGION_THIRD_TRANSLATION,
        }
    }

    /// Returns how the instruction ends. PoP ch. 5, "Types of Instruction Ending".
    #[must_use]
    pub const fn ending(self) -> Ending {
        match self {
            Self::Protection
            | Self::Addressing
            | Self::TranslationSpecification
            | Self::AletSpecification => Ending::Suppress,
            Self::SegmentTranslation
            | Self::PageTranslation
            | Self::AlenTranslation
            | Self::AleSequence
            | Self::AsteValidity
            | Self::AsteSequence
            | Self::ExtendedAuthority
            | Self::AsceType
            | Self::RegionFirstTranslation
            | Self::RegionSecondTranslation
            | Self::RegionThirdTranslation => Ending::Nullify,
        }
    }

    /// Returns whether the interruption stores a translation-exception identification. PoP ch. 3, "TEID".
    #[must_use]
    pub const fn has_teid(self) -> bool {
        match self {
            Self::Protection
            | Self::SegmentTranslation
            | Self::PageTranslation
            | Self::AsceType
            | Self::RegionFirstTranslation
            | Self::RegionSecondTranslation
            | Self::RegionThirdTranslation => true,
            Self::Addressing
            | Self::TranslationSpecification
            | Self::AletSpecification
            | Self::AlenTranslation
            | Self::AleSequence
            | Self::AsteValidity
            | Self::AsteSequence
            | Self::ExtendedAuthority => false,
        }
    }

    /// Returns whether an entry was absent: the invalid bit, a table length, or the ASCE type.
    #[must_use]
    pub const fn is_translation(self) -> bool {
        self.has_teid() && !matches!(self, Self::Protection)
    }
}

/// How an interrupted instruction ends. PoP ch. 5, "Types of Instruction Ending".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Nothing happened and the old PSW designates the instruction.
    Nullify,
    /// Nothing happened and the old PSW designates the next instruction.
    Suppress,
}

/// Whether the access that failed was a fetch or a store; facility 75. PoP ch. 3, TEID bits 52-53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FetchStoreIndication {
    /// Not known, or the facility is not installed.
    #[default]
    Unknown,
    /// A store.
    Store,
    /// A fetch.
    Fetch,
    /// Not assigned.
    Reserved,
}

impl FetchStoreIndication {
    /// Decodes the two bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Unknown,
            1 => Self::Store,
            2 => Self::Fetch,
            _ => Self::Reserved,
        }
    }

    /// Encodes into two bits.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Store => 1,
            Self::Fetch => 2,
            Self::Reserved => 3,
        }
    }
}

/// Which address space an access used: TEID bits 62-63, and the PSW's AS bits. PoP ch. 3, "Address Spaces".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressSpace {
    /// Primary, CR1.
    #[default]
    Primary,
    /// Chosen by an access register.
    AccessRegister,
    /// Secondary, CR7.
    Secondary,
    /// Home, CR13.
    Home,
}

impl AddressSpace {
    /// Decodes the two bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Primary,
            1 => Self::AccessRegister,
            2 => Self::Secondary,
            _ => Self::Home,
        }
    }

    /// Encodes into two bits.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Primary => 0,
            Self::AccessRegister => 1,
            Self::Secondary => 2,
            Self::Home => 3,
        }
    }
}

/// What kind of protection was violated, under ESOP-2. PoP ch. 3, "Enhanced Suppression on Protection".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtectionCause {
    /// Not identified: the instruction was terminated.
    NotIdentified,
    /// DAT protection: the P bit of a table entry.
    Dat,
    /// Key-controlled protection.
    Key,
    /// Access-list-controlled protection.
    AccessList,
    /// Low-address protection.
    LowAddress,
    /// Instruction-execution protection.
    InstructionExecution,
}

/// Translation-exception identification, stored at real 0xA8. PoP ch. 3, "Translation-Exception Identification".
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct Teid {
    /// Address, 0-51: page of the effective address, as a number of 4 KiB pages.
    #[bits(52)]
    pub page: u64,
    /// FSI, 52-53: fetch or store, where facility 75 is installed.
    #[bits(2)]
    pub fsi: FetchStoreIndication,
    #[bits(2)]
    __: u8,
    /// Bit 56: with bits 60 and 61, the kind of protection.
    pub b56: bool,
    #[bits(3)]
    __: u8,
    /// Bit 60: with bits 56 and 61, the kind of protection.
    pub b60: bool,
    /// Bit 61: with bits 56 and 60, the kind of protection.
    pub b61: bool,
    /// AS, 62-63: the address space.
    #[bits(2)]
    pub space: AddressSpace,
}

impl Teid {
    /// Makes the identification of a failing access: page, fetch or store, and address space.
    #[must_use]
    pub const fn of(address: u64, fsi: FetchStoreIndication, space: AddressSpace) -> Self {
        Self::new().with_page(address >> 12).with_fsi(fsi).with_space(space)
    }

    /// Returns the address of the page: bits 0-51 with twelve zeros.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.page() << 12
    }

    /// Returns the kind of protection; `None` for the combinations that are not assigned.
    #[must_use]
    pub const fn protection(self) -> Option<ProtectionCause> {
        match (self.b56(), self.b60(), self.b61()) {
            (false, false, false) => Some(ProtectionCause::NotIdentified),
            (false, false, true) => Some(ProtectionCause::Dat),
            (false, true, false) => Some(ProtectionCause::Key),
            (false, true, true) => Some(ProtectionCause::AccessList),
            (true, false, false) => Some(ProtectionCause::LowAddress),
            (true, false, true) => Some(ProtectionCause::InstructionExecution),
            (true, true, _) => None,
        }
    }

    /// Returns the identification with the kind of protection put in.
    #[must_use]
    pub const fn with_protection(self, cause: ProtectionCause) -> Self {
        let (b56, b60, b61) = match cause {
            ProtectionCause::NotIdentified => (false, false, false),
            ProtectionCause::Dat => (false, false, true),
            ProtectionCause::Key => (false, true, false),
            ProtectionCause::AccessList => (false, true, true),
            ProtectionCause::LowAddress => (true, false, false),
            ProtectionCause::InstructionExecution => (true, false, true),
        };
        self.with_b56(b56).with_b60(b60).with_b61(b61)
    }
}

const _: () = assert!(Teid::PAGE_OFFSET == 12 && Teid::FSI_OFFSET == 10 && Teid::B56_OFFSET == 7);
const _: () = assert!(Teid::B60_OFFSET == 3 && Teid::B61_OFFSET == 2 && Teid::SPACE_OFFSET == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teid_of_each_protection_has_the_bits_of_the_book() {
        use FetchStoreIndication::{Fetch, Store};
        for (cause, fsi, low) in [
            (ProtectionCause::NotIdentified, Store, 0x400),
            (ProtectionCause::NotIdentified, Fetch, 0x800),
            (ProtectionCause::Dat, Store, 0x404),
            (ProtectionCause::Key, Store, 0x408),
            (ProtectionCause::Key, Fetch, 0x808),
            (ProtectionCause::AccessList, Store, 0x40c),
            (ProtectionCause::LowAddress, Store, 0x480),
            (ProtectionCause::InstructionExecution, Fetch, 0x884),
        ] {
            let teid = Teid::of(0xffff_ffff_ffff_f123, fsi, AddressSpace::Primary).with_protection(cause);
            assert_eq!(teid.into_bits(), 0xffff_ffff_ffff_f000 | low, "{cause:?} {fsi:?}");
            assert_eq!(teid.protection(), Some(cause));
        }
        assert_eq!(Teid::from_bits(0x88).protection(), None);
        assert_eq!(Teid::from_bits(0x5802).space(), AddressSpace::Secondary);
        assert_eq!(Teid::from_bits(0x5802).address(), 0x5000);
    }

    #[test]
    fn access_exceptions_decode_their_own_codes_with_and_without_per() {
        for code in 0..=0xff_u16 {
            if let Some(exception) = AccessException::decode(ProgramCode(code)) {
                assert_eq!(exception.code().0, code & 0x7f);
            }
        }
        assert_eq!(AccessException::decode(ProgramCode(0x90)), Some(AccessException::SegmentTranslation));
        assert_eq!(AccessException::decode(ProgramCode(0)), None);
        assert_eq!(AccessException::decode(ProgramCode(0x104)), None);
    }

    #[test]
    fn translation_exceptions_nullify_and_the_rest_suppresses() {
        for (code, ending, teid) in [
            (0x04, Ending::Suppress, true),
            (0x05, Ending::Suppress, false),
            (0x10, Ending::Nullify, true),
            (0x11, Ending::Nullify, true),
            (0x12, Ending::Suppress, false),
            (0x28, Ending::Suppress, false),
            (0x29, Ending::Nullify, false),
            (0x38, Ending::Nullify, true),
            (0x39, Ending::Nullify, true),
            (0x3a, Ending::Nullify, true),
            (0x3b, Ending::Nullify, true),
        ] {
            let exception = AccessException::decode(ProgramCode(code));
            assert_eq!(exception.map(AccessException::ending), Some(ending), "{code:#x}");
            assert_eq!(exception.map(AccessException::has_teid), Some(teid), "{code:#x}");
        }
    }
}
