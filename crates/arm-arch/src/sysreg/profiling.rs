//! Control and syndrome of the Profiling Buffer (FEAT_SPE) and the trace buffer (FEAT_TRBE).
//! Arm ARM, the register of each name.

use bitfield_struct::bitfield;

/// `PMSCR_EL1` and `PMSCR_EL2`, Statistical Profiling Control Registers. Arm ARM, PMSCR_EL1, PMSCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Pmscr {
    /// E0SPE (of EL2: E0HSPE), \[0\]: operations at EL0 are sampled.
    pub e0spe: bool,
    /// E1SPE (of EL2: E2SPE), \[1\]: operations at this level are sampled.
    pub e1spe: bool,
    __: bool,
    /// CX, \[3\]: records carry CONTEXTIDR of this level.
    pub cx: bool,
    /// PA, \[4\]: records carry physical addresses.
    pub pa: bool,
    /// TS, \[5\]: records carry a timestamp.
    pub ts: bool,
    /// PCT, \[7:6\]: which counter the timestamp is of.
    #[bits(2)]
    pub pct: u8,
    /// EE, \[9:8\]: management events are exceptions: 00 no, 01 of EL1 only, 10 what aborts to EL2 would, 11 all; of
    /// EL1: 11. FEAT_SPE_EXC.
    #[bits(2)]
    pub ee: u8,
    /// KE, \[10\]: exceptions also within this level, while PSTATE.PM is 0. FEAT_SPE_EXC.
    pub ke: bool,
    /// EnVM, \[11\]: of EL2 only: physical buffer addresses are permitted. FEAT_SPE_nVM.
    pub envm: bool,
    #[bits(52)]
    __: u64,
}
const _: () = assert!(Pmscr::EE_OFFSET == 8 && Pmscr::KE_OFFSET == 10);

/// `TRFCR_EL1` and `TRFCR_EL2`, Trace Filter Control Registers. FEAT_TRF. Arm ARM, TRFCR_EL1, TRFCR_EL2.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Trfcr {
    /// E0TRE (of EL2: E0HTRE), \[0\]: trace is allowed at EL0.
    pub e0tre: bool,
    /// E1TRE (of EL2: E2TRE), \[1\]: trace is allowed at this level.
    pub e1tre: bool,
    __: bool,
    /// CX, \[3\]: of EL2 only: CONTEXTIDR_EL2 and VMID are traced.
    pub cx: bool,
    __: bool,
    /// TS, \[6:5\]: which counter timestamps are of.
    #[bits(2)]
    pub ts: u8,
    __: bool,
    /// EE, \[9:8\]: as [`Pmscr::ee`], of the trace buffer. FEAT_TRBE_EXC.
    #[bits(2)]
    pub ee: u8,
    /// KE, \[10\]: as [`Pmscr::ke`]. FEAT_TRBE_EXC.
    pub ke: bool,
    /// DnVM, \[11\]: of EL2 only: physical buffer addresses are not permitted. FEAT_TRBEv1p1.
    pub dnvm: bool,
    #[bits(52)]
    __: u64,
}
const _: () = assert!(Trfcr::EE_OFFSET == 8 && Trfcr::KE_OFFSET == 10);

/// `PMBSR_EL1`, `PMBSR_EL2` and `PMBSR_EL3`, Profiling Buffer Status/syndrome Registers: the last management event
/// recorded for that level. Arm ARM, PMBSR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Pmbsr {
    /// MSS, \[15:0\]: what `ec` says: a status code (BSC) or a fault status code (FSC) in the low six bits.
    pub mss: u16,
    /// COLL, \[16\]: a collision was detected.
    pub coll: bool,
    /// S, \[17\]: an event is recorded: an interrupt, or with FEAT_SPE_EXC an exception.
    pub s: bool,
    /// EA, \[18\]: an external abort.
    pub ea: bool,
    /// DL, \[19\]: a part of a record was lost.
    pub dl: bool,
    #[bits(6)]
    __: u8,
    /// EC, \[31:26\]: event class.
    #[bits(6)]
    pub ec: EventClass,
    /// MSS2, \[55:32\]: of a data abort.
    #[bits(24)]
    pub mss2: Mss2,
    __: u8,
}
const _: () = assert!(Pmbsr::EC_OFFSET == 26 && Pmbsr::MSS2_OFFSET == 32);

