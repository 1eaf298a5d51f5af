//! What options and sessions call things.

use crate::Error;
use crate::input::number;
use crate::z::entry;
use arm_arch::{ExceptionLevel, Granule, Level};
use mmu_xlate::dat::Facilities;
use mmu_xlate::vmsa::{
    Access, AccessKind, AtOperation, HardwareUpdates, Implementation, Privilege, Regime, Space, Stage,
};
use testkit::vectors::vmsa::KINDS;

/// Puts an access together.
pub fn access(
    kind: AccessKind,
    el: ExceptionLevel,
    unprivileged: bool,
    pan: bool,
    unaligned: bool,
) -> Access {
    let user = unprivileged || el == ExceptionLevel::El0;
    let privilege = if user { Privilege::Unprivileged } else { Privilege::Privileged };
    let access = Access::new(kind, privilege).with_pan(pan);
    if unaligned { access.unaligned() } else { access }
}

/// Takes a facility away.
pub fn remove_facility(facilities: &mut Facilities, name: &str) -> Result<(), Error> {
    *match name {
        "edat1" => &mut facilities.edat1,
        "edat2" => &mut facilities.edat2,
        "iep" => &mut facilities.iep,
        "fsi" => &mut facilities.fsi,
        "esop2" => &mut facilities.esop2,
        _ => return Err(Error::new(format!("'{name}' is none of edat1, edat2, iep, fsi, esop2"))),
    } = false;
    Ok(())
}

/// A level of either architecture.
pub enum TableLevel {
    /// Of Arm.
    Arm(Level),
    /// Of z/Architecture.
    Dat(s390_arch::dat::Level),
}

/// Reads a level.
pub fn table_level(text: &str) -> Result<TableLevel, Error> {
    if let Some((_, level)) = entry::LEVELS.iter().find(|(name, _)| *name == text) {
        return Ok(TableLevel::Dat(*level));
    }
    let level = text.parse().ok().and_then(Level::from_number);
    level.map(TableLevel::Arm).ok_or_else(|| {
        Error::new(format!("level '{text}' is none of -2 to 3, region1, region2, region3, segment, page"))
    })
}

/// Reads a program-interruption code.
pub fn pic(text: &str) -> Result<u16, String> {
    u16::try_from(number(text)?).map_err(|_| format!("'{text}' has more than 16 bits"))
}

/// Reads a kind of access.
pub fn access_kind(text: &str) -> Result<AccessKind, String> {
    let found = KINDS.iter().find(|(name, _)| *name == text);
    found.map(|(_, kind)| *kind).ok_or_else(|| one_of(KINDS.iter().map(|(name, _)| *name)))
}

/// Reads a kind of access of z/Architecture.
pub fn dat_access(text: &str) -> Result<mmu_xlate::dat::Access, String> {
    use mmu_xlate::dat::Access;
    match text {
        "load" | "fetch" => Ok(Access::Fetch),
        "store" => Ok(Access::Store),
        "ifetch" => Ok(Access::InstructionFetch),
        _ => Err(one_of(["load", "store", "ifetch"].into_iter())),
    }
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    format!("one of {}", names.collect::<Vec<_>>().join(", "))
}

/// Reads an exception level.
pub fn exception_level(text: &str) -> Result<ExceptionLevel, String> {
    let digit = text.strip_prefix("el").or_else(|| text.strip_prefix("EL")).unwrap_or(text);
    digit
        .parse()
        .ok()
        .and_then(ExceptionLevel::from_number)
        .ok_or_else(|| "an exception level is 0 to 3".into())
}

/// Reads an AT operation.
pub fn at_operation(text: &str) -> Result<AtOperation, String> {
    let name = text.to_ascii_uppercase();
    let found = AtOperation::ALL.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, operation)| *operation)
        .ok_or_else(|| one_of(AtOperation::ALL.iter().map(|(name, _)| *name)))
}

/// Reads a regime.
pub fn regime(text: &str) -> Result<Regime, String> {
    match text.to_ascii_lowercase().as_str() {
        "el10" | "el1&0" | "el1" => Ok(Regime::El1And0),
        "el20" | "el2&0" => Ok(Regime::El2And0),
        "el2" => Ok(Regime::El2),
        "el3" => Ok(Regime::El3),
        _ => Err(one_of(["el10", "el20", "el2", "el3"].into_iter())),
    }
}

