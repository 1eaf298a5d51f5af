//! Fault status codes: the six bits FSC of an abort's syndrome, and FST of `PAR_EL1`. Arm ARM, ESR_EL1.DFSC.

use crate::addr::Level;

/// What an abort reports: kind of fault and, where there is one, the lookup level.
///
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a Data Abort", DFSC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FaultStatus {
    /// Address size fault; level 0 also stands for the table base register.
    AddressSize(Level),
    /// Translation fault.
    Translation(Level),
    /// Access flag fault. Only levels 0 to 3 have leaves.
    AccessFlag(Level),
    /// Permission fault. Only levels 0 to 3 have leaves.
    Permission(Level),
    /// Synchronous external abort, not on a table walk.
    External,
    /// Synchronous tag check fault. FEAT_MTE2.
    TagCheck,
    /// Synchronous external abort on a table walk.
    ExternalOnWalk(Level),
    /// Synchronous parity or ECC error, not on a table walk; reserved with FEAT_RAS.
    Parity,
    /// Synchronous parity or ECC error on a table walk; reserved with FEAT_RAS.
    ParityOnWalk(Level),
    /// Alignment fault.
    Alignment,
    /// Granule protection fault on a table walk. FEAT_RME.
    GranuleProtectionOnWalk(Level),
    /// Granule protection fault, not on a table walk. FEAT_RME.
    GranuleProtection,
    /// TLB conflict abort.
    TlbConflict,
    /// Unsupported atomic hardware update. FEAT_HAFDBS.
    UnsupportedAtomicUpdate,
    /// IMPLEMENTATION DEFINED: lockdown.
    Lockdown,
    /// IMPLEMENTATION DEFINED: unsupported Exclusive or atomic access.
    UnsupportedExclusive,
}

/// The code that debug exceptions report; in an abort it is a granule protection fault at level −2.
/// Arm ARM, ESR_EL1, IFSC of debug exceptions.
pub const DEBUG_STATUS: u8 = 0b10_0010;

impl FaultStatus {
    /// Decodes six bits; `None` where the code is reserved. Arm ARM, ESR_EL1.DFSC.
    #[must_use]
    pub const fn decode(code: u8) -> Option<Self> {
        Some(match code {
            0b00_0000..=0b00_0011 => Self::AddressSize(low_level(code)),
            0b00_0100..=0b00_0111 => Self::Translation(low_level(code)),
            0b00_1000..=0b00_1011 => Self::AccessFlag(low_level(code)),
            0b00_1100..=0b00_1111 => Self::Permission(low_level(code)),
            0b01_0000 => Self::External,
            0b01_0001 => Self::TagCheck,
            0b01_0010 => Self::ExternalOnWalk(Level::Minus2),
            0b01_0011 => Self::ExternalOnWalk(Level::Minus1),
            0b01_0100..=0b01_0111 => Self::ExternalOnWalk(low_level(code)),
            0b01_1000 => Self::Parity,
            0b01_1010 => Self::ParityOnWalk(Level::Minus2),
            0b01_1011 => Self::ParityOnWalk(Level::Minus1),
            0b01_1100..=0b01_1111 => Self::ParityOnWalk(low_level(code)),
            0b10_0001 => Self::Alignment,
            0b10_0010 => Self::GranuleProtectionOnWalk(Level::Minus2),
            0b10_0011 => Self::GranuleProtectionOnWalk(Level::Minus1),
            0b10_0100..=0b10_0111 => Self::GranuleProtectionOnWalk(low_level(code)),
            0b10_1000 => Self::GranuleProtection,
            0b10_1001 => Self::AddressSize(Level::Minus1),
            0b10_1010 => Self::Translation(Level::Minus2),
            0b10_1011 => Self::Translation(Level::Minus1),
            0b10_1100 => Self::AddressSize(Level::Minus2),
            0b11_0000 => Self::TlbConflict,
            0b11_0001 => Self::UnsupportedAtomicUpdate,
            0b11_0100 => Self::Lockdown,
            0b11_0101 => Self::UnsupportedExclusive,
            _ => return None,
        })
    }

    /// Returns the six bits. An access flag or permission fault below level 0, which no walk can
    /// produce and the manual gives no code, reads as level 0. Arm ARM, ESR_EL1.DFSC, EncodeLDFSC.
    #[must_use]
    pub const fn encode(self) -> u8 {
        match self {
            Self::AddressSize(Level::Minus2) => 0b10_1100,
            Self::AddressSize(Level::Minus1) => 0b10_1001,
            Self::AddressSize(level) => level_bits(level),
            Self::Translation(Level::Minus2) => 0b10_1010,
            Self::Translation(Level::Minus1) => 0b10_1011,
            Self::Translation(level) => 0b00_0100 | level_bits(level),
            Self::AccessFlag(level) => 0b00_1000 | level_bits(level),
            Self::Permission(level) => 0b00_1100 | level_bits(level),
            Self::External => 0b01_0000,
            Self::TagCheck => 0b01_0001,
            Self::ExternalOnWalk(level) => 0b01_0000 | walk_bits(level),
            Self::Parity => 0b01_1000,
            Self::ParityOnWalk(level) => 0b01_1000 | walk_bits(level),
            Self::Alignment => 0b10_0001,
            Self::GranuleProtectionOnWalk(level) => 0b10_0000 | walk_bits(level),
            Self::GranuleProtection => 0b10_1000,
            Self::TlbConflict => 0b11_0000,
            Self::UnsupportedAtomicUpdate => 0b11_0001,
            Self::Lockdown => 0b11_0100,
            Self::UnsupportedExclusive => 0b11_0101,
        }
    }

