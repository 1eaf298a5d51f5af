//! A guest's access to memory that is none, from what the abort reports. Arm ARM, ESR_EL2, ISV.

use super::{AccessSize, DataAbort, Direction, Transfer};
use crate::addr::Ipa;
use crate::bits;
use crate::esr::{EsrEl, ExceptionClass};
use crate::fault::FaultStatus;

/// One load or store of a general register that a stage 2 fault reports in full. Arm ARM, ESR_EL2, ISV; HPFAR_EL2.
///
/// Holding one means that the hypervisor can finish the instruction without reading it: what the store writes or the
/// load returns, and which register it concerns. The PC is not yet behind the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MmioAccess {
    /// Where.
    pub address: Ipa,
    /// Which way: [`Direction::Write`] is a store.
    pub direction: Direction,
    /// What and how.
    pub transfer: Transfer,
}

/// The byte order of a guest's data accesses: SCTLR_EL1.EE, at EL0 SCTLR_EL1.E0E. Arm ARM, SCTLR_EL1.EE, SCTLR_EL1.E0E.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ByteOrder {
    /// The lowest byte first.
    Little,
    /// The highest byte first.
    Big,
}

impl MmioAccess {
    /// Reads the access out of `ESR_EL2`, `FAR_EL2` and `HPFAR_EL2`. Arm ARM, ESR_EL2, ISV; HPFAR_EL2.
    ///
    /// `None` where the syndrome does not describe one: another class, no ISV, a fault on a walk, cache maintenance
    /// or AT, a status for which HPFAR is not valid.
    #[must_use]
    pub fn decode(esr: EsrEl, far: u64, hpfar: u64) -> Option<Self> {
        if esr.ec() != ExceptionClass::DATA_ABORT_LOWER {
            return None;
        }
        let iss = DataAbort::from_bits(esr.iss());
        let transfer = iss.transfer()?;
        let has_address = match iss.status()? {
            FaultStatus::Translation(_) | FaultStatus::AccessFlag(_) | FaultStatus::AddressSize(_) => true,
            // HPFAR is UNKNOWN after a permission fault that is not on a walk: a caller that knows the address
            // uses `DataAbort::transfer`.
            FaultStatus::Permission(_)
            | FaultStatus::External
            | FaultStatus::TagCheck
            | FaultStatus::ExternalOnWalk(_)
            | FaultStatus::Parity
            | FaultStatus::ParityOnWalk(_)
            | FaultStatus::Alignment
            | FaultStatus::GranuleProtectionOnWalk(_)
            | FaultStatus::GranuleProtection
            | FaultStatus::TlbConflict
            | FaultStatus::UnsupportedAtomicUpdate
            | FaultStatus::Lockdown
            | FaultStatus::UnsupportedExclusive => false,
        };
        if !has_address || iss.s1ptw() || iss.cm() {
            return None;
        }
        let direction = if iss.wnr() { Direction::Write } else { Direction::Read };
        Some(Self { address: faulting_ipa(far, hpfar), direction, transfer })
    }

    /// Returns the bytes that a store of `register` writes, as a number whose lowest byte goes to the lowest address;
    /// above the access size it is 0. Arm ARM, ESR_EL2, SAS; BigEndian.
    #[must_use]
    pub const fn stored(&self, register: u64, order: ByteOrder) -> u64 {
        in_order(self.transfer.stored(register), self.transfer.size, order)
    }

    /// Returns what a load puts in the register, given the bytes as a number whose lowest byte is at the lowest
    /// address. Arm ARM, ESR_EL2, SAS, SSE and SF; BigEndian.
    #[must_use]
    pub const fn loaded(&self, memory: u64, order: ByteOrder) -> u64 {
        self.transfer.loaded(in_order(memory, self.transfer.size, order))
    }
}

/// Returns the intermediate physical address of a stage 2 fault: HPFAR_EL2.FIPA, \[47:4\], is bits 55:12 of it, and
/// FAR_EL2 has the rest. Arm ARM, HPFAR_EL2.
#[must_use]
pub const fn faulting_ipa(far: u64, hpfar: u64) -> Ipa {
    Ipa::new(bits::field(hpfar, 47, 4) << 12 | far & 0xfff)
}

