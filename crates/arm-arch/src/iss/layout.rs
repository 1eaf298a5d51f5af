//! The fields of every class's ISS and ISS2, as data: what prints a syndrome, and what tests compare the types with.
//! Arm ARM, ESR_EL1.

use super::Gpc;
use crate::bits;
use crate::esr::{EsrEl, ExceptionClass};
use crate::fault::FaultStatus;
use core::fmt;

/// A field of ISS or ISS2 in `ESR_ELx`, with its value. Arm ARM, ESR_EL1, the "ISS encoding" of each class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The manual's name.
    pub name: &'static str,
    /// The highest bit, counted in `ESR_ELx`.
    pub high: u8,
    /// The lowest bit.
    pub low: u8,
    /// What it holds.
    pub value: u64,
}

/// Name, highest bit and lowest bit.
type Span = (&'static str, u8, u8);

/// Returns the fields of ISS and ISS2, highest first in each: which there are depends on the class, and in some
/// classes on other fields (ISV, IDS, the fault status). What no field names is reserved.
/// Arm ARM, ESR_EL1, the "ISS encoding" of each class.
pub fn fields(esr: EsrEl) -> impl Iterator<Item = Field> {
    let value = esr.into_bits();
    spans(esr).into_iter().flatten().map(move |&(name, high, low)| Field {
        name,
        high,
        low,
        value: bits::field(value, u32::from(high), u32::from(low)),
    })
}

/// Returns the bits of ISS and ISS2 that are set and belong to no field.
/// Arm ARM, ESR_EL1, the "ISS encoding" of each class.
#[must_use]
pub fn reserved(esr: EsrEl) -> u64 {
    let named = spans(esr)
        .into_iter()
        .flatten()
        .fold(0, |named, &(_, high, low)| bits::with_field(named, u32::from(high), u32::from(low), u64::MAX));
    esr.into_bits() & !named & !0xfe00_0000
}

const NONE: &[Span] = &[];
const CONDITION: &[Span] = &[("CV", 24, 24), ("COND", 23, 20)];
const IMMEDIATE: &[Span] = &[("imm16", 15, 0)];
const DEBUG: &[Span] = &[("IFSC", 5, 0)];
const COMMENT: &[Span] = &[("Comment", 15, 0)];
const FP: &[Span] = &[
    ("TFV", 23, 23),
    ("VECITR", 10, 8),
    ("IDF", 7, 7),
    ("IXF", 4, 4),
    ("UFF", 3, 3),
    ("OFF", 2, 2),
    ("DZF", 1, 1),
    ("IOF", 0, 0),
];

/// Up to three runs of fields of the ISS, and those of ISS2. Arm ARM, ESR_EL1, the "ISS encoding" of each class.
fn spans(esr: EsrEl) -> [&'static [Span]; 4] {
    let iss = u64::from(esr.iss());
    match esr.ec() {
        ExceptionClass::WFX => [CONDITION, &[("RN", 9, 5), ("RV", 2, 2), ("TI", 1, 0)], NONE, NONE],
        ExceptionClass::CP15_32 | ExceptionClass::CP14_32 | ExceptionClass::CP10_ID => [
            CONDITION,
            &[("Opc2", 19, 17), ("Opc1", 16, 14), ("CRn", 13, 10)],
            &[("Rt", 9, 5), ("CRm", 4, 1), ("Direction", 0, 0)],
            NONE,
        ],
        ExceptionClass::CP15_64 | ExceptionClass::CP14_64 => [
            CONDITION,
            &[("Opc1", 19, 16), ("Rt2", 14, 10)],
            &[("Rt", 9, 5), ("CRm", 4, 1), ("Direction", 0, 0)],
            NONE,
        ],
        ExceptionClass::CP14_LS => [
            CONDITION,
            &[("imm8", 19, 12), ("Rn", 9, 5)],
            &[("Offset", 4, 4), ("AM", 3, 1), ("Direction", 0, 0)],
            NONE,
        ],
        ExceptionClass::FP_ACCESS => [CONDITION, NONE, NONE, NONE],
        ExceptionClass::LS64 => [&[("ISS", 24, 0)], NONE, NONE, NONE],
        ExceptionClass::BRANCH_TARGET => [&[("BTYPE", 1, 0)], NONE, NONE, NONE],
        ExceptionClass::SVC32
        | ExceptionClass::HVC32
        | ExceptionClass::SVC64
        | ExceptionClass::HVC64
        | ExceptionClass::SMC64 => [IMMEDIATE, NONE, NONE, NONE],
        ExceptionClass::SMC32 => [CONDITION, &[("CCKNOWNPASS", 19, 19)], NONE, NONE],
        ExceptionClass::SYSTEM_ACCESS_128 => [
            &[("Op0", 21, 20), ("Op2", 19, 17), ("Op1", 16, 14), ("CRn", 13, 10)],
            &[("Rt", 9, 6), ("CRm", 4, 1), ("Direction", 0, 0)],
            NONE,
            NONE,
        ],
        ExceptionClass::SYSTEM_ACCESS => [
            &[("Op0", 21, 20), ("Op2", 19, 17), ("Op1", 16, 14), ("CRn", 13, 10)],
            &[("Rt", 9, 5), ("CRm", 4, 1), ("Direction", 0, 0)],
            NONE,
            NONE,
        ],
        ExceptionClass::ERET => [&[("ERET", 1, 1), ("ERETA", 0, 0)], NONE, NONE, NONE],
        ExceptionClass::TSTART => [&[("Rd", 9, 5)], NONE, NONE, NONE],
        ExceptionClass::PAC_FAIL => [&[("IorD", 1, 1), ("AorB", 0, 0)], NONE, NONE, NONE],
        ExceptionClass::SME_ACCESS => [&[("SMTC", 2, 0)], NONE, NONE, NONE],
        ExceptionClass::GPC => [
            &[("S2PTW", 21, 21), ("InD", 20, 20), ("GPCSC", 19, 14)],
            &[("VNCR", 13, 13), ("CM", 8, 8), ("S1PTW", 7, 7), ("WnR", 6, 6), ("xFSC", 5, 0)],
            NONE,
            &[("HDBSSF", 43, 43), ("GCS", 40, 40)],
        ],
        ExceptionClass::INSTRUCTION_ABORT_LOWER | ExceptionClass::INSTRUCTION_ABORT_SAME => [
            &[("TopLevel", 21, 21)],
            if is_external(iss) { &[("PFV", 14, 14), ("SET", 12, 11)] } else { NONE },
            &[("FnV", 10, 10), ("EA", 9, 9), ("S1PTW", 7, 7), ("IFSC", 5, 0)],
            &[("HDBSSF", 43, 43), ("AssuredOnly", 39, 39), ("Overlay", 38, 38), ("DirtyBit", 37, 37)],
        ],
        ExceptionClass::DATA_ABORT_LOWER | ExceptionClass::DATA_ABORT_SAME => {
            [access(iss), error_or_kind(iss), ABORT, DATA_ABORT_ISS2]
        }
        ExceptionClass::MOPS => [
            &[("MemInst", 24, 24), ("isSETG", 23, 23), ("Options", 22, 19), ("FromEpilogue", 18, 18)],
            &[("WrongOption", 17, 17), ("OptionA", 16, 16)],
            &[("destreg", 14, 10), ("srcreg", 9, 5), ("sizereg", 4, 0)],
            NONE,
        ],
        ExceptionClass::FP_EXCEPTION32 | ExceptionClass::FP_EXCEPTION64 => [FP, NONE, NONE, NONE],
        ExceptionClass::GCS => {
            [&[("ExType", 23, 20), ("Raddr", 14, 10), ("Rn", 9, 5), ("IT", 4, 0)], NONE, NONE, NONE]
        }
        ExceptionClass::SERROR => [&[("IDS", 24, 24)], serror(iss), NONE, NONE],
        ExceptionClass::BREAKPOINT_LOWER | ExceptionClass::BREAKPOINT_SAME | ExceptionClass::VECTOR_CATCH => {
            [DEBUG, NONE, NONE, NONE]
        }
        ExceptionClass::STEP_LOWER | ExceptionClass::STEP_SAME => {
            [&[("ISV", 24, 24)], if bits::bit(iss, 24) { &[("EX", 6, 6)] } else { NONE }, DEBUG, NONE]
        }
        ExceptionClass::WATCHPOINT_LOWER | ExceptionClass::WATCHPOINT_SAME => [
            &[("WPT", 23, 18), ("WPTV", 17, 17), ("WPF", 16, 16), ("FnP", 15, 15)],
            &[("VNCR", 13, 13), ("FnV", 10, 10), ("CM", 8, 8), ("WnR", 6, 6), ("DFSC", 5, 0)],
            NONE,
            &[("GCS", 40, 40)],
        ],
        ExceptionClass::BKPT32 | ExceptionClass::BRK64 => [COMMENT, NONE, NONE, NONE],
        ExceptionClass::PMU => [&[("FSC", 5, 1), ("SYNC", 0, 0)], NONE, NONE, NONE],
        _ => [NONE, NONE, NONE, NONE],
    }
}

const ABORT: &[Span] =
    &[("FnV", 10, 10), ("EA", 9, 9), ("CM", 8, 8), ("S1PTW", 7, 7), ("WnR", 6, 6), ("DFSC", 5, 0)];
const DATA_ABORT_ISS2: &[Span] = &[
    ("HDBSSF", 43, 43),
    ("TnD", 42, 42),
    ("TagAccess", 41, 41),
    ("GCS", 40, 40),
    ("AssuredOnly", 39, 39),
    ("Overlay", 38, 38),
    ("DirtyBit", 37, 37),
    ("Xs", 36, 32),
];

/// A data abort's fields down to VNCR: with ISV those of the access.
fn access(iss: u64) -> &'static [Span] {
    if bits::bit(iss, 24) {
        &[
            ("ISV", 24, 24),
            ("SAS", 23, 22),
            ("SSE", 21, 21),
            ("SRT", 20, 16),
            ("SF", 15, 15),
            ("AR", 14, 14),
            ("VNCR", 13, 13),
        ]
    } else if is_external(iss) {
        &[("ISV", 24, 24), ("WU", 17, 16), ("FnP", 15, 15), ("PFV", 14, 14), ("VNCR", 13, 13)]
    } else if matches!(status(iss), Some(FaultStatus::Permission(_))) {
        &[("ISV", 24, 24), ("TopLevel", 21, 21), ("FnP", 15, 15), ("VNCR", 13, 13)]
    } else {
        &[("ISV", 24, 24), ("FnP", 15, 15), ("VNCR", 13, 13)]
    }
}

