//! Why SAE ended: the interception code and what it makes of the interception data.
//!
//! Decoding is total. A payload can be reached only through the variant that defines it; the words that a code
//! leaves reserved are not looked at. SAE control block (Linux s390 arm64 KVM series).

use crate::open::open_code;
use crate::pgm::{ProgramCode, Teid};
use bitfield_struct::bitfield;

open_code! {
    /// Interception code, `icptr`.
    pub struct InterceptionCode(u8) {
        /// Nothing to do; inferred: a host interruption or an exit request.
        SPURIOUS = 0x00, "spurious";
        /// The block or the state it designates is not valid.
        VALIDITY = 0x01, "validity";
        /// A guest access failed in the host's tables.
        HOST_ACCESS = 0x02, "host access exception";
        /// A synchronous exception that an EL2 would have taken.
        TRAP = 0x03, "synchronous exception";
        /// A timer of the guest fired.
        TIMER = 0x04, "timer";
        /// Inferred: communication between processing elements.
        PE_INTERCOMM = 0x05, "PE intercomm";
        /// A guest-physical address beyond the guest's size; payload inferred.
        GUEST_ADDRESS_SIZE = 0x06, "guest address size";
        /// Stop.
        STOP = 0x07, "stop";
        /// Named differently by different versions of the series; meaning open.
        CODE_08 = 0x08, "code 0x08";
        /// Performance monitors.
        PMU = 0x09, "PMU";
        /// Inferred: maintenance interrupt of the GIC virtual CPU interface.
        MAINTENANCE = 0x0a, "maintenance";
    }
}

open_code! {
    /// Validity-interception reason, `vir`; names from the first versions of the series, readings inferred.
    pub struct ValidityReason(u16) {
        /// No reason given.
        UNKNOWN = 0x00, "UNKNOWN";
        /// Format of the block or the save area not supported.
        UNSUPP_FORMAT = 0x01, "UNSUPP_FORMAT";
        /// `mso` and `msl` do not fit each other.
        MSO_BOUNDS = 0x02, "MSO_BOUNDS";
        /// A problem of `msl`.
        MSLA = 0x03, "MSLA";
        /// Maximum guest physical address size exceeded.
        MGPAS = 0x04, "MGPAS";
        /// An Arm system register holds a value that is not valid.
        INVAL_SYSREG = 0x05, "INVAL_SYSREG";
        /// Host control bits not valid.
        HOST_CONTROL = 0x06, "HOST_CONTROL";
        /// System control area not valid.
        SCA = 0x07, "SCA";
        /// `mso` not aligned.
        MSO_ALIGN = 0x08, "MSO_ALIGN";
        /// Not known.
        HLC = 0x09, "HLC";
        /// Interruption controls not valid.
        IRPTC = 0x0a, "IRPTC";
    }
}

/// Timer-interception reason, `tir`.
#[bitfield(u8, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct TimerReason {
    /// 0: the physical timer.
    pub physical: bool,
    /// 1: the virtual timer.
    pub virtual_timer: bool,
    #[bits(6)]
    __: u8,
}
const _: () = assert!(TimerReason::PHYSICAL_OFFSET == 7 && TimerReason::VIRTUAL_TIMER_OFFSET == 6);

/// Payload of a host access exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAccess {
    /// Arm syndrome in the format of ESR_EL2, `esr_elz`.
    pub esr: u64,
    /// Program-interruption code of the host's translation, without PER; reduced to seven bits when decoded.
    pub pic: ProgramCode,
    /// Translation-exception identification; its page is the faulting guest-physical one.
    pub teid: Teid,
    /// Faulting guest virtual address in the format of FAR_EL2, `far_elz`.
    pub far: u64,
    /// A guest virtual address, `vaddr`; not used by the Linux series.
    pub vaddr: u64,
    /// Supplemental information, `suppl`; not used by the Linux series.
    pub suppl: u64,
    /// Level of the guest's own table walk, `gltl`, where the access was one.
    pub gltl: u8,
}

