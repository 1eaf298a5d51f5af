//! `PAR_EL1`: what an address translation instruction reports. Arm ARM, PAR_EL1.

use crate::addr::Pa;
use crate::fault::FaultStatus;
use crate::sysreg::{ParFault, ParSuccess};
use core::fmt;

/// `PAR_EL1` by its F bit. Arm ARM, PAR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Par {
    /// F = 0.
    Success(ParSuccess),
    /// F = 1.
    Fault(ParFault),
}

impl Par {
    /// Tells the two forms apart; nothing is lost. Arm ARM, PAR_EL1.F.
    #[must_use]
    pub const fn decode(value: u64) -> Self {
        if value & 1 == 0 {
            Self::Success(ParSuccess::from_bits(value))
        } else {
            Self::Fault(ParFault::from_bits(value))
        }
    }

    /// Returns the register's value: F is the variant's. Arm ARM, PAR_EL1.F.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Success(par) => par.with_f(false).into_bits(),
            Self::Fault(par) => par.with_f(true).into_bits(),
        }
    }

    /// Returns the physical address of a byte at `offset` in its 4 KiB; `None` after a fault. Arm ARM, PAR_EL1.PA.
    #[must_use]
    pub const fn address(self, offset: u16) -> Option<Pa> {
        match self {
            Self::Success(par) => Some(Pa::new(par.into_bits() & 0x000f_ffff_ffff_f000 | offset_of(offset))),
            Self::Fault(_) => None,
        }
    }

    /// Returns kind and level of the fault; `None` on success or where FST is reserved. Arm ARM, PAR_EL1.FST.
    #[must_use]
    pub const fn status(self) -> Option<FaultStatus> {
        match self {
            Self::Success(_) => None,
            Self::Fault(par) => FaultStatus::decode(par.fst()),
        }
    }
}

const fn offset_of(offset: u16) -> u64 {
    crate::bits::zext16(offset & 0xfff)
}

impl fmt::Display for Par {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success(par) => write!(
                f,
                "{:#x} address {:#x} ATTR={:#04x} SH={} NS={} NSE={}",
                par.into_bits(),
                par.into_bits() & 0x000f_ffff_ffff_f000,
                par.attr(),
                par.sh(),
                u8::from(par.ns()),
                u8::from(par.nse()),
            ),
            Self::Fault(par) => {
                write!(f, "{:#x} stage {}", par.into_bits(), if par.s() { 2 } else { 1 })?;
                match FaultStatus::decode(par.fst()) {
                    Some(status) => write!(f, " {status}")?,
                    None => write!(f, " reserved status {:#x}", par.fst())?,
                }
                let flags = [
                    (par.ptw(), " on a stage 1 walk"),
                    (par.assured_only(), " AssuredOnly"),
                    (par.top_level(), " TopLevel"),
                    (par.overlay(), " Overlay"),
                    (par.dirty_bit(), " DirtyBit"),
                ];
                flags.into_iter().filter(|(set, _)| *set).try_for_each(|(_, name)| f.write_str(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::addr::Level;
    use std::format;

    #[test]
    fn both_forms_are_told_apart_and_printed() {
        let good = Par::decode(0xff00_0000_4123_4b80);
        assert_eq!(good.address(0x678), Some(Pa::new(0x4123_4678)));
        assert_eq!(good.status(), None);
        assert_eq!(format!("{good}"), "0xff00000041234b80 address 0x41234000 ATTR=0xff SH=3 NS=1 NSE=1");
        let bad = Par::decode(0xb0f);
        assert_eq!(bad.status(), Some(FaultStatus::Translation(Level::L3)));
        assert_eq!(bad.address(0), None);
        assert_eq!(format!("{bad}"), "0xb0f stage 2 translation fault, level 3 on a stage 1 walk");
        assert_eq!(format!("{}", Par::decode(0x873)), "0x873 stage 1 reserved status 0x39");
        for value in [0, 1, u64::MAX, u64::MAX - 1, 0x4123_4b80] {
            assert_eq!(Par::decode(value).encode(), value);
        }
    }
}
