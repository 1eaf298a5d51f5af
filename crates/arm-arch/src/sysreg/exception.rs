//! Registers of exceptions that no other module names: what is pending, where a fault was, where vectors are. Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `ISR_EL1`, Interrupt Status Register. Arm ARM, ISR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct IsrEl1 {
    #[bits(6)]
    __: u8,
    /// F, \[6\]: an FIQ is pending.
    pub f: bool,
    /// I, \[7\]: an IRQ is pending.
    pub i: bool,
    /// A, \[8\]: an SError is pending.
    pub a: bool,
    /// FS, \[9\]: the FIQ has superpriority. FEAT_NMI.
    pub fs: bool,
    /// IS, \[10\]: the IRQ has superpriority. FEAT_NMI.
    pub is: bool,
    #[bits(53)]
    __: u64,
}
const _: () = assert!(IsrEl1::IS_OFFSET == 10);

/// `HPFAR_EL2`, Hypervisor IPA Fault Address Register. Arm ARM, HPFAR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct HpfarEl2 {
    #[bits(4)]
    __: u8,
    /// FIPA, \[47:4\]: bits 55:12 of the address.
    #[bits(44)]
    pub fipa: u64,
    #[bits(15)]
    __: u16,
    /// NS, \[63\]: the address is Non-secure, of a fault in Secure state. FEAT_SEL2.
    pub ns: bool,
}
const _: () = assert!(HpfarEl2::FIPA_OFFSET == 4 && HpfarEl2::NS_OFFSET == 63);

impl HpfarEl2 {
    /// Returns the address of the page: FIPA and twelve zeros. Arm ARM, HPFAR_EL2.FIPA.
    #[must_use]
    pub const fn page(self) -> crate::Ipa {
        crate::Ipa::new(self.fipa().wrapping_shl(12))
    }
}

/// `VBAR_EL1`, Vector Base Address Register (EL1); that of EL2 has its layout. Arm ARM, VBAR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct VbarEl1 {
    /// UT, \[0\]: synchronous exceptions of what uses it go elsewhere; RES0 without the feature.
    pub ut: bool,
    #[bits(10)]
    __: u16,
    /// VBA, \[63:11\]: bits 63:11 of the base of the vectors.
    #[bits(53)]
    pub vba: u64,
}
const _: () = assert!(VbarEl1::VBA_OFFSET == 11);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // 0x4123_4000, as KVM shows it of a guest's first access to a page.
        let hpfar = HpfarEl2::from_bits(0x0041_2340);
        assert_eq!((hpfar.fipa(), hpfar.ns(), hpfar.page().bits()), (0x4_1234, false, 0x4123_4000));
        let hpfar = HpfarEl2::from_bits(0x8000_ffff_ffff_fff0);
        assert_eq!(
            (hpfar.fipa(), hpfar.ns(), hpfar.page().bits()),
            (0xfff_ffff_ffff, true, 0xff_ffff_ffff_f000)
        );
        let vbar = VbarEl1::from_bits(0xffff_8000_0801_0801);
        assert_eq!((vbar.vba(), vbar.ut()), (0x1f_fff0_0001_0021, true));
        let isr = IsrEl1::from_bits(0x480);
        assert!(isr.i() && isr.is() && !isr.f() && !isr.a() && !isr.fs());
        let isr = IsrEl1::from_bits(0x340);
        assert!(isr.f() && isr.a() && isr.fs() && !isr.i() && !isr.is());
    }
}