/// Payload of a synchronous exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Arm syndrome in the format of ESR_EL2, `esr_elz`.
    pub esr: u64,
    /// Fault address in the format of FAR_EL2, `far_elz`, where the syndrome has one.
    pub far: u64,
}

/// Why SAE ended, with the data of that reason and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interception {
    /// Code 0x00.
    Spurious,
    /// Code 0x01.
    Validity(ValidityReason),
    /// Code 0x02.
    HostAccess(HostAccess),
    /// Code 0x03.
    Trap(Trap),
    /// Code 0x04.
    Timer(TimerReason),
    /// Code 0x05; no payload is published.
    PeIntercomm,
    /// Code 0x06; inferred: the payload of code 0x02.
    GuestAddressSize(HostAccess),
    /// Code 0x07.
    Stop,
    /// Code 0x08; meaning open.
    Code08,
    /// Code 0x09.
    Pmu,
    /// Code 0x0a.
    Maintenance,
    /// Any other code.
    Unknown(InterceptionCode),
}

impl Interception {
    /// Decodes the interception code and the eight doublewords of interception data, as numbers.
    #[must_use]
    pub fn decode(code: InterceptionCode, data: &[u64; 8]) -> Self {
        Self::read(code, |n| data.get(n).copied().unwrap_or(0))
    }

    /// As [`decode`](Self::decode), from where the data lie: `word(n)` is doubleword `n`, 0 to 7, of the interception
    /// data, and is asked for only where the code defines it.
    #[inline]
    #[must_use]
    pub fn read(code: InterceptionCode, word: impl Fn(usize) -> u64) -> Self {
        match code {
            InterceptionCode::SPURIOUS => Self::Spurious,
            InterceptionCode::VALIDITY => Self::Validity(validity_reason(word(0))),
            InterceptionCode::HOST_ACCESS => Self::HostAccess(HostAccess::read(word)),
            InterceptionCode::TRAP => Self::Trap(Trap::read(word)),
            InterceptionCode::TIMER => Self::Timer(timer_reason(word(0))),
            InterceptionCode::PE_INTERCOMM => Self::PeIntercomm,
            InterceptionCode::GUEST_ADDRESS_SIZE => Self::GuestAddressSize(HostAccess::read(word)),
            InterceptionCode::STOP => Self::Stop,
            InterceptionCode::CODE_08 => Self::Code08,
            InterceptionCode::PMU => Self::Pmu,
            InterceptionCode::MAINTENANCE => Self::Maintenance,
            other => Self::Unknown(other),
        }
    }

    /// Returns the code that reports this.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> InterceptionCode {
        match self {
            Self::Spurious => InterceptionCode::SPURIOUS,
            Self::Validity(_) => InterceptionCode::VALIDITY,
            Self::HostAccess(_) => InterceptionCode::HOST_ACCESS,
            Self::Trap(_) => InterceptionCode::TRAP,
            Self::Timer(_) => InterceptionCode::TIMER,
            Self::PeIntercomm => InterceptionCode::PE_INTERCOMM,
            Self::GuestAddressSize(_) => InterceptionCode::GUEST_ADDRESS_SIZE,
            Self::Stop => InterceptionCode::STOP,
            Self::Code08 => InterceptionCode::CODE_08,
            Self::Pmu => InterceptionCode::PMU,
            Self::Maintenance => InterceptionCode::MAINTENANCE,
            Self::Unknown(code) => *code,
        }
    }

    /// Encodes what the facility stores: the code, and the data with zeros where the code defines nothing.
    #[inline]
    #[must_use]
    pub const fn encode(&self) -> (InterceptionCode, [u64; 8]) {
        let data = match self {
            Self::Validity(reason) => high_halfword(*reason),
            Self::HostAccess(access) | Self::GuestAddressSize(access) => access.encode(),
            Self::Trap(trap) => [trap.esr, 0, 0, trap.far, 0, 0, 0, 0],
            Self::Timer(reason) => high_byte(reason.into_bits()),
            Self::Spurious
            | Self::PeIntercomm
            | Self::Stop
            | Self::Code08
            | Self::Pmu
            | Self::Maintenance
            | Self::Unknown(_) => [0; 8],
        };
        (self.code(), data)
    }
}