/// What bits \[12:11\] of a data abort are: the state of an error, or the kind of a 64-byte access.
fn error_or_kind(iss: u64) -> &'static [Span] {
    match status(iss) {
        Some(FaultStatus::External) => &[("SET", 12, 11)],
        Some(
            FaultStatus::Translation(_)
            | FaultStatus::AccessFlag(_)
            | FaultStatus::Permission(_)
            | FaultStatus::UnsupportedExclusive,
        ) => &[("LST", 12, 11)],
        _ => NONE,
    }
}

fn serror(iss: u64) -> &'static [Span] {
    if bits::bit(iss, 24) {
        &[("IMPDEF", 23, 0)]
    } else if bits::field(iss, 5, 0) == 0b01_0001 {
        &[
            ("WU", 17, 16),
            ("IESB", 13, 13),
            ("AET", 12, 10),
            ("EA", 9, 9),
            ("WnRV", 7, 7),
            ("WnR", 6, 6),
            ("DFSC", 5, 0),
        ]
    } else {
        &[("AET", 12, 10), ("EA", 9, 9), ("DFSC", 5, 0)]
    }
}

fn status(iss: u64) -> Option<FaultStatus> {
    FaultStatus::decode(bits::low8(bits::field(iss, 5, 0)))
}

/// Whether the fault status is 010000: an external abort, not on a walk.
fn is_external(iss: u64) -> bool {
    status(iss) == Some(FaultStatus::External)
}

