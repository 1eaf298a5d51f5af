//! Exception levels and the stack pointer in use. Arm ARM, CurrentEL, SPSel.

/// An exception level; a higher one is more privileged. Arm ARM, "Exception levels".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ExceptionLevel {
    /// EL0, applications.
    El0 = 0,
    /// EL1, an operating system.
    El1 = 1,
    /// EL2, a hypervisor.
    El2 = 2,
    /// EL3, the secure monitor.
    El3 = 3,
}

impl ExceptionLevel {
    /// Names a level by its number, as `CurrentEL.EL` has it; `None` above 3. Arm ARM, CurrentEL.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::El0,
            1 => Self::El1,
            2 => Self::El2,
            3 => Self::El3,
            _ => return None,
        })
    }

    /// Returns the level's number, 0 to 3, as `CurrentEL.EL` has it. Arm ARM, CurrentEL.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::El0 => 0,
            Self::El1 => 1,
            Self::El2 => 2,
            Self::El3 => 3,
        }
    }

    /// Returns the value that `CurrentEL` reads: the level in bits \[3:2\]. Arm ARM, CurrentEL.
    #[must_use]
    pub const fn current_el(self) -> u64 {
        match self {
            Self::El0 => 0,
            Self::El1 => 0x4,
            Self::El2 => 0x8,
            Self::El3 => 0xc,
        }
    }
}

/// Which stack pointer SP names. Arm ARM, SPSel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StackPointer {
    /// `SP_EL0` ("thread" in mode names), at any level.
    SpEl0,
    /// The `SP_ELx` of the current level ("handler").
    SpElx,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_el_holds_the_level_in_bits_3_to_2() {
        for (level, want) in [
            (ExceptionLevel::El0, 0x0),
            (ExceptionLevel::El1, 0x4),
            (ExceptionLevel::El2, 0x8),
            (ExceptionLevel::El3, 0xc),
        ] {
            assert_eq!(level.current_el(), want);
            assert_eq!(ExceptionLevel::from_number(level.number()), Some(level));
        }
        assert_eq!(ExceptionLevel::from_number(4), None);
    }
}