impl HostAccess {
    /// Decodes the block: `esr_elz` 0x400, `pic` 0x40e, `teid` 0x410, `far_elz` 0x418, `vaddr` 0x420,
    /// `suppl` 0x428, `gltl` 0x430.
    #[inline]
    fn read(word: impl Fn(usize) -> u64) -> Self {
        let [.., pic_high, pic_low] = word(1).to_be_bytes();
        let [gltl, ..] = word(6).to_be_bytes();
        Self {
            esr: word(0),
            pic: ProgramCode(u16::from_be_bytes([pic_high, pic_low]) & PIC_MASK),
            teid: Teid::from_bits(word(2)),
            far: word(3),
            vaddr: word(4),
            suppl: word(5),
            gltl,
        }
    }

    /// Encodes the block.
    const fn encode(&self) -> [u64; 8] {
        let [high, low] = self.pic.0.to_be_bytes();
        let pic = u64::from_be_bytes([0, 0, 0, 0, 0, 0, high, low]);
        let gltl = u64::from_be_bytes([self.gltl, 0, 0, 0, 0, 0, 0, 0]);
        [self.esr, pic, self.teid.into_bits(), self.far, self.vaddr, self.suppl, gltl, 0]
    }
}

/// What the driver keeps of `pic` before it compares.
const PIC_MASK: u16 = 0x7f;

impl Trap {
    /// Decodes the block: `esr_elz` 0x400, `far_elz` 0x418; the words between are reserved.
    #[inline]
    fn read(word: impl Fn(usize) -> u64) -> Self {
        Self { esr: word(0), far: word(3) }
    }
}

/// Returns `vir`, the first two bytes of the data's first doubleword.
const fn validity_reason(first: u64) -> ValidityReason {
    let [high, low, ..] = first.to_be_bytes();
    ValidityReason(u16::from_be_bytes([high, low]))
}

/// Returns `tir`, the first byte of the data's first doubleword.
const fn timer_reason(first: u64) -> TimerReason {
    let [reason, ..] = first.to_be_bytes();
    TimerReason::from_bits(reason)
}

/// Returns the data that starts with a validity reason.
const fn high_halfword(reason: ValidityReason) -> [u64; 8] {
    let [high, low] = reason.0.to_be_bytes();
    [u64::from_be_bytes([high, low, 0, 0, 0, 0, 0, 0]), 0, 0, 0, 0, 0, 0, 0]
}

/// Returns the data that starts with one byte.
const fn high_byte(byte: u8) -> [u64; 8] {
    [u64::from_be_bytes([byte, 0, 0, 0, 0, 0, 0, 0]), 0, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "offsets of the test's own table")]
mod tests {
    extern crate std;
    use super::*;
    use crate::sae::block::ControlBlock;
    use std::format;
    use std::vec::Vec;
    use zerocopy::FromBytes;
    use zerocopy::byteorder::big_endian::U64;

    /// Decodes from the bytes of a block, as they would lie in storage.
    fn of_bytes(code: u8, bytes: &[(usize, &[u8])]) -> Interception {
        let mut raw = [0_u8; 0x1000];
        raw[0x80] = code;
        for (at, part) in bytes {
            raw[*at..*at + part.len()].copy_from_slice(part);
        }
        let block = ControlBlock::read_from_bytes(&raw).unwrap();
        Interception::decode(InterceptionCode(block.icptr), &block.icptd.map(U64::get))
    }