/// Returns what a class stands for, in words. Arm ARM, ESR_EL1.EC.
#[must_use]
pub const fn describe(class: ExceptionClass) -> &'static str {
    match class {
        ExceptionClass::UNKNOWN => "unknown reason or undefined instruction",
        ExceptionClass::WFX => "trapped WFI, WFE, WFIT or WFET",
        ExceptionClass::CP15_32 => "trapped MCR or MRC, coprocessor 15",
        ExceptionClass::CP15_64 => "trapped MCRR or MRRC, coprocessor 15",
        ExceptionClass::CP14_32 => "trapped MCR or MRC, coprocessor 14",
        ExceptionClass::CP14_LS => "trapped LDC or STC",
        ExceptionClass::FP_ACCESS => "floating point, SIMD, SVE or SME disabled",
        ExceptionClass::CP10_ID => "trapped VMRS",
        ExceptionClass::PAUTH => "trapped pointer authentication",
        ExceptionClass::LS64 => "trapped 64-byte load or store",
        ExceptionClass::CP14_64 => "trapped MRRC, coprocessor 14",
        ExceptionClass::BRANCH_TARGET => "branch target",
        ExceptionClass::ILLEGAL_STATE => "illegal execution state",
        ExceptionClass::SVC32 => "SVC from AArch32",
        ExceptionClass::HVC32 => "HVC from AArch32",
        ExceptionClass::SMC32 => "SMC from AArch32",
        ExceptionClass::SYSTEM_ACCESS_128 => "trapped 128-bit system access",
        ExceptionClass::SVC64 => "SVC",
        ExceptionClass::HVC64 => "HVC",
        ExceptionClass::SMC64 => "SMC",
        ExceptionClass::SYSTEM_ACCESS => "trapped system access",
        ExceptionClass::SVE_ACCESS => "SVE disabled",
        ExceptionClass::ERET => "trapped ERET",
        ExceptionClass::TSTART => "trapped TSTART",
        ExceptionClass::PAC_FAIL => "pointer authentication failure",
        ExceptionClass::SME_ACCESS => "SME disabled or in the wrong mode",
        ExceptionClass::GPC => "granule protection check",
        ExceptionClass::INSTRUCTION_ABORT_LOWER => "instruction abort, lower level",
        ExceptionClass::INSTRUCTION_ABORT_SAME => "instruction abort, same level",
        ExceptionClass::PC_ALIGNMENT => "PC alignment",
        ExceptionClass::DATA_ABORT_LOWER => "data abort, lower level",
        ExceptionClass::DATA_ABORT_SAME => "data abort, same level",
        ExceptionClass::SP_ALIGNMENT => "SP alignment",
        ExceptionClass::MOPS => "memory copy or set",
        ExceptionClass::FP_EXCEPTION32 => "trapped floating-point exception from AArch32",
        ExceptionClass::FP_EXCEPTION64 => "trapped floating-point exception",
        ExceptionClass::GCS => "guarded control stack",
        ExceptionClass::SERROR => "SError",
        ExceptionClass::BREAKPOINT_LOWER => "breakpoint, lower level",
        ExceptionClass::BREAKPOINT_SAME => "breakpoint, same level",
        ExceptionClass::STEP_LOWER => "software step, lower level",
        ExceptionClass::STEP_SAME => "software step, same level",
        ExceptionClass::WATCHPOINT_LOWER => "watchpoint, lower level",
        ExceptionClass::WATCHPOINT_SAME => "watchpoint, same level",
        ExceptionClass::BKPT32 => "BKPT from AArch32",
        ExceptionClass::VECTOR_CATCH => "vector catch from AArch32",
        ExceptionClass::BRK64 => "BRK",
        ExceptionClass::PMU => "profiling exception",
        _ => "reserved class",
    }
}

