//! Control registers that translation and interruption depend on. PoP ch. 4, "Control Registers".

use crate::dat::Asce;
use bitfield_struct::bitfield;

/// Control register 0.
#[bitfield(u64, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct Cr0 {
    __: u8,
    /// Bit 8: transactional-execution control.
    pub transactional_execution: bool,
    /// Bit 9: program-interruption-filter override.
    pub interruption_filter_override: bool,
    /// Bit 10: clock-comparator sign control.
    pub clock_comparator_sign: bool,
    #[bits(2)]
    __: u8,
    /// Bit 13: crypto-counter control.
    pub crypto_counter: bool,
    /// Bit 14: processor-activity-instrumentation extension control.
    pub pai_extension: bool,
    #[bits(18)]
    __: u32,
    /// Bit 33: SSM suppression.
    pub ssm_suppression: bool,
    /// Bit 34: TOD-clock sync control.
    pub tod_sync: bool,
    /// Bit 35: low-address protection.
    pub lap: bool,
    /// Bit 36: extraction authority.
    pub extraction_authority: bool,
    /// Bit 37: secondary-space control.
    pub secondary_space: bool,
    /// Bit 38: fetch-protection override.
    pub fpo: bool,
    /// Bit 39: storage-protection override.
    pub spo: bool,
    /// Bit 40: enhanced-DAT enablement.
    pub edat: bool,
    #[bits(2)]
    __: u8,
    /// Bit 43: instruction-execution-protection enablement.
    pub iep: bool,
    /// Bit 44: ASN-and-LX reuse.
    pub asn_lx_reuse: bool,
    /// Bit 45: AFP-register control.
    pub afp: bool,
    /// Bit 46: vector enablement.
    pub vector: bool,
    __: bool,
    /// Bit 48: malfunction-alert subclass mask.
    pub malfunction_alert: bool,
    /// Bit 49: emergency-signal subclass mask.
    pub emergency_signal: bool,
    /// Bit 50: external-call subclass mask.
    pub external_call: bool,
    /// Bit 51: TOD-clock-sync-check subclass mask.
    pub tod_sync_check: bool,
    /// Bit 52: clock-comparator subclass mask.
    pub clock_comparator: bool,
    /// Bit 53: CPU-timer subclass mask.
    pub cpu_timer: bool,
    /// Bit 54: service-signal subclass mask.
    pub service_signal: bool,
    __: bool,
    /// Bit 56: unused, initially one.
    pub initially_one: bool,
    /// Bit 57: interrupt-key subclass mask.
    pub interrupt_key: bool,
    /// Bit 58: measurement-alert subclass mask.
    pub measurement_alert: bool,
    /// Bit 59: timing-alert subclass mask.
    pub timing_alert: bool,
    __: bool,
    /// Bit 61: crypto control.
    pub crypto: bool,
    #[bits(2)]
    __: u8,
}
const _: () = assert!(Cr0::CLOCK_COMPARATOR_SIGN_OFFSET == 53 && Cr0::LAP_OFFSET == 28);
const _: () = assert!(Cr0::FPO_OFFSET == 25 && Cr0::SPO_OFFSET == 24 && Cr0::EDAT_OFFSET == 23);
const _: () = assert!(Cr0::IEP_OFFSET == 20 && Cr0::VECTOR_OFFSET == 17 && Cr0::SERVICE_SIGNAL_OFFSET == 9);
const _: () = assert!(Cr0::INITIALLY_ONE_OFFSET == 7 && Cr0::CRYPTO_OFFSET == 2);

/// Control registers 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRegisters(pub [u64; 16]);

impl ControlRegisters {
    /// What an initial CPU reset leaves. PoP ch. 4, "CPU Reset".
    pub const INITIAL: Self = {
        let mut registers = [0; 16];
        registers[0] = 0xe0;
        registers[14] = 0xc200_0000;
        Self(registers)
    };

    /// Returns control register 0.
    #[must_use]
    pub const fn cr0(&self) -> Cr0 {
        Cr0::from_bits(self.0[0])
    }

    /// Returns the primary ASCE, CR1.
    #[must_use]
    pub const fn primary(&self) -> Asce {
        Asce::from_bits(self.0[1])
    }

    /// Returns the secondary ASCE, CR7.
    #[must_use]
    pub const fn secondary(&self) -> Asce {
        Asce::from_bits(self.0[7])
    }

    /// Returns the home ASCE, CR13.
    #[must_use]
    pub const fn home(&self) -> Asce {
        Asce::from_bits(self.0[13])
    }

    /// Returns the dispatchable-unit-control-table origin, CR2 bits 33-57.
    #[must_use]
    pub const fn dispatchable_unit_control_table(&self) -> u64 {
        self.0[2] & 0x7fff_ffc0
    }

    /// Returns the primary-ASTE origin, CR5 bits 33-57.
    #[must_use]
    pub const fn primary_aste(&self) -> u64 {
        self.0[5] & 0x7fff_ffc0
    }

    /// Returns the extended authorization index, CR8 bits 32-47.
    #[must_use]
    pub const fn extended_authorization_index(&self) -> u16 {
        let [_, _, _, _, high, low, _, _] = self.0[8].to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cr0_masks_are_those_of_the_book() {
        for (cr0, bits) in [
            (Cr0::new().with_lap(true), 0x1000_0000),
            (Cr0::new().with_fpo(true), 0x0200_0000),
            (Cr0::new().with_spo(true), 0x0100_0000),
            (Cr0::new().with_edat(true), 0x0080_0000),
            (Cr0::new().with_iep(true), 0x0010_0000),
            (Cr0::new().with_clock_comparator_sign(true), 0x0020_0000_0000_0000),
            (Cr0::new().with_afp(true), 0x0004_0000),
            (Cr0::new().with_malfunction_alert(true), 0x8000),
            (Cr0::new().with_service_signal(true), 0x200),
            (Cr0::new().with_measurement_alert(true), 0x20),
            (Cr0::new().with_timing_alert(true), 0x10),
        ] {
            assert_eq!(cr0.into_bits(), bits);
        }
    }

    #[test]
    fn fields_of_other_registers_are_where_the_book_has_them() {
        let mut registers = ControlRegisters::INITIAL;
        registers.0[8] = 0x1234_0000 | 0xffff;
        registers.0[5] = u64::MAX;
        assert_eq!(registers.extended_authorization_index(), 0x1234);
        assert_eq!(registers.primary_aste(), 0x7fff_ffc0);
        assert!(registers.cr0().initially_one());
    }
}