    #[test]
    fn host_access_takes_every_field_from_its_offset() {
        let got = of_bytes(
            0x02,
            &[
                (0x400, &0x9300_0046_u64.to_be_bytes()),
                (0x40e, &[0x00, 0x91]),
                (0x410, &0x4000_0400_u64.to_be_bytes()),
                (0x418, &0xffff_8000_0000_1234_u64.to_be_bytes()),
                (0x420, &1_u64.to_be_bytes()),
                (0x428, &2_u64.to_be_bytes()),
                (0x430, &[3, 0xff]),
            ],
        );
        let want = HostAccess {
            esr: 0x9300_0046,
            pic: ProgramCode::PAGE_TRANSLATION,
            teid: Teid::from_bits(0x4000_0400),
            far: 0xffff_8000_0000_1234,
            vaddr: 1,
            suppl: 2,
            gltl: 3,
        };
        assert_eq!(got, Interception::HostAccess(want));
        assert_eq!(want.teid.address(), 0x4000_0000);
    }

    #[test]
    fn trap_ignores_the_words_that_only_a_host_access_defines() {
        let got = of_bytes(0x03, &[(0x400, &[1; 8]), (0x408, &[0xff; 16]), (0x418, &[2; 8])]);
        assert_eq!(got, Interception::Trap(Trap { esr: 0x0101_0101_0101_0101, far: 0x0202_0202_0202_0202 }));
    }

    #[test]
    fn reasons_are_the_first_bytes() {
        assert_eq!(
            of_bytes(0x01, &[(0x400, &[0, 5, 9, 9])]),
            Interception::Validity(ValidityReason::INVAL_SYSREG)
        );
        assert_eq!(of_bytes(0x01, &[(0x400, &[0xab, 0xcd])]), Interception::Validity(ValidityReason(0xabcd)));
        let Interception::Timer(both) = of_bytes(0x04, &[(0x400, &[0xc0, 0xff])]) else { panic!() };
        assert!(both.physical() && both.virtual_timer());
        let Interception::Timer(virt) = of_bytes(0x04, &[(0x400, &[0x40])]) else { panic!() };
        assert!(!virt.physical() && virt.virtual_timer());
    }

    #[test]
    fn every_code_decodes_and_keeps_its_number() {
        for code in 0..=u8::MAX {
            for data in [[0; 8], [u64::MAX; 8]] {
                let decoded = Interception::decode(InterceptionCode(code), &data);
                assert_eq!(decoded.code(), InterceptionCode(code));
                assert_eq!(matches!(decoded, Interception::Unknown(_)), code > 0x0a, "{code:#x}");
            }
        }
    }

    #[test]
    fn what_a_model_encodes_a_driver_decodes() {
        let access = HostAccess {
            esr: 1,
            pic: ProgramCode::PROTECTION,
            teid: Teid::from_bits(0x5404),
            far: 2,
            vaddr: 3,
            suppl: 4,
            gltl: 2,
        };
        let mut cases: Vec<Interception> = [
            Interception::Spurious,
            Interception::HostAccess(access),
            Interception::GuestAddressSize(access),
            Interception::Trap(Trap { esr: 5, far: 6 }),
            Interception::Timer(TimerReason::new().with_physical(true)),
            Interception::PeIntercomm,
            Interception::Stop,
            Interception::Code08,
            Interception::Pmu,
            Interception::Maintenance,
            Interception::Unknown(InterceptionCode(0xff)),
        ]
        .into();
        cases.extend(ValidityReason::NAMED.iter().map(|reason| Interception::Validity(*reason)));
        for case in cases {
            let (code, data) = case.encode();
            assert_eq!(Interception::decode(code, &data), case);
        }
    }

    #[test]
    fn codes_show_number_and_name() {
        assert_eq!(format!("{:?}", ValidityReason::HLC), "ValidityReason(0x9 HLC)");
        assert_eq!(format!("{:?}", InterceptionCode(0x55)), "InterceptionCode(0x55 ?)");
    }
}
