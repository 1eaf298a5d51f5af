//! `arm_arch::iss` against another reading of the manual, the crate `aarch64-esr-decoder`, over 200,000 syndromes.
//!
//! Where both decode a value, every field has the same name, place and value, and the fault status and the trapped
//! instruction mean the same. Where they differ, a reason of `docs/differences-esr.md` has to apply, by number.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm
)]

use aarch64_esr_decoder::{DecodeError, FieldInfo};
use arm_arch::iss::{self, Direction, Field, Syndrome, SystemAccess};
use arm_arch::{EsrEl, ExceptionClass, FaultStatus, Level};
use std::collections::BTreeMap;

/// The reasons of `docs/differences-esr.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reason {
    /// 1. The peer knows no such class.
    NewClass,
    /// 2. The peer calls RES0 what a newer manual names, or what another class shares.
    NewField,
    /// 3. The peer refuses a value with reserved bits; here they are shown apart.
    ReservedBits,
    /// 4. The peer refuses a fault status of level −2.
    NewStatus,
    /// 5. The peer refuses a field with a reserved value; here it is shown.
    ReservedValue,
    /// 6. The peer refuses the AET of a corrected error: it compares with 0x110 in place of 0b110.
    Corrected,
    /// 7. The peer names Opc1 of MCRR and MRRC "Opc2".
    Opc1,
}