/// `TRBSR_EL1`, `TRBSR_EL2` and `TRBSR_EL3`, Trace Buffer Status/syndrome Registers. Arm ARM, TRBSR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Trbsr {
    /// MSS, \[15:0\]: as [`Pmbsr::mss`].
    pub mss: u16,
    __: bool,
    /// S, \[17\]: collection is stopped.
    pub s: bool,
    /// EA, \[18\]: an external abort.
    pub ea: bool,
    __: bool,
    /// WRAP, \[20\]: the write pointer has wrapped.
    pub wrap: bool,
    /// TRG, \[21\]: a trigger was detected.
    pub trg: bool,
    /// IRQ, \[22\]: an event is recorded: an interrupt, or with FEAT_TRBE_EXC an exception.
    pub irq: bool,
    #[bits(3)]
    __: u8,
    /// EC, \[31:26\]: event class.
    #[bits(6)]
    pub ec: EventClass,
    /// MSS2, \[55:32\]: of a data abort.
    #[bits(24)]
    pub mss2: Mss2,
    __: u8,
}
const _: () = assert!(Trbsr::EC_OFFSET == 26 && Trbsr::IRQ_OFFSET == 22);

/// Event class of a buffer management event. Arm ARM, PMBSR_EL1.EC, TRBSR_EL1.EC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventClass(u8);

impl EventClass {
    /// 000000: what has no class of its own; MSS has a status code ([`Event::Other`]). Arm ARM, PMBSR_EL1.EC.
    pub const OTHER: Self = Self(0b00_0000);
    /// 011110: a granule protection check failed, other than a granule protection fault. FEAT_RME.
    /// Arm ARM, PMBSR_EL1.EC.
    pub const GRANULE_PROTECTION_CHECK: Self = Self(0b01_1110);
    /// 011111: IMPLEMENTATION DEFINED. Arm ARM, PMBSR_EL1.EC.
    pub const IMPLEMENTATION_DEFINED: Self = Self(0b01_1111);
    /// 100100: a stage 1 data abort on a write to the buffer. Arm ARM, PMBSR_EL1.EC.
    pub const STAGE_1: Self = Self(0b10_0100);
    /// 100101: a stage 2 data abort. Arm ARM, PMBSR_EL1.EC.
    pub const STAGE_2: Self = Self(0b10_0101);

    /// Makes a class of its six bits; higher ones are dropped. Arm ARM, PMBSR_EL1.EC.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x3f)
    }

    /// Returns the six bits. Arm ARM, PMBSR_EL1.EC.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        self.0
    }
}

/// MSS2 of a stage 1 or stage 2 data abort on a write to a buffer. Arm ARM, PMBSR_EL1, "MSS2 encoding for stage 1 or
/// stage 2 Data Aborts".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Mss2 {
    #[bits(5)]
    __: u8,
    /// DirtyBit, \[5\]: a permission fault for the sake of the dirty state. FEAT_S1PIE, FEAT_S2PIE.
    pub dirty_bit: bool,
    /// Overlay, \[6\]: a permission fault by an overlay. FEAT_S1POE, FEAT_S2POE.
    pub overlay: bool,
    /// AssuredOnly, \[7\]: a stage 2 permission fault by AssuredOnly. FEAT_THE.
    pub assured_only: bool,
    /// TopLevel, \[8\]: a fault by TopLevel. FEAT_THE.
    pub top_level: bool,
    #[bits(23)]
    __: u32,
}
const _: () = assert!(Mss2::TOP_LEVEL_OFFSET == 8);

/// What a buffer management event says of itself. Arm ARM, PMBSR_EL1.EC, TRBSR_EL1.EC and the MSS encodings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// A status code, BSC: 0 not stopped, 1 the buffer is full, 2 a trigger and 3 a manual stop (trace buffer), 4 the
    /// requested size is too large.
    Other(u8),
    /// A granule protection check.
    GranuleProtectionCheck,
    /// IMPLEMENTATION DEFINED, with its MSS.
    ImplementationDefined(u16),
    /// A stage 1 data abort, with its fault status code.
    Stage1(u8),
    /// A stage 2 data abort, with its fault status code.
    Stage2(u8),
}

impl Event {
    /// Takes an event out of class and MSS; `None` for a class that is reserved, or a bit of MSS that is RES0.
    /// Arm ARM, PMBSR_EL1.MSS.
    #[must_use]
    pub const fn decode(class: EventClass, mss: u16) -> Option<Self> {
        let [code, high] = mss.to_le_bytes();
        let is_code = high == 0 && code < 0x40;
        match class {
            EventClass::OTHER if is_code => Some(Self::Other(code)),
            EventClass::STAGE_1 if is_code => Some(Self::Stage1(code)),
            EventClass::STAGE_2 if is_code => Some(Self::Stage2(code)),
            EventClass::GRANULE_PROTECTION_CHECK if mss == 0 => Some(Self::GranuleProtectionCheck),
            EventClass::IMPLEMENTATION_DEFINED => Some(Self::ImplementationDefined(mss)),
            _ => None,
        }
    }

    /// Returns class and MSS; of a code the low six bits. Arm ARM, PMBSR_EL1.EC, PMBSR_EL1.MSS.
    #[must_use]
    pub const fn encode(self) -> (EventClass, u16) {
        const fn code(code: u8) -> u16 {
            u16::from_le_bytes([code & 0x3f, 0])
        }
        match self {
            Self::Other(status) => (EventClass::OTHER, code(status)),
            Self::GranuleProtectionCheck => (EventClass::GRANULE_PROTECTION_CHECK, 0),
            Self::ImplementationDefined(mss) => (EventClass::IMPLEMENTATION_DEFINED, mss),
            Self::Stage1(fsc) => (EventClass::STAGE_1, code(fsc)),
            Self::Stage2(fsc) => (EventClass::STAGE_2, code(fsc)),
        }
    }
}

