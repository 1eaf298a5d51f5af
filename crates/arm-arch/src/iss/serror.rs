//! SErrors that were deferred or are to be injected: `DISR_EL1`, `VDISR_EL2` and `VSESR_EL2`.
//! Arm ARM, the register of each name.

use super::SError;
use crate::bits;
use crate::esr::{EsrEl, ExceptionClass};
use bitfield_struct::bitfield;

/// `DISR_EL1`, Deferred Interrupt Status Register, and `VDISR_EL2`, which EL1 reads in its place while
/// HCR_EL2.AMO is 1. FEAT_RAS. Arm ARM, DISR_EL1, VDISR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Disr {
    /// ISS, \[23:0\]: with IDS IMPLEMENTATION DEFINED, else as in [`SError`].
    #[bits(24)]
    pub iss: u32,
    /// IDS, \[24\]: ISS is IMPLEMENTATION DEFINED.
    pub ids: bool,
    #[bits(6)]
    __: u8,
    /// A, \[31\]: an SError was deferred by ESB.
    pub a: bool,
    __: u32,
}
const _: () = assert!(Disr::A_OFFSET == 31 && Disr::IDS_OFFSET == 24);

impl Disr {
    /// Returns the register after ESB deferred an SError with this syndrome. A physical one keeps AET, EA and DFSC;
    /// IESB does not apply. Arm ARM, AArch64.ESBOperation.
    #[must_use]
    pub const fn deferred(error: SError) -> Self {
        let iss = if error.ids() { error } else { error.with_iesb(false) };
        Self::from_bits(bits::field(bits::zext32(iss.into_bits()), 24, 0) | 1 << 31)
    }

    /// Returns the syndrome of the deferred SError; `None` if there is none. Arm ARM, DISR_EL1, VSESR_EL2.
    #[must_use]
    pub const fn error(self) -> Option<SError> {
        if !self.a() {
            return None;
        }
        Some(SError::from_bits(bits::trunc32(bits::field(self.into_bits(), 24, 0))))
    }
}

/// `VSESR_EL2`, Virtual SError Exception Syndrome Register: what a virtual SError reports. FEAT_RAS.
/// Arm ARM, VSESR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct VsesrEl2 {
    /// ISS, \[23:0\]: for ISS of `ESR_EL1`.
    #[bits(24)]
    pub iss: u32,
    /// IDS, \[24\]: ISS is IMPLEMENTATION DEFINED.
    pub ids: bool,
    #[bits(39)]
    __: u64,
}
const _: () = assert!(VsesrEl2::IDS_OFFSET == 24);

impl VsesrEl2 {
    /// Returns the register that makes a virtual SError report `error`. Arm ARM, VSESR_EL2.
    #[must_use]
    pub const fn of(error: SError) -> Self {
        Self::from_bits(bits::field(bits::zext32(error.into_bits()), 24, 0))
    }

    /// Returns the syndrome, IDS and ISS. Arm ARM, DISR_EL1, VSESR_EL2.
    #[must_use]
    pub const fn error(self) -> SError {
        SError::from_bits(bits::trunc32(bits::field(self.into_bits(), 24, 0)))
    }

    /// Returns `ESR_EL1` when the virtual SError is taken. Arm ARM, AArch64.TakeVirtualSErrorException.
    #[must_use]
    pub const fn syndrome(self) -> EsrEl {
        EsrEl::of(ExceptionClass::SERROR, self.error().into_bits())
    }

    /// Returns `VDISR_EL2` when ESB defers the virtual SError. Arm ARM, AArch64.vESBOperation.
    #[must_use]
    pub const fn deferred(self) -> Disr {
        Disr::from_bits(bits::field(self.into_bits(), 24, 0) | 1 << 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_serror_reports_what_vsesr_holds() {
        const CASES: &[(&str, u64, u64, u64)] = &[
            ("implementation defined", 0x0100_0000, 0xbf00_0000, 0x8100_0000),
            ("recoverable", 0x0000_0c11, 0xbe00_0c11, 0x8000_0c11),
            ("beyond the register", 0xffff_ffff_fe00_0011, 0xbe00_0011, 0x8000_0011),
        ];
        for (name, vsesr, esr, vdisr) in CASES {
            let vsesr = VsesrEl2::from_bits(*vsesr);
            assert_eq!(vsesr.syndrome().into_bits(), *esr, "{name}");
            assert_eq!(vsesr.deferred().into_bits(), *vdisr, "{name}");
        }
        let vsesr = VsesrEl2::from_bits(0x0100_0c11);
        assert_eq!((vsesr.ids(), vsesr.iss()), (true, 0xc11));
        assert_eq!(VsesrEl2::of(SError::from_bits(0x0c11)).into_bits(), 0x0c11);
    }

    #[test]
    fn a_deferred_error_is_there_while_a_is_set() {
        let deferred = Disr::deferred(SError::from_bits(0x2c11));
        assert_eq!(deferred.into_bits(), 0x8000_0c11, "IESB is not kept");
        assert_eq!(deferred.error(), Some(SError::from_bits(0x0c11)));
        assert_eq!(Disr::deferred(SError::from_bits(0x100_2000)).into_bits(), 0x8100_2000, "IDS");
        assert_eq!(Disr::from_bits(0x0c11).error(), None);
    }
}
