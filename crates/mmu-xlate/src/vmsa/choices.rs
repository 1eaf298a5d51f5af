//! What the architecture leaves open, and what this walker does: one row for each `CHOICE:` in the code.

/// One point that the architecture leaves to the implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// A short name.
    pub name: &'static str,
    /// What is permitted.
    pub permitted: &'static str,
    /// What is done here.
    pub chosen: &'static str,
}

/// Every choice that a walk, AT or TLBI depends on.
/// Arm ARM, "AArch64 CONSTRAINED UNPREDICTABLE behaviors", unless the row says otherwise.
pub const CHOICES: &[Choice] = &[
    Choice {
        name: "TxSZ out of range",
        permitted: "a Translation fault at level 0, or the nearest limit",
        chosen: "the fault",
    },
    Choice {
        name: "TG reserved or not implemented",
        permitted: "any implemented granule",
        chosen: "the smallest implemented granule",
    },
    Choice {
        name: "SKL beyond level 3",
        permitted: "UNPREDICTABLE for a start level that does not exist",
        chosen: "a Translation fault at level 0",
    },
    Choice {
        name: "MAIR byte UNPREDICTABLE",
        permitted: "any memory type",
        chosen: "Device-nGnRnE; 0xf0 without tags is Write-Back",
    },
    Choice { name: "SH 0b01", permitted: "any shareability", chosen: "Non-shareable" },
    Choice {
        name: "MemAttr reserved",
        permitted: "any memory type",
        chosen: "the reserved half is Non-cacheable; with FWB 0b100 is 0b101",
    },
    Choice {
        name: "Contiguous misprogrammed",
        permitted: "any of the entries of the group, or a Translation fault",
        chosen: "the descriptor that was read, its low address bits from the input address",
    },
    Choice { name: "nT", permitted: "a Translation fault, or none", chosen: "none" },
    Choice { name: "NV 0 with NV1 1", permitted: "NV1 counts or does not", chosen: "it does not" },
    Choice {
        name: "access flag with a Permission fault",
        permitted: "hardware sets it or does not",
        chosen: "it does not",
    },
    Choice {
        name: "access flag by AT",
        permitted: "hardware sets it or does not",
        chosen: "it does not; AF 0 without HA is an Access flag fault",
    },
    Choice { name: "access flag fault by cache maintenance", permitted: "a fault, or none", chosen: "none" },
    Choice {
        name: "instruction fetch from Device memory",
        permitted: "a Permission fault, or as Normal Non-cacheable",
        chosen: "Normal Non-cacheable",
    },
    Choice {
        name: "IC IVAU at EL0",
        permitted: "a Permission fault without read permission, or none",
        chosen: "the fault, as for a clean",
    },
    Choice {
        name: "stage 1 tables in Device memory of stage 2, PTW 0",
        permitted: "a Permission fault, or as Normal Non-cacheable",
        chosen: "no fault",
    },
    Choice {
        name: "AssuredOnly with stage 1 off",
        permitted: "not said",
        chosen: "the translation is not assured",
    },
    Choice {
        name: "updates that keep losing",
        permitted: "hardware retries for ever",
        chosen: "after 64 lost races an Unsupported atomic update fault",
    },
    Choice {
        name: "granule protection of cache maintenance",
        permitted: "a Granule protection fault on its output, or none (GPC Fault on DC operations)",
        chosen: "the fault",
    },
    Choice { name: "PAR_EL1.NS outside Secure state", permitted: "UNKNOWN", chosen: "0" },
    Choice {
        name: "TLBI by range, TG reserved or not of the entry",
        permitted: "nothing need be removed",
        chosen: "nothing must be removed",
    },
    Choice { name: "TTL reserved", permitted: "no hint, or nothing need be removed", chosen: "no hint" },
    Choice {
        name: "TLBI RPA",
        permitted: "more than the range may be removed",
        chosen: "all of granule protection",
    },
];
