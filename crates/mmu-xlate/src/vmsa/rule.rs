//! The rules that decide a walk, by name, for whoever explains one.

use core::fmt;

/// A rule that decided something in a walk: [`Rule::says`] what, [`Rule::cite`] where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// VA bit 55 is 0.
    LowerRange,
    /// VA bit 55 is 1.
    UpperRange,
    /// The regime has one range.
    OneRange,
    /// Stage 1 does not translate.
    Stage1Off,
    /// Bits above the input size.
    InputOutOfRange,
    /// `TCR_ELx.E0PD`.
    BarredToEl0,
    /// `TCR_ELx.NFD`.
    NonFaultLoad,
    /// `TCR_ELx.EPD`.
    WalksDisabled,
    /// TxSZ, SL0, SL2, SKL.
    StartInvalid,
    /// The base register's address.
    BaseTooLarge,
    /// Where the first table is not one of one granule.
    FirstTable,
    /// No memory behind a descriptor.
    NoMemory,
    /// Bit 0.
    NotValid,
    /// Bits 1:0, SKL.
    NotAllowedHere,
    /// The next table's address.
    NextTableTooLarge,
    /// The output address.
    OutputTooLarge,
    /// AF 0, HA 0.
    AccessFlagClear,
    /// AF 0, HA 1.
    AccessFlagSet,
    /// AF of a table 0, HAFT.
    TableAccessFlagSet,
    /// A Device and an unaligned address.
    DeviceUnaligned,
    /// DBM with HD.
    DirtyManaged,
    /// HD makes the location dirty.
    DirtySet,
    /// A clean location that hardware does not make dirty.
    Clean,
    /// POR, S2POR.
    OverlayDenies,
    /// AP, PIR, S2AP, S2PIR.
    BaseDenies,
    /// `PSTATE.PAN`.
    PanApplies,
    /// SIF and its like.
    OtherSpace,
    /// `HCR_EL2.PTW`.
    WalkInDevice,
    /// `VTCR_EL2.TL0`, TL1.
    NotTopLevel,
    /// AssuredOnly.
    NotAssured,
    /// NoTagAccess.
    NoTags,
    /// Canonical tags.
    CanonicalTags,
    /// AT ...A.
    AddressOnly,
    /// Another writer was first.
    RaceLost,
    /// The memory cannot do it.
    UpdateUnsupported,
    /// The stage 2 results of stage 1 tables came from the caller's cache.
    FromCache,
    /// The granule is not of the space, or its check failed.
    GranuleRefuses,
    /// All checks passed.
    Permitted,
}

