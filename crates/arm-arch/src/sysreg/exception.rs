//! Registers of exceptions that no other module names: what is pending. Arm ARM, the register of each name.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let isr = IsrEl1::from_bits(0x480);
        assert!(isr.i() && isr.is() && !isr.f() && !isr.a() && !isr.fs());
        let isr = IsrEl1::from_bits(0x340);
        assert!(isr.f() && isr.a() && isr.fs() && !isr.i() && !isr.is());
    }
}