impl Pmbsr {
    /// Returns the event recorded; `None` for a reserved one. Whether there is one says `s`.
    /// Arm ARM, PMBSR_EL1.EC, PMBSR_EL1.MSS.
    #[must_use]
    pub const fn event(self) -> Option<Event> {
        Event::decode(self.ec(), self.mss())
    }

    /// Returns the register as the unit leaves it after recording an event: S set, DL and COLL as they were. Arm ARM,
    /// OtherSPEManagementEvent.
    #[must_use]
    pub const fn recording(self, event: Event) -> Self {
        let (ec, mss) = event.encode();
        self.with_s(true).with_ec(ec).with_mss(mss).with_mss2(Mss2::new())
    }
}

impl Trbsr {
    /// Returns the event recorded; `None` for a reserved one. Whether there is one says `irq`.
    /// Arm ARM, TRBSR_EL1.EC, TRBSR_EL1.MSS.
    #[must_use]
    pub const fn event(self) -> Option<Event> {
        Event::decode(self.ec(), self.mss())
    }

    /// Returns the register as the unit leaves it after recording an event that stops collection: IRQ and S set, WRAP
    /// and TRG as they were. Arm ARM, TRBSR_EL1.
    #[must_use]
    pub const fn recording(self, event: Event) -> Self {
        let (ec, mss) = event.encode();
        self.with_irq(true).with_s(true).with_ec(ec).with_mss(mss).with_mss2(Mss2::new())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn literals_of_the_control_registers() {
        let pmscr = Pmscr::from_bits(0x0000_0fc3 | 1 << 5);
        assert!(pmscr.e0spe() && pmscr.e1spe() && !pmscr.cx() && !pmscr.pa() && pmscr.ts());
        assert_eq!((pmscr.pct(), pmscr.ee(), pmscr.ke(), pmscr.envm()), (3, 3, true, true));
        let trfcr = Trfcr::from_bits(0x0000_0649);
        assert!(trfcr.e0tre() && !trfcr.e1tre() && trfcr.cx() && trfcr.ke() && !trfcr.dnvm());
        assert_eq!((trfcr.ts(), trfcr.ee()), (2, 2));
    }

    #[test]
    fn literals_of_the_syndromes() {
        // Stage 2 permission fault, level 3, by an overlay; a record was lost.
        let pmbsr = Pmbsr::from_bits(0x0000_0040_940a_000f);
        assert_eq!(pmbsr.event(), Some(Event::Stage2(0x0f)));
        assert!(pmbsr.s() && pmbsr.dl() && !pmbsr.ea() && !pmbsr.coll());
        assert!(pmbsr.mss2().overlay() && !pmbsr.mss2().dirty_bit() && !pmbsr.mss2().assured_only());
        assert!(Pmbsr::from_bits(0x0000_0180_0000_0000).mss2().top_level());
        let mss2 = Mss2::from_bits(0xa0);
        assert!(mss2.dirty_bit() && mss2.assured_only() && !mss2.overlay() && !mss2.top_level());
        // The trace buffer is full, wrapped at a trigger.
        let trbsr = Trbsr::from_bits(0x0072_0001);
        assert_eq!(trbsr.event(), Some(Event::Other(1)));
        assert!(trbsr.s() && trbsr.wrap() && trbsr.trg() && trbsr.irq() && !trbsr.ea());
        assert_eq!(Trbsr::from_bits(0x7800_0000).event(), Some(Event::GranuleProtectionCheck));
    }

    #[test]
    fn recording_keeps_what_the_event_does_not_say() {
        let before = Pmbsr::from_bits(0x0000_0040_0009_0003);
        assert_eq!(before.recording(Event::Other(1)).into_bits(), 0x000b_0001);
        let before = Trbsr::from_bits(0x0030_0000);
        assert_eq!(before.recording(Event::Stage1(7)).into_bits(), 0x9072_0007);
    }

    #[test]
    fn every_class_and_status_is_an_event_or_reserved() {
        let mut defined = Vec::new();
        for class in (0..64).map(EventClass::from_bits) {
            let mut events = 0u32;
            for mss in 0..=u16::MAX {
                let Some(event) = Event::decode(class, mss) else { continue };
                assert_eq!(event.encode(), (class, mss));
                events += 1;
            }
            if events > 0 {
                defined.push((class.into_bits(), events));
            }
        }
        assert_eq!(defined, [(0x00, 64), (0x1e, 1), (0x1f, 65536), (0x24, 64), (0x25, 64)]);
    }
}