/// Value, class in words, IL if 0, every field, and reserved bits if set:
/// `0x92000047 data abort, lower level: ISV=0 … WnR=1 DFSC=0x7 (translation fault, level 3)`.
impl fmt::Display for EsrEl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} {}", self.into_bits(), describe(self.ec()))?;
        if self.ec() == ExceptionClass::SYSTEM_ACCESS {
            let super::SystemAccess { id, rt, direction } = super::SystemAccess::decode(self.iss());
            match direction {
                super::Direction::Read => write!(f, " MRS X{rt}, {id}")?,
                super::Direction::Write => write!(f, " MSR {id}, X{rt}")?,
            }
        }
        let mut before = ":";
        if !self.il() {
            write!(f, "{before} IL=0")?;
            before = "";
        }
        for Field { name, high, low, value } in fields(*self) {
            if high == low || value < 10 {
                write!(f, "{before} {name}={value}")?;
            } else {
                write!(f, "{before} {name}={value:#x}")?;
            }
            before = "";
            if matches!(name, "IFSC" | "DFSC" | "xFSC") {
                meaning(f, self.ec(), bits::low8(value))?;
            }
        }
        match reserved(*self) {
            0 => Ok(()),
            bits => write!(f, "{before} reserved={bits:#x}"),
        }
    }
}

