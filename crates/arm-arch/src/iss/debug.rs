//! Debug exceptions and SErrors. Arm ARM, ESR_EL1.ISS.

use bitfield_struct::bitfield;

/// ISS of a software step (EC 0x32, 0x33).
/// Arm ARM, ESR_EL1, "ISS encoding for an exception from a Software Step exception".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Step {
    /// IFSC, \[5:0\]: 100010.
    #[bits(6)]
    pub ifsc: u8,
    /// EX, \[6\]: the stepped instruction was a load exclusive.
    pub ex: bool,
    #[bits(17)]
    __: u32,
    /// ISV, \[24\]: EX is valid.
    pub isv: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(Step::ISV_OFFSET == 24);

impl Step {
    /// Makes the syndrome of a step, knowing whether the stepped instruction was a load exclusive.
    /// Arm ARM, ESR_EL1, EX.
    #[must_use]
    pub const fn of(ex: StepExclusive) -> Self {
        let step = Self::new().with_ifsc(crate::fault::DEBUG_STATUS);
        match ex {
            StepExclusive::Unknown => step,
            StepExclusive::No => step.with_isv(true),
            StepExclusive::Yes => step.with_isv(true).with_ex(true),
        }
    }
}

/// What is known of the stepped instruction. Arm ARM, ESR_EL1, ISV and EX of a software step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepExclusive {
    /// No instruction was stepped, or it is not known which: ISV is 0.
    Unknown,
    /// It was not a load exclusive.
    No,
    /// It was a load exclusive.
    Yes,
}

/// ISS of a watchpoint (EC 0x34, 0x35). Arm ARM, ESR_EL1, "ISS encoding for an exception from a Watchpoint exception".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Watchpoint {
    /// DFSC, \[5:0\]: 100010.
    #[bits(6)]
    pub dfsc: u8,
    /// WnR, \[6\]: the access was a write.
    pub wnr: bool,
    __: bool,
    /// CM, \[8\]: the access was cache maintenance.
    pub cm: bool,
    __: bool,
    /// FnV, \[10\]: FAR is not valid.
    pub fnv: bool,
    #[bits(2)]
    __: u8,
    /// VNCR, \[13\]: the access was one that FEAT_NV2 redirects.
    pub vncr: bool,
    __: bool,
    /// FnP, \[15\]: FAR is not precise.
    pub fnp: bool,
    /// WPF, \[16\]: the watchpoint may be a false one.
    pub wpf: bool,
    /// WPTV, \[17\]: WPT is valid.
    pub wptv: bool,
    /// WPT, \[23:18\]: the number of the watchpoint.
    #[bits(6)]
    pub wpt: u8,
    __: u8,
}
const _: () = assert!(Watchpoint::WPT_OFFSET == 18);

/// ISS of an SError (EC 0x2f); with IDS the rest is IMPLEMENTATION DEFINED.
/// Arm ARM, ESR_EL1, "ISS encoding for an SError exception".
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct SError {
    /// DFSC, \[5:0\]: 0 is uncategorised, 010001 an asynchronous error that the other fields describe.
    #[bits(6)]
    pub dfsc: u8,
    /// WnR, \[6\]: the access was a write. FEAT_RASv2.
    pub wnr: bool,
    /// WnRV, \[7\]: WnR is valid. FEAT_RASv2.
    pub wnrv: bool,
    __: bool,
    /// EA, \[9\]: type of an external abort.
    pub ea: bool,
    /// AET, \[12:10\]: how far the error is contained and can be recovered from.
    #[bits(3)]
    pub aet: u8,
    /// IESB, \[13\]: the error was synchronised by an implicit barrier. FEAT_IESB.
    pub iesb: bool,
    #[bits(10)]
    __: u16,
    /// IDS, \[24\]: the syndrome is IMPLEMENTATION DEFINED.
    pub ids: bool,
    #[bits(7)]
    __: u8,
}
const _: () = assert!(SError::IDS_OFFSET == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        assert_eq!(Step::of(StepExclusive::Unknown).into_bits(), 0x22);
        assert_eq!(Step::of(StepExclusive::No).into_bits(), 0x100_0022);
        assert_eq!(Step::of(StepExclusive::Yes).into_bits(), 0x100_0062);
        let step = Step::from_bits(0x100_0062);
        assert_eq!((step.isv(), step.ex(), step.ifsc()), (true, true, 0x22));
        let hit = Watchpoint::from_bits(0x000e_0062);
        assert!(hit.wnr() && hit.wptv() && !hit.wpf() && !hit.fnv() && !hit.cm());
        assert_eq!((hit.dfsc(), hit.wpt()), (0x22, 3));
        let error = SError::from_bits(0x0c11);
        assert_eq!((error.dfsc(), error.aet(), error.ids()), (0x11, 3, false));
        assert!(SError::from_bits(1 << 24).ids());
    }
}
