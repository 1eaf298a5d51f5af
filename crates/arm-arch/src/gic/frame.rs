//! What distributor and redistributors lay out alike: registers with a piece for each interrupt, by their offset.
//! GIC ch. 12, "Programmers' model".

use bitfield_struct::bitfield;

/// A register with one bit for each of thirty-two interrupts. GIC, `GICD_IGROUPR<n>` and the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    /// `IGROUPR<n>`: Group 1.
    Group,
    /// `ISENABLER<n>`: enables.
    SetEnable,
    /// `ICENABLER<n>`: disables.
    ClearEnable,
    /// `ISPENDR<n>`: makes pending.
    SetPending,
    /// `ICPENDR<n>`: makes not pending.
    ClearPending,
    /// `ISACTIVER<n>`: makes active.
    SetActive,
    /// `ICACTIVER<n>`: makes inactive.
    ClearActive,
}

impl Field {
    /// Returns the offset of the first register: that of interrupts 0 to 31. GIC, "Distributor register map".
    #[must_use]
    pub const fn offset(self) -> u32 {
        match self {
            Self::Group => 0x0080,
            Self::SetEnable => 0x0100,
            Self::ClearEnable => 0x0180,
            Self::SetPending => 0x0200,
            Self::ClearPending => 0x0280,
            Self::SetActive => 0x0300,
            Self::ClearActive => 0x0380,
        }
    }
}

/// A register of the distributor, or of a redistributor's SGI frame, that holds a piece of each interrupt's state.
/// GIC, "Distributor register map".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Register {
    /// One bit for each interrupt; the bank of thirty-two.
    Bits(Field, u32),
    /// `IPRIORITYR<n>`: one byte for each interrupt, from this one. It takes bytes, and words.
    Priority(u32),
    /// `ICFGR<n>`: two bits for each interrupt; the bank of thirty-two, and which half of it.
    Config(u32, u32),
}

impl Register {
    /// Returns the register that the byte at `offset` is part of; of priorities the byte itself.
    /// GIC, "Distributor register map", "Redistributor register map".
    #[must_use]
    pub const fn at(offset: u32) -> Option<Self> {
        let index = (offset & 0x7f) >> 2;
        let field = match offset {
            0x0080..=0x00ff => Field::Group,
            0x0100..=0x017f => Field::SetEnable,
            0x0180..=0x01ff => Field::ClearEnable,
            0x0200..=0x027f => Field::SetPending,
            0x0280..=0x02ff => Field::ClearPending,
            0x0300..=0x037f => Field::SetActive,
            0x0380..=0x03ff => Field::ClearActive,
            0x0400..=0x07fb => return Some(Self::Priority(offset & 0x3ff)),
            0x0c00..=0x0cff => return Some(Self::Config((offset & 0xff) >> 3, (offset >> 2) & 1)),
            _ => return None,
        };
        Some(Self::Bits(field, index))
    }

    /// Returns the offset: [`Register::at`] takes it back. Numbers wrap at what there is of the register.
    /// GIC, "Distributor register map".
    #[must_use]
    pub const fn offset(self) -> u32 {
        match self {
            Self::Bits(field, bank) => field.offset() | (bank & 0x1f) << 2,
            Self::Priority(intid) => 0x0400 | intid & 0x3ff,
            Self::Config(bank, half) => 0x0c00 | (bank & 0x1f) << 3 | (half & 1) << 2,
        }
    }
}

/// Offset of `GICD_PIDR2`, and of `GICR_PIDR2` in the RD frame. GIC, GICD_PIDR2.
pub const PIDR2: u32 = 0xffe8;

/// `GICD_PIDR2` and `GICR_PIDR2`, Peripheral ID2 Register. GIC, GICD_PIDR2.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct GicPidr2 {
    /// \[3:0\], IMPLEMENTATION DEFINED: in Arm's parts JEDEC, \[3\], and DES_1, \[2:0\].
    #[bits(4)]
    pub imp_def: u8,
    /// ArchRev, \[7:4\]: version of the architecture: 1 and 2 are GICv1 and GICv2, 3 GICv3, 4 GICv4.
    #[bits(4)]
    pub arch_rev: u8,
    #[bits(24)]
    __: u32,
}
const _: () = assert!(GicPidr2::ARCH_REV_OFFSET == 4);

/// `GICD_IIDR` and `GICR_IIDR`, Implementer Identification Registers. GIC, GICD_IIDR.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct GicIidr {
    /// Implementer, \[11:0\]: JEP106 code: \[11:8\] continuations, \[6:0\] identity.
    #[bits(12)]
    pub implementer: u16,
    /// Revision, \[15:12\]: minor revision.
    #[bits(4)]
    pub revision: u8,
    /// Variant, \[19:16\]: major revision.
    #[bits(4)]
    pub variant: u8,
    #[bits(4)]
    __: u8,
    /// ProductID, \[31:24\]: the part.
    pub product_id: u8,
}
const _: () = assert!(GicIidr::PRODUCT_ID_OFFSET == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_manual() {
        const CASES: &[(&str, u32, Option<Register>)] = &[
            ("GICD_IGROUPR0", 0x0080, Some(Register::Bits(Field::Group, 0))),
            ("GICD_IGROUPR1", 0x0084, Some(Register::Bits(Field::Group, 1))),
            ("GICD_ISENABLER31", 0x017c, Some(Register::Bits(Field::SetEnable, 31))),
            ("GICR_ICENABLER0", 0x0180, Some(Register::Bits(Field::ClearEnable, 0))),
            ("GICD_ISPENDR2", 0x0208, Some(Register::Bits(Field::SetPending, 2))),
            ("GICD_ICPENDR1", 0x0284, Some(Register::Bits(Field::ClearPending, 1))),
            ("GICD_ISACTIVER1", 0x0304, Some(Register::Bits(Field::SetActive, 1))),
            ("GICD_ICACTIVER31", 0x03fc, Some(Register::Bits(Field::ClearActive, 31))),
            ("GICD_IPRIORITYR0", 0x0400, Some(Register::Priority(0))),
            ("a byte of GICD_IPRIORITYR8", 0x0421, Some(Register::Priority(33))),
            ("the last of GICD_IPRIORITYR254", 0x07fb, Some(Register::Priority(1019))),
            ("GICR_ICFGR1", 0x0c04, Some(Register::Config(0, 1))),
            ("GICD_ICFGR2", 0x0c08, Some(Register::Config(1, 0))),
            ("GICD_ICFGR63", 0x0cfc, Some(Register::Config(31, 1))),
        ];
        for (name, offset, want) in CASES {
            assert_eq!(Register::at(*offset), *want, "{name}");
            assert_eq!(want.map(Register::offset), Some(*offset), "{name}");
        }
        let none = [0x0000, 0x007c, 0x07fc, 0x0800, 0x0bfc, 0x0d00, 0x0f00, 0x6100, PIDR2, u32::MAX];
        for offset in none {
            assert_eq!(Register::at(offset), None, "{offset:#x}");
        }
    }

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // GIC-500 and later, from their Technical Reference Manuals: GICv3, JEDEC, DES_1 of Arm.
        let pidr2 = GicPidr2::from_bits(0x3b);
        assert_eq!((pidr2.arch_rev(), pidr2.imp_def()), (3, 0xb));
        // GIC-600: product 2, variant 1, revision 3, Arm.
        let iidr = GicIidr::from_bits(0x0201_343b);
        assert_eq!((iidr.product_id(), iidr.variant(), iidr.revision()), (2, 1, 3));
        assert_eq!(iidr.implementer(), 0x43b);
    }
}