    /// Returns the lookup level, for the kinds that have one. Arm ARM, ESR_EL1.DFSC.
    #[must_use]
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::AddressSize(level)
            | Self::Translation(level)
            | Self::AccessFlag(level)
            | Self::Permission(level)
            | Self::ExternalOnWalk(level)
            | Self::ParityOnWalk(level)
            | Self::GranuleProtectionOnWalk(level) => Some(level),
            Self::External
            | Self::TagCheck
            | Self::Parity
            | Self::Alignment
            | Self::GranuleProtection
            | Self::TlbConflict
            | Self::UnsupportedAtomicUpdate
            | Self::Lockdown
            | Self::UnsupportedExclusive => None,
        }
    }

    /// Whether this is a synchronous external abort, on a walk or not. Arm ARM, IsExternalAbort.
    #[must_use]
    pub const fn is_external(self) -> bool {
        matches!(self, Self::External | Self::ExternalOnWalk(_) | Self::Parity | Self::ParityOnWalk(_))
    }
}

/// The level in the two low bits of a code.
const fn low_level(code: u8) -> Level {
    match code & 3 {
        0 => Level::L0,
        1 => Level::L1,
        2 => Level::L2,
        _ => Level::L3,
    }
}

/// The two low bits of a code for levels 0 to 3.
const fn level_bits(level: Level) -> u8 {
    match level {
        Level::Minus2 | Level::Minus1 | Level::L0 => 0,
        Level::L1 => 1,
        Level::L2 => 2,
        Level::L3 => 3,
    }
}

/// The three low bits of a code "on a table walk": 010, 011, 1LL.
const fn walk_bits(level: Level) -> u8 {
    match level {
        Level::Minus2 => 0b010,
        Level::Minus1 => 0b011,
        Level::L0 | Level::L1 | Level::L2 | Level::L3 => 0b100 | level_bits(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_manual() {
        const CASES: &[(FaultStatus, u8)] = &[
            (FaultStatus::AddressSize(Level::L0), 0b000000),
            (FaultStatus::AddressSize(Level::L3), 0b000011),
            (FaultStatus::AddressSize(Level::Minus1), 0b101001),
            (FaultStatus::AddressSize(Level::Minus2), 0b101100),
            (FaultStatus::Translation(Level::L0), 0b000100),
            (FaultStatus::Translation(Level::L3), 0b000111),
            (FaultStatus::Translation(Level::Minus1), 0b101011),
            (FaultStatus::Translation(Level::Minus2), 0b101010),
            (FaultStatus::AccessFlag(Level::L1), 0b001001),
            (FaultStatus::Permission(Level::L3), 0b001111),
            (FaultStatus::External, 0b010000),
            (FaultStatus::ExternalOnWalk(Level::Minus2), 0b010010),
            (FaultStatus::ExternalOnWalk(Level::Minus1), 0b010011),
            (FaultStatus::ExternalOnWalk(Level::L2), 0b010110),
            (FaultStatus::Parity, 0b011000),
            (FaultStatus::ParityOnWalk(Level::L0), 0b011100),
            (FaultStatus::Alignment, 0b100001),
            (FaultStatus::GranuleProtectionOnWalk(Level::L1), 0b100101),
            (FaultStatus::GranuleProtection, 0b101000),
            (FaultStatus::TlbConflict, 0b110000),
            (FaultStatus::UnsupportedAtomicUpdate, 0b110001),
            (FaultStatus::UnsupportedExclusive, 0b110101),
        ];
        for (status, code) in CASES {
            assert_eq!(status.encode(), *code, "{status:?}");
            assert_eq!(FaultStatus::decode(*code), Some(*status), "{code:#08b}");
        }
    }

    #[test]
    fn every_code_is_reserved_or_survives_the_round_trip() {
        let reserved = |code: u8| matches!(code, 0x19 | 0x20 | 0x2d..=0x2f | 0x32 | 0x33 | 0x36..=0x3f);
        for code in 0..64 {
            match FaultStatus::decode(code) {
                Some(status) => assert_eq!(status.encode(), code),
                None => assert!(reserved(code), "{code:#08b}"),
            }
            assert_eq!(FaultStatus::decode(code).is_none(), reserved(code), "{code:#08b}");
        }
        assert_eq!(FaultStatus::decode(0b01_1001), None, "asynchronous parity is AArch32 only");
    }

    #[test]
    fn external_aborts_are_these_codes() {
        for code in 0..64 {
            let status = FaultStatus::decode(code);
            let want = matches!(code, 0x10 | 0x12..=0x18 | 0x1a..=0x1f);
            assert_eq!(status.is_some_and(FaultStatus::is_external), want, "{code:#08b}");
        }
    }
}