/// What a fault status means in its class.
fn meaning(f: &mut fmt::Formatter<'_>, class: ExceptionClass, code: u8) -> fmt::Result {
    let is_debug = class.into_bits() >= ExceptionClass::BREAKPOINT_LOWER.into_bits();
    match (class, FaultStatus::decode(code)) {
        _ if is_debug && code == crate::fault::DEBUG_STATUS => f.write_str(" (debug exception)"),
        (ExceptionClass::SERROR, _) => match code {
            0 => f.write_str(" (uncategorised)"),
            0b01_0001 => f.write_str(" (asynchronous)"),
            _ => f.write_str(" (reserved)"),
        },
        (_, Some(status)) if !is_debug => write!(f, " ({status})"),
        _ => f.write_str(" (reserved)"),
    }
}

impl fmt::Display for super::Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.encode(), f)
    }
}

/// "translation fault, level 3". Arm ARM, ESR_EL1, DFSC.
impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressSize(_) => "address size fault",
            Self::Translation(_) => "translation fault",
            Self::AccessFlag(_) => "access flag fault",
            Self::Permission(_) => "permission fault",
            Self::External => "synchronous external abort",
            Self::TagCheck => "synchronous tag check fault",
            Self::ExternalOnWalk(_) => "synchronous external abort on a walk",
            Self::Parity => "synchronous parity or ECC error",
            Self::ParityOnWalk(_) => "synchronous parity or ECC error on a walk",
            Self::Alignment => "alignment fault",
            Self::GranuleProtectionOnWalk(_) => "granule protection fault on a walk",
            Self::GranuleProtection => "granule protection fault",
            Self::TlbConflict => "TLB conflict abort",
            Self::UnsupportedAtomicUpdate => "unsupported atomic hardware update",
            Self::Lockdown => "implementation defined, lockdown",
            Self::UnsupportedExclusive => "unsupported exclusive or atomic access",
        })?;
        match self.level() {
            Some(level) => write!(f, ", level {}", level.number()),
            None => Ok(()),
        }
    }
}