impl Rule {
    /// Returns the rule in a sentence.
    #[must_use]
    pub const fn says(self) -> &'static str {
        self.words().0
    }

    /// Returns where the rule stands: "Arm ARM" is meant throughout.
    #[must_use]
    pub const fn cite(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LowerRange => ("VA[55] is 0: the lower range, TTBR0", "AArch64.GetVARange"),
            Self::UpperRange => ("VA[55] is 1: the upper range, TTBR1", "AArch64.GetVARange"),
            Self::OneRange => {
                ("the regime has one range: TTBR0, whatever VA[55] is", "AArch64.HasUnprivileged")
            }
            Self::Stage1Off => (
                "stage 1 is off: the output is the input",
                "SCTLR_ELx.M, HCR_EL2.{TGE,DC}, AArch64.S1DisabledOutput",
            ),
            Self::InputOutOfRange => (
                "bits above the input size do not agree with the range: Translation fault, level 0",
                "TCR_ELx.TxSZ and TBI, AArch64.VAIsOutOfRange, AArch64.IPAIsOutOfRange",
            ),
            Self::BarredToEl0 => {
                ("EL0 may not use this range: Translation fault, level 0", "TCR_EL1.E0PD0, E0PD1")
            }
            Self::NonFaultLoad => (
                "non-fault loads of EL0 do not walk in this range: Translation fault, level 0",
                "TCR_EL1.NFD0, NFD1",
            ),
            Self::WalksDisabled => {
                ("walks of this range are disabled: Translation fault, level 0", "TCR_EL1.EPD0, EPD1")
            }
            Self::StartInvalid => (
                "the input size or start level is out of its limits: Translation fault, level 0",
                "TCR_ELx.TxSZ, VTCR_EL2.SL0, AArch64.S1TxSZFaults, AArch64.S2InvalidSL, AArch64.S2InconsistentSL",
            ),
            Self::BaseTooLarge => (
                "the table base is beyond the output size: Address size fault, level 0",
                "TCR_ELx.IPS, AArch64.OAOutOfRange",
            ),
            Self::FirstTable => (
                "the first table has as many index bits as the input size leaves",
                "AArch64.S1StartLevel, AArch64.S2StartLevel",
            ),
            Self::NoMemory => {
                ("there is no memory at the descriptor: external abort on the walk", "HandleExternalTTWAbort")
            }
            Self::NotValid => ("bit 0 is 0: Translation fault", "AArch64.DecodeDescriptorType"),
            Self::NotAllowedHere => (
                "neither a table nor a leaf may stand at this level: Translation fault",
                "AArch64.DecodeDescriptorType",
            ),
            Self::NextTableTooLarge => (
                "the next table is beyond the output size: Address size fault",
                "TCR_ELx.IPS, AArch64.OAOutOfRange",
            ),
            Self::OutputTooLarge => (
                "the output address is beyond the output size: Address size fault",
                "TCR_ELx.IPS, AArch64.OAOutOfRange",
            ),
            Self::AccessFlagClear => {
                ("AF is 0 and hardware does not set it: Access flag fault", "TCR_ELx.HA")
            }
            Self::AccessFlagSet => ("AF is 0 and hardware sets it", "TCR_ELx.HA"),
            Self::TableAccessFlagSet => ("AF of the table is 0 and hardware sets it", "TCR2_ELx.HAFT"),
            Self::DeviceUnaligned => (
                "the address is not aligned, and the memory is a Device: Alignment fault",
                "AArch64.S1HasAlignmentFaultDueToMemType",
            ),
            Self::DirtyManaged => {
                ("hardware manages the dirty state here: it counts as writable", "TCR_ELx.HD, DBM")
            }
            Self::DirtySet => ("hardware makes the location dirty", "TCR_ELx.HD"),
            Self::Clean => (
                "the location is clean and hardware does not make it dirty: Permission fault, DirtyBit",
                "ESR_ELx.DirtyBit",
            ),
            Self::OverlayDenies => {
                ("the overlay does not permit it: Permission fault, Overlay", "POR_ELx, S2POR_EL1")
            }
            Self::BaseDenies => (
                "the base permissions do not permit it: Permission fault",
                "AArch64.S1CheckPermissions, AArch64.S2CheckPermissions",
            ),
            Self::PanApplies => (
                "PSTATE.PAN takes privileged data accesses away, as EL0 can reach the location",
                "PSTATE.PAN, SCTLR_ELx.EPAN",
            ),
            Self::OtherSpace => ("nothing is executed from memory of another address space", "SCR_EL3.SIF"),
            Self::WalkInDevice => {
                ("a table of stage 1 is in Device memory of stage 2: Permission fault", "HCR_EL2.PTW")
            }
            Self::NotTopLevel => (
                "the first table of stage 1 is not where one may be: Permission fault, TopLevel",
                "VTCR_EL2.{TL0,TL1}, ESR_EL2.TopLevel",
            ),
            Self::NotAssured => (
                "the translation of stage 1 is not assured: Permission fault, AssuredOnly",
                "VTCR_EL2.AssuredOnly, ESR_EL2.AssuredOnly",
            ),
            Self::NoTags => (
                "stage 2 permits no access to tags: Permission fault, TagAccess",
                "HCR_EL2.FWB, FEAT_MTE_PERM, ESR_EL2.TagAccess",
            ),
            Self::CanonicalTags => (
                "a tag store to memory with canonical tags: Permission fault, TnD",
                "FEAT_MTE_CANONICAL_TAGS, ESR_ELx.TnD",
            ),
            Self::AddressOnly => {
                ("the instruction asks for the address alone: permissions are not checked", "AT S1E1A")
            }
            Self::RaceLost => (
                "the descriptor changed before it could be updated: the walk starts again",
                "AArch64.MemSwapTableDesc",
            ),
            Self::UpdateUnsupported => (
                "the memory cannot be updated atomically: the fault of that name",
                "AArch64.MemSwapTableDesc",
            ),
            Self::GranuleRefuses => (
                "granule protection does not let this address be accessed: Granule protection fault",
                "GPCCR_EL3, GranuleProtectionCheck",
            ),
            Self::FromCache => (
                "the address of this table is known from an earlier walk",
                "\"Translation Lookaside Buffers\"",
            ),
            Self::Permitted => {
                ("the access is permitted", "AArch64.S1CheckPermissions, AArch64.S2CheckPermissions")
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.says(), self.cite())
    }
}