/// Reads a security state.
pub fn security(text: &str) -> Result<Space, String> {
    match text {
        "non-secure" => Ok(Space::NonSecure),
        "secure" => Ok(Space::Secure),
        "realm" => Ok(Space::Realm),
        _ => Err(one_of(["non-secure", "secure", "realm"].into_iter())),
    }
}

/// Reads a stage.
pub fn stage(text: &str) -> Result<Stage, String> {
    match text {
        "1" => Ok(Stage::One),
        "2" => Ok(Stage::Two),
        _ => Err("a stage is 1 or 2".into()),
    }
}

/// Reads a granule.
pub fn granule(text: &str) -> Result<Granule, String> {
    match text.to_ascii_lowercase().as_str() {
        "4k" => Ok(Granule::Size4K),
        "16k" => Ok(Granule::Size16K),
        "64k" => Ok(Granule::Size64K),
        _ => Err(one_of(["4k", "16k", "64k"].into_iter())),
    }
}

/// Reads the name of an implementation.
pub fn implementation(text: &str) -> Result<Implementation, String> {
    match text {
        "armv8.0" => Ok(Implementation::ARMV8_0),
        "all" => Ok(Implementation::ALL),
        _ => Err(one_of(["armv8.0", "all"].into_iter())),
    }
}

/// Puts a feature in, or with `no-` takes it out.
pub fn set_feature(all: &mut Implementation, text: &str) -> Result<(), Error> {
    let lower = text.to_ascii_lowercase();
    let (name, there) = match lower.strip_prefix("no-") {
        Some(name) => (name, false),
        None => (lower.as_str(), true),
    };
    let name = name.strip_prefix("feat_").unwrap_or(name);
    *match name {
        "hafdbs" | "haft" => {
            all.hafdbs = match (name, there) {
                ("haft", true) => HardwareUpdates::TableAccessFlag,
                ("haft", false) => all.hafdbs.min(HardwareUpdates::DirtyState),
                (_, true) => all.hafdbs.max(HardwareUpdates::DirtyState),
                (_, false) => HardwareUpdates::None,
            };
            return Ok(());
        }
        "el2" => &mut all.el2,
        "el3" => &mut all.el3,
        "4k" => &mut all.granule_4k,
        "16k" => &mut all.granule_16k,
        "64k" => &mut all.granule_64k,
        "ttst" => &mut all.ttst,
        "lva" => &mut all.lva,
        "lva3" => &mut all.lva3,
        "lpa" => &mut all.lpa,
        "lpa2" => &mut all.lpa2,
        "d128" => &mut all.d128,
        "hpds" => &mut all.hpds,
        "vhe" => &mut all.vhe,
        "sel2" => &mut all.sel2,
        "rme" => &mut all.rme,
        "nv" => &mut all.nv,
        "pan3" => &mut all.pan3,
        "e0pd" => &mut all.e0pd,
        "sve" => &mut all.nfd,
        "pauth" => &mut all.tbid,
        "mte_no_address_tags" => &mut all.mtx,
        "mte_perm" => &mut all.mte_perm,
        "cmow" => &mut all.cmow,
        "xnx" => &mut all.xnx,
        "s2fwb" => &mut all.fwb,
        "xs" => &mut all.xs,
        "tcr2" => &mut all.tcr2,
        "s1pie" => &mut all.s1pie,
        "s2pie" => &mut all.s2pie,
        "s1poe" => &mut all.s1poe,
        "s2poe" => &mut all.s2poe,
        "aie" => &mut all.aie,
        "the" => &mut all.the,
        "fgt" => &mut all.fgt,
        "pan2" => &mut all.pan2,
        "ats1a" => &mut all.ats1a,
        "mte2" => &mut all.mte2,
        "mte_canonical_tags" => &mut all.mte_canonical_tags,
        _ => return Err(Error::new(format!("'{text}' is no feature that translation knows"))),
    } = there;
    Ok(())
}
