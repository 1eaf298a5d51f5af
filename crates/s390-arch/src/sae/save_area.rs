//! The SAE save area, where the Arm system registers are kept. SAE save area (Linux s390 arm64 KVM series).

use bitfield_struct::bitfield;
use zerocopy::byteorder::big_endian::{U16, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// One save area, 4 KiB on a 4 KiB boundary in absolute storage.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SaveArea {
    /// Save-area format; only 0 is defined.
    pub saf: u8,
    /// Reserved.
    pub _001: [u8; 5],
    /// Save-area status, see [`SaveAreaStatus`].
    pub sas: U16,
    /// State-description origin: absolute address of the control block.
    pub sdo: U64,
    /// Reserved.
    pub _010: [U64; 2],
    /// The registers; no layout is published, so none is assumed: SASR, EASR, LASRM and STIASRM only.
    pub regs: [U64; 508],
}

impl SaveArea {
    /// Returns an area of zeros.
    #[must_use]
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> SaveAreaStatus {
        SaveAreaStatus::from_bits(self.sas.get())
    }
}

/// Save-area status, `sas`.
#[bitfield(u16, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct SaveAreaStatus {
    #[bits(15)]
    __: u16,
    /// VALID, 15: the area holds registers.
    pub valid: bool,
}
const _: () = assert!(SaveAreaStatus::VALID_OFFSET == 0);

/// Byte offsets of the fields from the start of the area.
pub mod field {
    /// Save-area format, 1 byte.
    pub const SAF: u64 = 0x000;
    /// Save-area status, 2 bytes.
    pub const SAS: u64 = 0x006;
    /// State-description origin, 8 bytes.
    pub const SDO: u64 = 0x008;
    /// First of 508 opaque doublewords.
    pub const REGS: u64 = 0x020;
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<SaveArea>() == 0x1000);
    assert!(offset_of!(SaveArea, saf) == 0x000 && field::SAF == 0x000);
    assert!(offset_of!(SaveArea, _001) == 0x001);
    assert!(offset_of!(SaveArea, sas) == 0x006 && field::SAS == 0x006);
    assert!(offset_of!(SaveArea, sdo) == 0x008 && field::SDO == 0x008);
    assert!(offset_of!(SaveArea, _010) == 0x010);
    assert!(offset_of!(SaveArea, regs) == 0x020 && field::REGS == 0x020);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_is_the_last_bit_of_the_status() {
        let mut area = SaveArea::zeroed();
        assert!(!area.status().valid());
        area.sas = U16::new(SaveAreaStatus::new().with_valid(true).into_bits());
        assert_eq!(area.as_bytes()[..8], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert!(area.status().valid());
    }
}
