//! PTFF subfunctions of the facility: guest time. "KVM: arm64 on s390 System Register Handling" series.
//!
//! The parameter block is two doublewords, input first, output second. One offset serves the physical and the
//! virtual counter. Inferred: the conversion is between the TOD format and the Arm counter.

/// PTFF function codes that Arm guests add. They must both be in the mask of the query function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PtffFunction {
    /// QAGTO, 0x10: wanted guest physical count in; offset for `gpto` out.
    QueryArmGuestTimeOffset,
    /// QAGPT, 0x11: offset (`gpto`) in; guest physical count now out.
    QueryArmGuestPhysicalTime,
}

impl PtffFunction {
    /// Decodes a function code; `None` for those that are not the Arm guest's.
    #[must_use]
    pub const fn decode(code: u8) -> Option<Self> {
        match code {
            0x10 => Some(Self::QueryArmGuestTimeOffset),
            0x11 => Some(Self::QueryArmGuestPhysicalTime),
            _ => None,
        }
    }

    /// Returns the function code, as it stands in general register 0.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::QueryArmGuestTimeOffset => 0x10,
            Self::QueryArmGuestPhysicalTime => 0x11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PtffFunction;

    #[test]
    fn only_two_codes_are_the_arm_guests() {
        let known: usize = (0..=u8::MAX).filter(|code| PtffFunction::decode(*code).is_some()).count();
        assert_eq!(known, 2);
        assert_eq!(PtffFunction::decode(0x10), Some(PtffFunction::QueryArmGuestTimeOffset));
        assert_eq!(PtffFunction::QueryArmGuestPhysicalTime.code(), 0x11);
    }
}