/// Classes that the peer does not know.
const NEW_CLASSES: &[u8] = &[0x08, 0x09, 0x12, 0x13, 0x14, 0x1a, 0x1b, 0x1d, 0x1e, 0x27, 0x2d, 0x3a, 0x3d];
/// Fields that the peer does not know, with their classes.
const NEW_FIELDS: &[(&[u8], &[&str])] = &[
    (&[0x1e], &["HDBSSF", "GCS"]),
    (&[0x20, 0x21], &["TopLevel", "PFV", "HDBSSF", "AssuredOnly", "Overlay", "DirtyBit"]),
    (
        &[0x24, 0x25],
        &[
            "TopLevel",
            "WU",
            "FnP",
            "PFV",
            "LST",
            "HDBSSF",
            "TnD",
            "TagAccess",
            "GCS",
            "AssuredOnly",
            "Overlay",
            "DirtyBit",
            "Xs",
        ],
    ),
    (&[0x2f], &["WU", "WnRV", "WnR"]),
    (&[0x34, 0x35], &["WPT", "WPTV", "WPF", "FnP", "FnV", "GCS"]),
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A syndrome of a class in turn: most keep to the fields of the class, and some have ISS2.
fn syndrome(random: &mut Random, number: u64) -> EsrEl {
    // Classes that the peer knows are half of all.
    const KNOWN: &[u64] = &[
        0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0c, 0x0d, 0x0e, 0x11, 0x15, 0x16, 0x17, 0x18, 0x19,
        0x1c, 0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x28, 0x2c, 0x2f, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x38,
        0x3c,
    ];
    let class = if number % 2 == 0 { number / 2 % 64 } else { KNOWN[(number / 2 % 35) as usize] };
    let mut value = class << 26 | random.word() & 0x3ff_ffff;
    let form = random.word() % 16;
    if form < 13 {
        let status: &[u64] = match class {
            0x2f => &[0x00, 0x11],
            0x30..=0x3f => &[0x22],
            _ => &[0x10, 0x10, 0x00, 0x04, 0x07, 0x0d, 0x0f, 0x21, 0x12, 0x2b, 0x35],
        };
        if matches!(class, 0x1e..=0x25 | 0x2f..=0x37) {
            value = value & !0x3f | status[random.word() as usize % status.len()];
        }
    }
    if matches!(form, 11..=14) {
        value |= random.word() & 0xfff_0000_0000;
    }
    if form < 12 {
        value &= !iss::reserved(EsrEl::from_bits(value));
    }
    EsrEl::from_bits(value)
}

fn is_new_field(ec: u8, name: &str) -> bool {
    NEW_FIELDS.iter().any(|(classes, names)| classes.contains(&ec) && names.contains(&name))
}

/// Whether bits that only new fields have are set.
fn has_new_bits(esr: EsrEl) -> bool {
    iss::fields(esr).any(|f| f.value != 0 && is_new_field(esr.ec().into_bits(), f.name))
}

/// Why the peer may refuse a value.
fn refused(esr: EsrEl, error: &DecodeError) -> Option<Reason> {
    let ec = esr.ec().into_bits();
    let iss = u64::from(esr.iss());
    Some(match error {
        DecodeError::InvalidEc { .. } if esr.ec().name().is_none() => {
            assert!(matches!(Syndrome::decode(esr), Syndrome::Other(iss::Other::Reserved(..))));
            Reason::ReservedValue
        }
        DecodeError::InvalidEc { .. } if NEW_CLASSES.contains(&ec) => Reason::NewClass,
        DecodeError::InvalidRes0 { .. } if iss::reserved(esr) != 0 => Reason::ReservedBits,
        DecodeError::InvalidRes0 { .. } if has_new_bits(esr) => Reason::NewField,
        DecodeError::InvalidFsc { fsc } => match FaultStatus::decode(*fsc as u8) {
            Some(status) if status.level() == Some(Level::Minus2) => Reason::NewStatus,
            // In debug exceptions and SErrors all but one or two values are reserved.
            _ if ec >= 0x2f => Reason::ReservedValue,
            None => Reason::ReservedValue,
            Some(_) => return None,
        },
        DecodeError::InvalidSet { set: 1 } => Reason::ReservedValue,
        DecodeError::InvalidAet { aet: 6 } => Reason::Corrected,
        DecodeError::InvalidAet { .. } if !matches!(iss >> 10 & 7, 0..=3 | 6) => Reason::ReservedValue,
        DecodeError::InvalidAm { am: 5 | 7 } => Reason::ReservedValue,
        DecodeError::InvalidLd64bIss { iss } if *iss > 2 => Reason::ReservedValue,
        _ => return None,
    })
}

/// Compares the fields of a value that the peer decodes; returns the reasons that were needed.
fn compare(esr: EsrEl, peer: &[FieldInfo]) -> Result<Vec<Reason>, String> {
    let ec = esr.ec().into_bits();
    let top: BTreeMap<&str, &FieldInfo> = peer.iter().map(|f| (f.name, f)).collect();
    if (top["EC"].value, top["IL"].value) != (u64::from(ec), u64::from(esr.il())) {
        return Err("EC or IL".into());
    }
    let mut reasons = Vec::new();
    let mut theirs: Vec<&FieldInfo> = top["ISS"].subfields.iter().filter(|f| f.name != "RES0").collect();
    for ours in iss::fields(esr) {
        let width = usize::from(ours.high - ours.low) + 1;
        let same =
            |f: &&FieldInfo| f.start == usize::from(ours.low) && f.width == width && f.value == ours.value;
        let Some(at) = theirs.iter().position(same) else {
            if !is_new_field(ec, ours.name) {
                return Err(format!("{} is not in the peer's fields", ours.name));
            }
            if ours.value != 0 {
                reasons.push(Reason::NewField);
            }
            continue;
        };
        let found = theirs.swap_remove(at);
        match (ours.name, found.name) {
            (a, b) if a == b => {}
            ("Opc1", "Opc2") if matches!(ec, 0x04 | 0x0c) => reasons.push(Reason::Opc1),
            (a, b) => return Err(format!("{a} is {b} for the peer")),
        }
        meaning(esr, ours, found)?;
    }
    if let Some(left) = theirs.first() {
        return Err(format!("the peer's {} is no field here", left.name));
    }
    if let (ExceptionClass::SYSTEM_ACCESS, Some(text)) = (esr.ec(), &top["ISS"].description) {
        instruction(esr, text)?;
    }
    Ok(reasons)
}

/// Compares what a fault status of an abort says.
fn meaning(esr: EsrEl, ours: Field, theirs: &FieldInfo) -> Result<(), String> {
    if !matches!(esr.ec().into_bits(), 0x20 | 0x21 | 0x24 | 0x25) || !matches!(ours.name, "IFSC" | "DFSC") {
        return Ok(());
    }
    let status = FaultStatus::decode(ours.value as u8).ok_or("a reserved status that the peer knows")?;
    let text = theirs.description.as_deref().unwrap_or_default();
    let begin = match status {
        FaultStatus::AddressSize(_) => "Address size fault",
        FaultStatus::Translation(_) => "Translation fault",
        FaultStatus::AccessFlag(_) => "Access flag fault",
        FaultStatus::Permission(_) => "Permission fault",
        FaultStatus::External => "Synchronous External abort, not on",
        FaultStatus::TagCheck => "Synchronous Tag Check Fault",
        FaultStatus::ExternalOnWalk(_) => "Synchronous External abort on translation table walk",
        FaultStatus::Parity => "Synchronous parity or ECC error on memory access, not on",
        FaultStatus::ParityOnWalk(_) => "Synchronous parity or ECC error on memory access on translation",
        FaultStatus::Alignment => "Alignment fault",
        FaultStatus::GranuleProtectionOnWalk(_) => "Granule Protection Fault on translation table walk",
        FaultStatus::GranuleProtection => "Granule Protection Fault, not on",
        FaultStatus::TlbConflict => "TLB conflict abort",
        FaultStatus::UnsupportedAtomicUpdate => "Unsupported atomic hardware update",
        FaultStatus::Lockdown => "IMPLEMENTATION DEFINED fault (Lockdown)",
        FaultStatus::UnsupportedExclusive => "IMPLEMENTATION DEFINED fault (Unsupported Exclusive",
    };
    let level = status.level().map(|level| format!("level {}", level.number()));
    if text.starts_with(begin) && level.is_none_or(|level| text.contains(&level)) {
        Ok(())
    } else {
        Err(format!("{status} is '{text}' for the peer"))
    }
}

/// Compares direction and register of a trapped access; the peer names the system register.
fn instruction(esr: EsrEl, text: &str) -> Result<(), String> {
    let access = SystemAccess::decode(esr.iss());
    let register = format!("x{}", access.rt);
    let right = match access.direction {
        Direction::Read => text.starts_with(&format!("MRS {register}, ")),
        Direction::Write => text.starts_with("MSR ") && text.ends_with(&format!(", {register}")),
    };
    if right { Ok(()) } else { Err(format!("{access:?} is '{text}' for the peer")) }
}

#[test]
fn every_difference_from_aarch64_esr_decoder_has_a_reason() {
    const VALUES: u64 = 200_000;
    let mut random = Random(0x4553_5200);
    let mut agreed = 0u64;
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    for number in 0..VALUES {
        let esr = syndrome(&mut random, number);
        let value = esr.into_bits();
        assert_eq!(Syndrome::decode(esr).encode().into_bits() & 0xfdff_ffff, value & 0xfdff_ffff);
        let found = match aarch64_esr_decoder::decode(value) {
            Ok(fields) => compare(esr, &fields).unwrap_or_else(|e| panic!("{value:#x}: {e}\n{esr}")),
            Err(error) => {
                vec![refused(esr, &error).unwrap_or_else(|| panic!("{value:#x}: {error}\n{esr}"))]
            }
        };
        agreed += u64::from(found.is_empty());
        for reason in found {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    println!("{VALUES} values, {agreed} without a difference");
    for (reason, count) in &reasons {
        println!("{count:>8} {reason:?}");
    }
    assert!(agreed > VALUES * 2 / 5, "{agreed} of {VALUES} agree: {reasons:?}");
    // A reason that no value needs would be a reason that hides something.
    assert_eq!(reasons.len(), 7, "{reasons:?}");
}