/// The reason of a granule protection check: six bits, the lowest of which is the level of the table.
/// Arm ARM, ESR_EL3, GPCSC.
impl Gpc {
    /// Returns what GPCSC says; `None` where it is reserved. Arm ARM, ESR_EL3, GPCSC.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        Some(match self.gpcsc() {
            0b00_0000 => "granule protection table address size fault, level 0",
            0b00_0100 => "granule protection table walk fault, level 0",
            0b00_0101 => "granule protection table walk fault, level 1",
            0b00_1100 => "granule protection fault, level 0",
            0b00_1101 => "granule protection fault, level 1",
            0b01_0100 => "external abort on a granule protection table fetch, level 0",
            0b01_0101 => "external abort on a granule protection table fetch, level 1",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn text_names_class_fields_and_meaning() {
        const CASES: &[(u64, &str)] = &[
            (0x0200_0000, "0x2000000 unknown reason or undefined instruction"),
            (0x5600_0007, "0x56000007 SVC: imm16=7"),
            (
                0x6230_006f,
                "0x6230006f trapped system access MRS X3, S3_0_C0_C7_0: Op0=3 Op2=0 Op1=0 CRn=0 Rt=3 CRm=7 Direction=1",
            ),
            (
                0x9600_0047,
                "0x96000047 data abort, same level: ISV=0 FnP=0 VNCR=0 LST=0 FnV=0 EA=0 CM=0 S1PTW=0 WnR=1 DFSC=7 (translation fault, level 3) HDBSSF=0 TnD=0 TagAccess=0 GCS=0 AssuredOnly=0 Overlay=0 DirtyBit=0 Xs=0",
            ),
            (0xca00_0022, "0xca000022 software step, lower level: ISV=0 IFSC=0x22 (debug exception)"),
            (0xbf00_0000, "0xbf000000 SError: IDS=1 IMPDEF=0"),
            (
                0xbe00_0811,
                "0xbe000811 SError: IDS=0 WU=0 IESB=0 AET=2 EA=0 WnRV=0 WnR=0 DFSC=0x11 (asynchronous)",
            ),
            (0x0800_0001, "0x8000001 reserved class: IL=0 reserved=0x1"),
        ];
        for (value, want) in CASES {
            assert_eq!(format!("{}", EsrEl::from_bits(*value)), *want, "{value:#x}");
        }
    }

    #[test]
    fn fields_of_a_class_never_overlap_and_stay_in_iss_and_iss2() {
        for ec in 0..64u64 {
            for iss in [0, 1 << 24, 0x10, 0x11, 0x07, 0x100_0010, 0x35] {
                let esr = EsrEl::from_bits(ec << 26 | iss);
                let mut seen = 0u64;
                for field in fields(esr) {
                    let mask = bits::with_field(0, u32::from(field.high), u32::from(field.low), u64::MAX);
                    assert_eq!(seen & mask, 0, "{esr:?}: {}", field.name);
                    assert_eq!(mask & 0xff00_0000_fe00_0000, 0, "{esr:?}: {}", field.name);
                    seen |= mask;
                }
                assert_eq!(
                    reserved(EsrEl::from_bits(esr.into_bits() & !0xfe00_0000 | ec << 26)),
                    iss & !seen
                );
            }
        }
    }

    #[test]
    fn isv_and_the_fault_status_decide_which_fields_there_are() {
        let names = |value| fields(EsrEl::from_bits(value)).map(|f| f.name).collect::<Vec<_>>();
        assert!(names(0x9300_0047).contains(&"SRT") && !names(0x9200_0047).contains(&"SRT"));
        assert!(names(0x9200_0010).contains(&"SET") && names(0x9200_0007).contains(&"LST"));
        assert!(!names(0x9200_0021).contains(&"SET") && !names(0x9200_0021).contains(&"LST"));
        assert!(names(0xcb00_0022).contains(&"EX") && !names(0xca00_0022).contains(&"EX"));
        // TopLevel is of permission faults, where SSE is not; ISS2 of granule protection checks has two fields. Arm
        // ARM, AArch64.FaultSyndrome, TakeGPCException.
        assert!(names(0x9220_000f).contains(&"TopLevel") && !names(0x9320_000f).contains(&"TopLevel"));
        assert!(!names(0x9200_0007).contains(&"TopLevel"));
        for (value, fields) in [
            (0x0000_0900_7a00_0028, &["HDBSSF", "GCS"][..]),
            (0x0000_08e0_8220_000f, &["TopLevel", "HDBSSF", "AssuredOnly", "Overlay", "DirtyBit"]),
            (0x0000_0fff_9220_000f, &["TopLevel", "HDBSSF", "TnD", "TagAccess", "GCS", "DirtyBit", "Xs"]),
            (0x0000_0100_d200_0022, &["GCS"]),
        ] {
            assert_eq!(reserved(EsrEl::from_bits(value)), 0, "{value:#x}");
            assert!(fields.iter().all(|field| names(value).contains(field)), "{value:#x}");
        }
    }
}