const fn in_order(value: u64, size: AccessSize, order: ByteOrder) -> u64 {
    match order {
        ByteOrder::Little => value,
        ByteOrder::Big => value.swap_bytes().wrapping_shr(64u32.wrapping_sub(size.bits()) & 63),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_syndrome_is_an_access() {
        // ldrsh w5, [x0] of a translation fault at level 2: ISV, SAS 1, SSE, SRT 5.
        let esr = EsrEl::from_bits(0x9365_0006);
        let access = MmioAccess::decode(esr, 0xffff_8000_0000_1abc, 0x0009_0010).unwrap();
        assert_eq!(access.address, Ipa::new(0x0900_1abc));
        assert_eq!(access.direction, Direction::Read);
        assert_eq!(access.loaded(0x80ff, ByteOrder::Little), 0xffff_80ff, "32 bits of the register");
        assert_eq!(access.loaded(0xff80, ByteOrder::Big), 0xffff_80ff);
        let store = MmioAccess::decode(EsrEl::from_bits(0x9383_8047), 0x8, 0x90_0000).unwrap();
        assert_eq!((store.address, store.direction), (Ipa::new(0x9000_0008), Direction::Write));
        assert_eq!((store.transfer.register, store.transfer.wide), (3, true));
        assert_eq!(store.stored(0x1122_3344_5566_7788, ByteOrder::Little), 0x5566_7788);
        assert_eq!(store.stored(0x1122_3344_5566_7788, ByteOrder::Big), 0x8877_6655);
    }

    #[test]
    fn the_faults_that_hpfar_belongs_to_have_an_address() {
        // FIPA, \[47:4\], is bits 55:12; FAR has the rest, and its upper bits do not count.
        const CASES: &[(&str, u64, u64)] = &[
            ("translation, level 0", 0x9365_0004, 0xfff_ffff_ffff),
            ("translation, level -1", 0x9365_002b, 0x1),
            ("access flag, level 3", 0x9365_000b, 0x9_0001),
            ("address size, level 0", 0x9365_0000, 0x0800_0000_0000),
            ("address size, level -1", 0x9365_0029, 0x0800_0000_0000),
        ];
        for (name, esr, page) in CASES {
            // NS, \[63\], and what is RES0 are not of the address.
            let hpfar = page << 4 | 1 << 63 | 0xf;
            let access = MmioAccess::decode(EsrEl::from_bits(*esr), 0xabcd_ffff_ffff_f678, hpfar).unwrap();
            assert_eq!(access.address, Ipa::new(page << 12 | 0x678), "{name}");
        }
        assert_eq!(faulting_ipa(0, 0x0000_ffff_ffff_fff0), Ipa::new(0x00ff_ffff_ffff_f000));
    }

    #[test]
    fn every_size_swaps_its_own_bytes() {
        const CASES: &[(AccessSize, u64)] = &[
            (AccessSize::Byte, 0x88),
            (AccessSize::Half, 0x8877),
            (AccessSize::Word, 0x8877_6655),
            (AccessSize::Double, 0x8877_6655_4433_2211),
        ];
        for (size, want) in CASES {
            let value = 0x1122_3344_5566_7788 & bits::mask(size.bits());
            assert_eq!(in_order(value, *size, ByteOrder::Big), *want, "{size:?}");
        }
    }

    #[test]
    fn what_the_syndrome_does_not_describe_is_none() {
        const CASES: &[(&str, u64)] = &[
            ("ISV is 0", 0x9200_0006),
            ("the same level", 0x9765_0006),
            ("an instruction abort", 0x8365_0006),
            ("a fault on a stage 1 walk", 0x9365_0086),
            ("cache maintenance", 0x9365_0146),
            ("a permission fault", 0x9365_000e),
            ("an external abort", 0x9365_0010),
            ("a reserved status", 0x9365_003f),
        ];
        for (name, esr) in CASES {
            assert_eq!(MmioAccess::decode(EsrEl::from_bits(*esr), 0, 0), None, "{name}");
        }
    }
}
